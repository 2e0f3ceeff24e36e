"""Kernels: what they answer as machine code is what they answer in Python, bit for bit."""

from __future__ import annotations

import ctypes
import gc
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import (
    FeeArgs,
    FeeOut,
    FillArgs,
    FillOut,
    FxArgs,
    FxOut,
    ImpactArgs,
    ImpactOut,
    ObservedFill,
    SlippageArgs,
    SlippageOut,
)
from ml4t.core.types import ModelKind
from ml4t.native import (
    DEFER,
    NO_OPINION,
    OK,
    REJECT,
    Liquidity,
    Missing,
    NativeState,
    OrderKind,
    Phase,
    helper,
    native_model,
    struct,
    unset,
)
from ml4t.native.structs import Made
from ml4t.native.table import address_in

pytest.importorskip("numba")

N_CONTEXTS = 1_000
Bits = Callable[[Any], Any]


@helper
def share_of(quantity: float, volume: float) -> float:
    """Part of the volume, at most all of it."""
    return min(quantity / volume, 1.0)


@native_model(
    kind="slippage",
    errors={1: "volume is missing", 9: "Größe über 9"},
    needs_bar=True,
    state={"turnover": 1, "last": 3},
)
@attrs.frozen
class Busy:
    """Slippage that grows with the share of the volume and with what was traded before."""

    factor: float = 0.1
    steps: int = 2
    is_square: bool = True
    volume_limit: float | None = None

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if ctx.flags & Missing.VOLUME or ctx.volume <= 0.0:
            return -1
        if ctx.price < 0.0:
            return -9 if params.steps == 2 else -13
        if ctx.phase == Phase.QUOTE:
            return NO_OPINION
        if ctx.phase == Phase.TRADE:
            return DEFER
        share = share_of(ctx.quantity, ctx.volume)
        total = 0.0
        for k in range(params.steps):
            state.last[k % 3] = share + state.last[(k + 1) % 3] / 3.0
            total += state.last[k % 3]
        state.turnover[0] += ctx.quantity * ctx.price * ctx.side
        out.adjustment = params.factor * ctx.price * (total * total if params.is_square else math.sqrt(total))
        out.spread = abs(ctx.ask - ctx.bid) / 2.0 + max(state.turnover[0], 0.0) * 1e-9
        out.quantity_cap = ctx.volume if math.isnan(params.volume_limit) else params.volume_limit * ctx.volume
        return OK


@native_model(kind="impact", average_days="days", state={"moved": 1}, observe=True)
@attrs.frozen
class Root:
    """Square root of our share of an average day, and a part of it that stays."""

    eta: float = 0.7
    days: int = 20

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if math.isnan(ctx.average_volume) or ctx.average_volume <= 0.0:
            return NO_OPINION
        day = ctx.volatility * ctx.price
        out.temporary = params.eta * day * math.sqrt(ctx.quantity / ctx.average_volume)
        out.permanent = (
            0.3 * day * ctx.quantity / ctx.average_volume + ctx.displacement * 1e-3 + state.moved[0]
        )
        return OK

    @staticmethod
    def observe(params: Made, state: Made, fill: Made) -> int:
        if fill.quantity < 0.0:
            return -1
        state.moved[0] += fill.quantity * fill.side * (1.0 if fill.liquidity == Liquidity.TAKER else 0.5)
        return OK


@native_model(kind=ModelKind.FEE)
@attrs.frozen
class Tiered:
    """Less for what comes later in a month, a rebate for makers."""

    rate: float = 0.001

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        rate = params.rate / 2.0 if ctx.month_notional > 1e6 else params.rate
        rate = -rate / 4.0 if ctx.liquidity == Liquidity.MAKER else rate
        out.fee = max(rate * ctx.notional, 1.0 - ctx.order_fees) + ctx.multiplier * 0.01
        return OK


