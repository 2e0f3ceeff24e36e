"""The workloads on ml4t: `python tests/bench/speed/ours.py WORKLOAD FRONT_END`.

Prints one JSON line: seconds of the run (data loaded and prepared before), fills, trades, final equity.
"""

from __future__ import annotations

import gc
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import attrs
import data
import numpy as np
import polars as pl

from ml4t.backtest import DataFeed, Engine, EntryExit, OrderList, Strategy, TargetWeights
from ml4t.backtest.indicators import SMA
from ml4t.fees import Fraction
from ml4t.native import Action, native_model

Made = Any


def engine(feed: DataFeed, strategy: Made, cash: float, signals: Made = None, **more: Made) -> Engine:
    """Make an engine with the costs of the workloads."""
    config = {"broker": {"initial_cash": cash}}
    models = {"fee": Fraction(data.FEE)}
    return Engine(feed, strategy, config=config, models=models, signals=signals, **more)


def symbols(frame: pl.DataFrame) -> pl.DataFrame:
    """Name the assets so that the sequence of names is that of numbers."""
    return frame.with_columns(symbol=pl.format("A{}", pl.col("asset").cast(pl.String).str.zfill(4))).drop(
        "asset"
    )


def daily_feed(frame: pl.DataFrame) -> DataFeed:
    """Read bars of days."""
    frame = symbols(frame).with_columns(session=pl.col("ts").dt.date()).drop("ts")
    return DataFeed(frame, stamp="session", calendar="24/7")


def minute_feed(frame: pl.DataFrame) -> DataFeed:
    """Read bars of minutes."""
    frame = symbols(frame).with_columns(timestamp=pl.col("ts").dt.replace_time_zone("UTC")).drop("ts")
    return DataFeed(frame, stamp="open", interval="1m", calendar="24/7")


class Cross(Strategy):
    """Holds shares while the fast average is above the slow one."""

    def __init__(self, count: int) -> None:
        self.averages = {f"A{k:04}": (SMA(data.FAST), SMA(data.SLOW)) for k in range(count)}
        self.held = dict.fromkeys(self.averages, False)

    def on_bar(self, event: Made) -> None:
        """Update and trade."""
        symbol, close = event.asset, event.close
        fast, slow = self.averages[symbol]
        is_up = fast.update(close) > slow.update(close)
        if is_up != self.held[symbol]:
            self.broker.order_target_quantity(symbol, data.SHARES if is_up else 0)
            self.held[symbol] = is_up


@native_model(
    kind="strategy", columns=("close",), state={"fast": 8, "slow": 8, "n": 8, "ring": 8 * data.SLOW}
)
@attrs.frozen
class CrossKernel:
    """The same in machine code."""

    shares: float = float(data.SHARES)

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Update and trade."""
        sent = 0
        for i in changed:
            close = columns[0, i]
            n = int(state.n[i])
            at = i * 200 + n % 200
            state.fast[i] += close
            state.slow[i] += close
            if n >= 50:
                state.fast[i] -= state.ring[i * 200 + (n - 50) % 200]
            if n >= 200:
                state.slow[i] -= state.ring[at]
            state.ring[at] = close
            state.n[i] = n + 1.0
            if n < 199:
                continue
            wanted = params.shares if state.fast[i] / 50.0 > state.slow[i] / 200.0 else 0.0
            if wanted != positions[i]:
                orders[sent].action = Action.TARGET
                orders[sent].asset = i
                orders[sent].quantity = wanted
                sent += 1
        return sent


class Rebalance(Strategy):
    """Holds the best by signal, in equal parts."""

    def __init__(self, top: int) -> None:
        self.top = top

    def on_data(self, timestamp: Made, market: Made, context: Made, broker: Made) -> None:
        """Send the targets."""
        signal = market.signal
        best = np.argpartition(signal, len(signal) - self.top)[-self.top :]
        names = market.symbols
        broker.order_target_weights({names[k]: 0.99 / self.top for k in best})


@native_model(kind="strategy", columns=("close", "signal"), state={"mark": 1000})
@attrs.frozen
class RebalanceKernel:
    """The same in machine code."""

    top: int

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Send the targets."""
        n = int(ctx.n_assets)
        signal = columns[1]
        least = np.partition(signal, n - params.top)[n - params.top]
        part = ctx.equity * 0.99 / params.top
        sent = 0
        # What is sold first pays for what is bought.
        for buys in (False, True):
            for i in range(n):
                wanted = math.floor(part / columns[0, i]) if signal[i] >= least else 0.0
                if wanted != positions[i] and (wanted > positions[i]) == buys:
                    orders[sent].action = Action.TARGET
                    orders[sent].asset = i
                    orders[sent].quantity = wanted
                    sent += 1
        return sent


