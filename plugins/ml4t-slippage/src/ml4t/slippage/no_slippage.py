"""No slippage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from ml4t.core.models import SlippageOut

if TYPE_CHECKING:
    from ml4t.core.models import SlippageArgs


@attrs.frozen
class NoSlippage:
    """Every fill is at its reference price, whatever its size.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> NoSlippage().evaluate(SlippageArgs(ts_ns=0, side=1, quantity=1e6, reference_price=50.0))
    SlippageOut(price_adjustment=0.0, spread=0.0, quantity_cap=inf)
    """

    native_builtin: ClassVar[str] = "none"
    needs_volume: ClassVar[bool] = False

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer 0."""
        return SlippageOut(price_adjustment=0.0)
