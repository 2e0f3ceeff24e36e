"""Market data reach the engine without a copy, in any form, from any calendar, with equal results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from ml4t.backtest import Bar, DataFeed, Engine, Instrument, Quote, Results, Strategy, TradeTick, datasets
from ml4t.backtest.calendars import session_table
from ml4t.engine._engine import Run

from .markets import MINUTE, Market, Table, bars_on, sessions, tick_market
from .readers import Reader
from .running import draw_config, run_reader

FIELDS = ["open", "high", "low", "close", "volume"]

# --------------------------------------------------------------------------- zero copy


def buffer_address(column: pl.Series) -> int:
    """Return where the values of a column begin, as Arrow sees it."""
    array = column.to_arrow()
    begin: int = array.buffers()[1].address + array.offset * 8
    return begin


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Return the native runs that engines open, as they open them."""
    runs: list[Run] = []

    def open_run(spec: dict[str, Any]) -> Run:
        runs.append(Run(spec))
        return runs[-1]

    monkeypatch.setattr("ml4t.engine._engine.Run", open_run)
    return runs


@pytest.mark.parametrize("form", [pl.DataFrame, pl.DataFrame.to_arrow], ids=["polars", "pyarrow"])
def test_price_columns_are_read_where_the_caller_put_them(
    form: Callable[[pl.DataFrame], object], opened: list[Run]
) -> None:
    frame = datasets.us_equity_daily().rechunk()
    Engine(DataFeed(form(frame), stamp="session"), Strategy).run()
    for name in (*FIELDS, "adj_close"):
        assert opened[0].column_address("prices", name) == buffer_address(frame[name]), name


def test_two_runs_of_one_engine_read_the_same_memory(opened: list[Run]) -> None:
    frame = datasets.us_equity_daily()[::-1]
    engine = Engine(DataFeed(frame, stamp="session"), Strategy)
    engine.run()
    engine.run()
    first, second = (run.column_address("prices", "close") for run in opened)
    assert first == second
    assert first != buffer_address(frame["close"]), "rows in reverse have to be sorted into new memory"


# --------------------------------------------------------------------------- feeds written in Python


def events_of(table: Table) -> Iterator[Bar | Quote | TradeTick]:
    """Yield the rows of a table as a user's feed would."""
    for row in table.rows.sort("ts_event", maintain_order=True).iter_rows(named=True):
        common = {"symbol": row["symbol"], "ts_event": row["ts_event"], "ts_arrival": row["ts_arrival"]}
        if table.kind == "bar":
            values = {name: row[name] for name in FIELDS}
            yield Bar(**common, **values, ts_open=row["ts_open"], fields={"alpha": row["alpha"]})
        elif table.kind == "quote":
            yield Quote(**common, **{name: row[name] for name in row if name.startswith(("bid", "ask"))})
        else:
            yield TradeTick(**common, price=row["price"], size=row["size"])


