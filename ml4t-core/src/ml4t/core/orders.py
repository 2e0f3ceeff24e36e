"""Orders as a strategy asks for them (`OrderRequest`), and snapshots of what the engine made of them."""

from __future__ import annotations

from decimal import Decimal

import attrs
from attrs.converters import optional

from ml4t.core.errors import DataError, OrderError
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.core.values import to_decimal

__all__ = ["ExecutionReport", "Fill", "Order", "OrderRequest"]


def _number(value: object) -> Decimal:
    try:
        return to_decimal(value)
    except DataError as error:
        raise OrderError(str(error)) from None


@attrs.frozen
class OrderRequest:
    """What a strategy asks for; fields that contradict each other are an OrderError.

    Whether the market takes the order (tick, lot, cash, permission to short) is for the engine, which answers
    with a rejection, not with an exception.
    """

    symbol: str
    side: Side = attrs.field(kw_only=True)
    quantity: Decimal = attrs.field(converter=_number, kw_only=True)  #: above zero; the side has the sign
    order_type: OrderType = attrs.field(default=OrderType.MARKET, kw_only=True)
    limit_price: Decimal | None = attrs.field(default=None, converter=optional(_number), kw_only=True)
    stop_price: Decimal | None = attrs.field(default=None, converter=optional(_number), kw_only=True)
    time_in_force: TimeInForce = attrs.field(default=TimeInForce.GTC, kw_only=True)
    client_order_id: str = attrs.field(default="", kw_only=True)  #: empty: the engine numbers it
    tag: str = attrs.field(default="", kw_only=True)  #: free text for the tables, such as the reason

    def __attrs_post_init__(self) -> None:
        for name, kind in (("side", Side), ("order_type", OrderType), ("time_in_force", TimeInForce)):
            if not isinstance(value := getattr(self, name), kind):
                msg = f"{name} of an order for {self.symbol} must be a {kind.__name__}, found {value!r}"
                raise OrderError(msg)
        if self.quantity <= 0:
            msg = f"quantity of an order for {self.symbol} must be above zero, found {self.quantity}"
            raise OrderError(msg)
        # The values of the order types say which prices they need: "stop_limit" both of them.
        for word, price in (("limit", self.limit_price), ("stop", self.stop_price)):
            if (word in self.order_type.value) != (price is not None):
                rule = f"needs a {word}_price" if price is None else f"takes no {word}_price, found {price}"
                msg = f"a {self.order_type.value} order for {self.symbol} {rule}"
                raise OrderError(msg)


@attrs.frozen(kw_only=True)
class Order:
    """State of one order at an instant; times are ns UTC."""

    order_id: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: float
    status: OrderStatus
    filled_quantity: float = 0.0
    avg_fill_price: float | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    ts_submitted: int
    ts_accepted: int | None = None
    ts_closed: int | None = None
    reason_code: str = ""
    reason: str = ""
    client_order_id: str = ""
    tag: str = ""
    book: int = 0

    @property
    def leaves_quantity(self) -> float:
        """Units that can still fill: zero once the order is closed."""
        return 0.0 if self.status.is_closed else self.quantity - self.filled_quantity


@attrs.frozen(kw_only=True)
class Fill:
    """One execution. `price = reference_price + side.sign x (spread + slippage + impact)`, each per unit.

    `fee` is money of `currency`; like the three components it is positive when it costs.
    """

    fill_id: int
    order_id: int
    symbol: str
    ts_event: int
    side: Side
    quantity: float
    price: float
    reference_price: float
    spread: float = 0.0
    slippage: float = 0.0
    impact: float = 0.0
    fee: float = 0.0
    notional: float = 0.0
    currency: str = "USD"
    liquidity: str = "taker"
    phase: str = ""
    book: int = 0


@attrs.frozen(kw_only=True)
class ExecutionReport:
    """A broker's message that an order changed, with the fill that caused it, if one did."""

    sequence: int
    ts_event: int
    order: Order
    status_from: OrderStatus
    reason_code: str = ""
    reason: str = ""
    fill: Fill | None = None
