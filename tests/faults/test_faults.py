"""A bug of ours: a panic in any phase is an `EngineInternalError`, keeps what was recorded, and ends the run.

They need an engine that can be told to panic: `nox -s faults` builds one with the cargo feature
`fault-injection`, which no wheel has.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

import ml4t.backtest.engine as front_door
from ml4t.backtest import DataFeed, Engine, Strategy, TimeInForce, schedule
from ml4t.core.errors import EngineInternalError

pytestmark = pytest.mark.faults

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
PRICES = pl.DataFrame(
    {
        "symbol": ["XYZ"] * 5,
        "session": DAYS,
        "open": [10.0, 11.0, 12.0, 13.0, 14.0],
        "high": [10.5, 11.5, 12.5, 13.5, 14.5],
        "low": [9.5, 10.5, 11.5, 12.5, 13.5],
        "close": [10.25, 11.25, 12.25, 13.25, 14.25],
        "volume": [1e6] * 5,
    }
)
ACTIONS = pl.DataFrame(
    {
        "symbol": ["XYZ"],
        "ex_date": [dt.date(2024, 3, 6)],
        "kind": ["cash_dividend"],
        "ratio": [None],
        "amount": ["0.5"],
        "pay_date": [dt.date(2024, 3, 7)],
    },
    schema_overrides={"ratio": pl.String},
)
SIGNALS = pl.DataFrame(
    {
        "ts_event": [dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC)],
        "ts_arrival": [dt.datetime(2024, 3, 5, 22, tzinfo=dt.UTC)],
        "asset_id": ["XYZ"],
        "score": [0.5],
        "model_id": ["m"],
    }
)

# Phase -> what must be in the message: the instant, and the instrument where the phase deals with one.
PHASES = {
    1: ("2024-03-06T21:00:00Z", "XYZ"),  # the limit order meets the range
    2: ("2024-03-08T21:00:00Z", "XYZ"),  # the day order expires
    3: ("2024-03-07T05:00:00Z", "XYZ"),  # the dividend is paid
    4: ("2024-03-06T05:00:00Z", "XYZ"),  # its ex-date
    5: ("2024-03-04T21:00:00Z", ""),  # the first NAV
    6: ("2024-03-04T21:00:00Z", ""),
    7: ("2024-03-04T21:00:00Z", ""),
    9: ("2024-03-04T21:00:00Z", "XYZ"),  # intake of the first order
    10: ("2024-03-05T14:30:00Z", "XYZ"),  # its fill at the open
    11: ("2024-03-04T21:00:00Z", ""),
    12: ("2024-03-08T21:00:00Z", ""),  # the end of the run
}


class Busy(Strategy):
    """Gives every phase something to do."""

    def on_start(self) -> None:
        self.count = 0
        self.schedule(rule=schedule.session_close("0m"))

    def on_rebalance_trigger(self) -> None:
        pass

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.count += 1
        if self.count == 1:
            broker.buy("XYZ", 10)
        if timestamp.day == 5 and timestamp.hour == 21:
            broker.buy("XYZ", 5, limit_price="11.75")
        if timestamp.day == 7:
            broker.buy("XYZ", 5, limit_price="1", time_in_force=TimeInForce.DAY)


def engine_with(fault: int, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return an engine that panics in a phase; 0 for none."""
    describe = front_door.describe
    monkeypatch.setattr(
        front_door, "describe", lambda *args, **kwargs: {**describe(*args, **kwargs), "fault": fault}
    )
    feed = DataFeed(PRICES, stamp="session", actions=ACTIONS, signals=SIGNALS)
    return Engine(feed, Busy)


def test_without_a_fault_every_phase_has_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    results = engine_with(0, monkeypatch).run()
    assert results.fills["phase"].to_list() == ["open", "range"]
    assert results.orders["status"].to_list() == ["filled", "filled", "expired"]
    assert "dividend_payment" in results.ledger["kind"].to_list()


@pytest.mark.parametrize("phase", PHASES)
def test_a_panic_is_an_error_with_time_and_instrument_and_keeps_what_was_recorded(
    phase: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    instant, symbol = PHASES[phase]
    engine = engine_with(phase, monkeypatch)
    with pytest.raises(EngineInternalError, match="internal error of the engine") as caught:
        engine.run()
    message = str(caught.value)
    assert f"{instant}{', ' if symbol else ''}{symbol}: " in message, message
    assert "please report it" in message
    assert engine.results is not None
    assert engine.results.status == "failed"
    assert caught.value.partial_results is engine.results  # type: ignore[attr-defined]
    assert engine.results.ledger.height >= 1
    # Another run of the same engine is a new one.
    monkeypatch.undo()
    assert engine.run().status == "complete"


def test_a_run_that_panicked_refuses_further_use(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    class Keeps(Busy):
        def on_start(self) -> None:
            super().on_start()
            kept.append(self.broker)

    engine = engine_with(10, monkeypatch)
    engine._source = front_door.StrategySource.of(Keeps, None, root=None)
    with pytest.raises(EngineInternalError):
        engine.run()
    with pytest.raises(EngineInternalError, match="its results up to then can be read"):
        kept[0].get_cash()
