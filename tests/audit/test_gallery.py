"""Every leaking strategy of the gallery is caught, no honest one accused."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest.audit import audit

FILES = sorted((Path(__file__).parent / "gallery").glob("*.py"))


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    name = f"gallery_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_gallery_has_both_sorts() -> None:
    leaking = sum("LEAKS = True" in path.read_text() for path in FILES)
    assert leaking >= 10
    assert len(FILES) - leaking >= 10


def check(path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:  # noqa: ANN401 - keywords of audit
    module = load(path, monkeypatch)
    report = audit(**module.build(), **more)
    assert report.decisions > 10, "a strategy that hardly decides says little"
    if module.LEAKS:
        assert module.KIND in [finding.kind for finding in report.findings], report.text()
    else:
        assert report.ok, report.text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_leaks_are_caught_and_honest_strategies_are_not_accused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(path, monkeypatch, instants=3)


@pytest.mark.soak
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_so_it_is_at_more_instants_of_other_seeds(
    path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    check(path, monkeypatch)
    for k in range(5):
        check(path, monkeypatch, seed=seed + k)
