"""Optimal trajectories against the example of Almgren and Chriss, and what must hold for any."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError
from ml4t.core.models import ImpactArgs
from ml4t.impact import AlmgrenChriss, Trajectory, optimal_trajectory, trajectory_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# The example of Almgren and Chriss (2000): a stock at 50 with a daily volume of 5 million and a spread of
# 1/8, a million shares in five days. gamma is the spread over a tenth of the volume, eta the spread over a
# hundredth.
COSTS = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
PRICE = 50.0


def plan(risk_aversion: float, **more: Any) -> Trajectory:  # noqa: ANN401
    given = {"costs": COSTS, "volatility": 0.95, "periods": 5, **more}
    return optimal_trajectory(given.pop("quantity", 1e6), risk_aversion=risk_aversion, **given)


# Recomputed from the formulas of the paper, independently of this code.
@pytest.mark.parametrize(
    ("risk_aversion", "kappa", "time_scale", "cost", "variance"),
    [
        (2e-6, 0.8462971345012562, 1.181618085697, 1_140_715.167, 201_931_287_150.5),
        (1e-6, 0.6070761632470627, 1.647239770791, 911_226.986, 364_128_572_058.1),
        (-2e-7, 0.2765615143805271, 3.615832095221, 717_958.104, 1_584_210_709_653.4),
    ],
)
def test_the_example_of_the_paper(
    risk_aversion: float, kappa: float, time_scale: float, cost: float, variance: float
) -> None:
    found = plan(risk_aversion)
    assert found.kappa == pytest.approx(kappa, rel=1e-9)
    assert found.time_scale == pytest.approx(time_scale, rel=1e-9)
    assert found.expected_cost == pytest.approx(cost, rel=1e-9)
    assert found.variance == pytest.approx(variance, rel=1e-9)


# The DROP project's log of the same example, "EfficientFrontierNoDrift": lambda in units of 1e-6, mean of
# the cost in millions, its variance in 1e12, mean + lambda x variance, and 1 / kappa.
@pytest.mark.parametrize(
    ("risk_aversion", "cost", "variance", "penalty", "time_scale"),
    [
        (0.001, 0.6625, 1.0812, 0.6636, 51.30),
        (0.002, 0.6625, 1.0794, 0.6647, 36.27),
        (0.003, 0.6625, 1.0776, 0.6657, 29.62),
        (0.004, 0.6625, 1.0758, 0.6668, 25.65),
        (0.005, 0.6625, 1.0740, 0.6679, 22.94),
        (0.006, 0.6625, 1.0722, 0.6690, 20.94),
        (0.007, 0.6625, 1.0704, 0.6700, 19.39),
        (0.008, 0.6626, 1.0687, 0.6711, 18.14),
        (0.009, 0.6626, 1.0669, 0.6722, 17.10),
        (0.250, 0.6996, 0.7513, 0.8875, 3.26),
        (0.500, 0.7681, 0.5634, 1.0498, 2.31),
        (0.750, 0.8412, 0.4448, 1.1748, 1.89),
        (1.000, 0.9112, 0.3641, 1.2754, 1.65),
        (1.250, 0.9761, 0.3061, 1.3588, 1.48),
        (1.500, 1.0358, 0.2626, 1.4296, 1.35),
        (1.750, 1.0904, 0.2288, 1.4909, 1.26),
        (2.000, 1.1407, 0.2019, 1.5446, 1.18),
        (2.250, 1.1871, 0.1801, 1.5922, 1.12),
        (2.500, 1.2300, 0.1620, 1.6349, 1.06),
        (2.750, 1.2699, 0.1468, 1.6735, 1.02),
        (3.000, 1.3071, 0.1338, 1.7085, 0.98),
        (3.250, 1.3418, 0.1227, 1.7405, 0.94),
        (3.500, 1.3745, 0.1130, 1.7700, 0.91),
        (3.750, 1.4052, 0.1045, 1.7971, 0.88),
        (4.000, 1.4341, 0.0970, 1.8223, 0.86),
    ],
)
def test_the_efficient_frontier_as_it_was_printed(
    risk_aversion: float, cost: float, variance: float, penalty: float, time_scale: float
) -> None:
    found = plan(risk_aversion * 1e-6)
    assert found.expected_cost / 1e6 == pytest.approx(cost, abs=0.00005)
    assert found.variance / 1e12 == pytest.approx(variance, abs=0.00005)
    both = found.expected_cost + risk_aversion * 1e-6 * found.variance
    assert both / 1e6 == pytest.approx(penalty, abs=0.00005)
    assert found.time_scale == pytest.approx(time_scale, abs=0.005)


def test_the_smallest_kappa_keeps_its_digits() -> None:
    assert plan(1e-9).kappa == pytest.approx(0.0194932800543198, rel=1e-9)
    assert plan(1e-9).expected_cost == pytest.approx(662_500.90, abs=0.005)
    assert plan(1e-9).variance == pytest.approx(1.0812e12, rel=1e-4)


# Recomputed, as above.
@pytest.mark.parametrize(
    ("risk_aversion", "holdings"),
    [
        (2e-6, (428_598.846, 182_932.814, 76_295.722, 27_643.377)),
        (1e-6, (541_955.554, 289_854.219, 147_897.488, 62_141.802)),
        (-2e-7, (910_056.437, 750_948.585, 534_768.640, 277_946.279)),
    ],
)
def test_the_holdings_of_the_example(risk_aversion: float, holdings: Sequence[float]) -> None:
    found = plan(risk_aversion).holdings
    assert (found[0], found[-1]) == (1e6, 0.0)
    assert found[1:-1] == pytest.approx(holdings, abs=0.0005)


def test_without_risk_aversion_trades_are_even() -> None:
    found = plan(0.0)
    assert found.trades == pytest.approx([2e5] * 5, rel=1e-12)
    assert (found.kappa, found.time_scale) == (0.0, math.inf)
    assert found.expected_cost == pytest.approx(662_500.000, rel=1e-9)
    assert found.variance == pytest.approx(1.083e12, rel=1e-9)


def test_all_at_once_costs_most_and_risks_nothing() -> None:
    found = trajectory_of([1e6, 0, 0, 0, 0], costs=COSTS, volatility=0.95)
    assert found.expected_cost == pytest.approx(2_562_500, rel=1e-9)
    assert found.variance == 0.0


# L-VaR at 95 %, E + 1.645 sqrt(V), recomputed.
@pytest.mark.parametrize(
    ("risk_aversion", "expected"), [(0.0, 2_374_406.853), (1e-6, 1_903_870.436), (2e-6, 1_879_924.955)]
)
def test_the_liquidity_adjusted_value_at_risk(risk_aversion: float, expected: float) -> None:
    assert plan(risk_aversion).cost_at_risk(1.645) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("risk_aversion", [2e-6, 1e-6, 0.0, -2e-7])
def test_the_model_charges_step_by_step_what_the_trajectory_expects(risk_aversion: float) -> None:
    # A sale on a price that does not move by itself: each fill at the price so far less its temporary
    # impact, the permanent one taken from the price of the next.
    found = plan(risk_aversion)
    displaced = proceeds = 0.0
    for trade in found.trades:
        out = COSTS.evaluate(ImpactArgs(ts_ns=0, side=-1, quantity=trade, reference_price=PRICE))
        proceeds += trade * (PRICE - displaced - out.temporary)
        displaced += out.permanent
    assert 1e6 * PRICE - proceeds == pytest.approx(found.expected_cost, abs=0.005)


@given(
    quantity=st.floats(1, 1e9),
    risk_aversion=st.floats(0, 1e-4),
    periods=st.integers(1, 200),
    tau=st.floats(0.01, 10),
)
def test_a_trajectory_falls_from_all_to_nothing_and_ever_more_slowly(
    quantity: float, risk_aversion: float, periods: int, tau: float
) -> None:
    costs = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625, tau=tau)
    found = plan(risk_aversion, quantity=quantity, periods=periods, costs=costs)
    assert math.fsum(found.trades) == pytest.approx(quantity, rel=1e-9)
    slack = 1e-9 * quantity
    assert all(later <= earlier + slack for earlier, later in pairwise(found.holdings))
    assert all(later <= earlier + slack for earlier, later in pairwise(found.trades))
    again = trajectory_of(found.trades, costs=costs, volatility=0.95)
    assert again.expected_cost == pytest.approx(found.expected_cost, rel=1e-9)
    assert again.variance == pytest.approx(found.variance, rel=1e-6, abs=1e-6 * quantity * quantity)


@given(first=st.floats(1e-9, 1e-5), factor=st.floats(1.01, 10))
def test_less_risk_aversion_costs_less_and_risks_more(first: float, factor: float) -> None:
    calm, eager = plan(first), plan(first * factor)
    assert calm.expected_cost < eager.expected_cost
    assert calm.variance > eager.variance


@given(quantity=st.floats(1e-3, 1e12), risk_aversion=st.sampled_from([-2e-7, 0.0, 1e-7, 2e-6]))
def test_the_shape_does_not_depend_on_the_quantity(quantity: float, risk_aversion: float) -> None:
    shape = [each / quantity for each in plan(risk_aversion, quantity=quantity).holdings]
    assert shape == pytest.approx([each / 1e6 for each in plan(risk_aversion).holdings], rel=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_of_no_risk_aversion_is_the_even_trajectory(sign: int) -> None:
    assert plan(sign * 1e-18).holdings == pytest.approx(plan(0.0).holdings, rel=1e-9)


@given(
    risk_aversion=st.floats(1e-9, 1e-5),
    period=st.integers(1, 4),
    shift=st.floats(-0.2, 0.2),
)
def test_no_other_schedule_does_better(risk_aversion: float, period: int, shift: float) -> None:
    assume(abs(shift) > 1e-3)
    best = plan(risk_aversion)
    trades = list(best.trades)
    trades[period - 1] += shift * 1e6
    trades[period] -= shift * 1e6
    other = trajectory_of(trades, costs=COSTS, volatility=0.95)
    # The fixed cost of trades to and fro is no part of what is minimized.
    extra = COSTS.epsilon * (math.fsum(map(abs, trades)) - 1e6)
    assert other.expected_cost - extra + risk_aversion * other.variance > (
        best.expected_cost + risk_aversion * best.variance
    )


def test_an_urgency_beyond_the_range_of_floats_trades_at_once() -> None:
    found = plan(1e300)
    assert found.trades == pytest.approx([1e6, 0, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": 0.0}, r"quantity: expected units to trade, above 0 in all; found 0\.0"),
        ({"quantity": math.nan}, r"quantity: .* found nan"),
        ({"volatility": -1.0}, r"volatility: expected a number of 0 or more; found -1\.0"),
        ({"periods": 0}, r"periods: expected a whole number of 1 or more; found 0"),
        ({"periods": 2.5}, r"periods: .* found 2\.5"),
        (
            {"costs": AlmgrenChriss(gamma=1e-5, eta=2e-6)},
            r"costs\.eta: expected more than gamma x tau / 2 = 5e-06",
        ),
        ({"periods": 60}, r"risk_aversion: seeks so much risk that no trajectory is optimal"),
    ],
)
def test_an_argument_without_meaning_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(-2e-7, **change)


@pytest.mark.parametrize("risk_aversion", [-1.0, math.inf, math.nan])
def test_a_risk_aversion_without_an_optimum_is_refused(risk_aversion: float) -> None:
    with pytest.raises(ConfigError, match=r"risk_aversion: "):
        plan(risk_aversion)
