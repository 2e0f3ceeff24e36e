"""Buys below the average of 20 days, sells above."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Reversion(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for symbol in data:
            closes = data.history("close", 20, symbol)
            off = (closes[-1] - closes.mean()) / closes.std()
            has = broker.get_position(symbol) is not None
            if off < -1.5 and not has:
                broker.order_target_percent(symbol, 0.2)
            elif off > 0.5 and has:
                broker.close_position(symbol)


def build() -> dict[str, Any]:
    recent = datasets.us_equity_daily().filter(pl.col("session") >= pl.date(2009, 1, 1))
    return {
        "strategy": Reversion,
        "data": DataFeed(recent, stamp="session"),
    }
