"""What an account costs with everything switched on: `python tests/bench/whole_account.py`.

500 instruments over ten years of days, rebalanced each month to the 50 with the best last 60 days, in Python.
Once as a plain cash account; once on margin (Reg T, liquidation), in three currencies with daily rates, with
conversion costs, borrow fees, interest, quarterly dividends of which 15 % are withheld, splits, a spin-off
and monthly payments from outside. Both in turn, in one process; what they did stands beside the time, and
what reading the data took apart from it. Of the ratios the one of the least times is the most steady, for
other work of the machine only ever adds to a time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest import Broker, Context, DataFeed, Engine, Instrument, PITData, Strategy, Timestamp
from ml4t.engine.results import Results

SEED, ASSETS, DAYS = 20261128, 500, 2520
CURRENCIES = ("USD", "USD", "EUR", "GBP")


class BestFifty(Strategy):
    """Holds the fifty instruments that rose most, equally weighted."""

    def __init__(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.calls += 1
        if self.calls < 61 or self.calls % 21:
            return
        closes = data.history("close", 61)
        risen = closes[-1] / closes[0]
        best = np.argsort(-np.nan_to_num(risen))[:50]
        chosen = {data.symbols[number]: 0.9 / 50 for number in sorted(best)}
        rest = {symbol: 0.0 for symbol in broker.positions if symbol not in chosen}
        broker.order_target_weights(rest | chosen)


def sessions() -> list[dt.date]:
    """Return weekdays; the calendar of the runs is 24/7."""
    first = dt.date(2014, 1, 6)
    days = (first + dt.timedelta(days=n) for n in range(2 * DAYS))
    return [day for day in days if day.weekday() < 5][:DAYS]


def market() -> pl.DataFrame:
    """Return random walks of 500 instruments."""
    draws = np.random.default_rng(SEED)
    close = 50 * np.exp(np.cumsum(draws.normal(0.0003, 0.015, (DAYS, ASSETS)), axis=0))
    opened = close * np.exp(draws.normal(0, 0.003, close.shape))
    names = np.array([f"S{number:03}" for number in range(ASSETS)])
    return pl.DataFrame(
        {
            "session": np.repeat(np.array(sessions(), dtype="datetime64[D]"), ASSETS),
            "symbol": np.tile(names, DAYS),
            "open": opened.ravel(),
            "high": np.maximum(opened, close).ravel() * 1.002,
            "low": np.minimum(opened, close).ravel() * 0.998,
            "close": close.ravel(),
            "volume": np.full(DAYS * ASSETS, 1e6),
        }
    )


def actions() -> pl.DataFrame:
    """Return quarterly dividends of all, a split of every tenth a few years in, and one spin-off."""
    days, rows = sessions(), []
    for number in range(ASSETS):
        for day in range(40 + number % 60, DAYS - 10, 63):
            row = {"symbol": f"S{number:03}", "ex_date": days[day], "kind": "cash_dividend", "amount": "0.11"}
            rows.append(row | {"pay_date": days[day + 10], "withholding": "0.15"})
        if number % 10 == 0:
            row = {"symbol": f"S{number:03}", "ex_date": days[800 + number], "kind": "split", "ratio": "2"}
            rows.append(row)
    spin = {"symbol": "S001", "ex_date": days[1500], "kind": "spin_off", "ratio": "1/10", "amount": "0.5"}
    rows.append(spin | {"into": "S005"})
    names = ("symbol", "ex_date", "kind", "ratio", "amount", "pay_date", "withholding", "into")
    schema = dict.fromkeys(names, pl.String) | dict.fromkeys(("ex_date", "pay_date"), pl.Date)
    return pl.DataFrame([{name: row.get(name) for name in names} for row in rows], schema=schema)


def rates() -> pl.DataFrame:
    """Return a rate of each day for two currencies."""
    draws = np.random.default_rng(SEED + 1)
    days = sessions()
    frames = []
    for pair, level in (("EURUSD", 1.1), ("GBPUSD", 1.3)):
        walk = level * np.exp(np.cumsum(draws.normal(0, 0.004, DAYS)))
        frames.append(pl.DataFrame({"pair": pair, "ts_event": days, "rate": walk}))
    time_type = pl.Datetime("ns", "UTC")
    return pl.concat(frames).with_columns(pl.col("ts_event").cast(pl.Datetime("ns")).cast(time_type))


def engine(frame: pl.DataFrame, *, whole: bool) -> Engine:
    """Return one of the two accounts."""
    broker: dict[str, Any] = {"initial_cash": 10_000_000}
    given: dict[str, Any] = {}
    if not whole:
        instruments = [Instrument(f"S{number:03}", calendar="24/7") for number in range(ASSETS)]
        feed = DataFeed(frame, stamp="session", instruments=instruments)
        return Engine(feed, BestFifty, config={"broker": broker})
    instruments = [
        Instrument(f"S{number:03}", calendar="24/7", currency=CURRENCIES[number % 4])
        for number in range(ASSETS)
    ]
    feed = DataFeed(frame, stamp="session", instruments=instruments, actions=actions())
    broker |= {
        "allows_short": True,
        "margin_model": {"type": "RegT"},
        "liquidation_model": {"type": "LargestLoserFirst"},
        "borrow_model": {"type": "BorrowFee", "rate": 0.01},
        "interest_model": {"type": "CashInterest", "credit": 0.01, "debit": 0.05},
        "fx_model": {"type": "FxSpread", "spread": 0.0002},
        "conversion": "always",
    }
    days = sessions()[30:-1:21]
    given["cash_flows"] = pl.DataFrame(
        {
            "ts_event": pl.Series(days).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
            "amount": [10_000.0] * len(days),
        }
    )
    return Engine(feed, BestFifty, config={"broker": broker}, fx=rates(), **given)


def timed(frame: pl.DataFrame, *, whole: bool) -> tuple[float, float, Results]:
    """Return seconds of reading the data and of the run, and its results."""
    ready = engine(frame, whole=whole)
    begin = time.perf_counter()
    assert ready.data.feeds
    between = time.perf_counter()
    results = ready.run()
    return between - begin, time.perf_counter() - between, results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    frame = market()
    seconds: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for _ in range(runs):
        for whole in (False, True):
            read, spent, results = timed(frame, whole=whole)
            seconds[whole].append((spent, read + spent))
            nav = results.portfolio_history["equity"][-1]
            print(
                f"{'whole' if whole else 'plain'}: {spent:.2f} s after {read:.2f} s of reading, "
                f"{results.fills.height:,} fills, "
                f"{results.ledger.height:,} postings, final equity {nav:,.2f}"
            )
    for what, at in {"run": 0, "reading and run": 1}.items():
        for name, choose in {"least": min, "median": statistics.median}.items():
            plain, full = (choose([times[at] for times in seconds[whole]]) for whole in (False, True))
            ratio = f"ratio {full / plain:.2f} ({name} of {runs})"
            print(f"{what}: plain {plain:.3f} s, whole {full:.3f} s, {ratio}")


if __name__ == "__main__":
    main()
