"""Targets: how many units take a position to a weight, a value or a quantity.

A size is made from the equity of now and the last price that the strategy can read, and is rounded toward
zero to whole lots, so that an order never exceeds what was asked for. Market orders that still work count as
filled.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ml4t.reference.plan import Instrument

__all__ = ["lots_for_value"]


def lots_for_value(value: Fraction, price: int, instrument: Instrument) -> int | None:
    """Return the signed units that are worth `value` cash units at a price, rounded toward zero to lots.

    None where the price is zero, at which nothing has a size.
    """
    worth = instrument.worth(price, instrument.lot)
    if worth == 0:
        return None
    lots = value / worth
    whole = abs(lots.numerator) // lots.denominator
    return (whole if lots > 0 else -whole) * instrument.lot


def cash_units(value: Decimal) -> Fraction:
    """Return an amount of money as a strategy writes it, in cash units."""
    return Fraction(value) * 10**18
