"""Assemble a run, drive it, and hand out its results."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from ml4t.backtest.data import assemble
from ml4t.backtest.data.assemble import listed_feeds
from ml4t.backtest.data.bounds import custom_calendars
from ml4t.backtest.data.plugged import ReadEvents, ReadFeed
from ml4t.backtest.data.settings import instruments_by_symbol
from ml4t.backtest.data.signals import as_signals
from ml4t.backtest.front import TableStrategy
from ml4t.backtest.kernels import KernelStrategy
from ml4t.backtest.names import checker_of
from ml4t.backtest.sections import with_sections
from ml4t.backtest.strategies import StrategyLike, StrategySource, warn_of_near_misses
from ml4t.core.config import RunConfig, blocked_plugins
from ml4t.core.errors import (
    ConfigError,
    EngineInternalError,
    EngineStateError,
    Ml4tError,
    ModelError,
    StrategyError,
)
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.core.sources import DataFeed, EngineRun
from ml4t.core.strategy import CALLBACKS, Strategy, overridden_callbacks
from ml4t.core.values import format_ns
from ml4t.engine.algorithms import Algorithms
from ml4t.engine.benchmark import converted_returns, symbol_returns
from ml4t.engine.callbacks import check_callbacks
from ml4t.engine.chosen import chosen_models, with_symbols
from ml4t.engine.compile import ChosenModel, describe, model_path, warm_from_ns
from ml4t.engine.configuration import load_config, to_mapping
from ml4t.engine.hooks import RunHooks, all_calendars, in_spite_of
from ml4t.engine.provenance import (
    manifest_of,
    model_notes,
    run_info_of,
    strategy_identity,
    with_algorithms,
    with_strategy,
)
from ml4t.engine.results import Results, RunStatus
from ml4t.engine.runtime import Runtime, handlers_of

if TYPE_CHECKING:
    import polars as pl

    from ml4t.backtest.data import MarketData

__all__ = ["ConfigLike", "Engine", "run"]

ConfigLike: TypeAlias = RunConfig | Mapping[str, Any] | str | Path | None
Progress: TypeAlias = Callable[[float], object]


@attrs.frozen(kw_only=True)
class _Parts:
    """What a run reads beside its configuration."""

    signals: object = None
    actions: object = None
    funding: object = None
    borrow: object = None
    fx: object = None
    settlements: object = None
    margin_rates: object = None
    cash_flows: object = None
    rolls: object = None
    instruments: Any = None


@attrs.frozen(kw_only=True)
class _Origin:
    """What is known of a run before it begins."""

    manifest: Mapping[str, Any]
    benchmark: pl.DataFrame | None
    algorithms: Algorithms


class Engine:
    """A backtest: data, strategy and configuration, ready to run.

    Parameters
    ----------
    feed : DataFeed or iterable of DataFeed
        Market data.
    strategy : Strategy subclass, factory, instance, or "module:Class" / "file.py:Class"
        What decides. Every run gets a fresh instance; an instance given here serves the first run.
    config : RunConfig, mapping, path or None
        Account, policies, period, models by name; a mapping has the sections of the TOML file. `feed` and
        `strategy` stand for `[[data_feeds]]` and `[[strategies]]`; its tables and signals are read, unless
        the keyword of one is given as well, which is refused.
    params : Mapping or None
        Keywords of the strategy's constructor.
    signals, actions : object, optional
        Predictions and corporate actions; frames, paths or objects, in addition to those of the feed.
    funding, borrow : object, optional
        Funding rates of perpetual futures, and what borrowed shares cost; see "Carry".
    fx : object, optional
        Rates of currencies; see "Currencies".
    settlements : object, optional
        Settlement prices of futures; see "Futures".
    margin_rates : object, optional
        What instruments need, for the margin model; see "Margin".
    cash_flows : object, optional
        What is paid in and taken out while the run goes on; see "Accounting".
    rolls : object, optional
        When positions go from one contract into the next; see "Futures".
    instruments : optional
        Declared instruments, in addition to those of the configuration and the feed.
    calendars : optional
        Calendars of your own; they win over those of plugins, and those over the library's.
    models : Mapping or None
        Model objects by kind (`fill`, `slippage`, `impact`, `fee`, `latency`, `borrow`, `funding`,
        `interest`, `fx`, `margin`, `liquidation`), in place of the configured ones.
    plugins : PluginManager or None
        Loaded plugins; those of the environment by default.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, Engine, Strategy, datasets
    >>> class Buy(Strategy):
    ...     def __init__(self, symbol):
    ...         self.symbol = symbol
    ...
    ...     def on_data(self, timestamp, data, context, broker):
    ...         if broker.get_position(self.symbol) is None:
    ...             broker.order_target_percent(self.symbol, 0.9)
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> engine = Engine(feed, Buy, params={"symbol": "IBM"}, config={"broker": {"initial_cash": 50_000}})
    >>> results = engine.run()
    >>> results.fills["quantity"].to_list()
    [448.0]
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, each by its name
        self,
        feed: DataFeed | Iterable[DataFeed],
        strategy: StrategyLike,
        *,
        config: ConfigLike = None,
        params: Mapping[str, Any] | None = None,
        signals: object = None,
        actions: object = None,
        funding: object = None,
        borrow: object = None,
        fx: object = None,
        settlements: object = None,
        margin_rates: object = None,
        cash_flows: object = None,
        rolls: object = None,
        instruments: Any = None,  # noqa: ANN401 - instruments in any of the forms of a feed
        calendars: Any = None,  # noqa: ANN401 - an iterable of calendars
        models: Mapping[str, Any] | None = None,
        plugins: PluginManager | None = None,
    ) -> None:
        self._plugins = load_plugins(unwanted=_unwanted(config)) if plugins is None else plugins
        self._calendars = all_calendars(custom_calendars(calendars), self._plugins)
        self.config = _config(config, self._plugins, self._calendars)
        self._source = StrategySource.of(strategy, params, root=self.config.root)
        self._feeds = listed_feeds(feed)
        given = {
            "signals": signals,
            "actions": actions,
            "funding": funding,
            "borrow": borrow,
            "fx": fx,
            "settlements": settlements,
            "margin_rates": margin_rates,
            "cash_flows": cash_flows,
            "rolls": rolls,
        }
        read = with_sections(self.config, given)
        if brought := self._source.tables():
            read["signals"] = [*as_signals(read["signals"]), *brought]
        self._parts = _Parts(**read, instruments=instruments)
        self._engine = self._plugins.find("engine", self.config.backtest.engine)
        runs_native = self._engine.spec.native
        self._models = chosen_models(self.config, models or {}, self._plugins, runs_native=runs_native)
        self._data: MarketData | None = None
        self._written: tuple[object, str] | None = None
        self._checked: type[Strategy] | None = None
        self._running: set[int] = set()
        self.results: Results | None = None
        """Results of the last run, also of one that was interrupted or failed."""

    @property
    def data(self) -> MarketData:
        """The assembled market data; read and checked on first use, shared by all runs."""
        if self._data is None:
            period = self.config.backtest
            self._data = assemble(
                self._feeds,
                instruments=_declared(self.config, self._parts.instruments),
                signals=self._parts.signals,
                actions=self._parts.actions,
                funding=self._parts.funding,
                borrow=self._parts.borrow,
                fx=self._parts.fx,
                settlements=self._parts.settlements,
                margin_rates=self._parts.margin_rates,
                cash_flows=self._parts.cash_flows,
                rolls=self._parts.rolls,
                start=period.start_date,
                end=period.end_date,
                nav_calendar=period.nav_calendar,
                calendars=self._calendars,
            )
        return self._data

    def with_data(self, data: MarketData) -> Engine:
        """Return an engine with the same strategy, configuration and options that runs over other data.

        It is how one run is made again with altered tables; `audit` does it. Nothing is read or checked anew.
        """
        other = copy.copy(self)
        vars(other).update(_data=data, _written=None, _running=set(), results=None)
        return other

    def run(self, *, progress: Progress | None = None) -> Results:
        """Run from the first to the last row.

        Parameters
        ----------
        progress : callable or None
            Called from time to time with the part of the data's span that is done, 0 to 1.

        Raises
        ------
        Exception
            Whatever the strategy raises, with notes that tell where and when. The results up to then are in
            `engine.results` and in the exception's attribute `partial_results`.
        EngineStateError
            If a callback of this engine's own run calls it.
        """
        given: object = progress
        if given is not None and not callable(given):
            msg = f"progress = {progress!r}; expected a function that takes the part done, from 0 to 1"
            raise ConfigError(msg)
        thread = threading.get_ident()
        if thread in self._running:
            msg = "this engine is running, and a callback cannot run it again; make another Engine for that"
            raise EngineStateError(msg)
        self._running.add(thread)
        try:
            return self._run(progress)
        finally:
            self._running.discard(thread)

    def _run(self, progress: Progress | None) -> Results:
        started = dt.datetime.now(dt.UTC).isoformat()
        clock = _Stopwatch()
        data = self.data
        start, end = data.span_ns
        clock.lap("load")
        strategy, kernel = self._strategy()
        table = strategy.describe(data, self.config) if isinstance(strategy, TableStrategy) else None
        self._check(strategy)
        sessions = next(table for table in data.calendars if table.name == data.nav_calendar)
        warm_from = warm_from_ns(strategy.warmup, sessions, start_ns=start)
        engine = self._plugins.resolve("engine", self._engine.qualified)
        runs_native = self._engine.spec.native
        algorithms = Algorithms(self.config, self._plugins, runs_native=runs_native)
        self._models = with_symbols(
            self._models, data.symbols, self.config, self._plugins, runs_native=runs_native
        )
        description = describe(self.config, data, self._models, warm_from=warm_from)
        backtest: EngineRun = engine(description | {"algorithms": algorithms})
        runtime = Runtime(backtest, strategy, sessions=sessions, span=(start, end))
        strategy.bind(runtime, broker=backtest.broker, data=backtest.data)
        hooks = RunHooks(self._plugins)
        hooks.before(self)
        try:
            # What decides the run is written down before it: a fault found afterwards would cost the results.
            origin = self._origin(strategy, kernel, hooks, algorithms)
        except Exception as error:
            hooks.failed(self, error)
            raise
        clock.lap("assemble")
        status: RunStatus = "complete"
        used = [*self._models.values(), *([] if kernel is None else [kernel])]
        try:
            with contextlib.closing(runtime):
                if "on_start" in overridden_callbacks(strategy):
                    _begin(strategy)
                reporter = _reporter(progress, start, end)
                native: Any = backtest
                if kernel is not None and kernel.capsule is not None:
                    native.execute_kernel(kernel.model, kernel.capsule, reporter)
                elif kernel is not None and kernel.builtin is not None:
                    native.execute_table(table, reporter)
                else:
                    backtest.execute(handlers_of(strategy), reporter)
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            clock.lap("run")
            self._finish(backtest, origin, status, started=started, clock=clock)
            if _lacks_its_time(error) and backtest.now is not None:
                _note(error, f"at {format_ns(backtest.now)}")
            if isinstance(error, ModelError):
                for note in model_notes([*used, *algorithms.chosen], self._plugins):
                    _note(error, note)
            _note(
                error, f"the results up to here ({status}) are in engine.results and in error.partial_results"
            )
            _attach(error, self.results)
            hooks.failed(self, error)
            raise
        clock.lap("run")
        results = self._finish(backtest, origin, status, started=started, clock=clock)
        hooks.after(self, results)
        if progress is not None:
            _complete(progress, results)
        return results

    def _check(self, strategy: Strategy) -> None:
        """Check a strategy, once for its class unless the instance has callbacks of its own."""
        if type(strategy) is self._checked and not vars(strategy).keys() & CALLBACKS:
            return
        check_callbacks(strategy)
        warn_of_near_misses(strategy)
        self._checked = type(strategy)

    def _strategy(self) -> tuple[Strategy, ChosenModel | None]:
        """Make the strategy of a run; of a kernel also what executes it."""
        strategy = self._source.make()
        native, runs_native = self.config.backtest.native, self._engine.spec.native
        try:
            if isinstance(strategy, TableStrategy):
                if self._source.table is None and strategy.sources():
                    name = type(strategy).__name__
                    msg = f"a factory cannot bring the rows of {name}; pass the {name} itself, or its class"
                    raise StrategyError(msg)
                return strategy, model_path("strategy", strategy, native, runs_native=runs_native)
            if not isinstance(strategy, KernelStrategy):
                return strategy, None
            kernel = strategy.chosen(native, runs_native=runs_native)
        except ConfigError as error:
            raise self.config.refused(error.findings) from None
        return (strategy if kernel.capsule is not None else strategy.in_python(self.data)), kernel

    def _origin(
        self, strategy: Strategy, kernel: ChosenModel | None, hooks: RunHooks, algorithms: Algorithms
    ) -> _Origin:
        benchmark = self.config.report.benchmark
        decides: object = strategy if kernel is None else kernel.model
        params = self._source.params if kernel is None else kernel.params
        return _Origin(
            manifest=self._manifest(strategy_identity(decides, params), hooks.manifest(self), kernel),
            benchmark=None if benchmark is None else self._benchmark(benchmark),
            algorithms=algorithms,
        )

    def _manifest(
        self, identity: Mapping[str, Any], extra: Mapping[str, Any], kernel: ChosenModel | None
    ) -> dict[str, Any]:
        """Write down what decides a run; what one run of this engine wrote stands for the next."""
        lacking = None if kernel is None else getattr(kernel.model, "native_missing", None)
        native = None if kernel is None else (type(kernel.model), kernel.path, lacking)
        decides = (identity["type"], extra, native)
        if self._written is None or self._written[0] != decides:
            manifest = manifest_of(
                self.config,
                self.data,
                [*self._models.values(), *([] if kernel is None else [kernel])],
                strategy=identity,
                plugins=self._plugins,
                engine=self._engine,
                reads=[feed.reader_use for feed in self._feeds if isinstance(feed, ReadFeed | ReadEvents)],
                extra=extra,
            )
            self._written = (decides, json.dumps(manifest))
        return with_strategy(json.loads(self._written[1]), identity, kernel, self._plugins)

    def _benchmark(self, symbol: str) -> pl.DataFrame:
        try:
            return symbol_returns(self.data, symbol)
        except ConfigError as error:
            raise self.config.refused(error.findings) from None

    def _finish(
        self, backtest: EngineRun, origin: _Origin, status: RunStatus, *, started: str, clock: _Stopwatch
    ) -> Results:
        tables = backtest.tables()
        clock.lap("finish")
        benchmark, symbol = origin.benchmark, self.config.report.benchmark
        if benchmark is not None and symbol is not None:
            import polars as pl

            currency = self.data.instruments[self.data.symbols.index(symbol)].currency
            benchmark = converted_returns(benchmark, currency, pl.DataFrame(tables["balances"]))
        self.results = Results(
            tables,
            manifest=with_algorithms(origin.manifest, origin.algorithms.chosen, self._plugins),
            run_info=run_info_of(started=started, durations=clock.laps, counts=backtest.counts()),
            status=status,
            benchmark=benchmark,
            plugins=self._plugins,
        )
        return self.results


