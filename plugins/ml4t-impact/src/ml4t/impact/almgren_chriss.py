"""The linear impact of Almgren and Chriss, in prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.models import ImpactOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.impact.estimates import price_and_quantity
from ml4t.impact.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding
    from ml4t.core.models import ImpactArgs


@attrs.frozen(kw_only=True)
class AlmgrenChriss(InLibrary, Checked):
    """A fill of n units pays `epsilon + eta * n / tau` per unit, and moves later prices by `gamma * n`.

    All of it is in the price unit of the instrument, for every instrument of the run alike, and needs no
    estimates. `optimal_trajectory` works a quantity optimally against these costs.

    Parameters
    ----------
    gamma : float
        Permanent impact: price per unit, 0 or more.
    eta : float
        Temporary impact: price per unit traded in a unit of time, 0 or more.
    epsilon : float
        Fixed cost of a unit: half of the spread and fees; price, 0 or more.
    tau : float
        Time in which a fill is traded, above 0; in the unit of time of `eta`, and of the volatility of
        `optimal_trajectory`.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Almgren and Chriss (2000), "Optimal execution of portfolio transactions", J. Risk 3(2), sections
    on price dynamics and linear impact functions: S_k = S_(k-1) + noise - tau g(n_k / tau) and a price paid
    of S_(k-1) - h(n_k / tau), with g(v) = gamma v and h(v) = epsilon + eta v.

    Examples
    --------
    >>> from ml4t.core.models import ImpactArgs
    >>> model = AlmgrenChriss(gamma=2**-22, eta=2**-19, epsilon=0.0625)
    >>> model.evaluate(ImpactArgs(ts_ns=0, side=-1, quantity=131_072.0, reference_price=50.0))
    ImpactOut(temporary=0.3125, permanent=0.03125)
    """

    gamma: float = attrs.field(converter=number)
    eta: float = attrs.field(converter=number)
    epsilon: float = attrs.field(default=0.0, converter=number)
    tau: float = attrs.field(default=1.0, converter=number)

    needs_volume: ClassVar[bool] = False

    native_symbol: ClassVar[str] = "ml4t_impact_almgren_chriss"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("gamma", "eta", "epsilon"):
            yield from outside(values, name)
        yield from outside(values, "tau", above=True)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer both parts for the quantity, per unit; nothing for a quantity of 0.

        Raises
        ------
        ModelError
            If price or quantity is missing.
        """
        _, quantity = price_and_quantity(self, ctx)
        if quantity == 0.0:
            return ImpactOut(temporary=0.0)
        temporary = self.epsilon + self.eta * (quantity / self.tau)
        return ImpactOut(temporary=temporary, permanent=self.gamma * quantity)
