"""Streaming indicators against their definitions computed on whole windows, and what NaN does to them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, MarketEvent, Strategy
from ml4t.backtest.indicators import ATR, EMA, MACD, RSI, SMA, Bollinger, RollingStd
from ml4t.core.errors import ConfigError

nan = math.nan
Build = Callable[..., DataFeed]
Make = Callable[..., Engine]
prices = st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=120)
periods = st.integers(min_value=1, max_value=40)

# Every one-input indicator with the number of values until its first answer.
SCALARS: dict[str, tuple[Callable[[], Any], int]] = {
    "SMA": (lambda: SMA(5), 5),
    "EMA": (lambda: EMA(5), 5),
    "RSI": (lambda: RSI(5), 6),
    "RollingStd": (lambda: RollingStd(5), 5),
}


def run(indicator: object, values: Sequence[float]) -> list[float]:
    return [indicator.update(value) for value in values]


# -- definitions -----------------------------------------------------------------------------------------


@given(prices, periods)
def test_sma_is_the_mean_of_its_window(values: list[float], period: int) -> None:
    found = run(SMA(period), values)
    for n, value in enumerate(found):
        if n + 1 < period:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(statistics.fmean(values[n + 1 - period : n + 1]), rel=1e-12)


@given(prices, st.integers(min_value=2, max_value=40), st.integers(min_value=0, max_value=1))
def test_rolling_std_is_the_deviation_of_its_window(values: list[float], period: int, ddof: int) -> None:
    found = run(RollingStd(period, ddof), values)
    for n, value in enumerate(found):
        if n + 1 < period:
            assert math.isnan(value)
        else:
            window = values[n + 1 - period : n + 1]
            expected = statistics.stdev(window) if ddof else statistics.pstdev(window)
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(window))


@given(prices, periods)
def test_bollinger_bands_are_mean_and_deviation_of_the_window(values: list[float], period: int) -> None:
    bands = Bollinger(period, 1.5)
    for n, value in enumerate(values):
        lower, middle, upper = bands.update(value)
        if n + 1 < period:
            assert all(math.isnan(band) for band in (lower, middle, upper))
            continue
        window = values[n + 1 - period : n + 1]
        mean, half = statistics.fmean(window), 1.5 * statistics.pstdev(window)
        expected = (mean - half, mean, mean + half)
        assert (lower, middle, upper) == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(window))
        assert lower <= middle <= upper


def ema_by_hand(values: Sequence[float], period: int) -> list[float]:
    """The mean of the first `period` values, then 2/(n+1) of the newest and the rest of the last average."""
    found = [nan] * (period - 1)
    if len(values) >= period:
        average = statistics.fmean(values[:period])
        found.append(average)
        for value in values[period:]:
            average = 2 / (period + 1) * value + (1 - 2 / (period + 1)) * average
            found.append(average)
    return found[: len(values)]


@given(prices, periods)
def test_ema_starts_at_the_mean_and_weighs_the_newest_by_two_over_n_plus_one(
    values: list[float], period: int
) -> None:
    np.testing.assert_allclose(run(EMA(period), values), ema_by_hand(values, period), rtol=1e-9)


@given(prices, periods)
def test_ema_seeded_by_its_first_value_is_that_of_pandas(values: list[float], period: int) -> None:
    expected = pd.Series(values).ewm(span=period, adjust=False).mean()
    np.testing.assert_allclose(run(EMA(period, seed="first"), values), expected, rtol=1e-9)


def wilder(values: Sequence[float], period: int) -> float:
    average = statistics.fmean(values[:period])
    for value in values[period:]:
        average = (average * (period - 1) + value) / period
    return average


@given(prices, st.integers(min_value=1, max_value=20))
def test_rsi_is_wilders(values: list[float], period: int) -> None:
    indicator = RSI(period)
    for n, value in enumerate(values):
        found = indicator.update(value)
        if n < period:
            assert math.isnan(found)
            continue
        changes = np.diff(values[: n + 1]).tolist()
        gain = wilder([max(change, 0.0) for change in changes], period)
        loss = wilder([max(-change, 0.0) for change in changes], period)
        expected = 50.0 if gain == loss == 0 else 100 * gain / (gain + loss)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert 0 <= found <= 100


bars = st.lists(
    st.tuples(*[st.floats(min_value=0.01, max_value=1e4) for _ in range(3)]).map(
        lambda values: (max(values), min(values), statistics.median(values))
    ),
    min_size=1,
    max_size=80,
)


@given(bars, st.integers(min_value=1, max_value=20))
def test_atr_is_wilders(rows: list[tuple[float, float, float]], period: int) -> None:
    indicator = ATR(period)
    ranges: list[float] = []
    previous = None
    for n, (high, low, close) in enumerate(rows):
        found = indicator.update(high, low, close)
        gaps = [] if previous is None else [abs(high - previous), abs(low - previous)]
        ranges.append(max(high - low, *gaps) if gaps else high - low)
        previous = close
        if n + 1 < period:
            assert math.isnan(found)
        else:
            assert found == pytest.approx(wilder(ranges, period), rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(min_value=0.01, max_value=1e4), min_size=1, max_size=90))
def test_macd_is_the_difference_of_two_averages_and_its_own_average(values: list[float]) -> None:
    indicator = MACD(5, 12, 4)
    found = [indicator.update(value) for value in values]
    fast, slow = np.array(ema_by_hand(values, 5)), np.array(ema_by_hand(values, 12))
    line = fast - slow
    signal = np.full(len(values), nan)
    known = line[11:].tolist()
    signal[11:] = ema_by_hand(known, 4)
    scale = max(values)
    np.testing.assert_allclose([row[0] for row in found], line, rtol=1e-9, atol=1e-9 * scale)
    np.testing.assert_allclose([row[1] for row in found], signal, rtol=1e-9, atol=1e-9 * scale)
    for line_, signal_, histogram in found:
        assert histogram == line_ - signal_ or math.isnan(histogram)


def test_a_long_stream_at_a_high_level_loses_no_digits(rng: np.random.Generator) -> None:
    values = 1e9 + rng.normal(size=50_000)
    sma, std = SMA(20), RollingStd(20)
    for value in values:
        mean, deviation = sma.update(value), std.update(value)
    assert mean == pytest.approx(values[-20:].mean(), rel=1e-15)
    assert deviation == pytest.approx(values[-20:].std(ddof=1), rel=1e-6)


# -- warm-up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALARS)
def test_an_indicator_is_nan_until_it_is_ready(name: str, rng: np.random.Generator) -> None:
    make, warm = SCALARS[name]
    indicator = make()
    assert math.isnan(indicator.value)
    assert indicator.ready is False
    for n, value in enumerate(rng.uniform(10, 20, size=12), start=1):
        found = indicator.update(value)
        assert indicator.ready is (n >= warm)
        assert math.isnan(found) is (n < warm)
        np.testing.assert_equal(indicator.value, found)


def test_comparisons_are_false_while_an_indicator_warms_up() -> None:
    for indicator in (SMA(3), EMA(3), RSI(3), RollingStd(3)):
        value = indicator.update(10.0)
        assert not (value > 0 or value < 0 or value == value or value >= 0 or value <= 0)
    line, signal, _ = MACD().update(10.0)
    assert not (line > signal or line < signal)
    lower, _, upper = Bollinger().update(10.0)
    assert not (10.0 > upper or 10.0 < lower)
    assert not (ATR().update(11.0, 9.0, 10.0) > 0)


def test_a_crossover_of_cold_averages_does_nothing() -> None:
    fast, slow = SMA(2), SMA(4)
    signals = []
    for price in (1.0, 2.0, 3.0, 4.0, 5.0):
        above = fast.update(price) > slow.update(price)
        signals.append(above)
    assert signals == [False, False, False, True, True]


def test_bands_and_lines_are_ready_with_their_last_part() -> None:
    macd, bands, atr = MACD(2, 4, 3), Bollinger(3), ATR(2)
    ready = []
    for price in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0):
        macd.update(price)
        bands.update(price)
        atr.update(price + 1, price - 1, price)
        ready.append((macd.ready, bands.ready, atr.ready))
    assert [row[0] for row in ready] == [False] * 5 + [True, True]
    assert [row[1] for row in ready] == [False] * 2 + [True] * 5
    assert [row[2] for row in ready] == [False] + [True] * 6


@pytest.mark.parametrize("bad", [nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", SCALARS)
def test_a_missing_value_answers_nan_and_changes_nothing(
    name: str, bad: float, rng: np.random.Generator
) -> None:
    make, _ = SCALARS[name]
    plain, disturbed = make(), make()
    for value in rng.uniform(10, 20, size=15):
        before = disturbed.value
        assert math.isnan(disturbed.update(bad))
        np.testing.assert_equal(disturbed.value, before)
        np.testing.assert_equal(disturbed.update(value), plain.update(value))


@pytest.mark.parametrize("name", SCALARS)
def test_reset_forgets_everything(name: str, rng: np.random.Generator) -> None:
    make, _ = SCALARS[name]
    values = rng.uniform(10, 20, size=10)
    used = make()
    run(used, values)
    used.reset()
    assert (math.isnan(used.value), used.ready) == (True, False)
    np.testing.assert_equal(run(used, values[::-1]), run(make(), values[::-1]))


def test_reset_of_the_others() -> None:
    for made, value in ((MACD(1, 2, 1), (5.0,)), (Bollinger(1), (5.0,)), (ATR(1), (6.0, 4.0, 5.0))):
        indicator: Any = made
        first = indicator.update(*value)
        indicator.reset()
        assert not indicator.ready
        np.testing.assert_equal(indicator.update(*value), first)


# -- parameters ------------------------------------------------------------------------------------------


def test_the_defaults_are_the_usual_ones() -> None:
    def warm(indicator: object, *, bar: bool = False) -> int:
        for n in range(1, 100):
            indicator.update(*((10.0 + n, 9.0 + n, 9.5 + n) if bar else (10.0 + n,)))
            if indicator.ready:
                return n
        return 0

    assert [warm(made()) for made in (SMA, EMA, RSI, RollingStd, MACD, Bollinger)] == [20, 20, 15, 20, 34, 20]
    assert warm(ATR(), bar=True) == 14


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SMA(0), "SMA: period is 0"),
        (lambda: EMA(0), "EMA: period is 0"),
        (lambda: RSI(period=0), "RSI: period is 0"),
        (lambda: ATR(0), "ATR: period is 0"),
        (lambda: RollingStd(1), "period is 1 and ddof is 1"),
        (lambda: Bollinger(0), "Bollinger: period is 0"),
        (lambda: Bollinger(5, -1.0), "width is -1"),
        (lambda: Bollinger(5, nan), "width is NaN"),
        (lambda: MACD(26, 12), "fast is 26 and slow is 12"),
        (lambda: EMA(5, seed="zero"), "allowed: first, sma"),  # type: ignore[arg-type]
        (lambda: MACD(seed="zero"), "allowed: first, sma"),  # type: ignore[arg-type]
        (lambda: SMA(2**62), "no memory for a window"),
    ],
)
def test_a_parameter_out_of_range_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("period", [-1, 1.5, "5", None, 2**65])
def test_a_period_that_is_no_count_is_refused(period: object) -> None:
    for indicator in (SMA, EMA, RSI, RollingStd, ATR, Bollinger):
        with pytest.raises((TypeError, OverflowError, ConfigError)):
            indicator(period)


def test_an_indicator_of_a_strategy_starts_afresh_with_every_run(engine: Make, daily: Build) -> None:
    seen = []

    class Crosses(Strategy):
        def __init__(self) -> None:
            self.average = SMA(3)

        def on_bar(self, event: MarketEvent) -> None:
            seen.append(self.average.update(event.close))

    made = engine(Crosses, daily({"A": [1.0, 2.0, 3.0, 4.0]}))
    for _ in range(2):
        seen.clear()
        made.run()
        np.testing.assert_equal(seen, [nan, nan, 2.0, 3.0])


def test_an_instance_with_indicators_is_copied_for_its_next_run(engine: Make, daily: Build) -> None:
    seen = []

    class Crosses(Strategy):
        def __init__(self) -> None:
            self.averages = {
                "sma": SMA(2),
                "macd": MACD(1, 2, 1),
                "atr": ATR(1),
                "bands": Bollinger(2),
                "rsi": RSI(1),
            }

        def on_bar(self, event: MarketEvent) -> None:
            seen.append(self.averages["sma"].update(event.close))

    made = engine(Crosses(), daily({"A": [1.0, 2.0, 3.0]}))
    for _ in range(2):
        seen.clear()
        made.run()
        np.testing.assert_equal(seen, [nan, 1.5, 2.5])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RSI(-1), "RSI: period is -1; it counts values and cannot be negative"),
        (lambda: ATR(-3), "ATR: period is -3"),
        (lambda: SMA(-1), "SMA: period is -1"),
        (lambda: EMA(-1), "EMA: period is -1"),
        (lambda: RollingStd(5, -1), "RollingStd: ddof is -1"),
        (lambda: Bollinger(-1), "Bollinger: period is -1"),
        (lambda: MACD(3, -6, 2), "MACD: slow is -6"),
    ],
)
def test_a_negative_number_of_values_is_refused(make: Any, text: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=text):
        make()