class Ticker(Strategy):
    """Buys and sells one at every so many ticks."""

    def on_start(self) -> None:
        """Count."""
        self.seen = 0

    def on_event(self, event: Made) -> None:
        """Count and trade."""
        self.seen += 1
        if self.seen % data.EVERY == 0:
            self.broker.order_target_quantity("A0000", 1 if self.seen // data.EVERY % 2 else 0)


class Nothing(Strategy):
    """Sees every tick and does nothing."""

    def on_event(self, event: Made) -> None:
        """Do nothing."""


@native_model(kind="strategy", columns=("price",), state={"sums": 3, "ring": 200})
@attrs.frozen
class TickKernel:
    """Keeps two averages, trades at every so many ticks."""

    every: float = float(data.EVERY)

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Update, count and trade."""
        n = int(state.sums[2]) + 1
        price = columns[0, 0]
        state.sums[2] = n
        state.sums[0] += price - state.ring[(n - 50) % 200]
        state.sums[1] += price - state.ring[n % 200]
        state.ring[n % 200] = price
        if n % int(params.every) != 0:
            return 0
        orders[0].action = Action.TARGET
        orders[0].asset = 0
        orders[0].quantity = 1.0 - positions[0]
        return 1


@native_model(kind="strategy", columns=("price",))
@attrs.frozen
class NothingKernel:
    """Sees every tick and does nothing."""

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Do nothing."""
        return 0


class EveryBar(Strategy):
    """Reads every close, sends an order at every bar."""

    def on_start(self) -> None:
        """Count."""
        self.bars, self.total = 0, 0.0

    def on_data(self, timestamp: Made, market: Made, context: Made, broker: Made) -> None:
        """Read and trade."""
        self.total += float(market.close.sum())
        symbol = market.symbols[self.bars % data.WIDE_ASSETS]
        held = broker.get_position(symbol)
        broker.submit_order(symbol, -100 if held is not None else 100)
        self.bars += 1


def ticks(rows: int) -> DataFeed:
    """Read prints."""
    frame = data.table("ticks", rows).select(timestamp="ts", price="price", size="size")
    frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"), symbol=pl.lit("A0000"))
    return DataFeed(frame, kind="trade", stamp="event", calendar="24/7")


def edges(frame: pl.DataFrame) -> pl.DataFrame:
    """Entries and exits of the crossover, at the closes."""
    close = pl.col("close")
    is_up = (
        (close.rolling_mean(data.FAST) > close.rolling_mean(data.SLOW)).over("symbol").fill_null(value=False)
    )
    was_up = pl.col("up").shift(1).over("symbol").fill_null(value=False)
    frame = frame.with_columns(up=is_up)
    entry, leave = (pl.col("up") & ~was_up), (~pl.col("up") & was_up)
    return frame.with_columns(entry=entry.cast(pl.Float64), exit=leave.cast(pl.Float64)).filter(entry | leave)


def crossing(name: str, cash: float, feed: Callable[[pl.DataFrame], DataFeed], rows: int | None) -> Engine:
    """Trade the edges as a table."""
    frame = data.table(name, rows)
    found = edges(symbols(frame))
    if feed is daily_feed:
        found = found.select(pl.col("ts").dt.date().alias("session"), "symbol", "entry", "exit")
    else:
        stamp = (pl.col("ts") + pl.duration(minutes=1)).dt.replace_time_zone("UTC").alias("ts_event")
        found = found.select(stamp, "symbol", "entry", "exit")
    return engine(feed(frame), EntryExit(found, quantity=data.SHARES), cash)


def weights(frame: pl.DataFrame, top: int) -> TargetWeights:
    """Hold the best of every day, as a table."""
    rank = pl.col("signal").rank("ordinal", descending=True).over("ts")
    found = symbols(frame).filter(rank <= top)
    session = pl.col("ts").dt.date().alias("session")
    return TargetWeights(found.select(session, "symbol", pl.lit(0.99 / top).alias("weight")))


def listed_ticks() -> Engine:
    """Trade a list of orders on ticks."""
    feed = ticks(data.TICKS)
    stamps = data.table("ticks").select("ts").gather_every(data.EVERY, data.EVERY - 1)
    orders = stamps.select(
        pl.col("ts").dt.replace_time_zone("UTC").alias("ts_event"),
        pl.lit("A0000").alias("symbol"),
        (1 - 2 * (pl.int_range(pl.len()) % 2)).alias("quantity"),
    )
    return engine(feed, OrderList(orders), data.CASH)


def one_of_grid(stop: float = 0.05, target: float = 0.10) -> Engine:
    """Trade entries and exits with a stop and a target."""
    frame = data.table("grid_bars")
    found = (
        symbols(frame)
        .filter(pl.col("entry") | pl.col("exit"))
        .select(
            (pl.col("ts") + pl.duration(minutes=1)).dt.replace_time_zone("UTC").alias("ts_event"),
            "symbol",
            pl.col("entry").cast(pl.Float64),
            pl.col("exit").cast(pl.Float64),
        )
    )
    table = EntryExit(found, quantity=data.SHARES, stop_loss=stop, take_profit=target)
    return engine(minute_feed(frame.drop("entry", "exit")), table, data.CASH)


def cross(
    name: str, count: int, cash: float, feed: Callable[[pl.DataFrame], DataFeed], rows: int | None = None
) -> dict[str, Callable[[], Engine]]:
    """Make the forms of a crossover."""
    return {
        "python": lambda: engine(feed(data.table(name, rows)), lambda: Cross(count), cash),
        "kernel": lambda: engine(feed(data.table(name, rows)), CrossKernel(), cash),
        "table": lambda: crossing(name, cash, feed, rows),
    }


def rebalance(assets: int, top: int) -> dict[str, Callable[[], Engine]]:
    """Make the two forms of a rebalance."""

    def feed() -> DataFeed:
        return daily_feed(data.table("panel").filter(pl.col("asset") < assets))

    return {
        "python": lambda: engine(feed(), lambda: Rebalance(top), data.PANEL_CASH),
        "kernel": lambda: engine(feed(), RebalanceKernel(top), data.PANEL_CASH),
        "table": lambda: engine(
            feed(), weights(data.table("panel").filter(pl.col("asset") < assets), top), data.PANEL_CASH
        ),
    }


WORKLOADS: dict[str, dict[str, Callable[[], Engine]]] = {
    "W1": cross("daily", 1, data.CASH, daily_feed),
    "W2": rebalance(1000, 100),
    "W3": cross("minute", 7, data.MINUTE_CASH, minute_feed),
    "W4": {
        "python": lambda: engine(ticks(2_000_000), Ticker, data.CASH),
        "kernel": lambda: engine(ticks(data.TICKS), TickKernel(), data.CASH),
        "table": listed_ticks,
    },
    "W4noop": {
        "python": lambda: engine(ticks(2_000_000), Nothing, data.CASH),
        "kernel": lambda: engine(ticks(data.TICKS), NothingKernel(), data.CASH),
    },
    "W5single": {"table": one_of_grid},
    "W6": rebalance(500, 50),
    "W7": {"python": lambda: engine(minute_feed(data.table("wide")), EveryBar, 10 * data.CASH)},
}


def main() -> None:
    """Run one."""
    workload, front = sys.argv[1:3]
    repeat = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    made = WORKLOADS[workload][front]()
    rows = sum(feed.frame.height for feed in made.data.feeds)
    runs, wholes = [], []
    for _ in range(repeat):
        gc.collect()
        began = time.perf_counter()
        results = made.run()
        wholes.append(time.perf_counter() - began)
        runs.append(results.run_info["durations_s"]["run"])
    seconds = statistics.median(runs)
    print(
        json.dumps(
            {
                "workload": workload,
                "front": front,
                "run_s": round(seconds, 6),
                "whole_s": round(statistics.median(wholes), 6),
                "rows": rows,
                "rate": round(rows / seconds),
                "fills": results.fills.height,
                "final_equity": round(results.portfolio_history["equity"][-1], 2),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
