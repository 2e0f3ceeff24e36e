"""What is loaded of a run so far, and what its other tables are read against."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from ml4t.backtest.data.bounds import Bounds, SessionBook
from ml4t.backtest.data.events import source_symbols
from ml4t.backtest.data.prepare import Prepared
from ml4t.core import sources
from ml4t.core.errors import DataError, nearest
from ml4t.core.instrument import Instrument

__all__ = ["Context", "Loaded", "all_symbols", "hint", "of_universe", "own"]


@frozen(kw_only=True, eq=False)
class Loaded:
    """One table's worth of a feed, and the feed, to ask it for symbols that were not loaded."""

    feed: sources.DataFeed
    prepared: Prepared
    symbols: frozenset[str]

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self.prepared.settings.name


@frozen(kw_only=True, eq=False)
class Context:
    """What signals and actions are read against."""

    loaded: Sequence[Loaded]
    universe: Mapping[str, Instrument]
    bounds: Bounds
    book: SessionBook
    span_ns: tuple[int, int]

    @property
    def span(self) -> tuple[dt.date, dt.date]:
        """First and last UTC day of the market data."""
        first, last = (dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC).date() for ns in self.span_ns)
        return first, last

    @property
    def ids(self) -> dict[str, int]:
        """Index of each instrument."""
        return {symbol: index for index, symbol in enumerate(self.universe)}

    @property
    def zones(self) -> dict[str, str]:
        """Zone of the exchange by symbol."""
        return {
            symbol: self.book.table(instrument.calendar, *self.span).timezone
            for symbol, instrument in self.universe.items()
        }


def own(feed: sources.DataFeed, name: str) -> Any:  # noqa: ANN401 - an attribute that a user's feed may lack
    """Return an attribute of a feed, None where it has none."""
    return getattr(feed, name, None)


def all_symbols(loaded: Sequence[Loaded]) -> set[str]:
    """Return every symbol of every source, loaded or not."""
    return {symbol for each in loaded for symbol in (*each.symbols, *source_symbols(each.feed))}


def hint(symbol: str, known: Iterable[str]) -> str:
    """Return what to say after a symbol that nobody knows."""
    names = sorted(known)
    guess = nearest(symbol, names)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"; did you mean {guess!r}? Known: {shown}" if guess else f"; known: {shown}"


def of_universe(symbols: Sequence[str], what: str, context: Context) -> tuple[list[bool], tuple[str, ...]]:
    """Say which rows belong to the universe; a symbol that no feed knows is refused.

    Rows of a symbol that a feed has, but that was not selected or has no rows in range, are left out
    and noted: that was the caller's choice.
    """
    kept = [symbol in context.universe for symbol in symbols]
    others = sorted({symbol for symbol, keep in zip(symbols, kept, strict=True) if not keep})
    if not others:
        return kept, ()
    known = all_symbols(context.loaded)
    for symbol in others:
        if symbol not in known:
            message = (
                f"{what}: symbol {symbol!r} is in no feed{hint(symbol, known)}. Correct it, or drop its "
                f"rows: frame.filter(pl.col('symbol') != {symbol!r})"
            )
            raise DataError(message)
    return kept, (
        f"{what}: {kept.count(False)} rows of symbols that were not loaded are left out: {', '.join(others)}",
    )
