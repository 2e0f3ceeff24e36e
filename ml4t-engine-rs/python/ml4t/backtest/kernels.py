"""Strategy kernels: native code that the engine calls at every instant, without the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import StrategyError
from ml4t.core.strategy import Strategy
from ml4t.core.types import DataKind
from ml4t.engine.compile import model_path

if TYPE_CHECKING:
    from ml4t.backtest.data.tables import FeedTable, MarketData
    from ml4t.core.config import NativePolicy
    from ml4t.core.instrument import Instrument
    from ml4t.engine.compile import ChosenModel

__all__ = ["FeedColumns", "KernelStrategy", "Universe", "is_kernel"]


def is_kernel(made: object) -> bool:
    """Say whether an object is a strategy kernel: no Strategy, but with a function table of that kind.

    A native model that is asked about fills has `evaluate`, and is none.
    """
    if isinstance(made, type | Strategy):
        return False
    has_table = hasattr(made, "__ml4t_model_v1__") and not hasattr(made, "evaluate")
    return has_table or hasattr(made, "python_strategy")


@attrs.frozen(kw_only=True)
class FeedColumns:
    """What a kernel may read of a feed."""

    name: str
    kind: DataKind
    columns: tuple[str, ...]
    instruments: frozenset[int]  #: indices of those with rows; none for context, whose rows belong to all

    @classmethod
    def of(cls, feed: FeedTable) -> FeedColumns:
        """Read them off a feed."""
        is_context = feed.kind is DataKind.CONTEXT
        found = () if is_context else feed.frame["instrument"].unique().to_list()
        columns = (*VALUE_COLUMNS[feed.kind], *feed.extra)
        return cls(name=feed.name, kind=feed.kind, columns=columns, instruments=frozenset(found))


@attrs.frozen(kw_only=True)
class Universe:
    """Everything that a kernel can name: instruments by index, columns by feed, signals."""

    instruments: tuple[Instrument, ...]
    feeds: tuple[FeedColumns, ...]
    signals: tuple[str, ...]

    @classmethod
    def of(cls, data: MarketData) -> Universe:
        """Read it off the data of a run."""
        return cls(
            instruments=data.instruments,
            feeds=tuple(FeedColumns.of(feed) for feed in data.feeds),
            signals=() if data.signals is None else data.signals.names,
        )


class KernelStrategy(Strategy):
    """A strategy whose decisions are made in native code.

    Parameters
    ----------
    kernel : object
        An attrs-frozen instance with `__ml4t_model_v1__(100)`, which answers a capsule with a table of kind
        strategy, and perhaps with `python_strategy()`, the same decisions as a `Strategy` in Python. That
        strategy may have a method `resolve_columns(universe)`, which is called before the run. An attribute
        `warmup` of the kernel is that of the strategy.
    """

    def __init__(self, kernel: object) -> None:
        self.kernel = kernel
        self.warmup = getattr(kernel, "warmup", 0)

    def chosen(self, native: NativePolicy, *, runs_native: bool) -> ChosenModel:
        """Decide what executes the kernel.

        Raises
        ------
        ConfigError
            If only native code is allowed and there is none.
        StrategyError
            If there is neither native code that may run nor a form in Python.
        """
        choice = model_path("strategy", self.kernel, native, runs_native=runs_native)
        if choice.path == "python" and not hasattr(self.kernel, "python_strategy"):
            name = type(self.kernel).__name__
            msg = (
                f"{name} has native code only, which this run does not use "
                f"(backtest.native = {native.value!r}); give it a method python_strategy()"
            )
            raise StrategyError(msg)
        return choice

    def in_python(self, data: MarketData) -> Strategy:
        """Make the kernel's form in Python, for a run on some data."""
        made: Any = self.kernel
        strategy = made.python_strategy()
        if not isinstance(strategy, Strategy):
            msg = (
                f"{type(self.kernel).__name__}.python_strategy() returned {strategy!r}, which is no Strategy"
            )
            raise StrategyError(msg)
        if resolve := getattr(strategy, "resolve_columns", None):
            resolve(Universe.of(data))
        return strategy
