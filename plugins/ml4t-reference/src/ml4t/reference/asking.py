"""How models are asked: an answer that makes no sense, or a model that raises, ends the run by its name."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import NoReturn

from ml4t.core.errors import ModelError
from ml4t.reference.events import number_text
from ml4t.reference.orders import Order
from ml4t.reference.timestamp import text_of

__all__ = ["asked", "asked_for", "digits", "refuse"]


@contextlib.contextmanager
def asked(model: object, about: str, now: int, what: str = "") -> Iterator[None]:
    """While a model is asked: what it raises becomes an error naming the model, what it is about, and time.

    Parameters
    ----------
    model : object
        The model.
    about : str
        What it is asked about, for example an instrument; empty where that is the account as a whole.
    now : int
        The present instant.
    what : str
        What it is asked for, put before the words of the error where model and subject do not tell.
    """
    named = f"model {type(model).__name__}"
    where = ", ".join(part for part in (named, about, text_of(now)) if part)
    try:
        yield
    except _Refused as error:
        message = f"{where}: {what}{error}"
        raise ModelError(message) from None
    except ModelError as error:
        # A model that says itself what is wrong is not told of twice.
        message = f"{where}: {what}{error}"
        raise ModelError(message) from error
    except Exception as error:
        message = f"{where}: {what}{type(error).__name__}: {error}"
        raise ModelError(message) from error


def asked_for(
    model: object, order: Order, now: int, what: str = ""
) -> contextlib.AbstractContextManager[None]:
    """Ask a model about an order: errors name it and its instrument."""
    return asked(model, f"{order.instrument.symbol}, order {order.id}", now, what)


class _Refused(Exception):
    """An answer of a model that makes no sense."""


def refuse(text: str) -> NoReturn:
    """Refuse an answer of the model that is being asked."""
    raise _Refused(text)


def digits(value: float) -> str:
    """Write an answer of a model, which may have three hundred digits."""
    return repr(value).replace("e+", "e") if 1e15 <= abs(value) < math.inf else number_text(value)
