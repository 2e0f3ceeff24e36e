"""What reaches a strategy beside the engine: parameters, attributes, globals, closures, and its own module.

A frame is handed over with another future. What a module computes when it is imported (a shifted column, a
mean) is computed anew from files with another future: the module runs a second time, in a namespace of its
own.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl

from ml4t.backtest.audit.outside_tables import Cut, alter_table, is_table
from ml4t.backtest.audit.readers import FileRead, patched_readers
from ml4t.backtest.audit.traced import is_own
from ml4t.core.strategy import Strategy

__all__ = ["Item", "Outside"]


@attrs.frozen(eq=False)
class Item:
    """Something a strategy can read beside the engine."""

    name: str
    kind: str
    value: Any = attrs.field(repr=False)
    place: str = ""
    put: Callable[[Any], None] = attrs.field(default=lambda _: None, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.place})" if self.place else "")


@attrs.define(eq=False)
class Outside:
    """A strategy as it was given, and everything it can reach.

    Attributes
    ----------
    target, params
        A class, a factory or an instance, and the keywords of the constructor.
    items
        Tables it can reach.
    namespaces
        Modules of the user whose functions it calls.
    used
        Names of globals it uses, by the id of their module.
    """

    target: Any
    params: dict[str, Any]
    items: list[Item] = attrs.field(factory=list)
    namespaces: list[dict[str, Any]] = attrs.field(factory=list)
    used: dict[int, dict[str, int]] = attrs.field(factory=dict)
    _seen: set[int] = attrs.field(factory=set)
    _initial: list[tuple[Callable[[Any], None], Any]] = attrs.field(factory=list)

    @classmethod
    def of(cls, target: Any, params: Mapping[str, Any]) -> Outside:  # noqa: ANN401 - whatever makes a strategy
        """Look through a strategy."""
        made = cls(target, dict(params))
        for name, value in params.items():
            if is_table(value):
                made.items.append(
                    Item(name, "parameter", value, put=functools.partial(made.params.__setitem__, name))
                )
        if isinstance(target, Strategy):
            for name, value in vars(target).items():
                if is_table(value):
                    made.items.append(
                        Item(name, "attribute", value, put=functools.partial(setattr, target, name))
                    )
        made._walk(type(target) if isinstance(target, Strategy) else target)
        made._remember()
        return made

    # ------------------------------------------------------------------------------ looking through

    def _walk(self, found: Any) -> None:  # noqa: ANN401 - anything reachable
        found = getattr(found, "__func__", found)
        if isinstance(found, functools.partial):
            self._walk(found.func)
            return
        found = found.fget if isinstance(found, property) else getattr(found, "__wrapped__", found)
        if id(found) in self._seen:
            return
        self._seen.add(id(found))
        if isinstance(found, type):
            for cls in found.__mro__:
                if cls is not object and not cls.__module__.startswith("ml4t.") and cls is not Strategy:
                    for name, value in list(vars(cls).items()):
                        if is_table(value) and not name.startswith("__"):
                            self.items.append(
                                Item(
                                    name,
                                    f"attribute of class {cls.__name__}",
                                    value,
                                    put=functools.partial(setattr, cls, name),
                                )
                            )
                        elif callable(value) or isinstance(value, property | staticmethod | classmethod):
                            self._walk(value)
        elif isinstance(found, types.FunctionType) and is_own(found.__code__.co_filename):
            self._function(found)

    def _function(self, function: types.FunctionType) -> None:
        space = function.__globals__
        if not any(space is each for each in self.namespaces):
            self.namespaces.append(space)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            with contextlib.suppress(ValueError):
                value = cell.cell_contents
                if is_table(value):
                    put = functools.partial(setattr, cell, "cell_contents")
                    self._add(Item(name, "variable", value, _line(function.__code__, name), put))
                else:
                    self._walk(value)
        for default in (function.__kwdefaults__ or {}).values():
            self._walk(default)
        for name, code in _names(function.__code__):
            if name not in space:
                continue
            self.used.setdefault(id(space), {}).setdefault(name, code.co_firstlineno)
            value = space[name]
            if is_table(value):
                self._add(
                    Item(name, "global", value, _line(code, name), functools.partial(space.__setitem__, name))
                )
            elif isinstance(value, types.ModuleType):
                self._module(value, function.__code__)
            else:
                self._walk(value)

    def _module(self, module: types.ModuleType, code: types.CodeType) -> None:
        if not is_own(getattr(module, "__file__", None) or "<frozen>"):
            return
        for name, _ in _names(code):
            value = vars(module).get(name)
            if is_table(value):
                self._add(
                    Item(
                        name,
                        "global",
                        value,
                        Path(str(module.__file__)).name,
                        functools.partial(setattr, module, name),
                    )
                )
            elif value is not None:
                self._walk(value)

    def _add(self, item: Item) -> None:
        if not any(each.value is item.value and each.name == item.name for each in self.items):
            self.items.append(item)

    # ------------------------------------------------------------------------------ state of modules

    def _remember(self) -> None:
        """Keep copies of what a run may change: containers of modules and classes, and what they count."""
        for space in self.namespaces:
            for name in self.used.get(id(space), {}):
                value = space.get(name)
                if isinstance(value, dict | list | set | bytearray | int | float | str) and not is_table(
                    value
                ):
                    self._keep(functools.partial(space.__setitem__, name), value)
        found = type(self.target) if isinstance(self.target, Strategy) else self.target
        for cls in getattr(found, "__mro__", ()):
            if cls is Strategy or cls is object or cls.__module__.startswith("ml4t."):
                continue
            for name, value in vars(cls).items():
                plain = value is None or isinstance(value, dict | list | set | int | float | str)
                if plain and not name.startswith("__"):
                    self._keep(functools.partial(setattr, cls, name), value)

    def _keep(self, put: Callable[[Any], None], value: Any) -> None:  # noqa: ANN401 - a container
        with contextlib.suppress(Exception):
            self._initial.append((put, (value, copy.deepcopy(value))))

    def reset(self) -> None:
        """Give modules and classes back what they held before the first run."""
        for put, (value, initial) in self._initial:
            if isinstance(value, dict | set):
                value.clear()
                value.update(copy.deepcopy(initial))
            elif isinstance(value, list):
                value[:] = copy.deepcopy(initial)
            else:
                put(initial)
        for space in self.namespaces:
            for name in self.used.get(id(space), {}):
                clear = getattr(space.get(name), "cache_clear", None)
                if callable(clear):
                    clear()

    # ------------------------------------------------------------------------------ another future

    @contextlib.contextmanager
    def altered(
        self, cut: Cut | None, only: Item | None = None
    ) -> Iterator[tuple[Any, dict[str, Any], list[FileRead]]]:
        """Hand over the strategy and its parameters as they would be with another future.

        With `only` nothing else but that item is altered; without a cut nothing is.
        """
        readers = None if only is not None else cut
        with patched_readers(readers, self.namespaces) as files:
            if cut is None:
                yield self._target(), dict(self.params), files
                return
            fresh = None if only is not None else self._again()
            done = []
            try:
                for item in self.items if only is None else [only]:
                    value = item.value
                    if fresh is not None and item.kind == "global" and item.name in fresh.space:
                        again = fresh.space[item.name]
                        if not _equal(again, value):
                            continue  # It was computed from altered files.
                        put: Callable[[Any], None] = functools.partial(fresh.space.__setitem__, item.name)
                    else:
                        put = item.put
                    changed = alter_table(value, cut)
                    if changed is not None:
                        done.append((put, value))
                        put(changed)
                target = self._target() if fresh is None or fresh.target is None else fresh.target
                yield target, dict(self.params), files
            finally:
                for put, value in done:
                    put(value)

    def _target(self) -> Any:  # noqa: ANN401 - as given
        # A run would use the instance up.
        return copy.deepcopy(self.target) if isinstance(self.target, Strategy) else self.target

    def undated(self, cut: Cut) -> list[Item]:
        """Return the tables whose rows cannot be dated, which therefore were not altered."""
        return [item for item in self.items if alter_table(item.value, cut) is None]

    def _again(self) -> _Fresh | None:
        """Run the strategy's module a second time, where it computes what the strategy uses."""
        target = self.target
        name, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", "<locals>")
        if isinstance(target, Strategy) or "<locals>" in qualname or name is None:
            return None
        space = next((each for each in self.namespaces if each.get("__name__") == name), None)
        path = None if space is None else space.get("__file__")
        if space is None or path is None or not Path(path).is_file():
            return None
        source = Path(path).read_text(encoding="utf-8")
        if not _computes(source, set(self.used.get(id(space), {})), is_script=name == "__main__"):
            return None
        return _Fresh.of(space, source, qualname)

    def recomputed(self, cut: Cut) -> list[tuple[str, int, Any, Any]]:
        """Return globals that altered files make others: name, line, value before and after."""
        with patched_readers(cut, self.namespaces):
            fresh = self._again()
        if fresh is None:
            return []
        space = fresh.original
        names = self.used.get(id(space), {})
        lines = _assigned(Path(space["__file__"]).read_text(encoding="utf-8"))
        found = []
        for name in sorted(names):
            before, after = space.get(name), fresh.space.get(name)
            is_code = callable(before) or isinstance(before, types.ModuleType)
            if name in lines and not is_code and not _equal(before, after):
                found.append((name, lines[name], before, after))
        return found


