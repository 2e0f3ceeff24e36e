"""Read what LEAN publishes, and what ml4t gives for it."""

from __future__ import annotations

import tomllib
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, TypeAlias

from ml4t.backtest import Results

PUBLISHED = Path(__file__).parent / "lean.toml"
CENT = Decimal("0.01")

Row: TypeAlias = dict[str, Any]


def published() -> dict[str, list[Row]]:
    """Return the rows of each table: `vector`, `close`, `difference`."""
    found: dict[str, list[Row]] = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
    return found


def cents(amount: float) -> Decimal:
    """Return an amount as it is printed: in cents, halves up."""
    return Decimal(str(round(amount, 9))).quantize(CENT, ROUND_HALF_UP)


def end_of(results: Results) -> tuple[Decimal, Decimal]:
    """Return the last equity and the sum of the fees."""
    return cents(results.portfolio_history["equity"][-1]), cents(results.fills["fee"].sum())
