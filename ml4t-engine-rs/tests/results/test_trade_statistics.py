"""Statistics of round trips."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml4t.backtest import Results

Make = Callable[..., Results]


def trips(*results: float) -> list[dict[str, Any]]:
    """Return round trips with these net results, one a day; every third is short."""
    return [
        {
            "symbol": "IBM",
            "direction": "short" if number % 3 == 2 else "long",
            "net_pnl": result,
            "fees": 1.0,
            "slippage_cost": 0.5,
            "return": result / 1000.0,
            "duration_ns": (number + 1) * 86_400_000_000_000,
            "ts_exit": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number),
        }
        for number, result in enumerate(results)
    ]


def test_statistics_of_a_hand_made_table(make: Make) -> None:
    found = make(nav=[100_000.0], round_trips=trips(100.0, 50.0, -30.0, -20.0, 0.0, 10.0)).trade_statistics
    together = {name: row["all"] for name, row in found.items()}
    assert together == pytest.approx(
        {
            "trades": 6.0,
            "winners": 3.0,
            "losers": 2.0,
            "hit_rate": 3 / 5,
            "net_pnl": 110.0,
            "profit_factor": 160 / 50,
            "expectancy": 110 / 6,
            "expectancy_return": 0.11 / 6,
            "average_win": 160 / 3,
            "average_loss": -25.0,
            "payoff_ratio": 160 / 3 / 25,
            "largest_win": 100.0,
            "largest_loss": -30.0,
            "longest_winning_streak": 2.0,
            "longest_losing_streak": 2.0,
            "average_duration": 3.5,
            "fees": 6.0,
            "slippage_cost": 3.0,
        }
    )
    assert (found["trades"]["long"], found["trades"]["short"]) == (4.0, 2.0)
    assert (found["net_pnl"]["long"], found["net_pnl"]["short"]) == (130.0, -20.0)


def test_streaks_follow_the_time_of_exit_and_not_the_order_of_rows(make: Make) -> None:
    rows = trips(1.0, 1.0, 1.0, -1.0)
    shuffled = [rows[1], rows[3], rows[0], rows[2]]
    assert make(nav=[1.0], round_trips=shuffled).trade_statistics["longest_winning_streak"]["all"] == 3.0


def test_without_trades_sums_are_zero_and_means_undefined(make: Make) -> None:
    found = make(nav=[1.0]).trade_statistics
    assert found["trades"]["all"] == found["net_pnl"]["all"] == found["fees"]["all"] == 0.0
    for name in (
        "hit_rate",
        "profit_factor",
        "expectancy",
        "average_win",
        "largest_loss",
        "average_duration",
    ):
        assert math.isnan(found[name]["all"]), name


def test_a_profit_factor_without_a_loss_is_undefined_and_not_infinite(make: Make) -> None:
    found = make(nav=[1.0], round_trips=trips(1.0, 2.0)).trade_statistics
    assert math.isnan(found["profit_factor"]["all"]) and math.isnan(found["payoff_ratio"]["all"])
    assert found["hit_rate"]["all"] == 1.0


def test_long_and_short_add_up_to_all_on_a_real_run(real: Results) -> None:
    found = real.trade_statistics
    for name in ("trades", "winners", "losers", "net_pnl", "fees", "slippage_cost"):
        row = found[name]
        assert row["long"] + row["short"] == pytest.approx(row["all"])
    assert found["trades"]["all"] == real.trades.height > 0
    assert found["net_pnl"]["all"] == pytest.approx(
        real.trades["gross_pnl"].sum() - real.trades["fees"].sum()
    )


def test_the_table_form_has_a_row_per_statistic_with_its_convention(real: Results) -> None:
    frame = real.trade_statistics.to_frame()
    assert frame["statistic"].to_list() == list(real.trade_statistics)
    assert frame["convention"].str.ends_with(".").all()
    assert frame["all"].to_list() == [row["all"] for row in real.trade_statistics.values()]
