"""Impact in proportion to the quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import ImpactOut, number, outside
from ml4t.impact.estimates import Estimated, price_and_quantity
from ml4t.impact.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import ImpactArgs


@attrs.frozen
class Linear(InLibrary, Estimated):
    """A fill costs and moves the price in proportion to its share of the average volume.

    Both parts are `coefficient * volatility * quantity / average volume` of the price.

    Parameters
    ----------
    temporary : float
        Coefficient of what the fill pays, 0 or more.
    permanent : float
        Coefficient of what it moves the prices of later fills by, 0 or more. A fill does not pay its own: add
        half of it to `temporary` for a trade that walks along a line.
    volatility : float or None
        Per day, a fraction; None takes that of the sessions before.
    average_volume : float or None
        Per day, in units; None takes that of the sessions before.
    average_days : int
        Sessions over which the two are estimated; 0 where both are given.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Kyle (1985), "Continuous auctions and insider trading", Econometrica 53, whose lambda is here
    `permanent * price * volatility / average volume`. Linear permanent impact is the only one that leaves no
    profit in trading to and fro (Huberman and Stanzl, 2004, Econometrica 72).

    Examples
    --------
    >>> from ml4t.core.models import ImpactArgs
    >>> known = {"volatility": 0.02, "average_volume": 1e6}
    >>> ctx = ImpactArgs(ts_ns=0, side=1, quantity=10_000.0, reference_price=50.0, **known)
    >>> Linear(1.0, permanent=0.5).evaluate(ctx)
    ImpactOut(temporary=0.01, permanent=0.005)
    """

    temporary: float = attrs.field(converter=number)
    permanent: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_impact_linear"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("temporary", "permanent"):
            yield from outside(values, name)
        yield from super().cross_check(values)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer both parts for the quantity, per unit.

        Raises
        ------
        ModelError
            If price, quantity, volatility or average volume is missing.
        """
        price, quantity = price_and_quantity(self, ctx)
        volatility, volume = self.estimates(ctx)
        unit = price * (volatility * (quantity / volume))
        return ImpactOut(temporary=self.temporary * unit, permanent=self.permanent * unit)
