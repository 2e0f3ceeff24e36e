"""Attribution: every change of NAV, explained by instrument and by cause.

When a NAV is written, what was booked since the NAV before is its window. For an instrument, in its currency,

    total = value now - value at the NAV before + cash and receivable that its postings moved
            + what it gave away in corporate actions - what it got in them
    price = total - spread - slippage - impact - fees - dividends - borrow - funding - roll

so that `price` is what its market did, at reference prices. Spread, slippage, impact and fees of fills of a
roll are `roll`, and in no other part. What belongs to no instrument is interest, and
money that came from outside. All parts are contributions: what costs is below zero, what brings is above.

The table is in the base currency: each part of a window is converted once, at the rates of now. What rates
alone have done is `fx`: what was there at the NAV before is worth more or less today, and so is what has been
converted since. `fx_costs` is what conversions cost, by the instrument that caused them.

The totals of a NAV add up to the change of equity since the one before, to the last unit of cash. What the
rounding of conversions leaves over is in `fx` of the account itself; with one currency that is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.errors import AccountingError
from ml4t.reference.account import Account
from ml4t.reference.currencies import Currencies
from ml4t.reference.ledger import Posting
from ml4t.reference.numbers import checked
from ml4t.reference.orders import Fill
from ml4t.reference.plan import Instrument

__all__ = ["PARTS", "Attribution", "Contribution"]

PARTS = ["price", "spread", "slippage", "impact", "fees", "dividends", "borrow", "funding"]
PARTS += ["interest", "fx", "fx_costs", "roll", "external"]

LARGEST = 10**38 - 1  #: a column of money has 38 digits

Moved = Mapping[
    str, int
]  #: what postings moved into accounts, by their names; below zero what they moved out


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
    fx: int = 0
    fx_costs: int = 0
    roll: int = 0
    external: int = 0

    @property
    def parts(self) -> list[int]:
        """All parts, in the sequence of the table."""
        return [getattr(self, name) for name in PARTS]

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return sum(self.parts)


@attrs.frozen(kw_only=True)
class Standing:
    """Where things stood at a NAV; amounts are cash units of their currencies."""

    ts: int
    values: Mapping[str, int]  #: of the positions held, by symbol
    owned: Mapping[str, int]  #: cash and receivable, by currency
    equity: int  #: of the base currency


NOTHING = Standing(ts=0, values={}, owned={}, equity=0)


@attrs.define
class Converting:
    """Converts to the base currency for one NAV, and counts by how much rounding may have moved it."""

    currencies: Currencies
    now: int
    before: int
    rounding: Fraction = Fraction(0)  #: cash units

    def at(self, ts: int, amount: int, currency: str) -> int:
        """Return what an amount was worth at an instant."""
        if amount and currency != self.currencies.base:
            self.rounding += self.currencies.rounding(currency, ts)
        return self.currencies.to_base(amount, currency, ts)

    def to_base(self, amount: int, currency: str) -> int:
        """Return what an amount is worth now."""
        return self.at(self.now, amount, currency)

    def revalued(self, amount: int, currency: str) -> int:
        """Return by how much an amount that was there at the NAV before is worth more now."""
        return self.to_base(amount, currency) - self.at(self.before, amount, currency)


@attrs.define
class Window:
    """What postings of a window moved, by their symbols and currencies; conversions apart from the others."""

    own: dict[tuple[str | None, str], dict[str, int]] = attrs.field(factory=dict)
    converted: dict[tuple[str | None, str], int] = attrs.field(
        factory=dict
    )  #: cash, below zero what was paid
    fx_costs: dict[str | None, int] = attrs.field(factory=dict)  #: of the base currency
    outside: list[Posting] = attrs.field(factory=list)  #: what was paid in or out

    @classmethod
    def of(cls, postings: Sequence[Posting]) -> Window:
        """Sum postings up."""
        window = cls()
        for posting in postings:
            key = (posting.symbol, posting.currency)
            if posting.kind == "conversion":
                cash = posting.amount if posting.debit == "cash" else -posting.amount
                window.converted[key] = window.converted.get(key, 0) + cash
            elif posting.kind == "conversion_cost":
                cost = posting.amount if posting.debit == "fx_costs" else -posting.amount
                window.fx_costs[posting.symbol] = window.fx_costs.get(posting.symbol, 0) + cost
            elif "capital" in (posting.debit, posting.credit):
                window.outside.append(posting)
            else:
                moved = window.own.setdefault(key, {})
                moved[posting.debit] = moved.get(posting.debit, 0) + posting.amount
                moved[posting.credit] = moved.get(posting.credit, 0) - posting.amount
        return window

    @property
    def symbols(self) -> set[str]:
        """Symbols of the instruments that postings name."""
        named = [symbol for symbol, _ in (*self.own, *self.converted)]
        return {symbol for symbol in (*named, *self.fx_costs) if symbol is not None}


@attrs.define
class Attribution:
    """Is told of each NAV, and keeps where things stood at the one before.

    Before the first NAV nothing was there, so the opening deposits belong to its window.
    """

    account: Account
    fills: list[Fill]  #: all fills of the run so far
    rows: list[Contribution] = attrs.field(factory=list)
    before: Standing = NOTHING
    seen_postings: int = 0  #: how many postings earlier windows hold
    seen_fills: int = 0  #: how many fills earlier windows hold

    def explain(self, now: int, session: int) -> None:
        """Write down what changed since the NAV before, as a NAV is written."""
        account, before = self.account, self.before
        postings = account.ledger.postings[self.seen_postings :]
        fills = self.fills[self.seen_fills :]
        standing = _standing(account, now)
        window = Window.of(postings)
        converting = Converting(account.currencies, now, before.ts)

        symbols = {_symbol(each) for each in fills} | before.values.keys() | standing.values.keys()
        symbols |= window.symbols
        found = [
            self._of_instrument(
                Contribution(ts=now, session=session, symbol=each.symbol),
                each,
                gained=standing.values.get(each.symbol, 0) - before.values.get(each.symbol, 0),
                window=window,
                fills=[fill for fill in fills if _symbol(fill) == each.symbol],
                converting=converting,
            )
            for each in account.instruments
            if each.symbol in symbols
        ]
        own = self._of_account(Contribution(ts=now, session=session, symbol=None), window, converting)
        left = standing.equity - before.equity - sum(each.total for each in (*found, own))
        found.append(attrs.evolve(own, fx=own.fx + left))
        _check(found, left, _rounding(before, standing, converting, account))

        self.rows += [each for each in found if any(each.parts)]
        self.before = standing
        self.seen_postings += len(postings)
        self.seen_fills += len(fills)

    def _of_instrument(
        self,
        empty: Contribution,
        instrument: Instrument,
        *,
        gained: int,
        window: Window,
        fills: Sequence[Fill],
        converting: Converting,
    ) -> Contribution:
        """Return the parts of an instrument in the base currency: `gained` is what its position gained.

        Its fx is what rates have done to the position of the NAV before, and what conversions that it caused
        have brought, both legs at the rates of now.
        """
        symbol, currency, base = instrument.symbol, instrument.currency, converting.currencies.base
        local = _local_parts(gained, window.own.get((symbol, currency), {}), fills)
        parts: dict[str, Any] = {name: converting.to_base(amount, currency) for name, amount in local.items()}
        fx = converting.revalued(self.before.values.get(symbol, 0), currency)
        fx += converting.to_base(window.converted.get((symbol, currency), 0), currency)
        if currency != base:
            fx += window.converted.get((symbol, base), 0)
        return attrs.evolve(empty, **parts, fx=fx, fx_costs=-window.fx_costs.get(symbol, 0))

    def _of_account(self, empty: Contribution, window: Window, converting: Converting) -> Contribution:
        """Return the parts that belong to no instrument, in the base currency."""
        interest = fx = external = 0
        for currency in converting.currencies.names:
            moved = window.own.get((None, currency), {})
            interest += converting.to_base(-moved.get("interest", 0), currency)
            fx += converting.revalued(self.before.owned.get(currency, 0), currency)
            fx += converting.to_base(window.converted.get((None, currency), 0), currency)
        # What came from outside counts at the rate of its time; what the rate has done since is fx.
        for posting in window.outside:
            amount = posting.amount if posting.credit == "capital" else -posting.amount
            came = converting.at(posting.ts, amount, posting.currency)
            external += came
            fx += converting.to_base(amount, posting.currency) - came
        fx_costs = -window.fx_costs.get(None, 0)
        return attrs.evolve(empty, interest=interest, fx=fx, fx_costs=fx_costs, external=external)


def _standing(account: Account, now: int) -> Standing:
    return Standing(
        ts=now,
        values={each.symbol: account.value(each) for each in account.held()},
        owned={
            each: account.cash_in(each) + account.receivable_in(each) for each in account.currencies.names
        },
        equity=account.equity,
    )


def _local_parts(gained: int, moved: Moved, fills: Sequence[Fill]) -> dict[str, int]:
    """Return the parts of an instrument in its own currency.

    A debit to fees, borrow or funding is paid by us, a credit to dividends is paid to us: in every case the
    contribution is what the account was debited, with the other sign. A debit to `transfer` is what the
    instrument gave to another one: value that has left it, and is no loss; a credit is what it got.
    """
    rolled = [each for each in fills if each.order.rolls]
    parts = {
        "spread": -sum(_cost(each, each.spread) for each in fills if not each.order.rolls),
        "slippage": -sum(_cost(each, each.slippage) for each in fills if not each.order.rolls),
        "impact": -sum(_cost(each, each.impact) for each in fills if not each.order.rolls),
        "fees": sum(each.fee for each in rolled) - moved.get("fees", 0),
        **{name: -moved.get(name, 0) for name in ("dividends", "borrow", "funding")},
        "roll": -sum(each.fee + _cost(each, each.costs) for each in rolled),
    }
    total = gained + sum(moved.get(name, 0) for name in ("cash", "receivable", "transfer"))
    return parts | {"price": total - sum(parts.values())}


def _symbol(fill: Fill) -> str:
    return fill.order.instrument.symbol


def _cost(fill: Fill, per_unit: int) -> int:
    """Return what a fill lost by a part of its price that is worse than the reference."""
    return fill.order.instrument.cash(per_unit, fill.quantity)


def _rounding(before: Standing, standing: Standing, converting: Converting, account: Account) -> Fraction:
    """Return by how much rounding may have moved the parts of a NAV, and the equities that they explain."""
    most = converting.rounding
    for each in account.currencies.names[1:]:
        if account.total_in(each):
            most += account.currencies.rounding(each, standing.ts)
        own = (item.symbol for item in account.instruments if item.currency == each)
        if before.owned.get(each, 0) + sum(before.values.get(symbol, 0) for symbol in own):
            most += account.currencies.rounding(each, before.ts)
    return most


def _check(found: Sequence[Contribution], left: int, rounding: Fraction) -> None:
    """Assert that rounding explains what the parts leave over, and that the table can hold all of them."""
    if abs(left) > rounding:
        message = (
            f"the attribution does not add up: {left} of the change of equity is in no part, rounding "
            f"explains {float(rounding)} at most"
        )
        raise AccountingError(message)
    for each in found:
        whose = "the account" if each.symbol is None else each.symbol
        for amount in (*each.parts, each.total):
            checked(amount, LARGEST, f"the attribution of {whose}")
