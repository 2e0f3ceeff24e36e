"""Parquet and CSV files as lazy scans: only the columns, row groups and rows that a run needs are read."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ml4t.backtest.data.columns import SYMBOL_NAMES, TIME_NAMES, folded, renames
from ml4t.core.errors import DataError

__all__ = ["expand_paths", "scan"]

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".csv.zst", ".tsv", ".txt")
# Rows read to find the types of the columns that are not known by name.
CSV_INFERENCE_ROWS = 10_000
KNOWN_NUMBERS = ("open", "high", "low", "close", "volume", "price", "size")
KNOWN_NUMBERS_QUOTE = ("bid_price", "ask_price", "bid_size", "ask_size", "score", "confidence")
KNOWN_TEXT = (*SYMBOL_NAMES, *TIME_NAMES, "ts_open", "ts_arrival", "arrival_timestamp", "model_id", "version")
KNOWN_TEXT_ACTIONS = ("ex_date", "pay_date", "kind", "ratio", "amount")


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
        message = f"{name}: {_shown(files)} cannot be read as Parquet: {error}"
        raise DataError(message) from error
    return frame


def scan_csv(files: Sequence[Path], *, name: str, columns: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """Return a lazy scan of CSV files with a header; ``.tsv`` files are split at tabs."""
    separator = "\t" if files[0].suffix == ".tsv" else ","
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
        message = f"{name}: {_shown(files)} cannot be read as CSV with a header: {error}"
        raise DataError(message) from error
    return frame


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


def _shown(files: Sequence[Path]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}"
