"""The path `close_only`: orders meet the close of a bar and nothing else of it, worked by hand.

The first day is flat at 100.00; on it the orders are sent. The next has open 100.00, high 103.00, low 97.00
and the close that counts, 101.00.
"""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import StopLoss, TakeProfit, TrailingStop
from ml4t.core.errors import ConfigError

from .market import BAR, FLAT, IF_TOUCHED, LIMIT_TOUCHED, TRAILING, Action, at, daily, ends, play
from .market import prints as ticks
from .path_scripts import child, guarded, rows, sends

CLOSES: dict[str, Any] = {"path": "close_only", "fill_timing": "next_close"}
CAP = {"type": "Default", "volume_limit": 0.1}


def day(close: float) -> tuple[float, ...]:
    """Return a wide bar: what lies between 90.00 and 110.00 is in its range."""
    return (100, 110, 90, close)


def test_market_orders_of_the_open_contradict_it() -> None:
    with pytest.raises(ConfigError, match="'close_only' knows no open"):
        play(daily(FLAT, BAR), {}, policies={"path": "close_only"})


@pytest.mark.parametrize(
    ("side", "terms", "others", "filled"),
    [
        ("buy", {}, {}, [(101.0, "close", "taker")]),
        # Allowed by 101.00; and the better close, or its own price.
        ("buy", {"limit_price": 102}, {}, [(101.0, "close", "taker")]),
        ("buy", {"limit_price": 102}, {"limit_gap": "at_limit"}, [(102.0, "close", "taker")]),
        ("buy", {"limit_price": 101}, {}, [(101.0, "close", "taker")]),
        ("buy", {"limit_price": 101}, {"limit_touch": "through"}, []),
        ("buy", {"limit_price": 101.01}, {"limit_touch": "through"}, [(101.0, "close", "taker")]),
        # The open of 100.00 and the low of 97.00 would allow these.
        ("buy", {"limit_price": 100.5}, {}, []),
        ("sell", {"limit_price": 102}, {}, []),
        # 101.00 is beyond the stop, or it is not, as 103.00 and 97.00 are.
        ("buy", {"stop_price": 100.5}, {}, [(101.0, "close", "taker")]),
        ("buy", {"stop_price": 101}, {"limit_touch": "through"}, [(101.0, "close", "taker")]),
        ("buy", {"stop_price": 102}, {}, []),
        ("sell", {"stop_price": 98}, {}, []),
        ("sell", {"stop_price": 101.5}, {}, [(101.0, "close", "taker")]),
        # Triggered by 101.00, which the limit allows, or does not.
        ("buy", {"stop_price": 100.5, "limit_price": 101.5}, {}, [(101.0, "close", "taker")]),
        (
            "buy",
            {"stop_price": 100.5, "limit_price": 101.5},
            {"limit_gap": "at_limit"},
            [(101.5, "close", "taker")],
        ),
        ("buy", {"stop_price": 100.5, "limit_price": 100.8}, {}, []),
        ("buy", IF_TOUCHED | {"stop_price": 101}, {}, [(101.0, "close", "taker")]),
        ("buy", IF_TOUCHED | {"stop_price": 100.5}, {}, []),
        ("buy", LIMIT_TOUCHED | {"stop_price": 102, "limit_price": 101}, {}, [(101.0, "close", "taker")]),
        # From 100.00: the stop is at 97.00, which the low has reached.
        ("sell", TRAILING | {"trail_amount": 3}, {}, []),
        # The opening is asked for.
        ("buy", {"time_in_force": "opg"}, {}, [(100.0, "open", "taker")]),
        ("buy", {"time_in_force": "opg", "limit_price": 100}, {}, [(100.0, "open", "taker")]),
        ("buy", {"time_in_force": "opg", "limit_price": 99}, {}, []),
        ("buy", {"time_in_force": "cls"}, {}, [(101.0, "close", "taker")]),
        ("buy", {"time_in_force": "cls", "limit_price": 102}, {}, [(101.0, "close", "taker")]),
        ("buy", {"limit_price": 101, "post_only": True}, {}, []),
    ],
)
@pytest.mark.parametrize("timing", ["next_close", "same_close"])
def test_an_order_meets_the_close(
    timing: str, side: str, terms: dict[str, Any], others: dict[str, str], filled: list[tuple[Any, ...]]
) -> None:
    if timing == "same_close" and not terms:
        # A market order takes the close that it was decided on.
        filled = [(100.0, "close", "taker")]
    policies = CLOSES | {"fill_timing": timing} | others
    results = play(daily(FLAT, BAR), {0: sends((side, 10, terms))}, policies=policies)
    assert results.fills.select("price", "phase", "liquidity").rows() == filled


