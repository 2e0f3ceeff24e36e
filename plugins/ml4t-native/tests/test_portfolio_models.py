"""Models of a whole portfolio in a C library, asked from Python."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FeeArgs, Holding, LiquidationArgs, LiquidationOut, MarginArgs, MarginOut
from ml4t.core.types import ModelKind
from ml4t.native import OK, NativeState, load, native_model, struct, unset

Compile = Callable[..., Path]

# Answers what it was asked: every number of a holding is a decimal place of its amount.
LIBRARY = """
#include <math.h>
#include <ml4t_abi.h>

static double digits(const ml4t_holding *h) {
    return h->asset * 1e9 + h->quantity * 1e8 + h->mark * 1e7 + h->multiplier * 1e6 + h->fx * 1e5
        + h->initial_rate * 1e4 + h->maintenance_rate * 1e3 + h->lot_size * 1e2
        + (isnan(h->unrealized) ? 0.0 : h->unrealized * 1e1) + (isnan(h->requirement) ? 0.0 : h->requirement);
}
static int32_t margin(void *state, const ml4t_margin_context *context, const ml4t_holding *holdings,
                      uint32_t n, double *requirement, ml4t_margin_output *output) {
    for (uint32_t k = 0; k < n; k++) {
        if (!isnan(requirement[k]) || !isnan(output->overnight)) return -1;
        requirement[k] = digits(&holdings[k]);
    }
    output->initial = context->cash;
    output->maintenance = context->equity;
    if (context->ts_ns > 0) output->overnight = (double)context->ts_ns;
    return context->ts_ns < 0 ? (int32_t)context->ts_ns + 10 : ML4T_STATUS_OK;
}
static int32_t liquidate(void *state, const ml4t_liquidation_context *context, const ml4t_holding *holdings,
                         uint32_t n, double *close, ml4t_liquidation_output *output) {
    for (uint32_t k = 0; k < n; k++) close[k] = digits(&holdings[k]) + context->deficit;
    return ML4T_STATUS_OK;
}
#define MAKES(name, the_kind, context, output) \\
    ml4t_model_table *make_##name(const double *p, size_t n, char *e, size_t c) { \\
        static ml4t_model_table made; \\
        made = (ml4t_model_table){ \\
            .magic = ML4T_MAGIC, .struct_size = sizeof made, .abi_major = ML4T_ABI_MAJOR, \\
            .abi_minor = ML4T_ABI_MINOR, .kind = the_kind, .flags = ML4T_FLAG_STATELESS, \\
            .context_size = sizeof(context), .output_size = sizeof(output), .eval = (void (*)(void))name }; \\
        return &made; \\
    }
MAKES(margin, ML4T_KIND_MARGIN, ml4t_margin_context, ml4t_margin_output)
MAKES(liquidate, ML4T_KIND_LIQUIDATION, ml4t_liquidation_context, ml4t_liquidation_output)
"""
HELD = (
    Holding(
        quantity=2.0,
        mark=3.0,
        multiplier=4.0,
        fx=5.0,
        asset=1,
        initial_rate=6.0,
        maintenance_rate=7.0,
        lot_size=8.0,
    ),
    Holding(
        quantity=-1.0,
        mark=1.0,
        asset=9,
        initial_rate=0.0,
        maintenance_rate=0.0,
        unrealized=-1.0,
        requirement=3.0,
    ),
)
AMOUNTS = (1_234_567_800.0, 8_911_100_093.0)


@pytest.fixture
def library(compile_c: Compile) -> Path:
    return compile_c(LIBRARY)


def asked(ts_ns: int = 0, holdings: tuple[Holding, ...] = HELD) -> MarginArgs:
    return MarginArgs(ts_ns=ts_ns, cash=-5.0, equity=7.5, holdings=holdings)


def test_a_margin_model_gets_the_account_and_answers_for_each_position(library: Path) -> None:
    state = NativeState(load(library, "make_margin"))
    assert state.kind is ModelKind.MARGIN
    assert state.evaluate(asked(20_240_301)) == MarginOut(-5.0, 7.5, AMOUNTS, 20_240_301.0)
    answer = state.evaluate(asked())
    assert (answer.initial, answer.requirement, math.isnan(answer.overnight)) == (-5.0, AMOUNTS, True)
    assert state.evaluate(asked(1, ())) == MarginOut(-5.0, 7.5, (), 1.0)


def test_a_liquidation_model_gets_what_lacks_and_answers_for_each_position(library: Path) -> None:
    ctx = LiquidationArgs(ts_ns=0, cash=0.0, equity=0.0, deficit=0.5, holdings=HELD)
    found = NativeState(load(library, "make_liquidate")).evaluate(ctx)
    assert found == LiquidationOut(tuple(amount + 0.5 for amount in AMOUNTS))


def test_both_are_asked_by_their_arrays_too(library: Path) -> None:
    context, output, amounts = unset("MarginContext"), unset("MarginOutput"), (ctypes.c_double * 1)(math.nan)
    context.cash, context.equity, context.ts_ns = 1.0, 2.0, 3
    held = (struct("Holding") * 1)()
    held[0].quantity = 4.0
    assert NativeState(load(library, "make_margin")).call(context, held, 1, amounts, output) == OK
    assert (output.initial, output.maintenance, output.overnight, amounts[0]) == (1.0, 2.0, 3.0, 4e8)


@pytest.mark.parametrize(
    ("symbol", "ctx", "message"),
    [
        (
            "make_margin",
            FeeArgs(ts_ns=0, side=1, quantity=1.0, price=1.0),
            "is a margin model and is asked with MarginArgs, not FeeArgs",
        ),
        (
            "make_liquidate",
            asked(),
            "is a liquidation model and is asked with LiquidationArgs, not MarginArgs",
        ),
        ("make_margin", asked(-12), "status -2"),
        ("make_margin", asked(-8), "answered the status 2, which means nothing for a margin model"),
    ],
)
def test_what_has_no_meaning_is_refused(library: Path, symbol: str, ctx: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ModelError, match=message):
        NativeState(load(library, symbol)).evaluate(ctx)


def test_a_context_of_its_own_is_asked_with_call(library: Path) -> None:
    with pytest.raises(ModelError, match=r"asked with call\(\)"):
        NativeState(load(library, "make_margin")).evaluate(unset("MarginContext"), unset("MarginOutput"))


@pytest.mark.parametrize("kind", ["margin", "liquidation"])
def test_a_kernel_cannot_be_one(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"{kind} models cannot be kernels yet; allowed: fill"):
        native_model(kind=kind)(type("Kernel", (), {}))
