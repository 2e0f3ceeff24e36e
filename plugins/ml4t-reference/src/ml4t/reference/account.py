"""The account: what is there in each currency, what it is worth, and what orders would use of it.

All amounts are cash units. Cash, what is owed and positions stay in their currencies. Equity is the sum of
what each currency holds, cash + receivable + positions at their marks, converted to the base currency at the
rates of the present instant, once for each currency. A position that was paid for counts with what it is
worth, a margined one with what it has gained and not settled yet. What bounds an account is in
`ml4t.reference.power`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import BuyingPower
from ml4t.core.types import OrderType, Side
from ml4t.reference.currencies import Currencies
from ml4t.reference.ledger import Ledger
from ml4t.reference.numbers import LARGEST_CASH, checked
from ml4t.reference.orders import Order
from ml4t.reference.plan import Account as Terms
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.margin import Margin

__all__ = ["Account", "Aside"]


@attrs.frozen
class Aside:
    """What working orders reserve, by the currencies of their instruments, in cash units of those."""

    paid: dict[str, Fraction]  #: of instruments that are paid for
    margined: dict[str, Fraction]  #: of the others

    @classmethod
    def nothing(cls, currencies: Iterable[str]) -> Aside:
        """Return that nothing is reserved of any currency."""
        empty = dict.fromkeys(currencies, Fraction(0))
        return cls(paid=dict(empty), margined=dict(empty))

    def add(self, instrument: Instrument, amount: Fraction) -> None:
        """Count in what an order of an instrument reserves; below zero it frees something."""
        part = self.margined if instrument.is_margined else self.paid
        part[instrument.currency] += amount

    @property
    def in_each(self) -> dict[str, Fraction]:
        """Both together."""
        return {each: amount + self.margined[each] for each, amount in self.paid.items()}


@attrs.define
class Account:
    """Ledger and marks together."""

    terms: Terms
    ledger: Ledger
    instruments: tuple[Instrument, ...]
    currencies: Currencies
    now: int  #: the present instant, at whose rates currencies are converted
    marks: dict[int, int] = attrs.field(factory=dict)  #: last price of the matching source, by instrument
    margin: Margin | None = attrs.field(default=None, repr=False, eq=False)
    """What bounds it by a margin model; None without one."""

    def open(self) -> None:
        """Deposit what the account begins with, the base currency first."""
        given = {self.currencies.base: self.terms.initial_cash} | dict(self.terms.initial_balances)
        for currency in self.currencies.names:
            amount = given.get(currency, 0)
            self.ledger.post(self.now, "deposit", "cash", "capital", amount, None, currency=currency)

    # -- what is there, in one currency ------------------------------------------------------------------

    def cash_in(self, currency: str) -> int:
        """Return the money in the bank of a currency."""
        return self.ledger.balance("cash", currency)

    def unsettled_in(self, currency: str) -> int:
        """Return what of that has not settled."""
        unsettled = self.ledger.unsettled
        return 0 if unsettled is None else unsettled.amount(currency, self.now)

    def settled_in(self, currency: str) -> int:
        """Return the rest of it."""
        return self.cash_in(currency) - self.unsettled_in(currency)

    def held_back_in(self, currency: str) -> int:
        """Return what of the cash of a currency buys nothing, because it has not settled."""
        unsettled = self.ledger.unsettled
        is_held = unsettled is not None and unsettled.is_held(self.now)
        return self.unsettled_in(currency) if is_held else 0

    def spendable_in(self, currency: str) -> int:
        """Return what of it an account may spend that goes by its cash."""
        return self.cash_in(currency) - self.held_back_in(currency)

    def receivable_in(self, currency: str) -> int:
        """Return what is owed to the account in a currency; below zero, what it owes."""
        return self.ledger.balance("receivable", currency)

    def long_value_in(self, currency: str) -> int:
        """Return the positions of a currency that were paid for and are worth more than nothing, at marks."""
        return sum(max(self.notional(each), 0) for each in self.held_in(currency) if not each.is_margined)

    def short_value_in(self, currency: str) -> int:
        """Return the positions of a currency that were paid for and are worth less than nothing, at marks."""
        return sum(min(self.notional(each), 0) for each in self.held_in(currency) if not each.is_margined)

    def open_pnl_in(self, currency: str) -> int:
        """Return what margined positions of a currency have gained and not settled yet."""
        return sum(self.value(each) for each in self.held_in(currency) if each.is_margined)

    def margined_long_in(self, currency: str) -> int:
        """Return the sum of the notionals above zero of the margined positions of a currency."""
        return sum(max(self.notional(each), 0) for each in self.held_in(currency) if each.is_margined)

    def margined_short_in(self, currency: str) -> int:
        """Return the sum of the notionals below zero of the margined positions of a currency."""
        return sum(min(self.notional(each), 0) for each in self.held_in(currency) if each.is_margined)

    def margined_in(self, currency: str) -> int:
        """Return the size of the margined positions of a currency at their marks."""
        return self.margined_long_in(currency) - self.margined_short_in(currency)

    def total_in(self, currency: str) -> int:
        """Return cash + receivable + positions at their marks, of a currency."""
        owned = self.cash_in(currency) + self.receivable_in(currency)
        positions = self.long_value_in(currency) + self.short_value_in(currency)
        return owned + positions + self.open_pnl_in(currency)

    def gross_in(self, currency: str) -> int:
        """Return the size of all positions of a currency at their marks."""
        paid = self.long_value_in(currency) - self.short_value_in(currency)
        return paid + self.margined_in(currency)

    def held_in(self, currency: str) -> list[Instrument]:
        """Return the instruments of a currency with a position, by symbol."""
        return [each for each in self.held() if each.currency == currency]

    def held(self) -> list[Instrument]:
        """Return the instruments with a position, by symbol."""
        return [each for each in self.instruments if self.ledger.quantity(each)]

    def notional(self, instrument: Instrument) -> int:
        """Return mark x quantity x multiplier in its own currency, below zero for a short position."""
        quantity = self.ledger.quantity(instrument)
        value = instrument.cash(self.marks[instrument.index], quantity) if quantity else 0
        return checked(value, LARGEST_CASH, f"the value of the position in {instrument.symbol}")

    def value(self, instrument: Instrument) -> int:
        """Return what a position adds to what its currency holds; of a margined one what is not settled."""
        if instrument.is_margined:
            return self.notional(instrument) - self.ledger.holding(instrument).basis
        return self.notional(instrument)

    # -- what that is worth, in the base currency --------------------------------------------------------

    def to_base(self, amount: int, currency: str) -> int:
        """Return what an amount of a currency is worth in the base currency now."""
        return self.currencies.to_base(amount, currency, self.now)

    def in_base(self, amount_in: Callable[[str], int]) -> int:
        """Return the sum over all currencies of an amount of each, worth in the base currency now."""
        return sum(self.to_base(amount_in(each), each) for each in self.currencies.names)

    @property
    def cash(self) -> int:
        """Money in the bank."""
        return self.in_base(self.cash_in)

    def fx_result_in(self, currency: str) -> int:
        """Return what conversions have brought into a currency; of all of them it is what rates have done."""
        return -self.ledger.balance("exchange", currency)

    @property
    def equity(self) -> int:
        """Cash + receivable + positions at their marks."""
        return self.in_base(self.total_in)

    @property
    def gross(self) -> int:
        """Size of all positions at their marks."""
        return self.in_base(self.gross_in)

    @property
    def collateral(self) -> int:
        """Size of all margined positions at their marks: what an account that goes by cash holds for them."""
        return self.in_base(self.margined_in)

    # -- what bounds it ----------------------------------------------------------------------------------

    @property
    def is_cash_account(self) -> bool:
        """Whether the account can spend its cash and nothing else."""
        if self.margin is not None:
            return False
        if self.terms.buying_power is BuyingPower.EQUITY:
            return self.terms.leverage == 1 and not self.terms.allows_short
        return self.terms.buying_power is BuyingPower.CASH

    @property
    def is_unlimited(self) -> bool:
        """Whether the account can carry whatever it is asked to."""
        return self.terms.buying_power is BuyingPower.UNLIMITED

    # -- what orders would use, in the currencies of their instruments -----------------------------------

    def parts(self, order: Order, quantity: int) -> tuple[int, int]:
        """Split a quantity of an order into what closes the position held now and what opens or enlarges."""
        held = self.ledger.quantity(order.instrument)
        closing = min(quantity, abs(held)) if held * order.sign < 0 else 0
        return closing, quantity - closing

    def set_aside(self, working: Iterable[Order], coming: Iterable[Order] = ()) -> Aside:
        """Return by currency what working orders reserve, with orders still `coming` after them.

        Each reserves, at the price it was accepted with, the part of it that opens or enlarges the position
        held now. A market order that reduces a position frees what it closes; two orders that each would
        close the same position both count as closing. Orders that are coming reserve nothing yet.
        """
        aside = Aside.nothing(self.currencies.names)
        for order in working:
            self._put(aside, order, self.need(order))
        for order in coming:
            self._put(aside, order, min(self.need(order), Fraction(0)))
        return aside

    def _put(self, aside: Aside, order: Order, amount: Fraction) -> None:
        """Put aside what an order reserves; with a margin model that is money of the base currency."""
        if self.margin is not None:
            aside.paid[self.currencies.base] += amount
        else:
            aside.add(order.instrument, amount)

    def reserved(self, order: Order, quantity: int) -> Fraction:
        """Return what a quantity of an order sets aside: its size at the price it was accepted with."""
        if self._opens_nothing(order):
            return Fraction(0)
        return abs(order.instrument.worth(self.reserve_price(order), quantity))

    def _opens_nothing(self, order: Order) -> bool:
        """Say whether an order sets nothing aside, however large it is.

        A sell of an account that may not sell short never opens a position, so it sets nothing aside, nor
        does one that brings cash where that is all that counts, nor an order that only reduces. No sell of a
        margined instrument brings cash.
        """
        brings_cash = self.is_cash_account and not order.instrument.is_margined
        sells_for_nothing = brings_cash or not self.terms.allows_short
        return order.reduce_only or (order.side is Side.SELL and sells_for_nothing)

    def reserve_price(self, order: Order) -> Fraction:
        """Return the price at which an order counts: its limit, its stop, the last price when it came.

        Nothing where it came before the first price, also of a trailing stop that has prices by now.
        """
        return Fraction(0) if order.reserve_price is None else order.reserve_price

    def need(self, order: Order) -> Fraction:
        """Return the buying power that an order uses: for what it opens, less what a market order closes.

        Below zero for a market order that reduces a position. Where cash is all that counts a purchase uses
        all that it costs, also where it covers a short position, and a sale uses none; but what is margined
        costs nothing, and there both use what they open. Without bounds nothing uses anything, nor does the
        order of a position rule or of a liquidation. With a margin model it is money of the base currency.
        """
        if self.is_unlimited or order.rule is not None or order.is_of_the_broker:
            return Fraction(0)
        goes_by_cash = self.terms.buying_power is BuyingPower.CASH and not order.instrument.is_margined
        if goes_by_cash and order.side is Side.BUY:
            return abs(order.instrument.worth(self.reserve_price(order), order.leaves))
        closing, opening = self.parts(order, order.leaves)
        if self.margin is not None:
            if order.reserve_price is None:
                # Nothing is known of what it needs: its fill will show.
                return Fraction(0)
            opening = 0 if self._opens_nothing(order) else opening
            return self.margin.need(order, self.reserve_price(order), closing, opening)
        needed = self.reserved(order, opening)
        if order.order_type is OrderType.MARKET:
            needed -= abs(order.instrument.worth(self.reserve_price(order), closing))
        return needed
