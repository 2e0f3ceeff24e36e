"""The suite of latency models.

An author gives it a model::

    class TestCongested(LatencyCompliance):
        model = Congested(base_ms=2.0)
"""

from __future__ import annotations

import datetime as dt
import math
from random import Random
from typing import Any

import attrs
import pytest

from ml4t.backtest import DataFeed, Strategy, run
from ml4t.core.models import LatencyArgs, LatencyOut
from ml4t.core.types import ModelKind
from ml4t.testing.asking import Made, fail, outcome, shown
from ml4t.testing.draws import ASSETS, DAY_NS, FIRST_NS, Args, Draw, changed
from ml4t.testing.market import tables_of
from ml4t.testing.models import QUESTIONS, ModelCompliance

__all__ = ["LatencyCompliance", "LatencyDraw"]

MESSAGES = ("submit", "modify", "cancel")
VENUES = 2
QUOTES = 200
#: The largest number below 1: no draw is larger.
NEARLY_ONE = math.nextafter(1.0, 0.0)


@attrs.frozen(kw_only=True)
class LatencyDraw(Draw):
    """Draws questions to a latency model: messages of any kind at any time of the day."""

    kind: ModelKind = ModelKind.LATENCY

    def questions(self, seed: int, count: int) -> list[Any]:
        """Return questions in the sequence of their instants."""
        random = Random(seed)
        found, ts_ns = [], FIRST_NS
        for _ in range(count):
            ts_ns += random.randrange(DAY_NS // 2)
            found.append(
                LatencyArgs(
                    ts_ns=ts_ns,
                    side=random.choice((1, -1)),
                    message=random.choice(MESSAGES),
                    asset=random.randrange(ASSETS),
                    venue=random.randrange(VENUES),
                    random=tuple(random.choice((random.random(), 0.0, NEARLY_ONE)) for _ in range(4)),
                )
            )
        return found

    def nonsense(self, seed: int, count: int) -> list[Any]:
        """Return questions that no run would ask: instants and indices at the ends, draws that are none."""
        random = Random(seed)
        strange = (math.inf, -math.inf, math.nan, -1.0, 1.0, 1e308)
        return [
            changed(
                args,
                ts_ns=random.choice((args.ts_ns, 0, -(2**63), 2**63 - 1)),
                side=random.choice((1, -1, 0)),
                asset=random.choice((0, 2**32 - 1)),
                venue=random.choice((0, 2**32 - 1)),
                random=tuple(random.choice((draw, random.choice(strange))) for draw in args.random),
            )
            for args in self.questions(seed + 1, count)
        ]


class MessagesByChance(Strategy):
    """Sends orders by a seed, changes some of them and takes some back."""

    def __init__(self, seed: int) -> None:
        """Keep the seed of the decisions."""
        self.random = Random(seed)

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        """Send an order, or a message about those that are at work."""
        symbol, chance = self.random.choice(("ABC", "XYZ")), self.random.random()
        if chance < 0.3:
            broker.buy(symbol, 10)
        elif chance < 0.6:
            broker.buy(symbol, 10, limit_price=9.0)
        elif chance < 0.7:
            broker.sell(symbol, 10, limit_price=11.0)
        for order in broker.open_orders:
            chance = self.random.random()
            if order.limit_price is not None and chance < 0.1:
                broker.modify_order(order, limit_price=round(order.limit_price + 0.01, 2))
            elif chance > 0.9:
                broker.cancel_order(order)


class LatencyCompliance(ModelCompliance):
    """What holds for a latency model: asked message by message, and in backtests on quotes."""

    kind = ModelKind.LATENCY

    # A message has no market and no quantity: there is nothing in it to be missing, zero or below.
    test_a_missing_number_is_refused_as_declared_or_answered_without = None  # type: ignore[assignment]
    test_no_volume_at_all_is_refused_as_declared_or_answered = None  # type: ignore[assignment]
    test_a_quantity_of_zero_is_refused_as_declared_or_answered = None  # type: ignore[assignment]
    test_a_price_below_zero_is_refused_as_declared_or_answered = None  # type: ignore[assignment]
    test_native_code_refuses_what_python_refuses_and_says_why = None  # type: ignore[assignment]

    def draw(self, model: Made) -> LatencyDraw:
        """Return what draws the questions; override it for a model that knows fewer venues."""
        return LatencyDraw()

    def asked(self, args: Args) -> Made:
        """Return a question as it is put; random draws are in it already."""
        return args

    def questions(self, model: Made, count: int = QUESTIONS) -> list[Made]:
        """Return questions that the model must answer."""
        return self.draw(model).questions(self.seed, count)

    def outcomes(self, target: Made, model: Made, args: list[Args]) -> list[Made]:
        """Ask a sequence of questions and return the outcomes; nobody tells a latency model of fills."""
        return [outcome(target, each) for each in args]

    def check_finite(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless the answer is a delay that a message can have."""
        name, asked = type(model).__name__, f"asked with {shown(args)}"
        if not isinstance(answer, LatencyOut):
            fail(
                f"{name} answered {shown(answer)}, {asked}",
                "answer ml4t.core.models.LatencyOut(delay_ns=...)",
            )
        delay: Made = answer.delay_ns
        if not isinstance(delay, int | float) or not 0 <= delay < 2**63:
            fail(
                f"{name} answered a delay of {delay!r} ns, {asked}",
                "answer nanoseconds, 0 or more and within 64 bits; a quantile of a distribution without an "
                "end is infinite at draws near 1, so cut it off",
            )

    # -- in a run ----------------------------------------------------------------------------------

    def test_a_run_gives_the_same_tables_native_and_in_python(self, model: Made) -> None:
        if self.capabilities.no_native:
            if hasattr(model, "__ml4t_model_v1__"):
                fail(f"{type(model).__name__} has native code", "take back Capabilities(no_native=True)")
            first, second = (self._tables(model, "never") for _ in range(2))
            what, remedy = "two runs", "draw random numbers from ctx.random only, and use no clock"
        elif missing := getattr(model, "native_missing", None):
            pytest.skip(f"no native code here: {missing}")
        else:
            first, second = (self._tables(model, native) for native in ("require", "never"))
            what = "a run as native code and one in Python"
            remedy = "see test_native_code_and_python_give_the_same_answers; state needs clone and reset"
        if self.capabilities.native_tolerance == 0.0 and first != second:
            different = ", ".join(name for name, bits in first.items() if bits != second[name])
            fail(f"{what} with {type(model).__name__} differ, in the tables {different}", remedy)

    def _tables(self, model: Made, native: str) -> dict[str, bytes]:
        config = {"backtest": {"native": native, "seed": self.seed}, "broker": {"allows_short": True}}
        strategy = MessagesByChance(self.seed)
        return tables_of(run(lambda: strategy, quotes(), config=config, models={"latency": model}))


def quotes() -> DataFeed:
    """Return a quote a minute of two instruments at two venues."""
    import polars as pl

    from ml4t.backtest import Instrument

    first = dt.datetime(2024, 1, 2, 18, tzinfo=dt.UTC)
    times = [first + dt.timedelta(minutes=n) for n in range(QUOTES)]
    sides = {"bid_price": 10.0, "ask_price": 10.02, "bid_size": 1e6, "ask_size": 1e6}
    frames = [
        pl.DataFrame({"symbol": [symbol] * QUOTES, "timestamp": times}).with_columns(
            **{name: pl.lit(value) for name, value in sides.items()}
        )
        for symbol in ("ABC", "XYZ")
    ]
    instruments = [
        Instrument(symbol, calendar="24/7", venue=venue) for symbol, venue in (("ABC", "V"), ("XYZ", "W"))
    ]
    options: dict[str, Any] = {"kind": "quote", "stamp": "event", "calendar": "24/7"}
    return DataFeed(pl.concat(frames), instruments=instruments, **options)
