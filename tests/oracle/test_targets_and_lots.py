"""What a target finds, what is cut to whole lots, what bounds the account: by hand, on both engines."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results
from ml4t.core.errors import ConfigError

from .play import ENGINES, Action, feed_of, flat, play, split

LATE = "25h"
"""Latency under which an order sent at the end of one day is under way at the end of the next."""


def sent(results: Results) -> list[float]:
    """Return the quantities of all orders, those of sales below zero."""
    signed = pl.when(pl.col("side") == "sell").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    return results.orders.sort("order_id").select(signed).to_series().to_list()


def held(results: Results) -> dict[str, float]:
    """Return what is held at the last NAV."""
    last = results.positions.filter(pl.col("session") == results.nav["session"].max())
    return dict(last.select("symbol", "quantity").rows())


def codes(results: Results) -> list[str]:
    return results.orders.sort("order_id")["reason_code"].to_list()


def lots_of(size: int, *prices: float) -> DataFeed:
    return feed_of(flat(*prices), instruments=[Instrument("A", calendar="24/7", lot_size=Decimal(size))])


def hold(quantity: float) -> Action:
    """Return the step that opens a position, long or short."""
    return lambda now: (now.broker.buy if quantity > 0 else now.broker.sell)("A", abs(quantity))


def value(worth: float) -> Action:
    return lambda now: now.broker.order_target_value("A", worth)


def percent(share: float) -> Action:
    return lambda now: now.broker.order_target_percent("A", share)


def quantity(wanted: float) -> Action:
    return lambda now: now.broker.order_target_quantity("A", wanted)


# -- target_rounding -----------------------------------------------------------------------------------------

# All at a price of 10.00: what is held, what the target is worth in units, and what each value sends.
ROUNDINGS = [
    # Nothing is held: position and order are the same.
    (0, 7.6, 7, 7),
    (0, -7.6, -7, -7),
    # Enlarged: 12 - 10 = 2, and 2.6 is cut to 2.
    (10, 12.6, 2, 2),
    (-10, -12.6, -2, -2),
    # Reduced: 7 - 10 = -3, and -2.4 is cut to -2. Short it is the mirror: -7 + 10 = 3, and 2.4 is cut to 2.
    (10, 7.6, -3, -2),
    (-10, -7.6, 3, 2),
    # Turned: -7 - 10 = -17, and -17.6 is cut to -17.
    (10, -7.6, -17, -17),
    (-10, 7.6, 17, 17),
    # A target below one unit: the position is cut to nothing, -10; the order is -9.6, cut to -9.
    (10, 0.4, -10, -9),
    (-10, -0.4, 10, 9),
    # No fraction at all.
    (10, 7, -3, -3),
    (10, 0, -10, -10),
]


@ENGINES
@pytest.mark.parametrize(("before", "units", "by_position", "by_order"), ROUNDINGS)
@pytest.mark.parametrize("rounding", ["position", "order"])
def test_a_target_by_value_is_cut_as_a_position_or_as_an_order(
    engine: str, rounding: str, before: int, units: float, by_position: int, by_order: int
) -> None:
    steps = {1: value(units * 10)} | ({0: hold(before)} if before else {})
    results = play(
        engine, feed_of(flat(10, 10, 10)), steps, allows_short=True, policies={"target_rounding": rounding}
    )
    order = by_position if rounding == "position" else by_order
    assert sent(results)[bool(before) :] == [order]
    left = before + order
    assert held(results) == ({"A": left} if left else {})


@ENGINES
@pytest.mark.parametrize("before", [10, -10])
def test_an_order_of_less_than_a_lot_is_not_sent(engine: str, before: int) -> None:
    """Held 10, worth 9.6: the position of 9 sells one; the order of -0.4 is cut to nothing."""
    steps = {0: hold(before), 1: value(before * 9.6)}
    feed = feed_of(flat(10, 10, 10))
    results = play(engine, feed, steps, allows_short=True, policies={"target_rounding": "order"})
    assert sent(results) == [before]
    assert held(results) == {"A": before}
    results = play(engine, feed, steps, allows_short=True)
    assert sent(results) == [before, -before / 10]


@ENGINES
@pytest.mark.parametrize(
    ("policies", "sizes"),
    [
        # 5 on the way, which intake will refuse: the order of -5 is cut to nothing, or is refused as well.
        ({"target_rounding": "order"}, [5]),
        ({"lot_rounding": "down"}, [5, -5]),
        ({}, [5, -5]),
    ],
)
def test_a_target_of_nothing_beside_an_order_off_the_lot(
    engine: str, policies: dict[str, str], sizes: list[float]
) -> None:
    def both(now: Any) -> None:  # noqa: ANN401
        now.broker.buy("A", 5)
        now.broker.order_target_value("A", 0)

    results = play(engine, lots_of(10, 10, 10), {0: both}, policies=policies)
    assert sent(results) == sizes
    assert codes(results) == ["OFF_LOT"] * len(sizes)


@ENGINES
def test_a_split_leaves_whole_lots_and_pays_what_is_over(engine: str) -> None:
    """3 for 2 of 10 are 15: 10 stay, and 5 at 10.00 are paid."""
    feed = feed_of(
        flat(15, 15, 10, 10),
        instruments=[Instrument("A", calendar="24/7", lot_size=Decimal(10))],
        actions=split("3/2"),
    )
    results = play(engine, feed, {0: hold(10)})
    assert held(results) == {"A": 10}
    paid = results.ledger.filter(pl.col("kind") == "cash_in_lieu")
    assert [float(amount) for amount in paid["amount"]] == [50.0]


@ENGINES
@pytest.mark.parametrize("sign", [1, -1])
def test_a_target_is_cut_to_lots_of_ten(engine: str, sign: int) -> None:
    """30 held, worth 12.4: the position is 10 and 20 go; the order of -17.6 is cut to -10.

    Worth 47.6 of 30: the position is 40, the order of 17.6 is 10.
    """
    for units, by_position, by_order in ((12.4, -20, -10), (47.6, 10, 10)):
        for rounding, order in (("position", by_position), ("order", by_order)):
            steps = {0: hold(30 * sign), 1: value(sign * units * 10)}
            results = play(
                engine,
                lots_of(10, 10, 10, 10),
                steps,
                allows_short=True,
                policies={"target_rounding": rounding},
            )
            assert sent(results) == [30 * sign, order * sign], (units, rounding)
            assert held(results) == {"A": sign * (30 + order)}


@ENGINES
def test_a_share_of_the_equity_is_sized_with_the_price_that_has_arrived(engine: str) -> None:
    """Half of 1,000 at 10.00 is 50.

    At 12.00 equity is 500 + 600 = 1,100, half of it 550 / 12 = 45.83: the position is 45, five go; the order
    of -4.17 is four. At 8.00 equity is 900, 450 / 8 = 56.25: six come under both. The next open, 11.00, is no
    part of it.
    """
    for price, by_position, by_order in ((12, -5, -4), (8, 6, 6)):
        for rounding, order in (("position", by_position), ("order", by_order)):
            steps = {0: percent(0.5), 1: percent(0.5)}
            frame = pl.concat([flat(10, 10, 11), flat(1, 1, 1, symbol="B")]).with_columns(
                close=pl.when((pl.col("symbol") == "A") & (pl.col("session").dt.day() == 2))
                .then(float(price))
                .otherwise("close"),
                high=pl.max_horizontal("high", pl.lit(12.0)),
                low=pl.min_horizontal("low", pl.lit(1.0)),
            )
            results = play(
                engine, feed_of(frame), steps, initial_cash=1000, policies={"target_rounding": rounding}
            )
            assert sent(results) == [50, order], (price, rounding)
            assert results.fills["price"].to_list() == [10.0, 11.0]


@ENGINES
def test_a_share_of_the_equity_held_short_is_cut_towards_zero(engine: str) -> None:
    """Half of 1,000 short at 10.00 is -50, cash 1,500.

    At 8.00 equity is 1,500 - 400 = 1,100, half of it 550 / 8 = 68.75: the position is -68, and -18.75 is cut
    to -18 as well. At 12.00 equity is 900, 450 / 12 = 37.5: the position is -37, 13 are bought; the order of
    12.5 is 12.
    """
    for price, by_position, by_order in ((8, -18, -18), (12, 13, 12)):
        for rounding, order in (("position", by_position), ("order", by_order)):
            steps = {0: percent(-0.5), 2: percent(-0.5)}
            results = play(
                engine,
                feed_of(flat(10, 10, price, price)),
                steps,
                initial_cash=1000,
                allows_short=True,
                policies={"target_rounding": rounding},
            )
            assert sent(results) == [-50, order], (price, rounding)


@ENGINES
def test_what_is_under_way_is_part_of_the_difference(engine: str) -> None:
    """10 are under way, worth 7.6: 7 - 10 = -3 under `position`, 7.6 - 10 = -2.4 under `order`."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.buy("A", 10)
        now.broker.order_target_value("A", 76)

    for rounding, order in (("position", -3), ("order", -2)):
        results = play(engine, feed_of(flat(10, 10)), {0: act}, policies={"target_rounding": rounding})
        assert sent(results) == [10, order]
        assert held(results) == {"A": 10 + order}


