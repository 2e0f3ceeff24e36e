"""First figures of the engine: `nox -s bench`, or `python tests/bench/first_figures.py`.

Every line is measured in a process of its own, shows what was computed beside the time (rows, fills, final
equity), and is the median of several runs. There are no targets here and nothing fails.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    Engine,
    Event,
    MarketEvent,
    PITData,
    Strategy,
    Timestamp,
)
from ml4t.backtest.indicators import SMA

SEED = 20130301
MINUTE = 60_000_000_000


class Nothing(Strategy):
    """Overrides no callback: the loop alone."""


class EmptyEvent(Strategy):
    """An empty typed callback."""

    def on_event(self, event: Event) -> None:
        """Do nothing."""


class EmptyData(Strategy):
    """An empty callback a instant."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        """Do nothing."""


class ReadThree(Strategy):
    """Reads three closes a instant."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        """Read."""
        self.seen = data["S000"]["close"] + data["S001"]["close"] + data["S002"]["close"]


class Crossover(Strategy):
    """Holds 100 shares while the 50-day average is above the 200-day one."""

    def on_start(self) -> None:
        """Set up the averages."""
        self.fast, self.slow = SMA(50), SMA(200)
        self.holds = False

    def on_bar(self, event: MarketEvent) -> None:
        """Update and trade."""
        close = event.close
        rising = self.fast.update(close) > self.slow.update(close)
        if rising != self.holds:
            self.broker.order_target_quantity("S000", 100 if rising else 0)
            self.holds = rising


def walk(rows: int, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.round(100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.001, rows))), 2)


def ticks(rows: int) -> DataFeed:
    generator = np.random.default_rng(SEED)
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(
                np.arange(rows, dtype=np.int64) * 1_000_000 + 1_600_000_000_000_000_000
            ).cast(pl.Datetime("ns", "UTC")),
            "symbol": pl.repeat("S000", rows, eager=True),
            "price": walk(rows, generator),
            "size": np.ones(rows),
        }
    )
    return DataFeed(frame, kind="trade", stamp="event", calendar="24/7")


def bars(instruments: int, rows: int) -> DataFeed:
    generator = np.random.default_rng(SEED)
    close = np.stack([walk(rows, generator) for _ in range(instruments)], axis=1).reshape(-1)
    stamps = np.repeat(
        np.arange(1, rows + 1, dtype=np.int64) * MINUTE + 1_600_000_000_000_000_000, instruments
    )
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(stamps).cast(pl.Datetime("ns", "UTC")),
            "symbol": [f"S{k:03}" for k in range(instruments)] * rows,
            "open": close,
            "high": close + 0.01,
            "low": close - 0.01,
            "close": close,
            "volume": np.full(len(close), 1e6),
        }
    )
    return DataFeed(frame, stamp="close", interval="1m", calendar="24/7")


def sessions(instruments: int, years: int) -> DataFeed:
    import datetime as dt

    from ml4t.backtest.calendars import session_table

    end = dt.date(2020, 12, 31)
    start = end.replace(year=end.year - years) + dt.timedelta(days=1)
    labels = session_table("XNYS", start, end).frame["label"]
    labels = labels.filter((labels >= start) & (labels <= end))
    generator = np.random.default_rng(SEED)
    close = np.stack([walk(len(labels), generator) for _ in range(instruments)], axis=1).reshape(-1)
    frame = pl.DataFrame(
        {
            "session": labels.to_numpy().repeat(instruments),
            "symbol": [f"S{k:03}" for k in range(instruments)] * len(labels),
            "open": close,
            "high": close + 0.01,
            "low": close - 0.01,
            "close": close,
            "volume": np.full(len(close), 1e6),
        }
    )
    return DataFeed(frame, stamp="session")


def timed(make: Callable[[], DataFeed], strategy: type[Strategy], *, repeat: int = 5) -> dict[str, Any]:
    engine = Engine(make(), strategy)
    rows = sum(feed.frame.height for feed in engine.data.feeds)
    runs = []
    for _ in range(repeat):
        results = engine.run()
        runs.append(results.run_info["durations_s"]["run"])
    seconds = statistics.median(runs)
    return {
        "rows": rows,
        "run_s": round(seconds, 6),
        "rows_per_s": round(rows / seconds),
        "fills": results.fills.height,
        "final_equity": results.portfolio_history["equity"][-1] if results.portfolio_history.height else None,
    }


def whole(make: Callable[[], DataFeed], strategy: type[Strategy]) -> dict[str, Any]:
    began = time.perf_counter()
    results = Engine(make(), strategy).run()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "with_loading_s": round(seconds, 4),
        "peak_rss_mb": round(peak),
        "rows": results.run_info["counts"]["rows"],
    }


def beside_the_reference() -> dict[str, Any]:
    """One workload on both engines: the tables must be equal, the ratio is of the time of the loop."""
    found: dict[str, Any] = {}
    seconds, tables = {}, {}
    for engine in ("rust", "reference"):
        runs = []
        for _ in range(3):
            results = Engine(sessions(3, 10), Crossover, config={"backtest": {"engine": engine}}).run()
            runs.append(results.run_info["durations_s"]["run"])
        seconds[engine], tables[engine] = statistics.median(runs), results
        found |= {f"{engine}_s": round(seconds[engine], 5)}
    for name in ("fills", "ledger", "orders", "portfolio_history"):
        assert tables["rust"].table(name).equals(tables["reference"].table(name)), name
    return found | {
        "ratio": round(seconds["reference"] / seconds["rust"]),
        "fills": tables["rust"].fills.height,
        "final_equity": tables["rust"].portfolio_history["equity"][-1],
    }


CASES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "ticks-alone": (
        "20 M trade ticks, no callback",
        lambda: timed(lambda: ticks(20_000_000), Nothing, repeat=3),
    ),
    "ticks-on_event": (
        "2 M trade ticks, empty on_event",
        lambda: timed(lambda: ticks(2_000_000), EmptyEvent, repeat=3),
    ),
    "bars-alone-500": (
        "500 x 5,000 minute bars, no callback",
        lambda: timed(lambda: bars(500, 5_000), Nothing),
    ),
    "bars-on_data-1": (
        "1 x 500,000 minute bars, empty on_data",
        lambda: timed(lambda: bars(1, 500_000), EmptyData),
    ),
    "bars-on_data-500": (
        "500 x 5,000 minute bars, empty on_data",
        lambda: timed(lambda: bars(500, 5_000), EmptyData),
    ),
    "bars-read-3": (
        "500 x 5,000 minute bars, on_data reads 3 closes",
        lambda: timed(lambda: bars(500, 5_000), ReadThree),
    ),
    "daily-crossover": (
        "1 x 15 years daily, 50/200 crossover",
        lambda: timed(lambda: sessions(1, 15), Crossover),
    ),
    "reference": (
        "3 x 10 years daily, 50/200 crossover of the first, on both engines",
        beside_the_reference,
    ),
    "daily-500": (
        "500 x 10 years daily, peak memory of the process",
        lambda: whole(lambda: sessions(500, 10), EmptyData),
    ),
}


def main() -> None:
    """Run every case in a process of its own, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", choices=sorted(CASES))
    wanted = parser.parse_args().case
    if wanted is not None:
        print(json.dumps(CASES[wanted][1]()))
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, seed {SEED}")
    for case, (title, _) in CASES.items():
        done = subprocess.run([sys.executable, __file__, case], capture_output=True, text=True, check=True)
        print(f"{title}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
