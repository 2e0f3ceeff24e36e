"""Slippage as a fixed fraction of the price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import SlippageOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import SlippageArgs


@attrs.frozen
class FixedFraction(Checked):
    """Every fill loses the same fraction of its reference price.

    Parameters
    ----------
    fraction : float
        Slippage per unit of price, 0 to 1: 0.001 moves a fill at 50.00 by 0.05. A negative price loses as
        much as the positive one of the same size.

    Raises
    ------
    ConfigError
        If `fraction` is not a number from 0 to 1.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> ctx = SlippageArgs(ts_ns=0, side=-1, quantity=100.0, reference_price=50.0)
    >>> FixedFraction(0.001).evaluate(ctx).price_adjustment
    0.05
    """

    fraction: float = attrs.field(converter=number)

    native_builtin: ClassVar[str] = "fixed_fraction"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the fraction."""
        yield from outside(values, "fraction", high=1.0)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer the fraction of the size of the price."""
        return SlippageOut(price_adjustment=abs(ctx.reference_price) * self.fraction)
