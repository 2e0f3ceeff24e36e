"""Changes of a profile that at least one case must notice: a comparison that cannot fail proves nothing."""

from __future__ import annotations

from typing import Any

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

MINUTE_AND_HOUR = {"BasicTemplateAlgorithm", "BasicTemplateHourlyAlgorithm"}
DAILY = {"BasicTemplateDailyAlgorithm", "DividendRegressionAlgorithm"}
STOPS = {"StopLimitOrderRegressionAlgorithm", "TrailingStopOrderRegressionAlgorithm"}
SPLIT = {"SplitPartialShareRegressionAlgorithm"}
FUTURES = {"FuturesDailySettlementLongRegressionAlgorithm"}

VECTOR_CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"policies": {"fill_timing": "next_close"}}, MINUTE_AND_HOUR | DAILY | SPLIT | FUTURES),
    # Within a session the fill model gives the quote of that instant, whichever bar it is asked for.
    ({"policies": {"fill_timing": "same_close"}}, DAILY),
    ({"policies": {"lot_rounding": "reject"}}, MINUTE_AND_HOUR | DAILY),
    ({"policies": {"tick_rounding": "reject"}}, {"StopLimitOrderRegressionAlgorithm"}),
    ({"commission_model": {"type": "PerShare", "fee": 0.005}}, STOPS | SPLIT),
    ({"allows_short": False}, FUTURES),
]
"""Changes of `lean`, and the algorithms whose published results are missed then."""

UNNOTICED: dict[str, Any] = {
    "lot_policy": "fifo",
    "leverage": 1,
    "policies": {
        "path": "worst",
        "same_bar_exit": "allow",
        "limit_touch": "touch",
        "limit_gap": "at_limit",
        "limit_slippage": "full",
        "insufficient_cash": "partial",
        "zero_volume": "no_fill",
        "trail_basis": "close",
        "target_orders": "counted",
        "target_rounding": "position",
    },
}
"""Changes of `lean` that no published result shows: these values rest on its rules alone."""