@native_model(kind="fill")
@attrs.frozen
class Pieces:
    """A limit in one piece; a market order in up to three, each a tick worse."""

    share: float = 0.25

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, fills: Made, out: Made) -> int:
        if ctx.phase == Phase.TRADE:
            return REJECT
        if ctx.phase == Phase.QUOTE:
            return DEFER if ctx.side > 0 else NO_OPINION
        if ctx.kind == OrderKind.LIMIT:
            fills[0].price = ctx.price
            fills[0].quantity = ctx.leaves_quantity
            fills[0].liquidity = ctx.liquidity
            out.n_fills = 1
            return OK
        left = ctx.leaves_quantity
        n = 0
        while n < 3 and left > 0.0:
            piece = min(left, params.share * ctx.volume)
            fills[n].price = ctx.price + ctx.side * n * ctx.tick_size
            fills[n].quantity = piece
            fills[n].liquidity = Liquidity.TAKER
            left -= piece
            n += 1
        out.n_fills = n
        return OK


PHASES = ("open", "range", "close", "quote", "trade")
ROW = ("open", "high", "low", "close", "volume", "bid", "ask", "volume_used", "tick_size", "lot_size")


def numbers(
    rng: np.random.Generator, names: tuple[str, ...], *, may_lack: tuple[str, ...] = ()
) -> dict[str, float]:
    """Random floats over many magnitudes, some of them missing."""
    drawn = {name: float(rng.lognormal(3.0, 3.0)) for name in names}
    return drawn | {name: math.nan for name in may_lack if rng.random() < 0.1}


def draw(kind: ModelKind, rng: np.random.Generator) -> Made:
    """One random argument of a kind."""
    common: dict[str, Any] = {
        "ts_ns": int(rng.integers(-(2**62), 2**62)),
        "side": int(rng.choice([-1, 1])),
    }
    if kind is ModelKind.FEE:
        names = (
            "quantity",
            "price",
            "multiplier",
            "notional",
            "order_fees",
            "month_quantity",
            "month_notional",
        )
        return FeeArgs(**common, **numbers(rng, names), liquidity=str(rng.choice(["maker", "taker"])))
    common["phase"] = str(rng.choice(PHASES))
    row = numbers(rng, ROW, may_lack=("volume", "bid", "high"))
    if kind is ModelKind.FILL:
        common |= {"order_type": str(rng.choice(["market", "limit"])), "liquidity": "maker"}
        return FillArgs(**common, **row, **numbers(rng, ("price", "leaves_quantity", "limit_price", "size")))
    averages = numbers(rng, ("average_volume", "volatility"), may_lack=("average_volume",))
    price = float(rng.lognormal(3.0, 1.0)) * (-1.0 if rng.random() < 0.05 else 1.0)
    asked = row | averages | {"reference_price": price} | numbers(rng, ("quantity", "multiplier"))
    if kind is ModelKind.SLIPPAGE:
        return SlippageArgs(**common, **asked)
    more = numbers(rng, ("order_quantity", "order_filled_quantity", "displacement"))
    return ImpactArgs(**common, **asked, **more, asset=int(rng.integers(0, 2**32)))


def outcome(ask: Callable[[Any], Any], given: object) -> Made:
    """The answer, or the text of the refusal."""
    try:
        return ask(given)
    except ModelError as error:
        return str(error)


@pytest.mark.parametrize(
    "model",
    [
        Busy(),
        Busy(0.3, steps=7, is_square=False, volume_limit=0.05),
        Root(),
        Tiered(0.0007),
        Pieces(),
        Pieces(1e-6),
    ],
    ids=repr,
)
def test_machine_code_and_python_answer_the_same_bits(
    model: Made, rng: np.random.Generator, bits: Bits
) -> None:
    copied, native = model.clone(), NativeState(model)
    seen = set()
    for _ in range(N_CONTEXTS):
        asked = draw(model.native_kind, rng)
        expected, found = outcome(copied.evaluate, asked), outcome(native.evaluate, asked)
        assert bits(found) == bits(expected), asked
        seen.add(type(expected))
        if hasattr(model, "observe"):
            told = told_of(quantity=float(rng.lognormal()), liquidity=str(rng.choice(["maker", "taker"])))
            copied.observe(told)
            native.observe(told)
    assert len(seen) >= (2 if isinstance(model, Busy | Pieces) else 1)


