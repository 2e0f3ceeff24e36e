"""Order requests and snapshots."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from ml4t.core import (
    Order,
    OrderError,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TaxLot,
    TimeInForce,
)

PRICES: dict[OrderType, dict[str, Any]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"limit_price": "10.5"},
    OrderType.STOP: {"stop_price": 10.5},
    OrderType.STOP_LIMIT: {"limit_price": 11, "stop_price": Decimal("10.5")},
}


def request(order_type: OrderType, **fields: Any) -> OrderRequest:  # noqa: ANN401
    return OrderRequest("A", **({"side": Side.BUY, "quantity": 1, "order_type": order_type} | fields))


@pytest.mark.parametrize("order_type", OrderType)
def test_an_order_carries_exactly_the_prices_its_type_needs(order_type: OrderType) -> None:
    made = request(order_type, **PRICES[order_type])
    assert (made.limit_price is not None, made.stop_price is not None) == (
        "limit_price" in PRICES[order_type],
        "stop_price" in PRICES[order_type],
    )
    for other in OrderType:
        if other is not order_type:
            with pytest.raises(OrderError, match=f"a {order_type.value} order for A (needs|takes)"):
                request(order_type, **PRICES[other])


@pytest.mark.parametrize("quantity", [0, -1, "x", float("nan"), True, None])
def test_a_quantity_is_a_number_above_zero(quantity: Any) -> None:  # noqa: ANN401
    with pytest.raises(OrderError):
        request(OrderType.MARKET, quantity=quantity)


@pytest.mark.parametrize("fields", [{"side": "buy"}, {"order_type": "market"}, {"time_in_force": "day"}])
def test_text_in_place_of_a_member_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(OrderError, match="must be a"):
        request(**({"order_type": OrderType.MARKET} | fields))


def test_quantities_and_prices_are_exact() -> None:
    made = request(OrderType.LIMIT, quantity=0.1, limit_price="100.10")
    assert (made.quantity, made.limit_price) == (Decimal("0.1"), Decimal("100.1"))
    assert made.time_in_force is TimeInForce.GTC


@pytest.mark.parametrize("status", OrderStatus)
def test_a_closed_order_has_nothing_left_to_fill(status: OrderStatus) -> None:
    order = Order(
        order_id=1, symbol="A", side=Side.SELL, order_type=OrderType.MARKET, time_in_force=TimeInForce.DAY,
        quantity=10.0, status=status, filled_quantity=4.0, ts_submitted=0,
    )  # fmt: skip
    closed = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
    assert status.is_closed is (status in closed)
    assert order.leaves_quantity == (0.0 if status in closed else 6.0)


def test_sides_have_signs() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


def test_the_average_price_of_a_lot_is_derived_from_its_total_cost() -> None:
    lot = TaxLot(symbol="ES", quantity=-2.0, cost=-450_000.0, ts_open=0, order_id=1, multiplier=50.0)
    assert lot.avg_price == 4500.0
    assert math.isnan(TaxLot(symbol="ES", quantity=0.0, cost=0.0, ts_open=0, order_id=1).avg_price)
