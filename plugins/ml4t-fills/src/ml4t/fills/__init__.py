"""Fill models: how much of an order trades on the data at hand.

The matching rules of the engine decide whether an order may trade at a piece of market data, and at which
price: the policies of the run say so, for every model alike. A fill model then decides how much trades there;
it may also worsen the price or let the data pass.

Each model is a frozen class. In a configuration it is named by type,
`fill_model = { type = "Default", volume_limit = 0.1 }`; from Python an instance is passed. The engine
computes the same numbers natively; `evaluate` is the reference and runs where native models are switched off.
"""

from __future__ import annotations

from ml4t.fills.default import Default

__all__ = ["Default"]
