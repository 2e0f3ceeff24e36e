"""Random markets: small, awkward, and the same for the same seed.

A `Table` keeps both instants of every row, whatever the feed will declare about its stamps, so that a test
can tell the rows of the past from those of the future without asking the code it tests.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import polars as pl

from ml4t.backtest import CorporateAction, DataFeed, Instrument
from ml4t.backtest.calendars import session_table
from ml4t.core.types import ActionKind

MINUTE = 60 * 10**9
SYMBOLS = ("A", "B", "C", "D")
FRACTIONAL = ("B",)
MODELS = ("slow", "fast")
FIRST_DAY = dt.date(2012, 6, 25)  # the week of an early close, 3 July, and a holiday, 4 July
PRICES = {"bar": ("open", "high", "low", "close"), "quote": ("bid_price", "ask_price"), "trade": ("price",)}


@attrs.frozen
class Table:
    """Rows of one feed, with `ts_open` (bars), `ts_event` and `ts_arrival` in ns, and how to declare them."""

    name: str
    rows: pl.DataFrame
    kind: Any = "bar"
    stamp: Any = "event"
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def frame(self) -> pl.DataFrame:
        """Return what a user would hand over: stamps as the feed declares them, and no other."""
        utc = pl.Datetime("ns", "UTC")
        rows = self.rows.with_columns(pl.col("ts_arrival").cast(utc))
        if self.stamp == "session":
            label = pl.col("ts_event").cast(utc).dt.date().alias("session")
            return rows.select(label, pl.exclude("ts_open", "ts_event"))
        if self.kind != "bar" or self.stamp == "event":
            stamps = [pl.col(name).cast(utc) for name in ("ts_open", "ts_event") if name in rows.columns]
            return rows.select(*stamps, pl.exclude("ts_open", "ts_event"))
        source = "ts_open" if self.stamp == "open" else "ts_event"
        return rows.select(pl.col(source).cast(utc).alias("timestamp"), pl.exclude("ts_open", "ts_event"))

    def feed(self, frame: object = None) -> DataFeed:
        """Return a feed of these rows, or of the given form of them."""
        given = self.frame() if frame is None else frame
        return DataFeed(given, name=self.name, kind=self.kind, stamp=self.stamp, **self.options)


@attrs.frozen
class Market:
    """Everything a run reads. `slots` are the bars that may exist: (`ts_open`, `ts_event`) by table name."""

    tables: tuple[Table, ...]
    instruments: tuple[Instrument, ...]
    signals: pl.DataFrame | None = None
    actions: tuple[CorporateAction, ...] = ()
    slots: Mapping[str, Sequence[tuple[int, int]]] = attrs.field(factory=dict)
    nav_calendar: str | None = None

    @property
    def has_volume(self) -> bool:
        """Whether models may ask for volumes."""
        bars = [table.rows for table in self.tables if table.kind == "bar"]
        return not any(rows["volume"].is_nan().any() for rows in bars)

    def instants(self) -> list[int]:
        """Every instant at which something opens, ends or arrives, ascending."""
        found: set[int] = set()
        for table in self.tables:
            for name in ("ts_open", "ts_event", "ts_arrival"):
                if name in table.rows.columns:
                    found.update(table.rows[name].to_list())
        if self.signals is not None:
            found.update(self.signals["ts_arrival"].cast(pl.Int64).to_list())
        found.update(midnight_ns(action.ex_date) for action in self.actions)
        return sorted(found)

    def feeds(self) -> list[DataFeed]:
        """Return fresh feeds of all tables."""
        return [table.feed() for table in self.tables]

    def parts(self) -> dict[str, Any]:
        """Return the keywords of `Engine` beside feeds, strategy and configuration."""
        return {
            "signals": self.signals,
            "actions": list(self.actions) or None,
            "instruments": self.instruments,
        }


def instruments(**sources: str) -> tuple[Instrument, ...]:
    """Return a share, one traded in fractions, one with a multiplier of 2.5, and another share."""
    found = []
    for symbol in SYMBOLS:
        source = sources.get(symbol)
        if symbol in FRACTIONAL:
            found.append(Instrument.fractional(symbol, matching_source=source))
        else:
            multiplier = Decimal("2.5") if symbol == "C" else Decimal(1)
            found.append(Instrument(symbol, multiplier=multiplier, matching_source=source))
    return tuple(found)


@functools.cache
def sessions(name: str = "XNYS", count: int = 24) -> tuple[tuple[dt.date, int, int], ...]:
    """Return label, open and close of the first sessions from `FIRST_DAY` on."""
    table = session_table(name, FIRST_DAY, FIRST_DAY + dt.timedelta(days=2 * count + 10))
    inside = table.frame.filter(pl.col("label") >= FIRST_DAY).head(count)
    return tuple(inside.select("label", "open_ns", "close_ns").iter_rows())


def midnight_ns(day: dt.date) -> int:
    """00:00 in New York in the summer of 2012, which is 04:00 UTC."""
    return int(dt.datetime(day.year, day.month, day.day, 4, tzinfo=dt.UTC).timestamp()) * 10**9


def draw_values(rng: np.random.Generator, kind: str, level: float) -> dict[str, float]:
    """Return the values of one row near a price level: on the tick grid, now and then without volume."""
    a, b = (max(1.0, round(level * (1 + rng.normal(0, 0.02)), 2)) for _ in range(2))
    low, high = min(a, b), max(a, b)
    size = float(rng.choice([0, 40, 100, 1_000, 25_000]))
    if kind == "quote":
        sides = [low, round(high + 0.01, 2)]
        if rng.random() < 0.08:
            sides[int(rng.integers(2))] = float("nan")
        return {"bid_price": sides[0], "ask_price": sides[1], "bid_size": size, "ask_size": size + 50}
    if kind == "trade":
        return {"price": a, "size": size}
    low, high = max(0.5, round(low - abs(rng.normal(0, 0.2)), 2)), round(high + abs(rng.normal(0, 0.2)), 2)
    alpha = float("nan") if rng.random() < 0.1 else round(float(rng.normal()), 6)
    return {"open": a, "high": high, "low": low, "close": b, "volume": size, "alpha": alpha}


def draw_delay(rng: np.random.Generator, *, longest: int) -> int:
    """Return how long after its event a row arrives: mostly not at all."""
    return int(rng.integers(0, longest)) if rng.random() < 0.3 else 0


def bars_on(
    rng: np.random.Generator,
    slots: Sequence[tuple[int, int]],
    symbols: Sequence[str],
    *,
    delay: int = 0,
) -> pl.DataFrame:
    """Return bars on most of the slots; the last symbol has none in the first half."""
    rows = []
    for symbol in symbols:
        level = float(rng.uniform(8, 60))
        begin = len(slots) // 2 if symbol == symbols[-1] else 0
        for ts_open, ts_event in slots[begin:]:
            level = max(2.0, level * (1 + float(rng.normal(0, 0.03))))
            if rng.random() < 0.12:
                continue
            arrival = ts_event + (draw_delay(rng, longest=delay) if delay else 0)
            stamps = {"ts_open": ts_open, "ts_event": ts_event, "ts_arrival": arrival}
            rows.append({**stamps, "symbol": symbol, **draw_values(rng, "bar", level)})
    return _shuffled(rng, rows)


def ticks_between(
    rng: np.random.Generator, kind: str, symbols: Sequence[str], *, start: int, step: int, count: int
) -> pl.DataFrame:
    """Return quotes or trades on a coarse grid, so that many share their instant."""
    rows = []
    for symbol in symbols:
        level = float(rng.uniform(8, 60))
        begin = count // 2 if symbol == symbols[-1] else 0
        for at in sorted(int(x) for x in rng.integers(begin, count, size=count)):
            level = max(2.0, level * (1 + float(rng.normal(0, 0.01))))
            ts_event = start + at * step
            stamps = {"ts_event": ts_event, "ts_arrival": ts_event + draw_delay(rng, longest=5 * step)}
            rows.append({**stamps, "symbol": symbol, **draw_values(rng, kind, level)})
    # Prints of one instant keep the order of the source, so only whole symbols may change places.
    return in_order(pl.DataFrame(rows).sort("ts_event", maintain_order=True))


def draw_signals(
    rng: np.random.Generator, instants: Sequence[int], symbols: Sequence[str], *, delay: int
) -> pl.DataFrame:
    """Return predictions of two models, many of them late; both models speak first and last."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    wanted = [
        (at, symbol, str(rng.choice(MODELS))) for at in instants for symbol in symbols if rng.random() < 0.4
    ]
    edges = [(at, symbols[0], model) for at in (instants[0], instants[-1]) for model in MODELS]
    for at, symbol, model in [*wanted, *edges]:
        arrival = at if (at, symbol, model) in edges else at + draw_delay(rng, longest=delay)
        rows[at, arrival, symbol, model] = {
            "ts_event": at,
            "ts_arrival": arrival,
            "asset_id": symbol,
            "model_id": model,
            "score": round(float(rng.normal()), 6),
            "confidence": round(float(rng.random()), 6),
        }
    utc = pl.Datetime("ns", "UTC")
    return pl.DataFrame(list(rows.values())).with_columns(pl.col("ts_event", "ts_arrival").cast(utc))


