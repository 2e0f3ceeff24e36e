"""The impact models against published numbers, and what must hold for any quantity."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import ImpactArgs, ImpactModel, ImpactOut, ObservedFill
from ml4t.impact import Almgren2005, AlmgrenChriss, Linear, Propagator, SquareRoot

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_NS = 86_400_000_000_000
OBIZHAEVA_WANG = Propagator(1.0, resilience=2.0, permanent_share=0.3)
POWER_LAW = Propagator(0.8, exponent=0.5, decay="power_law", relaxation_days=0.01, beta=0.25)
ESTIMATED: list[ImpactModel] = [
    SquareRoot(0.7),
    Linear(1.0, permanent=0.5),
    Almgren2005(0.2, inverse_turnover=263.0),
    OBIZHAEVA_WANG,
    POWER_LAW,
]
MODELS: list[ImpactModel] = [*ESTIMATED, AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)]


def args(quantity: float, **more: Any) -> ImpactArgs:  # noqa: ANN401
    """Ask about a buy at 100 of an instrument with a volatility of 2 % and a million a day."""
    fields: dict[str, Any] = {
        "ts_ns": 0,
        "side": 1,
        "reference_price": 100.0,
        "volatility": 0.02,
        "average_volume": 1e6,
        **more,
    }
    return ImpactArgs(quantity=quantity, **fields)


def in_bps(model: ImpactModel, ctx: ImpactArgs) -> tuple[float, float]:
    out = model.evaluate(ctx)
    return out.temporary / ctx.reference_price * 1e4, out.permanent / ctx.reference_price * 1e4


# -- the square-root law -----------------------------------------------------------------------------------


# Y sigma sqrt(Q / V), by hand: sqrt(0.01) is 0.1, sqrt(0.04) is 0.2, sqrt(0.1) is 0.316227766.
@pytest.mark.parametrize(
    ("quantity", "coefficient", "bps"), [(1e4, 1.0, 20.0), (4e4, 1.0, 40.0), (1e5, 0.5, 31.6227766017)]
)
def test_the_square_root_law(quantity: float, coefficient: float, bps: float) -> None:
    assert in_bps(SquareRoot(coefficient), args(quantity)) == pytest.approx((bps, 0.0), rel=1e-9)


@given(quantity=st.floats(1e-3, 1e9), coefficient=st.floats(0.1, 2))
def test_four_times_the_quantity_costs_twice_per_unit_and_eight_times_in_all(
    quantity: float, coefficient: float
) -> None:
    model = SquareRoot(coefficient)
    small, large = model.evaluate(args(quantity)), model.evaluate(args(4.0 * quantity))
    assert large.temporary == pytest.approx(2.0 * small.temporary, rel=1e-9)
    assert 4.0 * quantity * large.temporary == pytest.approx(8.0 * quantity * small.temporary, rel=1e-9)


@given(quantities=st.lists(st.floats(1.0, 1e6), min_size=1, max_size=20))
def test_the_fills_of_an_order_cost_together_what_one_fill_would(quantities: list[float]) -> None:
    filled = cost = 0.0
    for quantity in quantities:
        out = SquareRoot(0.7).evaluate(args(quantity, order_filled_quantity=filled))
        cost += quantity * out.temporary
        filled += quantity
    assert cost == pytest.approx(filled * SquareRoot(0.7).evaluate(args(filled)).temporary, rel=1e-9)


# -- Almgren, Thum, Hauptmann, Li --------------------------------------------------------------------------

IBM = {"volatility": 0.0157, "average_volume": 6.561e6}


# Almgren, Thum, Hauptmann and Li (2005), the example of IBM: a tenth of a day's volume, in 0.1, 0.2 and 0.5
# days. The paper prints I 20, K 22, 15, 8 and J 32, 25, 18 basis points; the decimals are recomputed.
@pytest.mark.parametrize(
    ("days", "temporary", "total", "printed"),
    [(0.1, 22.294, 32.224, (22, 32)), (0.2, 14.709, 24.638, (15, 25)), (0.5, 8.488, 18.418, (8, 18))],
)
@pytest.mark.parametrize("turnover", [{"shares_outstanding": 1728e6}, {"inverse_turnover": 1728 / 6.561}])
def test_the_example_of_the_estimation(
    days: float, temporary: float, total: float, printed: tuple[float, float], turnover: dict[str, float]
) -> None:
    paid, moved = in_bps(Almgren2005(days, **turnover), args(656_100.0, **IBM))
    assert moved == pytest.approx(19.860, abs=0.0005)
    assert moved == pytest.approx(20, abs=0.5)
    assert paid == pytest.approx(total, abs=0.0005)
    assert paid == pytest.approx(printed[1], abs=0.5)
    assert paid - moved / 2.0 == pytest.approx(temporary, abs=0.0005)
    assert paid - moved / 2.0 == pytest.approx(printed[0], abs=0.5)


# The same table: I / sigma 0.126; K / sigma 0.142, 0.094, 0.054.
@pytest.mark.parametrize(("days", "expected"), [(0.1, 0.142), (0.2, 0.094), (0.5, 0.054)])
def test_the_example_in_units_of_volatility(days: float, expected: float) -> None:
    paid, moved = in_bps(Almgren2005(days, shares_outstanding=1728e6), args(656_100.0, **IBM))
    assert moved / 157.0 == pytest.approx(0.126, abs=0.0005)
    assert (paid - moved / 2.0) / 157.0 == pytest.approx(expected, abs=0.0005)


def test_the_permanent_part_does_not_depend_on_how_an_order_is_cut() -> None:
    model = Almgren2005(1.0, eta=0.0, inverse_turnover=200.0)
    whole = model.evaluate(args(4e4))
    displaced = cost = 0.0
    for _ in range(4):
        out = model.evaluate(args(1e4))
        cost += 1e4 * (displaced + out.temporary)
        displaced += out.permanent
    assert displaced == pytest.approx(whole.permanent, rel=1e-12)
    assert cost == pytest.approx(4e4 * whole.temporary, rel=1e-12)


# QuantConnect LEAN, MarketImpactSlippageModel, recomputed from its formula without noise and with a turnover
# term of 1: it takes the latency of 75 ms, in days of 6.5 hours, for T, the powers before rounding, and T
# gamma (X / (V T))**0.891 for the permanent part. 1 % of the volume then costs 35 % of the price: no measure
# of what such an order costs.
@pytest.mark.parametrize(("quantity", "expected"), [(100, 0.02237769), (1e4, 0.35467215), (1e5, 1.41202492)])
def test_a_latency_for_a_duration_gives_the_impact_of_lean(quantity: float, expected: float) -> None:
    days = 0.075 / (6.5 * 3_600.0)
    model = Almgren2005(
        days,
        gamma=0.314 * days ** (1.0 - 0.891),
        permanent_exponent=0.891,
        temporary_exponent=0.6,
        turnover_exponent=0.267,
        inverse_turnover=1.0,
    )
    assert in_bps(model, args(quantity))[0] / 1e4 == pytest.approx(expected, abs=1e-8)


# -- linear ------------------------------------------------------------------------------------------------


def test_linear_impact_is_volatility_times_the_share() -> None:
    # 1 % of the volume at 2 %: 2 basis points, and half of them for what comes later.
    assert in_bps(Linear(1.0, permanent=0.5), args(1e4)) == pytest.approx((2.0, 1.0), rel=1e-12)


def test_almgren_and_chriss_charge_prices() -> None:
    # 0.0625 + 2.5e-6 x 200,000 = 0.5625; 2.5e-7 x 200,000 = 0.05. Twice the time halves what depends on the
    # rate.
    model = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
    out = model.evaluate(args(2e5, volatility=math.nan, average_volume=math.nan))
    assert (out.temporary, out.permanent) == pytest.approx((0.5625, 0.05), rel=1e-12)
    slower = attrs.evolve(model, tau=2.0).evaluate(args(2e5))
    assert (slower.temporary, slower.permanent) == pytest.approx((0.3125, 0.05), rel=1e-12)


# -- propagator --------------------------------------------------------------------------------------------


def fill(quantity: float, **more: Any) -> ObservedFill:  # noqa: ANN401
    fields: dict[str, Any] = {
        "ts_ns": 0,
        "side": 1,
        "asset": 0,
        "order_id": 1,
        "price": 100.0,
        "multiplier": 1.0,
        "fee": 0.0,
        "slippage": 0.0,
        "impact": 0.0,
        "liquidity": "taker",
        **more,
    }
    return ObservedFill(quantity=quantity, **fields)


def cost_of(model: Propagator, trades: list[tuple[float, float]]) -> float:
    """Return what trades cost, given as (days, signed quantity), the engine's displacement included."""
    model = model.clone()
    displaced = cost = 0.0
    for days, signed in trades:
        at, side, quantity = int(days * DAY_NS), 1 if signed > 0 else -1, abs(signed)
        out = model.evaluate(args(quantity, ts_ns=at, side=side))
        cost += quantity * (out.temporary + side * displaced)
        displaced += side * out.permanent
        model.observe(fill(quantity, ts_ns=at, side=side))
    return cost


