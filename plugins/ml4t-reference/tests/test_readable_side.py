"""What a strategy can read: the reference engine against the Rust engine, on random feeds."""

from __future__ import annotations

import copy
import datetime as dt
import importlib
import math
import pickle
import random
from collections.abc import Callable, Iterator
from functools import partial
from operator import getitem
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, Instrument, Strategy, schedule
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import DataError, EngineStateError, StaleViewError, UnknownNameError
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.engine import _engine
from ml4t.engine.compile import describe
from ml4t.engine.runtime import Runtime, handlers_of
from ml4t.reference import events as reference_events
from ml4t.reference.context import Context
from ml4t.reference.engine import Run
from ml4t.reference.events import market_event, number_text, signal_event
from ml4t.reference.plan import Plan
from ml4t.reference.readable import Readable
from ml4t.reference.timestamp import Timestamp
from ml4t.reference.view import PITData

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
nan = math.nan
Either = Any  # of one engine or of the other, or a value to try on both


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    return load_plugins()


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML4T_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


# -- timestamps ------------------------------------------------------------------------------------------

# The largest 64-bit number means "never" to the Rust engine, which does not write it as an instant.
nanoseconds = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1001)
aware = st.datetimes(
    min_value=dt.datetime(1678, 1, 1), max_value=dt.datetime(2262, 1, 1), timezones=st.just(dt.UTC)
)
COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")


def outcome(use: Callable[[], object]) -> object:
    """Return what a call returned, or the type of what it raised."""
    try:
        return use()
    except Exception as error:
        return type(error)


@given(nanoseconds)
def test_a_timestamp_reads_as_that_of_the_engine(ns: int) -> None:
    mine, theirs = Timestamp(ns), _engine.Timestamp(ns)
    assert (str(mine), repr(mine), f"{mine}", int(mine)) == (
        str(theirs),
        repr(theirs),
        f"{theirs}",
        int(theirs),
    )
    assert mine.datetime == theirs.datetime
    assert f"{mine:%Y-%m-%d %H:%M:%S.%f}" == f"{theirs:%Y-%m-%d %H:%M:%S.%f}"
    assert (mine.year, mine.weekday(), mine.isoformat()) == (
        theirs.year,
        theirs.weekday(),
        theirs.isoformat(),
    )
    for twin in (copy.copy(mine), copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert (twin, twin.ns, hash(twin)) == (mine, ns, hash(mine))


@given(nanoseconds, nanoseconds, aware)
def test_timestamps_compare_subtract_and_hash_as_those_of_the_engine(
    one: int, other: int, at: Either
) -> None:
    for method in COMPARISONS:
        compare = getattr(Timestamp(one), method)
        theirs = getattr(_engine.Timestamp(one), method)
        assert compare(Timestamp(other)) == theirs(_engine.Timestamp(other))
        assert compare(at) == theirs(at)
        assert compare(Timestamp(one)) == theirs(_engine.Timestamp(one))
    assert Timestamp(one) - Timestamp(other) == _engine.Timestamp(one) - _engine.Timestamp(other)
    assert Timestamp(one) - at == _engine.Timestamp(one) - at
    assert at - Timestamp(one) == at - _engine.Timestamp(one)
    assert hash(Timestamp(one)) == hash(_engine.Timestamp(one))
    whole = abs(one) // 1000 * (1000 if one > 0 else -1000)
    assert hash(Timestamp(whole)) == hash(Timestamp(whole).datetime)


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        5,
        1.5,
        "0",
        True,
        2**63,
        -(2**63) - 1,
        START,
        START.replace(tzinfo=None),
        START.date(),
        MINUTE,
    ],
    ids=str,
)
def test_what_a_timestamp_refuses_the_engine_refuses_with_the_same_error(value: Either) -> None:
    def uses(cls: Either) -> list[object]:
        stamp = cls(1_362_171_600_123_456_789)
        return [
            outcome(lambda: cls(value).ns),
            outcome(lambda: stamp == value),
            outcome(lambda: stamp < value),
            outcome(lambda: stamp + value),
            outcome(lambda: value + stamp),
            outcome(lambda: stamp - value),
            outcome(lambda: value - stamp),
            outcome(lambda: setattr(stamp, "ns", value)),
            outcome(lambda: setattr(stamp, "note", value)),
            outcome(lambda: stamp.nanosecond),
        ]

    assert uses(Timestamp) == uses(_engine.Timestamp)


