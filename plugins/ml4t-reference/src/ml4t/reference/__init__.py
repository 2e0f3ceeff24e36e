"""The executable specification of ml4t: an engine in plain Python, written to be read.

It takes the same description of a run as the native engine and must give the same tables, row by row. Numbers
are Python integers and fractions; nothing is fast and nothing is clever. `ml4t.reference.engine` has the
eleven phases of an instant, each a method; start there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.reference.engine import Run

__all__ = ["Run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of the module
    """Import the engine when somebody asks for it: every process loads the plugin, few run it."""
    if name != "Run":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from ml4t.reference.engine import Run

    return Run
