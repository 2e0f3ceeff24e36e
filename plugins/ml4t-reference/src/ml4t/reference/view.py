"""`PITData`, `Row` and `SignalRow`: windows onto what is readable at an instant.

They hold no data. Each remembers the number of the instant at which it was handed out and refuses to be read
at a later one: it would quietly show what was the future when somebody kept it.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from ml4t.core.errors import EngineStateError, StaleViewError, unknown_name
from ml4t.reference.adjusted import check_adjust
from ml4t.reference.events import as_name, number_text
from ml4t.reference.readable import NAN, Readable
from ml4t.reference.timestamp import NS_PER_MICROSECOND, Timestamp

__all__ = ["PITData", "Row", "SignalRow"]

Floats: TypeAlias = npt.NDArray[np.float64]

LONGEST_WINDOW = 10_000_000
STALE_VIEW = "this view belongs to an earlier instant; use self.data, or keep values instead of the view"
STALE_ROW = "this row belongs to an earlier instant; keep its values instead of the row"
STALE_SIGNALS = "these signals belong to an earlier instant; keep the values instead"


def _fixed(array: Floats) -> Floats:
    """Make an array read-only: what a view shows is not the strategy's to change."""
    array.flags.writeable = False
    return array


@final
class PITData:
    """Market data and signals as known now, and nothing later.

    It iterates over the symbols with an event at this instant: a row or a signal that arrived at it.
    `view[symbol]` is the last known row of any instrument. Any other attribute is a field: `view.close` is an
    array over all instruments, in the order of `symbols`, with the last known value of each, NaN before its
    first row.

    Parameters
    ----------
    readable : Readable
        What is known.
    number : int, optional
        Number of the instant to which the view belongs; without one it always shows the present, as the
        strategy's own `self.data` does.
    """

    __slots__ = ("_number", "_readable")

    def __init__(self, readable: Readable, number: int | None = None) -> None:
        self._readable = readable
        self._number = number

    def bound(self) -> PITData:
        """Return the view that is handed to `on_data`: of this instant, and stale afterwards."""
        return PITData(self._readable, self._readable.epoch.number)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of all instruments of the run, sorted: the order of arrays over instruments."""
        return self._readable.plan.symbols

    @property
    def timestamp(self) -> Timestamp:
        """The present instant; before the first event there is none, which is an `EngineStateError`."""
        now = self._known().epoch.now
        if now is None:
            message = "there is no present before the first event"
            raise EngineStateError(message)
        return Timestamp(now)

    # -- rows ------------------------------------------------------------------------------------------

    def __getitem__(self, symbol: str) -> Row:
        """Return the last known row of any instrument of the run."""
        readable = self._known()
        return Row(readable, self._index(symbol), readable.epoch.number)

    def get(self, symbol: str, default: Any = None) -> Any:  # noqa: ANN401 - a row, or whatever the default is
        """Return the row of an instrument, or `default` when the run does not know the symbol."""
        self._known()
        return self[symbol] if symbol in self.symbols else default

    def get_latest_bar(self, asset: str) -> Row | None:
        """Return the last known row of an instrument, or None before its first in any feed."""
        row = self[asset]
        return None if row.ts_event is None else row

    def get_latest_price(self, asset: str) -> float | None:
        """Return the last known price of the matching source; None before the first."""
        return self._known().last_price(self._index(asset))

    # -- what has an event now -------------------------------------------------------------------------

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.keys()

    def __iter__(self) -> Iterator[str]:
        # Symbols are plain texts, so an iterator may be used later.
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._known().fresh)

    def keys(self) -> list[str]:
        """Return the symbols with an event at this instant, sorted."""
        return [self.symbols[instrument] for instrument in sorted(self._known().fresh)]

    def values(self) -> list[Row]:
        """Return the rows of the instruments with an event at this instant."""
        return [self[symbol] for symbol in self.keys()]

    def items(self) -> list[tuple[str, Row]]:
        """Return symbol and row of the instruments with an event at this instant."""
        return [(symbol, self[symbol]) for symbol in self.keys()]

    # -- arrays ----------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Floats:
        """Return a field over all instruments; the array is read-only."""
        if name.startswith("__"):
            raise AttributeError(name)
        readable = self._known()
        values = [readable.value(instrument.index, name) for instrument in readable.plan.instruments]
        if None in values or not values:
            known = ", ".join(readable.all_fields)
            message = f'no feed has a field "{name}"; known: {known}'
            raise AttributeError(message, name=name, obj=self)
        return _fixed(np.array(values, dtype=np.float64))

    def history(self, fields: Any, n: int, symbols: Any = None, *, adjust: str | None = None) -> Any:  # noqa: ANN401 - as `MarketView.history`
        """Return the last `n` known values, oldest first, with NaN in front where there are fewer.

        Parameters
        ----------
        fields : str or iterable of str
            A field gives an array, several give a dict of arrays.
        n : int
            How many rows, from 1 to ten million. Each instrument counts its own.
        symbols : str or iterable of str, optional
            One symbol gives arrays of shape `(n,)`, several (all by default) `(n, len(symbols))`.
        adjust : {"split", "total_return"}, optional
            Bring past prices and volumes into the shares of now.

        Raises
        ------
        UnknownNameError
            If the run does not know a field or a symbol; the nearest is named.
        ValueError
            If `n` is out of its range.
        """
        self._known()
        check_adjust(adjust)
        count = operator.index(n)
        if not 1 <= count <= LONGEST_WINDOW:
            message = f"history takes n from 1 to {LONGEST_WINDOW}, found {count}"
            raise ValueError(message)
        if isinstance(fields, str):
            return self._window(fields, count, symbols, adjust)
        # An iterator of symbols can be read once only.
        chosen = symbols if symbols is None or isinstance(symbols, str) else list(symbols)
        return {as_name(name, "a field"): self._window(name, count, chosen, adjust) for name in fields}

    def _window(self, field: str, n: int, symbols: str | Iterable[str] | None, adjust: str | None) -> Floats:
        if isinstance(symbols, str):
            return _fixed(self._column(field, n, symbols, adjust))
        chosen = self.symbols if symbols is None else symbols
        columns = [self._column(field, n, symbol, adjust) for symbol in chosen]
        return _fixed(np.column_stack(columns) if columns else np.empty((n, 0)))

    def _column(self, field: str, n: int, symbol: str, adjust: str | None) -> Floats:
        readable, instrument = self._readable, self._index(symbol)
        known = readable.window(instrument, field, n, adjust)
        if known is None:
            raise _unknown_field(readable, instrument, field)
        column = np.full(n, NAN)
        column[n - len(known) :] = known
        return column

    # -- names and staleness ---------------------------------------------------------------------------

    def _known(self) -> Readable:
        """Return what is readable, if this view may still show it."""
        if self._number is not None and self._number != self._readable.epoch.number:
            raise StaleViewError(STALE_VIEW)
        return self._readable

    def _index(self, symbol: str) -> int:
        if as_name(symbol, "a symbol") not in self.symbols:
            raise unknown_name("symbol", symbol, self.symbols)  # noqa: EM101
        return self.symbols.index(symbol)


@final
class Row:
    """Last known row of one instrument: `row["close"]`, `row["signals"]["score"]`.

    Fields are those of all feeds of the run, NaN before the first row; where several feeds have a field, the
    matching source comes first.
    """

    __slots__ = ("_instrument", "_number", "_readable")

    def __init__(self, readable: Readable, instrument: int, number: int) -> None:
        self._readable = readable
        self._instrument = instrument
        self._number = number

    def _known(self) -> Readable:
        if self._number != self._readable.epoch.number:
            raise StaleViewError(STALE_ROW)
        return self._readable

    @property
    def symbol(self) -> str:
        """Symbol of the instrument."""
        return self._readable.plan.symbols[self._instrument]

    @property
    def fresh(self) -> bool:
        """Whether the instrument has an event at this instant."""
        return self._instrument in self._known().fresh

    @property
    def age(self) -> dt.timedelta | None:
        """Time since the last row, of any feed, was complete; None before the first."""
        then, now = self._known().ts_event(self._instrument), self._readable.epoch.now
        if then is None or now is None:
            return None
        return dt.timedelta(microseconds=(now - then) // NS_PER_MICROSECOND)

    @property
    def ts_event(self) -> Timestamp | None:
        """When the last row, of any feed, was complete; None before the first."""
        then = self._known().ts_event(self._instrument)
        return None if then is None else Timestamp(then)

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 - a float, or the row of signals
        readable = self._known()
        if as_name(field, "a field") == "signals":
            return SignalRow(readable, self._instrument, self._number)
        value = readable.value(self._instrument, field)
        if value is None:
            raise _unknown_field(readable, self._instrument, field)
        return value

    def get(self, field: str, default: Any = None) -> Any:  # noqa: ANN401 - a value, or whatever the default is
        """Return the field, or `default` when no feed has it."""
        return self[field] if field in self else default

    def __contains__(self, field: str) -> bool:
        readable = self._known()
        return as_name(field, "a field") == "signals" or readable.value(self._instrument, field) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return self._readable.fields(self._instrument)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={number_text(self[name])}" for name in self.keys())
        return f"Row({self.symbol}, {values})"


@final
class SignalRow:
    """Last known scores of one instrument by model id or column name; NaN before the first.

    It lists the names that have spoken of the instrument. `score` is the one that arrived last under any
    name, unless a model of that name exists.
    """

    __slots__ = ("_instrument", "_number", "_readable")

    def __init__(self, readable: Readable, instrument: int, number: int) -> None:
        self._readable = readable
        self._instrument = instrument
        self._number = number

    def _known(self) -> Readable:
        if self._number != self._readable.epoch.number:
            raise StaleViewError(STALE_SIGNALS)
        return self._readable

    def __getitem__(self, name: str) -> float:
        readable = self._known()
        score = readable.score(self._instrument, as_name(name, "a signal"))
        if score is not None:
            return score
        if name not in readable.signal_names and not (name == "score" and readable.signal_names):
            raise unknown_name("signal", name, readable.signal_names)  # noqa: EM101
        return NAN

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a score, or whatever the default is
        """Return the score, or `default` when no signal of that name has spoken of the instrument."""
        score = self._known().score(self._instrument, as_name(name, "a signal"))
        return default if score is None else score

    def __contains__(self, name: str) -> bool:
        return self._known().score(self._instrument, as_name(name, "a signal")) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return the names of the signals that have spoken of the instrument."""
        return self._known().spoken(self._instrument)


def _unknown_field(readable: Readable, instrument: int, field: str) -> Exception:
    symbol = readable.plan.symbols[instrument]
    return unknown_name(f"field of {symbol}", field, [*readable.fields(instrument), "signals"])
