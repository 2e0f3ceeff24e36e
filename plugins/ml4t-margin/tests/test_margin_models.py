"""The margin models against published numbers, and what must hold for any portfolio."""

from __future__ import annotations

import itertools
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ModelError
from ml4t.core.models import Holding, MarginArgs, MarginModel, MarginOut
from ml4t.margin import CryptoMargin, FixedLeverage, FuturesMargin, PortfolioMargin, RegT

MODELS: list[Any] = [
    RegT(intraday=0.25, special={"GME": 1.0}),
    FixedLeverage(4, maintenance=0.2),
    PortfolioMargin(classes={"SPX": "index"}, underlyings={"SPY": "SPX"}, minimum={"S1": 37.5}),
    FuturesMargin(0.5),
    CryptoMargin(tiers_by_symbol={"BTC": [(0, 0.004), (50_000, 0.005)]}),
]


def ask(model: MarginModel, *holdings: Holding) -> MarginOut:
    return model.evaluate(MarginArgs(ts_ns=0, cash=0.0, equity=0.0, holdings=holdings))


HOLDINGS = st.lists(
    st.builds(
        Holding,
        # Not so small that products of it lose bits.
        quantity=st.floats(-1e6, 1e6).map(lambda found: found if abs(found) > 1e-9 else 0.0),
        mark=st.floats(0.01, 1e5),
        multiplier=st.sampled_from([1.0, 0.001, 50.0]),
        fx=st.sampled_from([1.0, 1.25, 0.0067]),
        initial_rate=st.floats(1e5, 2e5),
        maintenance_rate=st.floats(0, 1e5),
    ),
    min_size=1,
    max_size=6,
).map(lambda found: tuple(attrs.evolve(each, asset=k) for k, each in enumerate(found)))


# -- Regulation T ------------------------------------------------------------------------------------------


# Interactive Brokers, "Reg T Margin": 10,000 deposited, 500 shares bought at 40.
@pytest.mark.parametrize(
    ("price", "equity", "maintenance", "overnight"),
    [
        (40.0, 10_000.0, 5_000.0, 10_000.0),
        (45.0, 12_500.0, 5_625.0, 11_250.0),
        (35.0, 7_500.0, 4_375.0, 8_750.0),
    ],
)
def test_the_example_of_interactive_brokers(
    price: float, equity: float, maintenance: float, overnight: float
) -> None:
    cash = 10_000.0 - 500.0 * 40.0
    assert cash + 500.0 * price == equity
    answer = ask(RegT(), Holding(quantity=500.0, mark=price))
    assert answer == MarginOut(overnight, maintenance, (maintenance,), overnight)


def test_the_example_of_interactive_brokers_is_called_below_its_price() -> None:
    # 10,000 owed and a quarter of the value: -10,000 + 500 p = 125 p, at 26.6666667.
    for price, is_called in ((26.66666, True), (26.66667, False)):
        maintenance = ask(RegT(), Holding(quantity=500.0, mark=price)).maintenance
        assert (-10_000.0 + 500.0 * price < maintenance) is is_called


# 12 CFR 220.12(c): 150 % of the value of a short sale, of which the proceeds are 100.
@pytest.mark.parametrize("price", [80.0, 100.0, 120.0])
def test_a_short_sale_needs_one_and_a_half_of_its_value_with_its_proceeds(price: float) -> None:
    deposit, sold = 5_000.0, 100.0
    cash = deposit + sold * 100.0  # the proceeds of a sale at 100
    equity = cash - sold * price
    answer = ask(RegT(), Holding(quantity=-sold, mark=price))
    # What the account has to hold, cash, against the rule; and the same of what is left of it, equity.
    assert (cash >= 1.5 * sold * price) is (equity >= answer.initial)
    assert answer.initial == answer.overnight == 0.5 * sold * price
    assert answer.maintenance == 0.3 * sold * price


