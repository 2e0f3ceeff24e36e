"""Execution algorithms as kernels: machine code and Python trade alike in whole runs."""

from __future__ import annotations

import ctypes
import datetime as dt
import math
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core import types
from ml4t.core.errors import ConfigError, ModelError
from ml4t.native import GIVE_UP, Action, Life, NativeState, OrderType, load, native_model, struct, unset
from ml4t.native.kernel import missing
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")
executors = pytest.importorskip("ml4t.backtest.executors")

HERE = Path(__file__).parent
TABLES = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")
MOST_RECORDS = 64
RAISED = 'the kernel raised an exception; a run with backtest.native = "never" shows it'

needs_numba = pytest.mark.skipif(missing() is not None, reason=str(missing()))


# ------------------------------------------------------------------------------------------ algorithms


@native_model(kind="executor", average_days="days")
@attrs.frozen
class Participation:
    """Trades a share of what the market trades, or shows; at most a part of an average day at once."""

    rate: float = 0.1
    part: float = 0.02
    days: int = 3

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        seen = ctx.volume
        if math.isnan(seen):
            seen = ctx.ask_size if ctx.side > 0 else ctx.bid_size
        if math.isnan(seen):
            return 0
        wanted = min(params.rate * seen, ctx.quantity - ctx.filled - ctx.working)
        if not math.isnan(ctx.average_volume):
            wanted = min(wanted, params.part * ctx.average_volume)
        lots = math.floor(wanted / ctx.lot_size)
        if lots < 1:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = ctx.side * lots * ctx.lot_size
        return 1


@native_model(kind="executor", n_random=1)
@attrs.frozen
class Twap:
    """Trades evenly over some sessions, by amounts that a draw makes uneven."""

    sessions: float = 10.0

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        share = min((ctx.elapsed + 0.2 * ctx.random[0]) / params.sessions, 1.0)
        lots = math.floor((ctx.quantity * share - ctx.filled - ctx.working) / ctx.lot_size)
        if lots < 1:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = ctx.side * lots * ctx.lot_size
        return 1


@native_model(kind="executor", state={"sent": 1, "limit": 1, "waited": 1})
@attrs.frozen
class Pegged:
    """Rests near the market and follows it; now and then takes a part of what rests to the market."""

    ticks: int = 10
    patience: int = 4

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        price = ctx.price
        if not math.isnan(ctx.bid):
            price = ctx.bid if ctx.side > 0 else ctx.ask
        if math.isnan(price):
            return 0
        limit = (round(price / ctx.tick_size) - ctx.side * params.ticks) * ctx.tick_size
        left, n = ctx.quantity - ctx.filled - ctx.working, 0
        if len(open_orders) > 0 and state.waited[0] < params.patience:
            state.waited[0] += 1.0
            if limit == state.limit[0]:
                return 0
            orders[0].action = Action.MODIFY
            orders[0].client_id = open_orders[0].client_id
            orders[0].limit_price = limit
            state.limit[0] = limit
            return 1
        for k in range(len(open_orders)):
            orders[n].action = Action.CANCEL
            orders[n].client_id = open_orders[k].client_id
            left += abs(open_orders[k].leaves_quantity)
            n += 1
        lots = math.floor(left / ctx.lot_size)
        now = min(lots, 3) if n > 0 else 0
        if now > 0:
            orders[n].action = Action.NEW
            orders[n].order_type = OrderType.MARKET
            orders[n].quantity = ctx.side * now * ctx.lot_size
            n += 1
        if lots > now:
            state.sent[0] += 1.0
            state.limit[0] = limit
            state.waited[0] = 0.0
            orders[n].action = Action.NEW
            orders[n].order_type = OrderType.LIMIT
            orders[n].client_id = int(state.sent[0])
            orders[n].quantity = ctx.side * (lots - now) * ctx.lot_size
            orders[n].limit_price = limit
            n += 1
        return n


@native_model(kind="executor", state={"calls": 1})
@attrs.frozen
class Counts:
    """Sends one lot at the first question, two at the second, and so on."""

    most: float = 1e9

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        if state.calls[0] >= params.most:
            return GIVE_UP
        state.calls[0] += 1.0
        left = ctx.quantity - ctx.filled - ctx.working
        if left < 1.0:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.LIMIT
        orders[0].limit_price = 500.0 if ctx.side > 0 else 1.0
        if math.isfinite(params.most) and params.most < 1e9:
            orders[0].limit_price = 1.0
        orders[0].quantity = ctx.side * min(state.calls[0], left)
        return 1


