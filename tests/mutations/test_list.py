"""The list of mutations follows the simulator: a line that is not there any more tests nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "ml4t-engine-rs" / "crates" / "sim" / "src"


def test_every_line_that_is_to_be_changed_is_there() -> None:
    listed = tomllib.loads((HERE / "mutations.toml").read_text(encoding="utf-8"))["mutation"]
    lacking = [
        f"{mutation['file']}: {mutation['claim']}"
        for mutation in listed
        if mutation["find"] not in (SOURCES / mutation["file"]).read_text(encoding="utf-8")
    ]
    assert lacking == []
    assert len(listed) >= 30
