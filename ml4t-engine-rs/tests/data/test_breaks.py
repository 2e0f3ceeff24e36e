"""Breaks within sessions: where they come from, what is said of rows in them, and bars that stop there."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import exchange_calendars
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Strategy, run
from ml4t.backtest.bars import resample, time_bars
from ml4t.backtest.calendars import SessionTable, session_table
from ml4t.backtest.data import assemble
from ml4t.core.errors import DataError

TOKYO = ZoneInfo("Asia/Tokyo")
MINUTE = dt.timedelta(minutes=1)
SHARE = Instrument("TYO", calendar="JPX")


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 7) -> dt.datetime:
    """Return a time of Tokyo in November 2024, as UTC."""
    return dt.datetime(2024, 11, day, hour, minute, second, tzinfo=TOKYO).astimezone(dt.UTC)


def ns(when: dt.datetime) -> int:
    return int(when.timestamp()) * 10**9


def hours(name: str, day: str) -> list[str]:
    """Return open, breaks and close of a session in local time."""
    label = dt.date.fromisoformat(day)
    table = session_table(name, label, label)
    ((_, opens, closes),) = table.frame.rows()
    found = [opens, *(edge for each in table.breaks.rows() for edge in each), closes]
    zone = ZoneInfo(table.timezone)
    return [f"{dt.datetime.fromtimestamp(each // 10**9, zone):%H:%M}" for each in found]


def bars(*spans: tuple[dt.datetime, dt.datetime], price: float = 10.0) -> pl.DataFrame:
    values = dict.fromkeys(("open", "high", "low", "close"), price)
    rows = [{"symbol": "TYO", "ts_open": a, "ts_event": b, **values, "volume": 100.0} for a, b in spans]
    return pl.DataFrame(
        rows, schema_overrides=dict.fromkeys(("ts_open", "ts_event"), pl.Datetime("ns", "UTC"))
    )


def minutes(*, step: int = 1, day: int = 7) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return spans of so many minutes over a day of Tokyo, none of them in the break."""
    spans = []
    for begin, end in ((at(9, day=day), at(11, 30, day=day)), (at(12, 30, day=day), at(15, 30, day=day))):
        while begin < end:
            spans.append((begin, begin + step * MINUTE))
            begin += step * MINUTE
    return spans


def prints(*stamps: dt.datetime) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": "TYO",
            "timestamp": pl.Series(stamps, dtype=pl.Datetime("ns", "UTC")),
            "price": [10.0 + n for n in range(len(stamps))],
            "size": 1.0,
        }
    )


def feed_of(frame: pl.DataFrame, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(frame, stamp="event", instruments=[SHARE], **options)


def feed_of_prints(*stamps: dt.datetime) -> DataFeed:
    return feed_of(prints(*stamps), kind="trade", name="ticks")


# -- where breaks come from ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        # Japan Exchange Group, "Extension of trading hours", since 5 November 2024: the close, not the lunch.
        ("JPX", "2024-11-01", ["09:00", "11:30", "12:30", "15:00"]),
        ("JPX", "2024-11-05", ["09:00", "11:30", "12:30", "15:30"]),
        ("XTKS", "2024-11-05", ["09:00", "11:30", "12:30", "15:30"]),
        ("XHKG", "2024-11-05", ["09:30", "12:00", "13:00", "16:00"]),
        # A half day ends as its lunch would begin.
        ("XHKG", "2024-12-24", ["09:30", "12:00"]),
        ("XSHG", "2024-11-05", ["09:30", "11:30", "13:00", "15:00"]),
        # CME Group: the pause at 15:15 in Chicago went on 28 June 2021; grains rest from 07:45 to 08:30.
        ("CME_Equity", "2021-06-25", ["17:00", "15:15", "15:30", "16:00"]),
        ("CME_Equity", "2021-06-28", ["17:00", "16:00"]),
        ("CMEGlobex_Grains", "2024-11-05", ["19:00", "07:45", "08:30", "13:20"]),
        # The library still has a lunch in Korea, which has had none since 22 May 2000.
        ("XKRX", "2000-05-19", ["09:00", "12:00", "13:00", "15:00"]),
        ("XKRX", "2000-05-22", ["09:00", "15:00"]),
        ("XNYS", "2024-11-05", ["09:30", "16:00"]),
        ("24/7", "2024-11-05", ["00:00", "00:00"]),
    ],
)
def test_sessions_have_the_breaks_of_their_venue(name: str, day: str, expected: list[str]) -> None:
    assert hours(name, day) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["XHKG", "XSHG", "XTKS"])
