"""Ctrl-C, full disks and folders that go away: what was computed is kept, marked, and told where."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import Results
from ml4t.core.errors import ResultsError
from ml4t.engine import storage

from .inputs import COMMAND, by_session, daily, refused, run

WAIT = 60
MARKET = """
import datetime as dt, sys, time
import polars as pl
from ml4t.backtest import DataFeed, Engine, Results, Strategy

def feed(count):
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(minutes=count - 1), "1m", eager=True)
    frame = pl.DataFrame({"timestamp": stamps}).with_columns(
        symbol=pl.lit("XYZ"), **{n: pl.lit(10.0) for n in ("open", "high", "low", "close", "volume")}
    )
    return DataFeed(frame, stamp="open", interval="1m", calendar="24/7")

class Buys(Strategy):
    seen = 0
    def on_data(self, timestamp, data, context, broker):
        broker.buy("XYZ", 1)
        self.seen += 1
        if self.seen == 10:
            print("ready", flush=True)
        if self.seen >= 10:
            WORK

def ready(part):
    print("ready", flush=True)

engine = Engine(feed(COUNT), STRATEGY, config={"backtest": {"record": "step"}})
try:
    engine.run(progress=PROGRESS)
except KeyboardInterrupt as error:
    results = engine.results
    assert error.partial_results is results
    folder = results.save(sys.argv[1])
    print(results.status, results.warnings[0], flush=True)
    again = Engine(feed(20), type("Quiet", (Strategy,), {})).run()
    print("again", again.status, flush=True)
"""

PLACES = {
    "a busy callback": {"WORK": "for _ in range(1000): pass", "COUNT": "300_000"},
    "a sleeping callback": {"WORK": "time.sleep(60)", "COUNT": "1_000"},
    "a run without callbacks": {
        "STRATEGY": "Strategy",
        "PROGRESS": "ready",
        "COUNT": "4_000_000",
    },
}


def interrupt(command: list[str], **options: Any) -> tuple[int, str, str]:  # noqa: ANN401 - of Popen
    """Start a process, send it Ctrl-C once it says that it is ready, and return its end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **options) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        before = ""
        while "ready" not in before:
            line = process.stdout.readline()
            assert line, process.communicate(timeout=WAIT)[1]
            before += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
        return process.returncode, before + out, err


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_in_a_real_process_keeps_and_marks_what_was_done(place: str, tmp_path: Path) -> None:
    script = MARKET
    for name, text in {"WORK": "pass", "STRATEGY": "Buys", "PROGRESS": "None", **PLACES[place]}.items():
        script = script.replace(name, text)
    code, out, err = interrupt([sys.executable, "-c", script, str(tmp_path / "run")])
    assert code == 0, err
    assert "interrupted The run is interrupted: the tables end at 2024-" in out
    assert "again complete" in out, "the process goes on"
    results = Results.load(tmp_path / "run")
    assert results.status == "interrupted"
    assert results.ledger.filter(kind="trade").height == results.fills.height
    assert results.portfolio_history.height > 0


# --------------------------------------------------------------------------- ml4t run

STRATEGIES = """
import sys, time
from pathlib import Path
from ml4t.backtest import Strategy

HERE = Path(__file__).parent

class Buys(Strategy):
    def on_data(self, timestamp, data, context, broker):
        (HERE / "it_ran").touch()
        broker.buy("XYZ", 1)

class Waits(Buys):
    def on_data(self, timestamp, data, context, broker):
        super().on_data(timestamp, data, context, broker)
        if timestamp.day == 4:
            print("ready", flush=True)
            time.sleep(60)

class LosesItsFolder(Buys):
    def on_stop(self):
        (HERE / "runs").rename(HERE / "moved")
        (HERE / "runs").write_text("not a folder any more")

class LosesAll(LosesItsFolder):
    def on_stop(self):
        super().on_stop()
        raise LookupError("no such luck")
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that writes a configuration and returns the command that runs it."""

    def write(strategy: str, report: str = "") -> list[str]:
        folder = tmp_path / "project"
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        daily().write_parquet(folder / "prices.parquet")
        (folder / "strategies.py").write_text(STRATEGIES)
        document = f"""
            [backtest]
            name = "small"
            [[data_feeds]]
            name = "prices"
            type = "ParquetFeed"
            path = "prices.parquet"
            stamp = "session"
            [[strategies]]
            name = "one"
            type = "strategies.py:{strategy}"
            """
        (folder / "run.toml").write_text(textwrap.dedent(document) + report)
        return [*COMMAND, "run", str(folder / "run.toml"), "--no-report"]

    return write


def finish(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - of run
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT, **options)


