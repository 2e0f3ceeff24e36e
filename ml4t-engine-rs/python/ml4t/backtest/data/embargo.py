"""When predictions can be known: declared rules that set ``ts_arrival`` from ``ts_event``.

Two rules, which may stand together:

embargo
    ``"next_open"``, the same as ``"1 session"``: the open of the next session of the instrument's calendar;
    ``"3 sessions"``: the third open after the stamp. ``"10:00"``: the next time that it is 10:00 in the zone
    of the calendar on a day with a session.
latency
    A duration after ``ts_event``, always the same or drawn for each row.

A row arrives at the latest of what the rules say and of the arrival it came with: a rule delays, and never
makes known what its source says was not.

An open is after a stamp if it is later. The exception are calendars without a pause between sessions
(``24/7``, currencies): what is stamped with the close of a session is of that session, and the next one opens
at the same instant. The reopening after a break is no open of a session.

A time of day is of a session's own date. Where a session begins on the evening before (futures) and that
time of its date is after its close, it is the time on the evening before: 20:00 of a Monday's session is on
Sunday. A time before the open or after an early close is as good as any other; orders wait for the market. Of
a local time that daylight saving time repeats it is the first, and one that it skips counts from the offset
before it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl
from attrs import field, frozen

from ml4t.backtest.calendars import SessionTable, session_table
from ml4t.backtest.latency import Drawn
from ml4t.core.errors import ConfigError, DataError
from ml4t.core.structuring import structure
from ml4t.core.values import format_duration, format_ns, parse_duration, shown

__all__ = ["Embargo", "Timing", "arrivals", "draw_ns", "opens_after", "times_of_day"]

Instants = npt.NDArray[np.int64]

SESSIONS = re.compile(r"(\d{1,4}) sessions?")
TIME_OF_DAY = re.compile(r"\d{2}:\d{2}(:\d{2})?")
ALLOWED = "'next_open', a number of sessions such as '2 sessions', or a time of day such as '10:00'"
# No calendar pauses for longer between two sessions, but for wars.
LONGEST_PAUSE = dt.timedelta(days=30)
# Drawn numbers are of this many bits, as in the engine.
BITS = 53
LARGEST_NS = 2**63 - 1
# Stands where a calendar is not known far enough.
UNKNOWN = -(2**63)


@frozen(kw_only=True)
class Embargo:
    """Until when a prediction is held back: the n-th open of a session after it, or a time of day."""

    text: str
    sessions: int = 0
    time: dt.time | None = None

    @classmethod
    def parse(cls, value: object) -> Embargo:
        """Return the rule that a text, or a time of day, stands for.

        Raises
        ------
        DataError
            It stands for none.
        """
        if isinstance(value, dt.time) and value.tzinfo is None and not value.microsecond:
            return cls(text=value.isoformat(), time=value)
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if text == "next_open":
            return cls(text=text, sessions=1)
        found = SESSIONS.fullmatch(text)
        if found is not None and int(found[1]) > 0:
            return cls(text=text, sessions=int(found[1]))
        if TIME_OF_DAY.fullmatch(text):
            try:
                return cls(text=text, time=dt.time.fromisoformat(text))
            except ValueError:
                pass
        message = f"embargo {shown(value)} is not known; it is {ALLOWED}"
        raise DataError(message)

    def until(self, events: Instants, table: SessionTable) -> Instants:
        """Return until when each of the instants is held back; `UNKNOWN` where the table does not reach."""
        if self.time is not None:
            return _first_from(events, times_of_day(table, self.time), table)
        return opens_after(events, table, self.sessions)


@frozen(kw_only=True)
class Timing:
    """The rules of one source.

    Attributes
    ----------
    embargo
        None: rows are not held back.
    latency
        ns after the event, or the distribution that it is drawn from; None: no time.
    seed
        Of what is drawn.
    """

    embargo: Embargo | None = None
    latency: int | Drawn | None = None
    seed: int = field(default=0)

    @classmethod
    def of(cls, embargo: object, latency: object, seed: object, *, label: str) -> Timing:
        """Return the rules as they were declared, checked.

        Raises
        ------
        DataError
            A rule is none; the message begins with `label`.
        """
        try:
            return cls(
                embargo=None if embargo is None else Embargo.parse(embargo),
                latency=None if latency is None else _latency(latency),
                seed=_seed(seed),
            )
        except DataError as error:
            message = f"{label}: {error}"
            raise DataError(message) from None

    @property
    def is_set(self) -> bool:
        """Whether there is a rule."""
        return self.embargo is not None or self.latency is not None


def _latency(value: object) -> int | Drawn:
    if isinstance(value, Drawn):
        return value
    if isinstance(value, Mapping):
        try:
            return structure(value, Drawn)
        except ConfigError as error:
            faults = "; ".join(f"{each.path}: {each.message}" for each in error.findings)
            message = f"latency: {faults}"
            raise DataError(message) from None
    if isinstance(value, dt.timedelta):
        ns = (value // dt.timedelta(microseconds=1)) * 1_000 + int(getattr(value, "nanoseconds", 0))
    else:
        try:
            ns = parse_duration(value)
        except DataError as error:
            message = (
                f"latency: {error}; or a timedelta, or a distribution, as in [broker.latency]: "
                "{'distribution': 'lognormal', 'median': '40s', 'sigma': 0.6}"
            )
            raise DataError(message) from None
    if ns < 0:
        message = f"latency {format_duration(ns)} is below zero; a prediction is not there before its data"
        raise DataError(message)
    return ns


def _seed(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    message = f"seed {shown(value)} is not a whole number of zero or more"
    raise DataError(message)


# The rules, as pure functions ---------------------------------------------------------------------


def opens_after(events: Instants, table: SessionTable, count: int) -> Instants:
    """Return the open of the `count`-th session after each instant; `UNKNOWN` where it is not in the table.

    Before the first open of the table nothing is known, because a session may be missing there.
    """
    opens, closes = table.frame["open_ns"].to_numpy(), table.frame["close_ns"].to_numpy()
    if not len(opens):
        return np.full(len(events), UNKNOWN, dtype=np.int64)
    last_close = np.searchsorted(closes, events, side="right") - 1
    is_a_close = (last_close >= 0) & (closes[last_close] == events)
    following = np.searchsorted(opens, events, side="right")
    # Of what a close is stamped with, an open at that very instant is after it.
    following = np.where(is_a_close, np.searchsorted(opens, events, side="left"), following)
    place = following + count - 1
    is_known = (events >= opens[0]) & (place < len(opens))
    return np.where(is_known, opens[np.minimum(place, len(opens) - 1)], UNKNOWN)


def times_of_day(table: SessionTable, time: dt.time) -> Instants:
    """Return when it is a local time of day in each session of a table, in UTC ns, ascending."""
    zone = ZoneInfo(table.timezone)

    def at(day: dt.date) -> int:
        return int(dt.datetime.combine(day, time, tzinfo=zone).timestamp()) * 1_000_000_000

    found = []
    for label, opened, closed in table.frame.select("label", "open_ns", "close_ns").iter_rows():
        own = at(label)
        if own > closed and (evening := at(label - dt.timedelta(days=1))) >= opened:
            own = evening
        found.append(own)
    return np.array(found, dtype=np.int64)


def _first_from(events: Instants, marks: Instants, table: SessionTable) -> Instants:
    """Return the first mark that is not before each instant."""
    if not len(marks):
        return np.full(len(events), UNKNOWN, dtype=np.int64)
    place = np.searchsorted(marks, events, side="left")
    is_known = (events >= table.frame["open_ns"][0]) & (place < len(marks))
    return np.where(is_known, marks[np.minimum(place, len(marks) - 1)], UNKNOWN)


def draw_ns(quantiles: Sequence[int], *, seed: int, model: str, symbol: str, ts_event: int) -> int:
    """Return the latency of one prediction, drawn by its key alone: neither order nor other rows matter.

    Between two quantiles, which are evenly spaced, the value lies on a line and is rounded down.
    """
    if len(quantiles) == 1:
        return quantiles[0]
    # A name can hold any character, so that lengths, and no separator, tell where one ends.
    key = f"{seed}:{len(model)}:{model}:{len(symbol)}:{symbol}:{ts_event}"
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    k = int.from_bytes(digest, "big") >> (64 - BITS)
    place, rest = divmod(k * (len(quantiles) - 1), 1 << BITS)
    low, high = quantiles[place], quantiles[place + 1]
    return low + ((high - low) * rest >> BITS)


# The arrivals of a source -------------------------------------------------------------------------


def arrivals(
    frame: pl.DataFrame, timing: Timing, tables: Mapping[str, SessionTable], *, label: str
) -> pl.Series:
    """Return when each row can be known by the rules, in UTC ns.

    Parameters
    ----------
    frame
        ``row``, ``symbol``, ``name``, ``ts_event`` and ``ts_arrival`` (Int64 UTC ns).
    timing
        The rules.
    tables
        Session table of each symbol; a library's calendar is read further where the rows reach beyond it.
    label
        What messages call the source.

    Raises
    ------
    DataError
        A calendar is not known at a row, or 64-bit ns end before its arrival.
    """
    events = frame["ts_event"].to_numpy()
    found = frame["ts_arrival"].to_numpy()
    if timing.latency is not None:
        delays = _delays(frame, timing.latency, timing.seed)
        is_far = delays > LARGEST_NS - events
        if is_far.any():
            where = _named(frame, int(np.argmax(is_far)), label)
            message = f"{where}: 64-bit ns end before it arrives; correct the stamp or the latency"
            raise DataError(message)
        found = np.maximum(found, events + delays)
    if timing.embargo is not None:
        found = np.maximum(found, _held_back(frame, timing.embargo, tables, label=label))
    return pl.Series("ts_arrival", found, dtype=pl.Int64)


def _delays(frame: pl.DataFrame, latency: int | Drawn, seed: int) -> Instants:
    if not isinstance(latency, Drawn):
        return np.full(frame.height, latency, dtype=np.int64)
    quantiles = latency.quantiles_ns
    rows = frame.select("name", "symbol", "ts_event").iter_rows()
    drawn = [draw_ns(quantiles, seed=seed, model=m, symbol=s, ts_event=at) for m, s, at in rows]
    return np.array(drawn, dtype=np.int64)


def _held_back(
    frame: pl.DataFrame, embargo: Embargo, tables: Mapping[str, SessionTable], *, label: str
) -> Instants:
    events, symbols = frame["ts_event"].to_numpy(), frame["symbol"]
    found = np.full(frame.height, UNKNOWN, dtype=np.int64)
    by_calendar: dict[str, list[str]] = {}
    for symbol in symbols.unique().sort():
        by_calendar.setdefault(tables[symbol].name, []).append(symbol)
    for members in by_calendar.values():
        rows = symbols.is_in(members).to_numpy()
        table = tables[members[0]]
        held = embargo.until(events[rows], table)
        if (held == UNKNOWN).any():
            held = embargo.until(events[rows], _further(table, events[rows], embargo))
        found[rows] = held
    unknown = found == UNKNOWN
    if unknown.any():
        row = int(np.argmax(unknown))
        table = tables[symbols[row]]
        labels = table.frame["label"]
        known = f"from {labels[0]} to {labels[-1]}" if len(labels) else "nowhere"
        message = (
            f"{_named(frame, row, label)}: the embargo {embargo.text!r} needs the sessions around it, and "
            f"calendar {table.name} is known {known}; drop the row, or let the calendar reach further"
        )
        raise DataError(message)
    return found


def _further(table: SessionTable, events: Instants, embargo: Embargo) -> SessionTable:
    """Return a table that reaches from before the first instant to the sessions after the last one.

    A calendar of the caller's own is what it is, even under a name that the library knows.
    """
    if not len(table):
        return table
    first, last = (dt.datetime.fromtimestamp(int(at) // 10**9, tz=dt.UTC).date() for at in _ends(events))
    labels = table.frame["label"]
    begin, end = labels[0], labels[-1]
    try:
        wider = session_table(
            table.name,
            min(begin, first - LONGEST_PAUSE),
            max(end, last + LONGEST_PAUSE + dt.timedelta(days=2 * embargo.sessions)),
        )
    except (DataError, OverflowError):
        return table
    return wider if wider.between(begin, end).frame.equals(table.frame) else table


def _ends(events: Instants) -> tuple[int, int]:
    return int(events.min()), int(events.max())


def _named(frame: pl.DataFrame, row: int, label: str) -> str:
    found = frame.row(row, named=True)
    return (
        f"{label}: row {found['row']}: signal {found['name']} of {found['symbol']} at "
        f"{format_ns(found['ts_event'])}"
    )
