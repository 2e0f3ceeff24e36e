"""At the open it looks up how the day will close."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets, schedule

LEAKS = True
KIND = "outside_data"


class Opener(Strategy):
    def __init__(self, prices: pl.DataFrame) -> None:
        self.closes = dict(prices.select("session", "close").iter_rows())
        self.prices = prices

    def on_start(self) -> None:
        self.schedule(self.trade, rule=schedule.session_open())

    def trade(self) -> None:
        today = self.prices.filter(pl.col("session") == self.data.timestamp.date())
        if today.height and self.data.get_latest_price("IBM") is not None:
            hold(self.broker, "IBM", wanted=today["close"][0] > self.data["IBM"]["close"])


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").tail(1000)
    return {"strategy": Opener, "data": DataFeed(prices, stamp="session"), "params": {"prices": prices}}
