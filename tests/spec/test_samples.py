"""The samples of the design documents run as printed, through the real engine, on real prices.

What each should trade is worked out beside the engine, in exact arithmetic, from the prices alone.
"""

from __future__ import annotations

import ast
import datetime as dt
import inspect
from decimal import Decimal
from importlib.resources import files
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, OrderSide, OrderType, Position, Strategy, run

CASH = 100_000
NEW_YORK = "America/New_York"


@pytest.fixture(scope="module")
def prices() -> pl.DataFrame:
    """The shipped daily prices: symbol, session, open, high, low, close, volume, raw."""
    with files("ml4t.backtest.datasets").joinpath("us_equity_daily.parquet").open("rb") as file:
        return pl.read_parquet(file).drop("adj_close")


def of_symbol(prices: pl.DataFrame, symbol: str, *, start: dt.date, end: dt.date) -> pl.DataFrame:
    return prices.filter(pl.col("symbol") == symbol, pl.col("session").is_between(start, end))


def fills_of(results: Any) -> list[tuple[dt.date, str, float, float]]:  # noqa: ANN401
    """Session, side, quantity and price of every fill."""
    session = pl.col("ts_event").dt.convert_time_zone(NEW_YORK).dt.date()
    return results.fills.select(session, "side", "quantity", "price").rows()


def strategy_of(sample: str, **names: Any) -> type[Strategy]:  # noqa: ANN401
    """Run a sample and return the strategy class that it defines."""
    namespace: dict[str, Any] = {"__name__": "spec_sample", **names}
    exec(compile(sample, "design document", "exec"), namespace)
    (found,) = [
        value
        for value in namespace.values()
        if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    ]
    return found


def exact(value: float) -> Decimal:
    return Decimal(str(value))


def crossover_fills(rows: list[dict[str, Any]]) -> list[tuple[dt.date, str, float, float]]:
    """What the printed moving-average sample must trade: decided on a close, filled at the next open."""
    cash, held, wanted = Decimal(CASH), 0, 0
    closes: list[Decimal] = []
    fills = []
    for row in rows:
        opened, closed = exact(row["open"]), exact(row["close"])
        if wanted and wanted * opened <= cash:
            cash -= wanted * opened
            held += wanted
            fills.append((row["session"], "buy" if wanted > 0 else "sell", float(abs(wanted)), row["open"]))
        closes.append(closed)
        # The mean of 50 lies above the mean of 200, without dividing.
        rising = len(closes) >= 200 and 4 * sum(closes[-50:]) > sum(closes[-200:])
        target = (cash + held * closed) // closed if rising else 0
        wanted = int(target) - held
    return fills


@pytest.mark.parametrize("symbol", ["IBM", "MSFT"])
def test_the_moving_average_sample_trades_what_its_text_says(
    engine_samples: dict[str, str], prices: pl.DataFrame, symbol: str
) -> None:
    sample = strategy_of(engine_samples["Simple Indicator-Based Strategy"])
    # The shipped prices have no SPY, so another stock lends it its own.
    frame = of_symbol(prices, symbol, start=dt.date(2003, 3, 1), end=dt.date(2013, 3, 1))
    frame = frame.with_columns(symbol=pl.lit("SPY"))
    results = run(sample, DataFeed(frame, stamp="session"), config={"broker": {"initial_cash": CASH}})
    expected = crossover_fills(frame.rows(named=True))
    assert len(expected) > 10
    assert fills_of(results) == expected


@pytest.fixture
def scored(prices: pl.DataFrame) -> DataFeed:
    """Prices of a fortnight, and scores of three models that arrive five minutes after the close."""
    frame = prices.filter(pl.col("session").is_between(dt.date(2010, 3, 1), dt.date(2010, 3, 12)))

    def score(day: int, asset: str, model_id: str, value: float) -> dict[str, Any]:
        close = dt.datetime(2010, 3, day, 21, tzinfo=dt.UTC)
        arrival = close + dt.timedelta(minutes=5)
        return {
            "ts_event": close,
            "ts_arrival": arrival,
            "asset_id": asset,
            "score": value,
            "model_id": model_id,
        }

    signals = pl.DataFrame(
        [
            score(1, "AAPL", "ml_score", 0.9),
            score(1, "AAPL", "my_xgboost_v2", 0.9),
            score(1, "MSFT", "another_model", 0.9),
            score(2, "AAPL", "my_xgboost_v2", 0.5),
            score(3, "AAPL", "ml_score", 0.1),
            score(4, "AAPL", "my_xgboost_v2", 0.2),
        ]
    )
    return DataFeed(frame, stamp="session", signals=signals)


def session_of(prices: pl.DataFrame, symbol: str, day: int) -> dict[str, Any]:
    date = dt.date(2010, 3, day)
    return of_symbol(prices, symbol, start=date, end=date).row(0, named=True)


