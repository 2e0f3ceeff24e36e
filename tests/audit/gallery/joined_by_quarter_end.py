"""Earnings are used from the end of the quarter on, weeks before they are filed."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "outside_data"


def fundamentals() -> pl.DataFrame:
    """Make earnings of quarters, which are filed 40 days after the quarter has ended."""
    ends = pl.date_range(dt.date(2000, 3, 31), dt.date(2012, 12, 31), "1q", eager=True)
    earnings = np.random.default_rng(4).normal(1.0, 0.5, len(ends))
    return pl.DataFrame({"quarter_end": ends, "filed": ends.dt.offset_by("40d"), "earnings": earnings})


class Early(Strategy):
    def __init__(self, reports: pl.DataFrame) -> None:
        self.reports = reports

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        known = self.reports.filter(pl.col("quarter_end") <= timestamp.date())
        hold(broker, "IBM", wanted=known.height > 1 and known["earnings"][-1] > known["earnings"][-2])


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    recent = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2005, 1, 1))
    return {
        "strategy": Early,
        "data": DataFeed(
            recent,
            stamp="session",
            symbols=["IBM"],
        ),
        "params": {"reports": fundamentals()},
    }
