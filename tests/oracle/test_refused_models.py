"""A cap on an average of volumes is refused where orders meet quotes, by both engines in the same words."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Strategy
from ml4t.core.errors import ConfigError

from .play import ENGINES, hours, run

CAP = {"type": "Default", "volume_limit": 0.1}
AVERAGE = CAP | {"average_days": 2}
SAID = (
    "A: its orders meet quotes, which have no volume, and the fill model asks for the average volume of a "
    "day (average_days); use a cap of the size shown"
)


class Waits(Strategy):
    def on_data(self, timestamp: object, data: object, context: object, broker: object) -> None:
        pass


def quotes(*, matches_orders: bool | None = None) -> DataFeed:
    """Return a quote of A."""
    sides = {"bid_price": [9.9], "ask_price": [10.1], "bid_size": [100.0], "ask_size": [100.0]}
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": [dt.datetime(2024, 1, 2, 1, tzinfo=dt.UTC)], **sides})
    return DataFeed(
        frame, name="quotes", kind="quote", stamp="event", calendar="24/7", matches_orders=matches_orders
    )


def prints(*, matches_orders: bool | None = None) -> DataFeed:
    """Return a print of A, after its quote."""
    when = [dt.datetime(2024, 1, 2, 2, tzinfo=dt.UTC)]
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": when, "price": [10.0], "size": [100.0]})
    return DataFeed(
        frame, name="prints", kind="trade", stamp="event", calendar="24/7", matches_orders=matches_orders
    )


def bars(*, matches_orders: bool | None = None) -> DataFeed:
    """Return an hour of A."""
    return DataFeed(
        hours((10, 10, 10, 10)),
        name="bars",
        stamp="close",
        interval="1h",
        calendar="24/7",
        matches_orders=matches_orders,
    )


@ENGINES
@pytest.mark.parametrize(
    "beside",
    [[], [prints(matches_orders=False)], [bars(matches_orders=False)]],
    ids=["alone", "prints", "bars"],
)
def test_an_average_is_refused_where_orders_meet_quotes(engine: str, beside: list[DataFeed]) -> None:
    feeds = [quotes(matches_orders=True), *beside]
    with pytest.raises(ConfigError) as refused:
        run(engine, feeds, Waits, fill_model=AVERAGE)
    assert SAID in str(refused.value)


@ENGINES
def test_quotes_take_a_cap_of_the_size_shown(engine: str) -> None:
    assert run(engine, quotes(), Waits, fill_model=CAP).fills.is_empty()


@ENGINES
@pytest.mark.parametrize("feed", [bars, prints])
def test_an_average_is_taken_where_quotes_are_only_data_to_read(engine: str, feed: type[DataFeed]) -> None:
    feeds = [quotes(matches_orders=False), feed(matches_orders=True)]
    assert run(engine, feeds, Waits, fill_model=AVERAGE).fills.is_empty()
