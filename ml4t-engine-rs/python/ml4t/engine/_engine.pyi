"""The engine: simulator, accounts and data views, compiled from Rust.

What users name is imported from `ml4t.backtest` and `ml4t.backtest.indicators`; `Run`, `Table`, `performance`
and `reason_codes` are for the parts of ml4t that drive the engine.

Throughout, instants are nanoseconds since 1970-01-01 UTC where they are `int`, and a `Timestamp` otherwise;
prices are in the instrument's currency per unit, amounts in the account's; a float that is not known is NaN.
Objects of a run other than indicators cannot be constructed from Python, and none of them can be changed.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias, TypeVar, Unpack, final, overload

import numpy as np
import numpy.typing as npt

from ml4t.backtest.executors import ExecutionAlgorithm
from ml4t.backtest.rules import CompositeRule, PositionRule
from ml4t.core.sources import OrderChanges, OrderTerms, PricedTerms
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce

__version__: str

_T = TypeVar("_T")
_Floats: TypeAlias = npt.NDArray[np.float64]
# Exact in the engine: a float counts as its shortest decimal text, so 0.1 is one tenth. bool is refused.
_Number: TypeAlias = int | float | str | Decimal | np.integer[Any] | np.floating[Any]
_Order: TypeAlias = OrderHandle | int

# -- time ------------------------------------------------------------------------------------------------

@final
class Timestamp:
    """An instant in UTC with nanoseconds.

    Behaves like a timezone-aware `datetime.datetime` in UTC: it has its attributes and methods, compares with
    aware datetimes, hashes like the one it equals, and gives a `timedelta` or a `datetime` in arithmetic. The
    datetime is built when first needed and has microseconds; comparisons use the nanoseconds.

    Parameters
    ----------
    ns : int
        Nanoseconds since 1970-01-01 UTC.

    Examples
    --------
    >>> from ml4t.backtest import Timestamp
    >>> moment = Timestamp(1_362_171_600_000_000_001)
    >>> moment.year, f"{moment:%H:%M}", str(moment)
    (2013, '21:00', '2013-03-01T21:00:00.000000001Z')
    """

    def __new__(cls, ns: int) -> Timestamp: ...
    @property
    def ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""

    @property
    def datetime(self) -> dt.datetime:
        """The instant as an aware `datetime` in UTC, nanoseconds cut off."""
    # What follows is answered by the datetime.
    @property
    def year(self) -> int: ...
    @property
    def month(self) -> int: ...
    @property
    def day(self) -> int: ...
    @property
    def hour(self) -> int: ...
    @property
    def minute(self) -> int: ...
    @property
    def second(self) -> int: ...
    @property
    def microsecond(self) -> int: ...
    @property
    def tzinfo(self) -> dt.tzinfo: ...
    @property
    def fold(self) -> int: ...
    def date(self) -> dt.date: ...
    def time(self) -> dt.time: ...
    def timetz(self) -> dt.time: ...
    def timestamp(self) -> float: ...
    def toordinal(self) -> int: ...
    def weekday(self) -> int: ...
    def isoweekday(self) -> int: ...
    def isocalendar(self) -> dt._IsoCalendarDate: ...
    def isoformat(self, sep: str = ..., timespec: str = ...) -> str: ...
    def ctime(self) -> str: ...
    def strftime(self, format: str, /) -> str: ...
    def utcoffset(self) -> dt.timedelta: ...
    def dst(self) -> dt.timedelta | None: ...
    def tzname(self) -> str: ...
    def astimezone(self, tz: dt.tzinfo | None = ...) -> dt.datetime: ...
    @property
    def replace(self) -> Callable[..., dt.datetime]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __lt__(self, other: Timestamp | dt.datetime, /) -> bool: ...
    def __le__(self, other: Timestamp | dt.datetime, /) -> bool: ...
    def __gt__(self, other: Timestamp | dt.datetime, /) -> bool: ...
    def __ge__(self, other: Timestamp | dt.datetime, /) -> bool: ...
    def __hash__(self) -> int: ...
    @overload
    def __sub__(self, other: Timestamp | dt.datetime, /) -> dt.timedelta: ...
    @overload
    def __sub__(self, other: dt.timedelta, /) -> dt.datetime: ...
    def __rsub__(self, other: dt.datetime, /) -> dt.timedelta: ...
    def __add__(self, other: dt.timedelta, /) -> dt.datetime: ...
    def __radd__(self, other: dt.timedelta, /) -> dt.datetime: ...
    def __int__(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""

    def __format__(self, spec: str, /) -> str:
        """Format as `datetime` does; without a spec as ISO 8601 with all its digits."""

    def __reduce__(self) -> tuple[type[Timestamp], tuple[int]]: ...

# -- orders and account ----------------------------------------------------------------------------------

@final
class Broker:
    """Orders and account of one strategy.

    Orders are sent from callbacks, from the first event on; what a strategy asks for is checked when its
    callback returns. Numbers are int, float, str or `Decimal`, and exact: "0.1" and 0.100 are the same price.
    Sides, order types and lifetimes are members of their enums or their names.

    Raises
    ------
    UnknownNameError
        By every method that takes a symbol, if the run does not know it; the nearest is named.
    OrderError
        By every method that sends an order, if the order cannot be expressed: a missing or superfluous price,
        no size, something that is no number. What the market or the account refuses is no exception: the
        order is rejected, with a code and a sentence.
    EngineStateError
        By every method that sends, cancels or sets rules, before the first event, after the run, and in a
        thread other than the one that runs the strategy.
    """

    @property
    def open_orders(self) -> list[OrderHandle]:
        """Orders that can still change, in the order in which they were sent."""

    @property
    def rejected_orders(self) -> list[OrderHandle]:
        """Orders that were refused; each has a `reason_code` and a `reason`."""

    @property
    def positions(self) -> dict[str, Position]:
        """Positions that are not flat, by symbol."""

    @property
    def buying_power(self) -> float:
        """What may still be bought, or sold short, after what working orders have reserved."""

    def submit_order(
        self,
        asset: str,
        quantity: _Number,
        side: Side | str | None = None,
        order_type: OrderType | str | None = None,
        limit_price: _Number | None = None,
        stop_price: _Number | None = None,
        **terms: Unpack[OrderTerms],
    ) -> OrderHandle:
        """Send an order.

        Parameters
        ----------
        asset : str
            Symbol.
        quantity : int, float, str or Decimal
            Units. Above zero with a `side`; without one its sign is the direction.
        side : Side or str, optional
            Buy or sell.
        order_type : OrderType or str, optional
            Market by default. Where a limit decides the order takes a `limit_price`, where a price triggers
            it a `stop_price`; trailing stops take `trail_amount` or `trail_fraction` instead.
        limit_price, stop_price : int, float, str or Decimal, optional
            Multiples of the instrument's `tick_size`.
        **terms
            Of `ml4t.core.sources.OrderTerms`: `time_in_force` (until filled or canceled by default), `tag`,
            how a trailing stop follows, what the order may not do.

        Returns
        -------
        OrderHandle
            A live view of the order.
        """

    def buy(self, asset: str, quantity: _Number, **terms: Unpack[PricedTerms]) -> OrderHandle:
        """Send a buy order; without `order_type` the given prices say which."""

    def sell(self, asset: str, quantity: _Number, **terms: Unpack[PricedTerms]) -> OrderHandle:
        """Send a sell order; without `order_type` the given prices say which."""

    def execute(
        self,
        asset: str,
        quantity: _Number,
        algorithm: ExecutionAlgorithm | Mapping[str, Any] | str,
        *,
        tag: str | None = None,
    ) -> WorkedOrder:
        """Let an execution algorithm work a signed quantity by orders of its own.

        Parameters
        ----------
        asset : str
            Symbol.
        quantity : int, float, str or Decimal
            Units, whole lots; above zero buys, below sells.
        algorithm : ExecutionAlgorithm, mapping or str
            An object with `evaluate(ctx)`, the name of a registered one, or its table as in a configuration:
            `{"type": name, **parameters}`. See `docs/how-to/execution-algorithms.md`.
        tag : str, optional
            Text that all its orders carry.

        Returns
        -------
        WorkedOrder
            A live view; its `id` is `worked_order_id` in the table `orders`.

        Raises
        ------
        ConfigError, ModelError
            If the algorithm is not known, has wrong parameters, or cannot be used.
        """

    def bracket(
        self,
        entry: _Order,
        *,
        limit_price: _Number,
        stop_price: _Number | None = None,
        trail_amount: _Number | None = None,
        trail_fraction: _Number | None = None,
        time_in_force: TimeInForce | str | None = None,
    ) -> tuple[OrderHandle, OrderHandle]:
        """Send a stop and a target that wait for `entry` and cancel each other; return their handles.

        The stop is at `stop_price`, or follows the market with `trail_amount` or `trail_fraction`; the target
        is a limit order at `limit_price`.
        """

    def modify_order(self, order: _Order, **changes: Unpack[OrderChanges]) -> bool:
        """Ask for another total quantity or other prices; False when the order is complete already.

        The answer comes as an event of the order: `REPLACED`, or `REPLACE_REJECTED` with a reason.

        Raises
        ------
        OrderError
            If the order has no such thing to change, or belongs to a position rule.
        """

    def cancel_order(self, order: _Order) -> bool:
        """Ask to take an order back; False when it is complete already.

        Raises
        ------
        OrderError
            If no order of this run has that id.
        """

    def get_order(self, order: _Order) -> OrderHandle:
        """Return the live view of an order.

        Raises
        ------
        OrderError
            If no order of this run has that id.
        """

    def get_position(self, asset: str) -> Position | None:
        """Return the position as it is now, or None when nothing is held."""

    def get_cash(self, currency: str | None = None, *, settled: bool = False) -> float:
        """Return cash at hand, or settled cash: of all currencies in the base currency, or of one alone."""

    def convert(self, currency: str, amount: _Number) -> int:
        """Buy so much of a foreign currency for the base currency, or sell it below zero."""

    def get_account_value(self) -> float:
        """Return equity: cash, dividends due, and positions at their marks."""

    def order_target_percent(
        self,
        asset: str,
        percent: _Number,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position towards a fraction of equity: 0.5 is half of it.

        The size is that at the last known price, rounded toward zero to whole lots; before the first price
        the order is rejected. Working market orders of the instrument count as filled; resting limit and stop
        orders do not.

        Returns
        -------
        OrderHandle or None
            None when there is nothing to trade.
        """

    def order_target_value(
        self,
        asset: str,
        value: _Number,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position towards a market value; see `order_target_percent`."""

    def order_target_quantity(
        self,
        asset: str,
        quantity: _Number,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position to signed units; see `order_target_percent`."""

    def order_target_weights(
        self,
        weights: Mapping[str, _Number],
        *,
        keep_others: bool = False,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> list[OrderHandle]:
        """Trade a basket towards fractions of equity: sells first, then buys, each by symbol.

        Positions that `weights` does not name are closed, unless `keep_others`. As for the other targets,
        market orders under way count as filled: sent twice before the open, the last mapping wins.

        Returns
        -------
        list of OrderHandle
            Orders in the sequence in which they were sent; instruments without a difference have none.
        """

    def close_position(
        self,
        asset: str,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that closes a position; None when there is none."""

    def set_position_rules(self, rules: PositionRule | CompositeRule | None) -> None:
        """Guard all positions, open and future, with rules that rest at the venue as orders.

        They replace those set before; None takes them away. Their orders carry the rule's name as tag.

        Raises
        ------
        ConfigError
            If a fraction is not above 0, a loss is 1 or more, or a rule is given twice.
        """

@final
class WorkedOrder:
    """Live view of an order that an execution algorithm works: every attribute is read when asked for."""

    @property
    def id(self) -> int:
        """Number of the worked order in its run, from 1: `worked_order_id` in the table `orders`."""

    @property
    def asset(self) -> str:
        """Symbol."""

    @property
    def side(self) -> Side:
        """Side of all its orders."""

    @property
    def quantity(self) -> float:
        """The whole, positive; follows splits."""

    @property
    def filled_quantity(self) -> float:
        """What has traded of it."""

    @property
    def remaining_quantity(self) -> float:
        """What has not traded yet."""

    @property
    def average_price(self) -> float:
        """Average price of its fills; NaN before the first."""

    @property
    def status(self) -> str:
        """`working`, `filled` (all has traded) or `canceled` (it was taken back, or given up)."""

    @property
    def begun(self) -> Timestamp:
        """Instant at which it was given."""

    @property
    def orders(self) -> list[OrderHandle]:
        """The orders that the algorithm has sent so far."""

    def cancel(self) -> bool:
        """Take it back, with its orders at work; False when it is over.

        Raises
        ------
        EngineStateError
            Outside the callbacks of the run, or from another thread.
        """

@final
class OrderHandle:
    """Live view of an order: every attribute is read from the engine when asked for, also after the run.

    Handles of one order are equal; `int(handle)` is its id.
    """

    @property
    def id(self) -> int:
        """Number of the order in its run, from 1."""

    @property
    def client_order_id(self) -> str:
        """Id that a broker is given: the same in every run of one strategy on the same data."""

    @property
    def asset(self) -> str:
        """Symbol."""

    @property
    def side(self) -> Side:
        """Buy or sell."""

    @property
    def order_type(self) -> OrderType:
        """Kind."""

    @property
    def time_in_force(self) -> TimeInForce:
        """Lifetime."""

    @property
    def status(self) -> OrderStatus:
        """State."""

    @property
    def is_open(self) -> bool:
        """Whether the order can still change."""

    @property
    def pending(self) -> str | None:
        """`cancel` or `replace` while such a request is under way to the venue; None otherwise."""

    @property
    def quantity(self) -> float:
        """Units asked for, above zero; a split scales them."""

    @property
    def filled_quantity(self) -> float:
        """Units filled."""

    @property
    def leaves_quantity(self) -> float:
        """Units that can still fill."""

    @property
    def avg_fill_price(self) -> float | None:
        """Average price of the fills; None before the first."""

    @property
    def limit_price(self) -> float | None:
        """Limit price; None without one."""

    @property
    def stop_price(self) -> float | None:
        """Stop price; None without one."""

    @property
    def reason_code(self) -> str:
        """Code of the reason for its state, one of `reason_codes()`; empty where nothing is to explain."""

    @property
    def reason(self) -> str:
        """Sentence that explains its state, with the numbers that decided."""

    @property
    def tag(self) -> str:
        """Free text given with the order; the name of the rule for an order of a position rule."""

    @property
    def ts_submitted(self) -> Timestamp:
        """When it was sent."""

    def cancel(self) -> bool:
        """Ask to take the order back; False when it is complete already."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __int__(self) -> int: ...

@final
class Position:
    """A holding at the moment it was asked for; it does not change afterwards."""

    @property
    def symbol(self) -> str:
        """Symbol."""

    @property
    def quantity(self) -> float:
        """Units, negative for a short position."""

    @property
    def avg_price(self) -> float:
        """Average cost per unit, fees apart."""

    @property
    def mark_price(self) -> float:
        """Price at which it is valued."""

    @property
    def market_value(self) -> float:
        """Value at the mark, negative for a short position."""

    @property
    def unrealized_pnl(self) -> float:
        """Gain not yet taken, before fees."""

    @property
    def realized_pnl(self) -> float:
        """Gain taken so far on this instrument, before fees."""

# -- data ------------------------------------------------------------------------------------------------

@final
class PITData:
    """Market data and signals as known now, and nothing later.

    Iterating yields the symbols with an event at this instant, `symbol in view` asks for that, `len(view)`
    counts them; `view[symbol]` is the last known row of any instrument of the run. Any other attribute is a
    field of the feeds: `view.close` is an array over all instruments, in the order of `view.symbols`, with
    the last known value of each, NaN before its first row. Where several feeds have a field, the one that
    an instrument is matched against comes first; `"feed.field"` names one of another feed.

    A view handed to `on_data` is of that instant and raises `StaleViewError` afterwards; `strategy.data`
    always shows the present one.

    Raises
    ------
    UnknownNameError
        If the run does not know a symbol or a field; the nearest is named.
    StaleViewError
        If the view belongs to an earlier instant.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of all instruments of the run, sorted: the order of arrays over instruments."""

    @property
    def timestamp(self) -> Timestamp:
        """The present instant; before the first event there is none, which is an `EngineStateError`."""

    def __getitem__(self, symbol: str, /) -> Row: ...
    def __contains__(self, symbol: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]:
        """Return the symbols with an event at this instant, sorted."""

    def values(self) -> list[Row]:
        """Return the rows of the instruments with an event at this instant."""

    def items(self) -> list[tuple[str, Row]]:
        """Return symbol and row of the instruments with an event at this instant."""

    @overload
    def get(self, symbol: str, default: None = None) -> Row | None: ...
    @overload
    def get(self, symbol: str, default: _T) -> Row | _T:
        """Return the row of an instrument, or `default` when the run does not know the symbol."""

    @overload
    def history(
        self,
        fields: str,
        n: int,
        symbols: str | Iterable[str] | None = None,
        *,
        adjust: Literal["split", "total_return"] | None = None,
    ) -> _Floats: ...
    @overload
    def history(
        self,
        fields: list[str] | tuple[str, ...],
        n: int,
        symbols: str | Iterable[str] | None = None,
        *,
        adjust: Literal["split", "total_return"] | None = None,
    ) -> dict[str, _Floats]:
        """Return the last `n` known values, oldest first, with NaN in front where there are fewer.

        Parameters
        ----------
        fields : str, or list or tuple of str
            A field gives an array, several give a dict of arrays.
        n : int
            How many rows, at least 1. Each instrument counts its own.
        symbols : str or iterable of str, optional
            One symbol gives arrays of shape `(n,)`, several (all by default) `(n, len(symbols))`.
        adjust : {"split", "total_return"}, optional
            Bring past prices and volumes into the shares of now: with the splits between each row and now,
            and with `total_return` prices with dividends and spin-offs, too, by 1 - amount / the close
            before. None of those to come counts. Raw as the data are without it.

        Raises
        ------
        UnknownNameError
            If no instrument of the run has the field; those without it are NaN.
        ValueError
            If `n` is 0, or `adjust` another word.
        """

    def get_latest_bar(self, asset: str) -> Row | None:
        """Return the last known row of an instrument, or None before its first."""

    def get_latest_price(self, asset: str) -> float | None:
        """Return the last known close, print, or middle of the quote (its one side, if it has but one).

        None before the first.
        """

    def __getattr__(self, name: str, /) -> _Floats: ...

@final
class Row:
    """Last known row of one instrument: `row["close"]`, `row["signals"]["score"]`.

    Fields are those of all feeds of the instrument, as in `PITData`; they are NaN before the first row. A row
    belongs to its instant and raises `StaleViewError` afterwards: keep its values instead.
    """

    @property
    def symbol(self) -> str:
        """Symbol of the instrument."""

    @property
    def fresh(self) -> bool:
        """Whether the instrument has an event at this instant."""

    @property
    def age(self) -> dt.timedelta | None:
        """Time since the last row was complete; None before the first."""

    @property
    def ts_event(self) -> Timestamp | None:
        """When the last row was complete; None before the first."""

    @overload
    def __getitem__(self, field: Literal["signals"], /) -> SignalRow: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, field: str, /) -> float: ...
    @overload
    def get(self, field: Literal["signals"], default: object = None) -> SignalRow: ...  # type: ignore[overload-overlap]
    @overload
    def get(self, field: str, default: None = None) -> float | None: ...
    @overload
    def get(self, field: str, default: _T) -> float | _T:
        """Return the field, or `default` when no feed of the instrument has it."""

    def __contains__(self, field: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]:
        """Return the names of the fields."""

@final
class SignalRow:
    """Last known scores of one instrument by model id or column name; NaN before the first.

    `score` is the one that arrived last under any name, unless a model of that name exists.
    """

    def __getitem__(self, name: str, /) -> float: ...
    @overload
    def get(self, name: str, default: None = None) -> float | None: ...
    @overload
    def get(self, name: str, default: _T) -> float | _T:
        """Return the score, or `default` when the run has no signals of that name."""

    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]:
        """Return the names of the run's signals."""

@final
class Context:
    """Market-wide series by name, the last known value of each, and room for a strategy's own attributes.

    The same object is handed to `on_data` throughout a run and always shows the present instant.
    """

    def __getitem__(self, name: str, /) -> float: ...
    @overload
    def get(self, name: str, default: None = None) -> float | None: ...
    @overload
    def get(self, name: str, default: _T) -> float | _T:
        """Return the last known value, NaN before the first, or `default` when there is no such series."""

    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]:
        """Return the names of the series."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """What the strategy has stored, as `context.anything = value`."""

    def __getattr__(self, name: str, /) -> Any: ...  # noqa: ANN401 - whatever the strategy stored
    def __setattr__(self, name: str, value: object, /) -> None: ...

# -- events ----------------------------------------------------------------------------------------------

class Event:
    """Base class of what `on_event` and its relatives are told; events may be kept."""

    @property
    def asset(self) -> str:
        """Symbol of the instrument."""

    @property
    def timestamp(self) -> Timestamp:
        """When it happened."""

    @property
    def ts_event(self) -> int:
        """When it happened, in nanoseconds since 1970 UTC."""

@final
class MarketEvent(Event):
    """A completed bar, a quote or a trade print; its fields are attributes: `event.close`."""

    @property
    def kind(self) -> str:
        """`bar`, `quote` or `trade`."""

    @property
    def feed(self) -> str:
        """Name of the feed."""

    @property
    def bar(self) -> EventFields:
        """The values by field name."""

    @property
    def quote(self) -> EventFields:
        """The values by field name."""

    @property
    def trade(self) -> EventFields:
        """The values by field name."""

    @property
    def ts_open(self) -> int | None:
        """When a bar opened, in nanoseconds since 1970 UTC; None for quotes and trades."""

    @property
    def open(self) -> float:
        """Open of a bar; AttributeError for events without one."""

    @property
    def high(self) -> float:
        """High of a bar; AttributeError for events without one."""

    @property
    def low(self) -> float:
        """Low of a bar; AttributeError for events without one."""

    @property
    def close(self) -> float:
        """Close of a bar; AttributeError for events without one."""

    @property
    def volume(self) -> float:
        """Volume of a bar; AttributeError for events without one."""

    @property
    def price(self) -> float:
        """Price of a print; AttributeError for events without one."""

    @property
    def size(self) -> float:
        """Size of a print; AttributeError for events without one."""

    @property
    def bid_price(self) -> float:
        """Bid of a quote; AttributeError for events without one."""

    @property
    def ask_price(self) -> float:
        """Ask of a quote; AttributeError for events without one."""

    @property
    def bid_size(self) -> float:
        """Size at the bid of a quote; AttributeError for events without one."""

    @property
    def ask_size(self) -> float:
        """Size at the ask of a quote; AttributeError for events without one."""

    def __getattr__(self, name: str, /) -> float: ...

@final
class EventFields:
    """Values of one market event by field name."""

    def __getitem__(self, field: str, /) -> float: ...
    def __contains__(self, field: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]:
        """Return the names of the fields."""

@final
class SignalEvent(Event):
    """A prediction that has just become readable; `timestamp` is the instant it is about."""

    @property
    def score(self) -> float:
        """The prediction."""

    @property
    def confidence(self) -> float:
        """Confidence; NaN where not given."""

    @property
    def model_id(self) -> str:
        """Model that made it, or the column name of a wide frame."""

    @property
    def version(self) -> str:
        """Version of the model; empty where none is stated."""

    @property
    def ts_arrival(self) -> int:
        """When it became readable, in nanoseconds since 1970 UTC."""

@final
class FillEvent(Event):
    """An execution of an order."""

    @property
    def order(self) -> OrderHandle:
        """Live view of the order."""

    @property
    def order_id(self) -> int:
        """Id of the order."""

    @property
    def side(self) -> Side:
        """Buy or sell."""

    @property
    def quantity(self) -> float:
        """Units, above zero."""

    @property
    def price(self) -> float:
        """Price per unit, spread, slippage and impact included."""

    @property
    def reference_price(self) -> float:
        """Price that the market offered."""

    @property
    def fee(self) -> float:
        """Fee in money, negative for a rebate."""

    @property
    def liquidity(self) -> str:
        """`maker` or `taker`."""

    @property
    def phase(self) -> str:
        """Where it filled: `open`, `range` or `close` of a bar, `quote`, `trade`."""

@final
class OrderEvent(Event):
    """A change of an order's state."""

    @property
    def order(self) -> OrderHandle:
        """Live view of the order."""

    @property
    def order_id(self) -> int:
        """Id of the order."""

    @property
    def status(self) -> OrderStatus:
        """State after the change; that of `order` may be a later one."""

    @property
    def previous_status(self) -> OrderStatus:
        """State before the change."""

    @property
    def reason_code(self) -> str:
        """Code of the reason; empty where nothing is to explain."""

    @property
    def reason(self) -> str:
        """Sentence of the reason, with what the engine knows about it."""

