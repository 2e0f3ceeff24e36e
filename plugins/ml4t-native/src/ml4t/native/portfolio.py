"""Models of a whole portfolio asked from Python: the positions as an array, and an amount for each."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import MODEL_STRUCTS, Holding, LiquidationOut, MarginOut
from ml4t.core.types import ModelKind
from ml4t.native.constants import OK
from ml4t.native.structs import Made, struct, unset
from ml4t.native.translate import context_of, output_of

__all__ = ["PORTFOLIO", "ask"]

#: Kinds whose models are asked with the positions of an account.
PORTFOLIO = (ModelKind.MARGIN, ModelKind.LIQUIDATION)
_FIELDS = tuple(field.name for field in attrs.fields(Holding))


def ask(kind: ModelKind, given: Made, call: Callable[..., int], *, who: str) -> MarginOut | LiquidationOut:
    """Ask a model of a portfolio.

    Parameters
    ----------
    kind : ModelKind
        One of `PORTFOLIO`.
    given : object
        The argument class of `ml4t.core.models`.
    call : callable
        Calls `eval`, and raises on an error that the model answers.
    who : str
        The model, for messages.

    Raises
    ------
    ModelError
        If it is asked with another class, or the status has no meaning for the kind.
    """
    wanted, _ = MODEL_STRUCTS[kind]
    if not isinstance(given, wanted):
        found = type(given).__name__
        msg = f"{who} is a {kind.label} model and is asked with {wanted.__name__}, not {found}"
        raise ModelError(msg)
    asked: Made = given
    n = len(asked.holdings)
    amounts = (ctypes.c_double * n)(*[math.nan] * n)
    output = output_of(kind)
    context = context_of(kind, asked, who=who)
    status = call(context, _array(asked.holdings), n, amounts, output)
    if status != OK:
        msg = f"{who} answered the status {status}, which means nothing for a {kind.label} model"
        raise ModelError(msg)
    if kind is ModelKind.LIQUIDATION:
        return LiquidationOut(tuple(amounts))
    return MarginOut(output.initial, output.maintenance, tuple(amounts), output.overnight)


def _array(holdings: tuple[Holding, ...]) -> Made:
    found: Made = (struct("Holding") * len(holdings))()
    for k, holding in enumerate(holdings):
        one = unset("Holding")
        for name in _FIELDS:
            setattr(one, name, getattr(holding, name))
        found[k] = one
    return found
