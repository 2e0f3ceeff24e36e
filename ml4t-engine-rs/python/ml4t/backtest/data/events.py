"""Feeds that yield events one at a time, and columns read back as events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import SupportsFloat

import polars as pl
from attrs import evolve

from ml4t.backtest.data.bounds import Bounds
from ml4t.backtest.data.checks import Rows
from ml4t.backtest.data.columns import SYMBOL_NAMES, find_symbol, folded
from ml4t.backtest.data.frames import open_source
from ml4t.backtest.data.prepare import Raw, read
from ml4t.backtest.data.settings import FeedSettings, settings_of
from ml4t.backtest.data.stamps import SMALLEST_NS
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Bar, Quote, TradeTick
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_ns

__all__ = ["read_events", "read_feed", "rows_as_events", "source_symbols"]

MarketEvent = Bar | Quote | TradeTick
KINDS: dict[type, DataKind] = {Bar: DataKind.BAR, Quote: DataKind.QUOTE, TradeTick: DataKind.TRADE}


def read_feed(feed: sources.DataFeed, bounds: Bounds) -> Raw:
    """Return the rows of a feed of columns."""
    settings = settings_of(feed)
    return read(open_source(getattr(feed, "prices", None), settings), settings, bounds)


def source_symbols(feed: sources.DataFeed) -> set[str]:
    """Return every symbol in the source of a feed of columns, whatever was selected; none for other feeds."""
    prices = getattr(feed, "prices", None)
    if prices is None:
        return set()
    settings = settings_of(feed)
    found: set[str] = set()
    for part in open_source(prices, evolve(settings, symbols=())).parts:
        names = {folded(name): name for name in reversed(list(part.schema))}
        if part.symbol is not None:
            found.add(part.symbol)
        elif names.keys().isdisjoint(SYMBOL_NAMES):
            found.update(settings.symbols)
        else:
            column = pl.col(find_symbol(names, label=settings.label)).cast(pl.String)
            known = part.frame.lazy().select(column.drop_nulls().unique())
            found.update(known.collect().to_series().to_list())
    return found


def read_events(feed: sources.DataFeed, bounds: Bounds) -> tuple[Raw, ...]:
    """Return the events of a feed as columns: one set of rows per kind of event.

    Events are taken until the feed returns None or passes the end of the run, so that a feed
    without an end is legal where the run has one.

    Raises
    ------
    DataError
        The feed yields nothing, something that is no market event, or an event earlier than the
        one before; or a bar without ``ts_open`` from a feed without ``interval``.
    """
    settings = settings_of(feed, yields_events=True)
    events: dict[DataKind, list[MarketEvent]] = {}
    _, last_day = bounds.coarse_days(settings.interval)
    previous: MarketEvent | None = None
    taken = 0
    while (event := _next_event(feed, settings, taken, previous)) is not None:
        taken += 1
        kind = _kind_of(event, settings)
        if previous is not None and event.ts_event < previous.ts_event:
            message = (
                f"{settings.label}: {event.symbol} at {format_ns(event.ts_event)} came after "
                f"{previous.symbol} at {format_ns(previous.ts_event)}; get_next_event yields events in the "
                "order of ts_event"
            )
            raise DataError(message)
        if last_day is not None and format_ns(event.ts_event)[:10] > last_day.isoformat():
            break
        events.setdefault(kind, []).append(event)
        previous = event
    if not events:
        message = (
            f"{settings.label}: get_next_event returned no event; a feed that has been read once is at its "
            "end, so give each run a new one"
        )
        raise DataError(message)
    return tuple(
        _columns(kind, rows, settings)
        for kind, rows in sorted(events.items(), key=lambda item: item[0].value)
    )


def _next_event(
    feed: sources.DataFeed, settings: FeedSettings, taken: int, previous: MarketEvent | None
) -> MarketEvent | None:
    """Return the next event; an error of the feed says how far it had come."""
    try:
        return feed.get_next_event()
    except Exception as error:
        last = f", the last of {previous.symbol} at {format_ns(previous.ts_event)}" if previous else ""
        error.add_note(
            f"{settings.label}: raised by {type(feed).__name__}.get_next_event after {taken} events{last}; "
            "the run had not begun, so there are no results"
        )
        raise


def _kind_of(event: MarketEvent, settings: FeedSettings) -> DataKind:
    """Return the kind of an event, refusing what is none and what has no instrument or instant."""
    kind = KINDS.get(type(event))
    if kind is None:
        message = (
            f"{settings.label}: get_next_event returned a {type(event).__name__}; it returns Bar, Quote, "
            "TradeTick, or None at the end"
        )
        raise DataError(message)
    symbol: object = event.symbol
    if not isinstance(symbol, str):
        message = (
            f"{settings.label}: the {kind.value} at {format_ns(event.ts_event)} has symbol {symbol!r}; a "
            "symbol is a text"
        )
        raise DataError(message)
    if abs(event.ts_event) < SMALLEST_NS:
        message = (
            f"{settings.label}: ts_event {event.ts_event} of {symbol} is an instant of the year "
            f"{format_ns(event.ts_event)[:4]}; integer stamps are ns since 1970 in UTC, and this looks like "
            "s, ms or us"
        )
        raise DataError(message)
    return kind


def _columns(kind: DataKind, events: list[MarketEvent], settings: FeedSettings) -> Raw:
    """Return events of one kind as columns."""
    keys: dict[str, pl.Series] = {
        "symbol": pl.Series([event.symbol for event in events], dtype=pl.String),
        "stamp": pl.Series([event.ts_event for event in events], dtype=pl.Int64),
    }
    if any(event.ts_arrival is not None for event in events):
        arrivals = [event.ts_event if event.ts_arrival is None else event.ts_arrival for event in events]
        keys["ts_arrival"] = pl.Series(arrivals, dtype=pl.Int64)
    values = {
        name: pl.Series([getattr(event, name) for event in events], dtype=pl.Float64)
        for name in VALUE_COLUMNS[kind]
    }
    bars = [event for event in events if isinstance(event, Bar)]
    for name in dict.fromkeys(name for bar in bars for name in bar.fields):
        values[name] = pl.Series([_feature(bar, name, settings) for bar in bars], dtype=pl.Float64)
    stamp = StampMeaning.EVENT
    if bars and all(bar.ts_open is not None for bar in bars):
        keys["ts_open"] = pl.Series([bar.ts_open for bar in bars], dtype=pl.Int64)
    elif bars:
        _refuse_unknown_open(bars, settings)
        stamp = StampMeaning.CLOSE
    own = evolve(settings, kind=kind, stamp=stamp)
    return Raw(settings=own, keys=pl.DataFrame(keys), values=pl.DataFrame(values))


def _feature(bar: Bar, name: str, settings: FeedSettings) -> float:
    value: object = bar.fields.get(name, float("nan"))
    if isinstance(value, SupportsFloat) and not isinstance(value, str):
        return float(value)
    message = (
        f"{settings.label}: {bar.symbol} at {format_ns(bar.ts_event)}: field {name!r} is {value!r}; features "
        "are numbers, NaN where one is missing"
    )
    raise DataError(message)


def _refuse_unknown_open(bars: list[Bar], settings: FeedSettings) -> None:
    known = [bar for bar in bars if bar.ts_open is not None]
    bar = next(bar for bar in bars if bar.ts_open is None)
    if known or settings.interval is None:
        what = "others of this feed have one" if known else "the feed declares no interval"
        message = (
            f"{settings.label}: the bar of {bar.symbol} at {format_ns(bar.ts_event)} has no ts_open and "
            f"{what}; give ts_open to each bar, or to none and declare interval = '1m' (or '1d') on the feed"
        )
        raise DataError(message)


def rows_as_events(rows: Rows) -> Iterator[MarketEvent]:
    """Yield prepared rows as events, in order."""
    if rows.kind is DataKind.CONTEXT:
        message = f"{rows.label}: context rows belong to no instrument and are no events"
        raise DataError(message)
    extra = rows.values.columns[len(VALUE_COLUMNS[rows.kind]) :]
    table = rows.keys.hstack(rows.values.get_columns())
    for row in table.iter_rows(named=True):
        symbol, at, arrival = row["symbol"], row["ts_event"], row.get("ts_arrival")
        values = [row[name] for name in VALUE_COLUMNS[rows.kind]]
        if rows.kind is DataKind.BAR:
            fields = {name: row[name] for name in extra}
            yield Bar(symbol, at, *values, ts_open=row["ts_open"], ts_arrival=arrival, fields=fields)
        elif rows.kind is DataKind.QUOTE:
            yield Quote(symbol, at, *values, ts_arrival=arrival)
        else:
            yield TradeTick(symbol, at, *values, ts_arrival=arrival)
