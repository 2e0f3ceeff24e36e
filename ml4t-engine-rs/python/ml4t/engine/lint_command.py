"""`ml4t lint DATA...`: what looks wrong in market data, before a run trusts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["lint_command"]


def _today() -> dt.date:
    import datetime as dt

    return dt.datetime.now(dt.UTC).date()


@click.command("lint")
@click.argument("data", nargs=-1, required=True)
@click.option("--calendar", default="XNYS", show_default=True, help="Calendar of the venue.")
@click.option(
    "--kind",
    type=click.Choice(["bar", "quote", "trade"]),
    default="bar",
    show_default=True,
    help="What a row is.",
)
@click.option(
    "--stamp", type=click.Choice(["open", "close", "event", "session"]), help="What the stamps mean."
)
@click.option("--interval", metavar="LENGTH", help="Length of a bar, such as 1m or 1h.")
@click.option("--timezone", metavar="ZONE", help="Zone of stamps without one, such as America/New_York.")
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help="Our name of a column.")
@click.option("--actions", metavar="FILE", help="Corporate actions.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Last day that is past; today in UTC.")
@click.option("--ignore", multiple=True, metavar="CODE", help="Leave out findings with this code.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with 1 for doubts, too.")
@click.pass_context
def lint_command(
    context: click.Context,
    /,
    data: tuple[str, ...],
    *,
    as_json: bool,
    strict: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Look for faults in market data: Parquet or CSV files, folders or patterns, which are read as one.

    Exits with 1 when there are errors; doubts are printed, and count with --strict.
    """
    from ml4t.backtest.lint import lint
    from ml4t.core.errors import Ml4tError

    columns = {}
    for pair in options.pop("columns"):
        ours, sign, theirs = pair.partition("=")
        if not sign:
            msg = f"--column {pair!r} is not of the form close=px_last"
            raise click.ClickException(msg)
        columns[ours] = theirs
    today = options.pop("today")
    options["today"] = _today() if today is None else today.date()
    try:
        report = lint(list(data), columns=columns, **options)
    except Ml4tError as error:
        raise click.ClickException("\n".join([str(error), *getattr(error, "__notes__", ())])) from error
    click.echo(report.to_json() if as_json else repr(report))
    context.exit(1 if report.errors or (strict and report.doubts) else 0)
