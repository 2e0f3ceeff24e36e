"""Latency models as kernels and in C: the same delays as in Python, bit for bit, and in a run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import LatencyArgs, LatencyOut
from ml4t.core.types import ModelKind
from ml4t.native import OK, Message, NativeState, load, native_model
from ml4t.native.structs import Made, struct
from ml4t.native.translate import context_of

backtest = pytest.importorskip("ml4t.backtest")

Bits = Callable[[Any], Any]
HOUR = 3_600_000_000_000


@native_model(kind="latency", n_random=2, state={"sent": 1}, errors={1: "cancels do not travel"})
@attrs.frozen
class Line:
    """Slower by what was sent before, by message, side, instrument, venue, hour and chance."""

    base_ms: float = 2.0
    cancels: bool = True

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if ctx.message == Message.CANCEL and not params.cancels:
            return -1
        state.sent[0] += 1.0
        part = 0.25 if ctx.message == Message.CANCEL else 1.0
        hour = ctx.ts_ns // 3_600_000_000_000 % 24
        slow = 10.0 if hour >= 19 else 1.0 + 0.125 * ctx.venue + 0.0625 * ctx.asset
        chance = 0.5 + ctx.random[0] * ctx.random[1]
        out.delay_ns = 1e6 * params.base_ms * slow * part * chance + ctx.side + state.sent[0]
        return OK


@attrs.define
class LineInPython:
    """The formula of `Line`, written for `LatencyArgs`."""

    base_ms: float = 2.0
    sent: float = attrs.field(default=0.0, init=False)

    def clone(self) -> LineInPython:
        return LineInPython(self.base_ms)

    def evaluate(self, ctx: LatencyArgs) -> LatencyOut:
        self.sent += 1.0
        part = 0.25 if ctx.message == "cancel" else 1.0
        hour = ctx.ts_ns // HOUR % 24
        slow = 10.0 if hour >= 19 else 1.0 + 0.125 * ctx.venue + 0.0625 * ctx.asset
        chance = 0.5 + ctx.random[0] * ctx.random[1]
        return LatencyOut(1e6 * self.base_ms * slow * part * chance + ctx.side + self.sent)


C_LINE = """
#include <stdlib.h>
#include <ml4t_abi.h>

typedef struct { double base_ms, sent; } model;

