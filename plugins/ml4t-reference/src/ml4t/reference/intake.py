"""Intake, phase 9: what a strategy asked for is checked and accepted, or refused with a code and a sentence.

What was sent since the last intake is taken in its sequence. Orders without a cancel or a change between
them go together: first those that are wrong in themselves are refused, then the account is asked for the
others, one after the other. Position rules act at once. An order that is accepted reaches the venue after
its latency, and sets buying power aside at its limit, its stop or the last price that has arrived. Cancels
and changes are decided when they arrive; what was sent about one order arrives in the sequence of sending.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.models import LatencyArgs
from ml4t.core.policies import InsufficientCash
from ml4t.core.types import OrderStatus, TimeInForce
from ml4t.reference import lifetimes, power, trailing
from ml4t.reference.costs import delay_of
from ml4t.reference.lenders import lacks_a_lender
from ml4t.reference.numbers import plain_text
from ml4t.reference.orders import Order
from ml4t.reference.plan import Plan
from ml4t.reference.pricing import Pricing
from ml4t.reference.randoms import draw, fraction_of, uniforms
from ml4t.reference.refusals import PRICES, Refusal, delisted, off_lot, off_tick, too_fine, too_late
from ml4t.reference.replace import Replace, Replacing
from ml4t.reference.rules import Rule
from ml4t.reference.timestamp import text_of
from ml4t.reference.venue import Venue

__all__ = ["Cancel", "Intake"]

# What draws are for: the latency of an order, a change, a cancel.
DRAWS = {"submit": 16, "modify": 17, "cancel": 18}


@attrs.frozen
class Cancel:
    """A request to take an order back."""

    order: Order


Request = Cancel | Replace
Ask = Order | Request | tuple[Rule, ...]


@attrs.define
class Intake:
    """What was asked for and is not decided yet."""

    plan: Plan
    venue: Venue
    pricing: Pricing
    asks: list[Ask] = attrs.field(factory=list)
    under_way: list[tuple[int, Request]] = attrs.field(factory=list)
    """Cancels, changes and when they reach the venue, in the sequence in which they were asked for."""

    def take(self, now: int, *, after_opens: bool = False) -> None:
        """Decide everything that was asked for, conversions before orders.

        What is sent in answer to a fill at an open comes after the opens of this instant, so it does not join
        the bars that have opened.
        """
        self.venue.exchange.execute_at_once(now)
        asks, self.asks = self.asks, []
        together: list[Order] = []
        for ask in asks:
            if isinstance(ask, Order):
                self._submit(ask, now)
                together.append(ask)
            elif isinstance(ask, Cancel | Replace):
                self._decide_all(together, now, after_opens=after_opens)
                together = []
                self._request(ask, now, after_opens=after_opens)
            else:
                self.venue.set_rules(ask, now, after_opens=after_opens)
        self._decide_all(together, now, after_opens=after_opens)

    def _submit(self, order: Order, now: int) -> None:
        self.venue.book.move(order, OrderStatus.SUBMITTED, now)
        refusal = order.refusal if order.refusal is not None else self._own_refusal(order, now)
        if refusal is not None:
            self._reject(order, now, refusal)

    def _reject(self, order: Order, now: int, refusal: Refusal) -> None:
        self.venue.book.move(order, OrderStatus.REJECTED, now, *refusal)
        self.venue.contingent.settle(now)

    def _decide_all(self, orders: list[Order], now: int, *, after_opens: bool) -> None:
        for order in orders:
            # What they will free counts at the price that has arrived, too, also before it is their turn.
            if order.status is OrderStatus.SUBMITTED and order.parent is None:
                order.reserve_price = self._reserve_price(order)
        for order in orders:
            self._decide(order, orders, now, after_opens=after_opens)

    def arrive(self, now: int, *, after_opens: bool = False) -> None:
        """Let requests that were under way reach the venue, those of one instant as they were asked for."""
        due = [request for ts, request in self.under_way if ts <= now]
        self.under_way = [each for each in self.under_way if each[0] > now]
        for request in due:
            if isinstance(request, Cancel):
                self.venue.end(request.order, now, OrderStatus.CANCELED, "CANCELED_BY_REQUEST")
            else:
                self.replacing.decide(request, now, after_opens=after_opens)

    def next_request(self) -> int | None:
        """Return when the next request reaches the venue, also where its order will be complete by then."""
        return min((ts for ts, _ in self.under_way), default=None)

    def _request(self, request: Request, now: int, *, after_opens: bool) -> None:
        """Send a cancel or a change on its way; a second cancel of an order adds nothing to the first."""
        order = request.order
        if isinstance(request, Cancel):
            if not order.is_live:
                return
            if order.cancel_at is None:
                order.cancel_at = self._arrival(order, "cancel", now)
                self._send(request, now, "CANCEL_REQUESTED")
        else:
            order.replaces += 1
            self._arrival(order, "modify", now)
            self._send(request, now, "REPLACE_REQUESTED")
        self.arrive(now, after_opens=after_opens)

    def _send(self, request: Request, now: int, code: str) -> None:
        arrives = request.order.arrives
        self.under_way.append((arrives, request))
        if arrives > now:
            self.venue.book.note(request.order, now, code)

    def _arrival(self, order: Order, kind: str, now: int) -> int:
        """Count a message about an order and return when it arrives: not before what was sent earlier."""
        attempt = order.sent.get(kind, 0)
        order.sent[kind] = attempt + 1
        order.arrives = max(order.arrives, now + self._travels(order, kind, attempt, now))
        return order.arrives

    def _travels(self, order: Order, kind: str, attempt: int, now: int) -> int:
        """Return how long a message is under way: quantiles tell, or a model."""
        instrument = order.instrument
        wait = instrument.latency[kind]
        # Orders are numbered from 1.
        occasion = (self.plan.seed, order.id - 1, DRAWS[kind], attempt)
        if isinstance(wait, int):
            args = LatencyArgs(
                ts_ns=now,
                side=order.sign,
                message=kind,
                asset=instrument.index,
                venue=instrument.venue,
                random=uniforms(*occasion),
            )
            return delay_of(self.plan.models.latency[wait], order, args)
        return draw(wait, fraction_of(*occasion)) if len(wait) > 1 else wait[0]

    def _decide(self, order: Order, batch: list[Order], now: int, *, after_opens: bool) -> None:
        if order.status is not OrderStatus.SUBMITTED:
            return
        contingent = self.venue.contingent
        refusal = contingent.refusal(order)
        if refusal is None and order.parent is None:
            refusal = self._account_refusal(order, batch, now)
        if refusal is not None:
            self._reject(order, now, refusal)
            return
        if order.parent is not None:
            # The account is asked at its fill, and it acts without latency.
            if not contingent.take_in(order):
                return
            order.reserve_price = self._reserve_price(order)
            order.active_from = now
        else:
            order.active_from = self._arrival(order, "submit", now)
        if after_opens:
            order.active_from = max(order.active_from, now + 1)
        # A child is started by a fill of its parent, and waits for the next quote.
        order.meets_standing = order.active_from if order.parent is None else None
        lifetimes.set_span(order, self.plan.calendars[order.instrument.calendar])
        trailing.begin_at_acceptance(order, self.pricing.last(order.instrument))
        self.venue.book.move(order, OrderStatus.ACCEPTED, now)
        # What all of them set aside has to fit the ledger, also where no account is asked.
        power.check_set_aside(self.venue.account, self.venue.book.working())

    @property
    def replacing(self) -> Replacing:
        """What decides changes."""
        return Replacing(self.plan, self.venue, self.pricing)

    # -- refusals ----------------------------------------------------------------------------------------

    def _own_refusal(self, order: Order, now: int) -> Refusal | None:
        """Return why an order is refused whatever the account holds, None where it is not."""
        instrument = order.instrument
        where = f"({instrument.symbol}, {text_of(now)})"
        refusal = self._refusal_of_the_time(order, now, where)
        if refusal is not None:
            return too_fine(order, self.plan.policies, where) or refusal
        if instrument.matching is None:
            return "NO_MARKET_DATA", f"no feed to match orders on {where}"
        refusal = off_lot(order, where) or off_tick(order, PRICES, self.plan.policies, where)
        if refusal is None and order.time_in_force is TimeInForce.GTD:
            refusal = too_late(order, now, where)
        return refusal

    def _refusal_of_the_time(self, order: Order, now: int, where: str) -> Refusal | None:
        """Return why no order for an instrument is taken now: too early, or too late."""
        if now < self.plan.warm_from_ns:
            return "WARM_UP", f"orders are refused until {text_of(self.plan.warm_from_ns)} {where}"
        corporate = self.pricing.corporate
        since = corporate.delisted.get(order.instrument.index)
        if since is None:
            return None
        return delisted(order, since, where, expires=corporate.expires(order.instrument))

    def _account_refusal(self, order: Order, batch: list[Order], now: int) -> Refusal | None:
        account, book = self.venue.account, self.venue.book
        refusal = lacks_a_lender(self.plan, self.venue, order, now) or self._names_no_lot(order, now)
        if refusal is not None:
            return refusal
        if not self.venue.is_covered(order):
            return "SHORT_NOT_ALLOWED", self.venue.short_text(order, order.leaves, now)
        need = account.need(order)
        if need <= 0 or self.plan.policies.insufficient_cash is not InsufficientCash.REJECT:
            return None
        coming = [
            each
            for each in batch
            if each.status is OrderStatus.SUBMITTED and each is not order and each.parent is None
        ]
        aside = account.set_aside(book.working(), coming)
        missing = power.missing(account, self.pricing, order.instrument, need, aside)
        if missing is not None:
            quantity = plain_text(order.quantity, order.instrument.quantity_exponent)
            needed, there = missing.texts
            text = (
                f"{order.side.value} {quantity} {order.instrument.symbol} needs buying power of "
                f"{needed}, {there} ({text_of(now)})"
            )
            return "INSUFFICIENT_BUYING_POWER", text
        return None

    def _names_no_lot(self, order: Order, now: int) -> Refusal | None:
        """Refuse to close lots of an order that has ended and of which nothing is held."""
        if order.opener is None:
            return None
        opener = self.venue.book.orders[order.opener - 1]
        lots = self.venue.account.ledger.holding(order.instrument).lots
        found = any(lot.order_id == opener.id and lot.quantity * order.sign < 0 for lot in lots)
        if found or (opener.is_open and opener.instrument is order.instrument):
            return None
        symbol = order.instrument.symbol
        text = f"order {opener.id} opened no lot of {symbol} that is held and that this one would close"
        return "NO_SUCH_LOT", f"{text} ({text_of(now)})"

    def _reserve_price(self, order: Order) -> Fraction | None:
        """Return the price at which an order counts: its limit, its stop, or the last price that has arrived.

        Before the first price it has none, and gets none later: nobody knows yet what the order may cost.
        """
        price = order.limit_price if order.limit_price is not None else order.stop_price
        if price is not None:
            return price
        last = self.pricing.last(order.instrument)
        return None if last is None else Fraction(last)
