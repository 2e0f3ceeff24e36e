"""Windows of time within the sessions of a calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from attrs import frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.stamps import Interval
from ml4t.core.errors import DataError
from ml4t.core.values import NS_PER_DAY, format_duration, format_ns

__all__ = ["Outside", "Window", "check_outside", "place", "within_sessions"]

Outside = Literal["refuse", "drop"]
Instants = npt.NDArray[np.int64]
# How labels of sessions are put together to longer windows: a week begins on Monday.
PERIODS = {"1w": "1w", "1mo": "1mo"}
NOMINAL_DAYS = {"1d": 1, "1w": 7, "1mo": 30}


@frozen(kw_only=True)
class Window:
    """Length of a window.

    Attributes
    ----------
    text
        As it was written.
    ns
        Length in ns; None where windows are made of whole sessions.
    period
        polars' name of the span of labels that a window of whole sessions covers.
    """

    text: str
    ns: int | None
    period: str = "1d"

    @property
    def interval(self) -> Interval:
        """The length as that of a feed's bars: a session counts as a day, a week as 7, a month as 30."""
        if self.ns is not None:
            return Interval(format_duration(self.ns), self.ns, is_session=False)
        return Interval(self.period, NOMINAL_DAYS[self.period] * NS_PER_DAY, is_session=self.period == "1d")

    @classmethod
    def parse(cls, every: str | dt.timedelta) -> Window:
        """Return the window of a text such as ``5m``, ``1h``, ``1d``, ``1w``, ``1mo``, or of a timedelta.

        Raises
        ------
        DataError
            It is none of these; the message says what is allowed.
        """
        if isinstance(every, str) and every in PERIODS:
            return cls(text=every, ns=None, period=PERIODS[every])
        if isinstance(every, str | dt.timedelta):
            try:
                interval = Interval.parse(every)
            except DataError:
                interval = None
            if interval is not None:
                return cls(text=interval.text, ns=None if interval.is_session else interval.ns)
        message = (
            f"every is {every!r}; allowed are lengths below a day such as '30s', '5m' or '1h', and '1d' (a "
            "session), '1w' (the sessions labelled Monday to Sunday) and '1mo' (those of a calendar month)"
        )
        raise DataError(message)


def place(
    symbols: pl.Series,
    instants: pl.Series,
    window: Window,
    tables: Mapping[str, SessionTable],
    *,
    until: pl.Series | None = None,
) -> pl.DataFrame:
    """Return the window of each row: ``starts`` and ``ends`` in UTC ns, null outside sessions and in breaks.

    Rows are ticks, or bars from `instants` to `until`. A window holds its start and not its end, but the last
    one before a close or a break holds the tick of that instant: the closing auction prints then. Where the
    next session opens at that instant, the print belongs to that one.

    After a break windows start anew. Those of whole sessions go over it, and hold bars that reach into it.

    ``starts`` of a window of whole sessions is the open of the session the row lies in, so that a bar
    never opens before the first session it has a row of.
    """
    at = instants.to_numpy()
    last_at = None if until is None else until.to_numpy()
    starts, ends = np.zeros_like(at), np.zeros_like(at)
    known = np.zeros(len(at), dtype=np.bool_)
    for name, table in sorted({table.name: table for table in tables.values()}.items()):
        mine = symbols.is_in([symbol for symbol in tables if tables[symbol].name == name]).to_numpy()
        first, last, inside = _windows(at[mine], None if last_at is None else last_at[mine], table, window)
        starts[mine], ends[mine], known[mine] = first, last, inside
    placed = pl.DataFrame({"starts": starts, "ends": ends, "known": known})
    return placed.select(pl.when("known").then(name).alias(name) for name in ("starts", "ends"))


def _windows(
    at: Instants, until: Instants | None, table: SessionTable, window: Window
) -> tuple[Instants, Instants, npt.NDArray[np.bool_]]:
    if not table.frame.height:
        return np.zeros_like(at), np.zeros_like(at), np.zeros(len(at), dtype=np.bool_)
    whole = table.frame["open_ns"].to_numpy(), table.frame["close_ns"].to_numpy()
    opens, closes = whole if window.ns is None else table.spans
    row = np.searchsorted(opens, at, side="right") - 1
    inside = (row >= 0) & ((at < closes[row]) | ((until is None) & (at == closes[row])))
    if window.ns is None:
        inside &= ~table.resting(at, at if until is None else until)
        label = pl.col("label").dt.truncate(window.period)
        last = table.frame.select(pl.col("close_ns").max().over(label)).to_series().to_numpy()
        return opens[row], last[row], inside
    # A print at the very close is one of the last window.
    within = np.minimum(at, closes[row] - 1) - opens[row]
    starts = opens[row] + within // window.ns * window.ns
    return starts, np.minimum(starts + window.ns, closes[row]), inside


def within_sessions(
    placed: pl.DataFrame, *, label: str, tables: Mapping[str, SessionTable], outside: Outside
) -> pl.DataFrame:
    """Return the rows that lie in a session and in none of its breaks.

    Parameters
    ----------
    placed
        Rows with ``symbol``, ``at``, and ``ends``, null outside sessions and in breaks.
    label
        What messages call the source.
    tables
        Session table of each symbol.
    outside
        ``refuse`` raises at the first row outside; ``drop`` leaves such rows out.
    """
    check_outside(outside)
    wrong = placed.filter(pl.col("ends").is_null())
    if not wrong.height:
        return placed
    if outside == "drop":
        return placed.filter(pl.col("ends").is_not_null())
    first = wrong.sort("at", "symbol").row(0, named=True)
    table = tables[first["symbol"]]
    message = (
        f"{label}: {first['symbol']} at {format_ns(first['at'])} lies {_where(table, first['at'])}, "
        f"the first of {wrong.height:,} such rows of {placed.height:,}; check the zone of the stamps, name "
        "the calendar of the venue with calendar=..., or leave such rows out with outside='drop'"
    )
    raise DataError(message)


def check_outside(outside: object) -> None:
    """Refuse what does not say what becomes of rows outside the sessions."""
    if outside not in ("refuse", "drop"):
        message = f"outside is {outside!r}; allowed are 'refuse' and 'drop'"
        raise DataError(message)


def _where(table: SessionTable, instant: int) -> str:
    start, end, is_break = table.break_around(np.array([instant]))
    if is_break[0]:
        span = f"from {format_ns(int(start[0]))} to {format_ns(int(end[0]))}"
        return f"in a break of calendar {table.name} ({span})"
    return f"outside the sessions of calendar {table.name}{_nearest(table, instant)}"


def _nearest(table: SessionTable, instant: int) -> str:
    before = table.frame.filter(pl.col("close_ns") <= instant)["close_ns"].max()
    after = table.frame.filter(pl.col("open_ns") > instant)["open_ns"].min()
    near = [
        f"{what} {format_ns(at)}"
        for what, at in (("last close", before), ("next open", after))
        if isinstance(at, int)
    ]
    return f" ({', '.join(near)})" if near else ""
