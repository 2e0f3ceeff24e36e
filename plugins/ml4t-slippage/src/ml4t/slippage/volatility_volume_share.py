"""Slippage by volatility and the root of our share of the average volume."""

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

SESSIONS_PER_YEAR = 252.0


@attrs.frozen
class VolatilityVolumeShare(Checked):
    """A fill loses `eta * volatility * sqrt(quantity / average volume)` basis points, volatility per year.

    Volatility and average volume go over the last 20 sessions before the present one. All orders on a bar
    together fill at most `volume_limit` of its volume; the remainder goes on working.

    Parameters
    ----------
    volume_limit : float
        Largest share of the volume that all orders together may take, above 0 and at most 1.
    eta : float
        Coefficient, 0 or more: basis points per unit of volatility and root of the share.
    no_history_bps : float
        What a fill loses, in basis points of the price, while there are fewer than two returns or no average
        volume; 0 to 10,000.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: zipline-reloaded, `finance/slippage.py`, `VolatilityVolumeShare`, its default for futures with a
    limit of 0.05: `price * eta * sigma * sqrt(psi) / 10_000`, sigma = sqrt(252) x the standard deviation (n
    - 1) of daily returns, psi = quantity / mean daily volume; 7.5 basis points without history. The default
    of `eta` is the one it uses where it has none for the contract.

    Where we differ: it has an `eta` for each root symbol, here it is a parameter. It takes the middle of the
    bar's high and low for the price, here it is the reference price. It wants 20 whole sessions, here fewer
    do where there were fewer. It gives the share of the volume to each order, here orders share it as they
    do everywhere; and it drops a limit order whose slipped price is worse than its limit, here the policy
    `limit_slippage` decides.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> known = {"average_volume": 10_000.0, "volatility": 0.02}
    >>> ctx = SlippageArgs(ts_ns=0, side=1, quantity=25.0, reference_price=60.0, volume=1000.0, **known)
    >>> out = VolatilityVolumeShare(eta=0.05).evaluate(ctx)
    >>> round(out.price_adjustment * 1e6, 6), out.quantity_cap
    (4.762352, 50.0)
    """

    volume_limit: float = attrs.field(default=0.05, converter=number)
    eta: float = attrs.field(default=0.049018143225019836, converter=number, kw_only=True)
    no_history_bps: float = attrs.field(default=7.5, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "volatility_volume_share"
    needs_volume: ClassVar[bool] = True
    average_days: ClassVar[int] = 20

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "volume_limit", high=1.0, above=True)
        yield from outside(values, "eta")
        yield from outside(values, "no_history_bps", high=10_000.0)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer slippage and cap for the quantity; asked again by the engine when the cap cuts it.

        Raises
        ------
        ModelError
            If the volume is missing.
        """
        if math.isnan(ctx.volume):
            msg = "VolatilityVolumeShare needs volume, which this data lacks; use BasisPoints or Spread"
            raise ModelError(msg)
        cap = max(self.volume_limit * ctx.volume - ctx.volume_used, 0.0)
        bps = self.no_history_bps
        # A comparison with NaN is false.
        if ctx.average_volume > 0.0 and ctx.volatility >= 0.0:
            annual = ctx.volatility * math.sqrt(SESSIONS_PER_YEAR)
            bps = self.eta * annual * math.sqrt(min(ctx.quantity, cap) / ctx.average_volume)
        return SlippageOut(price_adjustment=abs(ctx.reference_price) * bps / 10_000.0, quantity_cap=cap)
