"""Cells: one workload on one front end, each in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PEERS = Path(os.environ.get("ML4T_PEERS", ROOT / ".cache" / "peers"))
# Which environment a peer lives in, where it is not named as the peer.
ENVIRONMENTS = {"limit": "base", "upstream": "ml4t"}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer."""
    return PEERS / ENVIRONMENTS.get(peer, peer) / "bin" / "python"


@functools.cache
def printed(*command: str, engine: str = "rust", **environment: str) -> str:
    """Run a program once and return the last line it printed, JSON also where it failed."""
    env = os.environ | {"ML4T_BENCH_ENGINE": engine} | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE, env=env)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no text"]
        # Notes may stand below the error.
        errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
        return json.dumps({"failed": (errors or lines)[-1]})
    return done.stdout.strip().splitlines()[-1]


def ours(workload: str, front: str, *more: str, engine: str = "rust", **environment: str) -> dict[str, Any]:
    """Run a workload on ml4t."""
    found: dict[str, Any] = json.loads(
        printed(sys.executable, "ours.py", workload, front, *more, engine=engine, **environment)
    )
    return found | {"workload": workload, "front": f"ml4t {front}"}


def theirs(peer: str, workload: str) -> dict[str, Any]:
    """Run a workload on a peer."""
    python = python_of(peer)
    found: dict[str, Any] = (
        json.loads(printed(str(python), "-E", "peers.py", peer, workload))
        if python.exists()
        else {"failed": "not installed (nox -s peers)"}
    )
    return found | {"workload": workload, "front": peer}


def program(file: str, *more: str) -> dict[str, Any]:
    """Run another program of the benchmark on ml4t."""
    found: dict[str, Any] = json.loads(printed(sys.executable, file, *more))
    return found
