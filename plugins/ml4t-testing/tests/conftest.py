"""What the tests of the kit share: projects that are written, made visible and compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ml4t.testing.scaffold import Plan, write_project

ROOT = Path(__file__).resolve().parents[3]
BASE_FLAGS = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-cast-function-type",
    "-ffp-contract=off",
]


@attrs.frozen
class Folder:
    """A folder with projects, visible to a process as if their distributions were installed."""

    path: Path

    def write(self, kind: str, native: str, *, name: str | None = None) -> Path:
        """Write a project, called by its kind and native form unless it has a name."""
        return write_project(Plan(name=name or f"{kind}-{native}", kind=kind, native=native), into=self.path)

    def projects(self) -> list[Path]:
        return sorted(path for path in self.path.glob("ml4t-*") if (path / "pyproject.toml").exists())

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that finds every project by its entry point."""
        site = self.path / "site"
        paths = [site]
        for project in self.projects():
            document = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            folder = site / f"{document['name'].replace('-', '_')}-{document['version']}.dist-info"
            folder.mkdir(parents=True, exist_ok=True)
            metadata = f"Metadata-Version: 2.1\nName: {document['name']}\nVersion: {document['version']}\n"
            (folder / "METADATA").write_text(metadata, encoding="utf-8")
            entries = "".join(
                f"{name} = {target}\n" for name, target in document["entry-points"]["ml4t"].items()
            )
            (folder / "entry_points.txt").write_text(f"[ml4t]\n{entries}", encoding="utf-8")
            paths.append(project / "src")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ML4T_")}
        return {**kept, "PYTHONPATH": os.pathsep.join(str(path) for path in paths), "CI": ""}

    def pytest(self, projects: Iterable[Path], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the tests of projects in one process of their own."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib", "-q"]
        # Importing what the projects do not use takes longer than most of their tests.
        command += ["-p", "no:hypothesispytest"]
        # One configuration for all, so that names in the record begin with the project.
        config = self.path / "pytest.ini"
        config.write_text("[pytest]\n", encoding="utf-8")
        command += ["-rfE", "-c", str(config), *arguments, *(str(project) for project in projects)]
        return self.run(command)

    def run(self, command: list[str], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command among the projects."""
        return subprocess.run(
            command,
            cwd=cwd or self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """An empty folder for projects."""
    return Folder(tmp_path_factory.mktemp("projects"))


def compile_c(project: Path) -> Path:
    """Compile the C of a project as its setup.py does, with all warnings as errors."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: cc is not on PATH")
    (package,) = (project / "src").iterdir()
    made = package / "_native.abi3.so"
    include = ["-Ic", f"-I{sysconfig.get_paths()['include']}", "-DPy_LIMITED_API=0x030B0000"]
    command = [compiler, *BASE_FLAGS, "-shared", "-fPIC", *include, "c/model.c", "-o", str(made), "-lm"]
    subprocess.run(command, cwd=project, check=True)
    return made


def compile_rust(project: Path) -> Path:
    """Compile the Rust of a project in cargo's one folder of the workspace, offline, unoptimized."""
    if shutil.which("cargo") is None:
        pytest.skip("no Rust toolchain: cargo is not on PATH")
    (package,) = (project / "src").iterdir()
    target = ROOT / "target"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    shutil.copyfile(ROOT / "Cargo.lock", project / "rust" / "Cargo.lock")
    command = ["cargo", "build", "--offline", "--quiet", "--manifest-path", "rust/Cargo.toml"]
    subprocess.run(command, cwd=project, env=environment, check=True)
    made = package / "_native.abi3.so"
    shutil.copyfile(target / "debug" / f"lib{package.name}_native.so", made)
    return made


@pytest.fixture(scope="session")
def compilers() -> dict[str, Any]:
    """How the projects of a native form are compiled."""
    return {"c": compile_c, "rust": compile_rust}
