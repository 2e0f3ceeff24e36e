"""The default fill model, for bars, quotes and trade ticks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import FillOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FillArgs


@attrs.frozen
class Default(Checked):
    """An order fills at the price that the matching rules allow, in full or up to a share of what is shown.

    What is shown is the volume of a bar, the size at the far side of a quote (ask for a buy, bid for a sell)
    and the size of a print.

    Parameters
    ----------
    volume_limit : float or None
        Largest share of it that all orders together may take, above 0 and at most 1; what is beyond it goes
        on working. None sets no limit and needs neither volumes nor sizes.

    Raises
    ------
    ConfigError
        If `volume_limit` is not a number above 0 and at most 1.

    Notes
    -----
    With a limit, a fill at the open of a bar is priced at the open and booked when the bar is complete,
    because its size depends on the volume of the bar.

    Examples
    --------
    >>> from ml4t.core.models import FillArgs
    >>> ctx = FillArgs(ts_ns=0, side=1, phase="close", price=25.0, leaves_quantity=100.0, volume=500.0)
    >>> Default(volume_limit=0.1).evaluate(ctx)
    FillOut(price=25.0, quantity=50.0, liquidity='taker')
    """

    volume_limit: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    native_builtin: ClassVar[str] = "default"

    @property
    def needs_volume(self) -> bool:
        """Whether the answer uses the volume of the completed bar: with a limit it does."""
        return self.volume_limit is not None

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the limit."""
        yield from outside(values, "volume_limit", high=1.0, above=True)

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        """Answer the price that the rules allow, and what trades there.

        Raises
        ------
        ModelError
            If there is a limit and the data shows no volume or size.
        """
        return FillOut(price=ctx.price, quantity=self._quantity(ctx), liquidity=ctx.liquidity)

    def _quantity(self, ctx: FillArgs) -> float:
        if self.volume_limit is None:
            return ctx.leaves_quantity
        volume = _shown(ctx)
        if math.isnan(volume):
            msg = "volume_limit needs the volume of a bar or the size of a quote or print; this data has none"
            raise ModelError(msg)
        return min(ctx.leaves_quantity, max(self.volume_limit * volume - ctx.volume_used, 0.0))


def _shown(ctx: FillArgs) -> float:
    """Return what the data shows to be available to this order."""
    if ctx.phase == "quote":
        return ctx.ask_size if ctx.side > 0 else ctx.bid_size
    if ctx.phase == "trade":
        return ctx.size
    return ctx.volume
