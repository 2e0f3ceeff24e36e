from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml4t.backtest import datasets
from ml4t.backtest.calendars import SessionTable, session_table
from ml4t.backtest.data import DataFeed, assemble
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument
from ml4t.core.types import AssetClass

NEW_YORK = ZoneInfo("America/New_York")


def daily(symbol: str, days: list[dt.date], price: float = 10.0) -> pl.DataFrame:
    return pl.DataFrame(
        {"session": days, "symbol": symbol, "open": price, "high": price, "low": price, "close": price}
    )


def minutes(symbol: str, first: dt.datetime, count: int, price: float = 10.0) -> pl.DataFrame:
    stamps = [first.astimezone(dt.UTC) + dt.timedelta(minutes=n) for n in range(count)]
    return pl.DataFrame(
        {"timestamp": stamps, "symbol": symbol, "open": price, "high": price, "low": price, "close": price}
    )


WEEK = [dt.date(2012, 7, day) for day in (2, 3, 5, 6, 9)]


def test_the_universe_is_sorted_by_symbol_and_ids_follow(prices: pl.DataFrame) -> None:
    data = assemble(DataFeed(prices, stamp="session"))
    assert data.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    frame = data.feeds[0].frame
    named = frame.with_columns(symbol=pl.col("instrument").replace_strict(dict(enumerate(data.symbols))))
    assert named["symbol"].to_list() == prices["symbol"].to_list()
    assert frame["ts_event"].is_sorted()
    assert data.matching == (0, 0, 0, 0, 0)
    assert data.nav_calendar == "XNYS"


def test_the_order_of_rows_feeds_and_instruments_changes_nothing(
    prices: pl.DataFrame, rng: np.random.Generator
) -> None:
    parts = [prices.filter(pl.col("symbol") == name) for name in ("MSFT", "AAPL", "IBM")]
    instruments = [Instrument(name, tick_size="0.05") for name in ("IBM", "MSFT")]
    one = assemble(
        [DataFeed(part, name=f"f{n}", stamp="session") for n, part in enumerate(parts)],
        instruments=instruments,
    )
    shuffled = [part[rng.permutation(part.height)] for part in parts]
    feeds = [DataFeed(part, name=f"f{n}", stamp="session") for n, part in enumerate(shuffled)]
    other = assemble(feeds[::-1], instruments=instruments[::-1])
    assert other.instruments == one.instruments
    assert other.matching == one.matching == (1, 2, 0)
    for left, right in zip(one.feeds, other.feeds, strict=True):
        assert left.name == right.name
        assert_frame_equal(left.frame, right.frame)


def test_new_york_chicago_and_crypto_share_one_time_line(ns: Callable[[str], int]) -> None:
    """Shares, an overnight future and a coin over a holiday and a weekend."""
    shares = DataFeed(daily("IBM", WEEK), name="shares", stamp="session")
    oil = DataFeed(
        daily("CL", [dt.date(2012, 7, day) for day in (2, 3, 4, 5, 6, 9)]),
        name="oil",
        stamp="session",
        calendar="CMEGlobex_CL",
        instrument_defaults={"asset_class": AssetClass.FUTURE, "multiplier": 1000},
    )
    coin = DataFeed(
        daily("BTC", [dt.date(2012, 7, day) for day in range(2, 10)]),
        name="coin",
        stamp="session",
        calendar="24/7",
        instruments=[Instrument.fractional("BTC", calendar="24/7", asset_class=AssetClass.CRYPTO)],
    )
    data = assemble([coin, oil, shares], nav_calendar="XNYS")
    assert data.symbols == ("BTC", "CL", "IBM")
    assert [table.name for table in data.feeds] == ["coin", "oil", "shares"]
    assert [table.name for table in data.calendars] == ["24/7", "CMEGlobex_CL", "XNYS"]
    assert data.matching == (0, 1, 2)
    assert data.instruments[1].multiplier == 1000
    firsts = {table.name: table.frame.row(0, named=True) for table in data.feeds}
    assert firsts["coin"]["ts_open"] == ns("2012-07-02T00:00:00+00:00")
    assert firsts["coin"]["ts_event"] == ns("2012-07-03T00:00:00+00:00")
    assert firsts["oil"]["ts_open"] == ns("2012-07-01T17:00:00-05:00")
    assert firsts["oil"]["ts_event"] == ns("2012-07-02T16:00:00-05:00")
    assert firsts["shares"]["ts_open"] == ns("2012-07-02T09:30:00-04:00")
    # On the holiday the future traded to noon Chicago and New York did not.
    assert [gap for table in data.feeds for gap in table.report.gaps] == []
    assert data.span_ns == (ns("2012-07-01T17:00:00-05:00"), ns("2012-07-10T00:00:00+00:00"))
    with pytest.raises(
        DataError, match="the instruments have the calendars 24/7, CMEGlobex_CL, XNYS, so nav_calendar"
    ):
        assemble([coin, oil, shares])


