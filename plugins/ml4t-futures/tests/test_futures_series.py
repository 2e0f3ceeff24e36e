"""Continuous series: published numbers, what the columns mean, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

import attrs
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, DataError
from ml4t.futures import (
    BeforeExpiry,
    ContinuousFuture,
    FuturesChain,
    OpenInterestCrossover,
    RollRule,
    RollSchedule,
    VolumeCrossover,
)

Bars = Callable[..., pl.DataFrame]

# -- corn of July and December 2018

# Settlement prices as quant.stackexchange.com, question 40456, gives them; of the open interest it says that
# December's was first the higher one on 12 June.
CORN_DAYS = [dt.date(2018, 6, day) for day in (11, 12, 13, 14)]
CORN = {"ZCN8": [367.25, 377.5, 376.0, 363.0], "ZCZ8": [388.25, 398.25, 397.0, 384.5]}
# The 8th stands before them for its open interest alone, by which the 11th is decided.
EIGHTH = dt.date(2018, 6, 8)
OPEN_INTEREST = {"ZCN8": [9, 9, 8, 7, 6], "ZCZ8": [7, 8, 9, 9, 9]}


# What the prices before the roll become, by hand: 398.25 / 377.5 = 1.0549668874172186 and
# 367.25 * 1.0549668874172186 = 387.4365894039735; 398.25 - 377.5 = 20.75; 397 - 376 = 21.
@attrs.frozen
class Truth:
    adjustment: Literal["ratio", "difference"]
    priced_at: Literal["previous_close", "roll_close"]
    change: float
    closes: list[float]


TRUTHS = [
    Truth("ratio", "previous_close", 1.0549668874, [387.4365894040, 398.25, 397.0, 384.5]),
    Truth("difference", "previous_close", 20.75, [388.00, 398.25, 397.0, 384.5]),
    Truth("difference", "roll_close", 21.00, [388.25, 398.50, 397.0, 384.5]),
]


@pytest.mark.parametrize("truth", TRUTHS, ids=str)
# 21 sessions before 13 July, with Independence Day between, is 13 June as well.
@pytest.mark.parametrize("rule", [OpenInterestCrossover(), BeforeExpiry(21)])
def test_corn_is_adjusted_as_published(corn: FuturesChain, daily: Bars, rule: RollRule, truth: Truth) -> None:
    with_eighth = {symbol: [1.0, *prices] for symbol, prices in CORN.items()}
    bars = daily([EIGHTH, *CORN_DAYS], with_eighth, open_interest=OPEN_INTEREST)
    future = ContinuousFuture("ZC", rule, chain=corn, adjustment=truth.adjustment, priced_at=truth.priced_at)
    series = future.series(bars).filter(pl.col("session") >= CORN_DAYS[0])
    assert series["session"].to_list() == CORN_DAYS
    assert series["contract"].to_list() == ["ZCN8", "ZCN8", "ZCZ8", "ZCZ8"]
    assert series["close"].to_list() == pytest.approx(truth.closes, rel=1e-12)
    column, none = ("factor", 1.0) if truth.adjustment == "ratio" else ("offset", 0.0)
    changes = [truth.change, truth.change, none, none]
    assert series[column].to_list() == pytest.approx(changes, rel=1e-10)
    (roll,) = future.rolls(bars).rows(named=True)
    assert (roll["session"], roll["from"], roll["to"]) == (CORN_DAYS[2], "ZCN8", "ZCZ8")
    k = 1 if truth.priced_at == "previous_close" else 2
    priced = (CORN_DAYS[k], CORN["ZCN8"][k], CORN["ZCZ8"][k])
    assert (roll["priced_on"], roll["from_price"], roll["to_price"]) == priced


# -- crude oil of May and June 2020

# Settlement prices of 17 to 21 April 2020: CFTC, "Trading in NYMEX WTI Crude Oil Futures Contract Leading up
# to, on, and around April 20, 2020", interim staff report of November 2020.
CRUDE_DAYS = [dt.date(2020, 4, day) for day in (17, 20, 21)]
CRUDE = {"CLK0": [18.27, -37.63, 10.01], "CLM0": [25.03, 20.43, 11.57]}


@pytest.fixture
def crude() -> FuturesChain:
    table = pl.DataFrame(
        {"symbol": ["CLK0", "CLM0"], "last_trade": [dt.date(2020, 4, 21), dt.date(2020, 5, 19)]}
    )
    return FuturesChain.from_frame(
        table,
        "CL",
        multiplier=1000,
        tick_size=0.01,
        calendar="CMEGlobex_CL",
        settlement="physical",
        allows_negative_prices=True,
    )


def test_a_price_below_zero_has_no_ratio(crude: FuturesChain, daily: Bars) -> None:
    bars = daily(CRUDE_DAYS, CRUDE)
    future = ContinuousFuture("CL", BeforeExpiry(0), chain=crude)
    with pytest.raises(DataError) as caught:
        future.series(bars)
    text = str(caught.value)
    assert "CLK0 in session 2020-04-20 is -37.63; adjusting by ratio needs prices above zero" in text
    assert "adjustment='difference'" in text
    with pytest.raises(DataError, match="it prices the roll from CLK0 to CLM0 on 2020-04-21"):
        future.rolls(bars)
    # Before that day nobody knew of it.
    assert future.series(bars, as_of=CRUDE_DAYS[0])["close"].to_list() == [18.27]


def test_a_difference_takes_a_price_below_zero(crude: FuturesChain, daily: Bars) -> None:
    future = ContinuousFuture("CL", BeforeExpiry(0), chain=crude, adjustment="difference")
    series = future.series(daily(CRUDE_DAYS, CRUDE))
    # 20.43 + 37.63 = 58.06.
    assert series["close"].to_list() == pytest.approx([76.33, 20.43, 11.57])
    assert series["offset"].to_list() == pytest.approx([58.06, 58.06, 0.0])


def test_a_ratio_that_rolls_before_it_is_none_the_worse(crude: FuturesChain, daily: Bars) -> None:
    series = ContinuousFuture("CL", BeforeExpiry(1), chain=crude).series(daily(CRUDE_DAYS, CRUDE))
    assert series["close"].to_list() == pytest.approx([25.03, 20.43, 11.57])


@pytest.mark.parametrize("priced_at", ["previous_close", "roll_close"])
def test_a_price_of_zero_has_no_ratio_either(
    crude: FuturesChain, daily: Bars, priced_at: Literal["previous_close", "roll_close"]
) -> None:
    bars = daily(CRUDE_DAYS, {"CLK0": [18.27, 18.0, 17.0], "CLM0": [25.03, 0.0, 0.0]})
    future = ContinuousFuture("CL", BeforeExpiry(0), chain=crude, priced_at=priced_at)
    with pytest.raises(DataError, match=r"CLM0 in session 2020-04-2\d is 0.0; adjusting by ratio needs"):
        future.rolls(bars)


def test_a_ratio_needs_every_price_above_zero(es: FuturesChain, daily: Bars) -> None:
    first = (pl.col("contract") == "ESZ3") & (pl.col("session") == SESSIONS[1])
    bars = daily(SESSIONS, CLOSES).with_columns(low=pl.when(first).then(0.0).otherwise(pl.col("low")))
    with pytest.raises(
        DataError, match=r"low of ESZ3 in session 2013-12-11 is 0.0; adjusting by ratio needs"
    ):
        ContinuousFuture("ES", BeforeExpiry(5), chain=es).series(bars)


# -- the columns

SESSIONS = [dt.date(2013, 12, day) for day in (10, 11, 12, 13, 16)]
CLOSES = {"ESZ3": [100.0, 110.0, 120.0, 130.0, 140.0], "ESH4": [50.0, 55.0, 60.0, 65.0, 70.0]}


def test_every_price_is_adjusted_and_the_raw_one_can_be_had_back(es: FuturesChain, daily: Bars) -> None:
    bars = daily(SESSIONS, CLOSES).with_columns(
        open=pl.col("close") + 1, high=pl.col("close") + 2, low=pl.col("close") - 2, note=pl.lit("x")
    )
    series = ContinuousFuture("ES", BeforeExpiry(5), chain=es).series(bars)
    assert series.columns == [
        *("session", "open", "high", "low", "close", "volume", "contract", "factor", "offset")
    ]
    # Rolled on the 13th at the closes of the 12th, 60 / 120.
    assert series["factor"].to_list() == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert series["open"].to_list() == [50.5, 55.5, 60.5, 66.0, 71.0]
    assert series["high"].to_list() == [51.0, 56.0, 61.0, 67.0, 72.0]
    assert series["low"].to_list() == [49.0, 54.0, 59.0, 63.0, 68.0]
    raw = series.select("session", "contract", (pl.col("close") - pl.col("offset")) / pl.col("factor"))
    assert raw.join(bars, on=["session", "contract", "close"], how="semi").height == 5


def test_without_adjustment_the_gap_stays(es: FuturesChain, daily: Bars) -> None:
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es, adjustment="none")
    series = future.series(daily(SESSIONS, CLOSES))
    assert series["close"].to_list() == [100.0, 110.0, 120.0, 65.0, 70.0]
    assert series.select("factor", "offset").unique().rows() == [(1.0, 0.0)]


def test_changes_of_several_rolls_add_up(es: FuturesChain, daily: Bars) -> None:
    sessions = [dt.date(2013, 12, 19), dt.date(2013, 12, 20), dt.date(2014, 3, 20), dt.date(2014, 3, 21)]
    closes = {
        "ESZ3": [100.0, 1.0, None, None],
        "ESH4": [110.0, 121.0, 200.0, 1.0],
        "ESM4": [1.0, 1.0, 300.0, 330.0],
    }
    ratio = ContinuousFuture("ES", BeforeExpiry(0), chain=es).series(daily(sessions, closes))
    # 1.1 * 1.5, 1.5, 1.5, 1
    assert ratio["close"].to_list() == pytest.approx([165.0, 181.5, 300.0, 330.0])
    difference = ContinuousFuture("ES", BeforeExpiry(0), chain=es, adjustment="difference")
    # 10 + 100, 100, 100, 0
    assert difference.series(daily(sessions, closes))["close"].to_list() == [210.0, 221.0, 300.0, 330.0]


def test_a_series_as_of_a_day_knows_no_later_roll(es: FuturesChain, daily: Bars) -> None:
    bars = daily(SESSIONS, CLOSES)
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es)
    known = future.series(bars, as_of=SESSIONS[2])
    assert known["close"].to_list() == [100.0, 110.0, 120.0]
    assert future.rolls(bars, as_of=SESSIONS[2]).height == 0
    assert future.schedule(bars, as_of=SESSIONS[2]).front.height == 3
    after = future.series(bars, as_of=SESSIONS[3])
    assert after["close"].to_list() == [50.0, 55.0, 60.0, 65.0]
    # A Sunday is no session; what was known on Friday is known then.
    assert future.series(bars, as_of=dt.date(2013, 12, 15)).equals(after)


def test_bars_within_a_day_keep_their_stamps_and_roll_at_the_last_close(es: FuturesChain) -> None:
    rows = []
    for k, day in enumerate((12, 13)):
        for hour in (15, 16):
            for symbol, level in (("ESZ3", 100.0), ("ESH4", 50.0)):
                close = level * (1 + k) + (hour - 15) * level / 10
                stamp = dt.datetime(2013, 12, day, hour, tzinfo=dt.UTC)
                rows.append(
                    {"ts": stamp, "session": stamp.date(), "symbol": symbol, "volume": 3}
                    | dict.fromkeys(("open", "high", "low", "close"), close)
                )
    bars = pl.DataFrame(rows)
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es, adjustment="difference")
    series = future.series(bars.sample(fraction=1.0, shuffle=True, seed=1))
    assert series.columns[:2] == ["session", "ts"]
    assert series["ts"].to_list() == sorted({row["ts"] for row in rows})
    # The last closes of the 12th: 110 and 55.
    assert series["close"].to_list() == [45.0, 55.0, 100.0, 105.0]
    assert series["volume"].to_list() == [3, 3, 3, 3]


# -- what is refused


def test_a_session_without_a_bar_of_the_front_contract_is_refused_unless_it_may_be_left_out(
    es: FuturesChain, daily: Bars
) -> None:
    bars = daily(SESSIONS, CLOSES | {"ESZ3": [100.0, None, 120.0, 130.0, 140.0]})
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es)
    with pytest.raises(DataError) as caught:
        future.series(bars)
    assert "ESZ3 is in front in session 2013-12-11 by BeforeExpiry(business_days=5" in str(caught.value)
    assert "gaps='leave'" in str(caught.value)
    left = future.series(bars, gaps="leave")
    assert left["session"].to_list() == [SESSIONS[0], *SESSIONS[2:]]
    with pytest.raises(DataError, match=r"gaps: found 'skip'; allowed: refuse, leave"):
        future.series(bars, gaps="skip")  # type: ignore[arg-type]


@pytest.mark.parametrize("gaps", ["refuse", "leave"])
def test_a_roll_that_has_no_price_is_refused(
    es: FuturesChain, daily: Bars, gaps: Literal["refuse", "leave"]
) -> None:
    bars = daily(SESSIONS, CLOSES | {"ESH4": [50.0, 55.0, None, 65.0, 70.0]})
    with pytest.raises(DataError) as caught:
        ContinuousFuture("ES", BeforeExpiry(5), chain=es).series(bars, gaps=gaps)
    text = str(caught.value)
    assert "ESH4 has no close in session 2013-12-12, which prices the roll from ESZ3 to ESH4 on" in text
    assert "priced_at is 'previous_close'" in text
    # With the other session, or without adjustment, it is not asked for.
    other = ContinuousFuture("ES", BeforeExpiry(5), chain=es, priced_at="roll_close")
    assert other.series(bars)["close"].to_list() == [50.0, 55.0, 60.0, 65.0, 70.0]
    plain = ContinuousFuture("ES", BeforeExpiry(5), chain=es, adjustment="none")
    assert plain.rolls(bars)["to_price"].to_list() == [None]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_a_price_that_is_none_is_refused(
    es: FuturesChain, daily: Bars, name: str, value: float | None
) -> None:
    bars = daily(SESSIONS, CLOSES)
    first = (pl.col("contract") == "ESZ3") & (pl.col("session") == SESSIONS[0])
    bars = bars.with_columns(pl.when(first).then(pl.lit(value)).otherwise(pl.col(name)).alias(name))
    with pytest.raises(DataError) as caught:
        ContinuousFuture("ES", BeforeExpiry(5), chain=es).series(bars)
    assert f"{name} of ESZ3 in session 2013-12-10 is {value} (1 such); expected a finite" in str(caught.value)


def test_columns_that_are_not_there_are_named(es: FuturesChain, daily: Bars) -> None:
    bars = daily(SESSIONS, CLOSES)
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es)
    for name in ("open", "high", "low", "close", "volume"):
        with pytest.raises(
            DataError, match=f"reads the column {name} of the bars: expected numbers, found no"
        ):
            future.series(bars.drop(name))
    with pytest.raises(DataError, match="reads the column close of the bars: expected numbers, found String"):
        future.rolls(bars.with_columns(pl.col("close").cast(pl.String)))


def test_as_of_is_the_date_of_a_session_with_bars(es: FuturesChain, daily: Bars) -> None:
    future = ContinuousFuture("ES", BeforeExpiry(5), chain=es)
    bars = daily(SESSIONS, CLOSES)
    with pytest.raises(DataError, match=r"as_of is datetime\.datetime\(.*expected the date of a session"):
        future.series(bars, as_of=dt.datetime(2013, 12, 12))
    with pytest.raises(DataError, match="the bars of ES have no session up to 2013-12-09"):
        future.series(bars, as_of=dt.date(2013, 12, 9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"root": "NQ"}, "root: 'NQ' is not the root of the chain, which is 'ES'"),
        ({"chain": "ES"}, "chain: expected a FuturesChain, found 'ES'"),
        ({"rule": "volume"}, "rule: expected a rule such as BeforeExpiry(5), found 'volume'"),
        ({"rule": BeforeExpiry}, "rule: expected a rule such as BeforeExpiry(5), found <class"),
        (
            {"adjustment": "ratios"},
            "adjustment: found 'ratios'; allowed: ratio, difference, none; did you mean 'ratio'?",
        ),
        ({"adjustment": None}, "adjustment: found None; allowed: ratio, difference, none"),
        ({"priced_at": "open"}, "priced_at: found 'open'; allowed: previous_close, roll_close"),
    ],
)
def test_a_parameter_that_is_none_is_refused(
    es: FuturesChain, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ContinuousFuture(**({"root": "ES", "rule": VolumeCrossover(), "chain": es} | arguments))
    assert message in str(caught.value)


# -- a rule of somebody else


@attrs.frozen
class Fixed:
    """In front are the contracts as listed."""

    symbols: tuple[str, ...]

    def schedule(self, chain: FuturesChain, bars: pl.DataFrame) -> RollSchedule:
        sessions = bars["session"].unique().sort().to_list()
        return RollSchedule.of(sessions, self.symbols[: len(sessions)])


def test_a_rule_of_ones_own_is_taken(es: FuturesChain, daily: Bars) -> None:
    rule = Fixed(("ESZ3", "ESH4", "ESH4", "ESH4", "ESH4"))
    series = ContinuousFuture("ES", rule, chain=es).series(daily(SESSIONS, CLOSES))
    assert series["close"].to_list() == [50.0, 55.0, 60.0, 65.0, 70.0]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (("ESH4", "ESZ3", "ESZ3", "ESZ3", "ESZ3"), "rolls from ESH4 back to ESZ3 on 2013-12-11"),
        (
            ("ESZ3", "ESU4", "ESU4", "ESU4", "ESU4"),
            "put 'ESU4' in front, which the chain of ES does not have",
        ),
    ],
)
def test_a_rule_that_goes_astray_is_refused(
    es: FuturesChain, daily: Bars, symbols: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        ContinuousFuture("ES", Fixed(symbols), chain=es).series(daily(SESSIONS, CLOSES))
    assert message in str(caught.value)
