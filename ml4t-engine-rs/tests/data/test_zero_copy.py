from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from ml4t.backtest.data import DataFeed, assemble
from ml4t.backtest.data.tables import FeedTable

VALUES = ["open", "high", "low", "close", "volume", "adj_close"]


def address(column: pl.Series) -> int:
    """Return where the values of a column begin."""
    array = column.to_arrow()
    return int(array.buffers()[1].address) + array.offset * 8


def addresses(frame: pl.DataFrame) -> list[int]:
    return [address(frame[name]) for name in VALUES]


@pytest.fixture(scope="module")
def owned(prices: pl.DataFrame) -> pl.DataFrame:
    return prices.rechunk()


def only(feed: DataFeed, **run: object) -> FeedTable:
    return assemble(feed, **run).feeds[0]  # type: ignore[arg-type]


def test_values_of_a_sorted_frame_keep_their_buffers(owned: pl.DataFrame) -> None:
    table = only(DataFeed(owned, stamp="session"))
    assert addresses(table.frame) == addresses(owned)


def test_values_of_an_arrow_table_keep_their_buffers(owned: pl.DataFrame) -> None:
    arrow = owned.to_arrow()
    begin = [arrow[name].chunk(0).buffers()[1].address for name in VALUES]
    assert addresses(only(DataFeed(arrow, stamp="session")).frame) == begin


def test_values_keep_their_buffers_under_our_names(owned: pl.DataFrame) -> None:
    renamed = owned.rename({"close": "px", "adj_close": "factor"})
    table = only(DataFeed(renamed, stamp="session", columns={"close": "px", "adj_close": "factor"}))
    assert addresses(table.frame) == addresses(owned)


def test_values_reach_the_arrow_stream_without_a_copy(owned: pl.DataFrame) -> None:
    table = only(DataFeed(owned, stamp="session"))
    stream = pa.RecordBatchReader.from_stream(table.frame)
    (batch,) = list(stream)
    assert [batch.column(name).buffers()[1].address for name in VALUES] == addresses(owned)


def test_every_column_is_one_chunk(owned: pl.DataFrame) -> None:
    pieces = pl.concat([owned[:5000], owned[5000:5001], owned[5001:]], rechunk=False)
    for feed in (
        DataFeed(owned, stamp="session"),
        DataFeed(pieces, stamp="session"),
        DataFeed(owned.reverse(), stamp="session"),
        DataFeed(pieces.lazy(), stamp="session"),
    ):
        assert set(only(feed).frame.n_chunks("all")) == {1}
        assert set(only(feed, start="2005-01-01", end="2005-12-31").frame.n_chunks("all")) == {1}


def test_a_frame_out_of_order_is_sorted_and_copied(owned: pl.DataFrame) -> None:
    table = only(DataFeed(owned.reverse(), stamp="session"))
    assert table.frame.equals(only(DataFeed(owned, stamp="session")).frame)
    assert addresses(table.frame) != addresses(owned)


def test_the_callers_frame_is_not_changed(owned: pl.DataFrame) -> None:
    before = owned.clone()
    only(DataFeed(owned.with_columns(pl.col("close") + 1e9), stamp="session", range_check="widen"))
    only(DataFeed(owned, stamp="session"), start="2005-01-01")
    assert owned.equals(before)
    assert owned.columns == before.columns
