"""A configuration read with a word on keys of ml4t 0.1, and written down as plain values."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import attrs

from ml4t.core import config as kernel
from ml4t.core.errors import ConfigError, Finding
from ml4t.core.structuring import DurationNs, key_of, readable_fields
from ml4t.core.values import decimal_text, format_duration

if TYPE_CHECKING:
    from ml4t.core.config import RunConfig
    from ml4t.core.plugins import PluginManager

__all__ = ["FORMER_KEYS", "load_config", "to_mapping"]

# What says today what a key of ml4t 0.1 said.
FORMER_KEYS = {
    "execution_mode": "broker.policies.fill_timing says when orders fill",
    "stop_fill_mode": "broker.policies.stop_gap and broker.policies.path say where stops fill",
    "stop_level_basis": "position rules count from the average price of the position",
    "trail_hwm_source": "broker.policies.trail_basis says what moves a trailing stop",
    "initial_hwm_source": "position rules begin at the average price of the position",
    "trail_stop_timing": "a trailing stop moves when a bar is complete",
    "fill_ordering": "broker.policies.fill_order says which orders come first",
    "short_cash_policy": "broker.buying_power says what short sales pay for",
    "rebalance_mode": "a strategy calls order_target_weights or order_target_percent",
    "share_type": "an instrument says it: fractional = true, or its lot_size",
}


def load_config(
    source: str | Path | Mapping[str, Any],
    *,
    root: str | Path | None = None,
    plugins: PluginManager | None = None,
    check: Callable[[Mapping[str, Any]], list[Finding]] | None = None,
) -> RunConfig:
    """Read the configuration of a run as `ml4t.core.config.load_config` does.

    Keys of ml4t 0.1 are refused with what came in their place.

    Raises
    ------
    ConfigError
        With all faults found.
    """
    try:
        return kernel.load_config(source, root=root, plugins=plugins, check=check)
    except ConfigError as error:
        findings = [_with_successor(finding) for finding in error.findings]
        raise ConfigError(findings, error.source) from error.__cause__


def _with_successor(finding: Finding) -> Finding:
    """Say of an unknown key that ml4t 0.1 had what came in its place; what it resembles is chance."""
    if finding.code != "unknown_key" or finding.found not in FORMER_KEYS:
        return finding
    message = f"a key of ml4t 0.1, which is no longer read; {FORMER_KEYS[finding.found]}"
    message += ", see 'Come from ml4t 0.1' in the documentation"
    return attrs.evolve(finding, message=message, allowed=(), nearest=None)


def to_mapping(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as plain values for JSON and for `load_config`, defaults included.

    Numbers that must stay exact are text. Paths below the folder of the configuration are relative to it, so
    that a copy of the folder gives the same mapping.
    """
    plain: dict[str, Any] = _plain(config, config.root)
    return plain


def _plain(value: Any, root: Path | None, of: Any = None) -> Any:  # noqa: ANN401 - one case per kind of value
    if type(value) is int and (of is DurationNs or DurationNs in get_args(of)):
        return format_duration(value)
    if attrs.has(type(value)):
        pairs = [(field, getattr(value, field.name)) for field in readable_fields(type(value))]
        return {key_of(f): _plain(v, root, f.type) for f, v in pairs}
    if isinstance(value, Mapping):
        return {key: _plain(item, root) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item, root, of) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, Path):
        return (value.relative_to(root) if root and value.is_relative_to(root) else value).as_posix()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date | time) else value
