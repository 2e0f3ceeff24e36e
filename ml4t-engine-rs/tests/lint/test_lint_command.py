"""`ml4t lint`: what it prints and what it exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest import datasets
from ml4t.backtest.lint import CODES
from ml4t.core.cli import main

Bars = Callable[..., pl.DataFrame]
Lint = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lint_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lint:
    """The command in a folder of its own: exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["lint", *arguments])
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


def test_clean_files_exit_with_0(lint_in: Lint, bars: Bars) -> None:
    bars().write_parquet("good.parquet")
    assert lint_in("good.parquet") == (0, "good.parquet: 24 rows of 1 symbol: 0 errors, 0 doubts\n", "")


def test_errors_exit_with_1_and_say_why_and_what_to_do(lint_in: Lint, bars: Bars) -> None:
    bars().with_columns(close=pl.lit(99.0)).write_csv("bad.csv")
    status, out, _ = lint_in("bad.csv")
    assert status == 1
    assert "error adjusted-close: A, 2024-01-02, row 0: close 99.0 is not within low 19.95" in out
    assert "\n      why: " in out
    assert "\n      do:  " in out
    assert lint_in("bad.csv", "--ignore", "adjusted-close")[0] == 0


def test_doubts_are_printed_and_count_where_it_is_strict(lint_in: Lint) -> None:
    file = str(datasets.path("us_equity_daily"))
    status, out, _ = lint_in(file)
    assert status == 0
    assert "0 errors, 3 doubts" in out
    assert lint_in(file, "--strict")[0] == 1
    actions = ["--actions", str(datasets.path("us_equity_actions"))]
    assert lint_in(file, *actions, "--ignore", "adjusted-feature", "--strict")[0] == 0


def test_the_command_takes_today_from_the_clock_or_from_its_option(lint_in: Lint, bars: Bars) -> None:
    bars().write_parquet("good.parquet")
    assert lint_in("good.parquet", "--today", "2024-02-05")[0] == 0
    status, out, _ = lint_in("good.parquet", "--today", "2024-02-02")
    assert status == 1
    assert "error future-row: A, 2024-02-05, row 23: the row is later than today, 2024-02-02" in out
    bars().with_columns(pl.col("session").dt.offset_by("100y")).write_parquet("late.parquet")
    assert "future-row" in lint_in("late.parquet", "--calendar", "weekdays")[1]


def test_json_has_every_finding_with_its_reasons(lint_in: Lint, bars: Bars) -> None:
    bars()[[*range(8), *range(9, 24)]].write_parquet("hole.parquet")
    status, out, _ = lint_in("hole.parquet", "--json")
    assert status == 0
    (found,) = json.loads(out)["findings"]
    assert (found["code"], found["severity"], found["symbol"]) == ("missing-sessions", "doubt", "A")
    assert found["why"] and found["fix"]


def test_several_files_are_read_as_one_and_columns_can_be_named(lint_in: Lint, bars: Bars) -> None:
    renamed = bars().rename({"close": "px_last"})
    renamed[:12].write_parquet("one.parquet")
    renamed[11:].write_parquet("two.parquet")
    status, out, _ = lint_in("one.parquet", "two.parquet", "--column", "close=px_last")
    assert status == 1
    assert "duplicate-row: A, 2024-01-18, row 0 of two.parquet: row 11 is of this session" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.parquet"], "there is no data file at absent.parquet"),
        (["good.parquet", "--calendar", "XNYZ"], "XNYZ"),
        (["good.parquet", "--column", "close"], "--column 'close' is not of the form close=px_last"),
        (["good.parquet", "--ignore", "spike"], "lint code"),
        (["good.parquet", "--interval", "soon"], "interval"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    lint_in: Lint, bars: Bars, arguments: list[str], said: str
) -> None:
    bars().write_parquet("good.parquet")
    status, out, err = lint_in(*arguments)
    assert (status, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


def test_help_of_the_commands_does_not_load_the_engine() -> None:
    code = (
        "import sys\nfrom ml4t.core.cli import main\nmain(['--help'])\n"
        "assert not {'polars', 'ml4t.backtest'} & set(sys.modules), sorted(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-300:]
    assert "lint" in found.stdout


def test_the_page_lists_every_code_with_its_words() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/lint-data.md").read_text(encoding="utf-8")
    rows = [f"| `{code}` | {each.what} | {each.why} |" for code, each in CODES.items()]
    assert "\n".join(rows) + "\n\n" in page
