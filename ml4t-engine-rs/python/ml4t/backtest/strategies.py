"""Find strategies: classes, factories, instances, and the names configuration uses for them."""

from __future__ import annotations

import contextlib
import copy
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import Attribute, frozen

from ml4t.backtest.front import TableStrategy
from ml4t.backtest.kernels import KernelStrategy, is_kernel
from ml4t.core.errors import ConfigError, Finding, StrategyError, nearest, unknown_name
from ml4t.core.strategy import CALLBACKS, Strategy
from ml4t.core.values import shown

if TYPE_CHECKING:
    from ml4t.backtest.data.signals import Signals
    from ml4t.core.config import RunConfig

__all__ = ["StrategyLike", "StrategySource", "load_class", "refusal_of", "warn_of_near_misses"]

_MAKING = "raised while making strategy"

# Above it are plurals, lost or swapped letters and other case (`on_bars`, `on_bra`, `onData`); below it are
# helpers with a word more (`on_exit_signal`, `on_stop_loss`).
_NEAR = 0.83

StrategyLike: TypeAlias = type[Any] | Callable[..., Any] | Strategy | str


def load_class(target: str, *, root: Path | None = None) -> type[Strategy]:
    """Return the class that `package.module:Class` or `file.py:Class` names.

    Parameters
    ----------
    target : str
        Module or file, a colon, and the name of the class.
    root : Path or None
        Folder that a relative file counts from; the working directory by default.

    Raises
    ------
    StrategyError
        If the module cannot be imported or what is found is no strategy class.
    UnknownNameError
        If the module has no such class; the message names the nearest.
    """
    where, _, name = target.rpartition(":")
    if not (where and name):
        msg = f"strategy {target!r}: expected 'package.module:Class' or 'file.py:Class'"
        raise StrategyError(msg)
    try:
        module = (
            _load_file((root or Path.cwd()) / where)
            if where.endswith(".py")
            else importlib.import_module(where)
        )
    except StrategyError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        msg = f"strategy {target!r}: cannot import {where!r}: {kind}{error}"
        raise StrategyError(msg) from error
    found = getattr(module, name, None)
    classes = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and (issubclass(value, Strategy) or hasattr(value, "python_strategy"))
    ]
    if found is None:
        kind = f"strategy in {where}"
        raise unknown_name(kind, name, [each for each in classes if each != "Strategy"])
    is_native = hasattr(found, "__ml4t_model_v1__") or hasattr(found, "python_strategy")
    if not (isinstance(found, type) and (issubclass(found, Strategy) or is_native)):
        msg = f"strategy {target!r}: expected a subclass of ml4t.backtest.Strategy, found {found!r}"
        raise StrategyError(msg)
    return found


def _load_file(path: Path) -> Any:  # noqa: ANN401 - a module
    if not path.is_file():
        msg = f"strategy file {path} does not exist"
        raise StrategyError(msg)
    name = f"ml4t_strategy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"strategy file {path} cannot be loaded as Python"
        raise StrategyError(msg)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look the module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Half a module would be found by the next import of that name.
        del sys.modules[name]
        raise
    return module


@frozen(kw_only=True)
class StrategySource:
    """Makes a fresh strategy for every run.

    A class or factory is called with the parameters. An instance is used for the first run, so that its
    attributes can be looked at afterwards; further runs get copies of what it was before the first.
    """

    make: Callable[[], Strategy]
    params: Mapping[str, Any]
    #: The table that it is, where it is one.
    table: TableStrategy | None = None

    def tables(self) -> list[Signals]:
        """Return the signals that the strategy brings along."""
        return [] if self.table is None else self.table.sources()

    @classmethod
    def of(
        cls, strategy: StrategyLike, params: Mapping[str, Any] | None, *, root: Path | None
    ) -> StrategySource:
        """Read what the user gave.

        Raises
        ------
        StrategyError
            If it is no strategy, or parameters are given for an instance.
        """
        found: object = params or {}
        if not isinstance(found, Mapping):
            msg = f"params = {found!r}; expected a mapping of the keywords of the constructor to values"
            raise StrategyError(msg)
        given = dict(found)
        target: Any = load_class(strategy, root=root) if isinstance(strategy, str) else strategy
        if isinstance(target, TableStrategy) and not given:
            return cls(make=target.fresh, params={}, table=target)
        if isinstance(target, Strategy):
            if "_runtime" in vars(target):
                msg = (
                    f"this {type(target).__name__} has run already; pass the class itself, or a new instance"
                )
                raise StrategyError(msg)
            if given:
                msg = f"params {sorted(given)} go with a class, not with an instance; pass the class"
                raise StrategyError(msg)
            return cls(make=_reusing(target), params={})
        if is_kernel(target):
            if given:
                msg = f"params {sorted(given)} go with a class, not with an instance; pass the class"
                raise StrategyError(msg)
            return cls(make=lambda: KernelStrategy(target), params={})
        if not callable(target):
            msg = f"expected a Strategy subclass, a factory or an instance, found {target!r}"
            raise StrategyError(msg)
        is_table = isinstance(target, type) and issubclass(target, TableStrategy)
        made: Any = _called(target, given) if is_table else None
        return cls(make=lambda: _called(target, given), params=given, table=made)


