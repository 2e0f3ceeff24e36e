"""Every claim of a suite fails for a model that is broken in just this way, and says what to do."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from ml4t.core import ModelSpec, Native
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import (
    FeeArgs,
    FeeOut,
    FillArgs,
    FillOut,
    ImpactArgs,
    ImpactOut,
    SlippageArgs,
    SlippageOut,
)
from ml4t.core.plugins import Registered
from ml4t.native import OK, native_model
from ml4t.slippage import FixedFraction
from ml4t.testing import Capabilities, FeeCompliance, FillCompliance, ImpactCompliance, SlippageCompliance
from ml4t.testing.models import ModelCompliance

Made = Any
ALONE = Capabilities(not_registered=True, no_native=True)
CHANCE = random.Random(7)


def refuses(suite: type[ModelCompliance], test: str, model: Made, capabilities: Capabilities = ALONE) -> str:
    """Run one test of a suite on a model; return how it fails."""
    made = type("TestBroken", (suite,), {"model": model, "capabilities": capabilities})()
    with pytest.raises(pytest.fail.Exception) as refused:
        getattr(made, test)(made.checked_model())
    text = str(refused.value)
    claim, _, remedy = text.partition("\n\nWhat to do: ")
    assert claim and len(remedy) > 10, text
    return text


@attrs.frozen
class Slips:
    """A sound model, to break in one way at a time."""

    fraction: float = 0.001

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        return SlippageOut(price_adjustment=self.fraction * abs(ctx.reference_price))


def slips(answer: Callable[[SlippageArgs], Made], **members: Made) -> Made:
    """A slippage model that answers by a function."""
    return attrs.frozen(type("Broken", (), {"evaluate": lambda self, ctx: answer(ctx), **members}))()


def test_the_sound_model_passes_what_the_broken_ones_fail() -> None:
    made = type("TestSlips", (SlippageCompliance,), {"model": Slips(), "capabilities": ALONE})()
    for name in [name for name in dir(made) if name.startswith("test_") and "found" not in name]:
        if name != "test_its_registration_says_how_it_runs":
            try:
                getattr(made, name)(Slips())
            except pytest.skip.Exception:
                continue


# -- discovery and parameters ------------------------------------------------------------------------------


def test_a_class_without_evaluate_is_no_model() -> None:
    made = type("TestNothing", (SlippageCompliance,), {"model": 3})()
    with pytest.raises(pytest.fail.Exception, match=r"TestNothing\.model is 3, which has no method evaluate"):
        made.checked_model()


def test_a_model_that_no_plugin_offers_is_not_found() -> None:
    made = type("TestSlips", (SlippageCompliance,), {"model": Slips()})()
    with pytest.raises(pytest.fail.Exception, match="no plugin offers the slippage model 'Slips'"):
        made.lookup(Slips())


def test_a_name_that_stands_for_another_class_is_noticed() -> None:
    made = type("TestSlips", (SlippageCompliance,), {"model": Slips(), "name": "FixedFraction"})()
    with pytest.raises(
        pytest.fail.Exception, match=r"slippage:FixedFraction is .*, not the class of the model"
    ):
        made.test_it_is_found_by_its_name(Slips(), made.lookup(Slips()))


def test_a_registration_that_says_it_is_native_and_is_not_is_noticed() -> None:
    spec = ModelSpec("slippage", "Slips", "nowhere:Slips", native=Native.CAPSULE)  # type: ignore[arg-type]
    found = Registered(kind="slippage", plugin="desk", spec=spec)
    with pytest.raises(pytest.fail.Exception, match="says native='capsule', the class is 'none'"):
        SlippageCompliance().test_its_registration_says_how_it_runs(Slips(), found)


def test_a_parameter_without_a_type_has_no_schema() -> None:
    @attrs.frozen
    class Untyped:
        fraction = attrs.field(default=1.0)

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_its_parameters_have_a_schema", Untyped())
    assert "parameters of Untyped without a type: fraction" in text


def test_a_parameter_whose_type_is_not_there_at_run_time_has_no_schema() -> None:
    @attrs.frozen
    class Hidden:
        fraction: NotImported = 1.0  # type: ignore[name-defined]  # noqa: F821

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_its_parameters_have_a_schema", Hidden())
    assert "NotImported" in text and "TYPE_CHECKING" in text


def test_a_model_that_is_no_attrs_class_is_refused() -> None:
    class Plain:
        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    for test in ("test_its_parameters_have_a_schema", "test_an_unknown_parameter_is_refused"):
        assert "Plain is no attrs class" in refuses(SlippageCompliance, test, Plain())


def test_a_model_that_ignores_unknown_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attrs class does, so what reads the configuration is broken here."""
    monkeypatch.setattr("ml4t.testing.models.structure", lambda given, cls: cls())
    text = refuses(SlippageCompliance, "test_an_unknown_parameter_is_refused", Slips())
    assert "Slips accepts the unknown parameter no_such_parameter" in text


