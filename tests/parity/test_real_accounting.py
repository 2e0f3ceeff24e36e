"""Splits and dividends on real prices, against accounts kept by hand.

The prices are in a folder outside the repository that `ML4T_VENDOR_DATA` names; without it every test is
skipped. Every run is made on both engines, whose tables have to be equal.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from functools import cache

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results

from .lean_data import NEW_YORK
from .real_account import (
    CASH,
    Account,
    Script,
    Trade,
    actions_of,
    balances,
    both_sides,
    both_stamps,
    changes,
    clock,
    daily,
    dividends_of,
    exact,
    midnight,
    nearest,
    ran,
    splits_of,
    vendor,
)

DAYS_TO_PAY = 30

# --------------------------------------------------------------------------- a split


@attrs.frozen
class Case:
    """100 shares from the second session on, and an order to close 50 that works over a split."""

    symbol: str
    first: dt.date
    last: dt.date
    ex: dt.date
    lot: int
    kept: int  #: shares that the 100 become
    sell: str  #: limit of a long position
    cover: str  #: limit of a short one
    is_cut: bool = False  #: the ratio is the reciprocal of the factor of prices, which has seven decimals


JUNE, APRIL = dt.date(2014, 6, 9), dt.date(2015, 4, 27)
AAPL = Case("AAPL", dt.date(2014, 5, 1), dt.date(2014, 8, 29), JUNE, 10, 700, "665.03", "637.05")
CASES = {
    "7 for 1": AAPL,
    "a little less than 7 for 1 in lots of 10": attrs.evolve(AAPL, kept=690, is_cut=True),
    "1.0027 for 1": Case(
        "GOOG", dt.date(2015, 4, 1), dt.date(2015, 5, 29), APRIL, 1, 100, "567.03", "556.05"
    ),
}
each_split = pytest.mark.parametrize("name", CASES)


@attrs.frozen
class Split:
    """A case, what became of it, and what was to become of it."""

    case: Case
    sign: int
    ratio: Fraction
    bars: pl.DataFrame
    results: Results
    account: Account  #: at the end
    exit: tuple[dt.date, int, Fraction]  #: session, size and price at which the order fills
    scaled: Fraction  #: its limit after the split

    @property
    def entry(self) -> Fraction:
        """Price of the 100 shares."""
        return exact(self.bars["open"][1])

    @property
    def old_mark(self) -> Fraction:
        """Last close before the split."""
        return exact(self.bars.filter(pl.col("session") < self.case.ex)["close"][-1])

    @property
    def left(self) -> Fraction:
        """Shares beyond those that are kept."""
        return 100 * self.ratio - self.case.kept


def first_reached(bars: pl.DataFrame, sign: int, limit: Fraction) -> tuple[dt.date, Fraction]:
    """Return where a limit that closes a position fills: at itself, or at an open that is better."""
    for session, opened, high, low in bars.select("session", "open", "high", "low").iter_rows():
        if (exact(high) - limit if sign > 0 else limit - exact(low)) >= 0:
            return session, max(exact(opened), limit) if sign > 0 else min(exact(opened), limit)
    pytest.fail("the limit is never reached")


@cache
def split(name: str, sign: int) -> Split:
    """Run a case."""
    case = CASES[name]
    bars = daily(case.symbol, case.first, case.last)
    splits = splits_of(case.symbol).filter(ex_date=case.ex)
    ratio = exact(splits["ratio"].item())
    if case.is_cut:
        factor = vendor().table("equity_splits", id=case.symbol, ex_date=case.ex)["price_multiplier"].item()
        ratio = 1 / exact(factor)
        splits = splits.with_columns(ratio=pl.lit(str(ratio)))
    actions = actions_of(splits, dividends_of(case.symbol), DAYS_TO_PAY)

    sent = bars.filter(pl.col("session") < case.ex)["ts_end"][-1]
    limit = Decimal(case.sell if sign > 0 else case.cover)
    entry = {"asset": case.symbol, "quantity": sign * 100}
    closing = {"asset": case.symbol, "quantity": -sign * 50, "order_type": "limit", "limit_price": limit}
    script = Script({bars["ts_end"][0]: [entry], sent: [closing]}, look=midnight(case.ex))
    feed = DataFeed(
        pl.concat([both_stamps(bars), clock(midnight(case.ex))]),
        stamp="event",
        actions=actions,
        instruments=[Instrument(case.symbol, lot_size=Decimal(case.lot))],
    )
    results = ran(script, feed)

    # To the tick that fills less: a sell up, a cover down.
    scaled = Fraction((math.ceil if sign > 0 else math.floor)(Fraction(limit) / ratio * 100), 100)
    session, price = first_reached(bars.filter(pl.col("session") >= case.ex), sign, scaled)
    size = int(50 * ratio / case.lot) * case.lot
    account = Account(lot=case.lot)
    entered = Trade(case.symbol, sign * 100, exact(bars["open"][1]))
    left = Trade(case.symbol, -sign * size, price)
    account.keep(bars, actions, {bars["session"][1]: [entered], session: [left]})
    return Split(case, sign, ratio, bars, results, account, (session, size, price), scaled)


@each_split
@both_sides
def test_cash_receivable_and_equity_of_every_session_are_those_kept_by_hand(name: str, sign: int) -> None:
    found = split(name, sign)
    assert found.account.agrees_with(found.results)


@each_split
@both_sides
def test_at_midnight_of_the_ex_date_the_position_is_scaled_and_equity_stays(name: str, sign: int) -> None:
    found = split(name, sign)
    kept = found.case.kept
    seen = dict(found.results.recorded.select("name", "value").iter_rows())
    mark = nearest(found.old_mark / found.ratio)
    assert (seen["held"], seen["mark"]) == (sign * kept, float(mark))
    assert (seen["size"], seen["limit"]) == (found.exit[1], float(found.scaled))

    history = found.results.portfolio_history.filter(pl.col("ts_event") <= midnight(found.case.ex))
    before, after = history.row(-2, named=True), history.row(-1, named=True)
    assert (before["is_nav"], after["is_nav"], after["ts_event"]) == (True, False, midnight(found.case.ex))
    assert after["equity"] == seen["worth"]
    # The mark is rounded in its ninth decimal, and so is the amount.
    assert abs(after["equity"] - before["equity"]) <= (kept + 1) * 0.5e-9 + 1e-10


@each_split
@both_sides
def test_the_cost_stays_but_for_the_remainder_which_is_paid_like_a_sale(name: str, sign: int) -> None:
    found = split(name, sign)
    kept, left = found.case.kept, found.left
    cost = 100 * found.entry
    value = sign * nearest(left * nearest(found.old_mark / found.ratio))
    leaving = sign * nearest(cost * left / (kept + left), 18)
    booked = found.results.ledger.filter(ts_event=midnight(found.case.ex))
    assert set(booked["kind"]) == ({"cash_in_lieu"} if left else set())
    expected = {"cash": value, "inventory": -leaving, "realized_pnl": leaving - value}
    assert balances(booked) == (expected if left else {})
    average = dict(found.results.recorded.select("name", "value").iter_rows())["average"]
    assert average == pytest.approx(float((cost - sign * leaving) / kept), rel=1e-15)


@each_split
@both_sides
def test_the_working_order_fills_where_its_scaled_limit_is_first_reached(name: str, sign: int) -> None:
    found = split(name, sign)
    _, fill = found.results.fills.iter_rows(named=True)
    session, size, price = found.exit
    assert (fill["ts_event"].date(), fill["quantity"], fill["price"]) == (session, size, float(price))


@each_split
@both_sides
def test_attribution_of_every_session_adds_up_to_its_change_of_equity(name: str, sign: int) -> None:
    found = split(name, sign)
    assert changes(found.results) == found.account.changes


@both_sides
def test_a_dividend_before_the_split_and_one_after_are_owed_from_ex_to_pay_date(sign: int) -> None:
    found = split("7 for 1", sign)
    mine = dividends_of("AAPL").filter(pl.col("ex_date").is_between(AAPL.first, AAPL.last)).sort("ex_date")
    days, (before, after) = mine["ex_date"].to_list(), map(exact, mine["amount"])
    amounts = [sign * 100 * before, sign * 350 * after]
    for day, amount in zip(days, amounts, strict=True):
        booked = found.results.ledger.filter(ts_event=midnight(day))
        assert balances(booked) == {"receivable": amount, "dividends": -amount}
    paid = found.results.ledger.filter(ts_event=midnight(days[0] + dt.timedelta(days=DAYS_TO_PAY)))
    assert balances(paid) == {"cash": amounts[0], "receivable": -amounts[0]}
    # The other is paid after the last row.
    assert found.results.portfolio_history["receivable"][-1] == float(amounts[1])


# --------------------------------------------------------------------------- twenty-three years of dividends

BOUGHT = {"IBM": 100, "BAC": 200}
FEE = Fraction("0.005")  # Per share.
FIRST = {"IBM": dt.date(1998, 1, 2), "BAC": dt.date(1998, 10, 1)}
"""Rows of BAC before are of another company: the one that is BAC now traded as NB."""


@attrs.frozen
class Held:
    """Stocks that are bought and kept, and the account by hand."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    results: Results
    account: Account
    entries: dict[str, tuple[dt.date, Fraction]]


