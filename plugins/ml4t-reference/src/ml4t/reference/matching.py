"""What the rules of the market allow an order to do on one piece of data.

Each function takes an order that was active in time and one event, and answers with an `Offer`, the price at
which the order may trade, or None. Reaching a stop is noted on the order. Whether the offer is taken is decided
later: models, cash and permission to short have their say.

The worked table of these rules is the documentation page "Fills on bars".
"""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen

from ml4t.core.config import LimitGap, LimitTouch, Policies
from ml4t.reference.market import Row
from ml4t.reference.orders import Order


@frozen(kw_only=True)
class Offer:
    """A price at which an order may trade.

    Attributes
    ----------
    phase : str
        `open`, `range` or `close` of a bar, `quote`, `trade`.
    is_maker : bool
        Whether the market came to a limit that was resting; a maker pays no spread and no slippage.
    """

    price: Fraction
    phase: str
    is_maker: bool = False


def reaches(order: Order, price: Fraction, goal: Fraction) -> bool:
    """Tell whether a price is at a stop or beyond it: a buy stop waits above, a sell stop below."""
    return order.sign * (price - goal) >= 0


def allows(order: Order, price: Fraction) -> bool:
    """Tell whether an order's limit allows a price."""
    return order.limit_price is None or order.sign * (order.limit_price - price) >= 0


def meets(order: Order, price: Fraction, policies: Policies) -> bool:
    """Tell whether a market that shows a price trades with an order's resting limit."""
    assert order.limit_price is not None
    better = order.sign * (order.limit_price - price)
    return better > 0 or (better == 0 and policies.limit_touch is LimitTouch.TOUCH)


def at_open(order: Order, price: Fraction, policies: Policies, *, takes_opens: bool) -> Offer | None:
    """Decide an order at the open of a bar.

    Market orders take the open if the timing says so. A stop that the open is at or beyond is reached there.
    A limit that the open meets trades at the open, or at its own price with `limit_gap = "at_limit"`.
    """
    if order.waits_for_stop:
        assert order.stop_price is not None
        if not reaches(order, price, order.stop_price):
            return None
        order.triggered = True
        if order.acts_as_market:
            return Offer(price=price, phase="open")
    if order.acts_as_market:
        return Offer(price=price, phase="open") if takes_opens else None
    if not meets(order, price, policies):
        order.is_resting = True
        return None
    return Offer(price=_gap_price(order, price, policies), phase="open", is_maker=order.is_resting)


def _gap_price(order: Order, price: Fraction, policies: Policies) -> Fraction:
    assert order.limit_price is not None
    return order.limit_price if policies.limit_gap is LimitGap.AT_LIMIT else price


def range_price(order: Order, low: Fraction, high: Fraction, policies: Policies) -> Fraction | None:
    """Return where in the range of a bar an order has its moment: its stop or its limit; None if nowhere.

    A stop is reached by the extreme on its side, a resting limit by the opposite one.
    """
    if order.waits_for_stop:
        assert order.stop_price is not None
        return order.stop_price if reaches(order, high if order.sign > 0 else low, order.stop_price) else None
    if order.limit_price is None:
        return None
    return order.limit_price if meets(order, low if order.sign > 0 else high, policies) else None


def in_range(order: Order) -> Offer | None:
    """Decide an order whose moment came within the range of a bar, not having traded at its open.

    A stop trades at the stop price; a stop-limit does so if its limit allows that price, and rests otherwise, for
    what the bar did afterwards is not known. A resting limit trades at its own price.
    """
    if order.waits_for_stop:
        assert order.stop_price is not None
        order.triggered = True
        if allows(order, order.stop_price):
            return Offer(price=order.stop_price, phase="range")
        order.is_resting = True
        return None
    assert order.limit_price is not None
    return Offer(price=order.limit_price, phase="range", is_maker=True)


def on_tick(order: Order, row: Row, policies: Policies) -> Offer | None:
    """Decide an order on a quote or a trade.

    A buy meets the ask and a sell the bid; a print plays both sides. A stop is reached by the price that the
    order would trade at, and trades there. A limit trades at its own price if it was resting, and at the
    market's price on the first one it meets.
    """
    phase = row.kind.value
    name = {"trade": "price", "quote": "ask_price" if order.sign > 0 else "bid_price"}[phase]
    price = row.price(name)
    if price is None:
        return None
    if order.waits_for_stop:
        assert order.stop_price is not None
        if not reaches(order, price, order.stop_price):
            return None
        order.triggered = True
    if order.acts_as_market:
        return Offer(price=price, phase=phase)
    if not meets(order, price, policies):
        order.is_resting = True
        return None
    assert order.limit_price is not None
    if order.is_resting:
        return Offer(price=order.limit_price, phase=phase, is_maker=True)
    return Offer(price=_gap_price(order, price, policies), phase=phase)
