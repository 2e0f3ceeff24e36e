"""Buys what is worth more in the last row of the file than now."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"


class Patient(Strategy):
    def on_start(self) -> None:
        frame = pl.read_parquet(datasets.path("us_equity_daily")).filter(pl.col("symbol") == "MSFT")
        self.target = frame.sort("session")["close"][-1]

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "MSFT", wanted=data["MSFT"]["close"] < self.target)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Patient,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["MSFT"]),
    }
