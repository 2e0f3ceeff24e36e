"""Changes of an order that is at work, and its cancel."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Engine, Results, Strategy, TrailingStop
from ml4t.core.errors import OrderError

from .market import BAR, FLAT, TRAILING, Action, at, clock, daily, fills, hourly, play


class Changes:
    """Sends one order at the first call and changes it at the second."""

    def __init__(self, side: str, terms: dict[str, Any], size: float = 10, **changes: Any) -> None:  # noqa: ANN401
        self.side, self.terms, self.size, self.changes = side, terms, size, changes
        self.pending: list[str | None] = []
        self.answers: list[bool] = []

    def send(self, now: Any) -> None:  # noqa: ANN401 - the running strategy
        self.order = getattr(now.broker, self.side)("A", self.size, **self.terms)

    def change(self, now: Any) -> None:  # noqa: ANN401
        self.answers.append(now.broker.modify_order(self.order, **self.changes))

    def look(self, now: Any) -> None:  # noqa: ANN401
        self.pending.append(self.order.pending)


def codes(results: Results) -> list[str]:
    return [code for code in results.order_events["reason_code"].to_list() if code]


def test_a_change_without_latency_follows_at_once() -> None:
    case = Changes("buy", {"limit_price": 90}, quantity=20, limit_price=98)
    results = play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    assert case.answers == [True]
    assert fills(results) == [(98.0, 20.0)]
    row = results.order_events.filter(reason_code="REPLACED").row(0, named=True)
    assert (row["status_from"], row["status"], row["ts_event"]) == ("accepted", "accepted", at(3))
    assert codes(results) == ["REPLACED"]


def test_a_limit_with_a_new_price_has_not_rested() -> None:
    """At 90.00 it had to wait; at 99.00 the open of 98.00 finds it marketable."""
    case = Changes("buy", {"limit_price": 90}, limit_price=99)
    results = play(daily(FLAT, FLAT, (98, 98, 98, 98)), {0: case.send, 1: case.change})
    assert results.fills.select("price", "liquidity").rows() == [(98.0, "taker")]


def test_another_quantity_alone_lets_it_rest() -> None:
    case = Changes("buy", {"limit_price": 99}, quantity=30)
    results = play(daily(FLAT, FLAT, (98, 98, 98, 98)), {0: case.send, 1: case.change})
    assert results.fills.select("price", "quantity", "liquidity").rows() == [(98.0, 30.0, "maker")]


@pytest.mark.parametrize(
    ("terms", "changes", "code"),
    [
        ({"limit_price": 90}, {"limit_price": "90.001"}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"limit_price": -1}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"quantity": 1.5}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"quantity": 100_000}, "REPLACE_REJECTED"),
        (
            {"limit_price": 90, "time_in_force": "gtd", "expire_at": at(9)},
            {"expire_at": at(3)},
            "REPLACE_REJECTED",
        ),
        ({"limit_price": 90}, {"quantity": 5}, "REPLACED"),
        ({"limit_price": 90}, {"quantity": 20, "limit_price": 91}, "REPLACED"),
        ({"stop_price": 120}, {"stop_price": 110}, "REPLACED"),
        ({"limit_price": 90, "time_in_force": "gtd", "expire_at": at(9)}, {"expire_at": at(8)}, "REPLACED"),
        (TRAILING | {"trail_amount": 30}, {"trail_amount": 20}, "REPLACED"),
        (TRAILING | {"trail_amount": 30}, {"trail_fraction": 0.5}, "REPLACED"),
    ],
)
def test_a_change_is_made_or_refused(terms: dict[str, Any], changes: dict[str, Any], code: str) -> None:
    case = Changes("buy", terms)
    case.changes = changes
    results = play(daily(FLAT, FLAT, FLAT, FLAT), {0: case.send, 1: case.change})
    assert codes(results)[0] == code
    found = results.orders.row(0, named=True)
    if code == "REPLACED":
        names = {"expire_at": "ts_expires"}
        assert {name: found[names.get(name, name)] for name in changes} == changes
    else:
        assert found["quantity"] == 10.0
        assert found["limit_price"] == 90.0


def test_a_new_distance_moves_the_levels_from_the_same_water_mark() -> None:
    case = Changes("sell", TRAILING | {"trail_amount": 4}, trail_amount=6)
    results = play(daily(FLAT, BAR, (101, 101, 98, 98)), {0: case.send, 1: case.change})
    # 103.00 - 6: the low of 98.00 does not reach 97.00.
    assert fills(results) == []
    assert results.orders["stop_price"].to_list() == [97.0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "needs something to change"),
        ({"stop_price": 3}, "a limit order takes no stop_price"),
        ({"trail_amount": 3}, "a limit order takes no trail_amount"),
        ({"expire_at": at(9)}, "a gtc order takes no expire_at"),
        ({"quantity": 0}, "above zero"),
    ],
)
def test_changes_that_do_not_fit_are_refused_at_the_call(changes: dict[str, Any], words: str) -> None:
    case = Changes("buy", {"limit_price": 90})
    case.changes = changes
    with pytest.raises(OrderError, match=words):
        play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    case.changes = {"tag": "x"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'tag'"):
        play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})


def test_a_change_travels_as_long_as_an_order() -> None:
    case = Changes("buy", {"limit_price": 90}, limit_price=98)
    feed = hourly(FLAT, FLAT, FLAT, FLAT, BAR, BAR)
    steps = {0: case.send, 1: case.change, 2: case.look, 3: case.look, 4: case.look}
    results = play(feed, steps, latency="90m")
    # Asked for at 02:00, decided at 03:30, inside the bar that ends at 04:00; the next one can fill it.
    rows = results.order_events.filter(pl.col("reason_code") != "").select("reason_code", "ts_event").rows()
    assert rows == [("REPLACE_REQUESTED", at(2, 2)), ("REPLACED", at(2, 3, 30))]
    assert case.pending == ["replace", None, None]
    assert results.fills.select("price", "ts_event").rows() == [(98.0, at(2, 5))]


def test_an_order_that_was_changed_inside_a_bar_meets_nothing_of_it() -> None:
    for changes, filled in (
        ({"limit_price": 98}, []),
        ({"quantity": 20}, []),
        ({"quantity": 4}, [(97.5, 4.0)]),
    ):
        case = Changes("buy", {"limit_price": 97.5})
        case.changes = changes
        results = play(hourly(FLAT, FLAT, BAR), {0: case.send, 1: case.change}, latency="30m")
        # Decided at 02:30, inside the last bar. A smaller quantity alone keeps its standing.
        assert codes(results)[:2] == ["REPLACE_REQUESTED", "REPLACED"]
        assert fills(results) == filled


def test_a_cancel_under_way_is_a_row_and_comes_before_a_change() -> None:
    case = Changes("buy", {"limit_price": 90}, limit_price=98)

    def both(now: Any) -> None:  # noqa: ANN401
        now.broker.cancel_order(case.order)
        case.change(now)

    results = play(hourly(*(FLAT,) * 5), {0: case.send, 1: both, 2: case.look}, latency="90m")
    rows = results.order_events.filter(pl.col("reason_code") != "")
    assert rows.select("reason_code", "status_from", "status").rows() == [
        ("CANCEL_REQUESTED", "accepted", "accepted"),
        ("REPLACE_REQUESTED", "accepted", "accepted"),
        ("CANCELED_BY_REQUEST", "accepted", "canceled"),
        ("REPLACE_REJECTED", "canceled", "canceled"),
    ]
    assert case.pending == ["cancel"]


def test_a_complete_order_cannot_be_changed() -> None:
    case = Changes("buy", {}, quantity=20)
    results = play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    assert case.answers == [False]
    assert codes(results) == []


def test_a_change_finds_what_the_open_has_left_that_waits_for_its_volume() -> None:
    """Half of 100 fills 50 of 80 at the open; the change to 60, decided inside the bar, leaves 10."""
    case = Changes("buy", {}, size=80, quantity=60)
    feed = hourly((*FLAT, 100), (*FLAT, 100), (*FLAT, 100))
    config = {"fill_model": {"type": "Default", "volume_limit": 0.5}}

    class Late(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp == at(2, 1):
                case.send(self)
            if timestamp == at(2, 1, 30):
                case.change(self)

    run = {"backtest": {"engine": "reference"}, "broker": config}
    results = Engine([feed, clock(at(2, 1, 30))], Late, config=run).run()
    assert fills(results) == [(100.0, 50.0), (100.0, 10.0)]
    events = results.order_events.filter(reason_code="REPLACED")
    assert events.select("ts_event", "filled_quantity").rows() == [(at(2, 2), 50.0)]


def test_orders_of_rules_are_not_changed_by_hand() -> None:
    def change(now: Any) -> None:  # noqa: ANN401
        (stop,) = now.broker.open_orders
        now.broker.modify_order(stop, stop_price=50)

    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(TrailingStop(pct=0.1)), now.broker.buy("A", 1)),
        1: change,
    }
    with pytest.raises(OrderError, match="kept by the rule trailing_stop"):
        play(daily(FLAT, FLAT, BAR), steps)
