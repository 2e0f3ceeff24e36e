"""Half days: what ends early ends early, at its own venue only."""

from __future__ import annotations

import datetime as dt

import pytest

from ml4t.backtest import schedule

from .conftest import Go
from .helpers import (
    HOUR,
    Dated,
    Made,
    Market,
    buy,
    closes,
    done,
    ended,
    expired,
    filled,
    future,
    limit,
    market_feed,
    postings,
    sell,
    session_of,
    share,
    utc,
)

PRICES = {"XNYS": 100.0, "LSE": 50.0, "ASX": 40.0, "JPX": 20.0}
RICH = {"initial_cash": 10_000_000}
BTC = Market(share("BTC", "24/7"), 600.0, 0.01)
# A day that ends early: its opening and its close in UTC, and the next opening.
HALVES = [
    ("XNYS", "2024-11-29 14:30", "2024-11-29 18:00", "2024-12-02 14:30"),  # the day after Thanksgiving
    ("XNYS", "2024-07-03 13:30", "2024-07-03 17:00", "2024-07-05 13:30"),  # in summer time
    ("XNYS", "2024-12-24 14:30", "2024-12-24 18:00", "2024-12-26 14:30"),  # Christmas Eve
    ("LSE", "2024-12-24 08:00", "2024-12-24 12:30", "2024-12-27 08:00"),
    ("ASX", "2024-12-23 23:00", "2024-12-24 03:10", "2024-12-26 23:00"),
    ("CME_Equity", "2024-11-27 23:00", "2024-11-28 18:00", "2024-11-28 23:00"),
    ("CME_Equity", "2024-12-23 23:00", "2024-12-24 18:00", "2024-12-25 23:00"),
    ("CME_Equity", "2024-03-28 22:00", "2024-03-29 13:15", "2024-03-31 22:00"),  # Good Friday
]


def venue(calendar: str, step: float = 0.0) -> Market:
    if calendar == "CME_Equity":
        return Market(future(), 5000.0, step)
    return Market(share("X", calendar), PRICES[calendar], step)


def around(at: str) -> tuple[str, str]:
    day = utc(at).date()
    return str(day - dt.timedelta(days=2)), str(day + dt.timedelta(days=6))


@pytest.mark.parametrize(("calendar", "opens", "closed", "after"), HALVES)
def test_orders_of_a_half_day_end_with_it(go: Go, calendar: str, opens: str, closed: str, after: str) -> None:
    session = session_of(calendar, utc(opens))
    assert (session.opens, session.closes) == (utc(opens), utc(closed))
    market = venue(calendar)
    symbol = market.instrument.symbol
    data = market_feed([market, BTC], *around(opens))
    first = (utc(opens) + HOUR).replace(minute=0).strftime("%Y-%m-%d %H:%M")
    last = utc(closed).replace(minute=0).strftime("%Y-%m-%d %H:%M")
    late = (utc(closed) + HOUR).replace(minute=0).strftime("%Y-%m-%d %H:%M")
    plan = {
        first: [
            buy("day", symbol, **limit(1.0, "day")),
            buy("close", symbol, time_in_force="cls"),
            buy("gtc", symbol, **limit(1.0)),
            buy("to the label", symbol, **limit(1.0, "gtd"), expire_at=session.label),
        ],
        # Where the half day ends at a full hour this is its very close.
        **({last: [buy("at the last hour", symbol, time_in_force="day")]} if last != first else {}),
        late: [buy("late", symbol), buy("late for the open", symbol, time_in_force="opg")],
    }
    ends = ended(go(plan, data, backtest={"nav_calendar": calendar}, broker=RICH))
    assert ends["day"] == expired(closed)
    assert ends["close"] == done(closed)
    assert ends["to the label"] == expired(closed, "TIME_EXPIRED")
    assert ends["gtc"][1:] == ("canceled", "END_OF_DATA")
    assert ends["late"] == ends["late for the open"] == done(after)
    if last == closed:
        # What is sent at the close belongs to the next session.
        assert ends["at the last hour"] == done(after)


