"""One feed, from whatever the user gave to sorted and checked columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from attrs import evolve, field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.bounds import Bounds, SessionBook
from ml4t.backtest.data.checks import Rows, check_order, check_values, crossed_quotes, neighbours
from ml4t.backtest.data.columns import Layout, apply_renames, find_layout
from ml4t.backtest.data.frames import Part, Source
from ml4t.backtest.data.hours import cut, hours_of
from ml4t.backtest.data.readers import SourceFile, read_text, reason_of, shown_paths
from ml4t.backtest.data.report import FeedReport, largest_gaps, missing_sessions, symbol_reports
from ml4t.backtest.data.settings import FeedSettings
from ml4t.backtest.data.stamps import instants, resolve, session_labels
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_duration, format_ns

FEWEST_BARS = 20  #: below that, spaces between bars tell nothing about their interval

__all__ = ["Prepared", "Raw", "prepare", "read"]


@frozen(kw_only=True, eq=False)
class Raw:
    """Rows as read, in the order of the source: keys with raw stamps, and values.

    `keys` has ``symbol`` (not for context), ``stamp`` (Int64 UTC ns, or Date for session labels), and
    where the source has them ``ts_open`` and ``ts_arrival`` in UTC ns.
    """

    settings: FeedSettings
    keys: pl.DataFrame = field(repr=False)
    values: pl.DataFrame = field(repr=False)
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False)
class Prepared:
    """Sorted and checked rows of one feed; symbols not yet replaced by ids."""

    settings: FeedSettings
    rows: Rows
    report: FeedReport
    files: tuple[SourceFile, ...] = ()
    tables: Mapping[str, SessionTable] = field(factory=dict, repr=False)  #: of sessions, by symbol
    known_ns: int = 0  #: last instant that the source was seen to reach, also beyond the bounds

    @property
    def extra(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self.rows.values.columns[len(VALUE_COLUMNS[self.rows.kind]) :])


# Reading ----------------------------------------------------------------------------------------


def read(source: Source, settings: FeedSettings, bounds: Bounds) -> Raw:
    """Return the rows of a source, read with projection and coarse bounds pushed down.

    Raises
    ------
    DataError
        A file cannot be read, a column is absent, or a stamp cannot be turned into an instant.
    """
    read_parts = [_read_part(part, settings, bounds, source.paths) for part in source.parts]
    if not read_parts:
        message = f"{settings.label}: none of symbols={list(settings.symbols)} is in the mapping of frames"
        raise DataError(message)
    keys = [keys for keys, _, _ in read_parts]
    values = [values for _, values, _ in read_parts]
    skipped = sorted({name for _, _, layout in read_parts for name in layout.skipped})
    left_out = (f"not loaded as features: {', '.join(skipped)}",) if skipped else ()
    notes = (*dict.fromkeys(note for part in source.parts for note in part.notes), *left_out)
    if len(read_parts) == 1:
        return Raw(settings=settings, keys=keys[0], values=values[0], files=source.files, notes=notes)
    if len({tuple(each.columns) for each in keys}) > 1:
        message = (
            f"{settings.label}: some frames of the mapping have ts_arrival and others do not; give it to all"
        )
        raise DataError(message)
    return Raw(
        settings=settings,
        keys=pl.concat(keys),
        values=pl.concat(values, how="diagonal"),
        files=source.files,
        notes=notes,
    )


def plan(part: Part, settings: FeedSettings, bounds: Bounds) -> tuple[pl.LazyFrame, Layout]:
    """Return the lazy query of one part: the columns in use, the symbols and dates asked for."""
    layout = find_layout(
        part.schema, settings, needs_symbol=part.symbol is None and settings.kind is not DataKind.CONTEXT
    )
    query = part.frame.lazy()
    if settings.symbols and layout.symbol is not None:
        symbol = pl.col(layout.symbol)
        if part.schema[layout.symbol] != pl.String:
            symbol = symbol.cast(pl.String)
        wanted = list(settings.symbols)
        query = query.filter(symbol == wanted[0] if len(wanted) == 1 else symbol.is_in(wanted))
    condition = _coarse_condition(part, layout, settings, bounds)
    if condition is not None:
        query = query.filter(condition)
    return query.select(layout.used), layout


def _coarse_condition(part: Part, layout: Layout, settings: FeedSettings, bounds: Bounds) -> pl.Expr | None:
    """Return the condition on raw stamps that file readers can push down."""
    if bounds.is_open:
        return None
    stamp, dtype = pl.col(layout.stamp), part.schema[layout.stamp]
    if dtype != pl.String:
        return bounds.coarse_filter(stamp, dtype, settings.interval)
    sample = part.frame.lazy().select(stamp.drop_nulls().first()).collect().item()
    return None if sample is None else bounds.coarse_text_filter(stamp, sample, settings.interval)


def _read_part(
    part: Part, settings: FeedSettings, bounds: Bounds, paths: Sequence[Path]
) -> tuple[pl.DataFrame, pl.DataFrame, Layout]:
    layout: Layout | None = None
    try:
        query, layout = plan(part, settings, bounds)
        frame = _contiguous(query.collect())
    except (pl.exceptions.PolarsError, OSError) as error:
        fault = None if layout is None else _text_in_csv(paths, layout, settings)
        reason = fault or f"{shown_paths(paths) + ': ' if paths else ''}{reason_of(error)}"
        message = f"{settings.label}: the rows cannot be read: {reason}"
        raise DataError(message) from error
    if part.drops_empty and layout.values:
        frame = frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in layout.values.values()))
    return _keys(frame, part, layout, settings), _values(frame, part, layout, settings), layout


def _contiguous(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with one chunk a column, as the engine needs it, never with all of it twice."""
    columns = frame.get_columns()
    del frame
    for place, column in enumerate(columns):
        columns[place] = column.rechunk()
        del column
    return pl.DataFrame(columns)


