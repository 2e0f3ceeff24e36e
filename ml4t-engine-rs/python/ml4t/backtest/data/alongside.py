"""What comes beside market data: corporate actions, rates and signals, on the time line of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import polars as pl
from attrs import evolve

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.actions import ENDS, Actions, action_table, read_actions
from ml4t.backtest.data.bounds import Bounds
from ml4t.backtest.data.context import Context, Loaded, of_universe, own
from ml4t.backtest.data.rates import Rates, rate_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.backtest.data.signals import (
    SignalRows,
    as_signals,
    read_signals,
    signal_instants,
    signal_table,
)
from ml4t.backtest.data.tables import SignalTable
from ml4t.core import sources
from ml4t.core.errors import DataError, nearest
from ml4t.core.types import StampMeaning
from ml4t.core.values import format_ns

__all__ = [
    "read_run_actions",
    "read_run_rates",
    "read_run_signals",
    "refuse_funding_without_data",
    "refuse_life_after_the_end",
    "refuse_overlapping_actions",
    "refuse_torn_bars",
]

DAY_NS = 86_400_000_000_000


def read_run_actions(
    given: object, feeds: Sequence[sources.DataFeed], context: Context
) -> tuple[pl.DataFrame | None, Actions, tuple[str, ...]]:
    """Return the table of actions that can touch a position, what was read, and notes on the rest."""
    parts = [
        read_actions(each) for each in (given, *(own(feed, "actions") for feed in feeds)) if each is not None
    ]
    actions = Actions.together(parts)
    if not parts:
        return None, actions, ()
    kept, left_out = of_universe(actions.table["symbol"].to_list(), "corporate actions", context)
    rows = actions.table.filter(pl.Series(kept, dtype=pl.Boolean))
    _refuse_unknown_receivers(rows, context)
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


def _refuse_unknown_receivers(actions: pl.DataFrame, context: Context) -> None:
    """Refuse an action that gives shares of what the run does not have, or cannot have in exchange."""
    given = actions.filter(pl.col("into").is_not_null()).select("symbol", "into", "kind", "ex_date")
    for symbol, into, kind, ex_date in given.iter_rows():
        where = f"corporate actions: {kind} of {symbol} on {ex_date}"
        if into not in context.universe:
            guess = nearest(into, context.universe)
            hint = f" (did you mean {guess!r}?)" if guess else ""
            message = (
                f"{where}: {into!r} is no instrument of the run{hint}. Add its prices, or write what "
                "a share is worth as a cash_dividend or cash_merger"
            )
            raise DataError(message)
        gives, takes = context.universe[symbol], context.universe[into]
        if gives.currency != takes.currency:
            message = (
                f"{where}: {symbol} is in {gives.currency} and {into} in {takes.currency}; "
                "shares are exchanged within one currency"
            )
            raise DataError(message)


def read_run_rates(
    read: Callable[[object], Rates], given: object, context: Context
) -> tuple[pl.DataFrame | None, tuple[SourceFile, ...], tuple[str, ...]]:
    """Return a table of rates that can touch a position, its files, and notes on the other rows."""
    if given is None:
        return None, (), ()
    rates = read(given)
    symbols = [symbol for frame in rates.frames for symbol in frame["symbol"].to_list()]
    _, notes = of_universe(symbols, rates.kind.label, context)
    table = rate_table(rates, context.ids, context.zones)
    first, last = context.span_ns
    # What a position pays lies within the data; what is in force at their begin may be older.
    inside = table.filter(pl.col("ts") <= last, (pl.col("ts") >= first) | pl.lit(rates.kind.is_in_force))
    if left := table.height - inside.height:
        rows = "1 row lies" if left == 1 else f"{left} rows lie"
        notes = (*notes, f"{rates.kind.label}: {rows} outside the span of the market data")
    return inside.rechunk(), rates.files, notes


def refuse_funding_without_data(
    funding: pl.DataFrame | None, symbols: Sequence[str], matching: Sequence[int], loaded: Sequence[Loaded]
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


def refuse_torn_bars(
    actions: pl.DataFrame | None, symbols: Sequence[str], matching: Sequence[int], loaded: Sequence[Loaded]
) -> None:
    """Refuse what changes shares inside a bar that orders meet: its prices are of old and of new ones."""
    if actions is None:
        return
    torn_by = ("split", "spin_off", "exchange")
    splits = actions.filter(pl.col("kind").is_in(torn_by)).select("ts", "instrument").rows()
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
                f"corporate actions: {row['symbol']} changes at {format_ns(row['ts'])}, midnight of its "
                f"ex-date, inside its bar from {opens} to {ends}, whose prices would be of old shares and of "
                "new ones; give bars of which one ends at that instant, or quotes or prints"
            )
            raise DataError(message)


def refuse_life_after_the_end(
    actions: pl.DataFrame | None, symbols: Sequence[str], loaded: Sequence[Loaded]
) -> None:
    """Refuse rows and actions of an instrument after its delisting or merger: it may be another's symbol."""
    if actions is None:
        return
    ends = actions.filter(pl.col("kind").is_in(ENDS)).select("ts", "instrument", "kind")
    for ts, instrument, kind in ends.rows():
        symbol = symbols[instrument]
        own = actions.filter(
            (pl.col("instrument") == instrument) | (pl.col("into") == instrument), pl.col("ts") >= ts
        )
        # An instrument may pay a dividend on its last day, and give others away before it is exchanged.
        before = ["cash_dividend", "cash_out"] if kind == "cash_out" else ["cash_dividend", "spin_off", kind]
        in_time = pl.col("kind").is_in(before) & (pl.col("instrument") == instrument)
        later = own.filter((pl.col("ts") > ts) | ~in_time)
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
                f"corporate actions: {symbol} ends at {format_ns(ts)}, and has {what} that is not before, at "
                f"{format_ns(int(when))}; drop it, or give whoever took the symbol over "  # type: ignore[arg-type]
                "a name of its own"
            )
            raise DataError(message)


def refuse_overlapping_actions(actions: pl.DataFrame | None, symbols: Sequence[str]) -> None:
    """Refuse to give shares of an instrument that changes itself at that instant: in which shares is open."""
    if actions is None:
        return
    gives = actions.filter(pl.col("into") != pl.col("instrument"))
    changes = actions.filter(pl.col("kind") != "cash_dividend").select("ts", "kind", into="instrument")
    both = gives.join(changes, on=["ts", "into"], how="inner", maintain_order="left")
    if both.height:
        row = both.row(0, named=True)
        giver, receiver = symbols[row["instrument"]], symbols[row["into"]]
        message = (
            f"corporate actions: at {format_ns(row['ts'])} {giver} gives shares of {receiver} "
            f"({row['kind']}), which has an action of its own then ({row['kind_right']}): in "
            "which of its shares the ratio counts is open. Date one of them to another day"
        )
        raise DataError(message)


def read_run_signals(
    given: object, feeds: Sequence[sources.DataFeed], context: Context
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
        kept, left_out = of_universe(rows.frame["symbol"].to_list(), rows.label, context)
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
    sessions = own(feed, "stamp") in (StampMeaning.SESSION, StampMeaning.SESSION.value)
    zone = own(feed, "timezone")
    return [
        read_signals(evolve(each, timezone=each.timezone or zone), with_sessions=sessions)
        for each in as_signals(own(feed, "signals"))
    ]


def _signal_calendars(rows: SignalRows, context: Context) -> dict[str, SessionTable]:
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
