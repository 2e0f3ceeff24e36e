"""Tiers by what was traded in the month: what `Tiered` and the schedules of brokers share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import Finding
from ml4t.core.models import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["marginal", "numbers", "tier", "tier_faults"]


def numbers(values: object) -> Any:  # noqa: ANN401 - a tuple of floats, or what `tier_faults` is to refuse
    """Convert a list of numbers of any kind; leave anything else for `tier_faults` to refuse."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return values
    return tuple(number(value) for value in values)


def tier_faults(values: Mapping[str, Any], *, low: float = 0.0, rates: str = "rates") -> Iterator[Finding]:
    """Yield what is wrong with `limits` and the list that has one entry more, called `rates`."""
    limits, per_tier = values.get("limits"), values.get(rates)
    for name, each, floor in (("limits", limits, 0.0), (rates, per_tier, low)):
        if each is not None and not _all_numbers(each, floor):
            message = f"expected a list of numbers of {floor:g} or more, found {each!r}"
            yield Finding(path=name, message=message, found=repr(each))
            return
    if limits is None or per_tier is None:
        return
    if not all(below < above for below, above in pairwise((0.0, *limits))):
        message = f"expected ends of tiers that grow, the first above 0, found {list(limits)}"
        yield Finding(path="limits", message=message, found=repr(limits))
    if len(per_tier) != len(limits) + 1:
        message = (
            f"expected one entry more than limits has, for what is beyond the last of them: "
            f"{len(limits) + 1}, found {len(per_tier)}"
        )
        yield Finding(path=rates, message=message, found=repr(per_tier))


def marginal(limits: Sequence[float], rates: Sequence[float], start: float, amount: float) -> float:
    """Return what `amount` costs when `start` is used up already: each part at the rate of its tier.

    A tier goes from the limit before it, exclusive, to its own, inclusive.
    """
    total = 0.0
    below = 0.0
    for index, rate in enumerate(rates):
        end = limits[index] if index < len(limits) else math.inf
        within = min(start + amount, end) - max(start, below)
        if within > 0.0:
            total += rate * within
        below = end
    return total


def tier(limits: Sequence[float], used: float) -> int:
    """Return the index of the tier that `used` is in; a limit still belongs to the tier that it ends."""
    return sum(1 for limit in limits if used > limit)


def _all_numbers(values: object, low: float) -> bool:
    return isinstance(values, tuple) and all(
        isinstance(value, float) and math.isfinite(value) and value >= low for value in values
    )
