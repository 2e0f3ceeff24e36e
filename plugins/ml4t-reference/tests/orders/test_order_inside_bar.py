"""Orders inside a bar under `order_inside_bar = "close"`, worked by hand.

Hours from midnight on: flat at 100.00, then the bar of the fill table, open 100.00, high 103.00, low 97.00
and close 101.00, then one that is given. A print of another instrument calls the script at 01:30, inside the
second.
"""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import CompositeRule, Engine, Results, StopLoss, Strategy, TakeProfit, TrailingStop
from ml4t.core.errors import ConfigError
from ml4t.core.types import Side

from .market import (
    BAR,
    FLAT,
    IF_TOUCHED,
    LIMIT_TOUCHED,
    TRAILING,
    Action,
    at,
    clock,
    daily,
    ends,
    hourly,
    play,
    send,
)
from .path_scripts import rows, sends

CLOSE = {"order_inside_bar": "close"}
CAP = {"fill_model": {"type": "Default", "volume_limit": 0.1}}
FIRST, INSIDE = 0, 1  #: calls: at 01:00, when the second hour opens, and at 01:30


def level(price: float) -> tuple[float, ...]:
    return (price,) * 4


def inside(
    act: Action,
    *later: tuple[float, ...],
    bar: tuple[float, ...] = BAR,
    begin: Action | None = None,
    policies: dict[str, str] | None = None,
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run a script that acts inside the second hour, and may begin before it opens."""
    steps = {INSIDE: act} | ({} if begin is None else {FIRST: begin})
    feeds = [hourly(FLAT, bar, *later), clock(at(2, 1, 30))]
    return play(feeds, steps, policies=CLOSE | (policies or {}), **broker)


def change(**terms: Any) -> Action:  # noqa: ANN401 - of `modify_order`
    return lambda now: [now.broker.modify_order(order, **terms) for order in now.broker.open_orders]


def guard(*rules: Any) -> Action:  # noqa: ANN401 - position rules
    return lambda now: now.broker.set_position_rules(CompositeRule(list(rules)))


def enter(*rules: Any, quantity: float = 10) -> Action:  # noqa: ANN401 - position rules
    """Buy at the open of 100.00 with rules, or without."""
    return lambda now: (now.broker.buy("A", quantity), now.broker.set_position_rules(CompositeRule([*rules])))


# -- what the close offers -----------------------------------------------------------------------------------


def test_it_contradicts_what_keeps_fills_out_of_the_bar() -> None:
    with pytest.raises(ConfigError, match="'close' lets an order from inside a bar meet its close"):
        play(hourly(FLAT), {}, policies=CLOSE | {"same_bar_exit": "next_bar"})


def test_by_default_the_next_bar_is_the_first_that_an_order_meets() -> None:
    results = inside(send("buy"), level(99), policies={"order_inside_bar": "next_bar"})
    assert results.fills.select("price", "phase", "ts_event").rows() == [(99.0, "open", at(2, 2))]


@pytest.mark.parametrize(
    ("side", "terms", "others", "filled"),
    [
        ("buy", {}, {}, [(101.0, "taker")]),
        ("sell", {}, {}, [(101.0, "taker")]),
        ("buy", {"limit_price": 102}, {}, [(101.0, "taker")]),
        ("buy", {"limit_price": 102}, {"limit_gap": "at_limit"}, [(102.0, "taker")]),
        ("buy", {"limit_price": 101}, {}, [(101.0, "taker")]),
        ("buy", {"limit_price": 101}, {"limit_touch": "through"}, []),
        # The low of 97.00 and the high of 103.00 may lie before the orders.
        ("buy", {"limit_price": 98}, {}, []),
        ("sell", {"limit_price": 102}, {}, []),
        ("buy", {"stop_price": 100.5}, {}, [(101.0, "taker")]),
        ("buy", {"stop_price": 102}, {}, []),
        ("sell", {"stop_price": 98}, {}, []),
        ("sell", {"stop_price": 101.5}, {"stop_gap": "at_stop"}, [(101.0, "taker")]),
        ("buy", {"stop_price": 100.5, "limit_price": 101.5}, {}, [(101.0, "taker")]),
        ("buy", {"stop_price": 100.5, "limit_price": 100.8}, {}, []),
        ("buy", IF_TOUCHED | {"stop_price": 101}, {}, [(101.0, "taker")]),
        ("buy", IF_TOUCHED | {"stop_price": 100.5}, {}, []),
        ("buy", LIMIT_TOUCHED | {"stop_price": 102, "limit_price": 101}, {}, [(101.0, "taker")]),
        ("buy", LIMIT_TOUCHED | {"stop_price": 102, "limit_price": 100}, {}, []),
        # From the 100.00 that has arrived: the stop is at 100.50, or at 97.00.
        ("buy", TRAILING | {"trail_amount": 0.5}, {}, [(101.0, "taker")]),
        ("sell", TRAILING | {"trail_amount": 3}, {}, []),
        ("buy", {"limit_price": 102, "post_only": True}, {}, []),
        ("sell", {"reduce_only": True}, {}, []),
        ("buy", {"time_in_force": "opg"}, {}, []),
        # The session has not closed yet.
        ("buy", {"time_in_force": "cls"}, {}, []),
    ],
)
@pytest.mark.parametrize("path", ["worst", "ohlc", "submission", "close_only"])
@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_an_order_from_inside_a_bar_meets_its_close(
    timing: str, path: str, side: str, terms: dict[str, Any], others: dict[str, str], filled: list[Any]
) -> None:
    if path == "close_only" and timing == "next_open":
        timing = "next_close"
    policies = {"path": path, "fill_timing": timing} | others
    results = inside(send(side, 10, **terms), policies=policies)
    assert results.fills.select("price", "liquidity").rows() == filled
    assert set(results.fills.select("phase", "ts_event").rows()) <= {("close", at(2, 2))}


@pytest.mark.parametrize(
    ("terms", "bar", "filled"),
    [
        # Not allowed by 101.00. A close makes no limit wait, so it takes the next open of 97.00.
        ({"limit_price": 98}, level(97), (97.0, "open", "taker")),
        # Triggered by 101.00 and not allowed: a limit that rests.
        ({"stop_price": 100.5, "limit_price": 100}, level(99), (99.0, "open", "maker")),
        ({"stop_price": 102}, level(103), (103.0, "open", "taker")),
        # The next bar is met as ever, its range, too.
        ({"limit_price": 98}, (99, 99, 97, 98), (98.0, "range", "maker")),
        ({"time_in_force": "opg"}, level(99), None),
    ],
)
def test_what_the_close_does_not_reach_meets_the_next_open(
    terms: dict[str, Any], bar: tuple[float, ...], filled: tuple[Any, ...] | None
) -> None:
    results = inside(send("buy", 10, **terms), bar)
    assert results.fills.select("price", "phase", "liquidity").rows() == ([] if filled is None else [filled])


@pytest.mark.parametrize("latency", ["1ns", "25m", "3599999999999ns"])
def test_an_order_that_arrives_inside_a_bar_meets_its_close(latency: str) -> None:
    """It is sent at 01:00, when the hour opens."""
    results = play(hourly(FLAT, BAR, level(99)), {0: send("buy")}, policies=CLOSE, latency=latency)
    assert rows(results, "phase") == [(1, 101.0, "close")]


@pytest.mark.parametrize(
    ("latency", "filled"),
    [
        # Active at the open, which it meets; active at the close, which is no later: the next open.
        ("0s", (100.0, "open")),
        ("1h", (99.0, "open")),
    ],
)
def test_an_order_that_arrives_with_an_open_or_a_close_is_not_inside(
    latency: str, filled: tuple[float, str]
) -> None:
    results = play(hourly(FLAT, BAR, level(99)), {0: send("buy")}, policies=CLOSE, latency=latency)
    assert rows(results, "phase") == [(1, *filled)]


def test_an_order_that_its_open_did_not_fill_does_not_meet_the_close() -> None:
    """Ten cost 1020 at the open and 990 at the close; there are 1000."""
    results = play(
        hourly(FLAT, (102, 102, 99, 99), level(98)),
        {0: send("buy")},
        policies=CLOSE | {"insufficient_cash": "wait"},
        initial_cash=1000,
        allows_short=False,
        leverage=1,
    )
    assert rows(results, "phase") == [(1, 98.0, "open")]


class Answers(Strategy):
    """Buys at 01:00, and answers the fill with a sale."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if timestamp == at(2, 1):
            broker.buy("A", 10)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        if event.side is Side.BUY:
            self.broker.sell("A", 10, limit_price=100.5)


def test_what_answers_a_fill_at_the_open_comes_after_the_open() -> None:
    """The buy takes the open of 100.00; the limit of 100.50 meets the close of 101.00, as a taker."""
    config = {"backtest": {"engine": "reference"}, "broker": {"policies": CLOSE}}
    results = Engine(hourly(FLAT, BAR), Answers, config=config).run()
    assert rows(results, "phase", "liquidity") == [
        (1, 100.0, "open", "taker"),
        (2, 101.0, "close", "taker"),
    ]


# -- times in force ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", ["ioc", "fok"])
@pytest.mark.parametrize("volume", [1e6, 0])
def test_for_an_order_at_once_that_close_is_the_only_event(life: str, volume: float) -> None:
    both = sends(
        ("buy", 10, {"limit_price": 100, "time_in_force": life}), ("buy", 10, {"time_in_force": life})
    )
    results = inside(both, level(99), bar=(*BAR, volume))
    over = ("canceled", "NOT_FILLED_AT_ONCE")
    assert rows(results) == ([(2, 101.0)] if volume else [])
    assert ends(results) == [over, ("filled", "") if volume else over]
    assert results.orders["ts_closed"].to_list() == [at(2, 2)] * 2


def test_an_order_at_once_ends_with_what_a_cap_leaves() -> None:
    both = sends(
        ("buy", 14, {"time_in_force": "fok"}), ("buy", 14, {"limit_price": 102, "time_in_force": "ioc"})
    )
    results = inside(both, level(99), bar=(*BAR, 100), **CAP)
    assert rows(results, "quantity") == [(2, 101.0, 10.0)]
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")] * 2


@pytest.mark.parametrize("life", ["day", "gtd", "cls"])
def test_an_order_whose_time_ends_with_the_bar_meets_its_close(life: str) -> None:
    """A daily bar ends with its session at midnight; the order arrives an hour after it has begun."""
    terms: dict[str, Any] = {"time_in_force": life} | ({"expire_at": at(3)} if life == "gtd" else {})
    results = play(daily(FLAT, BAR, level(99)), {0: send("buy", 10, **terms)}, policies=CLOSE, latency="1h")
    assert rows(results, "phase") == [(1, 101.0, "close")]


def test_a_limit_of_the_close_takes_part_only_where_the_close_is_within_it() -> None:
    both = sends(*(("buy", 10, {"limit_price": price, "time_in_force": "cls"}) for price in (100.5, 101.5)))
    results = play(daily(FLAT, BAR, level(99)), {0: both}, policies=CLOSE, latency="1h")
    assert rows(results) == [(2, 101.0)]
    assert ends(results) == [("expired", "NOT_FILLED_AT_CLOSE"), ("filled", "")]


# -- who comes first, and how much ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "filled"),
    [
        ({}, [(2, 6.0), (3, 4.0)]),
        ({"fill_order": "exits_first"}, [(3, 5.0), (2, 5.0)]),
    ],
)
def test_orders_come_by_submission_and_share_what_others_left_of_the_volume(
    policies: dict[str, str], filled: list[tuple[int, float]]
) -> None:
    """A tenth of 200 is 20, and ten of them go at the open."""
    both = sends(("buy", 6, {}), ("sell", 5, {}))
    results = inside(both, bar=(*BAR, 200), begin=send("buy"), policies=policies, **CAP)
    assert results.fills.select("order_id", "quantity").rows() == [(1, 10.0), *filled]
    assert results.fills["price"].to_list() == [100.0, 101.0, 101.0]


