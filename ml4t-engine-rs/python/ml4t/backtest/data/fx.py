"""Rates of currencies: a table with one row per pair and time, in force until the next of its pair."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import polars as pl
from attrs import frozen

from ml4t.backtest.data.columns import find_time, folded
from ml4t.backtest.data.frames import read_each, read_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.backtest.data.stamps import instants
from ml4t.core.errors import DataError
from ml4t.core.types import StampMeaning
from ml4t.core.values import format_ns

__all__ = ["FxRates", "fx_table", "read_fx_rates"]

LABEL = "fx rates"
LOWEST, HIGHEST = 1e-8, 1e8  #: rates that leave room for amounts; the other direction of a pair has the rest
_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9]{2,4})[/_-]([A-Za-z][A-Za-z0-9]{2,4})|([A-Za-z]{3})([A-Za-z]{3})")

_MINOR = re.compile(r"[A-Z]{2}[a-z]")


@frozen(kw_only=True, eq=False)
class FxRates:
    """Rows as read, and the files they came from.

    Columns: `ts` (UTC ns), `base`, `quote`, `rate` (units of `quote` for one of `base`).
    """

    frame: pl.DataFrame
    files: tuple[SourceFile, ...] = ()


def read_fx_rates(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> FxRates:
    """Return the rates of a frame or of files.

    A frame has ``pair`` (`"EURUSD"`, or `"EUR/USD"`), ``ts_event`` (when the rate could be known, and from
    when on it is in force) and ``rate`` (units of the second currency for one of the first). `columns`
    renames, our name to the source's; `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names pair and time.
    """
    if isinstance(source, FxRates):
        return source
    read_one = partial(read_fx_rates, columns=columns, timezone=timezone)
    if (parts := read_each(source, read_one, label=LABEL)) is not None:
        return FxRates(
            frame=pl.concat(part.frame for part in parts),
            files=tuple(file for part in parts for file in part.files),
        )
    frame, files = read_table(source, label=LABEL, columns=columns)
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    for name in ("pair", "rate"):
        if name not in by_fold:
            message = f"{LABEL}: column {name} is absent; the columns are {', '.join(frame.columns)}"
            raise DataError(message)
    stamps = frame[find_time(by_fold, StampMeaning.EVENT, label=LABEL)]
    if stamps.dtype == pl.String and not stamps.str.to_date("%Y-%m-%d", strict=False).null_count():
        stamps = stamps.str.to_date("%Y-%m-%d")
    if stamps.dtype == pl.Date:
        message = (
            f"{LABEL}: column {stamps.name} holds dates; give the instant at which a rate could be known, "
            "such as 2024-03-04T21:00:00Z, because an account is valued at it from then on"
        )
        raise DataError(message)
    pairs = frame[by_fold["pair"]]
    if pairs.dtype not in (pl.String, pl.Categorical, pl.Enum):
        message = f"{LABEL}: column {pairs.name} holds {pairs.dtype}, expected text such as 'EURUSD'"
        raise DataError(message)
    pairs = pairs.cast(pl.String)
    rates = _numbers(frame[by_fold["rate"]], pairs)
    first_rows = pairs.to_frame("pair").with_row_index().unique("pair", keep="first", maintain_order=True)
    sides = {pair: _sides(pair, row) for row, pair in first_rows.iter_rows()}
    bases, quotes = ({pair: both[at] for pair, both in sides.items()} for at in (0, 1))
    read = pl.DataFrame(
        {
            "ts": instants(stamps, timezone=timezone, label=LABEL),
            "base": pairs.replace_strict(bases, return_dtype=pl.String),
            "quote": pairs.replace_strict(quotes, return_dtype=pl.String),
            "rate": rates,
        },
        schema_overrides={"ts": pl.Int64, "base": pl.String, "quote": pl.String},
    )
    wrong = read.filter(~pl.col("rate").is_between(LOWEST, HIGHEST).fill_null(value=False))
    if wrong.height:
        row = wrong.row(0, named=True)
        message = (
            f"{LABEL}: {row['base']}{row['quote']} at {format_ns(row['ts'])} is {row['rate']}, expected a "
            f"number from {LOWEST:g} to {HIGHEST:g}; drop the row, or put it right"
        )
        raise DataError(message)
    return FxRates(frame=read, files=files)


def _sides(pair: str | None, row: int) -> tuple[str, str]:
    found = None if pair is None else _PAIR.fullmatch(pair.strip())
    if found is None:
        message = (
            f"{LABEL}: row {row} has the pair {pair!r}; expected two currencies such as 'EURUSD' or 'EUR/USD'"
        )
        raise DataError(message)
    # Pence are GBp and cents ZAc; else the case is a way to write.
    sides = [side for side in found.groups() if side is not None]
    base, quote = (side if _MINOR.fullmatch(side) else side.upper() for side in sides)
    if base == quote:
        message = f"{LABEL}: row {row} has the pair {pair!r}, two times the same currency"
        raise DataError(message)
    return base, quote


def _numbers(column: pl.Series, pairs: pl.Series) -> pl.Series:
    """Return a column as Float64; null where there is nothing."""
    if column.dtype == pl.String:
        column = column.replace({"": None})
    elif not (column.dtype.is_numeric() or column.dtype == pl.Null):
        message = f"{LABEL}: column {column.name} holds {column.dtype}, expected numbers"
        raise DataError(message)
    found = column.cast(pl.Float64, strict=False)
    odd = found.is_null() & column.is_not_null()
    if odd.any():
        row = odd.arg_max() or 0
        message = f"{LABEL}: row {row} ({pairs[row]}) has the rate {column[row]!r}, which is no number"
        raise DataError(message)
    return found


def fx_table(rates: FxRates, last: int) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows up to the end of the market data, sorted, and a note on the others.

    Raises
    ------
    DataError
        A pair has two rates at one time.
    """
    twins = rates.frame.filter(pl.struct("ts", "base", "quote").is_duplicated()).sort("ts", "base", "quote")
    if twins.height:
        row = twins.row(0, named=True)
        message = f"{LABEL}: {row['base']}{row['quote']} has two rows at {format_ns(row['ts'])}; keep one"
        raise DataError(message)
    inside = rates.frame.filter(pl.col("ts") <= last).sort("ts", "base", "quote")
    if rates.frame.height and not inside.height:
        first = format_ns(rates.frame["ts"].min())  # type: ignore[arg-type]
        message = (
            f"{LABEL}: the first row is of {first}, after the end of the market data at {format_ns(last)}"
        )
        raise DataError(message)
    left = rates.frame.height - inside.height
    rows = "1 row lies" if left == 1 else f"{left} rows lie"
    notes = (f"{LABEL}: {rows} after the end of the market data",) if left else ()
    return inside.rechunk(), notes
