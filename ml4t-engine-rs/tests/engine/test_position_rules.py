"""Position rules as a strategy sets them: the orders they keep at the venue, and who may set them when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from ml4t.backtest import (
    Broker,
    CompositeRule,
    DataFeed,
    OrderStatus,
    OrderType,
    Results,
    Side,
    StopLoss,
    TakeProfit,
    TrailingStop,
)
from ml4t.core.errors import ConfigError, EngineStateError, UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
RunOf = Callable[..., Results]
Play = Callable[..., Any]

ALL = CompositeRule([StopLoss(pct=0.05), TakeProfit(pct=0.10), TrailingStop(pct=0.08)])


def guarded(rule: object, side: str = "buy") -> Callable[[Any], Any]:
    def step(now: Now) -> object:
        now.broker.set_position_rules(rule)
        return getattr(now.broker, side)("A", 10)

    return step


def rule_orders(now: Now) -> dict[str, tuple[Any, ...]]:
    return {
        order.tag: (order.side, order.order_type, order.quantity, order.limit_price or order.stop_price)
        for order in now.broker.open_orders
    }


def test_the_rules_of_a_long_position_are_orders_at_their_levels(play: Play, daily: Build) -> None:
    run = play({0: guarded(ALL), 1: rule_orders}, daily({"A": [100, 100, 100]}))
    assert run[1] == {
        "stop_loss": (Side.SELL, OrderType.STOP, 10.0, 95.0),
        "take_profit": (Side.SELL, OrderType.LIMIT, 10.0, 110.0),
        "trailing_stop": (Side.SELL, OrderType.STOP, 10.0, 92.0),
    }


def test_the_rules_of_a_short_position_are_mirrored(play: Play, daily: Build) -> None:
    run = play(
        {0: guarded(ALL, "sell"), 1: rule_orders},
        daily({"A": [100, 100, 100]}),
        broker={"allows_short": True},
    )
    assert run[1] == {
        "stop_loss": (Side.BUY, OrderType.STOP, 10.0, 105.0),
        "take_profit": (Side.BUY, OrderType.LIMIT, 10.0, 90.0),
        "trailing_stop": (Side.BUY, OrderType.STOP, 10.0, 108.0),
    }


@pytest.mark.parametrize(
    ("third", "tag", "price"),
    [
        ((100, 101, 94, 100), "stop_loss", 95.0),
        ((93, 94, 93, 94), "stop_loss", 93.0),
        ((100, 111, 99, 110), "take_profit", 110.0),
        ((112, 113, 112, 112), "take_profit", 112.0),
        # Both in one bar: the stop first.
        ((100, 120, 90, 100), "stop_loss", 95.0),
    ],
)
def test_the_rule_that_is_reached_closes_the_position_and_takes_the_others_with_it(
    play: Play, daily: Build, third: tuple[float, ...], tag: str, price: float
) -> None:
    run = play({0: guarded(ALL)}, daily({"A": [100, 100, third, 100]}))
    assert run.fills == [("A", "buy", 10.0, 100.0), ("A", "sell", 10.0, price)]
    orders = run.results.orders.filter(side="sell")
    assert dict(orders.select("tag", "status").iter_rows()) == {
        name: "filled" if name == tag else "canceled"
        for name in ("stop_loss", "take_profit", "trailing_stop")
    }
    assert set(orders.filter(status="canceled")["reason_code"]) == {"POSITION_CLOSED"}


def test_a_trailing_stop_follows_the_highs_and_never_goes_back(play: Play, daily: Build) -> None:
    bars = [100, 100, (100, 150, 100, 150), (150, 150, 139, 140), (140, 140, 130, 131)]
    steps = {0: guarded(TrailingStop(pct=0.1)), **{n: rule_orders for n in (1, 2, 3)}}
    run = play(steps, daily({"A": bars}))
    assert [run[n]["trailing_stop"][3] for n in (1, 2, 3)] == [90.0, 135.0, 135.0]
    assert run.fills[1] == ("A", "sell", 10.0, 135.0)


def test_rules_follow_size_and_average_of_the_position(play: Play, daily: Build) -> None:
    steps = {
        0: guarded(StopLoss(pct=0.05)),
        1: lambda now: now.broker.buy("A", 10),
        2: lambda now: [rule_orders(now), now.broker.sell("A", 15)],
        3: rule_orders,
    }
    run = play(steps, daily({"A": [100, 100, 120, 120, 120]}))
    assert run[2][0]["stop_loss"] == (Side.SELL, OrderType.STOP, 20.0, 104.5)
    # First in, first out: what is left was bought at 120.
    assert run[3]["stop_loss"][2:] == (5.0, 114.0)


def test_levels_are_rounded_away_from_the_entry(play: Play, daily: Build) -> None:
    rules = CompositeRule([StopLoss(pct="0.333"), TakeProfit(pct=0.333)])
    run = play({0: guarded(rules), 1: rule_orders}, daily({"A": [10.01, 10.01, 10.01]}))
    assert run[1]["stop_loss"][3] == 6.67
    assert run[1]["take_profit"][3] == 13.35


def test_rules_set_later_replace_those_before_also_for_open_positions(play: Play, daily: Build) -> None:
    steps = {
        0: guarded(ALL),
        1: lambda now: now.broker.set_position_rules(StopLoss(pct=0.02)),
        2: rule_orders,
        3: lambda now: now.broker.set_position_rules(None),
        4: rule_orders,
    }
    run = play(steps, daily({"A": [100] * 6}))
    assert run[2] == {"stop_loss": (Side.SELL, OrderType.STOP, 10.0, 98.0)}
    assert run[4] == {}


def test_a_rule_order_can_be_found_and_told_from_others(play: Play, daily: Build) -> None:
    def look(now: Now) -> object:
        (order,) = [each for each in now.broker.open_orders if each.tag == "stop_loss"]
        assert now.broker.get_order(order.id) == order
        return order.status, order.reason_code

    run = play({0: guarded(StopLoss(pct=0.05)), 1: look}, daily({"A": [100, 100, 100]}))
    assert run[1] == (OrderStatus.ACCEPTED, "")


def test_closing_by_hand_ends_the_rules_of_that_position(play: Play, daily: Build) -> None:
    steps = {
        0: guarded(ALL),
        1: lambda now: now.broker.close_position("A"),
        2: lambda now: now.broker.open_orders,
    }
    run = play(steps, daily({"A": [100] * 4}))
    assert run[2] == []
    assert run.fills == [("A", "buy", 10.0, 100.0), ("A", "sell", 10.0, 100.0)]


@pytest.mark.parametrize("place", ["another thread", "after the run"])
def test_rules_are_set_from_callbacks_of_the_strategy(play: Play, daily: Build, place: str) -> None:
    feed = daily({"A": [100] * 3})
    errors: list[BaseException] = []

    def attempt(broker: Broker) -> None:
        try:
            broker.set_position_rules(StopLoss(pct=0.05))
        except EngineStateError as error:
            errors.append(error)

    def from_elsewhere(now: Now) -> None:
        thread = threading.Thread(target=attempt, args=(now.broker,))
        thread.start()
        thread.join()

    if place == "another thread":
        play({0: from_elsewhere}, feed)
    else:
        attempt(play({}, feed).script.broker)
    assert len(errors) == 1


@pytest.mark.parametrize("pct", [0, -0.05, 1, 1.5, "0.0000000001"])
def test_a_loss_that_makes_no_sense_is_refused_where_it_is_written(pct: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=r"StopLoss\(pct=.*\): pct is a fraction, above 0 and below 1"):
        StopLoss(pct=pct)


@pytest.mark.parametrize("pct", [True, "five", None, float("nan")])
def test_a_fraction_that_is_no_number_is_refused(pct: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=rf"StopLoss\(pct={pct!r}\): pct is a fraction"):
        StopLoss(pct=pct)


def test_one_kind_of_rule_cannot_be_set_twice(play: Play, daily: Build) -> None:
    def step(now: Now) -> None:
        with pytest.raises(ConfigError, match="stop_loss is set twice"):
            now.broker.set_position_rules(
                CompositeRule([StopLoss(pct=0.1), CompositeRule([StopLoss(pct=0.2)])])
            )

    play({0: step}, daily({"A": [100, 100]}))


def test_a_rule_of_an_unknown_kind_is_refused(play: Play, daily: Build) -> None:
    @attrs.frozen
    class TimeStop(StopLoss):
        kind = "time_stop"

    def step(now: Now) -> None:
        with pytest.raises(UnknownNameError, match="unknown position rule 'time_stop'; known: stop_loss"):
            now.broker.set_position_rules(TimeStop(pct=0.1))

    play({0: step}, daily({"A": [100, 100]}))


@pytest.mark.parametrize("rule", [0.05, "StopLoss", [StopLoss(pct=0.05)], object()])
def test_what_is_no_rule_is_a_type_error(play: Play, daily: Build, rule: object) -> None:
    def step(now: Now) -> None:
        with pytest.raises(TypeError, match="rule"):
            now.broker.set_position_rules(rule)

    play({0: step}, daily({"A": [100, 100]}))
