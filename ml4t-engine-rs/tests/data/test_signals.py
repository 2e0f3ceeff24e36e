from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest.data import DataFeed, Signals, SignalTable, assemble
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Signal

NEW_YORK = ZoneInfo("America/New_York")
WEEK = [dt.date(2012, 7, day) for day in (2, 3, 5, 6, 9)]
CLOSE = dt.datetime(2012, 7, 3, 13, 0, tzinfo=NEW_YORK)


@pytest.fixture(scope="module")
def feed() -> DataFeed:
    frame = pl.DataFrame({"session": WEEK}).join(pl.DataFrame({"symbol": ["IBM", "MSFT"]}), how="cross")
    columns = {name: pl.lit(10.0) for name in ("open", "high", "low", "close")}
    return DataFeed(frame.with_columns(**columns), stamp="session")


def long(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    at = [CLOSE, CLOSE, CLOSE + dt.timedelta(days=2)]
    base = {
        "ts_event": at,
        "ts_arrival": [stamp + dt.timedelta(minutes=5) for stamp in at],
        "asset_id": ["MSFT", "IBM", "IBM"],
        "score": [0.1, 0.9, 0.5],
        "model_id": ["xgb", "xgb", "lin"],
    }
    return pl.DataFrame({**base, **columns})


def table(feed: DataFeed, signals: object, **run: Any) -> SignalTable:  # noqa: ANN401 - options of the run
    found = assemble(feed, signals=signals, **run).signals
    assert found is not None
    return found


def test_long_signals_are_sorted_by_arrival_and_instrument(feed: DataFeed, ns: Callable[[str], int]) -> None:
    found = table(feed, long(confidence=[0.5, None, 0.7], version=["1", "1", "2"]))
    assert found.names == ("lin", "xgb")
    assert found.versions == ("1", "2")
    event, later = ns("2012-07-03T13:00:00-04:00"), ns("2012-07-05T13:00:00-04:00")
    delay = 300 * 10**9
    expected = pl.DataFrame(
        [
            (event + delay, event, 0, 1, 0.9, float("nan"), 0),
            (event + delay, event, 1, 1, 0.1, 0.5, 0),
            (later + delay, later, 0, 0, 0.5, 0.7, 1),
        ],
        schema={
            "ts_arrival": pl.Int64,
            "ts_event": pl.Int64,
            "instrument": pl.UInt32,
            "name": pl.UInt32,
            "score": pl.Float64,
            "confidence": pl.Float64,
            "version": pl.UInt32,
        },
        orient="row",
    )
    assert_frame_equal(found.frame, expected)


def test_the_older_names_of_the_columns_are_accepted(feed: DataFeed) -> None:
    names = {"ts_event": "timestamp", "ts_arrival": "arrival_timestamp", "asset_id": "symbol"}
    assert_frame_equal(table(feed, long().rename(names)).frame, table(feed, long()).frame)


def test_columns_may_be_renamed(feed: DataFeed) -> None:
    renamed = long().rename({"score": "prediction", "asset_id": "bbg"})
    found = table(feed, Signals(renamed, columns={"score": "prediction", "symbol": "bbg"}))
    assert_frame_equal(found.frame, table(feed, long()).frame)


def test_a_signal_without_an_arrival_is_known_at_its_event(feed: DataFeed) -> None:
    found = table(feed, long().drop("ts_arrival"))
    assert (found.frame["ts_arrival"] == found.frame["ts_event"]).all()


def test_wide_signals_are_named_by_their_columns_and_gaps_are_no_signals(feed: DataFeed) -> None:
    wide = pl.DataFrame(
        {
            "timestamp": [CLOSE, CLOSE],
            "symbol": ["MSFT", "IBM"],
            "ml_score": [0.5, None],
            "risk": [float("nan"), 2.0],
            "comment": ["x", "y"],
        }
    )
    found = table(feed, wide)
    assert found.names == ("ml_score", "risk")
    assert found.frame.select("instrument", "name", "score").rows() == [(0, 1, 2.0), (1, 0, 0.5)]
    assert (found.frame["ts_arrival"] == found.frame["ts_event"]).all()


def test_a_score_beside_other_scores_is_one_of_them(feed: DataFeed) -> None:
    wide = pl.DataFrame({"timestamp": [CLOSE], "symbol": ["IBM"], "score": [1.0], "rank": [2.0]})
    assert table(feed, wide).names == ("rank", "score")


def test_the_model_of_a_frame_that_names_none_is_declared_or_called_score(feed: DataFeed) -> None:
    plain = long().drop("model_id")
    assert table(feed, plain).names == ("score",)
    assert table(feed, Signals(plain, model_id="xgb")).names == ("xgb",)
    assert table(feed, {"boost": plain, "line": plain}).names == ("boost", "line")
    with pytest.raises(DataError, match="model_id='a' was declared and the frame has a column model_id"):
        table(feed, Signals(long(), model_id="a"))
    with pytest.raises(DataError, match="the frame names its signals by columns"):
        table(feed, Signals(long().rename({"score": "alpha"}), model_id="a"))


def test_dates_are_session_closes_once_declared(feed: DataFeed, ns: Callable[[str], int]) -> None:
    dated = pl.DataFrame({"date": [dt.date(2012, 7, 3)], "symbol": ["IBM"], "score": [1.0]})
    with pytest.raises(DataError, match=r"a date does not say when a signal was known; .*Signals"):
        table(feed, dated)
    found = table(feed, Signals(dated, stamp="session"))
    # An early close: the label says nothing of it, the calendar does.
    assert found.frame["ts_arrival"].to_list() == [ns("2012-07-03T13:00:00-04:00")]
    with pytest.raises(DataError, match="IBM: 2012-07-04 is not a session of calendar XNYS"):
        table(feed, Signals(dated.with_columns(date=pl.lit(dt.date(2012, 7, 4))), stamp="session"))


@pytest.mark.parametrize("form", ["date", "text", "pandas"])
def test_signals_that_come_with_session_bars_follow_their_declaration(
    feed: DataFeed, form: str, ns: Callable[[str], int]
) -> None:
    dated = pl.DataFrame({"date": [dt.date(2012, 7, 3)], "symbol": ["IBM"], "ml_score": [1.0]})
    signals = {
        "date": dated,
        "text": dated.with_columns(pl.col("date").dt.to_string()),
        "pandas": dated.to_pandas().astype({"date": "datetime64[ns]"}),
    }[form]
    carrying = DataFeed(feed.prices, stamp="session", signals=signals)
    found = assemble(carrying).signals
    assert found is not None
    assert found.frame["ts_arrival"].to_list() == [ns("2012-07-03T13:00:00-04:00")]


def test_instants_that_come_with_session_bars_stay_instants(feed: DataFeed) -> None:
    found = assemble(DataFeed(feed.prices, stamp="session", signals=long())).signals
    assert found is not None
    assert_frame_equal(found.frame, table(feed, long()).frame)


def test_a_signal_known_before_its_event_is_refused_by_row(feed: DataFeed) -> None:
    early = long(ts_arrival=[CLOSE, CLOSE - dt.timedelta(seconds=1), CLOSE + dt.timedelta(days=2)])
    with pytest.raises(
        DataError,
        match="signals: row 1: signal xgb of IBM arrives at 2012-07-03T16:59:59Z, before its ts_event "
        "2012-07-03T17:00:00Z",
    ):
        table(feed, early)


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused_by_row(feed: DataFeed, score: float | None) -> None:
    with pytest.raises(DataError, match=rf"row 1 \(IBM, 2012-07-03T17:00:00Z\) has score {score}"):
        table(feed, long(score=[0.1, score, 0.2]))


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (long().drop("score"), "there is no score"),
        (long().drop("asset_id"), "no column is the symbol"),
        (long().drop("ts_event"), "no column is the stamp"),
        (long(asset_id=["IBM", None, "IBM"]), "row 1 has no symbol"),
        (
            long(asset_id=["IBM", "IBN", "IBM"]),
            r"symbol 'IBN' is in no feed; did you mean 'IBM'\? Known: IBM, MSFT",
        ),
        (long(ts_event=[stamp.replace(tzinfo=None) for stamp in [CLOSE] * 3]), "the stamps are naive"),
        (pl.concat([long(), long()[:1]]), "xgb of MSFT arrives twice at 2012-07-03T17:05:00Z"),
    ],
)
def test_signals_that_cannot_be_are_refused(feed: DataFeed, frame: pl.DataFrame, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        table(feed, frame)


def test_two_versions_of_a_model_may_arrive_together(feed: DataFeed) -> None:
    both = pl.concat([long(version="1"), long(version="2")])
    assert table(feed, both).frame.height == 6


def test_signals_outside_the_range_of_the_run_are_left_out_and_noted(feed: DataFeed) -> None:
    data = assemble(feed, signals=long(), end="2012-07-03")
    assert data.signals is not None
    assert data.signals.frame.height == 2
    assert data.notes == ("signals: 1 signals arrive outside the range of the run",)


def test_signals_of_symbols_that_were_not_selected_are_left_out_and_noted(feed: DataFeed) -> None:
    data = assemble(DataFeed(feed.prices, stamp="session", symbols=["IBM"]), signals=long())
    assert data.signals is not None
    assert data.signals.frame["instrument"].to_list() == [0, 0]
    assert data.notes == ("signals: 1 rows of symbols that were not loaded are left out: MSFT",)


def test_signal_files_are_read_and_named(feed: DataFeed, tmp_path: Path) -> None:
    long().write_parquet(tmp_path / "signals.parquet")
    text = long().with_columns(pl.col("ts_event", "ts_arrival").dt.to_string("%Y-%m-%dT%H:%M:%S%:z"))
    text.write_csv(tmp_path / "signals.csv")
    expected = table(feed, long())
    for name in ("signals.parquet", "signals.csv"):
        found = table(feed, tmp_path / name)
        assert_frame_equal(found.frame, expected.frame)
        assert found.paths == (tmp_path / name,)
    with pytest.raises(DataError, match="signals: there is no data file at"):
        table(feed, tmp_path / "none.parquet")


def test_several_sources_make_one_table(feed: DataFeed) -> None:
    other = long(model_id="other")
    found = table(feed, [long(), other])
    assert found.names == ("lin", "other", "xgb")
    assert found.frame.height == 6


class Source(sources.SignalSource):
    def __init__(self, signals: list[Signal]) -> None:
        self.rest = iter(signals)

    def get_next_event(self) -> Signal | None:
        return next(self.rest, None)


def test_a_python_source_equals_the_frame_of_its_signals(feed: DataFeed) -> None:
    rows = long().sort("ts_arrival", maintain_order=True)
    events = [
        Signal(row["asset_id"], row["ts_event"], row["ts_arrival"], row["score"], model_id=row["model_id"])
        for row in rows.iter_rows(named=True)
    ]
    assert_frame_equal(table(feed, Source(events)).frame, table(feed, long()).frame)
    with pytest.raises(DataError, match="came after one that arrives at 2012-07-05"):
        table(feed, Source(events[::-1]))


def test_the_order_of_rows_changes_nothing(feed: DataFeed, rng: np.random.Generator) -> None:
    stamps = [CLOSE + dt.timedelta(minutes=int(n)) for n in rng.integers(0, 50, 200)]
    frame = pl.DataFrame(
        {
            "ts_event": stamps,
            "symbol": rng.choice(["IBM", "MSFT"], 200),
            "score": rng.random(200),
            "model_id": rng.choice(["a", "b"], 200),
        }
    ).unique(["ts_event", "symbol", "model_id"], keep="first", maintain_order=True)
    expected = table(feed, frame).frame
    assert expected["ts_arrival"].is_sorted()
    assert_frame_equal(table(feed, frame[rng.permutation(frame.height)]).frame, expected)


def test_what_is_declared_of_signals_is_checked() -> None:
    with pytest.raises(DataError, match="signals alpha: stamp 'open' is not one of event, session"):
        Signals(long(), name="alpha", stamp="open")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="signals: timezone 'Nowhere' is not an IANA zone"):
        Signals(long(), timezone="Nowhere")


def test_a_wide_signal_without_a_limit_is_refused(feed: DataFeed) -> None:
    wide = pl.DataFrame({"timestamp": [CLOSE], "symbol": ["IBM"], "alpha": [float("inf")]})
    with pytest.raises(DataError, match="signals: alpha of IBM at 2012-07-03T17:00:00Z is inf"):
        table(feed, wide)


def test_a_signal_file_that_cannot_be_read_is_refused(feed: DataFeed, tmp_path: Path) -> None:
    path = tmp_path / "signals.csv"
    path.write_text("ts_event,symbol,score\n2012-07-03T17:00:00Z,IBM,high\n")
    with pytest.raises(DataError, match="signals: the rows cannot be read"):
        table(feed, path)
