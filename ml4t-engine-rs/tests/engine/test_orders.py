"""Sending orders: what the broker takes, and the live handle that it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    Engine,
    Instrument,
    OrderHandle,
    OrderStatus,
    OrderType,
    PITData,
    Side,
    Strategy,
    TimeInForce,
    Timestamp,
)
from ml4t.core.errors import DataError, NumericOverflowError, OrderError, UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

PRICES = {"A": [10, 11, 12, 13], "B": [100, 101, 102, 103]}


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily(PRICES)


@pytest.mark.parametrize(
    "quantity",
    [7, 7.0, "7", " 7.00 ", Decimal("7.0"), Decimal("0.7E+1"), np.int64(7), np.float64(7.0), np.float32(7)],
)
def test_a_quantity_is_an_int_a_float_a_text_or_a_decimal(
    play: Play, market: DataFeed, quantity: object
) -> None:
    run = play({0: lambda now: now.broker.submit_order("A", quantity)}, market)
    assert run.fills == [("A", "buy", 7.0, 11.0)]


@pytest.mark.parametrize(
    "price", [11.5, "11.5", "11.500", Decimal("11.50"), np.float64(11.5), np.float32(11.5)]
)
def test_equal_prices_are_one_price_however_they_are_written(
    play: Play, market: DataFeed, price: object
) -> None:
    run = play({0: lambda now: now.broker.buy("A", 1, limit_price=price)}, market)
    assert run[0].limit_price == 11.5
    assert run.fills == [("A", "buy", 1.0, 11.0)]


def test_a_tenth_is_a_tenth_and_not_the_binary_number_beside_it(play: Play, daily: Build) -> None:
    coin = Instrument.fractional("A", calendar="24/7")
    feed = daily({"A": [10, 11, 12]}, instruments=[coin])
    run = play({0: lambda now: [now.broker.buy("A", 0.1), now.broker.buy("A", 0.2)]}, feed)
    (held,) = run.results.positions.filter(session=run.results.positions["session"].max())["quantity"]
    assert held == 0.3


@pytest.mark.parametrize(
    "quantity", [True, None, "seven", "", float("nan"), float("inf"), Decimal("NaN"), [7], 7j]
)
def test_what_is_no_number_is_refused_and_shown(play: Play, market: DataFeed, quantity: object) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError, match="quantity") as refusal:
            now.broker.submit_order("A", quantity)
        assert repr(quantity) in str(refusal.value)

    assert play({0: send}, market).results.orders.height == 0


@pytest.mark.parametrize(
    "side", [Side.BUY, "buy", "BUY", "Buy"], ids=["member", "value", "upper case", "capitalised"]
)
def test_a_side_is_a_member_or_its_name_in_any_case(play: Play, market: DataFeed, side: object) -> None:
    assert play({0: lambda now: now.broker.submit_order("A", 3, side)}, market)[0].side is Side.BUY


def test_without_a_side_the_sign_of_the_quantity_is_the_direction(play: Play, market: DataFeed) -> None:
    run = play({0: lambda now: now.broker.submit_order("A", -3)}, market, broker={"allows_short": True})
    assert (run[0].side, run[0].quantity) == (Side.SELL, 3.0)
    assert run.fills == [("A", "sell", 3.0, 11.0)]


def test_a_sign_beside_a_side_is_refused(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError, match=r"above zero.*\(A, 2024-01-02T00:00:00Z\)"):
            now.broker.submit_order("A", -3, Side.SELL)

    play({0: send}, market)


@pytest.mark.parametrize("quantity", [0, 0.0, "0"])
def test_an_order_without_a_size_is_refused(play: Play, market: DataFeed, quantity: object) -> None:
    def send(now: Now) -> None:
        for method in (now.broker.submit_order, now.broker.buy, now.broker.sell):
            with pytest.raises(OrderError, match="quantity of an order must be above zero"):
                method("A", quantity)

    assert play({0: send}, market).results.orders.height == 0


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, OrderType.MARKET),
        ({"limit_price": 9}, OrderType.LIMIT),
        ({"stop_price": 12}, OrderType.STOP),
        ({"limit_price": 13, "stop_price": 12}, OrderType.STOP_LIMIT),
        ({"limit_price": 9, "order_type": "limit"}, OrderType.LIMIT),
        ({"limit_price": 9, "stop_price": None}, OrderType.LIMIT),
    ],
)
@pytest.mark.parametrize("method", ["buy", "sell"])
def test_buy_and_sell_take_the_type_from_the_prices_given(
    play: Play, market: DataFeed, method: str, keywords: dict[str, Any], expected: OrderType
) -> None:
    broker = {"allows_short": True}
    run = play({0: lambda now: getattr(now.broker, method)("A", 1, **keywords)}, market, broker=broker)
    assert run[0].order_type is expected
    assert run[0].side is Side(method)


@pytest.mark.parametrize(
    ("order_type", "prices", "message"),
    [
        ("limit", {}, "a limit order needs a limit_price"),
        ("stop", {}, "a stop order needs a stop_price"),
        ("stop_limit", {"stop_price": 9}, "a stop_limit order needs a limit_price"),
        ("stop_limit", {"limit_price": 9}, "a stop_limit order needs a stop_price"),
        ("market", {"limit_price": 9}, "a market order takes no limit_price"),
        ("limit", {"limit_price": 9, "stop_price": 9}, "a limit order takes no stop_price"),
        ("stop", {"limit_price": 9, "stop_price": 9}, "a stop order takes no limit_price"),
    ],
)
def test_prices_that_do_not_fit_the_type_are_refused_with_instrument_and_time(
    play: Play, market: DataFeed, order_type: str, prices: dict[str, Any], message: str
) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError) as refusal:
            now.broker.submit_order("A", 1, "buy", order_type, **prices)
        assert str(refusal.value) == f"{message} (A, 2024-01-02T00:00:00Z)"

    assert play({0: send}, market).results.orders.height == 0


@pytest.mark.parametrize(
    ("keywords", "allowed"),
    [
        ({"side": "long"}, "buy, sell"),
        ({"order_type": "moc"}, "market, limit, stop, stop_limit"),
        ({"time_in_force": "forever"}, "day, gtc"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(
    play: Play, market: DataFeed, keywords: dict[str, Any], allowed: str
) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError, match=f"is not known; allowed: {allowed}"):
            now.broker.submit_order("A", 1, **keywords)

    play({0: send}, market)


def test_enum_members_and_their_names_are_one(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> list[OrderHandle]:
        return [
            now.broker.submit_order("A", 1, Side.BUY, OrderType.LIMIT, 10, time_in_force=TimeInForce.DAY),
            now.broker.submit_order("A", 1, "buy", "LIMIT", 10, time_in_force="Day"),
        ]

    orders = play({0: send}, market).results.orders.drop("order_id", "client_order_id")
    assert orders.row(0) == orders.row(1)
    assert (orders["order_type"][0], orders["time_in_force"][0]) == ("limit", "day")


def test_orders_work_until_canceled_unless_told_otherwise(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> list[OrderHandle]:
        return [
            now.broker.buy("A", 1, limit_price=9),
            now.broker.buy("A", 1, limit_price=9, time_in_force="day"),
        ]

    run = play({0: send, 1: lambda now: [o.status for o in run_handles(now)]}, market)
    assert run[1] == [OrderStatus.ACCEPTED, OrderStatus.EXPIRED]
    assert run.results.orders["status"].to_list() == ["canceled", "expired"]
    assert run.results.orders["reason_code"].to_list() == ["END_OF_DATA", "SESSION_CLOSED"]


def run_handles(now: Now) -> list[OrderHandle]:
    handles: list[OrderHandle] = now.strategy.returned[0]
    return handles


@pytest.mark.parametrize("symbol", ["a", "AA", "C"])
def test_an_unknown_symbol_is_named_with_the_known_ones(play: Play, market: DataFeed, symbol: str) -> None:
    def send(now: Now) -> None:
        calls = [
            lambda: now.broker.submit_order(symbol, 1),
            lambda: now.broker.buy(symbol, 1),
            lambda: now.broker.sell(symbol, 1),
            lambda: now.broker.get_position(symbol),
            lambda: now.broker.close_position(symbol),
            lambda: now.broker.order_target_percent(symbol, 0.5),
            lambda: now.broker.order_target_value(symbol, 5),
            lambda: now.broker.order_target_quantity(symbol, 5),
            lambda: now.broker.order_target_weights({"B": 0.1, symbol: 0.5}),
        ]
        for call in calls:
            with pytest.raises(UnknownNameError, match=f"unknown symbol '{symbol}'; known: A, B"):
                call()

    assert play({0: send}, market).results.orders.height == 0


def test_the_nearest_symbol_is_suggested(play: Play, daily: Build) -> None:
    def send(now: Now) -> None:
        with pytest.raises(UnknownNameError, match=r"did you mean 'AAPL'\?"):
            now.broker.buy("APPL", 1)

    play({0: send}, daily({"AAPL": [1, 2], "IBM": [1, 2]}))


@pytest.mark.parametrize("symbol", [7, None, b"A", ("A",)])
def test_a_symbol_that_is_no_text_is_a_type_error(play: Play, market: DataFeed, symbol: object) -> None:
    def send(now: Now) -> None:
        with pytest.raises(TypeError, match="a symbol is a str, found"):
            now.broker.buy(symbol, 1)

    play({0: send}, market)


@pytest.mark.parametrize(
    ("keywords", "code", "what"),
    [
        ({"limit_price": 28 / 3}, "OFF_TICK", "limit_price 9.3333333333333"),
        ({"stop_price": 50 / 3}, "OFF_TICK", "stop_price 16.6666666666"),
        ({"quantity": 1.5}, "OFF_LOT", "quantity 1.5"),
        ({"quantity": 1e6 / 3}, "OFF_LOT", "quantity 333333.3333"),
    ],
)
def test_more_decimals_than_the_instrument_keeps_are_a_rejection_like_any_other_number_off_the_grid(
    play: Play, market: DataFeed, keywords: dict[str, Any], code: str, what: str
) -> None:
    # What a strategy computes, such as cash / price, has as many decimals as a float has room for.
    run = play({0: lambda now: now.broker.buy("A", **{"quantity": 1, **keywords})}, market)
    assert (run[0].status, run[0].reason_code) == (OrderStatus.REJECTED, code)
    assert what in run[0].reason


def test_passive_rounding_takes_the_prices_that_strategies_compute(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> list[OrderHandle]:
        buy, sell = now.broker.buy, now.broker.sell
        return [
            buy("A", 1, limit_price=28 / 3),
            sell("A", 1, limit_price=50 / 3),
            buy("A", 1, stop_price=50 / 3),
        ]

    run = play({0: send}, market, broker={"policies": {"tick_rounding": "passive"}, "allows_short": True})
    assert [run[0][0].limit_price, run[0][1].limit_price, run[0][2].stop_price] == [9.33, 16.67, 16.67]


def test_a_number_beyond_64_bits_is_an_overflow_that_names_the_instrument(
    play: Play, market: DataFeed
) -> None:
    def send(now: Now) -> None:
        with pytest.raises(NumericOverflowError, match=r"of A leaves the range of 64 bits"):
            now.broker.buy("A", 10**30)
        with pytest.raises(NumericOverflowError, match=r"of A leaves the range of 64 bits"):
            now.broker.buy("A", 1, limit_price=10**12)

    assert play({0: send}, market).results.orders.height == 0


# -- the handle ------------------------------------------------------------------------------------------


def test_a_handle_shows_what_was_asked_for(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> OrderHandle:
        order: OrderHandle = now.broker.submit_order(
            "A", 5, "sell", "stop_limit", 8, 8.5, time_in_force="day", tag="exit"
        )
        assert (order.asset, order.side, order.order_type) == ("A", Side.SELL, OrderType.STOP_LIMIT)
        assert (order.quantity, order.limit_price, order.stop_price) == (5.0, 8.0, 8.5)
        assert (order.time_in_force, order.tag) == (TimeInForce.DAY, "exit")
        assert (order.filled_quantity, order.leaves_quantity, order.avg_fill_price) == (0.0, 5.0, None)
        assert (order.status, order.is_open, order.reason_code, order.reason) == (
            OrderStatus.CREATED,
            True,
            "",
            "",
        )
        assert order.ts_submitted == now.timestamp
        assert (order.id, int(order), order.client_order_id) == (1, 1, "0-1")
        assert repr(order) == "OrderHandle(1, stop_limit sell 5 A, created)"
        return order

    play({0: send}, market, broker={"allows_short": True})


def test_a_handle_follows_its_order_through_its_life_and_beyond_the_run(play: Play, market: DataFeed) -> None:
    def look(order: OrderHandle) -> tuple[Any, ...]:
        return (
            order.status,
            order.filled_quantity,
            order.leaves_quantity,
            order.avg_fill_price,
            order.is_open,
        )

    def first(now: Now) -> OrderHandle:
        order: OrderHandle = now.broker.buy("A", 10)
        assert look(order) == (OrderStatus.CREATED, 0.0, 10.0, None, True)
        return order

    run = play({0: first, 1: lambda now: look(now.strategy.returned[0])}, market)
    assert run[1] == (OrderStatus.FILLED, 10.0, 0.0, 11.0, False)
    assert look(run[0]) == run[1]


def test_a_partly_filled_order_shows_both_parts(play: Play, daily: Build) -> None:
    feed = daily({"A": [(10, 10, 10, 10, 100)] * 4})
    fill_model = {"type": "Default", "volume_limit": 0.1}

    def look(now: Now) -> tuple[Any, ...]:
        order = now.strategy.returned[0]
        return (order.status, order.filled_quantity, order.leaves_quantity, order.avg_fill_price)

    run = play(
        {0: lambda now: now.broker.buy("A", 25), 1: look, 2: look, 3: look},
        feed,
        broker={"fill_model": fill_model},
    )
    assert [run[n] for n in (1, 2, 3)] == [
        (OrderStatus.PARTIALLY_FILLED, 10.0, 15.0, 10.0),
        (OrderStatus.PARTIALLY_FILLED, 20.0, 5.0, 10.0),
        (OrderStatus.FILLED, 25.0, 0.0, 10.0),
    ]


def test_a_filled_average_weighs_prices_by_their_quantities(play: Play, daily: Build) -> None:
    feed = daily(
        {"A": [(10, 10, 10, 10, 100), (10, 10, 10, 10, 30), (13, 13, 13, 13, 10), (14, 14, 14, 14, 0)]}
    )
    run = play(
        {0: lambda now: now.broker.buy("A", 4)},
        feed,
        broker={"fill_model": {"type": "Default", "volume_limit": 0.1}},
    )
    assert run.fills == [("A", "buy", 3.0, 10.0), ("A", "buy", 1.0, 13.0)]
    assert run[0].avg_fill_price == 10.75


def test_handles_of_one_order_are_equal_and_those_of_others_are_not(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> OrderHandle:
        one, other = now.broker.buy("A", 1), now.broker.buy("A", 1)
        again = now.broker.get_order(one)
        assert again == one
        assert hash(again) == hash(one)
        assert {one: "x"}[again] == "x"
        assert one != other
        assert one != 1
        assert (one == "order") is False
        return one

    first, second = play({0: send}, market), play({0: send}, market)
    # Order 1 of another run is another order.
    assert first[0] != second[0]


def test_an_order_is_found_by_its_handle_and_by_its_id(play: Play, market: DataFeed) -> None:
    def find(now: Now) -> None:
        order = now.strategy.returned[0]
        assert now.broker.get_order(order) == order
        assert now.broker.get_order(1) == order
        assert now.broker.get_order(np.int64(1)) == order

    play({0: lambda now: now.broker.buy("A", 1), 1: find}, market)


@pytest.mark.parametrize("number", [0, 2, 10**6])
def test_an_id_that_was_never_given_is_refused(play: Play, market: DataFeed, number: int) -> None:
    def find(now: Now) -> None:
        for method in (now.broker.get_order, now.broker.cancel_order):
            with pytest.raises(OrderError, match=f"no order {number}; this run has sent 1 so far"):
                method(number)

    play({0: lambda now: now.broker.buy("A", 1), 1: find}, market)


@pytest.mark.parametrize("order", ["1", 1.0, -1, None])
def test_what_names_no_order_is_refused(play: Play, market: DataFeed, order: object) -> None:
    def find(now: Now) -> None:
        for method in (now.broker.get_order, now.broker.cancel_order):
            with pytest.raises(OrderError, match="an order is named by its handle or by its id"):
                method(order)

    play({0: lambda now: now.broker.buy("A", 1), 1: find}, market)


def test_a_handle_of_another_run_is_refused(play: Play, market: DataFeed) -> None:
    earlier = play({0: lambda now: [now.broker.buy("A", 1) for _ in range(3)]}, market)[0]

    def meddle(now: Now) -> None:
        own = now.broker.buy("A", 1, limit_price=5)
        for stranger in (earlier[0], earlier[2]):
            for method in (now.broker.get_order, now.broker.cancel_order):
                with pytest.raises(OrderError, match="another run"):
                    method(stranger)
        assert own.is_open

    run = play({0: meddle}, market)
    assert run.results.orders["reason_code"].to_list() == ["END_OF_DATA"]


def test_open_orders_are_those_that_can_still_change_in_the_order_they_were_sent(
    play: Play, market: DataFeed
) -> None:
    def first(now: Now) -> None:
        resting = [now.broker.buy("B", 1, limit_price=50), now.broker.buy("A", 1, limit_price=5)]
        filling = now.broker.buy("A", 1)
        assert now.broker.open_orders == [*resting, filling]

    def second(now: Now) -> list[int]:
        return [order.id for order in now.broker.open_orders]

    run = play({0: first, 1: second}, market)
    assert run[1] == [1, 2]


def test_a_tag_is_shown_by_the_handle_and_in_the_tables(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> None:
        broker = now.broker
        broker.buy("A", 1, tag="entry")
        broker.sell("A", 1, tag="exit", limit_price=50)
        broker.submit_order("B", 1, tag="entry")
        broker.order_target_quantity("B", 5, tag="target")
        broker.order_target_weights({"A": 0.5}, tag="basket", keep_others=True)
        broker.buy("A", 1)
        broker.buy("A", 1, tag="")

    tags = play({0: send}, market).results.orders["tag"].to_list()
    assert tags == ["entry", "exit", "entry", "target", "basket", "", ""]


def test_ids_are_the_same_in_every_run(engine: Callable[..., Engine], market: DataFeed) -> None:
    class Chatty(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            for symbol in data:
                broker.buy(symbol, 1, limit_price=1)

    def ids() -> Iterator[str]:
        yield from engine(Chatty, market).run().orders["client_order_id"]

    assert list(ids()) == list(ids()) == [f"0-{n}" for n in range(1, 9)]


def test_a_feed_with_bad_prices_never_reaches_the_broker(daily: Build, play: Play) -> None:
    with pytest.raises(DataError):
        play({}, daily({"A": [(10, 9, 11, 10)]}))
