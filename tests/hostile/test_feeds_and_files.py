"""Feeds that raise midway, files that are damaged or replaced, and folders that take no results."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Bar, DataFeed, Engine, Results, Signal, SignalSource, TradeTick, datasets
from ml4t.core.errors import DataError, ResultsError
from ml4t.engine.manifest import sha256_file

from .inputs import COMMAND, UTC, Buys, by_session, daily, kept, refused, run

# --------------------------------------------------------------------------- feeds written in Python


def at(minute: int) -> dt.datetime:
    return dt.datetime(2024, 1, 2, 15, minute, tzinfo=UTC)


def tick(minute: int, **fields: Any) -> TradeTick:  # noqa: ANN401
    return TradeTick(**{"symbol": "XYZ", "ts_event": at(minute), "price": 10.0, "size": 1.0, **fields})


class Replay(DataFeed):
    """Yields what it is given; an exception is raised."""

    name = "mine"

    def __init__(self, events: Iterable[Any]) -> None:
        self.events = iter(events)

    def get_next_event(self) -> Any:  # noqa: ANN401
        event = next(self.events, None)
        if isinstance(event, BaseException):
            raise event
        return event() if callable(event) else event


def test_a_feed_that_raises_midway_keeps_its_error_and_says_how_far_it_came() -> None:
    engine = Engine(Replay([tick(0), tick(1), ConnectionError("socket closed")]), Buys)
    where = (
        "feed mine: raised by Replay.get_next_event after 2 events, the last of XYZ at 2024-01-02T15:01:00Z"
    )
    with refused(ConnectionError, "socket closed", where, "the run had not begun"):
        engine.run()
    assert engine.results is None


MIDWAY: dict[str, tuple[list[Any], list[str]]] = {
    "no event": ([tick(0), 3], ["get_next_event returned a int", "Bar, Quote, TradeTick, or None"]),
    "out of order": (
        [tick(1), tick(0)],
        ["XYZ at 2024-01-02T15:00:00Z came after XYZ at 2024-01-02T15:01:00Z"],
    ),
    "nothing": ([], ["returned no event", "give each run a new one"]),
    "milliseconds": ([tick(0, ts_event=1_704_205_800_000)], ["1704205800000", "year 1970", "ns since 1970"]),
    "a symbol that is none": ([tick(0, symbol=None)], ["the trade at 2024-01-02T15:00:00Z has symbol None"]),
    "a price that is none": ([tick(0, price=float("nan"))], ["XYZ at 2024-01-02T15:00:00Z", "price is nan"]),
    "text for a price": (
        [tick(0), lambda: tick(1, price="x")],
        ["XYZ at 2024-01-02T15:01:00Z: price is 'x'", "after 1 events"],
    ),
    "a naive stamp": (
        [lambda: tick(0, ts_event=dt.datetime(2024, 1, 2))],
        ["2024-01-02 00:00:00 has no time zone"],
    ),
    "a bar without begin": (
        [Bar("XYZ", at(1), 1, 1, 1, 1)],
        ["XYZ at 2024-01-02T15:01:00Z has no ts_open", "interval"],
    ),
    "text for a feature": (
        [Bar("XYZ", at(1), 1, 1, 1, 1, ts_open=at(0), fields={"alpha": "y"})],
        ["XYZ at 2024-01-02T15:01:00Z", "field 'alpha' is 'y'"],
    ),
}


@pytest.mark.parametrize("what", MIDWAY)
def test_an_event_that_cannot_be_is_refused_with_instrument_and_instant(what: str) -> None:
    events, parts = MIDWAY[what]
    with refused(DataError, *parts):
        run(Replay(events))


class Predictions(SignalSource):
    """Yields one signal and then what it is given."""

    def __init__(self, then: Any) -> None:  # noqa: ANN401
        self.events = [Signal("XYZ", at(0), at(1), 0.5), then]

    def get_next_event(self) -> Any:  # noqa: ANN401
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event


def test_a_signal_source_that_raises_midway_says_how_far_it_came() -> None:
    where = "raised by Predictions.get_next_event after 1 signals, the last of XYZ at 2024-01-02T15:01:00Z"
    with refused(ConnectionError, "no database", where):
        run(by_session(daily()), signals=Predictions(ConnectionError("no database")))


def test_a_signal_source_that_yields_something_else_is_refused() -> None:
    with refused(DataError, "returned a int", "returns Signal, or None"):
        run(by_session(daily()), signals=Predictions(3))


# --------------------------------------------------------------------------- files


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Return a Parquet file of the four sessions."""
    path = tmp_path / "prices.parquet"
    daily().write_parquet(path)
    return path


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def scratched(content: bytes) -> bytes:
    return content[:20] + bytes(180) + content[200:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": cut,
    "empty": lambda content: b"",
    "something else": lambda content: b"hello" * 100,
    "scratched": scratched,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_parquet_file_is_refused_by_path(damage: str, prices: Path) -> None:
    prices.write_bytes(DAMAGES[damage](prices.read_bytes()))
    with refused(DataError, "feed prices", str(prices), "read"):
        run(DataFeed.from_parquet(prices, stamp="session"))


HEAD = "session,symbol,open,high,low,close\n"
CSVS: dict[str, tuple[bytes, list[str]]] = {
    "text": (f"{HEAD}2024-01-02,XYZ,1,2,1,n/a\n".encode(), ["XYZ at 2024-01-02 (row 0)", "close is 'n/a'"]),
    "comma": (f'{HEAD}2024-01-02,XYZ,"1,5",2,1,1\n'.encode(), ["XYZ at 2024-01-02 (row 0)", "open is '1,5'"]),
    "ragged": (f"{HEAD}2024-01-02,XYZ,1,2,1,1,9\n".encode(), ["more fields"]),
    "latin": (f"{HEAD}2024-01-02,\xc9,1,2,1,1\n".encode("latin-1"), ["utf-8"]),
    "empty": (b"", ["empty CSV"]),
}


@pytest.mark.parametrize("what", CSVS)
def test_a_csv_file_that_cannot_be_read_is_refused_by_path_and_row(what: str, tmp_path: Path) -> None:
    content, parts = CSVS[what]
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    with refused(DataError, "feed prices", str(path), *parts):
        run(DataFeed.from_csv(path, stamp="session"))


def test_a_csv_file_with_a_header_and_no_rows_is_an_empty_feed(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(HEAD)
    with refused(DataError, "feed prices: there are no rows"):
        run(DataFeed.from_csv(tmp_path / "prices.csv", stamp="session"))


def test_a_parquet_file_read_as_csv_is_refused_with_the_right_way(prices: Path) -> None:
    with refused(DataError, str(prices), "is a Parquet file", "from_parquet"):
        run(DataFeed.from_csv(prices, stamp="session"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with refused(DataError, str(tmp_path / "nowhere.parquet"), "no data file"):
        run(DataFeed.from_parquet(tmp_path / "nowhere.parquet", stamp="session"))


def test_a_query_whose_file_was_truncated_after_it_was_written_is_refused(prices: Path) -> None:
    feed = by_session(pl.scan_parquet(prices))
    prices.write_bytes(cut(prices.read_bytes()))
    with refused(DataError, "feed prices", "cannot be"):
        run(feed)


@pytest.mark.parametrize("change", ["replaced", "truncated", "deleted"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: str, prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = pl.LazyFrame.collect

    def collect_and_change(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        frame = collect(*arguments, **options)
        if change == "replaced":
            daily(close=[9.5] * 4).write_parquet(prices.with_name("other"))
            prices.with_name("other").replace(prices)
        elif change == "truncated":
            prices.write_bytes(cut(prices.read_bytes()))
        else:
            prices.unlink(missing_ok=True)
        return frame

    with (
        monkeypatch.context() as patch,
        refused(DataError, "feed prices", str(prices), "changed while it was read"),
    ):
        patch.setattr(pl.LazyFrame, "collect", collect_and_change)
        run(DataFeed.from_parquet(prices, stamp="session"))


@pytest.mark.parametrize("change", ["replaced", "truncated", "deleted"])
@pytest.mark.parametrize("fails", [False, True], ids=["completes", "fails"])
def test_a_file_that_changes_during_the_run_costs_nothing_and_the_manifest_names_what_was_read(
    change: str, prices: Path, *, fails: bool
) -> None:
    expected = sha256_file(prices)

    class Changes(Buys):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            super().on_data(timestamp, data, context, broker)
            if timestamp.day == 3:
                content = {"replaced": b"other", "truncated": cut(prices.read_bytes())}
                prices.write_bytes(content[change]) if change in content else prices.unlink()
            if timestamp.day == 4 and fails:
                message = "no such luck"
                raise ValueError(message)

    engine = Engine(DataFeed.from_parquet(prices, stamp="session"), Changes)
    if fails:
        with refused(ValueError, "no such luck") as caught:
            engine.run()
        results = kept(engine, caught)
    else:
        results = engine.run()
    assert results.fills.height == (2 if fails else 3)
    (entry,) = results.manifest["inputs"]
    assert (entry["name"], entry["sha256"]) == ("prices.parquet", expected)


def test_the_manifest_of_a_run_on_a_shipped_data_set_is_the_same_bytes_in_every_folder(
    tmp_path: Path,
) -> None:
    manifests = []
    for folder in (tmp_path / "a", tmp_path / "far" / "away" / "b"):
        folder.mkdir(parents=True)
        (folder / "strategies.py").write_text(
            "from ml4t.backtest import Strategy\nclass Idle(Strategy): ...\n"
        )
        (folder / "run.toml").write_text(
            '[backtest]\nname = "idle"\nend_date = 2000-04-01\n'
            '[[data_feeds]]\nname = "prices"\ntype = "ParquetFeed"\npath = "dataset:us_equity_daily"\n'
            'stamp = "session"\n'
            '[[strategies]]\nname = "idle"\ntype = "strategies.py:Idle"\n'
        )
        command = [*COMMAND, "run", str(folder / "run.toml"), "--no-report", "--quiet"]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        manifests.append((folder / "runs" / "idle" / "run_manifest.json").read_bytes())
    assert manifests[0] == manifests[1]
    (entry,) = json.loads(manifests[0])["inputs"]
    assert entry["name"] == "dataset:us_equity_daily"
    assert entry["sha256"] == sha256_file(datasets.path("us_equity_daily"))


# --------------------------------------------------------------------------- saved runs


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return the folder of a saved run."""
    return run(by_session(daily())).save(tmp_path / "run")


def drop_rows(folder: Path) -> None:
    pl.read_parquet(folder / "fills.parquet").head(1).write_parquet(folder / "fills.parquet")


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "fills.parquet").read_bytes())
    content[40] ^= 0xFF
    (folder / "fills.parquet").write_bytes(bytes(content))


def put_in_another_table(folder: Path) -> None:
    shutil.copy(folder / "orders.parquet", folder / "fills.parquet")


def cut_file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(cut((folder / name).read_bytes()))


def change_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


TAMPERED: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "rows dropped": (
        drop_rows,
        ["fills.parquet is not the file that was saved", "sha256", "run the backtest again"],
    ),
    "a byte flipped": (flip_a_byte, ["fills.parquet is not the file that was saved"]),
    "another table": (put_in_another_table, ["fills.parquet is not the file that was saved"]),
    "a table truncated": (cut_file("fills.parquet"), ["fills.parquet", "bytes) is truncated"]),
    "a table missing": (
        lambda f: (f / "fills.parquet").unlink(),
        ["has no fills.parquet", "not a complete run"],
    ),
    "the manifest changed": (
        change_text("run_manifest.json", '"seed": 0', '"seed": 7'),
        ["run_manifest.json is not the file that was saved"],
    ),
    "the manifest truncated": (cut_file("run_manifest.json"), ["run_manifest.json is truncated or not JSON"]),
    "the manifest missing": (lambda f: (f / "run_manifest.json").unlink(), ["has no run_manifest.json"]),
    "another status": (
        change_text("run_info.json", '"complete"', '"done"'),
        ["status 'done'", "complete, interrupted or failed"],
    ),
    "hashes that are none": (change_text("run_info.json", '"files": {', '"files": 3, "x": {'), ["files = 3"]),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_saved_run_that_was_tampered_with_is_refused_by_file(what: str, saved: Path) -> None:
    tamper, parts = TAMPERED[what]
    tamper(saved)
    with refused(ResultsError, *parts):
        assert Results.load(saved).fills.height


def test_a_saved_run_that_was_left_alone_loads_as_it_was(saved: Path) -> None:
    results, again = run(by_session(daily())), Results.load(saved)
    for name in ("fills", "ledger", "orders"):
        assert again.table(name).equals(results.table(name))
    assert "files" not in again.run_info


@pytest.mark.parametrize("place", ["a file", "below a file", "/proc/nowhere", "/dev/full/run"])
def test_a_folder_that_cannot_be_written_is_refused_and_the_results_stay(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    target = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "run"}.get(place, Path(place))
    results = run(by_session(daily()))
    with refused(ResultsError, str(target)):
        results.save(target)
    assert (tmp_path / "file").read_text() == "mine"
    assert Results.load(results.save(tmp_path / "elsewhere")).fills.height == 3
