"""The path of one instrument through what is complete at an instant: who has a chance next, at what price.

In the range of a bar the path is the worst for the position held: first what opens or enlarges it, then a
stop that closes it, then a target; within each by the distance from the open, then by submission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ml4t.core.config import FillTiming
from ml4t.core.types import OrderType, Side, TimeInForce
from ml4t.reference import lifetimes, trailing
from ml4t.reference.market import Data
from ml4t.reference.matching import (
    Bar,
    Offer,
    Quote,
    Trade,
    at_close,
    at_open,
    at_session_close,
    at_tick,
    in_range,
    own_side,
    reached_stop,
)
from ml4t.reference.orders import TOUCHED, Order
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.venue import Venue

__all__ = ["RANGES", "Chance", "Path"]

# Legs of the path inside a bar, in their sequence.
OPENS, ENTRIES, STOPS, TARGETS, CLOSES = range(5)
RANGES = ENTRIES  # stage of a path in which entries, stops and targets have their chances


@attrs.frozen(kw_only=True)
class Chance:
    """An order that may trade: where on the path, how far along its leg, and at what price."""

    leg: int
    distance: int
    order: Order
    offer: Offer

    @property
    def place(self) -> tuple[int, int, int]:
        """Sequence of chances of one instrument."""
        return self.leg, self.distance, self.order.id

    @property
    def turn(self) -> tuple[int, int]:
        """Sequence of the heads of several instruments: fills of opens come before all ranges."""
        return (0 if self.leg == OPENS else 1), self.order.id


class Path:
    """Chances of one instrument at what is complete at an instant, in their sequence."""

    def __init__(self, venue: Venue, instrument: Instrument, datas: list[Data]) -> None:
        self._venue = venue
        self.instrument = instrument
        self._datas = datas
        self._tried: set[tuple[int, int]] = set()
        self.stage = OPENS
        self.over: list[Order] = []  #: orders whose one event was matched here
        self._matched: Data | None = None  #: a tick that trailing stops have not followed yet

    def head(self) -> Chance | None:
        """Return the next chance; a piece of data that has none left is done, a bar after its close."""
        while self._datas:
            data = self._datas[0]
            if not isinstance(data, Bar) and self.stage == OPENS:
                return None
            if not isinstance(data, Bar):
                self.follow()
            chances = self._bar(data) if isinstance(data, Bar) else self._tick(data)
            if chances:
                return min(chances, key=lambda chance: chance.place)
            if isinstance(data, Bar) and self.stage != CLOSES:
                return None
            self._leave(data)
        return None

    def attempt(self, chance: Chance, now: int) -> None:
        """Let the order take its chance, once."""
        self._tried.add((chance.order.id, chance.leg if chance.leg in (OPENS, CLOSES) else ENTRIES))
        order = chance.order
        data = self._datas[0]
        if isinstance(data, Bar) and order.waits_for_stop:
            order.triggered = True
        if chance.leg == OPENS and isinstance(data, Bar):
            order.skips_bar = data.ts_event
        self._venue.attempt(order, chance.offer, data, now, open_only=False)

    def come_to_closes(self) -> None:
        """Go from the ranges to the closes: what is entered there has not seen the high of the bar."""
        self.stage = CLOSES
        for data in self._datas:
            if isinstance(data, Bar):
                self._venue.guards.follow(self.instrument, data)

    def met_open(self) -> list[Order]:
        """Return the orders whose one event was the open of a bar that is complete now."""
        bars = [data for data in self._datas if isinstance(data, Bar)]
        return [order for bar in bars for order in self._venue.that_met_open(self.instrument, bar)]

    def _leave(self, data: Data) -> None:
        """Take leave of a piece of data that was matched: it moves trailing stops, and ends some orders."""
        self._datas.pop(0)
        self._tried.clear()
        policies = self._venue.plan.policies
        eligible = self._eligible(data)
        if isinstance(data, Bar):
            self._trigger(data)
            if self._venue.trades(data):
                for order in eligible:
                    trailing.follow_bar(order, data.high, data.low, data.close, policies.trail_basis)
        else:
            self._matched = data
        for order in eligible:
            event = lifetimes.meets_once(order, policies)
            # An open has ended its orders already.
            if event == "close" or (event == "open" and not isinstance(data, Bar)):
                order.is_over = True
                self.over.append(order)

    def follow(self) -> None:
        """Let trailing stops follow the last quote or print, when nothing more is matched against it."""
        data, self._matched = self._matched, None
        if data is None or isinstance(data, Bar):
            return
        self._venue.guards.follow(self.instrument, data)
        for order in self._eligible(data):
            trailing.follow_price(order, own_side(order, data))

    def _trigger(self, bar: Bar) -> None:
        """Remember which orders with a limit the bar has triggered, though the limit allowed no fill."""
        if self._venue.trades(bar):
            for order in self._eligible(bar):
                is_waiting = order.becomes_limit and order.waits_for_stop
                if is_waiting and reached_stop(order, bar) is not None:
                    order.triggered = order.resting = True
        for order in self._venue.book.working():
            if order.instrument is self.instrument:
                order.market_at_birth = None

    def _eligible(self, data: Data) -> list[Order]:
        """Return the orders that this piece of data can fill."""
        own = [order for order in self._venue.book.working() if order.instrument is self.instrument]
        return [order for order in own if lifetimes.is_active(order, data)]

    def _tick(self, data: Quote | Trade) -> list[Chance]:
        chances: list[Chance] = []
        for order in self._eligible(data):
            if (order.id, ENTRIES) in self._tried:
                continue
            offer = at_tick(order, data, self._venue.plan.policies)
            # A fill may have moved the stop of a rule to where the market is, so each time all are looked at.
            if offer is not None:
                return [Chance(leg=ENTRIES, distance=0, order=order, offer=offer)]
        return chances

    def _bar(self, bar: Bar) -> list[Chance]:
        venue = self._venue
        if not venue.trades(bar):
            return []
        chances = []
        held = venue.account.ledger.quantity(self.instrument)
        for order in self._eligible(bar):
            if self.stage == OPENS and self._is_decided(order, bar):
                before = order.triggered
                offer = at_open(order, bar.open, venue.plan.policies)
                if offer is not None:
                    # It counts as reached when its turn comes: a fill before may move the level of a rule.
                    order.triggered = before
                    chances.append(Chance(leg=OPENS, distance=0, order=order, offer=offer))
                    continue
                self._tried.add((order.id, OPENS))
            if self.stage == OPENS:
                continue
            chance = self._in_range(order, bar, held)
            if chance is not None:
                chances.append(chance)
        return chances

    def _is_decided(self, order: Order, bar: Bar) -> bool:
        """Say whether the open of this bar decided an order, or has to: one that a fill there has placed."""
        if not self._venue.plan.models.needs_volume or (order.id, OPENS) in self._tried:
            return False
        return order.decided == bar.ts_event

    def _in_range(self, order: Order, bar: Bar, held: int) -> Chance | None:
        policies = self._venue.plan.policies
        if order.order_type is OrderType.MARKET or order.time_in_force is TimeInForce.CLS:
            if self.stage != CLOSES or (order.id, CLOSES) in self._tried:
                return None
            offer = self._at_close(order, bar)
            return None if offer is None else Chance(leg=CLOSES, distance=0, order=order, offer=offer)
        if order.time_in_force in lifetimes.ONCE:
            return None
        if self.stage == CLOSES or order.skips_bar == bar.ts_event or (order.id, ENTRIES) in self._tried:
            return None
        offer = in_range(order, bar, policies)
        if offer is None:
            return None
        leg = ENTRIES
        never_opens = order.side is Side.SELL and not self._venue.plan.account.allows_short
        if held * order.sign < 0 or never_opens:
            is_stop = order.order_type not in (OrderType.LIMIT, *TOUCHED)
            leg = STOPS if is_stop else TARGETS
        return Chance(leg=leg, distance=abs(offer.price - bar.open), order=order, offer=offer)

    def _at_close(self, order: Order, bar: Bar) -> Offer | None:
        """Decide an order at the close of a bar: with `fill_timing`, or where its session ends."""
        policies = self._venue.plan.policies
        if order.time_in_force is TimeInForce.CLS:
            return at_session_close(order, bar.close, policies) if order.expires == bar.ts_event else None
        if policies.fill_timing is FillTiming.NEXT_OPEN or order.time_in_force is TimeInForce.OPG:
            return None
        return at_close(order, bar.close)
