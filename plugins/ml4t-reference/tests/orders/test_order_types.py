"""Order types on the bar of the table: where each fills, and where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from .market import (
    BAR,
    FLAT,
    IF_TOUCHED,
    LIMIT_TOUCHED,
    TRAILING,
    TRAILING_LIMIT,
    Action,
    daily,
    ends,
    fills,
    play,
    send,
)


@pytest.mark.parametrize(
    ("side", "terms", "price", "phase", "liquidity"),
    [
        ("buy", {}, 100.0, "open", "taker"),
        ("buy", {"limit_price": 98}, 98.0, "range", "maker"),
        ("sell", {"stop_price": 98}, 98.0, "range", "taker"),
        ("buy", {"stop_price": 102, "limit_price": 102.5}, 102.0, "range", "taker"),
        # The market falls to 98.00 and stands there.
        ("buy", IF_TOUCHED | {"stop_price": 98}, 98.0, "range", "taker"),
        ("sell", IF_TOUCHED | {"stop_price": 102}, 102.0, "range", "taker"),
        ("buy", IF_TOUCHED | {"stop_price": 97}, 97.0, "range", "taker"),
        # The open is there already: it triggers at the open.
        ("buy", IF_TOUCHED | {"stop_price": 101}, 100.0, "open", "taker"),
        ("buy", IF_TOUCHED | {"stop_price": 100}, 100.0, "open", "taker"),
        ("buy", LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 98.5}, 98.0, "range", "taker"),
        ("sell", LIMIT_TOUCHED | {"stop_price": 102, "limit_price": 101}, 102.0, "range", "taker"),
        ("buy", LIMIT_TOUCHED | {"stop_price": 101, "limit_price": 102}, 100.0, "open", "taker"),
        # Triggered by the open, which the limit does not allow: it rests from there on.
        ("buy", LIMIT_TOUCHED | {"stop_price": 101, "limit_price": 98}, 98.0, "range", "maker"),
        ("sell", TRAILING | {"trail_amount": 3}, 97.0, "range", "taker"),
        ("buy", TRAILING | {"trail_amount": 3}, 103.0, "range", "taker"),
        ("sell", TRAILING | {"trail_fraction": 0.02}, 98.0, "range", "taker"),
        ("sell", TRAILING_LIMIT | {"trail_amount": 3, "limit_offset": 1}, 97.0, "range", "taker"),
        # 100.00 - 2.995 is 97.005, and the tick farther away from the market is 97.00.
        ("sell", TRAILING | {"trail_amount": "2.995"}, 97.0, "range", "taker"),
        ("buy", TRAILING | {"trail_amount": "2.995"}, 103.0, "range", "taker"),
        # The open activates it and begins the water mark.
        ("sell", TRAILING | {"trail_amount": 3, "activation_price": 100}, 97.0, "range", "taker"),
        ("sell", {"order_type": "market_on_open"}, 100.0, "open", "taker"),
        ("buy", {"order_type": "limit_on_open", "limit_price": 100}, 100.0, "open", "taker"),
        ("buy", {"order_type": "market_on_close"}, 101.0, "close", "taker"),
        ("buy", {"order_type": "limit_on_close", "limit_price": 101}, 101.0, "close", "taker"),
        ("buy", {"time_in_force": "ioc"}, 100.0, "open", "taker"),
        ("buy", {"time_in_force": "fok", "limit_price": 102}, 100.0, "open", "taker"),
    ],
)
def test_an_order_fills_on_the_bar_of_the_table(
    side: str, terms: dict[str, Any], price: float, phase: str, liquidity: str
) -> None:
    results = play(daily(FLAT, BAR), {0: send(side, **terms)})
    assert results.fills.select("price", "quantity", "phase", "liquidity").rows() == [
        (price, 10.0, phase, liquidity)
    ]


@pytest.mark.parametrize(
    ("side", "terms", "status", "code"),
    [
        ("buy", IF_TOUCHED | {"stop_price": 96}, "canceled", "END_OF_DATA"),
        ("sell", IF_TOUCHED | {"stop_price": 104}, "canceled", "END_OF_DATA"),
        # Triggered at 98.00, above its limit: it rests, and what the bar did afterwards is unknown.
        ("buy", LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5}, "canceled", "END_OF_DATA"),
        ("sell", TRAILING | {"trail_amount": 4}, "canceled", "END_OF_DATA"),
        ("sell", TRAILING | {"trail_amount": 3, "activation_price": 101}, "canceled", "END_OF_DATA"),
        ("buy", {"time_in_force": "ioc", "limit_price": 99}, "canceled", "NOT_FILLED_AT_ONCE"),
        ("buy", {"time_in_force": "fok", "limit_price": 99}, "canceled", "NOT_FILLED_AT_ONCE"),
        ("buy", {"order_type": "limit_on_open", "limit_price": 99}, "expired", "NOT_FILLED_AT_OPEN"),
        ("buy", {"order_type": "limit_on_close", "limit_price": 100}, "expired", "NOT_FILLED_AT_CLOSE"),
        ("buy", {"limit_price": 100, "post_only": True}, "rejected", "POST_ONLY_WOULD_TAKE"),
        ("buy", {"reduce_only": True}, "rejected", "NOTHING_TO_REDUCE"),
    ],
)
def test_an_order_does_not_fill_on_the_bar_of_the_table(
    side: str, terms: dict[str, Any], status: str, code: str
) -> None:
    results = play(daily(FLAT, BAR), {0: send(side, **terms)})
    assert fills(results) == []
    assert ends(results) == [(status, code)]


def test_slippage_comes_on_top_of_a_market_if_touched_and_not_of_a_limit_if_touched() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=98),
            now.broker.buy("A", 1, order_type="limit_if_touched", stop_price=98, limit_price=98.5),
        )
    }
    results = play(daily(FLAT, BAR), steps, slippage_model={"type": "Spread", "spread": 0.04})
    assert results.fills.select("reference_price", "price").rows() == [(98.0, 98.02), (98.0, 98.0)]


def test_a_trigger_needs_a_touch_even_where_limits_need_more() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=97),
            now.broker.buy("A", 1, limit_price=97),
        )
    }
    results = play(daily(FLAT, BAR), steps, policies={"limit_touch": "through"})
    assert fills(results) == [(97.0, 1.0)]


def test_a_closing_order_if_touched_comes_after_a_stop_among_the_targets() -> None:
    steps: dict[int, Action] = {
        0: send("buy"),
        1: lambda now: (
            now.broker.sell("A", 10, order_type="market_if_touched", stop_price=102, reduce_only=True),
            now.broker.sell("A", 10, stop_price=98, reduce_only=True),
        ),
    }
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 10.0), (98.0, 10.0)]
    assert ends(results)[1:] == [("rejected", "NOTHING_TO_REDUCE"), ("filled", "")]


def test_a_limit_if_touched_that_was_triggered_rests_in_the_next_bar() -> None:
    """Triggered at 98.00 with a limit of 97.50; the next bar opens at 96.00, where a resting limit makes."""
    terms = LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5}
    results = play(daily(FLAT, BAR, (96, 96, 96, 96)), {0: send("buy", **terms)})
    assert results.fills.select("price", "liquidity").rows() == [(96.0, "maker")]


def test_a_price_off_the_tick_of_an_order_if_touched_goes_to_where_it_triggers_later() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=90.005),
            now.broker.sell("A", 1, order_type="market_if_touched", stop_price=110.005),
            now.broker.sell("A", 1, order_type="trailing_stop", trail_amount=9, activation_price=110.005),
        )
    }
    results = play(daily(FLAT, BAR), steps, policies={"tick_rounding": "passive"})
    assert results.orders.select("stop_price", "activation_price").rows() == [
        (90.0, None),
        (110.01, None),
        (None, 110.01),
    ]
