"""The native library of this distribution, reached the way a library of anybody is."""

from __future__ import annotations

from typing import ClassVar

from ml4t import native

__all__ = ["InLibrary"]


class InLibrary(native.InLibrary):
    """A model of this library."""

    __slots__ = ()

    native_module: ClassVar[str] = "ml4t.margin._margin"
