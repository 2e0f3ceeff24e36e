"""Interest, borrowing, funding and corporate actions in the currency of what they belong to."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.core.errors import ConfigError
from ml4t.funding import BorrowFee, CashInterest, PerpetualFunding

from .helpers import (
    FIRST,
    MARGIN,
    SPREAD,
    Made,
    Play,
    at,
    balance,
    buy,
    closes,
    conversions,
    postings,
    rates,
    same,
    sell,
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
