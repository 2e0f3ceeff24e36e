"""Session tables: when each venue is open, one small table per calendar.

A session is one trading day, labelled by a date. Its open and close are instants in UTC ns, so
an overnight session (CME: Sunday evening to Monday afternoon is *Monday*), an early close and a
change to daylight saving time are plain rows and nobody downstream does calendar arithmetic.

Names are those of pandas-market-calendars, plus three that are built in and need no library:

``24/7``
    Every day, 00:00 to 24:00 UTC.
``weekdays``
    Monday to Friday, 00:00 to 24:00 UTC, no holidays.
``fx_24_5``
    Monday to Friday; a session opens at 17:00 New York on the evening before its label and
    closes at 17:00 New York on its label.

A break (lunch in Tokyo, the 45 minutes before the day of CME grains) lies within a session, which goes on:
a session is the span from its first open to its last close, and beside it stands where trading rests.

The library and pandas are imported only when a table is not in the cache. The cache holds Arrow
IPC files in the user's cache folder (``ML4T_CACHE_DIR`` overrides it), one folder per version of
the libraries that made them; a file that cannot be read or fails its checksum is built again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import importlib
import importlib.metadata
import itertools
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl
from attrs import field, frozen

from ml4t.core.errors import DataError, nearest
from ml4t.core.values import format_ns

__all__ = ["SessionTable", "cache_folder", "calendar_names", "is_calendar", "session_table"]

SCHEMA = pl.Schema({"label": pl.Date(), "open_ns": pl.Int64(), "close_ns": pl.Int64()})
BREAKS = pl.Schema({"start_ns": pl.Int64(), "end_ns": pl.Int64()})
# Raised when the layout of a cache file changes; part of the folder name, so old files are ignored.
CACHE_FORMAT = 2
# Breaks that pandas-market-calendars still has and their venue gave up: Korea has traded over lunch since
# then, which exchange-calendars knows (exchange_calendar_xkrx.py).
NO_BREAK_SINCE: Mapping[str, dt.date] = MappingProxyType({"XKRX": dt.date(2000, 5, 22)})
NEW_YORK = "America/New_York"


@frozen(eq=False, kw_only=True)
class SessionTable:
    """The sessions of one calendar over a range of labels.

    Attributes
    ----------
    name
        Calendar name as the instruments carry it.
    timezone
        IANA name of the venue's local time.
    frame
        One row per session, sorted: ``label`` Date, ``open_ns`` and ``close_ns`` Int64 (UTC ns).
        Sessions never overlap; one may open at the instant the one before closes.
    breaks
        Where trading rests inside sessions, one row each, sorted: ``start_ns`` and ``end_ns`` Int64 (UTC ns).
    """

    name: str
    timezone: str
    frame: pl.DataFrame = field(repr=False)
    breaks: pl.DataFrame = field(repr=False, factory=lambda: pl.DataFrame(schema=BREAKS))

    def __len__(self) -> int:
        return self.frame.height

    @functools.cached_property
    def numbers(self) -> pl.DataFrame:
        """Label as days since 1970, open and close, each in one piece: as engines take them."""
        return self.frame.select(pl.col("label").cast(pl.Int32), "open_ns", "close_ns").rechunk()

    @functools.cached_property
    def spans(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """From when and to when there is trading without a break: two arrays, both ascending."""
        opens = np.concatenate((self.frame["open_ns"].to_numpy(), self.breaks["end_ns"].to_numpy()))
        closes = np.concatenate((self.frame["close_ns"].to_numpy(), self.breaks["start_ns"].to_numpy()))
        return np.sort(opens), np.sort(closes)

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        """Return label, open and close of the sessions labelled from `start` to `end`, both included."""
        return list(self.between(start, end).frame.iter_rows())

    def between(self, start: dt.date, end: dt.date) -> SessionTable:
        """Return the sessions labelled from `start` to `end`, both included."""
        kept = self.frame.filter(pl.col("label").is_between(start, end)).rechunk()
        breaks = self.breaks.clear()
        if kept.height and self.breaks.height:
            first, last = kept["open_ns"][0], kept["close_ns"][-1]
            breaks = self.breaks.filter(pl.col("start_ns") > first, pl.col("end_ns") < last).rechunk()
        return SessionTable(name=self.name, timezone=self.timezone, frame=kept, breaks=breaks)

    def day_start_ns(self, day: dt.date) -> int:
        """Return the instant from which rows belong to `day` or later.

        It is local midnight, or the open of the first session labelled `day` or later where that
        comes first: a CME Monday begins on Sunday evening. The end of a day is the start of the
        next one, so days tile the time line. The table must reach past `day` where sessions may
        open on the evening before.
        """
        midnight = local_midnight_ns(day, self.timezone)
        later = self.frame.filter(pl.col("label") >= day)
        return min(midnight, int(later["open_ns"][0])) if later.height else midnight

    def containing(
        self, instants: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return open and close of the session each instant lies in, and whether it lies in one.

        A session holds its open and not its close. Where there is none, both are 0.
        """
        return _around(instants, self.frame["open_ns"].to_numpy(), self.frame["close_ns"].to_numpy())

    def break_around(
        self, instants: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return start and end of the break each instant lies in, and whether it lies in one.

        A break holds its start and not its end. Where there is none, both are 0.
        """
        return _around(instants, self.breaks["start_ns"].to_numpy(), self.breaks["end_ns"].to_numpy())

    def resting(self, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which data, from begin to end each, lie in a break with all of it.

        A tick, which begins where it ends, is of the trading before a break at its start and of that after it
        at its end.
        """
        if not self.breaks.height:
            return np.zeros(len(begins), dtype=np.bool_)
        starts, stops = self.breaks["start_ns"].to_numpy(), self.breaks["end_ns"].to_numpy()
        place = np.searchsorted(starts, begins, side="right") - 1
        held = (place >= 0) & (ends <= stops[place])
        is_at_an_end = (begins == ends) & ((begins == starts[place]) | (begins == stops[place]))
        return np.asarray(held & ~is_at_an_end, dtype=np.bool_)

    def open_time_before(self, instants: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how long the venue had been open, in ns, from the table's first open to each instant.

        Differences of two values are the open time between the instants: nights, weekends, holidays and
        breaks do not count.
        """
        opens, closes = self.spans
        if not len(opens):
            return np.zeros(len(instants), dtype=np.int64)
        before = np.concatenate(([0], np.cumsum(closes - opens)))
        row = np.searchsorted(opens, instants, side="right") - 1
        inside = np.clip(instants - opens[row], 0, closes[row] - opens[row])
        return np.asarray(np.where(row < 0, 0, before[row] + inside), dtype=np.int64)


def _around(
    instants: npt.NDArray[np.int64], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return begin and end of the span that holds each instant, 0 where none does, and whether one does."""
    row = np.searchsorted(begins, instants, side="right") - 1
    inside = (row >= 0) & (instants < ends[row]) if len(begins) else np.zeros(len(instants), dtype=np.bool_)
    if not inside.any():
        return np.zeros_like(instants), np.zeros_like(instants), inside
    return np.where(inside, begins[row], 0), np.where(inside, ends[row], 0), inside


def local_midnight_ns(day: dt.date, timezone: str) -> int:
    """Return 00:00 local time of `day` in UTC ns.

    Where daylight saving time removes midnight, it is the instant of the change; where it repeats
    midnight, the first of the two.
    """
    local = dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone))
    return int(local.timestamp()) * 1_000_000_000


