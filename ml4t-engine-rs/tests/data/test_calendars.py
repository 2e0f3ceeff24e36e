from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pandas as pd
import pandas_market_calendars
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest.calendars import SessionTable, local_midnight_ns, session_table
from ml4t.backtest.data import DataFeed, assemble
from ml4t.core.errors import DataError

HOUR = 3600 * 10**9
DAYS = st.dates(dt.date(1995, 1, 1), dt.date(2035, 12, 31))


def session(name: str, day: str) -> tuple[dt.date, int, int]:
    label = dt.date.fromisoformat(day)
    rows = session_table(name, label, label).frame.rows()
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2012-07-02", "2012-07-02T09:30:00-04:00", "2012-07-02T16:00:00-04:00"),
        ("2012-07-03", "2012-07-03T09:30:00-04:00", "2012-07-03T13:00:00-04:00"),
        ("2012-11-23", "2012-11-23T09:30:00-05:00", "2012-11-23T13:00:00-05:00"),
        ("2012-12-24", "2012-12-24T09:30:00-05:00", "2012-12-24T13:00:00-05:00"),
        ("2012-03-09", "2012-03-09T09:30:00-05:00", "2012-03-09T16:00:00-05:00"),
        ("2012-03-12", "2012-03-12T09:30:00-04:00", "2012-03-12T16:00:00-04:00"),
        ("2012-11-02", "2012-11-02T09:30:00-04:00", "2012-11-02T16:00:00-04:00"),
        ("2012-11-05", "2012-11-05T09:30:00-05:00", "2012-11-05T16:00:00-05:00"),
    ],
)
def test_new_york_sessions_have_their_early_closes_and_daylight_saving(
    day: str, opens: str, closes: str, ns: Callable[[str], int]
) -> None:
    assert session("XNYS", day) == (dt.date.fromisoformat(day), ns(opens), ns(closes))


@pytest.mark.parametrize("day", ["2012-07-04", "2012-10-29", "2012-10-30", "2001-09-12", "2012-07-07"])
def test_holidays_storms_and_weekends_have_no_session(day: str) -> None:
    label = dt.date.fromisoformat(day)
    assert len(session_table("XNYS", label, label)) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_new_york_equals_exchange_calendars_day_by_day() -> None:
    first, last = dt.date(2008, 1, 1), dt.date(2024, 12, 31)
    theirs = exchange_calendars.get_calendar("XNYS", start=str(first), end=str(last)).schedule
    ours = session_table("XNYS", first, last).frame
    assert ours["label"].to_list() == [stamp.date() for stamp in theirs.index]
    for column, other in (("open_ns", "open"), ("close_ns", "close")):
        assert ours[column].to_list() == [stamp.value for stamp in theirs[other].dt.as_unit("ns")]


def test_an_overnight_session_opens_on_the_evening_before_its_label(ns: Callable[[str], int]) -> None:
    monday = session("CMEGlobex_CL", "2012-07-09")
    assert monday[1:] == (ns("2012-07-08T17:00:00-05:00"), ns("2012-07-09T16:00:00-05:00"))
    independence_day = session("CMEGlobex_CL", "2012-07-04")
    assert independence_day[1:] == (ns("2012-07-03T17:00:00-05:00"), ns("2012-07-04T12:00:00-05:00"))


def test_a_lunch_break_does_not_split_a_session(ns: Callable[[str], int]) -> None:
    tokyo = session("XTKS", "2012-07-03")
    assert tokyo[1:] == (ns("2012-07-03T09:00:00+09:00"), ns("2012-07-03T15:00:00+09:00"))


@given(DAYS, st.integers(0, 400))
def test_always_open_days_tile_the_time_line(first: dt.date, days: int) -> None:
    frame = session_table("24/7", first, first + dt.timedelta(days=days)).frame
    assert frame.height == days + 1
    assert (frame["close_ns"][:-1] == frame["open_ns"][1:]).all()
    assert frame["open_ns"][0] == local_midnight_ns(first, "UTC")


