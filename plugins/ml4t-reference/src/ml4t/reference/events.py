"""What typed callbacks are told: market rows, signals, fills and changes of orders.

An event holds values, not a view: it may be kept for as long as a strategy likes. `timestamp` is when the
thing happened, which for a row that was published late lies before the instant at which it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, final

import attrs

from ml4t.core import callbacks
from ml4t.core.errors import unknown_name
from ml4t.core.types import OrderStatus, Side
from ml4t.reference.plan import Feed, Plan
from ml4t.reference.timestamp import Timestamp, text_of

__all__ = ["Event", "EventFields", "FillEvent", "MarginCallEvent", "MarketEvent", "OrderEvent", "SignalEvent"]
__all__ += ["as_name", "market_event", "number_text", "signal_event"]


def number_text(value: float) -> str:
    """Write a float with all its digits, without an exponent and without a useless `.0`."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")


@attrs.frozen(kw_only=True, eq=False)
class Event(callbacks.Event):
    """Base class of all events."""

    asset: str  #: symbol of the instrument
    ts_event: int  #: when it happened, ns since 1970 UTC

    @property
    def timestamp(self) -> Timestamp:
        """When it happened."""
        return Timestamp(self.ts_event)


@final
class EventFields:
    """Values of one market event by field name."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def __getitem__(self, field: str) -> float:
        if as_name(field, "a field") not in self._values:
            raise unknown_name("field", field, self._values)  # noqa: EM101
        return self._values[field]

    def __contains__(self, field: str) -> bool:
        return as_name(field, "a field") in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """Return the names of the fields: those of the kind, then the features."""
        return list(self._values)


@final
@attrs.frozen(kw_only=True, eq=False, repr=False)
class MarketEvent(Event, callbacks.MarketEvent):
    """A completed bar, a quote or a trade print; its fields are attributes: `event.close`."""

    kind: str  #: `bar`, `quote` or `trade`
    feed: str  #: name of the feed
    ts_open: int | None  #: when a bar opened; None for quotes and trades
    # Private, so that a feature may have any name.
    _values: Mapping[str, float] = attrs.field(alias="values")

    @property
    def bar(self) -> EventFields:
        """The values by field name."""
        return EventFields(self._values)

    @property
    def quote(self) -> EventFields:
        """The values by field name."""
        return EventFields(self._values)

    @property
    def trade(self) -> EventFields:
        """The values by field name."""
        return EventFields(self._values)

    def __getattr__(self, name: str) -> float:
        """Return the field of that name."""
        values: Mapping[str, float] = object.__getattribute__(self, "_values")
        if name not in values:
            message = f'the event has no field "{name}"'
            raise AttributeError(message, name=name, obj=self)
        return values[name]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={number_text(value)}" for name, value in self._values.items())
        return f"MarketEvent({self.asset}, {text_of(self.ts_event)}, {values})"


@final
@attrs.frozen(kw_only=True, eq=False)
class SignalEvent(Event, callbacks.SignalEvent):
    """A prediction that has just become readable; `timestamp` is the instant it is about."""

    ts_arrival: int  #: when it became readable, ns since 1970 UTC
    model_id: str  #: model that made it, or the column name of a wide frame
    version: str  #: version of the model; empty where none is stated
    score: float  #: the prediction
    confidence: float  #: NaN where not given


@final
@attrs.frozen(kw_only=True, eq=False)
class FillEvent(Event, callbacks.FillEvent):
    """An execution of an order."""

    order: Any  #: live view of the order
    order_id: int
    side: Side
    quantity: float  #: units, above zero
    price: float  #: per unit, spread, slippage and impact included
    reference_price: float  #: what the market offered
    fee: float  #: money, negative for a rebate
    liquidity: str  #: `maker` or `taker`
    phase: str  #: where it filled: `open`, `range` or `close` of a bar, `quote`, `trade`


@final
@attrs.frozen(kw_only=True, eq=False)
class OrderEvent(Event, callbacks.OrderEvent):
    """A change of an order's state; the state of `order` may be a later one."""

    order: Any  #: live view of the order
    order_id: int
    status: OrderStatus  #: after the change
    previous_status: OrderStatus  #: before the change
    reason_code: str  #: empty where nothing is to explain
    reason: str  #: its sentence


@final
@attrs.frozen(kw_only=True, eq=False)
class MarginCallEvent(callbacks.MarginCallEvent):
    """A margin call, or what became of it; amounts are in the base currency."""

    ts_event: int  #: when it happened, ns since 1970 UTC
    kind: str  #: `maintenance`, `overnight` or `liquidation_price`
    status: str  #: `warning`, `issued`, `met` or `liquidation`
    equity: float  #: what the account is worth, or what is left of a position that is closed at a price
    requirement: float  #: what is needed
    amount: float  #: what is missing
    ts_deadline: int | None  #: until when, ns since 1970 UTC; None where nothing is called for

    @property
    def timestamp(self) -> Timestamp:
        """When it happened."""
        return Timestamp(self.ts_event)

    @property
    def deadline(self) -> Timestamp | None:
        """Until when; None where nothing is called for."""
        return None if self.ts_deadline is None else Timestamp(self.ts_deadline)


def market_event(plan: Plan, feed: Feed, row: int) -> MarketEvent:
    """Tell of a row of a feed that has just become readable."""
    columns = feed.columns
    return MarketEvent(
        asset=plan.symbols[columns["instrument"][row]],
        ts_event=columns["ts_event"][row],
        kind=feed.kind.value,
        feed=feed.name,
        ts_open=columns["ts_open"][row] if "ts_open" in columns else None,
        values={name: columns[name][row] for name in feed.fields},
    )


def signal_event(plan: Plan, row: int) -> SignalEvent:
    """Tell of a signal that has just become readable."""
    signals = plan.signals
    if signals is None:
        message = "a run without signals has no events of signals"
        raise AssertionError(message)
    columns = signals.columns
    return SignalEvent(
        asset=plan.symbols[columns["instrument"][row]],
        ts_event=columns["ts_event"][row],
        ts_arrival=columns["ts_arrival"][row],
        model_id=signals.names[columns["name"][row]],
        version=signals.versions[columns["version"][row]],
        score=columns["score"][row],
        confidence=columns["confidence"][row],
    )


def as_name(key: object, what: str) -> str:
    """Return the key of a mapping of names; one that is no text is a `TypeError`, not an unknown name."""
    if not isinstance(key, str):
        message = f"{what} is a str, found {key!r}"
        raise TypeError(message)
    return key
