"""The workloads on ml4t: `python tests/bench/speed/ours.py WORKLOAD FRONT_END [RUNS]`.

Prints one JSON line: seconds of the run (data loaded and prepared before), of the whole call, and of loading;
fills, trades, final equity. `ML4T_BENCH_ENGINE=reference` runs them on the reference engine.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import data
import numpy as np
import polars as pl
from peers import agreement, timed

from ml4t.backtest import DataFeed, Engine, EntryExit, OrderList, Strategy, TargetWeights
from ml4t.backtest.indicators import ATR, RSI, SMA
from ml4t.fees import Fraction
from ml4t.native import Action, native_model

Made = Any
ENGINE = os.environ.get("ML4T_BENCH_ENGINE", "rust")


def engine(
    feed: DataFeed, strategy: Made, cash: float, signals: Made = None, record: str = "auto", **more: Made
) -> Engine:
    """Make an engine with the costs of the workloads."""
    config = {"backtest": {"engine": ENGINE, "record": record}, "broker": {"initial_cash": cash}}
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


class CrossOfArrays(Strategy):
    """The same with averages that the engine keeps, one look at all assets an instant."""

    def on_start(self) -> None:
        """Declare the averages."""
        self.fast, self.slow = (self.track(SMA(n)).values for n in (data.FAST, data.SLOW))
        self.is_up = self.fast > self.slow
        self.seen = self.is_up.tobytes()

    def on_data(self, timestamp: Made, market: Made, context: Made, broker: Made) -> None:
        """Trade what has crossed."""
        is_up = self.fast > self.slow
        now = is_up.tobytes()
        if now != self.seen:
            for k in np.flatnonzero(is_up != self.is_up):
                broker.order_target_quantity(market.symbols[k], data.SHARES if is_up[k] else 0)
            self.seen, self.is_up = now, is_up


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

    def on_trade(self, event: Made) -> None:
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


@native_model(kind="strategy", columns=("price",), state={"seen": 1})
@attrs.frozen
class TurnsKernel:
    """Trades at every so many ticks, one asset after the other."""

    every: float = float(data.EVERY)

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Count and trade."""
        n = int(state.seen[0]) + 1
        state.seen[0] = n
        every = int(params.every)
        if n % every != 0:
            return 0
        i = n // every % int(ctx.n_assets)
        orders[0].action = Action.TARGET
        orders[0].asset = i
        orders[0].quantity = 1.0 - positions[i]
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
        symbols = market.symbols
        symbol = symbols[self.bars % len(symbols)]
        held = broker.get_position(symbol)
        broker.submit_order(symbol, -100 if held is not None else 100)
        self.bars += 1


def ticks(rows: int, assets: int = 1) -> DataFeed:
    """Read prints; of several assets in turn."""
    frame = data.table("ticks", rows).select(timestamp="ts", price="price", size="size")
    symbol = pl.format("A{}", (pl.int_range(pl.len()) % assets).cast(pl.String).str.zfill(4))
    symbol = symbol if assets > 1 else pl.lit("A0000")
    frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"), symbol=symbol)
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


def listed_ticks(rows: int = data.TICKS) -> Engine:
    """Trade a list of orders on ticks."""
    feed = ticks(rows)
    stamps = data.table("ticks", rows).select("ts").gather_every(data.EVERY, data.EVERY - 1)
    orders = stamps.select(
        pl.col("ts").dt.replace_time_zone("UTC").alias("ts_event"),
        pl.lit("A0000").alias("symbol"),
        (1 - 2 * (pl.int_range(pl.len()) % 2)).alias("quantity"),
    )
    return engine(feed, OrderList(orders), data.CASH)


