"""The special memorandum account, by which some margin models test a portfolio at closes.

It begins at zero. At each close of the NAV calendar it takes in cash that did not come from trading, and what
trades since the close before have released of the overnight requirement, below zero what they have taken. It
is never less than what equity leaves of the overnight requirement, and so it keeps what it once had:

    balance = max(balance before + cash + released, equity - overnight)

Cash is the change of all cash and receivables plus the signed value of fills, so that fees are in it; before
the first close all of what the account began with is such cash. It is counted by currency and converted at
the close, so that new rates bring no cash; a receivable counts as in equity, from the ex-date on. A fill of
an instrument that is not paid for moves no cash by its value, so that is not added. What a fill releases is
the overnight requirement of the position before it, alone and at the price of the fill, less that of the
position after it.
"""

from __future__ import annotations

import attrs

from ml4t.reference.margin import Margin, Requirement
from ml4t.reference.orders import Fill

__all__ = ["Memorandum"]


@attrs.define
class Memorandum:
    """The balance at the close before, and what has come together since; cash units of the base currency."""

    margin: Margin
    balance: int = 0
    has: dict[str, int] = attrs.field(factory=dict)  #: cash and receivables at the close before, by currency
    traded: dict[str, int] = attrs.field(factory=dict)  #: value of the fills since, below zero of sales
    released: int = 0  #: by the fills since

    def note(self, fill: Fill, before: int) -> None:
        """Count a fill in that has just been booked; `before` is the position it has changed."""
        instrument = fill.order.instrument
        if not instrument.is_margined:
            traded = self.traded.get(instrument.currency, 0)
            self.traded[instrument.currency] = traded + fill.notional * fill.order.sign
        after = before + fill.quantity * fill.order.sign
        self.released += self._overnight(fill, before) - self._overnight(fill, after)

    def _overnight(self, fill: Fill, quantity: int) -> int:
        """Return what a position needs overnight, alone and at the price of a fill; nothing is zero."""
        return self.margin.alone(fill.order.instrument, quantity, fill.price).overnight or 0

    def close(self, needs: Requirement) -> int:
        """Take a close in and return the balance."""
        account = self.margin.account
        brought = 0
        for currency, has in self._has().items():
            own = has - self.has.get(currency, 0) + self.traded.get(currency, 0)
            brought += account.to_base(own, currency)
        self.balance += brought + self.released
        if needs.overnight is not None:
            self.balance = max(self.balance, account.equity - needs.overnight)
        self.has, self.traded, self.released = self._has(), {}, 0
        return self.balance

    def _has(self) -> dict[str, int]:
        """Return cash and receivables by currency."""
        account = self.margin.account
        names = account.currencies.names
        return {each: account.cash_in(each) + account.receivable_in(each) for each in names}
