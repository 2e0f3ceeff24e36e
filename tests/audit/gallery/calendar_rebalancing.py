"""Equal parts, restored at the end of each quarter's months."""

from __future__ import annotations

from typing import Any

from ml4t.backtest import DataFeed, Strategy, datasets, schedule

LEAKS = False


class Quarterly(Strategy):
    def on_start(self) -> None:
        self.schedule(rule=schedule.month_end())

    def on_rebalance_trigger(self) -> None:
        if self.data.timestamp.month % 3 == 0:
            known = [symbol for symbol in self.data.symbols if self.data.get_latest_price(symbol) is not None]
            self.broker.order_target_weights({symbol: 0.95 / len(known) for symbol in known})
            self.log(f"restored {len(known)}")


def build() -> dict[str, Any]:
    return {
        "strategy": Quarterly,
        "data": DataFeed(datasets.us_equity_daily(), stamp="session"),
        "actions": datasets.us_equity_actions(),
    }
