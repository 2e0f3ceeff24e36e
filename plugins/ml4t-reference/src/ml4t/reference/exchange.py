"""The exchange: conversions between currencies, those that events cause and those that a strategy asks for.

Cash of every currency stays what it is until it is converted. What an event leaves below zero in its currency
is bought for the base currency right after the postings of that event; with `always` what it leaves above
zero is sold, and with `never` nothing happens. A strategy may ask for more: its conversions wait for the next
rate on their way, or with `quote_fill = "standing"` are done at the intake of their own instant.
"""

from __future__ import annotations

import attrs

from ml4t.core.policies import Conversion, QuoteFill
from ml4t.reference.account import Account
from ml4t.reference.dealer import Deal, Dealer
from ml4t.reference.numbers import cash_text
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.timestamp import text_of

__all__ = ["Asked", "Converted", "Exchange"]


@attrs.frozen(kw_only=True)
class Asked:
    """A conversion that a strategy asked for."""

    id: int
    ts: int  #: when it was asked for
    currency: str
    amount: int  #: above zero to buy it, below zero to sell it
    due: (
        int | None
    )  #: when it is executed; None at the intake of its instant, or where no rate comes any more


@attrs.frozen(kw_only=True)
class Converted:
    """A row of `conversions`: what became of one. Amounts are cash units."""

    asked: Asked | None  #: None where an event caused it
    ts: int
    currency: str
    amount: int
    deal: Deal | None  #: None where it was not executed
    instrument: Instrument | None = None  #: whose event caused it
    status: str = "executed"
    reason: str = ""


@attrs.define
class Exchange:
    """Converts, and keeps what is asked for until it is due."""

    plan: Plan
    account: Account
    dealer: Dealer
    waiting: list[Asked] = attrs.field(factory=list)  #: in the sequence in which they were asked for
    rows: list[Converted] = attrs.field(factory=list)  #: in the order of execution, refusal and expiry
    count: int = 0  #: of all that was asked for

    # -- by itself ---------------------------------------------------------------------------------------

    def after_event(self, now: int, currency: str, instrument: Instrument | None) -> None:
        """Convert what an event in a currency has left, right after its postings."""
        policy = self.plan.account.conversion
        cash = self.account.cash_in(currency)
        if currency == self.plan.currencies.base or policy is Conversion.NEVER or cash == 0:
            return
        if cash > 0 and policy is not Conversion.ALWAYS:
            return
        deal = self.dealer.deal(currency, -cash, now)
        self._post(deal, now, instrument)
        self.rows.append(
            Converted(asked=None, ts=now, currency=currency, amount=-cash, deal=deal, instrument=instrument)
        )

    def _post(self, deal: Deal, now: int, instrument: Instrument | None) -> None:
        """Post a conversion: its leg in the currency, its leg in the base currency, its cost."""
        unsettled, base = self.account.ledger.unsettled, self.plan.currencies.base
        if unsettled is None:
            self._post_parts(deal, now, instrument)
            return
        with unsettled.noting() as spent:
            self._post_parts(deal, now, instrument)
        # What was unsettled of the one currency is so of the other.
        self.account.ledger.follow(unsettled.convert(deal, base, spent, now), now)

    def _post_parts(self, deal: Deal, now: int, instrument: Instrument | None) -> None:
        ledger, base = self.account.ledger, self.plan.currencies.base
        moved = deal.value if deal.amount > 0 else -deal.value
        kind = "conversion"
        ledger.post(now, kind, "cash", "exchange", deal.amount, instrument, currency=deal.currency)
        ledger.post(now, kind, "exchange", "cash", moved, instrument, currency=base)
        ledger.post(now, "conversion_cost", "fx_costs", "cash", deal.cost, instrument, currency=base)

    # -- asked for ---------------------------------------------------------------------------------------

    def ask(self, currency: str, amount: int, now: int) -> int:
        """Take a conversion in and return its number, counted from 1."""
        self.count += 1
        due = None if self._is_at_once else self.plan.currencies.next_row(currency, now)
        self.waiting.append(Asked(id=self.count, ts=now, currency=currency, amount=amount, due=due))
        return self.count

    @property
    def _is_at_once(self) -> bool:
        return self.plan.policies.quote_fill is QuoteFill.STANDING

    def next_due(self) -> int | None:
        """Return when the next conversion is executed."""
        return min((each.due for each in self.waiting if each.due is not None), default=None)

    def execute_due(self, now: int) -> None:
        """Execute what has waited for a rate that comes into force now: phase 3."""
        for each in [each for each in self.waiting if each.due is not None and each.due <= now]:
            self._execute(each, now)

    def execute_at_once(self, now: int) -> None:
        """Execute what is done at the rates that are in force when it is asked for: at intake."""
        for each in list(self.waiting) if self._is_at_once else []:
            self._execute(each, now)

    def _execute(self, asked: Asked, now: int) -> None:
        self.waiting.remove(asked)
        deal = self.dealer.deal(asked.currency, asked.amount, now)
        refusal = self._refusal(deal, now)
        if refusal:
            self._close(asked, now, "refused", refusal)
            return
        self._post(deal, now, None)
        self.rows.append(
            Converted(asked=asked, ts=now, currency=asked.currency, amount=asked.amount, deal=deal)
        )

    def _refusal(self, deal: Deal, now: int) -> str:
        """Return why an account that goes by its cash cannot pay for a conversion; empty where it can."""
        if not self.account.is_cash_account:
            return ""
        base = self.plan.currencies.base
        currency, needed = (base, deal.price) if deal.amount > 0 else (deal.currency, -deal.amount)
        cash = self.account.spendable_in(currency)
        if needed <= cash:
            return ""
        what = "buying" if deal.amount > 0 else "selling"
        return (
            f"{what} {cash_text(abs(deal.amount))} {deal.currency} needs {cash_text(needed)} {currency}, "
            f"the account has {cash_text(cash)} ({text_of(now)})"
        )

    def expire(self, now: int) -> None:
        """Let everything expire that was not executed when the data ended."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            self._close(each, now, "expired", f"not executed when the data ended ({text_of(now)})")

    def _close(self, asked: Asked, now: int, status: str, reason: str) -> None:
        self.rows.append(
            Converted(
                asked=asked,
                ts=now,
                currency=asked.currency,
                amount=asked.amount,
                deal=None,
                status=status,
                reason=reason,
            )
        )
