"""Random cases on quotes with prints beside them, as `tests/oracle/markets.py` draws the others."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .carry import holdings
from .costs import queued, slices
from .markets import EX_DAY, RULES, SYMBOLS, WITH_PRINTS, Ask, Case, accounts, actions, asks, sizes

STEP = 5  #: minutes from quote to quote
QUEUE = {"print_fills": "touch", "queue_position": "size_ahead"}
waits = st.builds(lambda n: {"model": {"type": "Waits", "minutes": n}}, st.sampled_from([3.0, 20.0]))
policies = st.sampled_from([QUEUE, QUEUE, {"print_fills": "touch"}, {"print_fills": "through"}, {}])


@st.composite
def slow_quotes(draw: st.DrawFn, symbol: str, count: int, *, with_sizes: bool) -> list[tuple[Any, ...]]:
    """Draw quotes that stay where they are for a while, so that orders rest; sides and sizes may lack."""
    price = draw(st.sampled_from([1000, 300, 5000]))
    shown = st.sampled_from([10.0, 20.0, 35.0, 60.0, 100.0, 300.0, 0.0] + ([] if with_sizes else [None]))
    rows: list[tuple[Any, ...]] = []
    for number in range(count):
        price += draw(st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1, 1, -1, 2, -6]))
        half = draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))
        sides: list[float | None] = [(price - half) / 100, (price + half) / 100]
        if number and draw(st.integers(0, 14)) == 0:
            sides[draw(st.integers(0, 1))] = None
        rows.append((symbol, number * STEP, *sides, draw(shown), draw(shown)))
        if draw(st.integers(0, 19)) == 0:
            rows.append((symbol, number * STEP, *sides, draw(shown), draw(shown)))
    return rows


@st.composite
def prints_near(draw: st.DrawFn, quotes: list[tuple[Any, ...]], *, with_sizes: bool) -> list[tuple[Any, ...]]:
    """Draw prints at and around quotes, at their instants too, and several at one."""
    traded = st.sampled_from(
        [10.0, 10.0, 25.0, 25.0, 45.0, 120.0, 310.0, 1e6, 0.0] + ([] if with_sizes else [None])
    )
    rows: list[tuple[Any, ...]] = []
    for symbol, minute, bid, ask, *_ in quotes:
        for _ in range(draw(st.sampled_from([1, 2, 3, 0, 4]))):
            side = draw(st.sampled_from([bid, ask])) or bid or ask
            price = max(round(side * 100) + draw(st.sampled_from([0, 0, 0, 0, 0, 1, -1, 3])), 1)
            rows.append((symbol, minute + draw(st.integers(0, STEP - 1)), price / 100, draw(traded)))
    return sorted(rows, key=lambda row: (row[0], row[1]))


@st.composite
def cases_with_prints(draw: st.DrawFn) -> Case:
    """Draw a case around a midnight; orders of the last of its instruments may meet prints alone."""
    symbols = SYMBOLS[: draw(st.integers(1, 3))]
    count = draw(st.integers(5, 14))
    account = draw(accounts())
    account.setdefault("policies", {}).update(draw(policies))
    if "latency" in account:
        account["latency"] = draw(st.one_of(st.sampled_from(["1m", "7m", "1h"]), waits))
    # A cap needs every size that it is asked about.
    with_sizes = "fill_model" in account or account.get("slippage_model", {}).get("type") == "VolumeShare"
    quotes = [row for each in symbols for row in draw(slow_quotes(each, count, with_sizes=with_sizes))]
    prints = draw(prints_near(quotes, with_sizes=with_sizes))
    if len(symbols) > 1 and draw(st.integers(0, 3)) == 0:
        quotes = [row for row in quotes if row[0] != symbols[-1]]
    rules: tuple[tuple[str, int], ...] = ()
    if draw(st.integers(0, 2)) == 0:
        kinds = draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, unique=True))
        rules = tuple((name, draw(st.integers(1, 20))) for name in kinds)
    calls = len({row[1] for row in (*quotes, *prints)})
    reach = draw(st.sampled_from([2, 4, 8]))
    # Half of what is asked for are limits without terms, and half of it is early: so something rests.
    offsets = st.sampled_from([-1, -1, -1, 1, 1, 1, -2, 2, reach])
    plain = st.builds(Ask, st.just("limit"), st.sampled_from(symbols), sizes, offsets)
    what = st.one_of(plain, asks(with_rules=bool(rules), reach=reach))
    steps = st.one_of(st.integers(0, calls // 4), st.integers(0, calls - 2))
    has_actions = draw(st.integers(0, 3)) == 0
    return Case(
        kind=WITH_PRINTS,
        rows=tuple(quotes),
        fractional=False,
        account=account,
        rules=rules,
        actions=draw(actions(symbols, first=EX_DAY, last=EX_DAY)) if has_actions else (),
        script=tuple(draw(st.lists(st.tuples(steps, what), min_size=6, max_size=24))),
        prints=tuple(prints),
        lag=draw(st.sampled_from([0, 0, 0, 2])),
        slices=draw(st.one_of(slices, queued)) if draw(st.integers(0, 3)) == 0 else None,
        holding=draw(holdings([row[0] for row in quotes])),
    )
