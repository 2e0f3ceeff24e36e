"""What is left of earlier fills and sessions, where floats or missing sides could blur it: worked by hand."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import attrs
import polars as pl

from ml4t.backtest import DataFeed, Engine, Results, Strategy
from ml4t.core.models import FeeOut, SlippageOut

from .market import FLAT, Action, daily, send


@attrs.define
class Asked:
    """Keeps what it was asked."""

    answer: Callable[[Any], Any]
    average_days: int = 0
    seen: list[Any] = attrs.field(factory=list)

    def evaluate(self, ctx: Any, /) -> Any:  # noqa: ANN401
        self.seen.append(ctx)
        return self.answer(ctx)


def ask(feed: DataFeed, steps: dict[int, Action], models: dict[str, Any], **broker: Any) -> Results:  # noqa: ANN401
    """Run steps with models of one's own."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](self)
            self.calls += 1

    config = {"backtest": {"engine": "reference"}, "broker": broker}
    return Engine(feed, Script, config=config, models=models).run()


def test_what_was_traded_in_a_month_is_added_exactly() -> None:
    # 3 x 100.1 + 3 x 100.2 are 600.9; the floats 300.3 and 300.6 add up to 600.9000000000001.
    fee = Asked(lambda _: FeeOut(0.0))
    bars = [(100 + n / 10,) * 4 for n in range(4)]
    ask(daily(*bars), dict.fromkeys(range(3), send("buy", 3)), {"fee": fee})
    assert [ctx.month_notional for ctx in fee.seen] == [0, 300.3, 600.9]
    assert 300.3 + 300.6 != 600.9


def quotes(*sides: tuple[float | None, float | None]) -> DataFeed:
    """Return two quotes a day, at six and eighteen o'clock."""
    first = dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC)
    rows = [
        {"symbol": "A", "timestamp": first + dt.timedelta(hours=12 * n), "bid_price": bid, "ask_price": ask}
        for n, (bid, ask) in enumerate(sides)
    ]
    frame = pl.DataFrame(rows).with_columns(bid_size=9.0, ask_size=9.0)
    return DataFeed(frame, kind="quote", stamp="event", calendar="24/7")


def test_the_last_price_of_a_session_is_the_last_middle_there_was() -> None:
    # Middles of 64, 96 and 48; what came after them had one side. Returns of 0.5 and -0.5.
    middles = [(63.0, 65.0), (None, 70.0), (95.0, 97.0), (80.0, None), (30.0, 32.0), (47.0, 49.0)]
    slippage = Asked(lambda _: SlippageOut(0.0), average_days=3)
    ask(quotes(*middles, (50.0, 51.0), (50.0, 51.0)), {5: send("buy", 1)}, {"slippage": slippage})
    assert [ctx.volatility for ctx in slippage.seen] == [math.sqrt(0.5)]


def test_a_clamp_cuts_what_hurts_and_leaves_a_slippage_below_zero() -> None:
    # 0.05 of spread less 0.02 are 0.03, and the limit has room for 0.02: the spread goes down to 0.04.
    models = {"slippage": Asked(lambda _: SlippageOut(-0.02, 0.05))}
    policies = {"limit_slippage": "clamp"}
    results = ask(daily(FLAT, FLAT), {0: send("buy", 1, limit_price=100.02)}, models, policies=policies)
    assert results.fills.select("price", "spread", "slippage").rows() == [(100.02, 0.04, -0.02)]