def edges_of_grid(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the entries and exits that are given, at the closes."""
    stamp = (pl.col("ts") + pl.duration(minutes=1)).dt.replace_time_zone("UTC").alias("ts_event")
    scores = (pl.col(name).cast(pl.Float64) for name in ("entry", "exit"))
    return symbols(frame).filter(pl.col("entry") | pl.col("exit")).select(stamp, "symbol", *scores)


def one_of_grid(stop: float = 0.05, target: float = 0.10) -> Engine:
    """Trade entries and exits with a stop and a target."""
    frame = data.table("grid_bars")
    table = EntryExit(edges_of_grid(frame), quantity=data.SHARES, stop_loss=stop, take_profit=target)
    return engine(minute_feed(frame.drop("entry", "exit")), table, data.CASH)


def grid(pairs: int | None = None) -> dict[str, Any]:
    """Run pairs of a stop and a target one after the other, on one engine that reads its data once.

    Net asset values alone are kept, as for any search. Every exit ends an entry: trades are half of fills.
    """
    wanted: list[tuple[float, float]] = data.table("pairs", pairs).rows()
    frame = data.table("grid_bars")
    left: Iterator[tuple[float, float]] = iter(wanted)

    def next_pair() -> EntryExit:
        stop, target = next(left)
        return EntryExit(quantity=data.SHARES, stop_loss=stop, take_profit=target)

    began = time.perf_counter()
    feed = minute_feed(frame.drop("entry", "exit"))
    made = engine(feed, next_pair, data.CASH, signals=edges_of_grid(frame), record="nav")
    seconds, trades, equities = 0.0, 0, []
    for _ in wanted:
        results = made.run()
        seconds += results.run_info["durations_s"]["run"]
        trades += results.run_info["counts"]["fills"] // 2
        equities.append(results.portfolio_history["equity"][-1])
    whole = time.perf_counter() - began
    return {
        "run_s": round(seconds, 6),
        "whole_s": round(whole, 6),
        "rows": frame.height * len(wanted),
        "rate": round(frame.height * len(wanted) / seconds),
        "trades": trades,
        "final_equity": round(statistics.mean(equities), 2),
    }


def indicator(name: str, rows: int) -> dict[str, Any]:
    """Work out an indicator over arrays."""
    table = data.table("series", rows)
    high, low, close, wanted = (table[each].to_numpy() for each in ("high", "low", "close", name))

    def work() -> dict[str, Any]:
        if name == "atr":
            return {"values": ATR(data.PERIOD).over(high, low, close)}
        return {"values": RSI(data.PERIOD).over(close)}

    found = timed(work, repeat=30 if rows <= data.GRID_BARS else 7)
    return agreement(found, wanted) | {"rows": rows, "rate": round(rows / found["run_s"])}


def broad(bars: int, assets: int) -> DataFeed:
    """Make minutes of many assets, in no file."""
    made = data.walk(np.random.default_rng(9), bars, assets, 0.001)
    return minute_feed(pl.DataFrame(data.long(data.minutes("2012-01-02", bars), made)))


def wide(assets: int, bars: int = data.WIDE_BARS) -> DataFeed:
    """Read the first minutes of the first assets."""
    frame = data.table("wide", bars * data.WIDE_ASSETS)
    return minute_feed(frame.filter(pl.col("asset") < assets))


def cross(
    name: str, count: int, cash: float, feed: Callable[[pl.DataFrame], DataFeed], rows: int | None = None
) -> dict[str, Callable[[], Engine]]:
    """Make the forms of a crossover."""
    return {
        "python": lambda: engine(feed(data.table(name, rows)), lambda: Cross(count), cash),
        "arrays": lambda: engine(feed(data.table(name, rows)), CrossOfArrays, cash),
        "kernel": lambda: engine(feed(data.table(name, rows)), CrossKernel(), cash),
        "table": lambda: crossing(name, cash, feed, rows),
    }


def rebalance(name: str, top: int) -> dict[str, Callable[[], Engine]]:
    """Make the forms of a rebalance."""

    def table() -> Engine:
        frame = data.table(name)
        return engine(daily_feed(frame), weights(frame, top), data.PANEL_CASH)

    return {
        "python": lambda: engine(daily_feed(data.table(name)), lambda: Rebalance(top), data.PANEL_CASH),
        "kernel": lambda: engine(daily_feed(data.table(name)), RebalanceKernel(top), data.PANEL_CASH),
        "table": table,
    }


def every_bar(feed: Callable[[], DataFeed], cash: float = 10 * data.CASH) -> dict[str, Callable[[], Engine]]:
    """Trade at every bar."""
    return {"python": lambda: engine(feed(), EveryBar, cash)}


WORKLOADS: dict[str, dict[str, Callable[[], Engine]]] = {
    "W1": cross("daily", 1, data.CASH, daily_feed),
    "W2": rebalance("panel", 100),
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
    "W6": rebalance("half", 50),
    "W7": every_bar(lambda: wide(data.WIDE_ASSETS)),
    # Those of the floors.
    "bars 500 x 100": every_bar(lambda: wide(data.WIDE_ASSETS, 500)),
    "bars 10k x 50": every_bar(lambda: wide(50)),
    "bars 10k x 1000": every_bar(lambda: broad(10_000, 1_000)),
    "bars 100k x 100": every_bar(lambda: broad(100_000, 100)),
    "bars 1M x 10": every_bar(lambda: broad(1_000_000, 10), 100 * data.CASH),
    "ticks of 10": {"kernel": lambda: engine(ticks(data.TICKS, 10), TurnsKernel(), data.CASH)},
    "ticks of 5": {"kernel": lambda: engine(ticks(data.TICKS, 5), TurnsKernel(), data.CASH)},
}
# What is no single run.
OTHERS: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {
    "W5": {"table": grid},
    "W5few": {"table": lambda: grid(2)},
    "W8atr10k": {"over": lambda: indicator("atr", data.GRID_BARS)},
    "W8rsi10k": {"over": lambda: indicator("rsi", data.GRID_BARS)},
    "W8atr": {"over": lambda: indicator("atr", data.SERIES)},
    "W8rsi": {"over": lambda: indicator("rsi", data.SERIES)},
}


def measured(make: Callable[[], Engine], repeat: int) -> dict[str, Any]:
    """Time runs of one engine; the median counts."""
    began = time.perf_counter()
    made = make()
    rows = sum(feed.frame.height for feed in made.data.feeds)
    loaded = time.perf_counter() - began
    runs, wholes = [], []
    for _ in range(repeat):
        gc.collect()
        began = time.perf_counter()
        results = made.run()
        wholes.append(time.perf_counter() - began)
        runs.append(results.run_info["durations_s"]["run"])
    seconds = statistics.median(runs)
    return {
        "run_s": round(seconds, 6),
        "whole_s": round(statistics.median(wholes), 6),
        "load_s": round(loaded, 6),
        "rows": rows,
        "rate": round(rows / seconds),
        "fills": results.fills.height,
        "trades": results.round_trips.height,
        "final_equity": round(results.portfolio_history["equity"][-1], 2),
    }


def main() -> None:
    """Run one."""
    workload, front = sys.argv[1:3]
    repeat = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    if workload in OTHERS:
        found = OTHERS[workload][front]()
    else:
        found = measured(WORKLOADS[workload][front], repeat)
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({"workload": workload, "front": front, **found, "peak_mb": peak}), flush=True)


if __name__ == "__main__":
    main()
