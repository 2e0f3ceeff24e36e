"""The same orders from every front end on W1 to W5: `python tests/bench/speed/fronts.py`.

A strategy in Python, a kernel, a table of weights or signals, and a list of orders must send the same orders
at the same instants and get the same prices; each is compared with the first, row by row. The list is made of
the orders that the strategy in Python sent. Where exits are those of rules, which watch the position and not
the clock, no list can hold them, and no kernel has them: there the table is compared with a strategy in
Python that is told the signals.

Averages that are equal differ in the last digit by how they were summed, and over a million minutes some are:
what is timed crosses at a few other minutes in a kernel. Here averages count in whole parts of a cent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import data
import numpy as np
import ours
import polars as pl

from ml4t.backtest import (
    CompositeRule,
    DataFeed,
    Engine,
    EntryExit,
    OrderList,
    Results,
    StopLoss,
    Strategy,
    TakeProfit,
)
from ml4t.backtest.indicators import SMA
from ml4t.native import Action, native_model

Make = Callable[[], Engine]
COLUMNS = ["symbol", "side", "quantity", "status", "filled_quantity", "avg_fill_price", "ts_submitted"]
PRINTS, MINUTES = data.TICKS, data.MINUTE_BARS * data.MINUTE_ASSETS


# 200 x a cent: an average of 50 or 200 prices in cents, times it, is a whole number.
PARTS = 20_000.0


class Cross(ours.Cross):
    """Holds shares while the fast average is above the slow one."""

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        """Update and trade."""
        symbol, close = event.asset, event.close
        fast, slow = (average.update(close) * PARTS for average in self.averages[symbol])
        is_up = slow == slow and round(fast) > round(slow)
        if is_up != self.held[symbol]:
            self.broker.order_target_quantity(symbol, data.SHARES if is_up else 0)
            self.held[symbol] = is_up


class CrossOfArrays(Strategy):
    """The same with averages that the engine keeps, one look at all assets an instant."""

    def on_start(self) -> None:
        """Declare the averages."""
        self.fast, self.slow = (self.track(SMA(n)).values for n in (data.FAST, data.SLOW))
        self.is_up = self.fast > self.slow

    def on_data(self, timestamp: Any, market: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Trade what has crossed."""
        is_up = np.rint(self.fast * PARTS) > np.rint(self.slow * PARTS)
        for k in np.flatnonzero(is_up != self.is_up):
            broker.order_target_quantity(market.symbols[k], data.SHARES if is_up[k] else 0)
        self.is_up = is_up


class Told(Strategy):
    """Enters and leaves by signals; rules watch the position."""

    def __init__(self, stop: float, target: float) -> None:
        self.rules = CompositeRule([StopLoss(pct=stop), TakeProfit(pct=target)])

    def on_start(self) -> None:
        """Set the rules."""
        self.broker.set_position_rules(self.rules)

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        """Enter when flat, leave when not."""
        is_flat = self.broker.get_position(event.asset) is None
        if event.model_id == "entry" and event.score and is_flat:
            self.broker.submit_order(event.asset, data.SHARES)
        elif event.model_id == "exit" and event.score and not is_flat:
            self.broker.order_target_quantity(event.asset, 0)


@native_model(
    kind="strategy", columns=("close",), state={"fast": 8, "slow": 8, "n": 8, "ring": 8 * data.SLOW}
)
@attrs.frozen
class CentsKernel:
    """Holds shares while the fast average is above the slow one; adds up cents, without rounding."""

    shares: float = float(data.SHARES)

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):  # noqa: ANN001, ANN205, PLR0913
        """Update and trade."""
        sent = 0
        for i in changed:
            close = np.round(columns[0, i] * 100.0)
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
            wanted = params.shares if 4.0 * state.fast[i] > state.slow[i] else 0.0
            if wanted != positions[i]:
                orders[sent].action = Action.TARGET
                orders[sent].asset = i
                orders[sent].quantity = wanted
                sent += 1
        return sent


def crossings(name: str, cash: float, feed: Callable[[pl.DataFrame], Any], rows: int | None) -> Engine:
    """Trade edges of the averages that the engine computes too, as a table."""
    frame = ours.symbols(data.table(name, rows))
    parts = []
    for part in frame.partition_by("symbol", maintain_order=True):
        close = part["close"].to_numpy()
        fast, slow = (np.rint(SMA(n).over(close) * PARTS) for n in (data.FAST, data.SLOW))
        is_up = pl.Series(fast > slow)
        parts.append(part.with_columns(up=is_up))
    found = pl.concat(parts)
    was_up = pl.col("up").shift(1).over("symbol").fill_null(value=False)
    found = found.with_columns(entry=pl.col("up") & ~was_up, exit=~pl.col("up") & was_up)
    found = found.filter(pl.col("entry") | pl.col("exit")).with_columns(
        pl.col("entry", "exit").cast(pl.Float64)
    )
    if feed is ours.daily_feed:
        stamp = pl.col("ts").dt.date().alias("session")
    else:
        stamp = (pl.col("ts") + pl.duration(minutes=1)).dt.replace_time_zone("UTC").alias("ts_event")
    table = EntryExit(found.select(stamp, "symbol", "entry", "exit"), quantity=data.SHARES)
    return ours.engine(feed(data.table(name, rows)), table, cash)


