"""Everything a run reads, put on one time line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import polars as pl
from attrs import evolve, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.actions import Actions, action_table, read_actions
from ml4t.backtest.data.bounds import Bounds, Calendars, Moment, SessionBook, custom_calendars
from ml4t.backtest.data.consolidate import build
from ml4t.backtest.data.events import read_events, read_feed, source_symbols
from ml4t.backtest.data.feed import ConsolidatedFeed, yields_events
from ml4t.backtest.data.prepare import Prepared, Raw, prepare
from ml4t.backtest.data.rates import BORROW, Rates, rate_table, read_borrow_rates, read_funding_rates
from ml4t.backtest.data.readers import SourceFile
from ml4t.backtest.data.report import with_late_rows
from ml4t.backtest.data.settings import Instruments, instruments_by_symbol, merge_instruments
from ml4t.backtest.data.signals import (
    SignalRows,
    as_signals,
    read_signals,
    signal_instants,
    signal_table,
)
from ml4t.backtest.data.tables import FeedTable, MarketData, SignalTable
from ml4t.core import sources
from ml4t.core.errors import DataError, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_ns

__all__ = ["Feeds", "assemble", "listed_feeds"]

Feeds: TypeAlias = sources.DataFeed | Iterable[sources.DataFeed]
DAY_NS = 86_400_000_000_000
KIND_RANK = {DataKind.QUOTE: 0, DataKind.TRADE: 1, DataKind.BAR: 2, DataKind.CONTEXT: 3}


def assemble(  # noqa: PLR0913 - the parts of a run, each by its name
    feeds: Feeds,
    *,
    instruments: Instruments | None = None,
    signals: object = None,
    actions: object = None,
    funding: object = None,
    borrow: object = None,
    start: Moment | None = None,
    end: Moment | None = None,
    nav_calendar: str | None = None,
    calendars: Calendars = None,
) -> MarketData:
    """Read feeds, signals and corporate actions, check them, and sort them into columns.

    Parameters
    ----------
    feeds
        One feed or several, with different names.
    instruments
        Declared instruments, in addition to those of the feeds. A symbol without a declaration gets
        an instrument from its feed's defaults.
    signals
        A frame, a path, a signal source, :class:`~ml4t.backtest.data.Signals`, a list of these, or a
        mapping of name to one of these.
    actions
        A frame, a path, or a list of :class:`~ml4t.core.events.CorporateAction`.
    funding, borrow
        Funding and borrow rates: frames, paths, or what :mod:`ml4t.backtest.data.rates` reads.
    start, end
        First and last date (a session label) or instant; both included. Data outside are not read.
    nav_calendar
        Whose session closes make the NAV; needed where instruments have different calendars.
    calendars
        Calendars of your own, or a mapping of them by name; they win over the library's names.

    Returns
    -------
    MarketData
        The universe is every symbol with a row in the range, and every one that was declared, by
        ``instruments`` or by the ``symbols`` of a feed.

    Raises
    ------
    DataError
        Anything that would make a result wrong; the message names symbol, instant, value and remedy.
    """
    listed = listed_feeds(feeds)
    bounds, book = Bounds.parse(start, end), SessionBook(custom_calendars(calendars))
    declared = merge_instruments(
        instruments_by_symbol(each).values()
        for each in (instruments, *(_own(feed, "instruments") for feed in listed))
    )
    loaded = _read(listed, declared, bounds, book)
    universe = _universe(loaded, declared)
    context = _Context(loaded=loaded, universe=universe, bounds=bounds, book=book, span_ns=_span_ns(loaded))
    nav = _nav_calendar(nav_calendar, universe)
    names = sorted({nav, *(instrument.calendar for instrument in universe.values())})
    action_frame, used_actions, action_notes = _actions(actions, listed, context)
    signal_frame, signal_files, signal_notes = _signals(signals, listed, context)
    matching = _matching(universe, loaded)
    funding_frame, funding_files, funding_notes = _rates(read_funding_rates, funding, context)
    borrow_frame, borrow_files, borrow_notes = _rates(read_borrow_rates, borrow, context)
    _refuse_funding_without_data(funding_frame, tuple(universe), matching, loaded)
    read = [file for each in loaded for file in each.prepared.files]
    read += [*used_actions.files, *signal_files, *funding_files, *borrow_files]
    _refuse_torn_bars(action_frame, tuple(universe), matching, loaded)
    _refuse_life_after_the_end(action_frame, tuple(universe), loaded)
    return MarketData(
        instruments=tuple(universe.values()),
        feeds=tuple(_feed_table(each.prepared, context) for each in loaded),
        signals=signal_frame,
        actions=action_frame,
        funding=funding_frame,
        borrow=borrow_frame,
        action_paths=tuple(sorted({file.path for file in used_actions.files})),
        calendars=tuple(book.table(name, *context.span) for name in names),
        nav_calendar=nav,
        matching=matching,
        prints=tuple(_prints(*each, loaded) for each in zip(universe, matching, strict=True)),
        files={file.path: file.fingerprint() for file in read},
        notes=(*_feed_notes(loaded), *action_notes, *signal_notes, *funding_notes, *borrow_notes),
    )


# Feeds ------------------------------------------------------------------------------------------


@frozen(kw_only=True, eq=False)
class _Loaded:
    """One table's worth of a feed, and the feed, to ask it for symbols that were not loaded."""

    feed: sources.DataFeed
    prepared: Prepared
    symbols: frozenset[str]

    @property
    def name(self) -> str:
        return self.prepared.settings.name


