"""Orders: what is asked for, the states an order passes through, and the rows that tell of them.

    CREATED -> SUBMITTED -> ACCEPTED -> PARTIALLY_FILLED* -> FILLED | CANCELED | REJECTED | EXPIRED

A refusal can come at intake, or at a fill that the account cannot carry. An order that has fills is canceled
instead, so that a rejected order never moved money. Every transition is a row with its time and its reason.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.plan import Instrument

__all__ = ["REASONS", "Fill", "Order", "OrderBook", "Transition", "is_up", "passive"]

# Sentences of the codes; where more is known, that is written instead.
REASONS = {
    "": "",
    "CANCELED_BY_REQUEST": "canceled on request",
    "SESSION_CLOSED": "a day order expires at the close of its session",
    "END_OF_DATA": "still working when the data ended",
    "INSUFFICIENT_CASH": "the account cannot pay for the fill",
    "SCALED_TO_NOTHING": "a corporate action left less than one lot of the order",
    "POSITION_CLOSED": "the position that the rule guarded was closed or turned",
}

_NEXT = {
    OrderStatus.CREATED: {OrderStatus.SUBMITTED},
    OrderStatus.SUBMITTED: {OrderStatus.ACCEPTED, OrderStatus.REJECTED},
    OrderStatus.ACCEPTED: {
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    },
    OrderStatus.PARTIALLY_FILLED: {
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
    },
}


@attrs.define(eq=False, kw_only=True)
class Order:
    """An order and its state; prices and quantities are units of its instrument.

    Numbers with more decimals than the instrument keeps are possible until intake, which refuses them.
    """

    id: int
    instrument: Instrument
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Fraction
    limit_price: Fraction | None = None
    stop_price: Fraction | None = None
    tag: str = ""
    rule: str | None = None  #: kind of the position rule that keeps this order
    ts_submitted: int

    status: OrderStatus = OrderStatus.CREATED
    filled: int = 0
    filled_value: int = 0  #: sum of price x quantity of its fills
    filled_notional: int = 0  #: cash units of its fills
    fees: int = 0  #: cash units charged so far
    ts_accepted: int | None = None
    ts_closed: int | None = None
    reason_code: str = ""
    reason: str = ""
    refusal: tuple[str, str] | None = None  #: why it cannot be decided at all, known when it was sent

    active_from: int = 0  #: when it reaches the venue
    expires: int | None = None  #: when its session closes, for an order of the day
    cancel_at: int | None = None  #: when a cancel that is under way reaches the venue
    reserve_price: Fraction | None = None  #: at which buying power was set aside for it
    triggered: bool = False  #: a stop that has been reached
    resting: bool = False  #: a limit that the market made wait, by its price or for want of volume
    end_pending: tuple[OrderStatus, str] | None = None  #: how it ends once the fill of its open is booked
    decided: int | None = None  #: `ts_event` of a bar whose open decided it, and that books it when complete
    skips_bar: int | None = None  #: `ts_event` of a bar whose range cannot fill it
    market_at_birth: int | None = None  #: where the market stood when a fill placed this order of a rule

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return self.side.sign

    @property
    def leaves(self) -> int:
        """Units that can still fill."""
        return 0 if self.status.is_closed else int(self.quantity) - self.filled

    @property
    def is_open(self) -> bool:
        """Whether the order can still change."""
        return not self.status.is_closed

    @property
    def is_working(self) -> bool:
        """Whether the venue has accepted the order and it can still fill."""
        return self.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)

    @property
    def acts_as_limit(self) -> bool:
        """Whether its limit decides now: a limit order, or a stop-limit order that was triggered."""
        return self.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def waits_for_stop(self) -> bool:
        """Whether its stop has not been reached yet."""
        return self.order_type in (OrderType.STOP, OrderType.STOP_LIMIT) and not self.triggered

    @property
    def average(self) -> Fraction | None:
        """Average price of its fills."""
        return None if self.filled == 0 else Fraction(self.filled_value, self.filled)


@attrs.frozen(kw_only=True)
class Transition:
    """A row of `order_events`, and what `on_order` is told."""

    sequence: int
    ts: int
    order: Order
    before: OrderStatus
    after: OrderStatus
    reason_code: str
    filled: int


@attrs.frozen(kw_only=True)
class Fill:
    """An execution: `price` is `reference` plus side x (`spread` + `slippage`), all in price units."""

    id: int
    order: Order
    ts: int
    quantity: int
    price: int
    reference: int
    spread: int
    slippage: int
    fee: int  #: cash units
    notional: int  #: cash units
    liquidity: str
    phase: str


@attrs.define
class OrderBook:
    """All orders of a run by their numbers, and their transitions in sequence."""

    orders: list[Order] = attrs.field(factory=list)
    transitions: list[Transition] = attrs.field(factory=list)
    fills: list[Fill] = attrs.field(factory=list)
    untold: list[Transition | Fill] = attrs.field(factory=list)  #: what the strategy has not been told yet

    def working(self) -> list[Order]:
        """Return the orders that the venue has, by submission."""
        return [order for order in self.orders if order.is_working]

    def open(self) -> list[Order]:
        """Return the orders that can still change, by submission."""
        return [order for order in self.orders if order.is_open]

    def move(self, order: Order, after: OrderStatus, now: int, code: str = "", reason: str = "") -> None:
        """Take an order to its next state and write that down."""
        before = order.status
        assert after in _NEXT[before], f"order {order.id} cannot go from {before.value} to {after.value}"
        order.status = after
        if after is OrderStatus.ACCEPTED:
            order.ts_accepted = now
        if after.is_closed:
            order.ts_closed = now
            order.reason_code = code
            order.reason = reason or REASONS[code]
        transition = Transition(
            sequence=len(self.transitions) + 1,
            ts=now,
            order=order,
            before=before,
            after=after,
            reason_code=code,
            filled=order.filled,
        )
        self.transitions.append(transition)
        self.untold.append(transition)

    def fill(self, fill: Fill) -> None:
        """Write an execution down and take its order to the state that it leads to."""
        order = fill.order
        self.fills.append(fill)
        self.untold.append(fill)
        order.filled += fill.quantity
        order.filled_value += fill.price * fill.quantity
        order.filled_notional += fill.notional
        order.fees += fill.fee
        is_complete = order.filled == order.quantity
        self.move(order, OrderStatus.FILLED if is_complete else OrderStatus.PARTIALLY_FILLED, fill.ts)

    def end(self, order: Order, now: int, code: str, reason: str = "") -> None:
        """End an order that cannot be paid for: rejected, or canceled once it has fills."""
        after = OrderStatus.CANCELED if order.filled else OrderStatus.REJECTED
        self.move(order, after, now, code, reason)


def is_up(order: Order, name: str) -> bool:
    """Say to which side a price of an order is rounded so that it cannot cost more than what was asked.

    A limit to buy goes down and one to sell up; a stop the other way, so that it triggers later.
    """
    return (order.side is Side.SELL) == (name == "limit_price")


def passive(price: Fraction, tick: int, *, up: bool) -> Fraction:
    """Move a price to the next tick on one side."""
    ticks = price / tick
    whole = -(-ticks.numerator // ticks.denominator) if up else ticks.numerator // ticks.denominator
    return Fraction(whole * tick)
