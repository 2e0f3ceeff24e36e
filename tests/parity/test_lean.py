"""What LEAN publishes for its regression algorithms, against runs of ml4t under the profile `lean`.

LEAN does not run here. The prices are in a folder outside the repository that `ML4T_VENDOR_DATA` names;
without it every test that needs them is skipped.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache

import polars as pl
import pytest

from ml4t.backtest import Results

from .changes import UNNOTICED, VECTOR_CHANGES
from .lean import ALGORITHMS, run_algorithm
from .lean_data import FOLDER, Adjustment, Vendor, folder
from .lean_published import Row, cents, end_of, published
from .ours import Broker

TABLES = published()
VECTORS = {row["algorithm"]: row for row in TABLES["vector"]}
FUTURES = "FuturesDailySettlementLongRegressionAlgorithm"


@cache
def vendor() -> Vendor:
    """Return the prices; skip where they are absent."""
    found = folder()
    if found is None:
        pytest.skip(f"{FOLDER} names no folder with the prices")
    return Vendor(found)


@cache
def ran(algorithm: str, *, alone: bool = False) -> Results:
    """Return the results of an algorithm; it runs once."""
    return run_algorithm(algorithm, vendor(), alone=alone)


def outcome(row: Row, prefix: str = "") -> tuple[Decimal, Decimal]:
    """Return equity and fees of a row."""
    return Decimal(row[f"{prefix}equity"]), Decimal(row[f"{prefix}fees"])


def text(changes: Broker) -> str:
    """Return changes in a line."""
    return ", ".join(f"{key}={value}" for key, value in changes.items())


each_vector = pytest.mark.parametrize("row", VECTORS.values(), ids=list(VECTORS))


def test_every_algorithm_has_published_results() -> None:
    assert list(ALGORITHMS) == list(VECTORS)


def test_an_adjusted_price_takes_the_factor_of_the_first_date_that_is_not_before_its_session() -> None:
    """Of 100.01 at 0.5 and 0.25 times 2; the factor of a day holds on that day."""
    days = [dt.date(2024, 3, day) for day in (4, 5, 6)]
    adjustment = Adjustment(((days[1], Decimal("0.5")), (dt.date(2050, 1, 1), Decimal("0.25") * 2 / 10)))
    frame = pl.DataFrame({"session": days, "close": [100.01, 100.01, None]})
    assert adjustment.of(frame, ["close"])["close"].to_list() == [50.005, 50.005, None]
    assert adjustment.factor(days[2]) == Decimal("0.05")


@each_vector
def test_end_equity_and_fees_are_the_published_ones_to_the_cent(row: Row) -> None:
    assert end_of(ran(row["algorithm"])) == outcome(row)


@each_vector
def test_orders_fill_at_these_instants_in_these_sizes(row: Row) -> None:
    fills = ran(row["algorithm"]).fills.select("ts_event", "side", "quantity").rows()
    assert [f"{when:%Y-%m-%dT%H:%M} {side} {quantity:g}" for when, side, quantity in fills] == row["fills"]


@each_vector
def test_the_profile_alone_gives_what_the_page_says(row: Row) -> None:
    found = end_of(ran(row["algorithm"], alone=True))
    assert found == outcome(row, "alone_")
    assert found != outcome(row), "what is added makes no difference any more"


def test_the_fill_takes_the_ask_with_the_factor_of_its_day() -> None:
    price = ran("BasicTemplateAlgorithm").fills["price"][0]
    assert f"{price:.4f}" == VECTORS["BasicTemplateAlgorithm"]["first_price"]


def test_thirty_three_dividends_of_13_26_in_all_go_to_cash() -> None:
    postings = ran("DividendRegressionAlgorithm").ledger.filter(kind="dividend", debit="cash")
    assert postings.height == 33
    assert sum(postings["amount"]) == 512 * Decimal("13.26")


def test_a_split_of_a_little_less_than_seven_leaves_six_shares_and_92_22_in_cash() -> None:
    results = ran("SplitPartialShareRegressionAlgorithm")
    postings = results.ledger.filter(kind="cash_in_lieu")
    received = [
        amount * ((debit == "cash") - (credit == "cash"))
        for debit, credit, amount in postings.select("debit", "credit", "amount").iter_rows()
    ]
    assert cents(float(sum(received))) == Decimal("92.22")
    last = results.portfolio_history.row(-1, named=True)
    close = vendor().table("equity_minute_trade", symbol="AAPL", regular=True)["close"][-1]
    assert cents(last["equity"] - last["cash"]) == cents(6 * close)


def test_cash_and_equity_of_futures_are_the_published_cash_at_each_settlement() -> None:
    history = ran(FUTURES).portfolio_history.filter(pl.col("session").is_not_null())
    found = [
        {"session": session, "equity": str(cents(equity)), "cash": str(cents(cash))}
        for session, equity, cash in history.select("session", "equity", "cash").iter_rows()
    ]
    assert found == TABLES["close"]
    assert all(row["cash"] == row["equity"] for row in found)


@pytest.mark.parametrize(
    ("changes", "noticed"),
    [pytest.param(changes, names, id=text(changes)) for changes, names in VECTOR_CHANGES],
)
def test_a_changed_value_of_the_profile_is_noticed(changes: Broker, noticed: set[str]) -> None:
    found = {
        algorithm
        for algorithm, row in VECTORS.items()
        if end_of(run_algorithm(algorithm, vendor(), changes=changes)) != outcome(row)
    }
    assert found == noticed


@each_vector
def test_policies_that_the_page_calls_without_effect_have_none(row: Row) -> None:
    results = run_algorithm(row["algorithm"], vendor(), changes=UNNOTICED)
    assert end_of(results) == outcome(row)
