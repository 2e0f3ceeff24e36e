"""Every claim about execution algorithms fails for one that is broken in just this way."""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from ml4t.backtest.executors import Answer, CancelChild, ChildOrder, ExecutorArgs, OpenChild, RepriceChild
from ml4t.core import ExecutorSpec, Native
from ml4t.core.errors import ModelError
from ml4t.core.plugins import Registered
from ml4t.impact import AlmgrenChrissTrajectory
from ml4t.native import Action, OrderType, native_model
from ml4t.testing import Capabilities, ExecutorCompliance
from ml4t.testing.executors import ExecutorDraw

Made = Any
ALONE = Capabilities(not_registered=True, no_native=True)
NATIVE = Capabilities(not_registered=True)
ANSWERS = "test_answers_are_finite_numbers"
CHANCE = random.Random(7)


@attrs.frozen
class Share:
    """A sound algorithm, to break in one way at a time: a twentieth of what the market trades."""

    rate: float = 0.05

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        if math.isnan(ctx.volume):
            return ()
        lots = math.floor(min(ctx.to_send, self.rate * ctx.volume) / ctx.lot_size)
        return (ChildOrder(quantity=lots * ctx.lot_size),) if lots > 0 else ()


def answers(evaluate: Callable[..., Made], **members: Made) -> Made:
    """Return an algorithm that answers otherwise."""
    made = type("Broken", (Share,), {"evaluate": evaluate, "__module__": __name__, **members})
    return attrs.frozen(made)()


def refuses(test: str, model: Made, capabilities: Capabilities = ALONE, **arguments: Made) -> str:
    """Run one test of the suite on an algorithm; return how it fails."""
    made = type("TestBroken", (ExecutorCompliance,), {"model": model, "capabilities": capabilities})()
    with pytest.raises(pytest.fail.Exception) as refused:
        getattr(made, test)(made.checked_model(), **arguments)
    claim, _, remedy = str(refused.value).partition("\n\nWhat to do: ")
    assert claim and len(remedy) > 10, str(refused.value)
    return str(refused.value)


class TestSound(ExecutorCompliance):
    """What the broken ones fail, it passes."""

    model = Share()
    capabilities = ALONE


@native_model(kind="executor")
@attrs.frozen
class Kernel:
    """The same as machine code."""

    rate: float = 0.05

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, open_orders: Made, orders: Made) -> int:
        if math.isnan(ctx.volume):
            return 0
        left = ctx.quantity - ctx.filled - ctx.working
        lots = math.floor(min(left, params.rate * ctx.volume) / ctx.lot_size)
        if lots < 1:
            return 0
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = ctx.side * (lots * ctx.lot_size)
        return 1


class TestSoundKernel(ExecutorCompliance):
    model = Kernel()
    capabilities = NATIVE


# -- discovery ---------------------------------------------------------------------------------------------


def test_an_algorithm_that_no_plugin_offers_is_not_found() -> None:
    made = type("TestBroken", (ExecutorCompliance,), {"model": Share()})()
    with pytest.raises(pytest.fail.Exception, match="no plugin offers the executor model 'Share'"):
        made.lookup(Share())


def test_a_registration_that_says_another_form_is_noticed() -> None:
    spec = ExecutorSpec("Share", "desk.algorithms:Share", native=Native.CAPSULE)
    found = Registered(kind="executor", plugin="desk", spec=spec)
    text = refuses("test_its_registration_says_how_it_runs", Share(), found=found)
    assert "register it with native=Native.NONE" in text


def test_parameters_without_a_type_are_noticed() -> None:
    loose = attrs.make_class("Loose", {"rate": attrs.field(default=0.05)}, bases=(), frozen=True)
    loose.evaluate = Share.evaluate  # type: ignore[attr-defined]
    assert "without a type: rate" in refuses("test_its_parameters_have_a_schema", loose())


def test_an_algorithm_that_is_not_frozen_is_noticed() -> None:
    @attrs.define
    class Loose:
        rate: float = 0.05
        evaluate = Share.evaluate

    assert "Loose.rate can be changed" in refuses("test_its_parameters_cannot_be_changed", Loose())


# -- determinism -------------------------------------------------------------------------------------------


