"""Market data whose future is another one: nothing that was known at an instant differs.

What stays valid, stays: prices keep their sign and tick grid, a bar keeps low <= open, close <= high,
stamps keep their order, and every instrument keeps its last row, so that the run has the same span.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from ml4t.backtest.data.tables import VALUE_COLUMNS, FeedTable, MarketData, SignalTable
from ml4t.core.types import DataKind

__all__ = ["HOWS", "How", "alter", "is_adjusted", "left_alone"]

How: TypeAlias = Literal["garbage", "shuffled", "removed", "split"]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

HOWS: tuple[How, ...] = ("garbage", "shuffled", "removed", "split")

PRICES = {"open", "high", "low", "close", "bid_price", "ask_price", "price"}
# The kinds of actions whose terms may be others. Those that end or exchange an instrument hang together
# with its rows, so another date or ratio of one would be refused instead of read.
ALTERABLE = ("split", "cash_dividend", "stock_dividend")


def left_alone(data: MarketData) -> tuple[str, ...]:
    """Say which tables `alter` leaves as they are, and why."""
    found = []
    if data.rolls is not None:
        found.append("rolls: a contract has to be left before it expires, so another plan would be refused")
    if data.flows is not None:
        found.append("cash flows: they are the owner's plan, which a strategy cannot read ahead")
    kinds = set() if data.actions is None else set(data.actions["kind"].unique()) - set(ALTERABLE)
    if kinds:
        named = ", ".join(sorted(kinds))
        found.append(f"corporate actions of kind {named}: the rows of the instrument depend on them")
    return tuple(found)


def alter(data: MarketData, until_ns: int, how: How, rng: np.random.Generator) -> MarketData:
    """Return the data with everything after an instant replaced.

    Parameters
    ----------
    data : MarketData
        What a run reads.
    until_ns : int
        Rows that had arrived by then stay. A bar that is open at it keeps its stamps and its open; of a row
        that was complete and had not arrived, only features differ, because orders were matched against its
        prices.
    how : "garbage", "shuffled", "removed" or "split"
        Other values; the values of other rows of the same instrument; no rows but the last of each
        instrument; or the same rows, and columns that are adjusted backwards as if some instruments had a
        split right after the instant. That one alters only the past of such columns: what they say of it
        depends on what follows.
    rng : numpy.random.Generator
        Draws the other values.
    """
    if how == "split":
        return attrs.evolve(data, feeds=tuple(_readjusted(feed, until_ns, rng) for feed in data.feeds))
    ticks = [instrument.tick_size for instrument in data.instruments]
    rates: dict[str, Any] = {
        name: _rates(getattr(data, name), until_ns, how, rng)
        for name in ("funding", "borrow", "fx", "settlements", "margin_rates")
    }
    return attrs.evolve(
        data,
        feeds=tuple(_feed(feed, until_ns, how, rng, ticks) for feed in data.feeds),
        signals=_signals(data.signals, until_ns, how, rng),
        actions=_actions(data.actions, until_ns, how, rng),
        **rates,
    )


# Feeds ------------------------------------------------------------------------------------------


def _feed(feed: FeedTable, until: int, how: How, rng: np.random.Generator, ticks: list[Decimal]) -> FeedTable:
    frame = feed.frame
    event = frame["ts_event"].to_numpy()
    arrival = frame["ts_arrival"].to_numpy() if "ts_arrival" in frame.columns else event
    ahead = event > until
    hidden = arrival > until
    if not (ahead.any() or hidden.any()):
        return feed
    group = _group(frame)
    opened = frame["ts_open"].to_numpy() <= until if feed.kind is DataKind.BAR else np.zeros(len(event), bool)
    columns = {name: frame[name].to_numpy().copy() for name in (*VALUE_COLUMNS[feed.kind], *feed.extra)}
    if how == "shuffled":
        order = permutation(group, ahead & ~opened, rng)
        columns = {name: values[order] for name, values in columns.items()}
        _rescale(columns, feed.extra, ahead & opened, rng)
    else:
        _rescale(columns, feed.extra, ahead, rng)
    for name in feed.extra:
        # Nobody has read it, whether its row was complete or not.
        columns[name] = noise(columns[name], hidden, rng)
    _on_the_grid(columns, ahead, group, ticks)
    if feed.kind is DataKind.BAR:
        _with_their_open(columns, frame, ahead & opened)
    changed = frame.with_columns(pl.Series(name, values) for name, values in columns.items())
    if how == "removed":
        # The last row of each instrument stays: without one, the run would end at another instant.
        kept = ~ahead | opened | _lasts(group)
        changed = changed.filter(pl.Series(kept))
    return attrs.evolve(feed, frame=changed.rechunk())


def _rescale(
    columns: dict[str, Floats], extra: tuple[str, ...], rows: Mask, rng: np.random.Generator
) -> None:
    """Multiply the prices of a row by one factor, its sizes by another."""
    price = np.exp(rng.uniform(-0.7, 0.7, len(rows)))
    size = np.exp(rng.uniform(-1.0, 1.0, len(rows)))
    for name, values in columns.items():
        if name in PRICES:
            columns[name] = np.where(rows, values * price, values)
        elif name not in extra:
            # No volume stays none: where it fills no order, a bar without has no open either.
            columns[name] = np.where(
                rows, np.where(values > 0, np.maximum(np.round(values * size), 1.0), values), values
            )


def _on_the_grid(
    columns: dict[str, Floats], rows: Mask, group: npt.NDArray[np.int64], ticks: list[Decimal]
) -> None:
    steps = np.array([float(tick) for tick in ticks] or [0.0])[group]
    grid = rows & (steps > 0)
    safe = np.where(steps > 0, steps, 1.0)
    for name in PRICES & columns.keys():
        values = columns[name]
        rounded = np.round(np.round(values / safe) * safe, 10)
        positive = np.where(values > 0, np.maximum(rounded, safe), rounded)
        columns[name] = np.where(grid, positive, values)


def _with_their_open(columns: dict[str, Floats], frame: pl.DataFrame, rows: Mask) -> None:
    opened = frame["open"].to_numpy()
    columns["open"] = np.where(rows, opened, columns["open"])
    columns["low"] = np.where(rows, np.fmin(columns["low"], opened), columns["low"])
    columns["high"] = np.where(rows, np.fmax(columns["high"], opened), columns["high"])
    # Whether it had a volume shows at its open, how much does not.
    volume = frame["volume"].to_numpy()
    columns["volume"] = np.where(
        rows & (volume > 0), volume + 10.0, np.where(rows, volume, columns["volume"])
    )


def _group(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    if "instrument" not in frame.columns:
        return np.zeros(frame.height, np.int64)
    return frame["instrument"].to_numpy().astype(np.int64)


def _lasts(group: npt.NDArray[np.int64]) -> Mask:
    _, first = np.unique(group[::-1], return_index=True)
    lasts = np.zeros(len(group), bool)
    lasts[len(group) - 1 - first] = True
    return lasts


def permutation(group: npt.NDArray[np.int64], rows: Mask, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return row numbers in which the chosen rows of each group have changed places."""
    order = np.arange(len(group))
    for each in np.unique(group[rows]):
        places = np.flatnonzero(rows & (group == each))
        order[places] = rng.permutation(places)
    return order


