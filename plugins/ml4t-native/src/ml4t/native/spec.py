"""What `native_model` is told about a class, checked."""

from __future__ import annotations

import keyword
import math
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import attrs

from ml4t.core.errors import ConfigError
from ml4t.core.types import ModelKind
from ml4t.native.layouts import EVALS
from ml4t.native.structs import Made
from ml4t.native.table import kind_of

__all__ = ["Options", "Spec", "read_spec"]

#: Kinds whose kernel gets one context and one output.
ONE_CONTEXT = tuple(
    kind for kind in ModelKind if [name for name, _ in EVALS[kind.name]] == ["context", "output"]
)
#: Kinds whose kernel gets arrays and writes order records.
STRATEGY_LIKE = tuple(kind for kind in ModelKind if EVALS[kind.name] == EVALS["STRATEGY"])
#: Kinds whose kernel writes order records and answers how many.
WRITES_ORDERS = (*STRATEGY_LIKE, ModelKind.EXECUTOR)
ALLOWED = (ModelKind.FILL, *ONE_CONTEXT, *WRITES_ORDERS)
MOST_RANDOM = 4
ZERO = "the kernel answered 0, which is no status: OK is 1, an error is negative"
#: Options that do not fit: a strategy gets its fills as an argument and nothing draws for it; an executor
#: sees what it traded in its context, and no bar waits for it; a message leaves before any of that is known;
#: what holding and converting cost is no matter of a bar.
_UNFIT: dict[ModelKind, tuple[str, ...]] = {ModelKind.EXECUTOR: ("needs_bar", "observe")}
_UNFIT |= {ModelKind.LATENCY: ("average_days", "needs_bar", "observe")}
_CARRY = (ModelKind.BORROW, ModelKind.FUNDING, ModelKind.INTEREST, ModelKind.FX)
_UNFIT |= dict.fromkeys(_CARRY, ("average_days", "n_random", "needs_bar"))
_UNFIT |= dict.fromkeys(STRATEGY_LIKE, ("average_days", "n_random", "needs_bar", "observe"))
_CODES = {float: "f8", int: "i8", bool: "?"}


class Options(TypedDict, total=False):
    """Options of `native_model`, all by name; see there."""

    state: Mapping[str, int]
    errors: Mapping[int, str]
    average_days: int | str
    needs_bar: bool
    observe: bool
    n_random: int
    columns: tuple[str, ...]
    version: str


@attrs.frozen(kw_only=True, eq=False)
class Spec:
    """A class with a kernel: what it decides, its functions, its parameters and its state."""

    cls: type
    kind: ModelKind
    kernel: Callable[..., Any]
    observe: Callable[..., Any] | None
    params: tuple[tuple[str, str], ...]  #: name and code: f8, i8 or ?
    state: tuple[tuple[str, int], ...]  #: name and number of values
    errors: dict[int, str]
    n_random: int
    columns: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.cls.__name__

    def values(self, model: object) -> dict[str, float | int | bool]:
        """Return the parameters of an instance, as the kernel sees them.

        Raises
        ------
        ConfigError
            If one is not the number that its annotation promises.
        """
        return {name: self._value(name, code, getattr(model, name)) for name, code in self.params}

    def _value(self, name: str, code: str, value: Made) -> float | int | bool:
        try:
            if code == "f8":
                return math.nan if value is None else float(value)
            if code == "?":
                return bool(value)
            whole = operator.index(value)
        except (TypeError, ValueError):
            wanted = "number" if code == "f8" else "whole number"
            msg = f"{self.name}.{name} is {value!r}; the kernel needs a {wanted}: give the field a converter"
            raise ConfigError(msg) from None
        if not -(2**63) <= whole < 2**63:
            msg = f"{self.name}.{name} is {value}; the kernel holds whole numbers of 64 bits"
            raise ConfigError(msg)
        return whole

    @property
    def unnamed(self) -> tuple[str, str]:
        """What is said of an error without a sentence, before the digits of its number and after them."""
        known = ", ".join(f"-{number}" for number in self.errors) or "none"
        return "the kernel answered -", f", which errors= does not name; known: {known}"

    def sentence(self, status: int) -> str:
        """Return what a status of 0 or below means."""
        return ZERO if status == 0 else self.errors.get(-status, str(-status).join(self.unnamed))


