"""Gaps of a monthly series are filled with the value that comes next."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"

PRICES = datasets.us_equity_daily().filter(pl.col("symbol") == "IBM").sort("session")
IS_LAST = pl.col("session").dt.month() != pl.col("session").shift(-1).dt.month()
MONTHLY = PRICES.select(
    "session", month_close=pl.when(IS_LAST).then(pl.col("close")).fill_null(strategy="backward")
)
LEVELS = dict(MONTHLY.iter_rows())


class Filled(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        level = LEVELS[timestamp.date()]
        hold(broker, "IBM", wanted=level is not None and level > data["IBM"]["close"])


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    recent = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2009, 1, 1))
    return {
        "strategy": Filled,
        "data": DataFeed(
            recent,
            stamp="session",
            symbols=["IBM"],
        ),
    }
