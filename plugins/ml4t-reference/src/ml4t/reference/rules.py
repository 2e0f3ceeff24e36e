"""Position rules: stops and targets that the venue keeps for every position.

A rule is a resting order. It is placed when a position opens, follows its size and its average entry, and
goes when the position does; the first that fills takes the others with it. It acts without latency and meets
the rest of the bar in which the position was opened.

=============  =====  ==============================  ==============================
rule           order  level of a long position        of a short one
=============  =====  ==============================  ==============================
stop loss      stop   average entry x (1 - fraction)  average entry x (1 + fraction)
take profit    limit  average entry x (1 + fraction)  average entry x (1 - fraction)
trailing stop  stop   best x (1 - fraction)           best x (1 + fraction)
=============  =====  ==============================  ==============================

`best` is the highest (lowest) price of the bars completed since the entry, the bar of the entry included, or
the average entry where that is better. A trailing stop never goes back. Levels are rounded to the tick that
is farther away from the entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, DataError, OrderError, unknown_name
from ml4t.core.types import OrderType
from ml4t.core.values import to_decimal
from ml4t.reference.numbers import LARGEST_STEP, checked, half_even
from ml4t.reference.plan import Instrument

__all__ = ["KINDS", "Rule", "Trail", "level", "read_rules"]

# In the sequence in which their orders are placed.
KINDS = {"stop_loss": OrderType.STOP, "take_profit": OrderType.LIMIT, "trailing_stop": OrderType.STOP}
FRACTION_DECIMALS = 9


@attrs.frozen
class Rule:
    """A kind of rule and its fraction of a price."""

    kind: str
    fraction: Fraction

    @property
    def order_type(self) -> OrderType:
        """Type of the order that the rule keeps."""
        return KINDS[self.kind]


@attrs.define
class Trail:
    """What is remembered of the market since a position was entered: its best price, in price units."""

    is_long: bool
    best: int | None = None

    def see(self, high: int, low: int) -> None:
        """Take the prices of a piece of data that is complete."""
        if self.is_long:
            self.best = high if self.best is None else max(self.best, high)
        else:
            self.best = low if self.best is None else min(self.best, low)

    def scale(self, ratio: Fraction) -> None:
        """Follow a split."""
        self.best = None if self.best is None else half_even(self.best / ratio)


def level(rule: Rule, instrument: Instrument, average: Fraction, trail: Trail, *, is_long: bool) -> Fraction:
    """Return the price of a rule's order, in price units."""
    sign = 1 if is_long else -1
    base = average
    if rule.kind == "trailing_stop" and trail.best is not None and (trail.best - average) * sign > 0:
        base = Fraction(trail.best)
    # A fraction of the size of the price, so that below is below where prices are negative, too.
    size = abs(base) * rule.fraction
    if rule.kind == "take_profit":
        price = _to_tick(base + sign * size, instrument, up=is_long)
    else:
        price = _to_tick(base - sign * size, instrument, up=not is_long)
    return checked(price, LARGEST_STEP, f"the level of the rule {rule.kind} of {instrument.symbol}")


def _to_tick(price: Fraction, instrument: Instrument, *, up: bool) -> Fraction:
    ticks = price / instrument.tick
    whole = -(-ticks.numerator // ticks.denominator) if up else ticks.numerator // ticks.denominator
    return Fraction(whole * instrument.tick)


def read_rules(given: Any) -> tuple[Rule, ...]:  # noqa: ANN401 - whatever the strategy passes
    """Check rules as a strategy sets them, and put them into the sequence of their orders.

    Raises
    ------
    TypeError
        If it is no rule.
    UnknownNameError
        If a rule is of no known kind.
    OrderError
        If a fraction is no number.
    ConfigError
        If a fraction is not above 0, a loss is 1 or more, or a rule is given twice.
    """
    if given is None:
        return ()
    members: Iterable[Any] | None = getattr(given, "rules", None)
    if not isinstance(members, tuple):
        message = f"a position rule or a composite of rules is expected, found {given!r}"
        raise TypeError(message)
    found: dict[str, Rule] = {}
    for member in members:
        kind = getattr(member, "kind", None)
        if kind not in KINDS:
            raise unknown_name("position rule", str(kind), KINDS)  # noqa: EM101
        if kind in found:
            message = f"{kind} is set twice"
            raise ConfigError(message)
        found[kind] = Rule(kind, _fraction(kind, member.pct))
    return tuple(found[kind] for kind in KINDS if kind in found)


def _fraction(kind: str, value: object) -> Fraction:
    try:
        exact = Fraction(to_decimal(value))
    except DataError:
        message = f"{kind}: pct = {value!r} is not a finite number"
        raise OrderError(message) from None
    # A fraction is kept with nine decimals.
    fraction = Fraction(half_even(exact * 10**FRACTION_DECIMALS), 10**FRACTION_DECIMALS)
    below_one = kind != "take_profit"
    if fraction <= 0 or (below_one and fraction >= 1):
        bound = "above 0, below 1" if below_one else "above 0"
        message = f"{kind}: the fraction must be {bound}, found {Decimal(str(value))}"
        raise ConfigError(message)
    return fraction
