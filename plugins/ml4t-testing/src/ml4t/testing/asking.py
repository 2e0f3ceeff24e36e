"""Ask a model as the suites do, and compare what it answered: in Python, and as native code."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NoReturn, TypeAlias

import attrs
import pytest

from ml4t.core.errors import ModelError
from ml4t.core.models import FillOut
from ml4t.testing.draws import Args, Draw

__all__ = ["Made", "Refusal", "alike", "fail", "fresh", "in_child", "numbers_of", "outcome", "plain", "play"]

#: A model, an answer or a native struct: whatever an author wrote.
Made: TypeAlias = Any

SECONDS = 60
_SHOWN = 400


def fail(claim: str, remedy: str) -> NoReturn:
    """Fail a test with what was found, and what to do about it."""
    pytest.fail(f"{claim}\n\nWhat to do: {remedy}", pytrace=False)


@attrs.frozen
class Refusal:
    """A question that was answered by `ModelError`; two of them are alike whatever they say."""

    text: str = attrs.field(eq=False)


def outcome(target: Made, asked: Made) -> Made:
    """Return the answer to a question, or its refusal; any other exception fails the test."""
    try:
        return target.evaluate(asked)
    except ModelError as error:
        return Refusal(str(error))
    except Exception as error:
        name = type(target).__name__
        fail(
            f"{name}.evaluate raised {type(error).__name__}: {error}\nasked with {shown(asked)}",
            "guard the formula; where a number is missing raise ModelError with a sentence that says which",
        )


def shown(value: object) -> str:
    """Return a value as text of bounded length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def fresh(model: Made) -> Made:
    """Return what a run would ask: a clone of a model that has state, else the model itself."""
    return model.clone() if callable(getattr(model, "clone", None)) else model


def play(
    target: Made, draw: Draw, questions: Sequence[Made], *, args: Sequence[Args], seed: int
) -> list[Made]:
    """Ask in sequence and return the outcomes; a model that listens is told of fills between them."""
    random = Random(seed)
    found = []
    for number, (asked, plain_args) in enumerate(zip(questions, args, strict=True), start=1):
        found.append(outcome(target, asked))
        if random.random() < 0.5:
            fill = draw.fill_of(plain_args, random, number)
            if callable(getattr(target, "observe", None)):
                target.observe(fill)
    return found


def plain(value: Made) -> Made:
    """Return a value whose equality is that of bits, except that all NaN are one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, ctypes.Structure):
        return tuple((name, plain(getattr(value, name))) for name, *_ in type(value)._fields_)
    if isinstance(value, ctypes.Array | tuple | list):
        return tuple(plain(each) for each in value)
    if attrs.has(type(value)) and not isinstance(value, Refusal):
        return (type(value).__name__, *(plain(each) for each in attrs.astuple(value)))
    return value


def numbers_of(answer: Made) -> list[float]:
    """Return the numbers of an answer that must be finite; an unfilled order has no price."""
    if isinstance(answer, tuple):
        return [number for each in answer for number in numbers_of(each)]
    if isinstance(answer, FillOut) and (answer.quantity == 0.0 or answer.rejects):
        return [answer.quantity]
    capped = {"quantity_cap"}  # infinite where there is no cap
    return [
        value
        for name, value in attrs.asdict(answer).items()
        if isinstance(value, float) and not (name in capped and value == math.inf)
    ]


def alike(first: Made, second: Made, *, tolerance: float) -> bool:
    """Say whether two outcomes are the same: in bits, or within a relative tolerance."""
    if tolerance == 0.0 or isinstance(first, Refusal) or isinstance(second, Refusal):
        return bool(plain(first) == plain(second))
    if isinstance(first, float) and isinstance(second, float):
        return (
            first == second
            or math.isclose(first, second, rel_tol=tolerance)
            or (math.isnan(first) and math.isnan(second))
        )
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(
            alike(one, other, tolerance=tolerance) for one, other in zip(first, second, strict=True)
        )
    if attrs.has(type(first)) and type(first) is type(second):
        return alike(attrs.astuple(first), attrs.astuple(second), tolerance=tolerance)
    return bool(first == second)


def in_child(action: Callable[[], Iterable[str]], *, what: str) -> list[str]:
    """Do something in a copy of this process and return the texts it yields; fail if the copy dies.

    Where processes cannot be copied, as on Windows, it is done here.
    """
    if not hasattr(os, "fork"):
        return list(action())
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Of forking beside threads: the copy touches none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _report(action, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if (code := os.waitstatus_to_exitcode(status)) != 0:
        died = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        slow = f" (it did not answer within {SECONDS} s)" if -code == signal.SIGALRM else ""
        fail(
            f"the process died of {what}: {died}{slow}",
            "catch panics and exceptions before they leave the library: `export_model!` does so in Rust; in "
            "C test before you divide, index or recurse, and answer a negative status",
        )
    found: list[str] = json.loads(said)
    return found


def _report(action: Callable[[], Iterable[str]], writing: int) -> NoReturn:
    """Do the action in the copy, and end it without the exit handlers of the original."""
    code = 1
    try:
        # Whoever watches over the original, as pytest does, has nothing to tell of the copy.
        faulthandler.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writing, "wb") as stream:
            stream.write(json.dumps(list(action())).encode())
        code = 0
    finally:
        os._exit(code)
