"""The label of a model, the return of the next day, is left among its features."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "shifted_column"


class Labelled(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=data["IBM"]["target"] > 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().sort("symbol", "session")
    target = (pl.col("close").shift(-1) / pl.col("close") - 1.0).over("symbol")
    return {"strategy": Labelled, "data": DataFeed(prices.with_columns(target=target), stamp="session")}
