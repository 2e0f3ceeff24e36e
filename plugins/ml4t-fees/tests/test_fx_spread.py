"""What converting currencies costs: worked numbers, refused parameters, and the same bits compiled in."""

from __future__ import annotations

import datetime as dt
import math
import pickle
from decimal import Decimal
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import Broker, Context, DataFeed, PITData, Results, Strategy, Timestamp, run
from ml4t.core.errors import ConfigError
from ml4t.core.models import FxArgs, FxModel, FxOut
from ml4t.core.schemas import TABLES
from ml4t.fees import FxSpread

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
MODELS = [
    FxSpread(0.0),
    FxSpread(0.0002),
    FxSpread(0.0137),
    FxSpread(1.99),
    FxSpread(0.0, commission=0.00002, minimum=2.0),
    FxSpread(0.0013, commission=0.00071),
    FxSpread(0.00031, commission=0.000017, minimum=0.37),
    FxSpread(0.0, minimum=1.3),
]


def ask(model: FxSpread, amount: float, rate: float) -> FxOut:
    return model.evaluate(FxArgs(ts_ns=0, amount=amount, rate=rate, side=1 if amount > 0 else -1))


# -- worked numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "amount", "rate", "expected", "fee"),
    [
        # Half of two basis points of 1.10.
        (FxSpread(0.0002), 10_000.0, 1.10, 1.10011, 0.0),
        (FxSpread(0.0002), -10_000.0, 1.10, 1.09989, 0.0),
        (FxSpread(0.01), 1.0, 150.0, 150.75, 0.0),
        (FxSpread(0.01), -1.0, 150.0, 149.25, 0.0),
        # Interactive Brokers: 0.2 basis points, at least 2.00; 100,000 EUR at 1.10 are 110,000 USD.
        (FxSpread(0.0, commission=0.00002, minimum=2.0), 100_000.0, 1.10, 1.10, 2.20),
        (FxSpread(0.0, commission=0.00002, minimum=2.0), -100_000.0, 1.10, 1.10, 2.20),
        (FxSpread(0.0, commission=0.00002, minimum=2.0), 10_000.0, 1.10, 1.10, 2.00),
        (FxSpread(0.01, commission=0.001), 10_000.0, 1.20, 1.206, 12.0),
        (FxSpread(0.01, commission=0.001), -11_000.0, 1.25, 1.24375, 13.75),
        (FxSpread(1.99), -100.0, 1.0, 0.005, 0.0),
        (FxSpread(0.0), 5.0, 0.0067, 0.0067, 0.0),
    ],
)
def test_the_rate_is_half_a_spread_away_and_the_commission_is_of_the_value(
    model: FxSpread, amount: float, rate: float, expected: float, fee: float
) -> None:
    answer = ask(model, amount, rate)
    assert answer.rate == pytest.approx(expected, rel=1e-15)
    assert answer.fee == pytest.approx(fee, rel=1e-12)


def test_without_a_spread_the_rate_is_the_middle_to_the_bit() -> None:
    for rate in (1.1, 0.1 + 0.2, 151.37, 1e-8, 1e8, math.pi):
        for amount in (5.0, -5.0):
            assert ask(FxSpread(0.0), amount, rate) == FxOut(rate, 0.0)


@given(
    spread=st.floats(0.0, 1.99),
    commission=st.floats(0.0, 1.0),
    minimum=st.floats(0.0, 1e6),
    amount=st.floats(1e-9, 1e12),
    rate=st.floats(1e-8, 1e8),
)
def test_nobody_gains_by_a_spread(
    spread: float, commission: float, minimum: float, amount: float, rate: float
) -> None:
    model = FxSpread(spread, commission=commission, minimum=minimum)
    bought, sold = ask(model, amount, rate), ask(model, -amount, rate)
    assert 0.0 < sold.rate <= rate <= bought.rate
    assert bought.fee == sold.fee >= minimum
    assert (bought.rate - rate) + (sold.rate - rate) == pytest.approx(0.0, abs=rate * 1e-15)


# -- parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1e-9, 1.9900001, 2.0, math.nan, math.inf, -math.inf, "wide", True])
def test_a_spread_that_none_can_be_is_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        FxSpread(value)
    assert [finding.path for finding in refused.value.findings] == ["spread"]


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, math.nan, math.inf, "x"])
def test_a_commission_that_none_can_be_is_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        FxSpread(0.0, commission=value)
    assert [finding.path for finding in refused.value.findings] == ["commission"]


@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf, "x"])
def test_a_minimum_that_none_can_be_is_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        FxSpread(0.0, minimum=value)
    assert [finding.path for finding in refused.value.findings] == ["minimum"]


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        FxSpread(-1.0, commission=2.0, minimum=-3.0)
    assert [finding.path for finding in refused.value.findings] == ["spread", "commission", "minimum"]


def test_the_ends_of_the_ranges_and_whole_numbers_are_inside() -> None:
    assert FxSpread(0, commission=0, minimum=0) == FxSpread(0.0)
    assert FxSpread(1.99, commission=1.0).spread == 1.99
    assert isinstance(FxSpread(1).spread, float)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_model_is_a_value(model: FxSpread) -> None:
    assert isinstance(model, FxModel)
    assert pickle.loads(pickle.dumps(model)) == model
    assert attrs.evolve(model) == model
    assert hash(attrs.evolve(model)) == hash(model)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.spread = 0.5  # type: ignore[misc]


