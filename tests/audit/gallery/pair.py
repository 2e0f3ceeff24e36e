"""Trades the spread of two shares by its last 60 days."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Pair(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        spread = np.log(data.history("close", 60, "IBM") / data.history("close", 60, "MSFT"))
        score = (spread[-1] - spread.mean()) / spread.std()
        if abs(score) > 2 and not broker.positions and not broker.open_orders:
            side = -1 if score > 0 else 1
            broker.order_target_percent("IBM", 0.3 * side)
            broker.order_target_percent("MSFT", -0.3 * side)
        elif abs(score) < 0.3:
            for symbol in list(broker.positions):
                broker.close_position(symbol)


def build() -> dict[str, Any]:
    return {
        "strategy": Pair,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM", "MSFT"]),
    }
