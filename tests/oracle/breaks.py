"""Calendars whose trading rests every day: random cases have quotes, prints and bars around the breaks."""

from __future__ import annotations

import datetime as dt

import attrs
from hypothesis import strategies as st

__all__ = ["Hours", "Rests", "hours_of"]

DAY = 24 * 60
# From when on, in minutes of the day, breaks begin in the data of a kind, and how long they take. Data are
# seven minutes or an hour apart, those with prints five.
BEGINS = {
    "quote": st.one_of(st.integers(0, 13).map(lambda n: 870 + 7 * n), st.integers(871, 960)),
    "trade": st.one_of(st.integers(0, 13).map(lambda n: 870 + 7 * n), st.integers(871, 960)),
    "hour": st.builds(
        lambda n, beside: (870 + 60 * n + beside) % DAY, st.integers(0, 12), st.sampled_from([0, 0, 20, -10])
    ),
    "prints": st.one_of(st.integers(1411, 1436), st.integers(1, 60)),
}
LENGTHS = {
    "quote": [1, 7, 10, 14, 21, 35],
    "trade": [1, 7, 10, 14, 21, 35],
    "hour": [30, 60, 60, 90, 120, 180],
    "prints": [1, 3, 5, 10, 15],
}


@attrs.frozen
class Hours:
    """Breaks of every day, in minutes from midnight, and when its session closes."""

    breaks: tuple[tuple[int, int], ...]
    close: int = DAY


@attrs.frozen
class Rests:
    """A calendar of such hours; sessions open at midnight."""

    hours: Hours
    name: str = "rests"
    timezone: str = "UTC"

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        return [(day, _at(day, 0), _at(day, self.hours.close)) for day in _days(start, end)]

    def breaks(self, start: dt.date, end: dt.date) -> list[tuple[int, int]]:
        return [(_at(day, a), _at(day, b)) for day in _days(start, end) for a, b in self.hours.breaks]


def _days(start: dt.date, end: dt.date) -> list[dt.date]:
    return [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]


def _at(day: dt.date, minutes: int) -> int:
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return int(midnight.timestamp() + 60 * minutes) * 10**9


@st.composite
def hours_of(draw: st.DrawFn, kind: str) -> Hours | None:
    """Draw hours with one break or two for the data of a kind; None where the close leaves none."""
    close = draw(st.sampled_from([DAY, DAY, 980])) if kind != "prints" else DAY
    found: list[tuple[int, int]] = []
    for begin in sorted(draw(st.lists(BEGINS[kind], min_size=1, max_size=2))):
        end = begin + draw(st.sampled_from(LENGTHS[kind]))
        if begin > (found[-1][1] if found else 0) and end < close:
            found.append((begin, end))
    return Hours(tuple(found), close) if found else None
