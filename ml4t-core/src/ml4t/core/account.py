"""Snapshots of the engine's ledger, which itself is exact. These floats are for reading only."""

from __future__ import annotations

import math

import attrs

from ml4t.core.types import Direction

__all__ = ["Account", "Position", "TaxLot"]


@attrs.frozen(kw_only=True)
class TaxLot:
    """A parcel of a position with its own open time and total `cost`, signed like `quantity`."""

    symbol: str
    quantity: float
    cost: float
    ts_open: int
    order_id: int
    multiplier: float = 1.0

    @property
    def avg_price(self) -> float:
        """Cost per unit of quantity and multiplier."""
        return self.cost / (self.quantity * self.multiplier) if self.quantity else math.nan


@attrs.frozen(kw_only=True)
class Position:
    """Net holding of one instrument: `quantity` and `market_value` are negative for a short position.

    `avg_price` is NaN when flat, `mark_price` before the first print; profits are before fees.
    """

    symbol: str
    quantity: float = 0.0
    avg_price: float = math.nan
    mark_price: float = math.nan
    market_value: float = 0.0
    unrealized_pnl: float = 0.0
    realized_pnl: float = 0.0

    @property
    def direction(self) -> Direction | None:
        """Long, short, or None when flat."""
        if self.quantity == 0:
            return None
        return Direction.LONG if self.quantity > 0 else Direction.SHORT

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return self.quantity != 0


@attrs.frozen(kw_only=True)
class Account:
    """State of one book at an instant; `equity = cash + receivable + long_value + short_value`."""

    ts_event: int
    currency: str
    cash: float
    equity: float
    buying_power: float
    receivable: float = 0.0
    long_value: float = 0.0
    short_value: float = 0.0
    realized_pnl: float = 0.0
    unrealized_pnl: float = 0.0
    fees: float = 0.0
    book: int = 0
    positions: tuple[Position, ...] = ()
