"""Every case on ml4t against what the real engine did with it.

`nox -s parity` runs the engines and leaves what they printed in `.cache/parity/<peer>.json`.
"""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .cases import Case, read
from .changes import CHANGES
from .comparison import faults
from .ours import INSTRUMENTS, Broker, Outcome, changed, run_case

pytestmark = pytest.mark.parity

HERE = Path(__file__).parent
PRINTED = HERE.parents[1] / ".cache" / "parity"
PEERS = tuple(INSTRUMENTS)


def listed() -> dict[str, dict[str, str]]:
    """Return the known differences: the cause by peer and case."""
    found = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))
    return {peer: {each["case"]: each["cause"] for each in rows} for peer, rows in found.items()}


@cache
def printed(peer: str) -> dict[str, Outcome]:
    """Return what a peer printed; skip where it was not run."""
    path = PRINTED / f"{peer}.json"
    if not path.exists():
        pytest.skip(f"{peer} was not run: nox -s parity")
    found: dict[str, Outcome] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compared(peer: str, case: Case, broker: Broker) -> list[str]:
    """Say where ml4t with a profile and the peer differ in a case."""
    theirs = printed(peer)
    assert case.name in theirs, f"{peer} ran without this case: nox -s parity"
    return faults(run_case(case, broker, INSTRUMENTS[peer]), theirs[case.name])


CASES_OF = {peer: read(peer) for peer in PEERS}
DIFFERENCES = listed()


def each_case() -> list[Any]:
    """Return peer and case of every test."""
    return [
        pytest.param(peer, case, id=f"{peer}: {case.name}")
        for peer, found in CASES_OF.items()
        for case in found
    ]


@pytest.mark.parametrize("peer", PEERS)
def test_the_peer_has_cases_and_was_run_with_them(peer: str) -> None:
    assert list(printed(peer)) == [case.name for case in CASES_OF[peer]]


@pytest.mark.parametrize(("peer", "case"), each_case())
def test_ml4t_trades_as_the_peer(peer: str, case: Case) -> None:
    found = compared(peer, case, {"profile": peer})
    cause = DIFFERENCES.get(peer, {}).get(case.name)
    if cause is None:
        assert not found, "\n".join([case.why, *found])
    else:
        assert found, f"no difference any more; take it out of differences.toml: {cause}"


@pytest.mark.parametrize("peer", PEERS)
def test_differences_are_of_cases(peer: str) -> None:
    assert set(DIFFERENCES.get(peer, {})) <= {case.name for case in CASES_OF[peer]}


@pytest.mark.parametrize(
    ("peer", "changes"),
    [
        pytest.param(peer, each, id=f"{peer}: {', '.join(f'{key}={value}' for key, value in each.items())}")
        for peer, found in CHANGES.items()
        for each in found
    ],
)
def test_a_changed_policy_is_noticed(peer: str, changes: dict[str, str]) -> None:
    profile = changed({"profile": peer}, {"policies": changes})
    agreeing = [case for case in CASES_OF[peer] if case.name not in DIFFERENCES.get(peer, {})]
    assert any(compared(peer, case, profile) for case in agreeing)