def test_breaks_equal_exchange_calendars_day_by_day(name: str) -> None:
    first, last = dt.date(1998, 1, 1), dt.date(2024, 12, 31)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = exchange_calendars.get_calendar(name, start=str(first), end=str(last)).schedule
    theirs = theirs[theirs["break_start"].notna()]
    pairs = [
        (a.value, b.value)
        for a, b in zip(
            theirs["break_start"].dt.as_unit("ns"), theirs["break_end"].dt.as_unit("ns"), strict=True
        )
    ]
    assert pairs
    assert session_table(name, first, last).breaks.rows() == pairs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_korea_has_no_lunch_as_exchange_calendars_knows() -> None:
    first, last = dt.date(2000, 5, 22), dt.date(2024, 12, 31)
    theirs = exchange_calendars.get_calendar("XKRX", start=str(first), end=str(last)).schedule
    assert not theirs["break_start"].notna().any()
    assert session_table("XKRX", first, last).breaks.is_empty()


def test_a_cached_table_has_the_breaks_of_the_built_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML4T_CACHE_DIR", str(tmp_path))
    first, last = dt.date(2010, 1, 1), dt.date(2024, 12, 31)
    built = session_table("XHKG", first, last)
    monkeypatch.setattr("ml4t.backtest.calendars._build", None)
    cached = session_table("XHKG", first, last)
    assert built.breaks.height > 3000
    assert cached.breaks.equals(built.breaks)
    assert cached.frame.equals(built.frame)
    week = session_table("XHKG", dt.date(2024, 12, 23), dt.date(2024, 12, 27))
    # A half day, two holidays, and the two whole days.
    assert (week.frame.height, week.breaks.height) == (3, 2)


def test_the_ends_of_a_break_are_of_the_trading_around_it() -> None:
    table = session_table("JPX", dt.date(2024, 11, 7), dt.date(2024, 11, 7))
    edges = [at(11, 30), at(11, 30, 1), at(12, 29, 59), at(12, 30), at(13)]
    ticks = np.array([ns(each) for each in edges])
    assert table.resting(ticks, ticks).tolist() == [False, True, True, False, False]
    spans = [
        (at(11, 30), at(12, 30)),
        (at(11), at(12)),
        (at(12), at(13)),
        (at(11), at(13)),
        (at(12), at(12, 1)),
    ]
    begins, ends = (np.array([ns(span[n]) for span in spans]) for n in (0, 1))
    assert table.resting(begins, ends).tolist() == [True, False, False, False, True]
    start, end, inside = table.break_around(ticks)
    assert inside.tolist() == [True, True, True, False, False]
    assert start[0] == ns(at(11, 30))
    assert end[0] == ns(at(12, 30))
    assert table.containing(ticks)[2].all()


# -- calendars of one's own ------------------------------------------------------------------------------


@attrs.frozen
class Own:
    """A day of Tokyo with the breaks that are given, in local hours and minutes."""

    rests: Sequence[tuple[tuple[int, int], tuple[int, int]]]
    name: str = "Own"
    timezone: str = "Asia/Tokyo"

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        label = dt.date(2024, 11, 7)
        return [(label, ns(at(9)), ns(at(15, 30)))] if start <= label <= end else []

    def breaks(self, start: dt.date, end: dt.date) -> list[tuple[int, int]]:
        return [(ns(at(*a)), ns(at(*b))) for a, b in self.rests]


def test_a_calendar_of_ones_own_may_rest_several_times_in_a_session() -> None:
    own = Own([((10, 15), (10, 30)), ((11, 30), (13, 30))])
    stamps = [at(10), at(10, 20), at(10, 30), at(12), at(14)]
    feed = DataFeed(
        prints(*stamps), kind="trade", stamp="event", instruments=[Instrument("TYO", calendar="Own")]
    )
    data = assemble(feed, calendars=[own])
    (report,) = [each.report for each in data.feeds]
    assert (report.in_breaks, report.outside_sessions) == (2, 0)
    (table,) = data.calendars
    assert table.breaks.height == 2


