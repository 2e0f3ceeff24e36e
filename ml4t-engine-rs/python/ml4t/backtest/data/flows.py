"""Payments from and to outside: a table with one row per time, of the base currency or another."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import polars as pl
from attrs import frozen

from ml4t.backtest.data.columns import find_time, folded, refuse_near_misses
from ml4t.backtest.data.frames import read_each, read_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.backtest.data.stamps import instants
from ml4t.core.errors import DataError
from ml4t.core.types import StampMeaning
from ml4t.core.values import decimal_places, decimal_text, format_ns, to_decimal

__all__ = ["CashFlows", "flow_table", "read_cash_flows"]

LABEL = "cash flows"


@frozen(kw_only=True, eq=False)
class CashFlows:
    """Rows as read, and the files they came from.

    Columns: `ts` (UTC ns), `amount` (decimal text, below zero taken out), `currency` (empty: the base).
    """

    frame: pl.DataFrame
    files: tuple[SourceFile, ...] = ()


def read_cash_flows(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> CashFlows:
    """Return the payments of a frame or of files.

    A frame has ``ts_event`` (the instant at which it is paid), ``amount`` (above zero paid in, below taken
    out; at most 18 decimals) and, if not all are of the base currency, ``currency``. `columns` renames, our
    name to the source's; `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names the time.
    """
    if isinstance(source, CashFlows):
        return source
    read_one = partial(read_cash_flows, columns=columns, timezone=timezone)
    if (parts := read_each(source, read_one, label=LABEL)) is not None:
        return CashFlows(
            frame=pl.concat(part.frame for part in parts),
            files=tuple(file for part in parts for file in part.files),
        )
    frame, files = read_table(source, label=LABEL, columns=columns)
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    if "amount" not in by_fold:
        message = f"{LABEL}: column amount is absent; the columns are {', '.join(frame.columns)}"
        raise DataError(message)
    stamp = find_time(by_fold, StampMeaning.EVENT, label=LABEL)
    refuse_near_misses(by_fold, ["currency"], (stamp, by_fold["amount"]), label=LABEL)
    stamps = frame[stamp]
    if stamps.dtype == pl.Date:
        message = f"{LABEL}: column {stamps.name} holds dates; give the instant, such as 2024-03-04T14:30:00Z"
        raise DataError(message)
    times = instants(stamps, timezone=timezone, label=LABEL)
    amounts = [
        _amount(each, ts)
        for each, ts in zip(frame[by_fold["amount"]].to_list(), times.to_list(), strict=True)
    ]
    currencies = (
        frame[by_fold["currency"]].cast(pl.String).fill_null("")
        if "currency" in by_fold
        else pl.Series([""] * frame.height, dtype=pl.String)
    )
    read = pl.DataFrame({"ts": times, "amount": amounts, "currency": currencies})
    return CashFlows(frame=read.cast({"amount": pl.String}), files=files)


def _amount(value: object, ts: int) -> str:
    try:
        amount = to_decimal(value)
    except ValueError:
        amount = Decimal(0)
    if amount == 0 or abs(amount) > 10**17 or decimal_places(amount) > 18:
        message = (
            f"{LABEL}: the amount at {format_ns(ts)} is {value!r}, expected a number other than zero, up to "
            "1e17 and with at most 18 decimals"
        )
        raise DataError(message)
    return decimal_text(amount)


def flow_table(flows: CashFlows, span: tuple[int, int]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows within the market data, sorted by time, and a note on the others.

    A row at the very begin, or before, is no part of a run: what it has then is its opening cash.
    """
    first, last = span
    inside = flows.frame.filter(pl.col("ts") > first, pl.col("ts") <= last).sort("ts", maintain_order=True)
    left = flows.frame.height - inside.height
    rows = "1 row lies" if left == 1 else f"{left} rows lie"
    notes = (f"{LABEL}: {rows} outside the span of the market data",) if left else ()
    return inside.rechunk(), notes
