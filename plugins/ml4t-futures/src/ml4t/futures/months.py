"""Delivery months, and the ways in which symbols name them."""

from __future__ import annotations

import datetime as dt
import re

import attrs

from ml4t.core.errors import DataError

__all__ = ["MONTH_CODES", "ContractMonth"]

MONTH_CODES = "FGHJKMNQUVXZ"
"""Letters of January to December, as all exchanges use them (CME Group, "Month Codes")."""

_YEAR = r"(?:19|20|21)\d{2}"
_CODED = re.compile(rf"(?P<root>.*?)[ ._-]?(?P<code>[{MONTH_CODES}])(?P<year>\d{{1,2}}|{_YEAR})")
# Without something between them, digits at the end of a root (SR3) would run into those of the year.
_DATED = re.compile(rf"(?:(?P<root>.+?)[ ._-]|(?P<letters>.*[A-Za-z]))?(?P<year>{_YEAR})-?(?P<month>\d{{2}})")


@attrs.frozen(order=True)
class ContractMonth:
    """The month in which a contract delivers.

    Examples
    --------
    >>> month = ContractMonth.parse("ESZ3", reference_year=2013)
    >>> month.root, str(month), month.code, month.first_day
    ('ES', '2013-12', 'Z', datetime.date(2013, 12, 1))
    """

    year: int
    month: int
    root: str | None = attrs.field(default=None, kw_only=True, eq=False, order=False)  #: where it was named

    @classmethod
    def parse(cls, text: str, *, reference_year: int | None = None) -> ContractMonth:
        """Read a month code (`ESZ3`, `ESZ13`, `ESZ2013`) or a date (`ES 2013-12`, `ES201312`, `2013-12`).

        A year of one or two digits is the one that ends so and lies nearest to `reference_year`: with 2013,
        `Z3` is 2013 and `F4` is 2014. One that lies as far before as after it, such as `Z8` in 2013, is
        refused.

        Raises
        ------
        DataError
            The text names no month, or its year could be several.
        """
        if coded := _CODED.fullmatch(text):
            year = _full_year(text, coded["year"], reference_year)
            return cls(year, MONTH_CODES.index(coded["code"]) + 1, root=coded["root"] or None)
        dated = _DATED.fullmatch(text)
        if dated is None or not 1 <= int(dated["month"]) <= len(MONTH_CODES):
            message = (
                f"{text!r} names no delivery month; allowed are a root with a month code of {MONTH_CODES} "
                "and a year (ESZ3, ESZ13, ESZ2013), or with a year and month (ES 2013-12, ES201312)"
            )
            raise DataError(message)
        return cls(int(dated["year"]), int(dated["month"]), root=dated["root"] or dated["letters"])

    @property
    def code(self) -> str:
        """The letter of the month."""
        return MONTH_CODES[self.month - 1]

    @property
    def first_day(self) -> dt.date:
        """The first day of the month, whether or not it is a session."""
        return dt.date(self.year, self.month, 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


def _full_year(text: str, digits: str, reference: int | None) -> int:
    """Return the year that ends in `digits` and is nearest to the reference."""
    if len(digits) == 4:
        return int(digits)
    if reference is None:
        message = (
            f"the year of {text!r} could be any that ends in {digits}; give reference_year, a year near to "
            "it, or write the year with four digits"
        )
        raise DataError(message)
    span = 10 if len(digits) == 1 else 100
    before = (reference - int(digits)) % span
    after = span - before
    if before == after:
        message = (
            f"the year of {text!r} is {reference - before} or {reference + after}, equally far from "
            f"reference_year {reference}; give another reference_year, or write the year with four digits"
        )
        raise DataError(message)
    return reference - before if before < after else reference + after
