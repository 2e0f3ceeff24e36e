"""Signals as a strategy sees them: when they arrive, by name, and the latest of any name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Signal, SignalEvent, Signals, SignalSource, Strategy
from ml4t.core.errors import DataError, UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]
RunOf = Callable[..., Any]

nan = np.nan


def at(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, tzinfo=dt.UTC) + dt.timedelta(hours=hour)


def signals_of(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows are (ts_event, ts_arrival, asset_id, model_id, score)."""
    columns = ("ts_event", "ts_arrival", "asset_id", "model_id", "score")
    return pl.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 11, 12, 13], "B": [20, 21, 22, 23]})


def seen(now: Now) -> list[float]:
    return [now.data[symbol]["signals"][name] for symbol in "AB" for name in ("fast", "slow", "score")]


def test_the_last_score_of_each_name_is_known_from_its_arrival_on(play: Play, market: DataFeed) -> None:
    signals = signals_of(
        (at(2), at(2), "A", "fast", 0.1),
        (at(2), at(3), "A", "slow", 0.2),
        (at(3), at(4), "B", "slow", 0.3),
        (at(3), at(4), "A", "fast", 0.4),
    )
    run = play({n: seen for n in range(4)}, market, signals=signals)
    np.testing.assert_equal(run[0], [0.1, nan, 0.1, nan, nan, nan])
    np.testing.assert_equal(run[1], [0.1, 0.2, 0.2, nan, nan, nan])
    np.testing.assert_equal(run[2], [0.4, 0.2, 0.4, nan, 0.3, 0.3])
    np.testing.assert_equal(run[3], run[2])


def test_score_is_the_one_that_arrived_last_and_not_the_one_about_the_latest_event(
    play: Play, market: DataFeed
) -> None:
    late = signals_of((at(2), at(4), "A", "fast", 0.1), (at(3), at(3), "A", "slow", 0.2))
    run = play({n: lambda now: now.data["A"]["signals"]["score"] for n in range(4)}, market, signals=late)
    np.testing.assert_equal([run[n] for n in range(4)], [nan, 0.2, 0.1, 0.1])


def test_a_model_that_is_called_score_is_that_model(play: Play, market: DataFeed) -> None:
    signals = signals_of((at(2), at(2), "A", "score", 0.1), (at(3), at(3), "A", "other", 0.2))
    run = play({2: lambda now: now.data["A"]["signals"]["score"]}, market, signals=signals)
    assert run[2] == 0.1


def test_a_name_without_a_model_is_score(play: Play, market: DataFeed) -> None:
    signals = signals_of((at(2), at(2), "A", "m", 0.1)).drop("model_id")
    run = play(
        {0: lambda now: (list(now.data["A"]["signals"]), now.data["A"]["signals"]["score"])},
        market,
        signals=signals,
    )
    assert run[0] == (["score"], 0.1)


def test_wide_columns_are_names_and_missing_values_no_signals(play: Play, market: DataFeed) -> None:
    frame = pl.DataFrame(
        {"timestamp": [at(2), at(3)], "symbol": ["A", "A"], "ml_score": [0.1, None], "regime": [1.0, 2.0]}
    )
    run = play({n: lambda now: dict(now.data["A"]["signals"]) for n in range(2)}, market, signals=frame)
    assert [run[n] for n in range(2)] == [{"ml_score": 0.1, "regime": 1.0}, {"ml_score": 0.1, "regime": 2.0}]