def _reusing(instance: Strategy) -> Callable[[], Strategy]:
    try:
        pristine = copy.deepcopy(instance)
    except Exception as error:
        pristine, reason = None, error
    unused = [instance]

    def make() -> Strategy:
        if unused:
            return unused.pop()
        if pristine is None:
            msg = f"this {type(instance).__name__} cannot be copied for another run; pass the class itself"
            raise StrategyError(msg) from reason
        if held := [name for name in CALLBACKS if _holds(vars(pristine).get(name), instance)]:
            msg = (
                f"{held[0]} of this {type(instance).__name__} is a function that holds on to the instance, "
                "and in a copy would act for the first run; pass the class itself, or a factory"
            )
            raise StrategyError(msg)
        return copy.deepcopy(pristine)

    return make


def _holds(function: object, instance: object) -> bool:
    """Say whether a function refers to an object from outside: a lambda in its `__init__` does."""
    for cell in getattr(function, "__closure__", None) or ():
        # A name that is bound later has a cell without contents.
        with contextlib.suppress(ValueError):
            if cell.cell_contents is instance:
                return True
    return False


def _check_params(factory: Callable[..., object], name: str, params: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        # Written in C; the call itself will tell.
        return
    try:
        signature.bind(**params)
    except TypeError as error:
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        known = [each.name for each in signature.parameters.values() if each.kind in kinds]
        wrong = [key for key in params if key not in known]
        guesses = {key: nearest(key, known) for key in wrong}
        hints = [
            f"{key!r} is none of them" + (f"; did you mean {guess!r}?" if guess is not None else ".")
            for key, guess in guesses.items()
        ]
        msg = " ".join([f"strategy {name}: {error}; its parameters: {', '.join(known) or 'none'}.", *hints])
        raise StrategyError(msg) from error


def _called(factory: Callable[..., object], params: Mapping[str, Any]) -> Strategy:
    name = getattr(factory, "__qualname__", repr(factory))
    _check_params(factory, name, params)
    # What one run adds to a list is nothing to the next.
    own = {
        key: copy.deepcopy(value) if isinstance(value, list | dict | set) else value
        for key, value in params.items()
    }
    try:
        made = factory(**own)
    except Exception as error:
        error.add_note(f"{_MAKING} {name}")
        raise
    if is_kernel(made):
        return KernelStrategy(made)
    if not isinstance(made, Strategy):
        msg = f"{factory!r} returned {made!r}, which is no Strategy"
        raise StrategyError(msg)
    return made


def refusal_of(error: Exception, config: RunConfig) -> ConfigError | None:
    """Return what a constructor raised as a fault of the configuration that names the strategy.

    It is located at the parameter where that can be told: by what the error says of itself, by the field that
    attrs was about to check, or by the only parameter that its text names.

    Returns
    -------
    ConfigError or None
        None where the error is of something else than the making of the strategy.
    """
    if not any(note.startswith(_MAKING) for note in getattr(error, "__notes__", ())):
        return None
    (section,) = config.strategies
    path, params = "strategies[0]", section.params
    found = error.findings if isinstance(error, ConfigError) else ()
    if found and all(fault.path.partition(".")[0] in params for fault in found):
        return config.refused(fault.under(f"{path}.params") for fault in found)
    # Of a validator of attrs the first argument is the sentence, the others are what it looked at.
    is_of_attrs = any(isinstance(argument, Attribute) for argument in error.args)
    text = " ".join(str(error.args[0] if is_of_attrs else error).split())
    why = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if (name := _parameter_of(error, text, params)) is not None:
        message = f"{section.type} refuses {shown(params[name])}: {why}"
        return config.refused([Finding(path=f"{path}.params.{name}", message=message)])
    given = ", ".join(f"{key} = {shown(value)}" for key, value in params.items()) or "no parameters"
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    message = f"{section.type} cannot be made with {given}: {why}, raised at {place}"
    return config.refused([Finding(path=path, message=message)])


def _parameter_of(error: Exception, text: str, params: Mapping[str, Any]) -> str | None:
    """Return the parameter that an error is about, None where it cannot be told."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    looked_at = [*error.args, *(value for frame in frames for value in frame.f_locals.values())]
    checked = {value.alias for value in looked_at if isinstance(value, Attribute)} & params.keys()
    named = {name for name in params if re.search(_naming(name), text)}
    found = checked or named
    return found.pop() if len(found) == 1 else None


def _naming(name: str) -> str:
    """Return the pattern of a text that names a parameter; a short name has to be in quotes."""
    return rf"\b{re.escape(name)}\b" if len(name) > 2 else rf"['\"`]{re.escape(name)}['\"`]"


def warn_of_near_misses(strategy: Strategy) -> None:
    """Warn of methods that look like a misspelled callback: nobody would ever call them.

    A method beside the callback it resembles, in the same class, is a helper of it.
    """
    for cls in type(strategy).__mro__[: type(strategy).__mro__.index(Strategy)]:
        for name, value in vars(cls).items():
            if not name.startswith("on") or name in CALLBACKS or not inspect.isroutine(value):
                continue
            near = difflib.get_close_matches(name.lower(), CALLBACKS, n=1, cutoff=_NEAR)
            if near and near[0] not in vars(cls):
                msg = (
                    f"{cls.__name__}.{name} is no callback and will not be called; did you mean {near[0]!r}? "
                    "Rename it, or, if it is a helper, let its name begin otherwise"
                )
                # Of the caller of `Engine.run`.
                warnings.warn(msg, UserWarning, stacklevel=4)
