"""What the manifest of a run says about values that flatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
