"""What nobody lends cannot be sold short: `available` of the borrow rates."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, run
from ml4t.core.types import AssetClass

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
BARS = pl.DataFrame(
    {
        "symbol": ["XYZ"] * 5,
        "session": DAYS,
        **{field: [50.0] * 5 for field in ("open", "high", "low", "close")},
        "volume": [1e6] * 5,
    }
)


def terms(*rows: tuple[dt.date, float | None]) -> pl.DataFrame:
    schema = {"symbol": pl.String, "ts_event": pl.Date, "borrow_rate": pl.Float64, "available": pl.Float64}
    return pl.DataFrame(
        [("XYZ", day, 0.1, available) for day, available in rows], schema=schema, orient="row"
    )


def codes(orders: dict[int, list[dict[str, Any]]], borrow: pl.DataFrame, engine: str) -> list[str]:
    return [*results(orders, borrow, engine).orders["reason_code"]]


def results(
    orders: dict[int, list[dict[str, Any]]],
    borrow: pl.DataFrame,
    engine: str,
    instrument: Instrument | None = None,
) -> Results:
    class Script(Strategy):
        def on_start(self) -> None:
            self.calls, self.sent = 0, []

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            for order in orders.get(self.calls, ()):
                if "change" in order:
                    broker.modify_order(self.sent[order["change"]], quantity=order["quantity"])
                else:
                    self.sent.append(broker.submit_order("XYZ", **order))
            self.calls += 1

    account = {"allows_short": True, "leverage": 4, "borrow_model": {"type": "BorrowFee"}}
    account["interest_model"] = {"type": "CashInterest", "credit": 0.36}
    config = {"backtest": {"engine": engine}, "broker": account}
    declared = [] if instrument is None else [instrument]
    feed = DataFeed(BARS, stamp="session", instruments=declared)
    return run(Script, feed, config=config, borrow=borrow)


REFUSED = "NOT_AVAILABLE_TO_BORROW"
pytestmark = pytest.mark.parametrize("engine", ["rust", "reference"])


@pytest.mark.parametrize(("quantity", "code"), [(100, ""), (101, REFUSED)])
def test_no_more_than_is_available_can_be_sold_short(engine: str, quantity: int, code: str) -> None:
    assert codes({0: [{"quantity": -quantity}]}, terms((DAYS[0], 100)), engine) == [code]


def test_the_sentence_says_how_much_and_when(engine: str) -> None:
    found = results({0: [{"quantity": -101}]}, terms((DAYS[0], 100)), engine)
    assert found.orders["reason"][0] == (
        "XYZ: with this order 101 would be sold short, 100 can be borrowed (2024-03-04T21:00:00Z)"
    )
    assert found.orders["status"][0] == "rejected"


def test_what_is_held_is_sold_without_a_lender(engine: str) -> None:
    orders = {0: [{"quantity": 30}], 1: [{"quantity": -30}], 2: [{"quantity": -1}]}
    assert codes(orders, terms((DAYS[0], 0)), engine) == ["", "", REFUSED]


def test_what_turns_a_position_needs_a_lender_for_what_is_beyond_it(engine: str) -> None:
    orders = {0: [{"quantity": 30}], 1: [{"quantity": -41}], 2: [{"quantity": -40}]}
    assert codes(orders, terms((DAYS[0], 10)), engine) == ["", REFUSED, ""]


def test_other_sells_at_work_count_and_a_short_position_does(engine: str) -> None:
    limit = {"order_type": "limit", "limit_price": 90.0}
    orders = {0: [{"quantity": -60, **limit}, {"quantity": -50}, {"quantity": -40}], 2: [{"quantity": -1}]}
    assert codes(orders, terms((DAYS[0], 100)), engine) == ["END_OF_DATA", REFUSED, "", REFUSED]


def test_an_order_that_only_reduces_and_a_purchase_need_none(engine: str) -> None:
    orders = {0: [{"quantity": -5, "reduce_only": True}, {"quantity": 5}]}
    assert REFUSED not in codes(orders, terms((DAYS[0], 0)), engine)


def test_the_row_in_force_when_the_order_is_taken_in_counts(engine: str) -> None:
    orders = {day: [{"quantity": -10}] for day in range(4)}
    rows = terms((DAYS[0], 10), (DAYS[2], 40), (DAYS[3], None))
    assert codes(orders, rows, engine) == ["", REFUSED, "", ""]


def test_a_change_to_a_larger_sale_needs_a_lender_too(engine: str) -> None:
    limit = {"quantity": -60, "order_type": "limit", "limit_price": 60.0}
    orders = {0: [limit], 1: [{"change": 0, "quantity": 500}], 2: [{"change": 0, "quantity": 100}]}
    found = results(orders, terms((DAYS[0], 100)), engine)
    told = found.order_events.filter(pl.col("reason_code").str.starts_with("REPLACE")).rows(named=True)
    assert [row["reason_code"] for row in told] == ["REPLACE_REJECTED", "REPLACED"]
    assert "with this order 500 would be sold short, 100 can be borrowed" in told[0]["reason"]
    assert found.orders["quantity"].to_list() == [100]


def test_nothing_is_borrowed_for_a_derivative(engine: str) -> None:
    future = Instrument("XYZ", asset_class=AssetClass.FUTURE, calendar="XNYS")
    found = results({0: [{"quantity": -50}]}, terms((DAYS[0], 0)), engine, future)
    assert found.fills.height == 1
    assert "borrow" not in found.ledger["kind"]
    (interest, *_) = found.ledger.filter(pl.col("kind") == "interest")["amount"]
    assert interest == 100  # 100,000 x 36 % / 360, the value of the short included


def test_a_position_that_is_short_stays_when_less_becomes_available(engine: str) -> None:
    found = results({0: [{"quantity": -10}]}, terms((DAYS[0], 10), (DAYS[2], 0)), engine)
    assert found.positions["quantity"].to_list() == [-10] * 4
    assert found.orders.height == 1
