"""Accounts in several currencies, through the front door: conversions, buying power, sizes, carry, tables."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, OrderList, Results, Strategy, TargetWeights, run
from ml4t.backtest.configured import engine_of
from ml4t.backtest.data import read_fx_rates
from ml4t.core.config import load_config
from ml4t.core.errors import (
    ConfigError,
    DataError,
    EngineStateError,
    Ml4tError,
    ModelError,
    OrderError,
    UnknownNameError,
)
from ml4t.core.models import FxArgs, FxOut
from ml4t.core.schemas import TABLES
from ml4t.engine.trade_statistics import trade_statistics
from ml4t.fees import FxSpread
from ml4t.funding import BorrowFee, CashInterest, PerpetualFunding

FIRST = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
POLICIES = ["when_short", "always", "never"]
EURUSD = [1.1, 1.2, 1.3, 1.25, 1.25, 1.25]
SPREAD = {"type": "FxSpread", "spread": 0.01}

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


@pytest.fixture
def market(daily: Callable[..., DataFeed]) -> Callable[..., DataFeed]:
    """Return a builder of daily bars; SAP and VOW are of EUR, SONY is of JPY, BP of GBP, others of USD."""
    homes = {"SAP": "EUR", "VOW": "EUR", "SONY": "JPY", "BP": "GBP"}

    def build(*, currencies: Mapping[str, str] | None = None, **prices: Sequence[Any]) -> DataFeed:
        known = homes | dict(currencies or {})
        instruments = [
            Instrument(symbol, currency=known.get(symbol, "USD"), calendar="24/7") for symbol in prices
        ]
        return daily(prices, instruments=instruments)

    return build


@pytest.fixture
def go(play: Play, market: Callable[..., DataFeed]) -> Play:
    """Return a function that runs steps, on SAP at 100 and with rates of EURUSD unless others are given."""

    def go(steps: Mapping[int, Made], feed: DataFeed | None = None, **parts: Made) -> Made:
        feed = market(SAP=[100.0] * 6) if feed is None else feed
        return play(steps, feed, **{"fx": rates(EURUSD=EURUSD)} | parts)

    return go


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


# -- automatic conversions ---------------------------------------------------------------------------------

BOUGHT = [
    ("trade", "inventory", "cash", "SAP", "EUR", 10_000.0),
    ("conversion", "cash", "exchange", "SAP", "EUR", 10_000.0),
    ("conversion", "exchange", "cash", "SAP", "USD", 11_000.0),
    ("conversion_cost", "fx_costs", "cash", "SAP", "USD", 55.0),
]


def test_when_short_buys_what_is_missing_and_keeps_what_comes_in(go: Play) -> None:
    steps = {0: buy("SAP", 100), 1: account, 2: sell("SAP", 100), 3: account}
    done = go(steps, broker={"fx_model": SPREAD})
    assert postings(done.results) == [*BOUGHT, ("trade", "cash", "inventory", "SAP", "EUR", 10_000.0)]
    assert conversions(done.results) == [("EUR", 10_000.0, 11_000.0, 55.0, "SAP", "automatic", "executed")]
    assert done[1] == (88_945.0, 0.0, 100_945.0, 88_945.0)
    assert done[3] == (88_945.0 + 12_500.0, 10_000.0, 101_445.0, 101_445.0)
    assert equity(done.results) == [100_000.0, 100_945.0, 101_945.0, 101_445.0, 101_445.0, 101_445.0]


def test_when_short_uses_what_is_there_first(go: Play) -> None:
    done = go({0: buy("SAP", 100)}, broker={"initial_balances": {"EUR": 9_990}})
    assert conversions(done.results) == [("EUR", 10.0, 11.0, 0.0, "SAP", "automatic", "executed")]
    assert (balance(done.results, "EUR")[-1], balance(done.results, "USD")[-1]) == (0.0, 99_989.0)


def test_always_sells_what_comes_in_as_well(go: Play) -> None:
    steps = {0: buy("SAP", 100), 2: sell("SAP", 100), 3: account}
    done = go(steps, broker={"fx_model": SPREAD, "conversion": "always"})
    assert postings(done.results) == [
        *BOUGHT,
        ("trade", "cash", "inventory", "SAP", "EUR", 10_000.0),
        ("conversion", "exchange", "cash", "SAP", "EUR", 10_000.0),
        ("conversion", "cash", "exchange", "SAP", "USD", 13_000.0),
        ("conversion_cost", "fx_costs", "cash", "SAP", "USD", 65.0),
    ]
    assert conversions(done.results)[1] == (
        "EUR",
        -10_000.0,
        13_000.0,
        65.0,
        "SAP",
        "automatic",
        "executed",
    )
    assert done[3] == (101_880.0, 0.0, 101_880.0, 101_880.0)


def test_the_opening_balance_stays_until_something_happens_in_its_currency(go: Play) -> None:
    broker = {"conversion": "always", "initial_balances": {"EUR": 30_000}}
    assert conversions(go({}, broker=broker).results) == []
    done = go({1: buy("SAP", 100)}, broker=broker)
    assert conversions(done.results) == [("EUR", -20_000.0, 24_000.0, 0.0, "SAP", "automatic", "executed")]


def test_without_conversion_debts_and_cash_stay_in_their_currency(go: Play) -> None:
    margin = {"conversion": "never", "leverage": 2, "allows_short": True}
    done = go({0: buy("SAP", 100), 1: account, 2: sell("SAP", 200)}, broker=margin)
    assert conversions(done.results) == []
    assert set(done.results.ledger["kind"]) == {"deposit", "trade"}
    assert balance(done.results, "EUR") == [0.0, -10_000.0, -10_000.0, 10_000.0, 10_000.0, 10_000.0]
    assert done[1] == (88_000.0, -10_000.0, 100_000.0, 188_000.0)


@pytest.mark.parametrize("conversion", POLICIES)
def test_each_policy_is_worth_the_same_where_rates_stay_and_cost_nothing(go: Play, conversion: str) -> None:
    steps = {0: buy("SAP", 100), 1: sell("SAP", 40), 2: buy("SAP", 70), 3: sell("SAP", 130)}
    broker = {"conversion": conversion, "leverage": 3, "initial_balances": {"EUR": 1_000}}
    done = go(steps, broker=broker, fx=rates(EURUSD=[1.1]))
    assert equity(done.results) == [101_100.0] * 6
    assert closes(done.results, "portfolio_history", "fx_pnl", "fx_costs") == [(0.0, 0.0)] * 6


def test_a_run_of_one_currency_has_no_such_rows(go: Play, market: Made) -> None:
    steps = {0: buy("IBM", 10), 1: lambda now: now.broker.get_cash("USD"), 2: sell("IBM", 10)}
    feed = market(IBM=[10.0, 11.0, 12.0, 13.0])
    plain, with_rates = go(steps, feed, fx=None), go(steps, feed)
    same(plain.results, with_rates.results)
    for name in ("balances", "conversions"):
        assert plain.results.table(name).height == 0
    assert set(plain.results.table("fills")["fx_rate"]) == {1.0}
    assert plain.results.round_trips.select("currency", "fx_rate").rows() == [("USD", 1.0)]
    assert closes(plain.results, "portfolio_history", "fx_pnl", "fx_costs") == [(0.0, 0.0)] * 4
    assert plain[1] == 99_890.0


# -- routes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "fx", "value"),
    [
        ("SAP", {"EURUSD": [1.25]}, "1250"),
        ("SAP", {"USDEUR": [0.8]}, "1250"),
        ("SAP", {"EURUSD": [1.25], "USDEUR": [0.5]}, "1250"),
        ("SAP", {"USDEUR": [0.8], "EURGBP": [3.0], "GBPUSD": [4.0]}, "1250"),
        ("SONY", {"USDJPY": [150.0]}, "6.666666667"),
        ("BP", {"EURGBP": [0.8], "EURUSD": [1.1]}, "1375"),
        ("BP", {"GBPEUR": [1.25], "USDEUR": [0.8]}, "1562.5"),
        ("BP", {"GBPZAR": [24.0], "USDZAR": [16.0]}, "1500"),
        # The first by name of those in between.
        ("BP", {"GBPZAR": [24.0], "USDZAR": [16.0], "GBPCHF": [1.1], "CHFUSD": [1.0]}, "1100"),
        ("BP", {"GBPZAR": [24.0], "USDZAR": [16.0], "GBPCHF": [1.1]}, "1500"),
    ],
)
def test_rates_lead_directly_inversely_or_through_a_third_currency(
    go: Play, market: Made, symbol: str, fx: dict[str, list[float]], value: str
) -> None:
    done = go({0: buy(symbol, 10)}, market(**{symbol: [100.0] * 3}), fx=rates(**fx))
    (found,) = done.results.table("conversions")["value"]
    assert found == Decimal(value)


def test_two_steps_round_twice(go: Play, market: Made) -> None:
    # 1 / 3 = 0.333333333333333333 GBP, and 7 times that: the last digit is not that of 7 / 3.
    broker = {"posting_quantum": "0.000000000000000001"}
    done = go({0: buy("SAP", 1)}, market(SAP=[1.0] * 3), fx=rates(GBPEUR=[3.0], GBPUSD=[7.0]), broker=broker)
    assert done.results.table("conversions")["value"].to_list() == [Decimal("2.333333333333333331")]


def test_a_rate_counts_as_the_decimal_that_it_is_written_as(go: Play, market: Made) -> None:
    broker = {"posting_quantum": "0.000000000000000001"}
    done = go({0: buy("SAP", 1)}, market(SAP=[1_000.0] * 3), fx=rates(EURUSD=[1.1]), broker=broker)
    assert done.results.table("conversions")["value"].to_list() == [Decimal(1_100)]


def test_a_rate_is_in_force_from_its_instant_on(go: Play) -> None:
    fx = pl.DataFrame(
        {"pair": ["EURUSD"] * 3, "ts_event": [at(0), at(1), at(1.001)], "rate": [1.0, 2.0, 3.0]}
    )
    done = go({0: buy("SAP", 1)}, fx=fx)
    assert done.results.fills["fx_rate"].to_list() == [2.0]
    assert conversions(done.results)[0][2] == 200.0


def test_a_currency_without_rates_is_refused_before_the_run(go: Play, market: Made) -> None:
    with pytest.raises(
        ConfigError, match="no fx rates lead from EUR to the base currency USD: given are GBPUSD"
    ):
        go({}, fx=rates(GBPUSD=[1.3]))
    with pytest.raises(ConfigError, match="no fx rates lead from EUR to the base currency USD"):
        go({}, fx=None)
    for broker in ({"initial_balances": {"CHF": 5}}, {"interest_models": {"CHF": {"type": "CashInterest"}}}):
        with pytest.raises(ConfigError, match="from CHF to the base currency USD: given are EURUSD"):
            go({}, broker=broker)


def test_a_rate_that_is_not_in_force_yet_stops_the_run_where_it_is_needed(go: Play) -> None:
    late = rates(EURUSD=[None, None, 1.3])
    assert equity(go({}, fx=late).results) == [100_000.0] * 6
    with pytest.raises(DataError) as refused:
        go({1: buy("SAP", 1)}, fx=late)
    for part in ("EUR", "USD", "2024-01-03T00:00:00Z", "2024-01-03T12:00:00Z"):
        assert part in str(refused.value)
    assert go({2: buy("SAP", 1)}, fx=late).fills == [("SAP", "buy", 1.0, 100.0)]


def test_a_direct_pair_that_begins_late_is_not_replaced_by_others(go: Play) -> None:
    fx = rates(EURUSD=[None, None, 1.3], EURGBP=[0.8], GBPUSD=[1.5])
    with pytest.raises(DataError, match="EURUSD"):
        go({0: buy("SAP", 1)}, fx=fx)


def test_rates_after_the_end_of_the_data_are_refused(go: Play) -> None:
    fx = pl.DataFrame({"pair": ["EURUSD"], "ts_event": [at(20)], "rate": [1.1]})
    with pytest.raises(DataError, match="the first row is of .* after the end of the market data"):
        go({}, fx=fx)


def test_pairs_that_nobody_needs_change_nothing(go: Play) -> None:
    steps = {0: buy("SAP", 100), 2: sell("SAP", 60), 3: convert("EUR", -100)}
    more = pl.concat([rates(EURUSD=EURUSD), rates(XAUUSD=[2_000.0, 2_010.0], USDJPY=[150.0, 151.0])])
    same(go(steps).results, go(steps, fx=more).results)


# -- opening balances --------------------------------------------------------------------------------------


def test_each_opening_balance_is_a_deposit_in_its_currency(go: Play, market: Made) -> None:
    broker = {"initial_cash": 1_000, "initial_balances": {"JPY": "15000.5", "EUR": 200, "CHF": 0}}
    fx = rates(EURUSD=[1.1, 1.2], USDJPY=[150.0], USDCHF=[0.9])
    done = go({}, market(SAP=[1.0] * 2), broker=broker, fx=fx)
    deposits = [(row[1:], done.results.ledger["symbol"][0]) for row in postings(done.results, of="deposit")]
    assert deposits == [
        (("cash", "capital", None, "USD", 1_000.0), None),
        (("cash", "capital", None, "EUR", 200.0), None),
        (("cash", "capital", None, "JPY", 15_000.5), None),
    ]
    rows = done.results.table("balances").filter(pl.col("session").is_not_null())
    assert rows["currency"].to_list() == ["USD", "CHF", "EUR", "JPY"] * 2
    assert equity(done.results) == pytest.approx([1_220.0 + 15_000.5 / 150, 1_240.0 + 15_000.5 / 150])
    first = done.results.attribution.row(0, named=True)
    assert first["external"] == first["total"] == Decimal("1320.003333333333333333")


@pytest.mark.parametrize("amount", [-1, "x", float("nan"), "0.0000000000000000001", 1e30])
def test_an_opening_balance_that_none_can_be_is_refused(go: Play, amount: object) -> None:
    with pytest.raises(ConfigError, match=r"broker\.initial_balances\.EUR"):
        go({}, broker={"initial_balances": {"EUR": amount}})


def test_the_base_currency_has_its_own_setting(go: Play) -> None:
    with pytest.raises(ConfigError, match=r"initial_balances\.USD: USD is the base currency"):
        go({}, broker={"initial_balances": {"USD": 500}})


def test_a_policy_of_conversion_that_there_is_not_is_refused(go: Play) -> None:
    with pytest.raises(ConfigError, match=r"broker\.conversion: .*when_short, always, never"):
        go({}, broker={"conversion": "sometimes"})


# -- buying power ------------------------------------------------------------------------------------------

MARGIN = {"leverage": 2, "allows_short": True}


def test_a_margin_account_measures_every_order_in_the_base_currency(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 4, IBM=[100.0] * 4)
    steps = {
        0: lambda now: [now.broker.buy("SAP", 1_000), now.broker.buy("IBM", 900), now.broker.buy("IBM", 1)],
    }
    done = go(steps, feed, broker=MARGIN, fx=rates(EURUSD=[1.1]))
    assert events(done.results) == [
        (1, "accepted", ""),
        (2, "accepted", ""),
        (3, "rejected", "INSUFFICIENT_BUYING_POWER"),
        (1, "filled", ""),
        (2, "filled", ""),
    ]


@pytest.mark.parametrize(("quantity", "status"), [(1_818, "accepted"), (1_819, "rejected")])
@pytest.mark.parametrize("order", [buy, sell])
def test_intake_converts_what_an_order_needs(go: Play, order: Made, quantity: int, status: str) -> None:
    done = go({0: order("SAP", quantity)}, broker=MARGIN, fx=rates(EURUSD=[1.1]))
    assert events(done.results)[0][1] == status


@pytest.mark.parametrize(("rate", "status"), [(1.709, "filled"), (1.71, "rejected")])
def test_a_margin_fill_is_measured_at_the_rate_of_the_fill(
    go: Play, market: Made, rate: float, status: str
) -> None:
    # 1,300 x 90 EUR against 200,000 USD; at 1.10 they were 128,700.
    feed = market(SAP=[100.0, 100.0, (100.0, 100.0, 90.0, 100.0), 100.0])
    done = go({0: buy("SAP", 1_300, limit_price=90)}, feed, broker=MARGIN, fx=rates(EURUSD=[1.1, rate]))
    assert [event[1] for event in events(done.results)] == ["accepted", status]


def test_equity_and_gross_are_sums_over_currencies(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 5, SONY=[1_000.0] * 5, IBM=[50.0] * 5)
    fx = rates(EURUSD=[1.1, 1.2], USDJPY=[125.0, 160.0])
    steps = {
        0: lambda now: [
            now.broker.buy("SAP", 500),
            now.broker.sell("SONY", 1_000),
            now.broker.buy("IBM", 100),
        ],
        1: lambda now: (now.broker.buying_power, now.broker.get_account_value()),
    }
    done = go(steps, feed, broker=MARGIN | {"conversion": "never"}, fx=fx)
    # EUR -50,000 + 50,000; JPY +1,000,000 - 1,000,000: equity stays; gross 60,000 + 6,250 + 5,000.
    assert done[1] == (200_000.0 - 71_250.0, 100_000.0)
    row = done.results.portfolio_history.row(1, named=True)
    assert (row["long_value"], row["short_value"]) == (65_000.0, -6_250.0)
    assert (row["gross_exposure"], row["net_exposure"]) == (71_250.0, 58_750.0)
    assert row["cash"] == 95_000.0 - 60_000.0 + 6_250.0
    assert row["leverage"] == pytest.approx(0.7125)


def test_a_short_account_in_two_currencies_falls_as_the_foreign_one_rises(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 5, IBM=[100.0] * 5)
    steps = {0: lambda now: [now.broker.sell("SAP", 500), now.broker.buy("IBM", 500)]}
    kept = go(steps, feed, broker=MARGIN, fx=rates(EURUSD=[1.1, 1.5, 1.5]))
    sold = go(steps, feed, broker=MARGIN | {"conversion": "always"}, fx=rates(EURUSD=[1.1, 1.5, 1.5]))
    # The proceeds in EUR hedge the position; sold, it loses 0.40 a EUR.
    assert equity(kept.results) == [100_000.0] * 5
    assert equity(sold.results) == [100_000.0, 80_000.0, 80_000.0, 80_000.0, 80_000.0]


CASH: dict[str, Any] = {"initial_cash": 11_000}


@pytest.mark.parametrize(
    ("broker", "quantity", "accepted"),
    [
        (CASH, 100, True),
        (CASH, 101, False),
        (CASH | {"initial_balances": {"EUR": 100}}, 101, True),
        (CASH | {"initial_balances": {"EUR": 100}}, 102, False),
        (CASH | {"conversion": "never"}, 1, False),
        (CASH | {"conversion": "never", "initial_balances": {"EUR": 5_000}}, 50, True),
        (CASH | {"conversion": "never", "initial_balances": {"EUR": 5_000}}, 51, False),
        # All of it from the currency itself, whatever the base currency lacks.
        ({"initial_cash": 0.01, "initial_balances": {"EUR": 5_000}}, 50, True),
        ({"initial_cash": 0.01, "initial_balances": {"EUR": 5_000}}, 51, False),
        (CASH | {"conversion": "always", "initial_balances": {"EUR": 100}}, 101, True),
    ],
)
def test_a_cash_account_may_spend_a_currency_and_what_the_base_currency_buys_of_it(
    go: Play, broker: dict[str, Any], quantity: int, *, accepted: bool
) -> None:
    done = go({0: buy("SAP", quantity)}, broker=broker)
    if accepted:
        assert events(done.results) == [(1, "accepted", ""), (1, "filled", "")]
    else:
        assert events(done.results) == [(1, "rejected", "INSUFFICIENT_BUYING_POWER")]


def test_reservations_of_all_currencies_share_the_base_currency(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 3, BP=[100.0] * 3, IBM=[100.0] * 3)
    fx = rates(EURUSD=[1.1], GBPUSD=[1.3])

    def step(now: Made) -> list[float]:
        power = [now.broker.buying_power]
        for symbol, quantity in (("SAP", 20), ("BP", 30), ("IBM", 40)):
            now.broker.buy(symbol, quantity, limit_price=100)
            power.append(now.broker.buying_power)
        return power

    broker = {"initial_cash": 10_000, "initial_balances": {"EUR": 500, "GBP": 100}}
    done = go({0: step, 1: lambda now: now.broker.buying_power}, feed, broker=broker, fx=fx)
    # 10,000 + 500 x 1.10 + 100 x 1.30; SAP needs 1,500 EUR more, BP 2,900 GBP more, IBM 4,000 USD.
    assert done[0][0] == 10_680.0
    assert [status for _, status, _ in events(done.results)] == ["accepted"] * 3 + ["filled"] * 3
    assert balance(done.results, "USD")[-1] == 10_000.0 - 1_650.0 - 3_770.0 - 4_000.0


def test_a_resting_order_sets_its_currency_aside(go: Play) -> None:
    broker = {"initial_cash": 11_000, "initial_balances": {"EUR": 1_000}}
    steps = {
        0: buy("SAP", 20, limit_price=90),
        1: lambda now: now.broker.buying_power,
        2: lambda now: [now.broker.buy("SAP", 92, limit_price=100), now.broker.buy("SAP", 93)],
    }
    done = go(steps, broker=broker, fx=rates(EURUSD=[1.1]))
    # 1,800 EUR set aside, 800 of them to be bought for 880.
    assert done[1] == 10_120.0
    assert [event[1] for event in events(done.results) if event[0] > 1] == ["accepted", "rejected", "filled"]


def test_without_conversion_the_power_of_all_currencies_is_one_number(go: Play) -> None:
    broker = {"initial_cash": 1_000, "conversion": "never", "initial_balances": {"EUR": 1_000}}
    steps = {0: buy("SAP", 5, limit_price=90), 1: lambda now: now.broker.buying_power}
    assert go(steps, broker=broker, fx=rates(EURUSD=[1.1]))[1] == 1_000.0 + 550.0 * 1.1


def test_a_cash_account_pays_spread_and_minimum_before_it_fills(go: Play) -> None:
    model = {"type": "FxSpread", "spread": 0.01, "minimum": 2.0}
    for cash, last in ((11_057, "filled"), (11_056.99, "rejected")):
        done = go({0: buy("SAP", 100)}, broker={"initial_cash": cash, "fx_model": model})
        assert events(done.results)[-1][1] == last


def test_a_commission_in_foreign_currency_is_bought_with_the_rest(go: Play) -> None:
    broker = {"commission_model": {"type": "PerOrder", "fee": 5}}
    done = go({0: buy("SAP", 10), 2: sell("SAP", 10)}, broker=broker)
    assert postings(done.results) == [
        ("trade", "inventory", "cash", "SAP", "EUR", 1_000.0),
        ("fee", "fees", "cash", "SAP", "EUR", 5.0),
        ("conversion", "cash", "exchange", "SAP", "EUR", 1_005.0),
        ("conversion", "exchange", "cash", "SAP", "USD", 1_105.5),
        ("trade", "cash", "inventory", "SAP", "EUR", 1_000.0),
        ("fee", "fees", "cash", "SAP", "EUR", 5.0),
    ]
    row = done.results.portfolio_history.row(-1, named=True)
    assert (row["fees"], row["cash"]) == (12.5, 100_000.0 - 1_105.5 + 995.0 * 1.25)


@pytest.mark.parametrize(("cash", "last"), [(1_105.5, "filled"), (1_105.49, "rejected")])
def test_a_commission_counts_where_a_fill_is_paid(go: Play, cash: float, last: str) -> None:
    broker = {"commission_model": {"type": "PerOrder", "fee": 5}, "initial_cash": cash}
    assert events(go({0: buy("SAP", 10)}, broker=broker).results)[-1][1] == last


SPARSE = {"initial_cash": 11_050, "fx_model": {"type": "FxSpread", "spread": 0.01, "minimum": 2.0}}


@pytest.mark.parametrize(
    ("own", "quantity"),
    [
        # (83 x 120 - 50) x 1.1055 + 2 = 11,002.  84 need 11,090.
        ({"initial_balances": {"EUR": 50}}, 83.0),
        ({"initial_balances": {"EUR": 50}, "conversion": "always"}, 83.0),
        ({"initial_balances": {"EUR": 10_050}, "conversion": "never"}, 83.0),
        ({"initial_balances": {"EUR": 10_001}, "conversion": "never"}, 83.0),
        ({}, 83.0),
    ],
)
def test_partial_fills_what_can_be_paid_with_its_conversion(
    go: Play, market: Made, own: dict[str, Any], quantity: float
) -> None:
    broker = SPARSE | own | {"policies": {"insufficient_cash": "partial"}}
    feed = market(SAP=[100.0, 120.0, 120.0])
    done = go({0: buy("SAP", 100)}, feed, broker=broker)
    assert filled(done.results) == [("SAP", "buy", quantity)]
    assert events(done.results)[-1] == (1, "canceled", "INSUFFICIENT_CASH")
    assert min(balance(done.results, "USD")) >= 0.0
    assert min(balance(done.results, "EUR")) >= 0.0


def test_wait_fills_once_prices_and_rates_allow_it(go: Play, market: Made) -> None:
    broker = {"initial_cash": 11_050, "policies": {"insufficient_cash": "wait"}}
    feed = market(SAP=[100.0, 120.0, 120.0, 95.0, 95.0])
    # 12,000 x 1.10, 12,000 x 1.30, 9,500 x 1.20 are too much; 9,500 x 1.15 is not.
    done = go({0: buy("SAP", 100)}, feed, broker=broker, fx=rates(EURUSD=[1.1, 1.3, 1.2, 1.15]))
    assert done.results.fills.select("ts_event", "price", "fx_rate").rows() == [(at(4), 95.0, 1.15)]


def test_wait_fills_at_once_where_a_conversion_has_brought_the_currency(go: Play, market: Made) -> None:
    broker = {
        "initial_cash": 11_050,
        "conversion": "never",
        "initial_balances": {"EUR": 10_000},
        "policies": {"insufficient_cash": "wait"},
    }
    feed = market(SAP=[100.0, 120.0, 120.0, 120.0])
    done = go({0: buy("SAP", 100), 1: convert("EUR", 2_000)}, feed, broker=broker, fx=rates(EURUSD=[1.1] * 4))
    assert done.results.fills["ts_event"].to_list() == [at(3)]


def test_unlimited_accounts_are_refused_nothing(go: Play) -> None:
    broker = {"buying_power": "unlimited", "initial_cash": 100}
    done = go(
        {0: lambda now: [now.broker.buy("SAP", 1_000), now.broker.convert("EUR", 10**6)]}, broker=broker
    )
    assert filled(done.results) == [("SAP", "buy", 1_000.0)]
    assert [row[-1] for row in conversions(done.results)] == ["executed"] * 2
    assert balance(done.results, "USD")[-1] == 100.0 - 110_000.0 - 1_200_000.0


# -- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "quantity"),
    [
        (lambda now: now.broker.order_target_percent("SAP", 0.5), 454.0),  # 50,000 / 110
        (lambda now: now.broker.order_target_value("SAP", 11_000), 100.0),
        (lambda now: now.broker.order_target_value("SAP", 10_999.99), 99.0),
        (lambda now: now.broker.order_target_value("SAP", -11_109.99), -100.0),
        (lambda now: now.broker.order_target_percent("SAP", -0.3), -272.0),
        (lambda now: now.broker.order_target_weights({"SAP": 0.11}), 100.0),
        (lambda now: now.broker.order_target_quantity("SAP", 7), 7.0),
    ],
)
def test_values_and_fractions_are_of_the_base_currency(go: Play, step: Made, quantity: float) -> None:
    done = go({0: step}, broker=MARGIN)
    assert filled(done.results) == [("SAP", "buy" if quantity > 0 else "sell", abs(quantity))]


def test_a_target_counts_what_is_held_at_the_rate_of_now(go: Play) -> None:
    steps = {
        0: lambda now: now.broker.order_target_value("SAP", 11_000),
        1: lambda now: now.broker.order_target_value("SAP", 11_000),
        3: lambda now: now.broker.order_target_value("SAP", 11_000),
    }
    # 100 at 1.10, 91 at 1.20, 88 at 1.25.
    assert filled(go(steps).results) == [("SAP", "buy", 100.0), ("SAP", "sell", 9.0), ("SAP", "sell", 3.0)]


def test_weights_of_three_currencies_are_fractions_of_one_equity(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 4, SONY=[1_000.0] * 4, IBM=[10.0] * 4)
    fx = rates(EURUSD=[1.25], USDJPY=[125.0])
    weights = {"SAP": 0.25, "SONY": 0.25, "IBM": 0.25}
    steps = {
        0: lambda now: now.broker.order_target_weights(weights),
        2: lambda now: now.broker.order_target_weights({"IBM": 0.5}),
    }
    done = go(steps, feed, fx=fx)
    assert filled(done.results) == [
        ("IBM", "buy", 2_500.0),
        ("SAP", "buy", 200.0),
        ("SONY", "buy", 3_125.0),
        ("SAP", "sell", 200.0),
        ("SONY", "sell", 3_125.0),
        ("IBM", "buy", 2_500.0),
    ]


def test_a_multiplier_is_part_of_the_value_of_a_lot(go: Play, daily: Made) -> None:
    instruments = [Instrument("FDAX", currency="EUR", multiplier=Decimal(25), calendar="24/7")]
    feed = daily({"FDAX": [100.0] * 3}, instruments=instruments)
    done = go({0: lambda now: now.broker.order_target_value("FDAX", 10_000)}, feed)
    # 100 x 25 x 1.10 = 2,750 each.
    assert filled(done.results) == [("FDAX", "buy", 3.0)]
    assert conversions(done.results)[0][1:3] == (7_500.0, 8_250.0)


# -- conversions that are asked for ------------------------------------------------------------------------


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


# -- models of conversions ---------------------------------------------------------------------------------


@attrs.frozen
class Asked:
    """Answers what it was made with, or that of a function, and keeps the questions."""

    answer: Any
    pages: list[Any] = attrs.field(factory=list, eq=False)

    def evaluate(self, ctx: FxArgs) -> Any:  # noqa: ANN401
        self.pages.append(ctx)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(ctx) if callable(self.answer) else self.answer


def ns(when: dt.datetime) -> int:
    return round(when.timestamp()) * 10**9


def test_a_model_is_asked_about_each_conversion(go: Play, market: Made) -> None:
    model = Asked(lambda ctx: FxOut(ctx.rate))
    feed = market(SAP=[100.0] * 5, BP=[10.0] * 5)
    steps = {
        0: lambda now: [now.broker.buy("SAP", 10), now.broker.buy("BP", 3)],
        1: convert("GBP", "-0.5"),
        2: sell("SAP", 10),
    }
    broker = {"conversion": "always", "initial_balances": {"GBP": 10}}
    go(steps, feed, broker=broker, fx=rates(EURUSD=EURUSD, USDGBP=[0.8]), models={"fx": model})
    first = [page for page in model.pages if page.ts_ns == ns(at(1))]
    # A fill may be asked about before it is made, and always when it is.
    assert FxArgs(ts_ns=ns(at(1)), amount=1_000.0, rate=1.1, asset=1, side=1) in first
    assert FxArgs(ts_ns=ns(at(1)), amount=20.0, rate=1.25, asset=2, side=1) in first
    assert model.pages[-1] == FxArgs(ts_ns=ns(at(3)), amount=-1_000.0, rate=1.3, asset=1, side=-1)


def test_a_better_rate_and_a_rebate_are_costs_below_zero(go: Play) -> None:
    done = go({0: buy("SAP", 100)}, models={"fx": Asked(FxOut(1.09, -1.0))})
    assert conversions(done.results)[0][1:4] == (10_000.0, 11_000.0, -101.0)
    assert postings(done.results)[-1] == ("conversion_cost", "cash", "fx_costs", "SAP", "USD", 101.0)
    assert closes(done.results, "portfolio_history", "fx_costs")[-1] == (-101.0,)


def test_a_fee_alone_is_a_cost(go: Play) -> None:
    done = go({0: convert("EUR", 10)}, models={"fx": Asked(lambda ctx: FxOut(ctx.rate, 2.5))})
    assert conversions(done.results)[0][1:4] == (10.0, 12.0, 2.5)


@pytest.mark.parametrize(
    "answer",
    [
        FxOut(float("nan")),
        FxOut(float("inf")),
        FxOut(0.0),
        FxOut(-1.1),
        FxOut(1.1, float("nan")),
        FxOut(1.1, float("inf")),
        5.0,
        ValueError("no line"),
    ],
    ids=str,
)
def test_an_answer_that_none_can_be_stops_the_run(go: Play, answer: object) -> None:
    with pytest.raises(Ml4tError):
        go({0: convert("EUR", 10)}, models={"fx": Asked(answer)})
    if not isinstance(answer, Exception):
        with pytest.raises(ModelError):
            go({0: buy("SAP", 10)}, models={"fx": Asked(answer)})


def test_a_model_given_as_an_object_is_that_of_the_configuration(go: Play) -> None:
    steps = {0: buy("SAP", 100), 2: sell("SAP", 30), 3: convert("EUR", -50)}
    table = {"type": "FxSpread", "spread": 0.002, "commission": 0.0001, "minimum": 1.0}
    broker = {"conversion": "always"}
    model = FxSpread(0.002, commission=0.0001, minimum=1.0)
    same(
        go(steps, broker=broker | {"fx_model": table}).results,
        go(steps, broker=broker, models={"fx": model}).results,
    )


# -- carry -------------------------------------------------------------------------------------------------


def test_each_currency_has_its_own_interest(go: Play) -> None:
    broker = {
        "initial_balances": {"EUR": 36_000},
        "interest_model": {"type": "CashInterest", "credit": 0.036},
        "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.072}},
    }
    done = go({}, broker=broker)
    assert postings(done.results, of="interest")[:4] == [
        ("interest", "cash", "interest", None, "USD", 10.0),
        ("interest", "cash", "interest", None, "EUR", 7.2),
        ("interest", "cash", "interest", None, "USD", 10.001),
        ("interest", "cash", "interest", None, "EUR", 7.20144),
    ]
    assert closes(done.results, "attribution", "interest")[1] == (18.64,)


def test_a_currency_without_a_model_earns_nothing(go: Play) -> None:
    broker = {
        "initial_balances": {"EUR": 36_000},
        "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.072}},
    }
    assert {row[4] for row in postings(go({}, broker=broker).results, of="interest")} == {"EUR"}
    del broker["interest_models"]
    broker["interest_model"] = {"type": "CashInterest", "credit": 0.036}
    assert {row[4] for row in postings(go({}, broker=broker).results, of="interest")} == {"USD"}


def test_debt_of_a_currency_that_is_not_converted_costs_that_currency(go: Play) -> None:
    broker = MARGIN | {
        "conversion": "never",
        "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.0, "debit": 0.072}},
    }
    done = go({0: buy("SAP", 180)}, broker=broker)
    assert postings(done.results, of="interest")[0] == ("interest", "interest", "cash", None, "EUR", 3.6)


def test_interest_is_an_event_of_its_currency(go: Play) -> None:
    broker = {
        "conversion": "always",
        "initial_balances": {"EUR": 36_000},
        "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.072}},
    }
    done = go({}, broker=broker)
    assert conversions(done.results) == [("EUR", -36_007.2, 43_208.64, 0.0, None, "automatic", "executed")]


@pytest.mark.parametrize(
    ("models", "path"),
    [
        ({"USD": {"type": "CashInterest"}}, r"interest_models\.USD"),
        ({"EUR": {"type": "CashInterst"}}, r"interest_models\.EUR\.type: .*did you mean 'CashInterest'"),
        (
            {"EUR": {"type": "CashInterest", "credt": 0.1}},
            r"interest_models\.EUR\.credt: .*did you mean 'credit'",
        ),
        ({"EUR": 5}, r"interest_models\.EUR"),
        ({"EUR": {"type": "CashInterest", "day_count": 0}}, r"interest_models\.EUR\.day_count"),
    ],
)
def test_a_wrong_model_of_interest_is_located(go: Play, models: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        go({}, broker={"interest_models": models})


def test_borrowed_shares_cost_their_currency(go: Play) -> None:
    broker = {"allows_short": True, "borrow_model": {"type": "BorrowFee", "rate": 0.36}}
    done = go({0: sell("SAP", 100)}, broker=broker)
    assert postings(done.results, of="borrow") == [("borrow", "borrow", "cash", "SAP", "EUR", 10.0)] * 4
    assert conversions(done.results) == []
    always = go({0: sell("SAP", 100)}, broker=broker | {"conversion": "always", "fx_model": SPREAD})
    assert conversions(always.results)[1:3] == [
        ("EUR", 10.0, 13.0, 0.065, "SAP", "automatic", "executed"),
        ("EUR", 10.0, 12.5, 0.0625, "SAP", "automatic", "executed"),
    ]
    row = always.results.attribution.filter(pl.col("symbol") == "SAP").row(1, named=True)
    assert (row["borrow"], row["fx_costs"]) == (Decimal(-13), Decimal("-0.065"))


FUNDED = pl.DataFrame(
    {
        "symbol": ["SAP"] * 3,
        "ts_event": [at(1.3), at(2.3), at(3.3)],
        "funding_rate": [0.01, -0.01, 0.02],
    }
)


def test_funding_is_paid_in_the_currency_of_the_instrument(go: Play) -> None:
    broker = {"funding_model": {"type": "PerpetualFunding"}, "fx_model": SPREAD}
    done = go({0: buy("SAP", 10)}, broker=broker, funding=FUNDED)
    assert postings(done.results, of="funding") == [
        ("funding", "funding", "cash", "SAP", "EUR", 10.0),
        ("funding", "cash", "funding", "SAP", "EUR", 10.0),
        ("funding", "funding", "cash", "SAP", "EUR", 20.0),
    ]
    assert [row[1:5] for row in conversions(done.results)] == [
        (1_000.0, 1_100.0, 5.5, "SAP"),
        (10.0, 11.0, 0.055, "SAP"),
        (10.0, 13.0, 0.065, "SAP"),
    ]
    carry = [row["funding"] for row in done.results.attribution.rows(named=True) if row["symbol"] == "SAP"]
    assert carry == [Decimal(each) for each in ("-12", "13", "-25", "0", "0")][: len(carry)]


def test_all_models_of_carry_may_be_objects(go: Play) -> None:
    models = {
        "borrow": BorrowFee(0.36),
        "funding": PerpetualFunding(),
        "interest": CashInterest(credit=0.036),
    }
    tables = {
        "borrow_model": {"type": "BorrowFee", "rate": 0.36},
        "funding_model": {"type": "PerpetualFunding"},
        "interest_model": {"type": "CashInterest", "credit": 0.036},
    }
    broker = {"allows_short": True, "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.01}}}
    steps = {0: sell("SAP", 100), 3: buy("SAP", 50)}
    given = go(steps, broker=broker, models=models, funding=FUNDED)
    same(given.results, go(steps, broker=broker | tables, funding=FUNDED).results)
    assert {"borrow", "funding", "interest"} < set(given.results.ledger["kind"])


# -- corporate actions -------------------------------------------------------------------------------------


def action(kind: str, day: int, **columns: str) -> pl.DataFrame:
    row = {"ratio": None, "amount": None, "pay_date": None} | columns
    ex_date = (FIRST + dt.timedelta(days=day)).date()
    schema = ["symbol", "ex_date", "kind", *row]
    return pl.DataFrame([("SAP", ex_date, kind, *row.values())], schema=schema, orient="row")


def test_a_dividend_is_due_and_paid_in_its_currency(go: Play) -> None:
    paid = action("cash_dividend", 3, amount="2", pay_date="2024-01-06")
    done = go({0: buy("SAP", 100)}, actions=paid, broker={"conversion": "always"})
    assert postings(done.results)[3:] == [
        ("dividend", "receivable", "dividends", "SAP", "EUR", 200.0),
        ("dividend_payment", "cash", "receivable", "SAP", "EUR", 200.0),
        ("conversion", "exchange", "cash", "SAP", "EUR", 200.0),
        ("conversion", "cash", "exchange", "SAP", "USD", 250.0),
    ]
    assert balance(done.results, "EUR", "receivable") == [0.0, 0.0, 200.0, 200.0, 0.0, 0.0]
    row = done.results.portfolio_history.row(3, named=True)
    assert (row["receivable"], row["dividends"]) == (250.0, 250.0)


def test_a_dividend_that_is_due_moves_with_the_rate(go: Play) -> None:
    paid = action("cash_dividend", 2, amount="2", pay_date="2024-01-06")
    done = go({0: buy("SAP", 100)}, actions=paid, fx=rates(EURUSD=[1.0, 1.0, 1.0, 1.5, 1.5, 2.0]))
    values = [row[0] for row in closes(done.results, "portfolio_history", "receivable")]
    assert values == [0.0, 200.0, 200.0, 300.0, 0.0, 0.0]
    account_rows = done.results.attribution.filter(pl.col("symbol").is_null())
    assert account_rows["fx"].cast(pl.Float64).to_list()[1:] == [100.0, 100.0]


def test_a_short_position_buys_what_a_dividend_takes(go: Play) -> None:
    broker = {"allows_short": True, "conversion": "always", "fx_model": SPREAD}
    for pay, rate in ((None, 1.3), ("2024-01-05", 1.25)):
        options = {"amount": "2"} | ({} if pay is None else {"pay_date": pay})
        done = go({0: sell("SAP", 100)}, actions=action("cash_dividend", 3, **options), broker=broker)
        last = conversions(done.results)[-1]
        assert last == ("EUR", 200.0, 200.0 * rate, rate, "SAP", "automatic", "executed")


def test_cash_in_lieu_of_a_split_is_of_the_currency(go: Play, market: Made) -> None:
    feed = market(SAP=[99.0, 99.0, 99.0, 66.0, 66.0])
    done = go(
        {0: buy("SAP", 101)},
        feed,
        actions=action("split", 3, ratio="3/2"),
        broker={"conversion": "always", "initial_balances": {"EUR": 9_999}},
    )
    # 151.5 shares: half a share at 66.
    assert postings(done.results, of="cash_in_lieu") == [
        ("cash_in_lieu", "cash", "inventory", "SAP", "EUR", 33.0)
    ]
    assert conversions(done.results)[-1] == ("EUR", -33.0, 42.9, 0.0, "SAP", "automatic", "executed")


@pytest.mark.parametrize(
    ("kind", "amount", "brought"), [("delisting", "1.5", 150.0), ("cash_merger", "120", 12_000.0)]
)
def test_what_a_delisting_pays_is_an_event_of_the_currency(
    go: Play, market: Made, kind: str, amount: str, brought: float
) -> None:
    feed = market(SAP=[100.0] * 3, IBM=[1.0] * 6)
    done = go(
        {0: buy("SAP", 100)}, feed, actions=action(kind, 3, amount=amount), broker={"conversion": "always"}
    )
    assert conversions(done.results)[-1] == (
        "EUR",
        -brought,
        brought * 1.3,
        0.0,
        "SAP",
        "automatic",
        "executed",
    )
    trip = done.results.round_trips.row(0, named=True)
    assert (trip["gross_pnl"], trip["currency"], trip["fx_rate"]) == (brought - 10_000.0, "EUR", 1.3)
    kept = go({0: buy("SAP", 100)}, feed, actions=action(kind, 3, amount=amount))
    assert balance(kept.results, "EUR")[-1] == brought


# -- tables and statistics ---------------------------------------------------------------------------------


def test_fills_and_round_trips_say_their_currency_and_rate(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0], IBM=[10.0, 10.0, 11.0, 11.0])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 10), now.broker.buy("IBM", 10)],
        2: lambda now: [now.broker.sell("SAP", 10), now.broker.sell("IBM", 10)],
    }
    results = go(steps, feed).results
    assert sorted(results.fills.select("symbol", "currency", "fx_rate").rows()) == [
        ("IBM", "USD", 1.0),
        ("IBM", "USD", 1.0),
        ("SAP", "EUR", 1.1),
        ("SAP", "EUR", 1.3),
    ]
    trips = results.round_trips.select("symbol", "net_pnl", "currency", "fx_rate").rows()
    assert sorted(trips) == [("IBM", 10.0, "USD", 1.0), ("SAP", 100.0, "EUR", 1.3)]


def test_statistics_are_in_the_base_currency(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0], IBM=[10.0, 10.0, 11.0, 11.0])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 10), now.broker.buy("IBM", 10)],
        2: lambda now: [now.broker.sell("SAP", 10), now.broker.sell("IBM", 10)],
    }
    broker = {
        "commission_model": {"type": "PerOrder", "fee": 5},
        "slippage_model": {"type": "FixedFraction", "fraction": 0.01},
    }
    results = go(steps, feed, broker=broker).results
    trips = results.round_trips.sort("symbol")
    statistics = {name: each["all"] for name, each in results.trade_statistics.items()}
    expected = trips["net_pnl"][0] + trips["net_pnl"][1] * 1.3
    assert statistics["net_pnl"] == pytest.approx(expected)
    assert statistics["fees"] == pytest.approx(10.0 + 10.0 * 1.3)
    assert statistics["slippage_cost"] == pytest.approx(
        trips["slippage_cost"][0] + trips["slippage_cost"][1] * 1.3
    )
    # Metrics go by the rate of each fill.
    assert results.metrics["fees"] == pytest.approx(10.0 + 5.0 * 1.1 + 5.0 * 1.3)
    assert results.metrics["slippage_cost"] == pytest.approx(1.0 + 1.1 + 10.0 * 1.1 + 11.0 * 1.3)
    assert trade_statistics(results.round_trips.with_columns(fx_rate=1.0))["fees"]["all"] == 20.0


def test_positions_stay_in_the_currency_of_the_instrument(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0])
    done = go({0: buy("SAP", 100), 2: lambda now: now.broker.get_position("SAP")}, feed)
    assert (done[2].mark_price, done[2].market_value, done[2].unrealized_pnl) == (110.0, 11_000.0, 1_000.0)
    assert closes(done.results, "positions", "market_value", "unrealized_pnl")[-1] == (11_000.0, 1_000.0)
    row = done.results.portfolio_history.row(2, named=True)
    assert (row["long_value"], row["unrealized_pnl"]) == (14_300.0, 1_300.0)


def test_the_base_currency_is_a_setting(go: Play, market: Made) -> None:
    feed = market(IBM=[100.0] * 4)
    done = go({0: buy("IBM", 110)}, feed, backtest={"base_currency": "EUR"})
    assert conversions(done.results)[0][:3] == ("USD", 11_000.0, 10_000.0)
    assert done.results.currency == "EUR"
    assert equity(done.results)[1] == pytest.approx(90_000.0 + 11_000.0 / 1.2)


def test_capital_is_what_all_opening_balances_are_worth(go: Play) -> None:
    results = go({}, broker={"initial_balances": {"EUR": 10_000}}).results
    assert results.initial_capital == 111_000.0
    assert results.metrics["total_return"] == pytest.approx(112_500.0 / 111_000.0 - 1.0)


def test_what_was_recorded_until_a_rate_was_missing_is_kept(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 5, BP=[10.0] * 5)
    fx = rates(EURUSD=EURUSD, GBPUSD=[None, None, None, 1.3])
    with pytest.raises(DataError, match="GBPUSD") as refused:
        go({0: buy("SAP", 100), 1: buy("BP", 1)}, feed, fx=fx)
    partial = getattr(refused.value, "partial_results", None)
    assert partial is not None
    assert [row[4] for row in conversions(partial)] == ["SAP"]
    assert equity(partial) == [100_000.0, 101_000.0]


def test_a_result_that_is_saved_and_loaded_keeps_its_tables(go: Play, tmp_path: Path) -> None:
    steps = {0: buy("SAP", 100), 1: convert("EUR", 10), 2: sell("SAP", 100), 5: convert("EUR", -1)}
    results = go(steps, broker={"fx_model": SPREAD}).results
    assert all(results.table(name).height for name in ("balances", "conversions"))
    results.save(tmp_path / "run")
    same(results, Results.load(tmp_path / "run"))


def test_totals_of_attribution_are_changes_of_equity(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 101.0, 99.0, 103.0], SONY=[1_000.0, 1_010.0, 990.0, 1_001.0])
    fx = rates(EURUSD=[1.1, 1.2, 1.15, 1.17], USDJPY=[150.0, 151.3, 149.7, 152.1])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 100), now.broker.buy("SONY", 900)],
        2: lambda now: [now.broker.sell("SAP", 33), now.broker.convert("JPY", "12345.678")],
    }
    results = go(steps, feed, fx=fx, broker={"fx_model": SPREAD, "conversion": "always"}).results
    totals = results.attribution.group_by("session", maintain_order=True).agg(pl.col("total").sum())
    worth = results.table("balances").filter(pl.col("session").is_not_null())
    worth = worth.group_by("session", maintain_order=True).agg(pl.col("value").sum())
    changes = [b - a for a, b in itertools.pairwise([Decimal(0), *worth["value"]])]
    by_session = dict(totals.rows())
    assert [by_session.get(session, Decimal(0)) for session in worth["session"]] == changes


# -- the same run otherwise --------------------------------------------------------------------------------


class Busy(Strategy):
    """Trades SAP, SONY and IBM by rules that read the account, and converts now and then."""

    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.calls += 1
        weight = 0.2 + 0.1 * (self.calls % 3)
        broker.order_target_percent("SAP", weight)
        broker.order_target_percent("SONY", 0.5 - weight)
        if self.calls % 4 == 0:
            broker.convert("EUR", round(broker.get_cash("EUR") / 2, 2) or 10)
        if self.calls % 5 == 0:
            broker.order_target_value("IBM", broker.get_account_value() * 0.1)


PRICES = {
    "SAP": [100.0, 101.5, 99.25, 103.0, 104.0, 98.5, 99.0, 107.0, 108.0, 109.5],
    "SONY": [1_000.0, 1_010.0, 990.0, 1_001.0, 1_020.0, 1_015.0, 1_033.0, 1_040.0, 1_011.0, 1_000.0],
    "IBM": [50.0, 51.0, 52.0, 51.5, 50.5, 50.0, 49.0, 48.0, 48.5, 49.5],
}
MOVES = rates(
    EURUSD=[1.1, 1.2, 1.15, 1.17, 1.19, 1.13, 1.12, 1.1, 1.18, 1.21],
    USDJPY=[150.0, 151.3, 149.7, 152.1, 150.9, 148.8, 147.1, 147.9, 149.0, 150.3],
)
BUSY = {
    "fx_model": {"type": "FxSpread", "spread": 0.001, "minimum": 0.5},
    "conversion": "always",
    "commission_model": {"type": "PerShare", "fee": 0.01},
    "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.03, "debit": 0.05}},
}


def test_two_runs_are_the_same_bytes(run_of: Made, market: Made) -> None:
    def bits() -> list[bytes]:
        results = run_of(Busy(), market(**PRICES), broker=BUSY, fx=MOVES)
        assert results.table("conversions").height > 20
        found = []
        for name in TABLES:
            buffer = io.BytesIO()
            results.table(name).write_ipc(buffer)
            found.append(buffer.getvalue())
        return found

    assert bits() == bits()


def test_the_sequence_of_rows_of_rates_and_of_instruments_is_of_no_matter(run_of: Made, market: Made) -> None:
    plain = run_of(Busy(), market(**PRICES), broker=BUSY, fx=MOVES)
    for other in (MOVES.reverse(), MOVES.sample(fraction=1.0, shuffle=True, seed=3)):
        same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=other))
    turned = market(**dict(reversed(PRICES.items())))
    same(plain, run_of(Busy(), turned, broker=BUSY, fx=MOVES))
    parts = [MOVES.filter(pl.col("pair") == pair) for pair in ("USDJPY", "EURUSD")]
    same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=parts))
    same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=read_fx_rates(MOVES)))


@pytest.mark.parametrize("conversion", POLICIES)
def test_compiled_and_python_models_give_the_same_tables(run_of: Made, market: Made, conversion: str) -> None:
    broker = BUSY | {"conversion": conversion, "leverage": 2}
    runs = [
        run_of(Busy(), market(**PRICES), broker=broker, fx=MOVES, backtest={"native": native})
        for native in ("prefer", "never")
    ]
    same(*runs)
    assert runs[0].fills.height > 10


def weights() -> pl.DataFrame:
    rows = [
        {"session": (FIRST + dt.timedelta(days=n)).date(), "symbol": symbol, "weight": weight}
        for n in range(8)
        for symbol, weight in zip(
            PRICES, ((0.2, 0.3, 0.1), (0.4, 0.1, 0.3), (0.1, 0.1, 0.5))[n % 3], strict=True
        )
    ]
    return pl.DataFrame(rows)


def orders() -> pl.DataFrame:
    rows = [
        {
            "session": (FIRST + dt.timedelta(days=n)).date(),
            "symbol": symbol,
            "quantity": quantity * (1 if n % 3 else -1) * (n + 1),
            "order_type": "market" if n % 2 else "limit",
            "limit_price": None if n % 2 else PRICES[symbol][n],
        }
        for n in range(8)
        for symbol, quantity in (("SAP", 30), ("SONY", 200), ("IBM", 11))
    ]
    return pl.DataFrame(rows)


FRONT_ENDS: dict[str, Callable[[], Made]] = {
    "weights": lambda: TargetWeights(weights()),
    "orders": lambda: OrderList(orders()),
}


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("conversion", POLICIES)
def test_tables_that_trade_are_alike_natively_and_in_python(
    market: Made, conversion: str, front_end: str
) -> None:
    broker = BUSY | {"conversion": conversion, "leverage": 2, "allows_short": True}
    runs = [
        run(
            FRONT_ENDS[front_end](),
            market(**PRICES),
            config={"broker": broker, "backtest": {"native": native}},
            fx=MOVES,
        )
        for native in ("require", "never")
    ]
    same(*runs)
    assert runs[0].fills["currency"].n_unique() == 3
    assert runs[0].execution_paths["strategy"] != runs[1].execution_paths["strategy"]


class Sized(Strategy):
    """Sizes by equity and cash, as if all prices were of the base currency."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        equity, cash = broker.get_account_value(), broker.get_cash()
        for symbol in sorted(data):
            wanted = float(math.floor((0.125 * equity - 0.01 * cash) / data[symbol]["close"]))
            position = broker.get_position(symbol)
            if wanted != (0.0 if position is None else position.quantity):
                broker.order_target_quantity(symbol, wanted)


