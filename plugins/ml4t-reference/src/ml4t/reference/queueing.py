"""The queue before a resting limit: what is known to be ahead of it at its price.

A quote shows how much stands at the price of its own side, and a print how much of that has traded. An order
keeps its place while it asks for no more than when it was counted; a new price or a larger quantity takes the
place away, and then nothing is known until the next quote. All of it counts in whole lots: what is shown is
rounded up and what was traded down, so no order is better off than the data say.
"""

from __future__ import annotations

import math

from ml4t.reference.matching import Quote, Trade, is_beyond
from ml4t.reference.numbers import units_of_float
from ml4t.reference.orders import Order, Place
from ml4t.reference.plan import Instrument

__all__ = ["after_print", "after_quote", "known_ahead", "left_by"]


def after_quote(order: Order, quote: Quote) -> None:
    """Count an order that rests after a quote that it was active for.

    Its own side at the limit shows the size ahead, and a worse one that nobody is. Behind a better one what
    is known stays, and so it does where the side, or at the limit its size, is missing.
    """
    if not (order.resting and order.acts_as_limit):
        return
    assert order.limit_price is not None
    ahead = known_ahead(order)
    side, size = ("bid", "bid_size") if order.sign > 0 else ("ask", "ask_size")
    price: int | None = getattr(quote, side)
    shown = quote.values.get(size, math.nan)
    if price is not None and price == order.limit_price:
        if not math.isnan(shown):
            units = _lots(shown, order.instrument, up=True)
            ahead = units if ahead is None else min(ahead, units)
    elif price is not None and is_beyond(price, order.limit_price, -order.sign):
        ahead = 0
    _set(order, ahead)


def after_print(order: Order, data: Trade) -> None:
    """Count an order that rests after a print at its limit, which was for those ahead, or beyond it."""
    assert order.limit_price is not None
    ahead = known_ahead(order)
    if is_beyond(data.price, order.limit_price, -order.sign, strictly=True):
        ahead = 0
    elif ahead is not None:
        ahead = max(ahead - _traded(data, order.instrument), 0)
    _set(order, ahead)


def left_by(data: Trade, order: Order, taken: int) -> int | None:
    """Return what a print has for an order after who is ahead of it, and `taken` by own orders before it.

    None where the print is beyond the limit: nobody counts then.
    """
    assert order.limit_price is not None
    if is_beyond(data.price, order.limit_price, -order.sign, strictly=True):
        return None
    ahead = known_ahead(order)
    return 0 if ahead is None else max(_traded(data, order.instrument) - ahead - taken, 0)


def known_ahead(order: Order) -> int | None:
    """Return what is known to be ahead; an order that has grown since it was counted has lost its place."""
    place = order.place
    return None if place is None or order.leaves > place.open else place.ahead


def _set(order: Order, ahead: int | None) -> None:
    order.place = None if ahead is None else Place(ahead=ahead, open=order.leaves)


def _traded(data: Trade, instrument: Instrument) -> int:
    """Return the size of a print; one without size is not known to have traded more than nothing."""
    size = data.values.get("size", math.nan)
    return 0 if math.isnan(size) else _lots(size, instrument, up=False)


def _lots(size: float, instrument: Instrument, *, up: bool) -> int:
    """Round a size to whole lots; the float nearest to a number of units stands for that number."""
    units = units_of_float(size, instrument.quantity_exponent)
    exact = instrument.quantity(units)
    if up:
        units += exact < size
        return -(-units // instrument.lot) * instrument.lot
    units -= exact > size
    return units // instrument.lot * instrument.lot
