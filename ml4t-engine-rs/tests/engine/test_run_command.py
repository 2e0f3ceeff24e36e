"""`ml4t run`: a configuration in TOML or YAML, its results, and what the command says when it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML as YAMLFile

from ml4t.backtest import Results
from ml4t.backtest.configured import engine_of
from ml4t.core.cli import main
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError
from ml4t.core.schemas import TABLES

Run = Callable[..., tuple[int, str, str]]

STRATEGY = """
from pathlib import Path
from ml4t.backtest import Strategy

class Buys(Strategy):
    def __init__(self, quantity=1):
        self.quantity = quantity

    def on_data(self, timestamp, data, context, broker):
        if not broker.open_orders and not broker.positions:
            broker.buy("A", self.quantity)

class Breaks(Buys):
    def on_data(self, timestamp, data, context, broker):
        super().on_data(timestamp, data, context, broker)
        if timestamp.day == 4:
            raise ValueError("no such luck")

class Leaves(Buys):
    def on_start(self):
        Path(__file__).with_name("it_ran").touch()

class Misspells(Buys):
    def on_data(self, timestamp, data, context, broker):
        broker.buy("AA", 1)
"""

REFUSING = """
import attrs
from ml4t.core.errors import Finding
from ml4t.core.structuring import Checked

class Picky(Buys):
    def __init__(self, quantity=1, band=0.1):
        if band < 0:
            raise ValueError("the band is below zero")
        if quantity > 100:
            raise ValueError("too much")
        if quantity > 10:
            raise RuntimeError
        super().__init__(quantity)

def is_whole(instance, attribute, value):
    if value != int(value):
        raise ValueError("expected whole shares")

class Table(Checked):
    @classmethod
    def cross_check(cls, values):
        if values["band"] < 0.0:
            yield Finding(path="band", message="expected 0 or more")

@attrs.define(slots=False)
class Strict(Buys):
    quantity: float = attrs.field(default=1.0, validator=is_whole)
    band: float = attrs.field(default=0.1, validator=attrs.validators.ge(0.0), kw_only=True)
    kind: str = attrs.field(default="x", validator=attrs.validators.in_(("x", "y")), kw_only=True)
    _hidden: float = attrs.field(default=1.0, validator=attrs.validators.instance_of(float), kw_only=True)

@attrs.define(slots=False)
class Findings(Buys, Table):
    quantity: float = 1.0
    band: float = 0.1
"""

TOML = """
[backtest]
name = "small"
seed = 7
nav_calendar = "24/7"
start_date = 2024-01-01
end_date = "2024-01-05"

[broker]
initial_cash = 1_000
commission_model = { type = "PerShare", fee = 0.5 }

[broker.policies]
limit_touch = "through"

[[data_feeds]]
name = "prices"
type = "ParquetFeed"
path = "data/prices.parquet"
stamp = "session"
calendar = "24/7"

[[strategies]]
name = "buys"
type = "strategies.py:Buys"
params = { quantity = 3 }
"""

YAML = """
# The same run, written otherwise.
strategies:
  - {type: "strategies.py:Buys", name: buys, params: {quantity: 3}}
data_feeds:
  - name: prices
    type: ParquetFeed
    path: data/prices.parquet
    calendar: 24/7
    stamp: session
broker:
  commission_model: {fee: 0.50, type: PerShare}
  initial_cash: "1000.00"
  policies:
    limit_touch: through
backtest:
  end_date: 2024-01-05
  start_date: "2024-01-01"
  nav_calendar: "24/7"
  name: small
  seed: 7
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "strategies.py").write_text(STRATEGY)
    (folder / "run.toml").write_text(TOML)
    (folder / "run.yaml").write_text(YAML)
    days = [f"2024-01-0{day}" for day in range(1, 7)]
    rows = [
        {"symbol": "A", "session": day, "volume": 100.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0 + n)
        for n, day in enumerate(days)
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("session").str.to_date())
    frame.write_parquet(folder / "data" / "prices.parquet")
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return go


def edited(project: Path, old: str, new: str, *, name: str = "run.toml") -> Path:
    path = project / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


