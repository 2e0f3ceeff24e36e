"""Daylight saving time of both hemispheres, and weeks in which New York and London have not both changed."""

from __future__ import annotations

import datetime as dt

import pytest

from .conftest import Go
from .helpers import (
    Market,
    buy,
    closes,
    done,
    ended,
    expired,
    future,
    limit,
    market_feed,
    session_of,
    sessions,
    share,
    utc,
)

MARKETS = {
    "XNYS": Market(share("STK"), 100.0),
    "LSE": Market(share("BP", "LSE"), 5.0, spread=0.1),
    "CME_Equity": Market(future(settlement="upfront", multiplier=1), 500.0),
    "24/7": Market(share("BTC", "24/7"), 600.0),
    "JPX": Market(share("TYO", "JPX"), 20.0),
    "ASX": Market(share("BHP", "ASX"), 40.0),
}
NIGHT = "24/7"
# Sent on a Friday evening in Europe: when the session after it opens and closes in UTC.
CASES = [
    pytest.param(
        "2024-03-08 22:00",  # New York and Chicago spring forward on the 10th
        {
            "XNYS": ("2024-03-11 13:30", "2024-03-11 20:00"),
            "LSE": ("2024-03-11 08:00", "2024-03-11 16:30"),
            "CME_Equity": ("2024-03-10 22:00", "2024-03-11 21:00"),
            "JPX": ("2024-03-11 00:00", "2024-03-11 06:00"),
            "ASX": ("2024-03-10 23:00", "2024-03-11 05:10"),
        },
        id="new york in march",
    ),
    pytest.param(
        "2024-03-28 22:00",  # London springs forward on the 31st, and rests from Good Friday to Easter Monday
        {
            "XNYS": ("2024-04-01 13:30", "2024-04-01 20:00"),
            "LSE": ("2024-04-02 07:00", "2024-04-02 15:30"),
            # On Good Friday CME trades until 08:15 of Chicago.
            "CME_Equity": ("2024-03-28 22:00", "2024-03-29 13:15"),
            "JPX": ("2024-03-29 00:00", "2024-03-29 06:00"),
            "ASX": ("2024-04-01 23:00", "2024-04-02 05:10"),
        },
        id="london in march",
    ),
    pytest.param(
        "2024-04-05 22:00",  # Sydney falls back on the 7th
        {
            "XNYS": ("2024-04-08 13:30", "2024-04-08 20:00"),
            "LSE": ("2024-04-08 07:00", "2024-04-08 15:30"),
            "CME_Equity": ("2024-04-07 22:00", "2024-04-08 21:00"),
            "JPX": ("2024-04-08 00:00", "2024-04-08 06:00"),
            "ASX": ("2024-04-08 00:00", "2024-04-08 06:10"),
        },
        id="sydney in april",
    ),
    pytest.param(
        "2024-10-04 22:00",  # Sydney springs forward on the 6th
        {
            "XNYS": ("2024-10-07 13:30", "2024-10-07 20:00"),
            "LSE": ("2024-10-07 07:00", "2024-10-07 15:30"),
            "CME_Equity": ("2024-10-06 22:00", "2024-10-07 21:00"),
            "JPX": ("2024-10-07 00:00", "2024-10-07 06:00"),
            "ASX": ("2024-10-06 23:00", "2024-10-07 05:10"),
        },
        id="sydney in october",
    ),
    pytest.param(
        "2024-10-25 22:00",  # London falls back on the 27th
        {
            "XNYS": ("2024-10-28 13:30", "2024-10-28 20:00"),
            "LSE": ("2024-10-28 08:00", "2024-10-28 16:30"),
            "CME_Equity": ("2024-10-27 22:00", "2024-10-28 21:00"),
            "JPX": ("2024-10-28 00:00", "2024-10-28 06:00"),
            "ASX": ("2024-10-27 23:00", "2024-10-28 05:10"),
        },
        id="london in october",
    ),
    pytest.param(
        # New York falls back on the 3rd; Tokyo rests on Monday and closes later from Tuesday on.
        "2024-11-01 22:00",
        {
            "XNYS": ("2024-11-04 14:30", "2024-11-04 21:00"),
            "LSE": ("2024-11-04 08:00", "2024-11-04 16:30"),
            "CME_Equity": ("2024-11-03 23:00", "2024-11-04 22:00"),
            "JPX": ("2024-11-05 00:00", "2024-11-05 06:30"),
            "ASX": ("2024-11-03 23:00", "2024-11-04 05:10"),
        },
        id="new york in november",
    ),
]


