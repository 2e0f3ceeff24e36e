"""Fee models: what a fill costs in money, beside its price; and what converting currencies costs.

Fees are in the currency of the instrument, and negative for a rebate. A rule that holds for the order as a
whole, such as a minimum, is kept over all of its fills: each fill is charged what it adds to the order's
total.

Each model is a frozen class. In a configuration it is named by type, `commission_model = { type =
"PerShare", fee = 0.005, minimum = 1.0 }`; from Python an instance is passed. The engine computes the same
numbers natively; `evaluate` is the reference and runs where native models are switched off.

The schedules of brokers and exchanges have the rates of a date as defaults, named in the class; rates
change, and all of them are parameters.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.fees.alpaca import AlpacaFees
    from ml4t.fees.binance import BinanceFutures, BinanceSpot
    from ml4t.fees.fraction import Fraction
    from ml4t.fees.fx_spread import FxSpread
    from ml4t.fees.ibkr_fixed import IbkrFixed, LeanIbkr
    from ml4t.fees.ibkr_forex import IbkrForex
    from ml4t.fees.ibkr_options import IbkrOptions
    from ml4t.fees.ibkr_tiered import IbkrTiered
    from ml4t.fees.maker_taker import MakerTaker
    from ml4t.fees.no_fee import NoFee
    from ml4t.fees.per_contract import PerContract
    from ml4t.fees.per_order import PerOrder
    from ml4t.fees.per_share import FixedPerShare, PerShare
    from ml4t.fees.tiered import Tiered

__all__ = [
    "AlpacaFees",
    "BinanceFutures",
    "BinanceSpot",
    "FixedPerShare",
    "Fraction",
    "FxSpread",
    "IbkrFixed",
    "IbkrForex",
    "IbkrOptions",
    "IbkrTiered",
    "LeanIbkr",
    "MakerTaker",
    "NoFee",
    "PerContract",
    "PerOrder",
    "PerShare",
    "Tiered",
]

# A model is imported when it is first named: a run uses one or two of them.
_MODULES = {
    "AlpacaFees": "alpaca",
    "BinanceFutures": "binance",
    "BinanceSpot": "binance",
    "FixedPerShare": "per_share",
    "Fraction": "fraction",
    "FxSpread": "fx_spread",
    "IbkrFixed": "ibkr_fixed",
    "IbkrForex": "ibkr_forex",
    "IbkrOptions": "ibkr_options",
    "IbkrTiered": "ibkr_tiered",
    "LeanIbkr": "ibkr_fixed",
    "MakerTaker": "maker_taker",
    "NoFee": "no_fee",
    "PerContract": "per_contract",
    "PerOrder": "per_order",
    "PerShare": "per_share",
    "Tiered": "tiered",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - of the module
        if name not in _MODULES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        globals()[name] = found = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