@given(DAYS, st.integers(0, 400))
def test_weekdays_are_monday_to_friday_in_utc(first: dt.date, days: int) -> None:
    frame = session_table("weekdays", first, first + dt.timedelta(days=days)).frame
    expected = [first + dt.timedelta(days=n) for n in range(days + 1)]
    assert frame["label"].to_list() == [day for day in expected if day.weekday() < 5]
    assert (frame["close_ns"] - frame["open_ns"] == 24 * HOUR).all()


@given(DAYS)
def test_fx_sessions_turn_at_five_pm_new_york_in_summer_and_winter(first: dt.date) -> None:
    frame = session_table("fx_24_5", first, first + dt.timedelta(days=20)).frame
    zone = ZoneInfo("America/New_York")
    for label, opens, closes in frame.iter_rows():
        assert label.weekday() < 5
        before = label - dt.timedelta(days=1)
        assert dt.datetime.fromtimestamp(opens // 10**9, zone).replace(tzinfo=None) == dt.datetime(
            before.year, before.month, before.day, 17
        )
        assert dt.datetime.fromtimestamp(closes // 10**9, zone).replace(tzinfo=None) == dt.datetime(
            label.year, label.month, label.day, 17
        )


def test_an_fx_session_across_a_clock_change_has_23_or_25_hours() -> None:
    lengths = {
        day: (session("fx_24_5", day)[2] - session("fx_24_5", day)[1]) // HOUR
        for day in ("2012-03-12", "2012-11-05", "2012-07-09")
    }
    # New York changes clocks on Sundays at 02:00, before the session of Monday opens.
    assert lengths == {"2012-03-12": 24, "2012-11-05": 24, "2012-07-09": 24}
    assert session("fx_24_5", "2012-03-09")[2] - session("fx_24_5", "2012-03-12")[1] == -47 * HOUR


def test_local_midnight_is_the_change_itself_where_clocks_skip_midnight(ns: Callable[[str], int]) -> None:
    # Clocks in Sao Paulo went from 24:00 to 01:00 on 2012-10-21.
    assert local_midnight_ns(dt.date(2012, 10, 21), "America/Sao_Paulo") == ns("2012-10-21T03:00:00+00:00")
    assert local_midnight_ns(dt.date(2012, 7, 3), "America/New_York") == ns("2012-07-03T00:00:00-04:00")


def test_days_of_a_venue_tile_the_time_line_and_begin_with_the_evening_session(
    ns: Callable[[str], int],
) -> None:
    table = session_table("CMEGlobex_CL", dt.date(2012, 6, 1), dt.date(2012, 8, 1))
    assert table.day_start_ns(dt.date(2012, 7, 9)) == ns("2012-07-08T17:00:00-05:00")
    # Saturday has no session: it begins at midnight, after Friday's close.
    assert table.day_start_ns(dt.date(2012, 7, 7)) == ns("2012-07-07T00:00:00-05:00")
    new_york = session_table("XNYS", dt.date(2012, 6, 1), dt.date(2012, 8, 1))
    assert new_york.day_start_ns(dt.date(2012, 7, 9)) == ns("2012-07-09T00:00:00-04:00")


def test_open_time_leaves_out_nights_weekends_and_holidays(ns: Callable[[str], int]) -> None:
    table = session_table("XNYS", dt.date(2012, 7, 1), dt.date(2012, 7, 31))
    instants = np.array(
        [
            ns("2012-07-01T00:00:00-04:00"),
            ns("2012-07-03T12:00:00-04:00"),
            ns("2012-07-04T12:00:00-04:00"),
            ns("2012-07-05T10:30:00-04:00"),
        ]
    )
    elapsed = table.open_time_before(instants) / HOUR
    assert elapsed.tolist() == [0.0, 6.5 + 2.5, 6.5 + 3.5, 6.5 + 3.5 + 1.0]


