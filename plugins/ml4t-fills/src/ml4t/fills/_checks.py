"""Checks of parameters: a wrong one is refused with its name, the value found and what is allowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsFloat

from ml4t.core.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def number(value: SupportsFloat) -> Any:  # noqa: ANN401 - a float, or what `outside` is to refuse
    """Turn a number of any kind into a float; leave anything else for `outside` to refuse."""
    given: object = value
    return float(given) if isinstance(given, SupportsFloat) and not isinstance(given, bool) else value


def outside(
    values: Mapping[str, Any], name: str, *, low: float = 0.0, high: float = math.inf, above: bool = False
) -> Iterator[Finding]:
    """Yield a finding unless the parameter is a finite number from `low` (or only above it) to `high`.

    An optional parameter that is not set is None and passes.
    """
    value = values.get(name)
    if value is None:
        return
    is_number = isinstance(value, float) and math.isfinite(value)
    if is_number and low <= value <= high and not (above and value == low):
        return
    bound = f"above {low:g}" if above else f"of {low:g} or more"
    limit = f" and at most {high:g}" if math.isfinite(high) else ""
    message = f"expected a number {bound}{limit}, found {value!r}"
    yield Finding(path=name, message=message, found=repr(value))
