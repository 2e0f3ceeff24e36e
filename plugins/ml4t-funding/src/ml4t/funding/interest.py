"""What cash earns, and what debt costs."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import InterestOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.funding.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ml4t.core.models import InterestArgs

__all__ = ["CashInterest", "Tiers"]

Tiers = tuple[tuple[float, float], ...]


def _tiers(value: Any) -> Any:  # noqa: ANN401 - tiers, or what the check is to refuse
    """Convert a rate, or a list of pairs of balance and rate, to tiers."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ((0.0, float(value)),)
    if isinstance(value, list | tuple) and all(isinstance(pair, list | tuple) for pair in value):
        return tuple(tuple(number(part) for part in pair) for pair in value)
    return value


@attrs.frozen
class CashInterest(InLibrary, Checked):
    """Cash earns and debt costs by tiers, each part of a balance at the rate of its tier, day by day.

    Proceeds of short sales are kept apart: they are collateral, `cash - short_value` is what is free or owed.
    The payment is `(credit of what is free - debit of what is owed + short_value * short_rate) * days /
    day_count`.

    Parameters
    ----------
    credit, debit : float or list of (balance, rate)
        A rate per year; or tiers, from which balance on which rate counts, the first from 0.
    short_rate : float
        Rate per year on the value of short positions: what a broker pays for the proceeds.
    day_count : float
        Days of a year: 360 for USD and EUR, 365 for GBP.

    Raises
    ------
    ConfigError
        If tiers do not ascend from 0, or a number is none.

    Notes
    -----
    Source: Interactive Brokers, "Interest and Financing" (blended rates): USD 600,000 owed at 6.82 % up to
    100,000 and 6.32 % beyond costs 106.72 a day.

    Examples
    --------
    >>> from ml4t.core.models import InterestArgs
    >>> ctx = InterestArgs(ts_ns=0, cash=-600_000.0, short_value=0.0, days=1.0)
    >>> round(CashInterest(debit=[(0, 0.0682), (100_000, 0.0632)]).evaluate(ctx).payment, 2)
    -106.72
    """

    credit: float | Tiers = attrs.field(default=(), converter=_tiers, kw_only=True)
    debit: float | Tiers = attrs.field(default=(), converter=_tiers, kw_only=True)
    short_rate: float = attrs.field(default=0.0, converter=number, kw_only=True)
    day_count: float = attrs.field(default=360.0, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_funding_cash_interest"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check tiers and numbers."""
        for name in ("credit", "debit"):
            yield from _faults(name, _tiers(values.get(name, ())))
        yield from outside(values, "short_rate", low=-math.inf)
        yield from outside(values, "day_count", above=True)

    def native_values(self) -> list[float | None]:
        """Return both lists with their numbers of tiers before them, and the two numbers."""
        found: list[float | None] = []
        for tiers in (_tiers(self.credit), _tiers(self.debit)):
            found += [float(len(tiers)), *(part for tier in tiers for part in tier)]
        return [*found, self.short_rate, self.day_count]

    def evaluate(self, ctx: InterestArgs, /) -> InterestOut:
        """Answer for the days between two closes."""
        balance = ctx.cash - ctx.short_value
        year = _of_a_year(balance, _tiers(self.credit)) - _of_a_year(-balance, _tiers(self.debit))
        return InterestOut(payment=(year + ctx.short_value * self.short_rate) * ctx.days / self.day_count)


def _of_a_year(balance: float, tiers: Tiers) -> float:
    """Return the interest of a year: each part of the balance at the rate of its tier."""
    total = 0.0
    for k, (start, rate) in enumerate(tiers):
        if balance <= start:
            break
        upto = min(tiers[k + 1][0], balance) if k + 1 < len(tiers) else balance
        total += (upto - start) * rate
    return total


def _faults(name: str, tiers: object) -> Iterator[Finding]:
    def fault(message: str) -> Finding:
        return Finding(path=name, message=f"{message}, found {tiers!r}", found=repr(tiers))

    if not isinstance(tiers, tuple):
        yield fault("expected a rate per year, or a list of [balance, rate]")
        return
    pairs: Sequence[Any] = tiers
    for pair in pairs:
        is_pair = isinstance(pair, tuple) and len(pair) == 2
        if not is_pair or not all(isinstance(part, float) and math.isfinite(part) for part in pair):
            yield fault("expected tiers of two finite numbers each, balance and rate")
            return
    if tiers and (tiers[0][0] != 0 or any(low[0] >= high[0] for low, high in pairwise(pairs))):
        yield fault("expected balances that ascend from 0")
