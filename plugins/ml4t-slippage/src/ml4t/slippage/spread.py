"""Half of a constant bid-ask spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import SlippageOut, number, outside
from ml4t.core.structuring import Checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import SlippageArgs


@attrs.frozen
class Spread(Checked):
    """Every fill pays half of a constant spread, which the fills table shows as `spread`, not as `slippage`.

    Prices of bars and prints are taken for the middle of the market. At a quote nothing is added: the price
    is the far side of the quote and so holds the true half spread.

    Parameters
    ----------
    spread : float or None
        Distance from bid to ask in price units, 0 or more.
    fraction : float or None
        The same as a fraction of the price, 0 to 1. Exactly one of the two is given.

    Raises
    ------
    ConfigError
        If both or none are given, or the one is out of its range.

    Notes
    -----
    With `spread` this is the rule of zipline-reloaded's `FixedSlippage`.

    Examples
    --------
    >>> from ml4t.core.models import SlippageArgs
    >>> ctx = SlippageArgs(ts_ns=0, side=1, quantity=100.0, reference_price=40.0)
    >>> Spread(0.05).evaluate(ctx)
    SlippageOut(price_adjustment=0.0, spread=0.025, quantity_cap=inf)
    >>> Spread(fraction=0.001).evaluate(ctx).spread
    0.02
    """

    spread: float | None = attrs.field(default=None, converter=attrs.converters.optional(number))
    fraction: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )

    native_builtin: ClassVar[str] = "spread"
    needs_volume: ClassVar[bool] = False

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check that one width is given, and its range."""
        if "spread" in values and "fraction" in values:
            given = [name for name in ("spread", "fraction") if values[name] is not None]
            if not given:
                message = "required: the width as spread (price units) or as fraction (of the price)"
                yield Finding(path="spread", message=message, code="missing")
            elif len(given) == 2:
                message = "the width is given twice, as spread and as fraction; keep one"
                yield Finding(path="fraction", message=message, found=repr(values["fraction"]))
        yield from outside(values, "spread")
        yield from outside(values, "fraction", high=1.0)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer half of the width as `spread`."""
        if ctx.phase == "quote":
            return SlippageOut(price_adjustment=0.0)
        width = self.spread
        if width is None:
            # `cross_check` made sure that the other is set.
            width = abs(ctx.reference_price) * (self.fraction or 0.0)
        return SlippageOut(price_adjustment=0.0, spread=width / 2.0)
