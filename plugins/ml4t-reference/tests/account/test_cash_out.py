"""Instruments that end: orders, positions, round trips, and what is sent afterwards; worked by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results, StopLoss, Strategy, run
from ml4t.core.errors import ModelError
from ml4t.core.models import BorrowOut, FundingOut, InterestOut

from .play import DAY, both, buy, market, nothing, play, sell

END = "2024-01-03T00:00:00Z"
PRICES = ("open", "high", "low", "close")
FEE = {"commission_model": {"type": "PerOrder", "fee": 2.5}}


def go(*steps: Any, kind: str = "delisting", amount: str | None = None, **broker: Any) -> Results:  # noqa: ANN401
    """Play steps on A at 10 and 20, which ends at the start of 3 January, and on B, which goes on at 10."""
    rows = {"symbol": ["A"], "ex_date": [DAY.replace(day=3)], "kind": [kind], "amount": [amount]}
    actions = pl.DataFrame(rows, schema_overrides={"amount": pl.String})
    days = [DAY + dt.timedelta(days=day) for day in range(5)]
    flat = pl.DataFrame({"symbol": "B", "session": days, "volume": 1e6} | dict.fromkeys(PRICES, 10.0))
    others = DataFeed(flat, name="others", stamp="session", calendar="24/7")
    return play([market(10, 20, actions=actions), others], *steps, **broker)


def postings(results: Results) -> list[tuple[str, str, float]]:
    rows = results.ledger.filter(pl.col("kind") == "cash_out")
    assert rows["order_id"].is_null().all()
    assert set(rows["symbol"]) <= {"A"}
    return [
        (debit, credit, float(amount)) for debit, credit, amount in rows["debit", "credit", "amount"].rows()
    ]


@pytest.mark.parametrize(
    ("sent", "amount", "expected"),
    [
        (buy(10), "35", [("cash", "inventory", 200), ("cash", "realized_pnl", 150)]),
        (buy(10), "0", [("cash", "inventory", 200), ("realized_pnl", "cash", 200)]),
        # At its last price, which is what it cost: no result.
        (buy(10), None, [("cash", "inventory", 200)]),
        # What is short pays.
        (sell(10), "35", [("inventory", "cash", 200), ("realized_pnl", "cash", 150)]),
        (sell(10), "0", [("inventory", "cash", 200), ("cash", "realized_pnl", 200)]),
        (nothing, "35", []),
    ],
)
def test_what_is_held_is_paid_out(sent: Any, amount: str | None, expected: list[Any]) -> None:  # noqa: ANN401
    results = go(sent, amount=amount)
    assert postings(results) == expected
    assert results.positions.filter(pl.col("session") > DAY.replace(day=2)).is_empty()


def test_every_lot_becomes_a_round_trip_and_the_shares_add_up() -> None:
    # 3 x 0.335 are 1.005, which is 1.00 in cents; the shares of that are thirds.
    lots = both(buy(1), buy(1), buy(1))
    results = go(lots, kind="cash_merger", amount="0.335", posting_quantum="0.01", **FEE)
    trips = results.round_trips
    assert postings(results)[1] == ("realized_pnl", "cash", 59)
    assert trips["exit_price"].to_list() == [1 / 3] * 3
    assert trips.select("entry_order_id", "exit_order_id", "fees").rows() == [
        (1, None, 2.5),
        (2, None, 2.5),
        (3, None, 2.5),
    ]
    assert trips["ts_exit"].dt.strftime("%FT%TZ").unique().to_list() == [END]


def test_its_orders_are_canceled_with_what_follows_from_that() -> None:
    def send(broker: Any) -> None:  # noqa: ANN401
        broker.set_position_rules(StopLoss(pct=0.5))
        broker.buy("A", 1)
        parent = broker.buy("A", 1, limit_price=1)
        broker.buy("B", 1, parent=parent)
        first = broker.buy("A", 2, limit_price=1)
        broker.buy("A", 3, limit_price=1, oco=first)
        broker.buy("B", 4, limit_price=1, oco=first)

    events = go(send).order_events.filter(pl.col("status") == "canceled")
    assert events.select("order_id", "reason_code").rows() == [
        (2, "DELISTED"),
        (3, "PARENT_ENDED"),
        (4, "DELISTED"),
        (5, "GROUP_ENDED"),
        (6, "GROUP_ENDED"),
        (7, "DELISTED"),
    ]
    assert events["ts_event"].dt.strftime("%FT%TZ").unique().to_list() == [END]
    assert events["reason"][0] == "the instrument was delisted"


def test_what_is_sent_afterwards_is_refused() -> None:
    late = both(buy(1), buy(1, limit_price="-1"), buy("1.5"), buy(1, limit_price="1.00000000001"))
    orders = go(nothing, nothing, late).orders
    assert orders["reason_code"].to_list() == ["DELISTED", "DELISTED", "OFF_LOT", "OFF_TICK"]
    assert orders["reason"][0] == f"A was delisted at {END} (A, 2024-01-04T00:00:00Z)"


def test_what_its_orders_set_aside_is_free_again() -> None:
    # 450 of 1,000 are set aside; 900 are free after the end.
    rest = lambda broker: broker.buy("B", 90, limit_price=10)  # noqa: E731
    orders = go(both(buy(90, limit_price=5), rest), nothing, rest, allows_short=False).orders
    assert orders["reason_code"].to_list() == ["DELISTED", "INSUFFICIENT_BUYING_POWER", ""]


@attrs.frozen
class Answers:
    """A model that always answers the same."""

    answer: Any

    def evaluate(self, args: Any) -> Any:  # noqa: ANN401
        return self.answer


class Short(Strategy):
    """Sells A short at its first call."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not broker.positions:
            broker.sell("A", 1)


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("borrow", BorrowOut(1e30), "borrow: fee 1e30 leaves the range of money"),
        ("funding", FundingOut(-1e30), "funding: payment -1e30 leaves the range of money"),
        ("interest", InterestOut(2e20), "interest: payment 2e20 leaves the range of money"),
    ],
)
def test_what_holding_costs_has_to_be_an_amount_of_money(kind: str, answer: object, words: str) -> None:
    times = [dt.datetime(2024, 1, 3, 12, tzinfo=dt.UTC)]
    rows = pl.DataFrame({"symbol": ["A"], "ts_event": times, "funding_rate": [0.1]})
    tables: dict[str, Any] = {"funding": rows} if kind == "funding" else {}
    config = {"backtest": {"engine": "reference"}, "broker": {"allows_short": True}}
    with pytest.raises(ModelError, match=words):
        run(Short, market(10, 10, 10, 10), config=config, models={kind: Answers(answer)}, **tables)
