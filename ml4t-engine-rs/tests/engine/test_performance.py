"""`performance`: statistics of a series of returns against empyrical and published values."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, DataError
from ml4t.engine._engine import performance

Floats = npt.NDArray[np.float64]


def gaussians(seed: int, count: int) -> list[float]:
    """Sums of twelve uniforms less 6, from the minimal standard generator of Park and Miller (1988)."""
    modulus, state, found = 2**31 - 1, seed, []
    for _ in range(count):
        total = 0.0
        for _ in range(12):
            state = 16_807 * state % modulus
            total += state / modulus
        found.append(total - 6.0)
    return found


S10 = (
    np.array([0.01, -0.02, 0.015, 0.005, -0.01, 0.02, -0.005, 0.0, 0.012, -0.003]),
    np.array([0.008, -0.015, 0.01, 0.002, -0.012, 0.018, -0.001, 0.001, 0.006, -0.004]),
)
G, H = gaussians(42, 504), gaussians(7, 504)
P504 = (
    np.array([round(0.0011 + 0.01 * g, 8) for g in G]),
    np.array([round(0.0003 + 0.008 * (0.6 * g + 0.8 * h), 8) for g, h in zip(G, H, strict=True)]),
)
SERIES = {"ten": S10, "two years": P504}


def by_empyrical(returns: Floats, benchmark: Floats, risk_free: float, periods: float) -> dict[str, float]:
    series, other = pd.Series(returns), pd.Series(benchmark)
    per_year = {"annualization": periods}
    # Alpha and beta of empyrical take the risk-free return off both sides, as ours do.
    alpha, beta = empyrical.alpha_beta(series, other, risk_free=risk_free, **per_year)
    return {
        "total_return": empyrical.cum_returns_final(series),
        "annual_return": empyrical.annual_return(series, **per_year),
        "annual_volatility": empyrical.annual_volatility(series, **per_year),
        "sharpe": empyrical.sharpe_ratio(series, risk_free=risk_free, **per_year),
        "downside_risk": empyrical.downside_risk(series, required_return=risk_free, **per_year),
        "sortino": empyrical.sortino_ratio(series, required_return=risk_free, **per_year),
        "max_drawdown": empyrical.max_drawdown(series),
        "calmar": empyrical.calmar_ratio(series, **per_year),
        "omega": empyrical.omega_ratio(series, risk_free=risk_free),
        "tail_ratio": empyrical.tail_ratio(series),
        "var_5": empyrical.value_at_risk(series),
        "cvar_5": empyrical.conditional_value_at_risk(series),
        "stability": empyrical.stability_of_timeseries(series),
        "alpha": alpha,
        "beta": beta,
        "information_ratio": empyrical.excess_sharpe(series, other),
    }


def test_the_series_are_those_that_were_published() -> None:
    returns, benchmark = P504
    assert returns[:3].tolist() == [-0.00595528, -0.00427984, -0.00007278]
    assert benchmark[:3].tolist() == [-0.0006391, 0.00034383, 0.00601197]
    assert (returns[-1], benchmark[-1]) == (-0.01465179, -0.01320772)
    assert returns.sum() == pytest.approx(0.3193966, abs=1e-9)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("risk_free", [0.0, 0.0001, -0.0002])
@pytest.mark.parametrize("periods", [252.0, 365.0, 12.0])
def test_statistics_equal_those_of_empyrical(name: str, risk_free: float, periods: float) -> None:
    returns, benchmark = SERIES[name]
    found = performance(returns, benchmark=benchmark, risk_free=risk_free, periods_per_year=periods)
    expected = by_empyrical(returns, benchmark, risk_free, periods)
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-9)


PUBLISHED = {
    "ten": {
        "sharpe": 3.0875151112458754,
        "sortino": 5.213638122454425,
        "omega": 1.631578947368421,
        "skew": -0.3643591112144845,
        "kurtosis": -0.4579111599461431,
        "hit_rate": 0.5555555555555556,
    },
    "two years": {
        "sharpe": 1.0113278008938686,
        "sortino": 1.4823125966362178,
        "omega": 1.1713094304968146,
        "skew": -0.14190048015281664,
        "kurtosis": -0.20893578782038372,
        "hit_rate": 0.5337301587301587,
    },
}


@pytest.mark.parametrize("name", SERIES)
def test_statistics_equal_the_published_values(name: str) -> None:
    found = performance(SERIES[name][0])
    assert {key: found[key] for key in PUBLISHED[name]} == pytest.approx(PUBLISHED[name], rel=1e-9)


@pytest.mark.parametrize("name", SERIES)
def test_higher_moments_equal_those_of_pandas(name: str) -> None:
    series = pd.Series(SERIES[name][0])
    found = performance(series.to_numpy())
    assert (found["skew"], found["kurtosis"]) == pytest.approx((series.skew(), series.kurtosis()), rel=1e-9)


@pytest.mark.parametrize("name", SERIES)
def test_what_follows_from_the_definitions(name: str) -> None:
    returns, benchmark = SERIES[name]
    found = performance(returns, benchmark=benchmark)
    active = returns - benchmark
    assert found["tracking_error"] == pytest.approx(active.std(ddof=1) * math.sqrt(252))
    assert found["information_ratio_annual"] == pytest.approx(found["information_ratio"] * math.sqrt(252))
    assert found["calmar"] == pytest.approx(found["annual_return"] / -found["max_drawdown"])
    assert (found["best"], found["worst"], found["periods"]) == (returns.max(), returns.min(), len(returns))


def test_the_length_of_a_drawdown_runs_from_its_peak_to_its_recovery() -> None:
    found = performance(np.array([0.1, -0.05, -0.05, 0.2, -0.01, 0.001, 0.001, 0.001]))
    assert found["max_drawdown"] == pytest.approx(-0.0975)
    # Down in periods 2 and 3, above the peak again in period 4; the shallow one never recovers.
    assert (found["max_drawdown_length"], found["longest_drawdown_length"]) == (3.0, 4.0)


returns_lists = st.lists(st.floats(min_value=-0.2, max_value=0.2), min_size=2, max_size=60)


@given(returns_lists)
def test_random_series_agree_with_numpy(values: list[float]) -> None:
    returns = np.array(values)
    found = performance(returns)
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns)])
    assert found["total_return"] == pytest.approx(wealth[-1] - 1, rel=1e-9, abs=1e-12)
    drawdown = (wealth / np.maximum.accumulate(wealth) - 1).min()
    assert found["max_drawdown"] == pytest.approx(drawdown, rel=1e-9, abs=1e-12)
    assert found["annual_volatility"] == pytest.approx(
        returns.std(ddof=1) * math.sqrt(252), rel=1e-7, abs=1e-12
    )
    assert found["var_5"] == pytest.approx(np.percentile(returns, 5), rel=1e-9, abs=1e-12)


# -- conventions at the edges ----------------------------------------------------------------------------


def test_an_empty_series_gives_nan_and_no_periods() -> None:
    found = performance(np.array([]))
    assert found["periods"] == 0
    assert all(math.isnan(found[key]) for key in ("total_return", "sharpe", "max_drawdown", "annual_return"))


def test_one_return_gives_what_one_return_can_tell() -> None:
    found = performance(np.array([0.01]))
    assert found["total_return"] == pytest.approx(0.01)
    assert (found["best"], found["worst"], found["max_drawdown"]) == (0.01, 0.01, 0.0)
    assert all(math.isnan(found[key]) for key in ("annual_volatility", "sharpe", "skew"))


def test_a_series_without_variance_has_no_ratios_rather_than_infinite_ones() -> None:
    found = performance(np.full(20, 0.001), benchmark=np.full(20, 0.001))
    assert found["annual_volatility"] == pytest.approx(0.0, abs=1e-12)
    assert all(not math.isinf(value) for value in found.values())
    assert math.isnan(found["sharpe"])
    assert math.isnan(found["beta"])


def test_without_a_benchmark_what_needs_one_is_nan() -> None:
    found = performance(S10[0])
    needing = ("alpha", "beta", "tracking_error", "information_ratio", "information_ratio_annual")
    assert all(math.isnan(found[key]) for key in needing)
    assert found.keys() == performance(S10[0], benchmark=S10[1]).keys()


def test_a_strided_array_has_the_same_statistics() -> None:
    spread = np.zeros((504, 3))
    spread[:, 1] = P504[0]
    np.testing.assert_equal(performance(spread[:, 1]), performance(P504[0]))
    np.testing.assert_equal(
        performance(P504[0][::-1], benchmark=P504[1][::-1]),
        performance(P504[0][::-1].copy(), benchmark=P504[1][::-1].copy()),
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_is_refused(bad: float) -> None:
    values = S10[0].copy()
    values[3] = bad
    with pytest.raises(DataError, match="3"):
        performance(values)
    with pytest.raises(DataError, match="3"):
        performance(S10[0], benchmark=values)


def test_a_benchmark_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match=r"9.*10|10.*9"):
        performance(S10[0], benchmark=S10[1][:-1])


@pytest.mark.parametrize(
    "keywords",
    [
        {"periods_per_year": 0.0},
        {"periods_per_year": -1.0},
        {"periods_per_year": math.nan},
        {"risk_free": math.inf},
    ],
)
def test_a_parameter_out_of_range_is_refused(keywords: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        performance(S10[0], **keywords)


@pytest.mark.parametrize(
    "returns", [[0.01], None, np.array([1, 2]), np.zeros((2, 2)), "0.01", np.float32([0.1])]
)
def test_what_is_no_array_of_floats_is_a_type_error(returns: object) -> None:
    with pytest.raises(TypeError):
        performance(returns)