def _keys(frame: pl.DataFrame, part: Part, layout: Layout, settings: FeedSettings) -> pl.DataFrame:
    """Return symbol and stamps; instants are UTC ns from here on."""
    label = settings.label
    columns: dict[str, pl.Series] = {}
    if layout.symbol is not None:
        symbols = _texts(frame[layout.symbol], label=label)
        if symbols.null_count():
            message = (
                f"{label}: row {symbols.is_null().arg_max()} has no symbol (column {layout.symbol} is null)"
            )
            raise DataError(message)
        columns["symbol"] = symbols
    elif part.symbol is not None:
        columns["symbol"] = pl.Series([part.symbol], dtype=pl.String).new_from_index(0, frame.height)
    if settings.stamp is StampMeaning.SESSION:
        columns["stamp"] = session_labels(frame[layout.stamp], label=label)
    else:
        columns["stamp"] = instants(frame[layout.stamp], timezone=settings.timezone, label=label)
    for name, source in (("ts_open", layout.opens), ("ts_arrival", layout.arrival)):
        if source is not None:
            columns[name] = instants(frame[source], timezone=settings.timezone, label=label)
    return pl.DataFrame(columns)


def _texts(symbols: pl.Series, *, label: str) -> pl.Series:
    """Return symbols as text."""
    try:
        return symbols.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        message = (
            f"{label}: column {symbols.name} is {symbols.dtype}, and symbols are text: convert the column"
        )
        raise DataError(message) from error


def _values(frame: pl.DataFrame, part: Part, layout: Layout, settings: FeedSettings) -> pl.DataFrame:
    """Return value columns and features as Float64; absent sizes are NaN."""
    kind = settings.kind
    missing = [name for name in VALUE_COLUMNS[kind] if name not in layout.values]
    if (fault := _no_numbers(frame, layout)) is not None:
        message = f"{settings.label}: {fault}"
        raise DataError(message)
    try:
        return frame.select(
            *(pl.col(source).cast(pl.Float64).alias(name) for name, source in layout.values.items()),
            *(pl.repeat(float("nan"), frame.height, dtype=pl.Float64).alias(name) for name in missing),
            *(pl.col(name).cast(pl.Float64) for name in layout.extra),
        ).select(*VALUE_COLUMNS[kind], *layout.extra)
    except pl.exceptions.PolarsError as error:
        fault = _no_number(frame, layout, symbol=part.symbol) or reason_of(error)
        message = f"{settings.label}: {fault}"
        raise DataError(message) from error


def _no_numbers(frame: pl.DataFrame, layout: Layout) -> str | None:
    """Name the first column of a type that holds no numbers, also where polars would find some in it."""
    for name, source in {**layout.values, **{name: name for name in layout.extra}}.items():
        dtype = frame.schema[source]
        if dtype.is_nested() or dtype.is_temporal() or dtype in (pl.Binary, pl.Object):
            return f"column {source} is {dtype}, and {name} is a number: convert the column"
    return None


def _no_number(frame: pl.DataFrame, layout: Layout, *, symbol: str | None = None) -> str | None:
    """Name the first value that is no number, with its row; None where there is none."""
    if (fault := _no_numbers(frame, layout)) is not None:
        return fault
    for name, source in {**layout.values, **{name: name for name in layout.extra}}.items():
        column = frame[source]
        known = column.is_not_null()
        odd = known & (column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).is_null())
        if odd.any():
            row = odd.arg_max() or 0
            of = symbol if layout.symbol is None else frame[layout.symbol][row]
            where = f"{of} at {frame[layout.stamp][row]}" if of is not None else f"{frame[layout.stamp][row]}"
            return (
                f"{where} (row {row}): {name} is {column[row]!r}, which is no number; correct the row, or "
                "convert the column"
            )
    return None


