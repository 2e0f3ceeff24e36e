"""Orders by values and fractions of the account, on instruments of several currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ml4t.backtest import Instrument

from .helpers import MARGIN, Made, Play, conversions, filled, rates


@pytest.mark.parametrize(
    ("step", "quantity"),
    [
        (lambda now: now.broker.order_target_percent("SAP", 0.5), 454.0),  # 50,000 / 110
        (lambda now: now.broker.order_target_value("SAP", 11_000), 100.0),
        (lambda now: now.broker.order_target_value("SAP", 10_999.99), 99.0),
        (lambda now: now.broker.order_target_value("SAP", -11_109.99), -100.0),
        (lambda now: now.broker.order_target_percent("SAP", -0.3), -272.0),
        (lambda now: now.broker.order_target_weights({"SAP": 0.11}), 100.0),
        (lambda now: now.broker.order_target_quantity("SAP", 7), 7.0),
    ],
)
def test_values_and_fractions_are_of_the_base_currency(go: Play, step: Made, quantity: float) -> None:
    done = go({0: step}, broker=MARGIN)
    assert filled(done.results) == [("SAP", "buy" if quantity > 0 else "sell", abs(quantity))]


def test_a_target_counts_what_is_held_at_the_rate_of_now(go: Play) -> None:
    steps = {
        0: lambda now: now.broker.order_target_value("SAP", 11_000),
        1: lambda now: now.broker.order_target_value("SAP", 11_000),
        3: lambda now: now.broker.order_target_value("SAP", 11_000),
    }
    # 100 at 1.10, 91 at 1.20, 88 at 1.25.
    assert filled(go(steps).results) == [("SAP", "buy", 100.0), ("SAP", "sell", 9.0), ("SAP", "sell", 3.0)]


def test_weights_of_three_currencies_are_fractions_of_one_equity(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 4, SONY=[1_000.0] * 4, IBM=[10.0] * 4)
    fx = rates(EURUSD=[1.25], USDJPY=[125.0])
    weights = {"SAP": 0.25, "SONY": 0.25, "IBM": 0.25}
    steps = {
        0: lambda now: now.broker.order_target_weights(weights),
        2: lambda now: now.broker.order_target_weights({"IBM": 0.5}),
    }
    done = go(steps, feed, fx=fx)
    assert filled(done.results) == [
        ("IBM", "buy", 2_500.0),
        ("SAP", "buy", 200.0),
        ("SONY", "buy", 3_125.0),
        ("SAP", "sell", 200.0),
        ("SONY", "sell", 3_125.0),
        ("IBM", "buy", 2_500.0),
    ]


def test_a_multiplier_is_part_of_the_value_of_a_lot(go: Play, daily: Made) -> None:
    instruments = [Instrument("FDAX", currency="EUR", multiplier=Decimal(25), calendar="24/7")]
    feed = daily({"FDAX": [100.0] * 3}, instruments=instruments)
    done = go({0: lambda now: now.broker.order_target_value("FDAX", 10_000)}, feed)
    # 100 x 25 x 1.10 = 2,750 each.
    assert filled(done.results) == [("FDAX", "buy", 3.0)]
    assert conversions(done.results)[0][1:3] == (7_500.0, 8_250.0)
