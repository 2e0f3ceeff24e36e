"""Rules that set when predictions arrive.

Opens and closes are those of the New York Stock Exchange, 09:30 and 16:00 New York (13:30 and 20:00 UTC in
summer, 14:30 and 21:00 UTC in winter); 3 July 2012 closed at 13:00, 4 July 2012 was a holiday. Clocks went
forward on Sunday 11 March 2012 and back on Sunday 4 November 2012.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import Instrument, Strategy, run
from ml4t.backtest.calendars import SessionTable, session_table
from ml4t.backtest.data import DataFeed, Signals, SignalTable, assemble
from ml4t.backtest.data.embargo import UNKNOWN, Embargo, draw_ns, opens_after, times_of_day
from ml4t.backtest.latency import Drawn
from ml4t.core.errors import DataError

NsOf = Callable[[str], int]
NEW_YORK = ZoneInfo("America/New_York")
SECOND = 10**9


def daily(first: str, last: str, calendar: str = "XNYS") -> DataFeed:
    """Bars of IBM and MSFT; the open of a session is 100 more than its day of the month."""
    labels = session_table(calendar, dt.date.fromisoformat(first), dt.date.fromisoformat(last)).frame["label"]
    level = pl.col("session").dt.day().cast(pl.Float64) + 100
    bars = pl.DataFrame({"session": labels}).join(pl.DataFrame({"symbol": ["IBM", "MSFT"]}), how="cross")
    bars = bars.with_columns(open=level, high=level + 1, low=level, close=level + 0.5)
    return DataFeed(bars, stamp="session", instrument_defaults={"calendar": calendar})


def scores(*events: str, **columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    stamps = [dt.datetime.fromisoformat(event).astimezone(dt.UTC) for event in events]
    base = {"ts_event": stamps, "asset_id": "IBM", "score": [float(k + 1) for k in range(len(events))]}
    return pl.DataFrame({**base, **columns})


def table(feed: DataFeed, signals: object) -> SignalTable:
    found = assemble(feed, signals=signals).signals
    assert found is not None
    return found


def arrival(feed: DataFeed, event: str, **rules: Any) -> int:  # noqa: ANN401 - rules as users write them
    found: int = table(feed, Signals(scores(event), **rules)).frame["ts_arrival"][0]
    return found


@pytest.mark.parametrize(
    ("embargo", "event", "expected"),
    [
        # The next open.
        ("next_open", "2012-06-25T16:00-04:00", "2012-06-26T09:30-04:00"),
        ("next_open", "2012-06-25T11:00-04:00", "2012-06-26T09:30-04:00"),
        ("next_open", "2012-06-25T20:00-04:00", "2012-06-26T09:30-04:00"),
        ("next_open", "2012-06-26T08:00-04:00", "2012-06-26T09:30-04:00"),
        # What is stamped with the open may have read its price.
        ("next_open", "2012-06-26T09:30-04:00", "2012-06-27T09:30-04:00"),
        # From Friday to Monday.
        ("next_open", "2012-06-29T16:00-04:00", "2012-07-02T09:30-04:00"),
        # From an early close over a holiday.
        ("next_open", "2012-07-03T13:00-04:00", "2012-07-05T09:30-04:00"),
        # Over the changes of clocks: 09:30 is 13:30 UTC after the first, 14:30 UTC after the second.
        ("next_open", "2012-03-09T16:00-05:00", "2012-03-12T13:30+00:00"),
        ("next_open", "2012-11-02T16:00-04:00", "2012-11-05T14:30+00:00"),
        # Several sessions.
        ("1 session", "2012-06-25T16:00-04:00", "2012-06-26T09:30-04:00"),
        ("2 sessions", "2012-06-25T16:00-04:00", "2012-06-27T09:30-04:00"),
        ("2 sessions", "2012-07-02T16:00-04:00", "2012-07-05T09:30-04:00"),
        ("5 sessions", "2012-06-29T16:00-04:00", "2012-07-09T09:30-04:00"),
        # A time of day.
        ("10:00", "2012-06-25T16:00-04:00", "2012-06-26T10:00-04:00"),
        ("10:00", "2012-06-26T08:00-04:00", "2012-06-26T10:00-04:00"),
        ("10:00", "2012-06-26T10:00-04:00", "2012-06-26T10:00-04:00"),
        ("10:00", "2012-06-26T10:00:01-04:00", "2012-06-27T10:00-04:00"),
        ("10:00", "2012-06-29T16:00-04:00", "2012-07-02T10:00-04:00"),
        ("10:00", "2012-03-09T16:00-05:00", "2012-03-12T14:00+00:00"),
        # After an early close; the next day is a holiday.
        ("15:00", "2012-07-03T13:00-04:00", "2012-07-03T15:00-04:00"),
        ("10:00", "2012-07-03T13:00-04:00", "2012-07-05T10:00-04:00"),
        (dt.time(10, 0), "2012-06-25T16:00-04:00", "2012-06-26T10:00-04:00"),
        ("09:45:30", "2012-06-25T16:00-04:00", "2012-06-26T09:45:30-04:00"),
    ],
)
def test_a_score_is_held_back_on_the_calendar(
    embargo: str | dt.time, event: str, expected: str, ns: NsOf
) -> None:
    feed = daily(event[:8] + "01", (dt.date.fromisoformat(event[:10]) + dt.timedelta(days=20)).isoformat())
    assert arrival(feed, event, embargo=embargo) == ns(expected)


def test_a_score_of_a_session_is_held_back_from_its_close(ns: NsOf) -> None:
    dated = pl.DataFrame({"date": [dt.date(2012, 7, 3)], "symbol": ["IBM"], "score": [1.0]})
    found = table(daily("2012-07-02", "2012-07-09"), Signals(dated, stamp="session", embargo="next_open"))
    assert found.frame.select("ts_event", "ts_arrival").row(0) == (
        ns("2012-07-03T13:00-04:00"),
        ns("2012-07-05T09:30-04:00"),
    )


def test_where_a_session_opens_at_the_close_of_the_one_before_that_is_the_next_open(ns: NsOf) -> None:
    feed = daily("2012-07-01", "2012-07-09", "24/7")
    assert arrival(feed, "2012-07-03T00:00Z", embargo="next_open") == ns("2012-07-03T00:00+00:00")
    assert arrival(feed, "2012-07-03T00:00Z", embargo="2 sessions") == ns("2012-07-04T00:00+00:00")
    assert arrival(feed, "2012-07-03T00:01Z", embargo="next_open") == ns("2012-07-04T00:00+00:00")


def test_a_time_of_day_after_the_close_is_on_the_evening_before_where_the_session_is_open_then(
    ns: NsOf,
) -> None:
    # A session of fx_24_5 goes from 17:00 New York on the evening before to 17:00 on its date.
    sessions = session_table("fx_24_5", dt.date(2012, 7, 2), dt.date(2012, 7, 3))
    evenings = times_of_day(sessions, dt.time(20)).tolist()
    assert evenings == [ns("2012-07-01T20:00-04:00"), ns("2012-07-02T20:00-04:00")]
    noons = times_of_day(sessions, dt.time(12)).tolist()
    assert noons == [ns("2012-07-02T12:00-04:00"), ns("2012-07-03T12:00-04:00")]


CALENDARS = ["XNYS", "24/7", "fx_24_5", "CME_Equity", "XTKS"]


def instants_around(sessions: SessionTable, rng: np.random.Generator) -> list[int]:
    """Random instants, and each open and close with its neighbours."""
    opens, closes = (sessions.frame[name].to_list() for name in ("open_ns", "close_ns"))
    near = [edge + step for edge in opens + closes for step in (-1, 0, 1)]
    drawn = rng.integers(opens[0], closes[-1], 200).tolist()
    return [at for at in near + drawn if opens[0] <= at]


@pytest.mark.parametrize("name", CALENDARS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_open_after_an_instant_is_that_of_a_search_by_hand(
    name: str, count: int, rng: np.random.Generator
) -> None:
    sessions = session_table(name, dt.date(2012, 10, 1), dt.date(2012, 11, 30))
    rows = sessions.sessions(dt.date(2012, 10, 1), dt.date(2012, 11, 30))
    found = instants_around(sessions, rng)
    expected = []
    for at in found:
        is_a_close = any(closed == at for _, _, closed in rows)
        later = [opened for _, opened, _ in rows if opened > at or (opened == at and is_a_close)]
        expected.append(later[count - 1] if len(later) >= count else UNKNOWN)
    assert opens_after(np.array(found), sessions, count).tolist() == expected
    assert UNKNOWN in expected


@pytest.mark.parametrize("name", CALENDARS)
@pytest.mark.parametrize("time", [dt.time(0), dt.time(1, 30), dt.time(10), dt.time(16, 30), dt.time(20)])
def test_the_time_of_day_after_an_instant_is_that_of_a_search_by_hand(
    name: str, time: dt.time, rng: np.random.Generator
) -> None:
    sessions = session_table(name, dt.date(2012, 10, 1), dt.date(2012, 11, 30))
    marks = times_of_day(sessions, time).tolist()
    assert marks == sorted(marks)
    zone = ZoneInfo(sessions.timezone)
    for at, (label, opened, closed) in zip(marks, sessions.frame.iter_rows(), strict=True):
        local = dt.datetime.fromtimestamp(at // SECOND, tz=zone)
        assert local.time() == time
        is_own, is_evening = local.date() == label, local.date() == label - dt.timedelta(days=1)
        assert is_own or (is_evening and opened <= at <= closed)
    found = instants_around(sessions, rng)
    expected = [min((mark for mark in marks if mark >= at), default=UNKNOWN) for at in found]
    assert Embargo.parse(time).until(np.array(found), sessions).tolist() == expected


def test_a_local_time_that_clocks_skip_or_repeat_counts_from_the_offset_before(ns: NsOf) -> None:
    # Sundays of the 24-hour week of a calendar in New York: 02:30 is not there, 01:30 is there twice.
    def night(text: str, time: dt.time) -> list[int]:
        day = dt.date.fromisoformat(text)
        frame = pl.DataFrame({"label": [day], "open_ns": [ns(f"{text}T04:00+00:00")]})
        frame = frame.with_columns(close_ns=pl.col("open_ns") + 24 * 3600 * SECOND)
        return times_of_day(SessionTable(name="n", timezone="America/New_York", frame=frame), time).tolist()

    assert night("2012-03-11", dt.time(2, 30)) == [ns("2012-03-11T02:30-05:00")]
    assert night("2012-11-04", dt.time(1, 30)) == [ns("2012-11-04T01:30-04:00")]


def test_instruments_are_held_back_by_their_own_calendars(ns: NsOf) -> None:
    shares = DataFeed(daily("2012-07-02", "2012-07-09").prices, stamp="session", symbols=["IBM"])
    coins = daily("2012-07-02", "2012-07-09", "24/7")
    coin = Instrument("MSFT", calendar="24/7")
    coins = DataFeed(coins.prices, name="coins", stamp="session", symbols=["MSFT"], instruments=[coin])
    stamped = scores(*["2012-07-06T16:00-04:00"] * 2, asset_id=["IBM", "MSFT"])
    data = assemble(
        [shares, coins],
        signals=Signals(stamped, embargo="next_open"),
        nav_calendar="XNYS",
        instruments=[coin],
    )
    assert data.signals is not None
    found = data.signals.frame.sort("instrument")["ts_arrival"].to_list()
    assert found == [ns("2012-07-09T09:30-04:00"), ns("2012-07-07T00:00+00:00")]


# Latency ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", ["90s", "1m30s", dt.timedelta(seconds=90)])
def test_a_latency_counts_from_the_event(latency: str | dt.timedelta, ns: NsOf) -> None:
    feed = daily("2012-07-02", "2012-07-09")
    found = arrival(feed, "2012-07-02T16:00-04:00", latency=latency)
    assert found == ns("2012-07-02T16:01:30-04:00")


def test_the_latest_of_arrival_latency_and_embargo_counts(ns: NsOf) -> None:
    feed, event = daily("2012-07-02", "2012-07-09"), "2012-07-02T16:00-04:00"
    late = dt.datetime.fromisoformat("2012-07-03T09:45-04:00").astimezone(dt.UTC)
    given = scores(event, ts_arrival=[late])
    for rules, expected in (
        ({"embargo": "next_open"}, "2012-07-03T09:45-04:00"),
        ({"embargo": "2 sessions"}, "2012-07-05T09:30-04:00"),
        ({"latency": "5m"}, "2012-07-03T09:45-04:00"),
        ({"latency": "18h"}, "2012-07-03T10:00-04:00"),
        ({"latency": "18h", "embargo": "2 sessions"}, "2012-07-05T09:30-04:00"),
        ({"latency": "72h", "embargo": "2 sessions"}, "2012-07-05T16:00-04:00"),
    ):
        found = table(feed, Signals(given, **rules))  # type: ignore[arg-type]
        assert found.frame["ts_arrival"][0] == ns(expected), rules


def drawn(count: int = 400) -> pl.DataFrame:
    start = dt.datetime(2012, 7, 2, 14, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(seconds=k) for k in range(count)]
    symbols = ["IBM", "MSFT"] * (count // 2)
    return pl.DataFrame({"ts_event": stamps, "asset_id": symbols, "score": [0.5] * count, "model_id": "m"})


LATENCY = Drawn(distribution="uniform", low="10s", high="20s")


def waits(found: SignalTable) -> list[int]:
    frame = found.frame.sort("ts_event")
    return (frame["ts_arrival"] - frame["ts_event"]).to_list()


def test_what_is_drawn_lies_in_its_distribution() -> None:
    found = waits(table(daily("2012-07-02", "2012-07-09"), Signals(drawn(), latency=LATENCY)))
    assert all(10 * SECOND <= wait < 20 * SECOND for wait in found)
    # The mean of 400 draws of a width of 10 s has a standard error of 10 / sqrt(12 * 400) = 0.144 s.
    assert abs(np.mean(found) - 15 * SECOND) < 4 * 0.144 * SECOND
    assert len(set(found)) == len(found)


def test_what_is_drawn_depends_on_neither_order_nor_other_rows(rng: np.random.Generator) -> None:
    feed, frame = daily("2012-07-02", "2012-07-09"), drawn()
    found = table(feed, Signals(frame, latency=LATENCY)).frame
    assert_frame_equal(table(feed, Signals(frame[rng.permutation(400)], latency=LATENCY)).frame, found)
    half = table(feed, Signals(frame.filter(pl.col("asset_id") == "MSFT"), latency=LATENCY)).frame
    assert_frame_equal(half, found.filter(pl.col("instrument") == 1))


def test_what_is_drawn_depends_on_seed_model_symbol_and_event() -> None:
    key = {"seed": 1, "model": "m", "symbol": "IBM", "ts_event": 10**18}
    changes = [{}, {"seed": 2}, {"model": "n"}, {"symbol": "MSFT"}, {"ts_event": 10**18 + 1}]
    changes.append({"model": "m:3", "symbol": "IBM"})
    found = [draw_ns(LATENCY.quantiles_ns, **{**key, **change}) for change in changes]  # type: ignore[arg-type]
    assert len(set(found)) == len(found)
    assert found[0] == draw_ns(LATENCY.quantiles_ns, **key)  # type: ignore[arg-type]
    # Platforms and versions draw the same: `b2sum -l 64` of "1:1:m:3:IBM:1000000000000000000" is
    # 0d44ce40bff5b4f8, and its first 53 bits say how much of the 10 s between the two.
    assert found[0] == 10 * SECOND + (0x0D44CE40BFF5B4F8 >> 11) * 10 * SECOND // 2**53


def test_a_seed_changes_what_is_drawn_and_a_table_is_a_distribution() -> None:
    feed, frame = daily("2012-07-02", "2012-07-09"), drawn()
    one = table(feed, Signals(frame, latency=LATENCY)).frame
    other = table(feed, Signals(frame, latency=LATENCY, seed=1)).frame
    assert not one.equals(other)
    written = {"distribution": "uniform", "low": "10s", "high": "20s"}
    assert_frame_equal(table(feed, Signals(frame, latency=written)).frame, one)


# Held back together -------------------------------------------------------------------------------


def test_what_is_held_back_until_one_instant_is_in_the_order_of_the_events() -> None:
    # The later score of the day is the one that is read at the open, whatever the order of the rows.
    given = scores("2012-07-02T15:00-04:00", "2012-07-02T11:00-04:00", "2012-07-02T16:00-04:00")
    found = table(daily("2012-07-02", "2012-07-09"), Signals(given, embargo="next_open"))
    assert found.frame["score"].to_list() == [2.0, 1.0, 3.0]
    assert found.frame["ts_arrival"].n_unique() == 1


def test_of_revisions_that_are_held_back_together_the_last_is_left() -> None:
    revisions = scores(
        *["2012-07-02T16:00-04:00"] * 3,
        ts_arrival=[dt.datetime(2012, 7, day, 21, tzinfo=dt.UTC) for day in (2, 2, 5)],
    ).with_columns(pl.col("ts_arrival") + pl.Series([dt.timedelta(minutes=m) for m in (30, 5, 0)]))
    feed = daily("2012-07-02", "2012-07-09")
    found = table(feed, Signals(revisions, embargo="next_open"))
    assert found.frame["score"].to_list() == [1.0, 3.0]
    with pytest.raises(DataError, match="arrives twice at 2012-07-03T13:30:00Z"):
        table(feed, Signals(pl.concat([revisions, revisions[:1]]), embargo="next_open"))


# Trading at the open ------------------------------------------------------------------------------


class BuysOnScore(Strategy):
    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - the event of the engine
        self.broker.submit_order(event.asset, 1)


@pytest.mark.parametrize(
    ("event", "session"),
    [
        ("2012-06-29T16:00-04:00", "2012-07-02"),  # Friday to Monday
        ("2012-07-03T13:00-04:00", "2012-07-05"),  # an early close, then a holiday
        ("2012-07-02T16:00-04:00", "2012-07-03"),  # to a session that closes early
        ("2012-03-09T16:00-05:00", "2012-03-12"),  # clocks go forward
        ("2012-11-02T16:00-04:00", "2012-11-05"),  # clocks go back
    ],
)
def test_a_score_that_arrives_at_an_open_trades_at_that_open(event: str, session: str) -> None:
    day = dt.date.fromisoformat(session)
    feed = daily((day - dt.timedelta(days=10)).isoformat(), (day + dt.timedelta(days=10)).isoformat())
    results = run(BuysOnScore, feed, signals=Signals(scores(event), embargo="next_open"))
    opened = dt.datetime.combine(day, dt.time(9, 30), tzinfo=NEW_YORK)
    assert results.orders["ts_submitted"].to_list() == [opened]
    assert results.fills["ts_event"].to_list() == [opened]
    assert results.fills["price"].cast(pl.Float64).to_list() == [100.0 + day.day]


def test_without_an_embargo_the_close_is_known_before_that_open_and_trades_there_too() -> None:
    feed = daily("2012-06-25", "2012-07-09")
    plain = run(BuysOnScore, feed, signals=scores("2012-06-29T16:00-04:00"))
    held = run(BuysOnScore, feed, signals=Signals(scores("2012-06-29T16:00-04:00"), embargo="2 sessions"))
    assert plain.fills["price"].cast(pl.Float64).to_list() == [102.0]
    assert held.fills["price"].cast(pl.Float64).to_list() == [103.0]


# Ends of calendars --------------------------------------------------------------------------------


def test_scores_far_before_the_data_are_held_back_by_sessions_of_their_own_time(ns: NsOf) -> None:
    feed = daily("2012-07-02", "2012-07-09")
    found = table(feed, Signals(scores("2005-03-11T16:00-05:00"), embargo="2 sessions"))
    assert found.frame["ts_arrival"].to_list() == [ns("2005-03-15T09:30-05:00")]


def test_scores_of_the_last_close_are_held_back_beyond_the_data(ns: NsOf) -> None:
    feed = daily("2012-07-02", "2012-07-09")
    found = table(feed, Signals(scores("2012-07-09T16:00-04:00"), embargo="60 sessions"))
    # The 60th session after 9 July 2012: 16 more in July, 23 in August, 19 in September, 2 in October.
    assert found.frame["ts_arrival"].to_list() == [ns("2012-10-02T09:30-04:00")]


@pytest.mark.parametrize("event", ["2012-06-29T16:00-04:00", "2012-07-09T16:00-04:00"])
def test_a_calendar_that_is_not_known_far_enough_is_refused(event: str) -> None:
    week = session_table("XNYS", dt.date(2012, 7, 2), dt.date(2012, 7, 9))
    short = SessionTable(name="short", timezone=week.timezone, frame=week.frame)
    feed = DataFeed(
        daily("2012-07-02", "2012-07-09").prices, stamp="session", instrument_defaults={"calendar": "short"}
    )
    given = Signals(scores("2012-07-03T16:00-04:00", event), embargo="next_open", model_id="xgb")
    utc = dt.datetime.fromisoformat(event).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fault = (
        rf"row 1: signal xgb of IBM at {utc}: the embargo 'next_open' needs the sessions around it, and "
        r"calendar short is known from 2012-07-02 to 2012-07-09; drop the row"
    )
    with pytest.raises(DataError, match=fault):
        assemble(feed, signals=given, calendars=[short])


def test_an_empty_calendar_knows_no_open() -> None:
    none = session_table("XNYS", dt.date(2012, 7, 4), dt.date(2012, 7, 4))
    instants = np.array([10**18])
    assert opens_after(instants, none, 1).tolist() == [UNKNOWN]
    assert Embargo.parse("10:00").until(instants, none).tolist() == [UNKNOWN]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        (
            {"embargo": "tomorrow"},
            "signals alpha: embargo 'tomorrow' is not known; it is 'next_open', a number",
        ),
        ({"embargo": "0 sessions"}, "embargo '0 sessions' is not known"),
        ({"embargo": "25:00"}, "embargo '25:00' is not known"),
        ({"embargo": dt.time(10, tzinfo=dt.UTC)}, "embargo datetime.time"),
        ({"embargo": 2}, "embargo 2 is not known"),
        ({"latency": "-5m"}, "latency -5m is below zero"),
        ({"latency": dt.timedelta(seconds=-1)}, "latency -1s is below zero"),
        ({"latency": "soon"}, "latency: expected a duration .* or a distribution"),
        ({"latency": 5}, "latency: expected a duration"),
        ({"latency": {"distribution": "uniform", "low": "5s"}}, "latency: high: required of uniform"),
        ({"seed": -1}, "seed -1 is not a whole number"),
        ({"seed": True}, "seed True is not a whole number"),
    ],
)
def test_a_rule_that_is_none_is_refused_where_it_is_declared(rules: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        Signals(scores("2012-07-02T16:00-04:00"), name="alpha", **rules)


def test_an_arrival_beyond_64_bits_is_refused_by_row() -> None:
    given = Signals(scores("2012-07-02T16:00-04:00"), latency="91310d")
    with pytest.raises(DataError, match="row 0: signal score of IBM at 2012-07-02T20:00:00Z: 64-bit ns end"):
        table(daily("2012-07-02", "2012-07-09"), given)


def test_a_rule_does_not_excuse_an_arrival_before_its_event() -> None:
    early = scores("2012-07-02T16:00-04:00", ts_arrival=[dt.datetime(2012, 7, 2, 19, tzinfo=dt.UTC)])
    with pytest.raises(DataError, match="before its ts_event"):
        table(daily("2012-07-02", "2012-07-09"), Signals(early, embargo="next_open"))
