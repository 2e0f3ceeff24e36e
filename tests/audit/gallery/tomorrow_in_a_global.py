"""The return of tomorrow, shifted into the row of today, looked up in a global frame."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"

PRICES = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").sort("session")
TOMORROW = PRICES.select("session", up=pl.col("close").shift(-1) > pl.col("close"))


class Clairvoyant(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        row = TOMORROW.row(by_predicate=pl.col("session") == timestamp.date(), named=True)
        hold(broker, "IBM", wanted=bool(row["up"]))


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    recent = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2009, 1, 1))
    return {
        "strategy": Clairvoyant,
        "data": DataFeed(
            recent,
            stamp="session",
            symbols=["IBM"],
        ),
    }
