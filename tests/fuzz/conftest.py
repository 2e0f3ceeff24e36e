"""The checkers and markets of the invariants for these tests too, and a cache of calendars of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Tests are imported by file; a package beside this one is found only where the path leads to it.
if (folder := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(folder)

from invariants.conftest import private_cache

__all__ = ["private_cache"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count these tests among the soak tests where the profile is that of `nox -s soak`."""
    if os.environ.get("ML4T_HYPOTHESIS_PROFILE") == "soak":
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker("soak")
