"""Callbacks that no engine can call are refused: of a class before the run, timers where they are set."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Results, Strategy, schedule
from ml4t.core.errors import StrategyError
from ml4t.engine.callbacks import check_callbacks, refuse_deferred

RunOf = Callable[..., Results]
Build = Callable[..., DataFeed]


async def asynchronous(*_: object) -> None:
    raise NotImplementedError


def generator(*_: object) -> Any:  # noqa: ANN401
    yield None


async def asynchronous_generator(*_: object) -> Any:  # noqa: ANN401
    yield None


DEFERRED = {
    "async": asynchronous,
    "a generator (it has yield)": generator,
    "an async generator": asynchronous_generator,
}


@pytest.mark.parametrize("kind", DEFERRED)
def test_what_would_never_run_is_named_with_its_kind(kind: str) -> None:
    with pytest.raises(StrategyError) as refused:
        refuse_deferred(DEFERRED[kind], "on_bar of Mine")
    assert str(refused.value) == (
        f"on_bar of Mine is {kind}, and its body would never run; write a plain function with def and return"
    )


def test_what_is_no_function_is_named_with_what_it_is() -> None:
    with pytest.raises(StrategyError, match=r"^on_bar of Mine must be a function, found 3$"):
        refuse_deferred(3, "on_bar of Mine")


@pytest.mark.parametrize("kind", DEFERRED)
@pytest.mark.parametrize("name", ["on_start", "on_data", "on_margin_call", "on_daily_close", "on_stop"])
def test_every_callback_of_a_strategy_is_checked(name: str, kind: str) -> None:
    odd = type("Odd", (Strategy,), {name: DEFERRED[kind]})
    with pytest.raises(StrategyError, match=f"^{name} of Odd is "):
        check_callbacks(odd())


def test_a_callback_takes_what_it_is_called_with() -> None:
    odd = type("Odd", (Strategy,), {"on_data": lambda _, timestamp: timestamp})
    with pytest.raises(
        StrategyError, match=r"is called as on_data\(self, timestamp, data, context, broker\): "
    ):
        check_callbacks(odd())


def test_callbacks_that_can_be_called_pass_also_those_of_an_instance_and_written_in_c() -> None:
    strategy = type("Fine", (Strategy,), {"on_data": lambda self, *_: None, "on_bar": lambda self, e: None})()
    vars(strategy)["on_fill"] = print
    vars(strategy)["on_order"] = operator.itemgetter(0)
    check_callbacks(strategy)
    check_callbacks(Strategy())


@pytest.mark.parametrize("kind", DEFERRED)
def test_a_timer_that_would_never_run_is_refused_where_it_is_set(
    kind: str, run_of: RunOf, daily: Build
) -> None:
    class Sets(Strategy):
        def on_start(self) -> None:
            self.schedule(DEFERRED[kind], rule=schedule.session_close())

    with pytest.raises(StrategyError) as refused:
        run_of(Sets(), daily({"A": [10]}))
    assert str(refused.value).startswith(f"a scheduled callback of Sets is {kind}, and its body")
