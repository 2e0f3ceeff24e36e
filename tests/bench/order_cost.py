"""What a working order costs at every event: `nox -s bench`, or `python tests/bench/order_cost.py`.

The cost has to be linear in the live orders of the instrument that moved, and nothing else: orders that ended
and orders of instruments that stand still must not show. Each line is the median of several runs; what was
computed stands beside the time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time

import polars as pl

from ml4t.backtest import Broker, Context, DataFeed, Engine, PITData, Strategy, Timestamp

START = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)


class Sender(Strategy):
    """Sends limit orders that never fill at the first instant, takes some of them back, then only watches."""

    def __init__(self, symbol: str, live: int, ended: int) -> None:
        """Remember how many."""
        self.symbol, self.live, self.ended = symbol, live, ended
        self.calls = 0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        """Act twice."""
        if self.calls == 0:
            for _ in range(self.live):
                broker.buy(self.symbol, 1, limit_price=1)
            self.doomed = [broker.buy(self.symbol, 1, limit_price=1) for _ in range(self.ended)]
        elif self.calls == 1:
            for order in self.doomed:
                order.cancel()
        self.calls += 1


def market(bars: int) -> DataFeed:
    """Return `bars` minutes of A, and two bars of B at the beginning."""
    rows = pl.DataFrame({"minute": range(bars)}).with_columns(
        (pl.lit(START) + pl.duration(minutes=pl.col("minute"))).alias("timestamp"), symbol=pl.lit("A")
    )
    rows = pl.concat([rows, rows.head(2).with_columns(symbol=pl.lit("B"))]).drop("minute")
    price = 100 + (pl.int_range(pl.len()) % 7) / 10
    rows = rows.with_columns(open=price, high=price + 0.5, low=price - 0.5, close=price, volume=1e6)
    return DataFeed(rows, stamp="open", interval="1m", calendar="24/7")


def seconds(feed: DataFeed, symbol: str, live: int, ended: int, runs: int) -> tuple[float, int]:
    """Median time of a run, and how many orders were open at its end."""
    times = []
    for _ in range(runs):
        engine = Engine(
            feed, lambda: Sender(symbol, live, ended), config={"broker": {"initial_cash": "1000000000"}}
        )
        started = time.perf_counter()
        results = engine.run()
        times.append(time.perf_counter() - started)
    left = results.orders.filter(pl.col("reason_code") == "END_OF_DATA").height
    return statistics.median(times), left


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    feed = market(options.bars)
    few = market(3)
    print(f"{options.bars:,} bars of A; orders at the end stand for what was computed")
    print(f"{'orders':<44}{'open at end':>12}{'seconds':>10}{'ns per order and bar':>22}")

    def line(label: str, symbol: str, live: int, ended: int) -> None:
        # Sending, canceling and writing down is taken off: it is what a market of three bars costs.
        base, _ = seconds(few, symbol, live, ended, options.runs)
        taken, left = seconds(feed, symbol, live, ended, options.runs)
        idle, _ = seconds(feed, symbol, 0, 0, options.runs)
        share = (taken - base - idle) / (options.bars * max(live + ended, 1)) * 1e9
        print(f"{label:<44}{left:>12,}{taken:>10.3f}{share:>22.3f}")

    for count in (10, 100, 1_000):
        line(f"{count:,} live orders of A", "A", count, 0)
    for count in (1_000, 10_000, 100_000):
        line(f"{count:,} orders of A that were canceled", "A", 0, count)
    for count in (100, 1_000, 10_000):
        line(f"{count:,} live orders of B, which stands still", "B", count, 0)


if __name__ == "__main__":
    main()
