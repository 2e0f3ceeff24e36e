"""Changes of orders that work: `modify_order`, decided when it reaches the venue.

An order that was changed is as new for the market: a bar that has opened does not meet it, and a limit with a
new price has not rested. A smaller quantity alone keeps its standing. What the open of a bar has decided
stands; a change that comes before that is booked finds what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import attrs

from ml4t.core.policies import InsufficientCash
from ml4t.reference import contingent, power, trailing
from ml4t.reference.lenders import lacks_a_lender
from ml4t.reference.numbers import plain_text
from ml4t.reference.orders import Order, is_decided
from ml4t.reference.plan import Plan
from ml4t.reference.pricing import Pricing
from ml4t.reference.refusals import Refusal, off_lot, off_tick, too_late
from ml4t.reference.timestamp import text_of
from ml4t.reference.venue import Venue

__all__ = ["Replace", "Replacing"]

TERMS = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_fraction", "limit_offset", "expires")
TRIGGERS = ("stop_price", "trail_amount", "trail_fraction")


@attrs.frozen
class Replace:
    """A request to change an order: the new terms by the names of its fields; what is left out stays."""

    order: Order
    terms: Mapping[str, Fraction | int]


@attrs.frozen
class Replacing:
    """Decides changes."""

    plan: Plan
    venue: Venue
    pricing: Pricing

    def decide(self, request: Replace, now: int, *, after_opens: bool) -> None:
        """Make a change or refuse it, and write that down; later, where a fill has to be booked before."""
        order = request.order
        if order.is_working and is_decided(order, now):
            order.waiting.append(lambda later: self.decide(request, later, after_opens=False))
            return
        order.replaces -= 1
        new = _changed(request)
        refusal = self._refusal(request, new, now)
        if refusal is not None:
            self.venue.book.note(order, now, "REPLACE_REJECTED", f"change refused: {refusal[1]}")
            return
        _apply(request, new, now + after_opens)
        self.venue.book.note(order, now, "REPLACED")

    def _refusal(self, request: Replace, new: Order, now: int) -> Refusal | None:
        """Return why nothing changes; may round prices of the new order."""
        order = request.order
        where = f"({order.instrument.symbol}, {text_of(now)})"
        if not order.is_live:
            return "ORDER_COMPLETE", f"the order is {order.status.value} {where}"
        prices = tuple(name for name in ("limit_price", "stop_price") if name in request.terms)
        refusal = off_lot(new, where) if "quantity" in request.terms else None
        refusal = refusal or off_tick(new, prices, self.plan.policies, where)
        if refusal is None and new.quantity <= order.filled:
            found, filled = (
                plain_text(x, order.instrument.quantity_exponent) for x in (new.quantity, order.filled)
            )
            refusal = "ALREADY_FILLED", f"quantity {found} is not above what is filled, {filled} {where}"
        if refusal is None and "expires" in request.terms:
            refusal = too_late(new, now, where)
        if refusal is not None:
            return refusal
        if prices:
            new.reserve_price = new.limit_price if new.limit_price is not None else new.stop_price
        if order.waits_for_parent:
            return None
        return self._account_refusal(order, new, now)

    def _account_refusal(self, order: Order, new: Order, now: int) -> Refusal | None:
        """Refuse what the account cannot carry of what is added."""
        account = self.venue.account
        if new.quantity > order.quantity and not self.venue.is_covered(new):
            return "SHORT_NOT_ALLOWED", self.venue.short_text(new, new.leaves, now)
        refusal = lacks_a_lender(self.plan, self.venue, new, now, instead_of=order)
        if new.quantity > order.quantity and refusal is not None:
            return refusal
        added = account.need(new) - account.need(order)
        if added <= 0 or self.plan.policies.insufficient_cash is not InsufficientCash.REJECT:
            return None
        aside = account.set_aside(self.venue.book.working())
        missing = power.missing(account, self.pricing, order.instrument, added, aside)
        if missing is None:
            return None
        needed, there = missing.texts
        return "INSUFFICIENT_BUYING_POWER", (
            f"it needs buying power of {needed} more, {there} ({order.instrument.symbol}, {text_of(now)})"
        )


def _changed(request: Replace) -> Order:
    """Return the order as it would be; the one kind of distance takes the place of the other."""
    terms = dict(request.terms)
    new = attrs.evolve(request.order)
    if "trail_amount" in terms:
        new.trail_fraction = None
    if "trail_fraction" in terms:
        new.trail_amount = None
    for name, value in terms.items():
        setattr(new, name, value)
    return new


def _apply(request: Replace, new: Order, active_from: int) -> None:
    """Give an order its new terms and its new standing."""
    order = request.order
    if order.is_trailing and set(request.terms) & {"trail_amount", "trail_fraction", "limit_offset"}:
        trailing.set_levels(new)
    only_less = tuple(request.terms) == ("quantity",) and new.quantity < order.quantity
    if new.limit_price != order.limit_price:
        order.resting = False
    if any(getattr(new, name) != getattr(order, name) for name in TRIGGERS):
        order.triggered = order.resting = False
    if not order.resting or new.quantity > order.quantity:
        order.place = None
    for name in (*TERMS, "reserve_price"):
        setattr(order, name, getattr(new, name))
    if "quantity" in request.terms:
        contingent.adopt_quantity(order)
    if not only_less:
        order.active_from = order.meets_standing = active_from
