"""What holds of every market: nothing of later days, never backwards, returns and raw prices are kept."""

from __future__ import annotations

import datetime as dt

import attrs
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml4t.futures import (
    BeforeExpiry,
    BeforeFirstNotice,
    ContinuousFuture,
    FuturesChain,
    FuturesContract,
    OpenInterestCrossover,
    RollRule,
    VolumeCrossover,
)

CONTRACTS, SESSIONS, LIFE = 8, 30, 7
FIRST = dt.date(2024, 1, 1)
DAYS = [day for k in range(200) if (day := FIRST + dt.timedelta(days=k)).weekday() < 5]
CHAIN = FuturesChain(
    "XX",
    [
        FuturesContract(
            f"XX{k}",
            root="XX",
            last_trade=DAYS[LIFE * (k + 1)],
            first_notice=DAYS[LIFE * (k + 1) - 3],
            multiplier=10,
            tick_size="0.01",
            calendar="weekdays",
            settlement="physical",
        )
        for k in range(CONTRACTS)
    ],
)
RULES: list[RollRule] = [
    *(BeforeExpiry(days) for days in (0, 1, 7, 15)),
    *(BeforeFirstNotice(days) for days in (0, 2)),
    *(rule(lag) for lag in (1, 3) for rule in (VolumeCrossover, OpenInterestCrossover)),
]
LISTED = pl.DataFrame(
    [
        {"session": session, "symbol": contract.symbol}
        for session in DAYS[:SESSIONS]
        for contract in CHAIN
        if session <= contract.last_trade
    ]
)
rules = st.sampled_from(RULES)
seeds = st.integers(0, 2**32 - 1)
places = st.integers(3, SESSIONS - 1)


def market(seed: int, *, share: float = 1.0) -> pl.DataFrame:
    """Return bars of every contract, up to its last trade, on days of which some are missing.

    Of a part of the bars, the open interest is not known; with a `share` below 1, bars are missing too.
    """
    rng = np.random.default_rng(seed)
    size = LISTED.height
    unknown, missing, low = rng.random(size) < 0.2, rng.random(size) >= share, rng.uniform(10, 90, size)
    bars = LISTED.with_columns(
        open=pl.lit(low + 1),
        high=pl.lit(low + rng.uniform(2, 9, size)),
        low=pl.lit(low),
        close=pl.lit(low + rng.uniform(0, 2, size)),
        volume=pl.lit(rng.integers(0, 5, size)),
        open_interest=pl.when(~pl.lit(unknown)).then(pl.lit(rng.integers(0, 5, size))),
    )
    return bars.filter(~pl.lit(missing))


def spliced(past: pl.DataFrame, later: pl.DataFrame, from_session: dt.date) -> pl.DataFrame:
    """Return the past up to a session, and another market from it on."""
    before = pl.col("session") < from_session
    return pl.concat([past.filter(before), later.filter(~before)])


@given(rule=rules, past=seeds, later=seeds, place=places, share=st.sampled_from([0.7, 1.0]))
def test_the_contract_of_a_session_follows_from_earlier_sessions_alone(
    rule: RollRule, past: int, later: int, place: int, share: float
) -> None:
    now = DAYS[place]
    bars = market(past, share=share)
    # Other prices, volumes, open interest and bars from that session on; that there is one is all it shares.
    other = spliced(bars, market(later, share=share), now)
    known = bars.filter(pl.col("session") <= now)
    assume(now in set(bars["session"]) & set(other["session"]))
    upto = pl.col("session") <= now
    expected = rule.schedule(CHAIN, bars).front.filter(upto)
    assert_frame_equal(rule.schedule(CHAIN, other).front.filter(upto), expected)
    assert_frame_equal(rule.schedule(CHAIN, known).front, expected)


@given(rule=rules, seed=seeds, share=st.sampled_from([0.5, 1.0]))
def test_no_rule_goes_back_or_holds_a_contract_on_its_last_trade(
    rule: RollRule, seed: int, share: float
) -> None:
    schedule = rule.schedule(CHAIN, market(seed, share=share))
    fronts = [CHAIN.symbols.index(symbol) for symbol in schedule.front["contract"]]
    assert fronts == sorted(fronts)
    for session, symbol in schedule.front.iter_rows():
        assert session < CHAIN[symbol].last_trade
    entered = [schedule.front["contract"][0], *schedule.rolls["to"]]
    assert entered == schedule.front["contract"].unique(maintain_order=True).to_list()


@given(seed=seeds, lag=st.integers(1, 4), share=st.sampled_from([0.5, 1.0]))
def test_volume_crossover_is_what_its_description_says(seed: int, lag: int, share: float) -> None:
    bars = market(seed, share=share)
    sessions = sorted(set(bars["session"]))
    volume = {(row["session"], row["symbol"]): row["volume"] for row in bars.to_dicts()}
    front = -1
    expected = []
    for now, then in zip(sessions[lag:], sessions, strict=False):
        may = [k for k, each in enumerate(CHAIN) if k >= front and each.last_trade > now]
        front = max(may, key=lambda k: (volume.get((then, CHAIN.symbols[k]), 0), -k))
        expected.append((now, CHAIN.symbols[front]))
    assert VolumeCrossover(lag).schedule(CHAIN, bars).front.rows() == expected


@st.composite
def futures(draw: st.DrawFn, adjustment: str) -> ContinuousFuture:
    priced_at = draw(st.sampled_from(["previous_close", "roll_close"]))
    return ContinuousFuture("XX", draw(rules), chain=CHAIN, adjustment=adjustment, priced_at=priced_at)  # type: ignore[arg-type]


