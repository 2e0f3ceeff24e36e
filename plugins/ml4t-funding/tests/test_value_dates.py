"""Closing days, value dates and days of each evening, against published lists and dates worked by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ArgumentError, DataError
from ml4t.funding import rollover_days
from ml4t.funding.closing_days import closing_days
from ml4t.funding.value_dates import CurrencyPair, ValueDates

DAY = dt.timedelta(days=1)
NO_HOLIDAYS = {"CAD": "weekdays", "MXN": [], "TRY": []}


def closed(currency: str, year: int) -> list[str]:
    days = closing_days(currency, dt.date(year, 1, 1), dt.date(year, 12, 31))
    return [f"{day:%m-%d}" for day in sorted(days)]


def days(pair: str, first: str, last: str, **terms: Any) -> list[int]:  # noqa: ANN401
    """Days of each evening from Monday to Friday."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    given_days = {name: days for name, days in NO_HOLIDAYS.items() if name in pair}
    return rollover_days(pair, start, end, **({"holidays": given_days} | terms))["days"].to_list()


def spot(pair: str, trade_date: str, **terms: Any) -> str:  # noqa: ANN401
    day = dt.date.fromisoformat(trade_date)
    dates = ValueDates.between(CurrencyPair.of(pair), day, day, **({"holidays": NO_HOLIDAYS} | terms))
    return f"{dates.of(day):%a %m-%d}"


# -- closing days ------------------------------------------------------------------------------------------


# Board of Governors of the Federal Reserve System, "Holidays Observed": 2021 had neither the first Juneteenth
# (banks settled on 18 June) nor Christmas, a Saturday; in 2022 Juneteenth and Christmas were Sundays.
@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (2021, "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25"),
        (2022, "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26"),
        (2024, "01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25"),
    ],
)
def test_dollars_do_not_settle_on_holidays_of_the_federal_reserve(year: int, expected: str) -> None:
    assert closed("USD", year) == expected.split()


# European Central Bank, "TARGET closing days"; 1 January and 1 May of 2022 were on a weekend.
@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (2011, "04-22 04-25 12-26"),
        (2019, "01-01 04-19 04-22 05-01 12-25 12-26"),
        (2022, "04-15 04-18 12-26"),
        (2024, "01-01 03-29 04-01 05-01 12-25 12-26"),
        (2025, "01-01 04-18 04-21 05-01 12-25 12-26"),
    ],
)
def test_euros_do_not_settle_on_closing_days_of_target(year: int, expected: str) -> None:
    assert closed("EUR", year) == expected.split()


def test_pounds_and_yen_settle_when_london_and_tokyo_have_a_session() -> None:
    # The funeral of Elizabeth II on 19 September 2022; 31 December to 3 January in Japan.
    assert "09-19" in closed("GBP", 2022)
    assert closed("JPY", 2024)[:3] == ["01-01", "01-02", "01-03"]
    assert closed("JPY", 2024)[-1] == "12-31"


def test_what_is_given_counts_instead_of_what_is_known() -> None:
    range_ = dt.date(2024, 12, 23), dt.date(2024, 12, 31)
    # A Saturday among the dates is none more, a date beyond the range none at all.
    dates = [dt.date(2024, 12, day) for day in (24, 28)] + [dt.date(2025, 1, 2)]
    assert closing_days("USD", *range_, {"USD": dates}) == {dt.date(2024, 12, 24)}
    assert closing_days("USD", *range_, {"USD": "weekdays"}) == set()
    assert closing_days("CHF", *range_, {"CHF": "XSWX"}) == {
        dt.date(2024, 12, day) for day in (24, 25, 26, 31)
    }


