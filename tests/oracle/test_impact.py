"""What models are shown and told of impact, estimates and months, and slices of fills: on both engines."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, StopLoss, Strategy
from ml4t.core.errors import ModelError
from ml4t.core.models import FeeOut, FillArgs, FillOut, ImpactArgs, ImpactOut, ObservedFill, SlippageOut

from .play import ENGINES, Action, days, feed_of, flat, split


@attrs.frozen
class Answers:
    """Answers by a function, and keeps what it was asked and told."""

    answer: Callable[[Any], Any]
    average_days: int = 0
    asked: list[Any] = attrs.field(factory=list)
    told: list[ObservedFill] = attrs.field(factory=list)

    def evaluate(self, ctx: Any, /) -> Any:  # noqa: ANN401
        self.asked.append(ctx)
        return self.answer(ctx)

    def observe(self, fill: ObservedFill, /) -> None:
        self.told.append(fill)


@attrs.frozen
class Worn(Answers):
    """An impact that grows by a cent with every fill it is told of."""

    answer: Callable[[Any], Any] = attrs.field(init=False, default=None)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        return ImpactOut(len(self.told) / 100)

    def clone(self) -> Worn:
        return attrs.evolve(self, told=list(self.told))


class ImpactOfTheTest(Answers):
    """Has a name that errors can say."""


def play(
    engine: str,
    feeds: DataFeed | list[DataFeed],
    steps: dict[int, Action],
    models: dict[str, Any],
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run steps by the number of the call of `on_data`, with models of the test."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](broker)
            self.calls += 1

    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 1_000_000, **broker}}
    return Engine(feeds, Script, config=config, models=models).run()


def buy(quantity: float, **terms: Any) -> Action:  # noqa: ANN401 - keywords of the broker
    return lambda broker: broker.buy("A", quantity, **terms)


def sell(quantity: float, **terms: Any) -> Action:  # noqa: ANN401 - keywords of the broker
    return lambda broker: broker.sell("A", quantity, **terms)


def prices(results: Results) -> list[tuple[float, ...]]:
    return results.fills.select("quantity", "price", "impact", "permanent_impact").rows()


# -- what is refused -----------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize(
    ("slippage", "impact", "named", "costs"),
    [
        (0.0, 100.0, "ImpactOfTheTest", 100),
        (50.0, 50.0, "ImpactOfTheTest", 100),
        (150.0, 10.0, "Answers", 160),
    ],
)
def test_costs_that_take_a_price_to_zero_name_the_model_that_does(
    engine: str, slippage: float, impact: float, named: str, costs: int
) -> None:
    models = {
        "slippage": Answers(lambda _: SlippageOut(slippage)),
        "impact": ImpactOfTheTest(lambda _: ImpactOut(impact)),
    }
    with pytest.raises(
        ModelError, match=f"model {named}, A, order 1, .* costs of {costs} per unit would take"
    ):
        play(engine, feed_of(flat(100, 100)), {0: sell(1)}, models, allows_short=True)


@ENGINES
def test_a_displacement_may_not_take_a_price_to_zero(engine: str) -> None:
    # 100.00 are left by the first sale, which the second pays alone.
    models = {"impact": ImpactOfTheTest(lambda _: ImpactOut(0.0, 100.0))}
    with pytest.raises(ModelError, match=r"ImpactOfTheTest, A, order 2, .* from 100 to 0"):
        play(engine, feed_of(flat(100, 100, 100)), {0: sell(1), 1: sell(1)}, models, allows_short=True)


@ENGINES
@pytest.mark.parametrize("out", [ImpactOut(math.nan), ImpactOut(0.0, math.inf), ImpactOut(1e30)])
def test_impact_must_be_a_number_that_prices_can_hold(engine: str, out: ImpactOut) -> None:
    models = {"impact": ImpactOfTheTest(lambda _: out)}
    with pytest.raises(ModelError, match=r"ImpactOfTheTest, A, order 1, .* must be finite"):
        play(engine, feed_of(flat(100, 100)), {0: buy(1)}, models)


# -- state ---------------------------------------------------------------------------------------------------


@ENGINES
def test_runs_start_from_a_copy_of_a_model_as_it_is_then(engine: str) -> None:
    model = Worn(told=[None] * 3)
    steps = {0: buy(1), 1: buy(1)}
    for _ in range(2):
        found = prices(play(engine, feed_of(flat(100, 100, 100)), steps, {"impact": model}))
        assert found == [(1, 100.03, 0.03, 0), (1, 100.04, 0.04, 0)]
    assert len(model.told) == 3


@ENGINES
def test_every_model_is_told_of_every_fill_in_its_parts(engine: str) -> None:
    # 2 x 100.00 + 0.02 + 0.01 of spread + 0.04; the fee is 0.5.
    models = {
        "fill": Answers(lambda ctx: FillOut(ctx.price, ctx.leaves_quantity, ctx.liquidity)),
        "slippage": Answers(lambda _: SlippageOut(0.02, 0.01)),
        "impact": Answers(lambda _: ImpactOut(0.04, 0.25)),
        "fee": Answers(lambda _: FeeOut(0.5)),
    }
    play(engine, feed_of(flat(100, 100, 100)), {0: buy(2), 1: sell(1)}, models)
    for model in models.values():
        first, second = model.told
        assert attrs.astuple(first)[1:] == (1, 0, 1, 100.07, 2.0, 1.0, 0.5, 0.02, 0.04, "taker")
        assert attrs.astuple(second)[1:] == (-1, 0, 2, 100.18, 1.0, 1.0, 0.5, 0.02, -0.21, "taker")


@ENGINES
def test_an_impact_model_is_shown_the_order_and_the_displacement(engine: str) -> None:
    # 2 of 5 fill at each open; they move prices by 0.25 each time, and two for one halves what is there.
    models = {
        "fill": Answers(lambda ctx: FillOut(ctx.price, min(ctx.leaves_quantity, 2.0), ctx.liquidity)),
        "impact": Answers(lambda _: ImpactOut(0.0, 0.25)),
    }
    frame = flat(100, 100, 50)
    play(engine, feed_of(frame, actions=split("2")), {0: buy(5)}, models)
    shown = [
        (ctx.quantity, ctx.order_quantity, ctx.order_filled_quantity, ctx.displacement, ctx.reference_price)
        for ctx in models["impact"].asked
    ]
    # The 3 that are left are 6 of the new shares.
    assert shown == [(2, 5, 0, 0, 100), (2, 8, 2, 0.125, 50)]


# -- estimates -----------------------------------------------------------------------------------------------


def estimates(engine: str, feed: DataFeed, calls: int, number: int) -> list[tuple[float, float]]:
    """Return average volume and volatility as a slippage model is shown them at each fill."""
    model = Answers(lambda _: SlippageOut(0.0), average_days=number)
    play(engine, feed, dict.fromkeys(range(calls), buy(1)), {"slippage": model})
    return [(ctx.average_volume, ctx.volatility) for ctx in model.asked]


def of_volumes(*rows: tuple[float, float]) -> pl.DataFrame:
    """Return days that never leave their price, with volumes."""
    return flat(*(price for price, _ in rows)).with_columns(
        volume=pl.Series([volume for _, volume in rows], dtype=pl.Float64)
    )


@ENGINES
def test_estimates_are_of_the_sessions_before_and_of_the_return_into_the_first_of_them(engine: str) -> None:
    # Returns of 0.5, -0.5, 0.5 and 1. Over two sessions: 0.5 and -0.5 have the mean 0 and the variance
    # 0.5 / 1, so do -0.5 and 0.5; 0.5 and 1 deviate by 0.25, so 0.125 / 1. Volumes are 10, 30, 50, 20, 40.
    frame = of_volumes((64, 10), (96, 30), (48, 50), (72, 20), (144, 40), (144, 1))
    found = estimates(engine, feed_of(frame), 5, 2)
    assert [volume for volume, _ in found] == [10, 20, 40, 35, 30]
    assert [volatility for _, volatility in found[2:]] == [math.sqrt(0.5), math.sqrt(0.5), math.sqrt(0.125)]
    assert all(math.isnan(volatility) for _, volatility in found[:2])


@ENGINES
def test_estimates_count_in_the_shares_of_today(engine: str) -> None:
    # Two for one: 10 and 30 shares at 64 and 96 were 20 at 32 and 60 at 48. 48 to 24 is a return of -0.5.
    frame = of_volumes((64, 10), (96, 30), (24, 50), (24, 1))
    actions = split("2").with_columns(ex_date=pl.lit(dt.date(2024, 1, 3)))
    found = estimates(engine, feed_of(frame, actions=actions), 3, 5)
    assert found[1][0] == 40
    assert found[2] == ((20 + 60 + 50) / 3, math.sqrt(0.5))


@ENGINES
def test_a_missing_volume_makes_an_average_missing_and_no_volatility(engine: str) -> None:
    frame = of_volumes((64, math.nan), (96, 30), (48, 50), (48, 1)).with_columns(
        pl.col("volume").fill_nan(None)
    )
    volume, volatility = estimates(engine, feed_of(frame), 3, 3)[2]
    assert math.isnan(volume)
    assert volatility == math.sqrt(0.5)


def quotes(*sides: tuple[float | None, float | None], hours: int = 12, **options: Any) -> DataFeed:  # noqa: ANN401
    """Return quotes from six o'clock of the first day on, so many hours apart."""
    first = dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC)
    rows = [
        {
            "symbol": "A",
            "timestamp": first + dt.timedelta(hours=hours * n),
            "bid_price": bid,
            "ask_price": ask,
        }
        for n, (bid, ask) in enumerate(sides)
    ]
    frame = pl.DataFrame(rows).with_columns(bid_size=9.0, ask_size=9.0)
    return DataFeed(frame, kind="quote", stamp="event", calendar="24/7", **options)


