"""`Context`: market-wide series by name, and room for a strategy's own attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

from ml4t.core.errors import unknown_name
from ml4t.reference.events import as_name
from ml4t.reference.readable import Readable

__all__ = ["Context"]


@final
class Context:
    """The last known value of each market-wide series, such as a volatility index or a rate.

    One object serves the whole run and always shows the present instant. Attributes are the strategy's own:
    `context.anything = value` is kept until the run is over.
    """

    # A strategy's attributes go to `__dict__`, which holds nothing else.
    __slots__ = ("__dict__", "_readable")

    def __init__(self, readable: Readable) -> None:
        self._readable = readable

    def __getitem__(self, name: str) -> float:
        if name not in self:
            raise unknown_name("market-wide series", name, self.keys())  # noqa: EM101
        return self._readable.series_value(name)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a float, or whatever the default is
        """Return the last known value, NaN before the first, or `default` when there is no such series."""
        return self._readable.series_value(name) if name in self else default

    def __contains__(self, name: str) -> bool:
        return as_name(name, "a series") in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return the names of the series."""
        return self._readable.series
