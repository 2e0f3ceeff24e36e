"""A fee in proportion to the notional."""

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
class Fraction(Checked):
    """Each fill costs a fraction of its notional, which is quantity x size of the price x multiplier.

    Parameters
    ----------
    rate : float
        Fee per unit of notional, 0 to 1: 0.001 charges 10 basis points.

    Raises
    ------
    ConfigError
        If `rate` is not a number from 0 to 1.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> Fraction(0.001).evaluate(FeeArgs(ts_ns=0, side=1, quantity=100.0, price=25.0, notional=2500.0))
    FeeOut(fee=2.5)
    """

    rate: float = attrs.field(converter=number)

    native_builtin: ClassVar[str] = "fraction"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the rate."""
        yield from outside(values, "rate", high=1.0)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer the fraction of the size of the notional."""
        return FeeOut(fee=abs(ctx.notional) * self.rate)
