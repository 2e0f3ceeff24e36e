"""What holding costs and brings: fees of borrowed shares, interest on cash, funding of positions.

Borrow fees and interest go from one close of the NAV calendar to the next. When the NAV of a close has been
written, cash, short positions, their marks and rates are noted (phase 5). The next close charges what was
noted, whatever was traded or split in between (phase 3). Funding is due at the times of its rows (phase 3).

Each amount is a float of a model, rounded once, half to even, to the posting quantum. Interest is of the
currency of the cash, each with a model of its own; the others are of the currency of the instrument. What a
payment leaves of a currency is converted before the next one.
"""

from __future__ import annotations

import math
from fractions import Fraction

import attrs

from ml4t.core.models import BorrowArgs, FundingArgs, InterestArgs
from ml4t.reference.account import Account
from ml4t.reference.asking import asked, digits, refuse
from ml4t.reference.events import number_text
from ml4t.reference.exchange import Exchange
from ml4t.reference.numbers import CASH_UNIT, LARGEST_CASH, cash_float
from ml4t.reference.plan import FundingRate, Instrument, Plan

__all__ = ["Carry"]


@attrs.frozen(kw_only=True)
class Short:
    """A short position at a close."""

    instrument: Instrument
    quantity: int  #: above zero
    mark: int  #: settlement price
    rate: float  #: known at that close, a fraction per year; NaN where none was


@attrs.frozen(kw_only=True)
class Cash:
    """The cash of a currency at a close."""

    currency: str
    amount: int
    short_value: int  #: size of all short positions of that currency at their marks


@attrs.frozen(kw_only=True)
class Note:
    """What a close leaves for the next one to charge."""

    session: int  #: label, in days
    cash: list[Cash]  #: of each currency, the base currency first
    shorts: list[Short]  #: by the index of their instruments


