"""What goes wrong is said where it went wrong, and what was done until then is kept."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Strategy, schedule
from ml4t.core.errors import EngineStateError, Ml4tError, ModelError, StaleViewError
from ml4t.core.models import SlippageArgs, SlippageOut

from .identities import Case, check_postings
from .markets import Market

COUNT = 40
START = dt.datetime(2024, 3, 1, 15, 30, tzinfo=dt.UTC)
SIGNALS = pl.DataFrame(
    {
        "ts_event": [START + dt.timedelta(minutes=k) for k in range(0, COUNT, 4)],
        "asset_id": ["XYZ"] * (COUNT // 4),
        "score": [0.5] * (COUNT // 4),
    }
)


def bars() -> pl.DataFrame:
    """Return minutes of one share that does not move."""
    return pl.DataFrame(
        {
            "symbol": ["XYZ"] * COUNT,
            "ts_event": [START + dt.timedelta(minutes=k) for k in range(COUNT)],
            "open": [100.0] * COUNT,
            "high": [101.0] * COUNT,
            "low": [99.0] * COUNT,
            "close": [100.0] * COUNT,
            "volume": [1e6] * COUNT,
        }
    )


def engine_of(strategy: Any, frame: pl.DataFrame | None = None, **config: Any) -> Engine:  # noqa: ANN401
    given = bars() if frame is None else frame
    feed = DataFeed(given, stamp="close", interval="1m")
    return Engine(feed, strategy, signals=SIGNALS, config={"backtest": {"record": "step"}, **config})


class SpecialError(Exception):
    """An error of the strategy's own kind, with data of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Buyer(Strategy):
    """Buys one unit a minute, and in its tenth minute calls what the test wants in the place it wants."""

    place = ""
    action: Callable[[Strategy], object] = staticmethod(lambda _: None)

    def on_start(self) -> None:
        self.minutes = 0
        self.schedule(lambda: self.maybe("timer"), rule=schedule.every("1m"))
        self.schedule(rule=schedule.every("3m"))

    def maybe(self, place: str) -> None:
        if place == self.place and self.minutes >= 10:
            type(self).action(self)

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        self.minutes += 1
        self.maybe("on_bar")

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        self.maybe("on_signal")

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        broker.buy("XYZ", 1)
        self.maybe("on_data")

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        self.maybe("on_fill")

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        self.maybe("on_order")

    def on_rebalance_trigger(self) -> None:
        self.maybe("on_rebalance_trigger")


def buyer(place: str, action: Callable[[Any], object]) -> type[Buyer]:
    return type("Buyer", (Buyer,), {"place": place, "action": staticmethod(action)})


def fail(_: Strategy) -> None:
    raise SpecialError(17)


# --------------------------------------------------------------------------- exceptions

PLACES = ["on_data", "on_bar", "on_signal", "on_fill", "on_order", "timer", "on_rebalance_trigger"]
OF_AN_INSTRUMENT = {"on_bar", "on_signal", "on_fill", "on_order"}


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_keeps_type_and_traceback_and_gains_time_and_instrument(place: str) -> None:
    engine = engine_of(buyer(place, fail))
    with pytest.raises(SpecialError, match="code 17") as caught:
        engine.run()
    error = caught.value
    assert error.code == 17
    functions = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert functions[-2:] == ["maybe", "fail"], "the traceback leads into the strategy"
    notes = "\n".join(error.__notes__)
    assert "2024-03-01T15:" in notes, "the instant"
    if place in OF_AN_INSTRUMENT:
        assert "XYZ" in notes
    assert ("scheduled callback" if place == "timer" else place) in notes


@pytest.mark.parametrize("place", PLACES)
def test_what_was_done_before_an_exception_can_be_read_and_saved(place: str, tmp_path: Any) -> None:  # noqa: ANN401
    engine = engine_of(buyer(place, fail))
    with pytest.raises(SpecialError) as caught:
        engine.run()
    results = engine.results
    assert results is not None
    assert caught.value.partial_results is results  # type: ignore[attr-defined]
    assert results.status == "failed"
    assert 9 <= results.orders.height <= 13
    assert 8 <= results.fills.height <= results.orders.height
    ledger = results.ledger
    assert ledger.filter(pl.col("kind") == "trade").height == results.fills.height
    check_postings(Case(Market((), ()), {"broker": {}}, results))
    assert results.portfolio_history.height >= 8
    assert Results.load(results.save(tmp_path / "run")).status == "failed"


