"""The native library of this distribution, reached the way a library of anybody is."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    import attrs

    from ml4t.native import NativeTable

__all__ = ["InLibrary"]


class InLibrary:
    """What makes a model native: the name of the function in the library that makes its table.

    Its parameters are the numbers among the fields of the class, in their sequence, NaN for one not set.
    """

    __slots__ = ()

    native_symbol: ClassVar[str]

    def __ml4t_model_v1__(self, kind: int) -> object:
        """Answer a capsule with the function table of this model."""
        return self.native_table().capsule(kind)

    def native_table(self) -> NativeTable:
        """Make the table of this model, which can also be asked from Python."""
        from ml4t.native import load

        library = importlib.import_module("ml4t.impact._native").__file__
        fields: Iterable[attrs.Attribute[object]] = getattr(type(self), "__attrs_attrs__")  # noqa: B009
        values = (getattr(self, field.name) for field in fields)
        return load(str(library), self.native_symbol, [v for v in values if not isinstance(v, str)])
