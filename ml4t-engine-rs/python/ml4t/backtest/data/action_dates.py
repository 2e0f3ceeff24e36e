"""Ex-dates and pay dates, in whatever form a table has them."""

from __future__ import annotations

import polars as pl

from ml4t.core.errors import DataError

__all__ = ["read_dates"]

# Days since 1970-01-01 of the years that a date of Python has.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


def read_dates(column: pl.Series, symbols: pl.Series, *, label: str) -> pl.Series:
    """Return a column of dates; an empty text is null. `symbols` names the rows of messages.

    Raises
    ------
    DataError
        A row is no date; the message has its number, what is there and what is expected.
    """
    days = _read(column, symbols, label)
    if (off := ~days.to_physical().is_between(_FIRST_DAY, _LAST_DAY).fill_null(value=True)).any():
        row = off.arg_max() or 0
        fault = f"holds a date beyond the years 1 to 9999, found {column[row]!r}"
        raise _refused(column, symbols, row, label, fault)
    return days


def _refused(column: pl.Series, symbols: pl.Series, row: int, label: str, fault: str) -> DataError:
    return DataError(f"{label}: row {row} ({symbols[row]}): column {column.name} {fault}")


def _read(column: pl.Series, symbols: pl.Series, label: str) -> pl.Series:
    if column.dtype == pl.String:
        text = column.str.strip_chars().replace("", None)
        days = text.str.to_date("%Y-%m-%d", strict=False)
        wrong = days.is_null() & text.is_not_null()
    elif isinstance(column.dtype, pl.Datetime):
        return _days(column, symbols, label)
    elif column.dtype.is_numeric() or column.dtype == pl.Boolean:
        days, wrong = pl.Series(column.name, [None], dtype=pl.Date), column.is_not_null()
        if wrong.any():
            row = wrong.arg_max() or 0
            raise _refused(
                column, symbols, row, label, f"holds numbers, found {column[row]!r}; write dates: 2024-03-04"
            )
        return days.new_from_index(0, len(column))
    else:
        try:
            return column.cast(pl.Date)
        except pl.exceptions.PolarsError:
            days, wrong = column, column.is_not_null()
    if wrong.any():
        row = wrong.arg_max() or 0
        found = column.gather([row]).to_list()[0]
        fault = f"holds something that is no date, found {found!r}; write 2024-03-04"
        raise _refused(column, symbols, row, label, fault)
    return days


def _days(column: pl.Series, symbols: pl.Series, label: str) -> pl.Series:
    """Return the days of a column of midnights; an instant in a zone may be another day at the exchange."""
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is not None:
        message = (
            f"{label}: column {column.name} holds instants in {zone}; a date of the exchange is wanted, for "
            "example .dt.convert_time_zone('Asia/Tokyo').dt.date()"
        )
        raise DataError(message)
    clock = (column.dt.truncate("1d") != column).fill_null(value=False)
    if clock.any():
        row = clock.arg_max() or 0
        raise _refused(
            column, symbols, row, label, f"holds {column[row]}, an instant; a date is wanted: 2024-03-04"
        )
    return column.dt.date()
