"""What every test of the workspace shares: the seed, and how random tests use it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_SEED = 20130301
"""Seed of the random tests unless ``ML4T_TEST_SEED`` names another: the subset is the same each time."""

# `default` draws the same examples on every machine, so that a red run is red for everybody; `soak`
# draws new ones, which is what it is for, and prints how to get them again.
hypothesis.settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, max_examples=50
)
hypothesis.settings.register_profile("soak", deadline=None, print_blob=True, max_examples=5_000)
hypothesis.settings.load_profile(os.environ.get("ML4T_HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count every random test among the soak tests where the profile is that of `nox -s soak`."""
    if os.environ.get("ML4T_HYPOTHESIS_PROFILE") == "soak":
        for item in items:
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                item.add_marker("soak")


def _seed() -> int:
    return int(os.environ.get("ML4T_TEST_SEED", DEFAULT_SEED))


def pytest_report_header() -> str:
    """Print the seed at the top of each run."""
    return f"seed: {_seed()} (ML4T_TEST_SEED)"


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """Return the seed of this run; it is written into the test's record."""
    value = _seed()
    record_property("seed", value)
    return value


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Return a generator that starts at the seed."""
    return np.random.default_rng(seed)
