"""Margin by the worst of many moves, as of portfolio margin accounts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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

__all__ = ["PortfolioMargin"]

MOST_POINTS = 1_000
# Where an instrument belongs: number of its underlying and that one's moves; and its own minimum.
Place = tuple[int, float, float, float]


def _pair(value: Any) -> Any:  # noqa: ANN401 - two numbers, or what the check is to refuse
    return tuple(number(each) for each in value) if isinstance(value, list | tuple) else value


def _moves(value: Any) -> Any:  # noqa: ANN401 - a table, or what the check is to refuse
    return as_table(value, _pair)


def _numbers(value: Any) -> Any:  # noqa: ANN401 - a table, or what the check is to refuse
    return as_table(value, number)


def _texts(value: Any) -> Any:  # noqa: ANN401 - a table, or what the check is to refuse
    return as_table(value, lambda item: item)


def _is_range(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    if not all(isinstance(each, float) and math.isfinite(each) for each in value):
        return False
    return bool(-1 <= value[0] < 0 < value[1])


def _is_amount(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value >= 0


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


@attrs.frozen
class PortfolioMargin(InLibrary, Checked):
    """The worst loss of each underlying over a table of moves of its price, added up.

    Values, quantity x |mark| x multiplier x fx, of one underlying net. Its loss at a move m is `-net * m`,
    for `points` moves at equal distances from the lowest to the highest of its class; it needs the worst,
    which is at an end of the range as long as there are no options, and at least the sum of |quantity| x
    `minimum` x fx of its holdings. The holdings that lose in the worst move share that in proportion, or each
    needs its own minimum; a perfect hedge without one needs nothing. Nothing is tested at the close.

    What closing a part of a hedge frees is not in proportion: a liquidation may take several rounds.

    Parameters
    ----------
    moves : dict of str to (float, float)
        Classes of underlyings: the lowest and the highest move of each, fractions below and above 0.
    points : int
        Moves of a table, 2 to 1,000.
    classes : dict of str to str
        Class of an underlying; those that are not named have that of `default`.
    underlyings : dict of str to str
        Underlying of a symbol; those that are not named are their own.
    default : str
        Class of every other underlying.
    minimum : dict of str to float
        Least amount per contract by symbol, in the instrument's currency, 0 or more; none for other symbols.
    initial : float
        What opening needs, as a multiple of what holding needs; 1 or more.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: FINRA rule 4210(g), and OCC's Theoretical Intermarket Margin System: ten moves, of +-15 % for
    stocks and narrow indices, +6 % and -8 % for broad indices of large companies, +-10 % for other ones. A
    least amount a contract is a `minimum`; no number is given here, because brokers and rules have their own.
    Where we differ: classes do not offset each other.

    Examples
    --------
    >>> from ml4t.core.models import Holding, MarginArgs
    >>> held = (Holding(quantity=100.0, mark=50.0), Holding(quantity=-40.0, mark=100.0, asset=1))
    >>> ctx = MarginArgs(ts_ns=0, cash=5e3, equity=6e3, holdings=held)
    >>> PortfolioMargin().evaluate(ctx)
    MarginOut(initial=1350.0, maintenance=1350.0, requirement=(750.0, 600.0), overnight=nan)
    >>> hedged = PortfolioMargin(underlyings={"A": "X", "B": "X"}).with_symbols(["A", "B"])
    >>> hedged.evaluate(ctx)
    MarginOut(initial=150.0, maintenance=150.0, requirement=(150.0, 0.0), overnight=nan)
    """

    moves: Mapping[str, tuple[float, float]] = attrs.field(
        default=FrozenMapping({"stock": (-0.15, 0.15), "index": (-0.08, 0.06), "small_cap": (-0.10, 0.10)}),
        converter=_moves,
        kw_only=True,
    )
    points: int = attrs.field(default=10, kw_only=True)
    classes: Mapping[str, str] = attrs.field(default=FrozenMapping(), converter=_texts, kw_only=True)
    underlyings: Mapping[str, str] = attrs.field(default=FrozenMapping(), converter=_texts, kw_only=True)
    default: str = attrs.field(default="stock", kw_only=True)
    minimum: Mapping[str, float] = attrs.field(default=FrozenMapping(), converter=_numbers, kw_only=True)
    initial: float = attrs.field(default=1.0, converter=number, kw_only=True)
    bound: tuple[Place, ...] | None = internal(None)  #: by instrument of the run

    native_symbol: ClassVar[str] = "ml4t_margin_portfolio"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check ranges and names."""
        moves = values.get("moves")
        known = tuple(str(name) for name in moves) if isinstance(moves, Mapping) else ()
        yield from refused(values, "moves", "a move below 0, from -1, and one above 0", _is_range)
        yield from refused(values, "underlyings", "a text", _is_name)
        yield from refused(values, "minimum", "an amount of 0 or more", _is_amount)
        if known:
            one = f"one of the classes {', '.join(known)}"
            yield from refused(values, "classes", one, lambda name: _is_name(name) and name in known)
            default: object = values.get("default", known[0])
            if default not in known:
                yield Finding(
                    path="default", message=f"expected {one}, found {default!r}", found=repr(default)
                )
        elif isinstance(moves, Mapping):
            yield Finding(path="moves", message="expected at least one class, found none", found="{}")
        points: object = values.get("points", 2)
        if type(points) is not int or not 2 <= points <= MOST_POINTS:
            message = f"expected a whole number from 2 to {MOST_POINTS}, found {points!r}"
            yield Finding(path="points", message=message, found=repr(points))
        yield from outside(values, "initial", low=1.0)

    def with_symbols(self, symbols: Sequence[str]) -> PortfolioMargin:
        """Return the model for a run with these symbols, in the sequence of their indices."""
        names = [self.underlyings.get(symbol, symbol) for symbol in symbols]
        numbers: dict[str, int] = {}
        places = []
        for symbol, name in zip(symbols, names, strict=True):
            down, up = self.moves[self.classes.get(name, self.default)]
            least = self.minimum.get(symbol, 0.0)
            places.append((numbers.setdefault(name, len(numbers)), down, up, least))
        return attrs.evolve(self, bound=tuple(places))

    def native_values(self) -> list[float | None]:
        """Return the numbers, the moves of `default`, and the places of the instruments."""
        mark = mark_of(self.bound, needed=self._goes_by_symbol)
        numbers = [self.initial, float(self.points), *self.moves[self.default], mark]
        return [*numbers, *(float(each) for place in self.bound or () for each in place)]

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If `classes`, `underlyings` or `minimum` are given and the symbols of the run are not known, see
            `with_symbols`.
        """
        places = [self._place(holding) for holding in ctx.holdings]
        members: dict[int, list[int]] = {}
        for k, (underlying, *_) in enumerate(places):
            members.setdefault(underlying, []).append(k)
        requirement = [0.0] * len(places)
        maintenance = 0.0
        for held in members.values():
            _, down, up, _ = places[held[0]]
            needed, shares = self._needed(
                [ctx.holdings[k] for k in held], (down, up), [places[k][3] for k in held]
            )
            maintenance += needed
            for k, share in zip(held, shares, strict=True):
                requirement[k] = share
        return MarginOut(self.initial * maintenance, maintenance, tuple(requirement), math.nan)

    @property
    def _goes_by_symbol(self) -> bool:
        return bool(self.classes or self.underlyings or self.minimum)

    def _place(self, holding: Holding) -> Place:
        down, up = self.moves[self.default]
        needed = "classes, underlyings or minimum" if self._goes_by_symbol else ""
        alone = (holding.asset, down, up, 0.0)
        return of_instrument(self, self.bound, holding.asset, otherwise=alone, needed=needed)

    def _needed(
        self, holdings: list[Holding], moves: tuple[float, float], minimum: list[float]
    ) -> tuple[float, list[float]]:
        """Return what the holdings of one underlying need together, and each of it."""
        values = [each.quantity * abs(each.mark) * each.multiplier * each.fx for each in holdings]
        least = [abs(each.quantity) * one * each.fx for each, one in zip(holdings, minimum, strict=True)]
        worst, move = self._worst(_sum(values), moves)
        if (floor := _sum(least)) > worst:
            return floor, least
        losses = [max(0.0, -(value * move)) for value in values]
        together = _sum(losses)
        return worst, [loss * worst / together if together > 0.0 else 0.0 for loss in losses]

    def _worst(self, net: float, moves: tuple[float, float]) -> tuple[float, float]:
        """Return the worst loss of an underlying, and at which move."""
        down, up = moves
        worst, at, last = 0.0, 0.0, self.points - 1
        for k in range(self.points):
            move = up if k == last else down + (up - down) * k / last
            loss = -(net * move)
            if loss > worst:
                worst, at = loss, move
        return worst, at


def _sum(values: list[float]) -> float:
    """Add in sequence, as the library does: `sum` compensates from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total
