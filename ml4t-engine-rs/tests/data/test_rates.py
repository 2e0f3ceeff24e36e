"""Tables of borrow and funding rates: what is read, and what is refused in one sentence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest.data import read_actions, read_borrow_rates, read_funding_rates
from ml4t.core.errors import DataError

DAY = dt.date(2024, 3, 5)


def borrow(**columns: Any) -> pl.DataFrame:  # noqa: ANN401
    return pl.DataFrame(
        {"symbol": ["A", "A"], "ts_event": [DAY, dt.date(2024, 3, 6)], "borrow_rate": [0.1, 0.2]} | columns
    )


@pytest.mark.parametrize("day", [dt.date(9999, 12, 31), dt.date(1, 1, 1)])
def test_dates_that_no_instant_can_have_are_refused(day: dt.date) -> None:
    with pytest.raises(DataError, match=rf"row 1 \(A\) has the stamp {day}; expected a date from 1678"):
        read_borrow_rates(borrow(ts_event=[DAY, day]))
    row = {"symbol": ["A"], "ex_date": [day], "kind": ["delisting"], "amount": ["1"]}
    with pytest.raises(DataError, match=rf"delisting of A: ex_date {day} is not from 1678 to 2261"):
        read_actions(pl.DataFrame(row))


def test_a_date_that_is_missing_is_refused() -> None:
    with pytest.raises(DataError, match=r"row 1 \(A\) has no stamp"):
        read_borrow_rates(borrow(ts_event=[DAY, None]))


def test_the_first_row_that_is_wrong_is_told_with_what_is_wrong_with_it() -> None:
    with pytest.raises(DataError, match=r"row 0 \(A\) has the stamp 2900-01-01"):
        read_borrow_rates(borrow(ts_event=[dt.date(2900, 1, 1), None]))


def test_dates_are_dates_however_they_are_written() -> None:
    text = borrow(ts_event=["2024-03-05", "2024-03-06"])
    midnights = borrow(ts_event=[dt.datetime(2024, 3, 5), dt.datetime(2024, 3, 6)])
    for frame in (borrow(), text, midnights, borrow().to_pandas()):
        (rows,) = read_borrow_rates(frame).frames
        assert rows["stamp"].to_list() == [DAY, dt.date(2024, 3, 6)]


def test_a_date_does_not_say_when_funding_is_paid() -> None:
    frame = borrow().rename({"borrow_rate": "funding_rate"})
    for stamps in (frame, frame.with_columns(pl.col("ts_event").cast(pl.String))):
        with pytest.raises(DataError, match=r"funding rates: .*a date is not an instant"):
            read_funding_rates(stamps)


def test_stamps_without_a_zone_are_read_in_the_one_that_is_given() -> None:
    naive = borrow(ts_event=[dt.datetime(2024, 3, 5, 9), dt.datetime(2024, 3, 6, 9)])
    with pytest.raises(DataError, match="timezone="):
        read_borrow_rates(naive)
    (rows,) = read_borrow_rates(naive, timezone="America/New_York").frames
    assert rows["stamp"][0] == int(dt.datetime(2024, 3, 5, 14, tzinfo=dt.UTC).timestamp()) * 10**9


def test_an_empty_text_is_no_rate_and_other_things_are_refused() -> None:
    (rows,) = read_borrow_rates(borrow(borrow_rate=["0.1", ""])).frames
    assert rows["rate"].is_nan().to_list() == [False, True]
    with pytest.raises(DataError, match="which is no number"):
        read_borrow_rates(borrow(borrow_rate=["0.1", "x"]))
    for wrong in ([[0.1], [0.2]], [True, False]):
        with pytest.raises(DataError, match="expected numbers"):
            read_borrow_rates(borrow(borrow_rate=wrong))


@pytest.mark.parametrize("amount", ["1e30", "35.12345678901234567890123"])
def test_an_amount_that_no_ledger_holds_names_its_action(amount: str) -> None:
    row = {"symbol": ["A"], "ex_date": [DAY], "kind": ["cash_merger"], "amount": [amount]}
    with pytest.raises(DataError, match=r"cash_merger of A on 2024-03-05: amount .* is not a number up to"):
        read_actions(pl.DataFrame(row))
