"""Bars of random ticks against plain loops, and what must not change them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml4t.backtest import DataFeed
from ml4t.backtest.bars import dollar_bars, imbalance_bars, resample, tick_bars, time_bars, volume_bars
from ml4t.backtest.calendars import session_table
from ml4t.backtest.data import assemble
from ml4t.core.errors import DataError

# Friday afternoon before a change to daylight saving time; ticks run into the next week.
START_NS = int(dt.datetime(2024, 3, 8, 20, 50, tzinfo=dt.UTC).timestamp()) * 10**9
Tick = tuple[int, float, float]
Build = Callable[..., pl.DataFrame]

BUILDERS: dict[str, Build] = {
    "tick": lambda frame, **more: tick_bars(frame, 3, **more),
    "volume": lambda frame, **more: volume_bars(frame, 50, **more),
    "dollar": lambda frame, **more: dollar_bars(frame, 700, **more),
    "imbalance": lambda frame, **more: imbalance_bars(
        frame, "volume", expected_ticks=4, span=3, limits=(1, 9), **more
    ),
    "time": lambda frame, **more: time_bars(frame, "15m", calendar="24/7", **more),
    "week": lambda frame, **more: time_bars(frame, "1w", calendar="24/7", **more),
}
BY_MARK = ("tick", "volume", "dollar", "imbalance")
each_builder = pytest.mark.parametrize("name", BUILDERS)

# Many ticks share an instant; some are hours apart.
GAPS = st.sampled_from([0, 0, 0, 1, 10**9, 7 * 60 * 10**9, 5 * 3600 * 10**9])
PRICES = st.integers(800, 1200).map(lambda cents: cents / 100)


WHOLE = st.integers(0, 60).map(float)
ANY = st.floats(0, 60, allow_subnormal=False)


@st.composite
def frames(draw: st.DrawFn, sizes: st.SearchStrategy[float] = WHOLE) -> pl.DataFrame:
    """Ticks of three symbols, mixed, in order of time within each symbol."""
    rows = draw(
        st.lists(st.tuples(st.sampled_from("ABC"), GAPS, PRICES, sizes), min_size=1, max_size=60),
        label="ticks",
    )
    clock = dict.fromkeys("ABC", START_NS)
    table: list[tuple[str, int, float, float]] = []
    for symbol, gap, price, size in rows:
        clock[symbol] += gap
        table.append((symbol, clock[symbol], price, size))
    schema = {"symbol": pl.String, "ts_event": pl.Int64, "price": pl.Float64, "size": pl.Float64}
    return pl.DataFrame(table, schema=schema, orient="row")


def of_symbol(frame: pl.DataFrame, symbol: str) -> list[Tick]:
    return [(row[1], row[2], row[3]) for row in frame.rows() if row[0] == symbol]


# -- plain loops -------------------------------------------------------------------------------------------


def cut_at(amount: Callable[[Tick], float], threshold: float, ticks: list[Tick]) -> list[list[Tick]]:
    groups: list[list[Tick]] = [[]]
    total = 0.0
    for tick in ticks:
        groups[-1].append(tick)
        total += amount(tick)
        if total >= threshold:
            groups.append([])
            total = 0.0
    return groups


def cut_by_imbalance(ticks: list[Tick]) -> list[list[Tick]]:
    """Both expectations anew from all bars so far, for each tick."""
    flows: list[float] = []
    sign, before = 0, ticks[0][1]
    for _, price, size in ticks:
        sign = (price > before) - (price < before) or sign
        before = price
        flows.append(sign * size)
    ends: list[int] = []
    for position in range(1, len(ticks) + 1):
        length = position - (ends[-1] if ends else 0)
        if not ends:
            if length == 4:
                ends.append(position)
            continue
        expected, mean = 4.0, sum(flows[:4]) / 4
        for first, last in pairwise(ends):
            expected += 2 / (3 + 1) * (last - first - expected)
        for flow in flows[4 : ends[-1]]:
            mean += 2 / (3 * 4 + 1) * (flow - mean)
        if abs(sum(flows[ends[-1] : position])) >= expected * abs(mean) or length >= 9:
            ends.append(position)
    return [ticks[a:b] for a, b in zip([0, *ends], [*ends, len(ticks)], strict=True)]


CUTS: dict[str, Callable[[list[Tick]], list[list[Tick]]]] = {
    "tick": lambda ticks: cut_at(lambda tick: 1, 3, ticks),
    "volume": lambda ticks: cut_at(lambda tick: tick[2], 50, ticks),
    "dollar": lambda ticks: cut_at(lambda tick: tick[1] * tick[2], 700, ticks),
    "imbalance": cut_by_imbalance,
}


def values(group: list[Tick]) -> tuple[float, ...]:
    prices = [price for _, price, _ in group]
    volume = sum(size for _, _, size in group)
    return prices[0], max(prices), min(prices), prices[-1], volume, len(group)


def bars_of_loop(name: str, ticks: list[Tick]) -> list[tuple[Any, ...]]:
    """Stamps, values and whether it is complete, of the bars of one symbol."""
    *whole, rest = CUTS[name](ticks) if ticks else [[]]
    found: list[tuple[Any, ...]] = []
    end = 0
    for group in [*whole, *([rest] if rest else [])]:
        begin = max(group[0][0], end)
        end = max(group[-1][0], begin + 1)
        found.append((begin, end, *values(group), group is not rest))
    return found


VALUES = ("open", "high", "low", "close", "volume", "ticks")


def as_rows(bars: pl.DataFrame, symbol: str) -> list[tuple[Any, ...]]:
    plain = bars.filter(symbol=symbol).with_columns(pl.col("ts_open", "ts_event").cast(pl.Int64))
    return plain.select("ts_open", "ts_event", *VALUES, "is_complete").rows()


@pytest.mark.parametrize("name", BY_MARK)
@given(frame=frames())
def test_bars_are_those_of_a_plain_loop(name: str, frame: pl.DataFrame) -> None:
    bars = BUILDERS[name](frame, keep_incomplete=True)
    for symbol in "ABC":
        assert as_rows(bars, symbol) == bars_of_loop(name, of_symbol(frame, symbol))


@given(frame=frames())
def test_windows_are_those_of_a_plain_loop(frame: pl.DataFrame) -> None:
    table = session_table("XNYS", dt.date(2024, 3, 1), dt.date(2024, 4, 1))
    sessions = [(begin, end) for _, begin, end in table.frame.iter_rows()]
    length = 45 * 60 * 10**9
    inside: dict[str, dict[tuple[int, int], list[Tick]]] = {symbol: {} for symbol in "ABC"}
    for symbol, stamp, price, size in frame.rows():
        for begin, end in sessions:
            if begin <= stamp <= end:
                start = begin
                while start + length <= stamp and start + length < end:
                    start += length
                window = (start, min(start + length, end))
                inside[symbol].setdefault(window, []).append((stamp, price, size))
    until = max(frame["ts_event"].to_list())
    bars = time_bars(frame, "45m", outside="drop", keep_incomplete=True)
    for symbol, windows in inside.items():
        expected = [
            (*window, *values(group), window[1] <= until) for window, group in sorted(windows.items())
        ]
        assert as_rows(bars, symbol) == expected


# -- what holds of all -------------------------------------------------------------------------------------


@given(name=st.sampled_from(list(BUILDERS)), frame=frames())
def test_volume_is_conserved_and_a_feed_takes_the_bars(name: str, frame: pl.DataFrame) -> None:
    bars = BUILDERS[name](frame, keep_incomplete=True)
    sizes = dict(frame.group_by("symbol").agg(pl.col("size").sum()).iter_rows())
    assert dict(bars.group_by("symbol").agg(pl.col("volume").sum()).iter_rows()) == sizes
    assert bars["ticks"].sum() == frame.height
    complete = bars.filter("is_complete").drop("is_complete")
    assert_frame_equal(BUILDERS[name](frame), complete)
    assert bars.select("ts_event", "symbol").equals(
        bars.select("ts_event", "symbol").sort("ts_event", "symbol")
    )
    loaded = assemble(DataFeed(bars, stamp="event", calendar="24/7")).feeds[0].frame
    assert loaded.height == bars.height
    assert loaded["ts_event"].equals(bars["ts_event"].cast(pl.Int64))


@each_builder
@given(frame=frames(), data=st.data())
def test_later_ticks_change_no_bar(name: str, frame: pl.DataFrame, data: st.DataObject) -> None:
    bars = BUILDERS[name](frame)
    if not bars.height:
        return
    stamp = bars["ts_event"][data.draw(st.integers(0, bars.height - 1), label="bar")]
    known = bars.filter(pl.col("ts_event") <= stamp)
    later = pl.col("ts_event").cast(pl.Datetime("ns", "UTC")) > stamp
    changed = frame.with_columns(
        price=pl.when(later).then(pl.col("price") * 3).otherwise("price"),
        size=pl.when(later).then(pl.col("size") * 2 + 7).otherwise("size"),
    )
    assert_frame_equal(BUILDERS[name](changed).filter(pl.col("ts_event") <= stamp), known)
    more = {"until": dt.datetime(2024, 4, 1, tzinfo=dt.UTC)} if name in ("time", "week") else {}
    cut = BUILDERS[name](frame.filter(~later), **more)
    assert_frame_equal(cut.filter(pl.col("ts_event") <= stamp), known)


@given(
    name=st.sampled_from(list(BUILDERS)),
    frame=frames(sizes=ANY),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_bars_do_not_depend_on_chunks_or_on_other_symbols(
    name: str, frame: pl.DataFrame, cuts: list[int]
) -> None:
    build = BUILDERS[name]
    bars = build(frame, keep_incomplete=True).drop("is_complete")
    edges = [0, *sorted(cuts), frame.height]
    chunks = [frame[a:b] for a, b in pairwise(edges)]
    assert_frame_equal(
        build(pl.concat(chunks, rechunk=False), keep_incomplete=True).drop("is_complete"),
        bars,
        check_exact=True,
    )
    # In any mixture of the symbols, and lazily, and one frame per symbol.
    assert_frame_equal(
        build(frame.lazy().sort("symbol", descending=True, maintain_order=True), keep_incomplete=True).drop(
            "is_complete"
        ),
        bars,
        check_exact=True,
    )
    apart = {str(key[0]): part for key, part in frame.partition_by("symbol", as_dict=True).items()}
    alone = [
        build({key: part.drop("symbol")}, keep_incomplete=True).drop("is_complete")
        for key, part in apart.items()
    ]
    assert_frame_equal(pl.concat(alone).sort("ts_event", "symbol"), bars, check_exact=True)
    # Under other names.
    swapped = frame.with_columns(pl.col("symbol").replace({"A": "C", "B": "A", "C": "B"}))
    back = build(swapped, keep_incomplete=True).with_columns(
        pl.col("symbol").replace({"C": "A", "A": "B", "B": "C"})
    )
    assert_frame_equal(back.drop("is_complete").sort("ts_event", "symbol"), bars, check_exact=True)


@given(frame=frames())
def test_short_windows_resampled_are_long_windows(frame: pl.DataFrame) -> None:
    for short, long in (("5m", "15m"), ("15m", "1d"), ("1d", "1w"), ("1h", "1mo")):
        fine = time_bars(frame, short, calendar="24/7", keep_incomplete=True).drop("is_complete", "ticks")
        coarse = time_bars(frame, long, calendar="24/7", keep_incomplete=True).drop("is_complete", "ticks")
        found = resample(fine, long, calendar="24/7", keep_incomplete=True).drop("is_complete")
        assert_frame_equal(found, coarse)


# -- forms of input ----------------------------------------------------------------------------------------


def sample() -> pl.DataFrame:
    stamps = pl.Series([START_NS + k * 10**9 for k in range(6)]).cast(pl.Datetime("ns", "UTC"))
    return pl.DataFrame({"symbol": "A", "timestamp": stamps, "price": 10.0, "size": [1, 2, 3, 4, 5, 6]})


def test_ticks_come_in_the_forms_that_a_feed_takes() -> None:
    frame = sample()
    expected = tick_bars(frame, 2)
    plain = frame.to_pandas()
    assert_frame_equal(tick_bars(plain, 2), expected)
    assert_frame_equal(tick_bars(plain.set_index("timestamp"), 2), expected)
    assert_frame_equal(tick_bars(frame.to_arrow(), 2), expected)
    named = frame.rename({"symbol": "ric", "price": "px"}).with_columns(
        pl.col("timestamp").dt.replace_time_zone(None)
    )
    found = tick_bars(named, 2, columns={"symbol": "ric", "price": "px"}, timezone="UTC")
    assert_frame_equal(found, expected)
    assert_frame_equal(tick_bars(frame.drop("symbol"), 2, symbols=["A"]), expected)
    assert tick_bars(frame, 2, symbols=["B"]).height == 0


def test_two_columns_of_one_name_are_refused() -> None:
    plain = sample().to_pandas()
    twice = pd.concat([plain, plain[["price"]]], axis=1)
    with pytest.raises(DataError, match="two columns called price"):
        tick_bars(twice, 2)
    arrow = sample().to_arrow()
    arrow = arrow.append_column("size", pa.array([1.0] * 6))
    with pytest.raises(DataError, match=r"ticks: .*size"):
        tick_bars(arrow, 2)


@each_builder
def test_no_ticks_make_no_bars(name: str) -> None:
    empty = BUILDERS[name](sample().clear())
    full = BUILDERS[name](sample())
    assert empty.height == 0
    assert empty.schema == full.schema
