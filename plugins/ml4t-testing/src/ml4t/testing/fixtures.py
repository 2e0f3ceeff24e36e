"""Fixtures for tests of plugins; pytest finds this module by its entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from ml4t.core.plugins import PluginManager
    from ml4t.testing.project import Project

__all__ = ["ml4t_plugins", "ml4t_project"]


@pytest.fixture
def ml4t_plugins() -> PluginManager:
    """Return a manager that loads nothing of the environment; `register` what a test is about.

    A plugin that fails raises. `run(..., plugins=ml4t_plugins)` needs the engine and the default models too:
    `ml4t.core.plugins.load_plugins()` has those of the environment.
    """
    from ml4t.core.plugins import PluginManager

    manager = PluginManager(environ={"ML4T_DISABLE_PLUGIN_AUTOLOAD": "1"}, strict=True)
    manager.load_entry_points()
    return manager


@pytest.fixture
def ml4t_project(tmp_path: Path) -> Project:
    """Return a small project in a folder of its own, which `run` runs in a process of its own."""
    from ml4t.testing.project import Project

    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)
