"""Liquidation prices and maintenance amounts against those that Binance publishes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml4t.core.errors import ArgumentError
from ml4t.core.models import Holding, MarginArgs
from ml4t.margin import CryptoMargin, liquidation_price, maintenance_amounts

BTC = [
    (0, 0.004),
    (50_000, 0.005),
    (250_000, 0.01),
    (1_000_000, 0.025),
    (10_000_000, 0.05),
    (20_000_000, 0.1),
]
ETH = [
    (0, 0.005),
    (10_000, 0.0065),
    (100_000, 0.01),
    (500_000, 0.02),
    (1_000_000, 0.05),
    (2_000_000, 0.1),
]
# Binance, "How to Calculate Liquidation Price of USD-M Futures Contracts": one wallet, two positions.
WALLET = 1_535_443.01
IN_ETH: dict[str, Any] = {"quantity": 3_683.979, "entry_price": 1_456.84, "tiers": ETH}
IN_BTC: dict[str, Any] = {"quantity": 109.488, "entry_price": 32_481.98, "tiers": BTC}

TIERS = st.lists(
    st.tuples(st.integers(1, 10**7), st.integers(0, 900)), max_size=5, unique_by=lambda tier: tier[0]
).flatmap(
    lambda rest: st.integers(0, 900).map(
        lambda first: tuple(
            (float(floor), rate / 1_000)
            for floor, rate in zip(
                [0, *sorted(floor for floor, _ in rest)],
                sorted([first, *(rate for _, rate in rest)]),
                strict=True,
            )
        )
    )
)


@pytest.mark.parametrize(
    ("position", "other_maintenance", "other_unrealized", "price"),
    [
        (IN_ETH, 71_200.81144, -56_354.57, 1_153.26),
        (IN_BTC, 356_512.508, -448_192.89, 26_316.89),
        (IN_ETH, 0.0, 0.0, 1_114.78),
    ],
)
def test_the_examples_of_binance(
    position: dict[str, Any], other_maintenance: float, other_unrealized: float, price: float
) -> None:
    found = liquidation_price(
        wallet=WALLET, other_maintenance=other_maintenance, other_unrealized=other_unrealized, **position
    )
    assert found is not None
    assert round(found, 2) == price


def test_the_example_of_binance_is_one_account() -> None:
    model = CryptoMargin(tiers=BTC, tiers_by_symbol={"ETHUSDT": ETH}).with_symbols(["BTCUSDT", "ETHUSDT"])
    held = (Holding(quantity=109.488, mark=31_967.27), Holding(quantity=3_683.979, mark=1_335.18, asset=1))
    answer = model.evaluate(MarginArgs(ts_ns=0, cash=0.0, equity=0.0, holdings=held))
    assert [round(each, 3) for each in answer.requirement] == [71_200.811, 356_512.508]


# The maintenance amount of a tier is what its wallet has more than one of that rate from 0 on.
@pytest.mark.parametrize(
    ("quantity", "rate", "amount", "price"),
    [
        (1, 0.004, 0.0, 47_690.763052),
        (-1, 0.004, 0.0, 52_290.836653),
        (1, 0.005, 50.0, 47_688.442211),
        (-1, 0.005, 50.0, 52_288.557214),
    ],
)
def test_an_isolated_position_of_one_bracket(
    quantity: float, rate: float, amount: float, price: float
) -> None:
    found = liquidation_price(wallet=2_500 + amount, quantity=quantity, entry_price=50_000, tiers=[(0, rate)])
    assert found is not None
    assert round(found, 6) == price


def test_the_price_goes_by_the_bracket_in_which_it_is() -> None:
    # A long falls below 50,000 of notional, into the first bracket; a short rises into the second.
    found = [liquidation_price(wallet=2_500, quantity=q, entry_price=50_000, tiers=BTC) for q in (1, -1)]
    assert [round(each or 0.0, 6) for each in found] == [47_690.763052, 52_288.557214]


def test_amounts_are_those_of_the_published_table() -> None:
    amounts = (0, 50, 1_300, 16_300, 266_300, 1_266_300)
    assert maintenance_amounts(BTC) == pytest.approx(amounts, rel=1e-12)
    assert maintenance(BTC, 500_000) == pytest.approx(500_000 * 0.01 - 1_300, rel=1e-12)
    assert maintenance_amounts(ETH)[-1] == pytest.approx(135_365, rel=1e-12)


def test_other_positions_count_for_a_cross_wallet() -> None:
    tiers = [(0, 0.004), (1_000_000, 0.025)]
    plain = liquidation_price(wallet=9_000, quantity=2, entry_price=30_000, tiers=tiers)
    same = liquidation_price(
        wallet=10_000,
        quantity=2,
        entry_price=30_000,
        tiers=tiers,
        other_maintenance=400,
        other_unrealized=-600,
    )
    assert plain == same


@pytest.mark.parametrize(
    ("wallet", "quantity"),
    [(100_000.0, 1.0), (-100_000.0, -1.0)],
    ids=["a long that owes nothing", "a short beyond its wallet"],
)
def test_there_may_be_no_price(wallet: float, quantity: float) -> None:
    assert liquidation_price(wallet=wallet, quantity=quantity, entry_price=50_000, tiers=BTC) is None


def maintenance(tiers: Any, notional: float) -> float:  # noqa: ANN401
    held = (Holding(quantity=1.0, mark=notional),)
    model = CryptoMargin(1e-9, tiers=tiers)
    return model.evaluate(MarginArgs(ts_ns=0, cash=0.0, equity=0.0, holdings=held)).maintenance


@given(tiers=TIERS)
def test_maintenance_has_no_step_at_the_floor_of_a_tier(tiers: tuple[tuple[float, float], ...]) -> None:
    for floor, _ in tiers:
        at = maintenance(tiers, floor)
        for near in (max(0.0, math.nextafter(floor, -math.inf)), math.nextafter(floor, math.inf)):
            assert maintenance(tiers, near) == pytest.approx(at, rel=1e-12, abs=1e-9)


@given(tiers=TIERS, notional=st.floats(0, 1e8), more=st.floats(0, 1e8))
def test_maintenance_is_each_part_of_the_notional_at_its_rate(
    tiers: tuple[tuple[float, float], ...], notional: float, more: float
) -> None:
    exact = Fraction(0)
    for k, (floor, rate) in enumerate(tiers):
        upto = Fraction(tiers[k + 1][0]) if k + 1 < len(tiers) else Fraction(notional)
        exact += max(min(upto, Fraction(notional)) - Fraction(floor), Fraction(0)) * Fraction(rate)
    found = maintenance(tiers, notional)
    assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-6)
    assert 0 <= found <= maintenance(tiers, notional + more) * (1 + 1e-12) + 1e-9


@given(
    tiers=TIERS,
    size=st.floats(1e-3, 1e4),
    entry=st.floats(1.0, 1e5),
    part=st.floats(-0.5, 2.0),
    is_long=st.booleans(),
)
def test_at_the_price_the_equity_is_the_maintenance(
    tiers: tuple[tuple[float, float], ...], size: float, entry: float, part: float, *, is_long: bool
) -> None:
    quantity, wallet = (size if is_long else -size), part * size * entry
    price = liquidation_price(wallet=wallet, quantity=quantity, entry_price=entry, tiers=tiers)
    assume(price is not None)
    assert price is not None
    scale = abs(wallet) + size * (entry + price)
    left = wallet + quantity * (price - entry) - maintenance(tiers, size * price)
    assert left == pytest.approx(0.0, abs=1e-9 * scale)


@given(tiers=TIERS, entry=st.floats(1.0, 1e5), part=st.floats(0.01, 2.0), is_long=st.booleans())
def test_more_behind_a_position_takes_its_price_further_away(
    tiers: tuple[tuple[float, float], ...], entry: float, part: float, *, is_long: bool
) -> None:
    quantity = 10.0 if is_long else -10.0

    def at(wallet: float) -> float | None:
        return liquidation_price(wallet=wallet, quantity=quantity, entry_price=entry, tiers=tiers)

    near, far = at(part * 10.0 * entry), at(1.5 * part * 10.0 * entry)
    if is_long:
        assert (far or 0.0) <= (near or 0.0)
    else:
        assert near is not None
        assert far is not None
        assert far >= near


@pytest.mark.parametrize(
    "tiers",
    [
        *([], "x", [0, 0.1], [(1, 0.1)], [(0, 0.1), (0, 0.2)]),
        *([(0, 0.2), (9, 0.1)], [(0, 1.0)], [(0, math.nan)], [(0, -0.1)]),
    ],
    ids=repr,
)
def test_what_are_no_tiers_is_refused_by_its_name(tiers: Any) -> None:  # noqa: ANN401
    with pytest.raises(ArgumentError, match=r"^tiers = .*; expected "):
        maintenance_amounts(tiers)
    with pytest.raises(ArgumentError, match=r"^tiers = .*; expected "):
        liquidation_price(wallet=1, quantity=1, entry_price=1, tiers=tiers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("wallet", math.nan), ("entry_price", math.inf), ("quantity", 0), ("quantity", -math.inf)),
        *(("other_maintenance", math.nan), ("other_unrealized", math.inf)),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_name(name: str, value: float) -> None:
    good: dict[str, float] = {"wallet": 2_500, "quantity": 1, "entry_price": 50_000}
    with pytest.raises(ArgumentError, match=rf"^{name} = {value!r}; expected a finite number"):
        liquidation_price(**{**good, name: value}, tiers=BTC)
