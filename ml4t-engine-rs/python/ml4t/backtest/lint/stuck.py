"""Prices that stand still: filled forward within a series, or after its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from ml4t.backtest.data.checks import PRICES
from ml4t.backtest.lint.findings import LintFinding, LintSeverity, finding
from ml4t.backtest.lint.table import Table
from ml4t.core.types import DataKind

__all__ = ["filled_after_delisting", "stuck_prices"]

ERROR, DOUBT = LintSeverity.ERROR, LintSeverity.DOUBT
#: Days with equal prices: from how many on they are told, and from how many on they are certain, or are
#: told of a series that no other can be compared with.
TOLD, CERTAIN = 5, 10


def _runs(table: Table) -> pl.DataFrame:
    """Return the runs of at least five days with one open, high, low and close: the first row of each.

    ``days``, ``rows``; ``until`` the last day; ``is_flat`` whether the four are one price; ``is_quiet``
    whether volume is absent, zero or always the same, ``has_volume`` whether there is any; ``is_tail`` and
    ``is_all`` whether the symbol ends with it, or is nothing else; ``first_rows`` of its first day.
    """
    same = [pl.col(name).eq_missing(pl.col(name).shift(1)) for name in (*PRICES[DataKind.BAR], "symbol")]
    is_last = (pl.col("symbol") != pl.col("symbol").shift(-1)).fill_null(value=True)
    is_first = (pl.col("symbol") != pl.col("symbol").shift(1)).fill_null(value=True)
    rows = table.frame.with_columns(
        run=(~pl.all_horizontal(same)).cum_sum(), is_last=is_last, is_first=is_first
    )
    # Most rows are in a run of one, and grouping those takes most of the time.
    long = rows.group_by("run").len().filter(pl.col("len") >= TOLD)
    first = [pl.col(name).first() for name in ("symbol", "row", "file", "label", "ts", "day", "close")]
    return (
        rows.join(long, on="run", how="semi", maintain_order="left")
        .group_by("run", maintain_order=True)
        .agg(
            *first,
            days=pl.col("day").n_unique(),
            rows=pl.len(),
            until=pl.col("day").last(),
            is_flat=(pl.col("high") == pl.col("low")).all(),
            # The first of them may have traded: what follows was filled from it.
            is_quiet=(pl.col("volume").fill_null(0.0).slice(1).n_unique() == 1),
            has_volume=pl.col("volume").is_not_null().any(),
            is_tail=pl.col("is_last").any(),
            is_all=pl.col("is_last").any() & pl.col("is_first").any(),
            first_rows=(pl.col("day") == pl.col("day").first()).sum(),
        )
        .filter(pl.col("days") >= TOLD)
    )


def _is_tail(run: dict[str, Any]) -> bool:
    return bool(run["is_tail"] and run["is_flat"] and run["is_quiet"] and not run["is_all"])


def filled_after_delisting(table: Table) -> Iterator[LintFinding]:
    """Find series that end with days of one price and no, or always the same, volume.

    From ten days on it is an error; without volume it stays a doubt, for nothing tells a fund at par from a
    dead share.
    """
    if table.declared.kind is not DataKind.BAR:
        return
    for run in _runs(table).iter_rows(named=True):
        if _is_tail(run):
            severity = ERROR if run["days"] >= CERTAIN and run["has_volume"] else DOUBT
            found = (
                f"the last {run['days']} days, until {run['until']}, have one price, {run['close']}, and "
                f"{'no trading' if run['has_volume'] else 'no volume is given'}"
            )
            yield finding(
                "filled-after-delisting", severity, run, found, value=run["close"], count=run["rows"]
            )


def stuck_prices(table: Table) -> Iterator[LintFinding]:
    """Find days of equal prices while half of the others move; ten where there are no others."""
    if table.declared.kind is not DataKind.BAR:
        return
    runs = _runs(table)
    if runs.is_empty():
        return
    for run in _with_others(table, runs).sort("symbol", "run").iter_rows(named=True):
        is_told = run["moved"] * 2 >= run["others"] if run["others"] else run["days"] >= CERTAIN
        if _is_tail(run) or not is_told:
            continue
        found = (
            f"open, high, low and close are the same on {run['days']} days, until {run['until']}: "
            f"close {run['close']}"
        )
        yield finding("stuck-price", DOUBT, run, found, value=run["close"], count=run["rows"])


def _with_others(table: Table, runs: pl.DataFrame) -> pl.DataFrame:
    """Return the runs with ``others``, rows of other symbols after its first day, and how many ``moved``."""
    moves = pl.col("close") != pl.col("close").shift(1).over("symbol")
    days = (
        table.frame.with_columns(moved=moves.fill_null(value=False))
        .group_by("day")
        .agg(all=pl.len(), moved=pl.col("moved").sum())
        .sort("day")
        .with_columns(pl.col("all", "moved").cast(pl.Int64).cum_sum())
    )
    end = runs.join(days, left_on="until", right_on="day")
    both = end.join(days, on="day", suffix="_before")
    # Its own rows after the first day do not move.
    own = pl.col("rows") - pl.col("first_rows")
    return both.with_columns(
        others=pl.col("all") - pl.col("all_before") - own, moved=pl.col("moved") - pl.col("moved_before")
    )
