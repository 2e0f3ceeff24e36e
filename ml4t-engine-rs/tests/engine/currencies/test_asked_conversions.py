"""Conversions that a strategy asks for: when they happen, what they cost, what is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results, Strategy
from ml4t.core.errors import EngineStateError, OrderError, UnknownNameError

from .helpers import (
    EURUSD,
    MARGIN,
    SPREAD,
    Made,
    Play,
    account,
    at,
    buy,
    conversions,
    convert,
    events,
    filled,
    postings,
    rates,
)


def asked(results: Results) -> list[tuple[Any, ...]]:
    """Number, both times, amount, value and status of conversions that were asked for."""
    rows = results.table("conversions").filter(pl.col("cause") == "asked")
    money = [pl.col(name).cast(pl.Float64) for name in ("amount", "value")]
    return rows.select("conversion_id", "ts_submitted", "ts_event", *money, "status").rows()


def test_a_conversion_happens_at_the_next_rate_in_the_sequence_of_the_calls(go: Play) -> None:
    steps = {
        0: lambda now: [now.broker.convert("EUR", amount) for amount in (100, -40, -61)],
        1: account,
        4: convert("EUR", 1),
        5: convert("EUR", 1),
    }
    done = go(steps)
    assert done[0] == [1, 2, 3]
    assert asked(done.results) == [
        (1, at(1), at(1.5), 100.0, 120.0, "executed"),
        (2, at(1), at(1.5), -40.0, 48.0, "executed"),
        (3, at(1), at(1.5), -61.0, None, "refused"),
        (4, at(5), at(5.5), 1.0, 1.25, "executed"),
        (5, at(6), at(6), 1.0, None, "expired"),
    ]
    table = done.results.table("conversions")
    assert [bool(reason) for reason in table["reason"]] == [False, False, True, False, True]
    assert table.filter(pl.col("status") != "executed")["cost"].to_list() == [None, None]
    assert done[1][:2] == (100_000.0 - 72.0 + 60.0 * 1.2, 60.0)
    assert set(done.results.ledger["symbol"]) == {None}
    assert len(done.script.times) == 6


def test_any_pair_of_the_route_is_a_next_rate(go: Play, market: Made) -> None:
    fx = pl.DataFrame(
        {
            "pair": ["EURGBP", "GBPUSD", "GBPUSD", "EURGBP", "CHFUSD"],
            "ts_event": [at(-5), at(-5), at(1.25), at(2.75), at(2.1)],
            "rate": [0.8, 1.25, 1.5, 0.9, 1.0],
        }
    )
    done = go({0: convert("EUR", 100), 1: convert("EUR", 100)}, fx=fx)
    assert asked(done.results) == [
        (1, at(1), at(1.25), 100.0, 120.0, "executed"),
        (2, at(2), at(2.75), 100.0, 135.0, "executed"),
    ]


def test_a_rate_of_the_instant_of_the_call_is_no_next_one(go: Play) -> None:
    fx = pl.DataFrame({"pair": ["EURUSD"] * 3, "ts_event": [at(0), at(1), at(2)], "rate": [1.1, 1.2, 1.3]})
    done = go({0: convert("EUR", 10)}, fx=fx)
    assert asked(done.results) == [(1, at(1), at(2), 10.0, 13.0, "executed")]


STANDING = {"policies": {"quote_fill": "standing"}}


def test_a_standing_rate_converts_at_once_but_not_inside_the_call(go: Play) -> None:
    steps = {
        0: lambda now: [now.broker.convert("EUR", 100), now.broker.get_cash("EUR")],
        1: lambda now: now.broker.get_cash("EUR"),
        5: convert("EUR", -100),
    }
    done = go(steps, broker=STANDING)
    assert (done[0], done[1]) == ([1, 0.0], 100.0)
    assert asked(done.results) == [
        (1, at(1), at(1), 100.0, 110.0, "executed"),
        (2, at(6), at(6), -100.0, 125.0, "executed"),
    ]


def test_a_conversion_at_a_standing_rate_pays_for_an_order_that_was_sent_before_it(go: Play) -> None:
    broker = STANDING | {"conversion": "never"}
    both = {0: lambda now: [now.broker.buy("SAP", 100), now.broker.convert("EUR", 10_000)]}
    assert filled(go(both, broker=broker).results) == [("SAP", "buy", 100.0)]
    assert events(go({0: buy("SAP", 100)}, broker=broker).results)[0][1] == "rejected"


def test_a_rate_of_the_instant_of_an_open_converts_before_it(go: Play) -> None:
    days = [dt.date(2024, 3, day) for day in (4, 5, 6)]
    prices = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 3)
    bars = pl.DataFrame({"symbol": ["SAP"] * 3, "session": days, **prices, "volume": [1e6] * 3})
    times = [dt.datetime(2024, 3, 1, tzinfo=dt.UTC), dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC)]
    fx = pl.DataFrame({"pair": ["EURUSD"] * 2, "ts_event": times, "rate": [1.1, 1.2]})
    broker = {
        "conversion": "never",
        "initial_balances": {"EUR": 10_000},
        "policies": {"insufficient_cash": "wait"},
    }
    steps = {0: lambda now: [now.broker.buy("SAP", 150), now.broker.convert("EUR", 5_000)]}
    results = go(steps, DataFeed(bars, stamp="session", currency="EUR"), fx=fx, broker=broker).results
    assert results.fills["ts_event"].to_list() == [times[1]]
    kinds = results.ledger.filter(pl.col("ts_event") == times[1])["kind"].to_list()
    assert kinds == ["conversion", "conversion", "trade"]


def test_a_conversion_may_be_asked_for_in_any_callback(run_of: Made, market: Made) -> None:
    class OnFill(Strategy):
        def on_start(self) -> None:
            self.is_sent = False

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not self.is_sent:
                broker.buy("SAP", 1)
            self.is_sent = True

        def on_fill(self, fill: Any) -> None:  # noqa: ANN401
            self.broker.convert("EUR", 7)

    feed, fx = market(SAP=[100.0] * 4), rates(EURUSD=EURUSD)
    for broker, when, value in (({}, at(1.5), 8.4), (STANDING, at(1), 7.7)):
        assert asked(run_of(OnFill(), feed, broker=broker, fx=fx)) == [
            (1, at(1), when, 7.0, value, "executed")
        ]


def test_rates_from_before_the_first_date_are_in_force_at_it(go: Play) -> None:
    done = go({0: buy("SAP", 1)}, fx=rates(EURUSD=[1.5]), backtest={"start_date": "2024-01-03"})
    assert done.results.fills["fx_rate"].to_list() == [1.5]


def test_a_conversion_pays_spread_and_commission(go: Play) -> None:
    model = {"type": "FxSpread", "spread": 0.01, "commission": 0.001, "minimum": 3.0}
    steps = {0: lambda now: [now.broker.convert("EUR", 10_000), now.broker.convert("EUR", -1_000)]}
    done = go(steps, broker={"fx_model": model})
    assert [row[1:4] for row in conversions(done.results)] == [
        (10_000.0, 12_000.0, 72.0),
        (-1_000.0, 1_200.0, 9.0),
    ]
    row = done.results.portfolio_history.row(-1, named=True)
    assert (row["fx_costs"], row["fx_pnl"], row["equity"]) == (81.0, 450.0, 100_369.0)


@pytest.mark.parametrize(
    ("cash", "amount", "status"),
    [
        (120.6, 100, "executed"),
        (120.59, 100, "refused"),
        (0.01, -100, "executed"),
        (0.01, "-100.000000000000000001", "refused"),
    ],
)
def test_a_cash_account_converts_what_it_has(go: Play, cash: float, amount: Made, status: str) -> None:
    broker = {"initial_cash": cash, "fx_model": SPREAD}
    if cash == 0.01:
        broker["initial_balances"] = {"EUR": 100}
    done = go({0: convert("EUR", amount)}, broker=broker)
    assert asked(done.results)[0][-1] == status
    assert len(postings(done.results)) == (3 if status == "executed" else 0)


def test_accounts_that_do_not_go_by_cash_convert_into_debt(go: Play) -> None:
    steps = {
        0: lambda now: [now.broker.convert("EUR", 10**6), now.broker.convert("EUR", -3 * 10**6)],
        1: account,
    }
    done = go(steps, broker=MARGIN)
    assert [row[-1] for row in asked(done.results)] == ["executed", "executed"]
    assert done[1][:3] == (100_000.0, -2_000_000.0, 100_000.0)


def test_what_was_converted_stays_until_the_next_event_of_its_currency(go: Play) -> None:
    steps = {0: convert("EUR", 500), 1: account, 2: buy("SAP", 1), 3: account}
    done = go(steps, broker={"conversion": "always"})
    assert (done[1][1], done[3][1]) == (500.0, 0.0)
    assert [row[1] for row in conversions(done.results)] == [500.0, -400.0]


@pytest.mark.parametrize(
    ("amount", "exact"),
    [
        (10, "10"),
        (0.1, "0.1"),
        (1.1, "1.1"),
        ("1.5", "1.5"),
        (Decimal("0.000000001"), "0.000000001"),
        ("0.000000000000000001", "0.000000000000000001"),
    ],
)
def test_an_amount_is_any_number_and_a_float_its_shortest_decimal(go: Play, amount: Made, exact: str) -> None:
    done = go({0: convert("EUR", amount)})
    assert done.results.table("conversions")["amount"].to_list() == [Decimal(exact)]


@pytest.mark.parametrize(
    ("currency", "amount", "message"),
    [
        ("CHF", 1, "CHF.* is no currency of this run; its currencies are USD, EUR"),
        ("eur", 1, "eur.* is no currency of this run"),
        ("", 1, "is no currency of this run"),
        ("USD", 1, "USD is the base currency"),
        ("EUR", 0, "EUR must be a number other than zero"),
        ("EUR", 0.0, "EUR must be a number other than zero"),
        ("EUR", "-0", "EUR must be a number other than zero"),
        ("EUR", "0.0000000000000000001", "at most 18 decimals"),
        ("EUR", Decimal("1.0000000000000000001"), "at most 18 decimals"),
        ("EUR", float("nan"), "nan is not a finite number"),
        ("EUR", float("inf"), "inf is not a finite number"),
        ("EUR", "-inf", "is not a finite number"),
        ("EUR", Decimal("sNaN"), "is not a finite number"),
        ("EUR", "ten", "'ten' is not a finite number"),
        ("EUR", "", "'' is not a finite number"),
        ("EUR", True, "True is not a finite number"),
        ("EUR", None, "None is not a finite number"),
    ],
)
def test_a_wrong_conversion_is_refused_at_the_call(
    go: Play, currency: str, amount: Made, message: str
) -> None:
    with pytest.raises(OrderError, match=message):
        go({0: convert(currency, amount)})


def test_a_refused_call_has_no_number_and_the_run_goes_on(go: Play) -> None:
    def step(now: Made) -> list[int]:
        with pytest.raises(OrderError):
            now.broker.convert("EUR", 0)
        with pytest.raises(OrderError):
            now.broker.convert("GBP", 5)
        return [now.broker.convert("EUR", 5), now.broker.convert(currency="EUR", amount=-5)]

    done = go({0: step})
    assert done[0] == [1, 2]
    assert [row[0] for row in asked(done.results)] == [1, 2]


def test_before_the_first_event_nothing_can_be_converted(go: Play) -> None:
    for broker in ({}, STANDING):
        with pytest.raises(EngineStateError, match="from the first event on"):
            go({}, start=lambda strategy: strategy.broker.convert("EUR", 5), broker=broker)


def test_a_run_of_one_currency_converts_nothing(go: Play, market: Made) -> None:
    with pytest.raises(OrderError, match=r"EUR.* is no currency of this run; its currencies are USD"):
        go({0: convert("EUR", 5)}, market(IBM=[1.0] * 3))


@pytest.mark.parametrize("currency", ["CHF", "eur", ""])
def test_cash_of_a_currency_that_the_run_has_not_is_refused(go: Play, currency: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown currency '{currency}'; known: EUR, USD"):
        go({0: lambda now: now.broker.get_cash(currency)})


def test_cash_is_of_one_currency_or_of_all(go: Play) -> None:
    def step(now: Made) -> list[float]:
        cash = now.broker.get_cash
        return [cash(), cash(None), cash("USD"), cash("EUR"), cash(currency="EUR")]

    broker = {"initial_balances": {"EUR": 50}}
    assert go({0: step}, broker=broker)[0] == [100_055.0, 100_055.0, 100_000.0, 50.0, 50.0]
