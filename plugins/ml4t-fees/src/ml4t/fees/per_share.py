"""A fee per share or contract, with a minimum and a cap per order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FeeOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FeeArgs


@attrs.frozen
class PerShare(Checked):
    """Each share or contract costs the same; minimum and cap hold for the order, however many fills it takes.

    An order with fills pays `min(max(fee * quantity, minimum), maximum_fraction * notional)`: the cap wins
    over the minimum. A fill is charged what it adds to that total, never less than 0.

    Parameters
    ----------
    fee : float
        Money per share or contract, 0 or more. The contract multiplier does not enter.
    minimum : float
        Least that an order with a fill pays, 0 or more.
    maximum_fraction : float or None
        Most that an order pays, as a fraction of its notional, above 0 and at most 1; None sets no cap.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    The form is that of Interactive Brokers' fixed pricing for US stocks (page "Commissions Stocks"): 0.005
    per share, at least 1.00 per order, at most 1 % of the trade value.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> model = PerShare(0.005, minimum=1.0, maximum_fraction=0.01)
    >>> model.evaluate(FeeArgs(ts_ns=0, side=1, quantity=100.0, price=25.0, notional=2500.0))
    FeeOut(fee=1.0)
    """

    fee: float = attrs.field(converter=number)
    minimum: float = attrs.field(default=0.0, converter=number, kw_only=True)
    maximum_fraction: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    native_builtin: ClassVar[str] = "per_share"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "fee")
        yield from outside(values, "minimum")
        yield from outside(values, "maximum_fraction", high=1.0, above=True)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its order."""
        if self.minimum == 0.0 and self.maximum_fraction is None:
            return FeeOut(fee=self.fee * ctx.quantity)
        total = max(self.fee * (ctx.order_filled_quantity + ctx.quantity), self.minimum)
        if self.maximum_fraction is not None:
            total = min(total, self.maximum_fraction * abs(ctx.order_notional + ctx.notional))
        # What has been charged is not given back, should the cap shrink with the notional of later fills.
        return FeeOut(fee=max(total - ctx.order_fees, 0.0))


FixedPerShare = PerShare
"""Other name of `PerShare`."""
