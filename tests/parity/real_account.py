"""Real prices as a user hands them over, runs on both engines, and an account that is kept by hand.

The prices are in a folder outside the repository that `ML4T_VENDOR_DATA` names.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results, Strategy, run
from ml4t.core.schemas import TABLES

from .lean_data import FOLDER, NEW_YORK, PRICES, Vendor, folder

CASH = 100_000

both_sides = pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
"""For positions that are long, and the same ones short."""

# --------------------------------------------------------------------------- data


@cache
def vendor() -> Vendor:
    """Return the prices; skip where they are absent."""
    found = folder()
    if found is None:
        pytest.skip(f"{FOLDER} names no folder with the prices")
    return Vendor(found)


def daily(symbol: str, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Return raw daily bars of a stock."""
    bars = vendor().table("equity_daily", symbol=symbol).sort("session")
    return bars.filter(pl.col("session").is_between(first, last))


def splits_of(symbol: str) -> pl.DataFrame:
    """Return the splits of a stock, their ratio as the file rounds it."""
    rows = vendor().table("equity_splits", id=symbol)
    return rows.select(symbol="id", ex_date="ex_date", ratio="share_ratio")


def dividends_of(symbol: str) -> pl.DataFrame:
    """Return the dividends of a stock."""
    rows = vendor().table("equity_dividends", id=symbol)
    return rows.select(symbol="id", ex_date="ex_date", amount="cash_per_share")


def actions_of(splits: pl.DataFrame, dividends: pl.DataFrame, days_to_pay: int = 0) -> pl.DataFrame:
    """Return the table of corporate actions of a run.

    The files have no pay dates: dividends are paid so many days after their ex-dates.
    """
    paid = dividends.with_columns(pay_date=pl.col("ex_date").dt.offset_by(f"{days_to_pay}d"))
    kinds = {"split": splits, "cash_dividend": paid}
    return pl.concat([rows.with_columns(kind=pl.lit(kind)) for kind, rows in kinds.items()], how="diagonal")


