"""One run of what is audited, with this future or another."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from ml4t.backtest.audit.alter import alter
from ml4t.backtest.audit.compare import Decision, of_tables
from ml4t.backtest.audit.outside import Item, Outside
from ml4t.backtest.audit.outside_tables import Cut, alter_table
from ml4t.backtest.audit.readers import FileRead, patched_readers
from ml4t.backtest.audit.traced import Enough, Recorder, watch
from ml4t.backtest.data.tables import MarketData
from ml4t.backtest.engine import Engine
from ml4t.backtest.front import TableStrategy
from ml4t.backtest.kernels import KernelStrategy, is_kernel
from ml4t.backtest.strategies import StrategySource, load_class
from ml4t.core.errors import ArgumentError
from ml4t.core.strategy import Strategy

__all__ = ["Outcome", "Subject"]


@attrs.frozen(eq=False)
class Outcome:
    """What a run did: decisions in order, what was read, how it ended."""

    decisions: list[Decision]
    recorder: Recorder
    files: list[FileRead]
    symbols: tuple[str, ...]
    error: str = ""


@attrs.define(eq=False)
class Subject:
    """A strategy and all that a run of it needs.

    Attributes
    ----------
    outside
        The strategy and what reaches it beside the engine.
    parts
        Keywords of `Engine`.
    make, frames
        What makes a run out of frames, where it was given in that form.
    """

    outside: Outside
    parts: dict[str, Any]
    make: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    frames: dict[str, Any] = attrs.field(factory=dict)
    runs: int = 0
    native: bool = False
    _data: MarketData | None = None
    _engine: Engine | None = None
    _target: Any = None
    _params: dict[str, Any] = attrs.field(factory=dict)
    _watching: Recorder | None = None

    @classmethod
    def of(cls, strategy: Any, data: Any, parts: dict[str, Any], params: Mapping[str, Any]) -> Subject:  # noqa: ANN401
        """Take what `Engine` takes."""
        target = load_class(strategy) if isinstance(strategy, str) else strategy
        return cls(Outside.of(target, params), {"feed": data, **parts})

    @classmethod
    def made(cls, make: Any, frames: Mapping[str, Any], parts: dict[str, Any]) -> Subject:  # noqa: ANN401
        """Take a function from frames to the keywords of `Engine`."""
        return cls(Outside.of(make, {}), parts, make=make, frames=dict(frames))

    @property
    def data(self) -> MarketData:
        """The unaltered market data."""
        if self._data is None:
            with patched_readers(None, []):
                if self.make is None:
                    self._engine = Engine(strategy=self._fresh, **self.parts) if self._is_python() else None
                    self._data = (self._engine or self._plain()).data
                else:
                    self._data = self._from_frames(self.frames, self.make).data
        return self._data

    def _is_python(self) -> bool:
        target = self.outside.target
        kind = target if isinstance(target, type) else type(target)
        self.native = is_kernel(target) or issubclass(kind, TableStrategy | KernelStrategy)
        return not self.native

    def _plain(self) -> Engine:
        if self._engine is None:
            params = self.outside.params or None
            self._engine = Engine(strategy=self.outside.target, params=params, **self.parts)
        return self._engine

    def _fresh(self) -> Strategy:
        made = StrategySource.of(self._target, self._params, root=None).make()
        return _watched(made, self._watching)

    # ------------------------------------------------------------------------------------- running

    def run(  # noqa: PLR0913 - what is altered, each by its name
        self,
        recorder: Recorder | None = None,
        cut: Cut | None = None,
        *,
        data: MarketData | None = None,
        engine: bool = True,
        outside: bool = True,
        only: Item | None = None,
        as_left: bool = False,
    ) -> Outcome:
        """Run once.

        Parameters
        ----------
        recorder : Recorder or None
            Who is told; a new one by default, up to the instant of the cut.
        cut : Cut or None
            What is altered; nothing by default.
        data : MarketData or None
            In place of the own, altered or not.
        engine, outside : bool
            Whether the cut is made in what the engine reads, and in what reaches the strategy beside it.
        only : Item or None
            The only thing beside the engine that is altered.
        as_left : bool
            Whether modules and classes keep what the run before left in them.
        """
        self.runs += 1
        recorder = Recorder(until_ns=None if cut is None else cut.until_ns) if recorder is None else recorder
        if not as_left:
            self.outside.reset()
        return self._run(recorder, cut, data, (engine, outside), only)

    def _run(
        self,
        recorder: Recorder,
        cut: Cut | None,
        data: MarketData | None,
        where: tuple[bool, bool],
        only: Item | None,
    ) -> Outcome:
        error, engine = "", None
        inside, outside = where
        symbols: tuple[str, ...] = ()
        with self.outside.altered(cut if outside else None, only) as (target, params, files), _quiet():
            try:
                if self.make is None:
                    engine = self._of_engine(target, params, cut if inside else None, data)
                else:
                    frames = self.frames if cut is None or not inside else _altered(self.frames, cut)
                    engine = self._from_frames(frames, target, recorder)
                if data is not None:
                    engine = engine.with_data(data)
                symbols, recorder.start_ns = engine.data.symbols, engine.data.span_ns[0]
                self._watching = recorder
                engine.run()
            except Enough:
                pass
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}".splitlines()[0]
        results = None if engine is None else engine.results
        decisions = list(recorder.decisions)
        if results is not None:
            decisions += of_tables(results, calls=recorder.calls)
            decisions.sort(key=lambda each: each.at_ns)
        if error:
            decisions.append(Decision(recorder.now() if recorder.view is not None else 0, "failed", (error,)))
        return Outcome(decisions, recorder, files, symbols, error)

    def _of_engine(
        self,
        target: Any,  # noqa: ANN401 - as given
        params: dict[str, Any],
        cut: Cut | None,
        data: MarketData | None,
    ) -> Engine:
        base = self.data
        if self.native:
            engine = self._plain()
        else:
            self._target, self._params = target, params
            assert self._engine is not None
            engine = self._engine
        given = base if data is None else data
        return engine.with_data(given if cut is None else alter(given, cut.until_ns, cut.how, cut.rng()))

    def _from_frames(self, frames: Mapping[str, Any], make: Any, recorder: Recorder | None = None) -> Engine:  # noqa: ANN401
        made = make(dict(frames))
        if not (isinstance(made, Mapping) and {"strategy", "feed"} <= set(made)):
            found = f"make(frames) returned {type(made).__name__}"
            msg = f"{found}; expected the keywords of Engine, strategy and feed among them"
            raise ArgumentError(msg)
        given = {**self.parts, **made}
        strategy, params = given.pop("strategy"), given.pop("params", None)
        self.native = is_kernel(strategy) or issubclass(
            strategy if isinstance(strategy, type) else type(strategy), TableStrategy
        )
        if self.native:
            return Engine(strategy=strategy, params=params, **given)
        source = StrategySource.of(
            copy.deepcopy(strategy) if isinstance(strategy, Strategy) else strategy, params, root=None
        )
        return Engine(strategy=lambda: _watched(source.make(), recorder), **given)


def _watched(strategy: Strategy, recorder: Recorder | None) -> Strategy:
    return (
        strategy
        if recorder is None or isinstance(strategy, TableStrategy | KernelStrategy)
        else watch(strategy, recorder)
    )


def _altered(frames: Mapping[str, Any], cut: Cut) -> dict[str, Any]:
    changed = {name: alter_table(frame, cut) for name, frame in frames.items()}
    return {name: frames[name] if frame is None else frame for name, frame in changed.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings to the first run: altered data give cause for more, and none of them counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
