"""The trajectory of Almgren and Chriss as an execution algorithm: the paper's example, and any order."""

from __future__ import annotations

import datetime as dt
import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import attrs
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Strategy, datasets, run
from ml4t.backtest.executors import ExecutionAlgorithm, ExecutorArgs
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.structuring import structure
from ml4t.core.types import OrderType, TimeInForce
from ml4t.impact import AlmgrenChriss, AlmgrenChrissTrajectory, optimal_trajectory
from ml4t.native import NativeState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ml4t.backtest import Broker, Context, PITData, Results, Timestamp

# A stock at 50 that moves by 0.95 a day: a million shares in five days.
EXAMPLE = AlmgrenChrissTrajectory(gamma=2.5e-7, eta=2.5e-6, periods=5, risk_aversion=2e-6, volatility=0.019)
EVEN = AlmgrenChrissTrajectory(gamma=0.0, eta=2.5e-6, periods=4)


def question(**values: Any) -> ExecutorArgs:  # noqa: ANN401
    return ExecutorArgs(**{"ts_ns": 0, "side": 1, "quantity": 1e6, "price": 50.0, **values})


def sent(answer: Any) -> float:  # noqa: ANN401
    """Return what an answer sends: one order at the market, or nothing."""
    assert len(answer) <= 1
    for order in answer:
        kind, life = OrderType(order.order_type), TimeInForce(order.time_in_force)
        assert (kind, life, order.client_id) == (OrderType.MARKET, TimeInForce.GTC, 0)
        assert math.isnan(order.limit_price) and math.isnan(order.stop_price)
        assert order.quantity > 0.0
        return float(order.quantity)
    return 0.0


def traded(algorithm: Any, times: Sequence[float], **values: Any) -> list[float]:  # noqa: ANN401
    """Ask at times in sessions; all that is sent has traded before the next question."""
    filled, found = 0.0, []
    for call, elapsed in enumerate(times):
        quantity = sent(
            algorithm.evaluate(question(call=call, elapsed=float(elapsed), filled=filled, **values))
        )
        filled += quantity
        found.append(quantity)
    return found


def forms(algorithm: AlmgrenChrissTrajectory) -> list[Any]:
    """Return a fresh copy in Python, and a native state."""
    return [algorithm.clone(), NativeState(algorithm, kind="executor")]


# -- the example of the paper ------------------------------------------------------------------------------

# Holdings 428,598.846, 182,932.814, 76,295.722 and 27,643.377 of the paper's formulas: what should have
# traded is rounded down, so a part of a share that is left counts as a whole one.
LEFT = [428_599.0, 182_933.0, 76_296.0, 27_644.0, 0.0]


@pytest.mark.parametrize("form", [0, 1], ids=["python", "native"])
def test_the_example_of_the_paper(form: int) -> None:
    found = traded(forms(EXAMPLE)[form], range(5))
    assert [1e6 - done for done in accumulate(found)] == LEFT


@pytest.mark.parametrize("risk_aversion", [1e-9, 1e-7, 1e-6, 5e-6, 1e-4])
def test_holdings_are_those_of_the_optimal_trajectory(risk_aversion: float) -> None:
    costs = AlmgrenChriss(gamma=2.5e-7, eta=2.5e-6)
    plan = optimal_trajectory(1e6, costs=costs, volatility=0.95, periods=5, risk_aversion=risk_aversion)
    found = traded(attrs.evolve(EXAMPLE, risk_aversion=risk_aversion), range(5))
    holdings = [1e6 - done for done in accumulate(found)]
    for ours, theirs in zip(holdings, plan.holdings[1:], strict=True):
        assert 0.0 <= ours - theirs < 1.0 + 1e-6


def test_without_risk_aversion_all_periods_trade_alike() -> None:
    for form in forms(EVEN):
        assert traded(form, range(4), side=-1, quantity=1_000.0) == [250.0] * 4


def test_of_lots_the_rest_trades_last() -> None:
    """1,030 shares in lots of 100 are 10.3 lots: due are 2.575, 5.15, 7.725, and then everything."""
    found = traded(EVEN.clone(), range(3), quantity=1_000.0, lot_size=100.0)
    assert found == [200.0, 300.0, 200.0]
    assert sum(traded(EVEN.clone(), range(4), quantity=1_000.0, lot_size=100.0)) == 1_000.0


