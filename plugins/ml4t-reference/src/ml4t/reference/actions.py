"""Splits and cash dividends: what they do to holdings, marks and working orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from attrs import frozen

from ml4t.backtest.data import MarketData
from ml4t.core.types import ActionKind
from ml4t.reference.account import Account
from ml4t.reference.instruments import Terms
from ml4t.reference.intake import round_passively
from ml4t.reference.ledger import Cause
from ml4t.reference.numbers import down, half_even
from ml4t.reference.orders import Order


@frozen(kw_only=True)
class Action:
    """A corporate action, effective at 00:00 exchange-local time of its ex-date.

    `ratio` is of a split, new units per old; `amount` of a dividend, money per unit held before that day's split;
    both are 0 where they do not apply.
    """

    ts: int
    terms: Terms
    kind: ActionKind
    ratio: Fraction
    amount: Fraction
    pay_ts: int


@frozen(kw_only=True)
class Due:
    """Money that is owed to the account, or by it (below zero), until it is paid."""

    ts: int
    symbol: str
    amount: Fraction


def read_actions(data: MarketData, terms: tuple[Terms, ...]) -> tuple[Action, ...]:
    """Return the actions of a run, in their order."""
    rows = () if data.actions is None else data.actions.iter_rows(named=True)
    return tuple(
        Action(
            ts=row["ts"],
            terms=terms[row["instrument"]],
            kind=ActionKind(row["kind"]),
            ratio=Fraction(row["ratio_num"], row["ratio_den"]),
            amount=Fraction(row["amount"]),
            pay_ts=row["pay_ts"],
        )
        for row in rows
    )


def after(action: Action, price: Fraction | None) -> Fraction | None:
    """Return what a price from before an action is worth after it: divided by a split, lowered by a dividend."""
    if price is None:
        return None
    changed = price / action.ratio if action.kind is ActionKind.SPLIT else price - action.amount
    return half_even(changed, action.terms.price_step)


def pay_dividend(account: Account, action: Action, quantum: Fraction) -> Due | None:
    """Entitle the holder, oblige the short, and lower the mark.

    Returns
    -------
    Due or None
        What will be paid at the pay date; None where nothing is owed or where it is paid at once.
    """
    holding = account.holdings[action.terms.id]
    holding.mark, holding.known = after(action, holding.mark), after(action, holding.known)
    amount = half_even(action.terms.value(holding.quantity, action.amount), quantum)
    at_once = action.pay_ts <= action.ts
    cause = Cause(ts_event=action.ts, kind="dividend", symbol=action.terms.symbol)
    account.ledger.post(cause, debit="cash" if at_once else "receivable", credit="dividends", amount=amount)
    if at_once or not amount:
        return None
    return Due(ts=action.pay_ts, symbol=action.terms.symbol, amount=amount)


def settle(account: Account, due: Due, now: int) -> None:
    """Pay what is due."""
    cause = Cause(ts_event=now, kind="dividend_payment", symbol=due.symbol)
    account.ledger.post(cause, debit="cash", credit="receivable", amount=due.amount)


def split_holding(account: Account, action: Action, quantum: Fraction) -> None:
    """Scale a holding and its mark; what is no whole lot step is paid in cash at the new mark."""
    holding = account.holdings[action.terms.id]
    holding.mark, holding.known = after(action, holding.mark), after(action, holding.known)
    if not holding.quantity:
        return
    fraction = holding.scale(action.ratio)
    if fraction:
        worth = holding.value * fraction / holding.quantity
        cause = Cause(ts_event=action.ts, kind="cash_in_lieu", symbol=action.terms.symbol)
        account.pay_out(holding, fraction, half_even(worth, quantum), cause)
    holding.make_whole()
    action.terms.checked_quantity(holding.quantity)


def split_orders(orders: Iterable[Order], action: Action) -> Iterator[Order]:
    """Scale the working orders of an instrument; yield those of which less than one lot is left.

    What is left to fill is multiplied and rounded down to the lot. Prices are divided and moved to the tick that is
    worse for a fill: limits of buys and stops of sells down, the others up.
    """
    for order in orders:
        if order.terms.id != action.terms.id:
            continue
        leaves = down(order.leaves * action.ratio, order.terms.lot)
        order.quantity = order.filled + leaves
        order.expected_price /= action.ratio
        if order.limit_price is not None:
            order.limit_price /= action.ratio
        if order.stop_price is not None:
            order.stop_price /= action.ratio
        round_passively(order)
        if not leaves:
            yield order
