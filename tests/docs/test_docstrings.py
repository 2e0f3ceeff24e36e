"""Every example in a docstring runs and prints what it shows."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "ml4t-core/src", ROOT / "ml4t-engine-rs/python", *sorted(ROOT.glob("plugins/*/src"))]
PROMPT = re.compile(r"^ *>>> (?!.*# doctest: \+SKIP)", re.MULTILINE)


def modules_with_examples() -> list[str]:
    found = []
    for source in SOURCES:
        for path in sorted((source / "ml4t").rglob("*.py")):
            if PROMPT.search(path.read_text(encoding="utf-8")):
                parts = path.relative_to(source).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted > 0, f"{name}: the examples stand where doctest does not look"
    assert outcome.failed == 0, f"{name}: {outcome.failed} of {outcome.attempted} examples fail"
