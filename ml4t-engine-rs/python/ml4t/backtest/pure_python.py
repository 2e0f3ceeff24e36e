"""The engine in plain Python: the executable specification, under the name of the documents.

It comes with the distribution `ml4t-reference` and is never chosen silently. It gives the results of the Rust
engine, some hundred times slower; use it where no wheel exists, or to read what the engine does.
"""

from __future__ import annotations

from typing import Any

import attrs

from ml4t.backtest.engine import Engine as _Engine

__all__ = ["Engine"]


class Engine(_Engine):
    """`ml4t.backtest.Engine` with `backtest.engine = "reference"`.

    Raises
    ------
    UnknownNameError
        When it runs, if `ml4t-reference` is not installed.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, Strategy, datasets
    >>> from ml4t.backtest.pure_python import Engine
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> Engine(feed, Strategy).config.backtest.engine
    'reference'
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of `ml4t.backtest.Engine`
        super().__init__(*args, **kwargs)
        self.config = attrs.evolve(
            self.config, backtest=attrs.evolve(self.config.backtest, engine="reference")
        )
