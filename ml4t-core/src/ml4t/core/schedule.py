"""When a strategy wants to be called, as data.

A rule names no date: the engine turns it into instants with the sessions of the run's NAV calendar. Offsets
are durations such as "30m" or "-5m" from the open or the close of the selected session.
"""

from __future__ import annotations

import enum

import attrs

from ml4t.core.errors import ConfigError, unknown_name
from ml4t.core.values import format_duration, parse_duration

__all__ = ["Schedule"]


class ScheduleKind(enum.Enum):
    """Which sessions or instants a rule selects."""

    SESSION = "session"
    WEEK_START = "week_start"
    WEEK_END = "week_end"
    MONTH_START = "month_start"
    MONTH_END = "month_end"
    EVERY = "every"
    EVERY_SESSIONS = "every_sessions"


class SessionEdge(enum.Enum):
    """Which end of the selected session the offset counts from."""

    OPEN = "open"
    CLOSE = "close"


def _edge(value: str | SessionEdge) -> SessionEdge:
    edges = {edge.value: edge for edge in SessionEdge}
    if isinstance(value, str) and value not in edges:
        raise unknown_name("edge of a session", value, edges)  # noqa: EM101
    return edges[value] if isinstance(value, str) else value


@attrs.frozen
class Schedule:
    """One rule, built by the functions of this module."""

    kind: ScheduleKind
    at: SessionEdge = attrs.field(default=SessionEdge.OPEN, converter=_edge, kw_only=True)
    offset_ns: int = attrs.field(default=0, converter=parse_duration, kw_only=True)
    interval_ns: int = attrs.field(default=0, converter=parse_duration, kw_only=True)  #: of EVERY
    sessions: int = attrs.field(default=0, kw_only=True)  #: of EVERY_SESSIONS

    def __attrs_post_init__(self) -> None:
        if self.kind is ScheduleKind.EVERY and self.interval_ns <= 0:
            msg = f"the interval of a schedule must be above zero, found {format_duration(self.interval_ns)}"
            raise ConfigError(msg)
        count: object = self.sessions
        is_whole = isinstance(count, int) and not isinstance(count, bool)
        if self.kind is ScheduleKind.EVERY_SESSIONS and not (is_whole and self.sessions >= 1):
            msg = f"the sessions of a schedule must be a whole number of at least 1, found {count!r}"
            raise ConfigError(msg)

    def __str__(self) -> str:
        if self.kind is ScheduleKind.EVERY:
            return f"every {format_duration(self.interval_ns)}"
        what = f"every {self.sessions} sessions" if self.sessions else self.kind.value
        sign = "+" if self.offset_ns > 0 else ""
        offset = f" {sign}{format_duration(self.offset_ns)}" if self.offset_ns else ""
        return f"{what} {self.at.value}{offset}"


def session_open(offset: str = "0m") -> Schedule:
    """Every session, at its open plus `offset`."""
    return Schedule(ScheduleKind.SESSION, at="open", offset_ns=offset)


def session_close(offset: str = "-5m") -> Schedule:
    """Every session, at its close plus `offset`; five minutes before unless told otherwise."""
    return Schedule(ScheduleKind.SESSION, at="close", offset_ns=offset)


def week_start(*, at: str = "open", offset: str = "0m") -> Schedule:
    """Select the first session of every ISO week (Monday to Sunday)."""
    return Schedule(ScheduleKind.WEEK_START, at=at, offset_ns=offset)


def week_end(*, at: str = "close", offset: str = "0m") -> Schedule:
    """Select the last session of every ISO week (Monday to Sunday)."""
    return Schedule(ScheduleKind.WEEK_END, at=at, offset_ns=offset)


def month_start(*, at: str = "open", offset: str = "0m") -> Schedule:
    """Select the first session of every calendar month."""
    return Schedule(ScheduleKind.MONTH_START, at=at, offset_ns=offset)


def month_end(*, at: str = "close", offset: str = "0m") -> Schedule:
    """Select the last session of every calendar month."""
    return Schedule(ScheduleKind.MONTH_END, at=at, offset_ns=offset)


def every(interval: str) -> Schedule:
    """Fire at a fixed distance, counted from the open of each session, while it is open."""
    return Schedule(ScheduleKind.EVERY, interval_ns=interval)


def every_sessions(n: int, *, at: str = "open", offset: str = "0m") -> Schedule:
    """Select every n-th session, counted from the first of the run."""
    return Schedule(ScheduleKind.EVERY_SESSIONS, at=at, offset_ns=offset, sessions=n)
