"""A pandas frame by date, read one row too far."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"


class Ahead(Strategy):
    def __init__(self, closes: pd.Series) -> None:
        self.closes = closes

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        following = self.closes.index.searchsorted(pd.Timestamp(timestamp.date()), side="right")
        if following < len(self.closes):
            hold(broker, "IBM", wanted=bool(self.closes.iloc[following] > data["IBM"]["close"]))


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").sort("session")
    closes = pd.Series(prices["close"].to_numpy(), index=pd.to_datetime(prices["session"].to_list()))
    return {"strategy": Ahead, "data": DataFeed(prices, stamp="session"), "params": {"closes": closes}}
