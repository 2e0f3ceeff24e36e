"""`same_bar_exit`: whether what a fill has started may fill in the rest of the same bar, worked by hand.

The first day is flat at 100.00; on it the orders are sent. The next has open 100.00, high 103.00, low 97.00,
close 101.00, and the last is flat at 104.00.
"""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import StopLoss, TakeProfit

from .market import BAR, FLAT, IF_TOUCHED, Action, at, daily, ends, hourly, play
from .market import prints as ticks
from .path_scripts import NEXT, child, guarded, rows

PATHS = ["worst", "ohlc", "olhc", "nearest_first", "submission"]
CAP = {"type": "Default", "volume_limit": 0.5}


def policies(path: str, **others: str) -> dict[str, str]:
    return {"path": path, "same_bar_exit": "next_bar"} | others


@pytest.mark.parametrize(
    ("terms", "sold"),
    [
        # Each could fill in the bar of its parent, and meets the open of 104.00 instead.
        ({}, (104.0, "open", "taker")),
        ({"limit_price": 101}, (104.0, "open", "taker")),
        (IF_TOUCHED | {"stop_price": 101}, (104.0, "open", "taker")),
        ({"time_in_force": "ioc"}, (104.0, "open", "taker")),
        ({"time_in_force": "opg"}, (104.0, "open", "taker")),
        # The low of 97.00 was before it, and nothing comes down to these any more.
        ({"stop_price": 98}, None),
        ({"stop_price": 98, "limit_price": 97}, None),
        ({"order_type": "trailing_stop", "trail_amount": 1}, None),
        # For the session in which it was accepted, which has no other bar.
        ({"time_in_force": "day"}, None),
        ({"time_in_force": "cls"}, None),
    ],
)
@pytest.mark.parametrize("entry", [{}, {"limit_price": 99}])
@pytest.mark.parametrize("path", PATHS)
def test_a_child_waits_for_the_next_bar(
    path: str, entry: dict[str, Any], terms: dict[str, Any], sold: tuple[Any, ...] | None
) -> None:
    results = play(daily(FLAT, BAR, NEXT), {0: child(entry, terms)}, policies=policies(path))
    bought = (1, 99.0, "range", "maker") if entry else (1, 100.0, "open", "taker")
    assert rows(results, "phase", "liquidity") == [bought] + ([] if sold is None else [(2, *sold)])


def test_a_child_for_the_session_ends_with_it() -> None:
    """The session ends at midnight after the second day, when its entry filled inside it or at its open."""
    for entry in ({}, {"limit_price": 99}):
        for lifetime, code in (("day", "SESSION_CLOSED"), ("cls", "NOT_FILLED_AT_CLOSE")):
            results = play(
                daily(FLAT, BAR, NEXT),
                {0: child(entry, {"time_in_force": lifetime})},
                policies=policies("worst"),
            )
            assert ends(results)[1] == ("expired", code)
            assert results.orders["ts_closed"].to_list()[1] == at(3)


def test_a_child_of_an_open_at_midnight_belongs_to_the_session_that_begins() -> None:
    """Sent and filled at 00:00, where a session ends and the next opens; the bar of 01:00 comes to 98.00."""
    feed = hourly(FLAT, FLAT, (99, 99, 97, 99), start=at(2, 23))
    steps = {0: child({}, {"stop_price": 98, "time_in_force": "day"})}
    results = play(feed, steps, policies=policies("worst"))
    assert rows(results, "ts_event") == [(1, 100.0, at(3)), (2, 98.0, at(3, 2))]


@pytest.mark.parametrize("cap", [{}, {"fill_model": CAP}])
def test_a_child_of_an_open_waits_also_where_it_is_booked_with_its_volume(cap: dict[str, Any]) -> None:
    results = play(
        hourly(FLAT, BAR, (99, 99, 97, 99)),
        {0: child({}, {"stop_price": 98})},
        policies=policies("worst"),
        **cap,
    )
    # The bar from 01:00 to 02:00 reaches 98.00, too; the one that opens at 02:00 is the next.
    assert rows(results, "phase", "ts_event") == [
        (1, 100.0, "open", at(2, 2) if cap else at(2, 1)),
        (2, 98.0, "range", at(2, 3)),
    ]


