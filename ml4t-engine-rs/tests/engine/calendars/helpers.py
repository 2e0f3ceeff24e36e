"""Bars over the sessions of real calendars, a strategy that acts at given instants, and what came of it.

Sessions are asked of pandas-market-calendars itself, so that they do not come from what is tested.
"""

from __future__ import annotations

import datetime as dt
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import pandas_market_calendars
import polars as pl

from ml4t.backtest import Broker, Context, DataFeed, Instrument, PITData, Results, Strategy, Timestamp

Made = Any
Row = dict[str, Any]
Step = Callable[[Broker], object]
End = tuple[dt.datetime, str, str]
HOUR = dt.timedelta(hours=1)


def utc(text: str) -> dt.datetime:
    """Return an instant of `2024-11-28 16:00`."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


# -- sessions --------------------------------------------------------------------------------------------


@attrs.frozen
class Session:
    """A session as the library of calendars has it; `parts` are the spans between its breaks."""

    label: dt.date
    parts: tuple[tuple[dt.datetime, dt.datetime], ...]

    @property
    def opens(self) -> dt.datetime:
        return self.parts[0][0]

    @property
    def closes(self) -> dt.datetime:
        return self.parts[-1][1]

    def trades(self, at: dt.datetime) -> bool:
        """Whether the market is open at an instant; a part holds both of its ends."""
        return any(opens <= at <= closes for opens, closes in self.parts)


@functools.cache
def sessions(calendar: str, first: str, last: str) -> tuple[Session, ...]:
    """Return the sessions of a calendar labelled from the one day to the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pandas_market_calendars.get_calendar(calendar).schedule(first, last)
    found = []
    for label, row in zip(table.index, table.to_dict("records"), strict=True):
        opens, closes = row["market_open"].to_pydatetime(), row["market_close"].to_pydatetime()
        breaks = [row[name].to_pydatetime() for name in ("break_start", "break_end") if name in row]
        has_break = bool(breaks) and opens < breaks[0] < breaks[1] < closes
        ends = [opens, *(breaks if has_break else []), closes]
        parts = tuple(zip(ends[::2], ends[1::2], strict=True))
        found.append(
            Session(label.date(), tuple((a.astimezone(dt.UTC), b.astimezone(dt.UTC)) for a, b in parts))
        )
    return tuple(found)


def session_of(calendar: str, at: dt.datetime) -> Session:
    """Return the session that is open at an instant, or the next one that opens; at a close the next one."""
    first, last = at.date() - dt.timedelta(days=1), at.date() + dt.timedelta(days=12)
    return next(each for each in sessions(calendar, str(first), str(last)) if at < each.closes)


# -- bars ------------------------------------------------------------------------------------------------


@attrs.frozen
class Market:
    """An instrument, where its price begins, and what is odd about some of its bars.

    The price rises by `step` a bar. A bar that opens at one of the instants of `moves` takes other values,
    and one that opens in one of `halts` (from the first instant to before the second) is left out.
    """

    instrument: Instrument
    base: float
    step: float = 0.0
    spread: float = 0.5
    moves: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)
    halts: Sequence[tuple[str, str]] = ()

    def bars(self, first: str, last: str, *, minutes: int = 60) -> list[Row]:
        """Return bars over the sessions of the calendar; none reaches over a break or a close."""
        rows, changes = [], {utc(text): values for text, values in self.moves.items()}
        halts = [(utc(begin), utc(end)) for begin, end in self.halts]
        for number, (opens, ends) in enumerate(self._spans(first, last, minutes)):
            price = round(self.base + number * self.step, 6)
            close = round(price + self.step, 6)
            row: Row = {"symbol": self.instrument.symbol, "ts_open": opens, "ts_event": ends, "volume": 1e6}
            row |= {"open": price, "close": close}
            row |= {"high": max(price, close) + self.spread, "low": min(price, close) - self.spread}
            if not any(begin <= opens < end for begin, end in halts):
                rows.append(row | dict(changes.pop(opens, {})))
        assert not changes, f"no bar opens at {list(changes)}"
        return rows

    def daily(self, first: str, last: str) -> list[Row]:
        """Return a bar for each session, with its label in place of instants."""
        rows = []
        for number, each in enumerate(sessions(self.instrument.calendar, first, last)):
            price = round(self.base + number * self.step, 6)
            row: Row = {"symbol": self.instrument.symbol, "session": each.label, "volume": 1e6}
            row |= {"open": price, "close": price, "high": price + self.spread, "low": price - self.spread}
            rows.append(row | dict(self.moves.get(str(each.label), {})))
        return rows

    def _spans(self, first: str, last: str, minutes: int) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        for each in sessions(self.instrument.calendar, first, last):
            for begin, end in each.parts:
                at = begin
                while at < end:
                    yield at, min(at + dt.timedelta(minutes=minutes), end)
                    at += dt.timedelta(minutes=minutes)


def share(symbol: str, calendar: str = "XNYS", currency: str = "USD", **fields: Made) -> Instrument:
    return Instrument(symbol, calendar=calendar, currency=currency, **fields)


