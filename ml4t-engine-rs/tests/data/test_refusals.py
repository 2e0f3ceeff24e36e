from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest.data import DataFeed, assemble
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument

DAYS = [dt.date(2012, 7, 2), dt.date(2012, 7, 3), dt.date(2012, 7, 5)]
AT = "IBM at 2012-07-03T17:00:00Z"


def bars(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    good = {
        "open": [10.0] * 3,
        "high": [11.0] * 3,
        "low": [9.0] * 3,
        "close": [10.5] * 3,
        "volume": [100.0] * 3,
    }
    return pl.DataFrame({"session": DAYS, "symbol": "IBM", **good, **columns}, strict=False)


def refused(frame: pl.DataFrame, fault: str, **options: Any) -> None:  # noqa: ANN401 - options of the feed
    with pytest.raises(DataError, match=fault):
        assemble(DataFeed(frame, stamp="session", **options))


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "missing"), (float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")],
)
def test_a_price_that_is_no_number_is_refused_with_symbol_instant_and_value(
    column: str, value: float | None, shown: str
) -> None:
    frame = bars(**{column: [10.0, value, 10.0]})
    refused(
        frame, f"feed prices: {AT}: {column} is {shown}; each price of a bar is a finite number: drop the row"
    )


@pytest.mark.parametrize("value", [0.0, -0.0, -37.63])
def test_a_price_of_zero_or_below_needs_an_instrument_that_allows_it(value: float) -> None:
    frame = bars(low=[9.0, value, 9.0])
    refused(frame, rf"{AT}: low is {value}, .* declare Instrument\('IBM', allows_negative_prices=True\)")
    allowed = DataFeed(frame, stamp="session", instruments=[Instrument("IBM", allows_negative_prices=True)])
    assert assemble(allowed).feeds[0].frame["low"].to_list() == [9.0, value, 9.0]


def test_negative_prices_of_one_instrument_do_not_excuse_another() -> None:
    oil = bars(low=[9.0, -37.63, 9.0]).with_columns(symbol=pl.lit("CL"))
    both = pl.concat([oil, bars(low=[9.0, 9.0, -1.0])])
    refused(
        both, "IBM at 2012-07-05.*low is -1.0", instruments=[Instrument("CL", allows_negative_prices=True)]
    )


def test_a_high_below_its_low_is_refused_under_every_policy() -> None:
    frame = bars(high=[11.0, 8.0, 11.0])
    for policy in ("refuse", "widen", "keep"):
        refused(frame, f"{AT}: high 8.0 is below low 9.0; correct or drop the row", range_check=policy)


def test_an_open_or_close_outside_the_range_follows_the_named_policy() -> None:
    frame = bars(close=[10.5, 11.25, 8.5])
    refused(
        frame,
        rf"{AT}: open or close lies outside low and high \(open 10.0, high 11.0, low 9.0, close 11.25\), "
        r"in 2 bars",
    )
    kept = assemble(DataFeed(frame, stamp="session", range_check="keep")).feeds[0]
    assert kept.frame["high"].to_list() == [11.0, 11.0, 11.0]
    assert kept.report.notes == ("2 bars with open or close outside low and high, kept",)
    widened = assemble(DataFeed(frame, stamp="session", range_check="widen")).feeds[0]
    assert widened.frame["high"].to_list() == [11.0, 11.25, 11.0]
    assert widened.frame["low"].to_list() == [9.0, 9.0, 8.5]
    assert widened.report.notes == ("2 bars widened to include their open and close",)
    refused(frame, "range_check 'ignore' is not one of refuse, widen, keep", range_check="ignore")


@pytest.mark.parametrize("value", [-1.0, float("inf")])
def test_a_volume_that_cannot_be_is_refused(value: float) -> None:
    refused(bars(volume=[1.0, value, 1.0]), f"{AT}: volume is {value}; a volume is zero or more")


def test_two_bars_of_one_instrument_and_session_are_refused() -> None:
    frame = pl.concat([bars(), bars()[1:2]])
    refused(frame, f"{AT} has two rows; keep one")


def test_overlapping_bars_of_one_instrument_are_refused() -> None:
    at = [dt.datetime(2012, 7, 3, 14, 30, tzinfo=dt.UTC), dt.datetime(2012, 7, 3, 14, 31, tzinfo=dt.UTC)]
    frame = bars()[:2].with_columns(timestamp=pl.Series(at)).drop("session")
    with pytest.raises(
        DataError,
        match="IBM at 2012-07-03T14:36:00Z: the bar opens at 2012-07-03T14:31:00Z, before the last one ended "
        "at 2012-07-03T14:35:00Z; bars of one instrument may not overlap: check interval and stamp",
    ):
        assemble(DataFeed(frame, stamp="open", interval="5m"))
    others = frame.with_columns(symbol=pl.Series(["IBM", "MSFT"]))
    assert len(assemble(DataFeed(others, stamp="open", interval="5m")).instruments) == 2


