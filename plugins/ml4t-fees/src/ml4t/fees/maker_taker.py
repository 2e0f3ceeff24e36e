"""A fee in proportion to the notional, by who provided the liquidity."""

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
class MakerTaker(Checked):
    """A fill of an order that rested costs one fraction of its notional, any other fill another.

    Parameters
    ----------
    maker : float
        Fraction of the notional for a fill that provided liquidity, -1 to 1; below 0 it is a rebate.
    taker : float
        The same for a fill that took it.

    Raises
    ------
    ConfigError
        If a parameter is not a number from -1 to 1.

    Notes
    -----
    Who is maker is said by the matching rules, or by the fill model: a limit order that rested before it
    traded. A rebate is a negative fee, which adds to cash.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> fill = FeeArgs(ts_ns=0, side=1, quantity=2.0, price=500.0, notional=1000.0, liquidity="maker")
    >>> MakerTaker(-0.0001, taker=0.0005).evaluate(fill)
    FeeOut(fee=-0.1)
    """

    maker: float = attrs.field(converter=number)
    taker: float = attrs.field(converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "maker_taker"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("maker", "taker"):
            yield from outside(values, name, low=-1.0, high=1.0)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer the fraction of the size of the notional."""
        rate = self.maker if ctx.liquidity == "maker" else self.taker
        return FeeOut(fee=abs(ctx.notional) * rate)
