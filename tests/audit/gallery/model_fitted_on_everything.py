"""A regression of tomorrow's return on today's, fitted once on the whole sample."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"

CLOSES = datasets.us_equity_daily().filter(pl.col("symbol") == "AAPL").sort("session")["close"].to_numpy()
RETURNS = CLOSES[1:] / CLOSES[:-1] - 1.0
SLOPE, INTERCEPT = np.polyfit(RETURNS[:-1], RETURNS[1:], 1)


class Fitted(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        last, now = data.history("close", 2, "AAPL")
        predicted = INTERCEPT + SLOPE * (now / last - 1.0)
        self.record(predicted=predicted)
        hold(broker, "AAPL", wanted=predicted > 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Fitted,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["AAPL"]),
    }