def _text_in_csv(paths: Sequence[Path], layout: Layout, settings: FeedSettings) -> str | None:
    """Find the text that kept a CSV file from being read as numbers."""
    for path in paths:
        text = read_text(path)
        if text is None:
            continue
        frame = apply_renames(text, settings.columns, label=settings.label)[0].lazy().collect()
        if set(layout.used) <= set(frame.columns) and (fault := _no_number(frame, layout)) is not None:
            return f"{path}: {fault}"
    return None


# Preparing --------------------------------------------------------------------------------------


def prepare(raw: Raw, declared: Mapping[str, Instrument], bounds: Bounds, book: SessionBook) -> Prepared:
    """Return the rows within bounds, with both instants, sorted and checked.

    Parameters
    ----------
    raw
        Rows as read.
    declared
        Instruments declared anywhere, by symbol; they win over the feed's defaults.
    bounds
        First and last moment of the run.
    book
        Where session tables come from.
    """
    settings = raw.settings
    symbols = raw.keys["symbol"].unique().to_list() if "symbol" in raw.keys.columns else []
    instruments = {symbol: declared.get(symbol) or settings.instrument(symbol) for symbol in sorted(symbols)}
    tables = _tables(raw, instruments, book)
    stamped = _stamped(raw, tables)
    last = stamped["ts_event"].max()
    keys, values = _within(stamped, raw.values, bounds, tables)
    given = Rows(label=settings.label, kind=settings.kind, keys=keys, values=values)
    rows = _sorted(given)
    check_order(rows)
    rows, unusual = check_values(rows, instruments=instruments, range_check=settings.range_check)
    report = _report(rows, settings, tables, (*raw.notes, *unusual))
    late = _went_back(given)
    report = evolve(report, notes=(*report.notes, *late), doubts=(*report.doubts, *late))
    return Prepared(
        settings=settings,
        rows=rows,
        report=report,
        files=raw.files,
        tables=tables,
        known_ns=last if isinstance(last, int) else 0,
    )


def _tables(raw: Raw, instruments: Mapping[str, Instrument], book: SessionBook) -> dict[str, SessionTable]:
    """Return the session table of each symbol; context has one, of the feed's own calendar, under ''."""
    calendars = {symbol: instrument.calendar for symbol, instrument in instruments.items()}
    if raw.settings.kind is DataKind.CONTEXT:
        calendars[""] = raw.settings.calendar
    if not raw.keys.height:
        return {}
    stamp = pl.col("stamp")
    day = stamp if raw.keys.schema["stamp"] == pl.Date else stamp.cast(pl.Datetime("ns")).dt.date()
    first, last = raw.keys.select(day.min().alias("first"), day.max().alias("last")).row(0)
    return {symbol: book.table(name, first, last) for symbol, name in calendars.items()}


