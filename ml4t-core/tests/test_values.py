"""Conversions at the edge."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import DataError
from ml4t.core.values import (
    NS_PER_DAY,
    FrozenMapping,
    decimal_places,
    decimal_text,
    format_duration,
    format_ns,
    parse_duration,
    to_decimal,
    to_fraction,
    to_ns,
)


@pytest.mark.parametrize("value", ["0.1", "0.100", " 0.1 ", 0.1, Decimal("0.10"), np.float64(0.1), "1e-1"])
def test_equal_numbers_become_one_decimal_however_they_are_written(value: object) -> None:
    assert repr(to_decimal(value)) == "Decimal('0.1')"


@pytest.mark.parametrize(
    "value", [True, None, "", "abc", "nan", float("inf"), float("nan"), [1], Decimal("sNaN")]
)
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="expected a finite number, found"):
        to_decimal(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_decimal_text_gives_the_number_back_without_an_exponent(number: Decimal) -> None:
    text = decimal_text(number)
    assert "e" not in text.lower()
    assert Decimal(text) == number
    assert text == decimal_text(Decimal(text + "0" if "." in text else text))


@given(st.integers(-(10**40), 10**40), st.integers(0, 30))
def test_more_digits_than_the_decimal_context_are_kept(digits: int, places: int) -> None:
    # From text: arithmetic would round to the context.
    number = Decimal(f"{digits}e-{places}")
    assert Fraction(to_decimal(number)) == Fraction(digits, 10**places)


@pytest.mark.parametrize(
    ("text", "places"), [("50", 0), ("100.00", 0), ("0.25", 2), ("1e-9", 9), ("0", 0), ("1e3", 0)]
)
def test_decimal_places_counts_what_is_needed(text: str, places: int) -> None:
    assert decimal_places(Decimal(text)) == places


@pytest.mark.parametrize(
    ("value", "fraction"),
    [
        ("1/3", Fraction(1, 3)),
        ("7", Fraction(7)),
        (0.5, Fraction(1, 2)),
        (Fraction(2, 3), Fraction(2, 3)),
        (1.1, Fraction(11, 10)),
    ],
)
def test_ratios_are_exact(value: object, fraction: Fraction) -> None:
    assert to_fraction(value) == fraction


@pytest.mark.parametrize("value", ["1/0", "a/b", "1/2/3", None])
def test_what_is_no_ratio_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        to_fraction(value)


def test_instants_in_any_zone_are_nanoseconds_utc() -> None:
    expected = 1_709_303_400_000_000_000
    assert to_ns(datetime(2024, 3, 1, 14, 30, tzinfo=UTC)) == expected
    assert to_ns(datetime(2024, 3, 1, 9, 30, tzinfo=ZoneInfo("America/New_York"))) == expected
    assert to_ns(expected) == to_ns(np.int64(expected)) == expected


def test_the_nanoseconds_of_pandas_are_kept() -> None:
    stamp = pd.Timestamp("2024-03-01T14:30:00.123456789", tz="America/New_York")
    assert to_ns(stamp) == stamp.as_unit("ns").value


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.integers(-720, 720))
def test_to_ns_is_exact_to_the_microsecond(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    exact = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert to_ns(aware) == exact


@pytest.mark.parametrize("value", [datetime(2024, 3, 1), pd.Timestamp("2024-03-01"), pd.NaT])
def test_a_time_without_a_zone_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="has no time zone"):
        to_ns(value)


@pytest.mark.parametrize("value", [True, 1.5, "2024-03-01", None])
def test_what_is_no_instant_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="expected nanoseconds UTC"):
        to_ns(value)


@pytest.mark.parametrize("value", [2**63, -(2**63), datetime(2300, 1, 1, tzinfo=UTC)])
def test_an_instant_beyond_64_bits_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="64-bit"):
        to_ns(value)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_instants_are_written_with_the_decimals_they_need(ns: int, text: str) -> None:
    assert format_ns(ns) == text
    assert format_ns(1_709_303_400_500_000_000) == "2024-03-01T14:30:00.5Z"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("15m", 900 * 10**9),
        ("15min", 900 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("-5m", -300 * 10**9),
        ("+5m", 300 * 10**9),
        ("1D", NS_PER_DAY),
        ("2w", 14 * NS_PER_DAY),
        ("0.5s", 5 * 10**8),
        ("250ms", 250 * 10**6),
        ("3 us", 3000),
        ("7ns", 7),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations_are_read(text: object, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "m", "5", "5 5", "1M", "1y", "1h-5m", "0.3ns", 5, None, False, "1e3s", "99999999w"]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(DataError, match="duration"):
        parse_duration(text)


@given(st.integers(-(2**62), 2**62))
def test_durations_survive_being_written(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


def test_a_frozen_mapping_is_immutable_all_the_way_down() -> None:
    source = {"a": {"b": [1, {"c": 2}]}}
    frozen = FrozenMapping(source)
    source["a"]["b"].append(3)
    assert frozen == {"a": {"b": (1, {"c": 2})}}
    with pytest.raises(TypeError):
        frozen["a"]["x"] = 1
    assert hash(frozen) == hash(FrozenMapping({"a": {"b": (1, {"c": 2})}}))
    assert pickle.loads(pickle.dumps(frozen)) == frozen


VAST = {
    "positive": "1e999999999",
    "negative": "1e-999999999",
    "decimal": Decimal("1E+1001"),
    "int": 10**5_000,
    "text": "9" * 1_001,
}


@pytest.mark.parametrize("name", VAST)
def test_numbers_of_more_than_a_thousand_digits_are_refused_before_they_are_written_out(name: str) -> None:
    with pytest.raises(DataError, match=r"expected a (finite number|number of at most)") as refused:
        to_decimal(VAST[name])
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", ["9" * 40 + "w", "9" * 500 + "s", "0.0000000001ns"])
def test_durations_of_many_digits_are_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(DataError, match="duration"):
        parse_duration(text)
