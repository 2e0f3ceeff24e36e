"""Code blocks of the documentation, with the comments that mark them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\{?[\w+-]*\}?)[^`]*$")
MARK = re.compile(r"^<!-- test: (?P<verb>run|skip)(?:: (?P<reason>.+?))? -->$")


@attrs.define(frozen=True, slots=True)
class Block:
    """One fenced block: language, text, the line of its first line of text, and its mark."""

    path: Path
    line: int
    language: str
    text: str
    verb: str | None = None
    reason: str | None = None

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def read_blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file in sequence."""
    blocks: list[Block] = []
    previous = ""
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            previous = line if line.strip() else previous
            continue
        body = []
        for _, inner in lines:
            if inner.strip() == opening["ticks"]:
                break
            body.append(inner.removeprefix(opening["indent"]))
        else:
            message = f"{path}:{number}: the block is not closed"
            raise ValueError(message)
        mark = MARK.match(previous.strip())
        verb, reason = (mark["verb"], mark["reason"]) if mark else (None, None)
        text = "\n".join(body) + "\n"
        blocks.append(Block(path, number + 1, opening["language"], text, verb, reason))
        previous = ""
    return blocks


def pages() -> list[Path]:
    """Return README.md and every page under docs/, generated ones apart."""
    generated = (ROOT / "docs" / "_build", ROOT / "docs" / "reference" / "api")
    found = [path for path in sorted((ROOT / "docs").rglob("*.md")) if not path.is_relative_to(generated[0])]
    return [ROOT / "README.md", *(path for path in found if not path.is_relative_to(generated[1]))]


SHELL = ("console", "sh", "bash", "shell")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `blocks`, `python_blocks` … those of one page at a time."""
    chosen = {
        "blocks": lambda block: True,
        "python_blocks": lambda block: block.language == "python",
        "toml_blocks": lambda block: block.language == "toml",
        "shell_blocks": lambda block: block.language in SHELL and block.verb == "run",
    }
    for name, wanted in chosen.items():
        if name in metafunc.fixturenames:
            found = {page: [block for block in read_blocks(page) if wanted(block)] for page in pages()}
            pairs = [(str(page.relative_to(ROOT)), blocks) for page, blocks in found.items() if blocks]
            metafunc.parametrize(name, [blocks for _, blocks in pairs], ids=[label for label, _ in pairs])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the Python blocks that do not run, each with its reason."""
    for page in pages():
        for block in read_blocks(page):
            if block.verb == "skip":
                terminalreporter.write_line(f"{block.place} not run: {block.reason}")
