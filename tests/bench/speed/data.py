"""Data of the workloads: made once, from fixed seeds, in `.cache/bench` (or `ML4T_BENCH_DATA`).

Every peer reads the same files. Prices are rounded to cents; bars of a panel are sorted by time, then asset.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

FOLDER = Path(os.environ.get("ML4T_BENCH_DATA", Path(__file__).resolve().parents[3] / ".cache" / "bench"))

FEE = 0.001
SHARES = 100
CASH = 1_000_000
FAST, SLOW = 50, 200
DAILY_BARS = 3_780
PANEL_DAYS, PANEL_ASSETS, TOP = 2_520, 1_000, 100
PANEL_CASH = 10_000_000
MINUTE_BARS, MINUTE_ASSETS = 982_800, 7
MINUTE_CASH = 10_000_000
TICKS, EVERY = 20_000_000, 10_000
GRID_BARS = 10_000
WIDE_ASSETS, WIDE_BARS = 100, 10_000
SERIES, PERIOD = 1_000_000, 14

Floats = np.ndarray[Any, np.dtype[Any]]


def business_days(start: str, count: int) -> Floats:
    """Return that many business days."""
    return np.busday_offset(start, np.arange(count), roll="forward").astype("datetime64[ns]")


def minutes(start: str, count: int) -> Floats:
    """Return 390 minutes a business day from 14:30 UTC."""
    days = business_days(start, count // 390 + 1)
    of_day = (np.arange(390) + 14 * 60 + 30).astype("timedelta64[m]").astype("timedelta64[ns]")
    return (days[:, None] + of_day[None, :]).reshape(-1)[:count]


def walk(seed: Any, bars: int, assets: int, sigma: float, drift: float = 0.0) -> dict[str, Floats]:  # noqa: ANN401
    """Return bars of geometric random walks."""
    returns = seed.standard_normal((bars, assets)) * sigma + drift
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    before = np.vstack([np.full((1, assets), 100.0), close[:-1]])
    opens = before * np.exp(seed.standard_normal((bars, assets)) * sigma * 0.2)
    high = np.maximum(opens, close) * np.exp(np.abs(seed.standard_normal((bars, assets))) * sigma * 0.3)
    low = np.minimum(opens, close) * np.exp(-np.abs(seed.standard_normal((bars, assets))) * sigma * 0.3)
    made = {"open": opens, "high": high, "low": low, "close": close}
    made = {name: np.maximum(np.round(values, 2), 0.05) for name, values in made.items()}
    made["high"] = np.maximum.reduce(list(made.values()))
    made["low"] = np.minimum.reduce([made["open"], made["low"], made["close"]])
    made["volume"] = seed.integers(1_000_000, 5_000_000, (bars, assets)).astype("float64")
    return made


def long(stamps: Floats, panel: dict[str, Floats]) -> dict[str, Floats]:
    """Return a panel as one row for each bar of each asset."""
    bars, assets = panel["open"].shape
    columns = {name: values.reshape(-1) for name, values in panel.items()}
    asset = np.tile(np.arange(assets, dtype=np.int32), bars)
    return {"ts": np.repeat(stamps, assets), "asset": asset, **columns}


def daily() -> dict[str, Floats]:
    """Fifteen years of one asset."""
    bars = walk(np.random.default_rng(1), DAILY_BARS, 1, 0.011, 0.0003)
    return long(business_days("2010-01-04", DAILY_BARS), bars)


def panel() -> dict[str, Floats]:
    """Ten years of a thousand assets with a signal of slow decay."""
    seed = np.random.default_rng(2)
    bars = walk(seed, PANEL_DAYS, PANEL_ASSETS, 0.015, 0.0002)
    signal = np.empty((PANEL_DAYS, PANEL_ASSETS))
    signal[0] = seed.standard_normal(PANEL_ASSETS)
    noise = seed.standard_normal((PANEL_DAYS, PANEL_ASSETS))
    for day in range(1, PANEL_DAYS):
        signal[day] = 0.98 * signal[day - 1] + np.sqrt(1 - 0.98**2) * noise[day]
    return long(business_days("2012-01-02", PANEL_DAYS), bars | {"signal": signal})


def half() -> dict[str, Floats]:
    """Ten years of the first half of those assets."""
    made = panel()
    is_kept = made["asset"] < PANEL_ASSETS // 2
    return {name: values[is_kept] for name, values in made.items()}


def minute() -> dict[str, Floats]:
    """Ten years of minutes of seven assets."""
    bars = walk(np.random.default_rng(3), MINUTE_BARS, MINUTE_ASSETS, 0.0005)
    return long(minutes("2012-01-02", MINUTE_BARS), bars)


def ticks() -> dict[str, Floats]:
    """Twenty million prints."""
    seed = np.random.default_rng(4)
    step = seed.integers(-1, 2, TICKS, dtype=np.int64)
    price = (1_000_000 + np.cumsum(step)) / 100.0
    stamps = np.int64(1_672_617_600_000_000_000) + np.cumsum(seed.integers(1_000, 2_000_000, TICKS))
    size = seed.integers(1, 100, TICKS).astype("float64")
    side = seed.integers(0, 2, TICKS, dtype=np.int8)
    return {"ts": stamps.astype("datetime64[ns]"), "price": price, "size": size, "side": side}


def grid_bars() -> dict[str, Floats]:
    """Ten thousand bars with entries and exits of a crossover."""
    bars = walk(np.random.default_rng(5), GRID_BARS, 1, 0.01)
    close = bars["close"][:, 0]
    sums = np.cumsum(np.r_[0.0, close])

    def average(n: int) -> Floats:
        return np.r_[np.full(n - 1, np.nan), (sums[n:] - sums[:-n]) / n]

    fast, slow = average(10), average(30)
    with np.errstate(invalid="ignore"):
        is_up = (fast > slow) & ~np.isnan(slow)
    was_up = np.r_[False, is_up[:-1]]
    made = long(minutes("2012-01-02", GRID_BARS), bars)
    return made | {"entry": is_up & ~was_up, "exit": ~is_up & was_up}


def wide() -> dict[str, Floats]:
    """Ten thousand bars of a hundred assets."""
    bars = walk(np.random.default_rng(7), WIDE_BARS, WIDE_ASSETS, 0.001)
    return long(minutes("2012-01-02", WIDE_BARS), bars)


def pairs() -> dict[str, Floats]:
    """A thousand pairs of a stop and a target, as fractions of the price of the entry."""
    stops, targets = np.linspace(0.005, 0.10, 40), np.linspace(0.01, 0.20, 25)
    stop, target = np.meshgrid(np.round(stops, 9), np.round(targets, 9), indexing="ij")
    return {"stop": stop.reshape(-1), "target": target.reshape(-1)}


def smoothed(values: Floats) -> Floats:
    """Return Wilder's average as the textbook has it: a mean, then a part of the old and the new."""
    found = np.full(len(values), np.nan)
    average = float(values[:PERIOD].mean())
    found[PERIOD - 1] = average
    for k, value in enumerate(values[PERIOD:].tolist(), PERIOD):
        average = (average * (PERIOD - 1) + value) / PERIOD
        found[k] = average
    return found


