"""What the end of an instrument does: a cash merger, a delisting; and what a stock dividend is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import DataFeed, Strategy, run
from ml4t.core.errors import DataError
from ml4t.core.schemas import TABLES

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11, 12)]
END = dt.date(2024, 3, 8)
Go = Callable[..., Any]


def bars(symbol: str, price: float, count: int = len(DAYS)) -> pl.DataFrame:
    edges = {"open": price, "high": price + 2, "low": price - 2, "close": price, "volume": 1e6}
    return pl.DataFrame({"symbol": [symbol] * count, "session": DAYS[:count]}).with_columns(
        pl.lit(value).alias(name) for name, value in edges.items()
    )


MARKET = pl.concat([bars("AAA", 50.0), bars("XYZ", 30.0, 4)])


def action(kind: str, **fields: Any) -> pl.DataFrame:  # noqa: ANN401
    row = {"symbol": "XYZ", "ex_date": END, "kind": kind, "ratio": None, "amount": None} | fields
    return pl.DataFrame([row], schema_overrides={"ratio": pl.String, "amount": pl.String})


class Script(Strategy):
    """Sends orders by the number of the call."""

    orders: dict[int, list[dict[str, Any]]]

    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for order in self.orders.get(self.calls, ()):
            broker.submit_order(**order)
        self.calls += 1


def script(orders: dict[int, list[dict[str, Any]]]) -> type[Script]:
    return type("Own", (Script,), {"orders": orders})


@pytest.fixture(params=["rust", "reference"])
def go(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
    def make(
        strategy: type[Strategy], actions: pl.DataFrame, market: pl.DataFrame = MARKET, **broker: object
    ) -> Any:  # noqa: ANN401
        account = {"initial_cash": 10_000, "allows_short": True} | broker
        config = {"backtest": {"engine": request.param}, "broker": account}
        feed = DataFeed(market, stamp="session", actions=actions)
        first, second = (run(strategy, feed, config=config) for _ in range(2))
        for name in TABLES:
            assert_frame_equal(first.table(name), second.table(name))
        return first

    return make


def xyz(quantity: float, **terms: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"asset": "XYZ", "quantity": quantity, **terms}


def cash_outs(results: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    rows = results.ledger.filter(pl.col("kind") == "cash_out")
    return [(*row[:-1], float(row[-1])) for row in rows.select("debit", "credit", "amount").rows()]


@pytest.mark.parametrize(
    ("kind", "amount", "value"),
    [
        ("cash_merger", "35", 3_500),
        ("delisting", "0", 0),
        ("delisting", None, 3_000),
        ("delisting", "1.23", 123),
    ],
)
def test_a_long_position_is_closed_for_what_a_share_is_worth(
    go: Go,
    kind: str,
    amount: str | None,
    value: float,
) -> None:
    results = go(script({0: [xyz(100)]}), action(kind, amount=amount))
    gain = value - 3_000
    expected = [("cash", "inventory", 3_000.0)]
    if gain:
        expected.append(("cash", "realized_pnl", gain) if gain > 0 else ("realized_pnl", "cash", -gain))
    assert cash_outs(results) == expected
    assert results.portfolio_history["equity"][-1] == 10_000 + gain
    (trip,) = results.round_trips.rows(named=True)
    assert (trip["exit_order_id"], trip["net_pnl"], trip["exit_price"]) == (None, gain, value / 100)
    assert trip["ts_exit"] == dt.datetime(2024, 3, 8, 5, tzinfo=dt.UTC)
    assert "XYZ" not in results.positions.filter(pl.col("session") >= END)["symbol"]


def test_a_short_position_pays(go: Go) -> None:
    results = go(script({0: [xyz(-100)]}), action("cash_merger", amount="35"))
    assert cash_outs(results) == [("inventory", "cash", 3_000.0), ("realized_pnl", "cash", 500.0)]
    assert results.portfolio_history["equity"][-1] == 9_500


def test_each_lot_is_a_round_trip_and_keeps_the_fee_of_its_entry(go: Go) -> None:
    orders = {0: [xyz(10)], 1: [xyz(20)]}
    fee = {"commission_model": {"type": "PerOrder", "fee": 1.5}}
    results = go(script(orders), action("cash_merger", amount="35"), **fee)
    trips = results.round_trips.select("quantity", "gross_pnl", "fees", "entry_order_id", "exit_order_id")
    assert trips.rows() == [(10, 50, 1.5, 1, None), (20, 100, 1.5, 2, None)]
    assert results.trade_statistics["trades"]["all"] == 2


def test_orders_end_with_their_instrument_and_take_their_children_along(go: Go) -> None:
    orders = {
        0: [xyz(10), {"asset": "AAA", "quantity": 5, "order_type": "limit", "limit_price": 10.0}],
        1: [
            xyz(-10, order_type="limit", limit_price=90.0),
            {"asset": "AAA", "quantity": 1, "order_type": "limit", "limit_price": 11.0},
        ],
        5: [xyz(7)],
    }
    results = go(script(orders), action("delisting", amount="0"))
    found = results.orders.select("symbol", "quantity", "status", "reason_code").rows()
    assert found == [
        ("XYZ", 10, "filled", ""),
        ("AAA", 5, "canceled", "END_OF_DATA"),
        ("XYZ", 10, "canceled", "DELISTED"),
        ("AAA", 1, "canceled", "END_OF_DATA"),
        ("XYZ", 7, "rejected", "DELISTED"),
    ]
    assert "XYZ was delisted at 2024-03-08T05:00:00Z" in results.orders["reason"][4]
    events = results.order_events.filter(pl.col("order_id") == 3)
    assert events["ts_event"][-1] == dt.datetime(2024, 3, 8, 5, tzinfo=dt.UTC)


def test_a_dividend_of_the_last_day_is_still_earned_and_paid(go: Go) -> None:
    both = pl.concat(
        [
            action("delisting", amount="20").with_columns(pay_date=pl.lit(None, dtype=pl.Date)),
            action("cash_dividend", amount="0.5").with_columns(pay_date=pl.lit(DAYS[-1])),
        ]
    )
    results = go(script({0: [xyz(100)]}), both)
    assert results.portfolio_history["equity"][-1] == 10_000 - 1_000 + 50
    assert results.attribution.filter(pl.col("symbol") == "XYZ")["dividends"].sum() == Decimal(50)


def test_what_an_instrument_ends_with_is_price_in_the_attribution(go: Go) -> None:
    results = go(script({0: [xyz(100)]}), action("delisting", amount="0"))
    rows = results.attribution.filter(pl.col("symbol") == "XYZ", pl.col("session") == END)
    assert rows.select("price", "total").rows() == [(Decimal(-3_000), Decimal(-3_000))]


def test_nobody_is_asked_about_an_instrument_that_is_not_held(go: Go) -> None:
    results = go(script({}), action("delisting", amount="0"))
    assert results.ledger["kind"].to_list() == ["deposit"]


def test_a_stock_dividend_is_a_split_of_one_and_its_ratio(go: Go) -> None:
    orders = {0: [xyz(100)], 1: [xyz(-100, order_type="limit", limit_price=42.0)]}
    market = pl.concat([bars("AAA", 50.0), bars("XYZ", 30.0)])
    stock = go(script(orders), action("stock_dividend", ratio="1/20"), market)
    split = go(script(orders), action("split", ratio="21/20"), market)
    for name in TABLES:
        assert_frame_equal(stock.table(name), split.table(name))
    assert stock.positions["quantity"][-1] == 105
    assert stock.orders.row(1, named=True)["limit_price"] == 40.0


def refused(actions: pl.DataFrame, market: pl.DataFrame = MARKET) -> str:
    with pytest.raises(DataError) as caught:
        run(script({}), DataFeed(market, stamp="session", actions=actions))
    return str(caught.value)


def test_rows_after_the_end_are_refused() -> None:
    found = refused(action("delisting"), pl.concat([bars("AAA", 50.0), bars("XYZ", 30.0, 5)]))
    assert "XYZ ends at 2024-03-08T05:00:00Z, and has a row of feed prices that is not before" in found
    assert "2024-03-08T21:00:00Z" in found


@pytest.mark.parametrize(
    ("kind", "day", "fields"),
    [
        ("split", END, {"ratio": "2"}),
        ("cash_dividend", dt.date(2024, 3, 11), {"amount": "1"}),
        ("delisting", dt.date(2024, 3, 11), {}),
    ],
)
def test_actions_after_the_end_are_refused(kind: str, day: dt.date, fields: dict[str, str]) -> None:
    found = refused(
        pl.concat([action("delisting"), action(kind, **fields).with_columns(ex_date=pl.lit(day))])
    )
    assert "XYZ ends at 2024-03-08T05:00:00Z, and has a corporate action that is not before, at" in found


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("cash_merger", {"amount": "0"}, "it takes an amount above zero"),
        ("cash_merger", {}, "it takes an amount above zero"),
        ("delisting", {"amount": "-1"}, "it takes an amount of zero or more, or none, and nothing else"),
        ("delisting", {"ratio": "2"}, "and nothing else"),
        ("stock_dividend", {"ratio": "0"}, "ratio '0' is not a fraction above zero"),
        ("stock_dividend", {"amount": "1"}, "it takes a ratio above zero"),
    ],
)
def test_an_action_that_says_too_little_or_too_much_is_refused(
    kind: str, fields: dict[str, str], words: str
) -> None:
    assert words in refused(action(kind, **fields))


def test_two_ends_of_one_day_are_refused() -> None:
    found = refused(pl.concat([action("delisting"), action("cash_merger", amount="3")]))
    assert "XYZ ends twice on 2024-03-08" in found
