"""Taking orders back, and when orders may be sent: from callbacks, in the thread that runs the strategy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    MarketEvent,
    OrderEvent,
    OrderHandle,
    OrderStatus,
    PITData,
    Strategy,
    Timestamp,
    schedule,
)
from ml4t.core.errors import EngineStateError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]
RunOf = Callable[..., Any]


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 10, 10, 10]})


# -- canceling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["handle", "id", "method"])
def test_a_working_order_is_taken_back(play: Play, market: DataFeed, how: str) -> None:
    def cancel(now: Now) -> bool:
        order = now.strategy.returned[0]
        if how == "method":
            return bool(order.cancel())
        return bool(now.broker.cancel_order(order if how == "handle" else order.id))

    def look(now: Now) -> tuple[Any, ...]:
        order = now.strategy.returned[0]
        return order.status, order.reason_code, order.is_open, now.broker.open_orders

    run = play({0: lambda now: now.broker.buy("A", 1, limit_price=5), 1: cancel, 2: look}, market)
    assert run[1] is True
    assert run[2] == (OrderStatus.CANCELED, "CANCELED_BY_REQUEST", False, [])
    assert run[0].reason == "canceled on request"


@pytest.mark.parametrize("how", ["filled", "canceled", "rejected", "expired"])
def test_a_complete_order_cannot_be_taken_back(play: Play, market: DataFeed, how: str) -> None:
    def send(now: Now) -> OrderHandle:
        b = now.broker
        sent: dict[str, Callable[[], OrderHandle]] = {
            "filled": lambda: b.buy("A", 1),
            "canceled": lambda: b.buy("A", 1, limit_price=5),
            "rejected": lambda: b.buy("A", 10**9),
            "expired": lambda: b.buy("A", 1, limit_price=5, time_in_force="day"),
        }
        order = sent[how]()
        if how == "canceled":
            order.cancel()
        return order

    def cancel(now: Now) -> tuple[Any, ...]:
        order = now.strategy.returned[0]
        return order.status, now.broker.cancel_order(order), order.cancel()

    run = play({0: send, 1: cancel}, market)
    assert run[1] == (OrderStatus(how), False, False)
    assert run[0].status is OrderStatus(how)


def test_an_order_taken_back_in_the_callback_that_sent_it_never_meets_the_market(
    play: Play, market: DataFeed
) -> None:
    def send(now: Now) -> list[bool]:
        order = now.broker.buy("A", 1)
        return [order.cancel(), order.cancel()]

    run = play({0: send}, market)
    assert run[0] == [True, True]
    assert run.fills == []
    assert run.results.order_events.select("status", "reason_code").rows() == [
        ("submitted", ""),
        ("accepted", ""),
        ("canceled", "CANCELED_BY_REQUEST"),
    ]


def test_what_an_order_filled_before_it_was_taken_back_stays(play: Play, daily: Build) -> None:
    feed = daily({"A": [(10, 10, 10, 10, 100)] * 4})
    steps = {0: lambda now: now.broker.buy("A", 25), 2: lambda now: now.strategy.returned[0].cancel()}
    run = play(steps, feed, broker={"fill_model": {"type": "Default", "volume_limit": 0.1}})
    order = run[0]
    # The fill of the third bar is decided at its open and is booked at its end, before the cancel.
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELED, 20.0)
    assert order.reason_code == "CANCELED_BY_REQUEST"


# -- when ------------------------------------------------------------------------------------------------

SENDING: dict[str, Callable[[Any], object]] = {
    "submit_order": lambda broker: broker.submit_order("A", 1),
    "buy": lambda broker: broker.buy("A", 1),
    "sell": lambda broker: broker.sell("A", 1),
    "order_target_percent": lambda broker: broker.order_target_percent("A", "0.5"),
    "order_target_value": lambda broker: broker.order_target_value("A", 50),
    "order_target_quantity": lambda broker: broker.order_target_quantity("A", 5),
    "order_target_weights": lambda broker: broker.order_target_weights({"A": 0.5}),
    "close_position": lambda broker: broker.close_position("A"),
}
CANCELING: dict[str, Callable[[Any], object]] = {
    "cancel_order": lambda broker: broker.cancel_order(1),
    "cancel": lambda broker: broker.get_order(1).cancel(),
}


@pytest.mark.parametrize("name", sorted(SENDING))
def test_no_order_is_sent_in_on_start(run_of: RunOf, market: DataFeed, name: str) -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            with pytest.raises(
                EngineStateError, match="orders can be sent from the first event on, not in on_start"
            ):
                SENDING[name](self.broker)

    assert run_of(Early(), market).orders.height == 0


@pytest.mark.parametrize("name", sorted(SENDING | CANCELING))
def test_nothing_is_sent_or_taken_back_after_the_run(play: Play, market: DataFeed, name: str) -> None:
    run = play({0: lambda now: now.broker.buy("A", 1)}, market)
    with pytest.raises(EngineStateError, match="the run is over; no order can be sent or canceled"):
        (SENDING | CANCELING)[name](run.script.broker)


@pytest.mark.parametrize("name", sorted(SENDING | CANCELING))
def test_nothing_is_sent_or_taken_back_from_another_thread(play: Play, market: DataFeed, name: str) -> None:
    errors: list[BaseException] = []

    def attempt(broker: Broker) -> None:
        try:
            (SENDING | CANCELING)[name](broker)
        except EngineStateError as error:
            errors.append(error)

    def send(now: Now) -> None:
        thread = threading.Thread(target=attempt, args=(now.broker,))
        thread.start()
        thread.join()

    run = play({0: lambda now: now.broker.buy("A", 1, limit_price=5), 1: send}, market)
    assert [str(error) for error in errors] == [
        "orders may be sent only from the thread that runs the strategy"
    ]
    assert run.results.orders["reason_code"].to_list() == ["END_OF_DATA"]


def test_another_thread_may_read_while_a_callback_waits(play: Play, market: DataFeed) -> None:
    seen: list[Any] = []

    def read(now: Now) -> None:
        def look() -> None:
            seen.append((now.broker.get_cash(), now.data["A"]["close"]))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    play({0: read}, market)
    assert seen == [(100_000.0, 10.0)]


def test_two_engines_in_two_threads_do_not_meet(engine: Callable[..., Any], daily: Build) -> None:
    feeds = {symbol: daily({symbol: [10.0 + n % 7 for n in range(300)]}) for symbol in ("A", "B")}
    fills: dict[str, Any] = {}

    class Swings(Strategy):
        def __init__(self, symbol: str) -> None:
            self.symbol = symbol

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            broker.order_target_quantity(self.symbol, data[self.symbol]["close"])

    def go(symbol: str) -> None:
        fills[symbol] = engine(Swings, feeds[symbol], params={"symbol": symbol}).run().fills.drop("symbol")

    threads = [threading.Thread(target=go, args=(symbol,)) for symbol in feeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A new target every day, and none of them fills after the last.
    assert fills["A"].height == 299
    assert fills["A"].equals(fills["B"])


def test_orders_of_the_last_callback_are_answered(run_of: RunOf, market: DataFeed) -> None:
    class Late(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if timestamp.day == 5:
                broker.buy("A", 1, tag="on_data")

        def on_stop(self) -> None:
            self.broker.buy("A", 1, tag="on_stop")
            self.broker.sell("A", 1, tag="refused")
            self.broker.buy("A", 1, tag="taken back").cancel()

    orders = run_of(Late(), market).orders.select("tag", "status", "reason_code").rows()
    # The sell may count on the buys that are still working, and ends with them.
    assert orders == [
        ("on_data", "canceled", "END_OF_DATA"),
        ("on_stop", "canceled", "END_OF_DATA"),
        ("refused", "canceled", "END_OF_DATA"),
        ("taken back", "canceled", "CANCELED_BY_REQUEST"),
    ]


def test_an_order_of_on_stop_can_be_refused(run_of: RunOf, market: DataFeed) -> None:
    class Late(Strategy):
        def on_stop(self) -> None:
            self.order = self.broker.sell("A", 1)

    strategy = Late()
    run_of(strategy, market)
    assert (strategy.order.status, strategy.order.reason_code) == (OrderStatus.REJECTED, "SHORT_NOT_ALLOWED")


def test_on_stop_is_called_once_after_the_last_event(run_of: RunOf, market: DataFeed) -> None:
    calls: list[str] = []

    class Stops(Strategy):
        def on_start(self) -> None:
            calls.append("start")

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            calls.append("data")

        def on_stop(self) -> None:
            calls.append("stop")
            assert self.data.timestamp.day == 5

    run_of(Stops(), market)
    assert calls == ["start", "data", "data", "data", "data", "stop"]


@pytest.mark.parametrize("name", sorted(SENDING))
def test_every_way_of_sending_works_from_every_callback(run_of: RunOf, market: DataFeed, name: str) -> None:
    sent: list[str] = []

    class Everywhere(Strategy):
        def on_start(self) -> None:
            self.schedule(self.on_timer, rule=schedule.session_close("0m"))

        def send(self, place: str) -> None:
            if place not in sent:
                sent.append(place)
                SENDING[name](self.broker)

        def on_bar(self, event: MarketEvent) -> None:
            self.send("on_bar")

        def on_timer(self) -> None:
            self.send("timer")

        def on_daily_close(self) -> None:
            self.send("on_daily_close")

        def on_order(self, event: OrderEvent) -> None:
            self.send("on_order")

        def on_stop(self) -> None:
            self.send("on_stop")

    run_of(Everywhere(), market, broker={"allows_short": True})
    assert {"on_bar", "timer", "on_daily_close", "on_stop"} <= set(sent)