def test_the_trajectory_is_fixed_when_the_order_is_given() -> None:
    """A price and a volatility of later days change nothing of it."""
    expected = traded(EXAMPLE.clone(), range(5))
    for form in forms(attrs.evolve(EXAMPLE, volatility=None)):
        filled, found = 0.0, []
        for day in range(5):
            ctx = question(
                elapsed=float(day), filled=filled, price=50.0 + 30 * day, volatility=0.019 * (1 + day)
            )
            found.append(sent(form.evaluate(ctx)))
            filled += found[-1]
        assert found == expected


def test_a_copy_begins_anew() -> None:
    used = EXAMPLE.clone()
    traded(used, range(5))
    assert traded(used.clone(), range(5)) == traded(EXAMPLE.clone(), range(5))
    native = NativeState(EXAMPLE, kind="executor")
    first = traded(native, range(5), price=90.0)
    native.reset()
    assert traded(native, range(5)) == traded(EXAMPLE.clone(), range(5)) != first


# -- what must hold for any --------------------------------------------------------------------------------

ALGORITHMS = st.builds(
    AlmgrenChrissTrajectory,
    gamma=st.floats(0.0, 1e-6),
    eta=st.floats(2e-6, 1e-3),
    periods=st.integers(1, 30),
    period=st.floats(1 / 390, 3.0),
    risk_aversion=st.one_of(st.just(0.0), st.floats(1e-12, 1e-2)),
    volatility=st.floats(0.0, 0.2),
)
STEPS = st.lists(st.floats(0.0, 4.0), min_size=1, max_size=40)


def asked(algorithm: Any, steps: Sequence[float], **values: Any) -> list[float]:  # noqa: ANN401
    return traded(algorithm, [0.0, *accumulate(steps)], **values)


@given(
    algorithm=ALGORITHMS,
    steps=STEPS,
    quantity=st.integers(1, 10**8),
    lot=st.sampled_from([1.0, 100.0, 0.001, 1e-8]),
    price=st.floats(-100.0, 5_000.0),
)
def test_native_code_answers_the_same_bits(
    algorithm: AlmgrenChrissTrajectory, steps: Sequence[float], quantity: int, lot: float, price: float
) -> None:
    values = {"quantity": quantity * lot, "lot_size": lot, "price": price}
    python, native = (asked(form, steps, **values) for form in forms(algorithm))
    assert [each.hex() for each in python] == [each.hex() for each in native]


@given(algorithm=ALGORITHMS, quantity=st.integers(1, 10**8), side=st.sampled_from([1, -1]))
def test_all_that_was_ordered_trades_and_not_more(
    algorithm: AlmgrenChrissTrajectory, quantity: int, side: int
) -> None:
    times = [k * algorithm.period for k in range(algorithm.periods + 2)]
    found = traded(algorithm.clone(), times, quantity=float(quantity), side=side)
    assert sum(found) == quantity
    # The last period begins after periods - 1 of them, and nothing is left for later.
    assert found[algorithm.periods + 1 :] == [0.0] * (len(found) - algorithm.periods - 1)


@given(algorithm=ALGORITHMS, steps=STEPS, quantity=st.integers(1, 10**8))
def test_never_more_than_is_left_is_sent(
    algorithm: AlmgrenChrissTrajectory, steps: Sequence[float], quantity: int
) -> None:
    done = list(accumulate(asked(algorithm.clone(), steps, quantity=float(quantity))))
    assert all(0.0 <= before <= after <= quantity for before, after in pairwise(done))


@given(
    algorithm=ALGORITHMS,
    more=st.floats(1.0, 1e3),
    quantity=st.integers(1_000, 10**7),
)
def test_the_more_averse_the_earlier_it_trades(
    algorithm: AlmgrenChrissTrajectory, more: float, quantity: int
) -> None:
    assume(algorithm.risk_aversion > 0.0)
    averse = attrs.evolve(algorithm, risk_aversion=algorithm.risk_aversion * more)
    times = [k * algorithm.period for k in range(algorithm.periods)]
    calm, hasty = (
        list(accumulate(traded(each.clone(), times, quantity=float(quantity))))
        for each in (algorithm, averse)
    )
    # A part of a share may be rounded the other way.
    assert all(late <= early + 1.0 for late, early in zip(calm, hasty, strict=True))


