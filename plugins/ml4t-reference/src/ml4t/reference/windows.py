"""Micro-batches: rows that are handed over together, at the end of a window of time.

A window ends at every whole multiple of its length since 1970 and holds the rows that became readable after
the one before and up to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
import numpy as np

from ml4t.core import callbacks
from ml4t.core.errors import unknown_name
from ml4t.reference.timestamp import Timestamp

if TYPE_CHECKING:
    from ml4t.reference.delivery import Subscription
    from ml4t.reference.plan import Feed
    from ml4t.reference.readable import News

__all__ = ["MicroBatch", "Window"]


@final
class MicroBatch(callbacks.MicroBatch):
    """Rows of one feed that became readable within a window of time, as arrays by field."""

    __slots__ = ("_feed", "_now", "_rows")

    def __init__(self, feed: Feed, rows: list[int], now: int) -> None:
        self._feed = feed
        self._rows = rows
        self._now = now

    @property
    def kind(self) -> str:  # type: ignore[override]
        """`bar`, `quote` or `trade`."""
        return self._feed.kind.value

    @property
    def feed(self) -> str:  # type: ignore[override]
        """Name of the feed."""
        return self._feed.name

    @property
    def timestamp(self) -> Timestamp:
        """The end of the window, or of the data."""
        return Timestamp(self._now)

    @property
    def times(self) -> Any:  # noqa: ANN401 - an array
        """When each row was complete, ns since 1970 UTC."""
        return self._array("ts_event", np.int64)

    @property
    def assets(self) -> Any:  # noqa: ANN401 - an array
        """Instrument of each row, as its place in `data.symbols`."""
        return self._array("instrument", np.uint32)

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return list(self._feed.fields)

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 - an array
        if field not in self._feed.fields:
            raise unknown_name("field", field, self._feed.fields)  # noqa: EM101
        return self._array(field, np.float64)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - an array
        if name not in self._feed.fields:
            message = f"the batch has no field {name!r}; it has {', '.join(self._feed.fields)}"
            raise AttributeError(message)
        return self._array(name, np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def _array(self, column: str, kind: Any) -> Any:  # noqa: ANN401 - numpy's types
        values = self._feed.columns[column]
        array = np.array([values[row] for row in self._rows], dtype=kind)
        array.flags.writeable = False
        return array


@attrs.define(kw_only=True)
class Window:
    """Rows of one feed that one subscription wants together."""

    feed: Feed
    length: int
    subscription: Subscription
    symbols: tuple[str, ...]
    rows: list[int] = attrs.field(factory=list)
    due: int | None = None

    def take(self, news: News, now: int) -> None:
        """Take in what has become readable now."""
        for index, row in news.rows:
            if self.has(index, row):
                if self.due is None:
                    self.due = -(-now // self.length) * self.length
                self.rows.append(row)

    def give(self, now: int) -> MicroBatch:
        """Hand over the rows of a window that is over."""
        rows, self.rows, self.due = self.rows, [], None
        return MicroBatch(self.feed, rows, now)

    def has(self, index: int, row: int) -> bool:
        """Say whether a row comes in this window."""
        wanted = self.subscription.assets
        return index == self.feed.index and (
            wanted is None or self.symbols[self.feed.columns["instrument"][row]] in wanted
        )
