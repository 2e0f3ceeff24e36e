"""Roll rules that follow the market: to the contract with the most volume or open interest."""

from __future__ import annotations

import abc
import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from ml4t.core.errors import ArgumentError, DataError, Finding
from ml4t.core.structuring import Checked
from ml4t.core.values import shown
from ml4t.futures.bars import ContractBars
from ml4t.futures.schedule import RollSchedule

if TYPE_CHECKING:
    from ml4t.futures.chain import FuturesChain

__all__ = ["OpenInterestCrossover", "VolumeCrossover"]

Activity = npt.NDArray[np.float64]


@attrs.frozen
class _Crossover(Checked, abc.ABC):
    lag: int = 1

    column: ClassVar[str]

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the given fields."""
        lag = values.get("lag", 1)
        if type(lag) is not int or lag < 1:
            leak = (
                ": with 0 a session would be decided by its own figures, which nobody has before it ends"
                if lag == 0
                else ""
            )
            message = f"expected a whole number of sessions of 1 or more, found {shown(lag)}{leak}"
            yield Finding(path="lag", message=message, found=shown(lag))

    def schedule(self, chain: FuturesChain, bars: pl.DataFrame) -> RollSchedule:
        """Return the schedule from the first session that has `lag` sessions before it.

        Sessions are those on which any contract of the chain has a bar.
        """
        read = ContractBars.read(bars, chain)
        read.need(self.column, reader=type(self).__name__)
        sessions = read.sessions
        if len(sessions) <= self.lag:
            message = (
                f"the bars of {chain.root} hold {len(sessions)} sessions, up to {sessions[-1]}; {self} "
                f"decides by figures {self.lag} sessions old and needs at least {self.lag + 1}"
            )
            raise DataError(message)
        activity = self._matrix(read, chain)
        last_trades = [contract.last_trade for contract in chain]
        contracts: list[str] = []
        front = -1
        for place in range(self.lag, len(sessions)):
            lowest = max(front, bisect_right(last_trades, sessions[place]))
            if lowest == len(chain):
                raise DataError(_exhausted(chain, sessions[place]))
            front = lowest + _leader(activity[place - self.lag, lowest:], must_beat=lowest == front)
            contracts.append(chain.symbols[front])
        return RollSchedule.of(sessions[self.lag :], contracts)

    def between(self, *_: object, **__: object) -> NoReturn:
        """Refuse: dates alone decide nothing here, as they do for the rules that count business days.

        Raises
        ------
        ArgumentError
            Always.
        """
        message = (
            f"{self} decides by the {self.column} of bars, and between has none of them; use "
            "schedule(chain, bars)"
        )
        raise ArgumentError(message)

    def _matrix(self, read: ContractBars, chain: FuturesChain) -> Activity:
        """Return the figures, sessions x contracts; NaN where one is not known."""
        figures = self._figures(read.frame)
        if (strange := figures.filter((pl.col("figure") < 0) | ~pl.col("figure").is_finite())).height:
            row = strange.row(0, named=True)
            message = (
                f"{self.column} of {row['contract']} in session {row['session']} is {row['figure']}; "
                "expected a number of 0 or more"
            )
            raise DataError(message)
        rows = pl.DataFrame({"session": read.sessions, "row": range(len(read.sessions))})
        columns = pl.DataFrame({"contract": chain.symbols, "column": range(len(chain))})
        placed = figures.join(rows, on="session").join(columns, on="contract")
        matrix = np.full((rows.height, columns.height), self._unknown())
        matrix[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed["figure"].to_numpy()
        return matrix

    @abc.abstractmethod
    def _figures(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `session`, `contract`, `figure` of what is known."""

    @abc.abstractmethod
    def _unknown(self) -> float:
        """Return the figure of a contract without a bar."""


def _leader(figures: Activity, *, must_beat: bool) -> int:
    """Return the place of the largest figure, the earliest of equal ones; 0 where nothing is known.

    With `must_beat` the first is the front contract: while its own figure is not known, it stays.
    """
    if np.isnan(figures).all() or (must_beat and np.isnan(figures[0])):
        return 0
    return int(np.nanargmax(figures))


def _exhausted(chain: FuturesChain, session: dt.date) -> str:
    last = chain.contracts[-1]
    return (
        f"the chain of {chain.root} has no contract for session {session}: the last one, {last.symbol}, "
        f"trades last on {last.last_trade} and is left before. Add later contracts, or end the bars before"
    )


@attrs.frozen
class VolumeCrossover(_Crossover):
    """Roll to the contract that traded most, some sessions ago.

    On each session the volumes of `lag` sessions before are compared, of the front contract and all later
    ones; the largest is in front, of equal ones the earliest. It never goes back, and leaves a contract on
    its last trade at the latest. Of bars within a session the volumes are added up; a contract without a bar
    traded nothing.

    The first `lag` sessions of the bars are not in the schedule, because nothing decides them.

    Parameters
    ----------
    lag : int
        How many sessions old the volumes are, 1 or more.

    Raises
    ------
    ConfigError
        If `lag` is below 1: the volume of a session is not known before it ends.

    Notes
    -----
    `schedule` raises a DataError where a volume is missing or below 0, or the chain ends too early.
    """

    column: ClassVar[str] = "volume"

    def _figures(self, frame: pl.DataFrame) -> pl.DataFrame:
        if (unknown := frame.filter(pl.col("volume").is_null())).height:
            row = unknown.row(0, named=True)
            message = (
                f"volume of {row['contract']} in session {row['session']} is null ({unknown.height} such); "
                "expected a number of 0 or more, or no bar where nothing traded"
            )
            raise DataError(message)
        total = pl.col("volume").cast(pl.Float64).sum().alias("figure")
        return frame.group_by("session", "contract").agg(total)

    def _unknown(self) -> float:
        return 0.0


@attrs.frozen
class OpenInterestCrossover(_Crossover):
    """Roll to the contract with the most open interest, some sessions ago.

    As `VolumeCrossover`, by the column `open_interest`; of bars within a session the last is taken. A null,
    or a contract without a bar, is not known: it is no candidate, and while the front contract's own is not
    known, it stays in front.

    Exchanges publish the open interest of a session on the next morning; `lag` counts from the session it
    belongs to, so 1 is right where a decision falls after that morning, and 2 where it falls at the open.
    """

    column: ClassVar[str] = "open_interest"

    def _figures(self, frame: pl.DataFrame) -> pl.DataFrame:
        last = pl.col("open_interest").cast(pl.Float64).drop_nulls().last().alias("figure")
        return frame.group_by("session", "contract", maintain_order=True).agg(last).drop_nulls("figure")

    def _unknown(self) -> float:
        return float("nan")
