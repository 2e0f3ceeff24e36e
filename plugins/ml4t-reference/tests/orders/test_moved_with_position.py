"""Rows `MOVED_WITH_POSITION`: orders of rules that take another size or level, worked by hand.

Days of a market that never closes. What is sent on the first takes the open of the second.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import CompositeRule, Engine, Results, StopLoss, Strategy, TakeProfit, TrailingStop

from .market import DAY, FLAT, Action, at, daily, play, send

CODE = "MOVED_WITH_POSITION"
SENTENCE = "the order of a position rule took the size or level that its position has now"
THREE = CompositeRule([TrailingStop(pct=0.2), TakeProfit(pct=0.5), StopLoss(pct=0.1)])
OTHERS = CompositeRule([StopLoss(pct=0.1), TakeProfit(pct=0.4), TrailingStop(pct=0.3)])
CAP = {"fill_model": {"type": "Default", "volume_limit": 0.1}}


def guarded(rules: Any, quantity: float = 10) -> Action:  # noqa: ANN401 - position rules
    return lambda now: (now.broker.set_position_rules(rules), now.broker.buy("A", quantity))


def setting(rules: Any) -> Action:  # noqa: ANN401 - position rules
    return lambda now: now.broker.set_position_rules(rules)


def level(price: float, *volume: float) -> tuple[float, ...]:
    return (*(price,) * 4, *volume)


def moved(results: Results) -> list[tuple[str, Any, str]]:
    """Return the rows in their sequence: rule, time and state."""
    tags = dict(results.orders.select("order_id", "tag").rows())
    rows = results.order_events.filter(pl.col("reason_code") == CODE)
    assert (rows["status"] == rows["status_from"]).all()
    assert set(rows["reason"]) <= {SENTENCE}
    moves = rows.select("order_id", "ts_event", "status").rows()
    return [(tags[order], ts, state) for order, ts, state in moves]


def split(ratio: str) -> dict[str, pl.DataFrame]:
    """Return the actions of a split on the third day."""
    rows = {"symbol": ["A"], "ex_date": [DAY + dt.timedelta(days=2)], "kind": ["split"], "ratio": [ratio]}
    return {"actions": pl.DataFrame(rows)}


# -- fills ---------------------------------------------------------------------------------------------------


def test_no_order_moves_when_it_is_placed() -> None:
    assert moved(play(daily(FLAT, FLAT, FLAT), {0: guarded(THREE)})) == []


def test_a_fill_moves_all_orders_of_rules_in_their_sequence_right_after_it() -> None:
    """Ten more at the same price: sizes move, levels do not."""
    results = play(daily(FLAT, FLAT, FLAT), {0: guarded(THREE), 1: send("buy")})
    assert moved(results) == [
        (rule, at(3), "accepted") for rule in ("stop_loss", "take_profit", "trailing_stop")
    ]
    last = results.order_events.filter(pl.col("reason_code") != "END_OF_DATA")
    assert last.select("order_id", "status", "reason_code").rows()[-4:] == [
        (5, "filled", ""),
        (2, "accepted", CODE),
        (3, "accepted", CODE),
        (4, "accepted", CODE),
    ]


def test_a_sale_of_a_part_moves_sizes() -> None:
    results = play(daily(FLAT, FLAT, FLAT), {0: guarded(StopLoss(pct=0.1)), 1: send("sell", 4)})
    assert moved(results) == [("stop_loss", at(3), "accepted")]
    assert results.orders["quantity"].to_list() == [10.0, 6.0, 4.0]


def test_each_fill_of_an_entry_moves_them() -> None:
    """Ten of 25 a day: the order is placed with the first fill and moves with the second and the third."""
    bars = daily(FLAT, *(level(100, 100) for _ in range(4)))
    results = play(bars, {0: guarded(StopLoss(pct=0.1), 25)}, **CAP)
    assert [ts for _, ts, _ in moved(results)] == [at(4), at(5)]
    assert results.orders["quantity"].to_list() == [25.0, 25.0]


def test_a_fill_of_a_rule_moves_the_others_and_not_itself() -> None:
    """The target sells five of ten at 110.00: what it has open is what is held, and the stop has more."""
    rules = CompositeRule([StopLoss(pct=0.1), TakeProfit(pct=0.1)])
    bars = daily(FLAT, level(100, 100), level(110, 50), level(105, 0))
    results = play(bars, {0: guarded(rules)}, **CAP)
    assert moved(results) == [("stop_loss", at(4), "accepted")]
    assert results.orders.filter(tag="take_profit")["filled_quantity"].to_list() == [5.0]


def test_a_stop_that_has_traded_changes_its_size_alone() -> None:
    """A limit of 85.00 for twenty was sent before, so it comes first.

    At 80.00 it takes the five of the third day: (1000 + 400) / 15 x 0.9 = 84.00 is triggered there, and has
    to wait. On the fourth day it takes 15 of 25: (1400 + 1200) / 30 x 0.9 = 78.00 would not be triggered.
    """

    def begin(now: Any) -> None:  # noqa: ANN401 - the running strategy
        guarded(StopLoss(pct=0.1))(now)
        now.broker.buy("A", 20, limit_price=85)

    results = play(daily(FLAT, level(100, 1000), level(80, 50), level(80, 250)), {0: begin}, **CAP)
    assert results.fills.select("order_id", "price", "quantity").rows() == [
        (1, 100.0, 10.0),
        (2, 80.0, 5.0),
        (2, 80.0, 15.0),
        (3, 80.0, 10.0),
    ]
    assert [ts for _, ts, _ in moved(results)] == [at(4), at(5)]
    assert results.orders.select("quantity", "stop_price").row(2) == (30.0, 84.0)


def test_none_moves_where_the_position_is_closed_or_turned() -> None:
    results = play(daily(FLAT, FLAT, FLAT), {0: guarded(THREE), 1: send("sell", 25)})
    assert moved(results) == []
    assert results.orders.filter(pl.col("reason_code") == "POSITION_CLOSED").height == 3


# -- markets, rules and splits -------------------------------------------------------------------------------


def test_the_steps_of_a_trailing_stop_have_no_rows() -> None:
    results = play(daily(FLAT, FLAT, level(110), level(120)), {0: guarded(TrailingStop(pct=0.2))})
    assert results.orders.filter(tag="trailing_stop")["stop_price"].to_list() == [96.0]
    assert moved(results) == []


@pytest.mark.parametrize(
    ("rules", "kinds"),
    [
        (THREE, []),
        (OTHERS, ["take_profit", "trailing_stop"]),
        (CompositeRule([StopLoss(pct=0.05)]), ["stop_loss"]),
        (None, []),
    ],
)
def test_rules_set_anew_move_the_orders_whose_level_changes(rules: Any, kinds: list[str]) -> None:  # noqa: ANN401
    results = play(daily(FLAT, FLAT, FLAT), {0: guarded(THREE), 1: setting(rules)})
    assert moved(results) == [(kind, at(3), "accepted") for kind in kinds]


@pytest.mark.parametrize(
    ("ratio", "held"),
    [
        ("2", [20.0, 20.0]),
        # A share and a half, of which the half is paid in cash: the size stays, and the level does not.
        ("3/2", [1.0, 1.0]),
    ],
)
def test_a_split_moves_sizes_or_levels(ratio: str, held: list[float]) -> None:
    quantity = 10 if ratio == "2" else 1
    rules = CompositeRule([StopLoss(pct=0.1), TrailingStop(pct=0.2)])
    results = play(daily(FLAT, FLAT, level(60), **split(ratio)), {0: guarded(rules, quantity)})
    assert moved(results) == [(kind, at(3), "accepted") for kind in ("stop_loss", "trailing_stop")]
    assert results.orders.filter(pl.col("tag") != "")["quantity"].to_list() == held


def test_a_split_of_nothing_changes_nothing() -> None:
    results = play(daily(FLAT, FLAT, FLAT, **split("1")), {0: guarded(StopLoss(pct=0.1))})
    assert moved(results) == []


def test_the_strategy_is_told() -> None:
    told: list[tuple[str, str, str]] = []

    class Listens(Strategy):
        def on_start(self) -> None:
            self.broker.set_position_rules(StopLoss(pct=0.1))

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("A", 1)

        def on_order(self, event: Any) -> None:  # noqa: ANN401
            if event.reason_code == CODE:
                told.append((event.status.value, event.previous_status.value, event.reason))

    Engine(daily(FLAT, FLAT, FLAT), Listens, config={"backtest": {"engine": "reference"}}).run()
    assert told == [("accepted", "accepted", SENTENCE)]
