"""Neighbours are compared a piece at a time: where pieces end must not show in what is refused."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml4t.backtest.data import DataFeed, assemble, checks
from ml4t.core.errors import DataError

START = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
Spans = list[tuple[str, int, int]]


def refusal(spans: Spans, piece: int) -> str | None:
    """Load bars of so many minutes each; return what was said against them."""
    frame = pl.DataFrame(spans, schema=["symbol", "begin", "length"], orient="row").select(
        "symbol",
        ts_open=pl.lit(START) + pl.duration(minutes="begin"),
        ts_event=pl.lit(START) + pl.duration(minutes=pl.col("begin") + pl.col("length")),
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
        volume=1.0,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "PIECE", piece)
        try:
            data = assemble(DataFeed(frame, stamp="event", calendar="24/7"))
        except DataError as error:
            return str(error)
    ends = data.feeds[0].frame.select("ts_event", "instrument").rows()
    assert ends == sorted(ends)
    return None


def fault(spans: Spans) -> bool:
    """Whether two bars of a symbol share an instant."""
    return any(
        a[0] == b[0] and a[1] < b[1] + b[2] and b[1] < a[1] + a[2]
        for k, a in enumerate(spans)
        for b in spans[:k]
    )


bar = st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.integers(1, 4))


@given(spans=st.lists(bar, min_size=1, max_size=8))
@example(spans=[("A", 0, 1), ("B", 0, 1), ("A", 1, 1), ("B", 1, 1)])
@example(spans=[("A", 0, 4), ("B", 1, 1), ("A", 4, 1)])
@example(spans=[("A", 0, 2), ("A", 1, 2)])
def test_overlaps_and_doubles_are_found_wherever_pieces_end(spans: Spans) -> None:
    said = {piece: refusal(spans, piece) for piece in (1, 2, 3, 1 << 16)}
    assert len(set(said.values())) == 1, said
    assert (said[1] is not None) == fault(spans)
