"""What holding costs and brings: borrowed shares, funding, rollover of currencies, interest on cash.

Each model is a frozen class. In a configuration it is named by type, `borrow_model = { type = "BorrowFee",
rate = 0.03 }`; from Python an instance is passed. Rollover of currency pairs is a table of funding rates,
which `rollover_rates` makes.

What reads tables is imported when it is first used, because the plugin manager loads this package in every
process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ml4t.funding.borrow import BorrowFee, IbkrBorrow
from ml4t.funding.interest import CashInterest
from ml4t.funding.perpetual import PerpetualFunding, funding_rate

if TYPE_CHECKING:
    from ml4t.funding.rollover import rollover_rates
    from ml4t.funding.value_dates import rollover_days

__all__ = ["BorrowFee", "CashInterest", "IbkrBorrow", "PerpetualFunding", "funding_rate"]
__all__ += ["rollover_days", "rollover_rates"]

_MODULES = {"rollover_days": "value_dates", "rollover_rates": "rollover"}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a name on first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
