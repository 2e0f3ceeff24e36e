"""Trailing columns computed before the run, from frames."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Crossing(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=data["IBM"]["fast"] > data["IBM"]["slow"])


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def make(frames: dict[str, Any]) -> dict[str, Any]:
    averages = {name: pl.col("close").ewm_mean(span=span) for name, span in (("fast", 10), ("slow", 60))}
    return {
        "strategy": Crossing,
        "feed": DataFeed(frames["prices"].with_columns(**averages), stamp="session"),
    }


def build() -> dict[str, Any]:
    return {
        "strategy": make,
        "frames": {"prices": datasets.us_equity_daily().filter(pl.col("symbol") == "IBM")},
    }