@attrs.define
class Carry:
    """Asks the models of borrow, interest and funding, and posts what they answer.

    A kind without a model costs nothing.
    """

    plan: Plan
    account: Account
    exchange: Exchange
    rates: dict[int, float] = attrs.field(factory=dict)  #: borrow rates in force, by instrument
    learned: int = 0  #: how many rows of borrow rates have taken effect
    noted: Note | None = None
    fundings: dict[int, list[FundingRate]] = attrs.field(init=False)  #: rows of funding by their time

    @fundings.default
    def _default_fundings(self) -> dict[int, list[FundingRate]]:
        rows: dict[int, list[FundingRate]] = {}
        for row in self.plan.funding:
            rows.setdefault(row.ts, []).append(row)
        return rows

    # -- phase 3 -----------------------------------------------------------------------------------------

    def learn(self, now: int) -> None:
        """Let rows of borrow rates take effect that are not later than now."""
        rows = self.plan.borrow
        while self.learned < len(rows) and rows[self.learned].ts <= now:
            row = rows[self.learned]
            self.rates[row.instrument] = row.rate
            self.learned += 1

    def fund(self, now: int) -> None:
        """Let positions pay or get the funding of this instant, in the sequence of the table."""
        if self.plan.models.funding is None:
            return
        for row in self.fundings.get(now, ()):
            self._fund(row, now)

    def accrue(self, now: int, session: int) -> None:
        """Charge at a close what was noted at the close before: interest, then borrow by instrument."""
        note = self.noted
        if note is None:
            return
        days = session - note.session
        for cash in note.cash:
            if cash.currency in self.plan.models.interest:
                self._charge_interest(cash, days, now)
        if self.plan.models.borrow is not None:
            for short in note.shorts:
                self._charge_borrow(short, days, now)

    # -- phase 5 -----------------------------------------------------------------------------------------

    def note(self, session: int) -> None:
        """Note at a close what the next one charges."""
        # Derivatives are sold short without anything being borrowed.
        borrowed = [each for each in self.plan.instruments if each.is_borrowed]
        shorts = [self._short(each) for each in borrowed if self._quantity(each) < 0]
        cash = [self._cash(each, shorts) for each in self.plan.currencies.names]
        self.noted = Note(session=session, cash=cash, shorts=shorts)

    def _cash(self, currency: str, shorts: list[Short]) -> Cash:
        own = [short.instrument for short in shorts if short.instrument.currency == currency]
        return Cash(
            currency=currency,
            amount=self.account.cash_in(currency),
            short_value=sum(abs(self.account.notional(instrument)) for instrument in own),
        )

    def _short(self, instrument: Instrument) -> Short:
        return Short(
            instrument=instrument,
            quantity=-self._quantity(instrument),
            mark=self.account.marks[instrument.index],
            rate=self.rates.get(instrument.index, math.nan),
        )

    def _quantity(self, instrument: Instrument) -> int:
        return self.account.ledger.quantity(instrument)

    # -- what models are asked ---------------------------------------------------------------------------

    def _fund(self, row: FundingRate, now: int) -> None:
        """Fund a position by one row, at the mark of the row or else its own."""
        model, instrument = self.plan.models.funding, self.plan.instruments[row.instrument]
        quantity = self._quantity(instrument)
        if quantity == 0:
            return
        mark = instrument.price(self.account.marks[instrument.index]) if math.isnan(row.mark) else row.mark
        args = FundingArgs(
            ts_ns=now,
            mark=mark,
            quantity=instrument.quantity(quantity),
            multiplier=float(instrument.multiplier),
            rate=row.rate if quantity > 0 else row.short_rate,
            asset=instrument.index,
            side=1 if quantity > 0 else -1,
        )
        with asked(model, instrument.symbol, now, "funding: "):
            payment = self._money("payment", float(model.evaluate(args).payment))
        kind = "rollover" if instrument.rolls_over else "funding"
        self._charge("funding", -payment, instrument, now, kind=kind)

    def _charge_interest(self, cash: Cash, days: int, now: int) -> None:
        """Let the cash of a currency earn, or pay for, the days since the close before."""
        model = self.plan.models.interest[cash.currency]
        args = InterestArgs(
            ts_ns=now,
            cash=cash_float(cash.amount),
            short_value=cash_float(cash.short_value),
            days=float(days),
        )
        about = "" if self.plan.currencies.is_single else cash.currency
        with asked(model, about, now, "interest: "):
            payment = self._money("payment", float(model.evaluate(args).payment))
        # No payment is no event.
        if payment:
            self.account.ledger.pay_interest(now, -payment, cash.currency)
            self.exchange.after_event(now, cash.currency, None)

    def _charge_borrow(self, short: Short, days: int, now: int) -> None:
        """Let a position that was short at the close before pay for the days since."""
        model, instrument = self.plan.models.borrow, short.instrument
        args = BorrowArgs(
            ts_ns=now,
            price=instrument.price(short.mark),
            quantity=instrument.quantity(short.quantity),
            multiplier=float(instrument.multiplier),
            days=float(days),
            rate_annual=short.rate,
            asset=instrument.index,
        )
        with asked(model, instrument.symbol, now, "borrow: "):
            fee = self._money("fee", float(model.evaluate(args).fee))
        self._charge("borrow", fee, instrument, now)

    def _charge(
        self, account: str, cost: int, instrument: Instrument, now: int, *, kind: str | None = None
    ) -> None:
        """Post what holding an instrument costs, if it is anything, and convert what that leaves."""
        if cost:
            self.account.ledger.charge(now, account, cost, instrument, kind=kind)
            self.exchange.after_event(now, instrument.currency, instrument)

    def _money(self, what: str, answer: float) -> int:
        """Return an answer of a model in cash units, rounded once; it has to be an amount of money."""
        if not math.isfinite(answer):
            refuse(f"{what} {number_text(answer)} must be finite")
        units = self.account.terms.posted(Fraction(answer) * CASH_UNIT)
        if abs(units) > LARGEST_CASH:
            refuse(f"{what} {digits(answer)} leaves the range of money")
        return units
