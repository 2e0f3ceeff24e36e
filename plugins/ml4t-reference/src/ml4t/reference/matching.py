"""The fill table: which order may trade on which piece of market data, and at which price.

Pure functions of an order, a piece of data and the policies. The answer is an `Offer`: the price that the
rules allow. Whether the order takes it, how much of it and at what cost is for models and the account.

A bar is met in three steps. At its **open** market orders trade, and stops and limits that the open has
passed are decided. In its **range** resting limits and stops are reached at their own price. At its **close**
market orders trade under `fill_timing = "next_close"`, and orders of the close where a session ends with it.
With `path = "close_only"` the close decides all of them, as an open would, and with
`order_inside_bar = "close"` those that came inside the bar.
"""

from __future__ import annotations

import math
from fractions import Fraction

import attrs

from ml4t.core.policies import BarPath, FillTiming, LimitGap, LimitTouch, Policies, PrintFills, StopGap
from ml4t.core.types import OrderType, TimeInForce
from ml4t.reference import trailing
from ml4t.reference.numbers import units_of_float
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument

__all__ = ["Bar", "Offer", "Quote", "Trade", "at_close", "at_open", "at_print", "at_tick", "in_range"]
__all__ += ["allows", "at_only_close", "at_own_close", "at_session_close", "is_beyond", "is_market"]
__all__ += ["own_side", "price_units", "reached_stop"]

NAN = math.nan
OF_ONE_EVENT = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)
GAPPED = (OrderType.STOP, OrderType.TRAILING_STOP)  #: market orders once an open has passed their stop


@attrs.frozen(kw_only=True)
class Bar:
    """One bar of the matching source: `open` and the others in price units, `values` as they came."""

    row: int
    ts_open: int
    ts_event: int
    open: int
    high: int
    low: int
    close: int
    volume: float
    values: dict[str, float]


@attrs.frozen(kw_only=True)
class Quote:
    """One quote; a side that is absent is None."""

    row: int
    ts_event: int
    bid: int | None
    ask: int | None
    values: dict[str, float]


@attrs.frozen(kw_only=True)
class Trade:
    """One print."""

    row: int
    ts_event: int
    price: int
    values: dict[str, float]

    @property
    def has_traded(self) -> bool:
        """Whether anything changed hands; a print whose size is missing did trade."""
        return self.values.get("size") != 0


@attrs.frozen(kw_only=True)
class Offer:
    """A price at which the rules allow an order to trade.

    `is_limit` says whether the limit of the order decides, `liquidity` is maker for what was resting, and
    `market` is where the market stood. `place` is how far along its path, where that is known, and `most` how
    many units the queue leaves, where that counts.
    """

    price: int
    market: int
    phase: str
    is_limit: bool
    liquidity: str
    place: int | None = None
    most: int | None = None


def price_units(value: float, instrument: Instrument) -> int | None:
    """Return a price of the market in units, rounded half to even; None where it is missing."""
    return None if math.isnan(value) else units_of_float(value, instrument.price_exponent)


def is_beyond(price: int, level: Fraction, sign: int, *, strictly: bool = False) -> bool:
    """Say whether the market is at the level or, for a buy, above it; for a sell, below it.

    That is when a stop is reached. With the sign turned round it is when a limit is.
    """
    distance = (price - level) * sign
    return distance > 0 if strictly else distance >= 0


def allows(order: Order, price: int, *, strictly: bool = False) -> bool:
    """Say whether the limit of an order allows a price: for a buy at or below it."""
    assert order.limit_price is not None
    return is_beyond(price, order.limit_price, -order.sign, strictly=strictly)


def stops(order: Order, price: int) -> bool:
    """Say whether a price reaches the stop of an order: for a buy at or above it, if touched at or below it.

    A trailing stop that has seen no price yet, or waits for its activation, has no stop to be reached.
    """
    return order.stop_price is not None and is_beyond(price, order.stop_price, order.trigger_sign)