# Obizhaeva and Wang (2013): in a book of the density q a trade x pays x / (2q) per unit, leaves lambda x for
# good and kappa x = x / q - lambda x that decays with exp(-rho t). Here 1 / q = 100 x 0.02 / 1e6 = 2e-6 and
# lambda = 0.3 / q.
@pytest.mark.parametrize("days", [0.0, 0.25, 3.0])
def test_two_trades_in_a_block_shaped_book(days: float) -> None:
    depth, rho = 2e-6, 2.0
    first, second = 3e4, 1e4
    own = depth * (first**2 + second**2) / 2.0
    met = second * first * depth * (0.3 + 0.7 * math.exp(-rho * days))
    found = cost_of(OBIZHAEVA_WANG, [(0.0, first), (days, second)])
    assert found == pytest.approx(own + met, rel=1e-9)


def test_trades_without_a_pause_cost_what_one_would() -> None:
    apart = cost_of(OBIZHAEVA_WANG, [(0.0, 1e4), (0.0, 2e4), (0.0, 3e4)])
    assert apart == pytest.approx(cost_of(OBIZHAEVA_WANG, [(0.0, 6e4)]), rel=1e-9)


@given(shift=st.floats(-0.5, 0.5), period=st.integers(0, 3))
def test_the_optimal_trades_of_a_resilient_book_are_optimal(shift: float, period: int) -> None:
    # Alfonsi, Fruth and Schied (2010), Quantitative Finance 10: of equally spaced trades the first and the
    # last are X / ((n - 2)(1 - a) + 2) with a = exp(-rho tau), those between (1 - a) times that.
    a = math.exp(-2.0 * 0.25)
    edge = 1e5 / (3.0 * (1.0 - a) + 2.0)
    best = [edge, *[edge * (1.0 - a)] * 3, edge]
    other = list(best)
    other[period] += shift * 1e4
    other[period + 1] -= shift * 1e4
    times = [0.25 * k for k in range(5)]
    least = cost_of(OBIZHAEVA_WANG, list(zip(times, best, strict=True)))
    assert sum(best) == pytest.approx(1e5)
    assert cost_of(OBIZHAEVA_WANG, list(zip(times, other, strict=True))) >= least * (1.0 - 1e-12)