def test_the_signal_sample_buys_and_liquidates_on_its_own_model_alone(
    engine_samples: dict[str, str], prices: pl.DataFrame, scored: DataFeed
) -> None:
    sample = strategy_of(engine_samples["ML Signal-Based Strategy"])
    results = run(sample, scored, config={"broker": {"initial_cash": CASH}})
    quantity = float(10_000 // exact(session_of(prices, "AAPL", 1)["close"]))
    bought, sold = session_of(prices, "AAPL", 2), session_of(prices, "AAPL", 5)
    assert fills_of(results) == [
        (bought["session"], "buy", quantity, bought["open"]),
        (sold["session"], "sell", quantity, sold["open"]),
    ]


def test_the_preserved_strategy_interface_buys_while_the_last_score_is_high(
    preserved_interfaces: dict[str, str], prices: pl.DataFrame, scored: DataFeed
) -> None:
    text = preserved_interfaces["Strategy interface"]
    sample = strategy_of(text, Strategy=Strategy, OrderSide=OrderSide)
    results = run(sample, scored, config={"broker": {"initial_cash": CASH}})
    # Called when the score arrives on the 1st, at the close of the 2nd, when another model's score arrives
    # that evening, at the close of the 3rd, and no more once the score of the 3rd has arrived.
    sessions = [session_of(prices, "AAPL", day) for day in (2, 3, 3, 4)]
    assert fills_of(results) == [(each["session"], "buy", 100.0, each["open"]) for each in sessions]


def test_a_registered_callback_trades_what_the_strategy_trades(
    preserved_interfaces: dict[str, str], roadmap_samples: list[str], scored: DataFeed
) -> None:
    text = preserved_interfaces["Strategy interface"]
    sample = strategy_of(text, Strategy=Strategy, OrderSide=OrderSide)
    config = {"broker": {"initial_cash": CASH}}
    namespace = {"feed": scored, "config": config, "strategy": sample()}
    exec(compile(roadmap_samples[0], "design document", "exec"), namespace)
    assert fills_of(namespace["results"]) == fills_of(run(sample, scored, config=config))
    assert len(fills_of(namespace["results"])) == 4


class Probe(Strategy):
    """Hands its broker to a function, once, at the second close: an order of the first has filled."""

    def __init__(self, look: Any) -> None:  # noqa: ANN401
        self.look = look
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.calls += 1
        if self.calls == 1:
            broker.submit_order("AAPL", 10, OrderSide.BUY)
        if self.calls == 2:
            self.look(broker)


def probe(feed: DataFeed, look: Any) -> None:  # noqa: ANN401
    run(Probe, feed, params={"look": look}, config={"broker": {"initial_cash": CASH}})


@pytest.fixture
def plain(prices: pl.DataFrame) -> DataFeed:
    frame = of_symbol(prices, "AAPL", start=dt.date(2010, 3, 1), end=dt.date(2010, 3, 12))
    return DataFeed(frame, stamp="session")


def test_the_preserved_broker_methods_take_the_printed_arguments_in_that_order(
    preserved_interfaces: dict[str, str], plain: DataFeed
) -> None:
    seen = []

    def look(broker: Any) -> None:  # noqa: ANN401
        for line in preserved_interfaces["Broker API"].splitlines():
            printed, _, result = line.partition(" -> ")
            (call,) = [node for node in ast.walk(ast.parse(printed)) if isinstance(node, ast.Call)]
            assert isinstance(call.func, ast.Attribute)
            method = getattr(broker, call.func.attr)
            names = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
            parameters = list(inspect.signature(method).parameters)
            assert parameters[: len(names)] == names or call.func.attr == "cancel_order", (line, parameters)
            seen.append((call.func.attr, result))

    probe(plain, look)
    assert seen == [
        ("submit_order", ""),
        ("get_position", "Position"),
        ("get_cash", "float"),
        ("cancel_order", "bool"),
    ]


def test_the_preserved_broker_methods_return_the_printed_types(
    preserved_interfaces: dict[str, str], plain: DataFeed
) -> None:
    values: dict[str, Any] = {}

    def look(broker: Any) -> None:  # noqa: ANN401
        names: dict[str, Any] = {
            "broker": broker,
            "asset": "AAPL",
            "quantity": 5,
            "side": OrderSide.BUY,
            "order_type": OrderType.STOP_LIMIT,
            "limit_price": 300,
            "stop_price": 290,
        }
        for line in preserved_interfaces["Broker API"].splitlines():
            printed, _, _ = line.partition(" -> ")
            value = eval(compile(printed, "design document", "eval"), names)
            names.setdefault("order_id", value)
            values[printed.partition("(")[0]] = value

    probe(plain, look)
    position = values["broker.get_position"]
    assert isinstance(position, Position)
    assert position.quantity == 10
    assert isinstance(values["broker.get_cash"], float)
    assert values["broker.cancel_order"] is True


def test_the_position_tracking_sample_reads_position_and_account(
    roadmap_samples: list[str], prices: pl.DataFrame, plain: DataFeed
) -> None:
    values = []

    def look(broker: Any) -> None:  # noqa: ANN401
        for statement in ast.parse(roadmap_samples[1]).body:
            assert isinstance(statement, ast.Expr)
            expression = compile(ast.Expression(statement.value), "design document", "eval")
            values.append(eval(expression, {"broker": broker}))

    probe(plain, look)
    position, worth = values
    opened, closed = session_of(prices, "AAPL", 2)["open"], session_of(prices, "AAPL", 2)["close"]
    assert position.quantity == 10
    assert worth == pytest.approx(CASH + 10 * (closed - opened), abs=1e-9)


def test_the_migration_sample_finds_the_engine(roadmap_samples: list[str]) -> None:
    first = roadmap_samples[2].splitlines()[1]
    namespace: dict[str, Any] = {}
    exec(compile(first, "design document", "exec"), namespace)
    assert inspect.isclass(namespace["Engine"])


def test_the_migration_sample_finds_the_fallback(roadmap_samples: list[str]) -> None:
    exec(compile(roadmap_samples[2], "design document", "exec"), {})


def test_the_risk_rules_sample_runs(preserved_interfaces: dict[str, str], plain: DataFeed) -> None:
    from ml4t.backtest import CompositeRule, StopLoss, TakeProfit, TrailingStop

    rules = {each.__name__: each for each in (CompositeRule, StopLoss, TakeProfit, TrailingStop)}
    sample = preserved_interfaces["Risk rules"]
    probe(plain, lambda broker: exec(sample, {"broker": broker, **rules}))