def test_models_that_never_compare_equal_are_refused() -> None:
    @attrs.frozen(eq=False)
    class Unequal:
        fraction: float = 1.0

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_a_configuration_makes_an_equal_model", Unequal())
    assert "made from a configuration differs" in text


def test_a_model_that_refuses_its_own_parameters_is_refused() -> None:
    @attrs.frozen
    class Textual:
        fraction: float = attrs.field(default=1.0, converter=str)

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_a_configuration_makes_an_equal_model", Textual())
    assert "Textual refuses its own parameters" in text


def test_a_parameter_that_takes_anything_is_refused() -> None:
    @attrs.frozen
    class Anything:
        fraction: Any = 1.0

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_a_parameter_of_the_wrong_kind_is_refused", Anything())
    assert "Anything accepts a table as fraction" in text


def test_a_model_whose_parameters_change_is_refused() -> None:
    @attrs.define
    class Soft:
        fraction: float = 1.0

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            return SlippageOut(0.0)

    text = refuses(SlippageCompliance, "test_its_parameters_cannot_be_changed", Soft())
    assert "Soft.fraction can be changed" in text


# -- determinism and state ---------------------------------------------------------------------------------


@attrs.frozen
class Grows:
    """State in a list; `shares` says what a copy does with it."""

    shares: bool = False
    keeps: bool = False
    has_clone: bool = True
    calls: list[float] = attrs.field(factory=list)

    @property
    def clone(self) -> Made:
        if not self.has_clone:
            return None
        calls = self.calls if self.shares else list(self.calls) if self.keeps else []
        return lambda: attrs.evolve(self, calls=calls)

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        self.calls.append(ctx.quantity)
        return SlippageOut(price_adjustment=math.fsum(self.calls) * 1e-6)


STATEFUL = attrs.evolve(ALONE, stateful=True)


def test_random_numbers_of_its_own_are_noticed() -> None:
    model = slips(lambda ctx: SlippageOut(CHANCE.random()))
    text = refuses(SlippageCompliance, "test_the_same_questions_get_the_same_answers", model)
    assert "answers the same questions differently" in text


def test_state_that_is_not_declared_is_noticed() -> None:
    text = refuses(SlippageCompliance, "test_without_declared_state_the_sequence_does_not_matter", Grows())
    assert "depends on what it was asked before" in text


def test_listening_to_fills_without_declaring_state_is_noticed() -> None:
    model = slips(lambda ctx: SlippageOut(0.0), observe=lambda self, fill: None)
    text = refuses(SlippageCompliance, "test_without_declared_state_the_sequence_does_not_matter", model)
    assert "listens to fills" in text


def test_state_without_clone_is_noticed() -> None:
    text = refuses(SlippageCompliance, "test_a_copy_begins_anew", Grows(has_clone=False), STATEFUL)
    assert "has state and no clone()" in text


def test_a_clone_that_goes_on_is_noticed() -> None:
    text = refuses(SlippageCompliance, "test_a_copy_begins_anew", Grows(keeps=True), STATEFUL)
    assert "goes on where the original was" in text


def test_a_clone_that_shares_its_state_is_noticed() -> None:
    text = refuses(SlippageCompliance, "test_a_copy_begins_anew", Grows(shares=True), STATEFUL)
    assert "goes on where the original was" in text


def test_a_clone_that_changes_the_original_is_noticed() -> None:
    @attrs.frozen
    class Leaks(Grows):
        @property
        def clone(self) -> Made:
            def cloned() -> Leaks:
                # The first copy is sound; what is copied later finds what it left.
                return attrs.evolve(self, calls=list(LEAKED) if not self.calls else [])

            return cloned

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            LEAKED.append(ctx.quantity)
            return super().evaluate(ctx)

    LEAKED: list[float] = []
    text = refuses(SlippageCompliance, "test_a_copy_begins_anew", Leaks(), STATEFUL)
    assert "changed the original" in text