@pytest.mark.parametrize(
    ("side", "terms", "sold"),
    [
        # Not allowed by 101.00: it has waited, but no limit rests, so it takes the better close of 99.00.
        ("buy", {"limit_price": 100}, (99.0, "taker")),
        # Triggered by 101.00, not allowed: the same.
        ("buy", {"stop_price": 100.5, "limit_price": 100}, (99.0, "taker")),
        # Not triggered by the high of 103.00, so not triggered at all.
        ("buy", {"stop_price": 102, "limit_price": 100}, None),
        # It follows the bar that is complete: 103 - 3 = 100, passed by 99.00.
        ("sell", TRAILING | {"trail_amount": 3}, (99.0, "taker")),
        ("sell", TRAILING | {"trail_amount": 5}, None),
    ],
)
def test_an_order_that_waits_meets_the_next_close(
    side: str, terms: dict[str, Any], sold: tuple[Any, ...] | None
) -> None:
    results = play(daily(FLAT, BAR, day(99)), {0: sends((side, 10, terms))}, policies=CLOSES)
    assert results.fills.select("price", "liquidity").rows() == ([] if sold is None else [sold])


def test_orders_come_by_submission_at_one_price() -> None:
    """A cap of ten: the stop and the limit that were sent first take it, whatever their prices and legs."""
    orders: list[tuple[str, float, dict[str, Any]]] = [
        ("sell", 4, {"stop_price": 101}),
        ("buy", 4, {"limit_price": 102}),
        ("buy", 4, {}),
        ("buy", 4, {"stop_price": 100.5}),
    ]
    results = play(daily(FLAT, (*BAR, 100)), {0: sends(*orders)}, policies=CLOSES, fill_model=CAP)
    assert rows(results, "quantity") == [(1, 101.0, 4.0), (2, 101.0, 4.0), (3, 101.0, 2.0)]


def test_what_a_cap_leaves_meets_the_next_close() -> None:
    """Ten of 14 at 101.00; the stop is a market order for the other four, also above its price, at 99.00."""
    results = play(
        daily(FLAT, (*BAR, 100), (*day(99), 100)),
        {0: sends(("buy", 14, {"stop_price": 100.5}))},
        policies=CLOSES,
        fill_model=CAP,
    )
    assert rows(results, "quantity") == [(1, 101.0, 10.0), (1, 99.0, 4.0)]


def test_what_a_cap_leaves_of_a_limit_takes_the_next_close() -> None:
    """Ten of 14 at 101.00. The rest has waited and does not rest: it takes 99.00, or its own price."""
    caps = (*BAR, 100), (*day(99), 100)
    steps = {0: sends(("buy", 14, {"limit_price": 102}))}
    for gap, prices in (("open_if_better", (101.0, 99.0)), ("at_limit", (102.0, 102.0))):
        results = play(daily(FLAT, *caps), steps, policies=CLOSES | {"limit_gap": gap}, fill_model=CAP)
        assert rows(results, "quantity", "liquidity") == [
            (1, prices[0], 10.0, "taker"),
            (1, prices[1], 4.0, "taker"),
        ]


def test_a_limit_that_waited_pays_slippage_at_a_close() -> None:
    """Half of 0.10 on 99.00: it takes, so `clamp` lets it pay; and one that only makes ends unfilled."""
    results = play(
        daily(FLAT, BAR, day(99)),
        {0: sends(("buy", 10, {"limit_price": 100}), ("buy", 10, {"limit_price": 100, "post_only": True}))},
        policies=CLOSES | {"limit_slippage": "clamp"},
        slippage_model={"type": "Spread", "spread": 0.1},
    )
    assert rows(results, "liquidity") == [(1, 99.05, "taker")]
    assert ends(results) == [("filled", ""), ("rejected", "POST_ONLY_WOULD_TAKE")]


def test_a_bar_without_volume_has_no_close_for_orders() -> None:
    results = play(
        daily(FLAT, (*BAR, 0), day(99)),
        {0: sends(("buy", 10, {}), ("buy", 10, {"limit_price": 102}))},
        policies=CLOSES,
    )
    assert rows(results, "liquidity") == [(1, 99.0, "taker"), (2, 99.0, "taker")]