# FINRA 4210(c): below 5, 2.50 or 100 %; from 5 on, 5.00 or 30 %. The latter meet at 16.67.
@pytest.mark.parametrize(
    ("price", "per_share"),
    [
        (0.5, 2.5), (2.5, 2.5), (2.51, 2.51), (4.99, 4.99), (5.0, 5.0),
        (10.0, 5.0), (16.0, 5.0), (20.0, 6.0), (100.0, 30.0),
    ],
)  # fmt: skip
def test_a_share_sold_short_needs_what_finra_asks_for(price: float, per_share: float) -> None:
    answer = ask(RegT(), Holding(quantity=-200.0, mark=price, fx=1.25))
    assert answer.maintenance == pytest.approx(200.0 * per_share * 1.25, rel=1e-12)
    assert answer.overnight == pytest.approx(200.0 * 0.5 * price * 1.25, rel=1e-12)
    assert answer.initial == max(answer.overnight, answer.maintenance)


def test_what_opens_before_the_close_may_be_less_and_never_less_than_what_holds() -> None:
    day = RegT(intraday=0.25)
    long, short = Holding(quantity=100.0, mark=40.0), Holding(quantity=-100.0, mark=40.0, asset=1)
    assert ask(day, long) == MarginOut(1_000.0, 1_000.0, (1_000.0,), 2_000.0)
    assert ask(day, short) == MarginOut(1_200.0, 1_200.0, (1_200.0,), 2_000.0)
    assert ask(day, long, short) == MarginOut(2_200.0, 2_200.0, (1_000.0, 1_200.0), 4_000.0)


def test_a_house_requirement_takes_the_place_of_what_is_smaller() -> None:
    model = RegT(special={"GME": 1.0, "KO": 0.2, "ZZZ": 0.9}).with_symbols(["AA", "GME", "KO"])
    for asset, (to_open, to_hold) in enumerate([(0.5, 0.25), (1.0, 1.0), (0.5, 0.25)]):
        answer = ask(model, Holding(quantity=10.0, mark=100.0, asset=asset))
        assert answer == MarginOut(1e3 * to_open, 1e3 * to_hold, (1e3 * to_hold,), 1e3 * to_open)
    assert ask(model, Holding(quantity=-10.0, mark=100.0, asset=1)).maintenance == 1_000.0
    assert ask(model, Holding(quantity=-10.0, mark=1.0, asset=1)).maintenance == 25.0


def test_it_goes_by_a_special_memorandum_account_and_others_do_not() -> None:
    assert [getattr(model, "has_sma", False) for model in MODELS] == [True, False, False, False, False]


# -- one leverage ------------------------------------------------------------------------------------------


def test_a_leverage_is_the_value_that_equity_carries() -> None:
    held = (
        Holding(quantity=-3.0, mark=-20.0, multiplier=10.0, fx=2.0),
        Holding(quantity=5.0, mark=100.0, asset=1),
    )
    answer = ask(FixedLeverage(5, maintenance=0.1), *held)
    assert answer.initial == pytest.approx((1_200.0 + 500.0) / 5, rel=1e-12)
    assert answer.requirement == pytest.approx((120.0, 50.0), rel=1e-12)
    assert math.isnan(answer.overnight)


# -- scenarios ---------------------------------------------------------------------------------------------


# FINRA 4210(g): +-15 % for stocks, +6 % and -8 % for broad indices of large companies, +-10 % for others.
@pytest.mark.parametrize(
    ("kind", "quantity", "needed"),
    [
        *[("stock", 10.0, 150.0), ("stock", -10.0, 150.0)],
        *[("index", 10.0, 80.0), ("index", -10.0, 60.0)],
        *[("small_cap", 10.0, 100.0), ("small_cap", -10.0, 100.0)],
    ],
)
def test_the_moves_of_each_class_are_those_of_the_rule(kind: str, quantity: float, needed: float) -> None:
    answer = ask(PortfolioMargin(default=kind), Holding(quantity=quantity, mark=100.0))
    assert answer.maintenance == pytest.approx(needed, rel=1e-12)


