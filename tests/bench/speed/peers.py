# ruff: noqa: C901, FBT003
"""The workloads on other engines: `PYTHON tests/bench/speed/peers.py PEER WORKLOAD`, with the peer's Python.

Prints one JSON line as `ours.py` does. Data are loaded before the clock starts; of three runs the median
counts, and the first, which compiles, does not. `limit` is a loop in numba that does nothing but arithmetic.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

Made = Any
FOLDER = Path(os.environ.get("ML4T_BENCH_DATA", Path(__file__).resolve().parents[3] / ".cache" / "bench"))
FEE, SHARES, CASH = 0.001, 100.0, 1_000_000.0
FAST, SLOW, EVERY = 50, 200, 10_000
PERIOD, FEW, SETTLED = 14, 10_000, 1_000


def columns(name: str, *wanted: str, assets: int = 1) -> list[Any]:
    """Return columns of a table, of a panel one row a bar."""
    from pyarrow import parquet

    table = parquet.read_table(FOLDER / f"{name}.parquet", columns=list(wanted))
    found = [table.column(each).to_numpy() for each in wanted]
    return [np.ascontiguousarray(each.reshape(-1, assets)) if assets > 1 else each for each in found]


def timed(work: Made, repeat: int = 3) -> dict[str, Any]:
    """Time what `work` does; it answers what came of it."""
    found = work()
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return {"run_s": round(statistics.median(seconds), 6), **found}


def agreement(found: dict[str, Any], wanted: Made) -> dict[str, Any]:
    """Replace values by how far they are from those of the textbook, at the start and after it."""
    values = np.asarray(found.pop("values"))
    apart = np.abs(values - wanted)
    return found | {
        "answers": int((~np.isnan(values)).sum()),
        "apart_at_start": float(np.nanmax(apart[:SETTLED])),
        "apart": float(np.nanmax(apart[SETTLED:])),
    }


def indicators(workload: str, atr: Made, rsi: Made) -> dict[str, Any]:
    """Run W8 with the functions of a peer; `10k` at its end takes the first rows alone."""
    name, rows = workload[2:5], FEW if workload.endswith("10k") else None
    high, low, close, wanted = (
        np.ascontiguousarray(each[:rows]) for each in columns("series", "high", "low", "close", name)
    )

    def work() -> dict[str, Any]:
        return {"values": atr(high, low, close) if name == "atr" else rsi(close)}

    return agreement(timed(work, repeat=30 if rows else 7), wanted)


# -- numba: the arithmetic alone -----------------------------------------------------------------------------


def limit_of_grid(workload: str) -> dict[str, Any]:
    """Run the arithmetic of entries with a stop and a target."""
    import numba

    @numba.njit
    def brackets(bars: Made, stop: float, target: float) -> Made:
        opens, high, low, close, entry, leave = bars
        held = least = most = 0.0
        cash, trades, wanted = CASH, 0, 0
        for i in range(len(close)):
            if wanted == 1 and held == 0.0:
                held = SHARES
                cash -= held * opens[i] * (1.0 + FEE)
                least, most = opens[i] * (1.0 - stop), opens[i] * (1.0 + target)
            elif wanted == -1 and held > 0.0:
                cash += held * opens[i] * (1.0 - FEE)
                held = 0.0
                trades += 1
            if held > 0.0 and (low[i] <= least or high[i] >= most):
                price = min(opens[i], least) if low[i] <= least else max(opens[i], most)
                cash += held * price * (1.0 - FEE)
                held = 0.0
                trades += 1
            wanted = 1 if entry[i] else -1 if leave[i] else 0
        return cash + held * close[-1], trades

    @numba.njit
    def sweep(bars: Made, stops: Made, targets: Made) -> Made:
        equity, trades = 0.0, 0
        for k in range(len(stops)):
            last, closed = brackets(bars, stops[k], targets[k])
            equity += last / len(stops)
            trades += closed
        return equity, trades

    bars = tuple(columns("grid_bars", "open", "high", "low", "close", "entry", "exit"))
    stops, targets = columns("pairs", "stop", "target")
    if workload == "W5single":
        stops, targets = np.array([0.05]), np.array([0.10])

    def work() -> dict[str, Any]:
        equity, trades = sweep(bars, stops, targets)
        counted = {"fills": 2 * trades} if workload == "W5single" else {"trades": trades}
        return counted | {"final_equity": round(equity, 2)}

    return timed(work)


def limit_of_ticks() -> dict[str, Any]:
    """Run two averages over ticks, and a trade at every so many."""
    import numba

    @numba.njit
    def toggle(price: Made) -> Made:
        fast = slow = held = target = 0.0
        cash, fills, above = CASH, 0, 0
        for i in range(len(price)):
            if target != held:
                change = target - held
                cash -= change * price[i] + abs(change) * price[i] * FEE
                held = target
                fills += 1
            fast += price[i]
            slow += price[i]
            if i >= FAST:
                fast -= price[i - FAST]
            if i >= SLOW:
                slow -= price[i - SLOW]
            # What nobody asks for would not be computed.
            above += fast / FAST > slow / SLOW
            if (i + 1) % EVERY == 0:
                target = 1.0 - held
        return fills, cash + held * price[-1], above

    (price,) = columns("ticks", "price")

    def work() -> dict[str, Any]:
        fills, equity, _ = toggle(price)
        return {"fills": int(fills), "final_equity": round(float(equity), 2)}

    return timed(work)


def limit_of_python() -> dict[str, Any]:
    """Run the strategy of an order at every bar in Python, with an account of one line."""
    opens, close = columns("wide", "open", "close", assets=100)
    rows, assets = list(close), close.shape[1]

    def work() -> dict[str, Any]:
        total, cash, fills = 0.0, 10 * CASH, 0
        held, order = [0.0] * assets, None
        for i, row in enumerate(rows):
            if order is not None:
                k, quantity = order
                price = opens[i, k]
                cash -= quantity * price + abs(quantity) * price * FEE
                held[k] += quantity
                fills += 1
            total += float(row.sum())
            k = i % assets
            order = k, -SHARES if held[k] else SHARES
        equity = cash + sum(each * price for each, price in zip(held, rows[-1], strict=True))
        return {"fills": fills, "final_equity": round(float(equity), 2)}

    return timed(work)


def limit_of_indicators(workload: str) -> dict[str, Any]:
    """Run Wilder's averages."""
    import numba

    @numba.njit
    def atr(high: Made, low: Made, close: Made) -> Made:
        found, average = np.full(len(close), np.nan), 0.0
        for i in range(len(close)):
            width = high[i] - low[i]
            if i > 0:
                width = max(width, abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
            average += width / PERIOD if i < PERIOD else (width - average) / PERIOD
            if i >= PERIOD - 1:
                found[i] = average
        return found

    @numba.njit
    def rsi(close: Made) -> Made:
        found, gain, loss = np.full(len(close), np.nan), 0.0, 0.0
        for i in range(1, len(close)):
            change = close[i] - close[i - 1]
            up, down = max(change, 0.0), max(-change, 0.0)
            if i <= PERIOD:
                gain += up / PERIOD
                loss += down / PERIOD
            else:
                gain += (up - gain) / PERIOD
                loss += (down - loss) / PERIOD
            if i >= PERIOD:
                found[i] = 100.0 * gain / (gain + loss)
        return found

    return indicators(workload, atr, rsi)


def limit(workload: str) -> dict[str, Any]:
    """Run the arithmetic of a workload."""
    import numba

    if workload.startswith("W5"):
        return limit_of_grid(workload)
    if workload.startswith("W8"):
        return limit_of_indicators(workload)
    if workload in ("W4", "W7"):
        return limit_of_ticks() if workload == "W4" else limit_of_python()

    @numba.njit
    def cross(opens: Made, close: Made, cash: float, equity: Made) -> Made:
        fast = slow = held = target = 0.0
        fills = 0
        for i in range(len(close)):
            if target != held:
                change = target - held
                cash -= change * opens[i] + abs(change) * opens[i] * FEE
                held = target
                fills += 1
            fast += close[i]
            slow += close[i]
            if i >= FAST:
                fast -= close[i - FAST]
            if i >= SLOW:
                slow -= close[i - SLOW]
            if i >= SLOW - 1:
                target = SHARES if fast / FAST > slow / SLOW else 0.0
            equity[i] += cash + held * close[i]
        return fills

    @numba.njit
    def rebalance(opens: Made, close: Made, signal: Made, top: int, cash: float) -> Made:
        n, k = close.shape
        held, target = np.zeros(k), np.zeros(k)
        fills, equity = 0, cash
        for i in range(n):
            for j in range(k):
                change = target[j] - held[j]
                if change != 0.0:
                    cash -= change * opens[i, j] + abs(change) * opens[i, j] * FEE
                    held[j] = target[j]
                    fills += 1
            equity = cash
            for j in range(k):
                equity += held[j] * close[i, j]
            least = np.partition(signal[i], k - top)[k - top]
            for j in range(k):
                target[j] = np.floor(equity * 0.99 / top / close[i, j]) if signal[i, j] >= least else 0.0
        return fills, equity

    if workload in ("W1", "W3"):
        name, assets, cash = ("daily", 1, CASH) if workload == "W1" else ("minute", 7, 10 * CASH)
        opens, close = (each.reshape(-1, assets) for each in columns(name, "open", "close", assets=assets))
        pairs = [
            (np.ascontiguousarray(opens[:, k]), np.ascontiguousarray(close[:, k])) for k in range(assets)
        ]

        def work() -> dict[str, Any]:
            equity = np.full(len(close), cash if assets > 1 else 0.0)
            start = 0.0 if assets > 1 else cash
            fills = sum(cross(o, c, start, equity) for o, c in pairs)
            return {"fills": int(fills), "final_equity": round(float(equity[-1]), 2)}

        return timed(work)
    assets, top = (1000, 100) if workload == "W2" else (500, 50)
    table = [each[:, :assets].copy() for each in columns("panel", "open", "close", "signal", assets=1000)]

    def work_of_panel() -> dict[str, Any]:
        fills, equity = rebalance(*table, top, 10 * CASH)
        return {"fills": int(fills), "final_equity": round(float(equity), 2)}

    return timed(work_of_panel)


# -- vectorbt ------------------------------------------------------------------------------------------------


def vectorbt(workload: str) -> dict[str, Any]:
    """Run a workload on vectorbt: signals shifted by a bar, filled at the open."""
    import pandas as pd
    import vectorbt as vbt

    if workload in ("W1", "W3"):
        name, assets, cash = ("daily", 1, CASH) if workload == "W1" else ("minute", 7, 10 * CASH)
        opens, close = (pd.DataFrame(each) for each in columns(name, "open", "close", assets=assets))

        def cross() -> dict[str, Any]:
            fast, slow = (vbt.MA.run(close, n).ma.to_numpy() for n in (FAST, SLOW))
            up = (fast > slow) & ~np.isnan(slow)
            up = up.reshape(len(close), -1)
            shifted = np.vstack([np.zeros((1, up.shape[1]), bool), up[:-1]])
            portfolio = vbt.Portfolio.from_signals(
                close,
                shifted,
                ~shifted,
                price=opens,
                size=SHARES,
                size_type="amount",
                fees=FEE,
                init_cash=cash,
                freq="1min",
                cash_sharing=True,
                group_by=True,
            )
            value = portfolio.value()
            return {
                "fills": len(portfolio.orders.records_arr),
                "final_equity": round(float(value.iloc[-1]), 2),
            }

        return timed(cross)
    if workload in ("W2", "W6"):
        assets, top = (1000, 100) if workload == "W2" else (500, 50)
        opens, close, signal = columns("panel", "open", "close", "signal", assets=1000)
        opens, close = pd.DataFrame(opens[:, :assets]), pd.DataFrame(close[:, :assets])
        signal = signal[:, :assets]

        def rebalance() -> dict[str, Any]:
            least = np.partition(signal, assets - top, axis=1)[:, assets - top][:, None]
            weight = np.where(signal >= least, 0.99 / top, 0.0)
            weight = np.vstack([np.full((1, assets), np.nan), weight[:-1]])
            portfolio = vbt.Portfolio.from_orders(
                close,
                size=weight,
                size_type="targetpercent",
                price=opens,
                fees=FEE,
                group_by=True,
                cash_sharing=True,
                call_seq="auto",
                init_cash=10 * CASH,
                freq="1D",
            )
            value = portfolio.value()
            return {
                "fills": len(portfolio.orders.records_arr),
                "final_equity": round(float(value.iloc[-1]), 2),
            }

        return timed(rebalance)
    opens, high, low, close, entry, leave = columns(
        "grid_bars", "open", "high", "low", "close", "entry", "exit"
    )
    entry, leave = np.r_[False, entry[:-1]], np.r_[False, leave[:-1]]
    stops, targets = columns("pairs", "stop", "target")
    if workload == "W5single":
        stops, targets = np.array([0.05]), np.array([0.10])
    shape = (len(close), len(stops))

    def grid() -> dict[str, Any]:
        portfolio = vbt.Portfolio.from_signals(
            pd.DataFrame(np.broadcast_to(close[:, None], shape)),
            entry[:, None],
            leave[:, None],
            price=opens[:, None],
            open=opens[:, None],
            high=high[:, None],
            low=low[:, None],
            sl_stop=stops[None, :],
            tp_stop=targets[None, :],
            size=SHARES,
            fees=FEE,
            init_cash=CASH,
            freq="1min",
            stop_entry_price="fillprice",
        )
        equity = round(float(np.mean(np.asarray(portfolio.final_value()))), 2)
        if workload == "W5single":
            return {"fills": len(portfolio.orders.records_arr), "final_equity": equity}
        closed = int((portfolio.trades.records_arr["status"] == 1).sum())
        return {"trades": closed, "final_equity": equity}

    return timed(grid)


# -- raptorbt ------------------------------------------------------------------------------------------------


def raptorbt_of_grid(workload: str) -> dict[str, Any]:
    """Run pairs of a stop and a target in one batch, on all processors."""
    import raptorbt as rb

    stamps, *bars, entry, leave = columns(
        "grid_bars", "ts", "open", "high", "low", "close", "volume", "entry", "exit"
    )
    stamps = np.ascontiguousarray(stamps.astype("datetime64[ns]").astype(np.int64))
    bars = [np.ascontiguousarray(each) for each in bars]
    sizes = SHARES * np.r_[bars[0][1:], bars[0][-1]] / CASH
    pairs = list(zip(*columns("pairs", "stop", "target"), strict=True))

    def settings(stop: float, target: float) -> Made:
        made = rb.BacktestConfig(initial_capital=CASH, fees=FEE, slippage=0.0, fill_timing="next_bar_open")
        made.set_fixed_stop(stop)
        made.set_fixed_target(target)
        return made

    def single() -> dict[str, Any]:
        config = settings(0.05, 0.10)
        found = rb.run_single_backtest(
            stamps, *bars, entry, leave, 1, 1.0, "A", config, position_sizes=sizes
        ).metrics
        return {"fills": 2 * found.total_closed_trades, "final_equity": round(found.end_value, 2)}

    def batch() -> dict[str, Any]:
        items = [
            rb.BatchSingleItem(str(k), entry, leave, 1, 1.0, "A", settings(*pair), sizes)
            for k, pair in enumerate(pairs)
        ]
        found = [each.metrics for _, each in rb.batch_single_backtest(stamps, *bars, items)]
        equity = sum(each.end_value for each in found) / len(found)
        return {
            "trades": sum(each.total_closed_trades for each in found),
            "final_equity": round(equity, 2),
        }

    return timed(single if workload == "W5single" else batch)


def raptorbt(workload: str) -> dict[str, Any]:
    """Run a workload on raptorbt's path for arrays: signals known beforehand."""
    import raptorbt as rb

    if workload.startswith("W8"):
        return indicators(workload, lambda *bars: rb.atr(*bars, PERIOD), lambda close: rb.rsi(close, PERIOD))
    if workload.startswith("W5"):
        return raptorbt_of_grid(workload)
    settings = {"fees": FEE, "slippage": 0.0, "fill_timing": "next_bar_open"}

    def edges(close: Made) -> Made:
        fast, slow = rb.sma(close, FAST), rb.sma(close, SLOW)
        up = (fast > slow) & ~np.isnan(slow)
        before = np.r_[False, up[:-1]]
        return up & ~before, ~up & before

    if workload == "W4":
        (stamps, price) = columns("ticks", "ts", "price")
        stamps = np.ascontiguousarray(stamps.astype("datetime64[ns]").astype(np.int64))
        n = len(price)
        zeros, entry, leave = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
        marks = np.arange(EVERY - 1, n, EVERY)
        entry[marks[::2]], leave[marks[1::2]] = True, True

        def ticks() -> dict[str, Any]:
            found = rb.run_tick_backtest(
                stamps, price, price, price, zeros, zeros, zeros, entry, leave, "A", CASH, FEE, 0.0
            )
            trades = found.metrics.total_closed_trades
            return {"fills": 2 * trades, "final_equity": round(found.metrics.end_value, 2)}

        return timed(ticks)
    name, assets, cash = ("daily", 1, CASH) if workload == "W1" else ("minute", 7, 10 * CASH)
    wanted = ("open", "high", "low", "close", "volume")
    stamps, *panel = columns(name, "ts", *wanted, assets=assets)
    stamps = np.ascontiguousarray(stamps.reshape(-1, assets)[:, 0].astype("datetime64[ns]").astype(np.int64))
    bars = [[np.ascontiguousarray(each.reshape(-1, assets)[:, k]) for each in panel] for k in range(assets)]
    sizes = [SHARES * np.r_[each[0][1:], each[0][-1]] / cash for each in bars]

    def cross() -> dict[str, Any]:
        trades, equity = 0, cash
        for k, each in enumerate(bars):
            entry, leave = edges(each[3])
            config = rb.BacktestConfig(initial_capital=cash, **settings)
            found = rb.run_single_backtest(
                stamps, *each, entry, leave, 1, 1.0, str(k), config, position_sizes=sizes[k]
            )
            trades += found.metrics.total_closed_trades
            equity += found.metrics.end_value - cash
        return {"fills": 2 * trades, "final_equity": round(equity, 2)}

    return timed(cross)


# -- hftbacktest ---------------------------------------------------------------------------------------------


def hftbacktest(workload: str) -> dict[str, Any]:
    """Run the ticks on hftbacktest: a strategy in numba, a static book, every print seen."""
    import hftbacktest as hft
    from hftbacktest.order import IOC, LIMIT
    from hftbacktest.types import event_dtype
    from numba import njit

    every = EVERY if workload == "W4" else 0

    @njit
    def strategy(market: Made, every: int) -> int:
        seen, held, number = 0, 0, 1
        while market.wait_next_feed(False, 10_000_000_000) in (0, 2):
            seen += 1
            if every > 0 and seen % every == 0:
                if held == 0:
                    market.submit_buy_order(0, number, 20000.0, 1.0, IOC, LIMIT, False)
                    held = 1
                else:
                    market.submit_sell_order(0, number, 1.0, 1.0, IOC, LIMIT, False)
                    held = 0
                number += 1
            if seen % 1000 == 0:
                market.clear_inactive_orders(0)
                market.clear_last_trades(0)
        return seen

    stamps, price, size, side = columns("ticks", "ts", "price", "size", "side")
    stamps = stamps.astype("datetime64[ns]").astype(np.int64)
    events = np.zeros(len(price) + 2, event_dtype)
    both = hft.EXCH_EVENT | hft.LOCAL_EVENT
    events["ev"][2:] = hft.TRADE_EVENT | both | np.where(side == 1, hft.BUY_EVENT, hft.SELL_EVENT)
    events["ev"][0] = hft.DEPTH_EVENT | both | hft.BUY_EVENT
    events["ev"][1] = hft.DEPTH_EVENT | both | hft.SELL_EVENT
    for name in ("exch_ts", "local_ts"):
        events[name][2:] = stamps
        events[name][:2] = stamps[0] - 1
    events["px"][2:], events["qty"][2:] = price, size
    events["px"][0], events["px"][1], events["qty"][:2] = 9_999.99, 10_000.01, 1e9

    def ticks() -> dict[str, Any]:
        asset = (
            hft.BacktestAsset()
            .data([events])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(FEE, FEE)
            .tick_size(0.01)
            .lot_size(1.0)
            .last_trades_capacity(2000)
        )
        market = hft.HashMapMarketDepthBacktest([asset])
        strategy(market, every)
        state = market.state_values(0)
        equity = CASH + float(state.balance) + float(state.position) * 10_000.0 - float(state.fee)
        found = {"fills": int(state.num_trades), "final_equity": round(equity, 2)}
        market.close()
        return found

    return timed(ticks)


# -- backtesting.py and ml4t 0.1 -----------------------------------------------------------------------------


def backtesting(workload: str) -> dict[str, Any]:
    """Run the daily crossover on backtesting.py."""
    import pandas as pd
    from backtesting import Backtest, Strategy

    stamps, *bars = columns("daily", "ts", "open", "high", "low", "close", "volume")
    names = ["Open", "High", "Low", "Close", "Volume"]
    frame = pd.DataFrame(dict(zip(names, bars, strict=True)), index=pd.DatetimeIndex(stamps))

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            close = pd.Series(self.data.Close)
            self.fast = self.I(lambda: close.rolling(FAST).mean())
            self.slow = self.I(lambda: close.rolling(SLOW).mean())

        def next(self) -> None:
            if self.fast[-1] > self.slow[-1]:
                if not self.position:
                    self.buy(size=int(SHARES))
            elif self.position:
                self.position.close()

    def cross() -> dict[str, Any]:
        found = Backtest(frame, Cross, cash=CASH, commission=FEE, finalize_trades=False).run()
        return {
            "fills": 2 * int(found["# Trades"]),
            "final_equity": round(float(found["Equity Final [$]"]), 2),
        }

    return timed(cross)


def upstream(workload: str) -> dict[str, Any]:
    """Run orders at every bar, or the rebalance, on ml4t-backtest 0.1."""
    import polars as pl

    from ml4t.backtest import BacktestConfig, DataFeed, Engine, Strategy
    from ml4t.backtest.config import CommissionType, ShareType, SlippageType

    sizes = {"W7": 100, "bars 10k x 50": 50, "bars 10k x 10": 10}
    name, assets = ("half", 500) if workload == "W6" else ("wide", sizes[workload])
    table = pl.read_parquet(FOLDER / f"{name}.parquet").rename({"ts": "timestamp"})
    table = table.filter(pl.col("asset") < assets)
    table = table.with_columns(pl.format("A{}", pl.col("asset")).alias("asset"))
    prices = table.select("timestamp", "asset", "open", "high", "low", "close", "volume")
    signals = table.select("timestamp", "asset", "signal") if workload == "W6" else None

    class EveryBar(Strategy):  # type: ignore[misc]
        bars, total = 0, 0.0

        def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
            total = 0.0
            for bar in data.values():
                total += bar["close"]
            self.total += total
            asset = f"A{self.bars % assets}"
            self.bars += 1
            broker.submit_order(asset, 100 if broker.get_position(asset) is None else -100)

    class Rebalance(Strategy):  # type: ignore[misc]
        def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
            names = sorted(data, key=lambda asset: data[asset]["signals"]["signal"])[-50:]
            broker.rebalance_to_weights(dict.fromkeys(names, 0.99 / 50))

    def work() -> dict[str, Any]:
        config = BacktestConfig(
            initial_cash=10 * CASH,
            commission_type=CommissionType.PERCENTAGE,
            commission_rate=FEE,
            slippage_type=SlippageType.NONE,
            slippage_rate=0.0,
            share_type=ShareType.INTEGER,
        )
        feed = DataFeed(prices_df=prices, signals_df=signals)
        engine = Engine(feed, Rebalance() if workload == "W6" else EveryBar(), config)
        found = engine.run()
        return {
            "fills": len(found.fills),
            "final_equity": round(float(engine.equity_curve[-1][1]), 2),
            "rows": table.height,
        }

    return timed(work, repeat=1)


# -- indicators ----------------------------------------------------------------------------------------------


def talib(workload: str) -> dict[str, Any]:
    """Run W8 on TA-Lib."""
    import talib as ta

    return indicators(workload, lambda *bars: ta.ATR(*bars, PERIOD), lambda close: ta.RSI(close, PERIOD))


PEERS = {
    each.__name__: each for each in (limit, vectorbt, raptorbt, hftbacktest, backtesting, upstream, talib)
}

if __name__ == "__main__":
    peer, wanted = sys.argv[1:3]
    print(json.dumps({"workload": wanted, "front": peer, **PEERS[peer](wanted)}), flush=True)
