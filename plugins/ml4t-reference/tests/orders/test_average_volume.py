"""Caps on the average volume of sessions, and fill models that refuse an order, worked by hand.

Every day is one session at 100.00, and a tenth of an average may fill.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, StopLoss, Strategy
from ml4t.core.errors import ModelError
from ml4t.core.models import FillArgs, FillOut

from .market import Action, at, daily, ends, fills, in_turn, play, send, split_in_two

TENTH: dict[str, Any] = {"type": "Default", "volume_limit": 0.1}
WHOLE = {"fill_model": TENTH | {"average_days": 2, "partial": False}}


def volumes(*sizes: float, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    """Return days at 100.00 with these volumes."""
    return daily(*((100, 100, 100, 100, size) for size in sizes), **options)


@attrs.frozen
class Asked:
    """A fill model that keeps what it is shown of sessions, and takes no order for more than `most`."""

    average_days: int
    most: list[float] = attrs.field(factory=lambda: [math.inf])
    seen: list[tuple[float, float]] = attrs.field(factory=list)

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        self.seen.append((ctx.average_volume, ctx.session_used))
        if ctx.leaves_quantity > self.most[0]:
            return FillOut(rejects=True)
        return FillOut(price=ctx.price, quantity=min(ctx.leaves_quantity, 2.0), liquidity=ctx.liquidity)


def ask(model: Asked, feed: DataFeed, steps: dict[int, Action]) -> Any:  # noqa: ANN401 - what `Engine` returns
    """Run steps with a model of one's own."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](self)
            self.calls += 1

    config = {"backtest": {"engine": "reference"}}
    return Engine(feed, Script, config=config, models={"fill": model}).run()


# -- the average ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "quantities"),
    [
        # A tenth of 1000, 3000, 500, 700; of 1000, 2000, 1750, 600; of 1000, 2000, 1500, 1400.
        (1, [100, 300, 50, 70]),
        (2, [100, 200, 175, 60]),
        (3, [100, 200, 150, 140]),
    ],
)
def test_the_average_is_of_the_last_sessions_before(days: int, quantities: list[float]) -> None:
    feed = volumes(1000, 3000, 500, 700, 1)
    rich = {"initial_cash": 1_000_000}
    results = play(feed, {0: send("buy", 5000)}, fill_model=TENTH | {"average_days": days}, **rich)
    assert results.fills["quantity"].to_list() == quantities
    assert set(results.fills["phase"]) == {"open"}


@pytest.mark.parametrize(
    ("first", "quantity"),
    [
        # The bar of 22:00 is one of the day that it began in: (1000 + 3000) / 10.
        (at(2, 18), 400),
        # The bar of midnight is one of the day that begins: 1000 / 10.
        (at(2, 20), 100),
    ],
)
def test_a_bar_belongs_to_the_session_that_closes_after_its_open(first: dt.datetime, quantity: float) -> None:
    hours = [first + dt.timedelta(hours=4 * n) for n in range(3)]
    frame = pl.DataFrame(
        {"symbol": "A", "timestamp": hours, "volume": [1000.0, 3000.0, 9.0]}
        | dict.fromkeys(("open", "high", "low", "close"), 100.0)
    )
    feed = DataFeed(frame, stamp="open", interval="4h", calendar="24/7")
    results = play(feed, {1: send("buy", 900)}, fill_model=TENTH | {"average_days": 1})
    assert results.fills.select("ts_event", "quantity").rows() == [(hours[2], quantity)]


def test_volumes_are_added_from_the_oldest_to_the_newest() -> None:
    # As floats 1e16 + 1 is 1e16, twice; from the newest it would be 1e16 + 2.
    model = Asked(3)
    ask(model, volumes(1e16, 1, 1, 1), {2: send("buy", 1)})
    assert model.seen == [(1e16 / 3, 0.0)]
    assert 1e16 + 2 != 1e16 + 1


def test_a_split_scales_what_came_before_it() -> None:
    # 1000 of the first day are 2000 of the second, and a tenth of them fills; then (2000 + 3000) / 2 = 2500.
    feed = volumes(1000, 3000, 700, actions=split_in_two(dt.date(2024, 1, 2)))
    results = play(feed, {0: send("buy", 500)}, fill_model=TENTH | {"average_days": 2})
    assert results.fills["quantity"].to_list() == [200, 250]