def test_variables_that_copies_share_are_noticed_in_threads() -> None:
    @attrs.frozen
    class Shared:
        total: ClassVar[list[float]] = []

        def clone(self) -> Shared:
            return Shared()

        def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
            self.total.append(ctx.quantity)
            return SlippageOut(price_adjustment=math.fsum(self.total) * 1e-6)

    text = refuses(SlippageCompliance, "test_copies_in_threads_answer_as_one_alone", Shared(), STATEFUL)
    assert "disturb one another in 8 threads" in text


# -- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "claim"),
    [
        (lambda ctx: SlippageOut(math.nan), "answered SlippageOut(price_adjustment=nan"),
        (lambda ctx: SlippageOut(math.inf), "answered SlippageOut(price_adjustment=inf"),
        (lambda ctx: 0.1, "answered 0.1"),
        (lambda ctx: SlippageOut(-0.01), "answered {'price_adjustment': -0.01}"),
        (lambda ctx: SlippageOut(0.01, -0.01), "answered {'spread': -0.01}"),
        (lambda ctx: SlippageOut(0.01, 0.0, -5.0), "answered a cap of -5.0"),
        (lambda ctx: SlippageOut(0.01, quantity_cap=math.nan), "quantity_cap=nan"),
        (lambda ctx: 1 / 0, "raised ZeroDivisionError"),
        (lambda ctx: refuse("there is no bid"), "refuses an ordinary question: there is no bid"),
    ],
)
def test_an_answer_that_is_no_cost_is_noticed(answer: Callable[[SlippageArgs], Made], claim: str) -> None:
    assert claim in refuses(SlippageCompliance, "test_answers_are_finite_numbers", slips(answer))


def refuse(text: str) -> None:
    raise ModelError(text)


def test_needs_that_leave_no_question_are_noticed() -> None:
    capabilities = attrs.evolve(ALONE, needs={"volatility"})
    text = refuses(SlippageCompliance, "test_answers_are_finite_numbers", Slips(), capabilities)
    assert "no question is left" in text


def test_a_better_price_is_allowed_where_it_is_declared() -> None:
    model = slips(lambda ctx: SlippageOut(-0.01))
    made = type(
        "T",
        (SlippageCompliance,),
        {"model": model, "capabilities": attrs.evolve(ALONE, improves_prices=True)},
    )()
    made.test_answers_are_finite_numbers(model)


MISSING = "test_a_missing_number_is_refused_as_declared_or_answered_without"


def by_volume(text: str | None) -> Made:
    """A model that divides by the volume, and refuses with a text where it is missing."""

    def answer(ctx: SlippageArgs) -> SlippageOut:
        if text is not None and math.isnan(ctx.volume):
            raise ModelError(text)
        return SlippageOut(1.0 / ctx.volume)

    return slips(answer, needs_volume=True)


def test_a_missing_number_that_becomes_the_answer_is_noticed() -> None:
    assert "price_adjustment=nan" in refuses(SlippageCompliance, MISSING, by_volume(None))


def test_a_refusal_that_is_not_declared_is_noticed() -> None:
    text = refuses(SlippageCompliance, MISSING, by_volume("Broken needs volume, found nan"))
    assert "the model refuses questions without volume" in text
    assert 'Capabilities(needs={"volume"})' in text


def test_a_refusal_without_a_sentence_is_noticed() -> None:
    text = refuses(SlippageCompliance, MISSING, by_volume("volume"), attrs.evolve(ALONE, needs={"volume"}))
    assert "refused with the text 'volume'" in text


def test_a_gap_that_is_declared_and_not_there_is_noticed() -> None:
    made = slips(lambda ctx: SlippageOut(0.01), needs_volume=True)
    text = refuses(SlippageCompliance, MISSING, made, attrs.evolve(ALONE, needs={"volume"}))
    assert "declares that it refuses questions without volume, and answers" in text


def test_a_need_that_the_kind_is_never_told_is_noticed() -> None:
    @attrs.frozen
    class Flat:
        def evaluate(self, ctx: FeeArgs) -> FeeOut:
            return FeeOut(1.0)

    text = refuses(FeeCompliance, MISSING, Flat(), attrs.evolve(ALONE, needs={"volume"}))
    assert "a fee model is never told volume" in text


def test_an_unknown_need_and_an_unlikely_tolerance_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs names volumes; a run may lack volume, average_volume"):
        Capabilities(needs={"volumes"})
    with pytest.raises(ConfigError, match=r"native_tolerance is 1\.5; expected a fraction"):
        Capabilities(native_tolerance=1.5)


