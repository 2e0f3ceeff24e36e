"""What installed plugins cost a process that does not use them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = 20
ROUNDS = 5
MOST_S = 0.1

# A plugin of usual size: hooks in a light module, its models in another one that needs a heavy library.
HOOKS = """
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.hookspecs import Check


@hookimpl
def ml4t_register_models():
    names = [(kind, f"Model{{n}}") for kind in ("fill", "slippage", "impact", "fee") for n in (1, 2)]
    return [ModelSpec(kind, name, "{module}_models:Model") for kind, name in names]


@hookimpl
def ml4t_register_commands(cli):
    import click

    @cli.command("{module}")
    def command():
        "Do nothing."


@hookimpl
def ml4t_doctor():
    return [Check(name="{module}", ok=True, detail="sound")]
"""
MODELS = """
import pathlib, sys

pathlib.Path({trace!r}).write_text("imported")
import pandas  # what nobody needs who does not use the model
"""
EMPTY_RUN = """
from ml4t.backtest import DataFeed, Strategy, datasets, run

feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
assert run(Strategy, feed).status == "complete"
"""
SHELL = "import sys; from ml4t.core.cli import main; sys.exit(main())"
COMMANDS = {"help": ["-c", SHELL, "--help"], "an empty run": ["-c", EMPTY_RUN]}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which 20 distributions are installed, each with a plugin of its own."""
    site = tmp_path_factory.mktemp("crowd")
    for number in range(PLUGINS):
        module = f"ml4t_crowd{number:02}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        name = module.replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ml4t]\n{module} = {module}\n")
        (site / f"{module}.py").write_text(HOOKS.format(module=module))
        (site / f"{module}_models.py").write_text(MODELS.format(trace=str(site / "trace")))
    return site


def seconds(arguments: list[str], site: Path | None) -> float:
    """Run a process and return the processor time it took, its own and the system's for it.

    The clock on the wall also counts how long the process waits for a processor that other tests use.
    """
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ML4T_")}
    if site is not None:
        environ["PYTHONPATH"] = str(site)
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], env=environ, capture_output=True, text=True, check=False
    )
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = (end.ru_utime + end.ru_stime) - (begin.ru_utime + begin.ru_stime)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    if site is not None and "--help" in arguments:
        assert done.stdout.count("Do nothing.") == PLUGINS, done.stdout
    return taken


@pytest.mark.parametrize("what", COMMANDS)
def test_twenty_plugins_cost_less_than_100_ms_and_import_nothing_that_is_not_used(
    what: str, crowd: Path
) -> None:
    arguments = COMMANDS[what]
    for site in (None, crowd):
        # Compiles what is imported, and fills the caches of the disk.
        seconds(arguments, site)
    # One after the other, so that a load of the machine falls on both; the best of each is what they cost.
    pairs = [(seconds(arguments, None), seconds(arguments, crowd)) for _ in range(ROUNDS)]
    without, with_them = (min(times) for times in zip(*pairs, strict=True))
    print(f"{what}: {without * 1e3:.0f} ms alone, {with_them * 1e3:.0f} ms with {PLUGINS} plugins")
    assert with_them - without < MOST_S
    assert not (crowd / "trace").exists(), "a model was imported that no run asked for"
