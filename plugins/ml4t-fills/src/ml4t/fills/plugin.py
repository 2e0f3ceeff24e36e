"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl
from ml4t.core.types import ModelKind

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the fill model."""
    return [
        ModelSpec(
            ModelKind.FILL,
            "Default",
            "ml4t.fills.default:Default",
            native=Native.BUILTIN,
            summary="in full, or up to a share of the volume or size shown",
        )
    ]
