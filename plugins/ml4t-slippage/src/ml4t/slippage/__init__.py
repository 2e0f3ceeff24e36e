"""Slippage models: what any small order loses against its reference price.

Slippage is adverse: every model answers an amount of 0 or more per unit, which the engine adds to the price
of a buy and takes from the price of a sell. What a large order does to the market by its own size is impact,
another kind of model.

Each model is a frozen class. In a configuration it is named by type,
`slippage_model = { type = "BasisPoints", bps = 5 }`; from Python an instance is passed. The engine computes
the same numbers natively; `evaluate` is the reference and runs where native models are switched off.
"""

from __future__ import annotations

from ml4t.slippage.basis_points import BasisPoints
from ml4t.slippage.fixed_fraction import FixedFraction
from ml4t.slippage.lean_volume_share import LeanVolumeShare
from ml4t.slippage.no_slippage import NoSlippage
from ml4t.slippage.spread import Spread
from ml4t.slippage.volatility_volume_share import VolatilityVolumeShare
from ml4t.slippage.volume_share import VolumeShare

__all__ = ["BasisPoints", "FixedFraction", "LeanVolumeShare", "NoSlippage", "Spread"]
__all__ += ["VolatilityVolumeShare", "VolumeShare"]