def test_a_split_inside_a_session_scales_what_was_taken_in_it() -> None:
    # The session of the ninth begins on the evening before, and two for one is at midnight of Chicago, 06:00.
    # Of 400 of the old shares 300 were taken before it: of 800 of the new ones 200 are left.
    hours = [at(8, 15), at(9, 4), at(9, 5), at(9, 7), at(9, 8)]
    frame = pl.DataFrame(
        {"symbol": "A", "timestamp": hours, "volume": [4000.0, 9.0, 9.0, 9.0, 9.0]}
        | dict.fromkeys(("open", "high", "low", "close"), 25.0)
    )
    feed = DataFeed(
        frame,
        stamp="open",
        interval="1h",
        calendar="CME_Equity",
        actions=split_in_two(dt.date(2024, 1, 9)),
    )
    steps = {1: send("buy", 300), 3: send("buy", 900)}
    results = play(feed, steps, fill_model=TENTH | {"average_days": 1})
    assert results.fills.select("ts_event", "quantity").rows() == [(at(9, 5), 300), (at(9, 8), 200)]


def test_what_was_taken_in_the_session_is_shown_to_the_model() -> None:
    # Each order takes 2 a day; a day is a session.
    def two(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.buy("A", 3)
        now.broker.sell("A", 2)

    model = Asked(5)
    ask(model, volumes(1000, 3000, 1), {0: two})
    assert model.seen == [(1000.0, 0.0), (1000.0, 2.0), (2000.0, 0.0)]


def test_before_the_first_session_is_over_the_average_is_zero() -> None:
    frame = pl.DataFrame(
        {"symbol": "A", "timestamp": [at(2, 1), at(2, 2)], "volume": 1000.0}
        | dict.fromkeys(("open", "high", "low", "close"), 100.0)
    )
    feed = DataFeed(frame, stamp="open", interval="1h", calendar="24/7")
    model = Asked(5)
    ask(model, feed, {0: send("buy", 1)})
    assert model.seen[0][0] == 0.0
    capped = TENTH | {"average_days": 5}
    assert fills(play(feed, {0: send("buy", 1)}, fill_model=capped)) == []
    refused = play(feed, {0: send("buy", 1)}, **WHOLE)
    assert ends(refused) == [("rejected", "REFUSED_BY_MODEL")]


def test_a_volume_that_is_missing_stops_the_run() -> None:
    with pytest.raises(ModelError, match=r"order 1, 2024-01-02T.* one is missing"):
        play(volumes(math.nan, 1000, 1000), {0: send("buy", 1)}, fill_model=TENTH | {"average_days": 2})


# -- orders that the model refuses ---------------------------------------------------------------------------


def test_an_order_for_more_than_is_left_is_refused_and_one_for_that_fills() -> None:
    # A tenth of 1000.
    for size, end in ((101, ("rejected", "REFUSED_BY_MODEL")), (100, ("filled", ""))):
        assert ends(play(volumes(1000, 1000), {0: send("buy", size)}, **WHOLE)) == [end]


def test_what_is_left_of_an_order_with_fills_is_canceled() -> None:
    # 2 of 5 fill on the second day. From then on the model takes no order for more than 2, and 3 are left.
    model = Asked(1)

    def lower(now: Any) -> None:  # noqa: ANN401 - the running strategy
        model.most[0] = 2.0

    results = ask(model, volumes(9, 9, 9, 9), in_turn(send("buy", 5), lower))
    assert model.seen == [(9.0, 0.0), (9.0, 0.0)]
    assert ends(results) == [("canceled", "REFUSED_BY_MODEL")]
    assert fills(results) == [(100.0, 2)]


def test_children_and_the_group_of_a_refused_order_end_with_it() -> None:
    def three(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 101)
        now.broker.sell("A", 101, parent=entry)
        now.broker.buy("A", 1, limit_price=50, oco=entry)

    results = play(volumes(1000, 1000), {0: three}, **WHOLE)
    assert ends(results) == [
        ("rejected", "REFUSED_BY_MODEL"),
        ("canceled", "PARENT_ENDED"),
        ("canceled", "GROUP_ENDED"),
    ]


def test_the_stop_of_a_rule_that_is_refused_is_placed_again_with_the_next_fill() -> None:
    # 60 and 60 are bought, and the stop at 99.00 is for all that is held: 120, on a day with a low of 98.00
    # that has 100 for all. The purchase of 1 after it places another.
    def begin(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(StopLoss(pct=0.01))
        now.broker.buy("A", 60)

    flat, low = (100, 100, 100, 100, 1000), (100, 100, 98, 100, 1000)
    steps = in_turn(begin, send("buy", 60), lambda _: None, send("buy", 1))
    results = play(daily(flat, flat, flat, low, flat), steps, **WHOLE)
    assert results.orders.select("tag", "status", "quantity", "reason_code").rows() == [
        ("", "filled", 60, ""),
        ("stop_loss", "rejected", 120, "REFUSED_BY_MODEL"),
        ("", "filled", 60, ""),
        ("", "filled", 1, ""),
        ("stop_loss", "canceled", 121, "END_OF_DATA"),
    ]