def test_what_a_cap_leaves_of_a_limit_rests() -> None:
    results = inside(send("buy", 14, limit_price=102), level(99), bar=(*BAR, 100), **CAP)
    assert rows(results, "quantity", "liquidity") == [(1, 101.0, 10.0, "taker"), (1, 99.0, 4.0, "maker")]


def test_all_or_none_waits_where_the_close_has_not_enough() -> None:
    results = inside(send("buy", 14, all_or_none=True), level(99), bar=(*BAR, 100), **CAP)
    assert rows(results, "quantity") == [(1, 99.0, 14.0)]


def test_a_bar_without_volume_has_no_close_for_orders() -> None:
    results = inside(send("buy", 10, limit_price=102), level(99), bar=(*BAR, 0))
    assert rows(results, "phase", "liquidity") == [(1, 99.0, "open", "taker")]
    results = inside(send("buy"), level(99), bar=(*BAR, 0), policies={"zero_volume": "fill"})
    assert rows(results, "phase") == [(1, 101.0, "close")]


# -- changes -------------------------------------------------------------------------------------------------


def test_a_change_inside_a_bar_lets_an_order_meet_the_close() -> None:
    """A limit of 90.00 rests; changed to 102.00 it takes the close of 101.00."""
    begin = send("buy", 10, limit_price=90)
    results = inside(change(limit_price=102), level(99), begin=begin)
    assert rows(results, "phase", "liquidity") == [(1, 101.0, "close", "taker")]


