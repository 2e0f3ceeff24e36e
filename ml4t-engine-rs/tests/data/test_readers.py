from __future__ import annotations

import datetime as dt
import gzip
import re
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import datasets
from ml4t.backtest.data import DataFeed, MarketData, assemble
from ml4t.backtest.data.bounds import Bounds
from ml4t.backtest.data.frames import open_source
from ml4t.backtest.data.prepare import plan
from ml4t.backtest.data.settings import settings_of
from ml4t.core.errors import DataError


def explain(feed: DataFeed, start: str | None = None, end: str | None = None) -> str:
    settings = settings_of(feed)
    (part,) = open_source(feed.prices, settings).parts
    return plan(part, settings, Bounds.parse(start, end))[0].explain()


def same(left: MarketData, right: MarketData) -> None:
    assert left.instruments == right.instruments
    assert len(left.feeds) == len(right.feeds)
    for one, other in zip(left.feeds, right.feeds, strict=True):
        assert_frame_equal(one.frame, other.frame)
    for one, other in zip(left.calendars, right.calendars, strict=True):
        assert_frame_equal(one.frame, other.frame)


@pytest.fixture(scope="module")
def minutes() -> pl.DataFrame:
    """Return two months of minute bars of three shares, stamped at their open, in New York time."""
    days = pl.date_range(dt.date(2012, 6, 1), dt.date(2012, 7, 31), eager=True)
    days = days.filter((days.dt.weekday() <= 5) & (days != dt.date(2012, 7, 4)))
    minute = pl.DataFrame({"minute": range(195)})
    frame = (
        pl.DataFrame({"day": days})
        .join(minute, how="cross")
        .join(pl.DataFrame({"symbol": ["A", "B", "C"]}), how="cross")
    )
    local = (
        pl.col("day").cast(pl.Datetime("us"))
        + pl.duration(hours=9, minutes=30)
        + pl.duration(minutes="minute")
    )
    price = 10 + (pl.col("minute") % 7) / 8
    return frame.select(
        timestamp=local.dt.replace_time_zone("America/New_York"),
        symbol="symbol",
        open=price,
        high=price + 0.5,
        low=price - 0.5,
        close=price + 0.125,
        volume=pl.lit(100.0),
    )


@pytest.mark.parametrize("form", ["iso dates", "compact dates"])
def test_daily_csv_equals_parquet(form: str, prices: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    text = (
        prices.with_columns(pl.col("session").dt.to_string("%Y%m%d")) if form == "compact dates" else prices
    )
    text.write_csv(path)
    parquet = DataFeed.from_parquet(datasets.path("us_equity_daily"), stamp="session")
    for run in ({}, {"start": "2008-01-01", "end": "2010-12-31"}):
        same(assemble(DataFeed.from_csv(path, stamp="session"), **run), assemble(parquet, **run))


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%d %H:%M:%S"])
def test_minute_csv_equals_parquet(form: str, minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "bars.parquet")
    minutes.with_columns(pl.col("timestamp").dt.to_string(form)).write_csv(tmp_path / "bars.csv")
    zone: Any = {} if "z" in form else {"timezone": "America/New_York"}
    csv = DataFeed(tmp_path / "bars.csv", stamp="open", interval="1m", **zone)
    parquet = DataFeed(str(tmp_path / "bars.parquet"), stamp="open", interval="1m")
    for run in ({}, {"start": "2012-06-20", "end": "2012-07-03"}):
        same(assemble(csv, **run), assemble(parquet, **run))


def test_symbols_of_csv_files_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(
        "session,symbol,open,high,low,close\n2012-07-03,007,1,1,1,1\n2012-07-03,TRUE,1,1,1,1\n2012-07-03,NA,1,1,1,1.5\n"
    )
    assert assemble(DataFeed(path, stamp="session", range_check="widen")).symbols == ("007", "NA", "TRUE")


def test_compressed_csv_and_tabs_are_read(prices: pl.DataFrame, tmp_path: Path) -> None:
    expected = assemble(DataFeed(prices, stamp="session"))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(prices.write_csv().encode()))
    same(assemble(DataFeed(tmp_path / "a.csv.gz", stamp="session")), expected)
    prices.write_csv(tmp_path / "a.tsv", separator="\t")
    same(assemble(DataFeed(tmp_path / "a.tsv", stamp="session")), expected)


def test_dates_symbols_and_columns_are_pushed_into_the_parquet_scan() -> None:
    feed = DataFeed.from_parquet(
        datasets.path("us_equity_daily"), stamp="session", symbols=["IBM"], fields=[]
    )
    text = explain(feed, "2012-07-02", "2012-07-31")
    assert "PROJECT 7/8 COLUMNS" in text
    selection = re.search(r"SELECTION: (.*)", text)
    assert selection is not None
    assert '"symbol") == "IBM"' in selection[1]
    assert '"session") >= 2012-07-02' in selection[1]
    assert '"session") < 2012-08-01' in selection[1]
    assert "FILTER" not in text


