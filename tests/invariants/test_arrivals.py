"""A strategy decides when scores arrive, not when they were made: k bars later, k bars later."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Signals, Strategy

from .markets import MINUTE, sessions
from .running import plugins

SYMBOLS = ("A", "B")
SHIFTS = range(6)
UTC = pl.Datetime("ns", "UTC")
# Minutes of a regular session, of 3 July 2012, which closes at 13:00, and of 5 July, after a holiday.
BARS = [
    (opened + k * MINUTE, opened + (k + 1) * MINUTE) for _, opened, _ in sessions()[5:8] for k in range(40)
]
CLOSES = [closed for _, closed in BARS]
PLACE = {closed: place for place, closed in enumerate(CLOSES)}


def prices() -> pl.DataFrame:
    """Random walks, so that an order that came from a price would move with something else than its score."""
    rng = np.random.default_rng(7)
    rows = []
    for symbol in SYMBOLS:
        path = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, len(BARS))))
        for (opened, closed), price in zip(BARS, path, strict=True):
            rows.append((symbol, opened, closed, *[round(float(price), 2)] * 4, 1e6))
    names = ["symbol", "ts_open", "ts_event", "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.with_columns(pl.col("ts_open", "ts_event").cast(UTC))


def scores(shift: int, *, offset_ns: int = 0) -> pl.DataFrame:
    """Scores of every third close, arriving that many bars later, and so much before or after the close."""
    rng = np.random.default_rng(11)
    rows = [
        (CLOSES[place], CLOSES[place + 1 + shift] + offset_ns, symbol, round(float(rng.random()), 6))
        for place in range(0, len(CLOSES) - len(SHIFTS) - 1, 3)
        for symbol in SYMBOLS
    ]
    frame = pl.DataFrame(rows, schema=["ts_event", "ts_arrival", "asset_id", "score"], orient="row")
    return frame.with_columns(pl.col("ts_event", "ts_arrival").cast(UTC), model_id=pl.lit("my_xgboost_v2"))


class Follower(Strategy):
    """Buys on a strong signal and liquidates on a weak one, as it is told of it."""

    broker: Any

    def on_start(self) -> None:
        self.subscribe(event_type="signal", model_id="my_xgboost_v2")

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - the event of the engine
        self.follow(event.asset, event.score)

    def follow(self, asset: str, score: float) -> None:
        position = self.broker.get_position(asset)
        if score > 0.7 and position is None:
            self.broker.submit_order(asset, 10)
        elif score < 0.3 and position is not None:
            self.broker.close_position(asset)


class Looker(Follower):
    """The same by the last score that can be read, whenever there is anything new."""

    def on_start(self) -> None:
        self.seen: dict[str, float] = {}

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - the event of the engine
        """Do nothing: it looks."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for asset in data.symbols:
            score = data[asset]["signals"].get("my_xgboost_v2", float("nan"))
            if score == score and score != self.seen.get(asset):
                self.seen[asset] = score
                self.follow(asset, score)


def run(strategy: Strategy, signals: object, *, engine: str = "rust") -> Results:
    feed = DataFeed(prices(), stamp="event", interval="1m")
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": "1000000"}}
    return Engine(feed, strategy, signals=signals, config=config, plugins=plugins()).run()


def decisions(results: Results) -> list[tuple[int, str, str]]:
    """When each order was sent, of what and to which side."""
    orders = results.orders.select(pl.col("ts_submitted").cast(pl.Int64), "symbol", "side")
    return [(at, symbol, str(side)) for at, symbol, side in orders.iter_rows()]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    ("kind", "offset_ns"),
    [
        (Follower, 0),
        # Within a bar, and between the last bar of one session and the first of the next.
        (Follower, 17 * 10**9),
        (Follower, -17 * 10**9),
        (Looker, 0),
        (Looker, -17 * 10**9),
    ],
)
def test_arrivals_that_come_k_bars_later_move_every_decision_by_k_bars(
    kind: type[Follower], offset_ns: int, shift: int
) -> None:
    before = decisions(run(kind(), scores(0, offset_ns=offset_ns)))
    after = decisions(run(kind(), scores(shift, offset_ns=offset_ns)))
    assert len(before) > 20
    expected = [
        (CLOSES[PLACE[at - offset_ns] + shift] + offset_ns, symbol, side) for at, symbol, side in before
    ]
    assert after == expected


@pytest.mark.parametrize("engine", ["rust", "reference"])
def test_arrivals_move_decisions_in_both_engines(engine: str) -> None:
    before, after = (decisions(run(Follower(), scores(shift), engine=engine)) for shift in (0, 5))
    assert len(before) > 20
    assert after == [(CLOSES[PLACE[at] + 5], symbol, side) for at, symbol, side in before]


def test_a_declared_latency_moves_decisions_as_arrivals_do() -> None:
    first = pl.col("ts_event").cast(pl.Int64) < CLOSES[30]
    made = scores(0).filter(first).drop("ts_arrival")
    base = decisions(run(Follower(), made))
    assert len(base) > 5
    for shift in SHIFTS:
        later = run(Follower(), Signals(made, latency=dt.timedelta(minutes=shift)))
        assert decisions(later) == [(at + shift * MINUTE, symbol, side) for at, symbol, side in base]


def test_the_stamp_of_what_a_score_was_made_of_decides_nothing() -> None:
    known = scores(3)
    backdated = known.with_columns(ts_event=pl.col("ts_event") - pl.duration(minutes=7))
    assert decisions(run(Follower(), backdated)) == decisions(run(Follower(), known))
