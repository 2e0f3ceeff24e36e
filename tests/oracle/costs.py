"""Models of random cases: what fills cost, how far they move prices, in how many slices they come, and when.

Most compute with + - * / and square roots alone, which give the same bits everywhere: those are drawn in all
cases. `POWERS` are models with powers and exponentials, whose last bit may differ between their forms: both
engines ask the same form of them.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
from hypothesis import strategies as st

from ml4t.core import ModelSpec, hookimpl
from ml4t.core.models import FillArgs, FillOut, LatencyArgs, LatencyOut

SLIPPAGES: list[dict[str, Any]] = [
    {"type": "FixedFraction", "fraction": 0.002},
    {"type": "Spread", "spread": 0.03},
    {"type": "BasisPoints", "bps": 3.7},
]
VOLUME_SLIPPAGES: list[dict[str, Any]] = [
    {"type": "VolumeShare", "volume_limit": 0.1, "price_impact": 0.2},
    {"type": "VolumeShare"},
    {"type": "LeanVolumeShare", "volume_limit": 0.05, "price_impact": 0.3},
    {"type": "LeanVolumeShare", "free_without_volume": True},
    {"type": "VolatilityVolumeShare", "volume_limit": 0.1, "eta": 40.0},
    {"type": "VolatilityVolumeShare", "volume_limit": 0.02, "eta": 900.0, "no_history_bps": 31.3},
]
FEES: list[dict[str, Any]] = [
    {"type": "PerShare", "fee": 0.005, "minimum": 1.0},
    {"type": "PerOrder", "fee": 2.5},
    {"type": "Fraction", "rate": 0.0013},
    {"type": "Tiered", "limits": [25, 90], "rates": [0.05, 0.031, -0.007]},
    {"type": "Tiered", "limits": [25, 90], "rates": [0.05, 0.031, 0.007], "minimum": 0.9},
    {"type": "Tiered", "limits": [400, 900], "rates": [0.003, 0.0021, 0.0008], "basis": "notional"},
    {"type": "IbkrTiered", "limits": [40], "rates": [0.35, 0.2], "taker_per_share": 0.03},
]

KNOWN: dict[str, Any] = {"volatility": 0.023, "average_volume": 700.0, "average_days": 0}
ESTIMATED: dict[str, Any] = {"volatility": None, "average_days": 2, "average_volume": 700.0}
IMPACTS: list[dict[str, Any]] = [
    {"type": "AlmgrenChriss", "gamma": 0.0013, "eta": 0.0021, "epsilon": 0.011},
    {"type": "AlmgrenChriss", "gamma": 0.007, "eta": 0.0, "tau": 0.7},
    {"type": "Linear", "temporary": 1.7, "permanent": 0.9, **KNOWN},
    {"type": "SquareRoot", "Y": 0.8, **KNOWN},
]
ESTIMATING: list[dict[str, Any]] = [
    {"type": "Linear", "temporary": 1.7, "permanent": 0.9, **ESTIMATED},
    {"type": "SquareRoot", "Y": 0.3, "average_days": 3},
]
ALMGREN: dict[str, Any] = {"type": "Almgren2005", "duration_days": 0.3}
POWER_LAW: dict[str, Any] = {"type": "Propagator", "decay": "power_law", "exponent": 0.5}
POWERS: list[dict[str, Any]] = [
    ALMGREN | {"inverse_turnover": 163, **KNOWN},
    ALMGREN | {"shares_outstanding": 90_000, "permanent_exponent": 0.9, **KNOWN},
    {"type": "Propagator", "coefficient": 1.1, "resilience": 2.3, "permanent_share": 0.3, **KNOWN},
    {"type": "Propagator", "coefficient": 0.9, "resilience": 90.0, **KNOWN},
    POWER_LAW | {"coefficient": 0.7, "relaxation_days": 0.4, "beta": 0.45, **KNOWN},
]
ESTIMATING_POWERS: list[dict[str, Any]] = [
    ALMGREN | {"inverse_turnover": 163, **ESTIMATED},
    {"type": "Propagator", "coefficient": 1.1, "resilience": 2.3, **ESTIMATED},
    POWER_LAW
    | {"coefficient": 0.7, "relaxation_days": 0.4, "beta": 0.45, "permanent_share": 0.5, **ESTIMATED},
]


@attrs.frozen
class Sliced:
    """Cuts what it lets trade into slices, each some ticks worse than the one before."""

    count: int
    share: float = 1.0  #: of what is open
    ticks: int = 1

    def evaluate(self, ctx: FillArgs, /) -> FillOut | tuple[FillOut, ...]:
        """Answer the slices; of one that is less than a lot nothing is left."""
        quantity = ctx.leaves_quantity * self.share / self.count
        worse = ctx.side * self.ticks * ctx.tick_size
        return tuple(FillOut(ctx.price + worse * n, quantity, ctx.liquidity) for n in range(self.count))


slices = st.builds(
    Sliced,
    st.sampled_from([2, 3, 4]),
    share=st.sampled_from([1.0, 1.0, 0.7]),
    ticks=st.sampled_from([1, 0, 3, -1]),
)


@attrs.frozen
class Queued:
    """Fills less the more is known to be ahead, and every third order not before the queue is short."""

    share: float = 1.0  #: of what is open where nothing is known to be ahead
    longest: float = 40.0

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        """Answer from the queue and the number of the order."""
        if math.isnan(ctx.queue_ahead):
            return FillOut(ctx.price, ctx.leaves_quantity * self.share, ctx.liquidity)
        if ctx.order_id % 3 == 0 and ctx.queue_ahead > self.longest:
            return FillOut()
        return FillOut(ctx.price, ctx.leaves_quantity / (1.0 + ctx.queue_ahead / 16.0), ctx.liquidity)


queued = st.builds(Queued, st.sampled_from([1.0, 0.7]), longest=st.sampled_from([40.0, 0.0, 10.0]))


@attrs.frozen
class Waits:
    """Delays by message, side, instrument, venue, time and chance; some messages are there at once."""

    minutes: float = 60.0

    def evaluate(self, ctx: LatencyArgs, /) -> LatencyOut:
        """Answer for one message."""
        if ctx.ts_ns // 60_000_000_000 % 7 == 3 or ctx.random[3] < 0.1:
            return LatencyOut(0.0)
        part = {"submit": 1.0, "modify": 0.5, "cancel": 0.25}[ctx.message]
        chance = ctx.random[ctx.asset % 3] + ctx.random[1 + ctx.venue]
        return LatencyOut(6e10 * self.minutes * part * chance + (0.5 if ctx.side > 0 else 1.5))


class Delays:
    """A plugin that offers `Waits`, so that a table can name it."""

    @hookimpl
    def ml4t_register_models(self) -> list[ModelSpec]:
        return [ModelSpec("latency", "Waits", f"{__name__}:Waits")]


def impacts_for(kind: str, *, powers: bool) -> list[dict[str, Any]]:
    """Return the impact models for a kind of data; only days have the sessions for an estimate."""
    known, estimating = (POWERS, ESTIMATING_POWERS) if powers else (IMPACTS, ESTIMATING)
    return known + estimating if kind == "day" else known


def estimates(model: dict[str, Any] | None) -> bool:
    """Say whether an impact model needs sessions before the first fill."""
    return model in (*ESTIMATING, *ESTIMATING_POWERS)
