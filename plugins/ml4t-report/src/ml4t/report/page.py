"""The report page: one HTML file that needs nothing else, neither files beside it nor a network.

Equal runs give equal bytes: element ids are fixed, and neither the time of writing nor the machine appears.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import attrs
import plotly  # noqa: F401 - what is missing is said when the reporter is loaded

from ml4t.core.errors import ResultsError
from ml4t.report import figures, provenance, sections
from ml4t.report.attribution import attribution
from ml4t.report.markup import escape, section

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ml4t.backtest import Results

__all__ = ["GENERATOR", "HtmlReport"]

GENERATOR = "ml4t-report"
"""Content of the page's `generator` tag, by which a report is recognised."""


@attrs.frozen(kw_only=True)
class HtmlReport:
    """Writes the report page of a run.

    Attributes
    ----------
    most_trades : int
        How many round trips the page lists; the statistics cover all of them.
    rolling_window : int
        Sessions of the moving window of volatility and Sharpe ratio.
    drawdowns : int
        How many of the deepest drawdowns are listed.
    most_instruments : int
        How many instruments have a line of their own in the attribution.

    Examples
    --------
    >>> HtmlReport().write(results, "report.html")  # doctest: +SKIP
    """

    most_trades: int = attrs.field(default=500, validator=attrs.validators.ge(0))
    rolling_window: int = attrs.field(default=126, validator=attrs.validators.ge(2))
    drawdowns: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    most_instruments: int = attrs.field(default=30, validator=attrs.validators.ge(1))

    def render(self, results: Results) -> str:
        """Return the page as text."""
        return b"".join(self._encoded(results)).decode("utf-8")

    def _encoded(self, results: Results) -> tuple[bytes, bytes, bytes]:
        """Return the page in UTF-8: what stands before plotly.js, plotly.js, and what stands behind it.

        plotly.js is most of the page; it goes from its file into the page without being read as text.
        """
        assets = resources.files("ml4t.report") / "assets"
        template = (assets / "page.html").read_text(encoding="utf-8")
        before, behind = (Template(part) for part in template.split("$plotly"))
        return (
            before.substitute(
                title=escape(f"{results.name} \N{MIDDLE DOT} backtest report"),
                generator=GENERATOR,
                style=(assets / "style.css").read_text(encoding="utf-8"),
                content="\n".join(part for part in self._parts(results) if part),
            ).encode("utf-8"),
            _plotly_js(),
            behind.substitute(script=(assets / "report.js").read_text(encoding="utf-8")).encode("utf-8"),
        )

    def write(self, results: Results, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the page and return its path.

        Parameters
        ----------
        results : Results
            The run.
        path : str or Path
            The file; its folder is made.
        overwrite : bool
            Replace whatever file is there. An earlier report is replaced in any case: it holds nothing that
            the run does not.

        Raises
        ------
        ResultsError
            If `path` holds something else.
        """
        target = Path(path)
        if target.exists() and not overwrite and not _is_report(target):
            message = f"{target} exists and is not a report; choose another file, or pass overwrite=True"
            raise ResultsError(message)
        parts = self._encoded(results)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        try:
            with partial.open("wb") as file:
                file.writelines(parts)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def figure(self, results: Results) -> go.Figure:
        """Return equity and drawdowns as a plotly figure with fixed colours, for notebooks."""
        from plotly.graph_objects import Figure

        figure = Figure(figures.overview(results))
        # Without this plotly.py draws with its own default theme.
        figure.layout.template = None
        return figure

    def _parts(self, results: Results) -> list[str]:
        """Return the sections in reading order."""
        top = [sections.header(results), sections.warnings(results)]
        end = [sections.orders(results), provenance.configuration(results), provenance.provenance(results)]
        if results.nav.is_empty():
            return [*top, *end]
        return [
            *top,
            _overview(results),
            sections.drawdowns(results, count=self.drawdowns),
            sections.monthly_returns(results),
            sections.metrics(results),
            _distribution(results),
            _rolling(results, window=self.rolling_window),
            _allocation(results),
            attribution(results, most=self.most_instruments),
            sections.trade_statistics(results),
            sections.round_trips(results, most=self.most_trades),
            *end,
        ]


def _overview(results: Results) -> str:
    buttons = "".join(
        f'<button type="button" data-chart="equity-chart" data-scale="{scale}" aria-pressed="{pressed}">'
        f"{scale.capitalize()}</button>"
        for scale, pressed in (("linear", "true"), ("log", "false"))
    )
    scale = f'<div class="switch" role="group" aria-label="Scale of the equity axis">{buttons}</div>'
    figure = figures.overview(results, palette=figures.CSS_PALETTE)
    label = "Equity over time, and below it the fall from the highest equity so far"
    chart = sections.chart(figure, element_id="equity-chart", label=label, controls=scale)
    return section("Equity", chart, element_id="equity")


def _distribution(results: Results) -> str:
    figure = figures.distribution(results, palette=figures.CSS_PALETTE)
    label = "Histograms of session and monthly returns"
    chart = sections.chart(figure, element_id="distribution-chart", label=label)
    return section("Distribution of returns", chart, element_id="distribution")


def _rolling(results: Results, *, window: int) -> str:
    title = "Rolling risk"
    if results.nav.height < window:
        note = f"The run has {results.nav.height} sessions, fewer than one window of {window}."
        return section(title, element_id="rolling", note=note)
    figure = figures.rolling(results, window=window, palette=figures.CSS_PALETTE)
    label = f"Volatility and Sharpe ratio over the last {window} sessions"
    chart = sections.chart(figure, element_id="rolling-chart", label=label)
    note = f"Over the last {window} sessions."
    if "range" in figure["layout"]["yaxis2"]:
        note += " Some values of the Sharpe ratio lie outside its axis; a double click shows them."
    return section(title, chart, element_id="rolling", note=note)


def _allocation(results: Results) -> str:
    if results.positions.is_empty():
        return ""
    figure = figures.allocation(results, palette=figures.CSS_PALETTE)
    label = "Market value of each symbol over NAV"
    chart = sections.chart(figure, element_id="allocation-chart", label=label)
    note = (
        "Market value over NAV at each session\N{RIGHT SINGLE QUOTATION MARK}s close, shorts below zero. "
        "Where all positions are paid for, what the sum lacks to 100% is cash."
    )
    return section("Allocation", chart, element_id="allocation", note=note)


def _plotly_js() -> bytes:
    """Return plotly.js as it can stand inside a script element, in UTF-8."""
    script = resources.files("plotly") / "package_data" / "plotly.min.js"
    return script.read_bytes().replace(b"</script", b"<\\/script")


def _is_report(path: Path) -> bool:
    """Whether a file is a report: an earlier one may be replaced, anything else may not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(2048)
