"""The samples come out of the documents as programs, and nothing but escapes and indentation changed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

DOCUMENTS = Path(__file__).parent / "documents"


def condensed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_the_engine_document_has_two_samples_that_parse(engine_samples: dict[str, str]) -> None:
    assert set(engine_samples) == {"Simple Indicator-Based Strategy", "ML Signal-Based Strategy"}
    for sample in engine_samples.values():
        ast.parse(sample)


def test_restored_classes_have_their_methods_inside(engine_samples: dict[str, str]) -> None:
    for sample in engine_samples.values():
        (body,) = [node for node in ast.parse(sample).body if isinstance(node, ast.ClassDef)]
        methods = {node.name: node for node in body.body if isinstance(node, ast.FunctionDef)}
        assert list(methods) == ["on_start", "on_event"]
        assert any("subscribe" in ast.dump(statement) for statement in methods["on_start"].body)
        assert len(body.body) == len(methods)


def test_only_escapes_and_white_space_were_changed(engine_samples: dict[str, str]) -> None:
    printed = (DOCUMENTS / "engine-section-7.txt").read_text(encoding="utf-8")
    for sample in engine_samples.values():
        assert "\\" not in sample
        assert condensed(sample) in condensed(printed.replace("\\", ""))


def test_the_feasibility_study_has_its_samples(
    preserved_interfaces: dict[str, str], roadmap_samples: list[str]
) -> None:
    assert list(preserved_interfaces) == ["Strategy interface", "Broker API", "Risk rules"]
    assert len(roadmap_samples) == 3
    for sample in roadmap_samples:
        ast.parse(sample)
