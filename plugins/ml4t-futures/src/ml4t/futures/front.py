"""The contract that stands for its root at an instant: what a strategy reads and sends orders for."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import attrs

from ml4t.backtest.calendars import session_table
from ml4t.core.errors import DataError
from ml4t.core.values import format_ns, to_ns

if TYPE_CHECKING:
    from ml4t.futures.schedule import RollSchedule

__all__ = ["FrontContract"]


@attrs.frozen(eq=False)
class FrontContract:
    """Looks the front contract of an instant up in a schedule.

    A contract is in front from the open of its first session on. `opens` are those of the sessions of the
    schedule, ns UTC, sorted, `contracts` as many symbols; `root` is for messages.

    Examples
    --------
    >>> import datetime as dt
    >>> from ml4t.futures.schedule import RollSchedule
    >>> days = [dt.date(2024, 3, 28), dt.date(2024, 4, 1)]
    >>> front = FrontContract.of("ES", RollSchedule.of(days, ["ESH4", "ESM4"]), "XNYS")
    >>> [front.at(dt.datetime(2024, 4, 1, hour, tzinfo=dt.UTC)) for hour in (13, 14)]
    ['ESH4', 'ESM4']
    """

    root: str
    opens: tuple[int, ...] = attrs.field(repr=False)
    contracts: tuple[str, ...] = attrs.field(repr=False)

    @classmethod
    def of(cls, root: str, schedule: RollSchedule, calendar: str) -> FrontContract:
        """Build it of a schedule, with the opens of the sessions of a calendar.

        Raises
        ------
        DataError
            The schedule has no session, or one that the calendar does not have.
        """
        sessions = schedule.front["session"].to_list()
        if not sessions:
            message = f"the schedule of {root} has no session, so no contract is ever in front"
            raise DataError(message)
        opens = dict(
            session_table(calendar, sessions[0], sessions[-1]).frame.select("label", "open_ns").iter_rows()
        )
        if strange := [session for session in sessions if session not in opens]:
            message = (
                f"the schedule of {root} has session {strange[0]}, which is none of calendar {calendar!r}"
            )
            raise DataError(message)
        contracts = tuple(schedule.front["contract"].to_list())
        return cls(root, tuple(opens[session] for session in sessions), contracts)

    def at(self, timestamp: object) -> str:
        """Return the symbol of the contract in front: of the session that is open, or was so last.

        Parameters
        ----------
        timestamp
            What `on_data` is given, an aware datetime, or ns UTC.

        Raises
        ------
        DataError
            It lies before the first session of the schedule.
        """
        now = to_ns(getattr(timestamp, "ns", timestamp))
        place = bisect_right(self.opens, now)
        if place == 0:
            message = (
                f"no contract of {self.root} is in front at {format_ns(now)}: the first session of the "
                f"schedule opens at {format_ns(self.opens[0])}. Begin later, or give the rule earlier bars"
            )
            raise DataError(message)
        return self.contracts[place - 1]
