"""Typed events: what each says, who gets it, and which are subscribed to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
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
    OrderStatus,
    PITData,
    Side,
    SignalEvent,
    Strategy,
    Timestamp,
)
from ml4t.core.errors import ConfigError, EngineStateError, UnknownNameError

Build = Callable[..., DataFeed]
RunOf = Callable[..., Any]

TYPED = ("on_bar", "on_quote", "on_trade", "on_signal", "on_fill", "on_order", "on_event")


def at(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, tzinfo=dt.UTC) + dt.timedelta(hours=hour)


def listener(
    *names: str,
    subscriptions: tuple[Mapping[str, Any], ...] = (),
    trades: Callable[[Any], object] | None = None,
) -> Any:  # noqa: ANN401 - of many kinds
    """Return a strategy that keeps (callback, event) of the named callbacks."""

    class Listener(Strategy):
        def __init__(self) -> None:
            self.told: list[tuple[str, Any]] = []

        def on_start(self) -> None:
            for subscription in subscriptions:
                self.subscribe(**subscription)

        def of(self, name: str) -> list[Any]:
            return [event for callback, event in self.told if callback == name]

        if trades is not None:

            def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
                trades(self)

    def handler(name: str) -> Callable[[Any, Any], None]:
        return lambda self, event: self.told.append((name, event))

    for name in names:
        setattr(Listener, name, handler(name))
    return Listener()


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [(10, 12, 9, 11, 100), (11, 13, 10, 12, 200)], "B": [20, 21]})


def ticks(kind: str, **columns: list[float]) -> DataFeed:
    times = [at(1, hour) for hour in range(12, 12 + len(next(iter(columns.values()))))]
    frame = pl.DataFrame({"symbol": "A", "timestamp": times, **columns})
    return DataFeed(frame, kind=kind, name=f"{kind}s", stamp="event", calendar="24/7")  # type: ignore[arg-type]


# -- market events ---------------------------------------------------------------------------------------


def test_a_bar_event_has_its_fields_as_attributes_and_as_items(run_of: RunOf, market: DataFeed) -> None:
    strategy = listener("on_bar")
    run_of(strategy, market)
    event = strategy.of("on_bar")[0]
    assert isinstance(event, MarketEvent)
    assert isinstance(event, Event)
    assert (event.asset, event.kind, event.feed) == ("A", "bar", "prices")
    assert (event.open, event.high, event.low, event.close, event.volume) == (10, 12, 9, 11, 100)
    assert (event.bar["close"], event.bar["volume"]) == (11.0, 100.0)
    assert (event.timestamp, event.ts_event) == (at(2), int(at(2).timestamp()) * 10**9)
    assert event.ts_open == int(at(1).timestamp()) * 10**9
    assert (
        repr(event) == "MarketEvent(A, 2024-01-02T00:00:00Z, open=10, high=12, low=9, close=11, volume=100)"
    )


def test_the_values_of_an_event_are_a_mapping(run_of: RunOf, market: DataFeed) -> None:
    strategy = listener("on_bar")
    run_of(strategy, market)
    fields = strategy.of("on_bar")[0].bar
    names = ["open", "high", "low", "close", "volume"]
    assert fields.keys() == names
    assert dict(fields) == dict(zip(names, [10.0, 12.0, 9.0, 11.0, 100.0], strict=True))
    assert (len(fields), "close" in fields, "vwap" in fields) == (5, True, False)
    with pytest.raises(UnknownNameError, match=r"unknown field 'clsoe'; known: .*; did you mean 'close'\?"):
        fields["clsoe"]
    # As every mapping of the engine, it can be iterated.
    assert list(fields) == names


def test_an_unknown_attribute_of_an_event_is_an_attribute_error(run_of: RunOf, market: DataFeed) -> None:
    strategy = listener("on_bar")
    run_of(strategy, market)
    event = strategy.of("on_bar")[0]
    with pytest.raises(AttributeError, match='the event has no field "vwap"'):
        event.vwap  # noqa: B018
    assert not hasattr(event, "vwap")


def test_quotes_and_trades_are_events_of_their_own(run_of: RunOf) -> None:
    quotes = ticks(
        "quote", bid_price=[9.0, 9.5], ask_price=[11.0, 10.5], bid_size=[1.0, 2.0], ask_size=[3.0, 4.0]
    )
    strategy = listener(*TYPED)
    run_of(strategy, quotes)
    event = strategy.of("on_quote")[1]
    assert [name for name, _ in strategy.told] == ["on_quote", "on_quote"]
    assert (event.kind, event.ts_open) == ("quote", None)
    assert (event.bid_price, event.ask_price, event.quote["bid_size"], event.quote["ask_size"]) == (
        9.5,
        10.5,
        2,
        4,
    )

    strategy = listener(*TYPED)
    run_of(strategy, ticks("trade", price=[10.0, 11.0], size=[5.0, np.nan]))
    one, other = strategy.of("on_trade")
    assert (one.kind, one.price, one.trade["size"], one.ts_open) == ("trade", 10.0, 5.0, None)
    assert (other.price, np.isnan(other.size)) == (11.0, True)


def test_features_travel_with_the_event(run_of: RunOf, daily: Build) -> None:
    feed = daily({"A": [10, 11]}, features=lambda symbol, n: {"beta": 0.5 + n})
    strategy = listener("on_bar")
    run_of(strategy, feed)
    assert [(event.beta, event.bar["beta"]) for event in strategy.of("on_bar")] == [(0.5, 0.5), (1.5, 1.5)]


def test_an_event_may_be_kept(run_of: RunOf, market: DataFeed) -> None:
    strategy = listener("on_bar")
    run_of(strategy, market)
    assert [(e.asset, e.close, e.timestamp) for e in strategy.of("on_bar")] == [
        ("A", 11.0, at(2)),
        ("B", 20.0, at(2)),
        ("A", 12.0, at(3)),
        ("B", 21.0, at(3)),
    ]


def test_a_late_row_is_told_when_it_arrives_and_says_when_it_was_true(run_of: RunOf) -> None:
    rows = [
        {
            "symbol": "A",
            "ts_open": at(1, n),
            "ts_event": at(1, n + 1),
            "ts_arrival": at(1, n + 1.5),
            "volume": 1.0,
        }
        | dict.fromkeys(("open", "high", "low", "close"), 10.0 + n)
        for n in range(3)
    ]
    seen = []

    class Late(Strategy):
        def on_bar(self, event: MarketEvent) -> None:
            seen.append((event.timestamp, self.data.timestamp, event.close))

    run_of(Late(), DataFeed(pl.DataFrame(rows), stamp="event", calendar="24/7"))
    assert seen[:2] == [(at(1, 1), at(1, 1.5), 10.0), (at(1, 2), at(1, 2.5), 11.0)]


# -- fills and orders ------------------------------------------------------------------------------------


def buys_once(strategy: Strategy) -> None:
    if not strategy.broker.open_orders and strategy.broker.get_position("A") is None:
        strategy.broker.buy("A", 5, tag="once")


def test_a_fill_event_says_what_it_cost(run_of: RunOf, daily: Build) -> None:
    strategy = listener("on_fill", trades=buys_once)
    broker = {
        "slippage_model": {"type": "BasisPoints", "bps": 100},
        "commission_model": {"type": "PerShare", "fee": 0.5},
    }
    run_of(strategy, daily({"A": [10, 12, 12]}), broker=broker)
    (event,) = strategy.of("on_fill")
    assert isinstance(event, FillEvent)
    assert (event.asset, event.side, event.quantity, event.order_id) == ("A", Side.BUY, 5.0, 1)
    assert (event.reference_price, event.price, event.fee) == (12.0, 12.12, 2.5)
    assert (event.liquidity, event.phase, event.timestamp) == ("taker", "open", at(2))
    assert (event.order.id, event.order.tag, event.order.status) == (1, "once", OrderStatus.FILLED)


def test_order_events_follow_the_order_through_its_states(run_of: RunOf, daily: Build) -> None:
    strategy = listener("on_order", trades=buys_once)
    run_of(strategy, daily({"A": [10, 12, 12]}))
    events = strategy.of("on_order")
    assert all(isinstance(event, OrderEvent) for event in events)
    assert [(e.previous_status.value, e.status.value, e.reason_code) for e in events] == [
        ("created", "submitted", ""),
        ("submitted", "accepted", ""),
        ("accepted", "filled", ""),
    ]
    assert {(e.asset, e.order_id, e.order.tag, e.timestamp) for e in events} == {("A", 1, "once", at(2))}


def test_an_order_event_keeps_its_state_while_its_order_moves_on(run_of: RunOf, daily: Build) -> None:
    strategy = listener("on_order", trades=buys_once)
    run_of(strategy, daily({"A": [10, 12, 12]}))
    first = strategy.of("on_order")[0]
    assert (first.status, first.order.status) == (OrderStatus.SUBMITTED, OrderStatus.FILLED)


def test_every_fill_and_every_state_in_the_tables_was_told(
    run_of: RunOf, daily: Build, rng: np.random.Generator
) -> None:
    prices = np.round(10 + rng.normal(size=60).cumsum() * 0.3 + 5, 2)

    def trades(strategy: Strategy) -> None:
        broker, close = strategy.broker, strategy.data["A"]["close"]
        broker.order_target_quantity("A", 10 * (len(broker.open_orders) % 3))
        broker.buy("A", 3, limit_price=round(close - 0.2, 2), time_in_force="day")
        if len(broker.open_orders) > 6:
            broker.cancel_order(broker.open_orders[0])

    strategy = listener("on_fill", "on_order", trades=trades)
    results = run_of(strategy, daily({"A": [float(p) for p in prices]}))
    assert results.fills.height > 10
    assert [(e.order_id, e.quantity, e.price) for e in strategy.of("on_fill")] == results.fills.select(
        "order_id", "quantity", "price"
    ).rows()
    told = [
        (e.order_id, e.previous_status.value, e.status.value, e.reason_code) for e in strategy.of("on_order")
    ]
    table = results.order_events.select("order_id", "status_from", "status", "reason_code").rows()
    # What ends with the data ends after the last callback.
    assert told == [row for row in table if row[3] != "END_OF_DATA"][: len(told)]
    assert len(table) - len(told) <= 4


# -- who gets what ---------------------------------------------------------------------------------------


@pytest.fixture
def signals() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_event": [at(2), at(2), at(3)],
            "asset_id": ["A", "B", "A"],
            "model_id": ["fast", "fast", "slow"],
            "score": [0.1, 0.2, 0.3],
        }
    )


def named(strategy: Strategy) -> list[tuple[str, str, str]]:
    kinds = {MarketEvent: "market", SignalEvent: "signal", FillEvent: "fill", OrderEvent: "order"}
    return [
        (name, next(kind for cls, kind in kinds.items() if isinstance(event, cls)), event.asset)
        for name, event in strategy.told
    ]


def test_on_event_gets_what_has_no_callback_of_its_own(
    run_of: RunOf, market: DataFeed, signals: pl.DataFrame
) -> None:
    strategy = listener("on_event", trades=buys_once)
    run_of(strategy, market, signals=signals)
    kinds = {kind for _, kind, _ in named(strategy)}
    assert kinds == {"market", "signal", "fill", "order"}

    strategy = listener("on_event", "on_bar", "on_fill", trades=buys_once)
    run_of(strategy, market, signals=signals)
    assert {(name, kind) for name, kind, _ in named(strategy)} == {
        ("on_bar", "market"),
        ("on_fill", "fill"),
        ("on_event", "signal"),
        ("on_event", "order"),
    }


def test_without_a_subscription_everything_is_delivered(
    run_of: RunOf, market: DataFeed, signals: pl.DataFrame
) -> None:
    strategy = listener(*TYPED, trades=buys_once)
    run_of(strategy, market, signals=signals)
    assert len(strategy.of("on_bar")) == 4
    assert len(strategy.of("on_signal")) == 3
    assert len(strategy.of("on_fill")) == 1
    assert len(strategy.of("on_order")) == 3
    assert strategy.of("on_event") == []


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        ({"event_type": "bar"}, {("market", "A"), ("market", "B")}),
        ({"event_type": "BAR", "asset": "B"}, {("market", "B")}),
        ({"event_type": "signal"}, {("signal", "A"), ("signal", "B")}),
        ({"event_type": "signal", "asset": "B"}, {("signal", "B")}),
        ({"event_type": "signal", "model_id": "slow"}, {("signal", "A")}),
        ({"event_type": "fill"}, {("fill", "A"), ("fill", "B")}),
        ({"event_type": "fill", "asset": "B"}, {("fill", "B")}),
        ({"event_type": "order", "asset": "A"}, {("order", "A")}),
        ({"asset": "B"}, {("market", "B"), ("signal", "B"), ("fill", "B"), ("order", "B")}),
        ({"frequency": "1d"}, {("market", "A"), ("market", "B")}),
        ({"frequency": "1d", "asset": "A"}, {("market", "A")}),
        ({"model_id": "fast", "asset": "B"}, {("signal", "B")}),
        ({"model_id": "slow"}, {("signal", "A")}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_subscription_restricts_by_everything_that_it_names(
    run_of: RunOf,
    market: DataFeed,
    signals: pl.DataFrame,
    subscription: dict[str, Any],
    expected: set[tuple[str, str]],
) -> None:
    def trades(strategy: Strategy) -> None:
        for symbol in "AB":
            strategy.broker.buy(symbol, 1)

    strategy = listener("on_event", subscriptions=(subscription,), trades=trades)
    run_of(strategy, market, signals=signals)
    assert {(kind, asset) for _, kind, asset in named(strategy)} == expected


def test_subscriptions_add_up(run_of: RunOf, market: DataFeed, signals: pl.DataFrame) -> None:
    wanted = ({"event_type": "bar", "asset": "B"}, {"event_type": "signal", "model_id": "slow"})
    strategy = listener(*TYPED, subscriptions=wanted)
    run_of(strategy, market, signals=signals)
    assert named(strategy) == [
        ("on_bar", "market", "B"),
        ("on_bar", "market", "B"),
        ("on_signal", "signal", "A"),
    ]


def test_a_frequency_picks_the_feed(run_of: RunOf, daily: Build) -> None:
    rows = [
        {"symbol": "A", "timestamp": at(1, hour), "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0)
        for hour in range(24)
    ]
    hourly = DataFeed(
        pl.DataFrame(rows), name="hours", stamp="open", interval="1h", calendar="24/7", matches_orders=False
    )
    feeds = [daily({"A": [10]}, matches_orders=True, name="days"), hourly]
    for frequency, count, feed in (
        ("1d", 1, "days"),
        ("1D", 1, "days"),
        ("1h", 24, "hours"),
        ("60m", 24, "hours"),
    ):
        strategy = listener("on_bar", subscriptions=({"frequency": frequency},))
        run_of(strategy, feeds)
        assert [event.feed for event in strategy.of("on_bar")] == [feed] * count


def test_a_subscription_does_not_restrict_on_data_and_fills_of_one_s_own_callback(
    run_of: RunOf, market: DataFeed
) -> None:
    calls = []

    def trades(strategy: Strategy) -> None:
        calls.append(list(strategy.data))
        buys_once(strategy)

    strategy = listener(
        "on_bar", "on_fill", subscriptions=({"event_type": "bar", "asset": "B"},), trades=trades
    )
    run_of(strategy, market)
    assert calls == [["A", "B"], ["A", "B"]]
    assert [event.asset for event in strategy.of("on_fill")] == ["A"]


@pytest.mark.parametrize(
    ("subscription", "error", "message"),
    [
        ({"asset": "C"}, UnknownNameError, "unknown symbol 'C'; known: A, B"),
        ({"event_type": "bra"}, UnknownNameError, "unknown event type 'bra'.*did you mean 'bar'"),
        (
            {"model_id": "slwo"},
            UnknownNameError,
            "unknown model_id 'slwo'; known: fast, slow; did you mean 'slow'",
        ),
        ({"frequency": "5m"}, ConfigError, "5m"),
        ({"frequency": "soon"}, ValueError, "expected a duration such as"),
    ],
    ids=str,
)
def test_a_subscription_to_what_the_run_does_not_have_is_refused(
    run_of: RunOf,
    market: DataFeed,
    signals: pl.DataFrame,
    subscription: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        run_of(listener("on_bar", subscriptions=(subscription,)), market, signals=signals)


def test_a_subscription_comes_before_the_first_event(run_of: RunOf, market: DataFeed) -> None:
    def trades(strategy: Strategy) -> None:
        with pytest.raises(EngineStateError, match="on_start"):
            strategy.subscribe(asset="B")

    strategy = listener("on_bar", trades=trades)
    run_of(strategy, market)
    assert len(strategy.of("on_bar")) == 4
