"""Files of predictions by name, as a configuration names them, for use in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl
from attrs import field, frozen

from ml4t.backtest.data.frames import Files
from ml4t.backtest.data.signals import Signals, read_signals, signal_instants
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Signal

__all__ = ["CsvSignalSource", "ParquetSignalSource"]


def _files(source: object, kind: Literal["parquet", "csv"]) -> Files:
    if isinstance(source, Files):
        return source
    if isinstance(source, str | Path):
        return Files((source,), kind)
    if isinstance(source, list | tuple) and source and all(isinstance(each, str | Path) for each in source):
        return Files(tuple(source), kind)
    message = (
        f"a signal source of {kind} files takes a path, or a list of paths, and not a "
        f"{type(source).__name__}; Signals(...) takes frames"
    )
    raise DataError(message)


def _parquet(source: object) -> Files:
    return _files(source, "parquet")


def _csv(source: object) -> Files:
    return _files(source, "csv")


@frozen
class _FileSource(Signals, sources.SignalSource):
    """Signals of files, which a run reads at once, and other code one by one."""

    _left: list[Iterator[Signal]] = field(factory=list, init=False, repr=False, eq=False)

    def get_next_event(self) -> Signal | None:
        """Return the next signal in the order of arrival, None at the end.

        Raises
        ------
        DataError
            Stamps are sessions, or there is an embargo: only a run has the calendars for these.
        """
        if not self._left:
            self._left.append(self._signals())
        return next(self._left[0], None)

    def _signals(self) -> Iterator[Signal]:
        rows = read_signals(self)
        if self.embargo is not None or pl.Date in (rows.frame.schema["stamp"], rows.frame.schema["arrival"]):
            message = (
                f"{self.label}: one by one there are only signals whose stamps are instants, without an "
                "embargo, as calendars are those of a run; give the source to a run"
            )
            raise DataError(message)
        frame = signal_instants(rows, {}).sort("ts_arrival", maintain_order=True)
        for row in frame.iter_rows(named=True):
            yield Signal(
                row["symbol"],
                row["ts_event"],
                row["ts_arrival"],
                row["score"],
                model_id=row["name"],
                confidence=row["confidence"],
                version=row["version"],
            )


@frozen
class ParquetSignalSource(_FileSource):
    """Predictions in Parquet files, whatever the files are called.

    Attributes
    ----------
    source
        A path, a folder, a pattern such as ``"scores/*.parquet"``, or a list of these.

    The others are those of :class:`ml4t.backtest.Signals`.

    Examples
    --------
    >>> ParquetSignalSource("scores.parquet", model_id="xgb", embargo="next_open").label
    'signals'
    """

    source: Files = field(converter=_parquet)


@frozen
class CsvSignalSource(_FileSource):
    """Predictions in text files with a line of column names, whatever the files are called.

    Attributes
    ----------
    source
        A path, a folder, a pattern such as ``"scores/*.csv"``, or a list of these.

    The others are those of :class:`ml4t.backtest.Signals`.

    Examples
    --------
    >>> CsvSignalSource("scores.csv", timezone="UTC", latency="90s").timezone
    'UTC'
    """

    source: Files = field(converter=_csv)
