"""Fits a regression again each month, on the year before."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t.backtest import DataFeed, Strategy, datasets, schedule

LEAKS = False


class WalkForward(Strategy):
    def on_start(self) -> None:
        self.slope, self.intercept = 0.0, 0.0
        self.schedule(self.fit, rule=schedule.month_end())

    def fit(self) -> None:
        closes = self.data.history("close", 252, "AAPL")
        returns = closes[1:] / closes[:-1] - 1.0
        if np.isfinite(returns).all():
            self.slope, self.intercept = np.polyfit(returns[:-1], returns[1:], 1)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        before, now = data.history("close", 2, "AAPL")
        hold(broker, "AAPL", wanted=bool(self.intercept + self.slope * (now / before - 1.0) > 0))


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": WalkForward,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["AAPL"]),
    }
