"""Moves that no market made: changes of unit, splits without an action, misprints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from ml4t.backtest.lint.findings import LintFinding, LintSeverity, finding, of_symbols, one_of_symbols
from ml4t.backtest.lint.table import Table
from ml4t.core.types import DataKind

__all__ = ["is_explained", "spikes", "splits_unmarked", "unit_changes"]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
UNITS = (1000.0, 100.0, 10.0)
#: How far, in logarithms, a move may be from the factor of a unit; a day's own move is on top of it.
NEAR_UNIT = 0.15
SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
#: How near open and close have to be, in logarithms: news opens within 3 % of a half by chance only.
NEAR_SPLIT_OPEN, NEAR_SPLIT_CLOSE = 0.03, 0.12
#: A payment of that part of the price makes a jump of its own.
LARGE_PAYMENT = 0.2
SPIKE, LARGE_SPIKE, WICK = math.log(1.5), math.log(3), 2.0
#: What is left of a spike a row later, at most; and of one that is certain.
LEFT, SURE_LEFT = 0.25, 0.1
#: How many times the usual volume, after a split, is no news.
CALM = 3.0


def _moves(table: Table) -> pl.DataFrame:
    """Return the rows with the logarithms of their moves: ``gap`` to the open, ``move`` to the close.

    ``after`` is that from the close before to the close of the next row, null at the end of a symbol.
    """
    price = {DataKind.BAR: ("open", "close"), DataKind.TRADE: ("price", "price")}.get(table.declared.kind)
    if price is None:
        return table.frame.clear().with_columns(
            pl.lit(0.0).alias(name) for name in ("gap", "move", "after", "first", "last", "before")
        )
    first, last = (pl.col(name) for name in price)
    usual = (
        {"usual_volume": pl.col("volume").rolling_median(5, min_samples=1).shift(1).over("symbol")}
        if table.declared.kind is DataKind.BAR
        else {}
    )
    rows = table.frame.filter(first > 0, last > 0).with_columns(
        first=first,
        last=last,
        before=last.shift(1).over("symbol"),
        day_before=pl.col("day").shift(1).over("symbol"),
        next=last.shift(-1).over("symbol"),
        **usual,
    )
    return rows.with_columns(
        gap=(first / pl.col("before")).log(),
        move=(last / pl.col("before")).log(),
        after=(pl.col("next") / pl.col("before")).log(),
    ).filter(pl.col("before").is_not_null())


def is_explained(table: Table, row: dict[str, Any]) -> bool:
    """Whether an action that moves prices lies between a row and the one before it."""
    day, before, price = row["day"], row["day_before"], row["before"]
    if table.actions is None or price is None:
        return False
    own = table.actions.filter(
        pl.col("symbol") == row["symbol"], pl.col("ex_date") > before, pl.col("ex_date") <= day
    )
    is_small = (pl.col("kind") == "cash_dividend") & (pl.col("amount") < LARGE_PAYMENT * price)
    return own.filter(~is_small).height > 0


def _unit_rows(table: Table, moves: pl.DataFrame) -> pl.DataFrame:
    """Return the moves by a factor of 100 or 1000, and those by 10 of symbols that moved back as well."""
    factor = pl.lit(None, dtype=pl.Float64)
    for unit in UNITS:
        is_near = (pl.col("move").abs() - math.log(unit)).abs() < NEAR_UNIT
        factor = pl.when(is_near).then(pl.lit(unit)).otherwise(factor)
    rows = moves.with_columns(factor=factor, up=pl.col("move") > 0).filter(pl.col("factor").is_not_null())
    goes_back = pl.col("up").n_unique().over("symbol", "factor") > 1
    rows = rows.filter((pl.col("factor") > 10) | goes_back)
    kept = [not is_explained(table, row) for row in rows.iter_rows(named=True)]
    return rows.filter(pl.Series(kept, dtype=pl.Boolean))


def unit_changes(table: Table) -> Iterator[LintFinding]:
    """Find closes near 10, 100 or 1000 times the one before, or that part of it.

    A factor of 10 that does not come back is the business of `splits_unmarked`.
    """
    yield from of_symbols(
        _unit_rows(table, _moves(table)),
        "unit-change",
        ERROR,
        lambda row: (
            f"{row['last']} after {row['before']} is {row['factor']:.0f} times as much"
            if row["up"]
            else f"{row['last']} after {row['before']} is a part of {row['factor']:.0f}"
        ),
        value="last",
    )


def splits_unmarked(table: Table) -> Iterator[LintFinding]:
    """Find opens within 3 % of what a usual split makes of the close before, without an action that day.

    An error where actions were given, prices at least halve or double, and volume is about what the split
    makes of it; a doubt otherwise: news that halves a price makes many times the volume.
    """
    if table.declared.kind is not DataKind.BAR:
        return
    moves = _moves(table)
    ratio = pl.lit(None, dtype=pl.Float64)
    for split in (*SPLITS, *(1 / split for split in SPLITS if split >= 2)):
        down = math.log(split)
        is_near = ((pl.col("gap") + down).abs() < NEAR_SPLIT_OPEN) & (
            (pl.col("move") + down).abs() < NEAR_SPLIT_CLOSE
        )
        stays = (pl.col("after") + down).abs().fill_null(0.0) < 2 * NEAR_SPLIT_CLOSE
        ratio = pl.when(is_near & stays).then(pl.lit(split)).otherwise(ratio)
    rows = moves.with_columns(ratio=ratio).filter(pl.col("ratio").is_not_null())
    rows = rows.join(_unit_rows(table, moves), on=["source", "row"], how="anti", maintain_order="left")
    kept = [not is_explained(table, row) for row in rows.iter_rows(named=True)]
    rows = rows.filter(pl.Series(kept, dtype=pl.Boolean))
    is_large = (pl.col("ratio") >= 2) | (pl.col("ratio") <= 0.5)
    is_calm = pl.col("volume") <= CALM * pl.max_horizontal("ratio", pl.lit(1.0)) * pl.col("usual_volume")
    is_sure = (is_large & is_calm).fill_null(value=False) & (table.actions is not None)

    def say(row: dict[str, Any]) -> str:
        ratio = row["ratio"]
        text = f"{ratio:g}:1" if ratio > 1 else f"1:{1 / ratio:g}"
        given = "no action of that day is given" if table.actions is not None else "no actions were given"
        return f"open {row['first']} after a close of {row['before']} looks like a split {text}, and {given}"

    for severity, chosen in ((ERROR, is_sure), (DOUBT, ~is_sure)):
        yield from of_symbols(rows.filter(chosen), "split-unmarked", severity, say, value="first")


def spikes(table: Table) -> Iterator[LintFinding]:
    """Find closes that the next row undoes, and highs and lows at twice or half of open and close.

    By more than half a spike is a doubt, by more than a factor of three an error: what has its old price a
    day later has not tripled in between.
    """
    moves = _moves(table)
    size = pl.col("move").abs()
    rows = moves.filter(size > SPIKE, pl.col("after").abs() < LEFT * size)
    rows = rows.join(_unit_rows(table, moves), on=["source", "row"], how="anti", maintain_order="left")
    for row, count in one_of_symbols(rows):
        is_sure = abs(row["move"]) > LARGE_SPIKE and abs(row["after"]) < SURE_LEFT * abs(row["move"])
        severity = ERROR if is_sure else DOUBT
        found = f"{row['last']} stands between {row['before']} and {row['next']}"
        yield finding("price-spike", severity, row, found, value=row["last"], count=count)
    if table.declared.kind is not DataKind.BAR:
        return
    high, low = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    far = moves.filter((pl.col("high") > WICK * high) | (pl.col("low") * WICK < low), pl.col("low") > 0)
    yield from of_symbols(
        far.filter(pl.col("low") <= pl.col("high")),
        "price-spike",
        DOUBT,
        lambda row: (
            f"high {row['high']} or low {row['low']} is far from open {row['open']} and close {row['close']}"
        ),
    )
