"""Strategies that raise, keep, write, recurse, flood, or are none: one error, and the results so far."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import Engine, Strategy, schedule
from ml4t.core.errors import (
    ConfigError,
    EngineStateError,
    Ml4tError,
    OrderError,
    StaleViewError,
    StrategyError,
)

from .inputs import Buys, by_minute, by_session, daily, kept, minutes, refused, run, tables


class OwnError(Exception):
    """An error of the strategy's own."""


def misbehaves(action: Callable[[Any, Any, Any], object], **members: Any) -> type[Strategy]:  # noqa: ANN401
    """Return a strategy that buys each session and on the third does something more."""

    def on_data(self: Any, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        broker.buy("XYZ", 1)
        if timestamp.day == 4:
            action(self, data, broker)

    return type("Misbehaves", (Strategy,), {"on_data": on_data, **members})


def fail(*_: object) -> None:
    message = "no such luck"
    raise OwnError(message)


# --------------------------------------------------------------------------- raising


def test_an_exception_comes_out_as_it_is_with_place_time_and_results() -> None:
    engine = Engine(by_session(daily()), misbehaves(fail))
    with refused(
        OwnError, "no such luck", "raised in on_data, at 2024-01-04T21:00:00Z", "engine.results"
    ) as caught:
        engine.run()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "fail"
    assert kept(engine, caught).fills.height == 2


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), MemoryError("no more"), StopIteration()], ids=repr
)
def test_what_python_raises_for_its_own_ends_comes_out_as_it_is(error: BaseException) -> None:
    def leave(*_: object) -> None:
        raise error

    engine = Engine(by_session(daily()), misbehaves(leave))
    with pytest.raises(type(error)) as caught:
        engine.run()
    assert caught.value is error
    assert kept(engine, caught).fills.height == 2


def test_partial_results_are_those_of_a_run_that_ends_there() -> None:
    engine = Engine(by_session(daily()), misbehaves(fail))
    with pytest.raises(OwnError):
        engine.run()
    whole = run(by_session(daily()))
    assert engine.results is not None
    for name in ("fills", "ledger"):
        partial, full = engine.results.table(name), whole.table(name)
        assert partial.equals(full.head(partial.height)), name


def test_an_engine_runs_again_after_a_failure_and_equals_a_clean_run() -> None:
    attempts: list[int] = []

    class FailsOnce(Buys):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            super().on_data(timestamp, data, context, broker)
            if timestamp.day == 4 and not attempts:
                attempts.append(1)
                fail()

    engine = Engine(by_session(daily()), FailsOnce)
    with pytest.raises(OwnError):
        engine.run()
    again, clean = tables(engine.run()), tables(run(by_session(daily())))
    assert all(again[name].equals(table) for name, table in clean.items())


def test_a_progress_function_that_raises_in_the_end_does_not_cost_the_results() -> None:
    engine = Engine(by_session(daily()), Buys)
    with refused(OwnError, "raised by progress after the run") as caught:
        engine.run(progress=fail)
    assert engine.results is not None
    assert engine.results.status == "complete"
    assert caught.value.partial_results is engine.results  # type: ignore[attr-defined]


def test_something_that_is_no_progress_function_is_refused_before_the_run() -> None:
    with refused(ConfigError, "progress = 3", "from 0 to 1"):
        Engine(by_session(daily()), Buys).run(progress=3)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- strategies that are none


