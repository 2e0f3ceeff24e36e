"""Write docs/parity.md from the cases, the known differences and the published results.

python -m tests.parity.page            # write the page
python -m tests.parity.page --check    # compare; a test does the same
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from ml4t.core.plugins import load_plugins

from .cases import read
from .changes import UNNOTICED, VECTOR_CHANGES
from .lean_published import Row, published

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
that the cases notice. The engine of [`lean`](#lean) does not run beside ml4t; its profile is compared with
results that it publishes.

| profile | engine | cases | equal | differ, each with its cause below |
|---|---|---|---|---|
"""

LEAN_HEAD = """\
QuantConnect LEAN publishes what its regression algorithms end with, and {count} of them are strategies of
ml4t here. End equity and fees are equal to the cent, under the profile and with what the last column adds to
it: prices, models and sizes, which no profile holds. The prices are not part of the repository;
[testing](contributing/testing.md#published-results-of-lean) says how to run the tests with them.

| algorithm | | end equity of LEAN | fees | ml4t | added to the profile |
|---|---|---|---|---|---|
"""
LEAN_ALONE = """
The profile alone, with nothing added but adjusted prices, and for futures all but the sides of the quote. The
engine sizes targets:

| algorithm | end equity | from LEAN's | fees | because |
|---|---|---|---|---|
"""
LEAN_CLOSES = """
The futures of the last algorithm at the close of each session; in LEAN the result of the day is in cash then:

| session | cash of LEAN | equity of ml4t | cash of ml4t |
|---|---|---|---|
"""
LEAN_RULES = """
What LEAN does and the profile cannot say:

| in LEAN | cause |
|---|---|
"""
LEAN_NOTICED = """
Other values of {noticed}
make at least one algorithm miss its published result; tests show it. Other values of
{unnoticed}
do not: these rest on the rules of LEAN, not on its results.
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
    return HEAD + "".join(rows) + "".join(parts) + lean()


def lean() -> str:
    """Return the section of results that were published and not observed."""
    tables = published()
    vectors, closes, rules = tables["vector"], tables["close"], tables["difference"]
    parts = ["\n## lean\n\n```text\n", "\n".join(settings("lean")), "\n```\n\n"]
    parts += [LEAN_HEAD.format(count=len(vectors)), *(_equal(row) for row in vectors)]
    parts += [LEAN_ALONE, *(_alone(row) for row in vectors), LEAN_CLOSES]
    parts += [f"| {row['session']} | {row['equity']} | {row['equity']} | {row['cash']} |\n" for row in closes]
    parts += [LEAN_RULES, *(f"| {row['rule']} | {row['cause']} |\n" for row in rules)]
    noticed = sorted({key for changes, _ in VECTOR_CHANGES for key in _keys(changes)})
    unnoticed = sorted(_keys(UNNOTICED))
    parts.append(LEAN_NOTICED.format(noticed=_listed(noticed), unnoticed=_listed(unnoticed)))
    return "".join(parts)


def _equal(row: Row) -> str:
    published_end = f"{row['equity']} | {row['fees']}"
    return f"| {row['algorithm']} | {row['about']} | {published_end} | equal | {row['added']} |\n"


def _keys(changes: Mapping[str, Any]) -> Iterator[str]:
    """Return the keys of changes, of policies their names."""
    for key, value in changes.items():
        if key == "policies":
            yield from value
        else:
            yield key


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _alone(row: Row) -> str:
    apart = Decimal(row["alone_equity"]) - Decimal(row["equity"])
    numbers = f"{row['alone_equity']} | {apart:+} | {row['alone_fees']}"
    return f"| {row['algorithm']} | {numbers} | {row['alone_cause']} |\n"


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
