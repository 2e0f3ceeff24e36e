"""How results print themselves."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, cast

from ml4t.core.errors import PluginError, ResultsError
from ml4t.engine.metrics import Unit, format_value, html_rows

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ml4t.core.plugins import PluginManager
    from ml4t.engine.results import Results

__all__ = ["figure", "line", "notebook_table"]

_FIGURE_FORMAT = "plotly"


def line(results: Results) -> str:
    """Return name, status, span and outcome in one line."""
    nav = results.nav
    if nav.is_empty():
        return f"<Results {results.name!r}, {results.status}, no session completed>"
    total = format_value(results.metrics["total_return"], Unit.FRACTION)
    fills = f"{results.fills.height} fills, " if results.keeps_tables else ""
    return (
        f"<Results {results.name!r}, {results.status}, {nav['session'][0]} to {nav['session'][-1]}, "
        f"{nav.height} sessions, {fills}total return {total}>"
    )


def notebook_table(results: Results) -> str:
    """Return the metrics as a small HTML table; pointing at one shows its definition."""
    escape = html.escape
    nav = results.nav
    span = (
        f"{nav['session'][0]} to {nav['session'][-1]}, {nav.height} sessions" if nav.height else "no session"
    )
    head = f"<b>{escape(results.name)}</b> {span}, {escape(results.currency)}"
    notes = "".join(f"<p>{escape(note)}</p>" for note in results.warnings)
    return (
        f"<div>{notes}<table><caption style='text-align:left'>{head}</caption>"
        f"<tbody>{html_rows(results.metrics)}</tbody></table></div>"
    )


def figure(results: Results, plugins: PluginManager) -> go.Figure:
    """Draw with the first reporter that has the format `plotly`."""
    able = [
        offer.qualified
        for offer in plugins.registry()
        if offer.kind == "reporter" and _FIGURE_FORMAT in offer.spec.formats
    ]
    if not able:
        message = "no installed plugin draws results; run: pip install 'ml4t[report]'"
        raise ResultsError(message)
    try:
        reporter = plugins.resolve("reporter", able[0])
    except PluginError as error:
        message = f"results cannot be drawn: {error}; run: pip install 'ml4t[report]'"
        raise ResultsError(message) from error
    return cast("go.Figure", reporter().figure(results))
