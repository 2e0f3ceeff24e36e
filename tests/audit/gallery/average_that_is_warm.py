"""An average over 150 days that begins at the first close, used after a thousand."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Average(Strategy):
    def __init__(self) -> None:
        self.slow = float("nan")
        self.seen = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        close = data["IBM"]["close"]
        self.seen += 1
        self.slow = close if self.seen == 1 else self.slow + (close - self.slow) * 2 / 151
        if self.seen > 1000:
            hold(broker, "IBM", wanted=close > self.slow)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Average,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"]),
    }
