"""The default fill model on each kind of data, and what it refuses."""

from __future__ import annotations

import math
import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FillArgs, FillOut
from ml4t.fills import Default


def bar(leaves: float, volume: float = math.nan, used: float = 0.0) -> FillArgs:
    return FillArgs(
        ts_ns=0, side=1, phase="close", price=25.0, leaves_quantity=leaves, volume=volume, volume_used=used
    )


def test_without_a_limit_an_order_fills_in_full_at_the_price_that_the_rules_allow() -> None:
    assert Default().evaluate(bar(1e9)) == FillOut(price=25.0, quantity=1e9, liquidity="taker")


def test_the_liquidity_that_the_rules_report_is_kept() -> None:
    assert Default().evaluate(attrs.evolve(bar(10.0), liquidity="maker")).liquidity == "maker"


@pytest.mark.parametrize(
    ("leaves", "volume", "used", "expected"),
    [(100, 500, 0, 50), (100, 500, 20, 30), (100, 500, 60, 0), (10, 500, 0, 10), (10, 0, 0, 0)],
)
def test_with_a_limit_orders_share_a_part_of_the_volume(
    leaves: float, volume: float, used: float, expected: float
) -> None:
    assert Default(volume_limit=0.1).evaluate(bar(leaves, volume, used)).quantity == pytest.approx(expected)


@pytest.mark.parametrize(("side", "expected"), [(1, 4.0), (-1, 3.0)])
def test_at_a_quote_a_buy_shares_the_size_at_the_ask_and_a_sell_that_at_the_bid(
    side: int, expected: float
) -> None:
    ctx = FillArgs(
        ts_ns=0, side=side, phase="quote", price=25.0, leaves_quantity=100.0, bid_size=6.0, ask_size=8.0
    )
    assert Default(volume_limit=0.5).evaluate(ctx).quantity == expected


def test_at_a_print_an_order_shares_its_size() -> None:
    ctx = FillArgs(ts_ns=0, side=1, phase="trade", price=25.0, leaves_quantity=100.0, size=30.0)
    assert Default(volume_limit=1.0).evaluate(ctx).quantity == 30.0


@pytest.mark.parametrize("phase", ["open", "range", "close", "quote", "trade"])
def test_missing_volume_is_refused_under_a_limit_and_not_needed_without(phase: str) -> None:
    ctx = attrs.evolve(bar(10.0), phase=phase)
    with pytest.raises(ModelError, match=r"volume_limit needs the volume of a bar or the size of a quote"):
        Default(volume_limit=0.1).evaluate(ctx)
    assert Default().evaluate(ctx).quantity == 10.0
    assert (Default().needs_volume, Default(volume_limit=0.1).needs_volume) == (False, True)


@given(
    leaves=st.lists(st.floats(1e-8, 1e6), min_size=1, max_size=20),
    volume=st.floats(0, 1e9),
    limit=st.floats(1e-6, 1),
)
def test_orders_at_one_event_never_take_more_than_the_limit_together(
    leaves: list[float], volume: float, limit: float
) -> None:
    model, used = Default(volume_limit=limit), 0.0
    for quantity in leaves:
        filled = model.evaluate(bar(quantity, volume, used)).quantity
        assert 0.0 <= filled <= quantity
        used += filled
    assert used <= limit * volume * (1 + 1e-12)


def session(leaves: float, average: float, used: float = 0.0, phase: str = "open") -> FillArgs:
    """Return an order where the sessions before traded so much on average, and others took so much today."""
    # What the bar itself shows and gave is no part of the answer.
    return attrs.evolve(
        bar(leaves, volume=7.0, used=3.0), phase=phase, average_volume=average, session_used=used
    )


