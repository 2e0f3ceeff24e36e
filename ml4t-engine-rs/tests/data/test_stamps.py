from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest.data import DataFeed, assemble
from ml4t.backtest.data.stamps import Interval
from ml4t.core.errors import DataError

MINUTE = 60 * 10**9
NEW_YORK = ZoneInfo("America/New_York")
ROW = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5}


def bars(stamps: list[Any], column: str = "timestamp", **more: object) -> pl.DataFrame:
    return pl.DataFrame({column: stamps, "symbol": "IBM", **ROW, **more})


def both(feed: DataFeed, **run: object) -> list[tuple[int, int]]:
    frame = assemble(feed, **run).feeds[0].frame
    return frame.select("ts_open", "ts_event").rows()


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2012-07-02", "2012-07-02T09:30:00-04:00", "2012-07-02T16:00:00-04:00"),
        ("2012-07-03", "2012-07-03T09:30:00-04:00", "2012-07-03T13:00:00-04:00"),
        ("2012-11-23", "2012-11-23T09:30:00-05:00", "2012-11-23T13:00:00-05:00"),
        ("2012-03-12", "2012-03-12T09:30:00-04:00", "2012-03-12T16:00:00-04:00"),
    ],
)
@pytest.mark.parametrize("form", ["date", "text", "naive midnight", "utc midnight", "local midnight"])
def test_a_session_label_becomes_the_open_and_close_of_that_session(
    day: str, opens: str, closes: str, form: str, ns: Callable[[str], int]
) -> None:
    date = dt.date.fromisoformat(day)
    midnight = dt.datetime(date.year, date.month, date.day)
    stamp = {
        "date": date,
        "text": day,
        "naive midnight": midnight,
        "utc midnight": midnight.replace(tzinfo=dt.UTC),
        "local midnight": midnight.replace(tzinfo=NEW_YORK),
    }[form]
    assert both(DataFeed(bars([stamp]), stamp="session")) == [(ns(opens), ns(closes))]


def test_an_overnight_session_label_opens_on_the_evening_before(ns: Callable[[str], int]) -> None:
    feed = DataFeed(bars([dt.date(2012, 7, 9)]), stamp="session", calendar="CMEGlobex_CL")
    assert both(feed) == [(ns("2012-07-08T17:00:00-05:00"), ns("2012-07-09T16:00:00-05:00"))]


def test_open_and_close_stamps_differ_by_the_interval(ns: Callable[[str], int]) -> None:
    begin, end = ns("2012-07-03T10:31:00-04:00"), ns("2012-07-03T10:32:00-04:00")
    at = dt.datetime(2012, 7, 3, 10, 31, tzinfo=NEW_YORK)
    assert both(DataFeed(bars([at]), stamp="open", interval="1m")) == [(begin, end)]
    after = at + dt.timedelta(minutes=1)
    assert both(DataFeed(bars([after]), stamp="close", interval=dt.timedelta(minutes=1))) == [(begin, end)]
    carried = bars([after], column="ts_event", ts_open=at)
    assert both(DataFeed(carried, stamp="event")) == [(begin, end)]


def test_a_daily_bar_stamped_at_its_close_opened_when_its_session_did(ns: Callable[[str], int]) -> None:
    close = dt.datetime(2012, 7, 3, 13, 0, tzinfo=NEW_YORK)
    expected = [(ns("2012-07-03T09:30:00-04:00"), ns("2012-07-03T13:00:00-04:00"))]
    assert both(DataFeed(bars([close]), stamp="close", interval="1d")) == expected
    opening = dt.datetime(2012, 7, 3, 9, 30, tzinfo=NEW_YORK)
    assert both(DataFeed(bars([opening]), stamp="open", interval="1d")) == expected


def test_a_daily_bar_stamped_at_neither_open_nor_close_is_refused_with_the_nearest() -> None:
    feed = DataFeed(bars([dt.datetime(2012, 7, 3, 16, 0, tzinfo=NEW_YORK)]), stamp="close", interval="1d")
    with pytest.raises(
        DataError,
        match=r"IBM: 2012-07-03T20:00:00Z is not the close of a session of calendar XNYS \(nearest: "
        r"2012-07-03T17:00:00Z and 2012-07-05T20:00:00Z\); for daily bars stamped with a date use "
        r"stamp='session'",
    ):
        assemble(feed)


def test_utc_days_are_sessions_of_the_calendar_that_never_closes(ns: Callable[[str], int]) -> None:
    begin = dt.datetime(2012, 7, 7, tzinfo=dt.UTC)
    feed = DataFeed(bars([begin]), stamp="open", interval="1d", calendar="24/7")
    assert both(feed) == [(ns("2012-07-07T00:00:00+00:00"), ns("2012-07-08T00:00:00+00:00"))]


