"""Real prices that ship with the package, to try things on.

Daily bars of AAPL, FB, GOOG, IBM and MSFT from 2000-03-01 to 2013-03-01, raw (not adjusted), and the
splits and cash dividends of those years. Source: Quandl WIKI Prices (public domain), via
bokeh_sampledata; ``README.md`` beside the files says more.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import polars as pl

from ml4t.core.errors import unknown_name

__all__ = ["names", "path", "us_equity_actions", "us_equity_daily"]

SUFFIX = ".parquet"


def names() -> tuple[str, ...]:
    """Return the names of the data sets, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX)))


def path(name: str) -> Path:
    """Return the Parquet file of a data set.

    Raises
    ------
    UnknownNameError
        There is no data set of that name; the message lists those that there are.
    """
    if name not in names():
        kind = "data set"
        raise unknown_name(kind, name, names())
    return Path(str(resources.files(__name__).joinpath(name + SUFFIX)))


def us_equity_daily() -> pl.DataFrame:
    """Return daily bars of five US shares, 12,154 rows sorted by session and symbol.

    Columns: symbol, session (New York trading day), open, high, low, close (USD, raw), volume
    (shares), adj_close (adjusted for splits and dividends, those after the row included: it looks ahead,
    so compare results with it and keep it out of decisions).

    Examples
    --------
    >>> us_equity_daily().height
    12154
    """
    return pl.read_parquet(path("us_equity_daily"))


def us_equity_actions() -> pl.DataFrame:
    """Return the splits and cash dividends of the same shares, 95 rows.

    Columns: symbol, ex_date, kind (``split`` or ``cash_dividend``), ratio (new shares per old share),
    amount (USD per share as held on the ex-date).
    """
    return pl.read_parquet(path("us_equity_actions"))