def test_an_exception_in_on_start_and_on_stop_keeps_results_too() -> None:
    class AtStart(Strategy):
        def on_start(self) -> None:
            raise SpecialError(1)

    class AtStop(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("XYZ", 1)

        def on_stop(self) -> None:
            raise SpecialError(2)

    for strategy, fills in ((AtStart, 0), (AtStop, COUNT - 1)):
        engine = engine_of(strategy)
        with pytest.raises(SpecialError) as caught:
            engine.run()
        place = "on_start" if strategy is AtStart else "on_stop"
        assert place in "\n".join(caught.value.__notes__)
        assert engine.results is not None
        assert engine.results.status == "failed"
        assert engine.results.fills.height == fills


def test_system_exit_and_errors_without_room_for_notes_come_out_as_they_are() -> None:
    class Bare(BaseException):
        __slots__ = ()

        def add_note(self, note: str, /) -> None:
            msg = "no notes"
            raise TypeError(msg)

    for error in (SystemExit(3), Bare()):

        def leave(_: Strategy, error: BaseException = error) -> None:
            raise error

        engine = engine_of(buyer("on_data", leave))
        with pytest.raises(type(error)) as caught:
            engine.run()
        assert caught.value is error
        assert engine.results is not None
        assert engine.results.status == "failed"


# --------------------------------------------------------------------------- interruption


def interrupt(_: Strategy) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt, also where the tests were started in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("place", ["on_data", "on_fill", "timer"])
def test_ctrl_c_in_a_callback_keeps_what_was_done_marked_interrupted(place: str) -> None:
    engine = engine_of(buyer(place, interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        engine.run()
    results = engine.results
    assert results is not None
    assert results.status == "interrupted"
    assert caught.value.partial_results is results  # type: ignore[attr-defined]
    assert 8 <= results.fills.height <= 13
    assert any("interrupted" in note for note in results.warnings)


def test_ctrl_c_stops_a_run_that_never_calls_python() -> None:
    minutes = 20_000
    frame = pl.DataFrame(
        {
            "symbol": ["XYZ"] * minutes,
            "ts_event": [START + dt.timedelta(minutes=k) for k in range(minutes)],
            **{name: [100.0] * minutes for name in ("open", "high", "low", "close")},
        }
    )
    feed = DataFeed(frame, stamp="close", interval="1m", calendar="24/7")
    engine = Engine(feed, Strategy)
    seen: list[float] = []

    def progress(part: float) -> None:
        seen.append(part)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        engine.run(progress=progress)
    assert engine.results is not None
    assert engine.results.status == "interrupted"
    assert 0 < max(seen) < 0.9, "it stopped long before the end"
    assert 0 < engine.results.portfolio_history.height < minutes


# --------------------------------------------------------------------------- models


@attrs.frozen
class Failing:
    """A slippage model that does what the test wants when it is asked for the tenth time."""

    action: Callable[[], SlippageOut]
    asked: list[None] = attrs.field(factory=list)

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        self.asked.append(None)
        return self.action() if len(self.asked) == 10 else SlippageOut(price_adjustment=0.01)


class Trader(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        held = broker.get_position("XYZ")
        (broker.buy if held is None else broker.sell)("XYZ", 1)


def with_model(action: Callable[[], SlippageOut]) -> Engine:
    feed = DataFeed(bars(), stamp="close", interval="1m")
    return Engine(feed, Trader, models={"slippage": Failing(action)})


def bad_luck() -> SlippageOut:
    msg = "no such depth"
    raise LookupError(msg)


def test_an_error_of_a_model_names_model_instrument_and_time_and_keeps_results() -> None:
    engine = with_model(bad_luck)
    with pytest.raises(ModelError, match="no such depth") as caught:
        engine.run()
    for part in ("Failing", "XYZ", "2024-03-01T15:39:00Z", "LookupError"):
        assert part in str(caught.value)
    assert isinstance(caught.value.__cause__, LookupError)
    assert traceback.extract_tb(caught.value.__cause__.__traceback__)[-1].name == "bad_luck"
    assert engine.results is not None
    assert engine.results.status == "failed"
    assert engine.results.fills.height == 9


def test_ctrl_c_in_a_model_is_an_interruption_not_a_fault_of_the_model() -> None:
    def interrupted() -> SlippageOut:
        raise KeyboardInterrupt

    engine = with_model(interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.run()
    assert engine.results is not None
    assert engine.results.status == "interrupted"
    assert engine.results.fills.height == 9


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf, 1e300])
def test_a_number_that_is_no_price_stops_the_run(answer: float) -> None:
    engine = with_model(lambda: SlippageOut(price_adjustment=answer))
    with pytest.raises(ModelError, match="XYZ"):
        engine.run()


def test_no_model_sells_a_share_for_less_than_nothing() -> None:
    # Half of a spread of 0.50 is more than the share costs.
    frame = bars().with_columns(pl.lit(0.10).alias(name) for name in ("open", "high", "low", "close"))
    feed = DataFeed(frame, stamp="close", interval="1m")
    engine = Engine(feed, Trader, config={"broker": {"slippage_model": {"type": "Spread", "spread": 0.5}}})
    with contextlib.suppress(ModelError):
        engine.run()
    assert engine.results is not None
    assert engine.results.fills.height > 0
    assert engine.results.fills["price"].min() > 0  # type: ignore[operator]


# --------------------------------------------------------------------------- what is over

READS: dict[str, Callable[[Any], object]] = {
    "view[symbol]": lambda kept: kept["view"]["XYZ"],
    "view.close": lambda kept: kept["view"].close,
    "list(view)": lambda kept: list(kept["view"]),
    "len(view)": lambda kept: len(kept["view"]),
    "symbol in view": lambda kept: "XYZ" in kept["view"],
    "view.items()": lambda kept: kept["view"].items(),
    "view.history": lambda kept: kept["view"].history("close", 2),
    "view.timestamp": lambda kept: kept["view"].timestamp,
    "view.get_latest_price": lambda kept: kept["view"].get_latest_price("XYZ"),
    "row[field]": lambda kept: kept["row"]["close"],
    "row.get": lambda kept: kept["row"].get("close"),
    "row.fresh": lambda kept: kept["row"].fresh,
    "row.age": lambda kept: kept["row"].age,
    "row.ts_event": lambda kept: kept["row"].ts_event,
    "repr(row)": lambda kept: repr(kept["row"]),
    "signals[name]": lambda kept: kept["signals"]["score"],
    "signals.get": lambda kept: kept["signals"].get("score"),
    "row of self.data": lambda kept: kept["own row"]["close"],
}


@pytest.mark.parametrize("read", READS)
def test_a_view_or_row_of_an_earlier_instant_refuses_to_show_a_later_one(read: str) -> None:
    refused: list[str] = []

    class Keeper(Strategy):
        kept: dict[str, Any] | None = None

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            row = data["XYZ"]
            now = {"view": data, "row": row, "signals": row["signals"], "own row": self.data["XYZ"]}
            READS[read](now)
            if self.kept is not None:
                with pytest.raises(StaleViewError, match="earlier instant") as caught:
                    READS[read](self.kept)
                refused.append(str(caught.value))
            self.kept = now

    engine_of(Keeper).run()
    assert len(refused) >= COUNT - 1


def test_views_and_rows_are_stale_after_the_run() -> None:
    kept: list[Any] = []

    class Keeper(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            kept[:] = [data, data["XYZ"]]

    engine_of(Keeper).run()
    view, row = kept
    reads: list[Callable[[], object]] = [lambda: view["XYZ"], lambda: view.close, lambda: row["close"]]
    for read in reads:
        with pytest.raises(StaleViewError):
            read()


# --------------------------------------------------------------------------- orders out of place

ORDERS: dict[str, Callable[[Any], object]] = {
    "buy": lambda broker: broker.buy("XYZ", 1),
    "sell": lambda broker: broker.sell("XYZ", 1),
    "submit_order": lambda broker: broker.submit_order("XYZ", 1),
    "order_target_percent": lambda broker: broker.order_target_percent("XYZ", 0.5),
    "order_target_value": lambda broker: broker.order_target_value("XYZ", 500),
    "order_target_quantity": lambda broker: broker.order_target_quantity("XYZ", 5),
    "order_target_weights": lambda broker: broker.order_target_weights({"XYZ": 0.5}),
    "close_position": lambda broker: broker.close_position("XYZ"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_orders_in_on_start_are_refused_with_the_place_where_they_belong(order: str) -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            ORDERS[order](self.broker)

    engine = engine_of(Early)
    with pytest.raises(EngineStateError, match="on_start") as caught:
        engine.run()
    assert "first event" in str(caught.value)
    assert engine.results is not None
    assert engine.results.orders.height == 0


@pytest.mark.parametrize("order", [*ORDERS, "cancel_order", "handle.cancel"])
def test_orders_from_another_thread_are_refused(order: str) -> None:
    errors: list[Exception] = []

    class Threaded(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            held = broker.get_position("XYZ")
            mine = broker.buy("XYZ", 1, limit_price=50)

            def work() -> None:
                actions = {
                    **{name: lambda name=name: ORDERS[name](broker) for name in ORDERS},
                    "cancel_order": lambda: broker.cancel_order(mine),
                    "handle.cancel": mine.cancel,
                }
                try:
                    actions[order]()
                except Exception as error:
                    errors.append(error)

            if held is not None:
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
            broker.buy("XYZ", 1)

    results = engine_of(Threaded).run()
    assert len(errors) == COUNT - 1
    assert all(isinstance(error, EngineStateError) and "thread" in str(error) for error in errors)
    assert results.orders.height == 2 * COUNT


def test_orders_after_the_run_are_refused() -> None:
    brokers: list[Any] = []

    class Keeper(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            brokers[:] = [broker]

    results = engine_of(Keeper).run()
    for order in ORDERS.values():
        with pytest.raises(EngineStateError, match="over"):
            order(brokers[0])
    assert results.orders.height == 0


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(StaleViewError, Ml4tError)
    assert issubclass(EngineStateError, Ml4tError)
