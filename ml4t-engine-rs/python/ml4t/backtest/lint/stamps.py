"""Stamps: at the open, in which zone, outside sessions, in the future, out of order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ml4t.backtest.calendars import local_midnight_ns
from ml4t.backtest.data.hours import hours_of
from ml4t.backtest.data.report import missing_sessions
from ml4t.backtest.lint.findings import LintFinding, LintSeverity, finding, of_symbols
from ml4t.backtest.lint.table import Table
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_ns

__all__ = [
    "days_off",
    "future_rows",
    "holes",
    "naive_stamps",
    "out_of_hours",
    "stamps_at_open",
    "stamps_missing",
    "unsorted",
]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
# Of the sessions with rows, so many have a bar at their very open and so few one at their close, at least and
# at most, where bars are stamped at their open: some sessions lack their first bar, few get one at the close.
AT_OPEN, AT_CLOSE = 0.6, 0.1


def stamps_missing(table: Table) -> Iterator[LintFinding]:
    """Find rows without a stamp."""
    yield from of_symbols(table.nameless, "stamp-missing", ERROR, lambda _: "the stamp is null")


def stamps_at_open(table: Table) -> Iterator[LintFinding]:
    """Find bars whose stamps are the opens of sessions and never their closes.

    Where a session opens when the one before closes, as on a calendar without nights, both are the same
    instant and nothing can be said.
    """
    rows = table.frame.filter(pl.col("ts").is_not_null())
    is_told = table.meaning in (StampMeaning.OPEN, StampMeaning.SESSION)
    if table.declared.kind is not DataKind.BAR or is_told or table.never_rests or not rows.height:
        return
    opens, closes = (table.sessions.frame[name].to_numpy() for name in ("open_ns", "close_ns"))
    stamps = np.unique(rows["ts"].to_numpy())
    # A stamp is of the session that it lies in or closes.
    place = np.searchsorted(opens, stamps, side="right") - 1
    is_within = (place >= 0) & (stamps <= closes[np.clip(place, 0, None)])
    seen = np.unique(place[is_within])
    if not len(seen):
        return
    at_open, at_close = np.isin(opens[seen], stamps), np.isin(closes[seen], stamps)
    if at_open.mean() < AT_OPEN or at_close.mean() > AT_CLOSE:
        return
    first = int(opens[seen[np.flatnonzero(at_open)[0]]])
    row = rows.filter(pl.col("ts") == first).row(0, named=True)
    declared = table.meaning is not None
    found = (
        f"{int(at_open.sum()):,} of {len(seen):,} sessions of {table.sessions.name} have a bar stamped at "
        f"their open, such as {format_ns(first)}, and {int(at_close.sum()):,} one at their close: "
        + (
            f"the stamps are opens, and stamp='{table.meaning.value}' was declared"
            if table.meaning is not None
            else "the stamps are opens, not closes"
        )
    )
    count = int(rows["ts"].is_in(opens[seen].tolist()).sum())
    yield finding("stamps-at-open", ERROR if declared else DOUBT, row, found, count=count)


def naive_stamps(table: Table) -> Iterator[LintFinding]:
    """Find times of day without a zone, and say in which zone they fit the sessions."""
    if not table.naive or not table.frame.height:
        return
    parts = ", ".join(f"{part:.0%} as {zone}" for zone, part in table.naive.items())
    best, *others = table.naive.values()
    verdict = "no other reading fits as well"
    if best < 0.5:
        verdict = "they are at odd hours in each of them: zone or calendar is another one"
    elif any(other == best for other in others):
        verdict = "they cannot tell which"
    found = (
        f"the stamps have no zone and none was declared; in sessions of {table.sessions.name} lie {parts}; "
        f"{verdict}"
    )
    row = {**table.frame.row(0, named=True), "symbol": None}
    yield finding("naive-stamps", DOUBT, row, found, count=1)


def out_of_hours(table: Table) -> Iterator[LintFinding]:
    """Find rows that are not in a session of the calendar, or in a break of it."""
    if table.is_daily:
        return
    keys = table.frame.select("symbol", ts_event="ts")
    hours = hours_of(keys, dict.fromkeys(keys["symbol"].unique().to_list(), table.sessions))
    count = hours.outside.count + hours.resting.count
    for doubt in hours.doubts[:1]:
        yield LintFinding(
            code="out-of-hours", severity=DOUBT, found=doubt.partition("; check")[0], count=count
        )


def days_off(table: Table) -> Iterator[LintFinding]:
    """Find daily rows on days that are no sessions of the calendar."""
    if not table.is_daily:
        return
    known = table.sessions.frame["label"].to_list()
    off = table.frame.filter(~pl.col("label").is_in(known))
    name = table.sessions.name
    yield from of_symbols(
        off,
        "not-a-session",
        ERROR,
        lambda row: f"{row['label']:%A} {row['label']} is no session of {name}",
    )


def future_rows(table: Table) -> Iterator[LintFinding]:
    """Find rows later than the day that the caller calls today; a session counts by its label."""
    today = table.declared.today
    if today is None:
        return
    end = local_midnight_ns(today.fromordinal(today.toordinal() + 1), "UTC")
    late = table.frame.filter(pl.col("label") > today if table.is_daily else pl.col("ts") > end)
    yield from of_symbols(late, "future-row", ERROR, lambda _: f"the row is later than today, {today}")


def unsorted(table: Table) -> Iterator[LintFinding]:
    """Find rows that stand after a later one of their symbol in the source."""
    order = table.frame.sort("source", "row")
    before = table.stamp.shift(1).over("symbol", "source")
    back = order.with_columns(before=before).filter(table.stamp < pl.col("before"))

    def say(row: dict[str, object]) -> str:
        before = row["before"]
        return f"the row before it is of {format_ns(before) if isinstance(before, int) else before}"

    yield from of_symbols(back, "unsorted", DOUBT, say)


def holes(table: Table) -> Iterator[LintFinding]:
    """Find runs of sessions without a row between two rows of a symbol."""
    if not table.is_daily:
        return
    keys = (
        table.frame.join(table.sessions.frame.select("label", ts_event="close_ns"), on="label")
        .select("symbol", "ts_event")
        .unique(maintain_order=True)
    )
    symbols = keys["symbol"].unique().to_list()
    gaps, count = missing_sessions(keys, dict.fromkeys(symbols, table.sessions))
    if gaps:
        runs = f"{count} hole{'' if count == 1 else 's'}"
        yield LintFinding(
            code="missing-sessions",
            severity=DOUBT,
            symbol=gaps[0].symbol,
            at=format_ns(gaps[0].start_ns),
            found=f"{runs} in all; the largest: {gaps[0]}",
            value=float(gaps[0].sessions),
        )
