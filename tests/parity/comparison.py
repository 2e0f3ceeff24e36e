"""Compare what ml4t and a peer did with one case."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ours import Outcome

CLOSE = 1e-9
"""Relative difference that prices and quantities may have; bundles of zipline keep prices in thousandths."""

CENT = 0.01


def faults(ours: Outcome, theirs: Outcome) -> list[str]:
    """Say where two outcomes differ; nothing when they agree."""
    found = []
    for number, (mine, other) in enumerate(zip_longest(ours["trades"], theirs["trades"]), start=1):
        if mine is None or other is None or not _same_trade(mine, other):
            found.append(f"trade {number}: ml4t {_text(mine)}, peer {_text(other)}")
    found += [
        f"{key}: ml4t {ours[key]:.4f}, peer {theirs[key]:.4f}"
        for key in ("final_value", "final_cash")
        if abs(ours[key] - theirs[key]) >= CENT
    ]
    mine, other = ours["positions"], theirs["positions"]
    found += [
        f"position of {symbol}: ml4t {mine.get(symbol, 0.0):g}, peer {other.get(symbol, 0.0):g}"
        for symbol in sorted(mine.keys() | other.keys())
        if not _same(mine.get(symbol, 0.0), other.get(symbol, 0.0))
    ]
    return found


def _same(mine: float, other: float) -> bool:
    return math.isclose(mine, other, rel_tol=CLOSE, abs_tol=CLOSE)


def _same_trade(mine: dict[str, Any], other: dict[str, Any]) -> bool:
    texts = all(mine[key] == other[key] for key in ("session", "symbol", "side"))
    return texts and all(_same(mine[key], other[key]) for key in ("quantity", "price", "commission"))


def _text(trade: dict[str, Any] | None) -> str:
    if trade is None:
        return "none"
    return "{session} {side} {quantity:g} {symbol} at {price:.9g}, commission {commission:.9g}".format(
        **trade
    )
