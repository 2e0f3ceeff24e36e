"""Exact numbers: fractions that lie on a grid, and the few places where something is rounded onto it.

Prices lie on steps of `10**-price_exponent`, quantities on steps of `10**-quantity_exponent`, money on steps
of 1e-18. Sums and differences of numbers on a grid stay on it, and the exponents of price, quantity and
multiplier add up to at most 18, so that their product lies on the grid of money. Whatever else is computed
passes through `half_even`, `toward_zero`, `down` or `up`.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ml4t.core.errors import ModelError, NumericOverflowError

CASH_UNIT = Fraction(1, 10**18)
ZERO = Fraction(0)

# What the integers of an engine must hold: 64 bits of price and quantity steps, 128 bits of cash units.
LARGEST_COUNT = 2**63 - 1
LARGEST_CASH = (2**127 - 1) * CASH_UNIT


def half_even(value: Fraction, step: Fraction) -> Fraction:
    """Return the multiple of `step` nearest to a value; of two equally near ones the even multiple."""
    # Python rounds a Fraction half to even, and exactly.
    return round(value / step) * step


def toward_zero(value: Fraction, step: Fraction) -> Fraction:
    """Return the multiple of `step` next to a value on the side of zero."""
    return int(value / step) * step


def down(value: Fraction, step: Fraction) -> Fraction:
    """Return the largest multiple of `step` that is not above a value."""
    return math.floor(value / step) * step


def up(value: Fraction, step: Fraction) -> Fraction:
    """Return the smallest multiple of `step` that is not below a value."""
    return math.ceil(value / step) * step


def is_multiple(value: Fraction, step: Fraction) -> bool:
    """Tell whether a value lies on the grid of `step`."""
    return (value / step).denominator == 1


def from_market(value: float, step: Fraction, what: str) -> Fraction:
    """Return a price of market data on its grid: the float is taken for exactly the number it is."""
    return checked_count(half_even(Fraction(value), step), step, what)


def from_model(value: float, step: Fraction, what: str) -> Fraction:
    """Return what a model answered on a grid, rounded once.

    Raises
    ------
    ModelError
        If it is not a finite number.
    """
    if not math.isfinite(value):
        msg = f"{what} is {value}; a model answers a finite number"
        raise ModelError(msg)
    return half_even(Fraction(value), step)


def checked_count(value: Fraction, step: Fraction, what: str) -> Fraction:
    """Return a price or a quantity whose count of steps fits 64 bits, or raise NumericOverflowError."""
    if abs(value / step) > LARGEST_COUNT:
        msg = f"{what} = {float(value)} is out of range: it has more than {LARGEST_COUNT} steps of {step}"
        raise NumericOverflowError(msg)
    return value


def checked_cash(value: Fraction, what: str) -> Fraction:
    """Return an amount that fits 128 bits of 1e-18, or raise NumericOverflowError."""
    if abs(value) > LARGEST_CASH:
        msg = f"{what} = {float(value)} is out of range: amounts end at {float(LARGEST_CASH)}"
        raise NumericOverflowError(msg)
    return value
