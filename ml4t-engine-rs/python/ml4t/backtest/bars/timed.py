"""Bars by time, from ticks and from shorter bars."""

from __future__ import annotations

import datetime as dt
from typing import Unpack

import polars as pl

from ml4t.backtest.bars.build import finish, price_columns
from ml4t.backtest.bars.intake import BarOptions, CalendarLike, Intake, TickOptions, read_bars, read_ticks
from ml4t.backtest.bars.windows import Outside, Window, place, within_sessions
from ml4t.core.errors import DataError
from ml4t.core.values import format_ns, to_ns

__all__ = ["bars_by_time", "known_until", "merged_bars", "resample", "time_bars", "until_ns"]


def time_bars(
    ticks: object,
    every: str | dt.timedelta,
    *,
    calendar: CalendarLike = "XNYS",
    outside: Outside = "refuse",
    until: dt.datetime | None = None,
    keep_incomplete: bool = False,
    **options: Unpack[TickOptions],
) -> pl.DataFrame:
    """Return one bar per window of time in which there was a tick.

    Windows start at the open of each session and anew after each break in it, the last one before a break or
    a close ends there, and none spans two sessions or a break (but ``1d``, ``1w`` and ``1mo``, which are made
    of whole sessions). A window without a tick has no bar.

    Parameters
    ----------
    ticks
        Trade ticks: symbol, timestamp, price, size; see :mod:`ml4t.backtest.bars`.
    every
        Length of a window: ``"30s"``, ``"5m"``, ``"1h"`` … below a day, a timedelta, ``"1d"`` (a session),
        ``"1w"`` (the sessions labelled Monday to Sunday) or ``"1mo"`` (those of a calendar month).
    calendar
        Of the instruments that are not declared: a name, or a calendar of your own, which has to know the
        sessions to the end of the last window.
    outside
        What to do with ticks outside the sessions or in a break: ``refuse`` names the first one, ``drop``
        leaves them out, and their volume is in no bar.
    until
        Instant up to which the ticks are all there, with a time zone; that of the last tick of all symbols
        by default. A window that ends later is incomplete. Give the close of the last session where its last
        trade came before it.
    keep_incomplete
        Whether bars of incomplete windows stay; they carry the end of their window as well.
    **options
        `columns`, `symbols`, `timezone`, `instruments`; see :class:`ml4t.backtest.bars.TickOptions`.

    Returns
    -------
    polars.DataFrame
        See :mod:`ml4t.backtest.bars`. ``ts_open`` and ``ts_event`` are the two ends of the window, of which
        it holds the first and not the second; only the last one before a close or a break holds the print of
        that very instant. A bar of whole sessions opens with the first session that it has a tick of.

    Raises
    ------
    DataError
        `every`, `outside` or `until` is not what it must be, a tick lies outside the sessions, or the ticks
        are refused.

    Examples
    --------
    The day after Thanksgiving, which ends at 13:00 in New York:

    >>> stamps = ["2024-11-29T12:15:00-05:00", "2024-11-29T12:59:00-05:00", "2024-11-29T13:00:00-05:00"]
    >>> ticks = pl.DataFrame({"symbol": "XYZ", "timestamp": stamps, "price": [10.0, 11.0, 12.0], "size": 100})
    >>> bars = time_bars(ticks, "1h")
    >>> print(bars["ts_open"][0], bars["ts_event"][0], bars["close"][0])
    2024-11-29 16:30:00+00:00 2024-11-29 17:30:00+00:00 10.0
    >>> print(bars["ts_open"][1], bars["ts_event"][1], bars["close"][1])
    2024-11-29 17:30:00+00:00 2024-11-29 18:00:00+00:00 12.0
    """
    window = Window.parse(every)
    intake = read_ticks(ticks, options, calendar=calendar)
    known = known_until(intake, until)
    return bars_by_time(intake, window, outside=outside, known=known, keep_incomplete=keep_incomplete)


def bars_by_time(
    intake: Intake, window: Window, *, outside: Outside, known: int, keep_incomplete: bool
) -> pl.DataFrame:
    """Return the bars of :func:`time_bars` of ticks that are read and checked, all of them up to `known`."""
    rows = intake.rows
    placed = rows.with_columns(at="ts").hstack(
        place(rows["symbol"], rows["ts"], window, intake.tables).get_columns()
    )
    kept = within_sessions(placed, label=intake.label, tables=intake.tables, outside=outside)
    grouped = _grouped(kept, intake, price_columns(), known)
    return finish(grouped, intake, keep_incomplete=keep_incomplete)


