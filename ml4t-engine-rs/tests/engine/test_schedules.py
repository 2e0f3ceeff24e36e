"""Schedules: every rule fires where the published calendars put it, early closes and holidays included."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import pandas_market_calendars as mcal
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, PITData, Results, Strategy, Timestamp, schedule
from ml4t.core.errors import ConfigError, DataError, EngineStateError, StrategyError, UnknownNameError
from ml4t.core.schedule import Schedule

Build = Callable[..., DataFeed]
RunOf = Callable[..., Any]

# Independence Day, Thanksgiving and Christmas with their early closes; both changes to and from summer time.
SPANS = {
    "XNYS": ("2019-06-26", "2020-03-20"),
    "XLON": ("2019-08-14", "2020-01-08"),
    "XTKS": ("2019-12-18", "2020-03-06"),
    "CME_Equity": ("2019-06-26", "2019-08-07"),
}


@attrs.frozen
class Session:
    label: dt.date
    open: dt.datetime
    close: dt.datetime


def sessions_of(calendar: str, start: str, end: str) -> list[Session]:
    """Read sessions from the library itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = mcal.get_calendar(calendar).schedule(start, end)
    return [
        Session(day.date(), opened.to_pydatetime(), closed.to_pydatetime())
        for day, opened, closed in zip(table.index, table["market_open"], table["market_close"], strict=True)
    ]


