"""The suite of execution algorithms.

An author gives it an algorithm::

    class TestParticipation(ExecutorCompliance):
        model = Participation(rate=0.05)
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import attrs
import pytest

from ml4t.backtest import DataFeed, Strategy, run
from ml4t.backtest.executors import CancelChild, ChildOrder, ExecutorArgs, OpenChild, RepriceChild
from ml4t.core.types import ModelKind, OrderType, TimeInForce
from ml4t.testing.asking import Made, Refusal, fail, fresh, outcome, shown
from ml4t.testing.draws import ASSETS, DAY_NS, FIRST_NS, Args, Draw, bars, changed
from ml4t.testing.market import feed_of, tables_of
from ml4t.testing.models import QUESTIONS, ModelCompliance

__all__ = ["ExecutorCompliance", "ExecutorDraw"]

NAN = math.nan
SESSIONS = 150
#: Orders, cancels and other prices that one answer may have.
MOST_ORDERS = 64
#: Part of a lot that is noise of the arithmetic.
NOISE = 1e-9

_LIMITS = frozenset((OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED))
_STOPS = frozenset(
    (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
)


@attrs.frozen(kw_only=True)
class ExecutorDraw(Draw):
    """Draws questions to an execution algorithm: an order that stands somewhere, and the market around it."""

    kind: ModelKind = ModelKind.EXECUTOR

    def questions(self, seed: int, count: int) -> list[Any]:
        """Return questions in the sequence of their instants."""
        random = Random(seed)
        return [self._question(random, FIRST_NS + step * DAY_NS // 4) for step in range(count)]

    def _question(self, random: Random, ts_ns: int) -> ExecutorArgs:
        lot = random.choice((1.0, 1.0, 100.0))
        lots = random.randint(1, 20_000)
        filled = random.choice((0, random.randint(0, lots)))
        price = round(math.exp(random.gauss(3.5, 1.0)), 2) + 0.5
        open_orders = self._open_orders(random, lots - filled, lot, price)
        call = random.choice((0, random.randint(1, 40)))
        averages = {"average_volume": NAN, "volatility": NAN}
        if self.knows_averages:
            averages = {"average_volume": random.uniform(1e4, 1e6), "volatility": random.uniform(0.002, 0.05)}
        return ExecutorArgs(
            ts_ns=ts_ns,
            side=random.choice((1, -1)),
            asset=random.randrange(ASSETS),
            begin_ns=ts_ns - call * DAY_NS // 4,
            call=call,
            elapsed=call / 4,
            quantity=lots * lot,
            filled=filled * lot,
            working=float(sum(order.leaves_quantity for order in open_orders)),
            average_price=price if filled else NAN,
            open_orders=open_orders,
            lot_size=lot,
            tick_size=0.01,
            multiplier=random.choice((1.0, 1.0, 50.0)),
            random=tuple(random.random() for _ in range(4)),
            **self._around(random, price, call),
            **averages,
        )

    def _open_orders(self, random: Random, lots: int, lot: float, price: float) -> tuple[OpenChild, ...]:
        found: list[OpenChild] = []
        for number in range(random.choice((0, 0, 1, 2, 3))):
            size = random.randint(0, lots)
            if size > 0:
                limit = round(price * random.uniform(0.95, 1.05), 2)
                found.append(OpenChild(random.choice((0, number + 1)), "limit", size * lot, limit))
            lots -= size
        return tuple(found)

    def _around(self, random: Random, price: float, call: int) -> dict[str, float]:
        """Return the market as it is known after a bar, a quote or a print."""
        volume = float(random.randint(1, 500_000)) if call else 0.0
        traded = {"volume": volume, "total_volume": volume * max(call, 1)}
        if self.only_bars or random.random() < 0.7:
            return {"price": price, **traded}
        bid, ask = round(price - 0.02, 2), round(price + 0.02, 2)
        sizes = {"bid_size": float(random.randint(1, 5_000)), "ask_size": float(random.randint(1, 5_000))}
        return {"price": price, "bid": bid, "ask": ask, **sizes, "volume": NAN, "total_volume": NAN}


class Gives(Strategy):
    """Gives one order to an algorithm when a number of rows is known."""

    def __init__(self, algorithm: object, quantity: float, after: int) -> None:
        """Keep what is to be given, and when."""
        self.algorithm, self.quantity, self.after = algorithm, quantity, after
        self.worked: Made = None
        self.rows = 0

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        """Give the order, once."""
        self.rows += 1
        if self.rows == self.after:
            self.worked = broker.execute(data.symbols[0], self.quantity, self.algorithm)


class ExecutorCompliance(ModelCompliance):
    """What holds for an execution algorithm: asked question by question, and in backtests.

    Attributes
    ----------
    model : object
        The algorithm, or a fixture that returns it.
    quantity : float
        Of the order in the backtests; it is bought, and sold.
    """

    kind = ModelKind.EXECUTOR
    quantity: ClassVar[float] = 5_000.0

    def draw(self, model: Made) -> ExecutorDraw:
        """Return what draws the questions; override it for an algorithm that knows a narrower market."""
        knows = bool(getattr(model, "average_days", 0))
        return ExecutorDraw(knows_averages=knows, only_bars=self.capabilities.only_bars)

    def asked(self, args: Args) -> Made:
        """Return a question as it is put; random draws are in it already."""
        return args

    def outcomes(self, target: Made, model: Made, args: list[Args]) -> list[Made]:
        """Ask a sequence of questions and return the outcomes, whatever class or text names a type."""
        return [_written_alike(outcome(target, each)) for each in args]

    def feed(self, sessions: int) -> DataFeed:
        """Return the market of the backtests; override it for one that the algorithm needs."""
        frame = bars(self.seed, sessions=sessions, symbols=("ABC",))
        if not self.capabilities.needs & {"bid", "ask"}:
            return feed_of(frame)
        import polars as pl

        noon = frame["session"].cast(pl.Datetime("ns", "UTC")) + dt.timedelta(hours=12)
        sides = {"bid_price": frame["close"] - 0.02, "ask_price": frame["close"] + 0.02}
        sizes = {"bid_size": frame["volume"], "ask_size": frame["volume"]}
        quotes = pl.DataFrame({"symbol": frame["symbol"], "timestamp": noon, **sides, **sizes})
        return DataFeed(quotes, kind="quote", stamp="event", calendar="24/7")

    def worked(self, model: Made, *, side: int = 1, native: str | None = None) -> tuple[Made, Made]:
        """Run one order and return its handle and the results."""
        days = int(getattr(model, "average_days", 0) or 0)
        strategy = Gives(model, side * self.quantity, days + 2)
        policy = native or ("never" if self.capabilities.no_native else "prefer")
        broker = {"initial_cash": 100_000_000, "allows_short": True}
        config = {"backtest": {"native": policy}, "broker": broker}
        results = run(lambda: strategy, self.feed(days + SESSIONS), config=config)
        return strategy.worked, results

    # -- answers -----------------------------------------------------------------------------------

    def check_finite(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless an answer is a sequence of orders, cancels and prices that the engine takes in."""
        if answer is None:
            return
        classes = (ChildOrder, CancelChild, RepriceChild)
        if not isinstance(answer, Sequence) or not all(isinstance(each, classes) for each in answer):
            fail(
                f"{type(model).__name__} answered {shown(answer)}, asked with {shown(args)}",
                "answer a tuple of ChildOrder, CancelChild and RepriceChild of ml4t.backtest.executors, or "
                "None to give up",
            )
        if len(answer) > MOST_ORDERS:
            fail(
                f"{type(model).__name__} asks for {len(answer)} things at once, asked with {shown(args)}",
                f"at most {MOST_ORDERS} have room; send the others when it is asked next",
            )
        for each in answer:
            if isinstance(each, ChildOrder):
                self._check_order(model, args, each)

    def _check_order(self, model: Made, args: Made, order: ChildOrder) -> None:
        name, asked = type(model).__name__, f"asked with {shown(args)}"
        if not 0.0 < order.quantity < math.inf:
            fail(
                f"{name} sends {order.quantity}, {asked}",
                "send quantities above zero: the side is that of the whole order. In a native record the "
                "sign is the side, so multiply by it; where nothing is due answer nothing",
            )
        lots = order.quantity / args.lot_size
        if lots < 1.0 - NOISE or abs(lots - round(lots)) > NOISE * max(lots, 1.0):
            fail(
                f"{name} sends {order.quantity} where the lot is {args.lot_size}, {asked}",
                "round down to whole lots: math.floor(quantity / ctx.lot_size) * ctx.lot_size",
            )
        try:
            kind, life = OrderType(order.order_type), TimeInForce(order.time_in_force)
        except ValueError as error:
            fail(
                f"{name} sends {shown(order)}: {error}",
                "take members of OrderType and TimeInForce, or their text",
            )
        if kind in (OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT) or life is TimeInForce.GTD:
            fail(
                f"{name} sends {shown(order)}, {asked}",
                "an algorithm sends no trailing stops and no orders until a date: reprice or cancel them",
            )
        for field, kinds in (("limit_price", _LIMITS), ("stop_price", _STOPS)):
            if math.isfinite(getattr(order, field)) != (kind in kinds):
                fail(
                    f"{name} sends a {kind.value} order with {field} = {getattr(order, field)}, {asked}",
                    "give the prices of its type and no others; look whether what they are made of is NaN",
                )

    def check_answer(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless an answer asks for no more than is left and names orders that are at work."""
        name, asked = type(model).__name__, f"asked with {shown(args)}"
        given: Made = args
        left, known = given.to_send, {each.client_id: each for each in given.open_orders if each.client_id}
        for each in answer or ():
            if isinstance(each, ChildOrder):
                left -= each.quantity
                if left < -NOISE * given.quantity:
                    fail(
                        f"{name} answered {shown(answer)} where {given.to_send} are left to send, {asked}",
                        "send at most ctx.to_send in all, and what is canceled before it in the same answer",
                    )
                if each.client_id in known:
                    fail(
                        f"{name} gives an order the number {each.client_id} of another one, {asked}",
                        "count on: a number is free again when its order is no longer in ctx.open_orders",
                    )
                if each.client_id:
                    known[each.client_id] = OpenChild(each.client_id, "", each.quantity)
            elif each.client_id not in known:
                fail(
                    f"{name} names order {each.client_id}, which is not at work, {asked}",
                    "look for it in ctx.open_orders: it may have filled, expired or been refused",
                )
            elif isinstance(each, CancelChild):
                left += known[each.client_id].leaves_quantity
                known[each.client_id] = OpenChild(each.client_id, "", 0.0)

    def test_no_volume_at_all_is_refused_as_declared_or_answered(self, model: Made) -> None:
        args = [
            changed(each, volume=0.0) for each in self.questions(model, 40) if not math.isnan(each.volume)
        ]
        refused = any([self.refused(model, each) for each in args])
        declared = self.capabilities.refuses_zero_volume
        self.check_gap(
            "refuses_zero_volume=True", declared=declared, refused=refused, what="bars without trades"
        )

    def test_a_quantity_of_zero_is_refused_as_declared_or_answered(self, model: Made) -> None:
        """Of an algorithm the quantity that may be zero is what is left: all the rest is at work."""
        args, refusals = [], []
        for each in self.questions(model, 40):
            order = OpenChild(0, "limit", each.quantity - each.filled, each.price)
            args.append(changed(each, working=order.leaves_quantity, open_orders=(order,)))
        for asked in args:
            refusals.append(self.refused(model, asked))
            if not refusals[-1]:
                self.check_answer(model, asked, outcome(fresh(model), asked))
        declared = self.capabilities.refuses_zero_quantity
        self.check_gap(
            "refuses_zero_quantity=True",
            declared=declared,
            refused=any(refusals),
            what="orders with nothing left",
        )

    def questions(self, model: Made, count: int = QUESTIONS) -> list[Made]:
        """Return questions that the algorithm must answer: none lacks what it declares to need."""
        found: list[Made] = super().questions(model, count)
        return found

    # -- in a run ----------------------------------------------------------------------------------

    def test_a_run_gives_the_same_tables_native_and_in_python(self, model: Made) -> None:
        if self.capabilities.no_native:
            if hasattr(model, "__ml4t_model_v1__"):
                fail(f"{type(model).__name__} has native code", "take back Capabilities(no_native=True)")
            first, second = (tables_of(self.worked(model)[1]) for _ in range(2))
            what, remedy = "two runs", "draw random numbers from ctx.random only, and use no clock"
        elif missing := getattr(model, "native_missing", None):
            pytest.skip(f"no native code here: {missing}")
        else:
            first, second = (tables_of(self.worked(model, native=each)[1]) for each in ("require", "never"))
            what = "a run as native code and one in Python"
            remedy = "see test_native_code_and_python_give_the_same_answers; state needs clone and reset"
        if self.capabilities.native_tolerance == 0.0 and first != second:
            different = ", ".join(name for name, bits in first.items() if bits != second[name])
            fail(f"{what} with {type(model).__name__} differ, in the tables {different}", remedy)

    @pytest.mark.parametrize("side", [1, -1], ids=["buy", "sell"])
    def test_everything_trades_on_a_plain_market_unless_declared(self, model: Made, side: int) -> None:
        worked, results = self.worked(model, side=side)
        sides = set(results.orders["side"])
        if sides - {"buy" if side > 0 else "sell"}:
            fail(
                f"{type(model).__name__} sends orders of the other side: {sorted(sides)}", "trade on ctx.side"
            )
        declared, rest = self.capabilities.leaves_rest, worked.remaining_quantity
        if declared and rest == 0.0:
            fail(
                f"{type(model).__name__} declares that it leaves a rest, and all has traded",
                "take back Capabilities(leaves_rest=True), or override `feed`",
            )
        if not declared and worked.status != "filled":
            fail(
                f"after {SESSIONS} sessions {worked.filled_quantity} of {self.quantity} have traded with "
                f"{type(model).__name__}: {worked!r}",
                "send what is left when its time is over; give another `quantity`; or declare "
                "Capabilities(leaves_rest=True)",
            )


def _written_alike(answer: Made) -> Made:
    """Return an answer as a tuple whose types and lifetimes are text."""
    if answer is None or isinstance(answer, Refusal) or not isinstance(answer, Sequence):
        return answer
    return tuple(
        attrs.evolve(
            each,
            order_type=str(getattr(each.order_type, "value", each.order_type)),
            time_in_force=str(getattr(each.time_in_force, "value", each.time_in_force)),
        )
        if isinstance(each, ChildOrder)
        else each
        for each in answer
    )
