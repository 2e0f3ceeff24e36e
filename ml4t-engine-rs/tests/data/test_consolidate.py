"""Bars that a run builds of its own rows: which, when they are readable, what they leave alone, refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import (
    Bar,
    Broker,
    Context,
    DataFeed,
    Engine,
    Instrument,
    MarketEvent,
    PITData,
    Quote,
    Results,
    Strategy,
    Timestamp,
    TradeTick,
    run,
)
from ml4t.backtest.bars import dollar_bars, imbalance_bars, resample, tick_bars, time_bars, volume_bars
from ml4t.backtest.configured import engine_of
from ml4t.backtest.data import FeedOptions, assemble
from ml4t.backtest.data.feed import ConsolidatedFeed, LoadedFeed
from ml4t.backtest.data.tables import FeedTable, MarketData
from ml4t.core.config import load_config
from ml4t.core.errors import ArgumentError, ConfigError, DataError
from ml4t.engine.configuration import to_mapping

NEW_YORK = ZoneInfo("America/New_York")
START = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)  # 09:30 in New York
SECOND = 10**9
START_NS = int(START.timestamp()) * SECOND
MINUTE = 60

Rule = Callable[[DataFeed], ConsolidatedFeed]
Function = Callable[[pl.DataFrame], pl.DataFrame]
RULES: dict[str, tuple[Rule, Function]] = {
    "time": (lambda feed: feed.consolidate("5m"), lambda ticks: time_bars(ticks, "5m")),
    "timedelta": (
        lambda feed: feed.consolidate(dt.timedelta(seconds=90)),
        lambda ticks: time_bars(ticks, "90s"),
    ),
    "session": (lambda feed: feed.consolidate("1d"), lambda ticks: time_bars(ticks, "1d")),
    "ticks": (lambda feed: feed.consolidate(ticks=7), lambda ticks: tick_bars(ticks, 7)),
    "volume": (lambda feed: feed.consolidate(volume=900), lambda ticks: volume_bars(ticks, 900)),
    "dollar": (lambda feed: feed.consolidate(dollar=5e4), lambda ticks: dollar_bars(ticks, 5e4)),
    "imbalance": (
        lambda feed: feed.consolidate(imbalance="volume", expected_ticks=9, span=5, limits=(2, 40)),
        lambda ticks: imbalance_bars(ticks, "volume", expected_ticks=9, span=5, limits=(2, 40)),
    ),
}
each_rule = pytest.mark.parametrize("name", RULES)
each_engine = pytest.mark.parametrize("engine", ["rust", "reference"])


def ticks_at(*rows: tuple[float, float, float], symbol: str = "XYZ") -> pl.DataFrame:
    """Ticks of (seconds after the open, price, size)."""
    return pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(rows), dtype=pl.String),
            "timestamp": [START + dt.timedelta(seconds=row[0]) for row in rows],
            "price": [float(row[1]) for row in rows],
            "size": [float(row[2]) for row in rows],
        },
        schema_overrides={"timestamp": pl.Datetime("ns", "UTC")},
    )


def random_ticks(rng: np.random.Generator, *, count: int = 400, symbols: str = "ABC") -> pl.DataFrame:
    """Ticks of several symbols on a whole day and on one that ends at 13:00; many share an instant."""
    frames = []
    for day, hours in ((27, 6.5), (29, 3.5)):
        begin = dt.datetime(2024, 11, day, 9, 30, tzinfo=NEW_YORK).astimezone(dt.UTC)
        seconds = np.sort(rng.integers(0, int(hours * 3600), count))
        frames.append(
            pl.DataFrame(
                {
                    "symbol": rng.choice(list(symbols), count),
                    "timestamp": [begin + dt.timedelta(seconds=int(each)) for each in seconds],
                    "price": (50 + rng.choice([-0.01, 0.0, 0.01], count).cumsum()).round(2),
                    "size": rng.integers(0, 200, count).astype(float),
                },
                schema_overrides={"timestamp": pl.Datetime("ns", "UTC")},
            )
        )
    return pl.concat(frames)


def feed_of(ticks: pl.DataFrame, **options: Unpack[FeedOptions]) -> DataFeed:
    declared: FeedOptions = {"name": "ticks", "kind": "trade", "stamp": "event"}
    return DataFeed(ticks, **(declared | options))


def table(data: MarketData, name: str) -> FeedTable:
    return next(each for each in data.feeds if each.name == name)


def built(data: MarketData, name: str) -> pl.DataFrame:
    """Return a table of the run in the form of the functions."""
    frame, symbols = table(data, name).frame, dict(enumerate(data.symbols))
    stamps = [each for each in ("ts_open", "ts_event", "ts_arrival") if each in frame.columns]
    return frame.select(
        pl.col("instrument").replace_strict(symbols, return_dtype=pl.String).alias("symbol"),
        *(pl.col(each).cast(pl.Datetime("ns", "UTC")) for each in stamps),
        *(each for each in frame.columns if each not in (*stamps, "instrument")),
    )


def as_loaded(bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars of a function in the types of a run, where all values are floats."""
    return bars.with_columns(pl.col("ticks").cast(pl.Float64)) if "ticks" in bars.columns else bars