VOLUME = "test_no_volume_at_all_is_refused_as_declared_or_answered"
QUANTITY = "test_a_quantity_of_zero_is_refused_as_declared_or_answered"
PRICE = "test_a_price_below_zero_is_refused_as_declared_or_answered"


@pytest.mark.parametrize(
    ("test", "condition", "what", "gap"),
    [
        (VOLUME, "volume", "bars without trades", "refuses_zero_volume"),
        (QUANTITY, "quantity", "a quantity of zero", "refuses_zero_quantity"),
        (PRICE, "reference_price", "prices below zero", "refuses_negative_price"),
    ],
)
def test_a_refused_edge_is_noticed_unless_it_is_declared(
    test: str, condition: str, what: str, gap: str
) -> None:
    def answer(ctx: SlippageArgs) -> SlippageOut:
        if getattr(ctx, condition) <= 0.0:
            raise ModelError("this is no number to work with")  # noqa: EM101
        return SlippageOut(0.01)

    model = slips(answer, needs_volume=True)
    assert f"the model refuses {what}" in refuses(SlippageCompliance, test, model)
    declared = attrs.evolve(ALONE, **{gap: True})
    made = type("T", (SlippageCompliance,), {"model": model, "capabilities": declared})()
    getattr(made, test)(model)
    other = slips(lambda ctx: SlippageOut(0.01), needs_volume=True)
    assert f"declares that it refuses {what}, and answers" in refuses(
        SlippageCompliance, test, other, declared
    )


@pytest.mark.parametrize(
    ("test", "answer", "claim"),
    [
        (VOLUME, lambda ctx: SlippageOut(ctx.quantity / ctx.volume), "ZeroDivisionError"),
        (QUANTITY, lambda ctx: SlippageOut(1 / ctx.quantity), "ZeroDivisionError"),
        (PRICE, lambda ctx: SlippageOut(math.sqrt(ctx.reference_price)), "math domain error"),
        (PRICE, lambda ctx: SlippageOut(0.01 * ctx.reference_price), "answered {'price_adjustment': -"),
    ],
)
def test_an_edge_that_breaks_the_formula_is_noticed(
    test: str, answer: Callable[[SlippageArgs], Made], claim: str
) -> None:
    assert claim in refuses(SlippageCompliance, test, slips(answer, needs_volume=True))


def test_a_question_that_is_kept_is_noticed() -> None:
    kept: list[SlippageArgs] = []
    model = slips(lambda ctx: SlippageOut(len(kept.append(ctx) or kept) * 0.0))
    assert "keeps the question" in refuses(SlippageCompliance, "test_arguments_are_not_kept", model)


@pytest.mark.parametrize(
    ("answer", "claim"),
    [
        (lambda ctx: FillOut(ctx.price, ctx.leaves_quantity + 1.0), "for an order of"),
        (lambda ctx: (FillOut(ctx.price, ctx.leaves_quantity),) * 2, "for an order of"),
        (lambda ctx: FillOut(ctx.price, -1.0), "for an order of"),
        (lambda ctx: FillOut(ctx.price, 1.0, "both"), "answered the liquidity 'both'"),
        (lambda ctx: FillOut(ctx.price + ctx.side, 1.0), "for an order with the limit"),
        (lambda ctx: FillOut(math.nan, 1.0), "FillOut(price=nan, quantity=1.0"),
    ],
)
def test_a_fill_beyond_its_order_is_noticed(answer: Callable[[FillArgs], Made], claim: str) -> None:
    assert claim in refuses(FillCompliance, "test_answers_are_finite_numbers", slips(answer))


def test_impact_that_helps_is_noticed() -> None:
    model = slips(lambda ctx: ImpactOut(0.01, permanent=-0.01))
    text = refuses(ImpactCompliance, "test_answers_are_finite_numbers", model)
    assert "answered {'permanent': -0.01}" in text


def test_a_fee_that_is_no_number_is_noticed_and_a_rebate_is_not() -> None:
    text = refuses(FeeCompliance, "test_answers_are_finite_numbers", slips(lambda ctx: FeeOut(math.nan)))
    assert "answered FeeOut(fee=nan)" in text
    model = slips(lambda ctx: FeeOut(-1.0))
    type("T", (FeeCompliance,), {"model": model, "capabilities": ALONE})().test_answers_are_finite_numbers(
        model
    )


# -- native code -------------------------------------------------------------------------------------------

NATIVE = Capabilities(not_registered=True)


