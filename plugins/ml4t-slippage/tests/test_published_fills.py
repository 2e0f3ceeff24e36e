"""Fills that zipline-reloaded publishes, as runs: tests/finance/test_slippage.py, rows with their own bars.

An order is decided at the first close and meets the close of the second bar, as under the profile `zipline`;
with its `VolumeShareSlippage` a limit order whose slipped price is worse than its limit does not fill.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, PITData, Strategy, Timestamp, run
from ml4t.slippage import BasisPoints, Spread, VolumeShare

if TYPE_CHECKING:
    from ml4t.core.models import SlippageModel


@attrs.frozen
class Ask:
    """What is sent at the first close."""

    quantity: float
    side: str = "buy"
    order_type: str = "market"
    prices: dict[str, float] = attrs.field(factory=dict)


class Sends(Strategy):
    def __init__(self, asks: list[Ask]) -> None:
        self.asks = asks

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        for ask in self.asks:
            broker.submit_order("A", ask.quantity, ask.side, ask.order_type, **ask.prices)
        self.asks = []


def fills(
    model: SlippageModel, asks: list[Ask], close: float, volume: float
) -> list[tuple[str, float, float]]:
    prices = {name: [close] * 2 for name in ("open", "high", "low", "close")}
    days = [dt.date(2024, 3, 4), dt.date(2024, 3, 5)]
    bars = pl.DataFrame({"symbol": ["A"] * 2, "session": days, **prices, "volume": [volume] * 2})
    broker: dict[str, Any] = {"profile": "zipline", "policies": {"limit_slippage": "refuse"}}
    results = run(
        Sends(list(asks)),
        DataFeed(bars, stamp="session"),
        config={"broker": broker},
        models={"slippage": model},
    )
    return results.fills.select("side", "quantity", "price").rows()


DEFAULT = VolumeShare(0.025, price_impact=0.1)


# Printed there: 5 of 100 at a volume of 200; limits of 3.6 and 3.5 around 3.50021875; a stop at 3.5 under a
# close of 4.0; a future with a limit of 1 and an impact of 0.3. From the formula: two orders on one bar.
@pytest.mark.parametrize(
    ("model", "asks", "close", "volume", "expected"),
    [
        (DEFAULT, [Ask(100)], 3.0, 200, [("buy", 5, 3.0001875)]),
        (DEFAULT, [Ask(100, "buy", "limit", {"limit_price": 3.6})], 3.5, 2000, [("buy", 50, 3.50021875)]),
        (DEFAULT, [Ask(100, "buy", "limit", {"limit_price": 3.5})], 3.5, 2000, []),
        (DEFAULT, [Ask(100, "buy", "stop", {"stop_price": 3.5})], 4.0, 2000, [("buy", 50, 4.00025)]),
        (VolumeShare(1.0, price_impact=0.3), [Ask(10)], 5.0, 100, [("buy", 10, 5.015)]),
        (DEFAULT, [Ask(30), Ask(20)], 100.0, 2000, [("buy", 30, 100.00225), ("buy", 20, 100.00625)]),
        (BasisPoints(5, volume_limit=0.1), [Ask(100)], 3.0, 200, [("buy", 20, 3.0015)]),
        (BasisPoints(5, volume_limit=0.1), [Ask(100, "sell")], 3.0, 200, [("sell", 20, 2.9985)]),
        (BasisPoints(5, volume_limit=0.1), [Ask(10)], 3.0, 200, [("buy", 10, 3.0015)]),
        (BasisPoints(10, volume_limit=0.1), [Ask(100)], 3.0, 200, [("buy", 20, 3.003)]),
        (BasisPoints(5, volume_limit=0.2), [Ask(100)], 3.0, 200, [("buy", 40, 3.0015)]),
        (Spread(0.05), [Ask(100), Ask(100, "sell")], 3.0, 200, [("buy", 100, 3.025), ("sell", 100, 2.975)]),
    ],
)
def test_a_run_fills_as_published(
    model: SlippageModel,
    asks: list[Ask],
    close: float,
    volume: float,
    expected: list[tuple[str, float, float]],
) -> None:
    found = fills(model, asks, close, volume)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], rel=1e-9)


class BuysOn(Strategy):
    """Buys at the n-th close."""

    def __init__(self, n: int, quantity: float) -> None:
        self.left = n
        self.quantity = quantity

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.left -= 1
        if self.left == 0:
            broker.buy("A", self.quantity)


# zipline-reloaded, VolatilityVolumeShare: eta sqrt(252) sigma sqrt(q / V) basis points. Closes go up by 2 %
# and down by 2 % of it in turn: with three closes the returns are 2 % and -2 %, sigma = 0.02 sqrt(2).
# Volumes of 1,000, 2,000 and 3,000 make V = 2,000; the bar of the fill trades 1,000, of which 5 % are 50.
# Before there are two returns: 7.5.
@pytest.mark.parametrize(
    ("day", "expected_bps"),
    [(1, 7.5), (2, 7.5), (3, 0.05 * math.sqrt(252.0) * 0.02 * math.sqrt(2.0) * math.sqrt(50.0 / 2_000.0))],
)
def test_volatility_and_average_volume_are_those_of_the_sessions_before(
    day: int, expected_bps: float
) -> None:
    closes, volumes = [100.0, 102.0, 99.96, 99.96], [1_000.0, 2_000.0, 3_000.0, 1_000.0]
    closes, volumes = [*closes[:day], closes[day - 1]], [*volumes[:day], 1_000.0]
    bars = pl.DataFrame(
        {
            "symbol": ["A"] * (day + 1),
            "session": [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(day + 1)],
            **{name: closes for name in ("open", "high", "low", "close")},
            "volume": volumes,
        }
    )
    results = run(
        BuysOn(day, 80),
        DataFeed(bars, stamp="session", calendar="24/7"),
        config={"broker": {"slippage_model": {"type": "VolatilityVolumeShare", "eta": 0.05}}},
    )
    (quantity, price), *_ = results.fills.select("quantity", "price").rows()
    assert quantity == 50
    assert price == pytest.approx(closes[-1] * (1.0 + expected_bps / 1e4), abs=1e-8)