@frozen(kw_only=True, eq=False)
class _Context:
    """What signals and actions are read against."""

    loaded: Sequence[_Loaded]
    universe: Mapping[str, Instrument]
    bounds: Bounds
    book: SessionBook
    span_ns: tuple[int, int]

    @property
    def span(self) -> tuple[dt.date, dt.date]:
        """First and last UTC day of the market data."""
        first, last = (dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC).date() for ns in self.span_ns)
        return first, last

    @property
    def ids(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.universe)}

    @property
    def zones(self) -> dict[str, str]:
        """Zone of the exchange by symbol."""
        return {
            symbol: self.book.table(instrument.calendar, *self.span).timezone
            for symbol, instrument in self.universe.items()
        }


def listed_feeds(feeds: Feeds) -> list[sources.DataFeed]:
    """Return one feed or several as a list, refusing what is none."""
    given: object = feeds
    # Frames can be iterated, too, but over columns.
    is_several = isinstance(given, Iterable) and not hasattr(given, "columns") and not isinstance(given, str)
    listed: list[object] = list(given) if isinstance(given, Iterable) and is_several else [given]
    for feed in listed:
        if not isinstance(feed, sources.DataFeed):
            message = (
                f"{feed if feed is None else type(feed).__name__} is no feed; wrap prices as "
                "DataFeed(prices, stamp=..., interval=...)"
            )
            raise DataError(message)
    return [feed for feed in listed if isinstance(feed, sources.DataFeed)]


def _own(feed: sources.DataFeed, name: str) -> Any:  # noqa: ANN401 - an attribute that a user's feed may lack
    return getattr(feed, name, None)


def _read(
    feeds: Sequence[sources.DataFeed], declared: Mapping[str, Instrument], bounds: Bounds, book: SessionBook
) -> tuple[_Loaded, ...]:
    """Return all tables in their final order."""
    if not feeds:
        message = "no feed was given; a run needs market data"
        raise DataError(message)
    loaded = []
    built = [feed for feed in feeds if isinstance(feed, ConsolidatedFeed)]
    for feed in feeds:
        for raw in () if isinstance(feed, ConsolidatedFeed) else _raws(feed, bounds):
            prepared = prepare(raw, declared, bounds, book)
            wanted = frozenset(raw.settings.symbols)
            loaded.append(
                _Loaded(feed=feed, prepared=prepared, symbols=wanted | frozenset(prepared.report.symbols))
            )
    names = [*(each.name for each in loaded), *(feed.name for feed in built)]
    for name in names:
        if names.count(name) > 1:
            message = (
                f"two feeds are called {name!r}; give each a name of its own: DataFeed(..., name='...'), "
                "consolidate(..., name='...')"
            )
            raise DataError(message)
    for each in loaded:
        _refuse_unknown_selection(each)
        _refuse_empty(each, bounds)
    for consolidated in sorted(built, key=lambda feed: feed.depth):
        source = _source_of(consolidated, loaded)
        settings = consolidated.settings(source.prepared.settings)
        prepared = build(
            source.prepared, settings, consolidated.rule, declared=declared, bounds=bounds, book=book
        )
        loaded.append(_Loaded(feed=consolidated, prepared=prepared, symbols=source.symbols))
        _refuse_empty(loaded[-1], bounds)
    return tuple(sorted(loaded, key=_feed_order))


