"""The profiles: values for `[broker]`; what a configuration says beside a profile comes before them."""

from __future__ import annotations

from types import MappingProxyType

CONSERVATIVE = MappingProxyType(
    {
        # A tenth of what traded, and every marketable order pays 5 basis points.
        "fill_model": {"type": "Default", "volume_limit": 0.1},
        "slippage_model": {"type": "BasisPoints", "bps": 5},
        "policies": {
            "path": "worst",
            "same_bar_exit": "allow",
            "limit_touch": "through",
            "limit_gap": "open_if_better",
            "limit_slippage": "clamp",
            "insufficient_cash": "reject",
            "zero_volume": "no_fill",
        },
    }
)
"""The side that hurts wherever a rule leaves a choice; the other defaults are careful already."""

ZIPLINE = MappingProxyType(
    {
        "allows_short": True,
        "buying_power": "unlimited",
        "lot_policy": "average",
        # Its defaults for equities: FixedBasisPointsSlippage() and PerShare() without a minimum.
        "slippage_model": {"type": "BasisPoints", "bps": 5, "volume_limit": 0.1},
        "commission_model": {"type": "PerShare", "fee": 0.001},
        "policies": {
            "fill_timing": "next_close",
            "path": "close_only",
            # Right for its FixedBasisPoints and FixedSlippage; with VolumeShare set `refuse`.
            "limit_slippage": "full",
            "zero_volume": "no_fill",
            "tick_rounding": "passive",
            "lot_rounding": "down",
            "target_orders": "ignored",
            "target_rounding": "order",
        },
    }
)
"""zipline-reloaded 3.2: decisions of a bar fill at the close of the next, money is never checked."""

BACKTRADER = MappingProxyType(
    {
        "allows_short": True,
        "buying_power": "cash",
        "lot_policy": "average",
        "policies": {
            "fill_timing": "next_open",
            "path": "submission",
            "same_bar_exit": "next_bar",
            "limit_slippage": "clamp",
            "insufficient_cash": "reject",
            "zero_volume": "fill",
            "trail_basis": "close",
            "target_orders": "ignored",
            "target_rounding": "order",
        },
    }
)
"""backtrader 1.9.78: next open, orders of a bar one after the other, children from the next bar on."""

VECTORBT = MappingProxyType(
    {
        "allows_short": True,
        "buying_power": "cash",
        "lot_policy": "average",
        "policies": {
            "fill_timing": "same_close",
            "path": "worst",
            "insufficient_cash": "partial",
            "zero_volume": "fill",
            "tick_rounding": "passive",
            "lot_rounding": "down",
            "target_orders": "ignored",
            "target_rounding": "order",
        },
    }
)
"""vectorbt 1: orders fill at the close they were decided on, and as far as cash goes."""

LEAN = MappingProxyType(
    {
        # An account on margin, as its default brokerage model has it for shares.
        "allows_short": True,
        "leverage": 2,
        "lot_policy": "average",
        # Interactive Brokers for shares. Its cap of 0.5 % of the value counts only above the minimum; a
        # `maximum_fraction` would win over the minimum, in every order below 200 dollars.
        "commission_model": {"type": "PerShare", "fee": 0.005, "minimum": 1.0},
        "policies": {
            # Right where bars end with the session; within it LEAN takes the quote that stands.
            "fill_timing": "next_open",
            "path": "submission",
            "same_bar_exit": "next_bar",
            "limit_touch": "through",
            "limit_gap": "open_if_better",
            "limit_slippage": "none",
            "insufficient_cash": "reject",
            "zero_volume": "fill",
            "trail_basis": "high_low",
            "tick_rounding": "passive",
            "lot_rounding": "down",
            "target_orders": "ignored",
            "target_rounding": "order",
        },
    }
)
"""QuantConnect LEAN: limits are traded through, orders go one by one, money is asked with a leverage of 2."""