@pytest.mark.parametrize(
    "rests",
    [
        [((8, 0), (8, 30))],
        [((9, 0), (9, 30))],
        [((15, 0), (15, 30))],
        [((15, 0), (16, 0))],
        [((11, 0), (11, 0))],
        [((12, 0), (11, 0))],
        [((10, 0), (11, 0)), ((11, 0), (12, 0))],
        [((13, 0), (14, 0)), ((10, 0), (11, 0))],
    ],
)
def test_breaks_that_are_not_inside_of_sessions_are_refused(rests: Any) -> None:  # noqa: ANN401
    feed = DataFeed(
        prints(at(10)), kind="trade", stamp="event", instruments=[Instrument("TYO", calendar="Own")]
    )
    wrong = rests[-1] if len(rests) > 1 else rests[0]
    with pytest.raises(DataError, match="does not lie within a session, after the break before it") as caught:
        assemble(feed, calendars=[Own(rests)])
    assert f"calendar Own: the break from {at(*wrong[0]):%Y-%m-%dT%H:%M:%SZ}" in str(caught.value)


# -- what a feed's report says ---------------------------------------------------------------------------


def test_lunch_is_no_gap_and_what_is_missing_around_it_is_one() -> None:
    assert feed_of(bars(*minutes())).report.gaps == ()
    spans = [each for each in minutes() if not at(11, 20) <= each[0] < at(12, 50)]
    (gap,) = feed_of(bars(*spans)).report.gaps
    # Ten minutes before lunch and twenty after it.
    assert (gap.start_ns, gap.end_ns) == (ns(at(11, 20)), ns(at(12, 50)))
    assert gap.open_ns == 30 * 60 * 10**9


