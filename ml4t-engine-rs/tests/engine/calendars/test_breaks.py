"""The lunch of Tokyo, the maintenance of CME, and the pause that CME had before it until 2021."""

from __future__ import annotations

import pytest

from .conftest import Go
from .helpers import (
    End,
    Made,
    Market,
    Step,
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
    quotes,
    sell,
    session_of,
    share,
    stop,
    utc,
)

BTC = Market(share("BTC", "24/7"), 600.0)
DAY = ("2024-11-06", "2024-11-08")
# Tokyo on the 7th: 00:00 to 02:30 and 03:30 to 06:30. The afternoon opens lower and falls.
TOKYO = Market(
    share("TYO", "JPX"),
    20.0,
    moves={
        "2024-11-07 03:30": {"open": 18.0, "high": 18.5, "low": 17.5, "close": 18.0},
        "2024-11-07 05:00": {"low": 15.0},
        "2024-11-08 01:00": {"low": 12.0},
    },
)
CHICAGO = Market(
    future(settlement="upfront", multiplier=1),
    500.0,
    moves={"2024-11-07 23:00": {"open": 480.0, "high": 481.0, "low": 470.0, "close": 480.0}},
)
LIVES = ["2024-11-07 02:30", "2024-11-07 03:00"]  # the end of the morning, and the middle of lunch


def lunch(go: Go, sent: str, *steps: Step, **parts: Made) -> dict[str, End]:
    data = market_feed([TOKYO, BTC], *DAY, minutes=30)
    return ended(go({sent: steps}, data, backtest={"nav_calendar": "JPX"}, **parts))


@pytest.mark.parametrize("sent", LIVES)
def test_orders_at_lunch_wait_for_the_afternoon(go: Go, sent: str) -> None:
    ends = lunch(
        go,
        sent,
        buy("market", "TYO"),
        buy("at once", "TYO", time_in_force="ioc"),
        buy("at once or not", "TYO", **limit(17.0, "ioc")),
        buy("gap", "TYO", **limit(19.0)),
        buy("reached", "TYO", **limit(15.5, "day")),
        buy("kept", "TYO", **limit(12.5)),
        buy("day", "TYO", **limit(12.5, "day")),
        buy("close", "TYO", time_in_force="cls"),
        buy("open", "TYO", time_in_force="opg"),
        buy("never", "TYO", **limit(1.0)),
    )
    assert ends == {
        "market": done("2024-11-07 03:30"),
        "at once": done("2024-11-07 03:30"),
        "at once or not": (utc("2024-11-07 03:30"), "canceled", "NOT_FILLED_AT_ONCE"),
        "gap": done("2024-11-07 03:30"),
        "reached": done("2024-11-07 05:30"),
        # Lunch ends no session: the afternoon's close does, and opening orders are of the next morning.
        "day": expired("2024-11-07 06:30"),
        "close": done("2024-11-07 06:30"),
        "open": done("2024-11-08 00:00"),
        "kept": done("2024-11-08 01:30"),
        "never": (utc("2024-11-09 00:00"), "canceled", "END_OF_DATA"),
    }


def test_orders_of_the_morning_survive_lunch(go: Go) -> None:
    ends = lunch(
        go,
        "2024-11-07 01:00",
        buy("held", "TYO", 10),
        sell("stop", "TYO", 5, **stop(19.0)),
        buy("reached", "TYO", **limit(15.5, "day")),
        buy("day", "TYO", **limit(12.5, "day")),
        sell("day stop", "TYO", 2, **stop(15.0, "day")),
        broker={"allows_short": True, "leverage": 2},
    )
    assert ends["held"] == done("2024-11-07 01:00")
    assert ends["stop"] == done("2024-11-07 03:30")
    assert ends["reached"] == ends["day stop"] == done("2024-11-07 05:30")
    assert ends["day"] == expired("2024-11-07 06:30")


def test_the_gap_over_lunch_decides_stops_and_limits(go: Go) -> None:
    data = market_feed([TOKYO, BTC], *DAY, minutes=30)
    plan = {
        "2024-11-07 01:00": [
            buy("held", "TYO", 10),
            sell("stop", "TYO", 5, **stop(19.0)),
            buy("limit", "TYO", 5, **limit(19.25)),
        ]
    }
    results = go(plan, data, backtest={"nav_calendar": "JPX"}, broker={"allows_short": True, "leverage": 2})
    assert filled(results) == [
        ("held", utc("2024-11-07 01:00"), 20.0),
        ("stop", utc("2024-11-07 03:30"), 18.0),
        ("limit", utc("2024-11-07 03:30"), 18.0),
    ]
    assert [(str(label), at) for label, at, _ in closes(results)] == [
        ("2024-11-06", utc("2024-11-06 06:30")),
        ("2024-11-07", utc("2024-11-07 06:30")),
        ("2024-11-08", utc("2024-11-08 06:30")),
    ]


