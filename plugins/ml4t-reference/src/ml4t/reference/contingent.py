"""Contingent orders: children that wait for their parent to fill, and groups whose orders share one fate.

A child is taken in and waits. With every fill of its parent it grows to its share of what it asks for, and
with the first lot it is accepted: active from the open of the bar in which the parent filled, like an order
of a position rule. In a group a fill of one member is taken from the others, too; in one of the kind `oco`
the first that ends takes the others with it.

Ends are consequences of ends, so they are worked off one level after the other (`settle`): of an order first
the other members of its group, then its children.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from fractions import Fraction

import attrs

from ml4t.core.types import OrderStatus, TimeInForce
from ml4t.reference import lifetimes, trailing
from ml4t.reference.guards import Occasion
from ml4t.reference.market import Data
from ml4t.reference.matching import Offer
from ml4t.reference.orders import Fill, Order, OrderBook, is_decided
from ml4t.reference.plan import Instrument, Plan

__all__ = ["Birth", "Contingent", "adopt_quantity", "scale"]

BY_GROUP = ("GROUP_FILLED", "GROUP_ENDED")


@attrs.frozen(kw_only=True)
class Birth:
    """A fill of a parent, as its children meet it: what it was, where the market stood, and on which data.

    Where the fill model cut an execution into slices, `fill` is the last and `quantity` that of all of them.
    `is_completing` says that it came with completed data, so that a session that closes now has not closed.
    """

    fill: Fill
    quantity: int
    offer: Offer
    data: Data
    is_completing: bool


@attrs.define
class Contingent:
    """Lets children grow and groups share their fills."""

    plan: Plan
    book: OrderBook
    last: Callable[[Instrument], int | None] = lambda _: None  #: last price that has arrived

    # -- intake ------------------------------------------------------------------------------------------

    def refusal(self, order: Order) -> tuple[str, str] | None:
        """Return why an order is refused for the sake of its parent or of its group."""
        parent = order.parent
        if parent is not None and parent.status.is_closed and not parent.filled:
            return "PARENT_ENDED", ""
        if order.group is None or order.group.kind != "oco":
            return None
        others = [each for each in order.group.members if each is not order and each.status.is_closed]
        if any(each.status is OrderStatus.FILLED for each in others):
            return "GROUP_FILLED", ""
        if any(each.reason_code != "GROUP_FILLED" for each in others):
            return "GROUP_ENDED", ""
        return None

    def take_in(self, child: Order) -> bool:
        """Take a child in and say whether it is to be accepted at once; it waits otherwise."""
        leaves = _share(child)
        if leaves <= 0:
            child.waits_for_parent = True
            return False
        child.quantity = Fraction(leaves)
        return True

    # -- ends --------------------------------------------------------------------------------------------

    def settle(self, now: int) -> None:
        """Work off what follows from the ends of orders, and what follows from that."""
        while self.book.ended:
            self._after_end(self.book.ended.pop(0), now)

    def _after_end(self, order: Order, now: int) -> None:
        is_filled = order.status is OrderStatus.FILLED
        if _is_oco(order) and order.reason_code not in BY_GROUP:
            for other in _others(order):
                self._end(other, now, "GROUP_FILLED" if is_filled else "GROUP_ENDED")
        if not order.filled:
            for child in order.children:
                if child.waits_for_parent:
                    self._end(child, now, "PARENT_ENDED")

    def _end(self, order: Order, now: int, code: str) -> None:
        """Cancel an order, later where the open has decided a fill that `GROUP_ENDED` lets stand."""
        if not order.is_live:
            return
        if code == "GROUP_ENDED" and is_decided(order, now):
            order.waiting.append(lambda later: self._end_late(order, later, code))
            return
        self.book.move(order, OrderStatus.CANCELED, now, code)

    def _end_late(self, order: Order, now: int, code: str) -> None:
        self._end(order, now, code)
        self.settle(now)

    # -- fills -------------------------------------------------------------------------------------------

    def after_fill(self, birth: Birth) -> None:
        """Do what follows from a fill: the group first, then ends, then the children."""
        fill = birth.fill
        order = fill.order
        if order.group is not None and not (_is_oco(order) and order.status is OrderStatus.FILLED):
            for other in _others(order):
                self._reduce(other, birth)
        self.settle(fill.ts)
        for child in list(order.children):
            self._grow(child, birth)
        self.settle(fill.ts)

    def _reduce(self, order: Order, birth: Birth) -> None:
        """Take what a member filled from another; what that leaves rounds down to whole lots."""
        if not order.is_live:
            return
        instrument, fill = order.instrument, birth.fill
        exponents = instrument.quantity_exponent - fill.order.instrument.quantity_exponent
        taken = birth.quantity * Fraction(10) ** exponents
        left = max(_whole(order.leaves - taken, instrument), 0)
        if left == 0:
            self._end(order, fill.ts, "GROUP_FILLED")
            return
        order.taken += order.leaves - left
        order.quantity = Fraction(order.filled + left)
        self.book.note(order, fill.ts, "REDUCED")

    def _grow(self, child: Order, birth: Birth) -> None:
        """Let a child grow to its share; it is accepted with the first lot."""
        leaves = _share(child)
        if child.waits_for_parent:
            if leaves > 0:
                self._accept(child, leaves, birth)
        elif child.is_working and leaves > child.leaves:
            child.quantity = Fraction(child.filled + leaves)

    def _accept(self, child: Order, leaves: int, birth: Birth) -> None:
        now = birth.fill.ts
        child.waits_for_parent = False
        if child.time_in_force is TimeInForce.GTD and child.expires is not None and child.expires <= now:
            self.book.move(child, OrderStatus.REJECTED, now, "TIME_EXPIRED")
            return
        child.quantity = Fraction(leaves)
        is_own = child.instrument is birth.fill.order.instrument
        market = birth.offer.market if is_own else self.last(child.instrument)
        if is_own:
            occasion = Occasion.of(birth.fill, birth.offer, birth.data, self.plan.policies)
            occasion.start(child, needs_volume=self.plan.models.needs_volume)
        else:
            # A bar of its own that opens at this instant has opened already when an open fills the parent.
            child.active_from = now + (birth.fill.phase == "open" and not birth.is_completing)
        child.reserve_price = child.limit_price if child.limit_price is not None else child.stop_price
        if child.reserve_price is None and market is not None:
            child.reserve_price = Fraction(market)
        self._set_span(child, birth)
        trailing.begin_at_acceptance(child, market)
        self.book.move(child, OrderStatus.ACCEPTED, now)

    def _set_span(self, child: Order, birth: Birth) -> None:
        """Give a child its session: the one in which it is accepted, also at the very close of that."""
        sessions = self.plan.calendars[child.instrument.calendar]
        lifetimes.set_span(child, sessions)
        if child.time_in_force in (TimeInForce.DAY, TimeInForce.CLS):
            find = bisect_left if birth.is_completing else bisect_right
            index = find(sessions.closes, birth.fill.ts)
            child.expires = sessions.closes[index] if index < len(sessions.closes) else None


def adopt_quantity(order: Order) -> None:
    """Let an order whose quantity was changed ask for that much."""
    order.asked = order.met + order.quantity - order.filled + order.taken


def scale(order: Order, ratio: Fraction) -> None:
    """Follow a split that has scaled the quantity: what is counted for shares is of the new units."""
    order.met *= ratio
    order.taken *= ratio
    if order.parent is not None and not order.waits_for_parent:
        order.asked = Fraction(_whole(order.asked * ratio, order.instrument))
    else:
        adopt_quantity(order)


def _share(child: Order) -> int:
    """Return what the fills of its parent leave open of a child, in whole lots.

    The share is one of what both were asked for: that neither grew to it yet, nor was reduced, plays no part.
    """
    parent = child.parent
    assert parent is not None
    asked = parent.quantity if parent.rule is not None else parent.asked
    share = _whole(child.asked * min(parent.met / asked, Fraction(1)), child.instrument)
    return max(_whole(share - child.taken - child.met, child.instrument), 0)


def _whole(units: Fraction, instrument: Instrument) -> int:
    return int(units // instrument.lot) * instrument.lot


def _is_oco(order: Order) -> bool:
    return order.group is not None and order.group.kind == "oco"


def _others(order: Order) -> list[Order]:
    """Return the other members of a group as they were sent."""
    assert order.group is not None
    others = [each for each in order.group.members if each is not order]
    return sorted(others, key=lambda each: each.id)
