"""Market data as rows and instants.

A bar is two events: its open at `ts_open`, which carries the open price and nothing else, and its range,
close and volume at `ts_event`. Quotes and trades are one event at `ts_event`. A row becomes readable at
`ts_arrival`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

import attrs

from ml4t.backtest.data import MarketData
from ml4t.core.types import DataKind
from ml4t.reference.errors import NotCovered
from ml4t.reference.instruments import Terms
from ml4t.reference.numbers import ZERO, half_even

NAN = math.nan
STAMPS = ("ts_event", "ts_open", "ts_arrival", "instrument")


@attrs.define(kw_only=True, eq=False)
class Row:
    """One row of a feed. Prices that orders meet are exact; `values` are the floats as they came.

    Attributes
    ----------
    terms : Terms or None
        The instrument; None for a row of market-wide context.
    values : Mapping of str to float
        Value columns and features by name.
    used : Fraction
        Units that orders have taken from this row so far.
    """

    feed: int
    number: int
    kind: DataKind
    terms: Terms | None
    ts_event: int
    ts_arrival: int
    values: Mapping[str, float]
    ts_open: int | None = None
    used: Fraction = ZERO

    def price(self, name: str) -> Fraction | None:
        """Return a price exactly, or None where it is missing."""
        assert self.terms is not None
        value = self.values[name]
        return None if math.isnan(value) else self.terms.price(value)

    @property
    def traded(self) -> bool:
        """Whether anything traded in a bar; a bar whose volume is not known counts as traded."""
        return self.values["volume"] != 0.0

    @property
    def mark(self) -> Fraction:
        """Price at which the row values a holding: of a quote its middle, or the one side it has."""
        assert self.terms is not None
        names = {DataKind.BAR: ("close",), DataKind.TRADE: ("price",), DataKind.QUOTE: ("bid_price", "ask_price")}
        known = [price for name in names[self.kind] if (price := self.price(name)) is not None]
        return half_even(sum(known, ZERO) / len(known), self.terms.price_step)


@attrs.frozen(kw_only=True)
class Session:
    """One session of a calendar: its date, its open and its close."""

    label: object
    opens: int
    closes: int


@attrs.frozen(kw_only=True)
class Market:
    """All rows of a run, by the instants at which they matter.

    Attributes
    ----------
    completed : Mapping of int to rows
        Rows of matching feeds by `ts_event`, in the order in which they are taken: by feed, then by row.
    arrived : Mapping of int to rows
        Rows of all feeds by `ts_arrival`, in the same order.
    opened : Mapping of int to bars
        Bars of matching feeds by `ts_open`.
    first, last : int
        Begin of the run, where the first bar opens or the first row is complete, and its end, where the last row is.
    """

    terms: tuple[Terms, ...]
    completed: Mapping[int, Sequence[Row]]
    arrived: Mapping[int, Sequence[Row]]
    opened: Mapping[int, Sequence[Row]]
    sessions: Mapping[str, Sequence[Session]]
    nav_calendar: str
    first: int
    last: int

    @classmethod
    def of(cls, data: MarketData, base_currency: str) -> Market:
        """Read assembled market data."""
        terms = tuple(
            Terms.of(instrument, position=position, matching=matching)
            for position, (instrument, matching) in enumerate(
                zip(data.instruments, data.matching, strict=True)
            )
        )
        for each in terms:
            if each.currency != base_currency:
                feature = f"an instrument in {each.currency} in a run in {base_currency} ({each.symbol})"
                raise NotCovered(feature)
        rows = [row for feed in range(len(data.feeds)) for row in _rows(data, feed, terms)]
        matched = [row for row in rows if row.terms is not None and row.terms.matching == row.feed]
        first, last = data.span_ns
        return cls(
            terms=terms,
            completed=_by(matched, "ts_event"),
            arrived=_by(rows, "ts_arrival"),
            opened=_by([row for row in matched if row.ts_open is not None], "ts_open"),
            sessions={table.name: _sessions(table.frame.iter_rows()) for table in data.calendars},
            nav_calendar=data.nav_calendar,
            first=first,
            last=last,
        )

    def next_close(self, calendar: str, after: int) -> int | None:
        """Return the first session close of a calendar that is later than an instant."""
        return next((session.closes for session in self.sessions[calendar] if session.closes > after), None)


def _rows(data: MarketData, feed: int, terms: Sequence[Terms]) -> list[Row]:
    table = data.feeds[feed]
    rows = []
    for number, record in enumerate(table.frame.iter_rows(named=True)):
        instrument = record.get("instrument")
        rows.append(
            Row(
                feed=feed,
                number=number,
                kind=table.kind,
                terms=None if instrument is None else terms[instrument],
                ts_event=record["ts_event"],
                ts_open=record.get("ts_open"),
                ts_arrival=record.get("ts_arrival", record["ts_event"]),
                values={name: value for name, value in record.items() if name not in STAMPS},
            )
        )
    return rows


def _by(rows: Sequence[Row], stamp: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[getattr(row, stamp)].append(row)
    return dict(found)


def _sessions(rows: object) -> tuple[Session, ...]:
    return tuple(Session(label=label, opens=opens, closes=closes) for label, opens, closes in rows)  # type: ignore[attr-defined]
