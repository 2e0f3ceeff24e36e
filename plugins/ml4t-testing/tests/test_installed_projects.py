"""Plugins as their authors make them: built, installed in an environment of their own, and run by name.

`nox -s plugins` runs this. Nothing is fetched: the environment sees the packages of the workspace, and what
builds a wheel is taken from there too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import attrs
import pytest

from ml4t.backtest import Results
from ml4t.testing.scaffold import Plan, write_project

pytestmark = pytest.mark.plugins

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/how-to/write-a-plugin.md"
KINDS = ("fill", "slippage", "impact", "fee", "latency", "executor", "strategy")
MINUTES = 15


@attrs.frozen
class Environment:
    """A virtual environment that has the packages of this one, and what is installed into it."""

    path: Path

    @property
    def scripts(self) -> Path:
        return self.path / "bin"

    def variables(self) -> dict[str, str]:
        """Return the variables of a process: this environment first, no network, one folder for cargo."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ML4T_", "PYTHON"))}
        path = os.pathsep.join([str(self.scripts), str(Path(sys.executable).parent), kept["PATH"]])
        return {
            **kept,
            "PATH": path,
            "VIRTUAL_ENV": str(self.path),
            "CARGO_TARGET_DIR": str(ROOT / "target"),
            "CARGO_NET_OFFLINE": "true",
            # pip reads the variable of an option that begins with "no" the other way round.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, *command: str, cwd: Path) -> str:
        """Run a command and return what it printed; fail if it fails."""
        ran = subprocess.run(
            command, cwd=cwd, env=self.variables(), capture_output=True, text=True, check=False, timeout=600
        )
        assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def python(self, *arguments: str, cwd: Path) -> str:
        return self.run(str(self.scripts / "python"), *arguments, cwd=cwd)


def make_environment(path: Path) -> Environment:
    """Make an environment whose commands `ml4t`, `pip` and `pytest` are of its own."""
    venv.create(path, with_pip=False, symlinks=True)
    (site,) = path.glob("lib/python*/site-packages")
    shared = sysconfig.get_paths()["purelib"]
    (site / "workspace.pth").write_text(f"import site; site.addsitedir({shared!r})\n", encoding="utf-8")
    modules = {
        "ml4t": "-c 'import sys; from ml4t.core.cli import main; sys.exit(main())'",
        "pip": "-m pip",
        "pytest": "-m pytest",
    }
    for name, module in modules.items():
        script = path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{path}/bin/python" {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return Environment(path)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One environment for all wheels."""
    folder = tmp_path_factory.mktemp("installed")
    assert not folder.is_relative_to(ROOT), "the projects must stand outside the repository"
    return make_environment(folder / "environment")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("native", ["none", "numba", "c", "rust"])
def test_a_wheel_is_built_installed_tested_and_run_by_name(
    environment: Environment, kind: str, native: str, tmp_path: Path
) -> None:
    if native == "rust" and shutil.which("cargo") is None:
        pytest.skip("no Rust toolchain: cargo is not on PATH")
    plan = Plan(name=f"{kind}-{native}", kind=kind, native=native)
    project = write_project(plan, into=tmp_path)
    environment.python(
        "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(project), cwd=tmp_path
    )
    (wheel,) = tmp_path.glob("*.whl")
    tag = {"none": "py3-none-any", "numba": "py3-none-any"}.get(native, "cp311-abi3-")
    assert tag in wheel.name
    environment.python("-m", "pip", "install", "-q", "--no-deps", str(wheel), cwd=tmp_path)
    # Only what is installed is looked at: neither the sources nor the folder they lie in.
    bare = tmp_path / "bare"
    for part in ("tests", "examples"):
        shutil.copytree(project / part, bare / part)
    printed = environment.run("pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=bare)
    assert re.search(r"\d\d passed", printed), printed
    environment.run("ml4t", "run", "examples/backtest.toml", "--output", "results", cwd=bare)
    results = Results.load(bare / "results")
    assert results.fills.height > 10
    used = [each for each in results.manifest["models"] if each["type"].endswith(plan.model)]
    assert [each["path"] for each in used] == ["python" if native == "none" else "capsule"] or (
        kind == "strategy" and native == "none" and used == []
    )


def test_a_reader_is_built_installed_tested_and_run_by_name(environment: Environment, tmp_path: Path) -> None:
    project = write_project(Plan(name="csv-folder", kind="reader"), into=tmp_path)
    environment.python("-m", "pip", "install", "-q", "--no-deps", str(project), cwd=tmp_path)
    environment.run("pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=project)
    environment.run("ml4t", "run", "examples/backtest.toml", "--output", "results", cwd=project)
    results = Results.load(project / "results")
    assert [each["distribution"] for each in results.manifest["readers"]] == ["ml4t-csv-folder"]
    assert results.fills.height > 10


# -- the page ----------------------------------------------------------------------------------------------


def commands(heading: str) -> list[str]:
    """Return the commands of the console blocks under a heading of the page, in sequence."""
    text = PAGE.read_text(encoding="utf-8")
    part = text[text.index(f"\n## {heading}\n") :]
    part = part[: part.find("\n## ", 4)]
    blocks = re.findall(r"^```console\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    return [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]


@pytest.mark.parametrize(
    ("heading", "project"),
    [("In Python with numba", "root-law"), ("In Rust", "fixed-cost"), ("In C", "flat-fee")],
)
def test_every_command_of_the_page_runs_and_all_take_less_than_15_minutes(
    heading: str, project: str, tmp_path: Path
) -> None:
    if "Rust" in heading and shutil.which("cargo") is None:
        pytest.skip("no Rust toolchain: cargo is not on PATH")
    environment = make_environment(tmp_path / "environment")
    work = tmp_path / "work"
    work.mkdir()
    found = commands(heading)
    assert found[0].startswith("ml4t new-plugin")
    assert any(command.startswith("pip install -e") for command in found)
    began = time.monotonic()
    script = "\n".join(["set -e", *found])
    printed = environment.run("sh", "-c", script, cwd=work)
    assert time.monotonic() - began < MINUTES * 60
    assert re.search(r"\d\d passed", printed), printed
    manifests = list(work.rglob("run_manifest.json"))
    assert len(manifests) == 1
    results = Results.load(manifests[0].parent)
    (ours,) = [each for each in results.manifest["models"] if each["plugin"] == project]
    assert (ours["path"], ours["distribution"]) == ("capsule", f"ml4t-{project}")
