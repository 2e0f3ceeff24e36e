"""Short scripts on short markets, for tests that run on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Strategy

ENGINES = pytest.mark.parametrize("engine", ["rust", "reference"])
Action = Callable[[Any], object]


def days(*bars: tuple[float, float, float, float], symbol: str = "A") -> pl.DataFrame:
    """Return days of a market that never closes: open, high, low, close."""
    rows = [
        {"symbol": symbol, "session": dt.date(2024, 1, 1) + dt.timedelta(days=n), "volume": 1e6}
        | dict(zip(("open", "high", "low", "close"), map(float, prices), strict=True))
        for n, prices in enumerate(bars)
    ]
    return pl.DataFrame(rows)


def play(
    engine: str,
    feed: DataFeed,
    steps: dict[int, Action],
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run steps by the number of the call of `on_data`."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](self)
            self.calls += 1

    config = {"backtest": {"engine": engine}, "broker": broker}
    return Engine(feed, Script, config=config).run()


def feed_of(frame: pl.DataFrame, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(frame, stamp="session", calendar="24/7", **options)