class Follow(Strategy):
    """Writes down every typed event and instant, and trades on the bars of one feed."""

    def __init__(self, bars: str = "") -> None:
        self.bars = bars
        self.events: list[tuple[int, str, str, float]] = []
        self.decisions: list[tuple[int, str, float]] = []

    def on_trade(self, event: MarketEvent) -> None:
        self.events.append((int(self.data.timestamp), event.feed, event.asset, event.price))

    def on_bar(self, event: MarketEvent) -> None:
        self.events.append((int(self.data.timestamp), event.feed, event.asset, event.close))
        if event.feed == self.bars:
            sign = 10 if event.close >= event.open else -10
            self.decisions.append((int(self.data.timestamp), event.asset, sign))
            self.broker.submit_order(event.asset, sign)


def drive(
    feeds: LoadedFeed | Sequence[LoadedFeed], strategy: Follow | None = None, *, engine: str = "rust"
) -> tuple[Follow, Results]:
    mine = strategy or Follow()
    config = {"backtest": {"engine": engine}, "broker": {"allows_short": True, "initial_cash": 10_000_000}}
    return mine, run(mine, feeds, config=config)


def seconds(events: list[tuple[int, str, str, float]], feed: str) -> list[tuple[float, float]]:
    """Return the instants of the events of a feed, in seconds after the open, and their values."""
    return [((at - START_NS) / SECOND, value) for at, name, _, value in events if name == feed]


# -- the same bars as from the functions -------------------------------------------------------------------


@each_rule
def test_bars_in_a_run_are_those_of_the_function_on_the_same_rows(
    name: str, rng: np.random.Generator
) -> None:
    ticks = random_ticks(rng)
    rule, function = RULES[name]
    feed = feed_of(ticks)
    bars = rule(feed)
    expected = function(ticks)
    assert expected.height
    assert_frame_equal(built(assemble([feed, bars]), bars.name), as_loaded(expected), check_exact=True)
    # Read back as events, as from any other feed.
    first = bars.get_next_event()
    assert isinstance(first, Bar)
    assert (first.symbol, first.close) == expected.select("symbol", "close").row(0)


@each_rule
def test_a_run_with_bars_inside_is_told_what_a_run_with_prepared_bars_is(
    name: str, rng: np.random.Generator
) -> None:
    ticks = random_ticks(rng)
    rule, function = RULES[name]
    feed = feed_of(ticks)
    inside, _ = drive([feed, rule(feed)])
    prepared = DataFeed(function(ticks), stamp="event", name=rule(feed).name, matches_orders=False)
    outside, _ = drive([feed_of(ticks), prepared])
    assert inside.events == outside.events
    assert {feed for _, feed, _, _ in inside.events} == {"ticks", rule(feed).name}


def test_coarser_bars_are_built_of_bars_and_of_bars_that_are_built(rng: np.random.Generator) -> None:
    ticks = random_ticks(rng, count=4_000)
    feed = feed_of(ticks)
    minutes = feed.consolidate("1m", name="minutes")
    hours = minutes.consolidate("1h", name="hours")
    data = assemble([hours, minutes, feed])
    assert_frame_equal(built(data, "hours"), time_bars(ticks, "1h").drop("ticks"))
    given = DataFeed(time_bars(ticks, "1m"), stamp="event", name="given")
    data = assemble([given, given.consolidate("1h", name="hours")])
    assert_frame_equal(built(data, "hours"), resample(time_bars(ticks, "1m"), "1h"))


def test_weeks_and_months_are_built_of_daily_bars_and_leave_the_run_daily(prices: pl.DataFrame) -> None:
    daily = DataFeed(prices, stamp="session", symbols=["IBM", "MSFT"], name="daily")
    feeds = [daily, daily.consolidate("1w", name="weeks"), daily.consolidate("1mo", name="months")]
    data = assemble(feeds)
    for name, every in (("weeks", "1w"), ("months", "1mo")):
        expected = resample(prices, every, stamp="session", symbols=["IBM", "MSFT"])
        assert_frame_equal(built(data, name), expected)
    # Bars of one instant come from the shortest to the longest.
    assert [each.name for each in data.feeds] == ["daily", "weeks", "months"]
    alone, together = run(Strategy, daily), run(Strategy, feeds)
    assert together.portfolio_history.height == alone.portfolio_history.height