@attrs.frozen(eq=False)
class _Fresh:
    """A module that ran a second time."""

    original: dict[str, Any]
    space: dict[str, Any]
    target: Any

    @classmethod
    def of(cls, original: dict[str, Any], source: str, qualname: str) -> _Fresh | None:
        name = "__audited__" if original["__name__"] == "__main__" else original["__name__"]
        module = types.ModuleType(name)
        space = vars(module)
        space |= {key: original.get(key) for key in ("__file__", "__package__", "__spec__", "__loader__")}
        before = sys.modules.get(name)
        sys.modules[name] = module
        try:
            exec(compile(source, original["__file__"], "exec", dont_inherit=True), space)
            target: Any = module
            for part in qualname.split("."):
                target = getattr(target, part)
        except Exception:
            # What cannot run again is compared as it is.
            return None
        finally:
            if before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before
        return cls(original, space, target)


def _computes(source: str, used: set[str], *, is_script: bool) -> bool:
    """Say whether a module computes a global that is used when it is imported, and may run again.

    A script that does something when it runs, beside defining things, may not.
    """
    tree = ast.parse(source)
    if is_script and any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in tree.body
    ):
        return False
    return any(name in used for name in _assigned(source, only_computed=True))


def _assigned(source: str, *, only_computed: bool = False) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        computed = any(
            isinstance(each, ast.Call | ast.Subscript | ast.BinOp | ast.comprehension)
            for each in ast.walk(node)
        )
        for each in ast.walk(node):
            if (
                isinstance(each, ast.Name)
                and isinstance(each.ctx, ast.Store)
                and (computed or not only_computed)
            ):
                found.setdefault(each.id, each.lineno)
    return found


def _names(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    """Yield the names that code uses, that of functions within it included."""
    for name in code.co_names:
        yield name, code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)


def _line(code: types.CodeType, name: str) -> str:
    """Return where code first uses a name."""
    import dis

    line = code.co_firstlineno
    for step in dis.get_instructions(code):
        if step.argval == name and step.positions is not None and step.positions.lineno is not None:
            line = step.positions.lineno
            break
    return f"{Path(code.co_filename).name}:{line}"


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - any globals
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, pl.LazyFrame):
        return _equal(one.collect(), other.collect())
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    try:
        if isinstance(one, Mapping):
            return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
        if isinstance(one, list | tuple):
            return len(one) == len(other) and all(map(_equal, one, other))
        same = bool(one == other)
    except Exception:
        return False
    # Objects without an equality of their own are told by what they hold.
    if not same and hasattr(one, "__dict__"):
        return _equal(dict(vars(one)), dict(vars(other)))
    return same