@final
class MarginCallEvent:
    """A margin call, or what became of it; amounts are in the base currency."""

    @property
    def timestamp(self) -> Timestamp:
        """When it happened."""

    @property
    def ts_event(self) -> int:
        """When it happened, in nanoseconds since 1970 UTC."""

    @property
    def kind(self) -> str:
        """What equity does not reach: `maintenance`, `overnight`, or `liquidation_price`."""

    @property
    def status(self) -> str:
        """`warning`, `issued`, `met` or `liquidation`."""

    @property
    def equity(self) -> float:
        """What the account is worth, or what is left of a position that is closed at a price."""

    @property
    def requirement(self) -> float:
        """What is needed."""

    @property
    def amount(self) -> float:
        """What is missing."""

    @property
    def deadline(self) -> Timestamp | None:
        """Until when; None where nothing is called for."""

    @property
    def ts_deadline(self) -> int | None:
        """Until when, in nanoseconds since 1970 UTC."""

# -- indicators ------------------------------------------------------------------------------------------

@final
class SMA:
    """Simple moving average of the last `period` values.

    Raises
    ------
    ConfigError
        If `period` is 0.
    """

    def __new__(cls, period: int = 20) -> SMA: ...
    @property
    def value(self) -> float:
        """Last answer, NaN until it is warm."""

    @property
    def ready(self) -> bool:
        """Whether it has seen its full length."""

    def update(self, value: float) -> float:
        """Take the next value and return the indicator; a value that is not finite answers NaN, uncounted."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all of many values, one after the other, and return the indicator after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> SMA: ...
    def __deepcopy__(self, memo: object, /) -> SMA: ...

@final
class EMA:
    """Exponential moving average with the weight 2 / (period + 1) for the newest value.

    `seed="sma"` answers from the `period`-th value on, which is the plain average; `seed="first"` starts at
    the first value and answers at once, though `ready` waits for `period` values.

    Raises
    ------
    ConfigError
        If `period` is 0, or `seed` is neither of the two.
    """

    def __new__(cls, period: int = 20, seed: Literal["sma", "first"] = "sma") -> EMA: ...
    @property
    def value(self) -> float:
        """Last answer, NaN until it is warm."""

    @property
    def ready(self) -> bool:
        """Whether it has seen its full length."""

    def update(self, value: float) -> float:
        """Take the next value and return the indicator; a value that is not finite answers NaN, uncounted."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all of many values, one after the other, and return the indicator after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> EMA: ...
    def __deepcopy__(self, memo: object, /) -> EMA: ...

