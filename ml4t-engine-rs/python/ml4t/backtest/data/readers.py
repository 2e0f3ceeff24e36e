"""Parquet and CSV files as lazy scans: only the columns, row groups and rows that a run needs are read."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from attrs import field, frozen

from ml4t.backtest.data.columns import SYMBOL_NAMES, TIME_NAMES, folded, renames
from ml4t.core.errors import DataError
from ml4t.engine.manifest import InputFile

__all__ = ["SourceFile", "expand_paths", "read_text", "reason_of", "scan", "shown_paths"]

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".csv.zst", ".tsv", ".txt")
# Rows read to find the types of the columns that are not known by name.
CSV_INFERENCE_ROWS = 10_000
KNOWN_NUMBERS = ("open", "high", "low", "close", "volume", "price", "size")
KNOWN_NUMBERS_QUOTE = ("bid_price", "ask_price", "bid_size", "ask_size", "score", "confidence")
KNOWN_TEXT = (*SYMBOL_NAMES, *TIME_NAMES, "ts_open", "ts_arrival", "arrival_timestamp", "model_id", "version")
KNOWN_TEXT_ACTIONS = ("ex_date", "pay_date", "kind", "ratio", "amount")


@frozen
class SourceFile:
    """A file as it was before it was read.

    Attributes
    ----------
    path
        Where it is.
    name
        What messages call its rows.
    signature
        Number, size and time of change, which tell whether it was replaced or written to since.
    """

    path: Path
    name: str
    signature: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, path: Path, *, name: str) -> SourceFile:
        """Take the signature of a file."""
        try:
            return cls(path, name, _signature(path))
        except OSError as error:
            message = f"{name}: {path} cannot be read: {error.strerror}"
            raise DataError(message) from error

    def fingerprint(self) -> InputFile:
        """Return the content of the file whose rows were read, as a hash.

        Raises
        ------
        DataError
            It is not the same file any more: the rows may be of two versions, and no hash is theirs.
        """
        try:
            found = InputFile.of(self.path, name=self.path.name)
            if _signature(self.path) == self.signature:
                return found
        except OSError:
            # It is gone, or may not be read any more.
            pass
        message = (
            f"{self.name}: {self.path} changed while it was read, so its rows may be of two versions; run "
            "again when nothing writes to it, or on a copy"
        )
        raise DataError(message)


def _signature(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def expand_paths(location: str | Path | Sequence[str | Path], *, name: str) -> tuple[Path, ...]:
    """Return the files of a path, a list of paths, a folder or a glob pattern; sorted within each.

    Raises
    ------
    DataError
        Nothing is there, or a folder holds neither Parquet nor CSV files.
    """
    locations = [location] if isinstance(location, str | Path) else list(location)
    files: list[Path] = []
    for each in locations:
        path = Path(each).expanduser()
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and _format(file) is not None)
        elif path.exists():
            found = [path]
        else:
            found = sorted(Path(file) for file in glob.glob(str(path), recursive=True))
        if not found:
            message = (
                f"{name}: there is no data file at {each}; a path is a Parquet or CSV file, a folder or a "
                "glob pattern"
            )
            raise DataError(message)
        files.extend(found)
    return tuple(files)


def scan(files: Sequence[Path], *, name: str, columns: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Return one lazy scan over files of one format.

    In CSV files the columns known by name get their type from it, whatever the first rows look
    like: a ticker ``007`` or ``TRUE`` stays text, a price column of whole numbers is still Float64.
    Stamps are text here; the feed's declarations say how to read them.

    Parameters
    ----------
    files
        Files with the same columns.
    name
        Feed, for messages.
    columns
        Renames: they tell which CSV column is known under our name.

    Raises
    ------
    DataError
        The formats differ or are not known, or a file cannot be opened.
    """
    formats = {_format(file) for file in files}
    if len(formats) > 1 or None in formats:
        shown = ", ".join(str(file) for file in files[:3])
        message = (
            f"{name}: the files are not all of one known format ({shown}); known are "
            f"{', '.join((*PARQUET, *CSV))}. For another suffix use DataFeed.from_parquet or "
            "DataFeed.from_csv"
        )
        raise DataError(message)
    (kind,) = formats
    return scan_csv(files, name=name, columns=columns) if kind == "csv" else scan_parquet(files, name=name)


def scan_parquet(files: Sequence[Path], *, name: str) -> pl.LazyFrame:
    """Return a lazy scan of Parquet files; filters reach the row groups.

    Folders called ``symbol=IBM`` are read as a column.
    """
    try:
        partitioned = any("=" in folder.name for file in files for folder in file.parents)
        frame = pl.scan_parquet(list(files), hive_partitioning=partitioned)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{name}: {shown_paths(files)} cannot be read as Parquet: {reason_of(error)}"
        raise DataError(message) from error
    return frame


def scan_csv(files: Sequence[Path], *, name: str, columns: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Return a lazy scan of CSV files with a header; ``.tsv`` files are split at tabs."""
    separator = _separator(files[0])
    _refuse_parquet(files, name=name)
    try:
        header = pl.scan_csv(list(files), infer_schema=False, separator=separator).collect_schema().names()
        ours = renames(header, columns, label=name).ours
        known = {column: _known_type(ours.get(column, column)) for column in header}
        overrides = {column: dtype for column, dtype in known.items() if dtype is not None}
        frame = pl.scan_csv(
            list(files),
            separator=separator,
            schema_overrides=overrides,
            infer_schema_length=CSV_INFERENCE_ROWS,
        )
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{name}: {shown_paths(files)} cannot be read as CSV with a header: {reason_of(error)}"
        raise DataError(message) from error
    return frame


def read_text(file: Path) -> pl.DataFrame | None:
    """Return a CSV file with all cells as text; None where it is of another format or cannot be read."""
    if _format(file) != "csv":
        return None
    try:
        return pl.read_csv(file, infer_schema=False, separator=_separator(file))
    except (pl.exceptions.PolarsError, OSError):
        return None


def _separator(file: Path) -> str:
    return "\t" if file.suffix == ".tsv" else ","


def _refuse_parquet(files: Sequence[Path], *, name: str) -> None:
    """Refuse Parquet under another name, which as text would be a header of noise."""
    for file in files:
        try:
            with file.open("rb") as stream:
                is_parquet = stream.read(4) == b"PAR1"
        except OSError:
            # Whoever reads the rows says what is wrong.
            continue
        if is_parquet:
            message = f"{name}: {file} is a Parquet file; read it with DataFeed.from_parquet"
            raise DataError(message)


def reason_of(error: Exception) -> str:
    """Return the first line of an error; the others are advice about polars, which nobody here called."""
    return str(error).partition("\n")[0]


def _known_type(name: str) -> pl.DataType | None:
    plain = folded(name)
    if plain in KNOWN_TEXT or plain in KNOWN_TEXT_ACTIONS:
        return pl.String()
    if plain in KNOWN_NUMBERS or plain in KNOWN_NUMBERS_QUOTE:
        return pl.Float64()
    return None


def _format(file: Path) -> str | None:
    text = file.name.lower()
    if text.endswith(PARQUET):
        return "parquet"
    return "csv" if text.endswith(CSV) else None


def shown_paths(files: Sequence[Path]) -> str:
    """Return the first file and how many there are beside it."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}"