def test_sessions_that_are_missing_count_without_their_lunch() -> None:
    days = pl.DataFrame(
        {"symbol": "TYO", "session": [dt.date(2024, 11, 6), dt.date(2024, 11, 8)], "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0)
    )
    report = DataFeed(days, stamp="session", instruments=[SHARE]).report
    (gap,) = report.gaps
    assert gap.open_ns == (5 * 60 + 30) * 60 * 10**9
    assert (report.in_breaks, report.outside_sessions, report.notes) == (0, 0, ())


def test_rows_in_a_break_are_counted_and_named() -> None:
    report = feed_of_prints(at(11, 30), at(11, 45), at(12), at(12, 30), at(16)).report
    assert (report.in_breaks, report.outside_sessions) == (2, 1)
    resting, outside = sorted(report.doubts)
    assert resting.startswith("1 of 5 rows reach beyond the sessions")
    assert outside == (
        "2 of 5 rows lie in a break of their calendar (first: TYO at 2024-11-07T02:45:00Z, calendar JPX), "
        "where orders do not meet them; check timezone, stamp and calendar"
    )


def test_the_results_warn_of_rows_in_a_break() -> None:
    results = run(Strategy, feed_of_prints(at(11), at(12), at(13)))
    (warning,) = [each for each in results.warnings if "break" in each]
    assert warning.startswith("feed ticks: 1 of 3 rows lie in a break of their calendar")


def test_bars_that_reach_into_a_break_are_noted_and_can_be_cut_there() -> None:
    spans = [(at(10), at(11)), (at(11), at(12)), (at(12), at(13)), (at(13), at(14)), (at(15), at(16))]
    report = feed_of(bars(*spans)).report
    assert (report.in_breaks, report.outside_sessions) == (0, 1)
    assert report.notes[0] == (
        "2 of 5 bars begin or end inside a break of their calendar (first: TYO at 2024-11-07T03:00:00Z, "
        "calendar JPX); cuts_to_session=True lets them begin and end where it does"
    )
    assert len(report.doubts) == 1
    whole = feed_of(bars(*spans), cuts_to_session=True)
    assert whole.report.notes == ()
    (table,) = assemble(whole).feeds
    found = list(zip(table.frame["ts_open"], table.frame["ts_event"], strict=True))
    edges = [
        (at(10), at(11)),
        (at(11), at(11, 30)),
        (at(12, 30), at(13)),
        (at(13), at(14)),
        (at(15), at(15, 30)),
    ]
    assert found == [(ns(a), ns(b)) for a, b in edges]


def test_bars_over_a_break_or_in_it_are_not_cut() -> None:
    spans = [(at(9), at(11)), (at(11), at(13)), (at(13), at(17))]
    (table,) = assemble(feed_of(bars(*spans), cuts_to_session=True)).feeds
    assert table.frame["ts_event"].to_list() == [ns(at(11)), ns(at(13)), ns(at(15, 30))]
    feed = feed_of(bars((at(11, 40), at(12)), (at(12), at(12, 30))), cuts_to_session=True)
    (table,) = assemble(feed).feeds
    assert table.frame["ts_open"].to_list() == [ns(at(11, 40)), ns(at(12))]
    assert feed.report.in_breaks == 2


# -- bars that are built ---------------------------------------------------------------------------------

HOURS = ["09:00-10:00", "10:00-11:00", "11:00-11:30", "12:30-13:30", "13:30-14:30", "14:30-15:30"]


def local(built: pl.DataFrame) -> list[str]:
    """Return the spans of bars in the time of Tokyo."""
    stamps = pl.col("ts_open", "ts_event").dt.convert_time_zone("Asia/Tokyo")
    ends = built.select(stamps.dt.strftime("%H:%M"))
    return [f"{a}-{b}" for a, b in ends.rows()]


def test_minutes_become_hours_that_stop_at_lunch_and_start_anew_after_it() -> None:
    built = resample(bars(*minutes()), "1h", stamp="event", instruments=[SHARE])
    assert local(built) == HOURS
    # A minute is 100 shares.
    assert built["volume"].to_list() == [6000, 6000, 3000, 6000, 6000, 6000]
    days = resample(bars(*minutes()), "1d", stamp="event", instruments=[SHARE])
    assert local(days) == ["09:00-15:30"]
    assert days["volume"].to_list() == [33000]


def test_a_run_consolidates_minutes_to_hours_that_stop_at_lunch() -> None:
    source = feed_of(bars(*minutes()), name="minutes")
    data = assemble([source, source.consolidate("1h", name="hours")])
    (table,) = [each for each in data.feeds if each.name == "hours"]
    assert local(table.frame.select(pl.col("ts_open", "ts_event").cast(pl.Datetime("ns", "UTC")))) == HOURS


def test_ticks_at_the_ends_of_lunch_are_of_the_windows_there() -> None:
    ticks = prints(at(11, 29), at(11, 30), at(12, 30), at(15, 30))
    built = time_bars(ticks, "1h", instruments=[SHARE])
    assert local(built) == ["11:00-11:30", "12:30-13:30", "14:30-15:30"]
    assert built["close"].to_list() == [11.0, 12.0, 13.0]


@pytest.mark.parametrize("every", ["5m", "1h", "1d", "1w"])
def test_ticks_in_a_break_are_refused_or_left_out(every: str) -> None:
    ticks = prints(at(10), at(12), at(12, 10), at(13))
    said = (
        r"TYO at 2024-11-07T03:00:00Z lies in a break of calendar JPX "
        r"\(from 2024-11-07T02:30:00Z to 2024-11-07T03:30:00Z\), the first of 2 such rows of 4"
    )
    with pytest.raises(DataError, match=said):
        time_bars(ticks, every, instruments=[SHARE])
    built = time_bars(ticks, every, instruments=[SHARE], outside="drop", keep_incomplete=True)
    assert built["volume"].sum() == 2


def test_bars_that_reach_into_a_break_become_days_and_no_hours() -> None:
    spans = [(at(hour), at(hour + 1)) for hour in range(9, 15)]
    days = resample(bars(*spans), "1d", stamp="event", instruments=[SHARE], keep_incomplete=True)
    assert days["volume"].to_list() == [600]
    with pytest.raises(DataError, match=r"from 2024-11-07T02:00:00Z to \S+ reaches beyond its window"):
        resample(bars(*spans[:3]), "2h", stamp="event", instruments=[SHARE])
    with pytest.raises(DataError, match="lies in a break of calendar JPX"):
        resample(bars(*spans[3:]), "2h", stamp="event", instruments=[SHARE])


def test_a_table_of_sessions_takes_breaks() -> None:
    frame = pl.DataFrame({"label": [dt.date(2024, 11, 7)], "open_ns": [ns(at(9))], "close_ns": [ns(at(15))]})
    breaks = pl.DataFrame({"start_ns": [ns(at(10))], "end_ns": [ns(at(11))]})
    table = SessionTable(name="Own", timezone="Asia/Tokyo", frame=frame, breaks=breaks)
    feed = DataFeed(
        prints(at(9, 30), at(10, 30)),
        kind="trade",
        stamp="event",
        instruments=[Instrument("TYO", calendar="Own")],
    )
    (found,) = assemble(feed, calendars=[table]).feeds
    assert found.report.in_breaks == 1
