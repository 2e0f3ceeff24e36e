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

A frame is long if it has a column ``score`` and either no other numeric column, or something that only a
long frame has: ``model_id``, ``version``, ``confidence``, an arrival, or a declared ``model_id``. Its other
columns are ignored. What could be either is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from attrs import evolve, field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.columns import SYMBOL_NAMES, TIME_NAMES, apply_renames, find_symbol, find_time, folded
from ml4t.backtest.data.embargo import Timing, arrivals
from ml4t.backtest.data.frames import files_of, scan_files, to_polars
from ml4t.backtest.data.readers import SourceFile, reason_of
from ml4t.backtest.data.settings import check_timezone
from ml4t.backtest.data.signal_events import drain, events_of, is_event, rows_of, table_of
from ml4t.backtest.data.stamps import Meaning, instants, resolve, session_labels
from ml4t.backtest.data.tables import SignalTable
from ml4t.backtest.latency import Drawn
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Signal
from ml4t.core.types import StampMeaning
from ml4t.core.values import format_ns

__all__ = ["SignalRows", "Signals", "read_signals", "signal_table"]

DEFAULT_NAME = "score"
VERSIONED = pl.concat_str("name", pl.lit("@"), "version").alias("name")
ARRIVAL_NAMES = ("ts_arrival", "arrival_timestamp")
LONG_COLUMNS = ("score", "confidence", "version", "model_id")
LONG_MARKS = ("model_id", "version", "confidence", *ARRIVAL_NAMES)


@frozen
class Signals:
    """Signals with what must be declared about them.

    Attributes
    ----------
    source
        A frame, a path, a :class:`ml4t.core.sources.SignalSource`, or an iterator or a list of events:
        :class:`ml4t.core.events.Signal`, or mappings with the columns of a long frame for keys, in any order.
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
    embargo
        Until when a signal is held back: ``"next_open"``, ``"2 sessions"``, ``"10:00"``. See
        :mod:`ml4t.backtest.data.embargo`.
    latency
        How long after ``ts_event`` a signal is there: a duration such as ``"90s"``, a timedelta, or a
        distribution (:class:`ml4t.backtest.latency.Drawn`, or its table) that is drawn from for each model,
        symbol and ``ts_event``.
    seed
        Of what is drawn.

    A signal arrives at the latest of its own arrival, the embargo and the latency.

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
    embargo: str | dt.time | None = field(default=None, kw_only=True)
    latency: str | dt.timedelta | Drawn | Mapping[str, Any] | None = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        allowed = {"event": StampMeaning.EVENT, "session": StampMeaning.SESSION}
        word = self.stamp.value if isinstance(self.stamp, StampMeaning) else self.stamp
        if word is not None and word not in allowed:
            message = f"{self.label}: stamp {word!r} is not one of event, session"
            raise DataError(message)
        object.__setattr__(self, "stamp", allowed[word] if word is not None else None)
        check_timezone(self.timezone, self.label)
        # A rule that is none is refused where it is declared.
        _ = self.timing

    @property
    def timing(self) -> Timing:
        """The rules that set when signals arrive."""
        return Timing.of(self.embargo, self.latency, self.seed, label=self.label)

    @property
    def label(self) -> str:
        """How messages name them."""
        return f"signals {self.name}" if self.name else "signals"


@frozen(kw_only=True, eq=False)
class SignalRows:
    """Signals as read.

    Columns ``row``, ``symbol``, ``stamp`` and ``arrival`` (UTC ns, or Date for session labels), ``name``,
    ``score``, ``confidence``, ``version``. ``arrival`` equals ``stamp`` where the source has none.

    ``names`` are those of the columns of a wide frame, of which one without a value has no row, and of the
    versions of a model that has several; see :func:`versioned`. ``timing`` is what delays them.
    """

    label: str
    frame: pl.DataFrame = field(repr=False)
    names: tuple[str, ...] = ()
    files: tuple[SourceFile, ...] = ()
    timing: Timing = field(factory=Timing)


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
    if isinstance(source, list | tuple) and files_of(source) is None and not any(map(is_event, source)):
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
    events = _events(signals)
    if isinstance(events, pl.DataFrame):
        _refuse_empty(events, signals)
        names = versioned(events)
        return SignalRows(label=signals.label, frame=events, names=names, timing=signals.timing)
    frame, files = _collect(signals) if events is None else (rows_of(events, label=signals.label), ())
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
    columns = _signal_columns(frame, by_fold, others, signals)
    base = pl.DataFrame(keys).with_row_index("row")
    if columns == [by_fold.get("score")]:
        rows = _long(base, frame, by_fold, signals)
        names = versioned(rows)
    else:
        rows = _wide(base, frame, columns, signals)
        names = tuple(columns)
    return SignalRows(label=signals.label, frame=rows, names=names, files=files, timing=signals.timing)


def _events(signals: Signals) -> pl.DataFrame | list[Mapping[str, Any]] | None:
    """Return the rows of a source that yields signals, mappings as they are, None of frames and files."""
    if isinstance(signals.source, sources.SignalSource):
        return table_of(drain(signals.source, label=signals.label), default=_model(signals))
    events = None if files_of(signals.source) is not None else events_of(signals.source, label=signals.label)
    if events is None:
        return None
    objects = [event for event in events if isinstance(event, Signal)]
    if len(objects) == len(events):
        return table_of(objects, default=_model(signals))
    return [event for event in events if isinstance(event, Mapping)]


def _model(signals: Signals) -> str:
    """Return the model of rows that name none."""
    return signals.model_id or signals.name or DEFAULT_NAME


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


def _signal_columns(
    frame: pl.DataFrame, by_fold: Mapping[str, str], others: Sequence[str], signals: Signals
) -> list[str]:
    """Return the columns that hold scores; of a long frame it is `score` alone.

    Raises
    ------
    DataError
        No column holds scores, or the frame could be long as well as wide.
    """
    keys = (*SYMBOL_NAMES, *TIME_NAMES, *ARRIVAL_NAMES)
    numbers = [name for name in others if frame.schema[name].is_numeric() and folded(name) not in keys]
    beside = [name for name in numbers if folded(name) not in LONG_COLUMNS]
    score = by_fold.get("score")
    if score is None or score not in others:
        _refuse_scoreless(frame, by_fold, beside, signals)
        return numbers
    if score not in numbers:
        message = (
            f"{signals.label}: the column score is {frame.schema[score]}, and scores are numbers; convert "
            "it, or give it another name"
        )
        raise DataError(message)
    is_long = signals.model_id is not None or any(name in by_fold for name in LONG_MARKS)
    if beside and not is_long:
        message = (
            f"{signals.label}: the frame could be one of a model's predictions, with a score and other "
            f"columns ({', '.join(beside)}), or one with a signal in each of these columns. For the first "
            "declare Signals(frame, model_id='...') or add a column model_id; for the second give score "
            "the name of its signal; or drop the other columns"
        )
        raise DataError(message)
    return [score]


def _refuse_scoreless(
    frame: pl.DataFrame, by_fold: Mapping[str, str], beside: Sequence[str], signals: Signals
) -> None:
    """Refuse a frame without a column score that has no numbers either, or says of which model they are."""
    if not beside:
        message = (
            f"{signals.label}: there is no score; a long frame has a column score, a wide one a numeric "
            f"column per signal. The columns are {', '.join(frame.columns)}"
        )
        raise DataError(message)
    told = next((by_fold[name] for name in ("model_id", "version") if name in by_fold), None)
    if told is None or frame.schema[told].is_numeric() or signals.model_id is not None:
        return
    message = (
        f"{signals.label}: there is a column {told}, which a frame with a column score has, but no score; "
        f"say which of {', '.join(beside)} it is: Signals(frame, columns={{'score': '{beside[0]}'}}), or "
        f"drop {told}"
    )
    raise DataError(message)


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
        text("model_id", _model(signals)).alias("name"),
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


def _refuse_null(symbols: pl.Series, signals: Signals) -> None:
    if symbols.null_count():
        message = f"{signals.label}: row {symbols.is_null().arg_max()} has no symbol"
        raise DataError(message)


def _shown(stamp: object) -> str:
    return format_ns(stamp) if isinstance(stamp, int) else str(stamp)


# The table --------------------------------------------------------------------------------------


def signal_instants(rows: SignalRows, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return the rows with ``ts_event`` and ``ts_arrival`` in UTC ns, delayed by the rules of their source.

    Raises
    ------
    DataError
        A date is no session, a signal arrives before its event, or a rule cannot be applied.
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
    return _delayed(frame, rows, tables) if rows.timing.is_set else frame


def _delayed(frame: pl.DataFrame, rows: SignalRows, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return the rows with their arrivals by the rules.

    What is held back until one instant is in the order of the events. Of revisions of one prediction that are
    held back until the same instant the last is left, as nobody could have known of the others.
    """
    given = frame.sort("ts_event", "ts_arrival", maintain_order=True)
    delayed = given.with_columns(
        arrivals(given, rows.timing, tables, label=rows.label), given["ts_arrival"].alias("given")
    )
    keys = ["symbol", "name", "version", "ts_event", "ts_arrival"]
    return delayed.filter(pl.col("given") == pl.col("given").max().over(keys)).drop("given")