def is_market(order: Order) -> bool:
    """Say whether an order takes the market as it comes: a market order, or a stop that was triggered."""
    if order.order_type is OrderType.MARKET:
        return True
    return order.order_type is not OrderType.LIMIT and order.triggered and not order.becomes_limit


def at_open(order: Order, open_price: int, policies: Policies) -> Offer | None:
    """Decide an order at the open of a bar; a stop that the open has passed counts as triggered.

    - A market order takes the open.
    - A limit through a gap fills at the better open, or at its own price with `at_limit`.
    - A stop through a gap fills at the open, the gap is the order's; or at its own price with `at_stop`.
    - A stop-limit through a gap is triggered, and its limit decides like any other from there on.
    - An order if touched is triggered by an open that is there already, at that price.
    - An order of the opening takes the open whatever `fill_timing` says, one of the close never does.
    - Where nothing but closes is known, only an order of the opening meets the open.
    """
    is_of_opening = order.time_in_force is TimeInForce.OPG
    if order.time_in_force is TimeInForce.CLS or (policies.path is BarPath.CLOSE_ONLY and not is_of_opening):
        return None
    is_market_at_close = (
        order.order_type is OrderType.MARKET and policies.fill_timing is not FillTiming.NEXT_OPEN
    )
    if is_market_at_close and not is_of_opening:
        return None
    trailing.meet(order, open_price)
    return _at_price(order, open_price, "open", policies)


def _at_price(order: Order, price: int, phase: str, policies: Policies) -> Offer | None:
    """Decide an order at the one price that an open is, or a close that is all that it meets."""
    if order.waits_for_stop:
        if not stops(order, price):
            return None
        order.triggered = True
        if phase == "open" and policies.stop_gap is StopGap.AT_STOP and order.order_type in GAPPED:
            # The market stands at the open all the same.
            assert order.stop_price is not None
            own = int(order.stop_price)
            return Offer(price=own, market=price, phase=phase, is_limit=False, liquidity="taker")
    if is_market(order):
        return Offer(price=price, market=price, phase=phase, is_limit=False, liquidity="taker")
    return _gapped_limit(order, price, phase, policies)


def _gapped_limit(order: Order, price: int, phase: str, policies: Policies) -> Offer | None:
    """Decide a limit at an open or at a tick: marketable the first time, resting afterwards.

    A marketable limit takes; one that had to wait, because what it met did not allow it, rests and makes.
    """
    if not allows(order, price, strictly=policies.limit_touch is LimitTouch.THROUGH):
        order.resting = True
        return None
    assert order.limit_price is not None
    own = int(order.limit_price) if policies.limit_gap is LimitGap.AT_LIMIT else price
    liquidity = "maker" if order.resting else "taker"
    return Offer(price=own, market=price, phase=phase, is_limit=True, liquidity=liquidity)


def in_range(order: Order, bar: Bar, policies: Policies) -> Offer | None:
    """Decide an order in the range of a bar: a limit or stop that the range reached trades at its price.

    A stop-limit that is reached stands at its stop price: it trades there if its limit allows, and rests
    otherwise, because what the bar did after that is unknown. So does a limit if touched.
    """
    if order.order_type is OrderType.MARKET:
        return None
    if order.waits_for_stop:
        reached = reached_stop(order, bar)
        if reached is None:
            return None
        if not order.becomes_limit:
            return Offer(price=reached, market=reached, phase="range", is_limit=False, liquidity="taker")
        if not allows(order, reached):
            return None
        return Offer(price=reached, market=reached, phase="range", is_limit=True, liquidity="taker")
    if is_market(order):
        return None
    extreme = bar.low if order.sign > 0 else bar.high
    if not allows(order, extreme, strictly=policies.limit_touch is LimitTouch.THROUGH):
        return None
    assert order.limit_price is not None
    limit = int(order.limit_price)
    return Offer(price=limit, market=limit, phase="range", is_limit=True, liquidity="maker")


