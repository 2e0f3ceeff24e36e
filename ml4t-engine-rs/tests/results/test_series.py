"""Series read off the NAVs: returns, drawdowns, rolling metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Results
from ml4t.core.errors import ResultsError, UnknownNameError

Make = Callable[..., Results]


def test_the_first_return_is_taken_from_the_initial_capital(make: Make) -> None:
    results = make(nav=[101_000.0, 99_990.0])
    assert results.initial_capital == 100_000.0
    assert results.returns()["return"].to_list() == pytest.approx([0.01, -0.01])


def test_only_rows_at_a_close_are_net_asset_values(make: Make) -> None:
    close = {"ts_event": datetime(2024, 1, 2, 21, tzinfo=UTC), "session": date(2024, 1, 2), "is_nav": True}
    history = [
        {"ts_event": datetime(2024, 1, 2, 16, tzinfo=UTC), "is_nav": False, "equity": 90.0},
        {**close, "equity": 110.0},
    ]
    results = make(portfolio_history=history, capital=100.0)
    assert results.equity["equity"].to_list() == [90.0, 110.0]
    assert results.nav["nav"].to_list() == [110.0]
    assert results.returns()["return"].to_list() == pytest.approx([0.1])


def test_several_books_start_with_the_sum_of_their_deposits(make: Make) -> None:
    deposits = [
        {"kind": "deposit", "debit": "cash", "credit": "capital", "book": book, "amount": Decimal(amount)}
        for book, amount in ((0, "60000.5"), (1, "40000.25"))
    ]
    assert make(nav=[100_000.0], ledger=deposits).initial_capital == 100_000.75


def test_returns_leave_a_later_deposit_out(make: Make) -> None:
    """100 become 110 before 90 are paid in, the 200 then 220: 10 % twice, one NAV."""
    noon, paid = datetime(2024, 1, 2, 12, tzinfo=UTC), Decimal(90)
    flow = {"ts_event": noon, "amount": paid, "value": paid, "equity": Decimal(110)}
    found = make(nav=[100.0, 220.0], capital=100.0, cash_flows=[flow]).returns()
    assert found["return"].to_list() == pytest.approx([0.0, 0.21])


@pytest.mark.parametrize("every", ["week", "month", "quarter", "year"])
def test_coarser_returns_compound_to_the_same_total(every: str, real: Results) -> None:
    coarse = real.returns(every)
    assert coarse["session"].is_sorted() and coarse.height < real.nav.height
    assert (1.0 + coarse["return"]).product() - 1.0 == pytest.approx(real.metrics["total_return"], rel=1e-12)
    assert coarse["session"][-1] == real.nav["session"][-1]


def test_a_month_runs_from_the_last_session_of_the_month_before(make: Make) -> None:
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 29), date(2024, 3, 1)]
    results = make(nav=[100_000.0, 110_000.0, 99_000.0, 121_000.0, 60_500.0], sessions=days)
    monthly = results.returns("month")
    assert monthly["session"].to_list() == [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 1)]
    assert monthly["return"].to_list() == pytest.approx([0.1, 0.1, -0.5])


def test_an_unknown_sampling_lists_the_known_ones(make: Make) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown sampling 'monthly'; .*did you mean 'month'"):
        make(nav=[1.0]).returns("monthly")


def test_drawdowns_run_from_peak_to_recovery_or_end(make: Make) -> None:
    # Below the capital at once, back on day 3; a short one; one that never ends.
    nav = [95_000.0, 90_000.0, 100_000.0, 120_000.0, 119_000.0, 120_000.0, 60_000.0, 90_000.0]
    results = make(nav=nav)
    day = results.nav["session"].to_list()
    assert results.drawdowns()["drawdown"].to_list() == pytest.approx(
        [-0.05, -0.1, 0.0, 0.0, -1 / 120, 0.0, -0.5, -0.25]
    )
    assert results.drawdown_periods().rows() == [
        (day[5], day[6], None, pytest.approx(-0.5), 2),
        (None, day[1], day[2], pytest.approx(-0.1), 3),
        (day[3], day[4], day[5], pytest.approx(-1 / 120), 2),
    ]


def test_a_run_that_only_rises_has_no_drawdown(make: Make) -> None:
    assert make(nav=[100_000.0, 101_000.0, 101_000.0]).drawdown_periods().is_empty()


def test_the_tables_of_drawdowns_agree_with_the_metrics(real: Results) -> None:
    periods = real.drawdown_periods()
    assert periods["depth"][0] == pytest.approx(real.metrics["max_drawdown"], rel=1e-12)
    assert real.drawdowns()["drawdown"].min() == periods["depth"][0]
    assert periods["length"][0] == real.metrics["max_drawdown_length"]
    assert periods["length"].max() == real.metrics["longest_drawdown_length"]


def test_rolling_metrics_are_the_metrics_of_each_window(real: Results) -> None:
    rolling = real.rolling(252)
    returns = real.returns()
    assert rolling.height == returns.height - 251
    for row in (0, 1000, -1):
        end = returns["session"].to_list().index(rolling["session"][row]) + 1
        window = returns["return"][end - 252 : end]
        assert rolling["annual_volatility"][row] == pytest.approx(window.std() * math.sqrt(252), rel=1e-9)
        if window.std() > 0:
            sharpe = window.mean() / window.std() * math.sqrt(252)
            assert rolling["sharpe"][row] == pytest.approx(sharpe, rel=1e-9)


def test_rolling_metrics_of_a_short_run_are_an_empty_table(make: Make) -> None:
    rolling = make(nav=[1.0, 2.0]).rolling(126)
    assert rolling.is_empty()
    assert rolling.schema == {"session": pl.Date, "annual_volatility": pl.Float64, "sharpe": pl.Float64}


@pytest.mark.parametrize("window", [1, 2.5, "5", None])
def test_a_window_that_is_no_number_of_sessions_is_refused(make: Make, window: Any) -> None:  # noqa: ANN401
    with pytest.raises(ResultsError, match=f"window is {window!r}; expected a whole number"):
        make(nav=[1.0, 2.0]).rolling(window)
