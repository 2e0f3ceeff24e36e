"""What perpetual futures pay each other, and rolling currency pairs over costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from ml4t.core.errors import ArgumentError
from ml4t.core.models import FundingOut
from ml4t.funding.library import InLibrary

if TYPE_CHECKING:
    from ml4t.core.models import FundingArgs

__all__ = ["PerpetualFunding", "funding_rate"]


@attrs.frozen
class PerpetualFunding(InLibrary):
    """Longs pay shorts the rate of the data on the value at the mark price, where it is above zero.

    `payment = -quantity * multiplier * mark * rate`, quantity below zero for shorts. Leverage and entry price
    do not count. Rates of currency pairs, which differ by side, are made by `rollover_rates`.

    Notes
    -----
    Source: Binance, "Introduction to Binance Futures Funding Rates": funding amount = nominal value of
    positions x funding rate, nominal value = mark price x size.

    Examples
    --------
    >>> from ml4t.core.models import FundingArgs
    >>> ctx = FundingArgs(ts_ns=0, mark=60_000.0, quantity=0.5, rate=0.0001)
    >>> PerpetualFunding().evaluate(ctx)
    FundingOut(payment=-3.0)
    """

    native_symbol: ClassVar[str] = "ml4t_funding_perpetual"

    def evaluate(self, ctx: FundingArgs, /) -> FundingOut:
        """Answer for a position at a funding time."""
        return FundingOut(payment=-(ctx.quantity * ctx.multiplier * ctx.mark * ctx.rate))


def funding_rate(
    premium: float, *, interest: float = 0.0001, clamp: float = 0.0005, cap: float | None = None
) -> float:
    """Return the rate of an interval from the average premium of the contract over its index.

    `F = P + clamp(interest - P, -clamp, +clamp)`, then within `cap`.

    Parameters
    ----------
    premium : float
        Average premium index P, a fraction.
    interest : float
        Interest rate of an interval, a fraction: 0.01 % of eight hours.
    clamp : float
        Largest difference between premium and rate.
    cap : float or None
        Largest size of the rate that the venue allows; None for no limit.

    Returns
    -------
    float
        A fraction of the interval; above zero longs pay shorts.

    Raises
    ------
    ArgumentError
        If `clamp` or `cap` is below zero.

    Notes
    -----
    Source: Binance, "Introduction to Binance Futures Funding Rates".

    Examples
    --------
    >>> [round(funding_rate(premium), 6) for premium in (0.0, 0.001, -0.001)]
    [0.0001, 0.0005, -0.0005]
    """
    for name, limit in (("clamp", clamp), ("cap", cap)):
        if limit is not None and not limit >= 0:
            msg = f"{name} = {limit!r}; expected a number of 0 or more"
            raise ArgumentError(msg)
    rate = premium + min(max(interest - premium, -clamp), clamp)
    return rate if cap is None else min(max(rate, -cap), cap)