def test_calendars_are_those_of_the_instruments(rng: np.random.Generator) -> None:
    ticks = random_ticks(rng, symbols="AB")
    night = pl.col("timestamp") + pl.duration(hours=9)
    ticks = ticks.with_columns(timestamp=pl.when(pl.col("symbol") == "B").then(night).otherwise("timestamp"))
    declared = [Instrument("A"), Instrument("B", calendar="24/7")]
    feed = feed_of(ticks, instruments=declared)
    data = assemble([feed, feed.consolidate("1h", name="hours")], nav_calendar="XNYS")
    found = built(data, "hours")
    expected = time_bars(ticks.sort("timestamp", maintain_order=True), "1h", instruments=declared)
    assert_frame_equal(found, expected.with_columns(pl.col("ticks").cast(pl.Float64)))
    begin = found.with_columns(minute=pl.col("ts_open").dt.minute()).group_by("symbol")
    assert dict(begin.agg(pl.col("minute").unique()).iter_rows()) == {"A": [30], "B": [0]}


# -- when they are readable --------------------------------------------------------------------------------


@each_engine
def test_a_bar_of_time_is_readable_at_its_end_and_not_with_its_last_tick(engine: str) -> None:
    # The second window has no tick; the last one is not complete when the data end.
    feed = feed_of(ticks_at((10, 10, 1), (200, 11, 1), (650, 12, 1), (899, 13, 1), (905, 14, 1)))
    found, _ = drive([feed, feed.consolidate("5m", name="five")], engine=engine)
    assert seconds(found.events, "five") == [(300, 11.0), (900, 13.0)]
    assert seconds(found.events, "ticks")[-1] == (905, 14.0)


@each_engine
def test_the_tick_that_completes_a_bar_comes_first_and_the_bar_at_the_same_instant(engine: str) -> None:
    feed = feed_of(ticks_at((0, 10, 60), (1, 11, 40), (2, 12, 10), (300, 13, 90), (301, 14, 1)))
    volume = feed.consolidate(volume=100, name="volume")
    feeds = [feed.consolidate("5m", name="five"), volume, feed, feed.consolidate("1m", name="one")]
    found, _ = drive(feeds, engine=engine)
    at_300 = [(name, value) for at, name, _, value in found.events if at == START_NS + 300 * SECOND]
    # Trades before bars, bars of no length of time first, then from the shortest: the minute ended at 60.
    assert at_300 == [("ticks", 13.0), ("volume", 13.0), ("five", 12.0)]
    assert seconds(found.events, "volume") == [(1, 11.0), (300, 13.0)]
    assert seconds(found.events, "one") == [(60, 12.0)]


def test_a_bar_of_one_instant_ends_a_nanosecond_later_because_a_bar_has_a_length() -> None:
    feed = feed_of(ticks_at((1, 10, 1), (1, 11, 1), (2, 12, 1)))
    found, _ = drive([feed, feed.consolidate(ticks=2, name="pairs")])
    assert [at - START_NS - SECOND for at, name, _, _ in found.events if name == "pairs"] == [1]


@each_engine
def test_a_bar_whose_rows_arrive_late_is_readable_when_the_last_of_them_has(engine: str) -> None:
    ticks = ticks_at((10, 10, 1), (299, 11, 1), (310, 12, 1), (590, 13, 1), (700, 14, 1))
    delays = pl.Series([1, 20, 20, 4, 2])
    feed = feed_of(ticks.with_columns(ts_arrival=pl.col("timestamp") + pl.duration(seconds=delays)))
    found, _ = drive([feed, feed.consolidate("5m", name="five"), feed.consolidate(ticks=2)], engine=engine)
    # The rows of the second window are there at 594, before it ends at 600.
    assert seconds(found.events, "five") == [(319, 11.0), (600, 13.0)]
    assert seconds(found.events, "ticks_ticks_2") == [(319, 11.0), (594, 13.0)]


