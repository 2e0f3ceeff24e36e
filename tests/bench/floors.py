"""What was asked of the engine, line by line: `nox -s bench`, or `python tests/bench/floors.py`.

A line has what it asks, our figure, the floor, and whether it is met; behind it stands what was computed, and
for a comparison what the other computed. Sizes that would take minutes or more memory than a machine has are
smaller, and say "scaled". Names of groups (the functions in `FLOORS`) measure those alone; with `--case`
the program is the process that measures one figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "speed"))

import cells
import data

Row = dict[str, Any]
Lines = Iterator["Line"]
LATENCY_TICKS = 100_000


class FailedError(Exception):
    """A process that measures did not end well."""


@attrs.frozen(kw_only=True)
class Line:
    """One floor: what is asked, what is there."""

    name: str
    figure: float
    unit: str
    most: float | None = None
    least: float | None = None
    ours: Row = attrs.Factory(dict)
    other: Row = attrs.Factory(dict)
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the figure reaches the floor; None where none is asked."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.figure <= self.most) and (
            self.least is None or self.figure >= self.least
        )

    def print(self) -> None:
        """Print it."""
        floor = "no floor" if self.least is None else f"at least {self.least:.3g}"
        floor = floor if self.most is None else f"at most {self.most:g}"
        verdict = {None: "", True: "met", False: "NOT met"}[self.is_met]
        told = [computed(row) for row in (self.ours, self.other) if row]
        text = f"  {self.name:<62}{self.figure:>12,.4g} {self.unit:<13}{floor:<16}{verdict:<8}"
        print(" | ".join([text.rstrip(), *told, *([self.note] if self.note else [])]), flush=True)

    def row(self) -> Row:
        """Return it for the record."""
        return {"workload": "floors", **attrs.asdict(self), "met": self.is_met}


def computed(row: Row) -> str:
    """Return who computed what in which time."""
    said = [str(row.get("front", "ml4t"))]
    said += [f"{row['run_s']:.5g} s"] if "run_s" in row else []
    said += [f"{row[name]:,} {name}" for name in ("fills", "trades") if name in row][:1]
    said += [f"{row['final_equity']:,.2f}"] if "final_equity" in row else []
    said += [f"apart {row['apart']:.1e}"] if "apart" in row else []
    return " ".join(said)


def known(row: Row) -> Row:
    """Return a row that was measured."""
    if "failed" in row:
        msg = f"{row.get('front', '')}: {row['failed']}"
        raise FailedError(msg)
    return row


def ours(workload: str, front: str, *more: str, engine: str = "rust") -> Row:
    """Run a workload on ml4t."""
    row = known(cells.ours(workload, front, *more, engine=engine))
    return row if engine == "rust" else row | {"front": f"{engine} engine"}


def theirs(peer: str, workload: str) -> Row:
    """Run a workload on a peer."""
    return known(cells.theirs(peer, workload))


def program(file: str, *more: str) -> Row:
    """Run another program."""
    return known(cells.program(file, *more))


# -- what is measured here -----------------------------------------------------------------------------------


def case_latency() -> Row:
    """Send an order at every tick, and note when each was handed on."""
    import ours as workloads

    from ml4t.backtest import Strategy

    stamps = np.zeros(LATENCY_TICKS, dtype=np.int64)

    class Sends(Strategy):
        """Buys and sells one in turn."""

        def on_start(self) -> None:
            """Count."""
            self.seen = 0

        def on_trade(self, event: Any) -> None:  # noqa: ANN401
            """Send, and note when."""
            self.broker.submit_order(event.asset, -1 if self.seen % 2 else 1)
            stamps[self.seen] = time.perf_counter_ns()
            self.seen += 1

    results = workloads.engine(workloads.ticks(LATENCY_TICKS), Sends, 100.0 * data.CASH).run()
    spans = np.diff(stamps) / 1_000.0
    found = {f"p{name}_us": float(np.percentile(spans, name)) for name in (50, 99, 99.9)}
    equity = results.portfolio_history["equity"][-1]
    return found | {"fills": results.fills.height, "final_equity": round(equity, 2)}


def case_calls() -> Row:
    """Call a compiled function that takes and gives a number."""
    from ml4t.backtest.indicators import SMA

    calls = 1_000_000
    update = SMA(20).update
    seconds = min(timeit.repeat(lambda: None, number=calls, repeat=5))
    taken = min(timeit.repeat("update(1.0)", globals={"update": update}, number=calls, repeat=5))
    return {"call_ns": taken / calls * 1e9, "python_call_ns": seconds / calls * 1e9}


def case_matching() -> Row:
    """Match a thousand working orders at every bar."""
    import order_cost

    bars, live = 20_000, 1_000
    feed, few = order_cost.market(bars), order_cost.market(3)
    base, _ = order_cost.seconds(few, "A", live, 0, 3)
    taken, left = order_cost.seconds(feed, "A", live, 0, 3)
    idle, _ = order_cost.seconds(feed, "A", 0, 0, 3)
    return {"order_ns": (taken - base - idle) / (bars * live) * 1e9, "fills": 0, "open_orders": left}


def case_daily() -> Row:
    """Run fifteen years of days from the file to the results, again and again in one process."""
    import ours as workloads

    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        results = workloads.WORKLOADS["W1"]["table"]().run()
        seconds.append(time.perf_counter() - began)
    equity = results.portfolio_history["equity"][-1]
    return {
        "run_s": float(np.median(seconds[1:])),
        "first_s": seconds[0],
        "fills": results.fills.height,
        "final_equity": round(equity, 2),
    }


def case_names() -> Row:
    """Compare the public names with those of ml4t-backtest 0.1."""
    import ml4t.backtest as here

    code = (
        "import json, ml4t.backtest as m; b = m.Broker; "
        "print(json.dumps({'names': list(m.__all__), 'broker': [n for n in dir(b) if n[0] != '_']}))"
    )
    command = [str(cells.python_of("upstream")), "-E", "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = json.loads(answer.strip().splitlines()[-1])
    missing = [name for name in theirs["names"] if not hasattr(here, name)]
    missing_of_broker = [name for name in theirs["broker"] if not hasattr(here.Broker, name)]
    return {
        "names": len(theirs["names"]),
        "broker": len(theirs["broker"]),
        "missing": missing,
        "missing_of_broker": missing_of_broker,
    }


CASES: dict[str, Callable[[], Row]] = {
    "latency": case_latency,
    "calls": case_calls,
    "matching": case_matching,
    "daily": case_daily,
    "names": case_names,
}
HERE = str(Path(__file__).resolve())


# -- the floors ----------------------------------------------------------------------------------------------


def events() -> Lines:
    """Events a second, of a strategy that does nothing."""
    python, kernel = ours("W4noop", "python"), ours("W4noop", "kernel")
    for name, row in (("Python", python), ("kernel", kernel)):
        figure = row["rate"] / 1e6
        yield Line(name=f"events a second, {name} strategy", figure=figure, unit="M/s", least=1.0, ours=row)
    name = "events a second, native strategy that does nothing"
    yield Line(name=name, figure=kernel["rate"] / 1e6, unit="M/s", least=10.0, ours=kernel)
    for name, row in (("kernel", kernel), ("Python", python)):
        figure = 1e9 / row["rate"]
        yield Line(name=f"dispatch of one event to a {name} strategy", figure=figure, unit="ns", ours=row)


def latency() -> Lines:
    """Time from event to order."""
    row = program(HERE, "--case", "latency")
    text = "from one order handed on to the next, so all that an event costs; there is no live adapter"
    for name in ("50", "99", "99.9"):
        figure, most = row[f"p{name}_us"], None if name == "50" else 1_000.0
        label = f"event to order in a Python callback, 100,000 ticks, p{name}"
        yield Line(name=label, figure=figure, unit="us", most=most, ours=row, note=text)


def peaks() -> Lines:
    """Peak memory, and memory of positions."""
    pandas = program("memory.py", "pandas") | {"front": "pandas"}
    for front in ("table", "python"):
        row = ours("W6", front, "1")
        name = f"10 years x 500 equities, peak memory, {front}"
        yield Line(name=name, figure=row["peak_mb"], unit="MB", most=1_000.0, ours=row)
    figure = row["peak_mb"] / pandas["peak_mb"] * 100.0
    name, note = "the same against a run on frames of pandas", f"pandas {pandas['peak_mb']} MB"
    yield Line(name=name, figure=figure, unit="% of pandas", most=20.0, ours=row, other=pandas, note=note)
    row, without = (program("memory.py", case) for case in ("positions", "no-positions"))
    figure = row["resident_mb"] - without["resident_mb"]
    yield Line(name="1,000 open positions, memory held", figure=figure, unit="MB", most=50.0, ours=row)


def small_costs() -> Lines:
    """Matching, and calls across the border."""
    row = program(HERE, "--case", "matching")
    note = f"{row['open_orders']:,} orders open to the end; see order_cost.py"
    yield Line(name="matching one working order at one bar", figure=row["order_ns"], unit="ns", note=note)
    row = program(HERE, "--case", "calls")
    note = f"SMA.update; an empty Python function takes {row['python_call_ns']:.0f} ns"
    name = "call of a compiled function, a number in and out"
    yield Line(name=name, figure=row["call_ns"], unit="ns", most=50.0, note=note)
    row = ours("W4noop", "python")
    name = "an event object made and handed to Python, loop included"
    yield Line(name=name, figure=1e9 / row["rate"], unit="ns", most=200.0, ours=row)


def large_runs() -> Lines:
    """Wall time of large runs, loading included."""
    row = ours("W4", "kernel")
    figure = row["load_s"] + row["whole_s"]
    yield Line(name="1 asset, 20 M ticks, load and run", figure=figure, unit="s", most=30.0, ours=row)
    row = ours("W2", "python")
    figure = row["load_s"] + row["whole_s"]
    name = "1,000 assets, 10 years of days, daily rebalance, load and run"
    yield Line(name=name, figure=figure, unit="s", most=10.0, ours=row, other=theirs("limit", "W2"))


def others() -> Lines:
    """Ratios to the reference engine and to ml4t 0.1."""
    small, slow = (ours("bars 500 x 100", "python", engine=engine) for engine in ("rust", "reference"))
    name = "events against our plain-Python reference engine"
    yield Line(
        name=name, figure=slow["run_s"] / small["run_s"], unit="times", least=5.0, ours=small, other=slow
    )
    row, old = ours("W7", "python"), theirs("upstream", "W7")
    name, figure = "events against ml4t 0.1", old["run_s"] / row["run_s"]
    note = "ours the run alone, theirs with feed and engine made"
    yield Line(name=name, figure=figure, unit="times", least=5.0, ours=row, other=old, note=note)
    whole = row["load_s"] + row["whole_s"]
    name = "end to end against ml4t 0.1, strategy in Python, ours with loading"
    yield Line(name=name, figure=old["run_s"] / whole, unit="times", least=10.0, ours=row, other=old)
    name = "overall against ml4t 0.1: the whole call of that run"
    yield Line(name=name, figure=old["run_s"] / row["whole_s"], unit="times", least=4.0, ours=row, other=old)
    row, old = ours("W6", "python", "1"), theirs("upstream", "W6")
    name = "execution of orders against ml4t 0.1: rebalance of 500 assets"
    figure = old["run_s"] / row["run_s"]
    yield Line(name=name, figure=figure, unit="times", least=10.0, ours=row, other=old, note=note)


def names() -> Lines:
    """Public names of ml4t 0.1 that are kept."""
    row = program(HERE, "--case", "names")
    for label, count, missing in (
        ("names of ml4t 0.1 in ml4t.backtest", row["names"], row["missing"]),
        ("names of its Broker", row["broker"], row["missing_of_broker"]),
    ):
        figure = 100.0 * (count - len(missing)) / count
        note = f"of {count}; not: {', '.join(missing) or 'none'}"
        yield Line(name=label, figure=figure, unit="%", least=100.0, note=note)


def panels() -> Lines:
    """Bars of many assets, an order at every bar, strategy in Python."""
    for name, workload, least in (
        ("100k bars x 1,000 assets in 60 s; scaled: 10k bars", "bars 10k x 1000", 100.0 / 60.0),
        ("1M bars x 100 assets in 90 s; scaled: 100k bars", "bars 100k x 100", 100.0 / 90.0),
    ):
        row = ours(workload, "python", "1")
        figure = row["rows"] / row["whole_s"] / 1e6
        yield Line(name=name, figure=figure, unit="M bars/s", least=least, ours=row)
    # What ml4t 0.1 takes grows with the number of bars, so that larger runs of it follow from smaller ones.
    for name, workload, (old, share), most in (
        ("10k bars x 50 assets; was 5 to 10 s", "bars 10k x 50", ("bars 10k x 50", 1), 5.0),
        ("100k bars x 100 assets; was 1 to 2 min", "bars 100k x 100", ("W7", 10), 60.0),
        ("1M bars x 10 assets; was 5 to 10 min", "bars 1M x 10", ("bars 10k x 10", 100), 300.0),
    ):
        row, peer = ours(workload, "python", "1"), theirs("upstream", old)
        note = f"ml4t 0.1 {peer['run_s'] * share:.1f} s" + (
            f", scaled: {share} x 10k bars" if share > 1 else ""
        )
        note += f", {peer['run_s'] * share / row['whole_s']:.0f} x ours"
        yield Line(name=name, figure=row["whole_s"], unit="s", most=most, ours=row, other=peer, note=note)


def many_ticks() -> Lines:
    """Ticks of several assets, a native strategy."""
    note = "read as so many ticks of each asset; read as a total the floor is"
    for name, workload, least, least_of_total in (
        ("10M ticks x 10 assets in 5 s; scaled: 20M in all", "ticks of 10", 20.0, 2.0),
        ("100M ticks x 5 assets in 1 min; scaled: 20M in all", "ticks of 5", 500.0 / 60.0, 100.0 / 60.0),
    ):
        row = ours(workload, "kernel", "2")
        text = f"{note} {least_of_total:.2f}"
        yield Line(name=name, figure=row["rate"] / 1e6, unit="M/s", least=least, ours=row, note=text)


def daily_and_files() -> Lines:
    """Fifteen years of days; runs from files."""
    row = program(HERE, "--case", "daily")
    note = (
        f"file to results, without the start of Python; the first in a process {row['first_s'] * 1e3:.0f} ms"
    )
    name = "1 asset, 15 years of days, end to end"
    yield Line(name=name, figure=row["run_s"] * 1e3, unit="ms", most=30.0, ours=row, note=note)
    row = program("startup.py", "minute", "1")
    name = "7 assets, 10 years of minutes, `ml4t run` from files to files"
    note = f"{row['rows'] / row['median_s'] / 1e3:,.0f} k bars a second; one strategy"
    yield Line(name=name, figure=row["median_s"], unit="s", most=30.41, ours=row, note=note)
    row = program("startup.py", "daily", "7")
    name = "1 asset, 15 years of days, `ml4t run`, the whole process"
    note = f"median of 7, best {row['best_s']} s; an aim"
    yield Line(name=name, figure=row["median_s"], unit="s", most=0.6, ours=row, note=note)


def grids() -> Lines:
    """A grid of a thousand pairs, and one of them."""
    row = ours("W5", "table")
    peer = theirs("raptorbt", "W5")
    name = "1,000 pairs of stop and target, 10,000 bars, the whole loop"
    yield Line(name=name, figure=row["whole_s"], unit="s", most=8.0, ours=row, other=peer)
    few, slow = ours("W5few", "table"), ours("W5few", "table", engine="reference")
    figure = (slow["whole_s"] / 2) / (row["whole_s"] / 1_000)
    name, note = "the same against our plain-Python reference engine", "scaled: 2 pairs there"
    yield Line(name=name, figure=figure, unit="times", least=56.0, ours=few, other=slow, note=note)
    row = ours("W5single", "table")
    peer = theirs("raptorbt", "W5single")
    name = "one backtest of 10,000 bars, the whole call"
    yield Line(name=name, figure=row["whole_s"] * 1e3, unit="ms", most=12.0, ours=row, other=peer)


def indicators() -> Lines:
    """Indicators over an array."""
    for name, workload, most in (("ATR", "W8atr10k", 1.2), ("RSI", "W8rsi10k", 0.9)):
        row, peer = ours(workload, "over"), theirs("talib", workload)
        label = f"{name} of 14 over 10,000 bars"
        yield Line(name=label, figure=row["run_s"] * 1e3, unit="ms", most=most, ours=row, other=peer)


FLOORS = (
    events,
    latency,
    peaks,
    small_costs,
    large_runs,
    others,
    names,
    panels,
    many_ticks,
    daily_and_files,
    grids,
    indicators,
)


def measure(wanted: tuple[str, ...] = ()) -> list[Row]:
    """Measure all floors, or those of the groups named, and print them."""
    print("\nfloors: what was asked, and what is there", flush=True)
    lines = []
    for group in FLOORS:
        if wanted and group.__name__ not in wanted:
            continue
        try:
            for line in group():
                line.print()
                lines.append(line)
        except FailedError as error:
            print(f"  {group.__name__} failed: {error}", flush=True)
    asked = [line.is_met for line in lines if line.is_met is not None]
    print(f"  {sum(asked)} of {len(asked)} met", flush=True)
    return [line.row() for line in lines]


def main() -> None:
    """Measure, or be one case."""
    if sys.argv[1:2] == ["--case"]:
        print(json.dumps(CASES[sys.argv[2]]()), flush=True)
        return
    for name in data.TABLES:
        data.path(name)
    measure(tuple(sys.argv[1:]))


if __name__ == "__main__":
    main()