@ENGINES
def test_under_order_and_ignored_the_difference_is_to_what_is_held(engine: str) -> None:
    """10 are held and 5 under way: 7 - 10 = -3, and 7.6 - 10 = -2.4 is cut to -2; the 5 come on top."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.buy("A", 5)
        now.broker.order_target_value("A", 76)

    for rounding, order in (("position", -3), ("order", -2)):
        policies = {"target_rounding": rounding, "target_orders": "ignored"}
        results = play(engine, feed_of(flat(10, 10, 10)), {0: hold(10), 1: act}, policies=policies)
        assert sent(results) == [10, 5, order]
        assert held(results) == {"A": 15 + order}


@ENGINES
@pytest.mark.parametrize("rounding", ["position", "order"])
def test_a_basket_is_cut_like_a_single_target(engine: str, rounding: str) -> None:
    """Of 1,000, 7.6 % are 7.6 units of A at 10.00, of which 10 are held; 12.5 % are 6.25 of B at 20.00."""
    frame = pl.concat([flat(10, 10, 10), flat(20, 20, 20, symbol="B")])
    steps: dict[int, Action] = {
        0: hold(10),
        1: lambda now: now.broker.order_target_weights({"A": 0.076, "B": 0.125}),
    }
    results = play(engine, feed_of(frame), steps, initial_cash=1000, policies={"target_rounding": rounding})
    assert sent(results) == [10, -3 if rounding == "position" else -2, 6]
    assert held(results) == {"A": 7 if rounding == "position" else 8, "B": 6}


# -- target_orders -------------------------------------------------------------------------------------------

TARGETS = [quantity(10), value(100), percent(0.1)]


@ENGINES
@pytest.mark.parametrize("target", TARGETS, ids=["quantity", "value", "percent"])
@pytest.mark.parametrize(("orders", "sizes"), [("counted", [10]), ("ignored", [10, 10])])
def test_a_target_asked_twice_at_once_is_sent_once_or_twice(
    engine: str, target: Action, orders: str, sizes: list[float]
) -> None:
    """A tenth of 1,000 at 10.00 is 10 units. The first order is under way when the second is asked for."""
    steps: dict[int, Action] = {0: lambda now: (target(now), target(now))}
    results = play(
        engine, feed_of(flat(10, 10)), steps, initial_cash=1000, policies={"target_orders": orders}
    )
    assert sent(results) == sizes
    assert held(results) == {"A": sum(sizes)}


@ENGINES
@pytest.mark.parametrize(("orders", "sizes"), [("counted", [10]), ("ignored", [10, 10])])
def test_an_order_that_travels_is_under_way(engine: str, orders: str, sizes: list[float]) -> None:
    """The first order reaches the venue inside the third day; as the second ends it is still on its way."""
    steps = {0: quantity(10), 1: quantity(10)}
    feed = feed_of(flat(10, 10, 10, 10, 10))
    results = play(engine, feed, steps, latency=LATE, policies={"target_orders": orders})
    assert sent(results) == sizes
    assert held(results) == {"A": sum(sizes)}


@ENGINES
@pytest.mark.parametrize("orders", ["counted", "ignored"])
def test_what_has_filled_is_held_and_a_limit_never_counts(engine: str, orders: str) -> None:
    """The limit of 1.00 is no market order. When the target is asked again, 10 are held: nothing is sent."""
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.buy("A", 10, limit_price=1), now.broker.order_target_quantity("A", 10)),
        1: quantity(10),
    }
    results = play(engine, feed_of(flat(10, 10, 10)), steps, policies={"target_orders": orders})
    assert sent(results) == [10, 10]
    assert held(results) == {"A": 10}


@ENGINES
@pytest.mark.parametrize(("orders", "sizes"), [("counted", [10, 10, -20]), ("ignored", [10, 10, -10])])
def test_a_target_of_nothing_closes_what_is_under_way_only_where_it_counts(
    engine: str, orders: str, sizes: list[float]
) -> None:
    """10 are held and 10 under way: 0 - 20 = -20 where they count, else 0 - 10 = -10."""
    steps: dict[int, Action] = {
        0: hold(10),
        1: lambda now: (now.broker.buy("A", 10), now.broker.order_target_quantity("A", 0)),
    }
    results = play(engine, feed_of(flat(10, 10, 10)), steps, policies={"target_orders": orders})
    assert sent(results) == sizes
    assert held(results).get("A", 0) == sum(sizes)


@ENGINES
@pytest.mark.parametrize(
    ("orders", "left"), [("counted", {"A": 40}), ("ignored", {"A": 40, "B": 10})], ids=["counted", "ignored"]
)
def test_a_basket_closes_what_is_under_way_only_where_it_counts(
    engine: str, orders: str, left: dict[str, float]
) -> None:
    """40 % are 40 of A. The 10 of B under way are not named: closed where they count, else not seen."""
    frame = pl.concat([flat(10, 10), flat(20, 20, symbol="B")])
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.buy("B", 10), now.broker.order_target_weights({"A": 0.4}))
    }
    results = play(engine, feed_of(frame), steps, initial_cash=1000, policies={"target_orders": orders})
    assert held(results) == left
    assert sorted(sent(results)) == ([-10, 10, 40] if orders == "counted" else [10, 40])


@ENGINES
@pytest.mark.parametrize(("orders", "sizes"), [("counted", [40]), ("ignored", [40, 40])])
def test_a_basket_asked_twice_at_once_is_sent_once_or_twice(
    engine: str, orders: str, sizes: list[float]
) -> None:
    """40 % of 1,000 at 10.00 are 40, twice 80 units for 800."""
    steps: dict[int, Action] = {
        0: lambda now: [now.broker.order_target_weights({"A": 0.4}) for _ in range(2)]
    }
    results = play(
        engine, feed_of(flat(10, 10)), steps, initial_cash=1000, policies={"target_orders": orders}
    )
    assert sent(results) == sizes
    assert held(results) == {"A": sum(sizes)}


@ENGINES
def test_a_basket_under_ignored_closes_positions_that_it_does_not_name(engine: str) -> None:
    """10 of B are held, 10 more under way. 40 % of 1,000 are 40 of A; of B what is held is sold: 10 stay."""
    frame = pl.concat([flat(10, 10, 10), flat(20, 20, 20, symbol="B")])
    steps: dict[int, Action] = {
        0: lambda now: now.broker.buy("B", 10),
        1: lambda now: (now.broker.buy("B", 10), now.broker.order_target_weights({"A": 0.4})),
    }
    results = play(engine, feed_of(frame), steps, initial_cash=1000, policies={"target_orders": "ignored"})
    assert sent(results) == [10, 10, -10, 40]
    assert held(results) == {"A": 40, "B": 10}


# -- lot_rounding --------------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize(
    ("lot", "before", "wanted", "order"),
    [
        (1, 0, 1.9, 1),
        (1, 0, -1.9, -1),
        (100, 0, 250, 200),
        (100, 0, -250, -200),
        # The target is cut, not what leads to it: 7 - 10 = -3, where -2.4 would be cut to -2.
        (1, 10, 7.6, -3),
        (1, -10, -7.6, 3),
        (1, 10, -7.6, -17),
        (100, 300, 150, -200),
    ],
)
def test_under_down_a_target_quantity_is_cut_to_whole_lots(
    engine: str, lot: int, before: int, wanted: float, order: int
) -> None:
    steps = {1: quantity(wanted)} | ({0: hold(before)} if before else {})
    results = play(
        engine, lots_of(lot, 10, 10, 10), steps, allows_short=True, policies={"lot_rounding": "down"}
    )
    assert sent(results)[bool(before) :] == [order]
    assert held(results) == {"A": before + order}


@ENGINES
@pytest.mark.parametrize(
    ("lot", "before", "wanted"),
    [(1, 0, 1.9), (1, 0, -1.9), (1, 0, 0.4), (100, 0, 250), (1, 10, 7.6), (100, 300, 150)],
)
def test_under_reject_a_target_quantity_off_the_lot_is_refused(
    engine: str, lot: int, before: int, wanted: float
) -> None:
    steps = {1: quantity(wanted)} | ({0: hold(before)} if before else {})
    results = play(engine, lots_of(lot, 10, 10, 10), steps, allows_short=True)
    assert codes(results) == [""] * bool(before) + ["OFF_LOT"]
    assert held(results) == ({"A": before} if before else {})


@ENGINES
@pytest.mark.parametrize("before", [0, 10])
@pytest.mark.parametrize("wanted", [0.4, -0.4])
def test_under_down_a_target_quantity_that_is_cut_to_nothing_is_refused(
    engine: str, before: int, wanted: float
) -> None:
    """Cut to nothing is not a target of nothing: what is held stays."""
    steps = {1: quantity(wanted)} | ({0: hold(before)} if before else {})
    results = play(
        engine, feed_of(flat(10, 10, 10)), steps, allows_short=True, policies={"lot_rounding": "down"}
    )
    assert codes(results) == [""] * bool(before) + ["OFF_LOT"]
    assert held(results) == ({"A": before} if before else {})


@ENGINES
@pytest.mark.parametrize("rounding", ["reject", "down"])
def test_a_target_by_value_is_on_the_lot_whatever_lot_rounding_says(engine: str, rounding: str) -> None:
    """2,570 at 10.00 are 257 units: two lots of a hundred."""
    results = play(engine, lots_of(100, 10, 10), {0: value(2570)}, policies={"lot_rounding": rounding})
    assert sent(results) == [200]
    assert codes(results) == [""]


@ENGINES
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_under_down_orders_and_their_changes_are_cut_on_either_side(engine: str, side: str) -> None:
    """250 in lots of 100 are 200, and a change to 199 is one to 100; a change to 99 is refused."""
    price = 9 if side == "buy" else 11
    steps: dict[int, Action] = {
        0: lambda now: setattr(now, "order", getattr(now.broker, side)("A", 250, limit_price=price)),
        1: lambda now: now.broker.modify_order(now.order, quantity=199),
        2: lambda now: now.broker.modify_order(now.order, quantity=99),
    }
    results = play(
        engine, lots_of(100, 10, 10, 10, price), steps, allows_short=True, policies={"lot_rounding": "down"}
    )
    changes = results.order_events["reason_code"].to_list()
    assert [code for code in changes if code in ("REPLACED", "REPLACE_REJECTED")] == [
        "REPLACED",
        "REPLACE_REJECTED",
    ]
    assert results.fills["quantity"].to_list() == [100]


# -- buying_power --------------------------------------------------------------------------------------------


@ENGINES
def test_buying_power_is_infinite_under_unlimited(engine: str) -> None:
    """At first, with cash far below zero, and with equity below zero: 1,000 - 10,000 + 1,000 x 5.00."""
    found: list[tuple[float, float]] = []

    def look(now: Any) -> None:  # noqa: ANN401 - the running strategy
        found.append((float(now.broker.buying_power), float(now.broker.get_account_value())))

    def buy(now: Any) -> None:  # noqa: ANN401 - the running strategy
        look(now)
        now.broker.buy("A", 1000)

    steps: dict[int, Action] = {0: buy, 1: look, 2: look}
    play(engine, feed_of(flat(10, 10, 5)), steps, initial_cash=1000, buying_power="unlimited")
    assert found == [(math.inf, 1000.0), (math.inf, 1000.0), (math.inf, -4000.0)]


@ENGINES
@pytest.mark.parametrize(("bound", "after"), [("cash", 2000.0), ("equity", 0.0)])
def test_buying_power_is_the_cash_under_cash(engine: str, bound: str, after: float) -> None:
    """100 sold short at 10.00 bring 1,000: 2,000 in cash. By equity it is 1,000 less the 1,000 held: 0."""
    found: list[float] = []

    def sell(now: Any) -> None:  # noqa: ANN401 - the running strategy
        found.append(float(now.broker.buying_power))
        now.broker.sell("A", 100)

    steps: dict[int, Action] = {0: sell, 1: lambda now: found.append(float(now.broker.buying_power))}
    play(engine, feed_of(flat(10, 10)), steps, initial_cash=1000, allows_short=True, buying_power=bound)
    assert found == [1000.0, after]


@ENGINES
@pytest.mark.parametrize("bound", ["cash", "unlimited"])
def test_leverage_is_refused_where_equity_does_not_bound_the_account(engine: str, bound: str) -> None:
    with pytest.raises(ConfigError, match="leverage"):
        play(engine, feed_of(flat(10, 10)), {}, leverage=2, buying_power=bound)


@ENGINES
@pytest.mark.parametrize(("bound", "left"), [("equity", 30), ("cash", 30), ("unlimited", 130)])
def test_a_target_beyond_the_account_is_bounded_by_the_account_alone(
    engine: str, bound: str, left: int
) -> None:
    """130 units cost 1,300 of the 1,000 and are refused unless nothing bounds; 30 fit in any case."""
    steps: dict[int, Action] = {0: percent(1.3), 1: lambda now: now.broker.positions or percent(0.3)(now)}
    results = play(engine, feed_of(flat(10, 10, 10)), steps, initial_cash=1000, buying_power=bound)
    assert held(results) == {"A": left}
    refused = [] if bound == "unlimited" else ["INSUFFICIENT_BUYING_POWER"]
    assert codes(results) == [*refused, ""]