ALGORITHMS = {"participation": Participation(), "twap": Twap(), "pegged": Pegged()}


# ------------------------------------------------------------------------------------------------ runs


def bars() -> Made:
    """Sixty sessions of two shares that wander."""
    rng, n = np.random.default_rng(11), 60
    closed = [dt.date(2024, 1, 1), dt.date(2024, 1, 15), dt.date(2024, 2, 19), dt.date(2024, 3, 29)]
    days = pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 6, 1), eager=True)
    sessions = [day for day in days if day.weekday() < 5 and day not in closed][:n]
    frames = []
    for symbol in ("ABC", "XYZ"):
        close = np.round(50.0 + rng.normal(0.0, 0.6, n).cumsum(), 2)
        width = np.round(rng.uniform(0.1, 1.0, n), 2)
        prices = {"open": close, "high": close + width, "low": close - width, "close": close}
        volume = rng.integers(200, 2_000, n).astype(float)
        frames.append(pl.DataFrame({"symbol": symbol, "session": sessions, **prices, "volume": volume}))
    return backtest.DataFeed(pl.concat(frames), stamp="session")


def instants(rng: np.random.Generator, n: int) -> list[dt.datetime]:
    """Instants over some hours of five days."""
    start = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
    seconds = np.sort(rng.choice(5 * 3600, n, replace=False))
    return [start + dt.timedelta(days=k % 5, seconds=int(seconds[k])) for k in range(n)]


def quotes() -> Made:
    """Bids and asks of two shares."""
    rng, n, frames = np.random.default_rng(12), 400, []
    for symbol in ("ABC", "XYZ"):
        bid = np.round(50.0 + rng.normal(0.0, 0.05, n).cumsum(), 2)
        columns = {"bid_price": bid, "ask_price": bid + np.round(rng.integers(1, 5, n) * 0.01, 2)}
        columns |= {f"{side}_size": rng.integers(100, 900, n).astype(float) for side in ("bid", "ask")}
        stamps = sorted(instants(rng, n))
        frames.append(pl.DataFrame({"symbol": symbol, "timestamp": stamps, **columns}))
    return backtest.DataFeed(pl.concat(frames), kind="quote", stamp="event", calendar="24/7")


def trades() -> Made:
    """Prints of two shares."""
    rng, n, frames = np.random.default_rng(13), 400, []
    for symbol in ("ABC", "XYZ"):
        price = np.round(50.0 + rng.normal(0.0, 0.05, n).cumsum(), 2)
        size = rng.integers(10, 900, n).astype(float)
        stamps = sorted(instants(rng, n))
        frames.append(pl.DataFrame({"symbol": symbol, "timestamp": stamps, "price": price, "size": size}))
    return backtest.DataFeed(pl.concat(frames), kind="trade", stamp="event", calendar="24/7")


FEEDS: dict[str, Callable[[], Made]] = {"bars": bars, "quotes": quotes, "trades": trades}


@attrs.frozen
class Job:
    """What a strategy lets an algorithm work, and at which of its calls."""

    algorithm: Made
    call: int = 3
    symbol: str = "ABC"
    quantity: float = 900.0


def strategy_of(jobs: tuple[Job, ...], handles: list[Made] | None = None) -> type:
    """A strategy that gives these orders; their handles go into a list."""

    class Works(backtest.Strategy):  # type: ignore[misc, name-defined]
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
            for job in jobs:
                if job.call == self.calls:
                    given = broker.execute(job.symbol, job.quantity, job.algorithm)
                    if handles is not None:
                        handles.append(given)
            self.calls += 1

    return Works


def result(jobs: tuple[Job, ...], feed: Made, native: str, handles: list[Made] | None = None) -> Made:
    config = {"backtest": {"native": native}, "broker": {"initial_cash": 1_000_000, "allows_short": True}}
    return backtest.run(strategy_of(jobs, handles), feed, config=config)


def path_of(found: Made) -> str:
    path: str = found.execution_paths["executor"]
    return path


