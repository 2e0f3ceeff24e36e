"""From a configuration alone to an engine: feeds, signals, actions and the strategy it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml4t.backtest import datasets
from ml4t.backtest.data import (
    DataFeed,
    Signals,
    read_actions,
    read_borrow_rates,
    read_cash_flows,
    read_funding_rates,
    read_fx_rates,
    read_margin_rates,
    read_rolls,
    read_settlement_prices,
)
from ml4t.backtest.data.feed import FeedOptions, LoadedFeed
from ml4t.backtest.data.frames import Files
from ml4t.backtest.data.plugged import find_reader, read_section, reader_faults
from ml4t.backtest.engine import Engine
from ml4t.core.config import FeedSection, RunConfig, SignalSection, TableSection
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
        signals=[_signals(section) for section in config.signal_sources] or None,
        actions=_tables(config.corporate_actions, read_actions),
        funding=_tables(config.funding_rates, read_funding_rates),
        borrow=_tables(config.borrow_rates, read_borrow_rates),
        fx=_tables(config.fx_rates, read_fx_rates),
        settlements=_tables(config.settlement_prices, read_settlement_prices),
        margin_rates=_tables(config.margin_rates, read_margin_rates),
        cash_flows=_tables(config.cash_flows, read_cash_flows),
        rolls=_tables(config.rolls, read_rolls),
        plugins=plugins,
    )


def _file(path: Path) -> Path:
    """Return the file a configuration means: `dataset:NAME` is one that ships with ml4t."""
    scheme, _, name = path.name.partition(":")
    return datasets.path(name) if scheme == "dataset" and name else path


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
        return DataFeed(Files((_file(Path(section.path)),)), **settings)
    make = DataFeed.from_csv if section.type == "CsvFeed" else DataFeed.from_parquet
    return make(_file(Path(section.path)), **settings)


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


def _signals(section: SignalSection) -> Signals:
    return Signals(
        _file(section.path),
        name=section.name,
        columns=dict(section.columns) or None,
        model_id=section.model_id,
        stamp=section.stamp,
        timezone=section.timezone,
    )


def _tables(sections: tuple[TableSection, ...], read: Callable[..., object]) -> object:
    if not sections:
        return None
    found = [read(_file(section.path), columns=dict(section.columns) or None) for section in sections]
    return found[0] if len(found) == 1 else found
