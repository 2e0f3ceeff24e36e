"""How many random cases the two engines are compared on, and which.

`nox -s tests` draws the same few on every machine, so that a red run is red for everybody; `nox -s soak`
draws a hundred times as many, new ones each time. `ML4T_ORACLE_CASES=1000` asks for so many of each kind,
and `ML4T_ORACLE_SEED=7` for those of one seed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, seed, settings

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = 50  #: examples of the profile that `nox -s tests` loads


def random_cases(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test of random cases that draws so many of them in `nox -s tests`."""
    asked = os.environ.get("ML4T_ORACLE_CASES")
    checks = settings(
        deadline=None,
        database=None,
        max_examples=int(asked) if asked else max(1, count * settings.default.max_examples // TESTS),
        print_blob=True,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
    chosen = os.environ.get("ML4T_ORACLE_SEED")
    return checks if chosen is None else lambda test: seed(int(chosen))(checks(test))
