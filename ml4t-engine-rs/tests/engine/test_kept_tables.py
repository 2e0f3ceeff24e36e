"""What a run keeps, how much room it takes, and where it goes when there is too much of it."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import CompositeRule, DataFeed, Engine, StopLoss, Strategy, TakeProfit
from ml4t.core.errors import ConfigError, ResultsError
from ml4t.core.schemas import TABLES
from ml4t.engine.results import Results
from ml4t.engine.tables import kept_names

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
                {
                    "order_type": "stop_limit",
                    "stop_price": round(close, 2),
                    "limit_price": round(close * 1.01, 2),
                },
                limit(close * dice.choice([0.9, 1]), time_in_force=dice.choice(["day", "ioc", "fok"])),
                limit(close * 0.99, post_only=True),
                {"order_type": "limit", "limit_price": 99.123},
            ]
            self.handles.append(broker.submit_order(symbol, size, **dice.choice(kinds)))
        recent = self.handles[-20:]
        if dice.random() < 0.5:
            broker.cancel_order(dice.choice(recent))
        resting = [each for each in recent if each.is_open and each.order_type.value == "limit"]
        if resting and dice.random() < 0.5:
            order = dice.choice(resting)
            broker.modify_order(order, limit_price=round(data[order.asset]["close"] * 0.998, 2))
        if dice.random() < 0.2:
            entry = broker.submit_order("AAA", 2, **limit(data["AAA"]["close"] * dice.choice([0.9, 1.0])))
            low, high = (round(data["AAA"]["close"] * part, 2) for part in (0.995, 1.004))
            self.handles += [entry, *broker.bracket(entry, stop_price=low, limit_price=high)]
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
    feed = minutes(4_000, seed)
    here = run(lambda: Anything(seed), feed)
    away = run(lambda: Anything(seed), feed, table_memory=0)
    assert here.run_info["counts"]["spilled_bytes"] == 0
    assert away.run_info["counts"]["spilled_bytes"] > 500_000
    assert here.fills.height > 3_000
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
        assert handle.leaves_quantity == 0


class TwoPrices(Turns):
    """The same with stop-limits that fill at the open."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for symbol in data:
            close = data[symbol]["close"]
            prices = {
                "stop_price": round(close * (1 - 0.01 * self.side), 2),
                "limit_price": round(close * (1 + 0.02 * self.side), 2),
            }
            broker.submit_order(symbol, 5 * self.side, order_type="stop_limit", **prices)
        self.side = -self.side


class Reverses(Turns):
    """Turns the position at each bar."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for symbol in data:
            broker.submit_order(symbol, 10 * self.side if broker.positions else 5 * self.side)
        self.side = -self.side


class Trails(Turns):
    """The same with trailing stops."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for symbol in data:
            broker.submit_order(symbol, 5 * self.side, order_type="trailing_stop", trail_amount=0.01)
        self.side = -self.side


@pytest.mark.parametrize("strategy", [Turns, TwoPrices, Reverses, Trails])
def test_an_order_that_fills_takes_at_most_300_bytes(strategy: type[Strategy]) -> None:
    results = run(strategy, minutes(3_000, 1), record="session")
    counts = results.run_info["counts"]
    print(f"{counts['table_bytes'] / counts['fills']:.1f} bytes a fill, of {counts['fills']}")
    assert counts["fills"] > 8_900
    assert results.fills["fee"].min() > 0
    # What has a limit does not slip.
    assert results.fills["slippage"].min() > 0 or strategy is TwoPrices
    # Order, transitions, fill with its costs, postings, round trip; and the values of sessions.
    assert counts["table_bytes"] / counts["fills"] <= 300
    assert run(Turns, minutes(300, 1), record="nav").run_info["counts"]["table_bytes"] < 100 * 900