def session_table(name: str, start: dt.date, end: dt.date) -> SessionTable:
    """Return the sessions of a calendar labelled from `start` to `end`, both included.

    Parameters
    ----------
    name
        A built-in calendar or a name of pandas-market-calendars.
    start, end
        First and last label wanted.

    Raises
    ------
    DataError
        The name is unknown (the nearest known one is given) or the library has no schedule for
        the range.

    Examples
    --------
    >>> import datetime as dt
    >>> week = session_table("fx_24_5", dt.date(2024, 3, 8), dt.date(2024, 3, 11))
    >>> week.frame["label"].to_list()
    [datetime.date(2024, 3, 8), datetime.date(2024, 3, 11)]
    """
    if end < start:
        message = f"the session table of {name} was asked for {start} to {end}, which ends before it starts"
        raise DataError(message)
    builder = BUILT_IN.get(name)
    if builder is not None:
        return builder(name, start, end)
    return _library_table(name, start, end)


def calendar_names() -> tuple[str, ...]:
    """Return every known calendar name, sorted; imports pandas-market-calendars."""
    library = importlib.import_module("pandas_market_calendars")
    return tuple(sorted({*BUILT_IN, *library.get_calendar_names()}))


def is_calendar(name: str) -> bool:
    """Return whether a calendar is known; a cached one is known without importing the library."""
    path = _cache_path(name)
    return name in BUILT_IN or (path is not None and path.exists()) or name in calendar_names()