@pytest.fixture(scope="module")
def kernel() -> Made:
    """A class whose kernel is compiled; it refuses without a sentence where there is no tick size."""
    pytest.importorskip("numba")

    @native_model(kind="slippage")
    @attrs.frozen
    class Kernel:
        fraction: float = 0.001

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            if math.isnan(ctx.tick_size):
                return -3
            out.adjustment = params.fraction
            out.spread = 0.0
            out.quantity_cap = math.inf
            return OK

    return Kernel


def in_python(kernel: Made, monkeypatch: pytest.MonkeyPatch, answer: Callable[[SlippageArgs], Made]) -> Made:
    """A model of the class, with another formula in Python."""
    monkeypatch.setattr(kernel, "evaluate", lambda self, ctx: answer(ctx))
    return kernel()


def test_another_formula_in_python_is_noticed(kernel: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    model = in_python(kernel, monkeypatch, lambda ctx: SlippageOut(0.001 + 2e-19))
    text = refuses(SlippageCompliance, "test_native_code_and_python_give_the_same_answers", model, NATIVE)
    assert "answers SlippageOut(price_adjustment=0.0010000000000000002" in text
    close = attrs.evolve(NATIVE, native_tolerance=1e-12)
    made = type("T", (SlippageCompliance,), {"model": model, "capabilities": close})()
    made.test_native_code_and_python_give_the_same_answers(model)
    double = in_python(kernel, monkeypatch, lambda ctx: SlippageOut(0.002))
    text = refuses(
        SlippageCompliance, "test_a_run_gives_the_same_tables_native_and_in_python", double, NATIVE
    )
    assert "differs from one in Python" in text


def test_an_error_without_a_sentence_is_noticed(kernel: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    test = "test_native_code_refuses_what_python_refuses_and_says_why"
    needs = attrs.evolve(NATIVE, needs={"tick_size"})
    text = refuses(SlippageCompliance, test, kernel(), needs)
    assert "refuses with 'Kernel: the kernel answered -3, which errors= does not name" in text
    made = in_python(kernel, monkeypatch, lambda ctx: SlippageOut(0.001))
    assert "without tick_size Python answers" in refuses(SlippageCompliance, test, made, needs)


def test_native_code_that_is_promised_or_denied_in_vain_is_noticed() -> None:
    text = refuses(SlippageCompliance, "test_native_code_and_python_give_the_same_answers", Slips(), NATIVE)
    assert "Slips has no native code" in text
    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    assert "has native code" in refuses(SlippageCompliance, run, FixedFraction(0.1))


def test_a_table_of_the_engine_with_another_formula_in_python_is_noticed() -> None:
    @attrs.frozen
    class Twice(FixedFraction):
        def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
            return SlippageOut(2.0 * super().evaluate(ctx).price_adjustment)

    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    text = refuses(SlippageCompliance, run, Twice(0.001), NATIVE)
    assert "differs from one in Python, in the tables" in text


def test_a_model_that_fills_nothing_in_a_run_is_noticed() -> None:
    run = "test_a_run_gives_the_same_tables_native_and_in_python"
    text = refuses(FillCompliance, run, slips(lambda ctx: FillOut()))
    assert "nothing filled in a run of 60 sessions" in text


def test_an_exit_in_evaluate_is_noticed() -> None:
    def answer(ctx: ImpactArgs) -> ImpactOut:
        if math.isinf(ctx.quantity):
            raise SystemExit(3)
        return ImpactOut(0.0)

    test = "test_nonsense_is_answered_or_refused_and_the_process_lives"
    assert "evaluate raised SystemExit(3)" in refuses(ImpactCompliance, test, slips(answer))


# -- libraries in C: the project that is generated, broken ---------------------------------------------------


@pytest.fixture(scope="module")
def library(folder: Made, compilers: dict[str, Made]) -> Callable[..., Made]:
    """Write the C project of a slippage model, change a line, compile, and return the model."""
    numbers = itertools.count()

    def make(line: str, by: str, evaluate: Made = None, *, before: str = "", sets: str = "") -> Made:
        from ml4t.native import load

        name = f"broken-{next(numbers)}"
        project: Path = folder.write("slippage", "c", name=name)
        text = (project / "c/model.c").read_text(encoding="utf-8")
        assert line in text
        text = text.replace("= last_error;", f"= last_error;\n    {sets}")
        text = text.replace(line, by).replace(
            "static int32_t evaluate", f"{before}\nstatic int32_t evaluate", 1
        )
        (project / "c/model.c").write_text(text, encoding="utf-8")
        path = compilers["c"](project)

        @attrs.frozen
        class Library:
            fraction: float = 0.001

            def __ml4t_model_v1__(self, kind: int) -> object:
                return load(path, f"ml4t_{name.replace('-', '_')}", [self.fraction]).capsule(kind)

            def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
                return (evaluate or Slips(self.fraction).evaluate)(ctx)

        return Library()

    return make


ADJUSTMENT = "out->adjustment = params[0] * fabs(ctx->price);"


def test_static_variables_of_a_library_are_noticed(library: Callable[..., Made]) -> None:
    model = library(
        ADJUSTMENT,
        "out->adjustment = params[0] * fabs(ctx->price) + 1e-6 * calls++;",
        before="static double calls;",
    )
    stateful = attrs.evolve(NATIVE, stateful=True)
    text = refuses(SlippageCompliance, "test_a_native_state_that_is_reset_begins_anew", model, stateful)
    assert "remembers the run before" in text
    text = refuses(SlippageCompliance, "test_copies_in_threads_answer_as_one_alone", model, stateful)
    assert "disturb one another" in text


SAVING = """static double calls;
static size_t save(const void *state, uint8_t *bytes, size_t capacity) {
    (void)state, (void)bytes, (void)capacity;
    return 0;
}
static int32_t load(void *state, const uint8_t *bytes, size_t size) {
    (void)state, (void)bytes, (void)size;
    return @;
}"""


@pytest.mark.parametrize(
    ("answer", "complaint"), [("1", "goes on differently"), ("-1", "refuses the state that it saved")]
)
def test_a_state_that_is_saved_in_part_is_noticed(
    library: Callable[..., Made], answer: str, complaint: str
) -> None:
    model = library(
        ADJUSTMENT,
        "out->adjustment = params[0] * fabs(ctx->price) + 1e-6 * calls++;",
        before=SAVING.replace("@", answer),
        sets="table->save = save; table->load = load;",
    )
    stateful = attrs.evolve(NATIVE, stateful=True)
    test = "test_a_saved_native_state_goes_on_where_it_was"
    assert complaint in refuses(SlippageCompliance, test, model, stateful)


def test_a_library_that_takes_the_process_down_is_noticed(library: Callable[..., Made]) -> None:
    model = library(ADJUSTMENT, f"if (isinf(ctx->price)) abort();\n    {ADJUSTMENT}")
    test = "test_nonsense_is_answered_or_refused_and_the_process_lives"
    text = refuses(SlippageCompliance, test, model, NATIVE)
    assert "the process died of questions that no run would ask: signal SIGABRT" in text


def test_a_library_that_refuses_without_a_text_is_noticed(library: Callable[..., Made]) -> None:
    def refusing(ctx: SlippageArgs) -> SlippageOut:
        if math.isnan(ctx.tick_size):
            raise ModelError("needs the tick size")  # noqa: EM101
        return SlippageOut(0.001 * abs(ctx.reference_price))

    silent = f"if (isnan(ctx->tick_size)) return -9;\n    {ADJUSTMENT}"
    model = library(ADJUSTMENT, silent, refusing, sets="table->last_error = NULL;")
    test = "test_native_code_refuses_what_python_refuses_and_says_why"
    text = refuses(SlippageCompliance, test, model, attrs.evolve(NATIVE, needs={"tick_size"}))
    assert "refuses with" in text and "status -9" in text


def test_the_library_of_the_template_passes_what_the_broken_ones_fail(library: Callable[..., Made]) -> None:
    model = library(ADJUSTMENT, ADJUSTMENT)
    made = type("T", (SlippageCompliance,), {"model": model, "capabilities": NATIVE})()
    made.test_a_native_state_that_is_reset_begins_anew(model)
    made.test_copies_in_threads_answer_as_one_alone(model)
    made.test_nonsense_is_answered_or_refused_and_the_process_lives(model)
    made.test_native_code_and_python_give_the_same_answers(model)


# -- what has no name here ---------------------------------------------------------------------------------


def test_every_failure_of_a_suite_is_looked_at_in_this_file() -> None:
    """Each test of the suites stands here by its name."""
    text = Path(__file__).read_text(encoding="utf-8")
    names = {name for name in dir(ModelCompliance) if name.startswith("test_")}
    missing = [name for name in names if not re.search(rf"\b{name}\b", text)]
    assert missing == []
