"""A cache of calendars that belongs to the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the processes they start, away from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        if "ML4T_CACHE_DIR" not in os.environ:
            patch.setenv("ML4T_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
