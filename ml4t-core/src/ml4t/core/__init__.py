"""Interfaces of the ml4t backtesting ecosystem: types, plugin hooks, configuration, errors.

Importing this package is cheap: no engine and no table library is loaded, and the parts that need third-party
libraries of their own (configuration, plugins) are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ml4t.core import account, errors, events, instrument, models, orders, schedule, sources, strategy, types
from ml4t.core.account import *  # noqa: F403
from ml4t.core.errors import *  # noqa: F403
from ml4t.core.events import *  # noqa: F403
from ml4t.core.instrument import *  # noqa: F403
from ml4t.core.models import *  # noqa: F403
from ml4t.core.orders import *  # noqa: F403
from ml4t.core.schedule import *  # noqa: F403
from ml4t.core.sources import *  # noqa: F403
from ml4t.core.strategy import *  # noqa: F403
from ml4t.core.types import *  # noqa: F403

if TYPE_CHECKING:
    from ml4t.core.config import RunConfig, load_config
    from ml4t.core.hookspecs import (
        BrokerSpec,
        CalendarSpec,
        Check,
        CompatSpec,
        EngineSpec,
        ExecutorSpec,
        InstrumentSpec,
        MetricSpec,
        ModelSpec,
        Native,
        OptimizerSpec,
        ProfileSpec,
        ReaderSpec,
        ReporterSpec,
        hookimpl,
    )
    from ml4t.core.plugins import PluginManager, load_plugins

__version__ = "0.1.0"

HOOK_API = (1, 0)
"""Version of the hooks; a plugin says in `ml4t_hook_api` which it was written for. Additive in a major."""

__all__ = [
    "BrokerSpec",
    "CalendarSpec",
    "Check",
    "CompatSpec",
    "EngineSpec",
    "ExecutorSpec",
    "InstrumentSpec",
]
__all__ += ["MetricSpec", "ModelSpec", "Native", "OptimizerSpec", "ProfileSpec", "ReaderSpec", "ReporterSpec"]
__all__ += ["PluginManager", "RunConfig", "hookimpl", "load_config", "load_plugins"]
_MODULES = {"hookimpl": "hookspecs", "PluginManager": "plugins", "load_plugins": "plugins"}
_MODULES |= {"RunConfig": "config", "load_config": "config"}
_LAZY = {name: f"ml4t.core.{_MODULES.get(name, 'hookspecs')}" for name in __all__}
__all__ += ["HOOK_API", "__version__"]
__all__ += account.__all__ + errors.__all__ + events.__all__ + instrument.__all__ + models.__all__
__all__ += orders.__all__ + schedule.__all__ + sources.__all__ + strategy.__all__ + types.__all__


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import the lazy names on first use."""
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
