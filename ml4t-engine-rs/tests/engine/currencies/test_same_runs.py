"""The same run again, in another sequence, by Python models, and by the other front ends."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Callable
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import OrderList, Results, Strategy, TargetWeights, run
from ml4t.backtest.data import read_fx_rates
from ml4t.core.schemas import TABLES

from .helpers import FIRST, POLICIES, Made, rates, same


class Busy(Strategy):
    """Trades SAP, SONY and IBM by rules that read the account, and converts now and then."""

    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.calls += 1
        weight = 0.2 + 0.1 * (self.calls % 3)
        broker.order_target_percent("SAP", weight)
        broker.order_target_percent("SONY", 0.5 - weight)
        if self.calls % 4 == 0:
            broker.convert("EUR", round(broker.get_cash("EUR") / 2, 2) or 10)
        if self.calls % 5 == 0:
            broker.order_target_value("IBM", broker.get_account_value() * 0.1)


PRICES = {
    "SAP": [100.0, 101.5, 99.25, 103.0, 104.0, 98.5, 99.0, 107.0, 108.0, 109.5],
    "SONY": [1_000.0, 1_010.0, 990.0, 1_001.0, 1_020.0, 1_015.0, 1_033.0, 1_040.0, 1_011.0, 1_000.0],
    "IBM": [50.0, 51.0, 52.0, 51.5, 50.5, 50.0, 49.0, 48.0, 48.5, 49.5],
}
MOVES = rates(
    EURUSD=[1.1, 1.2, 1.15, 1.17, 1.19, 1.13, 1.12, 1.1, 1.18, 1.21],
    USDJPY=[150.0, 151.3, 149.7, 152.1, 150.9, 148.8, 147.1, 147.9, 149.0, 150.3],
)
BUSY = {
    "fx_model": {"type": "FxSpread", "spread": 0.001, "minimum": 0.5},
    "conversion": "always",
    "commission_model": {"type": "PerShare", "fee": 0.01},
    "interest_models": {"EUR": {"type": "CashInterest", "credit": 0.03, "debit": 0.05}},
}


def test_two_runs_are_the_same_bytes(run_of: Made, market: Made) -> None:
    def bits() -> list[bytes]:
        results = run_of(Busy(), market(**PRICES), broker=BUSY, fx=MOVES)
        assert results.table("conversions").height > 20
        found = []
        for name in TABLES:
            buffer = io.BytesIO()
            results.table(name).write_ipc(buffer)
            found.append(buffer.getvalue())
        return found

    assert bits() == bits()


def test_the_sequence_of_rows_of_rates_and_of_instruments_is_of_no_matter(run_of: Made, market: Made) -> None:
    plain = run_of(Busy(), market(**PRICES), broker=BUSY, fx=MOVES)
    for other in (MOVES.reverse(), MOVES.sample(fraction=1.0, shuffle=True, seed=3)):
        same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=other))
    turned = market(**dict(reversed(PRICES.items())))
    same(plain, run_of(Busy(), turned, broker=BUSY, fx=MOVES))
    parts = [MOVES.filter(pl.col("pair") == pair) for pair in ("USDJPY", "EURUSD")]
    same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=parts))
    same(plain, run_of(Busy(), market(**PRICES), broker=BUSY, fx=read_fx_rates(MOVES)))


@pytest.mark.parametrize("conversion", POLICIES)
def test_compiled_and_python_models_give_the_same_tables(run_of: Made, market: Made, conversion: str) -> None:
    broker = BUSY | {"conversion": conversion, "leverage": 2}
    runs = [
        run_of(Busy(), market(**PRICES), broker=broker, fx=MOVES, backtest={"native": native})
        for native in ("prefer", "never")
    ]
    same(*runs)
    assert runs[0].fills.height > 10


def weights() -> pl.DataFrame:
    rows = [
        {"session": (FIRST + dt.timedelta(days=n)).date(), "symbol": symbol, "weight": weight}
        for n in range(8)
        for symbol, weight in zip(
            PRICES, ((0.2, 0.3, 0.1), (0.4, 0.1, 0.3), (0.1, 0.1, 0.5))[n % 3], strict=True
        )
    ]
    return pl.DataFrame(rows)


def orders() -> pl.DataFrame:
    rows = [
        {
            "session": (FIRST + dt.timedelta(days=n)).date(),
            "symbol": symbol,
            "quantity": quantity * (1 if n % 3 else -1) * (n + 1),
            "order_type": "market" if n % 2 else "limit",
            "limit_price": None if n % 2 else PRICES[symbol][n],
        }
        for n in range(8)
        for symbol, quantity in (("SAP", 30), ("SONY", 200), ("IBM", 11))
    ]
    return pl.DataFrame(rows)


FRONT_ENDS: dict[str, Callable[[], Made]] = {
    "weights": lambda: TargetWeights(weights()),
    "orders": lambda: OrderList(orders()),
}


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("conversion", POLICIES)
def test_tables_that_trade_are_alike_natively_and_in_python(
    market: Made, conversion: str, front_end: str
) -> None:
    broker = BUSY | {"conversion": conversion, "leverage": 2, "allows_short": True}
    runs = [
        run(
            FRONT_ENDS[front_end](),
            market(**PRICES),
            config={"broker": broker, "backtest": {"native": native}},
            fx=MOVES,
        )
        for native in ("require", "never")
    ]
    same(*runs)
    assert runs[0].fills["currency"].n_unique() == 3
    assert runs[0].execution_paths["strategy"] != runs[1].execution_paths["strategy"]


class Sized(Strategy):
    """Sizes by equity and cash, as if all prices were of the base currency."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        equity, cash = broker.get_account_value(), broker.get_cash()
        for symbol in sorted(data):
            wanted = float(math.floor((0.125 * equity - 0.01 * cash) / data[symbol]["close"]))
            position = broker.get_position(symbol)
            if wanted != (0.0 if position is None else position.quantity):
                broker.order_target_quantity(symbol, wanted)


@pytest.mark.parametrize("conversion", POLICIES)
def test_a_kernel_trades_as_a_strategy_does(market: Made, conversion: str) -> None:
    native = pytest.importorskip("ml4t.native")
    pytest.importorskip("numba")
    target = int(native.Action.TARGET)

    @native.native_model(kind="strategy", columns=("close",))
    @attrs.frozen
    class Kernel:
        @staticmethod
        def kernel(  # noqa: PLR0913 - the arguments of a kernel
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
                wanted = math.floor((0.125 * ctx.equity - 0.01 * ctx.cash) / columns[0, i])
                if wanted != positions[i]:
                    orders[n].action = target
                    orders[n].asset = i
                    orders[n].quantity = wanted
                    n += 1
            return n

    def result(strategy: Made, policy: str) -> Results:
        broker = BUSY | {"conversion": conversion, "leverage": 3}
        return run(
            strategy,
            market(**PRICES),
            config={"broker": broker, "backtest": {"native": policy}},
            fx=MOVES,
        )

    compiled = result(Kernel(), "require")
    for other in (result(Kernel(), "never"), result(Sized, "prefer")):
        same(compiled, other)
    assert compiled.execution_paths["strategy"] == "capsule"
    assert compiled.fills["currency"].n_unique() == 3