# Built-in calendars -----------------------------------------------------------------------------


def _utc_days(name: str, labels: pl.Series) -> SessionTable:
    frame = pl.DataFrame({"label": labels}).with_columns(
        open_ns=pl.col("label").cast(pl.Datetime("ns")).cast(pl.Int64),
        close_ns=pl.col("label").dt.offset_by("1d").cast(pl.Datetime("ns")).cast(pl.Int64),
    )
    return SessionTable(name=name, timezone="UTC", frame=frame)


def _every_day(name: str, start: dt.date, end: dt.date) -> SessionTable:
    return _utc_days(name, _labels(start, end))


def _weekdays(name: str, start: dt.date, end: dt.date) -> SessionTable:
    labels = _labels(start, end)
    return _utc_days(name, labels.filter(labels.dt.weekday() <= 5))


def _new_york_evenings(name: str, start: dt.date, end: dt.date) -> SessionTable:
    labels = _labels(start, end)
    labels = labels.filter(labels.dt.weekday() <= 5)

    def five_pm(day: pl.Expr) -> pl.Expr:
        local = day.cast(pl.Datetime("ns")) + pl.duration(hours=17, time_unit="ns")
        return local.dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC").cast(pl.Int64)

    frame = pl.DataFrame({"label": labels}).with_columns(
        open_ns=five_pm(pl.col("label").dt.offset_by("-1d")), close_ns=five_pm(pl.col("label"))
    )
    return SessionTable(name=name, timezone=NEW_YORK, frame=frame)


def _labels(start: dt.date, end: dt.date) -> pl.Series:
    return pl.date_range(start, end, eager=True).alias("label")


BUILT_IN: Mapping[str, Callable[[str, dt.date, dt.date], SessionTable]] = MappingProxyType(
    {"24/7": _every_day, "weekdays": _weekdays, "fx_24_5": _new_york_evenings}
)


# Calendars of the library -----------------------------------------------------------------------


def _library_table(name: str, start: dt.date, end: dt.date) -> SessionTable:
    """Return a library calendar from the cache, or build whole years of it and store them."""
    path = _cache_path(name)
    cached = _read_cache(path, name) if path is not None else None
    if cached is not None and cached.first <= start and end <= cached.last:
        return cached.table.between(start, end)
    first, last = dt.date(start.year, 1, 1), dt.date(end.year, 12, 31)
    if cached is not None:
        first, last = min(first, cached.first), max(last, cached.last)
    try:
        table = _build(name, first, last)
    except ValueError:
        # Some calendars know their holidays up to a fixed day only; the range asked for may
        # still lie inside it, and if not, this error is the one that tells.
        return _build(name, start, end)
    if path is not None:
        _write_cache(path, _Cached(first=first, last=last, table=table))
    return table.between(start, end)


def _build(name: str, first: dt.date, last: dt.date) -> SessionTable:
    with warnings.catch_warnings():
        # The library warns about its own use of pandas.
        warnings.simplefilter("ignore")
        return _schedule(name, first, last)