def test_a_bar_that_opens_when_it_ends_is_refused() -> None:
    at = dt.datetime(2012, 7, 3, 14, 30, tzinfo=dt.UTC)
    frame = bars()[:1].with_columns(ts_event=pl.lit(at), ts_open=pl.lit(at)).drop("session")
    with pytest.raises(DataError, match="the bar opens at 2012-07-03T14:30:00Z, not before it ends"):
        assemble(DataFeed(frame, stamp="event"))


def test_an_empty_feed_is_refused_and_says_the_range() -> None:
    refused(
        bars()[:0], "feed prices: there are no rows; check the range, the symbols and the source, or leave"
    )
    with pytest.raises(DataError, match="no rows between 2013-01-01 and the end"):
        assemble(DataFeed(bars(), stamp="session"), start="2013-01-01")
    with pytest.raises(DataError, match="no feed was given"):
        assemble([])


def test_a_row_without_a_symbol_is_refused() -> None:
    refused(bars(symbol=["IBM", None, "IBM"]), r"row 1 has no symbol \(column symbol is null\)")


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        (dt.datetime(2012, 7, 3, 9, 30), None, "start 2012-07-03 09:30:00 is a naive datetime"),
        ("July", None, "start 'July' is neither a date"),
        ("2012-07-03", "2012-07-02", "end 2012-07-02 is before start 2012-07-03"),
        (3, None, "start 3 is neither a date nor a datetime"),
    ],
)
def test_a_range_that_is_none_is_refused(start: Any, end: Any, fault: str) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match=fault):
        assemble(DataFeed(bars(), stamp="session"), start=start, end=end)


def quotes(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    at = [dt.datetime(2012, 7, 3, 14, 30, n, tzinfo=dt.UTC) for n in range(3)]
    good = {"bid_price": [10.0] * 3, "ask_price": [10.1] * 3, "bid_size": [1.0] * 3, "ask_size": [2.0] * 3}
    return pl.DataFrame({"timestamp": at, "symbol": "IBM", **good, **columns}, strict=False)


def test_a_quote_may_lack_one_side_but_not_both() -> None:
    one = DataFeed(quotes(bid_price=[10.0, None, 10.0]), kind="quote", stamp="event")
    assert assemble(one).feeds[0].frame["bid_price"].is_nan().to_list() == [False, True, False]
    assert one.report.notes == ("1 quotes have one side only",)
    none = quotes(bid_price=[10.0, None, 10.0], ask_price=[10.1, None, 10.1])
    with pytest.raises(DataError, match="IBM at 2012-07-03T14:30:01Z: the quote has neither bid nor ask"):
        assemble(DataFeed(none, kind="quote", stamp="event"))


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf")])
def test_a_quoted_price_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(DataError, match=f"IBM at 2012-07-03T14:30:01Z: ask_price is {value}"):
        assemble(DataFeed(quotes(ask_price=[10.1, value, 10.1]), kind="quote", stamp="event"))


def test_crossed_quotes_are_kept_and_reported() -> None:
    feed = DataFeed(quotes(bid_price=[10.0, 10.2, 10.0]), kind="quote", stamp="event")
    assert feed.report.notes == ("1 quotes are crossed (bid above ask), kept",)


def test_prints_of_one_instant_are_kept_in_the_order_of_the_source() -> None:
    at = dt.datetime(2012, 7, 3, 14, 30, tzinfo=dt.UTC)
    frame = pl.DataFrame({"timestamp": at, "symbol": ["B", "A", "B", "A"], "price": [1.0, 2.0, 3.0, 4.0]})
    table = assemble(DataFeed(frame, kind="trade", stamp="event")).feeds[0].frame
    assert table.select("instrument", "price").rows() == [(0, 2.0), (0, 4.0), (1, 1.0), (1, 3.0)]


@pytest.mark.parametrize("value", [None, float("nan"), 0.0])
def test_a_print_without_a_price_is_refused(value: float | None) -> None:
    frame = pl.DataFrame(
        {"timestamp": [dt.datetime(2012, 7, 3, 14, 30, tzinfo=dt.UTC)], "symbol": "A", "price": [value]},
        schema_overrides={"price": pl.Float64},
    )
    with pytest.raises(DataError, match="A at 2012-07-03T14:30:00Z: price is"):
        assemble(DataFeed(frame, kind="trade", stamp="event"))


def test_a_context_series_with_two_values_at_one_instant_is_refused() -> None:
    at = dt.datetime(2012, 7, 3, 14, 30, tzinfo=dt.UTC)
    context = DataFeed(
        pl.DataFrame({"timestamp": [at, at], "vix": [1.0, 2.0]}), name="vix", kind="context", stamp="event"
    )
    with pytest.raises(DataError, match="feed vix: 2012-07-03T14:30:00Z has two rows"):
        assemble([DataFeed(bars(), stamp="session"), context])


def test_a_feature_with_a_name_of_the_table_is_refused() -> None:
    frame = bars().with_columns(signals=pl.lit(1.0))
    refused(frame, "a feature cannot be called 'signals'")
