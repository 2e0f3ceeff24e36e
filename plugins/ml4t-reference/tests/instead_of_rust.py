"""A pytest plugin that runs the tests of the Rust engine with the reference engine in its place.

    PYTHONPATH=plugins/ml4t-reference/tests pytest -p instead_of_rust ml4t-engine-rs/tests/engine

Whoever resolves the engine `rust` gets the reference engine, and the names of `ml4t.backtest` that tests
compare types with are those of the reference engine.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import ml4t.backtest
import ml4t.reference
from ml4t.engine import _engine

NAMES = ["Run", "Broker", "OrderHandle", "Position", "PITData", "Context", "Timestamp"]
NAMES += ["Event", "MarketEvent", "SignalEvent", "FillEvent", "OrderEvent"]


def _classes() -> dict[str, Any]:
    """Return the classes of the reference engine by name, from the module that defines each."""
    found = {}
    for info in pkgutil.iter_modules(ml4t.reference.__path__):
        if info.name == "plugin":
            continue
        module = importlib.import_module(f"ml4t.reference.{info.name}")
        found.update(
            {
                name: value
                for name, value in vars(module).items()
                if name in NAMES and getattr(value, "__module__", None) == module.__name__
            }
        )
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Put the reference engine in the place of the other before test modules are imported."""
    for name, value in _classes().items():
        for module in (_engine, ml4t.backtest):
            if hasattr(module, name):
                setattr(module, name, value)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which engine runs."""
    return f"engine: {_engine.Run.__module__}.{_engine.Run.__qualname__}"
