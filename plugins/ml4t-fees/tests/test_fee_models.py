"""The fee models against published fees, and what they refuse."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError
from ml4t.core.models import FeeArgs, FeeModel
from ml4t.fees import FixedPerShare, Fraction, NoFee, PerOrder, PerShare

if TYPE_CHECKING:
    from collections.abc import Callable

IBKR_FIXED = PerShare(0.005, minimum=1.0, maximum_fraction=0.01)
MODELS: list[FeeModel] = [NoFee(), PerShare(0.005), IBKR_FIXED, PerOrder(4.95), Fraction(0.001)]


def charge(model: FeeModel, fills: list[tuple[float, float]]) -> list[float]:
    """Charge the fills of one order, given as (quantity, price), one after the other."""
    quantity_before = notional_before = paid = 0.0
    fees = []
    for quantity, price in fills:
        notional = quantity * abs(price)
        ctx = FeeArgs(
            ts_ns=0,
            side=1,
            quantity=quantity,
            price=price,
            notional=notional,
            order_filled_quantity=quantity_before,
            order_notional=notional_before,
            order_fees=paid,
        )
        fees.append(model.evaluate(ctx).fee)
        quantity_before += quantity
        notional_before += notional
        paid = sum(fees)
    return fees


# Interactive Brokers, "Commissions Stocks", US fixed: 0.005 per share, at least 1.00, at most 1 % of value.
@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        (100, 25.0, 1.00),
        (1_000, 25.0, 5.00),
        (1_000, 0.25, 2.50),
        (1, 50.0, 0.50),
        (1, 150.0, 1.00),
        (250, 4.0, 1.25),
    ],
)
def test_per_share_with_minimum_and_cap_gives_the_published_fees(
    quantity: float, price: float, expected: float
) -> None:
    assert charge(IBKR_FIXED, [(quantity, price)]) == [pytest.approx(expected, rel=1e-12)]


@given(quantities=st.lists(st.integers(1, 5_000), min_size=1, max_size=30), price=st.floats(0.01, 1_000))
def test_the_fills_of_an_order_pay_together_what_one_fill_would(quantities: list[int], price: float) -> None:
    apart = charge(IBKR_FIXED, [(float(quantity), price) for quantity in quantities])
    together = charge(IBKR_FIXED, [(float(sum(quantities)), price)])
    assert sum(apart) == pytest.approx(together[0], rel=1e-9)
    assert min(apart) >= 0.0


def test_the_minimum_is_paid_once_by_an_order_with_two_fills() -> None:
    assert charge(PerShare(0.005, minimum=1.0), [(50, 25.0), (50, 25.0)]) == [1.0, 0.0]
    assert charge(PerShare(0.005, minimum=1.0), [(100, 25.0), (200, 25.0)]) == [1.0, 0.5]


def test_a_cap_that_shrinks_gives_nothing_back() -> None:
    # The second fill, at a negative price, leaves the order less notional than the first was charged for.
    model = PerShare(1.0, maximum_fraction=0.1)
    ctx = FeeArgs(
        ts_ns=0,
        side=1,
        quantity=10.0,
        price=-9.0,
        notional=-90.0,
        order_filled_quantity=10.0,
        order_notional=100.0,
        order_fees=10.0,
    )
    assert model.evaluate(ctx).fee == 0.0


def test_per_share_alone_is_the_plain_product() -> None:
    assert charge(PerShare(0.005), [(300, 25.0), (7, 25.0)]) == [0.005 * 300, 0.005 * 7]


def test_an_order_pays_per_order_at_its_first_fill_only() -> None:
    assert charge(PerOrder(4.95), [(10, 25.0), (10, 25.0), (10, 25.0)]) == [4.95, 0.0, 0.0]


def test_a_fraction_is_charged_on_the_size_of_the_notional() -> None:
    assert charge(Fraction(0.001), [(100, 25.0)]) == [2.5]
    negative = FeeArgs(ts_ns=0, side=1, quantity=100.0, price=-25.0, notional=-2500.0)
    assert Fraction(0.001).evaluate(negative).fee == 2.5


def test_without_fee_nothing_is_charged() -> None:
    assert charge(NoFee(), [(1e9, 1e6)]) == [0.0]


def test_the_name_of_the_documents_is_the_same_model() -> None:
    assert FixedPerShare(fee=0.005) == PerShare(0.005)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PerShare(-0.005), r"fee: expected a number of 0 or more, found -0\.005"),
        (lambda: PerShare("0.005"), r"fee: .* found '0\.005'"),  # type: ignore[arg-type]
        (lambda: PerShare(0.005, minimum=math.inf), r"minimum: .* found inf"),
        (lambda: PerShare(0.005, maximum_fraction=0.0), r"maximum_fraction: expected a number above 0"),
        (lambda: PerShare(0.005, maximum_fraction=1.5), r"maximum_fraction: .* at most 1, found 1\.5"),
        (lambda: PerOrder(math.nan), r"fee: .* found nan"),
        (lambda: Fraction(-0.1), r"rate: .* found -0\.1"),
        (lambda: Fraction(2), r"rate: .* found 2\.0"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_its_value(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_all_wrong_parameters_of_a_model_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        PerShare(-1.0, minimum=-1.0, maximum_fraction=-1.0)
    assert [finding.path for finding in refused.value.findings] == ["fee", "minimum", "maximum_fraction"]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_hashable_values_that_can_be_sent_to_another_process(model: FeeModel) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, "fee", 0.0)  # noqa: B010 - the type checker already refuses the assignment