@final
class RSI:
    """Relative strength index, 0 to 100 (Wilder 1978); 50 where nothing moved.

    The first answer comes with value `period + 1`, for the first value has no change.

    Raises
    ------
    ConfigError
        If `period` is 0.
    """

    def __new__(cls, period: int = 14) -> RSI: ...
    @property
    def value(self) -> float:
        """Last answer, NaN until it is warm."""

    @property
    def ready(self) -> bool:
        """Whether it has seen its full length."""

    def update(self, value: float) -> float:
        """Take the next value and return the indicator; a value that is not finite answers NaN, uncounted."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all of many values, one after the other, and return the indicator after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> RSI: ...
    def __deepcopy__(self, memo: object, /) -> RSI: ...

@final
class RollingStd:
    """Standard deviation of the last `period` values; `ddof=1` divides by `period - 1`.

    Raises
    ------
    ConfigError
        If `period` is not above `ddof`.
    """

    def __new__(cls, period: int = 20, ddof: int = 1) -> RollingStd: ...
    @property
    def value(self) -> float:
        """Last answer, NaN until it is warm."""

    @property
    def ready(self) -> bool:
        """Whether it has seen its full length."""

    def update(self, value: float) -> float:
        """Take the next value and return the indicator; a value that is not finite answers NaN, uncounted."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all of many values, one after the other, and return the indicator after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> RollingStd: ...
    def __deepcopy__(self, memo: object, /) -> RollingStd: ...

