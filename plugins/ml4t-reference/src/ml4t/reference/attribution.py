"""Attribution: every change of NAV, explained by instrument and by cause.

When a NAV is written, what was booked since the NAV before is its window. For an instrument

    total = value now - value at the NAV before + cash and receivable that its postings moved
    price = total - spread - slippage - impact - fees - dividends - borrow - funding

so that `price` is what its market did, at reference prices. What belongs to no instrument is interest, and
money that came from outside. All parts are contributions: what costs is below zero, what brings is above.

The totals of a NAV add up to the change of equity since the one before, to the last unit of cash.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ml4t.core.errors import AccountingError
from ml4t.reference.account import Account
from ml4t.reference.ledger import Posting
from ml4t.reference.numbers import checked
from ml4t.reference.orders import Fill

__all__ = ["PARTS", "Attribution", "Contribution"]

PARTS = ["price", "spread", "slippage", "impact", "fees", "dividends", "borrow", "funding"]
PARTS += ["interest", "external"]

LARGEST = 10**38 - 1  #: a column of money has 38 digits

Moved = dict[str, int]  #: what postings moved into accounts, by their names; below zero what they moved out


@attrs.frozen(kw_only=True)
class Contribution:
    """What an instrument, or with no symbol the account itself, added to a NAV; amounts are cash units."""

    ts: int
    session: int  #: label, in days
    symbol: str | None
    price: int = 0
    spread: int = 0
    slippage: int = 0
    impact: int = 0
    fees: int = 0
    dividends: int = 0
    borrow: int = 0
    funding: int = 0
    interest: int = 0
    external: int = 0

    @property
    def parts(self) -> list[int]:
        """All parts, in the sequence of the table."""
        return [getattr(self, name) for name in PARTS]

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return sum(self.parts)


@attrs.define
class Attribution:
    """Is told of each NAV, and keeps where things stood at the one before.

    Before the first NAV nothing was there, so the opening deposit belongs to its window.
    """

    account: Account
    fills: list[Fill]  #: all fills of the run so far
    rows: list[Contribution] = attrs.field(factory=list)
    values: dict[str, int] = attrs.field(factory=dict)  #: of the positions held at the NAV before, by symbol
    equity: int = 0  #: at the NAV before
    seen_postings: int = 0  #: how many postings earlier windows hold
    seen_fills: int = 0  #: how many fills earlier windows hold

    def explain(self, now: int, session: int) -> None:
        """Write down what changed since the NAV before, as a NAV is written."""
        account = self.account
        postings = account.ledger.postings[self.seen_postings :]
        fills = self.fills[self.seen_fills :]
        values = {each.symbol: account.value(each) for each in account.held()}
        equity = account.equity

        moved = _moved(postings)
        symbols = {each for each in moved if each is not None} | {_symbol(each) for each in fills}
        symbols |= self.values.keys() | values.keys()
        found = [
            _of_instrument(
                Contribution(ts=now, session=session, symbol=symbol),
                gained=values.get(symbol, 0) - self.values.get(symbol, 0),
                moved=moved.get(symbol, {}),
                fills=[each for each in fills if _symbol(each) == symbol],
            )
            for symbol in sorted(symbols)
        ]
        found.append(_of_account(Contribution(ts=now, session=session, symbol=None), moved.get(None, {})))
        _check(found, equity - self.equity)

        self.rows += [each for each in found if any(each.parts)]
        self.values = values
        self.equity = equity
        self.seen_postings += len(postings)
        self.seen_fills += len(fills)


def _moved(postings: Sequence[Posting]) -> dict[str | None, Moved]:
    """Return what postings moved, by their symbols."""
    found: dict[str | None, Moved] = {}
    for posting in postings:
        moved = found.setdefault(posting.symbol, {})
        moved[posting.debit] = moved.get(posting.debit, 0) + posting.amount
        moved[posting.credit] = moved.get(posting.credit, 0) - posting.amount
    return found


def _of_instrument(empty: Contribution, *, gained: int, moved: Moved, fills: Sequence[Fill]) -> Contribution:
    """Return the parts of an instrument: `gained` is what its position gained in value.

    A debit to fees, borrow or funding is paid by us, a credit to dividends is paid to us: in every case the
    contribution is what the account was debited, with the other sign.
    """
    known = attrs.evolve(
        empty,
        spread=-sum(_cost(each, each.spread) for each in fills),
        slippage=-sum(_cost(each, each.slippage) for each in fills),
        impact=-sum(_cost(each, each.impact) for each in fills),
        fees=-moved.get("fees", 0),
        dividends=-moved.get("dividends", 0),
        borrow=-moved.get("borrow", 0),
        funding=-moved.get("funding", 0),
    )
    total = gained + moved.get("cash", 0) + moved.get("receivable", 0)
    return attrs.evolve(known, price=total - known.total)


def _of_account(empty: Contribution, moved: Moved) -> Contribution:
    """Return the parts that belong to no instrument."""
    return attrs.evolve(empty, interest=-moved.get("interest", 0), external=-moved.get("capital", 0))


def _symbol(fill: Fill) -> str:
    return fill.order.instrument.symbol


def _cost(fill: Fill, per_unit: int) -> int:
    """Return what a fill lost by a part of its price that is worse than the reference."""
    return fill.order.instrument.cash(per_unit, fill.quantity)


def _check(found: Sequence[Contribution], change: int) -> None:
    """Assert that the totals of a NAV are the change of equity, and that the table can hold all parts."""
    total = sum(each.total for each in found)
    if total != change:
        message = f"the attribution does not add up: equity changed by {change}, its parts are {total}"
        raise AccountingError(message)
    for each in found:
        whose = "the account" if each.symbol is None else each.symbol
        for amount in (*each.parts, each.total):
            checked(amount, LARGEST, f"the attribution of {whose}")
