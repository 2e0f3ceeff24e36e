"""Impact models in runs of the engine: estimates, displacement and state come from the run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, PITData, Strategy, Timestamp, run
from ml4t.core.errors import ModelError
from ml4t.impact import Almgren2005, AlmgrenChriss, Linear, Propagator, SquareRoot, optimal_trajectory

if TYPE_CHECKING:
    from ml4t.core.models import ImpactModel

FIRST = dt.date(2024, 1, 1)


class Buys(Strategy):
    """Sends at the n-th close a buy of the n-th quantity, which fills at the next open; 0 sends none."""

    def __init__(self, quantities: Sequence[float]) -> None:
        self.quantities = list(quantities)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        quantity = self.quantities.pop(0) if self.quantities else 0.0
        if quantity > 0.0:
            broker.buy("A", quantity)
        elif quantity < 0.0:
            broker.sell("A", -quantity)


def fills(
    model: ImpactModel | dict[str, Any],
    quantities: Sequence[float],
    *,
    closes: Sequence[float],
    volumes: Sequence[float] | None = None,
) -> list[tuple[float, float, float]]:
    """Return quantity, price and impact of every fill; a bar opens at the close of the one before."""
    volumes = volumes or [1e6] * len(closes)
    rows = [
        {
            "symbol": "A",
            "session": FIRST + dt.timedelta(days=n),
            "open": closes[max(n - 1, 0)],
            "high": max(closes[max(n - 1, 0)], close),
            "low": min(closes[max(n - 1, 0)], close),
            "close": close,
            "volume": volumes[n],
        }
        for n, close in enumerate(closes)
    ]
    broker: dict[str, Any] = {"initial_cash": 10**12}
    models = {}
    if isinstance(model, dict):
        broker["impact_model"] = model
    else:
        models["impact"] = model
    results = run(
        Buys(quantities),
        DataFeed(pl.DataFrame(rows), stamp="session", calendar="24/7"),
        config={"broker": broker},
        models=models,
    )
    return results.fills.select("quantity", "price", "impact").rows()


@pytest.mark.parametrize("risk_aversion", [2e-6, 0.0, -2e-7])
def test_a_trajectory_costs_in_a_run_what_almgren_and_chriss_expect(risk_aversion: float) -> None:
    costs = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
    plan = optimal_trajectory(1e6, costs=costs, volatility=0.95, periods=5, risk_aversion=risk_aversion)
    # Whole shares, the last trade takes what rounding has left.
    trades = [round(trade) for trade in plan.trades[:-1]]
    trades.append(1_000_000 - sum(trades))
    found = fills(costs, trades, closes=[50.0] * 7)
    assert [quantity for quantity, _, _ in found] == trades
    paid = math.fsum(quantity * (price - 50.0) for quantity, price, _ in found)
    assert paid == pytest.approx(plan.expected_cost, rel=1e-5)


# Closes of 100, 102, 99.96: returns of 2 % and -2 %, whose standard deviation (n - 1) is 0.02 sqrt(2).
# Volumes of 1, 2 and 3 million: 2 million. An order of 20,000 is a hundredth: Y x 0.0282842712 x 0.1 of the
# open of 99.96.
@pytest.mark.parametrize("table", [False, True])
def test_the_square_root_law_takes_the_estimates_of_the_engine(table: bool) -> None:  # noqa: FBT001
    model: Any = {"type": "SquareRoot", "Y": 0.5} if table else SquareRoot(0.5)
    found = fills(model, [0, 0, 2e4], closes=[100.0, 102.0, 99.96, 99.96], volumes=[1e6, 2e6, 3e6, 9e6])
    expected = 99.96 * 0.5 * 0.02 * math.sqrt(2.0) * 0.1
    assert [impact for _, _, impact in found] == pytest.approx([expected], abs=1e-8)
    assert found[0][1] == pytest.approx(99.96 + expected, abs=1e-8)


def test_an_order_before_there_are_estimates_stops_the_run() -> None:
    with pytest.raises(ModelError, match="SquareRoot needs a volatility of earlier sessions"):
        fills(SquareRoot(), [1e4], closes=[100.0, 101.0, 102.0])


def test_the_permanent_part_of_a_fill_is_in_the_price_of_the_next() -> None:
    # 1 % of the volume at 2 %: 0.02 of 100 temporary, half of it permanent. The sale gets what the buys have
    # moved.
    model = Linear(1.0, permanent=0.5, volatility=0.02, average_volume=1e6, average_days=0)
    found = fills(model, [1e4, 1e4, -1e4], closes=[100.0] * 5)
    assert [price for _, price, _ in found] == pytest.approx([100.02, 100.03, 100.0], abs=1e-8)


def test_half_of_the_permanent_part_and_the_temporary_one_are_paid_at_once() -> None:
    # gamma 0.02 x 0.01 and eta 0.02 x 0.1 of 100: I = 0.02, K = 0.2; the next buy begins 0.02 higher.
    model = Almgren2005(
        1.0,
        gamma=1.0,
        eta=1.0,
        temporary_exponent=0.5,
        inverse_turnover=1.0,
        volatility=0.02,
        average_volume=1e6,
        average_days=0,
    )
    found = fills(model, [1e4, 1e4], closes=[100.0] * 4)
    assert [price for _, price, _ in found] == pytest.approx([100.21, 100.23], abs=1e-8)


def test_a_move_decays_from_one_day_to_the_next_and_runs_begin_anew() -> None:
    # Each buy moves the price by 0.02 of 100 x 0.01 and pays half. A day leaves exp(-2) of the first to the
    # second.
    model = Propagator(1.0, resilience=2.0, volatility=0.02, average_volume=1e6, average_days=0)
    for _ in range(2):
        found = fills(model, [1e4, 1e4, -1e4], closes=[100.0] * 5)
        left = [0.0, math.exp(-2.0), math.exp(-4.0) + math.exp(-2.0)]
        expected = [100.01, 100.01 + 0.02 * left[1], 99.99 + 0.02 * left[2]]
        assert [price for _, price, _ in found] == pytest.approx(expected, abs=1e-8)
