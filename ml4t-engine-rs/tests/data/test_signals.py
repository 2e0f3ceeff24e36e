from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import CsvSignalSource, Engine, ParquetSignalSource, Strategy, run
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


def test_columns_beside_the_score_of_a_long_frame_change_nothing(feed: DataFeed) -> None:
    full = long(confidence=[0.5, 0.6, 0.7], version=["1", "1", "2"])
    beside = full.with_columns(horizon_days=pl.Series([5, 5, 21]), fold=pl.lit(0.5), note=pl.lit("x"))
    found = table(feed, beside)
    assert found.names == ("lin", "xgb")
    assert found.versions == ("1", "2")
    assert_frame_equal(found.frame, table(feed, full).frame)


@pytest.mark.parametrize(
    "mark",
    [
        {"model_id": ["xgb"]},
        {"version": ["3"]},
        {"version": [3]},
        {"confidence": [0.5]},
        {"ts_arrival": [CLOSE]},
        {"arrival_timestamp": [CLOSE]},
    ],
)
def test_what_only_a_long_frame_has_makes_it_long(feed: DataFeed, mark: dict[str, Any]) -> None:
    both = pl.DataFrame({"timestamp": [CLOSE], "symbol": ["IBM"], "score": [1.0], "rank": [2.0], **mark})
    found = table(feed, both)
    assert found.names == (mark.get("model_id", ["score"])[0],)
    assert found.frame["score"].to_list() == [1.0]


def test_a_score_beside_other_numbers_is_refused_until_it_is_declared(feed: DataFeed) -> None:
    both = pl.DataFrame({"timestamp": [CLOSE], "symbol": ["IBM"], "score": [1.0], "rank": [2.0]})
    with pytest.raises(DataError, match=r"the frame could be one of a model's .* \(rank\), or .*model_id="):
        table(feed, both)
    assert table(feed, Signals(both, model_id="xgb")).names == ("xgb",)
    assert table(feed, both.rename({"score": "ml"})).names == ("ml", "rank")
    assert table(feed, both.drop("rank")).names == ("score",)


def test_a_model_without_a_score_is_refused(feed: DataFeed) -> None:
    named = long().rename({"score": "alpha"})
    with pytest.raises(
        DataError, match=r"a column model_id, .* but no score; .*columns=\{'score': 'alpha'\}"
    ):
        table(feed, named)
    assert_frame_equal(
        table(feed, Signals(named, columns={"score": "alpha"})).frame, table(feed, long()).frame
    )


def test_a_score_of_text_does_not_make_the_other_numbers_signals(feed: DataFeed) -> None:
    text = long(score=["a", "b", "c"], horizon=[1, 2, 3])
    with pytest.raises(DataError, match="the column score is String, and scores are numbers"):
        table(feed, text)


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
    found = table(feed, both)
    plain = [found.names.index(model) for model in ("lin", "xgb")]
    assert found.frame.filter(pl.col("name").is_in(plain)).height == 6


def versions_of_one_model() -> pl.DataFrame:
    """v1 arrives at the close, v2 five minutes and v1's next an hour after it."""
    return pl.DataFrame(
        {
            "ts_event": [CLOSE] * 3,
            "ts_arrival": [CLOSE + dt.timedelta(minutes=minutes) for minutes in (0, 5, 60)],
            "asset_id": ["IBM"] * 3,
            "score": [0.1, 0.2, 0.3],
            "version": ["v1", "v2", "v1"],
            "model_id": ["m"] * 3,
        }
    )


def test_each_of_several_versions_is_a_signal_of_its_own(feed: DataFeed) -> None:
    found = table(feed, versions_of_one_model())
    assert found.names == ("m", "m@v1", "m@v2")
    rows = found.frame.select("name", "score", "version").rows()
    assert rows == [(0, 0.1, 0), (1, 0.1, 0), (0, 0.2, 1), (2, 0.2, 1), (0, 0.3, 0), (1, 0.3, 0)]


def test_versions_of_different_models_have_no_names_of_their_own(feed: DataFeed) -> None:
    assert table(feed, long(version=["1", "1", "2"])).names == ("lin", "xgb")


def test_versions_may_come_from_several_sources(feed: DataFeed) -> None:
    frame = versions_of_one_model()
    apart = [frame.filter(pl.col("version") == version) for version in ("v1", "v2")]
    assert_frame_equal(table(feed, apart).frame, table(feed, frame).frame)


def test_a_row_that_states_no_version_is_of_the_model_only(feed: DataFeed) -> None:
    one = versions_of_one_model().with_columns(version=pl.Series([None, "v2", None]))
    assert table(feed, one).names == ("m",)
    two = versions_of_one_model().with_columns(version=pl.Series([None, "v2", "v1"]))
    found = table(feed, two)
    assert found.names == ("m", "m@v1", "m@v2")
    assert found.frame["name"].to_list() == [0, 0, 2, 0, 1]


