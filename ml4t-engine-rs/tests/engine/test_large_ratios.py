"""Splits whose ratio no position can follow: the error names instrument and instant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, StopLoss, Strategy, run
from ml4t.core.errors import NumericOverflowError

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6)]
DOES: dict[str, Callable[[Any], object]] = {
    "a position": lambda broker: None,
    "a working order": lambda broker: broker.sell("XYZ", 50, limit_price=90.0),
    "a trailing stop": lambda broker: broker.sell("XYZ", 50, order_type="trailing_stop", trail_amount=5.0),
    "a rule": lambda broker: broker.set_position_rules(StopLoss(pct=0.5)),
}


@pytest.mark.parametrize("ratio", ["1e18", "1/1000000000000000"])
@pytest.mark.parametrize("what", DOES)
@pytest.mark.parametrize("price", [60.0, 0.01])
def test_a_split_that_leaves_its_range_is_told_with_instrument_and_instant(
    ratio: str, what: str, price: float
) -> None:
    class Holds(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.day == 4:
                broker.buy("XYZ", 50_000)
                DOES[what](broker)

    prices = {
        "symbol": "XYZ",
        "session": DAYS,
        **dict.fromkeys(("open", "high", "low", "close"), [price] * 3),
    }
    actions = {"symbol": "XYZ", "ex_date": DAYS[2], "kind": "split", "ratio": ratio}
    feed = DataFeed(pl.DataFrame(prices), stamp="session", actions=pl.DataFrame([actions]))
    config = {"broker": {"initial_cash": 10**9, "allows_short": True}}
    # 00:00 in New York.
    with pytest.raises(NumericOverflowError, match=r"^XYZ: ") as caught:
        run(Holds, feed, config=config)
    assert caught.value.__notes__[0] == "at 2024-03-06T05:00:00Z"