def within(series: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return rows with the raw close, the closes before, adjusted and raw, where the contract is the same."""
    raw = bars.select("session", pl.col("symbol").alias("contract"), raw="close")
    both = series.join(raw, on=["session", "contract"], maintain_order="left")
    before = both.with_columns(
        close_before=pl.col("close").shift(1).over("contract"),
        raw_before=pl.col("raw").shift(1).over("contract"),
    )
    return before.drop_nulls("close_before")


@given(future=futures("ratio"), seed=seeds)
def test_a_ratio_keeps_percentage_returns_within_a_contract(future: ContinuousFuture, seed: int) -> None:
    rows = within(future.series(market(seed)), market(seed))
    assert rows.height
    adjusted, raw = rows["close"] / rows["close_before"], rows["raw"] / rows["raw_before"]
    assert adjusted.to_list() == pytest.approx(raw.to_list(), rel=1e-12)


@given(future=futures("difference"), seed=seeds)
def test_a_difference_keeps_differences_within_a_contract(future: ContinuousFuture, seed: int) -> None:
    rows = within(future.series(market(seed)), market(seed))
    assert rows.height
    adjusted, raw = rows["close"] - rows["close_before"], rows["raw"] - rows["raw_before"]
    assert adjusted.to_list() == pytest.approx(raw.to_list(), abs=1e-9)


@given(seed=seeds, rule=rules, adjustment=st.sampled_from(["ratio", "difference"]))
def test_over_a_roll_priced_at_the_close_before_the_return_is_that_of_the_new_contract(
    seed: int, rule: RollRule, adjustment: str
) -> None:
    bars = market(seed)
    future = ContinuousFuture("XX", rule, chain=CHAIN, adjustment=adjustment)  # type: ignore[arg-type]
    adjusted = {row["session"]: row["close"] for row in future.series(bars).to_dicts()}
    raw = {(row["session"], row["symbol"]): row["close"] for row in bars.to_dicts()}
    for roll in future.rolls(bars).iter_rows(named=True):
        one, two = (adjusted[roll[key]] for key in ("priced_on", "session"))
        old, new = (raw[roll[key], roll["to"]] for key in ("priced_on", "session"))
        if adjustment == "ratio":
            assert two / one == pytest.approx(new / old, rel=1e-12)
        else:
            assert two - one == pytest.approx(new - old, abs=1e-9)


@given(data=st.data(), adjustment=st.sampled_from(["ratio", "difference", "none"]), seed=seeds)
def test_raw_prices_can_be_had_back_and_the_latest_contract_is_as_it_was(
    data: st.DataObject, adjustment: str, seed: int
) -> None:
    bars = market(seed).rename({"symbol": "contract"})
    series = data.draw(futures(adjustment)).series(bars)
    prices = ("open", "high", "low", "close")
    back = series.with_columns((pl.col(name) - pl.col("offset")) / pl.col("factor") for name in prices)
    wanted = series.select("session", "contract").join(
        bars, on=["session", "contract"], maintain_order="left"
    )
    columns = ["session", "contract", *prices, "volume"]
    assert_frame_equal(back.select(columns), wanted.select(columns), rel_tol=1e-12, abs_tol=1e-9)
    latest = pl.col("contract") == series["contract"][-1]
    assert series.filter(latest).select("factor", "offset").unique().rows() == [(1.0, 0.0)]
    assert_frame_equal(series.filter(latest).select(columns), wanted.filter(latest).select(columns))


@given(data=st.data(), seed=seeds, later=seeds, place=places)
def test_a_series_as_of_a_session_is_what_could_be_computed_then(
    data: st.DataObject, seed: int, later: int, place: int
) -> None:
    future = data.draw(futures(data.draw(st.sampled_from(["ratio", "difference", "none"]))))
    now = DAYS[place]
    bars = market(seed)
    lag = getattr(future.rule, "lag", 0)
    assume(place >= lag)
    then = future.series(bars.filter(pl.col("session") <= now))
    garbage = spliced(bars, market(later), now + dt.timedelta(days=1)).with_columns(
        pl.when(pl.col("session") > now).then(-pl.col("close")).otherwise("close").alias("close")
    )
    for known in (bars, garbage):
        assert_frame_equal(future.series(known, as_of=now), then)
        assert_frame_equal(
            future.rolls(known, as_of=now), future.rolls(bars.filter(pl.col("session") <= now))
        )


@given(future=futures("ratio"), seed=seeds, order=seeds)
def test_the_sequence_of_rows_means_nothing(future: ContinuousFuture, seed: int, order: int) -> None:
    bars = market(seed)
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=order)
    assert_frame_equal(future.series(shuffled), future.series(bars))


def test_later_contracts_of_a_chain_change_nothing() -> None:
    # A chain is known in advance; that it lists contracts that nobody trades yet must not matter.
    bars = market(1)
    more = [
        attrs.evolve(
            CHAIN.contracts[-1], symbol=f"XX{k}", last_trade=DAYS[LIFE * (k + 1)], first_notice=DAYS[LIFE * k]
        )
        for k in (CONTRACTS, CONTRACTS + 1)
    ]
    longer = FuturesChain("XX", [*CHAIN, *more])
    for rule in RULES:
        assert_frame_equal(rule.schedule(longer, bars).front, rule.schedule(CHAIN, bars).front)
