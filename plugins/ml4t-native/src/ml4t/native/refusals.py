"""Why numba cannot compile a kernel, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["ENDS_WITH", "why"]

ENDS_WITH = "it ends with a status, such as `return OK`, or a count of orders"
_CALLS = "A kernel calls numpy, math, ml4t.native.math and functions marked with ml4t.native.helper."
_TAKES = (
    "of a model params, state, ctx, out, of a fill model with fills before out; of an algorithm params, "
    "state, ctx, open_orders, orders; of a strategy see its page"
)
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# Lines in which numba speaks of itself.
_NOISE: tuple[str, ...] = (
    "During:",
    "File ",
    "Failed in nopython",
    ">>>",
    "Overload ",
    "There are",
    "- Of which",
    "With argument",
)
_NOISE += ("Rejected as", "raised from", "No implementation", "^", "<source elided>", "[", "This error")


def why(error: Exception, kernel: Callable[..., Any]) -> str:
    """Say why a kernel cannot be compiled; what numba says in full is the cause of the error."""
    if isinstance(error, KeyError):
        return f"none of its arguments has a field {error.args[0]!r}{_place(kernel, str(error.args[0]))}"
    text = _COLOR.sub("", str(error))
    if "Casting none to int32" in text or ">>> int(none)" in text:
        return f"it returns nothing; {ENDS_WITH}"
    if "missing a required argument" in text or "too many positional arguments" in text:
        own = ", ".join(kernel.__code__.co_varnames[: kernel.__code__.co_argcount])
        return f"it takes ({own}), which are not the arguments of its kind ({_TAKES})"
    file = kernel.__code__.co_filename
    lines = re.findall(rf"{re.escape(file)} \((\d+)\)", text) or re.findall(
        rf'{re.escape(file.rpartition("/")[2])}", line (\d+)', text
    )
    place = f" ({file}, line {lines[-1]})" if lines else ""
    return f"{_essence(text)}{place}. {_CALLS}"


def _essence(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    errors = [line for line in kept if re.match(r"\w+Error: ", line)]
    return (errors or kept or [text])[0].rstrip(".")


def _place(kernel: Callable[..., Any], name: str) -> str:
    """Return the line of a kernel that names an attribute, where it is found."""
    import inspect

    try:
        lines, first = inspect.getsourcelines(kernel)
    except (OSError, TypeError):
        return ""
    found = [first + k for k, line in enumerate(lines) if re.search(rf"\.{re.escape(name)}\b", line)]
    return f" ({kernel.__code__.co_filename}, line {found[0]})" if found else ""