@pytest.mark.parametrize("phase", ["open", "range", "close", "trade"])
@pytest.mark.parametrize(
    ("leaves", "average", "used", "expected"),
    [(100, 500, 0, 50), (100, 500, 20, 30), (100, 500, 60, 0), (10, 500, 0, 10), (10, 0, 0, 0)],
)
def test_with_an_average_orders_of_a_session_share_a_part_of_it(
    phase: str, leaves: float, average: float, used: float, expected: float
) -> None:
    model = Default(volume_limit=0.1, average_days=20)
    answer = model.evaluate(session(leaves, average, used, phase))
    assert (answer.price, answer.rejects) == (25.0, False)
    assert answer.quantity == pytest.approx(expected)


def test_before_the_first_session_is_over_an_average_fills_nothing() -> None:
    model = Default(volume_limit=1.0, average_days=1)
    assert model.evaluate(session(1.0, 0.0)).quantity == 0.0


def test_an_average_in_which_a_volume_is_missing_is_an_error() -> None:
    with pytest.raises(ModelError, match="average_days needs every volume"):
        Default(volume_limit=1.0, average_days=1).evaluate(session(1.0, math.nan))


def test_an_average_needs_no_volume_of_the_bar() -> None:
    model = Default(volume_limit=0.1, average_days=20)
    assert not model.needs_volume
    assert model.evaluate(attrs.evolve(session(10.0, 1_000.0), volume=math.nan)).quantity == 10.0


@pytest.mark.parametrize(
    ("model", "ctx"),
    [
        (Default(volume_limit=0.1, partial=False), bar(30.0, 500.0, 20.0)),
        (Default(volume_limit=0.1, average_days=2, partial=False), session(30.0, 500.0, 20.0)),
    ],
    ids=["share of the bar", "share of the average"],
)
def test_without_partial_an_order_takes_what_is_left_in_full_or_is_refused(
    model: Default, ctx: FillArgs
) -> None:
    answer = model.evaluate(ctx)
    assert (answer.quantity, answer.rejects) == (30.0, False)
    refused = model.evaluate(attrs.evolve(ctx, leaves_quantity=31.0))
    assert (refused.rejects, refused.quantity, math.isnan(refused.price)) == (True, 0.0, True)
    assert attrs.evolve(model, partial=True).evaluate(attrs.evolve(ctx, leaves_quantity=31.0)).quantity == 30


def test_without_partial_any_order_is_more_than_the_nothing_of_a_first_session() -> None:
    model = Default(volume_limit=1.0, average_days=1, partial=False)
    assert model.evaluate(session(1.0, 0.0)).rejects


@pytest.mark.parametrize("days", [0, -1, 2.0, "20", True, 1_000_000, 10**12])
def test_a_number_of_sessions_is_whole_above_zero_and_below_a_million(days: object) -> None:
    expected = (
        rf"average_days: expected a whole number of sessions above 0 and below a million, found {days!r}$"
    )
    with pytest.raises(ConfigError, match=expected):
        Default(volume_limit=0.1, average_days=days)  # type: ignore[arg-type]


def test_a_number_of_sessions_too_long_to_write_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match="below a million, found a number of more than 1,000 digits"):
        Default(volume_limit=0.1, average_days=10**5_000)


def test_the_largest_number_of_sessions_is_one_that_the_engine_takes() -> None:
    assert Default(volume_limit=0.1, average_days=999_999).average_days == 999_999


@pytest.mark.parametrize(("name", "value"), [("average_days", 20), ("partial", False)])
def test_what_says_how_a_limit_is_meant_is_refused_without_one(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} says how volume_limit is meant, which is missing"):
        Default(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, math.nan, math.inf, "0.1", True])
def test_a_limit_out_of_range_is_refused_with_its_value(limit: object) -> None:
    with pytest.raises(ConfigError, match=r"volume_limit: expected a number above 0 and at most 1, found"):
        Default(volume_limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "model",
    [Default(), Default(volume_limit=0.1), Default(volume_limit=0.1, average_days=20, partial=False)],
    ids=repr,
)
def test_models_are_immutable_hashable_values_that_can_be_sent_to_another_process(model: Default) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, "volume_limit", 0.5)  # noqa: B010 - the type checker already refuses the assignment
