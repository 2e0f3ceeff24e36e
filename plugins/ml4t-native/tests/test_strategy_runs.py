"""Strategy kernels in runs: machine code, Python, and an ordinary strategy trade alike."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, StrategyError, UnknownNameError
from ml4t.native import Action, Life, OrderType, load, native_model
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")
pytest.importorskip("numba")

TABLES = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")
CLOSED = [dt.date(2024, 1, 1), dt.date(2024, 1, 15), dt.date(2024, 2, 19), dt.date(2024, 3, 29)]
SYMBOLS = ("ABC", "DEF", "XYZ")

# The arguments of a kernel have no types of their own.
# ruff: noqa: PLR0913


def sessions(n: int) -> list[dt.date]:
    """The first trading days of 2024."""
    days = pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 6, 1), eager=True)
    return [day for day in days if day.weekday() < 5 and day not in CLOSED][:n]


def daily(rng: np.random.Generator, n: int = 60, symbols: tuple[str, ...] = SYMBOLS) -> pl.DataFrame:
    """Sessions of shares that wander; each symbol but the first misses some."""
    frames = []
    for k, symbol in enumerate(symbols):
        close = np.round(50.0 + rng.normal(0.0, 0.8, n).cumsum(), 2)
        first = np.round(close + rng.normal(0.0, 0.3, n), 2)
        width = np.round(rng.uniform(0.1, 1.5, n), 2)
        frame = pl.DataFrame(
            {
                "symbol": [symbol] * n,
                "session": sessions(n),
                "open": first,
                "high": np.maximum(close, first) + width,
                "low": np.minimum(close, first) - width,
                "close": close,
                "volume": rng.integers(1_000, 20_000, n).astype(float),
            }
        )
        frames.append(frame.filter(pl.Series(rng.random(n) < 0.8) | (k == 0)))
    return pl.concat(frames)


def feed(prices: pl.DataFrame, **options: Made) -> Made:
    return backtest.DataFeed(prices, **{"stamp": "session"} | options)


def result(strategy: Made, feeds: Made, native: str, **options: Made) -> Made:
    config = options.pop("config", {})
    period = config.get("backtest", {}) | {"native": native}
    return backtest.run(strategy, feeds, config=config | {"backtest": period}, **options)


def same(one: Made, other: Made, tables: tuple[str, ...] = TABLES) -> None:
    """Two results have equal tables, bit for bit."""
    for name in tables:
        assert one.table(name).equals(other.table(name)), name


def both(strategy: Made, feeds: Made, tables: tuple[str, ...] = TABLES, **options: Made) -> Made:
    """Run a kernel as machine code and in Python; both are the same."""
    compiled = result(strategy, feeds, "require", **options)
    plain = result(strategy, feeds, "never", **options)
    assert (compiled.execution_paths["strategy"], plain.execution_paths["strategy"]) == ("capsule", "python")
    same(compiled, plain, tables)
    return compiled


# ------------------------------------------------------------------------------------------- crossover


@native_model(kind="strategy", columns=("close",), state={"fast": 8, "slow": 8, "seen": 8})
@attrs.frozen
class Cross:
    """Long while a fast average of closes is above a slow one."""

    fast: float = 0.2
    slow: float = 0.05
    size: float = 100.0

    @staticmethod
    def kernel(
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
        n = 0
        for i in changed:
            price = columns[0, i]
            if state.seen[i] == 0.0:
                state.fast[i] = price
                state.slow[i] = price
            state.seen[i] += 1.0
            state.fast[i] += params.fast * (price - state.fast[i])
            state.slow[i] += params.slow * (price - state.slow[i])
            wanted = params.size if state.fast[i] > state.slow[i] else 0.0
            if wanted != positions[i]:
                orders[n].action = Action.TARGET
                orders[n].asset = i
                orders[n].quantity = wanted
                n += 1
        return n


class CrossInCallbacks(backtest.Strategy):  # type: ignore[misc, name-defined]
    """The same through the broker."""

    def __init__(self, fast: float = 0.2, slow: float = 0.05, size: float = 100.0) -> None:
        self.fast, self.slow, self.size = fast, slow, size
        self.averages: dict[str, list[float]] = {}

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        for symbol, row in data.items():
            price = row["close"]
            pair = self.averages.setdefault(symbol, [price, price])
            pair[0] += self.fast * (price - pair[0])
            pair[1] += self.slow * (price - pair[1])
            position = broker.get_position(symbol)
            wanted = self.size if pair[0] > pair[1] else 0.0
            if wanted != (0.0 if position is None else position.quantity):
                broker.order_target_quantity(symbol, wanted)


def test_on_the_bundled_data_machine_code_python_and_an_ordinary_strategy_are_the_same() -> None:
    period = {"backtest": {"start_date": "2004-01-01", "end_date": "2006-12-31"}}
    data = feed(backtest.datasets.us_equity_daily(), calendar="XNYS")
    compiled = both(Cross, data, params={"size": 50.0}, config=period)
    assert compiled.fills.height > 70
    ordinary = result(CrossInCallbacks, data, "never", params={"size": 50.0}, config=period)
    same(compiled, ordinary)


def test_an_instance_is_a_strategy_and_every_run_begins_afresh(rng: np.random.Generator) -> None:
    prices, made = daily(rng), Cross(fast=0.9, slow=0.4, size=7.0)
    first, second = both(made, feed(prices)), both(made, feed(prices))
    assert first.fills.height > 20
    same(first, second)
    same(first, result(Cross, feed(prices), "require", params={"fast": 0.9, "slow": 0.4, "size": 7.0}))
    engine = backtest.Engine(feed(prices), made, config={"backtest": {"native": "never"}})
    same(engine.run(), first)
    same(engine.run(), first)


def test_the_manifest_names_the_kernel_and_its_parameters(rng: np.random.Generator) -> None:
    for found in (result(Cross(size=3.0), feed(daily(rng, 9)), native) for native in ("require", "never")):
        assert found.manifest["strategy"]["type"].endswith(":Cross")
        assert found.manifest["strategy"]["params"] == {"fast": 0.2, "slow": 0.05, "size": 3.0}
        entry = found.manifest["models"][-1]
        assert (entry["kind"], entry["params"]["size"]) == ("strategy", 3.0)
    assert any("strategy model Cross runs in Python" in each for each in found.warnings)


NAMED = """
import attrs
from ml4t.native import Action, native_model

