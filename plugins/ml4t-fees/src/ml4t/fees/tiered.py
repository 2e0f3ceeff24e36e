"""A rate that falls with what was traded in the month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import FeeOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.fees.tiers import marginal, numbers, tier_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import FeeArgs


@attrs.frozen
class Tiered(Checked):
    """Each part of what is traded in a calendar month (UTC) costs the rate of the tier it falls into.

    The tiers are marginal: reaching the next one changes nothing for what came before, and a fill that spans
    two pays both. All instruments of the run count together. An order pays at least `minimum`; a fill is
    charged what it adds to that.

    Parameters
    ----------
    limits : list of float
        Where the tiers end, growing, the end included; in units, or in money for `basis = "notional"`.
    rates : list of float
        Rate of each tier, one more than there are limits: money per unit, or a fraction of the notional.
        Below 0 it is a rebate.
    basis : {"quantity", "notional"}
        What is counted and charged.
    minimum : float
        Least that an order with a fill pays, 0 or more.

    Raises
    ------
    ConfigError
        If the limits do not grow, if there is not one rate more than limits, or a parameter is out of its
        range.

    Notes
    -----
    The earlier fills of an order are taken for the last trades of the month before this fill, which says
    where in the tiers the order began. It matters only with a minimum, and only where orders fill by turns
    across the end of a tier.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> model = Tiered([300_000], rates=[0.0035, 0.002])
    >>> traded = {"quantity": 10_000.0, "price": 25.0, "notional": 250_000.0}
    >>> fill = FeeArgs(ts_ns=0, side=1, **traded, month_quantity=295_000.0)
    >>> model.evaluate(fill)
    FeeOut(fee=27.5)
    """

    limits: tuple[float, ...] = attrs.field(converter=numbers)
    rates: tuple[float, ...] = attrs.field(converter=numbers, kw_only=True)
    basis: Literal["quantity", "notional"] = attrs.field(default="quantity", kw_only=True)
    minimum: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "tiered"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the tiers and the ranges."""
        yield from tier_faults(values, low=-1e9)
        yield from outside(values, "minimum")
        basis = values.get("basis", "quantity")
        if basis not in ("quantity", "notional"):
            message = f"expected quantity or notional, found {basis!r}"
            yield Finding(path="basis", message=message, found=repr(basis), allowed=("quantity", "notional"))

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its order."""
        used, before, amount = ctx.month_quantity, ctx.order_filled_quantity, ctx.quantity
        if self.basis == "notional":
            used, before, amount = abs(ctx.month_notional), abs(ctx.order_notional), abs(ctx.notional)
        if self.minimum == 0.0:
            return FeeOut(fee=marginal(self.limits, self.rates, used, amount))
        start = max(used - before, 0.0)
        total = marginal(self.limits, self.rates, start, before + amount)
        return FeeOut(fee=max(max(total, self.minimum) - ctx.order_fees, 0.0))
