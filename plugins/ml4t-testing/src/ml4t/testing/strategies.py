"""The suite of strategies: classes in Python, and kernels.

An author names the class and its parameters::

    class TestTrend(StrategyCompliance):
        strategy = Trend
        params = {"lookback": 20}
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from ml4t.backtest import run
from ml4t.core.errors import StrategyError, UnknownNameError
from ml4t.core.strategy import Strategy
from ml4t.testing.asking import Made, fail
from ml4t.testing.capabilities import Capabilities
from ml4t.testing.draws import bars
from ml4t.testing.market import feed_of, tables_of
from ml4t.testing.models import load

__all__ = ["StrategyCompliance"]

SESSIONS = 120
SYMBOLS = ("ABC", "KLM", "XYZ")
THREADS = 4


class StrategyCompliance:
    """What holds for a strategy; every claim is looked at in backtests on random bars.

    Attributes
    ----------
    strategy : type
        A subclass of `Strategy`, or a class of kernels.
    params : mapping
        Its parameters.
    capabilities : Capabilities
        Of these `no_native`, `no_python` and `not_registered` are read.
    name : str or None
        Its name in the registration; None takes the name of its class.
    seed : int
        Of the random bars.
    """

    strategy: Any = None
    params: ClassVar[Mapping[str, Any]] = {}
    capabilities: ClassVar[Capabilities] = Capabilities()
    name: ClassVar[str | None] = None
    plugin: ClassVar[str | None] = None
    seed: ClassVar[int] = 20_240_301

    @pytest.fixture(name="strategy")
    def _given_strategy(self) -> Made:
        return self.checked_strategy()

    def checked_strategy(self) -> Made:
        """Return the class of the suite."""
        if not isinstance(self.strategy, type):
            fail(
                f"{type(self).__name__}.strategy is {self.strategy!r}",
                "give the suite a class: `strategy = Mine`",
            )
        return self.strategy

    def market(self) -> Made:
        """Return the bars of the backtests; override it for columns that the strategy reads."""
        return bars(self.seed, sessions=SESSIONS, symbols=SYMBOLS)

    def result(self, strategy: Made, frame: Made, **options: Any) -> Made:  # noqa: ANN401
        """Run one backtest and return its results."""
        config: dict[str, Any] = {"broker": {"initial_cash": 1_000_000}}
        config["backtest"] = {
            "native": options.pop("native", "never" if self.capabilities.no_native else "prefer")
        }
        return run(strategy, feed_of(frame), params=dict(self.params), config=config, **options)

    def test_it_is_found_by_its_name(self, strategy: Made) -> None:
        if self.capabilities.not_registered:
            pytest.skip("Capabilities(not_registered=True)")
        name = self.name or strategy.__name__
        full = f"{self.plugin}:{name}" if self.plugin else name
        try:
            offer = load().find("strategy", full)
        except Exception as error:
            fail(
                f"no plugin offers the strategy {full!r}: {error}",
                "install the distribution (pip install -e .) and return ModelSpec(ModelKind.STRATEGY, ...) "
                "from ml4t_register_models; `ml4t plugins --failed` shows what could not be loaded",
            )
        if offer.spec.load() is not strategy:
            fail(f"{offer.qualified} is {offer.spec.target}", f"let its target name {strategy!r}")

    def test_a_configuration_can_name_it(self, strategy: Made) -> None:
        if self.capabilities.not_registered:
            pytest.skip("Capabilities(not_registered=True): its module need not be importable")
        target = f"{strategy.__module__}:{strategy.__qualname__}"
        try:
            self.result(target, self.market())
        except (StrategyError, UnknownNameError) as error:
            fail(
                f"{target} cannot run by its name: {error}",
                "define the class at the top of an importable module",
            )

    def test_it_trades_in_a_run(self, strategy: Made) -> None:
        if self.result(strategy, self.market()).fills.height == 0:
            fail(
                f"{strategy.__name__} does not trade on {SESSIONS} sessions of {', '.join(SYMBOLS)}",
                "give `params` that trade on prices around 50, or override `market`",
            )

    def test_equal_runs_give_equal_tables(self, strategy: Made) -> None:
        first, second = (tables_of(self.result(strategy, self.market())) for _ in range(2))
        if first != second:
            fail(
                f"two runs of {strategy.__name__} on the same data differ",
                "keep state in the instance, not in the class; seed random numbers; use no clock",
            )

    def test_a_decision_does_not_depend_on_what_comes_after_it(self, strategy: Made) -> None:
        frame = self.market()
        cut = sorted(frame["session"].unique())[SESSIONS // 2]
        early = self.result(strategy, frame.filter(frame["session"] <= cut)).fills
        whole = self.result(strategy, frame).fills
        last = early["ts_event"].max()
        if last is None:
            return
        names = ["ts_event", "symbol", "side", "quantity", "price"]
        before = whole.filter(whole["ts_event"] <= last).select(names)
        if not early.select(names).equals(before):
            fail(
                f"{strategy.__name__} trades differently up to {cut} when later data is there",
                "take prices from `data` and `history` only, and read no file in the strategy",
            )

    def test_runs_in_threads_give_the_tables_of_one_alone(self, strategy: Made) -> None:
        frame = self.market()
        alone = tables_of(self.result(strategy, frame))
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda _: tables_of(self.result(strategy, frame)), range(THREADS)))
        if any(each != alone for each in found):
            fail(
                f"runs of {strategy.__name__} disturb one another in {THREADS} threads",
                "keep nothing in class or module variables, nor in static variables of a library",
            )

    def test_an_unknown_parameter_is_refused(self, strategy: Made) -> None:
        try:
            run(strategy, feed_of(self.market()), params={**self.params, "no_such_parameter": 1})
        except (StrategyError, TypeError):
            return
        fail(f"{strategy.__name__} accepts no_such_parameter", "name its parameters; take no **kwargs")

    def test_data_without_volume_is_survived(self, strategy: Made) -> None:
        frame = self.market()
        if "volume" in frame.columns and "volume" not in self.capabilities.needs:
            try:
                self.result(strategy, frame.drop("volume"))
            except Exception as error:
                fail(
                    f"without volume {strategy.__name__} raises {type(error).__name__}: {error}",
                    'look whether a number is NaN before using it; or declare Capabilities(needs={"volume"})',
                )

    def test_native_code_and_python_give_the_same_tables(self, strategy: Made) -> None:
        is_python = issubclass(strategy, Strategy)
        if self.capabilities.no_native:
            if not is_python:
                fail(f"{strategy.__name__} has native code", "take back Capabilities(no_native=True)")
            pytest.skip("Capabilities(no_native=True)")
        if is_python:
            fail(f"{strategy.__name__} is written in Python", "declare Capabilities(no_native=True)")
        if missing := getattr(strategy(**self.params), "native_missing", None):
            pytest.skip(f"no native code here: {missing}")
        has_python = hasattr(strategy, "python_strategy")
        if self.capabilities.no_python:
            if has_python:
                fail(f"{strategy.__name__} has python_strategy", "take back Capabilities(no_python=True)")
            pytest.skip("Capabilities(no_python=True)")
        if not has_python:
            fail(
                f"{strategy.__name__} has no form in Python to compare with",
                "write python_strategy(self), which returns a Strategy, or declare no_python=True",
            )
        native, python = (
            tables_of(self.result(strategy, self.market(), native=policy)) for policy in ("require", "never")
        )
        if native != python:
            different = [name for name, bits in native.items() if bits != python[name]]
            fail(
                f"{strategy.__name__} trades differently as native code, in the tables "
                f"{', '.join(different)}",
                "write both with the same operations in the same sequence, and send the same kinds of orders",
            )
