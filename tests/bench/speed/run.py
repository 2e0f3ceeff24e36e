"""All workloads on ml4t and on the peers that are installed: `nox -s bench`, or this file as a program.

Every cell is a process of its own, one after the other; what was computed stands beside the time, of a peer
beside what we computed. Ratios are of a time to that of our first line: of the run alone, and of the whole
call. Then come memory and floors. With `--keep` all lines go to `tests/bench/history`, one file a run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from typing import Any

import cells
import data
import memory

sys.path.append(str(cells.HERE.parent))

import floors

HISTORY = cells.ROOT / "tests" / "bench" / "history"
# Of each workload: our front ends, the peers, and what it is.
WORKLOADS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "W1": (
        ("table", "kernel", "python"),
        ("limit", "raptorbt", "vectorbt", "backtesting"),
        "crossover of 1 asset, 15 years of days",
    ),
    "W2": (
        ("table", "kernel", "python"),
        ("limit", "vectorbt"),
        "rebalance to the best 100 of 1,000 assets, 10 years of days",
    ),
    "W3": (
        ("table", "kernel", "arrays", "python"),
        ("limit", "raptorbt", "vectorbt"),
        "crossover of 7 assets, 10 years of minutes",
    ),
    "W4": (
        ("table", "kernel", "python"),
        ("limit", "raptorbt", "hftbacktest"),
        "20 M prints, a trade at every 10,000th; in Python 2 M",
    ),
    "W4noop": (("kernel", "python"), (), "20 M prints seen and nothing done; in Python 2 M"),
    "W5": (
        ("table",),
        ("limit", "raptorbt", "vectorbt"),
        "1,000 pairs of a stop and a target, 10,000 bars; raptorbt on all processors",
    ),
    "W5single": (
        ("table",),
        ("limit", "raptorbt", "vectorbt"),
        "entries with a stop and a target, 10,000 bars",
    ),
    "W6": (("table", "kernel", "python"), ("limit", "vectorbt"), "rebalance to the best 50 of 500 assets"),
    "W7": (("python",), ("limit", "upstream"), "100 assets x 10,000 bars, an order at every bar"),
    "W8atr10k": (("over",), ("limit", "talib", "raptorbt"), "average true range of 14 over 10,000 bars"),
    "W8rsi10k": (("over",), ("limit", "talib", "raptorbt"), "relative strength of 14 over 10,000 bars"),
    "W8atr": (("over",), ("limit", "talib", "raptorbt"), "average true range of 14 over 1,000,000 bars"),
    "W8rsi": (("over",), ("limit", "talib", "raptorbt"), "relative strength of 14 over 1,000,000 bars"),
}


def told(row: dict[str, Any], first: dict[str, Any]) -> str:
    """Return a row as text; beside what a peer computed stands what our first line did."""
    is_peer = not row["front"].startswith("ml4t ")
    text = f"  {row['front']:<14}{row['run_s']:>12.6f} s"
    text += f"{row['whole_s']:>11.5f} s whole" if "whole_s" in row else " " * 19
    if row is first or not first:
        text += " " * 48
    elif row.get("rows", first.get("rows")) != first.get("rows") and not is_peer:
        # Ticks in Python are fewer: what counts is the time of one.
        text += f"{row['rate'] / 1e6:>10.2f} M rows a second".ljust(48)
    else:
        ratio = f"{row['run_s'] / first['run_s']:>10.3f} x our {first['run_s']:.6f} s"
        whole = f", {row['run_s'] / first['whole_s']:.3f} x whole" if is_peer and "whole_s" in first else ""
        text += (ratio + whole).ljust(48)
    counted = "answers" if "answers" in row else "trades" if row["workload"] == "W5" else "fills"
    text += f"{row[counted]:>10,} {counted}"
    text += f" (ours {first[counted]:,})" if is_peer and counted in first else ""
    if "final_equity" in row:
        text += f"{row['final_equity']:>18,.2f}"
        text += f" (ours {first['final_equity']:,.2f})" if is_peer and "final_equity" in first else ""
    if "apart" in row:
        text += f"   apart from the textbook {row['apart_at_start']:.1e}, after 1,000 bars {row['apart']:.1e}"
    return text + (f"   {row['peak_mb']} MB" if "peak_mb" in row else "")


def measure(workload: str) -> list[dict[str, Any]]:
    """Run a workload everywhere, and print it."""
    ours, peers, title = WORKLOADS[workload]
    print(f"\n{workload}: {title}", flush=True)
    rows: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    for front in (*ours, *peers):
        row = cells.ours(workload, front) if front in ours else cells.theirs(front, workload)
        if "failed" in row:
            print(f"  {row['front']:<14} failed: {row['failed']}", flush=True)
        else:
            first = row if not first and front in ours else first
            print(told(row, first), flush=True)
        rows.append(row)
    return rows


PARTS = {"memory": memory.measure, "floors": floors.measure}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join([*WORKLOADS, *PARTS]))
    parser.add_argument("--keep", action="store_true", help="write the lines down under tests/bench/history")
    options = parser.parse_args()
    wanted = options.workloads or [*WORKLOADS, *PARTS]
    if unknown := [name for name in wanted if name not in WORKLOADS and name not in PARTS]:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join([*WORKLOADS, *PARTS])}")
    for name in data.TABLES:
        data.path(name)
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    machine = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "rustc": rustc.stdout.strip(),
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    rows = [row for name in wanted for row in (PARTS[name]() if name in PARTS else measure(name))]
    if options.keep:
        HISTORY.mkdir(exist_ok=True)
        described = ["git", "describe", "--always", "--dirty"]
        commit = subprocess.run(described, cwd=cells.ROOT, capture_output=True, text=True, check=False)
        today, name = dt.datetime.now(dt.UTC).date().isoformat(), commit.stdout.strip()
        record = {"date": today, "commit": name, **machine, "rows": rows}
        text = json.dumps(record, indent=1) + "\n"
        (HISTORY / f"{today}-{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
