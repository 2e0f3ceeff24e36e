"""Market-wide series, and the room that the context leaves to a strategy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Context, DataFeed
from ml4t.core.errors import UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]


@pytest.fixture
def feeds(daily: Build) -> list[DataFeed]:
    days = [dt.datetime(2024, 1, day, 12, tzinfo=dt.UTC) for day in (1, 3)]
    vix = pl.DataFrame({"timestamp": days, "vix": [12.5, 14.0], "vvix": [80.0, None]})
    rates = pl.DataFrame({"timestamp": days[1:], "fed_funds": [5.25]})
    return [
        daily({"A": [10, 11, 12, 13]}),
        DataFeed(vix, name="vix", kind="context", stamp="event"),
        DataFeed(rates, name="rates", kind="context", stamp="event"),
    ]


def test_the_last_known_value_of_each_series(play: Play, feeds: list[DataFeed]) -> None:
    def look(now: Now) -> object:
        return (
            now.timestamp.day,
            now.timestamp.hour,
            now.context["vix"],
            now.context["vvix"],
            now.context["fed_funds"],
        )

    run = play({n: look for n in range(6)}, feeds)
    np.testing.assert_equal(
        [run[n] for n in range(6)],
        [
            (1, 12, 12.5, 80.0, np.nan),
            (2, 0, 12.5, 80.0, np.nan),
            (3, 0, 12.5, 80.0, np.nan),
            (3, 12, 14.0, np.nan, 5.25),
            (4, 0, 14.0, np.nan, 5.25),
            (5, 0, 14.0, np.nan, 5.25),
        ],
    )


def test_the_context_is_a_mapping(play: Play, feeds: list[DataFeed]) -> None:
    def look(now: Now) -> None:
        context = now.context
        assert isinstance(context, Context)
        assert sorted(context) == sorted(context.keys()) == ["fed_funds", "vix", "vvix"]
        assert len(context) == 3
        assert "vix" in context
        assert "VIX" not in context
        assert context.get("vix") == 12.5
        assert context.get("gold") is None
        assert context.get("gold", 1.0) == 1.0
        assert dict(context)["vix"] == 12.5
        with pytest.raises(UnknownNameError) as refusal:
            context["VX"]
        assert str(refusal.value) == (
            "unknown market-wide series 'VX'; known: fed_funds, vix, vvix; did you mean 'vix'?"
        )

    play({0: look}, feeds)


def test_a_run_without_market_wide_series_has_an_empty_context(play: Play, daily: Build) -> None:
    def look(now: Now) -> None:
        assert (list(now.context), len(now.context), now.context.get("vix", 7)) == ([], 0, 7)
        with pytest.raises(UnknownNameError, match="unknown market-wide series 'vix'; known: none"):
            now.context["vix"]

    play({0: look}, daily({"A": [10]}))


def test_series_are_no_instruments_and_no_columns(play: Play, feeds: list[DataFeed]) -> None:
    def look(now: Now) -> None:
        assert now.data.symbols == ("A",)
        assert list(now.data) == []
        assert not hasattr(now.data, "vix")
        assert "vix" not in now.data["A"]

    play({0: look}, feeds)


def test_a_strategy_may_keep_things_on_the_context(play: Play, feeds: list[DataFeed]) -> None:
    def store(now: Now) -> None:
        now.context.lookback = 20

    run = play({0: store, 3: lambda now: (now.context.lookback, now.context["vix"])}, feeds)
    assert run[3] == (20, 14.0)


def test_what_is_kept_on_the_context_ends_with_the_run(play: Play, feeds: list[DataFeed]) -> None:
    def store(now: Now) -> None:
        assert not hasattr(now.context, "lookback")
        now.context.lookback = 20

    for _ in range(2):
        play({0: store}, feeds)


def test_the_context_kept_from_an_earlier_call_shows_the_present(play: Play, feeds: list[DataFeed]) -> None:
    run = play({0: lambda now: now.context, 3: lambda now: now.strategy.returned[0]["vix"]}, feeds)
    assert run[3] == 14.0
