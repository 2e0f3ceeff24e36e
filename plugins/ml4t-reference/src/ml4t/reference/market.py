"""The market as orders meet it: the rows of the matching source of every instrument, in their time.

A row is met at its `ts_event`, when it was complete, whether or not anybody has been told of it by then. The
open of a bar is met at its `ts_open`. An instrument has one matching source; its other feeds are data to
read.
"""

from __future__ import annotations

from ml4t.core.errors import DataError
from ml4t.core.types import DataKind
from ml4t.reference.matching import Bar, Quote, Trade, price_units
from ml4t.reference.plan import Feed, Instrument, Plan

__all__ = ["Data", "Market"]

Data = Bar | Quote | Trade


class Market:
    """Rows by instrument, and how many of them are complete."""

    def __init__(self, plan: Plan) -> None:
        self._rows: list[list[Data]] = [_rows(plan, instrument) for instrument in plan.instruments]
        self._done = [0] * len(plan.instruments)
        self._instruments = plan.instruments

    def complete(self, now: int) -> list[tuple[Instrument, Data]]:
        """Return the rows that are complete at this instant, in the order of ties, and count them as done."""
        found: list[tuple[Instrument, Data]] = []
        for instrument in self._instruments:
            while (data := self._next(instrument)) is not None and data.ts_event == now:
                found.append((instrument, data))
                self._done[instrument.index] += 1
        return found

    def opening(self, instrument: Instrument, now: int) -> Bar | None:
        """Return the bar that opens at this instant."""
        data = self._next(instrument)
        return data if isinstance(data, Bar) and data.ts_open == now else None

    def next_open(self, instrument: Instrument, now: int) -> int | None:
        """Return when the next bar opens, if that lies ahead."""
        data = self._next(instrument)
        return data.ts_open if isinstance(data, Bar) and data.ts_open > now else None

    def _next(self, instrument: Instrument) -> Data | None:
        rows, done = self._rows[instrument.index], self._done[instrument.index]
        return rows[done] if done < len(rows) else None


def _rows(plan: Plan, instrument: Instrument) -> list[Data]:
    if instrument.matching is None:
        return []
    feed = plan.feeds[instrument.matching]
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
