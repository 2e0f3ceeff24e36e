"""Bars from ticks and from bars: hand-worked cases, sessions, real prices, a run, refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import DataFeed, Engine, Instrument, Strategy
from ml4t.backtest.bars import dollar_bars, imbalance_bars, resample, tick_bars, time_bars, volume_bars
from ml4t.backtest.calendars import session_table
from ml4t.core.errors import ArgumentError, DataError

NEW_YORK = ZoneInfo("America/New_York")
START = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
SECOND = 10**9
START_NS = int(START.timestamp()) * SECOND


def ticks(*rows: tuple[float, float, float], symbol: str = "XYZ") -> pl.DataFrame:
    """Ticks of (seconds after the open, price, size)."""
    return pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(rows), dtype=pl.String),
            "timestamp": [START + dt.timedelta(seconds=row[0]) for row in rows],
            "price": [float(row[1]) for row in rows],
            "size": [float(row[2]) for row in rows],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


def at(*stamps: str, size: float = 100.0, symbol: str = "XYZ") -> pl.DataFrame:
    """Ticks of rising prices at local times of New York."""
    when = [dt.datetime.fromisoformat(stamp).replace(tzinfo=NEW_YORK).astimezone(dt.UTC) for stamp in stamps]
    prices = [10.0 + k for k in range(len(when))]
    return pl.DataFrame({"symbol": symbol, "timestamp": when, "price": prices, "size": size})


def seconds(bars: pl.DataFrame) -> list[tuple[float, float]]:
    """Both stamps of each bar, in seconds after the first open."""
    both = bars.select((pl.col(name).cast(pl.Int64) - START_NS) / SECOND for name in ("ts_open", "ts_event"))
    return both.rows()


def local(bars: pl.DataFrame) -> list[tuple[str, str]]:
    """Both stamps of each bar as local times of New York."""
    both = bars.select(
        pl.col(name).dt.convert_time_zone("America/New_York").dt.strftime("%d %H:%M")
        for name in ("ts_open", "ts_event")
    )
    return both.rows()


VALUES = ("open", "high", "low", "close", "volume", "ticks")
SIX = ticks((0, 10, 100), (1, 12, 50), (2, 9, 300), (3, 11, 100), (4, 11, 50), (7, 13, 20))


# -- worked by hand ----------------------------------------------------------------------------------------


def test_a_tick_bar_holds_n_ticks_and_ends_with_the_last_of_them() -> None:
    bars = tick_bars(SIX, 2)
    assert bars.select(VALUES).rows() == [
        (10.0, 12.0, 10.0, 12.0, 150.0, 2),
        (9.0, 11.0, 9.0, 11.0, 400.0, 2),
        (11.0, 13.0, 11.0, 13.0, 70.0, 2),
    ]
    assert seconds(bars) == [(0, 1), (2, 3), (4, 7)]
    assert bars.schema["ts_event"] == pl.Datetime("ns", "UTC")


def test_the_tick_that_reaches_the_volume_belongs_wholly_to_the_bar_it_completes() -> None:
    bars = volume_bars(SIX, 200, keep_incomplete=True)
    assert bars.select(VALUES).rows() == [
        (10.0, 12.0, 9.0, 9.0, 450.0, 3),
        (11.0, 13.0, 11.0, 13.0, 170.0, 3),
    ]
    assert bars["is_complete"].to_list() == [True, False]
    assert bars["volume"].sum() == SIX["size"].sum()
    assert volume_bars(SIX, 200).rows() == bars.drop("is_complete").rows()[:1]
    assert volume_bars(SIX, 150)["volume"].to_list() == [150.0, 300.0, 150.0]


def test_dollar_bars_count_price_times_size() -> None:
    # Values 1000, 600, 2700, 1100, 550, 260.
    assert dollar_bars(SIX, 1600)["ticks"].to_list() == [2, 1, 2]
    assert dollar_bars(SIX, 1601)["ticks"].to_list() == [3, 2]


def test_an_imbalance_bar_ends_when_the_signed_ticks_exceed_their_expectation() -> None:
    prices = [10, 11, 12, 13, 13, 13, 12, 12, 13, 14, 15, 15]
    bars = imbalance_bars(
        ticks(*((k, price, 1) for k, price in enumerate(prices))),
        "tick",
        expected_ticks=4,
        span=1,
        keep_incomplete=True,
    )
    # Signs: 0 + + + | + + - - + + + | +. The first four ticks average 0.75, so the next bar needs
    # 4 * 0.75 = 3: theta runs 1 2 1 0 1 2 3. With span 1, alpha is 1 and beta 2 / 5; the mean then goes
    # 0.85, 0.91, 0.146, -0.3124, 0.21256, 0.527536, 0.7165216, and 7 ticks are expected.
    assert bars["ticks"].to_list() == [4, 7, 1]
    assert bars["imbalance"].to_list() == [3.0, 3.0, 1.0]
    assert bars["expected_imbalance"].to_list() == pytest.approx([float("nan"), 3.0, 5.0156512], nan_ok=True)
    assert bars["is_complete"].to_list() == [True, True, False]


def test_imbalance_is_weighted_by_volume_or_value_on_request() -> None:
    flow = ticks((0, 10, 5), (1, 11, 2), (2, 10, 8), (3, 10, 1))
    by_volume = imbalance_bars(flow, "volume", expected_ticks=2)
    assert by_volume.select("imbalance", "expected_imbalance").rows()[1] == (-8.0, 2.0)
    by_value = imbalance_bars(flow, "dollar", expected_ticks=2)
    assert by_value.select("imbalance", "expected_imbalance").rows()[1] == (-80.0, 22.0)


def test_limits_bound_the_length_of_imbalance_bars() -> None:
    flat = ticks(*((k, 10, 1) for k in range(20)))
    # Without a change of price there is no flow and the threshold is zero: the book's rule ends each tick.
    assert imbalance_bars(flat, "tick", expected_ticks=5)["ticks"].to_list() == [5] + [1] * 15
    assert imbalance_bars(flat, "tick", expected_ticks=5, limits=(3, 5))["ticks"].to_list() == [5] + [3] * 5
    swing = ticks(*((k, 10 + min(k, 4) + (k > 4) * (k % 2), 1) for k in range(17)))
    longest = imbalance_bars(swing, "tick", expected_ticks=5, limits=(1, 6))["ticks"].to_list()
    assert longest == [5, 6, 6]


def test_bars_that_end_at_one_instant_get_stamps_one_nanosecond_apart() -> None:
    bars = tick_bars(ticks((0, 10, 1), (0, 11, 1), (0, 12, 1), (5, 13, 1)), 1)
    nanoseconds = bars.select((pl.col(name).cast(pl.Int64) - START_NS) for name in ("ts_open", "ts_event"))
    assert nanoseconds.rows() == [(0, 1), (1, 2), (2, 3), (5 * SECOND, 5 * SECOND + 1)]
    assert DataFeed(bars, stamp="event").report.rows == 4


def test_a_bar_arrives_with_the_last_of_its_ticks_and_not_before_the_bar_before_it() -> None:
    late = SIX.with_columns(ts_arrival=pl.col("timestamp") + pl.duration(seconds=10))
    for bars in (tick_bars(late, 2), volume_bars(late, 100)):
        assert (bars["ts_arrival"] - bars["ts_event"] >= dt.timedelta(seconds=9)).all()
    windows = time_bars(late, "1s")
    assert (windows["ts_arrival"] > windows["ts_event"]).all()
    assert DataFeed(windows, stamp="event").report.rows == windows.height


# -- sessions ----------------------------------------------------------------------------------------------


def test_windows_start_at_the_open_and_the_last_one_is_cut_at_an_early_close() -> None:
    day = "2024-11-29T"
    found = time_bars(at(*(day + t for t in ("09:30", "10:30", "12:59", "13:00"))), "1h")
    assert local(found) == [("29 09:30", "29 10:30"), ("29 10:30", "29 11:30"), ("29 12:30", "29 13:00")]
    assert found["volume"].to_list() == [100.0, 100.0, 200.0]
    assert found["close"].to_list() == [10.0, 11.0, 13.0]


def test_windows_follow_the_clock_of_the_venue_across_a_change_of_daylight_saving() -> None:
    stamps = [f"{day}T{time}" for day in ("2024-03-08", "2024-03-11") for time in ("09:31", "16:00")]
    bars = time_bars(at(*stamps), "30m")
    assert [stamp.hour * 60 + stamp.minute for stamp in bars["ts_open"]] == [870, 1230, 810, 1170]
    assert local(bars)[0::2] == [("08 09:30", "08 10:00"), ("11 09:30", "11 10:00")]
    assert local(bars)[1::2] == [("08 15:30", "08 16:00"), ("11 15:30", "11 16:00")]


def test_ticks_outside_sessions_are_refused_by_name_or_dropped() -> None:
    frame = at("2024-11-29T09:29", "2024-11-29T10:00", "2024-11-29T13:01")
    with pytest.raises(
        DataError,
        match=r"ticks: XYZ at 2024-11-29T14:29:00Z lies outside the sessions of calendar XNYS \(last close "
        r"2024-11-27T21:00:00Z, next open 2024-11-29T14:30:00Z\), the first of 2 such rows of 3;.*drop",
    ):
        time_bars(frame, "1h")
    assert time_bars(frame, "1h", outside="drop")["volume"].to_list() == [100.0]


def test_a_print_at_the_close_belongs_to_the_next_session_where_that_opens_then() -> None:
    midnight = dt.datetime(2024, 3, 2, tzinfo=dt.UTC)
    frame = pl.DataFrame({"timestamp": [midnight], "symbol": "BTC", "price": 1.0, "size": 1.0})
    bars = time_bars(frame, "1d", calendar="24/7", keep_incomplete=True)
    assert bars["ts_open"].to_list() == [midnight]
    assert bars["ts_event"].to_list() == [midnight + dt.timedelta(days=1)]


def test_declared_instruments_have_windows_of_their_own_calendars() -> None:
    frame = pl.concat([at("2024-11-29T12:59"), at("2024-11-29T12:59", "2024-11-29T13:30", symbol="BTC")])
    bitcoin = Instrument.fractional("BTC", calendar="24/7")
    bars = time_bars(frame, "4h", instruments=[bitcoin], keep_incomplete=True)
    assert {(row[0], *stamps) for row, stamps in zip(bars.rows(), local(bars), strict=True)} == {
        ("XYZ", "29 09:30", "29 13:00"),
        ("BTC", "29 11:00", "29 15:00"),
    }


def test_a_calendar_may_be_given_as_its_sessions() -> None:
    table = session_table("XNYS", dt.date(2024, 11, 25), dt.date(2024, 11, 29))
    frame = at("2024-11-29T09:30", "2024-11-29T13:00")
    assert_frame_equal(time_bars(frame, "1h", calendar=table), time_bars(frame, "1h"))


def test_a_window_is_complete_when_the_ticks_reach_its_end() -> None:
    frame = at("2024-03-01T15:00", "2024-03-01T15:45")
    assert local(time_bars(frame, "30m")) == [("01 15:00", "01 15:30")]
    close = dt.datetime(2024, 3, 1, 16, tzinfo=NEW_YORK)
    assert local(time_bars(frame, "30m", until=close))[1] == ("01 15:30", "01 16:00")
    kept = time_bars(frame, "30m", keep_incomplete=True)
    assert kept["is_complete"].to_list() == [True, False]
    with pytest.raises(
        DataError, match="until is 2024-03-01T20:00:00Z, but XYZ has a row at 2024-03-01T20:45"
    ):
        time_bars(frame, "30m", until=close - dt.timedelta(hours=1))
    with pytest.raises(DataError, match=r"until: .*no time zone"):
        time_bars(frame, "30m", until=close.replace(tzinfo=None))


# -- resampling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", ["1w", "1mo"])
def test_weeks_and_months_of_real_prices_are_those_of_a_plain_loop(every: str, prices: pl.DataFrame) -> None:
    table = session_table("XNYS", dt.date(2000, 2, 1), dt.date(2013, 4, 30))
    opens = {label: begin for label, begin, _ in table.frame.iter_rows()}

    def period(day: dt.date) -> tuple[int, ...]:
        return tuple(day.isocalendar())[:2] if every == "1w" else (day.year, day.month)

    ends: dict[tuple[int, ...], int] = {}
    for label, _, end in table.frame.iter_rows():
        ends[period(label)] = end
    expected: dict[tuple[int, str], list[float]] = {}
    for row in prices.iter_rows(named=True):
        key = (ends[period(row["session"])], row["symbol"])
        bar = expected.get(key)
        if bar is None:
            fresh = [opens[row["session"]], row["open"], row["high"], row["low"], row["close"], 0.0]
            bar = expected.setdefault(key, fresh)
        bar[2], bar[3] = max(bar[2], row["high"]), min(bar[3], row["low"])
        bar[4], bar[5] = row["close"], bar[5] + row["volume"]
    found = resample(prices, every, stamp="session", keep_incomplete=True)
    columns = found.with_columns(pl.col("ts_open", "ts_event").cast(pl.Int64)).select(
        "ts_event", "symbol", "ts_open", "open", "high", "low", "close", "volume"
    )
    assert columns.rows() == [(*key, *values) for key, values in sorted(expected.items())]
    assert found["volume"].sum() == prices["volume"].sum()
    # The data end on Friday, the first of March: the week is over, and the month is not.
    assert found.filter(~pl.col("is_complete")).height == (0 if every == "1w" else 5)
    feed = DataFeed(resample(prices, every, stamp="session"), stamp="event")
    assert feed.report.rows == found["is_complete"].sum()


def test_a_week_ends_with_its_last_session() -> None:
    days = [dt.date(2024, 11, 25), dt.date(2024, 11, 26), dt.date(2024, 11, 27), dt.date(2024, 11, 29)]
    daily = pl.DataFrame({"symbol": "X", "session": days}).with_columns(
        **{name: pl.lit(10.0) for name in ("open", "high", "low", "close", "volume")}
    )
    assert local(resample(daily, "1w", stamp="session")) == [("25 09:30", "29 13:00")]
    # Without Friday's bar, only the calendar knows when the week ended.
    kept = resample(daily.head(3), "1w", stamp="session", keep_incomplete=True)
    assert local(kept) == [("25 09:30", "29 13:00")]
    assert kept["is_complete"].to_list() == [False]
    # Listed on Tuesday: the week's first price was not there before.
    assert local(resample(daily.tail(3), "1w", stamp="session")) == [("26 09:30", "29 13:00")]


def test_a_bar_that_reaches_beyond_its_window_is_refused(prices: pl.DataFrame) -> None:
    with pytest.raises(
        DataError,
        match=r"bars: the bar of AAPL from 2000-03-01T14:30:00Z to 2000-03-01T21:00:00Z reaches beyond its "
        r"window of 1h, which ends at 2000-03-01T15:30:00Z, and a bar cannot be divided",
    ):
        resample(prices, "1h", stamp="session")
    overnight = tick_bars(at("2024-03-01T15:59", "2024-03-04T09:31"), 2)
    with pytest.raises(DataError, match="reaches beyond its window of 1d"):
        resample(overnight, "1d")
    assert resample(overnight, "1mo", keep_incomplete=True).height == 1


def test_an_unknown_volume_stays_unknown() -> None:
    bars = tick_bars(SIX, 2).with_columns(volume=pl.Series([100.0, None, 50.0]))
    coarse = resample(bars, "1m", keep_incomplete=True)
    assert coarse["volume"].is_nan().to_list() == [True]


# -- a run -------------------------------------------------------------------------------------------------


def test_volume_bars_run_and_orders_fill_at_the_first_tick_of_the_next_bar() -> None:
    bars = volume_bars(SIX, 150)
    seen: list[tuple[float, float, float]] = []

    class BuyOnce(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            seen.append((timestamp.timestamp(), data["XYZ"]["close"], data["XYZ"]["volume"]))
            if len(seen) == 1:
                broker.buy("XYZ", 10)

    results = Engine(DataFeed(bars, stamp="event"), BuyOnce).run()
    assert seen == [
        (START.timestamp() + 1, 12.0, 150.0),
        (pytest.approx(START.timestamp() + 2), 9.0, 300.0),
        (START.timestamp() + 4, 11.0, 150.0),
    ]
    # Ordered after the first bar, at 1 s; the next tick printed 9 at 2 s.
    fills = results.fills.select("ts_event", "price", "quantity").rows()
    assert fills == [(START + dt.timedelta(seconds=2), 9.0, 10.0)]


# -- refusals ----------------------------------------------------------------------------------------------

Build = Callable[[Any], pl.DataFrame]
BUILDERS: list[Build] = [
    lambda frame: tick_bars(frame, 2),
    lambda frame: volume_bars(frame, 100),
    lambda frame: dollar_bars(frame, 100),
    lambda frame: imbalance_bars(frame, "tick", expected_ticks=2),
    lambda frame: time_bars(frame, "1m"),
]
REFUSED: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    (
        "unsorted",
        lambda f: f.reverse(),
        r"XYZ at 2024-03-01T14:30:04Z comes after a row of 2024-03-01T14:30:07Z",
    ),
    (
        "nan size",
        lambda f: f.with_columns(size=float("nan")),
        r"XYZ at 2024-03-01T14:30:00Z: size is missing",
    ),
    ("no size", lambda f: f.with_columns(size=pl.lit(None)), r"XYZ at 2024-03-01T14:30:00Z: size is missing"),
    (
        "negative",
        lambda f: f.with_columns(size=-pl.col("size")),
        r"XYZ at 2024-03-01T14:30:00Z: size is -100",
    ),
    ("nan price", lambda f: f.with_columns(price=float("nan")), r"XYZ at 2024-03-01T14:30:00Z: price is nan"),
    ("zero price", lambda f: f.with_columns(price=0.0), r"price is 0.0, and prices of XYZ are above zero"),
    ("sizes absent", lambda f: f.drop("size"), r"absent: size. The columns are symbol, timestamp, price;"),
    ("prices absent", lambda f: f.drop("price"), r"absent: price. The columns are symbol, timestamp, size;"),
    ("symbols absent", lambda f: f.drop("symbol"), r"no column is the symbol; the columns are timestamp,"),
    ("wide", lambda f: f.select("timestamp", XYZ="price"), r"one column of prices per symbol"),
    (
        "stamps absent",
        lambda f: f.drop("timestamp"),
        r"no column is the stamp; the columns are symbol, price,",
    ),
    ("naive", lambda f: f.with_columns(pl.col("timestamp").dt.replace_time_zone(None)), r"stamps are naive"),
    ("null stamp", lambda f: f.with_columns(pl.col("timestamp").shift(1)), r"row 0 has no stamp"),
    ("twins", lambda f: f.with_columns(Price=pl.col("price")), r"'price' and 'Price' are both our 'price'"),
    ("two stamps", lambda f: f.with_columns(date=pl.col("timestamp")), r"could each be the stamp"),
]


@pytest.mark.parametrize("build", BUILDERS, ids=["tick", "volume", "dollar", "imbalance", "time"])
@pytest.mark.parametrize(("spoil", "fault"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_bad_ticks_are_refused(
    spoil: Callable[[pl.DataFrame], pl.DataFrame], fault: str, build: Build
) -> None:
    with pytest.raises(DataError, match=f"ticks: .*{fault}"):
        build(spoil(SIX))


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda: tick_bars(SIX, 0), "n is 0; allowed are whole numbers from 1"),
        (lambda: tick_bars(SIX, 1.5), "n is 1.5; allowed are whole numbers"),  # type: ignore[arg-type]
        (lambda: tick_bars(SIX, n=True), "n is True"),
        (lambda: volume_bars(SIX, -1), "volume is -1; allowed are finite numbers above zero"),
        (lambda: volume_bars(SIX, float("nan")), "volume is nan"),
        (lambda: dollar_bars(SIX, float("inf")), "value is inf"),
        (
            lambda: imbalance_bars(SIX, "volum", expected_ticks=2),  # type: ignore[arg-type]
            "allowed are tick, volume, dollar; did you mean 'volume'",
        ),
        (lambda: imbalance_bars(SIX, "tick", expected_ticks=2, span=0.5), "span is 0.5"),
        (lambda: imbalance_bars(SIX, "tick", expected_ticks=9, limits=(1, 5)), "not within limits"),
        (lambda: imbalance_bars(SIX, "tick", expected_ticks=9, limits=(1,)), "expected a pair"),  # type: ignore[arg-type]
        (lambda: time_bars(SIX, "2d"), "every is '2d'; allowed are lengths below a day"),
        (lambda: time_bars(SIX, "1M"), "every is '1M'; allowed"),
        (lambda: time_bars(SIX, "1m", calendar="NYSEE"), "calendar 'NYSEE' is not known"),
        (lambda: time_bars(SIX, "1m", outside="keep"), "outside is 'keep'; allowed are 'refuse' and 'drop'"),  # type: ignore[arg-type]
        (lambda: resample(tick_bars(SIX, 2).reverse(), "1m"), "bars: XYZ at .* comes after a row of"),
        (lambda: resample(tick_bars(SIX, 2), "1m", stamp="open"), "interval is not declared"),
    ],
)
def test_bad_parameters_are_refused(call: Callable[[], pl.DataFrame], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        call()


def test_a_keyword_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(ArgumentError, match=r"'colums' is no keyword .* did you mean 'columns'"):
        tick_bars(SIX, 2, colums={"price": "px"})  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="'stamp' is no keyword of this function"):
        time_bars(SIX, "1m", stamp="open")  # type: ignore[call-arg]
