"""What it means that both engines agree on a case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import note

from ml4t.core.plugins import PluginManager

from .markets import Case, Script, difference, outcome_of

Outcome = Any
"""The tables of a run by name, or what was wrong with it."""


def agreed(
    case: Case,
    plugins: PluginManager,
    script: type[Script] = Script,
    outcome: Callable[..., Outcome] = outcome_of,
) -> dict[str, Any] | None:
    """Check that both engines give the same tables or the same error; None where it is an error."""
    native, reference = (outcome(case, engine, plugins, script) for engine in ("rust", "reference"))
    note(f"{case}")
    if isinstance(native, str) and isinstance(reference, str):
        assert native == reference or where(native) == where(reference)
        return None
    assert not isinstance(native, str), native
    assert not isinstance(reference, str), reference
    assert difference(native, reference) == ""
    tables: dict[str, Any] = native
    return tables


def where(error: str) -> str:
    """Return instrument, order and time of a complaint about a model, which its forms word differently."""
    return error.split(": ")[0].split(", ", 1)[1]