def _lacks_its_time(error: BaseException) -> bool:
    """Say whether an error is one of the engine that does not tell its time yet.

    Those of callbacks have notes that do, an internal error has it in its message.
    """
    is_of_engine = isinstance(error, Ml4tError) and not isinstance(error, EngineInternalError)
    return is_of_engine and not hasattr(error, "__notes__")


def run(  # noqa: PLR0913 - the parts of a run, each by its name
    strategy: StrategyLike,
    feed: DataFeed | Iterable[DataFeed],
    *,
    params: Mapping[str, Any] | None = None,
    config: ConfigLike = None,
    signals: object = None,
    actions: object = None,
    funding: object = None,
    borrow: object = None,
    fx: object = None,
    settlements: object = None,
    margin_rates: object = None,
    cash_flows: object = None,
    rolls: object = None,
    instruments: Any = None,  # noqa: ANN401 - instruments in any of the forms of a feed
    calendars: Any = None,  # noqa: ANN401 - an iterable of calendars
    models: Mapping[str, Any] | None = None,
    plugins: PluginManager | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run one backtest; the keywords are those of `Engine`.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, Strategy, datasets, run
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> run(Strategy, feed).status
    'complete'
    """
    engine = Engine(
        feed,
        strategy,
        config=config,
        params=params,
        signals=signals,
        actions=actions,
        funding=funding,
        borrow=borrow,
        fx=fx,
        settlements=settlements,
        margin_rates=margin_rates,
        cash_flows=cash_flows,
        rolls=rolls,
        instruments=instruments,
        calendars=calendars,
        models=models,
        plugins=plugins,
    )
    return engine.run(progress=progress)


class _Stopwatch:
    """Wall time of the parts of a run, for `run_info.json`."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


def _config(given: ConfigLike, plugins: PluginManager, calendars: Mapping[str, Any]) -> RunConfig:
    check = checker_of(calendars, plugins)
    if not isinstance(given, RunConfig):
        config = load_config(given or {}, plugins=plugins, check=check)
    elif findings := check(to_mapping(given)):
        raise given.refused(findings)
    else:
        config = given
    plugins.require(config.backtest.required_plugins)
    if findings := in_spite_of(config.backtest.blocked_plugins, plugins):
        raise config.refused(findings)
    return config


def _unwanted(config: ConfigLike) -> tuple[str, ...]:
    """Return the plugins that a configuration blocks, before any is imported."""
    return config.backtest.blocked_plugins if isinstance(config, RunConfig) else blocked_plugins(config)


def _declared(config: RunConfig, given: Any) -> Any:  # noqa: ANN401 - instruments in any of the forms of a feed
    if not config.instruments:
        return given
    return (*config.instruments, *instruments_by_symbol(given).values())


def _reporter(progress: Progress | None, start: int, end: int) -> Callable[[int], object] | None:
    if progress is None:
        return None
    width = max(end - start, 1)
    return lambda now: progress((now - start) / width)


def _begin(strategy: Strategy) -> None:
    try:
        strategy.on_start()
    except BaseException as error:
        _note(error, "raised in on_start")
        raise


def _complete(progress: Progress, results: Results) -> None:
    """Report the end; an error of the reporter comes out with the results, which are complete."""
    try:
        progress(1.0)
    except BaseException as error:
        _note(error, "raised by progress after the run; its results are in engine.results")
        _attach(error, results)
        raise


def _note(error: BaseException, text: str) -> None:
    # An exception class may refuse notes; the exception itself matters more.
    with contextlib.suppress(Exception):
        error.add_note(text)


def _attach(error: BaseException, results: Results | None) -> None:
    try:
        error.partial_results = results  # type: ignore[attr-defined]
    except AttributeError:
        # An exception class with slots; `engine.results` still has them.
        return
