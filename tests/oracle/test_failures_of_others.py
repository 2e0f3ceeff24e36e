"""Failures that other engines had in production, one test each, on both engines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Engine, Instrument, Strategy, schedule

from .play import ENGINES, Action, days, feed_of, play

BARS = days((100, 100, 100, 100), (100, 104, 97, 101), (102, 106, 99, 105), (105, 105, 105, 105))


def statuses(results: Any) -> list[str]:  # noqa: ANN401 - results of a run
    found: list[str] = results.orders["status"].to_list()
    return found


@ENGINES
def test_what_is_left_of_an_order_at_once_does_not_stay_open(engine: str) -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 500_000, time_in_force="ioc"),
            now.broker.buy("A", 500_000, time_in_force="fok"),
        )
    }
    capped = {"fill_model": {"type": "Default", "volume_limit": 0.1}, "initial_cash": 10**9}
    results = play(engine, feed_of(BARS), steps, **capped)
    assert results.orders.select("status", "filled_quantity").rows() == [
        ("canceled", 100_000.0),
        ("canceled", 0.0),
    ]


@ENGINES
def test_the_stop_of_a_bracket_is_not_rejected_while_nothing_is_held(engine: str) -> None:
    def bracket(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10, limit_price=98)
        now.broker.bracket(entry, stop_price=95, limit_price=104)

    results = play(engine, feed_of(BARS), {0: bracket})
    # In at 98.00 inside the second day; its high of 104.00 may lie before that, the third day's does not.
    assert results.fills["price"].to_list() == [98.0, 104.0]
    assert statuses(results) == ["filled", "canceled", "filled"]


@ENGINES
def test_a_child_that_fills_at_the_price_of_its_parent_is_not_lost(engine: str) -> None:
    def round_trip(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10)
        now.broker.sell("A", 10, parent=entry)

    results = play(engine, feed_of(BARS), {0: round_trip})
    assert results.fills.select("side", "price", "phase").rows() == [
        ("buy", 100.0, "open"),
        ("sell", 100.0, "open"),
    ]


@ENGINES
def test_a_position_that_turns_keeps_what_it_earned(engine: str) -> None:
    steps: dict[int, Action] = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.sell("A", 30),
    }
    results = play(engine, feed_of(BARS), steps, allows_short=True)
    # 10 bought at 100.00 and sold at 102.00: 20.00; 20 sold short at 102.00.
    assert results.portfolio_history["realized_pnl"][-1] == 20.0
    assert results.round_trips.select("quantity", "gross_pnl").rows() == [(10.0, 20.0)]


@ENGINES
def test_an_order_that_is_complete_does_not_fill_again(engine: str) -> None:
    steps: dict[int, Action] = {0: lambda now: now.broker.buy("A", 10, limit_price=99)}
    results = play(engine, feed_of(BARS), steps)
    # The range of the second day comes to 99.00, and so does that of the third.
    assert results.fills["quantity"].to_list() == [10.0]


@ENGINES
def test_who_fills_first_does_not_depend_on_the_names_of_instruments(engine: str) -> None:
    def rows(first: str, second: str) -> list[tuple[str, float]]:
        frame = pl.concat([days((10,) * 4, (10,) * 4, (10,) * 4, symbol=name) for name in ("A", "B")])
        steps: dict[int, Action] = {
            0: lambda now: (now.broker.buy(first, 60), now.broker.buy(second, 60)),
        }
        cash = {"initial_cash": 1000, "policies": {"insufficient_cash": "partial"}}
        results = play(engine, feed_of(frame), steps, **cash)
        names = {first: "first", second: "second"}
        return [
            (names[symbol], quantity)
            for symbol, quantity in results.fills.select("symbol", "quantity").rows()
        ]

    assert rows("A", "B") == rows("B", "A") == [("first", 60.0), ("second", 40.0)]


@ENGINES
def test_an_order_of_the_last_callback_is_not_lost(engine: str) -> None:
    class Last(Strategy):
        def on_stop(self) -> None:
            self.broker.buy("A", 1)

    results = Engine(feed_of(BARS), Last, config={"backtest": {"engine": engine}}).run()
    assert results.orders.select("status", "reason_code").rows() == [("canceled", "END_OF_DATA")]


@ENGINES
def test_an_order_of_a_timer_at_night_waits_for_the_next_open(engine: str) -> None:
    class AtTheClose(Strategy):
        def on_start(self) -> None:
            self.schedule(self.buy_once, rule=schedule.session_close(offset="2h"))
            self.has_bought = False

        def buy_once(self) -> None:
            if not self.has_bought:
                self.broker.buy("A", 1)
            self.has_bought = True

    bars = days((100, 100, 100, 100), (120, 120, 120, 120), (130, 130, 130, 130))
    bars = bars.with_columns(session=pl.col("session") + dt.timedelta(days=1))
    feed = DataFeed(bars, stamp="session", calendar="XNYS", instruments=[Instrument("A", calendar="XNYS")])
    results = Engine(feed, AtTheClose, config={"backtest": {"engine": engine}}).run()
    # Sent two hours after the first close: at the next open, not at the price of that evening.
    assert results.fills.select("ts_event", "price").rows() == [
        (dt.datetime(2024, 1, 3, 14, 30, tzinfo=dt.UTC), 120.0)
    ]


@ENGINES
def test_the_purchases_of_a_rotation_are_paid_by_its_sales(engine: str) -> None:
    frame = pl.concat([days(*((10.0,) * 4,) * 4, symbol=name) for name in ("A", "B")])
    steps: dict[int, Action] = {
        0: lambda now: now.broker.order_target_weights({"A": 1.0}),
        1: lambda now: now.broker.order_target_weights({"B": 1.0}),
    }
    results = play(engine, feed_of(frame), steps, initial_cash=1000)
    assert results.fills.select("symbol", "side", "quantity").rows() == [
        ("A", "buy", 100.0),
        ("A", "sell", 100.0),
        ("B", "buy", 100.0),
    ]


@ENGINES
def test_a_value_is_not_taken_for_a_quantity(engine: str) -> None:
    steps: dict[int, Action] = {0: lambda now: now.broker.order_target_value("A", 1000)}
    results = play(engine, feed_of(BARS), steps)
    assert results.fills["quantity"].to_list() == [10.0]


@ENGINES
def test_a_market_order_does_not_fill_at_the_close_it_was_decided_on(engine: str) -> None:
    bars = days((100, 100, 100, 100), (110, 110, 110, 110), (120, 120, 120, 120))
    steps: dict[int, Action] = {0: lambda now: now.broker.buy("A", 1)}
    assert play(engine, feed_of(bars), steps).fills["price"].to_list() == [110.0]


@ENGINES
def test_stops_that_are_forced_on_one_bar_come_in_the_same_sequence_every_time(engine: str) -> None:
    frame = pl.concat(
        [days((100,) * 4, (100,) * 4, (80, 80, 80, 80), (80,) * 4, symbol=name) for name in ("A", "B", "C")]
    )
    steps: dict[int, Action] = {
        0: lambda now: [now.broker.buy(name, 1) for name in ("C", "A", "B")],
        1: lambda now: [now.broker.sell(name, 1, stop_price=95) for name in ("B", "C", "A")],
    }
    sold = [
        play(engine, feed_of(frame), steps).fills.filter(side="sell")["symbol"].to_list() for _ in range(3)
    ]
    assert sold == [["B", "C", "A"]] * 3
