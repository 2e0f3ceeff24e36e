"""Which contract is in front on which session."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs
import polars as pl

from ml4t.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml4t.futures.chain import FuturesChain

__all__ = ["RollRule", "RollSchedule"]

_FRONT = {"session": pl.Date(), "contract": pl.String()}


@attrs.frozen(eq=False, slots=False)
class RollSchedule:
    """The front contract of each session, and the rolls between them.

    `front` has one row per session, sorted: `session` Date, `contract` String. It must not go back to a
    contract that was left: a DataError.
    """

    front: pl.DataFrame

    def __attrs_post_init__(self) -> None:
        if dict(self.front.schema) != _FRONT:
            message = f"a schedule has columns {_FRONT}, found {dict(self.front.schema)}"
            raise DataError(message)
        sessions = self.front["session"]
        if sessions.null_count() or not sessions.is_sorted() or sessions.n_unique() != len(sessions):
            message = "the sessions of a schedule must ascend, each of them once"
            raise DataError(message)
        entered = [str(self.front["contract"][0]), *self.rolls["to"]] if self.front.height else []
        for roll in self.rolls.iter_rows(named=True):
            if entered.count(roll["to"]) > 1:
                message = (
                    f"the schedule goes back to {roll['to']}, which is in front again on {roll['session']}"
                )
                raise DataError(message)

    @cached_property
    def rolls(self) -> pl.DataFrame:
        """One row per roll, sorted: `session` Date, the first of the new contract, `from`, `to` String."""
        before = pl.col("contract").shift(1)
        moved = self.front.with_columns(before=before).filter(pl.col("contract") != pl.col("before"))
        return moved.select("session", pl.col("before").alias("from"), pl.col("contract").alias("to"))

    @classmethod
    def of(cls, sessions: Sequence[dt.date], contracts: Sequence[str]) -> RollSchedule:
        """Build a schedule of as many contracts as sessions."""
        return cls(pl.DataFrame({"session": sessions, "contract": contracts}, schema=_FRONT))


@runtime_checkable
class RollRule(Protocol):
    """Decides which contract of a chain is in front.

    Whatever a rule reads, the contract of a session must follow from earlier sessions alone.
    """

    def schedule(self, chain: FuturesChain, bars: pl.DataFrame) -> RollSchedule:
        """Return the schedule of sessions on which there are bars of contracts of the chain.

        Parameters
        ----------
        chain
            The contracts.
        bars
            Columns `session` Date, `contract` or `symbol` String, and what the rule reads, in any sequence.
            Rows of contracts that the chain does not have are not looked at.
        """