@native_model(kind="strategy", columns=("close",))
@attrs.frozen
class Hold:
    size: float = 10.0

    @staticmethod
    def kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders):
        orders[0].action = Action.TARGET
        orders[0].quantity = params.size
        return 1
"""


@pytest.mark.parametrize(("native", "path"), [("require", "capsule"), ("never", "python")])
def test_a_configuration_names_a_kernel(native: str, path: str, tmp_path: Path) -> None:
    from ml4t.backtest.configured import engine_of
    from ml4t.core.config import load_config

    (tmp_path / "kernels.py").write_text(NAMED, encoding="utf-8")
    document = f"""
        [backtest]
        native = "{native}"
        [[data_feeds]]
        name = "prices"
        type = "ParquetFeed"
        path = "dataset:us_equity_daily"
        stamp = "session"
        symbols = ["IBM"]
        [[strategies]]
        name = "held"
        type = "kernels.py:Hold"
        params = {{ size = 25.0 }}
        """
    (tmp_path / "run.toml").write_text(document, encoding="utf-8")
    found = engine_of(load_config(tmp_path / "run.toml")).run()
    assert (found.execution_paths["strategy"], found.fills["quantity"].to_list()) == (path, [25.0])
    (tmp_path / "run.toml").write_text(document.replace("py:Hold", "py:Holt"), encoding="utf-8")
    with pytest.raises(
        UnknownNameError, match=r"unknown strategy in kernels\.py 'Holt'; .*did you mean 'Hold'"
    ):
        engine_of(load_config(tmp_path / "run.toml"))


def test_without_numba_a_kernel_runs_in_python_and_require_is_refused_with_the_reason(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = daily(rng, 30)
    compiled = result(Cross, feed(prices), "prefer")
    monkeypatch.setenv("ML4T_NO_NUMBA", "1")
    plain = result(Cross, feed(prices), "prefer")
    assert (compiled.execution_paths["strategy"], plain.execution_paths["strategy"]) == ("capsule", "python")
    same(compiled, plain)
    reason = r"strategy model Cross runs in Python \(numba is switched off by ML4T_NO_NUMBA; unset it\)"
    with pytest.raises(ConfigError, match=reason):
        result(Cross, feed(prices), "require")


def test_another_engine_runs_the_python_form(rng: np.random.Generator) -> None:
    pytest.importorskip("ml4t.reference")
    prices = daily(rng, 10)
    compiled = result(Everything(), feed(prices), "require")
    other = result(Everything(), feed(prices), "prefer", config={"backtest": {"engine": "reference"}})
    assert other.execution_paths["strategy"] == "python"
    same(compiled, other)


# ------------------------------------------------------------------------- what a kernel sees, recorded


@native_model(kind="fee", state={"paid": 1})
@attrs.frozen
class Growing:
    """A cent more for every fill."""

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        state.paid[0] += 0.01
        out.fee = state.paid[0]
        return 1


@native_model(kind="strategy", columns=("close", "high"))
@attrs.frozen
class Everything:
    """Trades a little, and asks for orders whose limit prices are all that it sees."""

    @staticmethod
    def kernel(  # noqa: C901 - it looks at everything
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
        n = 0
        for k in range(14):
            value = ctx.cash
            if k == 1:
                value = ctx.equity
            elif k == 2:
                value = 100.0 * ctx.n_assets + 10.0 * ctx.n_columns + ctx.n_changed
            elif k == 3:
                value = 100.0 * ctx.n_open_orders + 10.0 * ctx.n_fills + ctx.session_closed
            elif k == 4:
                value = ctx.instant + 0.25
            elif k == 5:
                value = ctx.ts_ns / 1_000_000_000 + 0.0
            elif k == 6:
                value = ctx.size + 1000.0 * ctx.version + ctx.side + ctx.asset + ctx.flags
            elif k == 7:
                value = len(orders) + 0.0
            orders[n].action = Action.NEW
            orders[n].order_type = OrderType.LIMIT
            orders[n].quantity = 1.0
            orders[n].limit_price = value + 1.0 if k < 8 else 0.0
            if k >= 8 and k - 8 < len(changed):
                i = changed[k - 8]
                orders[n].asset = i
                orders[n].limit_price = columns[0, i] + 1000.0 * columns[1, i] + positions[i] / 8.0
            n += 1
        for k in range(min(len(open_orders), 10)):
            order = open_orders[k]
            orders[n].action = Action.NEW
            orders[n].order_type = OrderType.LIMIT
            orders[n].asset = order.asset
            orders[n].quantity = 2.0
            orders[n].limit_price = order.client_id + order.order_type / 16.0 + 100.0 * order.leaves_quantity
            if order.limit_price == order.limit_price:
                orders[n].limit_price += order.limit_price
            if order.stop_price == order.stop_price:
                orders[n].limit_price += 1000.0 * order.stop_price
            n += 1
        for k in range(min(len(fills), 10)):
            fill = fills[k]
            for part in range(4):
                orders[n].action = Action.NEW
                orders[n].order_type = OrderType.LIMIT
                orders[n].asset = fill.asset
                orders[n].quantity = 3.0
                orders[n].limit_price = fill.price + fill.order * 1000.0
                if part == 1:
                    orders[n].limit_price = fill.quantity + fill.side / 4.0 + fill.fee * 1000.0
                elif part == 2:
                    orders[n].limit_price = fill.slippage + 1000.0 * fill.impact + fill.multiplier / 4.0
                elif part == 3:
                    orders[n].limit_price = fill.ts_ns / 1_000_000_000 + 0.0625 * fill.liquidity + fill.size
                n += 1
        place = ctx.instant % ctx.n_assets
        orders[n].action = Action.NEW
        orders[n].order_type = OrderType.MARKET
        orders[n].asset = place
        orders[n].quantity = 30.0 if ctx.instant % 3 < 2 else -40.0
        n += 1
        if not columns[0, place] > 0.0:
            return n
        orders[n].action = Action.NEW
        orders[n].order_type = OrderType.STOP_LIMIT if ctx.instant % 2 == 0 else OrderType.STOP
        orders[n].asset = place
        orders[n].client_id = ctx.instant + 1
        orders[n].life = Life.DAY if ctx.instant % 4 == 0 else Life.GTC
        orders[n].quantity = 5.0
        orders[n].stop_price = math.floor(columns[1, place]) + 1.0
        if ctx.instant % 2 == 0:
            orders[n].limit_price = math.floor(columns[1, place]) + 2.0
        return n + 1


def test_what_a_kernel_sees_is_the_same_in_both(rng: np.random.Generator) -> None:
    from ml4t.native import OK

    @native_model(kind="slippage")
    @attrs.frozen
    class Wide:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.adjustment = 0.011 * ctx.quantity
            out.spread = 0.005
            out.quantity_cap = math.inf
            return OK

    @native_model(kind="impact")
    @attrs.frozen
    class Moves:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.temporary = 0.003 * ctx.quantity
            out.permanent = 0.0
            return OK

    prices = daily(rng, 40)
    models = {"fee": Growing(), "slippage": Wide(), "impact": Moves()}
    found = both(Everything, feed(prices), models=models)
    told = found.orders.filter(pl.col("quantity") == 3.0)
    assert told.height > 100, "fills were told"
    assert found.fills["impact"].max() > 0.05
    assert found.orders.filter(pl.col("quantity") == 2.0).height > 100, "open orders were seen"
    # Slippage, impact and multiplier of a fill of 30: 0.011 x 30, 0.003 x 30, 1.
    assert any(seen == pytest.approx(0.33 + 1000.0 * 0.09 + 0.25) for seen in told["limit_price"])


@native_model(kind="strategy", columns=("close",))
@attrs.frozen
class Closes:
    """Buys one at every close of a session, one more where it comes with rows."""

    @staticmethod
    def kernel(
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
        if ctx.session_closed == 0:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = 1.0 + len(changed)
        return 1


def minutes(day: int, hours: tuple[int, ...], symbol: str = "ABC") -> pl.DataFrame:
    """Bars of an hour that begin at the given hours, UTC."""
    stamps = [dt.datetime(2024, 3, day, hour, 30, tzinfo=dt.UTC) for hour in hours]
    price = [50.0 + day + hour / 8.0 for hour in hours]
    columns = {name: price for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"timestamp": stamps, "symbol": symbol, **columns, "volume": 1e5})


def test_a_close_of_a_session_calls_the_kernel_with_and_without_rows() -> None:
    """New York closed at 21:00 in winter: on the 5th no bar ends there, on the 6th one begins before it."""
    hours = pl.concat([minutes(4, (15, 16)), minutes(5, (15, 16)), minutes(6, (15, 20)), minutes(7, (15,))])
    found = both(Closes, feed(hours, stamp="open", interval="30m"))
    assert found.orders["quantity"].to_list() == [1.0, 1.0, 2.0]
    assert [ts.hour for ts in found.orders["ts_submitted"]] == [21, 21, 21]


IN_C = """
#include <math.h>
#include <stdlib.h>
#include <ml4t_abi.h>

