"""Indicators that the run keeps up to date for every instrument, before the strategy is called.

The arithmetic of an indicator is that of the object handed in; which rows it sees, and when, is decided here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ml4t.core.errors import ArgumentError, ConfigError, unknown_name
from ml4t.core.types import DataKind

if TYPE_CHECKING:
    from ml4t.reference.plan import Feed, Plan
    from ml4t.reference.readable import News

__all__ = ["IndicatorColumn"]

_OUTPUTS = {"MACD": ("line", "signal", "histogram"), "Bollinger": ("lower", "middle", "upper")}
_FIELDS = {"ATR": ("high", "low", "close")}


@final
class IndicatorColumn:
    """An indicator over all instruments: `column[symbol]`, `column.values`.

    Raises
    ------
    ArgumentError
        If the prototype has no `update`.
    ConfigError
        If no feed has the fields, or there are not as many as it takes.
    """

    def __init__(self, plan: Plan, prototype: Any, fields: Sequence[str] | None) -> None:  # noqa: ANN401
        if isinstance(prototype, type) or not hasattr(prototype, "update"):
            message = (
                f"track takes an indicator of ml4t.backtest.indicators, such as SMA(20), found {prototype!r}"
            )
            raise ArgumentError(message)
        name = type(prototype).__name__
        usual = _FIELDS.get(name, ("close",))
        chosen = usual if fields is None else tuple(fields)
        if len(chosen) != len(usual):
            message = (
                f"the indicator takes {len(usual)} fields (such as {', '.join(usual)}), found {len(chosen)}"
            )
            raise ConfigError(message)
        self._plan = plan
        self._outputs = _OUTPUTS.get(name, ("value",))
        self._sources = [_source(plan, instrument.matching, chosen) for instrument in plan.instruments]
        if not any(self._sources):
            message = f"no feed has the fields {', '.join(chosen)}"
            raise ConfigError(message)
        self._each = [copy.copy(prototype) for _ in plan.instruments]
        self._arrays = [np.full(len(plan.instruments), math.nan) for _ in self._outputs]
        self._shown = [array.view() for array in self._arrays]
        for shown in self._shown:
            shown.flags.writeable = False

    def take(self, news: News) -> None:
        """See the rows that have just become readable."""
        for index, row in news.rows:
            instrument = self._plan.feeds[index].columns["instrument"][row]
            source = self._sources[instrument]
            if source is None or source[0].index != index:
                continue
            feed, names = source
            indicator = self._each[instrument]
            indicator.update(*(float(feed.columns[name][row]) for name in names))
            value = indicator.value
            for array, each in zip(
                self._arrays, value if isinstance(value, tuple) else (value,), strict=True
            ):
                array[instrument] = each

    @property
    def values(self) -> Any:  # noqa: ANN401 - an array
        """Last answers over `data.symbols`, NaN until warm."""
        if len(self._arrays) > 1:
            message = f"this indicator has several outputs; take one of {', '.join(self._outputs)}"
            raise AttributeError(message)
        return self._shown[0]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - an array
        if name not in self.__dict__.get("_outputs", ()):
            message = f"the indicator has no output {name!r}"
            raise AttributeError(message)
        return self._shown[self._outputs.index(name)]

    def __getitem__(self, symbol: str) -> Any:  # noqa: ANN401 - a number or a tuple
        if symbol not in self._plan.symbols:
            raise unknown_name("symbol", symbol, self._plan.symbols)  # noqa: EM101
        found = tuple(float(array[self._plan.symbols.index(symbol)]) for array in self._arrays)
        return found if len(found) > 1 else found[0]


def _source(plan: Plan, matching: int | None, fields: tuple[str, ...]) -> tuple[Feed, tuple[str, ...]] | None:
    """Return the feed that an instrument takes the fields from, the matching one first, and their columns."""
    market = [feed for feed in plan.feeds if feed.kind is not DataKind.CONTEXT]
    for feed in sorted(market, key=lambda feed: feed.index != matching):
        names = tuple(
            field if field in feed.fields else field.removeprefix(f"{feed.name}.") for field in fields
        )
        if all(name in feed.fields for name in names):
            return feed, names
    return None
