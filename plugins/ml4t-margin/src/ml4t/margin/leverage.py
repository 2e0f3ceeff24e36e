"""One leverage for everything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import MarginOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.margin.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import MarginArgs

__all__ = ["FixedLeverage"]


@attrs.frozen
class FixedLeverage(InLibrary, Checked):
    """Positions of up to `leverage` times the equity, longs and shorts alike.

    Of each value, |quantity| x |mark| x multiplier x fx, `value / leverage` opens it and `value *
    maintenance` holds it. Nothing is tested at the close.

    Parameters
    ----------
    leverage : float
        Above 0.
    maintenance : float
        Fraction of the value, at most `1 / leverage`; 0 never calls while equity is above zero.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Examples
    --------
    >>> from ml4t.core.models import Holding, MarginArgs
    >>> held = (Holding(quantity=-100.0, mark=50.0),)
    >>> FixedLeverage(4, maintenance=0.2).evaluate(MarginArgs(ts_ns=0, cash=1e4, equity=5e3, holdings=held))
    MarginOut(initial=1250.0, maintenance=1000.0, requirement=(1000.0,), overnight=nan)
    """

    leverage: float = attrs.field(default=2.0, converter=number)
    maintenance: float = attrs.field(default=0.25, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_margin_fixed_leverage"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        faults = [*outside(values, "leverage", above=True), *outside(values, "maintenance")]
        yield from faults
        leverage, held = values.get("leverage"), values.get("maintenance")
        if faults or leverage is None or held is None:
            return
        if held > 1.0 / leverage:
            message = f"expected at most 1 / leverage, which is {1.0 / leverage!r}, found {held!r}"
            yield Finding(path="maintenance", message=message, found=repr(held))

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio."""
        initial = maintenance = 0.0
        requirement = []
        for holding in ctx.holdings:
            value = abs(holding.quantity) * abs(holding.mark) * holding.multiplier * holding.fx
            held = value * self.maintenance
            initial += value / self.leverage
            maintenance += held
            requirement.append(held)
        return MarginOut(initial, maintenance, tuple(requirement), math.nan)
