"""Corporate actions, phase 4: at 00:00 exchange time of the ex-date.

They act on raw prices: on positions, on working orders, on marks and on what rules remember. A stock dividend
is a split. A cash merger and a delisting are a cash-out: it ends the instrument, and pays for what is held. A
spin-off gives shares of another instrument, and the price drops by what they are worth. A merger for shares
and a new symbol are an exchange: it ends the instrument, and the position goes on in another one.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.errors import DataError
from ml4t.core.types import OrderStatus
from ml4t.reference import contingent, trailing
from ml4t.reference.guards import Occasion
from ml4t.reference.numbers import LARGEST_CASH, LARGEST_STEP, checked, half_even, plain_text
from ml4t.reference.orders import Order, is_up, passive
from ml4t.reference.plan import Action, Effect, Instrument
from ml4t.reference.settlement import Settling
from ml4t.reference.timestamp import text_of
from ml4t.reference.transfers import Transfer, carve, hand_over, pay_part, units_per_unit
from ml4t.reference.venue import Venue

__all__ = ["Corporate", "Payment", "amount_per_unit"]


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
    repriced: dict[int, Fraction] = attrs.field(factory=dict)  #: what spin-offs left of prices
    delisted: dict[int, int] = attrs.field(factory=dict)  #: when instruments have ended, by instrument

    def begin(self, start: int) -> None:
        """Remember the contracts that expired before the run."""
        for action in self.venue.plan.actions:
            if action.kind is Effect.EXPIRY and action.ts < start:
                self.delisted[action.instrument] = action.ts

    def expires(self, instrument: Instrument) -> bool:
        """Say whether an instrument is a contract whose end is its expiry."""
        own = (each for each in self.venue.plan.actions if each.instrument == instrument.index)
        return any(each.kind is Effect.EXPIRY for each in own)

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
        self.venue.account.ledger.actions += 1
        instrument = self.venue.plan.instruments[action.instrument]
        # A quote or print of before is a price of the old shares; no close is made of it.
        self.venue.last_ticks.pop(instrument.index, None)
        if action.kind is Effect.SPLIT:
            self._split(instrument, action.ratio, now)
        elif action.kind is Effect.CASH_DIVIDEND:
            self._dividend(instrument, action, now)
            self._adjust_orders(instrument, amount_per_unit(instrument, action))
        elif action.kind is Effect.SPIN_OFF:
            self._spin_off(instrument, action, now)
            self._adjust_orders(instrument, amount_per_unit(instrument, action))
        elif action.kind is Effect.EXCHANGE:
            self._exchange(instrument, action, now)
        else:
            code = "CONTRACT_EXPIRED" if action.kind is Effect.EXPIRY else "DELISTED"
            self._cash_out(instrument, action.amount, now, code)

    def adjusted(self, instrument: Instrument, price: int, known_at: int) -> int:
        """Return a price that was true at an instant as it counts now: with the actions since applied."""
        for action in self.applied:
            if action.instrument != instrument.index or action.ts < known_at:
                continue
            if action.kind is Effect.SPLIT:
                price = half_even(Fraction(price) / action.ratio)
            elif action.kind in (Effect.CASH_DIVIDEND, Effect.SPIN_OFF):
                price -= half_even(amount_per_unit(instrument, action))
        return price

    def _dividend(self, instrument: Instrument, action: Action, now: int) -> None:
        """Entitle who holds; the mark drops by the amount until the first print. A short position pays.

        Of what a long position gets a part may be withheld; a short one pays in full.
        """
        account = self.venue.account
        per_unit = amount_per_unit(instrument, action)
        quantity = account.ledger.quantity(instrument)
        owed = account.terms.posted(instrument.worth(per_unit, quantity))
        self._lower_mark(instrument, per_unit)
        if owed == 0:
            return
        withheld = account.terms.posted(owed * action.withholding) if quantity > 0 else 0
        if action.pay_ts <= now:
            account.ledger.receive_at_once(now, instrument, owed)
            account.ledger.withhold(now, instrument, withheld, "cash")
        else:
            account.ledger.pay_dividend(now, instrument, owed)
            account.ledger.withhold(now, instrument, withheld, "receivable")
            if owed != withheld:
                self.due.append(Payment(ts=action.pay_ts, instrument=instrument, amount=owed - withheld))
        self._convert(instrument, now)

    def _lower_mark(self, instrument: Instrument, per_unit: Fraction) -> None:
        """Let the mark drop by what a share pays or gives away, in price units."""
        marks = self.venue.account.marks
        if instrument.index in marks:
            marks[instrument.index] -= half_even(per_unit)

    def _adjust_orders(self, instrument: Instrument, per_unit: Fraction) -> None:
        """Lower the orders that wait below the market and ask for that."""
        for order in self.venue.book.live():
            if order.instrument is instrument and order.adjust_for_dividend and order.waits_below:
                _lower(order, per_unit)

    def _convert(self, instrument: Instrument, now: int) -> None:
        """Convert what an event of an instrument has left of its currency."""
        self.venue.exchange.after_event(now, instrument.currency, instrument)

    def _end(self, instrument: Instrument, now: int, code: str = "DELISTED") -> None:
        """End an instrument and its orders."""
        self.delisted[instrument.index] = now
        for order in self.venue.book.live():
            # One that a cancel before has taken along has ended already.
            if order.instrument is instrument:
                self.venue.end(order, now, OrderStatus.CANCELED, code)

    def _cash_out(self, instrument: Instrument, amount: str, now: int, code: str) -> None:
        """End an instrument: its orders are canceled, its position is paid out; a short position pays."""
        self._end(instrument, now, code)
        account = self.venue.account
        quantity = account.ledger.quantity(instrument)
        if quantity == 0:
            return
        value = self._last_value(instrument, amount, quantity, now)
        checked(value, LARGEST_CASH, f"the value of the position in {instrument.symbol}")
        why = "expiry" if code == "CONTRACT_EXPIRED" else "delisting"
        account.ledger.cash_out(now, instrument, value, why)
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

    def _spin_off(self, instrument: Instrument, action: Action, now: int) -> None:
        """Give who holds shares of another instrument, with the part of the cost that their value has.

        The mark drops by what goes with a share until the first print.
        """
        account, guards = self.venue.account, self.venue.guards
        per_unit = amount_per_unit(instrument, action)
        quantity = account.ledger.quantity(instrument)
        if quantity == 0:
            self._lower_mark(instrument, per_unit)
            return
        other = self.venue.plan.instruments[action.into]
        before = account.marks[instrument.index]
        after = before - half_even(per_unit)
        if after <= 0:
            mark = plain_text(before, instrument.price_exponent)
            message = (
                f"the spin-off of {instrument.symbol} at {text_of(now)}: its amount {action.amount} is not "
                f"below the last price {mark}; it is what goes to {other.symbol} with one share"
            )
            raise DataError(message)
        price = self._price_of(other, instrument, Fraction(before - after), action.ratio, now)
        transfer = Transfer(
            ts=now,
            giver=instrument,
            taker=other,
            ratio=action.ratio,
            value=instrument.cash(before, quantity) - instrument.cash(after, quantity),
            lots=carve(account.ledger.holding(instrument), Fraction(before - after, before)),
        )
        account.marks[instrument.index] = after
        self.repriced[len(self.applied) - 1] = Fraction(after, before)
        if self._hand_over(transfer, price):
            self._convert(other, now)
        # What a rule remembers was seen at prices of before.
        if (trail := guards.trails.get(instrument.index)) is not None:
            trail.scale(Fraction(before, after))
        guards.follow_split(instrument, now, guards.terms(instrument))
        guards.guard(other, now, Occasion(active_from=now))
        self.venue.contingent.settle(now)

    def _exchange(self, instrument: Instrument, action: Action, now: int) -> None:
        """End an instrument: what is held of it goes on in another one, except for what is paid in cash."""
        self._end(instrument, now)
        account, guards = self.venue.account, self.venue.guards
        quantity = account.ledger.quantity(instrument)
        if quantity == 0:
            account.marks.pop(instrument.index, None)
            return
        other = self.venue.plan.instruments[action.into]
        per_unit = amount_per_unit(instrument, action)
        value = account.notional(instrument)
        paid = account.terms.posted(instrument.worth(per_unit, quantity))
        price = self._price_of(
            other, instrument, account.marks[instrument.index] - per_unit, action.ratio, now
        )
        units = abs(quantity) * units_per_unit(instrument, other, action.ratio)
        pay_part(account.ledger, now, instrument, paid, half_even(other.worth(price, units)))
        holding = account.ledger.holding(instrument)
        lots, holding.lots = holding.lots, []
        transfer = Transfer(
            ts=now, giver=instrument, taker=other, ratio=action.ratio, value=value - paid, lots=lots
        )
        has_paid = self._hand_over(transfer, price)
        del account.marks[instrument.index]
        if paid:
            self._convert(instrument, now)
        if has_paid:
            self._convert(other, now)
        guards.guard(instrument, now, Occasion(active_from=now))
        guards.guard(other, now, Occasion(active_from=now))
        self.venue.contingent.settle(now)

    def _price_of(
        self, other: Instrument, giver: Instrument, given: Fraction, ratio: Fraction, now: int
    ) -> int:
        """Return the price at which shares come in: of what is held, or what a share has `given` for them.

        What was known of their price before may be of long ago, or of whoever had the symbol then.
        """
        account = self.venue.account
        if account.ledger.quantity(other):
            return account.marks[other.index]
        money = given * giver.multiplier / 10**giver.price_exponent
        price = half_even(money * 10**other.price_exponent / (ratio * other.multiplier))
        if price <= 0:
            message = (
                f"{other.symbol} at {text_of(now)}: what a share of {giver.symbol} leaves for it is not "
                "above zero; the amount in cash has to be below its last price"
            )
            raise DataError(message)
        return checked(price, LARGEST_STEP, f"the price of {other.symbol} after what {giver.symbol} gave")

    def _hand_over(self, transfer: Transfer, price: int) -> bool:
        """Hand lots over at a price of the taker, and mark it; return whether a part was paid out."""
        account, taker = self.venue.account, transfer.taker

        def value_of(units: Fraction) -> int:
            return account.terms.posted(taker.worth(price, units))

        has_paid = hand_over(account.ledger, transfer, value_of)
        if account.ledger.quantity(taker):
            account.marks[taker.index] = price
        return has_paid

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


def amount_per_unit(instrument: Instrument, action: Action) -> Fraction:
    """Return the amount of an action in price units, exactly."""
    return Fraction(action.amount or 0) * Fraction(10**instrument.price_exponent)


def _lower(order: Order, per_unit: Fraction) -> None:
    """Lower the prices of an order to the tick below; one that would not be above zero stays."""
    for name in ("limit_price", "stop_price"):
        price: Fraction | None = getattr(order, name)
        if price is None:
            continue
        lower = passive(price - per_unit, order.instrument.tick, up=False)
        if lower > 0 and lower != price:
            setattr(order, name, lower)
            order.place = None
    if order.reserve_price is not None:
        lower = order.reserve_price - half_even(per_unit)
        order.reserve_price = lower if lower > 0 else order.reserve_price
