"""The structs of the native interface as ctypes classes, numpy dtypes and numba records.

All are made from `layouts`, by name, when they are first asked for; numpy and numba are imported only then.

Examples
--------
>>> context = unset("SlippageContext")
>>> context.price
nan
>>> context.price = 40.0
>>> context.price, context.phase
(40.0, 0)
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ml4t.core.errors import ModelError, unknown_name
from ml4t.native.layouts import EVALS, STRUCTS

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Made", "dtype", "eval_type", "record", "struct", "unset"]

#: A struct, a function or a model whose type is made at run time, so that no checker can name it.
Made: TypeAlias = Any

_CTYPES: dict[str, type[Any]] = {
    "i1": ctypes.c_int8,
    "u1": ctypes.c_uint8,
    "i2": ctypes.c_int16,
    "u2": ctypes.c_uint16,
    "i4": ctypes.c_int32,
    "u4": ctypes.c_uint32,
    "i8": ctypes.c_int64,
    "u8": ctypes.c_uint64,
    "f8": ctypes.c_double,
    "P": ctypes.c_void_p,
}


def _layout(name: str) -> tuple[int, tuple[tuple[str, str, int, int], ...]]:
    try:
        return STRUCTS[name]
    except KeyError:
        what = "struct of the native interface"
        raise unknown_name(what, name, STRUCTS) from None


@functools.cache
def struct(name: str) -> type[ctypes.Structure]:
    """Return the ctypes class of a struct.

    Raises
    ------
    UnknownNameError
        If the interface has no such struct.
    ModelError
        If this platform would lay it out differently, as one with pointers of 32 bits does.
    """
    size, fields = _layout(name)
    members = [(field, _CTYPES[code] * n if n > 1 else _CTYPES[code]) for field, code, _, n in fields]
    made = type(name, (ctypes.Structure,), {"_fields_": members, "__doc__": f"`{name}` of the interface."})
    found = (ctypes.sizeof(made), [getattr(made, field).offset for field, _, _, _ in fields])
    if found != (size, [offset for _, _, offset, _ in fields]):
        msg = (
            f"this platform lays {name} out in {found[0]} bytes, not {size}; native models need a 64-bit one"
        )
        raise ModelError(msg)
    return cast("type[ctypes.Structure]", made)


@functools.cache
def _template(name: str) -> bytes:
    made = struct(name)()
    for field, code, _, n in _layout(name)[1]:
        if code == "f8":
            setattr(made, field, (ctypes.c_double * n)(*[math.nan] * n) if n > 1 else math.nan)
    return bytes(made)


def unset(name: str) -> Made:
    """Return a struct with nothing set: floats are NaN, everything else is zero."""
    return struct(name).from_buffer_copy(_template(name))


@functools.cache
def dtype(name: str) -> np.dtype[Any]:
    """Return the numpy dtype of a struct, aligned, with the offsets of the interface; pointers are `u8`."""
    import numpy as np

    size, fields = _layout(name)
    plain = [("u8" if code == "P" else code, n) for _, code, _, n in fields]
    return np.dtype(
        {
            "names": [field for field, _, _, _ in fields],
            "formats": [(code, (n,)) if n > 1 else code for code, n in plain],
            "offsets": [offset for _, _, offset, _ in fields],
            "itemsize": size,
        },
        align=True,
    )


@functools.cache
def record(name: str) -> Made:
    """Return the numba record type of a struct."""
    import numba

    return numba.from_dtype(dtype(name))


@functools.cache
def eval_type(kind: str) -> Made:
    """Return the ctypes function type of `eval` of a kind: the state and all arrays are plain addresses."""
    numbers = {"u32": ctypes.c_uint32}
    arguments = [numbers.get(code, ctypes.c_void_p) for _, code in EVALS[kind]]
    return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, *arguments)
