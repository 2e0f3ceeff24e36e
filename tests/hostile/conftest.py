"""After every bad input a clean run of the same process must be what it always was."""

from __future__ import annotations

import os
from collections.abc import Iterator

import polars as pl
import pytest

from .inputs import by_session, daily, run, tables


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the processes they start, away from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        if "ML4T_CACHE_DIR" not in os.environ:
            patch.setenv("ML4T_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def clean(private_cache: None) -> dict[str, pl.DataFrame]:
    """Return the tables of a clean run, taken before anything went wrong."""
    return tables(run(by_session(daily())))


@pytest.fixture(autouse=True)
def leaves_the_process_as_it_was(clean: dict[str, pl.DataFrame]) -> Iterator[None]:
    """Run cleanly once more after the test and compare."""
    yield
    for name, table in tables(run(by_session(daily()))).items():
        assert table.equals(clean[name]), f"{name} of a clean run differs after this test"