@cache
def held(days_to_pay: int) -> Held:
    """Buy and hold, the dividends paid so many days after their ex-dates."""
    by_symbol = {symbol: daily(symbol, first, dt.date(2021, 3, 31)) for symbol, first in FIRST.items()}
    bars = pl.concat(by_symbol.values()).sort("session", maintain_order=True)
    splits, dividends = (pl.concat(map(rows_of, BOUGHT)) for rows_of in (splits_of, dividends_of))
    actions = actions_of(splits, dividends, days_to_pay)
    # Both are sent after the first close of all; that for BAC waits for its first row.
    orders = [{"asset": symbol, "quantity": quantity} for symbol, quantity in BOUGHT.items()]
    feed = DataFeed(bars.drop("ts", "ts_end"), stamp="session", actions=actions)
    broker = {"commission_model": {"type": "PerShare", "fee": float(FEE)}}
    results = ran(Script({bars["ts_end"][0]: orders}), feed, broker)

    rows = {"IBM": by_symbol["IBM"].row(1, named=True), "BAC": by_symbol["BAC"].row(0, named=True)}
    entries = {symbol: (row["session"], exact(row["open"])) for symbol, row in rows.items()}
    account = Account()
    trades = {
        session: [Trade(symbol, BOUGHT[symbol], price, BOUGHT[symbol] * FEE)]
        for symbol, (session, price) in entries.items()
    }
    account.keep(bars, actions, trades)
    return Held(bars, actions, results, account, entries)


