"""Interactive Brokers, spot currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FeeOut
from ml4t.core.structuring import Checked
from ml4t.fees.tiers import numbers, tier, tier_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FeeArgs


@attrs.frozen
class IbkrForex(Checked):
    """Spot currencies at Interactive Brokers: basis points of the value, with a minimum, both by the month.

    The tier is that of the notional traded in the calendar month (UTC) before the fill, all instruments of
    the run together, and goes for the whole fill. An order with fills pays at least the minimum of the tier.

    Parameters
    ----------
    limits : list of float
        Notional a month at which the tiers end, the end included.
    bps : list of float
        Basis points of the notional in each tier, one more than there are limits; 0 or more.
    minimums : list of float
        Least that an order pays in each tier; as many.

    Raises
    ------
    ConfigError
        If the limits do not grow, if the lists do not fit, or an entry is out of its range.

    Notes
    -----
    Source: QuantConnect LEAN, `InteractiveBrokersFeeModel`, Forex. The schedule is in US dollars; here money
    is of the currency of the instrument, and nothing is converted.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> fill = FeeArgs(ts_ns=0, side=1, quantity=1e6, price=1.1, notional=1.1e6)
    >>> IbkrForex().evaluate(fill).fee
    22.0
    """

    limits: tuple[float, ...] = attrs.field(default=(1e9, 2e9, 5e9), converter=numbers)
    bps: tuple[float, ...] = attrs.field(default=(0.2, 0.15, 0.1, 0.08), converter=numbers, kw_only=True)
    minimums: tuple[float, ...] = attrs.field(default=(2.0, 1.5, 1.25, 1.0), converter=numbers, kw_only=True)

    native_builtin: ClassVar[str] = "ibkr_forex"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the tiers."""
        yield from tier_faults(values, rates="bps")
        yield from (each for each in tier_faults(values, rates="minimums") if each.path == "minimums")

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its order."""
        index = tier(self.limits, abs(ctx.month_notional))
        total = (abs(ctx.order_notional) + abs(ctx.notional)) * self.bps[index] / 10_000.0
        return FeeOut(fee=max(max(total, self.minimums[index]) - ctx.order_fees, 0.0))
