"""For authors of plugins: suites that a model must pass, fixtures for pytest, and `ml4t new-plugin`.

An author writes a class for each model and gets the tests::

    class TestRoot(ImpactCompliance):
        model = Root(eta=0.5)
        capabilities = Capabilities(needs={"average_volume"})

The names are imported when they are first used, because pytest loads this package in every session.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.testing.capabilities import Capabilities
    from ml4t.testing.executors import ExecutorCompliance
    from ml4t.testing.latencies import LatencyCompliance
    from ml4t.testing.models import FeeCompliance, FillCompliance, ImpactCompliance, SlippageCompliance
    from ml4t.testing.project import Project, ProjectRun
    from ml4t.testing.readers import ReaderCompliance
    from ml4t.testing.strategies import StrategyCompliance

__all__ = ["Capabilities", "ExecutorCompliance", "FeeCompliance", "FillCompliance", "ImpactCompliance"]
__all__ += ["LatencyCompliance", "Project", "ProjectRun", "ReaderCompliance", "SlippageCompliance"]
__all__ += ["StrategyCompliance"]

_MODULES = {"Capabilities": "capabilities", "Project": "project", "ProjectRun": "project"}
_MODULES |= {"ExecutorCompliance": "executors", "LatencyCompliance": "latencies"}
_MODULES |= {"ReaderCompliance": "readers", "StrategyCompliance": "strategies"}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a name on first use."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'models')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