def test_minute_bars_are_placed_right_across_both_clock_changes(ns: Callable[[str], int]) -> None:
    naive = [dt.datetime(2012, 3, 9, 9, 30), dt.datetime(2012, 3, 12, 9, 30), dt.datetime(2012, 11, 5, 9, 30)]
    feed = DataFeed(bars(naive), stamp="open", interval="1m", timezone="America/New_York")
    assert [begin for begin, _ in both(feed)] == [
        ns("2012-03-09T14:30:00+00:00"),
        ns("2012-03-12T13:30:00+00:00"),
        ns("2012-11-05T14:30:00+00:00"),
    ]


@pytest.mark.parametrize(
    "local", [dt.datetime(2012, 3, 11, 2, 30), dt.datetime(2012, 11, 4, 1, 30)], ids=["skipped", "repeated"]
)
def test_a_local_time_that_clocks_skip_or_repeat_is_refused(local: dt.datetime) -> None:
    frame = bars([dt.datetime(2012, 3, 9, 10, 0), local])
    feed = DataFeed(frame, stamp="open", interval="1m", timezone="America/New_York", calendar="24/7")
    with pytest.raises(
        DataError, match=rf"{local} in row 1 does not exist, or exists twice, in America/New_York"
    ):
        assemble(feed)


@given(
    st.lists(
        st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2035, 1, 1), timezones=st.timezones()),
        min_size=1,
        max_size=30,
        unique_by=lambda stamp: stamp.timestamp() // 60,
    )
)
def test_aware_stamps_of_any_zone_keep_their_instant(stamps: list[dt.datetime]) -> None:
    stamps = [stamp.replace(second=0, microsecond=0, fold=0).astimezone(dt.UTC) for stamp in stamps]
    frame = pl.DataFrame({"timestamp": stamps}).select(pl.col("timestamp").dt.convert_time_zone("Asia/Tokyo"))
    frame = frame.with_columns(symbol=pl.lit("X"), price=pl.lit(1.0))
    feed = DataFeed(frame, kind="trade", stamp="event", calendar="24/7")
    expected = sorted(int(stamp.timestamp()) * 10**9 for stamp in stamps)
    assert assemble(feed).feeds[0].frame["ts_event"].to_list() == expected


def test_nanoseconds_survive() -> None:
    stamps = pl.Series([1_341_322_200_000_000_001], dtype=pl.Int64)
    frame = pl.DataFrame({"timestamp": stamps.cast(pl.Datetime("ns", "UTC")), "symbol": "X", "price": 1.0})
    feed = DataFeed(frame, kind="trade", stamp="event")
    assert assemble(feed).feeds[0].frame["ts_event"].to_list() == [1_341_322_200_000_000_001]


def test_integer_stamps_are_utc_ns_and_milliseconds_are_refused() -> None:
    frame = pl.DataFrame({"ts_event": [1_341_322_200_000_000_001], "symbol": "X", "price": 1.0})
    assert assemble(DataFeed(frame, kind="trade", stamp="event")).span_ns[0] == 1_341_322_200_000_000_001
    ms = frame.with_columns(ts_event=pl.lit(1_341_322_200_000))
    with pytest.raises(DataError, match="holds 1341322200000, which looks like s, ms or us"):
        assemble(DataFeed(ms, kind="trade", stamp="event"))


@pytest.mark.parametrize(
    "text",
    [
        "2012-07-03T10:31:00-04:00",
        "2012-07-03 14:31:00Z",
        "2012-07-03T14:31:00.000+00:00",
        "2012-07-03T16:31:00+0200",
    ],
)
def test_text_with_an_offset_is_an_instant(text: str, ns: Callable[[str], int]) -> None:
    feed = DataFeed(bars([text]), stamp="open", interval="1m")
    assert both(feed)[0][0] == ns("2012-07-03T10:31:00-04:00")


def test_text_without_an_offset_takes_the_declared_zone(ns: Callable[[str], int]) -> None:
    feed = DataFeed(bars(["2012-07-03 10:31"]), stamp="open", interval="1m", timezone="America/New_York")
    assert both(feed)[0][0] == ns("2012-07-03T10:31:00-04:00")