def test_one_feed_may_hold_instruments_of_several_calendars(ns: Callable[[str], int]) -> None:
    frame = pl.concat([daily("IBM", WEEK), daily("BTC", WEEK), daily("CL", WEEK)])
    instruments = [Instrument("BTC", calendar="24/7"), Instrument("CL", calendar="CMEGlobex_CL")]
    data = assemble(DataFeed(frame, stamp="session", instruments=instruments), nav_calendar="24/7")
    opens = {
        data.symbols[row["instrument"]]: row["ts_open"]
        for row in data.feeds[0].frame.sort("ts_event", descending=True).iter_rows(named=True)
    }
    assert opens == {
        "BTC": ns("2012-07-02T00:00:00+00:00"),
        "CL": ns("2012-07-01T17:00:00-05:00"),
        "IBM": ns("2012-07-02T09:30:00-04:00"),
    }


def test_dates_select_sessions_by_label_even_overnight(ns: Callable[[str], int]) -> None:
    """Monday the 9th of a Chicago future begins on Sunday evening; in New York it begins on Monday."""
    sunday = dt.datetime(2012, 7, 8, 16, 58, tzinfo=ZoneInfo("America/Chicago"))
    oil = DataFeed(minutes("CL", sunday, 4), name="oil", stamp="open", interval="1m", calendar="CMEGlobex_CL")
    data = assemble(oil, start="2012-07-09")
    assert data.feeds[0].frame["ts_open"].to_list() == [
        ns("2012-07-08T17:00:00-05:00"),
        ns("2012-07-08T17:01:00-05:00"),
    ]
    before = assemble(oil, end="2012-07-08")
    assert before.feeds[0].frame["ts_event"].max() == ns("2012-07-08T17:00:00-05:00")


def test_instants_select_whole_bars(ns: Callable[[str], int]) -> None:
    first = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)
    feed = DataFeed(minutes("IBM", first, 10), stamp="open", interval="1m")
    data = assemble(feed, start="2012-07-03T10:02:30-04:00", end=first + dt.timedelta(minutes=5))
    frame = data.feeds[0].frame
    assert frame["ts_open"].min() == ns("2012-07-03T10:03:00-04:00")
    assert frame["ts_event"].max() == ns("2012-07-03T10:05:00-04:00")


@given(st.dates(dt.date(2000, 3, 1), dt.date(2013, 3, 1)), st.integers(0, 800))
def test_a_range_of_dates_is_the_filtered_whole(first: dt.date, days: int) -> None:
    frame = datasets.us_equity_daily()
    last = first + dt.timedelta(days=days)
    wanted = frame.filter(pl.col("session").is_between(first, last))
    feed = DataFeed.from_parquet(datasets.path("us_equity_daily"), stamp="session")
    if not wanted.height:
        with pytest.raises(DataError, match="there are no rows between"):
            assemble(feed, start=first, end=last)
        return
    table = assemble(feed, start=first, end=last).feeds[0].frame
    assert table["close"].to_list() == wanted["close"].to_list()


def test_quotes_trades_bars_and_context_come_in_this_order_finest_bars_first() -> None:
    at = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK).astimezone(dt.UTC)
    tick = pl.DataFrame(
        {"timestamp": [at], "symbol": "IBM", "price": 1.0, "bid_price": 1.0, "ask_price": 1.0}
    )
    feeds = [
        DataFeed(tick.drop("symbol"), name="a", kind="context", stamp="event"),
        DataFeed(daily("IBM", WEEK), name="b", stamp="session"),
        DataFeed(minutes("IBM", at, 1), name="d", stamp="open", interval="1m", matches_orders=True),
        DataFeed(minutes("IBM", at, 1), name="c", stamp="open", interval="1m"),
        DataFeed(tick, name="e", kind="trade", stamp="event"),
        DataFeed(tick, name="f", kind="quote", stamp="event"),
    ]
    data = assemble(feeds)
    assert [table.name for table in data.feeds] == ["f", "e", "c", "d", "b", "a"]
    assert [table.interval_ns for table in data.feeds] == [
        None,
        None,
        60 * 10**9,
        60 * 10**9,
        86400 * 10**9,
        None,
    ]
    assert data.feeds[data.matching[0]].name == "d"


