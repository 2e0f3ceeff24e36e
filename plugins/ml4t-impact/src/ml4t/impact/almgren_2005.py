"""The model that Almgren, Thum, Hauptmann and Li fitted to trades in US stocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import ImpactOut, number, outside
from ml4t.impact.estimates import Estimated, price_and_quantity
from ml4t.impact.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import ImpactArgs

_POSITIVE = ("duration_days", "permanent_exponent", "temporary_exponent")


@attrs.frozen
class Almgren2005(InLibrary, Estimated):
    """Permanent impact linear in size, temporary impact a power of the rate of trading.

    With X the quantity of the fill, V the average daily volume, Theta the shares outstanding and T the time
    in which the fill is traded, in trading days::

        I = gamma * volatility * (X / V)**1 * (Theta / V)**(1/4)
        K = eta * volatility * (X / (V * T))**(3/5)

    of the price. The fill pays I / 2 + K, and I moves the prices of later fills.

    Parameters
    ----------
    duration_days : float
        T, above 0: the fraction of a trading day over which what is filled at once here would be worked.
    gamma, eta : float
        Coefficients of permanent and temporary impact, 0 or more.
    permanent_exponent, temporary_exponent : float
        Powers of X / V and of X / (V T), above 0.
    turnover_exponent : float
        Power of Theta / V.
    inverse_turnover : float or None
        Theta / V, above 0; or
    shares_outstanding : float or None
        Theta, above 0. Exactly one of the two is given; it goes for all instruments of the run.
    volatility : float or None
        Per day, a fraction; None takes that of the sessions before.
    average_volume : float or None
        V; None takes that of the sessions before.
    average_days : int
        Sessions over which the two are estimated; 0 where both are given.

    Raises
    ------
    ConfigError
        If a parameter is out of its range, or not exactly one of `inverse_turnover` and `shares_outstanding`
        is given.

    Notes
    -----
    Source: Almgren, Thum, Hauptmann and Li (2005), "Direct Estimation of Equity Market Impact", Risk 18(7),
    the final model with gamma = 0.314 and eta = 0.142; the fit before rounding has powers of 0.891, 0.600
    and 0.267. The paper is about an order traded evenly over T; here each fill counts as one, which changes
    nothing for the permanent part while its power is 1. Powers come from `math.pow`, whose last bit may
    differ between platforms.

    Examples
    --------
    >>> from ml4t.core.models import ImpactArgs
    >>> known = {"volatility": 0.0157, "average_volume": 6.561e6}
    >>> ctx = ImpactArgs(ts_ns=0, side=1, quantity=656_100.0, reference_price=100.0, **known)
    >>> out = Almgren2005(0.2, shares_outstanding=1728e6).evaluate(ctx)
    >>> round(out.temporary, 4), round(out.permanent, 4)
    (0.2464, 0.1986)
    """

    duration_days: float = attrs.field(converter=number)
    gamma: float = attrs.field(default=0.314, converter=number, kw_only=True)
    eta: float = attrs.field(default=0.142, converter=number, kw_only=True)
    permanent_exponent: float = attrs.field(default=1.0, converter=number, kw_only=True)
    temporary_exponent: float = attrs.field(default=0.6, converter=number, kw_only=True)
    turnover_exponent: float = attrs.field(default=0.25, converter=number, kw_only=True)
    inverse_turnover: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )
    shares_outstanding: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    native_symbol: ClassVar[str] = "ml4t_impact_almgren_2005"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges, and that the turnover is given once."""
        for name in _POSITIVE:
            yield from outside(values, name, above=True)
        for name in ("gamma", "eta"):
            yield from outside(values, name)
        yield from outside(values, "turnover_exponent", low=-10.0, high=10.0)
        for name in ("inverse_turnover", "shares_outstanding"):
            yield from outside(values, name, above=True)
        if "inverse_turnover" in values and "shares_outstanding" in values:
            given = [name for name in ("inverse_turnover", "shares_outstanding") if values[name] is not None]
            if not given:
                message = (
                    "required: inverse_turnover, which is Theta / V, or shares_outstanding, which is Theta"
                )
                yield Finding(path="inverse_turnover", message=message, code="missing")
            elif len(given) == 2:
                message = "the turnover is given twice, also as inverse_turnover; keep one"
                yield Finding(path="shares_outstanding", message=message)
        yield from super().cross_check(values)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer I / 2 + K and I, per unit.

        Raises
        ------
        ModelError
            If price, quantity, volatility or average volume is missing.
        """
        price, quantity = price_and_quantity(self, ctx)
        volatility, volume = self.estimates(ctx)
        turnover = self.inverse_turnover
        if turnover is None:
            # `cross_check` made sure that the other is set.
            turnover = (self.shares_outstanding or 0.0) / volume
        share = quantity / volume
        permanent = self.gamma * volatility * math.pow(share, self.permanent_exponent)
        permanent *= math.pow(turnover, self.turnover_exponent)
        temporary = self.eta * volatility * math.pow(share / self.duration_days, self.temporary_exponent)
        return ImpactOut(temporary=price * (permanent / 2.0 + temporary), permanent=price * permanent)
