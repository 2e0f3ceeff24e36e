"""Strategy kernels in Python: the same function, called with the same arrays at the same instants.

What a kernel sees is read from the strategy's broker and data, and the records that it writes go through the
broker, so that orders, fills and portfolio are those of a run in which the engine calls the machine code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t.core import schedule
from ml4t.core.errors import ConfigError, unknown_name
from ml4t.core.strategy import Strategy
from ml4t.core.types import DataKind
from ml4t.native import layouts
from ml4t.native.constants import Liquidity
from ml4t.native.records import Desk
from ml4t.native.structs import Made, dtype, struct, unset

if TYPE_CHECKING:
    from ml4t.native.spec import Spec

__all__ = ["KernelInPython"]

SPARE_RECORDS = 64  #: orders that a kernel may ask for at one instant, beside two of every instrument

#: Asks the kernel: context, arrays, and how the kernel is called in messages.
Ask = Callable[[Any, tuple[Any, ...], str], int]

_FillEvent: Made = struct("FillEvent")


class KernelInPython(Strategy):
    """Calls the kernel of a class as the engine calls its machine code.

    Parameters
    ----------
    spec : Spec
        What the class says.
    ask : callable
        Calls the kernel with a context and arrays and answers how many records it wrote.
    warmup : int or str
        Of the class, 0 where it has none.
    """

    def __init__(self, spec: Spec, ask: Ask, *, warmup: int | str = 0) -> None:
        self.warmup = warmup
        self._spec = spec
        self._ask = ask
        self._who = f"kernel {spec.name}" + (f" version {spec.version}" if spec.version else "")
        self._columns: list[_Column] = []
        self._instruments: tuple[Any, ...] = ()
        self._index: dict[str, int] = {}
        self._fills: list[_Fill] = []
        self._n_fills = 0
        self._instant = 0
        self._session_closed = False
        self._room: Made = None
        self._desk: Desk

    def resolve_columns(self, universe: Made) -> None:
        """Find the columns in what the run reads; the engine calls it before the run.

        Parameters
        ----------
        universe : object
            With `instruments`, in the order of their indices; `feeds`, each with `name`, `kind`, `columns`
            and `instruments`, the indices of those that have rows; and `signals`, the names of signals.

        Raises
        ------
        ConfigError
            If a column is that of two feeds of one instrument, or of a feed and a signal.
        UnknownNameError
            If nothing has that name.
        """
        self._instruments = tuple(universe.instruments)
        self._index = {each.symbol: k for k, each in enumerate(self._instruments)}
        self._columns = [_resolved(name, universe, self._who) for name in self._spec.columns]

    def on_start(self) -> None:
        """Ask for the closes of sessions, and make room for the records."""
        self.schedule(self._close_session, rule=schedule.session_close("0m"))
        layout = dtype("OrderRecord")
        blank = np.frombuffer(bytes(unset("OrderRecord")), layout)
        room = np.repeat(blank, 2 * len(self._instruments) + SPARE_RECORDS)
        # Records whose fields are attributes, as in machine code.
        self._room = room.view(np.dtype((np.record, layout))).view(np.recarray)
        self._blank = self._room[:1].copy()
        self._desk = Desk(self.broker, self._instruments)

    def _close_session(self) -> None:
        # The timer also makes the engine call on_data where nothing else happens at the close.
        self._session_closed = True

    def on_fill(self, event: Made) -> None:
        """Keep a fill for the next call."""
        asset = self._index[event.asset]
        multiplier = float(self._instruments[asset].multiplier)
        self._fills.append(_Fill(event, (asset, multiplier), self._n_fills, self._costs))
        self._n_fills += 1

    def _costs(self, number: int) -> tuple[float, float]:
        """Slippage and impact of a fill, which events do not carry."""
        runtime: Made = self._runtime
        slippage, impact = runtime.fill_costs(number)
        return slippage, impact

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        """Call the kernel, and carry out what it writes."""
        who = f"{self._who}, {timestamp}"
        n_assets, fills = len(self._instruments), self._fills
        columns = np.full((len(self._columns), n_assets), np.nan)
        for row, column in zip(columns, self._columns, strict=True):
            column.read_into(row, data, context)
        positions = np.zeros(n_assets)
        for symbol, position in broker.positions.items():
            positions[self._index[symbol]] = position.quantity
        changed = np.array([self._index[symbol] for symbol in data], dtype=np.uint32)
        for array in (columns, positions, changed):
            array.flags.writeable = False
        open_orders = self._desk.open_orders()
        seen = unset("StrategyContext")
        seen.size, seen.version, seen.ts_ns = ctypes.sizeof(seen), layouts.ABI_MINOR, timestamp.ns
        seen.n_assets, seen.n_columns, seen.n_changed = n_assets, len(columns), len(changed)
        seen.n_open_orders, seen.n_fills = len(open_orders), len(fills)
        seen.session_closed, seen.instant = self._session_closed, self._instant
        seen.cash, seen.equity = broker.get_cash(), broker.get_account_value()
        self._fills, self._session_closed = [], False
        self._instant += 1
        arrays = (changed, columns, positions, open_orders, tuple(fills), self._room)
        count = self._ask(seen, arrays, who)
        for record in self._room[:count]:
            self._desk.carry_out(record, who)
        self._room[:count] = self._blank


class _Column:
    """Where a column of the matrix comes from."""

    def __init__(self, reads: Callable[[Made, Made, Made], None]) -> None:
        self.read_into = reads


def _resolved(name: str, universe: Made, who: str) -> _Column:
    """Find what a kernel calls `name`: a column of all feeds that have it, `feed.column`, or a signal."""
    found = []
    for feed in universe.feeds:
        own = name.removeprefix(f"{feed.name}.")
        if own in feed.columns:
            found.append((feed, own))
    for k, (one, _) in enumerate(found):
        for other, _ in found[k + 1 :]:
            # Rows of context belong to every instrument.
            if any(_shares(one, other, i) for i in range(len(universe.instruments))):
                msg = (
                    f'{who}: column "{name}" is in the feeds {one.name} and {other.name} of one instrument; '
                    f"write {one.name}.{name} or {other.name}.{name}"
                )
                raise ConfigError(msg)
    if found and name in universe.signals:
        msg = f'{who}: "{name}" is a column of the feed {found[0][0].name} and a signal; rename one of them'
        raise ConfigError(msg)
    if found:
        return _of_feeds(found, universe, who)
    if name in universe.signals:
        return _of_signal(name, tuple(each.symbol for each in universe.instruments))
    known = {column for feed in universe.feeds for column in feed.columns} | set(universe.signals)
    raise unknown_name(f"{who} wants: column or signal", name, known)  # noqa: EM102 - it builds the error


def _shares(one: Made, other: Made, i: int) -> bool:
    return all(feed.kind is DataKind.CONTEXT or i in feed.instruments for feed in (one, other))


def _of_feeds(found: list[tuple[Made, str]], universe: Made, who: str) -> _Column:
    feed, own = found[0]
    if feed.kind is DataKind.CONTEXT:
        others = [
            each.name for each in universe.feeds if each.kind is DataKind.CONTEXT and own in each.columns
        ]
        if len(others) > 1:
            msg = f"{who} runs in Python, which cannot tell {own} of the feeds {' and '.join(others)} apart"
            raise ConfigError(msg)

        def read_context(row: Made, data: Made, context: Made) -> None:
            row[:] = context[own]

        return _Column(read_context)
    parts = [(f"{each.name}.{column}", np.array(sorted(each.instruments), int)) for each, column in found]

    def read(row: Made, data: Made, context: Made) -> None:
        for qualified, instruments in parts:
            row[instruments] = getattr(data, qualified)[instruments]

    return _Column(read)


def _of_signal(name: str, symbols: tuple[str, ...]) -> _Column:
    def read(row: Made, data: Made, context: Made) -> None:
        for k, symbol in enumerate(symbols):
            row[k] = data[symbol]["signals"][name]

    return _Column(read)


# The base class is made at run time.
class _Fill(_FillEvent):  # type: ignore[misc]
    """A fill as kernels see it; slippage and impact are looked up when they are asked for."""

    def __init__(
        self, event: Made, place: tuple[int, float], number: int, costs: Callable[[int], tuple[float, float]]
    ) -> None:
        super().__init__()
        self.size, self.version, self.ts_ns = ctypes.sizeof(_FillEvent), layouts.ABI_MINOR, event.ts_event
        self.side, self.order = event.side.sign, event.order_id
        self.asset, self.multiplier = place
        self.price, self.quantity, self.fee = event.price, event.quantity, event.fee
        self.liquidity = Liquidity[event.liquidity.upper()]
        self._number, self._costs = number, costs

    @property
    def slippage(self) -> float:
        """Slippage per unit."""
        return self._costs(self._number)[0]

    @property
    def impact(self) -> float:
        """Impact per unit."""
        return self._costs(self._number)[1]
