"""Payments from outside and to there while a run goes on, first of all in phase 3.

What the account is worth right before each of them is written down beside it, at the marks and the rates of
its instant: so the return of the time in between two payments is known exactly, whatever was paid.
"""

from __future__ import annotations

import attrs

from ml4t.core.errors import DataError
from ml4t.reference.account import Account
from ml4t.reference.exchange import Exchange
from ml4t.reference.numbers import cash_text
from ml4t.reference.plan import CashFlow, Plan
from ml4t.reference.timestamp import text_of

__all__ = ["Flows", "Paid"]


@attrs.frozen(kw_only=True)
class Paid:
    """A row of `cash_flows`; amounts are cash units."""

    flow: CashFlow
    value: int  #: of the base currency
    equity: int  #: right before, of the base currency


@attrs.define
class Flows:
    """Pays what is due, in the sequence of the plan."""

    plan: Plan
    account: Account
    exchange: Exchange
    paid: list[Paid] = attrs.field(factory=list)

    def pay(self, now: int) -> None:
        """Pay in and take out what is due at an instant.

        Raises
        ------
        DataError
            If more is to be taken out than an account that goes by its cash has settled.
        """
        for flow in self.plan.cash_flows:
            if flow.ts == now:
                self._pay(flow)

    def _pay(self, flow: CashFlow) -> None:
        account, currency = self.account, flow.currency
        cash = account.settled_in(currency)
        if flow.amount < 0 and account.is_cash_account and cash + flow.amount < 0:
            settled = "" if account.ledger.unsettled is None else " settled"
            message = (
                f"cash flows: {cash_text(-flow.amount)} {currency} are to be taken out at "
                f"{text_of(flow.ts)}, the account has {cash_text(cash)}{settled}; take out less, or later"
            )
            raise DataError(message)
        value = account.to_base(flow.amount, currency)
        self.paid.append(Paid(flow=flow, value=value, equity=account.equity))
        kind = "deposit" if flow.amount > 0 else "withdrawal"
        account.ledger.post(flow.ts, kind, "cash", "capital", flow.amount, None, currency=currency)
        self.exchange.after_event(flow.ts, currency, None)
