"""What a run has seen stays in a dictionary of the class, and the next run finds it."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "state_between_runs"


class Cached(Strategy):
    highest: dict[str, float] = {}  # noqa: RUF012 - the mistake

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for symbol in data:
            close = data[symbol]["close"]
            if close > self.highest.get(symbol, 0.0):
                self.highest[symbol] = close
            elif broker.get_position(symbol) is None and not broker.open_orders:
                broker.order_target_percent(symbol, 0.2)


def build() -> dict[str, Any]:
    return {"strategy": Cached, "data": DataFeed(datasets.us_equity_daily(), stamp="session")}
