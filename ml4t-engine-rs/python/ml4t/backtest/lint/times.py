"""From stamps to sessions and instants, without refusing what a detector is to find."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

import numpy as np
import polars as pl
from attrs import field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.bounds import SessionBook
from ml4t.backtest.data.stamps import OFFSET, Interval, instants, session_labels
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import NS_PER_DAY

__all__ = ["Declared", "labelled", "sessions_of", "stamped"]

#: Rows of one symbol that are further apart than this, at the median, are sessions.
DAILY_NS = NS_PER_DAY * 20 // 24


@frozen(kw_only=True)
class Declared:
    """What the caller says of the data; see :func:`ml4t.backtest.lint`."""

    label: str
    kind: DataKind = DataKind.BAR
    calendar: str = "XNYS"
    stamp: StampMeaning | None = None
    interval: Interval | None = None
    timezone: str | None = None
    columns: Mapping[str, str] = field(factory=dict)
    today: dt.date | None = None


def stamped(rows: pl.DataFrame, declared: Declared) -> tuple[pl.DataFrame, dict[str, float]]:
    """Return the rows with ``label`` or ``ts`` in place of the stamp, and the zones tried for naive ones."""
    column = rows["stamp"]
    both = rows.drop("stamp")
    try:
        labels = session_labels(column, label=declared.label)
    except DataError:
        labels = None
    if labels is not None and "ts_open" not in rows.columns:
        return both.with_columns(label=labels, ts=pl.lit(None, dtype=pl.Int64)), {}
    times, naive = _instants(column, declared)
    both = both.with_columns(label=pl.lit(None, dtype=pl.Date), ts=times)
    if "ts_open" in rows.columns:
        zone = max(naive, key=lambda each: naive[each]) if naive else declared.timezone
        both = both.with_columns(ts_open=instants(rows["ts_open"], timezone=zone, label=declared.label))
    return both, naive


def _instants(column: pl.Series, declared: Declared) -> tuple[pl.Series, dict[str, float]]:
    """Return UTC ns; of naive stamps without a zone, as read in the zone that fits the sessions best."""
    if declared.timezone is not None or not _is_naive(column):
        return instants(column, timezone=declared.timezone, label=declared.label), {}
    utc = instants(column, timezone="UTC", label=declared.label)
    no_labels = pl.lit(None, dtype=pl.Date).alias("label")
    sessions = sessions_of(utc.alias("ts").to_frame().with_columns(no_labels), declared)
    read_in = {"UTC": utc}
    try:
        read_in[sessions.timezone] = instants(column, timezone=sessions.timezone, label=declared.label)
    except DataError:
        # A local time that does not exist: the stamps are of another zone.
        pass
    fits = {zone: _inside(times, sessions) for zone, times in read_in.items()}
    # The zone of the venue where both fit equally.
    best = max(reversed(list(fits)), key=lambda zone: fits[zone])
    return read_in[best], {best: fits[best], **fits}


def _is_naive(column: pl.Series) -> bool:
    if isinstance(column.dtype, pl.Datetime):
        return column.dtype.time_zone is None
    if column.dtype != pl.String or not len(column):
        return False
    return re.search(OFFSET, str(column[0]).strip()) is None


def _inside(times: pl.Series, sessions: SessionTable) -> float:
    values = times.to_numpy()
    inside = sessions.containing(values)[2] | sessions.containing(values - 1)[2]
    return float(np.mean(inside)) if len(values) else 1.0


def sessions_of(rows: pl.DataFrame, declared: Declared) -> SessionTable:
    """Return the sessions of the calendar around rows with ``label`` and ``ts``."""
    days = pl.concat(
        [rows["label"].drop_nulls(), rows["ts"].drop_nulls().cast(pl.Datetime("ns")).dt.date()],
    )
    first, last = days.min(), days.max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        first = last = declared.today or dt.date(2000, 1, 3)
    return SessionBook().table(declared.calendar, first, last)


def labelled(rows: pl.DataFrame, sessions: SessionTable, *, label: str) -> tuple[pl.DataFrame, bool]:
    """Return the rows with the label of their session, if a row is a session, and whether it is."""
    if rows["label"].null_count() == 0:
        return rows, True
    if rows["ts"].null_count():
        message = f"{label}: some files have dates for stamps and others times of day; look at them apart"
        raise DataError(message)
    apart = rows.sort("symbol", "ts").select(pl.col("ts").diff().over("symbol")).to_series().drop_nulls()
    typical = apart.filter(apart > 0).median()
    if typical is None or float(typical) < DAILY_NS:  # type: ignore[arg-type]
        return rows, False
    return rows.with_columns(label=_labels_of(rows["ts"], sessions)), True


def _labels_of(times: pl.Series, sessions: SessionTable) -> pl.Series:
    """Return the session that each instant lies in or closes, or its local date."""
    frame, values = sessions.frame, times.to_numpy()
    local = times.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC").dt.convert_time_zone(sessions.timezone)
    days = local.dt.date()
    if not frame.height:
        return days
    place = np.clip(np.searchsorted(frame["open_ns"].to_numpy(), values - 1, side="right") - 1, 0, None)
    opens = np.searchsorted(frame["open_ns"].to_numpy(), values, side="left")
    opens = np.clip(opens, 0, frame.height - 1)
    is_open = frame["open_ns"].to_numpy()[opens] == values
    place = np.where(is_open, opens, place)
    within = is_open | (
        (values > frame["open_ns"].to_numpy()[place]) & (values <= frame["close_ns"].to_numpy()[place])
    )
    labels = frame["label"][pl.Series(place).to_list()]
    return pl.select(pl.when(pl.Series(within)).then(labels).otherwise(days)).to_series()
