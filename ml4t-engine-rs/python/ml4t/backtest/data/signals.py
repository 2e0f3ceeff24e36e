"""Predictions of models, as one table sorted by when they could be known.

Two shapes are read:

long
    one row per prediction: ``ts_event`` (what the model had seen), ``ts_arrival`` (when the
    prediction was there; ``ts_event`` if absent), ``asset_id``, ``score``, and if known ``model_id``,
    ``confidence`` and ``version``. ``timestamp``, ``arrival_timestamp`` and ``symbol`` are accepted for
    the first three.
wide
    ``timestamp``, ``symbol`` and one numeric column per signal; a missing value is no signal. It is
    known at its timestamp.

A frame is long if its only numeric column, apart from ``confidence`` and ``version``, is ``score``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from attrs import evolve, field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.columns import SYMBOL_NAMES, TIME_NAMES, apply_renames, find_symbol, find_time, folded
from ml4t.backtest.data.frames import files_of, scan_files, to_polars
from ml4t.backtest.data.readers import SourceFile, reason_of
from ml4t.backtest.data.settings import check_timezone
from ml4t.backtest.data.stamps import Meaning, instants, resolve, session_labels
from ml4t.backtest.data.tables import SignalTable
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Signal
from ml4t.core.types import StampMeaning
from ml4t.core.values import format_ns

__all__ = ["SignalRows", "Signals", "read_signals", "signal_table"]

DEFAULT_NAME = "score"
ARRIVAL_NAMES = ("ts_arrival", "arrival_timestamp")
LONG_COLUMNS = ("score", "confidence", "version", "model_id")


@frozen
class Signals:
    """Signals with what must be declared about them.

    Attributes
    ----------
    source
        A frame, a path, or a :class:`ml4t.core.sources.SignalSource`.
    name
        What messages call them; also the model id of a long frame that names no model.
    model_id
        Model id of a long frame without a ``model_id`` column.
    stamp
        ``event`` (default): stamps are instants. ``session``: they are dates, and a signal is of, and
        known at, the close of that session of its instrument.
    timezone
        IANA zone of naive stamps.
    columns
        Renames, ours to the source's: ``{"score": "prediction"}``.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"date": ["2012-07-03"], "symbol": ["IBM"], "ml_score": [0.7]})
    >>> Signals(frame, stamp="session").stamp
    <StampMeaning.SESSION: 'session'>
    """

    source: object = field(repr=False)
    name: str | None = field(default=None, kw_only=True)
    model_id: str | None = field(default=None, kw_only=True)
    stamp: StampMeaning | Literal["event", "session"] | None = field(default=None, kw_only=True)
    timezone: str | None = field(default=None, kw_only=True)
    columns: Mapping[str, str] | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        allowed = {"event": StampMeaning.EVENT, "session": StampMeaning.SESSION}
        word = self.stamp.value if isinstance(self.stamp, StampMeaning) else self.stamp
        if word is not None and word not in allowed:
            message = f"{self.label}: stamp {word!r} is not one of event, session"
            raise DataError(message)
        object.__setattr__(self, "stamp", allowed[word] if word is not None else None)
        check_timezone(self.timezone, self.label)

    @property
    def label(self) -> str:
        """How messages name them."""
        return f"signals {self.name}" if self.name else "signals"


@frozen(kw_only=True, eq=False)
class SignalRows:
    """Signals as read.

    Columns ``row``, ``symbol``, ``stamp`` and ``arrival`` (UTC ns, or Date for session labels), ``name``,
    ``score``, ``confidence``, ``version``. ``arrival`` equals ``stamp`` where the source has none.

    ``names`` are those of the columns of a wide frame, of which one without a value has no row.
    """

    label: str
    frame: pl.DataFrame = field(repr=False)
    names: tuple[str, ...] = ()
    files: tuple[SourceFile, ...] = ()


def as_signals(source: object) -> list[Signals]:
    """Return what the caller gave as a list of sources."""
    if source is None:
        return []
    if isinstance(source, Signals):
        return [source]
    if isinstance(source, Mapping):
        return [
            evolve(each, name=each.name or str(name))
            for name, value in source.items()
            for each in as_signals(value)
        ]
    if isinstance(source, list | tuple) and files_of(source) is None:
        return [each for value in source for each in as_signals(value)]
    return [Signals(source)]


def read_signals(signals: Signals, *, with_sessions: bool = False) -> SignalRows:
    """Return the rows of one source.

    Parameters
    ----------
    signals
        The source and what is declared about it.
    with_sessions
        True where the signals come with bars stamped by session: dates without a declaration of their
        own are then session labels as well.

    Raises
    ------
    DataError
        A column is absent, a score is not finite, a stamp cannot be turned into an instant.
    """
    if isinstance(signals.source, sources.SignalSource):
        drained = _drain(signals.source, signals)
        _refuse_empty(drained, signals)
        return SignalRows(label=signals.label, frame=drained)
    frame, files = _collect(signals)
    _refuse_empty(frame, signals)
    frame = apply_renames(frame, signals.columns, label=signals.label)[0].lazy().collect()
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    symbol = find_symbol(by_fold, label=signals.label)
    stamp_name = find_time(by_fold, signals.stamp or StampMeaning.EVENT, label=signals.label)  # type: ignore[arg-type]
    arrival_name = next((by_fold[name] for name in ARRIVAL_NAMES if name in by_fold), None)
    keys = {
        "symbol": frame[symbol].cast(pl.String),
        "stamp": _stamps(frame[stamp_name], signals, with_sessions=with_sessions),
        "arrival": _stamps(frame[arrival_name or stamp_name], signals, with_sessions=with_sessions),
    }
    _refuse_null(keys["symbol"], signals)
    others = [name for name in frame.columns if name not in (symbol, stamp_name, arrival_name)]
    names = _signal_columns(frame, others, signals)
    base = pl.DataFrame(keys).with_row_index("row")
    if names == [by_fold.get("score")]:
        rows = _long(base, frame, by_fold, signals)
        return SignalRows(label=signals.label, frame=rows, files=files)
    rows = _wide(base, frame, names, signals)
    return SignalRows(label=signals.label, frame=rows, names=tuple(names), files=files)


def _refuse_empty(frame: pl.DataFrame, signals: Signals) -> None:
    if not frame.height:
        message = f"{signals.label}: there are no rows; check the source, or leave the signals out"
        raise DataError(message)


def _numbers(column: pl.Series, signals: Signals) -> pl.Series:
    """Return a column as Float64."""
    try:
        return column.cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        odd = column.cast(pl.String).cast(pl.Float64, strict=False).is_null() & column.is_not_null()
        row = odd.arg_max() or 0
        message = (
            f"{signals.label}: row {row} has {column.name} {column[row]!r}, which is no number; correct the "
            "row, or convert the column"
        )
        raise DataError(message) from error


def _collect(signals: Signals) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    try:
        files = files_of(signals.source)
        if files is not None:
            query, found = scan_files(files, name=signals.label, columns=signals.columns)
            return query.collect(), found
        return to_polars(signals.source, name=signals.label).lazy().collect(), ()
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{signals.label}: the rows cannot be read: {reason_of(error)}"
        raise DataError(message) from error


def _stamps(column: pl.Series, signals: Signals, *, with_sessions: bool) -> pl.Series:
    """Return stamps as instants, or as dates where they label sessions."""
    follows = with_sessions and signals.stamp is None and _is_label(column)
    if signals.stamp is StampMeaning.SESSION or follows:
        return session_labels(column, label=signals.label)
    if column.dtype == pl.Date:
        message = (
            f"{signals.label}: the stamps are dates ({column.name}: "
            f"{column[0] if len(column) else 'empty'}), and a date does not say when a signal was known; "
            "give datetimes, or Signals(frame, stamp='session') for signals of, and known at, the close of "
            "that session"
        )
        raise DataError(message)
    return instants(column, timezone=signals.timezone, label=signals.label)


def _is_label(column: pl.Series) -> bool:
    """Say whether stamps are dates, or naive datetimes at midnight, which is how pandas writes dates."""
    if column.dtype == pl.Date:
        return True
    if column.dtype == pl.String:
        known = column.drop_nulls()
        return len(known) > 0 and len(known[0]) <= 10
    if not isinstance(column.dtype, pl.Datetime) or column.dtype.time_zone is not None:
        return False
    return bool((column.dt.truncate("1d") == column).all())


def _signal_columns(frame: pl.DataFrame, others: Sequence[str], signals: Signals) -> list[str]:
    """Return the columns that hold scores."""
    keys = (*SYMBOL_NAMES, *TIME_NAMES, *ARRIVAL_NAMES)
    numbers = [name for name in others if frame.schema[name].is_numeric() and folded(name) not in keys]
    plain = [name for name in numbers if folded(name) not in LONG_COLUMNS or folded(name) == "score"]
    if not plain:
        message = (
            f"{signals.label}: there is no score; a long frame has a column score, a wide one a numeric "
            f"column per signal. The columns are {', '.join(frame.columns)}"
        )
        raise DataError(message)
    return plain if [folded(name) for name in plain] == ["score"] else numbers


def _long(
    base: pl.DataFrame, frame: pl.DataFrame, by_fold: Mapping[str, str], signals: Signals
) -> pl.DataFrame:
    def text(name: str, default: str) -> pl.Series:
        if name in by_fold:
            return frame[by_fold[name]].cast(pl.String).fill_null(default)
        return pl.Series([default], dtype=pl.String).new_from_index(0, frame.height)

    if signals.model_id is not None and "model_id" in by_fold:
        message = (
            f"{signals.label}: model_id={signals.model_id!r} was declared and the frame has a column "
            "model_id; keep one"
        )
        raise DataError(message)
    score = frame[by_fold["score"]].cast(pl.Float64)
    bad = score.is_null() | ~score.is_finite()
    if bad.any():
        row = bad.arg_max() or 0
        message = (
            f"{signals.label}: row {row} ({base['symbol'][row]}, {_shown(base['stamp'][row])}) has score "
            f"{score[row]}; drop rows without a prediction"
        )
        raise DataError(message)
    nan = pl.Series([float("nan")]).new_from_index(0, frame.height)
    confidence = (
        _numbers(frame[by_fold["confidence"]], signals).fill_null(float("nan"))
        if "confidence" in by_fold
        else nan
    )
    return base.with_columns(
        text("model_id", signals.model_id or signals.name or DEFAULT_NAME).alias("name"),
        score.alias("score"),
        confidence.alias("confidence"),
        text("version", "").alias("version"),
    )


def _wide(base: pl.DataFrame, frame: pl.DataFrame, names: Sequence[str], signals: Signals) -> pl.DataFrame:
    if signals.model_id is not None:
        message = (
            f"{signals.label}: model_id={signals.model_id!r} was declared, but the frame names its signals "
            f"by columns ({', '.join(names)}); rename the column instead"
        )
        raise DataError(message)
    rows = pl.concat(
        base.with_columns(
            pl.lit(name).alias("name"), frame[name].cast(pl.Float64).fill_nan(None).alias("score")
        )
        for name in names
    ).drop_nulls("score")
    endless = rows.filter(pl.col("score").is_infinite())
    if endless.height:
        first = endless.row(0, named=True)
        message = (
            f"{signals.label}: {first['name']} of {first['symbol']} at {_shown(first['stamp'])} is "
            f"{first['score']}"
        )
        raise DataError(message)
    return rows.with_columns(confidence=pl.lit(float("nan")), version=pl.lit(""))


def _drain(source: sources.SignalSource, signals: Signals) -> pl.DataFrame:
    events: list[Signal] = []
    while (event := _next_signal(source, events, signals)) is not None:
        if events and event.ts_arrival < events[-1].ts_arrival:
            message = (
                f"{signals.label}: the signal of {event.symbol} that arrives at "
                f"{format_ns(event.ts_arrival)} came after one that arrives at "
                f"{format_ns(events[-1].ts_arrival)}; get_next_event yields in the order of ts_arrival"
            )
            raise DataError(message)
        events.append(event)
    default = signals.model_id or signals.name or DEFAULT_NAME
    return pl.DataFrame(
        {
            "row": range(len(events)),
            "symbol": [event.symbol for event in events],
            "stamp": [event.ts_event for event in events],
            "arrival": [event.ts_arrival for event in events],
            "name": [event.model_id or default for event in events],
            "score": [event.score for event in events],
            "confidence": [event.confidence for event in events],
            "version": [event.version for event in events],
        },
        schema={
            "row": pl.UInt32,
            "symbol": pl.String,
            "stamp": pl.Int64,
            "arrival": pl.Int64,
            "name": pl.String,
            "score": pl.Float64,
            "confidence": pl.Float64,
            "version": pl.String,
        },
    )


def _next_signal(source: sources.SignalSource, before: Sequence[Signal], signals: Signals) -> Signal | None:
    """Return the next signal; an error of the source says how far it had come."""
    event: Any
    try:
        event = source.get_next_event()
    except Exception as error:
        last = f", the last of {before[-1].symbol} at {format_ns(before[-1].ts_arrival)}" if before else ""
        error.add_note(
            f"{signals.label}: raised by {type(source).__name__}.get_next_event after {len(before)} signals"
            f"{last}; the run had not begun, so there are no results"
        )
        raise
    if event is not None and not isinstance(event, Signal):
        message = (
            f"{signals.label}: get_next_event returned a {type(event).__name__}; it returns Signal, or None "
            "at the end"
        )
        raise DataError(message)
    signal: Signal | None = event
    return signal


def _refuse_null(symbols: pl.Series, signals: Signals) -> None:
    if symbols.null_count():
        message = f"{signals.label}: row {symbols.is_null().arg_max()} has no symbol"
        raise DataError(message)


def _shown(stamp: object) -> str:
    return format_ns(stamp) if isinstance(stamp, int) else str(stamp)


# The table --------------------------------------------------------------------------------------


def signal_instants(rows: SignalRows, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return the rows with ``ts_event`` and ``ts_arrival`` in UTC ns.

    Raises
    ------
    DataError
        A date is no session, or a signal arrives before its event.
    """
    frame = rows.frame
    both = []
    for name, column in (("ts_event", "stamp"), ("ts_arrival", "arrival")):
        if frame.schema[column] == pl.Date and frame.height:
            meaning = Meaning(label=rows.label, stamp=StampMeaning.SESSION, interval=None)
            keys = frame.select("symbol", pl.col(column).alias("stamp"))
            both.append(resolve(keys, meaning, tables)["ts_event"].alias(name))
        else:
            both.append(frame[column].cast(pl.Int64).alias(name))
    frame = frame.drop("stamp", "arrival").hstack(both)
    early = frame["ts_arrival"] < frame["ts_event"]
    if early.any():
        row = frame.row(early.arg_max() or 0, named=True)
        message = (
            f"{rows.label}: row {row['row']}: signal {row['name']} of {row['symbol']} arrives at "
            f"{format_ns(row['ts_arrival'])}, before its ts_event {format_ns(row['ts_event'])}; a prediction "
            "cannot be known before the data it was made from: check the order or the zone of the two stamps"
        )
        raise DataError(message)
    return frame


