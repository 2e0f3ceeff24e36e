"""A strategy kernel runs without the interpreter: other threads go on meanwhile, and Ctrl-C ends it."""

from __future__ import annotations

import datetime as dt
import itertools
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs
import polars as pl
import pytest

from ml4t.native import native_model
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")
pytest.importorskip("numba")

WAIT = 60


def minutes(count: int) -> Made:
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(minutes=count - 1), "1m", eager=True)
    columns = {name: pl.lit(10.0) for name in ("open", "high", "low", "close", "volume")}
    frame = pl.DataFrame({"timestamp": stamps}).with_columns(symbol=pl.lit("XYZ"), **columns)
    return backtest.DataFeed(frame, stamp="open", interval="1m", calendar="24/7")


@native_model(kind="strategy", state={"sum": 1})
@attrs.frozen
class Thinks:
    """Adds numbers for a while at every instant."""

    steps: int = 1_000

    @staticmethod
    def kernel(  # noqa: PLR0913 - the arguments of every strategy kernel
        params: Made,
        state: Made,
        ctx: Made,
        changed: Made,
        columns: Made,
        positions: Made,
        open_orders: Made,
        fills: Made,
        orders: Made,
    ) -> int:
        total = state.sum[0]
        for k in range(params.steps):
            total = total * 0.5 + k
        state.sum[0] = total
        return 0


def test_other_threads_go_on_while_a_kernel_runs() -> None:
    """The engine takes no breath within these instants, so that with the lock held nobody else would run."""
    config = {"backtest": {"native": "require"}}
    backtest.run(Thinks(steps=1), minutes(10), config=config)
    engine = backtest.Engine(minutes(10_000), Thinks(steps=100_000), config=config)
    assert engine.data.span_ns[1] > 0, "the data are read before anybody measures"
    ticks: list[float] = []
    is_over = threading.Event()

    def tick() -> None:
        while not is_over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        results = engine.run()
    finally:
        is_over.set()
        thread.join()
    duration = results.run_info["durations_s"]["run"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    assert duration > 0.3, "long enough to tell"
    assert max(gaps) < duration / 3.0
    assert len(ticks) > 20


MARKET = """
import datetime as dt, signal, sys

# Whoever starts the tests in the background has SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import attrs
import polars as pl
from ml4t.backtest import DataFeed, Engine
from ml4t.native import Action, OrderType, native_model

@native_model(kind="strategy")
@attrs.frozen
class Buys:
    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):
        if ctx.instant % 1000 != 0:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = 1.0
        return 1

def feed(count):
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(minutes=count - 1), "1m", eager=True)
    frame = pl.DataFrame({"timestamp": stamps}).with_columns(
        symbol=pl.lit("XYZ"), **{n: pl.lit(10.0) for n in ("open", "high", "low", "close", "volume")}
    )
    return DataFeed(frame, stamp="open", interval="1m", calendar="24/7")

def ready(part):
    print("ready", flush=True)

engine = Engine(feed(4_000_000), Buys, config={"backtest": {"native": "require"}})
try:
    engine.run(progress=ready)
except KeyboardInterrupt as error:
    results = engine.results
    assert error.partial_results is results
    results.save(sys.argv[1])
    print(results.status, results.execution_paths["strategy"], results.warnings[0], flush=True)
    print("again", Engine(feed(2_000), Buys).run().status, flush=True)
"""


def test_ctrl_c_ends_a_kernel_and_keeps_what_was_done(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MARKET, str(tmp_path / "run")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        line = process.stdout.readline()
        assert line == "ready\n", process.communicate(timeout=WAIT)[1]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    assert "interrupted capsule The run is interrupted: the tables end at 20" in out
    assert "again complete" in out, "the process goes on"
    results = backtest.Results.load(tmp_path / "run")
    assert results.status == "interrupted"
    assert 60 <= results.fills.height < 4_000
    assert results.ledger.filter(kind="trade").height == results.fills.height
