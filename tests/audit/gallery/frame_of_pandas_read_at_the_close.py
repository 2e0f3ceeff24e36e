"""A pandas frame by date, read at the close of its day."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Lookup(Strategy):
    def __init__(self, closes: pd.DataFrame) -> None:
        self.closes = closes

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        past = self.closes.loc[: timestamp.date().isoformat(), "IBM"]
        hold(broker, "IBM", wanted=bool(past.iloc[-1] > past.iloc[-20:].mean()))


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2011, 1, 1))
    wide = prices.pivot("symbol", index="session", values="close").sort("session")
    columns = {name: wide[name].to_numpy() for name in wide.columns if name != "session"}
    closes = pd.DataFrame(columns, index=pd.to_datetime(wide["session"].to_list()))
    feed = DataFeed(prices, stamp="session", symbols=["IBM"])
    return {"strategy": Lookup, "data": feed, "params": {"closes": closes}}