def signal_table(
    frames: Sequence[pl.DataFrame], ids: Mapping[str, int], paths: Sequence[Path], names: Iterable[str] = ()
) -> SignalTable:
    """Return all signals as one sorted table; ``names`` are known though no row has them.

    Raises
    ------
    DataError
        Two signals have the same instants, instrument, name and version.
    """
    frame = pl.concat([each.drop("row") for each in frames])
    known = tuple(sorted({*frame["name"].unique().to_list(), *names}))
    versions = tuple(frame["version"].unique().sort().to_list()) or ("",)

    def code(column: str, known: Mapping[str, int]) -> pl.Expr:
        # Where no signal lies within the run there is nothing to replace by, and polars would keep the type.
        if not known:
            return pl.lit(0, dtype=pl.UInt32)
        return pl.col(column).replace_strict(known, return_dtype=pl.UInt32)

    table = frame.select(
        "ts_arrival",
        "ts_event",
        code("symbol", ids).alias("instrument"),
        code("name", {name: index for index, name in enumerate(known)}).alias("name"),
        "score",
        "confidence",
        code("version", {version: index for index, version in enumerate(versions)}).alias("version"),
    ).sort("ts_arrival", "instrument", "name", maintain_order=True)
    keys = ["ts_arrival", "ts_event", "instrument", "name", "version"]
    twice = table.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        row = twice.row(0, named=True)
        symbol = next(symbol for symbol, index in ids.items() if index == row["instrument"])
        message = (
            f"signals: {known[row['name']]} of {symbol} arrives twice at {format_ns(row['ts_arrival'])}; "
            "keep one, or tell them apart by model_id or version"
        )
        raise DataError(message)
    return SignalTable(frame=table.rechunk(), names=known, versions=versions, paths=tuple(sorted(set(paths))))
