"""Metrics: their values against published ones and reference libraries, and their conventions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml4t.backtest import Results
from ml4t.core.errors import ConfigError, ResultsError, UnknownNameError
from ml4t.core.schemas import TABLES
from ml4t.engine import _engine
from ml4t.engine.metrics import METRICS, Unit, format_value
from ml4t.engine.performance import series_metrics

Make = Callable[..., Results]
Series = Mapping[str, tuple[list[float], list[float]]]

# empyrical-reloaded 0.7.1, quantstats 0.0.86 (hit rate) and pandas 3.1.1 (skewness, kurtosis); 252 a year.
PUBLISHED = {
    "ten": {
        "total_return": 0.02356086207264463,
        "annual_return": 0.7983098344360848,
        "annual_volatility": 0.19588568094682166,
        "sharpe": 3.0875151112458754,
        "downside_risk": 0.11600344822461098,
        "sortino": 5.213638122454425,
        "max_drawdown": -0.02,
        "calmar": 39.915491721804315,
        "omega": 1.631578947368421,
        "tail_ratio": 1.1451612903225803,
        "var_5": -0.0155,
        "cvar_5": -0.02,
        "alpha": 0.23560655484841875,
        "beta": 1.200089076940207,
        "stability": 0.5774605655587975,
        "information_ratio": 0.3105753396999847,
        "skew": -0.3643591112144845,
        "kurtosis": -0.4579111599461431,
        "hit_rate": 0.5555555555555556,
    },
    "two_years": {
        "total_return": 0.342339920155595,
        "annual_return": 0.15859394101453628,
        "annual_volatility": 0.1579095322593225,
        "sharpe": 1.0113278008938686,
        "downside_risk": 0.10773591235910708,
        "sortino": 1.4823125966362178,
        "max_drawdown": -0.19402991439738576,
        "calmar": 0.8173685047849152,
        "omega": 1.1713094304968146,
        "tail_ratio": 1.072888651509372,
        "var_5": -0.0156055775,
        "cvar_5": -0.020817195384615385,
        "alpha": 0.09387851796637992,
        "beta": 0.7784133154094458,
        "stability": 0.7874405534568661,
        "information_ratio": 0.03705273496472419,
        "skew": -0.14190048015281664,
        "kurtosis": -0.20893578782038372,
        "hit_rate": 0.5337301587301587,
    },
}

# quantstats, 2% a year taken off geometrically.
SHARPE_ABOVE_TWO_PERCENT = {"ten": 2.9864183629567145, "two_years": 0.8859179849265199}


@pytest.mark.parametrize("name", PUBLISHED)
def test_metrics_equal_the_published_values(name: str, make: Make, published: Series) -> None:
    returns, benchmark = published[name]
    found = make(returns=returns).performance(benchmark=benchmark)
    assert {key: found[key] for key in PUBLISHED[name]} == pytest.approx(PUBLISHED[name], rel=1e-9)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_risk_free_rate_is_per_year_and_taken_off_geometrically(
    name: str, make: Make, published: Series
) -> None:
    results = make(returns=published[name][0])
    assert results.performance(risk_free=0.02)["sharpe"] == pytest.approx(
        SHARPE_ABOVE_TWO_PERCENT[name], rel=1e-9
    )
    assert results.performance(risk_free=0.02)["total_return"] == results.metrics["total_return"]


def test_a_rate_per_session_is_given_as_its_compounded_year(make: Make, published: Series) -> None:
    found = make(returns=published["two_years"][0]).performance(risk_free=1.0001**252 - 1)
    assert found["sharpe"] == pytest.approx(0.8517427547003563, rel=1e-9)


def test_the_risk_free_rate_of_the_configuration_is_the_default(make: Make, published: Series) -> None:
    results = make(returns=published["two_years"][0], config={"report": {"risk_free": 0.02}})
    assert results.metrics["sharpe"] == results.performance(risk_free=0.02)["sharpe"]
    assert results.metrics["sharpe"] != results.performance(risk_free=0.0)["sharpe"]
    assert results.metrics.risk_free == 0.02


def test_metrics_of_a_real_run_equal_empyrical_on_its_returns(real: Results) -> None:
    returns = real.to_quantstats()
    other = pd.Series(np.roll(returns.to_numpy(), 1), index=returns.index)
    found = real.performance(benchmark=other)
    alpha, beta = empyrical.alpha_beta(returns, other)
    expected = {
        "total_return": empyrical.cum_returns_final(returns),
        "annual_return": empyrical.annual_return(returns),
        "annual_volatility": empyrical.annual_volatility(returns),
        "sharpe": empyrical.sharpe_ratio(returns),
        "downside_risk": empyrical.downside_risk(returns),
        "sortino": empyrical.sortino_ratio(returns),
        "max_drawdown": empyrical.max_drawdown(returns),
        "calmar": empyrical.calmar_ratio(returns),
        "omega": empyrical.omega_ratio(returns),
        "tail_ratio": empyrical.tail_ratio(returns),
        "var_5": empyrical.value_at_risk(returns),
        "cvar_5": empyrical.conditional_value_at_risk(returns),
        "stability": empyrical.stability_of_timeseries(returns),
        "alpha": alpha,
        "beta": beta,
        "information_ratio": empyrical.excess_sharpe(returns, other),
        "tracking_error": (returns - other).std(ddof=1) * math.sqrt(252),
        "skew": returns.skew(),
        "kurtosis": returns.kurt(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_every_number_of_the_engine_has_a_name_and_a_convention() -> None:
    measured = _engine.performance(np.array([0.01, -0.02]), benchmark=np.array([0.0, 0.01]))
    assert set(measured) <= set(METRICS)
    assert all(metric.convention.endswith(".") and metric.label for metric in METRICS.values())


def test_comparisons_are_absent_without_a_benchmark(make: Make) -> None:
    metrics = make(returns=[0.01, -0.02, 0.03]).metrics
    assert "beta" not in metrics
    with pytest.raises(UnknownNameError, match="unknown metric 'beta'"):
        metrics["beta"]


def test_a_benchmark_gives_the_same_numbers_in_every_form(make: Make, published: Series) -> None:
    returns, benchmark = published["ten"]
    results, other = make(returns=returns), make(returns=benchmark)
    sessions = results.nav["session"]
    given = other.returns()["return"].to_list()
    forms: list[object] = [
        given,
        np.array(given),
        pl.Series(given),
        other,
        other.returns(),
        other.returns().reverse(),
        pd.Series(given, index=pd.DatetimeIndex(sessions.to_list())),
        pd.Series(given, index=pd.DatetimeIndex(sessions.to_list(), tz="UTC")),
        pl.concat([other.returns(), pl.DataFrame({"session": [date(2030, 1, 1)], "return": [9.0]})]),
    ]
    expected = dict(results.performance(benchmark=given))
    for form in forms:
        assert dict(results.performance(benchmark=form)) == pytest.approx(expected, nan_ok=True), type(form)


def test_the_benchmark_of_a_run_is_used_unless_another_is_given(make: Make, published: Series) -> None:
    returns, benchmark = published["ten"]
    plain = make(returns=returns)
    tables = {name: plain.table(name) for name in TABLES}
    results = Results(tables, manifest=plain.manifest, run_info={}, benchmark=benchmark)
    assert results.metrics["beta"] == pytest.approx(PUBLISHED["ten"]["beta"])
    assert results.performance(benchmark=returns)["beta"] == pytest.approx(1.0)
    assert results.benchmark is not None
    assert results.benchmark["return"].to_list() == benchmark


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ([0.01, 0.02], "has 2 returns, the run 3 sessions"),
        (
            pl.DataFrame({"session": [date(2024, 1, 2), date(2024, 1, 3)], "return": [0.0, 0.0]}),
            "no return for 1 of 3 sessions, the first is 2024-01-01",
        ),
        (
            pl.DataFrame({"day": [date(2024, 1, 1)], "return": [0.0]}),
            "needs the columns `session` and `return`",
        ),
        (
            pl.DataFrame({"session": [date(2024, 1, 1)] * 2, "return": [0.0, 0.1]}),
            "more than one return for 2024-01-01",
        ),
        ([0.01, math.nan, 0.02], "no return for 1 of 3 sessions, the first is 2024-01-02"),
        ("SPY", "expected another run, .* or a list with one number per session, found str 'SPY'"),
        (pd.DataFrame({"return": [0.0]}), "expected another run, .* found DataFrame return 0 0.0"),
        (
            pl.DataFrame({"session": ["2024-01-01"], "return": ["x"]}),
            "needs dates as `session` and numbers as `return`, found String and String",
        ),
        (pd.Series([0.1], index=pd.DatetimeIndex([pd.NaT])), "has 1 returns without a date"),
    ],
)
def test_a_benchmark_that_does_not_cover_the_run_is_refused(
    benchmark: object, message: str, make: Make
) -> None:
    with pytest.raises(ResultsError, match=message):
        make(returns=[0.01, -0.02, 0.03]).performance(benchmark=benchmark)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"risk_free": -1}, "risk_free = -1; expected a number above -1"),
        ({"risk_free": "2%"}, "risk_free = '2%'; expected a number above -1"),
        ({"periods_per_year": 0}, "periods_per_year = 0; expected a number above 0, such as 252"),
        ({"periods_per_year": math.nan}, "periods_per_year = nan; expected a number above 0"),
    ],
)
def test_a_setting_that_is_no_such_number_is_refused(
    keywords: dict[str, Any], message: str, make: Make
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(returns=[0.01, -0.02, 0.03]).performance(**keywords)


@pytest.mark.parametrize("returns", [None, "x", [[0.1]], object()])
def test_what_is_no_series_is_refused(returns: Any) -> None:  # noqa: ANN401
    with pytest.raises(ResultsError, match="returns: expected one number per session, found"):
        series_metrics(returns, periods_per_year=252.0)


@pytest.mark.parametrize(("calendar", "sessions_a_year"), [("24/7", 365), ("XNYS", 252), ("fx_24_5", 260)])
def test_a_year_has_the_sessions_of_the_nav_calendar(
    calendar: str, sessions_a_year: int, make: Make, published: Series
) -> None:
    returns = published["two_years"][0]
    days = [date(2023, 1, 1) + timedelta(days=offset) for offset in range(len(returns))]
    results = make(returns=returns, sessions=days, manifest={"nav_calendar": calendar})
    assert results.metrics.periods_per_year == sessions_a_year
    assert results.metrics["annual_volatility"] == pytest.approx(
        float(np.std(returns, ddof=1)) * math.sqrt(sessions_a_year)
    )
    assert results.performance(periods_per_year=252)["sharpe"] == pytest.approx(1.0113278008938686)


def test_turnover_exposure_and_costs_are_read_off_the_tables(make: Make) -> None:
    # Two sessions at 100 and 120: mean NAV 110. Bought 44, sold 66: half of 110 over 110 is 1.0 in two days.
    history = [
        {
            "is_nav": True,
            "session": date(2024, 1, 1),
            "equity": 100.0,
            "long_value": 50.0,
            "short_value": -30.0,
            "gross_exposure": 80.0,
        },
        {"is_nav": False, "equity": 999.0, "gross_exposure": 999.0},
        {"is_nav": True, "session": date(2024, 1, 2), "equity": 120.0, "gross_exposure": 0.0},
    ]
    fills = [
        {"quantity": 4.0, "price": 11.0, "notional": 44.0, "fee": 1.5, "spread": 0.1, "slippage": 0.2},
        # A contract of multiplier 10, and a rebate.
        {"quantity": 2.0, "price": 3.3, "notional": 66.0, "fee": -0.5, "impact": 0.05},
    ]
    metrics = make(portfolio_history=history, fills=fills, capital=100.0).metrics
    assert metrics["turnover"] == pytest.approx(0.5 * 110 / 110 * 252 / 2)
    assert metrics["exposure"] == pytest.approx((0.8 + 0.0) / 2)
    assert metrics["time_in_market"] == 0.5
    assert metrics["fees"] == 1.0
    assert metrics["slippage_cost"] == pytest.approx(4 * 0.3 + 20 * 0.05)


def test_costs_of_a_real_run_are_those_of_its_fills(real: Results) -> None:
    fills = real.fills
    lost = (fills["quantity"] * (fills["price"] - fills["reference_price"]).abs()).sum()
    assert real.metrics["slippage_cost"] == pytest.approx(lost, rel=1e-9)
    assert real.metrics["fees"] == pytest.approx(real.portfolio_history["fees"][-1], rel=1e-12)
    assert lost > 0


def test_what_has_no_definition_is_nan_and_printed_as_a_dash(make: Make) -> None:
    metrics = make(nav=[100_000.0] * 5).metrics
    for name in ("sharpe", "sortino", "calmar", "profit_factor", "expectancy", "trade_hit_rate"):
        assert math.isnan(metrics[name]), name
    texts = {row.metric.name: row.text for row in metrics.rows()}
    assert texts["sharpe"] == "\N{EN DASH}"
    assert texts["total_return"] == "0.00%"


def test_a_run_without_sessions_has_no_metrics_but_no_error_either(make: Make) -> None:
    results = make()
    assert math.isnan(results.metrics["total_return"])
    assert results.metrics["periods"] == 0
    assert "no session completed" in repr(results)


def test_a_run_that_lost_everything_is_measured_up_to_that_session(make: Make) -> None:
    results = make(nav=[110_000.0, 55_000.0, -5_000.0, -5_000.0, -4_000.0])
    assert results.returns()["return"].is_nan().to_list() == [False, False, False, True, True]
    assert results.metrics["total_return"] == pytest.approx(-1.05)
    assert results.metrics["periods"] == 3
    assert results.metrics["worst"] == pytest.approx(-60_000 / 55_000)
    assert any("Equity was -5,000.00 at the close of 2024-01-03" in note for note in results.warnings)


def test_the_summary_holds_every_metric_with_its_convention(real: Results) -> None:
    summary = real.summary()
    assert dict(zip(summary["name"], summary["value"], strict=True)) == dict(real.metrics)
    assert summary["convention"].str.ends_with(".").all()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.12345, Unit.FRACTION, "12.35%"),
        (-0.00001, Unit.FRACTION, "0.00%"),
        (-1234.5, Unit.MONEY, "-1,234.50"),
        (1.5, Unit.RATIO, "1.500"),
        (12.0, Unit.SESSIONS, "12"),
        (3.14159, Unit.DAYS, "3.1"),
        (math.inf, Unit.RATIO, "\N{INFINITY}"),
        (-math.inf, Unit.RATIO, "-\N{INFINITY}"),
        (math.nan, Unit.MONEY, "\N{EN DASH}"),
    ],
)
def test_a_value_is_printed_by_its_unit(value: float, unit: Unit, text: str) -> None:
    assert format_value(value, unit) == text