def test_chance_without_the_draws_of_the_question_is_noticed() -> None:
    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        return (ChildOrder(quantity=ctx.lot_size),) if CHANCE.random() < 0.5 and ctx.to_send else ()

    text = refuses("test_the_same_questions_get_the_same_answers", answers(evaluate))
    assert "answers the same questions differently" in text
    assert "two runs with Broken differ" in refuses(
        "test_a_run_gives_the_same_tables_native_and_in_python", answers(evaluate)
    )


@attrs.frozen(eq=False)
class Remembers:
    """Sends one lot at every second question."""

    count: list[int] = attrs.field(factory=list, init=False, repr=False)

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        self.count.append(1)
        return (ChildOrder(quantity=ctx.lot_size),) if len(self.count) % 2 and ctx.to_send else ()


def test_state_that_is_not_declared_is_noticed() -> None:
    text = refuses("test_without_declared_state_the_sequence_does_not_matter", Remembers())
    assert "depends on what it was asked before" in text


def test_state_without_clone_and_a_clone_that_shares_are_noticed() -> None:
    stateful = attrs.evolve(ALONE, stateful=True)
    assert "no clone()" in refuses("test_a_copy_begins_anew", Remembers(), stateful)

    @attrs.frozen(eq=False)
    class Shares(Remembers):
        def clone(self) -> Shares:
            made = Shares()
            object.__setattr__(made, "count", self.count)
            return made

    # An odd number of questions, or the count would begin alike.
    made = Shares()
    made.count.append(1)

    def questions(self: Made, model: Made, count: int = 200) -> list[Made]:
        return ExecutorCompliance.questions(self, model, 101)

    suite = type("TestBroken", (ExecutorCompliance,), {"questions": questions, "capabilities": stateful})()
    with pytest.raises(pytest.fail.Exception, match="goes on where the original was"):
        suite.test_a_copy_begins_anew(made)


def test_variables_of_the_module_are_noticed_in_threads() -> None:
    calls = itertools.count()

    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        return (ChildOrder(quantity=ctx.lot_size),) if next(calls) % 3 == 0 and ctx.to_send else ()

    text = refuses("test_copies_in_threads_answer_as_one_alone", answers(evaluate))
    assert "disturb one another" in text


# -- answers -----------------------------------------------------------------------------------------------


def sends(*orders: Made, **terms: Made) -> Made:
    """Return an algorithm that answers the same to every question with something left."""

    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Made:
        if ctx.to_send < ctx.lot_size:
            return ()
        return orders or (ChildOrder(quantity=ctx.lot_size, **terms),)

    return answers(evaluate)


