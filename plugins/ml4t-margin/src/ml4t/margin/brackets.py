"""Maintenance by brackets of the notional, and the price at which a position is closed."""

from __future__ import annotations

import functools
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import ArgumentError
from ml4t.core.models import number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Tiers",
    "as_tiers",
    "fault_of",
    "liquidation_price",
    "maintenance_amounts",
    "table",
]

Tiers = tuple[tuple[float, float], ...]


def as_tiers(value: Any) -> Any:  # noqa: ANN401 - tiers, or what the check is to refuse
    """Convert a list of pairs of floor and rate to tiers; leave anything else for the check to refuse."""
    if isinstance(value, list | tuple) and all(isinstance(pair, list | tuple) for pair in value):
        return tuple(tuple(number(part) for part in pair) for pair in value)
    return value


def fault_of(tiers: object) -> str:
    """Return what tiers are not and should be, nothing where they are good."""
    if not isinstance(tiers, tuple) or not tiers:
        return "a list of [floor, rate], at least one"
    for pair in tiers:
        is_pair = isinstance(pair, tuple) and len(pair) == 2
        if not is_pair or not all(isinstance(part, float) and math.isfinite(part) for part in pair):
            return "tiers of two finite numbers each, floor and rate"
    if tiers[0][0] != 0 or any(low[0] >= high[0] for low, high in pairwise(tiers)):
        return "floors that ascend from 0"
    rates = [rate for _, rate in tiers]
    if not 0 <= rates[0] <= rates[-1] < 1 or any(low > high for low, high in pairwise(rates)):
        return "rates of 0 or more and below 1 that do not fall"
    return ""


def maintenance_amounts(tiers: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Return what is taken off `notional * rate` in each tier, so that maintenance has no step at its floor.

    `amount_n = floor_n * (rate_n - rate_{n-1}) + amount_{n-1}`, and nothing in the first.

    Parameters
    ----------
    tiers : list of (float, float)
        From which notional on which rate counts: floors ascend from 0, rates do not fall.

    Returns
    -------
    tuple of float
        One for each tier.

    Raises
    ------
    ArgumentError
        If they are no such tiers.

    Notes
    -----
    Source: Binance, "How to Calculate Liquidation Price of USD-M Futures Contracts": "maintenance amount".

    Examples
    --------
    >>> maintenance_amounts([(0, 0.004), (50_000, 0.005), (250_000, 0.01)])
    (0.0, 50.0, 1300.0)
    """
    return tuple(amount for _, _, amount in _checked(tiers))


@functools.lru_cache(maxsize=256)
def table(tiers: Tiers) -> tuple[tuple[float, float, float], ...]:
    """Return floor, rate and maintenance amount of each tier."""
    found: list[tuple[float, float, float]] = []
    before, amount = tiers[0][1], 0.0
    for floor, rate in tiers:
        amount = floor * (rate - before) + amount
        found.append((floor, rate, amount))
        before = rate
    return tuple(found)


def _checked(tiers: Sequence[tuple[float, float]]) -> tuple[tuple[float, float, float], ...]:
    wanted: Tiers = as_tiers(tiers)
    if fault := fault_of(wanted):
        msg = f"tiers = {tiers!r}; expected {fault}"
        raise ArgumentError(msg)
    return table(wanted)


def liquidation_price(
    *,
    wallet: float,
    quantity: float,
    entry_price: float,
    tiers: Sequence[tuple[float, float]],
    other_maintenance: float = 0.0,
    other_unrealized: float = 0.0,
) -> float | None:
    """Return the price at which a position has no more than its maintenance, in whichever tier that is.

    With behind = `wallet - other_maintenance + other_unrealized`, s = 1 for longs and -1 for shorts, q =
    |quantity|, and rate and amount of the tier in which the price is (see `maintenance_amounts`):
    `(behind + amount - s * q * entry_price) / (q * rate - s * q)`.

    Equity less maintenance is continuous in the price, rises with it for longs and falls for shorts, so that
    it is zero at one price; its tier is the last at whose floor a long has nothing left (a short: has some).

    Parameters
    ----------
    wallet : float
        Balance of the wallet, or of an isolated position its own margin.
    quantity : float
        Units, times their multiplier; below zero for shorts.
    entry_price : float
        At which the position was opened.
    tiers : list of (float, float)
        As of `maintenance_amounts`.
    other_maintenance : float
        Maintenance of the other positions; 0 for an isolated one.
    other_unrealized : float
        What those have gained.

    Returns
    -------
    float or None
        None where no price above zero is one.

    Raises
    ------
    ArgumentError
        If they are no tiers, the quantity is zero, or a number is not finite.

    Notes
    -----
    Source: Binance, "How to Calculate Liquidation Price of USD-M Futures Contracts".

    Examples
    --------
    >>> tiers = [(0, 0.004), (50_000, 0.005), (250_000, 0.01)]
    >>> round(liquidation_price(wallet=2_500, quantity=1, entry_price=50_000, tiers=tiers), 6)
    47690.763052
    >>> round(liquidation_price(wallet=2_500, quantity=-1, entry_price=50_000, tiers=tiers), 6)
    52288.557214
    """
    given = {
        "wallet": wallet,
        "quantity": quantity,
        "entry_price": entry_price,
        "other_maintenance": other_maintenance,
        "other_unrealized": other_unrealized,
    }
    for name, value in given.items():
        if not math.isfinite(value) or (name == "quantity" and value == 0):
            wanted = "a finite number" + (" above or below 0" if name == "quantity" else "")
            msg = f"{name} = {value!r}; expected {wanted}"
            raise ArgumentError(msg)
    rows = _checked(tiers)
    behind = wallet - other_maintenance + other_unrealized
    _, rate, amount = rows[0]
    for floor, next_rate, next_amount in rows[1:]:
        # Both at the floor, where the notional is the floor itself.
        gained = math.copysign(floor, quantity) - quantity * entry_price
        left = behind + gained - (floor * next_rate - next_amount)
        if left > 0 if quantity > 0 else left < 0:
            break
        rate, amount = next_rate, next_amount
    price = (behind + amount - quantity * entry_price) / (abs(quantity) * rate - quantity)
    return price if price > 0 else None
