"""How many instructions fixed workloads of the simulator take: `python tests/bench/instructions.py`.

The workloads are `ml4t-engine-rs/crates/sim/examples/instructions.rs`; callgrind counts what `run_counted`
and all that it calls execute. Instructions are no time, but the same program has the same number of them on a
busy machine and on an idle one, so that three per cent can be told from noise. `instructions.json` holds the
accepted counts of each rustc and target, with fills and final equity, because a run that does something else
costs something else.

A rise over three per cent fails, a fall asks to be written down, other fills or another equity always fail.
`--accept "why"` writes the counts that moved so far, with the reason; the others stay, so that small rises
add up. `--results` accepts other fills and equities too, for a change of the rules or of the workloads.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).resolve().with_suffix(".json")
EXAMPLE = "instructions"
COMMAND = "python tests/bench/instructions.py"
LIMIT_PERCENT = 3
# The copying routines of the C library differ with the processor, and one of them is counted byte by byte:
# every machine takes the plain ones. Nothing else of the environment reaches a workload.
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"}


class Obstacle(Exception):
    """Nothing can be compared or written down; the text says why, and what to do."""


class Broken(Exception):
    """The workloads do not compile or do not run."""


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """What a workload cost and did; `note` says why a recorded one was accepted."""

    instructions: int
    units: int
    unit: str
    fills: int
    equity: str
    note: str = ""

    @property
    def results(self) -> tuple[int, str, int, str]:
        """What must be the same for two counts to be comparable."""
        return self.units, self.unit, self.fills, self.equity

    def per_unit(self) -> str:
        """Instructions of one unit, as text."""
        return f"{self.instructions / self.units:,.1f}"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences about workloads: those that fail, and those that only ask."""

    failures: tuple[str, ...]
    gains: tuple[str, ...]


# --------------------------------------------------------------------------- comparing


def has_moved(found: Count, before: Count) -> int:
    """Return 1 for a rise beyond the limit, -1 for such a fall, 0 for neither."""
    difference = 100 * (found.instructions - before.instructions)
    allowed = LIMIT_PERCENT * before.instructions
    return (difference > allowed) - (difference < -allowed)


def change(found: Count, before: Count) -> str:
    """Before, after and per cent, in words."""
    percent = 100 * (found.instructions / before.instructions - 1)
    return f"{before.per_unit()} instructions a {before.unit} became {found.per_unit()} ({percent:+.1f} %)"


def compare(found: Mapping[str, Count], recorded: Mapping[str, Count]) -> Verdict:
    """Say of each workload whether it may pass."""
    failures, gains = [], []
    accept = f'{COMMAND} --accept "why"'
    for name in sorted(found.keys() | recorded.keys()):
        if name not in recorded:
            failures.append(f"{name}: no count is recorded; add it with {accept}")
        elif name not in found:
            failures.append(
                f"{name}: a count is recorded, but there is no such workload; remove it with {accept}"
            )
        elif found[name].results != recorded[name].results:
            before, after = (
                f"{count.units:,} x {count.unit}, {count.fills:,} fills, final equity {count.equity}"
                for count in (recorded[name], found[name])
            )
            failures.append(
                f"{name}: the run does something else, so its count cannot be compared. Before: {before}; "
                f"now: {after}. If that is what was wanted: {accept} --results"
            )
        elif (moved := has_moved(found[name], recorded[name])) > 0:
            failures.append(
                f"{name}: {change(found[name], recorded[name])}, more than the {LIMIT_PERCENT} % that pass. "
                f"Make it cheaper, or accept it with the reason: {accept}"
            )
        elif moved < 0:
            gains.append(f"{name}: {change(found[name], recorded[name])}. Keep the gain: {accept}")
    return Verdict(tuple(failures), tuple(gains))


def accepted(
    found: Mapping[str, Count], recorded: Mapping[str, Count], note: str, *, results: bool = False
) -> dict[str, Count]:
    """Return what is to be recorded: what moved with its new count and the note, the rest as before.

    Raises
    ------
    Obstacle
        The note is empty or was given before, or results differ and only counts were to be accepted.
    """
    if not note.strip():
        message = "a count is accepted with a reason, found an empty note"
        raise Obstacle(message)
    kept: dict[str, Count] = {}
    for name, count in found.items():
        before = recorded.get(name)
        if before is not None and before.results != count.results and not results:
            message = (
                f"{name}: fills, equity or size differ from what is recorded; --results accepts that too"
            )
            raise Obstacle(message)
        if before is not None and before.results == count.results and has_moved(count, before) == 0:
            kept[name] = before
            continue
        if before is not None and before.note == note:
            message = f"{name}: the note {note!r} stands there already; say what changed since"
            raise Obstacle(message)
        kept[name] = dataclasses.replace(count, note=note)
    return kept


# --------------------------------------------------------------------------- the record


