"""Short markets and short scripts, for tests of orders that are worked by hand.

Most cases play on the bar of `docs/concepts/fills-on-bars.md`: a flat day at 100.00 on which the order is
sent, then open 100.00, high 103.00, low 97.00, close 101.00. The market never closes; sessions end at
midnight.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Engine, Results, Strategy

Action = Callable[[Any], object]
FLAT = (100, 100, 100, 100)
BAR = (100, 103, 97, 101)
DAY = dt.date(2024, 1, 1)
START = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
NAMES = ("open", "high", "low", "close", "volume")

IF_TOUCHED = {"order_type": "market_if_touched"}
LIMIT_TOUCHED = {"order_type": "limit_if_touched"}
TRAILING = {"order_type": "trailing_stop"}
TRAILING_LIMIT = {"order_type": "trailing_stop_limit"}


def at(day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, hour, minute, tzinfo=dt.UTC)


# -- markets -------------------------------------------------------------------------------------------------


def days(*bars: tuple[float, ...], symbol: str = "A") -> pl.DataFrame:
    """Return daily bars: open, high, low, close and, where given, volume."""
    return pl.DataFrame(
        [
            {"symbol": symbol, "session": DAY + dt.timedelta(days=n), "volume": 1e6}
            | dict(zip(NAMES, map(float, prices), strict=False))
            for n, prices in enumerate(bars)
        ]
    )


def feed_of(frame: pl.DataFrame, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(frame, stamp="session", calendar="24/7", **options)


def daily(*bars: tuple[float, ...], **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return feed_of(days(*bars), **options)


def hourly(*bars: tuple[float, ...], start: dt.datetime = START) -> DataFeed:
    rows = [
        {"symbol": "A", "timestamp": start + dt.timedelta(hours=n), "volume": 1e6}
        | dict(zip(NAMES, map(float, prices), strict=False))
        for n, prices in enumerate(bars)
    ]
    return DataFeed(pl.DataFrame(rows), stamp="open", interval="1h", calendar="24/7")


def quotes(*sides: tuple[float | None, float | None], step: int = 60, start: dt.datetime = START) -> DataFeed:
    """Return quotes, bid and ask, so many minutes apart."""
    rows = [
        {
            "symbol": "A",
            "timestamp": start + dt.timedelta(minutes=step * n),
            "bid_price": bid,
            "ask_price": ask,
            "bid_size": 1e6,
            "ask_size": 1e6,
        }
        for n, (bid, ask) in enumerate(sides)
    ]
    schema = {"symbol": pl.String, "timestamp": pl.Datetime("ns", "UTC"), "bid_price": pl.Float64}
    schema |= {"ask_price": pl.Float64, "bid_size": pl.Float64, "ask_size": pl.Float64}
    return DataFeed(pl.DataFrame(rows, schema=schema), kind="quote", stamp="event", calendar="24/7")


def prints(*prices: float, step: int = 60, start: dt.datetime = START) -> DataFeed:
    """Return prints, so many minutes apart."""
    rows = [
        {
            "symbol": "A",
            "timestamp": start + dt.timedelta(minutes=step * n),
            "price": float(price),
            "size": 1e6,
        }
        for n, price in enumerate(prices)
    ]
    return DataFeed(pl.DataFrame(rows), kind="trade", stamp="event", calendar="24/7")


def clock(time: dt.datetime) -> DataFeed:
    """Return one print of B, to call the strategy inside a bar of A."""
    frame = pl.DataFrame({"symbol": ["B"], "timestamp": [time], "price": [1.0], "size": [1.0]})
    return DataFeed(frame, name="clock", kind="trade", stamp="event", calendar="24/7")


def split_in_two(day: dt.date) -> pl.DataFrame:
    """Return the actions of a market in which a share of A becomes two."""
    return pl.DataFrame({"symbol": ["A"], "ex_date": [day], "kind": ["split"], "ratio": ["2"]})


# -- scripts -------------------------------------------------------------------------------------------------


def play(feed: DataFeed | list[DataFeed], steps: dict[int, Action], **broker: Any) -> Results:  # noqa: ANN401
    """Run steps by the number of the call of `on_data`; short positions are allowed unless said otherwise."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](self)
            self.calls += 1

    config = {"backtest": {"engine": "reference"}, "broker": {"allows_short": True, "leverage": 4} | broker}
    return Engine(feed, Script, config=config).run()


def in_turn(*steps: Action) -> dict[int, Action]:
    """Return one step for each call, from the first on."""
    return dict(enumerate(steps))


def send(side: str, quantity: float = 10, **terms: Any) -> Action:  # noqa: ANN401 - of `OrderTerms`
    return lambda now: getattr(now.broker, side)("A", quantity, **terms)


def fills(results: Results) -> list[tuple[Any, ...]]:
    return results.fills.select("price", "quantity").rows()


def ends(results: Results) -> list[tuple[Any, ...]]:
    return results.orders.select("status", "reason_code").rows()
