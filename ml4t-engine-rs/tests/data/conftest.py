"""What the tests of market data share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest import datasets

NsOf = Callable[[str], int]


@pytest.fixture(scope="session")
def calendar_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache folder for the run, so that each table is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private_cache(calendar_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the user's cache."""
    monkeypatch.setenv("ML4T_CACHE_DIR", str(calendar_cache))


@pytest.fixture(scope="session")
def prices() -> pl.DataFrame:
    """Return the real daily prices that ship with the package."""
    return datasets.us_equity_daily()


@pytest.fixture(scope="session")
def ns() -> NsOf:
    """Return a function from ISO text with an offset to UTC ns."""

    def convert(text: str) -> int:
        return round(dt.datetime.fromisoformat(text).timestamp()) * 10**9

    return convert
