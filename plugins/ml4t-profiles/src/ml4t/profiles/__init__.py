"""Profiles: named sets of values for `[broker]`, and nothing else.

`conservative` takes the side that hurts wherever a rule leaves a choice. `zipline`, `backtrader` and
`vectorbt` are the settings under which ml4t trades as those engines do; how far that goes is tested against
them, case by case. `lean` is tested against the results that QuantConnect LEAN publishes.
"""

from __future__ import annotations

from ml4t.profiles.data import BACKTRADER, CONSERVATIVE, LEAN, VECTORBT, ZIPLINE

__all__ = ["BACKTRADER", "CONSERVATIVE", "LEAN", "VECTORBT", "ZIPLINE"]
