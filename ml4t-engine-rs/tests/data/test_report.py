from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import polars as pl

from ml4t.backtest.data import DataFeed, assemble

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3600 * 10**9


def test_the_report_counts_rows_symbols_and_span(prices: pl.DataFrame, ns: Callable[[str], int]) -> None:
    report = DataFeed(prices, stamp="session", name="daily").report
    assert (report.name, report.rows, report.symbols) == (
        "daily",
        12_154,
        ("AAPL", "FB", "GOOG", "IBM", "MSFT"),
    )
    assert report.span_ns == (ns("2000-03-01T09:30:00-05:00"), ns("2013-03-01T16:00:00-05:00"))
    assert report.span == (
        dt.datetime(2000, 3, 1, 14, 30, tzinfo=dt.UTC),
        dt.datetime(2013, 3, 1, 21, 0, tzinfo=dt.UTC),
    )
    assert {each.symbol: each.rows for each in report.by_symbol} == {
        "AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270,
    }  # fmt: skip


def test_the_shipped_data_have_no_gap(prices: pl.DataFrame) -> None:
    assert DataFeed(prices, stamp="session").report.gaps == ()


def test_missing_sessions_are_found_per_symbol_and_joined_into_runs(
    prices: pl.DataFrame, ns: Callable[[str], int]
) -> None:
    day = pl.col("session")
    holed = prices.filter(
        ~((pl.col("symbol") == "IBM") & day.is_between(dt.date(2012, 7, 3), dt.date(2012, 7, 6))),
        ~((pl.col("symbol") == "AAPL") & (day == dt.date(2012, 11, 23))),
    )
    first, second = DataFeed(holed, stamp="session").report.gaps
    assert (first.symbol, first.sessions, first.open_ns) == ("IBM", 3, (3 * 13 - 6) * HOUR // 2)
    assert (first.start_ns, first.end_ns) == (
        ns("2012-07-03T09:30:00-04:00"),
        ns("2012-07-06T16:00:00-04:00"),
    )
    assert (second.symbol, second.sessions, second.open_ns) == ("AAPL", 1, 7 * HOUR // 2)


def test_a_share_that_lists_late_has_no_gap_before_it(prices: pl.DataFrame) -> None:
    assert DataFeed(prices.filter(pl.col("symbol") != "AAPL"), stamp="session").report.gaps == ()


def test_gaps_of_minute_bars_are_measured_in_open_time(ns: Callable[[str], int]) -> None:
    def bars(begin: dt.datetime, count: int) -> list[dt.datetime]:
        return [begin + dt.timedelta(minutes=n) for n in range(count)]

    stamps = [
        *bars(dt.datetime(2012, 7, 2, 9, 30, tzinfo=NEW_YORK), 390),
        *bars(dt.datetime(2012, 7, 3, 9, 30, tzinfo=NEW_YORK), 100),
        *bars(dt.datetime(2012, 7, 3, 11, 12, tzinfo=NEW_YORK), 48),
        *bars(dt.datetime(2012, 7, 5, 9, 40, tzinfo=NEW_YORK), 5),
    ]
    frame = pl.DataFrame(
        {"timestamp": stamps, "symbol": "IBM", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    )
    report = DataFeed(frame, stamp="open", interval="1m").report
    # The last hour of the short session and ten minutes of the 5th; the night and the holiday do not count.
    minutes = [(gap.open_ns // (60 * 10**9), gap.start_ns, gap.end_ns) for gap in report.gaps]
    assert minutes == [
        (70, ns("2012-07-03T12:00:00-04:00"), ns("2012-07-05T09:40:00-04:00")),
        (2, ns("2012-07-03T11:10:00-04:00"), ns("2012-07-03T11:12:00-04:00")),
    ]


def test_the_largest_gaps_of_ticks_are_kept() -> None:
    begin = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)
    seconds = [0, 1, 2, 60, 61, 300, 301]
    frame = pl.DataFrame(
        {"timestamp": [begin + dt.timedelta(seconds=n) for n in seconds], "symbol": "IBM", "price": 1.0}
    )
    gaps = DataFeed(frame, kind="trade", stamp="event").report.gaps
    assert [gap.open_ns // 10**9 for gap in gaps] == [239, 58, 1, 1, 1, 1]


def test_the_report_reads_well(prices: pl.DataFrame) -> None:
    holed = prices.filter(~((pl.col("symbol") == "IBM") & (pl.col("session") == dt.date(2012, 7, 3))))
    holed = holed.filter(pl.col("symbol").is_in(["IBM", "FB"])).with_columns(venue=pl.lit("N"))
    assert repr(DataFeed(holed, stamp="session", name="daily").report) == "\n".join(
        [
            "feed daily: 3,465 bar rows of 2 symbols",
            "  span 2000-03-01T14:30:00Z .. 2013-03-01T21:00:00Z",
            "  FB            196  2012-05-18T13:30:00Z .. 2013-03-01T21:00:00Z",
            "  IBM         3,269  2000-03-01T14:30:00Z .. 2013-03-01T21:00:00Z",
            "  gaps: 1",
            "    IBM  2012-07-03T13:30:00Z .. 2012-07-03T17:00:00Z  1 session missing",
            "  note: not loaded as features: venue (String)",
        ]
    )


def test_a_run_reports_the_range_it_loaded(prices: pl.DataFrame, ns: Callable[[str], int]) -> None:
    data = assemble(DataFeed(prices, stamp="session"), start="2012-07-02", end="2012-07-03")
    report = data.feeds[0].report
    assert (report.rows, report.span_ns) == (
        10,
        (ns("2012-07-02T09:30:00-04:00"), ns("2012-07-03T13:00:00-04:00")),
    )


def test_rows_that_arrive_after_the_last_event_are_counted() -> None:
    def trades(symbol: str, days: list[int], *, late: int = 0) -> DataFeed:
        frame = pl.DataFrame(
            {
                "timestamp": [dt.datetime(2012, 7, day, 15, tzinfo=dt.UTC) for day in days],
                "symbol": symbol,
                "price": 1.0,
            }
        ).with_columns(ts_arrival=pl.col("timestamp").dt.offset_by(f"{late}d"))
        return DataFeed(frame, kind="trade", stamp="event", name=symbol)

    note = (
        "2 of 3 rows arrive after the last event, 2012-07-05T15:00:00Z, and never become readable in a run "
        "that ends with it (first: 2012-07-06T15:00:00Z)"
    )
    feed = trades("IBM", [2, 3, 5], late=3)
    assert feed.report.notes[-1] == note
    alone, longer = assemble(feed), assemble([feed, trades("MSFT", [2, 9])])
    assert alone.feeds[0].report.notes[-1] == note
    assert not any("readable" in text for each in longer.feeds for text in each.report.notes)


def test_context_is_reported_without_symbols() -> None:
    stamps = [dt.datetime(2012, 7, 3, tzinfo=dt.UTC), dt.datetime(2012, 7, 4, tzinfo=dt.UTC)]
    report = DataFeed(
        pl.DataFrame({"timestamp": stamps, "vix": [1.0, 2.0]}), kind="context", stamp="event"
    ).report
    assert repr(report).splitlines() == [
        "feed prices: 2 context rows",
        "  span 2012-07-03T00:00:00Z .. 2012-07-04T00:00:00Z",
        "  gaps: none",
    ]


def test_a_long_report_is_cut_to_a_readable_length() -> None:
    days = [dt.date(2012, 7, day) for day in (2, 5)]
    symbols = pl.DataFrame({"symbol": [f"S{n:02d}" for n in range(25)]})
    frame = (
        pl.DataFrame({"session": days})
        .join(symbols, how="cross")
        .with_columns(**{name: pl.lit(1.0) for name in ("open", "high", "low", "close")})
    )
    lines = repr(DataFeed(frame, stamp="session").report).splitlines()
    assert len(lines) == 2 + 20 + 1 + 1 + 10 + 1
    assert lines[22] == "  and 5 more symbols"
    assert lines[-1] == "    and 15 more"


def test_gaps_of_intraday_data_read_as_open_time() -> None:
    begin = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)
    stamps = [begin, begin + dt.timedelta(minutes=5)]
    frame = pl.DataFrame({"timestamp": stamps, "symbol": "IBM", "price": 1.0})
    (gap,) = DataFeed(frame, kind="trade", stamp="event").report.gaps
    assert str(gap) == "IBM  2012-07-03T14:00:00Z .. 2012-07-03T14:05:00Z  0:05:00 of open time"