# A least amount of 37.50 a contract, as an example.
def test_contracts_need_their_minimum_where_they_hedge_each_other() -> None:
    model = PortfolioMargin(
        underlyings={"NEAR": "X", "FAR": "X"}, minimum={"NEAR": 37.5, "FAR": 37.5}
    ).with_symbols(["NEAR", "FAR"])
    near = Holding(quantity=3.0, mark=20.0, multiplier=100.0, fx=2.0)
    far = attrs.evolve(near, quantity=-3.0, asset=1)
    hedged = ask(model, near, far)
    assert (hedged.initial, hedged.maintenance, hedged.requirement) == (450.0, 450.0, (225.0, 225.0))
    alone = ask(model, near)
    assert alone.maintenance == pytest.approx(0.15 * 3 * 20 * 100 * 2, rel=1e-12)
    # Half hedged: 0.15 x 2 x 20 x 100 x 2 = 1,200 is the worst loss, above 4 x 37.50 x 2 = 300.
    half = ask(model, near, attrs.evolve(far, quantity=-1.0))
    assert half.requirement == pytest.approx((1_200.0, 0.0), rel=1e-12)


def test_positions_of_one_underlying_net_and_those_of_several_do_not() -> None:
    long, short = Holding(quantity=100.0, mark=50.0), Holding(quantity=-30.0, mark=100.0, asset=1)
    apart = ask(PortfolioMargin(), long, short)
    assert apart.requirement == pytest.approx((750.0, 450.0), rel=1e-12)
    assert apart.maintenance == pytest.approx(1_200.0, rel=1e-12)
    one = PortfolioMargin(underlyings={"A": "X", "B": "X"}).with_symbols(["A", "B"])
    together = ask(one, long, short)
    assert together.maintenance == pytest.approx(0.15 * 2_000.0, rel=1e-12)
    assert together.requirement == pytest.approx((300.0, 0.0), rel=1e-12)
    hedged = ask(one, long, attrs.evolve(short, quantity=-50.0))
    assert (hedged.maintenance, hedged.requirement) == (0.0, (0.0, 0.0))


def test_a_class_belongs_to_the_underlying() -> None:
    model = PortfolioMargin(
        underlyings={"SPY": "SPX", "ES": "SPX"}, classes={"SPX": "index"}, initial=1.25
    ).with_symbols(["ES", "IBM", "SPY"])
    es = Holding(quantity=1.0, mark=5_000.0, multiplier=50.0)
    ibm, spy = Holding(quantity=10.0, mark=200.0, asset=1), Holding(quantity=100.0, mark=500.0, asset=2)
    answer = ask(model, es, ibm, spy)
    assert answer.requirement == pytest.approx((20_000.0, 300.0, 4_000.0), rel=1e-12)
    assert answer.initial == pytest.approx(1.25 * 24_300.0, rel=1e-12)
    assert ask(model, attrs.evolve(es, quantity=-1.0)).maintenance == pytest.approx(15_000.0, rel=1e-12)


@given(
    held=HOLDINGS,
    groups=st.lists(st.sampled_from("XYZ"), min_size=6, max_size=6),
    points=st.integers(2, 12),
)
def test_an_underlying_needs_its_worst_loss_and_its_losers_share_it(
    held: tuple[Holding, ...], groups: list[str], points: int
) -> None:
    symbols = [f"S{k}" for k in range(6)]
    model = PortfolioMargin(
        underlyings=dict(zip(symbols, groups, strict=True)), classes={"Y": "index"}, points=points
    ).with_symbols(symbols)
    answer = ask(model, *held)
    worst = Fraction(0)
    for name in set(groups[: len(held)]):
        down, up = PortfolioMargin().moves["index" if name == "Y" else "stock"]
        parts = [
            (Fraction(each.quantity) * Fraction(each.mark) * Fraction(each.multiplier) * Fraction(each.fx))
            for each in held
            if groups[each.asset] == name
        ]
        worst += max(-sum(parts) * Fraction(down), -sum(parts) * Fraction(up), Fraction(0))
    gross = sum(abs(each.quantity * each.mark * each.multiplier * each.fx) for each in held)
    assert answer.maintenance == pytest.approx(float(worst), rel=1e-9, abs=1e-9 * gross)
    assert math.fsum(answer.requirement) == pytest.approx(answer.maintenance, rel=1e-9, abs=1e-12)
    assert min(answer.requirement) >= 0.0


def test_more_points_change_nothing_without_options() -> None:
    held = Holding(quantity=100.0, mark=50.0)
    answers = {str(ask(PortfolioMargin(points=points), held)) for points in (2, 3, 10, 1_000)}
    assert len(answers) == 1


# -- futures -----------------------------------------------------------------------------------------------


