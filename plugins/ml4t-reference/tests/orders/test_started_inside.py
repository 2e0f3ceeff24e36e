"""What a fill inside a bar has started, on paths that are known: children and orders of position rules.

On the bar of the cases `ohlc` goes 100, 103, 97, 101 and `olhc` goes 100, 97, 103, 101. A *place* is how far
the market has gone: on `ohlc` the high is at 3, the low at 3 + 6 = 9, the close at 9 + 4 = 13; on `olhc` the
low is at 3, the high at 9, the close at 11.
"""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import StopLoss, TakeProfit

from .market import BAR, FLAT, IF_TOUCHED, LIMIT_TOUCHED, TRAILING, Action, daily, ends, play
from .path_scripts import NEXT, child, guarded, path, rows

# -- children ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "sold"),
    [
        # ohlc: in at 99.00 at 3 + 4 = 7, then down to 97.00 at 9 and up to 101.00 at 13.
        ({}, [(99.0, "range", "taker")]),
        ({"stop_price": 98}, [(98.0, "range", "taker")]),
        ({"stop_price": 97}, [(97.0, "range", "taker")]),
        # The market stands beyond it, or at it: at once, at the price of that place.
        ({"stop_price": 99.5}, [(99.0, "range", "taker")]),
        ({"stop_price": 99}, [(99.0, "range", "taker")]),
        ({"limit_price": 98}, [(99.0, "range", "taker")]),
        ({"limit_price": 99}, [(99.0, "range", "taker")]),
        (IF_TOUCHED | {"stop_price": 98}, [(99.0, "range", "taker")]),
        # 100.00 at 9 + 3 = 12, on the way to the close.
        ({"limit_price": 100}, [(100.0, "range", "maker")]),
        ({"limit_price": 101}, [(101.0, "range", "maker")]),
        (IF_TOUCHED | {"stop_price": 100}, [(100.0, "range", "taker")]),
        (LIMIT_TOUCHED | {"stop_price": 100, "limit_price": 99.5}, [(100.0, "range", "taker")]),
        (LIMIT_TOUCHED | {"stop_price": 100, "limit_price": 100.5}, [(100.5, "range", "maker")]),
        # 102.00 was at 2, before the fill. It has rested, so the next open of 104.00 finds a maker.
        ({"limit_price": 102}, [(104.0, "open", "maker")]),
        (IF_TOUCHED | {"stop_price": 102}, [(104.0, "open", "taker")]),
        ({"limit_price": 102, "time_in_force": "day"}, []),
        ({"limit_price": 100, "time_in_force": "day"}, [(100.0, "range", "maker")]),
        # A stop-limit: triggered at 98.00 at 8, which 98.50 does not allow; 98.50 at 9 + 1.5.
        ({"stop_price": 98, "limit_price": 98.5}, [(98.5, "range", "maker")]),
        ({"stop_price": 98, "limit_price": 97.5}, [(98.0, "range", "taker")]),
        # Triggered at once, where its limit allows the market or does not: 100.00 at 12.
        ({"stop_price": 99.5, "limit_price": 98.5}, [(99.0, "range", "taker")]),
        ({"stop_price": 99.5, "limit_price": 100}, [(100.0, "range", "maker")]),
        # Triggered at 98.00; 102.00 does not come any more. It rests, to the next open.
        ({"stop_price": 98, "limit_price": 102}, [(104.0, "open", "maker")]),
        # Its water mark begins at 99.00: the stop is at 98.00, or at 95.00 and not reached.
        (TRAILING | {"trail_amount": 1}, [(98.0, "range", "taker")]),
        (TRAILING | {"trail_amount": 4}, []),
        # For one event: the next bar, as under `worst`.
        ({"time_in_force": "ioc"}, [(104.0, "open", "taker")]),
        ({"time_in_force": "fok"}, [(104.0, "open", "taker")]),
        ({"time_in_force": "ioc", "limit_price": 98}, [(104.0, "open", "taker")]),
        ({"time_in_force": "opg"}, [(104.0, "open", "taker")]),
        ({"time_in_force": "cls"}, []),
        # It only ever makes: rejected where it would take.
        ({"limit_price": 98, "post_only": True}, []),
        ({"limit_price": 100, "post_only": True}, [(100.0, "range", "maker")]),
    ],
)
def test_a_child_is_at_work_from_the_place_of_the_fill_on(
    terms: dict[str, Any], sold: list[tuple[Any, ...]]
) -> None:
    results = play(daily(FLAT, BAR, NEXT), {0: child({"limit_price": 99}, terms)}, policies=path("ohlc"))
    fills = results.fills.filter(order_id=2)
    assert results.fills["price"].to_list()[0] == 99.0
    assert fills.select("price", "phase", "liquidity").rows() == sold
    if terms.get("limit_price") == 98 and "post_only" in terms:
        assert ends(results)[1] == ("rejected", "POST_ONLY_WOULD_TAKE")