# -- results ---------------------------------------------------------------------------------------------


def test_a_run_writes_its_results_beside_the_configuration(command: Run, project: Path) -> None:
    status, out, err = command("run", project / "run.toml")
    assert (status, err) == (0, "")
    folder = project / "runs" / "small"
    assert {path.name for path in folder.glob("*.parquet")} == {
        f"{'trades' if name == 'round_trips' else name}.parquet" for name in TABLES
    }
    assert (folder / "run_manifest.json").is_file()
    assert (folder / "run_info.json").is_file()
    results = Results.load(folder)
    assert (results.status, results.name) == ("complete", "small")
    assert results.fills.select("quantity", "price", "fee").rows() == [(3.0, 11.0, 1.5)]
    # The period of the configuration, not that of the file.
    assert results.portfolio_history.filter(is_nav=True).height == 5
    assert str(folder) in out
    assert "small: complete" in out
    assert "Final equity" in out


def test_the_summary_shows_the_numbers_of_the_results(command: Run, project: Path) -> None:
    _, out, _ = command("run", project / "run.toml")
    results = Results.load(project / "runs" / "small")
    equity = results.portfolio_history["equity"][-1]
    assert f"{equity:,.2f}" in out
    assert f"{results.metrics['total_return']:.2%}" in out


def test_toml_and_yaml_are_one_configuration(command: Run, project: Path) -> None:
    for name in ("run.toml", "run.yaml"):
        status, _, err = command(
            "run", project / name, "--output", project / name.replace(".", "_"), "--no-report"
        )
        assert (status, err) == (0, "")
    manifests = [
        json.loads((project / f"run_{form}" / "run_manifest.json").read_text()) for form in ("toml", "yaml")
    ]
    assert manifests[0]["config_sha256"] == manifests[1]["config_sha256"]
    # Nothing else differs either: not the tables, and not what decided them.
    assert manifests[0] == manifests[1]
    for name in TABLES:
        one, other = (Results.load(project / f"run_{form}").table(name) for form in ("toml", "yaml"))
        assert one.equals(other), name


def test_the_manifest_names_inputs_relative_to_the_configuration(command: Run, project: Path) -> None:
    command("run", project / "run.toml", "--no-report")
    manifest = json.loads((project / "runs" / "small" / "run_manifest.json").read_text())
    names = {entry["name"] for entry in manifest["inputs"]}
    assert "data/prices.parquet" in names
    assert str(project) not in json.dumps(manifest)
    assert manifest["seed"] == 7
    assert manifest["strategy"]["params"] == {"quantity": 3}


