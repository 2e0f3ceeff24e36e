"""What this distribution registers: the command `ml4t new-plugin`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

ml4t_hook_api = ">=1.0,<2"


@hookimpl
def ml4t_register_commands(cli: click.Group) -> None:
    """Add `ml4t new-plugin`."""
    from ml4t.testing.command import new_plugin

    cli.add_command(new_plugin)
