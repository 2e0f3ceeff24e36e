"""The universe is the two shares that will have risen most."""

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets, schedule

LEAKS = True
KIND = "survivorship"

PRICES = datasets.us_equity_daily().sort("session")
GAINS = PRICES.group_by("symbol").agg(gain=pl.col("adj_close").last() / pl.col("adj_close").first())
WINNERS = GAINS.sort("gain", descending=True)["symbol"].to_list()[:2]


class Winners(Strategy):
    def on_start(self) -> None:
        self.schedule(rule=schedule.month_end())

    def on_rebalance_trigger(self) -> None:
        known = [symbol for symbol in WINNERS if self.data.get_latest_price(symbol) is not None]
        self.broker.order_target_weights({symbol: 0.45 for symbol in known})


def build() -> dict[str, Any]:
    return {"strategy": Winners, "data": DataFeed(datasets.us_equity_daily(), stamp="session")}
