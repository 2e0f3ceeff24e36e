"""Everything a run reads, put on one time line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import polars as pl
from attrs import evolve

from ml4t.backtest.data.alongside import (
    read_run_actions,
    read_run_rates,
    read_run_signals,
    refuse_funding_without_data,
    refuse_life_after_the_end,
    refuse_overlapping_actions,
    refuse_torn_bars,
)
from ml4t.backtest.data.bounds import Bounds, Calendars, Moment, SessionBook, custom_calendars
from ml4t.backtest.data.consolidate import build
from ml4t.backtest.data.context import Context, Loaded, all_symbols, hint, own
from ml4t.backtest.data.contracts import expiry_table, read_rolls, refuse_expired_rows, roll_table
from ml4t.backtest.data.events import read_events, read_feed, source_symbols
from ml4t.backtest.data.feed import ConsolidatedFeed, yields_events
from ml4t.backtest.data.flows import flow_table, read_cash_flows
from ml4t.backtest.data.fx import fx_table, read_fx_rates
from ml4t.backtest.data.prepare import Prepared, Raw, prepare
from ml4t.backtest.data.rates import (
    read_borrow_rates,
    read_funding_rates,
    read_margin_rates,
    read_settlement_prices,
)
from ml4t.backtest.data.report import with_late_rows
from ml4t.backtest.data.settings import Instruments, instruments_by_symbol, merge_instruments
from ml4t.backtest.data.tables import FeedTable, MarketData
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind

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
    fx: object = None,
    settlements: object = None,
    margin_rates: object = None,
    cash_flows: object = None,
    rolls: object = None,
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
    fx
        Rates of currencies, likewise; see :mod:`ml4t.backtest.data.fx`.
    settlements
        Settlement prices of futures, likewise.
    margin_rates
        What instruments need, for the margin model, likewise.
    cash_flows
        What is paid in and taken out, likewise; see :mod:`ml4t.backtest.data.flows`.
    rolls
        When positions go from one contract into the next, likewise; see
        :func:`ml4t.backtest.data.contracts.read_rolls`.
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
        for each in (instruments, *(own(feed, "instruments") for feed in listed))
    )
    loaded = _read(listed, declared, bounds, book)
    universe = _universe(loaded, declared)
    context = Context(loaded=loaded, universe=universe, bounds=bounds, book=book, span_ns=_span_ns(loaded))
    nav = _nav_calendar(nav_calendar, universe)
    names = sorted({nav, *(instrument.calendar for instrument in universe.values())})
    action_frame, used_actions, action_notes = read_run_actions(actions, listed, context)
    signal_frame, signal_files, signal_notes = read_run_signals(signals, listed, context)
    matching = _matching(universe, loaded)
    funding_frame, funding_files, funding_notes = read_run_rates(read_funding_rates, funding, context)
    borrow_frame, borrow_files, borrow_notes = read_run_rates(read_borrow_rates, borrow, context)
    settled, settled_files, settled_notes = read_run_rates(read_settlement_prices, settlements, context)
    margins, margin_files, margin_notes = read_run_rates(read_margin_rates, margin_rates, context)
    fx_rates = None if fx is None else read_fx_rates(fx)
    fx_frame, fx_notes = (None, ()) if fx_rates is None else fx_table(fx_rates, context.span_ns[1])
    refuse_funding_without_data(funding_frame, tuple(universe), matching, loaded)
    read = [file for each in loaded for file in each.prepared.files]
    read += [*used_actions.files, *signal_files, *funding_files, *borrow_files, *settled_files, *margin_files]
    flows = None if cash_flows is None else read_cash_flows(cash_flows)
    flow_frame, flow_notes = (None, ()) if flows is None else flow_table(flows, context.span_ns)
    read += [] if flows is None else flows.files
    read += [] if fx_rates is None else fx_rates.files
    refuse_torn_bars(action_frame, tuple(universe), matching, loaded)
    refuse_life_after_the_end(action_frame, tuple(universe), loaded)
    refuse_overlapping_actions(action_frame, tuple(universe))
    ends = expiry_table(context, settled, action_frame)
    refuse_expired_rows(ends, context)
    if ends is not None:
        # At one instant a contract ends before anything else happens to it.
        action_frame = ends if action_frame is None else pl.concat([ends, action_frame])
        action_frame = action_frame.sort("ts", maintain_order=True).rechunk()
    planned = None if rolls is None else read_rolls(rolls)
    roll_frame, roll_notes = (None, ()) if planned is None else roll_table(planned, context, ends)
    read += [] if planned is None else planned.files
    return MarketData(
        instruments=tuple(universe.values()),
        feeds=tuple(_feed_table(each.prepared, context) for each in loaded),
        signals=signal_frame,
        actions=action_frame,
        funding=funding_frame,
        borrow=borrow_frame,
        fx=fx_frame,
        settlements=settled,
        margin_rates=margins,
        flows=flow_frame,
        rolls=roll_frame,
        action_paths=tuple(sorted({file.path for file in used_actions.files})),
        calendars=tuple(book.table(name, *context.span) for name in names),
        nav_calendar=nav,
        matching=matching,
        prints=tuple(_prints(*each, loaded) for each in zip(universe, matching, strict=True)),
        files={file.path: file.fingerprint() for file in read},
        notes=(
            *_feed_notes(loaded),
            *action_notes,
            *signal_notes,
            *funding_notes,
            *borrow_notes,
            *settled_notes,
            *margin_notes,
            *fx_notes,
            *flow_notes,
            *roll_notes,
        ),
    )


# Feeds ------------------------------------------------------------------------------------------


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


def _read(
    feeds: Sequence[sources.DataFeed], declared: Mapping[str, Instrument], bounds: Bounds, book: SessionBook
) -> tuple[Loaded, ...]:
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
                Loaded(feed=feed, prepared=prepared, symbols=wanted | frozenset(prepared.report.symbols))
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
        loaded.append(Loaded(feed=consolidated, prepared=prepared, symbols=source.symbols))
        _refuse_empty(loaded[-1], bounds)
    return tuple(sorted(loaded, key=_feed_order))


def _source_of(feed: ConsolidatedFeed, loaded: Sequence[Loaded]) -> Loaded:
    """Return the table that the bars of a feed are built of."""
    found = [each for each in loaded if each.feed is feed.source]
    if not found:
        of = own(feed.source, "name") or type(feed.source).__name__
        message = (
            f"feed {feed.name} is built from feed {of}, which is not in the run; give the run both of them"
        )
        raise DataError(message)
    # A feed that yields events of several kinds has a table of each.
    fit = [each for each in found if each.prepared.settings.kind in (DataKind.TRADE, DataKind.BAR)]
    if len(fit) > 1:
        message = (
            f"feed {feed.name} is to be built from feed {own(feed.source, 'name')}, which yields trades and "
            "bars; yield them from two feeds, and consolidate one"
        )
        raise DataError(message)
    return (fit or found)[0]


def _feed_notes(loaded: Sequence[Loaded]) -> tuple[str, ...]:
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


def _feed_order(loaded: Loaded) -> tuple[int, int, str]:
    settings = loaded.prepared.settings
    return KIND_RANK[settings.kind], settings.interval_ns or 0, settings.name


def _refuse_empty(loaded: Loaded, bounds: Bounds) -> None:
    if not loaded.prepared.rows.keys.height:
        within = f" between {bounds.start or 'the beginning'} and {bounds.end or 'the end'}"
        message = (
            f"feed {loaded.name}: there are no rows{'' if bounds.is_open else within}; check the range, the "
            "symbols and the source, or leave the feed out"
        )
        raise DataError(message)


def _refuse_unknown_selection(loaded: Loaded) -> None:
    """Refuse a selected symbol that the source does not have at all; one without rows in range is fine."""
    missing = set(loaded.prepared.settings.symbols) - set(loaded.prepared.report.symbols)
    if missing:
        known = source_symbols(loaded.feed)
        for symbol in sorted(missing - known):
            message = (
                f"feed {loaded.name}: symbols names {symbol!r}, which the source does not "
                f"have{hint(symbol, known)}"
            )
            raise DataError(message)


def _feed_table(prepared: Prepared, context: Context) -> FeedTable:
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


def _universe(loaded: Sequence[Loaded], declared: Mapping[str, Instrument]) -> dict[str, Instrument]:
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
        known = all_symbols(loaded)
        for symbol in absent:
            if symbol not in known:
                message = f"instruments declares {symbol!r}, which no feed has{hint(symbol, known)}"
                raise DataError(message)
            built[symbol] = declared[symbol]
    return {symbol: built[symbol] for symbol in sorted(built)}


def _matching(universe: Mapping[str, Instrument], loaded: Sequence[Loaded]) -> tuple[int, ...]:
    """Return per instrument the index of the table that its orders meet."""
    return tuple(_matching_feed(instrument, loaded) for instrument in universe.values())


def _matching_feed(instrument: Instrument, loaded: Sequence[Loaded]) -> int:
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
        message = f"{symbol}: matching_source {wanted!r} is no feed that has it{hint(wanted, names)}"
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


def _ambiguous(instrument: Instrument, chosen: Sequence[Loaded]) -> str:
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


def _prints(symbol: str, matching: int, loaded: Sequence[Loaded]) -> tuple[int, ...]:
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


def _span_ns(loaded: Sequence[Loaded]) -> tuple[int, int]:
    """Return the first and last instant of what is traded; market-wide series make no run longer."""
    known = [each for each in loaded if each.prepared.report.span_ns is not None]
    traded = [each for each in known if each.prepared.settings.kind is not DataKind.CONTEXT]
    spans = [span for each in traded or known if (span := each.prepared.report.span_ns) is not None]
    return min(first for first, _ in spans), max(last for _, last in spans)
