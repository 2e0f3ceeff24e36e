"""The models of a run: what fills cost, how long messages take, what holding costs, as its plan says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, ModelError

__all__ = ["Models", "average_days", "read_models"]


@attrs.frozen(kw_only=True)
class Models:
    """The market models, each asked through its Python method `evaluate`."""

    fill: Any
    slippage: Any
    impact: Any  #: None where there is none
    fee: Any
    latency: list[Any]  #: those that instruments name by their index
    borrow: Any  #: this and the four below: None where there is none
    funding: Any
    fx: Any
    margin: Any
    liquidation: Any
    interest: Mapping[str, Any]  #: by currency; one without a model has no interest

    @property
    def all(self) -> list[Any]:
        """The models of fills, in the sequence in which they are asked."""
        given = (self.fill, self.slippage, self.impact, self.fee)
        return [model for model in given if model is not None]

    @property
    def needs_volume(self) -> bool:
        """Whether a fill at the open of a bar depends on the volume of that bar."""
        return any(getattr(model, "needs_volume", False) for model in self.all)


def average_days(model: object) -> int:
    """Return over how many sessions before the present one a model asks for estimates; 0 for none."""
    return getattr(model, "average_days", None) or 0


def read_models(spec: Mapping[str, Any]) -> Models:
    """Read the models from the description of a run."""
    return Models(
        fill=_copy(spec["fill_model"]),
        slippage=_copy(spec["slippage_model"]),
        impact=_maybe_copy(spec, "impact_model"),
        fee=_copy(spec["fee_model"]),
        latency=[_copy(each) for each in spec["latency_models"]],
        borrow=_maybe_copy(spec, "borrow_model"),
        funding=_maybe_copy(spec, "funding_model"),
        fx=_maybe_copy(spec, "fx_model"),
        margin=_maybe_copy(spec, "margin_model"),
        liquidation=_maybe_copy(spec, "liquidation_model"),
        interest={name: _copy(each) for name, each in _interest(spec).items()},
    )


def _interest(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the descriptions of the models of interest by currency."""
    if "interest_model" in spec:
        return {spec["base_currency"]: spec["interest_model"]}
    return dict(spec.get("interest_models", {}))


def _maybe_copy(spec: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a model of any kind
    """Return a model that a run need not have; None where it has none."""
    return _copy(spec[name]) if name in spec else None


def _copy(spec: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a model of any kind
    """Return the model of a run: one with state starts from a copy of itself."""
    model = spec["object"]
    if hasattr(model, "on_market"):
        message = (
            f"{type(model).__name__} wants to be told of the market (on_market), which the reference engine "
            'does not cover; set backtest.engine = "rust"'
        )
        raise ConfigError(message)
    clone = getattr(model, "clone", None)
    if clone is None:
        return model
    try:
        return clone()
    except Exception as error:
        where = f"model {type(model).__name__}, at the start of the run"
        message = f"{where}: clone: {type(error).__name__}: {error}"
        raise ModelError(message) from error