def _schedule(name: str, first: dt.date, last: dt.date) -> SessionTable:
    library = importlib.import_module("pandas_market_calendars")
    if name not in library.get_calendar_names():
        guess = nearest(name, calendar_names())
        hint = f"; the nearest known name is {guess!r}" if guess else ""
        message = (
            f"calendar {name!r} is not known{hint}. Known are the names of pandas-market-calendars and the "
            f"built-in {', '.join(sorted(BUILT_IN))}"
        )
        raise DataError(message)
    calendar = library.get_calendar(name)
    try:
        schedule = calendar.schedule(first.isoformat(), last.isoformat())
    except Exception as error:
        message = f"pandas-market-calendars has no schedule of {name} for {first} to {last}: {error}"
        raise DataError(message) from error
    frame = pl.DataFrame(
        {
            "label": schedule.index.to_numpy().astype("datetime64[D]"),
            "open_ns": _utc_ns(schedule["market_open"]),
            "close_ns": _utc_ns(schedule["market_close"]),
        },
        schema=SCHEMA,
    )
    breaks = pl.DataFrame(schema=BREAKS)
    if "break_start" in schedule.columns:
        rests = schedule["break_start"].notna() & schedule["break_end"].notna()
        if name in NO_BREAK_SINCE:
            rests &= schedule.index < NO_BREAK_SINCE[name].isoformat()
        breaks = _within(frame.filter(pl.Series(rests.to_numpy())), schedule[rests])
    timezone = getattr(calendar.tz, "key", None) or str(calendar.tz)
    return SessionTable(name=name, timezone=timezone, frame=checked(name, frame), breaks=breaks)


def _within(sessions: pl.DataFrame, schedule: Any) -> pl.DataFrame:  # noqa: ANN401 - a frame of pandas
    """Return the breaks of a schedule, as far as they lie within their sessions and have a length.

    Half days end before the break that the library states for them, and pauses that were abolished stay there
    with a length of nothing (CME equity futures since 2021).
    """
    both = pl.DataFrame(
        {"start_ns": _utc_ns(schedule["break_start"]), "end_ns": _utc_ns(schedule["break_end"])},
        schema=BREAKS,
    ).hstack(sessions.select("open_ns", "close_ns").get_columns())
    edges = ("open_ns", "start_ns", "end_ns", "close_ns")
    in_order = [pl.col(before) < pl.col(after) for before, after in itertools.pairwise(edges)]
    return both.filter(*in_order).select(BREAKS.names())


def _utc_ns(column: object) -> npt.NDArray[np.int64]:
    """Return a pandas column of aware instants as UTC ns."""
    instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()  # type: ignore[attr-defined]
    return np.asarray(instants.astype("datetime64[ns]").astype(np.int64), dtype=np.int64)


def checked_breaks(table: SessionTable) -> SessionTable:
    """Return a table of which every break lies within a session, after the break before it, or raise."""
    starts, stops = table.breaks["start_ns"].to_numpy(), table.breaks["end_ns"].to_numpy()
    opens, closes = table.frame["open_ns"].to_numpy(), table.frame["close_ns"].to_numpy()
    place = np.searchsorted(opens, starts, side="left") - 1
    held = (place >= 0) & (starts < stops)
    if len(opens):
        held &= stops < closes[place]
    held[1:] &= starts[1:] > stops[:-1]
    if not held.all():
        row = int(np.argmin(held))
        message = (
            f"calendar {table.name}: the break from {format_ns(int(starts[row]))} to "
            f"{format_ns(int(stops[row]))} does not lie within a session, after the break before it; breaks "
            "are inside of sessions, in order and apart: correct it, or leave it out"
        )
        raise DataError(message)
    return table


