"""The faults that are looked for: a stable code each, why it matters and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

__all__ = ["CODES", "Code"]


@frozen
class Code:
    """A kind of fault."""

    what: str
    why: str
    fix: str


#: Every code that a finding can have.
CODES: Mapping[str, Code] = MappingProxyType(
    {
        "stamp-missing": Code(
            "a row without a stamp",
            "nobody knows when the row could be known, and a feed refuses it",
            "fill the stamp or drop the row",
        ),
        "stamps-at-open": Code(
            "bars stamped at their open",
            "read as closes, their high, low and close are known one bar too early",
            "declare stamp='open' with the interval, so that a bar is known when it ends",
        ),
        "naive-stamps": Code(
            "times of day without a zone",
            "in a wrong zone every bar is hours early or late, and what is early leaks",
            "declare timezone='America/New_York', 'UTC' or whichever it is, or write stamps with offsets",
        ),
        "out-of-hours": Code(
            "rows beyond the sessions of the calendar, or in its breaks",
            "a wrong zone, stamp or calendar moves every row in time; orders do not meet rows in a break",
            "check timezone, stamp and calendar; for trading at other hours choose a calendar that has them",
        ),
        "not-a-session": Code(
            "a row on a day on which the venue was closed",
            "prices filled into weekends and holidays are no prices; a feed refuses them",
            "drop the row, or choose the calendar that the venue has",
        ),
        "future-row": Code(
            "a row that is later than today",
            "it was made up, by a forecast, by filling forward or by a wrong unit or zone of the stamps",
            "drop it, and look where it comes from: the rows before it may be shifted, too",
        ),
        "unsorted": Code(
            "rows that come after a later one of their symbol",
            "a feed sorts them, but whatever was computed row by row before, such as a return, is wrong",
            "sort by symbol and stamp before anything is computed, and check those columns",
        ),
        "duplicate-row": Code(
            "two rows of one symbol and one stamp or session",
            "which one counts is chance, and one of two values is wrong; a feed refuses them",
            "keep one, for example frame.unique(subset=[symbol, stamp], keep='last')",
        ),
        "session-repeated": Code(
            "one session under two labels",
            "a day that is there twice makes a day without move and shifts what follows it",
            "find which label is right and load the other one again, or drop it",
        ),
        "missing-sessions": Code(
            "sessions without a row between the first and the last one",
            "orders wait for the next row, and a return over the hole is taken for that of a day",
            "load what is missing; leave a halt as it is, and check that the calendar is the venue's",
        ),
        "price-missing": Code(
            "a price that is null, NaN or infinite",
            "a feed refuses it: what an order would have paid is not known",
            "drop the row, or fill it from a source you trust, not from its neighbours",
        ),
        "price-not-positive": Code(
            "a price of zero or below",
            "zero stands for missing in many files, and a buy at zero is free; a feed refuses it",
            "drop the row, or declare Instrument(..., allows_negative_prices=True) where it is real",
        ),
        "volume-negative": Code(
            "a volume below zero or infinite",
            "a feed refuses it; it may come from a difference of totals or from 32-bit integers",
            "correct the value, or set it to null where it is not known",
        ),
        "high-below-low": Code(
            "a high below its low",
            "columns are swapped or the row is broken; a feed refuses it",
            "correct or drop the row, and check the order of the columns",
        ),
        "outside-range": Code(
            "an open or close outside low and high",
            "limit and stop orders are matched against low and high, fills against open and close",
            "correct the rows, or load with range_check='widen' or 'keep' if you know where they come from",
        ),
        "adjusted-close": Code(
            "an adjusted close among raw prices, or the other way round",
            "fills, fees and limits would be at prices that never were, and dividends count twice",
            "trade on raw open, high, low, close with corporate actions; see adjusted_prices for signals",
        ),
        "adjusted-feature": Code(
            "an adjusted price that is loaded as a feature",
            "it is made of later splits and dividends: its level tells a strategy what will be paid",
            "drop the column, name features with fields=[...], or compute it with adjusted_prices(as_of=...)",
        ),
        "adjusted-prices": Code(
            "prices that look adjusted or computed",
            "fills and fees per share would be of prices that never were, and later dividends are known",
            "load raw prices and give the corporate actions; a run applies them itself",
        ),
        "split-not-in-prices": Code(
            "a split among the actions at which the prices do not move",
            "a run multiplies positions at a split: with adjusted prices each one makes or loses a fortune",
            "load raw prices, or leave the splits out if prices are adjusted on purpose; check the ex-date",
        ),
        "split-unmarked": Code(
            "a jump that looks like a split without an action",
            "positions would lose or win what a split leaves as it was",
            "give the split as a corporate action (ex_date, ratio), or check that the move was real",
        ),
        "unit-change": Code(
            "prices that change by a factor of 10, 100 or 1000",
            "a change of unit, such as pence for pounds, is no return",
            "bring the series to one unit; give a reverse split of that size as a corporate action",
        ),
        "price-spike": Code(
            "a move that is undone by the next row, or a high or low far from open and close",
            "a misprint is a gift to any rule that buys dips, and it triggers stops",
            "compare the row with another source; correct or drop it",
        ),
        "stuck-price": Code(
            "prices that do not change while others do",
            "a series that was filled trades at prices that nobody offered",
            "drop the filled rows; for a halt there are none",
        ),
        "filled-after-delisting": Code(
            "a tail of equal prices without trading until the end",
            "a dead instrument can be sold at its last price for ever, which hides the loss of its holders",
            "drop the tail and give the delisting as a corporate action",
        ),
        "volume-unit": Code(
            "volumes that change by a factor of 100 or 1000",
            "caps by volume, impact and liquidity screens are off by that factor",
            "multiply lots or thousands to shares in that stretch",
        ),
        "volume-currency": Code(
            "volumes in currency instead of shares",
            "caps by volume and impact take a price times shares for shares: they never bind",
            "divide by the price that it was made with, or load the column of shares",
        ),
        "volume-fractional": Code(
            "volumes that are no whole numbers",
            "shares are whole: they may be adjusted for splits, in lots or thousands, or in currency",
            "check the unit; adjusted volumes belong to adjusted prices",
        ),
        "crossed-quotes": Code(
            "quotes whose bid is above their ask",
            "orders meet them as they are: a buy at the ask and a sale at the bid win money",
            "drop them, or check that bid and ask are not swapped",
        ),
        "feed-doubt": Code(
            "a doubt of the feed itself",
            "the declaration of the feed does not fit its rows",
            "check the declaration named",
        ),
        "feed-refuses": Code(
            "rows that a feed refuses",
            "a run with these declarations stops before its first event",
            "do what the message says",
        ),
    }
)