def told_of(**changed: Made) -> ObservedFill:
    fields: dict[str, Any] = {
        "ts_ns": 1,
        "side": 1,
        "asset": 4,
        "order_id": 9,
        "price": 40.0,
        "quantity": 5.0,
    }
    costs = {"multiplier": 1.0, "fee": 0.5, "slippage": 0.01, "impact": 0.02, "liquidity": "taker"}
    return ObservedFill(**(fields | costs | changed))


def test_every_field_of_the_arguments_arrives_under_its_name_in_the_interface() -> None:
    seen: list[Any] = []

    @native_model(kind="impact")
    @attrs.frozen
    class Spy:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            seen.append(ctx)
            return NO_OPINION

    given = {field.name: float(n + 1) for n, field in enumerate(attrs.fields(ImpactArgs))}
    args = ImpactArgs(**(given | {"ts_ns": 77, "side": -1, "phase": "close", "asset": 3}))
    assert Spy().evaluate(args) == ImpactOut(0.0, 0.0)
    ctx = seen[0]
    assert (ctx.size, ctx.ts_ns, ctx.side, ctx.asset, ctx.phase) == (
        ctypes.sizeof(ctx),
        77,
        -1,
        3,
        Phase.CLOSE,
    )
    assert (ctx.price, ctx.flags) == (given["reference_price"], 0)
    for name in ("quantity", "order_quantity", "order_filled_quantity", *ROW, "average_volume", "volatility"):
        assert getattr(ctx, name) == given[name], name
    assert (ctx.displacement, ctx.multiplier) == (given["displacement"], given["multiplier"])
    assert all(math.isnan(value) for value in ctx.random)


def test_what_is_missing_has_its_bit() -> None:
    asked = SlippageArgs(ts_ns=0, side=1, quantity=1.0, reference_price=2.0, high=3.0, bid=1.0)
    seen: list[int] = []

    @native_model(kind="slippage")
    @attrs.frozen
    class Spy:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            seen.append(ctx.flags)
            return DEFER

    assert Spy().evaluate(asked) == SlippageOut(0.0, 0.0, quantity_cap=0.0)
    assert seen == [Missing.VOLUME | Missing.AVERAGE_VOLUME | Missing.VOLATILITY]


ASKED = SlippageArgs(
    ts_ns=0, side=1, quantity=10.0, reference_price=40.0, volume=200.0, phase="close", bid=39.0, ask=41.0
)


def test_the_worked_example() -> None:
    """share 10 / 200 = 0.05; last[0] = 0.05, last[1] = 0.05 + 0 / 3; (0.1)² x 0.1 x 40 = 0.04."""
    found = Busy().evaluate(ASKED)
    assert found.price_adjustment == pytest.approx(0.04)
    assert found.spread == pytest.approx(1.0 + 400.0e-9)
    assert found.quantity_cap == 200.0
    assert Busy(volume_limit=0.5).evaluate(ASKED).quantity_cap == 100.0


def test_a_copy_begins_afresh_and_equal_instances_do_not_share_state() -> None:
    model, equal = Busy(), Busy()
    first = model.evaluate(ASKED)
    second = model.evaluate(ASKED)
    assert second != first
    assert model.clone() == model == equal
    assert model.clone().evaluate(ASKED) == equal.evaluate(ASKED) == first
    assert model.evaluate(ASKED) not in (first, second)


def test_native_states_are_independent_and_reset_begins_again() -> None:
    first, second = NativeState(Busy()), NativeState(Busy())
    one = first.evaluate(ASKED)
    two = first.evaluate(ASKED)
    assert two != one
    assert second.evaluate(ASKED) == one
    first.reset()
    assert (first.evaluate(ASKED), first.evaluate(ASKED)) == (one, two)


