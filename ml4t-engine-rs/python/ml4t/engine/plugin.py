"""What the engine registers: itself, `ml4t run`, `ml4t lint`, and what `ml4t doctor` tries of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.hookspecs import Check, EngineSpec, hookimpl

if TYPE_CHECKING:
    import click

    from ml4t.core.plugins import PluginManager


@hookimpl
def ml4t_register_engines() -> list[EngineSpec]:
    """Offer the Rust engine."""
    return [EngineSpec("rust", "ml4t.engine._engine:Run", summary="the Rust simulator", native=True)]


@hookimpl
def ml4t_register_commands(cli: click.Group) -> None:
    """Add `ml4t run` and `ml4t lint`."""
    from ml4t.engine.command import run_command
    from ml4t.engine.lint_command import lint_command

    cli.add_command(run_command)
    cli.add_command(lint_command)


@hookimpl
def ml4t_doctor(registry: PluginManager, config: str | None) -> list[Check]:
    """Try every model that plugins offer, and read the configuration."""
    from ml4t.engine.doctor import checks

    return checks(registry, config)