def test_a_copy_of_the_folder_gives_the_same_bytes(command: Run, project: Path, tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / "twin"
    shutil.copytree(project, twin)
    for folder in (project, twin):
        assert command("run", folder / "run.toml", "--no-report")[0] == 0
    one, other = project / "runs" / "small", twin / "runs" / "small"
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    for name in names - {"run_info.json"}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_the_output_folder_can_be_named(command: Run, project: Path, tmp_path: Path) -> None:
    status, out, _ = command("run", project / "run.toml", "--output", tmp_path / "there", "--no-report")
    assert status == 0
    assert Results.load(tmp_path / "there").status == "complete"
    assert not (project / "runs").exists()
    assert str(tmp_path / "there") in out


def test_quiet_prints_where_the_results_are_and_nothing_else(command: Run, project: Path) -> None:
    status, out, err = command("run", project / "run.toml", "--quiet", "--no-report")
    assert (status, err) == (0, "")
    assert out.strip() == str(project / "runs" / "small")


def test_a_report_is_written_unless_told_otherwise(command: Run, project: Path) -> None:
    status, out, _ = command("run", project / "run.toml")
    page = project / "runs" / "small" / "report.html"
    assert status == 0
    assert page.is_file()
    assert str(page) in out
    status, out, _ = command("run", project / "run.toml", "--overwrite", "--no-report")
    assert status == 0
    assert not page.exists()
    assert "Report" not in out


def test_the_command_works_from_any_folder_and_as_a_script(project: Path, tmp_path: Path) -> None:
    script = [sys.executable, "-c", "import sys; from ml4t.core.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*script, "run", str(project / "run.toml"), "--no-report"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "runs" / "small" / "fills.parquet").is_file()


# -- refusals --------------------------------------------------------------------------------------------


def test_results_are_not_overwritten_unless_told_to(command: Run, project: Path) -> None:
    assert command("run", project / "run.toml", "--no-report")[0] == 0
    folder = project / "runs" / "small"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    edited(project, "quantity = 3", "quantity = 5")
    status, _, err = command("run", project / "run.toml", "--no-report")
    assert status == 1
    assert f"{folder} already holds" in err
    assert "--overwrite" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert command("run", project / "run.toml", "--no-report", "--overwrite")[0] == 0
    assert Results.load(folder).fills["quantity"].to_list() == [5.0]


def test_a_folder_that_holds_something_else_is_refused_before_the_run(command: Run, project: Path) -> None:
    folder = project / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    path = edited(project, "strategies.py:Buys", "strategies.py:Leaves")
    for options in ((), ("--overwrite",)):
        status, _, err = command("run", path, "--no-report", *options)
        assert status == 1
        assert str(folder) in err
    assert "thesis.txt" in err
    assert [each.name for each in folder.iterdir()] == ["thesis.txt"]
    # Hours of computing must not end in a refusal that could be known before.
    assert not (project / "it_ran").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("initial_cash = 1_000", "inital_cash = 1_000", r"broker.inital_cash: unknown key"),
        ("initial_cash = 1_000", "initial_cash = 0", "expected a number above zero, found 0"),
        ('type = "PerShare"', 'type = "PerShar"', "did you mean 'PerShare'?"),
        ("fee = 0.5", "fees = 0.5", "commission_model.fees: unknown key"),
        ("fee = 0.5", "fee = -1", "expected a number of 0 or more, found -1.0"),
        ('limit_touch = "through"', 'limit_touch = "trough"', "did you mean 'through'?"),
        ('stamp = "session"', "", "data_feeds[0].stamp: required, but missing"),
        ('path = "data/prices.parquet"', 'path = "data/price.parquet"', "price.parquet"),
        ("strategies.py:Buys", "strategies.py:Byus", "did you mean 'Buys'?"),
        ("strategies.py:Buys", "strategy.py:Buys", "strategy.py does not exist"),
        ("strategies.py:Buys", "Buys", "expected 'package.module:Class' or 'file.py:Class'"),
        ('end_date = "2024-01-05"', 'end_date = "2023-01-05"', "is before start_date"),
        ('nav_calendar = "24/7"', 'nav_calendar = "NYSE2"', "calendar 'NYSE2' is not known"),
        ("[[strategies]]", "[[strategy]]", "did you mean 'strategies'?"),
        ('name = "small"', 'name = "small', "run.toml"),
    ],
)
def test_a_mistake_in_the_configuration_ends_with_1_and_a_sentence(
    command: Run, project: Path, old: str, new: str, message: str
) -> None:
    status, out, err = command("run", edited(project, old, new))
    assert status == 1
    assert message in err
    assert "Traceback" not in err + out
    assert not (project / "runs").exists()


def test_all_mistakes_are_told_at_once(command: Run, project: Path) -> None:
    edited(project, "initial_cash = 1_000", "inital_cash = 1_000")
    edited(project, 'stamp = "session"', 'stamp = "sesion"')
    _, _, err = command("run", edited(project, "seed = 7", "seed = -7"))
    assert "3 problems" in err
    for part in ("inital_cash", "sesion", "seed"):
        assert part in err


def test_names_are_told_with_all_other_mistakes_before_data_are_read(command: Run, project: Path) -> None:
    (project / "data" / "prices.parquet").unlink()
    edited(project, "seed = 7", "seed = -7\nbase_currency = 'UDS'")
    edited(project, 'nav_calendar = "24/7"', 'nav_calendar = "XNYX"')
    path = edited(project, "\n\n[[strat", '\ntimezone = "America/NewYork"\nsymbols = 7\n\n[[strat')
    _, _, err = command("run", path)
    assert "5 problems" in err
    for part in (
        "backtest.nav_calendar: calendar 'XNYX' is not known",
        "did you mean 'XNYS'?",
        "data_feeds[0].timezone: expected an IANA zone",
        "found 'America/NewYork'; did you mean 'America/New_York'?",
        "backtest.base_currency: nothing settles in 'UDS', and there are no [[fx_rates]] to convert by; "
        "allowed: USD",
    ):
        assert part in err


