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
NAMES = ("open", "high", "low", "close")


def at(hour: int, minute: int = 0) -> dt.datetime:
    """Return a time of 2 January 2024."""
    return dt.datetime(2024, 1, 2, hour, minute, tzinfo=dt.UTC)


ONE = at(1)


# -- markets -------------------------------------------------------------------------------------------------


def days(*bars: tuple[float, float, float, float], symbol: str = "A") -> pl.DataFrame:
    """Return days of a market that never closes: open, high, low, close."""
    rows = [
        {"symbol": symbol, "session": dt.date(2024, 1, 1) + dt.timedelta(days=n), "volume": 1e6}
        | dict(zip(NAMES, map(float, prices), strict=True))
        for n, prices in enumerate(bars)
    ]
    return pl.DataFrame(rows)


def flat(*prices: float, symbol: str = "A") -> pl.DataFrame:
    """Return days that never leave their price."""
    return days(*((price,) * 4 for price in prices), symbol=symbol)


def hours(
    *bars: tuple[float, float, float, float], first: dt.datetime = ONE, volume: float = 1e6
) -> pl.DataFrame:
    """Return hours of A, open, high, low and close; the first ends at `first`."""
    rows = [
        {"symbol": "A", "ts_event": first + dt.timedelta(hours=n), "volume": float(volume)}
        | dict(zip(NAMES, map(float, prices), strict=True))
        for n, prices in enumerate(bars)
    ]
    return pl.DataFrame(rows)


def split(ratio: str) -> pl.DataFrame:
    """Return the actions of a market in which A splits on 3 January."""
    return pl.DataFrame(
        {"symbol": ["A"], "ex_date": [dt.date(2024, 1, 3)], "kind": ["split"], "ratio": [ratio]}
    )


def feed_of(frame: pl.DataFrame, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(frame, stamp="session", calendar="24/7", **options)


def hourly(frame: pl.DataFrame, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(frame, stamp="close", interval="1h", calendar="24/7", **options)


def clock(*times: dt.datetime, price: float = 1.0, interval: str = "1m") -> DataFeed:
    """Return bars of B that end at these times, to call the strategy inside the bars of A."""
    rows = {"symbol": "B", "ts_event": list(times), "volume": 1e6} | dict.fromkeys(NAMES, price)
    return DataFeed(pl.DataFrame(rows), name="clock", stamp="close", interval=interval, calendar="24/7")


# -- scripts -------------------------------------------------------------------------------------------------


def run(
    engine: str,
    feeds: DataFeed | list[DataFeed],
    strategy: type[Strategy],
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    config = {"backtest": {"engine": engine}, "broker": broker}
    return Engine(feeds, strategy, config=config).run()


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

    return run(engine, feed, Script, **broker)