class Holds(Strategy):
    """Buys once."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not broker.positions:
            broker.buy("AAA", 5)


def test_a_posting_that_no_fill_explains_takes_50_bytes() -> None:
    def bytes_with(payments: int) -> tuple[int, int]:
        stamps = [START + dt.timedelta(minutes=10 + k) for k in range(payments)]
        rates = pl.DataFrame({"symbol": "AAA", "ts_event": stamps, "funding_rate": 0.0001})
        broker = {"initial_cash": 1_000_000, "funding_model": {"type": "PerpetualFunding"}}
        config = {"backtest": {"record": "session"}, "broker": broker}
        results = Engine(minutes(3_000, 1), Holds, config=config, funding=rates).run()
        return results.run_info["counts"]["table_bytes"], results.ledger.height

    (few, first), (many, second) = bytes_with(500), bytes_with(2_500)
    assert second - first == 2_000
    # A line of 18, and 32 of what a fill would have said: time, account, instrument and currency.
    assert (many - few) / (second - first) == 50


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
    for name in {*TABLES} - {*kept_names("nav")}:
        with pytest.raises(ResultsError, match=f'kept no table {name}: .*record = "nav"'):
            lean.table(name)
    read = Results.load(lean.save(tmp_path / "lean"))
    assert repr(read.metrics) == repr(lean.metrics)
    assert not (tmp_path / "lean" / "fills.parquet").exists()
    with pytest.raises(ResultsError, match="kept no table round_trips"):
        read.trades  # noqa: B018


def test_tables_keep_to_their_memory() -> None:
    results = run(Turns, minutes(20_000, 2), table_memory=8_000_000, record="session")
    counts = results.run_info["counts"]
    assert counts["fills"] > 59_000
    # The list of places of orders, four bytes each, always stays.
    assert counts["table_bytes"] < 8_000_000 + 4 * counts["orders"]
    assert counts["spilled_bytes"] > 6_000_000
    assert_frame_equal(results.fills, run(Turns, minutes(20_000, 2), record="session").fills)


class TooLate(Strategy):
    """Changes an order that fills before the change arrives."""

    def __init__(self, **order: Any) -> None:  # noqa: ANN401
        self.kind, self.bars = order, 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.bars += 1
        if self.bars == 1:
            self.order = broker.submit_order("AAA", 5, **self.kind)
        if self.bars == 3:
            broker.modify_order(self.order, quantity=4)


@pytest.mark.parametrize("engine", ["rust", "reference"])
@pytest.mark.parametrize(
    "order",
    [
        {"order_type": "limit", "limit_price": 99.0},
        {"order_type": "limit", "limit_price": 99.0, "display_quantity": 1},
    ],
    ids=["plain", "shown in part"],
)
def test_a_change_may_arrive_long_after_its_order_has_ended(engine: str, order: dict[str, Any]) -> None:
    rows = [
        (START + dt.timedelta(minutes=k), START + dt.timedelta(minutes=k + 1), "AAA", *prices, 1e6)
        for k, prices in enumerate([(100.0, 100.5, 99.5, 100.0)] * 4 + [(100.0, 100.5, 98.0, 99.0)] * 6)
    ]
    columns = ["ts_open", "ts_event", "symbol", "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    feed = DataFeed(frame, name="1m", interval="1m", calendar="24/7", stamp="event")
    config = {
        "backtest": {"engine": engine},
        "broker": {"latency": {"submit": "1s", "modify": "200s"}},
    }
    if engine == "reference":
        order = {name: value for name, value in order.items() if name != "display_quantity"}
    results = Engine(feed, lambda: TooLate(**order), config=config).run()
    assert results.orders["status"].to_list() == ["filled"]
    last = results.order_events.row(-1, named=True)
    assert (last["status"], last["reason_code"]) == ("filled", "REPLACE_REJECTED")
    assert "the order is filled" in last["reason"]


class CancelsItsStop(Strategy):
    """Takes the stop of a rule back and holds on."""

    def on_start(self) -> None:
        self.broker.set_position_rules(CompositeRule([StopLoss(pct=0.5), TakeProfit(pct=0.9)]))

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not broker.positions and not broker.open_orders:
            broker.submit_order("AAA", 1)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        for order in self.broker.open_orders:
            if order.tag == "stop_loss":
                order.cancel()


def test_an_order_of_a_rule_that_was_taken_back_costs_nothing_any_more() -> None:
    sizes = [
        run(CancelsItsStop, minutes(count, 4), record="session").run_info["counts"]["table_bytes"]
        for count in (100, 1_400)
    ]
    assert sizes[0] == sizes[1]


def test_memory_for_tables_is_a_number_of_bytes() -> None:
    with pytest.raises(ConfigError, match="table_memory: expected a whole number from 0"):
        run(Turns, minutes(3, 1), table_memory=-1)


def test_rows_stay_in_memory_where_no_file_can_be_made(tmp_path: Any, monkeypatch: Any) -> None:  # noqa: ANN401
    feed = minutes(16_000, 5)
    whole = run(Turns, feed)
    assert not [note for note in whole.warnings if "table_memory" in note]
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    results = run(Turns, feed, table_memory=0)
    assert results.run_info["counts"]["spilled_bytes"] == 0
    assert [
        note for note in results.warnings if "exceed table_memory, and what could not be put away" in note
    ]
    for name in TABLES:
        assert_frame_equal(whole.table(name), results.table(name))