@pytest.mark.parametrize(("sent", "expected"), CASES)
def test_opens_and_closes_move_in_utc_with_the_clocks_of_their_venue(
    go: Go, sent: str, expected: dict[str, tuple[str, str]]
) -> None:
    first, last = utc(sent).date() - dt.timedelta(days=2), utc(sent).date() + dt.timedelta(days=6)
    data = market_feed(list(MARKETS.values()), str(first), str(last))
    plan = []
    for calendar, (opens, ends) in expected.items():
        session = session_of(calendar, utc(sent))
        assert (session.opens, session.closes) == (utc(opens), utc(ends))
        symbol = MARKETS[calendar].instrument.symbol
        plan += [
            buy(f"market {calendar}", symbol),
            buy(f"open {calendar}", symbol, time_in_force="opg"),
            buy(f"close {calendar}", symbol, time_in_force="cls"),
            buy(f"day {calendar}", symbol, **limit(1.0, "day")),
            buy(f"gtd {calendar}", symbol, **limit(1.0, "gtd"), expire_at=session.label),
        ]
    came = ended(go({sent: plan}, data, backtest={"nav_calendar": "XNYS"}))
    for calendar, (opens, closed) in expected.items():
        assert came[f"market {calendar}"] == done(opens)
        assert came[f"open {calendar}"] == done(opens)
        assert came[f"close {calendar}"] == done(closed)
        assert came[f"day {calendar}"] == expired(closed)
        assert came[f"gtd {calendar}"] == expired(closed, "TIME_EXPIRED")


@pytest.mark.parametrize("nav", ["XNYS", "LSE", "ASX", "CME_Equity"])
@pytest.mark.parametrize(("first", "last"), [("2024-03-06", "2024-04-11"), ("2024-10-02", "2024-11-08")])
def test_nav_follows_the_clocks_of_its_calendar(go: Go, nav: str, first: str, last: str) -> None:
    markets = [MARKETS[name] for name in dict.fromkeys([nav, "XNYS"])]
    results = go({}, market_feed(markets, first, last, minutes=600), backtest={"nav_calendar": nav})
    struck = [(label, at) for label, at, _ in closes(results)]
    assert struck == [(each.label, each.closes) for each in sessions(nav, first, last)]
    assert len({at.time() for _, at in struck}) > 1


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2024-03-07", 2),
        ("2024-03-14", 3),
        ("2024-04-04", 2),
        ("2024-10-24", 2),
        ("2024-10-30", 3),
        ("2024-11-06", 2),
    ],
)
def test_new_york_and_london_are_open_together_an_hour_longer_in_weeks_that_differ(
    go: Go, day: str, hours: int
) -> None:
    opened = (
        f"{day} {15 - hours if hours == 3 else {'03': '14', '04': '13', '10': '13', '11': '14'}[day[5:7]]}:30"
    )
    opened = session_of("XNYS", utc(f"{day} 12:00")).opens.strftime("%Y-%m-%d %H:%M")
    plan = {opened: [buy("day", "BP", **limit(1.0, "day"))]}
    markets = [MARKETS["XNYS"], MARKETS["LSE"]]
    data = market_feed(markets, day, day, minutes=30)
    at, status, _ = ended(go(plan, data, backtest={"nav_calendar": "XNYS"}))["day"]
    assert (at - utc(opened), status) == (dt.timedelta(hours=hours), "expired")


@pytest.mark.parametrize("days", [("2024-03-09", "2024-03-11"), ("2024-11-02", "2024-11-04")])
def test_a_market_of_utc_days_does_not_notice(go: Go, days: tuple[str, str]) -> None:
    results = go(
        {f"{days[0]} 20:00": [buy("day", "BTC", **limit(1.0, "day"))]}, market_feed([MARKETS[NIGHT]], *days)
    )
    midnight = utc(f"{days[0]} 00:00") + dt.timedelta(days=1)
    assert ended(results)["day"] == (midnight, "expired", "SESSION_CLOSED")
    assert [at for _, at, _ in closes(results)] == [midnight + dt.timedelta(days=n) for n in range(3)]
