"""The data view: rows, fields, columns over the universe, iteration, and what it says about wrong names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Bar, DataFeed, Instrument, PITData, Strategy, TradeTick
from ml4t.core.errors import EngineStateError, UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

BARS = {
    "A": [(10, 12, 9, 11, 100), (11, 13, 10, 12, 200), None, (14, 16, 13, 15, 400)],
    "B": [None, (50, 51, 49, 50, 5), (52, 53, 51, 52, 6), None],
}


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily(BARS)


# -- rows ------------------------------------------------------------------------------------------------


def test_a_row_is_the_last_known_one(play: Play, market: DataFeed) -> None:
    def fields(now: Now) -> list[float]:
        return [now.data["A"][name] for name in ("open", "high", "low", "close", "volume")]

    run = play({n: fields for n in range(4)}, market)
    assert run[0] == [10.0, 12.0, 9.0, 11.0, 100.0]
    assert run[1] == run[2] == [11.0, 13.0, 10.0, 12.0, 200.0]
    assert run[3] == [14.0, 16.0, 13.0, 15.0, 400.0]


def test_a_row_is_nan_before_the_first(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> list[Any]:
        row = now.data["B"]
        return [np.isnan(row["close"]), row.fresh, row.age, row.ts_event, row["close"] > 0, row["close"] < 0]

    assert play({0: look}, market)[0] == [True, False, None, None, False, False]


def test_a_row_knows_its_symbol_its_freshness_and_its_age(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> list[Any]:
        row = now.data["A"]
        return [row.symbol, row.fresh, row.age, row.ts_event]

    run = play({1: look, 2: look, 3: look}, market)
    third, fifth = (dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (3, 5))
    assert run[1] == ["A", True, dt.timedelta(0), third]
    assert run[2] == ["A", False, dt.timedelta(days=1), third]
    assert run[3] == ["A", True, dt.timedelta(0), fifth]


def test_a_row_is_a_mapping_of_its_fields(play: Play, market: DataFeed) -> None:
    names = ["open", "high", "low", "close", "volume"]

    def look(now: Now) -> None:
        row = now.data["A"]
        assert row.keys() == list(row) == names
        assert len(row) == 5
        assert dict(row) == dict(zip(names, [10.0, 12.0, 9.0, 11.0, 100.0], strict=True))
        assert "close" in row
        assert "signals" in row
        assert "Close" not in row
        assert row.get("close") == 11.0
        assert row.get("nothing") is None
        assert row.get("nothing", 0.5) == 0.5
        assert repr(row) == "Row(A, open=10, high=12, low=9, close=11, volume=100)"

    play({0: look}, market)


@pytest.mark.parametrize(
    ("field", "hint"), [("clsoe", "close"), ("Close", "close"), ("vol", "volume"), ("x", None)]
)
def test_an_unknown_field_is_named_with_the_known_ones_and_the_nearest(
    play: Play, market: DataFeed, field: str, hint: str | None
) -> None:
    def look(now: Now) -> None:
        with pytest.raises(UnknownNameError) as refusal:
            now.data["A"][field]
        text = f"unknown field of A {field!r}; known: close, high, low, open, signals, volume"
        assert str(refusal.value) == text + (f"; did you mean {hint!r}?" if hint else "")

    play({0: look}, market)


@pytest.mark.parametrize("symbol", ["a", "AB", "C"])
def test_an_unknown_symbol_is_named_with_the_known_ones(play: Play, market: DataFeed, symbol: str) -> None:
    def look(now: Now) -> None:
        calls: list[Callable[[], object]] = [
            lambda: now.data[symbol],
            lambda: now.data.history("close", 2, symbol),
            lambda: now.data.history("close", 2, ["A", symbol]),
            lambda: now.data.get_latest_bar(symbol),
            lambda: now.data.get_latest_price(symbol),
        ]
        for call in calls:
            with pytest.raises(UnknownNameError, match=f"unknown symbol '{symbol}'; known: A, B"):
                call()
        assert symbol not in now.data
        assert now.data.get(symbol) is None
        assert now.data.get(symbol, "nothing") == "nothing"

    play({0: look}, market)


def test_a_key_that_is_no_text_is_a_type_error(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        for key in (0, None, ("A",), np.str_):
            with pytest.raises(TypeError):
                now.data[key]
            assert key not in now.data

    play({0: look}, market)


def test_a_text_of_numpy_or_pandas_names_an_instrument_too(play: Play, market: DataFeed) -> None:
    assert play({0: lambda now: now.data[np.str_("A")]["close"]}, market)[0] == 11.0


# -- iteration: what has an event now --------------------------------------------------------------------


def test_iterating_yields_the_symbols_with_an_event_at_this_instant(play: Play, market: DataFeed) -> None:
    run = play({n: lambda now: (list(now.data), len(now.data)) for n in range(4)}, market)
    assert [run[n] for n in range(4)] == [(["A"], 1), (["A", "B"], 2), (["B"], 1), (["A"], 1)]


def test_membership_keys_values_and_items_agree_with_iteration(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        data = now.data
        assert data.keys() == list(data)
        assert [row.symbol for row in data.values()] == list(data)
        assert [(symbol, row["close"]) for symbol, row in data.items()] == [
            (symbol, data[symbol]["close"]) for symbol in data
        ]
        assert [symbol in data for symbol in data.symbols] == [data[s].fresh for s in data.symbols]

    play({n: look for n in range(4)}, market)


def test_several_rows_of_one_instrument_at_one_instant_count_once(play: Play) -> None:
    at = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    ticks = pl.DataFrame(
        {
            "symbol": ["B", "A", "B", "A"],
            "timestamp": [at] * 4,
            "price": [1.0, 2.0, 3.0, 4.0],
            "size": [1.0] * 4,
        }
    )
    feed = DataFeed(ticks, kind="trade", stamp="event", calendar="24/7")
    run = play(
        {0: lambda now: (list(now.data), len(now.data), now.data["A"]["price"], now.data["B"]["price"])}, feed
    )
    assert run[0] == (["A", "B"], 2, 4.0, 3.0)


# -- columns over the universe ---------------------------------------------------------------------------


def test_a_column_has_the_last_known_value_of_every_instrument(play: Play, market: DataFeed) -> None:
    def column(now: Now) -> object:
        assert now.data.symbols == ("A", "B")
        assert now.data.close.dtype == np.float64
        return now.data.close.tolist()

    run = play({n: column for n in range(4)}, market)
    np.testing.assert_equal([run[n] for n in range(4)], [[11, np.nan], [12, 50], [12, 52], [15, 52]])


def test_a_column_cannot_be_changed_and_outlives_its_instant(play: Play, market: DataFeed) -> None:
    kept = []

    def scribble(now: Now) -> None:
        close = now.data.close
        with pytest.raises(ValueError, match="read-only"):
            close[:] = -1.0
        kept.append(now.data.close)
        assert now.data["A"]["close"] == 11.0

    play({0: scribble}, market)
    np.testing.assert_equal(kept[0], [11.0, np.nan])


def test_an_unknown_column_is_an_attribute_error_with_the_known_ones(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        with pytest.raises(
            AttributeError, match='no feed has a field "clsoe"; known: open, high, low, close, volume'
        ):
            now.data.clsoe  # noqa: B018
        assert not hasattr(now.data, "vwap")
        assert getattr(now.data, "vwap", None) is None

    play({0: look}, market)


# -- several feeds ---------------------------------------------------------------------------------------


@pytest.fixture
def two_feeds(daily: Build) -> list[DataFeed]:
    hour = dt.timedelta(hours=1)
    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = [
        {"symbol": "A", "timestamp": first + n * hour, "volume": 1.0, "beta": 0.5 + n}
        | dict.fromkeys(("open", "high", "low", "close"), 100.0 + n)
        for n in range(48)
    ]
    hourly = DataFeed(
        pl.DataFrame(rows), name="hourly", stamp="open", interval="1h", calendar="24/7", matches_orders=False
    )
    return [daily({"A": [10, 20], "B": [7, 8]}, name="days", matches_orders=True), hourly]


def test_the_feed_that_orders_meet_comes_first_and_others_by_their_name(
    play: Play, two_feeds: list[DataFeed]
) -> None:
    def look(now: Now) -> None:
        row = now.data["A"]
        assert (row["close"], row["days.close"], row["hourly.close"], row["beta"]) == (
            10.0,
            10.0,
            123.0,
            23.5,
        )
        assert row["hourly.beta"] == 23.5
        assert row.keys() == ["open", "high", "low", "close", "volume", "beta"]
        np.testing.assert_equal(now.data.beta, [23.5, np.nan])
        np.testing.assert_equal(now.data.close, [10.0, 7.0])
        np.testing.assert_equal(now.data.history("hourly.close", 3, "A"), [121.0, 122.0, 123.0])
        for wrong in ("days.beta", "weekly.close", "hourly.vwap"):
            with pytest.raises(UnknownNameError, match="unknown field of A"):
                row[wrong]
        # Whether B will ever have a beta is not known: it has none yet.
        assert np.isnan(now.data["B"]["beta"])

    # The call of midnight, when the first day is complete.
    play({23: look}, two_feeds)


def test_a_table_of_a_feed_of_several_kinds_is_named_with_its_dot(play: Play) -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

    class Live(DataFeed):
        name = "live"
        calendar = "24/7"

        def __init__(self) -> None:
            hours = [start + dt.timedelta(hours=n) for n in range(4)]
            self.events = iter(
                [
                    TradeTick("A", hours[1], 10.0, 5.0),
                    Bar("A", hours[2], 11.0, 12.0, 10.0, 11.5, 100.0, ts_open=hours[1]),
                    TradeTick("A", hours[3], 13.0, 5.0),
                ]
            )

        def get_next_event(self) -> Bar | TradeTick | None:
            return next(self.events, None)

    def look(now: Now) -> list[float]:
        row = now.data["A"]
        by_history = [now.data.history(f"live.{field}", 1, "A")[0] for field in ("trade.price", "bar.close")]
        return [row["live.trade.price"], row["live.bar.close"], *by_history]

    instruments = [Instrument("A", calendar="24/7", matching_source="live.trade")]
    assert play({2: look}, Live(), instruments=instruments)[2] == [13.0, 11.5, 13.0, 11.5]


def test_quotes_and_trades_have_their_own_fields(play: Play) -> None:
    at = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    times = [at, at + dt.timedelta(seconds=1)]
    quotes = pl.DataFrame(
        {
            "symbol": "A",
            "timestamp": times,
            "bid_price": [9.0, 9.5],
            "ask_price": [11.0, 10.5],
            "bid_size": [1.0, 2.0],
            "ask_size": [3.0, 4.0],
        }
    )
    feed = DataFeed(quotes, kind="quote", stamp="event", calendar="24/7")

    def look(now: Now) -> object:
        row = now.data["A"]
        return [
            row[name] for name in ("bid_price", "ask_price", "bid_size", "ask_size")
        ], now.data.get_latest_price("A")

    run = play({0: look, 1: look}, feed)
    assert run[0] == ([9.0, 11.0, 1.0, 3.0], 10.0)
    assert run[1] == ([9.5, 10.5, 2.0, 4.0], 10.0)


# -- latest bar and price --------------------------------------------------------------------------------


def test_the_latest_bar_and_price_are_none_before_the_first_row(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> object:
        bar = now.data.get_latest_bar("B")
        return None if bar is None else bar["close"], now.data.get_latest_price("B")

    run = play({n: look for n in range(3)}, market)
    assert [run[n] for n in range(3)] == [(None, None), (50.0, 50.0), (52.0, 52.0)]


def test_the_latest_price_of_an_instrument_without_rows_is_none(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, 11], "LATER": [None, None, None, 7]})
    period = {"end_date": "2024-01-02"}
    later = [Instrument("LATER", calendar="24/7")]
    run = play({0: lambda now: now.data.get_latest_price("LATER")}, feed, backtest=period, instruments=later)
    assert run[0] is None


# -- the view before, during and after the run -----------------------------------------------------------


def test_the_view_is_empty_before_the_first_event(run_of: Callable[..., Any], market: DataFeed) -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            data = self.data
            assert isinstance(data, PITData)
            assert (list(data), len(data), data.symbols) == ([], 0, ("A", "B"))
            assert np.isnan(data.close).all()
            assert np.isnan(data["A"]["close"])
            assert data["A"].age is None
            assert data.get_latest_bar("A") is None
            assert np.isnan(data.history("close", 2)).all()

    run_of(Early(), market)


def test_there_is_no_present_instant_before_the_first_event(
    run_of: Callable[..., Any], market: DataFeed
) -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            with pytest.raises(EngineStateError, match="first event"):
                self.data.timestamp  # noqa: B018

    run_of(Early(), market)


def test_the_strategy_s_own_view_shows_the_last_instant_after_the_run(play: Play, market: DataFeed) -> None:
    data = play({}, market).script.data
    assert (data["A"]["close"], data["B"]["close"], data.timestamp.day) == (15.0, 52.0, 5)


def test_the_timestamp_of_the_view_is_that_of_the_call(play: Play, market: DataFeed) -> None:
    run = play({n: lambda now: now.data.timestamp == now.timestamp for n in range(4)}, market)
    assert all(run[n] for n in range(4))


def test_rows_become_readable_when_they_arrive(play: Play) -> None:
    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

    def at(hours: float) -> dt.datetime:
        return first + dt.timedelta(hours=hours)

    rows = [
        {"symbol": "A", "ts_open": at(n), "ts_event": at(n + 1), "ts_arrival": at(n + 1.5), "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0 + n)
        for n in range(3)
    ]
    feed = DataFeed(pl.DataFrame(rows), stamp="event", calendar="24/7")

    def look(now: Now) -> object:
        row = now.data["A"]
        return now.timestamp, row["close"], row.ts_event, row.age, row.fresh

    run = play({n: look for n in range(3)}, feed)
    half = dt.timedelta(minutes=30)
    # The last row arrives after the last event, when the run is over.
    assert [run.script.returned[n] for n in sorted(run.script.returned)][:2] == [
        (at(1.5), 10.0, at(1), half, True),
        (at(2.5), 11.0, at(2), half, True),
    ]
