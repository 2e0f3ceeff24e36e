"""Interactive Brokers, US stocks, tiered pricing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FeeOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.fees.regulatory import rate_faults, sec_fee, trading_activity_fee
from ml4t.fees.tiers import marginal, numbers, tier_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FeeArgs

_FRACTIONS = ("clearing_maximum_fraction", "nyse_fraction", "finra_fraction")


@attrs.frozen
class IbkrTiered(Checked):
    """US stocks at Interactive Brokers, tiered: a commission by the month, and what others charge.

    The commission per share is that of the tier, marginally: each share at the rate of the tier it falls
    into, by the shares traded in the calendar month (UTC), all instruments of the run together. An order
    with fills pays `min(max(commission, minimum), maximum_fraction * notional)`; a fill is charged what it
    adds to that. Clearing, exchange and regulatory fees come on top, fill by fill.

    Parameters
    ----------
    limits : list of float
        Shares a month at which the tiers end, the end included.
    rates : list of float
        Money per share in each tier, one more than there are limits; 0 or more.
    minimum, maximum_fraction : float
        Least commission of an order, and the most of it as a fraction of its notional.
    sec_rate : float
        SEC fee on sales, a fraction of their value; 0 to 1.
    taf_per_share, taf_maximum : float
        FINRA Trading Activity Fee per share sold, and the most of it for a fill; 0 or more.
    cat_per_share : float
        FINRA fee for the Consolidated Audit Trail per share, on both sides; 0 or more.
    clearing_per_share, clearing_maximum_fraction : float
        NSCC and DTC fee per share, and the most of it as a fraction of the notional of the fill.
    nyse_fraction, finra_fraction : float
        NYSE and FINRA pass-through fees, fractions of the commission.
    maker_per_share, taker_per_share : float
        What the exchange charges per share that provides or takes liquidity; below 0 it is a rebate. They
        differ by venue and are 0 unless given.

    Raises
    ------
    ConfigError
        If the limits do not grow, if there is not one rate more than limits, or a parameter is out of its
        range.

    Notes
    -----
    Source: Interactive Brokers, "Commissions Stocks", US, tiered, and its page "Fixed vs. Tiered Pricing
    Comparison Examples", which applies the tiers "on a marginal basis for a given calendar month". It also
    says that volume is summed once a day and lowers the rate from the next day on; here it counts at once.
    Third parties change their rates often; the defaults are those the page had with a SEC rate of 27.80 per
    million. The earlier fills of an order are taken for the last trades of the month before this fill.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> buy = FeeArgs(ts_ns=0, side=1, quantity=1000.0, price=25.0, notional=25_000.0)
    >>> round(IbkrTiered().evaluate(buy).fee, 6)
    3.702583
    """

    limits: tuple[float, ...] = attrs.field(default=(300e3, 3e6, 20e6, 100e6), converter=numbers)
    rates: tuple[float, ...] = attrs.field(
        default=(0.0035, 0.002, 0.0015, 0.001, 0.0005), converter=numbers, kw_only=True
    )
    minimum: float = attrs.field(default=0.35, converter=number, kw_only=True)
    maximum_fraction: float = attrs.field(default=0.01, converter=number, kw_only=True)
    sec_rate: float = attrs.field(default=0.0000278, converter=number, kw_only=True)
    taf_per_share: float = attrs.field(default=0.000166, converter=number, kw_only=True)
    taf_maximum: float = attrs.field(default=8.3, converter=number, kw_only=True)
    cat_per_share: float = attrs.field(default=0.0, converter=number, kw_only=True)
    clearing_per_share: float = attrs.field(default=0.0002, converter=number, kw_only=True)
    clearing_maximum_fraction: float = attrs.field(default=0.005, converter=number, kw_only=True)
    nyse_fraction: float = attrs.field(default=0.000175, converter=number, kw_only=True)
    finra_fraction: float = attrs.field(default=0.000563, converter=number, kw_only=True)
    maker_per_share: float = attrs.field(default=0.0, converter=number, kw_only=True)
    taker_per_share: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "ibkr_tiered"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the tiers and the ranges."""
        yield from tier_faults(values)
        yield from outside(values, "minimum")
        yield from outside(values, "maximum_fraction", high=1.0, above=True)
        yield from rate_faults(values)
        yield from outside(values, "clearing_per_share")
        for name in _FRACTIONS:
            yield from outside(values, name, high=1.0)
        for name in ("maker_per_share", "taker_per_share"):
            yield from outside(values, name, low=-1e9)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the commission of its order, and what others charge for the fill."""
        commission = self._added(ctx)
        notional = abs(ctx.notional)
        clearing = min(self.clearing_per_share * ctx.quantity, self.clearing_maximum_fraction * notional)
        exchange = self.maker_per_share if ctx.liquidity == "maker" else self.taker_per_share
        fee = commission + clearing + exchange * ctx.quantity
        fee += commission * self.nyse_fraction + commission * self.finra_fraction
        fee += sec_fee(ctx.side, notional, self.sec_rate)
        fee += trading_activity_fee(ctx.side, ctx.quantity, self.taf_per_share, self.taf_maximum)
        return FeeOut(fee=fee + self.cat_per_share * ctx.quantity)

    def _added(self, ctx: FeeArgs) -> float:
        """Return what the fill adds to the commission of its order."""
        before = ctx.order_filled_quantity
        start = max(ctx.month_quantity - before, 0.0)
        earlier = self._commission(start, before, abs(ctx.order_notional))
        together = abs(ctx.order_notional) + abs(ctx.notional)
        return max(self._commission(start, before + ctx.quantity, together) - earlier, 0.0)

    def _commission(self, start: float, quantity: float, notional: float) -> float:
        """Return the commission of an order that filled so much, begun after `start` shares of the month."""
        if quantity <= 0.0:
            return 0.0
        per_share = marginal(self.limits, self.rates, start, quantity)
        return min(max(per_share, self.minimum), self.maximum_fraction * notional)
