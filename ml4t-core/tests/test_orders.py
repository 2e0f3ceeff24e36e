"""Snapshots of orders."""

from __future__ import annotations

import pytest

from ml4t.core import Order, OrderStatus, OrderType, Side, TimeInForce


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
