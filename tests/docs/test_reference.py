"""Tables in the documentation that repeat names of the code agree with it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORDER_RS = ROOT / "ml4t-engine-rs/crates/sim/src/order.rs"
POLICIES_RS = ROOT / "ml4t-engine-rs/crates/sim/src/policies.rs"


def body(source: str, signature: str) -> str:
    """The text of one Rust function, to the first line that closes it."""
    start = source.index(signature)
    return source[start : source.index("\n    }", start)]


def test_the_catalogue_of_reason_codes_is_that_of_the_engine() -> None:
    source = ORDER_RS.read_text(encoding="utf-8")
    pairs = [
        dict(re.findall(r'Self::(\w+)\s*=>\s*"([^"]+)"', body(source, f"fn {name}(")))
        for name in ("code", "sentence")
    ]
    codes, sentences = pairs
    assert codes
    assert set(codes) == set(sentences)
    page = (ROOT / "docs/reference/order-codes.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", page, re.MULTILINE))
    assert written == {codes[name]: sentences[name] for name in codes}


def test_the_page_about_fills_lists_every_policy_with_its_values() -> None:
    source = POLICIES_RS.read_text(encoding="utf-8")
    enums = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): re.findall(r'= "(\w+)"', inner)
        for name, inner in re.findall(r"^    (\w+) \{(.*?)^    \}", source, re.MULTILINE | re.DOTALL)
    }
    enums.pop("lot_policy")
    page = (ROOT / "docs/concepts/fills-on-bars.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (`[^|]+`) \|", page, re.MULTILINE)
    written = {name: re.findall(r"`(\w+)`", values) for name, values in rows if "," in values}
    assert written == enums