@pytest.mark.parametrize(
    ("terms", "status", "filled"),
    [
        ({}, "filled", [(101.0, 10.0)]),
        ({"limit_price": 101}, "filled", [(101.0, 10.0)]),
        # The open of 100.00 is no event, and the close of 99.00 comes a day too late.
        ({"limit_price": 100}, "canceled", []),
    ],
)
@pytest.mark.parametrize("lifetime", ["ioc", "fok"])
def test_an_order_at_once_has_the_close_of_the_next_bar(
    lifetime: str, terms: dict[str, Any], status: str, filled: list[tuple[Any, ...]]
) -> None:
    steps = {0: sends(("buy", 10, terms | {"time_in_force": lifetime}))}
    results = play(daily(FLAT, BAR, day(99)), steps, policies=CLOSES)
    assert results.fills.select("price", "quantity").rows() == filled
    assert ends(results) == [(status, "NOT_FILLED_AT_ONCE" if status == "canceled" else "")]
    # The second day ends at midnight.
    assert results.orders["ts_closed"].to_list() == [at(3)]


def test_an_order_at_once_ends_with_what_a_cap_leaves() -> None:
    for lifetime, filled in (("ioc", [(1, 101.0, 10.0)]), ("fok", [])):
        results = play(
            daily(FLAT, (*BAR, 100), day(99)),
            {0: sends(("buy", 14, {"limit_price": 102, "time_in_force": lifetime}))},
            policies=CLOSES,
            fill_model=CAP,
        )
        assert rows(results, "quantity") == filled
        assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]


def test_with_same_close_a_market_order_takes_the_close_it_was_decided_on_and_all_others_the_next() -> None:
    orders: list[tuple[str, float, dict[str, Any]]] = [
        ("buy", 1, {"limit_price": 105}),
        ("buy", 1, {}),
        ("buy", 1, {"stop_price": 100}),
        ("buy", 1, {"time_in_force": "ioc"}),
        ("buy", 1, {"time_in_force": "ioc", "limit_price": 105}),
    ]
    policies = CLOSES | {"fill_timing": "same_close"}
    results = play(daily(FLAT, BAR), {0: sends(*orders)}, policies=policies)
    assert rows(results) == [(2, 100.0), (4, 100.0), (1, 101.0), (3, 101.0), (5, 101.0)]


def test_prints_are_met_as_ever() -> None:
    orders = [("buy", 1.0, {}), ("sell", 1.0, {"stop_price": 98}), ("buy", 1.0, {"limit_price": 99})]
    results = play(ticks(100, 101, 97), {0: sends(*orders)}, policies=CLOSES)
    assert rows(results) == [(1, 101.0), (2, 97.0), (3, 99.0)]


# -- what fills start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "sold"),
    [
        # In at the close of 101.00; the next closes are 99.00 and 104.00.
        ({}, 99.0),
        ({"stop_price": 98}, None),
        ({"stop_price": 100}, 99.0),
        ({"limit_price": 103}, 104.0),
        ({"time_in_force": "ioc", "limit_price": 100}, None),
    ],
)
def test_a_child_of_a_fill_at_the_close_meets_the_next(terms: dict[str, Any], sold: float | None) -> None:
    results = play(daily(FLAT, BAR, day(99), day(104)), {0: child({}, terms)}, policies=CLOSES)
    assert rows(results, "phase") == [(1, 101.0, "close")] + ([] if sold is None else [(2, sold, "close")])


@pytest.mark.parametrize(
    ("exits", "terms", "sold"),
    [
        # In at the open of 100.00: the child meets the close of 101.00.
        ("allow", {}, (101.0, "close")),
        ("allow", {"limit_price": 101}, (101.0, "close")),
        ("allow", {"stop_price": 98}, (95.0, "close")),
        ("next_bar", {}, (95.0, "close")),
        ("next_bar", {"stop_price": 102}, (95.0, "close")),
    ],
)
@pytest.mark.parametrize("cap", [{}, {"fill_model": CAP}])
def test_a_child_of_an_order_of_the_opening_meets_the_close(
    cap: dict[str, Any], exits: str, terms: dict[str, Any], sold: tuple[Any, ...]
) -> None:
    results = play(
        daily(FLAT, BAR, day(95)),
        {0: child({"time_in_force": "opg"}, terms)},
        policies=CLOSES | {"same_bar_exit": exits},
        **cap,
    )
    assert rows(results, "phase") == [(1, 100.0, "open"), (2, *sold)]


