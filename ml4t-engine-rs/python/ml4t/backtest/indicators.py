"""Streaming indicators: O(1) per update, NaN until warm, so that comparisons with them are False.

Each has `update(...)`, `.value`, `.ready`, `reset()`, and `over(array)` for many values at once. A NaN input
answers NaN and changes nothing. `Strategy.track` has the engine keep one up to date for every instrument.

Examples
--------
>>> from ml4t.backtest.indicators import SMA
>>> average = SMA(period=3)
>>> [average.update(x) for x in (1.0, 2.0, 3.0, 4.0)]
[nan, nan, 2.0, 3.0]
>>> average.ready
True
"""

from __future__ import annotations

from ml4t.engine._engine import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    Bollinger,
    IndicatorColumn,
    RollingStd,
)

__all__ = ["ATR", "EMA", "MACD", "RSI", "SMA", "Bollinger", "IndicatorColumn", "RollingStd"]
