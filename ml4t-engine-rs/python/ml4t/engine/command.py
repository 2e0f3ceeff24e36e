"""`ml4t run CONFIG`: a backtest from a configuration file, with a progress bar and a summary."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ml4t.core.plugins import PluginManager
    from ml4t.engine.results import Results

__all__ = ["run_command"]

INTERRUPTED = 130
"""Exit code of a run stopped with Ctrl-C, as shells have it."""

_SHOWN = frozenset(
    {"total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"}
)


@click.command("run")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder of the results."
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run in that folder.")
@click.option("--no-report", is_flag=True, help="Write no HTML page.")
@click.option("--quiet", is_flag=True, help="Print only where the results are.")
@click.pass_context
def run_command(
    context: click.Context,
    config: Path,
    output: Path | None,
    *,
    overwrite: bool,
    no_report: bool,
    quiet: bool,
) -> None:
    """Run the backtest that a TOML or YAML file describes, and write its results."""
    _load()
    from rich.console import Console

    from ml4t.backtest.configured import engine_of
    from ml4t.backtest.names import checker_of
    from ml4t.core.cli import plugins_of
    from ml4t.core.config import RecordCadence
    from ml4t.core.errors import Ml4tError
    from ml4t.engine.configuration import load_config
    from ml4t.engine.hooks import all_calendars
    from ml4t.engine.storage import check_folder, check_writable

    console = Console(quiet=quiet)
    plugins = plugins_of(context)
    try:
        settings = load_config(config, plugins=plugins, check=checker_of(all_calendars({}, plugins), plugins))
        folder = output or settings.backtest.output_folder
        # Hours of computing must not end in a refusal that could be known before.
        check_folder(folder, overwrite=overwrite)
        check_writable(folder)
        if not no_report and settings.report.path and settings.backtest.record is RecordCadence.NAV:
            msg = (
                'a page needs all tables, and [backtest] record = "nav" keeps net asset values alone: leave '
                "[report] path out, or pass --no-report"
            )
            raise click.ClickException(msg)
        engine = engine_of(settings, plugins=plugins)
        began = time.perf_counter()
        results, failure = _run(engine, console)
        _save(results, folder, overwrite=overwrite, failure=failure)
    except Ml4tError as error:
        raise click.ClickException("\n".join([str(error), *getattr(error, "__notes__", ())])) from error
    page, fault = None, None
    if not no_report:
        try:
            page = _report(results, settings, plugins, folder)
        except Exception as error:
            # The results are there by now; the page can be made again.
            fault = error
    _summary(console, results, folder, page, seconds=time.perf_counter() - began)
    if isinstance(failure, KeyboardInterrupt):
        if quiet:
            click.echo(folder)
        context.exit(INTERRUPTED)
    if failure is not None:
        _tell(failure, results, folder)
        context.exit(1)
    if fault is not None:
        kind = "" if isinstance(fault, Ml4tError) else f"{type(fault).__name__}: "
        msg = f"the report was not written: {kind}{fault}\nThe results are complete: they are in {folder}"
        raise click.ClickException(msg) from fault
    if quiet:
        click.echo(folder)


def _load() -> None:
    """Import what a run needs; to look for garbage among modules, which stay, took a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        for module in ("rich.console", "ml4t.backtest.configured", "ml4t.engine.storage"):
            importlib.import_module(module)
    finally:
        if was_on:
            gc.enable()
    gc.freeze()


def _run(engine: Any, console: Any) -> tuple[Results, BaseException | None]:  # noqa: ANN401 - rich is imported lazily
    if not console.is_terminal:
        return _outcome(engine, None)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("running", total=1.0)
        return _outcome(engine, lambda part: bar.update(task, completed=part))


