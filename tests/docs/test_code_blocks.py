"""Every code block of README.md and docs/ runs, in sequence, in one namespace per file."""

from __future__ import annotations

import ast
import linecache
import os
import shutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Block

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the examples beside it, as a reader of the docs would have them."""
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def execute(block: Block, namespace: dict[str, Any]) -> None:
    """Run one block so that a traceback shows the line of the page."""
    padding = "\n" * (block.line - 1)
    source = padding + block.text
    linecache.cache[block.place] = (len(source), None, source.splitlines(keepends=True), block.place)
    exec(compile(source, block.place, "exec"), namespace)


def commands(block: Block) -> list[str]:
    """The commands of a shell block; in a console block those after the prompt."""
    lines = [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]
    if block.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return lines


@pytest.mark.usefixtures("scratch")
def test_python_blocks_run_in_sequence(python_blocks: list[Block], monkeypatch: pytest.MonkeyPatch) -> None:
    # A module that can be imported by its name, as `__main__` is where a reader runs the page as a script.
    module = types.ModuleType("__docs__")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    namespace: dict[str, Any] = vars(module)
    for block in python_blocks:
        if block.verb != "skip":
            execute(block, namespace)


@pytest.mark.usefixtures("scratch")
def test_marked_shell_blocks_run(shell_blocks: list[Block]) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for block in shell_blocks:
        for command in commands(block):
            finished = subprocess.run(
                command,
                shell=True,
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert finished.returncode == 0, f"{block.place}: {command}\n{finished.stdout}{finished.stderr}"


@pytest.mark.usefixtures("scratch")
def test_config_files_in_the_docs_are_valid(toml_blocks: list[Block]) -> None:
    from ml4t.core.config import load_config
    from ml4t.core.plugins import load_plugins

    for block in toml_blocks:
        load_config(tomllib.loads(block.text), plugins=load_plugins())


def test_every_block_names_its_language(blocks: list[Block]) -> None:
    assert [block.place for block in blocks if not block.language] == []


def test_every_mark_stands_directly_above_a_block_and_a_skip_says_why(blocks: list[Block]) -> None:
    lines = blocks[0].path.read_text(encoding="utf-8").splitlines()
    marks = sum(line.lstrip().startswith("<!-- test:") for line in lines)
    assert marks == sum(block.verb is not None for block in blocks)
    assert [block.place for block in blocks if block.verb == "skip" and not block.reason] == []


def test_python_blocks_are_complete_programs(python_blocks: list[Block]) -> None:
    for block in python_blocks:
        ast.parse(block.text, filename=block.place)


def test_no_page_skips_most_of_its_python(python_blocks: list[Block]) -> None:
    skipped = [block.place for block in python_blocks if block.verb == "skip"]
    assert len(skipped) <= len(python_blocks) // 2, skipped
