"""Funding of perpetual futures, and the end of an instrument, on real prices.

The prices are in a folder outside the repository that `ML4T_VENDOR_DATA` names; without it every test is
skipped. Every run is made on both engines, whose tables have to be equal.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from functools import cache

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results
from ml4t.core.errors import DataError

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
    daily,
    dividends_of,
    exact,
    midnight,
    nearest,
    ran,
    splits_of,
    vendor,
)

# --------------------------------------------------------------------------- funding

DAY = dt.datetime(2022, 12, 13, tzinfo=dt.UTC)
COINS = {"ADAUSDT": 1000, "BTCUSD": 2}
"""BTCUSD is settled in coins; here it counts as if it were in dollars."""

INSTRUMENTS = {
    "ADAUSDT": Instrument.fractional("ADAUSDT", calendar="24/7", tick_size="0.0001"),
    "BTCUSD": Instrument.fractional("BTCUSD", calendar="24/7", tick_size="0.1"),
}
FUNDED = {"funding_model": {"type": "PerpetualFunding"}}


def perpetuals(*symbols: str) -> pl.DataFrame:
    """Return minutes of the day, and of ADAUSDT the days before."""
    minutes = both_stamps(vendor().table("crypto_perp_minute_trade"))
    days = both_stamps(vendor().table("crypto_perp_daily_trade")).filter(pl.col("ts_event") <= DAY)
    return pl.concat([days, minutes]).filter(pl.col("symbol").is_in(symbols)).sort("ts_event")


def rates_of(*symbols: str) -> pl.DataFrame:
    """Return funding rates."""
    return vendor().table("crypto_funding").filter(pl.col("symbol").is_in(symbols)).rename({"ts": "ts_event"})


def feed_of(bars: pl.DataFrame) -> DataFeed:
    """Return bars as a feed."""
    instruments = [INSTRUMENTS[symbol] for symbol in bars["symbol"].unique()]
    return DataFeed(bars, stamp="event", calendar="24/7", instruments=instruments)


def payments(results: Results) -> list[tuple[dt.datetime, str, Fraction]]:
    """Return what the ledger has of funding; above zero is received."""
    rows = results.ledger.filter(kind="funding").select("ts_event", "symbol", "debit", "amount").rows()
    return [
        (ts, symbol, Fraction(amount) * (1 if debit == "cash" else -1)) for ts, symbol, debit, amount in rows
    ]


def payments_by_hand(
    bars: pl.DataFrame, symbol: str, quantity: int, held: tuple[dt.datetime, dt.datetime]
) -> list[tuple[dt.datetime, str, Fraction]]:
    """Return - quantity x mark x rate of each row at which something is held, by the last completed bar.

    What fills at an open comes after the funding of its instant.
    """
    mine = bars.filter(pl.col("symbol") == symbol).sort("ts_event")
    found = []
    for ts, rate in rates_of(symbol).sort("ts_event").select("ts_event", "funding_rate").rows():
        if held[0] < ts <= held[1]:
            mark = exact(mine.filter(pl.col("ts_event") <= ts)["close"][-1])
            found.append((ts, symbol, nearest(-quantity * mark * exact(rate))))
    return found


@attrs.frozen
class Funded:
    """A run that holds both, what it is to pay, and what a coin cost and was worth at the end."""

    results: Results
    expected: list[tuple[dt.datetime, str, Fraction]]
    prices: dict[str, tuple[Fraction, Fraction]]


@cache
def funded(sign: int) -> Funded:
    """Hold both from their first open after the first completed bar of all."""
    bars = perpetuals(*COINS)
    sent = bars["ts_event"][0]
    orders = [{"asset": symbol, "quantity": sign * quantity} for symbol, quantity in COINS.items()]
    results = ran(Script({sent: orders}), feed_of(bars), FUNDED, funding=rates_of(*COINS))
    expected, prices = [], {}
    for symbol, quantity in COINS.items():
        mine = bars.filter(pl.col("symbol") == symbol, pl.col("ts_open") >= sent)
        prices[symbol] = (exact(mine["open"][0]), exact(mine["close"][-1]))
        held = (mine["ts_open"][0], mine["ts_event"][-1])
        expected += payments_by_hand(bars, symbol, sign * quantity, held)
    return Funded(results, sorted(expected), prices)


@both_sides
def test_each_payment_is_quantity_times_mark_times_rate_of_its_row(sign: int) -> None:
    found = funded(sign)
    assert payments(found.results) == found.expected
    hours = [(symbol, ts - DAY) for ts, symbol, _ in found.expected]
    # BTCUSD was bought at the open of midnight, after the funding of that instant.
    eight = dt.timedelta(hours=8)
    assert hours == [("ADAUSDT", 0 * eight), ("BTCUSD", eight), ("BTCUSD", 2 * eight)]
    # Longs paid where the rate was above zero, and received where it was below.
    assert [amount * sign > 0 for *_, amount in found.expected] == [False, True, True]


@both_sides
def test_payments_of_the_day_are_in_carry_attribution_and_equity(sign: int) -> None:
    found = funded(sign)
    paid = sum(amount for *_, amount in found.expected)
    last = found.results.portfolio_history.row(-1, named=True)
    assert last["carry"] == float(-paid)
    by_symbol = found.results.attribution.group_by("symbol").agg(pl.col("funding").sum())
    assert {symbol: Fraction(amount) for symbol, amount in by_symbol.rows() if amount} == {
        each: sum(amount for _, symbol, amount in found.expected if symbol == each) for each in COINS
    }
    moved = sum(sign * COINS[symbol] * (now - cost) for symbol, (cost, now) in found.prices.items())
    assert last["equity"] == float(CASH + moved + paid)
    assert sum(changes(found.results).values()) == CASH + moved + paid


@both_sides
@pytest.mark.parametrize(
    ("opened", "closed", "paid"),
    [("07:59", "16:01", 2), ("08:00", "16:00", 1), ("07:59", "15:59", 1), ("08:00", "15:59", 0)],
)
def test_who_holds_at_the_instant_pays_and_what_fills_at_its_open_comes_after(
    sign: int, opened: str, closed: str, paid: int
) -> None:
    bars = perpetuals("BTCUSD")
    at = [DAY.replace(hour=int(text[:2]), minute=int(text[3:])) for text in (opened, closed)]
    orders = {
        at[0]: [{"asset": "BTCUSD", "quantity": sign * 2}],
        at[1]: [{"asset": "BTCUSD", "quantity": -sign * 2}],
    }
    results = ran(Script(orders), feed_of(bars), FUNDED, funding=rates_of("BTCUSD"))
    assert results.fills["ts_event"].to_list() == at
    expected = payments_by_hand(bars, "BTCUSD", sign * 2, (at[0], at[1]))
    assert (payments(results), len(expected)) == (expected, paid)


def test_rows_outside_the_data_are_left_out_with_a_note() -> None:
    rates = rates_of("BTCUSD")
    before = rates.filter(pl.col("ts_event") < DAY).height
    results = ran(Script({}), feed_of(perpetuals("BTCUSD")), FUNDED, funding=rates)
    note = f"funding rates: {before} rows lie outside the span of the market data"
    assert (before, note in results.warnings) == (9, True)


def test_a_row_within_the_run_before_the_data_of_its_instrument_is_refused() -> None:
    early = rates_of("BTCUSD").filter(ts_event=DAY).with_columns(pl.col("ts_event").dt.offset_by("-3d"))
    with pytest.raises(DataError, match=r"funding rates: BTCUSD has one at 2022-12-10T00:00:00Z"):
        ran(Script({}), feed_of(perpetuals(*COINS)), FUNDED, funding=early)


# --------------------------------------------------------------------------- the end of an instrument

END = dt.date(2015, 6, 30)


@attrs.frozen
class Ended:
    """A run in which AAPL ends, one that sells it at its last close, and what comes of that by hand."""

    ended: Results
    sold: Results
    account: Account
    cost: Fraction
    worth: Fraction
    begins: dt.datetime  #: midnight of its ex-date


@cache
def ended(sign: int, amount: str | None) -> Ended:
    """Hold 100 AAPL over its split, until it ends for an amount, its last close or, with None, its mark."""
    first = dt.date(2014, 5, 1)
    aapl, ibm = daily("AAPL", first, END), daily("IBM", first, dt.date(2015, 7, 31))
    bars = pl.concat([aapl, ibm]).sort("session", maintain_order=True)
    actions = actions_of(splits_of("AAPL"), dividends_of("AAPL")).filter(pl.col("ex_date") <= END)
    ex_date = ibm.filter(pl.col("session") > END)["session"][0]
    last_close = exact(aapl["close"][-1])
    worth = float(last_close) if amount == "last close" else amount and float(amount)
    ending = pl.DataFrame({"symbol": "AAPL", "ex_date": ex_date, "kind": "delisting", "amount": worth})

    closes = aapl["ts_end"]
    entry = {closes[0]: [{"asset": "AAPL", "quantity": sign * 100}]}
    limit = {"order_type": "limit", "limit_price": 10_000 if sign > 0 else 1}
    works = {closes[1]: [{"asset": "AAPL", "quantity": -sign * 100} | limit]}
    late = {ibm["ts_end"][-2]: [{"asset": "AAPL", "quantity": sign}]}
    at_close = {closes[-2]: [{"asset": "AAPL", "quantity": -sign * 700, "time_in_force": "cls"}]}

    rows = bars.drop("ts", "ts_end")
    with_end = DataFeed(rows, stamp="session", actions=pl.concat([actions, ending], how="diagonal_relaxed"))
    without = DataFeed(rows, stamp="session", actions=actions)
    account = Account()
    entered = exact(aapl["open"][1])
    trades = {
        aapl["session"][1]: [Trade("AAPL", sign * 100, entered)],
        END: [Trade("AAPL", -sign * 700, last_close)],
    }
    account.keep(bars, actions, trades)
    runs = ran(Script(entry | works | late), with_end), ran(Script(entry | at_close), without)
    return Ended(*runs, account, sign * 100 * entered, sign * 700 * last_close, midnight(ex_date))


each_price = pytest.mark.parametrize("amount", [None, "last close"])


@both_sides
@each_price
def test_an_end_at_the_last_price_is_worth_a_sale_at_the_last_close(sign: int, amount: str | None) -> None:
    found = ended(sign, amount)
    assert found.account.agrees_with(found.sold)
    history, sold = found.ended.portfolio_history, found.sold.portfolio_history
    assert history.select("session", "equity").equals(sold.select("session", "equity"))
    after = pl.col("session") > END
    assert history.filter(after).equals(sold.filter(after))
    assert changes(found.ended) == changes(found.sold) == found.account.changes


@both_sides
@each_price
def test_the_end_is_posted_at_midnight_with_its_result(sign: int, amount: str | None) -> None:
    found = ended(sign, amount)
    booked = found.ended.ledger.filter(kind="cash_out")
    assert set(booked["ts_event"]) == {found.begins}
    gain = found.worth - found.cost
    assert balances(booked) == {"cash": found.worth, "inventory": -found.cost, "realized_pnl": -gain}
    assert balances(found.ended.ledger) == balances(found.sold.ledger)


@both_sides
def test_what_works_is_canceled_at_the_end_and_what_comes_later_is_rejected(sign: int) -> None:
    orders = ended(sign, None).ended.orders
    assert orders.select("status", "reason_code").rows() == [
        ("filled", ""),
        ("canceled", "DELISTED"),
        ("rejected", "DELISTED"),
    ]
    assert orders["ts_closed"][1] == ended(sign, None).begins


@both_sides
def test_a_share_that_ends_worth_nothing_takes_its_last_close_with_it(sign: int) -> None:
    found = ended(sign, "0")
    *_, equity = found.account.navs[-1]
    assert found.ended.portfolio_history["equity"][-1] == float(equity - found.worth)
