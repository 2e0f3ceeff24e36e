"""Futures: contracts, chains, roll rules, and continuous series for signals.

A `FuturesChain` lists the contracts of one root. A roll rule says which of them is the front contract on
each session, from nothing that was not known before that session. A `ContinuousFuture` puts the bars of the
front contracts together to one adjusted series, also as it was known on an earlier day.

The series are for signals only: nobody can trade an adjusted price. A run trades the contracts, rolls
positions by the plan of a `ContinuousFuture`, and lets each contract end with its last trade.

The names are imported when they are first used, because the plugin manager loads this package in every
process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.futures.calendar_rules import BeforeExpiry, BeforeFirstNotice
    from ml4t.futures.chain import FuturesChain
    from ml4t.futures.continuous import ContinuousFuture
    from ml4t.futures.contracts import FuturesContract, Settlement
    from ml4t.futures.crossover import OpenInterestCrossover, VolumeCrossover
    from ml4t.futures.front import FrontContract
    from ml4t.futures.months import ContractMonth
    from ml4t.futures.schedule import RollRule, RollSchedule
    from ml4t.futures.sessions import with_sessions

__all__ = ["BeforeExpiry", "BeforeFirstNotice", "ContinuousFuture", "ContractMonth", "FrontContract"]
__all__ += ["FuturesChain"]
__all__ += ["FuturesContract", "OpenInterestCrossover", "RollRule", "RollSchedule", "Settlement"]
__all__ += ["VolumeCrossover", "with_sessions"]

_MODULES = {"BeforeExpiry": "calendar_rules", "BeforeFirstNotice": "calendar_rules"}
_MODULES |= {"FuturesChain": "chain", "ContinuousFuture": "continuous", "ContractMonth": "months"}
_MODULES |= {"FrontContract": "front"}
_MODULES |= {"FuturesContract": "contracts", "Settlement": "contracts", "with_sessions": "sessions"}
_MODULES |= {"OpenInterestCrossover": "crossover", "VolumeCrossover": "crossover"}
_MODULES |= {"RollRule": "schedule", "RollSchedule": "schedule"}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a name on first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