def test_futures_need_the_rates_of_the_run() -> None:
    es = Holding(
        quantity=-2.0, mark=5_000.0, multiplier=50.0, initial_rate=15_400.0, maintenance_rate=14_000.0
    )
    eur = Holding(
        quantity=1.0, mark=20.0, multiplier=10.0, fx=1.25, asset=1, initial_rate=800.0, maintenance_rate=600.0
    )
    answer = ask(FuturesMargin(), es, eur)
    assert (answer.initial, answer.maintenance) == (31_800.0, 28_750.0)
    assert answer.requirement == (28_000.0, 750.0)
    # What holds a position holds it overnight too, unless less of it was needed during the day.
    assert math.isnan(answer.overnight)
    assert ask(FuturesMargin(0.25), es, eur) == MarginOut(7_950.0, 7_187.5, (7_000.0, 187.5), 31_800.0)


@pytest.mark.parametrize(
    ("rates", "what"),
    [
        ({}, "initial and maintenance"),
        ({"initial_rate": 1.0}, "maintenance"),
        ({"maintenance_rate": 1.0}, "initial"),
    ],
)
def test_a_rate_that_is_not_in_force_is_named(rates: dict[str, float], what: str) -> None:
    held = Holding(quantity=1.0, mark=5_000.0, asset=1, **rates)
    ends = rf" \({what}\); give margin_rates from then on$"
    with pytest.raises(
        ModelError, match="FuturesMargin: no margin rate is in force for instrument index 1" + ends
    ):
        ask(FuturesMargin(), held)
    with pytest.raises(ModelError, match="in force for ESZ4" + ends):
        ask(FuturesMargin().with_symbols(["CLZ4", "ESZ4"]), held)


def test_a_rate_to_open_below_that_to_hold_is_refused() -> None:
    held = Holding(quantity=1.0, mark=5_000.0, initial_rate=14_000.0, maintenance_rate=15_400.0)
    with pytest.raises(
        ModelError, match=r"initial margin rate 14000\.0 of ESZ4 is below that to hold, 15400\.0$"
    ):
        ask(FuturesMargin().with_symbols(["ESZ4"]), held)
    assert ask(FuturesMargin(), attrs.evolve(held, initial_rate=15_400.0)).initial == 15_400.0


# -- crypto currencies -------------------------------------------------------------------------------------


def test_maintenance_goes_by_tiers_of_the_notional() -> None:
    model = CryptoMargin(
        10, tiers=[(0, 0.004), (50_000, 0.005), (250_000, 0.01)], tiers_by_symbol={"XRP": [(0, 0.02)]}
    ).with_symbols(["BTC", "XRP"])
    for quantity, held in ((0.5, 100.0), (-1.0, 200.0), (2.0, 450.0), (-10.0, 3_700.0)):
        answer = ask(model, Holding(quantity=quantity, mark=50_000.0, fx=2.0))
        assert answer.maintenance == pytest.approx(2.0 * held, rel=1e-12)
        assert answer.initial == pytest.approx(2.0 * abs(quantity) * 5_000.0, rel=1e-12)
        assert math.isnan(answer.overnight)
    assert ask(model, Holding(quantity=100.0, mark=2.0, asset=1)).maintenance == pytest.approx(4.0, rel=1e-12)


def test_opening_never_needs_less_than_holding() -> None:
    model = CryptoMargin(20, tiers=[(0, 0.05), (1_000, 0.5)])
    assert ask(model, Holding(quantity=1.0, mark=1_000.0)).initial == 50.0
    answer = ask(model, Holding(quantity=1.0, mark=10_000.0))
    assert answer.initial == answer.maintenance == pytest.approx(0.5 * 10_000.0 - 450.0, rel=1e-12)


def test_an_exchange_closes_at_a_price_by_the_wallet_or_by_the_position() -> None:
    assert [getattr(model, "liquidates_at_price", False) for model in MODELS] == [*[False] * 4, True]
    assert not CryptoMargin().is_isolated
    assert CryptoMargin(mode="isolated", liquidation_fee=0.0125).is_isolated


# -- symbols -----------------------------------------------------------------------------------------------