@pytest.mark.parametrize(
    ("terms", "sold"),
    [
        # olhc: in at 99.00 at 1, then down to 97.00 at 3, up to 103.00 at 9, down to 101.00 at 11.
        ({"limit_price": 102}, (102.0, "range")),
        (IF_TOUCHED | {"stop_price": 102}, (102.0, "range")),
        ({"stop_price": 98}, (98.0, "range")),
        # Triggered at 98.00 at 2; 102.00 at 3 + 5 = 8.
        ({"stop_price": 98, "limit_price": 102}, (102.0, "range")),
        ({"limit_price": 103.5}, (104.0, "open")),
    ],
)
def test_a_child_meets_what_lies_behind_the_fill(terms: dict[str, Any], sold: tuple[Any, ...]) -> None:
    results = play(daily(FLAT, BAR, NEXT), {0: child({"limit_price": 99}, terms)}, policies=path("olhc"))
    assert results.fills.filter(order_id=2).select("price", "phase").rows() == [sold]


def test_a_limit_that_takes_at_the_place_of_a_fill_has_the_price_of_limit_gap() -> None:
    """In at 99.00; the child would sell at 98.00 or better, and `at_limit` gives it no better."""
    for gap, sold in (("open_if_better", 99.0), ("at_limit", 98.0)):
        results = play(
            daily(FLAT, BAR),
            {0: child({"limit_price": 99}, {"limit_price": 98})},
            policies=path("ohlc", limit_gap=gap),
        )
        assert rows(results, "liquidity") == [(1, 99.0, "maker"), (2, sold, "taker")]


@pytest.mark.parametrize(
    ("timing", "sold"), [("next_close", (101.0, "close")), ("next_open", (99.0, "range"))]
)
def test_a_market_child_of_a_fill_inside_takes_the_close_where_market_orders_do(
    timing: str, sold: tuple[Any, ...]
) -> None:
    results = play(
        daily(FLAT, BAR, NEXT), {0: child({"limit_price": 99}, {})}, policies=path("ohlc", fill_timing=timing)
    )
    assert rows(results, "phase") == [(1, 99.0, "range"), (2, *sold)]


def test_a_child_of_a_fill_at_the_turn_of_the_path() -> None:
    """In at the low of 97.00, at 9: a stop there acts at once; a limit at 97.01 is met 0.01 later."""
    for terms, sold in (
        ({"stop_price": 97}, (97.0, "taker")),
        ({"limit_price": 97.01}, (97.01, "maker")),
        ({"stop_price": 96.99}, None),
    ):
        results = play(
            daily(FLAT, BAR), {0: child({"limit_price": 97}, terms)}, policies=path("ohlc")
        ).fills.filter(order_id=2)
        assert results.select("price", "liquidity").rows() == ([] if sold is None else [sold])


def test_a_child_is_not_triggered_by_what_lies_before_the_fill() -> None:
    """ohlc: in at 99.00 at 7. The high of 103.00 was before that, so the open of 101.20 finds no limit."""

    def act(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10, limit_price=99)
        now.broker.buy("A", 10, stop_price=102, limit_price=101.5, parent=entry)

    results = play(daily(FLAT, BAR, (101.2, 101.2, 101.2, 101.2)), {0: act}, policies=path("ohlc"))
    assert rows(results) == [(1, 99.0)]


