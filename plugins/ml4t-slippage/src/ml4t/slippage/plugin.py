"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl
from ml4t.core.types import ModelKind

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the slippage models."""
    volume_share = "ml4t.slippage.volume_share:VolumeShare"
    fixed_fraction = "ml4t.slippage.fixed_fraction:FixedFraction"
    return [
        _slippage("NoSlippage", "ml4t.slippage.no_slippage:NoSlippage", "nothing"),
        _slippage("FixedFraction", fixed_fraction, "a fixed fraction of the price"),
        _slippage("FixedPercentageSlippage", fixed_fraction, "other name of FixedFraction"),
        _slippage(
            "BasisPoints",
            "ml4t.slippage.basis_points:BasisPoints",
            "basis points of the price, optionally up to a share of the volume",
        ),
        _slippage("Spread", "ml4t.slippage.spread:Spread", "half of a constant bid-ask spread"),
        _slippage("VolumeShare", volume_share, "grows with the square of our share of the volume"),
        _slippage("VolumeShareSlippage", volume_share, "other name of VolumeShare"),
        _slippage(
            "LeanVolumeShare",
            "ml4t.slippage.lean_volume_share:LeanVolumeShare",
            "the square of our share of the volume without a cap, as in LEAN",
        ),
        _slippage(
            "VolatilityVolumeShare",
            "ml4t.slippage.volatility_volume_share:VolatilityVolumeShare",
            "volatility times the root of our share of the average volume",
        ),
    ]


def _slippage(name: str, target: str, summary: str) -> ModelSpec:
    return ModelSpec(ModelKind.SLIPPAGE, name, target, native=Native.BUILTIN, summary=summary)