async def asynchronous(self: Any, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
    broker.buy("XYZ", 1)


def generator(self: Any, timestamp: Any, data: Any, context: Any, broker: Any) -> Any:  # noqa: ANN401
    yield broker.buy("XYZ", 1)


async def asynchronous_generator(self: Any, timestamp: Any, data: Any, context: Any, broker: Any) -> Any:  # noqa: ANN401
    yield broker.buy("XYZ", 1)


CALLBACKS: dict[str, tuple[object, list[str]]] = {
    "async": (asynchronous, ["on_data of Odd is async", "plain function"]),
    "generator": (generator, ["on_data of Odd is a generator", "yield"]),
    "async generator": (asynchronous_generator, ["on_data of Odd is an async generator"]),
    "no function": (3, ["on_data of Odd must be a function", "found 3"]),
    "too few arguments": (
        lambda self: None,
        ["on_data of Odd is called as on_data(self, timestamp, data, context"],
    ),
    "too many arguments": (lambda self, a, b, c, d, e: None, ["is called as on_data(self", "'e'"]),
}


@pytest.mark.parametrize("what", CALLBACKS)
def test_a_callback_that_cannot_be_called_is_refused_before_the_run(what: str) -> None:
    callback, parts = CALLBACKS[what]
    engine = Engine(by_session(daily()), type("Odd", (Strategy,), {"on_data": callback}))
    with refused(StrategyError, *parts):
        engine.run()
    assert engine.results is None


def test_an_async_timer_is_refused_where_it_is_set() -> None:
    async def later() -> None:
        fail()

    class Sets(Strategy):
        def on_start(self) -> None:
            self.schedule(later, rule=schedule.session_close())

    with refused(StrategyError, "a scheduled callback of Sets is async", "raised in on_start"):
        run(by_session(daily()), Sets)


class Needs(Strategy):
    """Takes one parameter."""

    def __init__(self, lookback: int) -> None:
        self.lookback = lookback


@pytest.mark.parametrize(
    ("params", "parts"),
    [
        ({}, ["Needs", "'lookback'", "its parameters: lookback"]),
        ({"lokback": 3}, ["'lokback'", "did you mean 'lookback'?"]),
        ({"lookback": 3, "x": 1}, ["'x'", "its parameters: lookback"]),
    ],
)
def test_parameters_the_strategy_does_not_take_are_refused(params: dict[str, Any], parts: list[str]) -> None:
    with refused(StrategyError, *parts):
        run(by_session(daily()), Needs, params=params)


@pytest.mark.parametrize("strategy", [None, 3, object])
def test_something_that_is_no_strategy_is_refused(strategy: Any) -> None:  # noqa: ANN401
    with refused(StrategyError, "Strategy"):
        run(by_session(daily()), strategy)


# --------------------------------------------------------------------------- out of place


def test_a_run_of_the_same_engine_inside_a_callback_is_refused_once_and_not_by_recursion() -> None:
    engines: list[Engine] = []
    engine = Engine(by_session(daily()), misbehaves(lambda *_: engines[0].run()))
    engines.append(engine)
    with refused(EngineStateError, "this engine is running", "another Engine") as caught:
        engine.run()
    assert kept(engine, caught).fills.height == 2


def test_a_run_of_another_engine_inside_a_callback_is_a_run_of_its_own() -> None:
    inner: list[int] = []
    outer = misbehaves(lambda *_: inner.append(run(by_session(daily())).fills.height))
    assert run(by_session(daily()), outer).fills.height == 3
    assert inner == [3]


def test_a_view_of_an_earlier_instant_is_refused() -> None:
    views: list[Any] = []

    class Keeps(Buys):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            super().on_data(timestamp, data, context, broker)
            views.append(data)
            if timestamp.day == 4:
                views[0]["XYZ"]

    engine = Engine(by_session(daily()), Keeps)
    with refused(StaleViewError, "earlier instant", "self.data", "2024-01-04T21:00:00Z") as caught:
        engine.run()
    assert kept(engine, caught).fills.height == 2


def test_an_order_from_another_thread_is_refused_there_and_the_run_goes_on() -> None:
    errors: list[Exception] = []

    def elsewhere(_: Any, __: Any, broker: Any) -> None:  # noqa: ANN401
        def work() -> None:
            try:
                broker.buy("XYZ", 1_000)
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    results = run(by_session(daily()), misbehaves(elsewhere))
    assert results.status == "complete"
    assert results.orders["quantity"].to_list() == [1.0] * 4
    assert isinstance(errors[0], EngineStateError)
    assert "thread" in str(errors[0])


WRITES: dict[str, Callable[[Any, Any], object]] = {
    "row": lambda data, broker: data["XYZ"].__setitem__("close", 99.0),
    "view": lambda data, broker: setattr(data, "close", 99.0),
    "broker": lambda data, broker: setattr(broker, "cash", 99.0),
}


@pytest.mark.parametrize("what", WRITES)
def test_what_the_engine_hands_out_cannot_be_written_to(what: str) -> None:
    write = WRITES[what]
    engine = Engine(by_session(daily()), misbehaves(lambda _, data, broker: write(data, broker)))
    with pytest.raises((TypeError, AttributeError)) as caught:
        engine.run()
    assert kept(engine, caught).fills.height == 2


def test_a_window_of_history_cannot_be_written_to() -> None:
    def scribble(_: Any, data: Any, __: Any) -> None:  # noqa: ANN401
        with pytest.raises(ValueError, match="read-only"):
            data.history("close", 3, "XYZ")[:] = 99.0
        assert data.history("close", 3, "XYZ").tolist() == [10.5] * 3

    assert run(by_session(daily()), misbehaves(scribble)).status == "complete"


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("__init__", "before the run begins; move it"),
        ("on_start", "from the first event on, not in on_start"),
    ],
)
def test_an_order_before_the_first_event_is_refused_with_where_it_belongs(place: str, part: str) -> None:
    def early(self: Any) -> None:  # noqa: ANN401
        self.broker.buy("XYZ", 1)

    with refused(EngineStateError, part):
        run(by_session(daily()), type("Early", (Strategy,), {place: early}))


