"""Single rows: missing and impossible values, rows and sessions that are there twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl

from ml4t.backtest.data.checks import PRICES, SIZES
from ml4t.backtest.lint.findings import LintFinding, LintSeverity, of_symbols
from ml4t.backtest.lint.table import Table
from ml4t.core.types import DataKind

__all__ = [
    "bad_prices",
    "bad_volumes",
    "crossed_quotes",
    "duplicate_rows",
    "ranges",
    "repeated_sessions",
]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
BARS = PRICES[DataKind.BAR]


def duplicate_rows(table: Table) -> Iterator[LintFinding]:
    """Find rows of one symbol with one stamp, and daily rows within one session; prints may share theirs."""
    if table.declared.kind is not DataKind.BAR:
        return
    values = [name for name in (*BARS, "volume") if name in table.frame.columns]
    before = pl.struct(values).shift(1).over("symbol")
    twice = table.frame.with_columns(
        is_equal=(pl.struct(values) == before),
        before_row=pl.col("row").shift(1).over("symbol"),
        before_ts=pl.col("ts").shift(1).over("symbol"),
    ).filter(table.stamp == table.frame.select(table.stamp.shift(1).over("symbol")).to_series())

    def say(row: dict[str, object]) -> str:
        which = "stamp" if row["label"] is None else "session"
        how = "the same values" if row["is_equal"] else "other values"
        stamps = "" if row["ts"] == row["before_ts"] else ", stamped at another time of it"
        return f"row {row['before_row']} is of this {which}, too, with {how}{stamps}"

    yield from of_symbols(twice, "duplicate-row", ERROR, say)


def repeated_sessions(table: Table) -> Iterator[LintFinding]:
    """Find daily bars with the prices and the volume of the one before, which traded and moved.

    Three different prices among the four tell a real day from one of few trades, which may look like the day
    before. Without volume it is a doubt.
    """
    if table.declared.kind is not DataKind.BAR or not table.is_daily:
        return
    same = [pl.col(name) == pl.col(name).shift(1).over("symbol") for name in BARS]
    volume = pl.col("volume")
    both_unknown = volume.is_null() & volume.shift(1).over("symbol").is_null()
    traded = (volume > 0) & (volume == volume.shift(1).over("symbol"))
    is_day = pl.concat_list(BARS).list.n_unique() >= 3
    alike = table.frame.with_columns(
        before=pl.col("label").shift(1).over("symbol"),
        known=traded.fill_null(value=False),
        same=pl.all_horizontal(same),
        unknown=both_unknown,
    ).filter("same")
    rows = alike.filter(is_day, pl.col("label") != pl.col("before"), pl.col("unknown") | pl.col("known"))
    for severity, is_known in ((ERROR, True), (DOUBT, False)):
        yield from of_symbols(
            rows.filter(pl.col("known") == is_known),
            "session-repeated",
            severity,
            lambda row: (
                f"open {row['open']}, high {row['high']}, low {row['low']}, close {row['close']} and volume "
                f"{'not given' if row['volume'] is None else row['volume']} are those of {row['before']}"
            ),
            value="close",
        )


def _lacks(name: str, _: dict[str, Any]) -> str:
    return f"no {name}"


def _is(name: str, row: dict[str, Any]) -> str:
    return f"{name} is {row[name]}"


def bad_prices(table: Table) -> Iterator[LintFinding]:
    """Find prices that are missing, not finite, zero or below; one side of a quote may be missing."""
    for name in PRICES[table.declared.kind]:
        price = pl.col(name)
        if table.declared.kind is not DataKind.QUOTE:
            yield from of_symbols(
                table.frame.filter(price.is_null()), "price-missing", ERROR, partial(_lacks, name)
            )
        yield from of_symbols(
            table.frame.filter(price <= 0),
            "price-not-positive",
            ERROR,
            partial(_is, name),
            value=name,
        )


def bad_volumes(table: Table) -> Iterator[LintFinding]:
    """Find volumes below zero."""
    for name in SIZES[table.declared.kind]:
        yield from of_symbols(
            table.frame.filter(pl.col(name) < 0),
            "volume-negative",
            ERROR,
            partial(_is, name),
            value=name,
        )


def ranges(table: Table) -> Iterator[LintFinding]:
    """Find bars whose high is below their low, or whose open or close lies outside of both."""
    if table.declared.kind is not DataKind.BAR:
        return
    low, high = pl.col("low"), pl.col("high")
    yield from of_symbols(
        table.frame.filter(high < low),
        "high-below-low",
        ERROR,
        lambda row: f"high {row['high']} is below low {row['low']}",
        value="high",
    )
    ends = [pl.col("open"), pl.col("close")]
    outside = pl.any_horizontal([end < low for end in ends] + [end > high for end in ends])
    yield from of_symbols(
        table.frame.filter(outside, low <= high),
        "outside-range",
        ERROR,
        lambda row: (
            f"open {row['open']} or close {row['close']} is not within low {row['low']} and "
            f"high {row['high']}"
        ),
        value="close",
    )


def crossed_quotes(table: Table) -> Iterator[LintFinding]:
    """Find quotes whose bid is above their ask."""
    if table.declared.kind is not DataKind.QUOTE:
        return
    yield from of_symbols(
        table.frame.filter(pl.col("bid_price") > pl.col("ask_price")),
        "crossed-quotes",
        DOUBT,
        lambda row: f"bid {row['bid_price']} is above ask {row['ask_price']}",
        value="bid_price",
    )
