"""Months, contracts and chains: what they read, and what they refuse."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import Instrument
from ml4t.core.errors import ConfigError, DataError, UnknownNameError
from ml4t.core.types import AssetClass
from ml4t.futures import ContractMonth, FuturesChain, FuturesContract, Settlement

TERMS: dict[str, Any] = {
    "root": "ES",
    "last_trade": "2013-12-20",
    "multiplier": 50,
    "tick_size": 0.25,
    "calendar": "CME_Equity",
    "settlement": "cash",
}


def contract(symbol: str = "ESZ3", **fields: Any) -> FuturesContract:  # noqa: ANN401
    return FuturesContract(symbol, **(TERMS | fields))


# -- months


@pytest.mark.parametrize(
    ("text", "near", "root", "month"),
    [
        ("ESZ3", 2013, "ES", "2013-12"),
        ("ESH4", 2013, "ES", "2014-03"),
        ("CLF0", 2019, "CL", "2020-01"),
        ("ESZ9", 2011, "ES", "2009-12"),
        ("ESZ9", 2013, "ES", "2009-12"),
        ("ESZ7", 2013, "ES", "2017-12"),
        ("ESZ13", 2020, "ES", "2013-12"),
        ("ESZ99", 2001, "ES", "1999-12"),
        ("ESZ2013", None, "ES", "2013-12"),
        ("6EZ3", 2013, "6E", "2013-12"),
        ("ZZ3", 2013, "Z", "2013-12"),
        ("ES Z3", 2013, "ES", "2013-12"),
        ("SR3H4", 2024, "SR3", "2024-03"),
        ("ES 2013-12", None, "ES", "2013-12"),
        ("ES-2013-12", None, "ES", "2013-12"),
        ("ES_201312", None, "ES", "2013-12"),
        ("ES201312", None, "ES", "2013-12"),
        ("SR3 202403", None, "SR3", "2024-03"),
        ("2013-12", None, None, "2013-12"),
        ("201312", None, None, "2013-12"),
        ("Z3", 2013, None, "2013-12"),
    ],
)
def test_a_symbol_names_its_month(text: str, near: int | None, root: str | None, month: str) -> None:
    found = ContractMonth.parse(text, reference_year=near)
    assert (found.root, str(found)) == (root, month)


def test_months_are_compared_by_date_and_carry_their_letter() -> None:
    months = [ContractMonth(2013, 12), ContractMonth(2014, 1)]
    assert sorted(reversed(months)) == months
    assert [month.code for month in months] == ["Z", "F"]
    assert ContractMonth.parse("ESZ2013") == ContractMonth.parse("2013-12")


@pytest.mark.parametrize(
    ("text", "near", "message"),
    [
        ("ESZ3", None, "the year of 'ESZ3' could be any that ends in 3; give reference_year"),
        ("ESZ13", None, "could be any that ends in 13"),
        # 2013 and 2023 are both five years from 2018.
        ("ESZ3", 2018, "the year of 'ESZ3' is 2013 or 2023, equally far from reference_year 2018"),
        ("ESZ63", 2013, "is 1963 or 2063, equally far from reference_year 2013"),
        ("ESA3", 2013, "'ESA3' names no delivery month"),
        ("ESZ113", 2013, "'ESZ113' names no delivery month"),
        ("esz3", 2013, "'esz3' names no delivery month"),
        ("ES 2013-13", None, "'ES 2013-13' names no delivery month"),
        ("ES 2013-00", None, "'ES 2013-00' names no delivery month"),
        # Is it SR3 of December 2013 or SR of a month in the year 3201?
        ("SR3201312", None, "'SR3201312' names no delivery month"),
        ("ES", 2013, "'ES' names no delivery month"),
        ("", None, "'' names no delivery month"),
    ],
)
def test_a_symbol_that_could_mean_several_months_is_refused(
    text: str, near: int | None, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        ContractMonth.parse(text, reference_year=near)
    assert message in str(caught.value)


# -- contracts


def test_a_contract_is_exact_and_becomes_an_instrument() -> None:
    gold = contract(
        "GCZ3",
        root="GC",
        last_trade=dt.date(2013, 12, 27),
        first_notice="2013-11-29",
        multiplier=100,
        tick_size="0.1",
        calendar="CMEGlobex_GC",
        settlement=Settlement.PHYSICAL,
        venue="COMEX",
    )
    assert (gold.tick_size, gold.first_notice) == (Decimal("0.1"), dt.date(2013, 11, 29))
    assert gold.instrument(matching_source="daily") == Instrument(
        "GCZ3",
        asset_class=AssetClass.FUTURE,
        currency="USD",
        calendar="CMEGlobex_GC",
        tick_size="0.1",
        multiplier=100,
        venue="COMEX",
        matching_source="daily",
        last_trade=dt.date(2013, 12, 27),
    )
    assert gold.instrument(last_trade=None).last_trade is None


def test_notice_may_be_given_on_the_last_trade() -> None:
    notice = contract(first_notice="2013-12-20", settlement="physical").first_notice
    assert notice == dt.date(2013, 12, 20)


def test_negative_prices_are_passed_on() -> None:
    assert contract("CLK0", allows_negative_prices=True).instrument().allows_negative_prices


def test_the_year_of_a_symbol_is_the_one_nearest_to_the_last_trade() -> None:
    # CLF4 delivers in January 2014 and trades last in December 2013.
    assert str(contract("CLF4", last_trade="2013-12-19").delivery_month) == "2014-01"
    assert contract("front").delivery_month is None
    assert str(contract("front", month="2014-01").delivery_month) == "2014-01"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first_notice": "2013-12-21", "settlement": "physical"}, "first_notice: 2013-12-21 is after the"),
        ({"first_notice": "2013-11-29"}, "settled in cash gives no notice of delivery; give None"),
        ({"last_trade": "2013-12-32"}, "last_trade: expected a date, found '2013-12-32'"),
        ({"last_trade": dt.datetime(2013, 12, 20)}, "last_trade: expected a date, found datetime"),
        ({"last_trade": None}, "last_trade: expected a date, found None"),
        ({"first_notice": 20131129}, "first_notice: expected a date, found 20131129"),
        ({"multiplier": 0}, "multiplier: expected a number above zero, found 0"),
        ({"tick_size": "a quarter"}, "tick_size: expected a number above zero, found 'a quarter'"),
        ({"settlement": "csh"}, "allowed: cash, physical; did you mean 'cash'?"),
        ({"root": " ES"}, "root: expected a text without surrounding spaces"),
        ({"calendar": ""}, "calendar: expected a text without surrounding spaces"),
        ({"month": "Dec 13"}, "month: expected a month such as 2013-12, found 'Dec 13'"),
        ({"allows_negative_prices": 1}, "allows_negative_prices: expected true or false, found 1"),
    ],
)
def test_a_field_that_is_not_usable_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        contract(**fields)
    assert message in str(caught.value)
    assert "'ESZ3'" in str(caught.value)


def test_all_faults_of_a_contract_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        contract(multiplier=-1, tick_size=0, settlement="barter")
    assert [finding.path for finding in caught.value.findings] == ["tick_size", "multiplier", "settlement"]


# -- chains


def test_a_chain_is_found_by_symbol_and_becomes_instruments(es: FuturesChain) -> None:
    assert (len(es), es.calendar) == (3, "CME_Equity")
    assert es["ESH4"].last_trade == dt.date(2014, 3, 21)
    assert [each.symbol for each in es.instruments()] == ["ESZ3", "ESH4", "ESM4"]
    assert {each.asset_class for each in es.instruments()} == {AssetClass.FUTURE}
    with pytest.raises(UnknownNameError, match="unknown contract of ES 'ESH3'; known: ESH4, ESM4, ESZ3"):
        es["ESH3"]


H4 = {"symbol": "ESH4", "last_trade": "2014-03-21"}


@pytest.mark.parametrize(
    ("contracts", "message"),
    [
        ([], "contracts: expected at least one, found ()"),
        (["ESZ3"], "contracts[0]: expected a FuturesContract, found 'ESZ3'"),
        ([contract(), contract()], "contracts[1]: ESZ3 is already contracts[0]; each symbol once"),
        ([contract(), contract(**H4, root="NQ")], "contracts[1]: ESH4 is of root 'NQ', the chain of 'ES'"),
        (
            [contract(**H4), contract()],
            "contracts[1]: ESH4 before it trades last on 2014-03-21, after ESZ3 on 2013-12-20; sort by",
        ),
        ([contract(), contract("ESZ13")], "trades last on 2013-12-20, as ESZ13 on 2013-12-20"),
        (
            [contract(), contract(**H4, calendar="CMES")],
            "contracts[1]: ESH4 has calendar 'CMES', contracts[0] has 'CME_Equity'; sessions are counted on",
        ),
        ([contract(), contract(**H4, currency="EUR")], "ESH4 has currency 'EUR', contracts[0] has 'USD'"),
        (
            [
                contract("CN3", first_notice="2013-12-02", settlement="physical"),
                contract("CU3", last_trade="2014-01-15", first_notice="2013-11-29", settlement="physical"),
            ],
            "first notice of CU3 on 2013-11-29 is not after that of CN3 on 2013-12-02",
        ),
    ],
)
def test_a_chain_out_of_order_is_refused(contracts: list[Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FuturesChain("ES", contracts)
    assert message in str(caught.value)


TABLE = pl.DataFrame(
    {
        "symbol": ["ESH4", "ESZ3", "NQZ3"],
        "root": ["ES", "ES", "NQ"],
        "last_trade": [dt.date(2014, 3, 21), dt.date(2013, 12, 20), dt.date(2013, 12, 20)],
        "multiplier": [50.0, 50.0, 20.0],
        "tick_size": [0.25, 0.25, 0.25],
        "settlement": ["cash", "cash", "cash"],
    }
)


def test_a_table_may_be_in_any_sequence_and_hold_other_roots() -> None:
    chain = FuturesChain.from_frame(TABLE, "ES", calendar="CME_Equity")
    assert chain.symbols == ("ESZ3", "ESH4")
    assert chain["ESZ3"] == contract()


@pytest.mark.parametrize(
    ("table", "constants", "message"),
    [
        (TABLE, {}, "the table of contracts has no calendar; add columns, or give"),
        (
            TABLE,
            {"calendar": "CMES", "multiplier": 50},
            "multiplier is a column of the table and given as 50",
        ),
        (TABLE, {"calender": "CMES"}, "'calender' is no field of a contract"),
        (TABLE.rename({"last_trade": "last_trade_date"}), {"calendar": "CMES"}, "did you mean 'last_trade'?"),
        (TABLE.drop("symbol"), {"calendar": "CMES", "symbol": "ESZ3"}, "every contract has its own"),
        (TABLE.filter(root="NQ"), {"calendar": "CMES"}, "no row of the table is of root 'ES'; it has NQ"),
        (TABLE.clear(), {"calendar": "CMES"}, "no row of the table is of root 'ES'; it has no rows"),
    ],
)
def test_a_table_that_does_not_say_all_is_refused(
    table: pl.DataFrame, constants: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        FuturesChain.from_frame(table, "ES", **constants)
    assert message in str(caught.value)


def test_every_fault_of_a_table_is_told_with_the_symbol() -> None:
    table = TABLE.with_columns(multiplier=pl.Series([0.0, -1.0, 20.0]))
    with pytest.raises(ConfigError) as caught:
        FuturesChain.from_frame(table, "ES", calendar="CMES")
    assert [finding.path for finding in caught.value.findings] == ["ESH4.multiplier", "ESZ3.multiplier"]


def test_a_chain_is_cut_down_to_the_months_that_trade(gold: FuturesChain) -> None:
    assert gold.in_months("GJMQVZ").symbols == ("GCZ3", "GCG4", "GCJ4")
    with pytest.raises(DataError, match="'A' of 'GA' is no month code; allowed are FGHJKMNQUVXZ"):
        gold.in_months("GA")
    with pytest.raises(DataError, match="no contract of GC delivers in 'H'; they deliver in FGJZ"):
        gold.in_months("H")
    first, *others = gold.contracts
    unnamed = FuturesChain("GC", [attrs.evolve(first, symbol="front"), *others])
    with pytest.raises(DataError, match="the delivery month of front is not known"):
        unnamed.in_months("Z")
