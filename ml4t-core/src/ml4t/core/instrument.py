"""The instrument: what is traded, and in which steps its prices and quantities move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs

from ml4t.core.errors import DataError, Finding, nearest
from ml4t.core.structuring import Checked, setting
from ml4t.core.types import AssetClass
from ml4t.core.values import decimal_places, decimal_text, to_decimal

__all__ = ["Instrument"]

# Cash is held in units of 1e-18, so price x quantity x multiplier posts exactly up to 18 decimals.
MAX_EXPONENT_SUM = 18
FRACTIONAL_EXPONENT = 8
Settlement = Literal["upfront", "daily", "on_close"]
SETTLEMENTS: tuple[str, ...] = get_args(Settlement)
_ASSET_CLASSES = {member.value: member for member in AssetClass}


def _number(value: Any) -> Any:  # noqa: ANN401
    """Convert what can be converted; `cross_check` reports the rest together with all other faults."""
    try:
        return to_decimal(value)
    except DataError:
        return value


def _asset_class(value: Any) -> Any:  # noqa: ANN401
    """Convert the name of an asset class; `cross_check` reports any other text."""
    return _ASSET_CLASSES.get(value, value) if isinstance(value, str) else value


@attrs.frozen
class Instrument(Checked):
    """A tradable thing with exact price and quantity steps.

    Numbers may be given as int, float, str or Decimal: "0.1" and 0.100 are the same number. The decimals of
    price, quantity and multiplier may together not exceed 18, the decimals of cash. Fields that are not
    usable are a ConfigError that lists them all.

    Examples
    --------
    >>> Instrument("ES", asset_class=AssetClass.FUTURE, tick_size=0.25, multiplier=50).multiplier
    Decimal('50')
    """

    symbol: str  #: unique within a run
    asset_class: AssetClass = setting(AssetClass.EQUITY, convert=_asset_class)  #: or its name
    currency: str = setting("USD")  #: in which prices are quoted and cash moves
    settlement: Settlement | None = setting(None)  #: None: by asset class
    calendar: str = setting("XNYS")  #: of the venue, for example CME_Equity or 24/7
    tick_size: Decimal = setting(Decimal("0.01"), convert=_number)  #: smallest step of an order's price
    lot_size: Decimal = setting(Decimal(1), convert=_number)  #: smallest step of an order's quantity
    multiplier: Decimal = setting(Decimal(1), convert=_number)  #: money per unit of price and quantity
    price_exponent: int = setting(9)  #: decimals the engine keeps of prices
    quantity_exponent: int = setting(0)  #: decimals the engine keeps of quantities
    allows_negative_prices: bool = attrs.field(default=False, kw_only=True)
    #: where it trades, for latencies by venue; None: the name of its calendar
    venue: str | None = setting(None)
    matching_source: str | None = setting(None)  #: feed that fills and marks it; None: the only one it has
    #: last session on which a dated contract trades, a label of its calendar: it is settled and ends with it
    last_trade: dt.date | None = setting(None)

    @classmethod
    def fractional(cls, symbol: str, **fields: Any) -> Instrument:  # noqa: ANN401
        """Build an instrument traded in fractions: quantities in steps of 1e-8 unless `fields` differ."""
        return cls(symbol, **fractional_fields(fields))

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the given fields."""
        for path in ("symbol", "currency", "calendar", "venue"):
            text = "-" if path == "venue" and values.get(path) is None else values.get(path, "-")
            if not isinstance(text, str) or not text or text != text.strip():
                yield _fault(path, "a text without surrounding spaces", text)
        if not isinstance(given := values.get("asset_class", AssetClass.EQUITY), AssetClass):
            guess = nearest(given, _ASSET_CLASSES) if isinstance(given, str) else None
            fault = _fault("asset_class", "a member of AssetClass or its name", given)
            yield attrs.evolve(fault, allowed=tuple(_ASSET_CLASSES), nearest=guess)
        if (given := values.get("settlement")) not in (None, *SETTLEMENTS):
            guess = nearest(given, SETTLEMENTS) if isinstance(given, str) else None
            fault = _fault("settlement", f"{', '.join(SETTLEMENTS)} or None", given)
            yield attrs.evolve(fault, allowed=SETTLEMENTS, nearest=guess)
        yield from _date_faults(values.get("last_trade"))
        steps: dict[str, Decimal] = {}
        for path in ("tick_size", "lot_size", "multiplier"):
            if isinstance(step := values.get(path, Decimal(1)), Decimal) and step > 0:
                steps[path] = step
            else:
                yield _fault(path, "a number above zero", step)
        exponents: dict[str, int] = {}
        for path in ("price_exponent", "quantity_exponent"):
            if type(exponent := values.get(path, 0)) is int and 0 <= exponent <= MAX_EXPONENT_SUM:
                exponents[path] = exponent
            else:
                yield _fault(path, f"a whole number from 0 to {MAX_EXPONENT_SUM}", exponent)
        if values.keys() >= steps.keys() | exponents.keys():
            yield from _precision_faults(steps, exponents)


def fractional_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of an instrument with the defaults of one that trades in fractions."""
    exponent = fields.get("quantity_exponent", FRACTIONAL_EXPONENT)
    return {"quantity_exponent": exponent, "lot_size": f"1e-{exponent}"} | dict(fields)


def _fault(path: str, what: str, found: object) -> Finding:
    text = decimal_text(found) if isinstance(found, Decimal) else repr(found)
    return Finding(path=path, message=f"expected {what}, found {text}", found=text)


def _date_faults(last_trade: object) -> Iterator[Finding]:
    # A datetime is a date to Python; which session an instant belongs to is for a calendar to say.
    if last_trade is not None and type(last_trade) is not dt.date:
        yield _fault("last_trade", "the date of a session or None", last_trade)


def _precision_faults(steps: Mapping[str, Decimal], exponents: Mapping[str, int]) -> Iterator[Finding]:
    """Compare the decimals that steps need with those the engine keeps."""
    kept = {"tick_size": "price_exponent", "lot_size": "quantity_exponent", "multiplier": ""}
    for path, name in kept.items():
        step = steps.get(path, Decimal(1))
        needed, text = decimal_places(step), decimal_text(step)
        if needed > exponents.get(name, needed):
            message = f"{text} needs {name} = {needed}, found {exponents[name]}"
            yield Finding(path=path, message=message, found=text)
        elif step >= Decimal(2**63) / 10 ** (decimals := exponents.get(name, needed)):
            yield _fault(path, f"a number below 2**63 at {decimals} decimals", step)
    total = sum(exponents.values()) + decimal_places(steps.get("multiplier", Decimal(1)))
    if total > MAX_EXPONENT_SUM:
        what = f"price_exponent + quantity_exponent + decimals of the multiplier up to {MAX_EXPONENT_SUM}"
        yield _fault("price_exponent", what, total)
