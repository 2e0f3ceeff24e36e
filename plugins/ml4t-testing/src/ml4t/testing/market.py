"""Small backtests that the suites run."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs

from ml4t.backtest import DataFeed, Strategy, run
from ml4t.core.schemas import TABLES
from ml4t.core.types import ModelKind
from ml4t.testing.draws import bars

__all__ = ["Ran", "TradesByChance", "feed_of", "run_by_chance", "tables_of"]

SESSIONS = 60


@attrs.frozen(kw_only=True)
class Ran:
    """What a run left: the number of its fills, and all its tables as bytes."""

    fills: int
    tables: dict[str, bytes] = attrs.field(repr=False)


class TradesByChance(Strategy):
    """Sends market and limit orders by a seed and the last price, after `begin` rows of an instrument."""

    def __init__(self, seed: int = 0, begin: int = 0) -> None:
        self.random = Random(seed)
        self.begin = begin
        self.rows: dict[str, int] = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Send an order for most instruments with news."""
        for symbol in data:
            self.rows[symbol] = self.rows.get(symbol, 0) + 1
            chance, quantity = self.random.random(), self.random.randint(1, 300)
            price = data.get_latest_price(symbol)
            if price is None or self.rows[symbol] <= self.begin or chance < 0.2:
                continue
            side = "buy" if self.random.random() < 0.55 else "sell"
            held = broker.get_position(symbol)
            if side == "sell":
                quantity = min(quantity, int(held.quantity)) if held is not None else 0
            if quantity > 0 and chance < 0.7:
                broker.submit_order(symbol, quantity, side, "market")
            elif quantity > 0:
                limit = round(price * (1.002 if side == "buy" else 0.998), 2)
                broker.submit_order(symbol, quantity, side, "limit", limit, time_in_force="day")


def feed_of(frame: Any) -> DataFeed:  # noqa: ANN401
    """Return a feed of daily bars for which every day is a session."""
    return DataFeed(frame, stamp="session", calendar="24/7")


def tables_of(results: Any) -> dict[str, bytes]:  # noqa: ANN401
    """Return every table of a run down to the bits of its numbers."""
    return {name: results.table(name).write_ipc(None).getvalue() for name in TABLES}


def run_by_chance(kind: ModelKind, model: object, *, native: str, seed: int) -> Ran:
    """Run random orders against a model; orders begin when its averages are known."""
    begin = int(getattr(model, "average_days", 0) or 0) + 1
    frame = bars(seed, sessions=SESSIONS + 2 * begin)
    results = run(
        TradesByChance,
        feed_of(frame),
        params={"seed": seed, "begin": begin},
        models={kind.label: model},
        config={"backtest": {"native": native}, "broker": {"initial_cash": 10_000_000}},
    )
    return Ran(fills=results.fills.height, tables=tables_of(results))
