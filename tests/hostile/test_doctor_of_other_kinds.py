"""What `ml4t doctor` says of latency models, algorithms and readers, and of a file that names one."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from .inputs import COMMAND

HOOKS = """
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.hookspecs import ExecutorSpec, ReaderSpec


@hookimpl
def ml4t_register_models():
    return [ModelSpec("latency", "Wire", "ml4t_odd_parts:Wire")]


@hookimpl
def ml4t_register_executors():
    return [ExecutorSpec("Half", "ml4t_odd_parts:Half")]


@hookimpl
def ml4t_register_readers():
    return [ReaderSpec("odd", "ml4t_odd_parts:read")]
"""
PARTS = """
import attrs
from ml4t.backtest.executors import ChildOrder
from ml4t.core.models import LatencyOut


@attrs.frozen
class Wire:
    delay: float = 1e6

    def evaluate(self, ctx):
        return LatencyOut(self.delay)


@attrs.frozen
class Half:
    def evaluate(self, ctx):
        return [ChildOrder(quantity=ctx.to_send)] if ctx.to_send > 0 else []


def read(uri):
    raise OSError(uri)
"""
CASES = {
    "sound": ("", "", ()),
    "a latency model that is not there": ("class Wire:", "class Wires:", ("latency", "'odd:Wire'", "Wire")),
    "a latency that is none": ("LatencyOut(self.delay)", "LatencyOut(-1.0)", ("model Wire", "delay_ns -1")),
    "an algorithm that is not there": ("class Half:", "class Halves:", ("executor", "'odd:Half'", "Half")),
    "an algorithm that raises": (
        "return [Child",
        "raise LookupError\n        return [Child",
        ("executor Half", "LookupError"),
    ),
    "a reader that is not there": ("def read(", "def reads(", ("reader 'odd:odd'", "read")),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder in which the distribution `ml4t-odd` 1.2 is installed."""
    info = tmp_path / "site" / "ml4t_odd-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ml4t-odd\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[ml4t]\nodd = ml4t_odd_plugin\n")
    (tmp_path / "site" / "ml4t_odd_plugin.py").write_text(HOOKS)
    (tmp_path / "site" / "ml4t_odd_parts.py").write_text(PARTS)
    return tmp_path / "site"


def doctor(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ML4T_") and key != "CI"}
    environ["PYTHONPATH"] = str(site)
    return subprocess.run(
        [*COMMAND, "doctor", *arguments], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("what", CASES)
def test_doctor_tries_every_kind_that_a_run_asks(what: str, site: Path) -> None:
    old, new, parts = CASES[what]
    assert old in PARTS
    (site / "ml4t_odd_parts.py").write_text(PARTS.replace(old, new))
    done = doctor(site)
    assert done.returncode == (1 if parts else 0), done.stdout
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert bool(wrong) is bool(parts)
    for part in parts:
        assert any(part in line for line in wrong), wrong
    if parts:
        assert any("ml4t-odd" in line for line in wrong)
    else:
        assert "plugin 'odd' of ml4t-odd 1.2: 2 tried" in done.stdout


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('{ type = "Wire", delayy = 1.0 }', "broker.latency.model.delayy: unknown key"),
        ('{ type = "Wires" }', "broker.latency.model.type"),
        ('{ type = "Wire" }', None),
    ],
)
def test_doctor_reads_the_latency_models_of_a_configuration(table: str, says: str | None, site: Path) -> None:
    path = site / "run.toml"
    path.write_text(
        textwrap.dedent(f"""
        [backtest]
        name = "x"

        [broker.latency]
        model = {table}
    """)
    )
    done = doctor(site, str(path))
    assert done.returncode == (0 if says is None else 1), done.stdout
    if says is not None:
        assert says in done.stdout
