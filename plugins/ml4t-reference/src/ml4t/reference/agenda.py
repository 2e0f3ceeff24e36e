"""Which order comes next, where several meet the same data and may want the same cash or volume.

Within an instrument orders go by the path that the data is assumed to have taken; the lists of several instruments
are merged by the sequence numbers of the orders at their heads. The position of an instrument in the universe plays
no part.

At the open of a bar, on a quote and on a trade there is no path: orders go by sequence. What bars that end together still
offer is worked off leg by leg: all opens, all ranges, all closes. Within the range of a bar the path is the worst for the position held: first what opens it or adds to it, then stops that close it, then targets; in
each of these groups by the distance from the open, then by sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

from attrs import define, field

from ml4t.core.config import FillTiming, Policies
from ml4t.reference.market import Row
from ml4t.reference.matching import Offer, at_open, in_range, on_tick, range_price
from ml4t.reference.orders import Order

Attempt = Callable[[Order, Offer, Row], None]


class Agenda(Protocol):
    """A list of orders that have their moment on some data, made as it is worked off."""

    def head(self) -> Order | None:
        """Return the order that comes next, or None when there is none left."""

    def work(self) -> None:
        """Try to fill that order."""


def work_off(agendas: Sequence[Agenda]) -> None:
    """Work off several agendas, always the one next whose head was sent first."""
    while True:
        heads = [(order.id, agenda) for agenda in agendas if (order := agenda.head()) is not None]
        if not heads:
            return
        min(heads, key=lambda head: head[0])[1].work()


@define(kw_only=True, eq=False)
class BarVisit:
    """A bar and the orders that were active at or before its open: no other order can meet it.

    Attributes
    ----------
    offered : list of order and offer
        What the open offers, by sequence: decided at the open, and booked there unless a model needs the volume.
    waiting : list of Order
        Those that had no offer at the open.
    cancels : list of Order
        Cancels that arrived after the open, which they cannot undo, and before it was booked.
    """

    row: Row
    offered: list[tuple[Order, Offer]] = field(factory=list)
    waiting: list[Order] = field(factory=list)
    cancels: list[Order] = field(factory=list)

    @classmethod
    def at_open(cls, row: Row, orders: Sequence[Order], policies: Policies) -> BarVisit:
        """Decide orders at the open of a bar."""
        visit = cls(row=row)
        price = row.price("open")
        assert price is not None
        takes_opens = policies.fill_timing is FillTiming.NEXT_OPEN
        for order in orders:
            offer = at_open(order, price, policies, takes_opens=takes_opens)
            if offer is None:
                visit.waiting.append(order)
            else:
                visit.offered.append((order, offer))
        return visit

    def holds(self, order: Order) -> bool:
        """Tell whether the open has offered an order a price that is not booked yet."""
        return any(each is order for each, _ in self.offered)


@define(kw_only=True, eq=False)
class OpenAgenda:
    """What the open of a bar offers, by sequence."""

    visit: BarVisit
    attempt: Attempt

    def head(self) -> Order | None:
        """Return the next order."""
        while self.visit.offered and not self.visit.offered[0][0].is_working:
            self.visit.offered.pop(0)
        return self.visit.offered[0][0] if self.visit.offered else None

    def work(self) -> None:
        """Try it."""
        order, offer = self.visit.offered.pop(0)
        self.attempt(order, offer, self.visit.row)


@define(kw_only=True, eq=False)
class RangeAgenda:
    """Orders within the range of a bar, by the path that is worst for the position."""

    visit: BarVisit
    policies: Policies
    position: Callable[[], Fraction]
    attempt: Attempt

    def head(self) -> Order | None:
        """Return the order whose moment comes first, given what is held now."""
        row, held = self.visit.row, self.position()
        low, high, opened = row.price("low"), row.price("high"), row.price("open")
        assert low is not None
        assert high is not None
        assert opened is not None
        best: tuple[tuple[int, Fraction, int], Order] | None = None
        for order in self.visit.waiting:
            price = range_price(order, low, high, self.policies) if order.is_working else None
            if price is not None:
                key = (_group(order, held), abs(price - opened), order.id)
                best = min(best, (key, order), key=lambda each: each[0]) if best else (key, order)
        return None if best is None else best[1]

    def work(self) -> None:
        """Try it."""
        order = self.head()
        assert order is not None
        self.visit.waiting.remove(order)
        offer = in_range(order)
        if offer is not None:
            self.attempt(order, offer, self.visit.row)


def _group(order: Order, held: Fraction) -> int:
    """Return the group of an order on the worst path: 0 opens or adds, 1 is a stop, 2 is a target."""
    if order.sign * held >= 0:
        return 0
    return 1 if order.waits_for_stop else 2


@define(kw_only=True, eq=False)
class CloseAgenda:
    """Market orders at the close of a bar, by sequence."""

    visit: BarVisit
    attempt: Attempt

    def head(self) -> Order | None:
        """Return the next market order that waited for the close."""
        return next((o for o in self.visit.waiting if o.is_working and o.acts_as_market), None)

    def work(self) -> None:
        """Try it."""
        order = self.head()
        assert order is not None
        self.visit.waiting.remove(order)
        price = self.visit.row.price("close")
        assert price is not None
        self.attempt(order, Offer(price=price, phase="close"), self.visit.row)


@define(kw_only=True, eq=False)
class TickAgenda:
    """Orders on the quotes or trades that one instrument had at one instant: row after row, by sequence."""

    rows: deque[Row]
    orders: Sequence[Order]
    policies: Policies
    attempt: Attempt
    _left: list[Order] = field(factory=list)
    _row: Row | None = None
    _front: tuple[Order, Offer] | None = None

    def head(self) -> Order | None:
        """Return the next order that a row offers a price to."""
        while self._front is None:
            if not self._left:
                if not self.rows:
                    return None
                self._row, self._left = self.rows.popleft(), list(self.orders)
                continue
            order = self._left.pop(0)
            assert self._row is not None
            if order.is_working and order.active_at < self._row.ts_event:
                offer = on_tick(order, self._row, self.policies)
                self._front = None if offer is None else (order, offer)
        return self._front[0]

    def work(self) -> None:
        """Try it."""
        assert self._front is not None
        assert self._row is not None
        (order, offer), self._front = self._front, None
        self.attempt(order, offer, self._row)
