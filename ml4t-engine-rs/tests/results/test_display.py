"""How results show themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ml4t.backtest import Results
from ml4t.core.errors import ResultsError

Make = Callable[..., Results]


def test_the_notebook_table_holds_every_metric(real: Results) -> None:
    page = real._repr_html_()
    for row in real.metrics.rows():
        assert f">{row.metric.label}<" in page
        assert f">{row.text}<" in page
    assert "rotation" in page


def test_the_notebook_table_escapes_what_it_shows(make: Make) -> None:
    results = make(nav=[1.0], config={"backtest": {"name": "<b>x</b>"}}, manifest={"warnings": ["a < b"]})
    page = results._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "a &lt; b" in page and "<b>x" not in page


def test_the_representation_names_run_span_and_outcome(make: Make) -> None:
    results = make(nav=[100_000.0, 110_000.0], config={"backtest": {"name": "test"}})
    assert repr(results) == (
        "<Results 'test', complete, 2024-01-01 to 2024-01-02, 2 sessions, 0 fills, total return 10.00%>"
    )


def test_metrics_show_themselves_as_an_aligned_table(real: Results) -> None:
    head, *lines = repr(real.metrics).splitlines()
    assert head == "<Metrics, 252 sessions per year, risk-free rate 0.00%>"
    assert [line.split() for line in lines] == [[m.metric.name, m.text] for m in real.metrics.rows()]
    assert len({len(line) for line in lines}) == 1
    page = real.metrics._repr_html_()
    assert all(f">{row.metric.label}<" in page and f">{row.text}<" in page for row in real.metrics.rows())


def test_the_plot_shows_the_tables(real: Results) -> None:
    figure = real.plot()
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["Equity"].y) == real.nav["nav"].to_list()
    assert list(traces["Drawdown"].y) == real.drawdowns()["drawdown"].to_list()
    assert list(traces["Equity"].x) == [day.isoformat() for day in real.nav["session"]]


def test_a_plot_uses_the_plugins_of_the_run(real: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml4t.engine.results.load_plugins", lambda: pytest.fail("loaded a second time"))
    assert real.plot().data


def test_a_plot_without_a_plugin_that_draws_names_the_extra(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML4T_BLOCK_PLUGINS", "ml4t-report")
    with pytest.raises(ResultsError, match=re.escape("pip install 'ml4t[report]'")):
        make(nav=[1.0]).plot()


def test_a_plot_without_plotly_names_the_extra(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    script = """
import sys
sys.modules["plotly"] = None
from ml4t.backtest import Results
try:
    Results.load(sys.argv[1]).plot()
except Exception as error:
    print(type(error).__name__, error)
"""
    printed = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith("ResultsError")
    assert "plotly" in printed and "pip install 'ml4t[report]'" in printed
