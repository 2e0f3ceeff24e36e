"""Orders: what is asked for, the states an order passes through, and the rows that tell of them.

    CREATED -> SUBMITTED -> ACCEPTED -> PARTIALLY_FILLED* -> FILLED | CANCELED | REJECTED | EXPIRED

A refusal can come at intake, or at a fill that the account cannot carry. An order that has fills is canceled
instead, so that a rejected order never moved money. Every transition is a row with its time and its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.margin_terms import CallRow
from ml4t.reference.plan import Instrument

__all__ = [
    "INSTRUCTIONS",
    "REASONS",
    "STOPS",
    "TOUCHED",
    "TRAILING",
    "Fill",
    "Group",
    "Order",
    "OrderBook",
    "Place",
]
__all__ += ["Terms", "Transition", "is_decided", "is_up", "passive"]

Terms = tuple[int, Fraction | None, Fraction | None]  #: units that are open, limit, stop

TRAILING = (OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT)
TOUCHED = (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, *TRAILING)

# What waits below the market, of the types whose prices are fixed.
BELOW = {
    Side.BUY: (OrderType.LIMIT, *TOUCHED),
    Side.SELL: (OrderType.STOP, OrderType.STOP_LIMIT),
}

INSTRUCTIONS = ("post_only", "reduce_only", "all_or_none", "adjust_for_dividend")

# Sentences of the codes; where more is known, that is written instead.
REASONS = {
    "": "",
    "CANCELED_BY_REQUEST": "canceled on request",
    "SESSION_CLOSED": "a day order expires at the close of its session",
    "END_OF_DATA": "still working when the data ended",
    "INSUFFICIENT_CASH": "the account cannot pay for the fill",
    "SCALED_TO_NOTHING": "a corporate action left less than one lot of the order",
    "DELISTED": "the instrument was delisted",
    "CONTRACT_EXPIRED": "the contract has expired",
    "ROLLED": "canceled because the contract is left for the next one",
    "POSITION_CLOSED": "the position that the rule guarded was closed or turned",
    "TIME_EXPIRED": "the time that the order was good for has come",
    "NOT_FILLED_AT_ONCE": "the first event that the order met did not fill all of it",
    "NOT_FILLED_AT_OPEN": "the opening of the session did not fill all of it",
    "NOT_FILLED_AT_CLOSE": "the close of the session did not fill all of it",
    "POST_ONLY_WOULD_TAKE": "the order may only make, and the market is within its limit",
    "NO_SUCH_LOT": "no lot of the order that it names is held",
    "NOTHING_TO_REDUCE": "the order may only reduce a position, and nothing is left to reduce",
    "REFUSED_BY_MODEL": "the fill model takes no order of that size",
    "LIQUIDATION": "canceled because positions of the account are being closed for want of margin",
    "PARENT_ENDED": "the order that it waited for ended without a fill",
    "GROUP_FILLED": "another order of its group filled",
    "GROUP_ENDED": "another order of its group ended",
    "CANCEL_REQUESTED": "a cancel is under way",
    "REPLACE_REQUESTED": "a change is under way",
    "REPLACED": "changed on request",
    "REDUCED": "another order of its group filled a part of what it was for",
    "MOVED_WITH_POSITION": "the order of a position rule took the size or level that its position has now",
}

_NEXT = {
    OrderStatus.CREATED: {OrderStatus.SUBMITTED},
    # A child that waits for its parent is submitted, and can be canceled.
    OrderStatus.SUBMITTED: {OrderStatus.ACCEPTED, OrderStatus.REJECTED, OrderStatus.CANCELED},
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


@attrs.define(eq=False)
class Group:
    """Orders that share one fate: `oco`, one cancels the other, or `ouo`, one updates the other."""

    kind: str
    number: int  #: in the order of their beginning
    members: list[Order] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """Name in the tables."""
        return f"{self.kind} {self.number}"


@attrs.frozen(kw_only=True)
class Place:
    """What is known of the queue before a resting limit."""

    ahead: int  #: units, in whole lots
    open: int  #: units of the order that were open when it was counted


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
    trail_amount: Fraction | None = None  #: distance from the water mark in price units; any fraction of them
    trail_fraction: Fraction | None = None
    limit_offset: Fraction | None = None  #: of the limit behind a trailing stop, as `trail_amount`
    activation_price: Fraction | None = None
    display_quantity: Fraction | None = None
    post_only: bool = False
    reduce_only: bool = False
    all_or_none: bool = False
    adjust_for_dividend: bool = False  #: prices below the market go down by what a share pays or gives away
    tag: str = ""
    rule: str | None = None  #: kind of the position rule that keeps this order
    buys_in: bool = False  #: buys back what is lent no longer; the strategy cannot take it back either
    rolls: bool = False  #: leaves a contract for the next one; likewise
    liquidates: bool = False  #: closes a position for want of margin; the strategy cannot take it back
    call: CallRow | None = None  #: what its first fill is a row of, where it liquidates at a price
    ts_submitted: int
    parent: Order | None = None  #: the order that has to fill first
    children: list[Order] = attrs.field(factory=list)
    group: Group | None = None

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

    asked: Fraction = attrs.field(init=False)  #: all that it may become; what a child has of it is `quantity`
    met: Fraction = Fraction(0)  #: filled, in units of now: splits scale it
    taken: Fraction = Fraction(0)  #: what fills of its group took from it
    waits_for_parent: bool = False

    active_from: int = 0  #: when it reaches the venue
    arrives: int = 0  #: when the last message about it that was sent reaches the venue
    sent: dict[str, int] = attrs.field(factory=dict)  #: messages about it so far, by their kind
    opens_at: int | None = None  #: when the session opens that it waits for; nothing before that meets it
    expires: int | None = None  #: when its session closes, or its time comes
    cancel_at: int | None = None  #: when a cancel that is under way reaches the venue
    replaces: int = 0  #: changes that are under way
    water_mark: int | None = None  #: best price that a trailing order has seen, in price units
    meets_standing: int | None = None  #: when it meets the quote that stands, being new; no fill started it
    is_over: bool = False  #: has met the one event that was for it
    opener: int | None = None  #: the order that opened the lots which this one closes first
    reserve_price: Fraction | None = None  #: at which buying power was set aside for it; None: nobody knows
    triggered: bool = False  #: a stop that has been reached
    resting: bool = False  #: a limit that the market made wait, by its price or for want of volume
    place: Place | None = None  #: in the queue at its limit; None while that is not known
    waiting: list[Callable[[int], None]] = attrs.field(factory=list)
    """Ends and changes that came after the open had decided it: done when the fill of that open is booked."""
    decided: int | None = None  #: `ts_event` of a bar whose open decided it, and that books it when complete
    skips_bar: int | None = None  #: `ts_event` of a bar whose range cannot fill it
    market_at_birth: int | None = None
    """Where the market stood when a fill placed this order: one of a rule, or a child."""
    began: tuple[int, int, int] | None = None
    """The fill that started it: `ts_event` of a bar whose path is known, the place on it, the price there."""

    @asked.default
    def _default_asked(self) -> Fraction:
        return self.quantity

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
    def is_live(self) -> bool:
        """Whether it works, or waits for its parent."""
        return self.is_working or self.waits_for_parent

    @property
    def is_trailing(self) -> bool:
        """Whether its stop follows the market."""
        return self.order_type in TRAILING

    @property
    def waits_for_stop(self) -> bool:
        """Whether the price that triggers it has not been reached yet."""
        return self.order_type not in (OrderType.MARKET, OrderType.LIMIT) and not self.triggered

    @property
    def becomes_limit(self) -> bool:
        """Whether its limit decides once it is triggered."""
        return self.order_type in (
            OrderType.STOP_LIMIT,
            OrderType.LIMIT_IF_TOUCHED,
            OrderType.TRAILING_STOP_LIMIT,
        )

    @property
    def acts_as_limit(self) -> bool:
        """Whether its limit decides now."""
        return self.order_type is OrderType.LIMIT or (self.becomes_limit and self.triggered)

    @property
    def trigger_sign(self) -> int:
        """+1 where the market has to rise to its stop price, -1 where it has to fall."""
        return -self.sign if self.order_type in TOUCHED else self.sign

    @property
    def is_of_the_broker(self) -> bool:
        """Whether it is no order of the strategy: for want of margin or of a lender, or of a roll."""
        return self.liquidates or self.buys_in or self.rolls

    @property
    def exit_reason(self) -> str:
        """Why a position ends that it closes: a position rule, a margin call, or else its own type."""
        if self.rule is not None:
            return self.rule
        if self.buys_in or self.rolls:
            return self.tag
        return "margin_call" if self.liquidates else self.order_type.value

    @property
    def pending(self) -> str | None:
        """What was asked for and is under way: a cancel goes before a change."""
        if not self.is_open:
            return None
        return "cancel" if self.cancel_at is not None else "replace" if self.replaces else None

    @property
    def waits_below(self) -> bool:
        """Whether the market has to fall to its prices: a limit or a touch that buys, a stop that sells."""
        return self.order_type in BELOW[self.side]

    @property
    def instructions(self) -> str:
        """Names of the instructions that are set."""
        return " ".join(name for name in INSTRUCTIONS if getattr(self, name))

    @property
    def terms(self) -> Terms:
        """How much is open and at which prices: what an order of a position rule takes from its position."""
        return self.leaves, self.limit_price, self.stop_price

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
    reason: str
    filled: int


@attrs.frozen(kw_only=True)
class Fill:
    """An execution: `price` is `reference` plus side x (`spread` + `slippage` + `impact`), in price units."""

    id: int
    order: Order
    ts: int
    quantity: int
    price: int
    reference: int
    spread: int
    slippage: int
    impact: int
    permanent_impact: int  #: the part of `impact` that earlier fills have left
    permanent: int  #: what it moves the prices of later fills by, above zero when that hurts the same side
    fee: int  #: cash units
    notional: int  #: cash units
    liquidity: str
    phase: str

    @property
    def costs(self) -> int:
        """What it is worse than its reference by, per unit, in price units."""
        return self.spread + self.slippage + self.impact


@attrs.define
class OrderBook:
    """All orders of a run by their numbers, and their transitions in sequence."""

    orders: list[Order] = attrs.field(factory=list)
    transitions: list[Transition] = attrs.field(factory=list)
    fills: list[Fill] = attrs.field(factory=list)
    groups: list[Group] = attrs.field(factory=list)
    ended: list[Order] = attrs.field(factory=list)  #: orders whose end may be that of others
    calls: list[CallRow] = attrs.field(factory=list)
    untold: list[Transition | Fill | CallRow] = attrs.field(factory=list)
    """What the strategy has not been told yet."""

    def working(self) -> list[Order]:
        """Return the orders that the venue has, by submission."""
        return [order for order in self.orders if order.is_working]

    def live(self) -> list[Order]:
        """Return the orders that work or wait for their parents, by submission."""
        return [order for order in self.orders if order.is_live]

    def open(self) -> list[Order]:
        """Return the orders that can still change, by submission."""
        return [order for order in self.orders if order.is_open]

    def send_for_the_broker(
        self,
        instrument: Instrument,
        units: int,
        now: int,
        active_from: int,
        **fields: Any,  # noqa: ANN401
    ) -> Order:
        """Send a market order of the broker for units, signed as the order; mostly it only reduces."""
        fields.setdefault("reduce_only", True)
        order = Order(
            id=len(self.orders) + 1,
            instrument=instrument,
            side=Side.BUY if units > 0 else Side.SELL,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.GTC,
            quantity=Fraction(abs(units)),
            ts_submitted=now,
            active_from=active_from,
            **fields,
        )
        order.meets_standing = order.active_from
        self.orders.append(order)
        self.move(order, OrderStatus.SUBMITTED, now)
        self.move(order, OrderStatus.ACCEPTED, now)
        return order

    def move(self, order: Order, after: OrderStatus, now: int, code: str = "", reason: str = "") -> None:
        """Take an order to its next state and write that down."""
        before = order.status
        assert after in _NEXT[before], f"order {order.id} cannot go from {before.value} to {after.value}"
        order.status = after
        if after is OrderStatus.ACCEPTED:
            order.ts_accepted = now
        if after.is_closed:
            self.ended.append(order)
            order.waits_for_parent = False
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
            reason=reason or REASONS[code],
            filled=order.filled,
        )
        self.transitions.append(transition)
        self.untold.append(transition)

    def note(self, order: Order, now: int, code: str, reason: str = "") -> None:
        """Write down that something was asked of an order, or done to it, that leaves its state as it is."""
        transition = Transition(
            sequence=len(self.transitions) + 1,
            ts=now,
            order=order,
            before=order.status,
            after=order.status,
            reason_code=code,
            reason=reason or REASONS[code],
            filled=order.filled,
        )
        self.transitions.append(transition)
        self.untold.append(transition)

    def fill(self, fill: Fill, code: str = "", reason: str = "") -> None:
        """Write an execution down and take its order to the state that it leads to."""
        order = fill.order
        self.fills.append(fill)
        self.untold.append(fill)
        order.filled += fill.quantity
        order.met += fill.quantity
        order.filled_value += fill.price * fill.quantity
        order.filled_notional += fill.notional
        order.fees += fill.fee
        is_complete = order.filled == order.quantity
        after = OrderStatus.FILLED if is_complete else OrderStatus.PARTIALLY_FILLED
        self.move(order, after, fill.ts, code, reason)
        if order.call is not None:
            self.call(attrs.evolve(order.call, ts=fill.ts))
            order.call = None

    def call(self, row: CallRow) -> None:
        """Write down a margin call, or what became of it."""
        self.calls.append(row)
        self.untold.append(row)

    def end(self, order: Order, now: int, code: str, reason: str = "") -> None:
        """End an order that cannot be paid for: rejected, or canceled once it has fills."""
        after = OrderStatus.CANCELED if order.filled else OrderStatus.REJECTED
        self.move(order, after, now, code, reason)


def is_decided(order: Order, now: int) -> bool:
    """Say whether the open of a bar has decided an order, and its fill is not booked yet."""
    return order.decided is not None and order.decided > now


def is_up(order: Order, name: str) -> bool:
    """Say to which side a price of an order is rounded so that it cannot cost more than what was asked.

    A limit to buy goes down and one to sell up; a price that triggers goes to where it triggers later.
    """
    if name == "stop_price":
        return order.trigger_sign > 0
    return order.side is Side.SELL


def passive(price: Fraction, tick: int, *, up: bool) -> Fraction:
    """Move a price to the next tick on one side."""
    ticks = price / tick
    whole = -(-ticks.numerator // ticks.denominator) if up else ticks.numerator // ticks.denominator
    return Fraction(whole * tick)
