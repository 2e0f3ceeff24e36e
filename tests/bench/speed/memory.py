"""Memory of the workloads: `nox -s bench`, or `python tests/bench/speed/memory.py`.

Every figure is of a process of its own, as the system reports it. With the name of a case the program is that
process.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cells
import data
import numpy as np

MB = 2.0**20
# The allocator inside polars keeps what it has freed, unless it is told so.
GIVES_BACK = {"_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0"}
POSITIONS, DAYS = 1_000, 252
RUNS, COUNTED = 100, 60


def resident() -> float:
    """Return the memory that this process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def held(count: int) -> dict[str, Any]:
    """Buy one of so many assets, hold it over a year of days, and look at the last of them."""
    import ours

    from ml4t.backtest import Strategy

    found: dict[str, Any] = {}

    class Holds(Strategy):
        """Buys and waits."""

        def on_start(self) -> None:
            """Count."""
            self.bars = 0

        def on_data(self, timestamp: Any, market: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            """Buy at the first, look at the last."""
            self.bars += 1
            if self.bars == 1:
                for symbol in market.symbols[:count]:
                    broker.submit_order(symbol, 1)
            if self.bars == DAYS:
                gc.collect()
                found.update(open=len(broker.positions), resident_mb=round(resident(), 2))

    feed = ours.daily_feed(data.table("panel", data.PANEL_ASSETS * DAYS))
    results = ours.engine(feed, Holds, data.PANEL_CASH).run()
    equity = round(results.portfolio_history["equity"][-1], 2)
    return found | {"fills": results.fills.height, "final_equity": equity}


def slope() -> dict[str, Any]:
    """Run many times in one process, each on an engine of its own, and fit a line over the last of them."""
    import ours

    seen = []
    for _ in range(RUNS):
        results = ours.WORKLOADS["W1"]["python"]().run()
        gc.collect()
        seen.append(resident())
    late = np.array(seen[-COUNTED:])
    steepness = float(np.polynomial.polynomial.polyfit(np.arange(COUNTED), late, 1)[1])
    return {
        "mb_a_run": round(steepness, 4),
        "first_mb": round(seen[0]),
        "last_mb": round(seen[-1]),
        "fills": results.fills.height,
        "final_equity": round(results.portfolio_history["equity"][-1], 2),
    }


def plain_pandas() -> dict[str, Any]:
    """Run the rebalance of 500 assets on frames of pandas, day by day."""
    import pandas as pd

    frame = pd.read_parquet(data.path("half"))
    frame["symbol"] = "A" + frame.pop("asset").astype(str).str.zfill(4)
    opens, close, signal = (
        frame.pivot(index="ts", columns="symbol", values=name) for name in ("open", "close", "signal")
    )
    target = now = pd.Series(0.0, index=close.columns)
    cash = equity = float(data.PANEL_CASH)
    orders = []
    for day in close.index:
        change = target - now
        change = change[change != 0.0]
        paid = change * opens.loc[day, change.index]
        cash -= float(paid.sum() + paid.abs().sum() * data.FEE)
        orders.append(pd.DataFrame({"ts": day, "quantity": change, "paid": paid}))
        now, prices = target, close.loc[day]
        equity = cash + float((now * prices).sum())
        is_best = signal.loc[day] >= signal.loc[day].nlargest(50).iloc[-1]
        target = np.floor(equity * 0.99 / 50 / prices).where(is_best, 0.0)
    return {"fills": len(pd.concat(orders)), "final_equity": round(equity, 2)}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "positions": lambda: held(POSITIONS),
    "no-positions": lambda: held(0),
    "slope": slope,
    "pandas": plain_pandas,
}


def told(row: dict[str, Any], figure: float, aim: float | None, unit: str = "MB") -> dict[str, Any]:
    """Print a figure, and return it as a row."""
    verdict = "" if aim is None else f"   aim {aim:g} {unit}, {'met' if figure <= aim else 'not met'}"
    print(
        f"  {row['front']:<52}{figure:>10,.4g} {unit}{verdict}"
        f"   {row['fills']:,} fills   {row['final_equity']:,.2f}",
        flush=True,
    )
    return row | {"workload": "memory", "figure": figure, "unit": unit, "aim": aim}


def measure() -> list[dict[str, Any]]:
    """Measure everything, and print it."""
    print("\nmemory: peak and held", flush=True)
    rows = []
    for front, aim in (("table", 300.0), ("kernel", None), ("python", 350.0)):
        for environment, note in (({}, ""), (GIVES_BACK, ", freed at once")):
            row = cells.ours("W6", front, "1", **environment)
            if "failed" in row:
                print(f"  W6 {front} failed: {row['failed']}")
                continue
            row["front"] = f"500 assets, 10 years of days, {front}, peak{note}"
            rows.append(told(row, row["peak_mb"], aim))
    found = {case: cells.program("memory.py", case) for case in CASES}
    for case in [case for case in found if "failed" in found[case]]:
        print(f"  {case} failed: {found.pop(case)['failed']}")
    if "pandas" in found:
        row = found["pandas"] | {"front": "the same on frames of pandas, peak"}
        rows.append(told(row, row["peak_mb"], None))
    if {"positions", "no-positions"} <= found.keys():
        row = found["positions"] | {"front": f"{POSITIONS:,} open positions, above a run with none"}
        rows.append(told(row, round(row["resident_mb"] - found["no-positions"]["resident_mb"], 2), 50.0))
    if "slope" in found:
        row = found["slope"] | {"front": f"growth over the last {COUNTED} of {RUNS} runs in one process"}
        # Below a hundredth a run is what an allocator does.
        rows.append(told(row, row["mb_a_run"], 0.01, "MB a run"))
    return rows


def main() -> None:
    """Measure, or be one case."""
    if len(sys.argv) == 1:
        for name in data.TABLES:
            data.path(name)
        measure()
        return
    found = CASES[sys.argv[1]]()
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(found | {"peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()
