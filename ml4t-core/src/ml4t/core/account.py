"""What is held, as an engine shows it. Its ledger is exact; these floats are for reading only."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Position"]


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
