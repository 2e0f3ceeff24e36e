"""Altering any row after T changes nothing that happened up to T."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Strategy, schedule

from .identities import Case
from .markets import MARKETS, Market, Table, draw_actions, draw_signals, draw_values, in_order, midnight_ns
from .readers import Reader
from .running import draw_config, explain, past, run_reader

VALUES = {
    "bar": ("open", "high", "low", "close", "volume", "alpha"),
    "quote": ("bid_price", "ask_price", "bid_size", "ask_size"),
    "trade": ("price", "size"),
    "context": ("vix",),
}


Row = dict[str, Any]


@attrs.frozen
class Future:
    """What comes after an instant, to be rewritten."""

    rng: np.random.Generator
    market: Market
    until: int
    # Where a bar without volume fills no order, an order that met its open and did not fill says that it will
    # have none: such a bar has no open. Everywhere else the volume of an open bar is the future.
    silence_shows: bool

    def table(self, table: Table) -> Table:
        """Return the table with rows altered, taken away and added.

        A bar that is open at the instant keeps its open price, which was known, and its stamps. Of a row
        that was complete, but had not arrived, the stamp of its arrival changes, and a feature, which nobody
        can have read; its prices are what orders were matched against. The last row of an instrument stays,
        because one that has none is refused.
        """
        ordered = table.rows.sort("ts_event").iter_rows(named=True)
        lasts = {row.get("symbol"): row["ts_event"] for row in ordered}
        rows = []
        for row in table.rows.iter_rows(named=True):
            begins = row["ts_open"] if "ts_open" in row else row["ts_event"]
            is_last = row["ts_event"] == lasts[row.get("symbol")]
            if begins <= self.until or is_last or self.rng.random() > 0.2:
                rows.append(self._row(table.kind, row))
        changed = _sorted_like(table, [*rows, *_additions(self.rng, table, self.market, self.until)])
        if table.kind == "bar" and not self.market.has_volume:
            changed = changed.with_columns(volume=pl.lit(float("nan")))
        return attrs.evolve(table, rows=changed)

    def _row(self, kind: str, row: Row) -> Row:
        event, rng = row["ts_event"], self.rng
        if row["ts_arrival"] <= self.until:
            return row
        if event <= self.until:
            later = self.until + 1 + int(rng.integers(0, 10**12))
            changed = {"alpha": 9.0} if kind == "bar" else {"vix": 99.0} if kind == "context" else {}
            return {**row, "ts_arrival": later, **changed}
        if kind == "bar" and row["ts_open"] <= self.until:
            return {**row, **self._open_bar(row)}
        if kind == "context":
            return {**row, "vix": float(rng.uniform(1, 99))}
        delay = int(rng.integers(0, 10**12)) if rng.random() < 0.3 else 0
        return {**row, **draw_values(rng, kind, float(rng.uniform(2, 200))), "ts_arrival": event + delay}

    def _open_bar(self, row: Row) -> Row:
        opened = row["open"]
        drawn = draw_values(self.rng, "bar", opened * float(self.rng.uniform(0.5, 2)))
        if self.silence_shows:
            drawn["volume"] = 0.0 if row["volume"] == 0 else drawn["volume"] + 10
        return {**drawn, "open": opened, "low": min(drawn["low"], opened), "high": max(drawn["high"], opened)}


def _additions(rng: np.random.Generator, table: Table, market: Market, until: int) -> list[dict[str, object]]:
    if table.kind == "context":
        return []
    symbols = table.rows["symbol"].unique().sort().to_list()
    if table.kind == "bar":
        taken = set(table.rows.select("symbol", "ts_event").iter_rows())
        free = [
            {"symbol": symbol, "ts_open": opened, "ts_event": event, "ts_arrival": event}
            for opened, event in market.slots[table.name]
            for symbol in symbols
            if opened > until and (symbol, event) not in taken
        ]
    else:
        last = table.rows["ts_event"].max()
        assert isinstance(last, int)
        width = max(1, last - until)
        stamps = [until + 1 + int(x) for x in rng.integers(0, width, size=6)] if until < last else []
        free = [{"symbol": str(rng.choice(symbols)), "ts_event": at, "ts_arrival": at} for at in stamps]
    wanted = [row for row in free if rng.random() < 0.5]
    return [{**row, **draw_values(rng, table.kind, float(rng.uniform(2, 200)))} for row in wanted]


def _sorted_like(table: Table, rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    frame = in_order(pl.DataFrame(rows, schema=table.rows.schema))
    return frame if table.kind == "bar" else frame.sort("ts_event", maintain_order=True)


def perturb_signals(rng: np.random.Generator, market: Market, until: int) -> pl.DataFrame | None:
    """Return the signals with those that arrive after the instant replaced by others."""
    if market.signals is None:
        return None
    arrival = pl.col("ts_arrival").cast(pl.Int64)
    known = market.signals.filter(arrival <= until)
    instants = [at for at in market.instants() if at > until - 10**13]
    fresh = draw_signals(
        rng, instants, market.tables[0].rows["symbol"].unique().sort().to_list(), delay=10**13
    )
    return pl.concat([known, fresh.filter(arrival > until)]).unique(
        ["ts_event", "ts_arrival", "asset_id", "model_id"], keep="first", maintain_order=True
    )


def perturb_actions(rng: np.random.Generator, market: Market, until: int) -> Market:
    """Return the market with other actions after the instant, and other pay dates after it."""
    known = [action for action in market.actions if midnight_ns(action.ex_date) <= until]
    later = [
        attrs.evolve(action, pay_date=action.pay_date + dt.timedelta(days=2))
        if action.pay_date is not None and midnight_ns(action.pay_date) > until and rng.random() < 0.5
        else action
        for action in known
    ]
    days = sorted({action.ex_date for action in market.actions} - {action.ex_date for action in known})
    fresh = draw_actions(rng, days, ["A", "B", "C"]) if market.actions else ()
    return attrs.evolve(market, actions=(*later, *fresh))


def perturb(rng: np.random.Generator, market: Market, until: int, config: Mapping[str, Any]) -> Market:
    """Rewrite everything after an instant."""
    case = Case(market, config)
    silence_shows = case.policies["zero_volume"] == "no_fill" and not case.needs_volume()
    future = Future(rng, market, until, silence_shows)
    tables = tuple(future.table(table) for table in market.tables)
    changed = attrs.evolve(market, tables=tables, signals=perturb_signals(rng, market, until))
    return perturb_actions(rng, changed, until)


def truncate(market: Market, until: int) -> Market:
    """Take away everything after an instant but the bars that are open at it."""

    def kept(table: Table) -> Table:
        stamp = "ts_open" if table.kind == "bar" else "ts_event"
        return attrs.evolve(table, rows=table.rows.filter(pl.col(stamp) <= until))

    signals = market.signals
    if signals is not None:
        signals = signals.filter(pl.col("ts_arrival").cast(pl.Int64) <= until)
    actions = tuple(action for action in market.actions if midnight_ns(action.ex_date) <= until)
    return attrs.evolve(
        market, tables=tuple(kept(table) for table in market.tables), signals=signals, actions=actions
    )


def setting(name: str, seed: int) -> tuple[np.random.Generator, Market, dict[str, Any], dict[str, Any]]:
    """Return a market, a configuration and the terms of a strategy, all at random."""
    rng = np.random.default_rng([seed, *name.encode()])
    market = MARKETS[name](rng)
    config = draw_config(rng, market)
    warmup = int(rng.choice([0, 0, 1])) if name == "daily" else 0
    return rng, market, config, {"seed": seed, "warmup": warmup, "activity": float(rng.choice([0.1, 0.4]))}


def check(name: str, seed: int) -> int:
    """Compare a random run with runs whose future differs; return how many orders it sent."""
    rng, market, config, terms = setting(name, seed)
    reader = Reader(**terms)
    results = run_reader(market, reader, config)
    instants = market.instants()
    for _ in range(2):
        until = instants[int(rng.integers(1, len(instants) - 1))] + int(rng.choice([-1, 0, 0, 1]))
        other = Reader(**terms)
        after = run_reader(perturb(rng, market, until, config), other, config)
        difference = explain(past(results, reader, until), past(after, other, until))
        assert not difference, f"{name}, seed {seed}, T = {until}, {config['broker']}: {difference}"
    return results.orders.height


def check_truncation(name: str, seed: int) -> None:
    """Compare a random run with one of a market that ends early."""
    rng, market, config, terms = setting(name, seed)
    reader = Reader(**terms)
    results = run_reader(market, reader, config)
    # Late enough for every instrument to have a row, and at an event, so that the run reaches the instant.
    rows = pl.concat([t.rows.select("symbol", "ts_event") for t in market.tables if t.kind != "context"])
    firsts = [t.rows.group_by("symbol").agg(pl.min("ts_event")) for t in market.tables if t.kind != "context"]
    late = rows.filter(pl.col("ts_event") >= pl.concat(firsts)["ts_event"].max())["ts_event"].unique().sort()
    until = late[int(rng.integers(len(late)))]
    other = Reader(**terms)
    after = run_reader(truncate(market, until), other, config)
    pasts = past(results, reader, until), past(after, other, until)
    for each in pasts:
        # Data that end inside a session have a NAV there; the run that goes on has none.
        for table in ("portfolio_history", "positions"):
            each.tables[table] = each.tables[table].filter(pl.col("ts_event").cast(pl.Int64) < until)
    difference = explain(*pasts)
    assert not difference, f"{name}, seed {seed}, T = {until}, {config['broker']}: {difference}"


@pytest.mark.parametrize("name", MARKETS)
def test_altering_what_comes_after_an_instant_changes_nothing_up_to_it(name: str, seed: int) -> None:
    sent = [check(name, seed + k) for k in range(2)]
    assert sum(sent) > 20, "the strategies hardly traded, so the comparison says little"


@pytest.mark.parametrize("name", MARKETS)
def test_a_market_that_ends_early_changes_nothing_before_its_end(name: str, seed: int) -> None:
    for k in range(2):
        check_truncation(name, seed + k)


@pytest.mark.soak
@pytest.mark.parametrize("name", MARKETS)
def test_altering_what_comes_after_an_instant_changes_nothing_up_to_it_at_length(
    name: str, seed: int
) -> None:
    for k in range(150):
        check(name, seed + 1000 + k)
        check_truncation(name, seed + 1000 + k)


# --------------------------------------------------------------------------- known ways to leak

START = dt.datetime(2024, 3, 1, 15, 30, tzinfo=dt.UTC)
COUNT = 6


def minute(k: int) -> dt.datetime:
    return START + dt.timedelta(minutes=k)


def flat(symbol: str = "XYZ", **columns: list[float]) -> pl.DataFrame:
    """Return a few minutes of a share at 100, with columns of one's own."""
    values = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 100.0, "volume": 1e6}
    frame = pl.DataFrame({"ts_event": [minute(k) for k in range(COUNT)]}).with_columns(
        pl.lit(symbol).alias("symbol"), *(pl.lit(value).alias(name) for name, value in values.items())
    )
    return frame.with_columns(pl.Series(name, column) for name, column in columns.items())


