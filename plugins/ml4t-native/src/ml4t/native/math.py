"""`exp`, `log` and `pow` with the same bits everywhere.

Every C library has functions of its own, which differ in the last digit. These are the ones that the engine
is compiled with, called by their addresses: a kernel gets the bits that a model in Rust gets, in plain Python
and under numba, on every platform. Addition, multiplication, division and `math.sqrt` are exact to the last
bit by IEEE 754 and need no such care; `**` is not one of them.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from typing import Any

from ml4t.core.errors import ModelError

__all__ = ["exp", "functions", "log", "pow"]


@functools.cache
def functions() -> dict[str, Any]:
    """Return the three functions as ctypes functions, which numba can call.

    Raises
    ------
    ModelError
        If ml4t-engine is not installed, or has none to offer.
    """
    try:
        # By its name at run time: this package works without an engine as long as no kernel needs these.
        engine = importlib.import_module("ml4t.engine._engine")
    except ImportError as error:
        msg = "ml4t.native.math needs ml4t-engine, which is not installed: pip install ml4t-engine"
        raise ModelError(msg) from error
    offered = getattr(engine, "math_functions", None)
    if offered is None:
        msg = "ml4t.native.math needs functions that this ml4t-engine lacks: install that of this version"
        raise ModelError(msg)
    addresses: dict[str, int] = offered()
    double = ctypes.c_double
    one, two = ctypes.CFUNCTYPE(double, double), ctypes.CFUNCTYPE(double, double, double)
    return {"exp": one(addresses["exp"]), "log": one(addresses["log"]), "pow": two(addresses["pow"])}


def exp(x: float) -> float:
    """Return e to the power of `x`."""
    answer: float = functions()["exp"](x)
    return answer


def log(x: float) -> float:
    """Return the natural logarithm of `x`: NaN below zero, minus infinity at zero."""
    answer: float = functions()["log"](x)
    return answer


def pow(base: float, exponent: float) -> float:
    """Return `base` to the power of `exponent`: NaN for a fraction of a negative base."""
    answer: float = functions()["pow"](base, exponent)
    return answer
