"""The folder of a run: one Parquet file per table and the JSON files beside them.

Two runs with the same configuration, code and data leave the same bytes: files are written by one thread
with fixed settings, and what differs between machines and days (`run_info.json`) has a file of its own.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.errors import ResultsError
from ml4t.core.schemas import TABLES
from ml4t.engine.manifest import canonical_json, sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "INFO_FILE",
    "MANIFEST_FILE",
    "MANIFEST_NAME",
    "METRICS_FILE",
    "StoredTable",
    "check_folder",
    "check_hash",
    "check_writable",
    "dump_json",
    "manifest_file",
    "read_json",
    "stored_tables",
    "table_file",
    "take_hashes",
    "write_folder",
]

MANIFEST_FILE = "run_manifest.json"
"""What the manifest is called, unless `run_info.json` has another name under `MANIFEST_NAME`."""
MANIFEST_NAME = "manifest"
INFO_FILE = "run_info.json"
METRICS_FILE = "metrics.json"
HASHES = "files"
"""Key of `run_info.json` with the SHA-256 of every other file, by which a changed one is found."""

_FILE_NAMES: Mapping[str, str] = {"round_trips": "trades.parquet"}
_ROW_GROUP_ROWS = 1 << 20
OPTIONAL_TABLES = ("benchmark",)
"""Tables that only some runs have."""
REPORT_FILE = "report.html"


def table_file(name: str) -> str:
    """Return the file name of a table: `<name>.parquet`, and `trades.parquet` for `round_trips`."""
    return _FILE_NAMES.get(name, f"{name}.parquet")


# --------------------------------------------------------------------------- writing


def write_folder(
    path: Path, *, tables: Mapping[str, pa.Table], documents: Mapping[str, Any], overwrite: bool
) -> None:
    """Write the folder of a run: all of it or nothing.

    The files are written into a hidden folder beside `path`, which is then renamed, so that a reader never
    meets half a run and an interrupted save leaves what was there. Of several that write to one new folder at
    the same time, in any process, exactly one gets it; with `overwrite` the last one does.

    Parameters
    ----------
    path : Path
        The folder; its parents are made.
    tables : mapping of str to pyarrow.Table
        By table name.
    documents : mapping of str to JSON-able values
        By file name.
    overwrite : bool
        Whether a run that is already there may be replaced.

    Raises
    ------
    ResultsError
        If `path` exists and `overwrite` is false, or holds something that is not a run; or if it cannot be
        written. What was there is then as it was before.
    """
    try:
        check_folder(path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        try:
            run = staging / "run"
            run.mkdir()
            _write_files(run, tables=tables, documents=documents)
            if overwrite:
                _replace(run, path, staging)
            else:
                _put_in_place(run, path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise ResultsError(_unwritable(path, error)) from error


def _write_files(run: Path, *, tables: Mapping[str, pa.Table], documents: Mapping[str, Any]) -> None:
    """Write tables and documents; the hashes of all go into `run_info.json`."""
    for name, table in tables.items():
        _write_table(table, run / table_file(name))
    for name, document in documents.items():
        if name != INFO_FILE:
            (run / name).write_text(dump_json(document), encoding="utf-8")
    hashes = {entry.name: sha256_file(entry) for entry in sorted(run.iterdir())}
    info = {**documents[INFO_FILE], HASHES: hashes}
    (run / INFO_FILE).write_text(dump_json(info), encoding="utf-8")


def _rename(run: Path, path: Path) -> bool:
    """Rename a folder to where nothing is, or an empty folder, and say whether that was so.

    It is one step of the file system, which refuses a folder that holds anything.
    """
    # Elsewhere than on Windows the renaming does this too.
    with contextlib.suppress(OSError):
        path.rmdir()
    try:
        run.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _put_in_place(run: Path, path: Path) -> None:
    """Rename the new folder to its place, unless another run was saved there since it was looked at."""
    if not _rename(run, path):
        check_folder(path, overwrite=False)
        msg = f"{path} was in use while the run was saved; nothing was changed there. Save again"
        raise ResultsError(msg)


def _replace(run: Path, path: Path, staging: Path) -> None:
    """Put the new folder in the place of another; whatever interrupts it, one of the two is there afterwards.

    A run that was saved there between the two steps is replaced in its turn.
    """
    for number in itertools.count():
        check_folder(path, overwrite=True)
        aside = staging / f"replaced-{number}"
        try:
            # Another that replaces it may have taken it away.
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
            if _rename(run, path):
                return
        except BaseException:
            if aside.exists() and not path.exists():
                aside.rename(path)
            raise


def _unwritable(path: Path, error: OSError) -> str:
    return (
        f"{path} cannot be written: {error.strerror or error}; nothing was changed there. Choose another "
        "folder, or make room and save again"
    )


def check_writable(path: Path) -> None:
    """Refuse a folder that could not be made: known before a run, it costs nothing.

    Raises
    ------
    ResultsError
        If its nearest folder that exists takes no new files.
    """
    try:
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=there)).rmdir()
    except OSError as error:
        raise ResultsError(_unwritable(path, error)) from error


def _entries(path: Path) -> set[str]:
    """Return the names in a folder as they were at one moment; none if there is no folder.

    Another that replaces the run may take the folder away at any time and empty it elsewhere while it is
    being read, so what was read counts only if the same folder, unchanged, is still there afterwards.
    """
    while True:
        try:
            before = path.lstat()
            if not stat.S_ISDIR(before.st_mode):
                message = f"{path} exists and is not a folder; choose another place for the run"
                raise ResultsError(message)
            names = {entry.name for entry in path.iterdir()}
            after = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return set()
        if (after.st_dev, after.st_ino, after.st_mtime_ns) == (
            before.st_dev,
            before.st_ino,
            before.st_mtime_ns,
        ):
            return names


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over anything but, when asked to, a run."""
    expected = {table_file(name) for name in (*TABLES, *OPTIONAL_TABLES)}
    manifest = manifest_file(path)
    expected |= {manifest, INFO_FILE, METRICS_FILE, REPORT_FILE}
    present = _entries(path)
    if not present:
        return
    if not overwrite:
        what = "already holds a run" if manifest in present else "is not empty"
        message = (
            f"{path} {what}; choose another folder, "
            "or allow a run to be replaced (overwrite=True, --overwrite)"
        )
        raise ResultsError(message)
    foreign = sorted(present - expected)
    if manifest not in present or foreign:
        found = foreign or sorted(present)
        message = (
            f"{path} is not replaced: it holds files that do not belong to a run "
            f"({', '.join(found[:5])}{', ...' if len(found) > 5 else ''}); move them or choose another folder"
        )
        raise ResultsError(message)


