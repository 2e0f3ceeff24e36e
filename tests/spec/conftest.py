"""Read the code samples of the design documents as they were printed.

The documents went through an editor that escaped Markdown characters and, in one of them, lost the
indentation of the first paragraph of every class body. Undoing that is part of the test: what runs is the
text of the document, not our recollection of it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENTS = Path(__file__).parent / "documents"
INDENT = " " * 4


def unescape(text: str) -> str:
    r"""Undo Markdown escapes: ``on\_start`` -> ``on_start``, ``\=`` -> ``=``, ``\#`` -> ``#``."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def restore_indentation(lines: list[str]) -> list[str]:
    """Give the body of a class its indentation back.

    The paragraph that follows a class header stands flush with it; later paragraphs kept theirs. Within the
    flush paragraph a line that ends in a colon opens a body, and only a `def` or a decorator starts the
    next member of the class.
    """
    restored: list[str] = []
    depth, is_flush = 0, False
    for line in lines:
        bare = line.strip()
        if not bare:
            is_flush = False
            restored.append("")
            continue
        if line.startswith("class "):
            depth, is_flush = 1, True
            restored.append(line)
            continue
        if not is_flush or line != bare:
            is_flush = False
            restored.append(line)
            continue
        if bare.startswith(("def ", "@")):
            depth = 1
        restored.append(INDENT * depth + bare)
        if bare.endswith(":"):
            depth += 1
    return restored


def listed_samples(text: str) -> dict[str, str]:
    """Return the samples printed as numbered items under a line `Python`, by the title of the item."""
    samples: dict[str, list[str]] = {}
    title, body = "", None
    for line in text.splitlines():
        item = re.match(r"^\d+\. \*\*(.+?):?\*\*$", line)
        if item:
            title, body = item[1], None
        elif line == "   Python" and title:
            body = samples.setdefault(title, [])
        elif body is not None:
            body.append(unescape(line.removeprefix("   ")))
    return {name: "\n".join(restore_indentation(lines)).strip() + "\n" for name, lines in samples.items()}


def fenced_samples(text: str) -> list[str]:
    """Return the blocks fenced as Python."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def paragraphs(sample: str) -> dict[str, str]:
    """Return the parts of a sample by the words of the comment that opens each, up to a parenthesis."""
    parts: dict[str, str] = {}
    for part in re.split(r"\n\n(?=# )", sample.strip()):
        head, _, body = part.partition("\n")
        parts[re.sub(r"\s*\(.*", "", head.removeprefix("# "))] = body + "\n"
    return parts


@pytest.fixture(scope="session")
def engine_samples() -> dict[str, str]:
    """Section 7 of the engine's design document, by title."""
    return listed_samples((DOCUMENTS / "engine-section-7.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def preserved_interfaces() -> dict[str, str]:
    """Section 3.2 of the feasibility study, by the comment above each part."""
    (sample,) = fenced_samples((DOCUMENTS / "feasibility-section-3.2.txt").read_text(encoding="utf-8"))
    return paragraphs(sample)


@pytest.fixture(scope="session")
def roadmap_samples() -> list[str]:
    """Section 7 of the feasibility study: engine, position tracking, migration."""
    return fenced_samples((DOCUMENTS / "feasibility-section-7.txt").read_text(encoding="utf-8"))
