"""Margin calls: whether equity is what positions need, and what follows where it is not.

Margin is checked at every instant twice: in phase 5, before the NAV of a session is recorded, and in phase 10
when the opens have filled, before their fills are told. Maintenance is checked each time; what is needed
overnight in phase 5 of an instant at which a session of the NAV calendar closes, after it. Each of the two
has at most one call open:

===========  ================================================================================================
status       when
===========  ================================================================================================
warning      maintenance is more than `warn_at` of equity, and equity is still enough; once, until it is not
issued       equity is not enough, and no call is open; the deadline is `grace_ns` later
liquidation  equity is not enough and the deadline has come: positions are closed, if a model says which
met          a call is open, and equity is enough or nothing is held
===========  ================================================================================================

A deadline is no instant by itself: the first check at it or later counts.
"""

from __future__ import annotations

import attrs

from ml4t.reference.liquidation import Liquidator, Occasion
from ml4t.reference.liquidation_price import Closing
from ml4t.reference.margin import Margin, Requirement
from ml4t.reference.margin_terms import CallRow, MarginTerms
from ml4t.reference.memorandum import Memorandum
from ml4t.reference.numbers import cash_float
from ml4t.reference.orders import OrderBook

__all__ = ["Calls", "Measured"]

MAINTENANCE, OVERNIGHT = "maintenance", "overnight"


@attrs.frozen(kw_only=True)
class Measured:
    """What `margin` tells of an instant; amounts are cash units of the base currency."""

    equity: int
    needs: Requirement
    sma: int | None  #: None where the model knows no such account


@attrs.frozen(kw_only=True)
class _Check:
    """The account at one check."""

    now: int
    equity: int
    needs: Requirement
    after_opens: bool


@attrs.define(kw_only=True)
class Calls:
    """Checks margin, and keeps the calls that are open."""

    book: OrderBook
    terms: MarginTerms
    margin: Margin
    memorandum: Memorandum | None  #: None where the model knows no such account
    liquidator: Liquidator | None  #: None where no model says what is closed
    closing: Closing | None  #: closes positions at a price; then nothing is called for
    deadlines: dict[str, int] = attrs.field(factory=dict)  #: of the calls that are open, by their kinds
    is_warned: bool = False

    def measure(self) -> Measured:
        """Return what positions need now."""
        needs = self.margin.of_held()
        sma = None if self.memorandum is None else self.memorandum.balance
        return Measured(equity=self.margin.account.equity, needs=needs, sma=sma)

    def check(self, now: int, *, is_close: bool, after_opens: bool) -> None:
        """Check margin at an instant: maintenance, and what is needed overnight where a session closes."""
        if self.closing is not None:
            self.closing.check(now)
            return
        check = _Check(
            now=now,
            equity=self.margin.account.equity,
            needs=self.margin.of_held(),
            after_opens=after_opens,
        )
        self._maintenance(check)
        if is_close:
            self._overnight(check)

    def _maintenance(self, check: _Check) -> None:
        needed = check.needs.maintenance
        if not check.needs.each:
            self.is_warned = False
            self._meet(MAINTENANCE, check, 0)
            return
        self._decide(MAINTENANCE, check, needed, needed - check.equity)
        if check.equity >= needed:
            self._warn(check)

    def _overnight(self, check: _Check) -> None:
        needed = check.needs.overnight
        balance = None if self.memorandum is None else self.memorandum.close(check.needs)
        if not check.needs.each:
            self._meet(OVERNIGHT, check, 0)
        elif needed is not None:
            excess = check.equity - needed if balance is None else balance
            self._decide(OVERNIGHT, check, needed, -excess)

    def _warn(self, check: _Check) -> None:
        """Warn once while maintenance is near to equity."""
        if self.terms.warn_at is None:
            return
        was_warned = self.is_warned
        self.is_warned = cash_float(check.needs.maintenance) > self.terms.warn_at * cash_float(check.equity)
        if self.is_warned and not was_warned:
            self._write(MAINTENANCE, "warning", check, check.needs.maintenance)

    def _decide(self, kind: str, check: _Check, needed: int, lack: int) -> None:
        """Issue a call, meet it, or do what follows when its time is over; `lack` is below zero without."""
        if lack <= 0:
            self._meet(kind, check, needed)
            return
        if kind not in self.deadlines:
            self.deadlines[kind] = check.now + self.terms.grace_ns
            self._write(kind, "issued", check, needed, lack)
        if self.liquidator is None or self.deadlines[kind] > check.now:
            return
        occasion = Occasion(
            now=check.now,
            after_opens=check.after_opens,
            deficit=lack,
            needs=check.needs,
            is_overnight=kind == OVERNIGHT,
        )
        orders = self.liquidator.asked_for(occasion)
        if orders:
            self._write(kind, "liquidation", check, needed, lack)
            self.liquidator.liquidate(orders, occasion)

    def _meet(self, kind: str, check: _Check, needed: int) -> None:
        """Close the call of a kind, if it is open and the account is not in debt."""
        if kind in self.deadlines and check.equity >= 0:
            self._write(kind, "met", check, needed)
            del self.deadlines[kind]

    def _write(self, kind: str, status: str, check: _Check, needed: int, amount: int = 0) -> None:
        row = CallRow(
            ts=check.now,
            kind=kind,
            status=status,
            equity=check.equity,
            requirement=needed,
            amount=amount,
            deadline=None if status in ("warning", "met") else self.deadlines[kind],
        )
        self.book.call(row)
