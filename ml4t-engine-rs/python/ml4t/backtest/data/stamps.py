"""From what a feed's stamps mean to two instants per row: when it opened and when it was complete.

A stamp is read in three steps, each refusing what it cannot read without guessing:

1. text becomes a date or a datetime (ISO 8601 only),
2. a datetime becomes UTC ns: an aware one as it is, a naive one through the declared `timezone`;
   a local time that daylight saving time repeats or skips is refused, for no rule could tell which
   of two instants was meant,
3. the declared meaning gives ``ts_open`` and ``ts_event``:

======= ================== ============================================ =============================
meaning the stamp is       of a bar                                     of quotes, prints and context
======= ================== ============================================ =============================
open    begin of the bar   ts_open = stamp, ts_event = stamp + interval context only: as of a bar
close   end of the bar     ts_open = stamp - interval, ts_event = stamp ts_event = stamp
event   the instant itself two columns, ts_open and ts_event            ts_event = stamp
session a session's label  open and close of that session               close of that session
======= ================== ============================================ =============================

An interval of one day is a session of the instrument's calendar, not 24 hours: a daily bar of a
New York share that closes at 16:00 opened at 9:30, and saying that it opened 24 hours earlier
would offer its opening price to orders sent before the opening.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

import polars as pl
from attrs import frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.core.errors import DataError
from ml4t.core.types import StampMeaning
from ml4t.core.values import NS_PER_DAY, format_ns, parse_duration

__all__ = ["SMALLEST_NS", "Interval", "Meaning", "instants", "resolve", "session_labels"]

# Integers below this are not ns since 1970: as ns they would lie before 1973, as ms or s they would not.
SMALLEST_NS = 10**17
# The whole years within 64-bit ns; the days left on either side are room for the sessions around the data.
FIRST_DAY, LAST_DAY = dt.date(1678, 1, 1), dt.date(2261, 12, 31)
FIRST_NS, LAST_NS = ((day - dt.date(1970, 1, 1)).days * NS_PER_DAY for day in (FIRST_DAY, LAST_DAY))

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
PLAIN_DATE = re.compile(r"\d{8}")
ISO_DATETIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
OFFSET = r"(?:Z|z|[+-]\d{2}:?\d{2})$"


@frozen
class Interval:
    """Length of a bar.

    Attributes
    ----------
    text
        As it was written, for messages.
    ns
        Length in ns; a session counts as one day.
    is_session
        True for one day, which is a session of the instrument's calendar.
    """

    text: str
    ns: int
    is_session: bool

    @classmethod
    def parse(cls, value: str | dt.timedelta) -> Interval:
        """Return the interval of a text such as ``1m``, ``5m``, ``1h``, ``30s``, ``1d``, or a timedelta.

        Raises
        ------
        DataError
            The text is not an interval; or it is longer than a day (such bars carry both stamps).
        """
        if isinstance(value, dt.timedelta):
            ns, text = (value // dt.timedelta(microseconds=1)) * 1_000, str(value)
        else:
            text = value
            try:
                ns = parse_duration(value)
            except ValueError as error:
                message = f"interval: {error}"
                raise DataError(message) from None
        if not 0 < ns <= NS_PER_DAY:
            message = (
                f"interval {text!r} is not a length of at most a day; write for example '1m', '15m', '1h' or "
                "'1d'. Longer bars carry both stamps: columns ts_open and ts_event with stamp='event'"
            )
            raise DataError(message)
        return cls(text, ns, ns == NS_PER_DAY)


# Text -------------------------------------------------------------------------------------------


def _parse_text(name: str, sample: str, *, label: str) -> pl.Expr:
    """Return the expression that reads text stamps, chosen by the form of one of them.

    Rows of another form become null, which :func:`instants` and :func:`session_labels` refuse.
    """
    column = pl.col(name)
    if ISO_DATE.fullmatch(sample):
        return column.str.to_date("%Y-%m-%d", strict=False)
    if PLAIN_DATE.fullmatch(sample):
        return column.str.to_date("%Y%m%d", strict=False)
    if ISO_DATETIME.fullmatch(sample):
        aware = re.search(OFFSET, sample) is not None
        same_form = column.str.contains(OFFSET) if aware else ~column.str.contains(OFFSET)
        zone = "UTC" if aware else None
        return pl.when(same_form).then(column.str.to_datetime(time_unit="ns", time_zone=zone, strict=False))
    message = (
        f"{label}: the stamp {sample!r} in column {name} is not an ISO 8601 date or datetime such as "
        "2012-07-03 or 2012-07-03T09:30:00-04:00; convert the column to a date or a datetime first"
    )
    raise DataError(message)


def _read_text(stamps: pl.Series, *, label: str) -> pl.Series:
    """Return text stamps as dates or datetimes; the first one decides the form of all."""
    known = stamps.drop_nulls()
    if not len(known):
        return stamps
    parsed = stamps.to_frame().select(_parse_text(stamps.name, known[0], label=label)).to_series()
    odd = parsed.is_null() & stamps.is_not_null()
    if odd.any():
        row = odd.arg_max() or 0
        message = (
            f"{label}: stamp {stamps[row]!r} in row {row} is not of the form of the first one, {known[0]!r}; "
            "all stamps of a column are dates, or naive datetimes, or datetimes with an offset"
        )
        raise DataError(message)
    return parsed


# Instants and labels ----------------------------------------------------------------------------


def instants(stamps: pl.Series, *, timezone: str | None, label: str) -> pl.Series:
    """Return stamps as Int64 UTC ns.

    Parameters
    ----------
    stamps
        Datetimes, ISO text, or Int64 UTC ns.
    timezone
        IANA zone of naive datetimes.
    label
        What messages call the source: ``feed prices``.

    Raises
    ------
    DataError
        A stamp is missing, a date without time of day, naive without `timezone`, in two zones at
        once, or a local time that does not exist or exists twice.
    """
    if stamps.dtype == pl.String:
        stamps = _read_text(stamps, label=label)
    _refuse_missing(stamps, label=label)
    if stamps.dtype == pl.String:
        # Without a row there is no form to read; whoever needs rows says so.
        return pl.Series(stamps.name, [], dtype=pl.Int64)
    if stamps.dtype == pl.Date:
        message = (
            f"{label}: the stamps are dates ({stamps.name}: {stamps[0] if len(stamps) else 'empty'}), and a "
            "date is not an instant; declare stamp='session' (the calendar then says when each session "
            "opened and closed) or give datetimes"
        )
        raise DataError(message)
    if stamps.dtype.is_integer():
        return _integer_instants(stamps, label=label)
    if not isinstance(stamps.dtype, pl.Datetime):
        message = (
            f"{label}: column {stamps.name} is {stamps.dtype}; stamps are datetimes, dates, ISO 8601 text or "
            "Int64 UTC ns"
        )
        raise DataError(message)
    return _nanoseconds(_aware(stamps, timezone=timezone, label=label), label=label)


def _integer_instants(stamps: pl.Series, *, label: str) -> pl.Series:
    smallest = stamps.min()
    if isinstance(smallest, int) and abs(smallest) < SMALLEST_NS:
        message = (
            f"{label}: integer stamps are ns since 1970 in UTC, but column {stamps.name} holds {smallest}, "
            "which looks like s, ms or us; convert with pl.from_epoch(column, time_unit=...)"
        )
        raise DataError(message)
    if (row := _far_row(stamps)) is not None:
        message = (
            f"{label}: integer stamp {stamps[row]} in row {row} is not within {format_ns(FIRST_NS)} and "
            f"{format_ns(LAST_NS)}; integer stamps are ns since 1970 in UTC"
        )
        raise DataError(message)
    return stamps.cast(pl.Int64)


def _far_row(instants: pl.Series) -> int | None:
    """Return a row whose instant leaves no room for the sessions around it; None where all are within."""
    low, high = instants.min(), instants.max()
    if isinstance(low, int) and low < FIRST_NS:
        return instants.arg_min()
    return instants.arg_max() if isinstance(high, int) and high > LAST_NS else None


def _aware(stamps: pl.Series, *, timezone: str | None, label: str) -> pl.Series:
    """Return datetimes with a zone."""
    zone = stamps.dtype.time_zone if isinstance(stamps.dtype, pl.Datetime) else None
    if zone is not None:
        if timezone is not None and zone not in (timezone, "UTC") and timezone != "UTC":
            message = (
                f"{label}: the stamps carry the zone {zone} and timezone={timezone!r} was declared; timezone "
                "is for naive stamps: leave it out, or strip the zone if it is wrong"
            )
            raise DataError(message)
        return stamps
    if timezone is None:
        message = (
            f"{label}: the stamps are naive (first: {stamps[0] if len(stamps) else 'none'}), so the instant "
            "is not known; declare timezone='America/New_York' (or whichever zone they are in; 'UTC' if so)"
        )
        raise DataError(message)
    aware = stamps.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    lost = aware.is_null()
    if lost.any():
        row = lost.arg_max() or 0
        message = (
            f"{label}: {stamps[row]} in row {row} does not exist, or exists twice, in {timezone}, because "
            "clocks changed there on that day; give stamps in UTC or with their offset"
        )
        raise DataError(message)
    return aware


def _nanoseconds(stamps: pl.Series, *, label: str) -> pl.Series:
    try:
        found = stamps.dt.cast_time_unit("ns").to_physical()
        is_far = _far_row(found) is not None
    except pl.exceptions.InvalidOperationError:
        # us and ms reach further than the years 1678 to 2261 of 64-bit ns.
        is_far = True
    if is_far:
        message = (
            f"{label}: the stamps {stamps.min()!s} to {stamps.max()!s} reach beyond the years 1678 to 2261"
        )
        raise DataError(message)
    return found


def session_labels(stamps: pl.Series, *, label: str) -> pl.Series:
    """Return stamps as session labels (Date).

    Accepts dates, text dates and datetimes at midnight (of their own zone).

    Raises
    ------
    DataError
        A stamp is missing or carries a time of day.
    """
    if stamps.dtype == pl.String:
        stamps = _read_text(stamps, label=label)
    _refuse_missing(stamps, label=label)
    if stamps.dtype == pl.String:
        return pl.Series(stamps.name, [], dtype=pl.Date)
    if stamps.dtype == pl.Date:
        return _refuse_far(stamps, label=label)
    if not isinstance(stamps.dtype, pl.Datetime):
        message = f"{label}: column {stamps.name} is {stamps.dtype}; session labels are dates"
        raise DataError(message)
    late = stamps.dt.time() != dt.time(0)
    if late.any():
        message = (
            f"{label}: stamp {stamps[late.arg_max() or 0]} has a time of day, and session labels are dates; "
            "declare stamp='open' or stamp='close' with interval='1d', or cast the column to a date"
        )
        raise DataError(message)
    return _refuse_far(stamps.dt.date(), label=label)


def _refuse_far(days: pl.Series, *, label: str) -> pl.Series:
    """Refuse days whose sessions, or those of the weeks around them, do not fit 64-bit ns."""
    far = (days < FIRST_DAY) | (days > LAST_DAY)
    if far.any():
        row = far.arg_max() or 0
        message = (
            f"{label}: stamp {days[row]} in row {row} is not within {FIRST_DAY} and {LAST_DAY}, the years "
            "that 64-bit ns reach; correct or drop the row"
        )
        raise DataError(message)
    return days


def _refuse_missing(stamps: pl.Series, *, label: str) -> None:
    if stamps.null_count():
        row = stamps.is_null().arg_max() or 0
        message = (
            f"{label}: row {row} has no stamp (column {stamps.name} is null); drop the row or fill the stamp"
        )
        raise DataError(message)


# Meaning ----------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Meaning:
    """What the stamps of a feed were declared to be."""

    label: str
    stamp: StampMeaning
    interval: Interval | None


def resolve(keys: pl.DataFrame, meaning: Meaning, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return ``ts_open`` and ``ts_event`` (Int64 UTC ns) of each row, in the order of `keys`.

    Parameters
    ----------
    keys
        ``symbol`` and ``stamp``: Date for session labels, else Int64 UTC ns.
    meaning
        The declared meaning and interval.
    tables
        Session table of each symbol; read for session labels and for intervals of one day.

    Raises
    ------
    DataError
        A label is not a session of the calendar, or the stamp of a daily bar is not the open or
        the close of a session. The message names symbol, stamp and nearest sessions.
    """
    interval = meaning.interval
    if meaning.stamp is StampMeaning.SESSION:
        return _from_sessions(keys, "label", meaning, tables)
    if interval is not None and interval.is_session:
        by = "open_ns" if meaning.stamp is StampMeaning.OPEN else "close_ns"
        return _from_sessions(keys, by, meaning, tables)
    length = interval.ns if interval is not None else 0
    if meaning.stamp is StampMeaning.OPEN:
        return keys.select(ts_open=pl.col("stamp"), ts_event=pl.col("stamp") + length)
    return keys.select(ts_open=pl.col("stamp") - length, ts_event=pl.col("stamp"))