def test_a_timestamp_hashes_like_the_pandas_timestamp_that_it_equals() -> None:
    pandas = pytest.importorskip("pandas")
    for ns in (1_362_171_600_123_456_789, 1_362_171_600_123_456_000):
        stamp = pandas.Timestamp(ns, tz="UTC")
        assert Timestamp(ns) == stamp
        assert hash(Timestamp(ns)) == hash(stamp)
        assert not Timestamp(ns + 1) == stamp
        assert Timestamp(ns + 1) > stamp


# -- random feeds ----------------------------------------------------------------------------------------


class Market:
    """Random bars of two lengths, trades, quotes, market-wide series and signals, many of them late."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.symbols = list("ABCD")
        self.minutes = int(self.rng.integers(20, 60))
        self.matching = dict(
            zip(self.symbols, self.rng.permutation(["short", "long", "prints", "book"]), strict=True)
        )

    def late(self, ends: list[float]) -> list[float]:
        """Return arrivals, none before its end and none before the one in front of it."""
        delays = self.rng.choice([0, 0, 0, 0.5, 1, 2.25, 7], size=len(ends))
        return np.maximum.accumulate(np.array(ends) + delays).tolist() if ends else []

    def rows(self, name: str, step: float, shape: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of all symbols that this feed has, on a grid of `step` minutes with gaps."""
        found = []
        for symbol in self.symbols:
            if self.matching[symbol] != name and self.rng.random() < 0.4:
                continue
            ends = [n * step for n in range(1, int(self.minutes / step)) if self.rng.random() < 0.7]
            # The source that orders meet has at least a row.
            ends = ends or [step]
            for end, arrival in zip(ends, self.late(ends), strict=True):
                stamps = {"ts_event": START + end * MINUTE, "ts_arrival": START + arrival * MINUTE}
                found.append({"symbol": symbol, **stamps, **shape()})
        return found

    def price(self) -> float:
        return float(np.round(self.rng.uniform(1, 200), int(self.rng.integers(0, 4))))

    def bar(self) -> dict[str, Any]:
        low, opened, close, high = sorted(self.price() for _ in range(4))
        return {
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": float(self.rng.integers(0, 900)),
        }

    def quote(self) -> dict[str, Any]:
        bid = self.price()
        side = self.rng.random()
        return {
            "bid_price": None if side < 0.1 else bid,
            "ask_price": None if side > 0.9 else bid + 0.5,
            "bid_size": float(self.rng.integers(1, 9)),
            "ask_size": None if self.rng.random() < 0.2 else 3.0,
        }

    def feeds(self) -> list[DataFeed]:
        def bars(name: str, step: float, **feature: float) -> DataFeed:
            rows = self.rows(name, step, lambda: {**self.bar(), **feature})
            for row in rows:
                row["ts_open"] = row["ts_event"] - step * MINUTE
            return self.feed(rows, name, interval=f"{int(step)}m")

        made = [
            bars("short", 1, beta=0.25),
            bars("long", 5, gamma=1e-7),
            self.feed(
                self.rows("prints", 0.5, lambda: {"price": self.price(), "size": 1.5}), "prints", kind="trade"
            ),
            self.feed(self.rows("book", 0.75, self.quote), "book", kind="quote"),
            *self.context(),
        ]
        return [made[int(k)] for k in self.rng.permutation(len(made))]

    def feed(
        self, rows: list[dict[str, Any]], name: str, *, kind: str = "bar", interval: str = ""
    ) -> DataFeed:
        frame = pl.DataFrame(rows, infer_schema_length=None)
        options: dict[str, Any] = {"kind": kind, "name": name, "stamp": "event", "calendar": "24/7"}
        if interval:
            options["interval"] = interval
        return DataFeed(frame, **options)

    def context(self) -> Iterator[DataFeed]:
        for name in ("vix", "rates"):
            ends = sorted({float(at) for at in self.rng.integers(1, self.minutes, size=6)})
            stamps = {"ts_event": ends, "ts_arrival": self.late(ends)}
            frame = pl.DataFrame(
                {key: [START + at * MINUTE for at in each] for key, each in stamps.items()}
                | {name: [self.price() if self.rng.random() < 0.8 else None for _ in ends]},
                schema_overrides={name: pl.Float64},
            )
            yield DataFeed(frame, name=name, kind="context", stamp="event")

    def instruments(self) -> list[Instrument]:
        return [Instrument(s, calendar="24/7", matching_source=str(self.matching[s])) for s in self.symbols]

    def signals(self) -> pl.DataFrame | None:
        if self.rng.random() < 0.15:
            return None
        names = [*self.rng.permutation(["fast", "slow", "score"])[: int(self.rng.integers(1, 4))]]
        rows = []
        for _ in range(25):
            at = float(self.rng.integers(1, self.minutes))
            rows.append(
                {
                    "ts_event": START + at * MINUTE,
                    "ts_arrival": START + (at + float(self.rng.choice([0, 0, 1, 3]))) * MINUTE,
                    "asset_id": str(self.rng.choice(self.symbols)),
                    "model_id": str(self.rng.choice(names)),
                    "score": self.price(),
                    "confidence": None if self.rng.random() < 0.3 else 0.5,
                    "version": str(self.rng.choice(["1", "2"])),
                }
            )
        frame = pl.DataFrame(rows, infer_schema_length=None)
        return frame.unique(["ts_arrival", "asset_id", "model_id", "version"], maintain_order=True)


