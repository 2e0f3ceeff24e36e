"""Frames, arrays and mappings that reach a strategy beside the engine, with another future.

Which of their rows were known at an instant is told by a column of arrival, or else of time. A row labelled
with a date counts as known from its beginning, unless it holds prices: those are known at the close of that
session.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from ml4t.backtest.audit.alter import How, is_adjusted, noise, permutation
from ml4t.backtest.data.tables import MarketData

__all__ = ["Cut", "alter_table", "is_table"]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# When something could be known comes before when it was true.
ARRIVAL = re.compile(
    r"arriv|known|avail|publish|releas|announc|fil(ed|ing)|report(ed)?_?(date|at|time)|accept", re.I
)
TIME = re.compile(r"(^|_)(ts|time|timestamp|date|datetime|session|day|event|period|asof|as_of|index)", re.I)
PRICE = re.compile(r"^(adj_?)?(close|high|low|last|price)$|^adj_?close$|^adjusted_?close$", re.I)
DAY_NS = 86_400_000_000_000
SMALLEST = 20


@attrs.frozen(eq=False)
class Cut:
    """An instant, and what becomes of what is known later.

    Attributes
    ----------
    until_ns, how, seed
        The instant, and how its future is altered; the same seed alters the same table alike.
    data
        What the run reads: its sessions say when a day's prices are known, its instants which row of an
        array is which.
    """

    until_ns: int
    how: How
    seed: int
    data: MarketData

    def rng(self) -> np.random.Generator:
        """Return what draws the other values."""
        return np.random.default_rng([self.seed, self.until_ns % (2**63)])

    def closes(self, dates: Ints) -> Ints:
        """Return when the sessions of dates (days since 1970) close; else the end of the day."""
        table = next(each for each in self.data.calendars if each.name == self.data.nav_calendar)
        labels = table.numbers["label"].to_numpy()
        at = np.clip(np.searchsorted(labels, dates), 0, max(len(labels) - 1, 0))
        ends = (dates + 1) * DAY_NS
        return np.where(labels[at] == dates, table.numbers["close_ns"].to_numpy()[at], ends)

    def instants(self) -> Ints:
        """Return the instants of all rows of market data, ascending."""
        found = [feed.frame["ts_event"].to_numpy() for feed in self.data.feeds]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def offset(self) -> int:
        """Return how far the venue's clock is behind UTC at the instant, in ns."""
        table = next(each for each in self.data.calendars if each.name == self.data.nav_calendar)
        import zoneinfo

        at = dt.datetime.fromtimestamp(self.until_ns // 10**9, zoneinfo.ZoneInfo(table.timezone))
        away = at.utcoffset()
        return 0 if away is None else int(away.total_seconds()) * 10**9


def is_table(value: object) -> bool:
    """Say whether something may hold rows of several instants: a frame, series, array, mapping by time."""
    if isinstance(value, pl.DataFrame | pl.LazyFrame | pl.Series):
        return True
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(value, pd.DataFrame | pd.Series):
        return True
    if isinstance(value, np.ndarray):
        return value.ndim in (1, 2) and len(value) >= SMALLEST and value.dtype.kind in "fiub"
    if isinstance(value, Mapping) and value:
        key, first = next(iter(value.items()))
        return _moment(key) is not None or _moment(_last_of(key)) is not None or is_table(first)
    return False


def alter_table(value: Any, cut: Cut) -> Any:  # noqa: ANN401 - a table of one of many libraries
    """Return a table with what was known only later replaced; None where its rows cannot be dated."""
    if isinstance(value, pl.LazyFrame):
        changed = alter_table(value.collect(), cut)
        return None if changed is None else changed.lazy()
    if isinstance(value, pl.DataFrame):
        return _frame(value, cut)
    if isinstance(value, pl.Series):
        return None if (array := alter_table(value.to_numpy(), cut)) is None else pl.Series(value.name, array)
    if isinstance(value, np.ndarray):
        return _array(value, cut)
    if isinstance(value, Mapping):
        return _mapping(value, cut)
    return _pandas(value, cut)


# Polars ------------------------------------------------------------------------------------------


def _frame(frame: pl.DataFrame, cut: Cut) -> pl.DataFrame | None:
    known = _known(frame, cut)
    if known is None:
        return _aligned_frame(frame, cut)
    return _replaced(frame, known[0], known[1], cut)


def _replaced(frame: pl.DataFrame, known: Ints, stamps: set[str], cut: Cut) -> pl.DataFrame:
    rng, ahead = cut.rng(), known > cut.until_ns
    keys = [name for name, dtype in frame.schema.items() if dtype == pl.String or dtype == pl.Categorical]
    group = _groups(frame, [key for key in keys if key not in stamps])
    if cut.how == "split":
        return _readjusted(frame, group, ~ahead, rng)
    columns = []
    order = permutation(group, ahead, rng)
    factor = np.exp(rng.uniform(-0.7, 0.7, frame.height))
    for name, dtype in frame.schema.items():
        if name in stamps or name in keys or dtype.is_temporal() or dtype.is_nested():
            continue
        if cut.how == "shuffled" or not dtype.is_float():
            columns.append(frame[name].gather(pl.Series(order, dtype=pl.UInt32)))
            continue
        values = frame[name].to_numpy().astype(np.float64)
        positive = bool(np.nanmin(values, initial=np.inf) > 0)
        drawn = np.where(ahead, values * factor, values) if positive else noise(values, ahead, rng)
        columns.append(pl.Series(name, drawn, dtype=dtype))
    changed = frame.with_columns(columns)
    return changed.filter(pl.Series(_kept(frame, known, stamps, cut))) if cut.how == "removed" else changed


def _kept(frame: pl.DataFrame, known: Ints, stamps: set[str], cut: Cut) -> Mask:
    """Choose what is not removed: the past, and, to keep universe and span, the last row of each group."""
    keys = [name for name, dtype in frame.schema.items() if dtype == pl.String and name not in stamps]
    group = _groups(frame, keys)
    order = np.lexsort((known, group))
    kept = known <= cut.until_ns
    kept[order[np.append(group[order][1:] != group[order][:-1], True)]] = True
    return kept


def _readjusted(frame: pl.DataFrame, group: Ints, past: Mask, rng: np.random.Generator) -> pl.DataFrame:
    raw = next((name for name in frame.columns if name.lower() == "close"), None)
    if raw is None:
        return frame
    close, columns = frame[raw].to_numpy().astype(np.float64), {}
    factor = {int(each): float(rng.choice([0.5, 0.25])) for each in np.unique(group)}
    for name, dtype in frame.schema.items():
        if name == raw or not dtype.is_float():
            continue
        values = frame[name].to_numpy().astype(np.float64).copy()
        for each, by in factor.items():
            mine = group == each
            if is_adjusted(values[mine], close[mine]):
                values[mine & past] *= by
                columns[name] = values
    return frame.with_columns(pl.Series(name, values) for name, values in columns.items())


def _groups(frame: pl.DataFrame, keys: list[str]) -> Ints:
    if not keys:
        return np.zeros(frame.height, np.int64)
    return frame.select(pl.struct(keys).rank("dense").cast(pl.Int64)).to_series().to_numpy()


def _known(frame: pl.DataFrame, cut: Cut) -> tuple[Ints, set[str]] | None:
    """Return from when each row is known, and the columns that are its stamps."""
    stamps = {name: found for name in frame.columns if (found := _dated(frame, name)) is not None}
    if not stamps:
        return None
    arrivals = [name for name in stamps if ARRIVAL.search(name)]
    chosen = arrivals[0] if arrivals else _best(list(stamps))
    column = stamps[chosen]
    return _instants(
        column, cut, priced=not arrivals and any(PRICE.search(name) for name in frame.columns)
    ), set(stamps)


def _best(names: list[str]) -> str:
    return next((name for name in names if TIME.search(name)), names[0])


def _dated(frame: pl.DataFrame, name: str) -> pl.Series | None:
    """Return a column as dates or instants, None where it has none."""
    column = frame[name]
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return column if column.null_count() < len(column) else None
    if (column.dtype == pl.String and TIME.search(name)) or (
        column.dtype == pl.String and ARRIVAL.search(name)
    ):
        for kind in (pl.Date, pl.Datetime("ns")):
            try:
                return column.str.strptime(kind)
            except pl.exceptions.PolarsError:
                continue
    if (
        column.dtype.is_integer()
        and TIME.search(name)
        and len(column)
        and bool((column.abs() > 10**17).all())
    ):
        return column.cast(pl.Datetime("ns"))
    return None


def _instants(column: pl.Series, cut: Cut, *, priced: bool) -> Ints:
    # A row without a stamp was always there.
    if column.dtype == pl.Date:
        days = column.cast(pl.Int64).fill_null(0).to_numpy()
        return cut.closes(days) if priced else days * DAY_NS
    zone = getattr(column.dtype, "time_zone", None)
    stamps = column.cast(pl.Datetime("ns", zone)).cast(pl.Int64).fill_null(0).to_numpy()
    if not (stamps % DAY_NS).any():
        return _instants(pl.Series(stamps // DAY_NS).cast(pl.Int32).cast(pl.Date), cut, priced=priced)
    # Without a zone it may be UTC or the venue's clock; the earlier of the two accuses nobody.
    return stamps if zone is not None else stamps - max(cut.offset(), 0)


def _aligned_frame(frame: pl.DataFrame, cut: Cut) -> pl.DataFrame | None:
    """Alter a frame without stamps that has a row for each instant of the data."""
    instants = cut.instants()
    if frame.height != len(instants):
        return None
    return _replaced(frame, instants, set(), cut)


# Arrays, mappings ---------------------------------------------------------------------------------


def _array(values: npt.NDArray[Any], cut: Cut) -> npt.NDArray[Any] | None:
    instants = cut.instants()
    stamps = _rows_of(len(values), instants, cut)
    if stamps is None:
        return None
    ahead, rng = stamps > cut.until_ns, cut.rng()
    if cut.how == "removed":
        return values[~ahead]
    if cut.how == "split":
        return values
    order = permutation(np.zeros(len(values), np.int64), ahead, rng)
    changed = values[order].copy()
    if cut.how == "garbage" and values.dtype.kind == "f":
        factor = np.exp(rng.uniform(-0.7, 0.7, len(values)))
        by = np.where(ahead, factor, 1.0)
        changed = changed * (by if values.ndim == 1 else by[:, None])
    return changed


def _rows_of(length: int, instants: Ints, cut: Cut) -> Ints | None:
    if length == len(instants):
        return instants
    rows = [feed.frame["ts_event"].to_numpy() for feed in cut.data.feeds if feed.frame.height == length]
    return rows[0] if rows else None


def _moment(key: object) -> int | None:
    """Return the instant that a key of a mapping is: its date's begin, or itself; None if it is none."""
    if isinstance(key, dt.datetime):
        aware = key if key.tzinfo is not None else key.replace(tzinfo=dt.UTC)
        return int(aware.timestamp()) * 10**9
    if isinstance(key, dt.date):
        return (key - dt.date(1970, 1, 1)).days * DAY_NS
    if isinstance(key, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", key):
        return (dt.date.fromisoformat(key) - dt.date(1970, 1, 1)).days * DAY_NS
    return None


def _last_of(key: object) -> object:
    return next((part for part in key if _moment(part) is not None), None) if isinstance(key, tuple) else None


def _mapping(given: Mapping[Any, Any], cut: Cut) -> dict[Any, Any] | None:
    stamps = [_moment(key) if _moment(key) is not None else _moment(_last_of(key)) for key in given]
    if any(stamp is None for stamp in stamps):
        changed = {key: alter_table(value, cut) if is_table(value) else None for key, value in given.items()}
        if all(value is None for value in changed.values()):
            return None
        return {key: given[key] if value is None else value for key, value in changed.items()}
    known = np.array(stamps, np.int64)
    if not (known % DAY_NS).any() and _are_prices(given, cut):
        known = cut.closes(known // DAY_NS)
    ahead, keys = known > cut.until_ns, list(given)
    if cut.how == "removed":
        return {key: given[key] for key, late in zip(keys, ahead, strict=True) if not late}
    if cut.how == "split":
        return dict(given)
    order = permutation(np.zeros(len(keys), np.int64), ahead, cut.rng())
    moved: dict[Any, Any] = {key: given[keys[k]] for key, k in zip(keys, order, strict=True)}
    if cut.how == "garbage":
        for key, late in zip(keys, ahead, strict=True):
            if late and isinstance(moved[key], float):
                moved[key] *= 1.7
    return moved


def _are_prices(given: Mapping[Any, Any], cut: Cut) -> bool:
    """Say whether the values of a mapping are closes of the market data."""
    values = np.array(
        [value for value in list(given.values())[:200] if isinstance(value, int | float)], float
    )
    closes = [feed.frame["close"].to_numpy() for feed in cut.data.feeds if "close" in feed.frame.columns]
    return bool(len(values) and closes and np.isin(values, np.concatenate(closes)).mean() > 0.9)


# pandas -------------------------------------------------------------------------------------------


def _pandas(value: Any, cut: Cut) -> Any:  # noqa: ANN401 - a frame or series of pandas
    pd = sys.modules["pandas"]
    frame = value.to_frame("value") if isinstance(value, pd.Series) else value
    index = _index_stamps(frame.index, pd)
    if index is not None:
        closes = [feed.frame["close"].to_numpy() for feed in cut.data.feeds if "close" in feed.frame.columns]
        known_closes = np.concatenate(closes) if closes else np.empty(0)
        numbers = frame.select_dtypes("number").to_numpy().ravel()[:400]
        priced = any(PRICE.search(str(name)) for name in frame.columns)
        priced = priced or bool(len(numbers) and np.isin(numbers, known_closes).mean() > 0.9)
        known, stamps = _instants(index, cut, priced=priced), set[str]()
    else:
        bare = pl.DataFrame({str(name): _column(frame[name]) for name in frame.columns})
        found = _known(bare, cut)
        if found is None and len(frame) == len(cut.instants()):
            found = cut.instants(), set()
        if found is None:
            return None
        known, stamps = found
    bare = pl.DataFrame({str(name): _column(frame[name]) for name in frame.columns})
    arrived = next(
        (name for name in bare.columns if ARRIVAL.search(name) and _dated(bare, name) is not None), None
    )
    if index is not None and arrived is not None:
        known = _instants(bare[arrived], cut, priced=False)
        stamps = {arrived}
    altered = _replaced(bare, known, stamps, cut)
    rows = np.arange(len(frame))
    if cut.how == "removed":
        rows = np.flatnonzero(_kept(bare, known, stamps, cut))
    changed = frame.iloc[rows].copy()
    for position, name in enumerate(frame.columns):
        if pd.api.types.is_numeric_dtype(frame.dtypes.iloc[position]) and len(altered) == len(changed):
            changed[name] = altered[str(name)].to_numpy()
    return changed["value"].rename(value.name) if isinstance(value, pd.Series) else changed


def _column(series: Any) -> Any:  # noqa: ANN401 - of pandas
    if series.dtype.kind == "M" or series.dtype.kind in "fiub":
        return pl.Series(series.to_numpy())
    return pl.Series([None if each is None else str(each) for each in series.tolist()], dtype=pl.String)


def _index_stamps(index: Any, pd: Any) -> pl.Series | None:  # noqa: ANN401 - of pandas
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    for level in levels:
        if isinstance(level, pd.DatetimeIndex):
            naive = level.tz is None
            stamps = (level if naive else level.tz_convert("UTC").tz_localize(None)).to_numpy()
            series = pl.Series(stamps.astype("datetime64[ns]").astype(np.int64))
            return series.cast(pl.Datetime("ns", None if naive else "UTC"))
        if level.dtype == object and len(level) and isinstance(level[0], dt.date):
            return pl.Series([None if each is None else each for each in level], dtype=pl.Date)
    return None
