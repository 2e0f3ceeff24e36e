"""What models of a whole portfolio (margin, liquidation) say about themselves beside their answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import ConfigError, Finding, Ml4tError, ModelError
from ml4t.core.policies import BuyingPower

if TYPE_CHECKING:
    from ml4t.core.config import BrokerSection, RunConfig

__all__ = ["PORTFOLIO", "model_for", "portfolio_terms", "refuse_contradictions"]

PORTFOLIO = ("margin", "liquidation")
_FLAGS = ("has_sma", "liquidates_at_price", "is_isolated")


def portfolio_terms(kind: str, model: object) -> dict[str, Any]:
    """Return what a model of margin or of liquidation says about itself, as the engine reads it.

    Raises
    ------
    ConfigError
        If it says something that cannot be.
    """
    if kind == "margin":
        flags = {name: getattr(model, name, False) for name in _FLAGS}
        for name, flag in flags.items():
            if not isinstance(flag, bool):
                raise ConfigError(_wrong(kind, model, name, flag, "true or false"))
        fee = getattr(model, "liquidation_fee", 0.0)
        if not _is_number(fee) or fee < 0:
            raise ConfigError(_wrong(kind, model, "liquidation_fee", fee, "a finite number of zero or more"))
        return {**flags, "liquidation_fee": float(fee)}
    grace, warn_at = getattr(model, "grace_ns", 0), getattr(model, "warn_at", None)
    if not isinstance(grace, int) or isinstance(grace, bool) or not 0 <= grace < 2**63:
        raise ConfigError(_wrong(kind, model, "grace_ns", grace, "whole nanoseconds, zero or more"))
    if warn_at is not None and not (_is_number(warn_at) and 0 < warn_at <= 1):
        raise ConfigError(_wrong(kind, model, "warn_at", warn_at, "a number above 0 and at most 1, or None"))
    return {"grace_ns": grace, "warn_at": math.nan if warn_at is None else float(warn_at)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(kind: str, model: object, name: str, found: object, allowed: str) -> str:
    return f"{kind} model {type(model).__name__}: {name} is {found!r}, expected {allowed}"


def model_for(kind: str, model: Any, symbols: Sequence[str]) -> Any:  # noqa: ANN401 - a model of any class
    """Return the model for a run with these instruments, of one that has to know them.

    Raises
    ------
    ModelError
        If it cannot say which that is.
    """
    try:
        return model.with_symbols(tuple(symbols))
    except Ml4tError:
        raise
    except Exception as error:
        message = f"{kind} model {type(model).__name__}: with_symbols raised {error!r}"
        raise ModelError(message) from error


def refuse_contradictions(config: RunConfig, models: Mapping[str, object]) -> None:
    """Refuse models of `[broker]`, configured or given as objects, that do not go together.

    Raises
    ------
    ConfigError
        If one of liquidation has none of margin to act on, or one that closes positions at their price
        beside it; or if something else bounds the account too.
    """
    margin, liquidation = models.get("margin"), models.get("liquidation")
    findings = [] if margin is None else [*_other_bounds(config.broker)]
    if liquidation is not None and (message := _no_pair(margin, liquidation)):
        found = type(liquidation).__name__
        findings.append(Finding(path="broker.liquidation_model", message=message, found=found))
    if findings:
        raise config.refused(findings)


def _other_bounds(broker: BrokerSection) -> Iterator[Finding]:
    """Yield what of `[broker]` bounds the account beside a margin model."""
    if broker.leverage != 1:
        message = "leverage and a margin model both bound the account; drop one"
        yield Finding(path="broker.leverage", message=message, found=str(broker.leverage))
    if broker.buying_power is not BuyingPower.EQUITY:
        found = broker.buying_power.value
        message = f"expected 'equity' beside a margin model, which bounds the account, found {found!r}"
        yield Finding(path="broker.buying_power", message=message, found=found)


def _no_pair(margin: object | None, liquidation: object) -> str:
    """Say why a liquidation model cannot stand beside the margin model; nothing where it can."""
    name = type(liquidation).__name__
    if margin is None:
        return f"{name} closes what a margin model calls for, and there is none; give [broker] a margin_model"
    if getattr(margin, "liquidates_at_price", False):
        return (
            f"{type(margin).__name__} closes a position where its price takes the margin, and {name} would "
            "close it by orders; drop the liquidation_model"
        )
    return ""
