"""What US regulators charge on sales of stocks, as brokers pass it on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ml4t.core.models import outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.errors import Finding

__all__ = ["RATES", "cents_up", "rate_faults", "sec_fee", "trading_activity_fee"]

RATES = ("sec_rate", "taf_per_share", "taf_maximum", "cat_per_share")


def sec_fee(side: int, notional: float, rate: float) -> float:
    """Return the fee of Section 31 of the Exchange Act: a fraction of the value sold; buys are free."""
    return rate * abs(notional) if side < 0 else 0.0


def trading_activity_fee(side: int, quantity: float, per_share: float, maximum: float) -> float:
    """Return FINRA's Trading Activity Fee: money per share sold, at most `maximum`; buys are free.

    The maximum is for a trade, and each execution of an order counts as one.
    """
    return min(per_share * quantity, maximum) if side < 0 else 0.0


def rate_faults(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the rates that models take under the names of `RATES`."""
    yield from outside(values, "sec_rate", high=1.0)
    for name in RATES[1:]:
        yield from outside(values, name)


def cents_up(amount: float) -> int:
    """Return an amount in whole cents, rounded up unless it is whole but for the last bits of a float."""
    return math.ceil(amount * 100.0 - 1e-7)
