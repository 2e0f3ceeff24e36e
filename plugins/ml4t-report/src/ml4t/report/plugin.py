"""What this distribution registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.hookspecs import ReporterSpec, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def ml4t_register_reporters() -> list[ReporterSpec]:
    """Offer the HTML page, and figures for `Results.plot`."""
    return [
        ReporterSpec(
            "HtmlReport",
            "ml4t.report.page:HtmlReport",
            formats=("html", "plotly"),
            summary="One self-contained page: equity, drawdowns, returns, metrics, trades, configuration",
        )
    ]


@hookimpl
def ml4t_register_commands(cli: click.Group) -> None:
    """Add `ml4t report`."""
    from ml4t.report.cli import report

    cli.add_command(report)
