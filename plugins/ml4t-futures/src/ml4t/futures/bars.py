"""Bars per contract, as the rules and the series read them."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Any

import attrs
import polars as pl

from ml4t.core.errors import ArgumentError, DataError
from ml4t.futures.chain import FuturesChain
from ml4t.futures.sessions import check_sessions

__all__ = ["ContractBars"]

PRICES = ("open", "high", "low", "close")
_NAMES = ("contract", "symbol")


@attrs.frozen(eq=False, slots=False)
class ContractBars:
    """The bars of the contracts of a chain.

    Attributes
    ----------
    frame
        Columns as given, with the name of the contract in `contract`; sorted by session and time.
    times
        Names of the columns that hold instants.
    """

    frame: pl.DataFrame
    times: tuple[str, ...]

    @classmethod
    def read(
        cls,
        bars: Any,  # noqa: ANN401 - a frame, or what the check refuses
        chain: FuturesChain,
        last: dt.date | None = None,
    ) -> ContractBars:
        """Check and sort bars of sessions up to `last`.

        Rows of later sessions are not looked at, nor those of contracts that the chain does not have.
        """
        if not isinstance(bars, pl.DataFrame):
            message = f"bars are a {type(bars).__name__}; expected a polars.DataFrame"
            raise ArgumentError(message)
        name = next((each for each in _NAMES if each in bars.columns), None)
        if name is None:
            message = (
                f"the bars of {chain.root} name no contract; expected a column contract or symbol, found "
                f"{', '.join(bars.columns)}"
            )
            raise DataError(message)
        if bars.schema.get("session") != pl.Date():
            message = (
                f"the bars of {chain.root} have {bars.schema.get('session', 'no column')} as session; "
                "expected dates. For bars within a day, ml4t.futures.with_sessions adds them"
            )
            raise DataError(message)
        frame = bars.rename({name: "contract"})
        kept = frame.filter(pl.col("contract").cast(pl.String).is_in(chain.symbols))
        if not kept.height:
            found = ", ".join(map(str, frame["contract"].unique().sort().head(5)))
            message = (
                f"no row of the bars is of a contract of {chain.root}: the bars have {found or 'no rows'}, "
                f"the chain has {', '.join(chain.symbols[:5])}"
            )
            raise DataError(message)
        if last is not None:
            kept = kept.filter(pl.col("session").is_null() | (pl.col("session") <= last))
            if not kept.height:
                message = f"the bars of {chain.root} have no session up to {last}"
                raise DataError(message)
        times = tuple(key for key, dtype in kept.schema.items() if isinstance(dtype, pl.Datetime))
        kept = kept.with_columns(pl.col("contract").cast(pl.String))
        own = cls(_sorted(kept, times), times)
        check_sessions(own.sessions, chain.calendar, root=chain.root)
        return own

    @cached_property
    def sessions(self) -> list[dt.date]:
        """Sessions on which any contract has a bar, sorted."""
        return self.frame["session"].unique().sort().to_list()

    def need(self, *columns: str, reader: str) -> None:
        """Refuse bars that lack columns of numbers."""
        for column in columns:
            dtype = self.frame.schema.get(column)
            if dtype is None or not dtype.is_numeric():
                found = "no such column" if dtype is None else str(dtype)
                message = f"{reader} reads the column {column} of the bars: expected numbers, found {found}"
                raise DataError(message)

    def closes(self) -> pl.DataFrame:
        """Last close of each contract and session: `session`, `contract`, `price`."""
        last = pl.col("close").last().cast(pl.Float64).alias("price")
        return self.frame.group_by("session", "contract", maintain_order=True).agg(last)


def _sorted(frame: pl.DataFrame, times: tuple[str, ...]) -> pl.DataFrame:
    """Return the frame by session, contract and time; refuse two rows for one bar."""
    clock = [key for key in ("ts_event", *times) if key in times][:1]
    keys = ["session", "contract", *clock]
    if (missing := frame.select(pl.col(keys).null_count()).row(0)) != (0,) * len(keys):
        found = dict(zip(keys, missing, strict=True))
        message = f"bars must name session, contract and time in every row; nulls found: {found}"
        raise DataError(message)
    frame = frame.sort(*keys, maintain_order=True)
    twice = frame.filter(pl.struct(keys).eq(pl.struct(keys).shift(1)))
    if twice.height:
        row = twice.row(0, named=True)
        at = f" at {row[clock[0]]}" if clock else ""
        message = (
            f"two bars of {row['contract']} in session {row['session']}{at} ({twice.height} such); expected "
            "one" + ("" if clock else ", or a column of instants for bars within a day")
        )
        raise DataError(message)
    return frame
