"""Twelve-minus-one-month momentum on ratios of adjusted prices."""

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets, schedule

LEAKS = False


class Momentum(Strategy):
    def on_start(self) -> None:
        self.schedule(rule=schedule.month_end())

    def on_rebalance_trigger(self) -> None:
        closes = self.data.history("adj_close", 253)
        gains = closes[-22] / closes[0] - 1.0
        ranked = sorted(zip(gains, self.data.symbols, strict=True), reverse=True)
        chosen = [symbol for gain, symbol in ranked if gain > 0][:2]
        self.broker.order_target_weights({symbol: 0.48 for symbol in chosen})
        self.record(holdings=len(chosen))


def build() -> dict[str, Any]:
    return {
        "strategy": Momentum,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session"),
        "actions": datasets.us_equity_actions(),
    }