def test_an_order_that_arrives_at_lunch_by_latency_waits_as_well(go: Go) -> None:
    ends = lunch(
        go,
        "2024-11-07 02:30",
        buy("market", "TYO"),
        buy("day", "TYO", **limit(12.5, "day")),
        broker={"latency": "10m"},
    )
    assert ends == {"market": done("2024-11-07 03:30"), "day": expired("2024-11-07 06:30")}


@pytest.mark.parametrize(
    ("options", "sent", "at"),
    [
        ({}, "2024-11-07 03:00", "2024-11-07 03:00"),
        ({"cuts_to_session": True}, "2024-11-07 02:30", "2024-11-07 03:30"),
    ],
)
def test_a_bar_that_begins_in_the_break_fills_at_its_own_stamp_or_where_it_is_cut(
    go: Go, options: Made, sent: str, at: str
) -> None:
    values = {"symbol": "TYO", "open": 20.0, "high": 20.5, "low": 19.5, "close": 20.0, "volume": 1e6}
    spans = [(f"2024-11-07 0{hour}:00", f"2024-11-07 0{hour + 1}:00") for hour in range(5)]
    rows = [{"ts_open": utc(begin), "ts_event": utc(end), **values} for begin, end in spans]
    data = feed(rows, [share("TYO", "JPX")], **options)
    assert filled(go({sent: [buy("a", "TYO")]}, data)) == [("a", utc(at), 20.0)]


def test_quotes_in_lunch_move_marks_and_margin_calls_but_close_nothing_until_after_it(go: Go) -> None:
    ticks = [
        ("2024-11-07 02:00", 99.9, 100.1),
        ("2024-11-07 02:10", 99.9, 100.1),
        # Half of it is lost at lunch, by a quote that nobody trades at.
        ("2024-11-07 03:00", 49.9, 50.1),
        ("2024-11-07 03:30", 59.9, 60.1),
        ("2024-11-07 06:30", 59.9, 60.1),
    ]
    broker = {
        "initial_cash": 6_000,
        "margin_model": {"type": "FixedLeverage", "leverage": 2, "maintenance": 0.25},
        "liquidation_model": {"type": "CloseAll"},
    }
    plan = {"2024-11-07 02:00": [buy("held", "TYO", 100)]}
    results = go(plan, quotes(share("TYO", "JPX"), ticks), broker=broker)
    # Equity is 6,000 - 100 x (100.1 - 50) = 990 at lunch, and 1,250 are asked for.
    calls = results.margin_calls.select("ts_event", "kind", "status").rows()
    assert calls[0][0] == utc("2024-11-07 03:00")
    assert filled(results)[0] == ("held", utc("2024-11-07 02:10"), 100.1)
    assert [(at, price) for _, at, price in filled(results)[1:]] == [(utc("2024-11-07 03:30"), 59.9)]


def test_quotes_leave_lunch_out_as_well(go: Go) -> None:
    tyo = share("TYO", "JPX")
    ticks = [
        ("2024-11-07 02:00", 19.9, 20.1),
        ("2024-11-07 02:29", 19.9, 20.1),
        ("2024-11-07 03:30", 17.9, 18.1),
        ("2024-11-07 06:29", 17.9, 18.1),
        ("2024-11-08 00:00", 18.9, 19.1),
    ]
    plan = {
        "2024-11-07 03:00": [
            buy("market", "TYO"),
            buy("gap", "TYO", **limit(19.0)),
            buy("stop", "TYO", **stop(18.0)),
            buy("day", "TYO", **limit(12.5, "day")),
            buy("close", "TYO", time_in_force="cls"),
            buy("open", "TYO", time_in_force="opg"),
        ]
    }
    feeds = [quotes(tyo, ticks), market_feed([BTC], *DAY)]
    results = go(plan, feeds, backtest={"nav_calendar": "JPX"})
    assert filled(results) == [
        ("market", utc("2024-11-07 03:30"), 18.1),
        ("gap", utc("2024-11-07 03:30"), 18.1),
        ("stop", utc("2024-11-07 03:30"), 18.1),
        ("close", utc("2024-11-07 06:30"), 18.1),
        ("open", utc("2024-11-08 00:00"), 19.1),
    ]
    assert ended(results)["day"] == expired("2024-11-07 06:30")


