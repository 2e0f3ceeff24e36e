"""What the engine registers: itself, and the command `ml4t run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.hookspecs import EngineSpec, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def ml4t_register_engines() -> list[EngineSpec]:
    """Offer the Rust engine."""
    return [EngineSpec("rust", "ml4t.engine._engine:Run", summary="the Rust simulator", native=True)]


@hookimpl
def ml4t_register_commands(cli: click.Group) -> None:
    """Add `ml4t run`."""
    from ml4t.engine.command import run_command

    cli.add_command(run_command)
