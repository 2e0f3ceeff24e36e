"""Whatever holds prices in memory, as polars frames in long form.

Accepted are polars frames (eager or lazy), pandas frames, pyarrow tables and anything else with
``__arrow_c_stream__``, in these shapes:

long
    one row per symbol and stamp;
one symbol
    the same without a symbol column, the symbol given with ``symbols=["SPY"]``;
wide
    one column per symbol for one field: a frame of prices (``kind="trade"``), or a mapping of one
    frame per field, ``{"open": ..., "high": ..., "low": ..., "close": ..., "volume": ...}``;
by symbol
    a mapping of one frame per symbol, ``{"SPY": ..., "IBM": ...}``;
two column levels
    a pandas frame with fields on one level of its columns and symbols on the other, either way round.

A missing value in a wide or two-level frame means that the instrument has no row there. In long form
it is an error, because there each row was written on purpose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl
from attrs import field, frozen

from ml4t.backtest.data.columns import (
    SYMBOL_NAMES,
    TIME_NAMES,
    apply_renames,
    find_time,
    folded,
    required_columns,
)
from ml4t.backtest.data.readers import SourceFile, expand_paths, reason_of, scan, scan_csv, scan_parquet
from ml4t.backtest.data.settings import FeedSettings
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind

__all__ = [
    "Files",
    "Part",
    "Source",
    "files_of",
    "open_source",
    "read_each",
    "read_table",
    "scan_files",
    "to_polars",
]


Table = TypeVar("Table")


@frozen(kw_only=True, eq=False)
class Part:
    """One frame of a source, in long form.

    Attributes
    ----------
    frame
        Eager or lazy, columns already renamed.
    symbol
        The symbol of all rows, where it is no column.
    drops_empty
        True where a row without any value means that there is no row.
    notes
        What the feed's report should say about it.
    """

    frame: pl.DataFrame | pl.LazyFrame = field(repr=False)
    symbol: str | None = None
    drops_empty: bool = False
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Names and types of the columns."""
        return self.frame.collect_schema()


@frozen
class Files:
    """Files, folders or glob patterns; the format is told by the suffix unless it is named."""

    locations: tuple[str | Path, ...]
    format: Literal["parquet", "csv"] | None = None