# --------------------------------------------------------------------------- history and records


@pytest.mark.parametrize("n", [-1, 0, 1.5, "3", None, 10**30], ids=repr)
def test_a_length_of_history_that_is_none_is_refused_with_what_is_allowed(n: Any) -> None:  # noqa: ANN401
    engine = Engine(by_session(daily()), misbehaves(lambda _, data, __: data.history("close", n, "XYZ")))
    with refused(Ml4tError, "history", "from 1 to", f"found {n!r}", "2024-01-04T21:00:00Z"):
        engine.run()


@pytest.mark.parametrize("n", [-1, 0, 1.5, "3", None, 10**30], ids=repr)
def test_a_length_of_history_that_is_none_keeps_the_results(n: Any) -> None:  # noqa: ANN401
    engine = Engine(by_session(daily()), misbehaves(lambda _, data, __: data.history("close", n, "XYZ")))
    with pytest.raises((ValueError, TypeError, OverflowError)) as caught:
        engine.run()
    assert "raised in on_data, at 2024-01-04T21:00:00Z" in caught.value.__notes__
    assert kept(engine, caught).fills.height == 2


@pytest.mark.parametrize("what", ["record", "weights", "rules"])
def test_an_argument_of_another_kind_is_an_error_of_ours(what: str) -> None:
    actions: dict[str, Callable[[Any, Any, Any], object]] = {
        "record": lambda self, _, __: self.record(x="a"),
        "weights": lambda _, __, broker: broker.order_target_weights(3),
        "rules": lambda _, __, broker: broker.set_position_rules(3),
    }
    with refused(Ml4tError, "3" if what != "record" else "x"):
        run(by_session(daily()), misbehaves(actions[what]))


def test_a_line_of_the_log_that_is_no_unicode_is_kept_as_its_escapes() -> None:
    results = run(by_session(daily()), misbehaves(lambda self, _, __: self.log("half \ud800 a pair")))
    assert results.logs["message"].to_list() == ["half \\ud800 a pair"]


# --------------------------------------------------------------------------- floods


def flood(count: int, **terms: Any) -> type[Strategy]:  # noqa: ANN401
    class Floods(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.day == 2:
                for _ in range(count):
                    broker.buy("XYZ", 1, **terms)

    return Floods


def test_a_hundred_thousand_resting_orders_are_kept_in_seconds() -> None:
    began = time.perf_counter()
    results = run(by_session(daily()), flood(100_000, limit_price=1))
    assert time.perf_counter() - began < 5
    assert results.orders.height == 100_000
    assert set(results.orders["reason_code"]) == {"END_OF_DATA"}


def test_ten_thousand_market_orders_of_one_callback_take_no_longer_than_a_second() -> None:
    began = time.perf_counter()
    results = run(by_session(daily()), flood(10_000), config={"broker": {"initial_cash": 10**9}})
    assert results.fills.height == 10_000
    assert time.perf_counter() - began < 1


@pytest.mark.soak
def test_ten_million_orders_of_one_callback_are_refused_before_memory_runs_out() -> None:
    engine = Engine(by_session(daily()), flood(10_000_000, limit_price=1))
    with refused(OrderError, "1,000,000", "2024-01-02T21:00:00Z") as caught:
        engine.run()
    assert kept(engine, caught).orders.height <= 1_000_000


def test_a_schedule_that_would_fill_the_memory_is_refused_with_its_count() -> None:
    class Ticks(Strategy):
        def on_start(self) -> None:
            self.schedule(lambda: None, rule=schedule.every("1us"))

    with refused(
        ConfigError, "every 1us is due 300,000,000 times", "10,000,000", "on_data", "raised in on_start"
    ):
        run(by_minute(minutes(5)), Ticks)