def future(symbol: str = "FUT", **fields: Made) -> Instrument:
    given = {"calendar": "CME_Equity", "tick_size": "0.25", "multiplier": 50, "asset_class": "future"}
    return Instrument(symbol, **{**given, **fields})


def feed(rows: Sequence[Row], instruments: Sequence[Instrument], **options: Made) -> DataFeed:
    """Return a feed of bars that carry both of their stamps, or of sessions."""
    stamp = "session" if "session" in rows[0] else "event"
    return DataFeed(pl.DataFrame(rows), **{"stamp": stamp, "instruments": list(instruments), **options})


def market_feed(markets: Sequence[Market], first: str, last: str, *, minutes: int = 60) -> DataFeed:
    rows = [row for each in markets for row in each.bars(first, last, minutes=minutes)]
    return feed(rows, [each.instrument for each in markets])


def quotes(
    instrument: Instrument, ticks: Sequence[tuple[str, float | None, float | None]], **options: Made
) -> DataFeed:
    """Return quotes of (instant, bid, ask); None is a side that is missing."""
    rows = [
        {
            "symbol": instrument.symbol,
            "ts_event": utc(at),
            "bid_price": bid,
            "ask_price": ask,
            "bid_size": 1e6,
            "ask_size": 1e6,
        }
        for at, bid, ask in ticks
    ]
    given = {"kind": "quote", "stamp": "event", "name": "quotes", "instruments": [instrument]}
    schema: Made = {"symbol": pl.String, "ts_event": pl.Datetime("us", "UTC")}
    schema |= dict.fromkeys(("bid_price", "ask_price", "bid_size", "ask_size"), pl.Float64)
    return DataFeed(pl.DataFrame(rows, schema=schema), **{**given, **options})


# -- orders ----------------------------------------------------------------------------------------------


class Dated(Strategy):
    """Does at the call of an instant what the plan says for it."""

    def __init__(self, plan: Mapping[str, Sequence[Step]]) -> None:
        self.plan = {utc(text): list(steps) for text, steps in plan.items()}
        self.left = dict(self.plan)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        for step in self.left.pop(timestamp.datetime, []):
            step(broker)

    def on_stop(self) -> None:
        assert not self.left, f"no call at {list(self.left)}"


def buy(tag: str, symbol: str, quantity: float = 1, **terms: Made) -> Step:
    return lambda broker: broker.buy(symbol, quantity, tag=tag, **terms)


def sell(tag: str, symbol: str, quantity: float = 1, **terms: Made) -> Step:
    return lambda broker: broker.sell(symbol, quantity, tag=tag, **terms)


def limit(price: float, life: str = "gtc", **terms: Made) -> dict[str, Made]:
    return {"order_type": "limit", "limit_price": price, "time_in_force": life, **terms}


def stop(price: float, life: str = "gtc", **terms: Made) -> dict[str, Made]:
    return {"order_type": "stop", "stop_price": price, "time_in_force": life, **terms}


# -- what came of it -------------------------------------------------------------------------------------


def tags(results: Results) -> dict[int, str]:
    return dict(results.orders.select("order_id", "tag").rows())


def filled(results: Results) -> list[tuple[str, dt.datetime, float]]:
    """Tag, time and price of all fills."""
    names = tags(results)
    return [
        (names[order], at, price)
        for order, at, price in results.fills.select("order_id", "ts_event", "price").rows()
    ]


def ended(results: Results) -> dict[str, End]:
    """Time, status and code of the last event of each order, by tag."""
    names = tags(results)
    rows = results.order_events.select("order_id", "ts_event", "status", "reason_code").rows()
    return {names[order]: (at, status, code) for order, at, status, code in rows}


def expired(at: str, code: str = "SESSION_CLOSED") -> End:
    return utc(at), "expired", code


def done(at: str) -> End:
    return utc(at), "filled", ""


def closes(results: Results) -> list[tuple[dt.date, dt.datetime, float]]:
    """Label, time and equity of each NAV."""
    rows = results.portfolio_history.filter(pl.col("session").is_not_null())
    return rows.select("session", "ts_event", "equity").rows()


def postings(results: Results, kind: str) -> list[tuple[dt.datetime, str, float]]:
    """Time, symbol and amount of the postings of a kind, below zero where cash pays."""
    rows = results.ledger.filter(pl.col("kind") == kind)
    sign = pl.when(pl.col("debit") == "cash").then(1.0).otherwise(-1.0)
    return rows.select("ts_event", "symbol", pl.col("amount").cast(pl.Float64) * sign).rows()


def mark(rows: Sequence[Row], symbol: str, at: dt.datetime) -> float:
    """Return the close of a bar that has ended by now, or the open of one that began before now."""
    known = [
        (row["ts_open"], 0, row["open"]) for row in rows if row["symbol"] == symbol and row["ts_open"] < at
    ]
    known += [
        (row["ts_event"], -1, row["close"])
        for row in rows
        if row["symbol"] == symbol and row["ts_event"] <= at
    ]
    return float(max(known)[2])
