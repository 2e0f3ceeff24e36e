"""Rows against the hours of their venues: sessions, and the breaks within them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl
from attrs import define, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.core.values import format_ns

__all__ = ["Hours", "cut", "hours_of"]


def _by_calendar(
    symbols: pl.Series, tables: Mapping[str, SessionTable]
) -> Iterator[tuple[SessionTable, pl.Series]]:
    """Yield each calendar with the rows whose instruments have it."""
    for name, table in sorted({table.name: table for table in tables.values()}.items()):
        yield table, symbols.is_in([symbol for symbol in tables if tables[symbol].name == name])


def cut(symbols: pl.Series, both: pl.DataFrame, tables: Mapping[str, SessionTable]) -> pl.DataFrame:
    """Return the instants of bars with what lies outside their session, or in a break of it, cut off.

    A bar that begins in a session and ends in none ends at the close; one that begins in none and ends
    in one begins at the open. Bars in no session, or across two, are left as they are. So it is with breaks:
    a bar that reaches into one ends or begins there, and one in it, or across it, is left as it is.
    """
    opens, closes = both["ts_open"].to_numpy(), both["ts_event"].to_numpy()
    first, last = opens.copy(), closes.copy()
    for table, chosen in _by_calendar(symbols, tables):
        mine = chosen.to_numpy()
        begin, _, holds_end = table.containing(closes - 1)
        _, end, holds_start = table.containing(opens)
        first = np.where(mine & holds_end & ~holds_start, begin, first)
        last = np.where(mine & holds_start & ~holds_end, end, last)
        begin, _, ends_in_break = table.break_around(last - 1)
        _, end, begins_in_break = table.break_around(first)
        is_in_one = begins_in_break & (last <= end)
        first = np.where(mine & begins_in_break & ~is_in_one, end, first)
        last = np.where(mine & ends_in_break & ~is_in_one, begin, last)
    return pl.DataFrame({"ts_open": first, "ts_event": last})


@define
class Found:
    """Rows of some kind: how many, and the first of the first calendar that has any."""

    count: int = 0
    example: str = ""

    def add(self, rows: pl.DataFrame, chosen: npt.NDArray[np.bool_], table: SessionTable) -> None:
        """Count the chosen ones of the rows of a calendar."""
        places = np.flatnonzero(chosen)
        if len(places) and not self.example:
            row = int(places[0])
            at = format_ns(rows["ts_event"][row])
            self.example = f"(first: {rows['symbol'][row]} at {at}, calendar {table.name})"
        self.count += len(places)


@frozen
class Hours:
    """Rows against the hours of their venues."""

    outside: Found
    resting: Found
    reaching: Found
    rows: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """What looks like a wrong zone or calendar."""
        doubts = []
        if self.outside.count:
            doubts.append(
                f"{self.outside.count:,} of {self.rows:,} rows reach beyond the sessions of their calendar "
                f"{self.outside.example}; check timezone, stamp and calendar"
            )
        if self.resting.count:
            doubts.append(
                f"{self.resting.count:,} of {self.rows:,} rows lie in a break of their calendar "
                f"{self.resting.example}, where orders do not meet them; check timezone, stamp and calendar"
            )
        return tuple(doubts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is common, and good to know."""
        if not self.reaching.count:
            return ()
        return (
            f"{self.reaching.count:,} of {self.rows:,} bars begin or end inside a break of their calendar "
            f"{self.reaching.example}; cuts_to_session=True lets them begin and end where it does",
        )


def hours_of(keys: pl.DataFrame, tables: Mapping[str, SessionTable]) -> Hours:
    """Look which rows do not lie within a session, or lie in a break."""
    found = Hours(Found(), Found(), Found(), keys.height)
    for table, mine in _by_calendar(keys["symbol"], tables):
        rows = keys.filter(mine)
        last = rows["ts_event"].to_numpy()
        if "ts_open" not in keys.columns:
            # A print at the very close belongs to the session.
            inside = table.containing(last)[2] | table.containing(last - 1)[2]
            found.outside.add(rows, ~inside, table)
            found.resting.add(rows, table.resting(last, last), table)
            continue
        first = rows["ts_open"].to_numpy()
        _, closes, inside = table.containing(first)
        resting = table.resting(first, last)
        found.outside.add(rows, ~inside | (last > closes), table)
        found.resting.add(rows, resting, table)
        reaches = table.break_around(first)[2] | table.break_around(last - 1)[2]
        found.reaching.add(rows, reaches & ~resting, table)
    return found
