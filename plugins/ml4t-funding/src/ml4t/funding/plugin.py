"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the models of what holding costs."""
    return [
        _model("borrow", "borrow:BorrowFee", "a yearly rate on the value of a short position"),
        _model("borrow", "borrow:IbkrBorrow", "Interactive Brokers: a rate on rounded collateral"),
        _model("funding", "perpetual:PerpetualFunding", "the rate of the data, on the value at the mark"),
        _model("interest", "interest:CashInterest", "tiers for what is free, and for what is owed"),
    ]


def _model(kind: str, place: str, summary: str) -> ModelSpec:
    name = place.partition(":")[2]
    return ModelSpec(kind, name, f"ml4t.funding.{place}", native=Native.CAPSULE, summary=summary)