def reached_stop(order: Order, bar: Bar) -> int | None:
    """Return where the market stands when the range of a bar reaches a stop; None when it does not.

    That is the stop price, except for a stop that a fill inside this bar has placed beyond the market: it
    acts at once, where the market stood at that fill.
    """
    born = order.market_at_birth
    if born is not None and stops(order, born):
        return born
    extreme = bar.high if order.trigger_sign > 0 else bar.low
    if order.stop_price is None or not stops(order, extreme):
        return None
    return int(order.stop_price)


def at_close(order: Order, close: int) -> Offer:
    """Let a market order trade at a close."""
    return Offer(price=close, market=close, phase="close", is_limit=False, liquidity="taker")


def at_only_close(order: Order, close: int, policies: Policies) -> Offer | None:
    """Decide an order at a close that is all that is known of its bar, like at an open."""
    trailing.meet(order, close)
    return _taking(order, close, policies)


def at_own_close(order: Order, close: int, policies: Policies) -> Offer | None:
    """Decide an order at the close of a bar that it came inside.

    That is neither the beginning of a trailing stop nor a reason for a limit to rest: those are for opens.
    """
    is_through = policies.limit_touch is LimitTouch.THROUGH
    if order.acts_as_limit and not allows(order, close, strictly=is_through):
        return None
    return _taking(order, close, policies)


def _taking(order: Order, close: int, policies: Policies) -> Offer | None:
    """Decide an order at a close: whatever made a limit wait before, what fills there takes it."""
    offer = _at_price(order, close, "close", policies)
    return None if offer is None else attrs.evolve(offer, liquidity="taker")


def at_session_close(order: Order, close: int, policies: Policies) -> Offer | None:
    """Let an order of the close trade at the close of its session; a limit only where that is within it."""
    is_limit = order.order_type is OrderType.LIMIT
    if is_limit and not allows(order, close, strictly=policies.limit_touch is LimitTouch.THROUGH):
        return None
    return Offer(price=close, market=close, phase="close", is_limit=is_limit, liquidity="taker")


def own_side(order: Order, data: Quote | Trade) -> int | None:
    """Return the price of a tick for an order: a buy meets the ask, a sell the bid; a print is both."""
    if isinstance(data, Trade):
        return data.price
    return data.ask if order.sign > 0 else data.bid


def at_tick(order: Order, data: Quote | Trade, policies: Policies) -> Offer | None:
    """Decide an order at a quote or print that came after it was active.

    A buy meets the ask and a sell the bid; a print plays both sides. A limit that was resting fills at its
    own price; one that the first tick it meets has passed already, at the better price of the tick.
    """
    if order.time_in_force is TimeInForce.CLS:
        return None
    price = own_side(order, data)
    phase = "trade" if isinstance(data, Trade) else "quote"
    if price is None:
        # A limit that finds nobody to trade with has to wait.
        order.resting = order.resting or not order.waits_for_stop
        return None
    trailing.meet(order, price)
    if order.waits_for_stop:
        if not stops(order, price):
            return None
        order.triggered = True
    if is_market(order):
        return Offer(price=price, market=price, phase=phase, is_limit=False, liquidity="taker")
    offer = _gapped_limit(order, price, phase, policies)
    if offer is not None and order.resting:
        assert order.limit_price is not None
        return attrs.evolve(offer, price=int(order.limit_price))
    return offer


def at_print(order: Order, data: Trade, policies: Policies) -> Offer | None:
    """Decide an order at a print beside the quotes that it is matched against.

    A limit that a quote made wait fills at its own price; a print of size 0 did not trade. Orders of one
    event meet quotes alone.
    """
    if not (order.resting and order.acts_as_limit) or order.time_in_force in OF_ONE_EVENT:
        return None
    is_through = policies.print_fills is PrintFills.THROUGH
    if not data.has_traded or not allows(order, data.price, strictly=is_through):
        return None
    assert order.limit_price is not None
    limit = int(order.limit_price)
    return Offer(price=limit, market=data.price, phase="trade", is_limit=True, liquidity="maker")