LATE = [
    (
        '[broker.latency]\nsubmit = { quantiles = ["2s", "1s"] }',
        "submit.quantiles[1]: expected a duration of quantiles[0] (2s) or more, found 1s (line {})",
        2,
    ),
    (
        '[broker.latency]\nsubmit = { quantiles = "1s" }',
        "submit.quantiles: expected a list, found '1s' (line {})",
        2,
    ),
    (
        '[broker.latency]\nsubmitt = "1s"',
        "submitt: unknown key; allowed: submit, modify, cancel, model, venues",
        2,
    ),
    (
        '[broker.latency.venues.XNYX]\nsubmit = "1s"',
        "broker.latency.venues.XNYX: no instrument of the run has this venue; allowed: 24/7 (line {})",
        1,
    ),
    ('[broker.latency]\nvenues.XNYX = { submit = "1s" }', "has this venue; allowed: 24/7 (line {})", 2),
    ('[broker]\nprofile = "zipln"', "broker.profile: unknown profile 'zipln'; known: ", 2),
    (
        '[broker]\nfill_model = { type = "Default", volume_limit = 0.1, average_days = 1_000_000 }',
        "broker.fill_model.average_days: expected a whole number of sessions above 0 and below a million, "
        "found 1000000 (line {})",
        2,
    ),
]


@pytest.mark.parametrize(
    ("text", "message", "line"), LATE, ids=[text.replace("\n", " ") for text, *_ in LATE]
)
def test_what_is_found_later_is_told_with_the_file_and_its_line(
    command: Run, project: Path, text: str, message: str, line: int
) -> None:
    path = project / "run.toml"
    before, _, rest = path.read_text().partition("[broker]\n")
    after = rest.partition("\n\n[[data_feeds]]")[2]
    path.write_text(f"{before}{text}\n\n[[data_feeds]]{after}")
    line += before.count("\n")
    status, _, err = command("run", path, "--no-report")
    assert status == 1
    assert err.startswith(f"Error: {path}: broker.")
    assert message.format(line) in err
    assert f"(line {line})" in err


def test_latencies_are_told_with_all_other_mistakes(command: Run, project: Path) -> None:
    edited(project, "seed = 7", "seed = -7")
    path = edited(project, "[broker.policies]", '[broker.latency]\ncancel = "-1s"\n\n[broker.policies]')
    _, _, err = command("run", path)
    assert "2 problems" in err
    assert "broker.latency.cancel: expected a duration of zero or more, found -1s (line 14)" in err
    assert "backtest.seed: " in err


def test_a_model_is_located_when_the_file_was_read_without_plugins(project: Path) -> None:
    path = edited(project, "fee = 0.5", "fees = 0.5")
    with pytest.raises(ConfigError) as refused:
        engine_of(load_config(path))
    assert {each.path: each.line for each in refused.value.findings} == {
        "broker.commission_model.fees": 11,
        "broker.commission_model.fee": None,
    }
    assert refused.value.source == str(path)


def test_a_benchmark_without_a_price_is_told_with_its_line(command: Run, project: Path) -> None:
    frame = pl.read_parquet(project / "data" / "prices.parquet")
    late = frame.filter(pl.col("session") > pl.col("session").min()).with_columns(symbol=pl.lit("B"))
    pl.concat([frame, late]).write_parquet(project / "data" / "prices.parquet")
    path = edited(project, "[[strategies]]", '[report]\nbenchmark = "B"\n\n[[strategies]]')
    status, _, err = command("run", path, "--no-report")
    assert status == 1
    line = path.read_text().splitlines().index('benchmark = "B"') + 1
    assert f"{path}: report.benchmark: B has no price before 2024-01-02" in err
    assert err.rstrip().endswith(f"(line {line})")


