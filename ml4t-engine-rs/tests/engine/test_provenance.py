"""What the manifest of a run says about values that flatter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Strategy, run
from ml4t.core.policies import Policies
from ml4t.core.structuring import key_of, readable_fields

OPTIMISTIC = {
    "fill_timing": ("same_close", "orders fill at the close they were decided on, which is optimistic"),
    "quote_fill": ("standing", "orders fill at the quote they were decided on, which is optimistic"),
    "limit_gap": ("at_limit", "a limit through a gap fills at its own price, which may lie outside the bar"),
    "stop_gap": ("at_stop", "a stop through a gap fills at its own price, which may lie outside the bar"),
}

Build = Callable[..., DataFeed]
Make = Callable[..., Engine]


def warnings_of(engine: Make, daily: Build, policies: dict[str, str]) -> list[str]:
    """Return the warnings that name a policy, from the manifest of a short run."""
    results = engine(Strategy, daily({"A": [10, 11]}), broker={"policies": policies}).run()
    names = tuple(key_of(field) for field in readable_fields(Policies))
    found = [note for note in results.manifest["warnings"] if note.startswith(names)]
    assert [note for note in results.warnings if note.startswith(names)] == found
    return found


@pytest.mark.parametrize("name", OPTIMISTIC)
def test_a_value_that_flatters_is_named_in_the_manifest(engine: Make, daily: Build, name: str) -> None:
    value, why = OPTIMISTIC[name]
    assert warnings_of(engine, daily, {name: value}) == [f"{name} = {value}: {why}"]


def test_all_values_that_flatter_are_named_together(engine: Make, daily: Build) -> None:
    policies = {name: value for name, (value, _) in OPTIMISTIC.items()}
    assert warnings_of(engine, daily, policies) == [
        f"{name} = {value}: {why}" for name, (value, why) in OPTIMISTIC.items()
    ]


@pytest.mark.parametrize(
    "policies",
    [{}, {"fill_order": "exits_first", "fill_timing": "next_close", "path": "close_only"}],
    ids=repr,
)
def test_other_values_are_not(engine: Make, daily: Build, policies: dict[str, str]) -> None:
    assert warnings_of(engine, daily, policies) == []


def test_prints_without_a_cap_and_instruments_without_prints_are_named(daily: Build) -> None:
    """Prints fill whole orders where nothing caps them, and nothing where there are none."""

    def warnings(**broker: Any) -> list[str]:  # noqa: ANN401
        config = {"broker": {"policies": {"print_fills": "touch"}} | broker}
        return [
            each for each in run(Strategy, daily({"A": [10] * 3}), config=config).warnings if "print" in each
        ]

    lacking = "print_fills = touch does nothing for A: no trade ticks beside quotes"
    assert warnings() == [
        "print_fills = touch: without a volume_limit a print of any size fills whole orders",
        lacking,
    ]
    assert warnings(fill_model={"type": "Default", "volume_limit": 0.5}) == [lacking]


def test_a_queue_that_is_counted_without_sizes_is_named() -> None:
    """Quotes without sizes tell nothing of who is ahead."""
    at = dt.datetime(2024, 3, 5, 15, tzinfo=dt.UTC)
    quotes = pl.DataFrame({"symbol": ["A"], "timestamp": [at], "bid_price": [10.0], "ask_price": [10.02]})
    prints = pl.DataFrame({"symbol": ["A"], "timestamp": [at], "price": [10.0], "size": [5.0]})
    feeds = [
        DataFeed(quotes, kind="quote", stamp="event", name="quotes", matches_orders=True),
        DataFeed(prints, kind="trade", stamp="event", name="prints"),
    ]
    policies = {"print_fills": "touch", "queue_position": "size_ahead"}
    found = run(Strategy, feeds, config={"broker": {"policies": policies}}).warnings
    assert [each for each in found if "queue_position" in each] == [
        "queue_position counts sizes, and feed quotes has no bid_size",
        "queue_position counts sizes, and feed quotes has no ask_size",
    ]


def test_money_that_moves_after_the_last_nav_is_named(daily: Build) -> None:
    """A purchase at the last close of all is in no NAV."""

    def warned(day: int) -> list[str]:
        class BuyThen(Strategy):
            def on_start(self) -> None:
                self.days = 0

            def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
                self.days += 1
                if self.days == day:
                    broker.buy("A", 10)

        config = {"broker": {"policies": {"fill_timing": "same_close"}}}
        results = run(BuyThen, daily({"A": [10, 10, 10]}), config=config)
        return [each for each in results.warnings if "after the last NAV" in each]

    assert warned(2) == []
    (found,) = warned(3)
    assert found.startswith("Cash moved by -100.00 USD after the last NAV (")
