"""The rates by which currencies lead to the base currency, and what an account begins with."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from ml4t.core.errors import ConfigError, DataError

from .helpers import EURUSD, Made, Play, at, buy, conversions, convert, equity, postings, rates, same, sell

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
    with pytest.raises(DataError, match=r"the first row is of .* after the end of the market data"):
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
