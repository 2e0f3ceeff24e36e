"""Ask a native model from Python, as the engine does: to try a library, or to compare it with a formula."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Self

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.types import ModelKind
from ml4t.native.constants import DEFER, NO_OPINION, OK, REJECT
from ml4t.native.executor import work
from ml4t.native.portfolio import PORTFOLIO, ask
from ml4t.native.spec import ALLOWED, STRATEGY_LIKE
from ml4t.native.structs import Made, eval_type, struct, unset
from ml4t.native.table import address_in, kind_of, read_table, text_at
from ml4t.native.translate import MOST_SLICES, answer, context_of, event_of, output_of

__all__ = ["NativeState"]

_TEXT_CAPACITY = 4096
_VOID, _I32, _SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
_NO_SIZE = _SIZE(-1).value


class NativeState:
    """A state of a native model, reset as for a run.

    Parameters
    ----------
    model : object
        A model with `__ml4t_model_v1__`: made by `load`, by `native_model`, or by an extension module.
    kind : ModelKind, str, int or None
        What to ask it for; None takes the one kind that the model says it has.
    seed : int
        Seed of the run.

    Raises
    ------
    ModelError
        If the model has no native form here, or its table cannot be used.

    Examples
    --------
    >>> import attrs
    >>> from ml4t.core.models import FeeArgs
    >>> from ml4t.native import OK, native_model
    >>> @native_model(kind="fee")
    ... @attrs.frozen
    ... class PerContract:
    ...     fee: float = 2.0
    ...
    ...     @staticmethod
    ...     def kernel(params, state, ctx, out):
    ...         out.fee = params.fee * ctx.quantity
    ...         return OK
    >>> NativeState(PerContract()).evaluate(FeeArgs(ts_ns=0, side=1, quantity=3.0, price=70.0))
    FeeOut(fee=6.0)
    """

    def __init__(self, model: Made, *, kind: ModelKind | str | int | None = None, seed: int = 0) -> None:
        """Clone the state of a model and reset it."""
        self._name = type(model).__name__
        self.kind = _wanted(model, kind)
        self._capsule = model.__ml4t_model_v1__(int(self.kind))
        if self._capsule is None:
            why = getattr(model, "native_missing", None) or "it answered None"
            msg = f"{self._name} has no native form here: {why}"
            raise ModelError(msg)
        self._table = read_table(address_in(self._capsule, self._name), f"the table of {self._name}")
        if self._table.kind != self.kind:
            msg = f"{self._name}: asked for a {self.kind.label} model, it answered kind {self._table.kind}"
            raise ModelError(msg)
        self._name = text_at(self._table.name) or self._name
        self._eval = eval_type(self.kind.name)(self._table.eval)
        self._state = self._copied()
        self._free = self._freeing()
        self.reset(seed)

    def _copied(self) -> int | None:
        if not self._table.clone:
            return int(self._table.proto or 0)
        made = ctypes.CFUNCTYPE(_VOID, _VOID)(self._table.clone)(self._table.proto)
        if made is None:
            msg = f"{self._name}: clone answered null, so memory is out"
            raise ModelError(msg)
        return int(made)

    def _freeing(self) -> weakref.finalize[..., Self] | None:
        """Return what frees the state: once, when it is closed, unused, or when the process ends.

        `__del__` may run after the interpreter has taken the modules apart, and then has nothing to call.
        """
        if not self._table.clone:
            return None
        drop = ctypes.CFUNCTYPE(None, _VOID)(self._table.drop)
        # The capsule keeps the code of `drop`.
        return weakref.finalize(self, _drop, drop, self._state, self._capsule)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the state. It cannot be asked any more."""
        self._state = None
        if self._free is not None:
            self._free()

    def _held(self) -> int:
        if self._state is None:
            msg = f"{self._name}: this state is closed"
            raise ModelError(msg)
        return self._state

    def reset(self, seed: int = 0) -> None:
        """Begin a run."""
        if self._table.reset:
            status = ctypes.CFUNCTYPE(_I32, _VOID, ctypes.c_uint64)(self._table.reset)(self._held(), seed)
            self._refuse(status, "reset: ")

    def save(self) -> bytes | None:
        """Return the state, for `load` of another one of equal parameters; None where the model saves none.

        Raises
        ------
        ModelError
            If the model answers an error, or another size when it is asked again.
        """
        if not (self._table.save and self._table.load):
            return None
        write = ctypes.CFUNCTYPE(_SIZE, _VOID, _VOID, _SIZE)(self._table.save)
        size = write(self._held(), None, 0)
        if size == _NO_SIZE:
            self._refuse(0, "save: ")
        room = ctypes.create_string_buffer(size)
        if (written := write(self._held(), room, size)) != size:
            msg = f"{self._name}: save answered {size} bytes, and {written} when it was given room for them"
            raise ModelError(msg)
        return room.raw[:size]

    def load(self, saved: bytes) -> None:
        """Take over a state, and go on where it was.

        Raises
        ------
        ModelError
            If the model loads none, or refuses this one.
        """
        if not self._table.load:
            msg = f"{self._name} loads no state: its table has no function load"
            raise ModelError(msg)
        read = ctypes.CFUNCTYPE(_I32, _VOID, ctypes.c_char_p, _SIZE)(self._table.load)
        self._refuse(read(self._held(), saved, len(saved)), "load: ")

    def call(self, *arguments: Made) -> int:
        """Call `eval` with ctypes structs and arrays, or numpy ones, and return the status.

        Raises
        ------
        ModelError
            If the number of arguments is not that of the kind.
        """
        wanted = len(self._eval.argtypes) - 1
        if len(arguments) != wanted:
            found = len(arguments)
            msg = f"{self._name}: eval of a {self.kind.label} model takes {wanted} arguments, found {found}"
            raise ModelError(msg)
        return int(self._eval(self._held(), *(_passed(argument) for argument in arguments)))

    def evaluate(self, ctx: Made, /, *arrays: Made) -> Made:
        """Answer as `evaluate` of a model in Python does.

        Parameters
        ----------
        ctx : object
            The argument class of `ml4t.core.models`, or the context of the interface. Of an execution
            algorithm `ml4t.backtest.executors.ExecutorArgs`, and the answer is as there.
        arrays : object
            Of a strategy kernel or an execution algorithm the arrays after its context; the last are the
            order records, and the answer is how many were written, None where an algorithm gives up.

        Raises
        ------
        ModelError
            If the model answers an error.
        """
        if self.kind in PORTFOLIO and not arrays:
            return ask(self.kind, ctx, self._called, who=self._name)
        if self.kind not in ALLOWED:
            msg = f"{self._name}: a {self.kind.label} model is asked with call()"
            raise ModelError(msg)
        if self.kind is ModelKind.EXECUTOR:
            return work(ctx, arrays, self._asked, n_random=self._table.n_random, who=self._name)
        context = context_of(self.kind, ctx, n_random=self._table.n_random, who=self._name)
        if self.kind in STRATEGY_LIKE:
            count = ctypes.c_uint32(0)
            self._refuse(self.call(context, *arrays, len(arrays[-1]), count))
            return count.value
        output, slices = output_of(self.kind), None
        if self.kind is ModelKind.FILL:
            slices = (struct("FillSlice") * MOST_SLICES)(*[unset("FillSlice") for _ in range(MOST_SLICES)])
            order_state = ctypes.create_string_buffer(max(self._table.order_state_size, 1))
            status = self.call(context, order_state, None, 0, slices, MOST_SLICES, output)
        else:
            status = self.call(context, output)
        self._refuse(status)
        return answer(self.kind, status, (context, output, slices), who=self._name)

    def _called(self, *arguments: Made) -> int:
        status = self.call(*arguments)
        self._refuse(status)
        return status

    def _asked(self, context: Made, open_orders: Made, orders: Made) -> int | None:
        """Ask an execution algorithm, and take its status as the engine takes it."""
        count, room = ctypes.c_uint32(0), len(orders)
        status = self._called(context, open_orders, orders, room, count)
        if status == OK and count.value > room:
            msg = f"{self._name}: it wrote {count.value} orders where {room} have room"
            raise ModelError(msg)
        if status not in (OK, NO_OPINION, DEFER, REJECT):
            msg = f"{self._name} answered the status {status}, which means nothing for an executor"
            raise ModelError(msg)
        nothing = None if status == REJECT else 0
        return count.value if status == OK else nothing

    def observe(self, fill: Made, /) -> None:
        """Tell the model of a fill, if it listens.

        Raises
        ------
        ModelError
            If it answers anything but OK.
        """
        if self._table.observe:
            told = ctypes.CFUNCTYPE(_I32, _VOID, _VOID)(self._table.observe)
            event = event_of(fill, who=self._name)
            status = told(self._held(), ctypes.addressof(event))
            self._refuse(status, "observe: ")
            if status != OK:
                msg = f"{self._name}: observe answered {status}; it can answer OK or an error"
                raise ModelError(msg)

    def last_error(self) -> str:
        """Return the text of the last error, empty where the model has none."""
        if not self._table.last_error:
            return ""
        room = ctypes.create_string_buffer(_TEXT_CAPACITY)
        ask = ctypes.CFUNCTYPE(_SIZE, _VOID, _VOID, _SIZE)(self._table.last_error)
        length = min(ask(self._held(), room, _TEXT_CAPACITY), _TEXT_CAPACITY)
        return room.raw[:length].decode("utf-8", "replace")

    def _refuse(self, status: int, what: str = "") -> None:
        if status <= 0:
            text = self.last_error() or f"status {status}"
            msg = f"{self._name}: {what}{text}"
            raise ModelError(msg)


def _drop(drop: Callable[[int | None], None], state: int | None, _kept: object) -> None:
    drop(state)


def _wanted(model: Made, kind: ModelKind | str | int | None) -> ModelKind:
    if not hasattr(model, "__ml4t_model_v1__"):
        msg = f"{type(model).__name__} has no native form: it lacks __ml4t_model_v1__"
        raise ModelError(msg)
    if kind is not None:
        return kind_of(kind)
    said = getattr(model, "native_kind", getattr(model, "kind", None))
    if not isinstance(said, ModelKind):
        msg = f"{type(model).__name__} does not say its kind; give kind="
        raise ConfigError(msg)
    return said


def _passed(argument: Made) -> Made:
    """Return what ctypes passes for an argument: the address of a struct or an array, a number as it is."""
    if argument is None or isinstance(argument, int):
        return argument
    if isinstance(argument, ctypes.Structure | ctypes.Array | ctypes.c_uint32):
        return ctypes.addressof(argument)
    if not argument.flags["C_CONTIGUOUS"]:
        msg = "an array for a native model must be contiguous: numpy.ascontiguousarray makes it so"
        raise ModelError(msg)
    return argument.ctypes.data
