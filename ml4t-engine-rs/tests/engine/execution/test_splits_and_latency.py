"""What happens to an order that is worked beside it: splits, cancels under way, the end of the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.executors import Answer, CancelChild, ExecutorArgs
from ml4t.core.events import ActionKind, CorporateAction

Build = Callable[..., DataFeed]
Run = Any  # a run, or what a step of a script is given; see conftest
Work = Callable[..., Run]
Child = Callable[..., Run]

DAYS = ["2024-03-04", "2024-03-05", "2024-03-06"]


def split(ratio: str, day: int = 5) -> list[CorporateAction]:
    return [CorporateAction("A", dt.date(2024, 3, day), ActionKind.SPLIT, ratio=Fraction(ratio))]


# -- splits ------------------------------------------------------------------------------------------------


def test_after_a_split_quantities_are_in_the_shares_of_the_day(
    work: Work, minutes: Build, child: Child
) -> None:
    """100 become 200, the 40 that filled 80, and a limit of 5 for 20 one of 2.5 for 40."""
    table = {0: (child(40), child(20, 5.0, 1))}
    run = work(minutes(DAYS[:2], 2), 100, table, actions=split("2"))
    assert run.told("quantity", "filled", "working", "to_send") == [
        (100.0, 0.0, 0.0, 100.0),
        (100.0, 40.0, 20.0, 40.0),
        (200.0, 80.0, 40.0, 80.0),
        (200.0, 80.0, 40.0, 80.0),
    ]
    assert run.told("average_price")[1:] == [10.0, 5.0, 5.0]
    # The million of the first day after the order was given are two million shares of today.
    assert run.told("volume") == [0.0, 1e6, 1e6, 1e6]
    assert run.told("total_volume") == [0.0, 1e6, 3e6, 4e6]
    (resting,) = run.asked[2].open_orders
    assert (resting.leaves_quantity, resting.limit_price) == (40.0, 2.5)
    handle = run.handle
    assert (handle.quantity, handle.filled_quantity, handle.remaining_quantity) == (200.0, 80.0, 120.0)
    assert handle.average_price == 5.0


def test_a_split_between_the_fills_of_one_order(work: Work, minutes: Build, child: Child) -> None:
    """40 a minute of a million: 80 of 100 fill on the first day at 10, the other 20 are 40 on the second."""
    broker = {"fill_model": {"type": "Default", "volume_limit": 0.00004}}
    run = work(minutes(DAYS[:2], 3), 100, {0: (child(100, number=1),)}, actions=split("2"), broker=broker)
    assert run.results.fills["quantity"].to_list() == [40.0, 40.0, 40.0]
    assert run.told("quantity", "filled", "working") == [
        (100.0, 0.0, 0.0),
        (100.0, 40.0, 60.0),
        (100.0, 80.0, 20.0),
    ]
    handle = run.handle
    assert (handle.quantity, handle.filled_quantity, handle.status) == (200.0, 200.0, "filled")
    # 80 x 10 + 40 x 10 (the bars of this feed stay at 10), over 200 shares of today.
    assert handle.average_price == 6.0


def test_it_trades_on_after_a_split(work: Work, minutes: Build, child: Child) -> None:
    def answer(ctx: ExecutorArgs) -> Answer:
        return (child(min(50, ctx.to_send)),) if ctx.to_send else ()

    run = work(minutes(DAYS, 2), 100, answer, actions=split("2"))
    # 50 of 100 on the first day, that are 100 of 200; 50 that were at work are 100, too.
    assert run.handle.status == "filled"
    assert run.handle.filled_quantity == run.handle.quantity == 200.0
    held = run.results.fills["quantity"].to_list()
    assert held[0] == 50.0


def test_a_reverse_split_leaves_whole_lots(work: Work, minutes: Build, child: Child) -> None:
    """1:3 of 100 with 20 filled: 6 whole shares of 6.67 are filled, and 26 of 26.67 are left."""
    run = work(minutes(DAYS[:2], 2), 100, {0: (child(20),), 2: (child(26),)}, actions=split("1/3"))
    assert run.told("quantity", "filled", "to_send")[2] == (32.0, 6.0, 26.0)
    assert (run.handle.quantity, run.handle.filled_quantity, run.handle.status) == (32.0, 32.0, "filled")
    with pytest.raises(Exception, match="it asks for 27 more, and 26 are left to send"):
        work(minutes(DAYS[:2], 2), 100, {0: (child(20),), 2: (child(27),)}, actions=split("1/3"))


def test_a_reverse_split_that_leaves_nothing_ends_it(work: Work, minutes: Build) -> None:
    """Two shares become none, so there is nothing left to trade and nothing to ask."""
    run = work(minutes(DAYS[:2], 2), 2, {}, actions=split("1/3"))
    assert len(run.asked) == 2
    assert (run.handle.quantity, run.handle.status) == (0.0, "filled")


def test_a_split_between_a_row_and_its_question_is_in_the_volume(
    work: Work, daily: Build, child: Child
) -> None:
    """On a market that never closes a bar is readable when the next session, with its split, has begun.

    The thousand shares of the second day are two thousand of today.
    """
    action = [CorporateAction("A", dt.date(2024, 1, 3), ActionKind.SPLIT, ratio=Fraction(2))]
    feed = daily({"A": [(10, 10, 10, 10, 1_000), (10, 10, 10, 10, 1_000), (5, 5, 5, 5, 1_000)]})
    run = work(feed, 100, actions=action)
    assert run.told("quantity", "price")[1] == (200.0, 5.0)
    assert run.told("volume") == [0.0, 2_000.0, 1_000.0]
    assert run.told("total_volume") == [0.0, 2_000.0, 3_000.0]


# -- cancels under way -------------------------------------------------------------------------------------


def test_a_cancel_under_way_may_come_too_late_and_then_more_trades_than_was_ordered(
    work: Work, market: Build, child: Child
) -> None:
    """Bars of an hour, and 90 minutes for a cancel: sent at 2, at the venue at 3:30.

    The limit of 9 fills in the bar from 2 to 3, and its replacement at the open of the same bar.
    """
    rows = [(1, 10, 1), (2, 10, 1), (3, 9, 1), (4, 9, 1), (5, 9, 1)]
    table = {0: (child(100, 9.0, 1),), 1: (CancelChild(1), child(100, number=2))}
    run = work(market("bar", rows), 100, table, broker={"latency": {"cancel": "90m"}})
    assert run.results.fills["quantity"].to_list() == [100.0, 100.0]
    handle = run.handle
    assert (handle.quantity, handle.filled_quantity, handle.remaining_quantity) == (100.0, 200.0, 0.0)
    assert handle.status == "filled"
    # Two questions: after the third hour more than all has traded.
    assert len(run.asked) == 2


def test_what_is_being_taken_back_is_no_longer_counted_as_at_work(
    work: Work, market: Build, child: Child
) -> None:
    rows = [(n, 10, 1) for n in range(1, 7)]
    table = {0: (child(100, 5.0, 1),), 1: (CancelChild(1),)}
    run = work(market("bar", rows), 100, table, broker={"latency": {"cancel": "150m"}})
    # Asked to cancel at 2, it arrives at 4:30.
    assert run.told("working") == [0.0, 100.0, 0.0, 0.0, 0.0, 0.0]
    assert run.told("to_send") == [100.0, 0.0, 100.0, 100.0, 100.0, 100.0]
    assert run.results.orders["status"].to_list() == ["canceled"]


def test_a_submit_under_way_counts_as_at_work(work: Work, market: Build, child: Child) -> None:
    rows = [(n, 10, 1) for n in range(1, 7)]
    run = work(market("bar", rows), 100, {0: (child(60),)}, broker={"latency": "150m"})
    assert run.told("working")[:3] == [0.0, 60.0, 60.0]
    assert run.told("filled")[-1] == 60.0


# -- the strategy takes it back, the data ends -------------------------------------------------------------


def test_the_strategy_takes_it_back_with_its_orders(work: Work, daily: Build, child: Child) -> None:
    seen: list[object] = []

    def cancel(now: Run) -> None:
        handle = now.strategy.handle
        seen.extend([handle.cancel(), handle.status, handle.cancel()])

    table = {0: (child(30), child(70, 5.0, 1))}
    run = work(daily({"A": [10] * 5}), 100, table, steps={2: cancel})
    assert seen == [True, "canceled", False]
    assert len(run.asked) == 2
    assert run.results.orders["status"].to_list() == ["filled", "canceled"]
    assert run.results.orders["ts_closed"].dt.day().to_list() == [2, 4]
    assert (run.handle.filled_quantity, run.handle.remaining_quantity) == (30.0, 70.0)


def test_an_order_that_is_taken_back_at_once_is_never_asked_about(
    play: Callable[..., Run], daily: Build, scripted: Run
) -> None:
    algorithm = scripted()
    run = play({0: lambda now: now.broker.execute("A", 5, algorithm).cancel()}, daily({"A": [10, 11]}))
    assert (run[0], algorithm.asked) == (True, [])


def test_what_still_fills_after_the_end_is_counted(work: Work, market: Build, child: Child) -> None:
    """The cancel needs 90 minutes; the limit fills before it arrives."""
    rows = [(1, 10, 1), (2, 10, 1), (3, 9, 1), (4, 9, 1)]
    run = work(
        market("bar", rows),
        100,
        {0: (child(40, 9.0, 1),)},
        steps={1: lambda now: now.strategy.handle.cancel()},
        broker={"latency": {"cancel": "90m"}},
    )
    assert (run.handle.status, run.handle.filled_quantity) == ("canceled", 40.0)


def test_the_strategy_may_cancel_a_single_order_of_it(work: Work, daily: Build, child: Child) -> None:
    """What the strategy takes back is to be sent again, as after an expiry."""
    table = {0: (child(100, 5.0, 1),), 2: (child(100),)}
    run = work(
        daily({"A": [10] * 4}),
        100,
        table,
        steps={1: lambda now: now.broker.cancel_order(now.strategy.handle.orders[0])},
    )
    assert run.told("to_send")[:3] == [100.0, 0.0, 100.0]
    assert run.handle.status == "filled"


def test_what_is_left_when_the_data_ends_is_left(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10, 10]}), 100, {0: (child(30), child(20, 5.0))})
    handle = run.handle
    assert (handle.status, handle.filled_quantity, handle.remaining_quantity) == ("working", 30.0, 70.0)
    assert run.results.orders["reason"].to_list() == ["", "still working when the data ended"]
