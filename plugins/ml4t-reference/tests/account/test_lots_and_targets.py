"""`lot_rounding`, `target_orders`, `target_rounding`: what is cut, and what a target finds, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from .play import Action, both, buy, fills, market, nothing, play, sell, sent

DOWN: dict[str, Any] = {"policies": {"lot_rounding": "down"}}


def value(worth: float) -> Action:
    return lambda broker: broker.order_target_value("A", worth)


def quantity(wanted: float) -> Action:
    return lambda broker: broker.order_target_quantity("A", wanted)


# -- lot_rounding --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "lot", "order"),
    [
        (buy(10.9), 1, (10, "")),
        (sell(10.9), 1, (-10, "")),
        (buy(29), 10, (20, "")),
        # Nothing would be left: refused with what was given.
        (buy(0.9), 1, (0.9, "OFF_LOT")),
        (sell(9), 10, (-9, "OFF_LOT")),
        # The account is asked for what is left: 100 at 10.00, not 100.9.
        (buy(100.9), 1, (100, "")),
        # Cut before a target is set off against what is held.
        (quantity(29), 10, (20, "")),
        (quantity(-29), 10, (-20, "")),
        (quantity(0.5), 1, (0.5, "OFF_LOT")),
    ],
)
def test_a_quantity_is_cut_towards_zero(step: Action, lot: float, order: tuple[float, str]) -> None:
    results = play(market(10, 10, lot=lot), step, **DOWN)
    assert sent(results) == [order]
    # Where quantities off the lot are refused it is as it was given.
    refused = sent(play(market(10, 10, lot=lot), step))
    assert [code for _, code in refused] == ["OFF_LOT"]


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        # 7 - 10, not the -2.4 that would be cut to -2; 12 - 10; -7 - 10.
        (7.6, (-3, "")),
        (12.6, (2, "")),
        (-7.6, (-17, "")),
        # Nothing is left of the target itself: that is no wish to close.
        (0.5, (-9.5, "OFF_LOT")),
        (0, (-10, "")),
    ],
)
def test_a_target_quantity_is_cut_before_what_is_held_is_taken_from_it(
    wanted: float, order: tuple[float, str]
) -> None:
    results = play(market(10, 10, 10), buy(10), quantity(wanted), **DOWN)
    assert sent(results) == [(10, ""), order]


@pytest.mark.parametrize("rounding", ["position", "order"])
@pytest.mark.parametrize(("worth", "size"), [(76, 7), (-76, -7)])
def test_a_target_at_a_price_below_zero_goes_by_its_size(worth: float, size: float, rounding: str) -> None:
    results = play(
        market(-10, -10), value(worth), policies={"target_rounding": rounding, "lot_rounding": "down"}
    )
    assert sent(results) == [(size, "")]


def test_the_sentence_of_a_quantity_of_less_than_a_lot() -> None:
    results = play(market(10, 10, lot=100), both(buy(99.5), quantity(99.5)), **DOWN)
    assert results.orders["reason"].to_list() == [
        "quantity 99.5 is not a multiple of lot_size 100 (A, 2024-01-02T00:00:00Z)",
        "target quantity 99.5 is not a multiple of lot_size 100 (A, 2024-01-02T00:00:00Z)",
    ]


def test_a_change_is_cut_and_compared_with_what_is_filled() -> None:
    def change(wanted: float) -> Action:
        return lambda broker: broker.modify_order(1, quantity=wanted)

    steps = (buy(25, limit_price=5), both(change(39), change(9)), both(nothing))
    results = play(market(10, 10, 10, 5, lot=10), *steps, **DOWN)
    noted = results.order_events.select("reason_code", "reason").rows()[2:4]
    assert noted[0][0] == "REPLACED"
    refused = "change refused: quantity 9 is not a multiple of lot_size 10 (A, 2024-01-03T00:00:00Z)"
    assert noted[1] == ("REPLACE_REJECTED", refused)
    assert fills(results) == [(5, 30)]


def test_the_exits_of_a_bracket_are_as_large_as_what_is_left_of_the_entry() -> None:
    def bracketed(broker: Any) -> None:  # noqa: ANN401
        broker.bracket(broker.buy("A", 10.9), limit_price=20, stop_price=5)

    assert [size for size, _ in sent(play(market(10, 10), bracketed, **DOWN))] == [10, -10, -10]


# -- target_rounding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "worth", "lot", "by_position", "by_order"),
    [
        (0, 76, 1, 7, 7),
        # Of the page: 7 - 10, and -2.4 cut towards zero.
        (10, 76, 1, -3, -2),
        (-10, -76, 1, 3, 2),
        (10, 126, 1, 2, 2),
        # Turned: -7 - 10, and -17.6.
        (10, -76, 1, -17, -17),
        # Next to nothing: 0 - 10, and -9.6.
        (10, 4, 1, -10, -9),
        (10, 0, 1, -10, -10),
        # Lots of ten: 10 - 30, and -17.6; 0 - 30, and -24.
        (30, 124, 10, -20, -10),
        (30, 60, 10, -30, -20),
    ],
)
def test_the_position_or_the_order_is_cut(
    held: int, worth: float, lot: float, by_position: int, by_order: int
) -> None:
    first: Action = nothing if held == 0 else buy(held) if held > 0 else sell(-held)
    for rounding, order in (("position", by_position), ("order", by_order)):
        policies = {"target_rounding": rounding}
        results = play(market(10, 10, 10, lot=lot), first, value(worth), policies=policies)
        assert [size for size, _ in sent(results)][bool(held) :] == [order]


def test_an_order_of_less_than_a_lot_is_not_sent() -> None:
    """10 held, worth 9.6: -0.4 is cut to nothing."""
    results = play(market(10, 10, 10), buy(10), value(96), policies={"target_rounding": "order"})
    assert sent(results) == [(10, "")]


# -- target_orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "counted", "ignored"),
    [
        # 10 are held and 5 under way.
        (quantity(12), -3, 2),
        (value(120), -3, 2),
        (lambda broker: broker.order_target_percent("A", 0.12), -3, 2),
        (lambda broker: broker.close_position("A"), -15, -10),
        (lambda broker: broker.order_target_weights({}), -15, -10),
    ],
)
def test_orders_under_way_count_or_do_not(target: Action, counted: int, ignored: int) -> None:
    for orders, size in (("counted", counted), ("ignored", ignored)):
        results = play(market(10, 10, 10), buy(10), both(buy(5), target), policies={"target_orders": orders})
        assert [each for each, _ in sent(results)] == [10, 5, size]


def test_a_basket_closes_only_what_is_held() -> None:
    """10 of B are under way and not named: closed where they count, unseen where not."""

    def act(broker: Any) -> None:  # noqa: ANN401
        broker.buy("B", 10)
        broker.order_target_weights({"A": 0.4})

    for orders, sizes in (("counted", [10, -10, 40]), ("ignored", [10, 40])):
        results = play(market(10, 10, B=20), act, policies={"target_orders": orders})
        assert [each for each, _ in sent(results)] == sizes


def test_both_together() -> None:
    """10 held, 5 under way, worth 7.6: -2.4 of what is held alone, -7.4 with what is under way."""
    for orders, size in (("ignored", -2), ("counted", -7)):
        policies = {"target_rounding": "order", "target_orders": orders}
        results = play(market(10, 10, 10), buy(10), both(buy(5), value(76)), policies=policies)
        assert [each for each, _ in sent(results)] == [10, 5, size]
