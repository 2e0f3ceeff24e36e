"""A fee per contract, with an amount and a minimum per order."""

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
class PerContract(Checked):
    """Each contract costs the same, and an order may cost an amount of its own.

    An order with fills pays `max(order_fee + fee * quantity, minimum)`; a fill is charged what it adds to
    that. The contract multiplier does not enter.

    Parameters
    ----------
    fee : float
        Money per contract, 0 or more: commission and what exchange and clearing charge by the contract.
    order_fee : float
        Money per order, charged with its first fill; 0 or more.
    minimum : float
        Least that an order with a fill pays, 0 or more.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    The form is that of zipline-reloaded's `PerContract`, whose `exchange_fee` is `order_fee` here: it, too,
    is charged once per order. Zipline's default for futures is 0.85 per contract.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> order = FeeArgs(ts_ns=0, side=1, quantity=4.0, price=1600.0, multiplier=50.0, notional=320_000.0)
    >>> PerContract(2.15).evaluate(order)
    FeeOut(fee=8.6)
    """

    fee: float = attrs.field(converter=number)
    order_fee: float = attrs.field(default=0.0, converter=number, kw_only=True)
    minimum: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_builtin: ClassVar[str] = "per_contract"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("fee", "order_fee", "minimum"):
            yield from outside(values, name)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its order."""
        if self.minimum == 0.0:
            once = 0.0 if ctx.order_filled_quantity > 0.0 else self.order_fee
            return FeeOut(fee=once + self.fee * ctx.quantity)
        total = self.order_fee + self.fee * (ctx.order_filled_quantity + ctx.quantity)
        return FeeOut(fee=max(max(total, self.minimum) - ctx.order_fees, 0.0))
