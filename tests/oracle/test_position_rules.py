"""Position rules, worked by hand, on both engines."""

from __future__ import annotations

from typing import Any

from ml4t.backtest import CompositeRule, StopLoss, Strategy, TakeProfit, TrailingStop

from .play import ENGINES, Action, at, clock, days, feed_of, flat, hourly, hours, play, run, split


def sold(results: Any) -> list[float]:  # noqa: ANN401 - results of a run
    prices: list[float] = results.fills.filter(side="sell")["price"].to_list()
    return prices


@ENGINES
def test_a_trailing_stop_knows_what_its_position_has_seen(engine: str) -> None:
    bars = days((100, 100, 100, 100), (100, 120, 100, 118), (118, 118, 110, 112), (112, 112, 90, 95))
    steps: dict[int, Action] = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.set_position_rules(TrailingStop(pct=0.1)),
    }
    # Set when the second bar is complete: 10 % below its high of 120.00, not below its close.
    assert sold(play(engine, feed_of(bars), steps)) == [108.0]


@ENGINES
def test_a_trailing_stop_with_another_fraction_starts_from_the_same_high(engine: str) -> None:
    bars = days((100, 100, 100, 100), (100, 120, 100, 118), (118, 118, 110, 112), (112, 112, 90, 95))
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(TrailingStop(pct=0.05)), now.broker.buy("A", 10)),
        1: lambda now: now.broker.set_position_rules(TrailingStop(pct=0.2)),
    }
    # 5 % below 120.00 would have been 114.00. Rules that are set anew may widen the stop: 96.00.
    assert sold(play(engine, feed_of(bars), steps)) == [96.0]


@ENGINES
def test_an_order_of_a_rule_that_is_taken_back_stays_away(engine: str) -> None:
    bars = days((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 96, 97), (97, 97, 80, 80), (80,) * 4)
    rules = CompositeRule([StopLoss(pct=0.05), TakeProfit(pct=0.5)])

    def take_back(now: Any) -> None:  # noqa: ANN401 - the running strategy
        (stop,) = [order for order in now.broker.open_orders if order.tag == "stop_loss"]
        now.broker.cancel_order(stop)

    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(rules), now.broker.buy("A", 10)),
        # A second entry does not bring it back.
        1: lambda now: (take_back(now), now.broker.buy("A", 10)),
    }
    results = play(engine, feed_of(bars), steps)
    assert sold(results) == []
    # The target follows the position.
    assert results.orders.filter(tag="take_profit")["quantity"].to_list() == [20.0]
    # Setting rules does: the fourth bar goes from 97.00 to 80.00 through 95.00.
    steps[2] = lambda now: now.broker.set_position_rules(rules)
    assert sold(play(engine, feed_of(bars), steps)) == [95.0]


@ENGINES
def test_rules_may_be_set_before_the_first_event(engine: str) -> None:
    class Guarded(Strategy):
        def on_start(self) -> None:
            self.broker.set_position_rules(StopLoss(pct=0.05))

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not broker.positions and not broker.open_orders and timestamp.day == 2:
                broker.buy("A", 10)

    bars = days((100, 100, 100, 100), (100, 100, 94, 98), (98, 98, 98, 98))
    assert sold(run(engine, feed_of(bars), Guarded)) == [95.0]


@ENGINES
def test_rules_set_in_answer_to_a_fill_meet_only_later_bars(engine: str) -> None:
    """The second buy makes the average 90.00; a stop of 85.50 set then is beyond the market of 80.00."""

    class Late(Strategy):
        def on_start(self) -> None:
            self.fills = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.day in (2, 3):
                broker.buy("A", 1)

        def on_fill(self, event: Any) -> None:  # noqa: ANN401
            self.fills += 1
            if self.fills == 2:
                self.broker.set_position_rules(StopLoss(pct=0.05))

    bars = days((100, 101, 99, 100), (100, 101, 99, 100), (80, 81, 79, 80), (82, 83, 82, 82))
    results = run(engine, feed_of(bars), Late)
    # Not in the bar that had opened, whose range ends at 81.00: at the next open.
    assert results.fills["price"].to_list() == [100.0, 80.0, 82.0]


