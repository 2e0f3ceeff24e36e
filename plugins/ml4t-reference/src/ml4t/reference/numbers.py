"""Numbers: decimal text to integers with an exponent, and the one rounding there is.

A price with exponent 9 is a whole number of 1e-9, a quantity with exponent 0 a whole number of shares, and
cash always a whole number of 1e-18. Market data and answers of models are floats; each is rounded once, half
to even, when it becomes one of these integers.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from ml4t.core.errors import NumericOverflowError

__all__ = [
    "CASH_EXPONENT",
    "CASH_UNIT",
    "LARGEST_CASH",
    "LARGEST_STEP",
    "as_float",
    "cash_float",
    "cash_text",
    "checked",
    "half_even",
    "plain_text",
    "scaled",
]
__all__ += ["units_of_float"]

CASH_EXPONENT = 18
CASH_UNIT = 10**CASH_EXPONENT

# Prices and quantities fit 64 bits, amounts of cash 128 bits; Python integers would not tell.
LARGEST_STEP = 2**63 - 1
LARGEST_CASH = 2**127 - 1

_Number = TypeVar("_Number", int, Fraction)


def scaled(text: str, exponent: int) -> int:
    """Return a decimal text as a whole number of `10**-exponent`; the text never needs more decimals."""
    exact = Fraction(Decimal(text)) * 10**exponent
    if exact.denominator != 1:
        message = f"{text} needs more than {exponent} decimals"
        raise ValueError(message)
    return int(exact)


def half_even(exact: Fraction | int) -> int:
    """Round to the nearest whole number, and halves to the even one."""
    return round(exact)


def units_of_float(value: float, exponent: int) -> int:
    """Return a float as the nearest whole number of `10**-exponent`, halves to even.

    The float is taken for exactly what it is: 0.155 lies a little below 0.155 and becomes 0.15 in cents.
    """
    return half_even(Fraction(value) * 10**exponent)


def as_float(units: int | Fraction, exponent: int) -> float:
    """Return units of `10**-exponent` as the nearest float, for tables, models and strategies."""
    return float(Fraction(units) / 10**exponent)


def checked(units: _Number, largest: int, what: str) -> _Number:
    """Return the number, or refuse one that the integers of the engine cannot hold."""
    if abs(units) > largest:
        message = f"{what} does not fit the integers that hold it"
        raise NumericOverflowError(message)
    return units


def cash_float(units: int | Fraction) -> float:
    """Return an amount of cash as the nearest float."""
    return as_float(units, CASH_EXPONENT)


def cash_text(units: int | Fraction) -> str:
    """Write an amount of cash as sentences show it: the digits of the nearest float, without an exponent."""
    return f"{Decimal(repr(cash_float(units))):f}".removesuffix(".0")


def plain_text(units: int | Fraction, exponent: int) -> str:
    """Write a number in plain digits without useless zeros, as sentences show it: 9.5, 100, -0.25."""
    exact = Fraction(units) / 10**exponent
    if 10**60 % exact.denominator:
        exact = Fraction(half_even(Fraction(units)), 10**exponent)
    sign = "-" if exact < 0 else ""
    digits = 0
    while (exact * 10**digits).denominator != 1:
        digits += 1
    text = str(abs((exact * 10**digits).numerator)).rjust(digits + 1, "0")
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)