class Watcher(Strategy):
    """Holds ten shares and writes down what it is told to look at, every half minute."""

    data: Any

    def __init__(self, look: Callable[[Any], object]) -> None:
        self.look = look
        self.seen: list[tuple[int, object]] = []

    def on_start(self) -> None:
        self.schedule(self.write, rule=schedule.every("30s"))

    def write(self) -> None:
        self.seen.append((self.data.timestamp.ns, self.look(self)))

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        if event.ts_event == int(START.timestamp()) * 10**9 and event.asset == "XYZ":
            self.broker.buy("XYZ", 10)

    def before(self, until: dt.datetime) -> list[object]:
        return [what for at, what in self.seen if at < int(until.timestamp()) * 10**9]


def watch(look: Callable[[Any], object], *frames: pl.DataFrame, **options: Any) -> Watcher:  # noqa: ANN401
    feeds = [
        DataFeed(frame, name=f"feed{k}", stamp="close", interval="1m", matches_orders=k == 0)
        for k, frame in enumerate(frames)
    ]
    watcher = Watcher(look)
    Engine(feeds, watcher, **options).run()
    return watcher


@pytest.mark.parametrize("zero_volume", ["no_fill", "fill"])
def test_marks_and_equity_do_not_tell_at_the_open_of_a_bar_whether_it_will_have_volume(
    zero_volume: str,
) -> None:
    def account(strategy: Any) -> object:  # noqa: ANN401
        position = strategy.broker.get_position("XYZ")
        return strategy.broker.get_account_value(), position and position.mark_price

    config = {"broker": {"policies": {"zero_volume": zero_volume}}}
    opens = [100.0, 100, 100, 105, 100, 100]
    quiet = flat(open=opens, volume=[1e6, 1e6, 1e6, 0.0, 1e6, 1e6])
    busy = flat(open=opens)
    one, other = (watch(account, frame, config=config) for frame in (quiet, busy))
    # The fourth bar opens at minute 2 and is complete at minute 3.
    assert one.before(minute(3)) == other.before(minute(3))


