"""Targets: how many units take a position to a weight, a value or a quantity.

A size is made from the equity of now and the last price that the strategy can read. What is cut towards zero
to whole lots is the position that it leads to or the order, as `target_rounding` says. Market orders that
still work count as filled, unless `target_orders` leaves them out.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ml4t.reference.plan import Instrument

__all__ = ["cash_units", "lots_for_value", "whole_lots"]


def lots_for_value(value: Fraction, price: int, instrument: Instrument) -> int | None:
    """Return the signed units that are worth `value` cash units at a price, rounded toward zero to lots.

    None where the price is zero, at which nothing has a size.
    """
    worth = instrument.worth(price, instrument.lot)
    if worth == 0:
        return None
    return int(value / worth) * instrument.lot


def whole_lots(units: Fraction | int, instrument: Instrument) -> int:
    """Cut a quantity towards zero to whole lots."""
    return int(Fraction(units) / instrument.lot) * instrument.lot


def cash_units(value: Decimal) -> Fraction:
    """Return an amount of money as a strategy writes it, in cash units."""
    return Fraction(value) * 10**18
