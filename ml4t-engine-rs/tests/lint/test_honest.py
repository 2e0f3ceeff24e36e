"""What looks odd and is right raises no finding."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import lint
from ml4t.backtest.calendars import session_table

Bars = Callable[..., pl.DataFrame]
Minutes = Callable[..., pl.DataFrame]
PRICES = ("open", "high", "low", "close")


def split_at(frame: pl.DataFrame, row: int, ratio: float) -> pl.DataFrame:
    """Return raw prices and volumes with a split before a row."""
    is_after = pl.int_range(pl.len()) >= row
    after = frame.with_columns(
        *(
            pl.when(is_after).then((pl.col(name) / ratio).round(4)).otherwise(name).alias(name)
            for name in PRICES
        ),
        volume=pl.when(is_after).then((pl.col("volume") * ratio).round()).otherwise("volume"),
    )
    return after.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then("close").otherwise(name).alias(name)
        for name in ("open", "high", "low")
    )


@pytest.mark.parametrize("ratio", [2.0, 1.5, 20.0, 0.1, 1.25])
def test_splits_with_their_actions(bars: Bars, ratio: float) -> None:
    actions = pl.DataFrame({"symbol": ["A"], "ex_date": ["2024-01-19"], "kind": ["split"], "ratio": [ratio]})
    assert lint(split_at(bars(), 12, ratio), actions=actions).findings == ()


def test_a_split_on_a_day_without_a_session_counts_at_the_next(bars: Bars) -> None:
    # The 13th row is that of Friday 19 January, the 14th that of Monday.
    actions = pl.DataFrame({"symbol": ["A"], "ex_date": ["2024-01-20"], "kind": ["split"], "ratio": [2.0]})
    assert lint(split_at(bars(), 13, 2.0), actions=actions).findings == ()


def test_a_stock_dividend_and_a_spin_off_with_their_actions(bars: Bars) -> None:
    gift = pl.DataFrame(
        {"symbol": ["A"], "ex_date": ["2024-01-19"], "kind": ["stock_dividend"], "ratio": [1.0]}
    )
    assert lint(split_at(bars(), 12, 2.0), actions=gift).findings == ()
    part = pl.DataFrame(
        {
            "symbol": ["A"],
            "ex_date": ["2024-01-19"],
            "kind": ["spin_off"],
            "ratio": [1.0],
            "amount": [10.0],
            "into": ["B"],
        }
    )
    assert lint(split_at(bars(), 12, 2.0), actions=part).findings == ()


@pytest.mark.parametrize("at", [8, 22])
def test_a_stock_without_a_trade_for_two_days(bars: Bars, at: int) -> None:
    frame = bars()
    is_still = pl.int_range(pl.len()).is_between(at, at + 1)
    last = frame["close"][at - 1]
    still = frame.with_columns(
        *(pl.when(is_still).then(pl.lit(last)).otherwise(name).alias(name) for name in PRICES),
        volume=pl.when(is_still).then(0.0).otherwise("volume"),
    )
    assert lint(pl.concat([still, bars(symbol="B")])).findings == ()


@pytest.mark.parametrize("stamp", ["open", "close"])
def test_half_days(minutes: Minutes, stamp: str) -> None:
    # New York closed at 13:00 on 3 July 2024.
    frame = minutes(stamp, start="2024-07-02")
    assert frame.height == 13 + 7 + 13
    assert lint(frame, stamp=stamp, interval="30m").findings == ()


def test_daily_rows_over_half_days_holidays_and_the_change_of_clocks(bars: Bars) -> None:
    assert lint(bars(250, start="2024-01-02")).findings == ()


@pytest.mark.parametrize("stamp", ["open", "close", None])
def test_coins_that_never_rest(stamp: str | None) -> None:
    begin = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    count = 24 * 6
    closes = [round(60_000.01 + 13.37 * (i % 7) - 5.55 * (i % 4), 2) for i in range(count)]
    hours = pl.DataFrame(
        {
            "symbol": "BTC",
            "timestamp": [begin + dt.timedelta(hours=i + (stamp == "close")) for i in range(count)],
            "open": closes,
            "high": [close + 20 for close in closes],
            "low": [close - 20 for close in closes],
            "close": closes,
            "volume": [round(12.3456789 + i / 7, 8) for i in range(count)],
        }
    )
    assert lint(hours, calendar="24/7", stamp=stamp, interval="1h" if stamp else None).findings == ()


def test_daily_coins_on_weekends(bars: Bars) -> None:
    assert lint(bars(60, calendar="24/7"), calendar="24/7").findings == ()


def test_currencies_with_five_decimals(bars: Bars) -> None:
    rates = [round(1.08 + 0.00013 * (i % 11) - 0.00007 * (i % 5), 5) for i in range(40)]
    pairs = bars(rates, calendar="fx_24_5").drop("volume")
    assert lint(pairs, calendar="fx_24_5").findings == ()


def test_a_lunch_break() -> None:
    # Tokyo rests from 11:30 to 12:30.
    table = session_table("JPX", dt.date(2023, 3, 1), dt.date(2023, 3, 3))
    step = 30 * 60 * 10**9
    ends = [
        at
        for _, begin, end in table.frame.iter_rows()
        for at in range(begin + step, end + 1, step)
        if not any(start < at <= stop for start, stop in table.breaks.iter_rows())
    ]
    closes = [1000.0 + 3 * (i % 5) + i for i in range(len(ends))]
    frame = pl.DataFrame(
        {
            "symbol": "7203",
            "timestamp": pl.Series(ends).cast(pl.Datetime("ns", "UTC")),
            **dict.fromkeys(PRICES, closes),
            "volume": [100.0 * (i + 1) for i in range(len(ends))],
        }
    )
    assert lint(frame, calendar="JPX", stamp="close", interval="30m").findings == ()


def test_prices_in_32_bits_and_in_sixteenths(bars: Bars) -> None:
    narrow = bars(60).with_columns(pl.col(*PRICES).cast(pl.Float32).cast(pl.Float64))
    assert lint(narrow).findings == ()
    fractions = bars(60).with_columns((pl.col(*PRICES) * 32).round() / 32)
    assert lint(fractions).findings == ()


def test_a_crash_that_stays_down(bars: Bars) -> None:
    # AAPL of 29 September 2000: 53.50, then 28.19 at the open and 25.75 at the close.
    closes = [53.5 + 0.1 * (i % 3) if i < 12 else 25.75 - 0.1 * (i % 3) for i in range(24)]
    frame = bars(closes)
    crash = pl.int_range(pl.len()) == 12
    frame = frame.with_columns(
        open=pl.when(crash).then(28.19).otherwise("open"),
        high=pl.when(crash).then(29.0).otherwise("high"),
    )
    none = pl.DataFrame({"symbol": ["A"], "ex_date": ["2020-06-21"], "kind": ["split"], "ratio": [2.0]})
    assert lint(frame, actions=none).findings == ()


def test_news_that_halves_a_price_is_a_doubt_and_no_error(bars: Bars) -> None:
    closes = [40.0 + 0.1 * (i % 3) if i < 12 else 20.2 - 0.1 * (i % 3) for i in range(24)]
    news = pl.int_range(pl.len()) == 12
    frame = bars(closes).with_columns(
        open=pl.when(news).then(20.0).otherwise("open"),
        high=pl.when(news).then(20.5).otherwise("high"),
        low=pl.when(news).then(19.5).otherwise("low"),
        volume=pl.when(news).then(30_000.0).otherwise("volume"),
    )
    none = pl.DataFrame({"symbol": ["A"], "ex_date": ["2020-06-21"], "kind": ["split"], "ratio": [2.0]})
    report = lint(frame, actions=none)
    assert (report.codes, report.is_clean) == (("split-unmarked",), True)


def test_symbols_that_begin_late_and_end_early(bars: Bars) -> None:
    frame = pl.concat([bars(), bars(symbol="B")[10:], bars(symbol="C")[:9]]).sort("session", "symbol")
    assert lint(frame).findings == ()


def test_hours_before_the_opening_have_small_volumes(minutes: Minutes) -> None:
    # A hundred times the volume from the opening on is what every day looks like.
    frame = minutes("close", sessions=6).with_columns(
        volume=pl.when(pl.col("timestamp").dt.hour() < 18).then(5000.0).otherwise(50.0)
        + pl.int_range(pl.len()) % 3
    )
    assert lint(frame, stamp="close", interval="30m").findings == ()


@given(seed=st.integers(0, 2**32 - 1), volatility=st.sampled_from([0.01, 0.03, 0.05]))
def test_no_error_in_random_walks(seed: int, volatility: float) -> None:
    rng = np.random.default_rng(seed)
    labels = session_table("weekdays", dt.date(2020, 1, 1), dt.date(2021, 6, 1)).frame["label"].head(300)
    moves = rng.standard_t(4, 300) * volatility
    close = np.round(50 * np.exp(np.cumsum(np.clip(moves, -0.4, 0.4))), 2).clip(0.5)
    opens = np.round(np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, volatility / 2, 300)), 2)
    wide = np.exp(np.abs(rng.normal(0, volatility / 3, 300)))
    frame = pl.DataFrame(
        {
            "symbol": "A",
            "session": labels,
            "open": opens,
            "high": np.maximum(np.round(np.maximum(opens, close) * wide, 2), np.maximum(opens, close)),
            "low": np.minimum(np.round(np.minimum(opens, close) / wide, 2), np.minimum(opens, close)),
            "close": close,
            "volume": np.round(np.exp(rng.normal(math.log(1e5), 0.8, 300))),
        }
    )
    none = pl.DataFrame({"symbol": ["A"], "ex_date": ["2010-01-01"], "kind": ["split"], "ratio": [2.0]})
    report = lint(frame, calendar="weekdays", actions=none)
    assert report.errors == (), report
