"""What a feed loaded: symbols, span, rows and the gaps in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from attrs import evolve, frozen
from numpy.typing import NDArray

from ml4t.backtest.calendars import SessionTable
from ml4t.core.types import DataKind
from ml4t.core.values import format_ns

__all__ = ["FeedReport", "Gap", "SymbolReport"]

LARGEST_GAPS = 10
SHOWN_SYMBOLS = 20


@frozen(kw_only=True)
class Gap:
    """A stretch without rows while the instrument's venue was open.

    Attributes
    ----------
    symbol
        Instrument that has no row there.
    start_ns, end_ns
        For session bars, the open of the first and the close of the last missing session. For
        anything finer, the rows on either side of the gap.
    sessions
        Number of missing sessions; 0 for anything finer than a session.
    open_ns
        Length of the gap in ns of time during which the venue was open: breaks do not count.
    """

    symbol: str
    start_ns: int
    end_ns: int
    sessions: int
    open_ns: int

    def __str__(self) -> str:
        span = f"{self.symbol}  {format_ns(self.start_ns)} .. {format_ns(self.end_ns)}"
        if self.sessions:
            return f"{span}  {self.sessions} session{'s' if self.sessions > 1 else ''} missing"
        return f"{span}  {dt.timedelta(microseconds=self.open_ns // 1000)} of open time"


@frozen(kw_only=True)
class SymbolReport:
    """Rows of one symbol: how many, and the instants of the first and the last."""

    symbol: str
    rows: int
    first_ns: int
    last_ns: int


@frozen(kw_only=True, repr=False)
class FeedReport:
    """What a feed loaded.

    Attributes
    ----------
    name, kind
        Name of the feed; kind of its rows.
    rows
        Number of rows.
    symbols
        Symbols with at least one row, sorted; empty for context.
    by_symbol
        Rows and span of each of them.
    span_ns
        First and last instant; None for a feed without rows in the range asked for.
    gaps
        The largest, at most ten, the largest first. Session bars: runs of sessions of the instrument's
        calendar that lie between its first and last row and have none. Other bars, quotes and trades:
        stretches of open time without a row.
    gap_count
        How many there are: of session bars all, of anything finer only those in `gaps`.
    outside_sessions, in_breaks
        Rows that reach beyond the sessions of their calendar, and those that lie in a break of it, which
        orders do not meet; 0 for session bars.
    notes
        What was left out or is unusual, one sentence each.
    doubts
        Those of the notes that look like a wrong declaration; the results warn of them, too.
    """

    name: str
    kind: DataKind
    rows: int
    symbols: tuple[str, ...] = ()
    by_symbol: tuple[SymbolReport, ...] = ()
    span_ns: tuple[int, int] | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    outside_sessions: int = 0
    in_breaks: int = 0
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[dt.datetime, dt.datetime] | None:
        """First and last instant as UTC datetimes (to the microsecond); None without rows."""
        if self.span_ns is None:
            return None
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        first, last = self.span_ns
        return epoch + dt.timedelta(microseconds=first // 1000), epoch + dt.timedelta(
            microseconds=last // 1000
        )

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        count = f"{self.rows:,} {self.kind.value} row{'' if self.rows == 1 else 's'}"
        symbols = (
            f" of {len(self.symbols)} symbol{'' if len(self.symbols) == 1 else 's'}" if self.symbols else ""
        )
        lines = [f"feed {self.name}: {count}{symbols}"]
        if self.span_ns is not None:
            lines.append(f"  span {format_ns(self.span_ns[0])} .. {format_ns(self.span_ns[1])}")
        width = max((len(symbol) for symbol in self.symbols), default=0)
        for each in self.by_symbol[:SHOWN_SYMBOLS]:
            span = f"{format_ns(each.first_ns)} .. {format_ns(each.last_ns)}"
            lines.append(f"  {each.symbol:<{width}}  {each.rows:>12,}  {span}")
        if len(self.by_symbol) > SHOWN_SYMBOLS:
            lines.append(f"  and {len(self.by_symbol) - SHOWN_SYMBOLS} more symbols")
        is_cut = self.kind is not DataKind.BAR and len(self.gaps) >= LARGEST_GAPS
        lines.append(f"  gaps: {'the largest' if is_cut else self.gap_count or 'none'}")
        lines.extend(f"    {gap}" for gap in self.gaps)
        if self.gap_count > len(self.gaps):
            lines.append(f"    and {self.gap_count - len(self.gaps)} more")
        lines.extend(f"  note: {note}" for note in self.notes)
        return lines


def with_late_rows(report: FeedReport, keys: pl.DataFrame, end_ns: int) -> FeedReport:
    """Return the report with a note on the rows that arrive after a run that ends at `end_ns`, if any do."""
    late = keys.filter(pl.col("ts_arrival") > end_ns) if "ts_arrival" in keys.columns else keys.clear()
    if late.is_empty():
        return report
    first = format_ns(int(late["ts_arrival"].min()))  # type: ignore[arg-type]
    note = (
        f"{late.height:,} of {keys.height:,} rows arrive after the last event, {format_ns(end_ns)}, and "
        f"never become readable in a run that ends with it (first: {first})"
    )
    return evolve(report, notes=(*report.notes, note))


def symbol_reports(keys: pl.DataFrame) -> tuple[SymbolReport, ...]:
    """Return rows and span per symbol of a frame with ``symbol``, ``ts_event`` and maybe ``ts_open``."""
    first = "ts_open" if "ts_open" in keys.columns else "ts_event"
    grouped = keys.group_by("symbol").agg(
        rows=pl.len(), first_ns=pl.col(first).min(), last_ns=pl.col("ts_event").max()
    )
    return tuple(
        SymbolReport(symbol=symbol, rows=rows, first_ns=first_ns, last_ns=last_ns)
        for symbol, rows, first_ns, last_ns in grouped.sort("symbol").iter_rows()
    )


def _is_among(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each value is one of those that ascend, as `numpy.isin` says without loading `numpy.ma`."""
    place = np.searchsorted(ascending, values)
    return ascending[np.minimum(place, len(ascending) - 1)] == values  # type: ignore[no-any-return]