@pytest.mark.parametrize(
    ("stamps", "fault"),
    [
        (["2012-07-03T10:31:00-04:00", "2012-07-03T10:32:00"], "row 1 is not of the form of the first one"),
        (["2012-07-03T10:31:00", "2012-07-03T10:32:00Z"], "row 1 is not of the form of the first one"),
        (["2012-07-03T10:31:00Z", "yesterday"], "stamp 'yesterday' in row 1 is not of the form"),
        (["03/07/2012"], "'03/07/2012' in column timestamp is not an ISO 8601 date"),
        (["2012-07-03T10:31:00Z", None], "row 1 has no stamp"),
        ([dt.datetime(2012, 7, 3, 10, 31)], "the stamps are naive .*declare timezone='America/New_York'"),
        ([dt.date(2012, 7, 3)], "a date is not an instant; declare stamp='session'"),
        ([1.5], "column timestamp is Float64"),
    ],
)
def test_a_stamp_that_is_no_instant_is_refused(stamps: list[Any], fault: str) -> None:
    with pytest.raises(DataError, match=f"feed prices: .*{fault}"):
        assemble(DataFeed(bars(stamps), stamp="open", interval="1m"))


def test_two_zones_at_once_are_refused() -> None:
    frame = bars([dt.datetime(2012, 7, 3, 10, 31, tzinfo=ZoneInfo("Europe/London"))])
    with pytest.raises(
        DataError, match="carry the zone Europe/London and timezone='America/New_York' was declared"
    ):
        assemble(DataFeed(frame, stamp="open", interval="1m", timezone="America/New_York"))


def test_frames_in_different_zones_are_put_on_one_time_line(ns: Callable[[str], int]) -> None:
    def one(zone: str, hour: int) -> pl.DataFrame:
        return pl.DataFrame({"timestamp": [dt.datetime(2012, 7, 3, hour, 31, tzinfo=ZoneInfo(zone))], **ROW})

    frames = {"IBM": one("America/New_York", 10), "VOD": one("Europe/London", 15)}
    assert {begin for begin, _ in both(DataFeed(frames, stamp="open", interval="1m"))} == {
        ns("2012-07-03T14:31:00+00:00")
    }


def test_a_stamp_beyond_the_years_of_64_bit_ns_is_refused() -> None:
    with pytest.raises(DataError, match="reach beyond the years 1678 to 2261"):
        assemble(DataFeed(bars([dt.datetime(2500, 1, 1, tzinfo=dt.UTC)]), stamp="open", interval="1m"))


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        (
            dt.date(2012, 7, 4),
            r"IBM: 2012-07-04 is not a session of calendar XNYS \(nearest: 2012-07-03 and 2012-07-05\)",
        ),
        (
            dt.date(2012, 7, 7),
            r"IBM: 2012-07-07 is not a session .* drop the row, or give the instrument the calendar",
        ),
        (dt.datetime(2012, 7, 3, 16), "has a time of day, and session labels are dates"),
        (None, "row 0 has no stamp"),
    ],
)
def test_a_label_that_is_no_session_is_refused_with_symbol_date_and_remedy(
    label: dt.date | None, fault: str
) -> None:
    frame = pl.DataFrame({"timestamp": [label], "symbol": "IBM", **ROW})
    if label is None:
        frame = frame.with_columns(timestamp=pl.lit(None, dtype=pl.Date))
    with pytest.raises(DataError, match=f"feed prices: .*{fault}"):
        assemble(DataFeed(frame, stamp="session"))


def test_what_is_not_declared_is_refused_where_the_feed_is_written() -> None:
    frame = bars([dt.datetime(2012, 7, 3, 10, 31, tzinfo=dt.UTC)])
    with pytest.raises(DataError, match="stamp is not declared, and no guess is safe"):
        DataFeed(frame)
    with pytest.raises(
        DataError, match="interval is not declared, and without it the end of a bar is not known"
    ):
        DataFeed(frame, stamp="open")
    with pytest.raises(
        DataError, match="stamp 'opening' is not one of open, close, event, session; did you mean 'open'"
    ):
        DataFeed(frame, stamp="opening", interval="1m")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a quote has no open"):
        DataFeed(frame, kind="quote", stamp="open")
    with pytest.raises(DataError, match="contradicts interval='1h'"):
        DataFeed(frame, stamp="session", interval="1h")
    with pytest.raises(DataError, match="timezone 'New York' is not an IANA zone"):
        DataFeed(frame, stamp="open", interval="1m", timezone="New York")