@pytest.mark.parametrize(
    ("section", "message"),
    [("[[strategies]]", "expected one strategy, found 0"), ("[[data_feeds]]", "data_feeds")],
)
def test_a_run_needs_a_feed_and_a_strategy(command: Run, project: Path, section: str, message: str) -> None:
    path = project / "run.toml"
    before, _, after = path.read_text().partition(section)
    rest = after.partition("\n[[")[2]
    path.write_text(before + (f"[[{rest}" if rest else ""))
    status, _, err = command("run", path)
    assert status == 1
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("nowhere.toml",), "does not exist"),
        (("run.toml", "--outptu", "x"), "No such option"),
        (("run.toml", "more"), "unexpected extra argument"),
    ],
)
def test_a_wrong_call_ends_with_2(
    command: Run, project: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    status, _, err = command("run", *arguments)
    assert status == 2
    assert message in err


def test_a_file_of_another_kind_is_refused(command: Run, project: Path) -> None:
    (project / "run.json").write_text("{}")
    status, _, err = command("run", project / "run.json")
    assert status == 1
    assert "expected a .toml, .yaml or .yml file, found '.json'" in err


# -- runs that do not reach their end --------------------------------------------------------------------


def test_an_exception_of_the_strategy_saves_what_there_is_and_shows_its_traceback(project: Path) -> None:
    path = edited(project, "strategies.py:Buys", "strategies.py:Breaks")
    script = [sys.executable, "-c", "import sys; from ml4t.core.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*script, "run", str(path), "--no-report"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ValueError: no such luck" in done.stderr
    assert "raised in on_data, at 2024-01-04T00:00:00Z" in done.stderr
    assert 'raise ValueError("no such luck")' in done.stderr
    # Its own lines, and none of the engine's or of the command line's.
    assert [line for line in done.stderr.splitlines() if line.startswith("  File ")] == [
        f'  File "{project / "strategies.py"}", line 17, in on_data'
    ]
    assert done.stderr.endswith(f"the results up to here (failed) are in {project / 'runs' / 'small'}\n")
    assert "partial_results" not in done.stderr
    results = Results.load(project / "runs" / "small")
    assert (results.status, results.fills.height) == ("failed", 1)
    assert "small: failed" in done.stdout


def test_an_error_of_the_engine_in_a_strategy_is_told_with_its_notes(command: Run, project: Path) -> None:
    path = edited(project, "strategies.py:Buys", "strategies.py:Misspells")
    status, _, err = command("run", path, "--no-report")
    assert status == 1
    assert "UnknownNameError: unknown symbol 'AA'; known: A" in err
    assert 'broker.buy("AA", 1)' in err
    assert "raised in on_data, at 2024-01-02T00:00:00Z" in err
    assert Results.load(project / "runs" / "small").status == "failed"


def test_everything_is_shown_when_asked_for(
    command: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML4T_TRACEBACK", "1")
    path = edited(project, "strategies.py:Buys", "strategies.py:Breaks")
    with pytest.raises(ValueError, match="no such luck"):
        command("run", path, "--no-report")


def test_an_interrupted_run_ends_with_130_and_keeps_what_there_is(command: Run, project: Path) -> None:
    text = STRATEGY.replace('raise ValueError("no such luck")', "raise KeyboardInterrupt")
    (project / "strategies.py").write_text(text)
    path = edited(project, "strategies.py:Buys", "strategies.py:Breaks")
    status, out, _ = command("run", path, "--no-report")
    assert status == 130
    assert "small: interrupted" in out
    assert Results.load(project / "runs" / "small").status == "interrupted"


def test_an_interrupted_run_that_is_quiet_says_where_the_results_are(command: Run, project: Path) -> None:
    text = STRATEGY.replace('raise ValueError("no such luck")', "raise KeyboardInterrupt")
    (project / "strategies.py").write_text(text)
    path = edited(project, "strategies.py:Buys", "strategies.py:Breaks")
    status, out, _ = command("run", path, "--no-report", "--quiet")
    assert (status, out.strip()) == (130, str(project / "runs" / "small"))


def test_a_page_of_net_asset_values_alone_is_refused_before_the_run(command: Run, project: Path) -> None:
    path = edited(project, 'name = "small"', 'name = "small"\nrecord = "nav"')
    path.write_text(path.read_text() + '\n[report]\npath = "page.html"\n')
    status, _, err = command("run", path)
    assert status == 1
    assert "a page needs all tables" in err
    assert not (project / "runs").exists()
    assert command("run", path, "--no-report")[0] == 0


def test_parameters_that_the_strategy_does_not_take_are_told(command: Run, project: Path) -> None:
    path = edited(project, "{ quantity = 3 }", "{ quantiy = 3 }")
    status, _, err = command("run", path, "--no-report")
    assert status == 1
    assert "quantiy" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        (
            "Strict",
            "band = -1",
            "params.band: {} refuses -1: ValueError: 'band' must be >= 0.0: -1 (line 26)",
        ),
        (
            "Strict",
            'kind = "z"',
            "params.kind: {} refuses 'z': ValueError: 'kind' must be in ('x', 'y') (got 'z') (line 26)",
        ),
        (
            "Strict",
            "hidden = 1",
            "params.hidden: {} refuses 1: TypeError: '_hidden' must be <class 'float'> (got 1 that is a "
            "<class 'int'>). (line 26)",
        ),
        # The sentence has no name, but attrs was about to check that field.
        (
            "Strict",
            "quantity = 1.5, band = 0.2",
            "params.quantity: {} refuses 1.5: ValueError: expected whole shares (line 26)",
        ),
        (
            "Picky",
            "quantity = 3, band = -1",
            "params.band: {} refuses -1: ValueError: the band is below zero (line 26)",
        ),
        ("Findings", "band = -1", "params.band: expected 0 or more (line 26)"),
        # Nothing tells which: the section, and where it was raised.
        (
            "Picky",
            "quantity = 101, band = 0.2",
            "{} cannot be made with quantity = 101, band = 0.2: ValueError: too much, raised at "
            "strategies.py, line {line} (line 23)",
        ),
        (
            "Picky",
            "quantity = 11",
            "{} cannot be made with quantity = 11: RuntimeError, raised at strategies.py, "
            "line {line} (line 23)",
        ),
    ],
)
def test_a_parameter_that_the_constructor_refuses_is_told_in_one_line_with_file_and_line(
    command: Run, project: Path, name: str, params: str, message: str
) -> None:
    (project / "strategies.py").write_text(STRATEGY + REFUSING)
    edited(project, "strategies.py:Buys", f"strategies.py:{name}")
    path = edited(project, "{ quantity = 3 }", f"{{ {params} }}")
    status, _, err = command("run", path, "--no-report")
    lines = (project / "strategies.py").read_text().splitlines()
    raised = "too much" if "too much" in message else "raise RuntimeError"
    line = next(n for n, text in enumerate(lines, start=1) if raised in text)
    joint = "." if message.startswith("params") else ": "
    told = message.replace("{line}", str(line)).replace("{}", f"strategies.py:{name}")
    assert err == f"Error: {path}: strategies[0]{joint}{told}\n"
    assert status == 1
    assert not (project / "runs").exists()


def test_what_a_constructor_raises_keeps_its_type_in_python_and_is_shown_whole_when_asked_for(
    command: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "strategies.py").write_text(STRATEGY + REFUSING)
    edited(project, "strategies.py:Buys", "strategies.py:Strict")
    path = edited(project, "{ quantity = 3 }", "{ band = -1 }")
    with pytest.raises(ValueError, match="'band' must be") as raised:
        engine_of(load_config(path)).run()
    assert type(raised.value) is ValueError
    assert raised.value.__notes__ == ["raised while making strategy Strict"]
    monkeypatch.setenv("ML4T_TRACEBACK", "1")
    with pytest.raises(ValueError, match="'band' must be") as raised:
        command("run", path, "--no-report")
    assert type(raised.value) is ValueError


def test_of_two_runs_into_one_folder_at_once_one_is_kept_there_and_one_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    waits = """
class Waits(Buys):
    def on_stop(self):
        import os, time
        # So much to write that both are at it for a while.
        for n in range(200_000):
            self.log(str(n * 7919 % 1_000_003), level="info")
        here = Path(__file__).parent
        (here / f"ended.{os.getpid()}").touch()
        while len(list(here.glob("ended.*"))) < 2:
            time.sleep(0.001)
"""
    (project / "strategies.py").write_text(STRATEGY + waits)
    path = edited(project, "strategies.py:Buys", "strategies.py:Waits")
    script = [sys.executable, "-c", "import sys; from ml4t.core.cli import main; sys.exit(main())"]
    for turn in range(3):
        folder, spare = tmp_path / f"out-{turn}", tmp_path / f"spare-{turn}"
        spare.mkdir()
        both = [
            subprocess.Popen(
                [*script, "run", str(path), "--no-report", "--quiet", "-o", str(folder)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "TMPDIR": str(spare), "TEMP": str(spare), "TMP": str(spare)},
            )
            for _ in range(2)
        ]
        told = [each.communicate(timeout=60) for each in both]
        assert sorted(each.returncode for each in both) == [0, 1], told
        loser = next(n for n, each in enumerate(both) if each.returncode == 1)
        (kept,) = spare.glob("ml4t-*/small")
        assert told[1 - loser] == (f"{folder}\n", "")
        assert told[loser][1] == (
            f"Error: {folder} already holds a run; choose another folder, or allow a run to be replaced "
            f"(overwrite=True, --overwrite)\nThe results (complete) were kept: they are in {kept}\n"
        )
        for found in (folder, kept):
            assert Results.load(found).fills["quantity"].to_list() == [3.0]
        for mark in project.glob("ended.*"):
            mark.unlink()


def test_the_help_names_every_option(command: Run) -> None:
    status, out, _ = command("run", "--help")
    assert status == 0
    for option in ("--output", "--overwrite", "--no-report", "--quiet"):
        assert option in out


def test_a_csv_feed_signals_and_actions_come_from_files_too(command: Run, project: Path) -> None:
    frame = pl.read_parquet(project / "data" / "prices.parquet")
    frame.write_csv(project / "data" / "prices.csv")
    pl.DataFrame(
        {"symbol": ["A"], "ex_date": ["2024-01-03"], "kind": ["cash_dividend"], "amount": ["1"]}
    ).write_csv(project / "data" / "actions.csv")
    signals = {"ts_event": ["2024-01-02T00:00:00Z"], "asset_id": ["A"], "score": [0.5]}
    pl.DataFrame(signals).write_csv(project / "data" / "signals.csv")
    path = edited(
        project,
        'type = "ParquetFeed"\npath = "data/prices.parquet"',
        'type = "CsvFeed"\npath = "data/prices.csv"',
    )
    path.write_text(
        path.read_text()
        + """
[[corporate_actions]]
name = "actions"
path = "data/actions.csv"

[[signal_sources]]
name = "scores"
type = "CsvSignalSource"
path = "data/signals.csv"
model_id = "m"
"""
    )
    status, _, err = command("run", path, "--no-report")
    assert (status, err) == (0, "")
    results = Results.load(project / "runs" / "small")
    assert results.portfolio_history["dividends"][-1] == 3.0
    inputs = {entry["name"] for entry in results.manifest["inputs"]}
    assert {"data/prices.csv", "data/actions.csv", "data/signals.csv"} <= inputs


def test_the_configuration_in_the_manifest_is_complete_and_can_be_run_again(
    command: Run, project: Path
) -> None:
    command("run", project / "run.toml", "--no-report")
    first = Results.load(project / "runs" / "small")
    again = project / "again.yaml"
    with again.open("w") as file:
        YAMLFile(typ="safe").dump(dict(first.manifest["config"]), file)
    status, _, err = command("run", again, "--no-report", "--output", project / "second")
    assert (status, err) == (0, "")
    assert Results.load(project / "second").manifest["config_sha256"] == first.manifest["config_sha256"]
