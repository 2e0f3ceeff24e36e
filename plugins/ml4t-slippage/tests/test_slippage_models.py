"""The slippage models against published fills, and what they refuse."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import SlippageArgs, SlippageModel, SlippageOut
from ml4t.slippage import BasisPoints, FixedFraction, NoSlippage, Spread, VolumeShare

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS: list[NoSlippage | FixedFraction | BasisPoints | Spread | VolumeShare] = [
    NoSlippage(),
    FixedFraction(0.001),
    BasisPoints(5),
    BasisPoints(5, volume_limit=0.1),
    Spread(0.02),
    Spread(fraction=0.001),
    VolumeShare(),
    VolumeShare(caps_quantity=False),
]


def args(price: float, quantity: float, volume: float = math.nan, used: float = 0.0) -> SlippageArgs:
    return SlippageArgs(
        ts_ns=0, side=1, quantity=quantity, reference_price=price, volume=volume, volume_used=used
    )


def fill(
    model: SlippageModel, price: float, quantity: float, volume: float, used: float = 0.0
) -> tuple[float, float]:
    """Fill as the engine does: up to the cap in whole units, asked again with what fills."""
    cap = model.evaluate(args(price, quantity, volume, used)).quantity_cap
    filled = min(quantity, math.floor(cap + 1e-9) if math.isfinite(cap) else quantity)
    out = model.evaluate(args(price, filled, volume, used))
    return filled, price + out.price_adjustment


# zipline-reloaded, tests/finance/test_slippage.py; the last two rows from the formula.
@pytest.mark.parametrize(
    ("model", "price", "quantity", "volume", "used", "expected"),
    [
        (VolumeShare(0.025, price_impact=0.1), 3.0, 100, 200, 0, (5, 3.0001875)),
        (VolumeShare(0.025, price_impact=0.1), 3.5, 100, 2000, 0, (50, 3.50021875)),
        (VolumeShare(0.025, price_impact=0.1), 4.0, 100, 2000, 0, (50, 4.00025)),
        (VolumeShare(1.0, price_impact=0.3), 5.0, 10, 100, 0, (10, 5.015)),
        (VolumeShare(0.025, price_impact=0.1), 100.0, 30, 2000, 0, (30, 100.00225)),
        (VolumeShare(0.025, price_impact=0.1), 100.0, 20, 2000, 30, (20, 100.00625)),
    ],
)
def test_capped_volume_share_gives_the_published_fills(
    model: VolumeShare,
    price: float,
    quantity: float,
    volume: float,
    used: float,
    expected: tuple[float, float],
) -> None:
    assert fill(model, price, quantity, volume, used) == pytest.approx(expected, rel=1e-9)


# QuantConnect LEAN, VolumeShareSlippageModel, from the formula at a price of 100.
@pytest.mark.parametrize(
    ("quantity", "volume", "expected"),
    [(100, 100, 0.00625), (1, 100, 0.001), (2, 100, 0.004), (1, 0, 0.00625)],
)
def test_uncapped_volume_share_stops_growing_at_the_limit(
    quantity: float, volume: float, expected: float
) -> None:
    out = VolumeShare(0.025, price_impact=0.1, caps_quantity=False).evaluate(args(100.0, quantity, volume))
    assert out.price_adjustment == pytest.approx(expected, rel=1e-9)
    assert out.quantity_cap == math.inf


# zipline-reloaded, tests/finance/test_slippage.py: close 3.0, bar volume 200.
@pytest.mark.parametrize(
    ("bps", "limit", "quantity", "expected"),
    [
        (5, 0.1, 100, (20, 3.0015)),
        (5, 0.1, 10, (10, 3.0015)),
        (10, 0.1, 100, (20, 3.003)),
        (5, 0.2, 100, (40, 3.0015)),
    ],
)
def test_basis_points_with_a_limit_give_the_published_fills(
    bps: float, limit: float, quantity: float, expected: tuple[float, float]
) -> None:
    assert fill(BasisPoints(bps, volume_limit=limit), 3.0, quantity, 200.0) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize("used", [50.0, 80.0])
def test_volume_share_fills_nothing_on_a_bar_that_is_used_up(used: float) -> None:
    assert VolumeShare().evaluate(args(10.0, 5.0, 2000.0, used)).quantity_cap == 0.0


def test_volume_share_fills_nothing_on_a_bar_without_volume() -> None:
    assert VolumeShare().evaluate(args(10.0, 5.0, 0.0)).quantity_cap == 0.0


def test_spread_pays_half_of_its_width_and_nothing_at_a_quote() -> None:
    assert Spread(0.05).evaluate(args(10.0, 1.0)) == SlippageOut(price_adjustment=0.0, spread=0.025)
    assert Spread(fraction=0.001).evaluate(args(10.0, 1.0)).spread == 0.005
    at_quote = attrs.evolve(args(10.0, 1.0), phase="quote")
    assert Spread(0.05).evaluate(at_quote) == SlippageOut(price_adjustment=0.0)


def test_without_slippage_nothing_is_lost() -> None:
    assert NoSlippage().evaluate(args(10.0, 1e9)) == SlippageOut(price_adjustment=0.0)


@pytest.mark.parametrize("model", MODELS, ids=repr)
@given(
    price=st.floats(-1e6, 1e6),
    quantity=st.floats(1e-8, 1e9),
    volume=st.floats(0, 1e12),
    used=st.floats(0, 1e12),
)
def test_slippage_is_never_a_gain_and_a_cap_never_negative(
    model: SlippageModel, price: float, quantity: float, volume: float, used: float
) -> None:
    out = model.evaluate(args(price, quantity, volume, used))
    assert 0.0 <= out.price_adjustment < math.inf
    assert 0.0 <= out.spread < math.inf
    assert out.quantity_cap >= 0.0


@given(quantities=st.lists(st.integers(1, 10_000), min_size=1, max_size=20), volume=st.integers(0, 100_000))
def test_orders_on_one_bar_never_fill_more_than_the_limit_together(
    quantities: list[int], volume: int
) -> None:
    used = 0.0
    for quantity in quantities:
        used += fill(VolumeShare(0.025), 10.0, float(quantity), float(volume), used)[0]
    assert used <= 0.025 * volume + 1e-9


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_volume_is_needed_exactly_by_the_models_that_say_so(
    model: NoSlippage | FixedFraction | BasisPoints | Spread | VolumeShare,
) -> None:
    if model.needs_volume:
        with pytest.raises(ModelError, match=r"needs volume, which this data lacks"):
            model.evaluate(args(10.0, 1.0))
    else:
        known, unknown = model.evaluate(args(10.0, 1.0, 500.0)), model.evaluate(args(10.0, 1.0))
        assert known == unknown


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FixedFraction(-0.1), r"fraction: expected a number of 0 or more and at most 1, found -0\.1"),
        (lambda: FixedFraction(math.nan), r"fraction: .* found nan"),
        (lambda: FixedFraction("0.1"), r"fraction: .* found '0\.1'"),  # type: ignore[arg-type]
        (lambda: FixedFraction(fraction=True), r"fraction: .* found True"),
        (lambda: BasisPoints(-5), r"bps: .* found -5\.0"),
        (lambda: BasisPoints(math.inf), r"bps: .* found inf"),
        (lambda: BasisPoints(5, volume_limit=0), r"volume_limit: expected a number above 0 and at most 1"),
        (lambda: Spread(), r"spread: required: the width as spread .* or as fraction"),
        (lambda: Spread(0.1, fraction=0.1), r"fraction: the width is given twice"),
        (lambda: Spread(-0.1), r"spread: .* found -0\.1"),
        (lambda: VolumeShare(0.0), r"volume_limit: .* found 0\.0"),
        (lambda: VolumeShare(1.5), r"volume_limit: .* found 1\.5"),
        (lambda: VolumeShare(price_impact=-1), r"price_impact: .* found -1\.0"),
        (
            lambda: VolumeShare(caps_quantity="no"),  # type: ignore[arg-type]
            r"caps_quantity: expected true or false, found 'no'",
        ),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_its_value(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_all_wrong_parameters_of_a_model_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        VolumeShare(2.0, price_impact=-1.0)
    assert [finding.path for finding in refused.value.findings] == ["volume_limit", "price_impact"]


def test_numbers_of_any_kind_become_floats() -> None:
    assert VolumeShare(Decimal("0.05"), price_impact=1) == VolumeShare(0.05, price_impact=1.0)
    assert isinstance(BasisPoints(5).bps, float)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_hashable_values_that_can_be_sent_to_another_process(
    model: SlippageModel,
) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, "bps", 0.0)  # noqa: B010 - the type checker already refuses the assignment