def test_a_limit_through_is_not_met_by_a_fill_that_only_touches_it() -> None:
    """ohlc: in at the stop of 102.00, where a limit of 102.00 is only touched; the market goes to 103.00."""
    results = play(
        daily(FLAT, BAR),
        {0: child({"stop_price": 102}, {"limit_price": 102})},
        policies=path("ohlc", limit_touch="through"),
    )
    assert rows(results, "liquidity") == [(1, 102.0, "taker"), (2, 102.0, "maker")]
    # Of a stop at the high of 103.00 it stays a touch.
    results = play(
        daily(FLAT, BAR),
        {0: child({"stop_price": 103}, {"limit_price": 103})},
        policies=path("ohlc", limit_touch="through"),
    )
    assert rows(results, "liquidity") == [(1, 103.0, "taker")]


def test_a_trailing_child_of_a_limit_through_begins_at_the_limit() -> None:
    """At 98.00, not one unit below: less 1.00 that is 97.00, which the low reaches."""
    for touch in ("touch", "through"):
        results = play(
            daily(FLAT, BAR),
            {0: child({"limit_price": 98}, TRAILING | {"trail_amount": 1})},
            policies=path("ohlc", limit_touch=touch),
        )
        assert rows(results)[1:] == [(2, 97.0)]


def test_a_grandchild_begins_at_the_place_of_the_child() -> None:
    """ohlc: in at 99.00 at 7, out at 98.00 at 8, in again at 97.50 at 8.5; 98.50 was before that."""

    def act(now: Any) -> None:  # noqa: ANN401
        stop = now.broker.sell("A", 10, stop_price=98, parent=now.broker.buy("A", 10, limit_price=99))
        now.broker.buy("A", 10, limit_price=97.5, parent=stop)
        now.broker.buy("A", 10, stop_price=98.5, parent=stop)

    results = play(daily(FLAT, BAR), {0: act}, policies=path("ohlc"))
    # The stop at 98.50 is met at 9 + 1.5, on the way to the close.
    assert rows(results) == [(1, 99.0), (2, 98.0), (3, 97.5), (4, 98.5)]


@pytest.mark.parametrize(
    ("name", "kind", "filled"),
    [
        # Four bought at 102.00 at 2, so six of ten are left to sell at 98.00 at 8.
        ("ohlc", "ouo", [(1, 102.0, 4.0), (2, 98.0, 6.0)]),
        # Ten sold at 98.00 at 2, which is more than the four.
        ("olhc", "ouo", [(2, 98.0, 10.0)]),
        ("ohlc", "oco", [(1, 102.0, 4.0)]),
        ("olhc", "oco", [(2, 98.0, 10.0)]),
    ],
)
def test_a_group_shares_what_the_path_meets_first(
    name: str, kind: str, filled: list[tuple[Any, ...]]
) -> None:
    def act(now: Any) -> None:  # noqa: ANN401
        order = now.broker.buy("A", 4, stop_price=102)
        now.broker.sell("A", 10, stop_price=98, **{kind: order})

    results = play(daily(FLAT, BAR), {0: act}, policies=path(name))
    assert rows(results, "quantity") == filled


@pytest.mark.parametrize(
    ("terms", "sold", "liquidity"),
    [
        # In at 98.00, where the path is at 97.999999999: the price of the place is 98.00 all the same.
        ({}, 98.0, "taker"),
        ({"stop_price": 98}, 98.0, "taker"),
        ({"stop_price": 99}, 98.0, "taker"),
        ({"limit_price": 97.5}, 98.0, "taker"),
        # Met after it, on the way down.
        ({"stop_price": 97.99}, 97.99, "taker"),
        # Not beyond 98.00 there; on the way up from 97.00 it is one unit above.
        ({"limit_price": 98}, 98.0, "maker"),
    ],
)
def test_what_a_limit_through_has_started_begins_at_its_price(
    terms: dict[str, Any], sold: float, liquidity: str
) -> None:
    results = play(
        daily(FLAT, BAR),
        {0: child({"limit_price": 98}, terms)},
        policies=path("ohlc", limit_touch="through"),
    )
    assert rows(results, "liquidity") == [(1, 98.0, "maker"), (2, sold, liquidity)]


