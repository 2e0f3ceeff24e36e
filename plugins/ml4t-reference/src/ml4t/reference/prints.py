"""Prints beside quotes: the path of one instrument through the trade ticks that fill what rests.

Such a print fills limits that a quote made wait, and does nothing else: it triggers nothing, moves no
trailing stop, sets no mark and is the one event of no order.
"""

from __future__ import annotations

import attrs

from ml4t.core.policies import QueuePosition
from ml4t.reference import queueing
from ml4t.reference.market import Data
from ml4t.reference.matching import Offer, Quote, Trade, allows, at_print
from ml4t.reference.orders import Order
from ml4t.reference.paths import ENTRIES, Chance, Path

__all__ = ["PrintPath"]


class PrintPath(Path):
    """Chances of the resting limits of one instrument at its prints of an instant, by submission."""

    def _tick(self, data: Quote | Trade) -> list[Chance]:
        assert isinstance(data, Trade)
        for order in sorted(self._eligible(data), key=self._venue.turn):
            if (order.id, ENTRIES) in self._tried:
                continue
            offer = self._offer(order, data)
            if offer is not None:
                return [Chance(leg=ENTRIES, distance=0, order=order, offer=offer)]
        return []

    def _offer(self, order: Order, data: Trade) -> Offer | None:
        """Return what a print has for an order: at its limit only what those ahead of it leave."""
        offer = at_print(order, data, self._venue.plan.policies)
        if offer is None or not self._has_queue:
            return offer
        most = queueing.left_by(data, order, self._venue.taken_from(order, data))
        return None if most == 0 else attrs.evolve(offer, most=most)

    @property
    def _has_queue(self) -> bool:
        return self._venue.plan.policies.queue_position is QueuePosition.SIZE_AHEAD

    def _leave(self, data: Data) -> None:
        self._datas.pop(0)
        self._matched = data
        self._tried.clear()

    def follow(self) -> None:
        """Count queues, once the orders of this turn were matched; no trailing stop moves."""
        data, self._matched = self._matched, None
        if not self._has_queue or not isinstance(data, Trade) or not data.has_traded:
            return
        for order in self._eligible(data):
            if order.resting and order.acts_as_limit and allows(order, data.price):
                queueing.after_print(order, data)
