"""Calendars: when each session opens and closes, and where trading rests inside of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Sessions"]


@attrs.frozen(kw_only=True)
class Sessions:
    """Trading days of one calendar: `labels` are days since 1970, opens and closes instants, ascending.

    Trading rests from `rests` to `resumes`, instants inside of sessions.
    """

    name: str
    labels: tuple[int, ...]
    opens: tuple[int, ...]
    closes: tuple[int, ...]
    rests: tuple[int, ...] = ()
    resumes: tuple[int, ...] = ()

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Sessions:
        """Parse the table of a calendar; one without breaks has no table of them."""
        table, breaks = spec["frame"], spec.get("breaks")
        return cls(
            name=spec["name"],
            labels=tuple(table["label"].to_list()),
            opens=tuple(table["open_ns"].to_list()),
            closes=tuple(table["close_ns"].to_list()),
            rests=() if breaks is None else tuple(breaks["start_ns"].to_list()),
            resumes=() if breaks is None else tuple(breaks["end_ns"].to_list()),
        )

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """From when to when there is trading without a break."""
        return list(
            zip(sorted((*self.opens, *self.resumes)), sorted((*self.closes, *self.rests)), strict=True)
        )

    def is_break(self, begin: int, end: int) -> bool:
        """Say whether data from the one instant to the other lie in a break with all of it.

        A tick at either end of a break is of the trading there.
        """
        # The last break that has begun by then.
        place = bisect_right(self.rests, begin) - 1
        if place < 0 or end > self.resumes[place]:
            return False
        return begin < end or self.rests[place] < begin < self.resumes[place]