@ENGINES
def test_on_quotes_there_is_a_volatility_of_middles_and_no_volume(engine: str) -> None:
    # Middles of 64, 96 and 48, one a day.
    sides = [(63.0, 65.0), (95.0, 97.0), (47.0, 49.0), (47.0, 49.0)]
    volume, volatility = estimates(engine, quotes(*sides, hours=24), 3, 2)[2]
    assert math.isnan(volume)
    assert volatility == math.sqrt(0.5)


@ENGINES
def test_the_last_price_of_a_session_is_the_last_middle_there_was(engine: str) -> None:
    # Middles of 64, 96 and 48; what came after the first two had one side. Returns of 0.5 and -0.5.
    sides = [(63.0, 65.0), (None, 70.0), (95.0, 97.0), (80.0, None), (30.0, 32.0), (47.0, 49.0)]
    slippage = Answers(lambda _: SlippageOut(0.0), average_days=3)
    play(engine, quotes(*sides, (50.0, 51.0), (50.0, 51.0)), {5: buy(1)}, {"slippage": slippage})
    assert [ctx.volatility for ctx in slippage.asked] == [math.sqrt(0.5)]


@ENGINES
def test_a_print_beside_quotes_has_the_session_of_its_own_time(engine: str) -> None:
    # Two quotes and four prints: the buy rests below the ask, and the last print comes down to it.
    beside = pl.DataFrame(
        {
            "symbol": "A",
            "timestamp": [dt.datetime(2024, 1, 1, 6 + n, tzinfo=dt.UTC) for n in range(4)],
            "price": [10.0, 10.0, 10.0, 9.9],
            "size": 5.0,
        }
    )
    feeds = [
        quotes((10.0, 10.1), (10.0, 10.1), hours=1, name="quotes", matches_orders=True),
        DataFeed(beside, name="prints", kind="trade", stamp="event", calendar="24/7"),
    ]
    impact = Answers(lambda _: ImpactOut(0.0), average_days=3)
    policies = {"print_fills": "touch"}
    results = play(engine, feeds, {0: buy(1, limit_price=9.95)}, {"impact": impact}, policies=policies)
    assert results.fills.select("price", "phase").rows() == [(9.95, "trade")]


