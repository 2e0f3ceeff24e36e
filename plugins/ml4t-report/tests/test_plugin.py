"""The plugin: what it registers, and its command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ml4t.backtest import Results
from ml4t.core.cli import cli, main
from ml4t.core.plugins import load_plugins
from ml4t.report import HtmlReport


def test_the_reporter_is_found_by_name() -> None:
    plugins = load_plugins()
    offer = plugins.find("reporter", "HtmlReport")
    assert offer.qualified == "report:HtmlReport"
    assert offer.spec.formats == ("html", "plotly")
    assert plugins.resolve("reporter", "HtmlReport") is HtmlReport


def test_loading_the_plugin_does_not_load_plotly() -> None:
    script = (
        "import sys; from ml4t.core.plugins import load_plugins; load_plugins().registry(); "
        "print(sorted({'plotly', 'polars', 'pandas', 'ml4t.report.plugin'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "['ml4t.report.plugin']"


def test_an_attribute_that_does_not_exist_is_an_attribute_error() -> None:
    import ml4t.report

    with pytest.raises(AttributeError, match="has no attribute 'PdfReport'"):
        ml4t.report.PdfReport  # noqa: B018 - looking is what fails


def test_the_command_writes_the_report_into_the_folder_of_the_run(
    results: Results, page_file: Path, tmp_path: Path
) -> None:
    folder = results.save(tmp_path / "run")
    outcome = CliRunner().invoke(cli, ["report", str(folder)])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_bytes() == page_file.read_bytes()
    # The run stays replaceable: its own report is part of it.
    results.save(folder, overwrite=True)


def test_the_command_writes_where_it_is_told(results: Results, tmp_path: Path) -> None:
    folder = results.save(tmp_path / "run")
    target = tmp_path / "elsewhere" / "page.html"
    outcome = CliRunner().invoke(cli, ["report", str(folder), "-o", str(target)])
    assert outcome.exit_code == 0, outcome.output
    assert target.exists() and not (folder / "report.html").exists()


def test_the_command_explains_what_is_wrong_with_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "is not the folder of a run" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
