"""Precomputed columns that tell by themselves that they look ahead.

Altering rows after an instant cannot show that a number in a row before it was computed from them. A column
that is a later price, return or direction of the same instrument, to the last digit, or one whose values
over the whole sample have mean 0 and deviation 1, or are its ranks, says so itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from ml4t.backtest.data.tables import FeedTable, MarketData
from ml4t.core.types import DataKind

__all__ = ["Suspect", "suspects", "without"]

Floats = npt.NDArray[np.float64]

LAGS = (1, 2, 3, 5, 10, 20, 21, 22)
FEWEST = 60


@attrs.frozen
class Suspect:
    """A column that looks ahead: the table and the column, the kind of mistake, and a sentence on it."""

    table: str
    column: str
    kind: str
    said: str


def suspects(data: MarketData) -> Iterator[Suspect]:
    """Yield the columns of feeds and the signals that look ahead."""
    closes = _closes(data)
    for feed in data.feeds:
        if feed.kind is DataKind.CONTEXT:
            for name in feed.extra:
                if (said := _fitted(feed.frame[name].to_numpy())) is not None:
                    yield Suspect(feed.name, name, "whole_sample", f"{name} of {feed.name} {said}")
        else:
            for name in feed.extra:
                yield from _column(feed.name, name, _by_instrument(feed.frame, name, "ts_event"), closes)
    if data.signals is not None:
        for number, name in enumerate(data.signals.names):
            rows = data.signals.frame.filter(pl.col("name") == number)
            yield from _column("signals", name, _by_instrument(rows, "score", "ts_event"), closes)


def without(data: MarketData, suspect: Suspect, rng: np.random.Generator) -> MarketData:
    """Return the data with a column drawn anew throughout, to see whether a strategy uses it."""
    if suspect.table == "signals" and data.signals is not None:
        frame = data.signals.frame
        mine = frame["name"].to_numpy() == data.signals.names.index(suspect.column)
        score = frame["score"].to_numpy().copy()
        score[mine] = rng.permutation(score[mine])
        return attrs.evolve(
            data, signals=attrs.evolve(data.signals, frame=frame.with_columns(score=pl.Series(score)))
        )
    feeds = tuple(
        _drawn(feed, suspect.column, rng) if feed.name == suspect.table else feed for feed in data.feeds
    )
    return attrs.evolve(data, feeds=feeds)


def _drawn(feed: FeedTable, column: str, rng: np.random.Generator) -> FeedTable:
    if column not in feed.extra:
        return feed
    drawn = rng.permutation(feed.frame[column].to_numpy())
    return attrs.evolve(feed, frame=feed.frame.with_columns(pl.Series(column, drawn)).rechunk())


def _closes(data: MarketData) -> dict[int, tuple[npt.NDArray[np.int64], dict[str, Floats]]]:
    """Return instants and prices of each instrument, from the feed its orders meet."""
    found = {}
    for number, feed in enumerate(data.matching):
        table = data.feeds[feed]
        if table.kind is not DataKind.BAR:
            continue
        rows = table.frame.filter(pl.col("instrument") == number)
        prices = [name for name in ("close", "open", *table.extra) if "close" in name or name == "open"]
        found[number] = (rows["ts_event"].to_numpy(), {name: rows[name].to_numpy() for name in prices})
    return found


def _by_instrument(
    frame: pl.DataFrame, name: str, stamp: str
) -> dict[int, tuple[npt.NDArray[np.int64], Floats]]:
    rows = frame.sort(stamp, maintain_order=True).partition_by("instrument", as_dict=True)
    return {int(key[0]): (part[stamp].to_numpy(), part[name].to_numpy()) for key, part in rows.items()}


def _column(
    table: str,
    name: str,
    values: dict[int, tuple[npt.NDArray[np.int64], Floats]],
    closes: dict[int, tuple[npt.NDArray[np.int64], dict[str, Floats]]],
) -> Iterator[Suspect]:
    for number, (stamps, column) in values.items():
        if (said := _fitted(column)) is not None:
            yield Suspect(table, name, "whole_sample", f"{name} of {table} {said}")
            return
        if number in closes:
            at, prices = closes[number]
            joined = np.searchsorted(at, stamps)
            inside = np.flatnonzero(joined < len(at))
            inside = inside[at[joined[inside]] == stamps[inside]]
            if len(inside) >= FEWEST and (said := _later(column[inside], joined[inside], prices)) is not None:
                yield Suspect(table, name, "shifted_column", f"{name} of {table} {said}")
                return


def _later(column: Floats, rows: npt.NDArray[np.int64], prices: dict[str, Floats]) -> str | None:
    """Say which later price, return or direction a column is."""
    for price, values in prices.items():
        for lag in LAGS:
            later = rows + lag
            fits = (later < len(values)) & np.isfinite(column)
            if fits.sum() < FEWEST:
                continue
            now, then, given = values[rows[fits]], values[later[fits]], column[fits]
            with np.errstate(divide="ignore", invalid="ignore"):
                change = then / now - 1.0
                shapes = {
                    f"is {price} of {lag} rows later": then,
                    f"is the return of {price} over the next {lag} rows": change,
                    f"is the log return of {price} over the next {lag} rows": np.log1p(change),
                    f"is the change of {price} over the next {lag} rows": then - now,
                    f"is the direction of {price} over the next {lag} rows": np.sign(change),
                    f"says whether {price} rises over the next {lag} rows": (change > 0).astype(float),
                }
            for said, shape in shapes.items():
                if np.ptp(shape) > 0 and np.isclose(given, shape, rtol=1e-6, atol=1e-9).mean() > 0.99:
                    return said
    return None


def _fitted(column: Floats) -> str | None:
    """Say which statistics of the whole sample a column was made with."""
    values = column[np.isfinite(column)]
    if len(values) < FEWEST or len(np.unique(values)) < FEWEST // 2:
        return None
    mean, deviations = values.mean(), (values.std(), values.std(ddof=1))
    if abs(mean) < 1e-9 and any(abs(each - 1) < 1e-9 for each in deviations):
        return "has mean 0 and deviation 1 over the whole sample: it was scaled with both"
    ranks = np.sort(values) * len(values)
    if np.allclose(ranks, np.arange(1, len(values) + 1)) or np.allclose(ranks, np.arange(len(values))):
        return "is its rank in the whole sample"
    return None
