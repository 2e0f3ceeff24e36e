"""Roll rules that count business days back from a date of the contract."""

from __future__ import annotations

import abc
import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import polars as pl

from ml4t.backtest.calendars import session_table
from ml4t.core.errors import ArgumentError, DataError, Finding
from ml4t.core.structuring import Checked
from ml4t.core.values import shown
from ml4t.futures.bars import ContractBars
from ml4t.futures.schedule import RollSchedule
from ml4t.futures.sessions import SessionCount

if TYPE_CHECKING:
    from ml4t.futures.chain import FuturesChain
    from ml4t.futures.contracts import FuturesContract

__all__ = ["BeforeExpiry", "BeforeFirstNotice"]


@attrs.frozen
class _BusinessDaysBefore(Checked, abc.ABC):
    business_days: int
    #: whose sessions are business days; None: that of the contracts
    calendar: str | None = attrs.field(default=None, kw_only=True)

    counts_from: ClassVar[str]

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the given fields."""
        days, calendar = values.get("business_days", 0), values.get("calendar")
        if type(days) is not int or days < 0:
            message = f"expected a whole number of 0 or more, found {shown(days)}"
            yield Finding(path="business_days", message=message, found=shown(days))
        if calendar is not None and (not isinstance(calendar, str) or not calendar):
            message = f"expected the name of a calendar, found {shown(calendar)}"
            yield Finding(path="calendar", message=message, found=shown(calendar))

    def schedule(self, chain: FuturesChain, bars: pl.DataFrame) -> RollSchedule:
        """Return the schedule of the sessions of `bars`; nothing else of them is read."""
        return self._over(chain, ContractBars.read(bars, chain).sessions)

    def between(self, chain: FuturesChain, first: dt.date, last: dt.date) -> RollSchedule:
        """Return the schedule of all sessions of the chain's calendar from `first` to `last`, included."""
        for name, day in (("first", first), ("last", last)):
            if type(day) is not dt.date:
                message = f"{name} = {shown(day)}; expected a date, such as datetime.date(2024, 3, 4)"
                raise ArgumentError(message)
        sessions = session_table(chain.calendar, first, last).frame["label"].to_list()
        if not sessions:
            message = f"calendar {chain.calendar!r} has no session from {first} to {last}"
            raise DataError(message)
        return self._over(chain, sessions)

    def _over(self, chain: FuturesChain, sessions: list[dt.date]) -> RollSchedule:
        leaves = self._leaves(chain, sessions[0], sessions[-1])
        places = [bisect_right(leaves, session) for session in sessions]
        if places[-1] == len(leaves):
            session = sessions[places.index(len(leaves))]
            message = (
                f"the chain of {chain.root} has no contract for session {session}: the last one, "
                f"{chain.symbols[-1]}, is left on {leaves[-1]} by {self}. Add later contracts, or end the "
                "bars before"
            )
            raise DataError(message)
        return RollSchedule.of(sessions, [chain.symbols[place] for place in places])

    def _leaves(self, chain: FuturesChain, first: dt.date, last: dt.date) -> list[dt.date]:
        """Return the session on which each contract is no longer in front, up to the first after `last`.

        It is `datetime.date.min` for contracts that were left before `first`.
        """
        count = SessionCount(self.calendar or chain.calendar, first, last)
        leaves: list[dt.date] = []
        for contract in chain:
            if contract.last_trade < first:
                leaves.append(dt.date.min)
                continue
            what = f"{self.counts_from} of {contract.symbol}"
            leaves.append(count.before(self._date_of(contract), self.business_days, what=what))
            if leaves[-1] > last:
                break
        return leaves

    @abc.abstractmethod
    def _date_of(self, contract: FuturesContract) -> dt.date:
        """Return the date of a contract from which days are counted back."""


@attrs.frozen
class BeforeExpiry(_BusinessDaysBefore):
    """Roll a number of business days before the last trade.

    With 5, the next contract is in front from the fifth session before the last trade on; with 0, from the
    last trade on, so no contract is in front on the day it expires. Needs nothing but the chain.

    Parameters
    ----------
    business_days : int
        0 or more.
    calendar : str or None
        Whose sessions count as business days; None: the calendar of the contracts. CME, for example, trades
        a short session on holidays of the US, which is a session but no business day of the exchange.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    `schedule` and `between` raise a DataError where the last trade is no session of the calendar, or the
    chain ends too early.
    """

    counts_from: ClassVar[str] = "last_trade"

    def _date_of(self, contract: FuturesContract) -> dt.date:
        return contract.last_trade


@attrs.frozen
class BeforeFirstNotice(_BusinessDaysBefore):
    """Roll a number of business days before the first notice day of contracts that are delivered.

    With 1, the next contract is in front from the session before the first notice day on. Counted as in
    `BeforeExpiry`, whose parameters and errors it has; a contract without a first notice day is a DataError.
    """

    counts_from: ClassVar[str] = "first_notice"

    def _date_of(self, contract: FuturesContract) -> dt.date:
        if contract.first_notice is None:
            message = (
                f"{contract.symbol} ({contract.settlement.value} settlement, last trade "
                f"{contract.last_trade}) has no first notice day, from which {self} counts. Give the "
                "contract one, or use BeforeExpiry"
            )
            raise DataError(message)
        return contract.first_notice
