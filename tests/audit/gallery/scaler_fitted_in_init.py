"""Mean and deviation of all closes, read from the file when the strategy is made."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"


class Scaled(Strategy):
    def __init__(self) -> None:
        closes = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM")["close"]
        self.mean, self.deviation = closes.mean(), closes.std()

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=(data["IBM"]["close"] - self.mean) / self.deviation < 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Scaled,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"]),
    }
