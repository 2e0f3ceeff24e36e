"""When something goes wrong in a run: the exception, its notes, and what stays of the results."""

from __future__ import annotations

import re
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Results, Strategy, schedule
from ml4t.core.errors import EngineStateError, StrategyError, UnknownNameError
from ml4t.engine._engine import Run
from ml4t.engine.compile import describe

Build = Callable[..., DataFeed]
Make = Callable[..., Engine]

AT = "2024-01-03T00:00:00Z"


class OwnError(Exception):
    """Raised by strategies of these tests."""


def breaks(self: Strategy, *_: object) -> None:
    if self.data.timestamp.day == 3:
        message = "no such luck"
        raise OwnError(message)


def buys(self: Strategy, *_: object) -> None:
    if not self.broker.open_orders:
        self.broker.buy("A", 1)


def strategy_that(**callbacks: Callable[..., object]) -> type[Strategy]:
    return type("Breaks", (Strategy,), callbacks)


def schedules(self: Strategy) -> None:
    self.schedule(lambda: breaks(self), rule=schedule.session_close("0m"))


@pytest.fixture
def market(daily: Build) -> DataFeed:
    signals = pl.DataFrame(
        {
            "ts_event": pl.Series(["2024-01-03T00:00:00"]).str.to_datetime(time_zone="UTC"),
            "asset_id": ["A"],
            "score": [0.5],
        }
    )
    return daily({"A": [10, 11, 12, 13]}, signals=signals)


def failure(
    engine: Make, strategy: Strategy, market: DataFeed, error: type[BaseException] = OwnError
) -> tuple[Any, Results]:
    made = engine(strategy, market)
    with pytest.raises(error) as caught:
        made.run()
    assert made.results is not None
    assert caught.value.partial_results is made.results  # type: ignore[attr-defined]
    return caught.value, made.results


