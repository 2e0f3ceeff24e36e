"""A run on both engines, whose tables are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Engine, Results
from ml4t.core.schemas import TABLES

from .helpers import Dated, Step

Made = Any
Go = Callable[..., Results]


@pytest.fixture(scope="session")
def go(engine: Callable[..., Engine]) -> Go:
    """Return a function that runs a plan of orders on both engines and returns the results of the first."""

    def go(
        plan: Mapping[str, Sequence[Step]], feeds: DataFeed | Sequence[DataFeed], **parts: Made
    ) -> Results:
        runs = []
        for name in ("rust", "reference"):
            backtest = {**parts.get("backtest", {}), "engine": name}
            made = engine(lambda: Dated(plan), feeds, **{**parts, "backtest": backtest})
            runs.append(made.run())
        for table in TABLES:
            assert runs[0].table(table).equals(runs[1].table(table)), table
        return runs[0]

    return go
