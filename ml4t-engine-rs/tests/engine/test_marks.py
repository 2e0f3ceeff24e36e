"""What positions are worth whenever somebody looks: in callbacks, timers and at the end, on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Strategy, schedule

Both = Callable[..., Any]
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def bars(symbol: str, minutes: int, prices: list[tuple[float, float] | None], **options: Any) -> DataFeed:  # noqa: ANN401
    """Bars of so many minutes with an open and a close; None is a gap, a NaN is a price nobody knows."""
    length = dt.timedelta(minutes=minutes)
    rows = [
        {
            "ts_open": START + k * length,
            "ts_event": START + (k + 1) * length,
            "symbol": symbol,
            "open": pair[0],
            "high": max(pair),
            "low": min(pair),
            "close": pair[1],
            "volume": 1e6,
        }
        for k, pair in enumerate(prices)
        if pair is not None
    ]
    return DataFeed(
        pl.DataFrame(rows),
        name=f"bars_{symbol}",
        interval=f"{minutes}m",
        calendar="24/7",
        stamp="event",
        **options,
    )


class Looks(Strategy):
    """Buys both at the first bar, and writes down equity and positions at every chance."""

    def __init__(self, order: Callable[[Any, str], object]) -> None:
        self.order, self.calls = order, []

    def look(self, where: str) -> None:
        held = {symbol: (each.quantity, each.market_value) for symbol, each in self.broker.positions.items()}
        self.calls.append((where, self.data.timestamp.ns, self.broker.get_account_value(), held))

    def on_start(self) -> None:
        self.sent: set[str] = set()
        self.schedule(lambda: self.look("timer"), rule=schedule.every("7m"))

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        self.look("bar")
        if event.asset not in self.sent:
            self.sent.add(event.asset)
            self.order(self.broker, event.asset)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        self.look(f"fill of {event.asset}")

    def on_daily_close(self) -> None:
        self.look("close")

    def on_stop(self) -> None:
        self.look("stop")


ORDERS: dict[str, Callable[[Any, str], object]] = {
    "market": lambda broker, symbol: broker.buy(symbol, 10),
    "resting": lambda broker, symbol: (broker.buy(symbol, 10), broker.buy(symbol, 1, limit_price=1)),
    "bracket": lambda broker, symbol: broker.bracket(broker.buy(symbol, 10), stop_price=11, limit_price=40),
    "short": lambda broker, symbol: broker.sell(symbol, 10),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("record", ["step", "hour", "session"])
def test_values_are_those_of_the_last_price_that_is_past(both: Both, order: str, record: str) -> None:
    fine = [(20.0 + k % 3, 20.5 + k % 4) for k in range(40)]
    coarse: list[tuple[float, float] | None] = [(12.0, 13.0), (14.0, 13.5), None, (15.0, 17.0), (18.0, 16.0)]
    fine[9], fine[23] = (21.0, 22.0), (19.5, 24.0)
    feeds = [bars("A", 1, fine), bars("B", 10, coarse)]
    played = both(
        lambda: Looks(ORDERS[order]),
        feeds,
        backtest={"record": record},
        broker={"initial_cash": 10_000, "allows_short": True},
    )
    assert {"bar", "timer", "stop", "fill of A", "fill of B"} <= {call[0] for call in played.calls}
    # What is looked at last is what the tables end with.
    assert played.results.portfolio_history["equity"][-1] == played.calls[-1][2]
