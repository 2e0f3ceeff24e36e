"""The account: marks, equity, buying power and what working orders have set aside of it.

All amounts are cash units. Equity is cash + receivable + positions at their marks. A **cash account**, which
neither sells short nor borrows, may spend its cash. Any other may carry positions worth `leverage` times its
equity, long and short alike; what it holds already counts against that. With `buying_power = "cash"` an
account that may sell short goes by its cash, too, and with `"unlimited"` nothing bounds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import attrs

from ml4t.core.policies import BuyingPower
from ml4t.core.types import OrderType, Side
from ml4t.reference.ledger import Ledger
from ml4t.reference.numbers import LARGEST_CASH, checked
from ml4t.reference.orders import Order
from ml4t.reference.plan import Account as Terms
from ml4t.reference.plan import Instrument

__all__ = ["Account"]


@attrs.define
class Account:
    """Ledger and marks together."""

    terms: Terms
    ledger: Ledger
    instruments: tuple[Instrument, ...]
    marks: dict[int, int] = attrs.field(factory=dict)  #: last price of the matching source, by instrument

    # -- what is there -----------------------------------------------------------------------------------

    @property
    def cash(self) -> int:
        """Money in the bank."""
        return self.ledger.balance("cash")

    @property
    def receivable(self) -> int:
        """What is owed to the account; below zero, what it owes."""
        return self.ledger.balance("receivable")

    def held(self) -> list[Instrument]:
        """Return the instruments with a position, by symbol."""
        return [each for each in self.instruments if self.ledger.quantity(each)]

    def value(self, instrument: Instrument) -> int:
        """Return a position at its mark, below zero for a short one."""
        quantity = self.ledger.quantity(instrument)
        value = instrument.cash(self.marks[instrument.index], quantity) if quantity else 0
        return checked(value, LARGEST_CASH, f"the value of the position in {instrument.symbol}")

    @property
    def long_value(self) -> int:
        """Positions worth more than nothing, at their marks."""
        return sum(max(self.value(each), 0) for each in self.held())

    @property
    def short_value(self) -> int:
        """Positions worth less than nothing, at their marks."""
        return sum(min(self.value(each), 0) for each in self.held())

    @property
    def gross(self) -> int:
        """Size of all positions at their marks."""
        return self.long_value - self.short_value

    @property
    def equity(self) -> int:
        """Cash + receivable + positions at their marks."""
        return self.cash + self.receivable + self.long_value + self.short_value

    @property
    def unrealized(self) -> int:
        """Value of the positions less what they cost."""
        return self.long_value + self.short_value - self.ledger.balance("inventory")

    @property
    def is_cash_account(self) -> bool:
        """Whether the account can spend its cash and nothing else."""
        if self.terms.buying_power is BuyingPower.EQUITY:
            return self.terms.leverage == 1 and not self.terms.allows_short
        return self.terms.buying_power is BuyingPower.CASH

    @property
    def is_unlimited(self) -> bool:
        """Whether the account can carry whatever it is asked to."""
        return self.terms.buying_power is BuyingPower.UNLIMITED

    @property
    def power(self) -> Fraction:
        """Buying power before reservations, of an account that has bounds."""
        if self.is_cash_account:
            return Fraction(self.cash)
        return self.terms.leverage * self.equity - self.gross

    # -- what orders would use ---------------------------------------------------------------------------

    def parts(self, order: Order, quantity: int) -> tuple[int, int]:
        """Split a quantity of an order into what closes the position held now and what opens or enlarges."""
        held = self.ledger.quantity(order.instrument)
        closing = min(quantity, abs(held)) if held * order.sign < 0 else 0
        return closing, quantity - closing

    def free(self, power: Fraction, working: Iterable[Order], coming: Iterable[Order] = ()) -> Fraction:
        """Return what working orders leave of a buying power, with orders still `coming` after them.

        Each reserves, at the price it was accepted with, the part of it that opens or enlarges the position
        held now. A market order that reduces a position frees what it closes; two orders that each would
        close the same position both count as closing. Orders that are coming reserve nothing yet.
        """
        free = power - sum((self.need(order) for order in working), Fraction(0))
        free -= sum((min(self.need(order), Fraction(0)) for order in coming), Fraction(0))
        return checked(free, LARGEST_CASH, "what working orders leave of the buying power")

    def reserved(self, order: Order, quantity: int) -> Fraction:
        """Return what a quantity of an order sets aside: its size at the price it was accepted with.

        A sell of an account that may not sell short never opens a position, so it sets nothing aside, nor
        does one that brings cash where that is all that counts, nor an order that only reduces.
        """
        sells_for_nothing = self.is_cash_account or not self.terms.allows_short
        if order.reduce_only or (order.side is Side.SELL and sells_for_nothing):
            return Fraction(0)
        return abs(order.instrument.worth(self.reserve_price(order), quantity))

    def reserve_price(self, order: Order) -> Fraction:
        """Return the price at which an order counts: its limit, its stop, or the last price when it came."""
        price = order.limit_price if order.limit_price is not None else order.stop_price
        if order.reserve_price is not None:
            price = order.reserve_price
        return Fraction(self.marks.get(order.instrument.index, 0)) if price is None else price

    def need(self, order: Order) -> Fraction:
        """Return the buying power that an order uses: for what it opens, less what a market order closes.

        Below zero for a market order that reduces a position. Where cash is all that counts a purchase uses
        all that it costs, also where it covers a short position, and a sale uses none. Without bounds nothing
        uses anything, nor does the order of a position rule.
        """
        if self.is_unlimited or order.rule is not None:
            return Fraction(0)
        if self.terms.buying_power is BuyingPower.CASH and order.side is Side.BUY:
            return abs(order.instrument.worth(self.reserve_price(order), order.leaves))
        closing, opening = self.parts(order, order.leaves)
        needed = self.reserved(order, opening)
        if order.order_type is OrderType.MARKET:
            needed -= abs(order.instrument.worth(self.reserve_price(order), closing))
        return needed

    def can_pay(self, order: Order, quantity: int, price: int, fee: int) -> bool:
        """Say whether the account can carry a fill, at the price that it really gets.

        A cash account pays what the fill costs out of its cash; a fill that does not lower cash is paid. In
        any other the position after the fill, at the price of the fill, together with all other positions at
        their marks, must be within `leverage` times the equity that the fee leaves. What only closes can
        always be carried.
        """
        instrument = order.instrument
        if self.is_unlimited:
            return True
        if self.is_cash_account:
            cash = self.cash - instrument.cash(price, quantity * order.sign) - fee
            return cash >= min(self.cash, 0)
        _, opening = self.parts(order, quantity)
        if opening == 0:
            return True
        after = self.ledger.quantity(instrument) + quantity * order.sign
        others = self.gross - abs(self.value(instrument))
        return others + abs(instrument.cash(price, after)) <= self.terms.leverage * (self.equity - fee)
