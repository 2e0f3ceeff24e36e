"""A moving average, computed when the module is imported, of rows up to its own."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False

PRICES = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").sort("session")
AVERAGE = PRICES.select("session", average=pl.col("close").rolling_mean(50))


class Trailing(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        average = AVERAGE.row(by_predicate=pl.col("session") == timestamp.date(), named=True)["average"]
        hold(broker, "IBM", wanted=average is not None and data["IBM"]["close"] > average)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    recent = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2011, 1, 1))
    return {
        "strategy": Trailing,
        "data": DataFeed(
            recent,
            stamp="session",
            symbols=["IBM"],
        ),
    }