def test_of_a_group_the_one_that_was_sent_first_takes_the_close() -> None:
    """At 101.00 both could fill."""
    for first, second in (
        ({"limit_price": 100.5}, {"stop_price": 101.5}),
        ({"stop_price": 101.5}, {"limit_price": 100.5}),
    ):

        def act(now: Any, first: Any = first, second: Any = second) -> None:  # noqa: ANN401
            order = now.broker.sell("A", 10, **first)
            now.broker.sell("A", 10, oco=order, **second)

        results = play(daily(FLAT, BAR), {0: act}, policies=CLOSES)
        assert rows(results) == [(1, 101.0)]
        assert ends(results) == [("filled", ""), ("canceled", "GROUP_FILLED")]


@pytest.mark.parametrize(
    ("rule", "closes", "sold"),
    [
        # In at 101.00. The stop at 101.00 x 0.98 = 98.98 is passed by 98.00, and not by the low of 90.00.
        (StopLoss(pct=0.02), (100, 98), [98.0]),
        # The target at 101.00 x 1.02 = 103.02 is allowed by 104.00, and not by the high of 110.00.
        (TakeProfit(pct=0.02), (103, 104), [104.0]),
        # A stop at 101.00 x 0.95 = 95.95 meets 104.40, then follows that bar: 110 x 0.95 = 104.50.
        (TrailingStop(pct=0.05), (104.4, 104.6), []),
        (TrailingStop(pct=0.05), (104.4, 104.4), [104.4]),
        # Of the bar of the entry at its close it knows nothing: 103 x 0.95 = 97.85 would be passed.
        (TrailingStop(pct=0.05), (97.5, 105), []),
    ],
)
def test_orders_of_rules_meet_the_close(rule: Any, closes: tuple[float, ...], sold: list[float]) -> None:  # noqa: ANN401
    results = play(daily(FLAT, BAR, *map(day, closes)), {0: guarded(rule)}, policies=CLOSES)
    assert results.fills["price"].to_list() == [101.0, *sold]
    assert results.fills["phase"].to_list() == ["close"] * (1 + len(sold))


def test_a_trailing_stop_of_a_position_of_the_opening_knows_the_whole_bar() -> None:
    """In at the open of 100.00; 103 x 0.98 = 100.94 after the close of 101.00, and 100.50 is below."""
    steps = {0: guarded(TrailingStop(pct=0.02), time_in_force="opg")}
    results = play(daily(FLAT, BAR, day(100.5)), steps, policies=CLOSES)
    assert rows(results, "phase") == [(1, 100.0, "open"), (2, 100.5, "close")]


def test_a_rule_whose_level_a_fill_has_moved_meets_the_same_close() -> None:
    """Ten held at 100.00, a stop at 95.00. A limit at 120.00 buys ten at its own price; the close is 101.00.

    So the average is 110.00 and the stop at 104.50, beyond the market. It acts at that close, as at an open.
    """
    steps: dict[int, Action] = {
        0: guarded(StopLoss(pct=0.05), time_in_force="opg"),
        1: lambda now: now.broker.buy("A", 10, limit_price=120),
    }
    results = play(daily(FLAT, FLAT, BAR), steps, policies=CLOSES | {"limit_gap": "at_limit"})
    assert rows(results, "quantity") == [(1, 100.0, 10.0), (3, 120.0, 10.0), (2, 101.0, 20.0)]


def test_a_rule_that_a_fill_has_moved_away_from_the_close_is_not_reached() -> None:
    """Ten at 100.00 have a stop at 95.00, and the close is 94.00. A limit of 95.00 was sent before it.

    It buys thirty at 94.00: (1000 + 2820) / 40 = 95.50, and 95.50 x 0.95 = 90.725, so the stop is at 90.72.
    """
    steps: dict[int, Action] = {
        0: sends(("buy", 30, {"limit_price": 95})),
        1: guarded(StopLoss(pct=0.05), time_in_force="opg"),
    }
    results = play(daily(FLAT, FLAT, FLAT, day(94)), steps, policies=CLOSES)
    assert rows(results, "quantity") == [(2, 100.0, 10.0), (1, 94.0, 30.0)]


def test_a_position_that_is_closed_and_opened_at_a_close_has_not_seen_the_bar() -> None:
    """A stop at 110 x 0.95 = 104.50 would be passed by 104.00; the new one is at 101 x 0.95 = 95.95."""
    steps: dict[int, Action] = {
        0: guarded(TrailingStop(pct=0.05)),
        1: sends(("sell", 10, {}), ("buy", 10, {})),
    }
    results = play(daily(FLAT, FLAT, day(101), day(104)), steps, policies=CLOSES)
    assert rows(results) == [(1, 100.0), (3, 101.0), (4, 101.0)]
