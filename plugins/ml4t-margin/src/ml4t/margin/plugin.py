"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the models of what a portfolio needs, and of what is closed of it."""
    return [
        _model("margin", "reg_t:RegT", "US Regulation T and FINRA rule 4210"),
        _model("margin", "leverage:FixedLeverage", "the value divided by a leverage"),
        _model(
            "margin", "scenarios:PortfolioMargin", "the worst loss of each underlying over a table of moves"
        ),
        _model("margin", "futures:FuturesMargin", "amounts per contract, of the margin rates of the run"),
        _model("margin", "crypto:CryptoMargin", "tiers of maintenance, cross or isolated, as at exchanges"),
        _model(
            "liquidation", "liquidation:LargestLoserFirst", "the position that has lost most, then the next"
        ),
        _model("liquidation", "liquidation:ProRata", "the same part of every position"),
        _model("liquidation", "liquidation:CloseAll", "every position"),
    ]


def _model(kind: str, place: str, summary: str) -> ModelSpec:
    name = place.partition(":")[2]
    return ModelSpec(kind, name, f"ml4t.margin.{place}", native=Native.CAPSULE, summary=summary)
