"""Targets: how many units take a position to a weight, a value or a quantity.

A size is made from the equity of now and the last price that the strategy can read. Values are of the base
currency; what a lot of an instrument of another one is worth is converted first. What is cut towards zero to
whole lots is the position that it leads to or the order, as `target_rounding` says. Market orders that still
work count as filled, unless `target_orders` leaves them out.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ml4t.reference.plan import Instrument

__all__ = ["cash_units", "lots_for_value", "whole_lots"]


def lots_for_value(value: Fraction, lot_value: int, instrument: Instrument) -> int | None:
    """Return the signed units that are worth `value`, rounded toward zero to lots that are worth `lot_value`.

    Both are cash units of the base currency. None where a lot is worth nothing: then nothing has a size.
    """
    return None if lot_value == 0 else int(value / lot_value) * instrument.lot


def whole_lots(units: Fraction | int, instrument: Instrument) -> int:
    """Cut a quantity towards zero to whole lots."""
    return int(Fraction(units) / instrument.lot) * instrument.lot


def cash_units(value: Decimal) -> Fraction:
    """Return an amount of money as a strategy writes it, in cash units."""
    return Fraction(value) * 10**18