def test_values_of_bars_are_read_by_name_and_as_a_window() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (290, 11, 2), (310, 12, 4), (590, 13, 8), (700, 14, 16)))
    seen: list[tuple[float, ...]] = []

    class Read(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            row = data["XYZ"]
            window = data.history("five.volume", 2, "XYZ")
            at = (int(timestamp) - START_NS) / SECOND
            seen.append((at, row["price"], row["five.close"], row["five.ticks"], row["close"], *window))

    run(Read, [feed, feed.consolidate("5m", name="five")])
    nan = float("nan")
    assert np.array_equal(
        np.array(seen),
        np.array(
            [
                (10, 10, nan, nan, nan, nan, nan),
                (290, 11, nan, nan, nan, nan, nan),
                (300, 11, 11, 2, 11, nan, 3),
                (310, 12, 11, 2, 11, nan, 3),
                (590, 13, 11, 2, 11, nan, 3),
                (600, 13, 13, 2, 13, 3, 12),
                (700, 14, 13, 2, 13, 3, 12),
            ]
        ),
        equal_nan=True,
    )


def test_bars_can_be_subscribed_to_by_their_length() -> None:
    class OnlyFive(Follow):
        def on_start(self) -> None:
            self.subscribe(event_type="bar", frequency="5m")

    feed = feed_of(ticks_at((10, 10, 1), (290, 11, 2), (310, 12, 4)))
    found, _ = drive([feed, feed.consolidate("1m"), feed.consolidate("5m", name="five")], OnlyFive())
    assert [name for _, name, _, _ in found.events] == ["five"]


def test_windows_end_at_an_early_close_and_hold_its_print() -> None:
    local = ["12:15:00", "12:59:00", "13:00:00"]
    stamps = [dt.datetime.fromisoformat(f"2024-11-29T{each}-05:00") for each in local]
    stamps.append(dt.datetime.fromisoformat("2024-12-02T09:31:00-05:00"))
    ticks = pl.DataFrame({"symbol": "XYZ", "timestamp": stamps, "price": [10.0, 11.0, 12.0, 13.0], "size": 1})
    feed = feed_of(ticks)
    found, _ = drive([feed, feed.consolidate("1h", name="hours")])
    readable = [
        dt.datetime.fromtimestamp(at / SECOND, NEW_YORK).strftime("%d %H:%M")
        for at, name, _, _ in found.events
        if name == "hours"
    ]
    assert readable == ["29 12:30", "29 13:00"]
    assert [value for _, name, _, value in found.events if name == "hours"] == [10.0, 12.0]


# -- the ends of the data and of the run -------------------------------------------------------------------


def test_the_last_bar_is_not_delivered_unless_the_rows_are_said_to_be_all_there() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (310, 11, 1), (590, 12, 1)))
    five = feed.consolidate("5m", name="five")
    assert built(assemble([feed, five]), "five")["close"].to_list() == [10.0]
    assert five.report.notes == (
        "built from 3 rows of feed ticks by every='5m'",
        "not delivered: 1 incomplete at the end, with a volume of 2 (XYZ)",
    )
    whole = feed.consolidate("5m", name="five", until=START + dt.timedelta(minutes=10))
    assert built(assemble([feed, whole]), "five")["close"].to_list() == [10.0, 12.0]


def test_a_window_that_ends_within_the_run_is_whole_where_the_source_goes_on() -> None:
    ticks = ticks_at((10, 10, 1), (310, 11, 1), (590, 12, 1), (700, 13, 1))
    feed = feed_of(ticks)
    feeds = [feed, feed.consolidate("5m", name="five"), feed.consolidate(ticks=2, name="pairs")]
    end = START + dt.timedelta(seconds=650)
    data = assemble(feeds, end=end)
    assert built(data, "five")["close"].to_list() == [10.0, 12.0]
    assert_frame_equal(
        built(data, "five"),
        as_loaded(time_bars(ticks[:3], "5m", until=end)),
    )
    assert built(data, "pairs")["close"].to_list() == [11.0]
    # One that ends later is not, and what comes after the end is in no bar.
    assert built(assemble(feeds, end=START + dt.timedelta(seconds=599)), "five")["close"].to_list() == [10.0]


def test_rows_before_the_start_are_in_no_bar_and_a_bar_cut_by_it_is_not_delivered() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (290, 11, 2), (310, 12, 4), (620, 13, 8), (950, 14, 16)))
    feeds = [feed, feed.consolidate("5m", name="five"), feed.consolidate(ticks=2, name="pairs")]
    data = assemble(feeds, start=START + dt.timedelta(seconds=100))
    assert built(data, "five")["close"].to_list() == [12.0, 13.0]
    assert "not delivered: 1 that began before the start" in str(table(data, "five").report.notes)
    # Counted from the first row of the run: 11 and 12, 13 and 14.
    assert built(data, "pairs")["close"].to_list() == [12.0, 14.0]


@pytest.mark.parametrize("name", ["time", "ticks", "volume", "dollar", "imbalance"])
def test_volume_is_conserved(name: str, rng: np.random.Generator, seed: int) -> None:
    ticks = random_ticks(rng)
    feed = feed_of(ticks)
    bars = RULES[name][0](feed)
    sums: dict[str, list[float]] = {symbol: [0, 0] for symbol in "ABC"}

    class Sum(Strategy):
        def on_bar(self, event: MarketEvent) -> None:
            sums[event.asset][0] += event.ticks
            sums[event.asset][1] += event.volume

    run(Sum, [feed, bars])
    left = 0.0
    for symbol, (count, volume) in sums.items():
        # The bars of a symbol hold its first ticks, each of them once, and no others.
        sizes = ticks.filter(symbol=symbol)["size"]
        assert volume == sizes[: int(count)].sum(), f"seed {seed}"
        left += sizes[int(count) :].sum()
    assert 0 < left < 0.5 * ticks["size"].sum(), f"seed {seed}"
    said = [note for note in bars.report.notes if note.startswith("not delivered")]
    assert f"with a volume of {left:,.10g} " in said[0], f"seed {seed}"


