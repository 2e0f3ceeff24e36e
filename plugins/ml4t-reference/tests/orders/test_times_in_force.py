"""Times in force: orders with a last day, at once, of the opening and of the close."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from .market import (
    BAR,
    FLAT,
    Action,
    at,
    daily,
    days,
    ends,
    feed_of,
    fills,
    hourly,
    play,
    prints,
    quotes,
    send,
)


@pytest.mark.parametrize(
    ("expire_at", "expires"),
    [
        ("2024-01-03", at(4)),
        (dt.date(2024, 1, 3), at(4)),
        ("2024-01-03T12:00:00Z", at(3, 12)),
        (at(3, 12), at(3, 12)),
        (at(3, 12).astimezone(dt.timezone(dt.timedelta(hours=5))), at(3, 12)),
    ],
)
def test_a_gtd_order_works_to_its_time(expire_at: object, expires: dt.datetime) -> None:
    steps = {0: send("buy", limit_price=90, time_in_force="gtd", expire_at=expire_at)}
    results = play(daily(*(FLAT,) * 5), steps)
    assert results.orders.select("status", "reason_code", "ts_expires", "ts_closed").rows() == [
        ("expired", "TIME_EXPIRED", expires, expires)
    ]


def test_a_gtd_order_whose_time_has_come_is_rejected() -> None:
    steps = {0: send("buy", time_in_force="gtd", expire_at=at(2))}
    assert ends(play(daily(FLAT, FLAT), steps)) == [("rejected", "TIME_EXPIRED")]


@pytest.mark.parametrize(("life", "filled"), [("ioc", [(100.0, 50.0)]), ("fok", [])])
def test_what_a_cap_leaves_of_an_order_at_once_is_canceled_when_that_is_booked(
    life: str, filled: list[Any]
) -> None:
    results = play(
        daily(FLAT, (*BAR, 500), BAR),
        {0: send("buy", 80, time_in_force=life)},
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert fills(results) == filled
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(3)]


def test_a_bar_without_volume_ends_an_order_at_once() -> None:
    results = play(daily(FLAT, (*FLAT, 0), FLAT), {0: send("buy", time_in_force="ioc")})
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(2)]


@pytest.mark.parametrize(
    ("timing", "step", "price", "when"), [("next_close", 0, 101.0, at(3)), ("same_close", 1, 101.0, at(3))]
)
def test_a_market_order_at_once_meets_the_close_where_market_orders_fill_there(
    timing: str, step: int, price: float, when: dt.datetime
) -> None:
    steps = {step: send("buy", time_in_force="ioc")}
    results = play(daily(FLAT, BAR, FLAT), steps, policies={"fill_timing": timing})
    assert results.fills.select("price", "ts_event").rows() == [(price, when)]


def test_an_order_at_once_meets_the_first_quote_and_no_other() -> None:
    feed = quotes((99, 101), (99, 101), (97, 98))
    results = play(feed, {0: send("buy", limit_price=100, time_in_force="ioc")})
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(2, 1)]


def test_a_fok_order_that_cash_pays_only_in_part_ends() -> None:
    results = play(
        daily(FLAT, BAR),
        {0: send("buy", 15, time_in_force="fok")},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
        policies={"insufficient_cash": "partial"},
    )
    assert fills(results) == []
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]


def test_a_fok_order_that_cash_cannot_pay_is_rejected() -> None:
    """The gap to 110.00 costs more than was set aside at 100.00."""
    results = play(
        daily(FLAT, (110, 110, 110, 110)),
        {0: send("buy", 10, time_in_force="fok")},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
    )
    assert ends(results) == [("rejected", "INSUFFICIENT_CASH")]


@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_an_order_of_the_opening_takes_the_open_whatever_the_timing(timing: str) -> None:
    steps = {0: send("buy", order_type="market_on_open")}
    results = play(daily(FLAT, BAR, FLAT), steps, policies={"fill_timing": timing})
    assert results.fills.select("price", "phase", "ts_event").rows() == [(100.0, "open", at(2))]
    assert results.orders.select("order_type", "time_in_force").rows() == [("market", "opg")]


def test_an_order_of_the_opening_waits_for_the_next_session() -> None:
    feed = hourly(*((100 + n, 100 + n, 100 + n, 100 + n) for n in range(6)), start=at(2, 21))
    # Sent at 22:00, it lets the bars of 22:00 and 23:00 pass.
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.fills.select("price", "ts_event").rows() == [(103.0, at(3))]
    assert results.orders["ts_expires"].to_list() == [at(4)]


def test_an_order_of_the_opening_expires_at_the_close_of_a_session_that_brings_nothing() -> None:
    frame = days(FLAT, FLAT, FLAT).filter(pl.col("session") != dt.date(2024, 1, 2))
    feed = feed_of(frame)
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [
        ("expired", "NOT_FILLED_AT_OPEN", at(3))
    ]


def test_an_order_of_the_opening_takes_the_first_quote_of_the_session() -> None:
    feed = quotes((99, 101), (99, 102), (99, 103), (99, 104), start=at(2, 22))
    # Sent at 22:00; 23:00 passes, and midnight is the first of the next session.
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.fills.select("price", "ts_event").rows() == [(103.0, at(3))]


@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_an_order_of_the_close_takes_the_bar_that_ends_with_the_session(timing: str) -> None:
    feed = hourly(*((100 + n, 101 + n, 100 + n, 100.5 + n) for n in range(5)), start=at(2, 21))
    results = play(feed, {0: send("buy", time_in_force="cls")}, policies={"fill_timing": timing})
    assert results.fills.select("price", "phase", "ts_event").rows() == [(102.5, "close", at(3))]


def test_an_order_of_the_close_that_came_inside_the_last_bar_expires() -> None:
    feed = hourly((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 100, 100), start=at(2, 22))
    results = play(feed, {0: send("buy", time_in_force="cls")}, latency="90m")
    # It is active at 00:30 and belongs to the session that ends after the data.
    assert ends(results) == [("canceled", "END_OF_DATA")]
    results = play(feed, {0: send("buy", time_in_force="cls")}, latency="30m")
    assert ends(results) == [("expired", "NOT_FILLED_AT_CLOSE")]


def test_an_order_of_the_close_takes_the_last_quote_of_the_session() -> None:
    feed = quotes((99, 101), (99, 102), (99, 103), (99, 104), step=50, start=at(2, 22))
    # 22:00, 22:50, 23:40 and 00:30: at midnight it takes the ask of 23:40.
    results = play(feed, {0: send("buy", time_in_force="cls")})
    assert results.fills.select("price", "phase", "ts_event", "liquidity").rows() == [
        (103.0, "close", at(3), "taker")
    ]


def test_an_order_of_the_close_takes_no_print_of_before_it_was_active() -> None:
    feed = prints(100, 101, 102, step=80, start=at(2, 22))
    # 22:00, 23:20 and 00:40; sent at 23:20.
    results = play(feed, {1: send("buy", time_in_force="cls")})
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [
        ("expired", "NOT_FILLED_AT_CLOSE", at(3))
    ]


@pytest.mark.parametrize(
    ("life", "price", "code"),
    [("opg", 100.0, "NOT_FILLED_AT_OPEN"), ("cls", 101.0, "NOT_FILLED_AT_CLOSE")],
)
def test_what_a_cap_leaves_at_the_opening_or_the_close_expires(life: str, price: float, code: str) -> None:
    results = play(
        daily(FLAT, (*BAR, 500), BAR),
        {0: send("buy", 80, time_in_force=life)},
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert results.fills.select("price", "quantity", "ts_event").rows() == [(price, 50.0, at(3))]
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [("expired", code, at(3))]


def test_orders_at_once_that_found_nothing_end_by_submission_after_the_event() -> None:
    """The second has a fill of its own; the others end when the open was matched for all."""
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, limit_price=90, time_in_force="ioc"),
            now.broker.buy("A", 2, time_in_force="ioc"),
            now.broker.buy("A", 3, limit_price=90, time_in_force="fok"),
        )
    }
    results = play(daily(FLAT, BAR), steps)
    closed = results.order_events.filter(pl.col("status").is_in(["filled", "canceled"]))
    assert closed.select("order_id", "status").rows() == [(2, "filled"), (1, "canceled"), (3, "canceled")]


def test_a_day_order_shows_when_it_expires() -> None:
    results = play(daily(FLAT, BAR, FLAT), {0: send("buy", limit_price=90, time_in_force="day")})
    assert results.orders.select("status", "reason_code", "ts_expires").rows() == [
        ("expired", "SESSION_CLOSED", at(3))
    ]
