"""Tables that trade: target weights, entries and exits, orders.

Each is a strategy that is given as data. The engine carries it out natively, with the same intake, matching,
costs and ledger as any other, and calls nobody; the class itself says in Python what is done, which is what
runs with ``native = "never"`` and on the reference engine, with the same orders.

A table is read as signals are, so that a row acts when it arrives and never earlier.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from ml4t.backtest.data.columns import find_symbol, find_time, folded
from ml4t.backtest.data.frames import to_polars
from ml4t.backtest.data.signals import ARRIVAL_NAMES, Signals, as_signals
from ml4t.backtest.rules import CompositeRule, StopLoss, TakeProfit, TrailingStop
from ml4t.core.errors import ConfigError, DataError, unknown_name
from ml4t.core.policies import TargetOrders
from ml4t.core.strategy import CALLBACKS, Strategy
from ml4t.core.types import OrderType, StampMeaning, TimeInForce
from ml4t.core.values import decimal_text, format_ns, to_decimal

if TYPE_CHECKING:
    from ml4t.backtest.data.tables import MarketData
    from ml4t.core.config import RunConfig

__all__ = ["EntryExit", "OrderList", "TableStrategy", "TargetWeights"]

# Names of the signals that bring the rows of an order list.
_LINE = "order list "
_LIVES = [each for each in TimeInForce if each is not TimeInForce.GTD]
_TYPES = [each for each in OrderType if not each.value.startswith("trailing")]
_PRICES = ("limit_price", "stop_price")


class TableStrategy(Strategy, ABC):
    """A strategy that is a table of signals; use one of its subclasses."""

    def sources(self) -> list[Signals]:
        """Return the signals that it brings along, to be read beside those of the run."""
        return []

    @abstractmethod
    def describe(self, data: MarketData, config: RunConfig) -> dict[str, Any]:
        """Return what the engine is to do natively.

        Raises
        ------
        UnknownNameError
            If the run has no signal of a name that the table reads.
        """

    def parameters(self) -> dict[str, Any]:
        """Return what decides beside the rows of the table, for the manifest."""
        return {}

    @property
    def native_builtin(self) -> str | None:
        """Name of what carries it out in the engine; None for a class that changes what is done."""
        return None if self.native_missing else type(self).__name__

    @property
    def native_missing(self) -> str:
        """Say why the engine cannot carry it out natively; empty where it can."""
        kinds = (TargetWeights, EntryExit, OrderList)
        table = next((kind for kind in kinds if isinstance(self, kind)), TableStrategy)
        changed = [name for name in CALLBACKS if getattr(type(self), name) is not getattr(table, name)]
        return f"{type(self).__name__} has {' and '.join(changed)} of its own" if changed else ""

    def subscribe(self, **wanted: Any) -> None:  # noqa: ANN401 - the keywords of `Strategy.subscribe`
        """Ask for events beside the signals of the table, which are told whatever else is wanted."""
        super().subscribe(**wanted)
        super().subscribe(event_type="signal")

    def fresh(self) -> Self:
        """Return a copy for one run: a table is data, and serves any number of runs."""
        made = copy.copy(self)
        vars(made).update({"_arrived": {}, "_due": []})
        return made

    def _known(self, data: MarketData, name: str) -> str:
        """Return the name of a signal of the run."""
        names = () if data.signals is None else data.signals.names
        if not names:
            kind = type(self).__name__
            msg = (
                f"{kind} has no rows to trade: give it a frame, or give the run signals with {name!r} in them"
            )
            raise ConfigError(msg)
        if name not in names:
            kind = f"signal of {type(self).__name__}"
            raise unknown_name(kind, name, list(names))
        return name


def _listed(source: object) -> list[Signals]:
    """Return signals as given.

    A frame with a column of sessions, and no instants, is of, and known at, their closes; booleans are 1
    and 0.
    """
    # polars warns of a lazy frame that is asked for its columns.
    kinds = ("columns", "__arrow_c_stream__")
    is_frame = isinstance(source, pl.LazyFrame) or any(hasattr(source, kind) for kind in kinds)
    if isinstance(source, Signals) or not is_frame:
        return as_signals(source)
    frame = to_polars(source, name="signals")
    names = {folded(name) for name in frame.collect_schema().names()}
    is_of_sessions = "session" in names and not names & {"ts_event", "timestamp"}
    frame = frame.with_columns(pl.col(pl.Boolean).cast(pl.Float64))
    return [Signals(frame, stamp="session" if is_of_sessions else None)]


class TargetWeights(TableStrategy):
    """Holds the portfolio that a table of weights says.

    Weights that arrive together are one portfolio: at their instant the account trades towards it, what is
    sold first, then by symbol, as `Broker.order_target_weights` does.

    Parameters
    ----------
    weights : frame, path, Signals or None
        Time, `symbol` and a column of weights, which are fractions of equity, negative for shorts; None takes
        the signal from those of the run.
    signal : str
        Name of that column, or of the signal.
    keep_others : bool
        Whether positions that the arriving weights do not name are kept; otherwise they are closed.

    Examples
    --------
    >>> import polars as pl
    >>> from ml4t.backtest import DataFeed, TargetWeights, datasets, run
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["AAPL", "IBM"])
    >>> weights = pl.DataFrame(
    ...     {"session": ["2012-07-02"] * 2, "symbol": ["AAPL", "IBM"], "weight": [0.4, 0.5]}
    ... )
    >>> results = run(TargetWeights(weights), feed)
    >>> results.fills["symbol"].to_list(), results.execution_paths["strategy"]
    (['AAPL', 'IBM'], 'builtin')
    """

    def __init__(self, weights: object = None, *, signal: str = "weight", keep_others: bool = False) -> None:
        """Keep what is to be followed.

        Raises
        ------
        ConfigError
            If `signal` is no text, or `keep_others` neither true nor false.
        """
        given: tuple[tuple[str, object, type], ...] = (
            ("signal", signal, str),
            ("keep_others", keep_others, bool),
        )
        for name, value, kind in given:
            if not isinstance(value, kind):
                msg = f"TargetWeights: {name} = {value!r}; expected a {kind.__name__}"
                raise ConfigError(msg)
        self.weights, self.signal, self.keep_others = weights, signal, keep_others
        self._arrived: dict[str, float] = {}

    def sources(self) -> list[Signals]:
        """Return the weights."""
        return _listed(self.weights)

    def parameters(self) -> dict[str, Any]:
        """Return the signal, and what becomes of other positions."""
        return {"signal": self.signal, "keep_others": bool(self.keep_others)}

    def describe(self, data: MarketData, config: RunConfig) -> dict[str, Any]:
        """Return what the engine is to do natively."""
        return {
            "kind": "weights",
            "signal": self._known(data, self.signal),
            "keep_others": bool(self.keep_others),
        }

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - of either engine
        """Collect what arrives together."""
        if event.model_id == self.signal:
            self._arrived[event.asset] = event.score

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Trade towards it."""
        if self._arrived:
            broker.order_target_weights(self._arrived, keep_others=self.keep_others)
            self._arrived = {}