def _from_sessions(
    keys: pl.DataFrame, by: str, meaning: Meaning, tables: Mapping[str, SessionTable]
) -> pl.DataFrame:
    """Return open and close of the session whose label, open or close is the stamp."""
    calendars = {table.name: table for table in tables.values()}
    sessions = pl.concat(
        table.frame.select(stamp=by, ts_open="open_ns", ts_event="close_ns", calendar=pl.lit(name))
        for name, table in sorted(calendars.items())
    )
    stamps, on = keys.select("stamp"), ["stamp"]
    if len(calendars) == 1:
        sessions = sessions.drop("calendar")
    else:
        names = {symbol: table.name for symbol, table in tables.items()}
        calendar = keys.select(pl.col("symbol").replace_strict(names, return_dtype=pl.String)).to_series()
        stamps = stamps.with_columns(calendar.alias("calendar"))
        on.append("calendar")
    # A left join keeps the order of the rows, so the value columns need not move.
    found = stamps.join(sessions, on=on, how="left", maintain_order="left")
    missing = found["ts_event"].is_null()
    if missing.any():
        row = missing.arg_max() or 0
        _refuse_session(keys.row(row, named=True), by, meaning, tables)
    return found.select("ts_open", "ts_event")


DAILY_FIX = (
    "for daily bars stamped with a date use stamp='session'; else give the instrument the calendar of its "
    "venue ('24/7' for UTC days), or carry both stamps: columns ts_open and ts_event with stamp='event'"
)
# What a stamp failed to be, and what to do about it, by the column it was looked up in.
SESSION_REFUSALS = {
    "label": ("a session", "drop the row, or give the instrument the calendar of its venue"),
    "open_ns": ("the open of a session", DAILY_FIX),
    "close_ns": ("the close of a session", DAILY_FIX),
}


def _refuse_session(
    row: Mapping[str, object], by: str, meaning: Meaning, tables: Mapping[str, SessionTable]
) -> None:
    symbol, stamp = str(row["symbol"]), row["stamp"]
    table = tables[symbol]
    calendar = table.name
    before = table.frame.filter(pl.col(by) < pl.lit(stamp)).tail(1)
    after = table.frame.filter(pl.col(by) > pl.lit(stamp)).head(1)
    shown = stamp if by == "label" else format_ns(int(str(stamp)))
    near = [
        str(session[by][0]) if by == "label" else format_ns(session[by][0])
        for session in (before, after)
        if session.height
    ]
    what, fix = SESSION_REFUSALS[by]
    message = (
        f"{meaning.label}: {symbol}: {shown} is not {what} of calendar {calendar} (nearest: "
        f"{' and '.join(near)}); {fix}"
    )
    raise DataError(message)
