"""Snapshots of the engine's ledger, which itself is exact. These floats are for reading only."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

__all__ = ["Account", "Position"]


@runtime_checkable
class Position(Protocol):
    """Net holding of one instrument, as an engine or a broker shows it; `quantity` is negative for shorts.

    `avg_price` is the average cost per unit, `mark_price` what `market_value` is based on; profits are before
    fees.
    """

    @property
    def symbol(self) -> str: ...  # noqa: D102
    @property
    def quantity(self) -> float: ...  # noqa: D102
    @property
    def avg_price(self) -> float: ...  # noqa: D102
    @property
    def mark_price(self) -> float: ...  # noqa: D102
    @property
    def market_value(self) -> float: ...  # noqa: D102
    @property
    def unrealized_pnl(self) -> float: ...  # noqa: D102
    @property
    def realized_pnl(self) -> float: ...  # noqa: D102


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
