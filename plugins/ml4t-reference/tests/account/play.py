"""Flat markets and short scripts for the tests of accounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy

Action = Callable[[Any], object]
DAY = dt.date(2024, 1, 1)


def market(*prices: float, lot: float = 1, actions: pl.DataFrame | None = None, **others: float) -> DataFeed:
    """Return days of A that never leave their price, and flat days of other instruments at one price."""
    rows = [
        {"symbol": symbol, "session": DAY + dt.timedelta(days=day), "volume": 1e6}
        | dict.fromkeys(("open", "high", "low", "close"), float(price))
        for symbol, path in {"A": prices, **{each: [p] * len(prices) for each, p in others.items()}}.items()
        for day, price in enumerate(path)
    ]
    instruments = [
        Instrument(
            symbol, calendar="24/7", lot_size=Decimal(str(lot)), allows_negative_prices=min(prices) < 0
        )
        for symbol in ("A", *others)
    ]
    options: dict[str, Any] = {} if actions is None else {"actions": actions}
    return DataFeed(pl.DataFrame(rows), stamp="session", calendar="24/7", instruments=instruments, **options)


def play(
    feed: DataFeed | list[DataFeed],
    *steps: Action,
    cash_flows: pl.DataFrame | None = None,
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run one step at each call of `on_data`, on an account of 1,000 that may sell short."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls < len(steps):
                steps[self.calls](broker)
            self.calls += 1

    defaults = {"allows_short": True, "initial_cash": 1000}
    config = {"backtest": {"engine": "reference"}, "broker": defaults | broker}
    parts: dict[str, Any] = {} if cash_flows is None else {"cash_flows": cash_flows}
    return Engine(feed, Script, config=config, **parts).run()


def buy(quantity: float, **terms: Any) -> Action:  # noqa: ANN401 - of `OrderTerms`
    return lambda broker: broker.buy("A", quantity, **terms)


def sell(quantity: float, **terms: Any) -> Action:  # noqa: ANN401
    return lambda broker: broker.sell("A", quantity, **terms)


def nothing(broker: Any) -> None:  # noqa: ANN401
    """Let a day pass."""


def both(*steps: Action) -> Action:
    """Do several things at one call."""
    return lambda broker: [step(broker) for step in steps]


def powers(*steps: Action, feed: DataFeed, **broker: Any) -> list[float]:  # noqa: ANN401
    """Return the buying power before each step, and after the last."""
    found: list[float] = []

    def asked(step: Action) -> Action:
        return both(lambda broker: found.append(broker.buying_power), step)

    play(feed, *(asked(step) for step in (*steps, nothing)), **broker)
    return found


def fills(results: Results) -> list[tuple[float, float]]:
    """Return price and signed quantity of each fill."""
    signed = pl.when(pl.col("side") == "sell").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    return results.fills.select("price", signed).rows()


def sent(results: Results) -> list[tuple[float, str]]:
    """Return the signed quantity of each order and why it ended, if it was refused."""
    signed = pl.when(pl.col("side") == "sell").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    return results.orders.select(signed, "reason_code").rows()


def cash(results: Results) -> float:
    """Return the cash at the end."""
    return float(results.portfolio_history["cash"][-1])