def resample(
    bars: object,
    every: str | dt.timedelta,
    *,
    calendar: CalendarLike = "XNYS",
    outside: Outside = "refuse",
    until: dt.datetime | None = None,
    keep_incomplete: bool = False,
    **options: Unpack[BarOptions],
) -> pl.DataFrame:
    """Return coarser bars: first open, highest high, lowest low, last close and the sum of the volumes.

    Parameters
    ----------
    bars
        Anything that a feed of bars takes. Without other declarations they carry both stamps, as the bars
        built here do; ``stamp="session"`` is for daily bars labelled with a date, ``stamp="open"`` and
        ``stamp="close"`` need `interval`.
    every
        Length of a window, as of :func:`time_bars`. Bars of minutes, hours or sessions become bars of hours,
        sessions, weeks or months.
    calendar
        Of the instruments that are not declared; see :func:`time_bars`.
    outside
        What to do with bars that begin outside the sessions, or in a break: ``refuse`` names the first one,
        ``drop`` leaves them out.
    until
        Instant up to which the bars are all there, with a time zone; the end of the last bar of all symbols
        by default. A window that ends later is incomplete.
    keep_incomplete
        Whether bars of incomplete windows stay.
    **options
        `stamp`, `interval`, `columns`, `symbols`, `timezone`, `instruments`; see
        :class:`ml4t.backtest.bars.BarOptions`.

    Returns
    -------
    polars.DataFrame
        See :mod:`ml4t.backtest.bars`; without ``ticks``. ``ts_event`` is the end of the window, for a week or
        a month the close of its last session, also where an instrument has no bar then: only at the end of
        the window is it known that none came. ``ts_open`` is the start of the window; a bar of whole sessions
        opens with the first session that it has a row of. A volume is NaN where one of the volumes is.

    Raises
    ------
    DataError
        A bar reaches beyond the window it begins in, beyond its session or into a break; it lies outside the
        sessions or in a break; two bars of one symbol overlap; a parameter is not what it must be; or the
        bars are refused.

    Examples
    --------
    >>> from ml4t.backtest import datasets
    >>> weeks = resample(datasets.us_equity_daily(), "1w", stamp="session", symbols=["IBM"])
    >>> print(weeks.height, weeks["ts_open"][1], weeks["ts_event"][1])
    679 2000-03-06 14:30:00+00:00 2000-03-10 21:00:00+00:00
    """
    window = Window.parse(every)
    intake = read_bars(bars, options, calendar=calendar)
    known = known_until(intake, until)
    return merged_bars(intake, window, outside=outside, known=known, keep_incomplete=keep_incomplete)


def merged_bars(
    intake: Intake, window: Window, *, outside: Outside, known: int, keep_incomplete: bool
) -> pl.DataFrame:
    """Return the bars of :func:`resample` of bars that are read and checked, all of them up to `known`."""
    rows = intake.rows
    placed = rows.with_columns(at="ts_open").hstack(
        place(rows["symbol"], rows["ts_open"], window, intake.tables, until=rows["ts"]).get_columns()
    )
    kept = within_sessions(placed, label=intake.label, tables=intake.tables, outside=outside)
    _refuse_longer(kept, intake, window)
    values = [
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    ]
    grouped = _grouped(kept, intake, values, known)
    return finish(grouped, intake, keep_incomplete=keep_incomplete)


def _grouped(rows: pl.DataFrame, intake: Intake, values: list[pl.Expr], known: int) -> pl.LazyFrame:
    arrivals = [pl.col("ts_arrival").max()] if "ts_arrival" in intake.rows.columns else []
    return (
        rows.lazy()
        .group_by("symbol", "ends", maintain_order=True)
        .agg(*values, pl.col("starts").first().alias("ts_open"), *arrivals)
        .rename({"ends": "ts_event"})
        .with_columns((pl.col("ts_event") <= known).alias("is_complete"))
    )


def known_until(intake: Intake, until: dt.datetime | None) -> int:
    """Return the instant up to which rows are all there: that of the last of them, if nothing is said."""
    last = intake.rows["ts"].max()
    end = last if isinstance(last, int) else 0
    if until is None:
        return end
    known = until_ns(until)
    if known < end:
        row = intake.rows["ts"].arg_max() or 0
        message = (
            f"until is {format_ns(known)}, but {intake.rows['symbol'][row]} has a row at {format_ns(end)}; "
            "give an instant that no row is later than"
        )
        raise DataError(message)
    return known


def until_ns(until: dt.datetime) -> int:
    """Return the instant in UTC ns, or refuse it by name."""
    try:
        return to_ns(until)
    except DataError as error:
        message = f"until: {error}"
        raise DataError(message) from None


def _refuse_longer(rows: pl.DataFrame, intake: Intake, window: Window) -> None:
    """Refuse bars that end after their window: what happened in which part of them is not known."""
    longer = rows.filter(pl.col("ts") > pl.col("ends"))
    if not longer.height:
        return
    row = longer.sort("ts", "symbol").row(0, named=True)
    message = (
        f"{intake.label}: the bar of {row['symbol']} from {format_ns(row['ts_open'])} to "
        f"{format_ns(row['ts'])} reaches beyond its window of {window.text}, which ends at "
        f"{format_ns(row['ends'])}, and a bar cannot be divided; choose windows that hold whole bars, cut "
        "bars at the close of their session and at its breaks, or build from ticks"
    )
    raise DataError(message)
