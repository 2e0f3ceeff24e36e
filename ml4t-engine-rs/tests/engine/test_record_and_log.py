"""What a strategy writes down: numbers and lines, with the instant they were written at."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import Broker, Context, DataFeed, MarketEvent, PITData, Strategy, Timestamp, schedule
from ml4t.core.errors import EngineStateError, UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]
RunOf = Callable[..., Any]


def at(day: int) -> dt.datetime:
    return dt.datetime(2024, 1, day, tzinfo=dt.UTC)


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 11, 12]})


def test_named_numbers_become_rows(play: Play, market: DataFeed) -> None:
    steps = {
        0: lambda now: now.strategy.record(momentum=0.5, volatility=0.1),
        2: lambda now: now.strategy.record(momentum=-0.5),
    }
    recorded = play(steps, market).results.recorded
    assert recorded.rows() == [
        (at(2), "momentum", 0.5),
        (at(2), "volatility", 0.1),
        (at(4), "momentum", -0.5),
    ]


def test_every_kind_of_number_is_kept(play: Play, market: DataFeed) -> None:
    values = {
        "i": 1,
        "f": 1.5,
        "b": True,
        "np": np.float32(2.5),
        "ni": np.int64(3),
        "d": Decimal("4.5"),
        "q": Fraction(1, 2),
    }
    recorded = play({0: lambda now: now.strategy.record(**values)}, market).results.recorded
    assert dict(recorded.select("name", "value").iter_rows()) == {
        "i": 1.0,
        "f": 1.5,
        "b": 1.0,
        "np": 2.5,
        "ni": 3.0,
        "d": 4.5,
        "q": 0.5,
    }


def test_nan_and_infinity_are_numbers(play: Play, market: DataFeed) -> None:
    step = {0: lambda now: now.strategy.record(a=math.nan, b=math.inf)}
    a, b = play(step, market).results.recorded["value"].to_list()
    assert math.isnan(a)
    assert b == math.inf


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_what_is_no_number_is_a_type_error_that_names_it(play: Play, market: DataFeed, value: object) -> None:
    def write(now: Now) -> None:
        with pytest.raises(TypeError, match=r"record\(alpha=\.\.\.\) takes numbers, found"):
            now.strategy.record(alpha=value)

    assert play({0: write}, market).results.recorded.height == 0


def test_a_name_recorded_twice_at_one_instant_is_two_rows(play: Play, market: DataFeed) -> None:
    step = {0: lambda now: [now.strategy.record(x=1), now.strategy.record(x=2)]}
    assert play(step, market).results.recorded["value"].to_list() == [1.0, 2.0]


def test_lines_are_kept_with_their_level(play: Play, market: DataFeed) -> None:
    steps = {
        0: lambda now: now.strategy.log("plain"),
        1: lambda now: [
            now.strategy.log(level, level=level) for level in ("debug", "info", "warning", "error")
        ],
    }
    logs = play(steps, market).results.logs
    assert logs.rows() == [
        (at(2), "info", "plain"),
        (at(3), "debug", "debug"),
        (at(3), "info", "info"),
        (at(3), "warning", "warning"),
        (at(3), "error", "error"),
    ]


def test_a_line_may_be_anything_with_a_text(play: Play, market: DataFeed) -> None:
    run = play({0: lambda now: [now.strategy.log(3.5), now.strategy.log("größer\n💡")]}, market)
    assert run.results.logs["message"].to_list() == ["3.5", "größer\n💡"]


def test_an_unknown_level_is_refused_with_the_nearest(play: Play, market: DataFeed) -> None:
    def write(now: Now) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown log level 'warn'.*did you mean 'warning'\?"):
            now.strategy.log("x", level="warn")

    assert play({0: write}, market).results.logs.height == 0


def test_what_is_written_before_the_first_event_has_the_time_of_the_run_s_begin(
    run_of: RunOf, market: DataFeed
) -> None:
    class Writes(Strategy):
        def on_start(self) -> None:
            self.log("begin")
            self.record(begin=1.0)

        def on_stop(self) -> None:
            self.log("end")
            self.record(end=1.0)

    results = run_of(Writes(), market)
    # The open of the first bar, and the end of the last.
    assert results.logs.select("ts_event", "message").rows() == [(at(1), "begin"), (at(4), "end")]
    assert results.recorded.select("ts_event", "name").rows() == [(at(1), "begin"), (at(4), "end")]


def test_every_callback_may_write(run_of: RunOf, market: DataFeed) -> None:
    class Writes(Strategy):
        def on_bar(self, event: MarketEvent) -> None:
            self.log("bar")

        def on_daily_close(self) -> None:
            self.log("close")

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            self.log("data")

    assert run_of(Writes(), market).logs["message"].to_list() == ["close", "bar", "data"] * 3


@pytest.mark.parametrize("engine_name", ["rust", "reference"])
@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.log("late"),
        lambda s: s.record(late=1.0),
        lambda s: s.subscribe(asset="A"),
        lambda s: s.schedule(rule=schedule.month_end()),
    ],
)
def test_after_the_run_nothing_is_written_down_silently(
    run_of: RunOf, market: DataFeed, engine_name: str, use: Callable[[Strategy], None]
) -> None:
    strategy = Strategy()
    results = run_of(strategy, market, backtest={"engine": engine_name})
    with pytest.raises(EngineStateError, match="the run of this Strategy is over; on_stop is"):
        use(strategy)
    assert results.logs.is_empty() and results.recorded.is_empty()