@given(algorithm=ALGORITHMS, quantity=st.integers(1, 10**7), skipped=st.integers(0, 29))
def test_a_call_that_comes_late_catches_up(
    algorithm: AlmgrenChrissTrajectory, quantity: int, skipped: int
) -> None:
    """Whoever is first asked in a later period sends at once what should have traded by then."""
    assume(skipped < algorithm.periods)
    times = [k * algorithm.period for k in range(skipped + 1)]
    on_time = sum(traded(algorithm.clone(), times, quantity=float(quantity)))
    assert traded(algorithm.clone(), times[-1:], quantity=float(quantity)) == [on_time]


def test_what_is_at_work_counts_as_traded() -> None:
    for form in forms(EVEN):
        assert (
            sent(form.evaluate(question(quantity=1_000.0, elapsed=1.0, filled=100.0, working=150.0))) == 250.0
        )
        assert form.evaluate(question(quantity=1_000.0, elapsed=1.0, filled=250.0, working=250.0)) == ()


# -- what it needs -----------------------------------------------------------------------------------------

ESTIMATED = attrs.evolve(EXAMPLE, volatility=None)
NO_VOLATILITY = (
    "AlmgrenChrissTrajectory needs a volatility of earlier sessions, found nan; let the data begin some "
    "sessions before the first order, or give volatility as a constant"
)


@pytest.mark.parametrize("form", [0, 1], ids=["python", "native"])
@pytest.mark.parametrize(
    ("algorithm", "values", "sentence"),
    [
        (ESTIMATED, {}, NO_VOLATILITY),
        (ESTIMATED, {"volatility": math.inf}, NO_VOLATILITY.replace("nan", "inf")),
        (EXAMPLE, {"price": math.nan}, "AlmgrenChrissTrajectory needs a price, found nan"),
    ],
    ids=["no volatility", "infinite volatility", "no price"],
)
def test_what_is_missing_is_told_in_both_forms_with_one_sentence(
    form: int, algorithm: AlmgrenChrissTrajectory, values: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ModelError) as refused:
        forms(algorithm)[form].evaluate(question(**values))
    # Rust writes NaN with capitals.
    assert sentence.lower() in str(refused.value).lower()


def test_without_risk_aversion_it_needs_neither() -> None:
    for form in forms(attrs.evolve(EVEN, volatility=None)):
        assert sent(form.evaluate(question(price=math.nan, quantity=100.0))) == 25.0


def test_it_is_an_execution_algorithm_with_parameters_that_compare() -> None:
    assert isinstance(EXAMPLE, ExecutionAlgorithm)
    used = EXAMPLE.clone()
    traded(used, range(2))
    assert used == EXAMPLE
    assert hash(used) == hash(EXAMPLE)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        used.periods = 3  # type: ignore[misc]


# -- parameters --------------------------------------------------------------------------------------------

