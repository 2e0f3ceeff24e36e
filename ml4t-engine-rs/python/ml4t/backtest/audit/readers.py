"""Files that a strategy reads on its own, written down, and handed over with another future."""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from ml4t.backtest.audit.outside_tables import Cut, alter_table, is_table
from ml4t.backtest.audit.traced import is_own, place_of

__all__ = ["FileRead", "patched_readers"]

READERS = {
    "polars": (
        "read_parquet read_csv read_ipc read_json read_ndjson read_excel scan_parquet scan_csv scan_ipc"
        " scan_ndjson"
    ),
    "pandas": "read_parquet read_csv read_feather read_excel read_json read_pickle read_hdf read_table",
    "numpy": "load loadtxt genfromtxt",
}
# The reader itself, which is not in its place while it is watched.
_READ_CSV = pl.read_csv
# What stands between a reader and the line of the user that wanted the file.
_BETWEEN = ("datasets/__init__.py", "pathlib.py", "readers.py", "functools.py", "_utils/deprecation.py")


@attrs.frozen
class FileRead:
    """A file that was read: its name, the line that did it, and whether its rows could be dated."""

    path: str
    place: str
    is_dated: bool


def _is_asked_by_user() -> bool:
    frame: Any = sys._getframe(2)  # noqa: SLF001 - the caller decides
    while frame is not None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if not name.endswith(_BETWEEN):
            return is_own(frame.f_code.co_filename)
        frame = frame.f_back
    return False


def _reader(original: Callable[..., Any], cut: Cut | None, found: list[FileRead]) -> Callable[..., Any]:
    @functools.wraps(original)
    def read(*args: Any, **terms: Any) -> Any:  # noqa: ANN401 - as the reader
        result = original(*args, **terms)
        if not (_is_asked_by_user() and is_table(result)):
            return result
        changed = None if cut is None else alter_table(result, cut)
        source = args[0] if args else next(iter(terms.values()), "")
        path = Path(source).name if isinstance(source, str | Path) else type(source).__name__
        found.append(FileRead(path, place_of(2), changed is not None))
        return result if changed is None else changed

    return read


def _opener(cut: Cut | None, found: list[FileRead]) -> Callable[..., Any]:
    original = builtins.open

    @functools.wraps(original)
    def opened(file: Any, mode: str = "r", *args: Any, **terms: Any) -> Any:  # noqa: ANN401 - as `open`
        is_csv = isinstance(file, str | Path) and str(file).lower().endswith(".csv")
        if not is_csv or "r" not in mode or not _is_asked_by_user():
            return original(file, mode, *args, **terms)
        changed = None
        with contextlib.suppress(pl.exceptions.PolarsError):
            changed = None if cut is None else alter_table(_READ_CSV(Path(file).read_bytes()), cut)
        found.append(FileRead(Path(file).name, place_of(2), changed is not None))
        if changed is None:
            return original(file, mode, *args, **terms)
        text = changed.write_csv()
        return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)

    return opened


@contextlib.contextmanager
def patched_readers(cut: Cut | None, namespaces: list[dict[str, Any]]) -> Iterator[list[FileRead]]:
    """Alter what readers of tables return to code of the user; without a cut, only write it down.

    `namespaces` are the modules of the user, which may have imported a reader by its name.
    """
    found: list[FileRead] = []
    changed: list[tuple[dict[str, Any], str, Any]] = []
    originals: dict[int, Callable[..., Any]] = {}
    for library, names in READERS.items():
        module = sys.modules.get(library)
        for name in names.split() if module is not None else ():
            original = getattr(module, name, None)
            if original is not None:
                originals[id(original)] = _reader(original, cut, found)
                changed.append((vars(module), name, original))
    originals[id(builtins.open)] = _opener(cut, found)
    changed.append((vars(builtins), "open", builtins.open))
    for namespace in namespaces:
        changed += [(namespace, name, value) for name, value in namespace.items() if id(value) in originals]
    for where, name, original in changed:
        where[name] = originals[id(original)]
    try:
        yield found
    finally:
        for where, name, original in changed:
            where[name] = original
