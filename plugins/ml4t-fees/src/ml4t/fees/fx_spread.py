"""What converting one currency into another costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import FxOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import FxArgs


@attrs.frozen
class FxSpread(Checked):
    """A conversion pays half a spread on the middle rate, and a commission with a minimum.

    Parameters
    ----------
    spread : float
        Distance of ask and bid as a fraction of the middle rate, 0 to 1.99: 0.0002 is two basis points, of
        which a conversion pays one.
    commission : float
        Fraction of the value in the base currency, 0 to 1.
    minimum : float
        Least commission of a conversion, in the base currency; 0 or more.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    `Rate = middle x (1 + side x spread / 2)`, side +1 where the foreign currency is bought. Banks and brokers
    publish their spreads and commissions; Interactive Brokers' tiers are 0.2 basis points with a minimum of
    2.00 (`commission=0.00002, minimum=2.0`).

    Examples
    --------
    >>> from ml4t.core.models import FxArgs
    >>> FxSpread(0.01).evaluate(FxArgs(ts_ns=0, amount=1_000.0, rate=1.10, side=1))
    FxOut(rate=1.1055000000000001, fee=0.0)
    """

    spread: float = attrs.field(converter=number)
    commission: float = attrs.field(default=0.0, converter=number, kw_only=True)
    minimum: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "fx_spread"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        # A spread of two would sell a currency for nothing.
        yield from outside(values, "spread", high=1.99)
        yield from outside(values, "commission", high=1.0)
        yield from outside(values, "minimum")

    def evaluate(self, ctx: FxArgs, /) -> FxOut:
        """Answer the rate on the side of the conversion, and the commission."""
        half = ctx.rate * self.spread / 2.0
        rate = ctx.rate + half if ctx.side > 0 else ctx.rate - half
        fee = max(abs(ctx.amount) * ctx.rate * self.commission, self.minimum)
        return FxOut(rate=rate, fee=fee)
