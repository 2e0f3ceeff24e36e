"""A small project in a folder, run by `ml4t run` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from ml4t.backtest import Results

__all__ = ["Project", "ProjectRun"]

SECONDS = 120
COMMAND = "import sys; from ml4t.core.cli import main; sys.exit(main())"

STRATEGY = '''\
"""Buys a part of every stock in the first session of a month and sells it in the second."""

from ml4t.backtest import Strategy


class InAndOut(Strategy):
    def on_data(self, timestamp, data, context, broker):
        for symbol in data:
            if broker.get_position(symbol) is None:
                broker.buy(symbol, 100)
            else:
                broker.close_position(symbol)
'''

CONFIG: Mapping[str, Any] = {
    "backtest": {
        "name": "project",
        "start_date": "2004-01-02",
        "end_date": "2004-06-30",
        "output": "results",
    },
    "broker": {"initial_cash": 1_000_000},
    "data_feeds": [
        {
            "name": "daily",
            "type": "ParquetFeed",
            "path": "dataset:us_equity_daily",
            "stamp": "session",
            "symbols": ["AAPL", "IBM"],
        }
    ],
    "strategies": [{"name": "in-and-out", "type": "strategy.py:InAndOut"}],
}


@attrs.frozen(kw_only=True)
class ProjectRun:
    """What a run left: its results where it got that far, and what was printed."""

    results: Results | None
    returncode: int
    stdout: str = attrs.field(repr=False)
    stderr: str = attrs.field(repr=False)


@attrs.frozen
class Project:
    """A folder with a strategy and a configuration that run on two of the stocks that ship with ml4t.

    The process sees the plugins of the environment and those that `add_plugin` puts into the folder.
    """

    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def add_plugin(
        self, name: str, target: str, *, source: str | None = None, version: str = "0.1.0"
    ) -> None:
        """Make a module a plugin as if its distribution were installed.

        Parameters
        ----------
        name : str
            Name of the entry point; the distribution is called `ml4t-<name>`.
        target : str
            The module, such as `ml4t_desk.plugin`.
        source : str or None
            Text of the module; None where it can be imported already.
        version : str
            Version of the distribution.
        """
        folder = f"ml4t_{name.replace('-', '_')}-{version}.dist-info"
        self.write(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: ml4t-{name}\nVersion: {version}\n")
        self.write(f"{folder}/entry_points.txt", f"[ml4t]\n{name} = {target}\n")
        if source is not None:
            self.write(target.replace(".", "/") + ".py", source)

    def command(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `ml4t` with arguments in the folder and return what came of it."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ML4T_")}
        paths = [str(self.folder), *filter(None, [kept.get("PYTHONPATH")])]
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": os.pathsep.join(paths), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def run(
        self,
        config: Mapping[str, Any] | str | Path | None = None,
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> ProjectRun:
        """Run a backtest and return what it left.

        Parameters
        ----------
        config : mapping, path or None
            Sections over those of the project, by key: `{"broker": {"slippage_model": {"type": "Mine"}}}`. A
            path is a configuration file of its own, relative to the folder.
        check : bool
            Whether a run that fails raises.
        env : mapping or None
            Environment variables beside those of this process, whose own `ML4T_` ones are left out.

        Raises
        ------
        RuntimeError
            If the run fails and `check` is set; the message has what it printed.
        """
        if isinstance(config, str | Path):
            file = str(config)
        else:
            if not (self.folder / "strategy.py").exists():
                self.write("strategy.py", STRATEGY)
            # All of JSON is YAML.
            file = self.write("backtest.yaml", json.dumps(_merged(CONFIG, config or {}))).name
        ran = self.command("run", file, "--overwrite", "--no-report", "--output", "results", env=env)
        if ran.returncode != 0 and check:
            msg = f"ml4t run {file} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
            raise RuntimeError(msg)
        return ProjectRun(
            results=self._results() if ran.returncode == 0 else None,
            returncode=ran.returncode,
            stdout=ran.stdout,
            stderr=ran.stderr,
        )

    def _results(self) -> Results:
        from ml4t.backtest import Results

        return Results.load(self.folder / "results")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of both, the keys of the second first."""
    both = dict(base)
    for key, value in over.items():
        is_table = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = {**both[key], **value} if is_table else value
    return both
