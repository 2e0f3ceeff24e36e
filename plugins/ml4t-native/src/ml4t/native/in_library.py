"""Models of a plugin that brings its own library, as a class beside their Python form."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, ClassVar

from ml4t.native.library import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    import attrs

    from ml4t.native.library import NativeTable

__all__ = ["InLibrary"]


class InLibrary:
    """What makes an attrs class native: a library in an extension module, and a function in it.

    `native_module` names the module, whose file is the library; `native_symbol` the function that makes the
    table of the class. Its parameters are `native_values`: the numbers among the fields, in their sequence,
    NaN for one that is not set.
    """

    __slots__ = ()

    native_module: ClassVar[str]
    native_symbol: ClassVar[str]

    def __ml4t_model_v1__(self, kind: int) -> object:
        """Answer a capsule with the function table of this model."""
        return self.native_table().capsule(kind)

    def native_table(self) -> NativeTable:
        """Make the table of this model, which can also be asked from Python."""
        library = importlib.import_module(self.native_module).__file__
        return load(str(library), self.native_symbol, self.native_values())

    def native_values(self) -> list[float | None]:
        """Return the parameters of the table."""
        fields: Iterable[attrs.Attribute[object]] = getattr(type(self), "__attrs_attrs__")  # noqa: B009
        values = (getattr(self, field.name) for field in fields)
        return [value for value in values if not isinstance(value, str)]
