"""What a run says about margin: rates of instruments by time, and what its models say about themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, DataError
from ml4t.core.policies import BuyingPower
from ml4t.reference.timestamp import text_of

__all__ = ["CallRow", "MarginRate", "MarginTerms", "read_rates", "read_terms"]


@attrs.frozen(kw_only=True)
class CallRow:
    """A row of `margin_calls`, and what is told of it; amounts are cash units of the base currency."""

    ts: int
    kind: str
    status: str
    equity: int
    requirement: int
    amount: int
    deadline: int | None


@attrs.frozen(kw_only=True)
class MarginRate:
    """Which part of the value of a position is needed from an instant on; NaN where that is not known."""

    ts: int
    instrument: int
    initial: float
    maintenance: float


@attrs.frozen(kw_only=True)
class MarginTerms:
    """What the models of margin and liquidation say about themselves."""

    has_sma: bool  #: whether the test at the close goes by a special memorandum account
    grace_ns: int  #: from a call to its deadline
    warn_at: float | None  #: part of equity from which on maintenance is warned of; None for no warnings
    liquidates_at_price: bool  #: whether a position is closed at the price that takes its margin
    is_isolated: bool  #: whether only what opened a position stands behind it then
    liquidation_fee: Fraction  #: part of the value that is closed so, taken beside the fee


def read_terms(spec: Mapping[str, Any]) -> MarginTerms:
    """Read what the models say from the description of a run.

    Raises
    ------
    ConfigError
        If the models do not go together with each other or with the account, or are not covered.
    """
    margin, liquidation = spec.get("margin_model"), spec.get("liquidation_model")
    if margin is None and liquidation is not None:
        message = "a liquidation_model closes what a margin_model asks for, and there is no margin_model"
        raise ConfigError(message)
    if margin is not None:
        _refuse_other_bounds(spec["account"])
        if margin.get("liquidates_at_price", False):
            _refuse_what_has_no_price(spec, liquidation)
    warn_at = math.nan if liquidation is None else float(liquidation.get("warn_at", math.nan))
    return MarginTerms(
        has_sma=margin is not None and bool(margin.get("has_sma", False)),
        grace_ns=0 if liquidation is None else int(liquidation.get("grace_ns", 0)),
        warn_at=None if math.isnan(warn_at) else warn_at,
        liquidates_at_price=margin is not None and bool(margin.get("liquidates_at_price", False)),
        is_isolated=margin is not None and bool(margin.get("is_isolated", False)),
        liquidation_fee=Fraction(0 if margin is None else float(margin.get("liquidation_fee", 0.0))),
    )


def _refuse_what_has_no_price(spec: Mapping[str, Any], liquidation: object) -> None:
    """Refuse what does not go together with positions that are closed at a price."""
    if liquidation is not None:
        message = "a margin_model that liquidates at a price takes no liquidation_model beside it"
        raise ConfigError(message)
    paid = [each["symbol"] for each in spec["instruments"] if each.get("settlement", "upfront") == "upfront"]
    if paid:
        message = (
            "a margin_model that liquidates at a price is for positions that are not paid for, and "
            f"{', '.join(paid)} settle upfront"
        )
        raise ConfigError(message)


def _refuse_other_bounds(account: Mapping[str, Any]) -> None:
    """Refuse what would bound the account beside its margin model."""
    if account["buying_power"] != BuyingPower.EQUITY.value:
        message = f"with a margin_model buying_power must be 'equity', found {account['buying_power']!r}"
        raise ConfigError(message)
    if Fraction(account["leverage"]) != 1:
        message = f"leverage counts without a margin_model alone, found {account['leverage']}"
        raise ConfigError(message)


def read_rates(spec: Mapping[str, Any], symbols: Sequence[str]) -> tuple[MarginRate, ...]:
    """Read the margin rates, sorted by time and instrument.

    Raises
    ------
    DataError
        If one is infinite or below zero.
    """
    rates = tuple(MarginRate(**each) for each in spec.get("margin_rates", ()))
    for rate in rates:
        for name, value in (("initial", rate.initial), ("maintenance", rate.maintenance)):
            if value < 0 or math.isinf(value):
                message = (
                    f"margin rates: {name} {value!r} of {symbols[rate.instrument]} at "
                    f"{text_of(rate.ts)} must be finite and not below zero"
                )
                raise DataError(message)
    return rates
