"""The native library answers what the Python classes answer, bit for bit."""

from __future__ import annotations

import itertools
import math
import random
import re
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import Holding, LiquidationArgs, MarginArgs
from ml4t.margin import (
    CloseAll,
    CryptoMargin,
    FixedLeverage,
    FuturesMargin,
    LargestLoserFirst,
    PortfolioMargin,
    ProRata,
    RegT,
)
from ml4t.native import NativeState

CASES = 1_000
SEED = 20_261_210
SYMBOLS = ["AAA", "BBB", "CCC", "DDD", "EÉ€𝄞"]
BTC = [(0, 0.004), (50_000, 0.005), (250_000, 0.01), (1_000_000, 0.025), (10_000_000, 0.05)]
MARGIN: list[Any] = [
    RegT(),
    RegT(0.4, maintenance_long=0.3, maintenance_short=0.9, intraday=0.35),
    RegT(special={"BBB": 1.0, "DDD": 0.31, "ZZZ": 2.0}).with_symbols(SYMBOLS),
    RegT().with_symbols(SYMBOLS),
    FixedLeverage(),
    FixedLeverage(30, maintenance=0.0123),
    PortfolioMargin(),
    PortfolioMargin(points=7, default="index", initial=1.3),
    PortfolioMargin(
        underlyings={"AAA": "X", "CCC": "X", "EÉ€𝄞": "BBB"},
        classes={"X": "index", "DDD": "small_cap"},
        moves={"stock": (-0.15, 0.15), "index": (-0.08, 0.06), "small_cap": (-0.1, 0.113)},
    ).with_symbols(SYMBOLS),
    PortfolioMargin(
        underlyings=dict.fromkeys(SYMBOLS[:3], "X"), minimum={"AAA": 37.5, "CCC": 1e4, "DDD": 0.7}
    ).with_symbols(SYMBOLS),
    FuturesMargin(),
    FuturesMargin(0.37).with_symbols(SYMBOLS),
    CryptoMargin(),
    CryptoMargin(7.3, tiers=BTC, mode="isolated", liquidation_fee=0.01),
    CryptoMargin(
        50, tiers=BTC, tiers_by_symbol={"BBB": [(0, 0.02)], "CCC": [(0, 0.0), (3, 0.5)], "DDD": BTC}
    ).with_symbols(SYMBOLS),
]
LIQUIDATION: list[Any] = [
    LargestLoserFirst(),
    LargestLoserFirst("1d", 0.9, 0.137),
    ProRata(250),
    ProRata(buffer=0.137),
    CloseAll("1h", 0.5),
]
MODELS: list[tuple[str, Any]] = [
    *(("margin", model) for model in MARGIN),
    *(("liquidation", model) for model in LIQUIDATION),
]


def holding(dice: random.Random, asset: int) -> Holding:
    """A position as a run has it, now and then at an edge: a price of FINRA's rule, the floor of a tier."""
    quantity = dice.choice((float(dice.randrange(1, 100_000)), dice.uniform(1e-6, 1e6), 1.0))
    prices = (5.0, 2.5, math.nextafter(5.0, 0.0), 50_000.0, 250_000.0, 3.0)
    mark = dice.choice((*[round(dice.uniform(0.0, 900.0), 2), dice.uniform(-5.0, 1e5)] * 6, *prices))
    rates = dice.choice(((dice.uniform(1e4, 2e4), dice.uniform(0, 1e4)), (15_400.0, 14_000.0), (0.0, 0.0)))
    return Holding(
        quantity=dice.choice((1, -1)) * quantity,
        mark=mark,
        multiplier=dice.choice((1.0, 1.0, 0.001, 50.0)),
        fx=dice.choice((1.0, 1.0, dice.uniform(0.001, 2.0))),
        asset=asset,
        initial_rate=rates[0],
        maintenance_rate=rates[1],
        lot_size=dice.choice((1.0, 0.001)),
        unrealized=dice.choice((dice.uniform(-1e5, 1e5), -1.0, 0.0, -0.0)),
        requirement=dice.choice((*[dice.uniform(0.0, 1e5)] * 4, 0.0, 1_000.0)),
    )


def question(kind: str, dice: random.Random, ts_ns: int) -> Any:  # noqa: ANN401
    assets = sorted(dice.sample(range(len(SYMBOLS)), dice.randint(1, len(SYMBOLS))))
    held = tuple(holding(dice, asset) for asset in assets)
    cash, equity = dice.uniform(-1e6, 1e6), dice.uniform(-1e5, 1e6)
    if kind == "margin":
        return MarginArgs(ts_ns=ts_ns, cash=cash, equity=equity, holdings=held)
    needed = sum(each.requirement for each in held)
    deficit = dice.choice((dice.uniform(0.0, 1.2) * needed, dice.uniform(0.0, 1e5), needed, 1_000.0, 0.0))
    return LiquidationArgs(ts_ns=ts_ns, cash=cash, equity=equity, deficit=deficit, holdings=held)


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
def test_the_bits_are_the_same(kind: str, model: Any) -> None:  # noqa: ANN401
    print("seed", SEED)
    dice, native = random.Random(f"{SEED}{model!r}"), NativeState(model, kind=kind)
    answers = set()
    for number in range(CASES):
        ctx = question(kind, dice, number)
        found, expected = native.evaluate(ctx), model.evaluate(ctx)
        # The text of a float is exact, and tells -0.0 from 0.0.
        assert repr(found) == repr(expected), (SEED, number, ctx)
        answers.add(repr(found))
    assert len(answers) > CASES // 3


FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ANY = st.lists(
    st.builds(
        Holding,
        **dict.fromkeys(
            ("quantity", "mark", "multiplier", "fx", "initial_rate", "maintenance_rate", "lot_size"), FLOATS
        ),
        unrealized=FLOATS,
        requirement=FLOATS,
        asset=st.integers(0, len(SYMBOLS)),
    ),
    min_size=1,
    max_size=4,
)


def outcome(asked: Any, ctx: object) -> str:  # noqa: ANN401
    """The answer, or what it is refused with."""
    try:
        return repr(asked.evaluate(ctx))
    except ModelError as error:
        # An error of the library is told with the name of its model before it, which is in the text as well.
        name = asked.__class__.__name__
        text = str(error) if name != "NativeState" else str(error).partition(": ")[2]
        # Python writes 1e+16 and 1e-05 what is 1e16 and 1e-5 in Rust.
        return re.sub(r"e\+?(-?)0?(\d)", r"e\1\2", text)


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
@given(held=ANY, amounts=st.tuples(FLOATS, FLOATS, FLOATS))
def test_any_numbers_are_answered_or_refused_alike(
    kind: str,
    model: Any,  # noqa: ANN401
    held: list[Holding],
    amounts: tuple[float, float, float],
) -> None:
    cash, equity, deficit = amounts
    plain: dict[str, Any] = {"ts_ns": 0, "cash": cash, "equity": equity, "holdings": tuple(held)}
    ctx = MarginArgs(**plain) if kind == "margin" else LiquidationArgs(**plain, deficit=deficit)
    assert outcome(NativeState(model, kind=kind), ctx) == outcome(model, ctx)


REFUSED: list[tuple[str, Any, Holding]] = [
    ("margin", RegT(special={"A": 0.9}), Holding(quantity=1.0, mark=1.0)),
    ("margin", PortfolioMargin(classes={"A": "index"}), Holding(quantity=1.0, mark=1.0)),
    ("margin", CryptoMargin(tiers_by_symbol={"A": [(0, 0.01)]}), Holding(quantity=1.0, mark=1.0)),
    ("margin", RegT().with_symbols(["A"]), Holding(quantity=1.0, mark=1.0, asset=1)),
    *(
        ("margin", model, Holding(quantity=1.0, mark=1.0, asset=asset, **rates))
        for model in (FuturesMargin(), FuturesMargin().with_symbols(SYMBOLS))
        for asset in (0, 4, 5)
        for rates in (
            *({}, {"initial_rate": 1.0}, {"maintenance_rate": 1.0}),
            {"initial_rate": 14_000.0, "maintenance_rate": 15_400.0},
        )
    ),
    ("liquidation", LargestLoserFirst(), Holding(quantity=1.0, mark=1.0, asset=3, requirement=1.0)),
    ("liquidation", ProRata(), Holding(quantity=1.0, mark=1.0, asset=3)),
]


@pytest.mark.parametrize(("kind", "model", "held"), REFUSED, ids=repr)
def test_what_is_refused_is_refused_in_the_same_words(kind: str, model: Any, held: Holding) -> None:  # noqa: ANN401
    plain: dict[str, Any] = {"ts_ns": 0, "cash": 0.0, "equity": 0.0, "holdings": (held,)}
    ctx = MarginArgs(**plain) if kind == "margin" else LiquidationArgs(**plain, deficit=1.0)
    with pytest.raises(ModelError) as ours:
        model.evaluate(ctx)
    with pytest.raises(ModelError) as native:
        NativeState(model, kind=kind).evaluate(ctx)
    assert str(ours.value) in str(native.value)


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
def test_a_model_is_native_for_its_own_kind_alone(kind: str, model: Any) -> None:  # noqa: ANN401
    for other in {"margin", "liquidation", "interest"} - {kind}:
        with pytest.raises(ConfigError, match=f"{kind} model and cannot be the {other} model"):
            NativeState(model, kind=other)


@pytest.mark.parametrize("symbol", ["reg_t", "portfolio", "crypto", "futures", "pro_rata", "fixed_leverage"])
def test_a_table_refuses_parameters_that_are_too_few(symbol: str) -> None:
    @attrs.frozen
    class Short(RegT):
        native_symbol = f"ml4t_margin_{symbol}"

        def native_values(self) -> list[float | None]:
            return []

    with pytest.raises(ConfigError, match=r"refused the parameters \[\]"):
        Short().native_table()


def test_a_portfolio_of_hundreds_is_answered_alike() -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    symbols = [f"S{k}" for k in range(400)]
    groups = {symbol: f"U{dice.randrange(60)}" for symbol in symbols}
    held = tuple(holding(dice, asset) for asset in range(len(symbols)))
    ctx = MarginArgs(ts_ns=0, cash=0.0, equity=0.0, holdings=held)
    unbound: tuple[Any, ...] = (
        PortfolioMargin(underlyings=groups),
        RegT(special=dict.fromkeys(symbols[::7], 0.8)),
        CryptoMargin(tiers=BTC),
    )
    for model in itertools.chain(unbound, [FuturesMargin()]):
        bound = model.with_symbols(symbols)
        assert repr(NativeState(bound, kind="margin").evaluate(ctx)) == repr(bound.evaluate(ctx))
