"""Optimal execution against linear impact, after Almgren and Chriss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from numbers import Real

import attrs

from ml4t.core.errors import ConfigError, Finding
from ml4t.impact.almgren_chriss import AlmgrenChriss

__all__ = ["Trajectory", "optimal_trajectory", "trajectory_of"]


@attrs.frozen(kw_only=True)
class Trajectory:
    """A quantity worked off in equal periods, with the mean and variance of what it costs.

    Parameters
    ----------
    holdings : tuple of float
        What is left before the first period and after each, in units; ends with 0.
    trades : tuple of float
        What is traded in each period.
    expected_cost : float
        Mean of the cost against the price at the beginning, in money.
    variance : float
        Its variance, in money squared.
    kappa : float
        Urgency of an optimal trajectory, per unit of time; 0 for an even one, and for one that was given.
        Where risk is sought it is the frequency of the sine.
    """

    holdings: tuple[float, ...]
    trades: tuple[float, ...]
    expected_cost: float
    variance: float
    kappa: float = 0.0

    @property
    def time_scale(self) -> float:
        """Time in which the holdings fall by a factor e if there is time enough: 1 / kappa."""
        return 1.0 / self.kappa if self.kappa > 0.0 else math.inf

    def cost_at_risk(self, z: float) -> float:
        """Return the cost that is not exceeded with the probability of z standard deviations.

        The liquidity-adjusted value at risk of the paper: `E + z sqrt(V)`; z = 1.645 stands for 95 %.
        """
        return self.expected_cost + z * math.sqrt(self.variance)


def optimal_trajectory(
    quantity: float, *, costs: AlmgrenChriss, volatility: float, periods: int, risk_aversion: float
) -> Trajectory:
    """Return the trades that minimize mean + risk_aversion x variance of the cost of working off a quantity.

    Parameters
    ----------
    quantity : float
        Units to trade, above 0. Buys and sells cost the same.
    costs : AlmgrenChriss
        Impact; its `tau` is the length of a period.
    volatility : float
        Of the price per root of a unit of time, in money per unit, 0 or more: not a fraction.
    periods : int
        Number of trades, 1 or more.
    risk_aversion : float
        Lambda, per money. 0 trades evenly; above 0 early, to be rid of the risk; below 0 risk is sought, and
        trades come late.

    Returns
    -------
    Trajectory

    Raises
    ------
    ConfigError
        If an argument is out of its range, if `eta <= gamma * tau / 2`, for which the cost of a period falls
        with its trade, if risk is sought so much that no trajectory is optimal, or if the cost or the urgency
        is too large for a number.

    Notes
    -----
    Source: Almgren and Chriss (2000), "Optimal execution of portfolio transactions", J. Risk 3(2), sections
    "Linear impact functions" and "Explicit construction of optimal strategies": with eta~ = eta - gamma tau
    / 2 and kappa~^2 = lambda sigma^2 / eta~::

        2 / tau^2 (cosh(kappa tau) - 1) = kappa~^2
        x_j = X sinh(kappa (T - t_j)) / sinh(kappa T)
        E = gamma X^2 / 2 + epsilon sum |n| + eta~ / tau sum n^2
        V = sigma^2 tau sum x_j^2

    Cosh and sinh become cos and sin for lambda below 0. kappa is computed as 2 / tau asinh(kappa~ tau / 2),
    which is the same and keeps its digits where kappa is small.

    Examples
    --------
    >>> from ml4t.impact import AlmgrenChriss
    >>> costs = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
    >>> plan = optimal_trajectory(1e6, costs=costs, volatility=0.95, periods=5, risk_aversion=2e-6)
    >>> [round(each) for each in plan.holdings]
    [1000000, 428599, 182933, 76296, 27643, 0]
    >>> round(plan.expected_cost)
    1140715
    """
    _check(quantity=quantity, costs=costs, volatility=volatility, periods=periods)
    _check_number(risk_aversion, path="risk_aversion")
    if not math.isfinite(risk_aversion):
        raise _fault(risk_aversion, path="risk_aversion", message="expected a finite number")
    kappa_tau, shape = _urgency(costs, volatility, risk_aversion)
    if risk_aversion > 0.0 and not math.isfinite(kappa_tau):
        message = "is so large that the urgency is beyond all numbers; take it or volatility nearer to 0"
        raise _fault(risk_aversion, path="risk_aversion", message=message)
    if risk_aversion < 0.0 and kappa_tau * periods >= math.pi:
        message = (
            "seeks so much risk that no trajectory is optimal: kappa x duration has to be below pi and is "
            f"{kappa_tau * periods:g}; take it nearer to 0, or fewer periods"
        )
        raise _fault(risk_aversion, path="risk_aversion", message=message)
    left = [quantity * shape(periods - j, periods) for j in range(1, periods)]
    holdings = (quantity, *left, 0.0)
    trades = tuple(before - after for before, after in pairwise(holdings))
    plan = _costed(holdings, trades, costs, volatility, path="quantity")
    return attrs.evolve(plan, kappa=kappa_tau / costs.tau)


def trajectory_of(trades: Sequence[float], *, costs: AlmgrenChriss, volatility: float) -> Trajectory:
    """Return what given trades cost, one a period: mean and variance as in `optimal_trajectory`.

    Parameters
    ----------
    trades : sequence of float
        Units traded in each period; their sum is above 0. One may be below 0, against the others.
    costs : AlmgrenChriss
        Impact; its `tau` is the length of a period.
    volatility : float
        Of the price per root of a unit of time, in money per unit, 0 or more.

    Raises
    ------
    ConfigError
        If an argument is out of its range, or the cost is too large for a number.

    Examples
    --------
    >>> from ml4t.impact import AlmgrenChriss
    >>> costs = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
    >>> at_once = trajectory_of([1e6, 0, 0, 0, 0], costs=costs, volatility=0.95)
    >>> round(at_once.expected_cost), at_once.variance
    (2562500, 0.0)
    """
    for index, trade in enumerate(trades):
        _check_number(trade, path=f"trades[{index}]")
        if not math.isfinite(trade):
            raise _fault(trade, path=f"trades[{index}]", message="expected a finite number of units")
    given = tuple(float(trade) for trade in trades)
    _check(quantity=_sum(given), costs=costs, volatility=volatility, periods=len(given))
    sold = list(accumulate(given))
    holdings = (sold[-1], *(sold[-1] - part for part in sold[:-1]), 0.0)
    return _costed(holdings, given, costs, volatility, path="trades")


def _check_number(found: object, *, path: str) -> None:
    if not isinstance(found, Real):
        raise _fault(found, path=path, message="expected a number")


def _check(*, quantity: float, costs: AlmgrenChriss, volatility: float, periods: int) -> None:
    """Refuse what has no meaning."""
    model: object = costs
    if not isinstance(model, AlmgrenChriss):
        raise _fault(costs, path="costs", message="expected an AlmgrenChriss")
    _check_number(quantity, path="quantity")
    _check_number(volatility, path="volatility")
    if not 0.0 < quantity < math.inf:
        raise _fault(quantity, path="quantity", message="expected units to trade, above 0 in all")
    if not 0.0 <= volatility < math.inf:
        raise _fault(volatility, path="volatility", message="expected a number of 0 or more")
    if type(periods) is not int or periods < 1:
        raise _fault(periods, path="periods", message="expected a whole number of 1 or more")
    if not _eta_tilde(costs) > 0.0:
        bound = costs.gamma * costs.tau / 2.0
        message = (
            f"expected more than gamma x tau / 2 = {bound:g}, or a larger trade would cost a period less"
        )
        raise _fault(costs.eta, path="costs.eta", message=message)


def _fault(found: object, *, path: str, message: str) -> ConfigError:
    return ConfigError(Finding(path=path, message=f"{message}; found {found!r}", found=repr(found)))


def _eta_tilde(costs: AlmgrenChriss) -> float:
    return costs.eta - costs.gamma * costs.tau / 2.0


def _urgency(
    costs: AlmgrenChriss, volatility: float, risk_aversion: float
) -> tuple[float, Callable[[int, int], float]]:
    """Return kappa x tau, and the fraction that is left `k` periods before the end of `n`."""
    half = math.sqrt(abs(risk_aversion) * volatility * volatility / _eta_tilde(costs)) * costs.tau / 2.0
    if half == 0.0:
        return 0.0, lambda k, n: k / n
    if risk_aversion > 0.0:
        kappa_tau = 2.0 * math.asinh(half)
        # sinh(a) / sinh(b) without the overflow of either.
        return (
            kappa_tau,
            lambda k, n: (
                math.exp((k - n) * kappa_tau)
                * math.expm1(-2.0 * k * kappa_tau)
                / math.expm1(-2.0 * n * kappa_tau)
            ),
        )
    angle = 2.0 * math.asin(half) if half <= 1.0 else math.inf
    return angle, lambda k, n: math.sin(k * angle) / math.sin(n * angle)


def _sum(numbers: Sequence[float]) -> float:
    """Return the sum, rounded once; infinite where it is too large for a number."""
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.inf


def _costed(
    holdings: tuple[float, ...],
    trades: tuple[float, ...],
    costs: AlmgrenChriss,
    volatility: float,
    *,
    path: str,
) -> Trajectory:
    """Return the trajectory with the mean and the variance of its cost; `path` is what decides them."""
    quantity = holdings[0]
    mean = costs.gamma * quantity * quantity / 2.0
    mean += costs.epsilon * _sum([abs(trade) for trade in trades])
    mean += _eta_tilde(costs) / costs.tau * _sum([trade * trade for trade in trades])
    variance = volatility * volatility * costs.tau * _sum([left * left for left in holdings[1:]])
    if not (math.isfinite(mean) and math.isfinite(variance)):
        message = f"mean {mean} and variance {variance} of the cost are too large for a number"
        raise _fault(quantity, path=path, message=message)
    return Trajectory(holdings=holdings, trades=trades, expected_cost=mean, variance=variance)
