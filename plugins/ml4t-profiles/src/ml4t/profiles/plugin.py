"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ProfileSpec, hookimpl

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_profiles() -> list[ProfileSpec]:
    """Offer the profiles."""
    return [
        ProfileSpec("conservative", "ml4t.profiles.data:CONSERVATIVE", summary="the side that hurts"),
        ProfileSpec("zipline", "ml4t.profiles.data:ZIPLINE", summary="trades as zipline-reloaded 3.2 does"),
        ProfileSpec(
            "backtrader", "ml4t.profiles.data:BACKTRADER", summary="trades as backtrader 1.9.78 does"
        ),
        ProfileSpec("vectorbt", "ml4t.profiles.data:VECTORBT", summary="trades as vectorbt 1 does"),
        ProfileSpec("lean", "ml4t.profiles.data:LEAN", summary="trades shares as QuantConnect LEAN does"),
    ]