@final
class ATR:
    """Average true range in price units (Wilder 1978); the first bar counts with high - low.

    Raises
    ------
    ConfigError
        If `period` is 0.
    """

    def __new__(cls, period: int = 14) -> ATR: ...
    @property
    def value(self) -> float:
        """Last answer, NaN until it is warm."""

    @property
    def ready(self) -> bool:
        """Whether it has seen its full length."""

    def update(self, high: float, low: float, close: float) -> float:
        """Take the next bar and return the indicator; one with a price that is not finite is not counted."""

    def over(self, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all bars of three arrays, one after the other, and return the indicator after each.

        Raises
        ------
        DataError
            If the arrays are not of one length.
        """

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> ATR: ...
    def __deepcopy__(self, memo: object, /) -> ATR: ...

@final
class MACD:
    """Moving average convergence/divergence of two exponential averages, and the average of that line.

    Raises
    ------
    ConfigError
        If a period is 0, `fast` is not below `slow`, or `seed` is not one of the two of `EMA`.
    """

    def __new__(
        cls, fast: int = 12, slow: int = 26, signal: int = 9, seed: Literal["sma", "first"] = "sma"
    ) -> MACD: ...
    @property
    def value(self) -> tuple[float, float, float]:
        """Last (line, signal, histogram), NaN until each is warm."""

    @property
    def ready(self) -> bool:
        """Whether the signal has its full length."""

    def update(self, value: float) -> tuple[float, float, float]:
        """Take the next value and return (line, signal, histogram), NaN until each is warm."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all values of an array, one after the other, and return a row of three after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> MACD: ...
    def __deepcopy__(self, memo: object, /) -> MACD: ...

@final
class Bollinger:
    """Bands of `width` standard deviations of the window (divided by `period`) around its mean.

    Raises
    ------
    ConfigError
        If `period` is 0 or `width` is not a number of zero or more.
    """

    def __new__(cls, period: int = 20, width: float = 2.0) -> Bollinger: ...
    @property
    def value(self) -> tuple[float, float, float]:
        """Last (lower, middle, upper), NaN until warm."""

    @property
    def ready(self) -> bool:
        """Whether the window is full."""

    def update(self, value: float) -> tuple[float, float, float]:
        """Take the next value and return (lower, middle, upper), NaN until warm."""

    def over(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take all values of an array, one after the other, and return a row of three after each."""

    def reset(self) -> None:
        """Forget everything."""

    def __copy__(self) -> Bollinger: ...
    def __deepcopy__(self, memo: object, /) -> Bollinger: ...

# -- the engine ------------------------------------------------------------------------------------------

@final
class Run:
    """One backtest: plan, state and rows, driven by callbacks.

    Parameters
    ----------
    spec : dict
        Description of the run as `ml4t.engine.compile.describe` writes it.

    Raises
    ------
    DataError, ConfigError, NumericOverflowError
        If the description is not usable.
    """

    def __new__(cls, spec: dict[str, Any]) -> Run: ...
    @property
    def broker(self) -> Broker:
        """The strategy's broker."""

    @property
    def data(self) -> PITData:
        """A view that always shows the present instant."""

    @property
    def now(self) -> int | None:
        """The present instant; None before the first."""

    def subscribe(
        self,
        assets: Sequence[str] | None = None,
        kind: str | None = None,
        interval_ns: int | None = None,
        model_id: str | None = None,
        *,
        every: int | None = None,
        every_ns: int | None = None,
        window_ns: int | None = None,
    ) -> None:
        """Restrict the typed events to some; without any subscription all are delivered.

        What is left out matches all; an interval is one of bars, and a model one of signals. Of what matches,
        `every` wants every so manieth event of an instrument, `every_ns` the first in each such period, and
        `window_ns` hands rows over together, at the end of each window.

        Raises
        ------
        EngineStateError
            If the run has begun.
        UnknownNameError
            If the run has no such instrument or no signals of that model.
        ConfigError
            If no feed has bars of that interval.
        """

    def track(self, prototype: object, fields: Sequence[str] | None = None) -> IndicatorColumn:
        """Keep an indicator up to date for every instrument, before the strategy is called.

        Raises
        ------
        ArgumentError
            If it is no indicator of ml4t.backtest.indicators.
        ConfigError
            If no feed has the fields, or there are not as many as it takes.
        EngineStateError
            If the run has begun.
        """

    def add_timers(self, times: Sequence[int], callback: Callable[[], object], name: str) -> None:
        """Call `callback` at each of `times`.

        Raises
        ------
        EngineStateError
            If one of them is not after the present instant.
        """

    def record(self, values: dict[str, float]) -> None:
        """Keep named numbers of this instant."""

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant."""

    def execute(
        self,
        handlers: dict[str, Callable[..., object]],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Run to the end of the data, once.

        Parameters
        ----------
        handlers : dict of str to callable
            What to call, by the name of the callback. Callbacks that are not named cost nothing.
        progress : callable, optional
            Called from time to time with the present instant.

        Raises
        ------
        Exception
            What a callback raises, with notes that tell where and when; tables can be read then as well.
        ModelError, NumericOverflowError
            If a model fails, or a number leaves its range.
        """

    def execute_kernel(
        self, model: object, capsule: object, progress: Callable[[int], object] | None = None
    ) -> None:
        """Run a strategy kernel to the end of the data, without the interpreter.

        Raises
        ------
        ModelError
            If the capsule holds no strategy kernel that this engine can use, or the kernel answers an error.
        ConfigError, UnknownNameError
            If a column that it wants stands for two, or is not there.
        """

    def execute_table(
        self, description: Mapping[str, Any], progress: Callable[[int], object] | None = None
    ) -> None:
        """Run a table that trades to the end of the data, without the interpreter; see `ml4t.backtest.front`.

        Raises
        ------
        UnknownNameError
            If a signal that it reads is not there.
        """

    def tables(self) -> dict[str, Table]:
        """Return all tables so far, by the names of `ml4t.core.schemas.TABLES`."""

    def counts(self) -> dict[str, Any]:
        """Return the size of the run: `rows` of input, `orders`, `fills`, `table_bytes` and `spilled_bytes`.

        The last two are what orders and tables take in memory, and outside of it; `has_room` is False where
        something should have gone outside and could not. `waiting_rolls` are those that wait for settlement
        prices: the symbols of both contracts, and since when.
        """

    def column_address(self, feed: str, column: str) -> int:
        """Return the address of a column's values: equal to the producer's where no copy was made."""

@final
class Table:
    """Rows of a run, read through the Arrow C stream interface: `polars.DataFrame(table)`."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a capsule named `arrow_array_stream`; a requested schema is not followed."""

    def __len__(self) -> int: ...

def performance(
    returns: _Floats,
    *,
    benchmark: _Floats | None = None,
    risk_free: float = 0.0,
    periods_per_year: float = 252.0,
) -> dict[str, float]:
    """Compute statistics of a series of simple returns.

    Parameters
    ----------
    returns : array of float64
        One return a period.
    benchmark : array of float64, optional
        Returns of the same periods; without it the statistics that need one are NaN.
    risk_free : float
        Return per period that ratios take off.
    periods_per_year : float
        For what is stated per year.

    Returns
    -------
    dict of str to float
        By name. An empty series gives NaN, one return what one return can tell.

    Raises
    ------
    DataError
        If a return is not finite, or the benchmark has another length.
    ConfigError
        If `periods_per_year` is not above 0 or `risk_free` is not finite.
    """

def rolling_performance(
    returns: _Floats, window: int, *, risk_free: float = 0.0, periods_per_year: float = 252.0
) -> list[_Floats]:
    """Compute annual volatility and Sharpe ratio over each window of so many returns, as `performance`.

    Returns
    -------
    list of two arrays of float64
        One value a window; empty where there is no whole window.

    Raises
    ------
    DataError
        If a return is not finite.
    ConfigError
        If `periods_per_year` is not above 0 or `risk_free` is not finite.
    """

def native_table(model: object, capsule: object, kind: int) -> tuple[str, tuple[int, int]]:
    """Check the table of a model's capsule as a run would.

    Returns
    -------
    tuple of str and of two int
        Name of the model, and the version of the native interface that it was built for.

    Raises
    ------
    ModelError
        If the capsule holds no table that this engine can use.
    """

def ask_slippage(description: dict[str, Any], calls: int) -> float:
    """Ask a slippage model about `calls` contexts, the same for every model, and return the sum."""

def math_functions() -> dict[str, int]:
    """Return the addresses of `exp`, `log` (of one double) and `pow` (of two): the same bits anywhere."""

def reason_codes() -> list[tuple[str, str]]:
    """Return every reason code of an order with its sentence."""

@final
class IndicatorColumn:
    """An indicator that the run keeps up to date for every instrument; it shows the present instant."""

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Last answers over `data.symbols`, NaN until warm: read-only, and the same array all the time.

        Raises
        ------
        AttributeError
            If the indicator has several outputs: each is an attribute by its name, such as `line`.
        """

    def __getattr__(self, name: str) -> npt.NDArray[np.float64]: ...
    def __getitem__(self, symbol: str) -> float | tuple[float, float, float]: ...

@final
class MicroBatch:
    """Rows of one feed that became readable within a window of time, as read-only arrays by field."""

    @property
    def kind(self) -> str:
        """`bar`, `quote` or `trade`."""

    @property
    def feed(self) -> str:
        """Name of the feed."""

    @property
    def timestamp(self) -> Timestamp:
        """The present instant: the end of the window."""

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """When each row was complete, in nanoseconds since 1970 UTC."""

    @property
    def assets(self) -> npt.NDArray[np.uint32]:
        """Instrument of each row, as its place in `data.symbols`."""

    def keys(self) -> list[str]:
        """Names of the fields."""

    def __getitem__(self, field: str) -> npt.NDArray[np.float64]: ...
    def __getattr__(self, name: str) -> npt.NDArray[np.float64]: ...
    def __len__(self) -> int: ...