static void *copy(const void *proto) {
    model *made = malloc(sizeof *made);
    if (made != NULL) *made = *(const model *)proto;
    return made;
}
static int32_t reset(void *state, uint64_t seed) {
    (void)seed;
    ((model *)state)->sent = 0.0;
    return ML4T_STATUS_OK;
}
static int32_t evaluate(void *state, const ml4t_latency_context *ctx, ml4t_latency_output *out) {
    model *m = state;
    m->sent += 1.0;
    double part = ctx->message == ML4T_MESSAGE_CANCEL ? 0.25 : 1.0;
    int64_t hour = ctx->ts_ns / INT64_C(3600000000000) % 24;
    double slow = hour >= 19 ? 10.0 : 1.0 + 0.125 * ctx->venue + 0.0625 * ctx->asset;
    double chance = 0.5 + ctx->random[0] * ctx->random[1];
    out->delay_ns = 1e6 * m->base_ms * slow * part * chance + ctx->side + m->sent;
    return ML4T_STATUS_OK;
}
ml4t_model_table *line(const double *params, size_t n, char *error, size_t capacity) {
    static model proto;
    static ml4t_model_table table;
    (void)error; (void)capacity;
    if (n != 1) return NULL;
    proto.base_ms = params[0];
    table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_LATENCY, .flags = ML4T_FLAG_SEND,
        .context_size = sizeof(ml4t_latency_context), .output_size = sizeof(ml4t_latency_output),
        .n_random = 2, .name = "Line", .model_version = "1", .proto = &proto, .clone = copy,
        .reset = reset, .drop = free, .eval = (void (*)(void))evaluate,
    };
    return &table;
}
"""


def questions(rng: np.random.Generator, count: int = 500) -> list[LatencyArgs]:
    return [
        LatencyArgs(
            ts_ns=int(rng.integers(0, 10**18)),
            side=int(rng.choice([-1, 1])),
            message=str(rng.choice(["submit", "modify", "cancel"])),
            asset=int(rng.integers(0, 9)),
            venue=int(rng.integers(0, 4)),
            random=tuple(rng.random(4)),
        )
        for _ in range(count)
    ]


# -- asked directly --------------------------------------------------------------------------------------


def test_kernel_machine_code_and_class_give_the_same_bits(rng: np.random.Generator, bits: Bits) -> None:
    pytest.importorskip("numba")
    plain, compiled, formula = Line(), NativeState(Line()), LineInPython()
    for asked in questions(rng):
        wanted = bits(formula.evaluate(asked))
        assert bits(plain.evaluate(asked)) == wanted
        assert bits(compiled.evaluate(asked)) == wanted


def test_a_library_in_c_gives_the_same_bits(
    compile_c: Callable[..., Path], rng: np.random.Generator, bits: Bits
) -> None:
    model = load(compile_c(C_LINE), "line", [2.0])
    assert (model.kind, model.name) == (ModelKind.LATENCY, "Line")
    state, formula = NativeState(model), LineInPython()
    for asked in questions(rng):
        assert bits(state.evaluate(asked)) == bits(formula.evaluate(asked))


def test_the_context_has_what_the_class_says_and_the_draws_that_were_asked_for() -> None:
    asked = LatencyArgs(ts_ns=7, side=-1, message="modify", asset=3, venue=2, random=(0.1, 0.2, 0.3, 0.4))
    context = context_of(ModelKind.LATENCY, asked, n_random=2, who="Line")
    assert (context.ts_ns, context.side, context.message, context.asset, context.venue) == (7, -1, 2, 3, 2)
    assert list(context.random[:2]) == [0.1, 0.2]
    assert all(math.isnan(number) for number in context.random[2:])
    assert isinstance(context, struct("LatencyContext"))


def test_a_question_without_enough_draws_or_with_another_message_is_refused() -> None:
    with pytest.raises(ModelError, match="Line wants 2 random numbers for a call, and is asked with 0"):
        Line().evaluate(LatencyArgs(ts_ns=0, side=1))
    with pytest.raises(ModelError, match="message is 'send'; allowed: submit, modify, cancel"):
        Line().evaluate(LatencyArgs(ts_ns=0, side=1, message="send", random=(0.5, 0.5)))


def test_what_a_message_cannot_know_is_no_option() -> None:
    with pytest.raises(ConfigError, match="a latency takes no average_days, needs_bar, observe;"):

        @native_model(kind="latency", average_days=5, needs_bar=True, observe=True)
        @attrs.frozen
        class Knows:
            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
                return OK


# -- in a run --------------------------------------------------------------------------------------------

T0 = dt.datetime(2024, 1, 2, 18, 59, 59, 900_000, tzinfo=dt.UTC)
SIDES = {"bid_price": 10.0, "ask_price": 10.02, "bid_size": 100.0, "ask_size": 100.0}


class Sends(backtest.Strategy):  # type: ignore[misc, name-defined]
    """Sends, changes and cancels limits, before and after the hour."""

    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        self.calls += 1
        symbol = "AB"[self.calls % 2]
        if self.calls % 5 == 0:
            broker.buy(symbol, 1)
        elif self.calls % 5 == 1:
            broker.buy(symbol, 1, limit_price=9.0)
        for number, order in enumerate(broker.open_orders):
            if order.limit_price is not None and (self.calls + number) % 7 == 2:
                broker.modify_order(order, limit_price=9.5)
            elif (self.calls + number) % 7 == 5:
                broker.cancel_order(order)


def results(model: object, native: str = "prefer", engine: str = "rust") -> Made:
    instruments = [
        backtest.Instrument(symbol, calendar="24/7", venue=venue)
        for symbol, venue in (("A", "X"), ("B", "Y"))
    ]
    rows = [
        {"symbol": symbol, "timestamp": T0 + dt.timedelta(milliseconds=n)} | SIDES
        for n in range(300)
        for symbol in "AB"
    ]
    feed = backtest.DataFeed(
        pl.DataFrame(rows), kind="quote", stamp="event", calendar="24/7", instruments=instruments
    )
    config = {"backtest": {"native": native, "engine": engine, "seed": 20_240_301}}
    return backtest.run(Sends, feed, config=config, models={"latency": model})


def test_a_run_has_the_same_tables_with_kernel_machine_code_library_and_class(
    compile_c: Callable[..., Path],
) -> None:
    pytest.importorskip("numba")
    library = load(compile_c(C_LINE), "line", [2.0])
    wanted = results(LineInPython())
    arrived = wanted.table("order_events").filter(pl.col("reason_code").is_in(["REPLACED"]))
    assert arrived["ts_event"].n_unique() > 20
    found = {"capsule": [results(Line(), "require"), results(library, "require")]}
    found["python"] = [results(Line(), "never"), results(LineInPython(), engine="reference")]
    for path, runs in found.items():
        for run in runs:
            assert run.execution_paths["latency"] == path
            for name in ("order_events", "fills", "orders"):
                assert run.table(name).equals(wanted.table(name))


def test_a_library_begins_every_run_anew(compile_c: Callable[..., Path]) -> None:
    library = load(compile_c(C_LINE), "line", [2.0])
    one, other = (results(library).table("order_events") for _ in range(2))
    assert one.equals(other)


def test_an_error_of_a_kernel_names_the_order(rng: np.random.Generator) -> None:
    pytest.importorskip("numba")
    for native in ("require", "never"):
        with pytest.raises(ModelError, match=r"Line.*, [AB], order \d+, 2024-.*: cancels do not travel"):
            results(Line(cancels=False), native)


def test_a_table_of_another_kind_cannot_be_the_latency_model(compile_c: Callable[..., Path]) -> None:
    library = load(compile_c(C_LINE), "line", [2.0])
    frame = pl.DataFrame([{"symbol": "A", "timestamp": T0} | SIDES])
    feed = backtest.DataFeed(frame, kind="quote", stamp="event", calendar="24/7")
    with pytest.raises(ConfigError, match=r"line of .* is a latency model and cannot be the fee model"):
        backtest.run(Sends, feed, models={"fee": library})