def missing_sessions(keys: pl.DataFrame, tables: Mapping[str, SessionTable]) -> tuple[tuple[Gap, ...], int]:
    """Return the longest runs of sessions without a row between two rows of a symbol, and how many there are.

    `keys` has ``symbol`` and ``ts_event`` of session bars; `tables` the session table of each symbol.
    """
    gaps: list[Gap] = []
    count = 0
    stamps = keys.group_by("symbol", maintain_order=True).agg(pl.col("ts_event").sort())
    for symbol, times in zip(stamps["symbol"].to_list(), stamps["ts_event"], strict=True):
        table = tables[str(symbol)]
        opens, closes = table.frame["open_ns"].to_numpy(), table.frame["close_ns"].to_numpy()
        have = np.flatnonzero(_is_among(closes, times.to_numpy()))
        behind = np.flatnonzero(np.diff(have) > 1)
        if not len(behind):
            continue
        # A run goes from one session to before another.
        begin, end = have[behind] + 1, have[behind + 1]
        lengths = table.open_time_before(opens[end]) - table.open_time_before(opens[begin])
        count += len(behind)
        gaps.extend(
            Gap(
                symbol=str(symbol),
                start_ns=int(opens[begin[k]]),
                end_ns=int(closes[end[k] - 1]),
                sessions=int(end[k] - begin[k]),
                open_ns=int(lengths[k]),
            )
            for k in np.argsort(-lengths, kind="stable")[:LARGEST_GAPS]
        )
    return _largest_first(gaps), count


def largest_gaps(keys: pl.DataFrame, tables: Mapping[str, SessionTable]) -> tuple[tuple[Gap, ...], int]:
    """Return the longest stretches of open time between two rows of one symbol, and how many those are.

    A bar covers the time from ``ts_open`` to ``ts_event``; a quote or a trade covers none.
    """
    first = "ts_open" if "ts_open" in keys.columns else "ts_event"
    gaps: list[Gap] = []
    for (symbol,), rows in keys.group_by("symbol", maintain_order=True):
        ends = rows["ts_event"].to_numpy()[:-1]
        starts = rows[first].to_numpy()[1:]
        table = tables[str(symbol)]
        lengths = table.open_time_before(starts) - table.open_time_before(ends)
        longest = np.argsort(-lengths, kind="stable")[:LARGEST_GAPS]
        gaps.extend(
            Gap(
                symbol=str(symbol),
                start_ns=int(ends[i]),
                end_ns=int(starts[i]),
                sessions=0,
                open_ns=int(lengths[i]),
            )
            for i in longest
            if lengths[i] > 0
        )
    longest_of_all = _largest_first(gaps)
    return longest_of_all, len(longest_of_all)


def _largest_first(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    in_order = sorted(gaps, key=lambda gap: (-gap.open_ns, gap.symbol, gap.start_ns))
    return tuple(in_order[:LARGEST_GAPS])
