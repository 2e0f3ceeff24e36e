"""Sessions of exchange calendars: counted back from a date, and put to bars within a day."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from typing import Literal

import polars as pl

from ml4t.backtest.calendars import session_table
from ml4t.core.errors import DataError, nearest

__all__ = ["SessionCount", "with_sessions"]

_STAMPS = ("open", "close")


class SessionCount:
    """Counts sessions of one calendar backwards, over a range that grows as it is asked for later dates."""

    def __init__(self, calendar: str, first: dt.date, last: dt.date) -> None:
        """Begin with the sessions labelled from `first` to `last`."""
        self._calendar, self._first = calendar, first
        self._read(last)

    def _read(self, last: dt.date) -> None:
        self._last = last
        table = session_table(self._calendar, self._first, last)
        self._labels: list[dt.date] = table.frame["label"].to_list()

    def before(self, day: dt.date, count: int, *, what: str) -> dt.date:
        """Return the session that lies `count` sessions before `day`, which must be a session itself.

        What lies before the first session of the range is `datetime.date.min`. `what` names the date for
        the error.
        """
        if day < self._first:
            return dt.date.min
        if day > self._last:
            self._read(day)
        place = bisect_left(self._labels, day)
        if place == len(self._labels) or self._labels[place] != day:
            near = [str(label) for label in self._labels[max(place - 1, 0) : place + 1]]
            message = (
                f"{what} is {day}, which is no session of calendar {self._calendar!r} (the nearest: "
                f"{', '.join(near) or 'none'}), so sessions cannot be counted from it. Correct the date, or "
                "name the calendar it belongs to"
            )
            raise DataError(message)
        return self._labels[place - count] if place >= count else dt.date.min


def check_sessions(sessions: list[dt.date], calendar: str, *, root: str) -> None:
    """Refuse labels that are no sessions of the calendar; they are sorted."""
    known = set(session_table(calendar, sessions[0], sessions[-1]).frame["label"].to_list())
    if strange := [label for label in sessions if label not in known]:
        message = (
            f"bars of {root} have session {strange[0]:%Y-%m-%d (%A)}, which is no session of calendar "
            f"{calendar!r} ({len(strange)} such of {len(sessions)}). Bars of an overnight session belong to "
            "the day it ends on; with_sessions assigns them"
        )
        raise DataError(message)


def with_sessions(
    bars: pl.DataFrame, calendar: str, *, time: str, stamp: Literal["open", "close"]
) -> pl.DataFrame:
    """Return bars with a column `session`: the label of the session that each lies in.

    Parameters
    ----------
    bars
        Bars within a session, in any sequence.
    calendar
        Name of the exchange's calendar.
    time
        Name of a column of instants with a time zone.
    stamp
        Whether the instants are opens or closes of the bars: a bar that closes as the session closes
        belongs to it, one that opens then does not.

    Raises
    ------
    DataError
        The column is none of instants, `session` is there already, or a bar lies outside all sessions.

    Examples
    --------
    >>> sunday = dt.datetime(2013, 12, 15, 23, 1, tzinfo=dt.UTC)
    >>> bars = with_sessions(pl.DataFrame({"ts": [sunday]}), "CME_Equity", time="ts", stamp="close")
    >>> bars["session"][0]
    datetime.date(2013, 12, 16)
    """
    if stamp not in _STAMPS:
        message = f"stamp is {stamp!r}; allowed are {', '.join(_STAMPS)}"
        raise DataError(message)
    if "session" in bars.columns:
        message = "the bars have a column session already; drop it to have it assigned anew"
        raise DataError(message)
    instants = _instants(bars, time)
    if not bars.height:
        return bars.with_columns(session=pl.lit(None, dtype=pl.Date))
    # A close at the very end of a session is within it.
    at = instants - 1 if stamp == "close" else instants
    days = [dt.datetime.fromtimestamp(int(ns) // 10**9, dt.UTC).date() for ns in (at.min(), at.max())]  # type: ignore[arg-type]
    table = session_table(calendar, days[0] - dt.timedelta(days=7), days[1] + dt.timedelta(days=7)).frame
    rows = pl.DataFrame({"at": at, "row": range(bars.height)}).sort("at")
    found = rows.join_asof(table.sort("open_ns"), left_on="at", right_on="open_ns").sort("row")
    outside = (found["close_ns"].is_null() | (found["at"] >= found["close_ns"])).arg_true()
    if len(outside):
        message = (
            f"the bar in row {outside[0]}, {time} {bars[time][outside[0]]}, lies outside all sessions of "
            f"{calendar!r} ({len(outside)} such of {bars.height}); correct the stamps, drop the rows, or "
            "name another calendar"
        )
        raise DataError(message)
    return bars.with_columns(found["label"].alias("session"))


def _instants(bars: pl.DataFrame, time: str) -> pl.Series:
    """Return a column of instants in UTC ns."""
    if time not in bars.columns:
        guess = nearest(time, bars.columns)
        hint = f"; did you mean {guess!r}?" if guess else ""
        message = f"the bars have no column {time!r}, but {', '.join(bars.columns)}{hint}"
        raise DataError(message)
    column = bars[time]
    if not isinstance(column.dtype, pl.Datetime) or column.dtype.time_zone is None or column.null_count():
        message = (
            f"column {time!r} is {column.dtype} with {column.null_count()} nulls; expected instants with a "
            "time zone, for example after .dt.replace_time_zone('UTC')"
        )
        raise DataError(message)
    return column.dt.convert_time_zone("UTC").dt.cast_time_unit("ns").cast(pl.Int64)
