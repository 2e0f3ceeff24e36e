"""Look at market data before a run trusts them.

Examples
--------
>>> from ml4t.backtest import datasets, lint
>>> prices = datasets.us_equity_daily().drop("adj_close")
>>> lint(prices, actions=datasets.us_equity_actions())
data: 12,154 rows of 5 symbols: 0 errors, 0 doubts
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ml4t.core.types import DataKind, StampMeaning

if TYPE_CHECKING:
    from ml4t.backtest.lint.check import DETECTORS
    from ml4t.backtest.lint.codes import CODES
    from ml4t.backtest.lint.findings import LintFinding, LintReport, LintSeverity
    from ml4t.backtest.lint.table import Table

__all__ = ["CODES", "DETECTORS", "LintFinding", "LintReport", "LintSeverity", "Table", "lint"]

# Loaded when it is asked for: a run, which starts in half a second, needs none of it.
_HOMES = {
    "CODES": "codes",
    "DETECTORS": "check",
    "LintFinding": "findings",
    "LintReport": "findings",
    "LintSeverity": "findings",
    "Table": "table",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a name of one of the modules
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def lint(  # noqa: PLR0913 - what is known of the data, each by its name
    data: object,
    *,
    calendar: str = "XNYS",
    kind: DataKind | Literal["bar", "quote", "trade"] = DataKind.BAR,
    stamp: StampMeaning | Literal["open", "close", "event", "session"] | None = None,
    interval: str | dt.timedelta | None = None,
    timezone: str | None = None,
    columns: Mapping[str, str] | None = None,
    actions: object = None,
    today: dt.date | None = None,
    ignore: Iterable[str] = (),
    name: str | None = None,
) -> LintReport:
    """Say what looks wrong in market data, with the row, why it matters and what to do.

    Nothing is changed, and nothing is read but what is given: the clock neither, so that the same data have
    the same report tomorrow.

    Parameters
    ----------
    data
        A polars, pandas or pyarrow frame in long form, a mapping of one frame per symbol, or a path, a list
        of paths, a folder or a glob pattern of Parquet or CSV files, which are looked at as one. A file
        without a symbol column is one symbol, called like the file.
    calendar
        Of the venue, as a feed has it.
    kind
        ``bar``, ``quote`` or ``trade``. Most detectors are about bars.
    stamp, interval, timezone, columns
        As of :class:`~ml4t.backtest.DataFeed`. None of them has to be declared: what can be told without is,
        and more with them.
    actions
        Corporate actions, as :func:`~ml4t.backtest.data.read_actions` takes them. Without them a split that
        is not marked is a doubt.
    today
        The day after which rows are of the future; None does not look for such.
    ignore
        Codes of findings that are known and wanted.
    name
        What the report calls the data; by default the file, or ``data``.

    Returns
    -------
    LintReport
        Errors, which make results wrong or stop a run, and doubts, which honest data can raise.

    Raises
    ------
    DataError
        The data cannot be read at all, the calendar is unknown, or `kind` is ``context``.
    UnknownNameError
        A code to ignore does not exist.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame(
    ...     {
    ...         "symbol": ["A", "A"],
    ...         "session": ["2024-03-04", "2024-03-04"],
    ...         "open": [10.0, 10.0],
    ...         "high": [10.5, 10.5],
    ...         "low": [9.9, 9.9],
    ...         "close": [10.2, 10.3],
    ...     }
    ... )
    >>> report = lint(frame)
    >>> report.is_clean, report.codes
    (False, ('duplicate-row',))
    >>> print(report.findings[0])
    error duplicate-row: A, 2024-03-04, row 1: row 0 is of this session, too, with other values
    """
    from attrs import evolve

    from ml4t.backtest.data.stamps import Interval
    from ml4t.backtest.lint.check import kind_of, look, name_of, stamp_of
    from ml4t.backtest.lint.codes import CODES
    from ml4t.backtest.lint.times import Declared
    from ml4t.core.errors import unknown_name

    ignored = set(ignore)
    for code in sorted(ignored - set(CODES)):
        what = "lint code"
        raise unknown_name(what, code, CODES)
    label = name or name_of(data)
    declared = Declared(
        label=label,
        kind=kind_of(kind, label),
        calendar=calendar,
        stamp=None if stamp is None else stamp_of(stamp, label),
        interval=None if interval is None else Interval.parse(interval),
        timezone=timezone,
        columns=columns or {},
        today=today,
    )
    report = look(data, declared, actions=actions)
    return evolve(report, findings=tuple(each for each in report.findings if each.code not in ignored))
