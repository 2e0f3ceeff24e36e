"""What the random cases share: the plugins that both engines run with."""

from __future__ import annotations

import pytest

from ml4t.core.plugins import PluginManager, load_plugins

from .costs import Delays


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    """Return the plugins of the environment, loaded once, and the latency model of the cases."""
    manager = load_plugins()
    manager.register(Delays(), "delays")
    return manager
