"""Plugins that act around a run, bring calendars and engines of their own, and fail."""

from __future__ import annotations

import datetime as dt
import sys
import types
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Strategy
from ml4t.core import CalendarSpec, EngineSpec, PluginError, UnknownNameError, hookimpl
from ml4t.core.errors import ConfigError
from ml4t.core.plugins import PluginManager, load_plugins

PRICES = pl.DataFrame(
    {
        "symbol": ["XYZ"] * 2,
        "session": [dt.date(2024, 3, 4), dt.date(2024, 3, 5)],
        "open": [10.0, 11.0],
        "high": [10.0, 11.0],
        "low": [10.0, 11.0],
        "close": [10.0, 11.0],
        "volume": [1e6, 1e6],
    }
)


class Fails(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        message = "no more"
        raise RuntimeError(message)


class Watcher:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    @hookimpl
    def ml4t_before_run(self, run: Any) -> None:  # noqa: ANN401
        self.told.append(("before", run.config.backtest.name))

    @hookimpl
    def ml4t_after_run(self, run: Any, result: Any) -> None:  # noqa: ANN401
        self.told.append(("after", result is run.results))

    @hookimpl
    def ml4t_on_run_error(self, run: Any, exc: BaseException) -> None:  # noqa: ANN401
        self.told.append(("error", str(exc)))

    @hookimpl
    def ml4t_manifest(self, run: Any) -> Mapping[str, Any]:  # noqa: ANN401
        return {"desk": run.config.backtest.name}


def manager_of(plugin: object, name: str = "watcher") -> PluginManager:
    manager = load_plugins()
    manager.register(plugin, name)
    return manager


def engine_of(plugin: object, strategy: type[Strategy] = Strategy, **keywords: Any) -> Engine:  # noqa: ANN401
    config = {"backtest": {"name": "desk-7"} | keywords.pop("backtest", {})}
    feed = DataFeed(PRICES, stamp="session", **keywords)
    return Engine(feed, strategy, config=config, plugins=manager_of(plugin))


def test_a_plugin_is_told_before_and_after_and_adds_to_the_manifest() -> None:
    watcher = Watcher()
    results = engine_of(watcher).run()
    assert watcher.told == [("before", "desk-7"), ("after", True)]
    assert results.manifest["desk"] == "desk-7"


def test_a_plugin_is_told_of_an_error_and_the_error_goes_on() -> None:
    watcher = Watcher()
    with pytest.raises(RuntimeError, match="no more"):
        engine_of(watcher, Fails).run()
    assert watcher.told == [("before", "desk-7"), ("error", "no more")]


def test_a_plugin_that_raises_before_the_run_stops_it() -> None:
    class Guard:
        @hookimpl
        def ml4t_before_run(self, run: Any) -> None:  # noqa: ANN401
            message = "trading is halted"
            raise ValueError(message)

    with pytest.raises(PluginError, match=r"'watcher' stopped the run .*trading is halted"):
        engine_of(Guard()).run()


def test_a_plugin_that_raises_after_the_run_costs_a_warning_and_no_results() -> None:
    class Mailer:
        @hookimpl
        def ml4t_after_run(self, run: Any, result: Any) -> None:  # noqa: ANN401
            message = "no network"
            raise OSError(message)

    with pytest.warns(RuntimeWarning, match=r"'watcher' failed in ml4t_after_run.*no network"):
        assert engine_of(Mailer()).run().status == "complete"


@pytest.mark.parametrize("entry", ["seed", "rules_version"])
def test_a_manifest_entry_of_ours_cannot_be_replaced(entry: str) -> None:
    class Forger:
        @hookimpl
        def ml4t_manifest(self, run: Any) -> Mapping[str, Any]:  # noqa: ANN401
            return {entry: 1}

    with pytest.raises((PluginError, ConfigError), match=entry):
        engine_of(Forger()).run()


class Tuesdays:
    """A venue that is open on Tuesdays, 12:00 to 13:00 UTC."""

    name = "TUES"
    timezone = "UTC"

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        days = (start + dt.timedelta(days=k) for k in range((end - start).days + 1))
        noon = {
            day: int(dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC).timestamp()) for day in days
        }
        return [(day, at * 10**9, (at + 3600) * 10**9) for day, at in noon.items() if day.weekday() == 1]


def test_a_calendar_of_a_plugin_is_named_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("tuesday_venue")
    module.Tuesdays = Tuesdays  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tuesday_venue", module)

    class Venue:
        @hookimpl
        def ml4t_register_calendars(self) -> list[CalendarSpec]:
            return [CalendarSpec("TUES", "tuesday_venue:Tuesdays")]

    rows = PRICES.filter(pl.col("session") == dt.date(2024, 3, 5))
    feed = DataFeed(rows, stamp="session", calendar="TUES")
    results = Engine(feed, Strategy, plugins=manager_of(Venue())).run()
    assert results.nav["ts_event"].to_list() == [dt.datetime(2024, 3, 5, 13, tzinfo=dt.UTC)]


def test_an_engine_is_chosen_by_name_and_an_unknown_one_lists_those_there_are() -> None:
    class Other:
        @hookimpl
        def ml4t_register_engines(self) -> list[EngineSpec]:
            return [EngineSpec("twin", "ml4t.engine._engine:Run")]

    chosen = engine_of(Other(), backtest={"engine": "twin"}).run()
    assert chosen.manifest["config"]["backtest"]["engine"] == "twin"
    assert chosen.fills.equals(engine_of(Other()).run().fills)
    with pytest.raises((ConfigError, UnknownNameError), match=r"'twim'.*twin"):
        engine_of(Other(), backtest={"engine": "twim"}).run()