# -- what they do not change -------------------------------------------------------------------------------


@each_rule
def test_later_rows_change_no_bar_and_no_decision(name: str, rng: np.random.Generator, seed: int) -> None:
    ticks = random_ticks(rng)
    middle = ticks["timestamp"][int(rng.integers(200, 700))]
    assert isinstance(middle, dt.datetime)
    later = pl.col("timestamp") > middle
    changed = ticks.with_columns(
        price=pl.when(later).then(pl.col("price") * 3).otherwise("price"),
        size=pl.when(later).then(pl.col("size") * 2 + 7).otherwise("size"),
    )
    cut = pl.Series([middle]).cast(pl.Datetime("ns", "UTC")).cast(pl.Int64)[0]
    runs = []
    for frame in (ticks, changed):
        feed = feed_of(frame)
        bars = RULES[name][0](feed)
        found, results = drive([feed, bars], Follow(bars.name))
        events = [event for event in found.events if event[0] <= cut]
        decisions = [each for each in found.decisions if each[0] <= cut]
        fills = results.fills.filter(pl.col("ts_event").cast(pl.Int64) <= cut)
        runs.append((events, decisions, fills.rows()))
    assert runs[0] == runs[1], f"seed {seed}"
    assert {feed for _, feed, _, _ in runs[0][0]} >= {"ticks"}
    if name != "session":
        assert len(runs[0][1]) > 5
        assert len(runs[0][2]) > 5


def test_orders_go_on_meeting_the_ticks() -> None:
    ticks = ticks_at((10, 10, 1), (299, 10.5, 1), (302, 11, 1), (303, 12, 1), (610, 13, 1))
    feed = feed_of(ticks)
    five = feed.consolidate("5m", name="five")
    found, results = drive([feed, five], Follow("five"))
    # Decided at 300 and at 600, filled by the next trades there were.
    assert [(at - START_NS) / SECOND for at, _, _ in found.decisions] == [300, 600]
    stamps = ((results.fills["ts_event"].cast(pl.Int64) - START_NS) / SECOND).to_list()
    assert list(zip(stamps, results.fills["price"], strict=True)) == [(302, 11.0), (610, 13.0)]
    data = assemble([feed, five])
    assert [data.feeds[index].name for index in data.matching] == ["ticks"]


def test_bars_beside_the_ticks_leave_orders_and_marks_as_they_were(rng: np.random.Generator) -> None:
    ticks = random_ticks(rng)

    class Each(Strategy):
        def on_trade(self, event: MarketEvent) -> None:
            if round(event.price * 100) % 5 == 0:
                self.broker.buy(event.asset, 1)

    config = {"broker": {"initial_cash": 10_000_000}}
    feed = feed_of(ticks)
    alone = run(Each, feed, config=config)
    # Bars by ticks open with a tick and end with one, so there is no new instant.
    beside = run(Each, [feed, feed.consolidate(ticks=7), feed.consolidate(volume=500)], config=config)
    assert alone.fills.height > 10
    assert_frame_equal(beside.fills, alone.fills)
    assert beside.nav.equals(alone.nav)


def test_orders_meet_the_bars_where_they_are_said_to() -> None:
    ticks = ticks_at((10, 10, 1), (302, 11, 1), (303, 12, 1), (590, 12.5, 1), (610, 13, 1), (905, 14, 1))
    feed = feed_of(ticks)
    five = feed.consolidate("5m", name="five", matches_orders=True)
    data = assemble([feed, five])
    assert [data.feeds[index].name for index in data.matching] == ["five"]
    _, results = drive([feed, five], Follow("five"))
    stamps = ((results.fills["ts_event"].cast(pl.Int64) - START_NS) / SECOND).to_list()
    assert list(zip(stamps, results.fills["price"], strict=True)) == [(300, 11.0), (600, 13.0)]
    named = [Instrument("XYZ", matching_source="ticks_5m")]
    data = assemble([feed, feed.consolidate("5m")], instruments=named)
    assert [data.feeds[index].name for index in data.matching] == ["ticks_5m"]


@each_rule
def test_the_reference_engine_is_told_the_same_and_fills_the_same(
    name: str, rng: np.random.Generator
) -> None:
    ticks = random_ticks(rng, count=150)
    found = []
    for engine in ("rust", "reference"):
        feed = feed_of(ticks)
        bars = RULES[name][0](feed)
        follow, results = drive([feed, bars], Follow(bars.name), engine=engine)
        found.append((follow.events, follow.decisions, results.fills.rows(), results.nav.rows()))
    assert found[0] == found[1]
    assert found[0][1]


def test_the_order_in_which_feeds_are_given_changes_nothing(rng: np.random.Generator) -> None:
    feed = feed_of(random_ticks(rng))
    feeds: list[LoadedFeed] = [feed, *(rule(feed) for rule, _ in RULES.values())]
    there, _ = drive(feeds)
    back, _ = drive(feeds[::-1])
    assert there.events == back.events
    assert len({name for _, name, _, _ in there.events}) == len(feeds)


