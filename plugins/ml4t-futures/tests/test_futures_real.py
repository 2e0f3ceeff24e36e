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

from ml4t.backtest import DataFeed, Results, Strategy, run
from ml4t.futures import (
    BeforeExpiry,
    ContinuousFuture,
    FuturesChain,
    OpenInterestCrossover,
    RollRule,
    VolumeCrossover,
)

PRICES = ("open", "high", "low", "close")
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


class Hold(Strategy):
    """Buys a contract of December at its first close, and does nothing else."""

    def on_start(self) -> None:
        self.is_first = True

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.is_first:
            broker.buy("201312", 1)
        self.is_first = False


def held_in_es(vendor: Path, engine: str, **parts: Any) -> Results:  # noqa: ANN401
    """Run it from Monday, 9 December 2013, to Friday, 20 December, the last trade of that contract."""
    days = pl.col("session").is_between(dt.date(2013, 12, 9), dt.date(2013, 12, 20))
    rows = bars_of(vendor, "ES").filter(days, pl.col("contract").is_in(["201312", "201403"]))
    frame = rows.select("session", *PRICES, "volume", symbol="contract")
    contracts = [each.instrument() for each in chain_of(vendor, "ES") if each.symbol in ("201312", "201403")]
    # An exchange fee a contract and side, and one tick between bid and ask.
    costs = {"commission_model": {"type": "PerShare", "fee": 2.01}}
    costs["slippage_model"] = {"type": "Spread", "spread": 0.25}
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 1_000_000} | costs}
    return run(Hold, DataFeed(frame, stamp="session", instruments=contracts), config=config, **parts)


@pytest.mark.parametrize("engine", ["rust", "reference"])
@pytest.mark.parametrize(
    ("roll_at", "december", "march"),
    # Opens and closes of Friday the 13th, five business days before the last trade.
    [("next_open", 1_779.25, 1_773.25), ("settlement", 1_775.0, 1_768.75)],
)
def test_a_position_in_es_goes_through_its_roll_of_december(
    vendor: Path, engine: str, roll_at: Literal["next_open", "settlement"], december: float, march: float
) -> None:
    future = ContinuousFuture(
        "ES",
        BeforeExpiry(5),
        chain=chain_of(vendor, "ES"),
        adjustment="difference",
        priced_at="roll_close",
        roll_at=roll_at,
    )
    bars = bars_of(vendor, "ES")
    plan = future.roll_plan(bars)
    assert plan.rows() == [(dt.date(2013, 12, 13), "201312", "201403", roll_at)]
    results = held_in_es(vendor, engine, rolls=plan)
    (roll,) = results.rolls.rows(named=True)
    assert (roll["from_price"], roll["to_price"]) == (december - 0.125, march + 0.125)
    assert (roll["slippage"], roll["fees"]) == (0.25, 4.02)
    # Bought at the open of the 10th, 1,804.50; the close of the 20th was 1,816.50 in March.
    gained = 50 * ((december - 1_804.5) + (1_816.5 - march))
    costs = 3 * (0.125 * 50 + 2.01)
    assert results.portfolio_history["equity"][-1] - 1_000_000 == pytest.approx(gained - costs, abs=1e-9)
    # The adjusted series gained as much, but for what the spread moved on the 13th after the open.
    series = future.series(bars)
    entry = series.filter(session=dt.date(2013, 12, 10))["open"][0]
    last = series.filter(session=dt.date(2013, 12, 20))["close"][0]
    moved = (march - december) - (1_768.75 - 1_775.0)
    assert 50 * (last - entry) == 50 * (18.25) == gained + 50 * moved


@pytest.mark.parametrize("engine", ["rust", "reference"])
def test_a_position_in_es_that_is_not_rolled_ends_with_its_contract(vendor: Path, engine: str) -> None:
    results = held_in_es(vendor, engine)
    (trip,) = results.round_trips.rows(named=True)
    assert (trip["exit_price"], trip["exit_reason"]) == (1_810.25, "expiry")
    assert trip["gross_pnl"] == 50 * (1_810.25 - 1_804.625)


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


@pytest.mark.parametrize("engine", ["rust", "reference"])
@pytest.mark.parametrize(
    ("roll_at", "december", "february"),
    # Opens and closes of 17 December, the first day of the table after the open interest had moved on.
    [("next_open", 1_232.0, 1_233.1), ("settlement", 1_220.3, 1_217.6)],
)
def test_a_position_in_gold_goes_through_its_roll_of_december(
    vendor: Path, engine: str, roll_at: Literal["next_open", "settlement"], december: float, february: float
) -> None:
    bars = pl.read_parquet(vendor / "futures_chain.parquet").filter(root="GC").rename({"date": "session"})
    dates = {"201312": dt.date(2013, 12, 27), "201402": dt.date(2014, 2, 26)}
    table = pl.DataFrame({"symbol": list(dates), "last_trade": list(dates.values())})
    chain = FuturesChain.from_frame(table, "GC", **TERMS["GC"])
    future = ContinuousFuture("GC", OpenInterestCrossover(), chain=chain, roll_at=roll_at)
    rows = bars.filter(pl.col("contract").is_in(list(dates))).select(
        "session", *PRICES, "volume", symbol="contract"
    )
    feed = DataFeed(rows, stamp="session", instruments=[each.instrument() for each in chain])
    fee = {"commission_model": {"type": "PerShare", "fee": 2.32}}
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 1_000_000} | fee}
    results = run(Hold, feed, config=config, rolls=future.roll_plan(bars))
    (roll,) = results.rolls.rows(named=True)
    assert (roll["from"], roll["to"], roll["from_price"], roll["to_price"], roll["fees"]) == (
        "201312",
        "201402",
        december,
        february,
        4.64,
    )
    # Bought at the open of 7 October, 1,323.70; the close of 17 December was 1,217.60 in February.
    gained = 100 * ((december - 1_323.7) + (1_217.6 - february))
    assert results.portfolio_history["equity"][-1] - 1_000_000 == pytest.approx(gained - 3 * 2.32, abs=1e-9)
    by_cause = results.attribution.select(pl.col("price", "fees", "roll").sum().cast(pl.Float64)).row(0)
    assert by_cause == pytest.approx((gained, -2.32, -4.64), abs=1e-9)
