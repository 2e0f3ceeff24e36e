"""Position rules: data that the engine evaluates natively, as resting orders at the venue.

`broker.set_position_rules` guards every position of the strategy, open and future. What the orders do stands
in the docs under "Position rules"; in the tables they carry the rule's name as tag.

Examples
--------
>>> from ml4t.backtest import CompositeRule, StopLoss, TakeProfit
>>> CompositeRule([StopLoss(pct=0.05), TakeProfit(pct=0.10)])
CompositeRule(rules=(StopLoss(pct=0.05), TakeProfit(pct=0.1)))
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from attrs import field, frozen

from ml4t.core.errors import ConfigError, DataError
from ml4t.core.values import decimal_places, decimal_text, to_decimal

__all__ = ["CompositeRule", "PositionRule", "StopLoss", "TakeProfit", "TrailingStop"]


# As many as the engine keeps of a fraction.
DECIMALS = 9


@frozen
class PositionRule:
    """A level at a fraction of a price.

    Attributes
    ----------
    pct : float
        Fraction, not percent: 0.05 is five percent. Losses are below 1.
    """

    kind: ClassVar[str]
    is_loss: ClassVar[bool] = True
    pct: float = field()

    @pct.validator
    def _refuse_others(self, _: object, value: object) -> None:
        try:
            number = to_decimal(value)
        except DataError:
            number = Decimal(0)
        if number <= 0 or (self.is_loss and number >= 1) or decimal_places(number) > DECIMALS:
            limits = "above 0 and below 1" if self.is_loss else "above 0"
            percent = (
                f"; {decimal_text(number)} percent is {decimal_text(number / 100)}" if number >= 1 else ""
            )
            msg = (
                f"{type(self).__name__}(pct={value!r}): pct is a fraction, {limits}, with at most {DECIMALS} "
                f"decimals{percent}"
            )
            raise ConfigError(msg)

    @property
    def rules(self) -> tuple[PositionRule, ...]:
        """The rule itself."""
        return (self,)


@frozen
class StopLoss(PositionRule):
    """Leave when the price falls `pct` below the average entry; rises above it, for shorts."""

    kind: ClassVar[str] = "stop_loss"


@frozen
class TakeProfit(PositionRule):
    """Leave when the price rises `pct` above the average entry; falls below it, for shorts."""

    kind: ClassVar[str] = "take_profit"
    is_loss: ClassVar[bool] = False


@frozen
class TrailingStop(PositionRule):
    """Leave when the price falls `pct` below its highest since the entry; rises above its lowest, for shorts.

    The level moves after each completed bar, with its high or low, and never back.
    """

    kind: ClassVar[str] = "trailing_stop"


def _flat(rules: Iterable[PositionRule | CompositeRule]) -> tuple[PositionRule, ...]:
    given: Any = rules
    listed = list(given) if isinstance(given, Iterable) else [given]
    for each in listed:
        if not isinstance(each, PositionRule | CompositeRule):
            msg = (
                "CompositeRule takes a list of rules such as [StopLoss(pct=0.05), TakeProfit(pct=0.1)], "
                f"found {each!r}"
            )
            raise ConfigError(msg)
    return tuple(rule for each in listed for rule in each.rules)


@frozen
class CompositeRule:
    """Several rules at once; the first that acts closes the position, and the others go with it."""

    rules: tuple[PositionRule, ...] = field(converter=_flat)
