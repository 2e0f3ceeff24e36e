from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest.data import DataFeed, assemble
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind

FIELDS = ["open", "high", "low", "close", "volume"]
Shape = Callable[[pl.DataFrame], DataFeed]


@pytest.fixture(scope="module")
def some(prices: pl.DataFrame) -> pl.DataFrame:
    """Return a year of three shares, one of which starts in the middle of it."""
    return prices.filter(
        pl.col("session").dt.year() == 2012, pl.col("symbol").is_in(["AAPL", "FB", "IBM"])
    ).drop("adj_close")


def table(feed: DataFeed) -> pl.DataFrame:
    return assemble(feed).feeds[0].frame


def by_symbol(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        str(key[0]): part
        for key, part in frame.partition_by("symbol", as_dict=True, include_key=False).items()
    }


def wide(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {name: frame.pivot("symbol", index="session", values=name) for name in FIELDS}


def with_levels(frame: pl.DataFrame, levels: list[str]) -> pd.DataFrame:
    flat = frame.to_pandas().set_index(["session", "symbol"]).unstack("symbol")
    flat.columns.names = ["field", "symbol"]
    return flat.reorder_levels(levels, axis=1).sort_index(axis=1)


SHAPES: dict[str, Shape] = {
    "polars": lambda f: DataFeed(f, stamp="session"),
    "lazy": lambda f: DataFeed(f.lazy(), stamp="session"),
    "categorical symbols": lambda f: DataFeed(
        f.with_columns(pl.col("symbol").cast(pl.Categorical)), stamp="session"
    ),
    "reversed rows": lambda f: DataFeed(f.reverse(), stamp="session"),
    "many chunks": lambda f: DataFeed(
        pl.concat([f[:100], f[100:101], f[101:]], rechunk=False), stamp="session"
    ),
    "pyarrow": lambda f: DataFeed(f.to_arrow(), stamp="session"),
    "pyarrow batch": lambda f: DataFeed(
        f.rechunk().to_arrow().combine_chunks().to_batches()[0], stamp="session"
    ),
    "pandas": lambda f: DataFeed(f.to_pandas(), stamp="session"),
    "pandas with an index of dates": lambda f: DataFeed(f.to_pandas().set_index("session"), stamp="session"),
    "pandas with the row numbers of a filter": lambda f: DataFeed(
        pd.concat([f.to_pandas(), f.to_pandas()]).iloc[f.height :].sort_values("symbol"), stamp="session"
    ),
    "pandas with an unnamed index": lambda f: DataFeed(
        f.to_pandas().set_index(pd.DatetimeIndex(f["session"].to_numpy())).drop(columns="session"),
        stamp="session",
    ),
    "pandas with a row index of two levels": lambda f: DataFeed(
        f.to_pandas().set_index(["symbol", "session"]), stamp="session"
    ),
    "pandas fields over symbols": lambda f: DataFeed(with_levels(f, ["field", "symbol"]), stamp="session"),
    "pandas symbols over fields": lambda f: DataFeed(with_levels(f, ["symbol", "field"]), stamp="session"),
    "dict of polars": lambda f: DataFeed(by_symbol(f), stamp="session"),
    "dict of pandas": lambda f: DataFeed(
        {name: part.to_pandas().set_index("session") for name, part in by_symbol(f).items()}, stamp="session"
    ),
    "wide by field": lambda f: DataFeed(wide(f), stamp="session"),
    "wide pandas by field": lambda f: DataFeed(
        {name: part.to_pandas().set_index("session") for name, part in wide(f).items()}, stamp="session"
    ),
    "capitals": lambda f: DataFeed(
        f.rename({name: name.capitalize() for name in FIELDS} | {"session": "Date", "symbol": "Ticker"}),
        stamp="session",
    ),
    "renames": lambda f: DataFeed(
        f.rename({"close": "px_last", "session": "day", "symbol": "bbg"}),
        stamp="session",
        columns={"close": "px_last", "session": "day", "symbol": "bbg"},
    ),
    "renames the other way round": lambda f: DataFeed(
        f.rename({"close": "px_last", "session": "day", "symbol": "bbg"}),
        stamp="session",
        columns={"px_last": "close", "day": "session", "bbg": "symbol"},
    ),
    "whole numbers as integers": lambda f: DataFeed(
        f.with_columns(pl.col("volume").cast(pl.Int64)), stamp="session"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_table(shape: str, some: pl.DataFrame) -> None:
    expected = table(DataFeed(some, stamp="session"))
    assert_frame_equal(table(SHAPES[shape](some)), expected)


def test_a_wide_frame_of_prices_is_read_as_prints(some: pl.DataFrame, ns: Callable[[str], int]) -> None:
    closes = some.pivot("symbol", index="session", values="close")
    data = assemble(DataFeed(closes, kind="trade", stamp="session"))
    assert data.feeds[0].kind is DataKind.TRADE
    frame = data.feeds[0].frame
    assert frame.columns == ["ts_event", "instrument", "price", "size"]
    assert frame["size"].is_nan().all()
    expected = table(DataFeed(some, stamp="session"))
    assert_frame_equal(
        frame.select("ts_event", "instrument", "price"),
        expected.select("ts_event", "instrument", price="close"),
    )
    # FB listed in May: a null is no row, not a price.
    assert frame.filter(pl.col("instrument") == 1)["ts_event"].min() == ns("2012-05-18T16:00:00-04:00")


def test_a_wide_frame_is_refused_as_bars_since_their_open_would_be_invented(some: pl.DataFrame) -> None:
    closes = some.pivot("symbol", index="session", values="close")
    with pytest.raises(DataError, match=r"its opening price would be invented.*kind='trade'"):
        assemble(DataFeed(closes, stamp="session"))
    with pytest.raises(DataError, match="a bar needs open, high, low, close; absent: open, high, low"):
        assemble(DataFeed({"close": closes}, stamp="session"))


def test_tickers_that_are_called_like_fields_are_symbols(some: pl.DataFrame) -> None:
    parts = by_symbol(some)
    data = assemble(DataFeed({"LOW": parts["AAPL"], "OPEN": parts["IBM"]}, stamp="session"))
    assert data.symbols == ("LOW", "OPEN")


def test_a_frame_of_one_symbol_takes_its_name_from_symbols(some: pl.DataFrame) -> None:
    one = some.filter(pl.col("symbol") == "IBM")
    named = table(DataFeed(one.drop("symbol"), stamp="session", symbols=["IBM"]))
    assert_frame_equal(named, table(DataFeed(one, stamp="session")))
    with pytest.raises(DataError, match=r"no column is the symbol; .*or give symbols=\['SPY'\]"):
        assemble(DataFeed(one.drop("symbol"), stamp="session"))


def test_missing_rows_of_wide_frames_are_no_rows_but_half_rows_are_refused(some: pl.DataFrame) -> None:
    frames = wide(some)
    hole = frames["low"].with_columns(
        pl.when(pl.col("session") == dt.date(2012, 6, 1)).then(None).otherwise(pl.col("IBM")).alias("IBM")
    )
    with pytest.raises(DataError, match=r"IBM at 2012-06-01T20:00:00Z: low is missing"):
        assemble(DataFeed({**frames, "low": hole}, stamp="session"))


def test_volume_may_be_absent_or_missing_and_is_nan(some: pl.DataFrame) -> None:
    assert table(DataFeed(some.drop("volume"), stamp="session"))["volume"].is_nan().all()
    holed = some.with_columns(
        volume=pl.when(pl.col("symbol") == "IBM").then(None).otherwise(pl.col("volume"))
    )
    frame = table(DataFeed(holed, stamp="session"))
    assert frame["volume"].null_count() == 0
    assert frame.filter(pl.col("instrument") == 2)["volume"].is_nan().all()


def test_numeric_columns_become_features_and_others_are_reported(some: pl.DataFrame) -> None:
    rich = some.with_columns(
        momentum=pl.lit(1, dtype=pl.Int32),
        is_liquid=pl.lit(value=True),
        venue=pl.lit("Q"),
        gap=pl.lit(None, dtype=pl.Float32),
    )
    feed = assemble(DataFeed(rich, stamp="session")).feeds[0]
    assert feed.extra == ("momentum", "is_liquid", "gap")
    assert feed.frame.columns[-3:] == list(feed.extra)
    assert feed.frame["gap"].is_nan().all()
    assert set(feed.frame[name].dtype for name in feed.extra) == {pl.Float64}
    assert feed.report.notes == ("not loaded as features: venue (String)",)
    chosen = assemble(DataFeed(rich, stamp="session", fields=["gap"])).feeds[0]
    assert chosen.extra == ("gap",)
    assert assemble(DataFeed(rich, stamp="session", fields=[])).feeds[0].extra == ()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            {"fields": ["momentun"]},
            "fields names 'momentun', which is no column of the source; did you mean 'momentum'",
        ),
        ({"fields": ["venue"]}, "field 'venue' is String; features are numbers"),
        (
            {"columns": {"close": "px_lst"}},
            "columns reads 'close' from 'px_lst', which the source does not have",
        ),
        ({"columns": {"open": "close"}}, "columns maps 'open' to 'close', and the source has both"),
        ({"columns": {"close": "momentum", "last": "momentum"}}, "twice; each name stands for one column"),
        ({"symbols": ["IBN"]}, "symbols names 'IBN', which the source does not have; did you mean 'IBM'"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_nearest(
    options: dict[str, Any], fault: str, some: pl.DataFrame
) -> None:
    rich = some.with_columns(momentum=pl.lit(1.0), venue=pl.lit("Q"))
    with pytest.raises(DataError, match=fault):
        assemble(DataFeed(rich, stamp="session", **options))


def test_a_column_that_makes_way_for_another_is_reported(some: pl.DataFrame) -> None:
    rich = some.with_columns(adjusted=pl.col("close") / 2)
    rich = rich.with_columns(pl.col("open", "high", "low") / 2)
    feed = assemble(DataFeed(rich, stamp="session", columns={"close": "adjusted"})).feeds[0]
    assert feed.frame["close"].max() == some["close"].max() / 2
    assert feed.report.notes == ("column close not loaded, another one stands for it",)


@pytest.mark.parametrize(
    ("drop", "fault"),
    [
        (["close"], "a bar needs open, high, low, close; absent: close"),
        (["symbol"], "no column is the symbol"),
        (["session"], "no column is the stamp"),
    ],
)
def test_an_absent_column_is_refused_with_those_that_are_there(
    drop: list[str], fault: str, some: pl.DataFrame
) -> None:
    with pytest.raises(DataError, match=fault):
        assemble(DataFeed(some.drop(drop), stamp="session"))


def test_two_columns_that_could_be_the_stamp_are_refused(some: pl.DataFrame) -> None:
    split = some.rename({"session": "date"}).with_columns(time=pl.lit("16:00"))
    with pytest.raises(DataError, match="date and time could each be the stamp"):
        assemble(DataFeed(split, stamp="session"))


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(DataError, match="int is no frame; accepted are polars, pandas and pyarrow frames"):
        assemble(DataFeed(3, stamp="session"))
    with pytest.raises(DataError, match="no prices were given"):
        assemble(DataFeed(stamp="session"))
    with pytest.raises(DataError, match="DataFrame is no feed; wrap prices as DataFeed"):
        assemble([pl.DataFrame({"a": [1]})])  # type: ignore[list-item]


def pandas_prints(stamps: list[pd.Timestamp], prices: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": pd.Series(stamps, dtype=object), "symbol": "X", "price": prices})


def test_pandas_stamps_in_several_zones_keep_their_instants(ns: Callable[[str], int]) -> None:
    stamps = [
        pd.Timestamp("2012-07-03 10:00", tz="America/New_York"),
        pd.Timestamp("2012-07-03 14:01", tz="UTC"),
    ]
    frame = table(DataFeed(pandas_prints(stamps, [1.0, 2.0]), kind="trade", stamp="event"))
    assert frame["ts_event"].to_list() == [ns("2012-07-03T14:00:00+00:00"), ns("2012-07-03T14:01:00+00:00")]


def test_pandas_stamps_of_which_some_are_naive_are_refused() -> None:
    stamps = [pd.Timestamp("2012-07-03 10:00", tz="America/New_York"), pd.Timestamp("2012-07-03 10:01")]
    with pytest.raises(DataError, match="some stamps of column timestamp have a zone and others have none"):
        assemble(DataFeed(pandas_prints(stamps, [1.0, 2.0]), kind="trade", stamp="event"))


def test_a_pandas_column_of_several_types_is_refused() -> None:
    frame = pandas_prints([pd.Timestamp("2012-07-03 10:00", tz="UTC")] * 2, [1.0, "one"])
    with pytest.raises(DataError, match="the pandas frame cannot be converted to Arrow columns"):
        assemble(DataFeed(frame, kind="trade", stamp="event"))


def test_quotes_trades_and_context_have_their_own_columns() -> None:
    at = [dt.datetime(2012, 7, 3, 14, n, tzinfo=dt.UTC) for n in range(3)]
    quotes = pl.DataFrame({"timestamp": at, "symbol": "X", "bid_price": 1.0, "ask_price": 1.1, "bid_size": 5})
    trades = pl.DataFrame({"timestamp": at, "symbol": "X", "price": 1.0, "size": [1, None, 3]})
    context = pl.DataFrame({"timestamp": at, "vix": [15.0, None, 16.0]})
    data = assemble(
        [
            DataFeed(context, name="macro", kind="context", stamp="event"),
            DataFeed(trades, name="prints", kind="trade", stamp="event", matches_orders=False),
            DataFeed(quotes, name="book", kind="quote", stamp="event"),
        ]
    )
    assert [(feed.name, feed.frame.columns) for feed in data.feeds] == [
        ("book", ["ts_event", "instrument", "bid_price", "ask_price", "bid_size", "ask_size"]),
        ("prints", ["ts_event", "instrument", "price", "size"]),
        ("macro", ["ts_event", "vix"]),
    ]
    assert data.feeds[2].extra == ("vix",)
    assert data.matching == (0,)


def test_a_daily_context_series_is_known_at_the_close_of_its_session(ns: Callable[[str], int]) -> None:
    prices = pl.DataFrame(
        {"session": [dt.date(2012, 7, 3)], "symbol": "X", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    )
    rates = pl.DataFrame({"date": [dt.date(2012, 7, 3)], "rate": [0.25]})
    data = assemble(
        [DataFeed(prices, stamp="session"), DataFeed(rates, name="rates", kind="context", stamp="session")]
    )
    assert data.feeds[1].frame.rows() == [(ns("2012-07-03T13:00:00-04:00"), 0.25)]


def test_numbers_of_other_types_become_float64(some: pl.DataFrame) -> None:
    odd = some.with_columns(pl.col("close").cast(pl.Float32), pl.col("open").cast(pl.Decimal(20, 4)))
    frame = table(DataFeed(odd, stamp="session", range_check="keep"))
    assert {str(frame[name].dtype) for name in FIELDS} == {"Float64"}
    np.testing.assert_array_equal(
        frame["open"].to_numpy(), table(DataFeed(some, stamp="session"))["open"].to_numpy()
    )


def test_text_where_a_number_should_be_is_refused(some: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"AAPL at 2012-01-03 \(row 0\): close is 'n/a', which is no number"):
        assemble(DataFeed(some.with_columns(close=pl.lit("n/a")), stamp="session"))


def test_a_table_of_another_library_is_read_through_the_arrow_interface(some: pl.DataFrame) -> None:
    class Foreign:
        def __init__(self, table: pa.Table) -> None:
            self.table = table

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.table.__arrow_c_stream__(requested_schema)

    assert_frame_equal(
        table(DataFeed(Foreign(some.to_arrow()), stamp="session")), table(DataFeed(some, stamp="session"))
    )


def test_frames_without_a_usable_shape_are_refused(some: pl.DataFrame) -> None:
    with pytest.raises(DataError, match="the mapping of frames is empty"):
        assemble(DataFeed({}, stamp="session"))
    with pytest.raises(DataError, match=r"none of symbols=\['GE'\] is in the mapping"):
        assemble(DataFeed(by_symbol(some), stamp="session", symbols=["GE"]))
    words = some.pivot("symbol", index="session", values="close").with_columns(IBM=pl.lit("n/a"))
    with pytest.raises(DataError, match="column IBM of the wide frame of price is String"):
        assemble(DataFeed(words, kind="trade", stamp="session"))
    deep = with_levels(some, ["field", "symbol"])
    deep.columns = pd.MultiIndex.from_tuples([(*pair, "x") for pair in deep.columns])
    with pytest.raises(DataError, match="the columns have 3 levels; two are read"):
        assemble(DataFeed(deep, stamp="session"))
    closes = with_levels(some, ["field", "symbol"])[["close", "volume"]]
    with pytest.raises(DataError, match="on neither level of the columns are all of close, high, low, open"):
        assemble(DataFeed(closes, stamp="session"))


def test_symbols_select_from_every_shape(some: pl.DataFrame) -> None:
    expected = table(DataFeed(some.filter(pl.col("symbol") == "IBM"), stamp="session"))
    sources = {
        "long": some,
        "categorical": some.with_columns(pl.col("symbol").cast(pl.Categorical)),
        "by symbol": by_symbol(some),
        "wide": wide(some),
        "levels": with_levels(some, ["field", "symbol"]),
    }
    for source in sources.values():
        assert_frame_equal(table(DataFeed(source, stamp="session", symbols=["IBM"])), expected)
        with pytest.raises(DataError, match=r"'IBN', which the source does not have; did you mean 'IBM'"):
            assemble(DataFeed(source, stamp="session", symbols=["IBM", "IBN"]))


def test_one_symbol_may_be_given_as_a_word(some: pl.DataFrame) -> None:
    feed = DataFeed(some, stamp="session", symbols="IBM")
    assert assemble(feed).symbols == ("IBM",)
    with pytest.raises(DataError, match="symbols 3 is neither a symbol nor a list"):
        DataFeed(some, stamp="session", symbols=3)  # type: ignore[arg-type]


def test_a_mapping_in_which_only_some_frames_have_arrivals_is_refused(some: pl.DataFrame) -> None:
    parts = by_symbol(some)
    late = parts["IBM"].with_columns(ts_arrival=pl.lit(dt.datetime(2013, 1, 1, tzinfo=dt.UTC)))
    with pytest.raises(DataError, match="some frames of the mapping have ts_arrival and others do not"):
        assemble(DataFeed({**parts, "IBM": late}, stamp="session"))


def test_frames_of_a_mapping_may_have_different_features(some: pl.DataFrame) -> None:
    parts = by_symbol(some)
    parts["IBM"] = parts["IBM"].with_columns(beta=pl.lit(0.8))
    feed = assemble(DataFeed(parts, stamp="session")).feeds[0]
    assert feed.extra == ("beta",)
    assert feed.frame.group_by("instrument").agg(pl.col("beta").mean()).sort("instrument")[
        "beta"
    ].is_nan().to_list() == [
        True,
        True,
        False,
    ]


def test_two_columns_that_differ_in_case_only_are_refused(some: pl.DataFrame) -> None:
    with pytest.raises(DataError, match="'close' and 'Close' are both our 'close'; drop or rename one"):
        assemble(DataFeed(some.with_columns(Close=pl.col("close")), stamp="session"))