def test_containing_takes_the_open_and_not_the_close(ns: Callable[[str], int]) -> None:
    table = session_table("XNYS", dt.date(2012, 7, 3), dt.date(2012, 7, 5))
    instants = np.array([ns("2012-07-03T09:30:00-04:00"), ns("2012-07-03T13:00:00-04:00")])
    opens, closes, inside = table.containing(instants)
    assert inside.tolist() == [True, False]
    assert (opens[0], closes[0]) == (ns("2012-07-03T09:30:00-04:00"), ns("2012-07-03T13:00:00-04:00"))


def test_an_unknown_calendar_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"calendar 'XNYSE' is not known; the nearest known name is 'XNYS'"):
        session_table("XNYSE", dt.date(2012, 1, 1), dt.date(2012, 12, 31))


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(DataError, match="ends before it starts"):
        session_table("XNYS", dt.date(2012, 1, 2), dt.date(2012, 1, 1))


def test_a_schedule_with_overlapping_sessions_is_refused_by_date() -> None:
    table = pl.DataFrame(
        {"label": [dt.date(2012, 1, 2), dt.date(2012, 1, 3)], "open_ns": [0, 5], "close_ns": [10, 20]}
    )
    from ml4t.backtest import calendars

    with pytest.raises(DataError, match="session 2012-01-03 overlaps"):
        calendars.checked("X", table)


def test_a_session_table_is_a_calendar_of_the_kernel() -> None:
    table = session_table("XNYS", dt.date(2012, 7, 1), dt.date(2012, 7, 31))
    rows = table.sessions(dt.date(2012, 7, 3), dt.date(2012, 7, 5))
    assert [row[0] for row in rows] == [dt.date(2012, 7, 3), dt.date(2012, 7, 5)]
    assert isinstance(table, SessionTable)


def test_built_in_calendars_and_data_import_neither_pandas_nor_the_calendar_library() -> None:
    code = (
        "import sys, datetime as dt; from ml4t.backtest.calendars import session_table;"
        "import ml4t.backtest.data;"
        "session_table('24/7', dt.date(2012,1,1), dt.date(2012,2,1));"
        "session_table('fx_24_5', dt.date(2012,1,1), dt.date(2012,2,1));"
        "print(sorted({'pandas', 'pandas_market_calendars', 'exchange_calendars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_calendar_without_sessions_in_the_range_holds_no_instant() -> None:
    table = session_table("XNYS", dt.date(2012, 7, 7), dt.date(2012, 7, 8))
    instants = np.array([0, 1_341_322_200_000_000_000])
    assert table.open_time_before(instants).tolist() == [0, 0]
    assert table.containing(instants)[2].tolist() == [False, False]


class Limited:
    """A calendar of the library that knows its holidays up to the middle of 2012 only."""

    tz = "UTC"

    def schedule(self, first: str, last: str) -> pd.DataFrame:
        if last > "2012-06-30":
            message = "holidays are known up to 2012-06-30"
            raise ValueError(message)
        days = pd.date_range(first, last, freq="B")
        opens = days.tz_localize("UTC") + pd.Timedelta(hours=8)
        return pd.DataFrame({"market_open": opens, "market_close": opens + pd.Timedelta(hours=8)}, index=days)


def test_a_calendar_with_a_last_known_day_is_read_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas_market_calendars, "get_calendar", lambda name: Limited())
    table = session_table("XSES", dt.date(2012, 6, 1), dt.date(2012, 6, 30))
    assert len(table) == 21
    # Data that reach to that day are read, though the tables of a run usually go further.
    bars = pl.DataFrame(
        {"session": [dt.date(2012, 6, 29)], "symbol": "X", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    )
    data = assemble(DataFeed(bars, stamp="session", calendar="XSES"))
    assert data.calendars[0].frame["label"][-1] == dt.date(2012, 6, 29)
    with pytest.raises(
        DataError,
        match="has no schedule of XSES for 2012-06-01 to 2012-07-31: holidays are known up to 2012-06-30",
    ):
        session_table("XSES", dt.date(2012, 6, 1), dt.date(2012, 7, 31))
