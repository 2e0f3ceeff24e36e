"""Five venues in four currencies over the week of Thanksgiving 2024, in one run."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from ml4t.backtest import Results

from .conftest import Go
from .helpers import (
    HOUR,
    Market,
    buy,
    closes,
    done,
    ended,
    expired,
    feed,
    filled,
    future,
    limit,
    mark,
    postings,
    session_of,
    sessions,
    share,
    stop,
    utc,
)

FIRST, LAST = "2024-11-26", "2024-12-03"
VENUES = {"STK": "XNYS", "FUT": "CME_Equity", "BTC": "24/7", "TYO": "JPX", "BHP": "ASX"}
HOMES = {"STK": "USD", "FUT": "USD", "BTC": "USDT", "TYO": "JPY", "BHP": "AUD"}
MARKETS = (
    Market(share("STK"), 100.0, 0.05, moves={"2024-11-29 15:30": {"low": 95.0}}),
    # The open of the session of Monday, on the evening of Sunday, is a gap.
    Market(future(), 5000.0, 0.25, moves={"2024-12-01 23:00": {"open": 4900.0, "low": 4900.0}}),
    Market(share("BTC", "24/7", "USDT"), 600.0, 0.01),
    Market(share("TYO", "JPX", "JPY"), 2000.0, 1.0),
    Market(share("BHP", "ASX", "AUD"), 40.0, 0.01),
)
# Bars in the lunch of Tokyo, of nobody: they would fill anything.
AT_LUNCH = [
    {
        "symbol": "TYO",
        "ts_open": begin,
        "ts_event": begin + HOUR,
        "open": 2000.0,
        "high": 9000.0,
        "low": 1.0,
        "close": 2000.0,
        "volume": 1e6,
    }
    for session in sessions("JPX", FIRST, LAST)
    for begin in [session.parts[0][1]]
]
ROWS = [*(row for each in MARKETS for row in each.bars(FIRST, LAST)), *AT_LUNCH]
# The yen falls while New York has its holiday.
RATES = [
    ("USDJPY", "2024-11-20 00:00", 150.0),
    ("USDJPY", "2024-11-28 12:00", 160.0),
    ("AUDUSD", "2024-11-20 00:00", 0.65),
    ("USDT/USD", "2024-11-20 00:00", 1.0),
]
FX = pl.DataFrame(
    [(pair, utc(at), rate) for pair, at, rate in RATES], schema=["pair", "ts_event", "rate"], orient="row"
)
PLAN = {
    "2024-11-26 12:00": [
        buy("hold_stk", "STK", 10),
        buy("hold_fut", "FUT", 2),
        buy("hold_btc", "BTC", 3),
        buy("hold_tyo", "TYO", 100),
        buy("hold_bhp", "BHP", 50),
    ],
    # New York has closed before its holiday and CME has its maintenance, both until later.
    "2024-11-27 22:00": [
        *(buy(f"day_{symbol}", symbol, **limit(1.0, "day")) for symbol in VENUES),
        *(buy(f"open_{symbol}", symbol, time_in_force="opg") for symbol in VENUES),
        *(buy(f"close_{symbol}", symbol, time_in_force="cls") for symbol in VENUES),
        *(buy(f"low_close_{symbol}", symbol, **limit(1.0, "cls")) for symbol in VENUES),
        buy("gtc_stk", "STK", **limit(96.0)),
        buy("named_open", "STK", order_type="market_on_open"),
        buy("named_close", "STK", order_type="market_on_close"),
    ],
    "2024-11-28 02:00": [
        buy("day_over_lunch", "TYO", **limit(500.0, "day")),
        buy("day_stop_over_lunch", "TYO", **stop(8000.0, "day")),
    ],
    "2024-11-28 03:00": [buy("in_the_lunch", "TYO")],
    # CME closes early on Thanksgiving and opens again in the evening, for Friday.
    "2024-11-28 18:00": [buy("fut_after", "FUT"), buy("day_fut_after", "FUT", **limit(1.0, "day"))],
    "2024-11-29 18:00": [
        buy("gtc_fut", "FUT", **limit(4950.0)),
        buy("stk_monday", "STK"),
        buy("day_stk_monday", "STK", **limit(1.0, "day")),
    ],
}
ACCOUNT = {"initial_cash": 1_000_000, "leverage": 2}
RUNS: dict[str, Results] = {}


@pytest.fixture
def week(go: Go) -> Go:
    """Return a function that runs the week with the closes of a calendar as NAV, once each."""

    def run(nav_calendar: str = "XNYS") -> Results:
        if nav_calendar not in RUNS:
            data = feed(ROWS, [each.instrument for each in MARKETS])
            parts = {"fx": FX, "broker": ACCOUNT, "backtest": {"nav_calendar": nav_calendar}}
            RUNS[nav_calendar] = go(PLAN, data, **parts)
        return RUNS[nav_calendar]

    return run


def test_market_orders_take_the_next_open_of_their_own_venue(week: Go) -> None:
    fills = {tag: at for tag, at, _ in filled(week())}
    expected = {
        "hold_btc": "2024-11-26 12:00",
        "hold_fut": "2024-11-26 12:00",
        "hold_stk": "2024-11-26 14:30",
        "hold_bhp": "2024-11-26 23:00",
        "hold_tyo": "2024-11-27 00:00",
        "in_the_lunch": "2024-11-28 03:30",
        "fut_after": "2024-11-28 23:00",
        "stk_monday": "2024-12-02 14:30",
    }
    assert {tag: fills[tag] for tag in expected} == {tag: utc(at) for tag, at in expected.items()}


def test_day_orders_live_to_the_close_of_the_session_they_belong_to(week: Go) -> None:
    ends = ended(week())
    assert {tag: end for tag, end in ends.items() if tag.startswith("day_")} == {
        # Thursday has no session in New York and Friday ends at 13:00 there.
        "day_STK": expired("2024-11-29 18:00"),
        "day_FUT": expired("2024-11-28 18:00"),
        # The market that never closes is in the session of Wednesday.
        "day_BTC": expired("2024-11-28 00:00"),
        "day_TYO": expired("2024-11-28 06:30"),
        "day_over_lunch": expired("2024-11-28 06:30"),
        "day_stop_over_lunch": expired("2024-11-28 06:30"),
        "day_BHP": expired("2024-11-28 05:10"),
        "day_fut_after": expired("2024-11-29 18:00"),
        "day_stk_monday": expired("2024-12-02 21:00"),
    }


def test_orders_for_the_open_take_the_open_of_the_next_session(week: Go) -> None:
    assert {tag: at for tag, at, _ in filled(week()) if tag.startswith(("open_", "named_open"))} == {
        "open_FUT": utc("2024-11-27 23:00"),
        "open_BHP": utc("2024-11-27 23:00"),
        "open_BTC": utc("2024-11-28 00:00"),
        "open_TYO": utc("2024-11-28 00:00"),
        "open_STK": utc("2024-11-29 14:30"),
        "named_open": utc("2024-11-29 14:30"),
    }


def test_orders_for_the_close_take_the_close_of_the_session_they_belong_to(week: Go) -> None:
    at_close = {
        "STK": "2024-11-29 18:00",
        "FUT": "2024-11-28 18:00",
        "BTC": "2024-11-28 00:00",
        "TYO": "2024-11-28 06:30",
        "BHP": "2024-11-28 05:10",
    }
    fills = {tag: (at, price) for tag, at, price in filled(week())}
    ends = ended(week())
    for symbol, at in at_close.items():
        assert fills[f"close_{symbol}"] == (utc(at), mark(ROWS, symbol, utc(at)))
        assert ends[f"low_close_{symbol}"] == expired(at, "NOT_FILLED_AT_CLOSE")
    assert fills["named_close"] == fills["close_STK"]


def test_limits_that_stay_wait_over_holidays_and_breaks(week: Go) -> None:
    fills = {tag: (at, price) for tag, at, price in filled(week())}
    assert fills["gtc_stk"] == (utc("2024-11-29 16:30"), 96.0)
    # Sunday evening: the open of Monday's session is better than the limit.
    assert fills["gtc_fut"] == (utc("2024-12-01 23:00"), 4900.0)


def test_nothing_fills_while_its_venue_is_closed_or_at_lunch(week: Go) -> None:
    results = week()
    assert results.fills.height == 22
    (warning,) = [each for each in results.warnings if "break" in each]
    assert warning.startswith(
        f"feed prices: {len(AT_LUNCH)} of {len(ROWS)} rows lie in a break of their calendar"
    )
    for symbol, at in results.fills.select("symbol", "ts_event").rows():
        each = next(
            s for s in sessions(VENUES[symbol], "2024-11-20", "2024-12-06") if s.opens <= at <= s.closes
        )
        assert each.trades(at), (symbol, at)


def test_every_order_ends_as_sessions_of_the_library_say(week: Go) -> None:
    # The same as above, worked out from the schedule instead of by hand.
    for symbol, calendar in VENUES.items():
        session = session_of(calendar, utc("2024-11-27 22:00"))
        assert ended(week())[f"day_{symbol}"] == (session.closes, "expired", "SESSION_CLOSED")
        assert ended(week())[f"close_{symbol}"] == (session.closes, "filled", "")


@pytest.mark.parametrize("calendar", VENUES.values())
def test_nav_is_at_the_closes_of_its_calendar_while_others_trade(week: Go, calendar: str) -> None:
    struck = [(label, at) for label, at, _ in closes(week(calendar))]
    begin, end = min(row["ts_open"] for row in ROWS), max(row["ts_event"] for row in ROWS)
    # The data end inside a session of some: the value of then stands for its close.
    assert struck == [
        (each.label, min(each.closes, end))
        for each in sessions(calendar, "2024-11-20", "2024-12-06")
        if begin < each.closes and each.opens < end
    ]


def test_an_evening_belongs_to_the_label_of_the_next_day(week: Go) -> None:
    struck = {label: at for label, at, _ in closes(week("CME_Equity"))}
    assert struck == {
        dt.date(2024, 11, 26): utc("2024-11-26 22:00"),
        dt.date(2024, 11, 27): utc("2024-11-27 22:00"),
        dt.date(2024, 11, 28): utc("2024-11-28 18:00"),
        dt.date(2024, 11, 29): utc("2024-11-29 18:00"),
        dt.date(2024, 12, 2): utc("2024-12-02 22:00"),
        dt.date(2024, 12, 3): utc("2024-12-03 22:00"),
        # Its evening has begun when the data end.
        dt.date(2024, 12, 4): utc("2024-12-04 00:00"),
    }
    # What filled on Sunday evening is part of Monday.
    positions = week("CME_Equity").table("positions").filter(pl.col("symbol") == "FUT")
    held = dict(positions.select("session", "quantity").rows())
    assert (held[dt.date(2024, 11, 29)], held[dt.date(2024, 12, 2)]) == (5.0, 6.0)


@pytest.mark.parametrize("calendar", VENUES.values())
def test_nav_values_what_is_open_elsewhere_at_what_was_last_seen(week: Go, calendar: str) -> None:
    results = week(calendar)
    bought = results.fills.select("symbol", "ts_event", "quantity", "price", "fx_rate").rows()
    struck = closes(results)
    assert len(struck) >= 5
    for _, at, equity in struck:
        rate = {
            "USD": 1.0,
            "USDT": 1.0,
            "AUD": 0.65,
            "JPY": 1 / 150 if at < utc("2024-11-28 12:00") else 1 / 160,
        }
        gained = 0.0
        for symbol, when, quantity, price, then in bought:
            # What fills at an open of this instant comes after its NAV; a fill at a close before it.
            is_at_open = any(row["ts_open"] == when for row in ROWS if row["symbol"] == symbol) and when == at
            if when > at or is_at_open:
                continue
            now = rate[HOMES[symbol]]
            units = quantity * (50 if symbol == "FUT" else 1)
            gained += units * (mark(ROWS, symbol, at) * now - price * then)
        assert equity == pytest.approx(1_000_000 + gained, abs=1e-6), at


def test_futures_are_settled_at_the_closes_of_their_own_calendar(week: Go) -> None:
    results = week()
    moved = postings(results, "variation_margin")
    assert [(at, symbol) for at, symbol, _ in moved] == [
        (each.closes, "FUT") for each in sessions("CME_Equity", FIRST, LAST)
    ]
    bought = results.fills.filter(pl.col("symbol") == "FUT").select("ts_event", "quantity", "price").rows()
    settled, before = 0.0, utc(f"{FIRST} 00:00") - HOUR
    for at, _, amount in moved:
        price = mark(ROWS, "FUT", at)
        new = sum(q * (price - entry) for when, q, entry in bought if before < when <= at)
        old = sum(q * (price - settled) for when, q, entry in bought if when <= before)
        assert amount == pytest.approx(50 * (new + old)), at
        settled, before = price, at


def test_bought_yen_follow_the_rate_while_new_york_has_its_holiday(week: Go) -> None:
    fills = week().fills.filter(pl.col("symbol") == "TYO").select("ts_event", "fx_rate").rows()
    assert [rate for _, rate in fills] == pytest.approx([1 / 150] * len(fills))
    struck = dict(
        week().table("balances").filter(pl.col("currency") == "JPY").select("session", "fx_rate").rows()
    )
    assert struck[dt.date(2024, 11, 27)] == pytest.approx(1 / 150)
    assert struck[dt.date(2024, 11, 29)] == pytest.approx(1 / 160)


def test_positions_of_a_nav_are_what_had_filled_by_then(week: Go) -> None:
    positions = week().table("positions").select("session", "symbol", "quantity").rows()
    thanksgiving = {symbol: quantity for label, symbol, quantity in positions if str(label) == "2024-11-29"}
    assert thanksgiving == {"STK": 15.0, "FUT": 5.0, "BTC": 5.0, "TYO": 103.0, "BHP": 52.0}


def test_all_of_it_ends_without_an_order_left(week: Go) -> None:
    assert {status for _, status, _ in ended(week()).values()} == {"filled", "expired"}
    assert ended(week())["hold_stk"] == done("2024-11-26 14:30")
