"""Every claim about latency models fails for one that is broken in just this way."""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from ml4t.core import ModelSpec, Native
from ml4t.core.models import LatencyArgs, LatencyOut
from ml4t.core.plugins import Registered
from ml4t.native import OK, Message, native_model
from ml4t.testing import Capabilities, LatencyCompliance
from ml4t.testing.latencies import NEARLY_ONE, LatencyDraw

Made = Any
ALONE = Capabilities(not_registered=True, no_native=True)
NATIVE = Capabilities(not_registered=True)
ANSWERS = "test_answers_are_finite_numbers"
CHANCE = random.Random(7)


@attrs.frozen
class Wire:
    """A sound model, to break in one way at a time: slower by chance, cancels in half the time."""

    base_ms: float = 2.0

    def evaluate(self, ctx: LatencyArgs, /) -> LatencyOut:
        part = 0.5 if ctx.message == "cancel" else 1.0
        return LatencyOut(1e6 * self.base_ms * part * (1.0 + ctx.random[0]))


@native_model(kind="latency", n_random=1)
@attrs.frozen
class Kernel:
    """The same as machine code."""

    base_ms: float = 2.0

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        part = 0.5 if ctx.message == Message.CANCEL else 1.0
        out.delay_ns = 1e6 * params.base_ms * part * (1.0 + ctx.random[0])
        return OK


class TestSound(LatencyCompliance):
    """What the broken ones fail, it passes."""

    model = Wire()
    capabilities = ALONE


class TestSoundKernel(LatencyCompliance):
    model = Kernel()
    capabilities = NATIVE


@attrs.define
class Counting:
    """Slower with every message."""

    step: float = attrs.field(default=1.0, on_setattr=attrs.setters.frozen)
    sent: int = attrs.field(default=0, init=False, eq=False)

    def clone(self) -> Counting:
        return Counting(self.step)

    def evaluate(self, ctx: LatencyArgs, /) -> LatencyOut:
        self.sent += 1
        return LatencyOut(1e6 * self.step * self.sent)


def answers(evaluate: Callable[..., Made], **members: Made) -> Made:
    """Return a model that answers otherwise."""
    made = type("Broken", (Wire,), {"evaluate": evaluate, "__module__": __name__, **members})
    return attrs.frozen(made)()


def refuses(test: str, model: Made, capabilities: Capabilities = ALONE, **arguments: Made) -> str:
    """Run one test of the suite on a model; return how it fails."""
    made = type("TestBroken", (LatencyCompliance,), {"model": model, "capabilities": capabilities})()
    with pytest.raises(pytest.fail.Exception) as refused:
        getattr(made, test)(made.checked_model(), **arguments)
    claim, _, remedy = str(refused.value).partition("\n\nWhat to do: ")
    assert claim and len(remedy) > 10, str(refused.value)
    return str(refused.value)


def passes(test: str, model: Made, capabilities: Capabilities = ALONE) -> None:
    """Run one test of the suite on a model that it has to pass."""
    made = type("TestSoundToo", (LatencyCompliance,), {"model": model, "capabilities": capabilities})()
    getattr(made, test)(made.checked_model())


# -- discovery and parameters ------------------------------------------------------------------------------


def test_a_model_that_no_plugin_offers_is_not_found() -> None:
    made = type("TestBroken", (LatencyCompliance,), {"model": Wire()})()
    with pytest.raises(pytest.fail.Exception, match="no plugin offers the latency model 'Wire'"):
        made.lookup(Wire())


def test_a_registration_that_says_another_form_is_noticed() -> None:
    spec = ModelSpec("latency", "Wire", "desk.wires:Wire", native=Native.CAPSULE)
    found = Registered(kind="latency", plugin="desk", spec=spec)
    text = refuses("test_its_registration_says_how_it_runs", Wire(), found=found)
    assert "register it with native=Native.NONE" in text


# -- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delay", "says"),
    [
        (lambda ctx: math.nan, "a delay of nan ns"),
        (lambda ctx: -1.0, "a delay of -1.0 ns"),
        (lambda ctx: 2.0**63, "a delay of 9.223372036854776e+18 ns"),
        (lambda ctx: None, "a delay of None ns"),
        (lambda ctx: "5", "a delay of '5' ns"),
        # An exponential wait without an end, where the draw is the largest there is.
        (lambda ctx: math.inf if ctx.random[3] == NEARLY_ONE else 1e6, "a delay of inf ns"),
    ],
)
def test_a_delay_that_no_message_can_have_is_noticed(delay: Callable[[Made], Made], says: str) -> None:
    assert says in refuses(ANSWERS, answers(lambda self, ctx: LatencyOut(delay(ctx))))


