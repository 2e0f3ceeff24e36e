"""Tables of native models: read one, check it, and hand it over in a capsule.

A capsule keeps its table alive through the owner that is registered for it here. The destructor that lets
the owner go is a ctypes callback; it is never freed, because a capsule may outlive every module.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from ml4t.core.errors import ConfigError, ModelError, nearest
from ml4t.core.types import ModelKind
from ml4t.native import layouts
from ml4t.native.structs import Made, struct

__all__ = ["Owner", "address_in", "capsule", "kind_of", "read_table", "text_at"]


def kind_of(value: ModelKind | str | int) -> ModelKind:
    """Return the kind by its number or its lower-case name.

    Raises
    ------
    ConfigError
        If there is no such kind.
    """
    labels = {kind.label: kind for kind in ModelKind}
    if isinstance(value, str):
        if value in labels:
            return labels[value]
        guess = nearest(value, labels)
        hint = f"; did you mean {guess!r}?" if guess else ""
        msg = f"kind {value!r} of a native model is unknown; allowed: {', '.join(labels)}{hint}"
        raise ConfigError(msg)
    try:
        return ModelKind(value)
    except ValueError:
        numbers = ", ".join(f"{kind.value} ({kind.label})" for kind in ModelKind)
        msg = f"kind {value} of a native model is unknown; allowed: {numbers}"
        raise ConfigError(msg) from None


def text_at(address: int | None) -> str:
    """Return the zero-terminated UTF-8 text at an address, empty for null."""
    found = ctypes.cast(address, ctypes.c_char_p).value if address else None
    return (found or b"").decode("utf-8", "replace")


def read_table(address: int, source: str) -> Made:
    """Copy the table at an address and check that this version of the interface can use it.

    Parameters
    ----------
    address : int
        Where the table is, not null.
    source : str
        Who made it, for messages.

    Returns
    -------
    ctypes.Structure
        A `ModelTable`; what its producer did not know is null or 0.

    Raises
    ------
    ModelError
        If magic or major version differ, or the table contradicts itself.
    """
    layout = struct("ModelTable")
    magic = ctypes.c_uint64.from_address(address).value
    if magic != layouts.MAGIC:
        msg = (
            f"{source} is no table of an ml4t model: its first 8 bytes are 0x{magic:016X}, not "
            f"0x{layouts.MAGIC:016X}; set `magic` to ML4T_MAGIC, and return the address of the table itself"
        )
        raise ModelError(msg)
    # The first 16 bytes are the same in every version.
    major, minor = (ctypes.c_uint16.from_address(address + 12 + at).value for at in (0, 2))
    if major != layouts.ABI_MAJOR:
        msg = (
            f"{source} was compiled for version {major}.{minor} of the native interface, and this is "
            f"{layouts.ABI_MAJOR}.{layouts.ABI_MINOR}; compile it against the ml4t_abi.h of this version"
        )
        raise ModelError(msg)
    declared = ctypes.c_uint32.from_address(address + 8).value
    size = ctypes.sizeof(layout)
    table: Made = layout()
    ctypes.memmove(ctypes.addressof(table), address, min(declared, size))
    for fault in _faults(table, declared):
        msg = f"{source}: {fault}"
        raise ModelError(msg)
    return table


def _faults(table: Made, declared: int) -> list[str]:
    """Return what a table of the right version has wrong."""
    least = struct("ModelTable").eval.offset + ctypes.sizeof(ctypes.c_void_p)
    if declared < least:
        return [f"struct_size is {declared}; set it to sizeof(ml4t_model_table)"]
    kinds = {kind.value: kind for kind in ModelKind}
    if table.kind not in kinds:
        return [f"kind is {table.kind}; allowed: {', '.join(map(str, kinds))}"]
    found = []
    if not table.eval:
        found.append("eval is null; a model without it answers nothing")
    if not table.clone and not table.flags & layouts.CONSTANTS["Flag"]["STATELESS"]:
        found.append("clone is null; only a table with the flag STATELESS may leave it out")
    if table.clone and not table.drop:
        found.append("drop is null; states of clone would never be freed")
    for field, largest in zip(("context_size", "output_size"), sizes(kinds[table.kind]), strict=True):
        given = getattr(table, field)
        if given > largest:
            found.append(f"{field} is {given}, and this version has {largest}; install a newer ml4t")
    if table.n_random > 4:
        found.append(f"n_random is {table.n_random}; at most 4 draws are made for a call")
    return found


def sizes(kind: ModelKind) -> tuple[int, int]:
    """Return the sizes of context and output of a kind, 0 where there is no output struct."""
    names = {name: code.removeprefix("const ").removesuffix("*") for name, code in layouts.EVALS[kind.name]}
    output = layouts.STRUCTS.get(names.get("output", ""), (0, ()))[0]
    return layouts.STRUCTS[names["context"]][0], output


class Owner:
    """Owns a table: keeps alive what it points to, and releases it once, when nobody holds the owner.

    Parameters
    ----------
    address : int
        Where the table is.
    keep : object
        What must live as long.
    release : int or None
        Address of the table's own `release`, for a table that Python did not make.
    """

    def __init__(self, address: int, *, keep: object = None, release: int | None = None) -> None:
        """Take over the table."""
        self.address = address
        self.keep = keep
        self._release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(release) if release else None

    def __del__(self) -> None:
        release, self._release = getattr(self, "_release", None), None
        if release is not None:
            release(self.address)


@functools.cache
def _capsules() -> tuple[Any, Any, dict[int, object], ctypes.Array[ctypes.c_char]]:
    """Return what makes capsules: the C function, their destructor, their owners, and their name."""
    owners: dict[int, object] = {}
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    forget = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
    # The capsule is half gone when this is called, so that it is known by its address and never touched.
    destroy = forget(lambda address, pop=owners.pop: pop(address, None))
    name = ctypes.create_string_buffer(layouts.CAPSULE)
    for immortal in (destroy, name):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(immortal))
    return make(("PyCapsule_New", ctypes.pythonapi)), destroy, owners, name


def capsule(owner: Owner) -> object:
    """Return a capsule named `ml4t.model.v1` that points to the owner's table and keeps the owner."""
    make, destroy, owners, name = _capsules()
    made: object = make(owner.address, ctypes.addressof(name), ctypes.cast(destroy, ctypes.c_void_p).value)
    owners[id(made)] = owner
    return made


def address_in(given: object, source: str) -> int:
    """Return the address that a capsule holds.

    Raises
    ------
    ModelError
        If it is no capsule of this interface.
    """
    prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
    if not prototype(("PyCapsule_IsValid", ctypes.pythonapi))(given, layouts.CAPSULE):
        msg = f"{source} answered {given!r}, not a capsule named {layouts.CAPSULE.decode()}"
        raise ModelError(msg)
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return int(pointer(("PyCapsule_GetPointer", ctypes.pythonapi))(given, layouts.CAPSULE))
