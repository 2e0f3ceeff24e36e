"""What of a configuration can be found wrong before any data are read: readers, calendars, currencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ml4t.backtest.calendars import BUILT_IN, calendar_names, is_calendar
from ml4t.backtest.data.plugged import reader_faults
from ml4t.backtest.latency import Latency
from ml4t.core.errors import ConfigError, Finding, nearest
from ml4t.core.plugins import PluginManager
from ml4t.core.structuring import structure
from ml4t.core.values import FrozenMapping

__all__ = ["checker_of"]

_CURRENCY = "USD"


def checker_of(
    calendars: Mapping[str, Any], plugins: PluginManager
) -> Callable[[Mapping[str, Any]], list[Finding]]:
    """Return a check of documents for `load_config`; `calendars` are those of the caller and of plugins."""
    return lambda document: [
        *_feed_faults(document, plugins),
        *_calendar_faults(document, calendars),
        *_currency_faults(document),
        *_latency_faults(document),
    ]


def _feed_faults(document: Mapping[str, Any], plugins: PluginManager) -> Iterator[Finding]:
    tables = document.get("data_feeds")
    for index, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
        if isinstance(table, Mapping):
            yield from (each.under(f"data_feeds[{index}]") for each in reader_faults(table, plugins))


def _calendar_faults(document: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[Finding]:
    backtest = document.get("backtest")
    given = [("backtest.nav_calendar", backtest.get("nav_calendar"))] if isinstance(backtest, Mapping) else []
    given += [(f"{path}.calendar", table.get("calendar")) for path, table in _instrument_tables(document)]
    for path, name in given:
        # What is no text, others report.
        if isinstance(name, str) and name not in own and not is_calendar(name):
            message = (
                f"calendar {name!r} is not known; known are the names of pandas-market-calendars and "
                f"{', '.join(sorted({*BUILT_IN, *own}))}"
            )
            guess = nearest(name, [*own, *calendar_names()])
            yield Finding(path=path, message=message, code="unknown_name", found=name, nearest=guess)


def _currency_faults(document: Mapping[str, Any]) -> Iterator[Finding]:
    backtest = document.get("backtest")
    base = backtest.get("base_currency", _CURRENCY) if isinstance(backtest, Mapping) else _CURRENCY
    given = {
        f"{path}.currency": table.get("currency", _CURRENCY) for path, table in _instrument_tables(document)
    }
    if not all(isinstance(each, str) for each in (base, *given.values())):
        return
    if document.get("data_feeds") and base not in given.values():
        names = tuple(sorted(set(given.values())))
        message = f"nothing settles in {base!r}, and amounts are not converted"
        yield Finding(
            path="backtest.base_currency",
            message=message,
            found=base,
            allowed=names,
            nearest=nearest(base, names),
        )
        return
    for path, currency in given.items():
        # Other currencies of a feed may belong to instruments that have a section of their own.
        if path.startswith("instruments") and currency != base:
            message = f"{currency!r} is not backtest.base_currency, and amounts are not converted"
            yield Finding(path=path, message=message, found=currency, allowed=(base,))


def _latency_faults(document: Mapping[str, Any]) -> list[Finding]:
    broker = document.get("broker")
    table = broker.get("latency") if isinstance(broker, Mapping) else None
    if not isinstance(table, Mapping):
        # A duration is checked with the other settings of the section.
        return []
    try:
        plain = structure(table, FrozenMapping)
    except ConfigError:
        # What no table of parameters may hold, others report.
        return []
    try:
        Latency.of(plain)
    except ConfigError as error:
        return list(error.findings)
    return []


def _instrument_tables(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables that say how instruments trade, with their paths."""
    for section in ("instruments", "data_feeds"):
        tables = document.get(section)
        for index, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
            if isinstance(table, Mapping):
                yield f"{section}[{index}]", table
                if isinstance(defaults := table.get("instrument_defaults"), Mapping):
                    inherited = {"currency": table.get("currency", _CURRENCY)}
                    yield f"{section}[{index}].instrument_defaults", inherited | dict(defaults)
