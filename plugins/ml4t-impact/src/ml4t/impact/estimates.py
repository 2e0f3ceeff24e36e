"""What models of impact scale with: volatility and average volume, of the context or given as constants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import number, outside
from ml4t.core.structuring import Checked
from ml4t.core.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import ImpactArgs

__all__ = ["Estimated", "price_and_quantity"]

MOST_DAYS = 999_999
_WARM_UP = "let the data begin some sessions before the first order, or give {} as a constant"


@attrs.frozen(kw_only=True, slots=False)
class Estimated(Checked):
    """Base of models that scale with volatility and average volume.

    Both are those of the instrument over the sessions before the present one, which the engine estimates,
    unless they are given here; a constant goes for all instruments of the run.
    """

    volatility: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    average_volume: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    average_days: int = 20

    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the constants, and that there are sessions to estimate over where one is missing."""
        yield from outside(values, "volatility")
        yield from outside(values, "average_volume", above=True)
        days = values.get("average_days", 20)
        # A standard deviation needs two returns, and a mean one session.
        least = 0
        if values.get("average_volume") is None:
            least = 1
        if values.get("volatility") is None:
            least = 2
        if type(days) is not int or not least <= days <= MOST_DAYS:
            message = f"expected a whole number of sessions of {least} or more and below a million"
            yield Finding(path="average_days", message=f"{message}, found {shown(days)}", found=shown(days))

    def estimates(self, ctx: ImpactArgs) -> tuple[float, float]:
        """Return volatility, a fraction per day, and average daily volume.

        Raises
        ------
        ModelError
            If one of them is not given and the context has none, or the average volume is not above 0.
        """
        volatility = ctx.volatility if self.volatility is None else self.volatility
        volume = ctx.average_volume if self.average_volume is None else self.average_volume
        name = type(self).__name__
        # Written so that NaN fails, too.
        if not 0.0 <= volatility < math.inf:
            remedy = _WARM_UP.format("volatility")
            msg = f"{name} needs a volatility of earlier sessions, found {volatility:g}; {remedy}"
            raise ModelError(msg)
        if not 0.0 < volume < math.inf:
            remedy = _WARM_UP.format("average_volume")
            msg = f"{name} needs an average volume of earlier sessions above 0, found {volume:g}; {remedy}"
            raise ModelError(msg)
        return volatility, volume


def price_and_quantity(model: object, ctx: ImpactArgs) -> tuple[float, float]:
    """Return the size of the reference price, and the quantity of the fill.

    Raises
    ------
    ModelError
        If one of them is not a finite number, or the quantity is below 0.
    """
    name = type(model).__name__
    if not math.isfinite(ctx.reference_price):
        msg = f"{name} needs a reference price, found {ctx.reference_price:g}"
        raise ModelError(msg)
    if not 0.0 <= ctx.quantity < math.inf:
        msg = f"{name} needs the quantity of the fill, 0 or more, found {ctx.quantity:g}"
        raise ModelError(msg)
    return abs(ctx.reference_price), ctx.quantity