def test_an_instrument_in_two_feeds_needs_one_matching_source() -> None:
    first = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)

    def feeds(**slow: object) -> list[DataFeed]:
        return [
            DataFeed(minutes("IBM", first, 3), name="fast", stamp="open", interval="1m"),
            DataFeed(daily("IBM", WEEK), name="slow", stamp="session", **slow),  # type: ignore[arg-type]
        ]

    with pytest.raises(DataError, match="IBM is in the feeds fast, slow, and orders are matched against one"):
        assemble(feeds())
    assert assemble(feeds(matches_orders=True)).matching == (1,)
    assert assemble(feeds(matches_orders=False)).matching == (0,)
    named = [Instrument("IBM", matching_source="slow")]
    assert assemble(feeds(), instruments=named).matching == (1,)
    # What the instrument says wins over what the feed says.
    assert assemble(feeds(matches_orders=False), instruments=named).matching == (1,)
    with pytest.raises(
        DataError, match="IBM: matching_source 'slaw' is no feed that has it; did you mean 'slow'"
    ):
        assemble(feeds(), instruments=[Instrument("IBM", matching_source="slaw")])


def test_a_declared_instrument_that_no_feed_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"instruments declares 'IBN', which no feed has; did you mean 'IBM'\? Known: IBM"
    ):
        assemble(DataFeed(daily("IBM", WEEK), stamp="session"), instruments=[Instrument("IBN")])


def test_a_declared_instrument_without_rows_in_the_range_stays_in_the_universe(prices: pl.DataFrame) -> None:
    feed = DataFeed(prices, stamp="session")
    plain = assemble(feed, end="2003-12-31")
    assert plain.symbols == ("AAPL", "IBM", "MSFT")
    declared = assemble(feed, end="2003-12-31", instruments=[Instrument("FB")])
    assert declared.symbols == ("AAPL", "FB", "IBM", "MSFT")
    assert declared.matching == (0, 0, 0, 0)
    chosen = assemble(DataFeed(prices, stamp="session", symbols=["FB", "IBM"]), end="2003-12-31")
    assert chosen.symbols == ("FB", "IBM")
    assert chosen.feeds[0].report.notes == ("no rows in the range: FB",)


def test_two_definitions_of_one_instrument_are_refused() -> None:
    feeds = [
        DataFeed(daily("IBM", WEEK), name="a", stamp="session"),
        DataFeed(daily("IBM", WEEK), name="b", stamp="session", currency="EUR", matches_orders=True),
    ]
    with pytest.raises(DataError, match="instrument IBM is defined twice, differently"):
        assemble(feeds)
    with pytest.raises(DataError, match="key 'X' names an instrument of symbol 'IBM'"):
        assemble(feeds[0], instruments={"X": Instrument("IBM")})


def test_a_declared_instrument_settles_what_its_feeds_would_build_differently() -> None:
    feeds = [
        DataFeed(daily("IBM", WEEK), name="a", stamp="session", matches_orders=True),
        DataFeed(daily("IBM", WEEK), name="b", stamp="session", currency="EUR"),
    ]
    assert assemble(feeds, instruments=[Instrument("IBM", currency="GBP")]).instruments[0].currency == "GBP"


def test_instrument_defaults_that_no_instrument_has_are_refused() -> None:
    with pytest.raises(DataError, match=r"instrument_defaults of IBM: .*tick"):
        assemble(DataFeed(daily("IBM", WEEK), stamp="session", instrument_defaults={"tick": 1}))
    with pytest.raises(
        DataError, match=r"the instrument 'IBM' cannot be built from the feed's defaults: .*tick_size"
    ):
        assemble(DataFeed(daily("IBM", WEEK), stamp="session", instrument_defaults={"tick_size": -1}))


def test_two_feeds_of_one_name_are_refused() -> None:
    feeds = [DataFeed(daily("IBM", WEEK), stamp="session"), DataFeed(daily("GE", WEEK), stamp="session")]
    with pytest.raises(DataError, match="two feeds are called 'prices'"):
        assemble(feeds)


def test_session_tables_reach_beyond_the_data_on_both_sides() -> None:
    data = assemble(DataFeed(daily("IBM", WEEK), stamp="session"))
    labels = data.calendars[0].frame["label"]
    assert labels[0] < dt.date(2012, 6, 1)
    assert labels[-1] > dt.date(2012, 8, 9)


def test_the_nav_calendar_may_be_one_that_no_instrument_has() -> None:
    data = assemble(DataFeed(daily("IBM", WEEK), stamp="session"), nav_calendar="weekdays")
    assert data.nav_calendar == "weekdays"
    assert [table.name for table in data.calendars] == ["XNYS", "weekdays"]
    with pytest.raises(DataError, match="calendar 'XNYC' is not known"):
        assemble(DataFeed(daily("IBM", WEEK), stamp="session"), nav_calendar="XNYC")


