"""What a run keeps, how much room it takes, and where it goes when there is too much of it."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import DataFeed, Engine, Strategy
from ml4t.core.errors import ConfigError, ResultsError
from ml4t.core.schemas import TABLES
from ml4t.engine.results import Results

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
COSTS = {
    "commission_model": {"type": "PerShare", "fee": 0.005},
    "slippage_model": {"type": "FixedFraction", "fraction": 0.0001},
}


def minutes(count: int, seed: int) -> DataFeed:
    """Three random walks in bars of a minute."""
    dice = random.Random(seed)
    rows = []
    for symbol in ("AAA", "BBB", "CCC"):
        price = 100.0
        for k in range(count):
            close = round(price * (1 + dice.gauss(0, 0.002)), 2)
            high, low = max(price, close) + 0.05, min(price, close) - 0.05
            ts = START + dt.timedelta(minutes=k)
            rows.append((ts, ts + dt.timedelta(minutes=1), symbol, price, high, low, close, 1_000.0))
            price = close
    columns = ["ts_open", "ts_event", "symbol", "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return DataFeed(frame, name="1m", interval="1m", calendar="24/7", stamp="event")


class Turns(Strategy):
    """Buys at one bar and sells at the next, all three."""

    def on_start(self) -> None:
        self.side = 1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for symbol in data:
            broker.submit_order(symbol, 5 * self.side)
        self.side = -self.side


def limit(price: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"order_type": "limit", "limit_price": round(price, 2), **more}


class Anything(Strategy):
    """Sends orders of all kinds, lets some rest, cancels some; looks at old ones again."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.handles: list[Any] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        dice = self.dice
        for symbol in data:
            close, size = data[symbol]["close"], dice.choice([-3, -1, 1, 2, 700])
            kinds: list[dict[str, Any]] = [
                {},
                limit(close * dice.choice([0.999, 1.001])),
                {"order_type": "stop", "stop_price": round(close, 2), "tag": f"stop {dice.random()}"},
                {"order_type": "trailing_stop", "trail_amount": 0.25},
                limit(close * dice.choice([0.9, 1]), time_in_force=dice.choice(["day", "ioc", "fok"])),
                limit(close * 0.99, post_only=True),
                {"order_type": "limit", "limit_price": 99.123},
            ]
            self.handles.append(broker.submit_order(symbol, size, **dice.choice(kinds)))
        if self.handles and dice.random() < 0.5:
            broker.cancel_order(dice.choice(self.handles[-20:]))
        old = dice.choice(self.handles)
        assert (old.is_open, old.quantity > 0) == (old.status.value in _OPEN, True)


_OPEN = ("created", "submitted", "accepted", "partially_filled")


def run(strategy: object, feed: DataFeed, **backtest: Any) -> Results:  # noqa: ANN401
    broker = COSTS | {"initial_cash": 1_000_000, "allows_short": True, "leverage": 2}
    broker["fill_model"] = {"type": "Default", "volume_limit": 0.1}
    engine = Engine(feed, strategy, config={"backtest": backtest, "broker": broker})
    return engine.run()


@pytest.mark.parametrize("seed", range(2))
def test_tables_are_the_same_wherever_their_rows_are_kept(seed: int) -> None:
    print(f"seed {seed}")
    feed = minutes(1_500, seed)
    here = run(lambda: Anything(seed), feed)
    away = run(lambda: Anything(seed), feed, table_memory=0)
    assert here.run_info["counts"]["spilled_bytes"] == 0
    assert away.run_info["counts"]["spilled_bytes"] > away.run_info["counts"]["table_bytes"]
    assert here.fills.height > 1_000
    assert {*here.orders["status"]} >= {"filled", "canceled", "rejected", "expired"}
    for name in TABLES:
        assert_frame_equal(here.table(name), away.table(name))


def test_handles_of_orders_that_ended_say_what_the_table_says() -> None:
    made: list[Anything] = []

    def make() -> Anything:
        made.append(Anything(7))
        return made[-1]

    results = run(make, minutes(400, 7), table_memory=0)
    rows = results.orders.rows(named=True)
    assert len(rows) > 1_000
    for handle, row in zip(made[0].handles, rows, strict=True):
        assert handle.id == row["order_id"]
        found = {
            "status": handle.status.value,
            "quantity": handle.quantity,
            "filled_quantity": handle.filled_quantity,
            "avg_fill_price": handle.avg_fill_price,
            "limit_price": handle.limit_price,
            "stop_price": handle.stop_price,
            "reason_code": handle.reason_code,
            "reason": handle.reason,
            "tag": handle.tag,
            "side": handle.side.value,
            "order_type": handle.order_type.value,
            "time_in_force": handle.time_in_force.value,
        }
        assert found == {name: row[name] for name in found}
        assert (handle.leaves_quantity == 0) == (row["status"] == "filled")


def test_an_order_that_fills_takes_at_most_300_bytes() -> None:
    results = run(Turns, minutes(3_000, 1), record="session")
    counts = results.run_info["counts"]
    assert counts["fills"] > 8_900
    assert results.fills["fee"].min() > 0
    assert results.fills["slippage"].min() > 0
    # Order, transitions, fill with its costs, postings, round trip; and the values of sessions.
    assert counts["table_bytes"] / counts["fills"] <= 300
    assert run(Turns, minutes(300, 1), record="nav").run_info["counts"]["table_bytes"] < 100 * 900


def test_a_run_for_its_net_asset_values_has_the_metrics_of_one_with_tables(tmp_path: Any) -> None:  # noqa: ANN401
    feed = minutes(4_000, 3)
    whole, lean = (run(lambda: Anything(3), feed, record=record) for record in ("session", "nav"))
    assert_frame_equal(whole.portfolio_history, lean.portfolio_history)
    assert_frame_equal(whole.returns(), lean.returns())
    lacking = {*whole.metrics} - {*lean.metrics}
    assert lacking == {
        *("turnover", "slippage_cost", "impact_cost", "permanent_impact_cost"),
        *("trades", "trade_hit_rate", "profit_factor", "expectancy"),
    }
    # Fees are added up as amounts here, as floats there.
    assert whole.metrics["fees"] == pytest.approx(lean.metrics["fees"], rel=1e-12)
    same = [name for name in lean.metrics if name != "fees"]
    assert [str(lean.metrics[name]) for name in same] == [str(whole.metrics[name]) for name in same]
    assert lean.run_info["counts"]["fills"] == whole.fills.height
    assert "fills" not in repr(lean)
    for name in {*TABLES} - {"portfolio_history", "recorded", "logs"}:
        with pytest.raises(ResultsError, match=f'kept no table {name}: .*record = "nav"'):
            lean.table(name)
    read = Results.load(lean.save(tmp_path / "lean"))
    assert repr(read.metrics) == repr(lean.metrics)
    assert not (tmp_path / "lean" / "fills.parquet").exists()
    with pytest.raises(ResultsError, match="kept no table round_trips"):
        read.trades  # noqa: B018


def test_memory_for_tables_is_a_number_of_bytes() -> None:
    with pytest.raises(ConfigError, match="table_memory: expected a whole number from 0"):
        run(Turns, minutes(3, 1), table_memory=-1)


def test_rows_stay_in_memory_where_no_file_can_be_made(tmp_path: Any, monkeypatch: Any) -> None:  # noqa: ANN401
    feed = minutes(1_000, 5)
    whole = run(Turns, feed)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    results = run(Turns, feed, table_memory=0)
    assert results.run_info["counts"]["spilled_bytes"] == 0
    for name in TABLES:
        assert_frame_equal(whole.table(name), results.table(name))