def _outcome(
    engine: Any,  # noqa: ANN401
    progress: Callable[[float], object] | None,
) -> tuple[Results, BaseException | None]:
    """Return the results, and what ended the run early."""
    from ml4t.backtest.strategies import refusal_of

    try:
        return engine.run(progress=progress), None
    except BaseException as error:
        # What was computed until then is worth keeping; the caller saves it and raises again.
        if engine.results is None:
            if isinstance(error, Exception) and not os.environ.get("ML4T_TRACEBACK"):
                refusal = refusal_of(error, engine.config)
                if refusal is not None:
                    raise refusal from error
            raise
        return engine.results, error


def _tell(failure: BaseException, results: Results, folder: Path) -> None:
    """Print what the strategy raised, with its own lines only; `ML4T_TRACEBACK=1` shows everything.

    Raises
    ------
    BaseException
        The failure itself where nobody but ml4t had a part in it, or everything is wanted.
    """
    notes: list[str] = getattr(failure, "__notes__", [])
    notes[:] = [note for note in notes if "error.partial_results" not in note]
    notes.append(f"the results up to here ({results.status}) are in {folder}")
    told = traceback.TracebackException.from_exception(failure)
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    is_ours = [str(frame.f_globals.get("__name__")).startswith("ml4t.") for frame in frames]
    if os.environ.get("ML4T_TRACEBACK") or all(is_ours) or not isinstance(failure, Exception):
        raise failure
    first, last = is_ours.index(False), len(is_ours) - is_ours[::-1].index(False)
    told.stack = traceback.StackSummary.from_list(told.stack[first:last])
    click.echo("".join(told.format()).rstrip(), err=True)


def _save(results: Results, folder: Path, *, overwrite: bool, failure: BaseException | None) -> None:
    """Write the results; where the folder takes them no more, into one of the system's for such things."""
    from ml4t.core.errors import ResultsError

    try:
        results.save(folder, overwrite=overwrite)
    except ResultsError as error:
        rescue = Path(tempfile.gettempdir())
        try:
            rescue = Path(tempfile.mkdtemp(prefix="ml4t-")) / results.name
            results.save(rescue)
        except (ResultsError, OSError) as other:
            if rescue.name == results.name:
                shutil.rmtree(rescue.parent, ignore_errors=True)
            msg = f"{error}\nThey could not be kept in {rescue} either: {other}"
            raise ResultsError(msg) from error
        ended = "" if failure is None else f"The run itself ended with {type(failure).__name__}: {failure}\n"
        msg = f"{error}\n{ended}The results ({results.status}) were kept: they are in {rescue}"
        raise ResultsError(msg) from error


def _report(results: Results, settings: Any, plugins: PluginManager, folder: Path) -> Path | None:  # noqa: ANN401
    from ml4t.core.errors import UnknownNameError

    if settings.report.path is None and not results.keeps_tables:
        return None
    try:
        reporter = plugins.resolve("reporter", settings.report.type)
    except UnknownNameError:
        if settings.report.path is None:
            # No report was asked for by name, and no plugin that writes one is installed.
            return None
        raise
    path = settings.report.path or folder / "report.html"
    written: Path = reporter().write(results, path)
    return written


def _summary(console: Any, results: Results, folder: Path, page: Path | None, *, seconds: float) -> None:  # noqa: ANN401
    from rich.table import Table

    table = Table(title=f"{results.name}: {results.status}", show_header=False)
    for row in results.metrics.rows():
        if row.metric.name in _SHOWN:
            table.add_row(row.metric.label, row.text)
    equity = results.portfolio_history["equity"]
    if len(equity):
        table.add_row("Final equity", f"{equity[-1]:,.2f} {results.currency}")
    counts = results.run_info["counts"]
    table.add_row("Orders / fills", f"{counts['orders']:,} / {counts['fills']:,}")
    table.add_row("Run time", f"{seconds:.2f} s")
    console.print(table)
    for note in results.warnings:
        console.print(f"Warning: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Tables and manifest: {folder}", soft_wrap=True)
    if page is not None:
        console.print(f"Report: {page}", soft_wrap=True)
