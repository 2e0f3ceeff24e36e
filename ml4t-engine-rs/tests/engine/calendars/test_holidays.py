"""Holidays of one venue while others trade; bars of days in a run of their own."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from .conftest import Go
from .helpers import (
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
    market_feed,
    postings,
    sell,
    sessions,
    share,
    stop,
    utc,
)

MAY = ("2024-04-25", "2024-05-08")
NOVEMBER = ("2024-11-25", "2024-12-03")
YEN = pl.DataFrame(
    [("USDJPY", utc("2024-04-01 00:00"), 150.0)], schema=["pair", "ts_event", "rate"], orient="row"
)
MARKETS = {
    "STK": Market(share("STK"), 100.0, 1.0),
    "FUT": Market(future(), 5000.0, 10.0),
    "BTC": Market(share("BTC", "24/7"), 600.0, 1.0),
    "TYO": Market(
        share("TYO", "JPX", "JPY"),
        2000.0,
        10.0,
        spread=5.0,
        # It opens far away after Golden Week.
        moves={"2024-05-07": {"open": 1800.0, "low": 1790.0, "close": 1810.0}},
    ),
    "BHP": Market(share("BHP", "ASX"), 40.0, 1.0),
}


def daily(first: str, last: str, *symbols: str) -> tuple[list[dict[str, object]], object]:
    chosen = [MARKETS[symbol] for symbol in symbols or MARKETS]
    rows = [row for each in chosen for row in each.daily(first, last)]
    return rows, feed(rows, [each.instrument for each in chosen])


def test_golden_week_of_tokyo_in_a_run_of_daily_bars(go: Go) -> None:
    rows, data = daily(*MAY)
    plan = {
        # The close of New York on Thursday: Tokyo was open until 06:00 and is closed until Tuesday.
        "2024-05-02 20:00": [
            buy("market", "TYO", 100),
            buy("day", "TYO", **limit(1000.0, "day")),
            buy("limit", "TYO", 10, **limit(1900.0)),
            buy("open", "TYO", time_in_force="opg"),
            buy("close", "TYO", time_in_force="cls"),
            buy("us", "STK", 10),
            buy("us day", "STK", **limit(1.0, "day")),
            buy("fut", "FUT"),
        ],
        "2024-04-26 20:00": [buy("held", "TYO", 100), sell("stop", "TYO", 100, **stop(1950.0))],
    }
    account = {"initial_cash": 1_000_000, "leverage": 2, "allows_short": True}
    results = go(plan, data, fx=YEN, broker=account, backtest={"nav_calendar": "XNYS"})
    # Monday the 29th is a holiday, too.
    assert ended(results) == {
        "held": done("2024-04-30 00:00"),
        "us": done("2024-05-03 13:30"),
        "fut": done("2024-05-02 22:00"),
        "us day": expired("2024-05-03 20:00"),
        "market": done("2024-05-07 00:00"),
        "limit": done("2024-05-07 00:00"),
        "open": done("2024-05-07 00:00"),
        "stop": done("2024-05-07 00:00"),
        "close": done("2024-05-07 06:00"),
        "day": expired("2024-05-07 06:00"),
    }
    fills = {tag: price for tag, _, price in filled(results)}
    # The gap decides: the limit takes the better open, and the stop the worse one.
    assert (fills["limit"], fills["stop"], fills["close"]) == (1800.0, 1800.0, 1810.0)
    # NAV goes on while Tokyo rests, and its mark stays at its last close.
    assert [label for label, _, _ in closes(results)] == [each.label for each in sessions("XNYS", *MAY)]
    tyo = results.table("positions").filter(pl.col("symbol") == "TYO")
    marks = dict(tyo.select("session", "mark_price").rows())
    last = next(
        row["close"] for row in rows if row["symbol"] == "TYO" and str(row["session"]) == "2024-05-02"
    )
    for day in (2, 3, 6):
        assert marks[dt.date(2024, 5, day)] == last


def test_thanksgiving_is_a_day_like_others_in_tokyo(go: Go) -> None:
    rows, data = daily(*NOVEMBER, "STK", "FUT", "BTC", "BHP")
    tokyo = Market(share("TYO", "JPX", "JPY"), 2000.0, 10.0, spread=5.0)
    data = feed(
        [*rows, *tokyo.daily(*NOVEMBER)],
        [*(MARKETS[symbol].instrument for symbol in ("STK", "FUT", "BTC", "BHP")), tokyo.instrument],
    )
    plan = {
        "2024-11-27 06:30": [buy("thursday", "TYO", 10)],
        "2024-11-28 06:30": [
            buy("friday", "TYO", 10),
            buy("us", "STK"),
            buy("us day", "STK", **limit(1.0, "day")),
            buy("us close", "STK", time_in_force="cls"),
        ],
    }
    account = {"initial_cash": 1_000_000, "leverage": 2}
    results = go(plan, data, fx=YEN, broker=account, backtest={"nav_calendar": "JPX"})
    assert ended(results) == {
        "thursday": done("2024-11-28 00:00"),
        "friday": done("2024-11-29 00:00"),
        "us": done("2024-11-29 14:30"),
        "us close": done("2024-11-29 18:00"),
        "us day": expired("2024-11-29 18:00"),
    }
    struck = [(str(label), at) for label, at, _ in closes(results)]
    assert ("2024-11-28", utc("2024-11-28 06:30")) in struck
    assert [at for _, at in struck] == [each.closes for each in sessions("JPX", *NOVEMBER)]


@pytest.mark.parametrize("symbol", MARKETS)
def test_a_daily_bar_is_the_session_of_its_label(go: Go, symbol: str) -> None:
    market = MARKETS[symbol]
    calendar = market.instrument.calendar
    days = sessions(calendar, *MAY)
    _, data = daily(*MAY, symbol)
    sent = days[2].closes.strftime("%Y-%m-%d %H:%M")
    plan = {sent: [buy("a", symbol), buy("b", symbol, time_in_force="cls")]}
    results = go(plan, data, fx=YEN, broker={"initial_cash": 1_000_000})
    assert [(tag, at) for tag, at, _ in filled(results)] == [("a", days[3].opens), ("b", days[3].closes)]
    assert [(label, at) for label, at, _ in closes(results)] == [(each.label, each.closes) for each in days]


def test_futures_are_settled_on_holidays_of_new_york_and_nav_of_the_next_day_has_it(go: Go) -> None:
    _, data = daily("2024-05-22", "2024-05-30", "STK", "FUT")
    plan = {"2024-05-23 20:00": [buy("a", "FUT")]}
    results = go(plan, data, broker={"initial_cash": 1_000_000}, backtest={"nav_calendar": "XNYS"})
    # Memorial Day is Monday the 27th: CME trades until noon.
    assert postings(results, "variation_margin") == [
        (utc("2024-05-27 17:00"), "FUT", 500.0),
        (utc("2024-05-28 21:00"), "FUT", 500.0),
        (utc("2024-05-29 21:00"), "FUT", 500.0),
        (utc("2024-05-30 21:00"), "FUT", 500.0),
    ]
    equity = {str(label): value for label, _, value in closes(results)}
    assert "2024-05-27" not in equity
    # At 20:00 the bar of the 28th has begun and not ended: its open is 10 above the settlement of Monday.
    assert (equity["2024-05-24"], equity["2024-05-28"]) == (1_000_000.0, 1_001_000.0)


def test_tokyo_closes_half_an_hour_later_from_november_2024_on(go: Go) -> None:
    tokyo, btc = Market(share("TYO", "JPX"), 20.0), Market(share("BTC", "24/7"), 600.0)
    data = market_feed([tokyo, btc], "2024-10-31", "2024-11-06", minutes=30)
    lives = [buy("day", "TYO", **limit(1.0, "day")), buy("close", "TYO", time_in_force="cls")]
    plan = {"2024-11-01 02:00": lives}
    ends = ended(go(plan, data, backtest={"nav_calendar": "JPX"}))
    assert (ends["day"], ends["close"]) == (expired("2024-11-01 06:00"), done("2024-11-01 06:00"))
    # Friday after the close; Monday is a holiday.
    ends = ended(go({"2024-11-01 06:00": lives}, data, backtest={"nav_calendar": "JPX"}))
    assert (ends["day"], ends["close"]) == (expired("2024-11-05 06:30"), done("2024-11-05 06:30"))
