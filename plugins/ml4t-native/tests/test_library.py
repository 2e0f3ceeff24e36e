"""Models in C libraries: what they answer, and what is refused."""

from __future__ import annotations

import ctypes
import gc
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import ObservedFill, SlippageArgs, SlippageOut
from ml4t.core.types import ModelKind
from ml4t.native import NativeState, NativeTable, load
from ml4t.native.table import address_in

Compile = Callable[..., Path]

LIBRARY = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ml4t_abi.h>

typedef struct { double fraction, calls, seen; char text[64]; } model;
static int released;
int count_released(void) { return released; }

static void *copy(const void *proto) {
    model *made = malloc(sizeof *made);
    if (made != NULL) *made = *(const model *)proto;
    return made;
}
static int32_t reset(void *state, uint64_t seed) {
    ((model *)state)->calls = (double)seed;
    ((model *)state)->seen = 0.0;
    return ML4T_STATUS_OK;
}
static int32_t evaluate(void *state, const ml4t_slippage_context *context, ml4t_slippage_output *output) {
    model *m = state;
    if (isnan(context->volume)) {
        snprintf(m->text, sizeof m->text, "no volume for asset %u", context->asset);
        return -7;
    }
    output->adjustment = m->fraction * context->price + m->calls;
    output->spread = m->seen;
    output->quantity_cap = context->volume;
    m->calls += 1.0;
    return ML4T_STATUS_OK;
}
static int32_t observe(void *state, const ml4t_fill_event *fill) {
    ((model *)state)->seen += fill->quantity;
    return ML4T_STATUS_OK;
}
static size_t last_error(const void *state, uint8_t *text, size_t capacity) {
    size_t n = strlen(((const model *)state)->text);
    memcpy(text, ((const model *)state)->text, n < capacity ? n : capacity);
    return n;
}
static void release(ml4t_model_table *table) {
    released += 1;
    free(table->proto);
    free(table);
}
ml4t_model_table *fraction(const double *params, size_t n, char *error, size_t capacity) {
    if (n != 1 || !(params[0] >= 0.0)) {
        snprintf(error, capacity, "expected one fraction of 0 or more, found %zu numbers", n);
        return NULL;
    }
    model *proto = calloc(1, sizeof *proto);
    proto->fraction = params[0];
    ml4t_model_table *table = calloc(1, sizeof *table);
    *table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof *table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_SLIPPAGE,
        .flags = ML4T_FLAG_SEND | ML4T_FLAG_NEEDS_BAR | ML4T_FLAG_NEEDS_OBSERVE,
        .context_size = sizeof(ml4t_slippage_context), .output_size = sizeof(ml4t_slippage_output),
        .name = "Fraction", .model_version = "2.1", .proto = proto, .clone = copy, .reset = reset,
        .drop = free, .eval = (void (*)(void))evaluate, .observe = observe, .last_error = last_error,
        .release = release,
    };
    return table;
}
static ml4t_model_table broken;
static ml4t_model_table *with(ml4t_model_table changed) { broken = changed; return &broken; }
#define SOUND .magic = ML4T_MAGIC, .struct_size = sizeof broken, .abi_major = ML4T_ABI_MAJOR, \\
    .kind = ML4T_KIND_SLIPPAGE, .flags = ML4T_FLAG_STATELESS, .eval = (void (*)(void))evaluate
#define MAKES(name, ...) ml4t_model_table *name(const double *p, size_t n, char *e, size_t c) { \\
    (void)p; (void)n; (void)e; (void)c; return with((ml4t_model_table){ SOUND, __VA_ARGS__ }); }