def test_a_version_that_only_speaks_outside_the_run_keeps_its_name(feed: DataFeed) -> None:
    late = versions_of_one_model().with_columns(
        pl.when(pl.col("version") == "v2")
        .then(pl.col("ts_arrival").dt.offset_by("3d"))
        .otherwise("ts_arrival")
        .alias("ts_arrival")
    )
    found = table(feed, late, end="2012-07-03")
    assert found.names == ("m", "m@v1", "m@v2")
    assert found.frame["name"].to_list() == [0, 1, 0, 1]


def test_a_model_that_is_called_like_a_version_is_refused(feed: DataFeed) -> None:
    frame = versions_of_one_model()
    other = frame[:1].with_columns(model_id=pl.lit("m@v2"), version=pl.lit(""))
    with pytest.raises(DataError, match="m@v2 is the name of a signal, and of version v2 of m; rename"):
        table(feed, pl.concat([frame, other]))


class Hears(Strategy):
    """Notes what it is told, and what it sees under each name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[str, str, float]] = []
        self.seen: list[list[float]] = []

    def on_start(self) -> None:
        self.subscribe(event_type="signal", model_id=self.name)

    def on_signal(self, event: Any) -> None:  # noqa: ANN401 - the event of the engine
        self.heard.append((event.model_id, event.version, event.score))
        signals = self.data["IBM"]["signals"]
        self.seen.append([signals.get(name, float("nan")) for name in ("m", "m@v1", "m@v2")])


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("m@v2", [("m@v2", "v2", 0.2)]),
        ("m@v1", [("m@v1", "v1", 0.1), ("m@v1", "v1", 0.3)]),
        ("m", [("m", "v1", 0.1), ("m", "v2", 0.2), ("m", "v1", 0.3)]),
    ],
)
def test_a_strategy_listens_to_a_version_by_name(
    feed: DataFeed, name: str, heard: list[tuple[str, str, float]]
) -> None:
    strategy = Hears(name)
    run(strategy, feed, signals=versions_of_one_model())
    assert strategy.heard == heard
    # The name of the model is what arrived last of any version.
    assert strategy.seen[-1][0] == heard[-1][2]


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


# Events that Python yields ------------------------------------------------------------------------


def mappings() -> list[dict[str, Any]]:
    return long().to_dicts()


def objects() -> list[Signal]:
    return [
        Signal(row["asset_id"], row["ts_event"], row["ts_arrival"], row["score"], model_id=row["model_id"])
        for row in mappings()
    ]


class Again:
    """Something that can be iterated any number of times."""

    def __iter__(self) -> Iterator[Signal]:
        return iter(objects()[::-1])


@pytest.mark.parametrize(
    "make",
    [
        mappings,
        objects,
        lambda: tuple(mappings()),
        lambda: iter(mappings()),
        lambda: (event for event in objects()),
        lambda: (event for event in objects()[::-1]),
        Again,
        lambda: Signals(event for event in mappings()),
        lambda: [Signals(iter(objects()[:1])), Signals(iter(mappings()[1:]))],
        lambda: [(event for event in objects()[:2]), long()[2:]],
        lambda: {"any": (event for event in objects())},
    ],
)
def test_events_of_python_equal_the_frame_of_them(feed: DataFeed, make: Callable[[], object]) -> None:
    assert_frame_equal(table(feed, make()).frame, table(feed, long()).frame)


def test_events_take_what_is_declared_of_a_frame(feed: DataFeed, ns: Callable[[str], int]) -> None:
    events = ({"t": dt.datetime(2012, 7, 3, 13), "symbol": "IBM", "p": p} for p in (1, 0.5)[:1])
    given = Signals(
        events,
        columns={"ts_event": "t", "score": "p"},
        timezone="America/New_York",
        model_id="xgb",
        embargo="next_open",
    )
    found = table(feed, given)
    assert found.names == ("xgb",)
    assert found.frame["ts_arrival"].to_list() == [ns("2012-07-05T09:30:00-04:00")]
    of_objects = table(feed, Signals(iter(objects()), embargo="next_open"))
    assert_frame_equal(of_objects.frame, table(feed, Signals(long(), embargo="next_open")).frame)


def test_the_model_of_an_event_that_names_none_is_that_of_its_source(feed: DataFeed) -> None:
    plain = [Signal("IBM", CLOSE, CLOSE, 1.0)]
    assert table(feed, iter(plain)).names == ("score",)
    assert table(feed, Signals(plain, model_id="xgb")).names == ("xgb",)
    assert table(feed, {"boost": plain}).names == ("boost",)


def fails() -> Iterator[Signal]:
    yield objects()[0]
    message = "the model is gone"
    raise KeyError(message)


def test_an_iterator_that_fails_says_how_far_it_had_come(feed: DataFeed) -> None:
    with pytest.raises(KeyError, match="the model is gone") as raised:
        table(feed, fails())
    assert raised.value.__notes__ == [
        "signals: raised by the generator after 1 signals; the run had not begun, so there are no results"
    ]


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: iter(["IBM"]), "event 0 is a str; events are Signal, or mappings with ts_event"),
        (lambda: iter([*objects(), mappings()[0]]), "event 3 is a dict and those before it are not"),
        (lambda: iter([*mappings(), objects()[0]]), "event 3 is a Signal and those before it are not"),
        (lambda: iter(()), "the tuple_iterator yielded nothing. An iterator yields its signals once: give a"),
        (lambda: Signals([]), "there are no rows"),
        (lambda: Signals(np.zeros(3)), "ndarray is no frame"),
        (lambda: iter([{**mappings()[0], "score": "high"}]), "the column score is String"),
        (lambda: iter([{**mappings()[0], "ts_event": "soon"}]), "the stamp 'soon'"),
        (lambda: iter([mappings()[0], {**mappings()[1], "score": object()}]), "signals: "),
    ],
)
def test_events_that_are_none_are_refused(feed: DataFeed, make: Callable[[], object], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        table(feed, make())


def test_an_engine_reads_an_iterator_once_for_any_number_of_runs(feed: DataFeed) -> None:
    engine = Engine(feed, Hears("xgb"), signals=(event for event in objects()))
    assert engine.run().portfolio_history.height == engine.run().portfolio_history.height


# Files by name ------------------------------------------------------------------------------------


def text_of(frame: pl.DataFrame) -> str:
    return frame.with_columns(
        pl.col("ts_event", "ts_arrival").dt.to_string("%Y-%m-%dT%H:%M:%S%:z")
    ).write_csv()


def test_files_are_read_as_what_they_are_declared_whatever_they_are_called(
    feed: DataFeed, tmp_path: Path
) -> None:
    parquet, csv = tmp_path / "scores.v2", tmp_path / "scores.data"
    long().write_parquet(parquet)
    csv.write_text(text_of(long()))
    expected = table(feed, long()).frame
    for given in (ParquetSignalSource(parquet), CsvSignalSource(str(csv))):
        found = table(feed, given)
        assert_frame_equal(found.frame, expected)
        assert found.paths == (Path(given.source.locations[0]),)
    apart = [tmp_path / "a", tmp_path / "b"]
    for path, part in zip(apart, (long()[:1], long()[1:]), strict=True):
        part.write_parquet(path)
    assert_frame_equal(table(feed, ParquetSignalSource(apart)).frame, expected)
    with pytest.raises(DataError, match=r"scores\.data cannot be read as Parquet"):
        table(feed, ParquetSignalSource(csv))
    named = {"boost": ParquetSignalSource(tmp_path / "none")}
    with pytest.raises(DataError, match="signals boost: there is no data file at"):
        table(feed, named)
    with pytest.raises(DataError, match=r"a signal source of csv files takes a path, .* not a DataFrame"):
        CsvSignalSource(long())


def test_files_take_what_is_declared_of_signals(feed: DataFeed, tmp_path: Path) -> None:
    path = tmp_path / "scores"
    long().drop("model_id").rename({"score": "p"}).write_parquet(path)
    given = ParquetSignalSource(path, columns={"score": "p"}, model_id="xgb", embargo="next_open")
    expected = Signals(long().drop("model_id"), model_id="xgb", embargo="next_open")
    assert_frame_equal(table(feed, given).frame, table(feed, expected).frame)
    with pytest.raises(DataError, match="signals alpha: embargo 'soon' is not known"):
        ParquetSignalSource(path, name="alpha", embargo="soon")


def test_a_file_can_be_read_one_by_one_in_the_order_of_arrival(feed: DataFeed, tmp_path: Path) -> None:
    path = tmp_path / "scores"
    frame = long(version=["1", "2", "3"], confidence=[0.1, 0.2, 0.3])[::-1]
    frame.write_parquet(path)
    source = ParquetSignalSource(path, latency="10m")
    assert isinstance(source, sources.SignalSource)
    events = list(iter(source.get_next_event, None))
    assert [event.ts_arrival for event in events] == sorted(event.ts_arrival for event in events)
    assert source.get_next_event() is None
    found = table(feed, Source(events))
    assert_frame_equal(found.frame, table(feed, Signals(frame, latency="10m")).frame)
    with pytest.raises(
        DataError, match="signals: one by one there are only signals whose stamps are instants"
    ):
        ParquetSignalSource(path, embargo="next_open").get_next_event()
