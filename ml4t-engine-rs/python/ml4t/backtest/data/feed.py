"""The feed that users construct, or subclass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

from attrs import define, field

from ml4t.backtest.data.bounds import Bounds, SessionBook
from ml4t.backtest.data.events import read_feed, rows_as_events
from ml4t.backtest.data.frames import Files
from ml4t.backtest.data.prepare import Prepared, prepare
from ml4t.backtest.data.report import FeedReport, with_late_rows
from ml4t.backtest.data.settings import Instruments, RangeCheck, RangeCheckName, settings_of
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Bar, Quote, TradeTick
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["DataFeed", "FeedOptions"]

KindName = Literal["bar", "quote", "trade", "context"]
StampName = Literal["open", "close", "event", "session"]


class FeedOptions(TypedDict, total=False):
    """The keywords of :class:`DataFeed`, for functions that pass them on."""

    name: str
    kind: DataKind | KindName
    stamp: StampMeaning | StampName
    interval: str | dt.timedelta | None
    columns: Mapping[str, str] | None
    symbols: Sequence[str] | None
    fields: Sequence[str] | None
    timezone: str | None
    calendar: str
    currency: str
    instruments: Instruments | None
    instrument_defaults: Mapping[str, Any] | None
    range_check: RangeCheck | RangeCheckName
    matches_orders: bool | None
    cuts_to_session: bool
    signals: object
    actions: object


@define(eq=False, slots=False, kw_only=True, repr=False)
class DataFeed(sources.DataFeed):
    """Market data for a run: a frame, a mapping of frames, a file, or a class of your own.

    Parameters
    ----------
    prices
        polars (eager or lazy), pandas or pyarrow frame in long form, with one symbol, wide, or with
        two column levels; a mapping of frames by symbol or by field; a path, a list of paths, a
        folder or a glob pattern of Parquet or CSV files.
    name
        Unique within a run; appears in messages and in the manifest.
    kind
        ``bar`` (open, high, low, close, and volume if known), ``quote`` (bid_price, ask_price, and
        bid_size, ask_size if known), ``trade`` (price, and size if known) or ``context``
        (market-wide series without a symbol).
    stamp
        What the stamps mean. Must be declared, for each wrong guess would leak: ``open`` or
        ``close`` of the bar, ``event``, or ``session`` (a trading date; open and close come from the
        instrument's calendar). Bars with ``event`` carry both stamps, ``ts_open`` and ``ts_event``.
    interval
        Length of a bar, ``"1m"`` to ``"1d"``; needed for ``open`` and ``close``. A day is a session.
    columns
        Renames, our name to the source's: ``{"close": "px_last"}``; ``DataFrame.rename``'s direction is
        understood as well. ``Open`` for open needs no rename: case does not matter.
    symbols
        Symbols to load; all by default. For a source without a symbol column, the one symbol it is of.
    fields
        Further columns to load as features; every numeric column by default.
    timezone
        IANA zone of naive stamps, which are refused without it.
    calendar, currency
        Of the instruments that are not declared.
    instruments
        Declared instruments; they also may be given to the run.
    instrument_defaults
        Other fields of undeclared instruments, for example ``{"tick_size": "0.25"}``.
    range_check
        A bar whose open or close lies outside its low and high: ``refuse`` (default), ``widen`` or ``keep``.
    matches_orders
        Whether orders are matched against this feed; to be declared where an instrument is in several.
    cuts_to_session
        Whether an intraday bar that reaches beyond the open or the close of its session begins or
        ends there: the last hourly bar of a New York day then ends at 16:00, not at 16:30. For data of
        regular hours only; a bar that holds prints from after the close would show them too early.
    signals, actions
        Signals and corporate actions that belong to these prices; see
        :class:`ml4t.backtest.data.Signals` and :func:`ml4t.backtest.data.actions.read_actions`. Signals
        that state no `stamp` or `timezone` of their own take the feed's.

    Notes
    -----
    A subclass that overrides :meth:`get_next_event` yields events in time order and needs none of
    the parameters; as class attributes it may declare ``name``, ``interval`` (used for bars without
    ``ts_open``), ``calendar``, ``currency``, ``instruments``, ``matches_orders``.

    Examples
    --------
    >>> from ml4t.backtest import datasets
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM", "MSFT"])
    >>> feed.report.rows
    6540
    """

    prices: object = field(default=None, kw_only=False)
    name: str = "prices"
    kind: DataKind | KindName = DataKind.BAR
    stamp: StampMeaning | StampName | None = None
    interval: str | dt.timedelta | None = None
    columns: Mapping[str, str] | None = None
    symbols: Sequence[str] | None = None
    fields: Sequence[str] | None = None
    timezone: str | None = None
    calendar: str = "XNYS"
    currency: str = "USD"
    instruments: Instruments | None = None
    instrument_defaults: Mapping[str, Any] | None = None
    range_check: RangeCheck | RangeCheckName = RangeCheck.REFUSE
    matches_orders: bool | None = None
    cuts_to_session: bool = False
    signals: object = None
    actions: object = None

    def __attrs_post_init__(self) -> None:
        if not yields_events(self):
            # Declarations are checked where they are written, not when the run starts.
            settings_of(self)

    @classmethod
    def from_parquet(cls, path: str | Path | Sequence[str | Path], **options: Unpack[FeedOptions]) -> Self:
        """Return a feed of Parquet files; rows and columns that a run does not need are not read."""
        return cls(_files(path, "parquet"), **options)

    @classmethod
    def from_csv(cls, path: str | Path | Sequence[str | Path], **options: Unpack[FeedOptions]) -> Self:
        """Return a feed of CSV files with a header."""
        return cls(_files(path, "csv"), **options)

    @cached_property
    def report(self) -> FeedReport:
        """What the feed loads: symbols, span, rows, gaps. Reads the source once."""
        report, span = self._prepared.report, self._prepared.report.span_ns
        # A run does not end with a series of the whole market.
        if span is None or report.kind is DataKind.CONTEXT:
            return report
        return with_late_rows(report, self._prepared.rows.keys, span[1])

    def get_next_event(self) -> Bar | Quote | TradeTick | None:
        """Return the next row as an event, or None at the end.

        Runs do not call this; they read whole columns. Overridden in a subclass it is the source.
        """
        return next(self._events, None)

    @cached_property
    def _prepared(self) -> Prepared:
        if yields_events(self):
            message = (
                f"feed {type(self).__name__}: get_next_event can be read only once, by the run; what was "
                "loaded is in the report of MarketData.feeds"
            )
            raise DataError(message)
        raw = read_feed(self, Bounds())
        return prepare(raw, raw.settings.instruments, Bounds(), SessionBook())

    @cached_property
    def _events(self) -> Iterator[Bar | Quote | TradeTick]:
        return rows_as_events(self._prepared.rows)

    def __repr__(self) -> str:
        declared = (f"{name}={getattr(self, name, None)!r}" for name in ("name", "kind", "stamp", "interval"))
        return f"{type(self).__name__}({', '.join(declared)})"


def yields_events(feed: sources.DataFeed) -> bool:
    """Say whether a feed is written in Python, event by event, rather than holding columns."""
    return type(feed).get_next_event is not DataFeed.get_next_event


def _files(path: str | Path | Sequence[str | Path], form: Literal["parquet", "csv"]) -> Files:
    return Files((path,) if isinstance(path, str | Path) else tuple(path), form)
