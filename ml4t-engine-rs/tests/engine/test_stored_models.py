"""Configurations that were stored: models of an older schema, and the manifest that can be run again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import polars as pl
import pytest
from ruamel.yaml import YAML

from ml4t.backtest import Results
from ml4t.core.cli import main
from ml4t.engine.manifest import canonical_json

Run = Callable[..., tuple[int, str, str]]

PLUGIN = """
import attrs
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.models import SlippageOut

@attrs.frozen
class Share:
    fraction: float = 0.0

    def evaluate(self, ctx):
        return SlippageOut(self.fraction * ctx.reference_price)

@hookimpl
def ml4t_register_models():
    return [ModelSpec("slippage", "Share", "ml4t_acme_plugin:Share", schema_version=2)]
"""
MIGRATES = """
@hookimpl
def ml4t_migrate_model(params, from_version):
    return {"fraction": params["bps"] / 10_000}
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
slippage_model = {{ type = "Share", {params} }}

[[data_feeds]]
name = "prices"
type = "ParquetFeed"
path = "prices.parquet"
stamp = "session"
calendar = "24/7"

[[strategies]]
name = "buys"
type = "strategies.py:Buys"
"""
OLD, NEW = "bps = 25.0, schema_version = 1", "fraction = 0.0025"


@attrs.frozen
class Project:
    """A folder with prices and a strategy, and the plugin `acme` of ml4t-acme 1.2 beside it."""

    folder: Path

    def install(self, source: str) -> None:
        (self.folder / "site" / "ml4t_acme_plugin.py").write_text(source)
        sys.modules.pop("ml4t_acme_plugin", None)

    def write(self, name: str, params: str) -> Path:
        path = self.folder / name
        path.write_text(TOML.format(params=params))
        return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    info = tmp_path / "site" / "ml4t_acme-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ml4t-acme\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[ml4t]\nacme = ml4t_acme_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    # A source that is written twice within a second would be taken from the cache.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "strategies.py").write_text(STRATEGY)
    days = [f"2024-01-0{day}" for day in range(1, 7)]
    rows = [
        {"symbol": "A", "session": day, "volume": 100.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0 + n)
        for n, day in enumerate(days)
    ]
    pl.DataFrame(rows).with_columns(pl.col("session").str.to_date()).write_parquet(
        tmp_path / "prices.parquet"
    )
    yield Project(tmp_path)
    sys.modules.pop("ml4t_acme_plugin", None)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], project: Project) -> Run:
    def go(path: Path, name: str) -> tuple[int, str, str]:
        status = main(["run", str(path), "--no-report", "--output", str(project.folder / name)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return go


def results(project: Project, name: str) -> Results:
    return Results.load(project.folder / name)


def test_an_older_table_gives_what_the_present_one_gives_and_the_manifest_says_so(
    command: Run, project: Project
) -> None:
    project.install(PLUGIN + MIGRATES)
    status, out, _ = command(project.write("old.toml", OLD), "old")
    assert status == 0
    note = "slippage model acme:Share: its parameters of schema 1 were migrated to schema 2 by plugin acme"
    assert f"Warning: {note}" in out
    assert command(project.write("new.toml", NEW), "new")[0] == 0
    old, new = results(project, "old"), results(project, "new")
    # Bought at the open of the second day, 11, which costs a quarter of a percent of it.
    assert old.fills["slippage"].to_list() == [pytest.approx(0.0275)]
    assert old.fills.equals(new.fills)
    assert old.portfolio_history.equals(new.portfolio_history)
    assert old.manifest["config"] == new.manifest["config"]
    assert note in old.manifest["warnings"]
    assert note not in new.manifest["warnings"]


def test_the_stored_configuration_has_the_version_of_every_model_and_gives_the_same_bytes(
    command: Run, project: Project
) -> None:
    project.install(PLUGIN)
    assert command(project.write("new.toml", NEW), "first")[0] == 0
    stored = results(project, "first").manifest["config"]
    models = {key: stored["broker"][key] for key in ("fill_model", "slippage_model", "commission_model")}
    assert models == {
        "fill_model": {"type": "Default", "schema_version": 1},
        "slippage_model": {"type": "Share", "schema_version": 2, "fraction": 0.0025},
        "commission_model": {"type": "NoFee", "schema_version": 1},
    }
    assert stored["broker"]["impact_model"] is None
    again = project.folder / "again.yaml"
    with again.open("w") as file:
        YAML(typ="safe").dump(dict(stored), file)
    assert command(again, "second")[0] == 0
    first, second = (results(project, name).manifest for name in ("first", "second"))
    assert canonical_json(second) == canonical_json(first)


@pytest.mark.parametrize(
    ("hook", "params", "why"),
    [
        ("", OLD, "of schema 1: the plugin migrates none; write those of schema 2"),
        (MIGRATES.replace("bps", "pbs"), OLD, "of schema 1: ml4t_migrate_model failed, KeyError: 'pbs'"),
        (
            MIGRATES,
            "fraction = 0.1, schema_version = 3",
            "of schema 3: they were written by a newer ml4t-acme",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_all_other_faults(
    command: Run, project: Project, hook: str, params: str, why: str
) -> None:
    project.install(PLUGIN + hook)
    path = project.write("run.toml", params)
    path.write_text(path.read_text().replace("initial_cash = 1_000", "initial_cash = -1"))
    status, _, err = command(path, "none")
    assert status == 1
    assert "run.toml: 2 problems" in err
    assert "broker.initial_cash: expected a number above zero" in err
    who = "slippage 'acme:Share' of plugin 'acme', ml4t-acme 1.2, has schema 2, and these parameters are "
    assert f"broker.slippage_model.schema_version: {who}{why}" in err
    assert not (project.folder / "none").exists()


def test_a_configuration_read_without_plugins_is_refused_at_the_same_place(project: Project) -> None:
    from ml4t.backtest.configured import engine_of
    from ml4t.core.config import load_config
    from ml4t.core.errors import ConfigError

    project.install(PLUGIN)
    config = load_config(project.write("run.toml", OLD))
    with pytest.raises(ConfigError, match=r"broker\.slippage_model\.schema_version: slippage 'acme:Share'"):
        engine_of(config)