def feed_of(sessions: Sequence[Session], calendar: str) -> DataFeed:
    rows = [
        {"symbol": "A", "session": session.label, "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0)
        for session in sessions
    ]
    return DataFeed(pl.DataFrame(rows), stamp="session", calendar=calendar)


class Keeps(Strategy):
    """Keeps the instants at which each of its schedules fires."""

    def __init__(self, rules: Sequence[Schedule]) -> None:
        self.rules = rules
        self.times: list[list[dt.datetime]] = [[] for _ in rules]

    def on_start(self) -> None:
        for number, rule in enumerate(self.rules):
            self.schedule(
                lambda number=number: self.times[number].append(self.data.timestamp.datetime), rule=rule
            )


def first_of(sessions: Iterable[Session], key: Callable[[Session], Any]) -> list[Session]:
    found: dict[Any, Session] = {}
    for session in sessions:
        found.setdefault(key(session), session)
    return list(found.values())


def week(session: Session) -> tuple[int, int]:
    return session.label.isocalendar()[:2]


def month(session: Session) -> tuple[int, int]:
    return (session.label.year, session.label.month)


Pick = Callable[[list[Session]], list[dt.datetime]]
MINUTE = dt.timedelta(minutes=1)
# What each rule means, on all sessions of the calendar around the run.
RULES: dict[str, tuple[Schedule, Pick]] = {
    "session open": (schedule.session_open(), lambda s: [x.open for x in s]),
    "half an hour after the open": (
        schedule.session_open("30m"),
        lambda s: [x.open + 30 * MINUTE for x in s],
    ),
    "before the open": (schedule.session_open("-15m"), lambda s: [x.open - 15 * MINUTE for x in s]),
    "five minutes before the close": (schedule.session_close(), lambda s: [x.close - 5 * MINUTE for x in s]),
    "at the close": (schedule.session_close("0m"), lambda s: [x.close for x in s]),
    "after the close": (schedule.session_close("1h30m"), lambda s: [x.close + 90 * MINUTE for x in s]),
    "week start": (schedule.week_start(), lambda s: [x.open for x in first_of(s, week)]),
    "week start, close": (
        schedule.week_start(at="close", offset="-10m"),
        lambda s: [x.close - 10 * MINUTE for x in first_of(s, week)],
    ),
    "week end": (schedule.week_end(), lambda s: [x.close for x in first_of(reversed(s), week)]),
    "week end, open": (
        schedule.week_end(at="open", offset="1h"),
        lambda s: [x.open + 60 * MINUTE for x in first_of(reversed(s), week)],
    ),
    "month start": (schedule.month_start(), lambda s: [x.open for x in first_of(s, month)]),
    "month start, close": (schedule.month_start(at="close"), lambda s: [x.close for x in first_of(s, month)]),
    "month end": (schedule.month_end(), lambda s: [x.close for x in first_of(reversed(s), month)]),
    "month end, before the close": (
        schedule.month_end(offset="-15m"),
        lambda s: [x.close - 15 * MINUTE for x in first_of(reversed(s), month)],
    ),
    "every hour": (
        schedule.every("1h"),
        lambda s: [
            x.open + n * 60 * MINUTE for x in s for n in range(24) if x.open + n * 60 * MINUTE < x.close
        ],
    ),
}


@pytest.mark.parametrize("calendar", SPANS)
def test_every_rule_fires_where_the_calendar_puts_it(run_of: RunOf, calendar: str) -> None:
    start, end = SPANS[calendar]
    wide = sessions_of(calendar, "2019-05-01", "2020-05-31")
    own = [session for session in wide if start <= session.label.isoformat() <= end]
    strategy = Keeps([rule for rule, _ in RULES.values()])
    run_of(strategy, feed_of(own, calendar))
    # A run lasts from the open of its first bar to the end of its last.
    first, last = own[0].open, own[-1].close
    for (name, (_, pick)), found in zip(RULES.items(), strategy.times, strict=True):
        expected = sorted(time for time in pick(wide) if first <= time <= last)
        assert len(expected) >= 1, name
        assert found == expected, name


def test_early_closes_move_what_counts_from_the_close(run_of: RunOf) -> None:
    own = sessions_of("XNYS", "2019-11-27", "2019-12-02")
    strategy = Keeps([schedule.session_close("-5m"), schedule.every("3h")])
    run_of(strategy, feed_of(own, "XNYS"))
    # Thanksgiving is a holiday, and the Friday after it ends at 13:00 New York.
    assert [f"{time:%d %H:%M}" for time in strategy.times[0]] == ["27 20:55", "29 17:55", "02 20:55"]
    assert [f"{time:%d %H:%M}" for time in strategy.times[1]][3:6] == ["29 14:30", "29 17:30", "02 14:30"]


@pytest.mark.parametrize("n", [1, 2, 5, 7])
@pytest.mark.parametrize("at", ["open", "close"])
def test_every_n_sessions_counts_from_the_first_of_the_run(run_of: RunOf, n: int, at: str) -> None:
    own = sessions_of("XNYS", "2019-12-02", "2020-01-31")
    strategy = Keeps([schedule.every_sessions(n, at=at)])
    run_of(strategy, feed_of(own, "XNYS"))
    assert strategy.times[0] == [getattr(session, at) for session in own[::n]]


@pytest.mark.parametrize("interval", ["15m", "40m", "90s", "6h30m", "7h", "1d"])
def test_an_interval_counts_from_the_open_of_each_session_while_it_is_open(
    run_of: RunOf, interval: str
) -> None:
    own = sessions_of("XNYS", "2019-12-23", "2019-12-27")
    rule = schedule.every(interval)
    strategy = Keeps([rule])
    run_of(strategy, feed_of(own, "XNYS"))
    step = dt.timedelta(microseconds=rule.interval_ns // 1_000)
    expected = []
    for session in own:
        time = session.open
        while time < session.close:
            expected.append(time)
            time += step
    assert strategy.times[0] == expected


def test_schedules_of_a_market_that_never_closes(run_of: RunOf, daily: Build) -> None:
    rules = [
        schedule.session_open(),
        schedule.session_close("0m"),
        schedule.every("8h"),
        schedule.week_start(),
    ]
    strategy = Keeps(rules)
    run_of(strategy, daily({"A": [10] * 10}))
    day = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=n) for n in range(11)]
    assert strategy.times[0] == day
    assert strategy.times[1] == day[1:]
    assert strategy.times[2] == [day[0] + dt.timedelta(hours=8 * n) for n in range(31)]
    # 1 January 2024 is a Monday.
    assert strategy.times[3] == [day[0], day[7]]


def test_the_nav_calendar_decides_where_instruments_have_several(run_of: RunOf, daily: Build) -> None:
    own = sessions_of("XNYS", "2024-01-02", "2024-01-05")
    coins = daily({"COIN": [5] * 6}, name="coins")
    for calendar, count in (("XNYS", 4), ("24/7", 6)):
        strategy = Keeps([schedule.session_close("0m")])
        run_of(strategy, [feed_of(own, "XNYS"), coins], backtest={"nav_calendar": calendar})
        assert len(strategy.times[0]) == count


# -- callbacks -------------------------------------------------------------------------------------------


def test_a_rule_without_a_callback_triggers_the_rebalance(run_of: RunOf, daily: Build) -> None:
    calls = []

    class Rebalances(Strategy):
        def on_start(self) -> None:
            self.schedule(rule=schedule.every_sessions(2, at="close"))

        def on_rebalance_trigger(self) -> None:
            calls.append(self.data.timestamp.day)
            self.broker.order_target_weights({"A": 0.5})

    results = run_of(Rebalances(), daily({"A": [10] * 6}))
    assert calls == [2, 4, 6]
    assert results.fills.height == 1


