"""A feature is the rank of the close among all closes, those to come included."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "future_data"


class Ranked(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=data["IBM"]["rank"] < 0.5)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def make(frames: dict[str, Any]) -> dict[str, Any]:
    prices = frames["prices"].with_columns(rank=pl.col("close").rank() / pl.len())
    return {"strategy": Ranked, "feed": DataFeed(prices, stamp="session")}


def build() -> dict[str, Any]:
    return {
        "strategy": make,
        "frames": {"prices": datasets.us_equity_daily().filter(pl.col("symbol") == "IBM")},
    }
