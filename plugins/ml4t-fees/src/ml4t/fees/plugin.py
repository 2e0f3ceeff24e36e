"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl
from ml4t.core.types import ModelKind

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the fee models."""
    return [
        _fee("NoFee", "ml4t.fees.no_fee:NoFee", "nothing"),
        _fee("PerShare", "ml4t.fees.per_share:PerShare", "per share, with a minimum and a cap per order"),
        _fee("FixedPerShare", "ml4t.fees.per_share:PerShare", "other name of PerShare"),
        _fee("PerOrder", "ml4t.fees.per_order:PerOrder", "one amount per order that fills"),
        _fee("Fraction", "ml4t.fees.fraction:Fraction", "a fraction of the notional"),
    ]


def _fee(name: str, target: str, summary: str) -> ModelSpec:
    return ModelSpec(ModelKind.FEE, name, target, native=Native.BUILTIN, summary=summary)