def both_stamps(bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars with both stamps, for a feed with `stamp="event"`."""
    return bars.select("symbol", pl.col("ts").alias("ts_open"), pl.col("ts_end").alias("ts_event"), *PRICES)


def midnight(day: dt.date) -> dt.datetime:
    """Return when a day begins at the exchange."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(NEW_YORK)).astimezone(dt.UTC)


def clock(at: dt.datetime) -> pl.DataFrame:
    """Return an hour of CLK that ends at an instant, so that a step is recorded there."""
    hour = {"ts_open": [at - dt.timedelta(hours=1)], "ts_event": [at]}
    return pl.DataFrame({"symbol": "CLK", **hour, **dict.fromkeys(PRICES, 1.0)}).cast(
        dict.fromkeys(hour, pl.Datetime("ns", "UTC"))
    )


def exact(number: object) -> Fraction:
    """Return what a number of a file says, without what arithmetic left behind its ninth decimal."""
    return Fraction(str(round(number, 9) if isinstance(number, float) else number))


def nearest(amount: Fraction, decimals: int = 9) -> Fraction:
    """Round half to even."""
    return Fraction(round(amount * 10**decimals), 10**decimals)


# --------------------------------------------------------------------------- runs


@attrs.frozen
class Script:
    """Orders by the instant at which they are sent, and an instant at which to look at what is held."""

    orders: Mapping[dt.datetime, Sequence[Mapping[str, Any]]]
    look: dt.datetime | None = None


class Scripted(Strategy):
    """Does what a script says."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for terms in self.script.orders.get(timestamp, ()):
            broker.submit_order(**terms)
        if timestamp == self.script.look:
            (position,), (order,) = broker.positions.values(), broker.open_orders
            self.record(held=position.quantity, average=position.avg_price, mark=position.mark_price)
            self.record(worth=broker.get_account_value(), size=order.quantity, limit=order.limit_price)


def ran(script: Script, feed: DataFeed, broker: Mapping[str, Any] | None = None, **parts: Any) -> Results:  # noqa: ANN401
    """Return the results of one engine, whose tables are those of the other."""
    account = {"initial_cash": CASH, "allows_short": True, **(broker or {})}
    one, other = (
        run(lambda: Scripted(script), feed, config={"broker": account, "backtest": {"engine": name}}, **parts)
        for name in ("rust", "reference")
    )
    unequal = [name for name in TABLES if not one.table(name).equals(other.table(name))]
    assert not unequal, f"the engines differ in {unequal}"
    return one


def balances(ledger: pl.DataFrame) -> dict[str, Fraction]:
    """Return debits less credits of each account."""
    found: dict[str, Fraction] = defaultdict(Fraction)
    for debit, credit, amount in ledger.select("debit", "credit", "amount").iter_rows():
        found[debit] += Fraction(amount)
        found[credit] -= Fraction(amount)
    return {account: amount for account, amount in found.items() if amount}


def changes(results: Results) -> dict[dt.date, Fraction]:
    """Return what each session did to equity by the attribution, where it did something."""
    sums = results.attribution.group_by("session").agg(pl.col("total").sum()).filter(pl.col("total") != 0)
    return {session: Fraction(total) for session, total in sums.rows()}


# --------------------------------------------------------------------------- an account that is kept by hand


@attrs.frozen
class Trade:
    """A fill."""

    symbol: str
    quantity: int
    price: Fraction
    fee: Fraction = Fraction(0)


Trades: TypeAlias = Mapping[dt.date, Sequence[Trade]]
Nav: TypeAlias = tuple[dt.date, Fraction, Fraction, Fraction]
"""Session, and at its close cash, receivable and equity."""


@attrs.define
class Account:
    """Cash, what is owed and shares, kept in fractions.

    A dividend comes before a split of its day; what a split leaves over of the lot is paid at the new mark.
    """

    lot: int = 1
    cash: Fraction = Fraction(CASH)
    owed: list[tuple[dt.date, Fraction]] = attrs.Factory(list)
    shares: dict[str, Fraction] = attrs.Factory(lambda: defaultdict(Fraction))
    marks: dict[str, Fraction] = attrs.Factory(dict)
    navs: list[Nav] = attrs.Factory(list)

    def keep(self, bars: pl.DataFrame, actions: pl.DataFrame, trades: Trades) -> None:
        """Go through all sessions."""
        by_date = defaultdict(list)
        for action in actions.sort("kind").iter_rows(named=True):
            by_date[action["ex_date"]].append(action)
        for (session,), rows in bars.group_by("session", maintain_order=True):
            for action in by_date[session]:
                self.act(action)
            self.cash += sum(amount for day, amount in self.owed if day <= session)
            self.owed = [(day, amount) for day, amount in self.owed if day > session]
            for trade in trades.get(session, ()):
                self.shares[trade.symbol] += trade.quantity
                self.cash -= trade.quantity * trade.price + trade.fee
            self.marks |= {symbol: exact(close) for symbol, close in rows.select("symbol", "close").rows()}
            receivable = sum((amount for _, amount in self.owed), Fraction(0))
            equity = self.cash + receivable + self.worth
            self.navs.append((session, self.cash, receivable, equity))

    def agrees_with(self, results: Results) -> bool:
        """Compare the values of every close, which results have as floats."""
        columns = ("session", "cash", "receivable", "equity")
        found = results.portfolio_history.filter("is_nav").select(columns).rows()
        return found == [(session, *map(float, amounts)) for session, *amounts in self.navs]

    @property
    def changes(self) -> dict[dt.date, Fraction]:
        """What each session did to equity, where it did something; the deposit is in the first."""
        equity = [Fraction(0), *(nav[-1] for nav in self.navs)]
        days = zip(self.navs, pairwise(equity), strict=True)
        return {nav[0]: now - before for nav, (before, now) in days if now != before}

    @property
    def worth(self) -> Fraction:
        """Shares at their marks."""
        return sum((held * self.marks[symbol] for symbol, held in self.shares.items()), Fraction(0))

    def act(self, action: Mapping[str, Any]) -> None:
        """Let an action happen."""
        symbol = action["symbol"]
        if not (held := self.shares.get(symbol)):
            return
        if action["kind"] == "cash_dividend":
            self.owed.append((action.get("pay_date") or action["ex_date"], held * exact(action["amount"])))
        else:
            ratio = exact(action["ratio"])
            self.shares[symbol] = Fraction(int(held * ratio / self.lot) * self.lot)
            self.marks[symbol] = nearest(self.marks[symbol] / ratio)
            self.cash += nearest((held * ratio - self.shares[symbol]) * self.marks[symbol])
