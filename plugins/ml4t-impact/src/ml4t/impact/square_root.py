"""The square-root law of market impact."""

from __future__ import annotations

import math
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
class SquareRoot(InLibrary, Estimated):
    """An order costs `Y * volatility * sqrt(quantity / average volume)` of its value, whatever its fills.

    The law is about the order as a whole: its cost in money grows as the power 3/2 of what it has filled,
    and each fill pays what it adds. Orders that a strategy cuts itself are counted apart. All of the impact
    is temporary.

    Parameters
    ----------
    Y : float
        Coefficient of the order of 1, usually 0.5 to 1; 0 or more.
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
    Sources: Torre (1997), "BARRA Market Impact Model Handbook"; Tóth, Lempérière, Deremble, de Lataillade,
    Kockelkoren and Bouchaud (2011), "Anomalous price impact and the critical nature of liquidity in
    financial markets", Phys. Rev. X 1, 021006, eq. (1). For a fill of q after a of the order, with b = a +
    q, the cost per unit is price x Y sigma (b^1.5 - a^1.5) / (q sqrt(V)), computed as (b^2 + ab + a^2) /
    (b^1.5 + a^1.5) with square roots alone.

    Examples
    --------
    >>> from ml4t.core.models import ImpactArgs
    >>> known = {"volatility": 0.02, "average_volume": 1e6}
    >>> ctx = ImpactArgs(ts_ns=0, side=1, quantity=10_000.0, reference_price=50.0, **known)
    >>> SquareRoot(1.0).evaluate(ctx)
    ImpactOut(temporary=0.1, permanent=0.0)
    """

    Y: float = attrs.field(default=1.0, converter=number)

    native_symbol: ClassVar[str] = "ml4t_impact_square_root"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "Y")
        yield from super().cross_check(values)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer what this fill adds to the cost of its order, per unit.

        Raises
        ------
        ModelError
            If price, quantity, volatility or average volume is missing.
        """
        price, quantity = price_and_quantity(self, ctx)
        volatility, volume = self.estimates(ctx)
        if quantity == 0.0:
            return ImpactOut(temporary=0.0)
        before = max(ctx.order_filled_quantity, 0.0)
        after = before + quantity
        squares = after * after + after * before + before * before
        root = squares / (after * math.sqrt(after) + before * math.sqrt(before))
        return ImpactOut(temporary=price * (self.Y * volatility * (root / math.sqrt(volume))))
