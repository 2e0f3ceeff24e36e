"""`ml4t new-plugin`: begin a plugin."""

from __future__ import annotations

from pathlib import Path

import click

from ml4t.testing.scaffold import KINDS, NATIVES, Plan, write_project

__all__ = ["new_plugin"]


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin brings.")
@click.option("--native", type=click.Choice(NATIVES), default="none", help="What its formula is written in.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder in which the project's own folder is made; made itself where it is missing.",
)
def new_plugin(name: str, *, kind: str, native: str, into: Path) -> None:
    """Write the project of a plugin: the distribution ml4t-NAME with the module ml4t_NAME.

    It needs no network. What it writes runs, and its tests pass.
    """
    plan = Plan(name=name, kind=kind, native=native)
    is_new = not into.exists()
    folder = write_project(plan, into=into)
    if is_new:
        click.echo(f"{into} was not there and has been made.")
    click.echo(f"{folder} is written. Next:\n")
    for line in _next(folder):
        click.echo(f"  {line}")


def _next(folder: Path) -> list[str]:
    """Return the commands that come next."""
    return [f"cd {folder}", 'pip install -e ".[test]"', "pytest", "ml4t run examples/backtest.toml"]
