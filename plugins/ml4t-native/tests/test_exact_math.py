"""`exp`, `log` and `pow` have the same bits in Python, numba and C: those of the engine."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from ml4t.core.models import FeeArgs
from ml4t.native import OK, NativeState, load, native_model
from ml4t.native import math as exact
from ml4t.native.math import exp, log, pow
from ml4t.native.structs import Made

engine = pytest.importorskip("ml4t.engine._engine")


@native_model(kind="fee")
@attrs.frozen
class Powers:
    """Uses all three."""

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        out.fee = exp(ctx.price) + log(ctx.quantity) * pow(ctx.quantity, ctx.multiplier)
        return OK


def test_a_kernel_and_python_have_the_same_bits(rng: np.random.Generator) -> None:
    pytest.importorskip("numba")
    model, native = Powers(), NativeState(Powers())
    for _ in range(1_000):
        asked = FeeArgs(
            ts_ns=0,
            side=1,
            quantity=float(rng.lognormal(0.0, 4.0)),
            price=float(rng.normal(0.0, 20.0)),
            multiplier=float(rng.normal(0.0, 3.0)),
        )
        assert native.evaluate(asked).fee.hex() == model.evaluate(asked).fee.hex()


C_POWERS = """
#include <ml4t_abi.h>

static ml4t_math own;
static int times;
void ml4t_set_math(const ml4t_math *math) { own = *math; times += 1; }
int count_given(void) { return times; }

static int32_t evaluate(void *state, const ml4t_fee_context *ctx, ml4t_fee_output *out) {
    (void)state;
    out->fee = own.exp(ctx->price) + own.log(ctx->quantity) * own.pow(ctx->quantity, ctx->multiplier);
    return ML4T_STATUS_OK;
}
static ml4t_model_table table;
ml4t_model_table *powers(const double *params, size_t n, char *error, size_t capacity) {
    (void)params; (void)n; (void)error; (void)capacity;
    table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_FEE, .flags = ML4T_FLAG_STATELESS,
        .context_size = sizeof(ml4t_fee_context), .output_size = sizeof(ml4t_fee_output), .name = "Powers",
        .eval = (void (*)(void))evaluate,
    };
    /* The functions are there before the first table is made. */
    return own.exp == NULL ? NULL : &table;
}
"""


def test_a_c_library_gets_the_functions_and_has_the_same_bits(
    compile_c: Callable[..., Path], rng: np.random.Generator
) -> None:
    library = compile_c(C_POWERS)
    model, python = NativeState(load(library, "powers")), Powers()
    compiled = NativeState(Powers()) if importlib.util.find_spec("numba") else None
    for _ in range(1_000):
        asked = FeeArgs(
            ts_ns=0,
            side=1,
            quantity=float(rng.lognormal(0.0, 4.0)),
            price=float(rng.normal(0.0, 20.0)),
            multiplier=float(rng.normal(0.0, 3.0)),
        )
        expected = python.evaluate(asked).fee.hex()
        assert model.evaluate(asked).fee.hex() == expected
        assert compiled is None or compiled.evaluate(asked).fee.hex() == expected
    load(library, "powers")
    assert ctypes.CDLL(str(library)).count_given() == 1, "once for a library, however many models it makes"


def test_a_library_that_wants_the_functions_is_refused_without_an_engine(
    compile_c: Callable[..., Path],
) -> None:
    library = compile_c(C_POWERS)
    program = (
        "import sys\n"
        "sys.modules['ml4t.engine'] = sys.modules['ml4t.engine._engine'] = None\n"
        "from ml4t.core.errors import ModelError\n"
        "from ml4t.native import load\n"
        "try:\n"
        f"    load({str(library)!r}, 'powers')\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"native library {library} defines ml4t_set_math" in ran.stdout
    assert "pip install ml4t-engine" in ran.stdout


def test_c_has_the_same_bits_through_the_address(
    compile_c: Callable[..., Path], rng: np.random.Generator
) -> None:
    source = "double one(double (*f)(double), double x) { return f(x); }\n"
    library = ctypes.CDLL(str(compile_c(source)))
    double = ctypes.c_double
    library.one.restype = double
    library.one.argtypes = [ctypes.c_void_p, double]
    addresses = engine.math_functions()
    for _ in range(1_000):
        x = float(rng.lognormal(0.0, 4.0))
        assert library.one(addresses["exp"], -x) == exp(-x)
        assert library.one(addresses["log"], x) == log(x)


def test_they_are_the_functions_of_their_names(rng: np.random.Generator) -> None:
    for _ in range(1_000):
        x, y = float(rng.lognormal(0.0, 2.0)), float(rng.normal(0.0, 3.0))
        assert exp(y) == pytest.approx(math.exp(y), rel=4e-16)
        assert log(x) == pytest.approx(math.log(x), rel=4e-16, abs=1e-300)
        assert pow(x, y) == pytest.approx(math.pow(x, y), rel=4e-16)


def test_where_there_is_no_answer_they_give_nan_or_infinity() -> None:
    assert (exp(1e4), exp(-1e4), log(0.0)) == (math.inf, 0.0, -math.inf)
    assert math.isnan(log(-1.0))
    assert math.isnan(pow(-1.0, 0.5))
    assert (pow(2.0, 10.0), pow(0.0, 0.0)) == (1024.0, 1.0)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (
            "sys.modules['ml4t.engine._engine'] = None",
            "needs ml4t-engine, which is not installed: pip install",
        ),
        (
            "sys.modules['ml4t.engine._engine'] = type(sys)('_engine')",
            "needs functions that this ml4t-engine lacks: install that of this version",
        ),
    ],
)
def test_a_missing_engine_is_named(before: str, message: str) -> None:
    tried = "try: m.exp(1.0)\nexcept Exception as error: print(repr(error))"
    program = f"import sys; {before}\nimport ml4t.native.math as m\n{tried}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("ModelError(")
    assert message in ran.stdout


def test_the_functions_are_looked_up_once() -> None:
    assert exact.functions() is exact.functions()