def test_a_saved_state_goes_on_in_another_process_of_asking() -> None:
    running = NativeState(Busy())
    running.evaluate(ASKED)
    saved = running.save()
    assert saved is not None
    two, three = running.evaluate(ASKED), running.evaluate(ASKED)
    other = NativeState(Busy())
    for _ in range(2):
        other.load(saved)
        assert (other.evaluate(ASKED), other.evaluate(ASKED)) == (two, three)
    with pytest.raises(
        ModelError, match="load: the saved state has another size than the state of this kernel"
    ):
        other.load(saved[:-8])
    assert other.evaluate(ASKED) not in (two, three), "a refused state changes nothing"


def test_a_clone_of_a_running_state_goes_on_by_itself() -> None:
    """The table promises it: `clone` takes any state, not only the prototype."""
    running = NativeState(Busy())
    one, two = running.evaluate(ASKED), running.evaluate(ASKED)
    table = running._table
    copied = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(table.clone)(running._state)
    output = unset("SlippageOutput")
    context = unset("SlippageContext")
    for name, value in {"price": 40.0, "quantity": 10.0, "volume": 200.0, "bid": 39.0, "ask": 41.0}.items():
        setattr(context, name, value)
    context.phase, context.side = Phase.CLOSE, 1
    ask = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 3)(table.eval)
    assert ask(copied, ctypes.addressof(context), ctypes.addressof(output)) == OK
    three = running.evaluate(ASKED)
    assert SlippageOut(output.adjustment, output.spread, output.quantity_cap) == three
    assert len({one, two, three}) == 3
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(table.drop)(copied)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(table.drop)(None)


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize(
    ("changed", "status", "texts"),
    [
        ({"volume": math.nan}, -1, {"volume is missing"}),
        ({"volume": 0.0}, -1, {"volume is missing"}),
        (
            {"reference_price": -1.0},
            None,
            {"Größe über 9", "the kernel answered -13, which errors= does not name; known: -1, -9"},
        ),
    ],
)
def test_an_error_has_its_status_and_its_sentence(
    steps: int, changed: dict[str, float], status: int | None, texts: set[str]
) -> None:
    model = Busy(steps=steps)
    expected = status if status is not None else {2: -9, 3: -13}[steps]
    asked = attrs.evolve(ASKED, **changed)
    with pytest.raises(ModelError) as in_python:
        model.evaluate(asked)
    native = NativeState(model)
    with pytest.raises(ModelError) as as_code:
        native.evaluate(asked)
    assert str(in_python.value).removeprefix("Busy: ") in texts
    assert str(as_code.value) == str(in_python.value)
    context, output = unset("SlippageContext"), unset("SlippageOutput")
    context.price, context.volume = asked.reference_price, asked.volume
    context.flags = Missing.VOLUME if math.isnan(asked.volume) else 0
    assert native.call(context, output) == expected
    native.reset()
    assert native.evaluate(ASKED) == model.clone().evaluate(ASKED)


def test_the_text_of_an_error_is_cut_where_there_is_no_room_and_its_length_is_told() -> None:
    native = NativeState(Busy())
    assert outcome(native.evaluate, attrs.evolve(ASKED, reference_price=-1.0)) == "Busy: Größe über 9"
    ask = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    room = ctypes.create_string_buffer(b"." * 32)
    wanted = "Größe über 9".encode()
    assert ask(native._table.last_error)(native._state, room, 4) == len(wanted)
    assert room.raw[:6] == wanted[:4] + b".."


@native_model(kind="fee")
@attrs.frozen
class Faulty:
    """Fails in the way that it is told."""

    fault: int = 0

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if params.fault == 1:
            raise ValueError("no fee")  # noqa: EM101 - what numba compiles
        if params.fault == 2:
            return 0
        if params.fault == 3:
            return REJECT
        if params.fault == 4:
            return 17
        numbers = np.zeros(3)
        out.fee = numbers[int(ctx.quantity)]
        return OK


SOLD = FeeArgs(ts_ns=0, side=-1, quantity=2.0, price=40.0)


