"""What is closed of a portfolio that lacks margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import DataError, Finding, ModelError
from ml4t.core.models import LiquidationOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.core.values import parse_duration
from ml4t.margin.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import Holding, LiquidationArgs

__all__ = ["CloseAll", "LargestLoserFirst", "ProRata"]

_MOST_NS = 2**63 - 1


def _optional(value: Any) -> Any:  # noqa: ANN401 - a float, None, or what `outside` is to refuse
    return None if value is None else number(value)


def _ns(grace: object) -> int:
    """Return nanoseconds of a number of them or of a text, below zero for what is neither."""
    if type(grace) is int:
        return grace if grace <= _MOST_NS else -1
    try:
        return parse_duration(grace)
    except DataError:
        return -1


def _needs(model: object, holding: Holding, value: float) -> None:
    if math.isnan(value):
        name = type(model).__name__
        msg = f"{name}: instrument index {holding.asset} lacks requirement or unrealized, which it goes by"
        raise ModelError(msg)


@attrs.frozen
class _Settings(InLibrary, Checked):
    """What every liquidation model can be told."""

    grace: int | str = "0s"
    warn_at: float | None = attrs.field(default=None, converter=_optional)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the settings."""
        grace: object = values.get("grace", 0)
        if _ns(grace) < 0:
            message = f"expected a duration such as 1d or a number of nanoseconds, 0 or more, found {grace!r}"
            yield Finding(path="grace", message=message, found=repr(grace))
        yield from outside(values, "warn_at", high=1.0, above=True)

    @property
    def grace_ns(self) -> int:
        """Time from a call to its deadline, in nanoseconds."""
        return _ns(self.grace)

    def native_values(self) -> list[float | None]:
        """Return what counts for how much is closed: nothing of these."""
        return []


@attrs.frozen
class _Freeing(_Settings):
    """A model that frees what lacks, and a part beyond it."""

    buffer: float = attrs.field(default=0.0, converter=number)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the settings."""
        yield from super().cross_check(values)
        yield from outside(values, "buffer")

    def native_values(self) -> list[float | None]:
        """Return the buffer."""
        return [self.buffer]


@attrs.frozen
class CloseAll(_Settings):
    """Close every position.

    Parameters
    ----------
    grace : str or int
        Time from a call to its deadline, a text such as 1d or nanoseconds; 0s closes at once.
    warn_at : float or None
        Part of the equity, above 0 and up to 1, from which on maintenance is warned of; None: never.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Examples
    --------
    >>> from ml4t.core.models import Holding, LiquidationArgs
    >>> held = (Holding(quantity=500.0, mark=26.0), Holding(quantity=-10.0, mark=90.0, asset=1))
    >>> CloseAll().evaluate(LiquidationArgs(ts_ns=0, cash=-1e4, equity=2e3, deficit=1e3, holdings=held))
    LiquidationOut(close=(500.0, 10.0))
    """

    native_symbol: ClassVar[str] = "ml4t_margin_close_all"

    def evaluate(self, ctx: LiquidationArgs, /) -> LiquidationOut:
        """Answer for one portfolio."""
        return LiquidationOut(tuple(abs(holding.quantity) for holding in ctx.holdings))


@attrs.frozen
class LargestLoserFirst(_Freeing):
    """Close the position that has lost most, then the next, until what lacks is free.

    `deficit * (1 + buffer)` is to be freed. Closing a position frees its requirement, and a part of it that
    part: the last one is closed by `|quantity| * rest / requirement`. Of equal losses the lower index comes
    first. What needs nothing is closed only if nothing else is left and something still lacks.

    Parameters
    ----------
    grace, warn_at
        As of `CloseAll`.
    buffer : float
        Part of the deficit that is freed beyond it.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Examples
    --------
    >>> from ml4t.core.models import Holding, LiquidationArgs
    >>> lost = Holding(quantity=500.0, mark=26.0, unrealized=-7_000.0, requirement=3_250.0)
    >>> gained = Holding(quantity=-10.0, mark=90.0, asset=1, unrealized=100.0, requirement=270.0)
    >>> ctx = LiquidationArgs(ts_ns=0, cash=-1e4, equity=2e3, deficit=1_300.0, holdings=(lost, gained))
    >>> LargestLoserFirst().evaluate(ctx)
    LiquidationOut(close=(200.0, 0.0))
    """

    native_symbol: ClassVar[str] = "ml4t_margin_largest_loser_first"

    def evaluate(self, ctx: LiquidationArgs, /) -> LiquidationOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If requirement or unrealized of a holding is missing.
        """
        held = ctx.holdings
        for holding in held:
            _needs(self, holding, holding.requirement)
            _needs(self, holding, holding.unrealized)
        rest = ctx.deficit * (1.0 + self.buffer)
        close = [0.0] * len(held)
        for k in sorted(range(len(held)), key=lambda k: (held[k].unrealized, held[k].asset)):
            requirement = held[k].requirement
            if not (rest > 0.0 and requirement > 0.0):
                continue
            if requirement <= rest:
                close[k] = abs(held[k].quantity)
                rest -= requirement
            else:
                close[k] = abs(held[k].quantity) * rest / requirement
                rest = 0.0
        if rest > 0.0:
            close = [abs(holding.quantity) for holding in held]
        return LiquidationOut(tuple(close))


@attrs.frozen
class ProRata(_Freeing):
    """Close the same part of every position.

    The part is `deficit * (1 + buffer)` of what all need together, at most all; all where they need nothing.

    Parameters
    ----------
    grace, warn_at
        As of `CloseAll`.
    buffer : float
        Part of the deficit that is freed beyond it.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Examples
    --------
    >>> from ml4t.core.models import Holding, LiquidationArgs
    >>> one = Holding(quantity=500.0, mark=26.0, requirement=3_000.0)
    >>> other = Holding(quantity=-10.0, mark=90.0, asset=1, requirement=1_000.0)
    >>> ctx = LiquidationArgs(ts_ns=0, cash=-1e4, equity=3e3, deficit=1_000.0, holdings=(one, other))
    >>> ProRata().evaluate(ctx)
    LiquidationOut(close=(125.0, 2.5))
    """

    native_symbol: ClassVar[str] = "ml4t_margin_pro_rata"

    def evaluate(self, ctx: LiquidationArgs, /) -> LiquidationOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If the requirement of a holding is missing.
        """
        together = 0.0
        for holding in ctx.holdings:
            _needs(self, holding, holding.requirement)
            together += holding.requirement
        part = 1.0
        if together > 0.0:
            part = max(0.0, min(1.0, ctx.deficit * (1.0 + self.buffer) / together))
        return LiquidationOut(tuple(abs(holding.quantity) * part for holding in ctx.holdings))
