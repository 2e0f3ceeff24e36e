"""The strategy base class and schedules."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from ml4t.core import (
    EngineStateError,
    EventType,
    Schedule,
    Strategy,
    UnknownNameError,
    schedule,
)
from ml4t.core.errors import ConfigError
from ml4t.core.strategy import CALLBACKS, overridden_callbacks

MINUTE = 60 * 10**9


class Runtime:
    """A runtime that writes down what it is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def subscribe(self, **wanted: Any) -> None:  # noqa: ANN401
        self.calls.append(("subscribe", wanted))

    def track(self, indicator: Any, fields: Any) -> None:  # noqa: ANN401
        self.calls.append(("track", indicator, fields))

    def schedule(self, callback: Any, rule: Schedule) -> None:  # noqa: ANN401
        self.calls.append(("schedule", callback, rule))

    def record(self, values: Any) -> None:  # noqa: ANN401
        self.calls.append(("record", dict(values)))

    def log(self, message: str, level: str) -> None:
        self.calls.append(("log", message, level))


class Lazy(Strategy):
    """A strategy whose constructor does not call the base class."""

    def __init__(self, lookback: int = 20) -> None:
        self.lookback = lookback

    def on_bar(self, event: object) -> None:
        raise NotImplementedError


@pytest.fixture
def bound() -> tuple[Lazy, Runtime]:
    strategy, runtime = Lazy(), Runtime()
    strategy.bind(runtime, broker="broker", data="data")  # type: ignore[arg-type]
    return strategy, runtime


@pytest.mark.parametrize("name", ["broker", "data"])
def test_before_the_run_broker_and_data_point_to_on_start(name: str) -> None:
    with pytest.raises(
        EngineStateError, match=f"self.{name} of Lazy .* move it from the constructor to on_start"
    ):
        getattr(Lazy(), name)


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.subscribe(),
        lambda s: s.track(object()),
        lambda s: s.schedule(rule=schedule.month_end()),
        lambda s: s.record(x=1.0),
        lambda s: s.log("x"),
    ],
)
def test_before_the_run_services_point_to_on_start(use: Any) -> None:  # noqa: ANN401
    with pytest.raises(EngineStateError, match="subscribe, track, schedule, record and log of Lazy"):
        use(Lazy())


def test_an_attribute_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Lazy' object has no attribute 'lokback'"):
        _ = Lazy().lokback
    assert not hasattr(Lazy(), "lokback")


def test_a_bound_strategy_reaches_the_run(bound: tuple[Lazy, Runtime]) -> None:
    strategy, runtime = bound
    assert (strategy.broker, strategy.data, strategy.lookback) == ("broker", "data", 20)
    strategy.record(exposure=0.5)
    strategy.log("hello", level="warning")
    strategy.schedule(rule=schedule.month_end())
    strategy.schedule(strategy.on_stop, rule=schedule.every("15m"))
    assert runtime.calls == [
        ("record", {"exposure": 0.5}),
        ("log", "hello", "warning"),
        ("schedule", None, schedule.month_end()),
        ("schedule", strategy.on_stop, schedule.every("15m")),
    ]


def test_a_subscription_is_handed_on(bound: tuple[Lazy, Runtime]) -> None:
    strategy, runtime = bound
    strategy.subscribe(asset="SPY", event_type="BAR", frequency="1D")
    strategy.subscribe(event_type=EventType.SIGNAL, model_id="my_xgboost_v2")
    given = [{name: part for name, part in call[1].items() if part is not None} for call in runtime.calls]
    assert given == [
        {"asset": "SPY", "event_type": "BAR", "frequency": "1D"},
        {"event_type": EventType.SIGNAL, "model_id": "my_xgboost_v2"},
    ]


def test_wrong_arguments_of_services_are_refused(bound: tuple[Lazy, Runtime]) -> None:
    strategy, runtime = bound
    with pytest.raises(UnknownNameError, match=r"unknown log level 'warn'.* did you mean 'warning'"):
        strategy.log("x", level="warn")
    assert runtime.calls == []


def test_only_overridden_callbacks_are_named() -> None:
    assert overridden_callbacks(Strategy()) == frozenset()
    assert overridden_callbacks(Lazy()) == {"on_bar"}
    patched = Lazy()
    patched.on_data = print  # type: ignore[assignment, method-assign]
    assert overridden_callbacks(patched) == {"on_bar", "on_data"}


def test_every_callback_has_a_default_that_does_nothing() -> None:
    defined = {name for name in vars(Strategy) if name.startswith("on_")}
    assert defined == set(CALLBACKS)


def test_a_strategy_can_be_pickled_before_the_run() -> None:
    assert pickle.loads(pickle.dumps(Lazy(lookback=5))).lookback == 5


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (schedule.session_open(), "session open"),
        (schedule.session_open("30m"), "session open +30m"),
        (schedule.session_close(), "session close -5m"),
        (schedule.week_start(), "week_start open"),
        (schedule.week_end(offset="-10m"), "week_end close -10m"),
        (schedule.month_start(at="close"), "month_start close"),
        (schedule.month_end(), "month_end close"),
        (schedule.every("90m"), "every 90m"),
        (schedule.every_sessions(5, offset="1h"), "every 5 sessions open +1h"),
    ],
)
def test_rules_read_as_phrases(rule: Schedule, text: str) -> None:
    assert str(rule) == text


def test_rules_are_data() -> None:
    assert schedule.session_close("-5m").offset_ns == -5 * MINUTE
    assert schedule.every("15m").interval_ns == 15 * MINUTE
    assert {schedule.month_end(), schedule.month_end()} == {schedule.month_end()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedule.every("0m"),
        lambda: schedule.every("-1m"),
        lambda: schedule.every_sessions(0),
    ],
)
def test_a_rule_that_would_never_advance_is_refused(make: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match="must be"):
        make()


def test_an_edge_that_is_no_edge_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown edge of a session 'noon'; known: close, open"):
        schedule.month_end(at="noon")
