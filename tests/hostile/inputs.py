"""Small markets that are in order, for tests to spoil, and what every refusal is checked for."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Strategy
from ml4t.core.errors import Ml4tError

UTC = dt.UTC
COMMAND = [sys.executable, "-c", "import sys; from ml4t.core.cli import main; sys.exit(main())"]
"""`ml4t` as a process of its own, installed or not."""
DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=UTC)  # 09:30 in New York
TABLES = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")


def daily(symbol: str = "XYZ", /, **columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    """Return four sessions of New York, with columns replaced."""
    good = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 1e6}
    rows: dict[str, Any] = {"session": DAYS, "symbol": [symbol] * 4}
    return pl.DataFrame(rows | {name: [value] * 4 for name, value in good.items()} | columns, strict=False)


def one_bad(name: str, value: object) -> pl.DataFrame:
    """Return the four sessions with one value of the third replaced."""
    good = daily()[name].to_list()
    return daily(**{name: [*good[:2], value, good[3]]})


def minutes(count: int = 4, **columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    """Return minutes from the open of 2 January 2024 in New York."""
    rows: dict[str, Any] = {
        "timestamp": [START + dt.timedelta(minutes=k) for k in range(count)],
        "symbol": ["XYZ"] * count,
        **{name: [10.0] * count for name in ("open", "high", "low", "close")},
        "volume": [1e6] * count,
    }
    return pl.DataFrame(rows | columns, strict=False)


def by_session(frame: object, **options: Any) -> DataFeed:  # noqa: ANN401 - options of a feed
    """Return a feed of daily bars."""
    return DataFeed(frame, **{"stamp": "session", **options})


def by_minute(frame: object, **options: Any) -> DataFeed:  # noqa: ANN401 - options of a feed
    """Return a feed of minutes stamped at their begin."""
    return DataFeed(frame, **{"stamp": "open", "interval": "1m", **options})


class Buys(Strategy):
    """Buys one unit at every instant."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        broker.buy("XYZ", 1)


def run(feed: object, strategy: Any = Buys, **parts: Any) -> Results:  # noqa: ANN401 - what tests pass
    """Run, with the checks of a run at the front door."""
    return Engine(feed, strategy, **parts).run()  # type: ignore[arg-type]


@contextlib.contextmanager
def refused(error: type[BaseException], *parts: str) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """Expect one error of ours that names every part, and is a sentence rather than a dump."""
    with pytest.raises(error) as caught:
        yield caught
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"
    if issubclass(error, Ml4tError):
        # Where a plugin is at fault, its traceback follows the sentence.
        assert len(text.partition("Traceback")[0]) < 1_000, "an error is read by a person"
        assert "}}" not in text


def kept(engine: Engine, caught: pytest.ExceptionInfo[BaseException], status: str = "failed") -> Results:
    """Return what a run that had begun left: reachable in two ways, marked, and consistent."""
    results = engine.results
    assert results is not None, "nothing is lost"
    partial: object = getattr(caught.value, "partial_results", None)
    assert partial is results
    assert results.status == status
    assert status in results.warnings[0]
    assert results.ledger.filter(kind="trade").height == results.fills.height
    return results


def tables(results: Results) -> dict[str, pl.DataFrame]:
    """Return the tables that tell one run from another."""
    return {name: results.table(name) for name in TABLES}
