"""Fill models that are told of the market: of which quotes and prints, about which orders, and when."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Strategy
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FillArgs, FillOut, ObservedMarket

Make = Callable[..., Engine]
Build = Callable[..., DataFeed]
Step = Callable[[Any], object]

T0 = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
T0_NS = int(T0.timestamp()) * 10**9
MS = 1_000_000
OPTIONS: dict[str, Any] = {"stamp": "event", "calendar": "24/7"}
TOUCH = {"print_fills": "touch"}
QUEUE = {"print_fills": "touch", "queue_position": "size_ahead"}


def quotes(rows: Mapping[int, tuple[float, float, float, float]]) -> DataFeed:
    """Return quotes of A by millisecond: bid, ask and their sizes."""
    names = ("bid_price", "ask_price", "bid_size", "ask_size")
    found = [
        {"symbol": "A", "timestamp": T0 + dt.timedelta(milliseconds=ms), **dict(zip(names, row, strict=True))}
        for ms, row in rows.items()
    ]
    return DataFeed(pl.DataFrame(found), name="quotes", kind="quote", matches_orders=True, **OPTIONS)


def prints(rows: Mapping[int, tuple[float, float]], **options: Any) -> DataFeed:  # noqa: ANN401
    """Return prints of A by millisecond: price and size."""
    found = [
        {"symbol": "A", "timestamp": T0 + dt.timedelta(milliseconds=ms), "price": price, "size": size}
        for ms, (price, size) in rows.items()
    ]
    return DataFeed(pl.DataFrame(found), name="prints", kind="trade", **OPTIONS, **options)


@attrs.frozen
class Listens:
    """Fills what the rules allow, and keeps what it is told and what it is asked."""

    told: list[ObservedMarket] = attrs.field(factory=list, init=False, eq=False)
    asked: list[FillArgs] = attrs.field(factory=list, init=False, eq=False)

    def on_market(self, event: ObservedMarket) -> None:
        self.told.append(event)

    def evaluate(self, ctx: FillArgs) -> FillOut:
        self.asked.append(ctx)
        return FillOut(ctx.price, ctx.leaves_quantity, ctx.liquidity)

    @property
    def brief(self) -> list[tuple[float, int, str]]:
        """Millisecond, order and phase of everything told."""
        return [((each.ts_ns - T0_NS) / MS, each.order_id, each.phase) for each in self.told]


class Script(Strategy):
    """Does at the n-th call, counted from 0, what step n says."""

    def __init__(self, steps: Mapping[int, Step]) -> None:
        self.steps = dict(steps)
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if step := self.steps.get(self.calls):
            step(broker)
        self.calls += 1


@pytest.fixture
def run(engine: Make) -> Callable[..., Results]:
    """Run steps with a fill model."""

    def go(
        model: object,
        feed: DataFeed | list[DataFeed],
        steps: Mapping[int, Step],
        policies: Mapping[str, str] = TOUCH,
        **backtest: object,
    ) -> Results:
        broker = {"policies": dict(policies), "allows_short": True}
        made = engine(lambda: Script(steps), feed, broker=broker, backtest=backtest, models={"fill": model})
        return made.run()

    return go


Run = Callable[..., Results]
FLAT = (10.0, 10.02, 300.0, 200.0)


def bid(price: float, size: float = 10) -> Step:
    return lambda broker: broker.buy("A", size, limit_price=price)


def test_a_limit_at_work_has_every_quote_and_print_after_it_was_sent(run: Run) -> None:
    model = Listens()
    tape = [quotes({0: FLAT, 2: FLAT, 4: (9.98, 10.0, 50.0, 60.0)}), prints({1: (10.01, 5.0)})]
    run(model, tape, {0: bid(9.99, 150)})
    quoted, traded = {"price": math.nan, "size": math.nan}, {"price": 10.01, "size": 5.0}
    common = {"side": 1, "asset": 0, "order_id": 1, "limit_price": 9.99, "leaves_quantity": 150.0}
    wanted: list[dict[str, Any]] = [
        {"ts_ns": T0_NS + 1 * MS, "phase": "trade"} | dict.fromkeys(SIDES, math.nan) | traded,
        {"ts_ns": T0_NS + 2 * MS, "phase": "quote"} | dict(zip(SIDES, FLAT, strict=True)) | quoted,
        {"ts_ns": T0_NS + 4 * MS, "phase": "quote"}
        | dict(zip(SIDES, (9.98, 10.0, 50.0, 60.0), strict=True))
        | quoted,
    ]
    assert repr(model.told) == repr([ObservedMarket(**common, **each) for each in wanted])


SIDES = ("bid", "ask", "bid_size", "ask_size")


def test_it_is_told_after_the_orders_were_matched(run: Run) -> None:
    """60 of 150 fill at the print of 2 ms, the rest at 4 ms: then there is nothing to tell of."""

    @attrs.frozen
    class Parts(Listens):
        def evaluate(self, ctx: FillArgs) -> FillOut:
            quantity = min(ctx.leaves_quantity, ctx.size if ctx.phase == "trade" else math.inf)
            return FillOut(ctx.price, quantity, ctx.liquidity)

    model = Parts()
    rows = {2: (10.0, 60.0), 4: (10.0, 90.0), 5: (10.0, 1.0)}
    tape = [quotes({0: FLAT, 1: FLAT, 3: FLAT, 6: FLAT}), prints(rows)]
    found = run(model, tape, {0: bid(10.0, 150)})
    assert found.fills["quantity"].to_list() == [60.0, 90.0]
    assert [(each.ts_ns - T0_NS) // MS for each in model.told] == [1, 2, 3]
    assert [each.leaves_quantity for each in model.told] == [150.0, 90.0, 90.0]


def test_only_what_acts_as_a_limit_and_is_active_has_events(run: Run) -> None:
    def send(broker: Any) -> None:  # noqa: ANN401
        broker.buy("A", 1, limit_price=9.0)
        broker.buy("A", 1, order_type="stop", stop_price=11.0)
        broker.buy("A", 1, order_type="stop_limit", stop_price=10.03, limit_price=9.5)
        broker.sell("A", 1, limit_price=12.0)

    model = Listens()
    tape = quotes({0: FLAT, 1: FLAT, 2: (10.0, 10.04, 1.0, 1.0), 3: FLAT, 4: FLAT, 5: FLAT})
    steps = {0: send, 3: lambda broker: broker.cancel_order(broker.open_orders[0])}
    run(model, [tape, prints({9: (10.0, 1.0)})], steps)
    seen = {at: [n for when, n, phase in model.brief if when == at and phase == "quote"] for at in range(6)}
    # By submission; the stop-limit is a limit from the quote on that triggers it.
    assert seen == {0: [], 1: [1, 4], 2: [1, 3, 4], 3: [1, 3, 4], 4: [3, 4], 5: [3, 4]}


def test_an_order_under_way_has_none(run: Run, engine: Make) -> None:
    model = Listens()
    broker = {"policies": TOUCH, "latency": "2500us"}
    tape = [quotes(dict.fromkeys(range(6), FLAT)), prints({9: (11.0, 1.0)})]
    engine(lambda: Script({0: bid(9.0)}), tape, broker=broker, models={"fill": model}).run()
    assert model.brief == [(3.0, 1, "quote"), (4.0, 1, "quote"), (5.0, 1, "quote"), (9.0, 1, "trade")]


def test_prints_that_fill_nothing_are_not_told(run: Run) -> None:
    model = Listens()
    tape = [quotes({0: FLAT, 2: FLAT}), prints({1: (10.0, 5.0)})]
    run(model, tape, {0: bid(9.0)}, policies={})
    assert model.brief == [(2.0, 1, "quote")]


def test_prints_alone_are_told(run: Run) -> None:
    model = Listens()
    run(model, prints({0: (10.0, 5.0), 1: (9.5, 7.0), 2: (9.75, 8.0)}), {0: bid(9.0)}, policies={})
    assert [(each.phase, each.price, each.size) for each in model.told] == [
        ("trade", 9.5, 7.0),
        ("trade", 9.75, 8.0),
    ]


def test_bars_are_not_told(run: Run, daily: Build) -> None:
    model = Listens()
    run(model, daily({"A": [10.0] * 4}), {0: bid(9.0)}, policies={})
    assert model.told == []


def test_a_fill_model_is_asked_with_the_order_and_what_is_ahead_of_it(run: Run) -> None:
    """300 ahead; the print of 200 leaves 100, which the one of 250 has traded: 150 are for us."""
    model = Listens()
    tape = [quotes({0: FLAT, 1: FLAT}), prints({2: (10.0, 200.0), 3: (10.0, 250.0), 4: (9.99, 1.0)})]
    found = run(model, tape, {0: bid(10.0, 400)}, policies=QUEUE)
    assert [(each.order_id, each.queue_ahead, each.phase) for each in model.asked] == [
        (1, 100.0, "trade"),
        (1, 0.0, "trade"),
    ]
    assert found.fills["quantity"].to_list() == [150.0, 250.0]


def test_nothing_is_known_to_be_ahead_without_the_policy(run: Run) -> None:
    model = Listens()
    run(model, [quotes({0: FLAT, 1: FLAT}), prints({2: (10.0, 200.0)})], {0: bid(10.0, 400)})
    assert [math.isnan(each.queue_ahead) for each in model.asked] == [True]


def test_what_it_raises_names_the_order_and_the_instant(run: Run) -> None:
    @attrs.frozen
    class Breaks(Listens):
        def on_market(self, event: ObservedMarket) -> None:
            if event.phase == "trade":
                {}[event.order_id]

    tape = [quotes({0: FLAT, 2: FLAT}), prints({1: (10.01, 5.0), 3: (10.01, 5.0)})]
    told = r"model Breaks, A, order 1, 2024-01-02T00:00:00\.001000000Z: told of the market: KeyError: 1"
    with pytest.raises(ModelError, match=told) as stopped:
        run(Breaks(), tape, {0: bid(9.0)})
    assert isinstance(stopped.value.__cause__, KeyError)


def test_what_it_counts_belongs_to_the_run(run: Run) -> None:
    @attrs.define
    class Counts:
        told: int = attrs.field(default=0, init=False)

        def clone(self) -> Counts:
            return Counts()

        def on_market(self, event: ObservedMarket) -> None:
            self.told += 1

        def evaluate(self, ctx: FillArgs) -> FillOut:
            # Only an order that has waited for two quotes fills.
            return FillOut(ctx.price, ctx.leaves_quantity) if self.told >= 2 else FillOut()

    model = Counts()
    tape = quotes({n: (9.9, 9.95, 10.0, 10.0) for n in range(6)})
    for _ in range(2):
        found = run(model, [tape, prints({9: (11.0, 1.0)})], {0: bid(10.0)})
        assert [when.microsecond for when in found.fills["ts_event"]] == [3_000]
    assert model.told == 0


def test_the_reference_engine_refuses_it_by_name(run: Run) -> None:
    tape = [quotes({0: FLAT}), prints({1: (10.0, 5.0)})]
    with pytest.raises(ConfigError, match=r"Listens wants to be told of the market \(on_market\), which the"):
        run(Listens(), tape, {}, engine="reference")
