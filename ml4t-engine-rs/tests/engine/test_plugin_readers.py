"""`[[data_feeds]]` that a reader of a plugin reads: how it is found, what it is given, what it may give."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import Results
from ml4t.backtest.configured import engine_of
from ml4t.core.cli import main
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError, DataError
from ml4t.core.plugins import load_plugins

Run = Callable[..., tuple[int, str, str]]

PLUGIN = """
import datetime as dt
from pathlib import Path

import polars as pl
from ml4t.core import ReaderSpec, hookimpl
from ml4t.core.errors import DataError

ASKED = []

def rows(n=5, first=10.0):
    days = [dt.date(2024, 1, day) for day in range(1, n + 1)]
    prices = [first + k for k in range(n)]
    columns = {name: prices for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"symbol": ["A"] * n, "session": days, **columns, "volume": [100.0] * n})

def read(uri, *, first=10.0, form="frame", days=5):
    ASKED.append(uri)
    table = rows(days, first)
    if form == "frame":
        return table
    if form == "lazy":
        return table.lazy()
    if form == "arrow":
        return table.to_arrow()
    if form == "pandas":
        return table.to_pandas()
    if form == "pieces":
        return (table[k : k + 2] for k in range(0, days, 2))
    if form == "nothing":
        return iter(())
    if form == "unlike":
        return iter([table, table.select("symbol")])
    if form == "text":
        return uri
    if form == "breaks":
        raise ZeroDivisionError("in the reader")
    if form == "breaks late":
        return (table if k < 2 else 1 // 0 for k in range(3))
    if form == "refuses":
        raise DataError(f"there is nothing at {uri}")
    if form == "incomplete":
        return table.drop("close")
    raise AssertionError(form)

def need(uri, *, key):
    return rows()

@hookimpl
def ml4t_register_readers():
    names = {"folder": "read", "desk": "read", "bars": "read", "csv": "read", "need": "need", "gone": "gone"}
    return [ReaderSpec(name, f"ml4t_acme_plugin:{target}") for name, target in names.items()]
"""
STRATEGY = """
from ml4t.backtest import Strategy

class Buys(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if not broker.open_orders and not broker.positions:
            broker.buy("A", 3)
"""
TOML = """
[backtest]
name = "small"
nav_calendar = "24/7"

[broker]
initial_cash = 1_000

[[data_feeds]]
name = "prices"
{source}
stamp = "session"
calendar = "24/7"

[[strategies]]
name = "buys"
type = "strategies.py:Buys"
"""


@attrs.frozen
class Project:
    """A folder with a strategy, and plugins beside it, by default `acme` of ml4t-acme 1.2."""

    folder: Path

    def install(self, source: str, name: str = "acme") -> None:
        info = self.folder / "site" / f"ml4t_{name}-1.2.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ml4t-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[ml4t]\n{name} = ml4t_{name}_plugin\n")
        (self.folder / "site" / f"ml4t_{name}_plugin.py").write_text(source)

    def write(self, source: str) -> Path:
        path = self.folder / "run.toml"
        path.write_text(TOML.format(source=source))
        return path

    def asked(self) -> list[str]:
        found: list[str] = sys.modules["ml4t_acme_plugin"].ASKED
        return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "strategies.py").write_text(STRATEGY)
    made = Project(tmp_path)
    made.install(PLUGIN)
    yield made
    for name in [name for name in sys.modules if name.startswith("ml4t_")]:
        del sys.modules[name]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], project: Project) -> Run:
    def go(path: Path, name: str = "out") -> tuple[int, str, str]:
        status = main(["run", str(path), "--no-report", "--output", str(project.folder / name)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return go


def engine(project: Project, source: str) -> Any:  # noqa: ANN401
    plugins = load_plugins()
    return engine_of(load_config(project.write(source), plugins=plugins), plugins=plugins)


def fault(project: Project, source: str) -> Any:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        engine(project, source)
    (found,) = refused.value.findings
    return found


# -- found and asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ('type = "folder"\npath = "prices"', "{root}/prices"),
        ('type = "acme:folder"\npath = "prices"', "{root}/prices"),
        ('type = "folder"\npath = "folder:prices"', "folder:{root}/prices"),
        ('path = "folder:prices/daily"', "folder:{root}/prices/daily"),
        ('path = "folder:/elsewhere/prices"', "folder:/elsewhere/prices"),
        ('uri = "desk://host/table?day=1"', "desk://host/table?day=1"),
        ('path = "DESK://host/table"', "DESK://host/table"),
        ('path = "prices/a.BARS"', "{root}/prices/a.BARS"),
        ('type = "folder"\npath = "a.parquet"', "{root}/a.parquet"),
    ],
)
def test_a_reader_is_found_by_name_scheme_or_suffix_and_gets_the_address(
    project: Project, source: str, asked: str
) -> None:
    results = engine(project, source).run()
    assert project.asked() == [asked.format(root=project.folder)]
    assert results.fills["price"].to_list() == [11.0]


def test_options_reach_the_reader(project: Project) -> None:
    source = 'uri = "desk://x"\noptions = { first = 20.0, days = 4 }'
    results = engine(project, source).run()
    assert results.fills["price"].to_list() == [21.0]


def test_files_need_neither_type_nor_reader(project: Project) -> None:
    sys.path.insert(0, str(project.folder / "site"))
    import ml4t_acme_plugin  # type: ignore[import-not-found]

    sys.path.pop(0)
    ml4t_acme_plugin.rows().write_parquet(project.folder / "a.parquet")
    results = engine(project, 'path = "a.parquet"').run()
    assert results.fills["price"].to_list() == [11.0]
    assert project.asked() == []
    assert results.manifest["readers"] == []


def test_a_plugin_that_opens_an_address_is_asked_where_nothing_is_registered(project: Project) -> None:
    hook = (
        "\n@hookimpl\ndef ml4t_open_data(uri, options):\n"
        "    return read if uri.startswith('lake://') and options else None\n"
    )
    project.install(PLUGIN + hook)
    results = engine(project, 'uri = "lake://x"\noptions = { days = 3 }').run()
    assert project.asked() == ["lake://x"]
    (entry,) = results.manifest["readers"]
    assert (entry["type"], entry["distribution"]) == ("acme", "ml4t-acme")
    assert fault(project, 'uri = "lake://x"').path == "data_feeds[0].path"


# -- not found ---------------------------------------------------------------------------------------------


def test_an_unknown_type_lists_what_is_known_with_the_nearest(project: Project) -> None:
    found = fault(project, 'type = "foldr"\npath = "x"')
    assert (found.path, found.message, found.nearest) == (
        "data_feeds[0].type",
        "no reader is named 'foldr'",
        "folder",
    )
    names = ("ParquetFeed", "CsvFeed", "bars", "csv", "desk", "folder", "gone", "need")
    assert found.allowed == names
    assert fault(project, 'type = "ParquetFed"\npath = "x"').nearest == "ParquetFeed"
    assert "unknown plugin 'acne'" in fault(project, 'type = "acne:folder"\npath = "x"').message


def test_an_ambiguous_name_is_refused_with_both(project: Project) -> None:
    project.install(PLUGIN.replace("ml4t_acme", "ml4t_bolt"), "bolt")
    found = fault(project, 'type = "desk"\npath = "x"')
    assert found.path == "data_feeds[0].type"
    assert "ambiguous between acme:desk and bolt:desk; write one of them in full" in found.message
    assert "acme:desk and bolt:desk" in fault(project, 'uri = "desk://x"').message
    found = fault(project, 'path = "x.bars"')
    assert found.message == "'x.bars' could be read by acme:bars and by bolt:bars; write one of them as type"
    assert (
        engine(project, 'type = "bolt:desk"\nuri = "desk://x"').run().manifest["readers"][0]["plugin"]
        == "bolt"
    )


def test_a_suffix_that_is_ours_as_well_is_ambiguous(project: Project) -> None:
    found = fault(project, 'path = "x.csv"')
    assert found.message == "'x.csv' could be read by acme:csv and by CsvFeed; write one of them as type"


def test_what_nothing_reads_is_refused_with_what_could(project: Project) -> None:
    found = fault(project, 'uri = "dsk://x"')
    assert (found.path, found.message, found.nearest) == (
        "data_feeds[0].path",
        "no reader is registered for the scheme 'dsk'",
        "desk",
    )
    found = fault(project, 'path = "x.unknown"')
    assert (found.path, found.code) == ("data_feeds[0].type", "missing")
    assert {"ParquetFeed", "folder"} <= set(found.allowed)


def test_options_are_compared_with_the_keywords_before_anything_is_read(project: Project) -> None:
    found = fault(project, 'uri = "desk://x"\noptions = { frist = 1.0 }')
    assert (found.path, found.nearest) == ("data_feeds[0].options.frist", "first")
    assert found.message == "unknown option of reader 'acme:desk' of plugin 'acme', ml4t-acme 1.2"
    found = fault(project, 'type = "need"\npath = "x"')
    assert (found.path, found.code) == ("data_feeds[0].options.key", "missing")
    found = fault(project, 'type = "ParquetFeed"\npath = "x"\noptions = { first = 1.0 }')
    assert found.path == "data_feeds[0].options"
    assert project.asked() == []


def test_a_reader_that_cannot_be_imported_is_refused_with_its_distribution(project: Project) -> None:
    found = fault(project, 'type = "gone"\npath = "x"')
    assert found.path == "data_feeds[0].type"
    assert "reader 'acme:gone' of ml4t-acme 1.2: cannot import 'ml4t_acme_plugin:gone'" in found.message


def test_the_command_reports_readers_with_all_other_faults(command: Run, project: Project) -> None:
    path = project.write('type = "foldr"\npath = "x"')
    path.write_text(path.read_text().replace("initial_cash = 1_000", "initial_cash = -1"))
    status, _, err = command(path)
    assert status == 1
    assert "run.toml: 2 problems" in err
    assert "data_feeds[0].type: no reader is named 'foldr'; allowed: " in err
    assert "did you mean 'folder'?" in err


# -- what it gives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["lazy", "arrow", "pandas", "pieces"])
def test_every_kind_of_table_gives_the_same_run_and_the_same_digest(project: Project, form: str) -> None:
    plain = engine(project, 'uri = "desk://x"').run()
    other = engine(project, f'uri = "desk://x"\noptions = {{ form = "{form}" }}').run()
    assert other.fills.equals(plain.fills)
    assert other.portfolio_history.equals(plain.portfolio_history)
    assert other.manifest["data"] == plain.manifest["data"]
    if form != "pandas":
        # pandas has no dates without a time.
        assert other.manifest["inputs"] == plain.manifest["inputs"]


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("text", "returned str 'desk://x'; expected a polars, pandas or pyarrow table, an iterator of"),
        ("nothing", "returned an iterator without a table"),
        ("unlike", "returned tables that do not fit one another"),
        ("breaks", "raised ZeroDivisionError: in the reader"),
        ("breaks late", "raised ZeroDivisionError: "),
        ("refuses", "raised there is nothing at desk://x"),
    ],
)
def test_a_reader_that_fails_is_named_with_feed_plugin_and_place(
    project: Project, form: str, why: str
) -> None:
    with pytest.raises(DataError) as refused:
        engine(project, f'uri = "desk://x"\noptions = {{ form = "{form}" }}')
    lines = (project.folder / "run.toml").read_text().splitlines()
    line = lines.index('uri = "desk://x"') + 1
    text = str(refused.value)
    assert text.startswith(f"{project.folder / 'run.toml'}: data_feeds[0].uri: feed prices: ")
    assert f"reader 'acme:desk' of plugin 'acme', ml4t-acme 1.2 {why}" in text
    assert text.endswith(f"(line {line})")


def test_the_command_shows_it_without_a_traceback(command: Run, project: Project) -> None:
    status, _, err = command(project.write('path = "folder:x"\noptions = { form = "breaks" }'))
    assert status == 1
    assert (
        "data_feeds[0].path: feed prices: reader 'acme:folder' of plugin 'acme', ml4t-acme 1.2 raised" in err
    )
    assert "Traceback" not in err


def test_what_was_read_passes_the_checks_of_any_feed(project: Project) -> None:
    with pytest.raises(DataError, match=r"feed prices.*close"):
        engine(project, 'uri = "desk://x"\noptions = { form = "incomplete" }').run()


EVENTS = """
from ml4t.core.events import TradeTick
from ml4t.core.sources import DataFeed

class Ticks(DataFeed):
    def __init__(self, n):
        start = dt.datetime(2024, 3, 1, 15, tzinfo=dt.UTC)
        seconds = [start + dt.timedelta(seconds=k) for k in range(n)]
        self.rest = iter([TradeTick("A", when, 10.0, 5.0) for when in seconds])

    def get_next_event(self):
        return next(self.rest, None)

def ticks(uri, *, n=10):
    return Ticks(n)
"""


def test_an_event_source_is_run_and_its_events_are_hashed(project: Project) -> None:
    source = PLUGIN + EVENTS
    project.install(source.replace('"gone": "gone"', '"ticks": "ticks"'))
    text = 'uri = "ticks://x"\nkind = "trade"\noptions = {{ n = {n} }}'
    ran = [engine(project, text.format(n=n)).run() for n in (10, 10, 9)]
    assert [each.manifest["data"][0]["rows"] for each in ran] == [10, 10, 9]
    hashes = [each.manifest["inputs"][0]["sha256"] for each in ran]
    assert hashes[0] == hashes[1] != hashes[2]


# -- what is written down ----------------------------------------------------------------------------------


def test_the_manifest_has_the_reader_and_a_digest_of_what_was_read(command: Run, project: Project) -> None:
    path = project.write('path = "folder:prices"\noptions = { first = 10.0 }')
    for name in ("first", "second"):
        assert command(path, name)[0] == 0
    first, second = (Results.load(project.folder / name).manifest for name in ("first", "second"))
    assert first == second
    assert first["readers"] == [
        {
            "feed": "prices",
            "type": "acme:folder",
            "plugin": "acme",
            "distribution": "ml4t-acme",
            "version": "1.2",
            "options": {"first": 10},
        }
    ]
    assert first["versions"]["ml4t-acme"] == "1.2"
    entry = next(each for each in first["inputs"] if each["name"] == "folder:prices")
    assert len(entry["sha256"]) == 64
    assert entry["size"] > 0
    assert command(project.write('path = "folder:prices"\noptions = { first = 10.5 }'), "third")[0] == 0
    third = Results.load(project.folder / "third").manifest
    assert entry["sha256"] not in {each["sha256"] for each in third["inputs"]}


def test_the_digest_depends_on_names_types_values_and_gaps_and_on_nothing_else() -> None:
    from ml4t.backtest.data.plugged import _add_table, _Digest

    def digest(frame: pl.DataFrame) -> str:
        made = _Digest()
        _add_table(made, frame)
        return made.text()

    def table(**changes: object) -> pl.DataFrame:
        columns = {
            "s": ["a", None, "b"],
            "x": [1.0, None, 3.0],
            "d": [dt.date(2024, 1, 1)] * 3,
            "b": [True] * 3,
        }
        return pl.DataFrame(columns | changes)

    chunks = pl.concat([table()[:1], table()[1:]], rechunk=False)
    under = pl.DataFrame({"x": [1.0, 7.0, 3.0]}).select(pl.when(pl.col("x") != 7.0).then(pl.col("x")))
    assert digest(chunks) == digest(table())
    assert digest(table(x=under["x"])) == digest(table())
    changed = [
        table(x=[1.0, 0.0, 3.0]),
        table(x=[1, None, 3]),
        table(s=["a", "", "b"]),
        table(s=["ab", None, ""]),
        table(b=[True, True, False]),
        table().rename({"x": "y"}),
        table()[:2],
    ]
    assert len({digest(each) for each in [table(), *changed]}) == len(changed) + 1
