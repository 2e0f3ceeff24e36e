"""Names under which the documents ask for the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml4t.backtest.engine import Engine
from ml4t.core.config import RunConfig
from ml4t.core.errors import EngineStateError
from ml4t.core.sources import DataFeed
from ml4t.core.strategy import Strategy
from ml4t.engine.results import Results

__all__ = ["RustEngine"]


class RustEngine:
    """An engine that drives plain callbacks instead of a strategy object.

    Parameters
    ----------
    feed : DataFeed
        Market data.
    config : RunConfig, mapping, path or None
        As `ml4t.backtest.Engine`.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, datasets
    >>> from ml4t.backtest.core import RustEngine
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> engine = RustEngine(feed, None)
    >>> engine.register_callback(lambda timestamp, data, context, broker: None)
    >>> engine.run().status
    'complete'
    """

    def __init__(self, feed: DataFeed, config: RunConfig | Mapping[str, Any] | str | None = None) -> None:
        self._feed = feed
        self._config = config
        self._engine: Engine | None = None

    def register_callback(self, callback: Callable[..., object]) -> None:
        """Call `callback(timestamp, data, context, broker)` at every instant.

        A bound method of a `Strategy` brings the strategy with it: its other callbacks are called as well.
        """
        if self._engine is not None:
            msg = "a callback is registered already; an engine drives one, which may call others"
            raise EngineStateError(msg)
        owner = getattr(callback, "__self__", None)
        strategy = owner if isinstance(owner, Strategy) else _of_callback(callback)
        self._engine = Engine(self._feed, strategy, config=self._config)

    def run(self) -> Results:
        """Run to the end of the data.

        Raises
        ------
        EngineStateError
            If no callback was registered.
        """
        if self._engine is None:
            msg = "no callback; call engine.register_callback(strategy.on_data) first"
            raise EngineStateError(msg)
        return self._engine.run()


def _of_callback(callback: Callable[..., object]) -> Strategy:
    class Callback(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            callback(timestamp, data, context, broker)

    return Callback()
