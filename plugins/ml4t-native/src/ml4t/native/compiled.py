"""Kernels compiled by numba, behind the function table of the native interface.

Everything here runs without the interpreter: also copies, resets and the text of an error are machine code,
so that no call waits for the interpreter's lock. A state is one block of memory:

    head     its size, where the changeable part begins, the number of the last error
    params   the parameters, as they were when the table was made
    state    what the kernel may change; zero at first, and again after a reset

numba turns an exception into 0 and prints it. The wrappers catch it before: 0 is answered in silence and
`last_error` says what to do. Indices are checked, so that a kernel cannot write past a buffer of the engine.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import carray, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, overload, register_jitable

from ml4t.core.errors import ModelError
from ml4t.core.types import ModelKind
from ml4t.native import layouts
from ml4t.native import math as exact
from ml4t.native.constants import GIVE_UP, OK, REJECT
from ml4t.native.kernel import HELPERS
from ml4t.native.refusals import ENDS_WITH, why
from ml4t.native.spec import STRATEGY_LIKE, WRITES_ORDERS, ZERO, Spec
from ml4t.native.structs import Made, record, struct
from ml4t.native.table import Owner, sizes

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Compiled"]

# `nopython` is numba's default; `fastmath` stays off, or the same formula would have other bits here.
_JIT: dict[str, Made] = {"error_model": "numpy", "boundscheck": True}
# Numbers of errors that no kernel can answer: those of `errors` are below 2**30.
_RAISED, _TOO_MANY, _OTHER_SIZE = -(2**30), -(2**30) - 1, -(2**30) - 2
_SENTENCES = {
    0: ZERO,
    _RAISED: "the kernel raised an exception; evaluate() of the class shows it, with the same arguments",
    _TOO_MANY: "the kernel answered more records than have room",
    _OTHER_SIZE: "the saved state has another size than the state of this kernel",
}
_RAISED_IN_A_RUN = 'the kernel raised an exception; a run with backtest.native = "never" shows it'
_HEAD = np.dtype({"names": ["size", "start", "error"], "formats": ["i8", "i8", "i8"]}, align=True)
_STATUS = types.int32


@functools.cache
def _memory() -> tuple[Any, Any, Any, Any]:
    """Return functions of the C runtime that need no interpreter: calloc, free, memmove, memset.

    Addresses go through them as integers, which numba can compute with.
    """
    api, size = ctypes.pythonapi, ctypes.c_size_t
    wanted = (
        (api.PyMem_RawCalloc, (size, size, size)),
        (api.PyMem_RawFree, (None, size)),
        (ctypes.memmove, (size, size, size, size)),
        (ctypes.memset, (size, size, ctypes.c_int, size)),
    )
    made = [
        ctypes.CFUNCTYPE(*prototype)(ctypes.cast(function, ctypes.c_void_p).value or 0)
        for function, prototype in wanted
    ]
    return made[0], made[1], made[2], made[3]


@functools.cache
def _common() -> dict[str, Any]:
    """Return what works on any state because its head says how large it is."""
    calloc, free, move, fill = _memory()
    head = types.CPointer(numba.from_dtype(_HEAD))

    def clone(proto: Made) -> Made:
        own = carray(proto, 1)
        copy = calloc(1, own[0].size)
        if copy != 0:
            move(copy, own.ctypes.data, own[0].size)
        return copy

    def reset(state: Made, seed: Made) -> Made:
        own = carray(state, 1)
        fill(own.ctypes.data + own[0].start, 0, own[0].size - own[0].start)
        own[0].error = 0
        return OK

    def drop(state: Made) -> None:
        free(state)

    def save(state: Made, saved: Made, capacity: Made) -> Made:
        own = carray(state, 1)
        size = own[0].size - own[0].start
        if size <= capacity:
            move(saved, own.ctypes.data + own[0].start, size)
        return size

    def load(state: Made, saved: Made, size: Made) -> Made:
        own = carray(state, 1)
        if size != own[0].size - own[0].start:
            own[0].error = _OTHER_SIZE
            return _STATUS(_OTHER_SIZE)
        move(own.ctypes.data + own[0].start, saved, size)
        return _STATUS(OK)

    return {
        "clone": numba.cfunc(types.uintp(head))(clone),
        "reset": numba.cfunc(_STATUS(head, types.uint64))(reset),
        "drop": numba.cfunc(types.void(types.uintp))(drop),
        "save": numba.cfunc(types.uintp(head, types.uintp, types.uintp))(save),
        "load": numba.cfunc(_STATUS(head, types.uintp, types.uintp))(load),
    }


def _register() -> None:
    """Let numba know the helpers that were marked since the last time, and the exact functions."""
    _register_exact()
    while HELPERS:
        register_jitable(**_JIT)(HELPERS.pop())


@functools.cache
def _register_exact() -> None:
    def one(name: str) -> Made:
        def typed(x: Made) -> Made:
            function = exact.functions()[name]

            # numba wants the signature of `typed` again, annotations included.
            def call(x: Made) -> Made:
                return function(x)

            return call

        return typed

    def power(base: Made, exponent: Made) -> Made:
        function = exact.functions()["pow"]

        def call(base: Made, exponent: Made) -> Made:
            return function(base, exponent)

        return call

    overload(exact.exp)(one("exp"))
    overload(exact.log)(one("log"))
    overload(exact.pow)(power)


class Compiled:
    """The machine code of one class."""

    def __init__(self, spec: Spec) -> None:
        """Compile the kernel.

        Raises
        ------
        ModelError
            If numba cannot compile it.
        """
        self._spec = spec
        self._params = _aligned([(name, code) for name, code in spec.params])
        self._state = _aligned([(name, ("f8", (n,))) for name, n in spec.state])
        parts = [("head", _HEAD), ("params", self._params), ("state", self._state)]
        self._block = _aligned(parts)
        _register()
        functions = {"eval": self._compile(_eval_of(spec.kind), spec.kernel, spec.kind.name)}
        if spec.observe is not None:
            functions["observe"] = self._compile(_observe, spec.observe, None)
        functions["last_error"] = _last_error(spec)
        self._functions = functions | _common()

    def _compile(self, wrap: Callable[[Any], Any], kernel: Callable[..., Any], kind: str | None) -> Made:
        arguments = layouts.EVALS[kind] if kind else (("fill", "const FillEvent*"),)
        block = types.CPointer(numba.from_dtype(self._block))
        signature = _STATUS(block, *(_numba_type(code) for _, code in arguments))
        compiled = numba.njit(**_JIT)(kernel)
        try:
            function = numba.cfunc(signature, **_JIT)(wrap(compiled))
        except Exception as error:
            msg = f"{kernel.__name__} of {self._spec.name} cannot be compiled: {why(error, kernel)}"
            raise ModelError(msg) from error
        for made in compiled.nopython_signatures:
            if not isinstance(made.return_type, types.Integer):
                msg = f"{kernel.__name__} of {self._spec.name} returns {made.return_type}; {ENDS_WITH}"
                raise ModelError(msg)
        return function

    def owner(self, model: object) -> Owner:
        """Return a table for an instance, with its parameters."""
        spec = self._spec
        proto = np.zeros(1, self._block)
        proto["head"]["size"] = self._block.itemsize
        proto["head"]["start"] = _offset(self._block, "state")
        for field, value in spec.values(model).items():
            proto["params"][field] = value
        name, version, columns = (
            ctypes.create_string_buffer(text.encode())
            for text in (spec.name, spec.version, ",".join(spec.columns))
        )
        table: Made = struct("ModelTable")()
        table.magic, table.struct_size = layouts.MAGIC, ctypes.sizeof(table)
        table.abi_major, table.abi_minor = layouts.ABI_MAJOR, layouts.ABI_MINOR
        table.kind, table.flags = spec.kind, self._flags(model)
        table.context_size, table.output_size = sizes(spec.kind)
        table.n_random, table.average_days = spec.n_random, getattr(model, "average_days", 0)
        table.name, table.model_version = ctypes.addressof(name), ctypes.addressof(version)
        table.n_columns = len(spec.columns)
        table.columns = ctypes.addressof(columns) if spec.columns else None
        table.proto = proto.ctypes.data
        for function, code in self._functions.items():
            setattr(table, function, code.address)
        return Owner(ctypes.addressof(table), keep=(table, proto, name, version, columns, self))

    def _flags(self, model: Made) -> int:
        flag = layouts.CONSTANTS["Flag"]
        flags = flag["SEND"]
        flags |= flag["NEEDS_BAR"] if model.needs_volume else 0
        flags |= flag["NEEDS_OBSERVE"] if self._spec.observe is not None else 0
        return flags | (flag["PURE"] if not self._spec.state else 0)


def _offset(layout: np.dtype[Any], field: str) -> int:
    """Return where a field of a record begins."""
    fields: Made = layout.fields
    return int(fields[field][1])


def _aligned(fields: list[tuple[str, Any]]) -> np.dtype[Any]:
    """Return a record with natural alignment; numba has none without a field."""
    given = fields or [("unused", "f8")]
    plain = np.dtype(
        {"names": [name for name, _ in given], "formats": [code for _, code in given]}, align=True
    )
    # Whole words, so that the record that follows in a block begins at one.
    size = -(-plain.itemsize // 8) * 8
    offsets = [_offset(plain, name) for name, _ in given]
    formats = [code for _, code in given]
    return np.dtype(
        {"names": [name for name, _ in given], "formats": formats, "offsets": offsets, "itemsize": size},
        align=True,
    )


def _numba_type(code: str) -> Made:
    """Return the type of an argument of `eval`."""
    if not code.endswith("*"):
        return {"u32": types.uint32}[code]
    inner = code.removeprefix("const ").removesuffix("*")
    plain = {"u32": types.uint32, "f64": types.float64}
    if inner == "void":
        return types.voidptr
    return types.CPointer(plain[inner] if inner in plain else record(inner))


def _eval_of(kind: ModelKind) -> Callable[[Any], Any]:
    """Return what wraps a kernel into the C signature of its kind."""
    if kind in STRATEGY_LIKE:
        return _eval_strategy
    if kind is ModelKind.EXECUTOR:
        return _eval_executor
    return _eval_fill if kind is ModelKind.FILL else _eval_one


@intrinsic  # type: ignore[untyped-decorator]
def sealed(_context: Any, array: Any) -> Any:  # noqa: ANN401 - types of numba
    """Return an array as one that cannot be written: what a kernel reads stays as the engine keeps it."""
    plain = types.Array(array.dtype, array.ndim, array.layout, readonly=True, aligned=array.aligned)

    def same(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

    return plain(array), same


# The wrappers are compiled; their names and arguments are those of the interface.


def _eval_one(kernel: Made) -> Made:
    def evaluate(state: Made, context: Made, output: Made) -> Made:
        own = carray(state, 1)[0]
        try:
            status = _STATUS(kernel(own.params, own.state, carray(context, 1)[0], carray(output, 1)[0]))
        except Exception:
            own.head.error = _RAISED
            return _STATUS(0)
        if status <= 0:
            own.head.error = status
        return status

    return evaluate


def _observe(kernel: Made) -> Made:
    def observe(state: Made, fill: Made) -> Made:
        own = carray(state, 1)[0]
        try:
            status = _STATUS(kernel(own.params, own.state, carray(fill, 1)[0]))
        except Exception:
            own.head.error = _RAISED
            return _STATUS(0)
        if status <= 0:
            own.head.error = status
        return status

    return observe


def _eval_fill(kernel: Made) -> Made:
    def evaluate(  # noqa: PLR0913 - the signature is the interface's
        state: Made,
        context: Made,
        order_state: Made,
        levels: Made,
        n_levels: Made,
        fills: Made,
        capacity: Made,
        output: Made,
    ) -> Made:
        own = carray(state, 1)[0]
        out = carray(output, 1)[0]
        try:
            slices = carray(fills, capacity)
            status = _STATUS(kernel(own.params, own.state, carray(context, 1)[0], slices, out))
        except Exception:
            own.head.error = _RAISED
            return _STATUS(0)
        if status <= 0:
            own.head.error = status
        elif out.n_fills > capacity:
            own.head.error = _TOO_MANY
            return _STATUS(_TOO_MANY)
        return status

    return evaluate


def _eval_strategy(kernel: Made) -> Made:
    def evaluate(  # noqa: PLR0913 - the signature is the interface's
        state: Made,
        context: Made,
        changed: Made,
        columns: Made,
        positions: Made,
        open_orders: Made,
        fills: Made,
        orders: Made,
        capacity: Made,
        n_orders: Made,
    ) -> Made:
        own = carray(state, 1)[0]
        ctx = carray(context, 1)[0]
        try:
            count = int(
                kernel(
                    own.params,
                    own.state,
                    ctx,
                    sealed(carray(changed, ctx.n_changed)),
                    sealed(carray(columns, (ctx.n_columns, ctx.n_assets))),
                    sealed(carray(positions, ctx.n_assets)),
                    sealed(carray(open_orders, ctx.n_open_orders)),
                    sealed(carray(fills, ctx.n_fills)),
                    carray(orders, capacity),
                )
            )
        except Exception:
            own.head.error = _RAISED
            return _STATUS(0)
        if count > capacity:
            count = _TOO_MANY
        if count < 0:
            own.head.error = count
            return _STATUS(count)
        carray(n_orders, 1)[0] = count
        return _STATUS(OK)

    return evaluate


def _eval_executor(kernel: Made) -> Made:
    def evaluate(
        state: Made, context: Made, open_orders: Made, orders: Made, capacity: Made, n_orders: Made
    ) -> Made:
        own = carray(state, 1)[0]
        ctx = carray(context, 1)[0]
        try:
            at_work = carray(open_orders, ctx.n_open_orders)
            count = int(kernel(own.params, own.state, ctx, at_work, carray(orders, capacity)))
        except Exception:
            own.head.error = _RAISED
            return _STATUS(0)
        if count == GIVE_UP:
            return _STATUS(REJECT)
        if count > capacity:
            count = _TOO_MANY
        if count < 0:
            own.head.error = count
            return _STATUS(count)
        carray(n_orders, 1)[0] = count
        return _STATUS(OK)

    return evaluate


def _write_digits(room: Made, at: Made, number: Made) -> Made:
    power = np.int64(1)
    while power * 10 <= number:
        power *= 10
    while power > 0:
        if at < len(room):
            room[at] = 48 + number // power % 10
        at += 1
        power //= 10
    return at


def _last_error(spec: Spec) -> Made:
    """Compile what writes the sentence of the last error."""
    sentences = {-number: text for number, text in spec.errors.items()} | _SENTENCES
    if spec.kind in WRITES_ORDERS:
        sentences[_RAISED] = _RAISED_IN_A_RUN
    texts = [text.encode() for text in (*sentences.values(), *spec.unnamed)]
    numbers = np.array(list(sentences), dtype=np.int64)
    ends = np.cumsum([len(text) for text in texts])
    starts = ends - np.array([len(text) for text in texts])
    letters = np.frombuffer(b"".join(texts), dtype=np.uint8)
    named = len(numbers)

    def write_text(room: Made, at: Made, which: Made) -> Made:
        for k in range(starts[which], ends[which]):
            if at < len(room):
                room[at] = letters[k]
            at += 1
        return at

    write, write_digits = numba.njit(write_text), numba.njit(_write_digits)

    def last_error(state: Made, text: Made, capacity: Made) -> Made:
        number, room = carray(state, 1)[0].error, carray(text, capacity)
        for k in range(named):
            if numbers[k] == number:
                return write(room, 0, k)
        return write(room, write_digits(room, write(room, 0, named), -number), named + 1)

    head = types.CPointer(numba.from_dtype(_HEAD))
    return numba.cfunc(types.uintp(head, types.CPointer(types.uint8), types.uintp))(last_error)
