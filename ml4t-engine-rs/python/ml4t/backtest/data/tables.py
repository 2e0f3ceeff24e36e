"""What the data side hands to the engine: columns, sorted and checked.

All instants are Int64 UTC ns. All values are Float64, NaN where a value is missing. An instrument
is its index in `MarketData.instruments`, which is sorted by symbol, so ids do not depend on the
order in which feeds or instruments were given.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from attrs import field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.report import FeedReport
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind
from ml4t.engine.manifest import InputFile

__all__ = ["VALUE_COLUMNS", "FeedTable", "MarketData", "SignalTable"]

# The value columns of each kind, in the order of the table.
VALUE_COLUMNS: dict[DataKind, tuple[str, ...]] = {
    DataKind.BAR: ("open", "high", "low", "close", "volume"),
    DataKind.QUOTE: ("bid_price", "ask_price", "bid_size", "ask_size"),
    DataKind.TRADE: ("price", "size"),
    DataKind.CONTEXT: (),
}


@frozen(eq=False, kw_only=True)
class FeedTable:
    """The rows of one feed.

    Attributes
    ----------
    name
        Name of the feed, unique within a run.
    kind
        What a row is. A feed whose events are of several kinds becomes one table per kind.
    interval_ns
        Length of a bar; a session bar counts as one day. None for quotes, trades and context.
    frame
        One chunk, sorted by ``(ts_event, instrument)``, ties in the order of the source. Columns:
        ``ts_event``; ``ts_open`` (bars); ``ts_arrival`` (where the source has it); ``instrument``
        UInt32 (not for context); the value columns of the kind; the columns named in `extra`.
    extra
        Names of the further Float64 columns: features, in the order of the source.
    paths
        Files the rows were read from, sorted.
    report
        What was loaded: symbols, span, rows, gaps.
    """

    name: str
    kind: DataKind
    interval_ns: int | None
    frame: pl.DataFrame = field(repr=False)
    extra: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    report: FeedReport = field(repr=False)


@frozen(eq=False, kw_only=True)
class SignalTable:
    """The signals of a run.

    Attributes
    ----------
    frame
        Sorted by ``(ts_arrival, instrument, name)``, ties in the order of the source. Columns
        ``ts_arrival`` and ``ts_event`` Int64, ``instrument`` and ``name`` UInt32, ``score`` and
        ``confidence`` Float64 (confidence NaN where not stated), ``version`` UInt32.
    names
        What the ``name`` column indexes: model ids, or the column names of a wide frame; sorted.
    versions
        What the ``version`` column indexes; sorted; the empty text where no version was stated.
    paths
        Files the rows were read from, sorted.
    """

    frame: pl.DataFrame = field(repr=False)
    names: tuple[str, ...]
    versions: tuple[str, ...] = ("",)
    paths: tuple[Path, ...] = ()


@frozen(eq=False, kw_only=True)
class MarketData:
    """Everything a run reads, on one time line.

    Attributes
    ----------
    instruments
        The universe, sorted by symbol. The position is the id.
    feeds
        Sorted by kind (quote, trade, bar, context), interval and name: the order in which rows of
        one instant are taken.
    signals, actions
        None where the run has none. Columns of `actions`: ``ts`` Int64 (00:00 exchange-local of
        the ex-date), ``instrument`` UInt32, ``kind`` Utf8, ``ratio_num`` and ``ratio_den`` Int64
        (1/1 for a dividend), ``amount`` Utf8 (decimal text in the instrument's currency, "0" for
        a split), ``pay_ts`` Int64, ``into`` UInt32 (the instrument itself where there is no other),
        ``withholding`` Utf8 (decimal text). Sorted by ``ts``; of one instant dividends, splits and cash
        mergers first, by instrument, dividends before splits (an amount is per share as held before that
        day's split), then spin-offs, then exchanges.
    funding, borrow
        None where the run has none. Columns ``ts`` Int64, ``instrument`` UInt32, ``rate`` Float64 and
        ``other`` Float64: of funding the mark price (NaN for that of the position), of borrow rates the
        quantity that is available (infinite where it is not known). Sorted by ``(ts, instrument)``. Those of
        funding have ``short_rate`` Float64 too, the rate of short positions.
    flows
        None where the run has none. Columns ``ts`` Int64, ``amount`` Utf8 (decimal text), ``currency`` Utf8
        (empty: the base currency). Sorted by time.
    rolls
        None where the run has none. Columns ``ts`` Int64, ``from`` and ``to`` UInt32, ``roll_at`` Utf8.
        Sorted by ``(ts, from)``.
    settlements
        As `funding`, ``rate`` being the price at which the instrument is settled.
    margin_rates
        As `funding`: ``rate`` is the initial, ``other`` the maintenance rate, NaN where one is not known.
    fx
        None where the run has none. Columns ``ts`` Int64, ``base`` and ``quote`` Utf8, ``rate`` Float64:
        units of `quote` for one of `base` from then on. Sorted by ``(ts, base, quote)``.
    calendars
        The session table of every calendar of the universe and of `nav_calendar`, sorted by name.
        They reach beyond the data at both ends, so that week and month ends are known.
    nav_calendar
        Calendar whose session closes make the NAV.
    matching
        Per instrument the index in `feeds` of the table its orders are matched against.
    prints
        Per instrument whose orders meet quotes the tables of trade ticks that may fill what rests: the
        only one there is, or those that say ``matches_orders=False``. More than one is not decided.
    action_paths
        Files the corporate actions were read from, sorted.
    files
        Fingerprint of every file whose rows are here, taken when they were read: what becomes of a file
        afterwards is not what the run used.
    notes
        What was left out and why, or looks like a mistake, one sentence each.
    kept
        What an engine made of the columns, by feed, for the other runs over them.
    """

    instruments: tuple[Instrument, ...]
    feeds: tuple[FeedTable, ...]
    signals: SignalTable | None = None
    actions: pl.DataFrame | None = field(default=None, repr=False)
    funding: pl.DataFrame | None = field(default=None, repr=False)
    borrow: pl.DataFrame | None = field(default=None, repr=False)
    fx: pl.DataFrame | None = field(default=None, repr=False)
    settlements: pl.DataFrame | None = field(default=None, repr=False)
    margin_rates: pl.DataFrame | None = field(default=None, repr=False)
    flows: pl.DataFrame | None = field(default=None, repr=False)
    rolls: pl.DataFrame | None = field(default=None, repr=False)
    calendars: tuple[SessionTable, ...]
    nav_calendar: str
    matching: tuple[int, ...]
    prints: tuple[tuple[int, ...], ...]
    action_paths: tuple[Path, ...] = ()
    files: Mapping[Path, InputFile] = field(factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    kept: dict[str, object] = field(factory=dict, repr=False, init=False)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the universe, in id order."""
        return tuple(instrument.symbol for instrument in self.instruments)

    @functools.cached_property
    def fingerprints(self) -> tuple[dict[str, Any], ...]:
        """Name, number of rows and SHA-256 of every table, as the engine reads them.

        Whatever file or frame the rows came from, equal rows have equal fingerprints.
        """
        tables = [(feed.name, feed.frame) for feed in self.feeds]
        tables += [] if self.signals is None else [("signals", self.signals.frame)]
        others = {
            "corporate_actions": self.actions,
            "funding_rates": self.funding,
            "borrow_rates": self.borrow,
            "fx_rates": self.fx,
            "settlement_prices": self.settlements,
            "margin_rates": self.margin_rates,
            "cash_flows": self.flows,
            "rolls": self.rolls,
        }
        tables += [(name, frame) for name, frame in others.items() if frame is not None]
        return tuple(_fingerprint(name, frame) for name, frame in tables)

    @functools.cached_property
    def span_ns(self) -> tuple[int, int]:
        """First instant (the open of the first bar) and last instant of the market data, UTC ns."""
        firsts = [
            table.frame["ts_open" if table.kind is DataKind.BAR else "ts_event"] for table in self.feeds
        ]
        lasts = [table.frame["ts_event"] for table in self.feeds]
        # An overnight session opens before one that closes earlier, so the first row need not open first.
        first = min(int(column.to_numpy().min()) for column in firsts if len(column))
        return first, max(int(column[-1]) for column in lasts if len(column))


def _fingerprint(name: str, frame: pl.DataFrame) -> dict[str, Any]:
    digest = hashlib.sha256()
    digest.update("\0".join(f"{column}:{dtype}" for column, dtype in frame.schema.items()).encode())
    for column in frame.get_columns():
        # Row hashes of polars differ between versions; the values themselves do not.
        if column.dtype == pl.String:
            digest.update("\0".join(column.to_list()).encode())
        else:
            digest.update(np.ascontiguousarray(column.to_numpy()).data)
    return {"name": name, "rows": frame.height, "sha256": digest.hexdigest()}
