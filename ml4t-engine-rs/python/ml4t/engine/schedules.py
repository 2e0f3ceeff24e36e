"""Turn schedule rules into instants with the session table of the NAV calendar."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ml4t.backtest.calendars import SessionTable
from ml4t.core.errors import ConfigError
from ml4t.core.schedule import Schedule, ScheduleKind, SessionEdge

__all__ = ["instants"]

Session = tuple[date, int, int]
MOST_INSTANTS = 10_000_000


def instants(rule: Schedule, table: SessionTable, *, start_ns: int, end_ns: int) -> list[int]:
    """Return the instants of a rule within a span, ascending, ns UTC.

    Parameters
    ----------
    rule : Schedule
        When.
    table : SessionTable
        Sessions of the NAV calendar; it reaches beyond the span, so that the last session of a week or
        month is known to be the last.
    start_ns, end_ns : int
        First and last instant that counts, both included.
    """
    sessions: list[Session] = list(table.frame.select("label", "open_ns", "close_ns").iter_rows())
    if rule.kind is ScheduleKind.EVERY:
        _refuse_flood(rule, sessions, start_ns=start_ns, end_ns=end_ns)
        times = [
            ts
            for _, opened, closed in sessions
            if closed > start_ns and opened <= end_ns
            for ts in range(opened, closed, rule.interval_ns)
        ]
    else:
        selected = _selected(sessions, rule, start_ns)
        times = [_edge(session, rule) for session in selected]
        if rule.at is SessionEdge.CLOSE:
            # What closes when the run begins is the end of something that is not part of it.
            times = [ts for ts in times if ts > start_ns]
    return sorted({ts for ts in times if start_ns <= ts <= end_ns})


def _refuse_flood(rule: Schedule, sessions: Iterable[Session], *, start_ns: int, end_ns: int) -> None:
    """Refuse more instants than memory is for: a unit is wrong, or on_data is what is wanted."""
    spans = ((max(opened, start_ns), min(closed, end_ns)) for _, opened, closed in sessions)
    count = sum(max(last - first, 0) // rule.interval_ns for first, last in spans)
    if count > MOST_INSTANTS:
        msg = (
            f"schedule {rule} is due {count:,} times in this run, and at most {MOST_INSTANTS:,} are kept; "
            "choose a longer interval, or act in on_data"
        )
        raise ConfigError(msg)


def _edge(session: Session, rule: Schedule) -> int:
    _, opened, closed = session
    return (opened if rule.at is SessionEdge.OPEN else closed) + rule.offset_ns


def _selected(sessions: list[Session], rule: Schedule, start_ns: int) -> Iterable[Session]:
    match rule.kind:
        case ScheduleKind.WEEK_START | ScheduleKind.WEEK_END:
            groups = _grouped(sessions, week=True)
        case ScheduleKind.MONTH_START | ScheduleKind.MONTH_END:
            groups = _grouped(sessions, week=False)
        case ScheduleKind.EVERY_SESSIONS:
            return [session for session in sessions if session[2] > start_ns][:: rule.sessions]
        case _:
            return sessions
    # The table may begin or end inside a week or month; its first and last group are not known in full.
    if rule.kind in (ScheduleKind.WEEK_START, ScheduleKind.MONTH_START):
        return [group[0] for group in groups[1:]]
    return [group[-1] for group in groups[:-1]]


def _grouped(sessions: list[Session], *, week: bool) -> list[list[Session]]:
    groups: list[list[Session]] = []
    previous: tuple[int, int] | None = None
    for session in sessions:
        key = session[0].isocalendar()[:2] if week else (session[0].year, session[0].month)
        if key != previous:
            groups.append([])
            previous = key
        groups[-1].append(session)
    return groups
