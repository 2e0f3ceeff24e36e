"""Corporate actions, phase 4: splits, cash dividends and cash-outs, at 00:00 exchange time of the ex-date.

They act on raw prices: on positions, on working orders, on marks and on what rules remember. A stock dividend
is a split. A cash merger and a delisting are a cash-out: it ends the instrument, and pays for what is held.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.types import OrderStatus
from ml4t.reference import contingent, trailing
from ml4t.reference.guards import Occasion
from ml4t.reference.numbers import LARGEST_CASH, LARGEST_STEP, checked, half_even
from ml4t.reference.orders import Order, is_up, passive
from ml4t.reference.plan import Action, Effect, Instrument
from ml4t.reference.settlement import Settling
from ml4t.reference.venue import Venue

__all__ = ["Corporate", "Payment"]


@attrs.frozen(kw_only=True)
class Payment:
    """A dividend that is owed: `amount` cash units, below zero where the account pays."""

    ts: int
    instrument: Instrument
    amount: int


@attrs.define
class Corporate:
    """Applies actions, and keeps what is due at a later date."""

    venue: Venue
    settling: Settling
    due: list[Payment] = attrs.field(factory=list)
    applied: list[Action] = attrs.field(factory=list)
    delisted: dict[int, int] = attrs.field(factory=dict)  #: when instruments have ended, by instrument

    def next_payment(self) -> int | None:
        """Return when the next dividend is paid."""
        return min((payment.ts for payment in self.due), default=None)

    def pay(self, now: int) -> None:
        """Move what is due from receivable to cash: phase 3."""
        for payment in [each for each in self.due if each.ts <= now]:
            self.due.remove(payment)
            self.venue.account.ledger.receive(now, payment.instrument, payment.amount)
            self._convert(payment.instrument, now)

    def apply(self, action: Action, now: int) -> None:
        """Apply an action: phase 4."""
        self.applied.append(action)
        instrument = self.venue.plan.instruments[action.instrument]
        # A quote or print of before is a price of the old shares; no close is made of it.
        self.venue.last_ticks.pop(instrument.index, None)
        if action.kind is Effect.SPLIT:
            self._split(instrument, action.ratio, now)
        elif action.kind is Effect.CASH_DIVIDEND:
            self._dividend(instrument, Fraction(action.amount), action.pay_ts, now)
        else:
            self._cash_out(instrument, action.amount, now)

    def adjusted(self, instrument: Instrument, price: int, known_at: int) -> int:
        """Return a price that was true at an instant as it counts now: with the actions since applied."""
        for action in self.applied:
            if action.instrument != instrument.index or action.ts < known_at:
                continue
            if action.kind is Effect.SPLIT:
                price = half_even(Fraction(price) / action.ratio)
            elif action.kind is Effect.CASH_DIVIDEND:
                price -= half_even(Fraction(action.amount) * 10**instrument.price_exponent)
        return price

    def _dividend(self, instrument: Instrument, amount: Fraction, pay_ts: int, now: int) -> None:
        """Entitle who holds; the mark drops by the amount until the first print. A short position pays."""
        account = self.venue.account
        per_unit = amount * 10**instrument.price_exponent
        owed = account.terms.posted(instrument.worth(per_unit, account.ledger.quantity(instrument)))
        if instrument.index in account.marks:
            account.marks[instrument.index] -= half_even(per_unit)
        if owed == 0:
            return
        if pay_ts <= now:
            account.ledger.receive_at_once(now, instrument, owed)
        else:
            account.ledger.pay_dividend(now, instrument, owed)
            self.due.append(Payment(ts=pay_ts, instrument=instrument, amount=owed))
        self._convert(instrument, now)

    def _convert(self, instrument: Instrument, now: int) -> None:
        """Convert what an event of an instrument has left of its currency."""
        self.venue.exchange.after_event(now, instrument.currency, instrument)

    def _cash_out(self, instrument: Instrument, amount: str, now: int) -> None:
        """End an instrument: its orders are canceled, its position is paid out; a short position pays."""
        self.delisted[instrument.index] = now
        for order in self.venue.book.live():
            # One that a cancel before has taken along has ended already.
            if order.instrument is instrument:
                self.venue.end(order, now, OrderStatus.CANCELED, "DELISTED")
        account = self.venue.account
        quantity = account.ledger.quantity(instrument)
        if quantity == 0:
            return
        value = self._last_value(instrument, amount, quantity, now)
        checked(value, LARGEST_CASH, f"the value of the position in {instrument.symbol}")
        account.ledger.cash_out(now, instrument, value)
        self._convert(instrument, now)
        del account.marks[instrument.index]
        self.venue.guards.guard(instrument, now, Occasion(active_from=now))

    def _last_value(self, instrument: Instrument, amount: str, quantity: int, now: int) -> int:
        """Return what a position is worth as its instrument ends, in cash units.

        Without an amount that is its last price: the settlement price of this instant, or else the mark.
        """
        account = self.venue.account
        if amount:
            per_unit = Fraction(amount) * 10**instrument.price_exponent
            exact = instrument.worth(per_unit, quantity)
            # What is settled at a price is settled exactly, like a variation margin.
            is_price = instrument.is_margined and per_unit.denominator == 1
            return int(exact) if is_price else account.terms.posted(exact)
        settled = self.settling.price_at(instrument, now)
        if settled is None:
            return account.notional(instrument)
        # A split or a dividend of this instant that came before has not changed it yet.
        return instrument.cash(self.adjusted(instrument, settled, now), quantity)

    def _split(self, instrument: Instrument, ratio: Fraction, now: int) -> None:
        """Scale the position, its mark, working orders and what rules remember."""
        account = self.venue.account
        if instrument.index in account.marks:
            account.marks[instrument.index] = half_even(account.marks[instrument.index] / ratio)
        mark = account.marks.get(instrument.index, 0)
        has_paid = account.ledger.split(
            now, instrument, ratio, lambda units: account.terms.posted(instrument.worth(mark, units))
        )
        if has_paid:
            self._convert(instrument, now)
        self.venue.turnover.split(instrument, ratio)
        self.venue.costs.past.split(instrument, ratio)
        trail = self.venue.guards.trails.get(instrument.index)
        if trail is not None:
            trail.scale(ratio)
        before = self.venue.guards.terms(instrument)
        for order in self.venue.book.live():
            if order.instrument is instrument and order.is_live:
                self._scale(order, ratio, now)
                self.venue.contingent.settle(now)
        self.venue.guards.follow_split(instrument, now, before)
        self.venue.contingent.settle(now)

    def _scale(self, order: Order, ratio: Fraction, now: int) -> None:
        """Scale an order: what is left of it rounds down to whole lots, prices go to the passive tick.

        The size of an order of a rule follows the position instead.
        """
        instrument = order.instrument
        leaves = order.leaves * ratio
        whole = leaves.numerator // leaves.denominator // instrument.lot * instrument.lot
        if order.rule is None:
            order.quantity = Fraction(order.filled + whole)
        contingent.scale(order, ratio)
        if order.display_quantity is not None:
            shown = order.display_quantity * ratio // instrument.lot * instrument.lot
            order.display_quantity = Fraction(max(shown, instrument.lot))
        for name in ("limit_price", "stop_price", "activation_price"):
            price: Fraction | None = getattr(order, name)
            if price is not None:
                setattr(order, name, passive(price / ratio, instrument.tick, up=is_up(order, name)))
        trailing.scale(order, ratio)
        what = f"order {order.id} of {instrument.symbol} after its split"
        for number in (order.leaves, order.limit_price, order.stop_price, order.activation_price):
            checked(Fraction(number or 0), LARGEST_STEP, what)
        order.place = None
        if order.reserve_price is not None:
            order.reserve_price = Fraction(half_even(order.reserve_price / ratio))
        if whole == 0 and order.rule is None:
            self.venue.book.move(order, OrderStatus.CANCELED, now, "SCALED_TO_NOTHING")
