"""Small markets written down by hand, and a strategy that does at the n-th call what the n-th step says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, Engine, PITData, Results, Strategy, Timestamp
from ml4t.core.plugins import PluginManager, load_plugins

FIRST_DAY = dt.date(2024, 1, 1)
FIRST_INSTANT = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

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


# -- one strategy on both engines ------------------------------------------------------------------------

MIDNIGHT = int(FIRST_INSTANT.timestamp()) * 10**9
Tick = tuple[Any, ...]  # symbol, seconds after midnight, price, and perhaps the second of the arrival


def _second(ns: int) -> float:
    return (ns - MIDNIGHT) / 1e9


class Diary(Strategy):
    """Keeps of every call its name, its second after midnight, and what it was given.

    It has the given subscriptions and does what `start` does; `acts` gets the name of each callback.
    """

    def __init__(
        self,
        *subscriptions: Mapping[str, Any],
        start: Step | None = None,
        acts: Callable[[Any, str], object] | None = None,
    ) -> None:
        self.subscriptions, self.start, self.acts = subscriptions, start, acts
        self.calls: list[tuple[str, float, Any]] = []

    def on_start(self) -> None:
        for each in self.subscriptions:
            self.subscribe(**each)
        if self.start is not None:
            self.start(self)

    def note(self, name: str, what: object) -> None:
        self.calls.append((name, _second(self.data.timestamp.ns), what))
        if self.acts is not None:
            self.acts(self, name)

    def of(self, *names: str) -> list[tuple[str, float, Any]]:
        """Return the calls of some callbacks."""
        return [call for call in self.calls if call[0] in names]

    def _market(self, name: str, event: Any) -> None:  # noqa: ANN401
        values = {field: event.bar[field] for field in event.bar}
        self.note(name, (event.asset, _second(event.ts_event), values.get("price", values.get("close"))))

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        self._market("bar", event)

    def on_quote(self, event: Any) -> None:  # noqa: ANN401
        self.note("quote", (event.asset, _second(event.ts_event), event.bid_price))

    def on_trade(self, event: Any) -> None:  # noqa: ANN401
        self._market("trade", event)

    def on_batch(self, batch: Any) -> None:  # noqa: ANN401
        symbols = [self.data.symbols[place] for place in batch.assets.tolist()]
        field = {"bar": "close", "quote": "bid_price", "trade": "price"}[batch.kind]
        times = [_second(ns) for ns in batch.times.tolist()]
        rows = list(zip(symbols, times, batch[field].tolist(), strict=True))
        assert (len(batch), batch.timestamp.ns) == (len(rows), self.data.timestamp.ns)
        self.note("batch", (batch.feed, rows))

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        self.note("signal", (event.asset, _second(event.ts_event), event.score))

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        self.note("fill", (event.asset, _second(event.ts_event), event.price))

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        self.note("order", (event.asset, event.order_id, event.status.value))

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.note("data", list(data))


@pytest.fixture(scope="session")
def diary() -> type[Diary]:
    """Return the class of strategies that keep what they are told."""
    return Diary


def _values(kind: str, price: float) -> dict[str, float]:
    if kind == "trade":
        return {"price": price, "size": 5.0}
    if kind == "quote":
        return {"bid_price": price - 0.5, "ask_price": price + 0.5, "bid_size": 5.0, "ask_size": 5.0}
    return {**dict.fromkeys(("open", "high", "low", "close"), price), "volume": 1e6}


@pytest.fixture(scope="session")
def tape() -> Callable[..., DataFeed]:
    """Return a builder of trades, quotes or bars of a second, on a market that never closes.

    A tick is (symbol, second, price[, second of the arrival]); quotes are half a unit around the price.
    """

    def build(kind: str, ticks: Sequence[Tick], **options: object) -> DataFeed:
        rows = []
        for symbol, second, price, *late in ticks:
            ts, arrival = (dt.timedelta(seconds=each) for each in (second, late[0] if late else second))
            row = {"symbol": symbol, "ts_event": FIRST_INSTANT + ts, "ts_arrival": FIRST_INSTANT + arrival}
            opens = {"ts_open": row["ts_event"] - dt.timedelta(seconds=1)} if kind == "bar" else {}
            rows.append(row | opens | _values(kind, float(price)))
        given = {"kind": kind, "name": f"{kind}s", "stamp": "event", "calendar": "24/7"}
        interval = {"interval": "1s"} if kind == "bar" else {}
        return DataFeed(pl.DataFrame(rows), **(given | interval | options))

    return build


@pytest.fixture(scope="session")
def in_order() -> Callable[..., list[Tick]]:
    """Return a function that makes ticks of draws of (symbol, second, price, seconds until the arrival).

    They come by time, no row overtakes that of its instrument in front of it, and bars have an instant each.
    """

    def build(kind: str, draws: Sequence[Tick]) -> list[Tick]:
        latest: dict[str, float] = {}
        ticks = []
        for symbol, second, price, late in sorted(draws, key=lambda draw: draw[1]):
            latest[symbol] = max(latest.get(symbol, 0.0), float(second + late))
            ticks.append((symbol, float(second), price, latest[symbol]))
        return list({tick[:2]: tick for tick in ticks}.values()) if kind == "bar" else ticks

    return build


@pytest.fixture(scope="session")
def both(engine: Callable[..., Engine]) -> Callable[..., Any]:
    """Return a function that runs what `make` returns on both engines and compares them.

    Their `calls`, fills and order events are equal; the strategy of the Rust engine is returned, with its
    `results`.
    """

    def go(make: Callable[[], Any], feed: DataFeed | Sequence[DataFeed], **parts: Any) -> Any:  # noqa: ANN401
        played = []
        for name in ("rust", "reference"):
            strategy = make()
            settings = {**parts, "backtest": {**parts.get("backtest", {}), "engine": name}}
            strategy.results = engine(lambda made=strategy: made, feed, **settings).run()
            played.append(strategy)
        mine, other = played
        if repr(mine.calls) != repr(other.calls):
            for n, (ours, theirs) in enumerate(zip(mine.calls, other.calls, strict=False)):
                np.testing.assert_equal(ours, theirs, err_msg=f"call {n}")
            assert len(mine.calls) == len(other.calls)
        for table in ("fills", "order_events"):
            assert getattr(mine.results, table).equals(getattr(other.results, table)), table
        return mine

    return go