def test_a_power_law_decays_as_it_says() -> None:
    # A share of 0.01 moves 0.8 x 0.02 x 0.1 of 100 = 0.16 and pays two thirds of it, 0.1066667. After 0.01
    # days there is left (1 + 1)**(-0.125) = 0.917004 of it, after a day (1 + 100**2)**(-0.125) = 0.316224.
    model = POWER_LAW.clone()
    first = model.evaluate(args(1e4)).temporary
    assert first == pytest.approx(0.16 / 1.5, rel=1e-9)
    model.observe(fill(1e4))
    for days, left in ((0.01, 0.9170040432046712), (1.0, (1.0 + 1e4) ** -0.125)):
        later = model.evaluate(args(1e4, ts_ns=int(days * DAY_NS))).temporary
        assert later - first == pytest.approx(0.16 * left, rel=1e-9)


def test_the_other_side_is_helped_and_other_instruments_are_left_alone() -> None:
    model = OBIZHAEVA_WANG.clone()
    alone = model.evaluate(args(1e4))
    model.observe(fill(1e4))
    assert model.evaluate(args(1e4)).temporary > alone.temporary
    assert model.evaluate(args(1e3, side=-1)).temporary < 0.0
    assert model.evaluate(args(1e4, asset=1)) == alone


def test_a_fill_counts_with_the_estimates_of_its_instrument() -> None:
    model = OBIZHAEVA_WANG.clone()
    model.evaluate(args(1e4, asset=0))
    model.evaluate(args(1e4, asset=1, average_volume=1e7))
    for asset in (0, 1):
        model.observe(fill(1e4, asset=asset))
    # Half of the own move, and 0.7 of the same once more: ten times less where ten times more is traded.
    found = [model.evaluate(args(1e4, asset=asset, average_volume=10.0 ** (6 + asset))) for asset in (0, 1)]
    assert [out.temporary for out in found] == pytest.approx([0.02 * 1.2, 0.002 * 1.2], rel=1e-9)