def rebalanced() -> dict[str, Make]:
    """Make the forms of the rebalance."""
    return ours.rebalance("panel", 100)


def ticked() -> dict[str, Make]:
    """Make the forms of the trades by count of prints."""
    return {
        "python": lambda: ours.engine(ours.ticks(PRINTS), ours.Ticker, data.CASH),
        "kernel": lambda: ours.engine(ours.ticks(PRINTS), ours.TickKernel(), data.CASH),
        "table": lambda: ours.listed_ticks(PRINTS),
    }


def ruled() -> dict[str, Make]:
    """Make the forms of entries with a stop and a target."""

    def told() -> Engine:
        frame = data.table("grid_bars")
        feed = ours.minute_feed(frame.drop("entry", "exit"))
        return ours.engine(feed, lambda: Told(0.05, 0.10), data.CASH, signals=ours.edges_of_grid(frame))

    return {"python": told, "table": ours.one_of_grid}


def crossed(
    name: str, count: int, cash: float, feed: Callable[..., Any], rows: int | None
) -> dict[str, Make]:
    """Make the forms of a crossover."""

    def of(made: Any) -> Make:  # noqa: ANN401
        return lambda: ours.engine(feed(data.table(name, rows)), made, cash)

    return {
        "python": of(lambda: Cross(count)),
        "arrays": of(CrossOfArrays),
        "kernel": of(CentsKernel()),
        "table": lambda: crossings(name, cash, feed, rows),
    }


# Of each workload: its data, its cash, its front ends.
WORKLOADS: dict[str, tuple[Callable[[], DataFeed], float, Callable[[], dict[str, Make]]]] = {
    "W1": (
        lambda: ours.daily_feed(data.table("daily")),
        data.CASH,
        lambda: crossed("daily", 1, data.CASH, ours.daily_feed, None),
    ),
    "W2": (lambda: ours.daily_feed(data.table("panel")), data.PANEL_CASH, rebalanced),
    "W3": (
        lambda: ours.minute_feed(data.table("minute", MINUTES)),
        data.MINUTE_CASH,
        lambda: crossed("minute", 7, data.MINUTE_CASH, ours.minute_feed, MINUTES),
    ),
    "W4": (lambda: ours.ticks(PRINTS), data.CASH, ticked),
    "W5": (lambda: ours.minute_feed(data.table("grid_bars").drop("entry", "exit")), data.CASH, ruled),
}


def listed(results: Results) -> OrderList:
    """Return the orders of a run as a list."""
    sign = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    quantity = (pl.col("quantity") * sign).cast(pl.Int64)
    return OrderList(results.orders.select(pl.col("ts_submitted").alias("ts_event"), "symbol", quantity))


def orders_of(results: Results) -> pl.DataFrame:
    """Return what was asked and what came of it; the sequence within an instant is that of the front end."""
    return results.orders.select(COLUMNS).sort("ts_submitted", "symbol", "side")


def compare(workload: str) -> Iterator[str]:
    """Run all forms of a workload; say how each compares."""
    feed, cash, forms = WORKLOADS[workload]
    first: pl.DataFrame | None = None
    left = list(forms().items())
    while left:
        name, make = left.pop(0)
        results = make().run()
        found = orders_of(results)
        first = found if first is None else first
        if name == "python" and workload != "W5":
            orders = listed(results)
            left.append(("orders", lambda orders=orders: ours.engine(feed(), orders, cash)))
        same = (
            "equal"
            if found.equals(first)
            else f"DIFFERENT: {found.join(first, on=COLUMNS, how='anti').height}"
        )
        equity = results.portfolio_history["equity"][-1]
        sizes = f"{found.height:>9,} orders {results.fills.height:>9,} fills {equity:>18,.2f}"
        yield f"{workload} {name:<8}{sizes}  {same}"


def main() -> None:
    """Compare what is asked for, or all; fail where something differs."""
    differs = False
    for workload in sys.argv[1:] or WORKLOADS:
        for line in compare(workload):
            print(line, flush=True)
            differs |= "DIFFERENT" in line
    sys.exit(differs)


if __name__ == "__main__":
    main()
