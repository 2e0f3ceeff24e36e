"""Conversions that an account makes by itself, and the models of what conversions cost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import pytest

from ml4t.core.errors import Ml4tError, ModelError
from ml4t.core.models import FxArgs, FxOut
from ml4t.fees import FxSpread

from .helpers import (
    EURUSD,
    POLICIES,
    SPREAD,
    Made,
    Play,
    account,
    at,
    balance,
    buy,
    closes,
    conversions,
    convert,
    equity,
    postings,
    rates,
    same,
    sell,
)

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
