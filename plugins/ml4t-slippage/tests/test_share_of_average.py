"""LeanVolumeShare and VolatilityVolumeShare against their published formulas, and what they refuse."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import SlippageArgs, SlippageModel, SlippageOut
from ml4t.slippage import LeanVolumeShare, Spread, VolatilityVolumeShare, VolumeShare

if TYPE_CHECKING:
    from collections.abc import Callable


def args(price: float, quantity: float, volume: float = math.nan, **more: Any) -> SlippageArgs:  # noqa: ANN401
    fields: dict[str, Any] = {"side": 1, **more}
    return SlippageArgs(ts_ns=0, quantity=quantity, reference_price=price, volume=volume, **fields)


# QuantConnect LEAN, VolumeShareSlippageModel, from the formula at a price of 100: shares of 1, 0.01, 0.02;
# the last row without volume, where it takes the most.
@pytest.mark.parametrize(
    ("quantity", "volume", "expected"),
    [(100, 100, 0.00625), (1, 100, 0.001), (2, 100, 0.004), (1, 0, 0.00625)],
)
@pytest.mark.parametrize("side", [1, -1])
def test_lean_s_slippage_is_the_published_one_and_caps_nothing(
    quantity: float, volume: float, expected: float, side: int
) -> None:
    out = LeanVolumeShare(0.025, price_impact=0.1).evaluate(args(100.0, quantity, volume, side=side))
    assert out.price_adjustment == pytest.approx(expected, rel=1e-9)
    assert out.quantity_cap == math.inf


@pytest.mark.parametrize("volume", [0.0, math.nan])
def test_where_venues_report_no_volume_lean_s_slippage_is_free_if_asked_for(volume: float) -> None:
    assert LeanVolumeShare(free_without_volume=True).evaluate(args(1.1, 1e5, volume)) == SlippageOut(0.0)
    known = args(100.0, 2.0, 100.0)
    assert LeanVolumeShare(free_without_volume=True).evaluate(known) == LeanVolumeShare().evaluate(known)


@given(quantity=st.floats(1e-3, 1e6), volume=st.floats(0, 1e7), price=st.floats(-1e4, 1e4))
def test_lean_s_slippage_is_that_of_volume_share_without_a_cap(
    quantity: float, volume: float, price: float
) -> None:
    ctx = args(price, quantity, volume, volume_used=5.0)
    assert LeanVolumeShare().evaluate(ctx) == VolumeShare(caps_quantity=False).evaluate(ctx)


# zipline-reloaded, finance/slippage.py, VolatilityVolumeShare, worked by hand: 0.05 x (0.01 sqrt(252)) x
# sqrt(100 / 10,000) = 0.05 x 0.1587450787 x 0.1 = 7.937253933e-4 basis points, of 60 that is 4.762352360e-6.
def test_volatility_and_the_root_of_the_share_of_the_average_give_the_formula() -> None:
    ctx = args(60.0, 100.0, 2_000.0, average_volume=10_000.0, volatility=0.01)
    out = VolatilityVolumeShare(0.05, eta=0.05).evaluate(ctx)
    assert out.price_adjustment == pytest.approx(60.0 * 7.937253933193772e-4 / 1e4, rel=1e-12)
    assert out.quantity_cap == 100.0


# The same source: 7.5 basis points without history, or without volume in it.
@pytest.mark.parametrize(
    "history",
    [
        {},
        {"average_volume": 10_000.0},
        {"volatility": 0.01},
        {"average_volume": 0.0, "volatility": 0.01},
    ],
)
def test_without_history_a_fill_loses_seven_and_a_half_basis_points(history: dict[str, float]) -> None:
    out = VolatilityVolumeShare().evaluate(args(60.0, 10.0, 1_000.0, **history))
    assert out.price_adjustment == pytest.approx(0.045, rel=1e-12)


def test_orders_on_a_bar_share_its_volume() -> None:
    model = VolatilityVolumeShare(0.05)
    assert model.evaluate(args(60.0, 10.0, 1_000.0, volume_used=30.0)).quantity_cap == 20.0
    assert model.evaluate(args(60.0, 10.0, 1_000.0, volume_used=70.0)).quantity_cap == 0.0
    assert model.evaluate(args(60.0, 10.0, 0.0)).quantity_cap == 0.0


@given(
    quantity=st.floats(1e-3, 1e6),
    average=st.floats(1.0, 1e9),
    volatility=st.floats(0, 1),
    price=st.floats(-1e4, 1e4),
)
def test_four_times_the_quantity_costs_twice_per_unit(
    quantity: float, average: float, volatility: float, price: float
) -> None:
    known = {"average_volume": average, "volatility": volatility}
    model = VolatilityVolumeShare(1.0)
    small = model.evaluate(args(price, quantity, 4e6, **known)).price_adjustment
    large = model.evaluate(args(price, 4.0 * quantity, 4e6, **known)).price_adjustment
    assert 0.0 <= small < math.inf
    assert large == pytest.approx(2.0 * small, rel=1e-9)


# zipline-reloaded, FixedSlippage: close +/- spread / 2, the whole order. It is Spread.
def test_zipline_s_fixed_slippage_is_the_spread() -> None:
    for side in (1, -1):
        out = Spread(0.05).evaluate(args(3.0, 1e6, 200.0, side=side))
        assert (out.price_adjustment, out.spread, out.quantity_cap) == (0.0, 0.025, math.inf)


@pytest.mark.parametrize("model", [LeanVolumeShare(), VolatilityVolumeShare()], ids=repr)
def test_a_volume_that_is_missing_is_an_error(model: SlippageModel) -> None:
    with pytest.raises(ModelError, match=r"needs volume, which this data lacks"):
        model.evaluate(args(10.0, 1.0))


def test_averages_go_over_twenty_sessions() -> None:
    assert VolatilityVolumeShare().average_days == 20


@pytest.mark.parametrize("model", [LeanVolumeShare(), VolatilityVolumeShare()], ids=repr)
def test_models_are_values_that_can_be_sent_to_another_process(model: SlippageModel) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LeanVolumeShare(0.0), r"volume_limit: .* found 0\.0"),
        (lambda: LeanVolumeShare(price_impact=-1), r"price_impact: .* found -1\.0"),
        (
            lambda: LeanVolumeShare(free_without_volume=1),
            r"free_without_volume: expected true or false, found 1",
        ),  # type: ignore[arg-type]
        (lambda: VolatilityVolumeShare(1.5), r"volume_limit: .* found 1\.5"),
        (lambda: VolatilityVolumeShare(eta=-1), r"eta: .* found -1\.0"),
        (lambda: VolatilityVolumeShare(no_history_bps=math.nan), r"no_history_bps: .* found nan"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_its_value(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()
