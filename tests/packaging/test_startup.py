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
MODULES = "modules: "
EMPTY_RUN = f"""
import sys

from ml4t.backtest import DataFeed, Strategy, datasets, run

feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
assert run(Strategy, feed).status == "complete"
print("{MODULES}", *sys.modules)
"""
HELP = f"""
import sys

from ml4t.core.cli import main

sys.argv = ["ml4t", "--help"]
code = main()
print("{MODULES}", *sys.modules)
sys.exit(code)
"""
COMMANDS = {"help": ["-c", HELP], "an empty run": ["-c", EMPTY_RUN]}


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


def started(arguments: list[str], site: Path | None) -> tuple[float, set[str]]:
    """Run a process; return the processor time it took, its own and the system's, and what it imported.

    The clock on the wall also counts how long the process waits for a processor that other work uses.
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
    if site is not None and "--help" in arguments[-1]:
        assert done.stdout.count("Do nothing.") == PLUGINS, done.stdout
    return taken, set(done.stdout.rpartition(MODULES)[2].split())


@pytest.mark.parametrize("what", COMMANDS)
def test_plugins_that_are_not_used_import_their_hooks_and_nothing_else(what: str, crowd: Path) -> None:
    _, alone = started(COMMANDS[what], None)
    _, crowded = started(COMMANDS[what], crowd)
    assert "ml4t.core.cli" in alone or "ml4t.backtest" in alone
    assert crowded - alone == {f"ml4t_crowd{number:02}" for number in range(PLUGINS)}
    assert alone <= crowded
    assert not (crowd / "trace").exists(), "a model was imported that no run asked for"


@pytest.mark.bench
@pytest.mark.parametrize("what", COMMANDS)
def test_twenty_plugins_cost_less_than_100_ms(what: str, crowd: Path) -> None:
    arguments = COMMANDS[what]
    for site in (None, crowd):
        # Compiles what is imported, and fills the caches of the disk.
        started(arguments, site)
    # One after the other, so that a load of the machine falls on both; the best of each is what they cost.
    pairs = [(started(arguments, None)[0], started(arguments, crowd)[0]) for _ in range(ROUNDS)]
    without, with_them = (min(times) for times in zip(*pairs, strict=True))
    print(f"{what}: {without * 1e3:.0f} ms alone, {with_them * 1e3:.0f} ms with {PLUGINS} plugins")
    assert with_them - without < MOST_S