# -- in runs -----------------------------------------------------------------------------------------------


class Converts(Strategy):
    """Asks at each close for so many conversions of random amounts, both ways."""

    def __init__(self, seed: int, count: int) -> None:
        self.random, self.count = np.random.default_rng(seed), count

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        for _ in range(self.count):
            size = float(10.0 ** self.random.uniform(-6.0, 7.0))
            amount = round(size, int(self.random.integers(0, 9))) or 1
            broker.convert("EUR", amount if self.random.random() < 0.5 else -amount)
        for symbol in data:
            broker.order_target_percent(symbol, round(float(self.random.uniform(-0.5, 0.5)), 3))


def bars() -> DataFeed:
    prices = {"open": 100.0, "high": 103.0, "low": 98.0, "close": 101.0, "volume": 1e6}
    rows = [{"symbol": symbol, "session": day, **prices} for symbol in ("SAP", "VOW") for day in DAYS]
    return DataFeed(pl.DataFrame(rows), stamp="session", currency="EUR")


def rates(seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    times = [dt.datetime(2024, 3, 1, tzinfo=dt.UTC) + dt.timedelta(hours=6 * n) for n in range(40)]
    values = 1.1 * np.exp(random.normal(0.0, 0.02, len(times)))
    return pl.DataFrame({"pair": ["USDEUR"] * len(times), "ts_event": times, "rate": 1.0 / values})


def converted(model: FxSpread, native: str, seed: int, count: int) -> Results:
    broker = {
        "buying_power": "unlimited",
        "allows_short": True,
        "conversion": "always",
        # What is answered is posted to the last digit.
        "posting_quantum": "0.000000000000000001",
    }
    config = {"broker": broker, "backtest": {"native": native}}
    params = {"seed": seed, "count": count}
    return run(Converts, bars(), config=config, fx=rates(seed), models={"fx": model}, params=params)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_thousand_conversions_cost_the_same_compiled_in_and_in_python(seed: int, model: FxSpread) -> None:
    compiled, python = (converted(model, native, seed, 250) for native in ("prefer", "never"))
    for name in TABLES:
        assert compiled.table(name).equals(python.table(name)), name
    table = compiled.table("conversions")
    assert table.filter(pl.col("status") == "executed").height >= 1_000
    assert (compiled.execution_paths["fx"], python.execution_paths["fx"]) == ("builtin", "python")
    costs = table["cost"].drop_nulls()
    assert (costs.n_unique() > 1) == (model not in (FxSpread(0.0), FxSpread(0.0, minimum=1.3)))


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_what_a_run_posts_is_what_the_model_answers(seed: int, model: FxSpread) -> None:
    table = converted(model, "require", seed, 20).table("conversions")
    made = table.filter(pl.col("status") == "executed", pl.col("amount") != 0)
    for row in made.rows(named=True):
        amount, value = float(row["amount"]), float(row["value"])
        answer = ask(model, amount, value / abs(amount))
        expected = abs(answer.rate * abs(amount) - value) + answer.fee
        assert float(row["cost"]) == pytest.approx(expected, rel=1e-6, abs=max(1e-9, value * 1e-12))


class Buys(Strategy):
    """Buys a hundred at the second open and sells them at the third."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if broker.get_position("SAP") is None:
            broker.buy("SAP", 100)
        else:
            broker.sell("SAP", 100)


def test_a_configured_spread_is_charged() -> None:
    table = {"type": "FxSpread", "spread": 0.01, "commission": 0.001, "minimum": 3.0}
    fx = pl.DataFrame(
        {"pair": ["EURUSD"], "ts_event": [dt.datetime(2024, 3, 1, tzinfo=dt.UTC)], "rate": [1.2]}
    )
    results = run(Buys, bars(), config={"broker": {"fx_model": table, "conversion": "always"}}, fx=fx)
    first, second = results.table("conversions").select("amount", "value", "cost").rows()[:2]
    assert first == (Decimal(10_000), Decimal(12_000), Decimal(72))
    assert second == (Decimal(-10_000), Decimal(12_000), Decimal(72))


@pytest.mark.parametrize(
    ("table", "paths"),
    [
        ({"type": "FxSpread"}, ["broker.fx_model.spread"]),
        ({"type": "FxSpread", "spread": 2}, ["broker.fx_model.spread"]),
        ({"type": "FxSpread", "spread": 0, "comission": 0.1}, ["broker.fx_model.comission"]),
        ({"type": "Spread", "spread": 0}, ["broker.fx_model.type"]),
        ({"type": "PerShare", "fee": 0.1}, ["broker.fx_model.type"]),
        ({"spread": 0.1}, ["broker.fx_model.type"]),
    ],
)
def test_a_wrong_table_is_located(table: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        run(Buys, bars(), config={"broker": {"fx_model": table}}, fx=rates(1))
    assert [finding.path for finding in refused.value.findings] == paths
