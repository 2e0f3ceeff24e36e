"""What a feed itself says of rows in which nothing else was found."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ml4t.backtest.data.feed import DataFeed, FeedOptions
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.backtest.lint.findings import LintFinding, LintSeverity
from ml4t.backtest.lint.table import Table
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["feed_check"]


def feed_check(table: Table) -> Iterator[LintFinding]:
    """Load the rows as a feed and pass on its refusal, or its doubts other than those about hours.

    Bars with times of day are loaded where stamp and interval were declared, or rows have both stamps.
    """
    prepared = _feed_of(table) if table.frame.height else None
    if prepared is None:
        return
    frame, options = prepared
    try:
        doubts = DataFeed(frame, **options).report.doubts
    except DataError as error:
        yield LintFinding(code="feed-refuses", severity=LintSeverity.ERROR, found=str(error))
        return
    for doubt in doubts:
        yield LintFinding(code="feed-doubt", severity=LintSeverity.DOUBT, found=doubt)


def _feed_of(table: Table) -> tuple[pl.DataFrame, FeedOptions] | None:
    declared = table.declared
    values = [name for name in VALUE_COLUMNS[declared.kind] if not table.frame[name].is_null().all()]
    options = FeedOptions(name="data", kind=declared.kind, calendar=declared.calendar)
    if table.is_daily:
        frame = table.frame.sort("label", "symbol").select("symbol", "label", *values)
        return frame.rename({"label": "session"}), {**options, "stamp": StampMeaning.SESSION}
    frame = table.frame.sort("ts", "symbol")
    instant = pl.from_epoch("ts", time_unit="ns").dt.replace_time_zone("UTC").alias("ts_event")
    if declared.kind is not DataKind.BAR or "ts_open" in frame.columns:
        opens = [pl.col("ts_open")] if "ts_open" in frame.columns else []
        return frame.select("symbol", instant, *opens, *values), {**options, "stamp": StampMeaning.EVENT}
    if table.meaning is None or declared.interval is None:
        return None
    return frame.select("symbol", instant.alias("timestamp"), *values), {
        **options,
        "stamp": table.meaning,
        "interval": declared.interval.text,
    }