def _source_of(feed: ConsolidatedFeed, loaded: Sequence[_Loaded]) -> _Loaded:
    """Return the table that the bars of a feed are built of."""
    found = [each for each in loaded if each.feed is feed.source]
    if not found:
        of = _own(feed.source, "name") or type(feed.source).__name__
        message = (
            f"feed {feed.name} is built from feed {of}, which is not in the run; give the run both of them"
        )
        raise DataError(message)
    # A feed that yields events of several kinds has a table of each.
    fit = [each for each in found if each.prepared.settings.kind in (DataKind.TRADE, DataKind.BAR)]
    if len(fit) > 1:
        message = (
            f"feed {feed.name} is to be built from feed {_own(feed.source, 'name')}, which yields trades and "
            "bars; yield them from two feeds, and consolidate one"
        )
        raise DataError(message)
    return (fit or found)[0]


def _feed_notes(loaded: Sequence[_Loaded]) -> tuple[str, ...]:
    """Return what looks like a wrong declaration: it belongs into the results, not only into a report."""
    return tuple(f"feed {each.name}: {doubt}" for each in loaded for doubt in each.prepared.report.doubts)


def _raws(feed: sources.DataFeed, bounds: Bounds) -> tuple[Raw, ...]:
    if not yields_events(feed):
        return (read_feed(feed, bounds),)
    raws = read_events(feed, bounds)
    if len(raws) == 1:
        return raws
    return tuple(
        evolve(raw, settings=evolve(raw.settings, name=f"{raw.settings.name}.{raw.settings.kind.value}"))
        for raw in raws
    )


def _feed_order(loaded: _Loaded) -> tuple[int, int, str]:
    settings = loaded.prepared.settings
    return KIND_RANK[settings.kind], settings.interval_ns or 0, settings.name


def _refuse_empty(loaded: _Loaded, bounds: Bounds) -> None:
    if not loaded.prepared.rows.keys.height:
        within = f" between {bounds.start or 'the beginning'} and {bounds.end or 'the end'}"
        message = (
            f"feed {loaded.name}: there are no rows{'' if bounds.is_open else within}; check the range, the "
            "symbols and the source, or leave the feed out"
        )
        raise DataError(message)


def _refuse_unknown_selection(loaded: _Loaded) -> None:
    """Refuse a selected symbol that the source does not have at all; one without rows in range is fine."""
    missing = set(loaded.prepared.settings.symbols) - set(loaded.prepared.report.symbols)
    if missing:
        known = source_symbols(loaded.feed)
        for symbol in sorted(missing - known):
            message = (
                f"feed {loaded.name}: symbols names {symbol!r}, which the source does not "
                f"have{_hint(symbol, known)}"
            )
            raise DataError(message)


def _feed_table(prepared: Prepared, context: _Context) -> FeedTable:
    keys, settings, ids = prepared.rows.keys, prepared.settings, context.ids
    columns = [keys[name] for name in ("ts_event", "ts_open", "ts_arrival") if name in keys.columns]
    if "symbol" in keys.columns:
        # An enumeration counts its names in their order, as the universe does.
        codes = keys["symbol"].cast(pl.Enum(list(ids))).to_physical().cast(pl.UInt32)
        columns.append(codes.rename("instrument"))
    return FeedTable(
        name=settings.name,
        kind=settings.kind,
        interval_ns=settings.interval_ns,
        frame=pl.DataFrame(columns).hstack(prepared.rows.values.get_columns()),
        extra=prepared.extra,
        paths=tuple(sorted(file.path for file in prepared.files)),
        report=with_late_rows(prepared.report, keys, context.span_ns[1]),
    )


