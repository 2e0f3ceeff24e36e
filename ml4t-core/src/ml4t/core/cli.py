"""The command line `ml4t`: a shell whose commands come from hooks, and the two that look at plugins."""

from __future__ import annotations

import json
import os
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import click

from ml4t.core import __version__
from ml4t.core.config import blocked_plugins
from ml4t.core.errors import Ml4tError, PluginError, PluginWarning, unknown_name
from ml4t.core.hookspecs import KINDS, Check, ModelSpec, Native
from ml4t.core.plugins import PluginFailure, PluginInfo, PluginManager, Registered, load_plugins

_LIBRARIES = ("attrs", "cattrs", "click", "pluggy", "polars", "pyarrow", "rich", "ruamel.yaml")


class _Shell(click.Group):
    """A group that asks plugins for commands only when one is wanted that it does not have itself."""

    is_complete = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        files = [arg for arg in args if arg.endswith((".toml", ".yaml", ".yml"))]
        ctx.ensure_object(dict)["unwanted"] = [name for file in files for name in blocked_plugins(file)]
        return super().parse_args(ctx, args)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        if (name := name or cmd.name) in self.commands:
            msg = f"the command {name!r} exists already"
            raise PluginError(msg)
        super().add_command(cmd, name)

    def _complete(self, ctx: click.Context) -> None:
        if not self.is_complete:
            self.is_complete = True
            for name, answer in plugins_of(ctx).ask_each("ml4t_register_commands", cli=self):
                if isinstance(answer, Exception):
                    warnings.warn(f"commands of plugin {name!r}: {answer!r}", PluginWarning, stacklevel=2)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._complete(ctx)
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            self._complete(ctx)
        if cmd_name not in self.commands:
            has_engine = any(metadata.distributions(name="ml4t-engine"))
            hint = "" if has_engine else "; `ml4t run` and others come with: pip install ml4t-engine"
            ctx.fail(f"{unknown_name('command', cmd_name, self.commands)}{hint}")
        return super().get_command(ctx, cmd_name)


def _remember(ctx: click.Context, _: click.Parameter, names: tuple[str, ...]) -> None:
    block = [name.removeprefix("no:") for name in names if name.startswith("no:")]
    enable = [name for name in names if not name.startswith("no:")]
    ctx.ensure_object(dict)["switches"] = {"enable": enable, "block": block}


def plugins_of(ctx: click.Context, *, strict: bool | None = None) -> PluginManager:
    """Return the plugins of this invocation, loaded once and as its `-p` options say."""
    state = ctx.find_root().ensure_object(dict)
    if "plugins" not in state:
        # `ml4t --help` is answered before the options that follow it are read.
        unwanted = state.get("unwanted", ())
        state["plugins"] = load_plugins(**state.get("switches", {}), unwanted=unwanted, strict=strict)
    manager: PluginManager = state["plugins"]
    return manager


@click.group(cls=_Shell, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ml4t")
@click.option(
    "-p", multiple=True, is_eager=True, expose_value=False, callback=_remember, metavar="NAME|no:NAME",
    help="Load or block a plugin, by entry or distribution name.",
)  # fmt: skip
def cli() -> None:
    """Backtest strategies, look at results, manage plugins."""


@cli.command("plugins")
@click.option("--all", "with_all", is_flag=True, help="Also blocked and failed plugins.")
@click.option("--failed", is_flag=True, help="Only plugins that failed, with tracebacks.")
@click.option("--hook", metavar="HOOK", help="Only plugins that implement this hook.")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help="Only plugins that offer this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_plugins(ctx: click.Context, /, *, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401
    """List the plugins that were found, and what they offer."""
    with warnings.catch_warnings():
        # Listing failures is what this command is for, so they are neither warnings nor errors here.
        warnings.simplefilter("ignore", PluginWarning)
        manager = plugins_of(ctx, strict=False)
        infos = manager.infos
    wanted["hook"] = _hook_name(manager, wanted["hook"])
    rows = [_row(manager, info, kind=wanted["kind"]) for info in infos]
    shown = [row for row in rows if _is_wanted(row, **wanted)]
    if as_json:
        click.echo(json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False))
        return
    _print_table(("name", "distribution", "version", "status", "offers"), shown)
    for row in shown:
        if row["reason"]:
            click.echo(f"\n{row['name']}: {row['reason']}")
        if wanted["failed"]:
            click.echo(row["traceback"])
    hidden = Counter(row["status"] for row in rows if row["status"] != "active" and row not in shown)
    if hidden:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(hidden.items()))
        click.echo(f"not shown: {counts}; see ml4t plugins --all or --failed")


def _hook_name(manager: PluginManager, given: str | None) -> str | None:
    """Complete the name of a hook, which may be given without its prefix."""
    if given is None:
        return None
    hooks = [name for name in dir(manager.hook) if name.startswith("ml4t_")]
    name = given if given.startswith("ml4t_") else f"ml4t_{given}"
    if name not in hooks:
        raise unknown_name("hook", given, hooks)  # noqa: EM101
    return name


