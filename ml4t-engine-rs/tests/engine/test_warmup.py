"""The warm-up: how long orders are refused at first, in sessions or as a duration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import Broker, Context, DataFeed, MarketEvent, PITData, Results, Strategy, Timestamp
from ml4t.core.errors import ConfigError, DataError

Build = Callable[..., DataFeed]
RunOf = Callable[..., Any]


def strategy_with(warmup: object, *, on_instance: bool = False) -> Strategy:
    class Buys(Strategy):
        def __init__(self) -> None:
            if on_instance:
                self.warmup = warmup

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            broker.buy("A", 1)

    if not on_instance:
        Buys.warmup = warmup
    return Buys()


def refused(results: Results) -> int:
    return int(results.orders.filter(reason_code="WARM_UP").height)


@pytest.mark.parametrize(("warmup", "count"), [(0, 0), (1, 0), (2, 1), (5, 4), (100, 8)])
def test_orders_are_refused_until_the_close_of_the_last_session_of_the_warm_up(
    run_of: RunOf, daily: Build, warmup: int, count: int
) -> None:
    # At the close of session n, n sessions are known: a warm-up of n lets it trade.
    results = run_of(strategy_with(warmup), daily({"A": [10] * 8}))
    assert refused(results) == count
    assert results.orders.height == 8


@pytest.mark.parametrize(
    ("warmup", "count"), [("0d", 0), ("1d", 0), ("3d", 2), ("72h", 2), ("1w", 6), ("10w", 8)]
)
def test_a_duration_counts_from_the_open_of_the_first_bar(
    run_of: RunOf, daily: Build, warmup: str, count: int
) -> None:
    assert refused(run_of(strategy_with(warmup), daily({"A": [10] * 8}))) == count


def test_a_duration_within_a_session_is_not_rounded_away(run_of: RunOf, minutes: Build) -> None:
    results = run_of(strategy_with("3m"), minutes(["2024-01-02"], 6))
    # Opened at 9:30, so orders are taken from 9:33 on; the last finds no bar to fill at.
    assert results.orders["reason_code"].to_list() == ["WARM_UP", "WARM_UP", "", "", "", "END_OF_DATA"]


def test_a_warm_up_within_a_session_covers_all_its_bars(run_of: RunOf, minutes: Build) -> None:
    results = run_of(strategy_with(1), minutes(["2024-01-02", "2024-01-03", "2024-01-04"]))
    # The first session closes after its last row, so all its orders are refused.
    assert results.orders["reason_code"].to_list()[:4] == ["WARM_UP"] * 3 + [""]


def test_a_warm_up_of_an_instance_is_that_of_the_run(run_of: RunOf, daily: Build) -> None:
    assert refused(run_of(strategy_with(3, on_instance=True), daily({"A": [10] * 8}))) == 2


def test_a_strategy_sees_everything_while_it_warms_up(run_of: RunOf, daily: Build) -> None:
    calls = []

    class Watches(Strategy):
        warmup = 3

        def on_bar(self, event: MarketEvent) -> None:
            calls.append("bar")

        def on_daily_close(self) -> None:
            calls.append("close")

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            calls.append("data")

    run_of(Watches(), daily({"A": [10] * 2}))
    assert calls == ["close", "bar", "data"] * 2


@pytest.mark.parametrize("warmup", [-1, "soon", "-3d", 1.5, None])
def test_a_warm_up_that_makes_no_sense_is_refused(run_of: RunOf, daily: Build, warmup: object) -> None:
    with pytest.raises((ConfigError, DataError), match=r"warmup|duration"):
        run_of(strategy_with(warmup), daily({"A": [10] * 3}))
