"""The page in a real browser: it is drawn, it fits, and it asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import Results

pytestmark = pytest.mark.browser

Chromium = Any

SIZES = [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")]

POINTS = """
Object.fromEntries([...document.querySelectorAll('.chart')].map(
  (chart) => [chart.id, chart.data.map((trace) => (trace.y ?? trace.x).length)]))
"""

# What sticks out of the page to the right, unless a box of its own scrolls it.
OUTSIDE = """
[...document.querySelectorAll('body *')]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll, svg'))
  .map((e) => `${e.tagName}#${e.id}.${e.className}`)
"""


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_is_drawn_without_a_request_or_a_complaint(
    width: int, scheme: str, chromium: Chromium, page_file: Path, results: Results
) -> None:
    chromium.show(page_file, width=width, scheme=scheme)
    points = chromium.evaluate(POINTS)
    assert points["equity-chart"] == [results.nav.height] * 2
    assert points["distribution-chart"] == [results.nav.height, results.returns("month").height]
    assert points["rolling-chart"] == [results.rolling(126).height] * 2
    assert set(points["allocation-chart"]) == {results.nav.height}
    assert chromium.requests == [page_file.resolve().as_uri()]
    assert chromium.problems == []


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_does_not_scroll_sideways(
    width: int, scheme: str, chromium: Chromium, page_file: Path, tmp_path: Path
) -> None:
    chromium.show(page_file, width=width, scheme=scheme)
    chromium.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert chromium.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert chromium.evaluate(OUTSIDE) == []
    chromium.screenshot(tmp_path / f"{width}-{scheme}.png")


def test_charts_take_the_colours_of_the_scheme_and_follow_it(chromium: Chromium, page_file: Path) -> None:
    line = "document.querySelector('#equity-chart').data.find((t) => t.name === 'Equity').line.color"
    accent = "getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()"
    chromium.show(page_file, width=1280, scheme="light")
    light = chromium.evaluate(line)
    assert light == chromium.evaluate(accent)
    chromium.prefer("dark")
    dark = chromium.evaluate(line)
    assert dark == chromium.evaluate(accent) != light


def test_the_equity_axis_switches_to_a_logarithm_and_back(chromium: Chromium, page_file: Path) -> None:
    chromium.show(page_file, width=1280)
    axis = "document.querySelector('#equity-chart').layout.yaxis.type"
    for scale in ("log", "linear"):
        chromium.evaluate(f"document.querySelector('button[data-scale={scale}]').click()")
        assert chromium.evaluate(axis) == scale
        pressed = "[...document.querySelectorAll('button[aria-pressed=true]')].map((b) => b.dataset.scale)"
        assert chromium.evaluate(pressed) == [scale]


def test_a_heading_sorts_the_trades_by_value_and_not_by_text(
    chromium: Chromium, page_file: Path, results: Results
) -> None:
    chromium.show(page_file, width=1280)
    column = (
        "[...document.querySelectorAll('#trades-table tbody tr')].map((r) => Number(r.cells[7].dataset.key))"
    )
    click = "document.querySelectorAll('#trades-table thead th')[7].click()"
    values = sorted(results.trades["net_pnl"].to_list())
    chromium.evaluate(click)
    assert chromium.evaluate(column) == values[::-1]
    chromium.evaluate(click)
    assert chromium.evaluate(column) == values
    state = "document.querySelectorAll('#trades-table thead th')[7].getAttribute('aria-sort')"
    assert chromium.evaluate(state) == "ascending"


def test_a_zoom_survives_a_change_of_the_colour_scheme(chromium: Chromium, page_file: Path) -> None:
    chromium.show(page_file, width=1280, scheme="light")
    chromium.evaluate(
        "Plotly.relayout('equity-chart', {'xaxis.range': ['2005-01-01', '2006-01-01']}).then(() => null)"
    )
    chromium.prefer("dark")
    shown = chromium.evaluate("document.querySelector('#equity-chart').layout.xaxis.range")
    assert [day[:10] for day in shown] == ["2005-01-01", "2006-01-01"]