def test_a_calendar_of_ones_own_wins_over_the_library(ns: Callable[[str], int]) -> None:
    class Mornings:
        name = "XNYS"
        timezone = "America/New_York"

        def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
            table = session_table("XNYS", start, end)
            return [(label, opens, opens + 3600 * 10**9) for label, opens, _ in table.frame.iter_rows()]

    data = assemble(DataFeed(daily("IBM", WEEK), stamp="session"), calendars=[Mornings()])
    assert data.feeds[0].frame["ts_event"][0] == ns("2012-07-02T10:30:00-04:00")
    fixed = SessionTable(
        name="only",
        timezone="UTC",
        frame=pl.DataFrame(
            {"label": WEEK, "open_ns": range(0, 50, 10), "close_ns": range(5, 55, 10)}
        ).with_columns(pl.col("open_ns", "close_ns") + ns("2012-07-02T00:00:00+00:00")),
    )
    feed = DataFeed(daily("IBM", WEEK), stamp="session", calendar="only")
    assert (
        assemble(feed, calendars=[fixed]).feeds[0].frame["ts_event"][0] == ns("2012-07-02T00:00:00+00:00") + 5
    )


def test_assembling_twice_gives_the_same_and_leaves_the_feed_as_it_was(
    prices: pl.DataFrame, tmp_path: Path
) -> None:
    prices.write_parquet(tmp_path / "p.parquet")
    feed = DataFeed(tmp_path / "p.parquet", stamp="session")
    narrow = assemble(feed, start="2012-01-01", end="2012-01-31")
    wide = assemble(feed)
    again = assemble(feed, start="2012-01-01", end="2012-01-31")
    assert wide.feeds[0].frame.height == 12_154
    assert_frame_equal(narrow.feeds[0].frame, again.feeds[0].frame)


def test_rows_in_any_order_are_cut_to_the_range(prices: pl.DataFrame, rng: np.random.Generator) -> None:
    shuffled = prices[rng.permutation(prices.height)]
    for run in ({"start": "2008-01-01", "end": "2008-12-31"}, {"start": "2008-01-01"}, {"end": "2008-12-31"}):
        expected = assemble(DataFeed(prices, stamp="session"), **run).feeds[0].frame
        assert_frame_equal(assemble(DataFeed(shuffled, stamp="session"), **run).feeds[0].frame, expected)


@pytest.mark.parametrize("form", ["naive", "utc", "local", "integer", "text"])
def test_a_range_reads_stamps_of_every_form(form: str) -> None:
    first = dt.datetime(2012, 6, 1, 10, 0, tzinfo=NEW_YORK)
    frame = pl.concat([minutes("IBM", first + dt.timedelta(days=n), 3) for n in range(0, 60, 7)])
    local = pl.col("timestamp").dt.convert_time_zone("America/New_York")
    stamp = {
        "naive": local.dt.replace_time_zone(None),
        "utc": pl.col("timestamp"),
        "local": local,
        "integer": pl.col("timestamp").dt.epoch("ns"),
        "text": local.dt.to_string("%Y-%m-%dT%H:%M:%S%:z"),
    }[form]
    zone = "America/New_York" if form == "naive" else None
    feed = DataFeed(frame.with_columns(timestamp=stamp), stamp="open", interval="1m", timezone=zone)
    run = {"start": "2012-06-08", "end": "2012-06-22"}
    expected = assemble(DataFeed(frame, stamp="open", interval="1m"), **run).feeds[0].frame
    assert expected.height == 9
    assert_frame_equal(assemble(feed, **run).feeds[0].frame, expected)


def test_a_run_without_instruments_or_without_a_matching_feed_is_refused() -> None:
    at = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)
    context = DataFeed(pl.DataFrame({"timestamp": [at], "vix": [15.0]}), kind="context", stamp="event")
    with pytest.raises(DataError, match="context feeds alone make no run"):
        assemble(context)
    with pytest.raises(
        DataError, match=r"IBM: every feed that has it \(prices\) declares matches_orders=False"
    ):
        assemble(DataFeed(daily("IBM", WEEK), stamp="session", matches_orders=False))


def test_instruments_may_be_given_by_symbol() -> None:
    feed = DataFeed(
        daily("IBM", WEEK), stamp="session", instruments={"IBM": Instrument("IBM", currency="EUR")}
    )
    assert assemble(feed).instruments[0].currency == "EUR"
    assert feed.report.symbols == ("IBM",)


def test_a_feed_without_rows_in_the_range_is_refused_even_beside_others(prices: pl.DataFrame) -> None:
    feeds = [DataFeed(prices, stamp="session"), DataFeed(daily("BTC", WEEK), name="late", stamp="session")]
    with pytest.raises(
        DataError, match=r"feed late: there are no rows between the beginning and 2011-12-31; .*leave"
    ):
        assemble(feeds, end="2011-12-31")
