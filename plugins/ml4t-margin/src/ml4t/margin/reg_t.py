"""Margin of US stock accounts: Regulation T, and what FINRA asks for holding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import MarginOut, number, outside
from ml4t.core.structuring import Checked, internal
from ml4t.core.values import FrozenMapping
from ml4t.margin.library import InLibrary
from ml4t.margin.symbols import as_table, mark_of, of_instrument, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml4t.core.models import Holding, MarginArgs

__all__ = ["RegT"]

# FINRA 4210(c): what a share sold short needs at least, from this price on and below it.
FROM_PRICE, FROM_LEAST, BELOW_LEAST = 5.0, 5.0, 2.5


def _optional(value: Any) -> Any:  # noqa: ANN401 - a float, None, or what `outside` is to refuse
    return None if value is None else number(value)


def _special(value: Any) -> Any:  # noqa: ANN401 - a table, or what the check is to refuse
    return as_table(value, number)


def _is_fraction(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and math.isfinite(value) and value > 0


@attrs.frozen
class RegT(InLibrary, Checked):
    """US Regulation T and FINRA rule 4210: half to open, a quarter (longs) or 30 % (shorts) to hold.

    Per unit, at the size p of the mark and in the instrument's currency:

    - to hold, longs `maintenance_long * p`; shorts `max(maintenance_short * p, 5)` where p is 5 or more, else
      `max(p, 2.5)`;
    - to open, `intraday * p`, or `initial * p` where `intraday` is None, and never less than to hold;
    - overnight, at the close of a session, `initial * p`.

    Each times |quantity| x multiplier x fx, and added up. Of the 150 % of a short sale its proceeds are 100:
    they are in the cash, what is owed is taken off, and equity is as before; so that shorts need `initial` of
    it too. Every instrument is taken for a stock.

    Parameters
    ----------
    initial : float
        Fraction of the value, up to 1.
    maintenance_long, maintenance_short : float
        Fractions of the value; that of longs is at most `initial`.
    intraday : float or None
        Fraction that opens a position before the close; None for `initial`.
    special : dict of str to float
        House requirements by symbol, which take the place of each fraction above that is smaller. Symbols
        that a run does not have are passed over.

    Attributes
    ----------
    has_sma : bool
        The test at the close goes by a special memorandum account.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Federal Reserve, Regulation T, 12 CFR 220.12: half of a long, 150 % of a short; FINRA rule
    4210(c): what holds them; Interactive Brokers, "Reg T Margin" with its example: 10,000 and 500 shares
    bought at 40. The least equity of 2,000 of rule 4210(b) and the rules for day traders are no part of this.

    Examples
    --------
    >>> from ml4t.core.models import Holding, MarginArgs
    >>> held = (Holding(quantity=500.0, mark=45.0),)
    >>> RegT().evaluate(MarginArgs(ts_ns=0, cash=-10_000.0, equity=12_500.0, holdings=held))
    MarginOut(initial=11250.0, maintenance=5625.0, requirement=(5625.0,), overnight=11250.0)
    """

    initial: float = attrs.field(default=0.5, converter=number)
    maintenance_long: float = attrs.field(default=0.25, converter=number, kw_only=True)
    maintenance_short: float = attrs.field(default=0.30, converter=number, kw_only=True)
    intraday: float | None = attrs.field(default=None, converter=_optional, kw_only=True)
    special: Mapping[str, float] = attrs.field(default=FrozenMapping(), converter=_special, kw_only=True)
    bound: tuple[float, ...] | None = internal(None)  #: of `special`, by instrument of the run

    has_sma: ClassVar[bool] = True
    native_symbol: ClassVar[str] = "ml4t_margin_reg_t"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        for name in ("initial", "maintenance_long", "intraday"):
            yield from outside(values, name, high=1.0, above=True)
        yield from outside(values, "maintenance_short", above=True)
        yield from refused(values, "special", "a fraction above 0", _is_fraction)
        opening, holding = (values.get(name) for name in ("initial", "maintenance_long"))
        if _is_fraction(opening) and _is_fraction(holding) and holding > opening:
            message = f"expected at most initial, which is {opening!r}, found {holding!r}"
            yield Finding(path="maintenance_long", message=message, found=repr(holding))

    def with_symbols(self, symbols: Sequence[str]) -> RegT:
        """Return the model for a run with these symbols, in the sequence of their indices."""
        return attrs.evolve(self, bound=tuple(self.special.get(symbol, 0.0) for symbol in symbols))

    def native_values(self) -> list[float | None]:
        """Return the fractions, and those of `special` by instrument."""
        fractions = [self.initial, self.maintenance_long, self.maintenance_short, self.intraday]
        return [*fractions, mark_of(self.bound, needed=bool(self.special)), *(self.bound or ())]

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If `special` is given and the symbols of the run are not known, see `with_symbols`.
        """
        initial = maintenance = overnight = 0.0
        opening = self.initial if self.intraday is None else self.intraday
        requirement = []
        for holding in ctx.holdings:
            price = abs(holding.mark)
            size = abs(holding.quantity) * holding.multiplier * holding.fx
            least = self._special(holding) * price
            held = self._to_hold(holding, price, least) * size
            initial += max(max(opening * price, least) * size, held)
            overnight += max(self.initial * price, least) * size
            maintenance += held
            requirement.append(held)
        return MarginOut(initial, maintenance, tuple(requirement), overnight)

    def _special(self, holding: Holding) -> float:
        needed = "special" if self.special else ""
        return of_instrument(self, self.bound, holding.asset, otherwise=0.0, needed=needed)

    def _to_hold(self, holding: Holding, price: float, least: float) -> float:
        """Return what holding one unit needs."""
        if not holding.quantity < 0.0:
            return max(self.maintenance_long * price, least)
        if price >= FROM_PRICE:
            return max(max(self.maintenance_short * price, FROM_LEAST), least)
        return max(max(price, BELOW_LEAST), least)
