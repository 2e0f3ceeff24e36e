"""The account: holdings, their worth, and what may still be bought."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from attrs import define, evolve, field

from ml4t.core.types import LotPolicy
from ml4t.reference.instruments import Terms
from ml4t.reference.ledger import Cause, Ledger
from ml4t.reference.lots import Holding, Lot
from ml4t.reference.numbers import ZERO
from ml4t.reference.orders import Order


@define(kw_only=True, eq=False)
class Account:
    """Cash, holdings and ledger of one book.

    Attributes
    ----------
    holdings : list of Holding
        One per instrument of the universe, also where nothing is held.
    """

    holdings: list[Holding]
    leverage: Fraction
    allows_short: bool
    ledger: Ledger = field(factory=Ledger)

    @classmethod
    def of(
        cls, terms: Iterable[Terms], *, leverage: Fraction, allows_short: bool, policy: LotPolicy
    ) -> Account:
        """Make an account without money and without positions."""
        holdings = [Holding(terms=each, policy=policy) for each in terms]
        return cls(holdings=holdings, leverage=leverage, allows_short=allows_short)

    @property
    def cash(self) -> Fraction:
        """Money at hand."""
        return self.ledger["cash"]

    @property
    def long_value(self) -> Fraction:
        """Worth of the long positions."""
        return sum((each.value for each in self.holdings if each.quantity > 0), ZERO)

    @property
    def short_value(self) -> Fraction:
        """Worth of the short positions, zero or below."""
        return sum((each.value for each in self.holdings if each.quantity < 0), ZERO)

    @property
    def equity(self) -> Fraction:
        """Cash, what is owed to us, and positions at their marks."""
        return self.cash + self.ledger["receivable"] + self.long_value + self.short_value

    @property
    def exposure(self) -> Fraction:
        """Worth of all positions regardless of their sign."""
        return sum((abs(each.value) for each in self.holdings), ZERO)

    @property
    def room(self) -> Fraction:
        """What new positions may cost, working orders apart: in a cash account its cash."""
        if self.leverage == 1 and not self.allows_short:
            return self.cash
        return self.leverage * self.equity - self.exposure

    def buying_power(self, working: Iterable[Order]) -> Fraction:
        """Return what may still be bought, or sold short, after what working orders need."""
        return self.room - sum((self.need(order) for order in working), ZERO)

    def need(self, order: Order) -> Fraction:
        """Return what an order takes of the buying power, given the position that is held.

        What opens or adds to a position takes its notional at the price expected at intake; a sell in an account that
        may not sell short opens nothing. What closes gives back its notional if it is a market order, which is as good
        as done; resting orders may never trade and give nothing back.
        """
        closing = self.holdings[order.terms.id].closable(order.sign, order.leaves)
        opening = order.leaves - closing if order.sign > 0 or self.allows_short else ZERO
        freed = closing if order.acts_as_market else ZERO
        price = order.expected_price
        return abs(order.terms.value(opening, price)) - abs(order.terms.value(freed, price))

    def expected_price(self, order: Order) -> Fraction:
        """Return the price that a new order is expected to trade at: its limit, its stop, or the last price."""
        for price in (order.limit_price, order.stop_price):
            if price is not None:
                return price
        known = self.holdings[order.terms.id].known
        return ZERO if known is None else known

    def trade(self, lot: Lot, terms: Terms, cause: Cause) -> list[Lot]:
        """Book a trade, given as a signed lot with its value as cost; return the parts of lots it closed."""
        holding = self.holdings[terms.id]
        sign = 1 if lot.quantity > 0 else -1
        closing = holding.closable(sign, abs(lot.quantity))
        closed: list[Lot] = []
        if closing:
            value = lot.split_off(sign * closing).cost
            closed = list(holding.take(closing))
            self._close(holding, -value, closed, cause, result=evolve(cause, kind="realized"))
        if lot.quantity:
            holding.add(lot)
            self.ledger.post(cause, debit="inventory", credit="cash", amount=lot.cost)
        return closed

    def pay_out(self, holding: Holding, quantity: Fraction, proceeds: Fraction, cause: Cause) -> None:
        """Take units out of a position for money, both above zero for a long one, without a trade."""
        self._close(holding, proceeds, list(holding.take(abs(quantity))), cause, result=cause)

    def _close(
        self, holding: Holding, proceeds: Fraction, closed: list[Lot], cause: Cause, *, result: Cause
    ) -> None:
        """Post the cost of what left, then the result; proceeds are below zero where we pay."""
        cost = sum((part.cost for part in closed), ZERO)
        self.ledger.post(cause, debit="cash", credit="inventory", amount=cost)
        self.ledger.post(result, debit="cash", credit="realized_pnl", amount=proceeds - cost)
        holding.realized += proceeds - cost
