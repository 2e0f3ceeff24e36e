"""Margin: what a portfolio needs, by the margin model, and the buying power that this leaves.

The model is asked about a portfolio: positions with the prices at which they count, in the sequence of
instruments, and cash and equity of the account at marks. It answers what is needed to open the portfolio, to
hold it, and to hold it overnight, in the base currency. Each answer is rounded once, half to even, to the
posting quantum. A portfolio without positions needs nothing, and the model is not asked. The model remembers
nothing, so it is asked anew whenever a number is needed.

A position *alone* is a portfolio of that position, with cash and equity as they are. What is free is equity,
less the initial requirement of all positions, both at the prices that a strategy may know, less what working
orders set aside: the initial requirement of what they open, alone, at the price they were accepted with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.models import Holding, MarginArgs
from ml4t.core.types import OrderType
from ml4t.reference.asking import asked, digits, refuse
from ml4t.reference.events import number_text
from ml4t.reference.numbers import CASH_UNIT, LARGEST_CASH, cash_float
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument, Plan

if TYPE_CHECKING:
    from ml4t.reference.account import Account, Aside
    from ml4t.reference.pricing import Pricing

__all__ = ["BOOK", "Entry", "Margin", "Requirement", "number_of"]

BOOK = "book 0"  #: what models of a whole portfolio are asked about, as errors name it


@attrs.frozen
class Entry:
    """A position of a portfolio: signed units, and the price at which they count, in price units."""

    instrument: Instrument
    quantity: int
    price: Fraction | int


@attrs.frozen(kw_only=True)
class Requirement:
    """What a portfolio needs, in cash units of the base currency."""

    initial: int
    maintenance: int
    each: tuple[int, ...]  #: maintenance of each position; empty where nothing is held
    overnight: int | None  #: None where the model tests nothing at closes


NOTHING = Requirement(initial=0, maintenance=0, each=(), overnight=0)


@attrs.frozen(repr=False, eq=False)
class Margin:
    """Asks the margin model about the portfolio of the account, and about others."""

    plan: Plan
    account: Account

    # -- portfolios --------------------------------------------------------------------------------------

    def held(self) -> list[Entry]:
        """Return the positions of the account at their marks."""
        account = self.account
        return [
            Entry(each, account.ledger.quantity(each), account.marks[each.index]) for each in account.held()
        ]

    def _known(self, pricing: Pricing) -> list[Entry]:
        """Return the same at the prices that a strategy may know, before the first at what they cost."""
        account, found = self.account, []
        for each in account.held():
            price: Fraction | int | None = pricing.position(account, each).price
            if price is None:
                price = account.ledger.holding(each).average
            found.append(Entry(each, account.ledger.quantity(each), price))
        return found

    def _after(self, instrument: Instrument, quantity: int, price: int) -> list[Entry]:
        """Return the positions at marks, of which one has another quantity and price."""
        entries = [each for each in self.held() if each.instrument is not instrument]
        entries.append(Entry(instrument, quantity, price))
        return sorted(entries, key=lambda each: each.instrument.index)

    def holdings(self, entries: Sequence[Entry]) -> tuple[Holding, ...]:
        """Return positions as models see them."""
        return tuple(self._holding(each) for each in entries)

    def _holding(self, entry: Entry) -> Holding:
        instrument, now = entry.instrument, self.account.now
        initial, maintenance = self._rates(instrument, now)
        return Holding(
            quantity=instrument.quantity(entry.quantity),
            mark=instrument.price(entry.price),
            multiplier=float(instrument.multiplier),
            fx=self.plan.currencies.rate(instrument.currency, now),
            asset=instrument.index,
            initial_rate=initial,
            maintenance_rate=maintenance,
            lot_size=instrument.quantity(instrument.lot),
        )

    def _rates(self, instrument: Instrument, now: int) -> tuple[float, float]:
        """Return the rates of an instrument in force: those of its last row that is not later than now."""
        known = [
            row for row in self.plan.margin_rates if row.instrument == instrument.index and row.ts <= now
        ]
        return (known[-1].initial, known[-1].maintenance) if known else (math.nan, math.nan)

    # -- what they need ----------------------------------------------------------------------------------

    def of(self, entries: Sequence[Entry]) -> Requirement:
        """Return what a portfolio needs.

        Raises
        ------
        ModelError
            If the model answers what is no requirement of these positions.
        """
        if not entries:
            return NOTHING
        account, model = self.account, self.plan.models.margin
        args = MarginArgs(
            ts_ns=account.now,
            cash=cash_float(account.cash),
            equity=cash_float(account.equity),
            holdings=self.holdings(entries),
        )
        with asked(model, BOOK, account.now, "margin: "):
            return self._read(model.evaluate(args), len(entries))

    def of_held(self) -> Requirement:
        """Return what the positions of the account need at their marks."""
        return self.of(self.held())

    def alone(self, instrument: Instrument, quantity: int, price: Fraction | int) -> Requirement:
        """Return what a position needs by itself."""
        return self.of([Entry(instrument, quantity, price)] if quantity else [])

    def _read(self, answer: Any, count: int) -> Requirement:  # noqa: ANN401 - what a model answers
        overnight = float(answer.overnight)
        read = Requirement(
            initial=self._money("initial", float(answer.initial)),
            maintenance=self._money("maintenance", float(answer.maintenance)),
            each=tuple(self._money("requirement", float(each)) for each in answer.requirement),
            overnight=None if math.isnan(overnight) else self._money("overnight", overnight),
        )
        if len(read.each) != count:
            refuse(f"requirement has {len(read.each)} numbers for {count} positions")
        return read

    def _money(self, what: str, answer: float) -> int:
        """Return an amount of an answer in cash units, rounded once."""
        units = self.account.terms.posted(Fraction(number_of(what, answer)) * CASH_UNIT)
        if units > LARGEST_CASH:
            refuse(f"{what} {digits(answer)} leaves the range of money")
        return units

    # -- buying power ------------------------------------------------------------------------------------

    def free(self, pricing: Pricing, aside: Aside) -> Fraction:
        """Return the buying power in the base currency, after what is set aside in it."""
        free = pricing.equity(self.account) - self.of(self._known(pricing)).initial
        return free - aside.paid[self.account.currencies.base]

    def before_orders(self) -> int:
        """Return the buying power at marks, before anything is set aside."""
        return self.account.equity - self.of_held().initial

    def need(self, order: Order, price: Fraction, closing: int, opening: int) -> Fraction:
        """Return what an order uses at a price: for what it opens, less what a market order closes."""
        instrument = order.instrument
        needed = self.alone(instrument, opening * order.sign, price).initial
        if order.order_type is OrderType.MARKET:
            # What it closes is of the other side.
            needed -= self.alone(instrument, -closing * order.sign, price).initial
        return Fraction(needed)

    def carries(self, order: Order, quantity: int, price: int, fee: int) -> bool:
        """Say whether equity less the fee is enough to open the portfolio that a fill leads to."""
        instrument = order.instrument
        after = self.account.ledger.quantity(instrument) + quantity * order.sign
        needed = self.of(self._after(instrument, after, price)).initial
        return needed <= self.account.equity - self.account.to_base(fee, instrument.currency)


def number_of(what: str, answer: float) -> float:
    """Return a number of an answer that has to be finite and zero or more."""
    if not (math.isfinite(answer) and answer >= 0):
        refuse(f"{what} {number_text(answer)} must be finite and not below zero")
    return answer