def test_the_row_of_signals_is_a_mapping(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        row = now.data["A"]["signals"]
        assert row.keys() == list(row) == ["fast"]
        assert len(row) == 1
        assert "fast" in row
        assert "slow" not in row, "it has not spoken yet"
        assert "other" not in row
        assert row.get("fast") == 0.1
        assert np.isnan(row["slow"])
        assert row.get("slow", 5.0) == 5.0
        assert row.get("other") is None
        assert row.get("other", 5.0) == 5.0
        with pytest.raises(
            UnknownNameError, match=r"unknown signal 'fats'; known: fast, slow; did you mean 'fast'\?"
        ):
            row["fats"]

    signals = signals_of((at(2), at(2), "A", "fast", 0.1), (at(3), at(3), "A", "slow", 0.2))
    play({0: look}, market, signals=signals)


def test_what_can_be_asked_for_is_in_the_row(play: Play, market: DataFeed) -> None:
    signals = signals_of((at(2), at(2), "A", "fast", 0.1))
    run = play({0: lambda now: "score" in now.data["A"]["signals"]}, market, signals=signals)
    assert run[0]


def test_a_run_without_signals_says_so(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        row = now.data["A"]["signals"]
        assert (list(row), len(row), row.get("score")) == ([], 0, None)
        with pytest.raises(UnknownNameError, match="unknown signal 'score'; known: none"):
            row["score"]

    play({0: look}, market)


def test_a_signal_calls_the_strategy_at_its_arrival_and_marks_its_instrument_fresh(
    play: Play, market: DataFeed
) -> None:
    signals = signals_of((at(2), at(2, 0.5), "B", "fast", 0.1))
    run = play(
        {
            n: lambda now: (now.timestamp, list(now.data), now.data["B"].fresh, now.data["A"].fresh)
            for n in range(5)
        },
        market,
        signals=signals,
    )
    assert run[1] == (at(2, 0.5), ["B"], True, False)
    assert run[0] == (at(2), ["A", "B"], True, True)


def test_signals_come_from_any_source(play: Play, market: DataFeed, tmp_path: Path) -> None:
    frame = signals_of((at(2), at(3), "A", "m", 0.25))
    path = tmp_path / "signals.parquet"
    frame.write_parquet(path)

    class Source(SignalSource):
        def __init__(self) -> None:
            self.rows = iter([Signal("A", at(2), at(3), 0.25, model_id="m")])

        def get_next_event(self) -> Signal | None:
            return next(self.rows, None)

    sources: list[Any] = [frame, path, frame.to_pandas(), frame.to_arrow(), Source(), Signals(frame), [frame]]
    for source in sources:
        run = play({1: lambda now: now.data["A"]["signals"]["m"]}, market, signals=source)
        assert run[1] == 0.25


def test_signals_of_the_feed_and_of_the_run_come_together(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, 11]}, signals=signals_of((at(2), at(2), "A", "one", 0.1)))
    run = play(
        {0: lambda now: dict(now.data["A"]["signals"])},
        feed,
        signals=signals_of((at(2), at(2), "A", "two", 0.2)),
    )
    assert run[0] == {"one": 0.1, "two": 0.2}


def test_a_signal_that_arrives_before_its_event_is_refused(play: Play, market: DataFeed) -> None:
    with pytest.raises(DataError, match=r"arrives at .* before its ts_event"):
        play({}, market, signals=signals_of((at(3), at(2), "A", "m", 0.1)))


def test_signals_after_the_data_are_never_seen(play: Play, market: DataFeed, run_of: RunOf) -> None:
    told = []

    class Listens(Strategy):
        def on_signal(self, event: SignalEvent) -> None:
            told.append(event.score)

    signals = signals_of((at(2), at(2), "A", "m", 0.1), (at(5), at(9), "A", "m", 0.9))
    run_of(Listens(), market, signals=signals)
    assert told == [0.1]


def test_a_signal_event_says_everything_about_itself(run_of: RunOf, market: DataFeed) -> None:
    events = []

    class Listens(Strategy):
        def on_signal(self, event: SignalEvent) -> None:
            events.append(event)

    frame = signals_of((at(2), at(2, 1), "A", "m", 0.1), (at(3), at(3), "B", "m", 0.2)).with_columns(
        confidence=pl.Series([0.9, None]), version=pl.Series(["2.1", None])
    )
    run_of(Listens(), market, signals=frame)
    one, other = events
    assert (one.asset, one.model_id, one.score, one.confidence, one.version) == ("A", "m", 0.1, 0.9, "2.1")
    assert (one.timestamp, one.ts_event) == (at(2), int(at(2).timestamp()) * 10**9)
    assert one.ts_arrival == int(at(2, 1).timestamp()) * 10**9
    assert (other.asset, other.score, other.version, np.isnan(other.confidence)) == ("B", 0.2, "", True)


def test_an_order_on_a_signal_inside_a_bar_waits_for_the_next_open(play: Play, market: DataFeed) -> None:
    signals = signals_of((at(2), at(2, 12), "A", "m", 0.1))
    run = play({1: lambda now: now.broker.buy("A", 1)}, market, signals=signals)
    # Sent at noon of the second day: that day's bar is open already.
    assert run.fills == [("A", "buy", 1.0, 12.0)]
