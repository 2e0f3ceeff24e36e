"""The runner itself: what is wrong must not pass, and the message must help."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from .files import Scenario, ScenarioError, instant, load_files, load_text
from .runner import ENGINES, FOLDER, ScenarioFailure, aligned, check, ipc_bytes, run_twice

SESSIONS = '''
[defaults]
sessions = """
calendar | label      | opens            | closes
XNYS     | 2024-03-04 | 2024-03-04 14:30 | 2024-03-04 21:00
XNYS     | 2024-03-05 | 2024-03-05 14:30 | 2024-03-05 21:00
"""
'''


def example() -> str:
    """Return the scenario that README.md shows, with its sessions: what is documented is tested."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    return SESSIONS + found.group(1)


def changed(old: str, new: str) -> Scenario:
    """Return the example with one piece of text replaced."""
    text = example()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in the example"
    (scenario,) = load_text(text.replace(old, new), "example.toml")
    return scenario


def parsed(old: str, new: str, message: str) -> None:
    """Expect an error of the file that says all of `message`."""
    with pytest.raises(ScenarioError, match=message):
        changed(old, new)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_example_of_the_readme_passes(engine: str) -> None:
    (scenario,) = load_text(example(), "example.toml")
    check(scenario, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| 90600  | 100200", "| 90600  | 100200.000000001"),
        ("| 90600  | 100200", "| 90600  |"),
        ("2024-03-05 21:00 | 2024-03-05 | 90600", "2024-03-05 21:00 |            | 90600"),
        ("2024-03-05 21:00 | 2024-03-05 | 90600", "2024-03-05 21:01 | 2024-03-05 | 90600"),
        ("| XYZ    | buy  | 100      | 94.00 | open", "| XYZ    | buy  | 100      | 94.01 | open"),
        ("| XYZ    | buy  | 100      | 94.00 | open", "| XYZ    | sell | 100      | 94.00 | open"),
        ("| XYZ    | buy  | 100      | 94.00 | open", "| XYZ    | buy  | 100      | 94.00 | range"),
        ("| inventory | cash   | XYZ    | 9400", "| cash | inventory   | XYZ    | 9400"),
        ("| 1     | filled   |", "| 2     | filled   |"),
        ("| 1     | filled   |", "| 1     | canceled | CANCELED_BY_REQUEST"),
    ],
)
def test_a_wrong_expectation_fails(engine: str, old: str, new: str) -> None:
    with pytest.raises(ScenarioFailure):
        check(changed(old, new), engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "row",
    [
        "2024-03-04 21:00 | 1     | accepted |\n",
        "2024-03-05 14:30 | 1     | XYZ    | buy  | 100      | 94.00 | open\n",
        "2024-03-05 14:30 | trade | inventory | cash   | XYZ    | 9400\n",
        "2024-03-05 21:00 | 2024-03-05 | 90600  | 100200\n",
    ],
)
def test_a_missing_or_superfluous_row_fails(engine: str, row: str) -> None:
    for new in ("", row + row):
        with pytest.raises(ScenarioFailure):
            check(changed(row, new), engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_in_another_sequence_fail(engine: str) -> None:
    first, second = "2024-03-04 21:00 | 1     | accepted |\n", "2024-03-05 14:30 | 1     | filled   |\n"
    with pytest.raises(ScenarioFailure):
        check(changed(first + second, second + first), engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_message_shows_both_tables_and_the_reason(engine: str) -> None:
    with pytest.raises(ScenarioFailure) as caught:
        check(changed("| 90600  | 100200", "| 90600  | 100300"), engine)
    message = str(caught.value)
    assert f"limit_buy_fills_at_the_better_open_when_the_market_gaps_below_the_limit [{engine}]" in message
    assert "The open of 94.00 is better than the limit of 95.00" in message
    header = "time             | session    | cash   | equity\n"
    same = "2024-03-04 21:00 | 2024-03-04 | 100000 | 100000\n"
    assert f"expected\n{header}{same}2024-03-05 21:00 | 2024-03-05 | 90600  | 100300\n" in message
    assert f"found\n{header}{same}2024-03-05 21:00 | 2024-03-05 | 90600  | 100200" in message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "ask",
    [
        "2024-03-04 21:01 | data | buy 100 XYZ limit 95.00",
        "2024-03-04 21:00 | fill | buy 100 XYZ limit 95.00",
        "2024-03-05 14:30 | data | buy 100 XYZ limit 95.00",
    ],
)
def test_an_ask_that_is_never_sent_fails(engine: str, ask: str) -> None:
    scenario = changed("2024-03-04 21:00 | data | buy 100 XYZ limit 95.00", ask)
    with pytest.raises(ScenarioFailure, match="there was no such call"):
        check(scenario, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_call_that_reports_fills_of_opens_sends_asks(engine: str) -> None:
    ask = "2024-03-04 21:00 | data | buy 100 XYZ limit 95.00"
    scenario = changed(ask, f"{ask}\n2024-03-05 14:30 | fill | sell 100 XYZ")
    results, _ = run_twice(scenario, engine)
    sent = results.orders.sort("order_id")["ts_submitted"].dt.strftime("%d %H:%M").to_list()
    assert sent == ["04 21:00", "05 14:30"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "2024-03-05 | 2024-03-05 14:30 | 2024-03-05 21:00",
            "2024-03-05 | 2024-03-05 14:31 | 2024-03-05 21:00",
        ),
        (
            "2024-03-05 | 2024-03-05 14:30 | 2024-03-05 21:00",
            "2024-03-05 | 2024-03-05 14:30 | 2024-03-05 20:00",
        ),
        (
            "2024-03-05 | 2024-03-05 14:30 | 2024-03-05 21:00",
            "2024-03-09 | 2024-03-05 14:30 | 2024-03-05 21:00",
        ),
        ("XNYS     | 2024-03-05 | 2024-03-05 14:30 | 2024-03-05 21:00\n", ""),
    ],
)
def test_sessions_that_are_not_those_of_the_calendar_fail(old: str, new: str) -> None:
    with pytest.raises(ScenarioFailure, match="sessions are not those of XNYS"):
        check(changed(old, new), "rust")


