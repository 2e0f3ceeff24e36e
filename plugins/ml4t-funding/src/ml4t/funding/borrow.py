"""What short positions pay for the shares they borrowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import BorrowOut, number, outside
from ml4t.core.structuring import Checked
from ml4t.funding.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import BorrowArgs

__all__ = ["BorrowFee", "IbkrBorrow"]

TOLERANCE = 1e-14  #: what a product of two decimals may be off by, as a part of it
MOST_DECIMALS = 4


def _optional(value: Any) -> Any:  # noqa: ANN401 - a float, None, or what `outside` is to refuse
    return None if value is None else number(value)


def _rate_of(model: BorrowFee | IbkrBorrow, ctx: BorrowArgs) -> float:
    """Return the constant rate, or where there is none that of the data."""
    rate = ctx.rate_annual if model.rate is None else model.rate
    if math.isnan(rate):
        msg = (
            f"{type(model).__name__} needs a borrow rate, and none was in force at the close before; give "
            "rate, or rows of borrow rates from then on"
        )
        raise ModelError(msg)
    return rate


@attrs.frozen
class BorrowFee(InLibrary, Checked):
    """A short position pays a yearly rate on what it is worth, for every calendar day.

    `settlement price * quantity * multiplier * rate * days / day_count`

    Parameters
    ----------
    rate : float or None
        A fraction per year, below zero for a rebate; None takes the one that the borrow rates of the run
        have in force.
    day_count : float
        Days of a year, 360 or 365.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Examples
    --------
    >>> from ml4t.core.models import BorrowArgs
    >>> ctx = BorrowArgs(ts_ns=0, price=50.0, quantity=100.0, days=3.0)
    >>> BorrowFee(0.12, day_count=360).evaluate(ctx)
    BorrowOut(fee=5.0)
    """

    rate: float | None = attrs.field(default=None, converter=_optional)
    day_count: float = attrs.field(default=360.0, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_funding_borrow_fee"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "rate", low=-math.inf)
        yield from outside(values, "day_count", above=True)

    def evaluate(self, ctx: BorrowArgs, /) -> BorrowOut:
        """Answer for the days between two closes.

        Raises
        ------
        ModelError
            If no rate is given or in force.
        """
        rate = _rate_of(self, ctx)
        value = abs(ctx.price) * ctx.quantity * ctx.multiplier
        return BorrowOut(fee=value * rate * ctx.days / self.day_count)


@attrs.frozen
class IbkrBorrow(InLibrary, Checked):
    """Interactive Brokers' borrow fee: on collateral that is rounded up, per share.

    The collateral of a share is `collateral` times the settlement price, rounded up to `decimals`; the
    position pays `collateral of a share * quantity * multiplier * rate * days / day_count`.

    Parameters
    ----------
    rate : float or None
        A fraction per year; None takes the one that the borrow rates of the run have in force.
    collateral : float
        1.02 for USD and CAD; 1.05 for EUR, GBP, CHF and HKD.
    decimals : int
        0 rounds up to whole units of currency (USD and CAD), 2 to hundredths (the others).
    day_count : float
        Days of a year.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Interactive Brokers, "Overview of Fees for Shorting Stock" (knowledge base) and its guide to
    reports, "Borrow Fee Details": 102 % of the prior settlement price, rounded up to the next dollar. 100,000
    shares that settled at 0.25 and cost 50 % pay 138.89 a day. A holding that settles on Friday pays three
    days.

    Examples
    --------
    >>> from ml4t.core.models import BorrowArgs
    >>> ctx = BorrowArgs(ts_ns=0, price=0.25, quantity=100_000.0, days=1.0)
    >>> round(IbkrBorrow(0.5).evaluate(ctx).fee, 2)
    138.89
    """

    rate: float | None = attrs.field(default=None, converter=_optional)
    collateral: float = attrs.field(default=1.02, converter=number, kw_only=True)
    decimals: int = attrs.field(default=0, kw_only=True)
    day_count: float = attrs.field(default=360.0, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_funding_ibkr_borrow"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from outside(values, "rate", low=-math.inf)
        for name in ("collateral", "day_count"):
            yield from outside(values, name, above=True)
        decimals = values.get("decimals", 0)
        if type(decimals) is not int or not 0 <= decimals <= MOST_DECIMALS:
            message = f"expected a whole number from 0 to {MOST_DECIMALS}, found {decimals!r}"
            yield Finding(path="decimals", message=message, found=repr(decimals))

    def evaluate(self, ctx: BorrowArgs, /) -> BorrowOut:
        """Answer for the days between two closes.

        Raises
        ------
        ModelError
            If no rate is given or in force.
        """
        rate = _rate_of(self, ctx)
        steps = 10.0**self.decimals
        exact = abs(ctx.price) * self.collateral * steps
        down = exact - exact * TOLERANCE
        collateral = (math.ceil(down) if math.isfinite(down) else down) / steps
        fee = collateral * ctx.quantity * ctx.multiplier * rate * ctx.days / self.day_count
        return BorrowOut(fee=fee)
