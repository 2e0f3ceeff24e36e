"""Native models: written in Python and compiled by numba, or in any language that makes a C library.

`native_model` decorates an attrs class whose formula is one function, the kernel. `load` opens a shared
library, and `InLibrary` makes the classes of a plugin native that has a library of its own. Each gives a
model whose method `__ml4t_model_v1__` hands the engine a table of C functions, so that a run calls it without
Python. `NativeState` asks such a model from Python, as the engine would.

Importing this package imports neither numpy nor numba.
"""

from __future__ import annotations

from ml4t.native.constants import (
    DEFER,
    GIVE_UP,
    NO_OPINION,
    OK,
    REJECT,
    Action,
    Life,
    Liquidity,
    Message,
    Missing,
    OrderKind,
    OrderType,
    Phase,
)
from ml4t.native.in_library import InLibrary
from ml4t.native.kernel import helper, native_model
from ml4t.native.library import NativeTable, include_folder, load
from ml4t.native.state import NativeState
from ml4t.native.structs import struct, unset

__all__ = ["DEFER", "GIVE_UP", "NO_OPINION", "OK", "REJECT"]
__all__ += ["Action", "Life", "Liquidity", "Message", "Missing", "OrderKind", "OrderType", "Phase"]
__all__ += [
    "InLibrary",
    "NativeState",
    "NativeTable",
    "helper",
    "include_folder",
    "load",
    "native_model",
    "struct",
    "unset",
]
