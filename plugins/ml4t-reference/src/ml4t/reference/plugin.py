"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import EngineSpec, hookimpl

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_engines() -> list[EngineSpec]:
    """Offer the executable specification as an engine."""
    return [
        EngineSpec("reference", "ml4t.reference:Run", summary="the executable specification, in plain Python")
    ]
