"""Orders that name the lots they close, by hand and at random, on both engines."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ml4t.core.errors import OrderError
from ml4t.core.plugins import PluginManager

from .agreement import agreed
from .counts import random_cases
from .markets import Case, cases
from .play import ENGINES, Action, feed_of, flat, play, split


def buys(quantity: float) -> Action:
    return lambda now: now.broker.buy("A", quantity)


def sells(quantity: float, lot: int, **terms: Any) -> Action:  # noqa: ANN401 - of `OrderTerms`
    return lambda now: now.broker.sell("A", quantity, lot=lot, **terms)


def in_turn(*steps: Action) -> dict[int, Action]:
    return dict(enumerate(steps))


def entries(results: Any) -> list[tuple[int, float]]:  # noqa: ANN401
    """Return which order opened what was closed, and how much of it, in the sequence of the closing."""
    return results.round_trips.select("entry_order_id", "quantity").rows()


@ENGINES
@pytest.mark.parametrize("policy", ["fifo", "lifo", "highest_cost"])
def test_the_lot_that_is_named_is_closed_first_and_then_the_policy_decides(engine: str, policy: str) -> None:
    steps = in_turn(buys(10), buys(10), buys(10), sells(15, lot=2))
    # Bought at 12.00, 11.00 and 13.00, sold at 13.00.
    results = play(engine, feed_of(flat(10, 12, 11, 13, 13)), steps, lot_policy=policy, initial_cash=1000)
    after = {"fifo": 1, "lifo": 3, "highest_cost": 3}[policy]
    assert entries(results) == [(2, 10), (after, 5)]
    assert results.round_trips["gross_pnl"].to_list() == [20, 5 if after == 1 else 0]


@ENGINES
def test_a_lot_keeps_its_name_through_a_split(engine: str) -> None:
    # Both are bought before the split of the third day, at its open and before.
    feed = feed_of(flat(10, 10, 5, 5, 5), actions=split("2"))
    steps = {0: lambda now: (now.broker.buy("A", 10), now.broker.buy("A", 10)), 2: sells(20, lot=2)}
    results = play(engine, feed, steps, initial_cash=1000)
    assert entries(results) == [(2, 20)]


@ENGINES
def test_a_lot_that_is_gone_is_refused_and_one_that_may_come_is_not(engine: str) -> None:
    steps = in_turn(
        buys(10),
        sells(10, lot=1),
        # Nothing of order 1 is left; order 3 works, and both fill at the next open.
        lambda now: (now.broker.buy("A", 5), now.broker.sell("A", 5, lot=3), now.broker.sell("A", 5, lot=1)),
    )
    results = play(engine, feed_of(flat(10, 10, 10, 10, 10)), steps, initial_cash=1000)
    assert results.orders.sort("order_id")["reason_code"].to_list() == ["", "", "", "", "NO_SUCH_LOT"]
    assert results.orders.sort("order_id")["reason"].to_list()[-1] == (
        "order 1 opened no lot of A that is held and that this one would close (2024-01-04T00:00:00Z)"
    )


@ENGINES
def test_a_short_is_covered_by_the_lot_that_is_named(engine: str) -> None:
    steps = in_turn(
        lambda now: now.broker.sell("A", 10),
        lambda now: now.broker.sell("A", 10),
        lambda now: now.broker.buy("A", 10, lot=2),
    )
    results = play(engine, feed_of(flat(10, 12, 11, 13)), steps, allows_short=True, initial_cash=1000)
    assert entries(results) == [(2, 10)]


@ENGINES
def test_pooled_lots_have_no_names(engine: str) -> None:
    with pytest.raises(OrderError, match="keeps a single lot; there is none to name \\(A, 2024-01-03"):
        play(engine, feed_of(flat(10, 10, 10)), in_turn(buys(10), sells(5, lot=1)), lot_policy="average")


@ENGINES
@pytest.mark.parametrize("lot", [True, "1", 1.5])
def test_what_names_no_order_is_an_error(engine: str, lot: Any) -> None:  # noqa: ANN401
    with pytest.raises(OrderError, match=f"by its handle or by its id.*, found {lot!r}"):
        play(engine, feed_of(flat(10, 10, 10)), in_turn(buys(10), sells(5, lot=lot)))


@ENGINES
def test_no_such_order_is_an_error(engine: str) -> None:
    with pytest.raises(OrderError, match="no order 7; this run has sent 1 so far"):
        play(engine, feed_of(flat(10, 10, 10)), in_turn(buys(10), sells(5, lot=7)))


@st.composite
def naming(draw: st.DrawFn) -> Case:
    """Draw a case in which orders name one that came before them, by how many orders ago it was."""
    case = draw(cases(draw(st.sampled_from(["day", "day", "hour", "quote"]))))
    account = case.account | {"lot_policy": draw(st.sampled_from(["fifo", "lifo", "highest_cost"]))}
    script = tuple(
        (call, attrs.evolve(ask, terms=(*ask.terms, ("lot", draw(st.integers(0, 4))))))
        if ask.what in ("market", "limit", "stop") and draw(st.booleans())
        else (call, ask)
        for call, ask in case.script
    )
    return attrs.evolve(case, account=account, script=script)


@random_cases(40)
@given(case=naming())
def test_the_engines_agree_on_lots_that_are_named(plugins: PluginManager, case: Case) -> None:
    tables = agreed(case, plugins)
    if tables is None:
        return
    event(f"refused for its lot: {'NO_SUCH_LOT' in set(tables['orders']['reason_code'])}")
