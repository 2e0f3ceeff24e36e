"""Bars by activity: so many ticks, so much volume, so much value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

import numpy as np
import polars as pl
from attrs import evolve

from ml4t.backtest.bars.build import bars_of_marks
from ml4t.backtest.bars.intake import Intake, TickOptions, read_ticks
from ml4t.core.errors import DataError

__all__ = [
    "VALUE",
    "VOLUME",
    "bars_by_amount",
    "bars_by_count",
    "dollar_bars",
    "positive",
    "symbol_slices",
    "tick_bars",
    "volume_bars",
    "whole",
]

VOLUME = pl.col("size")
VALUE = pl.col("price").abs() * pl.col("size")


def tick_bars(
    ticks: object, n: int, *, keep_incomplete: bool = False, **options: Unpack[TickOptions]
) -> pl.DataFrame:
    """Return bars of `n` ticks each.

    Parameters
    ----------
    ticks
        Trade ticks: symbol, timestamp, price, size; see :mod:`ml4t.backtest.bars`.
    n
        Ticks of a bar, one or more.
    keep_incomplete
        Whether the last bar of a symbol stays where fewer than `n` ticks are left for it.
    **options
        `columns`, `symbols`, `timezone`, `instruments`; see :class:`ml4t.backtest.bars.TickOptions`.

    Returns
    -------
    polars.DataFrame
        See :mod:`ml4t.backtest.bars`. ``ts_open`` is the instant of the first tick and ``ts_event`` that of
        the last; where ticks share an instant, the end moves on by 1 ns per bar, because a bar has a length
        and no two of a symbol end together. Bars may span sessions.

    Raises
    ------
    DataError
        `n` is no whole number above zero, or the ticks are refused.

    Examples
    --------
    >>> import datetime as dt
    >>> start = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
    >>> stamps = [start + dt.timedelta(seconds=second) for second in range(5)]
    >>> ticks = pl.DataFrame({"symbol": "XYZ", "timestamp": stamps, "price": [10.0, 12.0, 9.0, 11.0, 10.0]})
    >>> bars = tick_bars(ticks.with_columns(size=100), 2)
    >>> bars.select("open", "high", "low", "close", "volume").rows()
    [(10.0, 12.0, 10.0, 12.0, 200.0), (9.0, 11.0, 9.0, 11.0, 200.0)]
    """
    n = whole("n", n)
    return bars_by_count(read_ticks(ticks, options), n, keep_incomplete=keep_incomplete)


def volume_bars(
    ticks: object, volume: float, *, keep_incomplete: bool = False, **options: Unpack[TickOptions]
) -> pl.DataFrame:
    """Return bars that end with the tick that brings their volume to `volume`.

    That tick belongs wholly to the bar it completes: it is not split, so a bar holds `volume` or more,
    and the next one starts from zero.

    Parameters
    ----------
    ticks
        Trade ticks: symbol, timestamp, price, size; see :mod:`ml4t.backtest.bars`.
    volume
        Least volume of a bar, in units of size, above zero. Sizes are added in the order of the ticks, in
        64-bit floats: ten sizes of 0.1 are just below 1.
    keep_incomplete
        Whether the last bar of a symbol stays where it has not reached `volume`.
    **options
        `columns`, `symbols`, `timezone`, `instruments`; see :class:`ml4t.backtest.bars.TickOptions`.

    Returns
    -------
    polars.DataFrame
        Stamped as by :func:`tick_bars`.

    Raises
    ------
    DataError
        `volume` is no finite number above zero, or the ticks are refused.
    """
    volume = positive("volume", volume)
    return bars_by_amount(read_ticks(ticks, options), VOLUME, volume, keep_incomplete=keep_incomplete)


def dollar_bars(
    ticks: object, value: float, *, keep_incomplete: bool = False, **options: Unpack[TickOptions]
) -> pl.DataFrame:
    """Return bars that end with the tick that brings their value traded to `value`.

    The value of a tick is price x size, without the multiplier of the instrument. As in
    :func:`volume_bars`, a tick belongs wholly to the bar it completes.

    Parameters
    ----------
    ticks
        Trade ticks: symbol, timestamp, price, size; see :mod:`ml4t.backtest.bars`.
    value
        Least value of a bar, in the currency of the prices, above zero.
    keep_incomplete
        Whether the last bar of a symbol stays where it has not reached `value`.
    **options
        `columns`, `symbols`, `timezone`, `instruments`; see :class:`ml4t.backtest.bars.TickOptions`.

    Returns
    -------
    polars.DataFrame
        Stamped as by :func:`tick_bars`.

    Raises
    ------
    DataError
        `value` is no finite number above zero, or the ticks are refused.

    Notes
    -----
    Where an instrument is declared to trade below zero, the absolute value counts.
    """
    value = positive("value", value)
    return bars_by_amount(read_ticks(ticks, options), VALUE, value, keep_incomplete=keep_incomplete)


def bars_by_count(intake: Intake, n: int, *, keep_incomplete: bool) -> pl.DataFrame:
    """Return the bars of :func:`tick_bars` of ticks that are read and checked."""
    position = pl.int_range(1, pl.len() + 1).over("symbol")
    return bars_of_marks(intake, position % n == 0, keep_incomplete=keep_incomplete)


def bars_by_amount(
    intake: Intake, amount: pl.Expr, threshold: float, *, keep_incomplete: bool
) -> pl.DataFrame:
    """Return the bars of :func:`volume_bars` or :func:`dollar_bars` of ticks that are read and checked."""
    amounts = intake.rows.select(amount).to_series()
    marks: list[bool] = []
    for part in symbol_slices(intake):
        marks.extend(_marks(amounts[part].to_list(), threshold))
    marked = evolve(intake, rows=intake.rows.with_columns(pl.Series("mark", marks, dtype=pl.Boolean)))
    return bars_of_marks(marked, pl.col("mark"), keep_incomplete=keep_incomplete)


def _marks(amounts: list[float], threshold: float) -> Iterator[bool]:
    """Yield for each tick whether it brings a sum that starts anew behind each such tick to the threshold.

    The sum of a bar depends on where the bar before it ended, which no expression over columns can say;
    so this is one pass in Python, about a second for ten million ticks. Each sum begins at zero, for the
    difference of two long sums would round.
    """
    total = 0.0
    for amount in amounts:
        total += amount
        is_end = total >= threshold
        yield is_end
        if is_end:
            total = 0.0


def symbol_slices(intake: Intake) -> Iterator[slice]:
    """Yield the rows of each symbol; they are sorted by it."""
    start = 0
    for count in intake.rows["symbol"].rle().struct.field("len"):
        yield slice(start, start + count)
        start += count


def positive(name: str, number: object) -> float:
    """Return a finite number above zero, or refuse it by name."""
    if isinstance(number, int | float | np.integer | np.floating) and not isinstance(number, bool):
        if 0 < number < float("inf"):
            return float(number)
    message = f"{name} is {number!r}; allowed are finite numbers above zero"
    raise DataError(message)


def whole(name: str, number: object) -> int:
    """Return a whole number above zero, or refuse it by name."""
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        if 0 < number < 2**31:
            return int(number)
    message = f"{name} is {number!r}; allowed are whole numbers from 1 to {2**31 - 1}"
    raise DataError(message)
