"""Stamps that do not say an instant: refused, because each guess would move the market in time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.core.errors import ConfigError, DataError

from .inputs import DAYS, START, UTC, by_minute, by_session, daily, minutes, refused, run, tables

NAIVE = minutes(timestamp=[dt.datetime(2024, 1, 2, 9, 30 + k) for k in range(4)])
OFFSETS = [
    "2024-01-02T09:30:00-05:00",
    "2024-01-02T14:31:00Z",
    "2024-01-02T15:32:00+01:00",
    "2024-01-02T14:33:00Z",
]


# --------------------------------------------------------------------------- zones


def test_naive_stamps_are_refused_with_the_first_of_them() -> None:
    with refused(
        DataError, "feed prices", "naive (first: 2024-01-02 09:30:00)", "timezone='America/New_York'"
    ):
        run(by_minute(NAIVE))


def test_naive_and_aware_stamps_in_one_column_of_text_are_refused_by_row() -> None:
    texts = [OFFSETS[0], "2024-01-02T14:31:00", *OFFSETS[2:]]
    with refused(DataError, "'2024-01-02T14:31:00' in row 1", OFFSETS[0]):
        run(by_minute(minutes(timestamp=texts)))


def test_naive_and_aware_stamps_in_one_column_of_pandas_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = minutes().to_pandas()
    frame["timestamp"] = [pandas.Timestamp("2024-01-02 09:30"), *frame["timestamp"][1:]]
    with refused(DataError, "column timestamp", "some stamps", "localize"):
        run(by_minute(frame))


def test_stamps_that_each_carry_their_offset_are_instants_whatever_the_zones() -> None:
    expected, found = tables(run(by_minute(minutes()))), tables(run(by_minute(minutes(timestamp=OFFSETS))))
    assert all(found[name].equals(table) for name, table in expected.items())


def test_a_declared_zone_that_contradicts_the_column_is_refused() -> None:
    frame = minutes().with_columns(pl.col("timestamp").dt.convert_time_zone("Asia/Tokyo"))
    with refused(DataError, "Asia/Tokyo", "timezone='America/New_York'", "leave it out"):
        run(by_minute(frame, timezone="America/New_York"))


def test_a_zone_that_does_not_exist_is_refused_where_it_is_declared() -> None:
    with refused(DataError, "feed prices", "'America/New_Yrok'", "IANA"):
        by_minute(NAIVE, timezone="America/New_Yrok")


@pytest.mark.parametrize(
    "first", [dt.datetime(2024, 3, 10, 2, 0), dt.datetime(2024, 11, 3, 1, 0)], ids=["skipped", "repeated"]
)
def test_a_local_time_that_no_or_two_instants_have_is_refused(first: dt.datetime) -> None:
    stamps = [first + dt.timedelta(minutes=k) for k in range(4)]
    with refused(DataError, f"{first} in row 0", "America/New_York", "clocks changed", "in UTC"):
        run(by_minute(minutes(timestamp=stamps), timezone="America/New_York"))


@pytest.mark.parametrize(("zone", "outside"), [("Asia/Tokyo", 30), ("Europe/London", 30)])
def test_a_wrong_zone_that_leaves_no_nav_is_said_in_the_results(zone: str, outside: int) -> None:
    stamps = [dt.datetime(2024, 1, 2, 9, 30) + dt.timedelta(minutes=k) for k in range(30)]
    results = run(by_minute(minutes(30, timestamp=stamps), timezone=zone))
    assert results.nav.is_empty()
    no_nav, beyond = results.warnings
    assert no_nav.startswith("No session of XNYS closed within the data, so there is no NAV")
    assert beyond.startswith(f"feed prices: {outside} of 30 rows reach beyond the sessions of their calendar")
    assert beyond.endswith("check timezone, stamp and calendar")


def test_a_right_zone_gives_no_warning() -> None:
    stamps = [dt.datetime(2024, 1, 2, 9, 30) + dt.timedelta(minutes=k) for k in range(390)]
    assert run(by_minute(minutes(390, timestamp=stamps), timezone="America/New_York")).warnings == ()


# --------------------------------------------------------------------------- declarations


def test_a_feed_that_does_not_declare_its_stamps_is_refused() -> None:
    with refused(
        DataError, "feed prices: stamp is not declared", "'open'", "'close'", "'event'", "'session'"
    ):
        DataFeed(daily())


@pytest.mark.parametrize("stamp", ["open", "close"])
def test_bars_without_an_interval_are_refused(stamp: str) -> None:
    with refused(DataError, "interval is not declared", "interval='1m'"):
        DataFeed(minutes(), stamp=stamp)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        ({"stamp": "begin"}, ["stamp 'begin'", "open, close, event, session"]),
        ({"kind": "bars"}, ["kind 'bars'", "bar, quote, trade, context", "did you mean 'bar'?"]),
        ({"interval": "0m"}, ["interval '0m'", "'1m'"]),
        ({"interval": "-1m"}, ["interval '-1m'", "'1m'"]),
        ({"interval": "1M"}, ["'M'", "'1M'", "m for minutes"]),
        ({"interval": 60}, ["interval 60", "'1m'", "timedelta"]),
        ({"interval": "2d"}, ["interval '2d'", "at most a day"]),
        ({"stamp": "session", "interval": "1m"}, ["stamp='session'", "interval='1m'"]),
    ],
)
def test_a_declaration_that_is_none_is_refused_with_what_is_allowed(
    declared: dict[str, Any], parts: list[str]
) -> None:
    with refused(DataError, *parts):
        by_minute(minutes(), **declared)


# --------------------------------------------------------------------------- stamps that are none

INTEGERS: dict[str, tuple[list[int], pl.DataType, str]] = {
    "ms": (
        [1_704_205_800_000 + 60_000 * k for k in range(4)],
        pl.Int64(),
        "holds 1704205800000, which looks like",
    ),
    "beyond 64 bits": ([2**63 + k for k in range(4)], pl.UInt64(), "9223372036854775811 in row 3"),
    "at the end of 64 bits": ([2**63 - 4 + k for k in range(4)], pl.Int64(), "9223372036854775807 in row 3"),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_that_are_no_nanoseconds_are_refused(name: str) -> None:
    values, dtype, part = INTEGERS[name]
    with refused(DataError, "integer stamp", part, "ns since 1970 in UTC"):
        run(by_minute(minutes(timestamp=pl.Series(values, dtype=dtype)), calendar="24/7"))


@pytest.mark.parametrize(
    ("stamps", "parts"),
    [
        ([1.7e18] * 4, ["column timestamp is Float64", "ISO 8601"]),
        (DAYS, ["the stamps are dates", "2024-01-02", "stamp='session'"]),
        (["01/02/2024"] * 4, ["'01/02/2024'", "ISO 8601", "2012-07-03"]),
        ([START, None, START, START], ["row 1 has no stamp", "timestamp"]),
    ],
    ids=["floats", "dates", "American text", "missing"],
)
def test_stamps_of_another_type_are_refused(stamps: list[Any], parts: list[str]) -> None:
    with refused(DataError, *parts):
        run(by_minute(minutes(timestamp=stamps)))


@pytest.mark.parametrize("calendar", ["XNYS", "24/7"])
@pytest.mark.parametrize("day", [dt.date(1500, 1, 4), dt.date(2300, 1, 4)])
def test_a_year_beyond_64_bit_nanoseconds_is_refused_by_row(day: dt.date, calendar: str) -> None:
    with refused(DataError, f"{day} in row 3", "1678-01-01 and 2261-12-31"):
        run(by_session(daily(session=[*DAYS[:3], day]), calendar=calendar))


def test_microseconds_beyond_64_bit_nanoseconds_are_refused() -> None:
    stamps = [dt.datetime(2400, 1, 2, 14, 30 + k, tzinfo=UTC) for k in range(4)]
    with refused(DataError, "2400-01-02", "beyond the years 1678 to 2261"):
        run(by_minute(minutes(timestamp=stamps)))


# --------------------------------------------------------------------------- sessions


@pytest.mark.parametrize(
    ("day", "near"),
    [(dt.date(2024, 1, 1), "2023-12-29 and 2024-01-02"), (dt.date(2024, 1, 6), "2024-01-05 and 2024-01-08")],
    ids=["holiday", "Saturday"],
)
def test_a_session_the_calendar_does_not_know_is_refused_with_the_nearest(day: dt.date, near: str) -> None:
    with refused(
        DataError, f"XYZ: {day} is not a session of calendar XNYS", f"(nearest: {near})", "drop the row"
    ):
        run(by_session(daily(session=[*DAYS[:3], day])))


def test_a_daily_bar_stamped_at_no_close_of_a_session_is_refused() -> None:
    stamps = [dt.datetime(day.year, day.month, day.day, tzinfo=UTC) for day in DAYS]
    frame = daily(session=stamps).rename({"session": "timestamp"})
    with refused(DataError, "XYZ: 2024-01-02T00:00:00Z is not the close of a session", "stamp='session'"):
        run(DataFeed(frame, stamp="close", interval="1d"))


def test_a_time_of_day_in_a_session_label_is_refused() -> None:
    stamps = [dt.datetime(day.year, day.month, day.day, 16) for day in DAYS]
    with refused(DataError, "2024-01-02 16:00:00", "time of day", "interval='1d'"):
        run(by_session(daily(session=stamps)))


# --------------------------------------------------------------------------- the period


@pytest.mark.parametrize(
    ("period", "parts"),
    [
        (
            {"start_date": "2024-01-04", "end_date": "2024-01-03"},
            ["2024-01-03 is before start_date 2024-01-04"],
        ),
        ({"start_date": "January"}, ["backtest.start_date", "'January'"]),
        ({"start_date": 3}, ["backtest.start_date", "3"]),
        ({"start_date": dt.datetime(2024, 1, 3, 9, 30)}, ["backtest.start_date", "2024, 1, 3, 9, 30", "Z"]),
    ],
)
def test_a_period_that_is_none_is_refused(period: dict[str, Any], parts: list[str]) -> None:
    with refused(ConfigError, *parts):
        run(by_session(daily()), config={"backtest": period})