@pytest.mark.parametrize(
    ("pair", "terms", "says"),
    [
        ("USDCAD", {}, r"on which days CAD does not settle; known are EUR, GBP, JPY, USD\. Give holidays="),
        ("USDCAD", {"holidays": {"USD": []}}, "on which days CAD does not settle"),
        ("USDCAD", {"holidays": {"CAD": 5}}, "holidays of CAD = 5; expected the name of a calendar such as"),
        ("USDCAD", {"holidays": {"CAD": ""}}, "calendar '' is not known"),
        ("USDCAD", {"holidays": {"CAD": None}}, "on which days CAD does not settle"),
        ("USDCAD", {"holidays": {"CAD": "XTSX"}}, "XTSX"),
        ("EURUSD", {"holidays": {"USD": ["2024-12-25"]}}, "holidays of USD: '2024-12-25' is no date"),
        ("USDSAR", {"holidays": {"SAR": []}}, "SAR does not settle on Fridays"),
        ("EUR", {}, "'EUR' is no pair; expected two currencies such as 'EURUSD'"),
        ("EUREUR", {}, "'EUREUR' is no pair"),
    ],
)
def test_what_is_not_known_is_refused_with_what_to_give(pair: str, terms: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        rollover_days(pair, dt.date(2024, 3, 4), dt.date(2024, 3, 8), **terms)


def test_rules_do_not_reach_before_their_time() -> None:
    with pytest.raises(
        DataError, match="closing days of EUR are known from 2002 on, and 2001-12-31 was asked"
    ):
        rollover_days("EURUSD", dt.date(2001, 12, 31), dt.date(2002, 1, 4))


@pytest.mark.parametrize("lag", [0, -1, 1.5, True, "2"])
def test_a_number_of_days_to_settle_is_whole_and_above_zero(lag: Any) -> None:  # noqa: ANN401
    with pytest.raises(ArgumentError, match=r"spot_days of EUR = .*; expected a whole number of 1 or more"):
        days("EURUSD", "2024-03-04", "2024-03-08", spot_days={"EUR": lag})


NAMED_WRONGLY: list[tuple[str, dict[str, Any], str]] = [
    (
        "USDCAD",
        {"holidays": ["XTSE"]},
        r"holidays = \['XTSE'\]; expected a mapping by currency, such as {'CAD",
    ),
    ("USDCAD", {"spot_days": 2}, "spot_days = 2; expected a mapping by currency, such as {'TRY': 2}"),
    (
        "USDCAD",
        {"spot_days": {"cad": 2}},
        "'cad' is no currency; expected three capital letters, here of CAD",
    ),
    ("USDCAD", {"spot_days": {"USD": 2}}, "USD counts no days of its own; those that count here are CAD"),
    ("EURJPY", {"spot_days": {"TRY": 2}}, "TRY is in none of the pairs; those that count here are EUR, JPY"),
    ("USDCAD", {"holidays": {"CHF": []}}, "CHF is in none of the pairs; those that count here are CAD, USD"),
]


@pytest.mark.parametrize(("pair", "terms", "says"), NAMED_WRONGLY)
def test_terms_of_a_currency_that_nobody_trades_are_refused(
    pair: str, terms: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArgumentError, match=says):
        rollover_days(pair, dt.date(2024, 3, 4), dt.date(2024, 3, 8), **terms)


def test_holidays_of_dollars_count_for_a_cross_too_and_of_each_pair() -> None:
    # Tuesday, 5 March: what settles then waits for Wednesday, so Friday's roll pays for one day more.
    first, last = dt.date(2024, 3, 1), dt.date(2024, 3, 1)
    once = iter([dt.date(2024, 3, 5)])
    found = rollover_days(["EURJPY", "GBPJPY"], first, last, holidays={"USD": once})  # type: ignore[dict-item]
    assert found["value_date"].to_list() == [dt.date(2024, 3, 6)] * 2


@pytest.mark.parametrize("pairs", [5, None])
def test_pairs_are_text(pairs: Any) -> None:  # noqa: ANN401
    with pytest.raises(ArgumentError, match=r"pairs = .*; expected a pair such as 'EURUSD', or a list"):
        rollover_days(pairs, dt.date(2024, 3, 4), dt.date(2024, 3, 8))


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (dt.date(2024, 3, 8), dt.date(2024, 3, 4), "start = 2024-03-08 is after end = 2024-03-04"),
        (dt.datetime(2024, 3, 4, 17), dt.date(2024, 3, 8), r"start = datetime\.datetime.*expected a date"),
        (dt.date(2024, 3, 4), "2024-03-08", "end = '2024-03-08'; expected a date"),
    ],
)
def test_a_range_is_two_dates(start: Any, end: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(ArgumentError, match=says):
        rollover_days("EURUSD", start, end)


# -- days of an evening ------------------------------------------------------------------------------------


# OANDA: three days on a Wednesday, and for USD/CAD, which settles after one day, on a Thursday. A cross takes
# the later date of its currencies against USD.
@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("EURUSD", [1, 1, 3, 1, 1]),
        ("eur/usd", [1, 1, 3, 1, 1]),
        ("USDJPY", [1, 1, 3, 1, 1]),
        ("USDCAD", [1, 1, 1, 3, 1]),
        ("USDTRY", [1, 1, 1, 3, 1]),
        ("EURCAD", [1, 1, 3, 1, 1]),
        ("CADTRY", [1, 1, 1, 3, 1]),
    ],
)
def test_a_week_without_holidays_has_three_days_on_one_evening(pair: str, expected: list[int]) -> None:
    assert days(pair, "2024-03-04", "2024-03-08") == expected