@pytest.mark.parametrize("conversion", POLICIES)
def test_a_kernel_trades_as_a_strategy_does(market: Made, conversion: str) -> None:
    native = pytest.importorskip("ml4t.native")
    pytest.importorskip("numba")
    target = int(native.Action.TARGET)

    @native.native_model(kind="strategy", columns=("close",))
    @attrs.frozen
    class Kernel:
        @staticmethod
        def kernel(  # noqa: PLR0913 - the arguments of a kernel
            params: Made,
            state: Made,
            ctx: Made,
            changed: Made,
            columns: Made,
            positions: Made,
            open_orders: Made,
            fills: Made,
            orders: Made,
        ) -> int:
            n = 0
            for i in changed:
                wanted = math.floor((0.125 * ctx.equity - 0.01 * ctx.cash) / columns[0, i])
                if wanted != positions[i]:
                    orders[n].action = target
                    orders[n].asset = i
                    orders[n].quantity = wanted
                    n += 1
            return n

    def result(strategy: Made, policy: str) -> Results:
        broker = BUSY | {"conversion": conversion, "leverage": 3}
        return run(
            strategy,
            market(**PRICES),
            config={"broker": broker, "backtest": {"native": policy}},
            fx=MOVES,
        )

    compiled = result(Kernel(), "require")
    for other in (result(Kernel(), "never"), result(Sized, "prefer")):
        same(compiled, other)
    assert compiled.execution_paths["strategy"] == "capsule"
    assert compiled.fills["currency"].n_unique() == 3