# -- feeds written in Python -------------------------------------------------------------------------------


class Prints(DataFeed):
    """Yields quotes and prints, in order of time."""

    name = "venue"
    kinds: tuple[type, ...] = (TradeTick, Quote)

    def __init__(self, ticks: pl.DataFrame) -> None:
        self.rows = self.each(ticks)

    def each(self, ticks: pl.DataFrame) -> Iterator[Bar | Quote | TradeTick]:
        for symbol, at, price, size in ticks.with_columns(pl.col("timestamp").cast(pl.Int64)).iter_rows():
            if Quote in self.kinds:
                yield Quote(symbol, at, price - 0.01, price + 0.01, 100, 100)
            if TradeTick in self.kinds:
                yield TradeTick(symbol, at, price, size)
            if Bar in self.kinds:
                yield Bar(symbol, at, price, price, price, price, size, ts_open=at - 1)

    def get_next_event(self) -> Bar | Quote | TradeTick | None:
        return next(self.rows, None)


def test_bars_are_built_of_the_prints_of_a_feed_that_yields_events(rng: np.random.Generator) -> None:
    ticks = random_ticks(rng)
    feed = Prints(ticks)
    data = assemble(
        [feed, feed.consolidate("5m"), feed.consolidate(volume=900, name="v")],
        instruments=[Instrument(symbol, matching_source="venue.quote") for symbol in "ABC"],
    )
    assert [each.name for each in data.feeds] == ["venue.quote", "venue.trade", "v", "venue_5m"]
    assert_frame_equal(built(data, "venue_5m"), as_loaded(time_bars(ticks, "5m")))
    assert_frame_equal(built(data, "v"), as_loaded(volume_bars(ticks, 900)))


def test_what_a_feed_that_yields_events_cannot_be_built_of_is_refused_when_it_is_read() -> None:
    class Quotes(Prints):
        kinds = (Quote,)

    class Both(Prints):
        kinds = (TradeTick, Bar)

    ticks = ticks_at((10, 10, 1), (310, 11, 1))
    quotes, both = Quotes(ticks), Both(ticks)
    with pytest.raises(DataError, match=r"feed venue: bars are built of trades .*quotes have no volume"):
        assemble([quotes, quotes.consolidate("5m")])
    with pytest.raises(DataError, match="built from feed venue, which yields trades and bars"):
        assemble([both, both.consolidate("5m")], instruments=[Instrument("XYZ", matching_source="venue.bar")])
    with pytest.raises(DataError, match="get_next_event can be read only once"):
        _ = Prints(ticks).consolidate("5m").report


# -- configuration files -----------------------------------------------------------------------------------


def document(folder: Path, *rules: object) -> dict[str, Any]:
    strategy = "from ml4t.backtest import Strategy\n\n\nclass Idle(Strategy):\n    pass\n"
    (folder / "idle.py").write_text(strategy, encoding="utf-8")
    ticks_at((10, 10, 60), (299, 10.5, 50), (302, 11, 40), (610, 13, 30)).write_parquet(folder / "t.parquet")
    feed = {"name": "ticks", "type": "ParquetFeed", "path": "t.parquet", "kind": "trade", "stamp": "event"}
    return {
        "data_feeds": [feed | {"consolidate": list(rules)}],
        "strategies": [{"name": "idle", "type": "idle.py:Idle"}],
    }


def test_a_configuration_names_lengths_or_tables(tmp_path: Path) -> None:
    flow = {"imbalance": "tick", "expected_ticks": 2, "limits": [2], "name": "flow"}
    plain = document(tmp_path, "5m", {"volume": 100, "name": "v", "matches_orders": True}, flow)
    config = load_config(plain, root=tmp_path)
    data = engine_of(config).data
    assert [each.name for each in data.feeds] == ["ticks", "flow", "v", "ticks_5m"]
    assert [table(data, name).frame.height for name in ("flow", "v", "ticks_5m")] == [2, 1, 2]
    assert [data.feeds[index].name for index in data.matching] == ["v"]
    assert (
        table(data, "flow").report.notes[0].endswith("imbalance='tick', expected_ticks=2, limits=(2, None)")
    )
    # What the manifest holds gives the same run.
    again = load_config(to_mapping(config), root=tmp_path)
    assert again == config
    assert engine_of(again).run().status == "complete"


