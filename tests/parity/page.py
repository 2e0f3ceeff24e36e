"""Write docs/parity.md from the cases and the known differences.

python -m tests.parity.page            # write the page
python -m tests.parity.page --check    # compare; a test does the same
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml4t.core.plugins import load_plugins

from .cases import read

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "parity.md"
ENGINES = {
    "zipline": "zipline-reloaded 3.2.1",
    "backtrader": "backtrader 1.9.78.123",
    "vectorbt": "vectorbt 1.2.0",
}
HEAD = """\
# Parity with other engines

A [profile](how-to/profiles.md) is a set of values for `[broker]` under which ml4t trades as another engine
does. How far that goes is tested: scripted cases run on the real engine, installed from PyPI, and on ml4t;
every trade must be equal (session, side, quantity, price and commission to a relative 1e-9), final value and
cash to a cent. `python3 noxfile.py -s parity` does it, and changes policies of each profile one by one to see
that the cases notice.

| profile | engine | cases | equal | differ, each with its cause below |
|---|---|---|---|---|
"""


def differences() -> Mapping[str, list[dict[str, str]]]:
    """Return the known differences by peer."""
    found: dict[str, Any] = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))
    return found


def settings(name: str) -> Iterator[str]:
    """Return the values of a profile, a line each."""
    values: Mapping[str, Any] = load_plugins().resolve("profile", name)
    for key, value in values.items():
        if key == "policies":
            yield from (f"policies.{policy} = {text!r}" for policy, text in value.items())
        else:
            yield f"{key} = {value!r}"


def page() -> str:
    """Return the text of the page."""
    known = differences()
    rows, parts = [], []
    for peer, engine in ENGINES.items():
        cases, differ = read(peer), known.get(peer, [])
        rows.append(f"| `{peer}` | {engine} | {len(cases)} | {len(cases) - len(differ)} | {len(differ)} |\n")
        parts.append(f"\n## {peer}\n\n```text\n" + "\n".join(settings(peer)) + "\n```\n")
        parts.append("\n| case that differs | what ml4t does, and what the engine does |\n|---|---|\n")
        parts += [f"| {each['case']} | {each['cause']} |\n" for each in differ]
        equal = [case for case in cases if case.name not in {each["case"] for each in differ}]
        parts.append("\nEqual on both:\n\n")
        parts += [f"- {case.name}\n" for case in equal]
    return HEAD + "".join(rows) + "".join(parts)


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