# The universe -----------------------------------------------------------------------------------


def _universe(loaded: Sequence[_Loaded], declared: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Return all instruments of the run, sorted by symbol."""
    present = {symbol for each in loaded for symbol in each.symbols}
    built = merge_instruments(
        tuple(
            declared.get(symbol) or each.prepared.settings.instrument(symbol)
            for symbol in sorted(each.symbols)
        )
        for each in loaded
    )
    absent = sorted(set(declared) - present)
    if absent:
        known = _all_symbols(loaded)
        for symbol in absent:
            if symbol not in known:
                message = f"instruments declares {symbol!r}, which no feed has{_hint(symbol, known)}"
                raise DataError(message)
            built[symbol] = declared[symbol]
    return {symbol: built[symbol] for symbol in sorted(built)}


def _all_symbols(loaded: Sequence[_Loaded]) -> set[str]:
    """Return every symbol of every source, loaded or not."""
    return {symbol for each in loaded for symbol in (*each.symbols, *source_symbols(each.feed))}


def _hint(symbol: str, known: Iterable[str]) -> str:
    names = sorted(known)
    guess = nearest(symbol, names)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"; did you mean {guess!r}? Known: {shown}" if guess else f"; known: {shown}"


def _matching(universe: Mapping[str, Instrument], loaded: Sequence[_Loaded]) -> tuple[int, ...]:
    """Return per instrument the index of the table that its orders meet."""
    return tuple(_matching_feed(instrument, loaded) for instrument in universe.values())


def _matching_feed(instrument: Instrument, loaded: Sequence[_Loaded]) -> int:
    symbol, wanted = instrument.symbol, instrument.matching_source
    tradable = [
        index for index, each in enumerate(loaded) if each.prepared.settings.kind is not DataKind.CONTEXT
    ]
    holders = [index for index in tradable if symbol in loaded[index].symbols]
    if not holders:
        # A declared instrument without a row in the range still belongs to the feed that has it otherwise.
        holders = [index for index in tradable if symbol in source_symbols(loaded[index].feed)]
    names = [loaded[index].name for index in holders]
    if wanted is not None:
        for index in holders:
            if loaded[index].name == wanted:
                return index
        message = f"{symbol}: matching_source {wanted!r} is no feed that has it{_hint(wanted, names)}"
        raise DataError(message)
    candidates = [index for index in holders if loaded[index].prepared.settings.matches_orders is not False]
    chosen = [index for index in candidates if loaded[index].prepared.settings.matches_orders] or candidates
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        message = (
            f"{symbol}: every feed that has it ({', '.join(names)}) declares matches_orders=False; one must "
            f"match: leave matches_orders out on that feed, or declare Instrument({symbol!r}, "
            "matching_source='...') with its name"
        )
        raise DataError(message)
    raise DataError(_ambiguous(instrument, [loaded[index] for index in chosen]))


def _ambiguous(instrument: Instrument, chosen: Sequence[_Loaded]) -> str:
    """Return what to say of an instrument whose orders could meet several tables."""
    symbol = instrument.symbol
    names = ", ".join(each.name for each in chosen)
    if any(each.feed is not chosen[0].feed for each in chosen):
        return (
            f"{symbol} is in the feeds {names}, and orders are matched against one; declare "
            f"matches_orders=True on that feed, or Instrument({symbol!r}, matching_source='...')"
        )
    # One feed that yields several kinds: matches_orders is said of the feed and cannot tell them apart.
    feed = chosen[0].name.rpartition(".")[0]
    *kinds, last = (f"{each.prepared.settings.kind.value}s" for each in chosen)
    first = chosen[0].name
    calendar = "" if instrument.calendar == "XNYS" else f"calendar={instrument.calendar!r}, "
    return (
        f"{symbol}: feed {feed} yields {', '.join(kinds)} and {last}, which are read as the feeds {names}, "
        f"and orders are matched against one; choose it by name: instruments=[Instrument({symbol!r}, "
        f"{calendar}matching_source={first!r})], or for every instrument of the feed "
        f"instrument_defaults={{'matching_source': {first!r}}}"
    )


def _prints(symbol: str, matching: int, loaded: Sequence[_Loaded]) -> tuple[int, ...]:
    """Return the tables of trade ticks beside the quotes of an instrument."""
    if loaded[matching].prepared.settings.kind is not DataKind.QUOTE:
        return ()
    ticks = [
        index
        for index, each in enumerate(loaded)
        if each.prepared.settings.kind is DataKind.TRADE and symbol in each.symbols
    ]
    chosen = [index for index in ticks if loaded[index].prepared.settings.matches_orders is False]
    return tuple(ticks if len(ticks) < 2 else chosen or ticks)


def _nav_calendar(wanted: str | None, universe: Mapping[str, Instrument]) -> str:
    calendars = sorted({instrument.calendar for instrument in universe.values()})
    if wanted is not None:
        return wanted
    if len(calendars) == 1:
        return calendars[0]
    if not calendars:
        message = "the run has no instruments; context feeds alone make no run"
        raise DataError(message)
    message = (
        f"the instruments have the calendars {', '.join(calendars)}, so nav_calendar must say at whose "
        "session closes the NAV is taken"
    )
    raise DataError(message)


def _span_ns(loaded: Sequence[_Loaded]) -> tuple[int, int]:
    """Return the first and last instant of what is traded; market-wide series make no run longer."""
    known = [each for each in loaded if each.prepared.report.span_ns is not None]
    traded = [each for each in known if each.prepared.settings.kind is not DataKind.CONTEXT]
    spans = [span for each in traded or known if (span := each.prepared.report.span_ns) is not None]
    return min(first for first, _ in spans), max(last for _, last in spans)


# Corporate actions and signals ------------------------------------------------------------------


def _actions(
    given: object, feeds: Sequence[sources.DataFeed], context: _Context
) -> tuple[pl.DataFrame | None, Actions, tuple[str, ...]]:
    """Return the table of actions that can touch a position, what was read, and notes on the rest."""
    parts = [
        read_actions(each) for each in (given, *(_own(feed, "actions") for feed in feeds)) if each is not None
    ]
    actions = Actions(
        rows=tuple(row for part in parts for row in part.rows),
        files=tuple(file for part in parts for file in part.files),
    )
    if not parts:
        return None, actions, ()
    kept, left_out = _of_universe([action.symbol for action in actions.rows], "corporate actions", context)
    rows = [action for action, keep in zip(actions.rows, kept, strict=True) if keep]
    table = action_table(rows, context.ids, context.zones)
    # Before the first and after the last row of market data nothing is held that an action could change.
    first, last = context.span_ns
    inside = table.filter(pl.col("ts") > first, pl.col("ts") <= last)
    notes = list(left_out)
    if inside.height < table.height:
        left_behind = table.height - inside.height
        what = "1 corporate action lies" if left_behind == 1 else f"{left_behind} corporate actions lie"
        notes.append(f"{what} outside the span of the market data")
    return inside.rechunk(), actions, tuple(notes)


def _rates(
    read: Callable[[object], Rates], given: object, context: _Context
) -> tuple[pl.DataFrame | None, tuple[SourceFile, ...], tuple[str, ...]]:
    """Return a table of rates that can touch a position, its files, and notes on the other rows."""
    if given is None:
        return None, (), ()
    rates = read(given)
    symbols = [symbol for frame in rates.frames for symbol in frame["symbol"].to_list()]
    _, notes = _of_universe(symbols, rates.kind.label, context)
    table = rate_table(rates, context.ids, context.zones)
    first, last = context.span_ns
    # What a position pays lies within the data; what is in force at their begin may be older.
    inside = table.filter(pl.col("ts") <= last, (pl.col("ts") >= first) | pl.lit(rates.kind is BORROW))
    if left := table.height - inside.height:
        rows = "1 row lies" if left == 1 else f"{left} rows lie"
        notes = (*notes, f"{rates.kind.label}: {rows} outside the span of the market data")
    return inside.rechunk(), rates.files, notes


def _refuse_funding_without_data(
    funding: pl.DataFrame | None, symbols: Sequence[str], matching: Sequence[int], loaded: Sequence[_Loaded]
) -> None:
    """Refuse funding outside the rows of its instrument: nothing says what a position is worth."""
    if funding is None:
        return
    for (instrument,), rows in funding.group_by("instrument", maintain_order=True):
        symbol = symbols[int(instrument)]
        keys = loaded[matching[int(instrument)]].prepared.rows.keys.filter(pl.col("symbol") == symbol)
        first = keys["ts_open" if "ts_open" in keys.columns else "ts_event"].min()
        last = keys["ts_event"].max()
        outside = rows if last is None else rows.filter((pl.col("ts") < first) | (pl.col("ts") > last))
        if outside.height:
            ts = format_ns(outside["ts"][0])
            span = "has no market data"
            if last is not None:
                span = f"has market data from {format_ns(first)} to {format_ns(last)}"  # type: ignore[arg-type]
            message = f"funding rates: {symbol} has one at {ts}, and {span}; drop the row, or add the data"
            raise DataError(message)


def _refuse_torn_bars(
    actions: pl.DataFrame | None, symbols: Sequence[str], matching: Sequence[int], loaded: Sequence[_Loaded]
) -> None:
    """Refuse a split inside a bar that orders meet: its prices are of old shares and of new ones."""
    if actions is None:
        return
    splits = actions.filter(pl.col("kind") == "split").select("ts", "instrument").rows()
    for index in sorted({matching[instrument] for _, instrument in splits}):
        keys = loaded[index].prepared.rows.keys
        if "ts_open" not in keys.columns:
            continue
        of_feed = [(ts, symbols[instrument]) for ts, instrument in splits if matching[instrument] == index]
        schema = {"ts": pl.Int64, "symbol": pl.String}
        torn = (
            keys.select("symbol", "ts_open", "ts_event")
            .join(pl.DataFrame(of_feed, schema=schema, orient="row"), on="symbol")
            .filter(pl.col("ts_open") < pl.col("ts"), pl.col("ts") < pl.col("ts_event"))
            .sort("ts", "symbol")
        )
        if torn.height:
            row = torn.row(0, named=True)
            opens, ends = format_ns(row["ts_open"]), format_ns(row["ts_event"])
            message = (
                f"corporate actions: {row['symbol']} splits at {format_ns(row['ts'])}, midnight of its "
                f"ex-date, inside its bar from {opens} to {ends}, whose prices would be of old shares and of "
                "new ones; give bars of which one ends at that instant, or quotes or prints"
            )
            raise DataError(message)


def _refuse_life_after_the_end(
    actions: pl.DataFrame | None, symbols: Sequence[str], loaded: Sequence[_Loaded]
) -> None:
    """Refuse rows and actions of an instrument after its delisting or merger: it may be another's symbol."""
    if actions is None:
        return
    for ts, instrument in actions.filter(pl.col("kind") == "cash_out").select("ts", "instrument").rows():
        symbol = symbols[instrument]
        own = actions.filter(pl.col("instrument") == instrument, pl.col("ts") >= ts)
        later = own.filter((pl.col("ts") > ts) | ~pl.col("kind").is_in(["cash_out", "cash_dividend"]))
        found = [("a corporate action", later["ts"].min())] if later.height else []
        for each in loaded:
            keys = each.prepared.rows.keys
            if "symbol" not in keys.columns:
                continue
            rows = keys.filter(pl.col("symbol") == symbol, pl.col("ts_event") > ts)
            found += [(f"a row of feed {each.name}", rows["ts_event"].min())] if rows.height else []
        if found:
            what, when = found[0]
            message = (
                f"corporate actions: {symbol} ends at {format_ns(ts)}, and has {what} at "
                f"{format_ns(int(when))}; drop what comes after, or give whoever took the symbol over "  # type: ignore[arg-type]
                "a name of its own"
            )
            raise DataError(message)


def _signals(
    given: object, feeds: Sequence[sources.DataFeed], context: _Context
) -> tuple[SignalTable | None, tuple[SourceFile, ...], tuple[str, ...]]:
    """Return the table of signals within the range of the run, its files, and notes on the others."""
    found = [read_signals(each) for each in as_signals(given)]
    found.extend(rows for feed in feeds for rows in _signals_of(feed))
    if not found:
        return None, (), ()
    notes: list[str] = []
    frames = []
    files: list[SourceFile] = []
    for rows in found:
        kept, left_out = _of_universe(rows.frame["symbol"].to_list(), rows.label, context)
        notes.extend(left_out)
        mine = evolve(rows, frame=rows.frame.filter(pl.Series(kept, dtype=pl.Boolean)))
        tables = _signal_calendars(mine, context)
        frame = signal_instants(mine, tables)
        inside = _signals_within(frame, context.bounds, tables)
        if inside.height < frame.height:
            notes.append(
                f"{rows.label}: {frame.height - inside.height} signals arrive outside the range of the run"
            )
        # What is made of the last close goes without saying.
        end = context.span_ns[1]
        if late := inside.filter(pl.col("ts_arrival") > end + DAY_NS).height:
            notes.append(
                f"{rows.label}: nobody is told of signals that arrive after the last row of market data, at "
                f"{format_ns(end)}; more than a day after it come {late}"
            )
        frames.append(inside)
        files.extend(rows.files)
    names = [name for rows in found for name in rows.names]
    table = signal_table(frames, context.ids, [file.path for file in files], names)
    return table, tuple(files), tuple(notes)


def _signals_of(feed: sources.DataFeed) -> list[SignalRows]:
    """Return the signals that a feed brings; what it declares about its stamps holds for them too."""
    sessions = _own(feed, "stamp") in (StampMeaning.SESSION, StampMeaning.SESSION.value)
    zone = _own(feed, "timezone")
    return [
        read_signals(evolve(each, timezone=each.timezone or zone), with_sessions=sessions)
        for each in as_signals(_own(feed, "signals"))
    ]


def _signal_calendars(rows: SignalRows, context: _Context) -> dict[str, SessionTable]:
    """Return the session table of each symbol, wide enough for the dates of the signals."""
    first, last = context.span
    for name in ("stamp", "arrival"):
        column = rows.frame[name]
        low, high = column.min(), column.max()
        if isinstance(low, dt.date) and isinstance(high, dt.date):
            first, last = min(first, low), max(last, high)
    return {
        symbol: context.book.table(instrument.calendar, first, last)
        for symbol, instrument in context.universe.items()
    }


def _signals_within(frame: pl.DataFrame, bounds: Bounds, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    conditions = [pl.lit(value=True)]
    for limit, is_start in ((bounds.start_ns, True), (bounds.end_ns, False)):
        limits = {symbol: limit(table) for symbol, table in tables.items()}
        if None not in limits.values():
            bound = pl.col("symbol").replace_strict(limits, return_dtype=pl.Int64)
            conditions.append(pl.col("ts_arrival") >= bound if is_start else pl.col("ts_arrival") <= bound)
    return frame.filter(*conditions)


def _of_universe(symbols: Sequence[str], what: str, context: _Context) -> tuple[list[bool], tuple[str, ...]]:
    """Say which rows belong to the universe; a symbol that no feed knows is refused.

    Rows of a symbol that a feed has, but that was not selected or has no rows in range, are left out
    and noted: that was the caller's choice.
    """
    kept = [symbol in context.universe for symbol in symbols]
    others = sorted({symbol for symbol, keep in zip(symbols, kept, strict=True) if not keep})
    if not others:
        return kept, ()
    known = _all_symbols(context.loaded)
    for symbol in others:
        if symbol not in known:
            message = (
                f"{what}: symbol {symbol!r} is in no feed{_hint(symbol, known)}. Correct it, or drop its "
                f"rows: frame.filter(pl.col('symbol') != {symbol!r})"
            )
            raise DataError(message)
    return kept, (
        f"{what}: {kept.count(False)} rows of symbols that were not loaded are left out: {', '.join(others)}",
    )
