"""The level of a price that is adjusted for splits and dividends to come."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = True
KIND = "future_data"


class Cheap(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        hold(broker, "AAPL", wanted=data["AAPL"]["adj_close"] < 20)


def hold(broker: Any, symbol: str, *, wanted: bool) -> None:
    has = broker.get_position(symbol) is not None
    if wanted != has and not broker.open_orders:
        broker.order_target_percent(symbol, 0.9 if wanted else 0.0)


def build() -> dict[str, Any]:
    return {
        "strategy": Cheap,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["AAPL"]),
    }
