"""`mypy --strict` has nothing to say about the packages and about code that uses them."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def mypy(*arguments: str, cache: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
def test_the_packages_and_a_users_strategy_are_clean(cache: Path) -> None:
    assert mypy("-p", "ml4t.engine", "-p", "ml4t.backtest", cache=cache).startswith("Success")
    assert mypy(str(HERE / "user_code.py"), cache=cache).startswith("Success")


MISTAKES = {
    'data["A"].clsoe': "has no attribute",
    'data["A"]["close"].upper()': "has no attribute",
    'broker.buy("A")': "Missing positional argument",
    'broker.buy("A", 1, limit=5)': "Unexpected keyword argument",
    'broker.order_target_percent("A", [0.5])': "incompatible type",
    'broker.get_position("A").quantity': 'Item "None"',
    "broker.open_orders.append": "",
    'broker.get_order("1")': "incompatible type",
    "timestamp.nanosecond": "has no attribute",
    "timestamp + 1": "Unsupported operand",
    'data.history("close", "5")': "No overload variant",
    "self.brokr.get_cash()": "has no attribute",
}


@pytest.mark.slow
def test_mistakes_are_found(cache: Path, tmp_path: Path) -> None:
    lines = [
        "from ml4t.backtest import Broker, Context, PITData, Strategy, Timestamp",
        "class S(Strategy):",
        "    def on_data(",
        "        self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker",
        "    ) -> None:",
        *(f"        {line}" for line in MISTAKES),
    ]
    path = tmp_path / "mistakes.py"
    path.write_text("\n".join(lines) + "\n")
    found = mypy(str(path), cache=cache).splitlines()
    for number, (line, message) in enumerate(MISTAKES.items(), start=6):
        reported = [each for each in found if each.startswith(f"{path}:{number}:")]
        assert bool(reported) is bool(message), (line, found)
        assert not message or any(message in each for each in reported), (line, reported)


def test_the_strategy_that_is_checked_runs() -> None:
    results = runpy.run_path(str(HERE / "user_code.py"))["main"]()
    assert results.status == "complete"
    assert results.orders.height > 0