def same(one: Made, other: Made) -> None:
    """Two results have equal tables, bit for bit."""
    for name in TABLES:
        assert one.table(name).equals(other.table(name)), name


def both(jobs: tuple[Job, ...], feed: Made) -> Made:
    """Run algorithms as machine code and in Python; both are the same."""
    compiled, plain = result(jobs, feed, "prefer"), result(jobs, feed, "never")
    assert (path_of(compiled), path_of(plain)) == ("capsule", "python")
    same(compiled, plain)
    return compiled


def worked(found: Made, number: int = 1) -> pl.DataFrame:
    return found.orders.filter(pl.col("worked_order_id") == number)


def two_jobs(name: str, kind: str) -> tuple[Job, ...]:
    """One object works a purchase of one share and, two instants later, a sale of another."""
    algorithm = ALGORITHMS[name]
    if name == "pegged" and kind == "bars":
        algorithm = Pegged(ticks=180)  # the range of a day is wider than that of a minute
    return (Job(algorithm), Job(algorithm, call=5, symbol="XYZ", quantity=-700.0))


@needs_numba
@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_machine_code_and_python_trade_alike(name: str, kind: str) -> None:
    found = both(two_jobs(name, kind), FEEDS[kind]())
    for number, side in ((1, "buy"), (2, "sell")):
        sent = worked(found, number)
        assert sent.height >= 3, (number, sent)
        assert set(sent["side"]) == {side}
        assert found.fills.filter(pl.col("order_id").is_in(sent["order_id"].implode())).height >= 3
    if name == "pegged":
        filled = found.fills.join(found.orders.select("order_id", "order_type"), on="order_id")
        assert set(filled["order_type"]) == {"market", "limit"}
        assert {"REPLACED", "CANCELED_BY_REQUEST"} <= set(found.order_events["reason_code"])


WITHOUT = """
    import sys
    {before}
    sys.path.insert(0, {here!r})
    from pathlib import Path
    import test_executors as t

    for kind, feed in t.FEEDS.items():
        for name in t.ALGORITHMS:
            found = t.result(t.two_jobs(name, kind), feed(), "prefer")
            assert t.path_of(found) == "python", t.path_of(found)
            for table in t.TABLES:
                found.table(table).write_parquet(Path({folder!r}) / f"{{kind}}-{{name}}-{{table}}.parquet")
    try:
        t.result((t.Job(t.Twap()),), t.bars(), "require")
    except t.ConfigError as error:
        print(error)
"""


@needs_numba
@pytest.mark.parametrize(
    ("before", "switch", "why"),
    [
        ("sys.modules['numba'] = None", "", "numba is not installed: pip install 'ml4t-native[numba]'"),
        ("", "1", "numba is switched off by ML4T_NO_NUMBA; unset it"),
    ],
    ids=["not installed", "switched off"],
)
def test_without_numba_the_same_trades_come_of_python(
    before: str, switch: str, why: str, tmp_path: Path
) -> None:
    program = textwrap.dedent(WITHOUT).format(before=before, here=str(HERE), folder=str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"ML4T_NO_NUMBA": switch},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert f"executor model Twap runs in Python ({why})" in ran.stdout
    for kind, feed in FEEDS.items():
        for name in ALGORITHMS:
            found = result(two_jobs(name, kind), feed(), "require")
            for table in TABLES:
                other = pl.read_parquet(tmp_path / f"{kind}-{name}-{table}.parquet")
                assert found.table(table).equals(other), (kind, name, table)


@needs_numba
def test_a_run_of_native_code_alone_takes_a_kernel() -> None:
    assert path_of(result((Job(Twap()),), bars(), "require")) == "capsule"


def test_a_run_of_native_code_alone_refuses_a_kernel_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML4T_NO_NUMBA", "1")
    reason = r"executor model Twap runs in Python \(numba is switched off by ML4T_NO_NUMBA; unset it\)"
    with pytest.raises(ConfigError, match=reason):
        result((Job(Twap()),), bars(), "require")


# ---------------------------------------------------------------------------------- what a kernel sees


