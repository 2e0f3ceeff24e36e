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
from typing import ClassVar

from attrs import field, frozen

__all__ = ["CompositeRule", "PositionRule", "StopLoss", "TakeProfit", "TrailingStop"]


@frozen
class PositionRule:
    """A level at a fraction of a price.

    Attributes
    ----------
    pct : float
        Fraction, not percent: 0.05 is five percent. Losses are below 1.
    """

    kind: ClassVar[str]
    pct: float

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


@frozen
class TrailingStop(PositionRule):
    """Leave when the price falls `pct` below its highest since the entry; rises above its lowest, for shorts.

    The level moves after each completed bar, with its high or low, and never back.
    """

    kind: ClassVar[str] = "trailing_stop"


def _flat(rules: Iterable[PositionRule | CompositeRule]) -> tuple[PositionRule, ...]:
    return tuple(rule for each in rules for rule in each.rules)


@frozen
class CompositeRule:
    """Several rules at once; the first that acts closes the position, and the others go with it."""

    rules: tuple[PositionRule, ...] = field(converter=_flat)