@pytest.mark.parametrize(
    ("fault", "quantity", "error"),
    [
        (1, 2.0, "Faulty: the kernel raised an exception; evaluate() of the class shows it"),
        (0, 3.0, "Faulty: the kernel raised an exception; evaluate() of the class shows it"),
        (2, 2.0, "Faulty: the kernel answered 0, which is no status: OK is 1, an error is negative"),
    ],
)
def test_a_kernel_that_raises_answers_0_in_silence(
    fault: int, quantity: float, error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    native = NativeState(Faulty(fault))
    context, output = unset("FeeContext"), unset("FeeOutput")
    context.quantity = quantity
    assert native.call(context, output) == 0
    assert native.last_error().startswith(error.removeprefix("Faulty: "))
    with pytest.raises(ModelError) as refused:
        native.evaluate(attrs.evolve(SOLD, quantity=quantity))
    assert str(refused.value).startswith(error)
    assert capfd.readouterr() == ("", "")


def test_in_python_an_exception_of_a_kernel_comes_out_as_it_is() -> None:
    with pytest.raises(ValueError, match="no fee"):
        Faulty(1).evaluate(SOLD)
    with pytest.raises(IndexError):
        Faulty(0).evaluate(attrs.evolve(SOLD, quantity=3.0))
    assert Faulty(0).evaluate(SOLD) == NativeState(Faulty(0)).evaluate(SOLD) == FeeOut(0.0)


@pytest.mark.parametrize("fault", [3, 4])
def test_a_status_that_means_nothing_for_the_kind_is_refused(fault: int) -> None:
    for ask in (Faulty(fault).evaluate, NativeState(Faulty(fault)).evaluate):
        with pytest.raises(
            ModelError, match=r"Faulty answered the status \d+, which means nothing for a fee"
        ):
            ask(SOLD)


def test_a_division_by_zero_is_infinite_as_machine_code() -> None:
    @native_model(kind="fee")
    @attrs.frozen
    class Inverse:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.fee = 1.0 / ctx.quantity
            return OK

    nothing = attrs.evolve(SOLD, quantity=0.0)
    assert NativeState(Inverse()).evaluate(nothing) == FeeOut(math.inf)
    with pytest.raises(ZeroDivisionError):
        Inverse().evaluate(nothing)


def test_an_output_that_is_not_written_stays_nan() -> None:
    @native_model(kind="impact")
    @attrs.frozen
    class Half:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.temporary = 0.5
            return OK

    asked = ImpactArgs(ts_ns=0, side=1, quantity=1.0, reference_price=2.0)
    for found in (Half().evaluate(asked), NativeState(Half()).evaluate(asked)):
        assert found.temporary == 0.5
        assert math.isnan(found.permanent)


def test_a_fill_in_pieces_is_a_tuple() -> None:
    asked = FillArgs(
        ts_ns=0, side=-1, phase="close", price=25.0, leaves_quantity=100.0, volume=240.0, tick_size=0.5
    )
    expected = (
        FillOut(25.0, 60.0, "taker"),
        FillOut(24.5, 40.0, "taker"),
    )
    assert Pieces().evaluate(asked) == NativeState(Pieces()).evaluate(asked) == expected
    none = attrs.evolve(asked, leaves_quantity=0.0)
    assert math.isnan(Pieces().evaluate(none).price)


def test_more_slices_than_have_room_are_refused() -> None:
    @native_model(kind="fill")
    @attrs.frozen
    class Many:
        writes: bool

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, fills: Made, out: Made) -> int:
            n = len(fills) + 1
            if params.writes:
                for k in range(n):
                    fills[k].price = 1.0
            out.n_fills = n
            return OK

    asked = FillArgs(ts_ns=0, side=1, price=25.0, leaves_quantity=100.0)
    with pytest.raises(ModelError, match="Many says that it wrote 17 slices; 16 have room"):
        Many(writes=False).evaluate(asked)
    with pytest.raises(ModelError, match="Many: the kernel answered more records than have room"):
        NativeState(Many(writes=False)).evaluate(asked)
    with pytest.raises(IndexError):
        Many(writes=True).evaluate(asked)
    with pytest.raises(ModelError, match="Many: the kernel raised an exception"):
        NativeState(Many(writes=True)).evaluate(asked)