def test_a_toml_file_may_have_tables_of_bars(tmp_path: Path) -> None:
    document(tmp_path)
    text = """
    [[data_feeds]]
    name = "ticks"
    type = "ParquetFeed"
    path = "t.parquet"
    kind = "trade"
    stamp = "event"

    [[data_feeds.consolidate]]
    every = "5m"
    name = "five"
    until = 2024-03-01T14:45:00Z

    [[instruments]]
    symbol = "XYZ"
    matching_source = "five"

    [[strategies]]
    name = "idle"
    type = "idle.py:Idle"
    """
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    data = engine_of(load_config(tmp_path / "run.toml")).data
    assert built(data, "five")["close"].to_list() == [10.5, 11.0, 13.0]
    assert [data.feeds[index].name for index in data.matching] == ["five"]


def test_a_configuration_says_all_that_is_wrong_with_its_bars(tmp_path: Path) -> None:
    config = load_config(document(tmp_path, "5 minutes", {"volum": 100}, {"volume": "much"}), root=tmp_path)
    with pytest.raises(ConfigError) as refused:
        engine_of(config)
    paths = {finding.path: finding.message for finding in refused.value.findings}
    assert list(paths) == [f"data_feeds[0].consolidate[{k}]" for k in range(3)]
    assert "every is '5 minutes'" in paths["data_feeds[0].consolidate[0]"]
    assert "did you mean 'volume'" in paths["data_feeds[0].consolidate[1]"]
    assert "volume is 'much'" in paths["data_feeds[0].consolidate[2]"]
    with pytest.raises(ConfigError, match=r"data_feeds\[0\].consolidate\[0\]: expected a text or a table"):
        load_config(document(tmp_path, 5), root=tmp_path)


@pytest.mark.parametrize(
    ("rules", "line", "words"),
    [
        ('consolidate = ["5m", { evry = "1h" }]\n', 7, "[1]: 'evry' is no keyword of consolidate, whose"),
        ("\n[[data_feeds.consolidate]]\nquotes = 5\n", 8, "[0]: 'quotes' is no keyword of consolidate"),
    ],
    ids=["in a list", "as a table"],
)
def test_what_is_wrong_with_bars_of_a_file_is_told_with_the_file_and_its_line(
    tmp_path: Path, rules: str, line: int, words: str
) -> None:
    document(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text(
        '[[data_feeds]]\nname = "ticks"\ntype = "ParquetFeed"\npath = "t.parquet"\nkind = "trade"\n'
        f'stamp = "event"\n{rules}\n[[strategies]]\nname = "idle"\ntype = "idle.py:Idle"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        engine_of(load_config(path))
    assert str(refused.value).startswith(f"{path}: data_feeds[0].consolidate{words}")
    assert str(refused.value).endswith(f"(line {line})")


# -- refusals ----------------------------------------------------------------------------------------------


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, ArgumentError, "one of every, ticks, volume, dollar, imbalance; found none of them"),
    ({"every": "5m", "ticks": 5}, ArgumentError, "found every and ticks"),
    (
        {"every": "5m", "span": 3},
        ArgumentError,
        "span belongs to imbalance, and these bars are built by every",
    ),
    ({"ticks": 5, "outside": "drop"}, ArgumentError, "outside belongs to every"),
    ({"evry": "5m"}, ArgumentError, "did you mean 'every'"),
    ({"every": "2d"}, DataError, "every is '2d'; allowed are lengths below a day"),
    ({"every": 5}, DataError, "every is 5"),
    ({"every": "5m", "outside": "keep"}, DataError, "outside is 'keep'"),
    ({"every": "5m", "until": dt.datetime(2024, 3, 1)}, DataError, "until: "),
    ({"ticks": 2.5}, DataError, "ticks is 2.5; allowed are whole numbers"),
    ({"volume": 0}, DataError, "volume is 0; allowed are finite numbers above zero"),
    ({"dollar": float("nan")}, DataError, "dollar is nan"),
    ({"imbalance": "volum", "expected_ticks": 5}, DataError, "imbalance is 'volum'.*did you mean 'volume'"),
    ({"imbalance": "volume"}, DataError, "expected_ticks is None"),
    ({"imbalance": "volume", "expected_ticks": 5, "limits": (9, 12)}, DataError, "not within limits"),
    ({"every": "5m", "name": ""}, DataError, "name is ''"),
]


@pytest.mark.parametrize(("keywords", "error", "words"), REFUSED)
def test_a_rule_that_makes_no_sense_is_refused_where_it_is_written(
    keywords: dict[str, Any], error: type[Exception], words: str
) -> None:
    feed = feed_of(ticks_at((10, 10, 1), (310, 11, 1)))
    with pytest.raises(error, match=words):
        feed.consolidate(**keywords)


def test_a_keyword_that_is_none_is_refused_with_those_of_consolidate() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (310, 11, 1)))
    with pytest.raises(ArgumentError) as refused:
        feed.consolidate(evry="5m")  # type: ignore[call-arg]
    assert str(refused.value) == (
        "'evry' is no keyword of consolidate, whose options are dollar, every, expected_ticks, imbalance, "
        "limits, matches_orders, name, outside, span, ticks, until, volume; did you mean 'every'?"
    )
    with pytest.raises(ArgumentError, match="did you mean 'matches_orders'"):
        feed.consolidate("5m", match_orders=True)  # type: ignore[call-arg]


