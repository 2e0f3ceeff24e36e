"""`Timestamp`: an aware datetime in UTC that also knows its nanoseconds."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import Timestamp

NS = 1_362_171_600_123_456_789
STAMP = Timestamp(NS)
PLAIN = dt.datetime(2013, 3, 1, 21, 0, 0, 123456, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
# What 64 bits of nanoseconds hold, in whole microseconds.
RANGE = {"min_value": dt.datetime(1678, 1, 1), "max_value": dt.datetime(2262, 1, 1)}
instants = st.datetimes(**RANGE, timezones=st.just(dt.UTC)).map(lambda moment: moment.replace(fold=0))
nanoseconds = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)


def ns_of(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def test_it_keeps_all_its_nanoseconds() -> None:
    assert (STAMP.ns, int(STAMP)) == (NS, NS)
    assert str(STAMP) == f"{STAMP}" == "2013-03-01T21:00:00.123456789Z"
    assert repr(STAMP) == "Timestamp('2013-03-01T21:00:00.123456789Z')"


def test_its_datetime_is_cut_off_at_microseconds() -> None:
    assert STAMP.datetime == PLAIN
    assert STAMP.datetime.tzinfo is dt.UTC
    assert type(STAMP.datetime) is dt.datetime


@given(instants)
def test_its_attributes_are_those_of_the_datetime(moment: dt.datetime) -> None:
    stamp = Timestamp(ns_of(moment))
    for name in ("year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"):
        assert getattr(stamp, name) == getattr(moment, name)


@given(instants)
def test_its_methods_are_those_of_the_datetime(moment: dt.datetime) -> None:
    stamp = Timestamp(ns_of(moment))
    for name in (
        "date",
        "time",
        "timetz",
        "timestamp",
        "weekday",
        "isoweekday",
        "isocalendar",
        "isoformat",
        "toordinal",
    ):
        assert getattr(stamp, name)() == getattr(moment, name)()
    assert stamp.strftime("%A %d %B %Y %H:%M") == moment.strftime("%A %d %B %Y %H:%M")
    assert stamp.replace(hour=3) == moment.replace(hour=3)
    new_york = ZoneInfo("America/New_York")
    assert stamp.astimezone(new_york) == moment.astimezone(new_york)
    assert stamp.utcoffset() == dt.timedelta(0)


@given(instants)
def test_it_formats_as_the_datetime_does(moment: dt.datetime) -> None:
    stamp = Timestamp(ns_of(moment))
    assert f"{stamp:%Y-%m-%d %H:%M:%S.%f}" == f"{moment:%Y-%m-%d %H:%M:%S.%f}"
    assert format(stamp, "") == str(stamp)


def test_an_attribute_that_no_datetime_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nanosecond"):
        STAMP.nanosecond  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(STAMP, "tz")


# -- comparison ------------------------------------------------------------------------------------------


@given(instants, instants)
def test_it_compares_with_datetimes_and_with_its_own_kind_alike(one: dt.datetime, other: dt.datetime) -> None:
    stamp, second = Timestamp(ns_of(one)), Timestamp(ns_of(other))
    for right in (second, other):
        assert (stamp == right) == (one == other)
        assert (stamp != right) == (one != other)
        assert (stamp < right) == (one < other)
        assert (stamp <= right) == (one <= other)
        assert (stamp > right) == (one > other)
        assert (stamp >= right) == (one >= other)
        assert (right < stamp) == (other < one)
        assert (right >= stamp) == (other >= one)


@given(nanoseconds, nanoseconds)
def test_it_is_ordered_by_its_nanoseconds(one: int, other: int) -> None:
    assert (Timestamp(one) < Timestamp(other)) == (one < other)
    assert (Timestamp(one) == Timestamp(other)) == (one == other)


def test_a_nanosecond_past_a_datetime_is_later_than_it() -> None:
    assert STAMP > PLAIN
    assert STAMP != PLAIN
    assert Timestamp(NS - 789) == PLAIN


def test_zones_do_not_matter() -> None:
    tokyo = PLAIN.astimezone(ZoneInfo("Asia/Tokyo"))
    assert Timestamp(NS - 789) == tokyo
    assert STAMP - tokyo == dt.timedelta(0)


def test_it_compares_with_pandas_down_to_the_nanosecond() -> None:
    assert STAMP == pd.Timestamp(NS, tz="UTC")
    assert STAMP < pd.Timestamp(NS + 1, tz="UTC")
    assert STAMP > pd.Timestamp(NS - 1, tz="UTC")


@pytest.mark.parametrize("sentinel", [dt.datetime.max, dt.datetime.min])
def test_it_compares_with_datetimes_that_64_bits_cannot_hold(sentinel: dt.datetime) -> None:
    aware = sentinel.replace(tzinfo=dt.UTC)
    assert (STAMP < aware) == (PLAIN < aware)
    assert (STAMP > aware) == (PLAIN > aware)
    assert STAMP != aware


@pytest.mark.parametrize("other", [None, 0, NS, "2013-03-01", dt.date(2013, 3, 1), SECOND, object()])
def test_it_is_unequal_to_what_is_no_instant_and_not_ordered_with_it(other: object) -> None:
    assert STAMP != other
    assert (STAMP == other) is False
    with pytest.raises(TypeError):
        STAMP < other  # noqa: B015


def test_a_naive_datetime_is_unequal_and_not_ordered_as_with_datetimes() -> None:
    naive = PLAIN.replace(tzinfo=None)
    assert naive != PLAIN
    assert STAMP != naive
    assert (STAMP == naive) is False
    with pytest.raises(TypeError, match="offset-naive and offset-aware"):
        STAMP < naive  # noqa: B015


@given(instants)
def test_it_hashes_like_the_datetime_that_it_equals(moment: dt.datetime) -> None:
    stamp = Timestamp(ns_of(moment))
    assert hash(stamp) == hash(moment)
    assert {moment: 1}[stamp] == 1  # type: ignore[index]
    assert {stamp: 1}[moment] == 1  # type: ignore[index]


@given(nanoseconds)
def test_equal_stamps_have_equal_hashes(ns: int) -> None:
    assert hash(Timestamp(ns)) == hash(Timestamp(ns))
    assert Timestamp(ns) in {Timestamp(ns)}


# -- arithmetic ------------------------------------------------------------------------------------------


@given(instants, st.timedeltas(min_value=dt.timedelta(days=-1000), max_value=dt.timedelta(days=1000)))
def test_a_duration_added_or_taken_off_gives_a_datetime(moment: dt.datetime, step: dt.timedelta) -> None:
    stamp = Timestamp(ns_of(moment))
    assert stamp + step == moment + step
    assert stamp - step == moment - step
    assert isinstance(stamp + step, dt.datetime)


@given(instants)
def test_a_duration_may_stand_in_front(moment: dt.datetime) -> None:
    assert SECOND + Timestamp(ns_of(moment)) == SECOND + moment


@given(instants, instants)
def test_the_difference_of_instants_is_a_duration(one: dt.datetime, other: dt.datetime) -> None:
    stamp, second = Timestamp(ns_of(one)), Timestamp(ns_of(other))
    assert stamp - second == stamp - other == one - second == one - other


def test_the_difference_of_the_furthest_instants_is_a_duration() -> None:
    first, last = Timestamp(-(2**63) + 1), Timestamp(2**63 - 1)
    assert (last - first).days == 213_503


@pytest.mark.parametrize(
    "use",
    [lambda: STAMP + 1, lambda: STAMP - 1, lambda: STAMP + STAMP, lambda: 1 - STAMP, lambda: SECOND - STAMP],
)
def test_what_a_datetime_does_not_add_is_a_type_error(use: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        use()


# -- what Python does with values ------------------------------------------------------------------------


def test_it_is_copied_and_pickled_with_all_its_digits() -> None:
    for twin in (copy.copy(STAMP), copy.deepcopy(STAMP), pickle.loads(pickle.dumps(STAMP))):
        assert (twin, twin.ns) == (STAMP, NS)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        STAMP.ns = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        STAMP.note = "x"  # type: ignore[attr-defined]


@pytest.mark.parametrize("ns", [1.5, "0", None, 2**63, PLAIN])
def test_what_is_no_count_of_nanoseconds_is_refused(ns: object) -> None:
    with pytest.raises((TypeError, OverflowError)):
        Timestamp(ns)
