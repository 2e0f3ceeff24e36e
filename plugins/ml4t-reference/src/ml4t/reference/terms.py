"""What an order may say: the terms of each type and time in force, read and checked where they are written.

A term that an order does not take, or that it lacks, is an `OrderError` at the call, and so is a number that
makes no sense. What depends on tick, lot, time or account is for intake.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

import attrs

from ml4t.core.errors import DataError, NumericOverflowError, OrderError
from ml4t.core.types import OrderType, TimeInForce
from ml4t.core.values import to_decimal, to_ns
from ml4t.reference.currencies import Currencies
from ml4t.reference.numbers import CASH_UNIT, LARGEST_CASH, LARGEST_STEP, checked, half_even, plain_text
from ml4t.reference.orders import INSTRUCTIONS, TRAILING, Order
from ml4t.reference.plan import Instrument, Sessions
from ml4t.reference.rules import FRACTION_DECIMALS
from ml4t.reference.timestamp import Timestamp, text_of

__all__ = ["LINKS", "Reader", "amount_to_convert", "decimal", "fits", "kind_of", "member"]

_E = TypeVar("_E", bound=Enum)

PRICES = ("limit_price", "stop_price")
DISTANCES = ("trail_amount", "trail_fraction")
NUMBERS = (*PRICES, *DISTANCES, "limit_offset", "activation_price")
TERMS = (*NUMBERS, "expire_at", *INSTRUCTIONS, "display_quantity", "time_in_force", "tag")
LINKS = ("lot", "parent", "oco", "ouo")  #: other orders; read by the broker, which knows them
CHANGES = ("quantity", *PRICES, *DISTANCES, "limit_offset", "expire_at")

# What each type needs; a trailing type takes one of `DISTANCES` and may take an activation price besides.
NEEDS: dict[OrderType, tuple[str, ...]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
    OrderType.MARKET_IF_TOUCHED: ("stop_price",),
    OrderType.LIMIT_IF_TOUCHED: ("limit_price", "stop_price"),
    OrderType.TRAILING_STOP: (),
    OrderType.TRAILING_STOP_LIMIT: ("limit_offset",),
}

# Names that stand for a type and a time in force.
SHORT = {
    "market_on_open": (OrderType.MARKET, TimeInForce.OPG),
    "limit_on_open": (OrderType.LIMIT, TimeInForce.OPG),
    "market_on_close": (OrderType.MARKET, TimeInForce.CLS),
    "limit_on_close": (OrderType.LIMIT, TimeInForce.CLS),
}

PLAIN = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)


@attrs.frozen
class Reader:
    """Reads the terms of an order of one instrument at an instant."""

    instrument: Instrument
    sessions: Sessions
    now: int

    def order(
        self, name: str, kind: OrderType | str, quantity: Fraction, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of an order.

        Raises
        ------
        TypeError
            If a keyword is not known, or an instruction is no bool.
        OrderError
            If type, time in force and terms do not fit together, or a term makes no sense.
        """
        _refuse_unknown(name, given, TERMS)
        terms = {key: value for key, value in given.items() if value is not None}
        order_type, life = self._kind(kind, terms)
        self._check_numbers(order_type, terms)
        flags = {key: _flag(key, terms.get(key, False)) for key in INSTRUCTIONS}
        self._check_combination(order_type, life, terms, post_only=flags["post_only"])
        if flags["adjust_for_dividend"]:
            self._check_adjusted(order_type, life)
        fields: dict[str, Any] = {key: self._number(key, terms[key]) for key in NUMBERS if key in terms}
        if "display_quantity" in terms:
            fields["display_quantity"] = self._display(terms["display_quantity"], quantity)
        if "expire_at" in terms:
            fields["expires"] = self._instant(terms["expire_at"])
        return fields | flags | {"order_type": order_type, "time_in_force": life, "tag": terms.get("tag", "")}

    def _refuse_kept(self, order: Order) -> None:
        """Refuse to change what is no order of the strategy."""
        if order.liquidates:
            self._refuse(f"order {order.id} belongs to a liquidation and cannot be changed")
        if order.buys_in:
            self._refuse(f"order {order.id} belongs to a buy-in and cannot be changed")
        if order.rolls:
            self._refuse(f"order {order.id} belongs to a roll and cannot be changed")
        if order.rule is not None:
            self._refuse(f"order {order.id} is kept by the rule {order.rule}; set other rules instead")

    def changes(self, order: Order, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the new terms of an order by the names of its fields.

        Raises
        ------
        TypeError
            If a keyword is not known.
        OrderError
            If nothing is asked for, the order is one of a position rule or of a liquidation, or does not take
            a term.
        """
        _refuse_unknown("modify_order", given, CHANGES)
        terms = {key: value for key, value in given.items() if value is not None}
        self._refuse_kept(order)
        if not terms:
            self._refuse(f"modify_order needs something to change: {', '.join(CHANGES)}")
        kind = order.order_type
        taken = (*NEEDS[kind], *(DISTANCES if kind in TRAILING else ()))
        for name in NUMBERS:
            if name in terms and name not in taken:
                self._refuse(f"a {kind.value} order takes no {name}")
        if all(name in terms for name in DISTANCES):
            self._refuse(f"a {kind.value} order needs trail_amount or trail_fraction, not both")
        if "expire_at" in terms and order.time_in_force is not TimeInForce.GTD:
            self._refuse(f"a {order.time_in_force.value} order takes no expire_at; allowed with gtd")
        found: dict[str, Any] = {key: self._number(key, terms[key]) for key in NUMBERS if key in terms}
        if "quantity" in terms:
            found["quantity"] = self._quantity("quantity", terms["quantity"])
            if found["quantity"] <= 0:
                self._refuse("quantity of an order must be above zero")
        if "expire_at" in terms:
            found["expires"] = self._instant(terms["expire_at"])
        return found

    # -- what goes together ------------------------------------------------------------------------------

    def _kind(self, kind: OrderType | str, terms: Mapping[str, Any]) -> tuple[OrderType, TimeInForce]:
        given = terms.get("time_in_force")
        life = TimeInForce.GTC if given is None else member(TimeInForce, "time_in_force", given)
        short = SHORT.get(kind.lower()) if isinstance(kind, str) else None
        if short is None:
            return member(OrderType, "order_type", kind, *SHORT), life
        if given is not None and life is not short[1]:
            self._refuse(f"a {str(kind).lower()} order takes no time_in_force {life.value}")
        return short

    def _check_numbers(self, kind: OrderType, terms: Mapping[str, Any]) -> None:
        is_trailing = kind in TRAILING
        for name in NUMBERS:
            is_optional = is_trailing and name in (*DISTANCES, "activation_price")
            if name in NEEDS[kind] and name not in terms:
                self._refuse(f"a {kind.value} order needs a {name}")
            if name in terms and name not in NEEDS[kind] and not is_optional:
                self._refuse(f"a {kind.value} order takes no {name}")
        if is_trailing and sum(name in terms for name in DISTANCES) != 1:
            self._refuse(
                f"a {kind.value} order needs trail_amount or trail_fraction, not both and not neither"
            )

    def _check_combination(
        self, kind: OrderType, life: TimeInForce, terms: Mapping[str, Any], *, post_only: bool
    ) -> None:
        if life in PLAIN and kind not in (OrderType.MARKET, OrderType.LIMIT):
            self._refuse(f"a {kind.value} order takes no time_in_force {life.value}; allowed: gtc, day, gtd")
        if life is TimeInForce.GTD and "expire_at" not in terms:
            self._refuse("a gtd order needs expire_at")
        if life is not TimeInForce.GTD and "expire_at" in terms:
            self._refuse(f"a {life.value} order takes no expire_at; allowed with gtd")
        if kind is not OrderType.LIMIT:
            for name, is_given in (
                ("post_only", post_only),
                ("display_quantity", "display_quantity" in terms),
            ):
                if is_given:
                    self._refuse(f"a {kind.value} order takes no {name}; allowed with limit")
        if post_only and life in PLAIN:
            self._refuse(f"a {life.value} order takes no post_only; allowed with gtc, day, gtd")

    def _check_adjusted(self, kind: OrderType, life: TimeInForce) -> None:
        """Refuse to adjust for dividends what has no price, or one that follows the market."""
        if kind is OrderType.MARKET or kind in TRAILING:
            self._refuse(
                "adjust_for_dividend takes orders with a fixed limit or stop price, "
                f"found a {life.value} {kind.value} order"
            )

    # -- values ------------------------------------------------------------------------------------------

    def _number(self, name: str, value: object) -> Fraction:
        exact = Fraction(decimal(name, value))
        if name == "trail_fraction":
            fraction = Fraction(half_even(exact * 10**FRACTION_DECIMALS), 10**FRACTION_DECIMALS)
            if not 0 < fraction < 1:
                self._refuse(f"trail_fraction must be above 0 and below 1, found {value}")
            return fraction
        units = fits(exact * 10**self.instrument.price_exponent, name, self.instrument)
        if name in ("trail_amount", "limit_offset") and units.denominator != 1:
            self._refuse_decimals(name, value)
        if name == "trail_amount" and units <= 0:
            self._refuse(f"trail_amount must be above 0, found {value}")
        if name == "limit_offset" and units < 0:
            self._refuse(f"limit_offset must be 0 or above, found {value}")
        return units

    def _refuse_decimals(self, name: str, value: object) -> NoReturn:
        """Refuse a distance that is finer than the prices of the instrument."""
        decimals = -int(decimal(name, value).normalize().as_tuple().exponent)
        symbol, keeps = self.instrument.symbol, self.instrument.price_exponent
        message = f"{name} = {value} of {symbol} has {decimals} decimals, the instrument keeps {keeps}"
        raise OrderError(message)

    def _quantity(self, name: str, value: object) -> Fraction:
        units = Fraction(decimal(name, value)) * 10**self.instrument.quantity_exponent
        return fits(units, name, self.instrument)

    def _display(self, value: object, quantity: Fraction) -> Fraction:
        units = self._quantity("display_quantity", value)
        if units <= 0 or units > quantity:
            self._refuse(f"display_quantity must be above 0 and not above the quantity, found {value}")
        if units % self.instrument.lot:
            lot = plain_text(self.instrument.lot, self.instrument.quantity_exponent)
            self._refuse(f"display_quantity {value} is not a multiple of lot_size {lot}")
        return units

    def _instant(self, value: object) -> int:
        """Return when an order ends: an instant, or the close of the session of a date."""
        if isinstance(value, Timestamp):
            return value.ns
        read = value
        if isinstance(value, str):
            try:
                is_date = len(value.strip()) <= len("2024-01-01")
                kind = dt.date if is_date else dt.datetime
                read = kind.fromisoformat(value.strip())
            except ValueError:
                self._refuse(f"expire_at {value!r} is neither a datetime nor a date of ISO 8601")
        if isinstance(read, dt.datetime):
            try:
                return to_ns(read)
            except DataError as error:
                self._refuse(f"expire_at: {error}")
        if isinstance(read, dt.date):
            label = (read - dt.date(1970, 1, 1)).days
            if label not in self.sessions.labels:
                self._refuse(f"expire_at {read}: {self.sessions.name} has no such session")
            return self.sessions.closes[self.sessions.labels.index(label)]
        self._refuse(f"expire_at is a datetime with a zone, a date or a text of either, found {value!r}")

    def _refuse(self, text: str) -> NoReturn:
        message = f"{text} ({self.instrument.symbol}, {text_of(self.now)})"
        raise OrderError(message)


def kind_of(terms: Mapping[str, Any]) -> OrderType:
    """Return the type that the given prices say."""
    by_prices = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }
    return by_prices[terms.get("limit_price") is not None, terms.get("stop_price") is not None]


def _refuse_unknown(name: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            message = f"{name}() got an unexpected keyword argument {key!r}"
            raise TypeError(message)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        message = f"{name} is True or False, found {value!r}"
        raise TypeError(message)
    return value


def fits(units: Fraction, name: str, instrument: Instrument) -> Fraction:
    """Refuse a number that 64 bits do not hold."""
    if abs(units) > LARGEST_STEP:
        message = f"{name} of {instrument.symbol} leaves the range of 64 bits"
        raise NumericOverflowError(message)
    return units


def amount_to_convert(currencies: Currencies, currency: str, amount: object, now: int) -> int:
    """Return the signed cash units of a conversion that a strategy asks for.

    Raises
    ------
    OrderError
        If the currency is not of the run or is the base currency, or the amount is zero, not a finite number,
        or has more decimals than a ledger keeps.
    """
    where = f"({currency}, {text_of(now)})"
    if currency not in currencies.names[1:]:
        others = ", ".join(currencies.names[1:]) or "none"
        message = f"convert takes a currency of the run other than {currencies.base}: {others} {where}"
        raise OrderError(message)
    units = Fraction(decimal("amount", amount)) * CASH_UNIT
    if units == 0 or units.denominator != 1:
        message = f"convert takes no amount of zero, and 18 decimals at most, found {amount} {where}"
        raise OrderError(message)
    return checked(int(units), LARGEST_CASH, f"the amount of a conversion of {currency}")


def decimal(name: str, value: object) -> Decimal:
    """Return a number exactly, as it is written."""
    plain = value.item() if hasattr(value, "item") else value
    try:
        return to_decimal(plain)
    except DataError:
        message = f"{name} = {value!r} is not a finite number"
        raise OrderError(message) from None


def member(kind: type[_E], name: str, value: object, *others: str) -> _E:
    """Return a member of an enumeration by itself or by its name."""
    if isinstance(value, kind):
        return value
    members: Iterator[_E] = iter(kind)
    by_name = {str(member.value): member for member in members}
    found = by_name.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        message = f"{name} {value!r} is not known; allowed: {', '.join((*by_name, *others))}"
        raise OrderError(message)
    return found
