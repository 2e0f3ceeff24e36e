"""Keeps the highest close of each share, and forgets it at the start of a run."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Highest(Strategy):
    highest: dict[str, float] = {}  # noqa: RUF012 - replaced in on_start

    def on_start(self) -> None:
        self.highest = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for symbol in data:
            close = data[symbol]["close"]
            if close > self.highest.get(symbol, 0.0):
                self.highest[symbol] = close
            elif broker.get_position(symbol) is None and close < 0.9 * self.highest[symbol]:
                broker.order_target_percent(symbol, 0.15)
            elif broker.get_position(symbol) is not None and close > 0.97 * self.highest[symbol]:
                broker.close_position(symbol)


def build() -> dict[str, Any]:
    return {"strategy": Highest, "data": DataFeed(datasets.us_equity_daily(), stamp="session")}
