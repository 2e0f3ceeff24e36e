"""Suites for models of fills, slippage, impact and fees.

Subclass the one of the kind, give it a `model`, and pytest runs its tests::

    class TestHalfTick(SlippageCompliance):
        model = HalfTick()

`model` may also be a fixture of the class, parametrized or not. Every test is a claim, and its failure says
what to do.
"""

from __future__ import annotations

import functools
import gc
import json
import math
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.hookspecs import Native
from ml4t.core.structuring import json_schema, key_of, readable_fields, structure
from ml4t.core.types import ModelKind
from ml4t.testing.asking import (
    Made,
    Refusal,
    alike,
    fail,
    fresh,
    in_child,
    numbers_of,
    outcome,
    plain,
    play,
    shown,
)
from ml4t.testing.capabilities import MAY_BE_MISSING, Capabilities
from ml4t.testing.draws import Args, Draw, changed
from ml4t.testing.market import run_by_chance

if TYPE_CHECKING:
    from ml4t.core.plugins import PluginManager, Registered

__all__ = ["FeeCompliance", "FillCompliance", "ImpactCompliance", "ModelCompliance", "SlippageCompliance"]

QUESTIONS = 200
THREADS = 8


class ModelCompliance:
    """What holds for a model of any kind; subclass the suite of the kind instead.

    Attributes
    ----------
    model : object
        The model, or a fixture that returns it.
    capabilities : Capabilities
        What it does not do.
    name : str or None
        Its name in configurations; None takes the name of its class.
    plugin : str or None
        The entry point that offers it, where several plugins offer the name.
    seed : int
        Of the random questions.
    """

    kind: ClassVar[ModelKind]
    model: Any = None
    capabilities: ClassVar[Capabilities] = Capabilities()
    name: ClassVar[str | None] = None
    plugin: ClassVar[str | None] = None
    seed: ClassVar[int] = 20_240_301

    # -- what the tests are given ------------------------------------------------------------------

    @pytest.fixture(name="model")
    def _given_model(self) -> Made:
        return self.checked_model()

    @pytest.fixture(name="found")
    def _found(self, model: Made) -> Registered:
        if self.capabilities.not_registered:
            pytest.skip("Capabilities(not_registered=True)")
        return self.lookup(model)

    def checked_model(self) -> Made:
        """Return the model of the suite."""
        if not callable(getattr(self.model, "evaluate", None)):
            fail(
                f"{type(self).__name__}.model is {self.model!r}, which has no method evaluate",
                "give the class a model, `model = Mine()`, or a fixture of that name",
            )
        return self.model

    def lookup(self, model: Made) -> Registered:
        """Return what the plugins of this environment offer under the name of the model."""
        name = self.name or type(model).__name__
        full = f"{self.plugin}:{name}" if self.plugin else name
        try:
            return load().find(self.kind, full)
        except Exception as error:
            fail(
                f"no plugin offers the {self.kind.label} model {full!r}: {error}",
                'install the distribution (pip install -e .), whose entry point in the group "ml4t" names '
                "the module with ml4t_register_models; `ml4t plugins --failed` shows what did not load",
            )

    def draw(self, model: Made) -> Draw:
        """Return what draws the questions; override it for a model that knows a narrower market."""
        return Draw(
            kind=self.kind,
            knows_bar=bool(getattr(model, "needs_volume", False)),
            knows_averages=bool(getattr(model, "average_days", 0)),
            only_bars=self.capabilities.only_bars,
        )

    def questions(self, model: Made, count: int = QUESTIONS) -> list[Args]:
        """Return questions that the model must answer: none lacks what the model declares to need."""
        asked = self.draw(model).questions(self.seed, count)
        return [
            args
            for args in asked
            if not any(math.isnan(getattr(args, name, 0.0)) for name in self.capabilities.needs)
        ]

    def asked(self, args: Args) -> Made:
        """Return a question as it is put: with random draws it is the struct of the native interface."""
        if self.capabilities.n_random == 0:
            return args
        from ml4t.native.translate import context_of

        context = context_of(self.kind, args, who="the suite")
        context.random = type(context.random)(*[(args.ts_ns // 7 * k) % 1009 / 1009 for k in range(1, 5)])
        return context

    def outcomes(self, target: Made, model: Made, args: list[Args]) -> list[Made]:
        """Ask a sequence of questions, telling of fills between them, and return the outcomes."""
        questions = [self.asked(each) for each in args]
        return play(target, self.draw(model), questions, args=args, seed=self.seed)

    def native(self, model: Made) -> Made:
        """Return a state of the model's native code; skip the test where it has none to be asked directly."""
        if self.capabilities.no_native:
            pytest.skip("Capabilities(no_native=True)")
        if not hasattr(model, "__ml4t_model_v1__"):
            if getattr(model, "native_builtin", None):
                pytest.skip("compiled into the engine: compared in a run")
            fail(
                f"{type(model).__name__} has no native code",
                "declare Capabilities(no_native=True), or give it a method __ml4t_model_v1__",
            )
        if missing := getattr(model, "native_missing", None):
            pytest.skip(f"no native code here: {missing}")
        from ml4t.native import NativeState

        return NativeState(model, kind=self.kind)

    def refused(self, model: Made, args: Args) -> bool:
        """Say whether the model refuses a question; fail if it neither answers nor says why."""
        found = outcome(fresh(model), self.asked(args))
        if isinstance(found, Refusal):
            if len(found.text.split()) < 3:
                fail(
                    f"{type(model).__name__} refused with the text {found.text!r}, asked with {shown(args)}",
                    "say in a sentence which number is missing or wrong, what was found and what to do",
                )
            return True
        self.check_finite(model, args, found)
        return False

    def check_finite(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless an answer is made of finite numbers."""
        if not attrs.has(type(answer)) and not isinstance(answer, tuple):
            fail(
                f"{type(model).__name__} answered {shown(answer)}, asked with {shown(args)}",
                f"answer the class of ml4t.core.models for {self.kind.label} models",
            )
        if not all(math.isfinite(number) for number in numbers_of(answer)):
            fail(
                f"{type(model).__name__} answered {shown(answer)}, asked with {shown(args)}",
                "answer finite numbers; where an input is missing raise ModelError and say which, or answer "
                "without it",
            )

    def check_gap(self, gap: str, *, declared: bool, refused: bool, what: str) -> None:
        """Fail unless a model refuses exactly what it declares to refuse."""
        if refused and not declared:
            fail(f"the model refuses {what}", f"answer it, or declare the gap: Capabilities({gap})")
        if declared and not refused:
            fail(f"the model declares that it refuses {what}, and answers", f"take back Capabilities({gap})")

    # -- discovery and parameters ------------------------------------------------------------------

    def test_it_is_found_by_its_name(self, model: Made, found: Registered) -> None:
        cls = found.spec.load()
        if cls is not type(model):
            fail(
                f"{found.qualified} is {cls!r}, not the class of the model that is tested",
                f"let the target of its ModelSpec name {type(model).__module__}:{type(model).__qualname__}, "
                "or set `name` and `plugin` of the suite",
            )

    def test_its_registration_says_how_it_runs(self, model: Made, found: Registered) -> None:
        builtin, capsule = hasattr(model, "native_builtin"), hasattr(model, "__ml4t_model_v1__")
        wanted = Native.BUILTIN if builtin else Native.CAPSULE if capsule else Native.NONE
        if found.spec.native is not wanted:
            fail(
                f"the ModelSpec of {found.qualified} says native={found.spec.native.value!r}, the class is "
                f"{wanted.value!r}",
                f"register it with native=Native.{wanted.name}",
            )

    def test_its_parameters_have_a_schema(self, model: Made) -> None:
        cls = self._class(model)
        try:
            schema = json_schema(cls)
            json.dumps(schema)
        except Exception as error:
            fail(
                f"the parameters of {cls.__name__} have no schema: {error}",
                "import the names of its annotations at run time, not under TYPE_CHECKING",
            )
        untyped = [
            name for name, described in schema["properties"].items() if not described.keys() - {"default"}
        ]
        if untyped:
            fail(
                f"parameters of {cls.__name__} without a type: {', '.join(untyped)}",
                "annotate every field with a plain type such as float, int, bool, str or float | None",
            )

    def test_a_configuration_makes_an_equal_model(self, model: Made) -> None:
        cls = self._class(model)
        values = {key_of(field): getattr(model, field.name) for field in readable_fields(cls)}
        given = {key: value for key, value in values.items() if value is not None}
        try:
            made = structure(given, cls)
        except ConfigError as error:
            fail(
                f"{cls.__name__} refuses its own parameters {given}: {error}",
                "annotate each field with the type that its converter answers",
            )
        if made != model:
            fail(
                f"{made!r} made from a configuration differs from {model!r}",
                "let attrs compare all fields (no eq=False), and convert equal inputs to equal values",
            )

    def test_an_unknown_parameter_is_refused(self, model: Made) -> None:
        cls = self._class(model)
        given = {key_of(field): getattr(model, field.name) for field in readable_fields(cls)}
        self._refuses(cls, {**given, "no_such_parameter": 1.0}, "the unknown parameter no_such_parameter")

    def test_a_parameter_of_the_wrong_kind_is_refused(self, model: Made) -> None:
        cls = self._class(model)
        given = {key_of(field): getattr(model, field.name) for field in readable_fields(cls)}
        for key in given:
            self._refuses(cls, {**given, key: {"a": ["table"]}}, f"a table as {key}")

    def _refuses(self, cls: type[Any], given: dict[str, Any], what: str) -> None:
        try:
            structure(given, cls)
        except ConfigError:
            return
        fail(f"{cls.__name__} accepts {what}", "make it an attrs class with a plain type for every field")

    def test_its_parameters_cannot_be_changed(self, model: Made) -> None:
        cls = self._class(model)
        for field in attrs.fields(cls):
            try:
                setattr(model, field.name, getattr(model, field.name))
            except attrs.exceptions.FrozenInstanceError:
                continue
            fail(
                f"{cls.__name__}.{field.name} can be changed, so a manifest may not say what ran",
                "decorate the class with @attrs.frozen",
            )

    def _class(self, model: Made) -> type[Any]:
        cls: type[Any] = type(model)
        if not attrs.has(cls):
            fail(
                f"{cls.__name__} is no attrs class",
                "decorate it with @attrs.frozen; its fields are its parameters",
            )
        return cls

    # -- determinism and state ---------------------------------------------------------------------

    def test_the_same_questions_get_the_same_answers(self, model: Made) -> None:
        args = self.questions(model)
        first, second = (plain(self.outcomes(fresh(model), model, args)) for _ in range(2))
        if first != second:
            fail(
                f"{type(model).__name__} answers the same questions differently the second time",
                "keep state in what clone() copies anew, draw random numbers from the context only, and use "
                "no clock and no global variable",
            )

    def test_without_declared_state_the_sequence_does_not_matter(self, model: Made) -> None:
        if self.capabilities.stateful:
            pytest.skip("Capabilities(stateful=True)")
        if callable(getattr(model, "observe", None)):
            fail(
                f"{type(model).__name__} listens to fills, so it has state",
                "declare Capabilities(stateful=True), or remove observe",
            )
        asked = [self.asked(args) for args in self.questions(model)]
        forward = [plain(outcome(model, each)) for each in asked]
        backward = [plain(outcome(model, each)) for each in reversed(asked)]
        if forward != backward[::-1]:
            fail(
                f"an answer of {type(model).__name__} depends on what it was asked before",
                "take everything from the question; or declare Capabilities(stateful=True) and write clone()",
            )

    def test_a_copy_begins_anew(self, model: Made) -> None:
        if self.capabilities.stateful and not callable(getattr(model, "clone", None)):
            fail(
                f"{type(model).__name__} has state and no clone()",
                "write clone(self), which returns a copy as it is when a run begins",
            )
        args = self.questions(model)
        used = fresh(model)
        first = plain(self.outcomes(used, model, args))
        if plain(self.outcomes(fresh(used), model, args)) != first:
            fail(
                f"a copy of a used {type(model).__name__} goes on where the original was",
                "let clone() return a copy with its state empty, not one of what it is at the moment",
            )
        if plain(self.outcomes(fresh(model), model, args)) != first:
            fail(
                f"using a copy of {type(model).__name__} changed the original",
                "let clone() copy lists, arrays and dictionaries, which else are shared",
            )

    def test_a_native_state_that_is_reset_begins_anew(self, model: Made) -> None:
        state, args = self.native(model), self.questions(model)
        first = plain(self.outcomes(state, model, args))
        state.reset(0)
        if plain(self.outcomes(state, model, args)) != first:
            fail(
                f"native code of {type(model).__name__} remembers the run before",
                "let reset() of the table put everything back that eval and observe change",
            )

    def test_a_saved_native_state_goes_on_where_it_was(self, model: Made) -> None:
        state, args = self.native(model), self.questions(model)
        first, then = args[: len(args) // 2], args[len(args) // 2 :]
        self.outcomes(state, model, first)
        saved = state.save()
        if saved is None:
            pytest.skip("its table has no functions save and load")
        uninterrupted = plain(self.outcomes(state, model, then))
        other = self.native(model)
        try:
            other.load(saved)
        except ModelError as error:
            fail(
                f"{type(model).__name__} refuses the state that it saved: {error}",
                "let load read what save writes",
            )
        if plain(self.outcomes(other, model, then)) != uninterrupted:
            fail(
                f"a saved state of {type(model).__name__} goes on differently",
                "let save write everything that eval and observe change, and load put it back",
            )

    def test_copies_in_threads_answer_as_one_alone(self, model: Made) -> None:
        args = self.questions(model)
        makers: list[Callable[[], Made]] = [lambda: fresh(model)]
        if hasattr(model, "__ml4t_model_v1__") and not self.capabilities.no_native:
            makers.append(lambda: self.native(model))
        for make in makers:
            alone = plain(self.outcomes(make(), model, args))
            copies = [make() for _ in range(THREADS)]
            with ThreadPoolExecutor(THREADS) as pool:
                found = list(pool.map(lambda each: plain(self.outcomes(each, model, args)), copies))
            if any(each != alone for each in found):
                fail(
                    f"copies of {type(model).__name__} disturb one another in {THREADS} threads",
                    "keep nothing in class or module variables, nor in static variables of a library",
                )

    # -- answers -----------------------------------------------------------------------------------

    def test_answers_are_finite_numbers(self, model: Made) -> None:
        target = fresh(model)
        args = self.questions(model)
        if not args:
            fail("no question is left that the model answers", "take back a part of Capabilities(needs=...)")
        for each in args:
            found = outcome(target, self.asked(each))
            if isinstance(found, Refusal):
                fail(
                    f"{type(model).__name__} refuses an ordinary question: {found.text}\n"
                    f"asked with {shown(each)}",
                    "answer it, or declare what it cannot do: Capabilities(needs={...}), only_bars, "
                    "needs_volume and average_days of the class",
                )
            self.check_finite(model, each, found)
            self.check_answer(model, each, found)

    def check_answer(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless an answer makes sense for the kind."""

    def test_a_missing_number_is_refused_as_declared_or_answered_without(self, model: Made) -> None:
        names = {field.name for field in attrs.fields(type(self.questions(model)[0]))}
        for name in [each for each in MAY_BE_MISSING if each in names]:
            asked = [changed(args, **{name: math.nan}) for args in self.questions(model, 40)]
            refused = any([self.refused(model, args) for args in asked])
            declared = name in self.capabilities.needs
            self.check_gap(
                f'needs={{"{name}"}}', declared=declared, refused=refused, what=f"questions without {name}"
            )
        if unknown := sorted(self.capabilities.needs - names):
            fail(f"a {self.kind.label} model is never told {', '.join(unknown)}", "take it out of needs")

    def test_no_volume_at_all_is_refused_as_declared_or_answered(self, model: Made) -> None:
        args = [
            changed(each, volume=0.0, volume_used=0.0)
            for each in self.questions(model, 40)
            if not math.isnan(getattr(each, "volume", math.nan))
        ]
        if not args:
            pytest.skip(f"a question to this {self.kind.label} model has no volume")
        refused = any([self.refused(model, each) for each in args])
        declared = self.capabilities.refuses_zero_volume
        self.check_gap(
            "refuses_zero_volume=True", declared=declared, refused=refused, what="bars without trades"
        )

    def test_a_quantity_of_zero_is_refused_as_declared_or_answered(self, model: Made) -> None:
        values = {"leaves_quantity": 0.0} if self.kind is ModelKind.FILL else {"quantity": 0.0}
        if self.kind is ModelKind.FEE:
            values["notional"] = 0.0
        args = [changed(each, **values) for each in self.questions(model, 40)]
        refused = any([self.refused(model, each) for each in args])
        declared = self.capabilities.refuses_zero_quantity
        self.check_gap(
            "refuses_zero_quantity=True", declared=declared, refused=refused, what="a quantity of zero"
        )

    def test_a_price_below_zero_is_refused_as_declared_or_answered(self, model: Made) -> None:
        prices = ("price", "reference_price", "open", "high", "low", "close", "bid", "ask")
        args = []
        questions: list[Made] = list(self.questions(model, 40))
        for each in questions:
            known = {name: -value for name in prices if (value := getattr(each, name, None)) is not None}
            if self.kind is ModelKind.FILL:
                # As far from the price, on the same side of it.
                known["limit_price"] = known["price"] + (each.limit_price - each.price)
            if "high" in known:
                known["high"], known["low"] = known["low"], known["high"]
            if "bid" in known:
                known["bid"], known["ask"] = known["ask"], known["bid"]
            args.append(changed(each, **known))
        refusals = []
        for each in args:
            refusals.append(self.refused(model, each))
            if not refusals[-1]:
                self.check_answer(model, each, outcome(fresh(model), self.asked(each)))
        declared = self.capabilities.refuses_negative_price
        self.check_gap(
            "refuses_negative_price=True", declared=declared, refused=any(refusals), what="prices below zero"
        )

    def test_arguments_are_not_kept(self, model: Made) -> None:
        target = fresh(model)
        args = self.questions(model, 2)
        if self.capabilities.n_random:
            pytest.skip("questions with random draws are structs of the engine")
        alive = weakref.ref(args[0])
        outcome(target, args[0])
        del args[0]
        gc.collect()
        if alive() is not None:
            fail(
                f"{type(model).__name__} keeps the question it was asked",
                "keep the numbers you need, not the object: the engine uses one again and again",
            )

    # -- native code -------------------------------------------------------------------------------

    def test_native_code_and_python_give_the_same_answers(self, model: Made) -> None:
        state, args = self.native(model), self.questions(model)
        pairs = zip(
            args, self.outcomes(fresh(model), model, args), self.outcomes(state, model, args), strict=True
        )
        for each, python, native in pairs:
            if not alike(python, native, tolerance=self.capabilities.native_tolerance):
                fail(
                    f"{type(model).__name__} answers {shown(python)} in Python and {shown(native)} as native "
                    f"code, asked with {shown(each)}",
                    "write both with the same operations in the same sequence, compile C with "
                    "-ffp-contract=off, take exp, log and pow from ml4t.native.math; or declare "
                    "Capabilities(native_tolerance=1e-12)",
                )

    def test_native_code_refuses_what_python_refuses_and_says_why(self, model: Made) -> None:
        for name in sorted(self.capabilities.needs):
            for args in self.draw(model).questions(self.seed, 40):
                asked = self.asked(changed(args, **{name: math.nan}))
                python, native = outcome(fresh(model), asked), outcome(self.native(model), asked)
                if isinstance(python, Refusal) != isinstance(native, Refusal):
                    fail(
                        f"without {name} Python answers {shown(python)} and native code {shown(native)}",
                        "let both refuse the same questions",
                    )
                if isinstance(native, Refusal) and _says_nothing(native.text):
                    fail(
                        f"native code of {type(model).__name__} refuses with {native.text!r}",
                        "give the error a sentence: errors={1: ...} of native_model, Err(text) in Rust, "
                        "last_error in C",
                    )

    def test_nonsense_is_answered_or_refused_and_the_process_lives(self, model: Made) -> None:
        args = self.draw(model).nonsense(self.seed, QUESTIONS)
        has_native = hasattr(model, "__ml4t_model_v1__") and not self.capabilities.no_native
        state = self.native(model) if has_native else None

        def ask() -> Iterator[str]:
            for each in args:
                asked = self.asked(each)
                try:
                    fresh(model).evaluate(asked)
                except Exception as error:  # the engine makes a ModelError of it
                    del error
                except BaseException as error:
                    yield f"evaluate raised {error!r}, asked with {shown(each)}"
                try:
                    if state is not None:
                        state.evaluate(asked)
                except ModelError as error:
                    if not str(error):
                        yield f"native code refused without a text, asked with {shown(each)}"
                except BaseException as error:
                    yield f"native code raised {error!r}, asked with {shown(each)}"

        if told := in_child(ask, what="questions that no run would ask"):
            fail(told[0], "raise ModelError; exceptions that are no Exception stop the whole process")

    # -- in a run ----------------------------------------------------------------------------------

    def test_a_run_gives_the_same_tables_native_and_in_python(self, model: Made) -> None:
        if self.capabilities.no_native:
            if hasattr(model, "__ml4t_model_v1__") or hasattr(model, "native_builtin"):
                fail(f"{type(model).__name__} has native code", "take back Capabilities(no_native=True)")
            self._check_run(run_by_chance(self.kind, model, native="never", seed=self.seed))
            return
        if missing := getattr(model, "native_missing", None):
            pytest.skip(f"no native code here: {missing}")
        native = run_by_chance(self.kind, model, native="require", seed=self.seed)
        # A run in Python has no draws for a kernel; it is compared with itself.
        other = "require" if self.capabilities.n_random else "never"
        python = run_by_chance(self.kind, model, native=other, seed=self.seed)
        self._check_run(native)
        if self.capabilities.native_tolerance == 0.0 and native.tables != python.tables:
            different = [name for name, bits in native.tables.items() if bits != python.tables[name]]
            fail(
                f"a run with {type(model).__name__} as native code differs from one in Python, in the tables "
                f"{', '.join(different)}",
                "see test_native_code_and_python_give_the_same_answers; state needs clone and reset",
            )

    def _check_run(self, found: Made) -> None:
        if found.fills == 0:
            fail(
                "nothing filled in a run of 60 sessions with orders in most of them",
                "let the model fill, or have it answer without what a run does not know at first",
            )


def _says_nothing(text: str) -> bool:
    """Say whether the text of a native error is only its number."""
    return "does not name" in text or text.rpartition(": ")[2].startswith("status ")


@functools.cache
def load() -> PluginManager:
    """Load the plugins of the environment, once; one that fails is told where it is missed."""
    import warnings

    from ml4t.core.errors import PluginWarning
    from ml4t.core.plugins import load_plugins

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        return load_plugins(strict=False)


class FillCompliance(ModelCompliance):
    """The suite of fill models."""

    kind = ModelKind.FILL

    def check_answer(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless fills are within the order and its limit."""
        slices = answer if isinstance(answer, tuple) else (answer,)
        asked: Made = args
        if (
            any(each.quantity < 0.0 for each in slices)
            or sum(each.quantity for each in slices) > asked.leaves_quantity
        ):
            fail(
                f"{type(model).__name__} answered {shown(answer)} for an order of {asked.leaves_quantity}",
                "fill from 0 up to leaves_quantity",
            )
        if unknown := [each.liquidity for each in slices if each.liquidity not in ("taker", "maker")]:
            fail(f"{type(model).__name__} answered the liquidity {unknown[0]!r}", "answer taker or maker")
        limit = asked.limit_price
        if any(each.quantity > 0.0 and asked.side * (each.price - limit) > 0.0 for each in slices):
            fail(
                f"{type(model).__name__} answered {shown(answer)} for an order with the limit {limit}",
                "fill no worse than limit_price; NaN means that there is none",
            )


class SlippageCompliance(ModelCompliance):
    """The suite of slippage models."""

    kind = ModelKind.SLIPPAGE

    def check_answer(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless slippage hurts and the cap is a quantity."""
        _check_sign(
            self, model, args, {name: getattr(answer, name) for name in ("price_adjustment", "spread")}
        )
        if not answer.quantity_cap >= 0.0:
            fail(
                f"{type(model).__name__} answered a cap of {answer.quantity_cap}, asked with {shown(args)}",
                "answer how much may fill, 0 or more; infinity where there is no cap",
            )


class ImpactCompliance(ModelCompliance):
    """The suite of impact models."""

    kind = ModelKind.IMPACT

    def check_answer(self, model: Made, args: Args, answer: Made) -> None:
        """Fail unless impact hurts."""
        _check_sign(self, model, args, {name: getattr(answer, name) for name in ("temporary", "permanent")})


class FeeCompliance(ModelCompliance):
    """The suite of fee models. A fee below zero is a rebate and allowed."""

    kind = ModelKind.FEE


def _check_sign(suite: ModelCompliance, model: Made, args: Args, costs: dict[str, float]) -> None:
    if not suite.capabilities.improves_prices and (below := {k: v for k, v in costs.items() if v < 0.0}):
        fail(
            f"{type(model).__name__} answered {below}, asked with {shown(args)}",
            "amounts are per unit and positive when they cost; the engine knows the side. Take the size of "
            "the price, or declare Capabilities(improves_prices=True)",
        )