def test_a_fill_that_was_never_asked_about_is_an_error() -> None:
    with pytest.raises(ModelError, match="told of a fill in instrument 3 before it was asked about one"):
        OBIZHAEVA_WANG.clone().observe(fill(1e4, asset=3))


@pytest.mark.parametrize("model", [OBIZHAEVA_WANG, POWER_LAW], ids=repr)
def test_asking_alone_changes_nothing_and_a_clone_starts_anew(model: Propagator) -> None:
    model = model.clone()
    first = model.evaluate(args(1e4))
    assert model.evaluate(args(1e4)) == first
    model.observe(fill(1e4))
    assert model.evaluate(args(1e4)) != first
    assert model.clone().evaluate(args(1e4)) == first
    assert model.clone() == model
    assert hash(model.clone()) == hash(model)


@given(
    trades=st.lists(
        st.tuples(st.floats(0.01, 2), st.floats(-1e5, 1e5).filter(lambda x: abs(x) > 1.0)),
        min_size=1,
        max_size=6,
    )
)
def test_a_round_trip_in_a_resilient_book_never_profits(trades: list[tuple[float, float]]) -> None:
    # Obizhaeva and Wang; Gatheral (2010): linear impact with exponential decay leaves no profit in trading
    # to and fro.
    days, sequence = 0.0, []
    for pause, signed in trades:
        days += pause
        sequence.append((days, signed))
    rest = -sum(signed for _, signed in trades)
    if rest != 0.0:
        sequence.append((days + 0.1, rest))
    assert cost_of(OBIZHAEVA_WANG, sequence) >= -1e-6


# -- of all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=repr)
@given(quantity=st.floats(1e-3, 1e8), factor=st.floats(1.001, 100))
def test_more_costs_more_per_unit(model: ImpactModel, quantity: float, factor: float) -> None:
    small, large = model.evaluate(args(quantity)), model.evaluate(args(quantity * factor))
    assert 0.0 <= small.temporary < large.temporary < math.inf
    assert 0.0 <= small.permanent <= large.permanent < math.inf


@pytest.mark.parametrize("model", ESTIMATED, ids=repr)
@given(quantity=st.floats(1e-3, 1e8), units=st.floats(1e-3, 1e3), money=st.floats(1e-3, 1e3))
def test_units_of_quantity_and_money_do_not_matter(
    model: ImpactModel, quantity: float, units: float, money: float
) -> None:
    asked = model.evaluate(args(quantity))
    scaled = model.evaluate(args(quantity * units, average_volume=1e6 * units, reference_price=100.0 * money))
    assert scaled.temporary == pytest.approx(asked.temporary * money, rel=1e-9)
    assert scaled.permanent == pytest.approx(asked.permanent * money, rel=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_nothing_moves_nothing(model: ImpactModel) -> None:
    assert model.evaluate(args(0.0)) == ImpactOut(temporary=0.0, permanent=0.0)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_buys_and_sells_are_hurt_alike_and_so_are_prices_below_zero(model: ImpactModel) -> None:
    bought = model.evaluate(args(1e4))
    assert model.evaluate(args(1e4, side=-1)) == bought
    assert model.evaluate(args(1e4, reference_price=-100.0)) == bought


@pytest.mark.parametrize("model", ESTIMATED, ids=repr)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volatility": math.nan}, r"needs a volatility of earlier sessions, found nan; let the data begin"),
        ({"average_volume": math.nan}, r"needs an average volume of earlier sessions above 0, found nan"),
        ({"average_volume": 0.0}, r"needs .* above 0, found 0; .* or give average_volume as a constant"),
    ],
)
def test_without_an_estimate_the_model_says_what_is_missing(
    model: ImpactModel, change: dict[str, float], message: str
) -> None:
    with pytest.raises(ModelError, match=f"{type(model).__name__} {message}"):
        model.evaluate(args(1e4, **change))


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_question_without_numbers_is_refused(model: ImpactModel) -> None:
    with pytest.raises(ModelError, match=r"needs the quantity of the fill, 0 or more, found nan"):
        model.evaluate(args(math.nan))
    with pytest.raises(ModelError, match=r"needs the quantity of the fill, 0 or more, found -1"):
        model.evaluate(args(-1.0))
    with pytest.raises(ModelError, match=r"needs a reference price, found nan"):
        model.evaluate(args(1.0, reference_price=math.nan))


