"""Times in force: when an order may meet the market, and how it ends when its time is over.

An order *at once* (`ioc`, `fok`) or of the *opening* (`opg`) meets one event and nothing after it. On bars
that event is an open; of a market order that fills at closes, and is not one of the opening, it is a close.
So it is where nothing but closes is known, and for an order that came inside the bar and meets its close.
An order of the *close* (`cls`) meets the close of its session.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ml4t.core.policies import BarPath, FillTiming, Policies
from ml4t.core.types import OrderStatus, OrderType, TimeInForce
from ml4t.reference.matching import Bar, Quote, Trade
from ml4t.reference.orders import Order
from ml4t.reference.plan import Sessions

__all__ = ["AT_ONCE", "EXPIRIES", "ONCE", "end_of", "is_active", "is_inside", "meets_once", "set_span"]

AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
ONCE = (*AT_ONCE, TimeInForce.OPG)
NEVER = 2**63 - 1

EXPIRIES = {
    TimeInForce.DAY: "SESSION_CLOSED",
    TimeInForce.GTD: "TIME_EXPIRED",
    TimeInForce.OPG: "NOT_FILLED_AT_OPEN",
    TimeInForce.CLS: "NOT_FILLED_AT_CLOSE",
}


def set_span(order: Order, sessions: Sessions) -> None:
    """Give an order the session that it belongs to, by the moment at which it reaches the venue."""
    if order.time_in_force in (TimeInForce.DAY, TimeInForce.CLS):
        index = bisect_right(sessions.closes, order.active_from)
        order.expires = sessions.closes[index] if index < len(sessions.closes) else None
    elif order.time_in_force is TimeInForce.OPG:
        index = bisect_left(sessions.opens, order.active_from)
        has_session = index < len(sessions.opens)
        order.opens_at = sessions.opens[index] if has_session else NEVER
        order.expires = sessions.closes[index] if has_session else None


def is_active(order: Order, data: Bar | Quote | Trade) -> bool:
    """Say whether a piece of data can fill an order.

    A bar fills what was active at or before its open; a tick only what was active strictly before it. An
    order of the opening waits for the session, and nothing meets an order whose one event is over.
    """
    if order.is_over:
        return False
    if isinstance(data, Bar):
        return max(order.active_from, order.opens_at or order.active_from) <= data.ts_open
    return order.active_from < data.ts_event and (order.opens_at is None or order.opens_at <= data.ts_event)


def is_inside(order: Order, bar: Bar) -> bool:
    """Say whether an order became active inside a bar; then only the close of the bar is certainly later."""
    return not order.is_over and bar.ts_open < order.active_from < bar.ts_event


def meets_once(order: Order, policies: Policies) -> str | None:
    """Return which part of a bar is the one event of an order, None where it may meet several."""
    if order.time_in_force not in ONCE:
        return None
    if order.time_in_force is TimeInForce.OPG:
        return "open"
    is_market_at_close = (
        order.order_type is OrderType.MARKET and policies.fill_timing is not FillTiming.NEXT_OPEN
    )
    return "close" if is_market_at_close or policies.path is BarPath.CLOSE_ONLY else "open"


def end_of(order: Order) -> tuple[OrderStatus, str]:
    """Return how an order ends that meets one event, after it."""
    if order.time_in_force is TimeInForce.OPG:
        return OrderStatus.EXPIRED, EXPIRIES[TimeInForce.OPG]
    return OrderStatus.CANCELED, "NOT_FILLED_AT_ONCE"
