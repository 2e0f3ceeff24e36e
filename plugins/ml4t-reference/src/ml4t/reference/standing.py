"""The quote that stands: what an order meets at the instant at which it becomes active, `quote_fill`.

To the orders that become active, or that a change makes as new, it is a quote like any other; trailing stops
stay where they are. To other orders it is no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.policies import QueuePosition, QuoteFill
from ml4t.core.types import DataKind, TimeInForce
from ml4t.reference import queueing
from ml4t.reference.market import Data
from ml4t.reference.matching import Quote
from ml4t.reference.orders import Order
from ml4t.reference.paths import RANGES, Path
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.venue import Venue

__all__ = ["StandingPath", "due", "paths"]

OF_A_SESSION = (TimeInForce.OPG, TimeInForce.CLS)


class StandingPath(Path):
    """Chances of the orders of one instrument that become active now, at the quote that stands."""

    def __init__(self, venue: Venue, instrument: Instrument, quote: Quote, orders: list[Order]) -> None:
        super().__init__(venue, instrument, [quote])
        self.stage = RANGES
        self.quote = quote
        self._orders = orders

    def _eligible(self, data: Data) -> list[Order]:
        return [order for order in self._orders if order.is_working]

    def follow(self) -> None:
        """Count queues, once the orders of this instant were matched; no trailing stop moves."""
        data, self._matched = self._matched, None
        has_queue = self._venue.plan.policies.queue_position is QueuePosition.SIZE_AHEAD
        if has_queue and isinstance(data, Quote):
            for order in self._eligible(data):
                queueing.after_quote(order, data)


def paths(venue: Venue, now: int) -> list[StandingPath]:
    """Return the paths of the instruments of which orders meet the quote that stands at this instant."""
    meeting: dict[int, list[Order]] = {}
    for order in _meeting(venue):
        if order.meets_standing == now:
            meeting.setdefault(order.instrument.index, []).append(order)
    found = []
    for index, orders in sorted(meeting.items()):
        quote = _standing(venue, orders[0].instrument, now)
        if quote is not None:
            found.append(StandingPath(venue, venue.plan.instruments[index], quote, orders))
    return found


def due(venue: Venue) -> list[int]:
    """Return when orders meet the quote that stands."""
    return [order.meets_standing for order in _meeting(venue) if order.meets_standing is not None]


def _meeting(venue: Venue) -> list[Order]:
    """Return the orders that can meet a quote that stands; those of a session wait for what they ask for."""
    if venue.plan.policies.quote_fill is not QuoteFill.STANDING:
        return []
    return [
        order
        for order in venue.book.working()
        if order.time_in_force not in OF_A_SESSION
        and order.instrument.matching is not None
        and venue.plan.feeds[order.instrument.matching].kind is DataKind.QUOTE
    ]


def _standing(venue: Venue, instrument: Instrument, now: int) -> Quote | None:
    """Return the last quote of an instrument, if there was no break and no close since; actions end it."""
    quote = venue.last_ticks.get(instrument.index)
    spans = venue.plan.calendars[instrument.calendar].stretches
    if isinstance(quote, Quote) and any(begin <= quote.ts_event <= now < end for begin, end in spans):
        return quote
    return None
