from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml4t.backtest import calendars
from ml4t.backtest.calendars import cache_folder, session_table

FIRST, LAST = dt.date(2012, 1, 1), dt.date(2012, 12, 31)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML4T_CACHE_DIR", str(tmp_path))
    return tmp_path


def only_file(cache: Path) -> Path:
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert len(files) == 1
    return files[0]


def forbid_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        message = f"built again: {args}"
        raise AssertionError(message)

    monkeypatch.setattr(calendars, "_build", refuse)


def test_a_cached_table_equals_the_built_one_and_is_not_built_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = session_table("XNYS", FIRST, LAST)
    forbid_building(monkeypatch)
    cached = session_table("XNYS", FIRST, LAST)
    assert cached.frame.equals(built.frame)
    assert (cached.name, cached.timezone) == ("XNYS", "America/New_York")
    assert only_file(cache).suffix == ".arrow"


def test_a_cached_table_needs_neither_pandas_nor_the_library(cache: Path) -> None:
    session_table("XNYS", FIRST, LAST)
    code = (
        "import sys, datetime as dt; from ml4t.backtest.calendars import session_table;"
        "n = len(session_table('XNYS', dt.date(2012,1,1), dt.date(2012,12,31)));"
        "print(n, sorted({'pandas', 'pandas_market_calendars'} & set(sys.modules)))"
    )
    environment = {**os.environ, "ML4T_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.stdout, done.stderr) == ("250 []\n", "")


def test_a_wider_range_extends_the_cached_table(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session_table("XNYS", FIRST, LAST)
    session_table("XNYS", dt.date(2014, 3, 1), dt.date(2014, 3, 31))
    only_file(cache)
    forbid_building(monkeypatch)
    # The years between were stored as well.
    assert len(session_table("XNYS", FIRST, dt.date(2014, 12, 31))) == 250 + 252 + 252


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "one bit", "another calendar"])
def test_a_damaged_cache_file_is_built_again(cache: Path, damage: str) -> None:
    expected = session_table("XNYS", FIRST, LAST)
    path = only_file(cache)
    content = path.read_bytes()
    if damage == "another calendar":
        session_table("XLON", FIRST, LAST)
        (other,) = [file for file in path.parent.iterdir() if file != path]
        path.write_bytes(other.read_bytes())
    else:
        half = len(content) // 2
        flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        path.write_bytes(
            {"truncated": content[:half], "empty": b"", "garbage": b"\0" * 5000, "one bit": flipped}[damage]
        )
    again = session_table("XNYS", FIRST, LAST)
    assert again.frame.equals(expected.frame)
    assert path.read_bytes() == content


def test_every_single_bit_error_in_the_columns_is_noticed(cache: Path) -> None:
    expected = session_table("weekdays", FIRST, LAST)
    stored = calendars._Cached(first=FIRST, last=LAST, table=expected)
    path = cache / "table.arrow"
    calendars._write_cache(path, stored)
    content = path.read_bytes()
    for position in range(0, len(content), 97):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        found = calendars._read_cache(path, "weekdays")
        assert found is None or found.table.frame.equals(expected.frame), position


def test_the_folder_is_keyed_by_the_versions_of_the_libraries(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_table("XNYS", FIRST, LAST)
    version = importlib.metadata.version("pandas-market-calendars")
    assert f"pandas-market-calendars-{version}" in only_file(cache).parent.name
    monkeypatch.setattr(calendars, "_version", lambda name: "99.0")
    session_table("XNYS", FIRST, LAST)
    folders = {path.parent.name for path in cache.rglob("*.arrow")}
    assert len(folders) == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("ML4T_CACHE_DIR", str(blocker))
    assert len(session_table("XNYS", FIRST, LAST)) == 250


def test_an_interrupted_write_leaves_the_old_file_and_no_other(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_table("XNYS", FIRST, LAST)
    path = only_file(cache)
    content = path.read_bytes()

    def interrupt(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session_table("XNYS", dt.date(2010, 1, 1), LAST)
    assert only_file(cache).read_bytes() == content


def test_the_cache_folder_is_the_platforms_unless_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML4T_CACHE_DIR", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("ML4T_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/ml4t")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "ml4t"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder() == Path("/local/ml4t")