def versioned(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return ``model@version`` of every version of the models that state several, sorted.

    A row that does not state its version is of the model only.
    """
    pairs = frame.select("name", "version").filter(pl.col("version") != "").unique()
    several = pairs.filter(pl.len().over("name") > 1)
    return tuple(several.select(VERSIONED).to_series().sort().to_list())


def _with_versions(frame: pl.DataFrame, names: frozenset[str]) -> pl.DataFrame:
    """Return the rows, and those of named versions once more under that name.

    Raises
    ------
    DataError
        A model is called what a version of another one is.
    """
    if not names:
        return frame
    again = frame.filter(pl.col("version") != "").with_columns(name=VERSIONED)
    again = again.filter(pl.col("name").is_in(sorted(names)))
    taken = sorted({*again["name"].unique()} & {*frame["name"].unique()})
    if taken:
        model, _, version = taken[0].rpartition("@")
        message = (
            f"signals: {taken[0]} is the name of a signal, and of version {version} of {model}; rename the "
            "signal"
        )
        raise DataError(message)
    return pl.concat([frame, again]) if again.height else frame


def signal_table(
    frames: Sequence[pl.DataFrame], ids: Mapping[str, int], paths: Sequence[Path], names: Iterable[str] = ()
) -> SignalTable:
    """Return all signals as one sorted table; ``names`` are known though no row has them.

    Of a model with several versions each is a signal of its own, ``model@version``; under the name of the
    model stands what arrived last of any version, of those that arrive together the last row.

    Raises
    ------
    DataError
        Two signals have the same instants, instrument, name and version; a model is called what a version of
        another one is.
    """
    frame = pl.concat([each.drop("row") for each in frames])
    named = frozenset((*names, *versioned(frame)))
    frame = _with_versions(frame, named)
    known = tuple(sorted({*frame["name"].unique().to_list(), *named}))
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
