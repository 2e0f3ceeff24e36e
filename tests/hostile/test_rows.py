"""Rows that cannot be: each refused before the run, with instrument, instant, value and remedy."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument
from ml4t.core.errors import DataError

from .inputs import START, UTC, by_minute, by_session, daily, minutes, one_bad, refused, run, tables

AT = "XYZ at 2024-01-04T21:00:00Z"


# --------------------------------------------------------------------------- order and duplicates


def test_unsorted_rows_are_sorted_and_change_nothing() -> None:
    sorted_run, unsorted_run = run(by_session(daily())), run(by_session(daily()[::-1]))
    expected, found = tables(sorted_run), tables(unsorted_run)
    assert all(found[name].equals(table) for name, table in expected.items())
    late = [note for note in unsorted_run.warnings if "came after a later one" in note]
    assert len(late) == 1
    assert "XYZ at 2024-01-0" in late[0]
    assert not [note for note in sorted_run.warnings if "came after a later one" in note]


def test_two_rows_of_one_instrument_and_session_are_refused() -> None:
    with refused(DataError, "feed prices", AT, "has two rows", "keep one"):
        run(by_session(pl.concat([daily(), daily()[2:3]])))


def test_two_minutes_of_one_stamp_are_refused_however_they_are_sorted() -> None:
    twice = pl.concat([minutes(), minutes()[1:2]])
    for frame in (twice, twice[::-1], twice.sample(fraction=1, shuffle=True, seed=1)):
        with refused(DataError, "XYZ at 2024-01-02T14:32:00Z", "two rows"):
            run(by_minute(frame))


def test_overlapping_bars_are_refused_with_both_bars() -> None:
    with refused(DataError, "XYZ at 2024-01-02T14:36:00Z", "14:31:00Z", "14:35:00Z", "interval and stamp"):
        run(DataFeed(minutes(), stamp="open", interval="5m"))


def test_a_row_that_arrives_before_the_one_it_follows_is_refused_with_readable_instants() -> None:
    late = [START + dt.timedelta(minutes=k) for k in (10, 5, 6, 7)]
    with refused(
        DataError, "XYZ at 2024-01-02T14:32:00Z", "14:35:00Z is before", "14:40:00Z", "in their order"
    ):
        run(by_minute(minutes(ts_arrival=late)))


def test_a_row_that_is_known_before_it_is_complete_is_refused() -> None:
    with refused(DataError, "XYZ at 2024-01-02T14:31:00Z", "ts_arrival 2024-01-02T14:30:00Z", "before"):
        run(by_minute(minutes().with_columns(ts_arrival=pl.col("timestamp"))))


# --------------------------------------------------------------------------- prices

NO_PRICES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "missing": None}


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("shown", NO_PRICES)
def test_a_price_that_is_no_finite_number_is_refused(column: str, shown: str) -> None:
    with refused(DataError, AT, f"{column} is {shown}", "finite number", "drop the row"):
        run(by_session(one_bad(column, NO_PRICES[shown])))


@pytest.mark.parametrize("value", [0.0, -0.0, -10.0])
@pytest.mark.parametrize("column", ["open", "low"])
def test_a_price_of_zero_or_below_is_refused_unless_the_instrument_allows_it(
    column: str, value: float
) -> None:
    frame = one_bad(column, value)
    remedy = "Instrument('XYZ', allows_negative_prices=True)"
    with refused(DataError, AT, f"{column} is {value}", "above zero", remedy):
        run(by_session(frame, range_check="keep"))
    allowed = [Instrument("XYZ", allows_negative_prices=True)]
    assert run(by_session(frame, range_check="keep", instruments=allowed)).status == "complete"


def test_a_high_below_its_low_is_refused_under_every_policy() -> None:
    for policy in ("refuse", "widen", "keep"):
        with refused(DataError, AT, "high 8.0 is below low 9.0", "correct or drop"):
            run(by_session(one_bad("high", 8.0), range_check=policy))


@pytest.mark.parametrize("value", [1e10, 1e300, 2.0**62])
def test_a_price_beyond_64_bits_is_refused_before_the_run_and_in_few_digits(value: float) -> None:
    frame = daily(**{name: [value] * 4 for name in ("open", "high", "low", "close")})
    with refused(
        DataError, "XYZ at 2024-01-02T21:00:00Z", str(value), "64 bits at 9 decimals", "lower price_exponent"
    ):
        run(by_session(frame))


def test_a_price_that_would_round_to_nothing_is_refused() -> None:
    frame = daily(**{name: [1e-12] * 4 for name in ("open", "high", "low", "close")})
    with refused(
        DataError, "XYZ at 2024-01-02T21:00:00Z", "1e-12 is zero at 9 decimals", "higher price_exponent"
    ):
        run(by_session(frame))
    finer = {"price_exponent": 14, "tick_size": "1e-13"}
    assert run(by_session(frame, instrument_defaults=finer)).status == "complete"


@pytest.mark.parametrize("value", [-1.0, math.inf])
def test_a_volume_that_cannot_be_is_refused(value: float) -> None:
    with refused(DataError, AT, f"volume is {value}", "zero or more"):
        run(by_session(one_bad("volume", value)))


def quotes(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    good = {"bid_price": [10.0] * 3, "ask_price": [10.1] * 3, "bid_size": [1.0] * 3, "ask_size": [1.0] * 3}
    at = [START + dt.timedelta(seconds=k) for k in range(3)]
    return pl.DataFrame({"timestamp": at, "symbol": ["XYZ"] * 3, **good, **columns}, strict=False)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"ask_price": [10.1, 0.0, 10.1]}, "ask_price is 0.0"),
        ({"bid_price": [10.0, math.inf, 10.0]}, "bid_price is inf"),
        ({"bid_price": [10.0, None, 10.0], "ask_price": [10.1, None, 10.1]}, "neither bid nor ask"),
        ({"bid_size": [1.0, -1.0, 1.0]}, "bid_size is -1.0"),
    ],
)
def test_a_quote_that_cannot_be_is_refused(columns: dict[str, Any], fault: str) -> None:
    with refused(DataError, "XYZ at 2024-01-02T14:30:01Z", fault):
        run(DataFeed(quotes(**columns), kind="quote", stamp="event"))


@pytest.mark.parametrize("value", [math.nan, 0.0, -3.0])
def test_a_print_without_a_possible_price_is_refused(value: float) -> None:
    frame = pl.DataFrame({"timestamp": [START], "symbol": ["XYZ"], "price": [value]})
    with refused(DataError, "XYZ at 2024-01-02T14:30:00Z", f"price is {value}"):
        run(DataFeed(frame, kind="trade", stamp="event"))


# --------------------------------------------------------------------------- columns and types


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_missing_column_is_named_with_those_there_are(column: str) -> None:
    rest = [name for name in daily().columns if name != column]
    with refused(DataError, f"absent: {column}", f"The columns are {', '.join(rest)}", "columns="):
        run(by_session(daily().drop(column)))


def test_a_missing_stamp_column_is_refused_with_a_remedy_that_can_be_typed() -> None:
    with refused(DataError, "no column is the stamp", "symbol, open, high", "columns={'session': '...'}"):
        run(by_session(daily().drop("session")))


def test_a_missing_symbol_column_is_refused_with_two_remedies() -> None:
    with refused(DataError, "no column is the symbol", "columns={'symbol': '...'}", "symbols=['SPY']"):
        run(by_session(daily().drop("symbol")))


@pytest.mark.parametrize("column", ["close", "volume"])
def test_text_in_a_column_of_numbers_is_named_with_its_row(column: str) -> None:
    text = [str(value) for value in daily()[column]]
    frame = daily(**{column: [*text[:2], "n/a", text[3]]})
    with refused(DataError, "XYZ at 2024-01-04 (row 2)", f"{column} is 'n/a'", "no number"):
        run(by_session(frame))


def test_lists_in_a_column_of_numbers_are_refused() -> None:
    with refused(DataError, "column close is List(Float64)", "convert"):
        run(by_session(daily(close=[[10.0]] * 4)))


@pytest.mark.parametrize(("symbol", "shown"), [("", "''"), (" XYZ", "' XYZ'")])
def test_a_symbol_that_is_no_name_is_refused(symbol: str, shown: str) -> None:
    with refused(DataError, shown, "text without surrounding spaces"):
        run(by_session(daily(symbol)))


def test_a_row_without_a_symbol_is_refused() -> None:
    with refused(DataError, "row 2 has no symbol", "column symbol is null"):
        run(by_session(daily().with_columns(symbol=pl.Series(["XYZ", "XYZ", None, "XYZ"]))))


def test_a_feature_that_takes_a_name_of_the_table_is_refused_in_one_line() -> None:
    with refused(DataError, "'signals'", ".rename({'signals': 'signals_value'})"):
        run(by_session(daily(signals=[1.0] * 4)))
    renamed = by_session(daily(signals=[1.0] * 4), columns={"signals_value": "signals"})
    assert run(renamed).status == "complete"


def test_two_columns_of_one_name_in_pandas_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = daily().to_pandas()
    with refused(DataError, "two columns called close", "rename one"):
        run(by_session(pandas.concat([frame, frame[["close"]]], axis=1)))


# --------------------------------------------------------------------------- nothing at all

EMPTY: dict[str, Any] = {
    "no rows": daily()[:0],
    "no columns": pl.DataFrame(),
    "no frames": {},
    "no prices": None,
}


@pytest.mark.parametrize("form", EMPTY)
def test_an_empty_feed_is_refused(form: str) -> None:
    with refused(DataError, "feed prices"):
        run(by_session(EMPTY[form]))


def test_a_period_without_rows_is_refused_with_the_period() -> None:
    with refused(DataError, "no rows between 2030-01-02 and the end", "check the range"):
        run(by_session(daily()), config={"backtest": {"start_date": "2030-01-02"}})


# --------------------------------------------------------------------------- signals and actions


def scores(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    at = dt.datetime(2024, 1, 3, 21, tzinfo=UTC)
    return pl.DataFrame({"ts_event": [at], "asset_id": ["XYZ"], "score": [0.5], **columns}, strict=False)


@pytest.mark.parametrize(
    ("frame", "parts"),
    [
        (scores()[:0], ["signals: there are no rows", "leave the signals out"]),
        (pl.DataFrame(), ["signals: there are no rows"]),
        (scores(score=[math.nan]), ["row 0 (XYZ, 2024-01-03T21:00:00Z)", "score nan"]),
        (scores(asset_id=["XYY"]), ["symbol 'XYY' is in no feed", "did you mean 'XYZ'?"]),
        (pl.concat([scores(), scores()]), ["score of XYZ arrives twice at 2024-01-03T21:00:00Z"]),
        (scores(confidence=["high"]), ["row 0 has confidence 'high'", "no number"]),
        (scores(ts_event=[dt.datetime(2024, 1, 3, 21)]), ["naive", "timezone="]),
        (scores(ts_arrival=[START]), ["XYZ arrives at 2024-01-02T14:30:00Z", "before its ts_event"]),
    ],
    ids=["no rows", "no columns", "nan", "unknown symbol", "twice", "text", "naive", "early"],
)
def test_signals_that_cannot_be_are_refused(frame: pl.DataFrame, parts: list[str]) -> None:
    with refused(DataError, *parts):
        run(by_session(daily()), signals=frame)


def test_signals_that_all_lie_outside_the_run_are_said_to_in_the_results() -> None:
    results = run(by_session(daily()), signals=scores(), config={"backtest": {"start_date": "2024-01-04"}})
    assert results.status == "complete"
    assert "1 signals arrive outside the range of the run" in results.warnings[0]


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"kind": "spilt", "ratio": "2"}, ["XYZ on 2024-01-03", "'spilt'", "did you mean 'split'?"]),
        ({"kind": "split", "ratio": "0"}, ["split of XYZ on 2024-01-03", "ratio '0'", "above zero"]),
        ({"kind": "split", "ratio": "1/0"}, ["ratio '1/0'", "2, 1.5 or 3/2"]),
        ({"kind": "cash_dividend", "amount": "nan"}, ["cash_dividend of XYZ", "'nan'", "finite"]),
        ({"kind": "split", "ratio": "2", "symbol": "XYY"}, ["'XYY' is in no feed", "did you mean 'XYZ'?"]),
    ],
)
def test_corporate_actions_that_cannot_be_are_refused(row: dict[str, str], parts: list[str]) -> None:
    frame = pl.DataFrame({"symbol": ["XYZ"], "ex_date": ["2024-01-03"]} | {k: [v] for k, v in row.items()})
    with refused(DataError, *parts):
        run(by_session(daily()), actions=frame)
