"""What the optimal trajectory refuses: arguments of no meaning, and answers that no number holds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ml4t.core.errors import ConfigError
from ml4t.impact import AlmgrenChriss, optimal_trajectory, trajectory_of

COSTS = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)


def planned(quantity: Any = 1e6, **changes: Any) -> object:  # noqa: ANN401 - also what is none of it
    given = {"costs": COSTS, "volatility": 0.95, "periods": 5, "risk_aversion": 2e-6, **changes}
    return optimal_trajectory(quantity, **given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"costs": "x"}, "costs: expected an AlmgrenChriss; found 'x'"),
        ({"costs": None}, "costs: expected an AlmgrenChriss; found None"),
        ({"quantity": "1e6"}, "quantity: expected a number; found '1e6'"),
        ({"quantity": None}, "quantity: expected a number; found None"),
        ({"volatility": "x"}, "volatility: expected a number; found 'x'"),
        ({"risk_aversion": "x"}, "risk_aversion: expected a number; found 'x'"),
        ({"periods": "5"}, "periods: expected a whole number of 1 or more; found '5'"),
    ],
)
def test_an_argument_of_another_type_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        planned(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # gamma X^2 / 2 = 1.25e-7 x 1e600.
        ({"quantity": 1e300}, "quantity: mean inf and variance inf of the cost are too large for a number"),
        # Even trades: (0.8^2 + 0.6^2 + 0.4^2 + 0.2^2) X^2 = 1.2e306. The mean, some 1e-7 X^2, holds, and the
        # variance, 1e4 times as much, does not.
        (
            {"quantity": 1e153, "volatility": 100.0, "risk_aversion": 0.0, "periods": 5},
            "and variance inf of the cost are too large for a number",
        ),
        # The squares are 1.08e308, 0.61e308 and 0.27e308, and only their sum is beyond 1.8e308.
        (
            {"quantity": 1.3e154, "volatility": 1.0, "risk_aversion": 0.0, "periods": 5},
            "and variance inf of the cost are too large for a number",
        ),
        (
            {"risk_aversion": 1e300, "volatility": 1e20},
            "risk_aversion: is so large that the urgency is beyond all numbers; take it or volatility nearer "
            "to 0; found 1e+300",
        ),
    ],
)
def test_an_answer_that_is_not_finite_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        planned(**changes)


@pytest.mark.parametrize(
    ("trades", "message"),
    [
        ([1.0, "x"], "trades[1]: expected a number; found 'x'"),
        ([float("inf"), float("-inf")], "trades[0]: expected a finite number of units; found inf"),
        ([1e308, 1e308], "quantity: expected units to trade, above 0 in all; found inf"),
        ([1e200], "trades: mean inf and variance 0.0 of the cost are too large for a number"),
    ],
)
def test_trades_that_cannot_be_priced_are_refused(trades: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        trajectory_of(trades, costs=COSTS, volatility=0.95)


def test_numbers_of_numpy_are_numbers() -> None:
    assert planned(np.int64(1_000_000), volatility=np.float64(0.95)) == planned()
    assert trajectory_of(np.array([1.0, 2.0]), costs=COSTS, volatility=0.95).holdings == (3.0, 2.0, 0.0)
