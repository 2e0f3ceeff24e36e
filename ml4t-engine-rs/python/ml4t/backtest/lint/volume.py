"""Volumes in another unit than shares."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from ml4t.backtest.data.columns import folded
from ml4t.backtest.lint.findings import LintFinding, LintSeverity, finding, of_symbols
from ml4t.backtest.lint.jumps import is_explained
from ml4t.backtest.lint.table import Table
from ml4t.core.types import DataKind

__all__ = ["volume_units", "volumes_in_currency", "volumes_in_fractions"]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
FACTORS = (100.0, 1000.0)
#: Days looked at on either side of a change, how far apart all of them are from all of the others, and how
#: near their medians have to be to the factor, in decimal logarithms.
WINDOW, APART, NEAR = 5, 5.0, 0.4
#: A volume that is 100 times as large is news, and news moves prices by more than that (logarithm).
STILL = 0.2
FEWEST_ROWS = 10
#: Part of the rows that have to be whole numbers, and how near to one a quotient is.
MOST, WHOLE = 0.95, 0.01
MONEY = ("dollar", "turnover", "notional", "amount", "value", "quote", "usd", "eur", "traded_value")


def volume_units(table: Table) -> Iterator[LintFinding]:
    """Find the rows from which on volumes are about 100 or 1000 times those before, or that part.

    Five days on either side are compared. It is an error where the price hardly moves meanwhile and volumes
    are steady on both sides, which those of a young fund, the honest case, are not.
    """
    if table.declared.kind is not DataKind.BAR:
        return
    volume = pl.col("volume")
    rows = _by_day(table).filter(volume > 0, pl.col("close") > 0)

    def both(name: str) -> dict[str, pl.Expr]:
        before: pl.Expr = getattr(volume.shift(1), f"rolling_{name}")(WINDOW)
        after: pl.Expr = getattr(volume, f"rolling_{name}")(WINDOW).shift(1 - WINDOW)
        return {f"{name}_before": before.over("symbol"), f"{name}_after": after.over("symbol")}

    rows = rows.with_columns(
        **both("median"),
        **both("min"),
        **both("max"),
        before=pl.col("close").shift(1).over("symbol"),
        day_before=pl.col("day").shift(1).over("symbol"),
    ).with_columns(
        size=(pl.col("median_after") / pl.col("median_before")).log(10),
        move=(pl.col("close") / pl.col("before")).log(),
    )
    is_clean = (pl.col("min_after") > APART * pl.col("max_before")) | (
        pl.col("max_after") * APART < pl.col("min_before")
    )
    is_near = pl.any_horizontal(
        (pl.col("size").abs() - math.log10(factor)).abs() < NEAR for factor in FACTORS
    )
    hits = rows.filter(is_clean, is_near)
    kept = [not is_explained(table, row) for row in hits.iter_rows(named=True)]
    hits = hits.filter(pl.Series(kept, dtype=pl.Boolean))
    is_steady = (pl.col("max_before") < APART * pl.col("min_before")) & (
        pl.col("max_after") < APART * pl.col("min_after")
    )
    is_still = (pl.col("move").abs() < STILL) & is_steady
    for severity, chosen in ((ERROR, is_still), (DOUBT, ~is_still)):
        yield from of_symbols(
            hits.filter(chosen),
            "volume-unit",
            severity,
            lambda row: (
                f"volumes are near {row['median_after']:,.0f} from here on and near "
                f"{row['median_before']:,.0f} before, while the close goes from {row['before']} to "
                f"{row['close']}"
            ),
            value="volume",
        )


def _by_day(table: Table) -> pl.DataFrame:
    """Return a row per day: before the opening volumes are small by nature."""
    if table.is_daily:
        return table.frame
    first = [pl.col(name).first() for name in ("row", "file", "label", "ts")]
    return table.frame.group_by("symbol", "day", maintain_order=True).agg(
        *first, pl.col("volume").sum(), pl.col("close").drop_nulls().last()
    )


def volumes_in_currency(table: Table) -> Iterator[LintFinding]:
    """Find volumes from columns of value traded, and those that are a price times whole shares."""
    if table.declared.kind is not DataKind.BAR:
        return
    source = table.names.get("volume", "volume")
    if any(word in folded(source) for word in MONEY):
        found = f"volume is read from column {source!r}"
        yield LintFinding(code="volume-currency", severity=ERROR, found=found)
        return
    for symbol in _in_currency(table):
        row = table.frame.filter(pl.col("symbol") == symbol, pl.col("volume") > 0).row(0, named=True)
        found = (
            f"volume {row['volume']} is {row['volume'] / row['close']:,.0f} times the close {row['close']}"
        )
        count = table.frame.filter(pl.col("symbol") == symbol).height
        yield finding("volume-currency", ERROR, row, found, value=row["volume"], count=count)


def _in_currency(table: Table) -> list[str]:
    """Return the symbols whose volumes are no whole numbers until they are divided by the close."""
    volume, shares = pl.col("volume"), pl.col("volume") / pl.col("close")
    parts = (
        table.frame.filter(volume > 0, pl.col("close") >= 1)
        .group_by("symbol", maintain_order=True)
        .agg(
            known=pl.len(),
            whole=((volume - volume.round()).abs() < 1e-9).mean(),
            shares=(((shares - shares.round()).abs() < WHOLE) & (shares >= 1)).mean(),
        )
    )
    found = parts.filter(pl.col("known") >= FEWEST_ROWS, pl.col("whole") < MOST, pl.col("shares") >= MOST)
    return found["symbol"].to_list()


def volumes_in_fractions(table: Table) -> Iterator[LintFinding]:
    """Find volumes with decimals, on calendars with nights: coins and currencies have such by nature."""
    if table.declared.kind is not DataKind.BAR or table.never_rests:
        return
    volume = pl.col("volume")
    hits = table.frame.filter(
        (volume - volume.round()).abs() > 1e-9, ~pl.col("symbol").is_in(_in_currency(table))
    )
    yield from of_symbols(
        hits, "volume-fractional", DOUBT, lambda row: f"volume is {row['volume']}", value="volume"
    )
