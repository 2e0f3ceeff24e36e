"""Rates of currencies, steps of scripts, and what the tables of results say of money."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from ml4t.backtest import Results
from ml4t.core.schemas import TABLES

FIRST = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
POLICIES = ["when_short", "always", "never"]
EURUSD = [1.1, 1.2, 1.3, 1.25, 1.25, 1.25]
SPREAD = {"type": "FxSpread", "spread": 0.01}
MARGIN = {"leverage": 2, "allows_short": True}

Made = Any
Play = Callable[..., Any]


def at(day: float) -> dt.datetime:
    """Return an instant so many days after the first; 1 is when step 0 is called."""
    return FIRST + dt.timedelta(days=day)


def rates(**pairs: Sequence[float | None]) -> pl.DataFrame:
    """Return rates: number n is in force when step n is called, the first of all from long before."""
    rows = []
    for pair, series in pairs.items():
        if series[0] is not None:
            rows.append((pair, at(-30), float(series[0])))
        rows += [(pair, at(n + 0.5), float(rate)) for n, rate in enumerate(series) if rate is not None]
    return pl.DataFrame(rows, schema=["pair", "ts_event", "rate"], orient="row")


def buy(symbol: str, quantity: float, **options: Made) -> Callable[[Made], Made]:
    return lambda now: now.broker.buy(symbol, quantity, **options)


def sell(symbol: str, quantity: float, **options: Made) -> Callable[[Made], Made]:
    return lambda now: now.broker.sell(symbol, quantity, **options)


def convert(currency: str, amount: Made) -> Callable[[Made], Made]:
    return lambda now: now.broker.convert(currency, amount)


def account(now: Made) -> tuple[float, ...]:
    broker = now.broker
    return broker.get_cash(), broker.get_cash("EUR"), broker.get_account_value(), broker.buying_power


def postings(results: Results, *, of: str | None = None) -> list[tuple[Any, ...]]:
    """Kind, debit, credit, symbol, currency and amount of all postings but deposits, or of one kind."""
    table = results.ledger.filter(pl.col("kind") != "deposit" if of is None else pl.col("kind") == of)
    table = table.with_columns(pl.col("amount").cast(pl.Float64))
    return table.select("kind", "debit", "credit", "symbol", "currency", "amount").rows()


def conversions(results: Results) -> list[tuple[Any, ...]]:
    """Currency, amount, value, cost, symbol, cause and status of all conversions."""
    money = [pl.col(name).cast(pl.Float64) for name in ("amount", "value", "cost")]
    return results.table("conversions").select("currency", *money, "symbol", "cause", "status").rows()


def closes(results: Results, table: str, *names: str) -> list[tuple[Any, ...]]:
    """Columns of the rows of a table at the closes of sessions, amounts as floats."""
    rows = results.table(table).filter(pl.col("session").is_not_null())
    return rows.select(pl.col(name).cast(pl.Float64) for name in names).rows()


def balance(results: Results, currency: str, name: str = "cash") -> list[float]:
    rows = results.table("balances").filter(pl.col("session").is_not_null(), pl.col("currency") == currency)
    return rows[name].cast(pl.Float64).to_list()


def equity(results: Results) -> list[float]:
    return results.portfolio_history["equity"].to_list()


def events(results: Results) -> list[tuple[int, str, str]]:
    """Order, status and code of whatever happened to orders after they were submitted."""
    rows = results.order_events.filter(pl.col("status") != "submitted")
    return rows.select("order_id", "status", "reason_code").rows()


def filled(results: Results) -> list[tuple[str, str, float]]:
    return results.fills.select("symbol", "side", "quantity").rows()


def same(one: Results, other: Results) -> None:
    for name in TABLES:
        assert one.table(name).equals(other.table(name)), name
