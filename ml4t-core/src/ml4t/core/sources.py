"""What feeds an engine, what a strategy talks to, and what an engine offers to who drives it.

`DataFeed` and `SignalSource` are base classes for feeds written in Python. `Broker`, `MarketView` and
`Calendar` are protocols: a backtest, a paper account and a live account offer the same methods. `EngineRun`
is the protocol of what runs a backtest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Unpack, overload

from ml4t.core.types import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np

    from ml4t.core.account import Position
    from ml4t.core.events import Bar, Quote, Signal, TradeTick

    Number = int | float | str | Decimal
    Column = np.ndarray[Any, np.dtype[np.float64]]

__all__ = ["Broker", "Calendar", "DataFeed", "EngineRun", "MarketView", "SignalSource"]

# The engine's live view of one order; methods that take an order accept it or its id.
OrderHandle = Any


class DataFeed(ABC):
    """A source of market events, one at a time and in time order."""

    @abstractmethod
    def get_next_event(self) -> Bar | Quote | TradeTick | None:
        """Return the next event, or None when there are no more."""


class SignalSource(ABC):
    """A source of predictions, one at a time and in the order of their arrival."""

    @abstractmethod
    def get_next_event(self) -> Signal | None:
        """Return the next signal, or None when there are no more."""


class TargetTerms(TypedDict, total=False):
    """What the orders that reach a target may say."""

    time_in_force: TimeInForce | str | None
    tag: str | None


class OrderTerms(TargetTerms, total=False):
    """What an order may say beside what, how much and at which prices; see `docs/concepts/order-types.md`."""

    trail_amount: Number  #: distance of a trailing stop from its water mark, in units of price
    trail_fraction: Number  #: the same as a fraction of the water mark
    limit_offset: Number  #: distance of a trailing stop-limit's limit behind its stop
    activation_price: Number  #: a trailing stop does nothing until the market has reached it
    expire_at: datetime | date | str  #: end of a `gtd` order; a date is the close of that session
    post_only: bool  #: only ever make
    reduce_only: bool  #: only ever close what is held
    all_or_none: bool  #: fill all that is open of it or nothing
    adjust_for_dividend: bool  #: follow what shares pay out, where it waits below the market
    display_quantity: Number  #: what a resting limit shows on quotes and prints
    lot: OrderHandle  #: the order that opened the lots to close first
    parent: OrderHandle  #: the order that has to fill first
    oco: OrderHandle  #: an order of the group in which one cancels the other
    ouo: OrderHandle  #: an order of the group in which one updates the other


class PricedTerms(OrderTerms, total=False):
    """`OrderTerms` with type and prices; without a type the prices say which."""

    order_type: OrderType | str | None
    limit_price: Number | None
    stop_price: Number | None


class OrderChanges(TypedDict, total=False):
    """What `modify_order` may change."""

    quantity: Number
    limit_price: Number
    stop_price: Number
    trail_amount: Number
    trail_fraction: Number
    limit_offset: Number
    expire_at: datetime | date | str


class Broker(Protocol):
    """Where orders go and where the account is read; amounts are in the base currency of the run."""

    @property
    def positions(self) -> Mapping[str, Position]:
        """Positions that are not flat."""

    @property
    def buying_power(self) -> float:
        """What may still be spent on new positions."""

    @property
    def open_orders(self) -> Sequence[OrderHandle]:
        """Orders that can still change."""

    @property
    def rejected_orders(self) -> Sequence[OrderHandle]:
        """Orders refused so far, with their reasons."""

    def submit_order(
        self,
        asset: str,
        quantity: Number,
        side: Side | str | None = None,
        order_type: OrderType | str | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        **terms: Unpack[OrderTerms],
    ) -> OrderHandle:
        """Send an order; without a side the sign of the quantity tells the direction."""

    def buy(self, asset: str, quantity: Number, **terms: Unpack[PricedTerms]) -> OrderHandle:
        """Send a buy order; without a type the given prices say which."""

    def sell(self, asset: str, quantity: Number, **terms: Unpack[PricedTerms]) -> OrderHandle:
        """Send a sell order; without a type the given prices say which."""

    def bracket(
        self,
        entry: OrderHandle,
        *,
        limit_price: Number,
        stop_price: Number | None = None,
        trail_amount: Number | None = None,
        trail_fraction: Number | None = None,
        time_in_force: TimeInForce | str | None = None,
    ) -> tuple[OrderHandle, OrderHandle]:
        """Send a stop and a target that wait for `entry` and cancel each other; return their handles."""

    def execute(self, asset: str, quantity: Number, algorithm: object, *, tag: str | None = None) -> object:
        """Let an execution algorithm work a signed quantity; return a live view of the worked order."""

    def modify_order(self, order: OrderHandle, **changes: Unpack[OrderChanges]) -> bool:
        """Ask for another total quantity or other prices; False when the order was already closed."""

    def cancel_order(self, order: OrderHandle) -> bool:
        """Ask to cancel; False when the order was already closed."""

    def get_order(self, order: OrderHandle) -> OrderHandle:
        """Return the live view of an order."""

    def get_position(self, asset: str) -> Position | None:
        """Return the position of one instrument, or None when nothing is held."""

    def get_cash(self, currency: str | None = None, *, settled: bool = False) -> float:
        """Return cash at hand, or settled cash: of all currencies in the base currency, or of one alone."""

    def convert(self, currency: str, amount: Number) -> int:
        """Buy an amount of a foreign currency for the base currency, or sell it; return its number."""

    def get_account_value(self) -> float:
        """Return equity: cash, receivables, and positions at their marks."""

    def order_target_percent(
        self, asset: str, percent: Number, **terms: Unpack[TargetTerms]
    ) -> OrderHandle | None:
        """Trade towards a fraction of equity: 0.5 is half of it. None when there is nothing to trade."""

    def order_target_value(
        self, asset: str, value: Number, **terms: Unpack[TargetTerms]
    ) -> OrderHandle | None:
        """Trade towards a market value."""

    def order_target_quantity(
        self, asset: str, quantity: Number, **terms: Unpack[TargetTerms]
    ) -> OrderHandle | None:
        """Trade towards a number of units."""

    def order_target_weights(
        self, weights: Mapping[str, Number], *, keep_others: bool = False, **terms: Unpack[TargetTerms]
    ) -> Sequence[OrderHandle]:
        """Trade a basket towards fractions of equity, sells first; closes the rest unless `keep_others`."""

    def close_position(self, asset: str, **terms: Unpack[TargetTerms]) -> OrderHandle | None:
        """Trade towards zero units."""


Symbols = str | Iterable[str] | None
Adjust = Literal["split", "total_return"] | None


class MarketView(Protocol):
    """What is known now; a view kept beyond its instant raises `StaleViewError`."""

    @property
    def timestamp(self) -> Any:  # noqa: ANN401
        """The present instant: reads like a `datetime` in UTC, and has nanoseconds."""

    @property
    def symbols(self) -> Sequence[str]:
        """Symbols of all instruments of the run."""

    def __getitem__(self, symbol: str) -> Any:  # noqa: ANN401
        """Last known row of an instrument; an unknown symbol raises `UnknownNameError`."""

    def __iter__(self) -> Iterator[str]:
        """Symbols with an event at this instant."""

    def __contains__(self, symbol: object) -> bool:
        """Whether the symbol has an event at this instant."""

    @overload
    def history(self, fields: str, n: int, symbols: Symbols = None, *, adjust: Adjust = None) -> Column: ...
    @overload
    def history(
        self, fields: list[str] | tuple[str, ...], n: int, symbols: Symbols = None, *, adjust: Adjust = None
    ) -> dict[str, Column]: ...
    def history(self, fields: Any, n: int, symbols: Any = None, *, adjust: Adjust = None) -> Any:
        """Return the last `n` known values, oldest first, NaN in front; a dict for several fields.

        `adjust` ("split", "total_return") brings past prices and volumes into the shares of now.
        """

    def get_latest_bar(self, asset: str) -> Any:  # noqa: ANN401
        """Return the last completed bar, or None before the first."""

    def get_latest_price(self, asset: str) -> float | None:
        """Return the last known price, or None before the first."""


class Calendar(Protocol):
    """Trading sessions of a venue: its name, and the IANA zone in which its dates are meant."""

    name: str
    timezone: str

    def sessions(self, start: date, end: date) -> Sequence[tuple[date, int, int]]:
        """Return (date, open, close) of every session from `start` to `end` inclusive, in ns UTC."""


class EngineRun(Protocol):
    """One backtest in an engine, made of its description (a nested mapping) and driven by callbacks.

    What `EngineSpec` targets. Orders, account and data are the engine's; who drives it keeps none of them.
    """

    @property
    def broker(self) -> Broker:
        """Orders and account of the strategy."""

    @property
    def data(self) -> MarketView:
        """A view that always shows the present instant."""

    @property
    def now(self) -> int | None:
        """The present instant, ns UTC; None before the first."""

    def subscribe(
        self,
        assets: Sequence[str] | None = None,
        kind: str | None = None,
        interval_ns: int | None = None,
        model_id: str | None = None,
        **counts: int | None,
    ) -> None:
        """Restrict the typed events to some; `Strategy.subscribe` says what the parts mean.

        `counts` are `every` (a number of events), `every_ns` and `window_ns`.
        """

    def track(self, prototype: object, fields: Sequence[str] | None = None) -> Any:  # noqa: ANN401
        """Keep an indicator up to date for every instrument, and show it by symbol and as an array."""

    def add_timers(self, times: Sequence[int], callback: Callable[[], object], name: str) -> None:
        """Call back at each of the instants, ns UTC."""

    def record(self, values: dict[str, float]) -> None:
        """Keep named numbers of this instant."""

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant."""

    def execute(
        self,
        handlers: dict[str, Callable[..., object]],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Run to the end of the data, once; `handlers` are the callbacks by name."""

    def tables(self) -> Mapping[str, Any]:
        """Return every table of `ml4t.core.schemas.TABLES`, each with `__arrow_c_stream__`."""

    def counts(self) -> dict[str, int]:
        """Return the size of the run: `rows` of input, `orders`, `fills`."""