def test_a_number_of_days_to_settle_can_be_given() -> None:
    assert days("USDTRY", "2024-03-04", "2024-03-08", spot_days={"TRY": 2}) == [1, 1, 3, 1, 1]


# Each worked by hand: value dates of the trade dates, and of the Monday after.
@pytest.mark.parametrize(
    ("pair", "first", "last", "expected"),
    [
        # Thanksgiving is Thursday, the 28th. Mon -> Wed 27, Tue -> Fri 29 (no USD settle on Thursday),
        # Wed -> Fri 29 (Thursday counts, the euro settles), Thu -> Mon 2, Fri -> Tue 3, Mon -> Wed 4.
        ("EURUSD", "2024-11-25", "2024-11-29", [2, 0, 3, 1, 1]),
        # One day: Mon -> Tue 26, Tue -> Wed 27, Wed -> Fri 29, Thu -> Fri 29, Fri -> Mon 2, Mon -> Tue 3.
        ("USDCAD", "2024-11-25", "2024-11-29", [1, 2, 0, 3, 1]),
        # Christmas: the euro does not settle on 25 and 26 December and on 1 January. Fri 20 -> Tue 24,
        # Mon 23 -> Fri 27, Tue 24, Wed 25 and Thu 26 -> Mon 30, Fri 27 -> Tue 31, Mon 30 -> Thu 2,
        # Tue 31 and Wed 1 -> Fri 3, Thu 2 -> Mon 6, Fri 3 -> Tue 7.
        ("EURUSD", "2024-12-20", "2025-01-02", [3, 3, 0, 0, 1, 2, 1, 0, 3, 1]),
        # Early May bank holiday on Monday, the 6th: Wed 1 -> Fri 3, Thu 2 -> Tue 7, Fri 3 -> Wed 8.
        ("GBPUSD", "2024-05-01", "2024-05-02", [4, 1]),
        # Labour Day of TARGET on Wednesday: Fri 26 -> Tue 30, Mon 29 -> Thu 2, Tue 30 and Wed 1 -> Fri 3,
        # Thu 2 -> Mon 6, Fri 3 -> Tue 7.
        ("EURUSD", "2024-04-26", "2024-05-02", [2, 1, 0, 3, 1]),
        # A cross does not settle without New York: 4 July is a Thursday. Mon 1 -> Wed 3, Tue 2 -> Fri 5,
        # Wed 3 -> Fri 5, Thu 4 -> Mon 8, Fri 5 -> Tue 9, Mon 8 -> Wed 10.
        ("EURJPY", "2024-07-01", "2024-07-05", [2, 0, 3, 1, 1]),
    ],
)
def test_holidays_shift_days_from_one_evening_to_another(
    pair: str, first: str, last: str, expected: list[int]
) -> None:
    assert days(pair, first, last) == expected