@pytest.mark.parametrize("answer", [None, 5.0, (1.0,)])
def test_another_class_of_answer_is_noticed(answer: Made) -> None:
    assert "LatencyOut" in refuses(ANSWERS, answers(lambda self, ctx: answer))


def test_an_exception_is_noticed() -> None:
    def divide(self: Made, ctx: LatencyArgs) -> LatencyOut:
        return LatencyOut(1e6 / ctx.random[1])

    assert "evaluate raised ZeroDivisionError" in refuses(ANSWERS, answers(divide))


# -- determinism and state ---------------------------------------------------------------------------------


def test_random_numbers_of_its_own_are_noticed() -> None:
    model = answers(lambda self, ctx: LatencyOut(1e6 * CHANCE.random()))
    test = "test_the_same_questions_get_the_same_answers"
    assert "answers the same questions differently" in refuses(test, model)
    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    assert "two runs with Broken differ, in the tables" in refuses(run, model)


def test_state_that_is_not_declared_is_noticed() -> None:
    test = "test_without_declared_state_the_sequence_does_not_matter"
    assert "depends on what it was asked before" in refuses(test, Counting())


def test_state_that_is_declared_begins_anew() -> None:
    stateful = Capabilities(not_registered=True, no_native=True, stateful=True)
    passes("test_a_copy_begins_anew", Counting(), stateful)
    passes("test_a_run_gives_the_same_tables_native_and_in_python", Counting(), stateful)

    @attrs.define
    class GoesOn(Counting):
        def clone(self) -> Counting:
            return self

    assert refuses("test_a_copy_begins_anew", GoesOn(), stateful)


def test_fills_that_a_model_listens_to_are_noticed() -> None:
    model = answers(Wire.evaluate, observe=lambda self, fill: None)
    test = "test_without_declared_state_the_sequence_does_not_matter"
    assert "listens to fills" in refuses(test, model)


# -- native code -------------------------------------------------------------------------------------------


def test_machine_code_that_answers_otherwise_is_noticed() -> None:
    @native_model(kind="latency", n_random=1)
    @attrs.frozen
    class Otherwise:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.delay_ns = 1e6 * ctx.random[0]
            return OK

    def evaluate(self: Made, ctx: LatencyArgs) -> LatencyOut:
        return LatencyOut(1e6 * ctx.random[0] + 1.0)

    Otherwise.evaluate = evaluate  # type: ignore[attr-defined]
    test = "test_native_code_and_python_give_the_same_answers"
    assert "in Python and" in refuses(test, Otherwise(), NATIVE)
    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    assert "as native code and one in Python with Otherwise differ" in refuses(run, Otherwise(), NATIVE)


def test_native_code_that_is_not_declared_is_noticed() -> None:
    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    assert "take back Capabilities(no_native=True)" in refuses(run, Kernel(), ALONE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied here")
def test_a_process_that_dies_of_nonsense_is_noticed() -> None:
    def ends(self: Made, ctx: LatencyArgs) -> LatencyOut:
        if ctx.side == 0:
            os._exit(3)
        return LatencyOut(0.0)

    test = "test_nonsense_is_answered_or_refused_and_the_process_lives"
    assert "the process died of questions that no run would ask" in refuses(test, answers(ends))


# -- the questions -----------------------------------------------------------------------------------------


def test_questions_are_of_every_message_side_venue_and_instrument_in_sequence() -> None:
    asked = LatencyDraw().questions(7, 200)
    assert {page.message for page in asked} == {"submit", "modify", "cancel"}
    assert {page.side for page in asked} == {1, -1}
    assert len({(page.asset, page.venue) for page in asked}) == 6
    assert all(one.ts_ns < other.ts_ns for one, other in itertools.pairwise(asked))
    assert all(0.0 <= number < 1.0 for page in asked for number in page.random)
    assert {page.random[0] for page in asked} >= {0.0, NEARLY_ONE}
    assert LatencyDraw().questions(7, 200) == asked
    assert LatencyDraw().questions(8, 200) != asked
