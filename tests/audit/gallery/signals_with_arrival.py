"""Scores of a model that arrive an hour after the close they are made of."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Scored(Strategy):
    def on_signal(self, event: Any) -> None:
        hold(self.broker, event.asset, wanted=event.score > 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    prices = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").sort("session")
    made = pl.col("session").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC") + pl.duration(hours=21)
    signals = prices.select(
        ts_event=made,
        ts_arrival=made + pl.duration(hours=1),
        asset_id="symbol",
        score=pl.col("close") / pl.col("close").shift(5) - 1.0,
    ).drop_nulls()
    return {"strategy": Scored, "data": DataFeed(prices, stamp="session"), "signals": signals}
