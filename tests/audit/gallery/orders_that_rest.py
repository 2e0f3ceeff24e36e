"""Limit orders that are changed and canceled, exits by rules, splits on the way."""

# ruff: noqa: ANN401 - what the engine hands over

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets

LEAKS = False


class Resting(Strategy):
    def on_start(self) -> None:
        self.days = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.days += 1
        close = data["AAPL"]["close"]
        if broker.open_orders:
            order = broker.open_orders[0]
            if self.days % 3:
                broker.modify_order(order, limit_price=round(close * 0.99, 2))
            else:
                order.cancel()
        elif broker.get_position("AAPL") is None:
            terms = {"order_type": "limit", "limit_price": round(close * 0.98, 2), "time_in_force": "gtc"}
            broker.submit_order("AAPL", side="buy", quantity=100, **terms)
        elif self.days % 7 == 0:
            broker.close_position("AAPL")


def build() -> dict[str, Any]:
    return {
        "strategy": Resting,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["AAPL"]),
        "actions": datasets.us_equity_actions(),
    }