def test_a_limit_that_rests_and_grows_inside_a_bar_takes_the_close() -> None:
    """The open of 100.00 made the limit of 95.00 wait; what fills at a close takes it."""
    results = inside(change(quantity=20), begin=send("buy", 10, limit_price=95), bar=(100, 100, 94, 94.5))
    assert rows(results, "quantity", "liquidity") == [(1, 94.5, 20.0, "taker")]


def test_a_smaller_quantity_alone_keeps_the_standing_of_an_order() -> None:
    """Its limit of 97.00 is reached by the low, as that of an order which was there at the open."""
    results = inside(change(quantity=4), level(99), begin=send("buy", 10, limit_price=97))
    assert rows(results, "phase", "quantity") == [(1, 97.0, "range", 4.0)]


def test_a_change_that_finds_what_an_open_left_counts_only_then() -> None:
    """The open fills ten, booked at the close: there the change counts, so the rest meets the next open."""
    results = inside(change(quantity=18), (*level(99), 1000), begin=send("buy", 14), bar=(*BAR, 100), **CAP)
    assert rows(results, "phase", "quantity") == [(1, 100.0, "open", 10.0), (1, 99.0, "open", 8.0)]


# -- position rules and children -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "sold"),
    [
        # In at 100.00, a stop of 98.00: the low of 97.00 may lie before it.
        (StopLoss(pct=0.02), []),
        (TakeProfit(pct=0.005), [101.0]),
        (TakeProfit(pct=0.02), []),
    ],
)
def test_rules_set_inside_a_bar_meet_its_close(rule: Any, sold: list[float]) -> None:  # noqa: ANN401
    results = inside(guard(rule), begin=send("buy"))
    assert results.fills["price"].to_list()[1:] == sold


