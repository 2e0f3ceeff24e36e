"""Contingent orders, worked by hand: children, brackets and groups.

The first day is flat at 100.00; on it the orders are sent. The next has, unless a case says otherwise, open
100.00, high 103.00, low 97.00, close 101.00. The market never closes; sessions end at midnight.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, StopLoss
from ml4t.core.errors import OrderError

from .market import (
    BAR,
    FLAT,
    Action,
    at,
    clock,
    daily,
    days,
    ends,
    feed_of,
    in_turn,
    play,
    prints,
    split_in_two,
)


def bracket(
    *,
    stop: float | None = 95,
    target: float = 110,
    quantity: float = 10,
    then: dict[str, Any] | None = None,
    **entry: Any,  # noqa: ANN401 - terms of the order
) -> Action:
    """Buy, with a stop and a target that wait; `then` holds further terms of the bracket."""

    def act(now: Any) -> None:  # noqa: ANN401
        order = now.broker.buy("A", quantity, **entry)
        now.handles = (order, *now.broker.bracket(order, stop_price=stop, limit_price=target, **(then or {})))

    return act


def child(entry: dict[str, Any], terms: dict[str, Any], side: str = "sell", quantity: float = 10) -> Action:
    def act(now: Any) -> None:  # noqa: ANN401
        parent = now.broker.buy("A", 10, **entry)
        getattr(now.broker, side)("A", quantity, parent=parent, **terms)

    return act


def pair(
    first: dict[str, Any], second: dict[str, Any], *, kind: str = "oco", sizes: tuple[int, int] = (10, 10)
) -> Action:
    """Buy and sell in one group."""

    def act(now: Any) -> None:  # noqa: ANN401
        order = now.broker.buy("A", sizes[0], **first)
        now.broker.sell("A", sizes[1], **second, **{kind: order})

    return act


def fills_by_order(results: Results) -> list[tuple[Any, ...]]:
    return results.fills.select("order_id", "price", "quantity", "phase").rows()


def rows_of(results: Results, order: int) -> list[tuple[Any, ...]]:
    events = results.order_events.filter(pl.col("order_id") == order)
    return events.select("status_from", "status", "reason_code").rows()


FILLED, OPEN = ("filled", ""), ("canceled", "END_OF_DATA")
GROUP_FILLED, GROUP_ENDED = ("canceled", "GROUP_FILLED"), ("canceled", "GROUP_ENDED")
PARENT_ENDED = ("canceled", "PARENT_ENDED")

# -- children ------------------------------------------------------------------------------------------------


def test_a_bracket_takes_its_target_and_cancels_its_stop() -> None:
    results = play(daily(FLAT, (100, 103, 98, 102), (102, 111, 101, 110)), {0: bracket(limit_price=99)})
    assert fills_by_order(results) == [(1, 99.0, 10.0, "range"), (3, 110.0, 10.0, "range")]
    assert ends(results) == [FILLED, GROUP_FILLED, FILLED]
    assert results.orders["parent_order_id"].to_list() == [None, 1, 1]
    assert results.orders["group"].to_list() == ["", "oco 1", "oco 1"]
    assert results.orders["reason"].to_list()[1] == "another order of its group filled"


@pytest.mark.parametrize(
    ("entry", "terms", "sold"),
    [
        # The parent fills at the open: the child meets the open, and the range.
        ({}, {}, [(100.0, "open")]),
        ({}, {"stop_price": 98}, [(98.0, "range")]),
        ({}, {"stop_price": 101}, [(100.0, "open")]),
        ({}, {"limit_price": 102}, [(102.0, "range")]),
        ({}, {"limit_price": 99}, [(100.0, "open")]),
        ({}, {"order_type": "market_if_touched", "stop_price": 102}, [(102.0, "range")]),
        ({}, {"order_type": "trailing_stop", "trail_amount": 2}, [(98.0, "range")]),
        ({}, {"time_in_force": "ioc"}, [(100.0, "open")]),
        # It fills at 99.00 inside the bar: a stop meets the rest of the range, everything else the next day.
        ({"limit_price": 99}, {"stop_price": 98}, [(98.0, "range")]),
        ({"limit_price": 99}, {"stop_price": 99.5}, [(99.0, "range")]),
        ({"limit_price": 99}, {"stop_price": 98, "limit_price": 97}, [(98.0, "range")]),
        ({"limit_price": 99}, {"order_type": "trailing_stop", "trail_amount": 1}, [(98.0, "range")]),
        ({"limit_price": 99}, {}, [(104.0, "open")]),
        ({"limit_price": 99}, {"limit_price": 102}, [(104.0, "open")]),
        ({"limit_price": 99}, {"order_type": "market_if_touched", "stop_price": 102}, [(104.0, "open")]),
        ({"limit_price": 99}, {"time_in_force": "fok"}, [(104.0, "open")]),
        ({"limit_price": 99}, {"time_in_force": "cls"}, []),
        # A day child of a fill at the close of a session ends with that session.
        ({"limit_price": 99}, {"limit_price": 102, "time_in_force": "day"}, []),
        # A fill at a close.
        ({"time_in_force": "cls"}, {}, [(104.0, "open")]),
        ({"time_in_force": "cls"}, {"stop_price": 102}, [(102.0, "range")]),
    ],
)
def test_a_child_meets_the_rest_of_the_bar(
    entry: dict[str, Any], terms: dict[str, Any], sold: list[tuple[Any, ...]]
) -> None:
    results = play(daily(FLAT, BAR, (104, 104, 101, 104)), {0: child(entry, terms)})
    assert results.fills.filter(pl.col("order_id") == 2).select("price", "phase").rows() == sold


def test_a_child_waits_as_submitted_and_is_listed_as_open() -> None:
    seen: list[Any] = []

    def look(now: Any) -> None:  # noqa: ANN401
        seen.extend((order.id, order.status.value, order.quantity) for order in now.broker.open_orders)

    results = play(daily(FLAT, FLAT, FLAT), in_turn(bracket(limit_price=90), look))
    assert seen == [(1, "accepted", 10.0), (2, "submitted", 10.0), (3, "submitted", 10.0)]
    assert ends(results) == [OPEN, OPEN, OPEN]
    assert rows_of(results, 2) == [
        ("created", "submitted", ""),
        ("submitted", "canceled", "END_OF_DATA"),
    ]


def test_a_waiting_child_sets_no_buying_power_aside() -> None:
    seen: list[float] = []

    def send(now: Any) -> None:  # noqa: ANN401
        parent = now.broker.buy("A", 10, limit_price=90)
        now.broker.buy("A", 1_000_000, limit_price=90, parent=parent)

    results = play(
        daily(FLAT, FLAT),
        in_turn(send, lambda now: seen.append(now.broker.buying_power)),
        allows_short=False,
        leverage=1,
    )
    assert seen == [99_100.0]
    assert ends(results) == [OPEN, OPEN]


def test_the_account_is_asked_at_the_fill_of_a_child() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        parent = now.broker.buy("A", 1)
        now.broker.buy("A", 1_000_000, parent=parent)

    results = play(daily(FLAT, FLAT), {0: send}, allows_short=False, leverage=1)
    assert ends(results) == [FILLED, ("rejected", "INSUFFICIENT_CASH")]


@pytest.mark.parametrize("latency", ["0s", "1h"])
def test_a_child_acts_without_latency(latency: str) -> None:
    results = play(daily(FLAT, FLAT, BAR), {0: child({}, {"stop_price": 98})}, latency=latency)
    assert [row[:2] for row in fills_by_order(results)] == [(1, 100.0), (2, 98.0)]


def test_a_parent_that_ends_without_a_fill_takes_its_descendants_with_it() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        now.entry = now.broker.buy("A", 10, limit_price=90)
        first = now.broker.sell("A", 10, stop_price=80, parent=now.entry)
        now.broker.buy("A", 10, stop_price=120, parent=first)

    results = play(daily(FLAT, FLAT, FLAT), in_turn(send, lambda now: now.entry.cancel()))
    assert ends(results) == [("canceled", "CANCELED_BY_REQUEST"), PARENT_ENDED, PARENT_ENDED]
    assert results.orders["reason"].to_list()[1] == "the order that it waited for ended without a fill"


def test_both_exits_of_a_bracket_end_for_the_sake_of_their_parent() -> None:
    results = play(daily(FLAT, FLAT), {0: bracket(limit_price=90, time_in_force="day")})
    assert ends(results) == [("expired", "SESSION_CLOSED"), PARENT_ENDED, PARENT_ENDED]


@pytest.mark.parametrize("terms", [{"limit_price": "99.001"}, {"quantity": 10.5}])
def test_a_refused_parent_rejects_its_children(terms: dict[str, Any]) -> None:
    results = play(daily(FLAT, FLAT), {0: bracket(**terms)})
    # The exits of a bracket are as large as the entry was asked for, off the lot like that.
    code = "OFF_LOT" if "quantity" in terms else "PARENT_ENDED"
    assert ends(results)[1:] == [("rejected", code)] * 2


def test_a_parent_that_the_account_refuses_rejects_its_children() -> None:
    results = play(daily(FLAT, FLAT), {0: bracket(quantity=1_000_000)})
    codes = ["INSUFFICIENT_BUYING_POWER", "PARENT_ENDED", "PARENT_ENDED"]
    assert ends(results) == [("rejected", code) for code in codes]


def test_a_child_has_faults_of_its_own() -> None:
    results = play(daily(FLAT, FLAT), {0: child({}, {"stop_price": "98.001"})})
    assert ends(results) == [FILLED, ("rejected", "OFF_TICK")]


def test_a_grandchild_waits_for_the_child() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10)
        stop = now.broker.sell("A", 10, stop_price=98, parent=entry)
        now.broker.sell("A", 5, parent=stop)

    results = play(daily(FLAT, BAR, (99, 99, 99, 99)), {0: send})
    assert fills_by_order(results) == [
        (1, 100.0, 10.0, "open"),
        (2, 98.0, 10.0, "range"),
        (3, 99.0, 5.0, "open"),
    ]


def test_a_child_sent_after_the_fill_is_accepted_at_once() -> None:
    results = play(
        daily(FLAT, FLAT, BAR),
        in_turn(
            lambda now: setattr(now, "entry", now.broker.buy("A", 10)),
            lambda now: now.broker.sell("A", 10, stop_price=98, parent=now.entry.id),
        ),
    )
    assert fills_by_order(results)[1] == (2, 98.0, 10.0, "range")
    assert [row[1] for row in rows_of(results, 2)] == ["submitted", "accepted", "filled"]


def test_a_child_sent_after_its_parent_ended_is_rejected() -> None:
    results = play(
        daily(FLAT, FLAT, FLAT),
        in_turn(
            lambda now: setattr(now, "entry", now.broker.buy("A", 10, time_in_force="ioc", limit_price=90)),
            lambda now: now.broker.sell("A", 10, stop_price=98, parent=now.entry),
        ),
    )
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE"), ("rejected", "PARENT_ENDED")]


def test_a_child_on_prints_meets_what_comes_later() -> None:
    results = play(prints(100, 100, 100, 98), {0: child({}, {"stop_price": 99})})
    assert fills_by_order(results) == [(1, 100.0, 10.0, "trade"), (2, 98.0, 10.0, "trade")]


def test_a_trailing_child_begins_where_the_market_stood() -> None:
    then = {"trail_amount": 2}
    act = bracket(stop=None, then=then, limit_price=99)
    results = play(daily(FLAT, (100, 100, 98, 98), (98, 98, 96, 97)), {0: act})
    # 99.00 - 2 is 97.00 at first, and 98.00 once the bar with its high of 100.00 is complete.
    assert fills_by_order(results)[1] == (2, 98.0, 10.0, "open")


def test_a_child_of_another_instrument_waits_for_the_next_data_of_its_own() -> None:
    both = pl.concat([days(FLAT, BAR, FLAT), days((50,) * 4, (50, 55, 45, 52), (51,) * 4, symbol="B")])
    feed = feed_of(both)

    def send(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10)
        now.broker.sell("B", 20, parent=entry)

    assert fills_by_order(play(feed, {0: send})) == [(1, 100.0, 10.0, "open"), (2, 51.0, 20.0, "open")]


# -- growth --------------------------------------------------------------------------------------------------


def play_capped(feed: DataFeed | list[DataFeed], steps: dict[int, Action]) -> Results:
    """Run under a cap of a tenth of the volume of a bar."""
    cap = {"type": "VolumeShare", "volume_limit": 0.1, "price_impact": 0}
    return play(feed, steps, slippage_model=cap)


def capped(*volumes: float) -> DataFeed:
    return daily(FLAT, *((100, 100, 100, 100, volume) for volume in volumes))


def test_a_child_grows_with_the_fills_of_its_parent() -> None:
    seen: list[Any] = []

    def look(now: Any) -> None:  # noqa: ANN401
        seen.append([(order.quantity, order.status.value) for order in now.handles])

    act = bracket(stop=90)
    results = play_capped(capped(45, 1000, 1000), in_turn(act, look, look))
    assert seen == [
        [(10.0, "partially_filled"), (4.0, "accepted"), (4.0, "accepted")],
        [(10.0, "filled"), (10.0, "accepted"), (10.0, "accepted")],
    ]
    assert results.orders["quantity"].to_list() == [10.0, 10.0, 10.0]


def test_a_share_rounds_down_and_the_first_lot_accepts() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10)
        now.handles = (entry, now.broker.sell("A", 1, stop_price=90, parent=entry))

    seen: list[Any] = []
    play_capped(
        capped(45, 1000, 1000),
        in_turn(
            send,
            lambda now: seen.append(now.handles[1].status.value),
            lambda now: seen.append(now.handles[1].status.value),
        ),
    )
    assert seen == ["submitted", "accepted"]


def test_a_parent_that_ends_with_fills_leaves_its_children() -> None:
    results = play_capped(capped(45, 0, 0), in_turn(bracket(stop=90), lambda now: now.handles[0].cancel()))
    assert ends(results) == [("canceled", "CANCELED_BY_REQUEST"), OPEN, OPEN]
    assert results.orders["quantity"].to_list() == [10.0, 4.0, 4.0]


def test_a_fraction_of_a_lot_is_no_order_yet() -> None:
    lots = Instrument("A", lot_size=5, calendar="24/7")
    feed = daily(FLAT, (100, 100, 100, 100, 50), (100, 100, 100, 100, 0), instruments=[lots])
    results = play_capped(feed, {0: child({}, {"stop_price": 90}, quantity=5)})
    # Five of ten are filled, and half of the child is 2.5.
    assert results.orders["filled_quantity"].to_list() == [5.0, 0.0]
    assert results.orders["ts_accepted"].to_list()[1] is None


@pytest.mark.parametrize(
    ("terms", "price", "phase"),
    [({}, 100.0, "open"), ({"stop_price": 101}, 100.0, "open"), ({"stop_price": 98}, 98.0, "range")],
)
def test_a_child_meets_an_open_that_waited_for_its_volume(
    terms: dict[str, Any], price: float, phase: str
) -> None:
    results = play_capped(daily(FLAT, (*BAR, 1000)), {0: child({}, terms)})
    assert fills_by_order(results) == [(1, 100.0, 10.0, "open"), (2, price, 10.0, phase)]


def test_a_grandchild_shares_in_what_its_parent_was_asked_for() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10)
        second = now.broker.buy("A", 10, parent=entry)
        now.broker.sell("A", 10, stop_price=90, parent=second)

    # Four of the entry, then nothing: the second order is one for four, and so is the third.
    results = play_capped(
        daily(FLAT, (100, 100, 100, 100, 40), FLAT),
        in_turn(send, lambda now: now.broker.open_orders[0].cancel()),
    )
    assert results.orders["quantity"].to_list() == [10.0, 4.0, 4.0]
    assert results.orders["filled_quantity"].to_list() == [4.0, 4.0, 0.0]


# -- changes -------------------------------------------------------------------------------------------------


def test_a_waiting_child_can_be_canceled() -> None:
    results = play(
        daily(FLAT, FLAT, FLAT), in_turn(bracket(limit_price=90), lambda now: now.handles[1].cancel())
    )
    assert ends(results) == [OPEN, ("canceled", "CANCELED_BY_REQUEST"), GROUP_ENDED]


def test_a_child_that_was_canceled_stays_away_when_its_parent_fills() -> None:
    steps = in_turn(bracket(limit_price=98), lambda now: now.handles[1].cancel())
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert ends(results) == [FILLED, ("canceled", "CANCELED_BY_REQUEST"), GROUP_ENDED]


def test_a_change_of_a_waiting_child_changes_what_it_asks_for() -> None:
    def change(now: Any) -> None:  # noqa: ANN401
        now.broker.modify_order(now.handles[1], quantity=6, stop_price=98)

    results = play(daily(FLAT, FLAT, BAR), in_turn(bracket(limit_price=99), change))
    assert fills_by_order(results) == [(1, 99.0, 10.0, "range"), (2, 98.0, 6.0, "range")]
    assert rows_of(results, 2)[1] == ("submitted", "submitted", "REPLACED")


def test_a_split_scales_what_a_waiting_child_asks_for() -> None:
    feed = daily(FLAT, FLAT, (50, 50, 45, 48), actions=split_in_two(dt.date(2024, 1, 3)))
    results = play(feed, {0: bracket(limit_price=98, stop=92)})
    assert fills_by_order(results) == [(1, 49.0, 20.0, "range"), (2, 46.0, 20.0, "range")]


# -- groups --------------------------------------------------------------------------------------------------


def test_a_fill_inside_the_bar_cancels_the_others_of_an_oco_group() -> None:
    results = play(daily(FLAT, BAR), {0: pair({"limit_price": 98}, {"limit_price": 102})})
    # Both are entries, as far from the open: the one that was sent first.
    assert fills_by_order(results) == [(1, 98.0, 10.0, "range")]
    assert ends(results) == [FILLED, GROUP_FILLED]


def test_a_fill_reduces_the_others_by_its_quantity() -> None:
    results = play(
        daily(FLAT, BAR), {0: pair({"limit_price": 98.5}, {"limit_price": 102}, kind="ouo", sizes=(4, 10))}
    )
    assert fills_by_order(results) == [(1, 98.5, 4.0, "range"), (2, 102.0, 6.0, "range")]
    assert rows_of(results, 2)[2:] == [("accepted", "accepted", "REDUCED"), ("accepted", "filled", "")]
    assert results.orders["group"].to_list() == ["ouo 1", "ouo 1"]


def test_what_is_reduced_to_nothing_is_canceled() -> None:
    results = play(daily(FLAT, FLAT), {0: pair({}, {"limit_price": 110}, kind="ouo", sizes=(10, 4))})
    assert ends(results) == [FILLED, GROUP_FILLED]


def test_a_complete_fill_cancels_larger_members_of_an_oco_group() -> None:
    results = play(daily(FLAT, FLAT), {0: pair({}, {"limit_price": 110}, sizes=(4, 10))})
    assert ends(results) == [FILLED, GROUP_FILLED]
    assert [row[2] for row in rows_of(results, 2)] == ["", "", "GROUP_FILLED"]


@pytest.mark.parametrize(("kind", "end"), [("oco", GROUP_ENDED), ("ouo", OPEN)])
def test_an_expired_member_ends_an_oco_group_only(kind: str, end: tuple[str, str]) -> None:
    act = pair({"limit_price": 90, "time_in_force": "day"}, {"limit_price": 110}, kind=kind)
    assert ends(play(daily(FLAT, FLAT), {0: act})) == [("expired", "SESSION_CLOSED"), end]


@pytest.mark.parametrize(("kind", "end"), [("oco", ("rejected", "GROUP_ENDED")), ("ouo", OPEN)])
def test_a_member_that_is_refused_ends_an_oco_group(kind: str, end: tuple[str, str]) -> None:
    results = play(daily(FLAT, FLAT), {0: pair({"limit_price": "90.001"}, {"limit_price": 110}, kind=kind)})
    assert ends(results) == [("rejected", "OFF_TICK"), end]


def test_a_member_that_comes_after_a_fill_is_rejected() -> None:
    results = play(
        daily(FLAT, FLAT, FLAT),
        in_turn(
            lambda now: setattr(now, "first", now.broker.buy("A", 10)),
            lambda now: now.broker.sell("A", 10, stop_price=90, oco=now.first),
        ),
    )
    assert ends(results) == [FILLED, ("rejected", "GROUP_FILLED")]


def test_groups_are_numbered_by_their_beginning() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        first = now.broker.buy("A", 1, limit_price=90)
        second = now.broker.buy("A", 1, limit_price=91)
        now.broker.buy("A", 1, limit_price=92, ouo=second)
        third = now.broker.buy("A", 1, limit_price=93, oco=first)
        now.broker.buy("A", 1, limit_price=94, oco=third)

    results = play(daily(FLAT, FLAT), {0: send})
    assert results.orders["group"].to_list() == ["oco 2", "ouo 1", "ouo 1", "oco 2", "oco 2"]


def test_of_a_stop_and_a_target_the_stop_comes_first() -> None:
    results = play(daily(FLAT, BAR), {0: bracket(stop=98, target=102)})
    assert fills_by_order(results) == [(1, 100.0, 10.0, "open"), (2, 98.0, 10.0, "range")]
    assert ends(results) == [FILLED, FILLED, GROUP_FILLED]


def test_what_a_group_took_counts_when_the_parent_fills_later() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        entry = now.broker.buy("A", 10, limit_price=99)
        waits = now.broker.sell("A", 10, stop_price=97.5, parent=entry)
        now.broker.buy("A", 4, ouo=waits)

    results = play(daily(FLAT, BAR), {0: send})
    assert fills_by_order(results)[2] == (2, 97.5, 6.0, "range")
    assert ("submitted", "submitted", "REDUCED") in rows_of(results, 2)


def test_cancels_of_a_group_come_after_the_rules_and_before_children_grow() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        now.broker.set_position_rules(StopLoss(pct=0.2))
        entry = now.broker.buy("A", 10)
        now.broker.sell("A", 10, limit_price=120, parent=entry)
        now.broker.sell("A", 10, limit_price=130, oco=entry)

    results = play(daily(FLAT, FLAT), {0: send})
    events = results.order_events.select("order_id", "status").rows()
    after = events[events.index((1, "filled")) + 1 :]
    assert after[:4] == [(4, "submitted"), (4, "accepted"), (3, "canceled"), (2, "accepted")]


def test_a_member_of_an_oco_group_that_fills_in_part_reduces_the_other() -> None:
    act = pair({}, {"limit_price": 110})
    results = play_capped(capped(60), {0: act})
    # Six of ten fill at the open and leave four of each.
    assert results.orders["filled_quantity"].to_list() == [6.0, 0.0]
    assert results.orders["quantity"].to_list() == [10.0, 4.0]


def test_what_the_open_has_decided_outlives_the_end_of_its_group() -> None:
    def send(now: Any) -> None:  # noqa: ANN401
        now.first = now.broker.buy("A", 10)
        now.other = now.broker.sell("A", 10, limit_price=110, oco=now.first)

    # The bar of B is complete while that of A, whose open has decided the first order, is not.
    results = play_capped([capped(60), clock(at(2, 12))], in_turn(send, lambda now: now.other.cancel()))
    assert results.orders["filled_quantity"].to_list() == [6.0, 0.0]
    assert ends(results) == [GROUP_ENDED, ("canceled", "CANCELED_BY_REQUEST")]


# -- refusals ------------------------------------------------------------------------------------------------


def refused(act: Action, text: str) -> Results:
    def step(now: Any) -> None:  # noqa: ANN401
        with pytest.raises(OrderError, match=text):
            act(now)

    return play(daily(FLAT, FLAT), {0: step})


def test_an_order_belongs_to_one_group() -> None:
    def act(now: Any) -> None:  # noqa: ANN401
        first = now.broker.buy("A", 1, limit_price=90)
        now.broker.buy("A", 1, limit_price=91, oco=first, ouo=first)

    refused(act, "one group at most")


def test_a_group_has_one_kind() -> None:
    def act(now: Any) -> None:  # noqa: ANN401
        first = now.broker.buy("A", 1, limit_price=90)
        now.broker.buy("A", 1, limit_price=91, oco=first)
        now.broker.buy("A", 1, limit_price=92, ouo=first)

    assert refused(act, "oco 1, which takes no ouo").orders["group"].to_list() == ["oco 1", "oco 1"]


def test_a_parent_has_to_exist() -> None:
    refused(lambda now: now.broker.buy("A", 1, parent=7), "no order 7")


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({}, "needs a stop_price"),
        ({"stop_price": 95, "trail_amount": 2}, "takes no stop_price"),
        ({"trail_fraction": 0.1, "trail_amount": 2}, "not both"),
        ({"stop_price": 95, "time_in_force": "ioc"}, "takes no time_in_force ioc"),
    ],
)
def test_a_bracket_that_makes_no_sense_sends_nothing(terms: dict[str, Any], text: str) -> None:
    def act(now: Any) -> None:  # noqa: ANN401
        now.broker.bracket(now.broker.buy("A", 10), limit_price=110, **terms)

    assert len(refused(act, text).orders) == 1
