"""No fee."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from ml4t.core.models import FeeOut

if TYPE_CHECKING:
    from ml4t.core.models import FeeArgs


@attrs.frozen
class NoFee:
    """Nothing is charged.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> NoFee().evaluate(FeeArgs(ts_ns=0, side=1, quantity=100.0, price=25.0, notional=2500.0))
    FeeOut(fee=0.0)
    """

    native_builtin: ClassVar[str] = "none"
    needs_volume: ClassVar[bool] = False

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer 0."""
        return FeeOut(fee=0.0)