@pytest.mark.parametrize(
    ("terms", "sold"),
    [
        # As under `worst`: a stop meets the rest of the range, all else waits for the next bar.
        ({"stop_price": 98}, (98.0, "range")),
        ({"stop_price": 99.5}, (99.0, "range")),
        ({}, (104.0, "open")),
        ({"limit_price": 100}, (104.0, "open")),
    ],
)
def test_by_submission_a_child_of_a_fill_inside_is_as_under_worst(
    terms: dict[str, Any], sold: tuple[Any, ...]
) -> None:
    results = play(
        daily(FLAT, BAR, NEXT), {0: child({"limit_price": 99}, terms)}, policies=path("submission")
    )
    assert rows(results, "phase") == [(1, 99.0, "range"), (2, *sold)]


# -- position rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pct", "sold"),
    [
        # In at 99.00; the target at 99.00 x 1.01 = 99.99 comes on the way up from 97.00.
        ("ohlc", 0.01, [(99.99, "range", "maker")]),
        # 99.00 x 1.03 = 101.97: behind the fill only where the high is.
        ("olhc", 0.03, [(101.97, "range", "maker")]),
        ("ohlc", 0.03, [(104.0, "open", "maker")]),
        # Under `worst` the target of a fill inside waits, and has not rested then.
        ("worst", 0.01, [(104.0, "open", "taker")]),
        ("submission", 0.01, [(104.0, "open", "taker")]),
    ],
)
def test_a_target_of_a_rule_is_at_work_from_the_place_of_the_fill_on(
    name: str, pct: float, sold: list[tuple[Any, ...]]
) -> None:
    steps = {0: guarded(TakeProfit(pct=pct), limit_price=99)}
    results = play(daily(FLAT, BAR, NEXT), steps, policies=path(name))
    assert results.fills.filter(order_id=2).select("price", "phase", "liquidity").rows() == sold


@pytest.mark.parametrize(
    ("name", "rule", "add", "filled"),
    [
        # Ten held at 100.00, a target at 102.00 above the high. ohlc adds ten at 98.00, at 1.5 + 3.5:
        # average 99.00, so the target is at 99.00 x 1.02 = 100.98, met on the way to the close of 101.00.
        ("ohlc", TakeProfit(pct=0.02), {"limit_price": 98}, [(98.0, "buy", 10.0), (100.98, "sell", 20.0)]),
        # Under `worst` the target that has moved waits for the next bar.
        ("worst", TakeProfit(pct=0.02), {"limit_price": 98}, [(98.0, "buy", 10.0)]),
        # A stop at 98.00. ohlc adds ten at 101.00 at 1: average 100.50, and 100.50 x 0.98 = 98.49.
        ("ohlc", StopLoss(pct=0.02), {"stop_price": 101}, [(101.0, "buy", 10.0), (98.49, "sell", 20.0)]),
        # olhc meets 98.00 at 2 and buys anew at 101.00; the new stop of 101.00 x 0.98 = 98.98 is not met.
        ("olhc", StopLoss(pct=0.02), {"stop_price": 101}, [(98.0, "sell", 10.0), (101.0, "buy", 10.0)]),
    ],
)
def test_an_order_of_a_rule_meets_the_rest_of_the_path_with_its_new_level(
    name: str,
    rule: Any,  # noqa: ANN401
    add: dict[str, Any],
    filled: list[tuple[Any, ...]],
) -> None:
    steps: dict[int, Action] = {0: guarded(rule), 1: lambda now: now.broker.buy("A", 10, **add)}
    bar = (100, 101.5, 97, 101)
    results = play(daily(FLAT, FLAT, bar), steps, policies=path(name))
    assert results.fills.select("price", "side", "quantity").rows()[1:] == filled


def test_the_path_to_a_new_target_begins_at_the_fill_that_has_moved_it() -> None:
    """ohlc adds at 98.00. The new target of 100.98 was on the way up before that, where it does not count.

    The close of 100.00 stays below it, so it waits; the next open of 104.00 gaps through what has rested.
    """
    steps: dict[int, Action] = {
        0: guarded(TakeProfit(pct=0.02)),
        1: lambda now: now.broker.buy("A", 10, limit_price=98),
    }
    results = play(daily(FLAT, FLAT, (100, 101.5, 97, 100), NEXT), steps, policies=path("ohlc"))
    assert results.fills.select("price", "quantity", "liquidity").rows()[1:] == [
        (98.0, 10.0, "maker"),
        (104.0, 20.0, "maker"),
    ]