def test_a_model_listens_to_fills_and_its_errors_stop_it() -> None:
    asked = ImpactArgs(
        ts_ns=0, side=1, quantity=1.0, reference_price=2.0, average_volume=100.0, volatility=0.0
    )
    model = Root()
    native = NativeState(model)
    for each in (model, native):
        each.observe(told_of(quantity=5.0, side=-1))
        each.observe(told_of(quantity=4.0, liquidity="maker"))
        assert each.evaluate(asked) == ImpactOut(0.0, -3.0)
        with pytest.raises(ModelError, match=r"^Root: observe: the kernel answered -1, which errors="):
            each.observe(told_of(quantity=-1.0))
        with pytest.raises(ModelError, match="Root is told of fills by an ObservedFill, not int"):
            each.observe(5)
    assert Root.observe.__doc__ == "Take notice of a fill."
    assert not hasattr(Tiered, "observe")


def test_the_table_says_what_the_model_needs() -> None:
    flags = {"SEND": 2, "PURE": 8, "NEEDS_BAR": 16, "NEEDS_OBSERVE": 32}
    busy, root, tiered = (NativeState(model)._table for model in (Busy(), Root(days=5), Tiered()))
    assert busy.flags == flags["SEND"] | flags["NEEDS_BAR"]
    assert root.flags == flags["SEND"] | flags["NEEDS_OBSERVE"]
    assert tiered.flags == flags["SEND"] | flags["PURE"]
    assert (busy.average_days, root.average_days) == (0, 5)
    assert Busy.needs_volume is True
    assert (Root(days=5).average_days, Root.needs_volume, Tiered.average_days) == (5, False, 0)
    assert (busy.context_size, busy.output_size) == (
        ctypes.sizeof(struct("SlippageContext")),
        ctypes.sizeof(struct("SlippageOutput")),
    )


def test_what_a_model_needs_may_depend_on_its_parameters() -> None:
    @native_model(kind="slippage")
    @attrs.frozen
    class Capped:
        limit: float | None = None
        average_days: int = 3

        @property
        def needs_volume(self) -> bool:
            return self.limit is not None

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            return NO_OPINION

    assert [NativeState(Capped(limit))._table.flags & 16 for limit in (None, 0.5)] == [0, 16]
    assert NativeState(Capped(average_days=8))._table.average_days == 8
    assert Capped().evaluate(ASKED) == SlippageOut(0.0)


def test_random_draws_reach_the_kernel_and_python_says_that_it_has_none() -> None:
    @native_model(kind="fee", n_random=2)
    @attrs.frozen
    class Dice:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.fee = 1.0
            return OK

    @native_model(kind="slippage", n_random=2)
    @attrs.frozen
    class Noise:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.adjustment = ctx.random[0] - ctx.random[1]
            return OK

    context, output = unset("SlippageContext"), unset("SlippageOutput")
    context.random[0], context.random[1] = 0.75, 0.5
    native = NativeState(Noise())
    assert native._table.n_random == 2
    assert native.call(context, output) == OK
    assert output.adjustment == 0.25
    with pytest.raises(ModelError, match="Noise wants 2 random numbers for a call, which SlippageArgs"):
        Noise().evaluate(ASKED)
    assert Noise().evaluate(context).price_adjustment == 0.25
    with pytest.raises(ModelError, match="Dice wants 2 random numbers"):
        Dice().evaluate(SOLD)


def test_other_kinds_with_one_context_are_asked_with_the_struct() -> None:
    @native_model(kind="settlement")
    @attrs.frozen
    class Days:
        after: float = 2.0

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.sessions = params.after + (1.0 if ctx.amount < 0.0 else 0.0)
            return OK

    context = unset("SettlementContext")
    context.amount = -500.0
    assert Days().evaluate(context).sessions == NativeState(Days()).evaluate(context).sessions == 3.0
    wanted = "Days is a settlement model and is asked with SettlementContext, not FeeArgs"
    with pytest.raises(ModelError, match=wanted):
        Days().evaluate(SOLD)


