"""Binance, spot and USD-margined futures."""

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
class _Schedule(Checked):
    """Fractions of the notional for maker and taker, less a discount."""

    needs_volume: ClassVar[bool] = False

    maker: float
    taker: float
    bnb_discount: float

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("maker", "taker"):
            yield from outside(values, name, low=-1.0, high=1.0)
        yield from outside(values, "bnb_discount", high=1.0)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer the fraction of the size of the notional, less the discount."""
        rate = self.maker if ctx.liquidity == "maker" else self.taker
        # A rebate is paid in full.
        kept = 1.0 - self.bnb_discount if rate > 0.0 else 1.0
        return FeeOut(fee=abs(ctx.notional) * rate * kept)


@attrs.frozen
class BinanceSpot(_Schedule):
    """Spot trading at Binance: a fraction of the notional for maker and taker.

    Parameters
    ----------
    maker, taker : float
        Fraction of the notional, -1 to 1; the defaults are those of a regular user (VIP 0).
    bnb_discount : float
        Part of the fee that is remitted, 0 to 1: 0.25 where fees are paid in BNB, 0 where they are not.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Binance, "Fee Rate", spot, regular user: 0.1000 % for maker and taker, 25 % off with BNB (as it
    was in October 2026). Binance takes the fee of a buy from the coins bought, and with BNB from those; here
    all is money of the instrument's currency, of equal worth.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> fill = FeeArgs(ts_ns=0, side=1, quantity=0.5, price=20_000.0, notional=10_000.0)
    >>> BinanceSpot().evaluate(fill), BinanceSpot(bnb_discount=0.25).evaluate(fill)
    (FeeOut(fee=10.0), FeeOut(fee=7.5))
    """

    maker: float = attrs.field(default=0.001, converter=number, kw_only=True)
    taker: float = attrs.field(default=0.001, converter=number, kw_only=True)
    bnb_discount: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "binance_spot"


@attrs.frozen
class BinanceFutures(_Schedule):
    """USD-margined futures at Binance: a fraction of the notional for maker and taker.

    Parameters
    ----------
    maker, taker : float
        Fraction of the notional, -1 to 1; the defaults are those of a regular user (VIP 0).
    bnb_discount : float
        Part of the fee that is remitted, 0 to 1: 0.10 where fees are paid in BNB, 0 where they are not.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Binance, "Futures Fee Structure & Fee Calculations", USD-margined, regular user: 0.02 % maker,
    0.05 % taker, 10 % off with BNB (as it was in October 2026; the taker's was 0.04 % in earlier years).

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> fill = FeeArgs(ts_ns=0, side=1, quantity=1.0, price=10_104.0, notional=10_104.0)
    >>> round(BinanceFutures().evaluate(fill).fee, 9)
    5.052
    """

    maker: float = attrs.field(default=0.0002, converter=number, kw_only=True)
    taker: float = attrs.field(default=0.0005, converter=number, kw_only=True)
    bnb_discount: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "binance_futures"
