"""Write the catalogue of order codes, `docs/reference/order-codes.md`, from the simulator's own source.

    python tests/docs/order_codes.py [--check]

What stands between the marks is taken from `order.rs`: codes, their sentences, and the transitions of the
state machine. The rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "ml4t-engine-rs/crates/sim/src/order.rs"
PAGE = ROOT / "docs/reference/order-codes.md"
# Codes of rows that leave the state of an order as it is.
NOTES = ("CancelRequested", "ReplaceRequested", "Replaced", "ReplaceRejected", "Reduced", "MovedWithPosition")


def body(source: str, signature: str) -> str:
    """Return the text of one Rust function, to the first line that closes it."""
    start = source.index(signature)
    return source[start : source.index("\n    }", start)]


def texts(source: str, function: str) -> dict[str, str]:
    """Return what a function of the reasons answers, by reason."""
    return dict(re.findall(r'Self::(\w+)\s*=>\s*"([^"]+)"', body(source, f"fn {function}(")))


def transitions(source: str) -> dict[str, list[str]]:
    """Return the states that may follow each state."""
    arm = re.compile(r"Self::([\w| :]+?) =>(.*?)(?=\n            (?:Self|//)|\Z)", re.DOTALL)
    arms = arm.findall(body(source, "fn may_become("))
    found: dict[str, list[str]] = {}
    for states, after in arms:
        for state in re.findall(r"\w+", states.replace("Self::", "")):
            found[state] = re.findall(r"Self::(\w+)", after)
    return found


def words(state: str) -> str:
    """Write a state as the tables do."""
    return "`" + re.sub(r"(?<!^)(?=[A-Z])", "_", state).lower() + "`"


def sections() -> dict[str, str]:
    """Return the generated parts by the name of their mark."""
    source = SOURCE.read_text(encoding="utf-8")
    codes, sentences = texts(source, "code"), texts(source, "sentence")
    if codes.keys() != sentences.keys():
        message = f"reasons without a sentence or a code: {sorted(codes.keys() ^ sentences.keys())}"
        raise ValueError(message)

    def table(names: list[str]) -> str:
        rows = "".join(f"| `{codes[name]}` | {sentences[name]} |\n" for name in names)
        return f"| code | sentence |\n|---|---|\n{rows}"

    steps = "".join(
        f"| {words(state)} | {', '.join(map(words, after)) or 'nothing: it has ended'} |\n"
        for state, after in transitions(source).items()
    )
    return {
        "codes": table([name for name in codes if name not in NOTES]),
        "notes": table([name for name in codes if name in NOTES]),
        "transitions": f"| from | to |\n|---|---|\n{steps}",
    }


def page() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    for name, part in sections().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{part}\n{end}{rest.split(end)[1]}"
    return text


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