@pytest.mark.parametrize("path", PATHS)
def test_a_new_order_of_a_rule_waits_for_the_next_bar(path: str) -> None:
    """The bar that opens the position has their levels in it; the open of 104.00 is the target's."""
    for entry in ({}, {"limit_price": 99}):
        target, stop = guarded(TakeProfit(pct=0.01), **entry), guarded(StopLoss(pct=0.01), **entry)
        results = play(daily(FLAT, BAR, NEXT), {0: target}, policies=policies(path))
        assert rows(results, "phase", "liquidity")[1:] == [(2, 104.0, "open", "taker")]
        results = play(daily(FLAT, BAR, NEXT), {0: stop}, policies=policies(path))
        assert len(results.fills) == 1


@pytest.mark.parametrize("path", ["worst", "ohlc", "olhc"])
def test_an_order_of_a_rule_that_was_there_goes_on(path: str) -> None:
    """Ten held at 100.00, a stop at 98.00; ten more at 99.00 make 99.50 of it, and 99.50 x 0.98 = 97.51."""
    steps: dict[int, Action] = {
        0: guarded(StopLoss(pct=0.02)),
        1: lambda now: now.broker.buy("A", 10, limit_price=99),
    }
    results = play(daily(FLAT, FLAT, BAR), steps, policies=policies(path))
    assert rows(results, "quantity")[1:] == [(3, 99.0, 10.0), (2, 97.51, 20.0)]


def test_a_child_that_was_there_before_grows_and_goes_on() -> None:
    """A cap fills four of ten on the second day.

    The stop for four is there on the third, when six more are bought at the open of 100.00, and sells ten.
    """
    results = play(
        daily(FLAT, (100, 100, 100, 100, 8), BAR),
        {0: child({}, {"stop_price": 98})},
        policies=policies("worst"),
        fill_model=CAP,
    )
    assert rows(results, "quantity") == [(1, 100.0, 4.0), (1, 100.0, 6.0), (2, 98.0, 10.0)]


# -- what is not concerned -----------------------------------------------------------------------------------


@pytest.mark.parametrize("exits", ["allow", "next_bar"])
def test_fills_at_closes_and_on_prints_are_not_concerned(exits: str) -> None:
    chosen = {"same_bar_exit": exits}
    results = play(
        daily(FLAT, BAR, BAR), {0: child({"time_in_force": "cls"}, {"stop_price": 98})}, policies=chosen
    )
    assert rows(results, "phase") == [(1, 101.0, "close"), (2, 98.0, "range")]
    results = play(ticks(100, 101, 97), {0: child({}, {"stop_price": 98})}, policies=chosen)
    assert rows(results) == [(1, 101.0), (2, 97.0)]


@pytest.mark.parametrize(
    ("exits", "sold"),
    [
        # The close of the bar of the fill, 101.00, or of the next one.
        ("allow", [(2, 101.0, at(3))]),
        ("next_bar", [(2, 104.0, at(4))]),
    ],
)
@pytest.mark.parametrize("timing", ["next_close", "same_close"])
@pytest.mark.parametrize("path", ["ohlc", "olhc"])
def test_the_close_of_a_bar_is_a_part_of_it(
    path: str, timing: str, exits: str, sold: list[tuple[Any, ...]]
) -> None:
    results = play(
        daily(FLAT, BAR, NEXT),
        {0: child({"limit_price": 99}, {})},
        policies=policies(path, fill_timing=timing, same_bar_exit=exits),
    )
    assert rows(results, "ts_event")[1:] == sold


def test_a_child_of_a_fill_inside_does_not_take_the_same_close_either() -> None:
    """Under `worst` it is accepted when the bar is complete, at the close that `same_close` would give it."""
    results = play(
        daily(FLAT, BAR, NEXT),
        {0: child({"limit_price": 99}, {})},
        policies=policies("worst", fill_timing="same_close"),
    )
    assert rows(results, "ts_event") == [(1, 99.0, at(3)), (2, 104.0, at(4))]
