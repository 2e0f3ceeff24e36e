"""The optimal trajectory of Almgren and Chriss as an execution algorithm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import number, outside
from ml4t.core.structuring import Checked
from ml4t.core.values import shown
from ml4t.impact.estimates import MOST_DAYS
from ml4t.impact.library import InLibrary
from ml4t.native.math import exp, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.backtest.executors import ChildOrder, ExecutorArgs

__all__ = ["AlmgrenChrissTrajectory"]

# Below it the trajectory is even to the last digit that a lot shows.
_LEAST_URGENCY = 1e-6
# Shares of a period and of a lot that are noise of the arithmetic.
_NOISE = 1e-9


@attrs.frozen(kw_only=True, slots=False)
class AlmgrenChrissTrajectory(InLibrary, Checked):
    """Work an order so that mean + risk_aversion x variance of its cost is least, under linear impact.

    At the beginning of each of `periods` periods it sends, at the market, what its trajectory should have
    traded by the end of it: `broker.execute("IBM", 100_000, AlmgrenChrissTrajectory(...))`. The trajectory is
    fixed when the order is given. With `risk_aversion = 0` all periods trade alike (TWAP). It does not decide
    what trading costs: that is the business of the run's impact model, `AlmgrenChriss` with the same numbers
    or any other.

    Parameters
    ----------
    gamma : float
        Permanent impact: price per unit, 0 or more.
    eta : float
        Temporary impact: price per unit traded in a session, above `gamma * period / 2`.
    periods : int
        Number of periods, 1 or more.
    period : float
        Length of one, in sessions of the instrument's calendar, above 0: 1 trades once a session, 1/13 every
        half hour of a session of six and a half hours. Shorter than the bars of the data it does nothing
        good: several periods then trade at once.
    risk_aversion : float
        Lambda, per money, 0 or more; the larger, the earlier it trades.
    volatility : float or None
        Standard deviation of the price over a session, a fraction of it; None for the engine's estimate.
    average_days : int
        Sessions over which that is estimated.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Almgren and Chriss (2000), "Optimal execution of portfolio transactions", J. Risk 3(2), section
    "Explicit construction of optimal strategies", see `optimal_trajectory`, in a unit of time of one session:
    tau is `period`, and sigma is `volatility` times the price when the order is given. What should have
    traded is rounded down to lots, and the rest trades in the last period.

    Examples
    --------
    >>> from ml4t.backtest.executors import ExecutorArgs
    >>> even = AlmgrenChrissTrajectory(gamma=0.0, eta=2.5e-6, periods=4)
    >>> [order.quantity for order in even.evaluate(ExecutorArgs(ts_ns=0, side=-1, quantity=1_000.0))]
    [250.0]
    """

    gamma: float = attrs.field(converter=number)
    eta: float = attrs.field(converter=number)
    periods: int = attrs.field()
    period: float = attrs.field(default=1.0, converter=number)
    risk_aversion: float = attrs.field(default=0.0, converter=number)
    volatility: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    average_days: int = 20

    native_symbol: ClassVar[str] = "ml4t_impact_almgren_chriss_trajectory"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        # No field: it is no parameter, and has no part in comparisons.
        object.__setattr__(self, "_urgency", None)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges, and that a larger trade costs a period more."""
        for name in ("gamma", "eta", "risk_aversion", "volatility"):
            yield from outside(values, name)
        yield from outside(values, "period", above=True)
        for name, low, why in (("periods", 1, "periods"), ("average_days", 2, "sessions")):
            value = values.get(name, low)
            if type(value) is not int or not low <= value <= MOST_DAYS:
                message = f"expected a whole number of {why} of {low} or more and below a million"
                yield Finding(path=name, message=f"{message}, found {shown(value)}", found=shown(value))
        gamma, eta, period = (values.get(name) for name in ("gamma", "eta", "period"))
        if isinstance(gamma, float) and isinstance(eta, float) and isinstance(period, float):
            bound = gamma * period / 2.0
            if math.isfinite(bound) and not eta > bound:
                message = (
                    f"expected more than gamma x period / 2 = {bound:g}, or a larger trade would cost a "
                    f"period less; found {eta!r}"
                )
                yield Finding(path="eta", message=message, found=repr(eta))

    def clone(self) -> AlmgrenChrissTrajectory:
        """Return the algorithm as it is before an order."""
        return attrs.evolve(self)

    def evaluate(self, ctx: ExecutorArgs, /) -> tuple[ChildOrder, ...]:
        """Answer the order that takes the trades to where the trajectory should be at the end of the period.

        Raises
        ------
        ModelError
            If price or volatility is needed and missing.
        """
        from ml4t.backtest.executors import ChildOrder

        urgency: float | None = self._urgency  # type: ignore[attr-defined]
        if urgency is None:
            urgency = self._urgency_of(ctx)
            object.__setattr__(self, "_urgency", urgency)
        begun = min(math.floor(ctx.elapsed / self.period + _NOISE) + 1, self.periods)
        done = 1.0 if begun == self.periods else 1.0 - self._left(urgency, float(self.periods - begun))
        due = ctx.quantity * done - ctx.filled - ctx.working
        lots = math.floor(due / ctx.lot_size + _NOISE)
        return (ChildOrder(quantity=lots * ctx.lot_size),) if lots > 0 else ()

    def _urgency_of(self, ctx: ExecutorArgs) -> float:
        """Return kappa x tau."""
        if self.risk_aversion == 0.0:
            return 0.0
        volatility = ctx.volatility if self.volatility is None else self.volatility
        if not 0.0 <= volatility < math.inf:
            msg = (
                f"AlmgrenChrissTrajectory needs a volatility of earlier sessions, found {volatility:g}; let "
                "the data begin some sessions before the first order, or give volatility as a constant"
            )
            raise ModelError(msg)
        if not math.isfinite(ctx.price):
            msg = f"AlmgrenChrissTrajectory needs a price, found {ctx.price:g}"
            raise ModelError(msg)
        sigma = volatility * abs(ctx.price)
        eta_tilde = self.eta - self.gamma * self.period / 2.0
        half = math.sqrt(self.risk_aversion * sigma * sigma / eta_tilde) * self.period / 2.0
        if half < _LEAST_URGENCY:
            return 0.0
        # The inverse hyperbolic sine of it, twice.
        return 2.0 * log(half + math.sqrt(half * half + 1.0))

    def _left(self, urgency: float, k: float) -> float:
        """Return the share of the order that is left when `k` periods are."""
        n = float(self.periods)
        if urgency == 0.0:
            return k / n
        return exp((k - n) * urgency) * (1.0 - exp(-2.0 * k * urgency)) / (1.0 - exp(-2.0 * n * urgency))
