"""Apply each mutation of `mutations.toml` to a copy of the simulator and count the scenarios that notice.

    python tests/mutations/run.py            # all of them
    python tests/mutations/run.py stop       # those whose claim contains a word

A mutation that does not compile is a fault of the list; one that no scenario notices is a fault of the
scenarios. The copy and what is compiled of it live under `.cache/`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache" / "mutants"
TARGET = ROOT / ".cache" / "mutants-target"
SOURCES = Path("ml4t-engine-rs/crates/sim/src")
NOTICED = re.compile(r"(\d+) of (\d+) scenarios do not hold")
COMMAND = ["cargo", "test", "--offline", "-q", "-p", "ml4t-sim", "--test", "scenarios"]


def copy_workspace() -> None:
    """Copy what the scenario tests of the simulator are made of."""
    shutil.rmtree(COPY, ignore_errors=True)
    libraries = [path.relative_to(ROOT) for path in sorted(ROOT.glob("plugins/*/rust"))]
    for part in ("ml4t-engine-rs/crates", *libraries, "tests/bench", "tests/scenarios"):
        shutil.copytree(ROOT / part, COPY / part)
    for file in ("Cargo.toml", "Cargo.lock", "clippy.toml"):
        shutil.copy2(ROOT / file, COPY / file)


def noticed(file: Path, text: str) -> str:
    """Run the scenarios with a changed file; return how many notice, `0`, or what the compiler says."""
    original = file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    # A target folder of its own: cargo names the artifacts of a copy like those of the workspace and would
    # take the one for the other.
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    try:
        done = subprocess.run(
            COMMAND, cwd=COPY, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired:
        return "it never ends"
    finally:
        file.write_text(original, encoding="utf-8")
    printed = done.stdout + done.stderr
    if done.returncode == 0:
        return "0"
    found = NOTICED.search(printed)
    if found is not None:
        return found.group(1)
    # A panic of the simulator is noticed as well: the run does not get as far as a comparison.
    return "a panic" if "panicked at" in printed else f"does not compile:\n{printed}"


def main(words: list[str]) -> int:
    """Run the mutations and print a table; return the exit code."""
    listed = tomllib.loads((Path(__file__).parent / "mutations.toml").read_text(encoding="utf-8"))["mutation"]
    chosen = [m for m in listed if all(word in m["claim"] for word in words)]
    copy_workspace()
    lib = COPY / SOURCES / "lib.rs"
    if (found := noticed(lib, lib.read_text(encoding="utf-8"))) != "0":
        print(f"the scenarios do not hold as the simulator is ({found}); mend that first")
        return 1
    survivors = faults = 0
    for number, mutation in enumerate(chosen, start=1):
        file = COPY / SOURCES / mutation["file"]
        text = file.read_text(encoding="utf-8")
        if (count := text.count(mutation["find"])) < 1:
            found, faults = f"not in {mutation['file']}", faults + 1
        else:
            # Where a line stands in several places the first is the one meant.
            found = noticed(file, text.replace(mutation["find"], mutation["replace"], 1))
            survivors += found == "0"
            faults += found.startswith("does not compile")
        note = f" (first of {count})" if count > 1 else ""
        print(f"{number:>3}  {found:>4}  {mutation['file']:<14} {mutation['claim']}{note}", flush=True)
    print(f"{len(chosen)} mutations, {survivors} survived, {faults} cannot be applied", flush=True)
    return 1 if survivors or faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