@pytest.mark.parametrize(
    ("text", "ns_"), [("1m", MINUTE), ("15min", 15 * MINUTE), ("1h", 60 * MINUTE), ("30s", MINUTE // 2)]
)
def test_intervals_are_written_as_durations(text: str, ns_: int) -> None:
    assert Interval.parse(text).ns == ns_


@pytest.mark.parametrize("text", ["", "1M", "m", "0m", "-1m", "2d", "1w", "soon"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="interval"):
        Interval.parse(text)


def test_an_hourly_bar_beyond_the_close_is_reported_and_can_be_cut(ns: Callable[[str], int]) -> None:
    stamps = [
        dt.datetime(2012, 7, 2, 14, 30, tzinfo=NEW_YORK),
        dt.datetime(2012, 7, 2, 15, 30, tzinfo=NEW_YORK),
    ]
    data = assemble(DataFeed(bars(stamps), stamp="open", interval="1h"))
    assert data.feeds[0].report.notes == (
        "1 of 2 rows reach beyond the sessions of their calendar (first: IBM at 2012-07-02T20:30:00Z, "
        "calendar XNYS); check timezone, stamp and calendar",
    )
    cut = DataFeed(bars(stamps), stamp="open", interval="1h", cuts_to_session=True)
    assert both(cut)[1] == (ns("2012-07-02T15:30:00-04:00"), ns("2012-07-02T16:00:00-04:00"))
    assert cut.report.notes == ()
    # Clock-aligned bars: the first one begins when the market opens.
    early = DataFeed(
        bars([stamps[0].replace(hour=9, minute=0)]), stamp="open", interval="1h", cuts_to_session=True
    )
    assert both(early) == [(ns("2012-07-02T09:30:00-04:00"), ns("2012-07-02T10:00:00-04:00"))]


def test_a_wrong_zone_shows_in_the_report() -> None:
    # New York hours, declared as UTC.
    stamps = [dt.datetime(2012, 7, 2, 9, 30) + dt.timedelta(minutes=n) for n in range(390)]
    report = DataFeed(bars(stamps), stamp="open", interval="1m", timezone="UTC").report
    assert report.notes[0].startswith("240 of 390 rows reach beyond the sessions of their calendar")


def test_a_bar_is_known_at_its_arrival_and_never_before_it_is_complete(ns: Callable[[str], int]) -> None:
    at = dt.datetime(2012, 7, 3, 10, 31, tzinfo=NEW_YORK)
    late = bars([at], ts_arrival=at + dt.timedelta(minutes=3))
    frame = assemble(DataFeed(late, stamp="open", interval="1m")).feeds[0].frame
    assert frame.columns[:4] == ["ts_event", "ts_open", "ts_arrival", "instrument"]
    assert frame["ts_arrival"][0] == ns("2012-07-03T10:34:00-04:00")
    early = bars([at], ts_arrival=at)
    with pytest.raises(
        DataError, match="IBM at 2012-07-03T14:32:00Z: ts_arrival 2012-07-03T14:31:00Z is before"
    ):
        assemble(DataFeed(early, stamp="open", interval="1m"))


def test_bars_that_carry_both_stamps_need_both_columns() -> None:
    frame = bars([dt.datetime(2012, 7, 3, 10, 31, tzinfo=NEW_YORK)])
    with pytest.raises(
        DataError, match="bars with stamp='event' carry both stamps, in columns ts_open and ts_event"
    ):
        assemble(DataFeed(frame, stamp="event"))


def test_what_cannot_be_a_declaration_is_refused() -> None:
    frame = bars([dt.datetime(2012, 7, 3, 10, 31, tzinfo=NEW_YORK)])
    with pytest.raises(DataError, match="interval 60 is not a text"):
        DataFeed(frame, stamp="open", interval=60)  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match="interval is not declared, so the end of what was stamped at its open"
    ):
        DataFeed(frame, kind="context", stamp="open")
    with pytest.raises(DataError, match="column timestamp is Float64; session labels are dates"):
        assemble(DataFeed(bars([1.5]), stamp="session"))


def test_a_context_stamped_at_its_open_is_known_at_its_end(ns: Callable[[str], int]) -> None:
    at = dt.datetime(2012, 7, 3, 10, 0, tzinfo=NEW_YORK)
    context = DataFeed(
        pl.DataFrame({"timestamp": [at], "vix": [15.0]}),
        name="vix",
        kind="context",
        stamp="open",
        interval="1h",
    )
    data = assemble([DataFeed(bars([at]), stamp="open", interval="1m"), context])
    assert data.feeds[1].frame["ts_event"].to_list() == [ns("2012-07-03T11:00:00-04:00")]


def test_prints_at_the_very_open_and_close_belong_to_the_session() -> None:
    at = [dt.datetime(2012, 7, 3, 9, 30, tzinfo=NEW_YORK), dt.datetime(2012, 7, 3, 13, 0, tzinfo=NEW_YORK)]
    late = dt.datetime(2012, 7, 3, 13, 0, 0, 1, tzinfo=NEW_YORK)
    frame = pl.DataFrame({"timestamp": at, "symbol": "X", "price": 1.0})
    assert DataFeed(frame, kind="trade", stamp="event").report.notes == ()
    after = pl.DataFrame({"timestamp": [late], "symbol": "X", "price": 1.0})
    assert DataFeed(after, kind="trade", stamp="event").report.notes[0].startswith("1 of 1 rows reach beyond")
