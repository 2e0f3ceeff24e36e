"""Tables in the documentation that repeat names of the code agree with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from ml4t.core import config
from ml4t.core.config import RunConfig
from ml4t.core.instrument import Instrument
from ml4t.core.structuring import key_of, readable_fields
from ml4t.engine.configuration import to_mapping

ROOT = Path(__file__).resolve().parents[2]
ORDER_RS = ROOT / "ml4t-engine-rs/crates/sim/src/order.rs"
POLICIES_RS = ROOT / "ml4t-engine-rs/crates/sim/src/policies.rs"


def test_the_catalogue_of_order_codes_is_generated_from_the_engine() -> None:
    """Run it as its file says, then look that nothing is lacking."""
    script = Path(__file__).parent / "order_codes.py"
    subprocess.run([sys.executable, script, "--check"], check=True)
    page = (ROOT / "docs/reference/order-codes.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert (
        len(codes)
        == len(set(codes))
        == len(re.findall(r'=> "[A-Z_]+"', ORDER_RS.read_text(encoding="utf-8")))
    )
    assert "| `partially_filled` | `partially_filled`, `filled`, `canceled`, `expired` |" in page


def test_the_page_about_fills_lists_every_policy_with_its_values() -> None:
    source = POLICIES_RS.read_text(encoding="utf-8")
    values = {
        name: re.findall(r'= "(\w+)"', inner)
        for name, inner in re.findall(r"^    (\w+) \{(.*?)^    \}", source, re.MULTILINE | re.DOTALL)
    }
    fields = re.findall(r"^    pub (\w+): (\w+),", source, re.MULTILINE)
    enums = {field: values[kind] for field, kind in fields}
    page = (ROOT / "docs/concepts/fills-on-bars.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (`[^|]+`) \|", page, re.MULTILINE)
    written = {name: re.findall(r"`(\w+)`", values) for name, values in rows if "," in values}
    assert written == enums


SECTIONS: dict[str, Any] = {
    "[backtest]": config.BacktestSection,
    "[broker]": config.BrokerSection,
    "[broker.policies]": config.Policies,
    "[[instruments]]": Instrument,
    "[[data_feeds]]": config.FeedSection,
    "[[signal_sources]]": config.SignalSection,
    "[[corporate_actions]]": config.TableSection,
    "[[funding_rates]]": config.TableSection,
    "[[borrow_rates]]": config.TableSection,
    "[[strategies]]": config.StrategySection,
    "[report]": config.ReportSection,
}
SHORTHANDS = {"[[instruments]]": {"fractional"}, "[broker]": {"policies"}}


def keys_and_defaults(section: str) -> dict[str, str]:
    """Keys of a section on the page, each with the text of its default; an empty one has none."""
    page = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")
    start = page.index(f"## `{section}`")
    rows = re.findall(
        r"^\| (`[^|]+`) \| ([^|]*)\|", page[start : page.find("\n## ", start + 1)], re.MULTILINE
    )
    found = {}
    for names, defaults in rows:
        keys = re.findall(r"`(\w+)`", names)
        texts = re.findall(r"`([^`]+)`", defaults)
        for k, key in enumerate(keys):
            found[key] = "required" if "required" in defaults else (texts[k] if k < len(texts) else "")
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_about_configuration_lists_every_key_with_its_default(section: str) -> None:
    fields = {key_of(field): field for field in readable_fields(SECTIONS[section])}
    written = keys_and_defaults(section)
    assert set(written) | {"policies"} == set(fields) | SHORTHANDS.get(section, set()) | {"policies"}
    plain = to_mapping(RunConfig())
    for key, text in written.items():
        if key not in fields:
            continue
        default = fields[key].default
        assert (text == "required") == (default is attrs.NOTHING), key
        known = plain.get(section.strip("[]"), plain["broker"]["policies"] if "policies" in section else {})
        if isinstance(known, dict) and not isinstance(known.get(key), (dict, list, type(None))):
            assert text == str(known[key]).replace("False", "false").replace("True", "true"), key


@pytest.mark.parametrize("module", ["tests/scenarios/fill_table.py", "-m tests.parity.page"])
def test_a_page_that_is_made_of_tests_is_current(module: str) -> None:
    command = [sys.executable, *module.split(), "--check"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"run: python {module}\n{found.stderr}"
