"""Chance that nobody seeded."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "not_repeatable"

DICE = np.random.default_rng()


class Gambler(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "IBM", wanted=bool(DICE.random() < 0.5))


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Gambler,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"]),
    }
