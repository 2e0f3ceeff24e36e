"""The command `ml4t report`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["report"]

_FILE = "report.html"


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File to write; by default {_FILE} in the run's folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is not a report.")
def report(run_dir: Path, output: Path | None, *, overwrite: bool) -> None:
    """Write the report page of the run in RUN_DIR."""
    from ml4t.backtest import Results
    from ml4t.report.page import HtmlReport

    results = Results.load(run_dir)
    target = run_dir / _FILE if output is None else output
    click.echo(HtmlReport().write(results, target, overwrite=overwrite))