@pytest.mark.parametrize(
    ("callbacks", "note"),
    [
        ({"on_data": breaks}, f"raised in on_data, at {AT}"),
        ({"on_bar": breaks}, f"raised in on_bar, A, at {AT}"),
        ({"on_signal": breaks}, f"raised in on_signal, A, at {AT}"),
        ({"on_event": breaks}, f"raised in on_event, A, at {AT}"),
        ({"on_data": buys, "on_fill": breaks}, f"raised in on_fill, A, at {AT}"),
        ({"on_data": buys, "on_order": breaks}, f"raised in on_order, A, at {AT}"),
        ({"on_daily_close": breaks}, f"raised in on_daily_close, at {AT}"),
        ({"on_start": schedules}, f"raised in a scheduled callback, at {AT}"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_an_exception_keeps_its_traceback_and_says_where_and_when(
    engine: Make, market: DataFeed, callbacks: dict[str, Any], note: str
) -> None:
    error, results = failure(engine, strategy_that(**callbacks), market)
    assert str(error) == "no such luck"
    assert error.__notes__ == [
        note,
        "the results up to here (failed) are in engine.results and in error.partial_results",
    ]
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames[-1] == "breaks"
    assert results.status == "failed"


def test_the_rebalance_trigger_is_named_as_what_it_is(engine: Make, market: DataFeed) -> None:
    def on_start(self: Strategy) -> None:
        self.schedule(rule=schedule.session_close("0m"))

    error, _ = failure(engine, strategy_that(on_start=on_start, on_rebalance_trigger=breaks), market)
    assert error.__notes__[0] == f"raised in on_rebalance_trigger, at {AT}"


def test_an_exception_of_on_stop_says_so_and_leaves_all_results(engine: Make, market: DataFeed) -> None:
    def on_stop(self: Strategy) -> None:
        raise OwnError

    error, results = failure(engine, strategy_that(on_data=buys, on_stop=on_stop), market)
    assert error.__notes__[0] == "raised in on_stop, at 2024-01-05T00:00:00Z"
    assert results.fills.height == 3
    assert results.portfolio_history.filter(is_nav=True).height == 4


def test_an_exception_of_on_start_leaves_empty_results(engine: Make, market: DataFeed) -> None:
    def on_start(self: Strategy) -> None:
        raise OwnError

    error, results = failure(engine, strategy_that(on_start=on_start), market)
    assert error.__notes__[0] == "raised in on_start"
    assert (results.status, results.orders.height, results.portfolio_history.height) == ("failed", 0, 0)


def test_an_exception_of_the_constructor_names_the_strategy(engine: Make, market: DataFeed) -> None:
    class Needs(Strategy):
        def __init__(self, lookback: int) -> None:
            raise TypeError(lookback)

    with pytest.raises(TypeError) as caught:
        engine(Needs, market, params={"lookback": 5}).run()
    assert re.fullmatch(r"raised while making strategy .*Needs", caught.value.__notes__[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lookback": 5, "lokback": 6}, "Needs.*'lokback'.*did you mean 'lookback'"),
        ({}, "Needs.*'lookback'"),
    ],
)
def test_parameters_that_do_not_fit_the_constructor_are_refused_with_the_nearest(
    engine: Make, market: DataFeed, params: dict[str, Any], message: str
) -> None:
    class Needs(Strategy):
        def __init__(self, lookback: int) -> None:
            self.lookback = lookback

    with pytest.raises(StrategyError, match=message):
        engine(Needs, market, params=params).run()


def test_what_happened_before_the_exception_is_in_the_results(engine: Make, market: DataFeed) -> None:
    def on_data(self: Strategy, *_: object) -> None:
        buys(self)
        self.record(x=1.0)
        breaks(self)

    _, results = failure(engine, strategy_that(on_data=on_data), market)
    assert results.fills.height == 1
    assert results.recorded.height == 2
    assert results.portfolio_history.filter(is_nav=True).height == 2
    assert results.manifest["config"]["backtest"]["name"] == "backtest"
    assert results.warnings[0].startswith("The run is failed: the tables end at 2024-01-03")


def test_partial_results_can_be_saved_and_say_what_they_are(
    engine: Make, market: DataFeed, tmp_path: Path
) -> None:
    _, results = failure(engine, strategy_that(on_data=breaks), market)
    results.save(tmp_path / "run")
    assert Results.load(tmp_path / "run").status == "failed"


def test_a_keyboard_interrupt_ends_the_run_as_interrupted(engine: Make, market: DataFeed) -> None:
    def on_data(self: Strategy, *_: object) -> None:
        if self.data.timestamp.day == 3:
            raise KeyboardInterrupt

    error, results = failure(engine, strategy_that(on_data=on_data), market, KeyboardInterrupt)
    assert results.status == "interrupted"
    assert "the results up to here (interrupted)" in error.__notes__[-1]


def test_a_signal_of_the_system_stops_a_run_that_calls_nobody(engine: Make, daily: Build) -> None:
    feed = daily({f"S{k}": [10.0] * 300 for k in range(20)})
    fired = []

    def interrupt(*_: object) -> None:
        fired.append(True)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    made = engine(strategy_that(on_start=lambda self: signal.raise_signal(signal.SIGALRM)), feed)
    try:
        with pytest.raises(KeyboardInterrupt):
            made.run()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert fired == [True]


def test_an_exception_with_slots_and_one_that_refuses_notes_come_out_as_they_are(
    engine: Make, market: DataFeed
) -> None:
    class Stubborn(Exception):
        def add_note(self, note: str) -> None:
            raise RuntimeError(note)

    def on_data(self: Strategy, *_: object) -> None:
        raise Stubborn

    made = engine(strategy_that(on_data=on_data), market)
    with pytest.raises(Stubborn):
        made.run()
    assert made.results is not None


def test_exceptions_that_the_strategy_handles_do_not_end_the_run(engine: Make, market: DataFeed) -> None:
    def on_data(self: Strategy, *_: object) -> None:
        try:
            self.broker.buy("APPL", 1)
        except UnknownNameError as error:
            self.log(str(error), level="warning")

    results = engine(strategy_that(on_data=on_data), market).run()
    assert results.status == "complete"
    assert results.logs["message"].to_list() == ["unknown symbol 'APPL'; known: A"] * 4


def test_the_engine_can_run_again_after_a_failure(engine: Make, market: DataFeed) -> None:
    fails = [True]

    def on_data(self: Strategy, *_: object) -> None:
        if fails:
            fails.clear()
            raise OwnError
        buys(self)

    made = engine(strategy_that(on_data=on_data), market)
    with pytest.raises(OwnError):
        made.run()
    assert made.run().status == "complete"
    assert made.results is not None
    assert made.results.fills.height == 3


def test_a_run_cannot_be_started_from_within_itself(engine: Make, market: DataFeed) -> None:
    outcomes = []

    def on_data(self: Strategy, *_: object) -> None:
        if not outcomes:
            # Another run inside a callback is its own world.
            outcomes.append(engine(strategy_that(on_data=buys), market).run().fills.height)

    assert engine(strategy_that(on_data=on_data), market).run().status == "complete"
    assert outcomes == [3]


def test_a_native_run_executes_once(engine: Make, market: DataFeed) -> None:
    made = engine(Strategy, market)
    run = Run(describe(made.config, made.data, made._models, warm_from=0))
    run.execute({})
    with pytest.raises(EngineStateError, match="a run executes once; assemble a new one"):
        run.execute({})


def test_a_deep_recursion_in_a_strategy_is_a_python_error(engine: Make, market: DataFeed) -> None:
    def on_data(self: Strategy, *args: object) -> None:
        on_data(self, *args)

    error, _ = failure(engine, strategy_that(on_data=on_data), market, RecursionError)
    assert "raised in on_data" in error.__notes__[0]


# -- callbacks by another name ---------------------------------------------------------------------------


class HasData(Strategy):
    def on_data(self, *_: object) -> None:
        """Decide nothing."""


@pytest.mark.parametrize("engine_name", ["rust", "reference"])
@pytest.mark.parametrize("base", [Strategy, HasData])
@pytest.mark.parametrize(
    ("name", "near"),
    [("on_bars", "on_bar"), ("on_dat", "on_data"), ("onbar", "on_bar"), ("onFill", "on_fill")],
)
def test_a_method_that_nearly_is_a_callback_costs_one_warning(
    engine: Make, market: DataFeed, engine_name: str, base: type[Strategy], name: str, near: str
) -> None:
    made = engine(type("Typo", (base,), {name: buys}), market, backtest={"engine": engine_name})
    with pytest.warns(UserWarning, match=rf"Typo\.{name} is no callback .* did you mean '{near}'") as caught:
        made.run()
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["on_exit_signal", "on_entry", "on_stop_loss", "only_once", "on_date"])
def test_a_helper_costs_no_warning(engine: Make, market: DataFeed, name: str) -> None:
    callbacks = {"on_data": lambda *_: None, name: buys}
    assert engine(strategy_that(**callbacks), market).run().status == "complete"
