"""Copy the crate `ml4t-abi` into the package, or check that the copy is current.

``python plugins/ml4t-testing/vendor.py`` writes `src/ml4t/testing/abi`; with ``--check`` it only compares. An
author outside this repository cannot name the crate by its path, so a project that `ml4t new-plugin` writes
carries this copy. The C header needs none: it comes with `ml4t-native`.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CRATE = ROOT / "ml4t-engine-rs" / "crates" / "abi"
TARGET = HERE / "src" / "ml4t" / "testing" / "abi"

MANIFEST = """\
# The crate `ml4t-abi`, version {version}, as it comes with `ml4t-testing`. It has no dependency.

[package]
name = "ml4t-abi"
description = "{description}"
version = "{version}"
edition = "{edition}"
rust-version = "{rust}"
license = "Apache-2.0"
publish = false

[lib]
doctest = false
"""


def wanted() -> dict[str, str]:
    """Return the text of every file of the copy, by its path."""
    crate = tomllib.loads((CRATE / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    shared = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
    manifest = MANIFEST.format(
        version=shared["version"],
        description=crate["description"],
        edition=shared["edition"],
        rust=shared["rust-version"],
    )
    sources = {
        f"src/{path.name}": path.read_text(encoding="utf-8") for path in sorted((CRATE / "src").glob("*.rs"))
    }
    return {"Cargo.toml": manifest, "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"), **sources}


def present() -> dict[str, str]:
    """Return the text of every file that is there."""
    return {
        path.relative_to(TARGET).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(TARGET.rglob("*"))
        if path.is_file()
    }


def main() -> int:
    """Write or check the copy; return the exit code."""
    parser = argparse.ArgumentParser(description="copy the crate ml4t-abi into ml4t-testing")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when out of date")
    files = wanted()
    if not parser.parse_args().check:
        for name in present().keys() - files.keys():
            (TARGET / name).unlink()
        for name, text in files.items():
            (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
            (TARGET / name).write_text(text, encoding="utf-8")
        return 0
    if present() == files:
        return 0
    print(f"{TARGET} is out of date: run `python plugins/ml4t-testing/vendor.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
