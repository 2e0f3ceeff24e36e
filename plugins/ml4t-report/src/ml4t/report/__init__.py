"""The report of a run: one HTML page that opens anywhere, and figures for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml4t.report.page import HtmlReport

__all__ = ["HtmlReport"]


def __getattr__(name: str) -> object:
    """Import what draws when it is asked for: the plugin manager loads this package in every process."""
    if name == "HtmlReport":
        from ml4t.report.page import HtmlReport

        return HtmlReport
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
