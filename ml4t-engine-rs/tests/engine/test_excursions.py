"""What closed a round trip, and how far the market went against it and for it, by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    OrderType,
    PITData,
    StopLoss,
    Strategy,
    TakeProfit,
    Timestamp,
    run,
)
from ml4t.engine.results import Results

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
ENGINES = pytest.mark.parametrize("engine", ["rust", "reference"])


def bars(*rows: tuple[float, float, float, float], symbol: str = "A") -> pl.DataFrame:
    names = ("open", "high", "low", "close")
    return pl.DataFrame(
        [
            {"symbol": symbol, "session": day, **dict(zip(names, row, strict=True)), "volume": 1e6}
            for day, row in zip(DAYS, rows, strict=False)
        ]
    )


class Scripted(Strategy):
    """Sends what a table says, by number of the call."""

    def __init__(self, orders: dict[int, dict[str, Any]], rule: Any = None) -> None:  # noqa: ANN401
        self.orders, self.rule, self.calls = orders, rule, 0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if self.calls == 0 and self.rule is not None:
            broker.set_position_rules(self.rule)
        if order := dict(self.orders.get(self.calls, {})):
            quantity = order.pop("quantity")
            (broker.buy if quantity > 0 else broker.sell)("A", abs(quantity), **order)
        self.calls += 1


def trips(
    frame: pl.DataFrame,
    orders: dict[int, dict[str, Any]],
    engine: str,
    *,
    rule: Any = None,  # noqa: ANN401
    actions: pl.DataFrame | None = None,
    **broker: Any,  # noqa: ANN401
) -> list[tuple[str, float, float, float]]:
    results: Results = run(
        Scripted,
        DataFeed(frame, stamp="session", actions=actions),
        params={"orders": orders, "rule": rule},
        config={"backtest": {"engine": engine}, "broker": {"allows_short": True, "leverage": 2} | broker},
    )
    return results.round_trips.select("exit_reason", "mae", "mfe", "gross_pnl").rows()


@ENGINES
def test_bars_that_were_held_from_their_open_to_their_end_count_with_their_range(engine: str) -> None:
    frame = bars((9, 20, 1, 9), (10, 13, 8, 11), (11, 12, 7, 9), (10, 30, 2, 10))
    # Bought at Tuesday's open of 10, sold at Thursday's of 10: the ranges of Tuesday and Wednesday.
    orders = {0: {"quantity": 100}, 2: {"quantity": -100}}
    assert trips(frame, orders, engine) == [("market", -300.0, 300.0, 0.0)]


@ENGINES
def test_the_bar_in_which_an_order_closes_counts_with_the_price_of_the_order(engine: str) -> None:
    frame = bars((9, 20, 1, 9), (10, 13, 9, 11), (11, 15, 5, 6))
    orders = {0: {"quantity": 100}}
    # A stop at 8, in a bar that goes on to 5 and whose high of 15 may have been later.
    assert trips(frame, orders, engine, rule=StopLoss(pct=0.2)) == [("stop_loss", -200.0, 300.0, -200.0)]
    assert trips(frame, orders, engine, rule=TakeProfit(pct=0.4)) == [("take_profit", -100.0, 400.0, 400.0)]
    stop = {0: {"quantity": 100}, 1: {"quantity": -100, "order_type": OrderType.STOP, "stop_price": 8}}
    assert trips(frame, stop, engine) == [("stop", -200.0, 300.0, -200.0)]


@ENGINES
def test_a_short_position_gains_as_the_price_falls(engine: str) -> None:
    frame = bars((9, 20, 1, 9), (10, 13, 8, 11), (11, 12, 10, 12))
    orders = {0: {"quantity": -10}, 1: {"quantity": 10}}
    assert trips(frame, orders, engine) == [("market", -30.0, 20.0, -10.0)]
    closing = {"policies": {"fill_timing": "next_close"}}
    # Entered at Tuesday's close of 11, left at Wednesday's of 12: all of Wednesday.
    assert trips(frame, orders, engine, **closing) == [("market", -10.0, 10.0, -10.0)]


@ENGINES
def test_prices_before_a_split_count_in_the_shares_that_were_closed(engine: str) -> None:
    frame = bars((9, 20, 1, 9), (10, 14, 8, 11), (5.5, 6, 5, 5), (5, 9, 1, 5))
    split = pl.DataFrame({"symbol": ["A"], "ex_date": [DAYS[2]], "kind": ["split"], "ratio": ["2"]})
    orders = {0: {"quantity": 100}, 2: {"quantity": -200}}
    assert trips(frame, orders, engine, actions=split) == [("market", -200.0, 400.0, 0.0)]


@ENGINES
def test_prices_before_a_spin_off_count_as_the_cost_does(engine: str) -> None:
    # Bought at 20 and never below; half of 30 goes: the cost becomes 10, and prices before are halved, too.
    own = bars((19, 19, 19, 19), (20, 20, 20, 20), (30, 30, 30, 30), (15, 15, 15, 15), (15, 15, 15, 15))
    frame = pl.concat([own, bars((60, 60, 60, 60), symbol="B")])
    given = pl.DataFrame(
        {
            "symbol": ["A"],
            "ex_date": [DAYS[3]],
            "kind": ["spin_off"],
            "ratio": ["1/4"],
            "amount": ["15"],
            "into": ["B"],
        }
    )
    orders = {0: {"quantity": 100}, 3: {"quantity": -100}}
    assert trips(frame, orders, engine, actions=given) == [("market", 0.0, 500.0, 500.0)]


@ENGINES
def test_the_end_of_an_instrument_is_a_reason(engine: str) -> None:
    frame = pl.concat([bars((9, 20, 1, 9), (10, 14, 8, 11)), bars(*[(1, 1, 1, 1)] * 4, symbol="CLK")])
    end = pl.DataFrame({"symbol": ["A"], "ex_date": [DAYS[2]], "kind": ["delisting"], "amount": ["3"]})
    assert trips(frame, {0: {"quantity": 10}}, engine, actions=end) == [("delisting", -70.0, 40.0, -70.0)]


@ENGINES
def test_shares_that_close_a_short_position_are_delivered(engine: str) -> None:
    b = bars(*[(1, 1, 1, 1)] * 4, symbol="B")
    frame = pl.concat([bars((9, 20, 1, 9), (10, 14, 8, 11), (12, 13, 11, 12)), b])
    merger = pl.DataFrame(
        {"symbol": ["B"], "ex_date": [DAYS[2]], "kind": ["stock_merger"], "ratio": ["1"], "into": ["A"]}
    )
    frame = frame.filter((pl.col("symbol") == "A") | (pl.col("session") < DAYS[2]))

    class Both(Scripted):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if self.calls == 0:
                broker.buy("B", 10)
            super().on_data(timestamp, data, context, broker)

    results = run(
        Both,
        DataFeed(frame, stamp="session", actions=merger),
        params={"orders": {0: {"quantity": -10}}},
        config={"backtest": {"engine": engine}, "broker": {"allows_short": True, "leverage": 2}},
    )
    # Sold at 10, delivered at the cost of what came for B, 1 each; the market had been at 8 and 14.
    found = results.round_trips.select("symbol", "direction", "exit_reason", "mae", "mfe", "gross_pnl").rows()
    assert found == [("A", "short", "delivery", -40.0, 90.0, 90.0)]
