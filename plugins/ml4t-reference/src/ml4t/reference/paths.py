"""The path of one instrument through what is complete at an instant: who has a chance next, at what price.

In the range of a bar the policy `path` says who comes first. By default it is the worst for the position
held: first what opens or enlarges it, then a stop that closes it, then a target; within each by the distance
from the open, then by submission. A path that is known has a module of its own (`ml4t.reference.known`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import BarPath, FillTiming, OrderInsideBar, QueuePosition
from ml4t.core.types import OrderType, Side, TimeInForce
from ml4t.reference import known, lifetimes, queueing, trailing
from ml4t.reference.market import Data
from ml4t.reference.matching import (
    Bar,
    Offer,
    Quote,
    Trade,
    at_close,
    at_only_close,
    at_open,
    at_own_close,
    at_session_close,
    at_tick,
    in_range,
    own_side,
    reached_stop,
)
from ml4t.reference.orders import TOUCHED, Order
from ml4t.reference.plan import Instrument
from ml4t.reference.rules import Trail

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
    def is_of_open(self) -> bool:
        """Whether it is a fill of an open, which comes before all ranges."""
        return self.leg == OPENS


class Path:
    """Chances of one instrument at what is complete at an instant, in their sequence."""

    def __init__(self, venue: Venue, instrument: Instrument, datas: list[Data]) -> None:
        self._venue = venue
        self.instrument = instrument
        self._datas = datas
        self._tried: set[tuple[int, int]] = set()
        self.stage = OPENS
        self.over: list[Order] = []  #: orders whose one event was matched here
        self._matched: Data | None = None  #: what trailing stops have not followed yet
        self._path = venue.plan.policies.path
        self._trail: Trail | None = None  #: of the position before closes that its stop may meet

    def head(self) -> Chance | None:
        """Return the next chance; a piece of data that has none left is done, a bar after its close."""
        while self._datas:
            data = self._datas[0]
            if not isinstance(data, Bar) and self.stage == OPENS:
                return None
            self.follow()
            chances = self._bar(data) if isinstance(data, Bar) else self._tick(data)
            if chances:
                return min(chances, key=self._place)
            if isinstance(data, Bar) and self.stage != CLOSES:
                return None
            self._leave(data)
        return None

    def _place(self, chance: Chance) -> tuple[int, ...]:
        """Return the place of a chance among those of its instrument; submission decides some by itself."""
        is_by_submission = chance.leg in (OPENS, CLOSES) or self._path is BarPath.SUBMISSION
        turn = self._venue.turn(chance.order) if is_by_submission else (chance.order.id,)
        return chance.leg, chance.distance, *turn

    def attempt(self, chance: Chance, now: int) -> None:
        """Let the order take its chance, once."""
        self._tried.add((chance.order.id, chance.leg if chance.leg in (OPENS, CLOSES) else ENTRIES))
        order = chance.order
        data = self._datas[0]
        if isinstance(data, Bar) and order.waits_for_stop:
            order.triggered = True
        if chance.leg == OPENS and isinstance(data, Bar):
            order.skips_bar = data.ts_event
        if chance.offer.place is not None and chance.offer.liquidity == "maker":
            # The path has come to its limit from where that did not allow the market.
            order.resting = True
        self._venue.attempt(order, chance.offer, data, now, open_only=False)

    def come_to_closes(self) -> None:
        """Go from the ranges to the closes: what is entered there has not seen the high of the bar.

        Where the stop of a position may meet the close it follows the bar later: under a path that knows
        nothing else, and where it got its level inside the bar.
        """
        self.stage = CLOSES
        guards = self._venue.guards
        if self._path is BarPath.CLOSE_ONLY or self._has_new_trail():
            self._trail = guards.trails.get(self.instrument.index)
            return
        for data in self._datas:
            if isinstance(data, Bar):
                guards.follow(self.instrument, data)

    def _has_new_trail(self) -> bool:
        """Say whether the trailing stop of the position meets the close of a bar that it came inside."""
        order = self._venue.guards.orders.get((self.instrument.index, "trailing_stop"))
        return order is not None and any(order in self._came_inside(data) for data in self._datas)

    def met_open(self) -> list[Order]:
        """Return the orders whose one event was the open of a bar that is complete now."""
        bars = [data for data in self._datas if isinstance(data, Bar)]
        return [order for bar in bars for order in self._venue.that_met_open(self.instrument, bar)]

    def _leave(self, data: Data) -> None:
        """Take leave of a piece of data that was matched: it moves trailing stops, and ends some orders."""
        self._datas.pop(0)
        policies = self._venue.plan.policies
        eligible = self._eligible(data)
        over = [order for order in self._came_inside(data) if order.time_in_force in lifetimes.AT_ONCE]
        if isinstance(data, Bar):
            self._remember(data, eligible)
            self._follow_close(data)
        self._matched = data
        for order in eligible:
            event = lifetimes.meets_once(order, policies)
            # An open has ended its orders already.
            if event == "close" or (event == "open" and not isinstance(data, Bar)):
                over.append(order)
        for order in over:
            order.is_over = True
        self.over += over
        self._tried.clear()

    def follow(self) -> None:
        """Let trailing stops follow the data of this turn, once nothing more is matched in it; count queues.

        The stops of positions have followed a bar already.
        """
        data, self._matched = self._matched, None
        if data is None:
            return
        policies = self._venue.plan.policies
        if isinstance(data, Bar):
            for order in self._eligible(data) if self._venue.trades(data) else []:
                trailing.follow_bar(order, data.high, data.low, data.close, policies.trail_basis)
            return
        self._venue.guards.follow(self.instrument, data)
        for order in self._eligible(data):
            trailing.follow_price(order, own_side(order, data))
            if isinstance(data, Quote) and policies.queue_position is QueuePosition.SIZE_AHEAD:
                queueing.after_quote(order, data)

    def _follow_close(self, bar: Bar) -> None:
        """Let the stop of a position follow a bar whose close it could meet, if it was held before."""
        guards = self._venue.guards
        if self._trail is not None and guards.trails.get(self.instrument.index) is self._trail:
            guards.follow(self.instrument, bar)

    def _remember(self, bar: Bar, eligible: list[Order]) -> None:
        """Remember which limits the bar has made wait, and which of them it has triggered."""
        for order in eligible if self._venue.trades(bar) else []:
            if order.becomes_limit and order.waits_for_stop and self._triggers(order, bar):
                order.triggered = order.resting = True
            is_limit = order.order_type is OrderType.LIMIT and (order.id, ENTRIES) not in self._tried
            if is_limit and known.has_begun(order, bar):
                order.resting = True
        for order in self._venue.book.working():
            if order.instrument is self.instrument:
                order.market_at_birth = None

    def _triggers(self, order: Order, bar: Bar) -> bool:
        """Say whether the range of a bar has reached the stop of an order; a close has its turn before."""
        if self._path is BarPath.CLOSE_ONLY:
            return False
        if self._path in known.KNOWN:
            return known.triggered_at(order, bar, self._path) is not None
        return reached_stop(order, bar) is not None

    def _eligible(self, data: Data) -> list[Order]:
        """Return the orders that this piece of data can fill."""
        own = [order for order in self._venue.book.working() if order.instrument is self.instrument]
        return [order for order in own if lifetimes.is_active(order, data)]

    def _came_inside(self, data: Data) -> list[Order]:
        """Return the orders that came inside a bar and meet its close, by `order_inside_bar`."""
        policy = self._venue.plan.policies.order_inside_bar
        if not isinstance(data, Bar) or policy is OrderInsideBar.NEXT_BAR:
            return []
        own = [order for order in self._venue.book.working() if order.instrument is self.instrument]
        return [order for order in own if lifetimes.is_inside(order, data)]

    def _tick(self, data: Quote | Trade) -> list[Chance]:
        chances: list[Chance] = []
        eligible = self._eligible(data)
        for order in eligible:
            # All see it before the first of them trades.
            trailing.meet(order, own_side(order, data))
        for order in sorted(eligible, key=self._venue.turn):
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
        meeting = self._eligible(bar)
        if self.stage == CLOSES:
            meeting += self._came_inside(bar)
        for order in meeting:
            if self.stage == OPENS and self._is_decided(order, bar):
                before = order.triggered
                offer = at_open(order, bar.open, venue.plan.policies)
                if offer is not None:
                    # It counts as reached when its turn comes: a fill before may move the level of a rule.
                    order.triggered = before
                    chances.append(Chance(leg=OPENS, distance=0, order=order, offer=offer))
                    continue
            if self.stage == OPENS:
                continue
            chance = self._at_end(order, bar) if self.stage == CLOSES else self._in_range(order, bar, held)
            if chance is not None:
                chances.append(chance)
        return chances

    def _is_decided(self, order: Order, bar: Bar) -> bool:
        """Say whether the open of this bar decided an order, or has to: one that a fill there has placed."""
        if not self._venue.plan.models.needs_volume or (order.id, OPENS) in self._tried:
            return False
        return order.decided == bar.ts_event

    def _in_range(self, order: Order, bar: Bar, held: int) -> Chance | None:
        """Return the chance of an order inside a bar; it has one, unless it had its turn at the open."""
        policies = self._venue.plan.policies
        is_of_one_event = order.time_in_force in (*lifetimes.ONCE, TimeInForce.CLS)
        if is_of_one_event or order.skips_bar == bar.ts_event or (order.id, ENTRIES) in self._tried:
            return None
        if self._path is BarPath.CLOSE_ONLY:
            return None
        if self._path in known.KNOWN:
            offer = known.meet(order, bar, policies)
            if offer is None or offer.place is None:
                return None
            return Chance(leg=ENTRIES, distance=offer.place, order=order, offer=offer)
        offer = in_range(order, bar, policies)
        if offer is None:
            return None
        if self._path is BarPath.SUBMISSION:
            return Chance(leg=ENTRIES, distance=0, order=order, offer=offer)
        leg = self._leg(order, held)
        return Chance(leg=leg, distance=abs(offer.price - bar.open), order=order, offer=offer)

    def _leg(self, order: Order, held: int) -> int:
        """Return the leg of an order on the path that is the worst for the position held."""
        never_opens = order.side is Side.SELL and not self._venue.plan.account.allows_short
        if held * order.sign >= 0 and not never_opens:
            return ENTRIES
        return TARGETS if order.order_type in (OrderType.LIMIT, *TOUCHED) else STOPS

    def _at_end(self, order: Order, bar: Bar) -> Chance | None:
        """Return the chance of an order at the close of a bar."""
        if (order.id, CLOSES) in self._tried:
            return None
        before = order.triggered
        offer = self._at_close(order, bar)
        if offer is None:
            return None
        # As at an open it counts as reached when its turn comes.
        order.triggered = before
        return Chance(leg=CLOSES, distance=0, order=order, offer=offer)

    def _at_close(self, order: Order, bar: Bar) -> Offer | None:
        """Decide an order at the close of a bar.

        That is an order of the close where its session ends, a market order with `fill_timing`, or any order
        where nothing but closes is known, or that came inside the bar.
        """
        policies = self._venue.plan.policies
        if order.time_in_force is TimeInForce.CLS:
            return at_session_close(order, bar.close, policies) if order.expires == bar.ts_event else None
        if order.time_in_force is TimeInForce.OPG:
            return None
        if lifetimes.is_inside(order, bar):
            return at_own_close(order, bar.close, policies)
        if self._path is BarPath.CLOSE_ONLY:
            return at_only_close(order, bar.close, policies)
        if order.order_type is not OrderType.MARKET or policies.fill_timing is FillTiming.NEXT_OPEN:
            return None
        return at_close(order, bar.close)
