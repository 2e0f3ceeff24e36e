"""The engine: what turns a configuration, data and a strategy into results.

Users import `ml4t.backtest`. This package holds what stands behind it: the description of a run for the
Rust simulator (`compile`), schedules, results and their statistics, and the extension module `_engine`.
"""

from __future__ import annotations

from importlib import metadata

from ml4t.core.errors import EngineStateError

__all__ = ["__version__"]

__version__ = metadata.version("ml4t-engine")

_core = metadata.version("ml4t-core")
if _core != __version__:
    _message = (
        f"ml4t-engine {__version__} needs ml4t-core of the same version, found {_core};"
        f" install both together: pip install 'ml4t-core=={__version__}' 'ml4t-engine=={__version__}'"
    )
    raise EngineStateError(_message)
