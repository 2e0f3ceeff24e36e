"""`run_backtest`: two arrays, one stop, one target."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import run_backtest
from ml4t.core.errors import ConfigError, DataError

Made = Any
SEED = 8


def by_hand(prices: Made, sides: Made, stop: float, target: float, cash: float) -> tuple[float, int]:
    """The same rules over a list of prices, all of equity at each entry, in fractions that do not round."""
    money, held, entry, wanted, trades = Fraction(cash), Fraction(0), Fraction(0), 0, 0
    exact = [Fraction(str(price)) for price in prices]
    pending: tuple[int, Fraction] | None = None
    for now, price in enumerate(exact):
        if held:
            # Stops are older than the orders of the last price.
            change = (price - entry) / entry * (1 if held > 0 else -1)
            if change <= -Fraction(str(stop)) or change >= Fraction(str(target)):
                money += held * price
                held, trades = Fraction(0), trades + 1
        if pending is not None:
            side, size = pending
            if held and side * held <= 0:
                money += held * price
                held, trades = Fraction(0), trades + 1
            if side and not held:
                held, entry = side * size, price
                money -= held * price
            pending = None
        before = sides[now - 1] if now else 0
        if sides[now] != before:
            wanted = int(sides[now])
            equity = money + held * price
            pending = (wanted, Fraction(int(equity / price * 10**6), 10**6) if wanted else Fraction(0))
    return float(money + held * exact[-1]), trades


@pytest.mark.parametrize("seed", range(SEED, SEED + 12))
def test_it_does_what_a_loop_over_prices_does(seed: int) -> None:
    print(f"seed {seed}")
    dice = np.random.default_rng(seed)
    prices = np.round(100.0 * np.exp(np.cumsum(dice.normal(0.0, 0.02, 300))), 2)
    sides = np.repeat(dice.choice([-1, 0, 1], 50), 6)
    # Costs nothing and may borrow, so that an entry at a worse price than it was sized at is not cut.
    free = {
        "broker": {"allows_short": True, "buying_power": "unlimited", "policies": {"zero_volume": "fill"}}
    }
    found = run_backtest(prices, sides, 0.03, 0.05, config=free)
    equity, trades = by_hand(prices, sides, 0.03, 0.05, 100_000.0)
    assert found.trades == trades > 10
    assert found.final_equity == pytest.approx(equity, rel=1e-12)
    assert found["total_return"] == pytest.approx(equity / 100_000.0 - 1.0, rel=1e-9)


@pytest.mark.parametrize(
    "config",
    [
        {"broker": {"initial_cash": 50_000}},
        {"backtest": {"native": "never"}},
        {"broker": {"commission_model": {"type": "PerShare", "fee": 0.005, "minimum": 1.0}}},
        {"broker": {"policies": {"stop_gap": "at_stop"}}},
    ],
)
def test_a_configuration_of_a_part_leaves_the_rest_as_it_is(config: dict[str, Any]) -> None:
    prices = 100.0 + 10.0 * np.sin(np.arange(200) / 7.0)
    sides = np.where(np.arange(200) // 15 % 2 == 0, 1, -1)
    assert run_backtest(prices, sides, config=config).trades == run_backtest(prices, sides).trades == 13


def test_a_year_has_252_prices_and_the_scale_of_prices_does_not_matter() -> None:
    prices = np.linspace(100.0, 110.0, 253)
    found = run_backtest(prices, np.ones(253))
    assert found.annual_return == pytest.approx((1.0 + found.total_return) ** (252 / 253) - 1.0, rel=0.01)
    returns = found.results.returns()["return"].to_numpy()
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252), rel=1e-9)
    dear = run_backtest(prices * 3_000.0, np.ones(253))
    assert dear.total_return == pytest.approx(found.total_return, rel=1e-5)


def test_what_is_flat_trades_nothing_and_has_no_sharpe_ratio() -> None:
    found = run_backtest([10.0, 11.0, 12.0], [0, 0, 0])
    assert (found.trades, found.final_equity, found.total_return) == (0, 100_000.0, 0.0)
    assert np.isnan(found.sharpe)


def test_stop_and_target_may_be_left_out_and_each_has_its_tag() -> None:
    rising = np.linspace(100.0, 130.0, 31)
    tags = {
        (None, None): ["", ""],
        (None, 0.1): ["", "take_profit"],
        (0.1, None): ["", ""],
    }
    sides = np.r_[np.ones(30), 0]
    for (stop, target), expected in tags.items():
        orders = run_backtest(rising, sides, stop, target, weight=0.5).results.orders
        assert orders.filter(orders["status"] == "filled")["tag"].to_list() == expected[: 2 if target else 1]


@pytest.mark.parametrize(
    ("prices", "signals", "message"),
    [
        ([1.0, 2.0], [1], r"signals: expected one dimension and at least 2 numbers, found shape \(1,\)"),
        ([1.0, 2.0, 3.0], [1, 0], "prices has 3 numbers and signals 2"),
        ([1.0, float("nan")], [1, 0], r"prices\[1\] is nan; expected a finite price above 0"),
        ([1.0, -2.0], [1, 0], r"prices\[1\] is -2\.0; expected a finite price above 0"),
        ([1.0, 2.0], [1, 2], r"signals\[1\] is 2\.0; expected 1 for long, -1 for short or 0 for flat"),
        ([[1.0, 2.0]], [1, 2], r"prices: expected one dimension .* found shape \(1, 2\)"),
        (["a", "b"], [1, 0], "prices: expected an array of numbers, found list"),
    ],
)
def test_what_is_no_price_and_no_side_is_refused(prices: Made, signals: Made, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run_backtest(prices, signals)


def test_levels_are_fractions_and_names_are_known() -> None:
    with pytest.raises(ConfigError, match="pct is a fraction"):
        run_backtest([1.0, 2.0], [1, 0], stop_loss=2)
    with pytest.raises(KeyError, match="sharp"):
        run_backtest([1.0, 2.0], [1, 0])["sharp"]
