"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ExecutorSpec, ModelSpec, Native, hookimpl
from ml4t.core.types import ModelKind

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the impact models."""
    return [
        _impact("SquareRoot", "square_root", "the square-root law: volatility, and the root of the share"),
        _impact("Linear", "linear", "temporary and permanent parts in proportion to the share"),
        _impact("Almgren2005", "almgren_2005", "Almgren, Thum, Hauptmann and Li, as fitted to US stocks"),
        _impact("AlmgrenChriss", "almgren_chriss", "Almgren and Chriss, linear, in prices"),
        _impact("Propagator", "propagator", "moves that decay, exponentially or by a power law"),
    ]


@hookimpl
def ml4t_register_executors() -> list[ExecutorSpec]:
    """Offer the execution algorithm."""
    target = "ml4t.impact.execution:AlmgrenChrissTrajectory"
    summary = "the optimal trajectory of Almgren and Chriss"
    return [ExecutorSpec("AlmgrenChrissTrajectory", target, native=Native.CAPSULE, summary=summary)]


def _impact(name: str, module: str, summary: str) -> ModelSpec:
    target = f"ml4t.impact.{module}:{name}"
    return ModelSpec(ModelKind.IMPACT, name, target, native=Native.CAPSULE, summary=summary)