def read() -> dict[str, dict[str, Count]]:
    """Return the recorded counts: of each toolchain, of each workload."""
    if not RECORDED.exists():
        return {}
    stored: dict[str, dict[str, dict[str, Any]]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return {
        toolchain: {name: Count(**fields) for name, fields in counts.items()}
        for toolchain, counts in stored.items()
    }


def write(recorded: Mapping[str, Mapping[str, Count]]) -> None:
    """Write the recorded counts, those of one toolchain under its name."""
    stored = {
        toolchain: {name: dataclasses.asdict(count) for name, count in counts.items()}
        for toolchain, counts in sorted(recorded.items())
    }
    RECORDED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------- measuring


def toolchain() -> str:
    """Return release and target of the compiler, under which counts are recorded.

    Raises
    ------
    Obstacle
        A program is missing that counting needs.
    """
    if shutil.which("valgrind") is None:
        message = "valgrind is not installed; Debian and Ubuntu: apt install valgrind"
        raise Obstacle(message)
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        message = "cargo or rustc is not on PATH; install Rust from https://rustup.rs"
        raise Obstacle(message)
    told = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    facts = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    return f"rustc {facts['release']} {facts['host']}"


def recorded_for(known: Mapping[str, Mapping[str, Count]], name: str) -> Mapping[str, Count]:
    """Return the counts of a toolchain.

    Raises
    ------
    Obstacle
        There are none.
    """
    if name not in known:
        others = ", ".join(known) or "none"
        message = (
            f'no counts are recorded for {name} (known: {others}); add them with {COMMAND} --accept "why"'
        )
        raise Obstacle(message)
    return known[name]


def build() -> Path:
    """Compile the workloads in the profile of the editable install; return the program."""
    command = ["cargo", "build", "--release", "--locked", "-p", "ml4t-sim", "--example", EXAMPLE]
    # Other flags of the compiler would make another program.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("RUSTFLAGS")}
    built = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    if built.returncode != 0:
        message = f"the workloads do not compile: {' '.join(command)}"
        raise Broken(message)
    artifacts = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == EXAMPLE]
    return Path(programs[-1])


def count(program: Path, workload: str) -> Count:
    """Run one workload under callgrind."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    only = ["--toggle-collect=*run_counted*"]
    environment = {name: os.environ[name] for name in ("PATH", "VALGRIND_LIB") if name in os.environ}
    done = subprocess.run(
        [*valgrind, *only, str(program), workload],
        capture_output=True,
        text=True,
        check=False,
        env=environment | ENVIRONMENT,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None or int(collected[1]) == 0:
        message = f"workload {workload} was not counted (status {done.returncode}):\n{done.stderr}"
        raise Broken(message)
    units, unit, fills, equity = done.stdout.rstrip("\n").split("\t")
    return Count(int(collected[1]), int(units), unit, int(fills), equity)


def measure() -> dict[str, Count]:
    """Build the program and count all its workloads."""
    program = build()
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return {name: count(program, name) for name in listed}


# --------------------------------------------------------------------------- the command


def table(found: Mapping[str, Count], recorded: Mapping[str, Count]) -> str:
    """Return what was counted, one line a workload."""
    lines = [
        f"{'workload':<16}{'instructions':>14}{'accepted':>14}{'change':>9}  {'of a':<18}{'fills':>7}  equity"
    ]
    for name, now in found.items():
        before = recorded.get(name)
        then, moved = "-", "-"
        if before is not None:
            then = before.per_unit()
            moved = f"{100 * (now.instructions / before.instructions - 1):+.2f} %"
        counts = f"{name:<16}{now.per_unit():>14}{then:>14}{moved:>9}"
        lines.append(f"{counts}  {now.unit:<18}{now.fills:>7,}  {now.equity}")
    return "\n".join(lines)


def check(recorded: Mapping[str, Count]) -> int:
    """Count, compare, print; return the exit code."""
    found = measure()
    print(table(found, recorded))
    verdict = compare(found, recorded)
    for sentence in (*verdict.gains, *verdict.failures):
        print(sentence)
    return 1 if verdict.failures else 0


def accept(known: Mapping[str, Mapping[str, Count]], name: str, note: str, *, results: bool) -> None:
    """Count and write down."""
    before = known.get(name, {})
    found = measure()
    print(table(found, before))
    now = accepted(found, before, note, results=results)
    write({**known, name: now})
    changed = [
        workload for workload in now.keys() | before.keys() if now.get(workload) != before.get(workload)
    ]
    print(f"written to {RECORDED.relative_to(ROOT)}: {', '.join(sorted(changed)) or 'nothing moved'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the counts, or accept them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--accept", metavar="WHY", help="record what moved, with this reason")
    parser.add_argument("--results", action="store_true", help="with --accept: other fills and equities too")
    options = parser.parse_args(arguments)
    if options.results and options.accept is None:
        parser.error("--results goes with --accept")
    is_accepting = options.accept is not None
    known = read()
    try:
        name = toolchain()
        if is_accepting:
            accept(known, name, options.accept, results=options.results)
            return 0
        return check(recorded_for(known, name))
    except Obstacle as obstacle:
        print(f"instructions: {'NOT ACCEPTED' if is_accepting else 'NOT CHECKED'}: {obstacle}")
        return 1 if is_accepting else 0
    except Broken as broken:
        print(f"instructions: FAILED: {broken}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
