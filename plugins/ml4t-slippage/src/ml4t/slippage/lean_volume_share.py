"""Slippage by our share of the volume, as LEAN has it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import SlippageOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import SlippageArgs


@attrs.frozen
class LeanVolumeShare(Checked):
    """A fill loses `price_impact * share**2` of its price, share being its part of the volume.

    Everything fills: the limit keeps the share from growing, not the quantity. Each fill counts alone,
    whatever others took from the bar.

    Parameters
    ----------
    volume_limit : float
        Largest share that counts, above 0 and at most 1.
    price_impact : float
        Slippage at a share of 1, as a fraction of the price; 0 or more.
    free_without_volume : bool
        What a fill loses where there is no volume, 0 or missing. False: as much as at the limit, and a volume
        that is missing is an error. True: nothing, as for currencies and contracts for difference, whose
        venues report none.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: QuantConnect LEAN, `VolumeShareSlippageModel`. Where we differ: LEAN takes the near side of a
    quote for the volume, the size of the bid for a buy; here it is the far one, at which the order trades.
    It counts the quantity of the order, here it is that of the fill. And it applies the share to the last
    price, here it is the reference price.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> ctx = SlippageArgs(ts_ns=0, side=1, quantity=2.0, reference_price=100.0, volume=100.0)
    >>> LeanVolumeShare().evaluate(ctx)
    SlippageOut(price_adjustment=0.004, spread=0.0, quantity_cap=inf)
    """

    volume_limit: float = attrs.field(default=0.025, converter=number)
    price_impact: float = attrs.field(default=0.1, converter=number, kw_only=True)
    free_without_volume: bool = attrs.field(default=False, kw_only=True)

    native_builtin: ClassVar[str] = "lean_volume_share"
    needs_volume: ClassVar[bool] = True

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "volume_limit", high=1.0, above=True)
        yield from outside(values, "price_impact")
        free = values.get("free_without_volume", False)
        if not isinstance(free, bool):
            message = f"expected true or false, found {free!r}"
            yield Finding(path="free_without_volume", message=message, found=repr(free))

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer slippage for the quantity.

        Raises
        ------
        ModelError
            If the volume is missing, unless such a fill is free.
        """
        if math.isnan(ctx.volume) and not self.free_without_volume:
            msg = (
                "LeanVolumeShare needs volume, which this data lacks; set free_without_volume = true where "
                "venues report none, or use BasisPoints or Spread"
            )
            raise ModelError(msg)
        share = self.volume_limit
        if ctx.volume > 0.0:
            share = min(ctx.quantity / ctx.volume, self.volume_limit)
        elif self.free_without_volume:
            share = 0.0
        return SlippageOut(price_adjustment=abs(ctx.reference_price) * (self.price_impact * (share * share)))