def noise(values: Floats, rows: Mask, rng: np.random.Generator) -> Floats:
    """Return the values with those of the chosen rows drawn anew, of about the size of the others."""
    finite = values[np.isfinite(values)]
    spread = float(finite.std()) if len(finite) else 1.0
    drawn = rng.permutation(np.where(np.isfinite(values), values, 0.0)) + rng.normal(
        0, spread or 1.0, len(values)
    )
    return np.where(rows, drawn, values)


# Columns that are adjusted backwards -------------------------------------------------------------


def is_adjusted(column: Floats, close: Floats) -> bool:
    """Say whether a column is prices that are adjusted for what came later.

    Its ratio to the raw price is constant for long, and changes now and then: at splits and dividends.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(column / close)
    if len(ratio) < 30 or not np.isfinite(ratio).all():
        return False
    steps = np.abs(np.diff(ratio)) > 0.002
    return bool(abs(ratio[-1] - ratio[0]) > 0.005 and steps.any() and steps.mean() < 0.05)


def _readjusted(feed: FeedTable, until: int, rng: np.random.Generator) -> FeedTable:
    if feed.kind is not DataKind.BAR or not feed.extra:
        return feed
    frame, group = feed.frame, _group(feed.frame)
    close, known = frame["close"].to_numpy(), frame["ts_event"].to_numpy() <= until
    found = np.unique(group)
    # Powers of two: a ratio of two prices stays the same to the last digit.
    factor = rng.choice([1.0, 0.5, 0.25], len(found))
    factor[rng.integers(len(found))] = 0.5
    columns = {}
    for name in feed.extra:
        values = frame[name].to_numpy().copy()
        for each, by in zip(found, factor, strict=True):
            mine = group == each
            if is_adjusted(values[mine], close[mine]):
                values[mine & known] *= by
                columns[name] = values
    if not columns:
        return feed
    return attrs.evolve(feed, frame=frame.with_columns(pl.Series(n, v) for n, v in columns.items()).rechunk())


# The other tables --------------------------------------------------------------------------------


def _signals(table: SignalTable | None, until: int, how: How, rng: np.random.Generator) -> SignalTable | None:
    if table is None:
        return None
    frame = table.frame
    ahead = frame["ts_arrival"].to_numpy() > until
    # The rows of an order list are told by their names, and mean nothing with another score.
    own = frame["name"].to_numpy()
    listed = np.array([name.startswith("order list ") for name in table.names] or [False])
    scored = ahead & ~listed[own]
    if how == "removed":
        return attrs.evolve(table, frame=frame.filter(pl.Series(~ahead)).rechunk())
    order = permutation(own.astype(np.int64), scored, rng)
    score = frame["score"].to_numpy()[order]
    if how == "garbage":
        score = np.where(scored, score * rng.uniform(0.2, 1.0, len(score)), score)
    return attrs.evolve(table, frame=frame.with_columns(score=pl.Series(score)).rechunk())


def _actions(
    frame: pl.DataFrame | None, until: int, how: How, rng: np.random.Generator
) -> pl.DataFrame | None:
    if frame is None:
        return None
    ahead = (frame["ts"].to_numpy() > until) & frame["kind"].is_in(ALTERABLE).to_numpy()
    if how == "removed":
        left = frame.filter(pl.Series(~ahead)).rechunk()
        return left if left.height else None
    by = Decimal(int(rng.integers(2, 9))) / 4
    amounts = [
        str(Decimal(x) * by) if a else x for x, a in zip(frame["amount"].to_list(), ahead, strict=True)
    ]
    splits = ahead & frame["kind"].is_in(["split", "stock_dividend"]).to_numpy()
    numerator = np.where(splits, frame["ratio_num"].to_numpy() * 2, frame["ratio_num"].to_numpy())
    return frame.with_columns(
        pl.Series("amount", amounts, dtype=pl.String), pl.Series("ratio_num", numerator, dtype=pl.Int64)
    ).rechunk()


def _rates(frame: pl.DataFrame | None, until: int, how: How, rng: np.random.Generator) -> pl.DataFrame | None:
    """Scale what is due later, all by factors up to one: a rate that is none stays none, an order stays."""
    if frame is None:
        return None
    ahead = frame["ts"].to_numpy() > until
    factor = rng.uniform(0.5, 1.0, frame.height) if how != "shuffled" else np.full(frame.height, 0.75)
    names = [name for name in ("rate", "other", "short_rate") if name in frame.columns]
    return frame.with_columns(
        pl.Series(name, np.where(ahead, frame[name].to_numpy() * factor, frame[name].to_numpy()))
        for name in names
    ).rechunk()