class EntryExit(TableStrategy):
    """Opens positions where one signal says so, closes them where another does or a price level is reached.

    A score above zero of `entry` opens a long position, one below zero a short one; one of the other side is
    closed by an order of its own, and where there is one of the same side nothing happens. A score of `exit`
    that is not zero closes what is there. What closes may only reduce, in case a stop is there first. Zeros
    say nothing. Market orders under way count as positions.

    Parameters
    ----------
    signals : frame, path, Signals or None
        Time, `symbol`, and numeric columns; None takes the signals from those of the run.
    entry, exit : str, str or None
        Names of the columns, or of the signals; without an exit only rules and turns close positions.
    quantity, weight : number or None
        Units of an entry, or its fraction of equity: one of the two.
    stop_loss, take_profit, trailing_stop : float or None
        Position rules as fractions of the entry price: 0.05 is five percent. See "Position rules".

    Examples
    --------
    >>> import polars as pl
    >>> from ml4t.backtest import DataFeed, EntryExit, datasets, run
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> signals = pl.DataFrame({"session": ["2012-07-02"], "symbol": ["IBM"], "entry": [1.0], "exit": [0.0]})
    >>> results = run(EntryExit(signals, quantity=100, stop_loss=0.05), feed)
    >>> results.orders["tag"].to_list()
    ['', 'stop_loss']
    """

    def __init__(  # noqa: PLR0913 - the parts of a trade, each by its name
        self,
        signals: object = None,
        *,
        entry: str = "entry",
        exit: str | None = "exit",
        quantity: Any = None,  # noqa: ANN401 - any number
        weight: Any = None,  # noqa: ANN401 - any number
        stop_loss: float | None = None,
        take_profit: float | None = None,
        trailing_stop: float | None = None,
    ) -> None:
        """Keep what is to be done.

        Raises
        ------
        ConfigError
            If not exactly one of quantity and weight is given, or it is not above zero.
        """
        self.signals, self.entry, self.exit = signals, entry, exit
        if (quantity is None) == (weight is None):
            msg = f"EntryExit: give quantity or weight, one of them; found {quantity!r} and {weight!r}"
            raise ConfigError(msg)
        name, size = ("weight", weight) if quantity is None else ("quantity", quantity)
        try:
            self.size = to_decimal(size)
        except DataError:
            self.size = to_decimal(0)
        if self.size <= 0:
            msg = f"EntryExit: {name} = {size!r}; expected a number above 0"
            raise ConfigError(msg)
        self.sized_by = name
        given = ((StopLoss, stop_loss), (TakeProfit, take_profit), (TrailingStop, trailing_stop))
        self.rules = CompositeRule([rule(pct) for rule, pct in given if pct is not None])
        self._arrived: dict[str, list[float]] = {}
        # Where targets do not count what is under way, one that turns a position counts from what is held.
        self._turns_at_once = False

    def sources(self) -> list[Signals]:
        """Return the signals."""
        return _listed(self.signals)

    def parameters(self) -> dict[str, Any]:
        """Return signals, size and rules."""
        rules = {rule.kind: rule.pct for rule in self.rules.rules}
        return {"entry": self.entry, "exit": self.exit, self.sized_by: decimal_text(self.size), **rules}

    def describe(self, data: MarketData, config: RunConfig) -> dict[str, Any]:
        """Return what the engine is to do natively.

        Raises
        ------
        ConfigError
            If the quantity is no whole number of lots of an instrument.
        """
        if self.sized_by == "quantity":
            for instrument in data.instruments:
                if self.size % to_decimal(instrument.lot_size):
                    msg = (
                        f"EntryExit: quantity = {decimal_text(self.size)} is not a multiple of lot_size "
                        f"{decimal_text(to_decimal(instrument.lot_size))} of {instrument.symbol}"
                    )
                    raise ConfigError(msg)
        size = decimal_text(self.size)
        counts = config.broker.policies.target_orders is TargetOrders.COUNTED
        self._turns_at_once = self.sized_by == "weight" and not counts
        return {
            "kind": "entries",
            "entry": self._known(data, self.entry),
            "exit": None if self.exit is None else self._known(data, self.exit),
            "quantity": size if self.sized_by == "quantity" else None,
            "weight": size if self.sized_by == "weight" else None,
        }

    def on_start(self) -> None:
        """Set the rules."""
        if self.rules.rules:
            broker: Any = self.broker
            broker.set_position_rules(self.rules)

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - of either engine
        """Collect what arrives together."""
        if event.score != 0.0 and event.model_id in (self.entry, self.exit):
            both = self._arrived.setdefault(event.asset, [0.0, 0.0])
            both[0 if event.model_id == self.entry else 1] = event.score

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Open and close."""
        arrived, self._arrived = self._arrived, {}
        for symbol in sorted(arrived):
            entry, leave = arrived[symbol]
            held = _held(broker, symbol)
            sign = (entry > 0.0) - (entry < 0.0)
            enters = sign != 0 and sign * held <= 0.0
            if held != 0.0 and (enters or leave != 0.0) and not (enters and self._turns_at_once):
                broker.submit_order(symbol, -held, reduce_only=True)
            if enters and self.sized_by == "quantity":
                broker.submit_order(symbol, sign * self.size)
            elif enters:
                broker.order_target_percent(symbol, sign * self.size)


def _held(broker: Any, symbol: str) -> float:  # noqa: ANN401 - of either engine
    """Return the position as it is when the market orders under way have filled."""
    position = broker.get_position(symbol)
    held: float = 0.0 if position is None else position.quantity
    for order in broker.open_orders:
        if order.asset == symbol and order.order_type == OrderType.MARKET:
            held += order.leaves_quantity if order.side.value == "buy" else -order.leaves_quantity
    return held


class OrderList(TableStrategy):
    """Sends the orders of a table, each when its row arrives, in the sequence of the rows.

    Parameters
    ----------
    orders : frame
        Time, `symbol`, `quantity` (signed, negative sells), and as wanted `order_type` ("market"),
        `limit_price`, `stop_price`, `time_in_force` ("gtc"). Trailing stops and good-till-date need a
        strategy.
    stamp : str or None
        As of `Signals`: "event" for instants, "session" for dates, which are sent at the close.
    timezone : str or None
        IANA zone of naive stamps.

    Examples
    --------
    >>> import polars as pl
    >>> from ml4t.backtest import DataFeed, OrderList, datasets, run
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> orders = pl.DataFrame(
    ...     {"session": ["2012-07-02", "2012-07-09"], "symbol": ["IBM"] * 2, "quantity": [100, -100]}
    ... )
    >>> run(OrderList(orders), feed).fills["quantity"].to_list()
    [100.0, 100.0]
    """

    def __init__(self, orders: object, *, stamp: str | None = None, timezone: str | None = None) -> None:
        """Read the columns of the orders.

        Raises
        ------
        DataError
            If a column is absent or holds what cannot be an order; the row is named.
        """
        self._lines, self._signals = _read(orders, stamp=stamp, timezone=timezone)
        self._due: list[int] = []

    def sources(self) -> list[Signals]:
        """Return one signal a row: its score is the number of the row."""
        return [self._signals]

    def describe(self, data: MarketData, config: RunConfig) -> dict[str, Any]:
        """Return what the engine is to do natively."""
        names = () if data.signals is None else data.signals.names
        lines = self._lines
        self._refuse_early(data)
        return {
            "kind": "orders",
            "signals": [name for name in names if name.startswith(_LINE)],
            **{name: lines[name].to_numpy() for name in ("quantity", *_PRICES)},
            "order_types": [each.value for each in _TYPES],
            "order_type": _codes(lines["order_type"], [each.value for each in _TYPES]),
            "times_in_force": [each.value for each in _LIVES],
            "time_in_force": _codes(lines["time_in_force"], [each.value for each in _LIVES]),
        }

    def _refuse_early(self, data: MarketData) -> None:
        """Refuse orders that come before there is a market, which a signal may do."""
        if data.signals is None:
            return
        begin, frame = data.span_ns[0], data.signals.frame
        own = [number for number, name in enumerate(data.signals.names) if name.startswith(_LINE)]
        early = frame.filter(pl.col("ts_arrival") < begin, pl.col("name").is_in(own)).sort("score")
        if early.height:
            row = int(early["score"][0])
            msg = (
                f"orders: {early.height} of them come before the market data, which begin at "
                f"{format_ns(begin)}; the first is row {row}, {self._lines['symbol'][row]} at "
                f"{format_ns(early['ts_arrival'][0])}: drop them, or begin the data earlier"
            )
            raise DataError(msg)

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - of either engine
        """Collect the rows that arrive together."""
        if event.model_id.startswith(_LINE):
            self._due.append(int(event.score))

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Send them."""
        due, self._due = sorted(self._due), []
        for number in due:
            line = self._lines.row(number, named=True)
            prices = {name: line[name] for name in _PRICES if line[name] == line[name]}
            broker.submit_order(
                line["symbol"],
                line["quantity"],
                order_type=line["order_type"],
                time_in_force=line["time_in_force"],
                **prices,
            )