SOUND = {"gamma": 2.5e-7, "eta": 2.5e-6, "periods": 5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", -1e-9),
        ("gamma", math.nan),
        ("gamma", "much"),
        ("eta", 0.0),
        ("eta", 1.25e-7),  # gamma x period / 2
        ("eta", math.inf),
        ("periods", 0),
        ("periods", 2.5),
        ("periods", True),
        ("periods", 1_000_001),
        ("period", 0.0),
        ("period", -1.0),
        ("period", math.nan),
        ("risk_aversion", -1e-6),
        ("risk_aversion", math.inf),
        ("volatility", -0.1),
        ("average_days", 1),
        ("average_days", 2.5),
        ("lambda", 1.0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        structure({**SOUND, name: value}, AlmgrenChrissTrajectory)
    assert [finding.path for finding in refused.value.findings] == [name]


def test_all_wrong_parameters_are_told_at_once() -> None:
    wrong = {
        "gamma": -1.0,
        "eta": -1.0,
        "periods": 0,
        "period": 0.0,
        "risk_aversion": -1.0,
        "average_days": 0,
    }
    with pytest.raises(ConfigError) as refused:
        structure(wrong, AlmgrenChrissTrajectory)
    assert {*wrong} <= {finding.path for finding in refused.value.findings}


def test_a_shorter_period_allows_a_smaller_eta() -> None:
    assert AlmgrenChrissTrajectory(gamma=2.5e-7, eta=1.25e-7, periods=5, period=0.5).period == 0.5


# -- whole runs --------------------------------------------------------------------------------------------


class Once(Strategy):
    """Gives one order when the bars of `after` instants are known."""

    def __init__(self, algorithm: object, quantity: float, after: int = 1) -> None:
        self.algorithm, self.quantity, self.after = algorithm, quantity, after
        self.seen = 0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.seen += 1
        if self.seen == self.after:
            broker.execute(data.symbols[0], self.quantity, self.algorithm)


def flat(days: int, price: float = 50.0) -> DataFeed:
    dates = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(days)]
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    rows = [{"symbol": "A", "session": each, **prices, "volume": 5e6} for each in dates]
    return DataFeed(pl.DataFrame(rows), stamp="session", calendar="24/7")


def result(
    feed: DataFeed, strategy: Callable[[], Strategy], native: str = "prefer", **broker: object
) -> Results:
    config = {
        "backtest": {"native": native},
        "broker": {"initial_cash": 1e9, "allows_short": True, **broker},
    }
    return run(strategy, feed, config=config)


@pytest.mark.parametrize("native", ["require", "never"])
@pytest.mark.parametrize("side", [1, -1])
def test_a_run_holds_what_the_paper_says(native: str, side: int) -> None:
    """The first trade fills at the open after the order, the second a day later, and so on."""
    found = result(flat(8), lambda: Once(EXAMPLE, side * 1e6), native)
    assert [1e6 - done for done in accumulate(found.fills["quantity"].to_list())] == LEFT
    assert found.fills["ts_event"].dt.day().to_list() == [2, 3, 4, 5, 6]
    assert set(found.fills["side"]) == {"buy" if side > 0 else "sell"}


def test_a_half_hour_is_a_thirteenth_of_a_session() -> None:
    """13 periods on bars of a minute of XNYS, one every 30 minutes, over a night."""
    days = [dt.datetime(2024, 3, day, 9, 31) for day in (4, 5)]
    times = [day + dt.timedelta(minutes=n) for day in days for n in range(390)]
    prices = dict.fromkeys(("open", "high", "low", "close"), 50.0)
    frame = pl.DataFrame([{"symbol": "A", "timestamp": at, "volume": 1e4, **prices} for at in times])
    feed = DataFeed(frame, stamp="close", interval="1m", timezone="America/New_York", calendar="XNYS")
    algorithm = attrs.evolve(EVEN, periods=13, period=1 / 13)
    # Given at the close of the minute that ends at 12:31, half way through the session.
    found = result(feed, lambda: Once(algorithm, 1_300, after=181))
    assert found.fills["quantity"].to_list() == [100.0] * 13
    when = found.fills["ts_event"].dt.convert_time_zone("America/New_York").dt.strftime("%d %H:%M").to_list()
    first = ["04 12:31", "04 13:01", "04 13:31", "04 14:01", "04 14:31", "04 15:01", "04 15:31"]
    # 209 minutes of the day are left, so the eighth period begins a minute after the open.
    second = ["05 09:31", "05 10:01", "05 10:31", "05 11:01", "05 11:31", "05 12:01"]
    assert when == first + second


def test_volume_limits_are_caught_up_with() -> None:
    """A cap of 1% of 5 million a day: an order of 100,000 a day for two days needs four."""
    algorithm = attrs.evolve(EVEN, periods=2)
    fill_model = {"type": "Default", "volume_limit": 0.01}
    found = result(flat(8), lambda: Once(algorithm, 200_000), fill_model=fill_model)
    assert found.fills["quantity"].to_list() == [50_000.0] * 4
    # The second order is sent although the first is still at work.
    assert found.orders["quantity"].to_list() == [100_000.0, 100_000.0]


def test_a_run_without_earlier_sessions_is_told_so() -> None:
    for native in ("require", "never"):
        with pytest.raises(ModelError) as refused:
            result(flat(8), lambda: Once(ESTIMATED, 1e6), native)
        assert NO_VOLATILITY.lower() in str(refused.value).lower()


def test_a_run_on_real_prices_is_the_same_in_both_forms() -> None:
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    algorithm = attrs.evolve(ESTIMATED, periods=20, risk_aversion=1e-7)
    impact = {"type": "AlmgrenChriss", "gamma": 2.5e-7, "eta": 2.5e-6}
    native, python = (
        result(feed, lambda: Once(algorithm, 100_000, after=60), policy, impact_model=impact)
        for policy in ("require", "never")
    )
    assert (native.execution_paths["executor"], python.execution_paths["executor"]) == ("capsule", "python")
    assert native.orders.equals(python.orders)
    assert native.orders["quantity"].sum() == 100_000.0
    assert native.orders["quantity"].is_sorted(descending=True)
    assert native.orders["quantity"].n_unique() > 10
