"""Paths inside a bar that are known, and the one by submission, worked by hand.

On the bar of the cases `ohlc` goes 100, 103, 97, 101 and `olhc` goes 100, 97, 103, 101. A *place* is how far
the market has gone: on `ohlc` the high is at 3, the low at 3 + 6 = 9, the close at 9 + 4 = 13; on `olhc` the
low is at 3, the high at 9, the close at 11.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ml4t.core.errors import DataError

from .market import BAR, FLAT, IF_TOUCHED, LIMIT_TOUCHED, TRAILING, Action, daily, days, ends, feed_of, play
from .market import prints as ticks
from .path_scripts import NEXT, child, path, rows, sends

KNOWN = ["ohlc", "olhc", "nearest_first"]


def bracket(entry: dict[str, Any], *, stop: float, target: float, quantity: float = 10) -> Action:
    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        order = now.broker.buy("A", quantity, **entry)
        now.broker.bracket(order, stop_price=stop, limit_price=target)

    return act


# -- who comes first -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bar", "sold"),
    [
        # In at the open of 100.00, with a stop at 98.00 and a target at 102.00.
        ("worst", BAR, 98.0),
        # Up to 103: the target at 2, before the stop at 3 + 5 = 8.
        ("ohlc", BAR, 102.0),
        # Down to 97: the stop at 2, before the target at 3 + 5 = 8.
        ("olhc", BAR, 98.0),
        # The bracket sends its stop first.
        ("submission", BAR, 98.0),
        # High and low are both 3 away: the low is first.
        ("nearest_first", BAR, 98.0),
        # 2 up, 3 down: the high is nearer, and the target is met there.
        ("nearest_first", (100, 102, 97, 101), 102.0),
        # 3 up, 2 down: the low is nearer, and the stop is met there.
        ("nearest_first", (100, 103, 98, 101), 98.0),
        # 0 up: the high is where the market is; then down to 97.
        ("nearest_first", (100, 100, 97, 99), 98.0),
        # A high of 101.99 does not come to the target, whichever is first.
        ("ohlc", (100, 101.99, 97, 101), 98.0),
    ],
)
def test_a_path_says_whether_stop_or_target_was_first(name: str, bar: tuple[float, ...], sold: float) -> None:
    results = play(daily(FLAT, bar), {0: bracket({}, stop=98, target=102)}, policies=path(name))
    assert results.fills.filter(side="sell").select("price", "phase").rows() == [(sold, "range")]
    assert sorted(ends(results)) == [("canceled", "GROUP_FILLED"), ("filled", ""), ("filled", "")]


SIX: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("buy", 1, {"limit_price": 98}),
    ("sell", 1, {"stop_price": 99}),
    ("buy", 1, {"stop_price": 102}),
    ("sell", 1, {"limit_price": 101}),
    ("buy", 1, IF_TOUCHED | {"stop_price": 97}),
    ("sell", 1, {}),
)


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        # The open: 6. Up: 101 at 1, 102 at 2. Down from 3: 99 at 7, 98 at 8, 97 at 9.
        ("ohlc", [6, 4, 3, 2, 1, 5]),
        # The open: 6. Down: 99 at 1, 98 at 2, 97 at 3. Up: 101 at 7, 102 at 8.
        ("olhc", [6, 2, 1, 5, 4, 3]),
        ("nearest_first", [6, 2, 1, 5, 4, 3]),
        # The open has its turn before; then as they were sent.
        ("submission", [6, 1, 2, 3, 4, 5]),
    ],
)
def test_orders_fill_as_the_path_meets_them(name: str, sequence: list[int]) -> None:
    results = play(daily(FLAT, BAR), {0: sends(*SIX)}, policies=path(name))
    prices = {1: 98.0, 2: 99.0, 3: 102.0, 4: 101.0, 5: 97.0, 6: 100.0}
    assert rows(results) == [(order, prices[order]) for order in sequence]
    assert results.fills["phase"].to_list() == ["open"] + ["range"] * 5


@pytest.mark.parametrize("name", KNOWN)
def test_orders_that_are_met_at_the_same_place_come_by_submission(name: str) -> None:
    limit, stop = ("buy", 1.0, {"limit_price": 98}), ("sell", 1.0, {"stop_price": 98})
    for first, second in ((limit, stop), (stop, limit)):
        results = play(daily(FLAT, BAR), {0: sends(first, second)}, policies=path(name))
        assert rows(results, "side") == [(1, 98.0, first[0]), (2, 98.0, second[0])]


@pytest.mark.parametrize("name", ["worst", *KNOWN, "submission"])
def test_the_open_is_met_first_and_by_submission(name: str) -> None:
    """Two limits are allowed by the open of 100.00 before the one at 99.00 is met anywhere."""
    orders = [("buy", 1.0, {"limit_price": price}) for price in (99, 102, 100)]
    results = play(daily(FLAT, BAR), {0: sends(*orders)}, policies=path(name))
    assert rows(results, "phase") == [(2, 100.0, "open"), (3, 100.0, "open"), (1, 99.0, "range")]


@pytest.mark.parametrize("name", KNOWN)
def test_a_bar_without_volume_has_no_path(name: str) -> None:
    results = play(daily(FLAT, (*BAR, 0)), {0: sends(*SIX)}, policies=path(name))
    assert rows(results) == []


@pytest.mark.parametrize("name", ["worst", *KNOWN, "submission"])
def test_a_print_is_one_price_under_every_path(name: str) -> None:
    """In at 100; the print at 97 reaches the stop of 98, long before the one at 103 the target."""
    results = play(ticks(100, 100, 97, 103), {0: bracket({}, stop=98, target=102)}, policies=path(name))
    assert rows(results) == [(1, 100.0), (2, 97.0)]


@pytest.mark.parametrize("name", ["worst", *KNOWN, "submission"])
@pytest.mark.parametrize("lacks", ["open", "close"])
def test_a_bar_that_lacks_a_price_never_comes_to_a_path(name: str, lacks: str) -> None:
    bars = days(FLAT, BAR).with_columns(
        pl.when(pl.int_range(pl.len()) == 1).then(None).otherwise(pl.col(lacks)).alias(lacks)
    )
    with pytest.raises(DataError, match=f"{lacks} is missing"):
        play(feed_of(bars), {0: sends(*SIX)}, policies=path(name))


# -- limits that have to be traded through -------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_a_touch_fills_no_limit_that_has_to_be_traded_through(name: str) -> None:
    for price, filled in ((97, []), (97.01, [(1, 97.01)])):
        results = play(
            daily(FLAT, BAR),
            {0: sends(("buy", 1, {"limit_price": price}))},
            policies=path(name, limit_touch="through"),
        )
        assert rows(results, "liquidity") == [(*row, "maker") for row in filled]


@pytest.mark.parametrize(
    ("touch", "sequence"),
    [
        # All are met at 98.00, as they were sent.
        ("touch", [1, 2, 3]),
        # The limit is met one unit below 98.00, so after the stop at 98.00 and before the one at 97.99.
        ("through", [2, 1, 3]),
    ],
)
@pytest.mark.parametrize("name", KNOWN)
def test_a_limit_through_is_met_one_unit_beyond_and_fills_at_its_price(
    name: str, touch: str, sequence: list[int]
) -> None:
    orders: list[tuple[str, float, dict[str, Any]]] = [
        ("buy", 1, {"limit_price": 98}),
        ("sell", 1, {"stop_price": 98}),
        ("sell", 1, {"stop_price": 97.99}),
    ]
    results = play(daily(FLAT, BAR), {0: sends(*orders)}, policies=path(name, limit_touch=touch))
    prices = {1: 98.0, 2: 98.0, 3: 97.99}
    assert rows(results) == [(order, prices[order]) for order in sequence]


# -- triggers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "side", "terms", "filled"),
    [
        # Its limit allows the price of the trigger.
        ("ohlc", "buy", {"stop_price": 102, "limit_price": 102.5}, [(102.0, "range", "taker")]),
        ("olhc", "buy", {"stop_price": 102, "limit_price": 102}, [(102.0, "range", "taker")]),
        # ohlc: triggered at 2, over the high at 3, down to 101.00 at 5.
        ("ohlc", "buy", {"stop_price": 102, "limit_price": 101}, [(101.0, "range", "maker")]),
        # olhc: triggered at 8, over the high at 9, down to the close of 101.00 at 11.
        ("olhc", "buy", {"stop_price": 102, "limit_price": 101}, [(101.0, "range", "maker")]),
        # 100.50 lies on the way up to the trigger, and never behind it: it rests, to the next open of 100.00.
        ("olhc", "buy", {"stop_price": 102, "limit_price": 100.5}, [(100.0, "open", "maker")]),
        ("worst", "buy", {"stop_price": 102, "limit_price": 101}, [(100.0, "open", "maker")]),
        ("submission", "buy", {"stop_price": 102, "limit_price": 101}, [(100.0, "open", "maker")]),
        # A sell: ohlc triggers it at 98.00 at 8; the low is at 9; 99.00 comes at 9 + 2 = 11.
        ("ohlc", "sell", {"stop_price": 98, "limit_price": 99}, [(99.0, "range", "maker")]),
        # If touched: triggered at 98.00, on to 97.50.
        (
            "olhc",
            "buy",
            LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5},
            [(97.5, "range", "maker")],
        ),
        (
            "ohlc",
            "buy",
            LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 98.5},
            [(98.0, "range", "taker")],
        ),
        (
            "worst",
            "buy",
            LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5},
            [],
        ),
        # Triggered by the open of 100.00, which the limit does not allow: it rests from there on.
        ("ohlc", "buy", {"stop_price": 99, "limit_price": 99.5}, [(99.5, "range", "maker")]),
    ],
)
def test_a_limit_that_is_triggered_meets_the_rest_of_the_path(
    name: str, side: str, terms: dict[str, Any], filled: list[tuple[Any, ...]]
) -> None:
    results = play(daily(FLAT, BAR, FLAT), {0: sends((side, 10, terms))}, policies=path(name))
    assert results.fills.select("price", "phase", "liquidity").rows() == filled


def test_a_trigger_needs_a_touch_also_where_limits_have_to_be_traded_through() -> None:
    """ohlc, limits through: triggered at the high of 103.00 at 3; below 102.00 by one unit soon after 4."""
    order = ("buy", 1.0, {"stop_price": 103, "limit_price": 102})
    results = play(daily(FLAT, BAR), {0: sends(order)}, policies=path("ohlc", limit_touch="through"))
    assert rows(results, "liquidity") == [(1, 102.0, "maker")]
    # Olhc, and a close of 102.00 that only touches: it rests.
    bar = (100, 103, 97, 102)
    results = play(daily(FLAT, bar), {0: sends(order)}, policies=path("olhc", limit_touch="through"))
    assert rows(results) == []


def test_a_limit_that_rests_from_its_trigger_comes_at_the_place_of_its_limit() -> None:
    """ohlc: triggered at 2, filled at 101.00 at 5, so before the stop at 100.50, whoever was sent first."""
    orders: list[tuple[str, float, dict[str, Any]]] = [
        ("sell", 1, {"limit_price": 102}),
        ("sell", 1, {"stop_price": 99.5}),
        ("buy", 1, {"stop_price": 102, "limit_price": 101}),
    ]
    results = play(daily(FLAT, BAR), {0: sends(*orders)}, policies=path("ohlc"))
    assert rows(results) == [(1, 102.0), (3, 101.0), (2, 99.5)]


@pytest.mark.parametrize("name", ["worst", *KNOWN])
def test_a_trailing_stop_follows_bars_that_are_complete(name: str) -> None:
    """Its stop is at 100 - 4 = 96, wherever the high was; 103 - 4 = 99 is passed by the open of 98.00."""
    order = ("sell", 10.0, TRAILING | {"trail_amount": 4})
    results = play(daily(FLAT, BAR, (98, 98, 98, 98)), {0: sends(order)}, policies=path(name))
    assert rows(results, "phase") == [(1, 98.0, "open")]


# -- the account, and caps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize(("terms", "sold"), [({"limit_price": 102}, (102.0, "range")), ({}, (100.0, "open"))])
def test_a_limit_that_the_open_allowed_is_not_met_inside(
    name: str, terms: dict[str, Any], sold: tuple[Any, ...]
) -> None:
    """500 of cash cannot pay eight at the open of 100.00, so the limit of 101.00 waits.

    Five sold at the open or at 102.00 bring 500 or 510, and the market is at 101.00 later; but the limit had
    its turn. The next open fills it.
    """
    steps: dict[int, Action] = {
        0: sends(("buy", 5, {})),
        1: sends(("buy", 8, {"limit_price": 101}), ("sell", 5, terms)),
    }
    account: dict[str, Any] = {"initial_cash": 1000, "leverage": 1, "allows_short": False}
    policies = path(name, insufficient_cash="wait")
    results = play(daily(FLAT, FLAT, BAR, FLAT), steps, policies=policies, **account)
    assert rows(results, "phase") == [(1, 100.0, "open"), (3, *sold), (2, 100.0, "open")]


def test_a_limit_that_rests_from_its_trigger_makes_also_where_it_could_not_be_paid_for() -> None:
    """Twenty at 101.00 are 2020, and there is a cash of 1000; at the next open of 49.00 they are 980."""
    results = play(
        daily(FLAT, BAR, (49, 49, 49, 49)),
        {0: sends(("buy", 20, {"stop_price": 102, "limit_price": 101}))},
        policies=path("ohlc", insufficient_cash="wait"),
        initial_cash=1000,
        leverage=1,
        allows_short=False,
    )
    assert rows(results, "liquidity") == [(1, 49.0, "maker")]


@pytest.mark.parametrize(
    ("name", "filled"),
    [
        # 100 x 10 % is 10. ohlc sells eight at 102.00 first, and two are left at 98.00.
        ("ohlc", [(2, 102.0, 8.0), (1, 98.0, 2.0)]),
        ("olhc", [(1, 98.0, 8.0), (2, 102.0, 2.0)]),
        ("submission", [(1, 98.0, 8.0), (2, 102.0, 2.0)]),
    ],
)
def test_what_the_path_meets_first_takes_its_part_of_a_cap_first(
    name: str, filled: list[tuple[Any, ...]]
) -> None:
    orders: list[tuple[str, float, dict[str, Any]]] = [
        ("buy", 8, {"limit_price": 98}),
        ("sell", 8, {"limit_price": 102}),
    ]
    results = play(
        daily(FLAT, (*BAR, 100)),
        {0: sends(*orders)},
        policies=path(name),
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert rows(results, "quantity") == filled


@pytest.mark.parametrize(("name", "sold"), [("ohlc", 102.0), ("olhc", 98.0)])
def test_the_children_of_an_open_that_is_booked_with_its_volume_meet_the_path(name: str, sold: float) -> None:
    """Ten of a cap of 20 at the open, then ten at what comes first."""
    results = play(
        daily(FLAT, (*BAR, 200)),
        {0: bracket({}, stop=98, target=102)},
        policies=path(name),
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert results.fills.select("price", "quantity", "phase").rows() == [
        (100.0, 10.0, "open"),
        (sold, 10.0, "range"),
    ]


def test_a_cap_leaves_of_a_child_what_the_parent_did_not_take() -> None:
    """A cap of 14: ten of ten at 99.00, four of ten at 98.00; the rest is a market order at the next open."""
    results = play(
        daily(FLAT, (*BAR, 140), (*NEXT, 140)),
        {0: child({"limit_price": 99}, {"stop_price": 98})},
        policies=path("ohlc"),
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert rows(results, "quantity", "phase") == [
        (1, 99.0, 10.0, "range"),
        (2, 98.0, 4.0, "range"),
        (2, 104.0, 6.0, "open"),
    ]


# -- by submission -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        # Ten held. Entries, then stops that close, then targets.
        ("worst", [(4, 99.0), (3, 98.0), (2, 102.0)]),
        ("submission", [(2, 102.0), (3, 98.0), (4, 99.0)]),
    ],
)
def test_by_submission_no_leg_comes_first(name: str, sequence: list[tuple[int, float]]) -> None:
    steps: dict[int, Action] = {
        0: sends(("buy", 10, {})),
        1: sends(
            ("sell", 4, {"limit_price": 102}),
            ("sell", 4, {"stop_price": 98}),
            ("buy", 4, {"limit_price": 99}),
        ),
    }
    results = play(daily(FLAT, FLAT, BAR), steps, policies=path(name))
    assert rows(results)[1:] == sequence