def test_the_names_of_signals_do_not_tell_which_models_will_speak_later() -> None:
    def names(strategy: Any) -> object:  # noqa: ANN401
        signals = strategy.data["XYZ"]["signals"]
        return list(signals.keys()), list(signals), len(signals), "later" in signals

    def signals(last: str) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "ts_event": [minute(0), minute(5)],
                "asset_id": ["XYZ", "XYZ"],
                "score": [0.1, 0.2],
                "model_id": ["first", last],
            }
        )

    one, other = (watch(names, flat(), signals=signals(last)) for last in ("later", "other"))
    assert one.before(minute(5)) == other.before(minute(5))


def test_the_fields_of_an_instrument_do_not_tell_whether_it_will_have_rows_later() -> None:
    def fields(strategy: Any) -> object:  # noqa: ANN401
        row = strategy.data["OTHER"]
        return row.keys(), list(row), len(row), "score" in row, row.get("score", "none"), repr(row)

    prices = pl.concat([flat(), flat("OTHER")])
    features = flat(score=[1.0] * COUNT)
    late = flat("OTHER", score=[2.0] * COUNT).tail(1)
    one, other = (watch(fields, prices, more) for more in (features, pl.concat([features, late])))
    # As text, in which nan is nan.
    assert repr(one.before(minute(5))) == repr(other.before(minute(5)))


def test_the_features_of_a_bar_are_not_readable_while_it_is_open() -> None:
    def features(strategy: Any) -> object:  # noqa: ANN401
        row = strategy.data["XYZ"]
        return row["score"], strategy.data.history("score", 3, "XYZ").tolist(), repr(row)

    one, other = (watch(features, flat(score=[1.0, 2.0, 3.0, last, 5.0, 6.0])) for last in (4.0, 400.0))
    assert repr(one.before(minute(3))) == repr(other.before(minute(3)))
    assert repr(one.seen) != repr(other.seen)
