"""Parameters by symbol: what of them belongs to which instrument of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ml4t.core.errors import Finding, ModelError
from ml4t.core.values import FrozenMapping

__all__ = ["as_table", "mark_of", "of_instrument", "refused"]

T = TypeVar("T")


def as_table(value: Any, convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - a table, or what is to be refused
    """Freeze a table and convert its values; leave anything else for the check to refuse."""
    if not isinstance(value, Mapping):
        return value
    return FrozenMapping({key: convert(item) for key, item in value.items()})


def refused(
    values: Mapping[str, Any], name: str, what: str, accepts: Callable[[Any], bool]
) -> Iterator[Finding]:
    """Yield a finding for each entry of a table that is not accepted, and for what is no table."""
    table: object = values.get(name, {})
    if not isinstance(table, Mapping):
        yield Finding(path=name, message=f"expected a table of {what}, found {table!r}", found=repr(table))
        return
    for key, item in table.items():
        if not isinstance(key, str) or not key:
            yield Finding(path=name, message=f"expected a text as name, found {key!r}", found=repr(key))
        elif not accepts(item):
            yield Finding(path=f"{name}.{key}", message=f"expected {what}, found {item!r}", found=repr(item))


def mark_of(bound: object, *, needed: bool) -> float:
    """Return how a table knows the symbols: 1 they are there, 0 none are needed, -1 they are missing."""
    if bound is not None:
        return 1.0
    return -1.0 if needed else 0.0


def of_instrument(model: object, bound: Sequence[T] | None, asset: int, *, otherwise: T, needed: str) -> T:
    """Return what belongs to an instrument of the run.

    Parameters
    ----------
    model : object
        The model that asks, for messages.
    bound : sequence or None
        By instrument of the run; None for a model that was not told them.
    asset : int
        Index of the instrument.
    otherwise : object
        What belongs to every instrument where nothing is said by symbol.
    needed : str
        Parameters that go by symbol, where some are given.

    Raises
    ------
    ModelError
        If the model does not know the instruments of the run, and needs to.
    """
    name = type(model).__name__
    if bound is None:
        if not needed:
            return otherwise
        msg = (
            f"{name}: {needed} names symbols, and which instruments have them is not known; ask the model "
            "that with_symbols(symbols) returns"
        )
        raise ModelError(msg)
    if asset >= len(bound):
        msg = f"{name}: instrument index {asset} is none of the {len(bound)} that with_symbols was given"
        raise ModelError(msg)
    return bound[asset]