@native_model(kind="executor", average_days=3, n_random=2)
@attrs.frozen
class Everything:
    """Sends one lot for each number that it sees, with that number as its limit."""

    @staticmethod
    def kernel(  # noqa: C901 - it looks at everything
        params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made
    ) -> int:
        for k in range(56):
            value = 1.0
            if k == 0:
                value = ctx.ts_ns / 1_000_000_000 + 0.0
            elif k == 1:
                value = ctx.begin_ns / 1_000_000_000 + 0.0
            elif k == 2:
                value = ctx.size + 10_000.0 * ctx.version + 4.0 * ctx.side + ctx.pad
            elif k == 3:
                value = 100.0 * ctx.flags + ctx.asset + 0.25 * ctx.reserved
            elif k == 4:
                value = 1000.0 * ctx.call + ctx.n_open_orders
            elif k == 5:
                value = 1e6 * ctx.elapsed
            elif k == 6:
                value = ctx.quantity
            elif k == 7:
                value = ctx.filled
            elif k == 8:
                value = ctx.working
            elif k == 9:
                value = 1e6 * ctx.average_price
            elif k == 10:
                value = 1e6 * ctx.price
            elif k == 11:
                value = 1e6 * ctx.bid
            elif k == 12:
                value = 1e6 * ctx.ask
            elif k == 13:
                value = ctx.bid_size
            elif k == 14:
                value = ctx.ask_size
            elif k == 15:
                value = ctx.volume
            elif k == 16:
                value = ctx.total_volume
            elif k == 17:
                value = 1e3 * ctx.average_volume
            elif k == 18:
                value = 1e9 * ctx.volatility
            elif k == 19:
                value = ctx.lot_size + 10.0 * ctx.multiplier + 1e6 * ctx.tick_size
            elif k < 24:
                value = 1e9 * ctx.random[k - 20]
            elif (k - 24) // 4 < len(open_orders):
                one, part = open_orders[(k - 24) // 4], k % 4
                value = one.asset + 16.0 * one.order_type + 1000.0 * one.client_id
                if part == 1:
                    value = one.leaves_quantity + 100.0
                elif part == 2:
                    value = one.limit_price
                elif part == 3:
                    value = one.stop_price
            orders[k].action = Action.NEW
            orders[k].order_type = OrderType.LIMIT
            orders[k].life = Life.DAY
            orders[k].quantity = ctx.side
            orders[k].limit_price = value if value == value else 7.0
        n = 56
        kind = int(ctx.call) % 6 + 1
        orders[n].action = Action.NEW
        orders[n].order_type = kind
        orders[n].life = Life.IOC if kind == 1 else Life.GTC
        orders[n].quantity = 2.0 * ctx.side
        orders[n].client_id = ctx.call + 1
        if kind in (2, 4, 6):
            orders[n].limit_price = 2.0 if ctx.side > 0 else 900.0
        if kind == 3 or kind == 4:
            orders[n].stop_price = 900.0 if ctx.side > 0 else 1.0
        if kind in (5, 6):
            orders[n].stop_price = 1.0 if ctx.side > 0 else 900.0
        return n + 1


@needs_numba
@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("quantity", [50_000.0, -50_000.0])
def test_what_a_kernel_sees_is_the_same_in_both(kind: str, quantity: float) -> None:
    found = both((Job(Everything(), call=4, symbol="XYZ", quantity=quantity),), FEEDS[kind]())
    sent = worked(found)
    assert sent.height >= 57 * 40
    seen = sent.filter(pl.col("quantity") == 1.0).with_columns(place=pl.row_index() % 56)
    told = {place: set(rows["limit_price"]) for (place,), rows in seen.group_by("place")}
    side, size = (1 if quantity > 0 else -1), ctypes.sizeof(struct("ExecutorContext"))
    assert told[2] == {float(size + 4 * side) + 10_000.0 * unset("ExecutorContext").version}
    assert told[6] == {50_000.0}
    assert {7.0} not in [told[place] for place in (0, 1, 5, 7, 8, 9, 10, 20, 21)]
    assert told[22] == told[23] == {7.0}
    unknown = {"bars": (11, 12, 13, 14), "quotes": (15, 16, 17), "trades": (11, 12, 13, 14)}[kind]
    for place in (11, 12, 13, 14, 15, 16, 17):
        assert (told[place] == {7.0}) == (place in unknown), place
    at_work = [set().union(*(told[place] for place in range(24 + part, 56, 4))) for part in range(4)]
    assert len(at_work[0]) > 3
    assert {1.0, 100.0 + 2.0 * side} <= at_work[1] <= {1.0, 100.0 + 2.0 * side, 100.0 + side}
    assert {2.0 if side > 0 else 900.0, 7.0} <= at_work[2]
    assert {900.0 if side > 0 else 1.0, 7.0} <= at_work[3]


# ------------------------------------------------------------------------------------------------ state


@needs_numba
def test_the_state_is_zero_for_every_order_and_each_has_its_own() -> None:
    """The last is given when the others are done; 45 lots are 1 + 2 + ... + 9."""
    one = Counts()
    one.evaluate(executors.ExecutorArgs(ts_ns=0, side=1, quantity=5.0))
    jobs = (
        Job(one, call=2, quantity=45.0),
        Job(one, call=4, quantity=-10.0),
        Job(one, call=4, symbol="XYZ", quantity=3.0),
        Job(one, call=30, quantity=6.0),
    )
    found = both(jobs, bars())
    assert worked(found, 1)["quantity"].to_list() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert worked(found, 2)["quantity"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert worked(found, 3)["quantity"].to_list() == [1.0, 2.0]
    assert worked(found, 4)["quantity"].to_list() == [1.0, 2.0, 3.0]


@needs_numba
@pytest.mark.parametrize("native", ["require", "never"])
def test_a_run_begins_afresh(native: str) -> None:
    one, feed = Pegged(), bars()
    same(result((Job(one),), feed, native), result((Job(one),), feed, native))


# --------------------------------------------------------------------------------------------- the end


@needs_numba
@pytest.mark.parametrize("native", ["require", "never"])
def test_an_algorithm_that_gives_up_ends_and_its_orders_are_canceled(native: str) -> None:
    handles: list[Made] = []
    found = result((Job(Counts(most=3.0)),), bars(), native, handles)
    assert worked(found)["quantity"].to_list() == [1.0, 2.0, 3.0]
    assert worked(found)["status"].to_list() == ["canceled"] * 3
    assert found.fills.height == 0
    assert [handle.status for handle in handles] == ["canceled"]


@needs_numba
def test_giving_up_is_the_same_in_both() -> None:
    both((Job(Counts(most=3.0)), Job(Counts(most=5.0), quantity=-400.0)), bars())


@native_model(kind="executor", errors={2: "the market is closed to it"}, state={"calls": 1})
@attrs.frozen
class Fails:
    """Fails at the third question, in one of several ways."""

    way: int = 0

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        state.calls[0] += 1.0
        if state.calls[0] < 3.0:
            return 0
        if params.way == 1:
            raise ValueError("no idea")  # noqa: EM101 - machine code knows constants
        if params.way == 2:
            return -2
        if params.way == 3:
            return -9
        if params.way == 4:
            return len(orders) + 1
        if params.way == 5:
            orders[len(orders)].action = Action.NEW
        return 0


FAILURES = [
    (1, RAISED, "ValueError: no idea"),
    (2, "the market is closed to it", "the market is closed to it"),
    (3, "the kernel answered -9, which errors= does not name; known: -2", "the kernel answered -9, which"),
    (4, "the kernel answered more records than have room", "answered 65 order records, and 64 have room"),
    (5, RAISED, "IndexError: invalid index"),
]


@needs_numba
@pytest.mark.parametrize(("way", "compiled", "plain"), FAILURES)
def test_a_failure_stops_the_run_with_algorithm_instrument_and_time(
    way: int, compiled: str, plain: str
) -> None:
    for native, text in (("require", compiled), ("never", plain)):
        with pytest.raises(ModelError) as stopped:
            result((Job(Fails(way)),), bars(), native)
        assert re.match(r"executor Fails( version 1)?, ABC, 2024-01-09T21:00:00Z: ", str(stopped.value))
        assert text in str(stopped.value)
        if native == "never" and way in (1, 5):
            assert type(stopped.value.__cause__) is (ValueError if way == 1 else IndexError)


@native_model(kind="executor")
@attrs.frozen
class Writes:
    """Writes one record after one that is sound."""

    action: int = 1
    order_type: int = 1
    life: int = 0
    client_id: int = 0
    group: int = 0
    parent: int = 0
    quantity: float = 2.0
    limit_price: float = math.nan
    stop_price: float = math.nan

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        if ctx.call > 0:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.LIMIT
        orders[0].quantity = ctx.side
        orders[0].limit_price = 1.0
        orders[0].client_id = 5
        orders[1].action = params.action
        orders[1].order_type = params.order_type
        orders[1].life = params.life
        orders[1].client_id = params.client_id
        orders[1].group = params.group
        orders[1].parent = params.parent
        orders[1].quantity = params.quantity
        orders[1].limit_price = params.limit_price
        orders[1].stop_price = params.stop_price
        return 2


WRONG = [
    (Writes(action=0), "action 0 of an order record; it may send, change and cancel orders"),
    (Writes(action=Action.TARGET), "action 4 of an order record; it may send, change and cancel orders"),
    (Writes(action=9), "action 9 of an order record; it may send, change and cancel orders"),
    (Writes(order_type=0), "order_type 0 of an order record is not known"),
    (Writes(order_type=7), "order_type 7 of an order record is not known"),
    (Writes(life=6), "life 6 of an order record is not known"),
    (Writes(group=1), "its orders stand alone; an order record has a group or a parent"),
    (Writes(parent=5), "its orders stand alone; an order record has a group or a parent"),
    (Writes(quantity=-2.0), "quantity -2 of an order record; it must be above zero"),
    (Writes(quantity=0.0), "quantity 0 of an order record; it must be above zero"),
    (Writes(quantity=math.nan), "of an order record; it must be above zero"),
    (Writes(quantity=900.0), "it asks for 900 more, and 899 are left to send"),
    (Writes(order_type=2, limit_price=math.inf), "limit_price inf of an order record leaves its range"),
    (Writes(action=2, client_id=5, limit_price=2.0), "it may change prices; cancel an order to change its"),
    (Writes(action=2, quantity=math.nan), "an order record names order 0, which is not at work"),
    (Writes(action=3, client_id=6), "an order record names order 6, which is not at work"),
]


@needs_numba
@pytest.mark.parametrize(("algorithm", "text"), WRONG)
def test_a_record_that_cannot_be_meant_stops_the_run(algorithm: Made, text: str) -> None:
    for native in ("require", "never"):
        with pytest.raises(ModelError) as stopped:
            result((Job(algorithm),), bars(), native)
        assert re.match(r"executor Writes( version 1)?, ABC, 2024-01-05T21:00:00Z: ", str(stopped.value))
        assert text in str(stopped.value), native


@needs_numba
@pytest.mark.parametrize(
    ("algorithm", "statuses"),
    [
        (Writes(quantity=2.5), ["rejected"]),
        (Writes(quantity=2.0 + 1e-10), ["filled"]),
        (Writes(order_type=2, limit_price=1.005), ["rejected"]),
        (Writes(order_type=4, limit_price=900.0, stop_price=1.0, life=Life.DAY), ["filled"]),
        (Writes(life=Life.FOK), ["filled"]),
        (Writes(life=Life.CLS), ["filled"]),
    ],
)
def test_what_the_intake_refuses_or_takes_is_the_same_in_both(algorithm: Made, statuses: list[str]) -> None:
    found = both((Job(algorithm),), bars())
    assert worked(found)["status"].to_list()[1:] == statuses


@needs_numba
def test_a_sale_of_the_wrong_side_is_refused_in_both() -> None:
    """A record's quantity is signed: of a sale +2 buys."""
    for native in ("require", "never"):
        with pytest.raises(ModelError, match="quantity -2 of an order record; it must be above zero"):
            result((Job(Writes(), quantity=-900.0),), bars(), native)


# ------------------------------------------------------------------------------------ asked from Python


def question(**more: Any) -> Made:  # noqa: ANN401 - a field of any type
    given = {"ts_ns": 7, "side": 1, "quantity": 1000.0, "volume": 400.0, "price": 50.0, "tick_size": 0.01}
    return executors.ExecutorArgs(**{**given, **more})


Asked = Callable[[Any], list[Any]]


@pytest.fixture
def asked() -> Asked:
    """The Python form, and the machine code where there is one; kept until the test has ended."""
    kept: list[Made] = []

    def forms(algorithm: Made) -> list[Made]:
        kept.append([algorithm] if missing() is not None else [algorithm, NativeState(algorithm)])
        return list(kept[-1])

    return forms


def test_an_answer_is_that_of_an_algorithm_in_python(asked: Asked) -> None:
    for each in asked(Participation()):
        market = executors.ChildOrder(quantity=40.0, order_type=types.OrderType.MARKET)
        (found,) = each.evaluate(question())
        assert repr(found) == repr(attrs.evolve(market, time_in_force=types.TimeInForce.GTC))
        (capped,) = each.evaluate(question(side=-1, average_volume=1000.0))
        assert capped.quantity == 20.0
        assert each.evaluate(question(volume=9.0)) == ()


def test_orders_at_work_are_canceled_and_repriced_by_their_numbers(asked: Asked) -> None:
    resting = executors.OpenChild(client_id=3, order_type="limit", leaves_quantity=990.0, limit_price=49.0)
    for each in asked(Pegged(patience=1)):
        (moved,) = each.evaluate(question(open_orders=(resting,), working=990.0, filled=10.0))
        assert (type(moved), moved.client_id) == (executors.RepriceChild, 3)
        assert moved.limit_price == pytest.approx(49.9)
        assert math.isnan(moved.stop_price)
        gone, now, rests = each.evaluate(question(open_orders=(resting,), working=990.0, filled=10.0))
        assert gone == executors.CancelChild(3)
        assert (now.quantity, now.order_type) == (3.0, types.OrderType.MARKET)
        assert (rests.quantity, rests.client_id, rests.order_type) == (987.0, 1, types.OrderType.LIMIT)


def test_a_copy_has_a_state_of_its_own_and_gives_up_by_none(asked: Asked) -> None:
    model = Counts(most=2.0)
    assert [len(model.evaluate(question())) for _ in range(2)] == [1, 1]
    assert model.evaluate(question()) is None
    assert [order.quantity for order in model.clone().evaluate(question())] == [1.0]
    for each in asked(Counts(most=0.0)):
        assert each.evaluate(question()) is None


def test_a_context_of_the_interface_is_answered_by_records(asked: Asked) -> None:
    context = unset("ExecutorContext")
    context.side, context.quantity, context.volume, context.lot_size = -1, 1000.0, 405.0, 10.0
    context.filled = context.working = 0.0
    for each in asked(Participation()):
        orders = (struct("OrderRecord") * 4)(*[unset("OrderRecord") for _ in range(4)])
        assert each.evaluate(context, (struct("OpenOrder") * 0)(), orders) == 1
        assert (orders[0].action, orders[0].order_type, orders[0].quantity) == (1, 1, -40.0)
    for each in asked(Counts(most=0.0)):
        assert each.evaluate(context, (struct("OpenOrder") * 0)(), orders) is None


@needs_numba
def test_the_table_says_kind_days_and_draws_and_giving_up_is_reject() -> None:
    state = NativeState(Participation(days=7))
    table = state._table
    assert (table.kind, table.average_days, table.n_random, table.output_size) == (13, 7, 0, 0)
    assert NativeState(Twap())._table.n_random == 1
    count, room = ctypes.c_uint32(0), (struct("OrderRecord") * MOST_RECORDS)()
    given_up = NativeState(Counts(most=0.0)).call(unset("ExecutorContext"), None, room, MOST_RECORDS, count)
    assert (given_up, count.value) == (3, 0)


@needs_numba
def test_a_state_asks_on_until_it_is_reset() -> None:
    state = NativeState(Counts())
    assert [state.evaluate(question())[0].quantity for _ in range(3)] == [1.0, 2.0, 3.0]
    state.reset()
    assert state.evaluate(question())[0].quantity == 1.0


def test_a_question_that_does_not_fit_is_refused(asked: Asked) -> None:
    resting = executors.OpenChild(client_id=3, order_type="trailing_stop", leaves_quantity=1.0)
    for each in asked(Twap()):
        with pytest.raises(
            ModelError, match=r"Twap is an executor and is asked with ExecutorArgs, .*not Job"
        ):
            each.evaluate(Job(Twap()))
        with pytest.raises(ModelError, match="not ExecutorArgs, tuple"):
            each.evaluate(question(), ())
        with pytest.raises(ModelError, match="not ExecutorContext"):
            each.evaluate(unset("ExecutorContext"))
        with pytest.raises(
            ModelError, match="Twap wants 1 random numbers for a call, and ExecutorArgs has 0"
        ):
            each.evaluate(question())
        with pytest.raises(
            ModelError, match="order_type of an open order is 'trailing_stop'; allowed: market"
        ):
            each.evaluate(question(open_orders=(resting,), random=(0.5,)))


def test_bits_of_what_is_missing_are_those_of_the_engine(asked: Asked) -> None:
    @native_model(kind="executor", errors={k: f"flags {k}" for k in range(1, 32)})
    @attrs.frozen
    class Flags:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
            return -np.int64(ctx.flags)  # unsigned, which has no negative

    known = {"bid": 49.9, "ask": 50.1, "total_volume": 1.0, "average_volume": 1.0, "volatility": 0.1}
    bits = {"total_volume": 2, "bid": 4, "average_volume": 8, "volatility": 16}
    for each in asked(Flags()):
        assert each.evaluate(question(**known)) == ()
        for name, bit in bits.items():
            with pytest.raises(ModelError, match=rf"flags {bit}$"):
                each.evaluate(question(**known | {name: math.nan}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("close",)}, "an executor model has no columns; its context holds"),
        ({"observe": True, "needs_bar": True}, "an executor takes no needs_bar, observe; its arguments hold"),
        ({"average_days": "rate"}, r"average_days names 'rate'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):

        @native_model(kind="executor", **options)
        @attrs.frozen
        class Plain:
            rate: float = 0.1

            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
                return 0


# -------------------------------------------------------------------------------------- other languages


IN_C = """
#include <math.h>
#include <stdlib.h>
#include <ml4t_abi.h>

static int32_t evaluate(void *state, const ml4t_executor_context *ctx, const ml4t_open_order *open_orders,
                        ml4t_order_record *orders, uint32_t capacity, uint32_t *n_orders) {
    const double *rate = state;
    (void)open_orders;
    if (*rate < 0.0) return (int32_t)*rate;
    if (*rate > 1.0) { *n_orders = capacity + 1; return (int32_t)(*rate - 1.0); }
    double left = ctx->quantity - ctx->filled - ctx->working;
    double lots = floor(fmin(*rate * ctx->volume, left) / ctx->lot_size);
    if (!(lots >= 1.0)) return ML4T_STATUS_DEFER;
    orders[0].action = ML4T_ACTION_NEW;
    orders[0].order_type = ML4T_ORDER_TYPE_MARKET;
    orders[0].quantity = ctx->side * lots * ctx->lot_size;
    *n_orders = 1;
    return ML4T_STATUS_OK;
}
static void release(ml4t_model_table *table) {
    free(table->proto);
    free(table);
}
ml4t_model_table *shares(const double *params, size_t n, char *error, size_t capacity) {
    (void)n; (void)error; (void)capacity;
    double *proto = malloc(sizeof *proto);
    *proto = params[0];
    ml4t_model_table *table = calloc(1, sizeof *table);
    *table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof *table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_EXECUTOR,
        .flags = ML4T_FLAG_SEND | ML4T_FLAG_STATELESS, .context_size = sizeof(ml4t_executor_context),
        .name = "Shares", .model_version = "1", .proto = proto,
        .eval = (void (*)(void))evaluate, .release = release,
    };
    return table;
}
"""


def test_an_algorithm_of_a_c_library_is_asked_as_the_engine_asks_it(
    compile_c: Callable[..., Path],
) -> None:
    library = compile_c(IN_C)
    state = NativeState(load(library, "shares", [0.1]))
    (order,) = state.evaluate(question())
    assert order.quantity == 40.0
    assert state.evaluate(question(volume=1.0)) == ()
    assert NativeState(load(library, "shares", [4.0])).evaluate(question()) is None
    for rate, text in (
        (-5.0, "Shares: status -5"),
        (2.0, "Shares: it wrote 65 orders where 64 have room"),
        (8.0, "Shares answered the status 7, which means nothing for an executor"),
    ):
        with pytest.raises(ModelError, match=text):
            NativeState(load(library, "shares", [rate])).evaluate(question())


@needs_numba
def test_an_algorithm_of_a_c_library_trades_as_the_kernel(compile_c: Callable[..., Path]) -> None:
    feed = bars()
    found = result((Job(load(compile_c(IN_C), "shares", [0.1])),), feed, "require")
    same(found, result((Job(Participation(part=1e9)),), feed, "require"))
    assert found.fills.height > 5
