"""What of a configuration can be found wrong before any data are read: readers, calendars, currencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ml4t.backtest.calendars import BUILT_IN, calendar_names, is_calendar
from ml4t.backtest.data.plugged import reader_faults
from ml4t.backtest.latency import Latency
from ml4t.core.config import LARGEST_AMOUNTS
from ml4t.core.errors import ConfigError, Finding, nearest
from ml4t.core.plugins import PluginManager
from ml4t.core.structuring import structure
from ml4t.core.values import FrozenMapping, decimal_places, to_decimal

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
        *_money_faults(document),
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
    if document.get("fx_rates") or not all(isinstance(each, str) for each in (base, *given.values())):
        return
    # Without feeds the rest of the run, rates of currencies included, comes from elsewhere.
    if not document.get("data_feeds"):
        return
    if base not in given.values():
        names = tuple(sorted(set(given.values())))
        message = f"nothing settles in {base!r}, and there are no [[fx_rates]] to convert by"
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
            message = f"{currency!r} is not backtest.base_currency, and there are no [[fx_rates]]"
            yield Finding(path=path, message=message, found=currency, allowed=(base,))


def _money_faults(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Check what `[broker]` says by currency: models of interest, and opening balances."""
    broker, backtest = document.get("broker"), document.get("backtest")
    if not isinstance(broker, Mapping):
        return
    base = backtest.get("base_currency", _CURRENCY) if isinstance(backtest, Mapping) else _CURRENCY
    for key, instead in (("interest_models", "interest_model"), ("initial_balances", "initial_cash")):
        tables = broker.get(key)
        for name, given in tables.items() if isinstance(tables, Mapping) else ():
            path = f"broker.{key}.{name}"
            if name == base:
                message = f"{name} is the base currency, which is the business of broker.{instead}"
                yield Finding(path=path, message=message, found=name)
            elif key == "initial_balances":
                yield from _balance_faults(path, given)
            elif not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
                message = 'expected a model such as { type = "CashInterest", debit = 0.05 }'
                yield Finding(path=path, message=message, found=str(given))


def _balance_faults(path: str, given: object) -> Iterator[Finding]:
    limit, decimals = LARGEST_AMOUNTS["initial_cash"]
    try:
        amount = to_decimal(given)
    except ValueError:
        amount = Decimal(-1)
    if not 0 <= amount <= limit or decimal_places(amount) > decimals:
        message = f"expected a number from 0 to {limit:,} with at most {decimals} decimals, found {given!r}"
        yield Finding(path=path, message=message, found=str(given))


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
