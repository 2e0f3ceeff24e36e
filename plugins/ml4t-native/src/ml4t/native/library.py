"""Models in a shared library that knows no Python: C, C++, or Rust with the crate `ml4t-abi` alone."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import attrs

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.types import ModelKind
from ml4t.native import math as exact
from ml4t.native.layouts import CONSTANTS
from ml4t.native.structs import Made, struct
from ml4t.native.table import Owner, capsule, kind_of, read_table, text_at

__all__ = ["NativeTable", "include_folder", "load"]

_ERROR_CAPACITY = 1024
_BUILD = "in C: cc -O2 -shared -fPIC -ffp-contract=off -I <include_folder()> model.c -o libmodel.so"


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().resolve())


def _numbers(params: Iterable[Made]) -> tuple[float, ...]:
    found = []
    for index, value in enumerate(params):
        if value is not None and not isinstance(value, int | float):
            msg = f"params[{index}] is {value!r}; a library takes numbers, and None for one not set"
            raise ConfigError(msg)
        found.append(math.nan if value is None else float(value))
    return tuple(found)


@attrs.frozen(slots=False)
class NativeTable:
    """A model of a shared library, configured; made by `load`.

    It goes into `run(..., models={...})` like any model, and a strategy in the place of one. It has no form
    in Python: a run that calls nothing native refuses it. The library stays loaded until the process ends.

    Attributes
    ----------
    path : str
        The library, absolute.
    symbol : str
        The function that made the table.
    params : tuple of float
        What it was made with; NaN for a parameter that is not set.
    """

    path: str = attrs.field(converter=_absolute)
    symbol: str
    params: tuple[float, ...] = attrs.field(default=(), converter=_numbers)

    def __attrs_post_init__(self) -> None:
        """Make the table."""
        # Not a field: the parameters above are what a manifest shows and what copies are made from.
        object.__setattr__(self, "_owner", _open(self.path, self.symbol, self.params))

    def __reduce__(self) -> tuple[Any, ...]:
        return NativeTable, (self.path, self.symbol, self.params)

    @property
    def _table(self) -> Made:
        owner = cast("Owner", self.__dict__["_owner"])
        return struct("ModelTable").from_address(owner.address)

    @property
    def kind(self) -> ModelKind:
        """What the model decides."""
        return ModelKind(self._table.kind)

    @property
    def name(self) -> str:
        """Name that the library gives the model."""
        return text_at(self._table.name)

    @property
    def version(self) -> str:
        """Version that the library gives the model."""
        return text_at(self._table.model_version)

    @property
    def needs_volume(self) -> bool:
        """Whether the answer uses the volume, range or close of the completed bar."""
        return bool(self._table.flags & CONSTANTS["Flag"]["NEEDS_BAR"])

    @property
    def average_days(self) -> int:
        """Sessions over which `average_volume` and `volatility` go, 0 where it needs neither."""
        return int(self._table.average_days)

    def capsule(self, kind: ModelKind | str | int) -> object:
        """Return the table in a capsule named `ml4t.model.v1`, which keeps it alive.

        Raises
        ------
        ConfigError
            If the model is of another kind.
        """
        wanted = kind_of(kind)
        if wanted is not self.kind:
            msg = (
                f"{self.symbol} of {self.path} is a {self.kind.label} model and cannot be the {wanted.label} "
                f"model; name a symbol whose table says {wanted.label}"
            )
            raise ConfigError(msg)
        return capsule(cast("Owner", self.__dict__["_owner"]))

    def __ml4t_model_v1__(self, kind: int) -> object:
        """Return the capsule that the engine asks for."""
        return self.capsule(kind)


class _Math(ctypes.Structure):
    """`ml4t_math` of the header."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("exp", "log", "pow")]


_GIVEN: dict[int, _Math] = {}  # by the function's address; a library keeps what it gets, so it stays here


def load(path: str | Path, symbol: str, params: Iterable[float | None] = ()) -> NativeTable:
    """Open a shared library and make a model of it.

    Parameters
    ----------
    path : str or Path
        The library. A relative path counts from the working folder.
    symbol : str
        A function of the C signature `ml4t_model_table *symbol(const double *params, size_t n_params,
        char *error, size_t capacity)`. It returns null when it refuses the parameters, the reason in `error`.
    params : iterable of float or None
        Numbers for the function; None becomes NaN.

    Raises
    ------
    ConfigError
        If there is no such library or function, or the function refuses the parameters.
    ModelError
        If what it returns is no table of this version of the interface, or the library defines
        `ml4t_set_math` and no engine is installed whose functions it could get.
    """
    return NativeTable(path, symbol, params)


def include_folder() -> Path:
    """Return the folder of `ml4t_abi.h`, for the option `-I` of a C compiler."""
    return Path(__file__).parent / "include"


def _open(path: str, symbol: str, params: tuple[float, ...]) -> Owner:
    """Call the function and take over its table."""
    found: object = symbol
    if not isinstance(found, str):
        msg = f"symbol is {found!r}; expected the name of a function of {path}"
        raise ConfigError(msg)
    if not Path(path).is_file():
        msg = f"native library {path} does not exist, wanted for {symbol}; build it first, {_BUILD}"
        raise ConfigError(msg)
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        msg = f"native library {path} of {symbol} cannot be opened ({error}); build it for this platform"
        raise ConfigError(msg) from error
    try:
        make = library[symbol]
    except AttributeError:
        msg = (
            f"native library {path} exports no function {symbol}; define it with C linkage and default "
            f'visibility (in C++ and Rust: extern "C"), or name another'
        )
        raise ConfigError(msg) from None
    _give_math(library, path)
    error_text = ctypes.create_string_buffer(_ERROR_CAPACITY)
    make.restype = ctypes.c_void_p
    make.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
    address = make((ctypes.c_double * len(params))(*params), len(params), error_text, _ERROR_CAPACITY)
    if not address:
        reason = error_text.value.decode("utf-8", "replace") or "it gave no reason"
        msg = f"{symbol} of {path} refused the parameters {list(params)}: {reason}"
        raise ConfigError(msg)
    table = read_table(address, f"what {symbol} of {path} returned")
    return Owner(address, keep=library, release=table.release)


def _give_math(library: ctypes.CDLL, path: str) -> None:
    """Hand exp, log and pow of the engine to a library that wants them, once."""
    try:
        take = library["ml4t_set_math"]
    except AttributeError:
        return
    place = ctypes.cast(take, ctypes.c_void_p).value or 0
    if place in _GIVEN:
        return
    try:
        functions = exact.functions()
    except ModelError as error:
        msg = f"native library {path} defines ml4t_set_math to get exp, log and pow of the engine: {error}"
        raise ModelError(msg) from error
    addresses = {name: ctypes.cast(each, ctypes.c_void_p).value for name, each in functions.items()}
    given = _GIVEN[place] = _Math(**addresses)
    take.restype, take.argtypes = None, [ctypes.c_void_p]
    take(ctypes.addressof(given))