def test_a_level_that_rules_got_inside_a_bar_meets_its_close() -> None:
    """A stop of 80.00 becomes one of 98.00, which the close of 96.00 has passed."""
    results = inside(guard(StopLoss(pct=0.02)), begin=enter(StopLoss(pct=0.2)), bar=(100, 100, 90, 96))
    assert rows(results, "phase", "liquidity") == [
        (1, 100.0, "open", "taker"),
        (2, 96.0, "close", "taker"),
    ]


@pytest.mark.parametrize(
    ("bar", "sold"),
    [
        # In at 100.00, a stop of 90.00. The close of 102.00 does not reach it. Then it follows the bar
        # to 120.00, so it is at 108.00, and the open of 107.00 is below.
        ((100, 120, 95, 102), (107.0, "open")),
        ((100, 120, 85, 89), (89.0, "close")),
    ],
)
def test_a_trailing_stop_of_a_position_meets_the_close_before_it_follows_the_bar(
    bar: tuple[float, ...], sold: tuple[float, str]
) -> None:
    results = inside(guard(TrailingStop(pct=0.1)), level(107), bar=bar, begin=send("buy"))
    assert rows(results, "phase") == [(1, 100.0, "open"), (2, *sold)]


@pytest.mark.parametrize("path", ["worst", "close_only"])
def test_a_trailing_order_begins_with_the_next_bar(path: str) -> None:
    """The close of 101.00 does not activate it: 101.00 - 1 would be passed by the 97.00 that follow."""
    terms = TRAILING | {"trail_amount": 1, "activation_price": 100.5}
    policies = {"path": path, "fill_timing": "next_close"}
    results = inside(send("sell", 10, **terms), level(97), level(97), policies=policies)
    assert results.fills.height == 0
    assert results.orders["stop_price"].to_list() == [None]


def test_a_trailing_order_follows_no_bar_that_it_came_inside() -> None:
    """From 100.00 the stop is at 96.00; followed to 103.00 it would be at 99.00, which 98.00 passes."""
    terms = TRAILING | {"trail_amount": 4}
    results = inside(send("sell", 10, **terms), level(98))
    assert results.fills.height == 0
    assert results.orders["stop_price"].to_list() == [96.0]


def test_what_a_fill_at_that_close_starts_meets_what_comes_after() -> None:
    """A child allowed by 101.00 and a rule's target of 101.00 meet the next bar."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10)
        now.broker.sell("A", 4, limit_price=100.5, parent=entry)
        now.broker.set_position_rules(StopLoss(pct=0.01))

    results = inside(act, level(99))
    # The stop is at 101.00 x 0.99 = 99.99, and 99.00 is below it.
    assert rows(results, "phase", "quantity") == [(1, 101.0, "close", 10.0), (3, 99.0, "open", 10.0)]


def test_a_child_of_another_instrument_comes_inside_the_bar() -> None:
    """B is bought by its print of 01:30, so the sale of A is active then and meets the close of 02:00."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("B", 1)
        now.broker.sell("A", 10, parent=entry)

    feeds = [hourly(FLAT, BAR, level(99)), clock(at(2, 1, 30))]
    results = play(feeds, {0: act}, policies=CLOSE)
    assert rows(results, "phase") == [(1, 1.0, "trade"), (2, 101.0, "close")]
