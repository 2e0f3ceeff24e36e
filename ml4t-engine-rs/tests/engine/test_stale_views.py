"""A view, a row and a row of signals belong to their instant; kept beyond it they raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, MarketEvent, PITData, Strategy, Timestamp
from ml4t.core.errors import StaleViewError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

USES_OF_A_VIEW: dict[str, Callable[[Any], object]] = {
    "item": lambda view: view["A"],
    "get": lambda view: view.get("A"),
    "in": lambda view: "A" in view,
    "len": len,
    "iter": iter,
    "keys": lambda view: view.keys(),
    "values": lambda view: view.values(),
    "items": lambda view: view.items(),
    "column": lambda view: view.close,
    "history": lambda view: view.history("close", 1),
    "timestamp": lambda view: view.timestamp,
    "latest bar": lambda view: view.get_latest_bar("A"),
    "latest price": lambda view: view.get_latest_price("A"),
}
USES_OF_A_ROW: dict[str, Callable[[Any], object]] = {
    "item": lambda row: row["close"],
    "signals": lambda row: row["signals"],
    "get": lambda row: row.get("close"),
    "get of nothing": lambda row: row.get("nothing"),
    "in": lambda row: "close" in row,
    "fresh": lambda row: row.fresh,
    "age": lambda row: row.age,
    "ts_event": lambda row: row.ts_event,
    "repr": repr,
}
USES_OF_SIGNALS: dict[str, Callable[[Any], object]] = {
    "item": lambda signals: signals["m"],
    "score": lambda signals: signals["score"],
    "get": lambda signals: signals.get("m"),
    "get of nothing": lambda signals: signals.get("nothing"),
}


@pytest.fixture
def market(daily: Build) -> DataFeed:
    signals = pl.DataFrame(
        {
            "ts_event": pl.Series(["2024-01-02T00:00:00"]).str.to_datetime(time_zone="UTC"),
            "asset_id": ["A"],
            "score": [0.5],
            "model_id": ["m"],
        }
    )
    return daily({"A": [10, 11, 12]}, signals=signals)


@pytest.mark.parametrize("use", USES_OF_A_VIEW)
def test_a_view_kept_from_an_earlier_instant_raises(play: Play, market: DataFeed, use: str) -> None:
    def later(now: Now) -> None:
        with pytest.raises(StaleViewError, match=r"this view belongs to an earlier instant; use self\.data"):
            USES_OF_A_VIEW[use](now.strategy.returned[0])

    play({0: lambda now: now.data, 1: later}, market)


@pytest.mark.parametrize("use", USES_OF_A_ROW)
def test_a_row_kept_from_an_earlier_instant_raises(play: Play, market: DataFeed, use: str) -> None:
    def later(now: Now) -> None:
        for row in now.strategy.returned[0]:
            with pytest.raises(
                StaleViewError, match="this row belongs to an earlier instant; keep its values"
            ):
                USES_OF_A_ROW[use](row)

    def keep(now: Now) -> list[Any]:
        data = now.data
        return [data["A"], now.strategy.data["A"], data.values()[0], data.get("A"), data.get_latest_bar("A")]

    play({0: keep, 1: later}, market)


@pytest.mark.parametrize("use", USES_OF_SIGNALS)
def test_signals_kept_from_an_earlier_instant_raise(play: Play, market: DataFeed, use: str) -> None:
    def later(now: Now) -> None:
        with pytest.raises(StaleViewError, match="these signals belong to an earlier instant"):
            USES_OF_SIGNALS[use](now.strategy.returned[0])

    play({0: lambda now: now.data["A"]["signals"], 1: later}, market)


def test_values_taken_from_a_view_may_be_kept(play: Play, market: DataFeed) -> None:
    run = play(
        {0: lambda now: (now.data["A"]["close"], now.data.close, now.data.history("close", 1, "A"))}, market
    )
    value, column, window = run[0]
    assert (value, column.tolist(), window.tolist()) == (10.0, [10.0], [10.0])


def test_a_kept_view_stays_stale_while_the_next_one_is_fresh(play: Play, market: DataFeed) -> None:
    def second(now: Now) -> object:
        assert now.data is not now.strategy.returned[0]
        assert now.data["A"]["close"] == 11.0
        return now.data

    def third(now: Now) -> None:
        assert now.data["A"]["close"] == 12.0
        for kept in (now.strategy.returned[0], now.strategy.returned[1]):
            with pytest.raises(StaleViewError):
                kept["A"]

    play({0: lambda now: now.data, 1: second, 2: third}, market)


def test_the_strategy_s_own_view_never_goes_stale(run_of: Callable[..., Any], market: DataFeed) -> None:
    seen = []

    class Keeps(Strategy):
        def on_start(self) -> None:
            self.kept = self.data

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            assert self.kept is self.data
            seen.append((self.kept["A"]["close"], data["A"]["close"]))

    run_of(Keeps(), market)
    assert seen == [(10.0, 10.0), (11.0, 11.0), (12.0, 12.0)]


def test_views_and_rows_are_stale_after_the_run(play: Play, market: DataFeed) -> None:
    run = play({2: lambda now: (now.data, now.data["A"])}, market)
    view, row = run[2]
    with pytest.raises(StaleViewError):
        view["A"]
    with pytest.raises(StaleViewError):
        row["close"]
    assert run.script.data["A"]["close"] == 12.0


def test_a_view_kept_inside_a_container_or_a_closure_is_stale_too(play: Play, market: DataFeed) -> None:
    def keep(now: Now) -> dict[str, Any]:
        data = now.data
        return {"closure": lambda: data["A"], "generator": (row for row in [data]), "list": [data]}

    def later(now: Now) -> None:
        kept = now.strategy.returned[0]
        uses: list[Callable[[], object]] = [
            kept["closure"],
            lambda: next(kept["generator"])["A"],
            lambda: kept["list"][0]["A"],
        ]
        for use in uses:
            with pytest.raises(StaleViewError):
                use()

    play({0: keep, 1: later}, market)


def test_one_view_object_serves_all_instants_when_nobody_keeps_it(play: Play, daily: Build) -> None:
    feed = daily({"A": [float(n) for n in range(1, 50)]})
    run = play({n: lambda now: id(now.data) for n in range(49)}, feed)
    assert len({run[n] for n in range(49)}) == 1


def test_an_iterator_over_symbols_taken_before_goes_on(play: Play, market: DataFeed) -> None:
    # Symbols are plain texts; only what would show data is bound to its instant.
    run = play({0: lambda now: iter(now.data), 1: lambda now: list(now.strategy.returned[0])}, market)
    assert run[1] == ["A"]


def test_a_row_that_is_used_within_its_instant_by_another_callback_is_fresh(
    run_of: Callable[..., Any], market: DataFeed
) -> None:
    seen = []

    class Shares(Strategy):
        def on_bar(self, event: MarketEvent) -> None:
            self.row = self.data["A"]

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            seen.append(self.row["close"])

    run_of(Shares(), market)
    np.testing.assert_equal(seen, [10, 11, 12])