# Wednesday, 19 June 2024, is Juneteenth: for most it counts on the way, for the peso it does not (London FX).
def test_a_day_without_new_york_counts_on_the_way_but_for_some() -> None:
    assert spot("EURUSD", "2024-06-18") == "Thu 06-20"
    assert spot("USDMXN", "2024-06-18") == "Fri 06-21"
    assert spot("EURMXN", "2024-06-18") == "Fri 06-21"


# Each currency counts its own days: Tokyo is closed on Monday, 15 July 2024.
def test_a_day_on_which_a_currency_does_not_settle_does_not_count() -> None:
    assert spot("USDJPY", "2024-07-12") == "Wed 07-17"
    assert spot("EURUSD", "2024-07-12") == "Tue 07-16"
    assert spot("EURJPY", "2024-07-12") == "Wed 07-17"


def test_the_evening_is_five_in_new_york_in_winter_and_in_summer() -> None:
    found = rollover_days("EURUSD", dt.date(2024, 3, 8), dt.date(2024, 3, 11))["ts_event"]
    assert [f"{roll:%a %d %H:%M}" for roll in found] == ["Fri 08 22:00", "Mon 11 21:00"]
    found = rollover_days("EURUSD", dt.date(2024, 11, 1), dt.date(2024, 11, 4))["ts_event"]
    assert [f"{roll:%a %d %H:%M}" for roll in found] == ["Fri 01 21:00", "Mon 04 22:00"]


def test_several_pairs_are_one_table_sorted_by_time() -> None:
    found = rollover_days(
        ["USDCAD", "EURUSD"], dt.date(2024, 3, 6), dt.date(2024, 3, 7), holidays={"CAD": []}
    )
    assert found.select("pair", "days").rows() == [("EURUSD", 3), ("USDCAD", 1), ("EURUSD", 1), ("USDCAD", 3)]
    assert rollover_days("EURUSD", dt.date(2024, 3, 9), dt.date(2024, 3, 10)).is_empty()


# -- what holds for any holidays ---------------------------------------------------------------------------

FIRST = dt.date(2024, 3, 1)
holidays_of_one = st.lists(st.integers(0, 45).map(lambda n: FIRST + n * DAY), max_size=12)


@given(
    pair=st.sampled_from(["EURUSD", "USDCAD", "USDMXN", "EURJPY", "CADJPY", "EURMXN"]),
    given_days=st.fixed_dictionaries({name: holidays_of_one for name in ("EUR", "USD", "CAD", "MXN", "JPY")}),
)
def test_value_dates_are_the_first_days_on_which_all_have_counted_and_settle(
    pair: str, given_days: dict[str, list[dt.date]]
) -> None:
    """By the definition, tried day by day, beside a calculation that counts; days add up to the calendar."""
    base, quote = pair[:3], pair[3:]
    lags = {name: 1 if name == "CAD" else 2 for name in (base, quote) if name != "USD"}

    def settles(day: dt.date, *names: str) -> bool:
        return day.weekday() < 5 and not any(day in given_days[name] for name in names)

    def is_possible(trade: dt.date, value: dt.date) -> bool:
        between = [trade + (n + 1) * DAY for n in range((value - trade).days)]
        counted = {
            name: sum(settles(day, name, *(["USD"] if name == "MXN" else [])) for day in between)
            for name in lags
        }
        return settles(value, base, quote, "USD") and all(counted[name] >= lag for name, lag in lags.items())

    def value(trade: dt.date) -> dt.date:
        return next(day for n in range(1, 99) if is_possible(trade, day := trade + n * DAY))

    told = {name: given_days[name] for name in {base, quote, "USD"}}
    found = rollover_days(pair, FIRST, FIRST + 27 * DAY, holidays=told)
    for row in found.rows(named=True):
        assert row["value_date"] == value(row["trade_date"])
        assert row["days"] == (row["next_value_date"] - row["value_date"]).days >= 0
    assert found["days"].sum() == (found["next_value_date"][-1] - found["value_date"][0]).days