@pytest.mark.parametrize("model", ESTIMATED, ids=repr)
def test_constants_take_the_place_of_estimates(model: Any) -> None:  # noqa: ANN401
    expected = model.evaluate(args(1e4))
    fixed = attrs.evolve(model, volatility=0.02, average_volume=1e6, average_days=0)
    assert fixed.evaluate(args(1e4, volatility=math.nan, average_volume=math.nan)) == expected
    half = attrs.evolve(model, volatility=0.02, average_days=1)
    assert half.evaluate(args(1e4, volatility=0.5)) == expected
    assert (fixed.average_days, half.average_days, model.average_days) == (0, 1, 20)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_values_that_can_be_sent_to_another_process(model: ImpactModel) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, attrs.fields(type(model))[0].name, 0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SquareRoot(-1), r"Y: expected a number of 0 or more, found -1\.0"),
        (lambda: SquareRoot("1"), r"Y: .* found '1'"),  # type: ignore[arg-type]
        (lambda: SquareRoot(volatility=math.inf), r"volatility: .* found inf"),
        (lambda: SquareRoot(average_volume=0), r"average_volume: expected a number above 0, found 0\.0"),
        (lambda: SquareRoot(average_days=1), r"average_days: .* sessions of 2 or more .* found 1"),
        (lambda: SquareRoot(volatility=0.02, average_days=0), r"average_days: .* of 1 or more .* found 0"),
        (lambda: SquareRoot(average_days=True), r"average_days: .* found True"),
        (lambda: Linear(-1), r"temporary: .* found -1\.0"),
        (lambda: Linear(1, permanent=math.nan), r"permanent: .* found nan"),
        (lambda: Almgren2005(0, inverse_turnover=200), r"duration_days: expected a number above 0"),
        (lambda: Almgren2005(1), r"inverse_turnover: required: inverse_turnover, .* or shares_outstanding"),
        (
            lambda: Almgren2005(1, inverse_turnover=2, shares_outstanding=3),
            r"shares_outstanding: the turnover is given twice",
        ),
        (
            lambda: Almgren2005(1, inverse_turnover=200, temporary_exponent=0),
            r"temporary_exponent: .* above 0",
        ),
        (lambda: AlmgrenChriss(gamma=-1, eta=1), r"gamma: .* found -1\.0"),
        (lambda: AlmgrenChriss(gamma=1, eta=1, tau=0), r"tau: expected a number above 0"),
        (lambda: Propagator(1), r'resilience: required where decay = "exponential"'),
        (lambda: Propagator(1, resilience=1, beta=0.5), r'beta: beta says how decay = "power_law" is meant'),
        (
            lambda: Propagator(1, decay="power_law", beta=0.5),
            r'relaxation_days: required where decay = "power_law"',
        ),
        (lambda: Propagator(1, resilience=1, exponent=0.5), r"exponent: exponential decay leaves no profit"),
        (lambda: Propagator(1, decay="slow"), r"decay: expected exponential or power_law, found 'slow'"),  # type: ignore[arg-type]
        (lambda: Propagator(1, resilience=1, permanent_share=2), r"permanent_share: .* found 2\.0"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_its_value(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()
