"""What a strategy may know at an instant: the one place that decides it.

A row, a signal, a market-wide value: each has a `ts_event`, when it was true, and a `ts_arrival`, when it
could be known. The market moves at the first, whether or not anybody was told; a strategy reads from the
second on. This module holds every row back until its arrival. Views, events and the sizes of target orders
take what they show from here and from nowhere else, so nothing that has not arrived can reach a decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from ml4t.core.errors import DataError
from ml4t.core.types import DataKind
from ml4t.reference.adjusted import adjusted
from ml4t.reference.plan import Feed, Plan

__all__ = ["Epoch", "News", "Readable"]

NAN = math.nan


class Epoch:
    """Which instant it is, and how many there were: a view compares the number with the one it was born with.

    Attributes
    ----------
    now : int or None
        The present instant, ns UTC; None before the first.
    number : int
        Grows by one when an instant begins, and once more when the run is over. What was handed out
        under an earlier number is stale.
    """

    __slots__ = ("now", "number")

    def __init__(self) -> None:
        self.now: int | None = None
        self.number = 0

    def begin(self, now: int) -> None:
        """Begin an instant; the same one may be begun again, which changes nothing."""
        if now != self.now:
            self.now = now
            self.number += 1

    def end(self) -> None:
        """End the run: `now` stays the last instant, and every view of it is stale."""
        self.number += 1


@attrs.frozen(kw_only=True)
class News:
    """What became readable at an instant.

    Attributes
    ----------
    rows : list of (int, int)
        Position of the feed and row in it, of quotes, trades and bars, in the published order of ties:
        quotes, trades, bars from the shortest interval to the longest, then by the name of the source, then
        by row.
    signals : list of int
        Rows of the table of signals, in its order: by instrument, then by name.
    context : list of (int, int)
        Position of the feed and row in it, of market-wide series. They are no events, but they call
        `on_data`.
    """

    rows: list[tuple[int, int]]
    signals: list[int]
    context: list[tuple[int, int]]

    def __bool__(self) -> bool:
        """Whether anything is new: what `on_data` is called for."""
        return bool(self.rows or self.signals or self.context)


class _Arrivals:
    """Rows of one table in the order in which they arrive; those of one instant in the order of the table."""

    def __init__(self, arrivals: list[int]) -> None:
        self._arrivals = arrivals
        self._order = sorted(range(len(arrivals)), key=lambda row: (arrivals[row], row))
        self._taken = 0

    @property
    def next(self) -> int | None:
        """When the next row arrives; None when all have."""
        return self._arrivals[self._order[self._taken]] if self._taken < len(self._order) else None

    def until(self, now: int) -> list[int]:
        """Return the rows that have arrived by now and were not returned before."""
        taken = []
        while self.next is not None and self.next <= now:
            taken.append(self._order[self._taken])
            self._taken += 1
        return taken


class Readable:
    """Everything that has arrived, and the instant at which it is read.

    Parameters
    ----------
    plan : Plan
        The run.

    Raises
    ------
    DataError
        If a row of an instrument arrives before the row that precedes it in its feed: what the last known row
        is would be a matter of taste.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.epoch = Epoch()
        self._fresh: set[int] = set()
        self._fresh_at: int | None = None
        for feed in plan.feeds:
            _refuse_disorder(plan, feed)
        self._arrivals = [_Arrivals(feed.columns["ts_arrival"]) for feed in plan.feeds]
        self._signal_arrivals = _Arrivals(plan.signals.columns["ts_arrival"] if plan.signals else [])
        # By feed and instrument the rows that have arrived, oldest first; market-wide series have none.
        self._rows: dict[tuple[int, int | None], list[int]] = {}
        self._feeds_of = [_matching_first(plan, instrument.matching) for instrument in plan.instruments]
        # By instrument and name of the signal the last score, and by instrument the last one of any name.
        self._scores: dict[tuple[int, str], float] = {}
        self._last_score: dict[int, float] = {}

    # -- time ------------------------------------------------------------------------------------------

    @property
    def next_arrival(self) -> int | None:
        """When something becomes readable next; None when everything is."""
        waiting = [each.next for each in (*self._arrivals, self._signal_arrivals)]
        return min((ts for ts in waiting if ts is not None), default=None)

    @property
    def fresh(self) -> frozenset[int]:
        """Instruments with a row or a signal that arrived at the present instant."""
        return frozenset(self._fresh if self.epoch.now == self._fresh_at else ())

    def advance(self, now: int) -> News:
        """Go to an instant: all that has arrived by then is readable, and what is new is returned.

        Call it at every instant at which a callback may run, also when nothing arrives.
        """
        self.epoch.begin(now)
        if self._fresh_at != now:
            self._fresh, self._fresh_at = set(), now
        news = News(rows=[], signals=self._signal_arrivals.until(now), context=[])
        for feed in self.plan.feeds:
            for row in self._arrivals[feed.index].until(now):
                self._take(feed, row, news)
        for row in news.signals:
            self._take_signal(row)
        return news

    def _take(self, feed: Feed, row: int, news: News) -> None:
        if feed.kind is DataKind.CONTEXT:
            news.context.append((feed.index, row))
            self._rows.setdefault((feed.index, None), []).append(row)
            return
        instrument = feed.columns["instrument"][row]
        news.rows.append((feed.index, row))
        self._rows.setdefault((feed.index, instrument), []).append(row)
        self._fresh.add(instrument)

    def _take_signal(self, row: int) -> None:
        signals = self.plan.signals
        if signals is None:
            return
        instrument = signals.columns["instrument"][row]
        score = signals.columns["score"][row]
        self._scores[instrument, signals.names[signals.columns["name"][row]]] = score
        self._last_score[instrument] = score
        self._fresh.add(instrument)

    # -- rows of instruments ---------------------------------------------------------------------------

    def last_row(self, feed: int, instrument: int) -> int | None:
        """Return the last known row of an instrument in a feed; None before the first."""
        rows = self._rows.get((feed, instrument))
        return rows[-1] if rows else None

    def ts_event(self, instrument: int) -> int | None:
        """Return when the latest known row of an instrument, of any feed, was complete; None before it."""
        known = [(feed, self.last_row(feed.index, instrument)) for feed in self._feeds_of[instrument]]
        return max((feed.columns["ts_event"][row] for feed, row in known if row is not None), default=None)

    def fields(self, instrument: int) -> list[str]:
        """Return the names of an instrument's fields: those of its matching source, then those of others.

        Every instrument has every field of the run. Which feeds will have rows of it is not known beforehand.
        """
        return list(dict.fromkeys(name for feed in self._feeds_of[instrument] for name in feed.fields))

    @property
    def all_fields(self) -> list[str]:
        """Names of the fields of all feeds, in the order of the feeds."""
        return list(dict.fromkeys(name for feed in _market_feeds(self.plan) for name in feed.fields))

    def value(self, instrument: int, field: str) -> float | None:
        """Return the last known value of a field: NaN before the first, None when no feed has the field."""
        source = self._source(instrument, field)
        if source is None:
            return None
        feed, name = source
        row = self.last_row(feed.index, instrument)
        return NAN if row is None else float(feed.columns[name][row])

    def window(self, instrument: int, field: str, n: int, adjust: str | None = None) -> list[float] | None:
        """Return up to `n` last known values of a field, oldest first; None when no feed has the field.

        Each instrument counts its own rows, of the feed from which the field is read now.
        """
        source = self._source(instrument, field)
        if source is None:
            return None
        feed, name = source
        rows = self._rows.get((feed.index, instrument), [])
        if adjust is not None:
            now, shown = self.epoch.now or 0, min(n, len(rows))
            return adjusted(self.plan, feed, name, instrument, rows, shown, now, adjust)
        return [float(feed.columns[name][row]) for row in rows[-n:]]

    def _source(self, instrument: int, field: str) -> tuple[Feed, str] | None:
        """Return the feed and the column that a name is read from.

        A plain name is read from the first feed that has the field and, by now, a row of the instrument; the
        matching source is the first of all. `feed.field` names the feed.
        """
        holders = [feed for feed in self._feeds_of[instrument] if field in feed.fields]
        for feed in holders:
            if self.last_row(feed.index, instrument) is not None:
                return feed, field
        if holders:
            return holders[0], field
        for feed in self._feeds_of[instrument]:
            for name in feed.fields:
                if field == f"{feed.name}.{name}":
                    return feed, name
        return None

    # -- prices ----------------------------------------------------------------------------------------

    def last_price(self, instrument: int) -> float | None:
        """Return the last known close, print or middle of the quote, of the matching source.

        A quote with one side is priced by that side. Targets are sized with it: it is a price that has
        arrived, not the latest mark: sizes are decisions, and decisions depend on what is readable.
        """
        sides = [side for side in self._last_sides(instrument) if not math.isnan(side)]
        return sum(sides) / len(sides) if sides else None

    def _last_sides(self, instrument: int) -> tuple[float, float]:
        """Return bid and ask of the last known row of the matching source; other prices are both sides."""
        matching = self.plan.instruments[instrument].matching
        row = None if matching is None else self.last_row(matching, instrument)
        if matching is None or row is None:
            return NAN, NAN
        feed = self.plan.feeds[matching]
        if feed.kind is DataKind.QUOTE:
            return float(feed.columns["bid_price"][row]), float(feed.columns["ask_price"][row])
        price = float(feed.columns["close" if feed.kind is DataKind.BAR else "price"][row])
        return price, price

    # -- signals ---------------------------------------------------------------------------------------

    @property
    def signal_names(self) -> tuple[str, ...]:
        """Names of all signals of the run, sorted."""
        return () if self.plan.signals is None else self.plan.signals.names

    def spoken(self, instrument: int) -> list[str]:
        """Return the names of the signals that have spoken of an instrument, sorted."""
        return [name for name in self.signal_names if (instrument, name) in self._scores]

    def score(self, instrument: int, name: str) -> float | None:
        """Return the last known score of a name, None before the first.

        `score` is the one that arrived last under any name, unless there is a signal of that name.
        """
        if name == "score" and name not in self.signal_names:
            return self._last_score.get(instrument)
        return self._scores.get((instrument, name))

    # -- market-wide series ----------------------------------------------------------------------------

    @property
    def series(self) -> list[str]:
        """Names of the market-wide series."""
        return list(dict.fromkeys(name for feed in self._context_feeds() for name in feed.fields))

    def series_value(self, name: str) -> float:
        """Return the last known value of a market-wide series, NaN before the first.

        A name that several feeds have is read from the first of them that has a row by now.
        """
        for feed in self._context_feeds():
            rows = self._rows.get((feed.index, None))
            if rows and name in feed.fields:
                return float(feed.columns[name][rows[-1]])
        return NAN

    def _context_feeds(self) -> Iterator[Feed]:
        return (feed for feed in self.plan.feeds if feed.kind is DataKind.CONTEXT)


def _market_feeds(plan: Plan) -> list[Feed]:
    return [feed for feed in plan.feeds if feed.kind is not DataKind.CONTEXT]


def _matching_first(plan: Plan, matching: int | None) -> list[Feed]:
    """Return the feeds in the order in which a field is looked for: the matching source is the first."""
    return sorted(_market_feeds(plan), key=lambda feed: feed.index != matching)


def _refuse_disorder(plan: Plan, feed: Feed) -> None:
    """Refuse a row that arrives before the row of its instrument that precedes it."""
    whose = feed.columns.get("instrument", [None] * len(feed))
    latest: dict[int | None, int] = {}
    for row, (arrival, instrument) in enumerate(zip(feed.columns["ts_arrival"], whose, strict=True)):
        if arrival < latest.get(instrument, arrival):
            name = "" if instrument is None else f" {plan.symbols[instrument]},"
            where = f"feed {feed.name},{name} row {row}, ts_event {feed.columns['ts_event'][row]}"
            message = f"{where}: ts_arrival lies before that of the row before it"
            raise DataError(message)
        latest[instrument] = arrival
