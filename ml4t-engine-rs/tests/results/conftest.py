"""Results to test with: tables written down by hand, and a run of the engine on real prices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from ml4t.backtest import DataFeed, Results, Strategy, datasets, run
from ml4t.core.schedule import month_start
from ml4t.core.schemas import TABLES, table_schema

Rows = Sequence[Mapping[str, Any]]

_DEFAULTS: Mapping[str, Any] = {
    "uint16": 0,
    "uint64": 0,
    "int64": 0,
    "double": 0.0,
    "string": "",
    "bool": False,
    "date32[day]": date(2024, 1, 2),
    "timestamp[ns, tz=UTC]": datetime(2024, 1, 2, 21, tzinfo=UTC),
    "decimal128(38, 18)": Decimal(0),
}


def table_of(name: str, rows: Rows) -> pa.Table:
    """Build a table from rows that name only the columns that matter."""
    schema = table_schema(name)
    full = [
        {
            field.name: row.get(
                field.name,
                None if field.nullable else 1.0 if field.name == "fx_rate" else _DEFAULTS[str(field.type)],
            )
            for field in schema
        }
        for row in rows
    ]
    return pa.Table.from_pylist(full, schema=schema)


def weekdays(count: int, *, start: date = date(2024, 1, 1)) -> list[date]:
    """Return so many consecutive weekdays."""
    days = (start + timedelta(days=offset) for offset in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def history_of(nav: Sequence[float], sessions: Sequence[date]) -> list[dict[str, Any]]:
    """Return rows of a portfolio that is all cash and has these NAVs."""
    return [
        {
            "ts_event": datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
            "session": day,
            "is_nav": True,
            "cash": value,
            "equity": value,
        }
        for day, value in zip(sessions, nav, strict=True)
    ]


@pytest.fixture
def make() -> Callable[..., Results]:
    """Return a builder of results from NAVs, or from returns, and by name rows of other tables."""

    def build(  # noqa: PLR0913
        nav: Sequence[float] = (),
        *,
        returns: Sequence[float] = (),
        capital: float = 100_000.0,
        sessions: Sequence[date] | None = None,
        config: Mapping[str, Any] | None = None,
        manifest: Mapping[str, Any] | None = None,
        status: str = "complete",
        **rows: Rows,
    ) -> Results:
        if returns:
            nav = (capital * (1.0 + pl.Series(returns)).cum_prod()).to_list()
        days = weekdays(len(nav)) if sessions is None else sessions
        deposit = {
            "kind": "deposit",
            "debit": "cash",
            "credit": "capital",
            "currency": "USD",
            "amount": Decimal(str(capital)),
            "ts_event": datetime(2000, 1, 1, tzinfo=UTC),
        }
        given: dict[str, Rows] = {"portfolio_history": history_of(nav, days), "ledger": [deposit], **rows}
        return Results(
            {name: table_of(name, given.get(name, ())) for name in TABLES},
            manifest={"config": dict(config or {}), **(manifest or {})},
            run_info={"host": "here"},
            status=status,
        )

    return build


class Rotate(Strategy):
    """Every month: most in the stock that rose most over the last quarter, a little short in the worst."""

    def on_start(self) -> None:
        self.closes: dict[str, deque[float]] = {s: deque(maxlen=63) for s in ("AAPL", "IBM", "MSFT")}
        self.schedule(rule=month_start())

    def on_daily_close(self) -> None:
        for symbol, closes in self.closes.items():
            closes.append(self.data[symbol]["close"])

    def on_rebalance_trigger(self) -> None:
        change = {s: c[-1] / c[0] for s, c in self.closes.items() if len(c) == c.maxlen}
        if len(change) == 3:
            worst, middle, best = sorted(change, key=change.__getitem__)
            self.broker.order_target_weights({best: 0.6, middle: 0.0, worst: -0.2})


@pytest.fixture(scope="session")
def real() -> Results:
    """Return a run of the engine over thirteen years of real prices, long and short, with costs."""
    feed = DataFeed(
        datasets.us_equity_daily(),
        stamp="session",
        symbols=["AAPL", "IBM", "MSFT"],
        actions=datasets.us_equity_actions(),
    )
    config = {
        "backtest": {"name": "rotation"},
        "broker": {
            "initial_cash": 1_000_000,
            "allows_short": True,
            "slippage_model": {"type": "BasisPoints", "bps": 2.0},
            "commission_model": {"type": "PerShare", "fee": 0.005, "minimum": 1.0},
        },
    }
    return run(Rotate, feed, config=config)


@pytest.fixture(scope="session")
def published() -> dict[str, tuple[list[float], list[float]]]:
    """Return the two series, each with a benchmark, whose metrics reference libraries have computed."""
    short = [0.01, -0.02, 0.015, 0.005, -0.01, 0.02, -0.005, 0.0, 0.012, -0.003]
    against = [0.008, -0.015, 0.01, 0.002, -0.012, 0.018, -0.001, 0.001, 0.006, -0.004]
    g, h = _gaussians(42, 504), _gaussians(7, 504)
    returns = [round(0.0011 + 0.01 * x, 8) for x in g]
    benchmark = [round(0.0003 + 0.008 * (0.6 * x + 0.8 * y), 8) for x, y in zip(g, h, strict=True)]
    return {"ten": (short, against), "two_years": (returns, benchmark)}


def _gaussians(seed: int, count: int) -> list[float]:
    """Sums of twelve uniforms less 6, from the minimal standard generator of Park and Miller (1988)."""
    modulus, state, found = 2**31 - 1, seed, []
    for _ in range(count):
        total = 0.0
        for _ in range(12):
            state = 16_807 * state % modulus
            total += state / modulus
        found.append(total - 6.0)
    return found
