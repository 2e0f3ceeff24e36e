"""The market as orders meet it: the rows of the matching source of every instrument, in their time.

A row is met at its `ts_event`, when it was complete, whether or not anybody has been told of it by then. The
open of a bar is met at its `ts_open`. An instrument has one matching source, and beside quotes it may have
prints that fill what rests; its other feeds are data to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ml4t.core.errors import DataError
from ml4t.core.types import DataKind
from ml4t.reference.matching import Bar, Quote, Trade, price_units
from ml4t.reference.numbers import half_even
from ml4t.reference.plan import Feed, Instrument, Plan

__all__ = ["Data", "Market", "in_turns", "mark_of"]

Data = Bar | Quote | Trade


class _Rows:
    """Rows of one feed by instrument, and how many of them are complete."""

    def __init__(self, plan: Plan, feeds: Iterable[int | None]) -> None:
        self._rows = [_rows(plan, *each) for each in zip(plan.instruments, feeds, strict=True)]
        self._done = [0] * len(self._rows)

    def all(self, instrument: Instrument) -> list[Data]:
        """Return all rows of an instrument."""
        return self._rows[instrument.index]

    def next(self, instrument: Instrument) -> Data | None:
        """Return the first row that is not complete."""
        rows, done = self._rows[instrument.index], self._done[instrument.index]
        return rows[done] if done < len(rows) else None

    def last(self, instrument: Instrument) -> Data | None:
        """Return the last row that is complete."""
        done = self._done[instrument.index]
        return self._rows[instrument.index][done - 1] if done else None

    def complete(self, instrument: Instrument, now: int) -> list[Data]:
        """Return the rows that are complete at this instant, and count them as done."""
        found: list[Data] = []
        while (data := self.next(instrument)) is not None and data.ts_event == now:
            found.append(data)
            self._done[instrument.index] += 1
        return found


class Market:
    """Rows that orders meet, by instrument."""

    def __init__(self, plan: Plan) -> None:
        self._matching = _Rows(plan, [each.matching for each in plan.instruments])
        self._prints = _Rows(plan, [each.prints for each in plan.instruments])
        self._instruments = plan.instruments

    def complete(self, now: int) -> list[tuple[Instrument, Data]]:
        """Return the rows of matching sources that are complete at this instant, in the order of ties."""
        return [(each, data) for each in self._instruments for data in self._matching.complete(each, now)]

    def prints(self, now: int) -> list[tuple[Instrument, Data]]:
        """Return the prints beside quotes of this instant, in the order of ties."""
        return [(each, data) for each in self._instruments for data in self._prints.complete(each, now)]

    def rows(self, instrument: Instrument) -> list[Data]:
        """Return all rows of the matching source of an instrument, complete or not, by their time."""
        return self._matching.all(instrument)

    def last(self, instrument: Instrument) -> Data | None:
        """Return the last complete row of the matching source of an instrument."""
        return self._matching.last(instrument)

    def opening(self, instrument: Instrument, now: int) -> Bar | None:
        """Return the bar that opens at this instant."""
        data = self._matching.next(instrument)
        return data if isinstance(data, Bar) and data.ts_open == now else None

    def next_open(self, instrument: Instrument, now: int) -> int | None:
        """Return when the next bar opens, if that lies ahead."""
        data = self._matching.next(instrument)
        return data.ts_open if isinstance(data, Bar) and data.ts_open > now else None


def in_turns(rows: list[tuple[Instrument, Data]]) -> list[list[tuple[Instrument, Data]]]:
    """Return the first row of every instrument, then the second of those that have one, and so on."""
    turns: list[list[tuple[Instrument, Data]]] = []
    counts: dict[int, int] = {}
    for instrument, data in rows:
        number = counts.get(instrument.index, 0)
        counts[instrument.index] = number + 1
        if number == len(turns):
            turns.append([])
        turns[number].append((instrument, data))
    return turns


def mark_of(data: Data) -> int | None:
    """Return the mark that a piece of data sets: close, print, or middle of a quote."""
    if isinstance(data, Bar):
        return data.close
    if isinstance(data, Trade):
        return data.price
    if data.bid is None or data.ask is None:
        return data.ask if data.bid is None else data.bid
    return half_even(Fraction(data.bid + data.ask, 2))


def _rows(plan: Plan, instrument: Instrument, source: int | None) -> list[Data]:
    if source is None:
        return []
    feed = plan.feeds[source]
    own = [row for row, whose in enumerate(feed.columns["instrument"]) if whose == instrument.index]
    return [_data(feed, instrument, row) for row in own]


def _data(feed: Feed, instrument: Instrument, row: int) -> Data:
    values = {name: float(feed.columns[name][row]) for name in feed.fields}
    ts_event = feed.columns["ts_event"][row]

    def price(name: str) -> int:
        units = price_units(values[name], instrument)
        if units is None:
            message = f"feed {feed.name}: {instrument.symbol}, row {row}: {name} is missing"
            raise DataError(message)
        return units

    if feed.kind is DataKind.BAR:
        return Bar(
            row=row,
            ts_open=feed.columns["ts_open"][row],
            ts_event=ts_event,
            open=price("open"),
            high=price("high"),
            low=price("low"),
            close=price("close"),
            volume=values.get("volume", float("nan")),
            values=values,
        )
    if feed.kind is DataKind.QUOTE:
        bid, ask = (price_units(values[name], instrument) for name in ("bid_price", "ask_price"))
        return Quote(row=row, ts_event=ts_event, bid=bid, ask=ask, values=values)
    return Trade(row=row, ts_event=ts_event, price=price("price"), values=values)