class Replay(DataFeed):
    """A feed in plain Python: its own constructor, and one method."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.events = events_of(table)

    def get_next_event(self) -> Bar | Quote | TradeTick | None:
        return next(self.events, None)


def bars(rng: np.random.Generator) -> Market:
    slots = [
        (opened + k * MINUTE, opened + (k + 1) * MINUTE) for _, opened, _ in sessions()[:3] for k in range(20)
    ]
    rows = bars_on(rng, slots, ("A", "B", "C"), delay=2 * MINUTE)
    table = Table("prices", rows, stamp="close", options={"interval": "1m"})
    return Market((table,), tuple(Instrument(symbol) for symbol in ("A", "B", "C")))


def ticks(rng: np.random.Generator, kind: str) -> Market:
    market = tick_market(rng, kind=kind)
    return Market(market.tables[:1], market.instruments)


@pytest.mark.parametrize("kind", ["bar", "quote", "trade"])
def test_a_feed_in_plain_python_gives_the_results_of_the_same_rows_in_a_frame(
    kind: str, rng: np.random.Generator
) -> None:
    market = bars(rng) if kind == "bar" else ticks(rng, kind)
    config = draw_config(rng, market, initial_cash="100000")
    reader = Reader(activity=0.4)
    as_frame = run_reader(market, reader, config)
    other = Reader(activity=0.4)
    as_events = Engine(
        [Replay(table) for table in market.tables], other, config=config, **market.parts()
    ).run()
    assert as_frame.orders.height > 10
    assert reader.seen == other.seen
    assert same_tables(as_frame, as_events)


def same_tables(one: Results, other: Results) -> bool:
    """Whether two runs left the same rows in every table."""
    names = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")
    return all(one.table(name).equals(other.table(name)) for name in names)


# --------------------------------------------------------------------------- forms

SHARES = ["AAPL", "IBM", "MSFT"]


@pytest.fixture(scope="module")
def year() -> pl.DataFrame:
    """Return a year of real prices, without the column that looks ahead."""
    rows = datasets.us_equity_daily().filter(
        pl.col("session").dt.year() == 2012, pl.col("symbol").is_in(SHARES)
    )
    return rows.drop("adj_close")


def by_csv(frame: pl.DataFrame, folder: Path) -> DataFeed:
    frame.write_csv(folder / "prices.csv")
    return DataFeed.from_csv(folder / "prices.csv", stamp="session")


def by_parquet(frame: pl.DataFrame, folder: Path) -> DataFeed:
    frame.write_parquet(folder / "prices.parquet", row_group_size=97)
    return DataFeed.from_parquet(folder / "prices.parquet", stamp="session")


def by_partition(frame: pl.DataFrame, folder: Path) -> DataFeed:
    for symbol in SHARES:
        frame.filter(pl.col("symbol") == symbol).write_parquet(folder / f"{symbol}.parquet")
    return DataFeed.from_parquet([folder / f"{symbol}.parquet" for symbol in SHARES[::-1]], stamp="session")


def by_wide(frame: pl.DataFrame, _: Path) -> DataFeed:
    wide = {name: frame.pivot("symbol", index="session", values=name) for name in FIELDS}
    return DataFeed(wide, stamp="session")


def by_levels(frame: pl.DataFrame, _: Path) -> DataFeed:
    flat = frame.to_pandas().set_index(["session", "symbol"]).unstack("symbol")
    return DataFeed(flat, stamp="session")


def by_symbol(frame: pl.DataFrame, _: Path) -> DataFeed:
    parts = {symbol: frame.filter(pl.col("symbol") == symbol).drop("symbol") for symbol in SHARES}
    return DataFeed(parts, stamp="session")


def renamed(frame: pl.DataFrame, _: Path) -> DataFeed:
    other = frame.rename({"close": "PX_LAST", "symbol": "ticker", "session": "day"})
    names = {"close": "PX_LAST", "symbol": "ticker", "timestamp": "day"}
    return DataFeed(other, stamp="session", columns=names)


FORMS: dict[str, Callable[[pl.DataFrame, Path], DataFeed]] = {
    "csv": by_csv,
    "parquet": by_parquet,
    "parquet files by symbol": by_partition,
    "polars, lazy": lambda frame, _: DataFeed(frame.lazy(), stamp="session"),
    "pandas": lambda frame, _: DataFeed(frame.to_pandas(), stamp="session"),
    "pyarrow": lambda frame, _: DataFeed(frame.to_arrow(), stamp="session"),
    "pyarrow in batches": lambda frame, _: DataFeed(
        pa.Table.from_batches(frame.to_arrow().to_batches(max_chunksize=100)), stamp="session"
    ),
    "wide frames by field": by_wide,
    "pandas with two column levels": by_levels,
    "frames by symbol": by_symbol,
    "other names": renamed,
}


class Rotate(Strategy):
    """Sends every kind of order, by prices and by history."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        closes = data.history("close", 5)
        if np.isnan(closes).any():
            return
        best = data.symbols[int(np.argmax(closes[-1] / closes[0]))]
        broker.order_target_weights({best: 0.4}, keep_others=timestamp.day % 2 == 0)
        for symbol in data:
            close = data[symbol]["close"]
            broker.buy(symbol, 3, limit_price=round(close * 0.99, 2), time_in_force="day")
            if broker.get_position(symbol) is not None:
                broker.sell(symbol, 2, stop_price=round(close * 0.98, 2), time_in_force="day")


def rotate(feed: DataFeed) -> Results:
    config = {
        "broker": {
            "slippage_model": {"type": "VolumeShare", "volume_limit": 1e-6},
            "commission_model": {"type": "PerShare", "fee": 0.005, "minimum": 1},
        }
    }
    return Engine(feed, Rotate, config=config).run()


