"""Runs in several currencies for the tests: flat days, rates by the day, and tables as plain rows.

The description of a run is written here and not by `ml4t.engine.compile`: these tests need neither the Rust
engine nor the front door. Day 0 opens at 00:00 of 1 January 2024 and ends as day 1 opens, and so on. A
strategy is called as each day ends, and its orders fill at the open of the next one, at the same time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import polars as pl

import ml4t.reference
from ml4t.core.models import FeeOut, FxArgs, FxOut, InterestArgs, InterestOut
from ml4t.fees import NoFee
from ml4t.fills import Default
from ml4t.slippage import NoSlippage

START = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
DAY = 86_400 * 10**9
HOUR = DAY // 24

Row = dict[str, Any]
Step = Callable[[Any], object]
Rate = tuple[float, str, float]  #: day, which may be a fraction of one; pair as EUR/USD; rate


def day(number: float) -> int:
    """Return when a day begins, ns."""
    return START + round(number * 24) * HOUR


def when(number: float) -> dt.datetime:
    """Return the same as tables give it."""
    return dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=round(number * 24))


def money(value: str | int) -> Decimal:
    """Return an amount as tables give it."""
    return Decimal(value)


@attrs.frozen
class FlatFee:
    """A fee per fill."""

    fee: float

    def evaluate(self, ctx: object) -> FeeOut:
        """Answer the same each time."""
        return FeeOut(fee=self.fee)


@attrs.define
class Spread:
    """Trades a fraction away from the middle rate, for a fee; remembers what it was asked."""

    fraction: float = 0.0
    fee: float = 0.0
    asked: list[FxArgs] = attrs.field(factory=list)

    def evaluate(self, ctx: FxArgs) -> FxOut:
        """Answer a worse rate."""
        self.asked.append(ctx)
        return FxOut(rate=ctx.rate * (1 + ctx.side * self.fraction), fee=self.fee)


@attrs.define
class Answers:
    """An fx model that answers what it is told to."""

    answer: Any

    def evaluate(self, ctx: FxArgs) -> Any:  # noqa: ANN401
        """Answer that."""
        return self.answer


@attrs.define
class PerDay:
    """Interest that is a fraction of cash and of short positions per day."""

    fraction: float
    asked: list[InterestArgs] = attrs.field(factory=list)

    def evaluate(self, ctx: InterestArgs) -> InterestOut:
        """Answer it, and remember the question."""
        self.asked.append(ctx)
        return InterestOut(payment=ctx.cash * self.fraction * ctx.days)


def model(given: object) -> Row:
    """Return the description of a model."""
    return {"object": given, "builtin": None, "params": {}}


def instrument(symbol: str, currency: str, **others: Any) -> Row:  # noqa: ANN401 - parts of its description
    """Return the description of an instrument."""
    return {
        "symbol": symbol,
        "currency": currency,
        "price_exponent": 9,
        "quantity_exponent": 0,
        "multiplier": "1",
        "tick_size": "0.01",
        "lot_size": "1",
        "allows_negative_prices": False,
        "is_borrowed": True,
        "rolls_over": False,
        "calendar": 0,
        "matching": 0,
        "prints": None,
        "latency": {"submit": [0], "modify": [0], "cancel": [0], "venue": 0},
    } | others


def describe(
    paths: Mapping[str, Iterable[float]],
    rates: Iterable[Rate] = (),
    *,
    account: Mapping[str, Any] | None = None,
    **others: Any,  # noqa: ANN401 - parts of the description
) -> Row:
    """Return the description of a run.

    Parameters
    ----------
    paths : Mapping
        Prices of instruments that are named after their currencies, as `EUR.A`: one price a day.
    rates : iterable
        Rates between currencies.
    account, others : Any
        Parts of the description that are not the usual ones.
    """
    prices = {name: list(path) for name, path in sorted(paths.items(), key=lambda each: each[0])}
    count = max(map(len, prices.values()))
    rows = [
        {"ts_open": day(n), "ts_event": day(n + 1), "instrument": index, "volume": 1e6}
        | dict.fromkeys(("open", "high", "low", "close"), float(path[n]))
        for n in range(count)
        for index, path in enumerate(prices.values())
        if n < len(path)
    ]
    given = [{"ts": day(at), "base": pair[:3], "quote": pair[4:], "rate": rate} for at, pair, rate in rates]
    purse: Row = {
        "initial_cash": "10000",
        "lot_policy": "fifo",
        "allows_short": False,
        "buying_power": "equity",
    }
    purse |= {"leverage": "1", "posting_quantum": "0.000000001"} | dict(account or {})
    balances: dict[str, str] = purse.get("initial_balances", {})
    seen = {name.partition(".")[0] for name in prices} | balances.keys()
    sessions = {"label": [19_723 + n for n in range(count)], "open_ns": [day(n) for n in range(count)]}
    sessions["close_ns"] = [day(n + 1) for n in range(count)]
    return {
        "instruments": [instrument(name, name.partition(".")[0]) for name in prices],
        "feeds": [
            {"name": "prices", "kind": "bar", "interval_ns": DAY, "frame": pl.DataFrame(rows), "extra": []}
        ],
        "signals": None,
        "actions": [],
        "calendars": [{"name": "24/7", "frame": pl.DataFrame(sessions)}],
        "nav_calendar": 0,
        "base_currency": "USD",
        "currencies": ["USD", *sorted(seen - {"USD"})],
        "fx_rates": sorted(given, key=lambda row: (row["ts"], row["base"], row["quote"])),
        "seed": 0,
        "record_ns": 0,
        "keeps_tables": True,
        "table_memory": 1 << 30,
        "warm_from_ns": 0,
        "account": purse,
        "policies": {},
        "fill_model": model(Default()),
        "slippage_model": model(NoSlippage()),
        "fee_model": model(NoFee()),
        "latency_models": [],
    } | others


def play(spec: Row, *steps: Step, stop: Step | None = None) -> dict[str, list[Row]]:
    """Run one step as each day ends, and return the tables as rows."""
    run = ml4t.reference.Run(spec)
    left = list(steps)

    def on_data(timestamp: object, data: object, context: object, broker: Any) -> None:  # noqa: ANN401
        if left:
            left.pop(0)(broker)

    handlers: dict[str, Callable[..., object]] = {"on_data": on_data}
    if stop is not None:
        handlers["on_stop"] = lambda: stop(run.broker)
    run.execute(handlers)
    return {name: table.to_pylist() for name, table in run.tables().items()}


def buy(symbol: str, quantity: float, **terms: Any) -> Step:  # noqa: ANN401 - of `OrderTerms`
    return lambda broker: broker.buy(symbol, quantity, **terms)


def sell(symbol: str, quantity: float, **terms: Any) -> Step:  # noqa: ANN401
    return lambda broker: broker.sell(symbol, quantity, **terms)


def convert(currency: str, amount: object) -> Step:
    return lambda broker: broker.convert(currency, amount)


def both(*steps: Step) -> Step:
    """Do several things at one call."""
    return lambda broker: [step(broker) for step in steps]


def nothing(broker: object) -> None:
    """Let a day pass."""


def postings(tables: Mapping[str, list[Row]], *kinds: str) -> list[tuple[Any, ...]]:
    """Return kind, currency, debit, credit and amount of postings, of some kinds or of all but deposits."""
    return [
        tuple(row[name] for name in ("kind", "currency", "debit", "credit", "amount"))
        for row in tables["ledger"]
        if row["kind"] in kinds or (not kinds and row["kind"] != "deposit")
    ]


def cash(tables: Mapping[str, list[Row]], currency: str) -> Any:  # noqa: ANN401 - a Decimal, equal to numbers
    """Return the cash of a currency at the last NAV."""
    return [row["cash"] for row in tables["balances"] if row["currency"] == currency][-1]


def codes(tables: Mapping[str, list[Row]]) -> list[str]:
    """Return why each order ended, if it was refused."""
    return [row["reason_code"] for row in tables["orders"]]


def column(tables: Mapping[str, list[Row]], table: str, name: str) -> list[Any]:
    """Return a column of a table."""
    return [row[name] for row in tables[table]]
