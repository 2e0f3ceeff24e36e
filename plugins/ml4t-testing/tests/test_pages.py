"""The pages about plugins say what the kit does."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from ml4t.core.plugins import PluginManager
from ml4t.testing import (
    Capabilities,
    ExecutorCompliance,
    FeeCompliance,
    FillCompliance,
    ImpactCompliance,
    LatencyCompliance,
    ReaderCompliance,
    SlippageCompliance,
    StrategyCompliance,
)
from ml4t.testing.scaffold import KINDS, NATIVES, Plan, write_project

ROOT = Path(__file__).resolve().parents[3]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text under a heading of the second level."""
    part = text[text.index(f"\n## {heading}\n") + 1 :]
    return part[: part.find("\n## ", 4)] if "\n## " in part[4:] else part


def first_cells(text: str) -> list[str]:
    """The names in the first cells of the tables of a text."""
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "suites"),
    [
        ("Models", [FillCompliance, SlippageCompliance, ImpactCompliance, FeeCompliance]),
        ("Latency models", [LatencyCompliance]),
        ("Execution algorithms", [ExecutorCompliance]),
        ("Strategies", [StrategyCompliance]),
        ("Readers", [ReaderCompliance]),
    ],
)
def test_the_page_lists_every_claim_of_a_suite(heading: str, suites: list[type]) -> None:
    names = {name for suite in suites for name in dir(suite) if name.startswith("test_")}
    # A suite says None to claims of all models that mean nothing for its kind.
    claims = {name for name in names if any(callable(getattr(suite, name, None)) for suite in suites)}
    assert set(first_cells(section(page("reference/compliance.md"), heading))) == claims


def test_the_page_lists_every_capability_with_its_default() -> None:
    part = section(page("reference/compliance.md"), "Capabilities")
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", part, re.MULTILINE))
    defaults = {field.name: field.default for field in attrs.fields(Capabilities)}
    assert rows == {name: "set()" if value == frozenset() else str(value) for name, value in defaults.items()}


def test_the_tutorial_names_every_kind_and_native_form() -> None:
    text = page("how-to/write-a-plugin.md")
    assert all(f"`{name}`" in text for name in (*KINDS, *NATIVES))


def test_the_code_that_the_tutorial_shows_is_what_is_written(tmp_path: Path) -> None:
    text = page("how-to/write-a-plugin.md")
    for heading, name, kind, native, files in [
        ("In Python with numba", "root-law", "impact", "numba", {"python": "src/ml4t_root_law/model.py"}),
        ("In Rust", "fixed-cost", "slippage", "rust", {"rust": "rust/src/lib.rs"}),
        ("In C", "flat-fee", "fee", "c", {"c": "c/model.c"}),
    ]:
        project = write_project(Plan(name=name, kind=kind, native=native), into=tmp_path)
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", section(text, heading), re.MULTILINE | re.DOTALL)
        shown = dict(reversed([block for block in blocks if block[0] != "console"]))
        for language, file in files.items():
            assert shown[language].strip() in (project / file).read_text(encoding="utf-8"), heading


def test_the_page_on_security_names_every_switch_of_the_manager() -> None:
    text = page("concepts/plugin-security.md")
    switches = set(re.findall(r"ML4T_[A-Z_]+", PluginManager.__doc__ or "")) - {"ML4T_TRACE_PLUGINS"}
    assert len(switches) == 4
    assert all(f"`{name}" in text for name in switches)
