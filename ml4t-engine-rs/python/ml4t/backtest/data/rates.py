"""What holding costs and needs by the data: funding rates, borrow rates, settlement prices, margin rates.

All are tables of their own, one row per symbol and time. A row of funding is paid at its time, one of
settlement prices is settled at it; a row of borrow or margin rates is in force from its time on, until the
next one of its symbol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import polars as pl
from attrs import evolve, frozen

from ml4t.backtest.calendars import local_midnight_ns
from ml4t.backtest.data.actions import FIRST_DATE, LAST_DATE
from ml4t.backtest.data.columns import find_symbol, find_time, folded, refuse_near_misses
from ml4t.backtest.data.frames import read_each, read_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.backtest.data.stamps import instants
from ml4t.core.errors import DataError
from ml4t.core.types import StampMeaning
from ml4t.core.values import format_ns

DAYS = (FIRST_DATE, LAST_DATE)

__all__ = ["BORROW", "FUNDING", "MARGIN", "SETTLEMENT", "RateKind", "Rates", "rate_table"]
__all__ += ["read_borrow_rates", "read_funding_rates", "read_margin_rates", "read_settlement_prices"]


@frozen(kw_only=True)
class Numbers:
    """What the numbers of a column may be; NaN is none."""

    allowed: str
    low: float = -math.inf
    is_above: bool = False  #: only above `low`
    is_finite: bool = True
    is_required: bool = False

    def wrong(self, column: str) -> pl.Expr:
        """Return the condition of rows with another number."""
        number = pl.col(column)
        below = number <= self.low if self.is_above else number < self.low
        return below | (self.is_finite & number.is_infinite()) | (self.is_required & number.is_nan())


RATE = Numbers(allowed="a finite number")
PRICE = Numbers(allowed="a price above zero", low=0.0, is_above=True)
MARGIN_RATE = Numbers(allowed="a finite number of zero or more", low=0.0)


@frozen(kw_only=True)
class RateKind:
    """A kind of table: what messages call it, its column of rates and others, which may be absent."""

    label: str
    rate: str
    rates: Numbers
    other: str
    others: Numbers
    short: str | None = None  #: of the rates of short positions, where there may be such a column
    other_default: float = math.nan  #: what no number in the other column means
    needs_other: bool = False  #: the column, whose numbers may be missing nevertheless
    is_in_force: bool = False  #: from its time on, which may be a date, and not at its time alone


FUNDING = RateKind(
    label="funding rates",
    rate="funding_rate",
    rates=evolve(RATE, is_required=True),
    other="mark_price",
    others=PRICE,
    short="funding_rate_short",
)
SETTLEMENT = RateKind(
    label="settlement prices",
    rate="settlement_price",
    rates=evolve(RATE, is_required=True),
    other="open_interest",
    others=PRICE,
)
BORROW = RateKind(
    label="borrow rates",
    rate="borrow_rate",
    rates=RATE,
    other="available",
    others=Numbers(allowed="zero or more", low=0.0, is_finite=False),
    other_default=math.inf,
    is_in_force=True,
)
MARGIN = RateKind(
    label="margin rates",
    rate="initial",
    rates=MARGIN_RATE,
    other="maintenance",
    others=MARGIN_RATE,
    needs_other=True,
    is_in_force=True,
)


@frozen(kw_only=True, eq=False)
class Rates:
    """Rows as read, a frame a source, and the files they came from.

    Columns: `symbol`, `stamp` (UTC ns, or a date), `rate`, `other`; `short_rate` where the kind has one.
    """

    kind: RateKind
    frames: tuple[pl.DataFrame, ...]
    files: tuple[SourceFile, ...] = ()


def read_funding_rates(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> Rates:
    """Return the funding rates of a frame or of files.

    A frame has ``symbol``, ``ts_event`` (when it is paid), ``funding_rate`` (a fraction of the interval:
    longs pay shorts where it is above zero) and, if known, ``mark_price``. Where shorts have a rate of their
    own, it is ``funding_rate_short``: above zero they get it. `columns` renames, our name to the source's;
    `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names symbol and time.
    """
    return _read(source, FUNDING, columns, timezone)


def read_borrow_rates(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> Rates:
    """Return the borrow rates of a frame or of files.

    A frame has ``symbol``, ``ts_event`` (from when on it is in force; a date begins at midnight of the
    exchange), ``borrow_rate`` (a fraction per year, null where nobody quotes one) and, if known,
    ``available`` (quantity that can be borrowed). `columns` renames, our name to the source's;
    `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names symbol and time.
    """
    return _read(source, BORROW, columns, timezone)


def read_settlement_prices(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> Rates:
    """Return the settlement prices of a frame or of files.

    A frame has ``symbol``, ``ts_event`` (when it is settled) and ``settlement_price``. `columns` renames, our
    name to the source's; `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names symbol and time.
    """
    return _read(source, SETTLEMENT, columns, timezone)


def read_margin_rates(
    source: object, *, columns: Mapping[str, str] | None = None, timezone: str | None = None
) -> Rates:
    """Return the margin rates of a frame or of files.

    A frame has ``symbol``, ``ts_event`` (from when on it is in force; a date begins at midnight of the
    exchange), ``initial`` and ``maintenance``: what the margin model of the run takes them for, such as an
    amount per contract; null where it is not known from then on. `columns` renames, our name to the
    source's; `timezone` is the zone of stamps that carry none.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names symbol and time.
    """
    return _read(source, MARGIN, columns, timezone)


def _read(source: object, kind: RateKind, columns: Mapping[str, str] | None, timezone: str | None) -> Rates:
    if isinstance(source, Rates):
        if source.kind is not kind:
            message = f"{kind.label}: found {source.kind.label}"
            raise DataError(message)
        return source
    read_one = partial(_read, kind=kind, columns=columns, timezone=timezone)
    if (parts := read_each(source, read_one, label=kind.label)) is not None:
        return Rates(
            kind=kind,
            frames=tuple(frame for part in parts for frame in part.frames),
            files=tuple(file for part in parts for file in part.files),
        )
    frame, files = read_table(source, label=kind.label, columns=columns)
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    for name in (kind.rate, kind.other) if kind.needs_other else (kind.rate,):
        if name not in by_fold:
            message = f"{kind.label}: column {name} is absent; the columns are {', '.join(frame.columns)}"
            raise DataError(message)
    symbol = find_symbol(by_fold, label=kind.label)
    stamp = find_time(by_fold, StampMeaning.EVENT, label=kind.label)
    optional = [name for name in (kind.other, kind.short) if name is not None]
    refuse_near_misses(by_fold, optional, (symbol, stamp, by_fold[kind.rate]), label=kind.label)
    symbols = frame[symbol].cast(pl.String)
    if symbols.null_count():
        message = f"{kind.label}: row {symbols.is_null().arg_max()} has no symbol"
        raise DataError(message)
    stamps = frame[stamp]
    if kind.is_in_force:
        stamps = _dates(stamps)
    if stamps.dtype != pl.Date or not kind.is_in_force:
        stamps = instants(stamps, timezone=timezone, label=kind.label)
    elif (odd := ~stamps.is_between(*DAYS).fill_null(value=False)).any():
        row = odd.arg_max() or 0
        found = "no stamp" if stamps[row] is None else f"the stamp {stamps[row]}"
        message = f"{kind.label}: row {row} ({symbols[row]}) has {found}; expected a date from 1678 to 2261"
        raise DataError(message)
    names = {"rate": kind.rate, "other": kind.other} | ({"short_rate": kind.short} if kind.short else {})
    numbers = {
        column: _numbers(frame[by_fold[name]], kind)
        if name in by_fold
        else pl.Series([math.nan]).new_from_index(0, frame.height)
        for column, name in names.items()
    }
    rows = pl.DataFrame({"symbol": symbols, "stamp": stamps, **numbers})
    _refuse_impossible(rows, kind)
    return Rates(kind=kind, frames=(rows,), files=files)


def _dates(stamps: pl.Series) -> pl.Series:
    """Return text that is all dates, or midnights without a zone, as dates; anything else as it is."""
    if isinstance(stamps.dtype, pl.Datetime) and stamps.dtype.time_zone is None:
        # That is how pandas writes dates.
        return stamps.dt.date() if (stamps.dt.truncate("1d") == stamps).all() else stamps
    if stamps.dtype != pl.String:
        return stamps
    dates = stamps.str.to_date("%Y-%m-%d", strict=False)
    return stamps if dates.null_count() else dates


def _numbers(column: pl.Series, kind: RateKind) -> pl.Series:
    """Return a column as Float64, NaN where there is nothing."""
    if column.dtype == pl.String:
        column = column.replace({"": None})
    try:
        if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)):
            message = f"{kind.label}: column {column.name} holds {column.dtype}, expected numbers"
            raise DataError(message)
        return column.cast(pl.Float64).fill_null(math.nan)
    except pl.exceptions.PolarsError as error:
        odd = column.cast(pl.String).cast(pl.Float64, strict=False).is_null() & column.is_not_null()
        row = odd.arg_max() or 0
        message = f"{kind.label}: row {row} has {column.name} {column[row]!r}, which is no number"
        raise DataError(message) from error


def _refuse_impossible(rows: pl.DataFrame, kind: RateKind) -> None:
    """Refuse the first row with a number that its column cannot have."""
    columns = {"rate": (kind.rate, kind.rates), "other": (kind.other, kind.others)}
    if kind.short:
        columns["short_rate"] = (kind.short, RATE)
    tests = {f"wrong_{column}": numbers.wrong(column) for column, (_, numbers) in columns.items()}
    wrong = rows.with_columns(**tests).filter(pl.any_horizontal(*tests))
    if not wrong.height:
        return
    row = wrong.row(0, named=True)
    column = next(name for name in columns if row[f"wrong_{name}"])
    name, numbers = columns[column]
    found = "absent" if math.isnan(row[column]) else row[column]
    message = f"{kind.label}: {row['symbol']} at {_shown(row['stamp'])}: {name} is {found}, expected "
    raise DataError(message + numbers.allowed)


def _shown(stamp: object) -> str:
    return format_ns(stamp) if isinstance(stamp, int) else str(stamp)


def rate_table(rates: Rates, ids: Mapping[str, int], zones: Mapping[str, str]) -> pl.DataFrame:
    """Return the rows of instruments of the universe as sorted columns: `ts`, `instrument`, `rate`, `other`.

    Of kinds that have one `short_rate` too, which is the rate where the source has none.

    Parameters
    ----------
    rates
        Tables of one kind.
    ids, zones
        Id and exchange zone by symbol. A date begins at 00:00 local time.

    Raises
    ------
    DataError
        A symbol has two rows for one time.
    """
    kind, frames = rates.kind, []
    for each in rates.frames:
        frame = each.filter(pl.col("symbol").is_in(list(ids)))
        if frame["stamp"].dtype == pl.Date:
            starts = [
                local_midnight_ns(day, zones[symbol])
                for symbol, day in frame.select("symbol", "stamp").rows()
            ]
            frame = frame.with_columns(pl.Series("stamp", starts, dtype=pl.Int64))
        frames.append(frame)
    rows = pl.concat(frames)
    twins = rows.filter(pl.struct("symbol", "stamp").is_duplicated()).sort("stamp", "symbol")
    if twins.height:
        row = twins.row(0, named=True)
        message = f"{kind.label}: {row['symbol']} has two rows at {format_ns(row['stamp'])}; keep one"
        raise DataError(message)
    instrument = pl.col("symbol").replace_strict(dict(ids), return_dtype=pl.UInt32)
    other = pl.when(pl.col("other").is_nan()).then(kind.other_default).otherwise(pl.col("other"))
    columns = {"rate": pl.col("rate"), "other": other}
    if kind.short:
        short = pl.col("short_rate")
        columns["short_rate"] = pl.when(short.is_nan()).then("rate").otherwise(short)
    return rows.select(ts=pl.col("stamp").cast(pl.Int64), instrument=instrument, **columns).sort(
        "ts", "instrument"
    )
