"""Real futures: E-mini S&P 500 through the roll of December 2013, and gold, whose serial months hardly trade.

The prices are in a folder outside the repository that `ML4T_VENDOR_DATA` names; without it every test is
skipped. Bars are of days of UTC; Sunday evenings are left out.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from ml4t.futures import (
    BeforeExpiry,
    ContinuousFuture,
    FuturesChain,
    OpenInterestCrossover,
    RollRule,
    VolumeCrossover,
)

FOLDER = "ML4T_VENDOR_DATA"
TERMS: dict[str, dict[str, Any]] = {
    "ES": {"multiplier": 50, "tick_size": 0.25, "calendar": "CME_Equity", "settlement": "cash"},
    "GC": {"multiplier": 100, "tick_size": 0.1, "calendar": "CMEGlobex_GC", "settlement": "physical"},
}


@pytest.fixture(scope="module")
def vendor() -> Path:
    named = os.environ.get(FOLDER)
    if not named or not Path(named).is_dir():
        pytest.skip(f"{FOLDER} names no folder with the prices")
    return Path(named)


def expiries(vendor: Path, root: str) -> pl.DataFrame:
    """Return a row per contract: LEAN's map from days to contracts has their expiries."""
    dates = pl.read_parquet(vendor / "futures_roll_map.parquet").filter(root=root)["contract_expiry"]
    return pl.DataFrame({"last_trade": dates.unique().sort()})


def chain_of(vendor: Path, root: str) -> FuturesChain:
    month = pl.col("last_trade").dt.strftime("%Y%m")
    return FuturesChain.from_frame(expiries(vendor, root).with_columns(symbol=month), root, **TERMS[root])


def bars_of(vendor: Path, root: str, table: str = "futures_daily_trade") -> pl.DataFrame:
    rows = pl.read_parquet(vendor / f"{table}.parquet").filter(root=root)
    dated = rows.with_columns(session=pl.col("ts").dt.date())
    return dated.filter(pl.col("session").dt.weekday() <= 5)


@pytest.mark.parametrize("root", TERMS)
def test_with_0_business_days_the_rolls_are_those_of_lean_on_the_last_trading_day(
    vendor: Path, root: str
) -> None:
    lean = pl.read_parquet(vendor / "futures_roll_map.parquet").filter(root=root, mode="last_trading_day")
    lean = lean.sort("valid_through").unique("contract_expiry", keep="last").sort("valid_through")
    chain = chain_of(vendor, root)
    lean = lean.filter(pl.col("contract_expiry") < chain.contracts[-1].last_trade)
    first = lean["valid_through"][0]
    rule, last = BeforeExpiry(0), lean["contract_expiry"][-1]
    front = rule.between(chain, first - dt.timedelta(days=3), last).front
    own = front.group_by("contract").agg(pl.col("session").max())
    ends = dict(own.iter_rows())
    assert lean.height > 20
    for row in lean.iter_rows(named=True):
        # LEAN names the day before the expiry, which may be none of trading.
        symbol = row["contract_expiry"].strftime("%Y%m")
        assert ends[symbol] <= row["valid_through"] < row["contract_expiry"] == chain[symbol].last_trade


@pytest.mark.parametrize(
    ("rule", "rolls"),
    [
        # The volume of March was first the larger one on Friday, 13 December.
        (VolumeCrossover(), dt.date(2013, 12, 16)),
        (VolumeCrossover(lag=2), dt.date(2013, 12, 17)),
        (BeforeExpiry(5), dt.date(2013, 12, 13)),
        (BeforeExpiry(0), dt.date(2013, 12, 20)),
    ],
)
@pytest.mark.parametrize("adjustment", ["ratio", "difference"])
def test_es_goes_through_its_roll_of_december(
    vendor: Path,
    rule: RollRule,
    rolls: dt.date,
    adjustment: Literal["ratio", "difference"],
) -> None:
    bars = bars_of(vendor, "ES")
    future = ContinuousFuture("ES", rule, chain=chain_of(vendor, "ES"), adjustment=adjustment)
    series = future.series(bars)
    (roll,) = future.rolls(bars).rows(named=True)
    assert (roll["session"], roll["from"], roll["to"]) == (rolls, "201312", "201403")
    # March stood 6.25 points below December through all of these days.
    assert roll["to_price"] - roll["from_price"] == -6.25
    change = series.filter(contract="201312").select("factor", "offset").unique().row(0)
    expected = (roll["to_price"] / roll["from_price"], 0.0) if adjustment == "ratio" else (1.0, -6.25)
    assert change == pytest.approx(expected)
    assert series["session"].n_unique() == series.height
    assert series.columns[:3] == ["session", "ts", "ts_end"]
    # On the evening before the roll the series was the contract itself.
    before = future.series(bars, as_of=roll["priced_on"])
    assert before["factor"].unique().to_list() == [1.0]


def test_gold_in_its_even_months_is_december_all_week(vendor: Path) -> None:
    bars = bars_of(vendor, "GC")
    whole = chain_of(vendor, "GC")
    # By the calendar October is in front, which traded on every day and hardly at all.
    by_date = ContinuousFuture("GC", BeforeExpiry(0), chain=whole).series(bars)
    assert by_date["contract"].unique().to_list() == ["201310"]
    by_volume = ContinuousFuture("GC", VolumeCrossover(), chain=whole).series(bars)
    assert by_volume["contract"].unique().to_list() == ["201312"]
    assert by_volume.height == by_date.height - 1
    assert whole.in_months("Z").symbols[0] == "201312"


def test_gold_rolls_from_december_to_february_by_open_interest(vendor: Path) -> None:
    # The table has ten days from October to February; between those of 28 October and 25 November the open
    # interest moved on, so the next day of the table is the first of February's contract.
    bars = pl.read_parquet(vendor / "futures_chain.parquet").filter(root="GC").rename({"date": "session"})
    dates = {"201312": dt.date(2013, 12, 27), "201402": dt.date(2014, 2, 26), "201404": dt.date(2014, 4, 28)}
    table = pl.DataFrame({"symbol": list(dates), "last_trade": list(dates.values())})
    chain = FuturesChain.from_frame(table, "GC", **TERMS["GC"])
    future = ContinuousFuture("GC", OpenInterestCrossover(), chain=chain, adjustment="difference")
    first, *_ = future.rolls(bars).rows(named=True)
    assert (first["from"], first["to"]) == ("201312", "201402")
    assert (first["priced_on"], first["session"]) == (dt.date(2013, 11, 25), dt.date(2013, 12, 17))
    # One tick of contango.
    assert first["to_price"] - first["from_price"] == pytest.approx(0.1)
