"""Cases in which this engine once differed from the Rust engine; each is worked by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import StopLoss, Strategy, run
from ml4t.core.errors import ModelError, OrderError
from ml4t.core.instrument import Instrument
from ml4t.core.models import FeeOut, FillOut, SlippageOut

from .market import (
    DAY,
    FLAT,
    TRAILING,
    TRAILING_LIMIT,
    at,
    clock,
    daily,
    days,
    ends,
    feed_of,
    play,
    prints,
    send,
)

CAP = {"fill_model": {"type": "Default", "volume_limit": 0.3}}
SPLIT = pl.DataFrame(
    {"symbol": ["A"], "ex_date": [DAY + dt.timedelta(days=2)], "kind": ["split"], "ratio": ["1/3"]}
)


@pytest.mark.parametrize("models", [{}, CAP])
def test_the_stop_of_a_rule_that_moves_beyond_the_open_acts_at_the_open(models: dict[str, Any]) -> None:
    # Short 10 at 100.00, then 10 more at 96.00: the average is 98.00, the stop 98.98, the open 100.00.
    def begin(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(StopLoss(pct=0.01))
        now.broker.sell("A", 10)

    steps = {0: begin, 1: send("sell", 10, limit_price=96)}
    bars = daily(FLAT, (100, 100.5, 99, 100), (100, 100.5, 98, 100), FLAT)
    results = play(bars, steps, policies={"limit_gap": "at_limit"}, **models)
    assert results.fills.select("order_id", "quantity", "price", "phase").rows() == [
        (1, 10, 100, "open"),
        (3, 10, 96, "open"),
        (2, 20, 100, "open"),
    ]


def test_what_an_order_will_free_counts_at_the_price_that_has_arrived() -> None:
    # 10 A of 100.00 each are all there is. Inside the bar that opened at 200.00 a buy of B for 1500 is sent,
    # and the sale of them beside it: 100.00 is what has arrived, so 1000 will be free.
    def both(now: Any) -> None:  # noqa: ANN401
        now.broker.buy("B", 1500, limit_price=1)
        now.broker.sell("A", 10)

    feeds = [daily(FLAT, FLAT, (200, 200, 200, 200)), clock(at(3, 12))]
    results = play(feeds, {0: send("buy"), 2: both}, initial_cash=1000, leverage=1)
    assert ends(results)[1][1] == "INSUFFICIENT_BUYING_POWER"
    assert "needs buying power of 1500, 1000 is free" in results.orders["reason"][1]


@pytest.mark.parametrize("feed", [prints(100, 101, 101), daily(FLAT, (101, 101, 101, 101))])
def test_all_orders_see_a_price_before_the_first_of_them_trades(feed: Any) -> None:  # noqa: ANN401
    # 101.00 activates the trailing order, though the fill of the first order there ends it.
    def group(now: Any) -> None:  # noqa: ANN401
        first = now.broker.buy("A", 10)
        terms = TRAILING_LIMIT | {"trail_amount": 1, "limit_offset": 0.5, "activation_price": 101}
        now.broker.sell("A", 10, oco=first, **terms)

    results = play(feed, {0: group})
    assert ends(results)[1] == ("canceled", "GROUP_FILLED")
    assert results.orders.select("stop_price", "limit_price").row(1) == (100, 99.5)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (TRAILING | {"trail_amount": 3 * 0.1}, "trail_amount = 0.30000000000000004 of A has 17 decimals"),
        (TRAILING | {"trail_amount": "0.1234567891"}, "has 10 decimals, the instrument keeps 9"),
        (TRAILING_LIMIT | {"trail_amount": 1, "limit_offset": 3 * 0.1}, "limit_offset = 0.30000000000000004"),
    ],
)
def test_a_distance_finer_than_prices_is_refused(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError, match=words):
        play(daily(FLAT, FLAT), {0: send("buy", 10, **terms)})


class Once(Strategy):
    """Sends one order."""

    def __init__(self, side: str, quantity: int = 10) -> None:
        self.side, self.quantity = side, quantity

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if timestamp == at(2):
            getattr(broker, self.side)("A", self.quantity)


@attrs.frozen
class Answers:
    """A model that always answers the same."""

    answer: Any

    def evaluate(self, args: Any) -> Any:  # noqa: ANN401
        return self.answer


@pytest.mark.parametrize(
    ("side", "models", "words"),
    [
        (
            "sell",
            {"slippage": Answers(SlippageOut(200.0))},
            "of 200 per .* from 100 to -100; a price above",
        ),
        ("sell", {"slippage": Answers(SlippageOut(100.0))}, "from 100 to 0"),
        ("buy", {"slippage": Answers(SlippageOut(-100.0))}, "costs of -100 per unit"),
        ("buy", {"slippage": Answers(SlippageOut(1e30))}, "adjustment 1e30 and spread 0 must be finite"),
        ("buy", {"fill": Answers(FillOut(1e30, 10.0, "taker"))}, "price 1e30 and quantity 10 must be finite"),
        ("buy", {"fee": Answers(FeeOut(1e30))}, "fee 1e30 leaves the range of money"),
        ("buy", {"fee": Answers(FeeOut(-1e30))}, "fee -1e30 leaves the range of money"),
    ],
)
def test_what_a_model_answers_must_make_sense(side: str, models: dict[str, Any], words: str) -> None:
    config = {"backtest": {"engine": "reference"}, "broker": {"allows_short": True}}
    with pytest.raises(ModelError, match=words):
        run(Once, daily(FLAT, FLAT), config=config, models=models, params={"side": side})


def test_the_float_nearest_to_a_number_of_units_stands_for_it() -> None:
    # 0.3 x 108 - 15.50299849 is the float nearest to 16.89700151, and lies a little below it.
    cap = 0.3 * 108 - 15.50299849
    assert cap == 16.89700151
    config = {"backtest": {"engine": "reference"}}
    feed = daily(
        FLAT, FLAT, FLAT, instruments=[Instrument.fractional("A", price_exponent=2, calendar="24/7")]
    )
    models = {"slippage": Answers(SlippageOut(0.0, quantity_cap=cap))}
    results = run(Once, feed, config=config, models=models, params={"side": "buy", "quantity": 19})
    assert results.fills["quantity"].to_list() == [16.89700151, 2.10299849]


def test_a_trailing_stop_follows_a_bar_after_the_bars_of_all_instruments_were_matched() -> None:
    # B fills at the close of the second day and ends the order of A, whose stop stays at 100.00 - 1.
    def group(now: Any) -> None:  # noqa: ANN401
        first = now.broker.sell("A", 10, trail_amount=1, **TRAILING)
        now.broker.buy("B", 10, oco=first)

    bars = pl.concat([days(FLAT, (100, 105, 100, 105)), days(FLAT, FLAT, symbol="B")])
    results = play(feed_of(bars), {0: group}, policies={"fill_timing": "next_close"})
    assert ends(results)[0] == ("canceled", "GROUP_FILLED")
    assert results.orders["stop_price"][0] == 99
