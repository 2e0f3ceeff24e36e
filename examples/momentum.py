"""Twelve-minus-one-month momentum, rebalanced monthly: Jegadeesh and Titman (1993), on five stocks."""

from __future__ import annotations

import numpy as np

from ml4t.backtest import Strategy, schedule

MONTH = 21
YEAR = 252


class Momentum(Strategy):
    """Hold the stocks that rose most over the year before the last month, in equal parts.

    The signal is a ratio of two adjusted closes, both known; later splits and dividends scale both alike and
    cancel. Orders meet raw prices at the next open.

    Parameters
    ----------
    holdings : int
        How many stocks to hold at most; only those that rose are bought.
    invested : float
        Part of equity that is invested; the rest pays for gaps between decision and fill.
    """

    def __init__(self, holdings: int = 2, invested: float = 0.97) -> None:
        self.holdings = holdings
        self.invested = invested

    def on_start(self) -> None:
        """Rebalance after the last close of every month."""
        self.schedule(rule=schedule.month_end())

    def on_rebalance_trigger(self) -> None:
        """Rank, select, send the basket."""
        closes = self.data.history("adj_close", YEAR + 1)
        momentum = closes[-1 - MONTH] / closes[0] - 1.0
        ranked = sorted(zip(momentum, self.data.symbols, strict=True), reverse=True)
        chosen = [symbol for value, symbol in ranked if not np.isnan(value) and value > 0][: self.holdings]
        self.broker.order_target_weights({symbol: self.invested / self.holdings for symbol in chosen})
        self.record(holdings=len(chosen))