def quantity(of: Callable[[ExecutorArgs], float]) -> Made:
    return answers(lambda self, ctx, /: (ChildOrder(quantity=of(ctx)),))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (quantity(lambda ctx: ctx.quantity), "are left to send"),
        (quantity(lambda ctx: ctx.to_send - 0.5), "where the lot is"),
        (quantity(lambda ctx: -ctx.lot_size), "quantities above zero"),
        (quantity(lambda ctx: math.nan), "quantities above zero"),
        (quantity(lambda ctx: math.inf), "quantities above zero"),
        (quantity(lambda ctx: 0.0), "where nothing is due answer nothing"),
        (sends(CancelChild(77)), "names order 77, which is not at work"),
        (sends(RepriceChild(client_id=77, limit_price=1.0)), "names order 77, which is not at work"),
        (sends("buy"), "answer a tuple of ChildOrder"),
        (sends(order_type="limit"), "sends a limit order with limit_price = nan"),
        (sends(order_type="market", limit_price=5.0), "sends a market order with limit_price = 5.0"),
        (sends(order_type="stop"), "sends a stop order with stop_price = nan"),
        (sends(order_type="trailing_stop"), "sends no trailing stops"),
        (sends(order_type="hidden"), "take members of OrderType"),
        (sends(time_in_force="gtd"), "no orders until a date"),
        (answers(lambda self, ctx, /: 5), "answer a tuple of ChildOrder"),
        (answers(lambda self, ctx, /: 1 / 0), "raised ZeroDivisionError"),
        (answers(lambda self, ctx, /: (RepriceChild(client_id=1),) * 65), "asks for 65 things at once"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_the_engine_would_refuse_is_noticed(model: Made, says: str) -> None:
    assert says in refuses(ANSWERS, model)


def test_a_cancel_and_its_replacement_in_one_answer_are_allowed() -> None:
    order = OpenChild(4, "limit", 60.0, 9.0)
    asked = ExecutorArgs(ts_ns=0, side=1, quantity=100.0, working=60.0, open_orders=(order,))
    suite = ExecutorCompliance()
    replaced = (CancelChild(4), ChildOrder(quantity=100.0, client_id=5), CancelChild(5))
    suite.check_answer(Share(), asked, replaced)  # type: ignore[arg-type]
    with pytest.raises(pytest.fail.Exception, match="are left to send"):
        suite.check_answer(Share(), asked, replaced[1:])  # type: ignore[arg-type]
    # To cancel it twice frees nothing more.
    twice = (CancelChild(4), CancelChild(4), ChildOrder(quantity=160.0))
    with pytest.raises(pytest.fail.Exception, match="are left to send"):
        suite.check_answer(Share(), asked, twice)  # type: ignore[arg-type]
    again = (CancelChild(4), ChildOrder(quantity=1.0, client_id=4))
    with pytest.raises(pytest.fail.Exception, match="the number 4 of another one"):
        suite.check_answer(Share(), asked, again)  # type: ignore[arg-type]


def test_what_is_missing_has_to_be_declared_and_to_be_said() -> None:
    def without(text: str) -> Made:
        def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
            if math.isnan(ctx.volume):
                raise ModelError(text)
            return ()

        return answers(evaluate)

    test = "test_a_missing_number_is_refused_as_declared_or_answered_without"
    assert 'declare the gap: Capabilities(needs={"volume"})' in refuses(
        test, without("needs the volume of bars")
    )
    assert "say in a sentence" in refuses(test, without("volume"))
    declared = attrs.evolve(ALONE, needs={"volume"})
    assert "take back" in refuses(test, Share(), declared)
    assert "is never told close, high" in refuses(test, Share(), attrs.evolve(ALONE, needs={"high", "close"}))


def test_a_division_by_the_volume_is_noticed() -> None:
    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        lots = math.floor(min(ctx.to_send, ctx.to_send / ctx.volume) / ctx.lot_size)
        return (ChildOrder(quantity=lots * ctx.lot_size),) if lots else ()

    test = "test_no_volume_at_all_is_refused_as_declared_or_answered"
    assert "raised ZeroDivisionError" in refuses(test, answers(evaluate))
    assert "declares that it refuses bars without trades" in refuses(
        test, Share(), attrs.evolve(ALONE, refuses_zero_volume=True)
    )


def test_sending_more_although_all_is_at_work_is_noticed() -> None:
    test = "test_a_quantity_of_zero_is_refused_as_declared_or_answered"
    assert "are left to send" in refuses(test, quantity(lambda ctx: ctx.lot_size))
    assert "take back" in refuses(test, Share(), attrs.evolve(ALONE, refuses_zero_quantity=True))


def test_the_root_of_a_price_is_noticed() -> None:
    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        math.sqrt(ctx.price)
        return ()

    test = "test_a_price_below_zero_is_refused_as_declared_or_answered"
    assert "raised ValueError" in refuses(test, answers(evaluate))


def test_a_question_that_is_kept_is_noticed() -> None:
    kept: list[ExecutorArgs] = []

    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        kept.append(ctx)
        return ()

    assert "keeps the question" in refuses("test_arguments_are_not_kept", answers(evaluate))


def test_an_exception_that_ends_the_process_is_noticed() -> None:
    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        if ctx.quantity == math.inf:
            os.abort()
        return ()

    test = "test_nonsense_is_answered_or_refused_and_the_process_lives"
    assert "the process died" in refuses(test, answers(evaluate))


# -- native code -------------------------------------------------------------------------------------------


class Other:
    """A kernel whose Python is not the same."""

    @staticmethod
    def of(change: Callable[[Answer], Answer]) -> Made:
        class Differs:
            rate = 0.05
            __ml4t_model_v1__ = Kernel().__ml4t_model_v1__

            def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
                return change(Kernel().evaluate(ctx))

        return attrs.frozen(Differs)()


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer[:0],
        lambda answer: tuple(attrs.evolve(each, quantity=each.quantity + 1.0) for each in answer),
        lambda answer: tuple(attrs.evolve(each, time_in_force="day") for each in answer),
        lambda answer: answer or None,
    ],
    ids=["nothing", "more", "another lifetime", "gives up"],
)
def test_native_code_that_answers_otherwise_is_noticed(change: Callable[[Answer], Answer]) -> None:
    text = refuses("test_native_code_and_python_give_the_same_answers", Other.of(change), NATIVE)
    assert "as native code" in text