def read_spec(cls: type, kind: ModelKind | str | int, options: Options) -> Spec:
    """Check a class and the options of its decorator.

    Raises
    ------
    ConfigError
        If one of them cannot be meant.
    """
    where = f"native_model of {cls.__name__}"
    wanted = kind_of(kind)
    if wanted not in ALLOWED:
        labels = ", ".join(each.label for each in ALLOWED)
        msg = f"{where}: {wanted.label} models cannot be kernels yet; allowed: {labels}"
        raise ConfigError(msg)
    if unknown := sorted(set(options) - set(Options.__annotations__)):
        msg = f"{where}: unknown option {', '.join(unknown)}; allowed: {', '.join(Options.__annotations__)}"
        raise ConfigError(msg)
    if beside := [option for option in _UNFIT.get(wanted, ()) if options.get(option)]:
        msg = f"{where}: {_a(wanted)} takes no {', '.join(beside)}; its arguments hold what it may see"
        raise ConfigError(msg)
    if not attrs.has(cls) or "__attrs_attrs__" not in vars(cls):
        msg = f"{where}: the class is no attrs class; write @native_model(...) above @attrs.frozen"
        raise ConfigError(msg)
    if not cls.__weakrefoffset__:
        msg = f"{where}: instances cannot be referred to weakly; leave weakref_slot of attrs.frozen alone"
        raise ConfigError(msg)
    return Spec(
        cls=cls,
        kind=wanted,
        kernel=_function(cls, "kernel", where),
        observe=_observe(cls, where, wanted=options.get("observe", False)),
        params=_params(cls, where),
        state=_state(options.get("state", {}), where),
        errors=_errors(options.get("errors", {}), where),
        n_random=_n_random(options.get("n_random", 0), where),
        columns=_columns(options.get("columns", ()), wanted, where),
        version=options.get("version", "1"),
    )


def _a(kind: ModelKind) -> str:
    return f"{'an' if kind.label[0] in 'aeiou' else 'a'} {kind.label}"


def _function(cls: type, name: str, where: str) -> Callable[..., Any]:
    found = vars(cls).get(name)
    if not isinstance(found, staticmethod):
        state = "has no" if found is None else "does not mark as @staticmethod its"
        msg = f"{where}: the class {state} function {name}; a kernel is a @staticmethod called {name}"
        raise ConfigError(msg)
    function: Callable[..., Any] = found.__func__
    return function


def _observe(cls: type, where: str, *, wanted: bool) -> Callable[..., Any] | None:
    if hasattr(cls, "on_market"):
        msg = f"{where}: the class has on_market, which no kernel can have; write it in C, Rust or Python"
        raise ConfigError(msg)
    if wanted:
        return _function(cls, "observe", where)
    if "observe" in vars(cls):
        msg = f"{where}: the class has observe, which only observe=True calls; say so, or remove it"
        raise ConfigError(msg)
    return None


def _params(cls: type, where: str) -> tuple[tuple[str, str], ...]:
    try:
        attrs.resolve_types(cls)
    except NameError as error:
        msg = f"{where}: annotations need names that are not imported at run time: {error}"
        raise ConfigError(msg) from error
    found = []
    for field in attrs.fields(cls):
        kinds = set(typing.get_args(field.type)) or {field.type}
        if kinds == {float, type(None)}:
            kinds = {float}
        code = _CODES.get(next(iter(kinds))) if len(kinds) == 1 else None
        if code is None:
            msg = f"{where}: field {field.name} is {field.type}; kernels read float, int, bool, float | None"
            raise ConfigError(msg)
        found.append((field.name, code))
    return tuple(found)


def _state(given: Made, where: str) -> tuple[tuple[str, int], ...]:
    for name, n in given.items():
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            msg = f"{where}: state {name!r} is no name of a field"
            raise ConfigError(msg)
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            msg = f"{where}: state {name} has {n!r} values; expected a whole number of 1 or more"
            raise ConfigError(msg)
    return tuple(given.items())


def _errors(given: Made, where: str) -> dict[int, str]:
    for number, text in given.items():
        is_number = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**30
        if not is_number or not isinstance(text, str) or not text:
            msg = f"{where}: errors has {number!r}: {text!r}; expected a number above 0 and a sentence"
            raise ConfigError(msg)
    return dict(given)


def _n_random(given: Made, where: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= MOST_RANDOM:
        msg = f"{where}: n_random is {given!r}; allowed: 0 to {MOST_RANDOM}"
        raise ConfigError(msg)
    return int(given)


def _columns(given: Made, kind: ModelKind, where: str) -> tuple[str, ...]:
    if given and kind not in STRATEGY_LIKE:
        msg = f"{where}: {_a(kind)} model has no columns; its context holds what it may see"
        raise ConfigError(msg)
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str) or not name or "," in name or names.count(name) > 1:
            msg = f"{where}: column {name!r}; expected names without commas, each once"
            raise ConfigError(msg)
    return names
