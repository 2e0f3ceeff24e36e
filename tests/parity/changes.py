"""Changes of a profile that at least one case must notice: a comparison that cannot fail proves nothing."""

from __future__ import annotations

CHANGES: dict[str, list[dict[str, str]]] = {
    "backtrader": [
        {"path": "worst"},
        {"same_bar_exit": "allow"},
        {"trail_basis": "high_low"},
        {"limit_slippage": "none"},
        {"zero_volume": "no_fill"},
        {"target_orders": "counted"},
    ],
    "zipline": [
        {"fill_timing": "next_open", "path": "worst"},
        {"path": "submission"},
        {"zero_volume": "fill"},
        {"tick_rounding": "reject"},
        {"limit_slippage": "clamp"},
        {"limit_touch": "through"},
        {"limit_gap": "at_limit"},
    ],
    "vectorbt": [
        {"fill_timing": "next_open"},
        {"path": "ohlc"},
        {"path": "olhc"},
        {"path": "submission"},
        {"insufficient_cash": "reject"},
        {"zero_volume": "no_fill"},
        {"trail_basis": "close"},
        {"limit_touch": "through"},
        {"limit_gap": "at_limit"},
    ],
}