def draw_actions(
    rng: np.random.Generator, days: Sequence[dt.date], symbols: Sequence[str]
) -> tuple[CorporateAction, ...]:
    """Return splits, reverse and fractional ones too, and dividends that are paid some days later."""
    found = []
    for symbol in symbols:
        for day in days:
            if rng.random() < 0.08:
                ratio = Fraction(str(rng.choice(["2", "3/2", "1/3", "7", "4/5"])))
                found.append(CorporateAction(symbol, day, ActionKind.SPLIT, ratio=ratio))
            # What stands for 2.5 of its price is a contract, and pays nothing.
            if rng.random() < 0.12 and symbol != "C":
                amount = Decimal(int(rng.integers(1, 90))) / 100
                pay = day + dt.timedelta(days=int(rng.integers(0, 12)))
                found.append(
                    CorporateAction(symbol, day, ActionKind.CASH_DIVIDEND, amount=amount, pay_date=pay)
                )
    return tuple(found)


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Delay arrivals so that the rows of one instrument arrive in their order, as the engine demands."""
    ordered = rows.with_row_index("at").sort("ts_event", maintain_order=True)
    group = [name for name in ("symbol",) if name in rows.columns]
    arrival = pl.col("ts_arrival").cum_max()
    return ordered.with_columns(arrival.over(group) if group else arrival).sort("at").drop("at")


def _shuffled(rng: np.random.Generator, rows: list[dict[str, Any]]) -> pl.DataFrame:
    frame = in_order(pl.DataFrame(rows))
    return frame[rng.permutation(frame.height)]


def _context(rng: np.random.Generator, instants: Sequence[int]) -> Table:
    rows = [
        {
            "ts_event": at,
            "ts_arrival": at + draw_delay(rng, longest=3 * MINUTE),
            "vix": float(rng.uniform(10, 40)),
        }
        for at in instants
        if rng.random() < 0.5
    ]
    return Table("macro", in_order(pl.DataFrame(rows)), kind="context")


def daily_market(rng: np.random.Generator) -> Market:
    """Session bars of New York shares with features, late arrivals, signals and corporate actions."""
    days = sessions()
    slots = [(opened, closed) for _, opened, closed in days]
    rows = bars_on(rng, slots, SYMBOLS, delay=40 * 3600 * 10**9)
    closes = [closed for _, closed in slots]
    labels = [label for label, _, _ in days[1:]]
    return Market(
        (Table("prices", rows, stamp="session"), _context(rng, closes)),
        instruments(),
        signals=draw_signals(rng, closes, SYMBOLS, delay=30 * 3600 * 10**9),
        actions=draw_actions(rng, labels, SYMBOLS),
        slots={"prices": slots},
    )


def minute_market(rng: np.random.Generator, *, stamp: str = "close", kind: str = "1m") -> Market:
    """Bars of the first minutes of three sessions, and signals that arrive between and on them."""
    minutes = 12
    slots = [
        (opened + k * MINUTE, opened + (k + 1) * MINUTE)
        for _, opened, _ in sessions()[5:8]  # across the early close and the holiday
        for k in range(minutes)
    ]
    rows = bars_on(rng, slots, SYMBOLS, delay=2 * MINUTE)
    closes = [closed for _, closed in slots]
    return Market(
        (Table("prices", rows, stamp=stamp, options={"interval": kind}), _context(rng, closes)),
        instruments(),
        signals=draw_signals(rng, closes[::3], SYMBOLS, delay=4 * MINUTE),
        actions=draw_actions(rng, [sessions()[6][0], sessions()[7][0]] * 2, SYMBOLS[:1])[:1],
        slots={"prices": slots},
    )


def tick_market(rng: np.random.Generator, *, kind: str) -> Market:
    """Quotes or prints of a quarter of an hour, several at one instant."""
    start = sessions()[5][1]
    rows = ticks_between(rng, kind, SYMBOLS, start=start, step=20 * 10**9, count=36)
    at = sorted(set(rows["ts_event"].to_list()))
    return Market(
        (Table("ticks", rows, kind=kind), _context(rng, at)),
        instruments(),
        signals=draw_signals(rng, at[::4], SYMBOLS, delay=MINUTE),
    )


def mixed_market(rng: np.random.Generator) -> Market:
    """Daily bars that fill orders on some symbols, minute bars on others, quotes and prints on one.

    A daily bar is open for hours while the others tick: what it will be must not show in the account.
    """
    days = sessions()[5:9]
    day_slots = [(opened, closed) for _, opened, closed in days]
    minute_slots = [
        (opened + k * 30 * MINUTE, opened + (k + 1) * 30 * MINUTE) for _, opened, _ in days for k in range(6)
    ]
    daily = bars_on(rng, day_slots, SYMBOLS)
    minutes = bars_on(rng, minute_slots, ("B", "C", "D"), delay=20 * MINUTE)
    opened = days[0][1]
    quotes = ticks_between(rng, "quote", ("C", "D"), start=opened, step=5 * MINUTE, count=30)
    prints = ticks_between(rng, "trade", ("C", "D"), start=opened, step=5 * MINUTE, count=30)
    closes = [closed for _, closed in minute_slots]
    return Market(
        (
            Table("daily", daily, stamp="session"),
            Table("minutes", minutes, stamp="open", options={"interval": "30m"}),
            Table("quotes", quotes, kind="quote"),
            Table("prints", prints, kind="trade"),
        ),
        instruments(A="daily", B="minutes", C="quotes", D="prints"),
        signals=draw_signals(rng, closes[::2], SYMBOLS, delay=50 * MINUTE),
        actions=draw_actions(rng, [label for label, _, _ in days[1:]], SYMBOLS),
        slots={"daily": day_slots, "minutes": minute_slots},
    )


def silent_market(rng: np.random.Generator) -> Market:
    """Bars without volume, stamped at their open."""
    market = minute_market(rng, stamp="open")
    table, *others = market.tables
    silent = attrs.evolve(table, rows=table.rows.with_columns(volume=pl.lit(float("nan"))))
    return attrs.evolve(market, tables=(silent, *others))


VENUES = {"A": "XNYS", "B": "24/7", "D": "CME_Equity"}


def venues_market(rng: np.random.Generator) -> Market:
    """Hours of a share, a coin and a future, each in the sessions of its own calendar."""
    tables, slots = [], {}
    for symbol, calendar in VENUES.items():
        name = f"hours of {symbol}"
        slots[name] = [
            (start, min(start + 60 * MINUTE, closed))
            for _, opened, closed in sessions(calendar)[5:8]
            for start in range(opened, closed, 60 * MINUTE)
        ]
        # The first of two symbols has rows from the beginning.
        rows = bars_on(rng, slots[name], (symbol, "-"), delay=90 * MINUTE).filter(pl.col("symbol") == symbol)
        tables.append(Table(name, rows))
    kinds = {each.symbol: each for each in instruments()}
    listed = [attrs.evolve(kinds[symbol], calendar=calendar) for symbol, calendar in VENUES.items()]
    closes = [closed for _, closed in slots["hours of A"]]
    return Market(
        (*tables, _context(rng, closes)),
        tuple(listed),
        signals=draw_signals(rng, closes, tuple(VENUES), delay=5 * 60 * MINUTE),
        slots=slots,
        nav_calendar=str(rng.choice(list(VENUES.values()))),
    )


MARKETS: Mapping[str, Callable[[np.random.Generator], Market]] = {
    "daily": daily_market,
    "minutes-stamped-at-the-close": functools.partial(minute_market, stamp="close"),
    "minutes-stamped-at-the-open": functools.partial(minute_market, stamp="open"),
    "minutes-without-volume": silent_market,
    "quotes": functools.partial(tick_market, kind="quote"),
    "trades": functools.partial(tick_market, kind="trade"),
    "mixed": mixed_market,
    "venues": venues_market,
}
