"""What `ml4t new-plugin` says and writes in words."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from ml4t.core.cli import cli
from ml4t.testing.scaffold import KINDS


def written(name: str, kind: str, into: Path) -> str:
    """Write a project and return what the command printed."""
    arguments = ["new-plugin", name, "--kind", kind, "--into", str(into)]
    done = click.testing.CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_folder_that_was_missing_is_named_when_it_is_made(tmp_path: Path) -> None:
    into = tmp_path / "plugins" / "mine"
    first = written("alpha", "fee", into).splitlines()
    assert first[:2] == [
        f"{into} was not there and has been made.",
        f"{into / 'ml4t-alpha'} is written. Next:",
    ]
    # The second time it is there.
    assert written("beta", "fee", into).startswith(f"{into / 'ml4t-beta'} is written. Next:")


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_begins_with_the_right_article(kind: str, tmp_path: Path) -> None:
    written("alpha", kind, tmp_path)
    article = "An" if kind in {"impact", "executor"} else "A"
    readme = (tmp_path / "ml4t-alpha" / "README.md").read_text(encoding="utf-8")
    assert f"\n{article} {kind} plugin for [ml4t]" in readme