def test_the_strategy_itself_is_called_at_a_timer_between_bars(run_of: RunOf, daily: Build) -> None:
    calls = []

    class Idle(Strategy):
        def on_start(self) -> None:
            self.schedule(lambda: None, rule=schedule.session_open("12h"))

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            calls.append((timestamp.day, timestamp.hour, list(data), data["A"].fresh))

    run_of(Idle(), daily({"A": [10, 11]}))
    assert calls == [(1, 12, [], False), (2, 0, ["A"], True), (2, 12, [], False), (3, 0, ["A"], True)]


def test_an_order_of_a_timer_inside_a_bar_waits_for_the_next_open(run_of: RunOf, daily: Build) -> None:
    class Noon(Strategy):
        def on_start(self) -> None:
            self.schedule(self.trade, rule=schedule.session_open("12h"))

        def trade(self) -> None:
            if not self.broker.open_orders and not self.broker.positions:
                self.broker.buy("A", 1)

    results = run_of(Noon(), daily({"A": [10, 11, 12]}))
    assert results.fills["price"].to_list() == [11.0]


def test_callbacks_of_one_instant_come_in_the_sequence_they_were_scheduled(
    run_of: RunOf, daily: Build
) -> None:
    calls: list[str] = []

    class Three(Strategy):
        def on_start(self) -> None:
            for name in ("b", "a", "c"):
                self.schedule(lambda name=name: calls.append(name), rule=schedule.session_close("0m"))

    run_of(Three(), daily({"A": [10, 11]}))
    assert calls == ["b", "a", "c"] * 2


def test_a_schedule_made_in_a_callback_fires_from_then_on(run_of: RunOf, daily: Build) -> None:
    calls: list[int] = []

    class Later(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if timestamp.day == 3:
                self.schedule(
                    lambda: calls.append(self.data.timestamp.day), rule=schedule.session_close("0m")
                )

    run_of(Later(), daily({"A": [10] * 5}))
    assert calls == [4, 5, 6]


def test_daily_close_is_called_at_every_close_of_the_nav_calendar_with_its_nav_known(run_of: RunOf) -> None:
    own = sessions_of("XNYS", "2019-11-25", "2019-12-06")
    navs = []

    class Closes(Strategy):
        def on_daily_close(self) -> None:
            navs.append((self.data.timestamp.datetime, self.broker.get_account_value()))

    results: Results = run_of(Closes(), feed_of(own, "XNYS"))
    assert [time for time, _ in navs] == [session.close for session in own]
    history = results.portfolio_history.filter(is_nav=True)
    assert history["session"].to_list() == [session.label for session in own]
    assert history.select("ts_event", "equity").rows() == navs


def test_daily_close_comes_at_closes_without_a_row_too(run_of: RunOf, minutes: Build) -> None:
    calls = []

    class Closes(Strategy):
        def on_daily_close(self) -> None:
            calls.append(f"{self.data.timestamp:%d %H:%M}")

    # Rows of the first minutes only; the third session is the end of the data.
    run_of(Closes(), minutes(["2024-01-02", "2024-01-03", "2024-01-04"]))
    assert calls == ["02 21:00", "03 21:00"]


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: schedule.every("0m"), ConfigError),
        (lambda: schedule.every("-5m"), ConfigError),
        (lambda: schedule.every_sessions(0), ConfigError),
        (lambda: schedule.session_open("soon"), DataError),
        (lambda: schedule.month_end(at="noon"), UnknownNameError),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_a_schedule_needs_a_rule_and_a_callable(run_of: RunOf, daily: Build) -> None:
    class Wrong(Strategy):
        def on_start(self) -> None:
            with pytest.raises(StrategyError, match=r"expected a rule such as .*'month_end'"):
                self.schedule(rule="month_end")  # type: ignore[arg-type]
            with pytest.raises(StrategyError, match=r"expected a rule such as .* and a callable"):
                self.schedule("on_rebalance_trigger", rule=schedule.month_end())  # type: ignore[arg-type]

    run_of(Wrong(), daily({"A": [10]}))


def test_a_schedule_is_made_once_the_run_begins() -> None:
    class Early(Strategy):
        def __init__(self) -> None:
            self.schedule(rule=schedule.month_end())

    with pytest.raises(EngineStateError, match="move it from the constructor to on_start"):
        Early()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (schedule.every("15m"), "every 15m"),
        (schedule.session_close(), "session close -5m"),
        (schedule.every_sessions(3, at="close"), "every 3 sessions close"),
        (schedule.month_start(offset="1h"), "month_start open +1h"),
    ],
)
def test_a_rule_reads_as_what_it_does(rule: Schedule, text: str) -> None:
    assert str(rule) == text