def _stamped(raw: Raw, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return the keys with ``ts_open`` (bars) and ``ts_event`` in place of the stamp."""
    keys = raw.keys
    if raw.settings.kind is DataKind.CONTEXT:
        keys = keys.with_columns(symbol=pl.lit(""))
    if not keys.height:
        both = pl.DataFrame(schema={"ts_open": pl.Int64, "ts_event": pl.Int64})
    elif "ts_open" in keys.columns:
        both = keys.select("ts_open", ts_event="stamp")
    else:
        both = resolve(keys, raw.settings.meaning, tables)
    if raw.settings.kind is not DataKind.BAR:
        both = both.select("ts_event")
    elif raw.settings.cuts_to_session and keys.height:
        both = cut(keys["symbol"], both, tables)
    return raw.keys.drop("stamp", "ts_open", strict=False).hstack(both.get_columns())


def _within(
    keys: pl.DataFrame, values: pl.DataFrame, bounds: Bounds, tables: Mapping[str, SessionTable]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that lie within bounds; columns keep their buffers where no row between is dropped."""
    if bounds.is_open or not keys.height:
        return keys, values
    symbol = pl.col("symbol") if "symbol" in keys.columns else pl.lit("")
    first = pl.col("ts_open") if "ts_open" in keys.columns else pl.col("ts_event")
    starts = {name: bounds.start_ns(table) for name, table in tables.items()}
    ends = {name: bounds.end_ns(table) for name, table in tables.items()}
    conditions = []
    for limits, is_start in ((starts, True), (ends, False)):
        if None in limits.values():
            continue
        distinct = set(limits.values())
        limit = (
            pl.lit(distinct.pop(), dtype=pl.Int64)
            if len(distinct) == 1
            else symbol.replace_strict(limits, return_dtype=pl.Int64)
        )
        conditions.append(first >= limit if is_start else pl.col("ts_event") <= limit)
    kept = keys.select(pl.all_horizontal(conditions)).to_series()
    count = int(kept.sum())
    if count == keys.height:
        return keys, values
    begin = kept.arg_max() or 0
    if count and kept[begin : begin + count].all():
        return keys.slice(begin, count), values.slice(begin, count)
    return keys.filter(kept), values.filter(kept)


def _sorted(rows: Rows) -> Rows:
    """Return the rows by ``(ts_event, symbol)``, ties as they were; rows in order keep their buffers."""
    by = [name for name in ("ts_event", "symbol") if name in rows.keys.columns]
    keys, values = rows.keys, rows.values
    later = pl.col("ts_event") > pl.col("ts_event").shift(1)
    same = pl.col("ts_event") == pl.col("ts_event").shift(1)
    in_order = (
        later | (same & (pl.col("symbol") >= pl.col("symbol").shift(1))) if len(by) > 1 else later | same
    )
    if not all(piece.select(in_order.slice(1).all()).item() for _, piece in neighbours(keys)):
        # Sorting by several columns is slow on many chunks.
        keys = keys.rechunk()
        order = keys.select(pl.arg_sort_by(by, maintain_order=True)).to_series()
        keys, values = keys[order], values[order]
    return evolve(rows, keys=keys.rechunk(), values=values.rechunk())


def _went_back(rows: Rows) -> tuple[str, ...]:
    """Say which row of a symbol came after a later one, and was sorted in."""
    if rows.keys["ts_event"].is_sorted():
        return ()
    own = pl.col("ts_event").diff()
    by = [name for name in ("symbol",) if name in rows.keys.columns]
    # The earliest of them, whatever stands between the rows of a symbol.
    late = rows.keys.filter((own.over(by) if by else own) < 0).sort("ts_event", *by)
    if late.is_empty():
        return ()
    row = late.row(0, named=True)
    rest = f" and {late.height - 1} more" if late.height > 1 else ""
    where = f"{row.get('symbol') or rows.label} at {format_ns(row['ts_event'])}{rest}"
    return (f"rows that came after a later one of their symbol were sorted in: {where}",)


def _report(
    rows: Rows, settings: FeedSettings, tables: Mapping[str, SessionTable], notes: tuple[str, ...]
) -> FeedReport:
    keys = rows.keys
    if not keys.height:
        return FeedReport(name=settings.name, kind=rows.kind, rows=0, notes=notes)
    first = "ts_open" if "ts_open" in keys.columns else "ts_event"
    span = (int(keys[first].min()), int(keys["ts_event"].max()))  # type: ignore[arg-type]
    if "symbol" not in keys.columns:
        return FeedReport(name=settings.name, kind=rows.kind, rows=keys.height, span_ns=span, notes=notes)
    by_symbol = symbol_reports(keys)
    silent = sorted(set(settings.symbols).difference(keys["symbol"].unique().to_list()))
    if silent:
        notes = (*notes, f"no rows in the range: {', '.join(silent)}")
    hours = hours_of(keys.clear() if settings.is_by_session else keys, tables)
    doubts, notes = hours.doubts, (*notes, *hours.notes)
    if not settings.is_by_session and settings.interval is not None:
        doubts += _short_bars(keys)
    doubts += crossed_quotes(rows)
    gaps, gap_count = (missing_sessions if settings.is_by_session else largest_gaps)(keys, tables)
    return FeedReport(
        name=settings.name,
        kind=rows.kind,
        rows=keys.height,
        symbols=tuple(each.symbol for each in by_symbol),
        by_symbol=by_symbol,
        span_ns=span,
        gaps=gaps,
        gap_count=gap_count,
        outside_sessions=hours.outside.count,
        in_breaks=hours.resting.count,
        notes=(*notes, *doubts),
        doubts=doubts,
    )


def _short_bars(keys: pl.DataFrame) -> tuple[str, ...]:
    """Say that bars in step do not reach the next one: the interval may be declared too short."""
    if "ts_open" not in keys.columns or keys.height < FEWEST_BARS:
        return ()
    steps = keys.select(
        step=pl.col("ts_open").diff().over("symbol"), length=(pl.col("ts_event") - pl.col("ts_open"))
    ).drop_nulls()
    lengths, apart = steps["length"].to_numpy(), steps["step"].to_numpy()
    if not len(apart) or (lengths != lengths[0]).any():
        return ()
    shortest = apart.min()
    if shortest <= lengths[0] or np.count_nonzero(apart == shortest) * 2 < len(apart):
        return ()
    length, step = format_duration(int(lengths[0])), format_duration(int(shortest))
    return (
        f"every bar is {length} long, and most begin {step} after the one before; with an interval that is "
        "too short closes are known too early: check interval",
    )