@pytest.mark.parametrize(("calendar", "opens", "closed", "after"), HALVES)
def test_nav_of_a_half_day_is_struck_when_it_ends(
    go: Go, calendar: str, opens: str, closed: str, after: str
) -> None:
    market = venue(calendar, 0.25)
    symbol = market.instrument.symbol
    results = go(
        {(utc(opens) - HOUR).replace(minute=0).strftime("%Y-%m-%d %H:%M"): [buy("a", symbol)]},
        market_feed([market, BTC], *around(opens)),
        backtest={"nav_calendar": calendar},
        broker=RICH,
    )
    label = session_of(calendar, utc(opens)).label
    struck = {each: (at, equity) for each, at, equity in closes(results)}
    (_, bought, _), *_ = filled(results)
    bars = -(-(utc(closed) - utc(opens)) // HOUR)
    units = 50 if calendar == "CME_Equity" else 1
    assert bought == utc(opens)
    assert struck[label][0] == utc(closed)
    assert struck[label][1] == pytest.approx(10_000_000 + units * bars * 0.25)
    assert utc(after) > utc(closed)


def test_christmas_eve_of_four_venues_in_one_run(go: Go) -> None:
    markets = [
        venue("XNYS"),
        Market(share("BP", "LSE"), 50.0),
        venue("CME_Equity"),
        Market(share("TYO", "JPX"), 20.0),
    ]
    markets += [BTC, Market(share("BHP", "ASX"), 40.0)]
    plan = {
        "2024-12-23 22:00": [
            buy(symbol, symbol, **limit(1.0, "day")) for symbol in ("X", "BP", "FUT", "TYO", "BHP", "BTC")
        ],
        "2024-12-24 20:00": [
            buy(f"{symbol} later", symbol, **limit(1.0, "day"))
            for symbol in ("X", "BP", "FUT", "TYO", "BHP", "BTC")
        ],
    }
    results = go(plan, market_feed(markets, "2024-12-20", "2024-12-27"), backtest={"nav_calendar": "XNYS"})
    assert ended(results) == {
        "BTC": expired("2024-12-24 00:00"),
        "BHP": expired("2024-12-24 03:10"),
        "TYO": expired("2024-12-24 06:30"),
        "BP": expired("2024-12-24 12:30"),
        "X": expired("2024-12-24 18:00"),
        "FUT": expired("2024-12-24 18:00"),
        # Tokyo works on Christmas Day, New York and CME on the 26th, the others on the 27th.
        "BTC later": expired("2024-12-25 00:00"),
        "TYO later": expired("2024-12-25 06:30"),
        "X later": expired("2024-12-26 21:00"),
        "FUT later": expired("2024-12-26 22:00"),
        "BHP later": expired("2024-12-27 05:10"),
        "BP later": expired("2024-12-27 16:30"),
    }
    assert [str(label) for label, _, _ in closes(results)] == [
        "2024-12-20",
        "2024-12-23",
        "2024-12-24",
        "2024-12-26",
        "2024-12-27",
    ]


def test_futures_of_a_half_day_are_settled_when_it_ends(go: Go) -> None:
    plan = {"2024-11-28 12:00": [buy("a", "FUT", 2)], "2024-11-29 12:00": [sell("b", "FUT", 2)]}
    data = market_feed([venue("CME_Equity", 0.25), BTC], "2024-11-27", "2024-12-02")
    results = go(plan, data, backtest={"nav_calendar": "CME_Equity"}, broker=RICH)
    # 12:00 to 18:00 are six bars of 0.25, and 50 dollars a point for each of two.
    assert postings(results, "variation_margin") == [(utc("2024-11-28 18:00"), "FUT", 150.0)]
    # 23:00 to 12:00 are thirteen.
    assert postings(results, "realized") == [(utc("2024-11-29 12:00"), "FUT", 325.0)]


class Timed(Dated):
    """Notes when timers around the session of the NAV calendar go off, and the daily close."""

    def __init__(self, noted: list[tuple[str, Made]]) -> None:
        super().__init__({})
        self.noted = noted

    def on_start(self) -> None:
        self.schedule(lambda: self.note("open"), rule=schedule.session_open("30m"))
        self.schedule(lambda: self.note("close"), rule=schedule.session_close("-30m"))

    def note(self, name: str) -> None:
        self.noted.append((name, self.data.timestamp.datetime))

    def on_daily_close(self) -> None:
        self.note("nav")


def test_timers_know_that_the_day_is_half(engine: Made) -> None:
    data = market_feed([venue("XNYS"), BTC], "2024-11-27", "2024-12-02", minutes=30)
    noted: list[tuple[str, Made]] = []
    engine(lambda: Timed(noted), data, backtest={"nav_calendar": "XNYS"}).run()
    friday = [(name, at) for name, at in noted if at.date() == dt.date(2024, 11, 29)]
    assert friday == [
        ("open", utc("2024-11-29 15:00")),
        ("close", utc("2024-11-29 17:30")),
        ("nav", utc("2024-11-29 18:00")),
    ]
    assert not [at for _, at in noted if at.date() == dt.date(2024, 11, 28)]
