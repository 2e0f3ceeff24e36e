"""Orders towards a target: of one instrument, of a basket, and out of a position."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, OrderHandle, OrderStatus, OrderType, Side
from ml4t.core.errors import DataError, OrderError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

CASH = {"initial_cash": 1_000}


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 10, 10, 20, 20, 20], "B": [100, 100, 100, 50, 50, 50]})


@pytest.mark.parametrize("percent", [0.5, "0.5", Decimal("0.50"), np.float64(0.5)])
def test_a_percent_is_a_fraction_of_equity_at_the_last_price(
    play: Play, market: DataFeed, percent: object
) -> None:
    run = play({0: lambda now: now.broker.order_target_percent("A", percent)}, market, broker=CASH)
    assert (run[0].side, run[0].quantity, run[0].order_type) == (Side.BUY, 50.0, OrderType.MARKET)


THIRD = Decimal(1) / Decimal(3)


@pytest.mark.parametrize("percent", [1 / 3, THIRD, str(THIRD), "0." + "3" * 60], ids=repr)
def test_a_fraction_may_have_as_many_digits_as_python_gives_it(
    play: Play, market: DataFeed, percent: object
) -> None:
    steps = {0: lambda now: now.broker.order_target_percent("A", percent)}
    assert play(steps, market, broker={"initial_cash": 1_000_000})[0].quantity == 33_333.0
    steps = {0: lambda now: now.broker.order_target_weights({"A": percent})[0]}
    assert play(steps, market, broker={"initial_cash": 1_000_000})[0].quantity == 33_333.0


@pytest.mark.parametrize("value", [1000 / 3, 1000 * THIRD, "333." + "3" * 40], ids=repr)
def test_a_value_may_have_as_many_digits_as_python_gives_it(
    play: Play, market: DataFeed, value: object
) -> None:
    assert play({0: lambda now: now.broker.order_target_value("A", value)}, market)[0].quantity == 33.0


def test_a_target_quantity_off_the_lot_is_a_rejection_like_that_of_an_order(
    play: Play, market: DataFeed
) -> None:
    run = play({0: lambda now: now.broker.order_target_quantity("A", 1.5)}, market)
    assert (run[0].status, run[0].reason_code) == (OrderStatus.REJECTED, "OFF_LOT")
    assert "quantity 1.5" in run[0].reason


def test_equity_counts_cash_and_all_positions(play: Play, market: DataFeed) -> None:
    # 40 of A at 20 and 6 of B at 50 beside no cash: 1,100.
    steps = {
        0: lambda now: [now.broker.buy("A", 40), now.broker.buy("B", 6)],
        3: lambda now: (now.broker.get_account_value(), now.broker.order_target_percent("B", 0.5).quantity),
    }
    assert play(steps, market, broker=CASH)[3] == (1_100.0, 5.0)


@pytest.mark.parametrize(
    ("value", "quantity"), [(200, 20.0), ("209.99", 20.0), (Decimal(210), 21.0), (9.99, 0.0), (0, 0.0)]
)
def test_a_value_is_rounded_toward_zero_to_whole_lots(
    play: Play, market: DataFeed, value: object, quantity: float
) -> None:
    order = play({0: lambda now: now.broker.order_target_value("A", value)}, market, broker=CASH)[0]
    assert (0.0 if order is None else order.quantity) == quantity


def test_a_negative_target_is_a_short_position_rounded_toward_zero(play: Play, market: DataFeed) -> None:
    steps = {
        0: lambda now: [
            now.broker.order_target_value("A", -209.99),
            now.broker.order_target_percent("B", "-0.55"),
        ]
    }
    run = play(steps, market, broker={**CASH, "allows_short": True})
    assert [(o.side, o.quantity) for o in run[0]] == [(Side.SELL, 20.0), (Side.SELL, 5.0)]


def test_lots_are_whole(play: Play, daily: Build) -> None:
    feed = daily({"A": [10] * 3}, instruments=[Instrument("A", lot_size=7, calendar="24/7")])
    run = play({0: lambda now: now.broker.order_target_value("A", 400)}, feed)
    assert run[0].quantity == 35.0


def test_the_multiplier_counts_in_a_value(play: Play, daily: Build) -> None:
    feed = daily({"A": [10] * 3}, instruments=[Instrument("A", multiplier=50, calendar="24/7")])
    assert play({0: lambda now: now.broker.order_target_value("A", 1_600)}, feed)[0].quantity == 3.0


def test_fractional_instruments_reach_their_target_to_the_last_unit(play: Play, daily: Build) -> None:
    feed = daily({"A": [3, 3, 3]}, instruments=[Instrument.fractional("A", calendar="24/7")])
    run = play({0: lambda now: now.broker.order_target_value("A", 100)}, feed)
    assert run[0].quantity == 33.33333333


@pytest.mark.parametrize("quantity", [30, 30.0, "30", Decimal(30)])
def test_a_target_quantity_orders_the_difference(play: Play, market: DataFeed, quantity: object) -> None:
    steps = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.order_target_quantity("A", quantity),
        2: lambda now: now.broker.order_target_quantity("A", 5),
        3: lambda now: now.broker.order_target_quantity("A", 5),
    }
    run = play(steps, market, broker=CASH)
    assert run.fills == [("A", "buy", 10.0, 10.0), ("A", "buy", 20.0, 10.0), ("A", "sell", 25.0, 20.0)]
    assert run[3] is None


def test_a_target_through_zero_turns_the_position_round(play: Play, market: DataFeed) -> None:
    steps = {
        0: lambda now: now.broker.order_target_quantity("A", 10),
        1: lambda now: now.broker.order_target_quantity("A", -10),
        2: lambda now: now.broker.get_position("A").quantity,
    }
    assert play(steps, market, broker={**CASH, "allows_short": True})[2] == -10.0


def test_working_market_orders_count_as_filled(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> list[Any]:
        broker = now.broker
        return [
            broker.order_target_quantity("A", 20),
            broker.order_target_quantity("A", 20),
            broker.order_target_percent("A", 0.3),
            broker.order_target_value("A", 300),
            broker.close_position("A"),
            broker.close_position("A"),
        ]

    run = play({0: send}, market, broker=CASH)
    quantities = [None if order is None else (order.side.value, order.quantity) for order in run[0]]
    assert quantities == [("buy", 20.0), None, ("buy", 10.0), None, ("sell", 30.0), None]
    assert run.results.positions.height == 0


def test_market_orders_that_the_venue_has_but_could_not_fill_yet_count_too(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, (10, 10, 10, 10, 0), (10, 10, 10, 10, 0), 10]})
    steps = {n: lambda now: now.broker.order_target_quantity("A", 20) for n in range(3)}
    run = play(steps, feed)
    assert [run[n] is None for n in range(3)] == [False, True, True]
    assert run.fills == [("A", "buy", 20.0, 10.0)]


def test_resting_orders_do_not_count(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> object:
        now.broker.buy("A", 20, limit_price=5)
        now.broker.buy("A", 20, stop_price=50)
        return now.broker.order_target_quantity("A", 20)

    assert play({0: send}, market, broker={"initial_cash": 10_000})[0].quantity == 20.0


def test_a_canceled_or_rejected_order_does_not_count(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> None:
        now.broker.buy("A", 1_000)

    def again(now: Now) -> tuple[Any, ...]:
        order = now.broker.order_target_quantity("A", 20)
        order.cancel()
        return order.quantity, now.strategy.broker.rejected_orders[0].quantity

    def third(now: Now) -> object:
        return now.broker.order_target_quantity("A", 20).quantity

    run = play({0: send, 1: again, 2: third}, market, broker=CASH)
    assert run[1] == (20.0, 1_000.0)
    assert run[2] == 20.0


def test_what_cannot_be_sized_for_want_of_a_price_is_a_rejection(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, 10, 10], "Z": [None, None, 10]})

    def send(now: Now) -> list[OrderHandle]:
        b = now.broker
        return [
            b.order_target_percent("Z", 0.5),
            b.order_target_value("Z", 50),
            b.order_target_value("Z", -50),
        ]

    run = play({0: send}, feed)
    sentence = (
        "Z has no price yet to size an order with (2024-01-02T00:00:00Z); wait for its first row, "
        "or send a quantity"
    )
    assert [(o.status.value, o.reason_code, o.reason) for o in run[0]] == [
        ("rejected", "NO_PRICE", sentence)
    ] * 3
    assert [order.side.value for order in run[0]] == ["buy", "buy", "sell"]


def test_a_quantity_and_nothing_at_all_need_no_price(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, 10, 10], "Z": [None, None, 10]})

    def send(now: Now) -> None:
        assert now.broker.order_target_quantity("Z", 5).quantity == 5.0
        assert now.broker.order_target_value("Z", 0).quantity == 5.0
        assert now.broker.close_position("Z") is None

    assert play({0: send}, feed).fills == [("Z", "buy", 5.0, 10.0), ("Z", "sell", 5.0, 10.0)]


@pytest.mark.parametrize("method", ["order_target_percent", "order_target_value", "order_target_quantity"])
@pytest.mark.parametrize("number", [True, "half", None, float("nan")])
def test_a_target_that_is_no_number_is_refused(
    play: Play, market: DataFeed, method: str, number: object
) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError, match="is not a finite number"):
            getattr(now.broker, method)("A", number)

    assert play({0: send}, market).results.orders.height == 0


def test_targets_take_a_lifetime_and_a_tag(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> list[Any]:
        b = now.broker
        return [
            b.order_target_percent("A", 0.1, time_in_force="day", tag="p"),
            b.order_target_value("B", 100, time_in_force="day", tag="v"),
            b.order_target_quantity("B", 2, time_in_force="day", tag="q"),
            b.close_position("A", time_in_force="day", tag="c"),
        ]

    orders = play({0: send}, market, broker=CASH).results.orders
    assert orders.select("symbol", "quantity", "time_in_force", "tag").rows() == [
        ("A", 10.0, "day", "p"),
        ("B", 1.0, "day", "v"),
        ("B", 1.0, "day", "q"),
        ("A", 10.0, "day", "c"),
    ]


# -- baskets ---------------------------------------------------------------------------------------------

BASKET = {"A": [10] * 6, "B": [10] * 6, "C": [10] * 6, "D": [10] * 6}


def test_a_basket_sends_sells_first_and_then_goes_by_symbol(play: Play, daily: Build) -> None:
    steps = {
        0: lambda now: now.broker.order_target_weights({"D": 0.5, "B": 0.5}),
        1: lambda now: now.broker.order_target_weights({"D": 0.1, "C": 0.5, "B": 0.1, "A": 0.3}),
    }
    run = play(steps, daily(BASKET), broker=CASH)
    assert run.fills == [
        ("B", "buy", 50.0, 10.0),
        ("D", "buy", 50.0, 10.0),
        ("B", "sell", 40.0, 10.0),
        ("D", "sell", 40.0, 10.0),
        ("A", "buy", 30.0, 10.0),
        ("C", "buy", 50.0, 10.0),
    ]
    assert [order.id for order in run[1]] == [3, 4, 5, 6]


def test_the_order_of_the_mapping_does_not_matter(play: Play, daily: Build) -> None:
    weights = {"D": 0.2, "A": 0.3, "C": 0.1}
    one = play({0: lambda now: now.broker.order_target_weights(weights)}, daily(BASKET))
    reverse = dict(reversed(weights.items()))
    other = play({0: lambda now: now.broker.order_target_weights(reverse)}, daily(BASKET))
    assert one.results.orders.equals(other.results.orders)


def test_a_full_basket_is_paid_for_by_its_own_sells(play: Play, daily: Build) -> None:
    steps = {
        0: lambda now: now.broker.order_target_weights({"A": 1.0}),
        1: lambda now: now.broker.order_target_weights({"B": 1.0}),
        2: lambda now: (now.broker.get_cash(), sorted(now.broker.positions)),
    }
    run = play(steps, daily(BASKET), broker=CASH)
    assert run[2] == (0.0, ["B"])
    assert run.results.orders["status"].to_list() == ["filled"] * 3


def test_what_the_basket_does_not_name_is_closed_unless_kept(play: Play, daily: Build) -> None:
    def held(now: Now) -> dict[str, float]:
        return {symbol: position.quantity for symbol, position in now.broker.positions.items()}

    steps = {
        0: lambda now: now.broker.order_target_weights({"A": 0.2, "B": -0.2}),
        1: lambda now: now.broker.order_target_weights({"C": 0.1}, keep_others=True),
        2: held,
        3: lambda now: now.broker.order_target_weights({"C": 0.1}),
        4: held,
    }
    run = play(steps, daily(BASKET), broker={**CASH, "allows_short": True})
    assert run[2] == {"A": 20.0, "B": -20.0, "C": 10.0}
    assert run[4] == {"C": 10.0}


def test_an_empty_basket_closes_everything(play: Play, daily: Build) -> None:
    steps = {
        0: lambda now: now.broker.order_target_weights({"A": 0.2, "C": 0.2}),
        1: lambda now: [order.asset for order in now.broker.order_target_weights({})],
        2: lambda now: now.broker.positions,
    }
    run = play(steps, daily(BASKET), broker=CASH)
    assert (run[1], run[2]) == (["A", "C"], {})


def test_a_basket_that_is_reached_sends_nothing(play: Play, daily: Build) -> None:
    steps = {n: lambda now: now.broker.order_target_weights({"A": 0.2, "C": "0.3"}) for n in range(3)}
    run = play(steps, daily(BASKET), broker=CASH)
    assert [len(run[n]) for n in range(3)] == [2, 0, 0]


def test_what_of_a_basket_has_no_price_is_refused_and_the_rest_is_sent(play: Play, daily: Build) -> None:
    feed = daily({**BASKET, "Z": [None, None, None, 10]})
    run = play({0: lambda now: now.broker.order_target_weights({"A": 0.5, "Z": 0.5})}, feed, broker=CASH)
    assert [(order.asset, order.status.value, order.reason_code) for order in run[0]] == [
        ("A", "filled", ""),
        ("Z", "rejected", "NO_PRICE"),
    ]


def test_a_basket_with_a_weight_that_is_no_number_sends_nothing(play: Play, daily: Build) -> None:
    def send(now: Now) -> None:
        with pytest.raises(OrderError, match="weight = 'half' is not a finite number"):
            now.broker.order_target_weights({"A": 0.5, "B": "half"})

    assert play({0: send}, daily(BASKET)).results.orders.height == 0


@pytest.mark.parametrize("weights", [None, 0.5, "A", [("A", 0.5)]])
def test_weights_that_are_no_mapping_are_a_type_error(play: Play, daily: Build, weights: object) -> None:
    def send(now: Now) -> None:
        with pytest.raises(TypeError, match="mapping"):
            now.broker.order_target_weights(weights)

    play({0: send}, daily(BASKET))


# -- closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opening", "closing"), [("buy", "sell"), ("sell", "buy")])
def test_closing_sends_what_takes_the_position_to_zero(
    play: Play, market: DataFeed, opening: str, closing: str
) -> None:
    steps = {
        0: lambda now: getattr(now.broker, opening)("A", 7),
        1: lambda now: now.broker.close_position("A"),
        2: lambda now: (now.broker.get_position("A"), now.broker.close_position("A")),
    }
    run = play(steps, market, broker={**CASH, "allows_short": True})
    assert run.fills == [("A", opening, 7.0, 10.0), ("A", closing, 7.0, 10.0)]
    assert run[2] == (None, None)


def test_closing_counts_the_entry_that_is_still_working(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, (10, 10, 10, 10, 0), 10, 10]})
    steps = {0: lambda now: now.broker.buy("A", 7), 1: lambda now: now.broker.close_position("A")}
    run = play(steps, feed)
    assert run.fills == [("A", "buy", 7.0, 10.0), ("A", "sell", 7.0, 10.0)]
    assert run[1].status is OrderStatus.FILLED


# -- what a size may be made from ------------------------------------------------------------------------


def test_a_target_is_sized_with_the_price_that_the_strategy_can_read(play: Play) -> None:
    day = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = [
        {
            "symbol": "A",
            "ts_open": day + dt.timedelta(hours=n),
            "ts_event": day + dt.timedelta(hours=n + 1),
            # The second row becomes known one hour after it is complete.
            "ts_arrival": day + dt.timedelta(hours=n + 1 + (n == 1)),
            "open": price,
            "high": price,
            "low": price,
            "close": price,
            "volume": 1e6,
        }
        for n, price in enumerate([10.0, 50.0, 50.0, 50.0])
    ]
    feed = DataFeed(pl.DataFrame(rows), stamp="event", calendar="24/7")
    clock = pl.DataFrame({"ts_event": [day + dt.timedelta(hours=2)], "vix": [1.0]})
    context = DataFeed(clock, name="clock", kind="context", stamp="event")

    def send(now: Now) -> tuple[float, float]:
        return now.data["A"]["close"], now.broker.order_target_value("A", 100).quantity

    assert play({1: send}, [feed, context])[1] == (10.0, 10.0)


def test_numbers_of_a_size_beyond_64_bits_are_refused(play: Play, market: DataFeed) -> None:
    def send(now: Now) -> None:
        with pytest.raises((OverflowError, DataError, OrderError), match=r"range|large"):
            now.broker.order_target_percent("A", 10**30)
        with pytest.raises((OverflowError, DataError, OrderError), match=r"range|large"):
            now.broker.order_target_value("A", 10**25)

    assert play({0: send}, market).results.orders.height == 0


def held(now: Now) -> dict[str, float]:
    return {symbol: position.quantity for symbol, position in now.broker.positions.items()}


def test_the_last_of_two_baskets_sent_before_an_open_is_the_portfolio(play: Play, market: DataFeed) -> None:
    def both(now: Now) -> None:
        now.broker.order_target_weights({"A": 0.5})
        now.broker.order_target_weights({"B": 0.5})

    run = play({0: both, 1: held}, market, broker=CASH)
    assert run[1] == {"B": 5.0}


def test_a_basket_may_keep_what_was_sent_for_others(play: Play, market: DataFeed) -> None:
    def both(now: Now) -> None:
        now.broker.order_target_weights({"A": 0.4})
        now.broker.order_target_weights({"B": 0.4}, keep_others=True)

    run = play({0: both, 1: held}, market, broker=CASH)
    assert run[1] == {"A": 40.0, "B": 4.0}
