"""Algorithms by name, table or object, and what runs them."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from ml4t.backtest import DataFeed, Engine, Strategy
from ml4t.backtest import run as run_backtest
from ml4t.backtest.executors import Answer, ChildOrder, ExecutorArgs
from ml4t.core.cli import cli
from ml4t.core.errors import ConfigError, ModelError, OrderError, UnknownNameError
from ml4t.core.hookspecs import ExecutorSpec, hookimpl
from ml4t.core.plugins import load_plugins
from ml4t.core.types import ModelKind
from ml4t.impact import AlmgrenChrissTrajectory

Build = Callable[..., DataFeed]
Run = Any  # a run, or what a step of a script is given; see conftest
Play = Callable[..., Run]

TABLE = {"type": "AlmgrenChrissTrajectory", "gamma": 0.0, "eta": 1e-6, "periods": 2}
EVEN = AlmgrenChrissTrajectory(gamma=0.0, eta=1e-6, periods=2)
FILLS = [("A", "buy", 50.0, 11.0), ("A", "buy", 50.0, 12.0)]


@attrs.frozen
class AtOnce:
    """Sends a share of everything at once."""

    share: float = 1.0

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        return (ChildOrder(quantity=self.share * ctx.quantity),) if ctx.call == 0 else ()


def working(play: Play, daily: Build, algorithm: object, **parts: object) -> Run:
    steps = {0: lambda now: now.broker.execute("A", 100, algorithm)}
    return play(steps, daily({"A": [10, 11, 12, 13]}), **parts)


@pytest.mark.parametrize(
    "algorithm",
    [TABLE, {**TABLE, "type": "impact:AlmgrenChrissTrajectory"}, EVEN],
    ids=["table", "qualified", "object"],
)
def test_a_table_and_an_object_are_the_same(play: Play, daily: Build, algorithm: object) -> None:
    run = working(play, daily, algorithm)
    assert run.fills == FILLS
    (used,) = [each for each in run.results.manifest["models"] if each["kind"] == "executor"]
    assert (used["type"], used["plugin"], used["distribution"]) == (
        "impact:AlmgrenChrissTrajectory",
        "impact",
        "ml4t-impact",
    )
    assert used["params"]["periods"] == 2


class Buys(Strategy):
    """Gives 100 to an algorithm in the beginning."""

    def __init__(self, algorithm: object) -> None:
        self.algorithm = algorithm

    def on_data(self, timestamp: Run, data: Run, context: Run, broker: Run) -> None:
        if broker.get_position("A") is None:
            broker.execute("A", 100, self.algorithm)


@pytest.mark.parametrize(
    ("algorithm", "filled"),
    [("AtOnce", 100.0), ("desk:AtOnce", 100.0), ({"type": "AtOnce", "share": 0.5}, 50.0)],
    ids=repr,
)
def test_the_plugin_manager_finds_what_a_plugin_offers(
    daily: Build, monkeypatch: pytest.MonkeyPatch, algorithm: object, filled: float
) -> None:
    module = types.ModuleType("ml4t_desk_of_a_test")
    module.AtOnce = AtOnce  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    class Desk:
        @hookimpl
        def ml4t_register_executors(self) -> list[ExecutorSpec]:
            return [ExecutorSpec("AtOnce", f"{module.__name__}:AtOnce", summary="all at once")]

    plugins = load_plugins()
    plugins.register(Desk(), name="desk")
    assert plugins.resolve(ModelKind.EXECUTOR, "AtOnce") is AtOnce
    results = Engine(daily({"A": [10, 11]}), lambda: Buys(algorithm), plugins=plugins).run()
    assert results.fills["quantity"].to_list() == [filled]


def test_a_table_may_come_as_a_parameter_of_the_strategy(daily: Build) -> None:
    results = run_backtest(Buys, daily({"A": [10, 11]}), params={"algorithm": TABLE})
    assert results.fills["quantity"].to_list() == [50.0]


# -- what is refused ---------------------------------------------------------------------------------------


def test_all_wrong_parameters_are_told_at_once(play: Play, daily: Build) -> None:
    table = {"type": "AlmgrenChrissTrajectory", "gama": 1.0, "eta": -1.0}
    with pytest.raises(ConfigError) as refused:
        working(play, daily, table)
    found = {finding.path: finding.nearest for finding in refused.value.findings}
    assert found == {
        "algorithm.gama": "gamma",
        "algorithm.gamma": None,
        "algorithm.eta": None,
        "algorithm.periods": None,
    }


@pytest.mark.parametrize("name", ["AlmgrenChrissTrajectorie", "impact:Nothing"])
def test_an_unknown_name_is_refused_with_those_there_are(play: Play, daily: Build, name: str) -> None:
    with pytest.raises(UnknownNameError, match="AlmgrenChrissTrajectory"):
        working(play, daily, name)


def test_a_table_without_a_type_is_refused(play: Play, daily: Build) -> None:
    with pytest.raises(ConfigError, match=r"algorithm\.type: required, but missing"):
        working(play, daily, {"gamma": 1.0})


class Plain:
    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        return ()


@attrs.frozen
class Mute:
    """No algorithm: it answers nothing."""


@pytest.mark.parametrize(
    "algorithm",
    [7, None, Plain(), Mute(), AlmgrenChrissTrajectory, len],
    ids=["number", "none", "no attrs class", "no evaluate", "class", "function"],
)
def test_what_is_no_algorithm_is_refused(play: Play, daily: Build, algorithm: object) -> None:
    with pytest.raises(ModelError, match="expected an instance of an attrs class with evaluate"):
        working(play, daily, algorithm)


# -- native or Python --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "path"), [("prefer", "capsule"), ("require", "capsule"), ("never", "python")]
)
def test_native_code_runs_where_the_policy_allows(play: Play, daily: Build, native: str, path: str) -> None:
    run = working(play, daily, EVEN, backtest={"native": native})
    assert run.results.execution_paths["executor"] == path
    assert run.fills == FILLS


def test_an_algorithm_in_python_is_refused_where_native_code_is_required(play: Play, daily: Build) -> None:
    with pytest.raises(ConfigError, match="AtOnce"):
        working(play, daily, AtOnce(), backtest={"native": "require"})


def test_where_algorithms_run_by_different_ways_both_are_named(play: Play, daily: Build) -> None:
    def both(now: Run) -> None:
        for algorithm in (EVEN, AtOnce(), EVEN):
            now.broker.execute("A", 100, algorithm)

    run = play({0: both}, daily({"A": [10, 11, 12]}))
    assert run.results.execution_paths["executor"] == "capsule and python"
    used = [each["type"] for each in run.results.manifest["models"] if each["kind"] == "executor"]
    # Once each, in the sequence of their first use.
    assert [name.rpartition(":")[2] for name in used] == ["AlmgrenChrissTrajectory", "AtOnce"]


def test_an_error_of_native_code_says_who_where_and_when(play: Play, daily: Build) -> None:
    averse = attrs.evolve(EVEN, risk_aversion=1e-6)
    with pytest.raises(ModelError) as refused:
        working(play, daily, averse)
    text = str(refused.value)
    # The version of the native table stands behind its name.
    assert re.match(r"executor AlmgrenChrissTrajectory [\w ]*1, A, 2024-01-02T00:00:00Z: ", text)
    assert "needs a volatility of earlier sessions" in text


def test_the_reference_engine_refuses_and_says_what_to_set(play: Play, daily: Build) -> None:
    with pytest.raises(OrderError) as refused:
        working(play, daily, AtOnce(), backtest={"engine": "reference"})
    assert str(refused.value) == (
        "the engine 'reference' works no orders by execution algorithms, AtOnce(share=1.0) was asked for "
        '(A, 2024-01-02T00:00:00Z); set backtest.engine = "rust"'
    )


def test_the_command_lists_what_is_installed() -> None:
    answer = CliRunner().invoke(cli, ["plugins", "--kind", "executor"])
    assert answer.exit_code == 0, answer.output
    assert "AlmgrenChrissTrajectory" in answer.output
    assert "SquareRoot" not in answer.output
