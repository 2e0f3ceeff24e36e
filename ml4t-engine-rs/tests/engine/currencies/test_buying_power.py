"""What an account in several currencies may spend, and what its fills can pay."""

from __future__ import annotations

from typing import Any

import pytest

from .helpers import (
    MARGIN,
    Made,
    Play,
    at,
    balance,
    buy,
    conversions,
    convert,
    equity,
    events,
    filled,
    postings,
    rates,
    sell,
)


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
