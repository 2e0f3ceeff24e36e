"""Trailing stops: the water mark of an order, and the prices that follow it.

A selling order keeps the highest price of the market, a buying one the lowest. The stop keeps a distance from
it and never goes back; the limit of a trailing stop-limit keeps a distance behind the stop. Both stay where
they are once the stop is reached.
"""

from __future__ import annotations

from fractions import Fraction

from ml4t.core.policies import TrailBasis
from ml4t.reference.numbers import half_even
from ml4t.reference.orders import Order, is_up, passive

__all__ = ["begin_at_acceptance", "follow_bar", "follow_price", "meet", "scale", "set_levels"]


def begin_at_acceptance(order: Order, last: int | None) -> None:
    """Begin the water mark with the last price that has arrived; one to be activated waits for that."""
    if order.is_trailing and order.activation_price is None and last is not None:
        _move(order, last)


def meet(order: Order, price: int | None) -> None:
    """Show an order the price of an open, a quote or a print: it may activate it, or be its first.

    A stop that comes into force here lies behind this price, so it is not reached by it.
    """
    if price is not None and order.is_trailing and order.water_mark is None and _activates(order, price):
        _move(order, price)


def follow_bar(order: Order, high: int, low: int, close: int, basis: TrailBasis) -> None:
    """Let the water mark follow a bar that is complete, after it was matched."""
    if not _follows(order):
        return
    best = low if order.sign > 0 else high
    if order.water_mark is None and not _activates(order, best):
        return
    _move(order, close if basis is TrailBasis.CLOSE else best)


def follow_price(order: Order, price: int | None) -> None:
    """Let the water mark follow the side of a quote that triggers the order, or a print."""
    if price is not None and _follows(order) and (order.water_mark is not None or _activates(order, price)):
        _move(order, price)


def set_levels(order: Order) -> None:
    """Compute stop and limit from the water mark, each rounded once."""
    mark = order.water_mark
    if mark is None:
        return
    tick = order.instrument.tick
    distance = order.trail_amount
    if distance is None:
        assert order.trail_fraction is not None
        # A fraction of the size of the price, so that below is below where prices are negative, too.
        distance = abs(mark) * order.trail_fraction
    stop = passive(mark + order.sign * distance, tick, up=is_up(order, "stop_price"))
    order.stop_price = stop
    if order.limit_offset is not None:
        limit = stop + order.sign * order.limit_offset
        order.limit_price = passive(limit, tick, up=is_up(order, "limit_price"))


def scale(order: Order, ratio: Fraction) -> None:
    """Follow a split: distances exactly, the water mark to price units; then the prices anew."""
    if order.trail_amount is not None:
        order.trail_amount /= ratio
    if order.limit_offset is not None:
        order.limit_offset /= ratio
    if order.water_mark is not None:
        order.water_mark = half_even(order.water_mark / ratio)
    if not order.triggered:
        set_levels(order)


def _follows(order: Order) -> bool:
    return order.is_trailing and not order.triggered


def _activates(order: Order, price: int) -> bool:
    """Say whether a price puts the stop in force: a sell waits for a rise, a buy for a fall."""
    if order.activation_price is None:
        return True
    return (price - order.activation_price) * -order.sign >= 0


def _move(order: Order, price: int) -> None:
    """Move the water mark, if the price is better."""
    mark = order.water_mark
    if mark is None or (price - mark) * -order.sign > 0:
        order.water_mark = price
        set_levels(order)
