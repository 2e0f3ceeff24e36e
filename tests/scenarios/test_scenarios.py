"""Every scenario, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from .files import Scenario, ScenarioError, load_files
from .runner import ENGINES, FOLDER, check

FILES = sorted([*FOLDER.glob("*.toml"), *FOLDER.glob("disputed/*.toml")])


def readable() -> list[Scenario]:
    """Return the scenarios of the files that can be read; the others fail a test of their own."""
    found = []
    for path in FOLDER.glob("*.toml"):
        try:
            found += load_files([path])
        except ScenarioError:
            continue
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_what_the_readme_describes(path: Path) -> None:
    assert load_files([path])


def test_names_are_unique_over_all_files() -> None:
    load_files(FILES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scenario", readable(), ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario, engine: str) -> None:
    check(scenario, engine)
