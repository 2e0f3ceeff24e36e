"""A path inside a bar that is known: straight lines from the open over high and low to the close.

A *place* is how far the market has gone since the open, in price units, up and down alike. So an open is at
0, and of an open of 100, a high of 103 and a low of 96 the high is at 3 and the low at 3 + 7 = 10.

An order is at work from the open on, or from the place of the fill that has started it (`Order.began`), and
acts where the path first meets its price from there. Where a limit has to be traded through, its place is one
unit beyond it and its price still that of the place. Nothing here changes an order.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import attrs

from ml4t.core.policies import BarPath, FillTiming, LimitGap, LimitTouch, Policies
from ml4t.core.types import OrderType
from ml4t.reference.matching import Bar, Offer, allows, is_beyond, is_market
from ml4t.reference.orders import Order

__all__ = ["KNOWN", "Line", "has_begun", "meet", "triggered_at"]

KNOWN = (BarPath.OHLC, BarPath.OLHC, BarPath.NEAREST_FIRST)


@attrs.frozen
class Line:
    """The prices between which the market goes straight: open, one extreme, the other, close."""

    corners: tuple[int, ...]

    @classmethod
    def of(cls, bar: Bar, path: BarPath) -> Line:
        """Return the way of the market through a bar; of extremes that are equally near, the low is first."""
        is_high_first = path is BarPath.OHLC
        if path is BarPath.NEAREST_FIRST:
            is_high_first = bar.high - bar.open < bar.open - bar.low
        extremes = (bar.high, bar.low) if is_high_first else (bar.low, bar.high)
        return cls((bar.open, *extremes, bar.close))

    def price_at(self, place: int) -> int:
        """Return where the market stands at a place."""
        for start, end in pairwise(self.corners):
            length = abs(end - start)
            if place <= length:
                return start + place if end > start else start - place
            place -= length
        message = f"the path ends {place} before that place"
        raise AssertionError(message)

    def first(self, begin: int, level: Fraction, sign: int) -> int | None:
        """Return the first place from `begin` on where the market is at a level or beyond it.

        Beyond is above with the sign +1, below with -1. Levels are whole price units.
        """
        gone = 0
        for start, end in pairwise(self.corners):
            length = abs(end - start)
            if gone + length >= begin:
                here = max(gone, begin)
                if is_beyond(self.price_at(here), level, sign):
                    return here
                if is_beyond(end, level, sign):
                    return gone + abs(int(level) - start)
            gone += length
        return None


def has_begun(order: Order, bar: Bar) -> bool:
    """Say whether a fill inside this bar has started the order, or given it another level."""
    return order.began is not None and order.began[0] == bar.ts_event


def meet(order: Order, bar: Bar, policies: Policies) -> Offer | None:
    """Return what an order is offered where the path first meets its price; None where it never does.

    - A market order of the open that a fill has started acts at the place of that fill.
    - A stop is a market order where it is met; where the market is beyond it from the beginning, it is there.
    - A stop-limit that its limit lets fill at the trigger does; otherwise it rests from there on.
    - A limit that a fill has started takes at once what it allows; otherwise it rests.
    """
    line = Line.of(bar, policies.path)
    begin, here = _begin(order, bar)
    if order.order_type is OrderType.MARKET:
        acts = has_begun(order, bar) and policies.fill_timing is FillTiming.NEXT_OPEN
        return _offer(begin, here, here, "taker", is_limit=False) if acts else None
    if order.waits_for_stop:
        met = triggered_at(order, bar, policies.path)
        if met is None:
            return None
        trigger, market = met
        if not order.becomes_limit:
            return _offer(trigger, market, market, "taker", is_limit=False)
        if allows(order, market):
            return _offer(trigger, market, market, "taker", is_limit=True)
        return _resting(order, line, trigger, policies)
    if is_market(order):
        return None
    is_through = policies.limit_touch is LimitTouch.THROUGH
    if has_begun(order, bar) and allows(order, here, strictly=is_through):
        assert order.limit_price is not None
        price = int(order.limit_price) if policies.limit_gap is LimitGap.AT_LIMIT else here
        return _offer(begin, price, here, "taker", is_limit=True)
    return _resting(order, line, begin, policies)


def triggered_at(order: Order, bar: Bar, path: BarPath) -> tuple[int, int] | None:
    """Return where the path first meets the price that triggers an order, and what the market is there."""
    if order.stop_price is None:
        return None
    line = Line.of(bar, path)
    begin, here = _begin(order, bar)
    if is_beyond(here, order.stop_price, order.trigger_sign):
        return begin, here
    place = line.first(begin, order.stop_price, order.trigger_sign)
    return None if place is None else (place, line.price_at(place))


def _resting(order: Order, line: Line, begin: int, policies: Policies) -> Offer | None:
    """Let a limit that rests from a place on fill at its price: where the path is there, or a unit beyond."""
    assert order.limit_price is not None
    beyond = 1 if policies.limit_touch is LimitTouch.THROUGH else 0
    place = line.first(begin, order.limit_price - order.sign * beyond, -order.sign)
    if place is None:
        return None
    price = int(order.limit_price)
    return _offer(place, price, price, "maker", is_limit=True)


def _begin(order: Order, bar: Bar) -> tuple[int, int]:
    """Return the place from which on an order is at work in a bar, and where the market stands there."""
    return order.began[1:] if order.began is not None and has_begun(order, bar) else (0, bar.open)


def _offer(place: int, price: int, market: int, liquidity: str, *, is_limit: bool) -> Offer:
    return Offer(
        price=price, market=market, phase="range", is_limit=is_limit, liquidity=liquidity, place=place
    )
