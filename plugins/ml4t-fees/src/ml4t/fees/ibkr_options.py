"""Interactive Brokers, US options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FeeOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.fees.tiers import tier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FeeArgs

_LIMITS = (10_000.0, 50_000.0, 100_000.0)
# By tier of the month: premium of 0.10 or more, of 0.05 or more, below.
_RATES = ((0.65, 0.5, 0.25), (0.5, 0.5, 0.25), (0.25, 0.25, 0.25), (0.15, 0.15, 0.15))


@attrs.frozen
class IbkrOptions(Checked):
    """US options at Interactive Brokers: money per contract, by premium and by the contracts of the month.

    Up to 10,000 contracts in the month a contract costs 0.65 from a premium of 0.10 on, 0.50 from 0.05 on
    and 0.25 below; up to 50,000 it is 0.50, 0.50 and 0.25; up to 100,000 it is 0.25 and beyond 0.15,
    whatever the premium.

    The tier is that of what was traded in the calendar month (UTC) before the fill, all instruments of the
    run together, and goes for the whole fill. An order with fills pays at least `minimum`.

    Parameters
    ----------
    minimum : float
        Least that an order with a fill pays, 0 or more.

    Raises
    ------
    ConfigError
        If `minimum` is not a number of 0 or more.

    Notes
    -----
    Source: QuantConnect LEAN, `InteractiveBrokersFeeModel`, US options; regulatory and exchange fees are not
    in it. The premium is the price of the fill, per unit of the underlying.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> fill = FeeArgs(ts_ns=0, side=1, quantity=10.0, price=0.07, multiplier=100.0, notional=70.0)
    >>> IbkrOptions().evaluate(fill)
    FeeOut(fee=5.0)
    """

    minimum: float = attrs.field(default=1.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "ibkr_options"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the minimum."""
        yield from outside(values, "minimum")

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer the price of the contracts, and what the order still lacks to the minimum."""
        rates = _RATES[tier(_LIMITS, ctx.month_quantity)]
        fee = _per_contract(rates, ctx.price) * ctx.quantity
        if ctx.order_filled_quantity <= 0.0:
            return FeeOut(fee=max(fee, self.minimum))
        # At their average premium; what they came to one by one is not known.
        average = ctx.order_notional / (ctx.order_filled_quantity * ctx.multiplier)
        earlier = _per_contract(rates, average) * ctx.order_filled_quantity
        return FeeOut(fee=max(earlier + fee, self.minimum) - max(earlier, self.minimum))


def _per_contract(rates: tuple[float, float, float], premium: float) -> float:
    """Return the rate of a premium."""
    rich, middle, cheap = rates
    size = abs(premium)
    if size >= 0.10:
        return rich
    return middle if size >= 0.05 else cheap
