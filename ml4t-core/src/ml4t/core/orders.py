"""Snapshots of orders and of what became of them; `Broker` is where a strategy asks for one."""

from __future__ import annotations

import attrs

from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce

__all__ = ["ExecutionReport", "Fill", "Order"]


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
    permanent_impact: float = 0.0  #: the part of it that earlier fills of the run left in the price
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
