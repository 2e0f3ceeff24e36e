"""Which contract is in front: calendars, volume, open interest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

import attrs
import polars as pl
import pytest

from ml4t.backtest.calendars import session_table
from ml4t.core.errors import ArgumentError, ConfigError, DataError
from ml4t.futures import (
    BeforeExpiry,
    BeforeFirstNotice,
    FuturesChain,
    OpenInterestCrossover,
    RollRule,
    RollSchedule,
    VolumeCrossover,
    with_sessions,
)

Bars = Callable[..., pl.DataFrame]
Crossover = type[VolumeCrossover] | type[OpenInterestCrossover]
RULES = (BeforeExpiry(5), BeforeFirstNotice(1), VolumeCrossover(), OpenInterestCrossover())


def days(first: int, *others: int, month: int = 12, year: int = 2013) -> list[dt.date]:
    return [dt.date(year, month, day) for day in (first, *others)]


def fronts(schedule: RollSchedule) -> list[str]:
    return schedule.front["contract"].to_list()


# -- what a rule is asked for


@pytest.mark.parametrize("odd", [dt.datetime(2013, 12, 2), "2013-12-02", None])
def test_a_rule_of_dates_is_asked_for_dates(es: FuturesChain, odd: Any) -> None:  # noqa: ANN401
    with pytest.raises(ArgumentError, match=r"first = .*; expected a date, such as datetime\.date"):
        BeforeExpiry(5).between(es, odd, dt.date(2013, 12, 6))
    with pytest.raises(ArgumentError, match=r"last = .*; expected a date"):
        BeforeExpiry(5).between(es, dt.date(2013, 12, 2), odd)


@pytest.mark.parametrize("rule", [VolumeCrossover(), OpenInterestCrossover()])
def test_a_rule_of_the_market_needs_bars(es: FuturesChain, rule: Any) -> None:  # noqa: ANN401
    says = rf"decides by the {rule.column} of bars, and between has none.*use schedule\(chain, bars\)"
    with pytest.raises(ArgumentError, match=says):
        rule.between(es, dt.date(2013, 12, 2), dt.date(2013, 12, 6))


# -- business days


@pytest.mark.parametrize(
    ("business_days", "rolls"),
    [
        # 20 December 2013 is a Friday.
        (0, dt.date(2013, 12, 20)),
        (1, dt.date(2013, 12, 19)),
        (5, dt.date(2013, 12, 13)),
        # Thanksgiving, 28 November, is a short session of CME Globex.
        (16, dt.date(2013, 11, 28)),
    ],
)
def test_the_next_contract_is_in_front_so_many_sessions_before_the_last_trade(
    es: FuturesChain, business_days: int, rolls: dt.date
) -> None:
    schedule = BeforeExpiry(business_days).between(es, dt.date(2013, 11, 1), dt.date(2014, 1, 31))
    assert schedule.rolls.rows() == [(rolls, "ESZ3", "ESH4")]
    assert schedule.front.filter(session=rolls)["contract"].item() == "ESH4"
    before = schedule.front.filter(pl.col("session") < rolls)
    assert before["contract"].unique().to_list() == ["ESZ3"]


@pytest.mark.parametrize(("calendar", "rolls"), [(None, 20), ("XNYS", 17)])
def test_a_holiday_is_a_business_day_where_the_calendar_that_counts_has_a_session(
    gold: FuturesChain, calendar: str | None, rolls: int
) -> None:
    # Nine business days before 31 January 2014: the 20th is a holiday on which Globex trades.
    rule = BeforeFirstNotice(9, calendar=calendar)
    schedule = rule.between(gold, dt.date(2014, 1, 2), dt.date(2014, 1, 31))
    assert schedule.rolls["session"].to_list() == [dt.date(2014, 1, rolls)]


def test_a_day_on_which_the_exchange_is_closed_is_none(gold: FuturesChain) -> None:
    # Back from Friday 27 December 2013: the 26th, the 24th.
    schedule = BeforeExpiry(2).between(gold, dt.date(2013, 12, 20), dt.date(2013, 12, 27))
    assert schedule.rolls.rows() == [(dt.date(2013, 12, 24), "GCZ3", "GCF4")]


def test_delivered_contracts_are_left_before_first_notice(gold: FuturesChain) -> None:
    schedule = BeforeFirstNotice(1).between(gold, dt.date(2013, 11, 20), dt.date(2014, 1, 31))
    assert schedule.rolls.rows() == [
        (dt.date(2013, 11, 28), "GCZ3", "GCF4"),
        (dt.date(2013, 12, 30), "GCF4", "GCG4"),
        (dt.date(2014, 1, 30), "GCG4", "GCJ4"),
    ]


def test_a_contract_can_be_left_before_it_is_ever_in_front(gold: FuturesChain) -> None:
    # Before the first session of the range all but the last are left already.
    schedule = BeforeExpiry(40).between(gold, dt.date(2014, 1, 2), dt.date(2014, 1, 3))
    assert fronts(schedule) == ["GCJ4", "GCJ4"]


def test_the_sessions_of_bars_decide_nothing_but_which_rows_there_are(es: FuturesChain, daily: Bars) -> None:
    sessions = days(11, 12, 16)  # nobody has a bar on the 13th, on which it rolls
    bars = daily(sessions, {"ESZ3": [1.0, None, 1.0], "ESH4": [None, 1.0, 1.0]})
    schedule = BeforeExpiry(5).schedule(es, bars)
    assert schedule.front["session"].to_list() == sessions
    assert schedule.rolls.rows() == [(dt.date(2013, 12, 16), "ESZ3", "ESH4")]


def test_a_contract_without_first_notice_is_refused(es: FuturesChain) -> None:
    with pytest.raises(DataError) as caught:
        BeforeFirstNotice(1).between(es, dt.date(2013, 12, 2), dt.date(2013, 12, 6))
    text = str(caught.value)
    assert "ESZ3 (cash settlement, last trade 2013-12-20) has no first notice day" in text
    assert "use BeforeExpiry" in text


def test_a_contract_that_had_expired_needs_no_first_notice(gold: FuturesChain) -> None:
    first, *others = gold.contracts
    chain = FuturesChain("GC", [attrs.evolve(first, first_notice=None), *others])
    schedule = BeforeFirstNotice(1).between(chain, dt.date(2014, 1, 2), dt.date(2014, 1, 3))
    assert fronts(schedule) == ["GCG4", "GCG4"]


def test_a_date_that_is_no_session_is_refused(es: FuturesChain) -> None:
    wrong = FuturesChain("ES", [attrs.evolve(es["ESZ3"], last_trade=dt.date(2013, 12, 25))])
    with pytest.raises(DataError) as caught:
        BeforeExpiry(1).between(wrong, dt.date(2013, 12, 2), dt.date(2013, 12, 6))
    text = str(caught.value)
    assert "last_trade of ESZ3 is 2013-12-25, which is no session of calendar 'CME_Equity'" in text
    assert "2013-12-24" in text


@pytest.mark.parametrize("rule", [BeforeExpiry(5), VolumeCrossover()])
def test_a_chain_that_ends_too_early_is_refused(es: FuturesChain, daily: Bars, rule: RollRule) -> None:
    short = FuturesChain("ES", es.contracts[:1])
    bars = daily(days(19, 20), {"ESZ3": [1.0, 1.0]})
    with pytest.raises(DataError) as caught:
        rule.schedule(short, bars)
    assert "the chain of ES has no contract for session 2013-12-" in str(caught.value)
    assert "ESZ3" in str(caught.value)
    assert "Add later contracts" in str(caught.value)


@pytest.mark.parametrize("value", [-1, 1.0, True, "5", None])
def test_business_days_are_a_whole_number_of_0_or_more(value: object) -> None:
    with pytest.raises(ConfigError, match="business_days: expected a whole number of 0 or more, found"):
        BeforeExpiry(value)  # type: ignore[arg-type]


def test_a_calendar_of_no_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="calendar: expected the name of a calendar, found 5"):
        BeforeExpiry(1, calendar=5)  # type: ignore[arg-type]


def test_a_range_without_sessions_is_refused(es: FuturesChain) -> None:
    with pytest.raises(DataError, match="calendar 'CME_Equity' has no session from 2013-12-14 to 2013-12-15"):
        BeforeExpiry(1).between(es, dt.date(2013, 12, 14), dt.date(2013, 12, 15))


# -- volume and open interest

FIVE = days(2, 3, 4, 5, 6)
ONES = {symbol: [1.0] * 5 for symbol in ("ESZ3", "ESH4", "ESM4")}


@pytest.mark.parametrize(
    ("lag", "expected"),
    [
        # March is ahead from the 3rd on, so it is in front on the 4th.
        (1, "Z3 H4 H4 H4"),
        (2, "Z3 H4 H4"),
        (3, "Z3 H4"),
        (4, "Z3"),
    ],
)
@pytest.mark.parametrize("rule", [VolumeCrossover, OpenInterestCrossover])
def test_a_crossover_rolls_lag_sessions_after_it_happened(
    es: FuturesChain,
    daily: Bars,
    rule: Crossover,
    lag: int,
    expected: str,
) -> None:
    figures = {"ESZ3": [9, 5, 5, 5, 5], "ESH4": [1, 6, 6, 6, 6], "ESM4": [0, 0, 0, 0, 0]}
    bars = daily(FIVE, ONES, volume=figures, open_interest=figures)
    schedule = rule(lag).schedule(es, bars)
    assert fronts(schedule) == [f"ES{name}" for name in expected.split()]
    assert schedule.front["session"].to_list() == FIVE[lag:]


def test_a_crossover_never_goes_back(es: FuturesChain, daily: Bars) -> None:
    figures = {"ESZ3": [1, 9, 9, 9, 9], "ESH4": [5, 1, 1, 1, 1], "ESM4": [0, 0, 0, 0, 0]}
    schedule = VolumeCrossover().schedule(es, daily(FIVE, ONES, volume=figures))
    assert fronts(schedule) == ["ESH4"] * 4


def test_a_crossover_may_pass_over_a_contract_that_hardly_trades(es: FuturesChain, daily: Bars) -> None:
    figures = {"ESZ3": [9, 5, 5, 5, 5], "ESH4": [1, 5, 1, 1, 1], "ESM4": [0, 5, 6, 6, 6]}
    schedule = VolumeCrossover().schedule(es, daily(FIVE, ONES, volume=figures))
    # Equal figures change nothing.
    assert schedule.rolls.rows() == [(dt.date(2013, 12, 5), "ESZ3", "ESM4")]


@pytest.mark.parametrize("rule", [VolumeCrossover(), OpenInterestCrossover()])
def test_a_crossover_leaves_a_contract_on_its_last_trade_at_the_latest(
    es: FuturesChain,
    daily: Bars,
    rule: RollRule,
) -> None:
    sessions = days(17, 18, 19, 20)
    figures = {"ESZ3": [9, 9, 9, 9], "ESH4": [1, 1, 1, 1], "ESM4": [2, 2, 0, 0]}
    bars = daily(sessions, {symbol: [1.0] * 4 for symbol in figures}, volume=figures, open_interest=figures)
    assert rule.schedule(es, bars).rolls.rows() == [(dt.date(2013, 12, 20), "ESZ3", "ESH4")]


def test_where_nothing_is_known_of_later_contracts_the_next_one_follows(
    es: FuturesChain, daily: Bars
) -> None:
    bars = daily(days(18, 19, 20), {"ESZ3": [1.0, 1.0, None], "ESH4": [None, None, 1.0]})
    assert fronts(VolumeCrossover().schedule(es, bars)) == ["ESZ3", "ESH4"]
    bars = bars.with_columns(open_interest=pl.lit(None, dtype=pl.Int64))
    assert fronts(OpenInterestCrossover().schedule(es, bars)) == ["ESZ3", "ESH4"]


def test_no_bar_is_no_volume_and_unknown_open_interest(es: FuturesChain, daily: Bars) -> None:
    closes = {"ESZ3": [1.0, None, 1.0], "ESH4": [1.0, 1.0, 1.0]}
    figures = {"ESZ3": [9, 9, 9], "ESH4": [1, 1, 1]}
    bars = daily(days(2, 3, 4), closes, volume=figures, open_interest=figures)
    assert fronts(VolumeCrossover().schedule(es, bars)) == ["ESZ3", "ESH4"]
    assert fronts(OpenInterestCrossover().schedule(es, bars)) == ["ESZ3", "ESZ3"]


def test_volumes_within_a_session_add_up_and_the_last_open_interest_counts(es: FuturesChain) -> None:
    # Per session and contract two bars: volume and open interest of each.
    figures = {
        (2, "ESZ3"): [(4, 9), (4, 1)],
        (2, "ESH4"): [(7, 1), (0, 2)],
        (3, "ESZ3"): [(1, 1), (1, 1)],
        (3, "ESH4"): [(1, 1), (1, 1)],
    }
    rows = [
        {
            "session": dt.date(2013, 12, day),
            "ts_event": dt.datetime(2013, 12, day, 15 + k, tzinfo=dt.UTC),
            "symbol": symbol,
            "volume": volume,
            "open_interest": interest,
        }
        for (day, symbol), pair in figures.items()
        for k, (volume, interest) in enumerate(pair)
    ]
    bars = pl.DataFrame(rows).reverse()
    assert fronts(VolumeCrossover().schedule(es, bars)) == ["ESZ3"]
    assert fronts(OpenInterestCrossover().schedule(es, bars)) == ["ESH4"]


@pytest.mark.parametrize("rule", [VolumeCrossover, OpenInterestCrossover])
def test_a_lag_of_0_is_a_leak(rule: Crossover) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(lag=0)
    text = str(caught.value)
    assert "lag: expected a whole number of sessions of 1 or more, found 0" in text
    assert "which nobody has before it ends" in text
    with pytest.raises(ConfigError, match=r"1 or more, found 1\.5"):
        rule(lag=1.5)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("volume", None, "volume of ESZ3 in session 2013-12-02 is null (1 such)"),
        ("volume", -1.0, "volume of ESZ3 in session 2013-12-02 is -1.0; expected a number of 0 or more"),
        ("volume", float("nan"), "volume of ESZ3 in session 2013-12-02 is nan"),
        ("open_interest", -5.0, "open_interest of ESZ3 in session 2013-12-02 is -5.0"),
    ],
)
def test_a_figure_that_is_none_is_refused(
    es: FuturesChain,
    daily: Bars,
    column: str,
    value: float | None,
    message: str,
) -> None:
    figures = {"ESZ3": [value, 1.0], "ESH4": [1.0, 1.0]}
    bars = daily(days(2, 3), {"ESZ3": [1.0, 1.0], "ESH4": [1.0, 1.0]}, **{column: figures})
    rule = VolumeCrossover() if column == "volume" else OpenInterestCrossover()
    with pytest.raises(DataError) as caught:
        rule.schedule(es, bars)
    assert message in str(caught.value)


def test_a_column_that_is_not_there_is_named(es: FuturesChain, daily: Bars) -> None:
    bars = daily(days(2, 3), {"ESZ3": [1.0, 1.0]})
    with pytest.raises(DataError, match="OpenInterestCrossover reads the column open_interest of the bars"):
        OpenInterestCrossover().schedule(es, bars)


def test_too_few_sessions_are_refused(es: FuturesChain, daily: Bars) -> None:
    bars = daily(days(2, 3), {"ESZ3": [1.0, 1.0]})
    with pytest.raises(DataError, match=r"hold 2 sessions, up to 2013-12-03;.* needs at least 3"):
        VolumeCrossover(lag=2).schedule(es, bars)


# -- bars that no rule can read


@pytest.mark.parametrize("rule", RULES)
def test_bars_that_cannot_be_placed_are_refused(es: FuturesChain, daily: Bars, rule: RollRule) -> None:
    bars = daily(days(2, 3), {"ESZ3": [1.0, 1.0]})

    def refused(bars: pl.DataFrame, message: str) -> None:
        with pytest.raises(DataError) as caught:
            rule.schedule(es, bars)
        assert message in str(caught.value)

    refused(bars.drop("contract"), "the bars of ES name no contract; expected a column contract or symbol")
    refused(bars.drop("session"), "the bars of ES have no column as session; expected dates")
    refused(bars.with_columns(pl.col("session").cast(pl.Datetime)), "as session; expected dates")
    refused(
        bars.with_columns(contract=pl.lit("ESZ13")), "the bars have ESZ13, the chain has ESZ3, ESH4, ESM4"
    )
    refused(bars.clear(), "the bars have no rows")
    refused(pl.concat([bars, bars]), "two bars of ESZ3 in session 2013-12-02 (2 such); expected one, or a")
    nulls = bars.with_columns(session=pl.Series([None, dt.date(2013, 12, 3)]))
    refused(nulls, "nulls found: {'session': 1, 'contract': 0}")
    sunday = bars.with_columns(pl.col("session") - pl.duration(days=1))
    refused(sunday, "2013-12-01 (Sunday), which is no session of calendar 'CME_Equity' (1 such of 2)")
    with pytest.raises(ArgumentError, match=r"bars are a dict; expected a polars\.DataFrame"):
        rule.schedule(es, {})  # type: ignore[arg-type]


def test_schedules_of_strange_shape_are_refused() -> None:
    with pytest.raises(DataError, match="a schedule has columns"):
        RollSchedule(pl.DataFrame({"session": [1], "contract": ["A"]}))
    with pytest.raises(DataError, match="must ascend, each of them once"):
        RollSchedule.of(days(3, 2), ["A", "A"])
    with pytest.raises(DataError, match="goes back to A, which is in front again on 2013-12-04"):
        RollSchedule.of(days(2, 3, 4), ["A", "B", "A"])
    assert RollSchedule.of([], []).rolls.height == 0


# -- sessions of bars within a day


def test_bars_of_an_evening_belong_to_the_session_of_the_next_day() -> None:
    # The sessions of CME begin at 17:00 in Chicago, which is 23:00 UTC in winter.
    stamps = [
        dt.datetime(2013, 12, 15, 23, 30, tzinfo=dt.UTC),
        dt.datetime(2013, 12, 13, 15, 0, tzinfo=dt.UTC),
        dt.datetime(2013, 12, 12, 23, 0, tzinfo=dt.UTC),
    ]
    bars = with_sessions(pl.DataFrame({"ts": stamps}), "CME_Equity", time="ts", stamp="open")
    assert bars["session"].to_list() == days(16, 13, 13)
    assert bars["ts"].to_list() == stamps


@pytest.mark.parametrize(
    ("stamp", "session"), [("open", dt.date(2024, 3, 6)), ("close", dt.date(2024, 3, 5))]
)
def test_a_stamp_at_midnight_is_an_open_of_the_new_session_or_a_close_of_the_old(
    stamp: Literal["open", "close"],
    session: dt.date,
) -> None:
    bars = pl.DataFrame({"ts": [dt.datetime(2024, 3, 6, tzinfo=dt.UTC)]})
    assert with_sessions(bars, "24/7", time="ts", stamp=stamp)["session"].to_list() == [session]


def test_bars_whose_session_cannot_be_told_are_refused() -> None:
    saturday = dt.datetime(2013, 12, 14, 12, tzinfo=dt.UTC)
    bars = pl.DataFrame({"ts": [saturday]})

    def refused(bars: pl.DataFrame, message: str, **options: Any) -> None:  # noqa: ANN401
        with pytest.raises(DataError) as caught:
            with_sessions(bars, "CME_Equity", **({"time": "ts", "stamp": "open"} | options))
        assert message in str(caught.value)

    refused(
        bars, "row 0, ts 2013-12-14 12:00:00+00:00, lies outside all sessions of 'CME_Equity' (1 such of 1)"
    )
    # Friday's session ends at 23:00 UTC at the latest; a bar that opens then is in none.
    friday = session_table("CME_Equity", dt.date(2013, 12, 13), dt.date(2013, 12, 13)).frame["close_ns"]
    at_close = pl.DataFrame({"ts": friday.cast(pl.Datetime("ns", "UTC"))})
    refused(at_close, "lies outside all sessions of 'CME_Equity' (1 such of 1)")
    closing = with_sessions(at_close, "CME_Equity", time="ts", stamp="close")
    assert closing["session"].to_list() == [dt.date(2013, 12, 13)]
    refused(bars, "the bars have no column 'tz', but ts", time="tz")
    refused(bars, "stamp is 'event'; allowed are open, close", stamp="event")
    refused(bars.with_columns(pl.col("ts").dt.replace_time_zone(None)), "expected instants with a time zone")
    refused(bars.with_columns(session=pl.col("ts").dt.date()), "have a column session already")
    assert with_sessions(bars.clear(), "CME_Equity", time="ts", stamp="open").columns == ["ts", "session"]
