"""Reading and checking what bars are built from, with the readers and checks of a feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypedDict

import polars as pl
from attrs import evolve, field, fields, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.bounds import Bounds, SessionBook, custom_calendars
from ml4t.backtest.data.checks import Rows, check_order, check_values
from ml4t.backtest.data.columns import folded
from ml4t.backtest.data.frames import Source, open_source
from ml4t.backtest.data.prepare import Raw, read
from ml4t.backtest.data.settings import FeedSettings, Instruments, RangeCheck, settings_of
from ml4t.backtest.data.stamps import resolve
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core import sources
from ml4t.core.errors import ArgumentError, DataError, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_ns

__all__ = [
    "BarOptions",
    "CalendarLike",
    "Intake",
    "TickOptions",
    "intake_of",
    "read_bars",
    "read_ticks",
    "refuse_unknown",
]

CalendarLike = str | sources.Calendar | SessionTable


class TickOptions(TypedDict, total=False):
    """How a source of ticks is to be read; the keywords mean what they mean for a feed.

    See :class:`ml4t.backtest.DataFeed`.
    """

    columns: Mapping[str, str] | None
    symbols: Sequence[str] | None
    timezone: str | None
    instruments: Instruments | None


class BarOptions(TickOptions, total=False):
    """How a source of bars is to be read: what its stamps mean, and how long a bar is.

    `stamp` is ``event`` unless another meaning is declared: bars carry ``ts_open`` and ``ts_event``, as
    those built here do.
    """

    stamp: StampMeaning | str
    interval: str | dt.timedelta | None


@frozen(kw_only=True)
class _Settings(FeedSettings):
    """Declarations of a source that is no feed."""

    @property
    def label(self) -> str:
        """What messages call the source."""
        return self.name


@frozen(kw_only=True, eq=False)
class Intake:
    """Checked rows, and the sessions of their instruments.

    Attributes
    ----------
    label
        What messages call the source.
    rows
        Sorted by ``symbol``, within it by time; one chunk. Ticks: ``symbol``, ``ts`` (Int64 UTC ns),
        ``price``, ``size``. Bars: ``symbol``, ``ts_open``, ``ts``, ``open``, ``high``, ``low``, ``close``,
        ``volume``. Both: ``ts_arrival`` where the source has it.
    tables
        Session table of each symbol; empty where no calendar was asked for.
    """

    label: str
    rows: pl.DataFrame = field(repr=False)
    tables: Mapping[str, SessionTable] = field(repr=False, factory=dict)


def read_ticks(ticks: object, options: TickOptions, *, calendar: CalendarLike | None = None) -> Intake:
    """Return the ticks of a source.

    Parameters
    ----------
    ticks
        Anything that a feed of trades takes.
    options
        How to read it.
    calendar
        Calendar of the instruments that are not declared; None where sessions do not matter.

    Raises
    ------
    DataError
        A column is missing or there twice; a stamp is missing or naive; ticks of a symbol are not in
        order of time; a price is no number, or not above zero; a size is missing, NaN, infinite or negative.
    """
    refuse_unknown(options, TickOptions.__optional_keys__)
    settings = _settings("ticks", DataKind.TRADE, {"stamp": StampMeaning.EVENT, **options}, calendar)
    source = open_source(ticks, settings)
    _refuse_without_sizes(source, settings)
    raw = read(source, settings, Bounds())
    tables, instruments = _instruments(raw, calendar)
    keys = raw.keys.rename({"stamp": "ts_event"})
    rows = _checked(keys, raw.values, settings, instruments)
    return intake_of(rows, tables)


def read_bars(bars: object, options: BarOptions, *, calendar: CalendarLike) -> Intake:
    """Return the bars of a source, with both stamps.

    Raises
    ------
    DataError
        As of ticks; also two bars of one symbol that overlap, and an open or close outside low and high. A
        volume may be NaN, which means that it is not known.
    """
    refuse_unknown(options, BarOptions.__optional_keys__)
    settings = _settings("bars", DataKind.BAR, {"stamp": StampMeaning.EVENT, **options}, calendar)
    raw = read(open_source(bars, settings), settings, Bounds())
    tables, instruments = _instruments(raw, calendar)
    if "ts_open" in raw.keys.columns:
        both = raw.keys.select("ts_open", ts_event="stamp")
    elif raw.keys.height:
        both = resolve(raw.keys, settings.meaning, tables)
    else:
        both = pl.DataFrame(schema={"ts_open": pl.Int64, "ts_event": pl.Int64})
    keys = raw.keys.drop("stamp", "ts_open", strict=False).hstack(both.get_columns())
    return intake_of(_checked(keys, raw.values, settings, instruments), tables)


def intake_of(rows: Rows, tables: Mapping[str, SessionTable]) -> Intake:
    """Return checked rows of a source or of a feed as what bars are built from; features stay behind.

    Raises
    ------
    DataError
        The size of a tick is not known.
    """
    if rows.kind is DataKind.TRADE:
        _refuse_unknown_sizes(rows)
    values = rows.values.select(VALUE_COLUMNS[rows.kind])
    frame = rows.keys.hstack(values.get_columns()).rename({"ts_event": "ts"})
    return Intake(label=rows.label, rows=frame.sort("symbol", maintain_order=True).rechunk(), tables=tables)


def refuse_unknown(
    options: Mapping[str, object], known: frozenset[str], *, function: str = "this function"
) -> None:
    """Refuse a keyword that is none of a function's options."""
    for name in options:
        if name not in known:
            guess = nearest(name, known)
            hint = f"; did you mean {guess!r}?" if guess else ""
            message = (
                f"{name!r} is no keyword of {function}, whose options are {', '.join(sorted(known))}{hint}"
            )
            raise ArgumentError(message)


