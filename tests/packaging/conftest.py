"""The workspace as its files describe it."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@attrs.define(frozen=True, slots=True)
class Member:
    """One distribution of the workspace: its folder and what its pyproject.toml says."""

    folder: Path
    pyproject: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.pyproject["project"]["name"])

    @property
    def version(self) -> str:
        return str(self.pyproject["project"]["version"])

    @property
    def requirements(self) -> list[Requirement]:
        return [Requirement(line) for line in self.pyproject["project"].get("dependencies", [])]

    @property
    def source(self) -> Path | None:
        """The folder that goes on sys.path; None for a distribution without code."""
        for candidate in (self.folder / "src", self.folder / "python"):
            if candidate.is_dir():
                return candidate
        return None

    @property
    def packages(self) -> list[Path]:
        """The top packages under the namespace: `ml4t/<x>`, and `ml4t/compat/<x>`."""
        if self.source is None:
            return []
        tops = [path for path in sorted((self.source / "ml4t").iterdir()) if path.is_dir()]
        nested = [
            inner
            for path in tops
            if path.name == "compat"
            for inner in sorted(path.iterdir())
            if inner.is_dir()
        ]
        found = [path for path in tops if path.name != "compat"] + nested
        return [path for path in found if any(path.glob("*.py"))]

    def modules(self) -> list[tuple[str, Path]]:
        """Every module as (dotted name, file)."""
        found = []
        for package in self.packages:
            assert self.source is not None
            for path in sorted(package.rglob("*.py")):
                parts = list(path.relative_to(self.source).with_suffix("").parts)
                dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                found.append((dotted, path))
        return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def generator() -> dict[str, Any]:
    """The names of requirements/generate.py."""
    return runpy.run_path(str(ROOT / "requirements" / "generate.py"))


@pytest.fixture(scope="session")
def members(generator: dict[str, Any]) -> list[Member]:
    """Every distribution of the workspace, the root one last."""
    folders: list[Path] = generator["workspace_members"]()
    return [
        Member(folder, tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")))
        for folder in folders
    ]


@pytest.fixture(scope="session")
def member(members: list[Member]) -> dict[str, Member]:
    """The distributions by name."""
    return {each.name: each for each in members}