def test_a_native_run_that_differs_is_noticed() -> None:
    text = refuses(
        "test_a_run_gives_the_same_tables_native_and_in_python", Other.of(lambda answer: answer[:0]), NATIVE
    )
    assert "a run as native code and one in Python with Differs differ, in the tables" in text
    assert "take back Capabilities(no_native=True)" in refuses(
        "test_a_run_gives_the_same_tables_native_and_in_python", Kernel()
    )


def test_native_code_that_refuses_less_is_noticed() -> None:
    def never(self: Made, ctx: ExecutorArgs, /) -> Answer:
        return ()

    averse = AlmgrenChrissTrajectory(gamma=0.0, eta=1e-6, periods=5, risk_aversion=1e-6)
    model = type("Differs", (AlmgrenChrissTrajectory,), {"evaluate": never})(**attrs.asdict(averse))
    needs = attrs.evolve(NATIVE, needs={"volatility"}, stateful=True)
    text = refuses("test_native_code_refuses_what_python_refuses_and_says_why", model, needs)
    assert "without volatility Python answers () and native code Refusal" in text


# -- in a run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, -1])
def test_an_order_that_never_ends_is_noticed(side: int) -> None:
    test = "test_everything_trades_on_a_plain_market_unless_declared"
    for model in (answers(lambda self, ctx, /: ()), answers(lambda self, ctx, /: None)):
        assert "0.0 of 5000.0 have traded with Broken" in refuses(test, model, side=side)
    declared = attrs.evolve(ALONE, leaves_rest=True)
    assert "declares that it leaves a rest, and all has traded" in refuses(test, Share(), declared, side=side)


def test_a_feed_of_quotes_is_there_for_an_algorithm_that_needs_them() -> None:
    def evaluate(self: Made, ctx: ExecutorArgs, /) -> Answer:
        if math.isnan(ctx.bid) or math.isnan(ctx.ask):
            msg = "Broken works on quotes: it needs bid and ask"
            raise ModelError(msg)
        lots = math.floor(ctx.to_send / ctx.lot_size)
        return (ChildOrder(quantity=lots * ctx.lot_size),) if lots > 0 else ()

    capabilities = attrs.evolve(ALONE, needs={"bid", "ask"})
    made = type(
        "TestQuotes", (ExecutorCompliance,), {"model": answers(evaluate), "capabilities": capabilities}
    )()
    for name in [name for name in dir(made) if name.startswith("test_")]:
        arguments = {"side": -1} if "everything" in name else {}
        if "registration" in name or "found_by" in name:
            continue
        try:
            getattr(made, name)(made.checked_model(), **arguments)
        except pytest.skip.Exception:
            continue


# -- the questions -----------------------------------------------------------------------------------------


def test_questions_are_such_that_a_run_could_ask_them() -> None:
    asked = ExecutorDraw(knows_averages=True).questions(5, 500)
    # Missing numbers are NaN, so the texts are compared.
    assert repr(asked) == repr(ExecutorDraw(knows_averages=True).questions(5, 500))
    for ctx in asked:
        assert 0.0 <= ctx.to_send <= ctx.quantity
        assert ctx.working == sum(each.leaves_quantity for each in ctx.open_orders)
        assert math.isnan(ctx.average_price) == (ctx.filled == 0.0)
        assert math.isnan(ctx.bid) != math.isnan(ctx.volume)
        assert all(0.0 <= draw < 1.0 for draw in ctx.random)
        own = [each.client_id for each in ctx.open_orders if each.client_id]
        assert len(set(own)) == len(own)
    # Every state that the claims are about occurs.
    assert {len(ctx.open_orders) for ctx in asked} == {0, 1, 2, 3}
    assert {ctx.side for ctx in asked} == {1, -1}
    for occurs in (
        any(ctx.to_send == 0.0 for ctx in asked),
        any(ctx.filled == ctx.working == 0.0 for ctx in asked),
        any(ctx.volume == 0.0 for ctx in asked),
        any(not math.isnan(ctx.bid) for ctx in asked),
        any(math.isnan(ctx.volatility) for ctx in ExecutorDraw().questions(5, 5)),
    ):
        assert occurs
    assert all(math.isnan(ctx.bid) for ctx in ExecutorDraw(only_bars=True).questions(5, 200))
