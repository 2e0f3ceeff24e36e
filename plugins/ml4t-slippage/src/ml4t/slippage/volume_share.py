"""Slippage that grows with the square of our share of the volume."""

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
class VolumeShare(Checked):
    """A fill loses `price_impact * share**2` of its price, where share is what we take of the volume.

    Parameters
    ----------
    volume_limit : float
        Largest share that counts, above 0 and at most 1.
    price_impact : float
        Slippage at a share of 1, as a fraction of the price; 0 or more.
    caps_quantity : bool
        True: all orders on a bar together fill at most `volume_limit` of its volume, the remainder goes on
        working, and the share of a fill counts what earlier orders took from the bar. A bar without volume
        fills nothing. False: everything fills; the share of the single fill stops growing at the limit,
        where a bar without volume puts it.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Sources: zipline-reloaded `VolumeShareSlippage` (quantity capped) and QuantConnect LEAN
    `VolumeShareSlippageModel` (not capped). Where the former drops a limit order whose slipped price is worse
    than its limit, here the policy `limit_slippage` decides for all models alike.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> ctx = SlippageArgs(ts_ns=0, side=1, quantity=50.0, reference_price=4.0, volume=2000.0)
    >>> out = VolumeShare(0.025, price_impact=0.1).evaluate(ctx)
    >>> round(out.price_adjustment, 12), out.quantity_cap
    (0.00025, 50.0)
    """

    volume_limit: float = attrs.field(default=0.025, converter=number)
    price_impact: float = attrs.field(default=0.1, converter=number, kw_only=True)
    caps_quantity: bool = attrs.field(default=True, kw_only=True)

    native_builtin: ClassVar[str] = "volume_share"
    needs_volume: ClassVar[bool] = True

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "volume_limit", high=1.0, above=True)
        yield from outside(values, "price_impact")
        if not isinstance(values.get("caps_quantity", True), bool):
            found = repr(values["caps_quantity"])
            yield Finding(path="caps_quantity", message=f"expected true or false, found {found}", found=found)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer slippage and cap for the quantity; asked again by the engine when the cap cuts it.

        Raises
        ------
        ModelError
            If the volume is missing.
        """
        if math.isnan(ctx.volume):
            msg = "VolumeShare needs volume, which this data lacks; use BasisPoints or Spread"
            raise ModelError(msg)
        cap = math.inf
        taken = ctx.quantity
        if self.caps_quantity:
            cap = max(self.volume_limit * ctx.volume - ctx.volume_used, 0.0)
            taken = ctx.volume_used + min(ctx.quantity, cap)
        share = min(taken / ctx.volume, self.volume_limit) if ctx.volume > 0.0 else self.volume_limit
        adjustment = abs(ctx.reference_price) * (self.price_impact * (share * share))
        return SlippageOut(price_adjustment=adjustment, quantity_cap=cap)
