"""Predictions that Python code yields one by one: signal sources, iterators, lists of events.

An event is a :class:`ml4t.core.events.Signal`, or a mapping with the columns of a long frame for keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import polars as pl

from ml4t.backtest.data.readers import reason_of
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Signal
from ml4t.core.values import format_ns

__all__ = ["Events", "drain", "events_of", "is_event", "rows_of", "table_of"]

Events: TypeAlias = list[Signal] | list[Mapping[str, Any]]

SCHEMA = pl.Schema(
    {
        "row": pl.UInt32(),
        "symbol": pl.String(),
        "stamp": pl.Int64(),
        "arrival": pl.Int64(),
        "name": pl.String(),
        "score": pl.Float64(),
        "confidence": pl.Float64(),
        "version": pl.String(),
    }
)


def is_event(value: object) -> bool:
    """Say whether a value is one prediction; a mapping of names to sources of signals is not."""
    if isinstance(value, Mapping):
        return any(isinstance(each, Real) for each in value.values())
    return isinstance(value, Signal)


def events_of(source: object, *, label: str) -> Events | None:
    """Return the events of an iterator, or of anything else that can be iterated; None for frames and files.

    Raises
    ------
    DataError
        What it yields is no event, or of both kinds.
    """
    if isinstance(source, pl.LazyFrame | str | Mapping | sources.SignalSource):
        return None
    is_table = any(hasattr(source, name) for name in ("columns", "__arrow_c_stream__", "__array__"))
    if is_table or not isinstance(source, Iterable):
        return None
    found: list[Any] = []
    try:
        for event in source:
            _refuse_other(event, found, label=label)
            found.append(event)
    except DataError:
        raise
    except Exception as error:
        error.add_note(
            f"{label}: raised by the {type(source).__name__} after {len(found)} signals; the run had not "
            "begun, so there are no results"
        )
        raise
    if not found and not isinstance(source, Sequence):
        message = (
            f"{label}: the {type(source).__name__} yielded nothing. An iterator yields its signals once: "
            "give a list, or a new iterator for each run"
        )
        raise DataError(message)
    return found


def _refuse_other(event: object, before: Sequence[object], *, label: str) -> None:
    if not isinstance(event, Signal | Mapping):
        message = (
            f"{label}: event {len(before)} is a {type(event).__name__}; events are Signal, or mappings with "
            "ts_event, asset_id and score"
        )
        raise DataError(message)
    if before and isinstance(event, Signal) != isinstance(before[0], Signal):
        message = (
            f"{label}: event {len(before)} is a {type(event).__name__} and those before it are not; yield "
            "only Signal, or only mappings"
        )
        raise DataError(message)


def drain(source: sources.SignalSource, *, label: str) -> list[Signal]:
    """Return the signals of a source.

    Raises
    ------
    DataError
        They are not in the order of their arrival, or are no signals.
    """
    events: list[Signal] = []
    while (event := _next_signal(source, events, label=label)) is not None:
        if events and event.ts_arrival < events[-1].ts_arrival:
            message = (
                f"{label}: the signal of {event.symbol} that arrives at "
                f"{format_ns(event.ts_arrival)} came after one that arrives at "
                f"{format_ns(events[-1].ts_arrival)}; get_next_event yields in the order of ts_arrival"
            )
            raise DataError(message)
        events.append(event)
    return events


def _next_signal(source: sources.SignalSource, before: Sequence[Signal], *, label: str) -> Signal | None:
    """Return the next signal; an error of the source says how far it had come."""
    event: Any
    try:
        event = source.get_next_event()
    except Exception as error:
        last = f", the last of {before[-1].symbol} at {format_ns(before[-1].ts_arrival)}" if before else ""
        error.add_note(
            f"{label}: raised by {type(source).__name__}.get_next_event after {len(before)} signals"
            f"{last}; the run had not begun, so there are no results"
        )
        raise
    if event is not None and not isinstance(event, Signal):
        message = (
            f"{label}: get_next_event returned a {type(event).__name__}; it returns Signal, or None at the "
            "end"
        )
        raise DataError(message)
    signal: Signal | None = event
    return signal


def table_of(events: Sequence[Signal], *, default: str) -> pl.DataFrame:
    """Return signals as rows; `default` is the model of those that name none."""
    columns = {
        "row": range(len(events)),
        "symbol": [event.symbol for event in events],
        "stamp": [event.ts_event for event in events],
        "arrival": [event.ts_arrival for event in events],
        "name": [event.model_id or default for event in events],
        "score": [event.score for event in events],
        "confidence": [event.confidence for event in events],
        "version": [event.version for event in events],
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def rows_of(events: Sequence[Mapping[str, Any]], *, label: str) -> pl.DataFrame:
    """Return mappings as a frame with a column for each of their keys.

    Raises
    ------
    DataError
        Values of one key are of types that do not go together.
    """
    try:
        return pl.DataFrame([dict(event) for event in events], infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        message = f"{label}: the events cannot be read as rows: {reason_of(error)}"
        raise DataError(message) from error
