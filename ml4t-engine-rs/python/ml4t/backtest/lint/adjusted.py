"""Prices adjusted for splits and dividends where orders would meet them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from ml4t.backtest.data.checks import PRICES
from ml4t.backtest.lint.findings import LintFinding, LintSeverity, finding, of_symbols
from ml4t.backtest.lint.table import Table, is_adjusted
from ml4t.core.types import DataKind

__all__ = ["adjusted_columns", "adjusted_digits", "mixed_prices", "splits_not_in_prices"]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
BARS = PRICES[DataKind.BAR]
#: Raw prices have at most four decimals, or are 64ths; of cheaper ones than this nothing is said.
DECIMALS, CHEAP = 4, 1.0
FEWEST_ROWS = 20
#: Smaller splits than the first drown in the moves of a day; of those below the second one may.
SMALLEST_SPLIT, CERTAIN_SPLIT = 1.2, 1.5


def adjusted_columns(table: Table) -> Iterator[LintFinding]:
    """Find prices that are read from columns called adjusted, and adjusted prices beside them."""
    for ours, source in table.names.items():
        if ours in PRICES[table.declared.kind] and is_adjusted(source):
            found = f"{ours}, at which orders are filled, is read from column {source!r}"
            yield LintFinding(code="adjusted-close", severity=ERROR, found=found)
    for name in table.features:
        if is_adjusted(name):
            found = f"column {name!r} would be loaded as a feature, as every further column of numbers is"
            yield LintFinding(code="adjusted-feature", severity=DOUBT, found=found)


def mixed_prices(table: Table) -> Iterator[LintFinding]:
    """Find symbols most of whose earlier closes lie outside low and high while their opens lie within.

    One such row is a misprint; half of the rows from the first one on are a close of another kind.
    """
    if table.declared.kind is not DataKind.BAR:
        return
    low, high, close = pl.col("low"), pl.col("high"), pl.col("close")
    rows = table.frame.with_columns(
        is_out=((close < low) | (close > high)) & pl.col("open").is_between(low, high),
        is_adjusted_in=pl.col("adjusted").is_between(low, high),
    )
    early = pl.int_range(pl.len()).over("symbol") < pl.len().over("symbol") // 2
    parts = rows.filter(early).group_by("symbol").agg(part=pl.col("is_out").mean(), early=pl.len())
    mixed = parts.filter(pl.col("part") >= 0.5, pl.col("early") >= 3)["symbol"].to_list()

    def say(row: dict[str, object]) -> str:
        which = "open, high and low are adjusted" if row["is_adjusted_in"] else "close is adjusted"
        beside = "" if row["adjusted"] is None else f", the adjusted close is {row['adjusted']}"
        return (
            f"close {row['close']} is not within low {row['low']} and high {row['high']}, open {row['open']} "
            f"is{beside}; so it is with most of the earlier rows: {which}, the others are not"
        )

    hits = rows.filter(pl.col("symbol").is_in(mixed), pl.col("is_out"))
    yield from of_symbols(hits, "adjusted-close", ERROR, say, value="close")


def adjusted_digits(table: Table) -> Iterator[LintFinding]:
    """Find bars whose earlier prices have more decimals than any quote, and whose last ones have not.

    Adjusting backwards multiplies all but the last prices by a factor. Prices that have more than six
    decimals up to the end are computed, too. 32-bit numbers are taken for the decimals they stand for.
    """
    if table.declared.kind is not DataKind.BAR:
        return
    close = pl.col("close")
    # A 32-bit number that is nearest to a short decimal stands for it.
    narrow = close.cast(pl.Float32)
    is_narrow = (close == narrow.cast(pl.Float64)) & (narrow == close.round(DECIMALS).cast(pl.Float32))

    def is_longer(decimals: int) -> pl.Expr:
        scaled = close * 10.0**decimals
        steps = close * 64.0
        is_short = (
            (scaled - scaled.round()).abs() < 1e-5 * pl.max_horizontal(pl.lit(1.0), scaled.abs() * 1e-6)
        ) | ((steps - steps.round()).abs() < 1e-9)
        return ~is_short & ~is_narrow

    rows = table.frame.filter(close >= CHEAP).with_columns(
        is_long=is_longer(DECIMALS), is_longest=is_longer(6)
    )
    place, count = pl.int_range(pl.len()).over("symbol"), pl.len().over("symbol")
    rows = rows.with_columns(is_early=place < count // 2, is_tail=place >= count - 5, known=count)
    parts = rows.group_by("symbol", maintain_order=True).agg(
        early=pl.col("is_long").filter("is_early").mean(),
        tail=pl.col("is_long").filter("is_tail").mean(),
        all=pl.col("is_longest").mean(),
        known=pl.len(),
    )
    is_scaled = (pl.col("early") >= 0.9) & ((pl.col("tail") <= 0.2) | (pl.col("all") >= 0.9))
    found = parts.filter(is_scaled, pl.col("known") >= FEWEST_ROWS)["symbol"].to_list()
    hits = rows.filter(pl.col("symbol").is_in(found), pl.col("is_long"))
    yield from of_symbols(
        hits,
        "adjusted-prices",
        DOUBT,
        lambda row: (
            f"close {row['close']!r} has more than {DECIMALS} decimals, as adjusted and computed prices have"
        ),
        value="close",
    )


def splits_not_in_prices(table: Table) -> Iterator[LintFinding]:
    """Find splits and stock dividends at which the open is nearer to the close before than to its part."""
    if table.actions is None or table.declared.kind is not DataKind.BAR:
        return
    rows = table.frame.with_columns(
        before=pl.col("close").shift(1).over("symbol"), day_before=pl.col("day").shift(1).over("symbol")
    ).filter(pl.col("day") > pl.col("day_before"), pl.col("open") > 0, pl.col("before") > 0)
    splits = table.actions.filter(
        pl.col("kind").is_in(["split", "stock_dividend"]),
        pl.col("ratio").log().abs() >= math.log(SMALLEST_SPLIT),
    )
    # polars cannot check the order within symbols; both sides are sorted by date as a whole.
    at = splits.sort("ex_date", "symbol").join_asof(
        rows.sort("day", maintain_order=True),
        left_on="ex_date",
        right_on="day",
        by="symbol",
        strategy="forward",
        check_sortedness=False,
    )
    gap, part = (pl.col("open") / pl.col("before")).log(), pl.col("ratio").log()
    hits = at.filter(pl.col("day_before") < pl.col("ex_date"), gap.abs() < (gap + part).abs())
    for row in hits.sort("symbol", "ex_date").iter_rows(named=True):
        severity = ERROR if abs(math.log(row["ratio"])) >= math.log(CERTAIN_SPLIT) else DOUBT
        found = (
            f"at the {row['kind']} of ratio {row['ratio']:g} on {row['ex_date']} the open is {row['open']} "
            f"after a close of {row['before']}; raw, it would be near {row['before'] / row['ratio']:.6g}"
        )
        yield finding("split-not-in-prices", severity, row, found, value=row["open"])
