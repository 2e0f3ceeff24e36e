"""The sequence of callbacks at one instant, and what orders sent from each of them can meet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    Event,
    FillEvent,
    MarketEvent,
    OrderEvent,
    PITData,
    SignalEvent,
    Strategy,
    Timestamp,
    schedule,
)

Build = Callable[..., DataFeed]
RunOf = Callable[..., Any]


def at(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, tzinfo=dt.UTC) + dt.timedelta(hours=hour)


class Diary(Strategy):
    """Writes down every call, and sends what `sends` says when it is in the callback of that name."""

    def __init__(self, sends: Callable[[Diary, str], object] | None = None) -> None:
        self.sends = sends
        self.lines: list[tuple[int, str]] = []

    def note(self, name: str, text: str) -> None:
        self.lines.append((self.data.timestamp.day, text))
        if self.sends is not None:
            self.sends(self, name)

    def on_start(self) -> None:
        self.schedule(self.on_timer, rule=schedule.session_close("0m"))
        self.schedule(rule=schedule.session_close("0m"))

    def on_timer(self) -> None:
        self.note("on_timer", "timer")

    def on_rebalance_trigger(self) -> None:
        self.note("on_rebalance_trigger", "rebalance")

    def on_daily_close(self) -> None:
        self.note("on_daily_close", "daily close")

    def on_bar(self, event: MarketEvent) -> None:
        self.note("on_bar", f"bar {event.asset}")

    def on_quote(self, event: MarketEvent) -> None:
        self.note("on_quote", f"quote {event.asset}")

    def on_trade(self, event: MarketEvent) -> None:
        self.note("on_trade", f"trade {event.asset}")

    def on_signal(self, event: SignalEvent) -> None:
        self.note("on_signal", f"signal {event.asset}")

    def on_fill(self, event: FillEvent) -> None:
        self.note("on_fill", f"fill {event.order_id} {event.phase}")

    def on_order(self, event: OrderEvent) -> None:
        self.note("on_order", f"order {event.order_id} {event.status.value}")

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.note("on_data", "data")

    def on_stop(self) -> None:
        self.note("on_stop", "stop")

    def of(self, day: int) -> list[str]:
        return [text for when, text in self.lines if when == day]


def test_what_ended_comes_before_what_begins(run_of: RunOf, daily: Build) -> None:
    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 1, limit_price=9)
        if name == "on_data" and diary.data.timestamp.day == 3:
            diary.broker.buy("B", 1)

    feed = daily({"A": [10, (10, 10, 8, 10), 10, 10], "B": [20] * 4})
    signals = pl.DataFrame({"ts_event": [at(3)], "asset_id": ["B"], "score": [1.0]})
    diary = Diary(sends)
    run_of(diary, feed, signals=signals)
    assert diary.of(3) == [
        # What the bar that ends now did.
        "fill 1 range",
        "order 1 filled",
        # The session that ends now, and what is due.
        "daily close",
        "timer",
        "rebalance",
        # What is readable now.
        "bar A",
        "bar B",
        "signal B",
        "data",
        # What was asked for, and the bars that open now.
        "order 2 submitted",
        "order 2 accepted",
        "fill 2 open",
        "order 2 filled",
    ]


def test_ties_are_quotes_then_trades_then_bars_by_interval_then_name(run_of: RunOf, daily: Build) -> None:
    def bars(name: str, interval: str) -> DataFeed:
        row = {
            "symbol": "A",
            "timestamp": at(2),
            "volume": 1.0,
            **dict.fromkeys(("open", "high", "low", "close"), 10.0),
        }
        return DataFeed(
            pl.DataFrame([row]),
            name=name,
            stamp="close",
            interval=interval,
            calendar="24/7",
            matches_orders=False,
        )

    quote = {"symbol": "A", "timestamp": at(2), "bid_price": 9.0, "ask_price": 11.0}
    trade = {"symbol": "A", "timestamp": at(2), "price": 10.0}
    feeds = [
        daily({"A": [10]}, name="day", matches_orders=True),
        bars("z_hour", "1h"),
        bars("a_hour", "1h"),
        bars("minute", "1m"),
        *(
            DataFeed(
                pl.DataFrame([row]),
                kind=kind,
                name=kind,
                stamp="event",
                calendar="24/7",
                matches_orders=False,
            )  # type: ignore[arg-type]
            for kind, row in (("trade", trade), ("quote", quote))
        ),
    ]
    told = []

    class Listens(Strategy):
        def on_event(self, event: Event) -> None:
            told.append(event.feed)

    run_of(Listens(), feeds)
    assert told == ["quote", "trade", "minute", "a_hour", "z_hour", "day"]


def test_instruments_of_one_feed_come_by_symbol_and_rows_of_one_by_place(run_of: RunOf) -> None:
    rows = [("B", 1.0), ("A", 2.0), ("B", 3.0), ("A", 4.0)]
    frame = pl.DataFrame([{"symbol": symbol, "timestamp": at(1), "price": price} for symbol, price in rows])
    told = []

    class Listens(Strategy):
        def on_trade(self, event: MarketEvent) -> None:
            told.append((event.asset, event.price))

    run_of(Listens(), DataFeed(frame, kind="trade", stamp="event", calendar="24/7"))
    assert told == [("A", 2.0), ("A", 4.0), ("B", 1.0), ("B", 3.0)]


def test_on_data_is_called_once_an_instant_whatever_happens_at_it(run_of: RunOf, daily: Build) -> None:
    diary = Diary()
    signals = pl.DataFrame({"ts_event": [at(2), at(2)], "asset_id": ["A", "B"], "score": [1.0, 2.0]})
    run_of(diary, daily({"A": [10] * 3, "B": [20] * 3}), signals=signals)
    assert [diary.of(day).count("data") for day in (2, 3, 4)] == [1, 1, 1]


def test_on_data_is_not_caused_by_opens_actions_or_closes_alone(run_of: RunOf, minutes: Build) -> None:
    # Two sessions of three minutes: the closes of the sessions, at which nothing is readable, call nobody.
    times = []

    class Counts(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            times.append(timestamp)

    run_of(Counts(), minutes(["2024-01-02", "2024-01-03"]))
    assert [f"{time:%d %H:%M}" for time in times] == [
        "02 14:31",
        "02 14:32",
        "02 14:33",
        "03 14:31",
        "03 14:32",
        "03 14:33",
    ]


@pytest.mark.parametrize("name", ["on_daily_close", "on_timer", "on_rebalance_trigger", "on_bar", "on_data"])
def test_an_order_of_any_callback_of_the_close_fills_at_the_open_of_the_same_instant(
    run_of: RunOf, daily: Build, name: str
) -> None:
    def sends(diary: Diary, where: str) -> None:
        if where == name and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 1)

    results = run_of(Diary(sends), daily({"A": [10, 11, 12, 13]}))
    assert results.fills.select("ts_event", "price", "phase").rows() == [(at(2), 11.0, "open")]


def test_an_order_of_on_fill_meets_only_later_data(run_of: RunOf, daily: Build) -> None:
    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 1)
        if name == "on_fill" and diary.data.timestamp.day == 2:
            diary.broker.sell("A", 1)

    results = run_of(Diary(sends), daily({"A": [10, 11, 12, 13]}))
    # Bought at the open of the second day; the sell of that instant meets the open of the third.
    assert results.fills.select("side", "ts_event", "price").rows() == [
        ("buy", at(2), 11.0),
        ("sell", at(3), 12.0),
    ]


def test_a_resting_order_of_on_fill_meets_only_later_bars(run_of: RunOf, daily: Build) -> None:
    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 1)
        if name == "on_fill" and diary.data.timestamp.day == 2:
            diary.broker.sell("A", 1, limit_price=14)

    results = run_of(Diary(sends), daily({"A": [10, (11, 15, 10, 12), (12, 14, 12, 13)]}))
    # The bar that filled the buy goes to 15, but was open already when the sell was sent.
    assert results.fills.select("side", "price", "phase").rows() == [
        ("buy", 11.0, "open"),
        ("sell", 14.0, "range"),
    ]
    assert [ts.day for ts in results.fills["ts_event"]] == [2, 4]


def test_an_order_of_on_order_is_taken_in_and_the_chain_ends(run_of: RunOf, daily: Build) -> None:
    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 10**9)
        if name == "on_order" and diary.broker.rejected_orders and len(diary.broker.rejected_orders) < 3:
            diary.broker.buy("A", 10**9)

    results = run_of(Diary(sends), daily({"A": [10, 11, 12, 13]}))
    assert results.orders["status"].to_list()[:3] == ["rejected"] * 3


def test_the_fill_of_an_order_is_told_before_the_state_it_leads_to(run_of: RunOf, daily: Build) -> None:
    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 15)

    diary = Diary(sends)
    broker = {"fill_model": {"type": "Default", "volume_limit": 0.1}}
    run_of(diary, daily({"A": [(10, 10, 10, 10, 100)] * 4}), broker=broker)
    assert [line for day in (3, 4) for line in diary.of(day) if line.startswith(("fill", "order"))] == [
        "fill 1 open",
        "order 1 partially_filled",
        "fill 1 open",
        "order 1 filled",
    ]


def test_the_broker_in_a_callback_of_the_close_knows_the_fills_of_the_bar(
    run_of: RunOf, daily: Build
) -> None:
    held = []

    def sends(diary: Diary, name: str) -> None:
        if name == "on_data" and diary.data.timestamp.day == 2:
            diary.broker.buy("A", 1, limit_price=9)
        if diary.data.timestamp.day == 3 and name in ("on_fill", "on_daily_close", "on_bar", "on_data"):
            held.append(diary.broker.get_position("A").quantity)

    run_of(Diary(sends), daily({"A": [10, (10, 10, 8, 10), 10]}))
    assert held == [1.0, 1.0, 1.0, 1.0]


def test_on_start_comes_first_and_on_stop_last(run_of: RunOf, daily: Build) -> None:
    diary = Diary()
    run_of(diary, daily({"A": [10, 11]}))
    assert diary.lines[-1] == (3, "stop")
    assert [text for _, text in diary.lines].count("stop") == 1