def table_bytes(results: Results, folder: Path, *names: str) -> list[bytes]:
    """Return the bytes of saved tables."""
    saved = results.save(folder)
    return [(saved / f"{name}.parquet").read_bytes() for name in names]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_prices_gives_the_same_bytes(
    form: str, year: pl.DataFrame, tmp_path: Path
) -> None:
    names = ("fills", "orders", "order_events", "ledger", "portfolio_history")
    plain = rotate(DataFeed(year, stamp="session"))
    assert plain.fills.height > 100
    (tmp_path / "in").mkdir()
    other = rotate(FORMS[form](year, tmp_path / "in"))
    assert table_bytes(other, tmp_path / "other", *names) == table_bytes(plain, tmp_path / "plain", *names)
    entries = [each.manifest["data"][0]["sha256"] for each in (plain, other)]
    assert entries[0] == entries[1], "the manifest names the same rows"


# --------------------------------------------------------------------------- calendars

DAYS = (dt.date(2012, 7, 2), dt.date(2012, 7, 9))  # the holiday and its early close, and a weekend
VENUES = {"SHARE": "XNYS", "FUTURE": "CME_Equity", "COIN": "24/7"}


def daily(symbol: str, calendar: str, price: float) -> DataFeed:
    table = session_table(calendar, *DAYS).frame.filter(pl.col("label").is_between(*DAYS))
    opens = [price + k for k in range(table.height)]
    frame = pl.DataFrame(
        {
            "session": table["label"],
            "open": opens,
            "high": [p + 0.75 for p in opens],
            "low": [p - 0.25 for p in opens],
            "close": [p + 0.5 for p in opens],
            "volume": [1e6] * table.height,
        }
    )
    instrument = Instrument(symbol, calendar=calendar, multiplier=Decimal(5 if symbol == "FUTURE" else 1))
    return DataFeed(frame, name=symbol, stamp="session", symbols=[symbol], instruments=[instrument])


class BuyEach(Strategy):
    """Buys one of everything at the first look and writes down when it was called, and for what."""

    data: Any

    def __init__(self) -> None:
        self.calls: list[tuple[dt.datetime, tuple[str, ...]]] = []
        self.closes: list[dt.datetime] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.calls.append((timestamp.datetime, tuple(data)))
        for symbol in data:
            if broker.get_position(symbol) is None:
                broker.buy(symbol, 1)

    def on_daily_close(self) -> None:
        self.closes.append(self.data.timestamp.datetime)


def test_new_york_chicago_and_round_the_clock_run_together_each_by_its_own_sessions() -> None:
    feeds = [daily(symbol, calendar, 100.0) for symbol, calendar in VENUES.items()]
    strategy = BuyEach()
    results = Engine(feeds, strategy, config={"backtest": {"nav_calendar": "XNYS"}}).run()

    first = {symbol: next(at for at, seen in strategy.calls if symbol in seen) for symbol in VENUES}
    utc = dt.UTC
    assert first == {
        "SHARE": dt.datetime(2012, 7, 2, 20, tzinfo=utc),  # 16:00 in New York
        "FUTURE": dt.datetime(2012, 7, 2, 20, 15, tzinfo=utc),  # 15:15 in Chicago
        "COIN": dt.datetime(2012, 7, 3, tzinfo=utc),  # the day of 2 July ends at midnight UTC
    }
    fills = {row["symbol"]: row for row in results.fills.rows(named=True)}
    # The future's session of 3 July begins on the day before, at 15:30 in Chicago.
    assert fills["FUTURE"]["ts_event"] == dt.datetime(2012, 7, 2, 20, 30, tzinfo=utc)
    for symbol, calendar in VENUES.items():
        table = session_table(calendar, *DAYS).frame.filter(pl.col("label").is_between(*DAYS))
        opened = table["open_ns"][1]
        assert fills[symbol]["ts_event"].timestamp() * 10**9 == opened, symbol
        assert fills[symbol]["price"] == 101.0, symbol
    closes = (
        session_table("XNYS", *DAYS).frame.filter(pl.col("label").is_between(*DAYS))["close_ns"].to_list()
    )
    assert [int(at.timestamp()) * 10**9 for at in strategy.closes] == closes
    navs = results.nav
    assert navs["session"].to_list() == [dt.date(2012, 7, day) for day in (2, 3, 5, 6, 9)]
    assert [int(at.timestamp()) * 10**9 for at in navs["ts_event"]] == closes
