"""The native library answers what the Python classes answer, but for the last bit where powers occur."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from ml4t.backtest import DataFeed, Strategy, datasets, run
from ml4t.core.errors import ModelError
from ml4t.core.models import ImpactArgs, ObservedFill
from ml4t.impact import Almgren2005, AlmgrenChriss, Linear, Propagator, SquareRoot
from ml4t.native import NativeState

if TYPE_CHECKING:
    from ml4t.backtest import Broker, Context, PITData, Results, Timestamp
    from ml4t.core.models import ImpactModel

CASES = 1_000
SEED = 20_261_126
EXACT = [
    SquareRoot(0.7),
    SquareRoot(1.0, volatility=0.02, average_volume=1e6, average_days=0),
    Linear(0.5, permanent=0.25),
    AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625, tau=0.5),
]
POWERS = [
    Almgren2005(0.2, shares_outstanding=1.728e9),
    Almgren2005(0.5, inverse_turnover=263.0, permanent_exponent=0.891, turnover_exponent=0.267),
    Propagator(1.0, resilience=12.0, permanent_share=0.2),
    Propagator(0.8, exponent=0.5, decay="power_law", relaxation_days=0.01, beta=0.4),
]


def question(dice: random.Random, ts_ns: int) -> ImpactArgs:
    return ImpactArgs(
        ts_ns=ts_ns,
        side=dice.choice((1, -1)),
        asset=dice.randrange(3),
        quantity=float(dice.randrange(0, 50_000)),
        order_quantity=60_000.0,
        order_filled_quantity=float(dice.randrange(0, 10_000)),
        reference_price=round(dice.uniform(-5.0, 500.0), 2),
        average_volume=dice.uniform(1e4, 1e8),
        volatility=dice.uniform(0.0, 0.1),
    )


@pytest.mark.parametrize("model", EXACT, ids=lambda model: type(model).__name__)
def test_where_only_roots_occur_the_bits_are_the_same(model: ImpactModel) -> None:
    dice, native = random.Random(SEED), NativeState(model, kind="impact")
    for number in range(CASES):
        ctx = question(dice, number)
        assert native.evaluate(ctx) == model.evaluate(ctx), (SEED, number, ctx)


@pytest.mark.parametrize("model", POWERS, ids=lambda model: type(model).__name__)
def test_where_powers_occur_the_answers_are_close_also_after_fills(model: ImpactModel) -> None:
    dice, native, ours = random.Random(SEED), NativeState(model, kind="impact"), model
    if hasattr(model, "clone"):
        ours = model.clone()
    for number in range(CASES // 4):
        ctx = question(dice, number * 60_000_000_000)
        found, expected = native.evaluate(ctx), ours.evaluate(ctx)
        for name in ("temporary", "permanent"):
            one, other = getattr(found, name), getattr(expected, name)
            assert math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-11), (SEED, number, name, ctx)
        if hasattr(ours, "observe") and ctx.quantity > 0:
            fill = ObservedFill(
                ts_ns=ctx.ts_ns,
                side=ctx.side,
                asset=ctx.asset,
                order_id=number + 1,
                price=ctx.reference_price,
                quantity=ctx.quantity,
                multiplier=1.0,
                fee=0.0,
                slippage=0.0,
                impact=found.temporary,
                liquidity="taker",
            )
            native.observe(fill)
            ours.observe(fill)


@pytest.mark.parametrize("model", [*EXACT[:1], *POWERS], ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("lacks", ["volatility", "average_volume", "reference_price", "quantity"])
def test_what_is_missing_is_named_alike(model: ImpactModel, lacks: str) -> None:
    known = {"quantity": 10.0, "reference_price": 50.0, "volatility": 0.02, "average_volume": 1e6}
    ctx = ImpactArgs(ts_ns=0, side=1, **{**known, lacks: math.nan})
    with pytest.raises(ModelError) as ours:
        model.evaluate(ctx)
    with pytest.raises(ModelError) as native:
        NativeState(model, kind="impact").evaluate(ctx)
    assert str(ours.value).lower() in str(native.value).lower()


class Rebalancing(Strategy):
    """Swings between 2,000 and 6,000 shares, so that fills meet what earlier ones left."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if timestamp.day == 1 or timestamp.day == 15:
            broker.order_target_quantity("IBM", 6_000 if timestamp.month % 2 else 2_000)


@pytest.mark.parametrize("model", [*EXACT, *POWERS], ids=lambda model: type(model).__name__)
def test_a_run_is_the_same_in_both_forms(model: ImpactModel) -> None:
    def results(native: str) -> Results:
        config = {
            "backtest": {"native": native, "start_date": "2005-01-01", "end_date": "2006-12-31"},
            "broker": {"initial_cash": 10_000_000},
        }
        feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
        return run(Rebalancing, feed, config=config, models={"impact": model})

    native, python = results("prefer"), results("never")
    assert (native.execution_paths["impact"], python.execution_paths["impact"]) == ("capsule", "python")
    # Prices are rounded to nine decimals, which hides the last bit of a power.
    assert native.fills.equals(python.fills)
    assert native.fills["impact"].abs().max() > 0
    assert native.portfolio_history.equals(python.portfolio_history)
