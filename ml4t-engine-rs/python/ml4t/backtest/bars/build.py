"""From ticks with a bar number to bars with two stamps."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ml4t.backtest.bars.intake import Intake

__all__ = ["bars_of_marks", "finish", "price_columns"]

INSTANT = pl.Datetime("ns", "UTC")


def price_columns() -> list[pl.Expr]:
    """Return open, high, low, close, volume and ticks of a group of ticks in order."""
    price = pl.col("price")
    return [
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        pl.col("size").sum().alias("volume"),
        pl.len().cast(pl.Int64).alias("ticks"),
    ]


def bars_of_marks(
    intake: Intake, completes: pl.Expr, *, keep_incomplete: bool, extra: Sequence[str] = ()
) -> pl.DataFrame:
    """Return one bar per run of ticks that ends with a mark.

    Parameters
    ----------
    intake
        Ticks.
    completes
        Boolean, true on the tick that completes a bar.
    keep_incomplete
        Whether the ticks after a symbol's last mark become a bar.
    extra
        Columns of the ticks whose value on the last tick of a bar belongs to the bar.
    """
    ends = pl.col("completes")
    number = (ends.cum_sum() - ends.cast(pl.UInt32)).over("symbol")
    grouped = (
        intake.rows.lazy()
        .with_columns(completes.alias("completes"))
        .with_columns(number.alias("bar"))
        .group_by("symbol", "bar", maintain_order=True)
        .agg(
            *price_columns(),
            *(pl.col(name).last() for name in extra),
            pl.col("ts").first().alias("first"),
            pl.col("ts").last().alias("last"),
            ends.last().alias("is_complete"),
            *_arrivals(intake),
        )
    )
    return finish(_stamped(grouped), intake, keep_incomplete=keep_incomplete)


def _stamped(bars: pl.LazyFrame) -> pl.LazyFrame:
    r"""Return bars with ``ts_open``, the instant of the first tick, and ``ts_event``, that of the last.

    A bar has a length, and bars of one symbol neither overlap nor end together, but ticks may share an
    instant. Then the end moves, by 1 ns per bar, to the later side, where nothing is known too early:

    .. math:: e_j = \max(last_j,\; first_j + 1,\; e_{j-1} + 1), \qquad o_j = \max(first_j,\; e_{j-1})

    With the number of the bar taken off, the recursion is a running maximum.
    """
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    least = pl.max_horizontal(pl.col("last"), pl.col("first") + 1)
    end = (number + (least - number).cum_max()).over("symbol")
    begin = pl.max_horizontal(pl.col("first"), pl.col("ts_event").shift(1).over("symbol"))
    return bars.with_columns(end.alias("ts_event")).with_columns(begin.alias("ts_open"))


def _arrivals(intake: Intake) -> list[pl.Expr]:
    return [pl.col("ts_arrival").max()] if "ts_arrival" in intake.rows.columns else []


def finish(bars: pl.LazyFrame, intake: Intake, *, keep_incomplete: bool) -> pl.DataFrame:
    """Return bars in the columns, types and order that users see.

    A bar arrives with the last of its rows, not before it is complete, and not before the bar before it.
    """
    stamps = [pl.col(name).cast(INSTANT) for name in ("ts_open", "ts_event")]
    if _arrivals(intake):
        known = pl.max_horizontal("ts_arrival", "ts_event").cum_max().over("symbol")
        stamps.append(known.cast(INSTANT).alias("ts_arrival"))
    inner = {"symbol", "ts_open", "ts_event", "ts_arrival", "first", "last", "bar", "is_complete"}
    values = [name for name in bars.collect_schema().names() if name not in inner]
    shown = bars.select("symbol", *stamps, *values, "is_complete")
    if not keep_incomplete:
        shown = shown.filter("is_complete").drop("is_complete")
    # Sums of floats depend on how rows are split; in memory a group is one piece on any machine.
    return shown.sort("ts_event", "symbol").collect(engine="in-memory")
