"""The handle of a worked order, and what the results say of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.executors import Answer, ChildOrder, ExecutorArgs
from ml4t.core.errors import EngineStateError, OrderError, UnknownNameError
from ml4t.core.schemas import TABLES
from ml4t.core.types import Side

Build = Callable[..., DataFeed]
Run = Any  # a run, or what a step of a script is given; see conftest
Work = Callable[..., Run]
Child = Callable[..., Run]


# -- the handle --------------------------------------------------------------------------------------------


def told(handle: Run) -> tuple[Run, ...]:
    return (
        handle.quantity,
        handle.filled_quantity,
        handle.remaining_quantity,
        handle.average_price,
        handle.status,
        [order.id for order in handle.orders],
    )


def test_a_handle_is_live(work: Work, daily: Build, child: Child) -> None:
    seen: list[Run] = []
    steps = {n: lambda now: seen.append(told(now.strategy.handle)) for n in (1, 2, 3)}
    run = work(daily({"A": [10, 11, 12, 13]}), 100, {0: (child(30),), 1: (child(70),)}, steps=steps)
    assert seen == [
        (100.0, 30.0, 70.0, 11.0, "working", [1]),
        # (30 x 11 + 70 x 12) / 100
        (100.0, 100.0, 0.0, 11.7, "filled", [1, 2]),
        (100.0, 100.0, 0.0, 11.7, "filled", [1, 2]),
    ]
    # And can be read when the run is over.
    assert told(run.handle) == seen[-1]


def test_a_new_handle_says_what_was_ordered(play: Callable[..., Run], daily: Build, scripted: Run) -> None:
    def begin(now: Run) -> tuple[Run, ...]:
        handle = now.broker.execute("A", -100, scripted())
        assert math.isnan(handle.average_price)
        return (
            handle.id,
            handle.asset,
            handle.side,
            handle.quantity,
            handle.orders,
            str(handle.begun),
            repr(handle),
        )

    run = play({1: begin}, daily({"A": [10, 11, 12], "B": [1, 2, 3]}))
    sentence = "WorkedOrder(1: sell 100 A, 0 filled, working)"
    assert run[1] == (1, "A", Side.SELL, 100.0, [], "2024-01-03T00:00:00Z", sentence)


def test_the_text_of_a_handle_follows_the_order(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10, 11, 12]}), 100, {0: (child(30),), 1: None})
    assert repr(run.handle) == "WorkedOrder(1: buy 100 A, 30 filled, canceled)"
    with pytest.raises(AttributeError):
        run.handle.quantity = 5


# -- the results -------------------------------------------------------------------------------------------


def test_orders_name_their_worked_order_and_carry_its_tag(work: Work, daily: Build, child: Child) -> None:
    steps = {1: lambda now: now.broker.buy("A", 7, tag="own")}
    run = work(daily({"A": [10, 11, 12]}), 100, {0: (child(30), child(20, 5.0))}, tag="entry", steps=steps)
    orders = run.results.orders.select("order_id", "worked_order_id", "tag", "quantity")
    assert orders.rows() == [(1, 1, "entry", 30.0), (2, 1, "entry", 20.0), (3, None, "own", 7.0)]
    fills = run.results.fills.join(run.results.orders, on="order_id")
    assert fills.filter(fills["worked_order_id"] == 1)["quantity"].sum() == 30.0


def test_without_a_tag_its_orders_have_none(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10, 11, 12]}), 100, {0: (child(30),)})
    assert run.results.orders["tag"].to_list() == [""]


def test_the_manifest_names_the_algorithm_and_its_parameters(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10, 11]}), 100, {0: (child(30),)}, average_days=5)
    (used,) = [each for each in run.results.manifest["models"] if each["kind"] == "executor"]
    assert used["type"].endswith(":Scripted")
    assert (used["path"], used["plugin"], used["params"]["average_days"]) == ("python", "", 5)
    assert run.results.execution_paths["executor"] == "python"


def test_a_run_that_works_no_order_names_no_algorithm(play: Callable[..., Run], daily: Build) -> None:
    run = play({0: lambda now: now.broker.buy("A", 1)}, daily({"A": [10, 11]}))
    assert "executor" not in run.results.execution_paths
    assert run.results.orders["worked_order_id"].to_list() == [None]


# -- state -------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Counting:
    """Sends one more at every question; counts its copies."""

    copies: list[int] = attrs.field(factory=list, repr=False)
    count: list[int] = attrs.field(factory=list, repr=False)

    def clone(self) -> Counting:
        self.copies.append(1)
        return Counting(self.copies)

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        self.count.append(1)
        return (ChildOrder(quantity=len(self.count)),)


def test_a_copy_is_made_once_for_every_order_and_begins_as_the_algorithm_is(
    play: Callable[..., Run], daily: Build
) -> None:
    algorithm = Counting()

    def begin(now: Run) -> Run:
        return now.broker.execute("A", 100, algorithm)

    run = play({0: begin, 2: begin}, daily({"A": [10] * 5}))
    orders = run.results.orders.select("worked_order_id", "quantity").rows()
    assert orders == [(1, 1.0), (1, 2.0), (1, 3.0), (2, 1.0), (1, 4.0), (2, 2.0), (1, 5.0), (2, 3.0)]
    assert (len(algorithm.copies), algorithm.count) == (2, [])


def test_looking_at_a_handle_makes_no_copy(play: Callable[..., Run], daily: Build) -> None:
    algorithm = Counting()
    steps = {n: lambda now: told(now.strategy.handle) for n in (1, 2)}

    def begin(now: Run) -> None:
        now.strategy.handle = now.broker.execute("A", 100, algorithm)

    play({0: begin, **steps}, daily({"A": [10] * 4}))
    assert len(algorithm.copies) == 1


# -- repeated runs -----------------------------------------------------------------------------------------


def bits(results: Run) -> dict[str, bytes]:
    return {name: results.table(name).write_ipc(None).getvalue() for name in TABLES}


def by_chance(ctx: ExecutorArgs) -> Answer:
    """Send up to a fifth of what is left, by the draws of the question."""
    quantity = math.floor(ctx.random[0] * ctx.to_send / 5)
    if quantity == 0:
        return ()
    if ctx.random[1] < 0.5:
        return (ChildOrder(quantity=quantity),)
    limit = round(ctx.price - ctx.random[2], 2)
    return (ChildOrder(quantity=quantity, order_type="limit", limit_price=limit, time_in_force="day"),)


def test_a_run_repeated_gives_the_same_bytes_also_in_threads(work: Work, daily: Build) -> None:
    prices = [(10 + n % 7, 12 + n % 7, 8 + n % 7, 9 + n % 7, 1_000 + n) for n in range(60)]

    def once(_: int) -> dict[str, bytes]:
        return bits(work(daily({"A": prices}), 5_000, by_chance).results)

    first = once(0)
    assert once(1) == first
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(once, range(4))) == [first] * 4


# -- where and what cannot be ordered ----------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [0, 1.5, -0.5, "0.1"])
def test_a_quantity_off_the_lot_or_zero_is_refused(work: Work, daily: Build, quantity: Run) -> None:
    with pytest.raises(OrderError) as refused:
        work(daily({"A": [10, 11]}), quantity)
    assert str(refused.value) == (
        f"execute: quantity {quantity} of A is no multiple of lot_size 1 other than zero; its sign tells the "
        "direction (2024-01-02T00:00:00Z)"
    )


@pytest.mark.parametrize("quantity", [math.nan, math.inf, "many", None, True])
def test_a_quantity_that_is_no_number_is_refused(work: Work, daily: Build, quantity: Run) -> None:
    with pytest.raises(OrderError, match="is not a finite number"):
        work(daily({"A": [10, 11]}), quantity)


def test_an_unknown_symbol_is_refused(play: Callable[..., Run], daily: Build, scripted: Run) -> None:
    with pytest.raises(UnknownNameError, match="unknown symbol 'B'; known: A"):
        play({0: lambda now: now.broker.execute("B", 1, scripted())}, daily({"A": [10, 11]}))


def test_neither_given_nor_taken_back_when_the_run_is_over(
    play: Callable[..., Run], daily: Build, scripted: Run
) -> None:
    kept = play(
        {0: lambda now: (now.broker, now.broker.execute("A", 5, scripted()))}, daily({"A": [10, 11]})
    )[0]
    with pytest.raises(EngineStateError, match="the run is over"):
        kept[0].execute("A", 5, scripted())
    with pytest.raises(EngineStateError, match="the run is over"):
        kept[1].cancel()


def test_not_before_the_first_event(play: Callable[..., Run], daily: Build, scripted: Run) -> None:
    def start(strategy: Run) -> None:
        strategy.broker.execute("A", 5, scripted())

    with pytest.raises(EngineStateError, match="not in on_start or before the run"):
        play({}, daily({"A": [10, 11]}), start=start)


def test_not_from_another_thread(play: Callable[..., Run], daily: Build, scripted: Run) -> None:
    errors: list[str] = []

    def elsewhere(action: Callable[[], object]) -> None:
        def go() -> None:
            try:
                action()
            except EngineStateError as error:
                errors.append(str(error))

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()

    def step(now: Run) -> Run:
        handle = now.broker.execute("A", 5, scripted())
        elsewhere(lambda: now.broker.execute("A", 5, scripted()))
        elsewhere(handle.cancel)
        return handle

    run = play({0: step}, daily({"A": [10, 11]}))
    assert errors == ["orders may be sent only from the thread that runs the strategy"] * 2
    assert run[0].status == "working"