def _settings(
    name: str, kind: DataKind, options: Mapping[str, Any], calendar: CalendarLike | None
) -> _Settings:
    """Return checked declarations; columns that make no bar are not read."""
    given = {"fields": (), **options, "name": name, "kind": kind}
    if calendar is not None:
        given["calendar"] = calendar if isinstance(calendar, str) else calendar.name
    checked = settings_of(SimpleNamespace(**given))
    return _Settings(**{each.name: getattr(checked, each.name) for each in fields(FeedSettings)})


def _instruments(
    raw: Raw, calendar: CalendarLike | None
) -> tuple[dict[str, SessionTable], dict[str, Instrument]]:
    """Return session tables (none without a calendar) and instruments, both by symbol."""
    settings = raw.settings
    symbols = sorted(raw.keys["symbol"].unique().to_list())
    instruments = {symbol: settings.instrument(symbol) for symbol in symbols}
    if calendar is None or not symbols:
        return {}, instruments
    own = {} if isinstance(calendar, str) else custom_calendars([calendar])
    book = SessionBook(own)
    stamp = raw.keys["stamp"]
    days = stamp if stamp.dtype == pl.Date else stamp.cast(pl.Datetime("ns")).dt.date()
    first, last = days.sort()[[0, -1]]
    return {
        symbol: book.table(instrument.calendar, first, last) for symbol, instrument in instruments.items()
    }, instruments


def _checked(
    keys: pl.DataFrame, values: pl.DataFrame, settings: FeedSettings, instruments: Mapping[str, Instrument]
) -> Rows:
    """Return rows as a feed would check them, sorted by ``(ts_event, symbol)``."""
    rows = Rows(label=settings.label, kind=settings.kind, keys=keys, values=values)
    _refuse_unsorted(rows)
    order = keys.rechunk().select(pl.arg_sort_by("ts_event", "symbol", maintain_order=True)).to_series()
    rows = evolve(rows, keys=keys[order].rechunk(), values=values[order].rechunk())
    check_order(rows)
    return check_values(rows, instruments=instruments, range_check=RangeCheck.REFUSE)[0]


def _refuse_without_sizes(source: Source, settings: FeedSettings) -> None:
    for part in source.parts:
        if part.drops_empty:
            message = (
                f"{settings.label}: the frame has no price column and seems to hold one column of prices per "
                "symbol, which has no sizes; give one row per tick, with symbol, timestamp, price and size"
            )
            raise DataError(message)
        names = list(part.schema)
        if "size" not in {folded(name) for name in names}:
            message = (
                f"{settings.label}: a tick has a price and a size; absent: size. The columns are "
                f"{', '.join(names)}; name it with columns={{'size': 'their name'}}"
            )
            raise DataError(message)


def _refuse_unknown_sizes(rows: Rows) -> None:
    sizes = rows.values["size"]
    unknown = sizes.is_nan()
    if unknown.any():
        row = unknown.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: size is missing or NaN, and the volume of a bar is the "
            "sum of its sizes; a size is a number of zero or more: drop the row, or fill it from a source "
            "you trust"
        )
        raise DataError(message)


def _refuse_unsorted(rows: Rows) -> None:
    """Refuse a row of a symbol that is earlier than the one before it.

    Sorting them would be a guess: whether the stamps are wrong or the order is, only the source knows.
    """
    before = rows.keys.select(pl.col("ts_event").shift(1).over("symbol")).to_series()
    early = (rows.keys["ts_event"] < before).fill_null(value=False)
    if early.any():
        row = early.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)} comes after a row of {format_ns(before[row])} (row {row} of "
            "the source); rows of one symbol are in order of time: check the stamps, then sort by them with "
            "maintain_order=True"
        )
        raise DataError(message)