def test_ctrl_c_in_ml4t_run_saves_the_partial_run_and_says_so(
    project: Callable[..., list[str]], tmp_path: Path
) -> None:
    code, out, err = interrupt(project("Waits"))
    assert code == 130, err
    assert "small: interrupted" in out
    assert "Warning: The run is interrupted: the tables end at 2024-01-0" in out
    assert "Traceback" not in err
    results = Results.load(tmp_path / "project" / "runs" / "small")
    assert (results.status, results.fills.height) == ("interrupted", 2)
    again = finish([*project("Buys"), "--overwrite"])
    assert again.returncode == 0, again.stderr
    assert Results.load(tmp_path / "project" / "runs" / "small").fills.height == 3


@pytest.mark.parametrize("place", ["file/run", "/proc/nowhere/run"])
def test_an_output_that_cannot_be_written_is_refused_before_the_run(
    place: str, project: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    target = tmp_path / place
    done = finish([*project("Buys"), "--output", str(target)])
    assert done.returncode == 1
    assert f"{target} cannot be written" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "project" / "it_ran").exists(), "nothing was computed in vain"
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("strategy", "status", "told"),
    [("LosesItsFolder", "complete", ""), ("LosesAll", "failed", "ended with LookupError: no such luck")],
)
def test_an_output_that_goes_away_during_the_run_does_not_take_the_results_with_it(
    strategy: str, status: str, told: str, project: Callable[..., list[str]], tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = finish(project(strategy), env=os.environ | {"TMPDIR": str(temporary)})
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert told in done.stderr
    rescue = Path(done.stderr.split("they are in ")[1].strip())
    assert rescue.is_relative_to(temporary)
    results = Results.load(rescue)
    assert (results.status, results.fills.height) == (status, 3)


def test_a_report_that_meets_a_full_disk_does_not_take_the_results_with_it(
    project: Callable[..., list[str]], tmp_path: Path
) -> None:
    pytest.importorskip("ml4t.report")
    command = project("Buys", '[report]\npath = "/dev/full"\n')
    command.remove("--no-report")
    done = finish(command)
    assert done.returncode == 1, done.stdout
    assert "the report was not written" in done.stderr
    assert "Traceback" not in done.stderr
    assert Results.load(tmp_path / "project" / "runs" / "small").fills.height == 3


def test_a_full_disk_while_saving_is_told_with_both_places_that_were_tried(
    project: Callable[..., list[str]], tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = finish(
        project("Buys"),
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, 1_500)),
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "could not be kept in" in done.stderr
    assert "Traceback" not in done.stderr
    assert [*(tmp_path / "project" / "runs").iterdir(), *temporary.iterdir()] == [], "no halves are left"


# --------------------------------------------------------------------------- saving

FULL = """
import resource, sys
from ml4t.backtest import Results
from ml4t.core.errors import ResultsError

results = Results.load(sys.argv[1])
[results.table(name) for name in ("orders", "fills", "ledger")]
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, hard))
try:
    results.save(sys.argv[2], overwrite=True)
except ResultsError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(results.save(sys.argv[3]))
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_full_disk_while_saving_leaves_the_earlier_run_and_the_results_in_memory(tmp_path: Path) -> None:
    results = run(by_session(daily()))
    first = results.save(tmp_path / "first")
    results.save(tmp_path / "second")
    before = contents(tmp_path / "second")
    done = finish(
        [sys.executable, "-c", FULL, *(str(tmp_path / name) for name in ("first", "second", "third"))]
    )
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'second'} cannot be written: " in done.stdout
    assert "nothing was changed there" in done.stdout
    assert contents(tmp_path / "second") == before
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "third"}, "no halves are left"
    assert Results.load(tmp_path / "third").fills.equals(Results.load(first).fills)


@pytest.mark.parametrize("moment", ["while tables are written", "between the two renames"])
def test_ctrl_c_while_a_run_is_replaced_leaves_the_earlier_one(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run(by_session(daily()))
    folder = results.save(tmp_path / "run")
    before = contents(folder)
    rename = Path.rename

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def rename_once(path: Path, target: Path) -> Path:
        if path.name == "run" and path.parent != tmp_path:
            stop()
        return rename(path, target)

    with monkeypatch.context() as patch:
        if moment == "while tables are written":
            patch.setattr(storage, "_write_table", stop)
        else:
            patch.setattr(Path, "rename", rename_once)
        with pytest.raises(KeyboardInterrupt):
            results.save(folder, overwrite=True)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert results.save(folder, overwrite=True) == folder


def test_a_folder_in_which_others_keep_things_is_never_replaced(tmp_path: Path) -> None:
    results = run(by_session(daily()))
    folder = results.save(tmp_path / "run")
    (folder / "thesis.docx").write_text("years of work")
    with refused(ResultsError, str(folder), "thesis.docx", "choose another folder"):
        results.save(folder, overwrite=True)
    assert (folder / "thesis.docx").read_text() == "years of work"
