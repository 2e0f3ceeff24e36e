"""Slippage in basis points of the price."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import SlippageOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import SlippageArgs


@attrs.frozen
class BasisPoints(Checked):
    """Every fill loses the same number of basis points; optionally a share of the volume caps what fills.

    Parameters
    ----------
    bps : float
        Slippage in 1/10,000 of the price, 0 to 10,000.
    volume_limit : float or None
        Largest share of the volume that all orders together may take, above 0 and at most 1; what is beyond
        it goes on working. None sets no limit and needs no volume.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    With a limit this is the rule of zipline-reloaded's `FixedBasisPointsSlippage`.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> ctx = SlippageArgs(ts_ns=0, side=1, quantity=100.0, reference_price=40.0, volume=200.0)
    >>> BasisPoints(5, volume_limit=0.1).evaluate(ctx)
    SlippageOut(price_adjustment=0.02, spread=0.0, quantity_cap=20.0)
    """

    bps: float = attrs.field(converter=number)
    volume_limit: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    native_builtin: ClassVar[str] = "basis_points"

    @property
    def needs_volume(self) -> bool:
        """Whether the answer uses the volume of the completed bar: with a limit it does."""
        return self.volume_limit is not None

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "bps", high=10_000.0)
        yield from outside(values, "volume_limit", high=1.0, above=True)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer the basis points of the size of the price, and the cap.

        Raises
        ------
        ModelError
            If there is a limit and the volume is missing.
        """
        adjustment = abs(ctx.reference_price) * self.bps / 10_000.0
        if self.volume_limit is None:
            return SlippageOut(price_adjustment=adjustment)
        if math.isnan(ctx.volume):
            msg = "BasisPoints with volume_limit needs volume, which this data lacks; leave volume_limit out"
            raise ModelError(msg)
        cap = max(self.volume_limit * ctx.volume - ctx.volume_used, 0.0)
        return SlippageOut(price_adjustment=adjustment, quantity_cap=cap)
