"""Latencies as they are described to an engine: quantiles of every instrument, of its venue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Strategy
from ml4t.core.errors import ConfigError
from ml4t.engine.compile import describe

Build = Callable[..., DataFeed]
MS = 1_000_000


@pytest.fixture
def two(daily: Build) -> DataFeed:
    instruments = [Instrument("A", calendar="24/7", venue="XCME"), Instrument("B", calendar="24/7")]
    return daily({"A": [10] * 3, "B": [20] * 3}, instruments=instruments)


def described(feed: DataFeed, latency: object) -> dict[str, Any]:
    made = Engine(feed, Strategy, config={"broker": {"latency": latency}})
    return describe(made.config, made.data, made._models, warm_from=0)


def latencies(feed: DataFeed, latency: object) -> list[dict[str, Any]]:
    return [each["latency"] for each in described(feed, latency)["instruments"]]


def test_a_duration_is_the_only_value_of_every_message(two: DataFeed) -> None:
    every = {"submit": [5 * MS], "modify": [5 * MS], "cancel": [5 * MS]}
    # The calendar of B, "24/7", comes before "XCME".
    assert latencies(two, "5ms") == [{**every, "venue": 1}, {**every, "venue": 0}]


def test_an_instrument_has_the_latencies_of_its_venue(two: DataFeed) -> None:
    latency = {
        "submit": {"quantiles": ["1ms", "2ms", "4ms"]},
        "cancel": "3ms",
        "venues": {
            "XCME": {"submit": "7ms"},
            "24/7": {"modify": {"distribution": "uniform", "low": "1ms", "high": "9ms"}},
        },
    }
    assert latencies(two, latency) == [
        {"submit": [7 * MS], "modify": [0], "cancel": [3 * MS], "venue": 1},
        {"submit": [MS, 2 * MS, 4 * MS], "modify": [MS, 9 * MS], "cancel": [3 * MS], "venue": 0},
    ]


def test_a_venue_that_no_instrument_has_is_refused_with_those_there_are(two: DataFeed) -> None:
    venues = {"XCMF": {"submit": "1ms"}, "XNYS": {}, "XCME": {}}
    with pytest.raises(ConfigError) as refused:
        described(two, {"venues": venues})
    found = {each.path: (each.found, each.allowed, each.nearest) for each in refused.value.findings}
    assert found == {
        "broker.latency.venues.XCMF": ("XCMF", ("24/7", "XCME"), "XCME"),
        "broker.latency.venues.XNYS": ("XNYS", ("24/7", "XCME"), None),
    }


def test_the_calendar_is_no_venue_where_the_instrument_names_another(daily: Build) -> None:
    feed = daily({"A": [10] * 3}, instruments=[Instrument("A", calendar="24/7", venue="XCME")])
    with pytest.raises(ConfigError, match=r"broker\.latency\.venues\.24/7: no instrument .* allowed: XCME"):
        described(feed, {"venues": {"24/7": {"submit": "1ms"}}})
