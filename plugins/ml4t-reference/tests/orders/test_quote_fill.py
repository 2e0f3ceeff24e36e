"""The policy `quote_fill = "standing"`, worked by hand: the quote that stands when an order becomes active.

Quotes are an hour apart, bid and ask; times are the hours at which orders fill.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results, StopLoss

from .market import START, TRAILING, ends, in_turn, play, quotes, send

STANDING = {"quote_fill": "standing"}
FALLING = ((99, 101), (98, 100), (97, 99), (96, 98))


def found(results: Results) -> list[tuple[Any, ...]]:
    """Return hour, order, price and liquidity of the fills."""
    rows = results.fills.select("ts_event", "order_id", "price", "liquidity").rows()
    return [((when - START) / dt.timedelta(hours=1), *rest) for when, *rest in rows]


@pytest.mark.parametrize(
    ("side", "terms", "standing", "later"),
    [
        ("buy", {}, (0, 1, 101.0, "taker"), (1, 1, 100.0, "taker")),
        ("sell", {}, (0, 1, 99.0, "taker"), (1, 1, 98.0, "taker")),
        ("buy", {"limit_price": 101}, (0, 1, 101.0, "taker"), (1, 1, 100.0, "taker")),
        # Made to wait at once: it makes at the quote that comes to it; under `next` that quote is taken.
        ("buy", {"limit_price": 100.5}, (1, 1, 100.5, "maker"), (1, 1, 100.0, "taker")),
        ("sell", {"stop_price": 99}, (0, 1, 99.0, "taker"), (1, 1, 98.0, "taker")),
    ],
)
def test_an_order_meets_the_quote_it_was_decided_on(
    side: str, terms: dict[str, Any], standing: tuple[Any, ...], later: tuple[Any, ...]
) -> None:
    steps = {0: send(side, **terms)}
    assert found(play(quotes(*FALLING), steps, policies=STANDING)) == [standing]
    assert found(play(quotes(*FALLING), steps)) == [later]


def test_a_stop_begins_to_trail_where_the_quote_that_stands_activates_it() -> None:
    # The bid of 99.00 is at the activation: the stop is at 98.00, and the next bid reaches it. A bid of 98.00
    # would not activate it.
    steps = {0: send("sell", **TRAILING, trail_amount=1, activation_price=99)}
    assert found(play(quotes(*FALLING), steps, policies=STANDING)) == [(1, 1, 98.0, "taker")]
    assert found(play(quotes(*FALLING), steps)) == []


def test_a_trailing_stop_stays_where_it_is() -> None:
    # Accepted at a middle of 100.00: the stop is at 99.80. At 01:30 the bid of 100.10 stands; from there it
    # would be at 99.90, and the bid of 99.85 would reach it.
    sides = ((99.9, 100.1), (100.1, 100.3), (99.85, 100.05))
    steps = {0: send("sell", **TRAILING, trail_amount=0.2)}
    assert found(play(quotes(*sides), steps, policies=STANDING, latency="90m")) == []


def test_who_is_ahead_of_an_order_is_counted_at_the_quote_that_stands() -> None:
    # 500 are at the bid of 99.00. The print of 600 goes to them, and 100 of it to the order.
    when = [START, START + dt.timedelta(hours=1)]
    sides = {"bid_price": [99.0], "ask_price": [101.0], "bid_size": [500.0], "ask_size": [300.0]}
    quote = DataFeed(
        pl.DataFrame({"symbol": ["A"], "timestamp": when[:1], **sides}),
        name="quotes",
        kind="quote",
        stamp="event",
        calendar="24/7",
        matches_orders=True,
    )
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": when[1:], "price": [99.0], "size": [600.0]})
    trade = DataFeed(frame, name="prints", kind="trade", stamp="event", calendar="24/7")
    queue = {"print_fills": "touch", "queue_position": "size_ahead"}
    steps = {0: send("buy", 150, limit_price=99)}
    results = play([quote, trade], steps, policies=STANDING | queue)
    assert results.fills.select("ts_event", "quantity", "price").rows() == [(when[1], 100, 99.0)]
    assert play([quote, trade], steps, policies=queue).fills.is_empty()


def test_a_quote_with_nobody_on_the_other_side_makes_a_limit_wait() -> None:
    sides = ((99, 101), (99, None), (97, 99))
    steps = {1: send("buy", limit_price=100)}
    assert found(play(quotes(*sides), steps, policies=STANDING)) == [(2, 1, 100.0, "maker")]


def test_an_order_that_is_taken_back_at_once_meets_nothing() -> None:
    def regret(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.cancel_order(now.broker.buy("A", 10))

    results = play(quotes(*FALLING), {0: regret}, policies=STANDING)
    assert ends(results) == [("canceled", "CANCELED_BY_REQUEST")]


def test_a_child_of_an_order_that_has_filled_waits_for_the_next_quote() -> None:
    # Order 2 is sent beside it at the hour 1, and sells at the bid of 98.00 at once.
    def sell(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.sell("A", 4)
        now.broker.sell("A", 4, parent=1)

    results = play(quotes(*FALLING), in_turn(send("buy"), sell), policies=STANDING)
    assert found(results) == [(0, 1, 101.0, "taker"), (1, 2, 98.0, "taker"), (2, 3, 97.0, "taker")]


def test_a_child_that_is_changed_meets_the_quote_that_stands() -> None:
    def change(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.modify_order(2, limit_price=96.5)

    def enter(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.sell("A", 10, limit_price=105, parent=now.broker.buy("A", 10))

    results = play(quotes(*FALLING), {0: enter, 2: change}, policies=STANDING)
    assert found(results) == [(0, 1, 101.0, "taker"), (2, 2, 97.0, "taker")]


def test_rules_that_are_set_on_a_quote_wait_for_the_next() -> None:
    # 1 % below 101.00 is 99.99; the bid of 98.00 is beyond it when the rule is set.
    def guard(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(StopLoss(pct=0.01))

    results = play(quotes(*FALLING), in_turn(send("buy"), guard), policies=STANDING)
    assert found(results) == [(0, 1, 101.0, "taker"), (2, 2, 97.0, "taker")]


@pytest.mark.parametrize(
    ("first", "filled"),
    [
        # A quote of 23:00 is one of the session that closes at midnight; one of midnight belongs to the next.
        (-1, (3, 1, 100.0, "taker")),
        (0, (0.5, 1, 101.0, "taker")),
    ],
)
def test_a_quote_of_the_session_before_does_not_stand(first: int, filled: tuple[Any, ...]) -> None:
    # Sent with the first quote, and at the venue at 00:30.
    ticks = quotes((99, 101), (98, 100), step=240, start=START + dt.timedelta(hours=first))
    latency = f"{30 - 60 * first}m"
    assert found(play(ticks, {0: send("buy")}, policies=STANDING, latency=latency)) == [filled]


def test_a_position_is_worth_the_middle_of_the_quote_that_stands() -> None:
    # Bought at 101.00 and at 00:00 worth 100.00 each.
    results = play(quotes(*FALLING), {0: send("buy")}, policies=STANDING, initial_cash=10_000)
    assert results.portfolio_history["equity"].to_list()[0] == 9_990.0
