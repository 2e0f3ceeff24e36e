"""The default fill model, for bars, quotes and trade ticks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import FillOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.core.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import FillArgs

MOST_DAYS = 999_999  #: as many as the native form takes


@attrs.frozen
class Default(Checked):
    """An order fills at the price that the matching rules allow, in full or up to a share of what is shown.

    What is shown is the volume of a bar, the size at the far side of a quote (ask for a buy, bid for a sell)
    and the size of a print.

    Parameters
    ----------
    volume_limit : float or None
        Largest share of it that all orders together may take, above 0 and at most 1. None sets no limit and
        needs neither volumes nor sizes.
    average_days : int or None
        Take the share of the average volume of so many sessions instead, of those before the present one; it
        is for all orders of a session together. Before the first session is over nothing fills. Quotes have
        no volume and are refused.
    partial : bool
        Whether an order takes what there is, and what is beyond it goes on working. Else an order for more
        than that is refused, `REFUSED_BY_MODEL`.

    Raises
    ------
    ConfigError
        If `volume_limit` is not a number above 0 and at most 1, if `average_days` is not a whole number above
        0 and below a million, or if one of the others is given without `volume_limit`.

    Notes
    -----
    With a limit on the bar's own volume, a fill at its open is priced at the open and booked when the bar is
    complete, because its size depends on the volume of the bar. An average is known before.

    Examples
    --------
    >>> from ml4t.core.models import FillArgs
    >>> ctx = FillArgs(ts_ns=0, side=1, phase="close", price=25.0, leaves_quantity=100.0, volume=500.0)
    >>> Default(volume_limit=0.1).evaluate(ctx)
    FillOut(price=25.0, quantity=50.0, liquidity='taker', rejects=False)
    """

    volume_limit: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    average_days: int | None = attrs.field(default=None, kw_only=True)
    partial: bool = attrs.field(default=True, kw_only=True)

    native_builtin: ClassVar[str] = "default"

    @property
    def needs_volume(self) -> bool:
        """Whether the answer uses the volume of the completed bar: with a limit on that it does."""
        return self.volume_limit is not None and self.average_days is None

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the limit, and that what belongs to one has one."""
        yield from outside(values, "volume_limit", high=1.0, above=True)
        days = values.get("average_days")
        if days is not None and (type(days) is not int or not 0 < days <= MOST_DAYS):
            text = f"expected a whole number of sessions above 0 and below a million, found {shown(days)}"
            yield Finding(path="average_days", message=text, found=shown(days))
        for name, default in (("average_days", None), ("partial", True)):
            if values.get("volume_limit") is None and values.get(name, default) != default:
                text = f"{name} says how volume_limit is meant, which is missing"
                yield Finding(path=name, message=text, found=repr(values[name]))

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        """Answer the price that the rules allow, and what trades there, or refuse the order.

        Raises
        ------
        ModelError
            If there is a limit and the data shows no volume or size.
        """
        left = self._left(ctx)
        if ctx.leaves_quantity > left and not self.partial:
            return FillOut(rejects=True)
        return FillOut(price=ctx.price, quantity=min(ctx.leaves_quantity, left), liquidity=ctx.liquidity)

    def _left(self, ctx: FillArgs) -> float:
        """Return what is left of the share."""
        if self.volume_limit is None:
            return math.inf
        volume, used = _shown(ctx), ctx.volume_used
        msg = "volume_limit needs the volume of a bar or the size of a quote or print; this data has none"
        if self.average_days is not None:
            volume, used = ctx.average_volume, ctx.session_used
            msg = "average_days needs every volume of those sessions; one is missing in this data"
        if math.isnan(volume):
            raise ModelError(msg)
        return max(self.volume_limit * volume - used, 0.0)


def _shown(ctx: FillArgs) -> float:
    """Return what the data shows to be available to this order."""
    if ctx.phase == "quote":
        return ctx.ask_size if ctx.side > 0 else ctx.bid_size
    if ctx.phase == "trade":
        return ctx.size
    return ctx.volume
