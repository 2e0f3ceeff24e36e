"""The ledger: every movement of money is a posting from one account to another, and is never changed.

`cash` is money in the bank, `inventory` what open positions cost, `receivable` what is owed to us,
`realized_pnl` the result of closed lots before fees, `fees` and `dividends` costs and income, `capital` what
was paid in. What holding costs is in `borrow`, `interest` and `funding`, below zero where it brought money.
`transfer` and `carried_gain` are what goes from one instrument to another in a corporate action
(`ml4t.reference.transfers`), its cost and its open gain; both are zero again after each action.
`exchange` is what conversions took out of a currency, below zero what they brought into it, and `fx_costs`
what they cost. A posting is of one currency, and every currency has accounts of its own. After every posting,
in each of them

    cash + receivable + inventory + exchange
        = capital + realized_pnl + dividends - fees - borrow - interest - funding - fx_costs

A position is a list of tax lots (`ml4t.reference.lots`). If it was paid for, its cost is in `inventory`.
A future, a perpetual or a currency on margin is not: opening it posts its fee alone, and what it gains or
loses goes from `realized_pnl` to `cash` as it is settled or closed.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import attrs

from ml4t.core.errors import AccountingError
from ml4t.core.types import LotPolicy
from ml4t.reference.currencies import Currencies
from ml4t.reference.lots import Holding, Lot, RoundTrip, take, whole_units
from ml4t.reference.numbers import LARGEST_CASH, LARGEST_STEP, checked, half_even
from ml4t.reference.orders import Fill
from ml4t.reference.plan import Instrument
from ml4t.reference.unsettled import Unsettled

__all__ = ["Ledger", "Posting"]

ASSETS = ("cash", "inventory", "receivable", "exchange")
SOURCES = ("capital", "realized_pnl", "dividends")
CARRY = ("borrow", "interest", "funding")
COSTS = ("fees", *CARRY, "fx_costs")
PASSING = ("transfer", "carried_gain")

Balances = dict[tuple[str, str], int]  #: by currency and account: what was debited less what was credited


@attrs.frozen(kw_only=True)
class Posting:
    """`amount`, above zero, of a currency goes to the account `debit` from the account `credit`."""

    id: int
    ts: int
    kind: str
    debit: str
    credit: str
    amount: int
    currency: str
    symbol: str | None
    order_id: int | None
    fill_id: int | None


@attrs.define
class Ledger:
    """Accounts, postings, positions and round trips of one book."""

    lot_policy: LotPolicy
    currencies: Currencies
    balances: Balances = attrs.field(factory=dict)
    postings: list[Posting] = attrs.field(factory=list)
    holdings: dict[int, Holding] = attrs.field(factory=dict)
    round_trips: list[RoundTrip] = attrs.field(factory=list)
    actions: int = 0  #: corporate actions so far
    unsettled: Unsettled | None = None  #: what of cash has not settled; None where all has

    def balance(self, account: str, currency: str) -> int:
        """Return the balance of an account: what it was debited less what it was credited, or the reverse.

        Accounts of `SOURCES` grow when they are credited, all others when they are debited.
        """
        total = self.balances.get((currency, account), 0)
        return -total if account in SOURCES else total

    def carry_in(self, currency: str) -> int:
        """Return what holding has cost so far in a currency; below zero, what it has brought."""
        return sum(self.balance(account, currency) for account in CARRY)

    def holding(self, instrument: Instrument) -> Holding:
        """Return the position in an instrument, flat where there never was one."""
        return self.holdings.setdefault(instrument.index, Holding(instrument))

    def quantity(self, instrument: Instrument) -> int:
        """Return the signed units held of an instrument."""
        return self.holding(instrument).quantity

    def post(  # noqa: PLR0913 - the parts of a posting
        self,
        ts: int,
        kind: str,
        debit: str,
        credit: str,
        amount: int,
        instrument: Instrument | None,
        fill: Fill | None = None,
        *,
        currency: str | None = None,
    ) -> None:
        """Write a posting down; a negative amount goes the other way, and zero is nothing to write.

        It is of the currency of its instrument, unless another one is named.
        """
        if amount == 0:
            return
        if currency is None:
            assert instrument is not None, f"a {kind} posting needs a currency"
            currency = instrument.currency
        if amount < 0:
            debit, credit, amount = credit, debit, -amount
        checked(
            amount, LARGEST_CASH, f"an amount of {'the account' if instrument is None else instrument.symbol}"
        )
        self.postings.append(
            Posting(
                id=len(self.postings) + 1,
                ts=ts,
                kind=kind,
                debit=debit,
                credit=credit,
                amount=amount,
                currency=currency,
                symbol=None if instrument is None else instrument.symbol,
                order_id=None if fill is None else fill.order.id,
                fill_id=None if fill is None else fill.id,
            )
        )
        _move(self.balances, self.postings[-1])
        if "cash" in (debit, credit):
            self.follow(currency, ts)

    def follow(self, currency: str, now: int) -> None:
        """Take out of what has not settled what cash of a currency does not have any more."""
        if self.unsettled is not None:
            self.unsettled.follow(currency, self.balance("cash", currency), now)

    def check(self) -> None:
        """Sum all postings again and assert the identity of the accounts, in each currency by itself."""
        balances: Balances = {}
        for posting in self.postings:
            _move(balances, posting)
        kept = {account: total for account, total in self.balances.items() if total}
        again = {account: total for account, total in balances.items() if total}
        for currency in self.currencies.names:
            owned = sum(self.balance(account, currency) for account in ASSETS)
            owed = sum(self.balance(account, currency) for account in SOURCES)
            owed -= sum(self.balance(account, currency) for account in COSTS)
            own = [each for each in self.holdings.values() if each.instrument.currency == currency]
            cost = sum(each.cost for each in own if not each.instrument.is_margined)
            passing = any(self.balance(account, currency) for account in PASSING)
            if owned != owed or passing or cost != self.balance("inventory", currency) or kept != again:
                message = (
                    f"the books of {currency} do not balance: {owned} is not {owed}, or inventory is not "
                    f"{cost}"
                )
                raise AccountingError(message)

    # -- fills -------------------------------------------------------------------------------------------

    def book(self, fill: Fill) -> tuple[list[Lot], Lot | None]:
        """Post a fill: what it closes leaves its lots at cost, what it opens becomes a lot, then the fee.

        Return the parts that it has closed, and the lot that it has opened or enlarged.
        """
        instrument = fill.order.instrument
        signed = fill.quantity * fill.order.sign
        holding = self.holding(instrument)
        held = holding.quantity
        what = f"the position in {instrument.symbol} after a fill of order {fill.order.id}"
        checked(held + signed, LARGEST_STEP, what)
        closing = min(fill.quantity, abs(held)) if held * signed < 0 else 0
        closed = self._close(holding, fill, closing) if closing else []
        opening = fill.quantity - closing
        opened = self._open(holding, fill, opening) if opening else None
        self.post(fill.ts, "fee", "fees", "cash", fill.fee, instrument, fill)
        return closed, opened

    def _open(self, holding: Holding, fill: Fill, quantity: int) -> Lot:
        instrument = holding.instrument
        sign = fill.order.sign
        cost = instrument.cash(fill.price, quantity * sign)
        if not instrument.is_margined:
            self.post(fill.ts, "trade", "inventory", "cash", cost, instrument, fill)
        lot = Lot(
            quantity=quantity * sign,
            cost=cost,
            fees=fill.fee - half_even(Fraction(fill.fee * (fill.quantity - quantity), fill.quantity)),
            slippage=instrument.cash(fill.costs, quantity),
            ts_open=fill.ts,
            order_id=fill.order.id,
        )
        if self.lot_policy is LotPolicy.AVERAGE and holding.lots:
            holding.lots[0].join(lot)
            return holding.lots[0]
        holding.lots.append(lot)
        return lot

    def _close(self, holding: Holding, fill: Fill, quantity: int) -> list[Lot]:
        instrument = holding.instrument
        sign = fill.order.sign
        parts = list(take(holding, quantity, self.lot_policy, fill.order.opener))
        basis = sum(part.cost + part.settled for part in parts)
        proceeds = instrument.cash(fill.price, -sign * quantity)
        if not instrument.is_margined:
            self.post(fill.ts, "trade", "cash", "inventory", basis, instrument, fill)
        self.post(fill.ts, "realized", "cash", "realized_pnl", proceeds - basis, instrument, fill)
        holding.realized += proceeds - basis
        fx_rate = self.currencies.rate(instrument.currency, fill.ts)
        closed = 0
        for part in parts:
            # The fee is shared by running totals, so that the shares add up to it.
            before = half_even(Fraction(fill.fee * closed, fill.quantity))
            closed += abs(part.quantity)
            fee = half_even(Fraction(fill.fee * closed, fill.quantity)) - before
            value = instrument.cash(fill.price, part.quantity)
            own = instrument.cash(fill.costs, abs(part.quantity))
            self.round_trips.append(
                RoundTrip(
                    instrument=instrument,
                    is_long=part.quantity > 0,
                    quantity=abs(part.quantity),
                    ts_entry=part.ts_open,
                    ts_exit=fill.ts,
                    entry_value=part.cost,
                    exit_value=value,
                    gross=value - part.cost,
                    fees=part.fees + fee,
                    slippage=part.slippage + own,
                    entry_order_id=part.order_id,
                    exit_order_id=fill.order.id,
                    exit_phase=fill.phase,
                    exit_reason=fill.order.exit_reason,
                    actions=self.actions,
                    fx_rate=fx_rate,
                )
            )
        return parts

    # -- what holding costs and brings -------------------------------------------------------------------

    def settle(self, ts: int, instrument: Instrument, price: int) -> int:
        """Pay the variation margin of a position at a settlement price; return it, below zero what it pays.

        That is what the position has gained since it was settled the last time, each lot since its entry.
        """
        holding = self.holding(instrument)
        gain = instrument.cash(price, holding.quantity) - holding.basis
        self.post(ts, "variation_margin", "cash", "realized_pnl", gain, instrument)
        for lot in holding.lots:
            lot.settled = instrument.cash(price, lot.quantity) - lot.cost
        holding.realized += gain
        return gain

    def charge(
        self, ts: int, account: str, cost: int, instrument: Instrument, *, kind: str | None = None
    ) -> None:
        """Pay a cost of holding an instrument out of cash; one below zero is paid to us.

        The posting has the name of the account, unless another `kind` is given.
        """
        self.post(ts, kind or account, account, "cash", cost, instrument)

    def pay_interest(self, ts: int, cost: int, currency: str) -> None:
        """Pay interest on the cash of a currency; a cost below zero is paid to us."""
        self.post(ts, "interest", "interest", "cash", cost, None, currency=currency)

    # -- corporate actions -------------------------------------------------------------------------------

    def pay_dividend(self, ts: int, instrument: Instrument, amount: int) -> None:
        """Entitle the holder at the ex-date: the amount is owed to us, or by us for a short position."""
        self.post(ts, "dividend", "receivable", "dividends", amount, instrument)

    def receive_at_once(self, ts: int, instrument: Instrument, amount: int) -> None:
        """Pay a dividend whose pay date is its ex-date: one posting."""
        self.post(ts, "dividend", "cash", "dividends", amount, instrument)

    def receive(self, ts: int, instrument: Instrument, amount: int) -> None:
        """Move a dividend from what is owed to cash, at its pay date."""
        self.post(ts, "dividend_payment", "cash", "receivable", amount, instrument)

    def withhold(self, ts: int, instrument: Instrument, amount: int, owed_in: str) -> None:
        """Withhold a part of a dividend: out of what is owed, or of cash where it was paid at once."""
        self.post(ts, "withholding", "dividends", owed_in, amount, instrument)

    def cash_out(self, ts: int, instrument: Instrument, value: int, why: str) -> None:
        """Close a position, below zero a short one, for what it is worth as its instrument ends, and say why.

        Every lot becomes a round trip, the oldest first. The value is shared by running totals in proportion
        to units; fees and slippage are those of the entry alone.
        """
        holding = self.holding(instrument)
        total, basis = holding.quantity, holding.basis
        lots, holding.lots = holding.lots, []
        if not instrument.is_margined:
            self.post(ts, "cash_out", "cash", "inventory", basis, instrument)
        self.post(ts, "cash_out", "cash", "realized_pnl", value - basis, instrument)
        holding.realized += value - basis
        fx_rate = self.currencies.rate(instrument.currency, ts)
        closed = 0
        for lot in lots:
            before = half_even(Fraction(value * closed, total))
            closed += lot.quantity
            share = half_even(Fraction(value * closed, total)) - before
            self.round_trips.append(
                RoundTrip(
                    instrument=instrument,
                    is_long=lot.quantity > 0,
                    quantity=abs(lot.quantity),
                    ts_entry=lot.ts_open,
                    ts_exit=ts,
                    entry_value=lot.cost,
                    exit_value=share,
                    gross=share - lot.cost,
                    fees=lot.fees,
                    slippage=lot.slippage,
                    entry_order_id=lot.order_id,
                    exit_order_id=None,
                    exit_phase=None,
                    exit_reason=why,
                    actions=self.actions,
                    fx_rate=fx_rate,
                )
            )

    def split(
        self, ts: int, instrument: Instrument, ratio: Fraction, value_of: Callable[[Fraction], int]
    ) -> bool:
        """Scale a position by new units per old; return whether a part of it was paid out.

        Every lot is scaled exactly. What the position as a whole has beyond the lots that can be traded
        leaves the oldest lots like a sale, for `value_of` of that many units in cash. The others get whole
        units by running totals rounded down; a lot that ends without a unit hands its cost to the next.
        """
        what = f"the position in {instrument.symbol} after its split"
        return self.scale(ts, self.holding(instrument), ratio, value_of, what)

    def scale(
        self, ts: int, holding: Holding, ratio: Fraction, value_of: Callable[[Fraction], int], what: str
    ) -> bool:
        """Do the same with lots that need not be the position in their instrument."""
        instrument = holding.instrument
        if not holding.lots:
            return False
        sign = 1 if holding.quantity > 0 else -1
        scaled = [abs(lot.quantity) * ratio for lot in holding.lots]
        total = checked(sum(scaled, Fraction(0)), LARGEST_STEP, what)
        fraction = total - int(total / instrument.lot) * instrument.lot
        if fraction:
            self._cash_in_lieu(ts, holding, scaled, fraction, value_of(fraction * sign))
        whole_units(holding, scaled, sign)
        return fraction != 0

    def _cash_in_lieu(
        self, ts: int, holding: Holding, scaled: list[Fraction], fraction: Fraction, value: int
    ) -> None:
        basis = holding.basis
        left = fraction
        for index, lot in enumerate(holding.lots):
            part = min(left, scaled[index])
            if part == 0:
                continue
            share = part / scaled[index]
            # A share of one takes all of it.
            lot.cost -= half_even(lot.cost * share)
            lot.settled -= half_even(lot.settled * share)
            scaled[index] -= part
            left -= part
        leaving = basis - holding.basis
        instrument = holding.instrument
        if not instrument.is_margined:
            self.post(ts, "cash_in_lieu", "cash", "inventory", leaving, instrument)
        self.post(ts, "cash_in_lieu", "cash", "realized_pnl", value - leaving, instrument)
        self.holding(instrument).realized += value - leaving


def _move(balances: Balances, posting: Posting) -> None:
    """Count a posting in."""
    debit, credit = (posting.currency, posting.debit), (posting.currency, posting.credit)
    balances[debit] = balances.get(debit, 0) + posting.amount
    balances[credit] = balances.get(credit, 0) - posting.amount
