"""Fee models in runs: read from a configuration, charged to the account."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, PITData, Strategy, Timestamp, run


class InAndOut(Strategy):
    """Buys a thousand at the second open and sells them at the third."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if broker.get_position("XYZ") is None:
            broker.buy("XYZ", 1_000)
        else:
            broker.sell("XYZ", 1_000)


# 1,000 shares at 25.00, 25,000 in value; worked by hand from the schedules.
@pytest.mark.parametrize(
    ("table", "bought", "sold"),
    [
        ({"type": "PerContract", "fee": 0.002, "order_fee": 1.5}, 3.5, 3.5),
        ({"type": "MakerTaker", "maker": -0.0001, "taker": 0.0005}, 12.5, 12.5),
        ({"type": "Tiered", "limits": [1e9], "rates": [0.001, 0.0], "basis": "notional"}, 25.0, 25.0),
        ({"type": "IbkrFixed"}, 5.0, 5.0 + 0.695 + 0.166),
        ({"type": "LeanIbkr"}, 5.0, 5.0),
        ({"type": "IbkrTiered", "nyse_fraction": 0, "finra_fraction": 0}, 3.7, 3.7 + 0.695 + 0.166),
        ({"type": "IbkrOptions"}, 650.0, 650.0),
        ({"type": "IbkrForex"}, 2.0, 2.0),
        ({"type": "AlpacaFees"}, 0.01, 0.73),
        ({"type": "BinanceSpot"}, 25.0, 25.0),
        ({"type": "BinanceFutures", "bnb_discount": 0.1}, 11.25, 11.25),
    ],
    ids=lambda given: given["type"] if isinstance(given, dict) else "",
)
def test_a_configured_schedule_is_charged(table: dict[str, Any], bought: float, sold: float) -> None:
    days = [dt.date(2024, 3, day) for day in (4, 5, 6)]
    prices = {name: [25.0] * 3 for name in ("open", "high", "low", "close")}
    bars = pl.DataFrame({"symbol": ["XYZ"] * 3, "session": days, **prices, "volume": [1e6] * 3})
    results = run(InAndOut, DataFeed(bars, stamp="session"), config={"broker": {"commission_model": table}})
    fees = results.fills.select("side", "fee").rows()
    assert [side for side, _ in fees] == ["buy", "sell"]
    assert [fee for _, fee in fees] == pytest.approx([bought, sold], rel=1e-9)
    assert results.portfolio_history["equity"][-1] == pytest.approx(100_000.0 - bought - sold, rel=1e-12)
