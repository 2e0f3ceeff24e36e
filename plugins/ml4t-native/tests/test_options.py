"""What `native_model` refuses, where the class is defined."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FeeArgs
from ml4t.native import OK, native_model
from ml4t.native.structs import Made

SOLD = FeeArgs(ts_ns=0, side=-1, quantity=2.0, price=40.0)


def decorated(kind: Made = "fee", /, **options: Made) -> None:
    """Decorate a sound class with options that may not be."""

    @native_model(kind=kind, **options)
    @attrs.frozen
    class Plain:
        rate: float = 0.1
        days: int = 5

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            return OK


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("margin", {}, r"margin models cannot be kernels yet; allowed: fill, slippage"),
        ("fees", {}, r"kind 'fees' of a native model is unknown; .*did you mean 'fee'"),
        ("fee", {"averages": 5}, r"unknown option averages; allowed: state, errors"),
        ("fee", {"state": {"two words": 1}}, r"state 'two words' is no name of a field"),
        ("fee", {"state": {"total": 0}}, r"state total has 0 values; expected a whole number of 1 or more"),
        ("fee", {"state": {"total": True}}, r"state total has True values"),
        ("fee", {"errors": {0: "none"}}, r"errors has 0: 'none'; expected a number above 0 and a sentence"),
        ("fee", {"errors": {-1: "none"}}, r"errors has -1: 'none'"),
        ("fee", {"errors": {1: ""}}, r"errors has 1: ''"),
        ("fee", {"n_random": 5}, r"n_random is 5; allowed: 0 to 4"),
        ("fee", {"average_days": -1}, r"average_days is -1; expected a whole number of 0 or more"),
        ("fee", {"average_days": "rate"}, r"average_days names 'rate', .* there are \['days'\]"),
        ("fee", {"average_days": "dais"}, r"average_days names 'dais'"),
        ("fee", {"columns": ("close",)}, r"a fee model has no columns"),
        (
            "strategy",
            {"columns": ("close", "close")},
            r"column 'close'; expected names without commas, each once",
        ),
        (
            "strategy",
            {"n_random": 1, "observe": True},
            r"a strategy takes no n_random, observe; its arguments",
        ),
        (
            "strategy",
            {"average_days": "days", "needs_bar": True},
            r"a strategy takes no average_days, needs_bar",
        ),
        ("strategy", {"columns": ("close,score",)}, r"column 'close,score'"),
        (
            "fee",
            {"observe": True},
            r"the class has no function observe; a kernel is a @staticmethod called observe",
        ),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    decorated()
    with pytest.raises(ConfigError, match=message):
        decorated(kind, **options)


def test_the_decorator_stands_above_that_of_attrs() -> None:
    with pytest.raises(
        ConfigError, match=r"native_model of Bare: .*write @native_model\(\.\.\.\) above @attrs"
    ):

        @native_model(kind="fee")
        class Bare:
            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK


def test_the_kernel_is_a_static_method() -> None:
    with pytest.raises(ConfigError, match="the class has no function kernel"):

        @native_model(kind="fee")
        @attrs.frozen
        class Empty:
            rate: float = 0.1

    with pytest.raises(ConfigError, match="does not mark as @staticmethod its function kernel"):

        @native_model(kind="fee")
        @attrs.frozen
        class Method:
            def kernel(self, params: Made, state: Made, ctx: Made) -> int:
                return OK


def test_a_function_observe_that_nobody_would_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="the class has observe, which only observe=True calls"):

        @native_model(kind="fee")
        @attrs.frozen
        class Deaf:
            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK

            @staticmethod
            def observe(params: Made, state: Made, fill: Made) -> int:
                return OK


def test_a_field_that_no_kernel_can_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"field name is <class 'str'>; kernels read float, int, bool"):

        @native_model(kind="fee")
        @attrs.frozen
        class Named:
            name: str = "x"

            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK

    with pytest.raises(ConfigError, match=r"field days is int \| None; kernels read float, int, bool"):

        @native_model(kind="fee")
        @attrs.frozen
        class Optional:
            days: int | None = None

            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK


def test_the_bar_is_asked_for_in_one_place() -> None:
    with pytest.raises(ConfigError, match="needs_bar= and needs_volume of the class say the same; keep one"):

        @native_model(kind="fee", needs_bar=True)
        @attrs.frozen
        class Twice:
            @property
            def needs_volume(self) -> bool:
                return False

            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK


def test_instances_that_cannot_have_state_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"leave weakref_slot of attrs\.frozen alone"):

        @native_model(kind="fee")
        @attrs.frozen(weakref_slot=False)
        class Stiff:
            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK


@native_model(kind="fee")
@attrs.frozen
class Typed:
    rate: float = 0.1
    days: int = 5
    is_net: bool = False
    cap: float | None = None

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        out.fee = params.rate + params.days + params.is_net + (params.cap == params.cap)
        return OK


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Typed("0.1.2"), r"Typed\.rate is '0\.1\.2'; the kernel needs a number: give the field a converter"),  # type: ignore[arg-type]
        (Typed(days=2.5), r"Typed\.days is 2\.5; the kernel needs a whole number"),  # type: ignore[arg-type]
        (Typed(days=2**63), r"Typed\.days is 9223372036854775808; the kernel holds whole numbers of 64 bits"),
    ],
)
def test_a_parameter_that_is_not_what_it_says_is_refused(model: Made, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model.evaluate(SOLD)
    with pytest.raises(ConfigError, match=message):
        model.__ml4t_model_v1__(4)


def test_parameters_keep_their_types() -> None:
    assert Typed(1, 2, True, 3.0).evaluate(SOLD).fee == 5.0  # noqa: FBT003 - a field
    assert Typed(1, 2, False).evaluate(SOLD).fee == 3.0  # noqa: FBT003 - a field


def test_a_kernel_that_answers_no_status_is_refused() -> None:
    @native_model(kind="fee")
    @attrs.frozen
    class Forgetful:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> None:
            out.fee = 1.0

    with pytest.raises(ModelError, match="Forgetful: the kernel answered None; it ends with a status"):
        Forgetful().evaluate(SOLD)
