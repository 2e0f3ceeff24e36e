"""The models of what holding costs against published numbers, and what must hold for any amount."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import BorrowArgs, BorrowModel, FundingArgs, FundingModel, InterestArgs, InterestModel
from ml4t.core.structuring import structure
from ml4t.funding import BorrowFee, CashInterest, IbkrBorrow, PerpetualFunding, funding_rate

EUROPE: dict[str, Any] = {"collateral": 1.05, "decimals": 2}
USD_DEBIT = [(0, 0.0682), (100_000, 0.0632)]  # benchmark 5.32 % + 1.5 %, + 1.0 %
GBP_DEBIT = [(0, 0.0641), (80_000, 0.0591)]  # benchmark 4.91 % + 1.5 %, + 1.0 %
MODELS: list[Any] = [
    BorrowFee(0.1),
    IbkrBorrow(0.1, **EUROPE),
    PerpetualFunding(),
    CashInterest(credit=0.01, debit=USD_DEBIT),
]


def fee(model: BorrowModel, price: float, quantity: float = 1.0, **more: float) -> float:
    return model.evaluate(BorrowArgs(ts_ns=0, price=price, quantity=quantity, **{"days": 1.0} | more)).fee  # type: ignore[arg-type]


def interest(model: InterestModel, cash: float, short_value: float = 0.0, days: float = 1.0) -> float:
    return model.evaluate(InterestArgs(ts_ns=0, cash=cash, short_value=short_value, days=days)).payment


def funding(quantity: float, mark: float, rate: float, **more: float) -> float:
    side = 1 if quantity > 0 else -1
    ctx = FundingArgs(ts_ns=0, quantity=quantity, mark=mark, rate=rate, side=side, **more)  # type: ignore[arg-type]
    return PerpetualFunding().evaluate(ctx).payment


# -- borrowed shares ---------------------------------------------------------------------------------------


# Interactive Brokers, "Overview of Fees for Shorting Stock": 100,000 shares that settled at 0.25 have a
# collateral of 1.00 each (0.255 rounded up to a dollar) and pay 100,000 x 50 % / 360 = 138.89 a day. The
# others are recomputed: 9.996 -> 10, 51.00 -> 51 (the edge: not 52).
@pytest.mark.parametrize(
    ("price", "shares", "rate", "collateral", "per_day"),
    [
        (0.25, 100_000, 0.5, 1.0, "138.89"),
        (9.80, 1_000, 0.05, 10.0, "1.388889"),
        (50.0, 100, 0.10, 51.0, "1.416667"),
    ],
)
def test_interactive_brokers_charges_on_rounded_collateral(
    price: float, shares: float, rate: float, collateral: float, per_day: str
) -> None:
    assert fee(IbkrBorrow(1.0, day_count=1.0), price) == collateral
    digits = len(per_day.partition(".")[2])
    for model in (IbkrBorrow(rate), IbkrBorrow()):
        assert round(fee(model, price, shares, rate_annual=rate), digits) == float(per_day)
        over_the_weekend = fee(model, price, shares, rate_annual=rate, days=3.0)
        assert over_the_weekend == pytest.approx(3.0 * collateral * shares * rate / 360.0, rel=1e-12)


@pytest.mark.parametrize(("factor", "decimals"), [("1.02", 0), ("1.05", 2)])
def test_the_collateral_of_every_cent_price_is_the_exact_one_rounded_up(factor: str, decimals: int) -> None:
    # A rate of 1 over one day of a year of one day: the fee of a share is its collateral.
    model = IbkrBorrow(1.0, collateral=float(factor), decimals=decimals, day_count=1.0)
    steps, exact = 10**decimals, Fraction(factor)
    wrong = [
        cents
        for cents in range(1, 100_000)
        if fee(model, cents / 100) != math.ceil(Fraction(cents, 100) * exact * steps) / steps
    ]
    assert wrong == []


def test_the_collateral_of_a_dear_share_is_rounded_up_as_well() -> None:
    # 600,000.01 x 1.05 = 630,000.0105, in hundredths rounded up 630,000.02.
    model = IbkrBorrow(1.0, **EUROPE, day_count=1.0)
    assert fee(model, 600_000.01) == 630_000.02


def test_a_constant_rate_comes_before_that_of_the_data() -> None:
    for cls in (BorrowFee, IbkrBorrow):
        assert fee(cls(0.36), 50.0, rate_annual=0.72) == fee(cls(0.36), 50.0)
        assert fee(cls(), 50.0, rate_annual=0.36) == fee(cls(0.36), 50.0)


def test_a_plain_fee_is_value_times_rate_times_days() -> None:
    # 100 x 50 x 36 % / 360 = 5 a day; a multiplier of 10 makes it 50, and 365 days 4.93.
    assert fee(BorrowFee(0.36), 50.0, 100.0) == pytest.approx(5.0, rel=1e-12)
    assert fee(BorrowFee(0.36), 50.0, 100.0, multiplier=10.0) == pytest.approx(50.0, rel=1e-12)
    assert fee(BorrowFee(0.36, day_count=365), 50.0, 100.0) == pytest.approx(1_800.0 / 365.0, rel=1e-12)
    assert fee(IbkrBorrow(0.36), 50.0, 100.0, multiplier=10.0) == pytest.approx(51.0, rel=1e-12)


def test_a_rate_below_zero_is_a_rebate_and_a_rate_of_zero_costs_nothing() -> None:
    for cls in (BorrowFee, IbkrBorrow):
        assert fee(cls(-0.36), 50.0, 100.0) == -fee(cls(0.36), 50.0, 100.0) < 0.0
        assert fee(cls(0.0), 50.0, 100.0, rate_annual=math.nan) == 0.0
        assert fee(cls(0.36), -50.0, 100.0) == fee(cls(0.36), 50.0, 100.0)


@pytest.mark.parametrize("model", [BorrowFee(), IbkrBorrow()], ids=repr)
def test_without_a_rate_the_model_says_what_is_missing(model: BorrowModel) -> None:
    named = f"{type(model).__name__} needs a borrow rate"
    with pytest.raises(ModelError, match=f"{named}, and none was in force at the close before; give rate"):
        fee(model, 50.0, rate_annual=math.nan)


@pytest.mark.parametrize("cls", [BorrowFee, IbkrBorrow])
@given(
    price=st.floats(0.01, 1e4),
    quantity=st.floats(1, 1e6),
    rate=st.floats(0, 2),
    days=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_days_and_units_add_up(
    cls: type[Any], price: float, quantity: float, rate: float, days: tuple[int, int]
) -> None:
    model, (first, second) = cls(rate), days
    whole = fee(model, price, quantity, days=float(first + second))
    parts = [fee(model, price, quantity, days=float(each)) for each in days]
    assert math.fsum(parts) == pytest.approx(whole, rel=1e-12)
    assert fee(model, price, 2.0 * quantity) == pytest.approx(2.0 * fee(model, price, quantity), rel=1e-12)


@given(cents=st.integers(1, 99_999), more=st.integers(0, 99_999))
def test_a_dearer_share_never_costs_less_and_never_less_than_without_rounding(cents: int, more: int) -> None:
    for model in (IbkrBorrow(0.1), IbkrBorrow(0.1, **EUROPE)):
        low, high = fee(model, cents / 100), fee(model, (cents + more) / 100)
        assert low <= high
        assert low >= fee(BorrowFee(0.1), cents / 100) * model.collateral * (1.0 - 1e-12)


# -- interest on cash --------------------------------------------------------------------------------------


# Interactive Brokers, "Interest and Financing", blended rates. USD: 100,000 x 6.82 % / 360 = 18.94 and
# 500,000 x 6.32 % / 360 = 87.78. GBP: 80,000 x 6.41 % / 365 = 14.05 and 80,000 x 5.91 % / 365 = 12.95.
@pytest.mark.parametrize(
    ("debit", "day_count", "balance", "per_day"),
    [
        (USD_DEBIT, 360, 100_000, 18.944444),
        (USD_DEBIT, 360, 600_000, 106.722222),
        (GBP_DEBIT, 365, 80_000, 14.049315),
        (GBP_DEBIT, 365, 160_000, 27.002740),
    ],
)
def test_debt_costs_the_blended_rates(
    debit: list[tuple[float, float]], day_count: float, balance: float, per_day: float
) -> None:
    model = CashInterest(debit=debit, day_count=day_count)
    assert round(interest(model, -balance), 6) == -per_day
    assert interest(model, -balance, days=3.0) == pytest.approx(-3.0 * per_day, abs=3e-6)
    assert interest(model, balance) == 0.0


def test_proceeds_of_shorts_are_kept_apart() -> None:
    # 15,000 of which 5,000 are proceeds: 10,000 x 3.6 % / 360 = 1. With 12,000 more short 2,000 are owed.
    model = CashInterest(credit=0.036, debit=0.072)
    assert interest(model, 15_000.0, 5_000.0) == pytest.approx(1.0, rel=1e-12)
    assert interest(model, 15_000.0, 17_000.0) == pytest.approx(-0.4, rel=1e-12)
    paid = attrs.evolve(model, short_rate=0.018)
    assert interest(paid, 15_000.0, 5_000.0) == pytest.approx(1.25, rel=1e-12)
    assert interest(model, 5_000.0, 5_000.0) == 0.0
    assert interest(CashInterest(), -1e6) == 0.0


TIERS = st.lists(
    st.tuples(st.integers(1, 1_000_000), st.integers(0, 2_000)), max_size=5, unique_by=lambda tier: tier[0]
).flatmap(
    lambda rest: st.integers(0, 2_000).map(
        lambda first: tuple((float(low), rate / 10_000) for low, rate in [(0, first), *sorted(rest)])
    )
)


@given(tiers=TIERS, cents=st.integers(0, 10**9))
def test_tiers_are_what_exact_arithmetic_says(tiers: tuple[tuple[float, float], ...], cents: int) -> None:
    balance, exact = Fraction(cents, 100), Fraction(0)
    for k, (low, rate) in enumerate(tiers):
        high = Fraction(tiers[k + 1][0]) if k + 1 < len(tiers) else balance
        exact += max(min(high, balance) - Fraction(low), Fraction(0)) * Fraction(rate) / 360
    for sign, model in ((1.0, CashInterest(credit=tiers)), (-1.0, CashInterest(debit=tiers))):
        assert interest(model, sign * cents / 100) == pytest.approx(sign * float(exact), rel=1e-9, abs=1e-9)


@given(tiers=TIERS)
def test_interest_has_no_step_at_the_edge_of_a_tier(tiers: tuple[tuple[float, float], ...]) -> None:
    model = CashInterest(debit=tiers, credit=tiers)
    for low, _ in tiers:
        for sign in (-1.0, 1.0):
            at = interest(model, sign * low)
            for near in (math.nextafter(low, -math.inf), math.nextafter(low, math.inf)):
                assert interest(model, sign * near) == pytest.approx(at, rel=1e-9, abs=1e-9)


@given(tiers=TIERS, debt=st.floats(0, 1e8), more=st.floats(0, 1e8), shorts=st.floats(0, 1e7))
def test_more_debt_never_costs_less(
    tiers: tuple[tuple[float, float], ...], debt: float, more: float, shorts: float
) -> None:
    model = CashInterest(debit=tiers)
    less, much = interest(model, -debt, shorts), interest(model, -(debt + more), shorts)
    assert much <= less + 1e-9 * abs(less)


@given(tiers=TIERS, cash=st.floats(-1e8, 1e8), days=st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_interest_of_days_adds_up(
    tiers: tuple[tuple[float, float], ...], cash: float, days: list[int]
) -> None:
    model = CashInterest(debit=tiers, credit=tiers, short_rate=0.01)
    parts = math.fsum(interest(model, cash, 1e4, float(each)) for each in days)
    assert parts == pytest.approx(interest(model, cash, 1e4, float(sum(days))), rel=1e-12, abs=1e-9)


# -- perpetual futures -------------------------------------------------------------------------------------


def test_longs_pay_shorts_on_the_mark() -> None:
    assert funding(0.5, 60_000.0, 0.0001) == pytest.approx(-3.0, rel=1e-12)
    assert funding(-0.5, 60_000.0, 0.0001) == pytest.approx(3.0, rel=1e-12)
    assert funding(0.5, 60_000.0, -0.0001) == pytest.approx(3.0, rel=1e-12)
    assert funding(3.0, 60_000.0, 0.0001, multiplier=0.01) == pytest.approx(-0.18, rel=1e-12)
    assert funding(0.5, 60_000.0, 0.0) == 0.0


# Binance, "Introduction to Binance Futures Funding Rates", recomputed.
@pytest.mark.parametrize(
    ("premium", "expected"),
    [
        (0.0, 0.0001),
        (0.0003, 0.0001),
        (0.001, 0.0005),
        (-0.001, -0.0005),
        (0.0006, 0.0001),
        (0.00075, 0.00025),
    ],
)
def test_the_rate_of_an_interval(premium: float, expected: float) -> None:
    assert funding_rate(premium) == pytest.approx(expected, abs=1e-15)


def test_the_rate_stays_within_the_cap_of_the_venue() -> None:
    assert funding_rate(0.05) == pytest.approx(0.0495, abs=1e-15)
    assert funding_rate(0.05, cap=0.02) == 0.02
    assert funding_rate(-0.05, cap=0.02) == -0.02
    assert funding_rate(0.001, cap=0.02) == funding_rate(0.001)
    assert funding_rate(0.0, interest=0.0, clamp=0.0) == 0.0


@given(premium=st.floats(-1, 1), more=st.floats(0, 1))
def test_the_rate_rises_with_the_premium_and_is_within_the_clamp_of_it(premium: float, more: float) -> None:
    assert funding_rate(premium) <= funding_rate(premium + more) + 1e-15
    assert abs(funding_rate(premium) - premium) <= 0.0005 + 1e-15


# -- parameters --------------------------------------------------------------------------------------------

REFUSED: list[tuple[type[Any], dict[str, Any], str]] = [
    (BorrowFee, {"rate": math.nan}, r"rate: .* found nan"),
    (BorrowFee, {"rate": math.inf}, r"rate: .* found inf"),
    (BorrowFee, {"rate": "0.1"}, r"rate: .* found '0\.1'"),
    (BorrowFee, {"rate": True}, r"rate: .* found True"),
    (BorrowFee, {"day_count": 0}, r"day_count: expected a number above 0, found 0"),
    (BorrowFee, {"day_count": -360}, r"day_count: .* found -360"),
    (BorrowFee, {"day_count": math.inf}, r"day_count: .* found inf"),
    (IbkrBorrow, {"rate": -math.inf}, r"rate: .* found -inf"),
    (IbkrBorrow, {"collateral": 0}, r"collateral: expected a number above 0, found 0"),
    (IbkrBorrow, {"collateral": -1.02}, r"collateral: .* found -1\.02"),
    (IbkrBorrow, {"decimals": -1}, r"decimals: .* found -1"),
    (IbkrBorrow, {"decimals": 5}, r"decimals: .* found 5"),
    (IbkrBorrow, {"decimals": True}, r"decimals: .* found True"),
    (IbkrBorrow, {"decimals": 0.5}, r"decimals: .* found 0\.5"),
    (IbkrBorrow, {"day_count": math.nan}, r"day_count: .* found nan"),
    (CashInterest, {"credit": "x"}, r"credit: .* found 'x'"),
    (CashInterest, {"credit": True}, r"credit: .* found True"),
    (CashInterest, {"credit": math.nan}, r"credit: .* found .*nan"),
    (CashInterest, {"debit": [[1, 0.05]]}, r"debit: .* ascend from 0, found .*0\.05"),
    (CashInterest, {"debit": [[0, 0.05], [0, 0.04]]}, r"debit: .* ascend from 0, found .*0\.04"),
    (CashInterest, {"debit": [[0, 0.05], [9, 0.04], [8, 0.03]]}, r"debit: .* ascend .*8"),
    (CashInterest, {"debit": [[0, 0.05, 1]]}, r"debit: .* found .*0\.05, 1"),
    (CashInterest, {"debit": [[0]]}, r"debit: .* found .*\[?\(?0"),
    (CashInterest, {"debit": [[0, math.inf]]}, r"debit: .* finite .* found .*inf"),
    (CashInterest, {"credit": [0, 0.05]}, r"credit: .* found .*0\.05"),
    (CashInterest, {"short_rate": math.nan}, r"short_rate: .* found nan"),
    (CashInterest, {"day_count": 0}, r"day_count: .* found 0"),
]


@pytest.mark.parametrize("in_file", [False, True], ids=["python", "file"])
@pytest.mark.parametrize(
    ("cls", "given", "message"), REFUSED, ids=lambda part: getattr(part, "__name__", repr(part))
)
def test_a_parameter_out_of_range_is_refused_with_its_name_and_value(
    cls: type[Any],
    given: dict[str, Any],
    message: str,
    in_file: bool,  # noqa: FBT001
) -> None:
    with pytest.raises(ConfigError, match=message):
        structure(given, cls) if in_file else cls(**given)


@pytest.mark.parametrize("name", ["rates", "Rate"])
def test_a_parameter_of_no_model_is_refused_by_its_name(name: str) -> None:
    for cls in (BorrowFee, IbkrBorrow, PerpetualFunding, CashInterest):
        with pytest.raises(ConfigError, match=f"{name}: unknown key"):
            structure({name: 1}, cls)


def test_numbers_of_any_kind_are_parameters() -> None:
    assert BorrowFee(Decimal("0.5"), day_count=365) == BorrowFee(0.5, day_count=365.0)  # type: ignore[arg-type]
    assert CashInterest(debit=1) == CashInterest(debit=[[0, 1.0]]) == CashInterest(debit=((0.0, 1.0),))
    assert CashInterest(credit=[]) == CashInterest()


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_values_of_their_kind(model: Any) -> None:  # noqa: ANN401
    assert isinstance(model, BorrowModel | FundingModel | InterestModel)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        model.rate = 1.0