static int32_t evaluate(void *state, const ml4t_strategy_context *ctx, const uint32_t *changed,
                        const double *columns, const double *positions, const ml4t_open_order *open_orders,
                        const ml4t_fill_event *fills, ml4t_order_record *orders, uint32_t capacity,
                        uint32_t *n_orders) {
    (void)positions; (void)open_orders; (void)fills;
    for (uint32_t k = 0; k < ctx->n_changed && k < capacity; k++) {
        orders[k].action = ML4T_ACTION_TARGET;
        orders[k].asset = changed[k];
        orders[k].quantity = floor(*(const double *)state * ctx->equity / columns[changed[k]]);
        *n_orders = k + 1;
    }
    return ML4T_STATUS_OK;
}
static void *copy(const void *proto) {
    double *made = malloc(sizeof *made);
    if (made != NULL) *made = *(const double *)proto;
    return made;
}
static void release(ml4t_model_table *table) {
    free(table->proto);
    free(table);
}
ml4t_model_table *levels(const double *params, size_t n, char *error, size_t capacity) {
    (void)n; (void)error; (void)capacity;
    double *proto = malloc(sizeof *proto);
    *proto = params[0];
    ml4t_model_table *table = calloc(1, sizeof *table);
    *table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof *table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_STRATEGY, .flags = ML4T_FLAG_SEND,
        .context_size = sizeof(ml4t_strategy_context), .name = "Levels", .model_version = "1",
        .n_columns = 1, .columns = "close", .proto = proto, .clone = copy, .drop = free,
        .eval = (void (*)(void))evaluate, .release = release,
    };
    return table;
}
"""


@native_model(kind="strategy", columns=("close",))
@attrs.frozen
class Levels:
    """Keeps a part of equity in each instrument, as the library above does in C."""

    part: float = 0.2

    @staticmethod
    def kernel(
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
        n = 0
        for i in changed:
            orders[n].action = Action.TARGET
            orders[n].asset = i
            orders[n].quantity = math.floor(params.part * ctx.equity / columns[0, i])
            n += 1
        return n


def test_a_strategy_of_a_c_library_is_the_same(
    compile_c: Callable[..., Path], rng: np.random.Generator
) -> None:
    prices, library = daily(rng), compile_c(IN_C)
    found = result(load(library, "levels", [0.3]), feed(prices), "require")
    assert found.execution_paths["strategy"] == "capsule"
    same(found, both(Levels(0.3), feed(prices)))
    assert found.fills.height > 50
    with pytest.raises(StrategyError, match="NativeTable has native code only, which this run does not use"):
        result(load(library, "levels", [0.3]), feed(prices), "never")


# ------------------------------------------------------------------------------ feeds, signals, context


def two_feeds(rng: np.random.Generator) -> list[Made]:
    prices = daily(rng, 20, ("ABC",))
    days = prices["session"].unique().sort()
    parts = []
    for day in days:
        for symbol in ("ABC", "XYZ"):
            bars = minutes(4, (15, 16, 17, 18), symbol)
            moved = dt.datetime.combine(day, dt.time()) - dt.datetime(2024, 3, 4)
            price = pl.Series(np.round(50.0 + rng.normal(0.0, 1.0, 4), 2))
            parts.append(
                bars.with_columns(pl.col("timestamp") + moved, open=price, high=price, low=price, close=price)
            )
    intraday = feed(pl.concat(parts), stamp="open", interval="30m", name="hour", matches_orders=True)
    return [
        feed(prices.with_columns(extra=pl.col("close") * 2.0), name="day", matches_orders=False),
        intraday,
    ]


@native_model(kind="strategy", columns=("day.close", "hour.close", "extra"))
@attrs.frozen
class Compares:
    """Holds what the last hour shows below the last day, or what has no day."""

    @staticmethod
    def kernel(
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
        n = 0
        for i in changed:
            if not columns[1, i] > 0.0:
                continue
            wanted = 0.0
            if math.isnan(columns[0, i]):
                wanted = 5.0
            elif columns[1, i] * 2.0 < columns[2, i]:
                wanted = 10.0
            orders[n].action = Action.TARGET
            orders[n].asset = i
            orders[n].quantity = wanted
            n += 1
        return n


def test_columns_of_two_feeds_are_told_apart(rng: np.random.Generator) -> None:
    found = both(Compares, two_feeds(rng))
    held = found.fills.group_by("symbol").agg(pl.len(), pl.col("quantity").max()).sort("symbol")
    assert held["symbol"].to_list() == ["ABC", "XYZ"]
    assert held["quantity"].to_list() == [10.0, 5.0]
    assert held["len"][0] > 4


@pytest.mark.parametrize("native", ["require", "never"])
def test_a_column_of_two_feeds_of_one_instrument_is_refused(native: str, rng: np.random.Generator) -> None:
    message = (
        r'kernel Cross version 1: column "close" is in the feeds hour and day of one instrument; '
        r"write hour\.close or day\.close"
    )
    with pytest.raises(ConfigError, match=message):
        result(Cross, two_feeds(rng), native)


def test_one_column_of_feeds_of_different_instruments_is_one_column(rng: np.random.Generator) -> None:
    days, hours = daily(rng, 20, ("DEF",)), two_feeds(rng)[1]
    found = both(Cross(fast=0.9, slow=0.5), [feed(days, name="day"), hours])
    assert set(found.fills["symbol"]) == {"ABC", "DEF", "XYZ"}


@pytest.mark.parametrize("native", ["require", "never"])
def test_a_column_that_nobody_has_is_refused(native: str, rng: np.random.Generator) -> None:
    with pytest.raises(
        UnknownNameError, match=r"kernel Compares version 1.*day\.close.*known: close, high, low"
    ):
        result(Compares, feed(daily(rng, 5), name="bars"), native)


@native_model(kind="strategy", columns=("alpha", "close", "vix"))
@attrs.frozen
class Follows:
    """Holds what a signal is for, less while the market is afraid."""

    @staticmethod
    def kernel(
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
        n = 0
        for i in range(ctx.n_assets):
            if columns[1, i] > 0.0 and not math.isnan(columns[0, i]):
                orders[n].action = Action.TARGET
                orders[n].asset = i
                orders[n].quantity = math.floor(100.0 * columns[0, i])
                if columns[2, i] > 20.0:
                    orders[n].quantity = math.floor(orders[n].quantity / 2.0)
                n += 1
        return n


class FollowsInCallbacks(backtest.Strategy):  # type: ignore[misc, name-defined]
    """The same through the broker."""

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        for symbol in data.symbols:
            row = data[symbol]
            score = row["signals"]["alpha"]
            if row["close"] > 0.0 and not math.isnan(score):
                wanted = math.floor(100.0 * score)
                wanted = math.floor(wanted / 2.0) if context["vix"] > 20.0 else wanted
                broker.order_target_quantity(symbol, wanted)


def scores(days: list[dt.date], rng: np.random.Generator, hour: int = 18) -> pl.DataFrame:
    """A score of each symbol every third day, in the middle of the session."""
    rows = [
        {"timestamp": dt.datetime.combine(day, dt.time(hour), tzinfo=dt.UTC), "symbol": symbol}
        for day in days[::3]
        for symbol in SYMBOLS
    ]
    return pl.DataFrame(rows).with_columns(alpha=pl.Series(np.round(rng.random(len(rows)), 3)))


def fear(days: list[dt.date], rng: np.random.Generator) -> Made:
    frame = pl.DataFrame(
        {
            "timestamp": [dt.datetime.combine(day, dt.time(19), tzinfo=dt.UTC) for day in days[1::5]],
            "vix": rng.uniform(10.0, 30.0, len(days[1::5])),
        }
    )
    return backtest.DataFeed(frame, kind="context", stamp="event", name="market")


def test_signals_and_market_wide_series_are_columns(rng: np.random.Generator) -> None:
    prices, days = daily(rng, 40), sessions(40)
    feeds, signals = [feed(prices, name="bars"), fear(days, rng)], scores(days, rng)
    found = both(Follows, feeds, signals=signals)
    assert found.fills.height > 30
    same(found, result(FollowsInCallbacks, feeds, "prefer", signals=signals))


def test_what_was_known_before_the_first_open_is_known(rng: np.random.Generator) -> None:
    """The scores of the evening before the run, as an ordinary strategy has them."""
    prices, days = daily(rng, 10), sessions(10)
    early = scores([days[0] - dt.timedelta(days=4)], rng)
    feeds = [feed(prices, name="bars"), fear(days, rng)]
    found = both(Follows, feeds, signals=early)
    assert found.fills.height >= 3
    same(found, result(FollowsInCallbacks, feeds, "prefer", signals=early))


@pytest.mark.parametrize("native", ["require", "never"])
def test_a_name_of_a_column_and_a_signal_is_refused(native: str, rng: np.random.Generator) -> None:
    signals = scores(sessions(10), rng).rename({"alpha": "close"})
    with pytest.raises(ConfigError, match=r'"close" is a column of the feed bars and a signal'):
        result(Cross, feed(daily(rng, 10), name="bars"), native, signals=signals)