# -- months --------------------------------------------------------------------------------------------------


@ENGINES
def test_a_fee_model_is_shown_what_all_instruments_traded_in_the_month_before(engine: str) -> None:
    # 3 A at 100.00 x 2 and 0.5 B at 30.00 on each of three days, the third one in February.
    first = pl.lit(dt.date(2024, 1, 29))
    frames = [flat(100, 100, 100, 100), flat(30, 30, 30, 30, symbol="B")]
    frame = pl.concat(frames).with_columns(
        session=first + pl.duration(days=(pl.col("session") - pl.lit(dt.date(2024, 1, 1))).dt.total_days())
    )
    instruments = [
        Instrument("A", multiplier=2, calendar="24/7"),
        Instrument.fractional("B", calendar="24/7"),
    ]

    def both(broker: Any) -> None:  # noqa: ANN401
        broker.buy("A", 3)
        broker.buy("B", "0.5")

    model = Answers(lambda _: FeeOut(0.0))
    feed = feed_of(frame, instruments=instruments)
    play(engine, feed, dict.fromkeys(range(3), both), {"fee": model})
    shown = [(ctx.month_quantity, ctx.month_notional) for ctx in model.asked]
    assert shown == [(0, 0), (3, 600), (3.5, 615), (6.5, 1215), (0, 0), (3, 600)]


