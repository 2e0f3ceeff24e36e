"""All workloads on ml4t and on the peers that are installed: `nox -s bench`, or this file as a program.

Every cell is a process of its own, one after the other; what was computed stands beside the time. The ratio
is of a time to that of our first line. With `--keep` the lines go to `tests/bench/history`, one file a run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import data

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PEERS = Path(os.environ.get("ML4T_PEERS", ROOT / ".cache" / "peers"))
HISTORY = ROOT / "tests" / "bench" / "history"
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
        ("table", "kernel", "python"),
        ("limit", "raptorbt", "vectorbt"),
        "crossover of 7 assets, 10 years of minutes",
    ),
    "W4": (
        ("table", "kernel", "python"),
        ("raptorbt", "hftbacktest"),
        "20 M prints, a trade at every 10,000th; in Python 2 M",
    ),
    "W4noop": (("kernel", "python"), (), "20 M prints seen and nothing done; in Python 2 M"),
    "W5single": (("table",), ("vectorbt",), "entries with a stop and a target, 10,000 bars"),
    "W6": (("table", "kernel", "python"), ("limit", "vectorbt"), "rebalance to the best 50 of 500 assets"),
    "W7": (("python",), ("upstream",), "100 assets x 10,000 bars, an order at every bar"),
}
# Which environment a peer lives in, where it is not named as the peer.
ENVIRONMENTS = {"limit": "base", "upstream": "ml4t"}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer."""
    return PEERS / ENVIRONMENTS.get(peer, peer) / "bin" / "python"


def line(command: list[str]) -> dict[str, Any]:
    """Run one cell."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    if done.returncode != 0:
        return {"failed": done.stderr.strip().splitlines()[-1:] or ["no text"]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(workload: str) -> list[dict[str, Any]]:
    """Run a workload everywhere, and print it."""
    ours, peers, title = WORKLOADS[workload]
    print(f"\n{workload}: {title}", flush=True)
    rows = [line([sys.executable, "ours.py", workload, front]) | {"front": f"ml4t {front}"} for front in ours]
    for peer in peers:
        if python_of(peer).exists():
            rows.append(line([str(python_of(peer)), "peers.py", peer, workload]) | {"front": peer})
        else:
            print(f"  {peer}: not installed (nox -s peers)")
    # Ticks in Python are fewer: what counts is the time of one.
    native = next((row for row in rows if "run_s" in row), {})
    for row in rows:
        row["workload"] = workload
        if "run_s" not in row:
            print(f"  {row['front']:<14} failed: {row['failed'][0]}")
            continue
        seconds, fills, equity = row["run_s"], row["fills"], row["final_equity"]
        ratio = seconds / native["run_s"]
        note = "" if row is native else f"{ratio:9.2f} x the first"
        if row.get("rows", native.get("rows")) != native.get("rows"):
            note = f"{row['rate'] / 1e6:9.2f} M rows a second"
        memory = f"{row['peak_mb']:>6} MB" if "peak_mb" in row else " " * 9
        print(
            f"  {row['front']:<14}{seconds:>12.5f} s {fills:>9,} fills {equity:>18,.2f}{memory}{note}",
            flush=True,
        )
    return rows


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join(WORKLOADS))
    parser.add_argument("--keep", action="store_true", help="write the lines down under tests/bench/history")
    options = parser.parse_args()
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
    rows = [row for workload in options.workloads or WORKLOADS for row in measure(workload)]
    if options.keep:
        HISTORY.mkdir(exist_ok=True)
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()
        today = dt.datetime.now(dt.UTC).date().isoformat()
        record = {"date": today, "commit": commit, **machine, "rows": rows}
        text = json.dumps(record, indent=1) + "\n"
        (HISTORY / f"{today}-{commit}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