def checked(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the sessions of a calendar, or raise naming the one that is not in order."""
    before = [pl.col(column).shift(1).alias(f"{column}_before") for column in ("label", "close_ns")]
    wrong = frame.with_columns(before).filter(
        (pl.col("close_ns") <= pl.col("open_ns"))
        | (pl.col("label") <= pl.col("label_before"))
        | (pl.col("open_ns") < pl.col("close_ns_before"))
    )
    if not wrong.height:
        return frame
    row = wrong.row(0, named=True)
    what = f"opens {format_ns(row['open_ns'])} and closes {format_ns(row['close_ns'])}"
    if row["close_ns"] > row["open_ns"] and row["label"] <= row["label_before"]:
        what = f"comes after session {row['label_before']}"
    elif row["close_ns"] > row["open_ns"]:
        closed = format_ns(row["close_ns_before"])
        what = f"overlaps the session before it: it {what}, that one closes {closed}"
    message = (
        f"calendar {name}: session {row['label']} {what}, so bars cannot be assigned to sessions. Sessions "
        "are one a day, in order and without overlap: correct them, or use another calendar of this venue"
    )
    raise DataError(message)


# The cache --------------------------------------------------------------------------------------


# What a file holds: null where a session has no break.
STORED = pl.Schema({**SCHEMA, **BREAKS})


@frozen(kw_only=True)
class _Cached:
    """A stored table and the labels it is complete for."""

    first: dt.date
    last: dt.date
    table: SessionTable


def cache_folder() -> Path:
    r"""Return the folder for files that can be made again.

    ``ML4T_CACHE_DIR`` if set; else the platform's place: ``~/Library/Caches/ml4t`` (macOS),
    ``%LOCALAPPDATA%\\ml4t`` (Windows), ``$XDG_CACHE_HOME/ml4t`` or ``~/.cache/ml4t`` elsewhere.
    """
    override = os.environ.get("ML4T_CACHE_DIR")
    if override:
        return Path(override)
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ml4t"


def _cache_path(name: str) -> Path | None:
    """Return where the table of a calendar is kept; None where there is no home folder to keep it in."""
    try:
        folder = cache_folder()
    except RuntimeError:
        return None
    parts = [
        f"{library}-{_version(library)}" for library in ("pandas-market-calendars", "exchange-calendars")
    ]
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    # Two names may look the same once made plain ("24/5" and "24_5"): the digest tells them apart.
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return folder / "calendars" / "_".join([f"v{CACHE_FORMAT}", *parts]) / f"{plain}-{digest}.arrow"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _read_cache(path: Path, name: str) -> _Cached | None:
    """Return a stored table, or None where there is none or the file is damaged."""
    ipc = importlib.import_module("pyarrow.ipc")
    try:
        with path.open("rb") as stream, ipc.open_file(stream) as reader:
            arrow = reader.read_all()
        facts = {key.decode(): value.decode() for key, value in (arrow.schema.metadata or {}).items()}
        stored = pl.DataFrame(arrow)
        if stored.schema != STORED or facts["sha256"] != _digest(stored, facts) or facts["name"] != name:
            return None
        frame, breaks = stored.select(SCHEMA.names()), stored.select(BREAKS.names()).drop_nulls().rechunk()
        table = SessionTable(name=name, timezone=facts["timezone"], frame=frame, breaks=breaks)
        first, last = dt.date.fromisoformat(facts["first"]), dt.date.fromisoformat(facts["last"])
        return _Cached(first=first, last=last, table=table)
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError):
        # pyarrow's errors are ValueErrors and OSErrors. Whatever is wrong, the table is built anew.
        return None


def _write_cache(path: Path, cached: _Cached) -> None:
    """Store a table; a reader sees the old file or the whole new one.

    A folder that cannot be written costs time on the next run and nothing else, so it is no error.
    """
    ipc = importlib.import_module("pyarrow.ipc")
    facts = {
        "name": cached.table.name,
        "timezone": cached.table.timezone,
        "first": cached.first.isoformat(),
        "last": cached.last.isoformat(),
    }
    stored = _with_breaks(cached.table)
    facts["sha256"] = _digest(stored, facts)
    arrow = stored.to_arrow().replace_schema_metadata(facts)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream, ipc.new_file(stream, arrow.schema) as writer:
                writer.write_table(arrow)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _with_breaks(table: SessionTable) -> pl.DataFrame:
    """Return sessions with the break of each beside it; calendars of the library have one at most."""
    return table.frame.join_asof(
        table.breaks, left_on="close_ns", right_on="end_ns", strategy="backward", coalesce=False
    ).select(
        *SCHEMA.names(),
        *(pl.when(pl.col("start_ns") > pl.col("open_ns")).then(name).alias(name) for name in BREAKS.names()),
    )


def _digest(frame: pl.DataFrame, facts: Mapping[str, str]) -> str:
    """Return the sha256 of the values and of the facts stored beside them."""
    digest = hashlib.sha256()
    for key in ("name", "timezone", "first", "last"):
        digest.update(f"{key}={facts[key]}\n".encode())
    for column in STORED.names():
        digest.update(frame[column].cast(pl.Int64).fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()