@ENGINES
def test_what_was_traded_in_a_month_is_added_exactly(engine: str) -> None:
    # 3 x 100.1 + 3 x 100.2 are 600.9; the floats 300.3 and 300.6 add up to 600.9000000000001.
    model = Answers(lambda _: FeeOut(0.0))
    steps = dict.fromkeys(range(3), buy(3))
    play(engine, feed_of(flat(100, 100.1, 100.2, 100.3)), steps, {"fee": model})
    assert [ctx.month_notional for ctx in model.asked] == [0, 300.3, 600.9]


# -- slices --------------------------------------------------------------------------------------------------


def cut(*parts: tuple[float, float]) -> Callable[[FillArgs], tuple[FillOut, ...]]:
    """Return a fill model's answer: quantities and how much worse each is than the price at hand."""
    return lambda ctx: tuple(FillOut(ctx.price + ctx.side * worse, quantity) for quantity, worse in parts)


@ENGINES
def test_slices_are_fills_that_know_the_ones_before(engine: str) -> None:
    # 6 at 100.00 and 4 at 100.50. A fill of q pays q / 100 and moves prices by q / 50: 0.06; 0.04 + 0.12.
    # The fee of the second knows the 600.36 of the first, and its 6 in the month.
    models = {
        "fill": Answers(cut((6, 0), (4, 0.5))),
        "slippage": Answers(lambda _: SlippageOut(0.0)),
        "impact": Answers(lambda ctx: ImpactOut(ctx.quantity / 100, ctx.quantity / 50)),
        "fee": Answers(lambda ctx: FeeOut(ctx.order_notional + ctx.month_quantity)),
    }
    results = play(engine, feed_of(flat(100, 100)), {0: buy(10)}, models)
    assert prices(results) == [(6, 100.06, 0.06, 0), (4, 100.66, 0.16, 0.12)]
    assert results.fills["fee"].to_list() == [0, 606.36]
    assert results.orders["status"].to_list() == ["filled"]
    assert [ctx.volume_used for ctx in models["slippage"].asked] == [0, 6]
    assert [ctx.order_filled_quantity for ctx in models["impact"].asked] == [0, 6]


@ENGINES
def test_the_first_slice_that_does_not_fill_in_full_ends_the_execution(engine: str) -> None:
    # Slippage leaves 2 of the second 3, and nothing is asked about the third.
    models = {
        "fill": Answers(lambda ctx: cut((3, 0), (3, 1), (ctx.leaves_quantity - 6, 2))(ctx)),
        "slippage": Answers(
            lambda ctx: SlippageOut(0.0, quantity_cap=2.0 if ctx.reference_price == 101 else 9)
        ),
    }
    results = play(engine, feed_of(flat(100, 100)), {0: buy(10)}, models)
    assert results.fills.select("quantity", "price").rows() == [(3, 100), (2, 101)]


@ENGINES
def test_the_account_is_asked_for_each_slice(engine: str) -> None:
    # 1,000 pay for 5 at 100.00, and 500 are left: 4 of the second 5, at 102.00.
    policies = {"insufficient_cash": "partial"}
    models = {"fill": Answers(cut((5, 0), (5, 2)))}
    results = play(
        engine, feed_of(flat(100, 100)), {0: buy(10)}, models, initial_cash=1000, policies=policies
    )
    assert results.fills.select("quantity", "price").rows() == [(5, 100), (4, 102)]
    assert results.orders.select("status", "reason_code").row(0) == ("canceled", "INSUFFICIENT_CASH")


@ENGINES
@pytest.mark.parametrize("terms", [{"time_in_force": "fok"}, {"all_or_none": True}])
def test_an_order_of_all_or_nothing_has_one_fill_at_the_average_price(
    engine: str, terms: dict[str, Any]
) -> None:
    # (6 x 100.00 + 4 x 100.50) / 10.
    models = {"fill": Answers(cut((6, 0), (4, 0.5)))}
    results = play(engine, feed_of(flat(100, 100)), {0: buy(10, **terms)}, models)
    assert results.fills.select("quantity", "price").rows() == [(10, 100.2)]