FIELDS = (
    "open",
    "close",
    "volume",
    "bid_price",
    "price",
    "beta",
    "gamma",
    "short.close",
    "long.close",
    "book.ask_size",
)


def seen(data: Either, context: Either) -> list[tuple[str, object]]:
    """Read everything that a view and a context can show."""
    return [
        (
            "symbols",
            (data.symbols, list(data), len(data), data.keys(), [row.symbol for row in data.values()]),
        ),
        ("context", (list(context), dict(context), context.get("vix"), context.get("no", 3), len(context))),
        *[(f"column {name}", column(data, name)) for name in FIELDS],
        *[(f"window {name} {n}", data.history(name, n).tolist()) for name in FIELDS for n in (1, 3)],
        (
            "windows",
            {name: a.tolist() for name, a in data.history(["close", "price"], 4, ["D", "A"]).items()},
        ),
        *[(symbol, row_of(data, symbol)) for symbol in data.symbols],
        ("items", [(symbol, repr(row)) for symbol, row in data.items()]),
    ]


def column(data: Either, name: str) -> list[float]:
    values: list[float] = getattr(data, name).tolist()
    return values


def row_of(data: Either, symbol: str) -> list[object]:
    row = data[symbol]
    latest, price, signals = data.get_latest_bar(symbol), data.get_latest_price(symbol), row["signals"]
    return [
        (row.symbol, row.fresh, row.age, None if row.ts_event is None else row.ts_event.ns, symbol in data),
        (
            row.keys(),
            repr(row),
            len(row),
            dict(row),
            [row[name] for name in FIELDS],
            row.get("no"),
            "beta" in row,
        ),
        (None if latest is None else repr(latest), price),
        (list(signals), dict(signals), [signals.get(name, -1.0) for name in ("fast", "slow", "score", "no")]),
        [outcome(partial(getitem, signals, name)) for name in ("fast", "slow", "score", "no")],
        ["score" in signals, "fast" in signals, len(signals)],
    ]


EVENT_ATTRIBUTES = ["asset", "ts_event", "kind", "feed", "ts_open", "ts_arrival", "score", "confidence"]
EVENT_ATTRIBUTES += ["model_id", "version", "order_id", "side", "quantity", "price", "reference_price", "fee"]
EVENT_ATTRIBUTES += ["liquidity", "phase", "status", "previous_status", "reason_code"]


def told(event: Either) -> list[object]:
    """Read everything that an event says."""
    values = {name: getattr(event, name) for name in EVENT_ATTRIBUTES if hasattr(event, name)}
    fields = dict(event.bar) if type(event).__name__ == "MarketEvent" else {}
    return [type(event).__name__, values, event.timestamp.ns, fields, repr(event) if fields else ""]


