"""What a model costs in each of its forms, and a whole backtest with native models against Python ones.

    python tests/bench/native_models.py [calls]

`VolumeShare` compiled into the engine, as a Rust library, as a C library, as a numba kernel and in Python,
asked the same questions in one process; the sums of their answers must be equal. Then a strategy that trades
50 instruments every bar, with no, one and five models of plugins, native and in Python, to the same equity.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl

from ml4t.backtest import DataFeed, Instrument, Strategy, run
from ml4t.core.config import NativePolicy
from ml4t.engine._engine import ask_slippage
from ml4t.engine.compile import model_path
from ml4t.impact import Linear
from ml4t.native import OK, include_folder, load, native_model
from ml4t.slippage import VolumeShare

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"volume_limit": 0.025, "price_impact": 0.1}
CALLS = 20_000_000
ROUNDS = 5
#: Python is asked less often, so that the measurement ends.
PYTHON_SHARE = 100


@native_model(kind="slippage", needs_bar=True)
@attrs.frozen
class Compiled:
    """The formula as a kernel."""

    volume_limit: float
    price_impact: float

    @staticmethod
    def kernel(params, state, ctx, out):  # noqa: ANN001, ANN205
        """Answer slippage and cap."""
        cap = max(params.volume_limit * ctx.volume - ctx.volume_used, 0.0)
        taken = ctx.volume_used + min(ctx.quantity, cap)
        limit = params.volume_limit
        share = min(taken / ctx.volume, limit) if ctx.volume > 0.0 else limit
        out.adjustment = abs(ctx.price) * (params.price_impact * (share * share))
        out.spread = 0.0
        out.quantity_cap = cap
        return OK


@native_model(kind="fill")
@attrs.frozen
class AtOnce:
    """Fills what the rules allow."""

    @staticmethod
    def kernel(params, state, ctx, fills, out):  # noqa: ANN001, ANN205
        """Answer one slice."""
        fills[0].price = ctx.price
        fills[0].quantity = ctx.leaves_quantity
        fills[0].liquidity = ctx.liquidity
        out.n_fills = 1
        return OK


@native_model(kind="fee")
@attrs.frozen
class PerLot:
    """Charges for every unit."""

    fee: float

    @staticmethod
    def kernel(params, state, ctx, out):  # noqa: ANN001, ANN205
        """Answer the fee."""
        out.fee = params.fee * ctx.quantity
        return OK


@native_model(kind="latency")
@attrs.frozen
class Wire:
    """Takes the same time for every message."""

    delay_ns: float

    @staticmethod
    def kernel(params, state, ctx, out):  # noqa: ANN001, ANN205
        """Answer the delay."""
        out.delay_ns = params.delay_ns
        return OK


def libraries(folder: Path) -> tuple[Path, Path]:
    """Build the C and the Rust library."""
    c = folder / "libvolume_share_c.so"
    source = ROOT / "tests/bench/volume_share.c"
    flags = ["-O2", "-shared", "-fPIC", "-ffp-contract=off", f"-I{include_folder()}"]
    subprocess.run(["cc", *flags, "-o", str(c), str(source)], check=True)
    command = ["cargo", "build", "--quiet", "--release", "--locked", "-p", "volume-share"]
    subprocess.run(command, check=True, cwd=ROOT)
    names = ("libvolume_share.so", "libvolume_share.dylib", "volume_share.dll")
    rust = next(path for name in names if (path := ROOT / "target/release" / name).exists())
    return c, rust


def forms(folder: Path) -> dict[str, tuple[Any, NativePolicy]]:
    """Make the model in every form, with what lets it run there."""
    c, rust = libraries(folder)
    values = tuple(SETTINGS.values())
    return {
        "compiled in": (VolumeShare(**SETTINGS), NativePolicy.REQUIRE),
        "Rust library": (load(rust, "volume_share", values), NativePolicy.REQUIRE),
        "C library": (load(c, "volume_share", values), NativePolicy.REQUIRE),
        "numba kernel": (Compiled(**SETTINGS), NativePolicy.REQUIRE),
        "Python": (VolumeShare(**SETTINGS), NativePolicy.NEVER),
    }


def description(model: object, policy: NativePolicy) -> dict[str, Any]:
    """Describe a model as a run does."""
    chosen = model_path("slippage", model, policy)
    params = attrs.asdict(model) if chosen.builtin else {}  # type: ignore[call-overload]
    return {"object": model, "builtin": chosen.builtin, "params": params, "capsule": chosen.capsule}


def seconds(spec: dict[str, Any], calls: int) -> float:
    """Time so many calls."""
    started = time.perf_counter()
    ask_slippage(spec, calls)
    return time.perf_counter() - started


def calls_of(found: dict[str, tuple[Any, NativePolicy]], calls: int) -> None:
    """Print what a call costs in each form.

    The forms take turns, so that a load of the machine falls on all of them.
    """
    print(
        f"{calls:,} calls ({calls // PYTHON_SHARE:,} in Python), ns each, context included; best of {ROUNDS}"
    )
    specs = {name: description(model, policy) for name, (model, policy) in found.items()}
    counts = {
        name: calls if policy is NativePolicy.REQUIRE else calls // PYTHON_SHARE
        for name, (_, policy) in found.items()
    }
    rounds = [{name: seconds(spec, counts[name]) for name, spec in specs.items()} for _ in range(ROUNDS)]
    best = {name: min(each[name] for each in rounds) / count * 1e9 for name, count in counts.items()}
    sums = {name: ask_slippage(spec, calls // PYTHON_SHARE) for name, spec in specs.items()}
    for name, each in best.items():
        print(f"{name:<14}{each:10.2f}   x {each / best['compiled in']:8.2f}   sum {sums[name]!r}")
    if len(set(sums.values())) != 1:
        sys.exit(f"the forms differ: {sums}")


class Swinging(Strategy):
    """Buys and sells every instrument every bar: as many fills as there are bars."""

    def on_start(self) -> None:
        """Count bars."""
        self.bars = 0

    def on_data(self, timestamp, data, context, broker) -> None:  # noqa: ANN001
        """Send one order for each instrument."""
        self.bars += 1
        target = 100 if self.bars % 2 else 0
        for symbol in data:
            broker.order_target_quantity(symbol, target)


def market(bars: int, symbols: int) -> tuple[DataFeed, list[Instrument]]:
    """Make a market of minutes, open round the clock."""
    dice = np.random.default_rng(7)
    names = [f"S{i:03}" for i in range(symbols)]
    start, minute = np.datetime64("2024-01-01T00:01", "ns"), np.timedelta64(60, "s")
    times = start + np.arange(bars) * minute
    close = 100 * np.exp(np.cumsum(dice.normal(0, 1e-4, (bars, symbols)), axis=0))
    frame = pl.DataFrame(
        {
            "ts_event": np.repeat(times, symbols),
            "symbol": names * bars,
            **{name: close.ravel() for name in ("open", "high", "low", "close")},
            "volume": np.full(bars * symbols, 1e6),
        }
    ).with_columns(pl.col("ts_event").dt.replace_time_zone("UTC"))
    feed = DataFeed(frame, stamp="close", interval="1m")
    return feed, [Instrument(name, calendar="24/7", price_exponent=9) for name in names]


def backtests(bars: int = 400, symbols: int = 50) -> None:
    """Print what a whole run costs with no, one and five models of plugins."""
    print(f"a Python strategy with {bars * symbols:,} orders; seconds of the run, native and in Python")
    feed, instruments = market(bars, symbols)
    known = {"volatility": 0.01, "average_volume": 1e9, "average_days": 0}
    every: dict[str, Any] = {
        "slippage": Compiled(**SETTINGS),
        "fill": AtOnce(),
        "impact": Linear(1.0, permanent=0.1, **known),
        "fee": PerLot(0.01),
        "latency": Wire(1e6),
    }
    for n in (0, 1, 5):
        models = dict(list(every.items())[:n])
        taken, ends = {}, set()
        for policy in (NativePolicy.PREFER, NativePolicy.NEVER) if n else (NativePolicy.PREFER,):
            config = {"backtest": {"native": policy.value}, "broker": {"initial_cash": 10_000_000}}
            # Every other model stays compiled in; without plugins there is nothing to compare.
            results = [
                run(Swinging, feed, config=config, models=models, instruments=instruments) for _ in range(3)
            ]
            taken[policy.value] = min(each.run_info["durations_s"]["run"] for each in results)
            ends.add((results[0].portfolio_history["equity"][-1], len(results[0].fills)))
        if len(ends) != 1:
            sys.exit(f"the forms differ: {ends}")
        equity, fills = next(iter(ends))
        times = ", ".join(f"{name} {each:.3f} s" for name, each in taken.items())
        print(f"{n} models of plugins: {times}; {fills:,} fills, final equity {equity:,.6f}")


def main() -> None:
    """Measure."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    with tempfile.TemporaryDirectory() as folder:
        found = forms(Path(folder))
        calls_of(found, calls)
    backtests()


if __name__ == "__main__":
    main()