@ENGINES
def test_slices_that_are_not_all_of_an_order_of_all_or_nothing_fill_nothing(engine: str) -> None:
    models = {"fill": Answers(cut((6, 0), (3, 0.5)))}
    results = play(engine, feed_of(flat(100, 100)), {0: buy(10, time_in_force="fok")}, models)
    assert results.fills.is_empty()
    assert results.orders["reason_code"].to_list() == ["NOT_FILLED_AT_ONCE"]


@ENGINES
def test_slices_of_more_than_is_open_are_refused(engine: str) -> None:
    models = {"fill": Answers(cut((6, 0), (5, 0)))}
    with pytest.raises(ModelError, match=r"model Answers, A, order 1, .*: quantity 5 of 4 open"):
        play(engine, feed_of(flat(100, 100)), {0: buy(10)}, models)


@ENGINES
def test_an_answer_without_slices_fills_nothing(engine: str) -> None:
    results = play(engine, feed_of(flat(100, 100)), {0: buy(10)}, {"fill": Answers(cut())})
    assert results.fills.is_empty()


@ENGINES
@pytest.mark.parametrize("policy", ["none", "clamp", "refuse", "full"])
def test_a_slice_beyond_the_limit_ends_the_execution(engine: str, policy: str) -> None:
    # 100.10 is beyond 100.05. What is left stays marketable, and nothing comes after it here.
    models = {"fill": Answers(cut((6, 0), (4, 0.1)))}
    terms = {"limit_price": 100.05}
    results = play(
        engine, feed_of(flat(100, 100)), {0: buy(10, **terms)}, models, policies={"limit_slippage": policy}
    )
    assert results.fills.select("quantity", "price", "liquidity").rows() == [(6, 100, "taker")]


@ENGINES
def test_an_order_of_all_or_nothing_does_not_fill_with_a_slice_beyond_its_limit(engine: str) -> None:
    # 6 at 100.00 and 4 at 100.10 are 10 at 100.04, but nobody sells the last 4 below 100.10.
    models = {"fill": Answers(cut((6, 0), (4, 0.1)))}
    results = play(
        engine, feed_of(flat(100, 100)), {0: buy(10, limit_price=100.05, time_in_force="fok")}, models
    )
    assert results.fills.is_empty()


@ENGINES
def test_a_price_worse_than_the_limit_is_refused(engine: str) -> None:
    models = {"fill": Answers(cut((10, 0.1)))}
    with pytest.raises(
        ModelError, match=r"A, order 1, 2024-01-02.*: price 100.1 is worse than the limit 100.05"
    ):
        play(engine, feed_of(flat(100, 100)), {0: buy(10, limit_price=100.05)}, models)


@ENGINES
def test_what_its_own_costs_keep_out_of_a_slice_stays_marketable(engine: str) -> None:
    # The second slice at 100.10 is beyond the limit. 4 are left, and take the next open of 99.00: no maker.
    models = {
        "fill": Answers(
            lambda ctx: cut((6, 0), (4, 0.1))(ctx) if ctx.leaves_quantity > 4 else cut((4, 0))(ctx)
        )
    }
    policies = {"limit_slippage": "refuse"}
    feed = feed_of(flat(100, 100, 99))
    results = play(engine, feed, {0: buy(10, limit_price=100.05)}, models, policies=policies)
    assert results.fills.select("quantity", "price").rows() == [(6, 100), (4, 99)]
    asked = [(ctx.leaves_quantity, ctx.liquidity) for ctx in models["fill"].asked]
    assert asked == [(10, "taker"), (4, "taker")]


@ENGINES
def test_rules_follow_an_execution_once(engine: str) -> None:
    # 5 at 100.00 and 5 at 102.00 are 10 at 101.00; 10 % below is 90.90, which the second day reaches.
    models = {
        "fill": Answers(lambda ctx: cut((5, 0), (5, 2))(ctx) if ctx.side > 0 else FillOut(ctx.price, 10.0))
    }

    def begin(broker: Any) -> None:  # noqa: ANN401
        broker.set_position_rules(StopLoss(pct=0.1))
        broker.buy("A", 10)

    frame = days((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 90, 95))
    results = play(engine, feed_of(frame), {0: begin}, models)
    assert results.fills.select("order_id", "quantity", "price").rows() == [
        (1, 5, 100),
        (1, 5, 102),
        (2, 10, 90.9),
    ]
    assert "MOVED_WITH_POSITION" not in results.order_events["reason_code"].to_list()
