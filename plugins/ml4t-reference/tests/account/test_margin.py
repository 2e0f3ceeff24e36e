"""Margin: what may be opened, calls and what becomes of them, and positions that end at a price.

Each case is worked by hand and played by both engines, whose tables are the same to the last row. Day 0 is 1
January 2024; bars open at midnight and end with the next one. A script acts at each end, before the open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, StopLoss, Strategy
from ml4t.core.errors import ModelError
from ml4t.core.schemas import TABLES
from ml4t.margin import CloseAll, CryptoMargin, FixedLeverage, FuturesMargin, LargestLoserFirst, RegT

from .play import Action, both, buy, nothing, sell

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
Bar = tuple[float, float, float, float]


def flat(*prices: float) -> list[Bar]:
    """Return days that never leave their price."""
    return [(price,) * 4 for price in prices]


def feed(*bars: Bar, **terms: Any) -> DataFeed:  # noqa: ANN401 - of `Instrument`
    rows = [("A", DAY.date() + dt.timedelta(days=n), *map(float, bar), 1e6) for n, bar in enumerate(bars)]
    schema = ["symbol", "session", "open", "high", "low", "close", "volume"]
    instruments = [Instrument("A", calendar="24/7", **terms)]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return DataFeed(frame, stamp="session", calendar="24/7", instruments=instruments)


def perpetual(*bars: Bar) -> DataFeed:
    return feed(*bars, asset_class="perpetual", tick_size="0.01")


def results_of(engine: str, market: DataFeed, steps: Sequence[Action], **parts: Any) -> Results:  # noqa: ANN401
    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls < len(steps):
                steps[self.calls](broker)
            self.calls += 1

        def on_margin_call(self, event: Any) -> None:  # noqa: ANN401
            self.log(f"call {event.status}")

        def on_order(self, event: Any) -> None:  # noqa: ANN401
            self.log(f"{event.order_id} {event.status.value} {event.reason_code}".strip())

    broker = {"initial_cash": 1_000, "allows_short": True} | parts.pop("broker", {})
    config = {"backtest": {"engine": engine}, "broker": broker}
    return Engine(market, Script, config=config, **parts).run()


def play(market: DataFeed, *steps: Action, margin: Any, liquidation: Any = None, **parts: Any) -> Results:  # noqa: ANN401
    """Run one step at each end of a day on an account of 1,000, on both engines."""
    models = {"margin": margin} | ({} if liquidation is None else {"liquidation": liquidation})
    rust, reference = (
        results_of(engine, market, steps, models=models, **parts) for engine in ("rust", "reference")
    )
    for name in TABLES:
        one, other = rust.table(name), reference.table(name)
        if name == "conversions":
            one, other = one.drop("reason"), other.drop("reason")
        assert other.equals(one), (name, one.rows(), other.rows())
    return reference


def day(moment: dt.datetime) -> float:
    return (moment - DAY) / dt.timedelta(days=1)


def calls(results: Results) -> list[tuple[Any, ...]]:
    """Return day, kind, status, equity, requirement, amount and the day of the deadline of each row."""
    return [
        (
            day(row["ts_event"]),
            row["kind"],
            row["status"],
            *(float(row[name]) for name in ("equity", "requirement", "amount")),
            None if row["ts_deadline"] is None else day(row["ts_deadline"]),
        )
        for row in results.margin_calls.to_dicts()
    ]


def fills(results: Results) -> list[tuple[Any, ...]]:
    return [
        (day(row["ts_event"]), row["side"], row["quantity"], row["price"]) for row in results.fills.to_dicts()
    ]


def ends(results: Results) -> list[tuple[int, str, str]]:
    return results.orders.select("order_id", "status", "reason_code").rows()


# -- calls -------------------------------------------------------------------------------------------------


def test_the_account_of_the_documentation_is_called_at_26_66() -> None:
    """500 at 40 with 10,000 owe 10,000; at 26.66 they are worth 13,330, of which a quarter holds them."""
    bars = [(40, 40, 40, 40), (40, 45, 40, 45), (45, 45, 35, 35), (35, 35, 26.66, 26.66), *flat(26.66)]
    results = play(
        feed(*bars),
        buy(500),
        margin=RegT(),
        liquidation=LargestLoserFirst(),
        broker={"initial_cash": 10_000},
    )
    needs = results.margin.select("equity", "initial", "maintenance", "overnight", "excess", "sma")
    assert [tuple(None if each is None else float(each) for each in row) for row in needs.rows()[:4]] == [
        (10_000, 0, 0, None, 10_000, 10_000),
        (12_500, 11_250, 5_625, 11_250, 6_875, 1_250),  # 22,500 of value; max(10,000 - 10,000, 1,250)
        (7_500, 8_750, 4_375, 8_750, 3_125, 1_250),  # the account for the memory keeps what it had
        (3_330, 6_665, 3_332.5, 6_665, -2.5, 1_250),
    ]
    # 2.50 are 0.375 of a share's 6.665: one is sold, and 499 need 3,325.835.
    assert calls(results) == [
        (4, "maintenance", "issued", 3_330, 3_332.5, 2.5, 4),
        (4, "maintenance", "liquidation", 3_330, 3_332.5, 2.5, 4),
        (4, "maintenance", "met", 3_330, 3_325.835, 0, None),
    ]
    assert fills(results) == [(1, "buy", 500, 40), (4, "sell", 1, 26.66)]


# 150 at 10 with 1,000 owe 500: equity 150 p - 500, maintenance of two fifths 60 p; it lacks below 5.56.
HALF = FixedLeverage(2, maintenance=0.4)


def test_positions_are_closed_at_the_deadline() -> None:
    results = play(
        feed(*flat(10, 10, 5, 5, 5, 5)), buy(150), margin=HALF, liquidation=LargestLoserFirst("2d")
    )
    # 50 of the 300 that 150 need are those of 25.
    assert calls(results) == [
        (2, "maintenance", "issued", 250, 300, 50, 4),
        (4, "maintenance", "liquidation", 250, 300, 50, 4),
        (4, "maintenance", "met", 250, 250, 0, None),
    ]
    assert fills(results)[1:] == [(4, "sell", 25, 5)]


def test_a_call_is_met_by_prices() -> None:
    results = play(feed(*flat(10, 10, 5, 6, 5, 5)), buy(150), margin=HALF, liquidation=CloseAll("2d"))
    # At 6 there are 400 for 360. The next call has a deadline of its own, after the data.
    assert calls(results) == [
        (2, "maintenance", "issued", 250, 300, 50, 4),
        (3, "maintenance", "met", 400, 360, 0, None),
        (4, "maintenance", "issued", 250, 300, 50, 6),
        (6, "maintenance", "liquidation", 250, 300, 50, 6),
    ]
    assert len(fills(results)) == 1


def test_a_call_is_met_by_a_deposit_and_by_closing() -> None:
    at = DAY + dt.timedelta(days=3, hours=12)
    deposit = pl.DataFrame({"ts_event": [at], "amount": ["50"]})
    market = feed(*flat(10, 10, 5, 5, 5))
    paid = play(market, buy(150), margin=HALF, liquidation=CloseAll("2d"), cash_flows=deposit)
    assert calls(paid)[1:] == [(3.5, "maintenance", "met", 300, 300, 0, None)]
    closed = play(market, buy(150), nothing, sell(150), margin=HALF, liquidation=CloseAll("2d"))
    assert calls(closed)[1:] == [(3, "maintenance", "met", 250, 0, 0, None)]


def test_a_warning_comes_once_until_it_is_over() -> None:
    results = play(
        feed(*flat(10, 10, 6, 5.9, 5.8, 6, 5.9)), buy(150), margin=HALF, liquidation=CloseAll("0s", 0.9)
    )
    # At 6 maintenance is nine tenths of 400, not more; at 5.9 it is 354 of 385.
    assert calls(results) == [
        (3, "maintenance", "warning", 385, 354, 0, None),
        (6, "maintenance", "warning", 385, 354, 0, None),
    ]


def test_nothing_is_closed_without_a_liquidation_model() -> None:
    results = play(feed(*flat(10, 10, 5, 5, 5)), buy(150), margin=HALF)
    assert calls(results) == [(2, "maintenance", "issued", 250, 300, 50, 2)]


def test_the_memorandum_account_is_called_for_trades_of_the_day() -> None:
    """A quarter opens 300 at 10 in the session, and at its close half of 3,000 is needed of 1,000."""
    margin = RegT(0.5, intraday=0.25)
    results = play(feed(*flat(10, 10, 10, 10)), buy(300), margin=margin, liquidation=LargestLoserFirst())
    # 1,000 - 1,500; then 100 sold release 500 of it.
    assert results.margin["sma"].to_list() == [1_000, -500, 0, 0]
    assert calls(results) == [
        (2, "overnight", "issued", 1_000, 1_500, 500, 2),
        (2, "overnight", "liquidation", 1_000, 1_500, 500, 2),
        (3, "overnight", "met", 1_000, 1_000, 0, None),
    ]
    assert fills(results)[1:] == [(2, "sell", 100, 10)]


def test_a_call_then_cancels_then_orders_are_told() -> None:
    steps = [both(buy(150), buy(1, limit_price=1), buy(2, limit_price=2))]
    results = play(feed(*flat(10, 10, 5, 5)), *steps, margin=HALF, liquidation=CloseAll())
    told = results.logs["message"].to_list()
    assert told[told.index("call issued") :] == [
        "call issued",
        "call liquidation",
        "2 canceled LIQUIDATION",
        "3 canceled LIQUIDATION",
        "4 submitted",
        "4 accepted",
        "4 filled",
        "call met",
    ]
    # The open of day 2 was over when it was seen at it, so the next one closes the position.
    assert fills(results)[1:] == [(3, "sell", 150, 5)]


def test_a_gap_takes_several_rounds() -> None:
    bars = [*flat(10, 10), (10, 10, 5, 5), *flat(4, 4)]
    results = play(feed(*bars), buy(150), margin=HALF, liquidation=LargestLoserFirst())
    # 25 are sold for the 50 that lack at 5. At 4 the 125 left need 200, and there are 100: half of them.
    assert calls(results) == [
        (3, "maintenance", "issued", 250, 300, 50, 3),
        (3, "maintenance", "liquidation", 250, 300, 50, 3),
        (3, "maintenance", "liquidation", 100, 200, 100, 3),
        (4, "maintenance", "met", 100, 99.2, 0, None),
    ]
    assert fills(results)[1:] == [(3, "sell", 25, 4), (4, "sell", 63, 4)]


def test_a_liquidation_only_reduces_what_rules_have_left() -> None:
    def guard(broker: Any) -> None:  # noqa: ANN401
        broker.set_position_rules(StopLoss(pct=0.55))

    bars = [*flat(10, 10), (10, 10, 5, 5), *flat(4, 4)]
    results = play(feed(*bars), both(guard, buy(150)), margin=HALF, liquidation=CloseAll())
    # The stop at 4.50 is not canceled, is older, and takes the gap.
    assert fills(results)[1:] == [(3, "sell", 150, 4)]
    assert ends(results) == [(1, "filled", ""), (2, "filled", ""), (3, "rejected", "NOTHING_TO_REDUCE")]
    assert calls(results)[-1] == (3, "maintenance", "met", 100, 0, 0, None)


def test_a_strategy_can_neither_cancel_nor_group_a_liquidation() -> None:
    answers: list[Any] = []

    def cancel(broker: Any) -> None:  # noqa: ANN401
        answers.extend(broker.cancel_order(order) for order in broker.open_orders)

    bars = [*flat(10, 10), (10, 10, 5, 5), *flat(5)]
    results = play(feed(*bars), buy(150), nothing, cancel, margin=HALF, liquidation=CloseAll())
    assert answers == [False, False]
    assert ends(results)[-1] == (2, "filled", "")


# -- what may be opened --------------------------------------------------------------------------------------


def test_an_order_needs_what_opens_it_and_a_fill_is_carried_at_its_price() -> None:
    market = feed(*flat(10), *flat(11, 11))
    steps = both(buy(201), buy(200), buy(1, limit_price=9))
    results = play(market, steps, margin=HALF, liquidation=CloseAll())
    # Half of 2,010 is more than 1,000; the third finds that the second has set all of it aside.
    assert ends(results) == [
        (1, "rejected", "INSUFFICIENT_BUYING_POWER"),
        (2, "rejected", "INSUFFICIENT_CASH"),
        (3, "rejected", "INSUFFICIENT_BUYING_POWER"),
    ]


def test_what_only_reduces_is_always_carried() -> None:
    results = play(feed(*flat(10, 10, 2, 2)), buy(150), sell(10), margin=HALF)
    assert fills(results)[1:] == [(2, "sell", 10, 2)]


# -- liquidation at a price ----------------------------------------------------------------------------------

# 50 at 100 with 1,000, a tenth opens and a twentieth holds: 500 and 2.5 p.
CROSS = CryptoMargin(10, tiers=[(0, 0.05)])
ISOLATED = CryptoMargin(10, tiers=[(0, 0.05)], mode="isolated", liquidation_fee=0.01)


@pytest.mark.parametrize(
    ("step", "bar", "filled", "left", "needed"),
    [
        # 1,000 + 50 (p - 100) <= 2.5 p from 84.21 on.
        (buy(50), (100, 101, 80, 90), ("sell", 84.21), 210.5, 210.525),
        (buy(50), (80, 101, 79, 90), ("sell", 80), 210.5, 210.525),
        # 1,000 - 50 (p - 100) <= 2.5 p from 114.29 on.
        (sell(50), (100, 120, 90, 90), ("buy", 114.29), 285.5, 285.725),
        (sell(50), (130, 131, 90, 90), ("buy", 130), 285.5, 285.725),
    ],
)
def test_all_of_an_account_stands_behind_a_cross_position(
    step: Action, bar: Bar, filled: tuple[str, float], left: float, needed: float
) -> None:
    results = play(perpetual(*flat(100, 100), bar, *flat(90)), step, margin=CROSS)
    ((_, side, quantity, price),) = fills(results)[1:]
    assert (side, price, quantity) == (*filled, 50)
    (row,) = calls(results)
    assert row[1:] == ("liquidation_price", "liquidation", left, needed, pytest.approx(needed - left), None)
    assert results.orders.row(-1, named=True)["tag"] == "liquidation"


def test_what_opened_an_isolated_position_stands_behind_it() -> None:
    results = play(perpetual(*flat(100, 100), (100, 101, 80, 90), *flat(90)), buy(50), margin=ISOLATED)
    # 500 + 50 (p - 100) <= 2.5 p from 94.73 on; a hundredth of 4,736.50 is the fee.
    assert fills(results)[1:] == [(3, "sell", 50, 94.73)]
    assert results.fills["fee"].to_list() == [0, 47.365]
    assert calls(results) == [
        (3, "liquidation_price", "liquidation", 236.5, 236.825, pytest.approx(0.325), None)
    ]
    assert float(results.portfolio_history["equity"][-1]) == 1_000 - 263.5 - 47.365


def test_a_stop_in_front_of_the_price_fills_first() -> None:
    def stop(broker: Any) -> None:  # noqa: ANN401
        broker.sell("A", 50, order_type="stop", stop_price=95)

    results = play(perpetual(*flat(100, 100), (100, 101, 80, 90)), buy(50), stop, margin=ISOLATED)
    assert fills(results)[1:] == [(3, "sell", 50, 95)]
    assert calls(results) == []
    assert ends(results)[-1] == (3, "canceled", "POSITION_CLOSED")


# -- margin rates --------------------------------------------------------------------------------------------


def rates(*rows: tuple[float, float | None, float | None]) -> pl.DataFrame:
    table = [("A", DAY + dt.timedelta(days=at), initial, held) for at, initial, held in rows]
    schema = {"symbol": pl.String, "ts_event": pl.Datetime("ns", "UTC")}
    schema |= {"initial": pl.Float64, "maintenance": pl.Float64}
    return pl.DataFrame(table, schema=schema, orient="row")


def test_rates_of_futures_count_from_their_time_on() -> None:
    market = feed(*flat(100, 100, 100, 100, 100), asset_class="future", multiplier=5)
    table = rates((0, 300, 250), (2.5, 600, 400))
    results = play(
        market, buy(3), margin=FuturesMargin(), liquidation=LargestLoserFirst(), margin_rates=table
    )
    assert results.margin["maintenance"].to_list() == [0, 750, 1_200, 800, 800]
    # Of 1,200 lack 200: half a contract, and so one.
    assert calls(results) == [
        (3, "maintenance", "issued", 1_000, 1_200, 200, 3),
        (3, "maintenance", "liquidation", 1_000, 1_200, 200, 3),
        (3, "maintenance", "met", 1_000, 800, 0, None),
    ]


@pytest.mark.parametrize("engine", ["rust", "reference"])
def test_a_hole_in_the_rates_stops_the_run_where_something_is_held(engine: str) -> None:
    market = feed(*flat(100, 100, 100, 100), asset_class="future", multiplier=5)
    parts = {"models": {"margin": FuturesMargin()}, "margin_rates": rates((0, 300, 250), (2.5, None, None))}
    assert results_of(engine, market, [buy(3), sell(3)], **parts).fills.height == 2
    with pytest.raises(
        ModelError, match=r"no margin rate is in force for A .*2024-01-04|2024-01-04.*no margin"
    ):
        results_of(engine, market, [buy(3)], **parts)
