"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import InstrumentSpec, hookimpl

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_instruments() -> list[InstrumentSpec]:
    """Offer the class of dated futures contracts."""
    return [
        InstrumentSpec(
            "future", "ml4t.futures.contracts:FuturesContract", summary="a dated contract of a futures chain"
        )
    ]
