"""Models that a user writes in Python: what they are asked, what they may answer, what errors say."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, Engine, PITData, Strategy, Timestamp
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FeeArgs, FeeOut, FillArgs, FillOut, SlippageArgs, SlippageOut
from ml4t.fees import PerShare
from ml4t.fills import Default
from ml4t.slippage import BasisPoints, VolumeShare

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]
Make = Callable[..., Engine]

nan = math.nan


@attrs.frozen
class HalfNow:
    """Fills half of what is open, rounded up, a cent worse than the market."""

    def evaluate(self, ctx: FillArgs) -> FillOut:
        return FillOut(price=ctx.price + 0.01 * ctx.side, quantity=math.ceil(ctx.leaves_quantity / 2))


@attrs.frozen
class Cents:
    """Slips by a number of cents, with half a spread on top."""

    cents: float
    spread: float = 0.0

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        return SlippageOut(price_adjustment=self.cents / 100, spread=self.spread / 2)


@attrs.frozen
class Tenth:
    """Charges a tenth of the price of one unit."""

    def evaluate(self, ctx: FeeArgs) -> FeeOut:
        return FeeOut(fee=ctx.price / 10)


def answers(answer: object, *, needs_volume: bool = False) -> Any:  # noqa: ANN401 - of many kinds
    """Return a model that answers this, or what this returns, and keeps every question in `pages`."""
    needed = needs_volume

    @attrs.frozen
    class Answers:
        pages: ClassVar[list[Any]] = []
        needs_volume: ClassVar[bool] = needed

        def evaluate(self, ctx: object) -> object:
            self.pages.append(ctx)
            return answer(ctx) if callable(answer) else answer

    return Answers()


def all_of(ctx: FillArgs) -> FillOut:
    return FillOut(price=ctx.price, quantity=ctx.leaves_quantity, liquidity=ctx.liquidity)


def no_slip(ctx: SlippageArgs) -> SlippageOut:
    return SlippageOut(price_adjustment=0.0)


def free(ctx: FeeArgs) -> FeeOut:
    return FeeOut(fee=0.0)


# -- what a model decides --------------------------------------------------------------------------------


def test_a_fill_model_decides_quantity_and_price(play: Play, daily: Build) -> None:
    steps = {0: lambda now: now.broker.buy("A", 10)}
    run = play(steps, daily({"A": [10, 11, 12, 13, 14, 15]}), models={"fill": HalfNow()})
    assert run.fills == [
        ("A", "buy", 5.0, 11.01),
        ("A", "buy", 3.0, 12.01),
        ("A", "buy", 1.0, 13.01),
        ("A", "buy", 1.0, 14.01),
    ]
    assert run.results.fills["reference_price"].to_list() == [11.01, 12.01, 13.01, 14.01]


def test_a_slippage_model_decides_what_is_lost_and_the_table_takes_it_apart(play: Play, daily: Build) -> None:
    steps = {0: lambda now: now.broker.buy("A", 10), 1: lambda now: now.broker.sell("A", 10)}
    run = play(steps, daily({"A": [10, 11, 12]}), models={"slippage": Cents(3, spread=0.02)})
    assert run.fills == [("A", "buy", 10.0, 11.04), ("A", "sell", 10.0, 11.96)]
    costs = run.results.fills.select("reference_price", "spread", "slippage", "impact").rows()
    assert costs == [(11.0, 0.01, 0.03, 0.0), (12.0, 0.01, 0.03, 0.0)]


def test_a_fee_model_decides_what_is_charged(play: Play, daily: Build) -> None:
    steps = {0: lambda now: now.broker.buy("A", 10), 1: lambda now: now.broker.get_cash()}
    run = play(steps, daily({"A": [10, 11, 12]}), models={"fee": Tenth()}, broker={"initial_cash": 1_000})
    assert run.results.fills["fee"].to_list() == [1.1]
    assert run[1] == 1_000 - 110 - 1.1


def test_a_rebate_is_a_negative_fee(play: Play, daily: Build) -> None:
    steps = {0: lambda now: now.broker.buy("A", 10), 1: lambda now: now.broker.get_cash()}
    models = {"fee": answers(FeeOut(fee=-0.25))}
    run = play(steps, daily({"A": [10, 10, 10]}), models=models, broker={"initial_cash": 1_000})
    assert run[1] == 900.25


def test_slippage_below_zero_is_a_price_improvement(play: Play, daily: Build) -> None:
    models = {"slippage": answers(SlippageOut(price_adjustment=-0.5))}
    run = play({0: lambda now: now.broker.buy("A", 1)}, daily({"A": [10, 10, 10]}), models=models)
    assert run.fills == [("A", "buy", 1.0, 9.5)]


@pytest.mark.parametrize(
    "answer", [FillOut(), FillOut(price=nan, quantity=nan), FillOut(price=10.0, quantity=0)]
)
def test_no_price_or_no_quantity_lets_the_data_pass(play: Play, daily: Build, answer: FillOut) -> None:
    run = play(
        {0: lambda now: now.broker.buy("A", 1)}, daily({"A": [10] * 4}), models={"fill": answers(answer)}
    )
    assert run.fills == []
    assert run[0].reason_code == "END_OF_DATA"


def test_a_cap_fills_in_parts_and_asks_again_for_the_part(play: Play, daily: Build) -> None:
    def answer(ctx: SlippageArgs) -> SlippageOut:
        return SlippageOut(price_adjustment=ctx.quantity / 100, quantity_cap=4.7)

    model = answers(answer)
    run = play({0: lambda now: now.broker.buy("A", 10)}, daily({"A": [10] * 5}), models={"slippage": model})
    # Whole lots only, and slippage for what fills.
    assert run.fills == [("A", "buy", 4.0, 10.04), ("A", "buy", 4.0, 10.04), ("A", "buy", 2.0, 10.02)]
    assert [page.quantity for page in model.pages] == [10.0, 4.0, 6.0, 4.0, 2.0]


def test_a_quantity_is_rounded_down_to_whole_lots(play: Play, daily: Build) -> None:
    models = {"fill": answers(lambda ctx: FillOut(price=ctx.price, quantity=0.3 * ctx.leaves_quantity))}
    run = play({0: lambda now: now.broker.buy("A", 10)}, daily({"A": [10] * 3}), models=models)
    assert [quantity for _, _, quantity, _ in run.fills] == [3.0, 2.0]


def test_money_is_rounded_once_to_the_posting_quantum(play: Play, daily: Build) -> None:
    models = {"fee": answers(FeeOut(fee=1 / 3))}
    for quantum, fee in (("0.01", 0.33), ("1e-9", 0.333333333)):
        run = play(
            {0: lambda now: now.broker.buy("A", 1)},
            daily({"A": [10] * 3}),
            models=models,
            broker={"posting_quantum": quantum},
        )
        assert run.results.fills["fee"].to_list() == [fee]


# -- what a model is asked -------------------------------------------------------------------------------


BAR = (10, 12, 9, 11, 500)


def asked(play: Play, feed: DataFeed, kind: str, order: Callable[[Any], object], **parts: object) -> Any:  # noqa: ANN401 - of many kinds
    model = answers({"fill": all_of, "slippage": no_slip, "fee": free}[kind])
    play({0: order}, feed, models={kind: model}, **parts)
    return model.pages


def test_a_fill_at_the_open_shows_the_open_alone(play: Play, daily: Build) -> None:
    (ctx,) = asked(play, daily({"A": [10, BAR, 10]}), "fill", lambda now: now.broker.buy("A", 7))
    assert isinstance(ctx, FillArgs)
    moment = int(dt.datetime(2024, 1, 2, tzinfo=dt.UTC).timestamp()) * 10**9
    assert (ctx.ts_ns, ctx.side, ctx.phase, ctx.order_type) == (moment, 1, "open", "market")
    assert (ctx.price, ctx.open, ctx.leaves_quantity, ctx.liquidity) == (10.0, 10.0, 7.0, "taker")
    assert all(math.isnan(value) for value in (ctx.high, ctx.low, ctx.close, ctx.volume, ctx.bid, ctx.ask))
    assert all(math.isnan(value) for value in (ctx.limit_price, ctx.stop_price, ctx.size))
    assert (ctx.volume_used, ctx.lot_size, ctx.tick_size) == (0.0, 1.0, 0.01)


def test_a_model_that_needs_the_volume_is_shown_the_bar_and_booked_at_its_end(
    play: Play, daily: Build
) -> None:
    model = answers(all_of, needs_volume=True)
    steps = {0: lambda now: now.broker.buy("A", 7), 1: lambda now: now.broker.get_position("A").quantity}
    run = play(steps, daily({"A": [10, BAR, 10]}), models={"fill": model})
    (ctx,) = model.pages
    assert (ctx.phase, ctx.price, ctx.open, ctx.high, ctx.low, ctx.close, ctx.volume) == ("open", 10.0, *BAR)
    fill = run.results.fills.row(0, named=True)
    assert (fill["price"], fill["phase"], fill["ts_event"].day) == (10.0, "open", 3)
    # What the bar's volume decided is known when the bar is, and not before.
    assert run[1] == 7.0


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (
            lambda now: now.broker.buy("A", 7, limit_price=9.5),
            {"phase": "range", "order_type": "limit", "price": 9.5, "limit_price": 9.5, "liquidity": "maker"},
        ),
        (
            lambda now: now.broker.buy("A", 7, stop_price=11.5),
            {
                "phase": "range",
                "order_type": "market",
                "price": 11.5,
                "stop_price": 11.5,
                "liquidity": "taker",
            },
        ),
        (
            lambda now: now.broker.sell("A", 7, limit_price=9.5),
            {"phase": "open", "order_type": "limit", "price": 10.0, "side": -1},
        ),
    ],
)
def test_a_fill_model_is_told_how_the_order_acts(
    play: Play, daily: Build, order: Callable[[Any], object], expected: dict[str, Any]
) -> None:
    feed = daily({"A": [10, BAR, 10]})
    ctx = asked(play, feed, "fill", order, broker={"allows_short": True})[0]
    assert {name: getattr(ctx, name) for name in expected} == expected
    if ctx.phase == "range":
        assert (ctx.open, ctx.high, ctx.low, ctx.close, ctx.volume) == BAR


def test_orders_of_one_bar_see_what_earlier_ones_took(play: Play, daily: Build) -> None:
    def order(now: Now) -> None:
        for quantity in (3, 4, 5):
            now.broker.buy("A", quantity)

    for kind in ("fill", "slippage"):
        pages = asked(play, daily({"A": [10, BAR, 10]}), kind, order)
        assert [page.volume_used for page in pages] == [0.0, 3.0, 7.0]


def test_a_slippage_model_is_told_the_reference_and_the_quantity(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, BAR, 10]})
    (ctx,) = asked(play, feed, "slippage", lambda now: now.broker.buy("A", 7))
    assert isinstance(ctx, SlippageArgs)
    assert (ctx.side, ctx.quantity, ctx.reference_price, ctx.phase, ctx.open) == (1, 7.0, 10.0, "open", 10.0)
    assert (ctx.multiplier, ctx.tick_size, ctx.lot_size, math.isnan(ctx.volume)) == (1.0, 0.01, 1.0, True)


def test_a_fee_model_is_told_what_the_order_has_paid(play: Play, daily: Build) -> None:
    model = answers(lambda ctx: FeeOut(fee=0.5))
    models = {"fill": HalfNow(), "fee": model}
    play({0: lambda now: now.broker.buy("A", 6)}, daily({"A": [10, 11, 12, 13, 14]}), models=models)
    assert all(isinstance(page, FeeArgs) for page in model.pages)
    rows = [
        (p.quantity, p.price, p.notional, p.order_filled_quantity, p.order_notional, p.order_fees)
        for p in model.pages
    ]
    assert rows == [
        (3.0, 11.01, 33.03, 0.0, 0.0, 0.0),
        (2.0, 12.01, 24.02, 3.0, 33.03, 0.5),
        (1.0, 13.01, 13.01, 5.0, 57.05, 1.0),
    ]


@pytest.mark.parametrize(
    ("kind", "frame", "expected"),
    [
        (
            "quote",
            {"bid_price": [9.0] * 3, "ask_price": [11.0] * 3, "bid_size": [5.0] * 3, "ask_size": [6.0] * 3},
            {"phase": "quote", "price": 11.0, "bid": 9.0, "ask": 11.0, "bid_size": 5.0, "ask_size": 6.0},
        ),
        ("trade", {"price": [10.0] * 3, "size": [8.0] * 3}, {"phase": "trade", "price": 10.0, "size": 8.0}),
    ],
)
def test_ticks_show_their_own_fields(
    play: Play, kind: str, frame: dict[str, list[float]], expected: dict[str, Any]
) -> None:
    times = [dt.datetime(2024, 1, 1, 12, second, tzinfo=dt.UTC) for second in range(3)]
    feed = DataFeed(
        pl.DataFrame({"symbol": "A", "timestamp": times, **frame}), kind=kind, stamp="event", calendar="24/7"
    )
    (ctx,) = asked(play, feed, "fill", lambda now: now.broker.buy("A", 4))
    assert {name: getattr(ctx, name) for name in expected} == expected
    assert math.isnan(ctx.open)
    # What the far side or the print offers is the volume of a slippage model.
    (ctx,) = asked(play, feed, "slippage", lambda now: now.broker.buy("A", 4))
    assert ctx.volume == {"quote": 6.0, "trade": 8.0}[kind]


# -- errors ----------------------------------------------------------------------------------------------


def failure(engine: Make, feed: DataFeed, **models: object) -> str:
    class Buys(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if len(broker.open_orders) == 0:
                broker.buy("A", 5)

    made = engine(Buys, feed, models=models)
    with pytest.raises(ModelError) as caught:
        made.run()
    assert made.results is not None
    assert made.results.status == "failed"
    return str(caught.value)


def raises(ctx: object) -> Any:  # noqa: ANN401 - of many kinds
    message = "the moon is full"
    raise ValueError(message)


@pytest.mark.parametrize("kind", ["fill", "slippage", "fee"])
def test_an_error_names_model_instrument_order_and_time_and_keeps_its_text(
    engine: Make, daily: Build, kind: str
) -> None:
    text = failure(engine, daily({"A": [10] * 3}), **{kind: answers(raises)})
    assert text == "model Answers, A, order 1, 2024-01-02T00:00:00Z: ValueError: the moon is full"


def test_the_exception_of_a_model_is_the_cause_of_the_error(engine: Make, daily: Build) -> None:
    class Buys(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            broker.buy("A", 5)

    with pytest.raises(ModelError) as caught:
        engine(Buys, daily({"A": [10] * 3}), models={"fee": answers(raises)}).run()
    # A modeller debugs with the traceback of the model.
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert cause.__traceback__ is not None
    assert str(cause) == "the moon is full"


@pytest.mark.parametrize(
    ("kind", "answer", "text"),
    [
        ("fill", FillOut(price=10.0, quantity=6), "quantity 6 of 5 open"),
        ("fill", FillOut(price=10.0, quantity=-1), "quantity -1 of 5 open"),
        ("fill", FillOut(price=math.inf, quantity=5), "price inf and quantity 5 must be finite"),
        ("fill", FillOut(price=10.0, quantity=nan), "must be finite"),
        ("slippage", SlippageOut(price_adjustment=nan), "adjustment NaN and spread 0 must be finite"),
        ("slippage", SlippageOut(price_adjustment=0.0, spread=math.inf), "must be finite"),
        ("slippage", SlippageOut(price_adjustment=0.0, quantity_cap=nan), "quantity cap NaN is not a number"),
        ("fee", FeeOut(fee=nan), "fee NaN must be finite"),
        ("fee", FeeOut(fee=-math.inf), "fee -inf must be finite"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_with_its_numbers(
    engine: Make, daily: Build, kind: str, answer: object, text: str
) -> None:
    message = failure(engine, daily({"A": [10] * 3}), **{kind: answers(answer)})
    assert message.startswith("model Answers, A, order 1, 2024-01-02T00:00:00Z: ")
    assert text in message


@pytest.mark.parametrize("kind", ["fill", "slippage", "fee"])
@pytest.mark.parametrize("answer", [None, 5.0, (1.0, 2.0), {"fee": 1.0}])
def test_an_answer_of_another_shape_is_refused(engine: Make, daily: Build, kind: str, answer: object) -> None:
    message = failure(engine, daily({"A": [10] * 3}), **{kind: answers(answer)})
    assert "model Answers, A, order 1" in message
    first = answer[0] if isinstance(answer, tuple) and kind == "fill" else answer
    assert f"evaluate answered {first!r}; expected {kind.capitalize()}Out" in message


def test_a_liquidity_that_is_no_word_for_it_is_refused(engine: Make, daily: Build) -> None:
    answer = FillOut(price=10.0, quantity=5, liquidity="makr")
    assert "makr" in failure(engine, daily({"A": [10] * 3}), fill=answers(answer))


def test_a_model_may_not_reach_into_the_run_that_asks_it(engine: Make, daily: Build) -> None:
    brokers: list[Any] = []

    class Buys(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            brokers.append(broker)
            broker.buy("A", 5)

    model = answers(lambda ctx: FeeOut(fee=brokers[0].get_cash()))
    with pytest.raises(
        ModelError, match="the engine is at work: models and other threads may not use the broker"
    ):
        engine(Buys, daily({"A": [10] * 3}), models={"fee": model}).run()


def test_what_was_filled_before_a_model_failed_stays(engine: Make, daily: Build) -> None:
    @attrs.frozen
    class Breaks:
        asked: list[FeeArgs] = attrs.field(factory=list)

        def evaluate(self, ctx: FeeArgs) -> FeeOut:
            self.asked.append(ctx)
            if len(self.asked) == 3:
                raise ValueError
            return FeeOut(fee=0.0)

    class Buys(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            broker.buy("A", 1)

    made = engine(Buys, daily({"A": [10] * 6}), models={"fee": Breaks()})
    with pytest.raises(ModelError, match="order 3, 2024-01-04"):
        made.run()
    assert made.results is not None
    assert made.results.fills.height == 2


def test_a_model_of_another_kind_is_refused(engine: Make, daily: Build) -> None:
    with pytest.raises(ConfigError, match="BasisPoints is a slippage model, and was given as the fee model"):
        engine(Strategy, daily({"A": [10] * 3}), models={"fee": BasisPoints(5)})


def test_a_model_that_can_change_and_cannot_be_copied_is_refused(engine: Make, daily: Build) -> None:
    @attrs.define
    class Counts:
        calls: int = 0

        def evaluate(self, ctx: FeeArgs) -> FeeOut:
            self.calls += 1
            return FeeOut(fee=float(self.calls))

    with pytest.raises(
        ConfigError, match=r"fee model .* can change, so that a run would begin where the last"
    ):
        engine(Strategy, daily({"A": [10] * 3}), models={"fee": Counts()})


# -- what may run, and what is written down --------------------------------------------------------------


@pytest.mark.parametrize(("kind", "model"), [("fill", HalfNow()), ("slippage", Cents(1)), ("fee", Tenth())])
def test_where_native_models_are_required_python_is_refused(
    engine: Make, daily: Build, kind: str, model: object
) -> None:
    with pytest.raises(ConfigError) as refusal:
        engine(Strategy, daily({"A": [10]}), models={kind: model}, backtest={"native": "require"})
    text = (
        f'{kind} model {type(model).__name__} runs in Python, and backtest.native = "require" allows native'
    )
    assert str(refusal.value).startswith(f"backtest.native: {text}")


def test_native_models_pass_where_native_models_are_required(play: Play, daily: Build) -> None:
    models = {"fill": Default(volume_limit=0.1), "slippage": VolumeShare(), "fee": PerShare(0.01)}
    run = play(
        {0: lambda now: now.broker.buy("A", 1)},
        daily({"A": [10] * 3}),
        models=models,
        backtest={"native": "require"},
    )
    assert run.results.fills.height == 1


@pytest.mark.parametrize(
    ("native", "paths"),
    [
        ("prefer", {"fill": "python", "slippage": "builtin", "fee": "builtin"}),
        ("never", {"fill": "python", "slippage": "python", "fee": "python"}),
    ],
)
def test_the_manifest_says_how_every_model_was_executed(
    play: Play, daily: Build, native: str, paths: dict[str, str]
) -> None:
    run = play(
        {},
        daily({"A": [10]}),
        models={"fill": HalfNow(), "slippage": BasisPoints(5)},
        backtest={"native": native},
    )
    manifest = run.results.manifest
    assert {entry["kind"]: entry["path"] for entry in manifest["models"]} == paths
    by_kind = {entry["kind"]: entry for entry in manifest["models"]}
    assert by_kind["fill"]["type"].endswith(":HalfNow")
    assert by_kind["slippage"]["type"].endswith(":BasisPoints")
    assert by_kind["slippage"]["params"] == {"bps": 5, "volume_limit": None}
    assert (by_kind["slippage"]["distribution"], by_kind["fee"]["distribution"]) == (
        "ml4t-slippage",
        "ml4t-fees",
    )
    in_python = [kind for kind, path in paths.items() if path == "python"]
    for kind in in_python:
        assert any(f"{kind} model" in text and "runs in Python" in text for text in run.results.warnings)
    assert sum("runs in Python" in text for text in run.results.warnings) == len(in_python)


@attrs.frozen
class Odd:
    """Has parameters of every kind."""

    value: Any

    def evaluate(self, ctx: FeeArgs) -> FeeOut:
        return FeeOut(fee=0.0)


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        nan,
        Decimal("0.10"),
        dt.date(2024, 1, 1),
        np.arange(3.0),
        len,
        {"a": (1, 2)},
        None,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_parameter_of_any_kind_is_written_into_the_manifest(
    play: Play, daily: Build, value: object
) -> None:
    run = play({0: lambda now: now.broker.buy("A", 1)}, daily({"A": [10] * 3}), models={"fee": Odd(value)})
    (params,) = [entry["params"] for entry in run.results.manifest["models"] if entry["kind"] == "fee"]
    assert list(params) == ["value"]
    assert run.results.fills.height == 1


@pytest.mark.parametrize("model", [5, object(), Cents, lambda ctx: FeeOut(fee=0.0)])
def test_what_is_no_model_is_refused(engine: Make, daily: Build, model: object) -> None:
    with pytest.raises(ConfigError, match="must be an instance of an attrs class with a method evaluate"):
        engine(Strategy, daily({"A": [10]}), models={"fee": model})


def test_a_model_of_an_unknown_kind_is_refused(engine: Make, daily: Build) -> None:
    with pytest.raises(
        ConfigError, match=r"models \['fees'\] are of no known kind; allowed: fill, slippage, impact, fee"
    ):
        engine(Strategy, daily({"A": [10]}), models={"fees": Tenth()})


def test_a_model_keeps_nothing_of_one_run_for_the_next_when_it_is_frozen(engine: Make, daily: Build) -> None:
    class Buys(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            broker.buy("A", 1)

    made = engine(
        Buys, daily({"A": [10, 11, 12]}), models={"slippage": Cents(2), "fill": HalfNow(), "fee": Tenth()}
    )
    assert made.run().fills.equals(made.run().fills)
