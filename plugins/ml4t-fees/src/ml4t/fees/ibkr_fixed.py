"""Interactive Brokers, US stocks, fixed pricing; and the form of it that LEAN has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FeeOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.fees.regulatory import rate_faults, sec_fee, trading_activity_fee

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FeeArgs


@attrs.frozen
class IbkrFixed(Checked):
    """US stocks at Interactive Brokers, fixed: a commission per share, and regulatory fees on sales.

    The commission of an order with fills is `min(max(fee * quantity, minimum), maximum_fraction * notional)`:
    the cap wins over the minimum. A fill is charged what it adds to that. Exchange and clearing fees are
    included; regulatory fees are passed on.

    Parameters
    ----------
    fee : float
        Money per share, 0 or more.
    minimum : float
        Least commission of an order, 0 or more.
    maximum_fraction : float
        Most of it, as a fraction of the notional of the order; above 0 and at most 1.
    sec_rate : float
        SEC fee on sales, a fraction of their value; 0 to 1.
    taf_per_share, taf_maximum : float
        FINRA Trading Activity Fee per share sold, and the most of it for a fill; 0 or more.
    cat_per_share : float
        FINRA fee for the Consolidated Audit Trail per share, on both sides; 0 or more.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Interactive Brokers, "Commissions Stocks", US, and its page "Fixed vs. Tiered Pricing Comparison
    Examples". Regulatory rates change often; the defaults are those the page had with a SEC rate of 27.80 per
    million. Set them to those of the time of the data, or to 0 for the commission alone.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> buy = FeeArgs(ts_ns=0, side=1, quantity=1000.0, price=0.25, notional=250.0)
    >>> IbkrFixed().evaluate(buy)
    FeeOut(fee=2.5)
    """

    fee: float = attrs.field(default=0.005, converter=number)
    minimum: float = attrs.field(default=1.0, converter=number, kw_only=True)
    maximum_fraction: float = attrs.field(default=0.01, converter=number, kw_only=True)
    sec_rate: float = attrs.field(default=0.0000278, converter=number, kw_only=True)
    taf_per_share: float = attrs.field(default=0.000166, converter=number, kw_only=True)
    taf_maximum: float = attrs.field(default=8.3, converter=number, kw_only=True)
    cat_per_share: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "ibkr_fixed"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "fee")
        yield from outside(values, "minimum")
        yield from outside(values, "maximum_fraction", high=1.0, above=True)
        yield from rate_faults(values)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the commission of its order, and the regulatory fees of the fill."""
        before = self._commission(ctx.order_filled_quantity, ctx.order_notional)
        after = self._commission(
            ctx.order_filled_quantity + ctx.quantity, abs(ctx.order_notional) + abs(ctx.notional)
        )
        passed_on = sec_fee(ctx.side, ctx.notional, self.sec_rate)
        passed_on += trading_activity_fee(ctx.side, ctx.quantity, self.taf_per_share, self.taf_maximum)
        passed_on += self.cat_per_share * ctx.quantity
        return FeeOut(fee=after - before + passed_on)

    def _commission(self, quantity: float, notional: float) -> float:
        """Return the commission of an order that has filled so much; it grows with both."""
        if quantity <= 0.0:
            return 0.0
        return min(max(self.fee * quantity, self.minimum), self.maximum_fraction * abs(notional))


@attrs.frozen
class LeanIbkr(Checked):
    """US stocks at Interactive Brokers as QuantConnect LEAN charges them.

    An order for which `fee * quantity` is less than `minimum` pays the minimum, whatever its value; any other
    pays at most `maximum_fraction` of its notional, be that less than the minimum. No regulatory fees.

    Parameters
    ----------
    fee : float
        Money per share, 0 or more.
    minimum : float
        What an order pays for which the fee per share comes to less, 0 or more.
    maximum_fraction : float
        Most that any other order pays, as a fraction of its notional; above 0 and at most 1.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: QuantConnect LEAN, `InteractiveBrokersFeeModel`, equities of the USA, in the versions with a cap
    of 0.5 %; later ones have 1 %. Interactive Brokers itself caps at 1 % and lets the cap win, see
    `IbkrFixed`. LEAN charges an order at once; here each fill is charged what it adds, and nothing is given
    back.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> LeanIbkr().evaluate(FeeArgs(ts_ns=0, side=1, quantity=10.0, price=0.2, notional=2.0))
    FeeOut(fee=1.0)
    """

    fee: float = attrs.field(default=0.005, converter=number)
    minimum: float = attrs.field(default=1.0, converter=number, kw_only=True)
    maximum_fraction: float = attrs.field(default=0.005, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "lean_ibkr"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "fee")
        yield from outside(values, "minimum")
        yield from outside(values, "maximum_fraction", high=1.0, above=True)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its order."""
        total = self.fee * (ctx.order_filled_quantity + ctx.quantity)
        if total < self.minimum:
            total = self.minimum
        else:
            total = min(total, self.maximum_fraction * (abs(ctx.order_notional) + abs(ctx.notional)))
        return FeeOut(fee=max(total - ctx.order_fees, 0.0))