@pytest.mark.parametrize("sent", ["2024-11-07 22:00", "2024-11-07 22:30"])
def test_orders_in_the_maintenance_of_cme_are_of_the_next_session(go: Go, sent: str) -> None:
    data = market_feed([CHICAGO, BTC], *DAY, minutes=30)
    steps = [
        buy("market", "FUT"),
        buy("gap", "FUT", **limit(490.0)),
        buy("reached", "FUT", **limit(472.0, "day")),
        buy("day", "FUT", **limit(400.0, "day")),
        buy("open", "FUT", time_in_force="opg"),
        buy("close", "FUT", time_in_force="cls"),
        buy("at once or not", "FUT", **limit(475.0, "ioc")),
        sell("stop", "FUT", **stop(490.0)),
    ]
    results = go({sent: steps}, data, backtest={"nav_calendar": "CME_Equity"}, broker={"allows_short": True})
    assert ended(results) == {
        "market": done("2024-11-07 23:00"),
        "gap": done("2024-11-07 23:00"),
        "open": done("2024-11-07 23:00"),
        "stop": done("2024-11-07 23:00"),
        "at once or not": (utc("2024-11-07 23:00"), "canceled", "NOT_FILLED_AT_ONCE"),
        "reached": done("2024-11-07 23:30"),
        "close": done("2024-11-08 22:00"),
        "day": expired("2024-11-08 22:00"),
    }
    prices = {tag: price for tag, _, price in filled(results)}
    assert (prices["market"], prices["gap"], prices["stop"], prices["reached"]) == (
        480.0,
        480.0,
        480.0,
        472.0,
    )


def test_day_orders_of_cme_end_before_its_maintenance_and_others_outlive_it(go: Go) -> None:
    data = market_feed([CHICAGO, BTC], *DAY, minutes=30)
    plan = {
        "2024-11-06 23:00": [buy("all night", "FUT", **limit(472.0, "day"))],
        "2024-11-07 12:00": [buy("day", "FUT", **limit(472.0, "day")), buy("gtc", "FUT", **limit(472.0))],
        "2024-11-07 21:30": [
            buy("last", "FUT", **limit(472.0, "day")),
            buy("close", "FUT", time_in_force="cls"),
        ],
    }
    assert ended(go(plan, data, backtest={"nav_calendar": "XNYS"})) == {
        "all night": expired("2024-11-07 22:00"),
        "day": expired("2024-11-07 22:00"),
        "last": expired("2024-11-07 22:00"),
        "close": done("2024-11-07 22:00"),
        "gtc": done("2024-11-07 23:30"),
    }


def test_the_pause_of_a_quarter_of_an_hour_ends_no_session(go: Go) -> None:
    session = session_of("CME_Equity", utc("2020-06-10 12:00"))
    assert [utc("2020-06-10 20:15"), utc("2020-06-10 20:30")] == [session.parts[0][1], session.parts[1][0]]
    future_then = Market(future(settlement="upfront", multiplier=1), 500.0)
    data = market_feed([future_then, BTC], "2020-06-10", "2020-06-11", minutes=5)
    plan = {
        "2020-06-10 20:20": [
            buy("market", "FUT"),
            buy("day", "FUT", **limit(400.0, "day")),
            buy("close", "FUT", time_in_force="cls"),
            buy("open", "FUT", time_in_force="opg"),
        ]
    }
    assert ended(go(plan, data, backtest={"nav_calendar": "CME_Equity"})) == {
        "market": done("2020-06-10 20:30"),
        "day": expired("2020-06-10 21:00"),
        "close": done("2020-06-10 21:00"),
        "open": done("2020-06-10 22:00"),
    }


def test_tokyo_and_cme_in_one_run_with_an_order_from_the_fill_of_the_other(go: Go) -> None:
    # 03:00 is lunch in Tokyo and the middle of the night's session of CME.
    data = market_feed([TOKYO, CHICAGO, BTC], *DAY, minutes=30)
    plan = {"2024-11-07 03:00": [buy("tyo", "TYO"), buy("fut", "FUT"), buy("btc", "BTC")]}
    assert ended(go(plan, data, backtest={"nav_calendar": "CME_Equity"})) == {
        "tyo": done("2024-11-07 03:30"),
        "fut": done("2024-11-07 03:00"),
        "btc": done("2024-11-07 03:00"),
    }
