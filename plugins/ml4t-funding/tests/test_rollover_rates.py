"""Funding rates of currency pairs, against published amounts and amounts worked by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.core.errors import ArgumentError, DataError
from ml4t.core.models import FundingArgs
from ml4t.funding import PerpetualFunding, rollover_rates

TUESDAY, WEDNESDAY, THURSDAY = (dt.date(2024, 3, day) for day in (5, 6, 7))
KNOWN = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
STYLES: dict[str, dict[str, Any]] = {
    "rates": {"long_rate": -0.03, "short_rate": 0.01},
    "points": {"long_points": -0.8, "short_points": 0.3},
    "interest": {"base_rate": 0.04, "quote_rate": 0.055},
}


def quotes(style: str = "rates", symbol: str = "EURUSD", **others: Any) -> pl.DataFrame:  # noqa: ANN401
    """Return one row; `others` are further columns, or other values."""
    row = {"symbol": symbol, "ts_event": KNOWN} | STYLES[style] | others
    return pl.DataFrame({name: [value] for name, value in row.items()})


def paid(rates: pl.DataFrame, quantity: float, price: float) -> list[float]:
    """Return what a position pays each evening, below zero, or gets, as the engines ask for it."""
    found = []
    for row in rates.rows(named=True):
        rate = row["funding_rate"] if quantity > 0 else row["funding_rate_short"]
        mark = price if row["mark_price"] is None else row["mark_price"]
        asked = FundingArgs(ts_ns=0, mark=mark, quantity=quantity, rate=rate)
        found.append(PerpetualFunding().evaluate(asked).payment)
    return found


# -- amounts -----------------------------------------------------------------------------------------------


# OANDA, "Financing costs": 100,000 EUR/USD long at 1.15826 and -3.00 % are charged 9.52 (9.519945); three
# days on a Wednesday. The short side of the same size gets 1 % of 115,826.
def test_yearly_rates_of_a_broker_are_paid_by_the_days_of_365() -> None:
    rates = rollover_rates(quotes(), TUESDAY, THURSDAY)
    assert rates["days"].to_list() == [1, 3, 1]
    assert paid(rates, 100_000, 1.15826) == pytest.approx([-9.519945, -28.559836, -9.519945], abs=1e-6)
    assert paid(rates, -100_000, 1.15826) == pytest.approx([3.173315, 9.519945, 3.173315], abs=1e-6)


def test_the_year_has_the_days_that_are_given() -> None:
    rates = rollover_rates(quotes(), TUESDAY, TUESDAY, day_count=360)
    # 100,000 x 1.2 x 3 % / 360.
    assert paid(rates, 100_000, 1.2) == pytest.approx([-10.0])


# 10,000 x 0.8 pips of 0.0001 are 0.80 a day; 0.3 pips 0.30. The price does not count.
@pytest.mark.parametrize("price", [1.1, 160.0])
def test_points_are_pips_of_a_unit_and_a_day(price: float) -> None:
    rates = rollover_rates(quotes("points"), TUESDAY, WEDNESDAY, pip_size=0.0001)
    assert paid(rates, 10_000, price) == pytest.approx([-0.8, -2.4])
    assert paid(rates, -10_000, price) == pytest.approx([0.3, 0.9])


def test_a_pip_may_differ_by_symbol() -> None:
    both = pl.concat([quotes("points"), quotes("points", "USDJPY", long_points=1.0)])
    rates = rollover_rates(both, TUESDAY, TUESDAY, pip_size={"EURUSD": 0.0001, "USDJPY": 0.01})
    assert paid(rates.filter(symbol="USDJPY"), 10_000, 150.0) == pytest.approx([100.0])
    assert paid(rates.filter(symbol="EURUSD"), 10_000, 1.1) == pytest.approx([-0.8])


# Long the base earns its rate and owes the other: 100,000 x 1.10 x (4 % - 5.5 % - 0.5 %) / 365 = -6.027397;
# short 100,000 x 1.10 x (5.5 % - 4 % - 0.5 %) / 365 = 3.013699. The fee is kept on both sides.
def test_interest_of_both_currencies_is_paid_less_a_fee_on_either_side() -> None:
    rates = rollover_rates(quotes("interest"), TUESDAY, TUESDAY, admin_fee=0.005)
    assert paid(rates, 100_000, 1.1) == pytest.approx([-6.027397], abs=1e-6)
    assert paid(rates, -100_000, 1.1) == pytest.approx([3.013699], abs=1e-6)
    free = rollover_rates(quotes("interest"), TUESDAY, TUESDAY)
    assert paid(free, 100_000, 1.1) == pytest.approx([-x for x in paid(free, -100_000, 1.1)])


def test_an_evening_of_no_days_has_no_row() -> None:
    # Thanksgiving: nothing is rolled over on Tuesday, two days on Monday.
    rates = rollover_rates(quotes(), dt.date(2024, 11, 25), dt.date(2024, 11, 27))
    assert rates.select("trade_date", "days").rows() == [
        (dt.date(2024, 11, 25), 2),
        (dt.date(2024, 11, 27), 3),
    ]


def test_the_table_says_between_which_value_dates_it_rolls() -> None:
    (row,) = rollover_rates(quotes(), WEDNESDAY, WEDNESDAY).rows(named=True)
    assert row["ts_event"] == dt.datetime(2024, 3, 6, 22, tzinfo=dt.UTC)
    assert (row["value_date"], row["next_value_date"]) == (dt.date(2024, 3, 8), dt.date(2024, 3, 11))
    assert row["mark_price"] is None


def test_symbols_that_are_no_pairs_have_a_column_that_says_it() -> None:
    rates = rollover_rates(quotes(symbol="EUR.FX", pair="EUR/USD"), TUESDAY, TUESDAY)
    assert rates["symbol"].to_list() == ["EUR.FX"]
    with pytest.raises(DataError, match=r"EUR\.FX: 'EUR\.FX' is no pair.*a column pair says which"):
        rollover_rates(quotes(symbol="EUR.FX"), TUESDAY, TUESDAY)
    two = pl.concat([quotes(pair="EURUSD"), quotes(pair="GBPUSD", ts_event=KNOWN + dt.timedelta(1))])
    with pytest.raises(DataError, match="EURUSD has two pairs, EURUSD and GBPUSD"):
        rollover_rates(two, TUESDAY, TUESDAY)


# -- which row counts --------------------------------------------------------------------------------------


def history(*rows: tuple[str, float | None], symbol: str = "EURUSD") -> pl.DataFrame:
    """Rows of time (March 2024, UTC) and the rate of longs."""
    schema = {"symbol": pl.String, "ts_event": pl.Datetime("us", "UTC")}
    schema |= {"long_rate": pl.Float64, "short_rate": pl.Float64}
    full = [(symbol, dt.datetime.fromisoformat(f"2024-03-{when}+00:00"), rate, 0.01) for when, rate in rows]
    return pl.DataFrame(full, schema=schema, orient="row")


def longs(rates: pl.DataFrame) -> list[float]:
    return [round(-row["funding_rate"] * 365 / row["days"], 9) for row in rates.rows(named=True)]


def test_the_latest_row_at_or_before_an_evening_counts_and_none_after() -> None:
    known = history(("06T22:00:00.000001", -0.04), ("05T21:59", -0.01), ("06T22:00", -0.02), ("04T00:00", 9))
    assert longs(rollover_rates(known, TUESDAY, THURSDAY)) == [-0.01, -0.02, -0.04]


def test_each_pair_has_its_own_rows() -> None:
    both = pl.concat([history(("04T00:00", -0.01)), history(("05T12:00", -0.02), symbol="GBPUSD")])
    rates = rollover_rates(both, TUESDAY, TUESDAY)
    assert rates["symbol"].to_list() == ["EURUSD", "GBPUSD"]
    assert longs(rates) == [-0.01, -0.02]


@pytest.mark.parametrize(
    ("rows", "terms", "says"),
    [
        ([("05T22:00:00.000001", -0.01)], {}, "no row is as old; add long_rate and short_rate"),
        ([("04T00:00", -0.01), ("05T00:00", None)], {}, "2024-03-05T00:00:00Z, without long_rate; add"),
        ([("05T00:00", float("nan"))], {}, "without long_rate"),
        (
            [("04T00:00", -0.01)],
            {"max_age": dt.timedelta(days=1)},
            "row is of 2024-03-04T00:00:00Z, and max_age is 1 day",
        ),
    ],
)
def test_an_evening_without_rates_is_not_free(rows: Any, terms: dict[str, Any], says: str) -> None:  # noqa: ANN401
    where = "rollover: EURUSD is rolled over at 2024-03-05T22:00:00Z, and "
    with pytest.raises(DataError, match=f"{where}.*{says}"):
        rollover_rates(history(*rows), TUESDAY, TUESDAY, **terms)


def test_a_row_of_the_age_that_is_allowed_counts() -> None:
    known = history(("04T22:00", -0.01))
    for age in (dt.timedelta(days=1), 1, 1.0, "1d", "24h"):
        assert longs(rollover_rates(known, TUESDAY, TUESDAY, max_age=age)) == [-0.01]
    for age in (dt.timedelta(days=400_000), 10**9, 1e300):
        assert longs(rollover_rates(known, TUESDAY, TUESDAY, max_age=age)) == [-0.01]
    for young in (0.5, "12h", "0"):
        with pytest.raises(DataError, match=r"and max_age is (0\.5|0) days; add"):
            rollover_rates(known, TUESDAY, TUESDAY, max_age=young)


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        *[
            ({"day_count": bad}, "day_count = .*expected a number above zero")
            for bad in (-365, 0, float("nan"), float("inf"), "365", True)
        ],
        *[
            (
                {"max_age": bad},
                "max_age = .*; expected a number of days of 0 or more such as 2, a text such as",
            )
            for bad in (-1, "-2d", dt.timedelta(days=-1), "2", "2 days ago", True, float("nan"), [2])
        ],
        ({"holidays": {"CAD": "XTSE"}}, "CAD is in none of the pairs"),
        ({"admin_fee": 0.01}, "admin_fee belongs to base_rate and quote_rate; long_rate and short_rate have"),
        ({"pip_size": 0.01}, "pip_size belongs to long_points and short_points; the quotes have long_rate"),
    ],
)
def test_numbers_out_of_range_and_of_another_style_are_refused(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        rollover_rates(quotes(), TUESDAY, TUESDAY, **terms)


def test_a_fee_below_zero_and_points_without_a_pip_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"admin_fee = -0\.01; expected a number of 0 or more"):
        rollover_rates(quotes("interest"), TUESDAY, TUESDAY, admin_fee=-0.01)
    with pytest.raises(ArgumentError, match=r"points need pip_size, what a pip is: 0\.0001, or 0\.01"):
        rollover_rates(quotes("points"), TUESDAY, TUESDAY)
    for bad in ({"USDJPY": 0.01}, 0.0, {"EURUSD": -1.0}):
        with pytest.raises(ArgumentError, match=r"pip_size of EURUSD = .*expected a number above zero"):
            rollover_rates(quotes("points"), TUESDAY, TUESDAY, pip_size=bad)


def test_a_pip_is_a_number() -> None:
    with pytest.raises(
        ArgumentError, match=r"pip_size = '\.0001'; expected a number such as 0\.0001, or a map"
    ):
        rollover_rates(quotes("points"), TUESDAY, TUESDAY, pip_size=".0001")  # type: ignore[arg-type]


# 1,000 % a year is still taken for a rate.
def test_percentages_are_told_from_fractions_where_that_is_certain() -> None:
    rollover_rates(quotes(long_rate=-10.0), TUESDAY, TUESDAY)
    says = (
        r"EURUSD at 2024-03-01T00:00:00Z: long_rate is -300, which is -30,000 % a year; expected a fraction"
    )
    with pytest.raises(DataError, match=says):
        rollover_rates(quotes(long_rate=-300.0), TUESDAY, TUESDAY)
    with pytest.raises(DataError, match=r"quote_rate is 10\.5, which is 1,050 % a year"):
        rollover_rates(quotes("interest", quote_rate=10.5), TUESDAY, TUESDAY)
    rollover_rates(quotes("points", long_points=-40.0), TUESDAY, TUESDAY, pip_size=0.0001)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (quotes(ts_event=dt.datetime(2024, 3, 1)), r"ts_event holds Datetime.*with a time zone"),
        (quotes(ts_event=dt.date(2024, 3, 1)), "ts_event holds Date; expected instants with a time zone"),
        (quotes(ts_event="2024-03-01T00:00:00Z"), "ts_event holds String; expected instants"),
        (quotes().drop("ts_event"), "column ts_event is absent; the columns are symbol, long_rate"),
        (quotes().drop("short_rate"), "column short_rate is absent"),
        (
            quotes().drop("long_rate", "short_rate"),
            "expected either long_rate and short_rate, or long_points",
        ),
        (quotes(base_rate=0.01, quote_rate=0.02), "expected either long_rate and short_rate, or"),
        (quotes(long_rate="-3 %"), "column long_rate holds String, expected numbers"),
        (quotes(long_rate=float("inf")), "EURUSD at 2024-03-01T00:00:00Z: long_rate is inf"),
        (pl.concat([quotes(), quotes()]), "EURUSD has two rows at 2024-03-01T00:00:00Z; keep one"),
        (quotes(symbol=None), "row 0 has no symbol"),
        ({"symbol": ["EURUSD"]}, "expected a polars DataFrame, found dict"),
        (quotes(symbol="USDCHF"), "on which days CHF does not settle"),
    ],
)
def test_a_table_of_another_form_is_refused(frame: Any, says: str) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match=says):
        rollover_rates(frame, TUESDAY, TUESDAY)