def test_an_engine_that_does_not_exist_fails() -> None:
    (scenario,) = load_text(example(), "example.toml")
    with pytest.raises(ValueError, match="no_such_engine"):
        check(scenario, "no_such_engine")


# Files ------------------------------------------------------------------------------------------------


def test_unknown_words_are_errors_that_list_what_is_allowed() -> None:
    parsed('asks = """', 'oders = """', r"unknown key 'oders'; allowed are .*'asks'")
    parsed("[scenario.expect]", "[scenario.expected]", "unknown key 'expected'; allowed are .*'expect'")
    parsed("sent             | from", "when             | from", "unknown column 'when'; allowed are 'sent'")
    parsed("| data | buy", "| date | buy", "unknown call 'date'; allowed are 'data', 'fill'")
    parsed("| 1     | filled   |", "| 1     | full     |", "unknown status 'full'; allowed are .*'filled'")
    parsed("| 1     | filled   |", "| 1     | submitted |", "unknown status 'submitted'")
    parsed("| 1     | filled   |", "| 1     | filled   | BECAUSE", "unknown reason 'BECAUSE'; .*'OFF_TICK'")
    parsed("| 94.00 | open", "| 94.00 | opening", "unknown phase 'opening'; allowed are 'open'")
    parsed("| quantity | price | phase", "| quantity | prize | phase", "unknown column 'prize'; allowed are")
    parsed('fills = """', 'trades = """', "events and fills")
    parsed('postings = """', 'ledger = """', "unknown table 'ledger'; allowed are .*'postings'")
    parsed(
        'asks = """', 'account = { cash = 1 }\nasks = """', "unknown key 'cash'; allowed are 'initial_cash'"
    )
    parsed(
        'asks = """', 'policies = { gap = "x" }\nasks = """', "unknown key 'gap'; allowed are 'fill_timing'"
    )
    parsed('asks = """', 'fee = { type = "Fees" }\nasks = """', "'Fees'.*types are .*PerShare")
    parsed('asks = """', 'fee = { type = "PerOrder", fe = 1 }\nasks = """', "'?fe'?")
    parsed('asks = """', 'slippage = "VolumeShare"\nasks = """', "types are .*VolumeShare")


def test_malformed_cells_are_errors() -> None:
    parsed("limit 95.00", "limit 95,00", "'95,00' is not a number")
    parsed("limit 95.00", "limit", "'limit' is given twice or without a price")
    parsed("limit 95.00", "gtc", "unknown word 'gtc'; allowed are 'limit', 'stop', 'touch'")
    parsed("buy 100 XYZ limit 95.00", "cancel 1", "comes before that order was sent")
    parsed("buy 100 XYZ limit 95.00", "rules stop 0.05", "unknown rule 'stop'; allowed are 'stop_loss'")
    parsed("buy 100 XYZ limit 95.00", "short 100 XYZ", "expected 'buy 100 XYZ'")
    parsed("2024-03-04 21:00 | 1     | accepted |", "04.03.24 21:00 | 1     | accepted |", "is not a time")
    parsed("2024-03-04 21:00 | 1     | accepted |", "2024-03-04 21:00 | 1     | accepted", "3 cells under 4")
    parsed("| session    | cash", "| session    | session", "named twice")


def test_a_scenario_says_why_and_has_a_name() -> None:
    text = example()
    why = re.sub(r'why = """.*?"""', 'why = " "', text, flags=re.DOTALL)
    for broken, key in ((why, "why"), (re.sub(r"name = .*", "", text), "name")):
        with pytest.raises(ScenarioError, match=f"{key} must be a text that is not empty"):
            load_text(broken, "example.toml")


def test_a_scenario_lists_its_sessions() -> None:
    with pytest.raises(ScenarioError, match="sessions is required"):
        load_text(example().removeprefix(SESSIONS), "example.toml")


def test_names_are_unique_over_all_files(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(example(), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"b\.toml: the name .* is used in a\.toml already"):
        load_files(tmp_path.glob("*.toml"))
    with pytest.raises(ScenarioError, match="is used twice"):
        load_text(example() + example().removeprefix(SESSIONS), "example.toml")


def test_a_scenario_replaces_the_whole_value_of_a_default() -> None:
    text = example().replace("[defaults]", "[defaults]\naccount = { initial_cash = 5, leverage = 2 }")
    (scenario,) = load_text(text, "example.toml")
    assert scenario.broker["initial_cash"] == 5
    own = text.replace('asks = """', 'account = { initial_cash = 7 }\nasks = """')
    (scenario,) = load_text(own, "example.toml")
    assert "leverage" not in scenario.broker


def test_instants_keep_their_nanoseconds() -> None:
    assert instant("2024-03-04 21:00:01.000000007", "here") == 1_709_586_001_000_000_007


def test_tables_are_aligned() -> None:
    rows = [{"a": "1", "b": "x"}, {"a": "200", "b": ""}]
    assert aligned(("a", "b"), rows) == "a   | b\n1   | x\n200 |"


def test_tables_that_differ_in_one_bit_have_other_bytes() -> None:
    frame = pl.DataFrame({"cash": [0.3]})
    assert ipc_bytes(frame) == ipc_bytes(frame.clone())
    assert ipc_bytes(frame) != ipc_bytes(pl.DataFrame({"cash": [0.1 + 0.2]}))
