"""The feed that users construct, or subclass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

from attrs import define, field

from ml4t.backtest.bars.imbalance import Of
from ml4t.backtest.data.bounds import Bounds, SessionBook
from ml4t.backtest.data.consolidate import Consolidation, RuleOptions, build, check_source, settings_of_bars
from ml4t.backtest.data.events import read_feed, rows_as_events
from ml4t.backtest.data.frames import Files
from ml4t.backtest.data.prepare import Prepared, prepare
from ml4t.backtest.data.report import FeedReport, with_late_rows
from ml4t.backtest.data.settings import FeedSettings, Instruments, RangeCheck, RangeCheckName, settings_of
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Bar, Quote, TradeTick
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["ConsolidatedFeed", "DataFeed", "FeedOptions", "LoadedFeed", "yields_events"]

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


class LoadedFeed(sources.DataFeed):
    """What a feed and the bars that are built of it have in common."""

    def consolidate(  # noqa: PLR0913 - the rules, each by its name
        self,
        every: str | dt.timedelta | None = None,
        *,
        ticks: int | None = None,
        volume: float | None = None,
        dollar: float | None = None,
        imbalance: Of | None = None,
        name: str | None = None,
        matches_orders: bool = False,
        **options: Unpack[RuleOptions],
    ) -> ConsolidatedFeed:
        """Return a feed of bars of this feed, which a run builds of the rows it has loaded.

        The run has to have this feed as well: ``run(Strategy, [feed, feed.consolidate("5m")])``. Each bar
        becomes readable at its end, or with the last of its rows where that arrives later. The one that is
        incomplete when the data end is not delivered.

        Parameters
        ----------
        every
            Length of a window of time, as of :func:`ml4t.backtest.bars.time_bars`, of trades or of shorter
            bars. The sessions are those of each instrument's calendar.
        ticks, volume, dollar
            Trade ticks, volume or value of a bar, as of :func:`ml4t.backtest.bars.tick_bars`,
            :func:`~ml4t.backtest.bars.volume_bars` and :func:`~ml4t.backtest.bars.dollar_bars`.
        imbalance
            ``tick``, ``volume`` or ``dollar``: what :func:`ml4t.backtest.bars.imbalance_bars` calls `of`.
        name
            Name of the new feed; by default that of this one and the rule, for example ``ticks_5m``.
        matches_orders
            Whether orders are matched against the bars rather than against what they are built from.
        **options
            `outside` and `until` of bars by time, `expected_ticks`, `span` and `limits` of bars by imbalance;
            see :class:`ml4t.backtest.data.consolidate.RuleOptions`.

        Raises
        ------
        ArgumentError
            There is no rule or more than one, or a keyword that is none or belongs to another rule.
        DataError
            A value is not what it must be, or this feed holds no rows that the rule can be built of.

        Examples
        --------
        >>> from ml4t.backtest import Strategy, datasets, run
        >>> daily = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"], name="daily")
        >>> class Weeks(Strategy):
        ...     def on_data(self, timestamp, data, context, broker):
        ...         self.record(close=data["IBM"]["weeks.close"])
        >>> results = run(Weeks, [daily, daily.consolidate("1w", name="weeks")])
        >>> results.status
        'complete'
        """
        rules = {
            "every": every,
            "ticks": ticks,
            "volume": volume,
            "dollar": dollar,
            "imbalance": imbalance,
        }
        rule = Consolidation.parse(rules, options)
        given: object = name
        if given is not None and (not isinstance(given, str) or not given):
            message = f"name is {given!r}; the name of a feed is a text"
            raise DataError(message)
        settings = _declared(self)
        if settings is not None:
            check_source(settings.kind, settings.interval_ns, rule, label=settings.label)
        of = str(getattr(self, "name", "") or type(self).__name__)
        return ConsolidatedFeed(
            source=self, rule=rule, name=name or f"{of}_{rule.suffix}", matches_orders=matches_orders
        )

    @cached_property
    def report(self) -> FeedReport:
        """What the feed loads, or is built from: symbols, span, rows, gaps. Reads the source once."""
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
        return _prepared_alone(self)

    @cached_property
    def _events(self) -> Iterator[Bar | Quote | TradeTick]:
        return rows_as_events(self._prepared.rows)


@define(eq=False, slots=False, kw_only=True, repr=False)
class DataFeed(LoadedFeed):
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
        Whether an intraday bar that reaches beyond the open or the close of its session, or into a break of
        it, begins or ends there: the last hourly bar of a New York day then ends at 16:00, not at 16:30. For
        data of regular hours only; a bar that holds prints from after the close would show them too early.
    signals, actions
        Signals and corporate actions that belong to these prices; see
        :class:`ml4t.backtest.data.Signals` and :func:`ml4t.backtest.data.actions.read_actions`. Signals
        that state no `stamp` or `timezone` of their own take the feed's.

    Notes
    -----
    A subclass that overrides :meth:`~LoadedFeed.get_next_event` yields events in time order and needs none of
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

    def __repr__(self) -> str:
        declared = (f"{name}={getattr(self, name, None)!r}" for name in ("name", "kind", "stamp", "interval"))
        return f"{type(self).__name__}({', '.join(declared)})"


@define(eq=False, slots=False, kw_only=True, repr=False)
class ConsolidatedFeed(LoadedFeed):
    """Bars of another feed of the run; see :meth:`DataFeed.consolidate`, which makes it.

    Attributes
    ----------
    source
        Feed whose rows the bars are built of.
    rule
        How they are built.
    name
        Unique within a run.
    matches_orders
        Whether orders are matched against the bars.
    """

    source: sources.DataFeed
    rule: Consolidation
    name: str
    matches_orders: bool = False

    @property
    def depth(self) -> int:
        """How many feeds have to be built before this one."""
        return self.source.depth + 1 if isinstance(self.source, ConsolidatedFeed) else 0

    def settings(self, source: FeedSettings) -> FeedSettings:
        """Return what a feed of these bars declares."""
        return settings_of_bars(source, self.rule, name=self.name, matches_orders=self.matches_orders)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, {self.rule.text}, source={self.source!r})"


def yields_events(feed: sources.DataFeed) -> bool:
    """Say whether a feed is written in Python, event by event, rather than holding columns."""
    return type(feed).get_next_event is not DataFeed.get_next_event


def _declared(feed: sources.DataFeed) -> FeedSettings | None:
    """Return what a feed declares of its rows; None for one that yields events, which say it themselves."""
    if isinstance(feed, ConsolidatedFeed):
        source = _declared(feed.source)
        return None if source is None else feed.settings(source)
    return None if yields_events(feed) else settings_of(feed)


def _prepared_alone(feed: sources.DataFeed) -> Prepared:
    """Return all rows of a feed, read for it alone."""
    if isinstance(feed, ConsolidatedFeed):
        source = _prepared_alone(feed.source)
        return build(
            source,
            feed.settings(source.settings),
            feed.rule,
            declared=source.settings.instruments,
            bounds=Bounds(),
            book=SessionBook(),
        )
    if yields_events(feed):
        message = (
            f"feed {type(feed).__name__}: get_next_event can be read only once, by the run; what was "
            "loaded is in the report of MarketData.feeds"
        )
        raise DataError(message)
    raw = read_feed(feed, Bounds())
    return prepare(raw, raw.settings.instruments, Bounds(), SessionBook())


def _files(path: str | Path | Sequence[str | Path], form: Literal["parquet", "csv"]) -> Files:
    return Files((path,) if isinstance(path, str | Path) else tuple(path), form)
