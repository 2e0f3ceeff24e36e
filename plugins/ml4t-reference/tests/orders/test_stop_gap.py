"""The policy `stop_gap`, worked by hand: a stop that the open has passed, at the open or at its own price.

The first day is flat at 100.00; the second opens above it or below it and does not come back.
"""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import StopLoss

from .market import FLAT, IF_TOUCHED, TRAILING, TRAILING_LIMIT, daily, ends, fills, in_turn, play, send

UP = (104, 106, 103, 105)
DOWN = (96, 97, 94, 95)
AT_STOP = {"stop_gap": "at_stop"}


@pytest.mark.parametrize(
    ("side", "terms", "day", "own", "opened"),
    [
        ("buy", {"stop_price": 102}, UP, 102.0, 104.0),
        ("sell", {"stop_price": 99}, DOWN, 99.0, 96.0),
        # The water marks begin at 100.00.
        ("buy", TRAILING | {"trail_amount": 2}, UP, 102.0, 104.0),
        ("sell", TRAILING | {"trail_fraction": 0.03}, DOWN, 97.0, 96.0),
        # No gap: the open is at the stop.
        ("buy", {"stop_price": 104}, UP, 104.0, 104.0),
        # Limits decide, and orders if touched are better off than they asked.
        ("buy", {"stop_price": 102, "limit_price": 105}, UP, 104.0, 104.0),
        ("buy", TRAILING_LIMIT | {"trail_amount": 2, "limit_offset": 3}, UP, 104.0, 104.0),
        ("sell", IF_TOUCHED | {"stop_price": 102}, UP, 104.0, 104.0),
    ],
)
def test_a_stop_that_the_open_has_passed(
    side: str, terms: dict[str, Any], day: tuple[float, ...], own: float, opened: float
) -> None:
    steps = {0: send(side, **terms)}
    assert fills(play(daily(FLAT, day), steps, policies=AT_STOP)) == [(own, 10)]
    assert fills(play(daily(FLAT, day), steps)) == [(opened, 10)]


def test_cash_pays_the_stop() -> None:
    # 10 x 102.00 = 1020.00; the open would ask for 1040.00.
    rich_enough = {"initial_cash": 1030, "leverage": 1}
    steps = {0: send("buy", stop_price=102)}
    assert fills(play(daily(FLAT, UP), steps, policies=AT_STOP, **rich_enough)) == [(102.0, 10)]
    assert ends(play(daily(FLAT, UP), steps, **rich_enough)) == [("rejected", "INSUFFICIENT_CASH")]


def test_a_market_child_takes_the_open_that_the_market_is_at() -> None:
    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10, stop_price=102)
        now.broker.sell("A", 10, parent=entry)

    assert fills(play(daily(FLAT, UP), {0: both}, policies=AT_STOP)) == [(102.0, 10), (104.0, 10)]


def test_a_stop_that_waits_for_the_volume_of_its_bar_keeps_its_price() -> None:
    # A tenth of 60 is 6. The other 4 were triggered by the day before, and take the open of 96.00.
    cap = {"type": "Default", "volume_limit": 0.1}
    days = daily(FLAT, (*UP, 60), (*DOWN, 1000))
    results = play(days, {0: send("buy", stop_price=102)}, policies=AT_STOP, fill_model=cap)
    assert results.fills.select("price", "quantity", "phase").rows() == [
        (102.0, 6, "open"),
        (96.0, 4, "open"),
    ]


def test_the_stop_of_a_rule_that_a_fill_at_the_open_moves_beyond_it_acts_at_its_level() -> None:
    # Short 10 at 100.00, then 10 more at 96.00: the average is 98.00, and 1 % above it 98.98.
    def begin(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(StopLoss(pct=0.01))
        now.broker.sell("A", 10)

    bars = daily(FLAT, (100, 100.5, 99, 100), (100, 100.5, 98, 100), FLAT)
    steps = in_turn(begin, send("sell", 10, limit_price=96))
    results = play(bars, steps, policies=AT_STOP | {"limit_gap": "at_limit"})
    assert fills(results) == [(100.0, 10), (96.0, 10), (98.98, 20)]


def test_a_close_is_no_open() -> None:
    policies = AT_STOP | {"path": "close_only", "fill_timing": "next_close"}
    assert fills(play(daily(FLAT, UP), {0: send("buy", stop_price=102)}, policies=policies)) == [(105.0, 10)]