def test_dates_of_instants_are_pushed_down_with_room_for_zones(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "bars.parquet")
    feed = DataFeed(tmp_path / "bars.parquet", stamp="open", interval="1m", symbols=["A", "B"])
    text = explain(feed, "2012-07-03", "2012-07-03")
    assert re.search(r'SELECTION: .*"symbol"\)\.is_in', text)
    assert '"timestamp") >= 2012-06-27 20:00:00 EDT' in text
    assert '"timestamp") < 2012-07-08 20:00:00 EDT' in text
    assert "FILTER" not in text


def test_dates_are_pushed_into_the_csv_scan(prices: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    prices.write_csv(path)
    text = explain(DataFeed(path, stamp="session", symbols=["IBM"], fields=[]), "2012-07-02", "2012-07-31")
    assert "PROJECT 7/8 COLUMNS" in text
    assert re.search(r'SELECTION: .*"IBM"', text)
    assert re.search(r'SELECTION: .*"session"', text)


def test_row_groups_outside_the_range_are_never_read(prices: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "daily.parquet"
    prices.write_parquet(path, row_group_size=500, compression="zstd")
    expected = assemble(DataFeed(path, stamp="session"), start="2012-07-02", end="2012-07-31")
    metadata = pq.read_metadata(path)
    wanted = {
        group
        for group in range(metadata.num_row_groups)
        if metadata.row_group(group).column(1).statistics.max >= dt.date(2012, 7, 2)
        and metadata.row_group(group).column(1).statistics.min <= dt.date(2012, 7, 31)
    }
    assert 1 <= len(wanted) <= 2 < metadata.num_row_groups
    content = bytearray(path.read_bytes())
    for group in set(range(metadata.num_row_groups)) - wanted:
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            start = column.dictionary_page_offset or column.data_page_offset
            content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    same(assemble(DataFeed(path, stamp="session"), start="2012-07-02", end="2012-07-31"), expected)
    with pytest.raises(DataError, match="the rows cannot be read"):
        assemble(DataFeed(path, stamp="session"))


def test_a_folder_a_list_and_a_pattern_are_one_feed(prices: pl.DataFrame, tmp_path: Path) -> None:
    for year in range(2000, 2014):
        prices.filter(pl.col("session").dt.year() == year).write_parquet(tmp_path / f"{year}.parquet")
    expected = assemble(DataFeed(prices, stamp="session"))
    files = sorted(tmp_path.iterdir())
    for location in (tmp_path, str(tmp_path / "*.parquet"), files, [str(file) for file in reversed(files)]):
        data = assemble(DataFeed(location, stamp="session"))
        same(data, expected)
        assert data.feeds[0].paths == tuple(files)


def test_folders_named_like_columns_are_columns(prices: pl.DataFrame, tmp_path: Path) -> None:
    prices.write_parquet(pl.PartitionBy(tmp_path / "hive", key="symbol", include_key=False), mkdir=True)
    assert (tmp_path / "hive" / "symbol=IBM").is_dir()
    same(assemble(DataFeed(tmp_path / "hive", stamp="session")), assemble(DataFeed(prices, stamp="session")))


def test_frames_name_no_paths_and_files_do(prices: pl.DataFrame) -> None:
    assert assemble(DataFeed(prices, stamp="session")).feeds[0].paths == ()
    path = datasets.path("us_equity_daily")
    assert assemble(DataFeed(path, stamp="session")).feeds[0].paths == (path,)


def test_a_parquet_file_of_another_suffix_is_read_when_named(prices: pl.DataFrame, tmp_path: Path) -> None:
    prices.write_parquet(tmp_path / "daily.dat")
    with pytest.raises(DataError, match=r"not all of one known format .*DataFeed.from_parquet"):
        assemble(DataFeed(tmp_path / "daily.dat", stamp="session"))
    same(
        assemble(DataFeed.from_parquet(tmp_path / "daily.dat", stamp="session")),
        assemble(DataFeed(prices, stamp="session")),
    )


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.parquet", b"not parquet at all", "cannot be read as Parquet"),
        ("a.csv", b"", "cannot be read as CSV with a header"),
        (
            "a.csv",
            b"session,symbol,open,high,low,close\n2012-07-03,IBM,1,1,1,n/a\n",
            "the rows cannot be read",
        ),
        ("a.csv", b"session,symbol,open,high,low,close\n03.07.2012,IBM,1,1,1,1\n", "is not an ISO 8601 date"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=fault):
        assemble(DataFeed(tmp_path / name, stamp="session"))


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no data file at .*nothing\.parquet"):
        assemble(DataFeed(tmp_path / "nothing.parquet", stamp="session"))
    with pytest.raises(DataError, match="there is no data file"):
        assemble(DataFeed(tmp_path, stamp="session"))


def test_a_bad_stamp_in_a_csv_file_is_refused_even_where_a_range_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("session,symbol,open,high,low,close\n2012-07-03,IBM,1,1,1,1\nJuly 5,IBM,1,1,1,1\n")
    with pytest.raises(DataError, match="stamp 'July 5' in row 1 is not of the form"):
        assemble(DataFeed(path, stamp="session"), start="2012-07-01", end="2012-07-04")
