"""How results print themselves."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ml4t.engine.metrics import Unit, format_value

if TYPE_CHECKING:
    from ml4t.engine.results import Results

__all__ = ["line", "notebook_table"]


def line(results: Results) -> str:
    """Return name, status, span and outcome in one line."""
    nav = results.nav
    if nav.is_empty():
        return f"<Results {results.name!r}, {results.status}, no session completed>"
    total = format_value(results.metrics["total_return"], Unit.FRACTION)
    return (
        f"<Results {results.name!r}, {results.status}, {nav['session'][0]} to {nav['session'][-1]}, "
        f"{nav.height} sessions, {results.fills.height} fills, total return {total}>"
    )


def notebook_table(results: Results) -> str:
    """Return the metrics as a small HTML table; pointing at one shows its definition."""
    escape = html.escape
    rows, group = [], ""
    for row in results.metrics.rows():
        if row.metric.group != group:
            group = row.metric.group
            rows.append(f"<tr><th colspan='2' style='text-align:left'>{escape(group)}</th></tr>")
        rows.append(
            f"<tr title='{escape(row.metric.convention)}'>"
            f"<td style='text-align:left'>{escape(row.metric.label)}</td>"
            f"<td style='text-align:right'>{escape(row.text)}</td></tr>"
        )
    nav = results.nav
    span = (
        f"{nav['session'][0]} to {nav['session'][-1]}, {nav.height} sessions" if nav.height else "no session"
    )
    head = f"<b>{escape(results.name)}</b> {span}, {escape(results.currency)}"
    notes = "".join(f"<p>{escape(note)}</p>" for note in results.warnings)
    return (
        f"<div>{notes}<table><caption style='text-align:left'>{head}</caption>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
