"""Tables and signals of a configuration beside a feed of one's own: read or refused, not ignored."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import DataFeed, Engine, Strategy, run
from ml4t.core.config import TABLE_SECTIONS, load_config
from ml4t.core.errors import ConfigError, DataError

DAYS = [dt.date(2024, 3, 4), dt.date(2024, 3, 5), dt.date(2024, 3, 6)]
AT = dt.datetime(2024, 3, 5, 16, tzinfo=dt.UTC)
ROW = {"symbol": "A", "ts_event": AT}
# The keyword of a run, its section, a row, and the table of the assembled data.
TABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "actions": (
        "corporate_actions",
        {"symbol": "A", "ex_date": DAYS[1], "kind": "cash_dividend", "amount": "1"},
        "actions",
    ),
    "funding": ("funding_rates", ROW | {"funding_rate": 0.01}, "funding"),
    "borrow": ("borrow_rates", ROW | {"borrow_rate": 0.1}, "borrow"),
    "fx": ("fx_rates", {"pair": "EURUSD", "ts_event": AT, "rate": 1.1}, "fx"),
    "settlements": ("settlement_prices", ROW | {"settlement_price": 10.0}, "settlements"),
    "margin_rates": ("margin_rates", ROW | {"initial": 2.0, "maintenance": 1.0}, "margin_rates"),
    "cash_flows": ("cash_flows", {"ts_event": AT, "amount": "500"}, "flows"),
    "rolls": ("rolls", {"session": DAYS[1], "from": "A", "to": "B"}, "rolls"),
}
SIGNAL = pl.DataFrame({"ts_event": [AT], "asset_id": ["A"], "score": [0.5]})


def feed(**options: Any) -> DataFeed:  # noqa: ANN401
    rows = [
        {"symbol": symbol, "session": day, **dict.fromkeys(("open", "high", "low", "close"), 10.0)}
        for symbol in ("A", "B")
        for day in DAYS
    ]
    return DataFeed(pl.DataFrame(rows), stamp="session", **options)


def table_of(engine: Engine, keyword: str) -> pl.DataFrame:
    found = getattr(engine.data, TABLES[keyword][2])
    assert isinstance(found, pl.DataFrame)
    return found


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Path]:
    """Return a file for every keyword."""
    paths = {}
    for keyword, (_, row, _) in TABLES.items():
        paths[keyword] = tmp_path / f"{keyword}.parquet"
        pl.DataFrame([row]).write_parquet(paths[keyword])
    paths["signals"] = tmp_path / "signals.parquet"
    SIGNAL.write_parquet(paths["signals"])
    return paths


def test_there_is_a_keyword_for_every_section() -> None:
    assert sorted(section for section, _, _ in TABLES.values()) == sorted(TABLE_SECTIONS)


@pytest.mark.parametrize("keyword", TABLES)
def test_a_table_of_the_configuration_is_read_beside_a_feed_of_ones_own(
    keyword: str, written: dict[str, Path]
) -> None:
    section, row, _ = TABLES[keyword]
    config = {section: [{"name": "t", "path": str(written[keyword])}]}
    given: dict[str, Any] = {keyword: pl.DataFrame([row])}
    expected = table_of(Engine(feed(), Strategy, **given), keyword)
    assert expected.height == 1
    for each in (config, load_config(config)):
        engine = Engine(feed(), Strategy, config=each)
        assert_frame_equal(table_of(engine, keyword), expected)
        assert written[keyword] in engine.data.files


def test_two_tables_of_a_section_are_read_and_their_columns_renamed(tmp_path: Path) -> None:
    for hour in (15, 16):
        frame = pl.DataFrame({"when": [AT.replace(hour=hour)], "amount": [hour]})
        frame.write_parquet(tmp_path / f"{hour}.parquet")
    section = [
        {"name": str(hour), "path": f"{hour}.parquet", "columns": {"ts_event": "when"}} for hour in (16, 15)
    ]
    engine = Engine(feed(), Strategy, config=load_config({"cash_flows": section}, root=tmp_path))
    assert table_of(engine, "cash_flows")["amount"].to_list() == ["15", "16"]


def test_signals_of_the_configuration_are_read_beside_a_feed_of_ones_own(written: dict[str, Path]) -> None:
    section = {"name": "s", "type": "ParquetSignalSource", "path": str(written["signals"])}
    read = Engine(feed(), Strategy, config={"signal_sources": [section]}).data.signals
    given = Engine(feed(), Strategy, signals={"s": SIGNAL}).data.signals
    assert read is not None and given is not None
    assert read.frame.height == 1
    assert_frame_equal(read.frame, given.frame)


@pytest.mark.parametrize("keyword", [*TABLES, "signals"])
def test_a_section_and_its_keyword_together_are_refused(keyword: str, written: dict[str, Path]) -> None:
    section = TABLES[keyword][0] if keyword in TABLES else "signal_sources"
    entry = {"name": "t", "path": str(written[keyword])}
    if keyword == "signals":
        entry["type"] = "ParquetSignalSource"
    given: dict[str, Any] = {keyword: written[keyword]}
    words = rf"{section}: given twice, as \[\[{section}\]\] and as {keyword}=; keep one of them"
    with pytest.raises(ConfigError, match=words) as caught:
        run(Strategy, feed(), config={section: [entry]}, **given)
    assert [finding.code for finding in caught.value.findings] == ["given_twice"]


def test_actions_of_the_configuration_are_in_addition_to_those_of_the_feed(written: dict[str, Path]) -> None:
    own = pl.DataFrame({"symbol": ["B"], "ex_date": [DAYS[2]], "kind": ["split"], "ratio": ["2"]})
    config = {"corporate_actions": [{"name": "a", "path": str(written["actions"])}]}
    engine = Engine(feed(actions=own), Strategy, config=config)
    assert table_of(engine, "actions")["kind"].to_list() == ["cash_dividend", "split"]


def test_a_table_of_the_configuration_acts_in_the_run_and_is_in_its_manifest(
    written: dict[str, Path],
) -> None:
    """100,000 at the begin, 500 paid in."""
    path = written["cash_flows"]
    results = run(Strategy, feed(), config={"cash_flows": [{"name": "f", "path": str(path)}]})
    assert results.cash_flows["amount"].to_list() == [Decimal(500)]
    assert results.portfolio_history["equity"][-1] == 100_500
    assert "cash_flows.parquet" in {each["name"] for each in results.manifest["inputs"]}


def test_a_file_that_is_absent_is_named() -> None:
    with pytest.raises(DataError, match=r"rolls: there is no data file at .*nowhere\.csv"):
        Engine(feed(), Strategy, config={"rolls": [{"name": "r", "path": "nowhere.csv"}]})


def test_the_feed_and_the_strategy_that_are_given_stand_for_those_of_the_configuration() -> None:
    config = {
        "data_feeds": [{"name": "d", "path": "nowhere.parquet", "stamp": "session"}],
        "strategies": [{"name": "s", "type": "nowhere.py:Nobody"}],
    }
    results = run(Strategy, feed(), config=config)
    assert results.portfolio_history.height == 3
