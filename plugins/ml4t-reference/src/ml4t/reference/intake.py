"""Intake, phase 9: what a strategy asked for is checked and accepted, or refused with a code and a sentence.

What was sent since the last intake is taken in its sequence. Orders without a cancel between them go
together: first those that are wrong in themselves are refused, then the account is asked for the others, one
after the other. Position rules act at once. An order that is accepted reaches the venue after the latency of
the account, and sets buying power aside at its limit, its stop or the last price that has arrived.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction

import attrs

from ml4t.core.config import InsufficientCash, TickRounding
from ml4t.core.types import OrderStatus, Side, TimeInForce
from ml4t.reference.numbers import cash_text, plain_text
from ml4t.reference.orders import Order, is_up, passive
from ml4t.reference.plan import Plan
from ml4t.reference.pricing import Pricing
from ml4t.reference.rules import Rule
from ml4t.reference.timestamp import text_of
from ml4t.reference.venue import Venue

__all__ = ["Cancel", "Intake"]

Refusal = tuple[str, str]


@attrs.frozen
class Cancel:
    """A request to take an order back."""

    order: Order


Ask = Order | Cancel | tuple[Rule, ...]


@attrs.define
class Intake:
    """What was asked for and is not decided yet."""

    plan: Plan
    venue: Venue
    pricing: Pricing
    asks: list[Ask] = attrs.field(factory=list)
    under_way: list[tuple[int, Order]] = attrs.field(factory=list)
    """Cancels and when they reach the venue, in the sequence in which they were asked for."""

    def take(self, now: int, *, after_opens: bool = False) -> None:
        """Decide everything that was asked for.

        What is sent in answer to a fill at an open comes after the opens of this instant, so it does not join
        the bars that have opened.
        """
        asks, self.asks = self.asks, []
        together: list[Order] = []
        for ask in asks:
            if isinstance(ask, Order):
                self._submit(ask, now)
                together.append(ask)
            elif isinstance(ask, Cancel):
                self._decide_all(together, now, after_opens=after_opens)
                together = []
                self._cancel(ask.order, now)
            else:
                self.venue.set_rules(ask, now, after_opens=after_opens)
        self._decide_all(together, now, after_opens=after_opens)

    def _submit(self, order: Order, now: int) -> None:
        self.venue.book.move(order, OrderStatus.SUBMITTED, now)
        refusal = order.refusal if order.refusal is not None else self._own_refusal(order, now)
        if refusal is not None:
            self.venue.book.move(order, OrderStatus.REJECTED, now, *refusal)

    def _decide_all(self, orders: list[Order], now: int, *, after_opens: bool) -> None:
        for order in orders:
            self._decide(order, orders, now, after_opens=after_opens)

    def arrive(self, now: int) -> None:
        """Let cancels that were under way reach the venue, those of one instant as they were asked for."""
        due = [order for ts, order in self.under_way if ts <= now]
        self.under_way = [each for each in self.under_way if each[0] > now]
        for order in due:
            if order.is_working:
                self.venue.end(order, now, OrderStatus.CANCELED, "CANCELED_BY_REQUEST")

    def next_cancel(self) -> int | None:
        """Return when the next cancel reaches the venue, also where its order will be complete by then."""
        return min((ts for ts, _ in self.under_way), default=None)

    def _cancel(self, order: Order, now: int) -> None:
        if not order.is_working:
            return
        if order.cancel_at is None:
            order.cancel_at = now + self.plan.account.latency_ns
            self.under_way.append((order.cancel_at, order))
        self.arrive(now)

    def _decide(self, order: Order, batch: list[Order], now: int, *, after_opens: bool) -> None:
        if order.status is not OrderStatus.SUBMITTED:
            return
        refusal = self._account_refusal(order, batch, now)
        if refusal is not None:
            self.venue.book.move(order, OrderStatus.REJECTED, now, *refusal)
            return
        order.active_from = now + self.plan.account.latency_ns
        if after_opens:
            order.active_from = max(order.active_from, now + 1)
        if order.time_in_force is TimeInForce.DAY:
            order.expires = self._session_close(order)
        self.venue.book.move(order, OrderStatus.ACCEPTED, now)

    def _session_close(self, order: Order) -> int | None:
        """Return the close of the session that a day order belongs to: the first after it becomes active."""
        closes = self.plan.calendars[order.instrument.calendar].closes
        index = bisect_right(closes, order.active_from)
        return closes[index] if index < len(closes) else None

    # -- refusals ----------------------------------------------------------------------------------------

    def _own_refusal(self, order: Order, now: int) -> Refusal | None:
        """Return why an order is refused whatever the account holds, None where it is not."""
        instrument = order.instrument
        where = f"({instrument.symbol}, {text_of(now)})"
        if now < self.plan.warm_from_ns:
            return "WARM_UP", f"orders are refused until {text_of(self.plan.warm_from_ns)} {where}"
        if instrument.matching is None:
            return "NO_MARKET_DATA", f"no feed to match orders on {where}"
        if order.quantity % instrument.lot:
            quantity = plain_text(order.quantity, instrument.quantity_exponent)
            lot = plain_text(instrument.lot, instrument.quantity_exponent)
            return "OFF_LOT", f"quantity {quantity} is not a multiple of lot_size {lot} {where}"
        return self._price_refusal(order, where)

    def _price_refusal(self, order: Order, where: str) -> Refusal | None:
        instrument = order.instrument
        for name in ("limit_price", "stop_price"):
            price: Fraction | None = getattr(order, name)
            if price is None:
                continue
            text = plain_text(price, instrument.price_exponent)
            if price <= 0 and not instrument.allows_negative_prices:
                return "PRICE_NOT_POSITIVE", f"{name} {text} must be above zero {where}"
            if price % instrument.tick == 0:
                continue
            if self.plan.policies.tick_rounding is TickRounding.REJECT:
                tick = plain_text(instrument.tick, instrument.price_exponent)
                return "OFF_TICK", f"{name} {text} is not a multiple of tick_size {tick} {where}"
            setattr(order, name, passive(price, instrument.tick, up=is_up(order, name)))
        return None

    def _account_refusal(self, order: Order, batch: list[Order], now: int) -> Refusal | None:
        account, book = self.venue.account, self.venue.book
        if order.side is Side.SELL and not self.plan.account.allows_short:
            buys = sum(
                each.leaves
                for each in book.working()
                if each.instrument is order.instrument and each.side is Side.BUY
            )
            if account.ledger.quantity(order.instrument) + buys < order.quantity:
                return "SHORT_NOT_ALLOWED", self.venue.short_text(order, order.leaves, now)
        order.reserve_price = self._reserve_price(order)
        need = account.need(order)
        if need <= 0 or self.plan.policies.insufficient_cash is not InsufficientCash.REJECT:
            return None
        coming = [each for each in batch if each.status is OrderStatus.SUBMITTED and each is not order]
        free = account.free(self.pricing.power(account), book.working(), coming)
        if need > free:
            quantity = plain_text(order.quantity, order.instrument.quantity_exponent)
            text = (
                f"{order.side.value} {quantity} {order.instrument.symbol} needs buying power of "
                f"{cash_text(need)}, {cash_text(free)} is free ({text_of(now)})"
            )
            return "INSUFFICIENT_BUYING_POWER", text
        return None

    def _reserve_price(self, order: Order) -> Fraction:
        """Return the price at which an order counts: its limit, its stop, or the last price that has arrived.

        Before the first price that is 0, and stays so: nobody knows yet what the order may cost.
        """
        price = order.limit_price if order.limit_price is not None else order.stop_price
        if price is not None:
            return price
        last = self.pricing.last(order.instrument)
        return Fraction(0 if last is None else last)
