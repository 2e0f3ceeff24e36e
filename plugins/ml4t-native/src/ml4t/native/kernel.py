"""`native_model`: a model whose formula is one Python function, compiled by numba where that is installed.

The function is called the kernel. It is written once, against the field names of the native interface, and
runs two ways: as plain Python behind `evaluate`, over ctypes structs, and as machine code behind the function
table that `__ml4t_model_v1__` hands over. Both read the same parameters and keep state of the same shape.
"""

from __future__ import annotations

import copy
import ctypes
import functools
import importlib.util
import os
import threading
import weakref
from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import attrs

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.types import ModelKind
from ml4t.native.constants import GIVE_UP, OK
from ml4t.native.executor import work
from ml4t.native.spec import STRATEGY_LIKE, Options, Spec, read_spec
from ml4t.native.structs import Made, struct, unset
from ml4t.native.table import capsule, kind_of
from ml4t.native.translate import MOST_SLICES, answer, context_of, event_of, output_of

if TYPE_CHECKING:
    from ml4t.core.strategy import Strategy
    from ml4t.native.compiled import Compiled

__all__ = ["helper", "missing", "native_model"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_RUNTIME = "_ml4t_native"
_SWITCH = "ML4T_NO_NUMBA"
HELPERS: list[Callable[..., Any]] = []
_COMPILING = threading.Lock()  # of all classes: they share the helpers


def missing() -> str | None:
    """Return why kernels have no native form here, None where they have one.

    The environment variable `ML4T_NO_NUMBA`, set to anything but 0, has them run in Python.
    """
    if os.environ.get(_SWITCH, "0") not in ("", "0"):
        return f"numba is switched off by {_SWITCH}; unset it"
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed: pip install 'ml4t-native[numba]'"
    return None


def helper(function: F) -> F:
    """Mark a function that kernels call, so that it is compiled with them; in Python it stays as it is."""
    HELPERS.append(function)
    return function


def native_model(*, kind: ModelKind | str, **options: Unpack[Options]) -> Callable[[C], C]:
    """Give an attrs-frozen class with a `kernel` everything that a model has.

    The class gets `evaluate`, `clone`, `__ml4t_model_v1__`, `native_kind`, `native_missing`, `needs_volume`
    and `average_days`; with `observe` also a method of that name in place of the static function. A strategy
    gets `python_strategy`, and runs as one: `run(Cross, feed, params={...})`.

    Parameters
    ----------
    kind : ModelKind or str
        What the model decides: `fill`, `slippage`, `impact`, `fee`, `executor`, `strategy`, or another kind
        with one context.
    state : mapping of str to int
        Fields that the kernel may change, each with its number of floats: `state.total[0]`. Zero when a run
        begins.
    errors : mapping of int to str
        Sentences for errors: a kernel that answers `-2` stops the run with the sentence of 2.
    average_days : int or str
        Sessions over which `average_volume` and `volatility` go, or the name of the parameter that says it.
    needs_bar : bool
        Whether the answer uses volume, range or close of the bar. Where that depends on parameters, define
        the property `needs_volume` instead.
    observe : bool
        Whether the class has a second static function, `observe(params, state, fill)`, for every fill of a
        run.
    n_random : int
        Uniform draws wanted in `ctx.random`, at most 4.
    columns : tuple of str
        Columns that a strategy kernel wants.
    version : str
        Version of the model, for manifests.

    Raises
    ------
    ConfigError
        If the class or an option cannot be meant.

    Notes
    -----
    A kernel gets records with the field names of the interface and answers a status: `OK`, `NO_OPINION`,
    `REJECT`, `DEFER`, or a negative error. `kernel(params, state, ctx, out)` writes `out`. That of a fill
    model, `kernel(params, state, ctx, fills, out)`, writes `fills[0]` and on, and how many in `out.n_fills`.
    That of a strategy, `kernel(params, state, ctx, changed, columns, positions, open_orders, fills, orders)`,
    writes `orders` and answers how many, 0 or more. So does that of an execution algorithm,
    `kernel(params, state, ctx, open_orders, orders)`, or it answers `GIVE_UP`; its state is zero when an
    order begins to be worked.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> @native_model(kind="fee")
    ... @attrs.frozen
    ... class PerContract:
    ...     fee: float = 2.0
    ...
    ...     @staticmethod
    ...     def kernel(params, state, ctx, out):
    ...         out.fee = params.fee * ctx.quantity
    ...         return OK
    >>> PerContract().evaluate(FeeArgs(ts_ns=0, side=1, quantity=3.0, price=70.0))
    FeeOut(fee=6.0)
    """

    def decorate(cls: C) -> C:
        runtime = _Runtime(read_spec(cls, kind, options))
        _announce(cls, options)
        for name, value in _methods(runtime).items():
            setattr(cls, name, value)
        return cls

    return decorate


def _announce(cls: type, options: Options) -> None:
    """Set what the engine reads of a model before it asks it: the bar and the sessions it needs."""
    where = f"native_model of {cls.__name__}"
    fields = {field.name: field for field in attrs.fields(cls)}
    for name, option in (("needs_volume", "needs_bar"), ("average_days", "average_days")):
        given: Made = options.get(option)
        if given is not None and hasattr(cls, name) and given != name:
            msg = f"{where}: {option}= and {name} of the class say the same; keep one"
            raise ConfigError(msg)
    cls_any: Made = cls
    if not hasattr(cls, "needs_volume"):
        cls_any.needs_volume = bool(options.get("needs_bar", False))
    days: Made = options.get("average_days", 0)
    if isinstance(days, str):
        if days not in fields or fields[days].type not in (int, "int"):
            whole = [name for name, field in fields.items() if field.type in (int, "int")]
            msg = (
                f"{where}: average_days names {days!r}, which is no field of whole numbers; there are {whole}"
            )
            raise ConfigError(msg)
        if days != "average_days":
            cls_any.average_days = property(lambda self: getattr(self, days), doc="Sessions of the averages.")
    elif not isinstance(days, int) or isinstance(days, bool) or days < 0:
        msg = (
            f"{where}: average_days is {days!r}; expected a whole number of 0 or more, or the name of a field"
        )
        raise ConfigError(msg)
    elif not hasattr(cls, "average_days"):
        cls_any.average_days = days


def _methods(runtime: _Runtime) -> dict[str, Any]:
    """Return the methods of a class with a kernel."""
    spec = runtime.spec

    def __ml4t_model_v1__(self: Made, kind: int) -> object | None:
        """Return a capsule with the compiled model, None where kernels have no native form."""
        _of(self).refuse_other_kind(kind)
        return None if missing() is not None else capsule(_of(self).compiled().owner(self))

    def evaluate(self: Made, ctx: Made, /, *arrays: Made) -> Made:
        """Answer in Python; arrays are those of a kernel that writes order records, after its context."""
        return _of(self).evaluate(self, ctx, arrays)

    def clone(self: Made) -> Made:
        """Return an independent copy as it is when a run begins."""
        return copy.copy(self)

    def observe(self: Made, fill: Made, /) -> None:
        """Take notice of a fill."""
        _of(self).observe(self, fill)

    def python_strategy(self: Made) -> Strategy:
        """Return the same decisions as a strategy in Python, for one run."""
        return _of(self).strategy(copy.copy(self))

    methods: dict[str, Any] = {
        _RUNTIME: runtime,
        "native_kind": spec.kind,
        "__ml4t_model_v1__": __ml4t_model_v1__,
        "evaluate": evaluate,
        "clone": clone,
        "native_missing": property(lambda _: missing(), doc="Why there is no native form, if there is none."),
    }
    if spec.observe is not None:
        methods["observe"] = observe
    if spec.kind is ModelKind.STRATEGY:
        methods["python_strategy"] = python_strategy
    for method in methods.values():
        if hasattr(method, "__qualname__"):
            method.__qualname__ = f"{spec.cls.__qualname__}.{method.__name__}"
            method.__module__ = spec.cls.__module__
    return methods


def _of(model: object) -> _Runtime:
    """Return what belongs to the very class of a model: a subclass may have other fields."""
    found = vars(type(model)).get(_RUNTIME)
    if not isinstance(found, _Runtime):
        msg = f"{type(model).__name__} inherits its kernel; decorate it with native_model as well"
        raise ModelError(msg)
    return found


class _Params:
    """Parameters as a kernel sees them; they cannot be changed."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"a kernel cannot change the parameter {name}; what changes is state"
        raise ModelError(msg)


class _Runtime:
    """What runs a kernel: states of instances in Python, and the compiled form, made when first wanted."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._compiled: Compiled | None = None
        self._states: dict[int, tuple[weakref.ref[Any], _Params, Any]] = {}

    def refuse_other_kind(self, kind: int) -> None:
        """Raise unless the model is of a kind."""
        wanted = kind_of(kind)
        if wanted is not self.spec.kind:
            msg = f"{self.spec.name} is a {self.spec.kind.label} model and cannot be the {wanted.label} model"
            raise ConfigError(msg)

    def compiled(self) -> Compiled:
        """Return the compiled kernel; it is compiled once for the class."""
        with _COMPILING:
            if self._compiled is None:
                from ml4t.native.compiled import Compiled

                self._compiled = Compiled(self.spec)
            return self._compiled

    @functools.cached_property
    def _layout(self) -> type[ctypes.Structure]:
        fields = [(name, ctypes.c_double * n) for name, n in self.spec.state]
        return type("State", (ctypes.Structure,), {"_fields_": fields})

    def _held(self, model: Made) -> tuple[_Params, Any]:
        """Return parameters and state of an instance; equal instances have each their own."""
        key = id(model)
        found = self._states.get(key)
        if found is None or found[0]() is not model:
            reference = weakref.ref(model, lambda _: self._states.pop(key, None))
            found = (reference, _Params(self.spec.values(model)), self._layout())
            self._states[key] = found
        return found[1], found[2]

    def evaluate(self, model: Made, given: Made, arrays: tuple[Any, ...]) -> Made:
        """Call the kernel in Python."""
        spec = self.spec
        params, state = self._held(model)
        if spec.kind is ModelKind.EXECUTOR:

            def ask(context: Made, open_orders: Made, orders: Made) -> int | None:
                count = spec.kernel(params, state, context, open_orders, orders)
                return None if count == GIVE_UP else self._count(count, len(orders), spec.name)

            return work(given, arrays, ask, n_random=spec.n_random, who=spec.name)
        context = context_of(spec.kind, given, n_random=spec.n_random, who=spec.name)
        if spec.kind in STRATEGY_LIKE:
            return self._count(spec.kernel(params, state, context, *arrays), len(arrays[-1]), spec.name)
        output = output_of(spec.kind)
        slices = None
        if spec.kind is ModelKind.FILL:
            slices = (struct("FillSlice") * MOST_SLICES)(*[unset("FillSlice") for _ in range(MOST_SLICES)])
            status = self._status(spec.kernel(params, state, context, slices, output))
        else:
            status = self._status(spec.kernel(params, state, context, output))
        return answer(spec.kind, status, (context, output, slices), who=spec.name)

    def strategy(self, model: Made) -> Strategy:
        """Return a strategy that asks an instance, which is this strategy's own."""
        from ml4t.native.strategy import KernelInPython

        spec = self.spec
        params, state = self._held(model)

        def ask(context: Made, arrays: tuple[Any, ...], who: str) -> int:
            try:
                given = spec.kernel(params, state, context, *arrays)
            except Exception as error:
                msg = f"{who}: the kernel raised {error!r}"
                raise ModelError(msg) from error
            return self._count(given, len(arrays[-1]), who)

        return KernelInPython(spec, ask, warmup=getattr(model, "warmup", 0))

    def observe(self, model: Made, fill: Made) -> None:
        """Call the kernel's `observe` in Python."""
        assert self.spec.observe is not None, "the method exists only with the function"
        params, state = self._held(model)
        event = event_of(fill, who=self.spec.name)
        status = self._status(self.spec.observe(params, state, event), "observe: ")
        if status != OK:
            msg = f"{self.spec.name}: observe answered {status}; it can answer OK or an error"
            raise ModelError(msg)

    def _status(self, given: Made, what: str = "") -> int:
        status = self._whole(given, "it ends with a status: `return OK`")
        if status <= 0:
            msg = f"{self.spec.name}: {what}{self.spec.sentence(status)}"
            raise ModelError(msg)
        return status

    def _count(self, given: Made, capacity: int, who: str) -> int:
        count = self._whole(given, "it answers how many orders it wrote")
        if count < 0:
            msg = f"{who}: {self.spec.sentence(count)}"
            raise ModelError(msg)
        if count > capacity:
            msg = f"{who}: the kernel answered {count} order records, and {capacity} have room"
            raise ModelError(msg)
        return count

    def _whole(self, given: Made, rule: str) -> int:
        if not isinstance(given, Integral):
            msg = f"{self.spec.name}: the kernel answered {given!r}; {rule}"
            raise ModelError(msg)
        return int(given)