BY_SYMBOL: list[tuple[Any, str]] = [
    (RegT(special={"A": 0.9}), "special"),
    (PortfolioMargin(classes={"A": "index"}), "classes, underlyings or minimum"),
    (PortfolioMargin(underlyings={"A": "B"}), "classes, underlyings or minimum"),
    (PortfolioMargin(minimum={"A": 1.0}), "classes, underlyings or minimum"),
    (CryptoMargin(tiers_by_symbol={"A": [(0, 0.01)]}), "tiers_by_symbol"),
]


@pytest.mark.parametrize(("model", "names"), BY_SYMBOL, ids=repr)
def test_a_model_that_goes_by_symbol_refuses_to_be_asked_without_them(model: Any, names: str) -> None:  # noqa: ANN401
    held = Holding(quantity=1.0, mark=10.0)
    with pytest.raises(ModelError, match=rf"^{type(model).__name__}: {names} names symbols.*with_symbols"):
        ask(model, held)
    bound = model.with_symbols(["A"])
    assert ask(bound, held).maintenance > 0
    assert bound == model
    assert repr(bound) == repr(model)
    with pytest.raises(ModelError, match="instrument index 1 is none of the 1 that with_symbols was given"):
        ask(bound, attrs.evolve(held, asset=1))
    again = pickle.loads(pickle.dumps(bound))
    assert repr(ask(again, held)) == repr(ask(bound, held))


@pytest.mark.parametrize("cls", [RegT, PortfolioMargin, FuturesMargin, CryptoMargin])
@given(held=HOLDINGS)
def test_symbols_change_nothing_where_nothing_goes_by_them(cls: type[Any], held: tuple[Holding, ...]) -> None:
    bound = cls().with_symbols([f"S{k}" for k in range(len(held))])
    assert repr(ask(bound, *held)) == repr(ask(cls(), *held))


# -- all of them -------------------------------------------------------------------------------------------

BOUND = [
    each.with_symbols([f"S{k}" for k in range(6)]) if hasattr(each, "with_symbols") else each
    for each in MODELS
]


@pytest.mark.parametrize("model", BOUND, ids=repr)
@given(held=HOLDINGS, factor=st.sampled_from([2.0, 0.5]))
def test_amounts_are_finite_not_below_zero_and_in_the_base_currency(
    model: Any,  # noqa: ANN401
    held: tuple[Holding, ...],
    factor: float,
) -> None:
    answer = ask(model, *held)
    amounts = (answer.initial, answer.maintenance, *answer.requirement)
    assert all(math.isfinite(each) and each >= 0 for each in amounts)
    assert len(answer.requirement) == len(held)
    assert math.fsum(answer.requirement) == pytest.approx(answer.maintenance, rel=1e-9, abs=1e-9)
    assert answer.initial >= answer.maintenance * (1 - 1e-12)
    # Powers of two scale without rounding.
    scaled = ask(model, *(attrs.evolve(each, fx=each.fx * factor) for each in held))
    assert scaled.maintenance == factor * answer.maintenance
    assert scaled.initial == factor * answer.initial


@pytest.mark.parametrize("model", [each for each in BOUND if not isinstance(each, PortfolioMargin)], ids=repr)
@given(held=HOLDINGS)
def test_a_portfolio_needs_what_its_positions_need_alone(model: Any, held: tuple[Holding, ...]) -> None:  # noqa: ANN401
    answer = ask(model, *held)
    alone = [ask(model, each) for each in held]
    assert answer.requirement == tuple(itertools.chain.from_iterable(each.requirement for each in alone))
    assert answer.initial == pytest.approx(math.fsum(each.initial for each in alone), rel=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_values_of_their_kind(model: Any) -> None:  # noqa: ANN401
    assert isinstance(model, MarginModel)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        model.initial = 1.0  # type: ignore[attr-defined]


def test_numbers_of_any_kind_are_parameters() -> None:
    assert RegT(Decimal("0.5"), special={"A": 1}) == RegT(0.5, special={"A": 1.0})
    assert CryptoMargin(20, tiers=[[0, 0.01]]) == CryptoMargin(20.0, tiers=((0.0, 0.01),))
    assert PortfolioMargin(moves={"stock": [-1, 1]}) == PortfolioMargin(moves={"stock": (-1.0, 1.0)})
