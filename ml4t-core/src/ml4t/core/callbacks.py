"""What the callbacks of a strategy are told: abstract classes that every engine's events belong to.

They make `isinstance(event, FillEvent)` mean the same in every engine. An event holds values and may be kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ml4t.core.sources import OrderHandle
from ml4t.core.types import OrderStatus, Side

__all__ = ["Event", "FillEvent", "MarketEvent", "OrderEvent", "SignalEvent"]


class Event(ABC):
    """Base class of all events."""

    __slots__ = ()

    @property
    @abstractmethod
    def asset(self) -> str:
        """Symbol of the instrument."""

    @property
    @abstractmethod
    def timestamp(self) -> Any:  # noqa: ANN401 - each engine has a class of its own
        """When it happened: an instant that compares with aware datetimes.

        For a late row or a signal that is before the instant at which it is told.
        """

    @property
    @abstractmethod
    def ts_event(self) -> int:
        """When it happened, in nanoseconds since 1970 UTC."""


class MarketEvent(Event):
    """A completed bar, a quote or a trade print; its fields are attributes: `event.close`."""

    __slots__ = ()

    @property
    @abstractmethod
    def kind(self) -> str:
        """`bar`, `quote` or `trade`."""

    @property
    @abstractmethod
    def feed(self) -> str:
        """Name of the feed."""

    @property
    @abstractmethod
    def bar(self) -> Any:  # noqa: ANN401 - a mapping of the engine's own
        """The values by field name; `quote` and `trade` are the same."""

    @property
    @abstractmethod
    def quote(self) -> Any:  # noqa: ANN401
        """The values by field name."""

    @property
    @abstractmethod
    def trade(self) -> Any:  # noqa: ANN401
        """The values by field name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> float: ...


class SignalEvent(Event):
    """A prediction that has just become readable."""

    __slots__ = ()

    @property
    @abstractmethod
    def score(self) -> float:
        """The prediction."""

    @property
    @abstractmethod
    def confidence(self) -> float:
        """Confidence; NaN where not given."""

    @property
    @abstractmethod
    def model_id(self) -> str:
        """Model that made it, or the column name of a wide frame."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of the model; empty where none is stated."""

    @property
    @abstractmethod
    def ts_arrival(self) -> int:
        """When it became readable, in nanoseconds since 1970 UTC."""


class FillEvent(Event):
    """An execution of an order."""

    __slots__ = ()

    @property
    @abstractmethod
    def order(self) -> OrderHandle:
        """Live view of the order."""

    @property
    @abstractmethod
    def order_id(self) -> int:
        """Id of the order."""

    @property
    @abstractmethod
    def side(self) -> Side:
        """Buy or sell."""

    @property
    @abstractmethod
    def quantity(self) -> float:
        """Units, above zero."""

    @property
    @abstractmethod
    def price(self) -> float:
        """Price per unit, spread, slippage and impact included."""

    @property
    @abstractmethod
    def reference_price(self) -> float:
        """Price that the market offered."""

    @property
    @abstractmethod
    def fee(self) -> float:
        """Money, negative for a rebate."""

    @property
    @abstractmethod
    def liquidity(self) -> str:
        """`maker` or `taker`."""

    @property
    @abstractmethod
    def phase(self) -> str:
        """Where it filled: `open`, `range` or `close` of a bar, `quote`, `trade`."""


class OrderEvent(Event):
    """A change of an order's state; the state of `order` may be a later one."""

    __slots__ = ()

    @property
    @abstractmethod
    def order(self) -> OrderHandle:
        """Live view of the order."""

    @property
    @abstractmethod
    def order_id(self) -> int:
        """Id of the order."""

    @property
    @abstractmethod
    def status(self) -> OrderStatus:
        """State after the change."""

    @property
    @abstractmethod
    def previous_status(self) -> OrderStatus:
        """State before the change."""

    @property
    @abstractmethod
    def reason_code(self) -> str:
        """Code of the reason; empty where nothing is to explain."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Sentence of the reason, with what the engine knows about it."""
