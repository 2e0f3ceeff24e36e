"""What the callbacks of a strategy are told: abstract classes that every engine's events belong to.

They make `isinstance(event, FillEvent)` mean the same in every engine. An event holds values and may be kept.
"""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

from ml4t.core.sources import OrderHandle
from ml4t.core.types import OrderStatus, Side

__all__ = ["Event", "FillEvent", "MarginCallEvent", "MarketEvent", "MicroBatch", "OrderEvent", "SignalEvent"]


class Event(ABC):
    """Base class of all events."""

    __slots__ = ()

    #: Symbol of the instrument.
    asset: str
    #: When it happened: an instant that compares with aware datetimes. For a late row or a signal that is
    #: before the instant at which it is told.
    timestamp: Any
    #: When it happened, in nanoseconds since 1970 UTC.
    ts_event: int


class MarketEvent(Event):
    """A completed bar, a quote or a trade print; its fields are attributes: `event.close`."""

    __slots__ = ()

    #: `bar`, `quote` or `trade`.
    kind: str
    #: Name of the feed.
    feed: str
    #: The values by field name; `quote` and `trade` are the same.
    bar: Any
    #: The values by field name.
    quote: Any
    #: The values by field name.
    trade: Any

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> float: ...


class MicroBatch(ABC):
    """Rows of one feed that became readable within a window of time, as read-only arrays by field."""

    __slots__ = ()

    #: `bar`, `quote` or `trade`.
    kind: str
    #: Name of the feed.
    feed: str
    #: The present instant: the end of the window, or of the data.
    timestamp: Any
    #: When each row was complete, in nanoseconds since 1970 UTC.
    times: Any
    #: Instrument of each row, as its place in `data.symbols`.
    assets: Any

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 - an array, as `batch[name]`
        def __len__(self) -> int: ...


class SignalEvent(Event):
    """A prediction that has just become readable."""

    __slots__ = ()

    #: The prediction.
    score: float
    #: Confidence; NaN where not given.
    confidence: float
    #: Model that made it, or the column name of a wide frame.
    model_id: str
    #: Version of the model; empty where none is stated.
    version: str
    #: When it became readable, in nanoseconds since 1970 UTC.
    ts_arrival: int


class FillEvent(Event):
    """An execution of an order."""

    __slots__ = ()

    #: Live view of the order.
    order: OrderHandle
    #: Id of the order.
    order_id: int
    #: Buy or sell.
    side: Side
    #: Units, above zero.
    quantity: float
    #: Price per unit, spread, slippage and impact included.
    price: float
    #: Price that the market offered.
    reference_price: float
    #: Money, negative for a rebate.
    fee: float
    #: `maker` or `taker`.
    liquidity: str
    #: Where it filled: `open`, `range` or `close` of a bar, `quote`, `trade`.
    phase: str


class OrderEvent(Event):
    """A change of an order's state; the state of `order` may be a later one."""

    __slots__ = ()

    #: Live view of the order.
    order: OrderHandle
    #: Id of the order.
    order_id: int
    #: State after the change.
    status: OrderStatus
    #: State before the change.
    previous_status: OrderStatus
    #: Code of the reason; empty where nothing is to explain.
    reason_code: str
    #: Sentence of the reason, with what the engine knows about it.
    reason: str


class MarginCallEvent(ABC):
    """A margin call, or what became of it; amounts are in the base currency."""

    __slots__ = ()

    #: When it happened: an instant that compares with aware datetimes.
    timestamp: Any
    #: When it happened, in nanoseconds since 1970 UTC.
    ts_event: int
    #: What equity does not reach: `maintenance`, `overnight`, or `liquidation_price`.
    kind: str
    #: `warning`, `issued`, `met` or `liquidation`.
    status: str
    #: What the account is worth, or what is left of a position that is closed at a price.
    equity: float
    #: What is needed.
    requirement: float
    #: What is missing.
    amount: float
    #: Until when, as `timestamp`; None where nothing is called for.
    deadline: Any
    #: The same in nanoseconds since 1970 UTC.
    ts_deadline: int | None
