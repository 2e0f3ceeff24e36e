"""What the manifest of a run says about values that flatter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ml4t.backtest import DataFeed, Engine, Strategy
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
