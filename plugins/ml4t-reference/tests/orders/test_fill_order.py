"""The policy `fill_order`, worked by hand: what is against a position first, or what was sent first.

Order 1 buys 10 and is filled before the others are sent. Then order 2 buys, and order 3 sells what is held.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results

from .market import BAR, FLAT, START, Action, daily, days, feed_of, in_turn, play, prints, quotes, send

EXITS_FIRST = {"fill_order": "exits_first"}
CAP = {"fill_model": {"type": "Default", "volume_limit": 0.1}}
TICKS = (100, 100, 100, 100)
SIDES = ((99, 101),) * 4


def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
    now.broker.buy("A", 5)
    now.broker.sell("A", 10)


def sequence(results: Results) -> list[int]:
    """Return the orders as they filled."""
    return results.fills["order_id"].to_list()


def at_one_instant(*orders: dict[str, Any]) -> Action:
    """Return an action that sends what is given: side, quantity and terms."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        for order in orders:
            terms = dict(order)
            getattr(now.broker, terms.pop("side"))(terms.pop("symbol", "A"), terms.pop("quantity"), **terms)

    return act


@pytest.mark.parametrize("policy", ["exits_first", "submission"])
@pytest.mark.parametrize(
    ("feed", "broker"),
    [
        (daily(FLAT, FLAT, BAR), {}),
        # Priced at the open, and booked with the volume of the bar.
        (daily(FLAT, FLAT, BAR), CAP),
        (daily(FLAT, FLAT, BAR), {"policies": {"fill_timing": "next_close"}}),
        (daily(FLAT, FLAT, BAR), {"policies": {"fill_timing": "same_close"}}),
        (daily(FLAT, FLAT, BAR), {"policies": {"fill_timing": "next_close", "path": "close_only"}}),
        (prints(*TICKS), {}),
        (quotes(*SIDES), {}),
        (quotes(*SIDES), {"policies": {"quote_fill": "standing"}}),
    ],
)
def test_market_orders_at_one_event(feed: DataFeed, broker: dict[str, Any], policy: str) -> None:
    policies = broker.get("policies", {}) | {"fill_order": policy}
    results = play(feed, {0: send("buy"), 1: both}, **(broker | {"policies": policies}))
    assert sequence(results) == ([1, 3, 2] if policy == "exits_first" else [1, 2, 3])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        # Both are reached, and submission decides; or the entry comes first as the worst; or the low does.
        ("submission", [1, 3, 2]),
        ("worst", [1, 2, 3]),
        ("olhc", [1, 2, 3]),
        ("ohlc", [1, 3, 2]),
    ],
)
def test_inside_a_bar_only_the_path_of_submission_is_touched(path: str, found: list[int]) -> None:
    orders = [
        {"side": "buy", "quantity": 5, "limit_price": 98},
        {"side": "sell", "quantity": 10, "limit_price": 102},
    ]
    steps = in_turn(send("buy"), at_one_instant(*orders))
    assert sequence(play(daily(FLAT, FLAT, BAR), steps, policies=EXITS_FIRST | {"path": path})) == found


def test_orders_that_a_known_path_meets_at_one_place_come_by_submission() -> None:
    # ohlc comes to 102.00 on its way up: the entry was sent first.
    orders = [
        {"side": "buy", "quantity": 5, "stop_price": 102},
        {"side": "sell", "quantity": 10, "limit_price": 102},
    ]
    steps = in_turn(send("buy"), at_one_instant(*orders))
    results = play(daily(FLAT, FLAT, BAR), steps, policies=EXITS_FIRST | {"path": "ohlc"})
    assert sequence(results) == [1, 2, 3]


@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_what_is_against_a_position_changes_with_every_fill(timing: str) -> None:
    # The sale of 30 comes first and turns the position: now the purchase is against it, and no sale is.
    orders = [
        {"side": "sell", "quantity": 30},
        {"side": "sell", "quantity": 1},
        {"side": "buy", "quantity": 5},
    ]
    steps = in_turn(send("buy"), at_one_instant(*orders))
    policies = EXITS_FIRST | {"fill_timing": timing}
    assert sequence(play(daily(FLAT, FLAT, BAR), steps, policies=policies)) == [1, 2, 4, 3]


def test_where_nothing_is_held_submission_decides() -> None:
    assert sequence(play(daily(FLAT, BAR), {0: both}, policies=EXITS_FIRST)) == [1, 2]


def test_an_exit_inside_a_bar_comes_before_an_entry_of_another_instrument() -> None:
    # Order 2 buys B at 98.00, order 3 is the stop of A at 98.00: 10 x 98.00 pay for it.
    feed = feed_of(pl.concat([days(FLAT, FLAT, BAR, symbol=each) for each in "AB"]))
    orders = [
        {"side": "buy", "quantity": 10, "symbol": "B", "limit_price": 98},
        {"side": "sell", "quantity": 10, "stop_price": 98},
    ]
    steps = in_turn(send("buy"), at_one_instant(*orders))
    poor = {"initial_cash": 1000, "leverage": 1, "allows_short": False}
    policies = EXITS_FIRST | {"insufficient_cash": "wait"}
    assert sequence(play(feed, steps, policies=policies, **poor)) == [1, 3, 2]
    assert sequence(play(feed, steps, policies={"insufficient_cash": "wait"}, **poor)) == [1, 3]


def test_at_the_close_of_a_session_of_prints_the_exit_comes_first() -> None:
    # Two prints on the second of January and one on the third: the session closes at midnight.
    ticks = prints(*TICKS, step=8 * 60, start=START + dt.timedelta(hours=4))
    orders = [
        {"side": "buy", "quantity": 5, "time_in_force": "cls"},
        {"side": "sell", "quantity": 10, "time_in_force": "cls"},
    ]
    both_at_once = at_one_instant({"side": "buy", "quantity": 10}, *orders)
    results = play(ticks, {0: both_at_once}, policies=EXITS_FIRST)
    assert sequence(results) == [1, 3, 2]
    assert results.fills["phase"].to_list() == ["trade", "close", "close"]
