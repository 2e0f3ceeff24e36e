"""Data and calendars that do not agree: what is refused, and what is warned of, by instrument and time."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Sequence

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.core.errors import DataError, OrderError

from .conftest import Go
from .helpers import (
    Made,
    Market,
    Row,
    buy,
    done,
    ended,
    expired,
    feed,
    filled,
    limit,
    market_feed,
    quotes,
    sessions,
    share,
    utc,
)

STK, TYO = share("STK"), share("TYO", "JPX")


def bars(symbol: str, *spans: tuple[str, str], price: float = 10.0) -> list[Row]:
    values = dict.fromkeys(("open", "high", "low", "close"), price)
    return [
        {"symbol": symbol, "ts_open": utc(opens), "ts_event": utc(ends), **values, "volume": 1e6}
        for opens, ends in spans
    ]


def hours(symbol: str, day: str, first: str, count: int) -> list[Row]:
    begin = utc(f"{day} {first}")
    stamps = [(begin + dt.timedelta(hours=n)).strftime("%Y-%m-%d %H:%M") for n in range(count + 1)]
    return bars(symbol, *itertools.pairwise(stamps))


def days(symbol: str, *labels: str) -> list[Row]:
    values = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    return [
        {"symbol": symbol, "session": dt.date.fromisoformat(each), **values, "volume": 1e6} for each in labels
    ]


def refusal(go: Go, data: DataFeed, **parts: Made) -> str:
    with pytest.raises(DataError) as caught:
        go({}, data, **parts)
    return str(caught.value)


# -- days that are none ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "day", "nearest"),
    [
        ("XNYS", "2024-11-28", "2024-11-27 and 2024-11-29"),
        ("XNYS", "2024-12-01", "2024-11-29 and 2024-12-02"),
        ("JPX", "2024-05-03", "2024-05-02 and 2024-05-07"),
        ("ASX", "2024-12-25", "2024-12-24 and 2024-12-27"),
        ("LSE", "2024-04-01", "2024-03-28 and 2024-04-02"),
        ("CME_Equity", "2024-12-25", "2024-12-24 and 2024-12-26"),
    ],
)
def test_a_daily_bar_of_a_day_without_a_session_is_refused(
    go: Go, calendar: str, day: str, nearest: str
) -> None:
    before, _, after = nearest.partition(" and ")
    message = refusal(go, feed(days("X", before, day, after), [share("X", calendar)]))
    assert message.startswith(f"feed prices: X: {day} is not a session of calendar {calendar}")
    assert f"(nearest: {nearest})" in message


def test_only_the_instrument_that_rests_is_refused(go: Go) -> None:
    rows = days("TYO", "2024-11-27", "2024-11-28", "2024-11-29")
    data = feed([*rows, *days("STK", "2024-11-27", "2024-11-28", "2024-11-29")], [STK, TYO])
    message = refusal(go, data, backtest={"nav_calendar": "XNYS"})
    assert "STK: 2024-11-28 is not a session of calendar XNYS" in message
    assert "TYO" not in message


@pytest.mark.parametrize(
    ("stamp", "fault"), [("open", "14:30:00Z is not the open"), ("close", "21:00:00Z is not the close")]
)
def test_a_daily_stamp_that_clocks_have_left_behind_is_refused(go: Go, stamp: Made, fault: str) -> None:
    # The stamps of winter, in the first week of summer time.
    at = {"open": "14:30", "close": "21:00"}[stamp]
    rows = [
        {
            "symbol": "STK",
            "ts_event": utc(f"{day} {at}"),
            **dict.fromkeys(("open", "high", "low", "close"), 10.0),
        }
        for day in ("2024-03-08", "2024-03-11")
    ]
    message = refusal(go, DataFeed(pl.DataFrame(rows), stamp=stamp, interval="1d", instruments=[STK]))
    assert f"STK: 2024-03-11T{fault} of a session of calendar XNYS" in message


# -- rows outside of sessions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "rows", "first"),
    [
        # Thanksgiving, the afternoon of a half day, a bar over its close, the winter's opening in summer.
        (STK, hours("STK", "2024-11-28", "14:30", 6), "2024-11-28T15:30:00Z"),
        (STK, hours("STK", "2024-11-29", "14:30", 6), "2024-11-29T18:30:00Z"),
        (STK, hours("STK", "2024-11-29", "14:30", 4), "2024-11-29T18:30:00Z"),
        (STK, hours("STK", "2024-03-11", "14:30", 7), "2024-03-11T20:30:00Z"),
        # A holiday of Golden Week, and the half hour that Tokyo did not have yet.
        (TYO, hours("TYO", "2024-05-03", "00:00", 2), "2024-05-03T01:00:00Z"),
        (TYO, bars("TYO", ("2024-11-01 05:30", "2024-11-01 06:30")), "2024-11-01T06:30:00Z"),
        # Over the maintenance of CME, and inside it.
        (share("FUT", "CME_Equity"), hours("FUT", "2024-11-06", "20:30", 4), "2024-11-06T22:30:00Z"),
        (
            share("FUT", "CME_Equity"),
            bars("FUT", ("2024-11-06 21:00", "2024-11-06 22:00"), ("2024-11-06 22:10", "2024-11-06 22:40")),
            "2024-11-06T22:40:00Z",
        ),
    ],
)
def test_rows_outside_of_sessions_are_warned_of(
    go: Go, instrument: Made, rows: list[Row], first: str
) -> None:
    results = go({}, feed(rows, [instrument]))
    (warning,) = [each for each in results.warnings if "beyond the sessions" in each]
    assert f"(first: {instrument.symbol} at {first}, calendar {instrument.calendar})" in warning


def test_the_warning_counts_one_feed_of_several_venues(go: Go) -> None:
    good = Market(TYO, 20.0).bars("2024-11-28", "2024-11-28")
    results = go(
        {},
        feed([*good, *hours("STK", "2024-11-28", "14:30", 2)], [STK, TYO]),
        backtest={"nav_calendar": "JPX"},
    )
    assert [each for each in results.warnings if "beyond" in each] == [
        f"feed prices: 2 of {len(good) + 2} rows reach beyond the sessions of their calendar (first: STK at "
        "2024-11-28T15:30:00Z, calendar XNYS); check timezone, stamp and calendar"
    ]


def test_bars_within_their_sessions_are_not_warned_of(go: Go) -> None:
    markets = [Market(STK, 100.0), Market(TYO, 20.0), Market(share("FUT", "CME_Equity"), 500.0)]
    markets += [Market(share("BTC", "24/7"), 600.0), Market(share("BHP", "ASX"), 40.0)]
    for first, last in (("2024-03-07", "2024-04-09"), ("2024-11-25", "2024-12-02")):
        results = go({}, market_feed(markets, first, last, minutes=120), backtest={"nav_calendar": "XNYS"})
        assert not [each for each in results.warnings if "beyond" in each]


def test_a_bar_that_reaches_over_an_early_close_can_be_cut_to_it(go: Go) -> None:
    rows = hours("STK", "2024-11-29", "14:30", 4)
    plan = {
        "2024-11-29 15:30": [buy("day", "STK", **limit(1.0, "day")), buy("close", "STK", time_in_force="cls")]
    }
    results = go(plan, feed(rows, [STK], cuts_to_session=True))
    assert ended(results) == {"day": expired("2024-11-29 18:00"), "close": done("2024-11-29 18:00")}
    assert not results.warnings
    whole = go(plan, feed(rows, [STK]))
    # A bar that ends after the close is none of the close, and what it did comes too late.
    assert ended(whole)["close"] == expired("2024-11-29 18:00", "NOT_FILLED_AT_CLOSE")
    assert ended(whole)["day"] == expired("2024-11-29 18:00")


# -- times that are none ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "stamp"),
    [
        ("America/New_York", "2024-03-10 02:30"),
        ("America/New_York", "2024-11-03 01:30"),
        ("Europe/London", "2024-03-31 01:30"),
        ("Europe/London", "2024-10-27 01:30"),
        ("Australia/Sydney", "2024-10-06 02:30"),
        ("Australia/Sydney", "2024-04-07 02:30"),
    ],
)
def test_local_stamps_of_the_hour_of_the_change_are_refused(go: Go, zone: str, stamp: str) -> None:
    at = dt.datetime.fromisoformat(stamp)
    values = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    rows = [{"symbol": "BTC", "timestamp": at + dt.timedelta(hours=n), **values} for n in (-3, 0, 3)]
    data = DataFeed(
        pl.DataFrame(rows), stamp="open", interval="1h", timezone=zone, instruments=[share("BTC", "24/7")]
    )
    assert re.search(rf"{stamp}:00 in row 1 does not exist, or exists twice, in {zone}", refusal(go, data))


@pytest.mark.parametrize(
    ("zone", "calendar", "first"),
    [
        ("America/New_York", "XNYS", "2024-03-07"),
        ("America/New_York", "XNYS", "2024-10-31"),
        ("Europe/London", "LSE", "2024-03-27"),
        ("Europe/London", "LSE", "2024-10-24"),
        ("Australia/Sydney", "ASX", "2024-04-04"),
        ("Australia/Sydney", "ASX", "2024-10-03"),
        ("Asia/Tokyo", "JPX", "2024-03-07"),
    ],
)
def test_local_stamps_over_the_change_are_the_instants_of_sessions(
    go: Go, zone: str, calendar: str, first: str
) -> None:
    last = str(dt.date.fromisoformat(first) + dt.timedelta(days=6))
    market = Market(share("X", calendar), 10.0)
    frame = pl.DataFrame(market.bars(first, last))
    local = frame.with_columns(
        pl.col(name).dt.convert_time_zone(zone).dt.replace_time_zone(None) for name in ("ts_open", "ts_event")
    )
    parts: Made = {"stamp": "event", "instruments": [market.instrument]}
    opens = sessions(calendar, first, last)[1].opens.strftime("%Y-%m-%d %H:%M")
    plan = {
        (utc(opens) + dt.timedelta(hours=1)).strftime("%Y-%m-%d %H:%M"): [buy("a", "X", **limit(1.0, "day"))]
    }
    same = [go(plan, DataFeed(frame, **parts)), go(plan, DataFeed(local, timezone=zone, **parts))]
    assert ended(same[0]) == ended(same[1])
    assert same[0].nav.equals(same[1].nav)


# -- calendars of one's own ------------------------------------------------------------------------------


def nanoseconds(at: str) -> int:
    return int(utc(at).timestamp()) * 10**9


@attrs.frozen
class Own:
    """A calendar that knows what it was given."""

    rows: Sequence[tuple[str, str, str]]
    name: str = "Own"
    timezone: str = "UTC"

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        found = [
            (dt.date.fromisoformat(label), nanoseconds(opens), nanoseconds(ends))
            for label, opens, ends in self.rows
        ]
        return [row for row in found if start <= row[0] <= end]


MONDAY = ("2024-11-04", "2024-11-04 09:00", "2024-11-04 17:00")
TUESDAY = ("2024-11-05", "2024-11-05 09:00", "2024-11-05 17:00")
OWN = share("X", "Own")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            (MONDAY, ("2024-11-05", "2024-11-04 16:00", "2024-11-05 17:00")),
            "session 2024-11-05 overlaps the session before it: it opens 2024-11-04T16:00:00Z and closes "
            "2024-11-05T17:00:00Z, that one closes 2024-11-04T17:00:00Z",
        ),
        ((TUESDAY, MONDAY), "session 2024-11-04 comes after session 2024-11-05"),
        ((MONDAY, MONDAY), "session 2024-11-04 comes after session 2024-11-04"),
        (
            (("2024-11-04", "2024-11-04 17:00", "2024-11-04 09:00"), TUESDAY),
            "session 2024-11-04 opens 2024-11-04T17:00:00Z and closes 2024-11-04T09:00:00Z",
        ),
        (
            (MONDAY, ("2024-11-05", "2024-11-05 17:00", "2024-11-05 09:00")),
            "session 2024-11-05 opens 2024-11-05T17:00:00Z and closes 2024-11-05T09:00:00Z",
        ),
    ],
    ids=["overlapping", "in the wrong order", "one day twice", "the first closed early", "closed early"],
)
def test_sessions_that_are_out_of_order_are_refused(go: Go, rows: Made, said: str) -> None:
    data = feed(hours("X", "2024-11-04", "09:00", 8), [OWN])
    message = refusal(go, data, calendars=[Own(rows)])
    assert f"calendar Own: {said}" in message
    assert "Sessions are one a day, in order and without overlap" in message


def test_a_day_beyond_the_end_of_a_calendar_is_refused_for_daily_bars(go: Go) -> None:
    data = feed(days("X", "2024-11-04", "2024-11-05", "2024-11-06"), [OWN])
    message = refusal(go, data, calendars=[Own([MONDAY, TUESDAY])])
    assert "X: 2024-11-06 is not a session of calendar Own (nearest: 2024-11-05)" in message


@pytest.mark.parametrize(
    ("known", "count", "first"),
    [
        ((MONDAY,), 8, "2024-11-05T10:00:00Z"),
        ((TUESDAY,), 8, "2024-11-04T10:00:00Z"),
        ((), 16, "2024-11-04T10:00:00Z"),
    ],
)
def test_hours_beyond_the_ends_of_a_calendar_are_warned_of(
    go: Go, known: Made, count: int, first: str
) -> None:
    rows = [*hours("X", "2024-11-04", "09:00", 8), *hours("X", "2024-11-05", "09:00", 8)]
    results = go({}, feed(rows, [OWN]), calendars=[Own(known)])
    assert [each for each in results.warnings if "beyond" in each] == [
        f"feed prices: {count} of 16 rows reach beyond the sessions of their calendar (first: X at {first}, "
        "calendar Own); check timezone, stamp and calendar"
    ]


def test_an_order_to_a_date_without_a_session_is_refused_where_it_is_written(go: Go) -> None:
    plan = {"2024-11-27 15:30": [buy("a", "STK", **limit(1.0, "gtd"), expire_at=dt.date(2024, 11, 28))]}
    with pytest.raises(OrderError, match=r"2024-11-28: the calendar XNYS has no such session \(STK\)"):
        go(plan, market_feed([Market(STK, 100.0)], "2024-11-26", "2024-12-02"))


# -- bars and quotes that cannot be ----------------------------------------------------------------------


def test_bars_that_overlap_over_a_break_are_refused(go: Go) -> None:
    rows = bars("TYO", ("2024-11-07 02:00", "2024-11-07 04:00"), ("2024-11-07 03:30", "2024-11-07 04:30"))
    message = refusal(go, feed(rows, [TYO]))
    assert "TYO at 2024-11-07T04:30:00Z: the bar opens at 2024-11-07T03:30:00Z" in message
    assert "before the last one ended at 2024-11-07T04:00:00Z" in message


def test_a_quote_without_any_side_is_refused_by_name_and_time(go: Go) -> None:
    data = quotes(STK, [("2024-11-27 15:00", 9.9, 10.1), ("2024-11-27 16:00", None, None)])
    assert "STK at 2024-11-27T16:00:00Z: the quote has neither bid nor ask" in refusal(go, data)


def test_several_calendars_need_a_nav_calendar_by_name(go: Go) -> None:
    rows = [*days("STK", "2024-11-27"), *days("TYO", "2024-11-27")]
    with pytest.raises(DataError, match="JPX, XNYS, so nav_calendar must say"):
        go({}, feed(rows, [STK, TYO]))


def test_orders_of_a_day_without_a_session_do_not_stop_the_run(go: Go) -> None:
    # Sent after the last close that there is.
    plan = {
        "2024-11-05 00:00": [buy("day", "X", **limit(1.0, "day")), buy("close", "X", time_in_force="cls")]
    }
    clock = Market(share("BTC", "24/7"), 600.0)
    rows = [*hours("X", "2024-11-04", "09:00", 8), *clock.bars("2024-11-04", "2024-11-05")]
    results = go(
        plan,
        feed(rows, [OWN, clock.instrument]),
        calendars=[Own([MONDAY])],
        backtest={"nav_calendar": "24/7"},
    )
    assert {end[1:] for end in ended(results).values()} == {("canceled", "END_OF_DATA")}
    assert not filled(results)
