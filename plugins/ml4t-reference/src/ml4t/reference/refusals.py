"""What is wrong with an order in itself, whatever the account holds: a code and a sentence."""

from __future__ import annotations

from fractions import Fraction

from ml4t.core.policies import Policies, TickRounding
from ml4t.reference.numbers import plain_text
from ml4t.reference.orders import Order, is_up, passive
from ml4t.reference.timestamp import text_of

__all__ = ["PRICES", "Refusal", "delisted", "off_lot", "off_tick", "too_fine", "too_late"]

Refusal = tuple[str, str]

PRICES = ("limit_price", "stop_price", "activation_price")


def delisted(order: Order, since: int, where: str, *, expires: bool) -> Refusal:
    """Refuse an order for an instrument that has ended."""
    if expires:
        return "CONTRACT_EXPIRED", f"{order.instrument.symbol} expired at {text_of(since)} {where}"
    return "DELISTED", f"{order.instrument.symbol} was delisted at {text_of(since)} {where}"


def too_fine(order: Order, policies: Policies, where: str) -> Refusal | None:
    """Refuse a number of more decimals than the instrument keeps; not a price that a policy moves."""
    if order.quantity.denominator != 1:
        return off_lot(order, where)
    if policies.tick_rounding is not TickRounding.REJECT:
        return None
    prices = {name: getattr(order, name) for name in PRICES}
    fine = tuple(name for name, price in prices.items() if price is not None and price.denominator != 1)
    return off_tick(order, fine, policies, where)


def off_lot(order: Order, where: str) -> Refusal | None:
    """Refuse a quantity that is not whole lots."""
    instrument = order.instrument
    if order.quantity % instrument.lot == 0:
        return None
    quantity = plain_text(order.quantity, instrument.quantity_exponent)
    lot = plain_text(instrument.lot, instrument.quantity_exponent)
    return "OFF_LOT", f"quantity {quantity} is not a multiple of lot_size {lot} {where}"


def off_tick(order: Order, names: tuple[str, ...], policies: Policies, where: str) -> Refusal | None:
    """Refuse a price that is not above zero or off the tick, or move it there with `tick_rounding`."""
    instrument = order.instrument
    for name in names:
        price: Fraction | None = getattr(order, name)
        if price is None:
            continue
        text = plain_text(price, instrument.price_exponent)
        if price <= 0 and not instrument.allows_negative_prices:
            return "PRICE_NOT_POSITIVE", f"{name} {text} must be above zero {where}"
        if price % instrument.tick == 0:
            continue
        if policies.tick_rounding is TickRounding.REJECT:
            tick = plain_text(instrument.tick, instrument.price_exponent)
            return "OFF_TICK", f"{name} {text} is not a multiple of tick_size {tick} {where}"
        setattr(order, name, passive(price, instrument.tick, up=is_up(order, name)))
    return None


def too_late(order: Order, now: int, where: str) -> Refusal | None:
    """Refuse an order whose time has come."""
    if order.expires is None or order.expires > now:
        return None
    return "TIME_EXPIRED", f"expire_at {text_of(order.expires)} is not after the present instant {where}"