def test_a_model_of_conversions_answers_a_rate_and_a_fee() -> None:
    @native_model(kind="fx")
    @attrs.frozen
    class Wide:
        half: float = 0.01

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            if ctx.amount == 0.0:
                return NO_OPINION
            out.rate = ctx.rate * (1.0 + params.half * ctx.side)
            out.fee = 2.0
            return OK

    asked = FxArgs(ts_ns=0, amount=-500.0, rate=2.0, side=-1)
    assert Wide().evaluate(asked) == NativeState(Wide()).evaluate(asked) == FxOut(rate=1.98, fee=2.0)
    assert Wide().evaluate(attrs.evolve(asked, amount=0.0)) == FxOut(rate=2.0)
    with pytest.raises(ModelError, match="Wide is a fx model and is asked with FxArgs, not FeeArgs"):
        Wide().evaluate(SOLD)


def test_a_capsule_keeps_everything_that_it_needs() -> None:
    capsule = Busy(0.2).__ml4t_model_v1__(2)
    gc.collect()
    address = address_in(capsule, "Busy")
    table: Made = struct("ModelTable").from_address(address)
    assert ctypes.cast(table.name, ctypes.c_char_p).value == b"Busy"
    assert table.release is None

    class Only:
        native_kind: ClassVar[ModelKind] = ModelKind.SLIPPAGE

        def __ml4t_model_v1__(self, kind: int) -> object:
            return capsule

    assert NativeState(Only()).evaluate(ASKED) == Busy(0.2).evaluate(ASKED)


def test_the_kernel_is_compiled_once_for_a_class() -> None:
    states = [NativeState(Busy(factor)) for factor in (0.1, 0.2)]
    one, two = (state._table for state in states)
    assert (one.eval, one.clone, one.last_error) == (two.eval, two.clone, two.last_error)
    assert one.proto != two.proto


def test_states_are_asked_from_several_threads_at_once() -> None:
    expected = NativeState(Busy()).evaluate(ASKED)
    found: list[SlippageOut] = []

    def ask() -> None:
        for _ in range(200):
            with NativeState(Busy()) as state:
                found.append(state.evaluate(ASKED))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 800


def test_a_model_can_be_pickled() -> None:
    model = pickle.loads(pickle.dumps(Tiered(0.5)))
    assert model == Tiered(0.5)
    asked = attrs.evolve(SOLD, notional=80.0)
    assert NativeState(model).evaluate(asked) == Tiered(0.5).evaluate(asked) == FeeOut(40.01)


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="Tiered is a fee model and cannot be the slippage model"):
        Tiered().__ml4t_model_v1__(2)


def test_a_kernel_cannot_change_a_parameter() -> None:
    @native_model(kind="fee")
    @attrs.frozen
    class Writer:
        rate: float = 1.0

        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            params.rate = 2.0
            return OK

    with pytest.raises(ModelError, match="a kernel cannot change the parameter rate; what changes is state"):
        Writer().evaluate(SOLD)


def test_a_kernel_that_numba_cannot_compile_is_named() -> None:
    def lookup(value: float) -> float:
        return {"a": value}["a"]

    @native_model(kind="fee")
    @attrs.frozen
    class Unmarked:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            out.fee = lookup(ctx.price)
            return OK

    assert Unmarked().evaluate(SOLD) == FeeOut(40.0)
    with pytest.raises(
        ModelError, match=r"(?s)kernel of Unmarked cannot be compiled: .*ml4t\.native\.helper"
    ):
        Unmarked().__ml4t_model_v1__(4)


def test_a_subclass_needs_the_decorator_itself() -> None:
    @attrs.frozen
    class Wider(Tiered):
        more: float = 1.0

    with pytest.raises(ModelError, match="Wider inherits its kernel; decorate it with native_model as well"):
        Wider().evaluate(SOLD)
