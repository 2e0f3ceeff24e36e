"""Scales by mean and deviation of all closes so far."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Expanding(Strategy):
    def on_start(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        close = data["IBM"]["close"]
        self.count += 1
        step = close - self.mean
        self.mean += step / self.count
        self.squares += step * (close - self.mean)
        if self.count > 250:
            score = (close - self.mean) / (self.squares / self.count) ** 0.5
            self.record(score=score)
            hold(broker, "IBM", wanted=score < 0)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Expanding,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"]),
    }