#pragma GCC diagnostic ignored "-Woverride-init"
MAKES(stateless, .context_size = sizeof(ml4t_slippage_context))
MAKES(short_table, .struct_size = 64)
MAKES(no_clone, .flags = 0)
MAKES(no_drop, .clone = copy)
MAKES(too_new, .context_size = 4000)
MAKES(other_kind, .kind = 77)
MAKES(greedy, .n_random = 5)
MAKES(no_eval, .eval = NULL)
ml4t_model_table *wrong_magic(const double *p, size_t n, char *e, size_t c) {
    (void)p; (void)n; (void)e; (void)c;
    return with((ml4t_model_table){ .magic = 42, .abi_major = ML4T_ABI_MAJOR });
}
ml4t_model_table *wrong_major(const double *p, size_t n, char *e, size_t c) {
    (void)p; (void)n; (void)e; (void)c;
    return with((ml4t_model_table){ .magic = ML4T_MAGIC, .abi_major = 9, .abi_minor = 3 });
}
ml4t_model_table *silent(const double *p, size_t n, char *e, size_t c) {
    (void)p; (void)n; (void)e; (void)c;
    return NULL;
}
"""

ASKED = SlippageArgs(ts_ns=5, side=1, quantity=10.0, reference_price=40.0, volume=200.0, phase="close")
TOLD = ObservedFill(
    ts_ns=5,
    side=1,
    asset=3,
    order_id=1,
    price=40.0,
    quantity=25.0,
    multiplier=1.0,
    fee=0.0,
    slippage=0.0,
    impact=0.0,
    liquidity="taker",
)


@pytest.fixture
def library(compile_c: Compile) -> Path:
    return compile_c(LIBRARY)


def test_a_library_is_loaded_and_answers(library: Path) -> None:
    model = load(library, "fraction", [0.001])
    assert (model.kind, model.name, model.version) == (ModelKind.SLIPPAGE, "Fraction", "2.1")
    assert (model.path, model.symbol, model.params) == (str(library), "fraction", (0.001,))
    assert model.needs_volume
    assert NativeState(model).evaluate(ASKED) == SlippageOut(0.001 * 40.0, 0.0, 200.0)


def test_a_relative_path_counts_from_the_working_folder(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.parent)
    assert load(library.name, "fraction", [0.5]).path == str(library)


def test_states_are_independent_and_reset_begins_again(library: Path) -> None:
    model = load(library, "fraction", [0.0])
    first, second = NativeState(model), NativeState(model, seed=100)
    answers = [first.evaluate(ASKED).price_adjustment for _ in range(3)]
    assert answers == [0.0, 1.0, 2.0]
    assert second.evaluate(ASKED).price_adjustment == 100.0
    first.observe(TOLD)
    assert first.evaluate(ASKED).spread == 25.0
    first.reset(7)
    assert first.evaluate(ASKED) == SlippageOut(7.0, 0.0, 200.0)


def test_the_text_of_an_error_comes_from_the_library(library: Path) -> None:
    state = NativeState(load(library, "fraction", [0.0]))
    with pytest.raises(ModelError, match=r"^Fraction: no volume for asset 0$"):
        state.evaluate(attrs.evolve(ASKED, volume=math.nan))


def test_the_table_is_released_once_when_the_last_capsule_goes(library: Path) -> None:
    count = ctypes.CDLL(str(library)).count_released
    before = count()
    model = load(library, "fraction", [0.25])
    capsules = [model.capsule("slippage"), model.__ml4t_model_v1__(2)]
    assert address_in(capsules[0], "a") == address_in(capsules[1], "b")
    state = NativeState(model)
    del model, capsules
    gc.collect()
    assert (count(), state.evaluate(ASKED).price_adjustment) == (before, 10.0)
    del state
    gc.collect()
    assert count() == before + 1


def test_a_model_is_equal_to_one_of_the_same_parameters_and_can_be_pickled(library: Path) -> None:
    model = load(library, "fraction", [0.25])
    again = pickle.loads(pickle.dumps(model))
    assert again == model
    assert again != load(library, "fraction", [0.5])
    assert NativeState(again).evaluate(ASKED).price_adjustment == 10.0
    assert attrs.asdict(model) == {"path": str(library), "symbol": "fraction", "params": (0.25,)}


def test_a_parameter_that_is_not_set_is_nan(library: Path) -> None:
    with pytest.raises(ConfigError, match=r"refused the parameters \[nan\]: expected one fraction"):
        load(library, "fraction", [None])


def test_a_parameter_that_is_no_number_is_refused(library: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\[1\] is '5'; a library takes numbers"):
        load(library, "fraction", [0.1, "5"])  # type: ignore[list-item]


def test_refused_parameters_are_named_with_the_reason(library: Path) -> None:
    reason = (
        r"fraction of .*libmodel\.so refused the parameters \[\]: expected one fraction of 0 or more, found 0"
    )
    with pytest.raises(ConfigError, match=reason):
        load(library, "fraction")
    with pytest.raises(ConfigError, match=r"silent of .* refused the parameters \[1\.0\]: it gave no reason"):
        load(library, "silent", [1])


def test_a_missing_library_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"native library .*libnone\.so does not exist, .*half_tick.*cc -O2"
    ):
        load(tmp_path / "libnone.so", "half_tick")


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "libtext.so"
    path.write_text("not a library", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"libtext\.so of half_tick cannot be opened \(.*build it for this"):
        load(path, "half_tick")


def test_a_missing_symbol_is_named_with_what_to_do(library: Path) -> None:
    with pytest.raises(ConfigError, match=r"libmodel\.so exports no function fractoin; .*C linkage"):
        load(library, "fractoin")


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("wrong_magic", r"first 8 bytes are 0x000000000000002A, not 0x314C444D54344C4D; set `magic`"),
        ("wrong_major", r"version 9\.3 of the native interface, and this is 1\.\d+; compile it against"),
        ("short_table", r"struct_size is 64; set it to sizeof"),
        ("no_clone", r"clone is null; only a table with the flag STATELESS"),
        ("no_drop", r"drop is null; states of clone would never be freed"),
        ("too_new", r"context_size is 4000, and this version has \d+; install a newer ml4t"),
        ("other_kind", r"kind is 77; allowed: 1, 2, 3"),
        ("greedy", r"n_random is 5; at most 4"),
        ("no_eval", r"eval is null"),
    ],
)
def test_a_table_that_breaks_the_interface_is_refused(library: Path, symbol: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"what {symbol} of .*{message}"):
        load(library, symbol)


def test_a_table_without_state_needs_no_clone(library: Path) -> None:
    model = load(library, "stateless")
    assert model.name == ""
    with NativeState(model) as state:
        assert state.last_error() == ""


def test_a_model_of_another_kind_is_refused(library: Path) -> None:
    model = load(library, "fraction", [0.1])
    with pytest.raises(ConfigError, match=r"fraction of .* is a slippage model and cannot be the fee model"):
        model.capsule(ModelKind.FEE)
    with pytest.raises(ConfigError, match=r"kind 'slipage' .* did you mean 'slippage'"):
        model.capsule("slipage")
    with pytest.raises(ConfigError, match=r"kind 55 of a native model is unknown; allowed: 1 \(fill\)"):
        model.__ml4t_model_v1__(55)


def test_the_argument_of_another_kind_is_refused(library: Path) -> None:
    with pytest.raises(
        ModelError, match=r"Fraction is a slippage model and is asked with SlippageArgs, not str"
    ):
        NativeState(load(library, "fraction", [0.1])).evaluate("40")


def test_a_closed_state_is_not_asked(library: Path) -> None:
    with NativeState(load(library, "fraction", [0.1])) as state:
        state.evaluate(ASKED)
    with pytest.raises(ModelError, match="this state is closed"):
        state.evaluate(ASKED)


@pytest.mark.parametrize("symbol", [None, 7, b"fraction"])
def test_a_symbol_that_is_no_text_is_refused(symbol: Any, library: Path) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(ConfigError, match=r"symbol is .*; expected the name of a function of /.*\.so"):
        load(library, symbol, [0.1])


@pytest.mark.parametrize("way", ["closed twice", "unused", "the process ends"])
def test_a_state_is_freed_once(way: str, compile_c: Compile) -> None:
    text = LIBRARY.replace(".drop = free, .eval", ".drop = told, .eval").replace(
        "ml4t_model_table *fraction(",
        "static void told(void *state) {\n"
        "    free(state);\n"
        '    fputs("freed\\n", stderr);\n'
        "}\n"
        "ml4t_model_table *fraction(",
        1,
    )
    ways = {"closed twice": "state.close(); state.close()", "unused": "del state", "the process ends": ""}
    program = (
        "import ctypes, ml4t.native as n\n"
        f"state = n.NativeState(n.load({str(compile_c(text))!r}, 'fraction', [0.5]))\n"
        f"{ways[way]}\n"
        "ctypes.kept = globals().get('state')\n"
        "print('end', file=__import__('sys').stderr, flush=True)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert text != LIBRARY
    ended = ["end", "freed"] if way == "the process ends" else ["freed", "end"]
    assert (ran.returncode, ran.stderr.split()) == (0, ended)


def test_what_is_no_capsule_is_refused() -> None:
    class Liar:
        kind = ModelKind.FEE

        def __ml4t_model_v1__(self, kind: int) -> object:
            return {"kind": kind}

    with pytest.raises(ModelError, match=r"Liar answered \{'kind': 4\}, not a capsule named ml4t\.model\.v1"):
        NativeState(Liar())
    with pytest.raises(ModelError, match="int has no native form: it lacks __ml4t_model_v1__"):
        NativeState(5)


def test_a_process_that_ends_with_capsules_at_hand_ends_in_peace(library: Path) -> None:
    program = (
        "import sys, ml4t.native as n\n"
        f"sys.kept = n.load({str(library)!r}, 'fraction', [0.5]).capsule('slippage')\n"
        f"kept = n.load({str(library)!r}, 'fraction', [0.5]).capsule('slippage')\n"
        f"state = n.NativeState(n.load({str(library)!r}, 'fraction', [0.5]))\n"
        # What another module holds outlives the module of NativeState.
        f"import ctypes; ctypes.kept = n.NativeState(n.load({str(library)!r}, 'fraction', [0.5]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_table_has_no_form_in_python(library: Path) -> None:
    model = load(library, "fraction", [0.0])
    assert not hasattr(model, "evaluate")
    assert (model.average_days, model.needs_volume) == (0, True)


def test_a_native_table_is_made_by_load(library: Path) -> None:
    assert load(library, "fraction", [0.1]) == NativeTable(library, "fraction", [0.1])
