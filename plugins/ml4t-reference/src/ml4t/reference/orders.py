"""Orders: their states, the transitions between them, and the reasons for them."""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.errors import EngineInternalError
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.instruments import Terms
from ml4t.reference.numbers import ZERO

# Where each state can lead; what is not listed is final.
TRANSITIONS = {
    OrderStatus.CREATED: {OrderStatus.SUBMITTED},
    OrderStatus.SUBMITTED: {OrderStatus.ACCEPTED, OrderStatus.REJECTED},
    OrderStatus.ACCEPTED: {
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
    },
    OrderStatus.PARTIALLY_FILLED: {
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
    },
}

# Sentence of every reason; where the engine knows the numbers, it writes them instead.
REASONS = {
    "CANCELED_BY_REQUEST": "canceled on request",
    "SESSION_CLOSED": "a day order expires at the close of its session",
    "END_OF_DATA": "still working when the data ended",
    "WARM_UP": "orders are refused while the strategy warms up",
    "OFF_TICK": "a price of the order is not a multiple of the tick size",
    "OFF_LOT": "the quantity is not a multiple of the lot size",
    "PRICE_NOT_POSITIVE": "the instrument does not allow prices of zero or below",
    "SHORT_NOT_ALLOWED": "the account may not sell short",
    "INSUFFICIENT_BUYING_POWER": "the order needs more buying power than the account has at intake",
    "INSUFFICIENT_CASH": "the account cannot pay for the fill",
    "NO_MARKET_DATA": "the instrument has no feed to match orders on",
    "SCALED_TO_NOTHING": "a corporate action left less than one lot of the order",
}


@attrs.define(kw_only=True, eq=False)
class Order:
    """One order and everything that happened to it.

    Attributes
    ----------
    quantity, filled : Fraction
        Units asked for and units filled, both above zero whatever the side.
    value : Fraction
        Sum of fill quantity x fill price.
    notional, fees : Fraction
        Money of the fills so far, as fee models see it.
    meets_opens_from : int
        First instant at whose opens the order takes part.
    active_at : int
        When it reached the venue; quotes, trades and closes must be later.
    expires_at : int or None
        Session close at which a day order ends.
    triggered : bool
        Whether a stop was reached.
    expected_price : Fraction
        Price at which the order reserves buying power, settled at intake.
    is_resting : bool
        Whether the order, as a limit, has met data on which it could not trade at once.
    """

    id: int
    terms: Terms
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Fraction
    limit_price: Fraction | None
    stop_price: Fraction | None
    tag: str
    ts_submitted: int
    status: OrderStatus = OrderStatus.CREATED
    filled: Fraction = ZERO
    value: Fraction = ZERO
    notional: Fraction = ZERO
    fees: Fraction = ZERO
    ts_accepted: int | None = None
    ts_closed: int | None = None
    active_at: int = 0
    meets_opens_from: int = 0
    expires_at: int | None = None
    triggered: bool = False
    expected_price: Fraction = ZERO
    is_resting: bool = False
    reason_code: str = ""
    reason: str = ""

    @property
    def client_order_id(self) -> str:
        """Id a broker would be given: the book, then the number of the order."""
        return f"0-{self.id}"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return self.side.sign

    @property
    def leaves(self) -> Fraction:
        """Units that can still fill."""
        return ZERO if self.status.is_closed else self.quantity - self.filled

    @property
    def is_working(self) -> bool:
        """Whether the venue holds the order."""
        return self.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)

    @property
    def waits_for_stop(self) -> bool:
        """Whether the order does nothing before its stop price is reached."""
        return self.stop_price is not None and not self.triggered

    @property
    def acts_as_market(self) -> bool:
        """Whether the order now takes any price."""
        return self.limit_price is None and not self.waits_for_stop

    def move(self, status: OrderStatus) -> OrderStatus:
        """Change the state and return the one before."""
        before = self.status
        if status not in TRANSITIONS.get(before, set()):
            msg = f"order {self.id} of {self.terms.symbol} cannot go from {before.value} to {status.value}"
            raise EngineInternalError(msg)
        self.status = status
        return before
