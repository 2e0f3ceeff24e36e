"""One fee per order."""

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
class PerOrder(Checked):
    """An order costs one amount, charged at its first fill; an order that never fills costs nothing.

    Parameters
    ----------
    fee : float
        Money per order, 0 or more.

    Raises
    ------
    ConfigError
        If `fee` is not a number of 0 or more.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> PerOrder(4.95).evaluate(FeeArgs(ts_ns=0, side=1, quantity=100.0, price=25.0, notional=2500.0))
    FeeOut(fee=4.95)
    """

    fee: float = attrs.field(converter=number)

    native_builtin: ClassVar[str] = "per_order"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range of the fee."""
        yield from outside(values, "fee")

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer the fee at the first fill of an order, 0 at the later ones."""
        return FeeOut(fee=0.0 if ctx.order_filled_quantity > 0.0 else self.fee)
