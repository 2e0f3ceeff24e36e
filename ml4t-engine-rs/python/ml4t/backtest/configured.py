"""From a configuration alone to an engine: feeds, signals, actions and the strategy it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml4t.backtest.data import DataFeed
from ml4t.backtest.data.feed import FeedOptions, LoadedFeed
from ml4t.backtest.data.frames import Files
from ml4t.backtest.data.plugged import find_reader, read_section, reader_faults
from ml4t.backtest.engine import Engine
from ml4t.backtest.sections import file_of
from ml4t.core.config import FeedSection, RunConfig
from ml4t.core.errors import ArgumentError, DataError, Finding
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.engine.configuration import to_mapping

__all__ = ["engine_of"]


def engine_of(config: RunConfig, *, plugins: PluginManager | None = None) -> Engine:
    """Build the engine that a configuration describes in full.

    Raises
    ------
    ConfigError
        If it names no feed, a reader that is not known, or not exactly one strategy.
    DataError
        If a reader fails.
    """
    missing = []
    if not config.data_feeds:
        missing.append(Finding(path="data_feeds", message="required, but missing", code="missing"))
    if len(config.strategies) != 1:
        found = (
            f"expected one strategy, found {len(config.strategies)}; several in one run are not supported yet"
        )
        missing.append(Finding(path="strategies", message=found))
    if missing:
        raise config.refused(missing)
    (strategy,) = config.strategies
    if plugins is None:
        plugins = load_plugins(unwanted=config.backtest.blocked_plugins)
    return Engine(
        _feeds(config, plugins),
        strategy.type,
        config=config,
        params=dict(strategy.params),
        plugins=plugins,
    )


def _feeds(config: RunConfig, plugins: PluginManager) -> list[LoadedFeed]:
    """Return the feeds of all sections, and the bars that are built of them."""
    feeds: list[LoadedFeed] = []
    findings = []
    tables = to_mapping(config)["data_feeds"]
    # A configuration may have been read without plugins; nothing is read before all names are known.
    for index, table in enumerate(tables):
        findings += [fault.under(f"data_feeds[{index}]") for fault in reader_faults(table, plugins)]
    if findings:
        raise config.refused(findings)
    for index, section in enumerate(config.data_feeds):
        feed = _feed(index, section, tables[index]["path"], config, plugins)
        feeds.append(feed)
        for number, given in enumerate(section.consolidate):
            rule: dict[str, Any] = {"every": given} if isinstance(given, str) else dict(given)
            if isinstance(limits := rule.get("limits"), tuple) and len(limits) == 1:
                # TOML has no word for no upper limit.
                rule["limits"] = (*limits, None)
            try:
                feeds.append(feed.consolidate(**rule))
            except (ArgumentError, DataError) as error:
                path = f"data_feeds[{index}].consolidate[{number}]"
                findings.append(Finding(path=path, message=str(error)))
    if findings:
        raise config.refused(findings)
    return feeds


def _feed(
    index: int, section: FeedSection, address: str, config: RunConfig, plugins: PluginManager
) -> DataFeed:
    settings = _settings(section)
    reader = find_reader(address, section.type, section.options, plugins)
    if reader is not None:
        return read_section(
            section, reader, config=config, path=f"data_feeds[{index}]", settings=dict(settings)
        )
    if section.type is None:
        return DataFeed(Files((file_of(Path(section.path)),)), **settings)
    make = DataFeed.from_csv if section.type == "CsvFeed" else DataFeed.from_parquet
    return make(file_of(Path(section.path)), **settings)


def _settings(section: FeedSection) -> FeedOptions:
    return FeedOptions(
        name=section.name,
        kind=section.kind,
        stamp=section.stamp,
        interval=section.interval,
        columns=dict(section.columns) or None,
        symbols=section.symbols or None,
        timezone=section.timezone,
        calendar=section.calendar,
        currency=section.currency,
        instrument_defaults=dict(section.instrument_defaults) or None,
        fields=section.fields,
        range_check=section.range_check,
        matches_orders=section.matches_orders,
    )