# -- files -------------------------------------------------------------------------------------------------

TOML = """
[backtest]
name = "two currencies"
base_currency = "USD"

[broker]
conversion = "always"
initial_balances = { EUR = 100 }
fx_model = { type = "FxSpread", spread = 0.01 }
interest_models = { EUR = { type = "CashInterest", credit = 0.036 } }

[[data_feeds]]
name = "daily"
path = "bars.csv"
stamp = "session"
calendar = "24/7"
currency = "EUR"
instrument_defaults = { calendar = "24/7" }

[[fx_rates]]
name = "eur"
path = "rates.csv"
columns = { pair = "ccy", ts_event = "when", rate = "mid" }

[[fx_rates]]
name = "jpy"
path = "more.parquet"

[[strategies]]
name = "once"
type = "strategy.py:Once"
"""
CODE = """
from ml4t.backtest import Strategy

class Once(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if broker.get_position("SAP") is None:
            broker.buy("SAP", 100)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    days = [(FIRST + dt.timedelta(days=n)).date() for n in range(4)]
    values = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 4)
    pl.DataFrame({"symbol": "SAP", "session": days, **values, "volume": 1e6}).write_csv(tmp_path / "bars.csv")
    renamed = rates(EURUSD=EURUSD).rename({"pair": "ccy", "ts_event": "when", "rate": "mid"})
    renamed.write_csv(tmp_path / "rates.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    rates(USDJPY=[150.0]).write_parquet(tmp_path / "more.parquet")
    (tmp_path / "run.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "strategy.py").write_text(CODE, encoding="utf-8")
    return tmp_path


def test_a_run_is_described_by_a_file(folder: Path) -> None:
    results = engine_of(load_config(folder / "run.toml")).run()
    assert conversions(results) == [
        ("EUR", 9_900.0, 10_890.0, 54.45, "SAP", "automatic", "executed"),
        # A day's interest on 100 EUR.
        ("EUR", -0.01, 0.012, 0.00006, None, "automatic", "executed"),
    ]
    assert results.table("balances")["currency"].unique(maintain_order=True).to_list() == ["USD", "EUR"]


def test_a_file_of_rates_that_is_absent_is_named(folder: Path) -> None:
    (folder / "more.parquet").unlink()
    with pytest.raises(DataError, match=r"fx rates: .*more\.parquet"):
        engine_of(load_config(folder / "run.toml")).run()


def test_a_file_without_rates_says_which_section_is_missing(folder: Path) -> None:
    text = TOML.split("[[fx_rates]]")[0] + TOML[TOML.index("[[strategies]]") :]
    (folder / "run.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nothing settles in 'USD', and there are no \[\[fx_rates\]\]"):
        engine_of(load_config(folder / "run.toml"))
