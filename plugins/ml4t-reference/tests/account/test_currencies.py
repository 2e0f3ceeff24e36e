"""Rates, and what an account in several currencies is worth, worked by hand."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest

import ml4t.reference
from ml4t.core.errors import ConfigError, DataError, UnknownNameError
from ml4t.reference.currencies import Currencies, exact_rate

from .purses import (
    Answers,
    PerDay,
    Step,
    both,
    buy,
    column,
    describe,
    model,
    money,
    nothing,
    play,
    postings,
    sell,
    when,
)

ONE = 10**18


def rates(*rows: tuple[int, str, float], currencies: tuple[str, ...] = ("EUR",)) -> Currencies:
    given = [{"ts": ts, "base": pair[:3], "quote": pair[4:], "rate": rate} for ts, pair, rate in rows]
    return Currencies.of({"base_currency": "USD", "currencies": ["USD", *currencies], "fx_rates": given})


# -- rates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0.1, Fraction(1, 10)),
        (150.25, Fraction(601, 4)),
        # 16 decimals become 15, halves go to the even one.
        (0.3333333333333333, Fraction(333333333333333, 10**15)),
        (0.0000000100000005, Fraction(10, 10**9) + Fraction(0, 10**15)),
        (0.0000000100000015, Fraction(10000002, 10**15)),
    ],
)
def test_a_rate_is_its_shortest_text_to_fifteen_decimals(value: float, exact: Fraction) -> None:
    assert exact_rate(value) == exact


@pytest.mark.parametrize(
    ("rows", "amount", "worth"),
    [
        # 5 x 1.10; 100 / 0.80; the pair itself goes before its reverse.
        ([(0, "EUR/USD", 1.10)], 5 * ONE, 5_500_000_000_000_000_000),
        ([(0, "USD/EUR", 0.80)], 100 * ONE, 125 * ONE),
        ([(0, "EUR/USD", 1.10), (0, "USD/EUR", 0.80)], 100 * ONE, 110 * ONE),
        ([(0, "USD/EUR", 150.0)], 100 * ONE, 666_666_666_666_666_667),
        # A straight way goes before one through CHF; of two third currencies CHF goes before GBP.
        ([(0, "EUR/CHF", 2.0), (0, "CHF/USD", 2.0), (0, "USD/EUR", 0.5)], ONE, 2 * ONE),
        (
            [(0, "EUR/GBP", 0.5), (0, "GBP/USD", 1.5), (0, "CHF/EUR", 0.5), (0, "USD/CHF", 0.8)],
            ONE,
            ONE * 5 // 2,
        ),
        ([(0, "EUR/GBP", 0.5), (0, "GBP/USD", 1.5), (0, "CHF/EUR", 0.5)], ONE, ONE * 3 // 4),
        # Three units: x 0.5 is 1.5, to even 2, x 0.75 is 1.5, to even 2. Rounded once it would be 1.
        ([(0, "EUR/GBP", 0.5), (0, "GBP/USD", 0.75)], 3, 2),
        ([(0, "EUR/GBP", 0.5), (0, "GBP/USD", 0.75)], -3, -2),
        # 0.5 and 1.5 units.
        ([(0, "EUR/USD", 0.5)], 1, 0),
        ([(0, "EUR/USD", 0.5)], 3, 2),
    ],
)
def test_an_amount_goes_one_way(rows: list[tuple[int, str, float]], amount: int, worth: int) -> None:
    assert rates(*rows).to_base(amount, "EUR", 0) == worth


def test_the_base_currency_is_worth_itself() -> None:
    assert rates((0, "EUR/USD", 1.1)).to_base(7, "USD", -1) == 7


def test_a_rate_is_in_force_from_its_time_until_the_next_of_its_pair() -> None:
    currencies = rates((10, "EUR/USD", 1.1), (20, "EUR/USD", 1.2), (15, "GBP/USD", 9.9))
    assert [currencies.rate("EUR", now) for now in (10, 19, 20, 99)] == [1.1, 1.1, 1.2, 1.2]


def test_before_the_first_row_only_nothing_can_be_converted() -> None:
    currencies = rates((10**9, "EUR/USD", 1.1))
    assert currencies.to_base(0, "EUR", 0) == 0
    words = "no rate of EUR/USD is in force at 1970-01-01T00:00:00Z; its first row is of 1970-01-01T00:00:01Z"
    with pytest.raises(DataError, match=words):
        currencies.to_base(1, "EUR", 0)


@pytest.mark.parametrize("rate", [0.9e-8, 1.1e8, 0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(
        DataError, match=r"rate .* of EUR/USD at 1970-01-01T00:00:00Z must be from 1e-8 to 1e8"
    ):
        rates((0, "EUR/USD", rate))


def test_rates_at_the_ends_of_the_range_are_taken() -> None:
    assert rates((0, "EUR/USD", 1e-8)).to_base(ONE, "EUR", 0) == 10**10
    assert rates((0, "EUR/USD", 1e8)).to_base(ONE, "EUR", 0) == 10**26


@pytest.mark.parametrize(
    ("rows", "given"),
    [([], "none"), ([(0, "GBP/USD", 1.3), (0, "EUR/JPY", 160.0)], "EUR/JPY, GBP/USD")],
)
def test_a_currency_without_a_way_to_the_base_is_refused(
    rows: list[tuple[int, str, float]], given: str
) -> None:
    with pytest.raises(ConfigError, match=f"from EUR to the base currency USD; the pairs given are {given}"):
        rates(*rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"currencies": ["USD"]}, "EUR is no currency of the run, USD, and EUR.A settles in it"),
        ({"currencies": ["EUR", "USD"]}, "the base currency USD must be the first currency"),
        ({"interest_models": {"CHF": model(PerDay(0.1))}}, "CHF is no currency .* it has an interest model"),
        ({"fx_rates": []}, "no rates lead from EUR to the base currency USD"),
    ],
)
def test_currencies_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    spec = describe({"EUR.A": [50.0]}, [(0, "EUR/USD", 1.1)]) | change
    with pytest.raises(ConfigError, match=words):
        ml4t.reference.Run(spec)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ({"initial_balances": {"USD": "5"}}, "begins with of USD is initial_cash"),
        ({"conversion": "sometimes"}, "covered are when_short, always, never"),
    ],
)
def test_accounts_that_make_no_sense_are_refused(account: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ml4t.reference.Run(describe({"EUR.A": [50.0]}, [(0, "EUR/USD", 1.1)], account=account))


def test_a_rate_that_is_not_in_force_yet_stops_the_run() -> None:
    spec = describe({"EUR.A": [50.0] * 4}, [(3, "EUR/USD", 1.1)])
    # Where nothing has to be valued none is missing.
    rates = column(play(spec), "balances", "fx_rate")
    assert [rate == rate for rate in rates[1::2]].index(True) == 3
    with pytest.raises(DataError, match="no rate of EUR/USD is in force at 2024-01-02T00:00:00Z"):
        play(spec, buy("EUR.A", 1))


# -- what it is worth ----------------------------------------------------------------------------------------


def test_a_gain_in_yen_is_worth_what_yen_are_worth_then() -> None:
    """10,000 units from 160.00 to 161.00 gain 10,000 JPY, at 150 JPY a dollar 66.666667 USD."""
    spec = describe(
        {"JPY.A": [160.0, 160.0, 161.0]}, [(0, "USD/JPY", 150.0)], account={"initial_cash": "100000"}
    )
    tables = play(spec, buy("JPY.A", 10_000))
    equity = column(tables, "portfolio_history", "equity")
    assert equity[-1] - equity[-2] == pytest.approx(66.666667, abs=5e-7)
    assert column(tables, "positions", "unrealized_pnl")[-1] == 10_000.0
    # 1,600,000 JPY cost 10,666.666667 at nine decimals.
    assert postings(tables, "conversion") == [
        ("conversion", "JPY", "cash", "exchange", money(1_600_000)),
        ("conversion", "USD", "exchange", "cash", money("10666.666666667")),
    ]
    last = tables["balances"][-1]
    assert (last["currency"], last["cash"], last["long_value"]) == ("JPY", 0, 1_610_000)
    assert last["fx_rate"] == 1 / 150
    assert last["value"] == money("10733.333333333333333333")
    # 10,733.33...3 less 10,666.66...7 is one unit less than the gain rounded by itself: fx of the account.
    *_, gain, left = [(row["symbol"], row["price"], row["fx"]) for row in tables["attribution"]]
    assert gain == ("JPY.A", money("66.666666666666666667"), 0)
    assert left == (None, 0, money("-1E-18"))


def test_a_position_is_revalued_at_the_rate_of_the_day() -> None:
    """1,600,000 JPY are worth 10,666.67 USD at 150 and 10,000 at 160: nothing stays at the rate of entry."""
    spec = describe(
        {"JPY.A": [160.0] * 3},
        [(0, "USD/JPY", 150.0), (3, "USD/JPY", 160.0)],
        account={"initial_cash": "20000"},
    )
    tables = play(spec, buy("JPY.A", 10_000))
    last = tables["portfolio_history"][-1]
    assert last["long_value"] == 10_000.0
    assert last["fx_pnl"] == pytest.approx(-666.666667)
    assert last["equity"] == pytest.approx(19_333.333333)
    row = tables["attribution"][-1]
    assert (row["price"], row["fx"]) == (0, money("-666.666666666666666667"))


def bought_and_sold(conversion: str) -> dict[str, list[dict[str, Any]]]:
    """Buy 100 at 50 EUR and 1.10, sell them at 60 EUR and 1.20; then the euro goes to 1.30."""
    given = [(0, "EUR/USD", 1.1), (2, "EUR/USD", 1.2), (4, "EUR/USD", 1.3)]
    spec = describe({"EUR.A": [50.0, 50.0, 60.0, 60.0]}, given, account={"conversion": conversion})
    return play(spec, buy("EUR.A", 100), sell("EUR.A", 100))


def test_the_history_of_a_portfolio_is_in_the_base_currency() -> None:
    """5,500 USD paid for 5,000 EUR, which gained 500 on the way; 1,000 EUR realized are 1,200 USD."""
    tables = bought_and_sold("when_short")
    third = tables["portfolio_history"][2]
    assert third["cash"] == 4500.0 + 7200.0
    assert third["equity"] == 11_700.0
    assert (third["realized_pnl"], third["unrealized_pnl"], third["fx_pnl"]) == (1200.0, 0.0, 500.0)
    second = tables["portfolio_history"][1]
    assert (second["long_value"], second["gross_exposure"], second["net_exposure"]) == (6000.0,) * 3
    assert second["leverage"] == 6000.0 / 10_500.0
    trip = tables["round_trips"][0]
    assert (trip["currency"], trip["fx_rate"], trip["net_pnl"]) == ("EUR", 1.2, 1000.0)
    rates_of_fills = [(row["currency"], row["fx_rate"]) for row in tables["fills"]]
    assert rates_of_fills == [("EUR", 1.1), ("EUR", 1.2)]


def test_what_rates_did_is_a_part_of_its_own() -> None:
    """The first window has the deposit, the second 5,000 EUR from 1.10 to 1.20, the third 1,000 EUR of the
    market at 1.20, the last 6,000 EUR of cash from 1.20 to 1.30.
    """
    tables = bought_and_sold("when_short")
    shown = [
        (row["symbol"], row["price"], row["fx"], row["external"], row["total"])
        for row in tables["attribution"]
    ]
    assert shown == [
        (None, 0, 0, 10_000, 10_000),
        ("EUR.A", 0, 500, 0, 500),
        ("EUR.A", 1200, 0, 0, 1200),
        (None, 0, 600, 0, 600),
    ]


def test_what_conversions_cost_belongs_to_the_instrument_that_caused_them() -> None:
    """At 1.101 instead of 1.10, 5,000 EUR cost 5 USD more, and a fee of 2."""
    from ml4t.core.models import FxOut

    spec = describe({"EUR.A": [50.0] * 3}, [(0, "EUR/USD", 1.1)], fx_model=model(Answers(FxOut(1.101, 2.0))))
    tables = play(spec, buy("EUR.A", 100))
    row = tables["attribution"][-1]
    assert (row["symbol"], row["fx"], row["fx_costs"], row["total"]) == ("EUR.A", 0, -7, -7)
    last = tables["portfolio_history"][-1]
    assert (last["fx_costs"], last["fx_pnl"], last["equity"]) == (7.0, 0.0, 9993.0)


def test_with_one_currency_nothing_is_converted() -> None:
    tables = play(describe({"USD.A": [50.0] * 3}), buy("USD.A", 100))
    assert tables["conversions"] == tables["balances"] == []
    assert set(column(tables, "portfolio_history", "fx_pnl")) == {0.0}
    assert set(column(tables, "ledger", "currency")) == {"USD"}


def test_an_account_begins_with_what_it_is_given_the_base_currency_first() -> None:
    balances = {"JPY": "1500", "EUR": "100", "CHF": "0"}
    given = [(0, "EUR/USD", 1.1), (0, "USD/JPY", 150.0), (0, "CHF/USD", 1.2)]
    spec = describe({"USD.A": [50.0]}, given, account={"initial_balances": balances})
    tables = play(spec)
    assert postings(tables, "deposit") == [
        ("deposit", "USD", "cash", "capital", 10_000),
        ("deposit", "EUR", "cash", "capital", 100),
        ("deposit", "JPY", "cash", "capital", 1500),
    ]
    names = ("ts_event", "session", "currency", "cash", "value")
    rows = [tuple(row[name] for name in names) for row in tables["balances"]]
    held = [("USD", 10_000, 10_000), ("CHF", 0, 0), ("EUR", 100, 110), ("JPY", 1500, 10)]
    first = dt.date(2024, 1, 1)
    assert rows == [(when(0), None, *each) for each in held] + [(when(1), first, *each) for each in held]
    assert tables["attribution"][0]["external"] == 10_120


def test_a_strategy_reads_the_base_currency_and_each_by_its_name() -> None:
    found: list[tuple[float, ...]] = []

    def look(broker: Any) -> None:  # noqa: ANN401
        found.append(
            (broker.get_cash(), broker.get_cash("USD"), broker.get_cash("EUR"), broker.get_account_value())
        )

    def look_for_yen(broker: Any) -> None:  # noqa: ANN401
        with pytest.raises(UnknownNameError, match="unknown currency 'JPY'; known: EUR, USD"):
            broker.get_cash("JPY")

    account = {"initial_balances": {"EUR": "1000"}}
    spec = describe({"EUR.A": [50.0, 50.0, 60.0]}, [(0, "EUR/USD", 1.1)], account=account)
    play(spec, buy("EUR.A", 10), nothing, both(look, look_for_yen))
    # 500 EUR of cash are 550 USD, ten shares at 60 EUR are 660.
    assert found == [(10_550.0, 10_000.0, 500.0, 11_210.0)]


# -- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "policy", "sizes"),
    [
        # A share is worth 55 USD: 5,000 / 55 = 90.9; 6,000 / 55 = 109.09; (6,000 - 4,950) / 55 = 19.09.
        (lambda broker: broker.order_target_percent("EUR.A", 0.5), "position", [90.0]),
        (lambda broker: broker.order_target_value("EUR.A", 6000), "position", [109.0]),
        (lambda broker: broker.order_target_weights({"EUR.A": "0.5"}), "position", [90.0]),
        (lambda broker: broker.order_target_value("EUR.A", 6000), "order", [109.0]),
    ],
)
def test_a_value_is_of_the_base_currency(step: Step, policy: str, sizes: list[float]) -> None:
    spec = describe({"EUR.A": [50.0] * 2}, [(0, "EUR/USD", 1.1)], policies={"target_rounding": policy})
    assert column(play(spec, step), "orders", "quantity") == sizes


@pytest.mark.parametrize(("policy", "second"), [("position", 19.0), ("order", 19.0)])
def test_what_is_held_counts_in_the_base_currency(policy: str, second: float) -> None:
    """90 shares of 55 USD are 4,950: (6,000 - 4,950) / 55 = 19.09, or 109 less 90."""
    spec = describe({"EUR.A": [50.0] * 3}, [(0, "EUR/USD", 1.1)], policies={"target_rounding": policy})
    steps: list[Step] = [buy("EUR.A", 90), lambda broker: broker.order_target_value("EUR.A", 6000)]
    assert column(play(spec, *steps), "orders", "quantity") == [90.0, second]


def test_a_lot_that_is_worth_nothing_in_the_base_currency_has_no_size() -> None:
    """0.00001 EUR are 1e13 cash units, of which 1e-8 x 1e-8 of a dollar leave a thousandth of a unit."""
    spec = describe({"EUR.A": [0.01] * 2}, [(0, "EUR/GBP", 1e-8), (0, "GBP/USD", 1e-8)])
    spec["instruments"][0]["multiplier"] = "0.001"
    tables = play(spec, lambda broker: broker.order_target_value("EUR.A", 100))
    assert column(tables, "orders", "reason_code") == ["NO_PRICE"]
