"""What a portfolio needs, and what is closed where that is not there.

Each model is a frozen class. In a configuration it is named by type, `margin_model = { type = "RegT" }` and
`liquidation_model = { type = "ProRata", grace = "1d" }`; from Python an instance is passed.

`maintenance_amounts` and `liquidation_price` work out by themselves what `CryptoMargin` goes by.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.margin.brackets import liquidation_price, maintenance_amounts
    from ml4t.margin.crypto import CryptoMargin
    from ml4t.margin.futures import FuturesMargin
    from ml4t.margin.leverage import FixedLeverage
    from ml4t.margin.liquidation import CloseAll, LargestLoserFirst, ProRata
    from ml4t.margin.reg_t import RegT
    from ml4t.margin.scenarios import PortfolioMargin

__all__ = ["CloseAll", "CryptoMargin", "FixedLeverage", "FuturesMargin", "LargestLoserFirst"]
__all__ += ["PortfolioMargin", "ProRata", "RegT", "liquidation_price", "maintenance_amounts"]

# A model is imported when it is first named: a run uses one or two of them.
_MODULES = {
    "CloseAll": "liquidation",
    "CryptoMargin": "crypto",
    "FixedLeverage": "leverage",
    "FuturesMargin": "futures",
    "LargestLoserFirst": "liquidation",
    "PortfolioMargin": "scenarios",
    "ProRata": "liquidation",
    "RegT": "reg_t",
    "liquidation_price": "brackets",
    "maintenance_amounts": "brackets",
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
