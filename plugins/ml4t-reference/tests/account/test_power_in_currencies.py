"""What an account in several currencies may spend, worked by hand, and books that balance on random runs."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ml4t.core.models import BorrowOut, FundingOut, FxOut

from .purses import (
    Answers,
    FlatFee,
    PerDay,
    Row,
    Spread,
    Step,
    both,
    buy,
    cash,
    codes,
    column,
    day,
    describe,
    model,
    money,
    nothing,
    play,
    sell,
)
from .test_conversions import Flat

RATES = [(0, "EUR/USD", 1.1), (0, "USD/JPY", 100.0)]
PATHS = {"EUR.A": [50.0] * 4, "JPY.A": [500.0] * 4, "USD.A": [10.0] * 4}
REFUSED = "INSUFFICIENT_BUYING_POWER"


def powers(spec: Row, *steps: Step) -> list[float]:
    """Return the buying power before each step, and after the last."""
    found: list[float] = []
    looking = [both(lambda broker: found.append(broker.buying_power), step) for step in (*steps, nothing)]
    play(spec, *looking)
    return found


# -- an account that goes by its cash ------------------------------------------------------------------------


def test_what_is_missing_of_a_currency_takes_cash_of_the_base() -> None:
    """1,000 EUR are set aside and 100 are there: 990 USD of 1,000. One share at 10 USD fits, two do not."""
    account = {"initial_cash": "1000", "initial_balances": {"EUR": "100"}}
    order = buy("EUR.A", 25, limit_price=40)
    spec = describe(PATHS, RATES, account=account)
    tables = play(spec, order, buy("USD.A", 2), buy("USD.A", 1, limit_price=10))
    assert codes(tables) == ["END_OF_DATA", REFUSED, ""]
    # 1,000 USD and 110 for the euros; then 10 USD; then nothing.
    assert powers(spec, order, buy("USD.A", 1, limit_price=9.99)) == [1110.0, 10.0, 0.01]


def test_an_order_counts_what_others_of_its_currency_have_set_aside() -> None:
    """100 EUR are there: 80 and 20 are covered by them, and one of 40 more needs 44 USD of 43."""
    account = {"initial_cash": "43", "initial_balances": {"EUR": "100"}}
    orders = [
        buy("EUR.A", 2, limit_price=40),
        buy("EUR.A", 1, limit_price=20),
        buy("EUR.A", 1, limit_price=40),
    ]
    tables = play(describe(PATHS, RATES, account=account), both(*orders))
    assert codes(tables) == ["END_OF_DATA", "END_OF_DATA", REFUSED]
    assert "needs buying power of 44, 43 is free" in tables["orders"][-1]["reason"]


def test_what_its_own_cash_covers_passes_even_where_nothing_else_is_left() -> None:
    """10,000 JPY set 100 USD aside at 100 and 111.11 at 90, 11.11 too many. 100 EUR still buy 2."""
    account = {"initial_cash": "100", "initial_balances": {"EUR": "100"}}
    spec = describe(PATHS, [*RATES, (2, "USD/JPY", 90.0)], account=account)
    yen = buy("JPY.A", 25, limit_price=400)
    tables = play(spec, yen, both(buy("USD.A", 1), buy("EUR.A", 2), buy("EUR.A", 1)))
    assert codes(tables) == ["END_OF_DATA", REFUSED, "", REFUSED]
    # 100 USD less 111.11, and 110 for the euros.
    assert powers(spec, yen)[1] == pytest.approx(98.888889)


def test_a_covered_sale_frees_cash_of_its_own_currency() -> None:
    """20 held at 50 EUR: a market sale of all frees 1,000 EUR for a purchase beside it."""
    account = {"initial_cash": "1100"}
    spec = describe(PATHS, RATES, account=account)
    tables = play(spec, buy("EUR.A", 20), both(sell("EUR.A", 20), buy("JPY.A", 1), buy("EUR.A", 20)))
    # The yen find no dollars: what a sale frees of a foreign currency is no cash of the base.
    assert codes(tables) == ["", "", REFUSED, ""]


@pytest.mark.parametrize(("quantity", "code"), [(3, REFUSED), (2, "")])
def test_without_conversion_only_cash_of_the_own_currency_counts(quantity: int, code: str) -> None:
    account = {"conversion": "never", "initial_balances": {"EUR": "100"}}
    spec = describe(PATHS, RATES, account=account)
    assert codes(play(spec, buy("EUR.A", quantity))) == [code]
    # 10,000 USD and 110 for the euros, less 88 and less 10.
    orders = both(buy("EUR.A", 2, limit_price=40), buy("USD.A", 1, limit_price=9))
    assert powers(spec, orders)[:2] == [10_110.0, 10_013.0]


def test_a_fill_has_to_be_paid_at_the_rate_that_it_really_gets() -> None:
    """1,000 USD at intake pay for 18 shares of 55 USD; at 1.111 and a fee of 1 they cost 1,000.90."""
    account = {"initial_cash": "1000"}
    spec = describe(PATHS, RATES, account=account, fx_model=model(Answers(FxOut(1.111, 1.0))))
    tables = play(spec, buy("EUR.A", 18), buy("EUR.A", 17))
    assert codes(tables) == ["INSUFFICIENT_CASH", ""]
    assert cash(tables, "USD") == money("1000") - money("944.35") - 1


def test_a_part_of_a_fill_is_what_can_be_paid_at_that_rate() -> None:
    account = {"initial_cash": "1000"}
    spec = describe(PATHS, RATES, account=account, fx_model=model(Answers(FxOut(1.111, 1.0))))
    tables = play(spec | {"policies": {"insufficient_cash": "partial"}}, buy("EUR.A", 20))
    assert column(tables, "fills", "quantity") == [17.0]


def test_without_conversion_a_fill_cannot_take_cash_of_others() -> None:
    """Two at 50 EUR and a fee of 1: 101 EUR of 100."""
    account = {"conversion": "never", "initial_balances": {"EUR": "100"}}
    spec = describe(PATHS, RATES, account=account, fee_model=model(FlatFee(1.0)))
    tables = play(spec, buy("EUR.A", 2), buy("EUR.A", 1))
    assert codes(tables) == ["INSUFFICIENT_CASH", ""]
    assert cash(tables, "EUR") == 49


# -- an account that goes by its equity ----------------------------------------------------------------------


def test_positions_of_all_currencies_count_against_equity() -> None:
    """20,000 USD are 363 shares of 55 USD; half of them leave 9,955 for 1,991 shares of 5 USD in yen."""
    spec = describe(PATHS, RATES, account={"leverage": "2"})
    assert codes(play(spec, both(buy("EUR.A", 364), buy("EUR.A", 363)))) == [REFUSED, ""]
    half = buy("EUR.A", 181)
    assert powers(spec, half) == [20_000.0, 10_045.0]
    tables = play(spec, half, both(buy("JPY.A", 2010), buy("JPY.A", 2009)))
    assert codes(tables) == ["", REFUSED, ""]
    # Cash of a currency that an event leaves below zero is bought also where the base currency has none.
    assert cash(tables, "USD") == 10_000 - 9955 - 10_045


def test_a_fill_is_measured_in_the_base_currency_with_its_fee() -> None:
    """363 shares are 19,965 USD. A fee of 16 EUR takes 17.60 USD of equity: 19,964.80 can be carried."""
    spec = describe(PATHS, RATES, account={"leverage": "2"})
    for fee, code in ((15.0, ""), (16.0, "INSUFFICIENT_CASH")):
        assert codes(play(spec | {"fee_model": model(FlatFee(fee))}, buy("EUR.A", 363))) == [code]


def test_a_change_is_measured_by_what_it_adds() -> None:
    spec = describe(PATHS, RATES, account={"leverage": "2"})
    order = buy("EUR.A", 100, limit_price=40)

    def change(quantity: int) -> Step:
        return lambda broker: broker.modify_order(1, quantity=quantity)

    # 20,000 USD at 44 USD are 454.5.
    tables = play(spec, order, change(455), change(454))
    changes = [row["reason_code"] for row in tables["order_events"] if "REPLACE" in row["reason_code"]]
    assert changes == ["REPLACE_REJECTED", "REPLACED"]


# -- random runs ---------------------------------------------------------------------------------------------


@functools.cache
def random_run(seed: int, change: Callable[[Row], object] = nothing) -> dict[str, list[Row]]:
    """Run a random account on random prices and rates, with everything that can move money.

    `change` may change the description before.
    """
    chance = random.Random(seed)
    days = 12
    names = ["EUR.A", "EUR.B", "GBP.A", "JPY.A", "USD.A"]
    paths = {
        name: [round(chance.uniform(20, 60) * (100 if name[0] == "J" else 1), 2) for _ in range(days)]
        for name in names
    }
    pairs = {"EUR/USD": 1.1, chance.choice(["USD/JPY", "EUR/JPY"]): 140.0, "EUR/GBP": 0.85}
    given = [
        (at, pair, round(rate * chance.uniform(0.8, 1.2), chance.randint(2, 16)))
        for pair, rate in pairs.items()
        for at in (0, 2, 3.5, 5, 7.25, 9)
    ]
    account = {
        "initial_cash": str(chance.choice([500, 10_000])),
        "initial_balances": {"EUR": str(chance.choice([0, 1000])), "JPY": "-1000.5"},
        "allows_short": chance.random() < 0.6,
        "buying_power": chance.choice(["equity", "cash", "unlimited"]),
        "conversion": chance.choice(["when_short", "always", "never"]),
        "posting_quantum": chance.choice(["0.01", "0.000000001"]),
    }
    spec = describe(paths, given, account=account)
    policies = {"insufficient_cash": chance.choice(["reject", "partial", "wait"])}
    spec["policies"] = policies | {"quote_fill": chance.choice(["next", "standing"])}
    spec["fee_model"] = model(FlatFee(chance.choice([0.0, 0.37])))
    spec["borrow_model"] = model(Flat(BorrowOut(0.123456789123)))
    spec["funding_model"] = model(Flat(FundingOut(chance.uniform(-1, 1))))
    spec["funding"] = [
        {"ts": day(at), "instrument": at % 5, "rate": 0.1, "short_rate": 0.1, "mark": 9.0}
        for at in range(3, 9)
    ]
    spec["interest_models"] = {name: model(PerDay(0.0001)) for name in ("USD", "JPY")}
    if chance.random() < 0.7:
        spec["fx_model"] = model(Spread(chance.choice([0.0, 0.001, -0.0002]), chance.choice([0.0, 0.5])))
    spec["actions"] = [
        {"ts": day(at), "instrument": which, "kind": kind, "ratio_num": 3, "ratio_den": 2}
        | {"amount": amount, "pay_ts": day(at + late)}
        for at, which, kind, amount, late in (
            (4, 0, "cash_dividend", "0.37", 2),
            (5, 2, "split", "", 0),
            (6, 3, "cash_dividend", "1.3", 0),
            (8, 1, "cash_out", "30", 0),
        )
    ]

    def step(broker: Any) -> None:  # noqa: ANN401
        for _ in range(chance.randint(0, 3)):
            name = chance.choice(names)
            kind = chance.randint(0, 3)
            if kind == 0:
                broker.order_target_percent(name, round(chance.uniform(-0.6, 0.6), 2))
            elif kind == 1:
                broker.submit_order(name, chance.choice([-40, -7, 3, 11, 60]))
            elif kind == 2:
                broker.buy(name, chance.randint(1, 30), limit_price=round(chance.uniform(15, 60), 2))
            else:
                broker.convert(chance.choice(["EUR", "GBP", "JPY"]), round(chance.uniform(-500, 500), 3))

    change(spec)
    return play(spec, *[step] * days)


@pytest.mark.parametrize("seed", range(60))
def test_books_balance_and_every_change_is_explained(seed: int) -> None:
    check_books(random_run(seed))


def check_books(tables: dict[str, list[Row]]) -> None:
    """Ledger and attribution check themselves at every NAV; here the tables are held to each other."""
    worth: dict[Any, Decimal] = {}
    for row in (each for each in tables["balances"] if each["session"] is not None):
        worth[row["ts_event"]] = worth.get(row["ts_event"], Decimal(0)) + row["value"]
    explained = Decimal(0)
    for ts, value in worth.items():
        explained += sum(row["total"] for row in tables["attribution"] if row["ts_event"] == ts)
        assert explained == value
    for row in tables["portfolio_history"]:
        if not row["is_nav"]:
            continue
        assert row["equity"] == float(worth[row["ts_event"]])
        parts = row["realized_pnl"] + row["unrealized_pnl"] + row["dividends"] + row["fx_pnl"]
        parts -= row["fees"] + row["carry"] + row["fx_costs"]
        assert row["equity"] == pytest.approx(parts + capital(tables, row["ts_event"]), abs=1e-6)


def capital(tables: dict[str, list[Row]], ts: object) -> float:
    """Return what was paid in, at the rates of a NAV."""
    rate = {row["currency"]: row["fx_rate"] for row in tables["balances"] if row["ts_event"] == ts}
    paid = [row for row in tables["ledger"] if row["kind"] == "deposit"]
    return math.fsum(
        float(row["amount"]) * rate[row["currency"]] * (1 if row["debit"] == "cash" else -1) for row in paid
    )


def test_random_runs_reach_what_they_are_for() -> None:
    runs = [random_run(seed) for seed in range(60)]
    kinds = {row["kind"] for run in runs for row in run["ledger"]}
    assert kinds >= {
        "trade",
        "realized",
        "dividend",
        "dividend_payment",
        "cash_in_lieu",
        "cash_out",
        "borrow",
    }
    assert kinds >= {"funding", "interest", "conversion", "conversion_cost", "deposit", "fee"}
    outcomes = {(row["cause"], row["status"]) for run in runs for row in run["conversions"]}
    assert outcomes == {
        ("automatic", "executed"),
        ("asked", "executed"),
        ("asked", "refused"),
        ("asked", "expired"),
    }
    reasons = {row["reason_code"] for run in runs for row in run["orders"]}
    assert {"INSUFFICIENT_CASH", REFUSED} <= reasons
