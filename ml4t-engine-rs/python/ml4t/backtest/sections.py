"""Tables and signals that a configuration names, as what a run is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ml4t.backtest import datasets
from ml4t.backtest.data import (
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
from ml4t.core.config import RunConfig, SignalSection, TableSection
from ml4t.core.errors import Finding

__all__ = ["file_of", "with_sections"]

# The section of every keyword of a run that takes a table, and who reads it.
_TABLES: dict[str, tuple[str, Callable[..., object]]] = {
    "actions": ("corporate_actions", read_actions),
    "funding": ("funding_rates", read_funding_rates),
    "borrow": ("borrow_rates", read_borrow_rates),
    "fx": ("fx_rates", read_fx_rates),
    "settlements": ("settlement_prices", read_settlement_prices),
    "margin_rates": ("margin_rates", read_margin_rates),
    "cash_flows": ("cash_flows", read_cash_flows),
    "rolls": ("rolls", read_rolls),
}
_SECTIONS = {"signals": "signal_sources"} | {keyword: section for keyword, (section, _) in _TABLES.items()}


def with_sections(config: RunConfig, given: Mapping[str, object]) -> dict[str, object]:
    """Return what a run was given by keyword, and in its absence what the configuration names.

    Parameters
    ----------
    config
        Of the run.
    given
        Keywords of `Engine`; None where nothing was given.

    Raises
    ------
    ConfigError
        A section and its keyword are both there: which of them is meant is open.
    DataError
        A file cannot be read, or a row of it is not possible.
    """
    named = {
        keyword: section
        for keyword, section in _SECTIONS.items()
        if keyword in given and getattr(config, section)
    }
    findings = [
        Finding(
            path=section,
            message=f"given twice, as [[{section}]] and as {keyword}=; keep one of them",
            code="given_twice",
        )
        for keyword, section in named.items()
        if given[keyword] is not None
    ]
    if findings:
        raise config.refused(findings)
    parts = dict(given)
    for keyword, section in named.items():
        if keyword == "signals":
            parts[keyword] = [_signals(each) for each in config.signal_sources]
        else:
            parts[keyword] = _tables(getattr(config, section), _TABLES[keyword][1])
    return parts


def file_of(path: Path) -> Path:
    """Return the file a configuration means: `dataset:NAME` is one that ships with ml4t."""
    scheme, _, name = path.name.partition(":")
    return datasets.path(name) if scheme == "dataset" and name else path


def _signals(section: SignalSection) -> Signals:
    return Signals(
        file_of(section.path),
        name=section.name,
        columns=dict(section.columns) or None,
        model_id=section.model_id,
        stamp=section.stamp,
        timezone=section.timezone,
    )


def _tables(sections: tuple[TableSection, ...], read: Callable[..., object]) -> object:
    found = [read(file_of(section.path), columns=dict(section.columns) or None) for section in sections]
    return found[0] if len(found) == 1 else found