class Reader(Strategy):
    """Keeps what it could read at each call, and what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[object], object]] = []
        self.told: list[object] = []

    def on_event(self, event: Either) -> None:
        self.told.append(told(event))

    def on_data(self, timestamp: Either, data: Either, context: Either, broker: Either) -> None:
        self.calls.append((timestamp.ns, self.told, seen(data, context)))
        assert seen(self.data, context) == Everything(seen(data, context))
        self.told = []


class Everything:
    """Equal to what has the same values, NaN included."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        np.testing.assert_equal(other, self.value)
        return True

    __hash__ = None  # type: ignore[assignment]


def read_by_the_rust_engine(market: Market, plugins: PluginManager) -> tuple[dict[str, Any], list[Any]]:
    """Return the description of a run and what its strategy read at each call."""
    strategy = Reader()
    engine = Engine(
        market.feeds(),
        lambda: strategy,
        instruments=market.instruments(),
        signals=market.signals(),
        plugins=plugins,
    )
    engine.run()
    return describe(engine.config, engine.data, engine._models, warm_from=0), strategy.calls


def read_by_hand(spec: dict[str, Any], last: int) -> Iterator[tuple[int, list[object], object]]:
    """Read at every instant at which something arrives, as phases 6 and 8 do."""
    plan = Plan.of(spec)
    readable = Readable(plan)
    data, context = PITData(readable), Context(readable)
    while readable.next_arrival is not None and readable.next_arrival <= last:
        now = readable.next_arrival
        news = readable.advance(now)
        assert news
        assert not readable.advance(now), "twice at one instant, nothing is new"
        events: list[Any] = [market_event(plan, plan.feeds[feed], row) for feed, row in news.rows]
        events += [signal_event(plan, row) for row in news.signals]
        yield now, [told(event) for event in events], seen(data.bound(), context)


@pytest.mark.parametrize("case", range(5))
def test_everything_that_can_be_read_is_what_the_engine_shows(
    case: int, seed: int, plugins: PluginManager
) -> None:
    spec, calls = read_by_the_rust_engine(Market(seed + case), plugins)
    assert len(calls) > 15
    mine = list(read_by_hand(spec, last=calls[-1][0]))
    assert [call[0] for call in mine] == [call[0] for call in calls]
    for (now, events, readings), (_, their_events, theirs) in zip(mine, calls, strict=True):
        np.testing.assert_equal(events, their_events, err_msg=f"events at {Timestamp(now)}")
        np.testing.assert_equal(readings, theirs, err_msg=f"readings at {Timestamp(now)}")


# -- rules, on a market written by hand ------------------------------------------------------------------


def spec_of(plugins: PluginManager, *feeds: DataFeed, **parts: Either) -> dict[str, Any]:
    engine = Engine(list(feeds), Strategy, plugins=plugins, **parts)
    return describe(engine.config, engine.data, engine._models, warm_from=0)


def bars(*rows: tuple[str, float, float, float], **options: Either) -> DataFeed:
    """Return one-hour bars: symbol, hour of the end, hour of the arrival, price."""
    hour = 60 * MINUTE
    frame = [
        {
            "symbol": symbol,
            "ts_open": START + (end - 1) * hour,
            "ts_event": START + end * hour,
            "ts_arrival": START + arrival * hour,
            "volume": 1.0,
        }
        | dict.fromkeys(("open", "high", "low", "close"), price)
        for symbol, end, arrival, price in rows
    ]
    return DataFeed(pl.DataFrame(frame), **{"stamp": "event", "calendar": "24/7", **options})


def hour(count: float) -> int:
    return int((START + count * 60 * MINUTE).timestamp()) * 10**9


def test_a_row_is_held_back_until_it_arrives(plugins: PluginManager) -> None:
    readable = Readable(
        Plan.of(spec_of(plugins, bars(("A", 1, 1, 10.0), ("A", 2, 2.5, 20.0), ("A", 3, 3, 30.0))))
    )
    data = PITData(readable)
    prices = []
    for at in (1, 2, 2.25, 2.5, 3):
        readable.advance(hour(at))
        prices.append(
            (data["A"]["close"], data["A"].fresh, data.get_latest_price("A"), readable.last_price(0))
        )
    assert prices == [
        (10.0, True, 10.0, 10.0),
        (10.0, False, 10.0, 10.0),
        (10.0, False, 10.0, 10.0),
        (20.0, True, 20.0, 20.0),
        (30.0, True, 30.0, 30.0),
    ]


