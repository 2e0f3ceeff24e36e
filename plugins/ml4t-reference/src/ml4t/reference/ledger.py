"""The ledger: postings between accounts, appended and never changed.

An amount is debited to one account and credited to another. `cash`, `inventory`, `receivable` and `fees` grow by
debits, `capital`, `realized_pnl` and `dividends` by credits. After every posting

    cash + receivable + inventory = capital + realized_pnl + dividends - fees

holds, and `check` sums all postings anew and compares.
"""

from __future__ import annotations

from fractions import Fraction

from attrs import define, field, frozen

from ml4t.core.errors import AccountingError
from ml4t.core.values import format_ns
from ml4t.reference.numbers import ZERO, checked_cash, is_multiple
from ml4t.reference.numbers import CASH_UNIT

GROW_BY_DEBIT = ("cash", "inventory", "receivable", "fees")
GROW_BY_CREDIT = ("capital", "realized_pnl", "dividends")


@frozen(kw_only=True)
class Cause:
    """When and why money moves: the kind of posting and what it belongs to."""

    ts_event: int
    kind: str
    symbol: str | None = None
    order_id: int | None = None
    fill_id: int | None = None


@frozen(kw_only=True)
class Posting:
    """One movement of money, above zero, to the debited and from the credited account."""

    posting_id: int
    cause: Cause
    debit: str
    credit: str
    amount: Fraction


@define
class Ledger:
    """All postings, and the balances they add up to."""

    postings: list[Posting] = field(factory=list)
    balances: dict[str, Fraction] = field(
        factory=lambda: dict.fromkeys((*GROW_BY_DEBIT, *GROW_BY_CREDIT), ZERO)
    )

    def __getitem__(self, account: str) -> Fraction:
        return self.balances[account]

    def post(self, cause: Cause, *, debit: str, credit: str, amount: Fraction) -> None:
        """Append a posting; one below zero goes the other way, one of zero is none."""
        if amount < 0:
            debit, credit, amount = credit, debit, -amount
        if not amount:
            return
        if not is_multiple(amount, CASH_UNIT):
            msg = f"{cause.kind} of {cause.symbol} at {format_ns(cause.ts_event)}: {amount} is no whole cash unit"
            raise AccountingError(msg)
        posting = Posting(
            posting_id=len(self.postings) + 1, cause=cause, debit=debit, credit=credit, amount=amount
        )
        self.postings.append(posting)
        self._apply(self.balances, posting)
        for account in (debit, credit):
            checked_cash(self.balances[account], f"{account} after the {cause.kind} of {cause.symbol}")
        self._check_identity(self.balances, cause.ts_event)

    def check(self, inventory: Fraction, now: int) -> None:
        """Sum all postings anew; compare with the balances, the identity and the cost of what is held."""
        summed = dict.fromkeys(self.balances, ZERO)
        for posting in self.postings:
            self._apply(summed, posting)
        if summed != self.balances or inventory != summed["inventory"]:
            msg = (
                f"at {format_ns(now)} the postings add up to {summed}, the balances are {self.balances} and "
                f"the lots cost {inventory}"
            )
            raise AccountingError(msg)
        self._check_identity(summed, now)

    @staticmethod
    def _apply(balances: dict[str, Fraction], posting: Posting) -> None:
        for account, sign in ((posting.debit, 1), (posting.credit, -1)):
            balances[account] += posting.amount * (sign if account in GROW_BY_DEBIT else -sign)

    @staticmethod
    def _check_identity(balances: dict[str, Fraction], now: int) -> None:
        left = balances["cash"] + balances["receivable"] + balances["inventory"]
        right = balances["capital"] + balances["realized_pnl"] + balances["dividends"] - balances["fees"]
        if left != right:
            msg = f"at {format_ns(now)} cash, receivable and inventory are {left}, and their sources {right}"
            raise AccountingError(msg)
