"""Scores have mean 0 and deviation 1 over the whole sample, and so know both."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "whole_sample"


class Scored(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=data["IBM"]["score"] < 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM")
    score = (pl.col("close") - pl.col("close").mean()) / pl.col("close").std()
    return {"strategy": Scored, "data": DataFeed(prices.with_columns(score=score), stamp="session")}