def test_rows_that_arrive_together_come_by_feed_and_then_by_row(plugins: PluginManager) -> None:
    feed = bars(("A", 2, 5, 1.0), ("A", 4, 5, 2.0), ("B", 3, 5, 3.0), ("B", 5, 5, 4.0))
    plan = Plan.of(spec_of(plugins, feed))
    news = Readable(plan).advance(hour(5))
    told = [market_event(plan, plan.feeds[feed], row) for feed, row in news.rows]
    assert [(event.asset, event.close) for event in told] == [("A", 1.0), ("B", 3.0), ("A", 2.0), ("B", 4.0)]


def test_a_row_that_overtakes_the_one_before_it_is_refused_as_the_engine_does(plugins: PluginManager) -> None:
    spec = spec_of(plugins, bars(("A", 1, 1, 1.0), ("B", 1, 1, 1.0), ("A", 2, 2, 2.0), ("B", 2, 2, 2.0)))
    # The front door refuses such rows itself; an engine does not rely on it.
    (feed,) = spec["feeds"]
    late = pl.Series("ts_arrival", [hour(at) for at in (5, 1, 3, 2)])
    feed["frame"] = feed["frame"].with_columns(late)
    with pytest.raises(DataError) as theirs:
        _engine.Run(spec)
    with pytest.raises(DataError, match=r"feed prices, A, row 2, .*ts_arrival lies before") as mine:
        Readable(Plan.of(spec))
    assert str(mine.value) == str(theirs.value)


def test_views_and_what_came_from_them_are_stale_after_their_instant(plugins: PluginManager) -> None:
    readable = Readable(Plan.of(spec_of(plugins, bars(("A", 1, 1, 10.0), ("A", 2, 2, 20.0)))))
    own = PITData(readable)
    early = own["A"]
    with pytest.raises(EngineStateError, match="first event"):
        own.timestamp  # noqa: B018
    readable.advance(hour(1))
    view = own.bound()
    row, signals, symbols = view["A"], view["A"]["signals"], iter(view)
    readable.advance(hour(1))
    assert (row["close"], view.close.tolist()) == (10.0, [10.0])
    for begin in (lambda: readable.advance(hour(2)), readable.epoch.end):
        begin()
        for use in (
            lambda: view["A"],
            lambda: view.close,
            lambda: list(view),
            lambda: row["close"],
            lambda: row.age,
            lambda: signals.keys(),
            lambda: early["close"],
        ):
            with pytest.raises(StaleViewError):
                use()
        assert own["A"]["close"] == 20.0
    assert list(symbols) == ["A"]
    assert row.keys() == ["open", "high", "low", "close", "volume"]


def test_a_quote_with_one_side_is_priced_by_that_side(plugins: PluginManager) -> None:
    quotes = pl.DataFrame(
        {
            "symbol": "A",
            "timestamp": [START + n * MINUTE for n in range(1, 4)],
            "bid_price": [9.0, None, 10.0],
            "ask_price": [None, 12.0, 12.0],
        }
    )
    feed = DataFeed(quotes, kind="quote", stamp="event", calendar="24/7")
    readable = Readable(Plan.of(spec_of(plugins, feed)))
    prices = []
    while readable.next_arrival is not None:
        readable.advance(readable.next_arrival)
        prices.append(readable.last_price(0))
    assert prices == [9.0, 12.0, 11.0]


def test_a_series_that_two_feeds_have_is_one_series_read_from_the_first_that_has_a_row(
    plugins: PluginManager,
) -> None:
    def context(name: str, minute: int, value: float) -> DataFeed:
        frame = pl.DataFrame({"timestamp": [START + minute * MINUTE], "rate": [value]})
        return DataFeed(frame, name=name, kind="context", stamp="event")

    spec = spec_of(plugins, bars(("A", 1, 1, 1.0)), context("a", 20, 1.0), context("b", 10, 2.0))
    readable = Readable(Plan.of(spec))
    read = Context(readable)
    assert list(read) == ["rate"]
    values = [read["rate"]]
    for minute in (10, 20):
        readable.advance(hour(minute / 60))
        values.append(read["rate"])
    np.testing.assert_equal(values, [nan, 2.0, 1.0])