each_pay_day = pytest.mark.parametrize("days_to_pay", [0, DAYS_TO_PAY])


def dividends_by_hand(found: Held, symbol: str) -> list[tuple[dt.date, Fraction]]:
    """Return pay date and amount of each dividend: shares held at the ex-date times cash per share."""
    bought = found.entries[symbol][0]
    mine = found.actions.filter(pl.col("symbol") == symbol, pl.col("ex_date") > bought).sort("ex_date")
    splits = mine.filter(kind="split").select("ex_date", "ratio").rows()
    return [
        (pay, BOUGHT[symbol] * math.prod(exact(ratio) for day, ratio in splits if day <= ex) * exact(cash))
        for ex, pay, cash in mine.filter(kind="cash_dividend").select("ex_date", "pay_date", "amount").rows()
    ]


@each_pay_day
def test_every_close_of_5849_sessions_is_the_one_kept_by_hand(days_to_pay: int) -> None:
    found = held(days_to_pay)
    assert len(found.account.navs) == 5849
    assert found.account.agrees_with(found.results)
    assert found.account.shares == {"IBM": 200, "BAC": 400}


@each_pay_day
@pytest.mark.parametrize(("symbol", "count"), [("IBM", 93), ("BAC", 90)])
def test_dividends_in_the_ledger_are_shares_times_cash_of_each_ex_date(
    days_to_pay: int, symbol: str, count: int
) -> None:
    found = held(days_to_pay)
    expected = dividends_by_hand(found, symbol)
    booked = found.results.ledger.filter(symbol=symbol, kind="dividend")
    assert [Fraction(amount) for amount in booked["amount"]] == [amount for _, amount in expected]
    assert booked.height == count
    assert set(booked["debit"]) == {"receivable" if days_to_pay else "cash"}


def test_what_is_payable_after_the_data_stays_receivable() -> None:
    found = held(DAYS_TO_PAY)
    last = found.bars["session"][-1]
    expected = [pair for symbol in BOUGHT for pair in dividends_by_hand(found, symbol)]
    paid = found.results.ledger.filter(kind="dividend_payment")
    midnights = paid["ts_event"].dt.convert_time_zone(NEW_YORK)
    assert set(midnights.dt.time()) == {dt.time()}
    assert sorted(zip(midnights.dt.date(), map(Fraction, paid["amount"]), strict=True)) == sorted(
        pair for pair in expected if pair[0] <= last
    )
    (open_one,) = [amount for pay, amount in expected if pay > last]
    assert found.results.portfolio_history["receivable"][-1] == float(open_one)


@each_pay_day
def test_balances_of_the_ledger_are_those_kept_by_hand_and_add_up(days_to_pay: int) -> None:
    found = held(days_to_pay)
    earned = sum(amount for symbol in BOUGHT for _, amount in dividends_by_hand(found, symbol))
    cost = sum(BOUGHT[symbol] * price for symbol, (_, price) in found.entries.items())
    _, cash, receivable, equity = found.account.navs[-1]
    fees = sum(BOUGHT.values()) * FEE
    expected = {"cash": cash, "receivable": receivable, "inventory": cost}
    expected |= {"capital": Fraction(-CASH), "dividends": -earned, "fees": fees}
    assert balances(found.results.ledger) == {key: amount for key, amount in expected.items() if amount}
    assert cash + receivable + cost == CASH + earned - fees
    assert equity == cash + receivable + found.account.worth


@each_pay_day
@pytest.mark.parametrize("symbol", BOUGHT)
def test_price_dividends_and_fees_of_a_symbol_are_what_it_did_to_equity(
    days_to_pay: int, symbol: str
) -> None:
    found = held(days_to_pay)
    rows = found.results.attribution.filter(symbol=symbol)
    parts = {name: Fraction(rows[name].sum()) for name in ("price", "dividends", "fees", "total")}
    cost = BOUGHT[symbol] * found.entries[symbol][1]
    earned = sum(amount for _, amount in dividends_by_hand(found, symbol))
    worth = found.account.shares[symbol] * found.account.marks[symbol]
    fee = BOUGHT[symbol] * FEE
    assert parts == {
        "price": worth - cost,
        "dividends": earned,
        "fees": -fee,
        "total": worth - cost + earned - fee,
    }
    assert changes(found.results) == found.account.changes
