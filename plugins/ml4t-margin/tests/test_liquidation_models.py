"""What liquidation models close, and what must hold for any portfolio."""

from __future__ import annotations

import math
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ModelError
from ml4t.core.models import Holding, LiquidationArgs, LiquidationModel
from ml4t.margin import CloseAll, LargestLoserFirst, ProRata

MODELS: list[Any] = [LargestLoserFirst("1d", 0.9, 0.1), ProRata(buffer=0.5), CloseAll("30m")]


def held(quantity: float, requirement: float, unrealized: float = 0.0, asset: int = 0) -> Holding:
    return Holding(quantity=quantity, mark=10.0, asset=asset, requirement=requirement, unrealized=unrealized)


def close(model: LiquidationModel, deficit: float, *holdings: Holding) -> tuple[float, ...]:
    ctx = LiquidationArgs(ts_ns=0, cash=0.0, equity=0.0, deficit=deficit, holdings=holdings)
    return model.evaluate(ctx).close


PORTFOLIOS = st.lists(
    st.builds(
        held,
        st.floats(-1e5, 1e5).filter(lambda quantity: abs(quantity) > 1e-3),
        st.one_of(st.just(0.0), st.floats(1.0, 1e6)),
        st.floats(-1e6, 1e6),
    ),
    min_size=1,
    max_size=6,
).map(lambda found: tuple(attrs.evolve(each, asset=k) for k, each in enumerate(found)))

A, B, C = held(100, 1_000, -50.0, 0), held(-40, 400, -80.0, 1), held(7, 70, 20.0, 2)


@pytest.mark.parametrize(
    ("deficit", "closed"),
    [
        (100.0, (0.0, 10.0, 0.0)),
        (400.0, (0.0, 40.0, 0.0)),
        (650.0, (25.0, 40.0, 0.0)),
        (1_435.0, (100.0, 40.0, 3.5)),
        (5_000.0, (100.0, 40.0, 7.0)),
        (0.0, (0.0, 0.0, 0.0)),
    ],
)
def test_what_lost_most_is_closed_first(deficit: float, closed: tuple[float, ...]) -> None:
    assert close(LargestLoserFirst(), deficit, A, B, C) == closed


def test_of_equal_losses_the_lower_index_comes_first() -> None:
    equal = [attrs.evolve(each, unrealized=-1.0) for each in (A, B)]
    assert close(LargestLoserFirst(), 10.0, *equal) == (1.0, 0.0)
    assert close(LargestLoserFirst(), 10.0, *reversed(equal)) == (0.0, 1.0)


def test_what_needs_nothing_is_closed_only_if_nothing_else_is_left() -> None:
    idle = held(5, 0.0, -1e6, 3)
    assert close(LargestLoserFirst(), 1_400.0, A, B, idle) == (100.0, 40.0, 0.0)
    assert close(LargestLoserFirst(), 1_401.0, A, B, idle) == (100.0, 40.0, 5.0)
    assert close(ProRata(), 700.0, A, B, idle) == (50.0, 20.0, 2.5)
    assert close(ProRata(), 700.0, idle) == close(LargestLoserFirst(), 700.0, idle) == (5.0,)


def test_a_buffer_frees_more_than_lacks() -> None:
    assert close(LargestLoserFirst(buffer=0.5), 200.0, A, B) == (0.0, 30.0)
    assert close(ProRata(buffer=0.5), 200.0, A, B) == pytest.approx((100 * 3 / 14, 40 * 3 / 14), rel=1e-12)


def test_the_same_part_of_every_position_and_all_of_them() -> None:
    assert close(ProRata(), 147.0, A, B, C) == pytest.approx((10.0, 4.0, 0.7), rel=1e-12)
    assert close(ProRata(), 1e9, A, B, C) == close(CloseAll(), 1.0, A, B, C) == (100.0, 40.0, 7.0)


@pytest.mark.parametrize("cls", [LargestLoserFirst, ProRata])
@given(portfolio=PORTFOLIOS, part=st.floats(0, 2), buffer=st.floats(0, 1))
def test_what_is_closed_frees_what_lacks_or_it_is_all(
    cls: type[Any], portfolio: tuple[Holding, ...], part: float, buffer: float
) -> None:
    needed = math.fsum(each.requirement for each in portfolio)
    deficit = part * needed
    closed = close(cls(buffer=buffer), deficit, *portfolio)
    parts = [amount / abs(each.quantity) for amount, each in zip(closed, portfolio, strict=True)]
    assert all(0 <= each <= 1 + 1e-12 for each in parts)
    freed = math.fsum(each * held.requirement for each, held in zip(parts, portfolio, strict=True))
    wanted = min(deficit * (1 + buffer), needed)
    assert freed == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(portfolio=PORTFOLIOS, part=st.floats(0, 1))
def test_of_those_that_need_something_one_at_most_is_closed_in_part(
    portfolio: tuple[Holding, ...], part: float
) -> None:
    deficit = part * math.fsum(each.requirement for each in portfolio)
    closed = close(LargestLoserFirst(), deficit, *portfolio)
    pairs = list(zip(closed, portfolio, strict=True))
    assert sum(0 < amount < abs(each.quantity) for amount, each in pairs) <= 1
    untouched = [each.unrealized for amount, each in pairs if amount == 0 and each.requirement > 0]
    touched = [each.unrealized for amount, each in pairs if amount > 0 and each.requirement > 0]
    assert not (untouched and touched) or max(touched) <= min(untouched)


@pytest.mark.parametrize("name", ["requirement", "unrealized"])
def test_what_a_model_goes_by_may_not_be_missing(name: str) -> None:
    gone: Any = {name: math.nan}
    missing = attrs.evolve(A, **gone)
    with pytest.raises(
        ModelError, match="LargestLoserFirst: instrument index 0 lacks requirement or unrealized"
    ):
        close(LargestLoserFirst(), 1.0, missing)
    if name == "requirement":
        with pytest.raises(ModelError, match="ProRata: instrument index 0 lacks"):
            close(ProRata(), 1.0, missing)
    assert close(CloseAll(), 1.0, missing) == (100.0,)


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grace", "ns"),
    [("0s", 0), ("1d", 86_400 * 10**9), ("1h30m", 5_400 * 10**9), (0, 0), (250, 250), ("0", 0)],
)
@pytest.mark.parametrize("cls", [LargestLoserFirst, ProRata, CloseAll])
def test_time_is_a_text_or_nanoseconds(cls: type[Any], grace: str | int, ns: int) -> None:
    assert cls(grace).grace_ns == ns
    assert cls(grace=grace, warn_at=1).warn_at == 1.0
    assert cls().warn_at is None


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_values_of_their_kind(model: Any) -> None:  # noqa: ANN401
    assert isinstance(model, LiquidationModel)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        model.grace = "1s"  # type: ignore[attr-defined]