def test_a_model_called_score_has_not_spoken_until_it_has(plugins: PluginManager) -> None:
    signals = pl.DataFrame(
        {
            "ts_event": [START + 60 * MINUTE, START + 120 * MINUTE],
            "asset_id": "A",
            "model_id": ["fast", "score"],
            "score": [1.0, 2.0],
        }
    )
    readable = Readable(Plan.of(spec_of(plugins, bars(("A", 1, 1, 1.0), ("A", 2, 2, 2.0)), signals=signals)))
    found = []
    for at in (1, 2):
        readable.advance(hour(at))
        row = PITData(readable)["A"]["signals"]
        found.append((row.keys(), "score" in row, row.get("score", -1.0), row["score"]))
    np.testing.assert_equal(found, [(["fast"], False, -1.0, nan), (["fast", "score"], True, 2.0, 2.0)])


def test_an_unknown_name_is_named_with_the_nearest(plugins: PluginManager) -> None:
    readable = Readable(Plan.of(spec_of(plugins, bars(("AAPL", 1, 1, 1.0), ("MSFT", 1, 1, 1.0)))))
    data = PITData(readable)
    for use, message in (
        (lambda: data["APPL"], "unknown symbol 'APPL'; known: AAPL, MSFT; did you mean 'AAPL'"),
        (lambda: data["AAPL"]["clsoe"], "unknown field of AAPL 'clsoe'; known: .*did you mean 'close'"),
        (lambda: data.history("clsoe", 1, "MSFT"), "unknown field of MSFT 'clsoe'.*did you mean 'close'"),
        (lambda: data["AAPL"]["signals"]["x"], "unknown signal 'x'; known: none"),
        (lambda: Context(readable)["vix"], "unknown market-wide series 'vix'; known: none"),
    ):
        with pytest.raises(UnknownNameError, match=message):
            use()
    with pytest.raises(
        AttributeError, match='no feed has a field "clsoe"; known: open, high, low, close, volume'
    ):
        data.clsoe  # noqa: B018


@pytest.mark.parametrize(
    ("value", "text"),
    [(10.0, "10"), (0.5, "0.5"), (1e-7, "0.0000001"), (1e22, "1" + "0" * 22), (nan, "NaN"), (-0.0, "-0")],
)
def test_a_number_is_written_with_all_its_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_the_classes_have_the_members_of_the_stub() -> None:
    # The reference finds the values of an event by name; other tests read them on both.
    by_name = {name for names in VALUE_COLUMNS.values() for name in names}
    for name in ("Event", "MarketEvent", "EventFields", "SignalEvent", "FillEvent", "OrderEvent"):
        ours = getattr(reference_events, name)
        missing = {m for m in dir(getattr(_engine, name)) if not m.startswith("_")} - set(dir(ours))
        assert missing - by_name - {field.name for field in getattr(ours, "__attrs_attrs__", ())} == set()
    for module, name in (("view", "PITData"), ("view", "Row"), ("view", "SignalRow"), ("context", "Context")):
        ours = getattr(importlib.import_module(f"ml4t.reference.{module}"), name)
        missing = {m for m in dir(getattr(_engine, name)) if not m.startswith("_")} - set(dir(ours))
        assert missing == set()


# -- a strategy that trades, in both engines -------------------------------------------------------------