def _codes(column: pl.Series, names: list[str]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(names)}
    return column.replace_strict(numbers, return_dtype=pl.UInt32).to_numpy()


def _read(orders: object, *, stamp: str | None, timezone: str | None) -> tuple[pl.DataFrame, Signals]:
    """Return the lines of an order list, and the signals that bring them."""
    label = "order list"
    given = to_polars(orders, name=label)
    frame = given.collect() if isinstance(given, pl.LazyFrame) else given
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    meaning = StampMeaning.SESSION if stamp == "session" or "session" in by_fold else StampMeaning.EVENT
    time = find_time(by_fold, meaning, label=label)
    symbol = find_symbol(by_fold, label=label)
    arrival = next((by_fold[name] for name in ARRIVAL_NAMES if name in by_fold), None)
    if "quantity" not in by_fold:
        msg = f"{label}: no column quantity; the columns are {', '.join(frame.columns)}"
        raise DataError(msg)
    known = {
        time,
        symbol,
        arrival,
        *(by_fold.get(name) for name in ("quantity", "order_type", "time_in_force", *_PRICES)),
    }
    if unknown := [name for name in frame.columns if name not in known]:
        msg = f"{label}: unknown columns {', '.join(unknown)}; an order has a time, symbol, quantity, "
        msg += "order_type, limit_price, stop_price and time_in_force"
        raise DataError(msg)

    def floats(name: str) -> pl.Expr:
        if name not in by_fold:
            return pl.lit(None, dtype=pl.Float64).alias(name)
        return pl.col(by_fold[name]).cast(pl.Float64).alias(name)

    def words(name: str, usual: str) -> pl.Expr:
        if name not in by_fold:
            return pl.lit(usual).alias(name)
        return pl.col(by_fold[name]).cast(pl.String).fill_null(usual).str.to_lowercase().alias(name)

    try:
        lines = frame.select(
            pl.col(symbol).cast(pl.String).alias("symbol"),
            floats("quantity").fill_null(float("nan")),
            *(floats(name).fill_null(float("nan")) for name in _PRICES),
            words("order_type", OrderType.MARKET.value),
            words("time_in_force", TimeInForce.GTC.value),
        )
    except pl.exceptions.PolarsError as error:
        msg = f"{label}: a column has another type than its name says: {error}"
        raise DataError(msg) from error
    _check(lines, label)
    named = {"ts_event": time} if meaning is StampMeaning.EVENT else {"session": time}
    named |= {} if arrival is None else {"ts_arrival": arrival}
    rows = frame.select(
        *(pl.col(source).alias(name) for name, source in named.items()),
        pl.col(symbol).cast(pl.String).alias("symbol"),
        pl.int_range(pl.len()).cast(pl.Float64).alias("score"),
    )
    # Orders of one instrument and instant are told apart by name.
    place = pl.int_range(pl.len()).over("symbol", *named)
    rows = rows.with_columns(pl.concat_str(pl.lit(_LINE), place.cast(pl.String)).alias("model_id"))
    declared: Any = (
        stamp if stamp is not None else (meaning.value if meaning is StampMeaning.SESSION else None)
    )
    return lines, Signals(rows, name=label, stamp=declared, timezone=timezone)


def _check(lines: pl.DataFrame, label: str) -> None:
    """Refuse what can be no order, with its row."""
    of_type, of_life = pl.col("order_type"), pl.col("time_in_force")
    types, lives = [each.value for each in _TYPES], [each.value for each in _LIVES]
    faults = {
        "quantity": (
            ~pl.col("quantity").is_finite() | (pl.col("quantity") == 0.0),
            "a finite number, not zero",
        ),
        "order_type": (~of_type.is_in(types), f"one of {', '.join(types)}"),
        "time_in_force": (~of_life.is_in(lives), f"one of {', '.join(lives)}"),
    }
    for name, (is_wrong, expected) in faults.items():
        wrong = lines.with_row_index("row").filter(is_wrong)
        if wrong.height:
            row = wrong.row(0, named=True)
            msg = f"{label}, row {row['row']}, {row['symbol']}: {name} = {row[name]!r}; expected {expected}"
            raise DataError(msg)