def _write_table(table: pa.Table, path: Path) -> None:
    """Write one table; equal rows give equal bytes, however they were chunked before."""
    import pyarrow.parquet as pq

    pq.write_table(
        table.combine_chunks(),
        path,
        compression="zstd",
        compression_level=3,
        version="2.6",
        row_group_size=_ROW_GROUP_ROWS,
        # zstd frames carry none, and a damaged number would look like any other.
        write_page_checksum=True,
    )


def dump_json(document: object) -> str:
    """Return canonical JSON text, with NaN and the infinities, for which JSON has no word, as null."""
    return canonical_json(_without_nan(document), indent=2) + "\n"


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --------------------------------------------------------------------------- reading


@attrs.frozen
class StoredTable:
    """A table in a run's folder, read when first asked for.

    Attributes
    ----------
    path : Path
        The Parquet file.
    signature : tuple of int
        Size and time of change when the run was opened; a file replaced since then is refused, because
        tables of two runs would be mixed.
    sha256 : str or None
        Hash of the file when it was saved, which it must still have when it is read; None if unknown.
    """

    path: Path
    signature: tuple[int, int]
    sha256: str | None = None

    @classmethod
    def open(cls, path: Path, *, sha256: str | None = None) -> StoredTable:
        """Check that the file is there and complete, without reading its rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            pq.read_metadata(path)
        except FileNotFoundError:
            message = (
                f"{path.parent} has no {path.name}: the folder is not a complete run. Copy all its files, "
                f"or run the backtest again"
            )
            raise ResultsError(message) from None
        except (pa.ArrowInvalid, OSError) as error:
            raise ResultsError(_unreadable(path, error)) from error
        return cls(path, _signature(path), sha256)

    def read(self) -> pa.Table:
        """Read the rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if _signature(self.path) != self.signature:
                message = f"{self.path} changed after the run was loaded; load it again"
                raise ResultsError(message)
            check_hash(self.path, self.sha256)
            return pq.ParquetFile(self.path, page_checksum_verification=True).read()
        except (pa.ArrowInvalid, OSError) as error:
            raise ResultsError(_unreadable(self.path, error)) from error


def _signature(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _unreadable(path: Path, error: Exception) -> str:
    size = path.stat().st_size if path.exists() else 0
    return f"{path} ({size} bytes) is truncated, damaged or no Parquet file: {error}"


def check_hash(path: Path, expected: str | None) -> None:
    """Refuse a file that is not the one that was saved; nothing is checked where no hash is known."""
    if expected is not None and (found := sha256_file(path)) != expected:
        message = (
            f"{path} is not the file that was saved with this run (sha256 {found[:12]}..., expected "
            f"{expected[:12]}...): it was changed or replaced. Restore it, or run the backtest again"
        )
        raise ResultsError(message)


def take_hashes(info: dict[str, Any], folder: Path) -> dict[str, str]:
    """Take the hashes of the run's files, by name, out of what `run_info.json` holds."""
    found: object = info.pop(HASHES, {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        message = f"{folder / INFO_FILE} holds {HASHES} = {found!r}, expected a hash by file name"
        raise ResultsError(message)
    return found


def stored_tables(
    folder: Path, *, names: tuple[str, ...], hashes: Mapping[str, str], optional: bool = False
) -> dict[str, StoredTable]:
    """Open tables of a run's folder; with `optional`, absent ones are left out instead of refused."""
    paths = {name: folder / table_file(name) for name in names}
    return {
        name: StoredTable.open(path, sha256=hashes.get(path.name))
        for name, path in paths.items()
        if path.exists() or not optional or path.name in hashes
    }


def manifest_file(folder: Path) -> str:
    """Return the name of a run's manifest; what else is wrong with the folder, its reader will tell."""
    try:
        name = read_json(folder, name=INFO_FILE).get(MANIFEST_NAME)
    except (ResultsError, OSError):
        return MANIFEST_FILE
    return name if isinstance(name, str) and name and Path(name).name == name else MANIFEST_FILE


def read_json(folder: Path, *, name: str) -> dict[str, Any]:
    """Read one of a run's JSON files.

    Raises
    ------
    ResultsError
        If the folder or file is missing, or the file does not hold one JSON object.
    """
    path = folder / name
    if not folder.is_dir():
        message = f"there is no folder {folder}"
        raise ResultsError(message)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = (
            f"{folder} has no {name}: it is not the folder of a run, or the run was not copied completely"
        )
        raise ResultsError(message) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"{path} is truncated or not JSON: {error}"
        raise ResultsError(message) from error
    if not isinstance(document, dict):
        message = f"{path} holds a {type(document).__name__}, expected a JSON object"
        raise ResultsError(message)
    return document
