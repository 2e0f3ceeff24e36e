"""Conversions: those that events cause, what they cost, and those that a strategy asks for."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ml4t.core.errors import ModelError, NumericOverflowError, OrderError
from ml4t.core.models import BorrowOut, FundingOut, FxOut

from .purses import (
    Answers,
    FlatFee,
    PerDay,
    Row,
    Spread,
    both,
    buy,
    cash,
    codes,
    column,
    convert,
    day,
    describe,
    model,
    money,
    nothing,
    play,
    postings,
    sell,
    when,
)

RATES = [(0, "EUR/USD", 1.1)]
FLAT = {"EUR.A": [50.0] * 4}


def conversions(tables: dict[str, list[Row]]) -> list[tuple[Any, ...]]:
    """Return day, currency, amount, value, cost, symbol of conversions."""
    names = ("ts_event", "currency", "amount", "value", "cost", "symbol")
    return [tuple(row[name] for name in names) for row in tables["conversions"]]


# -- what is posted ------------------------------------------------------------------------------------------


def test_a_share_of_a_foreign_currency_is_paid_with_bought_money() -> None:
    """100 at 50 EUR and a fee of 1 EUR: 5,001 EUR at 1.10 are 5,501.10 USD, in one purchase."""
    tables = play(describe(FLAT, RATES, fee_model=model(FlatFee(1.0))), buy("EUR.A", 100))
    assert postings(tables) == [
        ("trade", "EUR", "inventory", "cash", 5000),
        ("fee", "EUR", "fees", "cash", 1),
        ("conversion", "EUR", "cash", "exchange", 5001),
        ("conversion", "USD", "exchange", "cash", money("5501.1")),
    ]
    legs = [row for row in tables["ledger"] if row["kind"] == "conversion"]
    assert [(row["symbol"], row["order_id"], row["fill_id"]) for row in legs] == [("EUR.A", None, None)] * 2
    (row,) = tables["conversions"]
    assert row == {
        "conversion_id": None,
        "ts_submitted": when(1),
        "ts_event": when(1),
        "book": 0,
        "currency": "EUR",
        "amount": 5001,
        "value": money("5501.1"),
        "cost": 0,
        "symbol": "EUR.A",
        "cause": "automatic",
        "status": "executed",
        "reason": "",
    }


def test_a_conversion_costs_what_the_model_is_worse_than_the_middle() -> None:
    """Bought at 1.1011, 5,000 EUR cost 5,505.50 instead of 5,500, and a fee of 2; sold at 1.0989 as much."""
    fx = Spread(0.001, 2.0)
    spec = describe(FLAT, RATES, account={"conversion": "always"}, fx_model=model(fx))
    tables = play(spec, buy("EUR.A", 100), sell("EUR.A", 100))
    assert postings(tables, "conversion", "conversion_cost") == [
        ("conversion", "EUR", "cash", "exchange", 5000),
        ("conversion", "USD", "exchange", "cash", 5500),
        ("conversion_cost", "USD", "fx_costs", "cash", money("7.5")),
        ("conversion", "EUR", "exchange", "cash", 5000),
        ("conversion", "USD", "cash", "exchange", 5500),
        ("conversion_cost", "USD", "fx_costs", "cash", money("7.5")),
    ]
    assert cash(tables, "USD") == 9985
    # The first question is of the fill that has to be paid for, the second of its conversion.
    questions = [(each.ts_ns, each.amount, each.rate, each.asset, each.side) for each in fx.asked]
    bought = (day(1), 5000.0, 1.1, 1, 1)
    assert questions == [bought, bought, (day(2), -5000.0, 1.1, 1, -1)]


def test_a_rate_that_is_better_than_the_middle_costs_less_than_nothing() -> None:
    """At 1.09 5,000 EUR cost 5,450 USD, 50 less than in the middle; a rebate of 1 comes on top."""
    tables = play(describe(FLAT, RATES, fx_model=model(Answers(FxOut(1.09, -1.0)))), buy("EUR.A", 100))
    assert postings(tables, "conversion_cost") == [("conversion_cost", "USD", "cash", "fx_costs", 51)]


@pytest.mark.parametrize("answer", [None, FxOut(1.1)])
def test_no_opinion_is_the_middle_rate(answer: FxOut | None) -> None:
    tables = play(describe(FLAT, RATES, fx_model=model(Answers(answer))), buy("EUR.A", 100))
    assert conversions(tables) == [(when(1), "EUR", 5000, 5500, 0, "EUR.A")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FxOut(0.0), "rate 0 must be finite and above zero"),
        (FxOut(-1.1), "rate -1.1 must be finite and above zero"),
        (FxOut(float("nan")), "rate NaN must be finite and above zero"),
        (FxOut(float("inf")), "rate inf must be finite and above zero"),
        (FxOut(1.1, float("nan")), "fee NaN must be finite"),
        (FxOut(1e30), "leave the range of money"),
        (FxOut(1.1, 1e30), "leave the range of money"),
        ("1.1", "AttributeError"),
    ],
)
def test_an_answer_that_makes_no_sense_ends_the_run(answer: Any, words: str) -> None:  # noqa: ANN401
    spec = describe(FLAT, RATES, fx_model=model(Answers(answer)))
    with pytest.raises(ModelError, match=f"(?i)model Answers, EUR, 2024-01-02T00:00:00Z: fx: .*{words}"):
        play(spec, buy("EUR.A", 100))


def test_values_are_rounded_to_the_posting_quantum() -> None:
    """100 units at 160 JPY and 150 JPY a dollar: 106.666...7 USD are 106.67; at 0.0067 they are 107.2."""
    account = {"posting_quantum": "0.01"}
    spec = describe({"JPY.A": [160.0] * 3}, [(0, "USD/JPY", 150.0)], account=account)
    spec["fx_model"] = model(Answers(FxOut(0.0067)))
    assert conversions(play(spec, buy("JPY.A", 100))) == [
        (when(1), "JPY", 16_000, money("106.67"), money("0.53"), "JPY.A")
    ]


def test_a_value_of_less_than_half_a_quantum_moves_nothing() -> None:
    """One yen is 0.0067 USD and a cent; at a quantum of a dollar it is nothing."""
    account = {"posting_quantum": "1"}
    spec = describe({"JPY.A": [1.0] * 3}, [(0, "USD/JPY", 150.0)], account=account)
    tables = play(spec, buy("JPY.A", 1))
    assert postings(tables, "conversion") == [("conversion", "JPY", "cash", "exchange", 1)]
    assert conversions(tables) == [(when(1), "JPY", 1, 0, 0, "JPY.A")]


# -- when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conversion", "euros", "dollars", "count"),
    [
        # 5,500 USD paid. 6,000 EUR stay, or become 7,200 USD at 1.20.
        ("when_short", 6000, 4500, 1),
        ("always", 0, 11_700, 2),
    ],
)
def test_what_a_sale_brings_stays_or_is_sold(conversion: str, euros: int, dollars: int, count: int) -> None:
    given = [(0, "EUR/USD", 1.1), (2, "EUR/USD", 1.2)]
    spec = describe({"EUR.A": [50.0, 50.0, 60.0]}, given, account={"conversion": conversion})
    tables = play(spec, buy("EUR.A", 100), sell("EUR.A", 100))
    assert (cash(tables, "EUR"), cash(tables, "USD")) == (euros, dollars)
    assert len(tables["conversions"]) == count
    last = tables["portfolio_history"][-1]
    assert (last["equity"], last["fx_pnl"]) == (11_700.0, 500.0)


def test_without_conversion_an_account_pays_with_what_it_has() -> None:
    """5,000 EUR pay for 100 at 50, and for nothing after that; the dollars do not count."""
    account = {"conversion": "never", "initial_balances": {"EUR": "5000"}}
    tables = play(describe(FLAT, RATES, account=account), buy("EUR.A", 100), buy("EUR.A", 1))
    assert codes(tables) == ["", "INSUFFICIENT_BUYING_POWER"]
    assert (cash(tables, "EUR"), cash(tables, "USD")) == (0, 10_000)
    assert tables["conversions"] == []


def test_what_is_there_is_spent_first() -> None:
    """Of 5,000 EUR 2,000 are there: 3,000 are bought for 3,300 USD."""
    account = {"initial_balances": {"EUR": "2000"}}
    tables = play(describe(FLAT, RATES, account=account), buy("EUR.A", 100))
    assert conversions(tables) == [(when(1), "EUR", 3000, 3300, 0, "EUR.A")]


def test_an_opening_balance_is_no_event() -> None:
    account = {"conversion": "always", "initial_balances": {"EUR": "2000"}}
    assert play(describe({"USD.A": [50.0] * 3}, RATES, account=account), buy("USD.A", 1))["conversions"] == []


def test_ex_date_and_pay_date_of_a_dividend_are_two_events() -> None:
    """7 EUR asked for stand until the ex-date of a dividend of 10 EUR, whose pay date sells those."""
    spec = describe(FLAT, [*RATES, (1.5, "EUR/USD", 1.1)], account={"conversion": "always"})
    spec["actions"] = [action("cash_dividend", amount="1", pay_ts=day(3))]
    tables = play(spec, both(buy("EUR.A", 10), convert("EUR", 7)))
    assert conversions(tables) == [
        (when(1), "EUR", 500, 550, 0, "EUR.A"),
        (when(1.5), "EUR", 7, money("7.7"), 0, None),
        (when(2), "EUR", -7, money("7.7"), 0, "EUR.A"),
        (when(3), "EUR", -10, 11, 0, "EUR.A"),
    ]


def action(kind: str, **terms: Any) -> Row:  # noqa: ANN401 - parts of its description
    """Return a corporate action of the first instrument on day 2."""
    given = {"ts": day(2), "instrument": 0, "kind": kind, "ratio_num": 1, "ratio_den": 1, "amount": ""}
    return given | {"pay_ts": day(2)} | terms


@pytest.mark.parametrize(
    ("given", "sold"),
    [
        (action("cash_dividend", amount="1"), [18]),
        # 11 become 16.5: half a share at 50 / 1.5 is 16.666666666, rounded to nine decimals; 7 are there.
        (action("split", ratio_num=3, ratio_den=2), [money("23.666666666")]),
        # Nothing is paid for.
        (action("split", ratio_num=2), []),
        (action("cash_out", amount="51"), [568]),
    ],
)
def test_a_corporate_action_that_pays_is_an_event(given: Row, sold: list[Any]) -> None:
    """11 shares are held, and 7 EUR that were asked for."""
    spec = describe(FLAT, [*RATES, (1.5, "EUR/USD", 1.1)], account={"conversion": "always"}, actions=[given])
    tables = play(spec, both(buy("EUR.A", 11), convert("EUR", 7)))
    assert [-row["amount"] for row in tables["conversions"][2:]] == sold
    assert {row["symbol"] for row in tables["conversions"][2:]} <= {"EUR.A"}


@attrs.frozen
class Flat:
    """Charges the same amount for anything."""

    out: Any

    def evaluate(self, ctx: object) -> Any:  # noqa: ANN401
        """Answer that."""
        return self.out


def test_what_holding_costs_is_paid_in_its_currency_and_bought() -> None:
    """10 held, no EUR: funding of 3 EUR at day 2, when 3.30 USD buy them."""
    spec = describe(FLAT, RATES, funding_model=model(Flat(FundingOut(-3.0))))
    spec["funding"] = [{"ts": day(2), "instrument": 0, "rate": 0.1, "short_rate": 0.1, "mark": 50.0}]
    tables = play(spec, buy("EUR.A", 10))
    assert postings(tables, "funding") == [("funding", "EUR", "funding", "cash", 3)]
    assert conversions(tables)[1:] == [(when(2), "EUR", 3, money("3.3"), 0, "EUR.A")]
    assert tables["portfolio_history"][-1]["carry"] == 3.3


def test_a_borrow_fee_is_an_event_of_its_own() -> None:
    """Two positions sold short bring 1,000 EUR, sold at once; each pays 2 EUR at the close after the next."""
    account = {"allows_short": True, "conversion": "always"}
    paths = {"EUR.A": [50.0] * 3, "EUR.B": [50.0] * 3}
    spec = describe(paths, RATES, account=account, borrow_model=model(Flat(BorrowOut(2.0))))
    tables = play(spec, both(sell("EUR.A", 10), sell("EUR.B", 10)))
    assert conversions(tables)[2:] == [
        (when(3), "EUR", 2, money("2.2"), 0, "EUR.A"),
        (when(3), "EUR", 2, money("2.2"), 0, "EUR.B"),
    ]


def test_interest_is_of_each_currency_by_itself() -> None:
    """0.001 a day of 10,000 USD, 0.002 of 1,000 EUR; of the cash noted at the close before."""
    spec = describe(FLAT, RATES, account={"initial_balances": {"EUR": "1000"}})
    spec["interest_models"] = {"USD": model(PerDay(0.001)), "EUR": model(PerDay(0.002))}
    tables = play(spec)
    assert postings(tables)[:4] == [
        ("interest", "USD", "cash", "interest", 10),
        ("interest", "EUR", "cash", "interest", 2),
        ("interest", "USD", "cash", "interest", money("10.01")),
        ("interest", "EUR", "cash", "interest", money("2.004")),
    ]
    assert tables["portfolio_history"][1]["carry"] == -12.2
    assert [row["interest"] for row in tables["attribution"]][1] == money("12.2")


def test_interest_of_a_currency_may_be_converted_and_one_of_nothing_is_no_event() -> None:
    """1,002 EUR are sold after 2 EUR of interest; then none are left. Dollars have no model."""
    account = {"initial_balances": {"EUR": "1000"}, "conversion": "always"}
    spec = describe(FLAT, RATES, account=account, interest_models={"EUR": model(PerDay(0.002))})
    tables = play(spec)
    assert conversions(tables) == [(when(2), "EUR", -1002, money("1102.2"), 0, None)]


def test_interest_is_asked_with_the_short_positions_of_its_currency() -> None:
    """10 of EUR.A short at 50 and 20 of USD.A at 40."""
    account = {"allows_short": True, "initial_cash": "1000"}
    euros, dollars = PerDay(0.0), PerDay(0.0)
    spec = describe({"EUR.A": [50.0] * 3, "USD.A": [40.0] * 3}, RATES, account=account)
    spec["interest_models"] = {"EUR": model(euros), "USD": model(dollars)}
    play(spec, both(sell("EUR.A", 10), sell("USD.A", 10)))
    assert [(each.cash, each.short_value) for each in euros.asked] == [(0.0, 0.0), (500.0, 500.0)]
    assert [(each.cash, each.short_value) for each in dollars.asked] == [(1000.0, 0.0), (1400.0, 400.0)]


def test_the_model_of_an_older_description_is_that_of_the_base_currency() -> None:
    tables = play(describe({"USD.A": [50.0] * 2}, interest_model=model(PerDay(0.001))))
    assert postings(tables) == [("interest", "USD", "cash", "interest", 10)]


# -- asked for -----------------------------------------------------------------------------------------------


def asked(tables: dict[str, list[Row]]) -> list[tuple[Any, ...]]:
    """Return number, times, amount, value and status of what was asked for."""
    names = ("conversion_id", "ts_submitted", "ts_event", "amount", "value", "status")
    return [tuple(row[name] for name in names) for row in tables["conversions"] if row["cause"] == "asked"]


def test_a_conversion_waits_for_the_next_rate_which_calls_nobody() -> None:
    """Asked for as day 0 ends, at 1.10; half a day later 100 EUR cost 120 USD."""
    calls: list[object] = []
    numbers: list[int] = []
    steps = [
        lambda broker: numbers.append(broker.convert("EUR", 100)),
        *[lambda broker: calls.append(broker.get_cash("EUR"))] * 3,
    ]
    tables = play(describe(FLAT, [*RATES, (1.5, "EUR/USD", 1.2)]), *steps)
    assert numbers == [1]
    assert asked(tables) == [(1, when(1), when(1.5), 100, 120, "executed")]
    assert postings(tables) == [
        ("conversion", "EUR", "cash", "exchange", 100),
        ("conversion", "USD", "exchange", "cash", 120),
    ]
    assert calls == [100.0] * 3
    assert column(tables, "portfolio_history", "ts_event") == [when(n) for n in (1, 2, 3, 4)]


def test_the_rate_of_the_instant_of_the_call_is_not_the_next() -> None:
    tables = play(describe(FLAT, [*RATES, (1, "EUR/USD", 1.2), (2, "EUR/USD", 1.3)]), convert("EUR", 100))
    assert asked(tables) == [(1, when(1), when(2), 100, 130, "executed")]


def test_any_rate_on_the_way_is_one() -> None:
    """EUR to GBP to USD at 0.80 x 1.25; of CHF no rate counts."""
    given = [(0, "EUR/GBP", 0.8), (0, "GBP/USD", 1.2), (1.25, "CHF/USD", 1.0), (1.5, "GBP/USD", 1.25)]
    tables = play(describe(FLAT, given), convert("EUR", -100), nothing)
    assert asked(tables) == [(1, when(1), when(1.5), -100, None, "refused")]
    account = {"allows_short": True}
    tables = play(describe(FLAT, given, account=account), convert("EUR", -100))
    assert asked(tables) == [(1, when(1), when(1.5), -100, 100, "executed")]


def test_standing_rates_serve_before_the_orders_of_the_same_intake() -> None:
    """Of nothing in EUR 100 are bought at 1.10, and pay for two shares that are asked for before."""
    account = {"conversion": "never"}
    spec = describe(FLAT, RATES, account=account, policies={"quote_fill": "standing"})
    tables = play(spec, both(buy("EUR.A", 2), convert("EUR", 100)))
    assert asked(tables) == [(1, when(1), when(1), 100, 110, "executed")]
    assert codes(tables) == [""]
    assert (cash(tables, "EUR"), cash(tables, "USD")) == (0, 9890)


def test_next_rates_come_too_late_for_the_orders_of_the_same_intake() -> None:
    spec = describe(FLAT, [*RATES, (1.5, "EUR/USD", 1.1)], account={"conversion": "never"})
    tables = play(spec, both(convert("EUR", 100), buy("EUR.A", 2)), buy("EUR.A", 2))
    assert codes(tables) == ["INSUFFICIENT_BUYING_POWER", ""]


def test_an_account_that_goes_by_its_cash_refuses_what_it_cannot_pay() -> None:
    """10,000 USD buy 9,090.90 EUR at 1.10, less where a fee of 2 is due; what is not there cannot be sold."""
    spec = describe(
        FLAT, RATES, policies={"quote_fill": "standing"}, fx_model=model(Answers(FxOut(1.1, 2.0)))
    )
    steps = both(
        convert("EUR", "9090.9"), convert("EUR", 9089), convert("EUR", "-9089.01"), convert("EUR", -9089)
    )
    tables = play(spec, steps)
    assert [row["status"] for row in tables["conversions"]] == ["refused", "executed", "refused", "executed"]
    refused = [row for row in tables["conversions"] if row["status"] == "refused"]
    assert [(row["value"], row["cost"], row["ts_event"]) for row in refused] == [(None, None, when(1))] * 2
    assert refused[0]["reason"] == (
        "buying 9090.9 EUR needs 10001.99 USD, the account has 10000 (2024-01-02T00:00:00Z)"
    )
    assert refused[1]["reason"].startswith("selling 9089.01 EUR needs 9089.01 EUR, the account has 9089 ")
    assert cash(tables, "USD") == 9996


@pytest.mark.parametrize(
    "account", [{"allows_short": True}, {"leverage": "2"}, {"buying_power": "unlimited"}]
)
def test_other_accounts_refuse_nothing(account: Row) -> None:
    spec = describe(FLAT, RATES, account=account, policies={"quote_fill": "standing"})
    tables = play(spec, both(convert("EUR", 10_000), convert("EUR", -20_000)))
    assert column(tables, "conversions", "status") == ["executed"] * 2
    assert (cash(tables, "EUR"), cash(tables, "USD")) == (-10_000, 21_000)


def test_conversions_are_executed_as_they_were_asked_for() -> None:
    """Sold before it is bought it is not there: the first is refused, the others are not."""
    given = [*RATES, (0, "USD/JPY", 150.0), (1.5, "USD/JPY", 150.0), (1.5, "EUR/USD", 1.1)]
    spec = describe({"EUR.A": [50.0] * 3, "JPY.A": [50.0] * 3}, given)
    steps = [convert("EUR", -5), convert("JPY", 300), convert("EUR", 5), convert("JPY", -300)]
    tables = play(spec, both(*steps))
    assert [(row["conversion_id"], row["status"]) for row in tables["conversions"]] == [
        (1, "refused"),
        (2, "executed"),
        (3, "executed"),
        (4, "executed"),
    ]


def test_what_waits_when_the_data_end_expires() -> None:
    """No rate comes after that of day 0, or not before the data end. What is asked for at the end is late."""
    for given in (RATES, [*RATES, (9, "EUR/USD", 1.2)]):
        tables = play(describe(FLAT, given), convert("EUR", 1), convert("EUR", 2), stop=convert("EUR", 3))
        assert asked(tables) == [
            (1, when(1), when(4), 1, None, "expired"),
            (2, when(2), when(4), 2, None, "expired"),
            (3, when(4), when(4), 3, None, "expired"),
        ]


def test_a_rate_of_the_last_instant_still_serves() -> None:
    assert asked(play(describe(FLAT, [*RATES, (4, "EUR/USD", 1.2)]), convert("EUR", 1)))[0][-1] == "executed"


def test_what_was_asked_for_comes_after_funding_and_before_interest() -> None:
    """At one close: 3 EUR of funding are bought; 7 that were asked for; 2 of interest, and 9 are sold."""
    spec = describe(FLAT, [*RATES, (3, "EUR/USD", 1.1)], account={"conversion": "always"})
    spec |= {"funding_model": model(Flat(FundingOut(-3.0))), "interest_models": {"EUR": model(Fixed(2.0))}}
    spec["funding"] = [{"ts": day(3), "instrument": 0, "rate": 0.1, "short_rate": 0.1, "mark": 50.0}]
    tables = play(spec, buy("EUR.A", 10), convert("EUR", 7))
    at_the_close = [row for row in tables["conversions"] if row["ts_event"] == when(3)]
    assert [(row["amount"], row["cause"]) for row in at_the_close] == [
        (3, "automatic"),
        (7, "asked"),
        (-9, "automatic"),
    ]


@attrs.frozen
class Fixed:
    """Interest that is the same each time."""

    payment: float

    def evaluate(self, ctx: object) -> Any:  # noqa: ANN401
        """Answer that."""
        return self


@pytest.mark.parametrize(
    ("currency", "amount", "words"),
    [
        ("USD", 1, "convert takes a currency of the run other than USD: EUR "),
        ("GBP", 1, "convert takes a currency of the run other than USD: EUR "),
        (None, 1, "convert takes a currency of the run other than USD: EUR "),
        ("EUR", 0, "convert takes no amount of zero"),
        ("EUR", "0.0000000000000000001", "18 decimals at most, found 0.0000000000000000001"),
        ("EUR", float("nan"), "amount = nan is not a finite number"),
        ("EUR", "much", "amount = 'much' is not a finite number"),
        ("EUR", True, "amount = True is not a finite number"),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error(currency: Any, amount: object, words: str) -> None:  # noqa: ANN401
    def ask(broker: Any) -> None:  # noqa: ANN401
        with pytest.raises(OrderError, match=words):
            broker.convert(currency, amount)

    assert play(describe(FLAT, RATES), ask)["conversions"] == []


def test_an_amount_that_no_ledger_holds_is_an_error() -> None:
    def ask(broker: Any) -> None:  # noqa: ANN401
        with pytest.raises(NumericOverflowError, match="the amount of a conversion of EUR"):
            broker.convert("EUR", 10**30)

    play(describe(FLAT, RATES), ask)


@pytest.mark.parametrize("amount", [0.1, "0.1", "0.100"])
def test_an_amount_is_what_is_written(amount: object) -> None:
    spec = describe(FLAT, RATES, policies={"quote_fill": "standing"})
    assert column(play(spec, convert("EUR", amount)), "conversions", "amount") == [money("0.1")]