def _is_wanted(row: dict[str, Any], *, hook: str | None, **wanted: Any) -> bool:  # noqa: ANN401
    if (hook and hook not in row["hooks"]) or (wanted["kind"] and not row["offers"]):
        return False
    if wanted["failed"]:
        return row["traceback"] is not None
    return bool(wanted["with_all"] or row["status"] == "active")


def _row(manager: PluginManager, info: PluginInfo, *, kind: str | None) -> dict[str, Any]:
    """Describe a plugin as plain values; with a `kind`, only what it offers of that kind."""
    is_active = info.status == "active"
    offers = [offer for offer in manager.registry() if is_active and offer.plugin == info.name]
    return {
        "name": info.name,
        "distribution": info.dist,
        "version": info.version,
        "status": info.status,
        "reason": info.reason,
        "traceback": info.traceback if isinstance(info, PluginFailure) else None,
        "hooks": list(manager.hooks_of(info.name)) if is_active else [],
        "offers": [
            {"kind": offer.kind, "name": offer.spec.name, "summary": offer.spec.summary, "runs": _runs(offer)}
            for offer in offers
            if kind in (None, offer.kind)
        ],
    }


def _runs(offer: Registered) -> str | None:
    """Say what can execute a model; None for what is no model."""
    if not isinstance(offer.spec, ModelSpec):
        return None
    return "python" if offer.spec.native is Native.NONE else offer.spec.native.value


@cli.command()
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, config: str | None, *, as_json: bool) -> None:
    """Check the installation, every plugin and a configuration; exit with 1 when something is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        checks = [*_installation_checks(), *plugins_of(ctx, strict=False).checks(config)]
    if as_json:
        plain = [attrs.asdict(check) for check in checks]
        click.echo(json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        for check in checks:
            mark, color = ("ok   ", None) if check.ok else ("WRONG", "red")
            click.secho(f"{mark} {check.name}: {check.detail}", fg=color)
            click.echo(f"      fix: {check.fix}\n" if check.fix else "", nl=False)
    ctx.exit(0 if all(check.ok for check in checks) else 1)


def _installation_checks() -> Iterable[Check]:
    detail = f"{platform.python_version()}, {sys.prefix}"
    yield Check(name="python", ok=sys.version_info >= (3, 11), detail=detail)
    missing = [name for name in _LIBRARIES if not any(metadata.distributions(name=name))]
    found = [f"{name} {metadata.version(name)}" for name in _LIBRARIES if name not in missing]
    detail, fix = ", ".join([*found, *(f"{m} missing" for m in missing)]), f"pip install {' '.join(missing)}"
    yield Check(name="libraries", ok=not missing, detail=detail, fix=fix if missing else "")
    ours = {(d.name, d.version) for d in metadata.distributions() if d.name and d.name.startswith("ml4t")}
    pair = ("ml4t-core", "ml4t-engine")
    agree = len({version for name, version in ours if name in pair}) <= 1
    absent = [(name, "not installed") for name in pair if name not in dict(ours)]
    detail = ", ".join(f"{name} {version}" for name, version in sorted([*ours, *absent]))
    fix = "" if agree else "install core and engine of one version"
    yield Check(name="ml4t", ok=agree, detail=detail, fix=fix)
    paths = {(Path(folder) / "ml4t" / "__init__.py").resolve() for folder in sys.path}
    intruders = sorted(path for path in paths if path.is_file())
    for path in intruders:
        owners = ", ".join(sorted(_owners(path))) or "an unknown package"
        detail = f"{path} of {owners} occupies the namespace that all parts share"
        yield Check(name="namespace", ok=False, detail=detail, fix=f"uninstall {owners}, or remove that file")
    if not intruders:
        yield Check(name="namespace", ok=True, detail="no distribution owns ml4t/__init__.py")


def _owners(path: Path) -> set[str]:
    """Return names and versions of the distributions whose records list this `ml4t/__init__.py`."""
    name = "ml4t/__init__.py"
    lists = [each for each in metadata.distributions() if name in map(str, each.files or ())]
    owners = [each for each in lists if Path(str(each.locate_file(name))).resolve() == path]
    return {f"{each.name} {each.version}" for each in owners}


def _print_table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        offers = [
            f"{o['kind']} {o['name']}" + (f" ({o['runs']})" if o["runs"] else "") for o in row["offers"]
        ]
        table.add_row(*(", ".join(offers) if column == "offers" else row[column] for column in columns))
    # Without a terminal there is no width to respect, and wrapped cells would be hard to search.
    console = Console(width=None if sys.stdout.isatty() else 1_000, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; `ML4T_TRACEBACK=1` shows errors with tracebacks."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: click.echo(f"warning: {message}", err=True)
            status = cli.main(arguments, prog_name="ml4t", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except Ml4tError as error:
        if os.environ.get("ML4T_TRACEBACK"):
            raise
        click.echo("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), err=True)
        return 1
    return status if isinstance(status, int) else 0