@frozen(kw_only=True)
class Source:
    """The frames of a feed and the files they come from."""

    parts: tuple[Part, ...]
    files: tuple[SourceFile, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files are."""
        return tuple(file.path for file in self.files)


def open_source(prices: object, settings: FeedSettings) -> Source:
    """Return the frames that hold a feed's rows, without reading files.

    Raises
    ------
    DataError
        The object is nothing that holds prices, or its shape does not fit the kind of the feed.
    """
    name = settings.name
    if prices is None:
        message = f"feed {name}: no prices were given; pass a frame, a mapping of frames or a path"
        raise DataError(message)
    files = files_of(prices)
    if files is not None:
        scanned, found = scan_files(files, name=f"feed {name}", columns=settings.columns)
        return Source(parts=(_part(scanned, settings),), files=found)
    if isinstance(prices, Mapping):
        return Source(parts=_from_mapping(prices, settings))
    if _is_pandas(prices) and _column_levels(prices) > 1:
        return Source(parts=_from_levels(prices, settings))
    frame = to_polars(prices, name=f"feed {name}")
    if _is_wide(renamed(frame, settings), settings):
        return Source(parts=(_from_wide({"price": renamed(frame, settings)}, settings),))
    return Source(parts=(_part(frame, settings),))


def to_polars(frame: object, *, name: str) -> pl.DataFrame | pl.LazyFrame:
    """Return any supported frame as polars; Float64 columns of polars and Arrow keep their buffers.

    The index of a pandas frame becomes columns; an unnamed index of datetimes is called ``timestamp``.

    Raises
    ------
    DataError
        The object is no frame, or a column has no Arrow type.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return _checked_query(frame, name=name)
    try:
        if _is_pandas(frame):
            return pl.from_pandas(_flat_pandas(frame, name=name))
        if hasattr(frame, "__arrow_c_stream__"):
            _refuse_offsets(frame, name=name)
            return pl.DataFrame(frame)
    except DataError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        message = (
            f"{name}: the {type(frame).__module__.partition('.')[0]} frame cannot be converted to Arrow "
            f"columns (objects of several types? an index named like a column?): {_odd_column(frame)}"
            f"{reason_of(error)}"
        )
        raise DataError(message) from error
    message = (
        f"{name}: {type(frame).__name__} is no frame; accepted are polars, pandas and pyarrow frames, "
        "mappings of frames by symbol or by field, and paths"
    )
    raise DataError(message)


def _refuse_offsets(frame: object, *, name: str) -> None:
    """Refuse Arrow stamps with an offset for a zone, which polars has not; without rows it would panic."""
    for column in getattr(frame, "schema", ()):
        zone = getattr(getattr(column, "type", None), "tz", None)
        if isinstance(zone, str) and zone[:1] in ("+", "-"):
            message = (
                f"{name}: the stamps of column {column.name} have the offset {zone} in place of a zone; cast "
                "them to UTC, or to an IANA zone such as 'America/New_York'"
            )
            raise DataError(message)


def _odd_column(frame: Any) -> str:  # noqa: ANN401 - a pandas or an Arrow frame
    """Name the first column that cannot be converted on its own."""
    for name in getattr(frame, "column_names", getattr(frame, "columns", ())):
        try:
            pl.from_pandas(frame[[name]]) if _is_pandas(frame) else pl.DataFrame(frame.select([name]))
        except (Exception, pl.exceptions.PanicException):
            return f"column {name}: "
    return ""


def _checked_query(query: pl.LazyFrame, *, name: str) -> pl.LazyFrame:
    try:
        query.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{name}: the query cannot be run: {reason_of(error)}"
        raise DataError(message) from error
    return query


def scan_files(
    files: Files, *, name: str, columns: Mapping[str, str] | None = None
) -> tuple[pl.LazyFrame, tuple[SourceFile, ...]]:
    """Return a lazy scan of files, and the files as they were before it."""
    paths = expand_paths(files.locations, name=name)
    found = tuple(SourceFile.of(path, name=name) for path in paths)
    if files.format is None:
        return scan(paths, name=name, columns=columns), found
    if files.format == "csv":
        return scan_csv(paths, name=name, columns=columns), found
    return scan_parquet(paths, name=name), found


def read_table(
    source: object, *, label: str, columns: Mapping[str, str] | None
) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    """Return the rows of a frame or of files, with our names for columns, and the files.

    Raises
    ------
    DataError
        They cannot be read.
    """
    try:
        files = files_of(source)
        if files is not None:
            query, found = scan_files(files, name=label, columns=columns)
        else:
            query, found = to_polars(source, name=label).lazy(), ()
        return apply_renames(query, columns, label=label)[0].lazy().collect(), found
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{label}: the rows cannot be read: {reason_of(error)}"
        raise DataError(message) from error


def read_each(source: object, read: Callable[[object], Table], *, label: str) -> list[Table] | None:
    """Read every table of a list of them, or of several files; None where `source` is a single one.

    Files are read one by one: some may have columns that others lack, and be of another format.
    """
    files = files_of(source)
    if files is not None:
        paths = expand_paths(files.locations, name=label)
        # Folders called symbol=IBM are one table: together they say whether 7 is a number.
        if len(paths) == 1 or any("=" in folder.name for path in paths for folder in path.parents):
            return None
        return [_read_file(path, files.format, read) for path in paths]
    if not isinstance(source, Sequence):
        return None
    if not source:
        message = f"{label}: the list is empty; leave it out"
        raise DataError(message)
    return [read(each) for each in source]


def _read_file(path: Path, kind: Literal["parquet", "csv"] | None, read: Callable[[object], Table]) -> Table:
    try:
        return read(Files((path,), kind))
    except DataError as error:
        # Which of them it is cannot be seen from a row or a column.
        message = str(error) if str(path) in str(error) else f"{error} (in {path})"
        raise DataError(message) from error


def files_of(value: object) -> Files | None:
    """Return the files that a value names; None for anything but a path or a list of paths."""
    if isinstance(value, Files):
        return value
    if isinstance(value, str | Path):
        return Files((value,))
    if isinstance(value, Sequence):
        paths = tuple(each for each in value if isinstance(each, str | Path))
        if paths and len(paths) == len(value):
            return Files(paths)
    return None


def _is_pandas(frame: object) -> bool:
    """Say whether this is a pandas frame, without importing pandas."""
    return type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns")


def _part(frame: pl.DataFrame | pl.LazyFrame, settings: FeedSettings) -> Part:
    """Return a long frame with our names; one without a symbol column takes the one declared symbol."""
    frame, displaced = apply_renames(frame, settings.columns, label=settings.label)
    notes = tuple(f"column {name} not loaded, another one stands for it" for name in displaced)
    names = {folded(name) for name in frame.collect_schema().names()}
    if (
        settings.kind is not DataKind.CONTEXT
        and not names.intersection(SYMBOL_NAMES)
        and len(settings.symbols) == 1
    ):
        return Part(frame=frame, symbol=settings.symbols[0], notes=notes)
    return Part(frame=frame, notes=notes)


# Mappings ---------------------------------------------------------------------------------------


def _from_mapping(frames: Mapping[Any, object], settings: FeedSettings) -> tuple[Part, ...]:
    if not frames:
        message = f"{settings.label}: the mapping of frames is empty"
        raise DataError(message)
    if _is_by_field({str(key) for key in frames}, settings):
        by_field = {folded(str(key)): renamed(frame, settings) for key, frame in frames.items()}
        return (_from_wide(by_field, settings),)
    parts = []
    for symbol in sorted(frames, key=str):
        if settings.symbols and str(symbol) not in settings.symbols:
            continue
        parts.append(Part(frame=renamed(frames[symbol], settings), symbol=str(symbol)))
    return tuple(parts)


def _is_by_field(keys: set[str], settings: FeedSettings) -> bool:
    """Say whether the keys are fields; LOW and OPEN are also tickers, so capitals count unless all fit."""
    fields = set(VALUE_COLUMNS[settings.kind])
    names = {folded(key) for key in keys}
    return (
        bool(names) and names <= fields and (keys <= fields or names >= set(required_columns(settings.kind)))
    )


def renamed(frame: object, settings: FeedSettings) -> pl.DataFrame | pl.LazyFrame:
    """Return a frame as polars, with our names."""
    label = settings.label
    return apply_renames(to_polars(frame, name=label), settings.columns, label=label)[0]


# Wide frames ------------------------------------------------------------------------------------


def _is_wide(frame: pl.DataFrame | pl.LazyFrame, settings: FeedSettings) -> bool:
    """Say whether a frame has a column per symbol; one of bars in this shape is refused."""
    if settings.kind is DataKind.CONTEXT:
        return False
    names = {folded(name) for name in frame.collect_schema().names()}
    if names.intersection(SYMBOL_NAMES) or names.intersection(required_columns(settings.kind)):
        return False
    if not names.intersection((*TIME_NAMES, "ts_open")):
        return False
    if settings.kind is DataKind.TRADE:
        return True
    message = (
        f"{settings.label}: the frame has neither a symbol column nor "
        f"{', '.join(required_columns(settings.kind))}, so it seems to hold one price per symbol, and that "
        f"does not make a {settings.kind.value}: its opening price would be invented. Pass one wide frame "
        f"per field, {{'open': ..., 'high': ..., 'low': ..., 'close': ...}}, or trade on the prices as "
        "prints with kind='trade'"
    )
    raise DataError(message)


def _from_wide(frames: Mapping[str, pl.DataFrame | pl.LazyFrame], settings: FeedSettings) -> Part:
    """Return the long form of one wide frame per field."""
    absent = [name for name in required_columns(settings.kind) if name not in frames]
    if absent:
        message = (
            f"{settings.label}: a {settings.kind.value} needs {', '.join(required_columns(settings.kind))}; "
            f"absent: {', '.join(absent)}. To trade on one price per symbol use kind='trade' and the frame "
            "itself"
        )
        raise DataError(message)
    first, *others = (name for name in VALUE_COLUMNS[settings.kind] if name in frames)
    joined = _unpivot(frames[first], first, settings)
    for name in others:
        column = _unpivot(frames[name], name, settings)
        joined = joined.join(column, on=["timestamp", "symbol"], how="full", coalesce=True)
    return Part(frame=joined, drops_empty=True)


def _unpivot(frame: pl.DataFrame | pl.LazyFrame, name: str, settings: FeedSettings) -> pl.DataFrame:
    schema = frame.collect_schema()
    stamp = find_time(
        {folded(column): column for column in reversed(schema.names())}, settings.stamp, label=settings.label
    )
    symbols = [column for column in schema if column != stamp and _is_wanted(column, settings)]
    for column in symbols:
        if not schema[column].is_numeric() and schema[column] != pl.Null:
            message = (
                f"{settings.label}: column {column} of the wide frame of {name} is {schema[column]}; all "
                "columns but the stamp are symbols with numbers"
            )
            raise DataError(message)
    values = frame.lazy().select(
        pl.col(stamp).alias("timestamp"), *(pl.col(c).cast(pl.Float64) for c in symbols)
    )
    long = values.unpivot(on=symbols, index="timestamp", variable_name="symbol", value_name=name)
    return long.with_columns(pl.col(name).fill_nan(None)).collect()


def _is_wanted(symbol: str, settings: FeedSettings) -> bool:
    return not settings.symbols or symbol in settings.symbols


# pandas -----------------------------------------------------------------------------------------


def _column_levels(frame: Any) -> int:  # noqa: ANN401 - a pandas frame, and pandas is not imported here
    return int(getattr(frame.columns, "nlevels", 1))


def _flat_pandas(frame: Any, *, name: str) -> Any:  # noqa: ANN401 - a pandas frame in and out
    """Return a pandas frame ready for conversion.

    Datetimes of which only some have a zone are refused: Arrow would take the others for UTC.
    """
    flat = _index_as_columns(frame)
    twice = sorted({str(column) for column in flat.columns[flat.columns.duplicated()]})
    if twice:
        message = f"{name}: the frame has two columns called {', '.join(twice)}; drop or rename one"
        raise DataError(message)
    for column in flat.columns:
        if flat[column].dtype != object:
            continue
        zoned = {value.tzinfo is not None for value in flat[column] if isinstance(value, dt.datetime)}
        if len(zoned) > 1:
            message = (
                f"{name}: some stamps of column {column} have a zone and others have none; localize the "
                "naive ones first"
            )
            raise DataError(message)
    return flat


def _index_as_columns(frame: Any) -> Any:  # noqa: ANN401 - a pandas frame in and out
    """Return a pandas frame whose index, unless it only counts rows, has become columns."""
    index = frame.index
    if index.nlevels == 1 and type(index).__name__ == "RangeIndex" and index.name is None:
        return frame
    names, counters = [], []
    for level in range(index.nlevels):
        values = index.get_level_values(level)
        is_time = type(values).__name__ == "DatetimeIndex"
        if values.name is None and values.dtype.kind in "iu":
            counters.append(level)
        names.append(values.name if values.name is not None else ("timestamp" if is_time else "symbol"))
    named = frame.rename_axis(index=names if index.nlevels > 1 else names[0])
    # Numbers without a name only count rows, as after a filter or a concat.
    return (
        named.reset_index(level=counters, drop=True).reset_index()
        if len(counters) < index.nlevels
        else (frame.reset_index(drop=True))
    )


def _from_levels(frame: Any, settings: FeedSettings) -> tuple[Part, ...]:  # noqa: ANN401 - a pandas frame
    """Return one part per symbol of a frame with fields and symbols on its two column levels."""
    columns = frame.columns
    if columns.nlevels != 2:
        message = (
            f"{settings.label}: the columns have {columns.nlevels} levels; two are read, fields and symbols"
        )
        raise DataError(message)
    needed = set(required_columns(settings.kind))
    ours = {**{right: left for left, right in settings.columns.items()}, **settings.columns}
    levels = [
        {
            folded(name)
            for value in columns.get_level_values(level)
            for name in (str(value), ours.get(str(value), ""))
        }
        for level in (0, 1)
    ]
    field_level = next((level for level in (0, 1) if needed <= levels[level]), None)
    if field_level is None:
        message = (
            f"{settings.label}: on neither level of the columns are all of {', '.join(sorted(needed))}: "
            f"{', '.join(sorted(levels[0])[:8])} | {', '.join(sorted(levels[1])[:8])}"
        )
        raise DataError(message)
    symbols = {str(value): value for value in columns.get_level_values(1 - field_level)}
    parts = []
    for symbol in sorted(symbols):
        if _is_wanted(symbol, settings):
            one = frame.xs(symbols[symbol], axis=1, level=1 - field_level).rename_axis(columns=None)
            parts.append(Part(frame=renamed(one, settings), symbol=symbol, drops_empty=True))
    return tuple(parts)
