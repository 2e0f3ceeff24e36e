"""Fee models: what a fill costs in money, beside its price.

Fees are in the currency of the instrument. A rule that holds for the order as a whole, such as a minimum, is
kept over all of its fills: each fill is charged what it adds to the order's total.

Each model is a frozen class. In a configuration it is named by type,
`commission_model = { type = "PerShare", fee = 0.005, minimum = 1.0 }`; from Python an instance is passed. The
engine computes the same numbers natively; `evaluate` is the reference and runs where native models are
switched off.
"""

from __future__ import annotations

from ml4t.fees.fraction import Fraction
from ml4t.fees.no_fee import NoFee
from ml4t.fees.per_order import PerOrder
from ml4t.fees.per_share import FixedPerShare, PerShare

__all__ = ["FixedPerShare", "Fraction", "NoFee", "PerOrder", "PerShare"]