def test_a_source_that_bars_cannot_be_built_of_is_refused_where_it_is_written(prices: pl.DataFrame) -> None:
    stamped = {"symbol": ["XYZ"], "timestamp": [START], "bid_price": [1.0], "ask_price": [1.1]}
    quotes = DataFeed(pl.DataFrame(stamped), kind="quote", stamp="event", name="q")
    with pytest.raises(DataError, match=r"feed q: .*quotes have no volume"):
        quotes.consolidate("5m")
    context = DataFeed(pl.DataFrame({"timestamp": [START], "vix": [15.0]}), kind="context", stamp="event")
    with pytest.raises(DataError, match="rows of context belong to no instrument"):
        context.consolidate("5m")
    daily = DataFeed(prices, stamp="session", name="daily")
    with pytest.raises(
        DataError, match="feed daily: bars of 1h cannot be built of bars of 1d, which are longer"
    ):
        daily.consolidate("1h")
    with pytest.raises(
        DataError, match="feed daily: volume=1000 counts trade ticks, and this feed holds bars"
    ):
        daily.consolidate(volume=1_000)
    five = feed_of(ticks_at((10, 10, 1))).consolidate("5m")
    with pytest.raises(DataError, match="bars of 1m cannot be built of bars of 5m"):
        five.consolidate("1m")
    with pytest.raises(DataError, match="ticks=3 counts trade ticks"):
        five.consolidate(ticks=3)


def test_bars_that_do_not_fit_a_window_are_refused(rng: np.random.Generator) -> None:
    feed = feed_of(random_ticks(rng))
    fives = feed.consolidate("5m", name="five")
    with pytest.raises(DataError, match=r"feed sevens: the bar of .* reaches beyond its window of 7m"):
        assemble([feed, fives, fives.consolidate("7m", name="sevens")])
    given = DataFeed(time_bars(random_ticks(rng), "5m"), stamp="event", name="given")
    with pytest.raises(DataError, match=r"feed given_1m: the bar of .* reaches beyond its window"):
        assemble([given, given.consolidate("1m")])


def test_names_are_of_one_feed_and_the_source_is_in_the_run() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (310, 11, 1), (620, 12, 1)))
    five = feed.consolidate("5m", name="five")
    for other in (feed.consolidate(ticks=1, name="five"), five):
        with pytest.raises(DataError, match="two feeds are called 'five'"):
            assemble([feed, five, other])
    with pytest.raises(DataError, match="two feeds are called 'ticks'"):
        assemble([feed, feed.consolidate("5m", name="ticks")])
    for given in (five, [five], [five, feed_of(ticks_at((10, 10, 1)), name="others")]):
        with pytest.raises(DataError, match="feed five is built from feed ticks, which is not in the run"):
            assemble(given)
    with pytest.raises(DataError, match="feed ten is built from feed five, which is not in the run"):
        assemble([feed, five.consolidate("10m", name="ten")])


def test_a_feed_without_a_complete_bar_is_refused_by_its_rule() -> None:
    feed = feed_of(ticks_at((10, 10, 1), (310, 11, 1)))
    with pytest.raises(
        DataError, match="feed ticks_ticks_3: no bar by ticks=3 is complete within the 2 rows"
    ):
        assemble([feed, feed.consolidate(ticks=3)])


def test_rows_outside_sessions_and_unknown_sizes_are_refused_as_by_the_functions() -> None:
    early = ticks_at((-600, 9, 5), (10, 10, 1), (310, 11, 1))
    feed = feed_of(early)
    with pytest.raises(
        DataError, match="feed ticks_5m: XYZ at 2024-03-01T14:20:00Z lies outside the sessions"
    ):
        assemble([feed, feed.consolidate("5m")])
    data = assemble([feed, feed.consolidate("5m", outside="drop")])
    assert built(data, "ticks_5m")["volume"].to_list() == [1.0]
    sizeless = feed_of(early.drop("size"))
    with pytest.raises(DataError, match=r"feed ticks: XYZ at .*size is missing or NaN"):
        assemble([sizeless, sizeless.consolidate(ticks=2)])


def test_the_report_of_the_run_says_what_was_built_and_warns_of_nothing(rng: np.random.Generator) -> None:
    feed = feed_of(random_ticks(rng))
    bars = feed.consolidate(volume=5_000)
    engine = Engine([feed, bars], Strategy)
    # Bars by volume span the night, which of a feed of files would look like a wrong calendar.
    notes = table(engine.data, "ticks_volume_5000").report.notes
    assert notes[0] == "built from 800 rows of feed ticks by volume=5000"
    assert engine.data.notes == ()
    assert repr(bars).startswith("ConsolidatedFeed(name='ticks_volume_5000', volume=5000, source=DataFeed(")
