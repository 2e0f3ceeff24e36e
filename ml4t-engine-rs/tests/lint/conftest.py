"""Frames that are honest until a test spoils them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest.calendars import session_table

Bars = Callable[..., pl.DataFrame]
Minutes = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def calendar_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private_cache(calendar_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML4T_CACHE_DIR", str(calendar_cache))


@pytest.fixture
def bars() -> Bars:
    """A function that makes daily bars from closes: each opens at the close before, without a hole."""

    def make(
        closes: Sequence[float] | int = 24,
        *,
        symbol: str = "A",
        calendar: str = "XNYS",
        start: str = "2024-01-02",
    ) -> pl.DataFrame:
        if isinstance(closes, int):
            # It rises by a cent and falls by two, so that no two rows are alike.
            closes = [round(20 + 0.01 * i + 0.11 * (i % 3), 2) for i in range(closes)]
        first = dt.date.fromisoformat(start)
        labels = session_table(calendar, first, first + dt.timedelta(days=2 * len(closes) + 10)).frame[
            "label"
        ]
        opens = [closes[0], *closes[:-1]]
        return pl.DataFrame(
            {
                "symbol": symbol,
                "session": labels.head(len(closes)),
                "open": opens,
                "high": [round(max(pair) + 0.05, 4) for pair in zip(opens, closes, strict=True)],
                "low": [round(min(pair) - 0.05, 4) for pair in zip(opens, closes, strict=True)],
                "close": closes,
                "volume": [1000.0 + 7 * i for i in range(len(closes))],
            },
            schema_overrides={name: pl.Float64 for name in ("open", "high", "low", "close")},
        )

    return make


@pytest.fixture
def minutes() -> Minutes:
    """A function that makes bars of 30 minutes of New York sessions, stamped at their ends or begins."""

    def make(stamp: str = "close", *, sessions: int = 3, start: str = "2024-01-02") -> pl.DataFrame:
        first = dt.date.fromisoformat(start)
        table = session_table("XNYS", first, first + dt.timedelta(days=20)).frame.head(sessions)
        step = 30 * 60 * 10**9
        stamps = [
            at + (step if stamp == "close" else 0)
            for _, begin, end in table.iter_rows()
            for at in range(begin, end, step)
        ]
        closes = [round(20 + 0.01 * i + 0.11 * (i % 3), 2) for i in range(len(stamps))]
        return pl.DataFrame(
            {
                "symbol": "A",
                "timestamp": pl.Series(stamps, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
                "open": closes,
                "high": [close + 0.05 for close in closes],
                "low": [close - 0.05 for close in closes],
                "close": closes,
                "volume": [1000.0 + i for i in range(len(stamps))],
            }
        )

    return make
