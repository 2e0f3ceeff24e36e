"""A whole process of `ml4t run`: `python tests/bench/speed/startup.py TABLE [RUNS]`, `daily` or `minute`.

The bars lie in a file, the strategy in another; tables, manifest and report are written. Prints one JSON
line: best and median of the processes, and what the last one left.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import data
import polars as pl

STRATEGY = '''"""Holds shares while the fast average is above the slow one."""

from ml4t.backtest import Strategy
from ml4t.backtest.indicators import SMA


class Cross(Strategy):
    def __init__(self, count, shares, fast, slow):
        self.averages = {f"A{k:04}": (SMA(fast), SMA(slow)) for k in range(count)}
        self.held = dict.fromkeys(self.averages, False)
        self.shares = shares

    def on_bar(self, event):
        symbol, close = event.asset, event.close
        fast, slow = self.averages[symbol]
        is_up = fast.update(close) > slow.update(close)
        if is_up != self.held[symbol]:
            self.broker.order_target_quantity(symbol, self.shares if is_up else 0)
            self.held[symbol] = is_up
'''

CONFIG = """
[backtest]
name = "crossover"

[broker]
initial_cash = {cash}
fee_model = {{ type = "Fraction", rate = {fee} }}

[[data_feeds]]
name = "bars"
type = "ParquetFeed"
path = "bars.parquet"
calendar = "24/7"
{stamp}

[[strategies]]
name = "cross"
type = "cross.py:Cross"
params = {{ count = {count}, shares = {shares}, fast = {fast}, slow = {slow} }}
"""


def prepare(folder: Path, name: str) -> int:
    """Write configuration, strategy and bars; return the number of bars."""
    frame = data.table(name)
    symbol = pl.format("A{}", pl.col("asset").cast(pl.String).str.zfill(4)).alias("symbol")
    if name == "daily":
        stamp = pl.col("ts").dt.date().alias("session")
        declared, count, cash = 'stamp = "session"', 1, data.CASH
    else:
        stamp = pl.col("ts").dt.replace_time_zone("UTC").alias("timestamp")
        declared, count, cash = 'stamp = "open"\ninterval = "1m"', data.MINUTE_ASSETS, data.MINUTE_CASH
    bars = frame.select(stamp, symbol, "open", "high", "low", "close", "volume")
    bars.write_parquet(folder / "bars.parquet")
    (folder / "cross.py").write_text(STRATEGY, encoding="utf-8")
    averages = {"shares": data.SHARES, "fast": data.FAST, "slow": data.SLOW}
    text = CONFIG.format(cash=cash, fee=data.FEE, stamp=declared, count=count, **averages)
    (folder / "crossover.toml").write_text(text, encoding="utf-8")
    return frame.height


def measure(name: str, runs: int) -> dict[str, Any]:
    """Start so many processes, one after the other."""
    program = Path(sys.executable).with_name("ml4t")
    command = [str(program), "run", "crossover.toml", "--output", "results", "--overwrite"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows = prepare(folder, name)
        # As where it was installed: modules lie compiled, which the first process sees to.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        seconds = []
        for _ in range(runs + 1):
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
            seconds.append(time.perf_counter() - began)
        del seconds[0]
        equity = pl.read_parquet(folder / "results" / "portfolio_history.parquet")["equity"][-1]
        fills = pl.read_parquet(folder / "results" / "fills.parquet").height
    return {
        "best_s": round(min(seconds), 4),
        "median_s": round(statistics.median(seconds), 4),
        "rows": rows,
        "fills": fills,
        "final_equity": round(equity, 2),
    }


def main() -> None:
    """Measure one."""
    name = sys.argv[1] if len(sys.argv) > 1 else "daily"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    print(json.dumps({"workload": f"ml4t run, {name}", **measure(name, runs)}), flush=True)


if __name__ == "__main__":
    main()
