"""The range of dates or instants of a run, and the sessions of every calendar in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import polars as pl
from attrs import define, field, frozen

from ml4t.backtest.calendars import BREAKS, SCHEMA, SessionTable, checked, checked_breaks, session_table
from ml4t.backtest.data.stamps import ISO_DATE, PLAIN_DATE, Interval
from ml4t.core.errors import DataError
from ml4t.core.sources import Calendar
from ml4t.core.values import NS_PER_DAY, to_ns

__all__ = ["Bounds", "Calendars", "Moment", "SessionBook", "custom_calendars"]

Moment: TypeAlias = dt.date | dt.datetime | str
Calendars: TypeAlias = Iterable[Calendar | SessionTable] | Mapping[str, Calendar | SessionTable] | None
# A stamp of another zone, meaning or session label lies within this distance of the bound it is
# compared with; the rows between are dropped once their instants are known.
COARSE_DAYS = 5
# Session tables reach this far beyond the data, so that the last session of a month is known as such.
TABLE_MARGIN = dt.timedelta(days=45)
EPOCH = dt.datetime(1970, 1, 1)


@frozen
class Bounds:
    """First and last moment wanted; None leaves that end open.

    A date means the session of that label (and, on a calendar that never closes, that day in the
    calendar's zone); both ends are included. An instant means exactly that.

    Rows kept are those whose whole bar, or whose instant, lies within.
    """

    start: dt.date | None = None
    end: dt.date | None = None

    @classmethod
    def parse(cls, start: Moment | None, end: Moment | None) -> Bounds:
        """Return the bounds of dates, aware datetimes or ISO text.

        Raises
        ------
        DataError
            A datetime is naive, text is no date, or `end` is before `start`.
        """
        bounds = cls(_moment(start, "start"), _moment(end, "end"))
        if bounds.start is not None and bounds.end is not None and _day(bounds.end) < _day(bounds.start):
            message = f"end {bounds.end} is before start {bounds.start}"
            raise DataError(message)
        return bounds

    @property
    def is_open(self) -> bool:
        """Whether neither end is bounded."""
        return self.start is None and self.end is None

    def start_ns(self, table: SessionTable) -> int | None:
        """Return the first instant, in UTC ns, for instruments of a calendar."""
        if self.start is None or isinstance(self.start, dt.datetime):
            return None if self.start is None else to_ns(self.start)
        return table.day_start_ns(self.start)

    def end_ns(self, table: SessionTable) -> int | None:
        """Return the last instant, in UTC ns, for instruments of a calendar."""
        if self.end is None or isinstance(self.end, dt.datetime):
            return None if self.end is None else to_ns(self.end)
        return table.day_start_ns(self.end + dt.timedelta(days=1))

    def coarse_days(
        self, interval: Interval | None, *, labels: bool = False
    ) -> tuple[dt.date | None, dt.date | None]:
        """Return first and last date that surely enclose the stamps of all rows within.

        Session labels are compared exactly where both ends are dates.
        """
        if labels and not isinstance(self.start, dt.datetime) and not isinstance(self.end, dt.datetime):
            return self.start, self.end
        days = COARSE_DAYS + (interval.ns // NS_PER_DAY if interval is not None else 0)
        margin = dt.timedelta(days=days)
        start = _day(self.start) - margin if self.start is not None else None
        return start, _day(self.end) + margin if self.end is not None else None

    def coarse_filter(self, stamp: pl.Expr, dtype: pl.DataType, interval: Interval | None) -> pl.Expr:
        """Return a condition on raw stamps that loses no row within and that file readers can push down."""
        first, last = self.coarse_days(interval, labels=dtype == pl.Date)
        return _between(
            stamp,
            None if first is None else _literal(first, dtype),
            None if last is None else _literal(last + dt.timedelta(days=1), dtype),
        )

    def coarse_text_filter(self, stamp: pl.Expr, sample: str, interval: Interval | None) -> pl.Expr:
        """Return the same for stamps written as text of the form of `sample`.

        Dates sort as their text does. Text of another form stays in, to be refused by name.
        """
        is_compact = PLAIN_DATE.fullmatch(sample) is not None
        form, pattern = ("%Y%m%d", r"^\d{8}$") if is_compact else ("%Y-%m-%d", r"^\d{4}-\d{2}-\d{2}")
        first, last = self.coarse_days(interval, labels=is_compact or ISO_DATE.fullmatch(sample) is not None)
        within = _between(
            stamp,
            None if first is None else pl.lit(first.strftime(form)),
            None if last is None else pl.lit((last + dt.timedelta(days=1)).strftime(form)),
        )
        return ~stamp.str.contains(pattern) | within


def _between(stamp: pl.Expr, first: pl.Expr | None, after: pl.Expr | None) -> pl.Expr:
    conditions = [pl.lit(value=True)] if first is None and after is None else []
    if first is not None:
        conditions.append(stamp >= first)
    if after is not None:
        conditions.append(stamp < after)
    return conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1]


def _moment(value: object, what: str) -> dt.date | None:
    if isinstance(value, str):
        try:
            value = dt.date.fromisoformat(value) if len(value) <= 10 else dt.datetime.fromisoformat(value)
        except ValueError:
            message = f"{what} {value!r} is neither a date such as 2012-07-03 nor an ISO 8601 datetime"
            raise DataError(message) from None
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        message = f"{what} {value} is a naive datetime; give a date, or a datetime with a time zone"
        raise DataError(message)
    if value is not None and not isinstance(value, dt.date):
        message = f"{what} {value!r} is neither a date nor a datetime"
        raise DataError(message)
    return value


def _day(moment: dt.date) -> dt.date:
    return moment.astimezone(dt.UTC).date() if isinstance(moment, dt.datetime) else moment


def _literal(day: dt.date, dtype: pl.DataType) -> pl.Expr:
    """Return midnight UTC of a day as a literal of the column's own type, so that statistics apply."""
    if dtype == pl.Date:
        return pl.lit(day)
    midnight = dt.datetime(day.year, day.month, day.day)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return pl.lit(midnight, dtype=dtype)
        aware = pl.lit(midnight.replace(tzinfo=dt.UTC), dtype=pl.Datetime(dtype.time_unit, "UTC"))
        return aware.dt.convert_time_zone(dtype.time_zone)
    return pl.lit(int((midnight - EPOCH).total_seconds()) * 10**9, dtype=pl.Int64)


@define
class SessionBook:
    """The session tables of one assembly, each built once and extended where a feed reaches further.

    Attributes
    ----------
    custom
        Calendars given by the caller, by name; they take precedence over the library's.
    """

    custom: Mapping[str, Calendar | SessionTable] = field(factory=dict)
    _known: dict[str, tuple[dt.date, dt.date, SessionTable]] = field(factory=dict, init=False)

    def table(self, name: str, first: dt.date, last: dt.date) -> SessionTable:
        """Return the sessions of a calendar from some time before `first` to some time after `last`."""
        known = self._known.get(name)
        if known is not None and known[0] <= first and last <= known[1]:
            return known[2]
        if known is not None:
            first, last = min(first, known[0]), max(last, known[1])
        try:
            table = self._build(name, first - TABLE_MARGIN, last + TABLE_MARGIN)
        except DataError:
            # The calendar may be known no further than the data reach.
            table = self._build(name, first, last)
        checked(name, table.frame)
        checked_breaks(table)
        self._known[name] = (first, last, table)
        return table

    def _build(self, name: str, first: dt.date, last: dt.date) -> SessionTable:
        calendar = self.custom.get(name)
        if calendar is None:
            return session_table(name, first, last)
        if isinstance(calendar, SessionTable):
            return calendar
        rows = list(calendar.sessions(first, last))
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        own = getattr(calendar, "breaks", None)
        breaks = pl.DataFrame(list(own(first, last)) if own is not None else [], schema=BREAKS, orient="row")
        return SessionTable(name=name, timezone=calendar.timezone, frame=frame, breaks=breaks)


def custom_calendars(calendars: Calendars) -> Mapping[str, Calendar | SessionTable]:
    """Return the caller's calendars by name; a mapping may build them when asked."""
    if isinstance(calendars, Mapping):
        return calendars
    given: Any = calendars
    if given is None:
        return {}
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for each in listed:
        if not (hasattr(each, "name") and hasattr(each, "timezone") and hasattr(each, "sessions")):
            message = (
                f"calendars: {each!r} is no calendar, which has name, timezone and sessions(start, end); "
                "known calendars are given by name, to the instrument or the feed"
            )
            raise DataError(message)
    return {calendar.name: calendar for calendar in listed}
