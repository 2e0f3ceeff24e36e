"""What the engine refuses, and how it says so: a state, a code and a sentence; never an exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    Engine,
    Instrument,
    OrderEvent,
    OrderStatus,
    PITData,
    Strategy,
    Timestamp,
)
from ml4t.engine._engine import Run, reason_codes
from ml4t.engine.compile import describe

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

CASH = {"initial_cash": 1_000}


def only(run: object) -> dict[str, Any]:
    (order,) = run.results.orders.to_dicts()
    return dict(order)


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 10, 10, 10]})


@pytest.mark.parametrize(
    ("order", "code", "sentence"),
    [
        (
            {"quantity": 1, "limit_price": 9.995},
            "OFF_TICK",
            "limit_price 9.995 is not a multiple of tick_size 0.01 (A, 2024-01-02T00:00:00Z)",
        ),
        (
            {"quantity": 1, "stop_price": "11.001"},
            "OFF_TICK",
            "stop_price 11.001 is not a multiple of tick_size 0.01 (A, 2024-01-02T00:00:00Z)",
        ),
        (
            {"quantity": 1, "limit_price": 0},
            "PRICE_NOT_POSITIVE",
            "limit_price 0 must be above zero (A, 2024-01-02T00:00:00Z)",
        ),
        (
            {"quantity": 1, "stop_price": -5},
            "PRICE_NOT_POSITIVE",
            "stop_price -5 must be above zero (A, 2024-01-02T00:00:00Z)",
        ),
        (
            {"quantity": 101},
            "INSUFFICIENT_BUYING_POWER",
            "buy 101 A needs buying power of 1010, 1000 is free (2024-01-02T00:00:00Z)",
        ),
        (
            {"quantity": 1, "side": "sell"},
            "SHORT_NOT_ALLOWED",
            "sells 1 A, the account holds 0 and may not sell short (2024-01-02T00:00:00Z)",
        ),
    ],
    ids=["limit off tick", "stop off tick", "limit of zero", "stop below zero", "too little cash", "short"],
)
def test_a_refused_order_says_what_was_found_what_is_allowed_and_where(
    play: Play, market: DataFeed, order: dict[str, Any], code: str, sentence: str
) -> None:
    def send(now: Now) -> object:
        terms = {"order_type": _type_of(order), **order}
        return now.broker.submit_order("A", **terms)

    run = play({0: send, 1: lambda now: now.broker.rejected_orders}, market, broker=CASH)
    assert run[1] == [run[0]]
    assert (run[0].status, run[0].reason_code, run[0].reason) == (OrderStatus.REJECTED, code, sentence)
    row = only(run)
    assert (row["status"], row["reason_code"], row["reason"]) == ("rejected", code, sentence)
    assert row["ts_closed"] == row["ts_submitted"]
    assert row["ts_accepted"] is None
    assert run.results.fills.height == 0
    assert code in dict(reason_codes())


def _type_of(order: dict[str, Any]) -> str:
    return "limit" if "limit_price" in order else "stop" if "stop_price" in order else "market"


def test_a_quantity_off_the_lot_is_refused(play: Play, daily: Build) -> None:
    feed = daily({"A": [10] * 3}, instruments=[Instrument("A", lot_size=100, calendar="24/7")])
    run = play({0: lambda now: [now.broker.buy("A", 150), now.broker.buy("A", 200)]}, feed)
    assert [order.status for order in run[0]] == [OrderStatus.REJECTED, OrderStatus.FILLED]
    expected = "quantity 150 is not a multiple of lot_size 100 (A, 2024-01-02T00:00:00Z)"
    assert (run[0][0].reason_code, run[0][0].reason) == ("OFF_LOT", expected)


def test_an_instrument_that_no_feed_matches_takes_no_orders(
    engine: Callable[..., Engine], market: DataFeed
) -> None:
    made = engine(Strategy, market)
    spec = describe(made.config, made.data, made._models, warm_from=0)
    spec["instruments"][0]["matching"] = None
    run = Run(spec)
    sent = []
    run.execute({"on_data": lambda timestamp, data, context, broker: sent.append(broker.buy("A", 1))})
    assert {order.reason_code for order in sent} == {"NO_MARKET_DATA"}
    assert sent[0].reason == "no feed to match orders on (A, 2024-01-02T00:00:00Z)"


def test_an_order_for_an_instrument_without_rows_in_the_period_waits_in_vain(
    play: Play, daily: Build
) -> None:
    feed = daily({"A": [10] * 5, "LATER": [None] * 4 + [7]})
    period = {"end_date": "2024-01-03"}
    later = [Instrument("LATER", calendar="24/7")]
    run = play({0: lambda now: now.broker.buy("LATER", 1)}, feed, backtest=period, instruments=later)
    assert (run[0].status, run[0].reason_code) == (OrderStatus.CANCELED, "END_OF_DATA")


def test_an_order_before_the_first_row_waits_for_it(play: Play, daily: Build) -> None:
    feed = daily({"A": [10] * 4, "Z": [None, None, None, 7]})
    run = play({0: lambda now: now.broker.buy("Z", 1)}, feed)
    assert run.fills == [("Z", "buy", 1.0, 7.0)]


def test_orders_of_the_warm_up_are_refused(run_of: Play, market: DataFeed) -> None:
    class Warming(Strategy):
        warmup = 2

        def __init__(self) -> None:
            self.orders: list[Any] = []

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            self.orders.append(broker.buy("A", 1))

    strategy = Warming()
    results = run_of(strategy, market)
    assert results.orders["status"].to_list() == ["rejected", "filled", "filled", "canceled"]
    assert (
        strategy.orders[0].reason == "orders are refused until 2024-01-03T00:00:00Z (A, 2024-01-02T00:00:00Z)"
    )
    assert strategy.orders[0].reason_code == "WARM_UP"


def test_negative_prices_are_legal_where_the_instrument_says_so(play: Play, daily: Build) -> None:
    crude = Instrument("A", allows_negative_prices=True, calendar="24/7")
    feed = daily({"A": [5, -10, -37.63, -20]}, instruments=[crude])
    steps = {
        0: lambda now: now.broker.buy("A", 1, limit_price=-30),
        2: lambda now: now.broker.close_position("A"),
    }
    run = play(steps, feed, broker={**CASH, "allows_short": True})
    # The third bar opens at -37.63, below the limit.
    assert run.fills == [("A", "buy", 1.0, -37.63), ("A", "sell", 1.0, -20.0)]


def test_cash_that_is_gone_by_the_fill_rejects_the_order_then(play: Play, daily: Build) -> None:
    run = play({0: lambda now: now.broker.buy("A", 100)}, daily({"A": [10, 11, 11]}), broker=CASH)
    row = only(run)
    assert (row["status"], row["reason_code"]) == ("rejected", "INSUFFICIENT_CASH")
    assert (
        row["reason"]
        == "buy 100 A at 11 with fee 0 needs more than the account has: cash 1000, buying power 1000 "
        "(2024-01-02T00:00:00Z)"
    )
    assert row["ts_accepted"] == row["ts_submitted"]


@pytest.mark.parametrize(
    ("policy", "rows", "status", "code"),
    [
        ("partial", [("A", "buy", 90.0, 11.0)], "canceled", "INSUFFICIENT_CASH"),
        ("wait", [("A", "buy", 100.0, 9.0)], "filled", ""),
    ],
)
def test_what_the_account_cannot_pay_for_is_a_policy(
    play: Play, daily: Build, policy: str, rows: list[Any], status: str, code: str
) -> None:
    broker = {**CASH, "policies": {"insufficient_cash": policy}}
    run = play({0: lambda now: now.broker.buy("A", 100)}, daily({"A": [10, 11, 9, 9]}), broker=broker)
    assert run.fills == rows
    assert (only(run)["status"], only(run)["reason_code"]) == (status, code)


def test_orders_of_one_instant_share_the_buying_power_in_their_sequence(play: Play, market: DataFeed) -> None:
    run = play({0: lambda now: [now.broker.buy("A", n) for n in (60, 50, 40)]}, market, broker=CASH)
    assert [order.status.value for order in run[0]] == ["filled", "rejected", "filled"]


def test_orders_meet_the_market_as_they_were_sent_so_a_sell_pays_for_what_follows_it(
    play: Play, daily: Build
) -> None:
    feed = daily({"A": [10] * 4, "B": [10] * 4})

    def swap(*sent: str) -> Any:  # noqa: ANN401 - of many kinds
        methods = {"buy": lambda now: now.broker.buy("B", 100), "sell": lambda now: now.broker.sell("A", 100)}
        steps = {
            0: lambda now: now.broker.buy("A", 100),
            1: lambda now: [methods[name](now) for name in sent],
        }
        return {
            order.side.value: (order.status.value, order.reason_code)
            for order in play(steps, feed, broker=CASH)[1]
        }

    assert swap("sell", "buy") == {"sell": ("filled", ""), "buy": ("filled", "")}
    # At intake the sell counts for the buy that was sent before it; at the open it comes too late.
    assert swap("buy", "sell") == {"sell": ("filled", ""), "buy": ("rejected", "INSUFFICIENT_CASH")}


def test_a_sell_may_count_on_a_buy_sent_with_it(play: Play, market: DataFeed) -> None:
    run = play({0: lambda now: [now.broker.buy("A", 10), now.broker.sell("A", 10)]}, market)
    assert [order.status.value for order in run[0]] == ["filled", "filled"]


def test_two_sells_of_one_holding_end_with_the_second_refused(play: Play, market: DataFeed) -> None:
    steps = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: [now.broker.sell("A", 10), now.broker.sell("A", 10)],
    }
    run = play(steps, market)
    assert [order.status.value for order in run[1]] == ["filled", "rejected"]
    assert run[1][1].reason_code == "SHORT_NOT_ALLOWED"


def test_every_rejection_is_an_order_event(run_of: Callable[..., Any], market: DataFeed) -> None:
    seen = []

    class Watches(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if not seen:
                broker.sell("A", 1)

        def on_order(self, event: OrderEvent) -> None:
            seen.append((event.previous_status.value, event.status.value, event.reason_code))

    run_of(Watches(), market)
    assert seen == [("created", "submitted", ""), ("submitted", "rejected", "SHORT_NOT_ALLOWED")]


def test_every_code_has_a_sentence_of_its_own() -> None:
    codes = reason_codes()
    assert len(dict(codes)) == len(codes) == len({sentence for _, sentence in codes}) >= 12
    assert all(code.isupper() and sentence and sentence[-1] != "." for code, sentence in codes)


def test_every_order_that_ended_otherwise_than_filled_has_code_and_sentence(
    play: Play, market: DataFeed
) -> None:
    def send(now: Now) -> None:
        b = now.broker
        b.buy("A", 1)
        b.buy("A", 1, limit_price=1, time_in_force="day")
        b.buy("A", 1, limit_price=1).cancel()
        b.buy("A", 1, limit_price=1)
        b.buy("A", 10**9)

    orders = play({0: send}, market, broker=CASH).results.orders
    assert orders["reason_code"].to_list() == [
        "",
        "SESSION_CLOSED",
        "CANCELED_BY_REQUEST",
        "END_OF_DATA",
        "INSUFFICIENT_BUYING_POWER",
    ]
    assert [bool(reason) for reason in orders["reason"]] == [False, True, True, True, True]
