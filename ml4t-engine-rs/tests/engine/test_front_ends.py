"""Tables that trade: natively and in Python the same orders, on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import (
    DataFeed,
    EntryExit,
    Instrument,
    OrderList,
    Signals,
    Strategy,
    TargetWeights,
    run,
    schedule,
)
from ml4t.core.errors import ConfigError, DataError, Ml4tError

Made = Any
SYMBOLS = ["AA", "BB", "CC", "DD"]
START = dt.date(2024, 1, 1)
SEED = 20_261_127
LIVES = ["gtc", "day", "ioc", "opg", "cls"]
TABLES = ["orders", "order_events", "fills", "ledger", "round_trips", "portfolio_history", "positions"]


def market(sessions: int = 90, seed: int = SEED) -> DataFeed:
    """Bars of four instruments; one begins later."""
    dice = np.random.default_rng(seed)
    frames = []
    for k, symbol in enumerate(SYMBOLS):
        close = np.round(50.0 * (k + 1) * np.exp(np.cumsum(dice.normal(0.0, 0.02, sessions))), 2)
        opens = np.round(close * np.exp(dice.normal(0.0, 0.005, sessions)), 2)
        frames.append(
            pl.DataFrame(
                {
                    "session": [START + dt.timedelta(days=n) for n in range(sessions)],
                    "symbol": symbol,
                    "open": opens,
                    "high": np.maximum(opens, close) + 0.5,
                    "low": np.minimum(opens, close) - 0.5,
                    "close": close,
                    "volume": 1e6,
                }
            )[k * 7 :]
        )
    return DataFeed(pl.concat(frames), stamp="session", calendar="24/7")


def wide(sessions: int = 90, seed: int = SEED) -> pl.DataFrame:
    """Weights, entries, exits and more, at the close of some sessions of some instruments."""
    print(f"seed {seed}")
    dice = np.random.default_rng(seed + 1)
    rows = [
        {
            "session": START + dt.timedelta(days=n),
            "symbol": symbol,
            "weight": float(np.round(dice.uniform(-0.2, 0.4), 3)),
            "entry": float(dice.choice([0.0, 0.0, 1.0, -1.0, 0.3])),
            "exit": float(dice.choice([0.0, 0.0, 0.0, 1.0])),
        }
        for n in range(sessions)
        for symbol in SYMBOLS
        if dice.random() < 0.6
    ]
    return pl.DataFrame(rows)


def orders(sessions: int = 90, seed: int = SEED) -> pl.DataFrame:
    """Orders of all types, several at one instant."""
    print(f"seed {seed}")
    dice = np.random.default_rng(seed + 2)
    rows = []
    for n in range(sessions):
        for _ in range(int(dice.integers(0, 4))):
            kind = str(dice.choice(["market", "limit", "stop", "stop_limit"]))
            k = int(dice.integers(0, len(SYMBOLS)))
            level = 50.0 * (k + 1)
            rows.append(
                {
                    "session": START + dt.timedelta(days=n),
                    "symbol": SYMBOLS[k],
                    "quantity": int(dice.integers(1, 50)) * int(dice.choice([1, -1])),
                    "order_type": kind,
                    "limit_price": round(level * dice.uniform(0.9, 1.1), 2) if "limit" in kind else None,
                    "stop_price": round(level * dice.uniform(0.9, 1.1), 2) if "stop" in kind else None,
                    # A stop cannot be for one event alone.
                    "time_in_force": str(dice.choice(["gtc", "day"] if "stop" in kind else LIVES)),
                }
            )
    return pl.DataFrame(rows)


FRONT_ENDS: dict[str, Callable[[], Made]] = {
    "weights": lambda: TargetWeights(wide().select("session", "symbol", "weight")),
    "weights, others kept": lambda: TargetWeights(
        wide().select("session", "symbol", "weight"), keep_others=True
    ),
    "entries by quantity": lambda: EntryExit(wide(), quantity=20),
    "entries by weight": lambda: EntryExit(wide(), weight="0.15"),
    "entries with rules": lambda: EntryExit(wide(), quantity=20, stop_loss=0.03, take_profit=0.05),
    "entries and a trailing stop": lambda: EntryExit(wide(), quantity=5, exit=None, trailing_stop=0.04),
    "orders": lambda: OrderList(orders()),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "shorts": {"broker": {"allows_short": True, "leverage": 2.0}},
    "same close": {"broker": {"allows_short": True, "policies": {"fill_timing": "same_close"}}},
    "under way ignored": {"broker": {"policies": {"target_orders": "ignored"}}},
    "poor": {"broker": {"initial_cash": 3_000}},
}


def result(strategy: Made, config: dict[str, Any], native: str, engine: str = "rust") -> Made:
    """Run it."""
    backtest = {"native": native, "engine": engine}
    return run(strategy, market(), config=config | {"backtest": backtest})


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("front", FRONT_ENDS)
def test_a_table_sends_the_same_orders_natively_and_in_python(front: str, config: str) -> None:
    native = result(FRONT_ENDS[front](), CONFIGS[config], "require")
    python = result(FRONT_ENDS[front](), CONFIGS[config], "never")
    assert (native.execution_paths["strategy"], python.execution_paths["strategy"]) == ("builtin", "python")
    assert native.orders.height > 20
    for name in TABLES:
        assert native.table(name).equals(python.table(name)), name


@pytest.mark.parametrize("front", FRONT_ENDS)
def test_the_reference_engine_agrees(front: str) -> None:
    native = result(FRONT_ENDS[front](), CONFIGS["shorts"], "prefer")
    reference = result(FRONT_ENDS[front](), CONFIGS["shorts"], "prefer", "reference")
    assert reference.execution_paths["strategy"] == "python"
    for name in ("orders", "fills", "ledger", "portfolio_history"):
        assert native.table(name).equals(reference.table(name)), name


def test_a_run_of_the_same_engine_object_is_the_same_twice() -> None:
    for make in FRONT_ENDS.values():
        first, second = (result(make(), {}, "require") for _ in range(2))
        assert first.ledger.equals(second.ledger)


class ByHand(Strategy):
    """What weights are, written by a user."""

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        """Follow the weights of the day."""
        weights = {s: data[s]["signals"]["weight"] for s in data.symbols}
        broker.order_target_weights({s: w for s, w in weights.items() if w == w})


def test_weights_of_every_day_are_what_a_user_would_write() -> None:
    rows = [
        {"session": START + dt.timedelta(days=n), "symbol": s, "weight": 0.2 + 0.05 * ((n + k) % 3)}
        for n in range(90)
        for k, s in enumerate(SYMBOLS)
    ]
    frame = pl.DataFrame(rows)
    by_hand = run(ByHand, market(), signals=Signals(frame, stamp="session"))
    table = run(TargetWeights(frame), market())
    assert table.fills.height > 200
    assert table.orders.equals(by_hand.orders)
    assert table.portfolio_history.equals(by_hand.portfolio_history)


def test_a_row_acts_when_it_arrives() -> None:
    close = dt.datetime(2024, 1, 10, 0, 0, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {
            "ts_event": [close] * 2,
            "ts_arrival": [close + dt.timedelta(hours=h) for h in (30, 2)],
            "symbol": ["AA", "BB"],
            "quantity": [10, 20],
        }
    )
    found = run(OrderList(frame), market()).orders
    assert found["symbol"].to_list() == ["BB", "AA"]
    assert found["ts_submitted"].to_list() == sorted(frame["ts_arrival"].to_list())


def test_signals_of_the_run_serve_as_well(tmp_path: Path) -> None:
    frame = wide().select("session", "symbol", "weight")
    signals = Signals(frame.rename({"weight": "size"}), stamp="session")
    brought = run(TargetWeights(frame), market())
    given = run(TargetWeights(signal="size"), market(), signals=signals)
    by_class = run(TargetWeights, market(), signals=signals, params={"signal": "size"})
    assert given.orders.equals(brought.orders) and by_class.orders.equals(brought.orders)
    assert by_class.manifest["strategy"]["params"]["signal"] == "size"


class Halved(TargetWeights):
    """Changes what is done, so that only Python can do it."""

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        """Take half of what arrived."""
        self._arrived = {symbol: weight / 2 for symbol, weight in self._arrived.items()}
        super().on_data(timestamp, data, context, broker)


def test_a_class_that_changes_what_is_done_runs_in_python() -> None:
    weights = wide().select("session", "symbol", "weight")
    halved = run(Halved(weights), market())
    assert halved.execution_paths["strategy"] == "python"
    assert halved.orders.equals(result(Halved(weights), {}, "never").orders)
    assert not halved.orders.equals(run(TargetWeights(weights), market()).orders)
    with pytest.raises(ConfigError, match=r"Halved has on_data of its own.*allows native models only"):
        result(Halved(weights), {}, "require")


class Scheduled(EntryExit):
    """Buys one more at the end of each week, and wants bars in windows."""

    def on_start(self) -> None:
        super().on_start()
        self.schedule(self.add, rule=schedule.week_end())
        self.subscribe(event_type="bar", window="3d")

    def add(self) -> None:
        self.broker.buy("AA", 1)

    def on_batch(self, batch: Made) -> None:
        assert len(batch) > 0


def test_what_a_derived_class_asks_for_in_on_start_happens() -> None:
    frame = wide().select("session", "symbol", "entry", "exit")
    plain, both = run(EntryExit(frame, quantity=5), market()), run(Scheduled(frame, quantity=5), market())
    assert both.execution_paths["strategy"] == "python"
    assert both.orders.filter(quantity=1).height >= 12
    # The signals of the table are told, whatever else is wanted.
    assert both.orders.filter(quantity=5).height > plain.orders.height / 2 > 40
    assert both.orders.equals(result(Scheduled(frame, quantity=5), {}, "prefer", "reference").orders)


def test_a_table_serves_any_number_of_runs() -> None:
    table = TargetWeights(wide().select("session", "symbol", "weight"))
    first, second, python = run(table, market()), run(table, market()), result(table, {}, "never")
    assert first.orders.equals(second.orders) and first.orders.equals(python.orders)


def test_frames_of_all_kinds_and_booleans_are_read() -> None:
    frame = wide().with_columns(entry=pl.col("entry") > 0.0, exit=pl.col("exit") > 0.0)
    expected = run(EntryExit(frame.with_columns(pl.col(pl.Boolean).cast(pl.Float64)), quantity=5), market())
    assert expected.orders.height > 20
    for given in (frame, frame.lazy(), frame.to_arrow(), frame.to_pandas()):
        assert run(EntryExit(given, quantity=5), market()).orders.equals(expected.orders)


def test_a_column_without_a_value_is_known_and_says_nothing() -> None:
    frame = pl.DataFrame(
        {"session": [START], "symbol": ["AA"], "entry": pl.Series([None], dtype=pl.Float64), "exit": [1.0]}
    )
    assert run(EntryExit(frame, quantity=1), market(3)).orders.is_empty()


def test_signals_after_the_last_row_are_told_of() -> None:
    sessions = [START, START + dt.timedelta(days=300)]
    frame = pl.DataFrame({"session": sessions, "symbol": "AA", "weight": [0.5, 0.1]})
    results = run(TargetWeights(frame), market(5))
    assert results.fills.height == 1
    (note,) = (note for note in results.warnings if "nobody is told" in note)
    assert note.endswith("market data, at 2024-01-06T00:00:00Z; more than a day after it come 1")


def test_instants_win_over_a_column_of_sessions() -> None:
    instant = dt.datetime(2024, 1, 20, 12, 0, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {"session": ["2024-01-05"], "ts_event": [instant], "symbol": ["AA"], "weight": [0.5]}
    )
    assert run(TargetWeights(frame), market()).orders["ts_submitted"].to_list() == [instant]


REFUSED: dict[str, tuple[Callable[[], Made], str]] = {
    "no signal": (
        lambda: run(TargetWeights(), market()),
        "TargetWeights has no rows to trade: give it a frame, or .*'weight'",
    ),
    "another name": (
        lambda: run(TargetWeights(wide(), signal="wieght"), market()),
        r"'wieght'.*did you mean 'weight'",
    ),
    "a factory": (
        lambda: run(lambda: TargetWeights(wide()), market()),
        "a factory cannot bring the rows of TargetWeights; pass the TargetWeights itself",
    ),
    "not true and not false": (
        lambda: TargetWeights(wide(), keep_others=1),
        "keep_others = 1; expected a bool",
    ),  # type: ignore[arg-type]
    "a list of names": (lambda: TargetWeights(wide(), signal=["a"]), r"signal = \['a'\]; expected a str"),  # type: ignore[arg-type]
    "no size": (lambda: EntryExit(wide()), "give quantity or weight, one of them"),
    "two sizes": (lambda: EntryExit(wide(), quantity=1, weight=0.1), "give quantity or weight, one of them"),
    "nothing": (lambda: EntryExit(wide(), quantity=0), r"quantity = 0; expected a number above 0"),
    "a word": (lambda: EntryExit(wide(), weight="much"), r"weight = 'much'; expected a number above 0"),
    "percent": (lambda: EntryExit(wide(), quantity=1, stop_loss=5), "pct is a fraction"),
    "part of a lot": (
        lambda: run(
            EntryExit(wide(), quantity=0.5),
            market(),
            instruments=[Instrument("AA", lot_size=1, calendar="24/7")],
        ),
        r"quantity = 0\.5 is not a multiple of lot_size 1 of AA",
    ),
    "no quantity": (lambda: OrderList(wide().select("session", "symbol")), "no column quantity"),
    "an unknown column": (
        lambda: OrderList(orders().with_columns(price=pl.lit(3.0))),
        "unknown columns price",
    ),
    "no number": (
        lambda: OrderList(orders().with_columns(quantity=pl.lit(float("nan")))),
        r"row 0, .*quantity = nan; expected a finite number, not zero",
    ),
    "a type that needs more": (
        lambda: OrderList(orders().with_columns(order_type=pl.lit("trailing_stop"))),
        r"order_type = 'trailing_stop'; expected one of market, limit",
    ),
    "a lifetime that needs more": (
        lambda: OrderList(orders().with_columns(time_in_force=pl.lit("gtd"))),
        r"time_in_force = 'gtd'; expected one of day",
    ),
    "text": (
        lambda: OrderList(orders().with_columns(quantity=pl.lit("ten"))),
        "a column has another type than its name says",
    ),
    "a stop for one event": (
        lambda: run(OrderList(orders().with_columns(time_in_force=pl.lit("ioc"))), market()),
        r"row \d+ of the order list, \w\w, 2024-.*ioc takes market and limit orders, found a stop order",
    ),
    "a limit without a price": (
        lambda: run(
            OrderList(orders().with_columns(order_type=pl.lit("limit"), limit_price=pl.lit(None))), market()
        ),
        "limit",
    ),
    "an unknown symbol": (
        lambda: run(OrderList(orders().with_columns(symbol=pl.lit("ZZ"))), market()),
        "ZZ",
    ),
    "an order before the market": (
        lambda: run(
            OrderList(
                pl.concat(
                    [
                        orders().select("session", "symbol", "quantity"),
                        orders()
                        .select("session", "symbol", "quantity")
                        .head(1)
                        .with_columns(session=pl.lit(dt.date(2004, 1, 5))),
                    ]
                )
            ),
            market(),
        ),
        r"orders: 1 of them come before the market data, .* 2024.*; the first is row \d+, \w\w at 2004-01-0",
    ),
    "not natively on the reference": (
        lambda: result(FRONT_ENDS["weights"](), {}, "require", "reference"),
        "allows native models only",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_it(case: str) -> None:
    call, expected = REFUSED[case]
    with pytest.raises((ConfigError, DataError, Ml4tError), match=expected):
        call()