def series() -> dict[str, Floats]:
    """A million bars of one asset with average true range and relative strength, worked out plainly."""
    bars = walk(np.random.default_rng(8), SERIES, 1, 0.0005)
    high, low, close = (bars[name][:, 0] for name in ("high", "low", "close"))
    before = np.r_[close[0], close[:-1]]
    gaps = np.maximum(np.abs(high - before), np.abs(low - before))
    gaps[0] = 0.0
    change = np.diff(close)
    gain, loss = smoothed(np.maximum(change, 0.0)), smoothed(np.maximum(-change, 0.0))
    strength = np.r_[np.nan, 100.0 * gain / (gain + loss)]
    ranges = smoothed(np.maximum(high - low, gaps))
    return {"high": high, "low": low, "close": close, "atr": ranges, "rsi": strength}


TABLES = {each.__name__: each for each in (daily, panel, half, minute, ticks, grid_bars, wide, pairs, series)}


def path(name: str) -> Path:
    """Return the file of a table, made when it is not there yet."""
    file = FOLDER / f"{name}.parquet"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        pl.DataFrame(TABLES[name]()).write_parquet(part, row_group_size=500_000)
        part.rename(file)
    return file


def table(name: str, rows: int | None = None) -> pl.DataFrame:
    """Return a table, or its first rows."""
    return pl.read_parquet(path(name), n_rows=rows)