@ENGINES
def test_levels_are_rounded_once_from_the_exact_average(engine: str) -> None:
    """Three shares for 31.00: 4 % below 10.333... is 9.92 exactly, which no rounded average gives."""
    bars = days((10, 10, 10, 10), (10, 10, 10, 10), (10.5, 10.5, 10.5, 10.5), (10.5, 10.5, 9, 9), (9,) * 4)
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(StopLoss(pct=0.04)), now.broker.buy("A", 1)),
        1: lambda now: now.broker.buy("A", 2),
    }
    assert sold(play(engine, feed_of(bars), steps)) == [9.92]


@ENGINES
def test_orders_of_rules_follow_a_split(engine: str) -> None:
    """7 shares at 100.00 become 3 and half a share in cash; a stop of 95.00 is one of 190.00."""
    bars = days((100,) * 4, (100,) * 4, (200, 200, 200, 200), (200, 200, 180, 185), (185,) * 4)
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(StopLoss(pct=0.05)), now.broker.buy("A", 7))
    }
    results = play(engine, feed_of(bars, actions=split("1/2")), steps)
    assert results.fills.filter(side="sell").select("price", "quantity").rows() == [(190.0, 3.0)]


@ENGINES
def test_new_rules_find_what_an_open_has_left_that_waits_for_its_volume(engine: str) -> None:
    """The gap to 90.00 sells at the stop of 95.00, though the cap books it at the end of the bar."""

    class Changes(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.hour == 1:
                broker.set_position_rules(StopLoss(pct=0.05))
                broker.buy("A", 10)
            if timestamp.minute == 30:
                broker.set_position_rules(None)

    bars = hours((100,) * 4, (100,) * 4, (90, 91, 89, 90), (90,) * 4, volume=1e4)
    feeds = [hourly(bars, name="bars"), clock(at(2, 30))]
    results = run(engine, feeds, Changes, fill_model={"type": "Default", "volume_limit": 0.5})
    assert sold(results) == [90.0]
    assert results.orders.filter(tag="stop_loss")["status"].to_list() == ["filled"]


@ENGINES
def test_a_session_that_closes_does_not_undo_a_fill_that_its_open_decided(engine: str) -> None:
    """The session closes at midnight, inside a bar that waits for its volume."""
    bars = hours((100,) * 4, (100,) * 4, (101,) * 4, (102,) * 4, first=at(22, 30), volume=100)

    class Buys(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.hour == 23:
                broker.buy("A", 80, time_in_force="day")

    results = run(engine, hourly(bars), Buys, fill_model={"type": "Default", "volume_limit": 0.5})
    # Half of the bar is 50; what is left expires when that is booked, and not before.
    assert results.fills.select("price", "quantity").rows() == [(101.0, 50.0)]
    assert results.orders["status"].to_list() == ["expired"]
    assert results.orders["ts_closed"].to_list() == [bars["ts_event"][2]]


@ENGINES
def test_a_refused_order_shows_what_was_asked_for(engine: str) -> None:
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.buy("A", 10), now.broker.buy("A", 28 / 3)),
        1: lambda now: now.broker.order_target_quantity("A", 2.25),
        2: lambda now: now.broker.sell("A", 1, limit_price="100.123456789123"),
    }
    results = play(engine, feed_of(flat(100, 100, 100, 100)), steps)
    refused = results.orders.filter(status="rejected")
    assert refused.select("side", "quantity", "limit_price", "reason_code").rows() == [
        ("buy", 28 / 3, None, "OFF_LOT"),
        ("sell", 7.75, None, "OFF_LOT"),
        ("sell", 1.0, 100.123456789123, "OFF_TICK"),
    ]
    assert "target quantity 2.25 is not a multiple of lot_size 1" in refused["reason"][1]


@ENGINES
def test_rules_are_taken_in_the_sequence_in_which_they_were_set(engine: str) -> None:
    steps: dict[int, Action] = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: (
            now.broker.set_position_rules(StopLoss(pct=0.05)),
            now.broker.set_position_rules(None),
        ),
    }
    results = play(engine, feed_of(flat(100, 100, 100, 100)), steps)
    assert results.orders.select("tag", "status", "reason_code").rows() == [
        ("", "filled", ""),
        ("stop_loss", "canceled", "CANCELED_BY_REQUEST"),
    ]
