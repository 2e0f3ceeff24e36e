"""Schedules of brokers and exchanges against what they, or those who state them, publish."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError
from ml4t.core.models import FeeArgs, FeeModel, ObservedFill
from ml4t.fees import (
    AlpacaFees,
    BinanceFutures,
    BinanceSpot,
    Fraction,
    IbkrFixed,
    IbkrForex,
    IbkrOptions,
    IbkrTiered,
    LeanIbkr,
    MakerTaker,
    PerContract,
    PerShare,
    Tiered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAY_NS = 86_400_000_000_000
# The commission alone: what others charge is switched off.
TIERED_COMMISSION = IbkrTiered(
    sec_rate=0, taf_per_share=0, clearing_per_share=0, nyse_fraction=0, finra_fraction=0
)
MODELS: list[FeeModel] = [
    PerContract(0.85, order_fee=1.6, minimum=2.0),
    MakerTaker(-0.0001, taker=0.0005),
    Tiered([300_000, 3_000_000], rates=[0.0035, 0.002, 0.0015], minimum=0.35),
    IbkrFixed(),
    LeanIbkr(),
    IbkrTiered(),
    IbkrOptions(),
    IbkrForex(),
    AlpacaFees(),
    BinanceSpot(),
    BinanceFutures(bnb_discount=0.1),
]


def ask(model: FeeModel, quantity: float, price: float, **more: Any) -> float:  # noqa: ANN401
    """Charge one fill that is the whole of its order; `more` are fields of `FeeArgs`."""
    fields: dict[str, Any] = {"ts_ns": 0, "side": 1, "multiplier": 1.0, **more}
    notional = quantity * abs(price) * fields["multiplier"]
    return model.evaluate(FeeArgs(quantity=quantity, price=price, notional=notional, **fields)).fee


def charge(model: FeeModel, fills: Sequence[tuple[float, float]], *, used: float = 0.0) -> list[float]:
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
            month_quantity=used + quantity_before,
        )
        fees.append(model.evaluate(ctx).fee)
        quantity_before += quantity
        notional_before += notional
        paid = sum(fees)
    return fees


# -- per contract, per share, per dollar -------------------------------------------------------------------


# zipline-reloaded, tests/finance/test_commissions.py: 0.001 per share without minimum, 0.85 per contract,
# 0.0015 per dollar, on 500 units at 20.00 (worked from these rates).
@pytest.mark.parametrize(
    ("model", "expected"), [(PerShare(0.001), 0.5), (PerContract(0.85), 425.0), (Fraction(0.0015), 15.0)]
)
def test_zipline_s_commissions_are_members(model: FeeModel, expected: float) -> None:
    assert ask(model, 500, 20.0) == pytest.approx(expected, rel=1e-12)


def test_a_contract_costs_the_same_whatever_its_multiplier() -> None:
    # LEAN, ES of CME: 0.85 + 1.28 + 0.02 = 2.15 per contract; 9 contracts are 19.35.
    assert ask(PerContract(2.15), 9, 1600.0, multiplier=50.0) == pytest.approx(19.35, rel=1e-12)


def test_the_amount_per_order_is_charged_once_and_the_minimum_is_for_the_order() -> None:
    assert charge(PerContract(0.85, order_fee=1.5), [(2, 100.0), (3, 100.0)]) == pytest.approx([3.2, 2.55])
    # 1.5 + 0.85 = 2.35 is raised to 4; with three more it is 1.5 + 4 x 0.85 = 4.90.
    model = PerContract(0.85, order_fee=1.5, minimum=4.0)
    assert charge(model, [(1, 100.0), (1, 100.0), (2, 100.0)]) == pytest.approx([4.0, 0.0, 0.9])


# -- maker and taker ---------------------------------------------------------------------------------------


def test_a_maker_may_get_a_rebate_and_a_taker_pays() -> None:
    model = MakerTaker(-0.00025, taker=0.00075)
    assert ask(model, 2, 500.0, liquidity="maker") == pytest.approx(-0.25)
    assert ask(model, 2, 500.0, liquidity="taker") == pytest.approx(0.75)
    assert ask(model, 2, -500.0, liquidity="taker") == pytest.approx(0.75)


# Binance, "Futures Fee Structure & Fee Calculations" (FAQ 360033544231), worked example: 1 BTC bought at
# 10,104 by a market order, sold at 11,104 by a limit order, 0.05 % and 0.02 %.
@pytest.mark.parametrize(
    ("price", "liquidity", "expected"), [(10_104, "taker", 5.052), (11_104, "maker", 2.2208)]
)
def test_binance_futures_charge_what_the_exchange_works_out(
    price: float, liquidity: str, expected: float
) -> None:
    assert ask(BinanceFutures(), 1.0, price, liquidity=liquidity) == pytest.approx(expected, rel=1e-12)


# Binance, "Fee Rate", regular user: 0.1000 %, with BNB 0.0750 %; futures 10 % off.
@pytest.mark.parametrize("liquidity", ["maker", "taker"])
def test_fees_paid_in_bnb_are_discounted(liquidity: str) -> None:
    assert ask(BinanceSpot(), 1.0, 40_000, liquidity=liquidity) == pytest.approx(40.0)
    assert ask(BinanceSpot(bnb_discount=0.25), 1.0, 40_000, liquidity=liquidity) == pytest.approx(30.0)
    full = ask(BinanceFutures(), 1.0, 40_000, liquidity=liquidity)
    assert ask(BinanceFutures(bnb_discount=0.1), 1.0, 40_000, liquidity=liquidity) == pytest.approx(
        0.9 * full
    )


def test_a_rebate_is_not_discounted() -> None:
    assert ask(BinanceFutures(maker=-0.0001, bnb_discount=0.1), 1.0, 10_000, liquidity="maker") == -1.0


# -- tiers -------------------------------------------------------------------------------------------------

IBKR_LIMITS, IBKR_RATES = [300e3, 3e6, 20e6, 100e6], [0.0035, 0.002, 0.0015, 0.001, 0.0005]


# Interactive Brokers, "Commissions Stocks", US tiered, read marginally; worked by hand:
# 300,000 x 0.0035 + 100,000 x 0.0020 = 1,250 and 5,000 x 0.0035 + 5,000 x 0.0020 = 27.50.
@pytest.mark.parametrize(
    ("used", "quantity", "expected"),
    [
        (0, 400_000, 1_250.00),
        (295_000, 10_000, 27.50),
        (0, 300_000, 1_050.00),
        (300_000, 1, 0.002),
        (0, 30_000_000, 1_050 + 5_400 + 25_500 + 10_000),
        (200e6, 1_000_000, 500.00),
    ],
)
@pytest.mark.parametrize(
    "model", [Tiered(IBKR_LIMITS, rates=IBKR_RATES), TIERED_COMMISSION], ids=["plain", "ibkr"]
)
def test_each_share_pays_the_rate_of_the_tier_it_falls_into(
    model: FeeModel, used: float, quantity: float, expected: float
) -> None:
    if isinstance(model, IbkrTiered):
        model = attrs.evolve(model, minimum=0.0)
    assert ask(model, quantity, 25.0, month_quantity=used) == pytest.approx(expected, rel=1e-12)


def test_tiers_by_notional_charge_fractions() -> None:
    # 400 of the 1,000 are left at 0.2 %, the other 600 pay 0.1 %.
    model = Tiered([1_000], rates=[0.002, 0.001], basis="notional")
    assert ask(model, 10, 100.0, month_notional=600.0) == pytest.approx(0.8 + 0.6)


def test_the_last_tier_may_be_a_rebate() -> None:
    assert ask(Tiered([100], rates=[0.01, -0.001]), 300, 5.0) == pytest.approx(1.0 - 0.2)


@given(
    quantities=st.lists(st.integers(1, 400_000), min_size=1, max_size=12),
    used=st.integers(0, 4_000_000),
    minimum=st.sampled_from([0.0, 0.35, 900.0]),
)
def test_the_fills_of_an_order_pay_by_tiers_together_what_one_fill_would(
    quantities: list[int], used: int, minimum: float
) -> None:
    for model in (
        Tiered(IBKR_LIMITS, rates=IBKR_RATES, minimum=minimum),
        attrs.evolve(TIERED_COMMISSION, minimum=minimum),
    ):
        apart = charge(model, [(float(quantity), 25.0) for quantity in quantities], used=used)
        together = charge(model, [(float(sum(quantities)), 25.0)], used=used)
        assert sum(apart) == pytest.approx(together[0], rel=1e-9)
        assert min(apart) >= -1e-9


# -- Interactive Brokers, stocks ---------------------------------------------------------------------------


# Interactive Brokers, "Commissions Stocks", US fixed: the first three rows are its examples, the others
# follow from the rule, at least 1.00 and at most 1 % of the value.
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
def test_the_fixed_commission_is_the_published_one(quantity: float, price: float, expected: float) -> None:
    assert ask(IbkrFixed(), quantity, price) == pytest.approx(expected, rel=1e-12)
    alone = IbkrFixed(sec_rate=0, taf_per_share=0)
    assert ask(alone, quantity, price, side=-1) == pytest.approx(expected, rel=1e-12)


def test_the_fixed_minimum_and_cap_hold_for_the_order() -> None:
    assert charge(IbkrFixed(), [(50, 25.0), (50, 25.0), (300, 25.0)]) == pytest.approx([1.0, 0.0, 1.0])
    # 1 % of 50.00 is 0.50, 1 % of 100.00 is the minimum of 1.00, and 150 x 0.005 is less than that.
    assert charge(IbkrFixed(), [(50, 1.0), (50, 1.0), (50, 1.0)]) == pytest.approx([0.5, 0.5, 0.0])


def test_the_minimum_of_lean_is_paid_once() -> None:
    assert charge(LeanIbkr(), [(50, 25.0), (50, 25.0), (300, 25.0)]) == pytest.approx([1.0, 0.0, 1.0])


# QuantConnect LEAN, InteractiveBrokersFeeModel with a cap of 0.5 %: the minimum is not capped. The last row:
# more than the minimum per share, but the cap is below it.
@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [(1_000, 0.25, 1.25), (10, 0.20, 1.00), (100, 25.0, 1.00), (688, 144.7817, 3.44), (1_000, 0.10, 0.50)],
)
def test_lean_s_form_lets_the_minimum_win_over_the_cap(
    quantity: float, price: float, expected: float
) -> None:
    assert ask(LeanIbkr(), quantity, price) == pytest.approx(expected, rel=1e-12)


# Interactive Brokers, "Stock and ETF Fixed vs. Tiered Pricing Comparison Examples", at rates of its date:
# SEC 8.00 per million, TAF 0.000145 up to 7.27, FINRA 0.00056 and NYSE 0.000175 of the commission.
AT_ITS_DATE = {"sec_rate": 0.000008, "taf_per_share": 0.000145, "taf_maximum": 7.27}


@pytest.mark.parametrize(
    ("quantity", "liquidity", "maker", "taker", "expected"),
    [
        (30_000_000, "maker", -0.0021, 0.003, -13_811.9),
        (30_000_000, "taker", -0.0021, 0.003, 139_188.1),
        (200_000, "taker", 0.0, 0.003, 1_355.78),
    ],
)
def test_the_tiered_price_of_a_sale_is_the_published_sum(
    quantity: float, liquidity: str, maker: float, taker: float, expected: float
) -> None:
    model = IbkrTiered(**AT_ITS_DATE, finra_fraction=0.00056, maker_per_share=maker, taker_per_share=taker)
    # Half a unit of the last digit printed: the first two have one decimal.
    printed = 0.05 if quantity > 1e6 else 0.005
    assert ask(model, quantity, 5.0, side=-1, liquidity=liquidity) == pytest.approx(expected, abs=printed)


@pytest.mark.parametrize(("quantity", "expected"), [(30_000_000, 151_207.27), (200_000, 1_015.27)])
def test_the_fixed_price_of_a_sale_is_the_published_sum(quantity: float, expected: float) -> None:
    assert ask(IbkrFixed(**AT_ITS_DATE), quantity, 5.0, side=-1) == pytest.approx(expected, abs=0.005)


# Interactive Brokers, "Commissions Stocks": SEC 0.0000278 x value, TAF 0.000166 x shares, NSCC and DTC
# 0.0002 a share; worked for a sale of 1,000 at 25: 0.695, 0.166 and 0.20.
def test_sales_pay_the_regulators_and_buys_do_not() -> None:
    model = IbkrTiered(nyse_fraction=0, finra_fraction=0)
    assert ask(model, 1_000, 25.0, side=-1) == pytest.approx(3.5 + 0.695 + 0.166 + 0.2, rel=1e-12)
    assert ask(model, 1_000, 25.0) == pytest.approx(3.5 + 0.2, rel=1e-12)
    assert ask(IbkrFixed(), 1_000, 25.0, side=-1) == pytest.approx(5.0 + 0.695 + 0.166, rel=1e-12)


def test_the_tiered_minimum_and_cap_hold_for_the_order() -> None:
    assert ask(TIERED_COMMISSION, 10, 25.0) == pytest.approx(0.35)
    assert ask(TIERED_COMMISSION, 10, 0.5) == pytest.approx(0.05)  # 1 % of 5.00
    assert charge(TIERED_COMMISSION, [(50, 25.0), (40, 25.0), (100, 25.0)]) == pytest.approx([0.35, 0, 0.315])


def test_the_clearing_fee_is_capped_by_the_value() -> None:
    # 10,000 x 0.0002 = 2.00; half a percent of 10,000 x 0.01 is 0.50. The commission is capped at 1.00.
    model = attrs.evolve(TIERED_COMMISSION, clearing_per_share=0.0002)
    assert ask(model, 10_000, 0.01) == pytest.approx(1.0 + 0.5)


# -- Interactive Brokers, options and currencies -----------------------------------------------------------


# QuantConnect LEAN, InteractiveBrokersFeeModel: up to 10,000 contracts a month 0.65 from a premium of 0.10,
# 0.50 from 0.05, 0.25 below, at least 1.00 per order; the later tiers from the same source.
@pytest.mark.parametrize(
    ("used", "quantity", "premium", "expected"),
    [
        (0, 10, 0.10, 6.50),
        (0, 10, 0.0999, 5.00),
        (0, 10, 0.05, 5.00),
        (0, 10, 0.0499, 2.50),
        (0, 1, 3.20, 1.00),
        (0, 2, 0.01, 1.00),
        (10_000, 10, 1.00, 6.50),
        (10_001, 10, 1.00, 5.00),
        (10_001, 10, 0.04, 2.50),
        (50_001, 10, 1.00, 2.50),
        (100_001, 10, 1.00, 1.50),
    ],
)
def test_an_option_costs_by_its_premium_and_the_month(
    used: float, quantity: float, premium: float, expected: float
) -> None:
    assert ask(IbkrOptions(), quantity, premium, multiplier=100.0, month_quantity=used) == pytest.approx(
        expected
    )


def test_the_minimum_for_options_is_for_the_order() -> None:
    assert charge(IbkrOptions(), [(1, 2.0), (1, 2.0), (1, 2.0)]) == pytest.approx([1.0, 0.3, 0.65])


# QuantConnect LEAN, InteractiveBrokersFeeModel, Forex: 0.20 bp, at least 2.00, up to a billion a month; then
# 0.15 and 1.50, 0.10 and 1.25, 0.08 and 1.00.
@pytest.mark.parametrize(
    ("used", "notional", "expected"),
    [
        (0, 1_000_000, 20.00),
        (0, 50_000, 2.00),
        (1e9, 1_000_000, 20.00),
        (1.5e9, 1_000_000, 15.00),
        (1.5e9, 50_000, 1.50),
        (3e9, 1_000_000, 10.00),
        (3e9, 50_000, 1.25),
        (6e9, 1_000_000, 8.00),
        (6e9, 50_000, 1.00),
    ],
)
def test_a_currency_costs_basis_points_with_a_minimum_by_the_month(
    used: float, notional: float, expected: float
) -> None:
    assert ask(IbkrForex(), notional, 1.0, month_notional=used) == pytest.approx(expected, rel=1e-12)


def test_the_minimum_for_currencies_is_for_the_order() -> None:
    assert charge(IbkrForex(), [(50_000, 1.0), (30_000, 1.0), (40_000, 1.0)]) == pytest.approx(
        [2.0, 0.0, 0.4]
    )


# -- Alpaca ------------------------------------------------------------------------------------------------


def fill(ts_ns: int, side: int, quantity: float, price: float) -> ObservedFill:
    return ObservedFill(
        ts_ns=ts_ns,
        side=side,
        asset=0,
        order_id=1,
        price=price,
        quantity=quantity,
        multiplier=1.0,
        fee=0.0,
        slippage=0.0,
        impact=0.0,
        liquidity="taker",
    )


def play(model: AlpacaFees, fills: Sequence[tuple[int, int, float, float]]) -> list[float]:
    """Charge fills of a run, given as (ts_ns, side, quantity, price), telling the model of each."""
    fees = []
    for ts_ns, side, quantity, price in fills:
        ctx = FeeArgs(ts_ns=ts_ns, side=side, quantity=quantity, price=price, notional=quantity * price)
        fees.append(model.evaluate(ctx).fee)
        model.observe(fill(ts_ns, side, quantity, price))
    return fees


# Alpaca Securities, "Brokerage Fee Schedule" of September 2026: 20.60 per million sold, 0.000195 per share
# sold, at most 9.79, 0.000003 per share on both sides; summed by the day and rounded up. Worked by hand.
def test_alpaca_passes_on_the_regulators_exactly_where_nothing_is_rounded() -> None:
    model = AlpacaFees(rounds_up=False)
    assert ask(model, 1_000, 25.0, side=-1) == pytest.approx(0.515 + 0.195 + 0.003, rel=1e-12)
    assert ask(model, 1_000, 25.0) == pytest.approx(0.003, rel=1e-12)
    assert ask(model, 100_000, 25.0, side=-1) == pytest.approx(51.5 + 9.79 + 0.3, rel=1e-12)


def test_alpaca_rounds_the_sums_of_a_day_up() -> None:
    # One sale: 0.515 -> 0.52, 0.195 -> 0.20, 0.003 -> 0.01. The second makes 1.03, 0.39 and 0.006: 0.51 +
    # 0.19 + 0.
    sales = [
        (0, -1, 1_000.0, 25.0),
        (3_600, -1, 1_000.0, 25.0),
        (DAY_NS, -1, 1_000.0, 25.0),
        (DAY_NS + 1, -1, 1_000.0, 25.0),
    ]
    assert play(AlpacaFees(), sales) == [0.73, 0.70, 0.73, 0.70]


def test_alpaca_charges_a_cent_for_the_first_small_buy_of_a_day_and_nothing_for_the_next() -> None:
    # docs.alpaca.markets, "Regulatory Fees": what comes to 0.00083 is rounded up to 0.01.
    buys = [(0, 1, 10.0, 25.0), (1, 1, 10.0, 25.0)]
    assert play(AlpacaFees(), buys) == [0.01, 0.0]


def test_a_whole_number_of_cents_is_not_rounded_up() -> None:
    # 46,000 x 0.000195 = 8.97, in cents and floats 897.0000000000001.
    model = AlpacaFees(sec_rate=0.0, cat_per_share=0.0)
    assert ask(model, 46_000, 100.0, side=-1) == 8.97


def test_asking_alone_changes_nothing_and_a_clone_starts_anew() -> None:
    model = AlpacaFees()
    first = ask(model, 1_000, 25.0, side=-1)
    assert ask(model, 1_000, 25.0, side=-1) == first
    model.observe(fill(0, -1, 1_000.0, 25.0))
    assert ask(model, 1_000, 25.0, side=-1) < first
    assert ask(model.clone(), 1_000, 25.0, side=-1) == first
    assert model.clone() == model


# -- of all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=repr)
@given(
    quantity=st.floats(1e-6, 1e9),
    price=st.floats(-1e5, 1e5),
    side=st.sampled_from([-1, 1]),
    used=st.floats(0, 1e10),
    liquidity=st.sampled_from(["maker", "taker"]),
)
def test_a_fee_is_a_number_and_below_zero_for_a_rebate_alone(
    model: FeeModel, quantity: float, price: float, side: int, used: float, liquidity: str
) -> None:
    fee = ask(
        model, quantity, price, side=side, month_quantity=used, month_notional=used, liquidity=liquidity
    )
    assert math.isfinite(fee)
    assert fee >= 0.0 or (isinstance(model, MakerTaker) and liquidity == "maker")


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_models_are_immutable_values_that_can_be_sent_to_another_process(model: FeeModel) -> None:
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(pickle.loads(pickle.dumps(model)))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, attrs.fields(type(model))[0].name, 0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PerContract(-1), r"fee: expected a number of 0 or more, found -1\.0"),
        (lambda: PerContract(1, order_fee=math.nan), r"order_fee: .* found nan"),
        (
            lambda: MakerTaker(-2, taker=0),
            r"maker: expected a number of -1 or more and at most 1, found -2\.0",
        ),
        (lambda: Tiered([2, 1], rates=[1, 2, 3]), r"limits: expected ends of tiers that grow"),
        (lambda: Tiered([0], rates=[1, 2]), r"limits: .* the first above 0"),
        (lambda: Tiered([1], rates=[1]), r"rates: expected one entry more .* 2, found 1"),
        (lambda: Tiered("1", rates=[1]), r"limits: expected a list of numbers of 0 or more, found '1'"),  # type: ignore[arg-type]
        (lambda: Tiered([math.inf], rates=[1, 1]), r"limits: expected a list of numbers"),
        (lambda: Tiered([1], rates=[1, 1], basis="value"), r"basis: expected quantity or notional"),  # type: ignore[arg-type]
        (lambda: IbkrFixed(maximum_fraction=0), r"maximum_fraction: expected a number above 0"),
        (lambda: IbkrFixed(sec_rate=-1e-6), r"sec_rate: .* found -1e-06"),
        (lambda: LeanIbkr(maximum_fraction=2), r"maximum_fraction: .* found 2\.0"),
        (lambda: IbkrTiered(taf_maximum=-1), r"taf_maximum: .* found -1\.0"),
        (lambda: IbkrTiered(rates=[-1, 0, 0, 0, 0]), r"rates: expected a list of numbers of 0 or more"),
        (lambda: IbkrTiered(finra_fraction=2), r"finra_fraction: .* found 2\.0"),
        (lambda: IbkrOptions(minimum=-1), r"minimum: .* found -1\.0"),
        (lambda: IbkrForex(bps=[0.2]), r"bps: expected one entry more .* 4, found 1"),
        (lambda: IbkrForex(minimums=[1]), r"minimums: expected one entry more"),
        (lambda: AlpacaFees(rounds_up="no"), r"rounds_up: expected true or false, found 'no'"),  # type: ignore[arg-type]
        (lambda: BinanceSpot(bnb_discount=1.5), r"bnb_discount: .* found 1\.5"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_its_value(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()
