"""Accounts in several currencies on random markets: all amounts by a second calculation, and no leak."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import polars as pl
from hypothesis import event, given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Strategy
from ml4t.fees import FxSpread

from .random_runs import DAYS, LOTS, STARTS, Case, Make, accounts, cases, changes, models
from .second_calculation import (
    SYMBOLS,
    UNIT,
    Checked,
    Rates,
    cost_of,
    goes_by_cash,
    nearest,
    quantized,
    units,
)

# -- random runs -------------------------------------------------------------------------------------------


@given(case=cases)
def test_every_amount_is_that_of_a_second_calculation(engine: Make, case: Case) -> None:
    results, strategy = case.play(engine)
    asked = results.table("conversions").filter(pl.col("cause") == "asked")
    late = frozenset(asked["ts_event"]) if case.account["standing"] else frozenset()
    checked = Checked(results, Rates(case.rates), case.model, late)
    checked.check()
    checked.check_reads(strategy.read, case.account)
    event(f"fills {min(results.fills.height, 5)}")
    event(f"conversions {min(results.table('conversions').height, 5)}")


@given(case=cases, hour=st.integers(0, 24 * 8), data=st.data())
def test_no_decision_knows_later_rates(engine: Make, case: Case, hour: int, data: st.DataObject) -> None:
    until = dt.datetime(2024, 3, 4, tzinfo=dt.UTC) + dt.timedelta(hours=hour)
    pairs = tuple(dict.fromkeys(case.rates["pair"]))
    others = data.draw(changes(pairs))
    known = case.rates.filter(pl.col("ts_event") <= until)
    other = pl.concat([known, others.filter(pl.col("ts_event") > until)])
    one, first = case.play(engine)
    two, second = case.play(engine, other)
    for name in ("order_events", "fills", "ledger"):
        tables = [each.table(name).filter(pl.col("ts_event") <= until) for each in (one, two)]
        assert tables[0].equals(tables[1]), name
    # A conversion that expires does so at the end of the data, whenever that is.
    made = [
        each.table("conversions").filter(pl.col("ts_event") <= until, pl.col("status") != "expired")
        for each in (one, two)
    ]
    assert made[0].equals(made[1])
    for name in ("portfolio_history", "balances", "attribution", "positions"):
        tables = [each.table(name).filter(pl.col("ts_event") <= until) for each in (one, two)]
        assert tables[0].equals(tables[1]), name
    seen = int(until.timestamp()) * 10**9
    assert [row for row in first.read if row[0] <= seen] == [row for row in second.read if row[0] <= seen]


@given(case=cases)
def test_a_run_is_the_same_again_and_with_rows_in_another_sequence(engine: Make, case: Case) -> None:
    results = [case.play(engine)[0], case.play(engine, case.rates.reverse())[0]]
    for name in ("orders", "order_events", "fills", "ledger", "balances", "conversions", "attribution"):
        tables = [each.table(name) for each in results]
        assert tables[0].equals(tables[1]), name


# -- what is accepted --------------------------------------------------------------------------------------


class Rests(Strategy):
    """Sends limit orders that nothing meets, all at the first close."""

    def __init__(self, orders: Sequence[tuple[str, int, float]]) -> None:
        self.orders = orders
        self.powers: list[float] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not self.powers:
            for symbol, quantity, price in self.orders:
                broker.submit_order(symbol, quantity, "buy", "limit", price)
        self.powers.append(broker.buying_power)


@attrs.frozen
class Untouched:
    """An account without positions, and what orders set aside of it."""

    rates: Rates
    account: Mapping[str, Any]
    cash: dict[str, int]
    aside: dict[str, int]

    @classmethod
    def of(cls, rates: pl.DataFrame, account: Mapping[str, Any]) -> Untouched:
        cash = {"USD": 100_000 * UNIT, "EUR": 0, "JPY": 0}
        cash |= {name: units(Decimal(amount)) for name, amount in account["initial_balances"].items()}
        return cls(Rates(rates), account, cash, dict.fromkeys(cash, 0))

    def sum(self, amounts: Mapping[str, int], now: dt.datetime) -> int:
        return sum(self.rates.worth(amount, name, now) for name, amount in amounts.items())

    def beyond(self, now: dt.datetime, sign: int, aside: Mapping[str, int] | None = None) -> int:
        """Return what other currencies than the base lack, or with -1 have left."""
        aside = self.aside if aside is None else aside
        return self.sum({y: max(0, sign * (aside[y] - self.cash[y])) for y in ("EUR", "JPY")}, now)

    def accepts(self, currency: str, need: int, now: dt.datetime) -> bool:
        """Say whether an order is accepted, and set aside what it needs."""
        then = self.aside | {currency: self.aside[currency] + need}
        if not goes_by_cash(self.account):
            free: int = self.account["kind"][0] * self.sum(self.cash, now) - self.sum(self.aside, now)
            passes = self.rates.worth(need, currency, now) <= free
        elif self.account["conversion"] == "never":
            passes = then[currency] <= self.cash[currency]
        elif currency != "USD" and then[currency] <= self.cash[currency]:
            passes = True
        else:
            passes = then["USD"] <= self.cash["USD"] - self.beyond(now, 1, then)
        if passes:
            self.aside.update(then)
        return passes

    def power(self, now: dt.datetime) -> int:
        if not goes_by_cash(self.account):
            return int(self.account["kind"][0] * self.sum(self.cash, now) - self.sum(self.aside, now))
        if self.account["conversion"] == "never":
            return self.sum({name: self.cash[name] - self.aside[name] for name in self.cash}, now)
        return self.cash["USD"] - self.aside["USD"] - self.beyond(now, 1) + self.beyond(now, -1)


wanted = st.lists(
    st.sampled_from(sorted(SYMBOLS)).flatmap(
        lambda symbol: st.tuples(
            st.just(symbol),
            st.integers(3, 30).map(lambda n: n * LOTS[symbol]),
            st.integers(5_000, 7_000).map(lambda n: round(STARTS[symbol] * n / 10_000, 2)),
        )
    ),
    min_size=3,
    max_size=12,
)


@given(rates=changes(), orders=wanted, account=accounts)
def test_an_order_is_accepted_as_the_rules_say(
    engine: Make, rates: pl.DataFrame, orders: list[tuple[str, int, float]], account: dict[str, Any]
) -> None:
    rows = [(symbol, day, *[price] * 4, 1e6) for symbol, price in STARTS.items() for day in DAYS[:2]]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    prices = pl.DataFrame(rows, schema=names, orient="row")
    strategy = Rests(orders)
    results = Case(prices, rates, (), account | {"carries": False, "insufficient_cash": "reject"}, None).run(
        engine, strategy
    )
    first, second = results.portfolio_history["ts_event"]
    untouched = Untouched.of(rates, account)
    expected = [
        untouched.accepts(SYMBOLS[symbol], quantity * units(Decimal(repr(price))), first)
        for symbol, quantity, price in orders
    ]
    events = results.order_events.filter(pl.col("ts_event") == first, pl.col("status") != "submitted")
    assert [status == "accepted" for status in events["status"]] == expected
    assert strategy.powers[1] == untouched.power(second) / UNIT
    event(f"rejected {min(expected.count(False), 3)}")


MOST = 1_000


class Wants(Strategy):
    """Buys so many at the first close."""

    def __init__(self, quantity: int) -> None:
        self.quantity = quantity

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.quantity:
            broker.buy("SAP", self.quantity)
        self.quantity = 0


@given(
    rates=changes(),
    model=models,
    cash=st.integers(500_000, 9_000_000),
    own=st.integers(0, 5_000_000),
    conversion=st.sampled_from(["when_short", "always", "never"]),
    rate=st.sampled_from([0.0, 0.0007, 0.013]),
)
def test_partial_fills_the_most_that_can_be_paid(  # noqa: PLR0913 - what a fill depends on
    engine: Make,
    rates: pl.DataFrame,
    model: FxSpread | None,
    cash: int,
    own: int,
    conversion: str,
    rate: float,
) -> None:
    opens = (100.0, 104.37)
    rows = [("SAP", day, *[price] * 4, 1e6) for day, price in zip(DAYS, opens, strict=False)]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    feed = DataFeed(pl.DataFrame(rows, schema=names, orient="row"), stamp="session", currency="EUR")
    balances = {"USD": Decimal(cash) / 100, "EUR": Decimal(own) / 100}
    results = engine(
        lambda: Wants(MOST),
        feed,
        broker={
            "initial_cash": balances["USD"],
            "initial_balances": {"EUR": balances["EUR"]},
            "conversion": conversion,
            "commission_model": {"type": "Fraction", "rate": rate},
            "policies": {"insufficient_cash": "partial"},
        },
        fx=rates,
        models=None if model is None else {"fx": model},
    ).run()
    now, known = dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC), Rates(rates)

    def can_pay(quantity: int) -> bool:
        notional = quantity * Decimal(repr(opens[1]))
        fee = quantized(nearest(Fraction(Decimal(repr(float(notional) * rate))) * UNIT))
        after = units(balances["EUR"]) - units(notional) - fee
        if after >= 0 or conversion == "never":
            return after >= 0
        value = quantized(known.worth(-after, "EUR", now))
        cost = cost_of(model, -after, value, known.middle("EUR", now))
        return value + cost <= units(balances["USD"])

    most = bisect.bisect_left(range(1, MOST + 1), 1, key=lambda quantity: int(not can_pay(quantity)))
    assert results.fills["quantity"].to_list() == ([float(most)] if most else [])
    event(f"fills {min(most, 2)}")
