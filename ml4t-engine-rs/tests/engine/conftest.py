"""Small markets written down by hand, and a strategy that does at the n-th call what the n-th step says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, Engine, PITData, Results, Strategy, Timestamp
from ml4t.core.plugins import PluginManager, load_plugins

FIRST_DAY = dt.date(2024, 1, 1)

# A number is a bar that opens, moves and closes there; a tuple is (open, high, low, close[, volume]); None
# is a day without a row.
Price = float | tuple[float, ...] | None


@attrs.frozen
class Now:
    """What `on_data` was given at one call."""

    strategy: Strategy
    timestamp: Any
    data: Any
    context: Any
    broker: Any


Step = Callable[[Now], object]


class Script(Strategy):
    """Does at call n of `on_data`, counted from 0, what step n says, and keeps what the step returned."""

    def __init__(self, steps: Mapping[int, Step], start: Callable[[Strategy], object] | None = None) -> None:
        self.steps = dict(steps)
        self.start = start
        self.times: list[Any] = []
        self.returned: dict[int, Any] = {}

    def on_start(self) -> None:
        if self.start is not None:
            self.start(self)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        step = self.steps.get(len(self.times))
        self.times.append(timestamp)
        if step is not None:
            now = Now(strategy=self, timestamp=timestamp, data=data, context=context, broker=broker)
            self.returned[len(self.times) - 1] = step(now)


@attrs.frozen
class Played:
    """A finished run of a script: what its steps returned, and the results."""

    script: Script
    results: Results

    def __getitem__(self, step: int) -> Any:  # noqa: ANN401 - of many kinds
        return self.script.returned[step]

    @property
    def fills(self) -> list[tuple[str, str, float, float]]:
        """Symbol, side, quantity and price of every fill."""
        return self.results.fills.select("symbol", "side", "quantity", "price").rows()


@pytest.fixture(scope="session")
def calendar_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache folder for the run, so that each session table is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private_cache(calendar_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the user's cache."""
    monkeypatch.setenv("ML4T_CACHE_DIR", str(calendar_cache))


@pytest.fixture(scope="session")
def plugins() -> PluginManager:
    """Return the plugins of the environment, loaded once."""
    return load_plugins()


def _row(symbol: str, day: dt.date, price: Price) -> dict[str, Any] | None:
    if price is None:
        return None
    if not isinstance(price, tuple):
        price = (price, price, price, price)
    opened, high, low, close, volume = (*price, 1e6)[:5]
    names = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return {"symbol": symbol, "session": day, **{name: float(value) for name, value in names.items()}}


@pytest.fixture(scope="session")
def daily() -> Callable[..., DataFeed]:
    """Return a builder of daily bars by symbol, from 1 January 2024 on, on a market that never closes.

    The bar of a day ends at the next midnight, where the next bar opens: an order sent on the close of day n
    fills at the open of day n + 1, at the same instant.
    """

    def build(
        prices: Mapping[str, Sequence[Price]], *, features: object = None, **options: object
    ) -> DataFeed:
        rows = [
            row | ({} if features is None else features(symbol, n))
            for symbol, series in prices.items()
            for n, price in enumerate(series)
            if (row := _row(symbol, FIRST_DAY + dt.timedelta(days=n), price)) is not None
        ]
        return DataFeed(pl.DataFrame(rows), **{"stamp": "session", "calendar": "24/7", **options})

    return build


@pytest.fixture(scope="session")
def engine(plugins: PluginManager) -> Callable[..., Engine]:
    """Return a builder of engines that share the loaded plugins; `broker` holds settings of that section."""

    def build(
        strategy: Strategy,
        feed: DataFeed | Sequence[DataFeed],
        *,
        broker: Mapping[str, Any] | None = None,
        backtest: Mapping[str, Any] | None = None,
        **parts: object,
    ) -> Engine:
        config = {"broker": dict(broker or {}), "backtest": dict(backtest or {})}
        return Engine(feed, strategy, config=config, plugins=plugins, **parts)

    return build


@pytest.fixture(scope="session")
def play(engine: Callable[..., Engine]) -> Callable[..., Played]:
    """Return a function that runs steps by their number on a feed."""

    def go(steps: Mapping[int, Step], feed: DataFeed, *, start: object = None, **parts: object) -> Played:
        script = Script(steps, start)
        return Played(script, engine(lambda: script, feed, **parts).run())

    return go


@pytest.fixture
def run_of(engine: Callable[..., Engine]) -> Callable[..., Results]:
    """Return a function that runs a strategy, given as an instance."""

    def go(strategy: Strategy, feed: DataFeed, **parts: object) -> Results:
        return engine(lambda: strategy, feed, **parts).run()

    return go


@pytest.fixture(scope="session")
def minutes() -> Callable[..., DataFeed]:
    """Return a builder of one-minute bars of `A` in the first minutes of sessions of XNYS."""

    def build(days: Sequence[str], count: int = 3, **options: object) -> DataFeed:
        def opens() -> Iterator[dt.datetime]:
            for day in days:
                first = dt.datetime.fromisoformat(f"{day}T09:30")
                yield from (first + dt.timedelta(minutes=n) for n in range(count))

        rows = [
            {
                "symbol": "A",
                "timestamp": at,
                "open": 10.0,
                "high": 10.0,
                "low": 10.0,
                "close": 10.0,
                "volume": 1e6,
            }
            for at in opens()
        ]
        settings = {"stamp": "open", "interval": "1m", "timezone": "America/New_York", **options}
        return DataFeed(pl.DataFrame(rows), **settings)

    return build