class Trader(Strategy):
    """Trades at random and writes down every call: where, when, what was told, what could be read."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.diary: list[tuple[str, int, object]] = []

    def on_start(self) -> None:
        self.note("on_start", [outcome(lambda: self.data.timestamp), list(self.data), repr(self.data["A"])])
        self.schedule(self.on_timer, rule=schedule.every("7m"))
        self.schedule(rule=schedule.every("11m"))
        if self.dice.random() < 0.3:
            self.subscribe(asset="B")
            self.subscribe(event_type=self.dice.choice(["bar", "fill", "order", "signal"]))

    def note(self, where: str, what: object) -> None:
        now = -1 if where == "on_start" else self.data.timestamp.ns
        self.diary.append((where, now, [what, account(self.broker), list(self.data)]))

    def trade(self, often: float) -> None:
        """Send an order of a random kind, or take one back."""
        if self.dice.random() > often:
            return
        broker, symbol = self.broker, self.dice.choice("ABCD")
        price, units = self.data.get_latest_price(symbol), self.dice.randint(1, 40)
        near = round((price or 50.0) * self.dice.uniform(0.9, 1.1), 2)
        match self.dice.randrange(8):
            case 0:
                broker.order_target_percent(symbol, self.dice.choice([0, 0.1, 0.3]))
            case 1:
                broker.buy(symbol, units, limit_price=near, time_in_force=self.dice.choice(["gtc", "day"]))
            case 2:
                broker.sell(symbol, units, stop_price=near)
            case 3:
                broker.order_target_quantity(symbol, self.dice.randint(0, 30))
            case 4 if broker.open_orders:
                broker.cancel_order(self.dice.choice(broker.open_orders))
            case 5:
                broker.close_position(symbol)
            case _:
                broker.buy(symbol, units, tag=str(units))

    def on_timer(self) -> None:
        self.note("on_timer", None)
        self.trade(0.3)

    def on_rebalance_trigger(self) -> None:
        self.note("on_rebalance_trigger", None)
        self.trade(0.3)

    def on_daily_close(self) -> None:
        self.note("on_daily_close", None)

    def on_event(self, event: Either) -> None:
        self.note("on_event", told(event))
        self.trade(0.02)

    def on_fill(self, event: Either) -> None:
        self.note("on_fill", told(event))
        self.trade(0.2)

    def on_order(self, event: Either) -> None:
        self.note("on_order", told(event))

    def on_data(self, timestamp: Either, data: Either, context: Either, broker: Either) -> None:
        self.note("on_data", [timestamp.ns, seen(data, context)])
        self.trade(0.5)

    def on_stop(self) -> None:
        self.note("on_stop", None)


def account(broker: Either) -> list[object]:
    """Read everything that a broker can tell."""
    orders = [(o.id, o.status.value, o.filled_quantity, o.leaves_quantity) for o in broker.open_orders]
    refused = [(o.id, o.reason_code, o.reason) for o in broker.rejected_orders]
    held = {
        symbol: (p.quantity, p.avg_price, p.mark_price, p.market_value, p.unrealized_pnl, p.realized_pnl)
        for symbol, p in broker.positions.items()
    }
    return [orders, refused, held, broker.get_cash(), broker.get_account_value(), broker.buying_power]


def drive(run_class: Either, engine: Engine, strategy: Strategy) -> Either:
    """Run a strategy on an engine, as the front door does."""
    data = engine.data
    start, end = data.span_ns
    sessions = next(table for table in data.calendars if table.name == data.nav_calendar)
    run = run_class(describe(engine.config, data, engine._models, warm_from=start))
    strategy.bind(
        Runtime(run, strategy, sessions=sessions, span=(start, end)), broker=run.broker, data=run.data
    )
    strategy.on_start()
    run.execute(handlers_of(strategy))
    return run


@pytest.mark.parametrize("case", range(5))
def test_a_strategy_that_trades_is_told_the_same_in_both_engines(
    case: int, seed: int, plugins: PluginManager
) -> None:
    market = Market(seed + 100 + case)
    parts: dict[str, Any] = {
        "instruments": market.instruments(),
        "signals": market.signals(),
        "plugins": plugins,
    }
    config = {"broker": {"initial_cash": 100_000, "latency": market.rng.choice(["0s", "0s", "20s", "90s"])}}
    engine = Engine(market.feeds(), Strategy, config=config, **parts)
    mine, theirs = Trader(seed + case), Trader(seed + case)
    drive(_engine.Run, engine, theirs)
    drive(Run, engine, mine)
    for number, (ours, expected) in enumerate(zip(mine.diary, theirs.diary, strict=False)):
        np.testing.assert_equal(
            ours, expected, err_msg=f"call {number}, {expected[0]} at {Timestamp(expected[1])}"
        )
    assert len(mine.diary) == len(theirs.diary)
