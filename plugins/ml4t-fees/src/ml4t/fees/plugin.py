"""What this distribution registers."""

from __future__ import annotations

from ml4t.core.hookspecs import ModelSpec, Native, hookimpl
from ml4t.core.types import ModelKind

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_models() -> list[ModelSpec]:
    """Offer the fee models."""
    return [
        _fee("NoFee", "ml4t.fees.no_fee:NoFee", "nothing"),
        _fee("PerShare", "ml4t.fees.per_share:PerShare", "per share, with a minimum and a cap per order"),
        _fee("FixedPerShare", "ml4t.fees.per_share:PerShare", "other name of PerShare"),
        _fee("PerOrder", "ml4t.fees.per_order:PerOrder", "one amount per order that fills"),
        _fee("Fraction", "ml4t.fees.fraction:Fraction", "a fraction of the notional"),
        _fee("PerContract", "ml4t.fees.per_contract:PerContract", "per contract, with amounts per order"),
        _fee("MakerTaker", "ml4t.fees.maker_taker:MakerTaker", "fractions of the notional by liquidity"),
        _fee("Tiered", "ml4t.fees.tiered:Tiered", "marginal rates by what was traded in the month"),
        _fee("IbkrFixed", "ml4t.fees.ibkr_fixed:IbkrFixed", "Interactive Brokers, US stocks, fixed"),
        _fee("LeanIbkr", "ml4t.fees.ibkr_fixed:LeanIbkr", "Interactive Brokers, US stocks, as in LEAN"),
        _fee("IbkrTiered", "ml4t.fees.ibkr_tiered:IbkrTiered", "Interactive Brokers, US stocks, tiered"),
        _fee("IbkrOptions", "ml4t.fees.ibkr_options:IbkrOptions", "Interactive Brokers, US options"),
        _fee("IbkrForex", "ml4t.fees.ibkr_forex:IbkrForex", "Interactive Brokers, spot currencies"),
        _fee("AlpacaFees", "ml4t.fees.alpaca:AlpacaFees", "Alpaca, US stocks: regulatory fees alone"),
        _fee("BinanceSpot", "ml4t.fees.binance:BinanceSpot", "Binance, spot"),
        _fee("BinanceFutures", "ml4t.fees.binance:BinanceFutures", "Binance, USD-margined futures"),
        ModelSpec(
            ModelKind.FX,
            "FxSpread",
            "ml4t.fees.fx_spread:FxSpread",
            native=Native.BUILTIN,
            summary="half a spread, and a commission, for converting currencies",
        ),
    ]


def _fee(name: str, target: str, summary: str) -> ModelSpec:
    return ModelSpec(ModelKind.FEE, name, target, native=Native.BUILTIN, summary=summary)
