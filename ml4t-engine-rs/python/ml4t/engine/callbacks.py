"""Which callbacks an engine can call, found out before it calls them."""

from __future__ import annotations

import inspect

from ml4t.core.errors import StrategyError
from ml4t.core.strategy import CALLBACKS, Strategy, overridden_callbacks

__all__ = ["check_callbacks", "refuse_deferred"]


def check_callbacks(strategy: Strategy) -> None:
    """Refuse callbacks that an engine cannot call, before the run and not in the middle of it.

    Raises
    ------
    StrategyError
        If one is no function, is `async` or a generator, whose bodies would never run, or does not take what
        it is called with.
    """
    for name in CALLBACKS:
        if name in overridden_callbacks(strategy):
            callback = getattr(strategy, name)
            refuse_deferred(callback, f"{name} of {type(strategy).__name__}")
            wanted = list(inspect.signature(getattr(Strategy, name)).parameters)[1:]
            try:
                inspect.signature(callback).bind(*wanted)
            except TypeError as error:
                taken = f"{name}({', '.join(['self', *wanted])})"
                msg = f"{name} of {type(strategy).__name__} is called as {taken}: {error}"
                raise StrategyError(msg) from None
            except ValueError:
                # Written in C; the call itself will tell.
                continue


def refuse_deferred(callback: object, what: str) -> None:
    """Refuse what is no function, or one whose call would not run its body; messages call it `what`.

    Raises
    ------
    StrategyError
        If it is such a thing.
    """
    if not callable(callback):
        msg = f"{what} must be a function, found {callback!r}"
        raise StrategyError(msg)
    kinds = {"async": inspect.iscoroutinefunction, "an async generator": inspect.isasyncgenfunction}
    kinds["a generator (it has yield)"] = inspect.isgeneratorfunction
    for kind, applies in kinds.items():
        if applies(callback):
            msg = (
                f"{what} is {kind}, and its body would never run; write a plain function with def and return"
            )
            raise StrategyError(msg)
