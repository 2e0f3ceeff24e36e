"""The engine in plain Python: the executable specification, under the name of the documents.

It comes with the distribution `ml4t-reference` and is never chosen silently. It gives the results of the Rust
engine, far slower; use it to read what the engine does, or to check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ml4t.backtest.engine import ConfigLike
from ml4t.backtest.engine import Engine as _Engine
from ml4t.backtest.strategies import StrategyLike
from ml4t.core.config import RunConfig
from ml4t.core.sources import DataFeed
from ml4t.engine.configuration import load_config

__all__ = ["Engine"]

_NAME = "reference"


class Engine(_Engine):
    """`ml4t.backtest.Engine` with `backtest.engine = "reference"`, whatever the configuration says.

    Raises
    ------
    ConfigError, UnknownNameError
        If `ml4t-reference` is not installed.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, Strategy, datasets
    >>> from ml4t.backtest.pure_python import Engine
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> Engine(feed, Strategy).config.backtest.engine
    'reference'
    """

    def __init__(
        self,
        feed: DataFeed | Iterable[DataFeed],
        strategy: StrategyLike,
        *,
        config: ConfigLike = None,
        **parts: Any,  # noqa: ANN401 - those of `ml4t.backtest.Engine`
    ) -> None:
        super().__init__(feed, strategy, config=_on_the_reference(config), **parts)


def _on_the_reference(config: ConfigLike) -> ConfigLike:
    if isinstance(config, Mapping) or config is None:
        given = config or {}
        return {**given, "backtest": {**given.get("backtest", {}), "engine": _NAME}}
    loaded = config if isinstance(config, RunConfig) else load_config(config)
    return attrs.evolve(loaded, backtest=attrs.evolve(loaded.backtest, engine=_NAME))
